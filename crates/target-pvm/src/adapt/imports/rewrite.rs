//! Writing the actions of imports into functions.
//!
//! Every direct call of an import is replaced in place. An import whose address is taken gets a body with one such
//! call, so that tables need no special case. Calls that trap end their block, and code that becomes unreachable is
//! removed.
//!
//! The second result of a host call is usually requested (`host_call_r8`) right after the call; the request then
//! becomes that call's second result. A variable keeps the last second result only if some request has no such call
//! before it in its block.

use std::collections::{BTreeMap, BTreeSet};

use ssa::{
    Addr, BinaryOp, Cond, DataId, DataObject, FuncDecl, FuncId, FuncKind, Function, IdVec, Inst, InstData,
    MemFlags, MemType, Module, Reachable, Signature, TrapCode, Type, UnaryOp, Value,
};

use super::host_calls::{Argument, HostCall, LOG, Numbering};
use super::{HostCalls, ImportAction, ImportError};

/// The code address at which a program halts: the return address of its entries.
const HALT: i64 = 0xffff_0000_u32 as i32 as i64;

/// The actions of imports, and the numbers of host calls.
#[derive(Clone, Copy)]
pub(super) struct Actions<'a> {
    pub of: &'a IdVec<FuncId, Option<ImportAction>>,
    pub numbering: Numbering,
}

pub(super) fn rewrite(
    module: &mut Module,
    memory: Option<DataId>,
    actions: Actions<'_>,
    reachable: &Reachable,
    ambiguous: &mut BTreeSet<u32>,
) -> Result<HostCalls, ImportError> {
    let kinds: Vec<FuncKind> = module.decls.values().map(|decl| decl.kind.clone()).collect();
    let imports: Vec<FuncId> =
        actions.of.iter().filter(|(_, action)| action.is_some()).map(|(id, _)| id).collect();
    for &id in imports.iter().filter(|&&id| reachable.referenced[id]) {
        module.functions[id] = Some(thunk(module, id));
        module.decls[id].kind = FuncKind::Local;
    }
    let funcs: Vec<FuncId> =
        actions.of.ids().filter(|&id| reachable.funcs[id] && module.functions[id].is_some()).collect();
    let mut cx = Context {
        module,
        actions,
        ambiguous,
        memory,
        second: None,
        imports: kinds.into_iter().collect(),
        import_names: BTreeMap::new(),
        calls: BTreeMap::new(),
    };
    cx.second = cx.needs_variable(&funcs).then(|| add_variable(cx.module));
    for id in funcs {
        let mut func = cx.module.functions[id].take().expect("filtered");
        let result = FunctionRewriter::new(&mut cx, &mut func).run();
        cx.module.functions[id] = Some(func);
        result?;
    }
    let calls = std::mem::take(&mut cx.calls);
    let mut host_calls = IdVec::filled(None, module.decls.len());
    calls.into_iter().for_each(|((number, ..), id)| host_calls[id] = Some(number));
    Ok(host_calls)
}

/// A body for an import: a call of itself, which is then replaced by the action.
fn thunk(module: &Module, id: FuncId) -> Function {
    let sig = module.signature_of(id);
    let mut func = Function::new(module.decls[id].name.clone(), module.decls[id].sig);
    let block = func.add_block();
    let args = sig.params.iter().map(|&ty| func.add_param(block, ty)).collect();
    let call = func.append(block, InstData::Call { func: id, args }, &sig.results);
    let args = func.results[call].clone();
    func.append(block, InstData::Return { args }, &[]);
    func
}

fn add_variable(module: &mut Module) -> DataId {
    module.data.push(DataObject::variable("__host_call_r8", 8))
}

