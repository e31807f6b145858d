//! Programs in text form, one file in `fixtures` per topic.
//!
//! Comments at the start of a fixture say how it is tested, for example:
//!
//! ```text
//! ; Fields between other bits.
//! ; test: asm
//! ; target: pvm
//! ; target: thumb memory=native
//! ; args: $insert(any, 0..64)
//! ```
//!
//! - `; test:` is the stage. `read`: the file is LLVM IR, which is read and run. `ssa`: SSA at the start of code
//!   generation. A pass of `codegen::pass_names`: machine instructions after it. `asm`: the final instructions.
//! - `; target:` is a machine, `pvm` or `thumb`, with options: `level=size` for both, `cpu=m4f` and
//!   `memory=native` or `memory=register` for `thumb`. A fixture has any number of them.
//! - `; args:` limits the random arguments of an exported function, for example to addresses.
//!
//! The stage's text for each target is below each function. `BLESS=1` rewrites it: the text is for readers. Whether the
//! code is right is decided by the SSA interpreter: every exported function is called with random arguments on the
//! machines of the header. Results, traps, calls of imports and memory must agree.
//!
//! A fixture of LLVM IR has directives instead:
//!
//! - `; run: @f(1, -2) == 3, 4` calls a function with these words and expects these results;
//! - `; run: @f(1) traps MemoryOutOfBounds` expects a trap with this code;
//! - `; refused: TEXT` expects that reading fails with a message that contains the text;
//! - `; ssa:` as the last directive is followed by the expected SSA, which `BLESS=1` rewrites.
//!
//! `FIXTURE=NAME` runs the fixtures whose path contains `NAME`.

mod fixture;
mod machines;
mod read;
mod tour;
