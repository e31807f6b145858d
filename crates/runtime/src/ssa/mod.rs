//! Helper functions in SSA, for operations that a machine lacks.
//!
//! Most are text (`helpers.ssa`, and `words.ssa` for the smallest machines); those that round floats are built
//! ([`round`]). They take and return integers only, floats as their bits, and divide at most 32 bits. Those of
//! `words.ssa` need no operation that any machine lacks. A module gets the helpers that it calls.

mod round;

use std::collections::BTreeMap;

use ssa::{
    FuncId, FuncKind, InstData, Module, Signature, Type, UnaryOp, canonicalize, estimate_frequencies,
    parse_module,
};

/// The helpers, and the ones that a module has already.
pub struct Helpers {
    source: Module,
    added: BTreeMap<FuncId, FuncId>,
    rounding: BTreeMap<String, FuncId>,
}

impl Default for Helpers {
    fn default() -> Self {
        Self::new()
    }
}

impl Helpers {
    /// None added yet.
    pub fn new() -> Self {
        let mut source = parse_module(concat!(include_str!("helpers.ssa"), include_str!("words.ssa")))
            .expect("the helpers are well-formed");
        for body in source.functions.values_mut().flatten() {
            canonicalize(body);
            estimate_frequencies(body);
        }
        Self { source, added: BTreeMap::new(), rounding: BTreeMap::new() }
    }

    /// The id of a helper in `module`. A new helper is added together with its callees.
    ///
    /// # Panics
    /// If there is no helper with this name.
    pub fn get(&mut self, module: &mut Module, name: &str) -> FuncId {
        let found = self.source.decls.iter().find(|(_, decl)| decl.name == name).map(|(id, _)| id);
        self.add(module, found.unwrap_or_else(|| panic!("there is no helper `{name}`")))
    }

    /// The id of the function in `module` that rounds a float of type `ty` to an integral one in the direction of `op`:
    /// up, down, to zero or to nearest. Operand and result are bits.
    pub fn rounding(&mut self, module: &mut Module, op: UnaryOp, ty: Type) -> FuncId {
        let name = format!("__wasm_{ty}_{}", &op.name()[1..]);
        if let Some(&id) = self.rounding.get(&name) {
            return id;
        }
        let bits = ty.to_int();
        let sig = Signature { params: vec![bits], results: vec![bits] };
        let id = module.declare(name.as_str(), sig, FuncKind::Local);
        let decl = &module.decls[id];
        module.functions[id] = Some(round::function(&decl.name, decl.sig, op, ty));
        self.rounding.insert(name, id);
        id
    }

    fn add(&mut self, module: &mut Module, helper: FuncId) -> FuncId {
        if let Some(&id) = self.added.get(&helper) {
            return id;
        }
        let decl = &self.source.decls[helper];
        let sig = self.source.signatures[decl.sig].clone();
        let id = module.declare(decl.name.as_str(), sig, FuncKind::Local);
        self.added.insert(helper, id);
        let mut body = self.source.functions[helper].clone().expect("helpers have bodies");
        (body.name, body.sig) = (module.decls[id].name.clone(), module.decls[id].sig);
        for data in body.insts.values_mut() {
            if let InstData::Call { func, .. } | InstData::TailCall { func, .. } = data {
                *func = self.add(module, *func);
            }
        }
        module.functions[id] = Some(body);
        id
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use ssa::interp::{Interpreter, Options};

    use super::*;

    static HELPERS: LazyLock<Helpers> = LazyLock::new(Helpers::new);

    fn call(name: &str, args: &[u64]) -> Vec<u64> {
        let source = &HELPERS.source;
        let (id, _) = source.decls.iter().find(|(_, decl)| decl.name == name).expect("a helper");
        let mut machine = Interpreter::new(source, Options::new(source));
        let host: &mut ssa::interp::Host<'_> = &mut |_, _, _| unreachable!("helpers call no imports");
        machine.call(id, args, host).expect("helpers return")
    }

    /// Numbers around powers of two and in between.
    fn samples() -> Vec<u64> {
        let mut list = vec![0, 1, 2, 3, 10, 0xffff_ffff, 0x1_0000_0001, 0x1234_5678_9abc_def0, u64::MAX];
        for bit in (7..64).step_by(8) {
            list.extend([1u64 << bit, (1 << bit) - 1, (1 << bit) + 1, u64::MAX << bit]);
        }
        let mut state = 1u64;
        for n in 0..12 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            list.push(state >> (n % 60));
        }
        list
    }

    fn call_one(name: &str, arg: u64) -> u64 {
        call(name, &[arg])[0]
    }

    /// Bits of floats of all kinds.
    fn float_samples() -> Vec<u64> {
        let special = [0.0, 0.5, 1.0, 1.5, 2.5, 4_503_599_627_370_495.5, 1e300, 5e-324, f64::INFINITY];
        let mut list: Vec<u64> = special.iter().flat_map(|x: &f64| [x.to_bits(), (-x).to_bits()]).collect();
        for value in samples() {
            let as_float = value as f64;
            list.extend([
                as_float.to_bits(),
                (as_float / 3.0).to_bits(),
                (-as_float / 1024.0).to_bits(),
                value,
            ]);
        }
        list
    }

