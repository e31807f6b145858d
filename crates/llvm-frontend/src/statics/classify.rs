//! Telling addresses from numbers.
//!
//! Every constant that could be an address of static data is a call of [`names::LITERAL`] here. What becomes of its
//! result, through additions, alignment masks, phis and selects, gives signs:
//!
//! | use | sign |
//! |---|---|
//! | index of an address that is loaded from, stored to, copied or filled | address |
//! | multiplied, divided, shifted, a mask or toggle, converted, a case of a switch | number |
//! | compared with something that is itself an address | none |
//! | compared with anything else but 0 | number |
//! | subtracted from something | none |
//! | stored, passed, returned, widened | weak |
//!
//! An address is what has the sign of an address and none of a number; and what has only weak signs, unless the same
//! constant is a number elsewhere in the function. What has no sign of an address is a number. Everything else is refused.
//!
//! In a sum that is used as an address, the constant is the address and the other operand an index: no offset from a
//! pointer is as large as [`LARGEST_OFFSET`]. Where static data begins below that, the other operand must be seen to be an
//! index (scaled, masked, widened, or a sum of such). What is made of two addresses is refused.

use std::collections::{BTreeSet, HashSet};

use inkwell::module::Module;
use inkwell::values::{AnyValueEnum, BasicValue};

use crate::error::Error;
use crate::module_info::ModuleInfo;
use crate::names;
use crate::passes;
use crate::program::Program;
use crate::read::raw::{self, Opcode};

/// Fields and elements at constant offsets from a pointer are nearer than this.
const LARGEST_OFFSET: u32 = 1 << 16;
/// Values that are followed to find out what one is compared with.
const MAX_STEPS: usize = 256;

/// One constant.
struct Literal {
    value: u32,
    offset: usize,
    function: u32,
    signs: Signs,
}

/// What speaks for what.
#[derive(Clone, Copy, Default)]
struct Signs {
    address: bool,
    number: bool,
    weak: bool,
    doubtful: bool,
}

/// Replaces all literals by addresses or numbers.
///
/// # Errors
/// A literal that has signs of both.
pub fn resolve(module: &Module<'_>, program: &Program<'_>) -> Result<(), Error> {
    if module.get_function(names::LITERAL).is_none() {
        return Ok(());
    }
    passes::promote(module, program.options.target);
    let start = program.statics.as_ref().map_or(0, |plan| plan.start);
    let literals = literals(module, start);
    let numbers: BTreeSet<(u32, u32)> = literals
        .iter()
        .filter(|literal| literal.signs.number && !literal.signs.address)
        .map(|literal| (literal.function, literal.value))
        .collect();
    let verdict = |literal: &Literal| {
        let Signs { address, number, weak, doubtful } = literal.signs;
        let is_number_elsewhere = numbers.contains(&(literal.function, literal.value));
        if address && number || doubtful || weak && !number && !address && is_number_elsewhere {
            return Err(unclear(program.info, literal));
        }
        Ok(address || weak && !number)
    };
    // The first unclear one in the order of the code is the error.
    let mut verdicts = Vec::with_capacity(literals.len());
    let mut errors = Vec::new();
    for literal in &literals {
        match verdict(literal) {
            Ok(is_address) => verdicts.push(is_address),
            Err(error) => errors.push((literal.offset, error)),
        }
    }
    if let Some((_, error)) = errors.into_iter().min_by_key(|(offset, _)| *offset) {
        return Err(error);
    }
    report(program.info, &literals, &verdicts);
    replace(module, &literals, &verdicts);
    Ok(())
}

fn unclear(info: &ModuleInfo, literal: &Literal) -> Error {
    Error::Unsupported {
        function: Some(info.function_name(literal.function)),
        offset: literal.offset,
        what: format!(
            "the constant {} could be an address of static data or a number; linear memory at a symbol needs no decision",
            literal.value
        ),
    }
}

