//! Classification of constants as addresses or numbers, in modules without relocations.
//!
//! Every constant that could be an address of static data is a *literal* here, a call of [`names::LITERAL`]. The uses
//! of its value give it signs ([`super::signs`]), and the signs decide. For example, a literal that is the address of
//! a load has the sign of an address; one that is a factor of a product has the sign of a number.
//!
//! | signs | decision |
//! |---|---|
//! | of an address only | an address |
//! | of a number only | a number |
//! | of both | refused |
//! | of neither, but the same constant is clearly an address elsewhere, and no multiple of 4096 | an address |
//! | of neither | by the options |
//!
//! By default a literal with signs of neither is refused, with two exceptions, which are addresses with a warning.
//! Either it is only passed to imports that get no other constants as that argument. Or it is only stored, and in a
//! data segment.
//!
//! Literals of 64 bits could have an address in one half. They are numbers or refused, unless the options decide.

use std::collections::{BTreeMap, BTreeSet};

use inkwell::module::Module;
use inkwell::values::{AnyValueEnum, BasicValue as _, InstructionValue, IntValue};
use wasm_program::error::Error;
use wasm_program::names;
use wasm_program::options::Constants;
use wasm_program::program::Program;
use wasm_program::statics::{StaticPlan, advice};

use super::flow::{Graph, Origin};
use super::signs::{Knowledge, Signs};
use crate::llvm;

/// Multiples of this are often numbers, such as sizes, limits and flags, even where they are addresses elsewhere.
const ROUND: u32 = 1 << 12;

/// Upper bound of field offsets in modules that show no static data.
const LARGEST_FIELD: u64 = 1 << 12;

/// From here on, constants to which an index is added are beyond the fields of structures.
const FAR: u32 = 1 << 16;
/// Advice for a module whose static data begins below [`FAR`], if no option decides.
const ABOVE: &str =
    "; with the linker's option `-zstack-size=65536` static data begins where no such constant is";

/// One constant.
struct Literal {
    /// Its value; the upper half is 0 if it has 32 bits.
    value: u64,
    is_wide: bool,
    offset: usize,
    function: u32,
    signs: Signs,
}

impl Literal {
    fn new(call: llvm::Value<'_>, signs: Signs) -> Self {
        let arguments: Vec<u32> =
            call.arguments().iter().filter_map(|arg| arg.const_int()).map(|number| number as u32).collect();
        match arguments[..] {
            [value, offset, function] => {
                Self { value: value.into(), is_wide: false, offset: offset as usize, function, signs }
            }
            [low, high, offset, function] => Self {
                value: u64::from(high) << 32 | u64::from(low),
                is_wide: true,
                offset: offset as usize,
                function,
                signs,
            },
            _ => unreachable!("a literal has three or four constants"),
        }
    }

    /// The decision by the signs; `None` if they are of neither.
    fn clear(&self) -> Option<Verdict> {
        let is_number = self.signs.has(Signs::NUMBER);
        if self.signs.has(Signs::ADDRESS) {
            let is_unclear = is_number || self.is_wide || self.signs.has(Signs::DOUBTFUL);
            return Some(if is_unclear { Verdict::Refused } else { Verdict::Address });
        }
        let is_unused = self.signs == Signs::default();
        (is_number || is_unused).then_some(Verdict::Number)
    }

