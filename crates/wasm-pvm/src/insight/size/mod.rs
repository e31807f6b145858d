//! Where the bytes of a file go.
//!
//! A file is cut into items, each with a kind, a name and its bytes; the rest of the file, which is headers and lengths, is
//! an item as well, so the sum is the size of the file. Functions have an origin: the crate or namespace in
//! their name, else the source file that a map knows.
//!
//! The call graph shows why a function is there. In its dominator tree a function is below the one without which nothing
//! would call it, so the bytes of a subtree are those that go with its root.

mod object;
mod pvm;
mod retained;
mod wasm;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use pvm_isa::{Container, GpVersion, ParseError};

use super::demangled;
use super::map::CodeMap;

pub use retained::Retained;

/// A part of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// The kind: `code`, `data`, `metadata` and so on.
    pub kind: &'static str,
    /// Its name; empty if there is one item of this kind.
    pub name: String,
    /// Where it comes from: a crate, a namespace or a file.
    pub origin: Option<String>,
    /// Bytes in the file.
    pub bytes: u64,
}

/// A function in the call graph.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Caller {
    /// Its name.
    pub name: String,
    /// Bytes of its code.
    pub bytes: u64,
    /// Functions that it calls: indices.
    pub calls: Vec<u32>,
    /// The outside can call it.
    pub is_entry: bool,
    /// Its address is taken, so indirect calls may call it.
    pub is_referenced: bool,
}

/// The contents of a file by size.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SizeReport {
    /// The form of the file.
    pub form: &'static str,
    /// Bytes of the file, unpacked if it was compressed.
    pub total: u64,
    /// Its parts, which add up to the total.
    pub items: Vec<Item>,
    /// Zeros that the program has in memory and the file doesn't store, by name.
    pub zeros: Vec<(String, u64)>,
    /// Bytes of data in the file that are zero.
    pub stored_zeros: u64,
    /// The call graph.
    pub functions: Vec<Caller>,
}

