//! Open-ended differential testing: random modules against the reference engine, at several optimisation levels, on
//! both PVM versions or on emulated Cortex-M boards.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testkit::fuzz::{Verdict, compare, module, module_with_floats, module_with_vectors};
use testkit::program::Pvm;
use testkit::spelled::{Open, spell_out};
use testkit::thumb::{Setup, Thumb};
use wasm_pvm::{Cpu, Floats, GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

use super::Target;

const LEVELS: [OptLevel; 5] = [OptLevel::O0, OptLevel::O1, OptLevel::O2, OptLevel::Os, OptLevel::Oz];

/// A generator for one topic: its name, and the function that checks a seed.
type Topic = (&'static str, fn(u64) -> Result<()>);

/// All of them.
pub const TOPICS: [Topic; 15] = [
    ("adapters", testkit::adapters::check),
    ("atomics", |seed| judged(seed, testkit::atomics::check_pvm)),
    ("atomics-thumb", |seed| judged(seed, testkit::atomics::check_board)),
    ("data", testkit::data::check),
    ("edges", testkit::edges::check),
    ("helpers", testkit::helpers::check),
    ("nests", |seed| testkit::nests::check_pvm(seed).map(drop)),
    ("nests-thumb", |seed| testkit::nests::check_board(seed).map(drop)),
    ("proposals", |seed| judged(seed, testkit::proposals::check_pvm)),
    ("proposals-thumb", |seed| judged(seed, testkit::proposals::check_board)),
    ("shapes", testkit::shapes::check_pvm),
    ("shapes-thumb", testkit::shapes::check_board),
    ("stack", testkit::stacks::check),
    ("tails", testkit::tails::check_pvm),
    ("tails-thumb", testkit::tails::check_board),
];

/// Checks a seed with the judge that has all proposals.
fn judged(seed: u64, check: fn(u64) -> Result<Verdict>) -> Result<()> {
    static AVAILABLE: LazyLock<bool> = LazyLock::new(testkit::judge::is_available);
    ensure!(*AVAILABLE, "this needs python3 with the package wasmtime, which scripts/setup.sh installs");
    check(seed).map(drop)
}

/// Checks seeds of a topic until the time is over; the first failure is an error that names its seed.
pub fn run_topic(name: &str, seconds: u64, seed: u64) -> Result<()> {
    let (_, check) = TOPICS.iter().find(|topic| topic.0 == name).context("no such topic")?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut checked = 0u64;
    for seed in (seed..).take_while(|_| Instant::now() < end) {
        let verdict = catch_unwind(AssertUnwindSafe(|| check(seed)));
        verdict.unwrap_or_else(|_| bail!("seed {seed}: the compiler or an engine panics"))?;
        checked += 1;
    }
    println!("{checked} seeds agreed");
    Ok(())
}

/// Tests modules from `seed` on until the time is over. The first disagreement is an error with its seed.
pub fn run(target: Target, seconds: u64, seed: u64) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let boards = if target == Target::Thumb { boards()? } else { Vec::new() };
    let (mut modules, mut calls) = (0u64, 0);
    for seed in seed.. {
        if Instant::now() >= end {
            break;
        }
        let level = LEVELS[seed as usize % LEVELS.len()];
        let verdict = catch_unwind(AssertUnwindSafe(|| match target {
            Target::Pvm => on_pvm(seed, level),
            Target::Thumb => {
                let (setup, board) = &boards[(seed / 4) as usize % boards.len()];
                on_board(seed, &Setup { level, ..setup.clone() }.with_memory_of(seed), board)
            }
        }));
        let verdict =
            verdict.unwrap_or_else(|_| bail!("seed {seed}: the compiler or the reference engine panicked"));
        if let Verdict::Agreed(n) = verdict? {
            (modules, calls) = (modules + 1, calls + n);
        }
    }
    println!("{modules} modules agreed on {calls} calls");
    Ok(())
}

fn on_pvm(seed: u64, level: OptLevel) -> Result<Verdict> {
    let gp = if seed.is_multiple_of(3) { GpVersion::V072 } else { GpVersion::V08 };
    let pvm = PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() };
    let options = Options { level, ..Options::new(pvm) };
    // Four levels and three versions in turn, then other operators.
    let bytes = [module, module_with_floats, module_with_vectors][(seed / 12 % 3) as usize](seed)?;
    compare(&bytes, seed, &Pvm { options }).with_context(|| format!("seed {seed} -{level:?} {gp}"))
}

fn boards() -> Result<Vec<(Setup, Thumb)>> {
    let setups = [
        Setup::new(Cpu::M3, OptLevel::O2, Floats::Reject),
        Setup::new(Cpu::M7DP, OptLevel::O2, Floats::Hard),
        Setup::new(Cpu::M4, OptLevel::O2, Floats::Reject),
        Setup::new(Cpu::M4F, OptLevel::O2, Floats::Soft),
        Setup::new(Cpu::M33, OptLevel::O2, Floats::Reject),
        Setup::new(Cpu::M3, OptLevel::O2, Floats::Soft),
        Setup::new(Cpu::M3, OptLevel::O2, Floats::Soft).with_own_float_helpers(),
    ];
    setups.into_iter().map(|setup| Ok((setup.clone(), Thumb::new(setup)?))).collect()
}

fn on_board(seed: u64, setup: &Setup, board: &Thumb) -> Result<Verdict> {
    let bytes = match (setup.executes_floats(), (seed / 24).is_multiple_of(2)) {
        (false, _) => module(seed)?,
        // The unit for floats and the run-time library return other NaNs.
        (true, true) => spell_out(&module_with_floats(seed)?, Open::OnBoards)?,
        (true, false) => spell_out(&module_with_vectors(seed)?, Open::OnBoards)?,
    };
    compare(&bytes, seed, &board.with_setup(setup.clone()))
        .with_context(|| format!("seed {seed} {} -{:?}", setup.cpu, setup.level))
}
