//! Actions of imported functions.
//!
//! A PVM program calls the outside in one way: `ecalli N`, with up to six words in r7..r12 and results in r7 and r8. A
//! wasm import therefore needs an [`ImportAction`], from an [`ImportMap`], from its name, or by automatic numbering:
//!
//! | import | action |
//! |---|---|
//! | named in the map | as the map says |
//! | `host_call_0` .. `host_call_6`, with suffix `b` for both results; `host_call` | `ecalli` with the first, constant argument as number |
//! | `host_call_r8` | the second result of the last `host_call_Nb` |
//! | `pvm_ptr` | the PVM address of a wasm address |
//! | `pvm_ptr_1`, `pvm_ptr_2`, ... | the same for an address in another memory |
//! | `host_halt` | the program halts with the two arguments in r7 and r8 |
//! | `abort` | trap |
//! | in the module `jam`, with the name of a host call | that host call, with addresses converted |
//! | in a module named in the map (`module.*`), or left over (`*`) | as the map says |
//! | everything else | the next number of [`ImportMap::auto_base`], a host call by symbol ([`ImportMap::with_symbols`]), or an error |
//!
//! Only imports in reachable code need an action. [`check`] verifies that they have one before anything is compiled.
//!
//! [`resolve`] then rewrites the SSA, so that code generation sees plain host calls only. These are functions of up to
//! six `i64` parameters and up to two `i64` results whose number is in [`HostCalls`]. `i32` values are passed
//! zero-extended, as hosts expect addresses and lengths, and floats as their bits.

use std::collections::BTreeSet;

mod host_calls;
mod map;
mod rewrite;

use pvm_isa::{GpVersion, metadata};
use ssa::{DataId, FuncDecl, FuncId, FuncKind, IdVec, Import, Module, Reachable, Signature, Type};

pub use host_calls::{HOST_CALLS, HostCall, Numbering};
pub use map::{ImportMap, ImportMapError};

/// For each function that is a host call, its number.
pub type HostCalls = IdVec<FuncId, Option<u32>>;

/// Maximum number of argument words of a host call.
pub const MAX_ARGS: usize = 6;
/// Maximum number of result words of a host call.
pub const MAX_RESULTS: usize = 2;

/// The effect of a call of an import.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImportAction {
    /// The program panics.
    Trap,
    /// The program logs the import's name (JIP-1) and panics.
    LoggedTrap,
    /// Nothing; results are zero.
    Nop,
    /// A host call with this number, in the version of the module.
    Ecalli(u32),
    /// This host call.
    Named(&'static HostCall),
    /// This host call; arguments that are addresses are converted.
    Jam(&'static HostCall),
    /// A host call whose number is the first argument; `both` keeps the second result for
    /// [`SecondResult`](Self::SecondResult).
    HostCall {
        /// Whether the import's name ends in `b`.
        both: bool,
    },
    /// The second result of the last host call that kept it.
    SecondResult,
    /// The PVM address of an address in the memory with this number.
    PvmPtr(u32),
    /// The program halts, with both arguments in r7 and r8.
    Halt,
}

/// Reasons why imports could not be resolved.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImportError {
    /// Imports without an action: all of them.
    #[error(
        "no action for the import{} {}: map them in a file given with --imports, or all that are left with --imports trap",
        plural(.0), listed(.0, ", ")
    )]
    Unmapped(Vec<String>),
    /// Signatures that do not fit a host call or the import's special meaning: each import with the reason.
    #[error("{}; use an adapter that passes less, or an action that takes any signature, trap or nop (--imports trap: all that \
         are left trap)", listed(.0, "; "))]
    Signatures(Vec<String>),
    /// The version of the program has no such host call.
    #[error("host call {number} of GP {written_for} is {name}, which GP {gp} does not have")]
    NoHostCall {
        /// Its name.
        name: &'static str,
        /// Its number in the version of the module.
        number: u32,
        /// The version of the module.
        written_for: GpVersion,
        /// The version of the program.
        gp: GpVersion,
    },
    /// Host calls by number in a container that has symbols.
    #[error(
        "host call{} by number: {}; a program in PolkaVM's container calls its host by symbol: without a line in an import map, an \
         import is the host call of its name",
        plural(.0), listed(.0, ", ")
    )]
    Numbered(Vec<String>),
    /// The number of a host call is not a constant.
    #[error("function `{function}`: the number of a host call must be a constant")]
    NumberNotConstant {
        /// The calling function.
        function: String,
    },
}

/// Maximum number of imports that an error lists.
const LISTED: usize = 20;

