//! Writing sections, symbols and relocations.

use std::collections::BTreeMap;

use codegen::{Code, CodeLocations, Fixup as _, Fragment, Place, Placement};
use object::write::{Object as Elf, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, FileFlags, RelocationFlags, SectionFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope, elf,
};
use ssa::{DataId, FuncId, IdVec, Module, Reachable};

use super::data::{self, Contents, DataSection};
use super::names::Names;
use super::{
    FirstCall, FunctionInfo, Object, ObjectOptions, Sizes, attributes, debug, frames, headers, notes,
};
use crate::adapt::uses;
use crate::emit::fixup::{Fixup, RelocationKind};
use crate::isa::inst;
use crate::isa::{MemoryMode, Thumb};

/// Writes one object.
pub struct Writer<'a> {
    module: &'a Module,
    target: &'a Thumb,
    names: Names,
    first_call: Option<FirstCall>,
    options: &'a ObjectOptions,
    elf: Elf<'static>,
    functions: IdVec<FuncId, Option<SymbolId>>,
    data: IdVec<DataId, Option<SymbolId>>,
    sizes: Sizes,
    /// The alignments of the sections of zeros, by name.
    alignments: BTreeMap<String, u64>,
    /// Functions that correspond to functions of the source.
    located: Vec<debug::Function>,
    /// All functions.
    frames: Vec<frames::Frame>,
    /// Bounds of loops: function, offset of the header in it, most executions.
    bounds: Vec<(SymbolId, u32, u32)>,
    /// Where the code comes from, if instructions carry byte offsets.
    locations: Option<CodeLocations>,
}

/// A relocation in a section that has not been added yet.
struct Pending {
    section: SectionId,
    offset: u64,
    kind: RelocationKind,
    symbol: inst::Symbol,
}

impl<'a> Writer<'a> {
    /// An empty object.
    pub fn new(
        module: &'a Module,
        target: &'a Thumb,
        names: Names,
        first_call: Option<FirstCall>,
        options: &'a ObjectOptions,
    ) -> Self {
        let mut elf = Elf::new(BinaryFormat::Elf, Architecture::Arm, Endianness::Little);
        elf.flags =
            FileFlags::Elf { os_abi: elf::ELFOSABI_NONE, abi_version: 0, e_flags: elf::EF_ARM_EABI_VER5 };
        Self {
            module,
            target,
            names,
            first_call,
            options,
            elf,
            functions: IdVec::filled(None, module.decls.len()),
            data: IdVec::filled(None, module.data.len()),
            sizes: Sizes::default(),
            alignments: BTreeMap::new(),
            located: Vec::new(),
            frames: Vec::new(),
            bounds: Vec::new(),
            locations: module
                .sources
                .as_ref()
                .filter(|sources| sources.are_offsets)
                .map(|_| CodeLocations::default()),
        }
    }

    /// Writes everything.
    pub fn write(mut self, fragments: &IdVec<FuncId, Option<Fragment<Fixup>>>) -> Object {
        let mut pending = Vec::new();
        let mut infos = Vec::new();
        for (id, fragment) in fragments.iter() {
            if let Some(fragment) = fragment {
                infos.push(self.function(id, fragment, &mut pending));
            } else if !self.names.functions[id].is_empty() {
                infos.push(self.exported_import(id, &mut pending));
            }
        }
        self.data_objects(&mut pending);
        let imports = self.relocations(pending);
        self.notes();
        self.loops();
        self.debug_sections();
        self.attributes();
        let mut bytes = self.elf.write().expect("the object has no duplicate or overlong parts");
        headers::complete(&mut bytes, &self.alignments);
        let Self { sizes, first_call, locations, .. } = self;
        Object { bytes, functions: infos, imports, sizes, first_call, locations }
    }

    // ---- Functions ----

