//! Entry points: the jumps at the start of the code and the functions behind them.
//!
//! A host enters a program at fixed positions. Entry `k` is a jump of five bytes at `5 k`; which export it leads to:
//!
//! - [`EntryMode::Auto`]: a service has `main` (or `refine`, `refine_ext`, `is_authorized`, `is_authorized_ext`) at 0
//!   and `accumulate` (or `accumulate_ext`, `main2`) at 5, and nothing else can be entered. A module with none of
//!   these names gets one entry per exported function in export order.
//! - [`EntryMode::Raw`]: one entry per exported function in export order, without conversion.
//!
//! A host passes PVM addresses in 64-bit registers, r7 = pointer and r8 = length of the arguments, and reads the
//! result from where r7 and r8 say. The wasm function wants wasm addresses in `i32`s and returns
//! `pointer | length << 32`. So in automatic mode an export whose signature fits is entered through a wrapper, an SSA
//! function like any other:
//!
//! | wasm results | r7 | r8 |
//! |---|---|---|
//! | `i64` | low half as an address | high half |
//! | `i32 i32` | first as an address | second |
//! | none (services only) | the exported global `result_ptr` as an address, if there is one | `result_len` |
//! | none, without these globals | 0 | 0 |
//!
//! Parameters are `(i32, i32)`; the entries of services may also take fewer. Any other export is entered as it is, in
//! the calling convention of the compiler.
//!
//! A program that checks every access finds in [`Module::host_arguments`] how many of the bytes after the start of the
//! argument area are arguments. Wrappers set the limits that code looks at.
//!
//! A start function must have run before any export. A wrapper in front of each entry checks a flag, so that it runs
//! once even if the host keeps the program's memory between calls.
//!
//! A host makes room on the stack for the arguments of an entry and for nothing else. A function whose tail calls need
//! more (see [`codegen::ArgumentRoom`]) is entered through an adapter that makes an ordinary call.
//!
//! A call costs a lot beside what a wrapper does. So where an entry is the only use of its function, the function
//! *becomes* its wrapper: the conversions are written into it, in front of its entry block and into its returns.

use pvm_isa::metadata::ResultConvention;
use ssa::{
    Addr, BinaryOp, Block, BlockCall, DataId, DataKind, DataObject, ExportItem, FuncDecl, FuncId, FuncKind,
    Function, IdVec, InstData, MemFlags, MemType, Module, Signature, Type, UnaryOp, Value, ValueDef,
};

use crate::memory_plan::MemoryPlan;
use crate::target::{argument_room, call_layout};

/// Bytes of an entry's jump.
pub const ENTRY_BYTES: u32 = 5;

/// Name of the entry that only runs the start function, in [`EntryMode::Raw`].
pub const START_ENTRY: &str = "(start)";

const MAIN_NAMES: [&str; 5] = ["main", "refine", "refine_ext", "is_authorized", "is_authorized_ext"];
const SECOND_NAMES: [&str; 3] = ["accumulate", "accumulate_ext", "main2"];
/// Names of the entries of services, by entry: the first that is exported is entered.
pub const SERVICE_NAMES: [&[&str]; 2] = [&MAIN_NAMES, &SECOND_NAMES];
/// Exported globals in which older AssemblyScript programs leave the result.
const RESULT_GLOBALS: [&str; 2] = ["result_ptr", "result_len"];

/// Which exports can be entered, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EntryMode {
    /// By the conventions of services where the names fit, with wrappers where the signatures fit.
    #[default]
    Auto,
    /// Every exported function as it is.
    Raw,
}

/// An entry point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The exported name; empty for a position that only fills the table.
    pub name: String,
    /// What the jump leads to; `None` panics.
    pub target: Option<FuncId>,
    /// Signature of the wasm function, in the letters of the metadata.
    pub signature: String,
}

