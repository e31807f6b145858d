//! Equivalence of narrowed instructions: a small model of the arithmetic instructions runs an instruction and the
//! result of [`Inst::narrowed`].

use crate::support::samples;
use thumb_isa::testing::Rng;
use thumb_isa::{Cond, Inst, Opcode, Reg, Shift, Width};

/// Registers and flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    regs: [u32; 16],
    n: bool,
    z: bool,
    c: bool,
    v: bool,
}

impl State {
    fn random(rng: &mut Rng) -> State {
        let regs = std::array::from_fn(|_| match rng.below(4) {
            0 => (rng.below(4) as u32).wrapping_sub(2),
            1 => 0x8000_0000_u32.wrapping_sub(rng.below(3) as u32),
            _ => rng.bits() as u32,
        });
        let mut flag = || rng.below(2) == 0;
        State { regs, n: flag(), z: flag(), c: flag(), v: flag() }
    }

    fn get(&self, reg: Reg) -> u32 {
        self.regs[usize::from(reg.index())]
    }

    /// The state after the instruction; `None` if the model doesn't cover it.
    fn after(&self, inst: &Inst) -> Option<State> {
        let outcome = self.run(inst)?;
        let mut next = *self;
        if let Some(rd) = outcome.rd {
            next.regs[usize::from(rd.index())] = outcome.value;
        }
        if outcome.sets_flags {
            (next.n, next.z) = (outcome.value >> 31 == 1, outcome.value == 0);
            next.c = outcome.carry.unwrap_or(self.c);
            next.v = outcome.overflow.unwrap_or(self.v);
        }
        Some(next)
    }

    fn run(&self, inst: &Inst) -> Option<Outcome> {
        match *inst {
            Inst::AluImm { op, s, rd, rn, imm } => {
                // Only a rotated constant sets the carry, not a byte or repeated bytes.
                let is_rotated = imm > 0xff && imm != imm.rotate_left(16);
                let carry = if is_rotated { imm >> 31 == 1 } else { self.c };
                Some(self.alu(op, self.get(rn), imm, carry)?.to(Some(rd), s))
            }
            Inst::AluReg { op, s, rd, rn, rm, shift } => {
                let (operand, carry) = self.shifted(rm, shift)?;
                Some(self.alu(op, self.get(rn), operand, carry)?.to(Some(rd), s))
            }
            Inst::CmpReg { op, rn, rm, shift } => {
                let (operand, carry) = self.shifted(rm, shift)?;
                Some(self.alu(op, self.get(rn), operand, carry)?.to(None, true))
            }
            Inst::AddPlain { op: Opcode::Addw, rd, rn, imm } => {
                Some(Outcome::of(self.get(rn).wrapping_add(imm)).to(Some(rd), false))
            }
            Inst::AddPlain { rd, rn, imm, .. } => {
                Some(Outcome::of(self.get(rn).wrapping_sub(imm)).to(Some(rd), false))
            }
            Inst::MovHalf { op: Opcode::Movw, rd, imm } => Some(Outcome::of(imm).to(Some(rd), false)),
            Inst::MovImm { op: Opcode::MovImm, s, rd, imm } if imm <= 0xff => {
                Some(Outcome::of(imm).to(Some(rd), s))
            }
            Inst::MovReg { op: Opcode::MovReg, s, rd, rm } => Some(Outcome::of(self.get(rm)).to(Some(rd), s)),
            Inst::MovShifted { s, rd, rm, shift: Shift::NONE, .. } => {
                Some(Outcome::of(!self.get(rm)).to(Some(rd), s))
            }
            Inst::ShiftImm { op, s, rd, rm, amount } => Some(shift(op, self.get(rm), amount).to(Some(rd), s)),
            Inst::Reg3S {
                op: op @ (Opcode::LslReg | Opcode::LsrReg | Opcode::AsrReg | Opcode::RorReg),
                s,
                rd,
                rn,
                rm,
            } => Some(self.shift_by_register(op, rn, rm).to(Some(rd), s)),
            Inst::Reg3S { op: Opcode::Mul, s, rd, rn, rm } => {
                Some(Outcome::of(self.get(rn).wrapping_mul(self.get(rm))).to(Some(rd), s))
            }
            Inst::Extend { .. } | Inst::BitField { .. } => self.extract(inst),
            _ => None,
        }
    }

