//! Known bits of integers: the width a value needs, and its low zero bits.
//!
//! Users ask three questions. Is a value its own zero- or sign-extension from some width? Is an `i32` non-negative, so
//! that both extensions are equal? Is an `or` an addition? LLVM has done the deep reasoning; widths suffice here.
//!
//! [`KnownBits`] has a constructor per kind of instruction, for code that knows the operands of each instruction it
//! makes. [`known_bits`] analyses a whole function: a forward pass over reverse postorder. A block parameter is the join
//! of its incoming values, so loops need several passes, and an induction variable would grow by one bit per pass. After
//! [`PATIENT_PASSES`] the parameters of loop headers are set to the widest, but keep their low zero bits, which addition
//! preserves. After twice as many, nothing is known of them. The remaining data flow is acyclic, and one more pass
//! settles it.

use crate::{BinaryOp, Block, Function, IdVec, InstData, MemType, Type, UnaryOp, Value};

/// Number of passes before the parameters of loop headers are set to the widest; of twice as many, before all facts about
/// them are dropped.
const PATIENT_PASSES: u32 = 3;

/// Facts about a value of an integer type; all of them hold together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KnownBits {
    /// The value is below `2^unsigned`, taken as unsigned.
    pub unsigned: u32,
    /// The value is at least `-2^(signed - 1)` and below `2^(signed - 1)`; at least 1.
    pub signed: u32,
    /// A lower bound of the number of low bits that are zero.
    pub low_zeros: u32,
}

impl KnownBits {
    /// No facts about a value of `width` bits.
    pub const fn nothing(width: u32) -> Self {
        Self { unsigned: width, signed: width, low_zeros: 0 }
    }

    /// A value below `2^bits`.
    pub fn below(bits: u32, width: u32) -> Self {
        Self { unsigned: bits, signed: width, low_zeros: 0 }.tightened(width)
    }

    /// A value that is the sign extension of its low `bits` bits.
    pub fn sign_extended(bits: u32, width: u32) -> Self {
        Self { unsigned: width, signed: bits, low_zeros: 0 }.tightened(width)
    }

    /// The exact facts of a constant of an integer type.
    pub fn of_const(value: i64, ty: Type) -> Self {
        let width = ty.bits();
        let low = value as u64 & (u64::MAX >> (64 - width));
        let sign_bits = if value < 0 { value.leading_ones() } else { value.leading_zeros() };
        Self {
            unsigned: 64 - low.leading_zeros(),
            signed: 65 - sign_bits,
            low_zeros: low.trailing_zeros().min(width),
        }
        .tightened(width)
    }

    /// Facts about a loaded value.
    pub fn of_load(mem: MemType, ty: Type) -> Self {
        let width = ty.bits();
        match mem {
            MemType::U8 => Self::below(8, width),
            MemType::U16 => Self::below(16, width),
            MemType::U32 => Self::below(32, width),
            MemType::S8 => Self::sign_extended(8, width),
            MemType::S16 => Self::sign_extended(16, width),
            MemType::S32 => Self::sign_extended(32, width),
            MemType::I64 | MemType::F32 | MemType::F64 => Self::nothing(width),
        }
    }

    /// Facts about the result, of type `ty`, of an instruction with one operand.
    pub fn of_unary(op: UnaryOp, ty: Type, arg: Self) -> Self {
        let width = ty.bits();
        let known = match op {
            UnaryOp::Clz | UnaryOp::Ctz | UnaryOp::Popcnt => Self::below(width.ilog2() + 1, width),
            UnaryOp::Sext8 if arg.unsigned <= 7 || arg.signed <= 8 => arg,
            UnaryOp::Sext8 => Self::sign_extended(8, width),
            UnaryOp::Sext16 if arg.unsigned <= 15 || arg.signed <= 16 => arg,
            UnaryOp::Sext16 => Self::sign_extended(16, width),
            UnaryOp::Sext => {
                let unsigned = if arg.unsigned <= 31 { arg.unsigned } else { 64 };
                Self { unsigned, ..arg }
            }
            UnaryOp::Zext => Self { signed: 64, ..arg },
            UnaryOp::Trunc => arg,
            _ => Self::nothing(width),
        };
        known.tightened(width)
    }

