//! The paths through a function with at most one loop on each, executed on symbols.
//!
//! Values are linear in the three parameters and in the number of the iteration, modulo 2^32; or bytes loaded from
//! such addresses; or unknown. At a loop, locals that the loop changes by a constant per iteration are replaced
//! by that line, others become unknown, and the body is executed once for iteration k. A path ends in a
//! `return` or goes back to the loop, and then its locals must be those of iteration k + 1.
//!
//! Everything else, and a function with many paths, is given up.

use wasmparser::{BlockType, MemArg, Operator};

use crate::module_info::{MAIN_MEMORY, memory_of};

/// More paths than this are not followed.
const MAX_PATHS: usize = 24;
/// Operators executed over all paths.
const MAX_STEPS: usize = 4000;

/// `c[0] * p0 + c[1] * p1 + c[2] * p2 + c[3] * k + c[4]` modulo 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line(pub [u32; 5]);

/// Coefficient of the iteration.
pub const K: usize = 3;
const CONSTANT: usize = 4;

impl Line {
    /// A number.
    pub fn number(value: u32) -> Self {
        let mut line = Self([0; 5]);
        line.0[CONSTANT] = value;
        line
    }

    /// A parameter, or the iteration.
    pub fn symbol(index: usize) -> Self {
        let mut line = Self([0; 5]);
        line.0[index] = 1;
        line
    }

    /// The sum of this and `factor` times the other.
    pub fn plus(self, other: Self, factor: u32) -> Self {
        Self(std::array::from_fn(|i| self.0[i].wrapping_add(other.0[i].wrapping_mul(factor))))
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Self {
        self.plus(other, u32::MAX)
    }

    fn as_number(self) -> Option<u32> {
        (self == Self::number(self.0[CONSTANT])).then_some(self.0[CONSTANT])
    }
}

/// Whether an access is to the main memory, without an offset.
fn is_plain(memarg: MemArg) -> bool {
    memarg.offset == 0 && memory_of(memarg) == MAIN_MEMORY
}

/// A relation of two lines, or of the bytes there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less, unsigned.
    LtU,
    /// Not less, unsigned.
    GeU,
    /// Equal bytes.
    BytesEq,
    /// Bytes that are not equal.
    BytesNe,
}

/// A condition that holds on a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fact {
    /// How the sides are related.
    pub relation: Relation,
    /// The left side, or its address.
    pub a: Line,
    /// The right side, or its address.
    pub b: Line,
}

impl Fact {
    /// The opposite.
    pub fn negated(self) -> Self {
        let relation = match self.relation {
            Relation::Eq => Relation::Ne,
            Relation::Ne => Relation::Eq,
            Relation::LtU => Relation::GeU,
            Relation::GeU => Relation::LtU,
            Relation::BytesEq => Relation::BytesNe,
            Relation::BytesNe => Relation::BytesEq,
        };
        Self { relation, ..self }
    }
}

/// A value, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// A line.
    Line(Line),
    /// The byte at an address.
    Byte(Line),
    /// The byte at the first address minus the one at the second.
    Difference(Line, Line),
    /// 1 if the fact holds, else 0.
    Test(Fact),
    /// Nothing.
    Unknown,
}

/// An access of one byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A load from an address.
    Load(Line),
    /// A store to an address.
    Store(Line, Value),
}

/// Conditions and accesses, in order.
#[derive(Clone, Default, Debug)]
pub struct Stretch {
    /// Conditions.
    pub facts: Vec<Fact>,
    /// Accesses.
    pub events: Vec<Event>,
}

/// How a path ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// It returns a value.
    Return(Value),
    /// It goes back to the loop.
    Again(Vec<Value>),
}

/// A path.
#[derive(Clone, Debug)]
pub struct Path {
    /// The loop it comes to. Paths of one loop have the same stretch before it.
    pub in_loop: Option<usize>,
    /// Before the loop.
    pub before: Stretch,
    /// In iteration k of the loop; empty without a loop.
    pub inside: Stretch,
    /// After the loop.
    pub after: Stretch,
    /// Its end.
    pub end: End,
}

#[derive(Clone)]
struct Label {
    target: usize,
    is_loop: bool,
    arity: usize,
    height: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    /// Inside of the loop whose label has this depth.
    Inside(usize),
    After,
}

#[derive(Clone)]
struct State {
    pc: usize,
    locals: Vec<Value>,
    stack: Vec<Value>,
    labels: Vec<Label>,
    place: Place,
    in_loop: Option<usize>,
    /// The next operator is the first of the loop, again.
    goes_back: bool,
    before: Stretch,
    inside: Stretch,
    after: Stretch,
}

/// The code of a function.
pub struct Code<'a> {
    /// Operators.
    pub ops: Vec<Operator<'a>>,
    /// For `block`, `loop`, `if`, `else`: where the matching `end` is, and for `if` its `else`.
    pub ends: Vec<(usize, Option<usize>)>,
    /// Locals with the three parameters.
    pub locals: usize,
}

