//! Proofs that functions fill, copy or compare memory byte by byte.
//!
//! [`paths`] gives all paths of a function. Each must equal the operation under the conditions of the path:
//! - without a loop, the length is zero, and nothing is accessed;
//! - with a loop, iteration k accesses byte k of the ranges (or byte `length - 1 - k`), and the loop ends after
//!   `length` iterations. That is so if it ends when `k = length` before the access, or when
//!   `k + 1 = length` after it, and in that case the length is not zero.
//!
//! Accesses and their order are then those of the specification of the operation, for all lengths and
//! addresses. A range that wraps around the end of the address space is not inside of memory, so the body
//! traps at a byte of it, and the operation traps, too. The order of reads and writes decides about overlap: a
//! loop upwards moves if the destination is not after the source within the length, a loop downwards if it is
//! not before.

mod paths;

use std::collections::BTreeSet;

use wasmparser::Operator;

use super::{Domain, Libcall, Operation};
use crate::module_info::{ModuleInfo, ValueType};
use paths::{Code, End, Event, Fact, K, Line, Path, Relation, Value};

/// Bodies with more operators are given up.
const MAX_OPERATORS: usize = 300;
/// Functions with more locals are given up.
const MAX_LOCALS: usize = 32;

/// The helper that a function with three parameters and a result is proven to be.
pub fn prove(info: &ModuleInfo, wasm: &[u8], function: u32) -> Option<Libcall> {
    let paths = paths::paths(&decode(info, wasm, function)?)?;
    let candidates = [Operation::Memset, Operation::Memcmp, Operation::Memmove, Operation::Memcpy];
    let operation = candidates.into_iter().find(|operation| does(&paths, *operation))?;
    let domain = Domain { apart: operation == Operation::Memcpy, ..Domain::ALL };
    Some(Libcall { operation, domain })
}

fn decode<'a>(info: &ModuleInfo, wasm: &'a [u8], function: u32) -> Option<Code<'a>> {
    let body = info.body(wasm, function);
    let mut locals = 3;
    for group in body.get_locals_reader().ok()? {
        let (count, ty) = group.ok()?;
        (crate::module_info::value_type(ty) == ValueType::I32).then_some(())?;
        locals += count as usize;
        (locals <= MAX_LOCALS).then_some(())?;
    }
    let mut ops = Vec::new();
    for op in body.get_operators_reader().ok()? {
        ops.push(op.ok()?);
        (ops.len() <= MAX_OPERATORS).then_some(())?;
    }
    let ends = match_ends(&ops)?;
    // The last `end` is that of the function.
    ops.pop();
    Some(Code { ops, ends, locals })
}

/// For each operator that opens a frame, the number of its `end`, and of its `else` if it has one. The entry of an
/// `else` has the number of that `end`, too. `None` for code with handlers of exceptions, which no helper has.
pub(super) fn match_ends(ops: &[Operator<'_>]) -> Option<Vec<(usize, Option<usize>)>> {
    let mut ends = vec![(0, None); ops.len()];
    let mut open = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        match op {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => open.push(at),
            Operator::Try { .. } | Operator::TryTable { .. } => return None,
            Operator::Else => {
                if let Some(&start) = open.last() {
                    ends[start].1 = Some(at);
                }
            }
            Operator::End => {
                if let Some(start) = open.pop() {
                    ends[start].0 = at;
                    if let Some(otherwise) = ends[start].1 {
                        ends[otherwise].0 = at;
                    }
                }
            }
            _ => {}
        }
    }
    Some(ends)
}

const TO: usize = 0;
const FROM: usize = 1;
const LENGTH: usize = 2;

/// The direction of a loop through the ranges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// Whether all paths equal the operation.
fn does(paths: &[Path], operation: Operation) -> bool {
    let is_quiet = |path: &Path| path.before.events.is_empty() && path.after.events.is_empty();
    let loops: BTreeSet<usize> = paths.iter().filter_map(|path| path.in_loop).collect();
    let mut straight = paths.iter().filter(|path| path.in_loop.is_none());
    !loops.is_empty()
        && paths.iter().all(is_quiet)
        && straight
            .all(|path| path.before.facts.iter().any(|fact| is_zero(*fact)) && returns_equal(path, operation))
        && loops.into_iter().all(|number| {
            let paths: Vec<&Path> = paths.iter().filter(|path| path.in_loop == Some(number)).collect();
            loop_does(&paths, operation)
        })
}

/// Whether a path returns the operation's result for equal ranges.
fn returns_equal(path: &Path, operation: Operation) -> bool {
    let value = if operation == Operation::Memcmp { Line::number(0) } else { Line::symbol(TO) };
    path.end == End::Return(Value::Line(value))
}

