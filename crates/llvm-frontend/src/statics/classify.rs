//! Telling addresses from numbers.
//!
//! Every constant that could be an address of static data is a call of [`names::LITERAL`] here. What becomes of its
//! result, through additions, alignment masks, phis and selects, gives signs:
//!
//! | use | sign |
//! |---|---|
//! | index of an address that is loaded from, stored to, copied or filled | address |
//! | multiplied, divided, shifted, a mask or toggle, converted, a case of a switch | number |
//! | compared with, or subtracted from, what is used as an address | address |
//! | compared with, or subtracted from, another such constant or what is made of it | that one's |
//! | compared with, or subtracted from, anything else but 0 | number |
//! | stored, passed, returned, widened | weak |
//!
//! An address is what has the sign of an address and none of a number; and what has only weak signs, unless the same
//! constant is a number elsewhere in the function. What has no sign of an address is a number. Everything else is
//! refused.
//!
//! In a sum that is used as an address, the constant is the address and the other operand an index: no offset from a
//! pointer is as large as [`LARGEST_OFFSET`]. Where static data begins below that, the other operand must be seen to be
//! an index (scaled, masked, widened, or a sum of such). What is made of two addresses is refused.

use std::collections::{BTreeSet, HashMap, HashSet};

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
struct Literal<'m> {
    call: raw::Value<'m>,
    value: u32,
    offset: usize,
    function: u32,
    signs: Signs,
    /// Literals it is compared with.
    related: Vec<raw::Value<'m>>,
}

/// What speaks for what.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
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
    let verdict = |literal: &Literal<'_>| {
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
    replace(module, start, &literals, &verdicts);
    Ok(())
}

fn unclear(info: &ModuleInfo, literal: &Literal<'_>) -> Error {
    Error::Unsupported {
        function: Some(info.function_name(literal.function)),
        offset: literal.offset,
        what: format!(
            "the constant {} could be an address of static data or a number; linear memory at a symbol needs no decision",
            literal.value
        ),
    }
}

