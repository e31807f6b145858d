//! Room for stack arguments: the size of the area that a call reserves for them.
//!
//! A tail call writes its stack arguments where the caller's own arguments are, and doesn't move the stack pointer. So
//! this area must be large enough for every function in a chain of tail calls. For example, if `f` has no stack
//! arguments but tail-calls `g`, which has 16 bytes of them, then every call of `f` reserves 16 bytes.
//!
//! - The room of a function is the maximum of the size of its own arguments and the rooms of the functions that it
//!   tail-calls.
//! - The room of a signature, for indirect calls, is the maximum of the rooms of all functions that have this signature
//!   and whose address is taken. Equal signatures share one room, even if they are different WebAssembly types.
//!
//! Only the call that reserves the area needs to know its size. Callers outside of the program reserve space for a
//! function's own arguments only. They enter a function that needs more through an adapter, which has the same
//! signature and makes an ordinary call.
//!
//! The rooms are the least solution of these inequalities. The largest room is passed on to all functions from which
//! tail calls lead to its owner. So one walk against the direction of tail calls, from the largest room to the
//! smallest, finds the solution. Work is linear except for sorting.

use std::collections::HashMap;

use ssa::{EntityId, FuncDecl, FuncId, FuncKind, Function, IdVec, InstData, Module, SigId, Signature};

/// Bytes of stack arguments and results that calls make room for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArgumentRoom {
    funcs: IdVec<FuncId, u32>,
    sigs: IdVec<SigId, u32>,
}

impl ArgumentRoom {
    /// The rooms of a module. `bytes_of` is the size of a signature's arguments and results on the stack.
    pub fn new(module: &Module, bytes_of: impl Fn(&Signature) -> u32) -> Self {
        let sigs: IdVec<SigId, u32> = module.signatures.values().map(bytes_of).collect();
        let funcs: IdVec<FuncId, u32> = module.decls.values().map(|decl| sigs[decl.sig]).collect();
        let mut room = Self { funcs, sigs };
        let forms = forms(module);
        let edges = Edges::new(module, &forms);
        if edges.grow(&room) {
            edges.propagate(&mut room);
            room.sigs = forms.values().map(|&form| room.sigs[form]).collect();
        }
        room
    }

    /// Room for a call of a function.
    pub fn of_func(&self, func: FuncId) -> u32 {
        self.funcs[func]
    }

    /// Room for a call.
    ///
    /// # Panics
    /// If the instruction is no call.
    pub fn of_call(&self, call: &InstData) -> u32 {
        match call {
            InstData::Call { func, .. } => self.of_func(*func),
            InstData::CallIndirect { sig, .. } => self.of_sig(*sig),
            other => panic!("{other:?} is no call"),
        }
    }

    /// Room for a call of an address with this signature.
    pub fn of_sig(&self, sig: SigId) -> u32 {
        self.sigs[sig]
    }
}

/// For each signature, the first one that is equal to it.
fn forms(module: &Module) -> IdVec<SigId, SigId> {
    let mut first = HashMap::new();
    module.signatures.iter().map(|(id, sig)| *first.entry(sig).or_insert(id)).collect()
}

/// Declares a function that calls `func` with its own arguments and returns the results.
pub fn add_adapter(module: &mut Module, func: FuncId, name: String) -> FuncId {
    let sig = module.decls[func].sig;
    let Signature { params, results } = module.signatures[sig].clone();
    let mut body = Function::new(name.clone(), sig);
    body.optimize_for_size = module.functions[func].as_ref().is_some_and(|func| func.optimize_for_size);
    let entry = body.add_block();
    let args = params.iter().map(|&ty| body.add_param(entry, ty)).collect();
    let call = body.append(entry, InstData::Call { func, args }, &results);
    let args = body.results[call].clone();
    body.append(entry, InstData::Return { args }, &[]);
    module.functions.push(Some(body));
    module.decls.push(FuncDecl { name, sig, kind: FuncKind::Local })
}

/// A function, or all functions with a signature whose address is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Callee {
    Func(FuncId),
    Sig(SigId),
}

/// For each callee, the callees that need at least as much room.
struct Edges {
    to_funcs: IdVec<FuncId, Vec<Callee>>,
    to_sigs: IdVec<SigId, Vec<Callee>>,
}

