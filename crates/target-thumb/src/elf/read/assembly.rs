//! Printing an object as assembly, from which LLVM's assembler makes the same object.
//!
//! The text is made from the finished bytes. It has a directive for every section, symbol and build attribute, and one
//! line per instruction, which fixes the encoding. Branches and loads refer to labels, jump tables contain expressions
//! of labels, and relocations appear as names of symbols. Symbols are always quoted, so that no name is taken for a
//! register.
//!
//! Sections may have equal names; all but the first are then distinguished by a number.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use object::elf;
use thumb_isa::decode::Decoded;
use thumb_isa::{Flow, Inst};

use super::code::{Code, Item};
use super::tags::{self, Value};
use super::{File, FileError, Relocation, Section, Symbol};

/// Bytes of data in one line.
const LINE: usize = 16;

/// The assembly of an object.
///
/// # Errors
/// If the bytes are no relocatable object for ARM, or if something in it has no assembly: a name that assemblers
/// reserve, or a kind of relocation that this compiler doesn't make.
pub fn assembly(bytes: &[u8]) -> Result<String, FileError> {
    let file = File::parse(bytes)?;
    let mut printer =
        Printer { file: &file, text: String::new(), named: BTreeSet::new(), started: BTreeSet::new() };
    printer.check_names()?;
    printer.head();
    let order: BTreeMap<usize, usize> = file.sections.iter().map(|section| section.index).zip(0..).collect();
    let referred = referred_sections(&file);
    for section in &file.sections {
        if section.kind != elf::SHT_ARM_ATTRIBUTES {
            printer.section(section, order[&section.index], &referred)?;
        }
    }
    printer.numbers();
    Ok(printer.text)
}

/// A line of code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeLine {
    /// Its offset in the section.
    pub offset: u32,
    /// Its bytes.
    pub bytes: u32,
    /// The name of its place, if code in the section refers to it.
    pub label: Option<String>,
    /// The instruction, or a directive for data.
    pub text: String,
    /// Whether the next instruction is in another block.
    pub ends_block: bool,
}

/// The code of each section of code, in the order of the file.
///
/// # Errors
/// As for [`assembly`].
pub fn listing(bytes: &[u8]) -> Result<Vec<Vec<CodeLine>>, FileError> {
    let file = File::parse(bytes)?;
    let mut printer =
        Printer { file: &file, text: String::new(), named: BTreeSet::new(), started: BTreeSet::new() };
    let mut sections = Vec::new();
    for (section, number) in file.sections.iter().zip(0..) {
        if section.has(elf::SHF_EXECINSTR) {
            let body = Body { printer: &mut printer, section, number, symbols: Vec::new() };
            sections.push(body.listing()?);
        }
    }
    Ok(sections)
}

/// Sections that are the target of relocations, or that other sections are linked to.
fn referred_sections(file: &File) -> BTreeSet<usize> {
    let relocations = file.sections.iter().flat_map(|section| &section.relocations);
    let symbols = relocations.map(|relocation| &file.symbols[relocation.symbol]);
    let named = symbols.filter(|symbol| symbol.kind == elf::STT_SECTION).filter_map(|symbol| symbol.section);
    let linked = file.sections.iter().filter(|section| section.has(elf::SHF_LINK_ORDER));
    named.chain(linked.map(|section| section.link)).collect()
}

struct Printer<'a> {
    file: &'a File,
    text: String,
    /// Names of sections so far.
    named: BTreeSet<&'a str>,
    /// Sections with a label at their start so far.
    started: BTreeSet<usize>,
}

