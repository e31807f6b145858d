//! Packing files: one run of bytes with the contents of all of them, and tables of nodes, names and descriptors.
//! `files.wat` describes the records.

use std::collections::{BTreeMap, VecDeque};

use super::{Directory, Node};

/// Bytes of the table of descriptors.
pub const DESCRIPTORS: u32 = 128 * DESCRIPTOR;
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
