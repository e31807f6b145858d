//! A PVM for running programs: the `polkavm` engine for either version of the Gray Paper, with one interface.
//!
//! The interface is the machine's own: registers, memory, gas, and a run that stops for a reason. State survives
//! between runs, so a test can call several exports of one instance. `grow_heap` (GP 0.8) is answered here,
//! because memory can't grow without it; every other host call is reported.

use anyhow::{Context, Result, bail};
use pvm_isa::{GpVersion, SpiProgram};

/// The reason why a run stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Jumped to the halt address.
    Halt,
    /// Panic or page fault.
    Trap,
    /// The next block costs more than the remaining gas.
    OutOfGas,
    /// A host call with this number.
    HostCall(u32),
}

/// An engine with its way of charging gas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// GP 0.7.2 on `polkavm` 0.30's interpreter; one gas per instruction.
    Gp07,
    /// GP 0.8 on `polkavm` 0.37's interpreter; gas of the block simulator.
    Gp08Interpreter,
    /// GP 0.8 on `polkavm` 0.37's recompiler; gas of the block simulator.
    Gp08Compiler,
}

impl Engine {
    /// Every engine that runs programs of a version.
    pub const fn for_version(gp: GpVersion) -> &'static [Self] {
        match gp {
            GpVersion::V072 => &[Self::Gp07],
            GpVersion::V08 => &[Self::Gp08Interpreter, Self::Gp08Compiler],
        }
    }
}

/// An instance of a program.
pub struct Machine {
    instance: Instance,
    /// Exclusive end of the heap as the Gray Paper counts it, in pages.
    heap_end_page: u32,
    heap_limit_page: u32,
}

enum Instance {
    Gp07(Box<gp07::Instance>),
    Gp08(Box<gp08::Instance>),
}

/// Evaluates the same expression on either kind of instance.
macro_rules! on_instance {
    ($machine:expr, $instance:ident => $body:expr) => {
        match &mut $machine.instance {
            Instance::Gp07($instance) => $body,
            Instance::Gp08($instance) => $body,
        }
    };
}

/// Registers of the machine, by number.
const SP: usize = 1;
const FIRST_ARG: usize = 7;

impl Machine {
    /// Loads a program.
    pub fn new(program: &SpiProgram, engine: Engine) -> Result<Self> {
        let layout = program.layout().ok().context("the program doesn't fit the address space")?;
        let instance = match engine {
            Engine::Gp07 => Instance::Gp07(Box::new(gp07::load(program, true)?)),
            Engine::Gp08Interpreter => Instance::Gp08(Box::new(gp08::load(program, true)?)),
            Engine::Gp08Compiler => Instance::Gp08(Box::new(gp08::load(program, false)?)),
        };
        let heap_end_page = layout.rw.end / pvm_isa::spi::PAGE_SIZE;
        Ok(Self { instance, heap_end_page, heap_limit_page: layout.heap_limit_page() })
    }

    /// Prepares a run from `pc` as in the argument invocation of the Gray Paper: `args` in the argument area.
    pub fn enter_with_bytes(&mut self, pc: u32, args: &[u8]) -> Result<()> {
        let address = on_instance!(self, it => it.set_args(args))?;
        self.enter(pc, &[u64::from(address), args.len() as u64]);
        Ok(())
    }

    /// Prepares a run from `pc` with words in the argument registers r7…
    pub fn enter(&mut self, pc: u32, words: &[u64]) {
        on_instance!(self, it => it.enter(pc));
        for (n, &word) in words.iter().enumerate() {
            self.set_reg(FIRST_ARG + n, word);
        }
    }

    /// Runs until the program stops, at the latest after `gas`.
    pub fn run(&mut self) -> Result<Exit> {
        loop {
            match on_instance!(self, it => it.run())? {
                Exit::HostCall(1) if matches!(self.instance, Instance::Gp08(_)) => self.grow_heap()?,
                exit => return Ok(exit),
            }
        }
    }