fn listed(names: &[String], separator: &str) -> String {
    let mut text = names[..names.len().min(LISTED)].join(separator);
    if names.len() > LISTED {
        text.push_str(&format!("{separator}and {} more", names.len() - LISTED));
    }
    text
}

/// A use of an imported function in reachable code, before it is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImportUse<'a> {
    /// The import.
    pub import: &'a Import,
    /// Number of words of the parameters and of the results.
    pub arity: (usize, usize),
    /// A function that uses it, and the byte offset of the use.
    pub user: Option<(&'a str, usize)>,
}

/// Checks that each import has an action, and that its signature fits a host call where it becomes one.
///
/// # Errors
/// All imports without an action; else all with too many arguments or results.
pub fn check(uses: &[ImportUse<'_>], map: &ImportMap, gp: GpVersion) -> Result<(), ImportError> {
    let action = |import: &Import| known_action(map, import);
    let is_numbered =
        |used: &&ImportUse<'_>| map.has_symbols() && action(used.import).is_some_and(has_number);
    let numbered: Vec<String> = uses.iter().filter(is_numbered).map(|used| full_name(used.import)).collect();
    if !numbered.is_empty() {
        return Err(ImportError::Numbered(numbered));
    }
    let is_left = map.auto_base().is_none() && !map.has_symbols();
    let missing = uses.iter().filter(|used| is_left && action(used.import).is_none());
    let missing: Vec<String> = missing.map(|used| full_name(used.import)).collect();
    if !missing.is_empty() {
        return Err(ImportError::Unmapped(missing));
    }
    let too_many = uses.iter().filter_map(|used| {
        let (params, results) = used.arity;
        let why = match action(used.import).unwrap_or(ImportAction::Ecalli(0)) {
            ImportAction::Ecalli(_) | ImportAction::Named(_) => too_many_words(params, results),
            ImportAction::HostCall { .. } => too_many_words(params.checked_sub(1)?, results),
            ImportAction::Jam(call) => other_arity(call, gp, params, results),
            _ => None,
        }?;
        let user = used.user.map(|(name, offset)| format!(" (used by {name} at offset {offset:#x})"));
        Some(format!("import {}{}: {why}", full_name(used.import), user.unwrap_or_default()))
    });
    let too_many: Vec<String> = too_many.collect();
    if too_many.is_empty() { Ok(()) } else { Err(ImportError::Signatures(too_many)) }
}

/// The action of an import according to the map or its name.
fn known_action(map: &ImportMap, import: &Import) -> Option<ImportAction> {
    map.action(import).or_else(|| built_in(import)).or_else(|| map.wildcard(import))
}

/// Whether the program or a map chooses the number of a host call.
fn has_number(action: ImportAction) -> bool {
    matches!(action, ImportAction::Ecalli(_) | ImportAction::HostCall { .. } | ImportAction::SecondResult)
}

fn too_many_words(params: usize, results: usize) -> Option<String> {
    if params > MAX_ARGS {
        Some(format!("it takes {params} arguments, and a host call at most {MAX_ARGS}"))
    } else if results > MAX_RESULTS {
        Some(format!("it has {results} results, and a host call at most {MAX_RESULTS}"))
    } else {
        None
    }
}

/// The reason why a host call can't have this number of parameters and results.
fn other_arity(call: &HostCall, gp: GpVersion, params: usize, results: usize) -> Option<String> {
    if call.number(gp).is_none() {
        return Some(format!("GP {gp} has no host call {}", call.name));
    }
    let fits = params == call.arguments(gp).count() && results <= call.results;
    let described = call.signature(gp).split_whitespace().collect::<Vec<_>>().join(", ");
    let many = if call.results > 1 { "two results" } else { "one result" };
    (!fits).then(|| format!("the host call is {}({described}) with up to {many}", call.name))
}

fn plural(names: &[String]) -> &'static str {
    if names.len() == 1 { "" } else { "s" }
}

