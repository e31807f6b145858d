//! Every pipeline up to SSA: for each level and target, the SSA of a random program is valid, its text is that of the
//! module parsed from it, and the interpreter of SSA does with it what `wasmi` does with the program.

use anyhow::{Context, Result, anyhow, bail, ensure};
use random::Rng;
use ssa::interp::{Interpreter, Layout, Memory, Stop};
use ssa::{
    CheckedAccess, DataId, DataKind, DataObject, ExportItem, FuncId, FuncKind, Module, TrapCode, Type,
};
use wasm_pvm::{
    Cpu, FloatHelpers, Floats, GpVersion, MemoryMode, Options, PvmBounds, PvmOptions, Stage, ThumbBounds,
    ThumbOptions,
};

use super::differential::CONTENTS;
use super::options::LEVELS;
use super::split;
use crate::executor::{Call, CallExit, Executable, Host};
use crate::fuzz::{compare_loaded, module_of_bytes};
use crate::interface::{Interface, interface};
use crate::oracle::Reference;
use crate::program::raw_options;
use crate::spelled::{Open, spell_out};
use crate::{edges, shapes, thumb};

/// Fuel of the reference engine per call, and of the interpreter for all.
const FUEL: u64 = 100_000;
const SSA_FUEL: u64 = 1 << 26;
/// Bytes of a page of the machine.
const PAGE: u32 = 4096;
/// Pipelines per program.
const PIPELINES: usize = 2;

pub fn check(bytes: &[u8]) -> Result<()> {
    let (mut choices, rest) = split(bytes);
    let kind = choices.below(CONTENTS.len() + 2);
    let seed = choices.bits();
    let pipelines: Vec<Options> = (0..PIPELINES).map(|_| pipeline(&mut choices)).collect();
    let wasm = match CONTENTS.get(kind) {
        Some(&contents) => match module_of_bytes(choices, rest, contents) {
            Ok(wasm) => wasm,
            Err(_) => return Ok(()),
        },
        None if kind == CONTENTS.len() => edges::module(Rng::from_bytes(rest))?,
        None => shapes::module(Rng::from_bytes(rest))?,
    };
    let interface = interface(&wasm)?;
    // The interpreter's memories follow each other, so only a single one may grow; machines grow by pages.
    let pages = interface.memory_bytes[0].is_some_and(|bytes| bytes.is_multiple_of(1 << 16));
    if interface.grows && (interface.memories > 1 || !pages) {
        return Ok(());
    }
    for options in pipelines {
        // Reserved memory has no bytes in the interpreter.
        if options.pvm().is_some() || !interface.grows {
            compare(&wasm, &interface, seed, &options).with_context(|| format!("{options:?}"))?;
        }
    }
    Ok(())
}

fn pipeline(choices: &mut Rng) -> Options {
    let level = choices.pick(&LEVELS);
    let options = match choices.below(4) {
        0 | 1 => {
            let gp = choices.pick(&[GpVersion::V08, GpVersion::V072]);
            let target = PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() };
            raw_options(&Options::new(target))
        }
        _ => Options::new(ThumbOptions {
            memory: choices.pick(&[MemoryMode::Symbol, MemoryMode::Register]),
            bounds: Some(ThumbBounds::Check),
            float_helpers: FloatHelpers::Own,
            ..ThumbOptions::new(choices.pick(&[Cpu::M3, Cpu::M0Plus, Cpu::M33]))
        }),
    };
    Options { level, floats: Some(Floats::Soft), threads: 1, ..options }
}

fn compare(wasm: &[u8], interface: &Interface, seed: u64, options: &Options) -> Result<()> {
    let text = wasm_pvm::emit(wasm, options, Stage::Ssa)?;
    let module = ssa::parse_module(&text).map_err(|error| anyhow!("{error}"))?;
    ssa::verify(&module).map_err(|error| anyhow!("{error:?}"))?;
    ensure!(module.to_string() == text, "the text of the module that was parsed from it is another");
    let Some(mut reference) = Reference::new(&spell_out(wasm, Open::All)?, FUEL)? else { return Ok(()) };
    let mut program = Program::new(&module, interface);
    compare_loaded(&mut reference, &mut program, seed)?;
    Ok(())
}

/// A module in the interpreter.
struct Program<'m> {
    module: &'m Module,
    interface: &'m Interface,
    layout: Layout,
    interpreter: Interpreter<'m>,
}

impl<'m> Program<'m> {
    fn new(module: &'m Module, interface: &'m Interface) -> Self {
        let mut options = ssa::interp::Options { fuel: SSA_FUEL, ..ssa::interp::Options::new(module) };
        // It is the last object. At the start of a page it ends with one, too.
        if let Some(start) = linear(module).map(|id| &mut options.layout.data[id]) {
            *start = start.next_multiple_of(PAGE);
        }
        let layout = options.layout.clone();
        Self { module, interface, layout, interpreter: Interpreter::new(module, options) }
    }

    fn item(&self, name: &str) -> Option<ExportItem> {
        self.module.exports.iter().find(|export| export.name == name).map(|export| export.item)
    }