impl<'a> Printer<'a> {
    fn check_names(&self) -> Result<(), FileError> {
        let private = self.file.symbols.iter().find(|symbol| symbol.name.starts_with(".L"));
        match private {
            Some(symbol) => Err(FileError::NoAssembly(format!("the symbol `{}`", symbol.name))),
            None => Ok(()),
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    // ---- The whole file ----

    fn head(&mut self) {
        self.line("\t.syntax unified");
        let attributes = self.file.sections.iter().find(|section| section.kind == elf::SHT_ARM_ATTRIBUTES);
        let tags = attributes.map(|section| tags::read(&section.data)).unwrap_or_default();
        if let Some(name) = tags::text_of(&tags, tags::CPU_NAME) {
            self.line(&format!("\t.cpu {}", name.to_lowercase().replace('+', "plus")));
        }
        let is_single = tags::number_of(&tags, tags::HARD_FP) == 1;
        match tags::number_of(&tags, tags::FP_ARCH) {
            6 => self.line("\t.fpu fpv4-sp-d16"),
            8 if is_single => self.line("\t.fpu fpv5-sp-d16"),
            8 => self.line("\t.fpu fpv5-d16"),
            _ => {}
        }
        for (tag, value) in tags {
            match value {
                Value::Number(number) => self.line(&format!("\t.eabi_attribute {tag}, {number}")),
                Value::Text(text) => self.line(&format!("\t.eabi_attribute {tag}, \"{text}\"")),
            }
        }
        self.line("\t.thumb");
    }

    /// Prints the symbols whose addresses are numbers.
    fn numbers(&mut self) {
        for symbol in self.file.symbols.iter().filter(|symbol| symbol.is_absolute && symbol.is_global) {
            let name = quoted(&symbol.name);
            self.line(&format!("\n\t.globl {name}\n{name} = {}", symbol.value));
        }
    }

    fn section(
        &mut self,
        section: &'a Section,
        number: usize,
        referred: &BTreeSet<usize>,
    ) -> Result<(), FileError> {
        self.text.push('\n');
        self.section_directive(section, number)?;
        if section.align > 1 {
            self.line(&format!("\t.p2align {}", section.align.trailing_zeros()));
        }
        if referred.contains(&section.index) {
            self.line(&format!("{}:", start_label(section.index)));
            self.started.insert(section.index);
        }
        let mut body = Body { printer: self, section, number, symbols: Vec::new() };
        body.symbols = body.defined_symbols();
        body.print()
    }

    fn section_directive(&mut self, section: &'a Section, number: usize) -> Result<(), FileError> {
        let mut flags = String::new();
        for (flag, letter) in [
            (elf::SHF_ALLOC, 'a'),
            (elf::SHF_WRITE, 'w'),
            (elf::SHF_EXECINSTR, 'x'),
            (elf::SHF_LINK_ORDER, 'o'),
            (elf::SHF_EXCLUDE, 'e'),
        ] {
            if section.has(flag) {
                flags.push(letter);
            }
        }
        let kind = match section.kind {
            elf::SHT_PROGBITS => "%progbits",
            elf::SHT_NOBITS => "%nobits",
            _ => return Err(FileError::NoAssembly(format!("the kind of section `{}`", section.name))),
        };
        let mut line = format!("\t.section \"{}\",\"{flags}\",{kind}", section.name);
        if section.has(elf::SHF_LINK_ORDER) {
            if !self.started.contains(&section.link) {
                return Err(FileError::NoAssembly(format!(
                    "`{}`, which is linked to no section before",
                    section.name
                )));
            }
            let _ = write!(line, ",{}", start_label(section.link));
        }
        if !self.named.insert(&section.name) {
            let _ = write!(line, ",unique,{number}");
        }
        self.line(&line);
        Ok(())
    }

    /// The target of a relocation, plus a constant.
    fn place(&self, relocation: &Relocation, addend: i32) -> String {
        let symbol = &self.file.symbols[relocation.symbol];
        let name = match symbol.section {
            Some(section) if symbol.kind == elf::STT_SECTION => start_label(section),
            _ => quoted(&symbol.name),
        };
        match addend {
            0 => name,
            1.. => format!("{name}+{addend}"),
            _ => format!("{name}{addend}"),
        }
    }
}

/// A name in quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The label at the start of a section.
fn start_label(section: usize) -> String {
    format!(".Lsection{section}")
}

/// The contents of one section.
struct Body<'p, 'a> {
    printer: &'p mut Printer<'a>,
    section: &'a Section,
    number: usize,
    /// Symbols that are still to be printed, in descending order of their offset.
    symbols: Vec<&'a Symbol>,
}

impl<'a> Body<'_, 'a> {
    fn defined_symbols(&self) -> Vec<&'a Symbol> {
        let here =
            self.printer.file.symbols.iter().filter(|symbol| symbol.section == Some(self.section.index));
        let mut symbols: Vec<&Symbol> =
            here.filter(|symbol| symbol.kind != elf::STT_SECTION && !symbol.is_mark()).collect();
        symbols.sort_by_key(|symbol| symbol.offset());
        symbols.reverse();
        symbols
    }

