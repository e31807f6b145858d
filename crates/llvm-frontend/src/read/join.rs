//! Joining the output of a part to the program.
//!
//! A part numbers its additions from the lengths of the program it was given. Joining appends the additions to the
//! program in its current state and shifts exactly those ids. Parts are joined in part order, so the result
//! doesn't depend on which thread finished first.

use ssa::{Callee, DataId, EntityId, FuncId, Function, InlinedCallData, Module, SigId, SourceLoc, Sources};

use super::{InlinedLoc, ReadContext, ReadOutput};

/// Lengths of the program that a part was given: ids below them need no change.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    functions: usize,
    data: usize,
    signatures: usize,
    positions: usize,
}

impl ReadContext<'_> {
    /// The facts about the program given to the part that [`ReadOutput::join`] needs.
    pub fn seen(&self) -> Seen {
        Seen {
            functions: self.program.decls.len(),
            data: self.program.data.len(),
            signatures: self.program.signatures.len(),
            positions: self.program.sources.as_ref().map_or(0, |sources| sources.positions.len()),
        }
    }
}

/// Final ids of a part's additions.
struct FinalIds {
    functions: Vec<FuncId>,
    data: Vec<DataId>,
    signatures: Vec<SigId>,
    locs: Vec<SourceLoc>,
}

impl ReadOutput {
    /// Moves the part into `module`. Since it was `seen`, `module` has grown only by joining other parts.
    pub fn join(self, seen: Seen, module: &mut Module) {
        let signatures = self.signatures.into_iter().map(|sig| module.intern_signature(sig)).collect();
        let data: Vec<DataId> = (module.data.len()..).map(DataId::new).take(self.data.len()).collect();
        for mut object in self.data {
            object.name = format!("{}.{}", object.name, module.data.len());
            object
                .addresses
                .iter_mut()
                .for_each(|stored| stored.data = final_id(stored.data, seen.data, &data));
            module.data.push(object);
        }
        let functions = self.decls.into_iter().map(|decl| {
            let name = format!("{}.{}", decl.name, module.decls.len());
            module.functions.push(None);
            module.decls.push(ssa::FuncDecl { name, ..decl })
        });
        let functions = functions.collect();
        let sources = module.sources.as_mut();
        let locs = sources.map(|sources| self.inlined.iter().map(|loc| position(loc, sources)).collect());
        let ids = FinalIds { functions, data, signatures, locs: locs.unwrap_or_default() };
        for (id, mut body) in self.functions {
            ids.apply(seen, &mut body);
            let id = final_id(id, seen.functions, &ids.functions);
            // LLVM knows only the shape of a signature; of several ids with this shape the declared one stays.
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

fn final_id<I: EntityId>(id: I, seen: usize, ids: &[I]) -> I {
    id.index().checked_sub(seen).map_or(id, |added| ids[added])
}

/// The id of a location in a function that LLVM inlined.
fn position(inlined: &InlinedLoc, sources: &mut Sources) -> SourceLoc {
    let mut around = None;
    for &(at, callee) in inlined.calls.iter().rev() {
        let at = around.map_or(at, |around| sources.inlined_into(at, around));
        let callee = &sources.subprograms[callee];
        let (name, linkage_name) = (callee.name.clone(), callee.linkage_name.clone());
        let callee = Callee { name, linkage_name, declaration: callee.declaration };
        around = Some(sources.inlined(InlinedCallData { callee, at }));
    }
    around.map_or(inlined.loc, |around| sources.inlined_into(inlined.loc, around))
}

impl FinalIds {
    fn apply(&self, seen: Seen, body: &mut Function) {
        body.sig = final_id(body.sig, seen.signatures, &self.signatures);
        if !self.locs.is_empty() {
            body.source.map(|loc| final_id(loc, seen.positions, &self.locs));
        }
        for inst in body.insts.values_mut() {
            if let Some(data) = inst.object_mut() {
                *data = final_id(*data, seen.data, &self.data);
            }
            if let Some(func) = inst.func_mut() {
                *func = final_id(*func, seen.functions, &self.functions);
            }
            if let Some(sig) = inst.sig_mut() {
                *sig = final_id(*sig, seen.signatures, &self.signatures);
            }
        }
    }
}
