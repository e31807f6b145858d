//! A small evaluator for integer wasm functions.
//!
//! It runs candidates for compiler helpers on test cases, so it has the operators of such functions: integers, control flow,
//! locals, globals, one memory full of noise, and direct calls of other functions of the module. Anything
//! else, a trap, or too many steps ends the evaluation without an answer.
//!
//! Bodies are decoded once. Memory is a map of pages made on first write, so that cases are cheap to reset.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use wasmparser::{BlockType, MemArg, Operator};

use super::proof::match_ends;
use crate::module_info::{ConstOp, MAIN_MEMORY, ModuleInfo, memory_of};

/// Operators per case.
const FUEL: u32 = 200_000;
/// Nested calls per case.
const MAX_DEPTH: usize = 16;
/// A body with more operators than this is no helper.
const MAX_OPERATORS: usize = 20_000;
/// A function with more locals than this is no helper.
const MAX_LOCALS: u32 = 1_000;
const PAGE: u32 = 4096;
/// Bytes of stack that a helper may use.
const SCRATCH: u64 = 1024;

/// The contents of memory before anything is written: noise, so that a write of any constant is noticed.
fn background(address: u32) -> u8 {
    (address.wrapping_mul(0x9e37_79b1) >> 24) as u8
}

/// A decoded body.
struct Body<'a> {
    params: usize,
    locals: usize,
    results: usize,
    code: Vec<Operator<'a>>,
    /// For `block`, `loop`, `if`: the number of the matching `end`; for `if` also that of its `else`.
    ends: Vec<(usize, Option<usize>)>,
}

/// An open control frame at run time.
struct Label {
    /// The continuation of a branch: after the `end`, or at the head of a loop.
    target: usize,
    is_loop: bool,
    arity: usize,
    height: usize,
}

/// Evaluates functions of a module.
pub struct Evaluator<'a> {
    info: &'a ModuleInfo,
    wasm: &'a [u8],
    bodies: BTreeMap<u32, Option<Rc<Body<'a>>>>,
    pages: BTreeMap<u32, Vec<u8>>,
    globals: Vec<u64>,
    fuel: u32,
}

impl<'a> Evaluator<'a> {
    /// An evaluator with fresh memory.
    pub fn new(info: &'a ModuleInfo, wasm: &'a [u8]) -> Self {
        let mut evaluator = Self {
            info,
            wasm,
            bodies: BTreeMap::new(),
            pages: BTreeMap::new(),
            globals: Vec::new(),
            fuel: 0,
        };
        evaluator.reset();
        evaluator
    }

    /// Forgets memory and gives globals their initial values (0 where those are not plain constants).
    pub fn reset(&mut self) {
        self.pages.clear();
        self.globals = self.initial_globals();
    }

    /// Writes memory.
    pub fn write(&mut self, address: u32, bytes: &[u8]) {
        for (at, &byte) in (address..).zip(bytes) {
            let page = self
                .pages
                .entry(at / PAGE)
                .or_insert_with(|| (0..PAGE).map(|i| background(at / PAGE * PAGE + i)).collect());
            page[(at % PAGE) as usize] = byte;
        }
    }

    /// Reads memory.
    pub fn read(&self, address: u32, length: u32) -> Vec<u8> {
        let byte = |at: u32| {
            self.pages.get(&(at / PAGE)).map_or_else(|| background(at), |page| page[(at % PAGE) as usize])
        };
        (0..length).map(|i| byte(address.wrapping_add(i))).collect()
    }

    /// Whether everything but `area` is as after [`reset`](Self::reset), except for a little scratch space below
    /// the initial values of globals: a stack.
    pub fn untouched_except(&self, area: Range<u32>) -> bool {
        let stacks: Vec<u64> = self.initial_globals();
        let is_scratch =
            |at: u32| stacks.iter().any(|&top| (top.saturating_sub(SCRATCH)..top).contains(&at.into()));
        let clean = |(&page, bytes): (&u32, &Vec<u8>)| {
            let addresses = page * PAGE..;
            addresses
                .zip(bytes)
                .all(|(at, &byte)| byte == background(at) || area.contains(&at) || is_scratch(at))
        };
        self.globals == stacks && self.pages.iter().all(clean)
    }