/// All paths of a function with three parameters and a result.
pub fn paths(code: &Code<'_>) -> Option<Vec<Path>> {
    let mut locals: Vec<Value> = (0..3).map(|param| Value::Line(Line::symbol(param))).collect();
    locals.resize(code.locals, Value::Line(Line::number(0)));
    let outermost = Label { target: code.ops.len(), is_loop: false, arity: 1, height: 0 };
    let state = State {
        pc: 0,
        locals,
        stack: Vec::new(),
        labels: vec![outermost],
        place: Place::Before,
        in_loop: None,
        goes_back: false,
        before: Stretch::default(),
        inside: Stretch::default(),
        after: Stretch::default(),
    };
    let mut walk = Walk { code, steps: 0, loops: 0 };
    walk.from(state)
}

struct Walk<'c, 'a> {
    code: &'c Code<'a>,
    steps: usize,
    loops: usize,
}

/// The continuation after an operator.
enum Next {
    Go,
    /// Two ways: this state, and the other.
    Fork(Box<State>),
    Loop,
    Done(End),
}

impl Walk<'_, '_> {
    /// The paths from a state on.
    fn from(&mut self, state: State) -> Option<Vec<Path>> {
        let mut paths = Vec::new();
        let mut open = vec![state];
        while let Some(mut state) = open.pop() {
            loop {
                self.steps += 1;
                (self.steps <= MAX_STEPS && paths.len() + open.len() <= MAX_PATHS).then_some(())?;
                match state.step(self.code)? {
                    Next::Go => {}
                    Next::Fork(other) => open.push(*other),
                    Next::Loop => {
                        paths.extend(self.summarised(state)?);
                        break;
                    }
                    Next::Done(end) => {
                        paths.push(state.into_path(end));
                        break;
                    }
                }
            }
        }
        Some(paths)
    }

    /// The paths through a loop, from its first operator on.
    fn summarised(&mut self, mut state: State) -> Option<Vec<Path>> {
        (state.place == Place::Before).then_some(())?;
        self.loops += 1;
        state.in_loop = Some(self.loops);
        state.place = Place::Inside(state.labels.len());
        let once = self.from(state.clone())?;
        let again = |path: &Path| match &path.end {
            End::Again(locals) => Some(locals.clone()),
            End::Return(_) => None,
        };
        let second = once.iter().find_map(again)?;
        let mut step = vec![None; state.locals.len()];
        for ((local, second), step) in state.locals.iter_mut().zip(second).zip(&mut step) {
            let (Value::Line(first), Value::Line(second)) = (*local, second) else {
                *local = Value::Unknown;
                continue;
            };
            *step = second.minus(first).as_number();
            *local = step.map_or(Value::Unknown, |step| Value::Line(first.plus(Line::symbol(K), step)));
        }
        let at_k = state.locals.clone();
        let paths = self.from(state)?;
        // The locals of the next iteration are on their lines.
        for locals in paths.iter().filter_map(again) {
            for ((now, next), step) in at_k.iter().zip(locals).zip(&step) {
                let (Value::Line(now), Some(step)) = (now, step) else { continue };
                (next == Value::Line(now.plus(Line::number(*step), 1))).then_some(())?;
            }
        }
        Some(paths)
    }
}

impl State {
    fn stretch(&mut self) -> &mut Stretch {
        match self.place {
            Place::Before => &mut self.before,
            Place::Inside(_) => &mut self.inside,
            Place::After => &mut self.after,
        }
    }

    fn into_path(self, end: End) -> Path {
        Path { in_loop: self.in_loop, before: self.before, inside: self.inside, after: self.after, end }
    }

    fn step(&mut self, code: &Code<'_>) -> Option<Next> {
        use Operator as Op;
        if self.goes_back {
            return Some(Next::Done(End::Again(std::mem::take(&mut self.locals))));
        }
        let at = self.pc;
        let Some(op) = code.ops.get(at) else { return Some(Next::Done(End::Return(self.stack.pop()?))) };
        self.pc += 1;
        match *op {
            Op::Nop => {}
            Op::Block { blockty } => self.enter(code.ends[at].0 + 1, blockty, false)?,
            Op::Loop { blockty } => {
                self.enter(at + 1, blockty, true)?;
                return Some(Next::Loop);
            }
            Op::If { blockty } => return self.open_if(code, at, blockty),
            Op::Else => {
                self.leave_label()?;
                self.pc = code.ends[at].0 + 1;
            }
            Op::End => self.leave_label()?,
            Op::Br { relative_depth } => self.branch(relative_depth)?,
            Op::BrIf { relative_depth } => return self.branch_if(relative_depth),
            Op::Return => self.branch(self.labels.len() as u32 - 1)?,
            Op::Drop => drop(self.stack.pop()?),
            Op::LocalGet { local_index } => self.stack.push(self.locals[local_index as usize]),
            Op::LocalSet { local_index } => self.locals[local_index as usize] = self.stack.pop()?,
            Op::LocalTee { local_index } => self.locals[local_index as usize] = *self.stack.last()?,
            Op::I32Const { value } => self.stack.push(Value::Line(Line::number(value as u32))),
            Op::I32Load8U { memarg } if is_plain(memarg) => {
                let address = self.line()?;
                self.stretch().events.push(Event::Load(address));
                self.stack.push(Value::Byte(address));
            }
            Op::I32Store8 { memarg } if is_plain(memarg) => {
                let value = self.stack.pop()?;
                let address = self.line()?;
                self.stretch().events.push(Event::Store(address, value));
            }
            Op::I32Eqz => {
                let value = self.stack.pop()?;
                let test = holds(value).map_or(Value::Unknown, |fact| Value::Test(fact.negated()));
                self.stack.push(test);
            }
            _ => {
                let (b, a) = (self.stack.pop()?, self.stack.pop()?);
                self.stack.push(binary(op, a, b)?);
            }
        }
        Some(Next::Go)
    }

