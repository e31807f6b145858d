//! Stack depth: frame sizes summed along the call graph.
//!
//! Functions that can call each other in a cycle form a group (a strongly connected component, found by Tarjan's
//! algorithm, which yields callees before callers). A group whose cycles consist of tail calls uses no more stack the
//! longer it runs. Any other group is recursive and has no bound; then every function of it is counted once. A tail
//! call releases the caller's frame first.
//!
//! An indirect call may go to any function with its type whose address is taken. A node without a name can take the place
//! of all functions of one type: callers have an edge to it, and it has tail calls of the functions. No path and no group
//! mentions such nodes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A call of another function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Edge {
    /// The index of the callee.
    pub to: usize,
    /// Whether the caller's frame is released before the call.
    pub is_tail: bool,
}

/// A function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Bytes of stack of its own frame, if known; functions defined elsewhere have none.
    pub bytes: Option<u32>,
    /// Its calls, including indirect ones.
    pub edges: Vec<Edge>,
    /// Whether it is defined elsewhere.
    pub is_import: bool,
    /// Whether it calls code addresses.
    pub is_indirect: bool,
}

/// A function on a path of calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Its name.
    pub function: String,
    /// Bytes it adds; 0 if a tail call has released its frame.
    pub bytes: u32,
}

/// Maximum stack depth below a function's caller.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Depth {
    /// Bytes; every function of a recursion is counted once, and functions defined elsewhere are not counted.
    pub bytes: u32,
    /// The path of calls with this depth.
    pub path: Vec<Step>,
    /// Reachable functions that call themselves or each other, by group.
    pub recursion: Vec<Vec<String>>,
    /// For each of these groups a cycle of calls: its functions in order, the first once more at the end.
    pub cycles: Vec<Vec<String>>,
    /// Reachable functions that call code addresses.
    pub indirect: Vec<String>,
    /// Reachable functions that are defined elsewhere.
    pub imports: Vec<String>,
    /// Reachable functions whose own frame size is unknown.
    pub unknown: Vec<String>,
}

/// The depths of all functions.
pub struct Depths<'a> {
    nodes: &'a [Node],
    /// Group of each function.
    group_of: Vec<usize>,
    /// The groups, callees before callers.
    groups: Vec<Group>,
}

struct Group {
    members: Vec<usize>,
    is_recursive: bool,
    /// Whether no function that it leads to is recursive or of unknown size.
    is_bounded: bool,
    bytes: u32,
    /// The functions on the path, each with the bytes it adds.
    steps: Vec<(usize, u32)>,
    /// The group in which the path continues.
    next: Option<usize>,
}

impl<'a> Depths<'a> {
    /// Computes the depths of all functions.
    pub fn new(nodes: &'a [Node]) -> Self {
        let components = components(nodes);
        let mut group_of = vec![0; nodes.len()];
        for (group, members) in components.iter().enumerate() {
            members.iter().for_each(|&member| group_of[member] = group);
        }
        let mut depths = Self { nodes, group_of, groups: Vec::new() };
        for members in components {
            let group = depths.group(members);
            depths.groups.push(group);
        }
        depths
    }

    /// The deepest stack of one function, if nothing that it can reach is recursive, or defined here with unknown size.
    pub fn bound(&self, function: usize) -> Option<u32> {
        let group = &self.groups[self.group_of[function]];
        group.is_bounded.then_some(group.bytes)
    }

    /// The depth of one function.
    pub fn of(&self, function: usize) -> Depth {
        let mut depth = Depth { bytes: self.groups[self.group_of[function]].bytes, ..Depth::default() };
        let mut next = Some(self.group_of[function]);
        while let Some(group) = next.map(|group| &self.groups[group]) {
            let steps = group.steps.iter();
            let steps = steps.filter(|(node, _)| !self.nodes[*node].name.is_empty());
            depth
                .path
                .extend(steps.map(|&(node, bytes)| Step { function: self.nodes[node].name.clone(), bytes }));
            next = group.next;
        }
        let mut groups = BTreeSet::new();
        for node in self.reached(function) {
            let Node { name, bytes, is_import, is_indirect, .. } = &self.nodes[node];
            if *is_import {
                depth.imports.push(name.clone());
            } else if bytes.is_none() {
                depth.unknown.push(name.clone());
            }
            if *is_indirect {
                depth.indirect.push(name.clone());
            }
            groups.insert(self.group_of[node]);
        }
        for group in groups.into_iter().filter(|&group| self.groups[group].is_recursive) {
            depth.recursion.push(self.names(self.groups[group].members.iter().copied()));
            depth.cycles.push(self.names(self.cycle(group).into_iter()));
        }
        depth
    }

    fn names(&self, nodes: impl Iterator<Item = usize>) -> Vec<String> {
        nodes.map(|node| self.nodes[node].name.clone()).filter(|name| !name.is_empty()).collect()
    }

