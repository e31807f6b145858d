//! Worst cycles of the functions of a Cortex-M object: a bound for any input, from the tables of [`timing`].
//!
//! The longest path through a function counts. A loop counts as often as the compiler has proved
//! ([`loop_bounds`](crate::object::loop_bounds)); without a proof, the function is unbounded. So is one that calls itself or an
//! address that isn't known. Functions outside of the object are not counted and named. Interrupts, other bus masters and
//! unaligned accesses aren't counted either.

mod graph;
mod paths;
#[cfg(test)]
mod tests;
pub mod timing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thumb_engine::{Image, LoadError};

use crate::object::{FileError, Summary, loop_bounds};
use graph::{Callee, Function, Reader};
use timing::Timing;

/// Why an object has no bounds.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CyclesError {
    /// It isn't an object.
    #[error(transparent)]
    File(#[from] FileError),
    /// It can't be linked.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Why a function is unbounded.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// The loop at this offset in the function has no known bound.
    Loop(u32),
    /// A cycle at this offset is entered in several places.
    Irreducible(u32),
    /// It calls itself, by way of these functions.
    Recursion,
    /// It calls addresses of which the functions aren't known.
    Address,
    /// It calls this function, which is unbounded.
    Callee(String),
    /// It waits for an event at this offset.
    Waits(u32),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop(at) => write!(f, "the loop at {at:#x} has no known bound"),
            Self::Irreducible(at) => write!(f, "the loop at {at:#x} is entered in several places"),
            Self::Recursion => write!(f, "it may call itself"),
            Self::Address => write!(f, "it calls an address that is not known"),
            Self::Callee(name) => write!(f, "it calls {name}"),
            Self::Waits(at) => write!(f, "it waits for an event at {at:#x}"),
        }
    }
}

/// A loop of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoopCycles {
    /// Offset of its first instruction in the function.
    pub offset: u32,
    /// The most rounds each time that it is entered, if that is known.
    pub rounds: Option<u32>,
    /// The most cycles of a round; with one round of each loop inside that has no bound.
    pub cycles: u64,
}

/// The cycles of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionCycles {
    /// Its symbol.
    pub name: String,
    /// The most cycles from its entry to its return, or the reason why there is no bound.
    pub worst: Result<u64, Reason>,
    /// The most cycles of a path without loops: with one round of each, here and in callees.
    pub straight: u64,
    /// Its loops, outer ones first.
    pub loops: Vec<LoopCycles>,
    /// Functions outside of the object that it calls, also by way of others.
    pub imports: BTreeSet<String>,
}

/// The cycles of all functions of an object, in the order of their addresses.
///
/// # Errors
/// If the bytes are no object, or one that can't be linked.
pub fn cycles(bytes: &[u8], timing: &Timing) -> Result<Vec<FunctionCycles>, CyclesError> {
    let image = Image::load(bytes)?;
    let reader = Reader::new(&image, timing);
    let functions = reader.read();
    let mut bounds = BTreeMap::new();
    for bound in loop_bounds(bytes)? {
        if let Some(start) = image.address(&bound.function) {
            bounds.insert(start + bound.offset, bound.most);
        }
    }
    let summary = Summary::read(bytes)?;
    let indirect = indirect_callees(&summary, &image, &reader, &functions);
    let mut all =
        All { functions: &functions, bounds, indirect, found: vec![State::Unknown; functions.len()] };
    all.solve();
    let found = all.found.into_iter().map(|state| match state {
        State::Known(known) => known,
        State::Unknown | State::Open => unreachable!("all functions are solved"),
    });
    Ok(found.collect())
}

/// The functions that each function may call by an address: those that the object's summary names. `None` where it doesn't
/// know.
fn indirect_callees(
    summary: &Summary,
    image: &Image,
    reader: &Reader<'_>,
    functions: &[Function],
) -> Vec<Option<Vec<usize>>> {
    let index = |name: &str| image.address(name).and_then(|at| reader.functions.get(&at).copied());
    let mut found = vec![None; functions.len()];
    // Another compiler doesn't record what is called by addresses.
    if summary.settings.is_empty() {
        return found;
    }
    for function in &summary.functions {
        if let Some(at) = index(&function.name) {
            let names = function.calls.iter().map(|&callee| &summary.functions[callee].name);
            found[at] = Some(names.filter_map(|name| index(name)).collect());
        }
    }
    found
}

#[derive(Clone)]
enum State {
    Unknown,
    /// It is being solved: a call of it is a recursion.
    Open,
    Known(FunctionCycles),
}

/// All functions of an object.
struct All<'a> {
    functions: &'a [Function],
    /// Bounds of loops by the address of their first instruction.
    bounds: BTreeMap<u32, u32>,
    indirect: Vec<Option<Vec<usize>>>,
    found: Vec<State>,
}

impl All<'_> {
    /// Solves callees before callers, without recursion of our own.
    fn solve(&mut self) {
        for root in 0..self.functions.len() {
            let mut stack = vec![(root, false)];
            while let Some((index, is_ready)) = stack.pop() {
                match (&self.found[index], is_ready) {
                    (State::Unknown, _) => {
                        self.found[index] = State::Open;
                        stack.push((index, true));
                        let unknown = |&callee: &usize| matches!(self.found[callee], State::Unknown);
                        stack.extend(
                            self.callees(index).into_iter().filter(unknown).map(|callee| (callee, false)),
                        );
                    }
                    (State::Open, true) => {
                        let known = paths::solve(self, index);
                        self.found[index] = State::Known(known);
                    }
                    _ => {}
                }
            }
        }
    }

    /// The functions of the object that a function calls.
    fn callees(&self, index: usize) -> Vec<usize> {
        let calls = self.functions[index].nodes.iter().flat_map(|node| &node.calls);
        let of_call = |call: &Callee| match call {
            Callee::Function(callee) => vec![*callee],
            Callee::Address => self.indirect[index].clone().unwrap_or_default(),
            Callee::Import(_) => Vec::new(),
        };
        calls.flat_map(of_call).collect()
    }
}
