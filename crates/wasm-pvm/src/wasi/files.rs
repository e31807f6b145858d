//! Packing files: one run of bytes with the contents of all of them, and tables of nodes, names and descriptors.
//! `files.wat` describes the records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Directory, Node};
use crate::options::OptionsError;

/// Bytes of the table of descriptors.
pub const DESCRIPTORS: u32 = 128 * DESCRIPTOR;
/// Maximum number of directories that are open at the start.
const MOST_DIRECTORIES: usize = 100;
/// Maximum number of bytes of names and contents, far above the limits of programs.
const MOST_BYTES: usize = 1 << 30;
const DESCRIPTOR: u32 = 16;
const NODE: u32 = 24;
const IS_DIRECTORY: u32 = 3;
const IS_FILE: u32 = 4;

/// The files of a program as its adapter needs them.
#[derive(Default)]
pub struct Tables {
    /// Contents of all files.
    pub contents: Vec<u8>,
    /// The beginning of the adapter's memory: nodes, names, and the descriptors that are open at the start.
    pub data: Vec<u8>,
    /// Address of the nodes.
    pub nodes: u32,
    /// Address of two dots.
    pub dots: u32,
    /// Address of the descriptors.
    pub descriptors: u32,
}

/// Checks the names of files and directories, and how much there is of them.
pub fn check(directories: &[Directory]) -> Result<(), OptionsError> {
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
                bytes += name.len() + NODE as usize;
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

/// A directory whose children have no records yet.
struct Open<'a> {
    number: usize,
    entries: &'a BTreeMap<String, Node>,
}

/// A record with the name it refers to.
struct Record<'a> {
    kind: u32,
    parent: u32,
    /// First child, or offset of the contents.
    start: u32,
    /// Number of children, or size.
    len: u32,
    name: &'a str,
}

impl Tables {
    /// Packs directories, in the order of their names.
    pub fn new(directories: &[Directory]) -> Self {
        let mut tables = Self::default();
        let mut records: Vec<Record<'_>> = Vec::new();
        let mut open = VecDeque::new();
        for (number, directory) in directories.iter().enumerate() {
            let parent = number as u32;
            records.push(Record { kind: IS_DIRECTORY, parent, start: 0, len: 0, name: &directory.guest });
            open.push_back(Open { number, entries: &directory.entries });
        }
        // Breadth first, so that children follow each other.
        while let Some(Open { number, entries }) = open.pop_front() {
            records[number].start = records.len() as u32;
            records[number].len = entries.len() as u32;
            for (name, node) in entries {
                let parent = number as u32;
                match node {
                    Node::Directory(entries) => {
                        open.push_back(Open { number: records.len(), entries });
                        records.push(Record { kind: IS_DIRECTORY, parent, start: 0, len: 0, name });
                    }
                    Node::File(contents) => {
                        let (start, len) = (tables.contents.len() as u32, contents.len() as u32);
                        tables.contents.extend(contents);
                        records.push(Record { kind: IS_FILE, parent, start, len, name });
                    }
                }
            }
        }
        tables.write(&records, directories.len());
        tables
    }

    fn write(&mut self, records: &[Record<'_>], opened: usize) {
        let mut names = b"..".to_vec();
        self.dots = records.len() as u32 * NODE;
        for record in records {
            let name = self.dots + names.len() as u32;
            names.extend(record.name.as_bytes());
            let Record { kind, parent, start, len, name: text } = *record;
            for word in [kind, parent, start, len, name, text.len() as u32] {
                self.data.extend(word.to_le_bytes());
            }
        }
        self.data.extend(names);
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        self.descriptors = self.data.len() as u32;
        for number in 1..=opened as u32 {
            for word in [number, 1, 0, 0] {
                self.data.extend(word.to_le_bytes());
            }
        }
    }
}