/// Chooses the entry points of a module and adds their wrappers to it.
pub fn make_entries(module: &mut Module, mode: EntryMode, result: ResultConvention) -> Vec<Entry> {
    let exports: Vec<(String, FuncId)> = module
        .exports
        .iter()
        .filter_map(|export| match export.item {
            ExportItem::Func(func) => Some((export.name.clone(), func)),
            ExportItem::Data(_) => None,
        })
        .collect();
    let flag = module.start.map(|_| add_flag(module));
    let uses = count_uses(module);
    let limits = limits_in_use(module);
    let globals = result_globals(module);
    let mut maker = WrapperMaker { module, flag, result, uses, limits, globals };
    let first_of =
        |names: &[&str]| names.iter().find_map(|name| exports.iter().find(|(export, _)| export == name));
    let service = [first_of(&MAIN_NAMES), first_of(&SECOND_NAMES)];
    if mode == EntryMode::Auto && service.iter().any(Option::is_some) {
        let entry = |export: Option<&(String, FuncId)>| match export {
            Some((name, func)) => maker.entry(name, *func, Some(service_convention)),
            None => Entry { name: String::new(), target: None, signature: String::new() },
        };
        return service.map(entry).into();
    }
    let convention =
        (mode == EntryMode::Auto).then_some(export_convention as fn(&Signature) -> Option<Results>);
    let mut entries: Vec<Entry> =
        exports.iter().map(|(name, func)| maker.entry(name, *func, convention)).collect();
    if mode == EntryMode::Raw && maker.flag.is_some() {
        entries.push(maker.start_entry());
    }
    entries
}

/// Puts adapters in front of entries whose tail calls need more room for stack arguments than the host makes.
pub fn make_room(module: &mut Module, entries: &mut [Entry]) {
    let room = argument_room(module);
    for entry in entries {
        let Some(func) = entry.target else { continue };
        let sig = module.signature_of(func);
        if room.of_func(func) > call_layout(sig).stack_bytes {
            let name = format!("{}.adapter", module.decls[func].name);
            entry.target = Some(codegen::add_adapter(module, func, name));
        }
    }
}

/// Replaces addresses that a function extends to words by the words, now that addresses are known. Only entries
/// extend addresses.
pub fn fold_addresses(module: &mut Module, plan: &MemoryPlan) {
    for func in module.functions.values_mut().flatten() {
        for inst in func.insts.ids() {
            let InstData::Unary { op: UnaryOp::Zext, ty, arg } = func.insts[inst] else { continue };
            let Some(InstData::DataAddr { data, offset }) = func.def_inst(arg).map(|inst| &func.insts[inst])
            else {
                continue;
            };
            if let Some(address) = plan.try_address(*data) {
                let bits = i64::from(address.wrapping_add_signed(*offset));
                func.insts[inst] = InstData::Const { ty, bits };
            }
        }
    }
}

/// The letters of a signature in the metadata.
fn signature_letters(sig: &Signature) -> String {
    let letter = |ty: &Type| match ty {
        Type::I32 => 'i',
        Type::I64 => 'I',
        Type::F32 => 'f',
        Type::F64 => 'F',
    };
    sig.params.iter().map(letter).chain(['>']).chain(sig.results.iter().map(letter)).collect()
}

/// How the results of an export say where the result is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Results {
    None,
    Packed,
    Pair,
}

fn results_of(sig: &Signature) -> Option<Results> {
    match sig.results[..] {
        [] => Some(Results::None),
        [Type::I64] => Some(Results::Packed),
        [Type::I32, Type::I32] => Some(Results::Pair),
        _ => None,
    }
}

/// Exports with the name of a service entry: they may take less than both arguments and return nothing.
fn service_convention(sig: &Signature) -> Option<Results> {
    let fits = sig.params.len() <= 2 && sig.params.iter().all(|&ty| ty == Type::I32);
    results_of(sig).filter(|_| fits)
}

/// Other exports: only the exact signature tells that pointers are meant.
fn export_convention(sig: &Signature) -> Option<Results> {
    let fits = sig.params == [Type::I32, Type::I32] && sig.results == [Type::I64];
    fits.then_some(Results::Packed)
}

fn add_flag(module: &mut Module) -> DataId {
    module.data.push(DataObject {
        name: "__start_done".into(),
        kind: DataKind::Variable,
        size: 1,
        align: 1,
        init: Vec::new(),
        relocs: Vec::new(),
        addresses: Vec::new(),
    })
}

struct WrapperMaker<'a> {
    module: &'a mut Module,
    /// Whether the start function has run, if there is one.
    flag: Option<DataId>,
    result: ResultConvention,
    /// How often each function is used: called, referred to, exported.
    uses: IdVec<FuncId, u32>,
    /// The limits of arguments that code looks at.
    limits: Vec<Limit>,
    /// Where functions without results leave their result.
    globals: Option<[DataId; 2]>,
}

