//! `wasmtime` as the second judge: it has exceptions, threads and what else the first one lacks.
//!
//! It runs in a process of Python, whose package `wasmtime` contains the engine as a binary: the crate would take longer
//! to build than everything else together. Modules are rewritten by [`crate::spelled`], so that no result is left open.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::rc::Rc;
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use wasmparser::types::EntityType;
use wasmparser::{Parser, Payload, ValType, Validator, WasmFeatures};

use crate::executor::{Call, CallExit, Executable, Executor, Host, Refusal, Trap};
use crate::fuzz::{Verdict, compare_with};
use crate::kernels::{from_hex, to_hex};
use crate::oracle::{Export, ImportCall, Oracle, Outcome};
use crate::spelled::{Open, spell_out};
use crate::thumb::{Setup, Thumb};

/// The package of Python that contains the engine.
const PACKAGE: &str = "wasmtime";

/// The process.
struct Judge {
    // Ends when its input does.
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// An instance in the engine; there is one at a time.
struct Session<'a> {
    judge: &'a mut Judge,
    exports: Vec<Export>,
    state: Value,
    calls: Vec<ImportCall>,
}

/// Whether the engine is there. If not, the current check is skipped.
pub fn is_available() -> bool {
    needs::python(PACKAGE).is_some()
}

/// Compiles a module and compares it with `wasmtime`. An error is a disagreement.
///
/// # Errors
/// Likewise, and if the engine fails.
pub fn compare(wasm: &[u8], seed: u64, executor: &dyn Executor) -> Result<Verdict> {
    static JUDGE: OnceLock<Mutex<Option<Judge>>> = OnceLock::new();
    let mut judge = JUDGE.get_or_init(Mutex::default).lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if judge.is_none() {
        *judge = Some(Judge::new()?);
    }
    let judge = judge.as_mut().expect("it was made");
    let spelled = spell_out(wasm, Open::All)?;
    match judge.instantiate(&spelled)? {
        Some(session) => compare_with(session, wasm, seed, executor),
        None => Ok(Verdict::Nothing),
    }
}

/// The same on a board, which each thread starts once.
///
/// # Errors
/// Likewise.
pub fn compare_on_board(wasm: &[u8], seed: u64, setup: Setup) -> Result<Verdict> {
    compare(wasm, seed, &Thumb::shared(setup)?)
}

/// The engine as a target: for scripts whose functions take and return integers.
pub struct SecondJudge(Rc<RefCell<Judge>>);

impl SecondJudge {
    /// Starts a process of its own.
    ///
    /// # Errors
    /// If the engine is not there.
    pub fn new() -> Result<Self> {
        Ok(Self(Rc::new(RefCell::new(Judge::new()?))))
    }
}

impl Executor for SecondJudge {
    fn validate(&self, wasm: &[u8]) -> Result<(), Refusal> {
        let validator = &mut Validator::new_with_features(WasmFeatures::all());
        validator.validate_all(wasm).map_or_else(|error| Err(Refusal::Invalid(error.to_string())), |_| Ok(()))
    }

    fn load(&self, wasm: &[u8]) -> Result<Box<dyn Executable>, Refusal> {
        let other = |error: anyhow::Error| Refusal::Other(format!("{error:#}"));
        let spelled = spell_out(wasm, Open::All).map_err(|error| other(error.into()))?;
        let mut judge = self.0.borrow_mut();
        let session = judge.instantiate(&spelled).map_err(other)?;
        let exports = session.map(|session| session.exports);
        Ok(Box::new(Judged { judge: Rc::clone(&self.0), exports }))
    }

    fn has_floats(&self) -> bool {
        true
    }
}

/// The current instance of a process; `None` if its start function traps.
struct Judged {
    judge: Rc<RefCell<Judge>>,
    exports: Option<Vec<Export>>,
}

impl Executable for Judged {
    fn start(&mut self, _: Host<'_>) -> Result<CallExit> {
        Ok(match self.exports {
            Some(_) => CallExit::Returned(Vec::new()),
            None => CallExit::Trapped(None),
        })
    }

