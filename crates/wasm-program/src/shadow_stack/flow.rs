//! How the functions of a module use the shadow stack together.
//!
//! Every function that an export, the start function or a table leads to is analysed, given the traits of its
//! parameters, of the results of its callees and of globals. The values it passes on may add traits to those, and then
//! the functions that depend on them are analysed again. Traits are finite sets that only grow, so this terminates.

use std::collections::{BTreeMap, BTreeSet};

use super::frame::{self, Failure, Outcome};
use super::handles;
use super::value::{Region, Traits};
use crate::libcalls::Libcall;
use crate::module_info::{ConstOp, ExportKind, ModuleInfo};

/// The facts that all functions of a module share.
pub struct Subject<'a> {
    /// The module.
    pub info: &'a ModuleInfo,
    /// Its bytes.
    pub wasm: &'a [u8],
    /// Its compiler helpers.
    pub libcalls: &'a [Option<Libcall>],
    /// The stack pointer.
    pub global: u32,
    /// The stack.
    pub region: Region,
    /// For each type the first one that is equal to it.
    pub classes: Vec<u32>,
    /// For each function the parameter that is its result, if it always is.
    pub returned: Vec<Option<u32>>,
    /// The functions that the host enters.
    pub entries: Vec<u32>,
}

impl Subject<'_> {
    /// The first type that is equal to the type of a function.
    fn class_of(&self, function: u32) -> u32 {
        self.classes[self.info.functions[function as usize].ty as usize]
    }
}

/// For each type of a module the first one that is equal to it.
pub fn classes(info: &ModuleInfo) -> Vec<u32> {
    let mut first = BTreeMap::new();
    (0u32..).zip(&info.types).map(|(index, ty)| *first.entry(ty).or_insert(index)).collect()
}

/// The receiver of a value that a function hands on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sink {
    /// A parameter of a function.
    Param(u32, u32),
    /// A parameter of all functions in tables that have a type.
    ClassParam(u32, u32),
    /// A global.
    Global(u32),
    /// Any result of the function itself.
    Results,
}

/// Traits of the values that functions hand to each other.
pub struct World {
    params: Vec<Vec<Traits>>,
    results: Vec<Traits>,
    globals: Vec<Traits>,
    class_results: BTreeMap<u32, Traits>,
    /// Parameters that a function accesses memory through, whatever it does otherwise.
    accessed: Vec<BTreeSet<u32>>,
}

impl World {
    /// The traits of a parameter.
    pub fn param(&self, function: u32, param: u32) -> Traits {
        self.params[function as usize][param as usize].elsewhere()
    }

    /// The traits of the results of a function.
    pub fn results(&self, function: u32) -> Traits {
        self.results[function as usize].elsewhere()
    }

    /// The traits of the results of functions in tables that have a type.
    pub fn class_results(&self, class: u32) -> Traits {
        self.class_results.get(&class).copied().unwrap_or(Traits::ADDRESS)
    }

    /// The traits of a global.
    pub fn global(&self, global: u32) -> Traits {
        self.globals[global as usize].elsewhere()
    }

    /// Whether a function accesses memory through a parameter on every path.
    pub fn accesses(&self, function: u32, param: u32) -> bool {
        self.accessed[function as usize].contains(&param)
    }
}

/// A function that does not fit.
pub struct Misuse {
    pub function: u32,
    pub failure: Failure,
}

/// How a module uses the stack.
#[derive(Default)]
pub struct Usage {
    /// For each function, bytes below the pointer it is entered with.
    pub frame_sizes: Vec<u32>,
    /// Functions whose part of the stack can't be a frame of the machine's stack, but can stay in memory.
    pub kept: Vec<Misuse>,
    /// Entries that hand the pointer to the host, or move it for the host.
    pub handles: Vec<Misuse>,
    /// Functions that depend on the stack pointer of their callers, or the other way round.
    pub refused: Vec<Misuse>,
    /// Functions that may use addresses of the stack in ways that compilers don't.
    pub suspicious: Vec<Misuse>,
}

