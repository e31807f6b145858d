//! Loads and stores.
//!
//! The cores load and store words and half-words at any address. Instructions that transfer two words at once, and
//! those of the floating-point unit, need an address that is a multiple of 4. If that is not known, two words are
//! transferred one by one, and floats go through core registers.

use codegen::{StackSlot, VReg};
use ssa::{Addr, MemFlags, MemType, Type, Value};
use thumb_isa::{Format, Opcode};

use super::address::{self, Mem, Reach};
use super::{Cx, half, is_in_core, reg, source, temp};
use crate::isa::inst::{Inst, Machine, is_load, shift_imm};

/// The opcode that loads a word or less.
const fn load_opcode(mem: MemType) -> Opcode {
    match mem {
        MemType::U8 => Opcode::Ldrb,
        MemType::S8 => Opcode::Ldrsb,
        MemType::U16 => Opcode::Ldrh,
        MemType::S16 => Opcode::Ldrsh,
        _ => Opcode::Ldr,
    }
}

/// The opcode that stores a word or less.
const fn store_opcode(mem: MemType) -> Opcode {
    match mem.bytes() {
        1 => Opcode::Strb,
        2 => Opcode::Strh,
        _ => Opcode::Str,
    }
}

/// Whether the machine may treat the access as aligned to words.
const fn is_word_aligned(flags: MemFlags) -> bool {
    flags.align_log2 >= 2
}

/// The offsets of an access to a word or less.
fn reach(cx: &Cx<'_>, mem: MemType) -> Reach {
    if cx.target.cpu.has_main() { Reach::WORD } else { Reach::narrow(mem.bytes()) }
}

/// Selects a load.
pub fn load(cx: &mut Cx<'_>, result: Value, mem: MemType, addr: &Addr, flags: MemFlags) {
    let ty = cx.ty(result);
    if !is_in_core(cx, ty) {
        return load_float(cx, result, ty, addr, flags);
    }
    if mem.bytes() == 8 {
        let dst = cx.def_regs(result).pair();
        return load_words(cx, dst, addr, flags);
    }
    let low = match ty.bits() {
        32 => cx.def_reg(result),
        _ => cx.def_regs(result).pair()[0],
    };
    let reach = reach(cx, mem);
    let at = address::operand(cx, addr, reach);
    access(cx, load_opcode(mem), low, at);
    if ty.bits() == 64 {
        let high = cx.def_regs(result).pair()[1];
        match mem {
            MemType::S8 | MemType::S16 | MemType::S32 => cx.emit(shift_imm(Opcode::AsrImm, high, low, 31)),
            _ => cx.emit(Inst::Const { dst: high, value: 0 }),
        }
    }
}

fn load_words(cx: &mut Cx<'_>, dst: [VReg; 2], addr: &Addr, flags: MemFlags) {
    let at = two_words(cx, addr, flags);
    match at {
        Mem::Offset(base, offset)
            if is_word_aligned(flags) && Reach::DUAL.max >= offset && offset % 4 == 0 =>
        {
            cx.emit(Inst::Plain(Machine::dual(Opcode::Ldrd, dst[0], dst[1], base, offset)));
        }
        _ => {
            access(cx, Opcode::Ldr, dst[0], at);
            access(cx, Opcode::Ldr, dst[1], next_word(at));
        }
    }
}

/// The operand of an access to two words.
fn two_words(cx: &mut Cx<'_>, addr: &Addr, flags: MemFlags) -> Mem {
    let reach = match (cx.target.cpu.has_main(), is_word_aligned(flags)) {
        (false, _) => Reach::NARROW_WORDS,
        (true, true) => Reach::DUAL,
        (true, false) => Reach::TWO_WORDS,
    };
    address::operand(cx, addr, reach)
}

fn next_word(at: Mem) -> Mem {
    match at {
        Mem::Offset(base, offset) => Mem::Offset(base, offset + 4),
        Mem::BaseOffset(offset) => Mem::BaseOffset(offset + 4),
        Mem::Slot(StackSlot::Object { slot, offset }) => {
            Mem::Slot(StackSlot::Object { slot, offset: offset + 4 })
        }
        other => panic!("{other:?} is no operand of two words"),
    }
}

