//! The engine against QEMU: every instruction of the table, and whole programs of another compiler.

mod cases;
mod programs;
mod rows;
