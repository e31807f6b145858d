//! Expanding switches into comparisons and dense tables.
//!
//! Selection creates no control flow, so switches become trees of branches before selection. The leaves of a tree are
//! *clusters* of adjacent cases: a range of values with one target, or a table. The only remaining switches are the
//! tables, in a form that selection turns into an indexed jump. Their cases are 0, 1, 2, ..., and the value is at most
//! the number of cases, so the default is the last table entry.
//!
//! A table must have enough entries and few holes ([`SwitchLimits`]); from the left we take the longest run of cases
//! that qualifies. The tree splits at half of the weight, so that likely cases are found early; a case that is more
//! likely than all others together is tested first. Weights are the frequencies of targets, divided equally among the
//! edges to a target.
//!
//! Termination: every split leaves fewer clusters on either side. No edge becomes critical: each edge from the tree to
//! an original target goes through a new block. Only equal edges of one table share such a block.

use ssa::{BinaryOp, Block, BlockCall, Cond, Function, Inst, InstData, Type, Value};

/// When a target prefers a table to a tree of comparisons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SwitchLimits {
    /// Minimum number of ranges of values in a table.
    pub min_clusters: usize,
    /// Maximum number of table entries per case value.
    pub max_sparsity: u64,
    /// Sizes to compare, where a table must also be smaller than a tree.
    pub bytes: Option<SwitchBytes>,
}

/// Code sizes of tables and trees, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SwitchBytes {
    /// A jump through a table, including the range check, without the table.
    pub dispatch: u64,
    /// One table entry.
    pub entry: u64,
    /// A test for one range of values in a tree.
    pub test: u64,
}

impl SwitchLimits {
    /// Whether a table with `entries` entries is worthwhile for this number of ranges and case values.
    fn allow(&self, ranges: usize, values: u64, entries: u64) -> bool {
        let is_smaller =
            |bytes: SwitchBytes| bytes.dispatch + bytes.entry * entries < bytes.test * ranges as u64;
        ranges >= self.min_clusters
            && entries <= values * self.max_sparsity
            && self.bytes.is_none_or(is_smaller)
    }
}

/// Expands every switch of a function that is not yet a dense table.
pub fn expand(func: &mut Function, limits: SwitchLimits) {
    for block in func.blocks.ids() {
        let last = func.terminator(block);
        if let InstData::Switch { ty, value, cases, default } = &func.insts[last] {
            let switch = Switch { ty: *ty, value: *value, cases: cases.clone(), default: default.clone() };
            Expansion::new(func, &switch, block).run(&switch, limits, last);
        }
    }
}

struct Switch {
    ty: Type,
    value: Value,
    cases: Vec<(i64, BlockCall)>,
    default: BlockCall,
}

/// Consecutive values with one target.
#[derive(Clone, Debug)]
struct Range {
    low: i64,
    high: i64,
    to: BlockCall,
    weight: f32,
}

/// A leaf of the tree: the ranges of one table, or a single range.
#[derive(Clone, Copy, Debug)]
struct Cluster<'a> {
    ranges: &'a [Range],
}

impl Cluster<'_> {
    fn low(&self) -> i64 {
        self.ranges[0].low
    }

    fn high(&self) -> i64 {
        self.ranges[self.ranges.len() - 1].high
    }

    fn weight(&self) -> f32 {
        self.ranges.iter().map(|range| range.weight).sum()
    }
}

/// The values that can reach a node of the tree.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: i64,
    high: i64,
}

struct Expansion<'f> {
    func: &'f mut Function,
    ty: Type,
    value: Value,
    default: BlockCall,
    /// Weight of one edge to the default.
    default_weight: f32,
    /// The block that code is appended to.
    block: Block,
}

impl<'f> Expansion<'f> {
    fn new(func: &'f mut Function, switch: &Switch, block: Block) -> Self {
        let default_weight = func.blocks[switch.default.block].freq;
        let (ty, value, default) = (switch.ty, switch.value, switch.default.clone());
        Self { func, ty, value, default, default_weight, block }
    }