    /// Facts about the result of an instruction with two operands; `count` is the second operand if it is constant.
    pub fn of_binary(op: BinaryOp, ty: Type, a: Self, b: Self, count: Option<i64>) -> Self {
        let width = ty.bits();
        let widest =
            Self { unsigned: a.unsigned.max(b.unsigned), signed: a.signed.max(b.signed), low_zeros: 0 };
        let low_zeros = a.low_zeros.min(b.low_zeros);
        let known = match op {
            BinaryOp::Add => Self { unsigned: widest.unsigned + 1, signed: widest.signed + 1, low_zeros },
            BinaryOp::Sub => Self { unsigned: width, signed: widest.signed + 1, low_zeros },
            BinaryOp::Mul => Self {
                unsigned: a.unsigned + b.unsigned,
                signed: a.signed + b.signed,
                low_zeros: a.low_zeros + b.low_zeros,
            },
            BinaryOp::DivU => Self::below(a.unsigned, width),
            BinaryOp::RemU => Self::below(a.unsigned.min(b.unsigned), width),
            BinaryOp::DivS if a.unsigned < width && b.unsigned < width => Self::below(a.unsigned, width),
            BinaryOp::DivS => Self::sign_extended(a.signed + 1, width),
            BinaryOp::RemS => Self::sign_extended(a.signed.min(b.signed), width),
            BinaryOp::And => Self {
                unsigned: a.unsigned.min(b.unsigned),
                signed: widest.signed,
                low_zeros: a.low_zeros.max(b.low_zeros),
            },
            BinaryOp::Or | BinaryOp::Xor => Self { low_zeros, ..widest },
            BinaryOp::Shl => shl(a, count, width),
            BinaryOp::ShrU => shr_u(a, count, width),
            BinaryOp::ShrS => shr_s(a, count, width),
            BinaryOp::MinU => Self::below(a.unsigned.min(b.unsigned), width),
            BinaryOp::MaxU => Self { low_zeros, ..Self::below(widest.unsigned, width) },
            BinaryOp::MinS | BinaryOp::MaxS => Self { low_zeros, ..widest },
            _ => Self::nothing(width),
        };
        known.tightened(width)
    }

    /// The facts that hold for both values.
    pub fn either(self, other: Self) -> Self {
        Self {
            unsigned: self.unsigned.max(other.unsigned),
            signed: self.signed.max(other.signed),
            low_zeros: self.low_zeros.min(other.low_zeros),
        }
    }

    /// Limits everything to the width; for a non-negative value each width bounds the other.
    fn tightened(self, width: u32) -> Self {
        let unsigned = self.unsigned.min(width);
        let signed = self.signed.min(width).max(1);
        let signed = if unsigned < width { signed.min(unsigned + 1) } else { signed };
        Self { unsigned, signed, low_zeros: self.low_zeros.min(width) }
    }
}

/// Facts about all values of a function; [`KnownBits::nothing`] for floats.
pub fn known_bits(func: &Function, rpo: &[Block]) -> IdVec<Value, KnownBits> {
    let mut analysis = Analysis { func, known: IdVec::filled(None, func.values.len()), changed: false };
    let headers = loop_headers(func, rpo);
    for &param in &func.blocks[func.entry()].params {
        analysis.known[param] = Some(KnownBits::nothing(func.values[param].ty.bits()));
    }
    for pass in 0.. {
        if pass >= PATIENT_PASSES {
            analysis.give_up(&headers, pass < 2 * PATIENT_PASSES);
        }
        analysis.changed = false;
        rpo.iter().for_each(|&block| analysis.pass_block(block));
        if !analysis.changed {
            break;
        }
    }
    let Analysis { known, .. } = analysis;
    known
        .iter()
        .map(|(value, known)| known.unwrap_or(KnownBits::nothing(func.values[value].ty.bits())))
        .collect()
}

