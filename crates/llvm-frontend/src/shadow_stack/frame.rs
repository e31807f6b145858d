//! How one function uses the shadow stack.
//!
//! An abstract interpretation of the body. A value is either unknown or a [`Place`]: a constant distance from
//! an origin, where origin 0 is the stack pointer the function was entered with and every alignment
//! (`place & -n`) makes a new origin, the same one for the same operands. The state is the place the stack pointer
//! holds and the places that locals hold; only places are stored, so states stay small.
//!
//! Where paths meet, what differs becomes unknown. A loop is entered with the assumption that each back edge
//! restores the stack pointer, which is checked at those edges. Locals that are assigned in the loop are unknown
//! at its head, so one pass over the body suffices. If that knows too little (a local may be assigned on a path
//! that leaves the loop), the body is analysed again with the assumption that back edges keep all locals; each
//! local for which an edge refutes it is given up for that loop, and the next pass goes without. The
//! number of passes is limited.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{BlockType, ContType, FrameKind, MemArg, ModuleArity, Operator, RefType, SubType};

use crate::libcalls::Libcall;
use crate::module_info::{FuncType, ModuleInfo};

/// Where in the input something does not fit, and what.
pub type Failure = (usize, &'static str);

/// Frames above this size are not moved to the machine stack.
const MAX_FRAME: i64 = 1 << 28;
/// More results than this of one block are not tracked.
const MAX_TRACKED_RESULTS: usize = 4;

/// Passes with optimistic assumptions about loops.
const MAX_PASSES: usize = 16;
/// More locals than this are not tracked at a time.
const MAX_TRACKED_LOCALS: usize = 64;

/// An address relative to an origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    origin: usize,
    offset: i64,
}

const ENTRY: Place = Place { origin: 0, offset: 0 };

/// What is known of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Nothing,
    Constant(i32),
    Place(Place),
}

impl Known {
    fn join(self, other: Self) -> Self {
        if self == other { self } else { Self::Nothing }
    }
}

/// What is known at a point of the function.
#[derive(Clone, PartialEq, Eq, Debug)]
struct State {
    /// What the stack pointer holds.
    pointer: Option<Place>,
    /// Locals that hold places.
    locals: BTreeMap<u32, Place>,
}

impl State {
    fn join(&mut self, other: &Self) {
        if self.pointer != other.pointer {
            self.pointer = None;
        }
        self.locals.retain(|local, place| other.locals.get(local) == Some(place));
    }
}

/// A loop and the state at its head.
struct LoopHead {
    index: usize,
    state: State,
}

/// An open control frame.
struct Frame {
    /// For an `if` without `else` so far: the state and the parameters there.
    otherwise: Option<(State, Vec<Known>)>,
    results: usize,
    height: usize,
    /// What a loop assumes of its back edges.
    at_head: Option<LoopHead>,
    /// What branches to the end bring.
    at_end: Option<(State, Vec<Known>)>,
}

/// What is common to all functions of a module.
pub struct Subject<'a> {
    /// The module.
    pub info: &'a ModuleInfo,
    /// Its compiler helpers.
    pub libcalls: &'a [Option<Libcall>],
    /// The stack pointer.
    pub global: u32,
    /// Addresses below this may not be accessed by constants.
    pub low_memory: u32,
}

struct Analysis<'a> {
    subject: &'a Subject<'a>,
    /// Depth of each origin below the entry stack pointer, at most.
    depths: Vec<i64>,
    /// Origins by what they align.
    aligned: BTreeMap<(Place, u32), usize>,
    loops: &'a Loops,
    loops_seen: usize,
    /// With optimistic assumptions: locals that some back edge of a loop does not keep.
    refuted: Option<BTreeSet<(usize, u32)>>,
    /// `None` where the code is unreachable.
    state: Option<State>,
    stack: Vec<Known>,
    frames: Vec<Frame>,
    skipped_frames: usize,
    deepest: i64,
}

