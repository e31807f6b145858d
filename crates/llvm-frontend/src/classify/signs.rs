//! Signs: evidence that a value is an address or a number.
//!
//! Three iterations over the graph of [`super::flow`], each of which only adds facts, so that each terminates after a
//! constant number of visits per edge:
//! 1. forward: which values are *computed from* literals, stack objects or machine addresses, and which are *indices*:
//!    scaled, masked or widened values and small constants, and choices and sums of those;
//! 2. backward: the signs of a value are those of its uses, and of the values computed from it. In a sum with an
//!    address the other operand is an index, a number. In a sum of two operands that are not known to be indices, both
//!    may be the address;
//! 3. comparisons: a value compared with, or subtracted from, an address is an address. Compared with a literal, it is
//!    the same kind as the literal; with an unknown value, unclear; with any other value, a number.
//!
//! For example, in `load(p + 1040)` with an unknown `p` the constant is used as an address, and `p` is its index. If
//! static data begins below 64 KiB, 1040 could also be the offset of a field: it is *doubtful* as well, and refused.

use super::flow::{Access, Comparison, Graph, Node, Origin, Step, Use};

/// Upper bound in bytes of constant offsets of fields and elements from a pointer.
pub const LARGEST_OFFSET: u32 = 1 << 16;

/// Upper bound in bytes of the distance from the constant that indices are added to, to an array whose first indices
/// are unused.
const LARGEST_DISTANCE: u32 = 1 << 12;

/// A set of signs of one value.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Signs(u8);

impl Signs {
    /// It is used as an address.
    pub const ADDRESS: Self = Self(1);
    /// It is used as a number.
    pub const NUMBER: Self = Self(2);
    /// It is passed to an import.
    pub const PASSED: Self = Self(4);
    /// It is returned, widened, or passed to an unknown function.
    pub const KEPT: Self = Self(8);
    /// It or its other summand is used as an address, or it is compared with an unknown value.
    pub const UNCLEAR: Self = Self(16);
    /// It is passed as an argument for which constants outside of static data are passed, too.
    pub const MIXED: Self = Self(32);
    /// It is added to an address, or to a possible address.
    pub const DOUBTFUL: Self = Self(64);
    /// It is stored.
    pub const STORED: Self = Self(128);

    /// Whether one of some signs is in the set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The union of two sets.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn adds_to(self, other: Self) -> bool {
        self.0 & !other.0 != 0
    }
}

/// Facts about the values of a module.
pub struct Knowledge<'g, 'm> {
    graph: &'g Graph<'m>,
    /// By node: computed from a literal, or from a stack object.
    is_made_of_literal: Vec<bool>,
    is_made_of_frame: Vec<bool>,
    is_index: Vec<bool>,
    /// The reverse of the graph's steps.
    inputs: Vec<Vec<(Node, Step)>>,
    /// Whether static data begins so low that an offset may look like an address.
    is_near: bool,
}

impl<'g, 'm> Knowledge<'g, 'm> {
    /// Facts of a graph in which static data begins at `start`.
    pub fn new(graph: &'g Graph<'m>, start: u32) -> Self {
        let count = graph.origins.len();
        let mut inputs = vec![Vec::new(); count];
        for (from, steps) in graph.steps.iter().enumerate() {
            steps.iter().for_each(|&(to, step)| inputs[to].push((from, step)));
        }
        let of = |wanted: fn(&Origin) -> bool| {
            forward(graph, (0..count).filter(|&node| wanted(&graph.origins[node])).collect())
        };
        Self {
            graph,
            is_made_of_literal: of(|origin| matches!(origin, Origin::Literal(_))),
            is_made_of_frame: of(|origin| *origin == Origin::Frame),
            is_index: indices(graph, start),
            inputs,
            is_near: start < LARGEST_OFFSET,
        }
    }

    fn is_made_of_address(&self, node: Node) -> bool {
        self.is_made_of_literal[node] || self.is_made_of_frame[node]
    }

    /// The signs of all nodes. `is_elsewhere` holds for constants outside of static data.
    pub fn signs(&self, is_elsewhere: impl Fn(u32) -> bool) -> Vec<Signs> {
        let mut direct = vec![Signs::default(); self.graph.origins.len()];
        for &(node, what) in &self.graph.uses {
            let sign = match what {
                Use::Address => Signs::ADDRESS,
                Use::Number => Signs::NUMBER,
                Use::Stored => Signs::STORED,
                Use::Kept => Signs::KEPT,
            };
            direct[node] = direct[node].with(sign);
        }
        let is_import = |node: Node| self.graph.origins[node] == Origin::ImportParam;
        (0..direct.len()).filter(|&node| is_import(node)).for_each(|node| direct[node] = Signs::PASSED);
        for &(node, constant) in &self.graph.constants {
            if is_import(node) && is_elsewhere(constant) {
                direct[node] = direct[node].with(Signs::MIXED);
            }
        }
        // A difference of addresses is a number; the first round finds the addresses, the second the differences.
        let uses = self.backward(direct.clone(), &[]);
        let uses = self.backward(direct, &uses);
        let uses = self.with_imports(uses);
        self.with_comparisons(uses)
    }

