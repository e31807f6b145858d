//! Differential tests with random programs: compiled code on emulated boards against the SSA interpreter.
//!
//! Results, traps, linear memory and the sequence of import calls with their arguments must agree; callee-saved
//! registers and the stack pointer must be preserved. `THUMB_DIFFERENTIAL_SEEDS` and `THUMB_DIFFERENTIAL_FIRST` select
//! longer runs; there, NaNs of the run-time library may differ in sign from the interpreter's.

use board::Board;
use programs::cortex_m::{self, Loaded};
use programs::idioms;
use ssa::testing::{self, Params, Rng};
use ssa::{EntityId, FuncId, Module, Type};
use target_thumb::{Cpu, MemoryMode};

/// Modules per parameter set.
const SEEDS: u64 = 60;
/// Calls of each module.
const CALLS: usize = 4;

/// A configuration of the target.
#[derive(Clone, Copy)]
struct Setup {
    cpu: Cpu,
    memory: MemoryMode,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run_seeds(cpu: Cpu, params: &Params) {
    run_modules(Setup { cpu, memory: MemoryMode::Symbol }, |rng| testing::random_module(rng, params));
}

/// Runs the modules that a generator makes of seeds.
fn run_modules(setup: Setup, generate: impl Fn(&mut Rng) -> Module) {
    run_some(setup, SEEDS, generate);
}

/// Runs so many modules.
fn run_some(setup: Setup, seeds: u64, generate: impl Fn(&mut Rng) -> Module) {
    if !needs::tools(&board::TOOLS) {
        return;
    }
    let first = number("THUMB_DIFFERENTIAL_FIRST").unwrap_or(0);
    let seeds = number("THUMB_DIFFERENTIAL_SEEDS").unwrap_or(seeds);
    let mut board = Board::start(cortex_m::core(setup.cpu)).expect("a board");
    let options = cortex_m::options(setup.cpu, setup.memory);
    let main = FuncId::new(0);
    let mut returned = 0;
    for seed in first..first + seeds {
        let mut rng = Rng::new(seed);
        let module = generate(&mut rng);
        let mut loaded = Loaded::new(&mut board, &module, &options);
        for _ in 0..CALLS {
            let args = testing::random_args(&mut rng, &module, main);
            let Some(expected) = programs::interpreted(&module, main, &args) else { continue };
            let context = format!("seed {seed}, arguments {args:x?}");
            loaded.call("main", main, &args).assert_is(&expected, &context);
            returned += u64::from(expected.end.is_ok());
        }
    }
    assert!(returned > seeds, "only {returned} calls returned");
}

#[test]
fn straight_line_arithmetic() {
    let params = Params {
        size: 60,
        depth: 0,
        functions: 1,
        params: 4,
        results: 1,
        calls: false,
        memory: false,
        frame_slots: false,
        ..Params::default()
    };
    run_seeds(Cpu::M3, &params);
}

#[test]
fn control_flow() {
    let params = Params {
        size: 60,
        functions: 1,
        results: 1,
        calls: false,
        memory: false,
        frame_slots: false,
        ..Params::default()
    };
    run_seeds(Cpu::M3, &params);
}

#[test]
fn memory() {
    let params = Params { size: 60, functions: 1, calls: false, ..Params::default() };
    run_seeds(Cpu::M3, &params);
}

#[test]
fn memory_at_a_register() {
    let params = Params { size: 60, functions: 3, params: 6, ..Params::default() };
    run_modules(Setup { cpu: Cpu::M4, memory: MemoryMode::Register }, |rng| {
        testing::random_module(rng, &params)
    });
}

#[test]
fn memory_at_address_zero() {
    let params = Params { size: 60, functions: 3, params: 6, ..Params::default() };
    run_modules(Setup { cpu: Cpu::M3, memory: MemoryMode::Native }, |rng| {
        testing::random_module(rng, &params)
    });
}

#[test]
fn calls() {
    run_seeds(Cpu::M4, &Params { size: 40, functions: 6, ..Params::default() });
}

#[test]
fn far_ends() {
    run_modules(Setup { cpu: Cpu::M3, memory: MemoryMode::Symbol }, idioms::far_ends);
}

#[test]
fn fields_products_and_constants() {
    for memory in [MemoryMode::Symbol, MemoryMode::Register, MemoryMode::Native] {
        run_modules(Setup { cpu: Cpu::M3, memory }, idioms::module);
    }
}

#[test]
fn many_arguments_and_results() {
    let params = Params { size: 40, functions: 5, params: 12, results: 6, ..Params::default() };
    run_seeds(Cpu::M7, &params);
}

#[test]
fn high_pressure() {
    let params = Params { size: 250, depth: 4, functions: 2, params: 12, results: 3, ..Params::default() };
    run_seeds(Cpu::M33, &params);
}

/// All types, or all but doubles.
fn with_floats(doubles: bool) -> Params {
    let mut types = vec![Type::I32, Type::I64, Type::F32];
    types.extend(doubles.then_some(Type::F64));
    Params { size: 50, functions: 4, params: 8, results: 3, types, ..Params::default() }
}

#[test]
fn single_precision_hardware() {
    run_seeds(Cpu::M4F, &with_floats(false));
    run_seeds(Cpu::M33F, &with_floats(false));
}

#[test]
fn doubles_by_library_passed_in_registers() {
    if !needs::tools(&["arm-none-eabi-gcc"]) {
        return;
    }
    run_seeds(Cpu::M4F, &with_floats(true));
    let types = vec![Type::I32, Type::F64, Type::F32, Type::F64];
    run_seeds(
        Cpu::M33F,
        &Params { size: 20, functions: 4, params: 14, results: 2, types, ..Params::default() },
    );
}

#[test]
fn double_precision_hardware() {
    run_seeds(Cpu::M7DP, &with_floats(true));
}

#[test]
fn software_floats() {
    if !needs::tools(&["arm-none-eabi-gcc"]) {
        return;
    }
    run_seeds(Cpu::M3, &with_floats(true));
}

/// Modules per parameter set on cores without the main extension.
const SHORT_SEEDS: u64 = 10;

#[test]
fn without_main_extension() {
    for cpu in [Cpu::M0Plus, Cpu::M23] {
        let run = |params: Params| {
            let setup = Setup { cpu, memory: MemoryMode::Symbol };
            run_some(setup, SHORT_SEEDS, |rng| testing::random_module(rng, &params));
        };
        let straight = Params { size: 60, functions: 1, depth: 0, calls: false, ..Params::default() };
        run(Params { memory: false, frame_slots: false, ..straight.clone() });
        run(Params { depth: 3, ..straight });
        run(Params { size: 40, functions: 5, params: 12, results: 6, ..Params::default() });
        run(Params { size: 250, depth: 4, functions: 2, params: 12, results: 3, ..Params::default() });
    }
}

#[test]
fn idioms_without_main_extension() {
    for memory in [MemoryMode::Symbol, MemoryMode::Register, MemoryMode::Native] {
        run_some(Setup { cpu: Cpu::M0Plus, memory }, SHORT_SEEDS, idioms::module);
    }
    run_some(Setup { cpu: Cpu::M0Plus, memory: MemoryMode::Symbol }, SHORT_SEEDS, idioms::far_ends);
}
