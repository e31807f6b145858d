//! Calls of one function on both sides, and the judgement about them.
//!
//! Calls follow each other on one instance, so that what a call leaves behind is seen by the next. After a call that doesn't
//! return there is a new instance. Two outcomes are compared as far as the program promises: what the documents leave to
//! it is a [`Class`] of its own, so it is counted and not hidden.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ssa::{Import, TrapCode};

use super::VerifyError;
use super::inputs::{Input, Random, Scene};
use super::subject::{Effect, Ending, Program, Subject};
use crate::object;
use crate::run::{FunctionType, Value, ValueType};

/// Bytes of memory that are compared at once.
const CHUNK: u64 = 1 << 16;

/// What became of a call on which both sides agree, or may differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Both returned the same, and left the same in memory and globals.
    Returned,
    /// Both trapped.
    Trapped,
    /// Both came to the same import, with the same in memory.
    Import,
    /// A budget or a stack was used up, or memory could not grow: nothing is known.
    Endless,
    /// The reference found an access outside of memory, which the program's bounds checks need not find.
    Bounds,
    /// The outcome depends on the place of the C stack: an address was made up.
    Stack,
    /// The program trapped at a float operator, as its options say.
    Floats,
}

impl Class {
    /// All classes with a word for each.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Returned, "returned"),
        (Self::Trapped, "trapped"),
        (Self::Import, "import"),
        (Self::Endless, "endless"),
        (Self::Bounds, "bounds"),
        (Self::Stack, "stack"),
        (Self::Floats, "floats"),
    ];
}

/// Two outcomes that differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The number of the call, from 1.
    pub call: u32,
    /// Calls that the instance had seen before.
    pub before: u32,
    /// Its input.
    pub input: Input,
    /// The outcome in the reference engine.
    pub expected: String,
    /// The outcome of the program.
    pub actual: String,
}

/// The outcome of checking one function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// Number of calls by what became of them.
    pub calls: BTreeMap<Class, u32>,
    /// Blocks of its code.
    pub blocks: usize,
    /// How many of them were reached.
    pub reached: usize,
    /// The first difference, which ends the check.
    pub difference: Option<Difference>,
}

/// What the options of the program leave open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Accesses outside of memory need not trap.
    pub loose_bounds: bool,
    /// Float operators trap.
    pub floats_trap: bool,
}

/// The two sides, and all that is common to the calls of their functions.
pub struct Pair<'a> {
    /// The reference engine.
    pub reference: &'a dyn Program,
    /// The compiled program.
    pub subject: &'a dyn Program,
    /// What calls of imports do.
    pub effects: BTreeMap<Import, Effect>,
    /// Memory, data and stack.
    pub scene: Scene,
    /// Exports of globals that calls may find changed.
    pub globals: Vec<(String, ValueType)>,
    /// What the program's options leave open.
    pub rules: Rules,
    /// The seed of all inputs.
    pub seed: u64,
    /// Fuel of a call in the reference engine.
    pub fuel: u64,
}

/// A function to be called.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Its name.
    pub export: &'a str,
    /// Its type.
    pub ty: &'a FunctionType,
    /// The stream of random numbers for its inputs.
    pub stream: u64,
    /// The number of calls.
    pub inputs: u32,
}

/// Two instances.
struct Instances<'a> {
    reference: Box<dyn Subject + 'a>,
    subject: Box<dyn Subject + 'a>,
    calls: u32,
}

enum Verdict {
    Same(Class),
    Different,
}

