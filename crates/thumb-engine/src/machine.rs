//! A machine: a core with memory and a program.
//!
//! Instructions are decoded once, when they are first executed. Code can't be written, so what was decoded stays true. The
//! meaning of some encodings depends on the IT block around them; an entry has the condition that it was decoded under, and
//! is decoded again if the instruction is reached under another one.

use thumb_isa::decode::width;
use thumb_isa::{Cond, Inst, Reg, decode};

use crate::aapcs::Words;
use crate::aeabi;
use crate::attributes::Core;
use crate::cpu::Cpu;
use crate::execute::{Next, State, execute};
use crate::fault::{Ending, Fault};
use crate::image::Image;
use crate::memory::Memory;

/// The address that calls return to. No memory is there.
const RETURN: u32 = 0xffff_0000;
/// The stack: start and bytes. Nothing is below it.
const STACK: u32 = 0x3000_0000;
const STACK_BYTES: u32 = 0x10_0000;
/// Faults this far below the stack are overflows of it.
const BELOW_STACK: u32 = 0x10_0000;
/// Bytes above the stack for several results.
pub(crate) const STRUCTURE_BYTES: u32 = 1024;
/// Values of r4 to r11 and s16 to s31 before a call.
const PRESERVED: u32 = 0x5afe_0000;

/// An instruction of the program.
#[derive(Clone, Copy)]
struct Slot {
    inst: Inst,
    it: Option<Cond>,
    bytes: u32,
}

/// The answer to a call of an undefined function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The function has returned; its results are in the registers.
    Return,
    /// The call that is running ends.
    Stop,
}

/// The environment of a run.
pub trait Host {
    /// An instruction is about to be executed, at this address. Its condition may fail.
    #[inline]
    fn step(&mut self, _cpu: &Cpu) {}

    /// The program calls an undefined function, given by its index in [`Image::undefined`]. Arguments are in the registers
    /// and on the stack. Functions of the run-time ABI are answered without the host.
    fn call(&mut self, cpu: &mut Cpu, memory: &mut Memory, function: usize) -> Answer;
}

/// A host that ends the run when an undefined function is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn call(&mut self, _: &mut Cpu, _: &mut Memory, _: usize) -> Answer {
        Answer::Stop
    }
}

/// A call of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Its address.
    pub address: u32,
    /// Its arguments.
    pub words: Words,
    /// Initial value of r11, for memory that a register points to.
    pub base: Option<u32>,
    /// Whether float operations return canonical NaNs.
    pub canonical_nans: bool,
    /// The most instructions that it executes.
    pub budget: u64,
}

/// The result of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exit {
    /// How it ended.
    pub ending: Ending,
    /// The address of the last instruction.
    pub at: u32,
    /// r0 to r3 and s0 to s15 afterwards.
    pub words: Words,
    /// The number of executed instructions.
    pub instructions: u64,
}

/// A core with memory and a program.
#[derive(Clone)]
pub struct Machine {
    /// The registers.
    pub cpu: Cpu,
    /// The memory.
    pub memory: Memory,
    core: Core,
    image: Image,
    helpers: Vec<Option<aeabi::Helper>>,
    slots: Vec<Option<Slot>>,
}

impl Machine {
    /// A machine with a program in its initial state.
    pub fn new(image: Image) -> Self {
        let mut memory = Memory::default();
        memory.map(image.code.start, image.code.bytes.clone(), false);
        memory.map(STACK, vec![0; (STACK_BYTES + STRUCTURE_BYTES) as usize], true);
        memory.map(image.variables.start, image.variables.bytes.clone(), true);
        memory.map(image.constants.start, image.constants.bytes.clone(), false);
        let helpers = image.undefined().iter().map(|name| aeabi::helper(name)).collect();
        let slots = vec![None; image.code.bytes.len().div_ceil(2)];
        Self { cpu: Cpu::default(), memory, core: image.core, image, helpers, slots }
    }

    /// The program.
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// Restores the variables of the program to their initial contents.
    pub fn restore(&mut self) {
        let variables = &self.image.variables;
        self.memory.write(variables.start, &variables.bytes).expect("it is mapped");
    }

    /// The address of the memory for several results.
    pub const fn structure(&self) -> u32 {
        STACK + STACK_BYTES
    }