impl Edges {
    fn new(module: &Module, forms: &IdVec<SigId, SigId>) -> Self {
        let mut edges = Self {
            to_funcs: IdVec::filled(Vec::new(), module.decls.len()),
            to_sigs: IdVec::filled(Vec::new(), module.signatures.len()),
        };
        let mut referenced = IdVec::filled(false, module.decls.len());
        module.data.values().flat_map(|data| &data.relocs).for_each(|reloc| referenced[reloc.func] = true);
        for (id, body) in module.functions.iter() {
            let Some(body) = body else { continue };
            for &inst in body.blocks.values().flat_map(|block| &block.insts) {
                match body.insts[inst] {
                    InstData::TailCall { func, .. } => edges.to_funcs[func].push(Callee::Func(id)),
                    InstData::TailCallIndirect { sig, .. } => {
                        edges.to_sigs[forms[sig]].push(Callee::Func(id))
                    }
                    InstData::FuncRef { func } => referenced[func] = true,
                    _ => {}
                }
            }
        }
        for (func, _) in referenced.iter().filter(|(_, is_referenced)| **is_referenced) {
            edges.to_funcs[func].push(Callee::Sig(forms[module.decls[func].sig]));
        }
        edges
    }

    fn all(&self) -> impl Iterator<Item = (Callee, Callee)> {
        let funcs = self
            .to_funcs
            .iter()
            .flat_map(|(to, from)| from.iter().map(move |&from| (from, Callee::Func(to))));
        let sigs =
            self.to_sigs.iter().flat_map(|(to, from)| from.iter().map(move |&from| (from, Callee::Sig(to))));
        funcs.chain(sigs)
    }

    fn to(&self, callee: Callee) -> &[Callee] {
        match callee {
            Callee::Func(func) => &self.to_funcs[func],
            Callee::Sig(sig) => &self.to_sigs[sig],
        }
    }

    /// Whether any callee needs more room than its own arguments take.
    fn grow(&self, room: &ArgumentRoom) -> bool {
        self.all().any(|(from, to)| room.get(from) < room.get(to))
    }

    fn propagate(&self, room: &mut ArgumentRoom) {
        let funcs = room.funcs.ids().map(Callee::Func);
        let mut order: Vec<Callee> = funcs.chain(room.sigs.ids().map(Callee::Sig)).collect();
        order.sort_by_key(|&callee| std::cmp::Reverse(room.get(callee)));
        let mut done = [vec![false; room.funcs.len()], vec![false; room.sigs.len()]];
        for start in order {
            let bytes = room.get(start);
            let mut work = vec![start];
            while let Some(callee) = work.pop() {
                let done = match callee {
                    Callee::Func(func) => &mut done[0][func.index()],
                    Callee::Sig(sig) => &mut done[1][sig.index()],
                };
                if !std::mem::replace(done, true) {
                    room.set(callee, bytes);
                    work.extend(self.to(callee));
                }
            }
        }
    }
}

impl ArgumentRoom {
    fn get(&self, callee: Callee) -> u32 {
        match callee {
            Callee::Func(func) => self.funcs[func],
            Callee::Sig(sig) => self.sigs[sig],
        }
    }

    fn set(&mut self, callee: Callee, bytes: u32) {
        match callee {
            Callee::Func(func) => self.funcs[func] = bytes,
            Callee::Sig(sig) => self.sigs[sig] = bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chains through a table and through equal signatures. All functions from which tail calls lead to `wide` need
    /// room for its three words.
    const TEXT: &str = "\
sig (i32) -> ()
sig (i32) -> ()
table @t size=16 align=8 { 0: $chain, 8: $plain }
func $wide (i32, i32, i32) -> () {
b0(v0: i32, v1: i32, v2: i32):
  return
}
func $link (i32) -> () {
b0(v0: i32):
  tail_call $wide(v0, v0, v0)
}
func $chain (i32) -> () #1 {
b0(v0: i32):
  tail_call $link(v0)
}
func $plain (i32) -> () {
b0(v0: i32):
  call $chain(v0)
  return
}
func $indirect (i32, i32) -> () {
b0(v0: i32, v1: i32):
  v2 = load.i64.i64 [@t]
  tail_call_indirect (i32) -> () v2(v0)
}
";

    #[test]
    fn tail_calls_pass_on_what_they_need() {
        let module = ssa::parse_module(TEXT).expect("parses");
        let room = ArgumentRoom::new(&module, |sig| 4 * sig.params.len() as u32);
        let of = |name: &str| {
            let (id, _) = module.decls.iter().find(|(_, decl)| decl.name == name).expect("declared");
            room.of_func(id)
        };
        assert_eq!(["wide", "link", "chain", "plain", "indirect"].map(of), [12, 12, 12, 4, 12]);
        let narrow = module.signatures.iter().find(|(_, sig)| sig.params.len() == 1).expect("declared").0;
        assert_eq!(room.of_sig(narrow), 12);
    }
}