    /// The first constant that is added to an index to give an address and is just below static data, with the number
    /// of its function: an object at the start of static data whose indices begin above 0, or an address of the
    /// machine.
    pub fn just_below(&self, signs: &[Signs], start: u32) -> Option<(u32, Option<u32>)> {
        let below = start.saturating_sub(LARGEST_DISTANCE).max(1)..start;
        let is_base = |node: Node| {
            let mut inputs = self.inputs[node].iter();
            !self.is_near || inputs.all(|&(from, _)| self.is_index[from])
        };
        let constants = self.graph.constants.iter().zip(&self.graph.functions);
        let mut suspects = constants.filter(|((node, constant), _)| {
            below.contains(constant) && signs[*node].has(Signs::ADDRESS) && is_base(*node)
        });
        suspects.next().map(|(&(_, constant), &function)| (constant, function))
    }

    /// Adds to all nodes the signs of the values computed from them. `uses` are signs from an earlier round.
    fn backward(&self, mut signs: Vec<Signs>, uses: &[Signs]) -> Vec<Signs> {
        let mut pending: Vec<Node> = (0..signs.len()).rev().collect();
        while let Some(node) = pending.pop() {
            for &(from, step) in &self.inputs[node] {
                let carried = self.carried(from, step, signs[node], uses);
                if carried.adds_to(signs[from]) {
                    signs[from] = signs[from].with(carried);
                    pending.push(from);
                }
            }
        }
        signs
    }

    /// The signs that the value at the end of a step gives to `from`, at its start.
    fn carried(&self, from: Node, step: Step, signs: Signs, uses: &[Signs]) -> Signs {
        let is_used = signs.has(Signs::ADDRESS.with(Signs::UNCLEAR));
        match step {
            Step::Same => signs,
            Step::Less(other) => {
                let is_distance = self.is_made_of_address(other)
                    || uses.get(other).is_some_and(|signs| signs.has(Signs::ADDRESS));
                if is_distance { Signs::default() } else { signs }
            }
            Step::Sum(other) => {
                let rest = signs.without(Signs::ADDRESS);
                match (self.is_made_of_address(from), self.is_made_of_address(other)) {
                    (true, true) => signs.with(Signs::DOUBTFUL),
                    (true, false) if self.is_near && !self.is_index[other] => signs.with(Signs::DOUBTFUL),
                    (true, false) => signs,
                    (false, true) if is_used => rest.without(Signs::UNCLEAR).with(Signs::NUMBER),
                    (false, true) => rest,
                    (false, false) if self.is_index[other] && !self.is_index[from] => signs,
                    (false, false) if self.is_index[from] && is_used => rest.with(Signs::NUMBER),
                    (false, false) if is_used => rest.with(Signs::UNCLEAR),
                    (false, false) => rest,
                }
            }
        }
    }

    /// If an import gets an address as an argument, other values passed as that argument are addresses.
    fn with_imports(&self, mut signs: Vec<Signs>) -> Vec<Signs> {
        for node in 0..signs.len() {
            if self.graph.origins[node] == Origin::ImportParam {
                let is_address = |&(from, step): &(Node, Step)| {
                    let is_used = signs[from].has(Signs::ADDRESS) && !signs[from].has(Signs::NUMBER);
                    step == Step::Same && (self.is_made_of_frame[from] || is_used)
                };
                if self.inputs[node].iter().any(is_address) {
                    signs[node] = signs[node].with(Signs::ADDRESS);
                }
            }
        }
        let before = signs.clone();
        self.backward(signs, &before)
    }

