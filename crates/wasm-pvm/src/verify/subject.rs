//! The interface of a compiled program to the self-check: what a target has to offer so that its programs can be compared
//! with the reference engine.
//!
//! A [`Program`] is a compiled file, a [`Subject`] a running instance of it. Values, addresses and names are those of
//! WebAssembly, so the comparison knows nothing of machines. Nothing in here is compared or decided; the implementation only
//! says what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ssa::{Import, TrapCode};

use super::VerifyError;
use crate::run::{FunctionType, Value};

/// A compiled program that can be instantiated.
pub trait Program {
    /// The type of an exported function; `None` if there is none that can be called.
    fn function(&self, export: &str) -> Option<FunctionType>;

    /// The first positions of all blocks of the code that a call of the export enters, in ascending order: those of the
    /// function, with all that was inlined into it. Blocks that do nothing but trap are no part of it. Empty if the code is
    /// not known.
    fn blocks(&self, export: &str) -> Vec<u32>;

    /// What calls of imported functions do. Those that are missing are never called.
    fn effects(&self) -> BTreeMap<Import, Effect>;

    /// A new instance. Its start function has not run.
    ///
    /// # Errors
    /// If the machine can't be made.
    fn instantiate(&self) -> Result<Box<dyn Subject + '_>, VerifyError>;
}

/// An instance of a compiled program. Its memory and globals survive from one call to the next. After a call that did not
/// return it is used no more, except for its memory and globals if the call ended at an import.
pub trait Subject {
    /// Runs the start function, if there is one.
    ///
    /// # Errors
    /// If the machine itself fails.
    fn start(&mut self) -> Result<Ending, VerifyError>;

    /// Calls an exported function with arguments of its type. `budget` is the most that it may take, in units that the
    /// target knows: gas or instructions.
    ///
    /// # Errors
    /// If the machine itself fails.
    fn call(&mut self, export: &str, args: &[Value], budget: u64) -> Result<Ending, VerifyError>;

    /// The addresses of the first linear memory that can be read and written from outside. It may begin above 0, and end
    /// above the size of the memory.
    fn memory(&self) -> Range<u64>;

    /// Reads the first linear memory. The bytes are inside of [`memory`](Self::memory).
    ///
    /// # Errors
    /// If the machine itself fails.
    fn read(&mut self, address: u64, len: usize) -> Result<Vec<u8>, VerifyError>;

    /// Writes the first linear memory. The bytes are inside of [`memory`](Self::memory).
    ///
    /// # Errors
    /// If the machine itself fails.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), VerifyError>;

    /// The value of an exported global; `None` if it has no place that is known.
    fn global(&mut self, export: &str) -> Option<Value>;

    /// Sets an exported mutable global. Returns whether that was possible.
    fn set_global(&mut self, export: &str, value: Value) -> bool;

    /// The blocks of the program that ran since this was last called, by their first positions. It may name more
    /// positions than [`Program::blocks`].
    fn reached(&mut self) -> BTreeSet<u32>;
}

/// What a call of an imported function does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The host answers it, so a run ends there: [`Ending::Import`].
    Host,
    /// It traps, after the host was told or not.
    Traps,
    /// Nothing; its results are zero.
    Nothing,
    /// Something that the reference engine doesn't know.
    BuiltIn,
}

/// The end of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It returned these values.
    Returned(Vec<Value>),
    /// It trapped; `None` if the machine doesn't tell the reason.
    Trapped(Option<TrapCode>),
    /// It called an import that the host answers, of this name (`module.name`) if that is known.
    Import(Option<String>),
    /// Its budget was used up.
    OutOfBudget,
    /// Its stack was used up.
    OutOfStack,
    /// It returned and broke the calling convention in this way.
    Broken(String),
}
