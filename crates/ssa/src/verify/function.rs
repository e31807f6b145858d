//! Structural checks of a function: ids, blocks, edges and dominance.

use super::{Fault, types};
use crate::cfg::{Cfg, Graph};
use crate::dominators::Dominators;
use crate::{Block, DataKind, EntityId, Function, IdVec, Inst, InstData, Module, Value, ValueData, ValueDef};

pub(super) fn verify(module: &Module, func: &Function) -> Result<(), Fault> {
    let places = Places::new(func)?;
    check_params(module, func)?;
    check_frame(func)?;
    for (block, data) in func.blocks.iter() {
        for &inst in &data.insts {
            check_results(func, inst).map_err(|message| Fault::at(block, inst, message))?;
            check_references(module, func, inst).map_err(|message| Fault::at(block, inst, message))?;
            types::check_inst(module, func, inst).map_err(|message| Fault::at(block, inst, message))?;
        }
    }
    let cfg = Cfg::new(func);
    let dominators = Dominators::of_graph(&cfg, func.entry());
    check_edges(func, &cfg, &dominators)?;
    check_dominance(func, &places, &dominators)
}

/// The location of each instruction in the function.
struct Places {
    /// Block and position in it, for instructions that are in a block.
    inst: IdVec<Inst, Option<(Block, u32)>>,
}

impl Places {
    /// Checks that blocks hold existing, distinct instructions and end in their only terminator.
    fn new(func: &Function) -> Result<Self, Fault> {
        if func.blocks.is_empty() {
            return Err(Fault::new("it has no entry block"));
        }
        if func.results.len() != func.insts.len() {
            return Err(Fault::new("the tables of instructions and results differ in length"));
        }
        let mut inst_places = IdVec::filled(None, func.insts.len());
        for (block, data) in func.blocks.iter() {
            if !(data.freq.is_finite() && data.freq >= 0.0) {
                return Err(Fault::in_block(
                    block,
                    format!("frequency {} isn't a number of executions", data.freq),
                ));
            }
            for (&inst, position) in data.insts.iter().zip(0..) {
                if func.insts.get(inst).is_none() {
                    return Err(Fault::in_block(block, format!("{inst} doesn't exist")));
                }
                if inst_places[inst].replace((block, position)).is_some() {
                    return Err(Fault::at(block, inst, "the instruction occurs twice"));
                }
                let last = position as usize + 1 == data.insts.len();
                if func.insts[inst].is_terminator() != last {
                    let what =
                        if last { "the block has no terminator" } else { "a terminator inside of a block" };
                    return Err(Fault::at(block, inst, what));
                }
            }
            if data.insts.is_empty() {
                return Err(Fault::in_block(block, "the block is empty"));
            }
        }
        Ok(Self { inst: inst_places })
    }
}

/// Checks that block parameters are defined as such, and that those of the entry match the signature.
fn check_params(module: &Module, func: &Function) -> Result<(), Fault> {
    for (block, data) in func.blocks.iter() {
        for (&value, n) in data.params.iter().zip(0..) {
            let def = func.values.get(value).map(|v| v.def);
            if def != Some(ValueDef::Param(block, n)) {
                return Err(Fault::in_block(
                    block,
                    format!("parameter {value} isn't defined as one: {def:?}"),
                ));
            }
        }
    }
    let Some(sig) = module.signatures.get(func.sig) else {
        return Err(Fault::new(format!("{} doesn't exist", func.sig)));
    };
    let params = func.blocks[func.entry()].params.iter();
    if !params.map(|&v| func.values[v].ty).eq(sig.params.iter().copied()) {
        return Err(Fault::new(format!("the entry block's parameters aren't those of {sig}")));
    }
    Ok(())
}

fn check_frame(func: &Function) -> Result<(), Fault> {
    for (slot, data) in func.frame_slots.iter() {
        if !data.align.is_power_of_two() || data.align > 16 {
            return Err(Fault::new(format!(
                "{slot}: alignment {} isn't a power of two up to 16",
                data.align
            )));
        }
    }
    Ok(())
}

/// Checks that the addresses of frame slots are addresses of linear memory: those of a shadow stack that is fused with
/// the machine stack.
pub fn check_addresses(module: &Module, func: &Function) -> Result<(), Fault> {
    let native = module.data.values().any(|object| match &object.kind {
        DataKind::Memory(memory) => memory.native_stack.is_some(),
        _ => false,
    });
    // A slot without an address only makes the frame larger.
    let mut insts = func.blocks.values().flat_map(|block| &block.insts);
    let takes_address = insts.any(|&inst| matches!(func.insts[inst], InstData::FrameAddr { .. }));
    if native || !takes_address {
        return Ok(());
    }
    Err(Fault::new("it takes the address of a frame slot, but the linear memory has no native stack"))
}

