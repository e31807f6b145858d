//! The dominator tree of the call graph.

use ssa::cfg::Graph;
use ssa::{Dominators, EntityId as _, entity_id};

use super::{Caller, SizeReport};

entity_id! {
    /// A node of the call graph: the outside, indirect calls, or a function.
    Node = "n";
}

/// Nodes before those of functions.
const OUTSIDE: usize = 0;
const INDIRECT: usize = 1;
const FIRST: usize = 2;

/// A function in the dominator tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retained {
    /// Its name.
    pub name: String,
    /// Bytes of its code.
    pub own: u64,
    /// Bytes of all code that only it leads to, its own included.
    pub total: u64,
    /// The functions directly below it, the largest first.
    pub below: Vec<Retained>,
}

struct CallGraph {
    successors: Vec<Vec<Node>>,
    predecessors: Vec<Vec<Node>>,
}

impl Graph for CallGraph {
    type Node = Node;

    fn len(&self) -> usize {
        self.successors.len()
    }

    fn successors(&self, node: Node) -> &[Node] {
        &self.successors[node.index()]
    }

    fn predecessors(&self, node: Node) -> &[Node] {
        &self.predecessors[node.index()]
    }
}

impl CallGraph {
    /// The outside calls entries, and a node for all indirect calls leads to functions whose address is taken.
    fn new(functions: &[Caller]) -> Self {
        let mut successors = vec![Vec::new(); functions.len() + FIRST];
        let node = |function: usize| Node::new(function + FIRST);
        successors[OUTSIDE].push(Node::new(INDIRECT));
        for (index, function) in functions.iter().enumerate() {
            if function.is_entry {
                successors[OUTSIDE].push(node(index));
            }
            if function.is_referenced {
                successors[INDIRECT].push(node(index));
            }
            successors[index + FIRST].extend(function.calls.iter().map(|&to| node(to as usize)));
        }
        let mut predecessors = vec![Vec::new(); successors.len()];
        for (from, list) in successors.iter().enumerate() {
            list.iter().for_each(|to| predecessors[to.index()].push(Node::new(from)));
        }
        Self { successors, predecessors }
    }
}

impl SizeReport {
    /// The dominator tree of the call graph: the functions that the outside or more than one of its functions leads to, the
    /// largest first. Functions that nothing leads to are not in it.
    pub fn retained(&self) -> Vec<Retained> {
        let dominators = Dominators::of_graph(&CallGraph::new(&self.functions), Node::new(OUTSIDE));
        let count = self.functions.len() + FIRST;
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); count];
        for node in INDIRECT..count {
            if let Some(parent) = dominators.idom(Node::new(node)) {
                below[parent.index()].push(node);
            }
        }
        // Children before their parents: the order of a walk that visits parents first, backwards.
        let mut order = vec![OUTSIDE];
        let mut at = 0;
        while let Some(&node) = order.get(at) {
            order.extend(&below[node]);
            at += 1;
        }
        let mut done: Vec<Option<Retained>> = vec![None; count];
        for &node in order.iter().rev() {
            let mut below: Vec<Retained> =
                below[node].iter().filter_map(|&child| done[child].take()).collect();
            below.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.name.cmp(&b.name)));
            let (name, own) = match node.checked_sub(FIRST) {
                Some(function) => (self.functions[function].name.clone(), self.functions[function].bytes),
                None => ("(indirect calls)".to_owned(), 0),
            };
            let total = own + below.iter().map(|child| child.total).sum::<u64>();
            done[node] = Some(Retained { name, own, total, below });
        }
        let mut roots = done[OUTSIDE].take().map_or_else(Vec::new, |root| root.below);
        roots.retain(|root| root.total > 0);
        roots
    }
}
