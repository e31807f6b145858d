//! KnownBits-bits analysis of integers: the bits a value needs, and its low zero bits.
//!
//! Selection asks three questions. Is an `i32` non-negative, so that its sign- and zero-extended forms are equal? Does
//! an `i64` come from 32 bits? Is an `or` an addition? LLVM has done the deep reasoning; widths suffice here.
//!
//! A forward pass over reverse postorder computes [`KnownBits`] for every value. A block parameter is the join of its
//! incoming values, so loops need several passes, and an induction variable would grow by one bit per pass. After
//! [`PATIENT_PASSES`] the parameters of loop headers are set to the widest. The remaining data flow is acyclic, and one
//! more pass settles it.

use ssa::{BinaryOp, Block, Function, IdVec, InstData, MemType, Type, UnaryOp, Value};

/// Number of passes before the parameters of loop headers are set to the widest.
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
    /// No knowledge about a value of `bits` bits.
    const fn top(bits: u32) -> Self {
        Self { unsigned: bits, signed: bits, low_zeros: 0 }
    }

    /// A value below `2^unsigned`.
    fn unsigned(unsigned: u32, bits: u32) -> Self {
        Self { unsigned, signed: bits, low_zeros: 0 }.tightened(bits)
    }

    /// A value that is the sign extension of its low `signed` bits.
    fn signed(signed: u32, bits: u32) -> Self {
        Self { unsigned: bits, signed, low_zeros: 0 }.tightened(bits)
    }

    fn constant(value: i64, bits: u32) -> Self {
        let mask = u64::MAX >> (64 - bits);
        let low = value as u64 & mask;
        let sign_bits = if value < 0 { value.leading_ones() } else { value.leading_zeros() };
        Self {
            unsigned: 64 - low.leading_zeros(),
            signed: 65 - sign_bits,
            low_zeros: low.trailing_zeros().min(bits),
        }
        .tightened(bits)
    }

    /// Limits everything to the width; for a non-negative value each width bounds the other.
    fn tightened(self, bits: u32) -> Self {
        let unsigned = self.unsigned.min(bits);
        let signed = self.signed.min(bits).max(1);
        let signed = if unsigned < bits { signed.min(unsigned + 1) } else { signed };
        Self { unsigned, signed, low_zeros: self.low_zeros.min(bits) }
    }

    /// The facts that hold for both values.
    fn join(self, other: Self) -> Self {
        Self {
            unsigned: self.unsigned.max(other.unsigned),
            signed: self.signed.max(other.signed),
            low_zeros: self.low_zeros.min(other.low_zeros),
        }
    }
}

/// Facts about all values of a function; [`KnownBits::top`] for floats.
pub fn known_bits(func: &Function, rpo: &[Block]) -> IdVec<Value, KnownBits> {
    let mut analysis = Analysis { func, known: IdVec::filled(None, func.values.len()), changed: false };
    let headers = loop_headers(func, rpo);
    for &param in &func.blocks[func.entry()].params {
        analysis.known[param] = Some(KnownBits::top(func.values[param].ty.bits()));
    }
    for pass in 0.. {
        if pass >= PATIENT_PASSES {
            analysis.give_up(&headers);
        }
        analysis.changed = false;
        rpo.iter().for_each(|&block| analysis.pass_block(block));
        if !analysis.changed {
            break;
        }
    }
    let Analysis { known, .. } = analysis;
    known.iter().map(|(value, known)| known.unwrap_or(KnownBits::top(func.values[value].ty.bits()))).collect()
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
                self.known[result] = Some(self.transfer(&func.insts[inst], bits).tightened(bits));
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
        let joined = self.known[param].map_or(arg, |known| known.join(arg));
        self.changed |= self.known[param].replace(joined) != Some(joined);
    }

    fn give_up(&mut self, headers: &[Block]) {
        for &param in headers.iter().flat_map(|&header| &self.func.blocks[header].params) {
            self.known[param] = Some(KnownBits::top(self.func.values[param].ty.bits()));
        }
    }

    /// Facts about an operand. In the first pass, the operand of a loop's edge may not have been reached yet. Only
    /// block parameters get such operands, and they are joined again in the next pass.
    fn of(&self, value: Value) -> KnownBits {
        self.known[value].unwrap_or(KnownBits::top(self.func.values[value].ty.bits()))
    }

    fn transfer(&self, data: &InstData, bits: u32) -> KnownBits {
        match *data {
            InstData::Const { ty, bits: value } if ty.is_int() => KnownBits::constant(value, bits),
            InstData::Icmp { .. } | InstData::Fcmp { .. } => KnownBits::unsigned(1, bits),
            InstData::Load { mem, ty, .. } => loaded(mem, ty),
            InstData::Unary { op, arg, .. } => unary(op, self.of(arg), bits),
            InstData::Binary { op, args: [a, b], .. } => {
                binary(op, self.of(a), self.of(b), self.func.as_const(b), bits)
            }
            InstData::Select { if_true, if_false, .. } => self.of(if_true).join(self.of(if_false)),
            _ => KnownBits::top(bits),
        }
    }
}

