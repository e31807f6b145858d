//! Random programs: compiled code on emulated boards against the SSA interpreter.
//!
//! Results, traps, linear memory and the sequence of import calls with their arguments must agree; callee-saved
//! registers and the stack pointer must survive.

mod idioms;
mod qemu;

use codegen::{ArgLoc, CallLayout};
use qemu::{Call, Import, Outcome};
use ssa::interp::{Interpreter, Memory, Options as InterpOptions, Stop};
use ssa::testing::{self, Params, Rng, SCRATCH_BYTES};
use ssa::{EntityId, FuncId, FuncKind, Module, Signature, Type};
use target_thumb::{Cpu, MemoryMode, ObjectOptions, Options, abi};

/// Modules per parameter set; more by `THUMB_DIFFERENTIAL_SEEDS` for long runs.
const SEEDS: u64 = 60;
/// Calls of each module.
const CALLS: usize = 4;
/// Bytes of linear memory on the board: what random programs access.
const MEMORY_BYTES: u32 = SCRATCH_BYTES + 16;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What the oracle says of a call.
struct Expected {
    context: String,
    outcome: Result<Vec<u64>, Stop>,
    results: Vec<Type>,
    layout: CallLayout,
    hash: u32,
    log: Vec<u32>,
}

#[derive(Default)]
struct Batch {
    objects: Vec<Vec<u8>>,
    imports: Vec<Import>,
    calls: Vec<Call>,
    expected: Vec<Expected>,
}

fn run_seeds(name: &str, cpu: Cpu, params: &Params) {
    run_seeds_in(MemoryMode::Symbol, name, cpu, params);
}

fn run_seeds_in(mode: MemoryMode, name: &str, cpu: Cpu, params: &Params) {
    run_modules(mode, name, cpu, |rng| testing::random_module(rng, params));
}

/// Runs the modules that a generator makes of seeds.
fn run_modules(mode: MemoryMode, name: &str, cpu: Cpu, generate: impl Fn(&mut Rng) -> Module) {
    if !qemu::is_available() {
        return;
    }
    let first = number("THUMB_DIFFERENTIAL_FIRST").unwrap_or(0);
    let seeds = number("THUMB_DIFFERENTIAL_SEEDS").unwrap_or(SEEDS);
    let mut batch = Batch::default();
    for seed in first..first + seeds {
        let mut rng = Rng::new(seed);
        let module = generate(&mut rng);
        batch.add(&module, mode, cpu, &mut rng, &format!("{name}, seed {seed}"));
    }
    let outcomes = qemu::run(&name.replace(' ', "-"), cpu, &batch.objects, &batch.imports, &batch.calls);
    let mut returned = 0;
    for ((outcome, expected), call) in outcomes.iter().zip(&batch.expected).zip(&batch.calls) {
        returned += u64::from(check(outcome, expected, call));
    }
    assert!(returned > seeds, "{name}: only {returned} calls returned");
}

impl Batch {
    fn add(&mut self, module: &Module, mode: MemoryMode, cpu: Cpu, rng: &mut Rng, context: &str) {
        let object = self.objects.len();
        let imports = import_ids(module);
        let mut object_options =
            ObjectOptions { memory_bytes: Some(MEMORY_BYTES.into()), ..Default::default() };
        for name in ["main", "memory", "__linear_memory", "import0", "import1"] {
            object_options.renames.insert(name.to_owned(), format!("{name}_{object}"));
        }
        let options = Options {
            cpu,
            memory: mode,
            soft_floats: true,
            object: object_options,
            threads: 1,
            ..Options::default()
        };
        let compiled =
            target_thumb::compile(module.clone(), &options).unwrap_or_else(|e| panic!("{context}: {e}"));
        self.objects.push(compiled.bytes);
        let first_import = self.imports.len();
        for (n, &func) in imports.iter().enumerate() {
            let sig = outside(module.signature_of(func));
            let mut masks = masks(&abi::call_layout(cpu, &sig));
            let words = struct_words(module.signature_of(func));
            masks[0] &= !u32::from(words > 0);
            self.imports.push(Import { symbol: format!("import{n}_{object}"), masks, struct_words: words });
        }
        for _ in 0..CALLS {
            let main = FuncId::new(0);
            let args = testing::random_args(rng, module, main);
            let mut answers = Vec::new();
            let mut log = Vec::new();
            let mut oracle = Interpreter::new(module, InterpOptions::new(module));
            let mut host = testing::host(module);
            let mut recording = |memory: &mut Memory, func: FuncId, args: &[u64]| {
                let results = host(memory, func, args)?;
                let n = imports.iter().position(|&import| import == func).expect("an import");
                let sig = module.signature_of(func);
                log.push((first_import + n) as u32);
                log.extend(logged(cpu, sig, args));
                answers.push(answer(cpu, sig, &results));
                Ok(results)
            };
            let outcome = oracle.call(main, &args, &mut recording);
            if matches!(outcome, Err(Stop::OutOfFuel | Stop::StackOverflow)) {
                continue;
            }
            let sig = module.signature_of(main);
            let outside = outside(sig);
            let layout = abi::call_layout(cpu, &outside);
            let words = placed(&layout.params, &outside.params, &outside_args(sig, &args));
            let has_memory = module.memory().is_some();
            let at = match mode {
                MemoryMode::Symbol => format!("__linear_memory_{object}"),
                MemoryMode::Register => "spare_memory".to_owned(),
                MemoryMode::Native => "0".to_owned(),
            };
            let memory = has_memory.then_some((at, SCRATCH_BYTES));
            let initial = Interpreter::new(module, InterpOptions::new(module));
            let image =
                initial.linear_memory().get(..SCRATCH_BYTES as usize).filter(|_| mode != MemoryMode::Symbol);
            let hash = qemu::hash(oracle.linear_memory().get(..SCRATCH_BYTES as usize).unwrap_or(&[]));
            self.calls.push(Call {
                symbol: format!("main_{object}"),
                object,
                core: words.core,
                has_struct: sig.results.len() > 1,
                floats: words.floats,
                stack: words.stack,
                memory,
                image: image.map(<[u8]>::to_vec),
                has_base: has_memory && mode == MemoryMode::Register,
                answers,
            });
            let results = sig.results.clone();
            self.expected.push(Expected {
                context: format!("{context}, args {args:x?}"),
                outcome,
                results,
                layout,
                hash,
                log,
            });
        }
    }
}

