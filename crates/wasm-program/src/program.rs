//! The plan of the program, shared by all parts: ids, symbols, sizes and initial contents.
//!
//! [`Program::new`] numbers all entities before translation. Functions keep their wasm index as
//! [`FuncId`]; runtime functions and intrinsics of the target follow. Every entity with an address becomes a data
//! object. Sizes that can't change at run time are plain numbers in the plans here, and the translator writes
//! them into the code as constants.
//!
//! Signatures are numbered per distinct *wasm* type, so that `call_indirect` distinguishes types that differ in
//! wasm but are equal after lowering (an `externref` and an `i64`).

mod entries;
mod values;

use std::collections::BTreeMap;

use runtime::float::routines::{Routine, bits_of};
use runtime::llvm::HELPERS;
use ssa::{
    CheckedAccess, DataId, DataKind, DataObject, Export, ExportItem, FuncDecl, FuncId, FuncKind,
    LinearMemory, Relocation, Segment, SigId, Signature, StoredAddress, TrapCode, Type,
};

use crate::dwarf::SourceMap;
use crate::error::Error;
use crate::exceptions::ExceptionPlan;
use crate::facts::Facts;
use crate::libcalls::Libcall;
use crate::lowering::Lowering;
use crate::memories::MemoryPlan;
use crate::module_info::{
    ConstOp, ExportInfo, ExportKind, MAIN_MEMORY, MemoryInfo, ModuleInfo, SegmentMode, ValueType,
};
use crate::names::{self, Callee, Names};
use crate::options::{Bounds, ConstValue, Floats, Locations, Options};
use crate::relocations::{LINKER_GLOBALS, Relocations};
use crate::shadow_stack::StackPlan;
use crate::statics::{self, StaticPlan};
use crate::types::layout;
use values::{bytes_of, evaluate, evaluate_offset, image, imported_value, missing_globals};

/// A growable table reserves this many entries beyond its initial size, or up to its maximum if that is less;
/// growing further fails.
pub const TABLE_RESERVE: u64 = 8192;
/// Size in bytes of a reference of one part, and the alignment of tables.
pub const REFERENCE_BYTES: u32 = 8;
/// Maximum number of bytes of a table.
const MOST_TABLE_BYTES: u64 = 1 << 31;
/// Maximum number of records of exceptions that exist at a time.
const MOST_RECORDS: u32 = 512;
/// Maximum number of entries of a table whose initial value isn't null.
const MOST_FILLED_ENTRIES: u64 = 1 << 20;

/// Alignment of memories other than the first.
const FIXED_ALIGN: u32 = 16;

/// The representation of a global.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GlobalPlan {
    /// It never changes.
    Constant(ConstValue),
    /// It is a variable.
    Variable,
}

/// A size that is fixed or kept in a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SizePlan {
    /// Always this.
    Fixed(u32),
    /// In the `i32` variable that goes with the object.
    Variable,
}

/// The layout of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TablePlan {
    /// Maximum number of entries.
    pub capacity: u32,
    /// Size of an entry in bytes, a multiple of [`REFERENCE_BYTES`].
    pub entry_bytes: u32,
    /// Current size in entries.
    pub size: SizePlan,
    /// Whether its indices are `i64`.
    pub is_64: bool,
}