/// State shared by all functions.
struct Context<'a> {
    module: &'a mut Module,
    actions: Actions<'a>,
    /// Numbers of host calls in the code with different meanings in different versions.
    ambiguous: &'a mut BTreeSet<u32>,
    memory: Option<DataId>,
    /// The variable for second results, if some request needs it.
    second: Option<DataId>,
    /// The kinds of the program's functions before imports got bodies.
    imports: IdVec<FuncId, FuncKind>,
    /// Names of imports that are logged.
    import_names: BTreeMap<FuncId, DataId>,
    /// Host calls by number, number of arguments, number of results.
    calls: BTreeMap<(u32, usize, usize), FuncId>,
}

impl Context<'_> {
    fn action_of(&self, inst: &InstData) -> Option<ImportAction> {
        match inst {
            InstData::Call { func, .. } | InstData::TailCall { func, .. } => {
                self.actions.of.get(*func).copied().flatten()
            }
            _ => None,
        }
    }

    fn needs_variable(&self, funcs: &[FuncId]) -> bool {
        let bodies = funcs.iter().filter_map(|&id| self.module.functions[id].as_ref());
        bodies.flat_map(|func| func.blocks.values().map(move |block| (func, block))).any(|(func, block)| {
            let mut known = false;
            block.insts.iter().any(|&inst| match self.action_of(&func.insts[inst]) {
                Some(ImportAction::HostCall { both: true }) => {
                    known = true;
                    false
                }
                Some(ImportAction::SecondResult) => !known,
                _ => false,
            })
        })
    }

    /// The data object with the name of an import, and the name's length in bytes.
    fn name_of(&mut self, import: FuncId) -> (DataId, i64) {
        let FuncKind::Import(ssa::Import { module, field }) = &self.imports[import] else {
            unreachable!("only imports have actions")
        };
        let text = format!("{module}.{field} is not available");
        let length = text.len();
        let data = *self.import_names.entry(import).or_insert_with(|| {
            let name = format!("__import_name.{module}.{field}");
            self.module.data.push(DataObject::constant(name, 1, text.into_bytes()))
        });
        (data, length as i64)
    }

    /// The number of a host call that the code calls by number.
    fn translated(&mut self, number: u32) -> Result<u32, ImportError> {
        let numbering = self.actions.numbering;
        self.ambiguous.extend(numbering.is_ambiguous(number).then_some(number));
        numbering.translate(number)
    }

    /// The number of a host call in the version of the program.
    fn number_of(&self, call: &HostCall) -> u32 {
        call.number(self.actions.numbering.gp).expect("checked with the signature")
    }

    /// The function that represents `ecalli number`.
    fn host_call(&mut self, number: u32, args: usize, results: usize) -> FuncId {
        if let Some(&known) = self.calls.get(&(number, args, results)) {
            return known;
        }
        let sig = Signature { params: vec![Type::I64; args], results: vec![Type::I64; results] };
        let sig = self.module.intern_signature(sig);
        let name = format!("ecalli.{number}.{args}.{results}");
        let kind = FuncKind::Intrinsic("__pvm_ecalli".into());
        let id = self.module.decls.push(FuncDecl { name, sig, kind });
        self.module.functions.push(None);
        self.calls.insert((number, args, results), id);
        id
    }
}

/// The replacement of a call.
enum Replacement {
    Values(Vec<Value>),
    Trap,
    /// The program halts with these words.
    Halt(Vec<Value>),
}

struct FunctionRewriter<'a, 'm> {
    cx: &'a mut Context<'m>,
    func: &'a mut Function,
    /// The current block's new instructions.
    out: Vec<Inst>,
    /// The second result of the last host call of this block that kept it.
    second: Option<Value>,
    replaced: Vec<(Value, Value)>,
    truncated: bool,
}

impl<'a, 'm> FunctionRewriter<'a, 'm> {
    fn new(cx: &'a mut Context<'m>, func: &'a mut Function) -> Self {
        Self { cx, func, out: Vec::new(), second: None, replaced: Vec::new(), truncated: false }
    }