fn import_ids(module: &Module) -> Vec<FuncId> {
    module
        .decls
        .iter()
        .filter(|(_, decl)| matches!(decl.kind, FuncKind::Import(_)))
        .map(|(id, _)| id)
        .collect()
}

/// Argument words by place.
#[derive(Default)]
struct Placed {
    core: [u32; 4],
    floats: [u32; 16],
    stack: Vec<u32>,
}

/// The signature as the outside sees it: several results go behind a pointer.
fn outside(sig: &Signature) -> Signature {
    match sig.results.len() {
        0 | 1 => sig.clone(),
        _ => {
            let params = std::iter::once(Type::I32).chain(sig.params.iter().copied()).collect();
            Signature { params, results: Vec::new() }
        }
    }
}

/// Arguments with one for the pointer.
fn outside_args(sig: &Signature, args: &[u64]) -> Vec<u64> {
    let pointer = (sig.results.len() > 1).then_some(0x5ca1_ab1e);
    pointer.into_iter().chain(args.iter().copied()).collect()
}

/// Words of the structure of several results.
fn struct_words(sig: &Signature) -> u32 {
    if sig.results.len() > 1 { structure(&sig.results, &vec![0; sig.results.len()]).len() as u32 } else { 0 }
}

/// Several results as words of a structure.
fn structure(types: &[Type], values: &[u64]) -> Vec<u32> {
    let mut words = Vec::new();
    for (ty, &value) in types.iter().zip(values) {
        if ty.bits() == 64 {
            words.resize(words.len().next_multiple_of(2), 0);
            words.push(value as u32);
            words.push((value >> 32) as u32);
        } else {
            words.push(value as u32);
        }
    }
    words
}

/// What an import answers.
fn answer(cpu: Cpu, sig: &Signature, results: &[u64]) -> [u32; 20] {
    let mut words = [0; 20];
    if results.len() > 1 {
        let members = structure(&sig.results, results);
        words[4..4 + members.len()].copy_from_slice(&members);
    } else {
        let placed = placed(&abi::call_layout(cpu, sig).results, &sig.results, results);
        words[..4].copy_from_slice(&[placed.core[0], placed.core[1], placed.floats[0], placed.floats[1]]);
    }
    words
}

/// Values where a layout wants them. A float register takes one or two words, as its number says.
fn placed(locations: &[Vec<ArgLoc>], types: &[Type], values: &[u64]) -> Placed {
    let mut placed = Placed::default();
    for ((locations, ty), &value) in locations.iter().zip(types).zip(values) {
        let words = [value as u32, (value >> 32) as u32];
        let count = ty.bits() as usize / 32;
        for (n, &word) in words[..count].iter().enumerate() {
            let is_whole = locations.len() == 1;
            match locations[if is_whole { 0 } else { n }] {
                ArgLoc::Reg(reg) => match reg.number() {
                    core @ 0..16 => placed.core[usize::from(core)] = word,
                    single @ 16..48 => placed.floats[usize::from(single) - 16] = word,
                    double => placed.floats[2 * (usize::from(double) - 48) + n] = word,
                },
                ArgLoc::Stack(at) => {
                    let index = (at / 4) as usize + if is_whole { n } else { 0 };
                    if placed.stack.len() <= index {
                        placed.stack.resize(index + 1, 0);
                    }
                    placed.stack[index] = word;
                }
            }
        }
    }
    placed
}

/// Which words of a layout are arguments.
fn masks(layout: &CallLayout) -> [u32; 3] {
    let types: Vec<Type> = layout.params.iter().map(|locations| any_type(locations)).collect();
    let ones = vec![u64::MAX; types.len()];
    let placed = placed(&layout.params, &types, &ones);
    let bits = |words: &[u32]| words.iter().enumerate().map(|(n, &word)| u32::from(word != 0) << n).sum();
    [bits(&placed.core), bits(&placed.floats), bits(&placed.stack)]
}

