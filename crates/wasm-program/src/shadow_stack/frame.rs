//! How one function uses the shadow stack: its control flow.
//!
//! An abstract interpretation of the body over [`Known`] values. The state is the place in the stack pointer, and the
//! known values of the locals.
//!
//! Where paths meet, values that differ become unknown, with the traits of both. Locals that are not
//! [live](super::liveness) there are forgotten. A loop is entered with the state before it. The states at its back edges
//! are joined to the state at its head, and the body is analysed again until the heads stay the same. Back edges must not
//! move the stack pointer. Only the findings of the last pass count. The number of passes is limited.
//!
//! Early passes know too little of outer loops, and the states they join to the heads of inner loops stay. So a body that
//! looks suspicious is analysed again from the states that arrived in the last pass. That is sound, because these passes
//! also repeat until the heads stay the same.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{BlockType, Operator};

use super::flow::{Sink, Subject, World};
use super::liveness::{Liveness, depths};
use super::steps::is_inside;
use super::value::{ENTRY, Known, Place, Traits};

/// The offset in the input of an operator that does not fit, and the reason.
pub type Failure = (usize, &'static str);

/// Passes over a body.
const MAX_PASSES: usize = 64;
const TOO_COMPLICATED: &str = "the function's use of the stack is too complicated";
/// Times that a body that looks suspicious is analysed again from the states of the last pass.
const MAX_NARROWINGS: usize = 2;
/// Locals times branches of a body that is analysed.
const MAX_WORK: usize = 1 << 26;

/// The known values at a point of the function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    /// The place in the stack pointer.
    pub pointer: Option<Place>,
    /// By local.
    pub locals: Vec<Known>,
    /// The operands that a branch passes.
    pub operands: Vec<Known>,
    /// Places below the stack pointer that the function has stored to since its last call: origin, offset, bytes.
    pub fresh: BTreeSet<(u32, i32, u32)>,
    /// The lowest place that the stack pointer has had since the function's last call: no call has changed memory above.
    pub intact: Option<Place>,
}

/// An open control frame.
struct Frame {
    /// Frames are numbered as they are opened; 0 is the function.
    number: usize,
    /// For an `if` without `else` so far: the state there, with its parameters.
    otherwise: Option<State>,
    results: usize,
    height: usize,
    /// For a loop, which one.
    head: Option<usize>,
    /// The joined states of the branches to the end.
    at_end: Option<State>,
}

/// The effects of a function on others.
#[derive(Default)]
pub struct Effects {
    /// Functions it calls.
    pub callees: BTreeSet<u32>,
    /// Types of functions that it calls through tables.
    pub classes: BTreeSet<u32>,
    /// Functions whose reference it takes.
    pub references: BTreeSet<u32>,
    /// Globals it reads.
    pub reads: BTreeSet<u32>,
    /// Traits of the values it hands on.
    pub gives: BTreeMap<Sink, Traits>,
    /// Its parameters through which it accesses memory on every path.
    pub accessed: BTreeSet<u32>,
}

/// The findings about a function.
pub struct Outcome {
    /// Bytes below the stack pointer it is entered with.
    pub frame_size: u32,
    /// The reason why these can't be a frame of the machine's stack, though they can stay in memory.
    pub kept: Option<Failure>,
    /// The reason why the stack pointer has to be the one that its callers set.
    pub refused: Option<Failure>,
    /// A use of the stack that is not that of compilers.
    pub suspicious: Option<Failure>,
    /// Its effects on others.
    pub effects: Effects,
}

pub(super) struct Analysis<'a> {
    pub subject: &'a Subject<'a>,
    pub world: &'a World,
    pub function: u32,
    /// The current operator's place in the input.
    pub offset: usize,
    /// Depth of each origin below the entry stack pointer, at most.
    pub depths: Vec<i64>,
    /// Distance of each origin from the entry stack pointer, at most.
    pub bounds: Vec<i64>,
    /// Origins by the place they align, and its alignment.
    pub aligned: BTreeMap<(u32, i32, u32), u32>,
    /// Origins by the place that is lowered by an unknown size, and the operator.
    pub allocations: BTreeMap<(u32, i32, usize), u32>,
    /// Traits of the values in words of the frame, over all stores.
    pub slots: BTreeMap<(u32, i32), Traits>,
    /// Addresses of the frame that are used for something other than accesses.
    pub handed_out: BTreeSet<(u32, i32)>,
    /// Traits of the values that the last pass stored to words of the frame.
    pub stored: BTreeMap<(u32, i32), Traits>,
    /// States at the heads of loops.
    heads: Vec<Option<State>>,
    /// States that arrived at the heads of loops in the last pass.
    arrived: Vec<Option<State>>,
    loops_seen: usize,
    frames_seen: usize,
    /// The live locals at the targets of branches.
    liveness: Liveness,
    /// A pass has changed a state or a word of the frame.
    pub has_changed: bool,
    /// `None` where the code is unreachable.
    pub state: Option<State>,
    pub stack: Vec<Known>,
    frames: Vec<Frame>,
    skipped_frames: usize,
    /// Every path from the entry comes here.
    pub is_certain: bool,
    pub deepest: i64,
    /// The lowest place that is accessed while the stack pointer is above it.
    pub lowest_unprotected: i64,
    /// The highest place of the stack pointer at a call.
    pub highest_call: i64,
    /// A place below the stack pointer is used for something other than stores, and loads of what was stored there since
    /// the last call.
    pub is_stale: bool,
    kept: Option<Failure>,
    refused: Option<Failure>,
    suspicious: Option<Failure>,
    pub effects: Effects,
}