/// The bytes of stack that `function` uses below the stack pointer it is entered with; 0 if it does not touch the
/// stack pointer.
///
/// # Errors
/// Where and why the function does not fit.
pub fn analyse(subject: &Subject<'_>, wasm: &[u8], function: u32) -> Result<u32, Failure> {
    let global = subject.global;
    let body = subject.info.body(wasm, function);
    let malformed = |error: wasmparser::BinaryReaderError| (error.offset() as usize, "malformed");
    let mut operators = Vec::new();
    let mut touched = false;
    let mut reader = body.get_operators_reader().map_err(malformed)?;
    while !reader.eof() {
        let (op, offset) = reader.read_with_offset().map_err(malformed)?;
        touched |= matches!(op, Operator::GlobalGet { global_index } | Operator::GlobalSet { global_index } if global_index == global);
        operators.push((op, offset as usize));
    }
    if !touched && subject.low_memory == 0 {
        return Ok(0);
    }
    let loops = Loops::new(&operators);
    let mut analysis = Analysis::new(subject, &loops, None);
    let mut result = analysis.run(function, &operators);
    let mut refuted = BTreeSet::new();
    for _ in 0..MAX_PASSES {
        if result.is_ok() {
            break;
        }
        let known = refuted.len();
        analysis = Analysis::new(subject, &loops, Some(refuted));
        result = analysis.run(function, &operators);
        refuted = analysis.refuted.take().unwrap_or_default();
        if refuted.len() == known {
            break;
        }
        result = result.and(Err((0, "the stack pointer is kept in a local that changes in a loop")));
    }
    u32::try_from(result?).map_err(|_| (0, "the stack frame is too large"))
}

/// Where the loops of a body end, and where locals are assigned, by operator number.
struct Loops {
    /// For each loop in order of appearance, its last operator.
    ends: Vec<usize>,
    /// For each local its assignments.
    assignments: BTreeMap<u32, Vec<usize>>,
}

impl Loops {
    fn new(operators: &[(Operator<'_>, usize)]) -> Self {
        let mut loops = Self { ends: Vec::new(), assignments: BTreeMap::new() };
        let mut open = Vec::new();
        for (number, (op, _)) in operators.iter().enumerate() {
            match *op {
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                    loops.assignments.entry(local_index).or_default().push(number);
                }
                Operator::Loop { .. } => {
                    open.push(Some(loops.ends.len()));
                    loops.ends.push(0);
                }
                Operator::Block { .. } | Operator::If { .. } => open.push(None),
                Operator::End => {
                    if let Some(Some(index)) = open.pop() {
                        loops.ends[index] = number;
                    }
                }
                _ => {}
            }
        }
        loops
    }

    /// Whether the loop that starts at operator `start` assigns `local`.
    fn assigns(&self, index: usize, start: usize, local: u32) -> bool {
        let positions = self.assignments.get(&local).map_or(&[][..], |list| list);
        let next = positions.partition_point(|&position| position < start);
        positions.get(next).is_some_and(|&position| position < self.ends[index])
    }
}

impl<'a> Analysis<'a> {
    fn new(subject: &'a Subject<'a>, loops: &'a Loops, refuted: Option<BTreeSet<(usize, u32)>>) -> Self {
        Self {
            subject,
            depths: vec![0],
            aligned: BTreeMap::new(),
            loops,
            loops_seen: 0,
            refuted,
            state: Some(State { pointer: Some(ENTRY), locals: BTreeMap::new() }),
            stack: Vec::new(),
            frames: Vec::new(),
            skipped_frames: 0,
            deepest: 0,
        }
    }