    fn run(mut self, switch: &Switch, limits: SwitchLimits, last: Inst) {
        let ranges = self.ranges(switch);
        let clusters = clusters(&ranges, limits);
        let bounds = match self.ty {
            Type::I32 => Bounds { low: i32::MIN.into(), high: i32::MAX.into() },
            _ => Bounds { low: i64::MIN, high: i64::MAX },
        };
        let popped = self.func.blocks[self.block].insts.pop();
        assert_eq!(popped, Some(last), "the switch ends its block");
        self.func.source.follow(last);
        self.tree(&clusters, bounds);
        self.func.source.follow_none();
    }

    /// The cases, with consecutive values of one target merged.
    fn ranges(&self, switch: &Switch) -> Vec<Range> {
        let edges_to = |block| switch.cases.iter().filter(|(_, to)| to.block == block).count().max(1);
        let mut shares = std::collections::BTreeMap::new();
        let mut ranges: Vec<Range> = Vec::new();
        for (case, to) in &switch.cases {
            let share = *shares
                .entry(to.block)
                .or_insert_with(|| self.func.blocks[to.block].freq / edges_to(to.block) as f32);
            match ranges.last_mut() {
                Some(range) if range.high.checked_add(1) == Some(*case) && range.to == *to => {
                    range.high = *case;
                    range.weight += share;
                }
                _ if *to == switch.default => {}
                _ => ranges.push(Range { low: *case, high: *case, to: to.clone(), weight: share }),
            }
        }
        ranges
    }