    /// Bits of one register, extended.
    fn extract(&self, inst: &Inst) -> Option<Outcome> {
        match *inst {
            Inst::Extend { op, rd, rm, rotation } => {
                let value = self.get(rm).rotate_right(8 * u32::from(rotation));
                let value = match op {
                    Opcode::Uxtb => value & 0xff,
                    Opcode::Uxth => value & 0xffff,
                    Opcode::Sxtb => value as i8 as u32,
                    Opcode::Sxth => value as i16 as u32,
                    _ => return None,
                };
                Some(Outcome::of(value).to(Some(rd), false))
            }
            Inst::BitField { op, rd, rn, low, width } => {
                let unused = 32 - u32::from(width);
                let top = self.get(rn) << (unused - u32::from(low));
                let value = match op {
                    Opcode::Ubfx => top >> unused,
                    Opcode::Sbfx => (top as i32 >> unused) as u32,
                    _ => return None,
                };
                Some(Outcome::of(value).to(Some(rd), false))
            }
            _ => None,
        }
    }

    /// The amount is the low byte.
    fn shift_by_register(&self, op: Opcode, rn: Reg, rm: Reg) -> Outcome {
        let (value, amount) = (self.get(rn), self.get(rm) & 0xff);
        if amount == 0 {
            return Outcome { carry: Some(self.c), ..Outcome::of(value) };
        }
        match op {
            Opcode::LslReg => shift(Opcode::LslImm, value, amount.min(33)),
            Opcode::LsrReg => shift(Opcode::LsrImm, value, amount.min(33)),
            Opcode::AsrReg => shift(Opcode::AsrImm, value, amount.min(33)),
            _ => {
                let rotated = value.rotate_right(amount % 32);
                Outcome { carry: Some(rotated >> 31 == 1), ..Outcome::of(rotated) }
            }
        }
    }

    fn shifted(&self, rm: Reg, shift: Shift) -> Option<(u32, bool)> {
        (shift == Shift::NONE).then(|| (self.get(rm), self.c))
    }

    fn alu(&self, op: Opcode, a: u32, b: u32, carry: bool) -> Option<Outcome> {
        use Opcode::*;
        let logic = |value| Some(Outcome { carry: Some(carry), ..Outcome::of(value) });
        match op {
            AndImm | AndReg | TstReg => logic(a & b),
            OrrImm | OrrReg => logic(a | b),
            EorImm | EorReg | TeqReg => logic(a ^ b),
            BicImm | BicReg => logic(a & !b),
            OrnImm | OrnReg => logic(a | !b),
            AddImm | AddReg | CmnReg => Some(sum(a, b, false)),
            AdcImm | AdcReg => Some(sum(a, b, self.c)),
            SubImm | SubReg | CmpReg => Some(sum(a, !b, true)),
            SbcImm | SbcReg => Some(sum(a, !b, self.c)),
            RsbImm | RsbReg => Some(sum(!a, b, true)),
            _ => None,
        }
    }
}

/// The result of an instruction. A flag that is `None` keeps its value.
struct Outcome {
    rd: Option<Reg>,
    value: u32,
    sets_flags: bool,
    carry: Option<bool>,
    overflow: Option<bool>,
}

impl Outcome {
    fn of(value: u32) -> Outcome {
        Outcome { rd: None, value, sets_flags: false, carry: None, overflow: None }
    }

    fn to(self, rd: Option<Reg>, sets_flags: bool) -> Outcome {
        Outcome { rd, sets_flags, ..self }
    }
}

/// `AddWithCarry` of the architecture manual.
fn sum(a: u32, b: u32, carry: bool) -> Outcome {
    let unsigned = u64::from(a) + u64::from(b) + u64::from(carry);
    let signed = i64::from(a as i32) + i64::from(b as i32) + i64::from(carry);
    let value = unsigned as u32;
    let overflow = i64::from(value as i32) != signed;
    Outcome { carry: Some(u64::from(value) != unsigned), overflow: Some(overflow), ..Outcome::of(value) }
}

/// A shift by 1 to 33; the carry is the last bit shifted out.
fn shift(op: Opcode, value: u32, amount: u32) -> Outcome {
    let (wide, signed) = (u64::from(value), i64::from(value as i32));
    let (result, carry) = match op {
        Opcode::LslImm => (wide << amount, wide << amount >> 32),
        Opcode::LsrImm => (wide >> amount, wide >> (amount - 1)),
        Opcode::AsrImm => ((signed >> amount) as u64, (signed >> (amount - 1)) as u64),
        _ => {
            let rotated = value.rotate_right(amount);
            (u64::from(rotated), u64::from(rotated >> 31))
        }
    };
    Outcome { carry: Some(carry & 1 == 1), ..Outcome::of(result as u32) }
}