    /// A shortest cycle of a recursive group through its first call that keeps the caller's frame, from the first function
    /// with a name on it to the same function.
    fn cycle(&self, group: usize) -> Vec<usize> {
        let inside =
            |node: usize| self.nodes[node].edges.iter().filter(move |edge| self.group_of[edge.to] == group);
        let members = self.groups[group].members.iter();
        let mut calls = members.flat_map(|&node| inside(node).map(move |edge| (node, edge)));
        let (from, call) = calls.find(|(_, edge)| !edge.is_tail).expect("the group is recursive");
        let mut came_from = BTreeMap::from([(call.to, from)]);
        let mut waiting = VecDeque::from([call.to]);
        while let Some(node) = waiting.pop_front().filter(|&node| node != from) {
            for edge in inside(node) {
                came_from.entry(edge.to).or_insert_with(|| {
                    waiting.push_back(edge.to);
                    node
                });
            }
        }
        let mut cycle = vec![from];
        while cycle.len() == 1 || cycle.last() != Some(&from) {
            cycle.push(came_from[cycle.last().expect("it has the first")]);
        }
        cycle.pop();
        cycle[1..].reverse();
        let named = cycle.iter().position(|&node| !self.nodes[node].name.is_empty()).unwrap_or(0);
        cycle.rotate_left(named);
        cycle.push(cycle[0]);
        cycle
    }

    /// The function and all functions it can reach, in order.
    fn reached(&self, function: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([function]);
        let mut waiting = vec![function];
        while let Some(node) = waiting.pop() {
            waiting
                .extend(self.nodes[node].edges.iter().map(|edge| edge.to).filter(|&to| reached.insert(to)));
        }
        reached
    }

    /// The group of these functions; the groups of all their other callees are known.
    fn group(&self, members: Vec<usize>) -> Group {
        let here = self.group_of[members[0]];
        let is_inside = |edge: &Edge| self.group_of[edge.to] == here;
        let edges = members.iter().flat_map(|&member| &self.nodes[member].edges);
        let is_recursive = edges.clone().any(|edge| is_inside(edge) && !edge.is_tail);
        let outside = |node: usize| self.nodes[node].edges.iter().filter(|edge| !is_inside(edge));
        let is_known = |node: usize| self.nodes[node].bytes.is_some() || self.nodes[node].is_import;
        let is_bounded = !is_recursive
            && members.iter().all(|&node| {
                is_known(node) && outside(node).all(|edge| self.groups[self.group_of[edge.to]].is_bounded)
            });
        let own = |node: usize| self.nodes[node].bytes.unwrap_or(0);
        let below = |edge: &Edge| self.groups[self.group_of[edge.to]].bytes;
        if is_recursive {
            let deeper = members.iter().flat_map(|&node| outside(node)).filter(|edge| below(edge) > 0);
            let next = deeper.max_by_key(|edge| (below(edge), edge.to));
            let steps: Vec<(usize, u32)> = members.iter().map(|&node| (node, own(node))).collect();
            let frames = steps.iter().fold(0u32, |sum, (_, bytes)| sum.saturating_add(*bytes));
            let bytes = frames.saturating_add(next.map_or(0, below));
            let next = next.map(|edge| self.group_of[edge.to]);
            return Group { members, is_recursive, is_bounded, bytes, steps, next };
        }
        let alone = members.iter().map(|&node| (own(node), node, own(node), None));
        let onwards = members.iter().flat_map(|&node| {
            outside(node).map(move |edge| {
                let kept = if edge.is_tail { 0 } else { own(node) };
                (kept.saturating_add(below(edge)), node, kept, Some(self.group_of[edge.to]))
            })
        });
        // Of equal depths the first is taken, which has the shortest path.
        let best = alone.chain(onwards).reduce(|best, new| if new.0 > best.0 { new } else { best });
        let (bytes, node, kept, next) = best.expect("a group has members");
        Group { members, is_recursive, is_bounded, bytes, steps: vec![(node, kept)], next }
    }
}

