//! Profiles: how often the functions and branches of a module were taken in runs of it.
//!
//! Counts are exact and come from a run of the module itself: [`instrument`] adds counters to its code, the result is
//! compiled and run like any module, and [`Counters::read`] takes them from its memory afterwards. They are keyed by
//! byte offsets in the module, adapters included, so a profile serves every level, option and target.
//!
//! [`Profile`] is the file: text, a line per function and branch. Its second line identifies the module; a profile of
//! another one is refused.
//!
//! ```text
//! wasm-pvm profile 1
//! module 5138 bytes 9ae16a3b2f90404f
//! function 3: 17
//! branch 0x413: 12 5
//! ```

mod instrument;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use llvm_frontend::Counts;

pub(crate) use instrument::add_entry;
pub use instrument::{Counters, InstrumentError, MEMORY, instrument};

/// The first line of a profile.
const HEADER: &str = "wasm-pvm profile 1";

/// The identity of a module: a profile is of use to no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Identity {
    bytes: usize,
    hash: u64,
}

impl Identity {
    /// That of a module, by the 64-bit FNV-1a hash of its bytes.
    fn of(wasm: &[u8]) -> Self {
        let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self { bytes: wasm.len(), hash: wasm.iter().fold(0xcbf2_9ce4_8422_2325, step) }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes {:016x}", self.bytes, self.hash)
    }
}

/// Counts of runs of one module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    module: Identity,
    counts: Arc<Counts>,
}

/// A file is no profile, or one of another module.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProfileError {
    /// It isn't one.
    #[error("the profile: line {line}: {what}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// The reason.
        what: String,
    },
    /// It belongs to another module.
    #[error(
        "the profile is of another module ({0}; this one, with its adapters, has {1}): make it again, with the same adapters \
         and --wasi options"
    )]
    OtherModule(String, String),
}

impl Profile {
    /// A profile of `wasm`.
    pub(crate) fn new(wasm: &[u8], counts: Counts) -> Self {
        Self { module: Identity::of(wasm), counts: Arc::new(counts) }
    }

    /// Its counts, if it is of `wasm`.
    ///
    /// # Errors
    /// If it isn't.
    pub(crate) fn counts_of(&self, wasm: &[u8]) -> Result<Arc<Counts>, ProfileError> {
        let module = Identity::of(wasm);
        if module != self.module {
            return Err(ProfileError::OtherModule(self.module.to_string(), module.to_string()));
        }
        Ok(self.counts.clone())
    }

    /// Adds the counts of another run of the same module.
    ///
    /// # Errors
    /// If it is of another module.
    pub fn add(&mut self, other: &Self) -> Result<(), ProfileError> {
        if other.module != self.module {
            return Err(ProfileError::OtherModule(other.module.to_string(), self.module.to_string()));
        }
        let counts = Arc::make_mut(&mut self.counts);
        for (&function, &calls) in &other.counts.functions {
            let sum = counts.functions.entry(function).or_default();
            *sum = sum.saturating_add(calls);
        }
        for (&offset, ways) in &other.counts.branches {
            let sums = counts.branches.entry(offset).or_insert_with(|| vec![0; ways.len()]);
            sums.iter_mut().zip(ways).for_each(|(sum, &way)| *sum = sum.saturating_add(way));
        }
        Ok(())
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\nmodule {}", self.module)?;
        for (function, calls) in &self.counts.functions {
            writeln!(f, "function {function}: {calls}")?;
        }
        for (offset, ways) in &self.counts.branches {
            let ways: Vec<String> = ways.iter().map(ToString::to_string).collect();
            writeln!(f, "branch {offset:#x}: {}", ways.join(" "))?;
        }
        Ok(())
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let mut lines = (1..).zip(text.lines());
        let error = |line, what: &str| ProfileError::Syntax { line, what: what.to_owned() };
        if lines.next().map(|(_, line)| line) != Some(HEADER) {
            return Err(error(1, &format!("expected `{HEADER}`")));
        }
        let module = lines.next().and_then(|(_, line)| identity(line));
        let module = module.ok_or_else(|| error(2, "expected `module NUMBER bytes HASH`"))?;
        let mut counts = Counts::default();
        for (number, line) in lines {
            let counted = count(line, &mut counts);
            counted.ok_or_else(|| {
                error(number, "expected `function INDEX: CALLS` or `branch OFFSET: COUNT COUNT…`")
            })?;
        }
        Ok(Self { module, counts: Arc::new(counts) })
    }
}

fn identity(line: &str) -> Option<Identity> {
    let (bytes, hash) = line.strip_prefix("module ")?.split_once(" bytes ")?;
    Some(Identity { bytes: bytes.parse().ok()?, hash: u64::from_str_radix(hash, 16).ok()? })
}

/// Reads the line of a function or branch, the first of its kind.
fn count(line: &str, counts: &mut Counts) -> Option<()> {
    let (key, numbers) = line.split_once(": ")?;
    let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    if let Some(index) = key.strip_prefix("function ") {
        let &[calls] = &numbers[..] else { return None };
        return counts.functions.insert(index.parse().ok()?, calls).is_none().then_some(());
    }
    let offset = u32::from_str_radix(key.strip_prefix("branch 0x")?, 16).ok()?;
    counts.branches.insert(offset, numbers).is_none().then_some(())
}

/// The counts of all sites in order.
fn collect(sites: &[instrument::Site], mut counts: impl Iterator<Item = u64>) -> Counts {
    let mut functions = BTreeMap::new();
    let mut branches = BTreeMap::new();
    for site in sites {
        match *site {
            instrument::Site::Function(index) => {
                functions.insert(index, counts.next().unwrap_or(0));
            }
            instrument::Site::Branch { offset, ways } => {
                branches.insert(offset, counts.by_ref().take(ways as usize).collect());
            }
        }
    }
    Counts { functions, branches }
}

#[cfg(test)]
mod tests;