/// The reason why a file can't be measured.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SizeError {
    /// Malformed WebAssembly.
    #[error(transparent)]
    Wasm(#[from] llvm_frontend::Error),
    /// A malformed object.
    #[error(transparent)]
    Object(#[from] crate::object::FileError),
    /// No program.
    #[error("neither WebAssembly, nor an object, nor a PVM program: {0}")]
    Pvm(ParseError),
    /// Sections of an object that share bytes.
    #[error("parts of the file overlap")]
    Overlap,
}

impl SizeReport {
    /// Measures a file: WebAssembly, a Cortex-M object or a PVM program. `map` is that of the program.
    ///
    /// # Errors
    /// If the bytes are none of them.
    pub fn read(bytes: &[u8], gp: Option<GpVersion>, map: Option<&CodeMap>) -> Result<Self, SizeError> {
        let mut report = if bytes.starts_with(&crate::input::WASM_MAGIC) {
            wasm::read(bytes)?
        } else if bytes.starts_with(b"\x7fELF") {
            object::read(bytes)?
        } else {
            let container = Container::parse_for(gp, bytes).map_err(SizeError::Pvm)?;
            let gp = gp.or(container.gp()).unwrap_or_default();
            pvm::read(&container, bytes.len(), gp, map)
        };
        report.total = bytes.len() as u64;
        let known: u64 = report.items.iter().map(|item| item.bytes).sum();
        let rest = report.total.checked_sub(known).ok_or(SizeError::Overlap)?;
        let kind = if report.form == "object" { "symbols, relocations and headers" } else { "headers" };
        report.add(kind, "", rest);
        report
            .items
            .sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| (a.kind, &a.name).cmp(&(b.kind, &b.name))));
        Ok(report)
    }

    fn add(&mut self, kind: &'static str, name: &str, bytes: u64) {
        if bytes > 0 {
            self.items.push(Item { kind, name: name.to_owned(), origin: None, bytes });
        }
    }

    /// Adds the code of a function; `file` is that of its source.
    fn add_function(&mut self, name: &str, file: Option<&str>, bytes: u64) {
        let origin = origin(name, file);
        self.items.push(Item { kind: "code", name: demangled(name), origin, bytes });
    }

    /// Adds data, cut at the given starts of named objects. `at` is the address of the first byte.
    fn add_data(&mut self, kind: &'static str, at: u32, bytes: &[u8], objects: &[(Range<u64>, String)]) {
        self.stored_zeros += bytes.iter().filter(|&&byte| byte == 0).count() as u64;
        let (start, end) = (u64::from(at), u64::from(at) + bytes.len() as u64);
        let mut done = start;
        for (range, name) in objects {
            let (from, to) = (range.start.clamp(done, end), range.end.clamp(done, end));
            if from < to {
                self.add(kind, "(between objects)", from - done);
                self.add(kind, name, to - from);
                done = to;
            }
        }
        self.add(kind, if objects.is_empty() { "" } else { "(between objects)" }, end - done);
    }

    /// Bytes by kind, the largest first.
    pub fn kinds(&self) -> Vec<(&'static str, u64)> {
        sums(self.items.iter().map(|item| (item.kind, item.bytes)))
    }

    /// Bytes of code by origin, the largest first.
    pub fn origins(&self) -> Vec<(String, u64)> {
        let code = self.items.iter().filter(|item| item.kind == "code");
        sums(code.map(|item| (item.origin.clone().unwrap_or_else(|| "(unknown)".to_owned()), item.bytes)))
    }

    /// Advice for a smaller file, the most effective first.
    pub fn advice(&self) -> Vec<String> {
        let of =
            |kind: &str| self.kinds().iter().find(|(known, _)| *known == kind).map_or(0, |(_, bytes)| *bytes);
        let mut advice = Vec::new();
        let mut consider = |bytes: u64, text: &str| {
            if bytes > self.total / 50 {
                advice.push((bytes, format!("{text} ({bytes} bytes)")));
            }
        };
        consider(of("metadata") + of("names"), "--names strip leaves out the names of functions");
        consider(of("debug"), "debug sections are not needed in production: --debug none, or strip");
        consider(
            self.stored_zeros,
            "much of the data is zero: buffers that are not initialised need no bytes",
        );
        consider(of("code"), "-Oz makes code smaller; a profile (--train) keeps what is hot fast");
        advice.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        advice.into_iter().map(|(_, text)| text).collect()
    }

    /// Differences from another file, the largest first: kind, name, bytes before and now.
    pub fn changes(&self, old: &Self) -> Vec<(&'static str, String, u64, u64)> {
        let sums = |report: &Self| {
            let mut sums: BTreeMap<(&'static str, String), u64> = BTreeMap::new();
            for item in &report.items {
                *sums.entry((item.kind, item.name.clone())).or_default() += item.bytes;
            }
            sums
        };
        let (old, new) = (sums(old), sums(self));
        let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let bytes = |sums: &BTreeMap<_, u64>, key| sums.get(key).copied().unwrap_or(0);
        let mut changes: Vec<_> = keys
            .into_iter()
            .map(|key| (key.0, key.1.clone(), bytes(&old, key), bytes(&new, key)))
            .filter(|(.., before, now)| before != now)
            .collect();
        changes.sort_by_key(|(.., before, now)| std::cmp::Reverse(before.abs_diff(*now)));
        changes
    }
}

/// Sums by key, the largest first.
fn sums<K: Ord>(entries: impl Iterator<Item = (K, u64)>) -> Vec<(K, u64)> {
    let mut sums: BTreeMap<K, u64> = BTreeMap::new();
    entries.for_each(|(key, bytes)| *sums.entry(key).or_default() += bytes);
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    sums
}

/// The crate or namespace in a function's name, else its file.
fn origin(name: &str, file: Option<&str>) -> Option<String> {
    let name = demangled(name);
    // Methods of traits are `<Type as Trait>::method`.
    let path = name.trim_start_matches(['<', '&', '*', '[', '(']).trim_start_matches("mut ");
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let first = path.split(|c: char| !is_part(c)).next().unwrap_or_default();
    match path.strip_prefix(first).is_some_and(|rest| rest.starts_with("::")) {
        true if !first.is_empty() => Some(first.to_owned()),
        _ => file.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_crates_namespaces_or_files() {
        let origin = |name: &str| origin(name, Some("a.c"));
        assert_eq!(origin("core::fmt::write").as_deref(), Some("core"));
        assert_eq!(
            origin("<alloc::string::String as core::fmt::Write>::write_str").as_deref(),
            Some("alloc")
        );
        assert_eq!(origin("<&mut W as core::fmt::Write>::write_str").as_deref(), Some("a.c"));
        assert_eq!(origin("_ZN4core3fmt5write17h0123456789abcdefE").as_deref(), Some("core"));
        assert_eq!(origin("_ZN3foo3barEv").as_deref(), Some("foo"));
        assert_eq!(origin("memcpy").as_deref(), Some("a.c"));
    }
}