/// Random instructions, and all special cases that narrow to another opcode.
fn instructions() -> Vec<(Inst, Option<Cond>)> {
    let mut found: Vec<_> = samples(200, 5).into_iter().map(|sample| (sample.inst, sample.it)).collect();
    let (low, high) = (Reg::r(1), Reg::r(9));
    for it in [None, Some(Cond::Eq)] {
        for (rd, rn) in
            [(low, Reg::r(2)), (low, low), (high, low), (low, high), (low, Reg::SP), (Reg::SP, Reg::SP)]
        {
            let sums = [Opcode::Addw, Opcode::Subw]
                .map(|op| (0..300).map(move |imm| Inst::add_plain(op, rd, rn, imm)));
            found.extend(sums.into_iter().flatten().map(|inst| (inst, it)));
        }
        for rn in [low, high] {
            let masks = [(Opcode::AndImm, 0xff), (Opcode::EorImm, u32::MAX)];
            let masked = masks.map(|(op, imm)| [false, true].map(|s| Inst::alu_imm(op, s, low, rn, imm)));
            let halves = (0..300).map(|imm| Inst::mov_half(Opcode::Movw, rn, imm));
            let fields = (0..32).flat_map(|at| (1..=32 - at).map(move |width| (at, width)));
            let extracts = [Opcode::Ubfx, Opcode::Sbfx]
                .map(|op| fields.clone().map(move |(at, width)| Inst::bit_field(op, low, rn, at, width)));
            let all = masked.into_iter().flatten().chain(halves).chain(extracts.into_iter().flatten());
            found.extend(all.map(|inst| (inst, it)));
        }
    }
    found
}

#[test]
fn short_forms_compute_the_same() {
    let mut rng = Rng::new(5);
    let mut checked = 0;
    for (inst, it) in instructions() {
        for flags_dead in [false, true] {
            let Some(narrowed) = inst.narrowed(flags_dead, it) else { continue };
            assert!(narrowed.form(Width::Narrow, it).is_some(), "{} -> {narrowed}", inst);
            if narrowed == inst {
                continue;
            }
            for _ in 0..8 {
                let before = State::random(&mut rng);
                let states = (before.after(&inst), before.after(&narrowed));
                let (Some(expected), Some(after)) = states else {
                    panic!("the model lacks {} or {narrowed}", inst)
                };
                assert_eq!(expected.regs, after.regs, "{} -> {narrowed} at {before:?}", inst);
                if !flags_dead {
                    assert_eq!(expected, after, "{} -> {narrowed} at {before:?}", inst);
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 10_000, "only {checked} runs");
}

#[test]
fn flags_decide() {
    let r = Reg::r;
    let it = Some(Cond::Eq);
    let add = Inst::alu_reg(Opcode::AddReg, false, r(0), r(1), r(2), Shift::NONE);
    assert_eq!(add.narrowed(false, None), None);
    assert_eq!(add.narrowed(true, None), Some(add.with_flags(true)));
    assert_eq!(add.narrowed(false, it), Some(add));
    assert_eq!(add.with_flags(true).narrowed(false, it), None);
    assert_eq!(add.with_flags(true).narrowed(true, it), Some(add));

    let and = Inst::alu_reg(Opcode::AndReg, true, r(0), r(1), r(0), Shift::NONE);
    let exchanged = Inst::alu_reg(Opcode::AndReg, true, r(0), r(0), r(1), Shift::NONE);
    assert_eq!(and.narrowed(false, None), Some(exchanged));

    let high = Inst::alu_reg(Opcode::AddReg, false, r(9), r(9), r(2), Shift::NONE);
    assert_eq!(high.narrowed(false, None), Some(high));
    assert_eq!(high.with_flags(true).narrowed(true, None), Some(high));

    let movw = Inst::mov_half(Opcode::Movw, r(3), 200);
    assert_eq!(movw.narrowed(false, None), None);
    assert_eq!(movw.narrowed(true, None), Some(Inst::mov_imm(Opcode::MovImm, true, r(3), 200)));
}