    /// Appends the decision among `clusters` to the current block.
    fn tree(&mut self, clusters: &[Cluster<'_>], bounds: Bounds) {
        let total: f32 = clusters.iter().map(Cluster::weight).sum();
        let Some(heaviest) = heaviest(clusters) else {
            let to = self.default.clone();
            self.terminate(InstData::Jump { to });
            return;
        };
        let rest = total - clusters[heaviest].weight() + self.default_weight;
        if clusters.len() <= 3 || clusters[heaviest].weight() > rest {
            self.peel(clusters, heaviest, bounds);
        } else {
            self.split(clusters, total, bounds);
        }
    }

    /// Tests for one cluster, then continues with the others.
    fn peel(&mut self, clusters: &[Cluster<'_>], n: usize, bounds: Bounds) {
        let (cluster, mut others) = (clusters[n], clusters.to_vec());
        others.remove(n);
        // A test at an end of the bounds tightens them for the rest.
        let mut rest = bounds;
        if cluster.low() == bounds.low {
            rest.low = cluster.high().saturating_add(1);
        }
        if cluster.high() == bounds.high {
            rest.high = cluster.low().saturating_sub(1);
        }
        if let [range] = cluster.ranges {
            let hit = self.edge(&range.to.clone(), range.weight);
            self.test_range(range, bounds, hit, &others, rest);
        } else {
            self.table(cluster, bounds, &others, rest);
        }
    }

    fn test_range(
        &mut self,
        range: &Range,
        bounds: Bounds,
        hit: BlockCall,
        others: &[Cluster<'_>],
        rest: Bounds,
    ) {
        if range.low <= bounds.low && range.high >= bounds.high {
            self.terminate(InstData::Jump { to: hit });
            return;
        }
        let cond = if range.low == range.high {
            self.compare(Cond::Eq, self.value, range.low)
        } else if range.low <= bounds.low {
            self.compare(Cond::LeS, self.value, range.high)
        } else if range.high >= bounds.high {
            self.compare(Cond::GeS, self.value, range.low)
        } else {
            let distance = self.distance(range.low);
            self.compare(Cond::LeU, distance, range.high.wrapping_sub(range.low))
        };
        let miss = self.continuation(others);
        self.terminate(InstData::Branch { cond, if_true: hit, if_false: to_block(miss) });
        self.block = miss;
        self.tree(others, rest);
    }

    /// Jumps through a table if the value is in its range, else continues with the other clusters.
    fn table(&mut self, cluster: Cluster<'_>, bounds: Bounds, others: &[Cluster<'_>], rest: Bounds) {
        let distance = self.distance(cluster.low());
        let mut miss = None;
        if bounds.low < cluster.low() || bounds.high > cluster.high() {
            let last = cluster.high().wrapping_sub(cluster.low());
            let cond = self.compare(Cond::LeU, distance, last);
            let dispatch = self.new_block(cluster.weight());
            let other = self.continuation(others);
            self.terminate(InstData::Branch { cond, if_true: to_block(dispatch), if_false: to_block(other) });
            self.block = dispatch;
            miss = Some(other);
        }
        self.dispatch(cluster, distance);
        if let Some(miss) = miss {
            self.block = miss;
            self.tree(others, rest);
        }
    }

    /// Ends the block with the dense switch of a table; holes go to the default.
    fn dispatch(&mut self, cluster: Cluster<'_>, value: Value) {
        let mut targets: Vec<BlockCall> = Vec::new();
        let mut edges: Vec<(BlockCall, BlockCall)> = Vec::new();
        let mut next = cluster.low();
        for range in cluster.ranges {
            let holes = range.low.wrapping_sub(next) as usize;
            if holes > 0 {
                let default = self.default.clone();
                let hole = self.shared_edge(&mut edges, &default, 0.0);
                targets.extend(std::iter::repeat_n(hole, holes));
            }
            let to = self.shared_edge(&mut edges, &range.to, range.weight);
            let entries = range.high.wrapping_sub(range.low) as usize + 1;
            targets.extend(std::iter::repeat_n(to, entries));
            next = range.high.wrapping_add(1);
        }
        let default = targets.pop().expect("a table has entries");
        let cases = (0..).zip(targets).collect();
        self.terminate(InstData::Switch { ty: self.ty, value, cases, default });
    }

    /// Splits the clusters where the weight is halved.
    fn split(&mut self, clusters: &[Cluster<'_>], total: f32, bounds: Bounds) {
        let mut left_weight = clusters[0].weight();
        let mut at = 1;
        while at + 1 < clusters.len() && left_weight + clusters[at].weight() <= total / 2.0 {
            left_weight += clusters[at].weight();
            at += 1;
        }
        let (left, right) = clusters.split_at(at);
        let pivot = right[0].low();
        let cond = self.compare(Cond::LtS, self.value, pivot);
        let (below, above) = (self.continuation(left), self.continuation(right));
        self.terminate(InstData::Branch { cond, if_true: to_block(below), if_false: to_block(above) });
        self.block = below;
        self.tree(left, Bounds { high: pivot - 1, ..bounds });
        self.block = above;
        self.tree(right, Bounds { low: pivot, ..bounds });
    }

    /// An edge to `to` through a new block, so that it isn't critical.
    fn edge(&mut self, to: &BlockCall, weight: f32) -> BlockCall {
        let block = self.new_block(weight);
        self.func.append(block, InstData::Jump { to: to.clone() }, &[]);
        to_block(block)
    }

    /// The edge to `to` among those of one table, created when first needed.
    fn shared_edge(
        &mut self,
        edges: &mut Vec<(BlockCall, BlockCall)>,
        to: &BlockCall,
        weight: f32,
    ) -> BlockCall {
        if let Some((_, edge)) = edges.iter().find(|(known, _)| known == to) {
            let edge = edge.clone();
            self.func.blocks[edge.block].freq += weight;
            return edge;
        }
        let edge = self.edge(to, weight);
        edges.push((to.clone(), edge.clone()));
        edge
    }

    /// A new block for the decision among `clusters`.
    fn continuation(&mut self, clusters: &[Cluster<'_>]) -> Block {
        let weight: f32 = clusters.iter().map(Cluster::weight).sum();
        self.new_block(weight + self.default_weight)
    }

    fn new_block(&mut self, weight: f32) -> Block {
        let limit = self.func.blocks[self.block].freq;
        let block = self.func.add_block();
        self.func.blocks[block].freq = weight.min(limit);
        block
    }

    fn compare(&mut self, cond: Cond, value: Value, constant: i64) -> Value {
        let constant = self.constant(constant);
        let data = InstData::Icmp { cond, ty: self.ty, args: [value, constant] };
        self.func.append_value(self.block, data, Type::I32)
    }

    /// The value minus `low`.
    fn distance(&mut self, low: i64) -> Value {
        if low == 0 {
            return self.value;
        }
        let low = self.constant(low.wrapping_neg());
        let data = InstData::Binary { op: BinaryOp::Add, ty: self.ty, args: [self.value, low] };
        self.func.append_value(self.block, data, self.ty)
    }

    fn constant(&mut self, value: i64) -> Value {
        let bits = if self.ty == Type::I32 { i64::from(value as i32) } else { value };
        self.func.append_value(self.block, InstData::Const { ty: self.ty, bits }, self.ty)
    }

    fn terminate(&mut self, data: InstData) {
        self.func.append(self.block, data, &[]);
    }
}

fn to_block(block: Block) -> BlockCall {
    BlockCall { block, args: Vec::new() }
}

/// The position of the cluster with the largest weight, the first of equals.
fn heaviest(clusters: &[Cluster<'_>]) -> Option<usize> {
    (0..clusters.len())
        .reduce(|best, n| if clusters[n].weight() > clusters[best].weight() { n } else { best })
}

/// Maximum number of entries of a table.
const MAX_ENTRIES: u64 = 1 << 14;

/// Groups ranges: from each position the longest run that qualifies as a table, else the single range.
fn clusters(ranges: &[Range], limits: SwitchLimits) -> Vec<Cluster<'_>> {
    let mut clusters = Vec::new();
    let mut rest = ranges;
    while !rest.is_empty() {
        let len = table_len(rest, limits).unwrap_or(1);
        let (cluster, after) = rest.split_at(len);
        clusters.push(Cluster { ranges: cluster });
        rest = after;
    }
    clusters
}

/// The number of ranges, from the first on, in the largest table that qualifies. The search stops at [`MAX_ENTRIES`]
/// entries.
fn table_len(ranges: &[Range], limits: SwitchLimits) -> Option<usize> {
    let low = ranges[0].low;
    let mut values = 0u64;
    let mut found = None;
    for (n, range) in ranges.iter().enumerate() {
        let entries = range.high.wrapping_sub(low) as u64;
        if entries >= MAX_ENTRIES {
            break;
        }
        values += range.high.wrapping_sub(range.low) as u64 + 1;
        if limits.allow(n + 1, values, entries + 1) {
            found = Some(n + 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssa::{EntityId, IdVec, SigId};

    const LIMITS: SwitchLimits = SwitchLimits { min_clusters: 4, max_sparsity: 3, bytes: None };

    /// A function that returns a different constant for each case; `case % targets` chooses the target.
    fn function(ty: Type, cases: &[i64], targets: i64) -> Function {
        let mut func = Function::new("f", SigId::new(0));
        let entry = func.add_block();
        let value = func.add_param(entry, ty);
        let blocks: Vec<Block> = (0..=targets).map(|n| returning(&mut func, n)).collect();
        let to = |n: i64| BlockCall { block: blocks[n as usize], args: Vec::new() };
        let cases = cases.iter().map(|&case| (case, to(case.rem_euclid(targets)))).collect();
        func.append(entry, InstData::Switch { ty, value, cases, default: to(targets) }, &[]);
        func
    }

    fn returning(func: &mut Function, n: i64) -> Block {
        let block = func.add_block();
        let value = func.append_value(block, InstData::Const { ty: Type::I32, bits: n }, Type::I32);
        func.append(block, InstData::Return { args: vec![value] }, &[]);
        block
    }

    /// The function's result for `arg`; interprets the instructions that the expansion emits.
    fn run(func: &Function, arg: i64) -> i64 {
        let mut values: IdVec<Value, i64> = IdVec::filled(0, func.values.len());
        let mut block = func.entry();
        values[func.blocks[block].params[0]] = arg;
        loop {
            let narrow = |value: i64, ty| if ty == Type::I32 { i64::from(value as i32) } else { value };
            let unsigned =
                |value: i64, ty| if ty == Type::I32 { u64::from(value as u32) } else { value as u64 };
            for &inst in &func.blocks[block].insts {
                let result = |func: &Function| func.result(inst);
                match &func.insts[inst] {
                    InstData::Const { bits, .. } => values[result(func)] = *bits,
                    InstData::Binary { op: BinaryOp::Add, ty, args: [a, b] } => {
                        values[result(func)] = narrow(values[*a].wrapping_add(values[*b]), *ty);
                    }
                    InstData::Icmp { cond, ty, args: [a, b] } => {
                        let (a, b) = (values[*a], values[*b]);
                        values[result(func)] = i64::from(match cond {
                            Cond::Eq => a == b,
                            Cond::LeS => a <= b,
                            Cond::GeS => a >= b,
                            Cond::LtS => a < b,
                            Cond::LeU => unsigned(a, *ty) <= unsigned(b, *ty),
                            other => panic!("{other:?}"),
                        });
                    }
                    InstData::Jump { to } => block = to.block,
                    InstData::Branch { cond, if_true, if_false } => {
                        block = if values[*cond] == 1 { if_true.block } else { if_false.block };
                    }
                    InstData::Switch { value, cases, default, .. } => {
                        let index = usize::try_from(values[*value]).expect("the range was checked");
                        assert!(index <= cases.len(), "the range was checked");
                        block = cases.get(index).map_or(default, |(_, to)| to).block;
                    }
                    InstData::Return { args } => return values[args[0]],
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn expansion_keeps_the_meaning() {
        let (min, max) = (i64::from(i32::MIN), i64::from(i32::MAX));
        let lists: [Vec<i64>; 9] = [
            vec![],
            vec![5],
            (0..10).collect(),
            (-7..30).filter(|n| n % 3 != 0).collect(),
            vec![min, min + 1, -1, 0, max - 1, max],
            (max - 9..=max).collect(),
            (min..min + 9).chain(100..140).chain([5000, 6000, 7000, 8000, 9000]).collect(),
            (0..60).map(|n| n * n * 5).collect(),
            (0..40).map(|n| n * 1000).collect(),
        ];
        for (cases, ty) in lists.iter().flat_map(|cases| [(cases, Type::I32), (cases, Type::I64)]) {
            for targets in [1, 2, 7] {
                let mut func = function(ty, cases, targets);
                expand(&mut func, LIMITS);
                let probes = cases.iter().flat_map(|&case| [case - 1, case, case + 1]).chain([0, min, max]);
                for probe in probes.filter(|probe| ty == Type::I64 || (min..=max).contains(probe)) {
                    let expected = if cases.contains(&probe) { probe.rem_euclid(targets) } else { targets };
                    assert_eq!(run(&func, probe), expected, "{probe} in {cases:?}");
                }
            }
        }
    }

    #[test]
    fn dense_cases_become_one_table() {
        let mut func = function(Type::I32, &(10..30).collect::<Vec<_>>(), 7);
        expand(&mut func, LIMITS);
        let tables = func.insts.values().filter_map(|inst| match inst {
            InstData::Switch { cases, .. } => Some(cases.len()),
            _ => None,
        });
        // The original instruction is still in the list, but in no block.
        assert_eq!(tables.collect::<Vec<_>>(), [20, 19]);
    }

    #[test]
    fn no_edge_is_critical() {
        let mut func = function(Type::I64, &(0..50).chain([100, 200, 300]).collect::<Vec<_>>(), 5);
        expand(&mut func, LIMITS);
        let mut preds: IdVec<Block, Vec<Block>> = IdVec::filled(Vec::new(), func.blocks.len());
        for block in func.blocks.ids() {
            func.successors(block).into_iter().for_each(|to| preds[to].push(block));
        }
        for block in func.blocks.ids().filter(|&block| func.successors(block).len() > 1) {
            for to in func.successors(block) {
                assert!(preds[to].iter().all(|&pred| pred == block), "{block} -> {to}");
            }
        }
    }
}
