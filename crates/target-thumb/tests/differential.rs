//! Differential tests with random programs: compiled code on emulated boards against the SSA interpreter.
//!
//! Results, traps, linear memory and the sequence of import calls with their arguments must agree; callee-saved
//! registers and the stack pointer must be preserved. `THUMB_DIFFERENTIAL_SEEDS` and `THUMB_DIFFERENTIAL_FIRST` select
//! longer runs; there, NaNs of the run-time library may differ in sign from the interpreter's.

mod idioms;

use board::aapcs::{members, structure};
use board::{Answer, Board, Core, Ending, Image, ImportCall, Undefined, Words};
use ssa::interp::{Interpreter, Memory, Options as InterpOptions, Stop};
use ssa::testing::{self, Params, Rng, SCRATCH_BYTES};
use ssa::{EntityId, FuncId, FuncKind, Module, Signature, Type};
use target_thumb::{Cpu, InitialData, MemoryMode, ObjectOptions, Options, trap_number};

/// Modules per parameter set.
const SEEDS: u64 = 60;
/// Calls of each module.
const CALLS: usize = 4;
/// Bytes of linear memory on the board: the range that random programs access.
const MEMORY_BYTES: u32 = SCRATCH_BYTES + 16;
/// Bytes for several results.
const STRUCTURE_BYTES: u32 = 256;

/// A configuration of the target.
#[derive(Clone, Copy)]
struct Setup {
    cpu: Cpu,
    memory: MemoryMode,
}

/// Observable effects of a call: its results or its trap, calls of imports with their arguments, linear memory.
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    end: Result<Vec<u64>, u32>,
    imports: Vec<(FuncId, Vec<u64>)>,
    memory: Vec<u8>,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run_seeds(cpu: Cpu, params: &Params) {
    run_modules(Setup { cpu, memory: MemoryMode::Symbol }, |rng| testing::random_module(rng, params));
}

/// Runs the modules that a generator makes of seeds.
fn run_modules(setup: Setup, generate: impl Fn(&mut Rng) -> Module) {
    if !needs::tools(&board::TOOLS) {
        return;
    }
    let first = number("THUMB_DIFFERENTIAL_FIRST").unwrap_or(0);
    let seeds = number("THUMB_DIFFERENTIAL_SEEDS").unwrap_or(SEEDS);
    let mut board = Board::start(core(setup.cpu)).expect("a board");
    let mut returned = 0;
    for seed in first..first + seeds {
        let mut rng = Rng::new(seed);
        let module = generate(&mut rng);
        board.clear();
        let mut loaded = Loaded::new(&mut board, setup, &module);
        for _ in 0..CALLS {
            let args = testing::random_args(&mut rng, &module, FuncId::new(0));
            let Some(expected) = interpreted(&module, &args) else { continue };
            let outcome = loaded.call(&args);
            // Numbers are easier to compare in hexadecimal.
            let (outcome, expected_text) = (format!("{outcome:x?}"), format!("{expected:x?}"));
            assert_eq!(outcome, expected_text, "seed {seed}, arguments {args:x?}");
            returned += u64::from(expected.end.is_ok());
        }
    }
    assert!(returned > seeds, "only {returned} calls returned");
}

/// The outcome in the interpreter; `None` for a program that doesn't end.
fn interpreted(module: &Module, args: &[u64]) -> Option<Outcome> {
    let mut imports = Vec::new();
    let mut host = testing::host(module);
    let mut recording = |memory: &mut Memory, func: FuncId, args: &[u64]| {
        imports.push((func, words_of(module.signature_of(func), args)));
        host(memory, func, args)
    };
    let mut interpreter = Interpreter::new(module, InterpOptions::new(module));
    let main = FuncId::new(0);
    let end = match interpreter.call(main, args, &mut recording) {
        Ok(results) => Ok(results),
        Err(Stop::Trap(code)) => Err(trap_number(code)),
        Err(Stop::OutOfFuel | Stop::StackOverflow) => return None,
        Err(Stop::Unspecified(what)) => panic!("{what}"),
    };
    Some(Outcome { end, imports, memory: scratch(&interpreter) })
}

/// The part of linear memory that is compared.
fn scratch(interpreter: &Interpreter<'_>) -> Vec<u8> {
    interpreter.linear_memory().get(..SCRATCH_BYTES as usize).unwrap_or_default().to_vec()
}

/// The arguments, cut to the width of their types.
fn words_of(sig: &Signature, args: &[u64]) -> Vec<u64> {
    let word = |(ty, &arg): (&Type, &u64)| if ty.bits() == 32 { u64::from(arg as u32) } else { arg };
    sig.params.iter().zip(args).map(word).collect()
}

/// A compiled module on a board.
struct Loaded<'b, 'm> {
    board: &'b mut Board,
    module: &'m Module,
    setup: Setup,
    image: Image,
    /// Address of linear memory.
    memory: Option<u32>,
    /// Address of the structure for several results.
    structure: u32,
}