    /// The depth of the frame.
    fn run(&mut self, function: u32, operators: &[(Operator<'_>, usize)]) -> Result<i64, Failure> {
        self.open_function(function);
        for (number, (op, offset)) in operators.iter().enumerate() {
            self.operator(number, op).map_err(|what| (*offset, what))?;
        }
        Ok(self.deepest)
    }

    fn open_function(&mut self, function: u32) {
        let results = self.subject.info.type_of(function).results.len();
        self.push_frame(0, results);
    }

    fn push_frame(&mut self, params: usize, results: usize) {
        let height = self.stack.len() - params;
        self.frames.push(Frame { otherwise: None, results, height, at_head: None, at_end: None });
    }

    fn operator(&mut self, number: usize, op: &Operator<'_>) -> Result<(), &'static str> {
        let opens = matches!(op, Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. });
        if matches!(op, Operator::Loop { .. }) {
            self.loops_seen += 1;
        }
        if self.state.is_none() {
            match op {
                _ if opens => self.skipped_frames += 1,
                Operator::End if self.skipped_frames > 0 => self.skipped_frames -= 1,
                Operator::End => return self.close(),
                Operator::Else if self.skipped_frames == 0 => return self.else_branch(),
                _ => {}
            }
            return Ok(());
        }
        self.reachable_operator(number, op)
    }

    fn reachable_operator(&mut self, number: usize, op: &Operator<'_>) -> Result<(), &'static str> {
        match *op {
            Operator::Block { blockty } => {
                let (params, results) = self.arity(blockty);
                self.push_frame(params, results);
            }
            Operator::Loop { blockty } => self.open_loop(number, blockty),
            Operator::If { blockty } => self.open_if(blockty),
            Operator::Else => return self.else_branch(),
            Operator::End => return self.close(),
            Operator::Br { relative_depth } => return self.leave(&[relative_depth]),
            Operator::BrIf { relative_depth } => {
                self.pop();
                return self.branch(relative_depth);
            }
            Operator::BrTable { ref targets } => {
                self.pop();
                let mut depths: Vec<u32> =
                    targets.targets().collect::<Result<_, _>>().map_err(|_| "malformed")?;
                depths.push(targets.default());
                depths.sort_unstable();
                depths.dedup();
                return self.leave(&depths);
            }
            Operator::Return => return self.leave(&[self.frames.len() as u32 - 1]),
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => {
                self.check_restored()?;
                self.state = None;
            }
            Operator::Unreachable => self.state = None,
            _ => return self.straight(op),
        }
        Ok(())
    }

    /// An operator without control flow.
    fn straight(&mut self, op: &Operator<'_>) -> Result<(), &'static str> {
        match *op {
            Operator::GlobalGet { global_index } if global_index == self.subject.global => {
                let place = self.state().pointer;
                self.stack.push(place.map_or(Known::Nothing, Known::Place));
            }
            Operator::GlobalSet { global_index } if global_index == self.subject.global => {
                let Known::Place(place) = self.pop() else {
                    return Err(
                        "the stack pointer is set to something that is not derived from it by constants",
                    );
                };
                self.state().pointer = Some(place);
            }
            Operator::I32Const { value } => self.stack.push(Known::Constant(value)),
            Operator::LocalGet { local_index } => {
                let place = self.state().locals.get(&local_index).copied();
                self.stack.push(place.map_or(Known::Nothing, Known::Place));
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.assign(local_index, value);
            }
            Operator::LocalTee { local_index } => {
                let value = self.pop();
                self.assign(local_index, value);
                self.stack.push(value);
            }
            Operator::I32Add => self.binary(|this, a, b| match (a, b) {
                (Known::Place(place), Known::Constant(n)) | (Known::Constant(n), Known::Place(place)) => {
                    this.shifted(place, n.into())
                }
                _ => Ok(Known::Nothing),
            })?,
            Operator::I32Sub => self.binary(|this, a, b| match (a, b) {
                (Known::Place(place), Known::Constant(n)) => this.shifted(place, -i64::from(n)),
                _ => Ok(Known::Nothing),
            })?,
            Operator::I32And => self.binary(|this, a, b| match (a, b) {
                (Known::Place(place), Known::Constant(n)) | (Known::Constant(n), Known::Place(place)) => {
                    Ok(this.align(place, n))
                }
                _ => Ok(Known::Nothing),
            })?,
            Operator::Select | Operator::TypedSelect { .. } => {
                self.pop();
                let (b, a) = (self.pop(), self.pop());
                self.stack.push(a.join(b));
            }
            _ => return self.other(op),
        }
        Ok(())
    }

    /// Any other operator: pops and pushes as many values as its type says, and checks addresses.
    fn other(&mut self, op: &Operator<'_>) -> Result<(), &'static str> {
        let (pops, pushes) = self.operator_arity(op).ok_or("malformed")?;
        let from = self.stack.len().checked_sub(pops).ok_or("malformed")?;
        if let Some((offset, bytes)) = memory_access(op) {
            self.check_access(self.stack[from], offset, bytes)?;
        }
        let first = self.stack.get(from).copied();
        self.stack.truncate(from);
        self.stack.resize(from + pushes, Known::Nothing);
        if let (Some(first), true) = (first, self.returns_first_argument(op)) {
            self.stack[from] = first;
        }
        Ok(())
    }

    /// Checks an access of `bytes` bytes at `address + offset`.
    fn check_access(&mut self, address: Known, offset: u32, bytes: u32) -> Result<(), &'static str> {
        match address {
            Known::Place(place) => {
                // The offset is added modulo 2^32: a large one goes down.
                let place = Place { origin: place.origin, offset: place.offset + i64::from(offset as i32) };
                self.reach(place)?;
                if place.origin == 0 && place.offset + i64::from(bytes) > 0 {
                    return Err("memory above the entry stack pointer is accessed");
                }
            }
            Known::Constant(address) if (address as u32).wrapping_add(offset) < self.subject.low_memory => {
                return Err("the stack region is accessed by a constant address");
            }
            Known::Constant(_) | Known::Nothing => {}
        }
        Ok(())
    }

    /// Whether this calls a helper whose result is its first argument; compilers then use the result instead.
    fn returns_first_argument(&self, op: &Operator<'_>) -> bool {
        let Operator::Call { function_index } = *op else { return false };
        self.subject.libcalls[function_index as usize].is_some_and(Libcall::returns_first_argument)
    }

    /// How many values an operator without control flow takes and gives.
    fn operator_arity(&self, op: &Operator<'_>) -> Option<(usize, usize)> {
        let of = |ty: &FuncType, extra: usize| (ty.params.len() + extra, ty.results.len());
        Some(match *op {
            Operator::Call { function_index } => of(self.subject.info.type_of(function_index), 0),
            Operator::CallIndirect { type_index, .. } => of(&self.subject.info.types[type_index as usize], 1),
            _ => {
                let (pops, pushes) = op.operator_arity(&FixedArity)?;
                (pops as usize, pushes as usize)
            }
        })
    }

    fn state(&mut self) -> &mut State {
        self.state.as_mut().expect("only called where the code is reachable")
    }

    fn pop(&mut self) -> Known {
        self.stack.pop().expect("validated: the operand stack is not empty")
    }

    fn binary(
        &mut self,
        f: impl FnOnce(&mut Self, Known, Known) -> Result<Known, &'static str>,
    ) -> Result<(), &'static str> {
        let (b, a) = (self.pop(), self.pop());
        let value = f(self, a, b)?;
        self.stack.push(value);
        Ok(())
    }

    fn assign(&mut self, local: u32, value: Known) {
        match value {
            Known::Place(place) if self.state().locals.len() < MAX_TRACKED_LOCALS => {
                self.state().locals.insert(local, place)
            }
            _ => self.state().locals.remove(&local),
        };
    }

    fn shifted(&mut self, place: Place, by: i64) -> Result<Known, &'static str> {
        let place = Place { origin: place.origin, offset: place.offset + by };
        self.reach(place)?;
        Ok(Known::Place(place))
    }

    /// Makes the frame deep enough for `place`.
    fn reach(&mut self, place: Place) -> Result<(), &'static str> {
        if place.origin == 0 && place.offset > 0 {
            return Err("an address above the entry stack pointer is computed");
        }
        let depth = self.depths[place.origin] - place.offset;
        if depth > MAX_FRAME {
            return Err("the stack frame is too large");
        }
        self.deepest = self.deepest.max(depth);
        Ok(())
    }

    /// `place & mask`, a new origin if the mask aligns.
    fn align(&mut self, place: Place, mask: i32) -> Known {
        let align = (mask as u32).wrapping_neg();
        if !align.is_power_of_two() {
            return Known::Nothing;
        }
        let next = self.depths.len();
        let origin = *self.aligned.entry((place, align)).or_insert(next);
        if origin == next {
            self.depths.push(self.depths[place.origin] - place.offset + i64::from(align - 1));
            self.deepest = self.deepest.max(self.depths[origin]);
        }
        Known::Place(Place { origin, offset: 0 })
    }

    fn arity(&self, ty: BlockType) -> (usize, usize) {
        match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => {
                let ty = &self.subject.info.types[index as usize];
                (ty.params.len(), ty.results.len())
            }
        }
    }

