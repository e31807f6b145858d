//! Programs in SSA, compiled and run on both machines.
//!
//! [`pvm`] runs a compiled program on a PVM engine, [`cortex_m`] on an emulated board. Both report the [`Outcome`] of a
//! call: results or trap, calls of imports, linear memory. [`interpreted`] is the outcome in the SSA interpreter, which
//! decides whether the compiled code is right.
//!
//! `tests/programs/fixtures` has programs in text form for single features of the compiler; the test of this crate runs
//! them. The differential tests of the targets run random programs, some of them made of [`idioms`] or of functions that
//! are [`alike`].

pub mod alike;
pub mod cortex_m;
pub mod idioms;
pub mod pvm;

use ssa::interp::{Interpreter, Memory, Options, Stop};
use ssa::testing::{self, SCRATCH_BYTES};
use ssa::{FuncId, Module, Signature, Type};

/// Observable effects of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The results, or the number of the trap, where the machine tells it.
    pub end: Result<Vec<u64>, Option<u32>>,
    /// Calls of imports with their arguments.
    pub imports: Vec<(FuncId, Vec<u64>)>,
    /// The first [`SCRATCH_BYTES`] of linear memory.
    pub memory: Vec<u8>,
}

impl Outcome {
    /// The outcome as the PVM shows it: words are sign-extended, and traps have no reason.
    #[must_use]
    pub fn on_pvm(self, sig: &Signature) -> Self {
        let word =
            |(value, &ty): (u64, &Type)| if ty == Type::I32 { value as i32 as i64 as u64 } else { value };
        let extended = |values: Vec<u64>| values.into_iter().zip(&sig.results).map(word).collect();
        Self { end: self.end.map(extended).map_err(|_| None), ..self }
    }

    /// Compares the outcome on a machine with the interpreter's. Memory that the machine doesn't use is empty.
    ///
    /// # Panics
    /// If they differ; the message begins with `context`.
    pub fn assert_is(&self, expected: &Self, context: &str) {
        // Numbers are easier to compare in hexadecimal.
        let hex = |end: &Result<Vec<u64>, Option<u32>>| format!("{end:x?}");
        assert_eq!(hex(&self.end), hex(&expected.end), "{context}: results");
        assert_eq!(self.imports, expected.imports, "{context}: calls of imports");
        let differs = self.memory.iter().zip(&expected.memory).position(|(a, b)| a != b);
        assert_eq!(differs, None, "{context}: memory differs at this address");
    }
}

/// The outcome of a call in the interpreter; `None` if it exceeds the interpreter's limits.
///
/// # Panics
/// If the program uses an unspecified result.
pub fn interpreted(module: &Module, func: FuncId, args: &[u64]) -> Option<Outcome> {
    let mut imports = Vec::new();
    let mut host = testing::host(module);
    let mut recording = |memory: &mut Memory, func: FuncId, args: &[u64]| {
        imports.push((func, cut(module.signature_of(func), args)));
        host(memory, func, args)
    };
    let mut interpreter = Interpreter::new(module, Options::new(module));
    let end = match interpreter.call(func, args, &mut recording) {
        Ok(results) => Ok(results),
        Err(Stop::Trap(code)) => Err(Some(code.number())),
        Err(Stop::OutOfFuel | Stop::StackOverflow) => return None,
        Err(Stop::Unspecified(reason)) => panic!("{reason}"),
    };
    Some(Outcome { end, imports, memory: scratch(&interpreter) })
}

/// The part of linear memory that is compared.
fn scratch(interpreter: &Interpreter<'_>) -> Vec<u8> {
    interpreter.linear_memory().get(..SCRATCH_BYTES as usize).unwrap_or_default().to_vec()
}

/// Arguments, cut to the width of their types.
fn cut(sig: &Signature, args: &[u64]) -> Vec<u64> {
    let word = |(ty, &arg): (&Type, &u64)| if ty.bits() == 32 { u64::from(arg as u32) } else { arg };
    sig.params.iter().zip(args).map(word).collect()
}

/// The results of an import, the same on every machine: a function of the import and its arguments.
fn answer(module: &Module, import: FuncId, args: &[u64]) -> Vec<u64> {
    let mut memory = Interpreter::new(module, Options::new(module)).memory;
    testing::host(module)(&mut memory, import, args).expect("an import answers")
}