    /// Adds the signs from comparisons. The kind of a literal flows forward to the values computed from it, and from
    /// there to the values that they are compared with.
    fn with_comparisons(&self, uses: Vec<Signs>) -> Vec<Signs> {
        const KIND: Signs = Signs::ADDRESS.with(Signs::NUMBER);
        let mut signs = uses.clone();
        for (node, compared) in self.graph.compared.iter().enumerate() {
            for &(other, comparison) in compared {
                signs[node] = signs[node].with(self.compared_with(other, comparison, &uses));
            }
        }
        let mut of_literals = vec![Signs::default(); signs.len()];
        let mut pending: Vec<Node> = (0..signs.len()).rev().collect();
        while let Some(node) = pending.pop() {
            for &(from, step) in &self.inputs[node] {
                let carried = self.carried(from, step, signs[node], &uses);
                add(&mut signs[from], carried, from, &mut pending);
            }
            if matches!(self.graph.origins[node], Origin::Literal(_)) {
                of_literals[node] = of_literals[node].with(signs[node].only(KIND));
            }
            let of_literal = of_literals[node];
            for &(to, _) in &self.graph.steps[node] {
                add(&mut of_literals[to], of_literal, to, &mut pending);
            }
            for &(other, _) in &self.graph.compared[node] {
                add(&mut signs[other], of_literal, other, &mut pending);
            }
        }
        signs
    }

    /// The signs from a comparison with a value.
    fn compared_with(&self, other: Node, comparison: Comparison, uses: &[Signs]) -> Signs {
        let signs = uses[other];
        if signs.has(Signs::ADDRESS) {
            Signs::ADDRESS
        } else if self.is_made_of_address(other) {
            Signs::KEPT
        } else if comparison == Comparison::Difference {
            Signs::default()
        } else if signs.has(Signs::NUMBER) || self.is_index[other] {
            Signs::NUMBER
        } else {
            Signs::UNCLEAR
        }
    }
}

fn add(signs: &mut Signs, more: Signs, node: Node, pending: &mut Vec<Node>) {
    if more.adds_to(*signs) {
        *signs = signs.with(more);
        pending.push(node);
    }
}

/// The nodes that are reachable from the start nodes. Every node is visited once.
fn forward(graph: &Graph<'_>, starts: Vec<Node>) -> Vec<bool> {
    let mut reached = vec![false; graph.origins.len()];
    starts.iter().for_each(|&node| reached[node] = true);
    let mut pending = starts;
    while let Some(node) = pending.pop() {
        for &(to, _) in &graph.steps[node] {
            if !std::mem::replace(&mut reached[to], true) {
                pending.push(to);
            }
        }
    }
    reached
}

/// The nodes that are certainly indices: none of their inputs is anything else.
fn indices(graph: &Graph<'_>, start: u32) -> Vec<bool> {
    let is_no_index = |node: &Node| {
        matches!(
            graph.origins[*node],
            Origin::Unknown | Origin::Literal(_) | Origin::Frame | Origin::ImportParam
        )
    };
    let limit = start.min(LARGEST_OFFSET);
    let is_large = |constant: u32| constant >= limit && constant.wrapping_neg() >= limit;
    let mut starts: Vec<Node> = (0..graph.origins.len()).filter(is_no_index).collect();
    starts.extend(graph.constants.iter().filter(|(_, constant)| is_large(*constant)).map(|(node, _)| *node));
    forward_unless(graph, starts, |node| graph.origins[node] == Origin::Index)
        .into_iter()
        .map(|is_no_index| !is_no_index)
        .collect()
}

/// As [`forward`], but without entering some nodes.
fn forward_unless(graph: &Graph<'_>, starts: Vec<Node>, stops: impl Fn(Node) -> bool) -> Vec<bool> {
    let mut reached = vec![false; graph.origins.len()];
    let mut pending: Vec<Node> = starts.into_iter().filter(|&node| !stops(node)).collect();
    pending.iter().for_each(|&node| reached[node] = true);
    while let Some(node) = pending.pop() {
        for &(to, _) in &graph.steps[node] {
            if !stops(to) && !std::mem::replace(&mut reached[to], true) {
                pending.push(to);
            }
        }
    }
    reached
}

/// By access in the order of the graph: whether its address is that of a device.
///
/// Such an address is a constant outside of static data, or computed from one that is too large to be an offset.
pub fn device_accesses(graph: &Graph<'_>, is_elsewhere: impl Fn(u32) -> bool) -> Vec<bool> {
    let far = LARGEST_OFFSET..LARGEST_OFFSET.wrapping_neg();
    let is_machine = |constant: u32| far.contains(&constant) && is_elsewhere(constant);
    let starts = graph.constants.iter().filter(|(_, constant)| is_machine(*constant)).map(|(node, _)| *node);
    let is_kept = |node: Node| graph.origins[node] == Origin::Index;
    let machine = forward_unless(graph, starts.filter(|&node| !is_kept(node)).collect(), is_kept);
    let is_device = |access: &Access| match *access {
        Access::Elsewhere => false,
        Access::Constant => true,
        Access::Variable(node) => machine[node],
    };
    graph.accesses.iter().map(is_device).collect()
}
