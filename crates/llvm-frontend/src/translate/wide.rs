//! The wide-arithmetic proposal: 128-bit numbers as pairs of `i64`, low half first.

use wasmparser::Operator;

use super::Translator;

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> bool {
    match op {
        Operator::I64Add128 => t.add_or_sub128(true),
        Operator::I64Sub128 => t.add_or_sub128(false),
        Operator::I64MulWideS => t.mul_wide(true),
        Operator::I64MulWideU => t.mul_wide(false),
        _ => return false,
    }
    true
}

impl Translator<'_, '_, '_> {
    fn add_or_sub128(&mut self, add: bool) {
        let (b_high, b_low) = (self.pop_int(), self.pop_int());
        let (a_high, a_low) = (self.pop_int(), self.pop_int());
        let ir = self.ir();
        let (a, b) = (ir.join128(a_low, a_high), ir.join128(b_low, b_high));
        let result = if add { ir.add(a, b) } else { ir.sub(a, b) };
        let (low, high) = ir.split128(result);
        self.push(low);
        self.push(high);
    }

    fn mul_wide(&mut self, signed: bool) {
        let (b, a) = (self.pop_int(), self.pop_int());
        let ir = self.ir();
        let widen = |value| if signed { ir.sext(value, ir.i128) } else { ir.zext(value, ir.i128) };
        let (low, high) = ir.split128(ir.mul(widen(a), widen(b)));
        self.push(low);
        self.push(high);
    }
}
