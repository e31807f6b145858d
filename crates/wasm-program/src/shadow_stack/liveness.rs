//! The locals that are live where paths meet.
//!
//! Compilers give one local to several variables. So where paths meet, a local may hold a leftover of a variable that is
//! not in use any more. A local is *live* there if some path reads it before it writes it; the value of any other is
//! irrelevant.
//!
//! Wasm's control flow is structured, so a pass over the operators from last to first meets the end of a block before
//! all branches to it. Branches to the head of a loop use the set that the pass before found there; the passes end when
//! no head changes. Sets are kept only for control frames that something branches to.

use wasmparser::Operator;

/// A set of locals.
type Set = Vec<u64>;

/// For the control frames of a function, numbered in the order they are opened, the locals that are live where branches
/// to them go.
#[derive(Default)]
pub(super) struct Liveness {
    targets: Vec<Option<Set>>,
}

/// An open control frame, seen from its end.
struct Frame {
    number: usize,
    is_loop: bool,
    /// Live before the `else` branch.
    otherwise: Option<Set>,
}

impl Liveness {
    /// The locals that are live in a body with this number of locals, unless that takes more than `limit` passes.
    pub fn new(operators: &[(Operator<'_>, usize)], locals: usize, limit: usize) -> Option<Self> {
        let shape = Shape::new(operators);
        let empty = vec![0; locals.div_ceil(64)];
        let targets = shape.is_target.iter().map(|&is_target| is_target.then(|| empty.clone())).collect();
        let mut liveness = Self { targets };
        let is_done = (0..limit).any(|_| !liveness.pass(operators, &shape, &empty));
        is_done.then_some(liveness)
    }

    /// Whether a local is live where branches to a frame go.
    pub fn is_live(&self, frame: usize, local: usize) -> bool {
        self.targets[frame].as_ref().is_none_or(|set| set[local / 64] >> (local % 64) & 1 != 0)
    }

    /// Whether the set of some loop has grown.
    fn pass(&mut self, operators: &[(Operator<'_>, usize)], shape: &Shape, empty: &Set) -> bool {
        let mut has_grown = false;
        let mut live = empty.clone();
        let mut frames = Vec::new();
        let mut branches = shape.branches.len();
        let mut ends = shape.ends.iter().rev();
        for (op, _) in operators.iter().rev() {
            match *op {
                Operator::LocalGet { local_index } => {
                    live[local_index as usize / 64] |= 1 << (local_index % 64);
                }
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                    live[local_index as usize / 64] &= !(1 << (local_index % 64));
                }
                Operator::End => {
                    let &(number, is_loop) = ends.next().expect("an end for each frame");
                    self.enter_end(number, is_loop, &live);
                    frames.push(Frame { number, is_loop, otherwise: None });
                }
                Operator::Else => {
                    let frame = frames.last_mut().expect("validated: `else` is in a frame");
                    let at_end = self.targets[frame.number].as_ref().unwrap_or(empty).clone();
                    frame.otherwise = Some(std::mem::replace(&mut live, at_end));
                }
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    let frame = frames.pop().expect("validated: frames nest");
                    has_grown |= self.leave_start(op, frame, &mut live);
                }
                Operator::Unreachable
                | Operator::Return
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. } => live.fill(0),
                Operator::Br { .. } | Operator::BrIf { .. } | Operator::BrTable { .. } => {
                    if !matches!(op, Operator::BrIf { .. }) {
                        live.fill(0);
                    }
                    branches -= 1;
                    for &target in &shape.branches[branches] {
                        add(&mut live, self.targets[target].as_ref().expect("a target has a set"));
                    }
                }
                _ => {}
            }
        }
        has_grown
    }

    /// Notes the live locals at the end of a frame. The end of a loop is of no interest, as branches go to its head.
    fn enter_end(&mut self, number: usize, is_loop: bool, live: &Set) {
        if let (false, Some(set)) = (is_loop, &mut self.targets[number]) {
            set.copy_from_slice(live);
        }
    }

    /// Goes to the start of a frame. Whether the set of a loop has grown.
    fn leave_start(&mut self, op: &Operator<'_>, frame: Frame, live: &mut Set) -> bool {
        let set = &mut self.targets[frame.number];
        match (op, set) {
            (Operator::If { .. }, Some(at_end)) => {
                add(live, frame.otherwise.as_ref().unwrap_or(at_end));
                false
            }
            (Operator::Loop { .. }, Some(head)) if frame.is_loop => {
                let has_grown = head != live;
                head.copy_from_slice(live);
                has_grown
            }
            _ => false,
        }
    }
}

/// Adds the locals of `other` to a set.
fn add(set: &mut Set, other: &Set) {
    for (word, other) in set.iter_mut().zip(other) {
        *word |= other;
    }
}

/// Which frames branches lead to.
struct Shape {
    /// For each frame, whether something branches to it, or it is an `if`.
    is_target: Vec<bool>,
    /// The frames each branch leads to, in the order of the branches.
    branches: Vec<Vec<usize>>,
    /// For each `end` the number of its frame, and whether that is a loop.
    ends: Vec<(usize, bool)>,
}

impl Shape {
    fn new(operators: &[(Operator<'_>, usize)]) -> Self {
        let mut shape = Self { is_target: vec![true], branches: Vec::new(), ends: Vec::new() };
        let mut open = vec![(0, false)];
        for (op, _) in operators {
            match op {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    open.push((shape.is_target.len(), matches!(op, Operator::Loop { .. })));
                    shape.is_target.push(matches!(op, Operator::If { .. }));
                }
                Operator::End => shape.ends.extend(open.pop()),
                Operator::Br { .. } | Operator::BrIf { .. } | Operator::BrTable { .. } => {
                    let targets: Vec<usize> =
                        depths(op).iter().map(|&depth| open[open.len() - 1 - depth as usize].0).collect();
                    targets.iter().for_each(|&target| shape.is_target[target] = true);
                    shape.branches.push(targets);
                }
                _ => {}
            }
        }
        shape
    }
}

/// The depths that a branch leads to, each once.
pub(super) fn depths(op: &Operator<'_>) -> Vec<u32> {
    match op {
        Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => vec![*relative_depth],
        Operator::BrTable { targets } => {
            let mut depths: Vec<u32> = targets.targets().flatten().collect();
            depths.push(targets.default());
            depths.sort_unstable();
            depths.dedup();
            depths
        }
        _ => Vec::new(),
    }
}