    fn run(mut self) -> Result<(), ImportError> {
        let calls_import = |block: &ssa::BlockData| {
            block.insts.iter().any(|&inst| self.cx.action_of(&self.func.insts[inst]).is_some())
        };
        let blocks: Vec<_> =
            self.func.blocks.iter().filter(|(_, block)| calls_import(block)).map(|(id, _)| id).collect();
        if blocks.is_empty() {
            return Ok(());
        }
        for block in blocks {
            self.second = None;
            for inst in std::mem::take(&mut self.func.blocks[block].insts) {
                if !self.instruction(inst)? {
                    break;
                }
            }
            self.func.blocks[block].insts = std::mem::take(&mut self.out);
        }
        self.func.source.follow_none();
        self.replace_values();
        if self.truncated {
            ssa::canonicalize(self.func);
            ssa::estimate_frequencies(self.func);
        }
        Ok(())
    }

    /// Copies or replaces one instruction; returns whether the block continues after it.
    fn instruction(&mut self, inst: Inst) -> Result<bool, ImportError> {
        let data = &self.func.insts[inst];
        let Some(action) = self.cx.action_of(data) else {
            self.out.push(inst);
            return Ok(true);
        };
        self.func.source.follow(inst);
        let (callee, args, is_tail) = match data {
            InstData::Call { func, args } => (*func, args.clone(), false),
            InstData::TailCall { func, args } => (*func, args.clone(), true),
            _ => unreachable!("only calls have actions"),
        };
        let sig = self.cx.module.signature_of(callee).clone();
        if action == ImportAction::LoggedTrap {
            self.log_name(callee);
        }
        match self.expand(action, &sig, &args)? {
            Replacement::Trap => {
                self.emit(InstData::Trap { code: TrapCode::Import }, &[]);
                self.truncated = true;
                return Ok(false);
            }
            Replacement::Halt(args) => {
                self.halt(args);
                self.truncated = true;
                return Ok(false);
            }
            Replacement::Values(args) if is_tail => {
                self.emit(InstData::Return { args }, &[]);
            }
            Replacement::Values(values) => {
                let results = self.func.results[inst].clone();
                self.replaced.extend(results.into_iter().zip(values));
            }
        }
        Ok(true)
    }

    fn expand(
        &mut self,
        action: ImportAction,
        sig: &Signature,
        args: &[Value],
    ) -> Result<Replacement, ImportError> {
        let values = match action {
            ImportAction::Trap | ImportAction::LoggedTrap => return Ok(Replacement::Trap),
            ImportAction::Nop => {
                sig.results.iter().map(|&ty| self.value(InstData::Const { ty, bits: 0 }, ty)).collect()
            }
            ImportAction::Ecalli(number) => self.ecalli(number, sig, &sig.params, args, sig.results.len()),
            ImportAction::Named(call) => {
                self.ecalli(self.cx.number_of(call), sig, &sig.params, args, sig.results.len())
            }
            ImportAction::Jam(call) => self.jam(call, sig, args),
            ImportAction::HostCall { both } => {
                let number = self.func.as_const(args[0]).and_then(|n| u32::try_from(n).ok());
                let number = number
                    .ok_or_else(|| ImportError::NumberNotConstant { function: self.func.name.clone() })?;
                let number = self.cx.translated(number)?;
                let kept = if both { super::MAX_RESULTS } else { sig.results.len() };
                self.ecalli(number, sig, &sig.params[1..], &args[1..], kept)
            }
            ImportAction::SecondResult => vec![self.second_result()],
            ImportAction::PvmPtr(memory) => {
                vec![self.pvm_ptr(memory, args[0], sig.params[0], sig.results[0])]
            }
            ImportAction::Halt => return Ok(Replacement::Halt(args.to_vec())),
        };
        Ok(Replacement::Values(values))
    }

