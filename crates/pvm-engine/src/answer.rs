//! Parts that all host calls share: the answer, and text in the program's memory.

use crate::machine::Machine;

/// Maximum number of bytes of a log message.
const MAX_MESSAGE: u64 = 1 << 20;

/// The continuation of the program after a host call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Continue,
    Panic,
    OutOfGas,
    /// The call is unknown.
    Unknown,
}

/// Text in memory; invalid UTF-8 is replaced.
pub fn read_text(machine: &mut Machine, address: u64, len: u64) -> Option<String> {
    let address = u32::try_from(address).ok()?;
    let bytes = machine.read(address, len.min(MAX_MESSAGE) as u32)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