    fn call(&mut self, call: Call<'_>, _: Host<'_>) -> Result<CallExit> {
        let exports = self.exports.clone().context("no instance")?;
        let export = exports.iter().find(|export| export.name == call.name).context("no such function")?;
        let mut judge = self.judge.borrow_mut();
        let mut session =
            Session { judge: &mut judge, exports: Vec::new(), state: Value::Null, calls: Vec::new() };
        Ok(match session.call(export, call.args, 0)? {
            Outcome::Returned(words) => CallExit::Returned(words),
            Outcome::Trapped(trap) => CallExit::Trapped(Some(trap)),
            Outcome::Exhausted => CallExit::Exhausted,
        })
    }

    fn memory(&mut self, _: u32) -> Result<Vec<u8>> {
        bail!("memory is not compared")
    }

    fn exported_memory(&mut self, _: &str, _: u32) -> Result<Vec<u8>> {
        bail!("memory is not compared")
    }

    fn memory_exports(&self) -> Vec<String> {
        Vec::new()
    }

    fn global_word(&mut self, _: &str, _: u32) -> Result<Option<u64>> {
        Ok(None)
    }
}

/// Checks seeds of a generator, if the engine is there.
///
/// # Panics
/// If a seed disagrees, or most modules can't be compared.
pub fn check_seeds(check: fn(u64) -> Result<Verdict>, seeds: Range<u64>) {
    if !is_available() {
        return;
    }
    let least = (seeds.end - seeds.start) / 3;
    let mut agreed = 0;
    for seed in seeds {
        let verdict = check(seed).unwrap_or_else(|error| panic!("{error:#}"));
        agreed += u64::from(verdict != Verdict::Nothing);
    }
    assert!(agreed > least, "most random modules must be comparable, {agreed} were");
}

impl Judge {
    fn new() -> Result<Self> {
        let mut process = needs::python(PACKAGE)
            .context("no python3 with the package wasmtime")?
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/judge.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("python3")?;
        let input = process.stdin.take().context("its input")?;
        let output = BufReader::new(process.stdout.take().context("its output")?);
        Ok(Self { _process: process, input, output })
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.input, "{request}").context("wasmtime's process has ended")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        ensure!(!answer.is_empty(), "wasmtime's process has ended");
        Ok(serde_json::from_str(&answer)?)
    }

    fn instantiate(&mut self, wasm: &[u8]) -> Result<Option<Session<'_>>> {
        let Exports { functions, globals, memories } = Exports::read(wasm)?;
        let mut answer = self.ask(&json!({
            "load": to_hex(wasm),
            "functions": types_by_name(&functions),
            "globals": globals,
            "memories": memories,
        }))?;
        if answer.is_null() {
            return Ok(None);
        }
        if let Some(error) = answer["error"].as_str() {
            bail!("wasmtime refuses the module: {error}");
        }
        let mut session = Session { judge: self, exports: functions, state: Value::Null, calls: Vec::new() };
        session.set_state(answer["state"].take())?;
        Ok(Some(session))
    }
}

/// What a module exports that consists of integers. The process asks for no other types: its package ends it at a vector.
#[derive(Default)]
struct Exports {
    functions: Vec<Export>,
    /// Names, with the number of bits.
    globals: Vec<(String, u32)>,
    memories: Vec<String>,
}

impl Exports {
    fn read(wasm: &[u8]) -> Result<Self> {
        let mut exports = Self::default();
        let types = Validator::new_with_features(WasmFeatures::all()).validate_all(wasm)?;
        let types = types.as_ref();
        let wide = |types: &[ValType]| types.iter().map(|&ty| Some(bits(ty)? == 64)).collect::<Option<_>>();
        for payload in Parser::new(0).parse_all(wasm) {
            let Payload::ExportSection(section) = payload? else { continue };
            for export in section {
                let export = export?;
                let name = export.name.to_owned();
                match types.entity_type_from_export(&export).context("an export without a type")? {
                    EntityType::Func(id) | EntityType::FuncExact(id) => {
                        let func = types[id].unwrap_func();
                        if let (Some(params), Some(results)) = (wide(func.params()), wide(func.results())) {
                            exports.functions.push(Export { name, params, results });
                        }
                    }
                    EntityType::Global(global) => {
                        exports.globals.extend(bits(global.content_type).map(|bits| (name, bits)));
                    }
                    EntityType::Memory(_) => exports.memories.push(name),
                    _ => {}
                }
            }
        }
        Ok(exports)
    }
}