impl WrapperMaker<'_> {
    fn entry(
        &mut self,
        name: &str,
        func: FuncId,
        convention: Option<fn(&Signature) -> Option<Results>>,
    ) -> Entry {
        let sig = self.module.signature_of(func).clone();
        let signature = signature_letters(&sig);
        let results = convention.and_then(|convention| convention(&sig));
        let target = match results {
            None if self.flag.is_none() => func,
            _ if self.uses[func] == 1 && self.module.functions[func].is_some() => {
                self.convert(func, &sig, results)
            }
            Some(results) => self.wrapper(name, func, &sig, results),
            None => self.gate(name, func, &sig),
        };
        Entry { name: name.to_owned(), target: Some(target), signature }
    }

    /// A function that converts arguments and results and calls `func`.
    fn wrapper(&mut self, name: &str, func: FuncId, sig: &Signature, results: Results) -> FuncId {
        let mut body = Function::new(format!("entry {name}"), self.host_signature());
        let entry = body.add_block();
        let words = [0; 2].map(|_| body.add_param(entry, Type::I64));
        let block = self.run_start(&mut body, entry);
        let mut code = self.builder(&mut body, block);
        let args = code.arguments(words, sig);
        let call = code.func.append(block, InstData::Call { func, args }, &sig.results);
        let values = code.func.results[call].clone();
        let args = code.results(results, &values, self.result);
        body.append(block, InstData::Return { args }, &[]);
        self.add(body)
    }

    /// A function that makes sure that the start function has run and goes on to `func`.
    fn gate(&mut self, name: &str, func: FuncId, sig: &Signature) -> FuncId {
        let mut body = Function::new(format!("entry {name}"), self.module.decls[func].sig);
        let entry = body.add_block();
        let args = sig.params.iter().map(|&ty| body.add_param(entry, ty)).collect();
        let block = self.run_start(&mut body, entry);
        body.append(block, InstData::TailCall { func, args }, &[]);
        self.add(body)
    }

    /// Turns `func` itself into what its wrapper would be.
    fn convert(&mut self, func: FuncId, sig: &Signature, results: Option<Results>) -> FuncId {
        let mut body = self.module.functions[func].take().expect("the caller has looked");
        if let Some(results) = results {
            self.convert_returns(&mut body, sig, results);
            body.sig = self.host_signature();
            self.module.decls[func].sig = body.sig;
        }
        let old_entry = move_entry(&mut body);
        let entry = body.entry();
        let args = match results {
            Some(_) => {
                let words = [0; 2].map(|_| body.add_param(entry, Type::I64));
                let block = self.run_start(&mut body, entry);
                let args = self.builder(&mut body, block).arguments(words, sig);
                (block, args)
            }
            None => {
                let args = sig.params.iter().map(|&ty| body.add_param(entry, ty)).collect();
                (self.run_start(&mut body, entry), args)
            }
        };
        let (block, args) = args;
        body.append(block, InstData::Jump { to: BlockCall { block: old_entry, args } }, &[]);
        ssa::canonicalize(&mut body);
        self.module.functions[func] = Some(body);
        func
    }

    /// Makes every return give r7 and r8. A tail call becomes a call, because something follows it.
    fn convert_returns(&self, body: &mut Function, sig: &Signature, results: Results) {
        for block in body.blocks.ids() {
            let last = body.terminator(block);
            let call = match body.insts[last].clone() {
                InstData::Return { args } => Err(args),
                InstData::TailCall { func, args } => Ok(InstData::Call { func, args }),
                InstData::TailCallIndirect { sig, callee, args } => {
                    Ok(InstData::CallIndirect { sig, callee, args })
                }
                _ => continue,
            };
            body.blocks[block].insts.pop();
            let values = match call {
                Err(values) => values,
                Ok(call) => {
                    let call = body.append(block, call, &sig.results);
                    body.results[call].clone()
                }
            };
            let args = self.builder(body, block).results(results, &values, self.result);
            body.append(block, InstData::Return { args }, &[]);
        }
    }

    /// The signature by which a host enters a function and reads its result.
    fn host_signature(&mut self) -> ssa::SigId {
        self.module.intern_signature(Signature { params: vec![Type::I64; 2], results: vec![Type::I64; 2] })
    }

    fn builder<'f>(&'f self, func: &'f mut Function, block: Block) -> Builder<'f> {
        Builder {
            func,
            block,
            memory: self.module.memory().map(|(id, _)| id),
            limits: &self.limits,
            globals: self.globals,
        }
    }

    /// An entry that only makes sure that the start function has run: for embedders that instantiate first.
    fn start_entry(&mut self) -> Entry {
        let sig = self.module.intern_signature(Signature::default());
        let mut body = Function::new("entry start", sig);
        let entry = body.add_block();
        let block = self.run_start(&mut body, entry);
        body.append(block, InstData::Return { args: Vec::new() }, &[]);
        Entry { name: START_ENTRY.to_owned(), target: Some(self.add(body)), signature: ">".to_owned() }
    }

    /// Appends the check of the flag to `entry` and returns the block to go on in.
    fn run_start(&self, body: &mut Function, entry: Block) -> Block {
        let (Some(flag), Some(start)) = (self.flag, self.module.start) else { return entry };
        let addr = Addr { base: Some(flag), index: None, offset: 0 };
        let flags = MemFlags::default();
        let load = InstData::Load { mem: MemType::U8, ty: Type::I32, addr, flags };
        let done = body.append_value(entry, load, Type::I32);
        let [skip, first, rest] = [0; 3].map(|_| body.add_block());
        let to = |block| BlockCall { block, args: Vec::new() };
        body.append(entry, InstData::Branch { cond: done, if_true: to(skip), if_false: to(first) }, &[]);
        body.append(skip, InstData::Jump { to: to(rest) }, &[]);
        let value = body.append_value(first, InstData::Const { ty: Type::I32, bits: 1 }, Type::I32);
        body.append(first, InstData::Store { mem: MemType::U8, addr, value, flags }, &[]);
        body.append(first, InstData::Call { func: start, args: Vec::new() }, &[]);
        body.append(first, InstData::Jump { to: to(rest) }, &[]);
        rest
    }

    fn add(&mut self, mut body: Function) -> FuncId {
        ssa::canonicalize(&mut body);
        let kind = FuncKind::Local;
        let id = self.module.decls.push(FuncDecl { name: body.name.clone(), sig: body.sig, kind });
        self.module.functions.push(Some(body));
        id
    }
}

