//! A PVM for running programs: an interface of registers, memory and gas over the `polkavm` engine.
//!
//! Memory and registers survive between runs, so several entries of one instance can be called. Host calls stop a run;
//! [`Machine::resume`] continues after them.
//!
//! Programs for GP 0.8 run with the numbering and gas of 0.8. Programs for 0.7.2 run as well, at a gas of 1 per
//! instruction. The engine has no `sbrk` any more, so those that can grow their memory are refused.

use polkavm::program::InstructionSetKind;
use polkavm::{
    BackendKind, CacheModel, Config, CostModel, CostModelKind, Engine, GasMeteringKind, InterruptKind,
    Module, ModuleConfig, ProgramBlob, ProgramParts, RawInstance, Reg,
};
use pvm_isa::{GpVersion, Opcode, SpiProgram, spi};

use super::RunError;

/// The way the engine executes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Backend {
    /// The recompiler where it works (Linux on x86-64), else the interpreter.
    #[default]
    Auto,
    /// The interpreter.
    Interpreter,
    /// The recompiler to native code.
    Compiler,
}

/// The reason why a run stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It jumped to the halt address.
    Halt,
    /// Panic or page fault.
    Panic,
    /// The next block costs more than the remaining gas.
    OutOfGas,
    /// A host call with this number.
    HostCall(u32),
}

/// Numbers of the registers with a meaning to hosts.
pub mod reg {
    /// The stack pointer.
    pub const SP: usize = 1;
    /// First argument and result.
    pub const A0: usize = 7;
    /// Second argument and result.
    pub const A1: usize = 8;
}

const REGISTERS: [Reg; 13] = [
    Reg::RA,
    Reg::SP,
    Reg::T0,
    Reg::T1,
    Reg::T2,
    Reg::S0,
    Reg::S1,
    Reg::A0,
    Reg::A1,
    Reg::A2,
    Reg::A3,
    Reg::A4,
    Reg::A5,
];

/// An instance of a program.
pub struct Machine {
    instance: RawInstance,
    /// Exclusive end of the heap in pages.
    heap_end: u32,
    heap_limit: u32,
}

impl Machine {
    /// Loads a program for a version of the Gray Paper.
    ///
    /// # Errors
    /// If the engine can't run here or refuses the program.
    pub fn new(program: &SpiProgram, gp: GpVersion, backend: Backend) -> Result<Self, RunError> {
        let layout = program.layout().map_err(|error| RunError::Refused(error.to_string()))?;
        pvm_isa::validate::validate(gp, &program.blob)
            .map_err(|error| RunError::Refused(error.to_string()))?;
        if gp == GpVersion::V072
            && program.blob.instructions(gp).any(|(_, inst)| inst.inst.op() == Opcode::Sbrk)
        {
            return Err(RunError::Refused(
                "programs for GP 0.7 grow memory by sbrk, which the engine lacks; compile for GP 0.8 to run it here".into(),
            ));
        }
        let refused = |error: polkavm::Error| RunError::Refused(error.to_string());
        let engine = engine(backend, gp)?;
        let blob = ProgramBlob::from_parts(parts(program, gp))
            .map_err(|error| RunError::Refused(error.to_string()))?;
        let module = Module::from_blob(&engine, &module_config(gp), blob)
            .map_err(|error| RunError::Refused(error.to_string()))?;
        let instance = module.instantiate().map_err(refused)?;
        Ok(Self { instance, heap_end: layout.rw.end / spi::PAGE_SIZE, heap_limit: layout.heap_limit_page() })
    }

    /// Puts the argument bytes into their area and returns its address.
    ///
    /// # Errors
    /// If there are more than 16 MiB.
    pub fn set_args(&mut self, args: &[u8]) -> Result<u32, RunError> {
        let fits = u32::try_from(args.len()).ok().filter(|&len| len <= spi::MAX_ARGS_LEN);
        let len = fits.ok_or(RunError::ArgumentsTooLarge(args.len()))?;
        let failed = |error: String| RunError::Engine(error);
        self.instance.set_accessible_aux_size(len).map_err(|error| failed(error.to_string()))?;
        if len > 0 {
            self.instance.write_memory(spi::ARGS_START, args).map_err(|error| failed(error.to_string()))?;
        }
        Ok(spi::ARGS_START)
    }

    /// Prepares a run from `pc`: registers as at the start of a program, `words` in r7 and up.
    pub fn enter(&mut self, pc: u32, words: &[u64]) {
        self.instance.clear_regs();
        self.instance.set_reg(Reg::RA, u64::from(spi::HALT_ADDRESS));
        self.instance.set_reg(Reg::SP, u64::from(spi::STACK_END));
        self.instance.set_next_program_counter(polkavm::ProgramCounter(pc));
        for (n, &word) in words.iter().enumerate() {
            self.set_reg(reg::A0 + n, word);
        }
    }

