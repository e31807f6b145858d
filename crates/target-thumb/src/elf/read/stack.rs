//! Stack depth: frame sizes summed along the call graph.
//!
//! Functions that can call each other in a cycle form a group (a strongly connected component, found by Tarjan's
//! algorithm, which yields callees before callers). A group whose cycles consist of tail calls uses no more stack the
//! longer it runs. Any other group is recursive and has no bound; then every function of it is counted once. A tail
//! call releases the caller's frame first. An indirect call may go to any function with its type whose address is
//! taken, and is treated as a call that returns.

use std::collections::BTreeSet;

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

    /// The depth of one function.
    pub fn of(&self, function: usize) -> Depth {
        let mut depth = Depth { bytes: self.groups[self.group_of[function]].bytes, ..Depth::default() };
        let mut next = Some(self.group_of[function]);
        while let Some(group) = next.map(|group| &self.groups[group]) {
            let steps = group.steps.iter();
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
        let names =
            |group: &Group| group.members.iter().map(|&member| self.nodes[member].name.clone()).collect();
        let recursive =
            groups.into_iter().map(|group| &self.groups[group]).filter(|group| group.is_recursive);
        depth.recursion = recursive.map(names).collect();
        depth
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
        let is_inside = |edge: &Edge| members.contains(&edge.to);
        let edges = members.iter().flat_map(|&member| &self.nodes[member].edges);
        let is_recursive = edges.clone().any(|edge| is_inside(edge) && !edge.is_tail);
        let outside = |node: usize| self.nodes[node].edges.iter().filter(|edge| !is_inside(edge));
        let own = |node: usize| self.nodes[node].bytes.unwrap_or(0);
        let below = |edge: &Edge| self.groups[self.group_of[edge.to]].bytes;
        if is_recursive {
            let deeper = members.iter().flat_map(|&node| outside(node)).filter(|edge| below(edge) > 0);
            let next = deeper.max_by_key(|edge| (below(edge), edge.to));
            let steps: Vec<(usize, u32)> = members.iter().map(|&node| (node, own(node))).collect();
            let frames = steps.iter().fold(0u32, |sum, (_, bytes)| sum.saturating_add(*bytes));
            let bytes = frames.saturating_add(next.map_or(0, below));
            let next = next.map(|edge| self.group_of[edge.to]);
            return Group { members, is_recursive, bytes, steps, next };
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
        Group { members, is_recursive, bytes, steps: vec![(node, kept)], next }
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
        assert!(depths.of(3).recursion.is_empty());
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