/// Targets of edges that go backwards in reverse postorder.
fn loop_headers(func: &Function, rpo: &[Block]) -> Vec<Block> {
    let mut position = IdVec::filled(0, func.blocks.len());
    (0..).zip(rpo).for_each(|(n, &block)| position[block] = n);
    let goes_back = |from: Block, to: &Block| position[*to] <= position[from];
    let targets = rpo.iter().flat_map(|&block| {
        func.successors(block).into_iter().filter(move |to| goes_back(block, to)).collect::<Vec<_>>()
    });
    let mut headers: Vec<Block> = targets.collect();
    headers.sort();
    headers.dedup();
    headers
}

struct Analysis<'a> {
    func: &'a Function,
    /// `None` for values that no pass has reached.
    known: IdVec<Value, Option<KnownBits>>,
    changed: bool,
}

impl Analysis<'_> {
    fn pass_block(&mut self, block: Block) {
        let func = self.func;
        for &inst in &func.blocks[block].insts {
            for &result in &func.results[inst] {
                let bits = func.values[result].ty.bits();
                self.known[result] = Some(self.transfer(&func.insts[inst], bits));
            }
        }
        for to in func.insts[func.terminator(block)].successors() {
            for (&param, &arg) in func.blocks[to.block].params.iter().zip(&to.args) {
                self.join_into(param, arg);
            }
        }
    }

    fn join_into(&mut self, param: Value, arg: Value) {
        let Some(arg) = self.known[arg] else { return };
        let joined = self.known[param].map_or(arg, |known| known.either(arg));
        self.changed |= self.known[param].replace(joined) != Some(joined);
    }

    /// Drops facts about the parameters of loop headers, except for low zero bits on request.
    fn give_up(&mut self, headers: &[Block], keeps_low_zeros: bool) {
        for &param in headers.iter().flat_map(|&header| &self.func.blocks[header].params) {
            let known = self.of(param);
            let low_zeros = if keeps_low_zeros { known.low_zeros } else { 0 };
            let nothing = KnownBits::nothing(self.func.values[param].ty.bits());
            self.known[param] = Some(KnownBits { low_zeros, ..nothing });
        }
    }

    /// Facts about an operand. In the first pass, the operand of a loop's edge may not have been reached yet. Only
    /// block parameters get such operands, and they are joined again in the next pass.
    fn of(&self, value: Value) -> KnownBits {
        self.known[value].unwrap_or(KnownBits::nothing(self.func.values[value].ty.bits()))
    }

    fn transfer(&self, data: &InstData, width: u32) -> KnownBits {
        match *data {
            InstData::Const { ty, bits } if ty.is_int() => KnownBits::of_const(bits, ty),
            InstData::Icmp { .. } | InstData::Fcmp { .. } => KnownBits::below(1, width),
            InstData::Load { mem, ty, .. } => KnownBits::of_load(mem, ty),
            InstData::Unary { op, ty, arg } => KnownBits::of_unary(op, ty, self.of(arg)),
            InstData::Binary { op, ty, args: [a, b] } => {
                KnownBits::of_binary(op, ty, self.of(a), self.of(b), self.func.as_const(b))
            }
            InstData::Select { if_true, if_false, .. } => self.of(if_true).either(self.of(if_false)),
            _ => KnownBits::nothing(width),
        }
    }
}

/// The count, if it is constant and below the width.
fn shift_count(count: Option<i64>, width: u32) -> Option<u32> {
    u32::try_from(count?).ok().filter(|&count| count < width)
}

fn shl(a: KnownBits, count: Option<i64>, width: u32) -> KnownBits {
    let Some(count) = shift_count(count, width) else {
        return KnownBits { low_zeros: a.low_zeros, ..KnownBits::nothing(width) };
    };
    KnownBits { unsigned: a.unsigned + count, signed: a.signed + count, low_zeros: a.low_zeros + count }
}

