//! Errors of the input.
//!
//! Errors tell whose fault it is: [`Error::InvalidWasm`] is a module that breaks the WebAssembly rules.
//! [`Error::Proposal`] and [`Error::Unsupported`] are a valid module that needs a feature which this compiler or the
//! chosen options lack. A broken invariant of the compiler itself is a panic, never an `Error`.

/// The reason why a module was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not a valid module.
    #[error("invalid WebAssembly{} at offset {offset:#x}: {message}", in_function(.function))]
    InvalidWasm {
        /// Name of the function; `None` outside functions.
        function: Option<String>,
        /// Byte offset in the input.
        offset: usize,
        /// The fault.
        message: String,
    },
    /// Valid only with a proposal other than the accepted ones.
    #[error("unsupported{} at offset {offset:#x}: {message}", in_function(.function))]
    Proposal {
        /// Name of the function; `None` outside functions.
        function: Option<String>,
        /// Byte offset in the input.
        offset: usize,
        /// The validator's message.
        message: String,
    },
    /// Valid, but not supported with these options.
    #[error("unsupported{} at offset {offset:#x}: {what}", in_function(.function))]
    Unsupported {
        /// Name of the function, from the name section when it has one; `None` outside functions.
        function: Option<String>,
        /// Byte offset in the input.
        offset: usize,
        /// The unsupported feature.
        what: String,
    },
    /// An active segment does not fit: instantiation would trap.
    #[error("{kind} segment {index} is out of bounds: offset {offset} + length {length} > size {size}{}", hint(.is_imported_memory))]
    SegmentOutOfBounds {
        /// `data` or `element`.
        kind: &'static str,
        /// Index of the segment.
        index: u32,
        /// Its start, in bytes or entries.
        offset: u64,
        /// Its length, in bytes or entries.
        length: u64,
        /// Initial size of the memory or table, in bytes or entries.
        size: u64,
        /// Whether it is a segment of an imported memory: the host may provide a larger one.
        is_imported_memory: bool,
    },
    /// Imported globals have no value in the options.
    #[error("the imported global{} no value: give {}", named(.0), given(.0))]
    MissingGlobals(
        /// Name and type of each.
        Vec<(String, &'static str)>,
    ),
    /// The options give an imported global a value of another type.
    #[error("the imported global {module}.{field} is given a value that is not of type {ty}")]
    GlobalType {
        /// First level of the import name.
        module: String,
        /// Second level of the import name.
        field: String,
        /// The global's type.
        ty: &'static str,
    },
}

fn hint(is_imported_memory: &bool) -> &'static str {
    if *is_imported_memory { "; --memory-bytes gives the imported memory another size" } else { "" }
}

/// Maximum number of globals that an error lists.
const LISTED: usize = 12;

fn named(globals: &[(String, &'static str)]) -> String {
    let names: Vec<&str> = globals.iter().take(LISTED).map(|(name, _)| name.as_str()).collect();
    match names[..] {
        [name] => format!(" {name} has"),
        _ => format!("s {}{} have", names.join(", "), more(globals)),
    }
}

/// The options that would give the globals values.
fn given(globals: &[(String, &'static str)]) -> String {
    let option = |(name, ty): &(String, &'static str)| match *ty {
        "i32" => format!("--global {name}=VALUE"),
        "funcref" | "externref" | "exnref" => format!("--global {name}=null"),
        ty => format!("--global {name}={ty}:VALUE"),
    };
    let options: Vec<String> = globals.iter().take(LISTED).map(option).collect();
    format!("{}{}, or zero with --imports trap", options.join(" "), more(globals))
}

fn more(globals: &[(String, &'static str)]) -> String {
    match globals.len().checked_sub(LISTED) {
        None | Some(0) => String::new(),
        Some(more) => format!(" and {more} more"),
    }
}

fn in_function(function: &Option<String>) -> String {
    function.as_ref().map(|name| format!(" in function {name}")).unwrap_or_default()
}

impl From<wasmparser::BinaryReaderError> for Error {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::InvalidWasm {
            function: None,
            offset: error.offset() as usize,
            message: error.message().to_owned(),
        }
    }
}
