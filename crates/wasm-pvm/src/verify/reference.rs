//! The reference engine: `wasmi`, in the form in which compiled programs are compared with it.
//!
//! It gets the module with all results spelled out ([`super::spelled`]) and its memory exported. Imported memories, tables
//! and globals are as the compiler takes them: of their declared size, empty, and with the values of the options. A call of
//! an import ends the run, unless the program takes it for nothing. Where memory or a table would grow further than
//! every program has room for, the run counts as one that ends at a limit, so it says nothing about the program.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use llvm_frontend::{ConstValue, ModuleInfo};
use ssa::{Import, TrapCode};
use wasmi::{
    Config, Engine, Error, ExternType, Global, Instance, Linker, Memory, Module, Mutability, Nullable, Ref,
    ResourceLimiter, Store, Table, Val, ValType,
};
use wasmi_core::LimiterError;

use super::VerifyError;
use super::module::{function_type, with_memory};
use super::spelled::{Open, spell_out};
use super::subject::{Effect, Ending, Program, Subject};
use crate::run::{FunctionType, Value, ValueType};

/// Fuel of the start function.
const START_FUEL: u64 = 100_000_000;
/// Bytes of a memory that a start function may make.
const START_BYTES: usize = 1 << 30;
/// Entries by which a table may grow.
const TABLE_GROWTH: usize = 8192;

/// A module in the reference engine.
pub struct Reference {
    engine: Engine,
    module: Module,
    memory: Option<String>,
    functions: BTreeMap<String, FunctionType>,
    effects: BTreeMap<Import, Effect>,
    globals: BTreeMap<Import, ConstValue>,
    /// Bytes by which a memory may grow.
    growth: usize,
}

impl Reference {
    /// Takes a module. `effects` says what calls of imports do, and a memory may grow by `growth` bytes.
    ///
    /// # Errors
    /// If the engine doesn't take it.
    pub fn new(
        wasm: &[u8],
        info: &ModuleInfo,
        effects: BTreeMap<Import, Effect>,
        globals: BTreeMap<Import, ConstValue>,
        growth: usize,
    ) -> Result<Self, VerifyError> {
        let mut config = Config::default();
        config.consume_fuel(true).wasm_custom_page_sizes(true).wasm_wide_arithmetic(true);
        let engine = Engine::new(&config);
        let (exposed, memory) = with_memory(&spell_out(wasm, Open::All)?, info)?;
        let module = Module::new(&engine, &exposed).map_err(failed)?;
        let functions = info.exports.iter().filter_map(|export| match export.kind {
            llvm_frontend::ExportKind::Func(index) => {
                Some((export.name.clone(), function_type(info.type_of(index))?))
            }
            _ => None,
        });
        let functions = functions.collect();
        Ok(Self { engine, module, memory, functions, effects, globals, growth })
    }

    /// Defines everything that the module imports.
    fn link(&self, store: &mut Store<Host>) -> Result<Linker<Host>, Error> {
        let mut linker = <Linker<Host>>::new(&self.engine);
        for import in self.module.imports() {
            let (module, name) = (import.module(), import.name());
            let key = Import { module: module.to_owned(), field: name.to_owned() };
            match import.ty() {
                ExternType::Func(ty) => {
                    let is_nothing = self.effects.get(&key) == Some(&Effect::Nothing);
                    let results = ty.results().to_vec();
                    linker.func_new(module, name, ty.clone(), move |_, _, out| {
                        if !is_nothing {
                            return Err(Error::host(Called(key.clone())));
                        }
                        out.iter_mut().zip(&results).for_each(|(slot, &ty)| *slot = Val::default_for_ty(ty));
                        Ok(())
                    })?;
                }
                ExternType::Memory(ty) => {
                    let memory = Memory::new(&mut *store, *ty)?;
                    linker.define(module, name, memory)?;
                }
                ExternType::Table(ty) => {
                    let table = Table::new(&mut *store, *ty, Ref::null(ty.element()))?;
                    linker.define(module, name, table)?;
                }
                ExternType::Global(ty) => {
                    let value = self.globals.get(&key).map_or_else(
                        || Val::default_for_ty(ty.content()),
                        |value| constant(*value, ty.content()),
                    );
                    let global = Global::new(&mut *store, value, ty.mutability());
                    linker.define(module, name, global)?;
                }
            }
        }
        Ok(linker)
    }
}

