//! Byte-wise pointer arithmetic.
//!
//! inkwell marks building a `getelementptr` as unsafe, because `inbounds` ones can be made undefined. The one
//! built here is never `inbounds` and indexes bytes: it is defined for every pointer and every index.
#![expect(unsafe_code, reason = "inkwell has no safe way to build a getelementptr")]

use inkwell::builder::Builder;
use inkwell::types::IntType;
use inkwell::values::{IntValue, PointerValue};

/// Appends `getelementptr i8, pointer, index`. `byte` is the type `i8`.
pub fn offset_bytes<'ctx>(
    builder: &Builder<'ctx>,
    byte: IntType<'ctx>,
    pointer: PointerValue<'ctx>,
    index: IntValue<'ctx>,
) -> PointerValue<'ctx> {
    // SAFETY: the element type is sized, there is one index of integer type, and without `inbounds` no
    // combination of pointer and index is undefined.
    unsafe { builder.build_gep(byte, pointer, &[index], "") }.expect("the builder is positioned")
}
