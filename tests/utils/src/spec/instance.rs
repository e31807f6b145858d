//! One module of the suite, compiled and instantiated.

use std::collections::{BTreeMap, BTreeSet};

use llvm_frontend::Error as FrontendError;
use wasm_pvm::{ConstValue, Error, Floats, GpVersion, OptLevel, Options, PvmBounds, PvmOptions};
use wast::{WastArg, WastRet};

use super::{Skip, floats, spectest, values};
use crate::program::{CallExit, Program};

/// Gas for one call: more than any assertion needs, little enough that endless recursion without a frame ends.
const GAS: i64 = 1 << 31;

/// The optimisation level under test.
pub type Level = OptLevel;

/// How modules are compiled.
#[derive(Clone, Debug)]
pub struct Setup {
    options: Options,
}

/// Why a module was refused.
pub enum Refusal {
    /// It is no valid module.
    Invalid(String),
    /// Something else.
    Other(String),
}

/// The answer to a question about an instance.
pub enum Judged {
    /// It is as it should be.
    Yes,
    /// It isn't, for this reason.
    No(String),
    /// It can't be judged.
    Skipped(Skip),
}

impl From<Result<(), String>> for Judged {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::No, |()| Self::Yes)
    }
}

impl Setup {
    /// Explicit bounds checks, traps for float arithmetic, and the globals of the suite's `spectest` module.
    pub fn new(level: Level, gp: GpVersion) -> Self {
        let globals = [
            ("global_i32", ConstValue::I32(666)),
            ("global_i64", ConstValue::I64(666)),
            ("global_f32", ConstValue::F32(666.6f32.to_bits())),
            ("global_f64", ConstValue::F64(666.6f64.to_bits())),
        ];
        let import = |field: &str| ssa_import("spectest", field);
        let imported_globals = globals.map(|(field, value)| (import(field), value)).into_iter().collect();
        let options = Options {
            level,
            floats: Some(Floats::Trap),
            imported_globals,
            threads: 1,
            ..Options::new(PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() })
        };
        Self { options }
    }

    /// The binary of a module's text, or why it isn't one.
    pub fn parse_text(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        wat::parse_str(text).map_err(|error| error.to_string())
    }

    /// Whether the compiler accepts a binary.
    ///
    /// # Errors
    /// Why it doesn't.
    pub fn validate(&self, bytes: &[u8]) -> Result<(), Refusal> {
        match wasm_pvm::compile(bytes, &crate::program::raw_options(&self.options)) {
            Ok(_) => Ok(()),
            // What another proposal would make valid is invalid without it.
            Err(
                error @ (Error::Frontend(FrontendError::InvalidWasm { .. } | FrontendError::Proposal { .. })
                | Error::Input(_)),
            ) => Err(Refusal::Invalid(error.to_string())),
            Err(error) => Err(Refusal::Other(error.to_string())),
        }
    }
}

fn ssa_import(module: &str, field: &str) -> ssa::Import {
    ssa::Import { module: module.to_owned(), field: field.to_owned() }
}

/// An instance, or why there is none.
pub struct Instance {
    state: State,
    float_exports: BTreeSet<String>,
    foreign_imports: BTreeSet<String>,
    /// Why its state may differ from what the suite expects.
    tainted: Option<Skip>,
}

enum State {
    Live(Box<Live>),
    Skipped(Skip),
    /// The start function trapped.
    Trapped,
    Failed(String),
}

impl State {
    fn of(setup: &Setup, bytes: &[u8], facts: Facts) -> Self {
        if !facts.foreign_imports.is_empty() {
            return Self::Skipped(Skip::Linking);
        }
        if facts.memories > 1 {
            return Self::Skipped(Skip::MultiMemory);
        }
        let bytes = match spectest::with_real_limits(bytes) {
            Ok(bytes) => bytes,
            Err(error) => return Self::Failed(error.to_string()),
        };
        let started = Program::compile(&bytes, &setup.options).and_then(|mut program| {
            let exit = program.start(GAS, &mut |_, _| 0)?;
            Ok((program, exit))
        });
        match started {
            Ok((_, CallExit::Trapped)) => Self::Trapped,
            Ok((program, CallExit::Returned(_))) => Self::Live(Box::new(Live {
                program,
                exported: facts.results,
                constant_globals: facts.constant_globals,
            })),
            Ok((_, CallExit::OutOfGas)) => Self::Failed("the start function doesn't end".to_owned()),
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }
}

struct Live {
    program: Program,
    exported: BTreeMap<String, usize>,
    constant_globals: BTreeMap<String, u64>,
}

impl Instance {
    /// Compiles and loads a valid module.
    pub fn new(setup: &Setup, bytes: &[u8]) -> Self {
        let float_exports = floats::exports_reaching_floats(bytes).unwrap_or_default();
        let (foreign_imports, state) = match facts(bytes) {
            Err(error) => (BTreeSet::new(), State::Failed(error.to_string())),
            Ok(facts) => (facts.foreign_imports.clone(), State::of(setup, bytes, facts)),
        };
        Self { state, float_exports, foreign_imports, tainted: None }
    }

    /// Modules other than `spectest` that it imports from.
    pub fn foreign_imports(&self) -> &BTreeSet<String> {
        &self.foreign_imports
    }

    /// From now on its state may differ from what the suite expects.
    pub fn taint(&mut self, reason: Skip) {
        self.tainted = Some(reason);
    }

    /// Why an assertion that does not hold can't be judged, if so.
    pub fn excuse(&mut self, needs_floats: bool) -> Option<Skip> {
        if needs_floats {
            self.taint(Skip::Floats);
        }
        self.tainted
    }