/// Writes the actions of all imports into the reachable functions. Addresses that the program passes are in `memory`.
///
/// # Errors
/// If an import has no action, or one that does not fit its signature.
pub fn resolve(
    module: &mut Module,
    memory: Option<DataId>,
    map: &ImportMap,
    numbering: Numbering,
    reachable: &Reachable,
) -> Result<Resolved, ImportError> {
    let imports: Vec<(FuncId, Import)> =
        module.decls.iter().filter_map(|(id, decl)| as_import(id, decl)).collect();
    let mut actions = IdVec::filled(None, module.decls.len());
    let mut unmapped = Vec::new();
    let mut ambiguous = BTreeSet::new();
    let mut next = map.auto_base();
    let mut symbols = Vec::new();
    for (id, import) in &imports {
        let numbered = || match map.has_symbols() {
            true if reachable.funcs[*id] => {
                Some(ImportAction::Ecalli(number_of(&mut symbols, &import.field)))
            }
            true => None,
            false => next.as_mut().map(|number| ImportAction::Ecalli(take_number(number))),
        };
        let known = known_action(map, import).map(|action| match action {
            ImportAction::Ecalli(number) if reachable.funcs[*id] => {
                ambiguous.extend(numbering.is_ambiguous(number).then_some(number));
                numbering.translate(number).map(ImportAction::Ecalli)
            }
            action => Ok(action),
        });
        match known.transpose()?.or_else(numbered) {
            // A name for the log has no meaning to hosts with symbols.
            Some(ImportAction::LoggedTrap) if map.has_symbols() => actions[*id] = Some(ImportAction::Trap),
            Some(action) => actions[*id] = Some(action),
            None if reachable.funcs[*id] => unmapped.push(full_name(import)),
            None => {}
        }
    }
    if !unmapped.is_empty() {
        return Err(ImportError::Unmapped(unmapped));
    }
    let report = check_signatures(module, &imports, &mut actions, numbering.gp, reachable)?;
    let host_calls = rewrite::rewrite(
        module,
        memory,
        rewrite::Actions { of: &actions, numbering },
        reachable,
        &mut ambiguous,
    )?;
    Ok(Resolved { host_calls, imports: report, ambiguous })
}

/// Drops the actions that don't fit the signatures of imports without a use; returns the others for the metadata.
fn check_signatures(
    module: &Module,
    imports: &[(FuncId, Import)],
    actions: &mut IdVec<FuncId, Option<ImportAction>>,
    gp: GpVersion,
    reachable: &Reachable,
) -> Result<Vec<metadata::Import>, ImportError> {
    let mut report = Vec::with_capacity(imports.len());
    let mut misfits = Vec::new();
    for (id, import) in imports {
        let Some(action) = actions[*id] else { continue };
        match check_signature(module.signature_of(*id), action, gp) {
            Ok(()) => report.push(metadata_import(import, action, gp)),
            Err(why) if reachable.funcs[*id] => misfits.push(format!("import {}: {why}", full_name(import))),
            Err(_) => actions[*id] = None,
        }
    }
    if misfits.is_empty() { Ok(report) } else { Err(ImportError::Signatures(misfits)) }
}

/// The imports of a program after their actions were written into its functions.
pub struct Resolved {
    /// The host calls that are left.
    pub host_calls: HostCalls,
    /// The action of each import, for the metadata.
    pub imports: Vec<metadata::Import>,
    /// Numbers of host calls in the module with different meanings in different versions, if none was stated.
    pub ambiguous: BTreeSet<u32>,
}

fn as_import(id: FuncId, decl: &FuncDecl) -> Option<(FuncId, Import)> {
    match &decl.kind {
        FuncKind::Import(import) => Some((id, import.clone())),
        _ => None,
    }
}

/// The position of a symbol in the table, to which it is added if it is missing.
fn number_of<'a>(symbols: &mut Vec<&'a str>, symbol: &'a str) -> u32 {
    let known = symbols.iter().position(|known| *known == symbol);
    known.unwrap_or_else(|| {
        symbols.push(symbol);
        symbols.len() - 1
    }) as u32
}

fn take_number(next: &mut u32) -> u32 {
    let number = *next;
    *next += 1;
    number
}

/// Both levels of an import's name.
pub fn full_name(import: &Import) -> String {
    format!("{}.{}", import.module, import.field)
}

/// The action of an import that is determined by its name alone.
fn built_in(import: &Import) -> Option<ImportAction> {
    match import.field.as_str() {
        "abort" => Some(ImportAction::Trap),
        "pvm_ptr" => Some(ImportAction::PvmPtr(0)),
        "host_halt" => Some(ImportAction::Halt),
        "host_call" => Some(ImportAction::HostCall { both: false }),
        "host_call_r8" => Some(ImportAction::SecondResult),
        name if import.module == "jam" => HostCall::named(name).map(ImportAction::Jam),
        field => {
            if let Some(number) = field.strip_prefix("pvm_ptr_") {
                return memory_number(number).map(ImportAction::PvmPtr);
            }
            let rest = field.strip_prefix("host_call_")?;
            let digit = rest.strip_suffix('b').unwrap_or(rest);
            let known = matches!(digit, "0" | "1" | "2" | "3" | "4" | "5" | "6");
            known.then_some(ImportAction::HostCall { both: rest.len() == 2 })
        }
    }
}

