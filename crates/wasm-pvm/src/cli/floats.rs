//! What `info` says about floats in a program: the functions that float operators call, and who calls them.
//!
//! The functions are found by their names in the metadata, their callers by the targets of jumps. Operators that are
//! inlined, such as comparisons, leave no trace in a program.

use std::collections::{BTreeMap, BTreeSet};

use pvm_isa::metadata::FunctionName;
use pvm_isa::table::Flow;
use pvm_isa::{GpVersion, ProgramBlob, gas};
use runtime::float::routines::Routine;
use serde_json::{Value, json};

/// A function that float operators call.
pub struct FloatFunction {
    name: String,
    /// Bytes of code.
    bytes: u32,
    /// Gas from its beginning to its end if no branch is taken: the usual case.
    gas: u32,
    /// Names of the functions that call it.
    callers: BTreeSet<String>,
}

/// The float functions of a program, in order of position. `functions` are all named ones, in that order.
pub fn functions(blob: &ProgramBlob, gp: GpVersion, functions: &[FunctionName]) -> Vec<FloatFunction> {
    let symbols: BTreeSet<String> = Routine::all().map(Routine::symbol).collect();
    let mut found: BTreeMap<u32, FloatFunction> = BTreeMap::new();
    for (index, FunctionName { pc, name }) in functions.iter().enumerate() {
        if symbols.contains(name) {
            let end = functions.get(index + 1).map_or(blob.code.len() as u32, |next| next.pc);
            let gas = usual_gas(blob, gp, *pc);
            let function =
                FloatFunction { name: name.clone(), bytes: end - pc, gas, callers: BTreeSet::new() };
            found.insert(*pc, function);
        }
    }
    for (pc, inst) in blob.instructions(gp) {
        let target = inst.inst.target(pc).and_then(|target| u32::try_from(target).ok());
        if let Some(function) = target.and_then(|target| found.get_mut(&target)) {
            let caller = functions.iter().rev().find(|caller| caller.pc <= pc);
            function.callers.extend(caller.map(|caller| caller.name.clone()));
        }
    }
    found.into_values().collect()
}

/// Gas of the blocks from `start` on, one after the other, up to one that the next can't follow.
fn usual_gas(blob: &ProgramBlob, gp: GpVersion, start: u32) -> u32 {
    let mut total = gas::block_cost_at(gp, blob, start);
    for (pc, inst) in blob.instructions_from(gp, start) {
        match inst.inst.op().flow() {
            Flow::Next => {}
            Flow::Branch | Flow::Fallthrough => total += gas::block_cost_at(gp, blob, pc + inst.len),
            Flow::Jump | Flow::Trap | Flow::Indirect => break,
        }
    }
    total
}

/// The functions as lines.
pub fn text(functions: &[FloatFunction]) -> String {
    let line = |FloatFunction { name, bytes, gas, callers }: &FloatFunction| {
        const MOST: usize = 4;
        let names: Vec<&str> = callers.iter().map(String::as_str).take(MOST).collect();
        let others = match callers.len().saturating_sub(MOST) {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        format!("float function {name}: {bytes} bytes, {gas} gas, called by {}{others}\n", names.join(", "))
    };
    functions.iter().map(line).collect()
}

/// The functions as objects.
pub fn json(functions: &[FloatFunction]) -> Value {
    let object = |function: &FloatFunction| {
        json!({
            "name": function.name,
            "bytes": function.bytes,
            "gas": function.gas,
            "callers": function.callers,
        })
    };
    functions.iter().map(object).collect()
}
