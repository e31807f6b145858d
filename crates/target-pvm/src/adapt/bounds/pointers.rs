//! The values that may be pointers to the argument bytes of an entry.
//!
//! Wrappers pass such a pointer as the first parameter of functions that hosts enter. From there it is followed through all
//! operations but comparisons, through block parameters, parameters and results of functions. Once it is stored in a
//! global, every load from that may yield it; once it is stored in memory, every load from there. The analysis does not depend on the order of instructions: it repeats a walk over all functions
//! until nothing changes, and facts only ever become true.

use ssa::{DataId, FuncId, Function, IdVec, InstData, Module, SigId, Type, Value};

/// See the module documentation.
pub struct ArgumentPointers {
    values: IdVec<FuncId, IdVec<Value, bool>>,
    facts: Facts,
}

/// Facts that cross functions.
struct Facts {
    params: IdVec<FuncId, Vec<bool>>,
    /// Whether a result of the function is such a pointer.
    results: IdVec<FuncId, bool>,
    /// The same for functions that are called through references, by signature.
    indirect_params: IdVec<SigId, Vec<bool>>,
    indirect_results: IdVec<SigId, bool>,
    /// Whether such a pointer is stored in an object.
    stored: IdVec<DataId, bool>,
    /// The same for linear memory, stack objects, and all objects whose addresses are computed.
    stored_elsewhere: bool,
    /// Whether an object is none of these.
    is_apart: IdVec<DataId, bool>,
    changed: bool,
}

impl ArgumentPointers {
    /// The pointers of a module, before it has wrappers for entries.
    pub fn of<'a>(module: &Module, memory: DataId, entered: impl Iterator<Item = &'a FuncId>) -> Self {
        let values = module.functions.values().map(|func| {
            let count = func.as_ref().map_or(0, |func| func.values.len());
            IdVec::filled(false, count)
        });
        let mut this = Self { values: values.collect(), facts: Facts::of_entered(module, memory, entered) };
        while std::mem::take(&mut this.facts.changed) {
            for (id, func) in module.functions.iter() {
                if let Some(func) = func {
                    Walk { module, func, id, facts: &mut this.facts, values: &mut this.values[id] }.run();
                }
            }
        }
        this
    }

    /// Whether a value of a function may be such a pointer.
    pub fn contains(&self, func: FuncId, value: Value) -> bool {
        self.values[func].get(value).copied().unwrap_or(true)
    }
}

impl Facts {
    fn of_entered<'a>(module: &Module, memory: DataId, entered: impl Iterator<Item = &'a FuncId>) -> Self {
        let params = |sig: &ssa::Signature| vec![false; sig.params.len()];
        let mut facts = Self {
            params: module.decls.values().map(|decl| params(&module.signatures[decl.sig])).collect(),
            results: IdVec::filled(false, module.decls.len()),
            indirect_params: module.signatures.values().map(params).collect(),
            indirect_results: IdVec::filled(false, module.signatures.len()),
            stored: IdVec::filled(false, module.data.len()),
            stored_elsewhere: false,
            is_apart: objects_apart(module, memory),
            changed: true,
        };
        for &func in entered {
            if let Some(first) = facts.params[func].first_mut() {
                *first = true;
            }
        }
        facts
    }

    /// Whether such a pointer is stored where an access with this base may be.
    fn stored_at(&mut self, base: Option<DataId>) -> &mut bool {
        match base {
            Some(data) if self.is_apart[data] => &mut self.stored[data],
            _ => &mut self.stored_elsewhere,
        }
    }

    fn set(flag: &mut bool, changed: &mut bool) {
        *changed |= !std::mem::replace(flag, true);
    }
}

/// Whether each object is accessed by its name only: it isn't linear memory, and its address is never computed.
fn objects_apart(module: &Module, memory: DataId) -> IdVec<DataId, bool> {
    let mut is_apart = IdVec::filled(true, module.data.len());
    is_apart[memory] = false;
    for inst in module.functions.values().flatten().flat_map(|func| func.insts.values()) {
        if let InstData::DataAddr { data, .. } = inst {
            is_apart[*data] = false;
        }
    }
    is_apart
}