/// Analyses all functions that can be reached.
pub fn analyse(subject: &Subject<'_>) -> Usage {
    let mut flow = Flow::new(subject);
    flow.mark_roots();
    while !flow.pending.is_empty() {
        for function in std::mem::take(&mut flow.pending) {
            let outcome = frame::analyse(subject, &flow.world, function);
            flow.apply(function, outcome);
        }
    }
    let mut usage = Usage { frame_sizes: vec![0; subject.info.functions.len()], ..Usage::default() };
    for (&function, verdict) in &flow.verdicts {
        let misuse = |failure: Option<Failure>| failure.map(|failure| Misuse { function, failure });
        let failure = verdict.refused.or(verdict.suspicious);
        if failure.is_some() && flow.is_for_host(function) && handles::is_handle(subject, function) {
            usage.handles.extend(misuse(failure));
            continue;
        }
        if verdict.kept.is_none() {
            usage.frame_sizes[function as usize] = verdict.frame_size;
        }
        usage.kept.extend(misuse(verdict.kept));
        usage.refused.extend(misuse(verdict.refused));
        usage.suspicious.extend(misuse(verdict.suspicious));
    }
    usage
}

struct Verdict {
    frame_size: u32,
    kept: Option<Failure>,
    refused: Option<Failure>,
    suspicious: Option<Failure>,
}

struct Flow<'a> {
    subject: &'a Subject<'a>,
    world: World,
    pending: BTreeSet<u32>,
    verdicts: BTreeMap<u32, Verdict>,
    /// Functions in tables, or whose reference is taken, by the class of their type.
    in_tables: BTreeMap<u32, BTreeSet<u32>>,
    class_params: BTreeMap<(u32, u32), Traits>,
    callers: BTreeMap<u32, BTreeSet<u32>>,
    class_callers: BTreeMap<u32, BTreeSet<u32>>,
    readers: BTreeMap<u32, BTreeSet<u32>>,
    uses_tables: bool,
    /// The host may call functions in tables.
    host_sees_tables: bool,
}

impl<'a> Flow<'a> {
    fn new(subject: &'a Subject<'a>) -> Self {
        let info = subject.info;
        let imported = info.imported_functions();
        let params = |n: usize| vec![Traits::NONE; info.type_of(n as u32).params.len()];
        let of_results = |n: usize| if n < imported { Traits::ADDRESS } else { Traits::NONE };
        let count = info.functions.len();
        let global = |global: &crate::module_info::GlobalInfo| match global.init[..] {
            [ConstOp::I32Const(value)] => subject.region.constant(value),
            _ => Traits::ADDRESS,
        };
        Self {
            subject,
            world: World {
                params: (0..count).map(params).collect(),
                results: (0..count).map(of_results).collect(),
                globals: info.globals.iter().map(global).collect(),
                class_results: BTreeMap::new(),
                accessed: vec![BTreeSet::new(); count],
            },
            pending: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            in_tables: BTreeMap::new(),
            class_params: BTreeMap::new(),
            callers: BTreeMap::new(),
            class_callers: BTreeMap::new(),
            readers: BTreeMap::new(),
            uses_tables: false,
            host_sees_tables: false,
        }
    }

    fn mark_roots(&mut self) {
        let info = self.subject.info;
        let mut host_sees_tables = info.tables.iter().any(|table| table.import.is_some());
        for export in &info.exports {
            match export.kind {
                ExportKind::Func(function) if self.subject.entries.contains(&function) => {
                    self.entered_by_host(function);
                }
                ExportKind::Table(_) => host_sees_tables = true,
                ExportKind::Global(global) => self.world.globals[global as usize] |= Traits::ADDRESS,
                ExportKind::Func(_) | ExportKind::Memory(_) | ExportKind::Tag(_) => {}
            }
        }
        if let Some(start) = info.start {
            self.reach(start);
        }
        self.host_sees_tables = host_sees_tables;
        if host_sees_tables {
            self.reach_tables();
        }
        let of_globals = info.globals.iter().flat_map(|global| &global.init);
        for op in of_globals {
            if let ConstOp::RefFunc(function) = *op {
                self.reach_reference(function);
            }
        }
    }

    fn reach(&mut self, function: u32) {
        let is_local = self.subject.info.functions[function as usize].import.is_none();
        if is_local && !self.verdicts.contains_key(&function) {
            self.pending.insert(function);
        }
    }

    fn again(&mut self, functions: &BTreeSet<u32>) {
        self.pending.extend(functions);
    }

