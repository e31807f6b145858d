//! Calls of exports with typed arguments, whatever the convention of their entries.
//!
//! Most exports are entered under the convention of calls inside of a program. An entry that takes argument bytes from a
//! host converts: the pointer in r7 becomes a wasm address, the result's wasm address becomes a pointer. A typed call undoes
//! these conversions before and after it, so the function gets its arguments and gives its results unchanged.

use pvm_isa::metadata::{HostResult, ResultConvention};

use crate::call::RawCall;
use crate::exit::MachineError;
use crate::machine::Machine;
use crate::value::{FunctionType, Value, ValueType, values, words};

/// Registers of results under the convention of hosts.
const HOST_RESULTS: usize = 2;

/// Prepares a call of the entry at `pc`.
pub fn prepare(
    machine: &mut Machine,
    pc: u32,
    ty: &FunctionType,
    args: &[Value],
    convention: Option<HostResult>,
    base: u32,
) -> Result<RawCall, MachineError> {
    let mut words = words(args);
    if convention.is_none() {
        let results = ty.results.iter().map(|ty| ty.words()).sum();
        return machine.enter_call(pc, &words, results);
    }
    if let Some(pointer) = words.first_mut() {
        *pointer = u64::from((*pointer as u32).wrapping_add(base));
    }
    if let Some(length) = words.get_mut(1) {
        *length &= u64::from(u32::MAX);
    }
    machine.enter_call(pc, &words, HOST_RESULTS)
}

/// The results of a call that halted.
pub fn finish(
    machine: &mut Machine,
    call: RawCall,
    ty: &FunctionType,
    convention: Option<HostResult>,
    base: u32,
    result: ResultConvention,
) -> Result<Vec<Value>, MachineError> {
    let words = machine.results_of(call)?;
    let Some(convention) = convention else { return Ok(values(&ty.results, &words)) };
    let (pointer, second) = (words[0], words[1]);
    let length = match result {
        ResultConvention::Length => second,
        ResultConvention::End => second.wrapping_sub(pointer),
    } as u32;
    let pointer = (pointer as u32).wrapping_sub(base);
    let word = |half: u32| u64::from(half);
    Ok(match convention {
        HostResult::None => Vec::new(),
        HostResult::Packed => vec![Value::of_words(ValueType::I64, &[word(pointer) | word(length) << 32])],
        HostResult::Pair => {
            let halves = [pointer, length].into_iter().zip(&ty.results);
            halves.map(|(half, &ty)| Value::of_words(ty, &[word(half)])).collect()
        }
    })
}
