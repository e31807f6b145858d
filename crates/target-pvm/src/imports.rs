//! What becomes of imported functions.
//!
//! The PVM knows one way out: `ecalli N`, with up to six words in r7..r12 and results in r7 and r8. A wasm import
//! therefore needs an [`ImportAction`], from an [`ImportMap`], from its name, or by numbering:
//!
//! | import | action |
//! |---|---|
//! | named in the map | what the map says |
//! | `host_call_0` .. `host_call_6`, with `b` behind for both results; `host_call` | `ecalli` with the first, constant argument as number |
//! | `host_call_r8` | the second result of the last `host_call_Nb` |
//! | `pvm_ptr` | the PVM address of a wasm address |
//! | `abort` | trap |
//! | everything else | the next number of [`ImportMap::auto_base`], or an error |
//!
//! [`resolve`] then writes the actions into the SSA, so that code generation sees plain host calls only: functions of
//! up to six `i64` parameters and up to two `i64` results whose number is in [`HostCalls`]. `i32` values are passed
//! zero-extended, as hosts read addresses and lengths; floats as their bits.

mod map;
mod rewrite;

use pvm_isa::metadata;
use ssa::{FuncDecl, FuncId, FuncKind, IdVec, Import, Module, Signature, Type};

pub use map::{HOST_CALLS, ImportMap, ImportMapError, host_call_number};

use crate::reach::Reachable;

/// For each function, the number of the host call it is, if it is one.
pub type HostCalls = IdVec<FuncId, Option<u32>>;

/// The most words a host call takes.
pub const MAX_ARGS: usize = 6;
/// The most words a host call returns.
pub const MAX_RESULTS: usize = 2;

/// What calling an import does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImportAction {
    /// The program panics.
    Trap,
    /// Nothing; results are zero.
    Nop,
    /// A host call with this number.
    Ecalli(u32),
    /// A host call whose number is the first argument; `both` keeps the second result for
    /// [`SecondResult`](Self::SecondResult).
    HostCall {
        /// Whether the import's name ends in `b`.
        both: bool,
    },
    /// The second result of the last host call that kept it.
    SecondResult,
    /// The PVM address of a wasm address.
    PvmPtr,
}

/// Why imports could not be resolved.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImportError {
    /// No action is known; all such imports.
    #[error("no action for the import{} {}: map them in a file given with --imports", plural(.0), .0.join(", "))]
    Unmapped(Vec<String>),
    /// The signature does not fit a host call or the import's special meaning.
    #[error("import {name}: {why}")]
    Signature {
        /// The import.
        name: String,
        /// What does not fit.
        why: &'static str,
    },
    /// The number of a host call is not known.
    #[error("function `{function}`: the number of a host call must be a constant")]
    NumberNotConstant {
        /// The calling function.
        function: String,
    },
}

fn plural(names: &[String]) -> &'static str {
    if names.len() == 1 { "" } else { "s" }
}

/// Writes the actions of all imports into the reachable functions.
///
/// Returns the host calls that are left, and what became of each import, for the metadata.
///
/// # Errors
/// If an import has no action or one that does not fit its signature.
pub fn resolve(
    module: &mut Module,
    map: &ImportMap,
    reachable: &Reachable,
) -> Result<(HostCalls, Vec<metadata::Import>), ImportError> {
    let imports: Vec<(FuncId, Import)> =
        module.decls.iter().filter_map(|(id, decl)| as_import(id, decl)).collect();
    let mut actions = IdVec::filled(None, module.decls.len());
    let mut unmapped = Vec::new();
    let mut next = map.auto_base();
    for (id, import) in &imports {
        let known = map.action(import).or_else(|| built_in(import));
        let numbered = || next.as_mut().map(|number| ImportAction::Ecalli(take_number(number)));
        match known.or_else(numbered) {
            Some(action) => actions[*id] = Some(action),
            None => unmapped.push(full_name(import)),
        }
    }
    if !unmapped.is_empty() {
        return Err(ImportError::Unmapped(unmapped));
    }
    let mut report = Vec::with_capacity(imports.len());
    for (id, import) in &imports {
        let action = actions[*id].expect("every import has an action");
        check_signature(module.signature_of(*id), action)
            .map_err(|why| ImportError::Signature { name: full_name(import), why })?;
        report.push(metadata_import(import, action));
    }
    Ok((rewrite::rewrite(module, &actions, reachable)?, report))
}