    /// Why compiling failed, if it did.
    pub fn failure(&self) -> Option<String> {
        match &self.state {
            State::Failed(why) => Some(why.clone()),
            State::Trapped => Some("the start function trapped".to_owned()),
            _ => None,
        }
    }

    /// Why nothing about this instance can be judged, if so.
    pub fn skipped(&self) -> Option<Skip> {
        match self.state {
            State::Skipped(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether an export may execute float arithmetic.
    pub fn reaches_floats(&self, name: &str) -> bool {
        self.float_exports.contains(name)
    }

    /// Instantiation must fail: a segment out of bounds is refused at compile time, a start function traps.
    pub fn must_not_start(&self) -> Judged {
        match &self.state {
            State::Failed(_) | State::Trapped => Judged::Yes,
            State::Skipped(reason) => Judged::Skipped(*reason),
            State::Live(_) => Judged::No("the module was instantiated".to_owned()),
        }
    }

    /// Calls an export.
    pub fn call(&mut self, name: &str, args: &[WastArg<'_>]) -> Result<Outcome, String> {
        let State::Live(live) = &mut self.state else {
            return Err("the module was not instantiated".to_owned());
        };
        let words = args.iter().map(values::word).collect::<Result<Vec<_>, _>>()?;
        let results = *live.exported.get(name).ok_or("no such export")?;
        let exit = live
            .program
            .call(name, &words, results, GAS, &mut |_, _| 0)
            .map_err(|error| format!("{error:#}"))?;
        Ok(Outcome(exit))
    }

    /// Compares an exported global.
    pub fn global(&mut self, name: &str, expected: &[WastRet<'_>]) -> Judged {
        let State::Live(live) = &mut self.state else {
            return self.skipped().map_or_else(|| Judged::No("not instantiated".to_owned()), Judged::Skipped);
        };
        let [expected] = expected else { return Judged::No("not one value".to_owned()) };
        let size = values::size(expected);
        let word = match (live.program.global_word(name, size), live.constant_globals.get(name)) {
            (Ok(Some(word)), _) => word,
            (Ok(None), Some(&word)) => word,
            (Ok(None), None) => return Judged::No(format!("global {name} has no address")),
            (Err(error), _) => return Judged::No(format!("{error:#}")),
        };
        let word = if size == 4 { i64::from(word as i32) as u64 } else { word };
        match values::matches(word, expected) {
            true => Judged::Yes,
            false => Judged::No(format!("global {name} is {word:#x}, expected {expected:?}")),
        }
    }
}

/// What a call did, to be judged.
pub struct Outcome(CallExit);

impl Outcome {
    /// It must return, and return these values if given.
    pub fn returned(self, expected: Option<&[WastRet<'_>]>) -> Result<(), String> {
        let CallExit::Returned(words) = self.0 else {
            return Err(format!("{:?} instead of a return", self.0));
        };
        let Some(expected) = expected else { return Ok(()) };
        let all = words.len() == expected.len()
            && words.iter().zip(expected).all(|(&word, e)| values::matches(word, e));
        if all { Ok(()) } else { Err(format!("returned {words:#x?}, expected {expected:?}")) }
    }

    /// It must trap.
    pub fn trapped(self) -> Result<(), String> {
        if self.0 == CallExit::Trapped { Ok(()) } else { Err(format!("{:?} instead of a trap", self.0)) }
    }

    /// It must use up the stack, or all gas where the recursion needs no stack.
    pub fn exhausted(self) -> Result<(), String> {
        match self.0 {
            CallExit::Trapped | CallExit::OutOfGas => Ok(()),
            exit => Err(format!("{exit:?} instead of exhaustion")),
        }
    }
}

/// What the runner needs to know of a module.
#[derive(Default)]
struct Facts {
    /// Modules other than `spectest` that it imports from.
    foreign_imports: BTreeSet<String>,
    memories: u32,
    /// Number of results of each exported function.
    results: BTreeMap<String, usize>,
    /// Values of exported immutable globals with a plain constant, which need no address.
    constant_globals: BTreeMap<String, u64>,
}

fn facts(bytes: &[u8]) -> wasmparser::Result<Facts> {
    use wasmparser::{ExternalKind, Payload, TypeRef};
    let mut facts = Facts::default();
    let (mut types, mut funcs, mut globals) = (Vec::new(), Vec::new(), Vec::new());
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    types.push(ty?.results().len());
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if import.module != "spectest" {
                        facts.foreign_imports.insert(import.module.to_owned());
                    }
                    match import.ty {
                        TypeRef::Func(ty) => funcs.push(ty),
                        TypeRef::Global(_) => globals.push(None),
                        TypeRef::Memory(_) => facts.memories += 1,
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    funcs.push(ty?);
                }
            }
            Payload::MemorySection(section) => facts.memories += section.count(),
            Payload::GlobalSection(section) => {
                for global in section {
                    globals.push(constant(&global?.init_expr)?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let (name, index) = (export.name.to_owned(), export.index as usize);
                    if export.kind == ExternalKind::Func {
                        facts.results.insert(name, types[funcs[index] as usize]);
                    } else if let (ExternalKind::Global, Some(value)) =
                        (export.kind, globals.get(index).copied().flatten())
                    {
                        facts.constant_globals.insert(name, value);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(facts)
}

fn constant(expr: &wasmparser::ConstExpr<'_>) -> wasmparser::Result<Option<u64>> {
    use wasmparser::Operator;
    Ok(match expr.get_operators_reader().read()? {
        Operator::I32Const { value } => Some(i64::from(value) as u64),
        Operator::I64Const { value } => Some(value as u64),
        Operator::F32Const { value } => Some(u64::from(value.bits())),
        Operator::F64Const { value } => Some(value.bits()),
        Operator::RefNull { .. } => Some(0),
        _ => None,
    })
}
