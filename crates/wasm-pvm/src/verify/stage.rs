//! One module, its program and its reference: all functions that it exports are checked.
//!
//! Where the C stack is the machine's, addresses of it that were made up, as arguments or in memory, lead to other bytes
//! than in linear memory. A difference is taken for that if it goes away when the C stack stays in linear memory, and,
//! for a file that was compiled before, if the program that this compiler makes of the module has a difference as well.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Range;

use llvm_frontend::{ExportKind, ModuleInfo, SegmentMode};

use super::check::{Checked, Difference, Pair, Plan, Rules};
use super::inputs::{Input, Scene};
use super::module::{Callee, Exposed, enlarged, function_type, value_type};
use super::reduce::{cut_out, reduce};
use super::reference::Reference;
use super::subject::Program;
use super::{FunctionReport, Settings, VerifyError, target};
use crate::error::Error;
use crate::options::{Options, ShadowStack};
use crate::run::{FunctionType, ValueType};

/// Makes a program of a module.
pub type Maker<'a> = &'a dyn Fn(&[u8], &Options) -> Result<Box<dyn Program>, VerifyError>;

/// A module that is compiled with the C stack in linear memory when a difference has to be explained, once. It may have
/// more exports than the one that is checked.
pub struct Strict<'a> {
    wasm: &'a [u8],
    program: OnceCell<Box<dyn Program>>,
}

impl<'a> Strict<'a> {
    /// Nothing is compiled yet.
    pub fn new(wasm: &'a [u8]) -> Self {
        Self { wasm, program: OnceCell::new() }
    }

    fn program(&self, make: Maker<'_>, options: &Options) -> Result<&dyn Program, VerifyError> {
        if let Some(program) = self.program.get() {
            return Ok(&**program);
        }
        // Counts are of the module as it was.
        let options = Options { shadow_stack: ShadowStack::Strict, profile: None, ..options.clone() };
        let program = make(self.wasm, &options)?;
        Ok(&**self.program.get_or_init(|| program))
    }
}

/// A module, its program and its reference.
pub struct Stage<'a> {
    exposed: &'a Exposed,
    info: ModuleInfo,
    options: &'a Options,
    settings: &'a Settings,
    make: Maker<'a>,
    subject: Box<dyn Program>,
    reference: Reference,
    scene: Scene,
    rules: Rules,
    globals: Vec<(String, ValueType)>,
    /// The program with the C stack in linear memory.
    strict: &'a Strict<'a>,
    /// What this compiler makes of the module, if the program is a file.
    own: OnceCell<Box<dyn Program>>,
}

impl<'a> Stage<'a> {
    /// Compiles a module with `make`, or loads the file of the settings.
    ///
    /// # Errors
    /// If one of the sides doesn't take the module.
    pub fn new(
        exposed: &'a Exposed,
        options: &'a Options,
        settings: &'a Settings,
        make: Maker<'a>,
        strict: &'a Strict<'a>,
    ) -> Result<Self, VerifyError> {
        let wasm = &exposed.wasm;
        let info = super::parse(wasm)?;
        let subject = match &settings.against {
            Some(file) => target::loaded(wasm, file, options)?,
            None => make(wasm, options)?,
        };
        let resized = enlarged(wasm, &info, target::memory_bytes(options))?;
        let resized_info = super::parse(&resized)?;
        let growth = target::growth(options) as usize;
        let globals = options.imported_globals.clone();
        let reference = Reference::new(&resized, &resized_info, subject.effects(), globals, growth)?;
        let scene = scene(wasm, &resized_info, options)?;
        let rules = target::rules(wasm, options)?;
        let globals = globals_of(exposed, &info);
        let own = OnceCell::new();
        Ok(Self {
            exposed,
            info,
            options,
            settings,
            make,
            subject,
            reference,
            scene,
            rules,
            globals,
            strict,
            own,
        })
    }

    /// Checks all functions.
    ///
    /// # Errors
    /// If one of the sides fails.
    pub fn functions(&self, is_exported: bool) -> Result<Vec<FunctionReport>, VerifyError> {
        let mut reports = Vec::new();
        for callee in &self.exposed.functions {
            let name = self.info.function_name(callee.index);
            let names = [&name, &callee.export, &callee.index.to_string()];
            if self.settings.function.as_ref().is_none_or(|wanted| names.contains(&wanted)) {
                let outcome = self.function(callee)?;
                reports.push(FunctionReport { index: callee.index, name, is_exported, outcome });
            }
        }
        Ok(reports)
    }

    /// A smaller module with the first difference in these reports.
    pub fn reduced(&self, reports: &[FunctionReport]) -> Option<Vec<u8>> {
        let differs = |report: &FunctionReport| Some(report.outcome.as_ref().ok()?.difference.as_ref()?.call);
        let (index, call) = reports.iter().find_map(|report| Some((report.index, differs(report)?)))?;
        let callee = self.exposed.functions.iter().find(|callee| callee.index == index)?;
        if self.settings.against.is_some() || call == 0 {
            return Some(cut_out(&self.exposed.wasm, index, &callee.export));
        }
        let settings = Settings { inputs: call, function: None, ..self.settings.clone() };
        let still_differs = |wasm: &[u8]| self.differs(wasm, callee, &settings).unwrap_or(false);
        Some(reduce(&self.exposed.wasm, index, &callee.export, &still_differs))
    }