    /// Runs until the program stops; after a host call, continues with the next instruction.
    ///
    /// # Errors
    /// If the engine itself fails.
    pub fn resume(&mut self) -> Result<Exit, RunError> {
        match self.instance.run().map_err(|error| RunError::Engine(error.to_string()))? {
            InterruptKind::Finished => Ok(Exit::Halt),
            InterruptKind::Trap | InterruptKind::Segfault(_) => Ok(Exit::Panic),
            InterruptKind::NotEnoughGas => Ok(Exit::OutOfGas),
            InterruptKind::Ecalli(number) => Ok(Exit::HostCall(number)),
            InterruptKind::Step => Err(RunError::Engine("stopped to step".into())),
        }
    }

    /// A register, r0 to r12.
    pub fn reg(&self, number: usize) -> u64 {
        self.instance.reg(REGISTERS[number])
    }

    /// Sets a register.
    pub fn set_reg(&mut self, number: usize, value: u64) {
        self.instance.set_reg(REGISTERS[number], value);
    }

    /// The remaining gas.
    pub fn gas(&self) -> i64 {
        self.instance.gas()
    }

    /// Sets the gas.
    pub fn set_gas(&mut self, gas: i64) {
        self.instance.set_gas(gas);
    }

    /// Reads memory; `None` if some of it is not readable.
    pub fn read(&mut self, address: u32, len: u32) -> Option<Vec<u8>> {
        if len == 0 {
            return Some(Vec::new());
        }
        self.instance.read_memory(address, len).ok()
    }

    /// Writes memory. Returns `false`, and writes nothing, if some of it is not writable.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> bool {
        bytes.is_empty() || self.instance.write_memory(address, bytes).is_ok()
    }

    /// Exclusive end of the heap in pages.
    pub fn heap_end(&self) -> u32 {
        self.heap_end
    }

    /// Grows the heap to end before page `wanted`. Returns whether that was possible and necessary.
    pub fn grow_heap(&mut self, wanted: u64) -> bool {
        let possible = u64::from(self.heap_end) < wanted && wanted <= u64::from(self.heap_limit);
        let bytes = || (wanted as u32 - self.heap_end) * spi::PAGE_SIZE;
        if possible && matches!(self.instance.sbrk(bytes()), Ok(Some(_))) {
            self.heap_end = wanted as u32;
            return true;
        }
        false
    }
}

fn engine(backend: Backend, gp: GpVersion) -> Result<Engine, RunError> {
    let interpret = match backend {
        // Only the interpreter can charge per instruction.
        _ if gp == GpVersion::V072 => true,
        Backend::Auto => !BackendKind::Compiler.is_supported(),
        Backend::Interpreter => true,
        Backend::Compiler => false,
    };
    let kind = if interpret { BackendKind::Interpreter } else { BackendKind::Compiler };
    let mut config = Config::new();
    config.set_allow_experimental(true);
    config.set_worker_count(0);
    config.set_backend(Some(kind));
    match Engine::new(&config) {
        Err(_) if backend == Backend::Auto && !interpret => self::engine(Backend::Interpreter, gp),
        result => result.map_err(|error| RunError::Engine(error.to_string())),
    }
}

fn module_config(gp: GpVersion) -> ModuleConfig {
    let mut config = ModuleConfig::new();
    config.set_page_size(spi::PAGE_SIZE);
    config.set_aux_data_size(spi::MAX_ARGS_LEN);
    config.set_gas_metering(Some(GasMeteringKind::Sync));
    match gp {
        GpVersion::V072 => {
            config.set_cost_model(Some(CostModelKind::Simple(CostModel::naive_ref())));
            config.set_per_instruction_metering(true);
        }
        GpVersion::V08 => {
            config.set_cost_model(Some(CostModelKind::Full(CacheModel::L2Hit)));
        }
    }
    config
}

fn parts(program: &SpiProgram, gp: GpVersion) -> ProgramParts {
    let mut parts = ProgramParts::empty(match gp {
        GpVersion::V072 => InstructionSetKind::ReviveV1,
        GpVersion::V08 => InstructionSetKind::JamV1,
    });
    parts.ro_data_size = program.ro_data.len() as u32;
    parts.rw_data_size =
        spi::page_align(program.rw_data.len() as u32) + u32::from(program.heap_pages) * spi::PAGE_SIZE;
    parts.stack_size = program.stack_size;
    parts.ro_data = program.ro_data.clone().into();
    parts.rw_data = program.rw_data.clone().into();
    parts.code_and_jump_table = program.blob.to_bytes().into();
    parts
}