/// The number of bits of an integer type.
fn bits(ty: ValType) -> Option<u32> {
    match ty {
        ValType::I32 => Some(32),
        ValType::I64 => Some(64),
        _ => None,
    }
}

/// Bits of the parameters of functions.
fn types_by_name(functions: &[Export]) -> Vec<(&str, Vec<u32>)> {
    let bits = |wide: &[bool]| wide.iter().map(|&wide| if wide { 64 } else { 32 }).collect();
    functions.iter().map(|function| (&*function.name, bits(&function.params))).collect()
}

fn words(list: &Value) -> Result<Vec<u64>> {
    let list = list.as_array().context("a list of words")?;
    list.iter().map(|word| word.as_u64().context("a word")).collect()
}

impl Session<'_> {
    fn set_state(&mut self, state: Value) -> Result<()> {
        for call in state["calls"].as_array().context("calls")? {
            let index = call[0].as_u64().context("the number of an import")?;
            self.calls.push((index as u32, words(&call[1])?));
        }
        self.state = state;
        Ok(())
    }
}

impl Oracle for Session<'_> {
    fn integer_exports(&self) -> Vec<Export> {
        self.exports.clone()
    }

    fn call(&mut self, export: &Export, args: &[u64], _: u64) -> Result<Outcome> {
        let mut answer = self.judge.ask(&json!({ "call": export.name, "args": args }))?;
        self.set_state(answer["state"].take())?;
        let outcome = &answer["outcome"];
        match outcome["trap"].as_str() {
            Some("STACK_OVERFLOW" | "OUT_OF_FUEL") => Ok(Outcome::Exhausted),
            Some(name) => Ok(Outcome::Trapped(trap(name)?)),
            None => Ok(Outcome::Returned(words(&outcome["returned"])?)),
        }
    }

    fn take_import_calls(&mut self) -> Vec<ImportCall> {
        std::mem::take(&mut self.calls)
    }

    fn memory_bytes(&self, name: &str) -> Option<Vec<u8>> {
        let memory = self.state["memories"].get(name)?;
        let mut bytes = from_hex(memory[1].as_str()?).ok()?;
        bytes.resize(memory[0].as_u64()? as usize, 0);
        Some(bytes)
    }

    fn integer_globals(&self) -> Vec<(String, u32, u64)> {
        let globals = self.state["globals"].as_array().into_iter().flatten();
        let global = |global: &Value| {
            Some((global[0].as_str()?.to_owned(), global[1].as_u64()? as u32, global[2].as_u64()?))
        };
        globals.filter_map(global).collect()
    }
}

/// The reason of a trap, by its name in `wasmtime`.
fn trap(name: &str) -> Result<Trap> {
    Ok(match name {
        "UNREACHABLE" => Trap::Unreachable,
        "MEMORY_OUT_OF_BOUNDS" => Trap::Memory,
        "TABLE_OUT_OF_BOUNDS" => Trap::Table,
        "INDIRECT_CALL_TO_NULL" | "BAD_SIGNATURE" => Trap::Signature,
        "INTEGER_DIVISION_BY_ZERO" => Trap::DivideByZero,
        "INTEGER_OVERFLOW" => Trap::IntegerOverflow,
        "BAD_CONVERSION_TO_INTEGER" => Trap::Conversion,
        "HEAP_MISALIGNED" => Trap::Unaligned,
        "ATOMIC_WAIT_NON_SHARED_MEMORY" => Trap::Wait,
        "UNCAUGHT_EXCEPTION" => Trap::Exception,
        "NULL_REFERENCE" => Trap::NullReference,
        other => return Err(anyhow!("a trap of wasmtime: {other}")),
    })
}
