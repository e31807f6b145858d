//! The interface of a target to tests: compile a module, load it, and call it like a wasm instance.
//!
//! Values cross as machine words: an `i32` or `f32` sign-extended, a reference as its 64 bits. The specification runner
//! and the differential tests are written against these traits, so each target is judged by the same code.

use anyhow::Result;

/// The reason why a program stopped, in the categories of the WebAssembly specification.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Trap {
    /// `unreachable`.
    Unreachable,
    /// Signed division or float conversion that overflows.
    IntegerOverflow,
    /// Integer division by zero.
    DivideByZero,
    /// An access to memory out of bounds.
    Memory,
    /// An access to a table out of bounds.
    Table,
    /// `call_indirect` of a null reference or of another type.
    Signature,
    /// Conversion of a NaN to an integer.
    Conversion,
    /// A float operator that is compiled to a trap.
    Float,
    /// An atomic access whose address is not a multiple of its width.
    Unaligned,
    /// An atomic wait on a memory that is not shared, or one that would never end.
    Wait,
    /// An exception that nothing catches.
    Exception,
    /// A null reference where another is required.
    NullReference,
}

impl Trap {
    /// Whether it is the trap that a judge expects. An atomic access that is out of bounds may be unaligned as well, and
    /// WebAssembly doesn't say which of the two is found.
    pub fn is_as_good_as(self, expected: Self) -> bool {
        self == expected || (self, expected) == (Self::Unaligned, Self::Memory)
    }

    /// Whether it is the trap that the suite calls `message`.
    pub fn is_called(self, message: &str) -> bool {
        let names: &[&str] = match self {
            Self::Unreachable => &["unreachable"],
            Self::IntegerOverflow => &["integer overflow"],
            Self::DivideByZero => &["integer divide by zero"],
            Self::Memory => &["out of bounds memory access"],
            Self::Table => &["out of bounds table access", "undefined element"],
            Self::Signature => &["indirect call type mismatch", "uninitialized element", "undefined element"],
            Self::Conversion => &["invalid conversion to integer"],
            Self::Float => &[],
            Self::Unaligned => &["unaligned atomic"],
            Self::Wait => &["expected shared memory"],
            Self::Exception => &["uncaught exception"],
            Self::NullReference => &["null reference", "null function reference", "null exception reference"],
        };
        names.iter().any(|name| message.starts_with(name))
    }
}

/// The end of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallExit {
    /// Returned these words.
    Returned(Vec<u64>),
    /// Trapped; `None` if the machine does not tell the reason, in which case the stack may have overflowed, too.
    Trapped(Option<Trap>),
    /// Exhausted its stack, or its time.
    Exhausted,
}

/// Answers a call of an import: index among the imported functions and argument words, to the result word.
pub type Host<'a> = &'a mut dyn FnMut(u32, &[u64]) -> u64;

/// A call of an export.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Its name.
    pub name: &'a str,
    /// Argument words.
    pub args: &'a [u64],
    /// Whether it is expected not to terminate.
    pub is_endless: bool,
}

/// The reason why a module was refused.
#[derive(Debug)]
pub enum Refusal {
    /// It is not a valid module.
    Invalid(String),
    /// It can't be run here: it needs more memory than the machine has.
    NoRoom,
    /// It needs floats, which the target lacks.
    Floats,
    /// Any other reason.
    Other(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(why) | Self::Other(why) => f.write_str(why),
            Self::NoRoom => f.write_str("more memory than the machine has"),
            Self::Floats => f.write_str("floats that the target has not"),
        }
    }
}

/// Compiles and loads modules.
pub trait Executor {
    /// Whether the compiler accepts a binary.
    ///
    /// # Errors
    /// The reason of a refusal.
    fn validate(&self, wasm: &[u8]) -> Result<(), Refusal>;

    /// Compiles a module and loads it. Before its first call, [`Executable::start`] must have run.
    ///
    /// # Errors
    /// The reason of a refusal.
    fn load(&self, wasm: &[u8]) -> Result<Box<dyn Executable>, Refusal>;

    /// Whether float operators are executed; else they trap.
    fn has_floats(&self) -> bool;

    /// Called when all loaded programs are finished.
    fn clear(&self) {}
}

/// A loaded program with state.
pub trait Executable {
    /// Runs the start function, if there is one.
    ///
    /// # Errors
    /// If the machine fails.
    fn start(&mut self, host: Host<'_>) -> Result<CallExit>;

    /// Calls an exported function.
    ///
    /// # Errors
    /// If there is none, or the machine fails, or the program breaks the calling convention.
    fn call(&mut self, call: Call<'_>, host: Host<'_>) -> Result<CallExit>;

    /// Whether its memory can't grow as far as the module allows.
    fn is_limited(&self) -> bool {
        false
    }

    /// The first `len` bytes of linear memory.
    ///
    /// # Errors
    /// If the machine fails.
    fn memory(&mut self, len: u32) -> Result<Vec<u8>>;

    /// The first `len` bytes of an exported memory.
    ///
    /// # Errors
    /// If the machine fails.
    fn exported_memory(&mut self, name: &str, len: u32) -> Result<Vec<u8>>;

    /// Names of exported memories that can be read.
    fn memory_exports(&self) -> Vec<String>;

    /// The low `bytes` bytes of an exported global; `None` if it has no address.
    ///
    /// # Errors
    /// If the machine fails.
    fn global_word(&mut self, name: &str, bytes: u32) -> Result<Option<u64>>;
}
