//! An interpreter, used in tests as the oracle for the behaviour of a module.
//!
//! It models a target. A [`Layout`] places every data object in a 32-bit machine address space. Function references
//! are made of code addresses, and frame slots are below `native_stack` in linear memory. The choices of a target are
//! options, so results can be compared address by address.
//!
//! Values are `u64`: `i32` and floats as their zero-extended bits. Calls use an explicit stack of frames, so deep
//! recursion ends in [`Stop::StackOverflow`] and never overflows the host's stack. Every instruction costs one unit of
//! fuel, which guarantees termination.
//!
//! Operations with unspecified results (for some operands) return an arbitrary result, that of the PVM where it is
//! cheap to compute. With [`Options::reject_unspecified`] they stop with [`Stop::Unspecified`] instead.

mod memory;
mod ops;

use std::collections::BTreeMap;

pub use memory::{Layout, Memory};
pub use ops::evaluate;

use crate::{
    Addr, Block, BlockCall, EntityId, FuncId, Function, IdVec, Inst, InstData, LinearMemory, MemType, Module,
    SigId, TrapCode, Type, Value,
};

/// Why a run ended without results.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The program trapped.
    Trap(TrapCode),
    /// The fuel was used up.
    OutOfFuel,
    /// Too many frames, or no room for a frame's slots.
    StackOverflow,
    /// The program did something invalid, or an operation with an unspecified result.
    Unspecified(String),
}

/// Layout and limits of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses of data objects and functions.
    pub layout: Layout,
    /// Maximum number of instructions, over all calls.
    pub fuel: u64,
    /// Maximum number of frames.
    pub max_depth: usize,
    /// Whether unspecified results stop the run.
    pub reject_unspecified: bool,
}

impl Options {
    /// A packed layout and room for small programs.
    pub fn new(module: &Module) -> Self {
        Self { layout: Layout::packed(module), fuel: 1_000_000, max_depth: 1_000, reject_unspecified: false }
    }
}

/// Implements imports and intrinsics: takes the memory, the callee and its arguments, returns the results.
pub type Host<'h> = dyn FnMut(&mut Memory, FuncId, &[u64]) -> Result<Vec<u64>, Stop> + 'h;

/// A module in execution.
pub struct Interpreter<'m> {
    module: &'m Module,
    options: Options,
    /// Functions by code address.
    code: BTreeMap<u32, FuncId>,
    /// The address space.
    pub memory: Memory,
    stack_pointer: u32,
}

impl<'m> Interpreter<'m> {
    /// A fresh instance of a verified module. The start function has not run.
    pub fn new(module: &'m Module, options: Options) -> Self {
        let memory = Memory::new(module, &options.layout);
        let stack_pointer = module.memories().find_map(|(_, memory)| top_of_frames(memory)).unwrap_or(0);
        let code = options.layout.code.iter().map(|(func, &address)| (address, func)).collect();
        Self { module, options, code, memory, stack_pointer }
    }

    /// The bytes of the first linear memory; none if the module has no memory.
    pub fn linear_memory(&self) -> &[u8] {
        let start = self.module.memories().next().map(|(id, _)| self.options.layout.data[id]);
        start.and_then(|start| self.memory.region(start)).unwrap_or(&[])
    }

    /// Instructions that may still run.
    pub fn fuel(&self) -> u64 {
        self.options.fuel
    }

    /// Calls a function with one value per parameter; returns its results.
    pub fn call(&mut self, func: FuncId, args: &[u64], host: &mut Host<'_>) -> Result<Vec<u64>, Stop> {
        let Some(body) = self.module.functions[func].as_ref() else {
            return host(&mut self.memory, func, args);
        };
        let stack_pointer = self.stack_pointer;
        let first = Frame::new(body, args, &mut self.stack_pointer)?;
        let mut run = Run { machine: self, host, frames: vec![first] };
        let outcome = run.finish();
        self.stack_pointer = stack_pointer;
        outcome
    }
}

/// The end of the frames in linear memory: where the shadow stack began, or in the middle of it if it is in use, too.
fn top_of_frames(memory: &LinearMemory) -> Option<u32> {
    let top = memory.native_stack?;
    Some(if memory.keeps_stack { top / 32 * 16 } else { top })
}

/// A call in progress.
struct Frame<'m> {
    func: &'m Function,
    block: Block,
    /// Position of the next instruction in the block.
    next: usize,
    values: IdVec<Value, u64>,
    /// Wasm address of each frame slot.
    slots: Vec<u32>,
    /// Stack pointer of the caller.
    caller_stack_pointer: u32,
    /// The call instruction that is waiting for results.
    pending: Option<Inst>,
}

