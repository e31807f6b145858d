//! Loads and stores.

use pvm_isa::Opcode;
use ssa::{Addr, MemType, Type, Value};

use super::{Cx, address, any, constant};
use crate::isa::Inst;

/// Selects a load. An `i32` of four bytes is loaded in the form that its consumers need.
pub fn load(cx: &mut Cx<'_>, result: Value, mem: MemType, addr: &Addr, volatile: bool) {
    if !volatile && !cx.is_needed(result) {
        return;
    }
    let dst = cx.def_reg(result);
    let is_i32 = cx.ty(result) == Type::I32;
    let op = match mem {
        MemType::U8 => Opcode::LoadIndU8,
        MemType::S8 => Opcode::LoadIndI8,
        MemType::U16 => Opcode::LoadIndU16,
        MemType::S16 => Opcode::LoadIndI16,
        MemType::U32 | MemType::S32 if is_i32 && cx.facts.is_sext(result) => Opcode::LoadIndI32,
        MemType::U32 | MemType::S32 if is_i32 => Opcode::LoadIndU32,
        MemType::U32 | MemType::F32 => Opcode::LoadIndU32,
        MemType::S32 => Opcode::LoadIndI32,
        MemType::I64 | MemType::F64 => Opcode::LoadIndU64,
    };
    let mem = address::operand(cx, addr);
    cx.emit(Inst::Load { op, dst, mem });
}

/// Selects a store; a constant that fits an immediate needs no register.
pub fn store(cx: &mut Cx<'_>, mem: MemType, addr: &Addr, value: Value) {
    let op = match mem.bytes() {
        1 => Opcode::StoreIndU8,
        2 => Opcode::StoreIndU16,
        4 => Opcode::StoreIndU32,
        _ => Opcode::StoreIndU64,
    };
    let bits = 8 * mem.bytes();
    let stored = constant(cx, value).map(|value| value << (64 - bits) >> (64 - bits));
    let mem = address::operand(cx, addr);
    match stored.and_then(|value| i32::try_from(value).ok()).zip(op.constant_form()) {
        Some((value, op)) => cx.emit(Inst::StoreImm { op, value, mem }),
        None => {
            let src = any(cx, value);
            cx.emit(Inst::Store { op, src, mem });
        }
    }
}