fn report(info: &ModuleInfo, literals: &[Literal], verdicts: &[bool]) {
    for (literal, &is_address) in literals.iter().zip(verdicts) {
        if !is_address && !literal.signs.number {
            // Nothing depends on it.
            continue;
        }
        let (function, offset) = (info.function_name(literal.function), literal.offset);
        let what = if is_address { "address" } else { "number" };
        tracing::info!(
            function,
            offset,
            value = literal.value,
            "a constant in the range of static data is: {what}"
        );
    }
}

/// All literals, in the order of the uses of the function they call.
fn literals(module: &Module<'_>, start: u32) -> Vec<Literal> {
    let raw = raw::Module::new(module);
    let function = raw.functions().find(|function| function.name() == names::LITERAL);
    let calls = function.into_iter().flat_map(raw::Value::users);
    let argument = |call: raw::Value<'_>, n: usize| {
        call.arguments().get(n).and_then(|arg| arg.const_int()).expect("a literal has three constants") as u32
    };
    calls
        .map(|call| Literal {
            value: argument(call, 0),
            offset: argument(call, 1) as usize,
            function: argument(call, 2),
            signs: signs(call, start),
        })
        .collect()
}

/// Follows a value to what becomes of it. Every value is visited once.
fn signs(literal: raw::Value<'_>, start: u32) -> Signs {
    let is_near = start < LARGEST_OFFSET;
    let mut signs = Signs::default();
    let mut seen = HashSet::from([literal]);
    let mut pending = vec![literal];
    while let Some(value) = pending.pop() {
        for user in value.users() {
            let other = || user.operands().find(|operand| *operand != value);
            let goes_on = match user.opcode() {
                Some(Opcode::LLVMAdd) => {
                    let other = other();
                    signs.doubtful |= other.is_some_and(is_derived);
                    signs.doubtful |= is_near && other.is_some_and(|other| !is_index(other, start));
                    true
                }
                Some(Opcode::LLVMICmp) => {
                    signs.number |= other().is_some_and(|other| !compares_as_address(other));
                    false
                }
                Some(Opcode::LLVMGetElementPtr) => {
                    signs.address = true;
                    if value == literal
                        && let Some(index) = inner_index(user)
                    {
                        signs.doubtful |= is_derived(index) || is_near && !is_index(index, start);
                    }
                    false
                }
                Some(Opcode::LLVMAnd) => {
                    let mask = other().and_then(raw::Value::const_int);
                    signs.number |= mask.is_none();
                    mask.is_some_and(is_alignment)
                }
                Some(Opcode::LLVMSub) => user.operand(0) == value && !is_derived(user.operand(1)),
                Some(Opcode::LLVMPHI | Opcode::LLVMSelect | Opcode::LLVMFreeze | Opcode::LLVMOr) => true,
                Some(
                    Opcode::LLVMStore
                    | Opcode::LLVMCall
                    | Opcode::LLVMRet
                    | Opcode::LLVMInsertValue
                    | Opcode::LLVMZExt,
                ) => {
                    signs.weak = true;
                    false
                }
                _ => {
                    signs.number = true;
                    false
                }
            };
            if goes_on && seen.insert(user) {
                pending.push(user);
            }
        }
    }
    signs
}

/// The index of the pointer that another index is added to.
fn inner_index(gep: raw::Value<'_>) -> Option<raw::Value<'_>> {
    let pointer = gep.operand(0);
    (pointer.opcode() == Some(Opcode::LLVMGetElementPtr)).then(|| pointer.operand(1))
}

/// Whether a value is seen to be an index: it is scaled, masked or widened, or a choice or sum of such and constants.
fn is_index(value: raw::Value<'_>, start: u32) -> bool {
    let mut seen = HashSet::from([value]);
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        if seen.len() > MAX_STEPS {
            return false;
        }
        let inputs: Vec<raw::Value<'_>> = match value.opcode() {
            Some(
                Opcode::LLVMShl | Opcode::LLVMMul | Opcode::LLVMLShr | Opcode::LLVMURem | Opcode::LLVMZExt,
            ) => continue,
            Some(Opcode::LLVMAnd) => {
                let mask = value.operands().find_map(raw::Value::const_int);
                if mask.is_some_and(|mask| mask < u128::from(start)) { continue } else { return false }
            }
            Some(Opcode::LLVMAdd | Opcode::LLVMOr) => value.operands().collect(),
            Some(Opcode::LLVMSelect) => vec![value.operand(1), value.operand(2)],
            Some(Opcode::LLVMPHI) => value.incoming().into_iter().map(|(input, _)| input).collect(),
            _ if value.const_int().is_some_and(|number| number < u128::from(start)) => continue,
            _ => return false,
        };
        pending.extend(inputs.into_iter().filter(|input| seen.insert(*input)));
    }
    true
}

