//! Resolves every entry of every index space to a definition in one of the modules, or to a remaining import.
//!
//! An import is replaced by an export of the same name and kind. For the main module's imports, adapters are searched
//! in their order. For an adapter's imports, the main module is searched first, then the adapters after it, then those
//! before it. An adapter that exports the name it imports wraps the outer function of this name, so the adapters
//! before it are not searched.

use std::collections::BTreeSet;

use wasmparser::Import;

use super::module::{EntryType, LinkedModule, Space};
use super::types::{both, describe, matches};
use super::{AdapterError, Disagreement};

/// Number of the main module among all modules; adapter `n` is number `n`.
pub const MAIN: usize = 0;

/// The resolution of an entry of an index space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Meaning {
    /// Import number `.1` of a module.
    Import(usize, u32),
    /// Definition number `.1` of a module.
    Definition(usize, u32),
}

/// For each module and index space, the resolution of every entry.
pub type Meanings = Vec<[Vec<Meaning>; Space::COUNT]>;

/// Resolves all entries.
pub fn meanings(modules: &[LinkedModule<'_>]) -> Result<Meanings, AdapterError> {
    let mut meanings = Meanings::new();
    for (number, module) in modules.iter().enumerate() {
        let mut of_module: [Vec<Meaning>; Space::COUNT] = Default::default();
        for space in Space::ALL {
            let of_space = (0..module.len(space)).map(|index| meaning(modules, number, space, index));
            of_module[space as usize] = of_space.collect::<Result<_, _>>()?;
        }
        meanings.push(of_module);
    }
    check_types(modules, &meanings)?;
    Ok(meanings)
}

/// The full name of an import.
pub fn full_name(import: &Import<'_>) -> String {
    format!("{}.{}", import.module, import.name)
}

/// The export that replaces an import: its module and index.
pub fn provider(
    modules: &[LinkedModule<'_>],
    number: usize,
    space: Space,
    index: u32,
) -> Result<Option<(usize, u32)>, AdapterError> {
    if let Some(given) = &modules[number].given {
        return Ok(given[space as usize][index as usize]);
    }
    let import = &modules[number].imports[space as usize][index as usize];
    let adapters = 1..modules.len();
    let wraps = number != MAIN && modules[number].export_for(import).is_some_and(|it| it.space == space);
    let before = adapters.start..if wraps { adapters.start } else { number };
    let others: Vec<usize> = match number {
        MAIN => adapters.collect(),
        _ => std::iter::once(MAIN).chain(number + 1..adapters.end).chain(before).collect(),
    };
    for other in others {
        let Some(export) = modules[other].export_for(import) else { continue };
        // An import that main re-exports may be the one that the wrapper replaces.
        if wraps && other == MAIN && export.index < modules[MAIN].imported(export.space) {
            continue;
        }
        if export.space == space {
            return Ok(Some((other, export.index)));
        }
        if other != MAIN {
            return Err(AdapterError::Type(Box::new(Disagreement {
                import: full_name(import),
                one: (modules[number].name.clone(), space.name().to_owned()),
                other: (modules[other].name.clone(), export.space.name().to_owned()),
            })));
        }
    }
    let has_memory = modules[MAIN].len(Space::Memory) > 0;
    Ok((space == Space::Memory && number != MAIN && has_memory).then_some((MAIN, 0)))
}

/// Follows an entry through imports and exports to its definition or to a remaining import.
pub fn meaning(
    modules: &[LinkedModule<'_>],
    mut number: usize,
    space: Space,
    mut index: u32,
) -> Result<Meaning, AdapterError> {
    let longest = modules.iter().map(|module| module.imported(space)).sum::<u32>();
    let mut steps = 0;
    loop {
        let imports = &modules[number].imports[space as usize];
        let Some(import) = imports.get(index as usize) else {
            return Ok(Meaning::Definition(number, index - imports.len() as u32));
        };
        match provider(modules, number, space, index)? {
            // A memory that modules re-export in a circle without defining it is imported from the host.
            Some(_) if steps == longest && space == Space::Memory => return Ok(Meaning::Import(MAIN, 0)),
            Some(_) if steps == longest => return Err(AdapterError::Circular(full_name(import))),
            Some((other, export)) if export < modules[other].len(space) => {
                (number, index) = (other, export);
                steps += 1;
            }
            Some((_, export)) => return Err(AdapterError::Index("export", export)),
            None => return shared_import(modules, number, space, index),
        }
    }
}

/// Unifies remaining imports of one name: the first module's import represents all of them.
fn shared_import(
    modules: &[LinkedModule<'_>],
    number: usize,
    space: Space,
    index: u32,
) -> Result<Meaning, AdapterError> {
    let import = &modules[number].imports[space as usize][index as usize];
    let ty = modules[number].entry_type(space, index);
    for (other, module) in modules[..number].iter().enumerate() {
        for (n, candidate) in (0..).zip(&module.imports[space as usize]) {
            let is_same = (candidate.module, candidate.name) == (import.module, import.name);
            if !is_same || provider(modules, other, space, n)?.is_some() {
                continue;
            }
            let other_ty = module.entry_type(space, n);
            let classes = &modules[number].classes;
            let common =
                ty.zip(other_ty).and_then(|(one, other)| both((&one, classes), (&other, &module.classes)));
            if common.is_some() {
                return Ok(Meaning::Import(other, n));
            }
            if space != Space::Func || !has_any_type(import.name) {
                return Err(AdapterError::Clash(Box::new(Disagreement {
                    import: full_name(import),
                    one: (module.name.clone(), other_ty.as_ref().map(describe).unwrap_or_default()),
                    other: (modules[number].name.clone(), ty.as_ref().map(describe).unwrap_or_default()),
                })));
            }
        }
    }
    Ok(Meaning::Import(number, index))
}

/// Imports with a built-in meaning, which take integers of either width.
fn has_any_type(name: &str) -> bool {
    name.starts_with("host_call") || matches!(name, "pvm_ptr" | "abort")
}

/// Checks that every import has the type of its resolution.
fn check_types(modules: &[LinkedModule<'_>], meanings: &Meanings) -> Result<(), AdapterError> {
    for (number, module) in modules.iter().enumerate() {
        for space in Space::ALL {
            for (index, import) in (0..).zip(&module.imports[space as usize]) {
                let (other, other_index, is_definition) =
                    match meanings[number][space as usize][index as usize] {
                        Meaning::Definition(other, n) => (other, modules[other].imported(space) + n, true),
                        Meaning::Import(other, n) => (other, n, false),
                    };
                let types =
                    module.entry_type(space, index).zip(modules[other].entry_type(space, other_index));
                let Some((wanted, found)) = types else {
                    return Err(AdapterError::Index(space.name(), index));
                };
                let (one, two) = ((&wanted, &*module.classes), (&found, &*modules[other].classes));
                let agree = if is_definition { matches(one, two) } else { both(one, two).is_some() };
                if !agree && (other, other_index) != (number, index) {
                    return Err(AdapterError::Type(Box::new(Disagreement {
                        import: full_name(import),
                        one: (module.name.clone(), describe(&wanted)),
                        other: (modules[other].name.clone(), describe(&found)),
                    })));
                }
            }
        }
    }
    Ok(())
}

/// The type of a remaining import that suits all modules that share it.
pub fn import_type<'m>(
    modules: &'m [LinkedModule<'_>],
    meanings: &Meanings,
    space: Space,
    import: Meaning,
) -> Option<EntryType<'m>> {
    let mut common: Option<(EntryType<'m>, &[u32])> = None;
    for (module, of_module) in modules.iter().zip(meanings) {
        let shared = (0..module.imported(space)).filter(|&n| of_module[space as usize][n as usize] == import);
        for ty in shared.filter_map(|index| module.entry_type(space, index)) {
            common = Some(match common {
                None => (ty, &module.classes),
                Some((known, classes)) => (both((&known, classes), (&ty, &module.classes))?, classes),
            });
        }
    }
    common.map(|(ty, _)| ty)
}

/// The adapters through which an import is resolved, up to that with the definition. The main module may be among those
/// that pass it on: it is instantiated last, but the adapter that it re-exports from is needed all the same.
fn providers(
    modules: &[LinkedModule<'_>],
    mut number: usize,
    space: Space,
    mut index: u32,
) -> Result<BTreeSet<usize>, AdapterError> {
    let mut passed = BTreeSet::new();
    let mut adapters = BTreeSet::new();
    while index < modules[number].imported(space)
        && passed.insert((number, index))
        && let Some((other, export)) = provider(modules, number, space, index)?
    {
        (number, index) = (other, export);
        adapters.extend((number != MAIN).then_some(number));
    }
    Ok(adapters)
}

/// The order in which modules are instantiated: adapters as they are given, each after those that it imports from,
/// then the main module.
pub fn order(modules: &[LinkedModule<'_>]) -> Result<Vec<usize>, AdapterError> {
    let mut needs = vec![BTreeSet::new(); modules.len()];
    for (number, needed) in needs.iter_mut().enumerate().skip(1) {
        for space in Space::ALL {
            for index in 0..modules[number].imported(space) {
                needed.extend(providers(modules, number, space, index)?);
            }
        }
    }
    let mut order = Vec::new();
    // A module stays on the stack until all its dependencies are in the order; cycles are cut where they close.
    let mut seen = BTreeSet::new();
    let mut stack: Vec<usize> = (1..modules.len()).rev().collect();
    while let Some(&number) = stack.last() {
        let is_first_visit = seen.insert(number);
        let missing = needs[number].iter().copied().filter(|other| is_first_visit && !seen.contains(other));
        let missing: Vec<usize> = missing.collect();
        if missing.is_empty() {
            stack.pop();
            if !order.contains(&number) {
                order.push(number);
            }
        }
        stack.extend(missing.into_iter().rev());
    }
    order.push(MAIN);
    Ok(order)
}
