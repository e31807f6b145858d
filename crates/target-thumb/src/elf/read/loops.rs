//! Bounds of loops, which the compiler has proved.

use object::elf;

use super::{File, FileError};
use crate::elf::write::LOOPS;

/// A loop of an object whose rounds are bounded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoopBound {
    /// The symbol of the function.
    pub function: String,
    /// Offset in the function of the first instruction of the loop.
    pub offset: u32,
    /// The most executions of that instruction each time that the loop is entered.
    pub most: u32,
}

/// The loops with bounds, in the order of the object.
///
/// # Errors
/// If the bytes are no relocatable object for ARM.
pub fn loop_bounds(bytes: &[u8]) -> Result<Vec<LoopBound>, FileError> {
    let file = File::parse(bytes)?;
    let sections = file.sections.iter().filter(|section| section.name == LOOPS);
    let bounds = sections.flat_map(|section| {
        section.relocations.iter().filter(|relocation| relocation.kind == elf::R_ARM_ABS32).filter_map(
            |relocation| {
                let offset = section.word(relocation.offset)?;
                let most = section.word(relocation.offset.checked_add(4)?)?;
                let function = file.symbols.get(relocation.symbol)?.name.clone();
                Some(LoopBound { function, offset, most })
            },
        )
    });
    Ok(bounds.collect())
}
