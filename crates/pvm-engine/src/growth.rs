//! `sbrk` of GP 0.7.2 on an engine that has no such instruction.
//!
//! Each `sbrk` becomes an `ecalli`: its opcode is replaced, and the byte with its registers becomes the number, so no
//! position changes. Both instructions cost 1 and go on with the next one. A host call at one of these positions is
//! answered by the machine itself: the heap grows by the bytes in the second register; the first one gets its new end,
//! or 0 if it can't grow so far. That is the meaning of `sbrk` in `polkavm` 0.30. The Gray Paper returns the start of the
//! new memory instead; programs for both use the result of `sbrk` 0 only, which is the current end in either.

use std::collections::BTreeMap;

use pvm_isa::{GpVersion, Inst, Opcode, SpiProgram};

/// The registers of a `sbrk`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Growth {
    /// Gets the end of the heap.
    pub result: usize,
    /// Number of bytes.
    pub bytes: usize,
}

/// Replaced instructions by their positions.
pub type Growths = BTreeMap<u32, Growth>;

/// The program without `sbrk`, and where it was.
pub fn replace_sbrk(program: &SpiProgram) -> (SpiProgram, Growths) {
    let gp = GpVersion::V072;
    let mut growths = Growths::new();
    for (pc, decoded) in program.blob.instructions(gp) {
        if let Inst::Reg2 { op: Opcode::Sbrk, dst, src } = decoded.inst {
            let growth = Growth { result: dst.index().into(), bytes: src.index().into() };
            growths.insert(pc, growth);
        }
    }
    let mut replaced = program.clone();
    let ecalli = Opcode::Ecalli.number(gp).expect("all versions have it");
    for &pc in growths.keys() {
        replaced.blob.code[pc as usize] = ecalli;
    }
    (replaced, growths)
}