    fn initial_globals(&self) -> Vec<u64> {
        let value = |init: &[ConstOp]| match init {
            [ConstOp::I32Const(value)] => u64::from(*value as u32),
            [ConstOp::I64Const(value)] => *value as u64,
            _ => 0,
        };
        self.info.globals.iter().map(|global| value(&global.init)).collect()
    }

    /// Calls a function with one result or none. `None` if the evaluation has no answer.
    pub fn call(&mut self, function: u32, args: &[u64]) -> Option<Option<u64>> {
        self.fuel = FUEL;
        let results = self.run(function, args, 0)?;
        match results[..] {
            [] => Some(None),
            [value] => Some(Some(value)),
            _ => None,
        }
    }

    /// Whether the last call did not end because it took too long.
    pub fn has_fuel(&self) -> bool {
        self.fuel > 0
    }

    fn run(&mut self, function: u32, args: &[u64], depth: usize) -> Option<Vec<u64>> {
        let body = self.body(function)?;
        if depth > MAX_DEPTH {
            return None;
        }
        let mut locals = args.to_vec();
        locals.resize(body.params + body.locals, 0);
        let outermost = Label { target: body.code.len(), is_loop: false, arity: body.results, height: 0 };
        let mut activation = Activation { body, pc: 0, locals, stack: Vec::new(), labels: vec![outermost] };
        while activation.pc < activation.body.code.len() {
            self.fuel = self.fuel.checked_sub(1)?;
            let body = Rc::clone(&activation.body);
            let op = &body.code[activation.pc];
            activation.pc += 1;
            if !activation.control(op, self.info)? && !activation.arithmetic(op)? {
                self.effect(&mut activation, op, depth)?;
            }
        }
        let from = activation.stack.len().checked_sub(activation.body.results)?;
        Some(activation.stack.split_off(from))
    }

    fn body(&mut self, function: u32) -> Option<Rc<Body<'a>>> {
        if !self.bodies.contains_key(&function) {
            let body = decode(self.info, self.wasm, function).map(Rc::new);
            self.bodies.insert(function, body);
        }
        self.bodies[&function].clone()
    }

    /// Operators on the state that activations share.
    fn effect(&mut self, a: &mut Activation<'a>, op: &Operator<'_>, depth: usize) -> Option<()> {
        use Operator as Op;
        match *op {
            Op::Call { function_index } => {
                let params = self.info.type_of(function_index).params.len();
                let args = a.stack.split_off(a.stack.len().checked_sub(params)?);
                let results = self.run(function_index, &args, depth + 1)?;
                a.stack.extend(results);
            }
            Op::GlobalGet { global_index } => a.stack.push(self.globals[global_index as usize]),
            Op::GlobalSet { global_index } => self.globals[global_index as usize] = a.stack.pop()?,
            Op::MemoryCopy { dst_mem: MAIN_MEMORY, src_mem: MAIN_MEMORY } => {
                let (n, from, to) = (a.pop32()?, a.pop32()?, a.pop32()?);
                self.fuel = self.fuel.checked_sub(n)?;
                let bytes = self.read(from, n);
                self.write(to, &bytes);
            }
            Op::MemoryFill { mem: MAIN_MEMORY } => {
                let (n, value, to) = (a.pop32()?, a.pop32()?, a.pop32()?);
                self.fuel = self.fuel.checked_sub(n)?;
                self.write(to, &vec![value as u8; n as usize]);
            }
            _ => return self.access(a, op),
        }
        Some(())
    }

    fn access(&mut self, a: &mut Activation<'_>, op: &Operator<'_>) -> Option<()> {
        use Operator as Op;
        match *op {
            Op::I32Load { memarg } | Op::I64Load32U { memarg } => self.load(a, memarg, 4, |v| v),
            Op::I64Load { memarg } => self.load(a, memarg, 8, |v| v),
            Op::I32Load8U { memarg } | Op::I64Load8U { memarg } => self.load(a, memarg, 1, |v| v),
            Op::I32Load16U { memarg } | Op::I64Load16U { memarg } => self.load(a, memarg, 2, |v| v),
            Op::I32Load8S { memarg } => self.load(a, memarg, 1, |v| u64::from(v as i8 as i32 as u32)),
            Op::I32Load16S { memarg } => self.load(a, memarg, 2, |v| u64::from(v as i16 as i32 as u32)),
            Op::I64Load8S { memarg } => self.load(a, memarg, 1, |v| v as i8 as i64 as u64),
            Op::I64Load16S { memarg } => self.load(a, memarg, 2, |v| v as i16 as i64 as u64),
            Op::I64Load32S { memarg } => self.load(a, memarg, 4, |v| v as i32 as i64 as u64),
            Op::I32Store8 { memarg } | Op::I64Store8 { memarg } => self.store(a, memarg, 1),
            Op::I32Store16 { memarg } | Op::I64Store16 { memarg } => self.store(a, memarg, 2),
            Op::I32Store { memarg } | Op::I64Store32 { memarg } => self.store(a, memarg, 4),
            Op::I64Store { memarg } => self.store(a, memarg, 8),
            _ => None,
        }
    }

    fn load(
        &mut self,
        a: &mut Activation<'_>,
        memarg: MemArg,
        bytes: u32,
        extend: impl Fn(u64) -> u64,
    ) -> Option<()> {
        let address = address(a, memarg)?;
        let mut value = [0; 8];
        value[..bytes as usize].copy_from_slice(&self.read(address, bytes));
        a.stack.push(extend(u64::from_le_bytes(value)));
        Some(())
    }

    fn store(&mut self, a: &mut Activation<'_>, memarg: MemArg, bytes: usize) -> Option<()> {
        let value = a.stack.pop()?;
        let address = address(a, memarg)?;
        self.write(address, &value.to_le_bytes()[..bytes]);
        Some(())
    }
}