/// Checks that results have consecutive ids and are defined by their instruction.
fn check_results(func: &Function, inst: Inst) -> Result<(), String> {
    let results = &func.results[inst];
    for (&value, n) in results.iter().zip(0u32..) {
        match func.values.get(value) {
            Some(ValueData { def, .. }) if *def == ValueDef::Result(inst, n) => {}
            _ => return Err(format!("result {value} isn't defined as result {n}")),
        }
        if value.index() != results[0].index() + n as usize {
            return Err("results don't have consecutive ids".to_owned());
        }
    }
    Ok(())
}

/// Checks that every id in an instruction exists.
fn check_references(module: &Module, func: &Function, inst: Inst) -> Result<(), String> {
    let data = &func.insts[inst];
    let mut missing = None;
    data.for_each_arg(|value| {
        if func.values.get(value).is_none() {
            missing = Some(format!("{value} doesn't exist"));
        }
    });
    for to in data.successors() {
        if func.blocks.get(to.block).is_none() {
            missing = Some(format!("{} doesn't exist", to.block));
        }
    }
    if let InstData::FrameAddr { slot } = data
        && func.frame_slots.get(*slot).is_none()
    {
        return Err(format!("{slot} doesn't exist"));
    }
    if let Some(callee) = data.func() {
        super::check_func(module, callee)?;
    }
    if let Some(sig) = data.sig().filter(|&sig| module.signatures.get(sig).is_none()) {
        return Err(format!("{sig} doesn't exist"));
    }
    if let Some(object) = data.object().filter(|&object| module.data.get(object).is_none()) {
        return Err(format!("{object} doesn't exist"));
    }
    missing.map_or(Ok(()), Err)
}

/// Checks that the entry has no predecessors, every block is reachable, and no edge is critical.
fn check_edges(func: &Function, cfg: &Cfg, dominators: &Dominators) -> Result<(), Fault> {
    if let Some(pred) = cfg.predecessors(func.entry()).first() {
        return Err(Fault::in_block(*pred, "an edge leads to the entry block"));
    }
    for block in func.blocks.ids() {
        if !dominators.is_reachable(block) {
            return Err(Fault::in_block(block, "the block is unreachable"));
        }
        let preds = cfg.predecessors(block);
        let joins = preds.windows(2).any(|pair| pair[0] != pair[1]);
        let repeated = preds.len() > 1 && !func.blocks[block].params.is_empty();
        if !(joins || repeated) {
            continue;
        }
        if let Some(pred) = preds.iter().find(|&&pred| cfg.successors(pred).len() > 1) {
            return Err(Fault::in_block(*pred, format!("the edge to {block} is critical")));
        }
    }
    Ok(())
}

fn check_dominance(func: &Function, places: &Places, dominators: &Dominators) -> Result<(), Fault> {
    for (block, data) in func.blocks.iter() {
        for (&inst, position) in data.insts.iter().zip(0u32..) {
            let mut fault = None;
            func.insts[inst].for_each_arg(|value| {
                if !is_available(func, places, dominators, value, (block, position)) {
                    fault =
                        Some(Fault::at(block, inst, format!("{value} isn't defined on every path to here")));
                }
            });
            if let Some(fault) = fault {
                return Err(fault);
            }
        }
    }
    Ok(())
}

/// Whether `value` is defined before this position of `block` on every path from the entry.
fn is_available(
    func: &Function,
    places: &Places,
    dominators: &Dominators,
    value: Value,
    (block, position): (Block, u32),
) -> bool {
    match func.values[value].def {
        ValueDef::Param(home, n) => {
            let is_param = func.blocks.get(home).is_some_and(|b| b.params.get(n as usize) == Some(&value));
            is_param && dominators.dominates(home, block)
        }
        ValueDef::Result(inst, n) => {
            let is_result = func.results.get(inst).is_some_and(|r| r.get(n as usize) == Some(&value));
            match places.inst.get(inst) {
                Some(&Some((home, at))) if is_result => {
                    if home == block {
                        at < position
                    } else {
                        dominators.dominates(home, block)
                    }
                }
                _ => false,
            }
        }
    }
}
