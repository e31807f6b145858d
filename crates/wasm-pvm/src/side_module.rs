//! Placing side modules: position-independent modules that a dynamic loader would put beside others.
//!
//! A module with a `dylink.0` section (or the older `dylink`) imports its own place: the address of its data
//! (`env.__memory_base`), the start of its table entries (`env.__table_base`), the stack pointer, and the addresses of
//! symbols that another module could define as well (`GOT.mem.x`, `GOT.func.x`). There is no loader here, so [`place`]
//! makes the decisions of one that loads a single module:
//!
//! | wasm addresses | contents |
//! |---|---|
//! | 0 to [`STACK_BYTES`] | the C stack, which grows down |
//! | from the next multiple of the module's alignment | the module's data |
//! | after its end | free: `__heap_base` |
//!
//! The table's first entry stays null, and the module's entries begin at the next multiple of their alignment. Symbols
//! that the module exports are its own. A function whose address is needed and that has no entry gets one after the
//! others. Everything else remains an import.
//!
//! The result is the same module with larger limits of its memory and table, the additional entries, and a start
//! function that relocates data and then runs constructors, as the convention demands. No index changes, so the code
//! is copied as it is. The values of the imported globals are returned beside it; placed entries of the GOT get a name
//! of their own, so that an adapter's function of that name does not replace a global.

mod layout;
mod module;
mod write;

use std::collections::BTreeMap;

use llvm_frontend::ConstValue;
use ssa::Import;

use layout::Layout;
use module::SideModule;

/// Bytes of C stack below the data of a side module.
pub const STACK_BYTES: u32 = 1 << 16;

/// A side module with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The module.
    pub wasm: Vec<u8>,
    /// Values of imported globals.
    pub globals: BTreeMap<Import, ConstValue>,
}

/// A place for a side module; `None` for any other module, and for one that is malformed, which validation refuses.
///
/// `given` are values of globals by full name, which take precedence.
///
/// # Errors
/// With the reason if the module demands a place that does not exist.
pub fn place(wasm: &[u8], given: &BTreeMap<String, ConstValue>) -> Result<Option<Placed>, String> {
    let Ok(Some(module)) = SideModule::read(wasm) else { return Ok(None) };
    let layout = Layout::new(&module, given)?;
    let Ok(wasm) = write::write(wasm, &module, &layout) else { return Ok(None) };
    Ok(Some(Placed { wasm, globals: layout.values }))
}

#[cfg(test)]
mod tests;
