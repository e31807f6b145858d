//! Replacing the instructions that cores without the main extension lack, over virtual registers.
//!
//! Such a core has 16-bit forms of most instructions, and few others. Compared with what selection uses:
//!
//! - Most operations have no constants, or only 8 bits, so a constant is loaded first.
//! - Operands can't be shifted, and bit fields don't exist; shifts of their own take the place of both.
//! - Most results must be in the register of the first source ([`Inst::Tied`]).
//! - Offsets of loads and stores have 5 bits, times the width, and are positive.
//!
//! Long constants of a block are loaded once. Termination: a replacement consists of instructions that the core has,
//! except that [`Narrow::machine`] calls itself for an instruction that is closer to one.

use std::collections::BTreeMap;

use codegen::{Control, Function, RegClass, StackSlot, VReg, VRegData};
use ssa::IdVec;
use thumb_isa::{Cond, Opcode, Shift};

use crate::isa::Thumb;
use crate::isa::condition::{Compare, Src, Test, Word};
use crate::isa::inst::{Inst, Machine, PairOp, alu_imm, alu_reg, shift_imm};

/// The largest constant of most instructions.
const BYTE: u32 = 0xff;

/// Replaces the instructions of a function.
pub fn legalize(func: &mut Function<Thumb, VReg>) {
    let Function { blocks, vregs, .. } = func;
    for block in blocks.values_mut() {
        let mut narrow = Narrow { vregs, out: Vec::new(), constants: BTreeMap::new() };
        block.insts.rewrite(|inst, out| {
            narrow.instruction(inst);
            out.append(&mut narrow.out);
        });
        if let Control::Branch { inst: Inst::Branch(test), .. } = &mut block.control {
            *test = narrow.test(*test);
            let before = std::mem::take(&mut narrow.out);
            block.insts.extend(before, block.control_loc);
        }
    }
}

/// The replacement of instructions of one block.
struct Narrow<'a> {
    vregs: &'a mut IdVec<VReg, VRegData>,
    out: Vec<Inst<VReg>>,
    /// Registers with long constants.
    constants: BTreeMap<u32, VReg>,
}

