//! Putting the output of a part into the program.
//!
//! A part numbers what it adds from the lengths of the program it was shown. Joining appends the additions to
//! the program as it is by then and shifts exactly those ids. Parts are joined in part order, so the result
//! doesn't depend on which thread finished first.

use ssa::{DataId, EntityId, FuncId, Function, InstData, Module, SigId};

use super::{ReadContext, ReadOutput};

/// Lengths of the program that a part was shown: ids below them need no change.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    functions: usize,
    data: usize,
    signatures: usize,
}

impl ReadContext<'_> {
    /// What [`ReadOutput::join`] must know of the program that the part was shown.
    pub fn seen(&self) -> Seen {
        Seen {
            functions: self.program.decls.len(),
            data: self.program.data.len(),
            signatures: self.program.signatures.len(),
        }
    }
}

/// Final ids of a part's additions.
struct Places {
    functions: Vec<FuncId>,
    data: Vec<DataId>,
    signatures: Vec<SigId>,
}

impl ReadOutput {
    /// Moves the part into `module`, which has grown from the program that was `seen` only by joining other
    /// parts.
    pub fn join(self, seen: Seen, module: &mut Module) {
        let signatures = self.signatures.into_iter().map(|sig| module.intern_signature(sig)).collect();
        let data: Vec<DataId> = (module.data.len()..).map(DataId::new).take(self.data.len()).collect();
        for mut object in self.data {
            object.name = format!("{}.{}", object.name, module.data.len());
            object.addresses.iter_mut().for_each(|stored| stored.data = place(stored.data, seen.data, &data));
            module.data.push(object);
        }
        let functions = self.decls.into_iter().map(|decl| {
            let name = format!("{}.{}", decl.name, module.decls.len());
            module.functions.push(None);
            module.decls.push(ssa::FuncDecl { name, ..decl })
        });
        let places = Places { functions: functions.collect(), data, signatures };
        for (id, mut body) in self.functions {
            places.apply(seen, &mut body);
            let id = place(id, seen.functions, &places.functions);
            // LLVM knows the form of a signature only; of several ids with this form the declared one stays.
            let declared = module.decls[id].sig;
            if module.signatures[declared] == module.signatures[body.sig] {
                body.sig = declared;
            } else {
                module.decls[id].sig = body.sig;
            }
            body.name.clone_from(&module.decls[id].name);
            module.functions.grow_to(module.decls.len(), None);
            module.functions[id] = Some(body);
        }
    }
}

fn place<I: EntityId>(id: I, seen: usize, places: &[I]) -> I {
    id.index().checked_sub(seen).map_or(id, |added| places[added])
}

impl Places {
    fn apply(&self, seen: Seen, body: &mut Function) {
        body.sig = place(body.sig, seen.signatures, &self.signatures);
        for inst in body.insts.values_mut() {
            match inst {
                InstData::DataAddr { data, .. } => *data = place(*data, seen.data, &self.data),
                InstData::Load { addr, .. } | InstData::Store { addr, .. } => {
                    addr.base = addr.base.map(|data| place(data, seen.data, &self.data));
                }
                InstData::Call { func, .. }
                | InstData::TailCall { func, .. }
                | InstData::FuncRef { func } => {
                    *func = place(*func, seen.functions, &self.functions);
                }
                InstData::CallIndirect { sig, .. } | InstData::TailCallIndirect { sig, .. } => {
                    *sig = place(*sig, seen.signatures, &self.signatures);
                }
                _ => {}
            }
        }
    }
}
