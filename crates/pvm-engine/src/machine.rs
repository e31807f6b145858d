//! A PVM for running programs: an interface of registers, memory and gas over the `polkavm` engines.
//!
//! Memory and registers survive between runs, so several entries of one instance can be called. Host calls stop a run;
//! [`Machine::resume`] continues after them.
//!
//! Version 0.37 of `polkavm` implements GP 0.8, with its prices of basic blocks. It also executes programs for GP 0.7,
//! at a gas of 1 per instruction. It has no `sbrk`, so [`crate::growth`] replaces that instruction. Version 0.30
//! implements GP 0.7 completely, for tests.

use pvm_isa::metadata::ResultConvention;
use pvm_isa::polkavm::Export;
use pvm_isa::{Container, GpVersion, PolkaVmProgram, SpiProgram, spi};

use crate::exit::{Exit, MachineError};
use crate::growth::{self, Growths};
use crate::instance::{self, Instance, Mode, Stop};
use crate::trace::Trace;
use crate::visits::Visits;

/// The number of the host call `grow_heap` of GP 0.8.
pub const GROW_HEAP: u32 = 1;

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

/// An engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// `polkavm` 0.37. Programs for GP 0.7 are always interpreted: only the interpreter can charge per instruction.
    Polkavm037(Backend),
    /// The interpreter of `polkavm` 0.37, stopped before every instruction, for a [`Trace`].
    Stepping,
    /// The interpreter of `polkavm` 0.30, only for GP 0.7.
    #[cfg(feature = "gp07")]
    Polkavm030,
}

impl Engine {
    /// The engines that implement all of a version. The first one is an interpreter.
    #[cfg(feature = "gp07")]
    pub const fn for_version(gp: GpVersion) -> &'static [Self] {
        match gp {
            GpVersion::V072 => &[Self::Polkavm030],
            GpVersion::V08 | GpVersion::Next => {
                &[Self::Polkavm037(Backend::Interpreter), Self::Polkavm037(Backend::Compiler)]
            }
        }
    }
}

/// Numbers of the registers with a meaning to hosts.
pub mod reg {
    /// The return address.
    pub const RA: usize = 0;
    /// The stack pointer.
    pub const SP: usize = 1;
    /// First argument and result.
    pub const A0: usize = 7;
    /// Second argument and result.
    pub const A1: usize = 8;
    /// The number of registers.
    pub const COUNT: usize = 13;
}

/// An instance of a program.
pub struct Machine {
    instance: Box<dyn Instance>,
    gp: GpVersion,
    /// Exclusive end of the heap in pages.
    heap_end: u32,
    /// The same at the start.
    first_heap_end: u32,
    /// Bytes by which the heap has to grow before the start, to end at a page.
    padding: u32,
    heap_limit: u32,
    /// Instructions `sbrk` of a program for an engine without it.
    growths: Growths,
    /// The record of all instructions, with [`Engine::Stepping`].
    trace: Option<Box<Trace>>,
    /// Positions that ran, with [`Engine::Stepping`].
    visits: Option<Visits>,
}

impl Machine {
    /// Loads a program for a version of the Gray Paper.
    ///
    /// # Errors
    /// If the engine can't run here or refuses the program.
    pub fn new(program: &SpiProgram, gp: GpVersion, engine: Engine) -> Result<Self, MachineError> {
        let layout = program.layout().map_err(|error| MachineError::Refused(error.to_string()))?;
        let mut growths = Growths::default();
        let replaced;
        let mut program = program;
        if gp == GpVersion::V072 && matches!(engine, Engine::Polkavm037(_) | Engine::Stepping) {
            (replaced, growths) = growth::replace_sbrk(program);
            program = &replaced;
        }
        let instance = match engine {
            Engine::Polkavm037(backend) => {
                with_backend(backend, gp, |mode| instance::v037::load(program, gp, mode))
            }
            Engine::Stepping => instance::v037::load(program, gp, Mode::Step),
            #[cfg(feature = "gp07")]
            Engine::Polkavm030 => instance::v030::load(program, gp, Mode::Interpret),
        }?;
        let heap_end = layout.rw.end / spi::PAGE_SIZE;
        Ok(Self {
            instance,
            gp,
            heap_end,
            first_heap_end: heap_end,
            padding: 0,
            heap_limit: layout.heap_limit_page(),
            growths,
            trace: None,
            visits: None,
        })
    }