impl Narrow<'_> {
    fn temp(&mut self) -> VReg {
        self.vregs.push(VRegData { class: RegClass::Int, rematerializable: false })
    }

    fn constant(&mut self, value: u32) -> VReg {
        if let Some(&known) = self.constants.get(&value) {
            return known;
        }
        let dst = self.vregs.push(VRegData { class: RegClass::Int, rematerializable: true });
        self.out.push(Inst::Const { dst, value });
        if value > BYTE {
            self.constants.insert(value, dst);
        }
        dst
    }

    fn instruction(&mut self, inst: Inst<VReg>) {
        match inst {
            Inst::Plain(machine) => self.machine(machine),
            Inst::FromBase { dst, src: None, offset } if offset != 0 => {
                let base = self.temp();
                self.out.push(Inst::FromBase { dst: base, src: None, offset: 0 });
                self.add(dst, base, offset as u32);
            }
            Inst::LoadSlot { op, dst: data, slot } | Inst::StoreSlot { op, src: data, slot }
                if !is_word_of_stack(op, slot) =>
            {
                let address = self.temp();
                self.out.push(Inst::SlotAddr { dst: address, slot, base: None });
                self.machine(Machine::mem(op, data, address, 0));
            }
            Inst::Pair { op, dst, a, b } => self.pair(op, dst, a, b),
            Inst::PairNeg { dst, src } => {
                let zeros = [(); 2].map(|()| self.constant(0));
                self.pair(PairOp::Sub, dst, zeros, src.map(Src::Reg));
            }
            Inst::PairHalve { signed, dst, src } => self.halve(signed, dst, src),
            Inst::Select { test, dst, if_true, if_false } => {
                let test = self.test(test);
                let [if_true, if_false] = [if_true, if_false].map(|src| self.byte_src(src));
                self.out.push(Inst::Select { test, dst, if_true, if_false });
            }
            Inst::SelectPair { test, dst, if_true, if_false } => {
                let test = self.test(test);
                let [if_true, if_false] = [if_true, if_false].map(|srcs| srcs.map(|src| self.byte_src(src)));
                self.out.push(Inst::SelectPair { test, dst, if_true, if_false });
            }
            other => self.out.push(other),
        }
    }

    fn machine(&mut self, machine: Machine<VReg>) {
        match machine {
            Machine::AluImm { op, rd, rn, imm, .. } => self.with_constant(op, rd, rn, imm),
            Machine::AddPlain { op: Opcode::Addw, rd, rn, imm } => self.add(rd, rn, imm),
            Machine::AddPlain { rd, rn, imm, .. } => self.add(rd, rn, imm.wrapping_neg()),
            Machine::AluReg { op, rd, rn, rm, shift, .. } => self.with_register(op, rd, rn, rm, shift),
            Machine::MovShifted { op, rd, rm, shift, .. } if shift != Shift::NONE => {
                let shifted = self.shifted(rm, shift);
                self.machine(Machine::mov_shifted(op, false, rd, shifted, Shift::NONE));
            }
            Machine::ShiftImm { op: Opcode::RorImm, rd, rm, amount, .. } => {
                let count = self.constant(amount);
                self.out.push(Inst::Tied(Machine::reg3_s(Opcode::RorReg, false, rd, rm, count)));
            }
            Machine::Reg3S { .. } => self.out.push(Inst::Tied(machine)),
            Machine::Reg4 { op: op @ (Opcode::Mla | Opcode::Mls), rd, rn, rm, ra } => {
                let product = self.temp();
                self.machine(Machine::reg3_s(Opcode::Mul, false, product, rn, rm));
                let op = if op == Opcode::Mla { Opcode::AddReg } else { Opcode::SubReg };
                self.out.push(alu_reg(op, rd, ra, product, Shift::NONE));
            }
            Machine::BitField { op, rd, rn, low, width } => {
                let top = self.temp();
                let (low, width) = (u32::from(low), u32::from(width));
                self.shift(Opcode::LslImm, top, rn, 32 - low - width);
                let right = if op == Opcode::Sbfx { Opcode::AsrImm } else { Opcode::LsrImm };
                self.shift(right, rd, top, 32 - width);
            }
            Machine::Mem { op, rt, rn, offset } => self.access(op, rt, rn, offset),
            Machine::Dual { op, rt, rt2, rn, offset } => {
                let op = if op == Opcode::Ldrd { Opcode::Ldr } else { Opcode::Str };
                self.access(op, rt, rn, offset);
                self.access(op, rt2, rn, offset + 4);
            }
            other => self.out.push(Inst::Plain(other)),
        }
    }

    // ---- Arithmetic ----

    /// `rd = rn op imm`.
    fn with_constant(&mut self, op: Opcode, rd: VReg, rn: VReg, imm: u32) {
        let (op, imm) = match op {
            Opcode::AddImm => return self.add(rd, rn, imm),
            Opcode::SubImm => return self.add(rd, rn, imm.wrapping_neg()),
            Opcode::RsbImm if imm == 0 => return self.out.push(alu_imm(op, rd, rn, 0)),
            Opcode::RsbImm => {
                let from = self.constant(imm);
                return self.out.push(alu_reg(Opcode::SubReg, rd, from, rn, Shift::NONE));
            }
            Opcode::AndImm => return self.and(rd, rn, imm),
            Opcode::BicImm => return self.and(rd, rn, !imm),
            Opcode::OrrImm => (Opcode::OrrReg, imm),
            Opcode::OrnImm => (Opcode::OrrReg, !imm),
            Opcode::EorImm => (Opcode::EorReg, imm),
            other => panic!("selection makes no `{other}` with a constant"),
        };
        let other = self.constant(imm);
        self.with_register(op, rd, rn, other, Shift::NONE);
    }

    /// `rd = rn + imm`.
    fn add(&mut self, rd: VReg, rn: VReg, imm: u32) {
        let is_negative = (imm as i32) < 0;
        let magnitude = (imm as i32).unsigned_abs();
        let (op, with_register) = match is_negative {
            true => (Opcode::SubImm, Opcode::SubReg),
            false => (Opcode::AddImm, Opcode::AddReg),
        };
        if magnitude < 8 {
            self.out.push(alu_imm(op, rd, rn, magnitude));
        } else if magnitude <= BYTE {
            self.out.push(Inst::Tied(Machine::alu_imm(op, false, rd, rn, magnitude)));
        } else {
            let other = self.constant(magnitude);
            self.out.push(alu_reg(with_register, rd, rn, other, Shift::NONE));
        }
    }

    /// `rd = rn & imm`: by an extension, by two shifts if a run of bits at an end remains, or by a mask or its complement.
    fn and(&mut self, rd: VReg, rn: VReg, imm: u32) {
        let is_low_run = imm != 0 && imm & imm.wrapping_add(1) == 0;
        let is_high_run = !imm & (!imm).wrapping_add(1) == 0;
        match imm {
            0xff => self.out.push(Inst::Plain(Machine::extend(Opcode::Uxtb, rd, rn, 0))),
            0xffff => self.out.push(Inst::Plain(Machine::extend(Opcode::Uxth, rd, rn, 0))),
            _ if imm <= BYTE => self.masked(Opcode::AndReg, rd, rn, imm),
            _ if !imm <= BYTE => self.masked(Opcode::BicReg, rd, rn, !imm),
            _ if is_low_run || is_high_run => {
                let count = if is_low_run { imm.leading_zeros() } else { imm.trailing_zeros() };
                let (out, back) = match is_low_run {
                    true => (Opcode::LslImm, Opcode::LsrImm),
                    false => (Opcode::LsrImm, Opcode::LslImm),
                };
                let shifted = self.temp();
                self.shift(out, shifted, rn, count);
                self.shift(back, rd, shifted, count);
            }
            _ => self.masked(Opcode::AndReg, rd, rn, imm),
        }
    }

    fn masked(&mut self, op: Opcode, rd: VReg, rn: VReg, imm: u32) {
        let mask = self.constant(imm);
        self.with_register(op, rd, rn, mask, Shift::NONE);
    }

    /// `rd = rm` shifted; a count of 0 copies.
    fn shift(&mut self, op: Opcode, rd: VReg, rm: VReg, count: u32) {
        self.out.push(if count == 0 { Inst::copy(rd, rm) } else { shift_imm(op, rd, rm, count) });
    }

    /// The register with a shifted operand.
    fn shifted(&mut self, rm: VReg, shift: Shift) -> VReg {
        let (op, count) = match shift {
            Shift::NONE => return rm,
            Shift::Lsl(count) => (Opcode::LslImm, count),
            Shift::Lsr(count) => (Opcode::LsrImm, count),
            Shift::Asr(count) => (Opcode::AsrImm, count),
            Shift::Ror(count) => (Opcode::RorImm, count),
            other => panic!("selection makes no operand with {other:?}"),
        };
        let shifted = self.temp();
        self.machine(Machine::shift_imm(op, false, shifted, rm, u32::from(count)));
        shifted
    }

    /// `rd = rn op rm`, with `rm` shifted.
    fn with_register(&mut self, op: Opcode, rd: VReg, rn: VReg, rm: VReg, shift: Shift) {
        let rm = self.shifted(rm, shift);
        let (rn, rm) = if op == Opcode::RsbReg { (rm, rn) } else { (rn, rm) };
        match op {
            Opcode::AddReg => self.out.push(alu_reg(op, rd, rn, rm, Shift::NONE)),
            Opcode::SubReg | Opcode::RsbReg => {
                self.out.push(alu_reg(Opcode::SubReg, rd, rn, rm, Shift::NONE));
            }
            Opcode::OrnReg => {
                let inverted = self.temp();
                let inst = Machine::mov_shifted(Opcode::MvnReg, false, inverted, rm, Shift::NONE);
                self.out.push(Inst::Plain(inst));
                self.with_register(Opcode::OrrReg, rd, rn, inverted, Shift::NONE);
            }
            _ => self.out.push(Inst::Tied(Machine::alu_reg(op, false, rd, rn, rm, Shift::NONE))),
        }
    }

    fn pair(&mut self, op: PairOp, dst: [VReg; 2], a: [VReg; 2], b: [Src<VReg>; 2]) {
        let low = self.byte_src(b[0]);
        let high = match b[1] {
            Src::Imm(imm) => Src::Reg(self.constant(imm)),
            reg => reg,
        };
        self.out.push(Inst::TiedPair { op, dst, a, b: [low, high] });
    }

    /// Two words shifted right by one.
    fn halve(&mut self, signed: bool, dst: [VReg; 2], src: [VReg; 2]) {
        let [low, carried] = [(); 2].map(|()| self.temp());
        self.shift(Opcode::LsrImm, low, src[0], 1);
        self.shift(Opcode::LslImm, carried, src[1], 31);
        self.with_register(Opcode::OrrReg, dst[0], low, carried, Shift::NONE);
        self.shift(if signed { Opcode::AsrImm } else { Opcode::LsrImm }, dst[1], src[1], 1);
    }

    // ---- Tests ----

    fn byte_src(&mut self, src: Src<VReg>) -> Src<VReg> {
        match src {
            Src::Imm(imm) if imm > BYTE => Src::Reg(self.constant(imm)),
            other => other,
        }
    }

    fn test(&mut self, test: Test<VReg>) -> Test<VReg> {
        let compare = match test.compare {
            Compare::Word(Word::Imm { op: Opcode::TstImm, a, imm }) => {
                if let Some(test) = self.bits_test(test.cond, a, imm) {
                    return test;
                }
                Compare::Word(self.word(Word::Imm { op: Opcode::TstImm, a, imm }))
            }
            Compare::Word(word) => Compare::Word(self.word(word)),
            Compare::Chain { first, run, second } => {
                let (first, second) = (self.word(first), self.word(second));
                Compare::Chain { first, run, second }
            }
            Compare::Pair { a, b } if matches!(test.cond, Cond::Eq | Cond::Ne) => {
                Compare::Pair { a, b: b.map(|src| self.byte_src(src)) }
            }
            Compare::Pair { a, b: [low, high] } => {
                let low = self.byte_src(low);
                let high = match high {
                    Src::Imm(imm) => Src::Reg(self.constant(imm)),
                    reg => reg,
                };
                Compare::Pair { a, b: [low, high] }
            }
            other => other,
        };
        Test { cond: test.cond, compare }
    }

    /// A test of one bit or of low bits against zero: they are shifted to the top.
    fn bits_test(&mut self, cond: Cond, a: VReg, imm: u32) -> Option<Test<VReg>> {
        let is_low_run = imm & imm.wrapping_add(1) == 0;
        let cond = match cond {
            Cond::Eq | Cond::Ne if is_low_run => cond,
            Cond::Eq if imm.is_power_of_two() => Cond::Pl,
            Cond::Ne if imm.is_power_of_two() => Cond::Mi,
            _ => return None,
        };
        let top = self.temp();
        self.shift(Opcode::LslImm, top, a, imm.leading_zeros());
        Some(Test { cond, compare: Compare::imm(Opcode::CmpImm, top, 0) })
    }

    fn word(&mut self, word: Word<VReg>) -> Word<VReg> {
        match word {
            Word::Imm { op: Opcode::CmpImm, imm, .. } if imm <= BYTE => word,
            Word::Imm { op, a, imm } => {
                let b = self.constant(imm);
                self.word(Word::Reg { op: on_registers(op), a, b, shift: Shift::NONE })
            }
            Word::Reg { op, a, b, shift } => {
                assert!(op != Opcode::TeqReg, "selection compares by `cmp`, `cmn` and `tst`");
                Word::Reg { op, a, b: self.shifted(b, shift), shift: Shift::NONE }
            }
        }
    }

    // ---- Memory ----

    /// A load or store of a word or less.
    fn access(&mut self, op: Opcode, rt: VReg, rn: VReg, offset: i32) {
        // Loads with sign have no constant offset.
        if let Some((op, extension)) = unsigned(op) {
            let loaded = self.temp();
            self.access(op, loaded, rn, offset);
            self.out.push(Inst::Plain(Machine::extend(extension, rt, loaded, 0)));
            return;
        }
        let step = width(op);
        if (0..32 * step).contains(&offset) && offset % step == 0 {
            self.out.push(Inst::Plain(Machine::mem(op, rt, rn, offset)));
            return;
        }
        let low = if offset < 0 { 0 } else { offset & (32 * step - 1) & -step };
        let address = self.temp();
        self.add(address, rn, offset.wrapping_sub(low) as u32);
        self.out.push(Inst::Plain(Machine::mem(op, rt, address, low)));
    }
}