impl<'m> Frame<'m> {
    fn new(func: &'m Function, args: &[u64], stack_pointer: &mut u32) -> Result<Self, Stop> {
        let caller_stack_pointer = *stack_pointer;
        let mut slots = Vec::with_capacity(func.frame_slots.len());
        for slot in func.frame_slots.values() {
            let end = stack_pointer.checked_sub(slot.size).ok_or(Stop::StackOverflow)?;
            *stack_pointer = end & !(slot.align.max(1) - 1);
            slots.push(*stack_pointer);
        }
        *stack_pointer &= !15;
        let mut values = IdVec::filled(0, func.values.len());
        for (&param, &arg) in func.blocks[func.entry()].params.iter().zip(args) {
            values[param] = arg;
        }
        let block = func.entry();
        Ok(Self { func, block, next: 0, values, slots, caller_stack_pointer, pending: None })
    }

    fn all(&self, values: &[Value]) -> Vec<u64> {
        values.iter().map(|&value| self.values[value]).collect()
    }

    fn enter(&mut self, to: &BlockCall) {
        let args = self.all(&to.args);
        for (&param, arg) in self.func.blocks[to.block].params.iter().zip(args) {
            self.values[param] = arg;
        }
        (self.block, self.next) = (to.block, 0);
    }

    fn define(&mut self, inst: Inst, results: &[u64]) {
        for (&value, &result) in self.func.results[inst].iter().zip(results) {
            self.values[value] = result;
        }
    }
}

/// One call from outside, to its end.
struct Run<'r, 'm, 'h> {
    machine: &'r mut Interpreter<'m>,
    host: &'r mut Host<'h>,
    frames: Vec<Frame<'m>>,
}

impl<'m> Run<'_, 'm, '_> {
    fn finish(&mut self) -> Result<Vec<u64>, Stop> {
        loop {
            if let Some(results) = self.step()? {
                return Ok(results);
            }
        }
    }