/// Appends one load or store; `op` is the opcode for an address with a constant.
fn access(cx: &mut Cx<'_>, op: Opcode, rt: VReg, at: Mem) {
    let indexed = || op.in_format(Format::MemReg).expect("the reach of the access allows two registers");
    cx.emit(match at {
        Mem::Offset(base, offset) => Inst::Plain(Machine::mem(op, rt, base, offset)),
        Mem::Index(base, index, scale) => Inst::Plain(Machine::mem_reg(indexed(), rt, base, index, scale)),
        Mem::BaseIndex(index) => Inst::BaseAccess { op: indexed(), rt, index },
        Mem::BaseOffset(offset) => Inst::BaseOffset { op, rt, offset },
        Mem::Slot(slot) if is_load(op) => Inst::LoadSlot { op, dst: rt, slot },
        Mem::Slot(slot) => Inst::StoreSlot { op, src: rt, slot },
    });
}

/// Selects a store.
pub fn store(cx: &mut Cx<'_>, mem: MemType, addr: &Addr, value: Value, flags: MemFlags) {
    let ty = cx.ty(value);
    if !is_in_core(cx, ty) {
        return store_float(cx, ty, addr, value, flags);
    }
    if mem.bytes() == 8 {
        let words = super::words(cx, value);
        let at = two_words(cx, addr, flags);
        return store_words(cx, words, at, flags);
    }
    let datum = match ty.bits() {
        32 => narrowed(cx, mem, value),
        _ => half(cx, value, 0),
    };
    let datum = reg(cx, datum);
    let reach = reach(cx, mem);
    let at = address::operand(cx, addr, reach);
    access(cx, store_opcode(mem), datum, at);
}

fn store_words(cx: &mut Cx<'_>, words: [VReg; 2], at: Mem, flags: MemFlags) {
    match at {
        Mem::Offset(base, offset)
            if is_word_aligned(flags) && Reach::DUAL.max >= offset && offset % 4 == 0 =>
        {
            cx.emit(Inst::Plain(Machine::dual(Opcode::Strd, words[0], words[1], base, offset)));
        }
        _ => {
            access(cx, Opcode::Str, words[0], at);
            access(cx, Opcode::Str, words[1], next_word(at));
        }
    }
}

/// The word to store, without masks of bits that are not stored, and with short constants.
fn narrowed(cx: &Cx<'_>, mem: MemType, value: Value) -> super::WordSource {
    let bits = 8 * mem.bytes();
    let kept = if bits == 32 { u32::MAX } else { (1 << bits) - 1 };
    match source(cx, value) {
        super::WordSource::Imm(imm) => super::WordSource::Imm(imm & kept),
        other => match super::single_use_binary(cx, value, ssa::BinaryOp::And) {
            Some([inner, mask]) if source(cx, mask).imm().is_some_and(|mask| mask & kept == kept) => {
                source(cx, inner)
            }
            _ => other,
        },
    }
}

fn load_float(cx: &mut Cx<'_>, result: Value, ty: Type, addr: &Addr, flags: MemFlags) {
    let dst = cx.def_reg(result);
    if is_word_aligned(flags) {
        let op = if ty == Type::F32 { Opcode::VldrF32 } else { Opcode::VldrF64 };
        let at = address::operand(cx, addr, Reach::FLOAT);
        return access(cx, op, dst, at);
    }
    if ty == Type::F32 {
        let word = temp(cx);
        let at = address::operand(cx, addr, Reach::WORD);
        access(cx, Opcode::Ldr, word, at);
        cx.emit(Inst::Plain(Machine::reg2(Opcode::VmovToSingle, dst, word)));
    } else {
        let words = [(); 2].map(|()| temp(cx));
        load_words(cx, words, addr, flags);
        cx.emit(Inst::Plain(Machine::reg3(Opcode::VmovToDouble, dst, words[0], words[1])));
    }
}

fn store_float(cx: &mut Cx<'_>, ty: Type, addr: &Addr, value: Value, flags: MemFlags) {
    let src = cx.reg(value);
    if is_word_aligned(flags) {
        let op = if ty == Type::F32 { Opcode::VstrF32 } else { Opcode::VstrF64 };
        let at = address::operand(cx, addr, Reach::FLOAT);
        return access(cx, op, src, at);
    }
    if ty == Type::F32 {
        let word = temp(cx);
        cx.emit(Inst::Plain(Machine::reg2(Opcode::VmovFromSingle, word, src)));
        let at = address::operand(cx, addr, Reach::WORD);
        access(cx, Opcode::Str, word, at);
    } else {
        let words = [(); 2].map(|()| temp(cx));
        cx.emit(Inst::Plain(Machine::reg3(Opcode::VmovFromDouble, words[0], words[1], src)));
        let at = two_words(cx, addr, flags);
        store_words(cx, words, at, flags);
    }
}