    /// Whether a function differs in another module.
    fn differs(&self, wasm: &[u8], callee: &Callee, settings: &Settings) -> Result<bool, VerifyError> {
        let info = super::parse(wasm)?;
        let mut exports = info.exports.iter();
        let index = exports.find_map(|export| match export.kind {
            ExportKind::Func(index) if export.name == callee.export => Some(index),
            _ => None,
        });
        let Some(index) = index else { return Ok(false) };
        let functions = vec![Callee { index, ..callee.clone() }];
        let exposed = Exposed { wasm: wasm.to_vec(), functions, globals: self.exposed.globals.clone() };
        // Counts are of the module as it was.
        let options = Options { profile: None, ..self.options.clone() };
        let strict = Strict::new(wasm);
        let stage = Stage::new(&exposed, &options, settings, self.make, &strict)?;
        let reports = stage.functions(true)?;
        Ok(reports
            .iter()
            .any(|report| matches!(&report.outcome, Ok(checked) if checked.difference.is_some())))
    }

    fn function(&self, callee: &Callee) -> Result<Result<Checked, String>, VerifyError> {
        let Some(ty) = function_type(self.info.type_of(callee.index)) else {
            return Ok(Err("its type has references to exceptions".to_owned()));
        };
        match self.subject.function(&callee.export) {
            None => return Ok(Err("the program has no such entry".to_owned())),
            Some(found) if found != ty => return Ok(Ok(of_another_type(&ty, &found))),
            Some(_) => {}
        }
        let (export, stream, inputs) = (&*callee.export, callee.stream, self.settings.inputs);
        let plan = Plan { export, ty: &ty, stream, inputs };
        Ok(Ok(self.pair(&*self.subject).check(&plan, &|calls| self.is_explained(&plan, calls))?))
    }

    fn pair<'p>(&'p self, subject: &'p dyn Program) -> Pair<'p> {
        Pair {
            reference: &self.reference,
            subject,
            effects: self.subject.effects(),
            scene: self.scene.clone(),
            globals: self.globals.clone(),
            rules: self.rules,
            seed: self.settings.seed,
            fuel: self.settings.fuel,
        }
    }

    /// Whether a difference at the last of so many calls comes from the place of the C stack.
    fn is_explained(&self, plan: &Plan<'_>, calls: u32) -> Result<bool, VerifyError> {
        if self.scene.stack.is_empty() {
            return Ok(false);
        }
        let plan = Plan { inputs: calls, ..*plan };
        let differs = |program: &dyn Program| {
            let checked = self.pair(program).check(&plan, &|_| Ok(false))?;
            Ok::<bool, VerifyError>(checked.difference.is_some())
        };
        if differs(self.strict.program(self.make, self.options)?) != Ok(false) {
            return Ok(false);
        }
        if self.settings.against.is_none() {
            return Ok(true);
        }
        if self.own.get().is_none() {
            let _ = self.own.set((self.make)(&self.exposed.wasm, self.options)?);
        }
        self.own.get().map_or(Ok(false), |program| differs(&**program))
    }
}

/// A function that a file has with another type.
fn of_another_type(wasm: &FunctionType, found: &FunctionType) -> Checked {
    let (expected, actual) = (format!("its type is {wasm}"), format!("its type is {found}"));
    let difference = Difference { call: 0, before: 0, input: Input::default(), expected, actual };
    Checked { difference: Some(difference), ..Checked::default() }
}

/// Where memory, data and the moved stack are.
fn scene(wasm: &[u8], info: &ModuleInfo, options: &Options) -> Result<Scene, VerifyError> {
    let stack = llvm_frontend::moved_stack(wasm, &options.frontend()).map_err(Error::from)?;
    let stack: Range<u64> = stack.map_or(0..0, |stack| stack.start.into()..stack.end.into());
    let segments = info.data.iter().filter(|data| matches!(data.mode, SegmentMode::Active(0, _)));
    let places = segments.filter_map(|data| {
        let start = u64::from(data.mode.constant_offset()?);
        Some((start, start + data.bytes.len() as u64))
    });
    let places: Vec<(u64, u64)> = places.collect();
    let start = places.iter().map(|place| place.0).min().unwrap_or(stack.end);
    let end = places.iter().map(|place| place.1).max().unwrap_or(stack.end);
    let bytes = info.main_memory().map_or(0, llvm_frontend::MemoryInfo::min_bytes);
    Ok(Scene { bytes, data: start..end, stack })
}

/// The types of the globals that are set and compared.
fn globals_of(exposed: &Exposed, info: &ModuleInfo) -> Vec<(String, ValueType)> {
    let exports: BTreeMap<&str, u32> = info
        .exports
        .iter()
        .filter_map(|export| match export.kind {
            ExportKind::Global(index) => Some((export.name.as_str(), index)),
            _ => None,
        })
        .collect();
    let global = |name: &String| {
        let index = *exports.get(name.as_str())?;
        Some((name.clone(), value_type(info.globals[index as usize].ty)?))
    };
    exposed.globals.iter().filter_map(global).collect()
}