    /// Calls a function by the procedure call standard.
    pub fn call<H: Host>(&mut self, call: &Call, host: &mut H) -> Exit {
        let sp = (STACK + STACK_BYTES - 4 * call.words.stack.len() as u32) & !7;
        self.cpu = Cpu::default();
        (0..).zip(call.words.core).for_each(|(n, word)| self.cpu.set_r(n, word));
        (4..12).for_each(|n| self.cpu.set_r(n, PRESERVED + n as u32));
        if let Some(base) = call.base {
            self.cpu.set_r(11, base);
        }
        self.cpu.floats[..16].copy_from_slice(&call.words.floats);
        (16..32).for_each(|n| self.cpu.floats[n] = PRESERVED + n as u32);
        self.cpu.fpscr = if call.canonical_nans { 1 << 25 } else { 0 };
        self.cpu.set(Reg::SP, sp);
        self.cpu.set(Reg::LR, RETURN | 1);
        for (n, &word) in (0..).zip(&call.words.stack) {
            self.memory.set_word(sp + 4 * n, word).expect("it is mapped");
        }
        self.cpu.set_pc(call.address & !1);
        let mut left = call.budget;
        let ending = self.run(host, &mut left);
        let ending = if ending == Ending::Returned { self.changed(call, sp) } else { ending };
        let core = [0, 1, 2, 3].map(|n| self.cpu.r(n));
        let floats = self.cpu.floats[..16].try_into().expect("16 words");
        let words = Words { core, floats, stack: Vec::new() };
        Exit { ending, at: self.cpu.pc(), words, instructions: call.budget - left }
    }

    /// The first callee-saved register that a call has changed.
    fn changed(&self, call: &Call, sp: u32) -> Ending {
        let core = (4..12).find(|&n| {
            let expected = call.base.filter(|_| n == 11).unwrap_or(PRESERVED + n as u32);
            self.cpu.r(n) != expected
        });
        let float = (16..32).find(|&n| self.cpu.floats[n] != PRESERVED + n as u32).map(|n| n + 16);
        let stack = (self.cpu.get(Reg::SP) != sp).then_some(13);
        core.or(stack).or(float).map_or(Ending::Returned, |n| Ending::Corrupted(n as u32))
    }

    /// Runs until the program ends. `left` is the number of instructions that it may still execute.
    pub fn run<H: Host>(&mut self, host: &mut H, left: &mut u64) -> Ending {
        loop {
            match self.step(host, left) {
                Ok(()) => {}
                Err(Ending::Faulted(Fault::Unmapped { address } | Fault::ReadOnly { address }))
                    if (STACK - BELOW_STACK..STACK).contains(&address) =>
                {
                    return Ending::Exhausted;
                }
                Err(ending) => return ending,
            }
        }
    }

    #[inline]
    fn step<H: Host>(&mut self, host: &mut H, left: &mut u64) -> Result<(), Ending> {
        let at = self.cpu.pc();
        let it = self.cpu.it.cond();
        let slot = match self.slots.get((at.wrapping_sub(self.image.start()) / 2) as usize) {
            Some(Some(slot)) if slot.it == it => *slot,
            Some(_) => self.decoded(at, it)?,
            None => return self.outside(host, at),
        };
        *left = left.checked_sub(1).ok_or(Ending::OutOfBudget)?;
        host.step(&self.cpu);
        let mut next = at.wrapping_add(slot.bytes);
        let is_executed = it.is_none_or(|cond| self.cpu.status.holds(cond));
        if it.is_some() {
            self.cpu.it.advance();
        }
        if is_executed {
            let mut state = State {
                cpu: &mut self.cpu,
                memory: &mut self.memory,
                is_unaligned: self.core.is_unaligned,
                bytes: slot.bytes,
            };
            if let Next::Jump(target) = execute(&mut state, &slot.inst)? {
                next = target;
            }
        }
        self.cpu.set_pc(next);
        Ok(())
    }

    /// Decodes the instruction at an address of the code.
    fn decoded(&mut self, at: u32, it: Option<Cond>) -> Result<Slot, Fault> {
        let offset = (at - self.image.start()) as usize;
        let rest = &self.image.code.bytes[offset..];
        let decoded = decode(rest, it).ok_or(Fault::Undefined)?;
        if !self.core.features.contains(decoded.form.feature()) {
            return Err(Fault::Undefined);
        }
        let first = u16::from_le_bytes([rest[0], rest[1]]);
        let slot = Slot { inst: decoded.inst, it, bytes: width(first).bytes() };
        self.slots[offset / 2] = Some(slot);
        Ok(slot)
    }

    /// The program has jumped out of its code: it returns, or calls an undefined function.
    #[cold]
    fn outside<H: Host>(&mut self, host: &mut H, at: u32) -> Result<(), Ending> {
        if at == RETURN {
            return Err(Ending::Returned);
        }
        let Some(function) = self.image.stub(at) else {
            return Err(Fault::NoCode { address: at }.into());
        };
        match self.helpers[function] {
            Some(helper) => helper(&mut self.cpu),
            None if host.call(&mut self.cpu, &mut self.memory, function) == Answer::Stop => {
                return Err(Ending::Stopped);
            }
            None => {}
        }
        let target = self.cpu.get(Reg::LR);
        if target & 1 == 0 {
            return Err(Fault::NotThumb { address: target }.into());
        }
        self.cpu.set_pc(target & !1);
        Ok(())
    }
}
