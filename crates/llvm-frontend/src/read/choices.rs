//! Properties that phis and selects have if all their inputs have them.
//!
//! A property of a web of phis can't be found by looking at one phi. A loop's phi has it if the value from outside and
//! the value from the loop have it, and the latter may be the phi itself. So the largest set of phis and selects that
//! is closed under the property is computed: start with all of them, remove those with an input that lacks the
//! property, then those that depend on removed ones. Each is removed at most once, so the work is linear in the number
//! of inputs.

use crate::llvm::lookup::LookupMap;
use crate::llvm::{self, Opcode};

/// The state of an input with respect to the property.
pub enum Input<'m> {
    /// It has the property.
    Has,
    /// It has the property if this phi or select has.
    If(llvm::Value<'m>),
    /// It doesn't have the property.
    Lacks,
}

/// The members of `choices`, all of them phis and selects, that have a property.
pub fn closed_set<'m>(
    choices: &[llvm::Value<'m>],
    classify: impl Fn(llvm::Value<'m>) -> Input<'m>,
) -> LookupMap<llvm::Value<'m>, ()> {
    let mut members: LookupMap<_, ()> = choices.iter().map(|&choice| (choice, ())).collect();
    let mut dependents = LookupMap::<llvm::Value<'m>, Vec<llvm::Value<'m>>>::default();
    let mut removed = Vec::new();
    for &choice in choices {
        for input in inputs(choice) {
            match classify(input) {
                Input::Has => {}
                Input::If(other) if members.contains_key(&other) => {
                    dependents.entry(other).or_default().push(choice);
                }
                Input::If(_) | Input::Lacks => removed.push(choice),
            }
        }
    }
    while let Some(choice) = removed.pop() {
        if members.remove(&choice).is_some() {
            removed.extend(dependents.get(&choice).into_iter().flatten());
        }
    }
    members
}

/// The values that a phi or select chooses from.
fn inputs<'m>(choice: llvm::Value<'m>) -> Vec<llvm::Value<'m>> {
    match choice.opcode() {
        Some(Opcode::LLVMSelect) => vec![choice.operand(1), choice.operand(2)],
        _ => choice.incoming().into_iter().map(|(value, _)| value).collect(),
    }
}
