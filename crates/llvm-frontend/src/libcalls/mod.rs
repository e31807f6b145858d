//! Recognising compiler helpers among the functions of a module.
//!
//! Compilers to wasm link helpers such as `memcpy` and `__multi3` as ordinary functions, written in a language that
//! has neither bulk memory nor 128-bit arithmetic. Calls to them are replaced by the operation they stand for,
//! which the optimiser and the target know.
//!
//! A function is a helper if it has the helper's name and its exact signature, and if its own body, run on the
//! vectors of [`vectors`], does what the helper is specified to do. So a function that only shares the name keeps
//! its meaning. In a module without function names the signature and the behaviour have to do; there
//! `memcpy` is not looked for, because nothing tells it from a copy loop that is meant to overlap.
//!
//! What the C standard leaves undefined (overlapping `memcpy`, division by zero) is not part of the behaviour
//! that is compared.

mod evaluator;
mod vectors;

use crate::module_info::{FuncType, ModuleInfo, ValueType};
use crate::names;
use evaluator::Evaluator;

/// A helper that the translator replaces by the operation it stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Libcall {
    /// `memcpy(to, from, length) -> to`.
    Memcpy,
    /// `memmove(to, from, length) -> to`.
    Memmove,
    /// `memset(to, byte, length) -> to`.
    Memset,
    /// `memcmp(a, b, length)`: the difference of the first two bytes that differ.
    Memcmp,
    /// `__multi3(result, a_low, a_high, b_low, b_high)`: 128-bit product.
    Multi3,
    /// 128-bit quotient or remainder; arguments as for [`Self::Multi3`].
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
        matches!(self, Self::Memcpy | Self::Memmove | Self::Memset)
    }
}

/// Names of helpers, with what they are.
const HELPERS: [(&str, Libcall); 10] = [
    ("memcpy", Libcall::Memcpy),
    ("memmove", Libcall::Memmove),
    ("memset", Libcall::Memset),
    ("memcmp", Libcall::Memcmp),
    ("bcmp", Libcall::Memcmp),
    ("__multi3", Libcall::Multi3),
    ("__udivti3", Libcall::Divide(Division::UnsignedQuotient)),
    ("__umodti3", Libcall::Divide(Division::UnsignedRemainder)),
    ("__divti3", Libcall::Divide(Division::SignedQuotient)),
    ("__modti3", Libcall::Divide(Division::SignedRemainder)),
];

/// What a function without a name may be, the strictest behaviour first.
const NAMELESS: [Libcall; 8] = [
    Libcall::Memmove,
    Libcall::Memset,
    Libcall::Memcmp,
    Libcall::Multi3,
    Libcall::Divide(Division::UnsignedQuotient),
    Libcall::Divide(Division::UnsignedRemainder),
    Libcall::Divide(Division::SignedQuotient),
    Libcall::Divide(Division::SignedRemainder),
];

/// For each function the helper it is.
pub fn recognise(info: &ModuleInfo, wasm: &[u8]) -> Vec<Option<Libcall>> {
    let mut found = vec![None; info.functions.len()];
    if info.memories.is_empty() {
        return found;
    }
    let mut evaluator = Evaluator::new(info, wasm);
    for index in info.imported_functions() as u32..info.functions.len() as u32 {
        let candidates = candidates(info, index);
        let helper = candidates.into_iter().find(|&helper| {
            has_signature(info.type_of(index), helper) && vectors::confirm(&mut evaluator, index, helper)
        });
        if let Some(helper) = helper {
            tracing::debug!(function = info.function_name(index), ?helper, "recognised a compiler helper");
            found[index as usize] = Some(helper);
        }
    }
    found
}

fn candidates(info: &ModuleInfo, index: u32) -> Vec<Libcall> {
    if info.function_names.is_empty() {
        return NAMELESS.to_vec();
    }
    let Ok(at) = info.function_names.binary_search_by_key(&index, |(index, _)| *index) else {
        return Vec::new();
    };
    let name = plain_name(&info.function_names[at].1);
    HELPERS.iter().filter(|(helper, _)| *helper == name).map(|(_, libcall)| *libcall).collect()
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

fn has_signature(ty: &FuncType, helper: Libcall) -> bool {
    use ValueType::{I32, I64};
    match helper {
        Libcall::Memcpy | Libcall::Memmove | Libcall::Memset | Libcall::Memcmp => {
            ty.params == [I32, I32, I32] && ty.results == [I32]
        }
        Libcall::Multi3 | Libcall::Divide(_) => {
            ty.params == [I32, I64, I64, I64, I64] && ty.results.is_empty()
        }
    }
}