/// Pops the address of an access to the main memory and adds the offset.
fn address(a: &mut Activation<'_>, memarg: MemArg) -> Option<u32> {
    (memory_of(memarg) == MAIN_MEMORY).then_some(())?;
    a.pop32()?.checked_add(memarg.offset as u32)
}

fn decode<'a>(info: &ModuleInfo, wasm: &'a [u8], function: u32) -> Option<Body<'a>> {
    info.functions[function as usize].import.is_none().then_some(())?;
    let body = info.body(wasm, function);
    let mut locals = 0u32;
    for group in body.get_locals_reader().ok()? {
        locals = locals.checked_add(group.ok()?.0).filter(|&count| count <= MAX_LOCALS)?;
    }
    let mut code = Vec::new();
    for op in body.get_operators_reader().ok()? {
        code.push(op.ok()?);
        (code.len() <= MAX_OPERATORS).then_some(())?;
    }
    let ty = info.type_of(function);
    let ends = match_ends(&code);
    Some(Body { params: ty.params.len(), locals: locals as usize, results: ty.results.len(), code, ends })
}

/// A function that is being run. Values of both types are kept in 64 bits, an `i32` zero-extended.
struct Activation<'a> {
    body: Rc<Body<'a>>,
    pc: usize,
    locals: Vec<u64>,
    stack: Vec<u64>,
    labels: Vec<Label>,
}