fn as_import(id: FuncId, decl: &FuncDecl) -> Option<(FuncId, Import)> {
    match &decl.kind {
        FuncKind::Import(import) => Some((id, import.clone())),
        _ => None,
    }
}

fn take_number(next: &mut u32) -> u32 {
    let number = *next;
    *next += 1;
    number
}

fn full_name(import: &Import) -> String {
    format!("{}.{}", import.module, import.field)
}

/// Imports whose name alone says what they do.
fn built_in(import: &Import) -> Option<ImportAction> {
    match import.field.as_str() {
        "abort" => Some(ImportAction::Trap),
        "pvm_ptr" => Some(ImportAction::PvmPtr),
        "host_call" => Some(ImportAction::HostCall { both: false }),
        "host_call_r8" => Some(ImportAction::SecondResult),
        field => {
            let rest = field.strip_prefix("host_call_")?;
            let digit = rest.strip_suffix('b').unwrap_or(rest);
            let known = matches!(digit, "0" | "1" | "2" | "3" | "4" | "5" | "6");
            known.then_some(ImportAction::HostCall { both: rest.len() == 2 })
        }
    }
}

fn check_signature(sig: &Signature, action: ImportAction) -> Result<(), &'static str> {
    let words = |params: usize| match params <= MAX_ARGS {
        true if sig.results.len() <= MAX_RESULTS => Ok(()),
        true => Err("a host call has at most two results"),
        false => Err("a host call takes at most six arguments"),
    };
    let integers = |types: &[Type]| types.iter().all(|ty| ty.is_int());
    match action {
        ImportAction::Trap | ImportAction::Nop => Ok(()),
        ImportAction::Ecalli(_) => words(sig.params.len()),
        ImportAction::HostCall { .. } => match sig.params.split_first() {
            Some((number, words_of_call)) if number.is_int() => words(words_of_call.len()),
            _ => Err("the first parameter of a host call is its number"),
        },
        ImportAction::SecondResult => match (sig.params.as_slice(), sig.results.as_slice()) {
            ([], [Type::I64]) => Ok(()),
            _ => Err("host_call_r8 takes nothing and returns an i64"),
        },
        ImportAction::PvmPtr => match (sig.params.len(), sig.results.len()) {
            (1, 1) if integers(&sig.params) && integers(&sig.results) => Ok(()),
            _ => Err("pvm_ptr takes an integer and returns one"),
        },
    }
}

fn metadata_import(import: &Import, action: ImportAction) -> metadata::Import {
    let kind = match action {
        ImportAction::Ecalli(number) => metadata::ImportKind::Ecalli(number),
        ImportAction::Trap => metadata::ImportKind::Trap,
        ImportAction::Nop => metadata::ImportKind::Nop,
        ImportAction::HostCall { .. } | ImportAction::SecondResult | ImportAction::PvmPtr => {
            metadata::ImportKind::BuiltIn
        }
    };
    metadata::Import { module: import.module.clone(), name: import.field.clone(), kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(field: &str) -> Import {
        Import { module: "env".into(), field: field.into() }
    }

    #[test]
    fn names_with_a_meaning() {
        assert_eq!(built_in(&import("host_call_3")), Some(ImportAction::HostCall { both: false }));
        assert_eq!(built_in(&import("host_call_6b")), Some(ImportAction::HostCall { both: true }));
        assert_eq!(built_in(&import("host_call_r8")), Some(ImportAction::SecondResult));
        for name in ["host_call_7", "host_call_", "host_call_b", "host_call_3bb", "hostcall", "log"] {
            assert_eq!(built_in(&import(name)), None, "{name}");
        }
    }

    #[test]
    fn signatures_are_checked() {
        let sig =
            |params: &[Type], results: &[Type]| Signature { params: params.into(), results: results.into() };
        let call = ImportAction::Ecalli(1);
        assert_eq!(check_signature(&sig(&[Type::I32; 6], &[Type::I64; 2]), call), Ok(()));
        assert!(check_signature(&sig(&[Type::I32; 7], &[]), call).is_err());
        assert!(check_signature(&sig(&[], &[Type::I64; 3]), call).is_err());
        let gate = ImportAction::HostCall { both: false };
        assert_eq!(check_signature(&sig(&[Type::I64; 7], &[Type::I64]), gate), Ok(()));
        assert!(check_signature(&sig(&[], &[Type::I64]), gate).is_err());
        assert!(check_signature(&sig(&[Type::F64], &[Type::I64]), ImportAction::PvmPtr).is_err());
    }
}