    fn open_loop(&mut self, number: usize, ty: BlockType) {
        let (params, results) = self.arity(ty);
        let (loops, index) = (self.loops, self.loops_seen - 1);
        let state = self.state.as_mut().expect("only called where the code is reachable");
        state.locals.retain(|&local, _| match &self.refuted {
            Some(refuted) => !refuted.contains(&(index, local)),
            None => !loops.assigns(index, number, local),
        });
        let at_head = LoopHead { index, state: state.clone() };
        let height = self.stack.len() - params;
        self.stack[height..].fill(Known::Nothing);
        self.push_frame(params, results);
        self.frames.last_mut().expect("just pushed").at_head = Some(at_head);
    }

    fn open_if(&mut self, ty: BlockType) {
        self.pop();
        let (params, results) = self.arity(ty);
        let values = self.stack[self.stack.len() - params..].to_vec();
        let state = self.state().clone();
        self.push_frame(params, results);
        self.frames.last_mut().expect("just pushed").otherwise = Some((state, values));
    }

    fn else_branch(&mut self) -> Result<(), &'static str> {
        if self.state.is_some() {
            self.branch_to_end(0);
        }
        let frame = self.frames.last_mut().expect("validated: `else` is in a frame");
        let (state, values) = frame.otherwise.take().ok_or("malformed")?;
        self.stack.truncate(frame.height);
        self.stack.extend(values);
        self.state = Some(state);
        Ok(())
    }