    fn function(
        &mut self,
        id: FuncId,
        fragment: &Fragment<Fixup>,
        pending: &mut Vec<Pending>,
    ) -> FunctionInfo {
        let fragments = std::slice::from_ref(fragment);
        let no_function = |_: FuncId| unreachable!("other functions are reached by relocations");
        let placement = Placement { start: 0, align: 1, blocks: None };
        let code = codegen::relax(fragments, placement, &no_function);
        let (bytes, _) = code.flatten(fragments, placement, &no_function);
        let name = self.module.decls[id].name.clone();
        let align = alignment(fragment, self.module.functions[id].as_ref());
        let section = self.section(format!(".text.{name}"), SectionKind::Text);
        self.elf.append_section_data(section, &bytes, align);
        self.locate(id, fragment, &code);
        self.sizes.text += bytes.len() as u64;
        self.map_symbols(section, fragment, &code);
        self.stack_size(section, fragment.stack_bytes);
        let globals = std::mem::take(&mut self.names.functions[id]);
        let local = std::mem::take(&mut self.names.local_functions[id]);
        let symbol = globals.first().unwrap_or(&local).clone();
        for (n, global) in globals.iter().enumerate() {
            let added = self.function_symbol(section, global, bytes.len(), true);
            if n == 0 {
                self.functions[id] = Some(added);
            }
        }
        if globals.is_empty() {
            self.functions[id] = Some(self.function_symbol(section, &local, bytes.len(), false));
        }
        for (n, site) in fragment.fixups.iter().enumerate() {
            if let Some((kind, symbol)) = site.fixup.relocation() {
                let offset = fixup_address(&code, site.at, n) as u64;
                pending.push(Pending { section, offset, kind, symbol });
            }
        }
        let info = FunctionInfo { symbol, name, size: bytes.len() as u32, stack_bytes: fragment.stack_bytes };
        let span = debug::Span { section: self.elf.section_symbol(section), size: info.size };
        let address = |place| u32::try_from(code.address(0, place)).expect("code is smaller than 4 GiB");
        let known = self.functions[id].expect("the function has a symbol");
        self.bounds.extend(fragment.bounds.iter().map(|&(place, most)| (known, address(place), most)));
        let rows = fragment.unwind.iter().map(|(place, row)| (address(*place), row.clone()));
        self.frames.push(frames::Frame { span, rows: rows.collect() });
        if let Some(subprogram) = self.module.functions[id].as_ref().and_then(|func| func.source.subprogram) {
            let located = fragment.locs.iter().map(|&(place, loc)| (address(place), loc));
            self.located.push(debug::Function {
                span,
                body: address(fragment.body),
                variables_at: fragment.variables_at,
                symbol: info.symbol.clone(),
                is_global: !globals.is_empty(),
                subprogram,
                lines: debug::lines(located, info.size),
            });
        }
        info
    }

    /// Records where the code of the next function comes from.
    fn locate(&mut self, id: FuncId, fragment: &Fragment<Fixup>, code: &Code) {
        let Some(locations) = &mut self.locations else { return };
        let start = self.sizes.text as u32;
        locations.begin(start);
        let source = self.module.functions[id].as_ref().map(|func| &func.source);
        for &(place, loc) in source.iter().flat_map(|_| &fragment.locs) {
            let address = u32::try_from(code.address(0, place)).expect("code is smaller than 4 GiB");
            locations.add(start + address, source.expect("a fragment has a function"), loc);
        }
    }

    /// Adds a jump to an import, with the symbols under which it is exported. Both sides have the same convention. Cores
    /// without such a jump have [`crate::adapt::adapters`] instead.
    fn exported_import(&mut self, id: FuncId, pending: &mut Vec<Pending>) -> FunctionInfo {
        let globals = std::mem::take(&mut self.names.functions[id]);
        let jump = Fixup::TailCall(id);
        let mut bytes = Vec::new();
        jump.encode(0, 0, 0, &mut bytes);
        let name = self.module.decls[id].name.clone();
        let section = self.section(format!(".text.{name}"), SectionKind::Text);
        self.elf.append_section_data(section, &bytes, 2);
        if let Some(locations) = &mut self.locations {
            locations.begin(self.sizes.text as u32);
        }
        self.sizes.text += bytes.len() as u64;
        self.local_mark(section, "$t", 0);
        self.stack_size(section, 0);
        for global in &globals {
            self.function_symbol(section, global, bytes.len(), true);
        }
        let (kind, symbol) = jump.relocation().expect("the linker knows where the import is");
        pending.push(Pending { section, offset: 0, kind, symbol });
        let size = bytes.len() as u32;
        let span = debug::Span { section: self.elf.section_symbol(section), size };
        self.frames.push(frames::Frame { span, rows: Vec::new() });
        FunctionInfo { symbol: globals[0].clone(), name, size, stack_bytes: 0 }
    }

