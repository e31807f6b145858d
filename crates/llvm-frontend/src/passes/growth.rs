//! A budget for inlining.
//!
//! LLVM's inliner weighs every call by itself, and simplifies a function again after each inlining into it.
//! So a caller grows by as many copies as it has calls. In a chain of functions that are called once each, the
//! code of the last is simplified as often as the chain is long.
//!
//! Before inlining, the call graph is walked from callees to callers. For every function two numbers are computed: its
//! size after all calls that LLVM is likely to inline are inlined, and the work, that is instructions times the number
//! of their simplifications. A call is forbidden (`noinline`) if it would make its caller too large or the work too
//! much. The budget is far beyond that of functions in ordinary programs.
//!
//! Every function and call is visited once. Calls on a cycle, to a function that is still open, don't count.

use std::collections::HashMap;

use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::module::{Linkage, Module};
use inkwell::values::{CallSiteValue, FunctionValue, InstructionOpcode};

use super::limits::{MANY_BLOCKS, Size};

/// Maximum instructions of a callee with several callers that may be inlined: LLVM's cost threshold, plus the savings
/// by constant arguments.
const SMALL: usize = 80;
/// Maximum instructions of a callee with one caller that may be inlined.
const SINGLE: usize = 4000;
/// Instructions to which any caller may grow; a larger one may double.
const CALLER: usize = 20_000;
/// Maximum average number of simplifications of a function's code on its way to the last caller.
const ROUNDS: usize = 8;
/// Instructions of a function that are exempt from that maximum.
const FREE: usize = 500;

/// A function with a body.
struct Func<'ctx> {
    /// Calls of functions with a body, by index.
    calls: Vec<(CallSiteValue<'ctx>, usize)>,
    own: Size,
    /// Whether it can be deleted after its only call is inlined.
    is_single: bool,
    /// The result, after the function is visited.
    result: Option<Grown>,
}

/// A function after likely inlining.
#[derive(Clone, Copy)]
struct Grown {
    size: Size,
    /// Instructions simplified on the way.
    work: usize,
}

/// Forbids calls to be inlined that exceed the budget.
pub fn bound_inlining(module: &Module<'_>) {
    let mut funcs = functions(module);
    let kind = Attribute::get_named_enum_kind_id("noinline");
    let noinline = module.get_context().create_enum_attribute(kind, 0);
    for index in callees_first(&funcs) {
        let (grown, forbidden) = grow(&funcs, index);
        for site in forbidden {
            site.add_attribute(AttributeLoc::Function, noinline);
        }
        funcs[index].result = Some(grown);
    }
}

/// The size of a function after likely inlining, and the calls that must not be inlined.
fn grow<'ctx>(funcs: &[Func<'ctx>], index: usize) -> (Grown, Vec<CallSiteValue<'ctx>>) {
    let func = &funcs[index];
    let most_insts = CALLER.max(2 * func.own.insts);
    let most_blocks = MANY_BLOCKS.max(2 * func.own.blocks);
    let (mut size, mut before) = (func.own, 0);
    let mut forbidden = Vec::new();
    for &(site, callee) in &func.calls {
        let callee = &funcs[callee];
        let Some(grown) = callee.result else { continue };
        if grown.size.insts > if callee.is_single { SINGLE } else { SMALL } {
            continue;
        }
        // The callee's entry block becomes part of the caller's block.
        let next = size + Size { blocks: grown.size.blocks - 1, ..grown.size };
        let next_before = before + if callee.is_single { grown.work } else { 0 };
        if next.insts > most_insts
            || next.blocks > most_blocks
            || next_before + next.insts > ROUNDS * next.insts.max(FREE)
        {
            forbidden.push(site);
        } else {
            (size, before) = (next, next_before);
        }
    }
    (Grown { size, work: before + size.insts }, forbidden)
}

/// All functions with a body, in the module's order.
fn functions<'ctx>(module: &Module<'ctx>) -> Vec<Func<'ctx>> {
    let defined: Vec<FunctionValue<'ctx>> =
        module.get_functions().filter(|function| function.count_basic_blocks() > 0).collect();
    let indices: HashMap<FunctionValue<'ctx>, usize> =
        defined.iter().enumerate().map(|(index, &function)| (function, index)).collect();
    let mut funcs: Vec<Func<'ctx>> = defined.iter().map(|&function| measure(function, &indices)).collect();
    let mut counts = vec![0; funcs.len()];
    for func in &funcs {
        func.calls.iter().for_each(|&(_, callee)| counts[callee] += 1);
    }
    for ((func, function), count) in funcs.iter_mut().zip(defined).zip(counts) {
        func.is_single = count == 1 && function.get_linkage() == Linkage::Internal;
    }
    funcs
}

