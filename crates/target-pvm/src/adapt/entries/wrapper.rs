//! Wrappers of exported functions: the start function runs first, and arguments and results are converted. A wrapper
//! is a function of its own or part of the exported function.

use std::collections::BTreeMap;

use pvm_isa::metadata::{HostResult, ResultConvention};
use pvm_isa::{CodeFormat, blocks};
use ssa::{
    Addr, Block, BlockCall, DataId, DataObject, ExportItem, FuncDecl, FuncId, FuncKind, Function, IdVec,
    InstData, MemFlags, MemType, Module, Signature, Type, UnaryOp, Value, ValueDef,
};

use super::arguments::{Limit, limits_in_use, replace_loads};
use super::convert::Builder;
use super::results::result_globals;

/// Which exports can be entered, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EntryMode {
    /// By the conventions of services where the names fit, with wrappers where the signatures fit.
    #[default]
    Auto,
    /// Every exported function as it is.
    Raw,
}

/// The convention of entries.
pub struct Entering<'a> {
    /// Which exports can be entered, and how.
    pub mode: EntryMode,
    /// How entry functions return their result.
    pub result: ResultConvention,
    /// Signatures of exports by name, in the letters of the metadata, where SSA types don't tell those of wasm.
    pub signatures: &'a BTreeMap<String, String>,
    /// Whether pointers and lengths of a service's entries may be `i64`.
    pub wide_pointers: bool,
    /// The format of the code.
    pub format: CodeFormat,
    /// The least bytes of arguments with which functions may be entered, where that is not 0.
    pub least: BTreeMap<FuncId, u32>,
}

impl Entering<'_> {
    /// The signature of an export in letters.
    pub fn letters(&self, name: &str, sig: &Signature) -> String {
        self.signatures.get(name).cloned().unwrap_or_else(|| signature_letters(sig))
    }
}

/// Bytes of an entry's jump. Its offset has four bytes, so its length doesn't depend on the code.
pub const JUMP_BYTES: u32 = 5;

/// The convention of hosts that fits a signature in letters, if one does.
pub type Convention = fn(&str) -> Option<HostResult>;

/// Name of the entry that only runs the start function, in [`EntryMode::Raw`].
pub const START_ENTRY: &str = "(start)";

/// An entry point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The exported name; empty for a position that only fills the table.
    pub name: String,
    /// The code offset at which it is entered.
    pub pc: u32,
    /// The function that the jump leads to; without one, entering panics.
    pub target: Option<FuncId>,
    /// Signature of the wasm function, in the letters of the metadata.
    pub signature: String,
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

fn add_flag(module: &mut Module) -> DataId {
    module.data.push(DataObject::variable("__start_done", 1))
}

pub struct WrapperMaker<'a> {
    pub(super) module: &'a mut Module,
    /// Linear memory, if there is one.
    memory: Option<DataId>,
    /// The code offset of the next entry.
    pc: u32,
    /// Distance between two entries.
    spacing: u32,
    format: CodeFormat,
    /// Whether the start function has run, if there is one.
    flag: Option<DataId>,
    result: ResultConvention,
    /// Signatures of exports, where SSA types don't tell them.
    signatures: &'a BTreeMap<String, String>,
    /// How often each function is used: called, referred to, exported.
    pub(super) uses: IdVec<FuncId, u32>,
    /// The limits of arguments that code reads.
    limits: Vec<Limit>,
    /// See [`Entering::least`].
    least: &'a BTreeMap<FuncId, u32>,
    /// Globals in which functions without results leave address and length.
    globals: Option<[DataId; 2]>,
}

impl<'a> WrapperMaker<'a> {
    pub fn new(
        module: &'a mut Module,
        memory: Option<DataId>,
        entering: &'a Entering<'a>,
        spacing: u32,
    ) -> Self {
        let flag = module.start.map(|_| add_flag(module));
        let uses = count_uses(module);
        let limits = limits_in_use(module);
        let globals = result_globals(module);
        let Entering { result, signatures, least, format, .. } = entering;
        Self {
            module,
            memory,
            pc: 0,
            spacing,
            format: *format,
            flag,
            result: *result,
            signatures,
            uses,
            limits,
            least,
            globals,
        }
    }

    /// Whether a start function must run first.
    pub fn has_start(&self) -> bool {
        self.flag.is_some()
    }