impl Pair<'_> {
    /// Calls a function. After a difference, `is_explained` says whether the program may differ at this call; it gets the
    /// number of calls so far.
    ///
    /// # Errors
    /// If one of the sides fails.
    pub fn check(
        &self,
        plan: &Plan<'_>,
        is_explained: &dyn Fn(u32) -> Result<bool, VerifyError>,
    ) -> Result<Checked, VerifyError> {
        let blocks: BTreeSet<u32> = self.subject.blocks(plan.export).into_iter().collect();
        let mut checked = Checked { blocks: blocks.len(), ..Checked::default() };
        let mut reached = BTreeSet::new();
        let mut random = Random::new(self.seed, plan.stream);
        let mut instances = None;
        for call in 1..=plan.inputs {
            let input = Input::next(&mut random, plan.ty, &self.globals, &self.scene);
            let mut pair = match instances.take() {
                Some(pair) => pair,
                None => self.instances()?,
            };
            let before = pair.calls;
            let (class, different) = self.call(&mut pair, plan.export, &input)?;
            reached.extend(pair.subject.reached().into_iter().filter(|block| blocks.contains(block)));
            let class = match different {
                None => class,
                Some(_) if is_explained(call)? => Class::Stack,
                Some((expected, actual)) => {
                    checked.difference = Some(Difference { call, before, input, expected, actual });
                    break;
                }
            };
            *checked.calls.entry(class).or_default() += 1;
            if class == Class::Returned {
                instances = Some(pair);
            }
        }
        checked.reached = reached.len();
        Ok(checked)
    }

    /// New instances, whose start functions have returned.
    fn instances(&self) -> Result<Instances<'_>, VerifyError> {
        let mut reference = self.reference.instantiate()?;
        let mut subject = self.subject.instantiate()?;
        let (expected, actual) = (reference.start()?, subject.start()?);
        let has_returned = |ending: &Ending| matches!(ending, Ending::Returned(_));
        if has_returned(&expected) && has_returned(&actual) {
            return Ok(Instances { reference, subject, calls: 0 });
        }
        Err(VerifyError::Start { expected: text_of(&expected), actual: text_of(&actual) })
    }

    /// Makes one call on both sides. Outcomes that differ are returned as text.
    fn call(
        &self,
        pair: &mut Instances<'_>,
        export: &str,
        input: &Input,
    ) -> Result<(Class, Option<(String, String)>), VerifyError> {
        prepare(pair, input)?;
        pair.calls += 1;
        let expected = pair.reference.call(export, &input.args, self.fuel)?;
        if matches!(expected, Ending::OutOfBudget | Ending::OutOfStack) {
            // The program might run much longer, and nothing could be said about it.
            return Ok((Class::Endless, None));
        }
        let actual = pair.subject.call(export, &input.args, budget(self.fuel))?;
        let class = match self.judge(&expected, &actual) {
            Verdict::Different => return Ok((Class::Endless, Some((text_of(&expected), text_of(&actual))))),
            Verdict::Same(class) => class,
        };
        let is_comparable =
            class == Class::Returned || class == Class::Import && matches!(actual, Ending::Import(Some(_)));
        let different = if is_comparable { self.compare_state(pair)? } else { None };
        Ok((class, different))
    }

    fn judge(&self, expected: &Ending, actual: &Ending) -> Verdict {
        use Ending::{Broken, Import, OutOfStack, Returned, Trapped};
        let class = match (expected, actual) {
            (_, Broken(_)) => return Verdict::Different,
            (_, OutOfStack) => Class::Endless,
            (Import(import), actual) => match self.is_same_import(import.as_deref(), actual) {
                true => Class::Import,
                false => return Verdict::Different,
            },
            (Returned(expected), Returned(actual)) if are_equal(expected, actual) => Class::Returned,
            (Trapped(expected), Trapped(actual)) if is_same_trap(*expected, *actual) => Class::Trapped,
            (Trapped(Some(TrapCode::MemoryOutOfBounds)), _) if self.rules.loose_bounds => Class::Bounds,
            (_, Trapped(None | Some(TrapCode::Float))) if self.rules.floats_trap => Class::Floats,
            _ => return Verdict::Different,
        };
        Verdict::Same(class)
    }

    /// Whether a program ended where a call of an import leads.
    fn is_same_import(&self, expected: Option<&str>, actual: &Ending) -> bool {
        let named =
            |import: &&Import| Some(format!("{}.{}", import.module, import.field)).as_deref() == expected;
        let effect = self.effects.iter().find(|(import, _)| named(import)).map(|(_, effect)| *effect);
        match (effect.unwrap_or(Effect::Host), actual) {
            // What follows is not known.
            (Effect::BuiltIn, _) => true,
            (Effect::Traps, Ending::Trapped(_) | Ending::Import(None)) => true,
            (Effect::Host, Ending::Import(actual)) => actual.is_none() || actual.as_deref() == expected,
            _ => false,
        }
    }

    /// The first difference in memory or globals.
    fn compare_state(&self, pair: &mut Instances<'_>) -> Result<Option<(String, String)>, VerifyError> {
        let (ours, theirs) = (pair.subject.memory(), pair.reference.memory());
        let common = ours.start.max(theirs.start)..ours.end.min(theirs.end);
        let stack = &self.scene.stack;
        let parts = if stack.is_empty() {
            [common, 0..0]
        } else {
            [common.start..common.end.min(stack.start), common.start.max(stack.end)..common.end]
        };
        for part in parts {
            if let Some(difference) = compare_memory(pair, part)? {
                return Ok(Some(difference));
            }
        }
        for (name, _) in &self.globals {
            let (expected, actual) = (pair.reference.global(name), pair.subject.global(name));
            if let (Some(expected), Some(actual)) = (expected, actual)
                && expected != actual
            {
                let text = |value| format!("it left `{name}` as {}", text_of_value(value));
                return Ok(Some((text(&expected), text(&actual))));
            }
        }
        Ok(None)
    }
}

