//! Explaining traps: the reason of a number, and the function of an offset in the module or of an address in the object.

use thumb_isa::decode::{Decoded, Instructions};
use thumb_isa::{Inst, Opcode};

use super::{File, FileError};
use crate::elf::write::BODIES;

/// The reasons of traps by number.
const REASONS: [&str; 14] = [
    "unreachable",
    "signed division or float conversion that overflows",
    "division by zero",
    "memory access or bulk operation out of bounds",
    "table access or bulk operation out of bounds",
    "call of a null or wrongly typed function",
    "conversion of a NaN to an integer",
    "float operator that the options refuse",
    "call of an import that the options let trap",
    "unaligned atomic access",
    "atomic wait that would never end",
    "atomic wait on a memory that is not shared",
    "exception that nothing catches",
    "null reference",
];

/// The reason of a trap, by the number that a handler gets and that undefined instructions have.
pub fn reason(number: u32) -> Option<&'static str> {
    REASONS.get(usize::try_from(number).ok()?).copied()
}

/// The function whose body contains an offset in the module, according to the object.
///
/// # Errors
/// If the bytes are no relocatable object for ARM.
pub fn function_at(bytes: &[u8], offset: u32) -> Result<Option<String>, FileError> {
    let file = File::parse(bytes)?;
    let section = file.sections.iter().find(|section| section.name == BODIES);
    let text = section.map(|section| String::from_utf8_lossy(&section.data).into_owned()).unwrap_or_default();
    let body = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let (start, end): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (start..end).contains(&offset).then(|| parts.next().map(str::to_owned))?
    };
    Ok(text.lines().find_map(body))
}

/// The number of the trap that is the instruction so many bytes after the start of a function; `None` if there is no
/// function with this symbol, or no trap there.
///
/// # Errors
/// If the bytes are no relocatable object for ARM.
pub fn trap_at(bytes: &[u8], symbol: &str, offset: u32) -> Result<Option<u32>, FileError> {
    let file = File::parse(bytes)?;
    let number = || {
        let symbol = file.symbols.iter().find(|known| known.name == symbol && known.section.is_some())?;
        let section = file.section(symbol.section?)?;
        let start = symbol.offset().checked_add(offset)? as usize;
        let (_, first) = Instructions::new(section.data.get(start..)?).next()?;
        match first {
            Ok(Decoded { inst: Inst::Imm { op: Opcode::Udf, imm }, .. }) => Some(imm),
            _ => None,
        }
    };
    Ok(number())
}