/// All facts that are known before translation. Read-only from then on, and shared by all threads.
#[derive(Debug)]
pub struct Program<'a> {
    /// The input.
    pub wasm: &'a [u8],
    /// Its declarations.
    pub info: &'a ModuleInfo,
    /// Facts about its functions.
    pub facts: &'a Facts,
    /// The caller's options.
    pub options: &'a Options,
    /// Its exceptions.
    pub exceptions: &'a ExceptionPlan,
    /// Symbols to ids.
    pub names: Names,
    /// Declarations, data and exports; no bodies.
    pub module: ssa::Module,
    /// Per wasm type.
    pub signatures: Vec<SigId>,
    /// Functions that the outside calls in place of those that may throw, by their wasm index.
    pub entries: BTreeMap<u32, FuncId>,
    /// Functions that references to imports refer to where functions of that type may throw, by wasm index.
    pub thunks: BTreeMap<u32, FuncId>,
    /// Per global.
    pub globals: Vec<GlobalPlan>,
    /// Per table.
    pub tables: Vec<TablePlan>,
    /// Per memory.
    pub memories: Vec<MemoryPlan>,
    /// Per data segment: bytes that `memory.init` may copy.
    pub data_sizes: Vec<SizePlan>,
    /// Per element segment: entries that `table.init` may copy.
    pub element_sizes: Vec<SizePlan>,
    /// Per function: the compiler helper it was found to be.
    pub libcalls: Vec<Option<Libcall>>,
    /// The fused shadow stack, if it was recognised.
    pub stack: Option<StackPlan>,
    /// Static data, if linear memory is the machine's memory.
    pub statics: Option<StaticPlan>,
    /// The source locations of the code, if they are requested and known.
    pub source_map: Option<SourceMap>,
}

/// The results of the analyses of a module before its program is planned.
pub struct Analyses<'a> {
    /// What exceptions consist of, and which functions may throw.
    pub exceptions: &'a ExceptionPlan,
    /// See [`Program::libcalls`].
    pub libcalls: Vec<Option<Libcall>>,
    /// See [`Program::stack`].
    pub stack: Option<StackPlan>,
    /// See [`Program::statics`].
    pub statics: Option<StaticPlan>,
}

impl<'a> Program<'a> {
    /// Plans the program.
    ///
    /// # Errors
    /// A segment out of bounds, an imported global without a value, or a size that no target supports.
    pub fn new(
        wasm: &'a [u8],
        info: &'a ModuleInfo,
        facts: &'a Facts,
        options: &'a Options,
        analyses: Analyses<'a>,
    ) -> Result<Self, Error> {
        let Analyses { exceptions, libcalls, stack, statics } = analyses;
        let mut program = Self {
            wasm,
            info,
            facts,
            options,
            exceptions,
            names: Names::new(),
            module: ssa::Module::default(),
            signatures: Vec::new(),
            entries: BTreeMap::new(),
            thunks: BTreeMap::new(),
            globals: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            data_sizes: Vec::new(),
            element_sizes: Vec::new(),
            libcalls,
            stack,
            statics,
            source_map: None,
        };
        program.read_sources();
        program.add_signatures();
        program.add_functions();
        let values = program.global_values()?;
        let globals = program.add_globals(&values);
        let memories = program.add_memories(&values)?;
        let tables = program.add_tables(&values)?;
        program.add_passive_segments(&values);
        program.add_exception_records();
        program.add_statics();
        program.add_exports(&globals, &tables, &memories);
        Ok(program)
    }

    fn read_sources(&mut self) {
        let known = match self.options.locations {
            Locations::None => None,
            Locations::Lines => SourceMap::read(self.info, self.wasm),
            Locations::Offsets => Some(SourceMap::of_offsets(self.info)),
        };
        if let Some((map, sources)) = known {
            self.source_map = Some(map);
            self.module.sources = Some(Box::new(sources));
        }
    }

    fn add_signatures(&mut self) {
        let lowering = self.lowering();
        let mut known: BTreeMap<u32, SigId> = BTreeMap::new();
        for (ty, &class) in self.info.types.iter().zip(&self.info.type_classes) {
            let id = *known.entry(class).or_insert_with(|| {
                let signature = lowering.signature(ty, self.exceptions.throwing_types[class as usize]);
                let id = self.module.signatures.push(signature.clone());
                self.names.add_signature(signature, id);
                id
            });
            self.signatures.push(id);
        }
    }

