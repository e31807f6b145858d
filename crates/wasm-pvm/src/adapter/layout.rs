//! The order of entries in the result: imports first, then the main module's definitions, then each adapter's.
//! Segments are in the order in which they are written.

use super::AdapterError;
use super::accesses::{Accesses, accesses};
use super::module::{EntryType, LinkedModule, Space};
use super::resolve::{MAIN, Meaning, Meanings, import_type, order};

/// New indices of all entries.
pub struct Layout {
    /// For each module and index space, the new index of every entry.
    pub indices: Vec<[Vec<u32>; Space::COUNT]>,
    /// The definition or import that every entry resolves to.
    pub meanings: Meanings,
    /// The remaining imports, by index space.
    pub kept: [Vec<Meaning>; Space::COUNT],
    /// The order in which modules are instantiated and their segments written.
    pub order: Vec<usize>,
    /// The number to add to each module's indices of types, elements and data.
    pub offsets: Vec<Offsets>,
    /// For each module, whether its own memory is left out because another one replaces it.
    pub drops_memory: Vec<bool>,
}

/// Number of types, element segments and data segments.
#[derive(Clone, Copy, Default, Debug)]
pub struct Offsets {
    pub types: u32,
    pub elements: u32,
    pub data: u32,
}

impl Layout {
    /// The layout of modules whose imports are found by name.
    pub fn new(modules: &[LinkedModule<'_>], mut meanings: Meanings) -> Result<Self, AdapterError> {
        let mut drops_memory = vec![false; modules.len()];
        let memory = the_memory(modules, &meanings)?;
        for (number, module) in modules.iter().enumerate().skip(1) {
            if means_both(module) {
                continue;
            }
            let of_memory = &mut meanings[number][Space::Memory as usize];
            for meaning in of_memory.iter_mut() {
                let is_own = matches!(meaning, Meaning::Definition(owner, _) if *owner == number);
                if is_own && memory.is_some_and(|memory| memory != *meaning) && is_placeholder(module)? {
                    drops_memory[number] = true;
                    *meaning = memory.unwrap_or(*meaning);
                }
            }
        }
        check_memories(modules, &meanings)?;
        let kept = Space::ALL.map(|space| kept_imports(&meanings, space));
        let mut indices = indices(modules, &meanings, &kept, &drops_memory);
        // An adapter may access memory without declaring it.
        if let Some(memory) = memory {
            let index = index_of(modules, &kept, &drops_memory, Space::Memory, memory);
            for of_module in indices.iter_mut().skip(1) {
                let of_memory = &mut of_module[Space::Memory as usize];
                if of_memory.is_empty() {
                    of_memory.push(index);
                }
            }
        }
        let order = order(modules)?;
        let offsets = offsets(modules, &order);
        Ok(Self { indices, meanings, kept, order, offsets, drops_memory })
    }

    /// The layout of modules whose imports are given, instantiated in an order. Each keeps its own memories.
    pub fn of_given(modules: &[LinkedModule<'_>], meanings: Meanings, order: Vec<usize>) -> Self {
        let drops_memory = vec![false; modules.len()];
        let kept = Space::ALL.map(|space| kept_imports(&meanings, space));
        let indices = indices(modules, &meanings, &kept, &drops_memory);
        let offsets = offsets(modules, &order);
        Self { indices, meanings, kept, order, offsets, drops_memory }
    }

    /// The new index of an entry.
    pub fn index(&self, module: usize, space: Space, index: u32) -> Result<u32, AdapterError> {
        let indices = &self.indices[module][space as usize];
        indices.get(index as usize).copied().ok_or(AdapterError::Index(space.name(), index))
    }

    /// The type of a remaining import.
    pub fn kept_type<'m>(
        &self,
        modules: &'m [LinkedModule<'_>],
        space: Space,
        import: Meaning,
    ) -> Option<EntryType<'m>> {
        import_type(modules, &self.meanings, space, import)
    }
}