fn loaded(mem: MemType, ty: Type) -> KnownBits {
    let bits = ty.bits();
    match mem {
        MemType::U8 => KnownBits::unsigned(8, bits),
        MemType::U16 => KnownBits::unsigned(16, bits),
        MemType::U32 => KnownBits::unsigned(32, bits),
        MemType::S8 => KnownBits::signed(8, bits),
        MemType::S16 => KnownBits::signed(16, bits),
        MemType::S32 => KnownBits::signed(32, bits),
        MemType::I64 | MemType::F32 | MemType::F64 => KnownBits::top(bits),
    }
}

fn unary(op: UnaryOp, arg: KnownBits, bits: u32) -> KnownBits {
    match op {
        UnaryOp::Clz | UnaryOp::Ctz | UnaryOp::Popcnt => KnownBits::unsigned(bits.ilog2() + 1, bits),
        UnaryOp::Sext8 if arg.unsigned <= 7 || arg.signed <= 8 => arg,
        UnaryOp::Sext8 => KnownBits::signed(8, bits),
        UnaryOp::Sext16 if arg.unsigned <= 15 || arg.signed <= 16 => arg,
        UnaryOp::Sext16 => KnownBits::signed(16, bits),
        UnaryOp::Sext => {
            let unsigned = if arg.unsigned <= 31 { arg.unsigned } else { 64 };
            KnownBits { unsigned, ..arg }.tightened(bits)
        }
        UnaryOp::Zext => KnownBits { signed: 64, ..arg }.tightened(bits),
        UnaryOp::Trunc => arg,
        _ => KnownBits::top(bits),
    }
}

/// Facts about a result; `count` is the second operand if it is constant.
fn binary(op: BinaryOp, a: KnownBits, b: KnownBits, count: Option<i64>, bits: u32) -> KnownBits {
    let fits = |width: u32| if width <= bits { width } else { bits };
    let widest =
        KnownBits { unsigned: a.unsigned.max(b.unsigned), signed: a.signed.max(b.signed), low_zeros: 0 };
    let low_zeros = a.low_zeros.min(b.low_zeros);
    match op {
        BinaryOp::Add => {
            KnownBits { unsigned: fits(widest.unsigned + 1), signed: fits(widest.signed + 1), low_zeros }
        }
        BinaryOp::Sub => KnownBits { unsigned: bits, signed: fits(widest.signed + 1), low_zeros },
        BinaryOp::Mul => KnownBits {
            unsigned: fits(a.unsigned + b.unsigned),
            signed: fits(a.signed + b.signed),
            low_zeros: a.low_zeros + b.low_zeros,
        },
        BinaryOp::DivU => KnownBits::unsigned(a.unsigned, bits),
        BinaryOp::RemU => KnownBits::unsigned(a.unsigned.min(b.unsigned), bits),
        BinaryOp::DivS if a.unsigned < bits && b.unsigned < bits => KnownBits::unsigned(a.unsigned, bits),
        BinaryOp::DivS => KnownBits::signed(fits(a.signed + 1), bits),
        BinaryOp::RemS => KnownBits::signed(a.signed.min(b.signed), bits),
        BinaryOp::And => KnownBits {
            unsigned: a.unsigned.min(b.unsigned),
            signed: widest.signed,
            low_zeros: a.low_zeros.max(b.low_zeros),
        },
        BinaryOp::Or | BinaryOp::Xor => KnownBits { low_zeros, ..widest },
        BinaryOp::Shl => shl(a, count, bits),
        BinaryOp::ShrU => shr_u(a, count, bits),
        BinaryOp::ShrS => shr_s(a, count, bits),
        BinaryOp::MinU => KnownBits::unsigned(a.unsigned.min(b.unsigned), bits),
        BinaryOp::MaxU => KnownBits { low_zeros, ..KnownBits::unsigned(widest.unsigned, bits) },
        BinaryOp::MinS | BinaryOp::MaxS => KnownBits { low_zeros, ..widest },
        _ => KnownBits::top(bits),
    }
}

/// The count, if it is constant and below the width.
fn shift_count(count: Option<i64>, bits: u32) -> Option<u32> {
    u32::try_from(count?).ok().filter(|&count| count < bits)
}

fn shl(a: KnownBits, count: Option<i64>, bits: u32) -> KnownBits {
    let Some(count) = shift_count(count, bits) else {
        return KnownBits { low_zeros: a.low_zeros, ..KnownBits::top(bits) };
    };
    let fits = |width: u32| if width + count <= bits { width + count } else { bits };
    KnownBits { unsigned: fits(a.unsigned), signed: fits(a.signed), low_zeros: a.low_zeros + count }
}

fn shr_u(a: KnownBits, count: Option<i64>, bits: u32) -> KnownBits {
    let count = shift_count(count, bits).unwrap_or(0);
    if count == 0 {
        return KnownBits { unsigned: a.unsigned, signed: bits, low_zeros: 0 };
    }
    KnownBits {
        unsigned: a.unsigned.saturating_sub(count),
        signed: bits,
        low_zeros: a.low_zeros.saturating_sub(count),
    }
}

fn shr_s(a: KnownBits, count: Option<i64>, bits: u32) -> KnownBits {
    let count = shift_count(count, bits).unwrap_or(0);
    let unsigned = if a.unsigned < bits { a.unsigned.saturating_sub(count) } else { bits };
    KnownBits {
        unsigned,
        signed: a.signed.saturating_sub(count),
        low_zeros: a.low_zeros.saturating_sub(count),
    }
}