/// Whether an access to a slot has a form: those of words at multiples of 4.
fn is_word_of_stack(op: Opcode, slot: StackSlot) -> bool {
    let is_aligned = match slot {
        StackSlot::Object { offset, .. } => offset % 4 == 0,
        _ => true,
    };
    is_aligned && matches!(op, Opcode::Ldr | Opcode::Str)
}

/// The comparison of registers for one with a constant.
fn on_registers(op: Opcode) -> Opcode {
    match op {
        Opcode::CmpImm => Opcode::CmpReg,
        Opcode::CmnImm => Opcode::CmnReg,
        Opcode::TstImm => Opcode::TstReg,
        other => panic!("selection makes no `{other}` with a constant"),
    }
}

/// The load without sign for one with sign, and the extension that follows it.
const fn unsigned(op: Opcode) -> Option<(Opcode, Opcode)> {
    match op {
        Opcode::Ldrsb => Some((Opcode::Ldrb, Opcode::Sxtb)),
        Opcode::Ldrsh => Some((Opcode::Ldrh, Opcode::Sxth)),
        _ => None,
    }
}

/// The width of an access in bytes.
fn width(op: Opcode) -> i32 {
    match op {
        Opcode::Ldrb | Opcode::Strb => 1,
        Opcode::Ldrh | Opcode::Strh => 2,
        Opcode::Ldr | Opcode::Str => 4,
        other => panic!("selection makes no `{other}` here"),
    }
}