impl Program for Reference {
    fn function(&self, export: &str) -> Option<FunctionType> {
        self.functions.get(export).cloned()
    }

    fn effects(&self) -> BTreeMap<Import, Effect> {
        self.effects.clone()
    }

    fn blocks(&self, _: &str) -> Vec<u32> {
        Vec::new()
    }

    fn instantiate(&self) -> Result<Box<dyn Subject + '_>, VerifyError> {
        let host =
            Host { initial: BTreeMap::new(), growth: self.growth, has_started: false, is_limited: false };
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| host);
        store.set_fuel(START_FUEL).map_err(failed)?;
        let linker = self.link(&mut store).map_err(failed)?;
        let (instance, start) = match linker.instantiate_and_start(&mut store, &self.module) {
            Ok(instance) => (Some(instance), Ending::Returned(Vec::new())),
            Err(error) => (None, ending(&error)?),
        };
        store.data_mut().has_started = true;
        Ok(Box::new(Running { store, instance, start, memory: self.memory.clone() }))
    }
}

/// A call of an import.
#[derive(Clone, Debug)]
struct Called(Import);

impl std::fmt::Display for Called {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0.module, self.0.field)
    }
}

impl wasmi::errors::HostError for Called {}

/// The limits of memories and tables.
struct Host {
    /// Sizes before growing, by size: a memory that has grown to a size in here has that initial size.
    initial: BTreeMap<usize, usize>,
    growth: usize,
    has_started: bool,
    /// Whether something could not grow although the rules of wasm allow it.
    is_limited: bool,
}

impl Host {
    /// Whether something may grow to a size by the rules of wasm and by ours.
    fn grows(&mut self, current: usize, desired: usize, maximum: Option<usize>, room: usize) -> bool {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        let initial = self.initial.get(&current).copied().unwrap_or(current);
        let room = if self.has_started { room } else { START_BYTES };
        if desired > initial.saturating_add(room) {
            self.is_limited = true;
            return false;
        }
        if self.has_started {
            self.initial.insert(desired, initial);
        }
        true
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(self.grows(current, desired, maximum, self.growth))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(self.grows(current, desired, maximum, TABLE_GROWTH))
    }

    fn instances(&self) -> usize {
        usize::MAX
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        usize::MAX
    }
}

/// An instance.
struct Running {
    store: Store<Host>,
    /// There is none if its start function didn't return.
    instance: Option<Instance>,
    start: Ending,
    memory: Option<String>,
}

impl Running {
    fn memory(&self) -> Option<Memory> {
        self.instance?.get_memory(&self.store, self.memory.as_deref()?)
    }

    fn made(&self) -> Result<Instance, VerifyError> {
        self.instance.ok_or_else(|| VerifyError::Reference("there is no instance".to_owned()))
    }
}

impl Subject for Running {
    fn start(&mut self) -> Result<Ending, VerifyError> {
        Ok(self.start.clone())
    }

