//! Running compiled programs on the `polkavm` interpreter.
//!
//! Programs are entered as by a call: arguments are where the compiler's convention has them, and the return address
//! halts. A closure answers host calls.

use polkavm::program::InstructionSetKind;
use polkavm::{
    BackendKind, CacheModel, Config, CostModelKind, Engine, GasMeteringKind, InterruptKind, MemoryProtection,
    Module, ModuleConfig, ProgramBlob, ProgramCounter, ProgramParts, RawInstance, Reg,
};
use ssa::testing::SCRATCH_BYTES;
use ssa::{FuncId, FuncKind, Module as SsaModule, Signature, Type};
use target_pvm::{Images, Program};

/// Registers of arguments and of results, in the order of the convention.
const ARGS: [Reg; 8] = [Reg::A0, Reg::A1, Reg::A2, Reg::A3, Reg::A4, Reg::A5, Reg::T1, Reg::T2];
const RESULTS: usize = 6;
const HALT: u64 = 0xffff_0000;
const GAS: i64 = 1 << 40;

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It returned these words.
    Returned(Vec<u64>),
    /// It panicked.
    Trapped,
}

/// The engine.
pub struct Machine {
    engine: Engine,
}

/// A program in execution.
pub struct Instance {
    raw: RawInstance,
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
    ///
    /// # Panics
    /// If the engine can't be started.
    pub fn new() -> Self {
        let mut config = Config::new();
        config.set_allow_experimental(true);
        config.set_backend(Some(BackendKind::Interpreter));
        config.set_worker_count(0);
        Self { engine: Engine::new(&config).expect("an interpreter") }
    }

    /// A fresh instance of a program.
    ///
    /// # Panics
    /// If the engine refuses it.
    pub fn load(&self, program: &Program) -> Instance {
        let Images { ro, rw, heap_pages, stack_size } = &program.images;
        let mut parts = ProgramParts::empty(InstructionSetKind::JamV1);
        parts.ro_data_size = ro.len() as u32;
        parts.ro_data = ro.clone().into();
        parts.rw_data_size = (rw.len() as u32).next_multiple_of(4096) + 4096 * heap_pages;
        parts.rw_data = rw.clone().into();
        parts.stack_size = *stack_size;
        parts.code_and_jump_table = program.blob.to_bytes().into();
        let blob = ProgramBlob::from_parts(parts).expect("a program");
        let mut config = ModuleConfig::new();
        config.set_page_size(4096);
        config.set_aux_data_size(1 << 24);
        config.set_gas_metering(Some(GasMeteringKind::Sync));
        config.set_cost_model(Some(CostModelKind::Full(CacheModel::L2Hit)));
        let module = Module::from_blob(&self.engine, &config, blob).expect("an accepted program");
        Instance { raw: module.instantiate().expect("an instance"), gas: 0 }
    }
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
        let raw = &mut self.raw;
        let on_stack = |count: usize, registers: usize| 8 * count.saturating_sub(registers) as u32;
        let result_bytes = on_stack(sig.results.len(), RESULTS);
        let stack = (result_bytes + on_stack(args.len(), ARGS.len())).next_multiple_of(16);
        let sp = raw.module().default_sp() as u32 - stack;
        for reg in polkavm::Reg::ALL {
            // The result must not depend on the contents of other registers.
            raw.set_reg(reg, 0xdead_beef_dead_beef);
        }
        for (n, &arg) in args.iter().enumerate() {
            let word = if sig.params[n] == Type::I32 { arg as i32 as i64 as u64 } else { arg };
            match ARGS.get(n) {
                Some(&reg) => raw.set_reg(reg, word),
                None => {
                    let at = sp + result_bytes + on_stack(n, ARGS.len());
                    raw.write_memory(at, &word.to_le_bytes()).expect("stack");
                }
            }
        }
        raw.set_reg(Reg::RA, HALT);
        raw.set_reg(Reg::SP, sp.into());
        raw.set_gas(GAS);
        raw.set_next_program_counter(ProgramCounter(5 * entry));
        let outcome = loop {
            match raw.run().expect("no engine error") {
                InterruptKind::Finished => {
                    assert_eq!(raw.reg(Reg::SP), u64::from(sp), "the stack pointer is restored");
                    break Outcome::Returned(results(raw, sig.results.len(), sp));
                }
                InterruptKind::Trap => break Outcome::Trapped,
                InterruptKind::Ecalli(number) => {
                    let words =
                        [Reg::A0, Reg::A1, Reg::A2, Reg::A3, Reg::A4, Reg::A5].map(|reg| raw.reg(reg));
                    let [a, b] = host(u64::from(number), words);
                    raw.set_reg(Reg::A0, a);
                    raw.set_reg(Reg::A1, b);
                }
                other => panic!("unexpected {other:?}"),
            }
        };
        self.gas += GAS - raw.gas();
        outcome
    }

    /// Bytes of memory.
    ///
    /// # Panics
    /// If they aren't accessible.
    pub fn read(&mut self, address: u32, len: u32) -> Vec<u8> {
        self.raw.read_memory(address, len).expect("accessible")
    }

    /// Whether an address can be written.
    pub fn is_writable(&mut self, address: u32, len: u32) -> bool {
        self.raw.is_memory_accessible(address, len, MemoryProtection::ReadWrite)
    }
}

fn results(raw: &mut RawInstance, count: usize, sp: u32) -> Vec<u64> {
    let word = |raw: &mut RawInstance, n: usize| match n < RESULTS {
        true => raw.reg(ARGS[n]),
        false => {
            let bytes = raw.read_memory(sp + 8 * (n - RESULTS) as u32, 8).expect("stack");
            u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
        }
    };
    (0..count).map(|n| word(raw, n)).collect()
}
