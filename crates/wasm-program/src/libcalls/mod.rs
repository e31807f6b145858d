//! Recognising compiler helpers among the functions of a module.
//!
//! Compilers to wasm link helpers such as `memcpy` and `__multi3` as ordinary functions, written in a language that
//! has neither bulk memory nor 128-bit arithmetic. Calls to them are replaced by their operation, which the optimiser and
//! the target know.
//!
//! A function is a helper if its own code shows it, in one of two ways; its name plays no part.
//! - [`proof`]: it consists of byte loops that are proven to fill, copy or compare, by induction over the loop.
//! - [`known`]: its form ([`form`]) has the fingerprint of a known body: exactly the code that a published compiler or
//!   library puts into modules. The table names the source of each. Tests compare bodies with the reference engine;
//!   beyond the tests we rely on the library being right.
//!
//! An operation equals a body on a [`Domain`]. Outside of it the body itself runs.
//!
//! If body and operation write memory and then trap, the bytes written before the trap may differ. A trap ends the
//! program, so the program can't see that.
//!
//! Bodies of 128-bit division use the C stack below its pointer for scratch. The operation doesn't, so a
//! program could tell them apart by reading memory below its stack pointer, or by having no stack left.

#[cfg(test)]
mod evaluator;
mod form;
mod known;
mod proof;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use crate::error::Error;
use crate::module_info::{ConstOp, FuncType, ModuleInfo, ValueType};
use crate::names;

/// Bytes of the longest form of a [`Candidate`].
const LONGEST_CANDIDATE: usize = 1 << 20;

/// A function that is a compiler helper.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Libcall {
    /// Its operation.
    pub operation: Operation,
    /// The domain on which it equals the operation.
    pub domain: Domain,
}

/// The arguments for which a body and its operation are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Domain {
    /// The two ranges have no byte in common.
    pub apart: bool,
    /// The two ranges do not begin at the same address.
    pub distinct: bool,
    /// The length is below 2^31.
    pub short: bool,
    /// The divisor is not zero.
    pub nonzero: bool,
}

impl Domain {
    /// All arguments.
    pub const ALL: Self = Self { apart: false, distinct: false, short: false, nonzero: false };
}

/// The operation of a helper, which replaces calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// `memcpy(to, from, length) -> to`.
    Memcpy,
    /// `memmove(to, from, length) -> to`.
    Memmove,
    /// `memset(to, byte, length) -> to`.
    Memset,
    /// `memcmp(a, b, length)`: the difference of the first two bytes that differ. Bytes after them are not read.
    Memcmp,
    /// `__multi3(result, a_low, a_high, b_low, b_high)`: 128-bit product.
    Multi3,
    /// 128-bit quotient or remainder; arguments as for [`Self::Multi3`]. Division by zero traps.
    Divide(Division),
}

/// A 128-bit division.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Division {
    /// `__udivti3`.
    UnsignedQuotient,
    /// `__umodti3`.
    UnsignedRemainder,
    /// `__divti3`.
    SignedQuotient,
    /// `__modti3`.
    SignedRemainder,
}

impl Division {
    /// The symbol of our own function.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::UnsignedQuotient => names::UDIVTI3,
            Self::UnsignedRemainder => names::UMODTI3,
            Self::SignedQuotient => names::DIVTI3,
            Self::SignedRemainder => names::MODTI3,
        }
    }
}

impl Libcall {
    /// Whether the result is the first argument.
    pub fn returns_first_argument(self) -> bool {
        matches!(self.operation, Operation::Memcpy | Operation::Memmove | Operation::Memset)
    }
}

/// Names of helpers. A function with such a name that is not recognised is reported.
const NAMES: [&str; 10] = [
    "memcpy",
    "memmove",
    "memset",
    "memcmp",
    "bcmp",
    "__multi3",
    "__udivti3",
    "__umodti3",
    "__divti3",
    "__modti3",
];