/// Analyses a function, given the facts about the others.
pub fn analyse(subject: &Subject<'_>, world: &World, function: u32) -> Outcome {
    let mut analysis = Analysis::new(subject, world, function);
    if let Err(failure) = analysis.passes() {
        analysis.refused.get_or_insert(failure);
    }
    let frame_size = u32::try_from(analysis.deepest).unwrap_or(0);
    let Analysis { kept, refused, suspicious, effects, .. } = analysis;
    Outcome { frame_size, kept, refused, suspicious, effects }
}

impl<'a> Analysis<'a> {
    fn new(subject: &'a Subject<'a>, world: &'a World, function: u32) -> Self {
        Self {
            subject,
            world,
            function,
            offset: 0,
            depths: vec![0],
            bounds: vec![0],
            aligned: BTreeMap::new(),
            allocations: BTreeMap::new(),
            slots: BTreeMap::new(),
            handed_out: BTreeSet::new(),
            stored: BTreeMap::new(),
            heads: Vec::new(),
            arrived: Vec::new(),
            loops_seen: 0,
            frames_seen: 0,
            liveness: Liveness::default(),
            has_changed: false,
            state: None,
            stack: Vec::new(),
            frames: Vec::new(),
            skipped_frames: 0,
            is_certain: true,
            deepest: 0,
            lowest_unprotected: i64::MAX,
            highest_call: i64::MIN,
            is_stale: false,
            kept: None,
            refused: None,
            suspicious: None,
            effects: Effects::default(),
        }
    }

    fn passes(&mut self) -> Result<(), Failure> {
        let malformed = |error: wasmparser::BinaryReaderError| (error.offset() as usize, "malformed");
        let body = self.subject.info.body(self.subject.wasm, self.function);
        let params = self.subject.info.type_of(self.function).params.len() as u32;
        let mut locals: Vec<Known> = (0..params).map(Known::Param).collect();
        for declared in body.get_locals_reader().map_err(malformed)? {
            let (count, _) = declared.map_err(malformed)?;
            locals.resize(locals.len() + count as usize, Known::Constant(0));
        }
        let mut operators = Vec::new();
        let mut reader = body.get_operators_reader().map_err(malformed)?;
        while !reader.eof() {
            let (op, offset) = reader.read_with_offset().map_err(malformed)?;
            if let Some(what) = unexpected(&op) {
                return Err((offset as usize, what));
            }
            operators.push((op, offset as usize));
        }
        let branches: usize = operators.iter().map(|(op, _)| branches(op)).sum();
        if branches.saturating_mul(locals.len()) > MAX_WORK {
            return Err((0, "the function is too large to be analysed"));
        }
        self.liveness = Liveness::new(&operators, locals.len(), MAX_PASSES).ok_or((0, TOO_COMPLICATED))?;
        for _ in 0..=MAX_NARROWINGS {
            self.converge(&operators, &locals)?;
            if self.suspicious.is_none() {
                break;
            }
            // Without the states of earlier passes, which knew less of outer loops.
            self.heads = std::mem::take(&mut self.arrived);
            self.slots = std::mem::take(&mut self.stored);
        }
        Ok(())
    }