    /// Logs the name of an import with level "error" and without a target (JIP-1).
    fn log_name(&mut self, import: FuncId) {
        let (data, length) = self.cx.name_of(import);
        let addr = self.value(InstData::DataAddr { data, offset: 0 }, Type::I32);
        let addr = self.unary(UnaryOp::Zext, addr, Type::I64);
        let mut constant = |bits: i64| self.value(InstData::Const { ty: Type::I64, bits }, Type::I64);
        let (zero, length) = (constant(0), constant(length));
        let func = self.cx.host_call(LOG, 5, 0);
        self.emit(InstData::Call { func, args: vec![zero, zero, zero, addr, length] }, &[]);
    }

    /// Calls the host with `args` of the given types. The call has `words` results, at least those of `sig`.
    fn ecalli(
        &mut self,
        number: u32,
        sig: &Signature,
        types: &[Type],
        args: &[Value],
        words: usize,
    ) -> Vec<Value> {
        let args: Vec<Value> = args.iter().zip(types).map(|(&arg, &ty)| self.word_of(arg, ty)).collect();
        let func = self.cx.host_call(number, args.len(), words);
        let call = self.emit(InstData::Call { func, args }, &vec![Type::I64; words]);
        let results = self.func.results[call].clone();
        if words > sig.results.len() {
            self.second = Some(results[1]);
            if let Some(data) = self.cx.second {
                let addr = Addr { base: Some(data), index: None, offset: 0 };
                let flags = MemFlags { volatile: false, align_log2: 3 };
                self.emit(InstData::Store { mem: MemType::I64, addr, value: results[1], flags }, &[]);
            }
        }
        results.iter().zip(&sig.results).map(|(&word, &ty)| self.value_of(word, ty)).collect()
    }

    /// A host call whose arguments include wasm addresses.
    fn jam(&mut self, call: &HostCall, sig: &Signature, args: &[Value]) -> Vec<Value> {
        let kinds = call.arguments(self.cx.actions.numbering.gp);
        let mut words = Vec::new();
        for (kind, (&arg, &ty)) in kinds.zip(args.iter().zip(&sig.params)) {
            words.push(match kind {
                Argument::Word => arg,
                Argument::Address => self.pvm_ptr(0, arg, ty, ty),
                Argument::Optional => {
                    let address = self.pvm_ptr(0, arg, ty, ty);
                    let zero = self.value(InstData::Const { ty, bits: 0 }, ty);
                    let is_there = InstData::Icmp { cond: Cond::Ne, ty, args: [arg, zero] };
                    let cond = self.value(is_there, Type::I32);
                    self.value(InstData::Select { ty, cond, if_true: address, if_false: zero }, ty)
                }
            });
        }
        self.ecalli(self.cx.number_of(call), sig, &sig.params, &words, sig.results.len())
    }

    fn second_result(&mut self) -> Value {
        if let Some(known) = self.second {
            return known;
        }
        let data = self.cx.second.expect("a question that needs the variable made it");
        let addr = Addr { base: Some(data), index: None, offset: 0 };
        let flags = MemFlags { volatile: false, align_log2: 3 };
        self.value(InstData::Load { mem: MemType::I64, ty: Type::I64, addr, flags }, Type::I64)
    }

    /// Leaves the program as its entry does when it returns: by a jump to the address that the host gave. It is a tail
    /// call, so that r7 and r8 are its arguments.
    fn halt(&mut self, args: Vec<Value>) {
        let results = self.cx.module.signatures[self.func.sig].results.clone();
        let sig = self.cx.module.intern_signature(Signature { params: vec![Type::I64; 2], results });
        let callee = self.value(InstData::Const { ty: Type::I32, bits: HALT }, Type::I32);
        self.emit(InstData::TailCallIndirect { sig, callee, args }, &[]);
    }