    fn frame(&mut self) -> &mut Frame<'m> {
        self.frames.last_mut().expect("a run has a frame until it ends")
    }

    /// Runs one instruction; returns the results of the outermost call when it returns.
    fn step(&mut self) -> Result<Option<Vec<u64>>, Stop> {
        let fuel = &mut self.machine.options.fuel;
        *fuel = fuel.checked_sub(1).ok_or(Stop::OutOfFuel)?;
        let frame = self.frame();
        let inst = frame.func.blocks[frame.block].insts[frame.next];
        let data = &frame.func.insts[inst];
        frame.next += 1;
        match data {
            InstData::Store { mem, addr, value, .. } => {
                let value = frame.values[*value];
                let address = self.address(addr);
                self.machine.memory.write(address, mem.bytes(), value).ok_or(OUT_OF_BOUNDS)?;
            }
            InstData::Call { func, args } => {
                let args = frame.all(args);
                frame.pending = Some(inst);
                return self.invoke(*func, &args);
            }
            InstData::CallIndirect { sig, callee, args } => {
                let (callee, args) = (frame.values[*callee], frame.all(args));
                frame.pending = Some(inst);
                let func = self.callee(*sig, callee)?;
                return self.invoke(func, &args);
            }
            data if data.is_terminator() => return self.terminate(data),
            data => {
                let result = self.evaluate(data)?;
                self.frame().define(inst, &[result]);
            }
        }
        Ok(None)
    }

    fn terminate(&mut self, data: &InstData) -> Result<Option<Vec<u64>>, Stop> {
        let frame = self.frame();
        match data {
            InstData::Jump { to } => frame.enter(to),
            InstData::Branch { cond, if_true, if_false } => {
                let taken = condition(frame.values[*cond])?;
                frame.enter(if taken { if_true } else { if_false });
            }
            InstData::Switch { ty, value, cases, default } => {
                let value = signed(*ty, frame.values[*value]);
                let case = cases.binary_search_by_key(&value, |(case, _)| *case);
                frame.enter(case.map_or(default, |n| &cases[n].1));
            }
            InstData::Return { args } => {
                let results = frame.all(args);
                return Ok(self.leave(results));
            }
            InstData::TailCall { func, args } => {
                let args = frame.all(args);
                return self.replace(*func, &args);
            }
            InstData::TailCallIndirect { sig, callee, args } => {
                let (callee, args) = (frame.values[*callee], frame.all(args));
                let func = self.callee(*sig, callee)?;
                return self.replace(func, &args);
            }
            InstData::Trap { code } => return Err(Stop::Trap(*code)),
            _ => unreachable!("only terminators get here"),
        }
        Ok(None)
    }

    /// Calls `func`; the frame on top waits for its results.
    fn invoke(&mut self, func: FuncId, args: &[u64]) -> Result<Option<Vec<u64>>, Stop> {
        let Some(body) = self.machine.module.functions[func].as_ref() else {
            let results = (self.host)(&mut self.machine.memory, func, args)?;
            self.resume(&results);
            return Ok(None);
        };
        if self.frames.len() >= self.machine.options.max_depth {
            return Err(Stop::StackOverflow);
        }
        self.frames.push(Frame::new(body, args, &mut self.machine.stack_pointer)?);
        Ok(None)
    }

    /// Calls `func` in place of the frame on top.
    fn replace(&mut self, func: FuncId, args: &[u64]) -> Result<Option<Vec<u64>>, Stop> {
        self.machine.stack_pointer = self.frame().caller_stack_pointer;
        match self.machine.module.functions[func].as_ref() {
            Some(body) => {
                *self.frame() = Frame::new(body, args, &mut self.machine.stack_pointer)?;
                Ok(None)
            }
            None => {
                let results = (self.host)(&mut self.machine.memory, func, args)?;
                Ok(self.leave(results))
            }
        }
    }

    /// Returns from the frame on top.
    fn leave(&mut self, results: Vec<u64>) -> Option<Vec<u64>> {
        let done = self.frames.pop().expect("a run has a frame until it ends");
        self.machine.stack_pointer = done.caller_stack_pointer;
        if self.frames.is_empty() {
            return Some(results);
        }
        self.resume(&results);
        None
    }

    fn resume(&mut self, results: &[u64]) {
        let frame = self.frame();
        let inst = frame.pending.take().expect("the caller is waiting");
        frame.define(inst, results);
    }

    /// The function with this signature at a code address.
    fn callee(&self, sig: SigId, address: u64) -> Result<FuncId, Stop> {
        let module = self.machine.module;
        let func = self.machine.code.get(&(address as u32)).copied();
        func.filter(|&func| *module.signature_of(func) == module.signatures[sig])
            .ok_or_else(|| Stop::Unspecified(format!("an indirect call of {address:#x} as {sig}")))
    }

    fn address(&mut self, addr: &Addr) -> u32 {
        let base = addr.base.map_or(0, |base| self.machine.options.layout.data[base]);
        let frame = self.frame();
        let index = addr.index.map_or(0, |index| frame.values[index] as u32);
        base.wrapping_add(index).wrapping_add_signed(addr.offset)
    }

    /// The result of an instruction that has exactly one and doesn't call.
    fn evaluate(&mut self, data: &InstData) -> Result<u64, Stop> {
        if let InstData::Load { mem, ty, addr, .. } = data {
            let address = self.address(addr);
            let bits = self.machine.memory.read(address, mem.bytes()).ok_or(OUT_OF_BOUNDS)?;
            return Ok(extend(*mem, *ty, bits));
        }
        let layout = &self.machine.options.layout;
        let frame = self.frames.last().expect("a run has a frame until it ends");
        let get = |value: Value| frame.values[value];
        let result = match data {
            InstData::Const { ty, bits } => Ok(truncate(*ty, *bits as u64)),
            InstData::DataAddr { data, offset } => {
                Ok(u64::from(layout.data[*data].wrapping_add_signed(*offset)))
            }
            InstData::FrameAddr { slot } => Ok(u64::from(frame.slots[slot.index()])),
            InstData::FuncRef { func } => Ok(layout.reference(self.machine.module, *func)),
            InstData::Unary { op, ty, arg } => ops::unary(*op, *ty, frame.func.values[*arg].ty, get(*arg)),
            InstData::Binary { op, ty, args } => ops::binary(*op, *ty, args.map(get)),
            InstData::Icmp { cond, ty, args } => Ok(ops::icmp(*cond, *ty, args.map(get)).into()),
            InstData::Fcmp { cond, ty, args } => Ok(ops::fcmp(*cond, *ty, args.map(get)).into()),
            InstData::Select { cond, if_true, if_false, .. } => {
                Ok(get(if condition(get(*cond))? { *if_true } else { *if_false }))
            }
            _ => unreachable!("loads, stores, calls and terminators are handled elsewhere"),
        };
        result.or_else(|ops::Unspecified(result)| {
            if self.machine.options.reject_unspecified {
                Err(Stop::Unspecified(format!("{data:?} in {}", frame.func.name)))
            } else {
                Ok(result)
            }
        })
    }
}

const OUT_OF_BOUNDS: Stop = Stop::Trap(TrapCode::MemoryOutOfBounds);

fn condition(value: u64) -> Result<bool, Stop> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Stop::Unspecified(format!("a condition is {value}"))),
    }
}

/// The bits of a value of type `ty`.
fn truncate(ty: Type, bits: u64) -> u64 {
    if ty.bits() == 32 { u64::from(bits as u32) } else { bits }
}

/// A value of integer type `ty` as a number.
fn signed(ty: Type, bits: u64) -> i64 {
    if ty == Type::I32 { i64::from(bits as i32) } else { bits as i64 }
}

fn extend(mem: MemType, ty: Type, bits: u64) -> u64 {
    let value = match mem {
        MemType::S8 => i64::from(bits as i8) as u64,
        MemType::S16 => i64::from(bits as i16) as u64,
        MemType::S32 => i64::from(bits as i32) as u64,
        _ => bits,
    };
    truncate(ty, value)
}