    #[test]
    fn conversion_helpers_convert() {
        for value in samples() {
            assert_eq!(call_one("__wasm_u64_to_f64", value), (value as f64).to_bits(), "{value:#x}");
            assert_eq!(call_one("__wasm_u64_to_f32", value) as u32, (value as f32).to_bits(), "{value:#x}");
        }
        for bits in float_samples() {
            let x = f64::from_bits(bits);
            assert_eq!(call_one("__wasm_f64_to_u64", bits), x.abs() as u64, "{x}");
            let single = bits as u32;
            let y = f64::from(f32::from_bits(single));
            let wide = call_one("__wasm_f32_to_f64", single.into());
            assert!(wide == y.to_bits() || y.is_nan() && f64::from_bits(wide).is_nan(), "{single:#x}");
        }
    }

    #[test]
    fn square_roots_are_rounded_correctly() {
        for bits in float_samples() {
            let (x, y) = (f64::from_bits(bits), f32::from_bits(bits as u32));
            let (root, single) = (
                f64::from_bits(call_one("__wasm_f64_sqrt", bits)),
                call_one("__wasm_f32_sqrt", bits & 0xffff_ffff),
            );
            let single = f32::from_bits(single as u32);
            assert!(
                root.to_bits() == x.sqrt().to_bits() || root.is_nan() && x.sqrt().is_nan(),
                "{x}: {root}"
            );
            assert!(
                single.to_bits() == y.sqrt().to_bits() || single.is_nan() && y.sqrt().is_nan(),
                "{y}: {single}"
            );
        }
    }

    #[test]
    fn rounding_functions_round() {
        use ssa::UnaryOp::{Fceil, Ffloor, Fnearest, Ftrunc};
        let mut module = Module::default();
        let mut helpers = Helpers::new();
        for op in [Fceil, Ffloor, Fnearest, Ftrunc] {
            let [double, single] = [Type::F64, Type::F32].map(|ty| helpers.rounding(&mut module, op, ty));
            ssa::verify(&module).unwrap();
            let mut machine = Interpreter::new(&module, Options::new(&module));
            for bits in float_samples() {
                let (x, y) = (f64::from_bits(bits), f32::from_bits(bits as u32));
                let (wide, narrow) = match op {
                    Fceil => (x.ceil(), y.ceil()),
                    Ffloor => (x.floor(), y.floor()),
                    Ftrunc => (x.trunc(), y.trunc()),
                    _ => (x.round_ties_even(), y.round_ties_even()),
                };
                let host: &mut ssa::interp::Host<'_> = &mut |_, _, _| unreachable!("helpers call no imports");
                let rounded = f64::from_bits(machine.call(double, &[bits], host).unwrap()[0]);
                assert!(
                    rounded.to_bits() == wide.to_bits() || rounded.is_nan() && x.is_nan(),
                    "{op} {x}: {rounded}"
                );
                let rounded =
                    f32::from_bits(machine.call(single, &[bits & 0xffff_ffff], host).unwrap()[0] as u32);
                assert!(
                    rounded.to_bits() == narrow.to_bits() || rounded.is_nan() && y.is_nan(),
                    "{op} {y}: {rounded}"
                );
            }
            drop(machine);
        }
    }

    #[test]
    fn word_helpers_compute() {
        for n in samples() {
            let word = n as u32;
            for (name, expected) in [
                ("__wasm_clz32", word.leading_zeros()),
                ("__wasm_ctz32", word.trailing_zeros()),
                ("__wasm_popcnt32", word.count_ones()),
                ("__wasm_bitrev32", word.reverse_bits()),
            ] {
                assert_eq!(call_one(name, word.into()) as u32, expected, "{name} {word:#x}");
            }
            for (name, expected) in [
                ("__wasm_clz64", n.leading_zeros()),
                ("__wasm_ctz64", n.trailing_zeros()),
                ("__wasm_popcnt64", n.count_ones()),
            ] {
                assert_eq!(call_one(name, n), expected.into(), "{name} {n:#x}");
            }
            for d in samples() {
                let signed = i128::from(n as i64) * i128::from(d as i64);
                let high = ((u128::from(n) * u128::from(d)) >> 64) as u64;
                assert_eq!(call("__wasm_mul64", &[n, d]), [n.wrapping_mul(d)], "{n:#x} * {d:#x}");
                assert_eq!(call("__wasm_umulh64", &[n, d]), [high], "{n:#x} * {d:#x}");
                assert_eq!(call("__wasm_smulh64", &[n, d]), [(signed >> 64) as u64], "{n:#x} * {d:#x}");
                let (x, y) = (word, d as u32);
                if y == 0 {
                    continue;
                }
                let words = [x.into(), y.into()];
                assert_eq!(call("__wasm_udivmod32", &words), [(x / y).into(), (x % y).into()], "{x} / {y}");
                let (x, y) = (x.cast_signed(), y.cast_signed());
                let results = call("__wasm_sdivmod32", &words);
                let expected = [x.wrapping_div(y), x.wrapping_rem(y)].map(|n| u64::from(n.cast_unsigned()));
                assert_eq!(results, expected, "{x} / {y}");
            }
        }
    }

    #[test]
    fn division_helpers_divide() {
        ssa::verify(&Helpers::new().source).unwrap();
        for n in samples() {
            for d in samples().into_iter().filter(|&d| d != 0) {
                assert_eq!(call("__wasm_udivmod64", &[n, d]), [n / d, n % d], "{n:#x} / {d:#x}");
                let (x, y) = (n as i64, d as i64);
                if let (Some(quotient), Some(remainder)) = (x.checked_div(y), x.checked_rem(y)) {
                    let expected = [quotient as u64, remainder as u64];
                    assert_eq!(call("__wasm_sdivmod64", &[n, d]), expected, "{x} / {y}");
                }
            }
        }
    }
}
