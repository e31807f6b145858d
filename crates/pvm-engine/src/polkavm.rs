//! Exports of programs in PolkaVM's own container.
//!
//! They are typed functions, and nothing says how bytes are passed to them. `(pointer, length) -> pointer | length << 32`
//! with wasm addresses is the convention of Substrate's runtimes and of most others, so an export is entered with it.
//! Where wasm addresses are not those of the machine, our metadata has the base of linear memory.

use crate::exit::MachineError;
use crate::machine::{Machine, reg};

impl Machine {
    /// Prepares a run of an export with the wasm address and the length of argument bytes.
    ///
    /// # Errors
    /// If there are more than 16 MiB of arguments.
    pub fn enter_export(&mut self, pc: u32, args: &[u8], base: u32) -> Result<(), MachineError> {
        let address = self.set_args(args)?;
        self.enter(pc, &[u64::from(address.wrapping_sub(base)), args.len() as u64]);
        Ok(())
    }

    /// The bytes that r7 describes: a wasm address in its low half, a length in its high half. Empty if they are not
    /// readable.
    pub fn packed_result(&mut self, base: u32) -> Vec<u8> {
        let packed = self.reg(reg::A0);
        let address = (packed as u32).wrapping_add(base);
        self.read(address, (packed >> 32) as u32).unwrap_or_default()
    }
}