/// The most that a program may take, for a run that takes `fuel` in the reference engine. Soft floats, prices of blocks
/// and of growing memory are far below that.
fn budget(fuel: u64) -> u64 {
    fuel.saturating_mul(2000).saturating_add(10_000_000)
}

/// Writes the bytes and globals of an input on both sides.
fn prepare(pair: &mut Instances<'_>, input: &Input) -> Result<(), VerifyError> {
    for (address, bytes) in &input.fills {
        let (ours, theirs) = (pair.subject.memory(), pair.reference.memory());
        let end = address + bytes.len() as u64;
        if [ours, theirs].iter().all(|memory| memory.start <= *address && end <= memory.end) {
            pair.reference.write(*address, bytes)?;
            pair.subject.write(*address, bytes)?;
        }
    }
    for (name, value) in &input.globals {
        if pair.subject.set_global(name, *value) && !pair.reference.set_global(name, *value) {
            return Err(VerifyError::Reference(format!("the global `{name}` can't be set")));
        }
    }
    Ok(())
}

fn compare_memory(
    pair: &mut Instances<'_>,
    range: Range<u64>,
) -> Result<Option<(String, String)>, VerifyError> {
    let mut start = range.start;
    while start < range.end {
        let len = CHUNK.min(range.end - start);
        let expected = pair.reference.read(start, len as usize)?;
        let actual = pair.subject.read(start, len as usize)?;
        if expected != actual {
            let at = expected.iter().zip(&actual).position(|(a, b)| a != b).unwrap_or(0);
            let text = |bytes: &[u8]| format!("it left {:#04x} at {:#x}", bytes[at], start + at as u64);
            return Ok(Some((text(&expected), text(&actual))));
        }
        start += len;
    }
    Ok(None)
}

/// Whether values are equal; of references, whether both are null.
fn are_equal(expected: &[Value], actual: &[Value]) -> bool {
    let is_equal = |(a, b): (&Value, &Value)| match a.ty {
        ValueType::FuncRef | ValueType::ExternRef => a.ty == b.ty && (a.bits == 0) == (b.bits == 0),
        _ => a == b,
    };
    expected.len() == actual.len() && expected.iter().zip(actual).all(is_equal)
}

/// Whether a trap is the expected one, as far as the machine tells its reason.
fn is_same_trap(expected: Option<TrapCode>, actual: Option<TrapCode>) -> bool {
    match (expected, actual) {
        (Some(expected), Some(actual)) => {
            expected == actual
                || (expected, actual) == (TrapCode::MemoryOutOfBounds, TrapCode::UnalignedAtomic)
        }
        _ => true,
    }
}

/// An outcome in words.
fn text_of(ending: &Ending) -> String {
    match ending {
        Ending::Returned(values) if values.is_empty() => "it returned".to_owned(),
        Ending::Returned(values) => {
            let values: Vec<String> = values.iter().map(text_of_value).collect();
            format!("it returned {}", values.join(", "))
        }
        Ending::Trapped(None) => "it trapped".to_owned(),
        Ending::Trapped(Some(code)) => {
            format!("it trapped: {}", object::reason(code.number()).unwrap_or("unknown reason"))
        }
        Ending::Import(None) => "it called the host".to_owned(),
        Ending::Import(Some(name)) => format!("it called the import {name}"),
        Ending::OutOfBudget => "it did not end".to_owned(),
        Ending::OutOfStack => "its stack was used up".to_owned(),
        Ending::Broken(problem) => format!("it broke the calling convention: {problem}"),
    }
}

/// A value with its type and, of floats, its bits.
pub fn text_of_value(value: &Value) -> String {
    match value.ty {
        ValueType::F32 | ValueType::F64 => format!("{} {value} ({:#x})", value.ty.name(), value.bits),
        _ => format!("{} {value}", value.ty.name()),
    }
}