impl Activation<'_> {
    fn pop32(&mut self) -> Option<u32> {
        Some(self.stack.pop()? as u32)
    }

    fn push_bool(&mut self, value: bool) {
        self.stack.push(value.into());
    }

    /// Control flow and locals; `Some(false)` if the operator is something else.
    fn control(&mut self, op: &Operator<'_>, info: &ModuleInfo) -> Option<bool> {
        use Operator as Op;
        let at = self.pc - 1;
        match *op {
            Op::Nop => {}
            Op::Block { blockty } => self.enter(at, blockty, false, info)?,
            Op::Loop { blockty } => self.enter(at, blockty, true, info)?,
            Op::If { blockty } => {
                let condition = self.pop32()?;
                let (end, otherwise) = self.body.ends[at];
                if condition != 0 || otherwise.is_some() {
                    self.enter(at, blockty, false, info)?;
                }
                if condition == 0 {
                    self.pc = otherwise.unwrap_or(end) + 1;
                }
            }
            Op::Else => {
                self.labels.pop()?;
                self.pc = self.body.ends[at].0 + 1;
            }
            Op::End => {
                self.labels.pop()?;
            }
            Op::Br { relative_depth } => self.branch(relative_depth)?,
            Op::BrIf { relative_depth } => {
                if self.pop32()? != 0 {
                    self.branch(relative_depth)?;
                }
            }
            Op::BrTable { ref targets } => {
                let index = self.pop32()?;
                let target = targets.targets().nth(index as usize);
                self.branch(target.map_or(Ok(targets.default()), |depth| depth).ok()?)?;
            }
            Op::Return => self.branch(self.labels.len() as u32 - 1)?,
            Op::Drop => {
                self.stack.pop()?;
            }
            Op::Select => {
                let condition = self.pop32()?;
                let (no, yes) = (self.stack.pop()?, self.stack.pop()?);
                self.stack.push(if condition != 0 { yes } else { no });
            }
            Op::LocalGet { local_index } => self.stack.push(self.locals[local_index as usize]),
            Op::LocalSet { local_index } => self.locals[local_index as usize] = self.stack.pop()?,
            Op::LocalTee { local_index } => self.locals[local_index as usize] = *self.stack.last()?,
            Op::I32Const { value } => self.stack.push(u64::from(value as u32)),
            Op::I64Const { value } => self.stack.push(value as u64),
            _ => return Some(false),
        }
        Some(true)
    }

    fn enter(&mut self, at: usize, ty: BlockType, is_loop: bool, info: &ModuleInfo) -> Option<()> {
        let (params, results) = match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => {
                let ty = &info.types[index as usize];
                (ty.params.len(), ty.results.len())
            }
        };
        let height = self.stack.len().checked_sub(params)?;
        let (target, arity) = if is_loop { (at + 1, params) } else { (self.body.ends[at].0 + 1, results) };
        self.labels.push(Label { target, is_loop, arity, height });
        Some(())
    }

    fn branch(&mut self, depth: u32) -> Option<()> {
        let at = self.labels.len().checked_sub(1 + depth as usize)?;
        let label = &self.labels[at];
        let from = self.stack.len().checked_sub(label.arity)?;
        let values = self.stack.split_off(from);
        self.stack.truncate(label.height);
        self.stack.extend(values);
        self.pc = label.target;
        let keep = if label.is_loop { at + 1 } else { at };
        self.labels.truncate(keep);
        Some(())
    }

    /// Arithmetic; `Some(false)` if the operator is something else, `None` if it traps.
    fn arithmetic(&mut self, op: &Operator<'_>) -> Option<bool> {
        use Operator as Op;
        match op {
            Op::I32Eqz | Op::I64Eqz => {
                let value = self.stack.pop()?;
                self.push_bool(value == 0);
            }
            Op::I32WrapI64 | Op::I64ExtendI32U => {
                let value = self.pop32()?;
                self.stack.push(value.into());
            }
            Op::I64ExtendI32S | Op::I64Extend32S => {
                let value = self.pop32()?;
                self.stack.push(value as i32 as i64 as u64);
            }
            Op::I32Clz | Op::I32Ctz | Op::I32Popcnt | Op::I32Extend8S | Op::I32Extend16S => {
                let value = self.pop32()?;
                self.stack.push(u64::from(unary32(op, value)));
            }
            Op::I64Clz | Op::I64Ctz | Op::I64Popcnt | Op::I64Extend8S | Op::I64Extend16S => {
                let value = self.stack.pop()?;
                self.stack.push(unary64(op, value));
            }
            _ => return self.binary(op),
        }
        Some(true)
    }

    fn binary(&mut self, op: &Operator<'_>) -> Option<bool> {
        let [.., a, b] = self.stack[..] else { return Some(false) };
        let (a32, b32) = (a as u32, b as u32);
        let result = if let Some(value) = compare(op, a, b) {
            value.into()
        } else if let Some(value) = binary32(op, a32, b32) {
            u64::from(value?)
        } else if let Some(value) = binary64(op, a, b) {
            value?
        } else {
            return Some(false);
        };
        self.stack.truncate(self.stack.len() - 2);
        self.stack.push(result);
        Some(true)
    }
}

