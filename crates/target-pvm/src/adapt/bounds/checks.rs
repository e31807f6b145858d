//! The shape of checks in SSA.
//!
//! A check is a branch. One side leads to a trap, the other continues. If the access may be to the arguments, the condition
//! joins two comparisons: one with the size of memory, and one with [`ssa::Module::host_arguments`].

use ssa::{BinaryOp, Block, Cond, DataId, Function, IdVec, Inst, InstData, TrapCode, Type, Value};

/// The blocks that do nothing but trap because of an access out of bounds.
pub fn failing_blocks(func: &Function) -> IdVec<Block, bool> {
    let mut fails = IdVec::filled(false, func.blocks.len());
    for block in func.reverse_postorder().into_iter().rev() {
        let insts = &func.blocks[block].insts;
        let (last, rest) = insts.split_last().expect("blocks end in terminators");
        fails[block] = rest.iter().all(|&inst| func.insts[inst].is_pure())
            && match &func.insts[*last] {
                InstData::Trap { code } => *code == TrapCode::MemoryOutOfBounds,
                InstData::Jump { to } => fails[to.block],
                _ => false,
            };
    }
    fails
}

/// A boolean value, or its negation.
#[derive(Clone, Copy, Debug)]
pub struct Literal {
    /// The value, 0 or 1.
    pub value: Value,
    /// The value for which it holds.
    pub holds_if: bool,
}

/// A branch that traps on one side.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// It traps if this holds, and the access is not to the arguments.
    pub outside: Literal,
    /// Whether the access is to the arguments, if it may be.
    pub in_arguments: Option<Literal>,
    /// The block on the other side.
    pub next: Block,
}

impl Check {
    /// The check at the end of a block, if there is one. The block that continues has no parameters.
    pub fn at_end(
        func: &Function,
        block: Block,
        fails: &IdVec<Block, bool>,
        arguments: Option<DataId>,
    ) -> Option<Self> {
        let InstData::Branch { cond, if_true, if_false } = &func.insts[func.terminator(block)] else {
            return None;
        };
        let (traps_if, next) = match (fails[if_true.block], fails[if_false.block]) {
            (true, false) => (true, if_false),
            (false, true) => (false, if_true),
            _ => return None,
        };
        let condition = Literal { value: *cond, holds_if: traps_if };
        let (outside, in_arguments) = arguments
            .and_then(|id| join_of(func, condition, id))
            .map_or((condition, None), |(outside, inside)| (outside, Some(inside)));
        next.args.is_empty().then_some(Self { outside, in_arguments, next: next.block })
    }
}

/// Whether a condition for a trap joins a comparison with the limits of the arguments and one other.
pub fn is_argument_check(func: &Function, condition: Literal, arguments: Option<DataId>) -> bool {
    arguments.is_some_and(|id| join_of(func, condition, id).is_some())
}

/// The two comparisons that a condition for a trap joins, if one is with the limits of the arguments. The second holds
/// for accesses to the arguments.
fn join_of(func: &Function, condition: Literal, arguments: DataId) -> Option<(Literal, Literal)> {
    let InstData::Binary { op, ty: Type::I32, args } = func.insts[func.def_inst(condition.value)?] else {
        return None;
    };
    let is_join = if condition.holds_if { op == BinaryOp::And } else { op == BinaryOp::Or };
    let [a, b] = args.map(|value| Literal { value, holds_if: condition.holds_if });
    match (is_join, reads_limit(func, a.value, arguments), reads_limit(func, b.value, arguments)) {
        (true, false, true) => Some((a, negated(func, b)?)),
        (true, true, false) => Some((b, negated(func, a)?)),
        _ => None,
    }
}

/// The negation of a literal, as one about the comparison that it is made of.
fn negated(func: &Function, literal: Literal) -> Option<Literal> {
    let inverse = Literal { holds_if: !literal.holds_if, ..literal };
    match func.insts[func.def_inst(literal.value)?] {
        InstData::Binary { op: BinaryOp::Xor, ty: Type::I32, args: [value, one] }
            if func.as_const(one) == Some(1) =>
        {
            Some(Literal { value, holds_if: literal.holds_if })
        }
        InstData::Icmp { cond: Cond::Eq, args: [value, zero], .. }
            if func.as_const(zero) == Some(0) && func.values[value].ty == Type::I32 =>
        {
            Some(Literal { value, holds_if: literal.holds_if })
        }
        _ => Some(inverse),
    }
}

/// Whether a boolean is a comparison with a limit of the arguments, or the negation of one.
fn reads_limit(func: &Function, value: Value, arguments: DataId) -> bool {
    let Some(def) = func.def_inst(value) else { return false };
    let is_limit = |value: Value| match func.def_inst(value).map(|inst| &func.insts[inst]) {
        Some(InstData::Load { addr, .. }) => addr.base == Some(arguments),
        Some(InstData::Unary { arg, .. }) => func.def_inst(*arg).is_some_and(
            |inst| matches!(&func.insts[inst], InstData::Load { addr, .. } if addr.base == Some(arguments)),
        ),
        _ => false,
    };
    match &func.insts[def] {
        InstData::Binary { op: BinaryOp::Xor, args: [value, _], .. } => reads_limit(func, *value, arguments),
        InstData::Icmp { args: [a, b], .. } => {
            is_limit(*a) || is_limit(*b) || (func.as_const(*b) == Some(0) && reads_limit(func, *a, arguments))
        }
        _ => false,
    }
}

/// Removes the comparison with the limits of the arguments from checks whose operands are no pointers to the arguments.
pub fn drop_argument_checks(func: &mut Function, arguments: DataId, is_pointer: impl Fn(Value) -> bool) {
    let fails = failing_blocks(func);
    let mut dropped = false;
    for block in func.blocks.ids() {
        let Some(check) = Check::at_end(func, block, &fails, Some(arguments)) else { continue };
        let Some(inside) = check.in_arguments else { continue };
        if compares_pointer(func, inside.value, &is_pointer) {
            continue;
        }
        let last = func.terminator(block);
        if let InstData::Branch { cond, .. } = &mut func.insts[last] {
            *cond = check.outside.value;
        }
        dropped = true;
    }
    if dropped {
        ssa::canonicalize(func);
        remove_unused_loads(func, arguments);
    }
}

/// Whether an instruction uses each value.
pub fn used_values(func: &Function) -> IdVec<Value, bool> {
    let mut used = IdVec::filled(false, func.values.len());
    for &inst in func.blocks.values().flat_map(|block| &block.insts) {
        func.insts[inst].for_each_arg(|arg| used[arg] = true);
    }
    used
}

/// Removes loads of a variable whose results are not used.
pub fn remove_unused_loads(func: &mut Function, variable: DataId) {
    let used = used_values(func);
    let (insts, results) = (&func.insts, &func.results);
    let is_unused = |inst: Inst| {
        matches!(&insts[inst], InstData::Load { addr, .. } if addr.base == Some(variable))
            && !used[results[inst][0]]
    };
    func.blocks.values_mut().for_each(|block| block.insts.retain(|&inst| !is_unused(inst)));
}

/// Whether an operand of a comparison may be a pointer to the arguments.
fn compares_pointer(func: &Function, comparison: Value, is_pointer: &impl Fn(Value) -> bool) -> bool {
    let Some(def) = func.def_inst(comparison) else { return true };
    let mut compares = false;
    func.insts[def].for_each_arg(|arg| compares |= is_pointer(arg));
    compares
}
