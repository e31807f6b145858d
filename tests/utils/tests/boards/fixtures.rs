//! Scripts of `tests/fixtures/thumb` on emulated boards: shapes that compilers for these cores got wrong before. A test
//! is a file in that folder; files with `float` in their names need floats.

use anyhow::{Result, anyhow, ensure};
use object::{Object as _, ObjectSymbol as _};
use testkit::engine::Engine;
use testkit::executor::{Call, CallExit, Executor};
use testkit::fuzz::compare;
use testkit::program::Pvm;
use testkit::reports::cortex_m;
use testkit::scripts;
use testkit::thumb::{Setup, Thumb};
use wasm_pvm::{Cpu, Floats, OptLevel, Options, PvmBounds, PvmOptions, ThumbOptions};

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];

fn check(context: &str, executor: &dyn Executor) {
    scripts::check("thumb", None, context, executor);
}

fn on_board(cpu: Cpu, floats: Floats) {
    let setup = Setup::new(cpu, OptLevel::O2, floats);
    if !setup.is_available() {
        return;
    }
    let board = Thumb::new(setup.clone()).unwrap();
    for level in LEVELS {
        check(&format!("{cpu} -{level:?}"), &board.with_setup(Setup { level, ..setup.clone() }));
    }
}

#[test]
fn without_floats() {
    on_board(Cpu::M0Plus, Floats::Reject);
    on_board(Cpu::M3, Floats::Reject);
    on_board(Cpu::M33, Floats::Reject);
    on_board(Cpu::M55, Floats::Reject);
}

#[test]
fn with_double_precision() {
    on_board(Cpu::M7DP, Floats::Hard);
    on_board(Cpu::M55DP, Floats::Hard);
}

#[test]
fn with_single_precision_and_library() {
    on_board(Cpu::M4F, Floats::Soft);
}

/// The expectations of the scripts are right.
#[test]
fn on_the_reference_engine() {
    check("reference", &Engine);
}

/// The PVM agrees with them.
#[test]
fn on_the_pvm() {
    let options = Options {
        threads: 1,
        ..Options::new(PvmOptions { bounds: PvmBounds::Strict, ..PvmOptions::default() })
    };
    check("PVM", &Pvm { options });
}

/// Shapes of newer WebAssembly, with floats by the run-time library and in hardware.
#[test]
fn shapes_of_proposals() {
    for (cpu, levels) in [(Cpu::M3, &LEVELS[..]), (Cpu::M4F, &LEVELS[1..2]), (Cpu::M0Plus, &LEVELS[3..])] {
        let setup = Setup::new(cpu, OptLevel::O2, Floats::Soft);
        if !setup.is_available() {
            return;
        }
        let board = Thumb::new(setup.clone()).unwrap();
        for &level in levels {
            let context = format!("{cpu} -{level:?}");
            let board = board.with_setup(Setup { level, ..setup.clone() });
            scripts::check("proposals", None, &context, &board);
        }
    }
}

/// Small programs, one per kind of bug, behave on boards as in the reference engine.
#[test]
fn reports_are_right_on_boards() {
    let programs = cortex_m().unwrap();
    assert_eq!(programs.len(), 6);
    let setups = [(Cpu::M3, Floats::Reject), (Cpu::M7DP, Floats::Hard)];
    let boards: Vec<Thumb> = setups
        .into_iter()
        .map(|(cpu, floats)| Setup::new(cpu, OptLevel::O2, floats))
        .filter(Setup::is_available)
        .map(|setup| Thumb::new(setup).unwrap())
        .collect();
    let mut wrong = Vec::new();
    for (name, wasm) in programs {
        let failures: Vec<String> =
            boards.iter().flat_map(|board| failures_on(board, &name, &wasm)).collect();
        wrong.extend(failures.first().map(|failure| format!("{name}: {failure}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The levels at which a program behaves on a board unlike in the reference engine, with the difference.
fn failures_on(board: &Thumb, name: &str, wasm: &[u8]) -> Vec<String> {
    let mut failures = Vec::new();
    for level in LEVELS {
        let setup = Setup { level, ..board.setup().clone() };
        let has_floats = setup.executes_floats();
        let context = format!("{} -{level:?}", setup.cpu);
        let board = board.with_setup(setup);
        let calls = match name {
            "tail-odd-singles.wat" if has_floats => compare_call(wasm, &board),
            "tail-odd-singles.wat" => Ok(()),
            "exported-import.wat" => has_symbol(board.setup(), wasm, "start_hook"),
            _ => (0..4).try_for_each(|seed| compare(wasm, seed, &board).map(|_| ())),
        };
        failures.extend(calls.err().map(|error| format!("{context}: {error:#}")));
    }
    failures
}

/// Calls `f` with nine floats.
fn compare_call(wasm: &[u8], board: &Thumb) -> Result<()> {
    board.clear();
    let args: Vec<u64> = (1..=9).map(|n| u64::from((n as f32).to_bits())).collect();
    let call = Call { name: "f", args: &args, is_endless: false };
    let mut made = Vec::new();
    let mut program = board.load(wasm).map_err(|refusal| anyhow!("{refusal}"))?;
    let exit = program.call(call, &mut |import, args| {
        made.push((import, args.to_vec()));
        u64::from(2.5f32.to_bits())
    })?;
    ensure!(made == [(0, args)], "called imports {made:x?}");
    ensure!(exit == CallExit::Returned(vec![u64::from(2.5f32.to_bits())]), "{exit:x?}");
    Ok(())
}

/// The object has a symbol of the export.
fn has_symbol(setup: &Setup, wasm: &[u8], name: &str) -> Result<()> {
    let options = Options { level: setup.level, threads: 1, ..Options::new(ThumbOptions::new(setup.cpu)) };
    let object = wasm_pvm::compile(wasm, &options)?.bytes;
    let file = object::File::parse(&*object)?;
    let is_there = file.symbols().any(|symbol| symbol.name() == Ok(name) && symbol.is_definition());
    ensure!(is_there, "no symbol {name}");
    Ok(())
}