fn measure<'ctx>(function: FunctionValue<'ctx>, indices: &HashMap<FunctionValue<'ctx>, usize>) -> Func<'ctx> {
    let mut func = Func { calls: Vec::new(), own: Size::default(), is_single: false, result: None };
    for block in function.get_basic_block_iter() {
        func.own.blocks += 1;
        for inst in block.get_instructions() {
            func.own.insts += 1;
            if inst.get_opcode() != InstructionOpcode::Call {
                continue;
            }
            let Ok(site) = CallSiteValue::try_from(inst) else { continue };
            let callee = site.get_called_fn_value().and_then(|callee| indices.get(&callee));
            func.calls.extend(callee.map(|&callee| (site, callee)));
        }
    }
    func
}

/// Indices such that callees come before their callers, except on cycles.
fn callees_first(funcs: &[Func<'_>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(funcs.len());
    let mut seen = vec![false; funcs.len()];
    let mut stack = Vec::new();
    for root in 0..funcs.len() {
        if !std::mem::replace(&mut seen[root], true) {
            stack.push((root, 0));
        }
        while let Some((index, next)) = stack.last_mut() {
            let Some(&(_, callee)) = funcs[*index].calls.get(*next) else {
                order.push(*index);
                stack.pop();
                continue;
            };
            *next += 1;
            if !std::mem::replace(&mut seen[callee], true) {
                stack.push((callee, 0));
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use inkwell::context::Context;
    use inkwell::memory_buffer::MemoryBuffer;

    use super::*;

    /// Whether each call may be inlined, in order, after the budget is applied.
    fn allowed(text: &str) -> Vec<bool> {
        let context = Context::create();
        let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "test");
        let module = context.create_module_from_ir(buffer).expect("the text is LLVM IR");
        bound_inlining(&module);
        let kind = Attribute::get_named_enum_kind_id("noinline");
        let calls = functions(&module).into_iter().flat_map(|func| func.calls);
        calls.map(|(site, _)| site.get_enum_attribute(AttributeLoc::Function, kind).is_none()).collect()
    }

    /// Functions of six instructions, each called once, by the next.
    fn chain(length: usize) -> String {
        let mut text = String::from("define internal i32 @f0(i32 %x) {\n ret i32 %x\n}\n");
        for n in 1..=length {
            let linkage = if n == length { "" } else { "internal " };
            let before = n - 1;
            writeln!(
                text,
                "define {linkage}i32 @f{n}(i32 %x) {{
                  %a = mul i32 %x, {n}\n %b = xor i32 %a, %x\n %c = lshr i32 %b, 3\n %d = add i32 %c, %x
                  %e = call i32 @f{before}(i32 %d)\n ret i32 %e\n}}"
            )
            .expect("writing to a string");
        }
        text
    }

    /// A function that calls another of five instructions many times.
    fn caller(calls: usize) -> String {
        let mut text = String::from(
            "define i32 @g(i32 %x) {
              %a = mul i32 %x, %x\n %b = xor i32 %a, %x\n %c = lshr i32 %b, 3\n %d = add i32 %c, %x
              ret i32 %d\n}\ndefine i32 @f(i32 %v0) {\n",
        );
        for n in 0..calls {
            writeln!(text, " %v{} = call i32 @g(i32 %v{n})", n + 1).expect("writing to a string");
        }
        writeln!(text, " ret i32 %v{calls}\n}}").expect("writing to a string");
        text
    }

    #[test]
    fn ordinary_calls_are_left_alone() {
        assert!(allowed(&chain(24)).into_iter().all(|allowed| allowed));
        assert!(allowed(&caller(1000)).into_iter().all(|allowed| allowed));
    }

    #[test]
    fn a_chain_is_cut_into_pieces_of_bounded_length() {
        let allowed = allowed(&chain(2000));
        let longest = allowed.split(|allowed| !allowed).map(<[bool]>::len).max().unwrap_or(0);
        // The last of 36 functions of six instructions has been simplified 36 times: 3996 instructions of work,
        // where 8 times 500 are free.
        assert_eq!(longest, 35);
    }

    #[test]
    fn a_caller_does_not_grow_without_bound() {
        let inlined = |calls: usize| allowed(&caller(calls)).into_iter().filter(|allowed| *allowed).count();
        assert_eq!(inlined(3000), 3000, "3001 instructions may become 18001");
        assert_eq!(inlined(4000), 3199, "4001 instructions may become 20000");
        assert_eq!(inlined(20_000), 4000, "20001 instructions may double");
    }
}