/// One walk over a function.
struct Walk<'a> {
    module: &'a Module,
    func: &'a Function,
    id: FuncId,
    facts: &'a mut Facts,
    values: &'a mut IdVec<Value, bool>,
}

impl Walk<'_> {
    fn run(&mut self) {
        let sig = self.module.decls[self.id].sig;
        for (n, &param) in self.func.blocks[self.func.entry()].params.iter().enumerate() {
            if self.facts.params[self.id][n] || self.facts.indirect_params[sig][n] {
                self.mark(param);
            }
        }
        for block in self.func.reverse_postorder() {
            for &inst in &self.func.blocks[block].insts {
                self.inst(&self.func.insts[inst], &self.func.results[inst]);
            }
        }
    }

    fn mark(&mut self, value: Value) {
        Facts::set(&mut self.values[value], &mut self.facts.changed);
    }

    fn any(&self, args: &[Value]) -> bool {
        args.iter().any(|&arg| self.values[arg])
    }

    fn inst(&mut self, data: &InstData, results: &[Value]) {
        let sig = self.module.decls[self.id].sig;
        let is_pointer = match data {
            InstData::Icmp { .. } | InstData::Fcmp { .. } => false,
            InstData::Load { ty, addr, .. } => {
                matches!(ty, Type::I32 | Type::I64) && *self.facts.stored_at(addr.base)
            }
            InstData::Store { value, addr, .. } => {
                if self.values[*value] {
                    let mut changed = self.facts.changed;
                    Facts::set(self.facts.stored_at(addr.base), &mut changed);
                    self.facts.changed = changed;
                }
                false
            }
            InstData::Select { if_true, if_false, .. } => self.any(&[*if_true, *if_false]),
            InstData::Call { func, args } => self.call(*func, args),
            InstData::TailCall { func, args } => {
                let result = self.call(*func, args);
                self.returns(sig, result);
                false
            }
            InstData::CallIndirect { sig, args, .. } => self.call_indirect(*sig, args),
            InstData::TailCallIndirect { sig: callee, args, .. } => {
                let result = self.call_indirect(*callee, args);
                self.returns(sig, result);
                false
            }
            InstData::Return { args } => {
                let result = self.any(args);
                self.returns(sig, result);
                false
            }
            _ if data.is_terminator() => {
                self.edges(data);
                false
            }
            _ => {
                let mut is_pointer = false;
                data.for_each_arg(|arg| is_pointer |= self.values[arg]);
                is_pointer
            }
        };
        if is_pointer {
            results.iter().for_each(|&result| self.mark(result));
        }
    }

    /// Passes the arguments of edges to block parameters.
    fn edges(&mut self, terminator: &InstData) {
        for to in terminator.successors() {
            for (n, &arg) in to.args.iter().enumerate() {
                if self.values[arg] {
                    self.mark(self.func.blocks[to.block].params[n]);
                }
            }
        }
    }

    /// Passes arguments to a function; returns whether its results may be pointers. A function without a body may return
    /// what it gets.
    fn call(&mut self, func: FuncId, args: &[Value]) -> bool {
        if self.module.functions[func].is_none() {
            return self.any(args);
        }
        for (n, &arg) in args.iter().enumerate() {
            if self.values[arg] {
                Facts::set(&mut self.facts.params[func][n], &mut self.facts.changed);
            }
        }
        self.facts.results[func]
    }

    fn call_indirect(&mut self, sig: SigId, args: &[Value]) -> bool {
        for (n, &arg) in args.iter().enumerate() {
            if self.values[arg] {
                Facts::set(&mut self.facts.indirect_params[sig][n], &mut self.facts.changed);
            }
        }
        self.facts.indirect_results[sig] || self.any(args)
    }

    fn returns(&mut self, sig: SigId, is_pointer: bool) {
        if is_pointer {
            Facts::set(&mut self.facts.results[self.id], &mut self.facts.changed);
            Facts::set(&mut self.facts.indirect_results[sig], &mut self.facts.changed);
        }
    }
}
