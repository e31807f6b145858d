//! Functions that return one of their arguments.
//!
//! `memcpy` and its relatives return the address they write to, and compilers go on with that result in place of the
//! address: they even restore the stack pointer from it. Whether a function returns an argument follows from its code.
//! Its results are the values in front of `return`, of branches to its end and of its end. Each has to be
//! - a parameter that the function never sets, or
//! - the result of a call of such a function, if the operands of the call are parameters and constants.
//!
//! Calls are resolved in rounds. A round that resolves none is the last one, and their number is limited.

use std::collections::BTreeSet;

use wasmparser::{BinaryReaderError, Operator};

use super::frame::unexpected;
use super::liveness::depths;
use crate::libcalls::Libcall;
use crate::module_info::{ModuleInfo, ValueType};

/// Calls in a row that are followed.
const MAX_ROUNDS: usize = 8;

/// A result of a function.
enum Exit {
    Param(u32),
    /// A call of a function; its operands are parameters or something else.
    Call(u32, Vec<Option<u32>>),
}

/// For each function the parameter that is its result.
pub fn returned(info: &ModuleInfo, wasm: &[u8], libcalls: &[Option<Libcall>]) -> Vec<Option<u32>> {
    let mut found: Vec<Option<u32>> = vec![None; info.functions.len()];
    let mut open = Vec::new();
    for function in info.imported_functions() as u32..info.functions.len() as u32 {
        if libcalls[function as usize].is_some_and(Libcall::returns_first_argument) {
            found[function as usize] = Some(0);
        } else if let Ok(Some(exits)) = exits(info, wasm, function) {
            open.push((function, exits));
        }
    }
    for _ in 0..MAX_ROUNDS {
        let before = open.len();
        open.retain(|(function, exits)| {
            let param = common(exits, &found);
            found[*function as usize] = param;
            param.is_none()
        });
        if open.len() == before {
            break;
        }
    }
    found
}

/// The parameter that all exits return.
fn common(exits: &[Exit], found: &[Option<u32>]) -> Option<u32> {
    let param = |exit: &Exit| match exit {
        Exit::Param(param) => Some(*param),
        Exit::Call(callee, operands) => operands[found[*callee as usize]? as usize],
    };
    let first = param(exits.first()?)?;
    exits.iter().all(|exit| param(exit) == Some(first)).then_some(first)
}

/// The results of a function with one result, if all of them are parameters or calls.
fn exits(info: &ModuleInfo, wasm: &[u8], function: u32) -> Result<Option<Vec<Exit>>, BinaryReaderError> {
    let ty = info.type_of(function);
    if ty.results != [ValueType::I32] || !ty.params.contains(&ValueType::I32) {
        return Ok(None);
    }
    let mut scan = Scan { info, params: ty.params.len() as u32, exits: Vec::new(), set: BTreeSet::new() };
    let mut recent: Vec<Operator<'_>> = Vec::new();
    let mut depth = 0;
    let mut reader = info.body(wasm, function).get_operators_reader()?;
    while !reader.eof() {
        let op = reader.read()?;
        match op {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
            Operator::End if depth > 0 => depth -= 1,
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                scan.set.insert(local_index);
            }
            _ => {}
        }
        if unexpected(&op).is_some() {
            return Ok(None);
        }
        let is_exit = matches!(
            op,
            Operator::Return | Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. }
        ) || matches!(op, Operator::End) && depth == 0 && reader.eof()
            || depths(&op).contains(&depth);
        if is_exit && !scan.exit(&recent, &op) {
            return Ok(None);
        }
        recent.push(op);
    }
    Ok(scan.is_unset().then_some(scan.exits))
}

struct Scan<'a> {
    info: &'a ModuleInfo,
    params: u32,
    exits: Vec<Exit>,
    /// Locals that are set.
    set: BTreeSet<u32>,
}

impl Scan<'_> {
    /// Notes the result at `op`, which leaves the function, from the operators before it. `false` if it is something else.
    fn exit(&mut self, before: &[Operator<'_>], op: &Operator<'_>) -> bool {
        let exit = match (op, before.last()) {
            (Operator::ReturnCall { function_index }, _) => self.call(*function_index, before),
            (Operator::Return | Operator::Br { .. } | Operator::End, Some(last)) => match *last {
                Operator::LocalGet { local_index } if local_index < self.params => {
                    Some(Exit::Param(local_index))
                }
                Operator::Call { function_index } => self.call(function_index, &before[..before.len() - 1]),
                // The end is not reached from here.
                Operator::Unreachable | Operator::Return | Operator::Br { .. }
                    if matches!(op, Operator::End) =>
                {
                    return true;
                }
                _ => None,
            },
            _ => None,
        };
        let is_known = exit.is_some();
        self.exits.extend(exit);
        is_known
    }

    /// A call whose operands are made by the operators before it.
    fn call(&self, callee: u32, before: &[Operator<'_>]) -> Option<Exit> {
        let params = self.info.type_of(callee).params.len();
        let operands = &before[before.len().checked_sub(params)?..];
        let operand = |op: &Operator<'_>| match *op {
            Operator::LocalGet { local_index } => Some((local_index < self.params).then_some(local_index)),
            Operator::I32Const { .. } | Operator::I64Const { .. } => Some(None),
            _ => None,
        };
        Some(Exit::Call(callee, operands.iter().map(operand).collect::<Option<_>>()?))
    }

    /// Whether no parameter that may be returned is set.
    fn is_unset(&self) -> bool {
        let is_unset = |param: &u32| !self.set.contains(param);
        self.exits.iter().all(|exit| match exit {
            Exit::Param(param) => is_unset(param),
            Exit::Call(_, operands) => operands.iter().flatten().all(is_unset),
        })
    }
}