fn shr_u(a: KnownBits, count: Option<i64>, width: u32) -> KnownBits {
    let count = shift_count(count, width).unwrap_or(0);
    if count == 0 {
        return KnownBits { unsigned: a.unsigned, signed: width, low_zeros: 0 };
    }
    KnownBits {
        unsigned: a.unsigned.saturating_sub(count),
        signed: width,
        low_zeros: a.low_zeros.saturating_sub(count),
    }
}

fn shr_s(a: KnownBits, count: Option<i64>, width: u32) -> KnownBits {
    let Some(count) = shift_count(count, width) else { return KnownBits { low_zeros: 0, ..a } };
    let unsigned = if a.unsigned < width { a.unsigned.saturating_sub(count) } else { width };
    KnownBits {
        unsigned,
        signed: a.signed.saturating_sub(count),
        low_zeros: a.low_zeros.saturating_sub(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interp::evaluate;
    use crate::{EntityId, Value};

    /// Numbers of many widths, as constants of a type.
    fn samples(ty: Type) -> Vec<i64> {
        let around = |bit: u32| {
            let power = 1i64 << bit;
            [power, power.wrapping_sub(1), 5 << bit, -1 << bit, !5 << bit]
        };
        let wide = (0..ty.bits()).step_by(3).flat_map(around);
        wide.map(|bits| if ty == Type::I32 { i64::from(bits as i32) } else { bits }).collect()
    }

    /// Checks facts about an instruction, whose operands are constants of the type `from`, against its result.
    fn check(data: &InstData, ty: Type, from: Type, args: [i64; 2], known: KnownBits) {
        let mut operand = |value: Value| {
            let bits = args[value.index()] as u64;
            Some((from, if from == Type::I32 { bits & 0xffff_ffff } else { bits }))
        };
        let Some(bits) = evaluate(data, &mut operand) else { return };
        let value = if ty == Type::I32 { i64::from(bits as i32) } else { bits as i64 };
        let exact = KnownBits::of_const(value, ty);
        assert_eq!(known.either(exact), known, "{data:?} of {args:?} is {value}");
    }

    #[test]
    fn facts_hold_for_results() {
        let [a, b] = [Value::new(0), Value::new(1)];
        for (ty, from) in
            [(Type::I32, Type::I32), (Type::I64, Type::I64), (Type::I64, Type::I32), (Type::I32, Type::I64)]
        {
            for x in samples(from) {
                let known = KnownBits::of_const(x, from);
                for &op in UnaryOp::ALL.iter().filter(|&&op| fits(op, ty, from)) {
                    let result = KnownBits::of_unary(op, ty, known);
                    check(&InstData::Unary { op, ty, arg: a }, ty, from, [x, 0], result);
                }
                for y in samples(from).into_iter().filter(|_| ty == from) {
                    for &op in BinaryOp::ALL.iter().filter(|op| !op.is_float()) {
                        let other = KnownBits::of_const(y, ty);
                        let data = InstData::Binary { op, ty, args: [a, b] };
                        for count in [Some(y), None] {
                            let result = KnownBits::of_binary(op, ty, known, other, count);
                            check(&data, ty, from, [x, y], result);
                        }
                    }
                }
            }
        }
    }

    /// Whether an integer operator takes `from` to `ty`.
    fn fits(op: UnaryOp, ty: Type, from: Type) -> bool {
        match op {
            UnaryOp::Sext | UnaryOp::Zext => (ty, from) == (Type::I64, Type::I32),
            UnaryOp::Trunc => (ty, from) == (Type::I32, Type::I64),
            UnaryOp::Clz | UnaryOp::Ctz | UnaryOp::Popcnt | UnaryOp::Bswap | UnaryOp::Bitrev => ty == from,
            UnaryOp::Sext8 | UnaryOp::Sext16 => ty == from,
            _ => false,
        }
    }
}