fn report(info: &ModuleInfo, literals: &[Literal<'_>], verdicts: &[bool]) {
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
fn literals<'m>(module: &'m Module<'_>, start: u32) -> Vec<Literal<'m>> {
    let raw = raw::Module::new(module);
    let function = raw.functions().find(|function| function.name() == names::LITERAL);
    let calls = function.into_iter().flat_map(raw::Value::users);
    let argument = |call: raw::Value<'_>, n: usize| {
        call.arguments().get(n).and_then(|arg| arg.const_int()).expect("a literal has three constants") as u32
    };
    let literal = |call| {
        let mut search = Search { literal: call, start, signs: Signs::default(), related: Vec::new() };
        search.run();
        Literal {
            call,
            value: argument(call, 0),
            offset: argument(call, 1) as usize,
            function: argument(call, 2),
            signs: search.signs,
            related: search.related,
        }
    };
    let mut literals: Vec<Literal<'m>> = calls.map(literal).collect();
    spread(&mut literals);
    literals
}

/// Gives literals that are compared with each other the same signs. Signs are only added, so it ends.
fn spread(literals: &mut [Literal<'_>]) {
    let index: HashMap<raw::Value<'_>, usize> =
        literals.iter().enumerate().map(|(n, literal)| (literal.call, n)).collect();
    let pairs = |(n, literal): (usize, &Literal<'_>)| -> Vec<(usize, usize)> {
        literal.related.iter().filter_map(|other| Some((n, *index.get(other)?))).collect()
    };
    let pairs: Vec<(usize, usize)> = literals.iter().enumerate().flat_map(pairs).collect();
    loop {
        let mut changed = false;
        for &(a, b) in &pairs {
            let (of_a, of_b) = (literals[a].signs, literals[b].signs);
            for n in [a, b] {
                let signs = &mut literals[n].signs;
                let before = *signs;
                signs.address |= of_a.address | of_b.address;
                signs.number |= of_a.number | of_b.number;
                signs.weak = true;
                changed |= *signs != before;
            }
        }
        if !changed {
            return;
        }
    }
}

/// Following one literal to what becomes of it.
struct Search<'m> {
    literal: raw::Value<'m>,
    /// Where static data begins.
    start: u32,
    signs: Signs,
    related: Vec<raw::Value<'m>>,
}

impl<'m> Search<'m> {
    /// Every value is visited once.
    fn run(&mut self) {
        let mut seen = HashSet::from([self.literal]);
        let mut pending = vec![self.literal];
        while let Some(value) = pending.pop() {
            for user in value.users() {
                if self.is_followed(value, user) && seen.insert(user) {
                    pending.push(user);
                }
            }
        }
    }

    /// Takes the signs of one use; whether the user carries the value on.
    fn is_followed(&mut self, value: raw::Value<'m>, user: raw::Value<'m>) -> bool {
        let other = || user.operands().find(|operand| *operand != value);
        match user.opcode() {
            Some(Opcode::LLVMAdd) => {
                other().into_iter().for_each(|other| self.add_index(other));
                true
            }
            Some(Opcode::LLVMICmp) => {
                other().into_iter().for_each(|other| self.relate(other));
                false
            }
            Some(Opcode::LLVMSub) => {
                let (left, right) = (user.operand(0), user.operand(1));
                let is_end = left == value && !Origin::of(right).is_address() && !is_used_as_address(right);
                if !is_end {
                    self.relate(if left == value { right } else { left });
                }
                is_end
            }
            Some(Opcode::LLVMGetElementPtr) => {
                self.signs.address = true;
                if value == self.literal {
                    inner_index(user).into_iter().for_each(|index| self.add_index(index));
                }
                false
            }
            Some(Opcode::LLVMAnd) => {
                let mask = other().and_then(raw::Value::const_int);
                self.signs.number |= mask.is_none();
                mask.is_some_and(is_alignment)
            }
            Some(Opcode::LLVMPHI | Opcode::LLVMSelect | Opcode::LLVMFreeze | Opcode::LLVMOr) => true,
            Some(
                Opcode::LLVMStore
                | Opcode::LLVMCall
                | Opcode::LLVMRet
                | Opcode::LLVMInsertValue
                | Opcode::LLVMZExt,
            ) => {
                self.signs.weak = true;
                false
            }
            _ => {
                self.signs.number = true;
                false
            }
        }
    }

    /// Something is added.
    fn add_index(&mut self, other: raw::Value<'m>) {
        let is_near = self.start < LARGEST_OFFSET;
        self.signs.doubtful |= Origin::of(other).is_address() || is_near && !is_index(other, self.start);
    }

    /// It is compared with something.
    fn relate(&mut self, other: raw::Value<'m>) {
        if other.const_int() == Some(0) {
            return;
        }
        let origin = Origin::of(other);
        if is_used_as_address(other) {
            self.signs.address = true;
        } else if !origin.is_address() {
            self.signs.number = true;
        }
        self.signs.weak |= origin.is_other;
        self.related.extend(origin.literals);
    }
}

/// Whether a 32-bit mask clears low bits only.
fn is_alignment(mask: u128) -> bool {
    (mask as u32).leading_ones() + (mask as u32).trailing_zeros() == 32 && mask as u32 != 0
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

/// What a value is made from by additions and choices.
#[derive(Default)]
struct Origin<'m> {
    literals: Vec<raw::Value<'m>>,
    /// A stack object, or too much to look at.
    is_other: bool,
}

impl<'m> Origin<'m> {
    /// Of a value.
    fn of(value: raw::Value<'m>) -> Self {
        let mut origin = Self::default();
        let mut seen = HashSet::from([value]);
        let mut pending = vec![value];
        while let Some(value) = pending.pop() {
            if seen.len() > MAX_STEPS {
                origin.is_other = true;
                break;
            }
            let inputs: Vec<raw::Value<'_>> = match value.opcode() {
                Some(Opcode::LLVMCall) => {
                    let name = value.callee().map(raw::Value::name).unwrap_or_default();
                    origin.is_other |= name == names::FRAME;
                    origin.literals.extend((name == names::LITERAL).then_some(value));
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
        origin
    }

    /// Whether it may be an address.
    const fn is_address(&self) -> bool {
        self.is_other || !self.literals.is_empty()
    }
}

/// Whether a value, or a sum or choice with it, is loaded from or stored to.
fn is_used_as_address(value: raw::Value<'_>) -> bool {
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
fn replace(module: &Module<'_>, start: u32, literals: &[Literal<'_>], verdicts: &[bool]) {
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
            let offset = i32.const_int(literal.value.wrapping_sub(start).into(), false);
            let operands = [i32.const_zero().into(), offset.into()];
            let call = builder.build_call(address, &operands, "").expect("the builder is positioned");
            call.try_as_basic_value().basic().expect("it returns an address").into_int_value()
        } else {
            constant
        };
        call.replace_all_uses_with(value);
        inst.erase_from_basic_block();
    }
}
