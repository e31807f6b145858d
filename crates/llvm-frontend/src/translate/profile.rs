//! Counts of a profile as LLVM's metadata.
//!
//! A branch gets its counts as weights, a function the number of its calls. A function that was never called is marked
//! as cold and made small. Counts are relative to each other only with a summary of all of them, from which LLVM tells
//! hot code from the rest.

use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::module::{FlagBehavior, Module};
use inkwell::values::{BasicMetadataValueEnum, FunctionValue, MetadataValue};
use wasm_program::counts::Counts;

use super::ir::Ir;
use crate::passes::PROFILE_SUMMARY;

/// Parts of the sum of all counts, in millionths, for which LLVM asks.
const CUTOFFS: [u64; 16] = [
    10_000, 100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 700_000, 800_000, 900_000, 950_000,
    990_000, 999_000, 999_900, 999_990, 999_999,
];

/// Weights of 32 bits in the proportions of `counts`; none if none of the ways was taken.
pub fn weights(counts: &[u64]) -> Option<Vec<u32>> {
    let most = counts.iter().copied().max().filter(|&most| most > 0)?;
    let shift = (64 - most.leading_zeros()).saturating_sub(32);
    // A way that was taken must not look like one that never was.
    let weight = |&count: &u64| ((count >> shift) as u32).max(u32::from(count > 0));
    Some(counts.iter().map(weight).collect())
}

/// Gives a function the number of its calls.
pub fn mark_function(ir: &Ir<'_>, function: FunctionValue<'_>, calls: u64) {
    let context = ir.context;
    let name = context.metadata_string("function_entry_count");
    let node = context.metadata_node(&[name.into(), ir.c64(calls).into()]);
    function.as_global_value().set_metadata(node, context.get_kind_id("prof"));
    if calls == 0 {
        for name in ["cold", "optsize", "minsize"] {
            let kind = Attribute::get_named_enum_kind_id(name);
            function.add_attribute(AttributeLoc::Function, context.create_enum_attribute(kind, 0));
        }
    }
}

/// Adds the summary of all counts to a module.
pub fn summarise<'ctx>(ir: &Ir<'ctx>, module: &Module<'ctx>, counts: &Counts) {
    let mut sorted: Vec<u64> = counts.all().collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let total: u128 = sorted.iter().map(|&count| u128::from(count)).sum();
    let most = sorted.first().copied().unwrap_or(0);
    let functions = counts.functions.len() as u64;
    let numbers = [
        ("TotalCount", u64::try_from(total).unwrap_or(u64::MAX)),
        ("MaxCount", most),
        ("MaxInternalCount", most),
        ("MaxFunctionCount", counts.functions.values().copied().max().unwrap_or(0)),
        ("NumCounts", sorted.len() as u64),
        ("NumFunctions", functions),
    ];
    let context = ir.context;
    let pair = |name: &str, value: BasicMetadataValueEnum<'ctx>| {
        context.metadata_node(&[context.metadata_string(name).into(), value])
    };
    let mut fields = vec![pair("ProfileFormat", context.metadata_string("InstrProf").into())];
    fields.extend(numbers.map(|(name, number)| pair(name, ir.c64(number).into())));
    let rows: Vec<BasicMetadataValueEnum<'_>> =
        CUTOFFS.iter().map(|&cutoff| summary_row(ir, &sorted, total, cutoff).into()).collect();
    fields.push(pair("DetailedSummary", context.metadata_node(&rows).into()));
    let fields: Vec<BasicMetadataValueEnum<'_>> = fields.into_iter().map(Into::into).collect();
    module.add_metadata_flag(PROFILE_SUMMARY, FlagBehavior::Error, context.metadata_node(&fields));
}

/// For a part of the sum: the smallest of the largest counts that make it up, and their number.
fn summary_row<'ctx>(ir: &Ir<'ctx>, sorted: &[u64], total: u128, cutoff: u64) -> MetadataValue<'ctx> {
    let enough = total * u128::from(cutoff) / 1_000_000;
    let mut sum = 0;
    let upto = |count: &&u64| {
        let goes_on = sum < enough;
        sum += u128::from(**count);
        goes_on
    };
    let taken: Vec<u64> = sorted.iter().take_while(upto).copied().collect();
    let least = taken.last().copied().unwrap_or(0);
    let (cutoff, number) = (ir.c32(cutoff as u32), ir.c32(taken.len() as u32));
    ir.context.metadata_node(&[cutoff.into(), ir.c64(least).into(), number.into()])
}

#[cfg(test)]
mod tests {
    use super::weights;

    #[test]
    fn weights_keep_proportions() {
        assert_eq!(weights(&[0, 0]), None);
        assert_eq!(weights(&[3, 1]), Some(vec![3, 1]));
        assert_eq!(weights(&[1 << 40, 1 << 39, 5, 0]), Some(vec![1 << 31, 1 << 30, 1, 0]));
        assert_eq!(weights(&[u64::MAX, 1]), Some(vec![u32::MAX, 1]));
    }
}