/// The number of a memory other than the first.
fn memory_number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

fn check_signature(sig: &Signature, action: ImportAction, gp: GpVersion) -> Result<(), String> {
    let words = |params: usize| too_many_words(params, sig.results.len()).map_or(Ok(()), Err);
    let integers = |types: &[Type]| types.iter().all(|ty| ty.is_int());
    match action {
        ImportAction::Trap | ImportAction::LoggedTrap | ImportAction::Nop => Ok(()),
        ImportAction::Ecalli(_) | ImportAction::Named(_) => words(sig.params.len()),
        ImportAction::Jam(_) if !integers(&sig.params) || !integers(&sig.results) => {
            Err("arguments and results of a host call are integers".to_owned())
        }
        ImportAction::Jam(call) => {
            other_arity(call, gp, sig.params.len(), sig.results.len()).map_or(Ok(()), Err)
        }
        ImportAction::HostCall { .. } => match sig.params.split_first() {
            Some((number, words_of_call)) if number.is_int() => words(words_of_call.len()),
            _ => Err("the first parameter of a host call must be its number, an integer".to_owned()),
        },
        ImportAction::SecondResult => match (sig.params.as_slice(), sig.results.as_slice()) {
            ([], [Type::I64]) => Ok(()),
            _ => Err("host_call_r8 must have no parameter and one i64 result".to_owned()),
        },
        ImportAction::Halt => match (sig.params.as_slice(), sig.results.as_slice()) {
            ([Type::I64, Type::I64], []) => Ok(()),
            _ => Err("host_halt must have two i64 parameters and no result".to_owned()),
        },
        ImportAction::PvmPtr(_) => match (sig.params.len(), sig.results.len()) {
            (1, 1) if integers(&sig.params) && integers(&sig.results) => Ok(()),
            _ => Err("pvm_ptr must have one integer parameter and one integer result".to_owned()),
        },
    }
}

fn metadata_import(import: &Import, action: ImportAction, gp: GpVersion) -> metadata::Import {
    let kind = match action {
        ImportAction::Ecalli(number) => metadata::ImportKind::Ecalli(number),
        ImportAction::Named(call) | ImportAction::Jam(call) => {
            metadata::ImportKind::Ecalli(call.number(gp).expect("checked with the signature"))
        }
        ImportAction::Trap | ImportAction::LoggedTrap => metadata::ImportKind::Trap,
        ImportAction::Nop => metadata::ImportKind::Nop,
        ImportAction::HostCall { .. }
        | ImportAction::SecondResult
        | ImportAction::PvmPtr(_)
        | ImportAction::Halt => metadata::ImportKind::BuiltIn,
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
        assert_eq!(built_in(&import("pvm_ptr_12")), Some(ImportAction::PvmPtr(12)));
        assert_eq!(built_in(&import("host_halt")), Some(ImportAction::Halt));
        assert_eq!(built_in(&import("host_call_r8")), Some(ImportAction::SecondResult));
        for name in [
            "host_call_7",
            "host_call_",
            "host_call_b",
            "host_call_3bb",
            "hostcall",
            "log",
            "pvm_ptr_0",
            "pvm_ptr_+1",
        ] {
            assert_eq!(built_in(&import(name)), None, "{name}");
        }
    }

    #[test]
    fn signatures_are_checked() {
        let sig =
            |params: &[Type], results: &[Type]| Signature { params: params.into(), results: results.into() };
        let check_signature = |sig: &Signature, action| check_signature(sig, action, GpVersion::V08);
        let call = ImportAction::Ecalli(1);
        assert_eq!(check_signature(&sig(&[Type::I32; 6], &[Type::I64; 2]), call), Ok(()));
        assert!(check_signature(&sig(&[Type::I32; 7], &[]), call).is_err());
        assert!(check_signature(&sig(&[], &[Type::I64; 3]), call).is_err());
        let gate = ImportAction::HostCall { both: false };
        assert_eq!(check_signature(&sig(&[Type::I64; 7], &[Type::I64]), gate), Ok(()));
        assert!(check_signature(&sig(&[], &[Type::I64]), gate).is_err());
        assert!(check_signature(&sig(&[Type::F64], &[Type::I64]), ImportAction::PvmPtr(0)).is_err());
    }
}