/// For each function the helper it is.
pub fn recognise(info: &ModuleInfo, wasm: &[u8]) -> Vec<Option<Libcall>> {
    let mut found = vec![None; info.functions.len()];
    if !has_pointers(info) {
        return found;
    }
    for index in info.imported_functions() as u32..info.functions.len() as u32 {
        let Some(shape) = Shape::of(info.type_of(index)) else { continue };
        match identify(info, wasm, index, shape) {
            Some((libcall, why)) => {
                let (function, helper) = (info.function_name(index), libcall.operation);
                tracing::info!(function, ?helper, by = why, "recognised a compiler helper");
                found[index as usize] = Some(libcall);
            }
            None => report_unknown(info, index),
        }
    }
    found
}

/// Whether the main memory is one whose addresses are `i32`. Helpers that access another memory are not recognised.
fn has_pointers(info: &ModuleInfo) -> bool {
    info.main_memory().is_some_and(|memory| !memory.is_64)
}

/// A function that has the signature of a helper.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// The helper it is recognised as, and the evidence for it.
    pub recognised: Option<(Libcall, &'static str)>,
    /// Its form.
    pub form: Option<String>,
    /// SHA-256 of the form.
    pub digest: Option<String>,
}

/// All functions of a module that have the signature of a helper, for adding known bodies.
///
/// # Errors
/// If the module is invalid.
pub fn candidates(wasm: &[u8]) -> Result<Vec<Candidate>, Error> {
    let info = ModuleInfo::parse(wasm)?;
    let functions = info.imported_functions() as u32..info.functions.len() as u32;
    let candidate = |index| {
        let shape = Shape::of(info.type_of(index))?;
        let recognised = has_pointers(&info).then(|| identify(&info, wasm, index, shape)).flatten();
        let form = form::form(&info, wasm, index, LONGEST_CANDIDATE).map(|form| form.text);
        let digest = form.as_deref().map(known::digest);
        Some(Candidate { name: info.function_name(index).to_owned(), recognised, form, digest })
    };
    Ok(functions.filter_map(candidate).collect())
}

/// The helper that a function is, and the evidence for it.
fn identify(info: &ModuleInfo, wasm: &[u8], index: u32, shape: Shape) -> Option<(Libcall, &'static str)> {
    if shape == Shape::Memory
        && let Some(libcall) = proof::prove(info, wasm, index)
    {
        return Some((libcall, "proof"));
    }
    let known = known::find(info, wasm, index, shape)?;
    Some((known.libcall(), known.name))
}

fn report_unknown(info: &ModuleInfo, index: u32) {
    let named = info.function_names.binary_search_by_key(&index, |(index, _)| *index);
    let Ok(at) = named else { return };
    let name = &info.function_names[at].1;
    if NAMES.contains(&plain_name(name)) {
        tracing::info!(function = name, reason = "unknown body", "not recognised as a compiler helper");
    }
}

/// The last component of a Rust path without its hash: helpers are also found as
/// `compiler_builtins::mem::memcpy::h0123456789abcdef`.
fn plain_name(name: &str) -> &str {
    let Some(path) = name.strip_prefix("compiler_builtins::") else { return name };
    let mut components = path.rsplit("::");
    let last = components.next().unwrap_or(path);
    let is_hash =
        last.len() == 17 && last.starts_with('h') && last[1..].bytes().all(|b| b.is_ascii_hexdigit());
    if is_hash { components.next().unwrap_or(last) } else { last }
}

/// The signatures that helpers have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// Of the functions for memory.
    Memory,
    /// Of 128-bit arithmetic.
    Wide,
}

impl Shape {
    fn of(ty: &FuncType) -> Option<Self> {
        use ValueType::{I32, I64};
        if ty.params == [I32, I32, I32] && ty.results == [I32] {
            Some(Self::Memory)
        } else if ty.params == [I32, I64, I64, I64, I64] && ty.results.is_empty() {
            Some(Self::Wide)
        } else {
            None
        }
    }
}

/// Whether a global is the stack pointer of C: it has that name, or no global has a name and it is the first one.
fn is_stack_pointer(info: &ModuleInfo, global: u32) -> bool {
    let declared = &info.globals[global as usize];
    let is_first = info.globals.iter().take(global as usize).all(|global| global.import.is_some());
    let is_named = info.global_name(global) == Some("__stack_pointer");
    let is_pointer = declared.mutable && declared.ty == ValueType::I32;
    is_pointer
        && matches!(declared.init[..], [ConstOp::I32Const(_)])
        && (is_named || is_first && info.global_names.is_empty())
}
