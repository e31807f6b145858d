//! Programs of several toolchains end on boards as in an engine: WASI commands linked with `--wasi`, and services.

use std::collections::BTreeMap;

use board::{Board, Core};
use testkit::firmware::{check, compile};
use testkit::programs::programs;
use testkit::thumb::board_core;
use wasm_pvm::{Cpu, FloatHelpers, Floats, OptLevel, Options, ThumbOptions};

/// Floats by calls of the run-time library, by our own functions, in hardware, and singles only in hardware.
const CONFIGURATIONS: [(Cpu, OptLevel, Floats, FloatHelpers); 4] = [
    (Cpu::M3, OptLevel::O2, Floats::Soft, FloatHelpers::Aeabi),
    (Cpu::M33, OptLevel::Oz, Floats::Soft, FloatHelpers::Own),
    (Cpu::M7DP, OptLevel::Oz, Floats::Hard, FloatHelpers::Aeabi),
    (Cpu::M4F, OptLevel::O0, Floats::Soft, FloatHelpers::Aeabi),
];

/// Each program for WASI preview 1, the one that firmware has, in one configuration, or in all with `PROGRAMS=all` in the environment. Cases differ in data only, so the
/// first is taken, and one that exits with a code. `PROGRAMS=NAME` takes the programs whose name contains NAME.
#[test]
fn every_program_ends_as_in_an_engine() {
    if !needs::tools(&[&board::TOOLS[..], &["arm-none-eabi-gcc"]].concat()) {
        return;
    }
    let which = std::env::var("PROGRAMS").unwrap_or_default();
    let is_all = which == "all";
    let mut boards = <BTreeMap<Core, Board>>::new();
    let mut failures = Vec::new();
    for (index, program) in programs().unwrap().iter().enumerate() {
        if program.has_interfaces || !is_all && !program.name.contains(&which) {
            continue;
        }
        let exits = program.cases.iter().position(|case| case.exit != 0);
        let cases = [Some(0), exits].into_iter().flatten().map(|number| (number, &program.cases[number]));
        let chosen = index % CONFIGURATIONS.len();
        let configurations = if is_all { &CONFIGURATIONS[..] } else { &CONFIGURATIONS[chosen..=chosen] };
        for (&(cpu, level, floats, float_helpers), (number, case)) in configurations
            .iter()
            .flat_map(|configuration| cases.clone().map(move |case| (configuration, case)))
        {
            let board =
                boards.entry(board_core(cpu)).or_insert_with(|| Board::start(board_core(cpu)).unwrap());
            let thumb = ThumbOptions { float_helpers, ..ThumbOptions::new(cpu) };
            let options = Options { level, floats: Some(floats), ..Options::default() };
            let checked = compile(program, case, thumb, &options)
                .and_then(|object| check(board, &object, program, case));
            if let Err(error) = checked {
                failures.push(format!("{} case {number} {cpu} -{level:?}: {error:#}", program.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
