//! Running compiled programs on the `polkavm` interpreter.
//!
//! Programs are entered as by a call: arguments are where the compiler's convention has them, and the return address
//! halts. A closure answers host calls.

use pvm_engine::{Backend, Engine, Exit, reg};
use pvm_isa::GpVersion;
use pvm_isa::SpiProgram;
use ssa::testing::{self, Rng, SCRATCH_BYTES};
use ssa::{EntityId, FuncId, FuncKind, Module as SsaModule, Signature, Type};
use target_pvm::{EntryMode, Goal, Images, ImportMap, MemoryOptions, Options, Program};

const ENGINE: Engine = Engine::Polkavm037(Backend::Interpreter);
const GAS: i64 = 1 << 40;
/// Calls of a random program.
const CALLS: usize = 4;

/// Options of the target for random programs.
pub fn options() -> Options {
    Options {
        entries: EntryMode::Raw,
        imports: ImportMap::default().with_auto(0),
        memory: MemoryOptions { keep_exports: true, ..MemoryOptions::default() },
        threads: 1,
        ..Options::default()
    }
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It returned these words.
    Returned(Vec<u64>),
    /// It panicked.
    Trapped,
}

/// An interpreter of GP 0.8 programs.
pub struct Machine;

/// A program in execution.
pub struct Instance {
    machine: pvm_engine::Machine,
    /// Gas used by calls so far.
    pub gas: i64,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// An interpreter of programs for the Gray Paper 0.8.
    pub fn new() -> Self {
        Self
    }

    /// A fresh instance of a program.
    ///
    /// # Panics
    /// If the engine refuses it.
    pub fn load(&self, program: &Program) -> Instance {
        let Images { ro, rw, heap_pages, stack_size, .. } = program.images.clone();
        let heap_pages = u16::try_from(heap_pages).expect("the container has room for the number of pages");
        let blob = program.blob.clone();
        let standard = SpiProgram { ro_data: ro, rw_data: rw, heap_pages, stack_size, blob };
        let machine = pvm_engine::Machine::new(&standard, GpVersion::V08, ENGINE);
        Instance { machine: machine.expect("an accepted program"), gas: 0 }
    }
}

/// Compares some calls of a random program's `main`, compiled for speed and for size, with the interpreter; returns the number of calls that returned
/// values.
///
/// # Panics
/// If it can't be compiled, or an outcome differs; the message begins with `context`.
pub fn compare(machine: &Machine, module: &SsaModule, rng: &mut Rng, context: &str) -> u64 {
    let main = FuncId::new(0);
    let programs = [Goal::Speed, Goal::Size].map(|goal| {
        let program = target_pvm::compile(module.clone(), &Options { goal, ..options() });
        program.unwrap_or_else(|error| panic!("{context}: {error}"))
    });
    let mut returned = 0;
    for _ in 0..CALLS {
        let args = testing::random_args(rng, module, main);
        let Some(expected) = crate::interpreted(module, main, &args) else { continue };
        let expected = expected.on_pvm(module.signature_of(main));
        for program in &programs {
            let actual = outcome(machine, module, program, (0, main), &args);
            actual.assert_is(&expected, &format!("{context}, arguments {args:x?}"));
        }
        returned += u64::from(expected.end.is_ok());
    }
    returned
}

/// The outcome of a call of `func`, which is entry number `entry` of the program, in a fresh instance. The engine
/// doesn't tell reasons of traps. Memory that the program doesn't use is empty.
///
/// # Panics
/// If the engine fails.
pub fn outcome(
    machine: &Machine,
    module: &SsaModule,
    program: &Program,
    (entry, func): (u32, FuncId),
    args: &[u64],
) -> crate::Outcome {
    let mut imports = Vec::new();
    let mut instance = machine.load(program);
    let sig = module.signature_of(func);
    let outcome = instance.call(entry, sig, args, &mut |number, words| {
        let (import, args, results) = answered(module, number, words);
        imports.push((import, args));
        results
    });
    let end = match outcome {
        Outcome::Returned(words) => Ok(words),
        Outcome::Trapped => Err(None),
    };
    let used = program.linear_base.filter(|&at| instance.is_writable(at, SCRATCH_BYTES));
    let memory = used.map_or_else(Vec::new, |at| instance.read(at, SCRATCH_BYTES));
    crate::Outcome { end, imports, memory }
}

/// Answers host call `number`, the import with this number, as the interpreter's host does.
fn answered(module: &SsaModule, number: u64, words: [u64; 6]) -> (FuncId, Vec<u64>, [u64; 2]) {
    let mut imports = module.decls.iter().filter(|(_, decl)| matches!(decl.kind, FuncKind::Import(_)));
    let (func, _) = imports.nth(number as usize).expect("a known import");
    let args = &words[..module.signature_of(func).params.len()];
    let results = crate::answer(module, func, args);
    // A register without a result has arbitrary contents.
    let result = |n: usize| results.get(n).copied().unwrap_or(0x5555_5555_5555_5555);
    (func, args.to_vec(), [result(0), result(1)])
}

impl Instance {
    /// Calls the function of entry number `entry`. `host` gets the number of a host call and its six words, and returns
    /// two.
    ///
    /// # Panics
    /// If the engine fails.
    pub fn call(
        &mut self,
        entry: u32,
        sig: &Signature,
        args: &[u64],
        host: &mut dyn FnMut(u64, [u64; 6]) -> [u64; 2],
    ) -> Outcome {
        let word = |(&ty, &arg): (&Type, &u64)| if ty == Type::I32 { arg as i32 as i64 as u64 } else { arg };
        let words: Vec<u64> = sig.params.iter().zip(args).map(word).collect();
        let machine = &mut self.machine;
        let call = machine.enter_call(5 * entry, &words, sig.results.len()).expect("room on the stack");
        machine.set_gas(GAS);
        let outcome = loop {
            match machine.resume().expect("no engine error") {
                Exit::Halt => break Outcome::Returned(machine.results_of(call).expect("a regular return")),
                Exit::Panic => break Outcome::Trapped,
                Exit::HostCall(number) => {
                    let words = [0, 1, 2, 3, 4, 5].map(|n| machine.reg(reg::A0 + n));
                    let [a, b] = host(u64::from(number), words);
                    machine.set_reg(reg::A0, a);
                    machine.set_reg(reg::A1, b);
                }
                Exit::OutOfGas => panic!("out of gas"),
            }
        };
        self.gas += GAS - machine.gas();
        outcome
    }

    /// Bytes of memory.
    ///
    /// # Panics
    /// If they aren't accessible.
    pub fn read(&mut self, address: u32, len: u32) -> Vec<u8> {
        self.machine.read(address, len).expect("accessible")
    }

    /// Whether an address can be written.
    pub fn is_writable(&mut self, address: u32, len: u32) -> bool {
        self.machine.is_writable(address, len)
    }
}