/// Whether a 32-bit mask clears low bits only.
fn is_alignment(mask: u128) -> bool {
    (mask as u32).leading_ones() + (mask as u32).trailing_zeros() == 32 && mask as u32 != 0
}

/// Whether a value is made from a literal or a stack object by additions and choices.
fn is_derived(value: raw::Value<'_>) -> bool {
    let mut seen = HashSet::from([value]);
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        if seen.len() > MAX_STEPS {
            return false;
        }
        let inputs: Vec<raw::Value<'_>> = match value.opcode() {
            Some(Opcode::LLVMCall) => {
                let name = value.callee().map(raw::Value::name).unwrap_or_default();
                if name == names::LITERAL || name == names::FRAME {
                    return true;
                }
                continue;
            }
            Some(Opcode::LLVMAdd | Opcode::LLVMFreeze | Opcode::LLVMAnd) => value.operands().collect(),
            Some(Opcode::LLVMSub) => vec![value.operand(0)],
            Some(Opcode::LLVMSelect) => vec![value.operand(1), value.operand(2)],
            Some(Opcode::LLVMPHI) => value.incoming().into_iter().map(|(input, _)| input).collect(),
            _ => continue,
        };
        pending.extend(inputs.into_iter().filter(|input| seen.insert(*input)));
    }
    false
}

/// Whether comparing with a value says nothing: it is 0, made from an address, or used as one.
fn compares_as_address(value: raw::Value<'_>) -> bool {
    if let Some(number) = value.const_int() {
        return number == 0;
    }
    if is_derived(value) {
        return true;
    }
    let mut seen = HashSet::from([value]);
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        for user in value.users() {
            match user.opcode() {
                Some(Opcode::LLVMGetElementPtr) => return true,
                Some(Opcode::LLVMAdd | Opcode::LLVMPHI | Opcode::LLVMSelect | Opcode::LLVMFreeze)
                    if seen.len() < MAX_STEPS && seen.insert(user) =>
                {
                    pending.push(user);
                }
                _ => {}
            }
        }
    }
    false
}

/// Replaces the calls: numbers by constants, addresses by calls of [`names::STATIC_ADDRESS`], which LLVM may merge and
/// move.
fn replace(module: &Module<'_>, literals: &[Literal], verdicts: &[bool]) {
    let function = module.get_function(names::LITERAL).expect("there are literals");
    let pointer = function.as_global_value().as_pointer_value();
    let address = module.get_function(names::STATIC_ADDRESS).expect("it is declared with the literals");
    let context = module.get_context();
    let (builder, i32) = (context.create_builder(), context.i32_type());
    for (literal, &is_address) in literals.iter().zip(verdicts) {
        let user = pointer.get_first_use().map(|next| next.get_user());
        let Some(AnyValueEnum::IntValue(call)) = user else {
            unreachable!("only calls use the function that stands for literals")
        };
        let inst = call.as_instruction().expect("a call is an instruction");
        let constant = i32.const_int(literal.value.into(), false);
        let value = if is_address {
            builder.position_before(&inst);
            let call =
                builder.build_call(address, &[constant.into()], "").expect("the builder is positioned");
            call.try_as_basic_value().basic().expect("it returns an address").into_int_value()
        } else {
            constant
        };
        call.replace_all_uses_with(value);
        inst.erase_from_basic_block();
    }
}
