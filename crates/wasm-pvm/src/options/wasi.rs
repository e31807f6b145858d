//! Arguments, environment and files of WASI programs.

use std::collections::{BTreeMap, BTreeSet};

use super::OptionsError;

/// Maximum number of directories that are open at the start.
const MOST_DIRECTORIES: usize = 100;
/// Maximum number of bytes of names and contents, far above the limits of programs.
const MOST_BYTES: usize = 1 << 30;

/// Arguments, environment and files of a WASI program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wasi {
    /// The arguments, beginning with the program's name.
    pub args: Vec<String>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Directories that are open at the start.
    pub directories: Vec<Directory>,
    /// The effect of `proc_exit` with a code other than 0, after it is logged; on PVM only.
    pub failure: Failure,
}

/// The effect of `proc_exit` with a code other than 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Failure {
    /// The program panics.
    #[default]
    Panic,
    /// The program halts with its output as the result, for hosts that read the code from the log.
    Halt,
}

/// A directory that a program can read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// Its name in the program.
    pub guest: String,
    /// Files and directories by name.
    pub entries: BTreeMap<String, Node>,
}

/// A file or a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// A file with its contents.
    File(Vec<u8>),
    /// A directory with its entries.
    Directory(BTreeMap<String, Node>),
}

impl Wasi {
    /// Checks that the program can be given these arguments, environment and files.
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let error = |what: String| Err(OptionsError::new(what));
        for arg in &self.args {
            if arg.contains('\0') {
                return error(format!("the WASI argument {arg:?} contains a NUL character"));
            }
        }
        let mut names = BTreeSet::new();
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let variable = format!("{name}={value}");
                return error(format!(
                    "the WASI environment variable {variable:?} has no name, or contains a NUL character"
                ));
            }
            if !names.insert(name) {
                return error(format!("the WASI environment variable {name} is given twice"));
            }
        }
        check_directories(&self.directories)
    }
}

/// Checks the names of files and directories, and how much there is of them.
fn check_directories(directories: &[Directory]) -> Result<(), OptionsError> {
    if directories.len() > MOST_DIRECTORIES {
        return Err(OptionsError::new(format!("at most {MOST_DIRECTORIES} WASI directories can be given")));
    }
    let mut guests = BTreeSet::new();
    let mut bytes = 0;
    for directory in directories {
        let guest = &directory.guest;
        if guest.is_empty() || guest.contains('\0') {
            return Err(OptionsError::new(format!(
                "the WASI directory {guest:?} has no name, or contains a NUL character"
            )));
        }
        if !guests.insert(guest.trim_end_matches('/')) {
            return Err(OptionsError::new(format!("the WASI directory {guest} is given twice")));
        }
        let mut open = vec![&directory.entries];
        while let Some(entries) = open.pop() {
            for (name, node) in entries {
                if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
                    return Err(OptionsError::new(format!("{name:?} in {guest} can't be a file's name")));
                }
                bytes += name.len();
                match node {
                    Node::File(contents) => bytes += contents.len(),
                    Node::Directory(entries) => open.push(entries),
                }
            }
        }
    }
    if bytes > MOST_BYTES {
        return Err(OptionsError::new(format!("the WASI directories contain {bytes} bytes, too many")));
    }
    Ok(())
}
