//! Passes over allocated functions, before the frame is placed.
//!
//! Spill slots still have names, and neither prologue nor epilogues exist. A function that returns early on its common
//! path should not pay for a frame that only the rest of it needs. So short blocks are duplicated
//! ([`tail_duplication`]), and copies and spills are sunk into the branches that need them ([`sink`]). In between,
//! values that are already in a register are reused ([`values`]) and dead instructions removed ([`dead`]). Those two
//! also run on final instructions.

pub mod dead;
pub mod sink;
pub mod tail_duplication;
pub mod values;
