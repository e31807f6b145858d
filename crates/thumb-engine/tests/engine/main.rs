//! The engine against QEMU: every instruction of the table.

mod cases;
mod rows;