    fn function_symbol(&mut self, section: SectionId, name: &str, size: usize, is_global: bool) -> SymbolId {
        self.elf.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 1,
            size: size as u64,
            kind: SymbolKind::Text,
            scope: scope(is_global),
            weak: false,
            section: SymbolSection::Section(section),
            flags: symbol_flags(binding(is_global) | elf::STT_FUNC),
        })
    }

    /// Adds mapping symbols where code and data begin.
    fn map_symbols(&mut self, section: SectionId, fragment: &Fragment<Fixup>, code: &Code) {
        let mut marks = vec![(0, "$t")];
        let mut last_end = 0;
        for (n, site) in fragment.fixups.iter().enumerate() {
            let at = fixup_address(code, site.at, n);
            let is_data = marks.last().is_some_and(|mark| mark.1 == "$d");
            let len = i64::from(site.fixup.len(code.form(0, n), at));
            if len == 0 {
                continue;
            }
            if site.fixup.is_data() && !is_data {
                marks.push((at, "$d"));
            } else if is_data
                && (!site.fixup.is_data() || at > last_end)
                && !matches!(site.fixup, Fixup::Align(_))
            {
                marks.push((last_end, "$t"));
            }
            if site.fixup.is_data() || matches!(site.fixup, Fixup::Align(_)) {
                last_end = at + len;
            }
        }
        let ends_in_data = marks.last().is_some_and(|mark| mark.1 == "$d");
        if ends_in_data && (last_end as usize) < code.size() {
            marks.push((last_end, "$t"));
        }
        for (at, name) in marks {
            self.local_mark(section, name, at as u64);
        }
    }

    fn local_mark(&mut self, section: SectionId, name: &str, value: u64) {
        self.elf.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value,
            size: 0,
            kind: SymbolKind::Label,
            scope: SymbolScope::Compilation,
            weak: false,
            section: SymbolSection::Section(section),
            flags: symbol_flags(elf::STB_LOCAL | elf::STT_NOTYPE),
        });
    }

    // ---- Data ----

    fn data_objects(&mut self, pending: &mut Vec<Pending>) {
        let used = Reachable::from_all_code(self.module).data;
        let written = uses::written_objects(self.module);
        for id in self.module.data.ids() {
            let is_elsewhere =
                self.target.linear_memory == Some(id) && self.target.memory != MemoryMode::Symbol;
            if used[id] && !is_elsewhere {
                let memory = data::MemoryLayout::new(self.options, self.target.cpu);
                let contents = data::contents(self.module, id, written[id], memory);
                self.data_object(id, &contents, pending);
            }
        }
    }

    fn data_object(&mut self, id: DataId, contents: &Contents, pending: &mut Vec<Pending>) {
        let object = &self.module.data[id];
        let (prefix, kind, bytes) = match contents.section {
            DataSection::ReadOnly => (".rodata", SectionKind::ReadOnlyData, &mut self.sizes.rodata),
            DataSection::Data => (".data", SectionKind::Data, &mut self.sizes.data),
            DataSection::Zeros => (".bss", SectionKind::UninitializedData, &mut self.sizes.bss),
        };
        *bytes += contents.size;
        let name = format!("{prefix}.{}", object.name);
        let section = self.section(name.clone(), kind);
        match contents.section {
            DataSection::Zeros => {
                let align = self.alignments.entry(name).or_default();
                *align = contents.align.max(*align);
                self.elf.append_section_bss(section, contents.size, 1)
            }
            _ => self.elf.append_section_data(section, &contents.bytes, contents.align),
        };
        let globals = std::mem::take(&mut self.names.data[id]);
        for (n, name) in globals.iter().enumerate() {
            let symbol = self.data_symbol(section, name, contents.size, true);
            if n == 0 {
                self.data[id] = Some(symbol);
            }
        }
        if let Some(name) = self.names.sizes[id].take() {
            self.absolute_symbol(&name, contents.size);
        }
        if globals.is_empty() {
            let local = std::mem::take(&mut self.names.local_data[id]);
            self.data[id] = Some(self.data_symbol(section, &local, contents.size, false));
        }
        for reloc in &object.relocs {
            let (offset, symbol) = (u64::from(reloc.offset), inst::Symbol::Func(reloc.func));
            pending.push(Pending { section, offset, kind: RelocationKind::Abs32, symbol });
        }
        // Linear memory at address 0 has no symbol: the addend is the address.
        let is_number =
            |data| self.target.linear_memory == Some(data) && self.target.memory == MemoryMode::Native;
        for stored in object.addresses.iter().filter(|stored| !is_number(stored.data)) {
            let (offset, symbol) = (u64::from(stored.offset), inst::Symbol::Data(stored.data));
            pending.push(Pending { section, offset, kind: RelocationKind::Abs32, symbol });
        }
    }

    fn data_symbol(&mut self, section: SectionId, name: &str, size: u64, is_global: bool) -> SymbolId {
        self.elf.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size,
            kind: SymbolKind::Data,
            scope: scope(is_global),
            weak: false,
            section: SymbolSection::Section(section),
            flags: symbol_flags(binding(is_global) | elf::STT_OBJECT),
        })
    }

    /// Adds a symbol whose address is a number.
    fn absolute_symbol(&mut self, name: &str, value: u64) {
        self.elf.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value,
            size: 0,
            kind: SymbolKind::Data,
            scope: scope(true),
            weak: false,
            section: SymbolSection::Absolute,
            flags: symbol_flags(elf::STB_GLOBAL | elf::STT_NOTYPE),
        });
    }

    // ---- The rest ----

    /// Adds a section. Characters that object files, linker scripts or assembly don't accept are left out of its name.
    fn section(&mut self, name: String, kind: SectionKind) -> SectionId {
        let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '"' | '\\');
        let name: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        self.elf.add_section(Vec::new(), name.into_bytes(), kind)
    }

    /// A section that is not loaded.
    fn note(&mut self, name: &str, sh_flags: elf::SectionFlags, bytes: &[u8]) -> SectionId {
        let section = self.section(name.to_owned(), SectionKind::Other);
        let flags = SectionFlags::Elf { sh_type: elf::SHT_PROGBITS, sh_flags };
        self.elf.section_mut(section).flags = flags;
        self.elf.append_section_data(section, bytes, 1);
        section
    }

    /// Records the frame size of the function in a section.
    fn stack_size(&mut self, code: SectionId, bytes: u32) {
        let symbol = self.elf.section_symbol(code);
        let section = self.note(notes::STACK_SIZES, elf::SHF_LINK_ORDER, &notes::stack_size(bytes));
        self.absolute(section, 0, symbol);
    }

    /// Records the compiler's settings, and the possible targets of indirect calls.
    fn notes(&mut self) {
        let settings = notes::settings(self.module, self.target, self.first_call.as_ref(), self.options);
        self.note(notes::SETTINGS, elf::SHF_EXCLUDE, settings.as_bytes());
        let bodies = notes::bodies(self.options);
        if !bodies.is_empty() {
            self.note(notes::BODIES, elf::SHF_EXCLUDE, bodies.as_bytes());
        }
        let references = notes::references(self.module, &self.functions, &self.data);
        if !references.is_empty() {
            let section =
                self.note(notes::REFERENCES, elf::SHF_EXCLUDE, &notes::reference_bytes(&references));
            for (n, (func, _)) in (0..).zip(references) {
                let symbol = self.functions[func].expect("references are to what is in the object");
                self.absolute(section, notes::PAIR_BYTES * n, symbol);
            }
        }
    }

    /// Records bounds of loops.
    fn loops(&mut self) {
        let bounds = std::mem::take(&mut self.bounds);
        if !bounds.is_empty() {
            let section = self.note(notes::LOOPS, elf::SHF_EXCLUDE, &notes::loop_bytes(&bounds));
            for (n, (symbol, ..)) in (0..).zip(bounds) {
                self.absolute(section, notes::PAIR_BYTES * n, symbol);
            }
        }
    }

    /// Adds the debug sections.
    fn debug_sections(&mut self) {
        if !self.options.debug {
            return;
        }
        let sources = self.module.sources.as_ref().filter(|_| !self.located.is_empty());
        let mut sections = sources.map_or(Vec::new(), |sources| debug::sections(sources, &self.located));
        sections.extend(frames::section(&self.frames));
        let mut ids = BTreeMap::new();
        for section in &sections {
            let id = self.section(section.id.name().to_owned(), SectionKind::Debug);
            self.elf.append_section_data(id, &section.bytes, 1);
            self.sizes.debug += section.bytes.len() as u64;
            ids.insert(section.id.name(), id);
        }
        for section in &sections {
            for &(offset, target) in &section.relocations {
                let symbol = match target {
                    debug::Target::Code(symbol) => symbol,
                    debug::Target::Debug(id) => self.elf.section_symbol(ids[id.name()]),
                };
                self.absolute(ids[section.id.name()], offset, symbol);
            }
        }
    }

    fn absolute(&mut self, section: SectionId, offset: u64, symbol: SymbolId) {
        let flags = RelocationFlags::Elf { r_type: elf::R_ARM_ABS32 };
        let relocation = Relocation { offset, symbol, addend: 0, flags };
        self.elf.add_relocation(section, relocation).expect("relocations are known to the writer");
    }

    /// Adds relocations, and undefined symbols as needed; returns the names of the latter.
    fn relocations(&mut self, pending: Vec<Pending>) -> Vec<String> {
        let mut imports: Vec<(String, SymbolId)> = Vec::new();
        for Pending { section, offset, kind, symbol } in pending {
            let symbol = match symbol {
                inst::Symbol::Data(data) => {
                    self.data[data].expect("data that code refers to is in the object")
                }
                inst::Symbol::Func(func) => match self.functions[func] {
                    Some(symbol) => symbol,
                    None => {
                        let symbol = self.import(func, &mut imports);
                        self.functions[func] = Some(symbol);
                        symbol
                    }
                },
            };
            let r_type = match kind {
                RelocationKind::Abs32 => elf::R_ARM_ABS32,
                RelocationKind::Call => elf::R_ARM_THM_PC22,
                RelocationKind::Jump24 => elf::R_ARM_THM_JUMP24,
                RelocationKind::MovwAbs => elf::R_ARM_THM_MOVW_ABS_NC,
                RelocationKind::MovtAbs => elf::R_ARM_THM_MOVT_ABS,
            };
            let flags = RelocationFlags::Elf { r_type };
            let relocation = Relocation { offset, symbol, addend: 0, flags };
            self.elf.add_relocation(section, relocation).expect("relocations are known to the writer");
        }
        imports.into_iter().map(|(name, _)| name).collect()
    }

    fn import(&mut self, func: FuncId, imports: &mut Vec<(String, SymbolId)>) -> SymbolId {
        let name = self.names.imports[func].clone();
        let name =
            name.unwrap_or_else(|| panic!("{} has neither code nor an import", self.module.decls[func].name));
        if let Some((_, symbol)) = imports.iter().find(|(known, _)| *known == name) {
            return *symbol;
        }
        let symbol = self.elf.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Text,
            scope: SymbolScope::Unknown,
            weak: false,
            section: SymbolSection::Undefined,
            flags: symbol_flags(elf::STB_GLOBAL | elf::STT_NOTYPE),
        });
        imports.push((name, symbol));
        symbol
    }

    fn attributes(&mut self) {
        let section = self.section(".ARM.attributes".to_owned(), SectionKind::Other);
        let sh_flags = elf::SectionFlags::default();
        let flags = SectionFlags::Elf { sh_type: elf::SHT_ARM_ATTRIBUTES, sh_flags };
        self.elf.section_mut(section).flags = flags;
        let passes_floats = self
            .module
            .signatures
            .values()
            .any(|sig| sig.params.iter().chain(&sig.results).any(|ty| ty.is_float()));
        self.elf.append_section_data(section, &attributes::section(self.target, passes_floats), 1);
    }
}

const fn binding(is_global: bool) -> elf::SymbolBind {
    if is_global { elf::STB_GLOBAL } else { elf::STB_LOCAL }
}

/// The flags of a symbol of default visibility.
fn symbol_flags(st_info: elf::SymbolInfo) -> SymbolFlags<SectionId, SymbolId> {
    SymbolFlags::Elf { st_info, st_other: elf::STV_DEFAULT.into() }
}

const fn scope(is_global: bool) -> SymbolScope {
    if is_global { SymbolScope::Dynamic } else { SymbolScope::Compilation }
}

/// The alignment of a function's start. Its words are loaded relative to the program counter rounded down, and a
/// function optimised for speed begins at a word.
fn alignment(fragment: &Fragment<Fixup>, func: Option<&ssa::Function>) -> u64 {
    let has_words = fragment.fixups.iter().any(|site| {
        matches!(site.fixup, Fixup::Align(4) | Fixup::LoadLiteral { .. } | Fixup::TableAddress { .. })
    });
    let is_small = func.is_some_and(|func| func.optimize_for_size);
    if has_words || !is_small { 4 } else { 2 }
}

fn fixup_address(code: &Code, at: u32, index: usize) -> i64 {
    code.address(0, Place { byte: at, fixups: index as u32 })
}
