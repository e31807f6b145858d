//! One wrapper for both versions of the `polkavm` crate: a loaded program as a trait object.
//!
//! The interfaces of the two versions agree, but their types differ. So the wrapper is a macro that is expanded once per
//! version; it contains only the code that names those types. [`crate::machine`] has the rest.

use pvm_isa::polkavm::InstructionSet;
use pvm_isa::{GpVersion, PolkaVmProgram, SpiProgram};

use crate::exit::{Exit, MachineError};

/// The way an engine executes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Recompilation.
    Compile,
    /// Interpretation.
    Interpret,
    /// Interpretation that stops before every instruction.
    Step,
}

/// The reason why an engine stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The program did.
    Exit(Exit),
    /// The next instruction follows.
    Step,
}

/// The operations of an engine on a loaded program. Registers are numbered from 0 to 12.
pub trait Instance {
    /// A new instance of the same program.
    fn again(&self) -> Result<Box<dyn Instance>, MachineError>;
    fn run(&mut self) -> Result<Stop, MachineError>;
    fn set_pc(&mut self, pc: u32);
    fn reg(&self, number: usize) -> u64;
    fn set_reg(&mut self, number: usize, value: u64);
    fn gas(&self) -> i64;
    fn set_gas(&mut self, gas: i64);
    /// The price of the block that starts at `pc`.
    fn gas_of_block(&self, pc: u32) -> Option<i64>;
    /// Sets the length of the readable part of the argument area.
    fn set_args_len(&mut self, len: u32) -> Result<(), MachineError>;
    fn read(&mut self, address: u32, len: u32) -> Option<Vec<u8>>;
    /// Whether the bytes could be written.
    fn write(&mut self, address: u32, bytes: &[u8]) -> bool;
    fn is_writable(&self, address: u32, len: u32) -> bool;
    /// Grows the heap by this many bytes. Its new end; `None` if it can't grow so far.
    fn sbrk(&mut self, bytes: u32) -> Option<u32>;
    /// The position of the instruction that stopped the run.
    fn pc(&self) -> Option<u32>;
}

