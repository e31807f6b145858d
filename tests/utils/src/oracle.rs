//! The independent engine: `wasmi`, wrapped for comparison with compiled programs.
//!
//! Values cross as machine words in the representation of the PVM (an i32 sign-extended), so that both sides speak the
//! same language. Imported functions are answered by [`import_result`], a fixed function of the import and its
//! arguments, and every call is recorded.

use anyhow::{Context, Result, bail};
use wasmi::{
    Config, Engine, Extern, ExternType, Instance, Linker, Module, Store, StoreLimits, StoreLimitsBuilder,
    TrapCode, Val, ValType,
};

use crate::executor::Trap;

/// The outcome of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Returned these words.
    Returned(Vec<u64>),
    /// Trapped.
    Trapped(Trap),
    /// Ran out of stack or fuel: no judgement about the program.
    Exhausted,
}

/// A call of an import: its index among the imported functions, and its arguments.
pub type ImportCall = (u32, Vec<u64>);

/// The results of imports: by the import, its arguments, and the number of calls before.
pub type Answers = fn(u32, &[u64], usize) -> u64;

/// An instance in an engine that judges.
pub trait Oracle {
    /// Exported functions whose parameters and results are integers, in export order.
    fn integer_exports(&self) -> Vec<Export>;

    /// Calls an exported function with at most this much fuel.
    ///
    /// # Errors
    /// If the engine fails.
    fn call(&mut self, export: &Export, args: &[u64], fuel: u64) -> Result<Outcome>;

    /// Calls of imports since this was last called.
    fn take_import_calls(&mut self) -> Vec<ImportCall>;

    /// The bytes of an exported memory.
    fn memory_bytes(&self, name: &str) -> Option<Vec<u8>>;

    /// Exported integer globals with their size in bytes and value, in export order.
    fn integer_globals(&self) -> Vec<(String, u32, u64)>;
}

impl Oracle for Reference {
    fn integer_exports(&self) -> Vec<Export> {
        self.integer_exports()
    }

    fn call(&mut self, export: &Export, args: &[u64], fuel: u64) -> Result<Outcome> {
        self.call(export, args, fuel)
    }

    fn take_import_calls(&mut self) -> Vec<ImportCall> {
        self.take_import_calls()
    }

    fn memory_bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.memory(name).map(<[u8]>::to_vec)
    }

    fn integer_globals(&self) -> Vec<(String, u32, u64)> {
        self.globals()
    }
}

/// An instance in the reference engine.
pub struct Reference {
    store: Store<Host>,
    instance: Instance,
}

struct Host {
    calls: Vec<ImportCall>,
    limits: StoreLimits,
}

/// An exported function of word-sized integers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Whether each parameter is an `i64` (else `i32`).
    pub params: Vec<bool>,
    /// The same for results.
    pub results: Vec<bool>,
}

/// The word an import returns: an arbitrary fixed function of index and arguments, the same on both sides.
pub fn import_result(index: u32, args: &[u64]) -> u64 {
    let seed = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(u64::from(index) + 1);
    args.iter().fold(seed, |hash, arg| (hash ^ arg).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29))
}

impl Reference {
    /// Instantiates a module, running its start function. `None` if that fails: a segment out of bounds, a trap, no
    /// fuel.
    pub fn new(bytes: &[u8], fuel: u64) -> Result<Option<Self>> {
        Self::with(bytes, fuel, |index, args, _| import_result(index, args), None)
    }