impl<'b, 'm> Loaded<'b, 'm> {
    fn new(board: &'b mut Board, setup: Setup, module: &'m Module) -> Self {
        let object = ObjectOptions { memory_bytes: Some(MEMORY_BYTES.into()), ..Default::default() };
        let Setup { cpu, memory } = setup;
        let initial_data = if memory == MemoryMode::Symbol { InitialData::Image } else { InitialData::None };
        let options = Options {
            cpu,
            memory,
            initial_data,
            soft_floats: true,
            object,
            threads: 1,
            ..Options::default()
        };
        let object = target_thumb::compile(module.clone(), &options).expect("it compiles");
        let library = board.symbols_starting("__aeabi_");
        let image = Image::load(board, &object.bytes, &mut |symbol| match import(module, symbol) {
            Some(func) => Some(Undefined::Import(func.index() as u32)),
            None => library.get(symbol).map(|&address| Undefined::Address(address)),
        });
        let image = image.expect("it can be loaded");
        let structure = board.allocate(STRUCTURE_BYTES.into(), 8, false).expect("there is room");
        let memory = module.memory().map(|_| match setup.memory {
            MemoryMode::Symbol => image.address("__linear_memory").expect("the memory is exported"),
            MemoryMode::Register => board.allocate(MEMORY_BYTES.into(), 16, false).expect("there is room"),
            MemoryMode::Native => board.low_memory()[0],
        });
        Self { board, module, setup, image, memory, structure }
    }

    /// Calls `main` with the initial memory.
    fn call(&mut self, args: &[u64]) -> Outcome {
        self.image.restore(self.board).expect("the board listens");
        if let Some(memory) = self.memory.filter(|_| self.setup.memory != MemoryMode::Symbol) {
            let initial = Interpreter::new(self.module, InterpOptions::new(self.module));
            self.board.write(memory, &scratch(&initial)).expect("the board listens");
        }
        let module = self.module;
        let sig = module.signature_of(FuncId::new(0));
        let (params, args) = outside(sig, args, self.structure);
        let has_floats = self.board.core().has_floats();
        let address = self.image.address("main").expect("main is exported");
        let mut call = board::Call::new(address, Words::arguments(has_floats, &params, &args));
        // As the interpreter does; other bits of NaNs may reach results as integers.
        call.canonical_nans = has_floats;
        if let Some(memory) = self.memory.filter(|_| self.setup.memory == MemoryMode::Register) {
            call.base = memory;
        }
        let mut imports = Vec::new();
        let exit = self.board.call(&call, &mut |board, import| {
            let (func, args, answer) = answered(board, module, import)?;
            imports.push((func, args));
            Ok(answer)
        });
        let exit = exit.expect("the board answers");
        let end = match exit.ending {
            Ending::Returned if sig.results.len() > 1 => {
                let words = self.board.read_words(self.structure, STRUCTURE_BYTES as usize / 4);
                Ok(members(&types(&sig.results), &words.expect("the board answers")))
            }
            Ending::Returned => Ok(exit.words.values(has_floats, &types(&sig.results))),
            Ending::Trapped(number) => Err(number.into()),
            other => panic!("{other:x?}, arguments {args:x?}"),
        };
        let memory = self.memory.map(|memory| self.board.read(memory, SCRATCH_BYTES));
        let memory = memory.transpose().expect("the board answers").unwrap_or_default();
        Outcome { end, imports, memory }
    }
}

/// The import with this symbol.
fn import(module: &Module, symbol: &str) -> Option<FuncId> {
    let is_it = |kind: &FuncKind| matches!(kind, FuncKind::Import(import) if import.field == symbol);
    module.decls.iter().find(|(_, decl)| is_it(&decl.kind)).map(|(func, _)| func)
}

/// Answers a call of an import as the interpreter's host does; returns the import, its arguments and its results.
fn answered(
    board: &mut Board,
    module: &Module,
    import: &ImportCall,
) -> anyhow::Result<(FuncId, Vec<u64>, Answer)> {
    let func = FuncId::new(import.number as usize);
    let sig = module.signature_of(func);
    let has_floats = board.core().has_floats();
    let (params, _) = outside(sig, &[], 0);
    assert!(import.sp.is_multiple_of(8), "an import is called with the stack pointer {:#x}", import.sp);
    let stack = board.read_words(import.sp, Words::stack_words(has_floats, &params))?;
    let mut args = Words { stack, ..import.words.clone() }.values(has_floats, &params);
    let pointer = (sig.results.len() > 1).then(|| args.remove(0) as u32);
    let mut memory = Interpreter::new(module, InterpOptions::new(module)).memory;
    let results = testing::host(module)(&mut memory, func, &args).expect("an import answers");
    let results_types = types(&sig.results);
    if let Some(pointer) = pointer {
        board.write_words(pointer, &structure(&results_types, &results))?;
        return Ok((func, args, Answer::default()));
    }
    let words = Words::arguments(has_floats, &results_types, &results);
    let answer = Answer { core: [words.core[0], words.core[1]], floats: [words.floats[0], words.floats[1]] };
    Ok((func, args, answer))
}

/// Parameters and arguments as seen from outside: several results are passed as a pointer.
fn outside(sig: &Signature, args: &[u64], structure: u32) -> (Vec<board::Type>, Vec<u64>) {
    let pointer = sig.results.len() > 1;
    let params = pointer.then_some(board::Type::I32).into_iter().chain(types(&sig.params));
    let args = pointer.then_some(structure.into()).into_iter().chain(args.iter().copied());
    (params.collect(), args.collect())
}

fn types(types: &[Type]) -> Vec<board::Type> {
    let lower = |ty: &Type| match ty {
        Type::I32 => board::Type::I32,
        Type::I64 => board::Type::I64,
        Type::F32 => board::Type::F32,
        Type::F64 => board::Type::F64,
    };
    types.iter().map(lower).collect()
}

/// The core of the board for a core of the compiler.
const fn core(cpu: Cpu) -> Core {
    match cpu {
        Cpu::M3 => Core::M3,
        Cpu::M4 => Core::M4,
        Cpu::M4F => Core::M4F,
        Cpu::M7 => Core::M7,
        Cpu::M7DP => Core::M7DP,
        Cpu::M33 => Core::M33,
        Cpu::M33F => Core::M33F,
    }
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