    fn entered_by_host(&mut self, function: u32) {
        for param in 0..self.world.params[function as usize].len() as u32 {
            self.give(function, Sink::Param(function, param), Traits::ADDRESS);
        }
        self.reach(function);
    }

    /// Functions in element segments can be called through tables.
    fn reach_tables(&mut self) {
        if !std::mem::replace(&mut self.uses_tables, true) {
            for op in self.subject.info.elements.iter().flat_map(|element| &element.items) {
                if let ConstOp::RefFunc(function) = *op {
                    self.reach_reference(function);
                }
            }
        }
    }

    fn reach_reference(&mut self, function: u32) {
        let class = self.subject.class_of(function);
        if !self.in_tables.entry(class).or_default().insert(function) {
            return;
        }
        for param in 0..self.world.params[function as usize].len() as u32 {
            let known = self.class_params.get(&(class, param)).copied().unwrap_or_default();
            self.give(function, Sink::Param(function, param), known);
        }
        let results = self.world.results(function);
        self.class_result(class, results);
        if self.host_sees_tables {
            self.entered_by_host(function);
        }
        self.reach(function);
    }

    fn class_result(&mut self, class: u32, traits: Traits) {
        let known = self.world.class_results.entry(class).or_insert(Traits::ADDRESS);
        let before = *known;
        *known |= traits.by_type();
        if *known != before {
            let callers = self.class_callers.get(&class).cloned().unwrap_or_default();
            self.again(&callers);
        }
    }

    /// Adds traits to a receiver of values.
    fn give(&mut self, function: u32, sink: Sink, traits: Traits) {
        let known = match sink {
            Sink::Param(function, param) => &mut self.world.params[function as usize][param as usize],
            Sink::ClassParam(class, param) => self.class_params.entry((class, param)).or_default(),
            Sink::Global(global) => &mut self.world.globals[global as usize],
            Sink::Results => &mut self.world.results[function as usize],
        };
        let before = *known;
        *known |= traits;
        if *known == before {
            return;
        }
        match sink {
            Sink::Param(function, _) => self.reconsider(function),
            Sink::ClassParam(class, param) => {
                for function in self.in_tables.get(&class).cloned().unwrap_or_default() {
                    self.give(function, Sink::Param(function, param), traits);
                }
            }
            Sink::Global(global) => {
                let readers = self.readers.get(&global).cloned().unwrap_or_default();
                self.again(&readers);
            }
            Sink::Results => {
                let callers = self.callers.get(&function).cloned().unwrap_or_default();
                self.again(&callers);
                let class = self.subject.class_of(function);
                if self.in_tables.get(&class).is_some_and(|members| members.contains(&function)) {
                    self.class_result(class, traits);
                }
            }
        }
    }

    /// Whether only the host calls a function.
    fn is_for_host(&self, function: u32) -> bool {
        let is_member = |members: &BTreeSet<u32>| members.contains(&function);
        self.subject.info.start != Some(function)
            && self.callers.get(&function).is_none_or(BTreeSet::is_empty)
            && !self.in_tables.values().any(is_member)
    }

    /// Analyses a function again if it has been before.
    fn reconsider(&mut self, function: u32) {
        if self.verdicts.contains_key(&function) {
            self.pending.insert(function);
        }
    }

    fn apply(&mut self, function: u32, outcome: Outcome) {
        let Outcome { frame_size, kept, refused, suspicious, effects } = outcome;
        self.verdicts.insert(function, Verdict { frame_size, kept, refused, suspicious });
        for callee in effects.callees {
            self.callers.entry(callee).or_default().insert(function);
            self.reach(callee);
        }
        for class in effects.classes {
            self.class_callers.entry(class).or_default().insert(function);
            self.reach_tables();
        }
        for reference in effects.references {
            self.reach_reference(reference);
        }
        for global in effects.reads {
            self.readers.entry(global).or_default().insert(function);
        }
        for (sink, traits) in effects.gives {
            self.give(function, sink, traits);
        }
        if effects.accessed != self.world.accessed[function as usize] {
            self.world.accessed[function as usize] = effects.accessed;
            let callers = self.callers.get(&function).cloned().unwrap_or_default();
            self.again(&callers);
        }
    }
}
