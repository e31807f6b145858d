//! Values that differ by a constant: sharing one of them.
//!
//! LLVM turns one address into several values: a pointer that is advanced by itself beside the index it is computed from, or
//! two addresses of which only one is compared with a bound. Constants can be part of an access, so one value is enough.
//!
//! Every `i32` is a linear [`Form`] of other values, modulo 2^32. Two parameters of a block differ by a constant if
//! their arguments do on every edge, provided that they do themselves where an argument depends on them: an induction
//! over the visits of the block. The second is replaced by the sum of the first and the constant. Then the index of an
//! access is replaced by an earlier value with the same form but for the constant. Termination: a bounded
//! number of walks over the function.

use std::collections::BTreeMap;

use ssa::cfg::{Cfg, Graph};
use ssa::{BinaryOp, Block, Dominators, Function, IdVec, InstData, Type, Value};

/// Maximum number of terms of a form; a longer sum is a value of its own.
const MAX_TERMS: usize = 4;
/// Maximum number of parameters of a block that are compared with each other.
const MAX_PARAMS: usize = 16;
/// Maximum number of parameters of a function that are replaced, since each walks over the function.
const MAX_REPLACED: usize = 64;

/// A sum of values times factors, and a constant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Form {
    /// Sorted by value; no factor is 0.
    pub terms: Vec<(Value, u32)>,
    /// The constant.
    pub constant: u32,
}

impl Form {
    fn value(value: Value) -> Self {
        Self { terms: vec![(value, 1)], constant: 0 }
    }

    fn constant(constant: u32) -> Self {
        Self { terms: Vec::new(), constant }
    }

    /// `self + factor * other`.
    fn plus(&self, factor: u32, other: &Self) -> Self {
        let mut terms: BTreeMap<Value, u32> = self.terms.iter().copied().collect();
        for &(value, times) in &other.terms {
            let sum = terms.entry(value).or_default();
            *sum = sum.wrapping_add(factor.wrapping_mul(times));
        }
        Self {
            terms: terms.into_iter().filter(|&(_, times)| times != 0).collect(),
            constant: self.constant.wrapping_add(factor.wrapping_mul(other.constant)),
        }
    }

    /// This form with the sum of another value and a constant in place of a value.
    fn substitute(&self, value: Value, by: Value, constant: u32) -> Self {
        let Some(&(_, times)) = self.terms.iter().find(|&&(term, _)| term == value) else {
            return self.clone();
        };
        let difference = Self { terms: vec![(value, 1)], constant: 0 };
        let replacement = Self { terms: vec![(by, 1)], constant };
        self.plus(times.wrapping_neg(), &difference).plus(times, &replacement)
    }
}

/// Replaces values of a function by sums of others and constants.
pub fn share(func: &mut Function) {
    let cfg = Cfg::new(func);
    let order = func.reverse_postorder();
    let changed = share_params(func, &cfg, &order);
    let changed = share_indices(func, &order) || changed;
    if changed {
        ssa::canonicalize(func);
    }
}

/// The forms of all values, in terms of block parameters and results of other instructions.
pub fn forms(func: &Function, order: &[Block]) -> IdVec<Value, Form> {
    let mut forms: IdVec<Value, Form> = func.values.ids().map(Form::value).collect();
    for &inst in order.iter().flat_map(|&block| &func.blocks[block].insts) {
        let form = match &func.insts[inst] {
            InstData::Const { ty: Type::I32, bits } => Form::constant(*bits as u32),
            InstData::Binary { op, ty: Type::I32, args: [a, b] } => {
                let (a, b) = (&forms[*a], &forms[*b]);
                match op {
                    BinaryOp::Add => a.plus(1, b),
                    BinaryOp::Sub => a.plus(u32::MAX, b),
                    BinaryOp::Shl if b.terms.is_empty() && b.constant < 32 => {
                        Form::default().plus(1 << b.constant, a)
                    }
                    _ => continue,
                }
            }
            _ => continue,
        };
        if form.terms.len() <= MAX_TERMS {
            forms[func.result(inst)] = form;
        }
    }
    forms
}