/// Moves what is in the entry block to a new block, which keeps the parameters; the entry block is empty then.
fn move_entry(body: &mut Function) -> Block {
    let entry = body.entry();
    let moved = body.add_block();
    let data = std::mem::take(&mut body.blocks[entry]);
    body.blocks[entry].freq = data.freq;
    for (n, &param) in (0..).zip(&data.params) {
        body.values[param].def = ValueDef::Param(moved, n);
    }
    body.blocks[moved] = data;
    moved
}

/// The exported globals for the result, if both are there and are 32 bits wide.
fn result_globals(module: &Module) -> Option<[DataId; 2]> {
    let found = RESULT_GLOBALS.map(|name| {
        module.exports.iter().find_map(|export| match export.item {
            ExportItem::Data(data) if export.name == name => Some(data),
            _ => None,
        })
    });
    let is_word = |data: &DataId| {
        let object = &module.data[*data];
        object.size == 4 && matches!(object.kind, DataKind::Variable | DataKind::Constant)
    };
    match found {
        [Some(pointer), Some(length)] if is_word(&pointer) && is_word(&length) => Some([pointer, length]),
        _ => None,
    }
}

/// A limit of accesses to the arguments that some code looks at.
struct Limit {
    /// Bytes of the accesses.
    width: u8,
    /// Where it is.
    addr: Addr,
}

/// The limits in [`Module::host_arguments`] that are read.
fn limits_in_use(module: &Module) -> Vec<Limit> {
    let Some(limits) = module.host_arguments else { return Vec::new() };
    let places = [1, 2, 4, 8]
        .into_iter()
        .zip((0..).step_by(4))
        .map(|(width, offset)| Limit { width, addr: Addr { base: Some(limits), index: None, offset } });
    let insts = || module.functions.values().flatten().flat_map(|func| func.insts.values());
    let is_read = |limit: &Limit| {
        insts().any(|inst| matches!(inst, InstData::Load { addr, .. } if *addr == limit.addr))
    };
    places.filter(is_read).collect()
}

