//! Tests of the reader that need LLVM as the judge or several parts. One operation or pattern at a time is tested by the
//! `.ll` files in `tests/programs/fixtures/read`.

mod arithmetic;
mod join;
