//! Where a program's behaviour and costs come from: maps of code, traps, gas and bytes.
//!
//! | module | contents |
//! |---|---|
//! | [`map`] | from positions in the code to functions, operators and lines |
//! | [`size`] | where the bytes of a file go |
//! | [`code_stack`] | the deepest stack of a PVM program, from its code alone |
//! | `trap` | the reason of a trap, and the calls that led to it |
//! | `profile` | where the gas or the instructions of a run go |
//! | `cortex_m` | places of Cortex-M code, and its profile |
//! | `cycles` | worst cycles of Cortex-M code |
//! | `budget` | limits of all of these |
//! | `explore` | a page with the code of all stages |
//!
//! The last six need the feature `insight`.

pub(crate) mod operators;

#[cfg(feature = "insight")]
pub mod json;

#[cfg(feature = "insight")]
mod reasons;

#[cfg(feature = "insight")]
mod stacks;

pub mod code_stack;
pub mod map;
pub mod size;

#[cfg(feature = "insight")]
pub mod budget;

#[cfg(feature = "insight")]
pub mod cortex_m;

#[cfg(feature = "insight")]
pub mod cycles;

#[cfg(feature = "insight")]
pub mod explore;

#[cfg(feature = "insight")]
pub mod profile;

#[cfg(feature = "insight")]
pub mod trap;

pub use map::CodeMap;

/// A name as it is in the source, if it is one of Rust or C++ as linkers have it.
pub fn demangled(name: &str) -> String {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    let cpp = name.starts_with("_Z").then(|| cpp_demangle::Symbol::new(name).ok()).flatten();
    cpp.and_then(|symbol| symbol.demangle().ok()).unwrap_or_else(|| name.to_owned())
}