    /// Loads a program in PolkaVM's own container. The argument area is where a standard program has it.
    ///
    /// # Errors
    /// If the engine can't run here or refuses the program, or an export is not the start of a basic block: entered
    /// there, compiled code would never come back.
    pub fn of_polkavm(program: &PolkaVmProgram, gp: GpVersion, engine: Engine) -> Result<Self, MachineError> {
        check_exports(program, gp)?;
        let mut instance = match engine {
            Engine::Polkavm037(backend) => {
                with_backend(backend, gp, |mode| instance::v037::load_polkavm(program, gp, mode))
            }
            Engine::Stepping => instance::v037::load_polkavm(program, gp, Mode::Step),
            #[cfg(feature = "gp07")]
            Engine::Polkavm030 => instance::v030::load_polkavm(program, gp, Mode::Interpret),
        }?;
        let zones = |bytes: u32| u64::from(bytes).next_multiple_of(u64::from(spi::ZONE_SIZE));
        let rw_end = u64::from(spi::rw_start(0)) + zones(program.ro_size) + u64::from(program.rw_size);
        // The engine's heap begins at the last byte, ours at a page.
        let padding = (rw_end.next_multiple_of(u64::from(spi::PAGE_SIZE)) - rw_end) as u32;
        instance.sbrk(padding);
        let heap_end = rw_end.div_ceil(u64::from(spi::PAGE_SIZE)) as u32;
        let stack = zones(program.stack_size) + u64::from(spi::ZONE_SIZE);
        let heap_limit = u64::from(spi::STACK_END).saturating_sub(stack) as u32 / spi::PAGE_SIZE;
        Ok(Self {
            instance,
            gp,
            heap_end,
            first_heap_end: heap_end,
            padding,
            heap_limit,
            growths: Growths::default(),
            trace: None,
            visits: None,
        })
    }

    /// Loads a program file of any form.
    ///
    /// # Errors
    /// If the engine can't run here or refuses the program.
    pub fn of_container(container: &Container, gp: GpVersion, engine: Engine) -> Result<Self, MachineError> {
        match container {
            Container::Jam { program, .. } | Container::Spi(program) => Self::new(program, gp, engine),
            Container::Raw(blob) => {
                Self::new(&SpiProgram { blob: blob.clone(), ..SpiProgram::default() }, gp, engine)
            }
            Container::PolkaVm(program) | Container::CoreVm { program, .. } => {
                Self::of_polkavm(program, gp, engine)
            }
        }
    }

    /// Puts the argument bytes into their area and returns its address.
    ///
    /// # Errors
    /// If there are more than 16 MiB.
    pub fn set_args(&mut self, args: &[u8]) -> Result<u32, MachineError> {
        let fits = u32::try_from(args.len()).ok().filter(|&len| len <= spi::MAX_ARGS_LEN);
        let len = fits.ok_or(MachineError::ArgumentsTooLarge(args.len()))?;
        self.instance.set_args_len(len)?;
        if !self.write(spi::ARGS_START, args) {
            return Err(MachineError::Engine("the argument area is not writable".into()));
        }
        Ok(spi::ARGS_START)
    }

    /// Prepares a run from `pc`: registers as at the start of a program, `words` in r7 and up.
    pub fn enter(&mut self, pc: u32, words: &[u64]) {
        (0..reg::COUNT).for_each(|number| self.set_reg(number, 0));
        self.set_reg(reg::RA, u64::from(spi::HALT_ADDRESS));
        self.set_reg(reg::SP, u64::from(spi::STACK_END));
        self.instance.set_pc(pc);
        if let Some(trace) = &mut self.trace {
            trace.enter();
        }
        for (n, &word) in words.iter().enumerate() {
            self.set_reg(reg::A0 + n, word);
        }
    }

    /// Prepares a run from `pc` as in the argument invocation of the Gray Paper: r7 and r8 describe `args`.
    ///
    /// # Errors
    /// If there are more than 16 MiB of arguments.
    pub fn enter_with_args(&mut self, pc: u32, args: &[u8]) -> Result<(), MachineError> {
        let address = self.set_args(args)?;
        self.enter(pc, &[u64::from(address), args.len() as u64]);
        Ok(())
    }

    /// Runs until the program stops; after a host call, continues with the next instruction.
    ///
    /// # Errors
    /// If the engine itself fails.
    pub fn resume(&mut self) -> Result<Exit, MachineError> {
        loop {
            let exit = match self.instance.run()? {
                Stop::Exit(exit) => exit,
                Stop::Step => {
                    let pc = self.instance.pc().unwrap_or(0);
                    if let Some(trace) = &mut self.trace {
                        trace.step(pc, self.instance.gas(), &|number| self.instance.reg(number));
                    }
                    if let Some(visits) = &mut self.visits {
                        visits.visit(pc);
                    }
                    continue;
                }
            };
            let pc = self.instance.pc().filter(|_| matches!(exit, Exit::HostCall(_)));
            let Some(growth) = pc.and_then(|pc| self.growths.get(&pc).copied()) else { return Ok(exit) };
            let bytes = u32::try_from(self.reg(growth.bytes)).ok();
            let end = bytes.and_then(|bytes| self.instance.sbrk(bytes));
            if let Some(end) = end {
                self.heap_end = self.heap_end.max(end.div_ceil(spi::PAGE_SIZE));
            }
            self.set_reg(growth.result, u64::from(end.unwrap_or(0)));
        }
    }

    /// The same, but `grow_heap` of GP 0.8 is answered without a price: it is the only way to grow memory.
    ///
    /// # Errors
    /// If the engine itself fails.
    pub fn run(&mut self) -> Result<Exit, MachineError> {
        loop {
            match self.resume()? {
                Exit::HostCall(GROW_HEAP) if self.gp.has_block_prices() => {
                    self.grow_heap(self.reg(reg::A0));
                    self.set_reg(reg::A0, u64::from(self.heap_end));
                }
                exit => return Ok(exit),
            }
        }
    }