    /// Analyses the body until nothing is added to the heads of loops and to the words of the frame.
    fn converge(&mut self, operators: &[(Operator<'_>, usize)], locals: &[Known]) -> Result<(), Failure> {
        for _ in 0..MAX_PASSES {
            self.pass(operators, locals);
            if !self.has_changed {
                return Ok(());
            }
        }
        Err((0, TOO_COMPLICATED))
    }

    fn pass(&mut self, operators: &[(Operator<'_>, usize)], locals: &[Known]) {
        self.has_changed = false;
        self.state = Some(State {
            pointer: Some(ENTRY),
            locals: locals.to_vec(),
            operands: Vec::new(),
            fresh: BTreeSet::new(),
            intact: Some(ENTRY),
        });
        self.stack.clear();
        self.frames.clear();
        self.loops_seen = 0;
        self.frames_seen = 0;
        self.skipped_frames = 0;
        self.is_certain = true;
        (self.lowest_unprotected, self.highest_call) = (i64::MAX, i64::MIN);
        self.is_stale = false;
        (self.kept, self.refused, self.suspicious) = (None, None, None);
        self.effects = Effects::default();
        self.stored.clear();
        self.arrived.clear();
        self.arrived.resize(self.heads.len(), None);
        let results = self.subject.info.type_of(self.function).results.len();
        self.push_frame(0, 0, results);
        for (op, offset) in operators {
            self.offset = *offset;
            self.operator(op);
        }
        if self.is_stale && self.lowest_unprotected < self.highest_call {
            self.suspect("memory below the stack pointer is used by a function with calls");
        }
    }

    /// Notes that the function's part of the stack can't be a frame of the machine's stack, but can stay in memory.
    pub fn keep(&mut self, what: &'static str) {
        self.kept.get_or_insert((self.offset, what));
    }

    /// Notes that the function depends on the stack pointer of its callers, or that they depend on its.
    pub fn refuse(&mut self, what: &'static str) {
        self.refused.get_or_insert((self.offset, what));
    }

    /// Notes that the function may address the stack in another way than by its frame.
    pub fn suspect(&mut self, what: &'static str) {
        self.suspicious.get_or_insert((self.offset, what));
    }

    fn push_frame(&mut self, number: usize, params: usize, results: usize) {
        let height = self.stack.len() - params;
        self.frames.push(Frame { number, otherwise: None, results, height, head: None, at_end: None });
    }

    fn operator(&mut self, op: &Operator<'_>) {
        let opens = matches!(op, Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. });
        self.frames_seen += usize::from(opens);
        if matches!(op, Operator::Loop { .. }) {
            self.loops_seen += 1;
            if self.heads.len() < self.loops_seen {
                self.heads.push(None);
                self.arrived.push(None);
            }
        }
        if self.state.is_none() {
            match op {
                _ if opens => self.skipped_frames += 1,
                Operator::End if self.skipped_frames > 0 => self.skipped_frames -= 1,
                Operator::End => self.close(),
                Operator::Else if self.skipped_frames == 0 => self.else_branch(),
                _ => {}
            }
            return;
        }
        self.reachable_operator(op);
    }

    fn reachable_operator(&mut self, op: &Operator<'_>) {
        match *op {
            Operator::Block { blockty } => {
                let (params, results) = self.arity(blockty);
                self.push_frame(self.frames_seen, params, results);
            }
            Operator::Loop { blockty } => self.open_loop(blockty),
            Operator::If { blockty } => self.open_if(blockty),
            Operator::Else => self.else_branch(),
            Operator::End => self.close(),
            Operator::Br { relative_depth } => self.leave(&[relative_depth]),
            Operator::BrIf { relative_depth } => {
                self.pop_number();
                self.branch(relative_depth);
            }
            Operator::BrTable { .. } => {
                self.pop_number();
                self.leave(&depths(op));
            }
            Operator::Return => self.leave(&[self.frames.len() as u32 - 1]),
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => {
                self.check_restored();
                self.tail_call(op);
                self.state = None;
            }
            Operator::Unreachable => self.state = None,

            _ => self.straight(op),
        }
        self.is_certain &= !is_branch(op);
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

    pub fn state(&mut self) -> &mut State {
        self.state.as_mut().expect("only called where the code is reachable")
    }

    /// The state with the uppermost operands, as it goes to where branches to a frame go.
    fn state_at(&self, frame: usize, operands: usize) -> State {
        let mut state = self.state_with(operands);
        for (number, local) in state.locals.iter_mut().enumerate() {
            if !self.liveness.is_live(frame, number) {
                *local = Known::Unknown(Traits::NONE);
            }
        }
        state
    }

    /// The state with the uppermost operands.
    fn state_with(&self, operands: usize) -> State {
        let state = self.state.as_ref().expect("only called where the code is reachable");
        let operands = self.stack[self.stack.len() - operands..].to_vec();
        State { operands, ..state.clone() }
    }

    /// Joins a state to a known one.
    fn join(&self, known: &mut State, state: &State) {
        if !matches!((known.pointer, state.pointer), (Some(a), Some(b)) if a.equals(b)) {
            known.pointer = None;
        }
        for (known, value) in known.locals.iter_mut().zip(&state.locals) {
            *known = self.either(*known, *value);
        }
        for (known, value) in known.operands.iter_mut().zip(&state.operands) {
            *known = self.either(*known, *value);
        }
        known.fresh.retain(|place| state.fresh.contains(place));
        known.intact = higher(known.intact, state.intact);
    }

    fn open_loop(&mut self, ty: BlockType) {
        let (params, results) = self.arity(ty);
        let index = self.loops_seen - 1;
        let mut state = self.state_at(self.frames_seen, params);
        self.arrived[index] = Some(state.clone());
        if let Some(mut known) = self.heads[index].take() {
            self.join(&mut known, &state);
            state = known;
        }
        self.heads[index] = Some(state.clone());
        self.stack.truncate(self.stack.len() - params);
        self.stack.append(&mut state.operands);
        self.state = Some(state);
        self.push_frame(self.frames_seen, params, results);
        self.frames.last_mut().expect("just pushed").head = Some(index);
    }

    fn open_if(&mut self, ty: BlockType) {
        self.pop_number();
        let (params, results) = self.arity(ty);
        let state = self.state_with(params);
        self.push_frame(self.frames_seen, params, results);
        self.frames.last_mut().expect("just pushed").otherwise = Some(state);
    }

    fn else_branch(&mut self) {
        if self.state.is_some() {
            self.branch_to_end(0);
        }
        let frame = self.frames.last_mut().expect("validated: `else` is in a frame");
        let state = frame.otherwise.take();
        self.stack.truncate(frame.height);
        self.enter(state);
    }

    /// Goes on with a state and its operands.
    fn enter(&mut self, state: Option<State>) {
        self.state = state;
        if let Some(state) = &mut self.state {
            self.stack.append(&mut state.operands);
        }
    }

    fn close(&mut self) {
        if self.frames.last().is_some_and(|frame| frame.otherwise.is_some()) {
            self.else_branch();
        }
        if self.state.is_some() {
            self.branch_to_end(0);
        }
        let frame = self.frames.pop().expect("validated: `end` is in a frame");
        self.stack.truncate(frame.height);
        self.enter(frame.at_end);
    }

    /// A branch that is always taken, to one of several frames.
    fn leave(&mut self, depths: &[u32]) {
        for &depth in depths {
            self.branch(depth);
        }
        self.state = None;
    }

    fn branch(&mut self, depth: u32) {
        let at = self.frames.len() - 1 - depth as usize;
        match self.frames[at].head {
            Some(index) => self.branch_to_head(self.frames[at].number, index),
            None => self.branch_to_end(depth),
        }
    }

    fn branch_to_head(&mut self, frame: usize, index: usize) {
        let Some(mut head) = self.heads[index].take() else { return };
        let state = self.state_at(frame, head.operands.len());
        if !matches!((head.pointer, state.pointer), (Some(a), Some(b)) if a.equals(b)) {
            self.keep("a loop moves the stack pointer");
        }
        let before = head.clone();
        self.join(&mut head, &state);
        self.has_changed |= head != before;
        self.heads[index] = Some(head);
        if let Some(mut arrived) = self.arrived[index].take() {
            self.join(&mut arrived, &state);
            self.arrived[index] = Some(arrived);
        }
    }

    fn branch_to_end(&mut self, depth: u32) {
        let at = self.frames.len() - 1 - depth as usize;
        let Frame { number, results, head, .. } = self.frames[at];
        let state = match head {
            // Only the last operator of a loop comes to its end.
            Some(_) => self.state_with(results),
            None => self.state_at(number, results),
        };
        if at == 0 {
            self.check_restored();
            self.returned(&state.operands);
        }
        let at_end = match self.frames[at].at_end.take() {
            Some(mut known) => {
                self.join(&mut known, &state);
                known
            }
            None => state,
        };
        self.frames[at].at_end = Some(at_end);
    }

    fn check_restored(&mut self) {
        if !self.state().pointer.is_some_and(|place| place.equals(ENTRY)) {
            self.refuse("the function returns without restoring the stack pointer");
        }
    }
}

/// The higher one of two places, if that is known.
fn higher(a: Option<Place>, b: Option<Place>) -> Option<Place> {
    let (a, b) = (a?, b?);
    if is_inside(a, b) { Some(a) } else { Some(b).filter(|&b| is_inside(b, a)) }
}

/// Why code with this operator isn't analysed.
pub(super) fn unexpected(op: &Operator<'_>) -> Option<&'static str> {
    match op {
        Operator::CallRef { .. }
        | Operator::ReturnCallRef { .. }
        | Operator::BrOnNull { .. }
        | Operator::BrOnNonNull { .. } => Some("typed function references are used"),
        Operator::Try { .. }
        | Operator::TryTable { .. }
        | Operator::Throw { .. }
        | Operator::ThrowRef
        | Operator::Rethrow { .. } => Some("exceptions are used"),
        _ => None,
    }
}

/// Whether control flow goes on elsewhere, or may come from elsewhere.
fn is_branch(op: &Operator<'_>) -> bool {
    matches!(
        op,
        Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::Return
    )
}

/// How many paths an operator adds.
fn branches(op: &Operator<'_>) -> usize {
    depths(op).len().max(usize::from(is_branch(op)))
}