/// Whether the paths of one loop equal the operation.
///
/// There is one way back to the loop. It makes the accesses of one iteration and passes a test that holds for the
/// first time when all is done; each other path leaves the loop by such a test, or because bytes differ.
fn loop_does(paths: &[&Path], operation: Operation) -> bool {
    let (back, exits): (Vec<&Path>, Vec<&Path>) =
        paths.iter().copied().partition(|path| matches!(path.end, End::Again(_)));
    let [back] = back[..] else { return false };
    let Some(whole) = whole_iteration(back, operation) else { return false };
    let is_passed = |test: Fact| back.inside.facts.contains(&test.negated());
    let tests = || back.inside.facts.iter().map(|fact| fact.negated());
    let top = tests().find(|test| is_over(*test, 0));
    let is_nonempty = back.before.facts.iter().any(|fact| is_nonzero(*fact));
    let ends = top.is_some() || is_nonempty && tests().any(|test| is_over(test, 1));
    let compares = operation != Operation::Memcmp || tests().any(differ);
    let leaves = |path: &&Path| {
        let Some(&last) = path.inside.facts.last() else { return false };
        let (is_whole, is_untouched) = (path.inside.events == whole, path.inside.events.is_empty());
        if operation == Operation::Memcmp && differ(last) {
            // Before the top test, the bytes compared may be those after the last.
            let is_in_range = top.is_none_or(|top| path.inside.facts.contains(&top.negated()));
            return is_whole && is_in_range && returns_difference(path);
        }
        let is_end = is_untouched && is_over(last, 0) || is_whole && is_nonempty && is_over(last, 1);
        is_end && is_passed(last) && returns_equal(path, operation)
    };
    ends && compares && exits.iter().all(leaves)
}

/// The accesses of one iteration, if those on the way back are of an operation whose loop may go that way.
fn whole_iteration(back: &Path, operation: Operation) -> Option<Vec<Event>> {
    let may = |way: &Way| match operation {
        Operation::Memmove => back.before.facts.iter().any(|fact| allows(*fact, *way)),
        Operation::Memcmp => *way == Way::Up,
        _ => true,
    };
    let ways = [Way::Up, Way::Down].into_iter().filter(may);
    ways.map(|way| iteration(operation, way)).find(|whole| back.inside.events == *whole)
}

/// The accesses of iteration k.
fn iteration(operation: Operation, way: Way) -> Vec<Event> {
    let offset = match way {
        Way::Up => Line::symbol(K),
        Way::Down => Line::symbol(LENGTH).minus(Line::symbol(K)).minus(Line::number(1)),
    };
    let (to, from) = (Line::symbol(TO).plus(offset, 1), Line::symbol(FROM).plus(offset, 1));
    match operation {
        Operation::Memset => vec![Event::Store(to, Value::Line(Line::symbol(FROM)))],
        Operation::Memcmp => vec![Event::Load(to), Event::Load(from)],
        _ => vec![Event::Load(from), Event::Store(to, Value::Byte(from))],
    }
}

/// Whether the fact says that the length is zero.
fn is_zero(fact: Fact) -> bool {
    fact.relation == Relation::Eq && is_plus_or_minus(fact.a.minus(fact.b), Line::symbol(LENGTH))
}

fn is_nonzero(fact: Fact) -> bool {
    let is_less =
        fact.relation == Relation::LtU && fact.a == Line::number(0) && fact.b == Line::symbol(LENGTH);
    is_less || fact.relation == Relation::Ne && is_plus_or_minus(fact.a.minus(fact.b), Line::symbol(LENGTH))
}

fn is_plus_or_minus(line: Line, of: Line) -> bool {
    line == of || line == Line::number(0).minus(of)
}

/// Whether the fact holds in iteration k for the first time when `k + done` is the length.
fn is_over(fact: Fact, done: u32) -> bool {
    let count = Line::symbol(K).plus(Line::number(done), 1);
    match fact.relation {
        Relation::Eq => is_plus_or_minus(fact.a.minus(fact.b), Line::symbol(LENGTH).minus(count)),
        Relation::GeU => fact.a == count && fact.b == Line::symbol(LENGTH),
        _ => false,
    }
}

/// Whether moving this way is right for all ranges that the fact allows.
fn allows(fact: Fact, way: Way) -> bool {
    let (to, from, length) = (Line::symbol(TO), Line::symbol(FROM), Line::symbol(LENGTH));
    let distance = to.minus(from);
    match way {
        // The source is not before the destination, or too far before it.
        Way::Up => {
            fact.relation == Relation::GeU && (fact.a, fact.b) == (from, to)
                || fact.relation == Relation::LtU && (fact.a, fact.b) == (to, from)
                || fact.relation == Relation::GeU && (fact.a, fact.b) == (distance, length)
        }
        Way::Down => {
            fact.relation == Relation::LtU && (fact.a, fact.b) == (from, to)
                || fact.relation == Relation::GeU && (fact.a, fact.b) == (to, from)
                || fact.relation == Relation::LtU && (fact.a, fact.b) == (distance, length)
        }
    }
}

/// Whether the fact says that the bytes of this iteration differ.
fn differ(fact: Fact) -> bool {
    let events = iteration(Operation::Memcmp, Way::Up);
    let sides = [Event::Load(fact.a), Event::Load(fact.b)];
    fact.relation == Relation::BytesNe && (sides[..] == events || [sides[1], sides[0]][..] == events)
}

fn returns_difference(path: &Path) -> bool {
    let [Event::Load(a), Event::Load(b)] = iteration(Operation::Memcmp, Way::Up)[..] else { return false };
    path.end == End::Return(Value::Difference(a, b))
}