    fn call(&mut self, export: &str, args: &[Value], budget: u64) -> Result<Ending, VerifyError> {
        let missing = || VerifyError::Reference(format!("there is no function `{export}`"));
        let func = self.made()?.get_func(&self.store, export).ok_or_else(missing)?;
        self.store.set_fuel(budget).map_err(failed)?;
        let args: Vec<Val> = args.iter().map(val).collect();
        let types = func.ty(&self.store);
        let mut results: Vec<Val> = types.results().iter().map(|&ty| Val::default_for_ty(ty)).collect();
        let ended = match func.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ending::Returned(results.iter().map(value).collect()),
            Err(error) => ending(&error)?,
        };
        Ok(if self.store.data().is_limited { Ending::OutOfBudget } else { ended })
    }

    fn memory(&self) -> Range<u64> {
        0..self.memory().map_or(0, |memory| memory.data_size(&self.store) as u64)
    }

    fn read(&mut self, address: u64, len: usize) -> Result<Vec<u8>, VerifyError> {
        let outside = || VerifyError::Reference(format!("{len} bytes at {address:#x} are outside of memory"));
        let memory = self.memory().ok_or_else(outside)?;
        let bytes = memory.data(&self.store).get(address as usize..address as usize + len);
        bytes.map(<[u8]>::to_vec).ok_or_else(outside)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), VerifyError> {
        let memory = self.memory().ok_or_else(|| VerifyError::Reference("there is no memory".to_owned()))?;
        memory.write(&mut self.store, address as usize, bytes).map_err(|error| failed(Error::from(error)))
    }

    fn global(&mut self, export: &str) -> Option<Value> {
        let global = self.instance?.get_global(&self.store, export)?;
        Some(value(&global.get(&self.store)))
    }

    fn set_global(&mut self, export: &str, value: Value) -> bool {
        let Some(global) = self.instance.and_then(|instance| instance.get_global(&self.store, export)) else {
            return false;
        };
        global.ty(&self.store).mutability() == Mutability::Var
            && global.set(&mut self.store, val(&value)).is_ok()
    }

    fn reached(&mut self) -> BTreeSet<u32> {
        BTreeSet::new()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of `map_err`")]
fn failed(error: Error) -> VerifyError {
    VerifyError::Reference(error.to_string())
}

/// The end of a call that did not return.
fn ending(error: &Error) -> Result<Ending, VerifyError> {
    if let Some(called) = error.downcast_ref::<Called>() {
        return Ok(Ending::Import(Some(called.to_string())));
    }
    let code = error.as_trap_code().ok_or_else(|| VerifyError::Reference(error.to_string()))?;
    Ok(match code {
        wasmi::TrapCode::OutOfFuel => Ending::OutOfBudget,
        wasmi::TrapCode::StackOverflow => Ending::OutOfStack,
        code => Ending::Trapped(Some(trap(code)?)),
    })
}

/// The reason of a trap.
fn trap(code: wasmi::TrapCode) -> Result<TrapCode, VerifyError> {
    Ok(match code {
        wasmi::TrapCode::UnreachableCodeReached => TrapCode::Unreachable,
        wasmi::TrapCode::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        wasmi::TrapCode::TableOutOfBounds => TrapCode::TableOutOfBounds,
        wasmi::TrapCode::IndirectCallToNull | wasmi::TrapCode::BadSignature => TrapCode::BadSignature,
        wasmi::TrapCode::IntegerDivisionByZero => TrapCode::DivideByZero,
        wasmi::TrapCode::IntegerOverflow => TrapCode::IntegerOverflow,
        wasmi::TrapCode::BadConversionToInteger => TrapCode::BadConversion,
        other => return Err(VerifyError::Reference(other.to_string())),
    })
}

/// A value in the engine. References are null.
fn val(value: &Value) -> Val {
    match value.ty {
        ValueType::I32 => Val::I32(value.bits as i32),
        ValueType::I64 => Val::I64(value.bits as i64),
        ValueType::F32 => Val::F32(wasmi::F32::from_bits(value.bits as u32)),
        ValueType::F64 => Val::F64(wasmi::F64::from_bits(value.bits as u64)),
        ValueType::V128 => Val::V128(value.bits.into()),
        ValueType::FuncRef => Val::FuncRef(Nullable::Null),
        ValueType::ExternRef => Val::ExternRef(Nullable::Null),
    }
}

/// A value of the engine. References that are not null have all bits set.
fn value(val: &Val) -> Value {
    let reference = |is_null: bool| if is_null { 0 } else { u128::from(u64::MAX) };
    let (ty, bits) = match val {
        Val::I32(value) => (ValueType::I32, u128::from(*value as u32)),
        Val::I64(value) => (ValueType::I64, u128::from(*value as u64)),
        Val::F32(value) => (ValueType::F32, u128::from(value.to_bits())),
        Val::F64(value) => (ValueType::F64, u128::from(value.to_bits())),
        Val::V128(value) => (ValueType::V128, value.as_u128()),
        Val::FuncRef(value) => (ValueType::FuncRef, reference(value.is_null())),
        Val::ExternRef(value) => (ValueType::ExternRef, reference(value.is_null())),
    };
    Value { ty, bits }
}

/// The value of an imported global.
fn constant(value: ConstValue, ty: ValType) -> Val {
    match value {
        ConstValue::I32(value) => Val::I32(value),
        ConstValue::I64(value) => Val::I64(value),
        ConstValue::F32(bits) => Val::F32(wasmi::F32::from_bits(bits)),
        ConstValue::F64(bits) => Val::F64(wasmi::F64::from_bits(bits)),
        ConstValue::V128(bits) => Val::V128(bits.into()),
        ConstValue::Null | ConstValue::Func(_) => Val::default_for_ty(ty),
    }
}
