//! Differential tests with random programs: compiled code on the `polkavm` interpreter against the SSA interpreter.
//!
//! Results, linear memory, calls of imports and whether the program traps must agree. `i32` results must be sign-extended.

use programs::pvm::{self, Machine};
use programs::{alike, idioms};
use ssa::testing::{self, Params, Rng};
use ssa::{FuncKind, Function, InstData, Module};
use target_pvm::{Goal, Options};

/// Seeds per parameter set; `PVM_DIFFERENTIAL_SEEDS` sets another number.
const SEEDS: u64 = 150;

fn seeds() -> u64 {
    std::env::var("PVM_DIFFERENTIAL_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS)
}

fn run_seeds(name: &str, params: &Params) {
    run_modules(name, |rng| {
        let mut module = testing::random_module(rng, params);
        if params.params > 6 || params.results > 2 {
            replace_imports(&mut module);
        }
        module
    });
}

/// Runs the modules that a generator makes of seeds.
fn run_modules(name: &str, generate: impl Fn(&mut Rng) -> Module) {
    let machine = Machine::new();
    let mut finished = 0;
    for seed in 0..seeds() {
        let mut rng = Rng::new(seed);
        let module = generate(&mut rng);
        let context = format!("{name}, seed {seed}");
        finished += pvm::compare(&machine, &module, &mut rng, &context);
    }
    assert!(finished > seeds() / 2, "{name}: only {finished} runs returned");
}

/// Gives imports bodies that return constants: they have more words than a host call can pass.
fn replace_imports(module: &mut Module) {
    for id in module.decls.ids() {
        if matches!(module.decls[id].kind, FuncKind::Import(_)) {
            let mut func = Function::new(module.decls[id].name.clone(), module.decls[id].sig);
            let entry = func.add_block();
            let sig = module.signature_of(id).clone();
            sig.params.iter().for_each(|&ty| {
                func.add_param(entry, ty);
            });
            let constant =
                |func: &mut Function, ty| func.append_value(entry, InstData::Const { ty, bits: -77 }, ty);
            let args = sig.results.iter().map(|&ty| constant(&mut func, ty)).collect();
            func.append(entry, InstData::Return { args }, &[]);
            module.decls[id].kind = FuncKind::Local;
            module.functions[id] = Some(func);
        }
    }
}

#[test]
fn straight_line_arithmetic() {
    let params = Params {
        size: 60,
        depth: 0,
        functions: 1,
        params: 4,
        results: 6,
        calls: false,
        memory: false,
        frame_slots: false,
        ..Params::default()
    };
    run_seeds("straight-line", &params);
}

#[test]
fn control_flow() {
    let params = Params {
        size: 60,
        functions: 1,
        calls: false,
        memory: false,
        frame_slots: false,
        ..Params::default()
    };
    run_seeds("control flow", &params);
}

#[test]
fn memory() {
    let params = Params { size: 60, functions: 1, calls: false, ..Params::default() };
    run_seeds("memory", &params);
}

#[test]
fn calls() {
    run_seeds("calls", &Params { size: 40, functions: 6, ..Params::default() });
}

#[test]
fn fields_products_and_constants() {
    run_modules("idioms", idioms::module);
}

#[test]
fn far_ends() {
    run_modules("far ends", idioms::far_ends);
}

#[test]
fn functions_that_end_alike() {
    run_modules("alike", alike::module);
}

/// Code that is shared is smaller, with its jump table.
#[test]
fn equal_ends_are_shared() {
    let size = |module: &Module, goal| {
        let program = target_pvm::compile(module.clone(), &Options { goal, ..pvm::options() }).unwrap();
        assert!(program.functions.is_sorted_by(|a, b| a.pc < b.pc), "functions with code are where it is");
        let blob = program.blob;
        blob.code.len() + blob.code.len() / 8 + blob.jump_table.len() * blob.jump_table_entry_size()
    };
    let (mut apart, mut shared) = (0, 0);
    for seed in 0..seeds() {
        let module = alike::module(&mut Rng::new(seed));
        let of_module = [Goal::Balance, Goal::Size].map(|goal| size(&module, goal));
        assert!(of_module[1] <= of_module[0], "seed {seed}: {of_module:?}");
        (apart, shared) = (apart + of_module[0], shared + of_module[1]);
    }
    assert!(shared * 100 < apart * 90, "{shared} bytes instead of {apart}");
}

#[test]
fn many_arguments_and_results() {
    run_seeds("many words", &Params { size: 40, functions: 5, params: 14, results: 9, ..Params::default() });
}

#[test]
fn high_pressure() {
    run_seeds(
        "pressure",
        &Params { size: 250, depth: 4, functions: 2, params: 6, results: 2, ..Params::default() },
    );
}
