//! Relocatable ELF objects: written from compiled code, and read back for reports.

pub mod read;
pub mod write;