fn unary32(op: &Operator<'_>, value: u32) -> u32 {
    match op {
        Operator::I32Clz => value.leading_zeros(),
        Operator::I32Ctz => value.trailing_zeros(),
        Operator::I32Popcnt => value.count_ones(),
        Operator::I32Extend8S => value as i8 as i32 as u32,
        _ => value as i16 as i32 as u32,
    }
}

fn unary64(op: &Operator<'_>, value: u64) -> u64 {
    match op {
        Operator::I64Clz => value.leading_zeros().into(),
        Operator::I64Ctz => value.trailing_zeros().into(),
        Operator::I64Popcnt => value.count_ones().into(),
        Operator::I64Extend8S => value as i8 as i64 as u64,
        _ => value as i16 as i64 as u64,
    }
}

fn compare(op: &Operator<'_>, a: u64, b: u64) -> Option<bool> {
    use Operator as Op;
    let (s32, t32) = (a as u32 as i32, b as u32 as i32);
    let (s64, t64) = (a as i64, b as i64);
    Some(match op {
        Op::I32Eq | Op::I64Eq => a == b,
        Op::I32Ne | Op::I64Ne => a != b,
        Op::I32LtU | Op::I64LtU => a < b,
        Op::I32GtU | Op::I64GtU => a > b,
        Op::I32LeU | Op::I64LeU => a <= b,
        Op::I32GeU | Op::I64GeU => a >= b,
        Op::I32LtS => s32 < t32,
        Op::I32GtS => s32 > t32,
        Op::I32LeS => s32 <= t32,
        Op::I32GeS => s32 >= t32,
        Op::I64LtS => s64 < t64,
        Op::I64GtS => s64 > t64,
        Op::I64LeS => s64 <= t64,
        Op::I64GeS => s64 >= t64,
        _ => return None,
    })
}

/// The outer `None`: another operator; the inner one: a trap.
fn binary32(op: &Operator<'_>, a: u32, b: u32) -> Option<Option<u32>> {
    use Operator as Op;
    Some(Some(match op {
        Op::I32Add => a.wrapping_add(b),
        Op::I32Sub => a.wrapping_sub(b),
        Op::I32Mul => a.wrapping_mul(b),
        Op::I32And => a & b,
        Op::I32Or => a | b,
        Op::I32Xor => a ^ b,
        Op::I32Shl => a.wrapping_shl(b),
        Op::I32ShrU => a.wrapping_shr(b),
        Op::I32ShrS => (a as i32).wrapping_shr(b) as u32,
        Op::I32Rotl => a.rotate_left(b % 32),
        Op::I32Rotr => a.rotate_right(b % 32),
        Op::I32DivU => return Some(a.checked_div(b)),
        Op::I32RemU => return Some(a.checked_rem(b)),
        Op::I32DivS => return Some((a as i32).checked_div(b as i32).map(|q| q as u32)),
        Op::I32RemS => return Some((b != 0).then(|| (a as i32).wrapping_rem(b as i32) as u32)),
        _ => return None,
    }))
}

fn binary64(op: &Operator<'_>, a: u64, b: u64) -> Option<Option<u64>> {
    use Operator as Op;
    Some(Some(match op {
        Op::I64Add => a.wrapping_add(b),
        Op::I64Sub => a.wrapping_sub(b),
        Op::I64Mul => a.wrapping_mul(b),
        Op::I64And => a & b,
        Op::I64Or => a | b,
        Op::I64Xor => a ^ b,
        Op::I64Shl => a.wrapping_shl(b as u32),
        Op::I64ShrU => a.wrapping_shr(b as u32),
        Op::I64ShrS => (a as i64).wrapping_shr(b as u32) as u64,
        Op::I64Rotl => a.rotate_left((b % 64) as u32),
        Op::I64Rotr => a.rotate_right((b % 64) as u32),
        Op::I64DivU => return Some(a.checked_div(b)),
        Op::I64RemU => return Some(a.checked_rem(b)),
        Op::I64DivS => return Some((a as i64).checked_div(b as i64).map(|q| q as u64)),
        Op::I64RemS => return Some((b != 0).then(|| (a as i64).wrapping_rem(b as i64) as u64)),
        _ => return None,
    }))
}