    fn print(&mut self) -> Result<(), FileError> {
        let mut sized = Vec::new();
        if self.section.has(elf::SHF_EXECINSTR) {
            self.code(&mut sized)?;
        } else {
            self.data(&mut sized)?;
        }
        self.symbols_at(self.section.size, &mut sized);
        if let Some(symbol) = self.symbols.last() {
            return Err(FileError::Broken(format!("the symbol `{}` is outside of its section", symbol.name)));
        }
        for symbol in sized {
            let name = quoted(&symbol.name);
            self.printer.line(&format!("\t.size {name}, {}", symbol.size));
        }
        Ok(())
    }

    /// Prints the symbols up to an offset, which is the current one.
    fn symbols_at(&mut self, offset: u32, sized: &mut Vec<&'a Symbol>) {
        while let Some(symbol) = self.symbols.pop_if(|symbol| symbol.offset() <= offset) {
            let name = quoted(&symbol.name);
            if symbol.is_global {
                self.printer.line(&format!("\t.globl {name}"));
            }
            match symbol.kind {
                elf::STT_FUNC => {
                    self.printer.line(&format!("\t.type {name},%function"));
                    self.printer.line("\t.thumb_func");
                }
                elf::STT_OBJECT => self.printer.line(&format!("\t.type {name},%object")),
                _ => {}
            }
            self.printer.line(&format!("{name}:"));
            if symbol.kind != elf::STT_NOTYPE {
                sized.push(symbol);
            }
        }
    }

    // ---- Code ----

    fn label(&self, offset: u32) -> String {
        format!(".L{}_{offset:x}", self.number)
    }

    fn code(&mut self, sized: &mut Vec<&'a Symbol>) -> Result<(), FileError> {
        let code = Code::new(self.printer.file, self.section);
        for (at, item) in &code.items {
            self.symbols_at(*at, sized);
            if code.labels.contains(at) {
                let label = self.label(*at);
                self.printer.line(&format!("{label}:"));
            }
            let line = self.item(&code, *at, item)?;
            self.printer.line(&format!("\t{line}"));
        }
        Ok(())
    }

