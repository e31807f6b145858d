//! Stable codes of errors and warnings, and a page about each.
//!
//! A message changes its wording and names functions and numbers of one module; its code stays and can be looked up. The
//! codes of errors are here and, for those of commands, in the command-line tool. A warning has its code where it is
//! given, as the field `code` of its event. `codes.md` has the pages, each with an example that gives the code.

use crate::error::Error;
use crate::input::InputError;

/// The code of a process that gets no memory.
pub const NO_MEMORY: &str = "E0008";

const PAGES: &str = include_str!("codes.md");

/// A page about an error or a warning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// The code: `E` for errors, `W` for warnings, and four digits.
    pub code: &'static str,
    /// The meaning in a few words.
    pub title: &'static str,
    /// The page in Markdown, without its title.
    pub text: &'static str,
}

/// All pages in the order of their codes, errors first.
pub fn pages() -> impl Iterator<Item = Page> {
    let sections = PAGES.split("## ").skip(1);
    sections.filter_map(|section| {
        let (heading, text) = section.split_once('\n')?;
        let (code, title) = heading.split_once(' ')?;
        Some(Page { code, title, text: text.trim() })
    })
}

/// The page about a code.
pub fn page(code: &str) -> Option<Page> {
    pages().find(|page| page.code.eq_ignore_ascii_case(code))
}

/// The code of an error of the frontend.
pub const fn of_frontend(error: &llvm_frontend::Error) -> &'static str {
    match error {
        llvm_frontend::Error::InvalidWasm { .. } => "E0104",
        llvm_frontend::Error::Proposal { .. } => "E0105",
        llvm_frontend::Error::Unsupported { .. } => "E0106",
        llvm_frontend::Error::SegmentOutOfBounds { .. } => "E0107",
        llvm_frontend::Error::MissingGlobals(_) | llvm_frontend::Error::GlobalType { .. } => "E0108",
    }
}

/// The code of an input that is not WebAssembly.
pub const fn of_input(error: &InputError) -> &'static str {
    match error {
        InputError::Text { .. } => "E0102",
        InputError::Component(_) => "E0103",
        _ => "E0101",
    }
}

impl Error {
    /// The code of the error; of several, that of the first.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Options(_) => "E0002",
            Self::Input(error) => of_input(error),
            Self::Frontend(error) => of_frontend(error),
            Self::Adapter { .. } | Self::Linking(_) => "E0201",
            Self::SideModule(_) => "E0202",
            Self::Wasi(_) => "E0203",
            Self::MissingImports(_) => "E0204",
            Self::Pvm(target_pvm::Error::Imports(_)) => "E0205",
            Self::Profile(_) | Self::Instrument(_) => "E0206",
            Self::Pvm(target_pvm::Error::Memory(_)) => "E0301",
            Self::Limit(_) => "E0302",
            Self::Pvm(target_pvm::Error::Unsupported(_))
            | Self::Thumb(target_thumb::Error::Unsupported(_) | target_thumb::Error::Region { .. }) => {
                "E0303"
            }
            Self::Thumb(target_thumb::Error::Names(_)) => "E0304",
            Self::File(_) => "E0004",
            Self::Stack { .. } => NO_MEMORY,
            Self::Several(errors) => errors.first().map_or("E0007", Self::code),
        }
    }

    /// The function and the byte offset in the module that the error is about, if they are known.
    pub fn place(&self) -> Option<(Option<&str>, usize)> {
        match self {
            Self::Frontend(
                llvm_frontend::Error::InvalidWasm { function, offset, .. }
                | llvm_frontend::Error::Proposal { function, offset, .. }
                | llvm_frontend::Error::Unsupported { function, offset, .. },
            ) => Some((function.as_deref(), *offset)),
            _ => None,
        }
    }

    /// The places that the error is about: a function and a byte offset in the module. Of several errors those of each;
    /// of imports without an action a function that uses each.
    pub fn places(&self) -> Vec<(Option<&str>, usize)> {
        match self {
            Self::Several(errors) => errors.iter().flat_map(Self::places).collect(),
            Self::MissingImports(missing) => missing.users().collect(),
            _ => self.place().into_iter().collect(),
        }
    }
}
