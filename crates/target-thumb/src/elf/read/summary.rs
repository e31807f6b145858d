//! Summary of an object: sections, symbols, settings, and the stack depth of its functions.
//!
//! Direct calls are read from the relocations of the code, frame sizes and indirect calls from sections that this
//! compiler adds. An object of another compiler has only the parts that every object has.

use std::collections::BTreeMap;

use codegen::depth::{Depth, Depths, Edge, Node};
use object::elf;

use super::{File, FileError, Section, Symbol, tags};
use crate::adapt::initial::RUNS;
use crate::elf::write::{FIRST_CALL, MEMORY_BYTES, REFERENCES, SETTINGS, STACK_SIZES, Sizes};

/// A section that is loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SectionSummary {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u32,
    /// Alignment.
    pub align: u32,
}

/// A defined symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SymbolSummary {
    /// Its name.
    pub name: String,
    /// The section it is in.
    pub section: String,
    /// Bytes.
    pub size: u32,
    /// Whether it is global, so that other objects can refer to it.
    pub is_global: bool,
    /// Whether it is a function; else it is data.
    pub is_function: bool,
}

/// A function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionSummary {
    /// Its first symbol.
    pub name: String,
    /// Bytes of stack of its own frame, if the object contains them.
    pub stack_bytes: Option<u32>,
    /// The functions of the object that it calls, also indirectly: indices in the list of functions.
    pub calls: Vec<usize>,
}

/// A function that other objects can call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportStack {
    /// Its symbol.
    pub name: String,
    /// Its stack depth.
    pub depth: Depth,
}

/// Bytes of linear memory in an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinearMemoryBytes {
    /// RAM.
    pub ram: u64,
    /// Flash for its initial data.
    pub flash: u64,
}

/// The contents of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The core according to the build attributes.
    pub core: Option<String>,
    /// The compiler's settings, by name; empty if the object is not from this compiler.
    pub settings: Vec<(String, String)>,
    /// Bytes by kind of section.
    pub sizes: Sizes,
    /// The share of linear memory in them.
    pub linear_memory: LinearMemoryBytes,
    /// Sections that are loaded, in order.
    pub sections: Vec<SectionSummary>,
    /// Sections for debuggers, which are not loaded, in order.
    pub debug: Vec<SectionSummary>,
    /// Defined symbols, in order.
    pub symbols: Vec<SymbolSummary>,
    /// Undefined symbols except those of the run-time ABI, in order.
    pub imports: Vec<String>,
    /// Undefined symbols of the run-time ABI.
    pub helpers: Vec<String>,
    /// Functions, in order.
    pub functions: Vec<FunctionSummary>,
    /// Global functions, in order.
    pub exports: Vec<ExportStack>,
}

impl Summary {
    /// Bytes of flash that the object takes: contents that are executed, read or copied from there.
    pub const fn flash(&self) -> u64 {
        self.sizes.text + self.sizes.rodata + self.sizes.data
    }

    /// Bytes that the object takes of RAM, without stack.
    pub const fn ram(&self) -> u64 {
        self.sizes.data + self.sizes.bss
    }

    /// The symbol of the function that must be called before all others.
    pub fn first_call(&self) -> Option<&str> {
        self.setting(FIRST_CALL)
    }

    /// Bytes of linear memory that the embedder provides, if a register holds its address.
    pub fn provided_memory(&self) -> Option<u64> {
        self.setting(MEMORY_BYTES)?.parse().ok()
    }

