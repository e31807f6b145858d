//! Functions by which the host handles the stack pointer.
//!
//! Toolchains export functions that return the pointer or move it: hosts make room on the stack with them for results and
//! strings. Such a function works on the pointer that the module declares, and the stack below stays in memory
//! for the host. That is right because nothing else depends on this pointer: all functions that can be reached restore
//! it, and the program itself doesn't call this one.
//!
//! A function is such a *handle* if it only computes: it accesses no memory, calls nothing, and sets no other global.

use wasmparser::Operator;

use super::flow::Subject;
use super::operators::{is_comparison, is_numeric};

/// Whether a function only computes with the stack pointer. Malformed code does not.
pub fn is_handle(subject: &Subject<'_>, function: u32) -> bool {
    let Ok(reader) = subject.info.body(subject.wasm, function).get_operators_reader() else { return false };
    reader.into_iter().all(|op| op.is_ok_and(|op| computes(&op, subject.global)))
}

/// Whether an operator only computes, or accesses the stack pointer.
fn computes(op: &Operator<'_>, pointer: u32) -> bool {
    use Operator as Op;
    match *op {
        Op::GlobalSet { global_index } => global_index == pointer,
        Op::GlobalGet { .. }
        | Op::LocalGet { .. }
        | Op::LocalSet { .. }
        | Op::LocalTee { .. }
        | Op::I32Const { .. }
        | Op::I32Add
        | Op::I32Sub
        | Op::I32And
        | Op::I32Or
        | Op::I32Xor
        | Op::I32Shl
        | Op::I32Mul
        | Op::Select
        | Op::Drop
        | Op::Nop
        | Op::Block { .. }
        | Op::If { .. }
        | Op::Else
        | Op::Br { .. }
        | Op::BrIf { .. }
        | Op::Return
        | Op::Unreachable
        | Op::End => true,
        _ => is_comparison(op) || is_numeric(op),
    }
}