    fn add_functions(&mut self) {
        let mut seen = BTreeMap::<String, u32>::new();
        for (index, function) in (0u32..).zip(&self.info.functions) {
            let kind = function.import.clone().map_or(FuncKind::Local, FuncKind::Import);
            let mut name = self.info.function_name(index);
            let uses = seen.entry(name.clone()).or_default();
            *uses += 1;
            if *uses > 1 {
                name = format!("{name}#{index}");
            }
            let sig = self.signature_of(index);
            let id = self.add_function(FuncDecl { name, sig, kind });
            self.names.add_callee(names::function_symbol(index), Callee::Function(id));
            self.names.add_callee(names::ref_func_symbol(index), Callee::FuncRef(id));
        }
        self.declare_entries();
        self.declare_thunks();
        self.declare_runtime();
        self.declare_float_routines();
    }

    /// The representation of values.
    pub fn lowering(&self) -> Lowering<'a> {
        Lowering { options: self.options, exceptions: self.exceptions }
    }

    /// Declares the functions of the runtime, and the function that the target implements for growing memory.
    fn declare_runtime(&mut self) {
        let grows: Vec<String> =
            (0u32..).zip(&self.info.memories).map(|(n, _)| names::memory_grow_symbol(n)).collect();
        for symbol in grows {
            self.declare(&symbol, &[Type::I32], &[Type::I32], FuncKind::Local);
        }
        for helper in &HELPERS {
            self.declare(helper.symbol, helper.params, helper.results, FuncKind::Local);
        }
        if self.options.reports_traps {
            let symbol = TrapCode::REPORT;
            self.declare(symbol, &[Type::I32, Type::I32], &[], FuncKind::Intrinsic(symbol.to_owned()));
        }
        if let Some(symbol) = self.options.target.growth.intrinsic {
            self.declare(symbol, &[Type::I32], &[Type::I32], FuncKind::Intrinsic(symbol.to_owned()));
        }
    }

    /// Declares the functions that float operators call, if there are such operators.
    fn declare_float_routines(&mut self) {
        if self.has_soft_floats() {
            for routine in Routine::all() {
                let results = [bits_of(routine.result())];
                self.declare(&routine.symbol(), &routine.params(), &results, FuncKind::Local);
            }
        }
    }

    /// Whether the program has functions that float operators call.
    pub fn has_soft_floats(&self) -> bool {
        self.options.floats == Floats::Soft && self.facts.computes_floats
    }

    fn declare(&mut self, symbol: &str, params: &[Type], results: &[Type], kind: FuncKind) {
        let sig = self.intern(Signature { params: params.to_vec(), results: results.to_vec() });
        let id = self.add_function(FuncDecl { name: symbol.to_owned(), sig, kind });
        self.names.add_callee(symbol, Callee::Function(id));
    }

    /// Whether loads may read the argument bytes of an entry.
    fn reads_host_arguments(&self) -> bool {
        let is_wide = self.info.main_memory().is_some_and(|memory| memory.is_64);
        let is_service = |name: &str| self.options.service_entries.concat().contains(&name);
        let takes_pointer = |export: &ExportInfo| match export.kind {
            ExportKind::Func(func) => match self.info.type_of(func).params.first() {
                Some(ValueType::I32) => true,
                Some(ValueType::I64) => is_wide && is_service(&export.name),
                _ => false,
            },
            _ => false,
        };
        self.options.host_arguments.is_some()
            && self.memories.first().is_some_and(|memory| memory.bounds == Bounds::Strict)
            && self.info.exports.iter().any(takes_pointer)
    }

    fn add_function(&mut self, decl: FuncDecl) -> FuncId {
        self.module.functions.push(None);
        self.module.decls.push(decl)
    }

    fn intern(&mut self, signature: Signature) -> SigId {
        let id = self.module.intern_signature(signature.clone());
        self.names.add_signature(signature, id);
        id
    }

    fn add_data(&mut self, symbol: String, object: DataObject) -> DataId {
        let id = self.module.data.push(object);
        self.names.add_data(symbol, id);
        id
    }

    fn add_variable(&mut self, symbol: String, value: u32) -> DataId {
        let object = DataObject::new(&symbol, DataKind::Variable, 4, 4, value.to_le_bytes().to_vec());
        self.add_data(symbol, object)
    }

    fn global_values(&self) -> Result<Vec<ConstValue>, Error> {
        let mut values = Vec::with_capacity(self.info.globals.len());
        for global in &self.info.globals {
            let value = match &global.import {
                Some(import) => imported_value(import, global, self.options)?,
                None => evaluate(&global.init, &values),
            };
            values.push(value);
        }
        Ok(values)
    }

    fn add_globals(&mut self, values: &[ConstValue]) -> Vec<Option<DataId>> {
        let mut ids = Vec::new();
        let mut exported = vec![false; self.info.globals.len()];
        for export in &self.info.exports {
            if let ExportKind::Global(index) = export.kind {
                exported[index as usize] = true;
            }
        }
        for (index, (global, &value)) in (0u32..).zip(self.info.globals.iter().zip(values)) {
            let i = index as usize;
            let shared = global.mutable && (exported[i] || global.import.is_some());
            let variable = shared || self.facts.global_written[i];
            self.globals.push(if variable { GlobalPlan::Variable } else { GlobalPlan::Constant(value) });
            if !variable && !exported[i] {
                ids.push(None);
                continue;
            }
            let symbol = names::global_symbol(index);
            let kind = if variable { DataKind::Variable } else { DataKind::Constant };
            let stack = self.statics.as_ref().and_then(|plan| plan.stack);
            let value = match stack.filter(|stack| stack.global == index) {
                // A stack pointer in memory counts from the bottom of its stack.
                Some(stack) => ConstValue::I32(stack.size as i32),
                None => value,
            };
            let (_, size, align) = layout(self.lowering().parts(global.ty));
            let (mut bytes, func) = bytes_of(value);
            bytes.resize(size as usize, 0);
            let mut object = DataObject::new(&symbol, kind, size, align, bytes);
            let func = func.map(|func| self.referent(func));
            object.relocs.extend(func.map(|func| Relocation { offset: 0, func }));
            ids.push(Some(self.add_data(symbol, object)));
        }
        ids
    }

    fn add_memories(&mut self, globals: &[ConstValue]) -> Result<Vec<DataId>, Error> {
        let mut ids = Vec::new();
        for (index, memory) in (0u32..).zip(&self.info.memories) {
            let grows = self.facts.memory_grows[index as usize];
            let plan = MemoryPlan::new(index, memory, self.options, grows)?;
            self.memories.push(plan);
            let segments = self.active_data(index, globals, plan.min_bytes.into())?;
            let symbol = names::memory_symbol(index);
            let object = if index == MAIN_MEMORY {
                let linear = self.main_memory(memory, plan, segments);
                DataObject::new(&symbol, DataKind::Memory(linear), 0, 1, Vec::new())
            } else {
                let kind = DataKind::FixedMemory;
                DataObject::new(&symbol, kind, plan.reserved_bytes(), FIXED_ALIGN, image(&segments))
            };
            ids.push(self.add_data(symbol, object));
            if plan.grows {
                let size = self.add_variable(names::memory_bytes_symbol(index), plan.min_bytes);
                self.module.memory_size = self.module.memory_size.or((index == MAIN_MEMORY).then_some(size));
            }
        }
        if self.memories.first().is_some_and(|memory| memory.is_marked) {
            let symbol = CheckedAccess::SYMBOL;
            self.declare(symbol, &[Type::I32, Type::I32], &[], FuncKind::Intrinsic(symbol.to_owned()));
        }
        if !ids.is_empty() && self.reads_host_arguments() {
            let symbol = names::ARGUMENT_LIMITS;
            let limits = DataObject::new(symbol, DataKind::Variable, 16, 4, Vec::new());
            self.module.host_arguments = Some(self.add_data(symbol.to_owned(), limits));
        }
        Ok(ids)
    }

    fn main_memory(&self, memory: &MemoryInfo, plan: MemoryPlan, segments: Vec<Segment>) -> LinearMemory {
        let is_limited = self.options.growth_bytes.is_some() || self.options.bounds == Bounds::Strict;
        let reserved = is_limited.then_some(u64::from(plan.max_pages) << plan.page_log2);
        LinearMemory {
            min_bytes: plan.min_bytes.into(),
            max_bytes: reserved.or(memory.max_bytes().map(|bytes| bytes.min(1 << 32))),
            page_log2: plan.page_log2,
            segments,
            grows: plan.grows,
            native_stack: self.stack.as_ref().map(|stack| stack.initial),
            keeps_stack: self.stack.as_ref().is_some_and(|stack| !stack.kept.is_empty()),
        }
    }

    /// The segments of a memory of `size` bytes that are copied at start.
    fn active_data(&self, memory: u32, globals: &[ConstValue], size: u64) -> Result<Vec<Segment>, Error> {
        let mut segments = Vec::new();
        for (index, data) in (0u32..).zip(&self.info.data) {
            let SegmentMode::Active(target, offset) = &data.mode else { continue };
            if *target != memory {
                continue;
            }
            let offset = evaluate_offset(offset, globals);
            let length = data.bytes.len() as u64;
            if offset.checked_add(length).is_none_or(|end| end > size) {
                return Err(Error::SegmentOutOfBounds {
                    kind: "data",
                    index,
                    offset,
                    length,
                    size,
                    is_imported_memory: self.info.memories[memory as usize].import.is_some(),
                });
            }
            segments.push(Segment { offset: offset as u32, bytes: self.wasm[data.bytes.clone()].to_vec() });
        }
        Ok(segments)
    }

    fn add_tables(&mut self, globals: &[ConstValue]) -> Result<Vec<DataId>, Error> {
        let mut contents = self.active_elements(globals)?;
        let mut ids = Vec::new();
        for (index, table) in (0u32..).zip(&self.info.tables) {
            let grows = self.facts.table_grows[index as usize];
            let reserve = if grows { TABLE_RESERVE } else { 0 };
            let most = table.min.saturating_add(reserve);
            let capacity = table.max.map_or(most, |max| max.min(most));
            let too_large = || Error::Unsupported {
                function: None,
                offset: 0,
                what: format!("a table of {} entries", table.min),
            };
            let (_, part_bytes, _) = layout(self.lowering().parts(table.ty));
            let entry_bytes = part_bytes.next_multiple_of(REFERENCE_BYTES);
            let fits = |entries: &u32| u64::from(*entries) * u64::from(entry_bytes) < MOST_TABLE_BYTES;
            let capacity = u32::try_from(capacity).ok().filter(fits).ok_or_else(too_large)?;
            let min = table.min as u32;
            self.tables.push(TablePlan {
                capacity,
                entry_bytes,
                size: if grows { SizePlan::Variable } else { SizePlan::Fixed(min) },
                is_64: table.is_64,
            });
            if grows {
                self.add_variable(names::table_size_symbol(index), min);
            }
            let symbol = names::table_symbol(index);
            let mut object = {
                let bytes = capacity * entry_bytes;
                DataObject::new(&symbol, DataKind::Table, bytes, REFERENCE_BYTES, Vec::new())
            };
            let entries = std::mem::take(&mut contents[index as usize]);
            object.relocs = relocations(entries);
            ids.push(self.add_data(symbol, object));
        }
        Ok(ids)
    }

    /// The entries of every table that the table itself initialises.
    fn filled_tables(&self, globals: &[ConstValue]) -> Result<Vec<BTreeMap<u32, Option<FuncId>>>, Error> {
        let mut contents = Vec::new();
        for table in &self.info.tables {
            let unsupported = |what: String| Error::Unsupported { function: None, offset: 0, what };
            let value = self.reference(table.init, globals);
            if value.is_some() && table.min > MOST_FILLED_ENTRIES {
                return Err(unsupported(format!("a table that is filled with {} references", table.min)));
            }
            let count = if value.is_some() { table.min as u32 } else { 0 };
            contents.push((0..count).map(|entry| (entry, value)).collect());
        }
        Ok(contents)
    }

    fn reference(&self, item: ConstOp, globals: &[ConstValue]) -> Option<FuncId> {
        match evaluate(&[item], globals) {
            ConstValue::Func(index) => Some(self.referent(index)),
            _ => None,
        }
    }

    /// Initial entries of every table: later segments win, a null entry erases an earlier one.
    fn active_elements(&self, globals: &[ConstValue]) -> Result<Vec<BTreeMap<u32, Option<FuncId>>>, Error> {
        let mut contents = self.filled_tables(globals)?;
        for (index, element) in (0u32..).zip(&self.info.elements) {
            let SegmentMode::Active(table, offset) = &element.mode else { continue };
            let offset = evaluate_offset(offset, globals);
            let (length, size) = (element.items.len() as u64, self.info.tables[*table as usize].min);
            if offset.checked_add(length).is_none_or(|end| end > size) {
                return Err(Error::SegmentOutOfBounds {
                    kind: "element",
                    index,
                    offset,
                    length,
                    size,
                    is_imported_memory: false,
                });
            }
            for (entry, item) in (offset as u32..).zip(&element.items) {
                contents[*table as usize].insert(entry, self.reference(*item, globals));
            }
        }
        Ok(contents)
    }

    fn add_passive_segments(&mut self, globals: &[ConstValue]) {
        for (index, data) in (0u32..).zip(&self.info.data) {
            let (used, dropped) =
                (self.facts.data_used[index as usize], self.facts.data_dropped[index as usize]);
            let length = data.bytes.len() as u32;
            let plan = size_plan(&data.mode, length, dropped);
            self.data_sizes.push(plan);
            if !used || plan == SizePlan::Fixed(0) {
                continue;
            }
            if plan == SizePlan::Variable {
                self.add_variable(names::segment_size_symbol(index), length);
            }
            let symbol = names::segment_symbol(index);
            let bytes = self.wasm[data.bytes.clone()].to_vec();
            let object = DataObject::new(&symbol, DataKind::Constant, length, 1, bytes);
            self.add_data(symbol, object);
        }
        for (index, element) in (0u32..).zip(&self.info.elements) {
            let i = index as usize;
            let (used, dropped) = (self.facts.element_used[i], self.facts.element_dropped[i]);
            let length = element.items.len() as u32;
            let plan = size_plan(&element.mode, length, dropped);
            self.element_sizes.push(plan);
            if !used || plan == SizePlan::Fixed(0) {
                continue;
            }
            if plan == SizePlan::Variable {
                self.add_variable(names::element_size_symbol(index), length);
            }
            let symbol = names::element_symbol(index);
            let mut object = DataObject::new(&symbol, DataKind::Constant, length * 8, 8, Vec::new());
            object.relocs =
                relocations((0u32..).zip(element.items.iter().map(|item| self.reference(*item, globals))));
            self.add_data(symbol, object);
        }
    }

    /// Adds the room for exceptions inside of others.
    fn add_exception_records(&mut self) {
        if self.exceptions.has_records {
            let symbol = names::EXCEPTION_RECORDS;
            let object = DataObject::new(symbol, DataKind::Variable, self.record_room(), 8, Vec::new());
            self.add_data(symbol.to_owned(), object);
            self.add_variable(names::EXCEPTION_RECORDS_USED.to_owned(), 0);
        }
    }

    /// The bytes of all records of exceptions.
    pub fn record_room(&self) -> u32 {
        self.exceptions.record_bytes() * MOST_RECORDS
    }

    /// Adds static data as one object, which `place` in `llvm-frontend` later replaces by others, and the stack in it.
    fn add_statics(&mut self) {
        let Some(plan) = self.statics.clone() else { return };
        match &plan.relocations {
            Some(relocations) => {
                let objects = statics::objects(relocations, self.info, self.wasm, self.module.data.len());
                for (n, object) in (0..).zip(objects) {
                    self.add_data(names::static_symbol(n), object);
                }
                self.add_exported_addresses(relocations);
            }
            None => {
                self.add_data(names::static_symbol(0), statics::whole(&plan));
            }
        }
        if let Some(stack) = plan.stack {
            let object = DataObject::new(names::STATIC_STACK, DataKind::Variable, stack.size, 16, Vec::new());
            self.add_data(names::STATIC_STACK.to_owned(), object);
        }
    }

    /// Resolves an exported constant with a symbol's name and address to the address of that symbol.
    fn add_exported_addresses(&mut self, relocations: &Relocations) {
        for export in &self.info.exports {
            let (ExportKind::Global(index), Some(address)) =
                (export.kind, relocations.symbols.get(&export.name))
            else {
                continue;
            };
            let is_same =
                self.globals[index as usize] == GlobalPlan::Constant(ConstValue::I32(address.value as i32));
            let data = self.names.data(&names::static_symbol(address.object as u32));
            let holder = self.names.data(&names::global_symbol(index));
            if let (true, Some(data), Some(holder)) = (is_same, data, holder) {
                let addend = address.value.wrapping_sub(relocations.objects[address.object].range.start);
                let stored = StoredAddress { offset: 0, data, addend: addend as i32 };
                self.module.data[holder].addresses = vec![stored];
            }
        }
    }

    fn add_exports(&mut self, globals: &[Option<DataId>], tables: &[DataId], memories: &[DataId]) {
        for export in &self.info.exports {
            let is_global = matches!(export.kind, ExportKind::Global(_));
            if is_global && self.options.static_data && LINKER_GLOBALS.contains(&export.name.as_str()) {
                tracing::info!(name = export.name, "the exported global has no meaning in the object");
                continue;
            }
            let item = match export.kind {
                ExportKind::Func(index) => ExportItem::Func(self.entry(index)),
                ExportKind::Table(index) if self.exceptions.hides_table(self.info, index, self.options) => {
                    tracing::warn!(
                        code = "W0105",
                        "the table `{}` is not exported, because code outside of the module that calls its functions would \
                         not see exceptions; export functions instead, which trap where an exception isn't caught",
                        export.name
                    );
                    continue;
                }
                ExportKind::Table(index) => ExportItem::Data(tables[index as usize]),
                ExportKind::Memory(index) => ExportItem::Data(memories[index as usize]),
                ExportKind::Global(index) => {
                    ExportItem::Data(globals[index as usize].expect("exported globals have data objects"))
                }
                // Only another module of the same program could use it.
                ExportKind::Tag(_) => continue,
            };
            self.module.exports.push(Export { name: export.name.clone(), item });
        }
        self.module.start = self.info.start.map(|start| self.entry(start));
    }
}

fn relocations(entries: impl IntoIterator<Item = (u32, Option<FuncId>)>) -> Vec<Relocation> {
    entries
        .into_iter()
        .filter_map(|(entry, func)| func.map(|func| Relocation { offset: entry * 8, func }))
        .collect()
}

fn size_plan(mode: &SegmentMode, length: u32, dropped: bool) -> SizePlan {
    match mode {
        SegmentMode::Passive if dropped && length > 0 => SizePlan::Variable,
        SegmentMode::Passive => SizePlan::Fixed(length),
        SegmentMode::Active(..) | SegmentMode::Declared => SizePlan::Fixed(0),
    }
}

/// Refuses imported globals without a value, and lists all of them.
pub fn check_imported_globals(info: &ModuleInfo, options: &Options) -> Result<(), Error> {
    let imported = info.globals.iter().filter_map(|global| Some((global.import.as_ref()?, global)));
    let missing: Vec<_> =
        imported.filter(|(import, _)| !options.imported_globals.contains_key(import)).collect();
    if missing.is_empty() { Ok(()) } else { Err(missing_globals(missing)) }
}
