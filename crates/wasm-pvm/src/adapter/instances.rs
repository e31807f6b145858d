//! Linking the core modules of a component, whose imports are given instead of found by name.
//!
//! A component instantiates its core modules one after the other, and gives each import an export of an instance before
//! it, or a function of the host. A module may be instantiated several times, and is linked as often. The first memory of
//! the result is the one through which the host's functions exchange data, as in a module that has a single memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::module::{LinkedModule, ModuleExport, Space};
use super::resolve::{self, MAIN, Meaning, full_name, meaning};
use super::{AdapterError, Layout, encode_as, module};

/// A core module, instantiated.
pub struct Instance<'a> {
    /// Its name in messages.
    pub name: String,
    /// The binary.
    pub wasm: Cow<'a, [u8]>,
    /// The instances that its imports are given, by the first name of the import. All other imports are the host's.
    pub given: BTreeMap<String, Source>,
}

/// An instance that imports are given.
#[derive(Clone)]
pub enum Source {
    /// That of a module, by its number.
    Instance(usize),
    /// A set of exports of other instances.
    Exports(Rc<BTreeMap<String, Given>>),
}

/// An export of an instance, by the instance's number and the export's name.
pub type Given = (usize, String);

/// An export of the result.
pub struct InstanceExport {
    /// Its name.
    pub name: String,
    /// The export of an instance that it is.
    pub item: Given,
}

/// Links instances, in the order of instantiation. All of `memories` have to be one; it is the first memory of the
/// result.
///
/// # Errors
/// If types disagree, something is not given, `memories` are several, or a module is malformed.
pub fn link_instances(
    instances: &[Instance<'_>],
    memories: &[Given],
    exports: &[InstanceExport],
) -> Result<Vec<u8>, AdapterError> {
    let mut modules = Vec::new();
    for instance in instances {
        modules.push(LinkedModule::parse(&instance.name, &instance.wasm)?);
    }
    super::classes::classify(&mut modules)?;
    let given: Vec<module::Given> =
        (0..modules.len()).map(|number| given(&modules, instances, number)).collect::<Result<_, _>>()?;
    for (module, given) in modules.iter_mut().zip(given) {
        module.given = Some(given);
    }
    let first = first_module(&modules, memories)?;
    // The module with the shared memory becomes the first, the others keep their order.
    let moved = |number: usize| match number {
        number if number == first => MAIN,
        number if number < first => number + 1,
        number => number,
    };
    let module = modules.remove(first);
    modules.insert(MAIN, module);
    for module in &mut modules {
        let given = module.given.iter_mut().flatten().flatten().flatten();
        given.for_each(|(number, _)| *number = moved(*number));
    }
    let order = (0..modules.len()).map(moved).collect();
    let layout = Layout::of_given(&modules, resolve::meanings(&modules)?, order);
    let exports = exports.iter().map(|export| {
        let (number, name) = &export.item;
        let (number, found) = (moved(*number), found(&modules[moved(*number)], name)?);
        Ok((number, ModuleExport { name: &export.name, ..found }))
    });
    let exports = exports.collect::<Result<_, AdapterError>>()?;
    encode_as(&modules, layout, exports)
}

fn found<'a>(module: &LinkedModule<'a>, name: &str) -> Result<ModuleExport<'a>, AdapterError> {
    let missing = || AdapterError::Other(module.name.clone(), format!("it has no export {name}"));
    module.export(name).copied().ok_or_else(missing)
}

/// The entries that a module's imports are given.
fn given(
    modules: &[LinkedModule<'_>],
    instances: &[Instance<'_>],
    number: usize,
) -> Result<module::Given, AdapterError> {
    let (module, instance) = (&modules[number], &instances[number]);
    let mut given = module::Given::default();
    for space in Space::ALL {
        for import in &module.imports[space as usize] {
            let not_given = || AdapterError::NotGiven(module.name.clone(), full_name(import));
            let (other, name) = match instance.given.get(import.module) {
                Some(Source::Instance(other)) => (*other, import.name),
                Some(Source::Exports(exports)) => {
                    let (other, name) = exports.get(import.name).ok_or_else(not_given)?;
                    (*other, name.as_str())
                }
                None => {
                    given[space as usize].push(None);
                    continue;
                }
            };
            let export = modules.get(other).and_then(|module| module.export(name));
            let export = export.filter(|export| export.space == space).ok_or_else(not_given)?;
            given[space as usize].push(Some((other, export.index)));
        }
    }
    Ok(given)
}

/// The module that defines the shared memory as its first; without one, the module with the most functions.
fn first_module(modules: &[LinkedModule<'_>], memories: &[Given]) -> Result<usize, AdapterError> {
    let mut shared = None;
    for (number, name) in memories {
        let export = found(&modules[*number], name)?;
        let memory = meaning(modules, *number, Space::Memory, export.index)?;
        if shared.is_some_and(|shared| shared != memory) {
            return Err(AdapterError::SharedMemories);
        }
        shared = Some(memory);
    }
    match shared {
        Some(Meaning::Definition(number, 0)) => Ok(number),
        Some(_) => Err(AdapterError::SharedMemories),
        None => {
            Ok((0..modules.len()).rev().max_by_key(|&number| modules[number].bodies.len()).unwrap_or(MAIN))
        }
    }
}
