//! Random nests of exceptions: blocks with handlers, of both proposals, that throw, catch, rethrow, delegate, and call
//! functions that do, directly, indirectly, by reference, and in tail position.
//!
//! A module is made as a tree of statements ([`Statement`]). [`text`] writes it as wasm, and [`interpret`] says what it
//! does without any wasm, with exceptions as values of the host's language. Programs end because calls draw on a budget
//! and loops are short.

mod generate;
mod interpret;
mod text;

use anyhow::{Context as _, Result, ensure};
use random::Rng;

use wasm_pvm::{Cpu, Floats, GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

use crate::executor::{Call, CallExit, Executor};
use crate::program::Pvm;
use crate::thumb::{Setup, Thumb};
pub use interpret::Outcome;

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];
/// Number of locals that statements compute with. Local 0 is the parameter.
const LOCALS: usize = 3;
/// Number of locals with references to exceptions.
const EXCEPTION_LOCALS: usize = 2;
/// Calls until all further calls return at once.
const CALLS: u32 = 40;

/// The types of the values of the tags.
const TAGS: [&[Kind]; 5] = [
    &[],
    &[Kind::I32],
    &[Kind::I64, Kind::I32],
    &[Kind::F32, Kind::I64],
    &[Kind::I32, Kind::I64, Kind::I32, Kind::I32, Kind::I64, Kind::I32, Kind::F32],
];

/// The type of a value of an exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    I32,
    I64,
    F32,
}

/// A number: a local, changed by a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Expr {
    local: usize,
    factor: i32,
    added: i32,
}

/// A function to call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Callee {
    /// Directly.
    Direct(usize),
    /// Through the table, which has all functions; the index is computed.
    Table(Expr),
    /// By reference.
    Reference(usize),
}

/// A handler of a `try_table`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Handler {
    /// `None` catches all.
    tag: Option<usize>,
    /// The local for the reference, if it catches that, too.
    reference: Option<usize>,
    body: Vec<Statement>,
}

/// A statement. Labels are unique in a function.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Statement {
    /// Mixes a constant and a local into the trace.
    Trace(i32, usize),
    Set(usize, Expr),
    Call {
        callee: Callee,
        arg: Expr,
        result: usize,
    },
    TailCall {
        callee: Callee,
        arg: Expr,
    },
    Throw {
        tag: usize,
        arg: Expr,
    },
    /// Throws a reference; a null one traps.
    ThrowReference(usize),
    /// Sets a local to whether a reference is null.
    IsNull(usize, usize),
    /// By the lowest bit of a number.
    If {
        condition: Expr,
        then: Vec<Statement>,
        otherwise: Vec<Statement>,
    },
    Loop {
        times: i32,
        label: usize,
        body: Vec<Statement>,
    },
    Block {
        label: usize,
        body: Vec<Statement>,
    },
    /// Leaves a block, `try` or `try_table`.
    Leave(usize),
    Return(Expr),
    TryTable {
        label: usize,
        body: Vec<Statement>,
        handlers: Vec<Handler>,
    },
    Try {
        label: usize,
        body: Vec<Statement>,
        handlers: Vec<(usize, Vec<Statement>)>,
        rest: Option<Vec<Statement>>,
    },
    /// Throws the exception of the handler of a `try` again.
    Rethrow(usize),
    /// Exceptions of the body go on as if they were thrown in an outer block; in the caller if there is none.
    Delegate {
        body: Vec<Statement>,
        label: Option<usize>,
    },
}

/// A program: functions that take and return a number. The first is exported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    functions: Vec<Vec<Statement>>,
}

impl Program {
    /// A random program.
    pub fn new(random: Rng) -> Self {
        generate::program(random)
    }

    /// Its wasm module, with the function `main`.
    ///
    /// # Errors
    /// None.
    pub fn wasm(&self) -> Result<Vec<u8>> {
        Ok(wat::parse_str(text::module(self))?)
    }

    /// What `main` does with an argument. The result has the trace in it.
    pub fn run(&self, arg: i32) -> Outcome {
        interpret::run(self, arg)
    }
}

/// As [`check`] for a seed, at a level and on a version of the machine that depend on it.
///
/// # Errors
/// If a result differs.
pub fn check_pvm(seed: u64) -> Result<[u32; 3]> {
    check_pvm_with(seed, Rng::new(seed))
}

/// As [`check`] on the PVM, at a level and for a version by the seed.
///
/// # Errors
/// If a result differs.
pub fn check_pvm_with(seed: u64, random: Rng) -> Result<[u32; 3]> {
    let pvm = PvmOptions {
        gp: if seed.is_multiple_of(2) { GpVersion::V08 } else { GpVersion::V072 },
        bounds: PvmBounds::Strict,
        ..PvmOptions::default()
    };
    let level = LEVELS[seed as usize / 2 % LEVELS.len()];
    check(random, &Pvm { options: Options { level, threads: 1, ..Options::new(pvm) } })
}

/// As [`check`] for a seed, at a level and on a board that depend on it.
///
/// # Errors
/// If a result differs, or there is no board.
pub fn check_board(seed: u64) -> Result<[u32; 3]> {
    check_board_with(seed, Rng::new(seed))
}

/// As [`check`] on a board, at a level by the seed.
///
/// # Errors
/// If a result differs, or there is no board.
pub fn check_board_with(seed: u64, random: Rng) -> Result<[u32; 3]> {
    let level = LEVELS[seed as usize / 2 % LEVELS.len()];
    let cpu = if seed.is_multiple_of(2) { Cpu::M3 } else { Cpu::M33 };
    check(random, &Thumb::shared(Setup::new(cpu, level, Floats::Trap))?)
        .with_context(|| format!("seed {seed} {cpu} -{level:?}"))
}

/// Runs a random program, and compares the results of `main`; how many calls ended in which way.
///
/// # Errors
/// If a result differs.
pub fn check(random: Rng, executor: &dyn Executor) -> Result<[u32; 3]> {
    let program = Program::new(random);
    let wasm = program.wasm()?;
    let mut endings = [0; 3];
    let mut loaded = executor.load(&wasm).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    loaded.start(&mut |_, _| 0)?;
    for arg in [0, 1, 2, 3, -7, 1000] {
        let args = [i64::from(arg) as u64];
        let call = Call { name: "main", args: &args, is_endless: false };
        let exit = loaded.call(call, &mut |_, _| 0)?;
        let expected = program.run(arg);
        let (ending, agrees) = match (expected, &exit) {
            (Outcome::Returned(value), CallExit::Returned(words)) => {
                (0, words[..] == [i64::from(value) as u64])
            }
            (Outcome::Trapped(trap), CallExit::Trapped(reason)) => (
                1 + usize::from(trap != crate::executor::Trap::Exception),
                reason.is_none_or(|it| it == trap),
            ),
            _ => (0, false),
        };
        ensure!(agrees, "main({arg}): {exit:?} instead of {expected:?}");
        endings[ending] += 1;
    }
    executor.clear();
    Ok(endings)
}