    /// Calls a function, with words cut to the width of their types.
    fn invoke(&mut self, func: FuncId, args: &[u64], host: Host<'_>) -> Result<CallExit> {
        let (module, interface, layout) = (self.module, self.interface, &self.layout);
        let sig = module.signature_of(func);
        let args: Vec<u64> = sig.params.iter().zip(args).map(|(&ty, &arg)| cut(ty, arg)).collect();
        let mut answer = |memory: &mut Memory, func: FuncId, args: &[u64]| {
            answer(module, interface, layout, host, memory, func, args)
        };
        match self.interpreter.call(func, &args, &mut answer) {
            Ok(words) => {
                let word = |(&ty, word): (&Type, u64)| {
                    if ty.bits() == 32 { i64::from(word as i32) as u64 } else { word }
                };
                Ok(CallExit::Returned(sig.results.iter().zip(words).map(word).collect()))
            }
            Err(Stop::Trap(code)) => Ok(CallExit::Trapped(Some(thumb::trap(code.number() as u8)?))),
            Err(Stop::StackOverflow | Stop::OutOfFuel) => Ok(CallExit::Exhausted),
            Err(Stop::Unspecified(what)) => bail!("{what}"),
        }
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.item(name)? {
            ExportItem::Data(id) => self.interpreter.memory.region(self.layout.data[id]),
            ExportItem::Func(_) => None,
        }
    }
}

/// The memory that may grow.
fn linear(module: &Module) -> Option<DataId> {
    let is_linear = |data: &DataObject| matches!(data.kind, DataKind::Memory(_));
    module.data.iter().find(|(_, data)| is_linear(data)).map(|(id, _)| id)
}

fn cut(ty: Type, word: u64) -> u64 {
    if ty.bits() == 32 { u64::from(word as u32) } else { word }
}

/// Answers an import of the module, or a function of the machine.
fn answer(
    module: &Module,
    interface: &Interface,
    layout: &Layout,
    host: Host<'_>,
    memory: &mut Memory,
    func: FuncId,
    args: &[u64],
) -> Result<Vec<u64>, Stop> {
    let decl = &module.decls[func];
    let sig = module.signature_of(func);
    if let FuncKind::Import(import) = &decl.kind {
        let names = interface.imports.iter().map(|(module, field, _)| (module, field));
        let index = names.clone().position(|names| names == (&import.module, &import.field));
        let index = index.ok_or_else(|| Stop::Unspecified(format!("no import {}", import.field)))?;
        let extend = |(&ty, &arg): (&Type, &u64)| {
            if ty.bits() == 32 { i64::from(arg as i32) as u64 } else { arg }
        };
        let args: Vec<u64> = sig.params.iter().zip(args).map(extend).collect();
        let word = host(index as u32, &args);
        return Ok(sig.results.iter().map(|&ty| cut(ty, word)).collect());
    }
    let start = linear(module).map_or(0, |id| layout.data[id]);
    let bytes = memory.region(start).map_or(0, <[u8]>::len) as u64;
    match decl.name.as_str() {
        CheckedAccess::SYMBOL => {
            let access = CheckedAccess::from_bits(args[1] as u32);
            let end = args[0] + u64::from(access.offset) + u64::from(access.width);
            if end <= bytes { Ok(Vec::new()) } else { Err(Stop::Trap(TrapCode::MemoryOutOfBounds)) }
        }
        // Takes the end of memory in pages of the machine.
        "__pvm_grow_heap" => {
            let end = args[0] * u64::from(PAGE);
            let has_grown = memory.resize(start, bytes.max(end.saturating_sub(start.into())));
            Ok(vec![if has_grown { args[0] } else { 0 }])
        }
        // Takes the bytes by which memory grows; its end is the result.
        "__pvm_sbrk" => {
            let end = u64::from(start) + bytes;
            let has_grown = memory.resize(start, bytes + args[0]);
            Ok(vec![if has_grown { (end + args[0]) & 0xffff_ffff } else { 0 }])
        }
        other => Err(Stop::Unspecified(format!("a call of {other}"))),
    }
}

impl Executable for Program<'_> {
    fn start(&mut self, host: Host<'_>) -> Result<CallExit> {
        match self.module.start {
            Some(func) => self.invoke(func, &[], host),
            None => Ok(CallExit::Returned(Vec::new())),
        }
    }

    fn call(&mut self, call: Call<'_>, host: Host<'_>) -> Result<CallExit> {
        match self.item(call.name).with_context(|| format!("no export {}", call.name))? {
            ExportItem::Func(func) => self.invoke(func, call.args, host),
            ExportItem::Data(_) => bail!("{} is no function", call.name),
        }
    }

    fn memory(&mut self, len: u32) -> Result<Vec<u8>> {
        let bytes = self.interpreter.linear_memory();
        Ok(bytes[..bytes.len().min(len as usize)].to_vec())
    }

    fn exported_memory(&mut self, name: &str, len: u32) -> Result<Vec<u8>> {
        let bytes = self.bytes(name).context("no such memory")?;
        Ok(bytes[..bytes.len().min(len as usize)].to_vec())
    }

    fn memory_exports(&self) -> Vec<String> {
        let names = self.interface.memory_exports.iter().map(|(name, _)| name);
        names.filter(|name| self.bytes(name).is_some()).cloned().collect()
    }

    fn global_word(&mut self, name: &str, bytes: u32) -> Result<Option<u64>> {
        let word = self.bytes(name).and_then(|data| data.get(..bytes as usize));
        Ok(word.map(|data| data.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))))
    }
}