    /// The decision in a module that shows no static data: a number if it isn't used as an address, or if it may be
    /// the offset of a field.
    fn where_nothing_shows_data(&self) -> Verdict {
        let is_distance = self.signs.has(Signs::DOUBTFUL) && self.value < LARGEST_FIELD;
        match self.clear() {
            Some(verdict) if self.signs.has(Signs::ADDRESS) && !is_distance => verdict,
            _ => Verdict::Number,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Address,
    /// As [`Self::Address`], with a warning.
    Supposed,
    Number,
    Refused,
    /// An address beyond the end that the options give.
    Beyond,
}

/// Replaces all literals by addresses or numbers.
///
/// # Errors
/// The first literal in the order of the code that could be both.
pub fn resolve(
    module: &Module<'_>,
    graph: &Graph<'_>,
    plan: &StaticPlan,
    program: &Program<'_>,
) -> Result<(), Error> {
    let knowledge = Knowledge::new(graph, plan.start);
    let signs = knowledge.signs(|constant| constant != 0 && !plan.contains(constant));
    let suspect = knowledge.just_below(&signs, plan.start).filter(|_| plan.start == plan.certain);
    let mut of_literals = vec![Signs::default(); graph.literals.len()];
    for (origin, signs) in graph.origins.iter().zip(&signs) {
        if let Origin::Literal(n) = *origin {
            of_literals[n] = of_literals[n].with(*signs);
        }
    }
    let literals: Vec<Literal> =
        graph.literals.iter().zip(of_literals).map(|(&call, signs)| Literal::new(call, signs)).collect();
    let constants = program.options.constants;
    let verdicts = verdicts(&literals, plan, program, constants);
    let is_error = |verdict: Verdict| matches!(verdict, Verdict::Refused | Verdict::Beyond);
    // The options with which the module would compile.
    let deciding = || -> Vec<Constants> {
        let compiles = |constants: &Constants| {
            let is_suspect = suspect.is_some() && *constants != Constants::Number;
            let has_data = *constants != Constants::Number || plan.certain != u32::MAX;
            let verdicts = self::verdicts(&literals, plan, program, *constants);
            !has_data || !is_suspect && !verdicts.into_iter().any(is_error)
        };
        [Constants::Address, Constants::Number].into_iter().filter(compiles).collect()
    };
    if let Some((constant, function)) = suspect.filter(|_| constants != Constants::Number) {
        return Err(Error::Unsupported {
            function: function.map(|function| program.info.function_name(function)),
            offset: 0,
            what: format!(
                "the constant {constant}, which an index is added to, could mean static data that begins after it, or \
                 an address of the machine; {}",
                remedies(plan, &deciding())
            ),
        });
    }
    let refused = literals.iter().zip(&verdicts).filter(|(_, verdict)| is_error(**verdict));
    if let Some((literal, &verdict)) = refused.min_by_key(|(literal, _)| literal.offset) {
        return Err(unclear(program, plan, literal, verdict, &deciding()));
    }
    report(program, &literals, &verdicts);
    replace(module, plan, &literals, &verdicts);
    Ok(())
}

/// The decisions about all literals under an option.
fn verdicts(
    literals: &[Literal],
    plan: &StaticPlan,
    program: &Program<'_>,
    constants: Constants,
) -> Vec<Verdict> {
    let values = |wanted: Verdict| -> BTreeSet<u64> {
        let clear = literals.iter().filter(|literal| literal.clear() == Some(wanted));
        clear.filter(|literal| literal.signs != Signs::default()).map(|literal| literal.value).collect()
    };
    let (addresses, numbers) = (values(Verdict::Address), values(Verdict::Number));
    let decide = |literal: &Literal| {
        if literal.value < plan.certain.into()
            && !(literal.clear().is_none() && addresses.contains(&literal.value))
        {
            return literal.where_nothing_shows_data();
        }
        if let Some(verdict) = literal.clear() {
            return verdict;
        }
        match constants {
            Constants::Number => return Verdict::Number,
            Constants::Address => return Verdict::Address,
            Constants::Auto | Constants::Refuse => {}
        }
        let is_round = literal.value.is_multiple_of(ROUND.into());
        let is_number = numbers.contains(&literal.value) || literal.is_wide;
        let is_doubtful = literal.signs.has(Signs::DOUBTFUL.with(Signs::UNCLEAR));
        if !is_number && !is_round && !is_doubtful && addresses.contains(&literal.value) {
            return Verdict::Address;
        }
        let others = Signs::KEPT.with(Signs::MIXED).with(Signs::UNCLEAR).with(Signs::DOUBTFUL);
        let is_plausible = !literal.signs.has(Signs::STORED) || is_in_segment(program, literal.value);
        if constants == Constants::Auto && is_plausible && !is_number && !literal.signs.has(others) {
            return Verdict::Supposed;
        }
        Verdict::Refused
    };
    // No address can be beyond the end that the options give.
    let within = |literal: &Literal| match decide(literal) {
        verdict if literal.is_wide || plan.is_data(literal.value as u32) => verdict,
        Verdict::Address if literal.clear() == Some(Verdict::Address) => Verdict::Beyond,
        Verdict::Refused if literal.clear() == Some(Verdict::Refused) => Verdict::Refused,
        _ => Verdict::Number,
    };
    literals.iter().map(within).collect()
}

/// Whether an address is that of a byte of a data segment.
fn is_in_segment(program: &Program<'_>, address: u64) -> bool {
    program.info.data.iter().any(|data| {
        let start = data.mode.constant_offset().map(u64::from);
        start.is_some_and(|start| (start..start + data.bytes.len() as u64).contains(&address))
    })
}

/// Advice for an error. `deciding` are the options that resolve it.
fn remedies(plan: &StaticPlan, deciding: &[Constants]) -> String {
    let above = if deciding.is_empty() && plan.start < FAR { ABOVE } else { "" };
    advice(deciding) + above
}

fn unclear(
    program: &Program<'_>,
    plan: &StaticPlan,
    literal: &Literal,
    verdict: Verdict,
    deciding: &[Constants],
) -> Error {
    let (value, end) = (literal.value, plan.end);
    let what = if verdict == Verdict::Beyond {
        format!(
            "the constant {value} is an address after the end of static data, which `--memory-bytes` sets to {end}; \
             give more bytes, or leave the option out"
        )
    } else {
        format!(
            "the constant {value} could be an address of static data or a number; {}",
            remedies(plan, deciding)
        )
    };
    let function = Some(program.info.function_name(literal.function));
    Error::Unsupported { function, offset: literal.offset, what }
}

fn report(program: &Program<'_>, literals: &[Literal], verdicts: &[Verdict]) {
    let mut warned = BTreeSet::new();
    for (literal, verdict) in literals.iter().zip(verdicts) {
        let (function, offset) = (program.info.function_name(literal.function), literal.offset);
        let value = literal.value;
        let what = match verdict {
            // It is unused.
            _ if literal.signs == Signs::default() => continue,
            Verdict::Number => "number",
            _ => "address",
        };
        tracing::info!(function, offset, value, "a constant in the range of static data is: {what}");
        if *verdict == Verdict::Supposed && warned.insert((literal.function, value)) {
            tracing::warn!(
                code = "W0102",
                "the constant {value} in function {function} at offset {offset:#x} is only passed on or stored; \
                 it is treated as an address of static data; link with `--emit-relocs`, or decide with `--constants`"
            );
        }
    }
}

/// Replaces the calls: numbers by constants, addresses by calls of [`names::STATIC_ADDRESS`], which LLVM may merge and
/// move.
fn replace(module: &Module<'_>, plan: &StaticPlan, literals: &[Literal], verdicts: &[Verdict]) {
    // Every operator has one constant.
    let by_place: BTreeMap<(u32, usize), (&Literal, Verdict)> = literals
        .iter()
        .zip(verdicts)
        .map(|(literal, verdict)| ((literal.function, literal.offset), (literal, *verdict)))
        .collect();
    for (name, place) in [(names::LITERAL, 1), (names::LITERAL_WIDE, 2)] {
        let Some(function) = module.get_function(name) else { continue };
        let pointer = function.as_global_value().as_pointer_value();
        while let Some(next) = pointer.get_first_use() {
            let AnyValueEnum::IntValue(call) = next.get_user() else {
                unreachable!("only calls use the function of literals")
            };
            let inst = call.as_instruction().expect("a call is an instruction");
            let operand = |n| {
                let operand = inst.get_operand(n).and_then(|operand| operand.value());
                let constant = operand.and_then(|value| value.into_int_value().get_zero_extended_constant());
                constant.expect("the operands of a literal are constants")
            };
            let (literal, verdict) = by_place[&(operand(place + 1) as u32, operand(place) as usize)];
            call.replace_all_uses_with(replacement(module, plan, literal, verdict, &inst));
            inst.erase_from_basic_block();
        }
    }
}

fn replacement<'ctx>(
    module: &Module<'ctx>,
    plan: &StaticPlan,
    literal: &Literal,
    verdict: Verdict,
    at: &InstructionValue<'ctx>,
) -> IntValue<'ctx> {
    let context = module.get_context();
    let (builder, i32, i64) = (context.create_builder(), context.i32_type(), context.i64_type());
    builder.position_before(at);
    let half = |value: u32| {
        if verdict == Verdict::Number || !plan.is_data(value) {
            return i32.const_int(value.into(), false);
        }
        let address = module.get_function(names::STATIC_ADDRESS).expect("it is declared with the literals");
        let offset = i32.const_int(value.wrapping_sub(plan.start).into(), false);
        let call = builder.build_call(address, &[i32.const_zero().into(), offset.into()], "");
        let call = call.expect("the builder is positioned").try_as_basic_value();
        call.basic().expect("it returns an address").into_int_value()
    };
    let low = half(literal.value as u32);
    if !literal.is_wide {
        return low;
    }
    let high = half((literal.value >> 32) as u32);
    let wide = |value| builder.build_int_z_extend(value, i64, "").expect("the builder is positioned");
    let high = builder.build_left_shift(wide(high), i64.const_int(32, false), "");
    builder.build_or(wide(low), high.expect("the builder is positioned"), "").expect("it is still")
}