    /// A register.
    pub fn reg(&mut self, number: usize) -> u64 {
        on_instance!(self, it => it.reg(number))
    }

    /// Sets a register.
    pub fn set_reg(&mut self, number: usize, value: u64) {
        on_instance!(self, it => it.set_reg(number, value));
    }

    /// The stack pointer.
    pub fn sp(&mut self) -> u64 {
        self.reg(SP)
    }

    /// The remaining gas.
    pub fn gas(&mut self) -> i64 {
        on_instance!(self, it => it.gas())
    }

    /// Sets the gas.
    pub fn set_gas(&mut self, gas: i64) {
        on_instance!(self, it => it.set_gas(gas));
    }

    /// Reads memory.
    pub fn read(&mut self, address: u32, len: u32) -> Result<Vec<u8>> {
        on_instance!(self, it => it.read(address, len))
    }

    /// Writes memory.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
        on_instance!(self, it => it.write(address, bytes))
    }

    /// The result of a halted run: the memory described by r7 and r8, empty if it isn't readable.
    pub fn result(&mut self) -> Vec<u8> {
        let (address, len) = (self.reg(FIRST_ARG), self.reg(FIRST_ARG + 1));
        match (u32::try_from(address), u32::try_from(len)) {
            (Ok(address), Ok(len)) => self.read(address, len).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// The engine's gas of the block that starts at `pc`, under GP 0.8; `None` if no block starts there.
    pub fn gas_of_block(&self, pc: u32) -> Option<i64> {
        match &self.instance {
            Instance::Gp07(_) => None,
            Instance::Gp08(instance) => instance.gas_of_block(pc),
        }
    }

    /// Host call 1 of GP 0.8: r7 is the wanted end page, and becomes the end page.
    fn grow_heap(&mut self) -> Result<()> {
        let wanted = self.reg(FIRST_ARG);
        if wanted > u64::from(self.heap_end_page) && wanted <= u64::from(self.heap_limit_page) {
            let bytes = (wanted as u32 - self.heap_end_page) * pvm_isa::spi::PAGE_SIZE;
            if on_instance!(self, it => it.sbrk(bytes))? {
                self.heap_end_page = wanted as u32;
            }
        }
        self.set_reg(FIRST_ARG, u64::from(self.heap_end_page));
        Ok(())
    }
}

/// The engine's wrapper, once per version of the crate: their interfaces agree, their types don't.
macro_rules! engine {
    ($module:ident, $polkavm:ident, $cost:expr) => {
        mod $module {
            use polkavm::{
                BackendKind, Config, Engine, GasMeteringKind, InterruptKind, Module, ModuleConfig,
                ProgramBlob, ProgramParts, RawInstance, Reg,
            };
            use $polkavm as polkavm;

            use super::{Exit, Result, SpiProgram, bail};

            pub(super) struct Instance(RawInstance);

            pub(super) fn load(program: &SpiProgram, interpret: bool) -> Result<Instance> {
                let mut config = Config::new();
                config.set_allow_experimental(true);
                config.set_worker_count(0);
                config.set_backend(Some(if interpret {
                    BackendKind::Interpreter
                } else {
                    BackendKind::Compiler
                }));
                let engine = Engine::new(&config).map_err(|error| anyhow::anyhow!("engine: {error}"))?;
                let blob = ProgramBlob::from_parts(parts(program))
                    .map_err(|error| anyhow::anyhow!("the engine refuses the blob: {error}"))?;
                let mut config = ModuleConfig::new();
                config.set_page_size(pvm_isa::spi::PAGE_SIZE);
                config.set_aux_data_size(pvm_isa::spi::MAX_ARGS_LEN);
                config.set_gas_metering(Some(GasMeteringKind::Sync));
                let (cost, per_instruction) = $cost;
                config.set_cost_model(Some(cost));
                config.set_per_instruction_metering(per_instruction);
                let module = Module::from_blob(&engine, &config, blob)
                    .map_err(|error| anyhow::anyhow!("the engine refuses the program: {error}"))?;
                let instance =
                    module.instantiate().map_err(|error| anyhow::anyhow!("instantiate: {error}"))?;
                Ok(Instance(instance))
            }

            fn parts(program: &SpiProgram) -> ProgramParts {
                let mut parts = ProgramParts::empty(polkavm::program::InstructionSetKind::JamV1);
                parts.ro_data_size = program.ro_data.len() as u32;
                parts.rw_data_size = pvm_isa::spi::page_align(program.rw_data.len() as u32)
                    + u32::from(program.heap_pages) * pvm_isa::spi::PAGE_SIZE;
                parts.stack_size = program.stack_size;
                parts.ro_data = program.ro_data.clone().into();
                parts.rw_data = program.rw_data.clone().into();
                parts.code_and_jump_table = program.blob.to_bytes().into();
                parts
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

            impl Instance {
                pub(super) fn enter(&mut self, pc: u32) {
                    self.0.clear_regs();
                    self.0.set_reg(Reg::RA, u64::from(pvm_isa::spi::HALT_ADDRESS));
                    self.0.set_reg(Reg::SP, self.0.module().default_sp());
                    self.0.set_next_program_counter(polkavm::ProgramCounter(pc));
                }

                pub(super) fn set_args(&mut self, args: &[u8]) -> Result<u32> {
                    let address = self.0.module().memory_map().aux_data_address();
                    self.0
                        .write_memory(address, args)
                        .map_err(|error| anyhow::anyhow!("arguments: {error}"))?;
                    self.0
                        .set_accessible_aux_size(args.len() as u32)
                        .map_err(|error| anyhow::anyhow!("arguments: {error}"))?;
                    Ok(address)
                }

                pub(super) fn run(&mut self) -> Result<Exit> {
                    Ok(match self.0.run().map_err(|error| anyhow::anyhow!("run: {error}"))? {
                        InterruptKind::Finished => Exit::Halt,
                        InterruptKind::Trap => Exit::Trap,
                        InterruptKind::NotEnoughGas => Exit::OutOfGas,
                        InterruptKind::Ecalli(number) => Exit::HostCall(number),
                        other => bail!("unexpected interrupt {other:?}"),
                    })
                }

                #[allow(dead_code, reason = "only GP 0.8 has prices of blocks")]
                pub(super) fn gas_of_block(&self, pc: u32) -> Option<i64> {
                    self.0.module().calculate_gas_cost_for(polkavm::ProgramCounter(pc))
                }

                pub(super) fn reg(&mut self, number: usize) -> u64 {
                    self.0.reg(REGISTERS[number])
                }

                pub(super) fn set_reg(&mut self, number: usize, value: u64) {
                    self.0.set_reg(REGISTERS[number], value);
                }

                pub(super) fn gas(&mut self) -> i64 {
                    self.0.gas()
                }

                pub(super) fn set_gas(&mut self, gas: i64) {
                    self.0.set_gas(gas);
                }

                pub(super) fn read(&mut self, address: u32, len: u32) -> Result<Vec<u8>> {
                    self.0
                        .read_memory(address, len)
                        .map_err(|error| anyhow::anyhow!("read {address:#x}: {error}"))
                }

                pub(super) fn write(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
                    self.0
                        .write_memory(address, bytes)
                        .map_err(|error| anyhow::anyhow!("write {address:#x}: {error}"))
                }

                pub(super) fn sbrk(&mut self, bytes: u32) -> Result<bool> {
                    Ok(self.0.sbrk(bytes).map_err(|error| anyhow::anyhow!("sbrk: {error}"))?.is_some())
                }
            }
        }
    };
}

engine!(gp07, polkavm_gp07, (polkavm::CostModelKind::Simple(polkavm::CostModel::naive_ref()), true));
engine!(gp08, polkavm_gp08, (polkavm::CostModelKind::Full(polkavm::CacheModel::L2Hit), false));