    /// The same with other results of imports, and memory of at most this many bytes.
    pub fn with(
        bytes: &[u8],
        fuel: u64,
        answers: Answers,
        memory_bytes: Option<usize>,
    ) -> Result<Option<Self>> {
        let mut config = Config::default();
        config.consume_fuel(true).wasm_custom_page_sizes(true).wasm_wide_arithmetic(true);
        config.wasm_multi_memory(true).wasm_memory64(true);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, bytes).context("the reference engine refuses the module")?;
        let limits = memory_bytes
            .map_or_else(StoreLimits::default, |bytes| StoreLimitsBuilder::new().memory_size(bytes).build());
        let mut store = Store::new(&engine, Host { calls: Vec::new(), limits });
        store.limiter(|host| &mut host.limits);
        store.set_fuel(fuel)?;
        let mut linker = <Linker<Host>>::new(&engine);
        let funcs = module.imports().filter_map(|import| match import.ty() {
            ExternType::Func(ty) => Some((import.module().to_owned(), import.name().to_owned(), ty.clone())),
            _ => None,
        });
        for (index, (module, name, ty)) in (0u32..).zip(funcs) {
            let results = ty.results().to_vec();
            linker.func_new(&module, &name, ty, move |mut caller, args, out| {
                let args: Vec<u64> = args.iter().map(word).collect();
                let result = answers(index, &args, caller.data().calls.len());
                for (slot, ty) in out.iter_mut().zip(&results) {
                    *slot = value(result, *ty);
                }
                caller.data_mut().calls.push((index, args));
                Ok(())
            })?;
        }
        match linker.instantiate_and_start(&mut store, &module) {
            Ok(instance) => Ok(Some(Self { store, instance })),
            Err(error) if matches!(error.kind(), wasmi::errors::ErrorKind::Linker(_)) => {
                Err(error).context("the reference engine can't link the module")
            }
            Err(_) => Ok(None),
        }
    }

    /// Exported functions whose parameters and results are integers, in export order.
    pub fn integer_exports(&self) -> Vec<Export> {
        let int = |ty: &ValType| match ty {
            ValType::I32 => Some(false),
            ValType::I64 => Some(true),
            _ => None,
        };
        let exports = self.instance.exports(&self.store).filter_map(|export| {
            let name = export.name().to_owned();
            let ty = export.into_func()?.ty(&self.store);
            let params = ty.params().iter().map(int).collect::<Option<Vec<_>>>()?;
            let results = ty.results().iter().map(int).collect::<Option<Vec<_>>>()?;
            Some(Export { name, params, results })
        });
        exports.collect()
    }

    /// Calls an exported function.
    pub fn call(&mut self, export: &Export, args: &[u64], fuel: u64) -> Result<Outcome> {
        self.invoke(&export.name, args, fuel)
    }

    /// Calls an exported function on numbers, including floats, by its name.
    pub fn invoke(&mut self, name: &str, args: &[u64], fuel: u64) -> Result<Outcome> {
        let func = self.instance.get_func(&self.store, name).context("no such export")?;
        let ty = func.ty(&self.store);
        let args: Vec<Val> = args.iter().zip(ty.params()).map(|(&arg, &ty)| value(arg, ty)).collect();
        let mut results: Vec<Val> = ty.results().iter().map(|&ty| value(0, ty)).collect();
        self.store.set_fuel(fuel)?;
        match func.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ok(Outcome::Returned(results.iter().map(word).collect())),
            Err(error) => match error.as_trap_code() {
                Some(TrapCode::OutOfFuel | TrapCode::StackOverflow) => Ok(Outcome::Exhausted),
                Some(code) => Ok(Outcome::Trapped(trap(code)?)),
                None => Err(error).context("the reference engine failed"),
            },
        }
    }

    /// Calls of imports since this was last called.
    pub fn take_import_calls(&mut self) -> Vec<ImportCall> {
        std::mem::take(&mut self.store.data_mut().calls)
    }

    /// The bytes of an exported memory.
    pub fn memory(&self, name: &str) -> Option<&[u8]> {
        Some(self.instance.get_memory(&self.store, name)?.data(&self.store))
    }

    /// The bytes of an exported memory, to be written.
    pub fn memory_mut(&mut self, name: &str) -> Option<&mut [u8]> {
        Some(self.instance.get_memory(&self.store, name)?.data_mut(&mut self.store))
    }

    /// Exported integer globals with their size in bytes and value, in export order.
    pub fn globals(&self) -> Vec<(String, u32, u64)> {
        let exports = self.instance.exports(&self.store).filter_map(|export| {
            let name = export.name().to_owned();
            let Extern::Global(global) = export.into_extern() else { return None };
            let value = global.get(&self.store);
            match value {
                Val::I32(value) => Some((name, 4, u64::from(value as u32))),
                Val::I64(value) => Some((name, 8, value as u64)),
                _ => None,
            }
        });
        exports.collect()
    }
}

/// The reason of a trap.
fn trap(code: TrapCode) -> Result<Trap> {
    Ok(match code {
        TrapCode::UnreachableCodeReached => Trap::Unreachable,
        TrapCode::MemoryOutOfBounds => Trap::Memory,
        TrapCode::TableOutOfBounds => Trap::Table,
        TrapCode::IndirectCallToNull | TrapCode::BadSignature => Trap::Signature,
        TrapCode::IntegerDivisionByZero => Trap::DivideByZero,
        TrapCode::IntegerOverflow => Trap::IntegerOverflow,
        TrapCode::BadConversionToInteger => Trap::Conversion,
        other => bail!("a trap of the reference engine: {other:?}"),
    })
}

/// The machine word of a value.
pub(crate) fn word(value: &Val) -> u64 {
    match value {
        Val::I32(value) => i64::from(*value) as u64,
        Val::I64(value) => *value as u64,
        Val::F32(value) => i64::from(value.to_bits() as i32) as u64,
        Val::F64(value) => value.to_bits(),
        other => panic!("only numbers cross the boundary, not {other:?}"),
    }
}

/// The value of a machine word.
pub(crate) fn value(word: u64, ty: ValType) -> Val {
    match ty {
        ValType::I32 => Val::I32(word as i32),
        ValType::I64 => Val::I64(word as i64),
        ValType::F32 => Val::F32(wasmi::F32::from_bits(word as u32)),
        ValType::F64 => Val::F64(wasmi::F64::from_bits(word)),
        other => panic!("only numbers cross the boundary, not {other:?}"),
    }
}