    /// The entry of an exported function, with a wrapper if it needs one.
    pub fn entry(&mut self, name: &str, func: FuncId, convention: Option<Convention>) -> Entry {
        let sig = self.module.signature_of(func).clone();
        let signature = self.signature(name, &sig);
        let results = convention.and_then(|convention| convention(&signature));
        let target = match results {
            None if self.flag.is_none() => func,
            _ if self.uses[func] == 1 && self.module.functions[func].is_some() => {
                self.convert(func, &sig, results)
            }
            Some(results) => self.wrapper(name, func, &sig, results),
            None => self.gate(name, func, &sig),
        };
        self.at_next_pc(name, Some(target), signature)
    }

    /// The signature of an export in letters.
    pub(super) fn signature(&self, name: &str, sig: &Signature) -> String {
        self.signatures.get(name).cloned().unwrap_or_else(|| signature_letters(sig))
    }

    /// A position that can't be entered.
    pub fn no_entry(&mut self) -> Entry {
        self.at_next_pc("", None, String::new())
    }

    pub(super) fn at_next_pc(&mut self, name: &str, target: Option<FuncId>, signature: String) -> Entry {
        let pc = self.pc;
        self.pc += self.spacing;
        while self.format == CodeFormat::Blocks && !blocks::fits(self.pc as usize, JUMP_BYTES as usize, true)
        {
            self.pc += self.spacing;
        }
        Entry { name: name.to_owned(), pc, target, signature }
    }

    /// A function that converts arguments and results and calls `func`.
    fn wrapper(&mut self, name: &str, func: FuncId, sig: &Signature, results: HostResult) -> FuncId {
        let mut body = Function::new(format!("entry {name}"), self.host_signature());
        let entry = body.add_block();
        let words = [0; 2].map(|_| body.add_param(entry, Type::I64));
        let block = self.run_start(&mut body, entry);
        let mut code = self.builder(&mut body, block);
        let args = code.arguments(words, sig, self.least_of(func));
        let call = code.func.append(code.block, InstData::Call { func, args }, &sig.results);
        let values = code.func.results[call].clone();
        let args = code.results(results, &values, self.result);
        let block = code.block;
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

    /// Makes the wrapper part of `func` itself.
    fn convert(&mut self, func: FuncId, sig: &Signature, results: Option<HostResult>) -> FuncId {
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
                self.pass_length(&mut body, func, block, words[1]);
                let mut code = self.builder(&mut body, block);
                let args = code.arguments(words, sig, self.least_of(func));
                (code.block, args)
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

    /// Makes a function that only its wrapper calls use the length of the arguments as the host passes it.
    fn pass_length(&mut self, body: &mut Function, func: FuncId, block: Block, length: Value) {
        let Some(limit) = self.limits.iter_mut().find(|limit| limit.width == 1) else { return };
        if limit.readers.remove(&func) {
            let truncate = InstData::Unary { op: UnaryOp::Trunc, ty: Type::I32, arg: length };
            let length = body.append_value(block, truncate, Type::I32);
            replace_loads(body, &limit.addr, length);
        }
    }

    /// Makes every return give r7 and r8. A tail call becomes a call, because something follows it.
    fn convert_returns(&self, body: &mut Function, sig: &Signature, results: HostResult) {
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

    fn least_of(&self, func: FuncId) -> u32 {
        self.least.get(&func).copied().unwrap_or(0)
    }

    fn builder<'f>(&'f self, func: &'f mut Function, block: Block) -> Builder<'f> {
        Builder { func, block, memory: self.memory, limits: &self.limits, globals: self.globals }
    }

    /// An entry that only makes sure that the start function has run: for embedders that instantiate first.
    pub fn start_entry(&mut self) -> Entry {
        let sig = self.module.intern_signature(Signature::default());
        let mut body = Function::new("entry start", sig);
        let entry = body.add_block();
        let block = self.run_start(&mut body, entry);
        body.append(block, InstData::Return { args: Vec::new() }, &[]);
        let target = self.add(body);
        self.at_next_pc(START_ENTRY, Some(target), ">".to_owned())
    }

    /// Appends the check of the flag to `entry` and returns the block to go on in.
    pub(super) fn run_start(&self, body: &mut Function, entry: Block) -> Block {
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

    pub(super) fn add(&mut self, mut body: Function) -> FuncId {
        ssa::canonicalize(&mut body);
        let kind = FuncKind::Local;
        let id = self.module.decls.push(FuncDecl { name: body.name.clone(), sig: body.sig, kind });
        self.module.functions.push(Some(body));
        id
    }
}

/// Moves the contents of the entry block, with its parameters, to a new block. The entry block is empty afterwards.
pub(super) fn move_entry(body: &mut Function) -> Block {
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

/// How often each function is called, referred to, exported or started.
pub(super) fn count_uses(module: &Module) -> IdVec<FuncId, u32> {
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