    fn setting(&self, name: &str) -> Option<&str> {
        let found = self.settings.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Reads an object.
    ///
    /// # Errors
    /// If the bytes are no relocatable object for ARM.
    pub fn read(bytes: &[u8]) -> Result<Self, FileError> {
        let file = File::parse(bytes)?;
        let graph = Graph::new(&file);
        let depths = Depths::new(&graph.nodes);
        let exports = graph.exports(&file).map(|(name, node)| ExportStack { name, depth: depths.of(node) });
        let (helpers, imports) = undefined(&file).partition(|name| name.starts_with("__aeabi_"));
        let attributes = file.sections.iter().find(|section| section.kind == elf::SHT_ARM_ATTRIBUTES);
        let tags = attributes.map(|section| tags::read(&section.data)).unwrap_or_default();
        // Functions of the object are before those defined elsewhere.
        let own = || graph.nodes.iter().take_while(|node| !node.is_import);
        let count = own().count();
        let function = |node: &Node| FunctionSummary {
            name: node.name.clone(),
            stack_bytes: node.bytes,
            calls: node.edges.iter().map(|edge| edge.to).filter(|&to| to < count).collect(),
        };
        Ok(Self {
            core: tags::text_of(&tags, tags::CPU_NAME).map(str::to_owned),
            settings: settings(&file),
            sizes: sizes(&file),
            linear_memory: linear_memory(&file),
            sections: loaded(&file).map(section_summary).collect(),
            debug: file.sections.iter().filter(|section| is_debug(section)).map(section_summary).collect(),
            symbols: symbols(&file),
            imports,
            helpers,
            functions: own().map(function).collect(),
            exports: exports.collect(),
        })
    }
}

fn loaded(file: &File) -> impl Iterator<Item = &Section> {
    file.sections.iter().filter(|section| section.has(elf::SHF_ALLOC))
}

/// Whether a section is for debuggers.
fn is_debug(section: &Section) -> bool {
    !section.has(elf::SHF_ALLOC) && section.name.starts_with(".debug_")
}

fn section_summary(section: &Section) -> SectionSummary {
    SectionSummary { name: section.name.clone(), size: section.size, align: section.align }
}

fn sizes(file: &File) -> Sizes {
    let debug = file.sections.iter().filter(|section| is_debug(section));
    let debug = debug.map(|section| u64::from(section.size)).sum();
    let mut sizes = Sizes { debug, ..Sizes::default() };
    for section in loaded(file) {
        let kind = if section.has(elf::SHF_EXECINSTR) {
            &mut sizes.text
        } else if section.kind == elf::SHT_NOBITS {
            &mut sizes.bss
        } else if section.has(elf::SHF_WRITE) {
            &mut sizes.data
        } else {
            &mut sizes.rodata
        };
        *kind += u64::from(section.size);
    }
    sizes
}

fn linear_memory(file: &File) -> LinearMemoryBytes {
    // The sections of further memories and their data have a number at the end.
    let is_named = |name: &str, section: &str| {
        let rest = section.strip_prefix(name).map(|rest| rest.trim_start_matches(['.', '_']));
        rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let size = |name: String| -> u64 {
        let named = file.sections.iter().filter(|section| is_named(&name, &section.name));
        named.map(|section| u64::from(section.size)).sum()
    };
    let image = size(".data.__linear_memory".to_owned());
    LinearMemoryBytes {
        ram: image + size(".bss.__linear_memory".to_owned()),
        flash: image + size(format!(".rodata.{RUNS}")),
    }
}

fn settings(file: &File) -> Vec<(String, String)> {
    let section = file.sections.iter().find(|section| section.name == SETTINGS);
    let text = section.map(|section| String::from_utf8_lossy(&section.data).into_owned()).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn symbols(file: &File) -> Vec<SymbolSummary> {
    let defined = file.symbols.iter().filter(|symbol| matches!(symbol.kind, elf::STT_FUNC | elf::STT_OBJECT));
    let summary = |symbol: &Symbol| {
        let section = file.section(symbol.section?)?;
        Some(SymbolSummary {
            name: symbol.name.clone(),
            section: section.name.clone(),
            size: symbol.size,
            is_global: symbol.is_global,
            is_function: symbol.kind == elf::STT_FUNC,
        })
    };
    defined.filter_map(summary).collect()
}

fn undefined(file: &File) -> impl Iterator<Item = String> {
    let undefined = file.symbols.iter().filter(|symbol| symbol.is_undefined());
    undefined.map(|symbol| symbol.name.clone())
}

/// The call graph of an object.
struct Graph {
    nodes: Vec<Node>,
    /// By section and offset.
    defined: BTreeMap<(usize, u32), usize>,
    /// By index of the symbol.
    imports: BTreeMap<usize, usize>,
}

impl Graph {
    fn new(file: &File) -> Self {
        let mut graph = Self { nodes: Vec::new(), defined: BTreeMap::new(), imports: BTreeMap::new() };
        for symbol in file.symbols.iter().filter(|symbol| symbol.kind == elf::STT_FUNC) {
            if let Some(section) = symbol.section {
                let place = (section, symbol.offset());
                if let Some(&known) = graph.defined.get(&place) {
                    // Of several symbols the first global one gives the name.
                    let is_local = |name: &String| {
                        file.symbols.iter().any(|other| other.name == *name && !other.is_global)
                    };
                    if symbol.is_global && is_local(&graph.nodes[known].name) {
                        graph.nodes[known].name.clone_from(&symbol.name);
                    }
                    continue;
                }
                graph.defined.insert(place, graph.nodes.len());
                graph.nodes.push(Node { name: symbol.name.clone(), ..Node::default() });
            }
        }
        for (index, symbol) in file.symbols.iter().enumerate() {
            if symbol.is_undefined() {
                graph.imports.insert(index, graph.nodes.len());
                graph.nodes.push(Node { name: symbol.name.clone(), is_import: true, ..Node::default() });
            }
        }
        graph.frames(file);
        graph.direct_calls(file);
        graph.indirect_calls(file);
        for node in &mut graph.nodes {
            node.edges.sort_unstable();
            node.edges.dedup();
        }
        graph
    }

    fn exports<'a>(&'a self, file: &'a File) -> impl Iterator<Item = (String, usize)> + 'a {
        let global = file.symbols.iter().filter(|symbol| symbol.is_global && symbol.kind == elf::STT_FUNC);
        global.filter_map(|symbol| {
            let node = self.defined.get(&(symbol.section?, symbol.offset()))?;
            Some((symbol.name.clone(), *node))
        })
    }

    /// The function at a symbol plus an offset.
    fn function(&self, file: &File, symbol: usize, addend: u32) -> Option<usize> {
        let target = &file.symbols[symbol];
        match target.section {
            Some(section) => self.defined.get(&(section, target.offset().wrapping_add(addend) & !1)).copied(),
            None => self.imports.get(&symbol).copied(),
        }
    }

    fn frames(&mut self, file: &File) {
        for section in file.sections.iter().filter(|section| section.name == STACK_SIZES) {
            for relocation in &section.relocations {
                let Some(address) = section.word(relocation.offset) else { continue };
                let mut rest = section.data.get(relocation.offset as usize + 4..).unwrap_or_default();
                if let Some(node) = self.function(file, relocation.symbol, address) {
                    self.nodes[node].bytes = tags::number(&mut rest);
                }
            }
        }
    }

    fn direct_calls(&mut self, file: &File) {
        for section in loaded(file).filter(|section| section.has(elf::SHF_EXECINSTR)) {
            for relocation in &section.relocations {
                let is_tail = match relocation.kind {
                    elf::R_ARM_THM_PC22 => false,
                    elf::R_ARM_THM_JUMP24 => true,
                    _ => continue,
                };
                let callers = self.defined.range((section.index, 0)..=(section.index, relocation.offset));
                let caller = callers.last().map(|(_, &node)| node);
                if let (Some(caller), Some(to)) = (caller, self.function(file, relocation.symbol, 0)) {
                    self.nodes[caller].edges.push(Edge { to, is_tail });
                }
            }
        }
    }

    fn indirect_calls(&mut self, file: &File) {
        let (mut callers, mut taken) = (Vec::new(), Vec::new());
        for section in file.sections.iter().filter(|section| section.name == REFERENCES) {
            for relocation in &section.relocations {
                let word = relocation.offset.checked_add(4).and_then(|at| section.word(at));
                let node = self.function(file, relocation.symbol, 0);
                if let (Some(word), Some(node)) = (word, node) {
                    let list = if word & 1 == 0 { &mut callers } else { &mut taken };
                    list.push((word >> 1, node));
                }
            }
        }
        for &(wanted, caller) in &callers {
            self.nodes[caller].is_indirect = true;
            let fitting = taken.iter().filter(|(ty, _)| *ty == wanted);
            let edges = fitting.map(|&(_, to)| Edge { to, is_tail: false });
            self.nodes[caller].edges.extend(edges);
        }
    }
}