    fn item(&self, code: &Code, at: u32, item: &Item) -> Result<String, FileError> {
        let relocation = self.section.relocation_at(at);
        Ok(match (item, relocation) {
            (Item::Inst(decoded, _), Some(relocation)) => self.relocated(decoded, relocation)?,
            (Item::Inst(decoded, target), None) => {
                let label =
                    target.filter(|target| code.labels.contains(target)).map(|target| self.label(target));
                let asm = decoded.inst.asm(decoded.form, decoded.it);
                label.map_or_else(|| asm.to_string(), |label| asm.with_label(&label).to_string())
            }
            (Item::Word(word), Some(relocation)) => self.address(relocation, *word)?,
            (Item::Word(word), None) => format!(".long {word:#x}"),
            (Item::Entry { bytes, base, value }, None) => {
                let directive = if *bytes == 1 { ".byte" } else { ".short" };
                let target = base + 2 * value;
                if code.labels.contains(&target) && *value != 0 {
                    format!("{directive} ({}-{})/2", self.label(target), self.label(*base))
                } else {
                    format!("{directive} {value}")
                }
            }
            (Item::Bytes(bytes), None) => format!(".byte {}", list(bytes)),
            (Item::Unknown(bytes), None) => match **bytes {
                [a, b] => format!(".inst.n {:#x}", u16::from_le_bytes([a, b])),
                [a, b, c, d] => {
                    let halves = [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])];
                    format!(".inst.w {:#x}", u32::from(halves[0]) << 16 | u32::from(halves[1]))
                }
                _ => format!(".byte {}", list(bytes)),
            },
            (_, Some(relocation)) => return Err(self.no_relocation(relocation)),
        })
    }

    fn relocated(&self, decoded: &Decoded, relocation: &Relocation) -> Result<String, FileError> {
        let asm = decoded.inst.asm(decoded.form, decoded.it);
        let half = |addend: u32, part: &str| {
            let place = self.printer.place(relocation, i32::from(addend as i16));
            let text = asm.to_string();
            let head = text.split_once('#').map_or("", |(head, _)| head).to_owned();
            format!("{head}:{part}:{place}")
        };
        match (decoded.inst, relocation.kind) {
            (Inst::Branch { offset, .. }, elf::R_ARM_THM_PC22 | elf::R_ARM_THM_JUMP24) => {
                let place = self.printer.place(relocation, offset + 4);
                let symbol = &self.printer.file.symbols[relocation.symbol];
                if symbol.is_global || symbol.section != Some(self.section.index) {
                    return Ok(asm.with_label(&place).to_string());
                }
                // An assembler resolves a branch inside of a section itself. `.reloc` makes it leave a relocation.
                let is_call = relocation.kind == elf::R_ARM_THM_PC22;
                let kind = if is_call { "R_ARM_THM_CALL" } else { "R_ARM_THM_JUMP24" };
                Ok(format!(".reloc ., {kind}, {place}\n\t{asm}"))
            }
            (Inst::MovHalf { imm, .. }, elf::R_ARM_THM_MOVW_ABS_NC) => Ok(half(imm, "lower16")),
            (Inst::MovHalf { imm, .. }, elf::R_ARM_THM_MOVT_ABS) => Ok(half(imm, "upper16")),
            _ => Err(self.no_relocation(relocation)),
        }
    }

    fn address(&self, relocation: &Relocation, word: u32) -> Result<String, FileError> {
        if relocation.kind != elf::R_ARM_ABS32 {
            return Err(self.no_relocation(relocation));
        }
        Ok(format!(".long {}", self.printer.place(relocation, word as i32)))
    }

    fn no_relocation(&self, relocation: &Relocation) -> FileError {
        let Relocation { offset, kind, .. } = relocation;
        FileError::NoAssembly(format!(
            "the relocation of type {kind} at {offset:#x} of `{}`",
            self.section.name
        ))
    }

    fn listing(&self) -> Result<Vec<CodeLine>, FileError> {
        let code = Code::new(self.printer.file, self.section);
        let ends = code.items.iter().skip(1).map(|(at, _)| *at).chain([self.section.size]);
        let line = |((at, item), end): (&(u32, Item), u32)| {
            let text = self.item(&code, *at, item)?;
            // The directive for a relocation has a line of its own.
            let text = match text.split_once("\n\t") {
                Some((directive, inst)) => {
                    let place = directive.rsplit(", ").next().unwrap_or_default();
                    format!("{} {place}", inst.split_whitespace().next().unwrap_or_default())
                }
                None => text,
            };
            let ends_block = matches!(item, Item::Inst(decoded, _)
                if !matches!(decoded.inst.flow(), Flow::Next | Flow::Call));
            let label = code.labels.contains(at).then(|| format!(".L{at:x}"));
            // Labels have no number of their section.
            let text = text.replace(&format!(".L{}_", self.number), ".L").replace('"', "");
            Ok(CodeLine { offset: *at, bytes: end - at, label, text, ends_block })
        };
        code.items.iter().zip(ends).map(line).collect()
    }

    // ---- Data ----

    fn data(&mut self, sized: &mut Vec<&'a Symbol>) -> Result<(), FileError> {
        let symbols = self.symbols.iter().map(|symbol| symbol.offset());
        let places = self
            .section
            .relocations
            .iter()
            .flat_map(|relocation| [relocation.offset, relocation.offset.saturating_add(4)]);
        let mut cuts: BTreeSet<u32> = symbols.chain(places).filter(|&cut| cut < self.section.size).collect();
        cuts.extend([0, self.section.size]);
        let cuts: Vec<u32> = cuts.into_iter().collect();
        for pair in cuts.windows(2) {
            let (start, end) = (pair[0], pair[1]);
            self.symbols_at(start, sized);
            if self.section.kind == elf::SHT_NOBITS {
                self.printer.line(&format!("\t.zero {}", end - start));
            } else if let Some(relocation) = self.section.relocation_at(start) {
                let word = self.section.word(start).filter(|_| end == start + 4);
                let word = word.ok_or_else(|| self.no_relocation(relocation))?;
                let line = self.address(relocation, word)?;
                self.printer.line(&format!("\t{line}"));
            } else {
                self.bytes(&self.section.data[start as usize..end as usize]);
            }
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let is_text = |byte: u8| byte == b'\n' || (byte.is_ascii_graphic() || byte == b' ');
        if bytes.iter().all(|&byte| is_text(byte)) {
            for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                let line = String::from_utf8_lossy(line);
                let line = line.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                self.printer.line(&format!("\t.ascii \"{line}\""));
            }
            return;
        }
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let (filled, zeros) = if bytes.len() - end >= LINE { bytes.split_at(end) } else { (bytes, &[][..]) };
        for chunk in filled.chunks(LINE) {
            self.printer.line(&format!("\t.byte {}", list(chunk)));
        }
        if !zeros.is_empty() {
            self.printer.line(&format!("\t.zero {}", zeros.len()));
        }
    }
}

/// Bytes with commas.
fn list(bytes: &[u8]) -> String {
    bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