    fn line(&mut self) -> Option<Line> {
        match self.stack.pop()? {
            Value::Line(line) => Some(line),
            _ => None,
        }
    }

    fn enter(&mut self, target: usize, ty: BlockType, is_loop: bool) -> Option<()> {
        let results = match ty {
            BlockType::Empty => 0,
            BlockType::Type(_) => 1,
            BlockType::FuncType(_) => return None,
        };
        let arity = if is_loop { 0 } else { results };
        self.labels.push(Label { target, is_loop, arity, height: self.stack.len() });
        Some(())
    }

    fn open_if(&mut self, code: &Code<'_>, at: usize, ty: BlockType) -> Option<Next> {
        let fact = holds(self.stack.pop()?)?;
        let (end, otherwise) = code.ends[at];
        let mut other = Box::new(self.clone());
        self.stretch().facts.push(fact);
        self.enter(end + 1, ty, false)?;
        other.stretch().facts.push(fact.negated());
        match otherwise {
            Some(otherwise) => {
                other.enter(end + 1, ty, false)?;
                other.pc = otherwise + 1;
            }
            None => other.pc = end + 1,
        }
        Some(Next::Fork(other))
    }

    fn branch_if(&mut self, depth: u32) -> Option<Next> {
        let fact = holds(self.stack.pop()?)?;
        let mut other = Box::new(self.clone());
        self.stretch().facts.push(fact.negated());
        other.stretch().facts.push(fact);
        other.branch(depth)?;
        Some(Next::Fork(other))
    }

    fn branch(&mut self, depth: u32) -> Option<()> {
        let at = self.labels.len().checked_sub(1 + depth as usize)?;
        let label = self.labels[at].clone();
        let from = self.stack.len().checked_sub(label.arity)?;
        let values = self.stack.split_off(from);
        self.stack.truncate(label.height);
        self.stack.extend(values);
        self.pc = label.target;
        self.goes_back = label.is_loop;
        self.labels.truncate(if label.is_loop { at + 1 } else { at });
        self.notice_exit();
        Some(())
    }

    fn leave_label(&mut self) -> Option<()> {
        self.labels.pop()?;
        self.notice_exit();
        Some(())
    }

    /// Outside of the loop's label, the loop is over.
    fn notice_exit(&mut self) {
        if matches!(self.place, Place::Inside(depth) if self.labels.len() < depth) {
            self.place = Place::After;
        }
    }
}

/// The fact that a value is not zero.
fn holds(value: Value) -> Option<Fact> {
    Some(match value {
        Value::Test(fact) => fact,
        Value::Line(line) => Fact { relation: Relation::Ne, a: line, b: Line::number(0) },
        Value::Difference(a, b) => Fact { relation: Relation::BytesNe, a, b },
        Value::Byte(_) | Value::Unknown => return None,
    })
}

/// The result of a binary operator; `None` for any other operator.
fn binary(op: &Operator<'_>, a: Value, b: Value) -> Option<Value> {
    use Operator as Op;
    use Relation::{BytesEq, BytesNe, Eq, GeU, LtU, Ne};
    let test = |relation, a, b| Value::Test(Fact { relation, a, b });
    Some(match (op, a, b) {
        (Op::I32Add, Value::Line(a), Value::Line(b)) => Value::Line(a.plus(b, 1)),
        (Op::I32Sub, Value::Line(a), Value::Line(b)) => Value::Line(a.minus(b)),
        (Op::I32Sub, Value::Byte(a), Value::Byte(b)) => Value::Difference(a, b),
        (Op::I32And, Value::Byte(a), Value::Line(b)) if b == Line::number(255) => Value::Byte(a),
        (Op::I32Eq, Value::Line(a), Value::Line(b)) => test(Eq, a, b),
        (Op::I32Ne, Value::Line(a), Value::Line(b)) => test(Ne, a, b),
        (Op::I32LtU, Value::Line(a), Value::Line(b)) => test(LtU, a, b),
        (Op::I32GeU, Value::Line(a), Value::Line(b)) => test(GeU, a, b),
        (Op::I32GtU, Value::Line(a), Value::Line(b)) => test(LtU, b, a),
        (Op::I32LeU, Value::Line(a), Value::Line(b)) => test(GeU, b, a),
        (Op::I32Eq, Value::Byte(a), Value::Byte(b)) => test(BytesEq, a, b),
        (Op::I32Ne, Value::Byte(a), Value::Byte(b)) => test(BytesNe, a, b),
        _ => return None,
    })
}