/// Strongly connected components, callees before callers, by Tarjan's algorithm without recursion.
fn components(nodes: &[Node]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let mut order = vec![UNSEEN; nodes.len()];
    let mut low = vec![0; nodes.len()];
    let mut is_open = vec![false; nodes.len()];
    let (mut open, mut found, mut count) = (Vec::new(), Vec::new(), 0);
    for root in 0..nodes.len() {
        if order[root] != UNSEEN {
            continue;
        }
        let mut calls = vec![(root, 0)];
        while let Some((node, edge)) = calls.pop() {
            if edge == 0 {
                order[node] = count;
                low[node] = count;
                count += 1;
                open.push(node);
                is_open[node] = true;
            }
            if let Some(&Edge { to, .. }) = nodes[node].edges.get(edge) {
                calls.push((node, edge + 1));
                if order[to] == UNSEEN {
                    calls.push((to, 0));
                } else if is_open[to] {
                    low[node] = low[node].min(order[to]);
                }
                continue;
            }
            if let Some(&(caller, _)) = calls.last() {
                low[caller] = low[caller].min(low[node]);
            }
            if low[node] == order[node] {
                let start = open.iter().rposition(|&member| member == node).expect("it is open");
                let mut members = open.split_off(start);
                members.iter().for_each(|&member| is_open[member] = false);
                members.sort_unstable();
                found.push(members);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a function, and its callees, each with whether the call is a tail call.
    type Row<'a> = (u32, &'a [(usize, bool)]);

    fn nodes(list: &[Row<'_>]) -> Vec<Node> {
        let edges =
            |edges: &[(usize, bool)]| edges.iter().map(|&(to, is_tail)| Edge { to, is_tail }).collect();
        let node = |(n, &(bytes, calls)): (usize, &Row<'_>)| Node {
            name: format!("f{n}"),
            bytes: Some(bytes),
            edges: edges(calls),
            ..Node::default()
        };
        list.iter().enumerate().map(node).collect()
    }

    fn depths(list: &[Row<'_>]) -> Vec<u32> {
        let nodes = nodes(list);
        let depths = Depths::new(&nodes);
        (0..nodes.len()).map(|node| depths.of(node).bytes).collect()
    }

    #[test]
    fn frames_add_up_along_the_deepest_path() {
        assert_eq!(
            depths(&[(8, &[(1, false), (2, false)]), (16, &[(3, false)]), (20, &[]), (8, &[])]),
            [32, 24, 20, 8]
        );
        let nodes = nodes(&[(8, &[(1, false), (2, false)]), (16, &[]), (20, &[])]);
        let path = Depths::new(&nodes).of(0).path;
        assert_eq!(
            path.iter().map(|step| (&*step.function, step.bytes)).collect::<Vec<_>>(),
            [("f0", 8), ("f2", 20)]
        );
    }

    #[test]
    fn tail_calls_leave_their_frame() {
        assert_eq!(depths(&[(8, &[(1, true)]), (16, &[])]), [16, 16]);
        assert_eq!(depths(&[(24, &[(1, true)]), (16, &[])]), [24, 16]);
        // A cycle of tail calls.
        assert_eq!(depths(&[(8, &[(1, true)]), (16, &[(0, true), (2, false)]), (4, &[])]), [20, 20, 4]);
    }

    #[test]
    fn recursion_is_named_and_counted_once() {
        let nodes =
            nodes(&[(8, &[(1, false)]), (16, &[(2, false)]), (4, &[(1, false), (3, false)]), (40, &[])]);
        let depths = Depths::new(&nodes);
        let depth = depths.of(0);
        assert_eq!((depth.bytes, depth.recursion), (68, vec![vec!["f1".to_owned(), "f2".to_owned()]]));
        assert_eq!(depth.cycles, [["f1", "f2", "f1"]]);
        assert_eq!([0, 1, 3].map(|node| depths.bound(node)), [None, None, Some(40)]);
        assert!(depths.of(3).recursion.is_empty());
    }

    #[test]
    fn a_cycle_has_a_call_that_keeps_its_frame() {
        let cycle = |list: &[Row<'_>]| Depths::new(&nodes(list)).of(0).cycles;
        assert_eq!(cycle(&[(8, &[(0, false)])]), [["f0", "f0"]]);
        // The cycle of tail calls between 0 and 1 needs no stack; that through 2 does.
        let rows: [Row<'_>; 3] = [(8, &[(1, true), (2, true)]), (8, &[(0, true)]), (8, &[(0, false)])];
        assert_eq!(cycle(&rows), [["f2", "f0", "f2"]]);
        assert!(cycle(&[(8, &[(1, true)]), (8, &[(0, true)])]).is_empty());
    }

    #[test]
    fn nodes_without_names_are_not_mentioned() {
        // 0 calls what the nameless 1 stands for: 2 and 3, and 3 calls it as well.
        let mut nodes =
            nodes(&[(8, &[(1, false)]), (0, &[(2, true), (3, true)]), (40, &[]), (16, &[(1, false)])]);
        nodes[1].name.clear();
        let depths = Depths::new(&nodes);
        let depth = depths.of(0);
        assert_eq!(depth.bytes, 8 + 16 + 40);
        assert_eq!(depth.path.iter().map(|step| &*step.function).collect::<Vec<_>>(), ["f0", "f3", "f2"]);
        assert_eq!(
            (depth.recursion, depth.cycles),
            (vec![vec!["f3".to_owned()]], vec![vec!["f3".to_owned(); 2]])
        );
    }

    #[test]
    fn long_chains_need_no_stack_here() {
        let count = 100_000;
        let nodes: Vec<Node> = (0..count)
            .map(|n| Node {
                bytes: Some(1),
                edges: (n + 1 < count).then_some(Edge { to: n + 1, is_tail: false }).into_iter().collect(),
                ..Node::default()
            })
            .collect();
        assert_eq!(Depths::new(&nodes).of(0).bytes, count as u32);
    }
}