macro_rules! engine {
    ($(#[$attribute:meta])* $module:ident, $polkavm:ident, $rules:expr) => {
        $(#[$attribute])*
        pub mod $module {
            use $polkavm as polkavm;
            use polkavm::program::InstructionSetKind;
            use polkavm::{
                BackendKind, Config, CostModelKind, Engine, GasMeteringKind, InterruptKind,
                MemoryProtection, Module, ModuleConfig, ProgramBlob, ProgramCounter, ProgramParts,
                RawInstance, Reg,
            };
            use pvm_isa::spi::{MAX_ARGS_LEN, PAGE_SIZE, page_align};

            use super::{
                Exit, GpVersion, Instance, InstructionSet, MachineError, Mode, PolkaVmProgram, SpiProgram, Stop,
            };

            const REGISTERS: [Reg; 13] = [
                Reg::RA, Reg::SP, Reg::T0, Reg::T1, Reg::T2, Reg::S0, Reg::S1, Reg::A0, Reg::A1,
                Reg::A2, Reg::A3, Reg::A4, Reg::A5,
            ];

            /// Loads a program.
            pub fn load(
                program: &SpiProgram,
                gp: GpVersion,
                mode: Mode,
            ) -> Result<Box<dyn Instance>, MachineError> {
                let rules: fn(GpVersion) -> (InstructionSetKind, CostModelKind, bool) = $rules;
                let blob = ProgramBlob::from_parts(parts(program, rules(gp).0));
                let blob = blob.map_err(|error| MachineError::Refused(error.to_string()))?;
                instantiate(blob, gp, mode)
            }

            /// Loads a program in PolkaVM's own container, which the engine itself parses.
            pub fn load_polkavm(
                program: &PolkaVmProgram,
                gp: GpVersion,
                mode: Mode,
            ) -> Result<Box<dyn Instance>, MachineError> {
                let program = PolkaVmProgram { isa: InstructionSet::of(gp), ..program.clone() };
                let blob = ProgramBlob::parse(program.to_bytes().into());
                let blob = blob.map_err(|error| MachineError::Refused(error.to_string()))?;
                instantiate(blob, gp, mode)
            }

            fn instantiate(
                blob: ProgramBlob,
                gp: GpVersion,
                mode: Mode,
            ) -> Result<Box<dyn Instance>, MachineError> {
                let refused = |error: String| MachineError::Refused(error);
                let engine = engine(mode)?;
                let rules: fn(GpVersion) -> (InstructionSetKind, CostModelKind, bool) = $rules;
                let (_, cost, per_instruction) = rules(gp);
                let mut config = ModuleConfig::new();
                config.set_page_size(PAGE_SIZE);
                config.set_aux_data_size(MAX_ARGS_LEN);
                config.set_gas_metering(Some(GasMeteringKind::Sync));
                config.set_cost_model(Some(cost));
                config.set_per_instruction_metering(per_instruction);
                config.set_step_tracing(mode == Mode::Step);
                let module = Module::from_blob(&engine, &config, blob)
                    .map_err(|error| refused(error.to_string()))?;
                let instance = module.instantiate().map_err(|error| refused(error.to_string()))?;
                Ok(Box::new(instance))
            }

            fn engine(mode: Mode) -> Result<Engine, MachineError> {
                let kind = match mode {
                    Mode::Compile => BackendKind::Compiler,
                    Mode::Interpret | Mode::Step => BackendKind::Interpreter,
                };
                let mut config = Config::new();
                config.set_allow_experimental(true);
                config.set_worker_count(0);
                config.set_backend(Some(kind));
                Engine::new(&config).map_err(|error| MachineError::Engine(error.to_string()))
            }

            fn parts(program: &SpiProgram, instructions: InstructionSetKind) -> ProgramParts {
                let mut parts = ProgramParts::empty(instructions);
                parts.ro_data_size = program.ro_data.len() as u32;
                parts.rw_data_size = page_align(program.rw_data.len() as u32)
                    + u32::from(program.heap_pages) * PAGE_SIZE;
                parts.stack_size = program.stack_size;
                parts.ro_data = program.ro_data.clone().into();
                parts.rw_data = program.rw_data.clone().into();
                parts.code_and_jump_table = program.blob.to_bytes().into();
                parts
            }

            impl Instance for RawInstance {
                fn again(&self) -> Result<Box<dyn Instance>, MachineError> {
                    let instance = self.module().instantiate();
                    Ok(Box::new(instance.map_err(|error| MachineError::Refused(error.to_string()))?))
                }

                fn run(&mut self) -> Result<Stop, MachineError> {
                    let failed = |error: String| Err(MachineError::Engine(error));
                    let exit = match self.run() {
                        Ok(InterruptKind::Step) => return Ok(Stop::Step),
                        Ok(InterruptKind::Finished) => Exit::Halt,
                        Ok(InterruptKind::Trap | InterruptKind::Segfault(_)) => Exit::Panic,
                        Ok(InterruptKind::NotEnoughGas) => Exit::OutOfGas,
                        Ok(InterruptKind::Ecalli(number)) => Exit::HostCall(number),
                        Err(error) => return failed(error.to_string()),
                    };
                    Ok(Stop::Exit(exit))
                }

                fn set_pc(&mut self, pc: u32) {
                    self.set_next_program_counter(ProgramCounter(pc));
                }

                fn reg(&self, number: usize) -> u64 {
                    self.reg(REGISTERS[number])
                }

                fn set_reg(&mut self, number: usize, value: u64) {
                    self.set_reg(REGISTERS[number], value);
                }

                fn gas(&self) -> i64 {
                    self.gas()
                }

                fn set_gas(&mut self, gas: i64) {
                    self.set_gas(gas);
                }

                fn gas_of_block(&self, pc: u32) -> Option<i64> {
                    self.module().calculate_gas_cost_for(ProgramCounter(pc))
                }

                fn set_args_len(&mut self, len: u32) -> Result<(), MachineError> {
                    self.set_accessible_aux_size(len).map_err(|error| MachineError::Engine(error.to_string()))
                }

                fn read(&mut self, address: u32, len: u32) -> Option<Vec<u8>> {
                    self.read_memory(address, len).ok()
                }

                fn write(&mut self, address: u32, bytes: &[u8]) -> bool {
                    self.write_memory(address, bytes).is_ok()
                }

                fn is_writable(&self, address: u32, len: u32) -> bool {
                    self.is_memory_accessible(address, len, MemoryProtection::ReadWrite)
                }

                fn sbrk(&mut self, bytes: u32) -> Option<u32> {
                    self.sbrk(bytes).ok().flatten()
                }

                fn pc(&self) -> Option<u32> {
                    self.program_counter().map(|pc| pc.0)
                }
            }
        }
    };
}

/// An engine's instruction set and prices for a version; the flag charges each instruction instead of blocks.
macro_rules! rules {
    ($polkavm:ident, $set:ident, per_instruction) => {{
        let prices = $polkavm::CostModelKind::Simple($polkavm::CostModel::naive_ref());
        ($polkavm::program::InstructionSetKind::$set, prices, true)
    }};
    ($polkavm:ident, $set:ident, per_block) => {{
        let prices = $polkavm::CostModelKind::Full($polkavm::CacheModel::L2Hit);
        ($polkavm::program::InstructionSetKind::$set, prices, false)
    }};
}

engine!(v037, polkavm, |gp| match gp {
    GpVersion::V072 => rules!(polkavm, ReviveV1, per_instruction),
    GpVersion::V08 => rules!(polkavm, JamV1, per_block),
    GpVersion::Next => rules!(polkavm, Latest64, per_block),
});

engine!(
    #[cfg(feature = "gp07")]
    v030,
    polkavm_gp07,
    |_| rules!(polkavm_gp07, JamV1, per_instruction)
);