/// Offsets of types and segments. Segments may overlap, so those that are written later come later.
fn offsets(modules: &[LinkedModule<'_>], order: &[usize]) -> Vec<Offsets> {
    let mut offsets = vec![Offsets::default(); modules.len()];
    let mut types = 0;
    for (module, offsets) in modules.iter().zip(&mut offsets) {
        offsets.types = types;
        types += module.types.len() as u32;
    }
    let (mut elements, mut data) = (0, 0);
    for &number in order {
        (offsets[number].elements, offsets[number].data) = (elements, data);
        elements += modules[number].elements.len() as u32;
        data += modules[number].data.len() as u32;
    }
    offsets
}

/// The memory of adapters that have none: the main module's, else the first one that is not a placeholder, else the
/// first.
fn the_memory(modules: &[LinkedModule<'_>], meanings: &Meanings) -> Result<Option<Meaning>, AdapterError> {
    let first = |number: usize| meanings[number][Space::Memory as usize].first().copied();
    if let Some(memory) = first(MAIN) {
        return Ok(Some(memory));
    }
    for (number, module) in modules.iter().enumerate().skip(1) {
        if let Some(memory) = first(number)
            && !is_placeholder(module)?
        {
            return Ok(Some(memory));
        }
    }
    Ok((1..modules.len()).find_map(first))
}

/// Whether a module's own memory is a placeholder for another: it has no pages, or the module never accesses it.
fn is_placeholder(module: &LinkedModule<'_>) -> Result<bool, AdapterError> {
    if module.memory_types.iter().all(|memory| memory.initial == 0) {
        return Ok(true);
    }
    if !module.data.is_empty() || module.exports.iter().any(|export| export.space == Space::Memory) {
        return Ok(false);
    }
    for body in &module.bodies {
        if accesses(module, body)?.contains(&Accesses::Memory) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a module means the memories it defines to be different from that of others, because it imports that one.
fn means_both(module: &LinkedModule<'_>) -> bool {
    module.imported(Space::Memory) > 0 && module.defined[Space::Memory as usize] > 0
}

/// Refuses memories of different modules that could be meant to be one.
fn check_memories(modules: &[LinkedModule<'_>], meanings: &Meanings) -> Result<(), AdapterError> {
    let mut first: Option<(Meaning, usize)> = None;
    for (number, of_module) in meanings.iter().enumerate() {
        let imported = modules[number].imported(Space::Memory) as usize;
        let len = if means_both(&modules[number]) { imported } else { usize::MAX };
        for &memory in of_module[Space::Memory as usize].iter().take(len) {
            match first {
                Some((other, owner)) if other != memory && owner != number => {
                    let name = |number: usize| modules[number].name.clone();
                    return Err(AdapterError::Memories { one: name(owner), other: name(number) });
                }
                Some(_) => {}
                None => first = Some((memory, number)),
            }
        }
    }
    Ok(())
}

/// The imports that some entry resolves to, the main module's first.
fn kept_imports(meanings: &Meanings, space: Space) -> Vec<Meaning> {
    let mut kept = Vec::new();
    for &meaning in meanings.iter().flat_map(|of_module| &of_module[space as usize]) {
        if matches!(meaning, Meaning::Import(..)) && !kept.contains(&meaning) {
            kept.push(meaning);
        }
    }
    kept
}

fn indices(
    modules: &[LinkedModule<'_>],
    meanings: &Meanings,
    kept: &[Vec<Meaning>; Space::COUNT],
    drops_memory: &[bool],
) -> Vec<[Vec<u32>; Space::COUNT]> {
    let of_module = |of_module: &[Vec<Meaning>; Space::COUNT]| {
        Space::ALL.map(|space| {
            let index = |&meaning| index_of(modules, kept, drops_memory, space, meaning);
            of_module[space as usize].iter().map(index).collect()
        })
    };
    meanings.iter().map(of_module).collect()
}

fn index_of(
    modules: &[LinkedModule<'_>],
    kept: &[Vec<Meaning>; Space::COUNT],
    drops_memory: &[bool],
    space: Space,
    meaning: Meaning,
) -> u32 {
    let imports = &kept[space as usize];
    match meaning {
        Meaning::Import(..) => {
            let known = imports.iter().position(|&import| import == meaning);
            known.expect("every import that is meant is kept") as u32
        }
        Meaning::Definition(number, n) => {
            let before = modules.iter().zip(drops_memory).take(number).map(|(module, &drops)| {
                let is_dropped = space == Space::Memory && drops;
                if is_dropped { 0 } else { module.defined[space as usize] }
            });
            imports.len() as u32 + before.sum::<u32>() + n
        }
    }
}
