//! Calls of raw entries, under the convention of calls inside of a program.
//!
//! The first eight words of arguments are in r7–r12, r3 and r4, the first six words of results in r7–r12. The others are
//! on the stack, results below arguments. r1, the stack pointer, and r5 and r6 are restored by the callee.

use crate::exit::MachineError;
use crate::machine::{Machine, reg};
use crate::value::{Value, ValueType, values};

/// Registers of arguments, in the order of the convention.
const ARGUMENTS: [usize; 8] = [7, 8, 9, 10, 11, 12, 3, 4];
/// Registers of results, in the order of the convention.
const RESULTS: [usize; 6] = [7, 8, 9, 10, 11, 12];
/// Bytes of a word.
const WORD: u32 = 8;
/// Registers that a callee restores, with the stack pointer.
const CALLEE_SAVED: [usize; 2] = [5, 6];
/// The contents of registers without an argument. A callee's behaviour must not depend on it.
const UNDEFINED: u64 = 0xdead_beef_dead_beef;

/// A call that was prepared; its number of results and stack pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawCall {
    results: usize,
    sp: u32,
}

impl Machine {
    /// Prepares a call of the code at `pc` with words as arguments.
    ///
    /// # Errors
    /// If the stack is too small for them.
    pub fn enter_call(&mut self, pc: u32, args: &[u64], results: usize) -> Result<RawCall, MachineError> {
        self.enter(pc, &[]);
        (reg::SP + 1..reg::COUNT).for_each(|number| self.set_reg(number, UNDEFINED));
        for (&register, &arg) in ARGUMENTS.iter().zip(args) {
            self.set_reg(register, arg);
        }
        let stacked = args.get(ARGUMENTS.len()..).unwrap_or_default();
        let result_bytes = WORD * results.saturating_sub(RESULTS.len()) as u32;
        let sp = self.reg(reg::SP) as u32 - result_bytes - WORD * stacked.len() as u32;
        self.set_reg(reg::SP, u64::from(sp));
        let stacked: Vec<u8> = stacked.iter().flat_map(|word| word.to_le_bytes()).collect();
        if !self.write(sp + result_bytes, &stacked) {
            return Err(MachineError::Convention("the arguments exceed the stack".into()));
        }
        Ok(RawCall { results, sp })
    }

    /// The results of a call that halted.
    ///
    /// # Errors
    /// If a register was not restored.
    pub fn results_of(&mut self, call: RawCall) -> Result<Vec<u64>, MachineError> {
        let saved = CALLEE_SAVED.map(|number| (number, UNDEFINED));
        for (number, before) in saved.into_iter().chain([(reg::SP, u64::from(call.sp))]) {
            let after = self.reg(number);
            if after != before {
                let problem = format!("r{number} is {after:#x} after the call and was {before:#x}");
                return Err(MachineError::Convention(problem));
            }
        }
        let in_registers = RESULTS.iter().take(call.results).map(|&register| self.reg(register));
        let mut words: Vec<u64> = in_registers.collect();
        let stacked = WORD * call.results.saturating_sub(RESULTS.len()) as u32;
        let unreadable = || MachineError::Convention("the results exceed the stack".into());
        let bytes = self.read(call.sp, stacked).ok_or_else(unreadable)?;
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        words.extend(bytes.chunks_exact(WORD as usize).map(word));
        Ok(words)
    }
}

/// The results that a function returned in registers.
pub fn results_in_registers(machine: &Machine, types: &[ValueType]) -> Vec<Value> {
    let words = RESULTS.map(|register| machine.reg(register));
    let mut count = 0;
    let fits = types.iter().take_while(|ty| {
        count += ty.words();
        count <= words.len()
    });
    let fits: Vec<ValueType> = fits.copied().collect();
    values(&fits, &words)
}
