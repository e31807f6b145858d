//! Bodies for imported functions that the outside does not have.
//!
//! The module is complete without them: a call traps, or returns zeros. Callers stay as they are.

use ssa::{FuncId, FuncKind, Function, Import, InstData, Module, TrapCode};

/// The effect of calling an import that does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stub {
    /// It traps.
    Trap,
    /// It does nothing; results are zero.
    Nop,
}

/// Gives a body to each import for which `stub` has one.
pub fn add_bodies(module: &mut Module, stub: impl Fn(&Import) -> Option<Stub>) {
    for id in module.decls.ids() {
        let FuncKind::Import(import) = &module.decls[id].kind else { continue };
        if let Some(stub) = stub(import) {
            module.functions[id] = Some(body(module, id, stub));
            module.decls[id].kind = FuncKind::Local;
        }
    }
}

fn body(module: &Module, id: FuncId, stub: Stub) -> Function {
    let sig = module.signature_of(id);
    let mut func = Function::new(module.decls[id].name.clone(), module.decls[id].sig);
    let block = func.add_block();
    for &ty in &sig.params {
        func.add_param(block, ty);
    }
    match stub {
        Stub::Trap => func.append(block, InstData::Trap { code: TrapCode::Import }, &[]),
        Stub::Nop => {
            let mut zero = |ty| {
                let inst = func.append(block, InstData::Const { ty, bits: 0 }, &[ty]);
                func.result(inst)
            };
            let args = sig.results.iter().map(|&ty| zero(ty)).collect();
            func.append(block, InstData::Return { args }, &[])
        }
    };
    func
}
