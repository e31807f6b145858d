//! Differential tests with random programs: compiled code on the `polkavm` interpreter against the SSA interpreter.
//!
//! Results, linear memory and whether the program traps must agree. `i32` results must be sign-extended.

mod machine;

use machine::{Instance, Machine, Outcome};
use ssa::interp::{Interpreter, Options as InterpOptions, Stop};
use ssa::testing::{self, Params, Rng, SCRATCH_BYTES};
use ssa::{EntityId, FuncId, FuncKind, Function, InstData, Module, Type};
use target_pvm::{EntryMode, ImportMap, MemoryOptions, Options, Program};

/// Seeds per parameter set; `PVM_DIFFERENTIAL_SEEDS` sets another number.
const SEEDS: u64 = 150;

fn seeds() -> u64 {
    std::env::var("PVM_DIFFERENTIAL_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS)
}

fn options() -> Options {
    Options {
        entries: EntryMode::Raw,
        imports: ImportMap::default().with_auto(0),
        memory: MemoryOptions { keep_exports: true, ..MemoryOptions::default() },
        threads: 1,
        ..Options::default()
    }
}

fn run_seeds(name: &str, params: &Params) {
    let machine = Machine::new();
    let mut finished = 0;
    for seed in 0..seeds() {
        let mut rng = Rng::new(seed);
        let mut module = testing::random_module(&mut rng, params);
        if params.params > 6 || params.results > 2 {
            replace_imports(&mut module);
        }
        let context = format!("{name}, seed {seed}");
        finished += compare(&machine, &module, &mut rng, &context);
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

/// Compares some runs of a module's `main`; returns the number of runs that returned values.
fn compare(machine: &Machine, module: &Module, rng: &mut Rng, context: &str) -> u64 {
    let main = FuncId::new(0);
    let program = target_pvm::compile(module.clone(), &options());
    let program = program.unwrap_or_else(|error| panic!("{context}: {error}"));
    let mut returned = 0;
    for _ in 0..4 {
        let args = testing::random_args(rng, module, main);
        let mut oracle = Interpreter::new(module, InterpOptions::new(module));
        let expected = oracle.call(main, &args, &mut testing::host(module));
        let mut instance = machine.load(&program);
        let sig = module.signature_of(main);
        let outcome = instance.call(0, sig, &args, &mut |number, words| host(module, number, words));
        match (expected, outcome) {
            (Ok(expected), Outcome::Returned(actual)) => {
                let expected: Vec<u64> =
                    expected.iter().zip(&sig.results).map(|(&value, &ty)| word(ty, value)).collect();
                let (actual, expected) = (hex(&actual, &sig.results), hex(&expected, &sig.results));
                assert_eq!(actual, expected, "{context}, args {args:x?}\n{}", describe(module));
                returned += 1;
            }
            (Err(Stop::Trap(_)), Outcome::Trapped) => {}
            (Err(Stop::OutOfFuel | Stop::StackOverflow), _) => continue,
            (expected, actual) => panic!(
                "{context}, args {args:x?}: expected {expected:x?}, got {actual:x?}\n{}",
                describe(module)
            ),
        }
        compare_memory(&program, &mut instance, &oracle, context);
    }
    returned
}

fn compare_memory(program: &Program, instance: &mut Instance, oracle: &Interpreter<'_>, context: &str) {
    let expected = oracle.linear_memory();
    let Some(at) = program.linear_base.filter(|_| !expected.is_empty()) else { return };
    // A page is mapped only if the plan needs it.
    if instance.is_writable(at, SCRATCH_BYTES) {
        let actual = instance.read(at, SCRATCH_BYTES);
        let expected = &expected[..SCRATCH_BYTES as usize];
        let differs = actual.iter().zip(expected).position(|(a, b)| a != b);
        assert_eq!(differs, None, "{context}: memory differs at this address");
    }
}

/// A module and its code as text, for a failure.
fn describe(module: &Module) -> String {
    let code = target_pvm::print(module.clone(), &options(), None);
    format!("{module}\n{}", code.unwrap_or_else(|error| error.to_string()))
}

/// A value as the convention passes it.
fn word(ty: Type, value: u64) -> u64 {
    if ty == Type::I32 { value as i32 as i64 as u64 } else { value }
}

/// Results as text; of an `f32` only the low half counts.
fn hex(words: &[u64], types: &[Type]) -> Vec<String> {
    let significant = |(&word, &ty): (&u64, &Type)| if ty == Type::F32 { word & 0xffff_ffff } else { word };
    words.iter().zip(types).map(|pair| format!("{:#x}", significant(pair))).collect()
}

/// Answers a host call like the oracle's host: number `n` is the `n`-th import.
fn host(module: &Module, number: u64, words: [u64; 6]) -> [u64; 2] {
    let mut imports = module.decls.iter().filter(|(_, decl)| matches!(decl.kind, FuncKind::Import(_)));
    let (func, _) = imports.nth(number as usize).expect("a known import");
    let sig = module.signature_of(func);
    let args = &words[..sig.params.len()];
    let mut memory = ssa::interp::Memory::new(module, &ssa::interp::Layout::packed(module));
    let results = testing::host(module)(&mut memory, func, args).expect("the host answers");
    let result = |n: usize| results.get(n).copied().unwrap_or(0x5555_5555_5555_5555);
    [result(0), result(1)]
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