    fn close(&mut self) -> Result<(), &'static str> {
        if self.frames.last().is_some_and(|frame| frame.otherwise.is_some()) {
            self.else_branch()?;
        }
        if self.state.is_some() {
            self.branch_to_end(0);
        }
        let frame = self.frames.pop().ok_or("malformed")?;
        self.stack.truncate(frame.height);
        self.state = frame.at_end.map(|(state, values)| {
            self.stack.extend(values);
            state
        });
        if self.frames.is_empty() && self.state.is_some() {
            self.check_restored()?;
        }
        Ok(())
    }

    /// A branch that is always taken, to one of several frames.
    fn leave(&mut self, depths: &[u32]) -> Result<(), &'static str> {
        for &depth in depths {
            self.branch(depth)?;
        }
        self.state = None;
        Ok(())
    }

    fn branch(&mut self, depth: u32) -> Result<(), &'static str> {
        let at = self.frames.len() - 1 - depth as usize;
        let Some(head) = &self.frames[at].at_head else {
            self.branch_to_end(depth);
            return Ok(());
        };
        let state = self.state.as_ref().expect("only called where the code is reachable");
        if head.state.pointer != state.pointer {
            return Err("a loop moves the stack pointer");
        }
        if let Some(refuted) = &mut self.refuted {
            let changed =
                head.state.locals.iter().filter(|(local, place)| state.locals.get(local) != Some(place));
            refuted.extend(changed.map(|(&local, _)| (head.index, local)));
        }
        Ok(())
    }

    fn branch_to_end(&mut self, depth: u32) {
        let at = self.frames.len() - 1 - depth as usize;
        let results = self.frames[at].results;
        let values = if results <= MAX_TRACKED_RESULTS {
            self.stack[self.stack.len() - results..].to_vec()
        } else {
            vec![Known::Nothing; results]
        };
        let state = self.state.as_ref().expect("only called where the code is reachable");
        match &mut self.frames[at].at_end {
            Some((known, known_values)) => {
                known.join(state);
                for (known, value) in known_values.iter_mut().zip(values) {
                    *known = known.join(value);
                }
            }
            none => *none = Some((state.clone(), values)),
        }
    }

    fn check_restored(&mut self) -> Result<(), &'static str> {
        if self.state().pointer == Some(ENTRY) {
            Ok(())
        } else {
            Err("the function returns without restoring the stack pointer")
        }
    }
}

/// What [`Operator::operator_arity`] must know of a module for operators whose arity is fixed: nothing.
struct FixedArity;

impl ModuleArity for FixedArity {
    fn sub_type_at(&self, _: u32) -> Option<&SubType> {
        None
    }
    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }
    fn type_index_of_function(&self, _: u32) -> Option<u32> {
        None
    }
    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&wasmparser::FuncType> {
        None
    }
    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }
    fn control_stack_height(&self) -> u32 {
        0
    }
    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}

/// Offset and width in bytes of a load or store.
pub fn memory_access(op: &Operator<'_>) -> Option<(u32, u32)> {
    use Operator as Op;
    let access = |memarg: MemArg, bytes| Some((memarg.offset as u32, bytes));
    match *op {
        Op::I32Load8S { memarg }
        | Op::I32Load8U { memarg }
        | Op::I64Load8S { memarg }
        | Op::I64Load8U { memarg }
        | Op::I32Store8 { memarg }
        | Op::I64Store8 { memarg } => access(memarg, 1),
        Op::I32Load16S { memarg }
        | Op::I32Load16U { memarg }
        | Op::I64Load16S { memarg }
        | Op::I64Load16U { memarg }
        | Op::I32Store16 { memarg }
        | Op::I64Store16 { memarg } => access(memarg, 2),
        Op::I32Load { memarg }
        | Op::F32Load { memarg }
        | Op::I64Load32S { memarg }
        | Op::I64Load32U { memarg }
        | Op::I32Store { memarg }
        | Op::F32Store { memarg }
        | Op::I64Store32 { memarg } => access(memarg, 4),
        Op::I64Load { memarg }
        | Op::F64Load { memarg }
        | Op::I64Store { memarg }
        | Op::F64Store { memarg } => access(memarg, 8),
        _ => None,
    }
}
