//! The helper functions, added to a module when something calls them.

use std::collections::BTreeMap;

use ssa::{FuncDecl, FuncId, FuncKind, InstData, Module, canonicalize, estimate_frequencies, parse_module};

/// The helpers and which of them a module has.
pub struct Helpers {
    source: Module,
    added: BTreeMap<FuncId, FuncId>,
}

impl Helpers {
    /// None added yet.
    pub fn new() -> Self {
        let mut source = parse_module(include_str!("helpers.ssa")).expect("the helpers are well-formed");
        for body in source.functions.values_mut().flatten() {
            canonicalize(body);
            estimate_frequencies(body);
        }
        Self { source, added: BTreeMap::new() }
    }

    /// The function of a helper in `module`, which gets it with all it calls if it is new.
    pub fn get(&mut self, module: &mut Module, name: &str) -> FuncId {
        let found = self.source.decls.iter().find(|(_, decl)| decl.name == name).map(|(id, _)| id);
        self.add(module, found.unwrap_or_else(|| panic!("there is no helper `{name}`")))
    }

    fn add(&mut self, module: &mut Module, helper: FuncId) -> FuncId {
        if let Some(&id) = self.added.get(&helper) {
            return id;
        }
        let decl = &self.source.decls[helper];
        let sig = module.intern_signature(self.source.signatures[decl.sig].clone());
        let name = unique_name(module, &decl.name);
        let id = module.decls.push(FuncDecl { name: name.clone(), sig, kind: FuncKind::Local });
        module.functions.push(None);
        self.added.insert(helper, id);
        let mut body = self.source.functions[helper].clone().expect("helpers have bodies");
        (body.name, body.sig) = (name, sig);
        for data in body.insts.values_mut() {
            if let InstData::Call { func, .. } | InstData::TailCall { func, .. } = data {
                *func = self.add(module, *func);
            }
        }
        module.functions[id] = Some(body);
        id
    }
}

fn unique_name(module: &Module, name: &str) -> String {
    let is_taken = |name: &str| module.decls.values().any(|decl| decl.name == name);
    let mut unique = name.to_owned();
    while is_taken(&unique) {
        unique.push('_');
    }
    unique
}

#[cfg(test)]
mod tests {
    use ssa::interp::{Interpreter, Options};

    use super::*;

    fn call(name: &str, args: [u64; 2]) -> Vec<u64> {
        let helpers = Helpers::new();
        let (id, _) = helpers.source.decls.iter().find(|(_, decl)| decl.name == name).expect("a helper");
        let mut machine = Interpreter::new(&helpers.source, Options::new(&helpers.source));
        machine
            .call(id, &args, &mut |_, _, _| unreachable!("helpers call no imports"))
            .expect("helpers return")
    }

    /// Numbers around powers of two and in between.
    fn samples() -> Vec<u64> {
        let mut list = vec![0, 1, 2, 3, 10, 0xffff_ffff, 0x1_0000_0001, 0x1234_5678_9abc_def0, u64::MAX];
        for bit in (7..64).step_by(8) {
            list.extend([1u64 << bit, (1 << bit) - 1, (1 << bit) + 1, u64::MAX << bit]);
        }
        let mut state = 1u64;
        for n in 0..40 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            list.push(state >> (n % 60));
        }
        list
    }

    #[test]
    fn division_helpers_divide() {
        ssa::verify(&Helpers::new().source).unwrap();
        for n in samples() {
            for d in samples().into_iter().filter(|&d| d != 0) {
                assert_eq!(call("__wasm_udivmod64", [n, d]), [n / d, n % d], "{n:#x} / {d:#x}");
                let (x, y) = (n as i64, d as i64);
                if let (Some(quotient), Some(remainder)) = (x.checked_div(y), x.checked_rem(y)) {
                    let expected = [quotient as u64, remainder as u64];
                    assert_eq!(call("__wasm_sdivmod64", [n, d]), expected, "{x} / {y}");
                }
            }
        }
    }
}