/// A type as wide as what is at these locations.
fn any_type(locations: &[ArgLoc]) -> Type {
    match locations {
        [_, _] => Type::I64,
        [ArgLoc::Reg(reg)] if reg.number() >= 48 => Type::F64,
        _ => Type::I32,
    }
}

/// The words the driver logs of an import call.
fn logged(cpu: Cpu, sig: &Signature, args: &[u64]) -> Vec<u32> {
    let outside = outside(sig);
    let layout = abi::call_layout(cpu, &outside);
    let placed = placed(&layout.params, &outside.params, &outside_args(sig, args));
    let [core, floats, stack] = masks(&layout);
    let core = core & !u32::from(sig.results.len() > 1);
    let of = |words: &[u32], mask: u32| -> Vec<u32> {
        words.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, &word)| word).collect()
    };
    [of(&placed.core, core), of(&placed.floats, floats), of(&placed.stack, stack)].concat()
}

/// Compares one call; whether it returned.
fn check(outcome: &Outcome, expected: &Expected, call: &Call) -> bool {
    let context = format!("{} ({})", expected.context, call.symbol);
    match &expected.outcome {
        Ok(values) => {
            assert_eq!(outcome.status, 0, "{context}: status of a call that returns {values:x?}");
            if values.len() > 1 {
                let members = structure(&expected.results, values);
                assert_eq!(hex(&outcome.struct_words[..members.len()]), hex(&members), "{context}: results");
            }
            let words = placed(&expected.layout.results, &expected.results, values);
            for (loc, ty) in expected.layout.results.iter().zip(&expected.results) {
                let only = placed(std::slice::from_ref(loc), &[*ty], &[u64::MAX]);
                for n in 0..4 {
                    if only.core[n] != 0 {
                        assert_eq!(
                            format!("{:x}", outcome.results[n]),
                            format!("{:x}", words.core[n]),
                            "{context}: r{n}, results {values:x?}"
                        );
                    }
                }
                for n in 0..2 {
                    if only.floats[n] != 0 {
                        assert_eq!(
                            format!("{:x}", outcome.results[4 + n]),
                            format!("{:x}", words.floats[n]),
                            "{context}: s{n}, results {values:x?}"
                        );
                    }
                }
            }
        }
        Err(Stop::Trap(_)) => {
            assert!(outcome.status >= 0x100, "{context}: expected a trap, got {outcome:x?}")
        }
        Err(other) => panic!("{context}: {other:?}"),
    }
    assert_eq!(outcome.hash, expected.hash, "{context}: memory differs");
    assert_eq!(outcome.log, expected.log, "{context}: import calls differ");
    expected.outcome.is_ok()
}

fn hex(words: &[u32]) -> Vec<String> {
    words.iter().map(|word| format!("{word:x}")).collect()
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
    run_seeds("straight-line", Cpu::M3, &params);
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
    run_seeds("control flow", Cpu::M3, &params);
}

#[test]
fn memory() {
    let params = Params { size: 60, functions: 1, calls: false, ..Params::default() };
    run_seeds("memory", Cpu::M3, &params);
}

#[test]
fn memory_at_a_register() {
    let params = Params { size: 60, functions: 3, params: 6, ..Params::default() };
    run_seeds_in(MemoryMode::Register, "register", Cpu::M4, &params);
}

#[test]
fn memory_at_address_zero() {
    let params = Params { size: 60, functions: 3, params: 6, ..Params::default() };
    run_seeds_in(MemoryMode::Native, "native", Cpu::M3, &params);
}

#[test]
fn calls() {
    run_seeds("calls", Cpu::M4, &Params { size: 40, functions: 6, ..Params::default() });
}

#[test]
fn fields_products_and_constants() {
    run_modules(MemoryMode::Symbol, "idioms", Cpu::M3, idioms::module);
}

#[test]
fn many_arguments_and_results() {
    let params = Params { size: 40, functions: 5, params: 12, results: 6, ..Params::default() };
    run_seeds("many words", Cpu::M7, &params);
}

#[test]
fn high_pressure() {
    let params = Params { size: 250, depth: 4, functions: 2, params: 12, results: 3, ..Params::default() };
    run_seeds("pressure", Cpu::M33, &params);
}

/// All types, or all but doubles.
fn with_floats(doubles: bool) -> Params {
    let mut types = vec![Type::I32, Type::I64, Type::F32];
    types.extend(doubles.then_some(Type::F64));
    Params { size: 50, functions: 4, params: 8, results: 3, types, ..Params::default() }
}

#[test]
fn single_precision_hardware() {
    run_seeds("single", Cpu::M4F, &with_floats(false));
    run_seeds("single fpv5", Cpu::M33F, &with_floats(false));
}

#[test]
fn double_precision_hardware() {
    run_seeds("double", Cpu::M7DP, &with_floats(true));
}

#[test]
fn software_floats() {
    if qemu::libgcc().is_none() {
        eprintln!("skipped: arm-none-eabi-gcc not found");
        return;
    }
    run_seeds("soft", Cpu::M3, &with_floats(true));
}