/// Replaces parameters that differ from others of their block by constants. Returns whether there were any.
fn share_params(func: &mut Function, cfg: &Cfg, order: &[Block]) -> bool {
    let mut replaced = 0;
    let mut forms = forms(func, order);
    for &block in order {
        if block == func.entry() || cfg.predecessors(block).is_empty() || replaced == MAX_REPLACED {
            continue;
        }
        let params: Vec<usize> = (0..func.blocks[block].params.len().min(MAX_PARAMS)).collect();
        let mut shared: Vec<usize> = Vec::new();
        for &second in &params {
            let first = params.iter().take(second).filter(|first| !shared.contains(first));
            let found = first
                .copied()
                .find_map(|first| Some((first, difference(func, cfg, &forms, block, first, second)?)));
            let Some((first, constant)) = found else { continue };
            shared.push(second);
            let (first, second) = (func.blocks[block].params[first], func.blocks[block].params[second]);
            replace_param(func, block, second, first, constant);
            forms = self::forms(func, order);
            replaced += 1;
            if replaced == MAX_REPLACED {
                break;
            }
        }
    }
    replaced > 0
}

/// The constant by which a parameter differs from an earlier one, if it always does.
fn difference(
    func: &Function,
    cfg: &Cfg,
    forms: &IdVec<Value, Form>,
    block: Block,
    first: usize,
    second: usize,
) -> Option<u32> {
    let [p, q] = [first, second].map(|n| func.blocks[block].params[n]);
    if func.values[p].ty != Type::I32 || func.values[q].ty != Type::I32 {
        return None;
    }
    let mut differences = Vec::new();
    for &pred in cfg.predecessors(block) {
        for to in func.insts[func.terminator(pred)].successors() {
            if to.block == block {
                let [of_p, of_q] = [first, second].map(|n| forms.get(to.args[n]));
                differences.push(of_q?.plus(u32::MAX, of_p?));
            }
        }
    }
    let constant = differences.iter().find(|form| form.terms.is_empty())?.constant;
    let holds = |form: &Form| form.substitute(q, p, constant) == Form::constant(constant);
    differences.iter().all(holds).then_some(constant)
}

/// Replaces the uses of a parameter by the sum of another and a constant.
fn replace_param(func: &mut Function, block: Block, param: Value, by: Value, constant: u32) {
    let bits = i64::from(constant as i32);
    let number = func.make_inst(InstData::Const { ty: Type::I32, bits }, &[Type::I32]);
    let args = [by, func.result(number)];
    let sum = func.make_inst(InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args }, &[Type::I32]);
    let result = func.result(sum);
    for inst in func.insts.values_mut() {
        inst.map_args(|arg| if arg == param { result } else { arg });
    }
    func.blocks[block].insts.splice(0..0, [number, sum]);
}

/// A value that others may be replaced by.
struct Leader {
    value: Value,
    constant: u32,
    block: Block,
}

/// Replaces indices of accesses by earlier values with the same terms. Returns whether there were any.
fn share_indices(func: &mut Function, order: &[Block]) -> bool {
    let (forms, dominators) = (forms(func, order), Dominators::new(func));
    let mut leaders: BTreeMap<Vec<(Value, u32)>, Vec<Leader>> = BTreeMap::new();
    let mut changed = false;
    for &block in order {
        for inst in func.blocks[block].insts.clone() {
            if let InstData::Load { addr, .. } | InstData::Store { addr, .. } = &mut func.insts[inst]
                && let Some(index) = addr.index
                && let Form { terms, constant } = &forms[index]
                && terms.len() > 1
            {
                let mut known = leaders.get(terms).into_iter().flatten();
                let leader = known.find(|leader| dominators.dominates(leader.block, block));
                if let Some(leader) = leader.filter(|leader| leader.value != index) {
                    let distance = constant.wrapping_sub(leader.constant) as i32;
                    (addr.index, addr.offset) = (Some(leader.value), addr.offset.wrapping_add(distance));
                    changed = true;
                }
            }
            for &result in &func.results[inst] {
                let Form { terms, constant } = &forms[result];
                if terms.len() > 1 {
                    let leader = Leader { value: result, constant: *constant, block };
                    leaders.entry(terms.clone()).or_default().push(leader);
                }
            }
        }
    }
    changed
}