    fn pvm_ptr(&mut self, memory: u32, arg: Value, from: Type, to: Type) -> Value {
        let mut addr = match from {
            Type::I64 => self.unary(UnaryOp::Trunc, arg, Type::I32),
            _ => arg,
        };
        if let Some(data) = self.memory(memory) {
            let base = self.value(InstData::DataAddr { data, offset: 0 }, Type::I32);
            let add = InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [addr, base] };
            addr = self.value(add, Type::I32);
        }
        self.extended(addr, to)
    }

    /// The memory with this number. If nothing accesses it, it has no place, and any address will do.
    fn memory(&self, number: u32) -> Option<DataId> {
        let Some(nth) = number.checked_sub(1) else { return self.cx.memory };
        let objects = self.cx.module.data.iter();
        let mut others = objects.filter(|(_, object)| object.kind == ssa::DataKind::FixedMemory);
        others.nth(nth as usize).map(|(id, _)| id)
    }

    fn extended(&mut self, value: Value, to: Type) -> Value {
        if to == Type::I64 { self.unary(UnaryOp::Zext, value, Type::I64) } else { value }
    }

    fn word_of(&mut self, value: Value, ty: Type) -> Value {
        match ty {
            Type::I64 => value,
            Type::I32 => self.unary(UnaryOp::Zext, value, Type::I64),
            Type::F64 => self.unary(UnaryOp::Bitcast, value, Type::I64),
            Type::F32 => {
                let bits = self.unary(UnaryOp::Bitcast, value, Type::I32);
                self.unary(UnaryOp::Zext, bits, Type::I64)
            }
        }
    }

    fn value_of(&mut self, word: Value, ty: Type) -> Value {
        match ty {
            Type::I64 => word,
            Type::I32 => self.unary(UnaryOp::Trunc, word, Type::I32),
            Type::F64 => self.unary(UnaryOp::Bitcast, word, Type::F64),
            Type::F32 => {
                let bits = self.unary(UnaryOp::Trunc, word, Type::I32);
                self.unary(UnaryOp::Bitcast, bits, Type::F32)
            }
        }
    }

    fn unary(&mut self, op: UnaryOp, arg: Value, ty: Type) -> Value {
        self.value(InstData::Unary { op, ty, arg }, ty)
    }

    fn value(&mut self, data: InstData, ty: Type) -> Value {
        let inst = self.emit(data, &[ty]);
        self.func.result(inst)
    }

    fn emit(&mut self, data: InstData, types: &[Type]) -> Inst {
        let inst = self.func.make_inst(data, types);
        self.out.push(inst);
        inst
    }

    /// Replaces the results of removed calls. Chains arise where an identity was replaced by its operand.
    fn replace_values(&mut self) {
        let mut table = IdVec::<Value, Option<Value>>::filled(None, self.func.values.len());
        self.replaced.iter().for_each(|&(old, new)| table[old] = Some(new));
        for inst in self.func.insts.values_mut() {
            inst.map_args(|mut value| {
                while let Some(new) = table[value] {
                    value = new;
                }
                value
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapt::imports::{ImportMap, resolve};
    use crate::memory::linear_memory;
    use pvm_isa::GpVersion;
    use ssa::EntityId;

    const TEXT: &str = include_str!("../../../tests/imports.ssa");

    const NEWEST: Numbering = Numbering { gp: GpVersion::V08, written_for: None };

    fn module() -> Module {
        let module = ssa::parse_module(TEXT).expect("parses");
        ssa::verify(&module).expect("verifies");
        module
    }

    fn all(module: &Module) -> Reachable {
        let exported = module.decls.ids().filter(|&id| module.functions[id].is_some());
        Reachable::new(module, exported.collect::<Vec<_>>(), [])
    }

    fn resolved(map: &str) -> (Module, HostCalls) {
        let mut module = module();
        let map = ImportMap::parse(map, GpVersion::V08).expect("well-formed");
        let (reachable, memory) = (all(&module), linear_memory(&module));
        let resolved = resolve(&mut module, memory, &map, NEWEST, &reachable).expect("resolves");
        ssa::verify(&module).expect("verifies");
        (module, resolved.host_calls)
    }

    /// The callees of a function with their host-call numbers, and its other instructions by name.
    fn shape(module: &Module, host_calls: &HostCalls, name: &str) -> Vec<String> {
        let func = module.functions.values().flatten().find(|func| func.name == name).expect("there");
        let insts = func.blocks.values().flat_map(|block| &block.insts).map(|&inst| &func.insts[inst]);
        insts
            .map(|inst| match inst {
                InstData::Call { func, args } => {
                    format!("ecalli {} ({})", host_calls[*func].expect("a host call"), args.len())
                }
                InstData::Unary { op, .. } => format!("{op:?}"),
                InstData::Binary { op, .. } => format!("{op:?}"),
                other => format!("{other:?}").split([' ', '{']).next().expect("a name").to_owned(),
            })
            .collect()
    }

    #[test]
    fn calls_become_host_calls_with_words() {
        let (module, host_calls) = resolved("log = log\nunused = nop\nquiet = nop");
        let logs = shape(&module, &host_calls, "logs");
        assert_eq!(logs, ["Zext", "ecalli 100 (2)", "Trunc", "Branch", "Return", "Return"]);
        assert_eq!(shape(&module, &host_calls, "tail"), ["Zext", "ecalli 100 (2)", "Trunc", "Return"]);
        assert_eq!(shape(&module, &host_calls, "silent"), ["Const", "Return"]);
    }

    #[test]
    fn traps_end_their_block() {
        let (module, host_calls) = resolved("log = trap\nunused = nop\nquiet = nop");
        assert_eq!(shape(&module, &host_calls, "logs"), ["Trap"]);
    }

    #[test]
    fn second_results_are_forwarded_or_kept() {
        let (module, host_calls) = resolved("log = log\nunused = nop\nquiet = nop");
        let near = shape(&module, &host_calls, "second");
        assert_eq!(near, ["Const", "ecalli 10 (0)", "Store", "Add", "Return"]);
        assert_eq!(shape(&module, &host_calls, "far"), ["Load", "Return"]);
    }

    #[test]
    fn pointers_are_translated() {
        let (module, host_calls) = resolved("log = log\nunused = nop\nquiet = nop");
        assert_eq!(shape(&module, &host_calls, "pointer"), ["Trunc", "DataAddr", "Add", "Zext", "Return"]);
    }

    #[test]
    fn unmapped_imports_are_all_listed() {
        let mut module = module();
        let (reachable, memory) = (all(&module), linear_memory(&module));
        let error =
            resolve(&mut module, memory, &ImportMap::default(), NEWEST, &reachable).err().expect("unmapped");
        assert_eq!(error, ImportError::Unmapped(vec!["env.log".into(), "env.quiet".into()]));
        let auto = ImportMap::default().with_auto(1000);
        let resolved = resolve(&mut module, memory, &auto, NEWEST, &reachable).expect("numbered");
        assert!(resolved.host_calls.values().flatten().any(|&number| number == 1000));
        let numbers: Vec<_> = resolved.imports.iter().map(|import| import.kind).collect();
        assert!(numbers.contains(&pvm_isa::metadata::ImportKind::Ecalli(1002)));
    }

    #[test]
    fn numbers_must_be_constant() {
        let mut module = module();
        let func = module.functions.values_mut().flatten().find(|func| func.name == "second").expect("there");
        let call = func.blocks[ssa::Block::new(0)].insts[1];
        let param = func.add_param(ssa::Block::new(0), Type::I64);
        func.insts[call].map_args(|_| param);
        let (reachable, memory) = (all(&module), linear_memory(&module));
        let error = resolve(&mut module, memory, &ImportMap::default().with_auto(1), NEWEST, &reachable);
        assert_eq!(
            error.err().expect("not constant"),
            ImportError::NumberNotConstant { function: "second".into() }
        );
    }
}