/// How often each function is called, referred to, exported or started.
fn count_uses(module: &Module) -> IdVec<FuncId, u32> {
    let mut uses = IdVec::filled(0, module.decls.len());
    for body in module.functions.values().flatten() {
        for inst in body.insts.values() {
            if let InstData::Call { func, .. }
            | InstData::TailCall { func, .. }
            | InstData::FuncRef { func } = inst
            {
                uses[*func] += 1;
            }
        }
    }
    let exported = module.exports.iter().filter_map(|export| match export.item {
        ExportItem::Func(func) => Some(func),
        ExportItem::Data(_) => None,
    });
    let referred = module.data.values().flat_map(|object| object.relocs.iter().map(|reloc| reloc.func));
    exported.chain(referred).chain(module.start).for_each(|func| uses[func] += 1);
    uses
}

/// Appends straight-line code to a block.
struct Builder<'a> {
    func: &'a mut Function,
    block: Block,
    memory: Option<DataId>,
    /// Where functions without results leave their result.
    globals: Option<[DataId; 2]>,
    /// The limits to set.
    limits: &'a [Limit],
}

impl Builder<'_> {
    fn unary(&mut self, op: UnaryOp, arg: Value, ty: Type) -> Value {
        self.func.append_value(self.block, InstData::Unary { op, ty, arg }, ty)
    }

    fn binary(&mut self, op: BinaryOp, ty: Type, args: [Value; 2]) -> Value {
        self.func.append_value(self.block, InstData::Binary { op, ty, args }, ty)
    }

    fn constant(&mut self, ty: Type, bits: i64) -> Value {
        self.func.append_value(self.block, InstData::Const { ty, bits }, ty)
    }

    fn zero(&mut self) -> Value {
        self.constant(Type::I64, 0)
    }

    fn truncate(&mut self, word: Value) -> Value {
        self.unary(UnaryOp::Trunc, word, Type::I32)
    }

    fn linear_memory(&mut self, data: DataId, offset: i32) -> Value {
        self.func.append_value(self.block, InstData::DataAddr { data, offset }, Type::I32)
    }

    /// The wasm address of a PVM address in a 64-bit register.
    fn wasm_address(&mut self, word: Value) -> Value {
        let addr = self.truncate(word);
        let Some(data) = self.memory else { return addr };
        let base = self.linear_memory(data, 0);
        self.binary(BinaryOp::Sub, Type::I32, [addr, base])
    }

    /// The PVM address of a wasm address, as `i32`.
    fn pvm_address(&mut self, addr: Value) -> Value {
        let Some(data) = self.memory else { return addr };
        if let Some(known) = self.func.as_const(addr) {
            return self.linear_memory(data, known as i32);
        }
        let base = self.linear_memory(data, 0);
        self.binary(BinaryOp::Add, Type::I32, [addr, base])
    }

    /// The low half of a word as `i32`, and the high half as a word. A word that was put together from halves is
    /// taken apart instead of computed with.
    fn halves(&mut self, word: Value) -> (Value, Value) {
        if let Some(bits) = self.func.as_const(word) {
            return (
                self.constant(Type::I32, i64::from(bits as i32)),
                self.constant(Type::I64, (bits as u64 >> 32) as i64),
            );
        }
        if let Some(InstData::Binary { op: BinaryOp::Or | BinaryOp::Add, args, .. }) = self.def(word) {
            for [low, high] in [args, [args[1], args[0]]] {
                if let (Some(low), Some(high)) = (self.as_low_half(low), self.as_high_half(high)) {
                    return (low, high);
                }
            }
        }
        let bits = self.constant(Type::I64, 32);
        (self.truncate(word), self.binary(BinaryOp::ShrU, Type::I64, [word, bits]))
    }

    fn def(&self, value: Value) -> Option<InstData> {
        self.func.def_inst(value).map(|inst| self.func.insts[inst].clone())
    }

    /// The `i32` whose zero extension `word` is.
    fn as_low_half(&mut self, word: Value) -> Option<Value> {
        match self.def(word)? {
            InstData::Unary { op: UnaryOp::Zext, arg, .. } => Some(arg),
            InstData::Const { bits, .. } if u32::try_from(bits).is_ok() => {
                Some(self.constant(Type::I32, i64::from(bits as i32)))
            }
            _ => None,
        }
    }

    /// The zero-extended `i32` that `word` is a left shift of by 32.
    fn as_high_half(&mut self, word: Value) -> Option<Value> {
        match self.def(word)? {
            InstData::Binary { op: BinaryOp::Shl, args: [half, count], .. } => {
                let extended = matches!(self.def(half)?, InstData::Unary { op: UnaryOp::Zext, .. });
                (extended && self.func.as_const(count) == Some(32)).then_some(half)
            }
            InstData::Const { bits, .. } if bits as u32 == 0 => {
                Some(self.constant(Type::I64, (bits as u64 >> 32) as i64))
            }
            _ => None,
        }
    }

    fn load_word(&mut self, data: DataId) -> Value {
        let addr = Addr { base: Some(data), index: None, offset: 0 };
        let flags = MemFlags { volatile: false, align_log2: 2 };
        let load = InstData::Load { mem: MemType::S32, ty: Type::I32, addr, flags };
        self.func.append_value(self.block, load, Type::I32)
    }

    /// The arguments of a function of this signature, for r7 and r8 as a host sets them.
    fn arguments(&mut self, [pointer, length]: [Value; 2], sig: &Signature) -> Vec<Value> {
        let mut args = Vec::with_capacity(2);
        if !sig.params.is_empty() {
            self.set_limits(length);
            args.push(self.wasm_address(pointer));
        }
        if sig.params.len() > 1 {
            args.push(self.truncate(length));
        }
        args
    }

    /// Says how many places the arguments have for accesses of each width.
    fn set_limits(&mut self, length: Value) {
        for limit in self.limits {
            let mut places = length;
            if limit.width > 1 {
                let lost = self.constant(Type::I64, i64::from(limit.width) - 1);
                places = self.binary(BinaryOp::Sub, Type::I64, [length, lost]);
                let none = self.zero();
                places = self.binary(BinaryOp::MaxS, Type::I64, [places, none]);
            }
            let value = self.truncate(places);
            let flags = MemFlags { volatile: false, align_log2: 2 };
            let store = InstData::Store { mem: MemType::U32, addr: limit.addr, value, flags };
            self.func.append(self.block, store, &[]);
        }
    }

    /// r7 and r8 for the results of a function.
    fn results(&mut self, results: Results, values: &[Value], convention: ResultConvention) -> Vec<Value> {
        let (pointer, length) = match results {
            Results::None => match self.globals {
                None => return vec![self.zero(), self.zero()],
                Some(globals) => {
                    let [pointer, length] = globals.map(|global| self.load_word(global));
                    (pointer, self.unary(UnaryOp::Zext, length, Type::I64))
                }
            },
            Results::Packed => self.halves(values[0]),
            Results::Pair => (values[0], self.unary(UnaryOp::Zext, values[1], Type::I64)),
        };
        let address = self.pvm_address(pointer);
        let address = self.unary(UnaryOp::Zext, address, Type::I64);
        let second = match convention {
            ResultConvention::Length => length,
            ResultConvention::End => self.binary(BinaryOp::Add, Type::I64, [address, length]),
        };
        vec![address, second]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORTS: &str = r#"
memory @mem size=0 align=16 min=65536 page_log2=16
func $work (i32, i32) -> (i64) {
b0(v0: i32, v1: i32):
  v2 = const.i64 7
  return v2
}
func $one (i32) -> (i32) {
b0(v0: i32):
  return v0
}
func $setup () -> () {
b0:
  return
}
export "memory" @mem
"#;

    fn module(tail: &str) -> Module {
        ssa::parse_module(&format!("{EXPORTS}{tail}")).expect("parses")
    }

    fn entries(tail: &str, mode: EntryMode) -> (Module, Vec<Entry>) {
        let mut module = module(tail);
        let entries = make_entries(&mut module, mode, ResultConvention::Length);
        ssa::verify(&module).expect("verifies");
        (module, entries)
    }

    fn names(module: &Module, entries: &[Entry]) -> Vec<(String, String)> {
        let target =
            |entry: &Entry| entry.target.map_or_else(String::new, |id| module.decls[id].name.clone());
        entries.iter().map(|entry| (entry.name.clone(), target(entry))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    #[test]
    fn services_have_two_entries() {
        let (module, found) = entries("export \"x\" $one\nexport \"main\" $work\n", EntryMode::Auto);
        assert_eq!(names(&module, &found), pairs(&[("main", "work"), ("", "")]));
        let (module, found) = entries("export \"accumulate\" $one\n", EntryMode::Auto);
        assert_eq!(names(&module, &found), pairs(&[("", ""), ("accumulate", "one")]));
    }

    #[test]
    fn other_modules_have_one_entry_per_export() {
        let tail = "export \"b\" $one\nexport \"a\" $work\n";
        let (module, found) = entries(tail, EntryMode::Auto);
        assert_eq!(names(&module, &found), pairs(&[("b", "one"), ("a", "work")]));
        assert_eq!(found[1].signature, "ii>I");
        let twice = format!("{tail}export \"main2\" $work\nexport \"main\" $work\n");
        let (module, found) = entries(&twice, EntryMode::Auto);
        assert_eq!(names(&module, &found), pairs(&[("main", "entry main"), ("main2", "entry main2")]));
        let (module, found) = entries(&format!("{tail}export \"main\" $work\n"), EntryMode::Raw);
        assert_eq!(names(&module, &found), pairs(&[("b", "one"), ("a", "work"), ("main", "work")]));
    }

    fn text(tail: &str, mode: EntryMode) -> String {
        let (module, found) = entries(tail, mode);
        let target = found[0].target.expect("entered");
        ssa::print_function(&module, module.functions[target].as_ref().expect("made"))
    }

    #[test]
    fn start_functions_run_once_before_entries() {
        let once = text("export \"b\" $one\nstart $setup\n", EntryMode::Raw);
        for part in
            ["func $one", "load.u8.i32 [@__start_done]", "branch ", "store.u8 ", "call $setup()", "return v0"]
        {
            assert!(once.contains(part), "no {part} in {once}");
        }
        let twice = text("export \"b\" $one\nexport \"c\" $one\nstart $setup\n", EntryMode::Raw);
        assert!(twice.contains("call $setup()") && twice.contains("tail_call $one(v0)"), "{twice}");
    }

    #[test]
    fn wrappers_convert_addresses() {
        let wrapper = "\
func $\"entry main\" (i64, i64) -> (i64, i64) {
b0(v0: i64, v1: i64):
  v2 = trunc.i32 v0
  v3 = data_addr @mem
  v4 = sub.i32 v2, v3
  v5 = trunc.i32 v1
  v6 = call $work(v4, v5)
  v7 = const.i64 32
  v8 = trunc.i32 v6
  v9 = shr_u.i64 v6, v7
  v10 = data_addr @mem
  v11 = add.i32 v8, v10
  v12 = zext.i64 v11
  return v12, v9
}
";
        assert_eq!(text("export \"main\" $work\nexport \"x\" $work\n", EntryMode::Auto), wrapper);
    }

    #[test]
    fn a_function_used_once_becomes_its_wrapper() {
        let converted = text("export \"main\" $work\n", EntryMode::Auto);
        assert!(
            converted.starts_with("func $work (i64, i64) -> (i64, i64) {\nb0(v0: i64, v1: i64):\n"),
            "{converted}"
        );
        assert!(converted.contains("data_addr @mem") && !converted.contains("call"), "{converted}");
    }

    #[test]
    fn packed_results_are_taken_apart() {
        let tail = "func $pack (i32, i32) -> (i64) {\nb0(v0: i32, v1: i32):\n  v2 = zext.i64 v0\n  v3 = zext.i64 v1\n  \
                    v4 = const.i64 32\n  v5 = shl.i64 v3, v4\n  v6 = or.i64 v5, v2\n  return v6\n}\n";
        let converted = text(&format!("{tail}export \"main\" $pack\n"), EntryMode::Auto);
        assert!(!converted.contains("shr_u"), "{converted}");
        let mut module = module(
            "func $c () -> (i64) {\nb0:\n  v0 = const.i64 17179869200\n  return v0\n}\nexport \"main\" $c\n",
        );
        let entries = make_entries(&mut module, EntryMode::Auto, ResultConvention::Length);
        let plan = MemoryPlan::new(&module, &crate::MemoryOptions::default()).expect("fits");
        fold_addresses(&mut module, &plan);
        let func = module.functions[entries[0].target.expect("entered")].as_ref().expect("made");
        let InstData::Return { args } = &func.insts[func.terminator(func.entry())] else {
            panic!("no return")
        };
        assert_eq!(args.iter().map(|&arg| func.as_const(arg)).collect::<Vec<_>>(), [Some(0x2_0010), Some(4)]);
    }

    #[test]
    fn tail_calls_in_entries_become_calls() {
        let tail = "func $outer (i32, i32) -> (i64) {\nb0(v0: i32, v1: i32):\n  tail_call $work(v0, v1)\n}\n";
        let converted = text(&format!("{tail}export \"main\" $outer\n"), EntryMode::Auto);
        assert!(converted.contains(" = call $work(") && converted.contains("return "), "{converted}");
    }
}
