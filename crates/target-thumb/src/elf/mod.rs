//! Relocatable ELF objects: written from compiled code, and read back for reports.
//!
//! [`read`](mod@read) works on the finished bytes, so a report can't differ from the object that is linked.

pub mod read;
pub mod write;