    /// The program as it was when it was loaded, without a record of instructions.
    ///
    /// # Errors
    /// If the engine can't make an instance.
    pub fn again(&self) -> Result<Self, MachineError> {
        let mut instance = self.instance.again()?;
        if self.padding > 0 {
            instance.sbrk(self.padding);
        }
        let (heap_end, growths) = (self.first_heap_end, self.growths.clone());
        Ok(Self { instance, heap_end, growths, trace: None, visits: None, ..*self })
    }

    /// Records all instructions from now on. The engine must be [`Engine::Stepping`].
    pub fn set_trace(&mut self, trace: Trace) {
        self.trace = Some(Box::new(trace));
    }

    /// The record of all instructions.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_deref()
    }

    /// Records the positions that run from now on. The engine must be [`Engine::Stepping`].
    pub(crate) fn set_visits(&mut self, visits: Visits) {
        self.visits = Some(visits);
    }

    /// Removes the positions that ran from the record, in ascending order.
    pub(crate) fn take_visited(&mut self) -> Vec<u32> {
        self.visits.as_mut().map(Visits::take).unwrap_or_default()
    }

    /// Ends the record of a run, which has this much gas left.
    pub(crate) fn end_trace(&mut self, gas: i64) {
        if let Some(trace) = &mut self.trace {
            trace.end(gas);
        }
    }

    /// A register, r0 to r12.
    pub fn reg(&self, number: usize) -> u64 {
        self.instance.reg(number)
    }

    /// Sets a register.
    pub fn set_reg(&mut self, number: usize, value: u64) {
        self.instance.set_reg(number, value);
    }

    /// The remaining gas.
    pub fn gas(&self) -> i64 {
        self.instance.gas()
    }

    /// Sets the gas.
    pub fn set_gas(&mut self, gas: i64) {
        self.instance.set_gas(gas);
    }

    /// The engine's price of the block that starts at `pc`; `None` if no block starts there.
    pub fn gas_of_block(&self, pc: u32) -> Option<i64> {
        self.instance.gas_of_block(pc)
    }

    /// Reads memory; `None` if some of it is not readable.
    pub fn read(&mut self, address: u32, len: u32) -> Option<Vec<u8>> {
        if len == 0 {
            return Some(Vec::new());
        }
        self.instance.read(address, len)
    }

    /// Writes memory. Returns `false`, and writes nothing, if some of it is not writable.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> bool {
        bytes.is_empty() || self.instance.write(address, bytes)
    }

    /// Whether memory can be written.
    pub fn is_writable(&self, address: u32, len: u32) -> bool {
        self.instance.is_writable(address, len)
    }

    /// The result bytes of a halted run, described by r7 and r8; empty if they are not readable.
    pub fn result(&mut self, convention: ResultConvention) -> Vec<u8> {
        let (start, second) = (self.reg(reg::A0), self.reg(reg::A1));
        let len = match convention {
            ResultConvention::Length => Some(second),
            ResultConvention::End => second.checked_sub(start),
        };
        let range = u32::try_from(start).ok().zip(len.and_then(|len| u32::try_from(len).ok()));
        range.and_then(|(start, len)| self.read(start, len)).unwrap_or_default()
    }

    /// Exclusive end of the heap in pages.
    pub fn heap_end(&self) -> u32 {
        self.heap_end
    }

    /// Grows the heap to end before page `wanted`. Returns whether that was possible and necessary.
    pub fn grow_heap(&mut self, wanted: u64) -> bool {
        let possible = u64::from(self.heap_end) < wanted && wanted <= u64::from(self.heap_limit);
        if possible && self.instance.sbrk((wanted as u32 - self.heap_end) * spi::PAGE_SIZE).is_some() {
            self.heap_end = wanted as u32;
            return true;
        }
        false
    }
}

/// Loads with a backend.
fn with_backend<T>(
    backend: Backend,
    gp: GpVersion,
    load: impl Fn(Mode) -> Result<T, MachineError>,
) -> Result<T, MachineError> {
    match backend {
        Backend::Auto if gp.has_block_prices() => match load(Mode::Compile) {
            Err(MachineError::Engine(_)) => load(Mode::Interpret),
            result => result,
        },
        Backend::Compiler if gp.has_block_prices() => load(Mode::Compile),
        _ => load(Mode::Interpret),
    }
}

/// Refuses exports at which no basic block starts.
fn check_exports(program: &PolkaVmProgram, gp: GpVersion) -> Result<(), MachineError> {
    let starts = pvm_isa::validate::block_starts(gp, &program.blob);
    let is_inside = |export: &&Export| starts.binary_search(&export.pc).is_err();
    program.exports.iter().find(is_inside).map_or(Ok(()), |Export { symbol, pc }| {
        Err(MachineError::Refused(format!(
            "no basic block starts at {pc}, the position of the export `{symbol}`"
        )))
    })
}
