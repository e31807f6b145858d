//! Operators lane by lane.

use inkwell::IntPredicate;
use inkwell::values::IntValue;

use super::super::Translator;
use super::super::ir::Ir;
use super::packed::Packed;
use super::words::int;

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// Pops a vector; its lanes.
    pub fn pop_lanes(&mut self, bits: u32) -> Vec<IntValue<'ctx>> {
        let vector = self.pop_vector();
        vector.lanes(self.ir(), bits)
    }

    /// Replaces a vector by the results of its lanes.
    pub fn map_lanes(
        &mut self,
        bits: u32,
        mut operation: impl FnMut(&mut Self, IntValue<'ctx>) -> IntValue<'ctx>,
    ) {
        let lanes = self.pop_lanes(bits);
        let results: Vec<_> = lanes.into_iter().map(|lane| operation(self, lane)).collect();
        self.push_lanes(&results);
    }

    /// Replaces two vectors by the results of their pairs of lanes.
    pub fn zip_lanes(
        &mut self,
        bits: u32,
        mut operation: impl FnMut(&mut Self, IntValue<'ctx>, IntValue<'ctx>) -> IntValue<'ctx>,
    ) {
        let (b, a) = (self.pop_lanes(bits), self.pop_lanes(bits));
        let results: Vec<_> = a.into_iter().zip(b).map(|(a, b)| operation(self, a, b)).collect();
        self.push_lanes(&results);
    }

    /// Lanes in words of the width of this function.
    pub fn packed(&self, bits: u32) -> Packed<'_, 'ctx> {
        let ir = self.ir();
        Packed { ir, word: int(ir, self.plan.bits), lane: bits }
    }

    /// The result of an LLVM intrinsic with one integer type.
    pub fn intrinsic(&mut self, name: &'static str, args: &[IntValue<'ctx>]) -> IntValue<'ctx> {
        let function = self.env.intrinsic(name, &[args[0].get_type().into()]);
        let args: Vec<_> = args.iter().map(|&arg| arg.into()).collect();
        self.ir().call(function, &args).expect("the intrinsic has a result").into_int_value()
    }

    /// A number, limited to a range of its type.
    pub fn limited(&mut self, value: IntValue<'ctx>, least: i64, greatest: i64) -> IntValue<'ctx> {
        let ty = value.get_type();
        let constant = |number: i64| ty.const_int(number as u64, true);
        let above = self.intrinsic("llvm.smax", &[value, constant(least)]);
        self.intrinsic("llvm.smin", &[above, constant(greatest)])
    }
}

/// A lane of ones or zeros: the result of a comparison.
pub fn mask<'ctx>(ir: &Ir<'ctx>, holds: IntValue<'ctx>, bits: u32) -> IntValue<'ctx> {
    ir.sext(holds, int(ir, bits))
}

/// The predicate of a comparison of integers.
pub fn predicate(operation: &str) -> Option<IntPredicate> {
    Some(match operation {
        "eq" => IntPredicate::EQ,
        "ne" => IntPredicate::NE,
        "lt_s" => IntPredicate::SLT,
        "lt_u" => IntPredicate::ULT,
        "gt_s" => IntPredicate::SGT,
        "gt_u" => IntPredicate::UGT,
        "le_s" => IntPredicate::SLE,
        "le_u" => IntPredicate::ULE,
        "ge_s" => IntPredicate::SGE,
        "ge_u" => IntPredicate::UGE,
        _ => return None,
    })
}
