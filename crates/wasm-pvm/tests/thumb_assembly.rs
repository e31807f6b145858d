//! `--emit asm` for Cortex-M, judged by LLVM's assembler: it assembles the text to the same object.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use object::read::elf::{ElfFile32, Sym as _};
use object::{
    Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, SectionFlags, elf,
};
use support::{Folder, dwarf_module, text};
use wasm_pvm::{Cpu, Floats, MemoryMode, OptLevel, Options, Stage, ThumbBounds, ThumbOptions, Trap};

/// All kinds of relocations, tables, data and names.
const EVERYTHING: &str = r#"(module
  (import "env" "notify" (func $notify (param i32)))
  (import "env" "odd name?"  (func $odd (param i32)))
  (import "env" "raw" (func $raw (param i32) (result i32)))
  (memory (export "memory") 1)
  (type $unary (func (param i32) (result i32)))
  (table funcref (elem $a $"local \"quoted\" \\ name" $raw $a))
  (global $count (export "count") (mut i32) (i32.const 77))
  (global $wide (mut i64) (i64.const 0))
  (data (i32.const 100) "hello\00\01\02 \"world\" \\ and more of it, so that there are lines")
  (data (i32.const 1000) "text\n")
  (func $start (i32.store (i32.const 64) (i32.const 7)))
  (start $start)
  (func $a (param i32) (result i32) (i32.add (local.get 0) (i32.const 305419896)))
  (func $"local \"quoted\" \\ name" (param i32) (result i32)
    (call $notify (local.get 0)) (i32.mul (local.get 0) (i32.const 305419896)))
  (func $"a b" (export "a:b/c@plt#d") (export "\"other\"\\") (param i32) (result i32)
    (i32.rotl (local.get 0) (i32.const 3)))
  (func $tail (export "tail") (param i32) (return_call $notify (i32.mul (local.get 0) (i32.const 7))))
  (func $rec (export "r0") (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
      (else (i32.mul (local.get 0) (call $rec (i32.sub (local.get 0) (i32.const 1)))))))
  (func (export "indirect") (param i32 i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.add (i32.const 3) (call_indirect (type $unary) (local.get 0) (local.get 1))))
  (func (export "switch") (param i32) (result i32)
    (block (block (block (block (block (block (block
      (br_table 0 1 2 3 4 5 6 (local.get 0)))
      (return (i32.const 10000)))
      (call $notify (i32.const 4)) (return (i32.const 11000000)))
      (return (i32.const 12)))
      (return (i32.const 19999993)))
      (call $notify (i32.const 4)) (return (i32.const 14)))
      (call $odd (i32.const 4)) (return (i32.const 155555)))
    (i32.const 16))
  (func (export "wide") (param i64 i64) (result i64)
    (global.set $wide (i64.div_s (local.get 0) (local.get 1)))
    (i64.shl (global.get $wide) (i64.rotr (local.get 1) (local.get 0))))
  (func (export "choose") (param i32 i32) (result i32)
    (select (i32.mul (local.get 0) (local.get 1)) (local.get 1) (i64.lt_s (i64.extend_i32_s (local.get 0)) (i64.const -3))))
  (func (export "store") (param i32 i32)
    (i64.store offset=8 (local.get 0) (i64.const 81985529216486895))
    (i32.store16 (local.get 0) (local.get 1)) (i32.store8 offset=4095 (local.get 0) (local.get 1))
    (memory.copy (local.get 0) (local.get 1) (i32.const 333)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

/// Float arithmetic of both widths.
const FLOATS: &str = r#"(module
  (memory 1)
  (func $poly (export "poly") (param f32 f32) (result f32)
    (f32.add (f32.mul (local.get 0) (f32.const 1.5)) (f32.sqrt (f32.div (local.get 1) (f32.const 0.1)))))
  (func (export "store") (param i32 f32)
    (f32.store offset=4 (local.get 0) (f32.neg (local.get 1)))
    (i32.store (local.get 0) (i32.trunc_sat_f32_s (local.get 1))))
  (func (export "many") (param f32 f32 f32) (result f32)
    (f32.add (call $poly (local.get 0) (local.get 1)) (f32.mul (local.get 2) (call $poly (local.get 1) (local.get 2)))))
  (func (export "less") (param f32 f32) (result i32) (f32.lt (local.get 0) (local.get 1))))"#;

/// The same for double precision.
fn doubles() -> String {
    FLOATS.replace("f32", "f64")
}

/// Functions with so many constants and branches that short forms don't reach.
fn long() -> String {
    let mut text = "(module (memory 1) (func (export \"long\") (param i32 i32) (result i32)\n".to_owned();
    for n in 0..400u32 {
        let constant = n.wrapping_mul(0x9e37_79b9);
        text += &format!(
            "(if (i32.lt_u (local.get 1) (i32.const {n})) (then (i32.store (local.get 0) (i32.const {constant}))\
             (local.set 0 (i32.xor (local.get 0) (i32.const {})))))\n",
            constant ^ 0x5555_1234
        );
    }
    text + "(local.get 0)))"
}

/// The target of a relocation: the name of a global symbol, or the place of a local one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Target {
    Symbol(String),
    Place(usize, u64),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Section {
    name: String,
    kind: elf::SectionType,
    flags: elf::SectionFlags,
    align: u64,
    size: u64,
    bytes: Vec<u8>,
    relocations: Vec<(u64, elf::RelocationType, Target)>,
    linked: Option<usize>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Symbol {
    name: String,
    value: u64,
    size: u64,
    info: elf::SymbolInfo,
    section: Option<usize>,
}

/// An object without the parts that assemblers may choose: the order of symbols and relocations, string tables, the
/// empty section that they always emit, and mapping symbols in sections without code. Sections are numbered by name and
/// then in order.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Content {
    flags: elf::FileFlags,
    sections: Vec<Section>,
    symbols: Vec<Symbol>,
}

impl Content {
    fn read(bytes: &[u8]) -> Self {
        let file = ElfFile32::<Endianness>::parse(bytes).expect("an ELF file");
        let kind = |section: &object::read::elf::ElfSection32<'_, '_>| {
            section.elf_section_header().sh_type.get(file.endian())
        };
        let tables = [elf::SHT_NULL, elf::SHT_STRTAB, elf::SHT_SYMTAB, elf::SHT_REL];
        let mut kept: Vec<_> = file.sections().filter(|section| !tables.contains(&kind(section))).collect();
        kept.retain(|section| section.name() != Ok(".text") || section.size() > 0);
        kept.sort_by_key(|section| section.name().expect("a name").to_owned());
        let numbers: BTreeMap<usize, usize> = kept.iter().map(|section| section.index().0).zip(0..).collect();
        let place = |index: object::SectionIndex| numbers[&index.0];
        let sections = kept.iter().map(|section| {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { panic!("an ELF file") };
            let link = section.elf_section_header().sh_link.get(file.endian()) as usize;
            let data = section.data().expect("bytes").to_vec();
            let relocations = section.relocations().map(|(offset, relocation)| {
                let RelocationFlags::Elf { r_type } = relocation.flags() else { panic!("an ELF file") };
                let object::RelocationTarget::Symbol(symbol) = relocation.target() else {
                    panic!("a symbol")
                };
                let symbol = file.symbol_by_index(symbol).expect("the symbol is there");
                let target = match symbol.section_index() {
                    Some(section) if symbol.is_local() => Target::Place(place(section), symbol.address()),
                    _ => Target::Symbol(symbol.name().expect("a name").to_owned()),
                };
                (offset, r_type, target)
            });
            let mut relocations: Vec<_> = relocations.collect();
            relocations.sort();
            Section {
                name: section.name().expect("a name").to_owned(),
                kind: kind(section),
                flags: sh_flags,
                align: section.align(),
                size: section.size(),
                relocations,
                bytes: data,
                linked: sh_flags.contains(elf::SHF_LINK_ORDER).then(|| numbers[&link]),
            }
        });
        let sections: Vec<Section> = sections.collect();
        let is_code = |index: object::SectionIndex| sections[place(index)].flags.contains(elf::SHF_EXECINSTR);
        let symbols = file.symbols().filter(|symbol| symbol.kind() != object::SymbolKind::Section);
        let symbols = symbols.filter(|symbol| {
            let is_mark = symbol.name().is_ok_and(|name| ["$t", "$d"].contains(&name));
            !is_mark || symbol.section_index().is_some_and(is_code)
        });
        let symbols = symbols.map(|symbol| Symbol {
            name: symbol.name().expect("a name").to_owned(),
            value: symbol.address(),
            size: symbol.size(),
            info: symbol.elf_symbol().st_info(),
            section: symbol.section_index().map(place),
        });
        let mut symbols: Vec<Symbol> = symbols.collect();
        symbols.sort();
        let object::FileFlags::Elf { e_flags, .. } = file.flags() else { panic!("an ELF file") };
        Self { flags: e_flags, sections, symbols }
    }
}

/// Compiles a module both ways and compares.
fn check(folder: &Folder, what: &str, module: &[u8], options: &Options) {
    let object = wasm_pvm::compile(module, options).unwrap_or_else(|error| panic!("{what}: {error}")).bytes;
    let assembly =
        wasm_pvm::emit(module, options, Stage::Asm).unwrap_or_else(|error| panic!("{what}: {error}"));
    let source = folder.write("module.s", &assembly);
    let assembled = folder.path("module.o");
    let output = Command::new("clang-22")
        .args(["--target=thumbv7m-none-eabi", "-c", "-o"])
        .args([&assembled, &source])
        .output()
        .expect("clang-22 starts");
    assert!(output.status.success(), "{what}: {}", text(&output.stderr));
    let (ours, theirs) =
        (Content::read(&object), Content::read(&std::fs::read(&assembled).expect("written")));
    for (ours, theirs) in ours.sections.iter().zip(&theirs.sections) {
        assert_eq!(ours, theirs, "{what}");
    }
    for (ours, theirs) in ours.symbols.iter().zip(&theirs.symbols) {
        assert_eq!(ours, theirs, "{what}");
    }
    assert!(ours == theirs, "{what}: the numbers of sections or symbols differ");
}

fn is_available() -> bool {
    needs::tools(&["clang-22"])
}

fn options(level: OptLevel, thumb: ThumbOptions) -> Options {
    Options { level, threads: 1, ..Options::new(thumb) }
}

const LEVELS: [OptLevel; 3] = [OptLevel::O0, OptLevel::O2, OptLevel::Oz];

#[test]
fn small_modules_assemble_to_the_same_object() {
    let folder = Folder::new("thumb-assembly-small");
    if !is_available() {
        return;
    }
    for level in LEVELS {
        for cpu in Cpu::ALL {
            let plain = ThumbOptions { memory: MemoryMode::Symbol, ..ThumbOptions::new(cpu) };
            let memory = |memory, bounds| ThumbOptions { memory, bounds: Some(bounds), ..plain.clone() };
            let renamed = [("odd name?".to_owned(), "odd".to_owned())].into();
            let setups = [
                plain.clone(),
                memory(MemoryMode::Register, ThumbBounds::None),
                memory(MemoryMode::Symbol, ThumbBounds::Mpu),
                ThumbOptions { trap: Trap::Handler("on_trap".to_owned()), ..plain.clone() },
            ];
            let count = if cpu == Cpu::M3 { setups.len() } else { 1 };
            for setup in setups.into_iter().take(count) {
                let setup = ThumbOptions { renames: BTreeMap::clone(&renamed), ..setup };
                check(&folder, &format!("{cpu} {level:?}"), EVERYTHING.as_bytes(), &options(level, setup));
            }
            check(
                &folder,
                &format!("long {cpu} {level:?}"),
                long().as_bytes(),
                &options(level, plain.clone()),
            );
        }
    }
}

#[test]
fn floats_assemble_to_the_same_object() {
    let folder = Folder::new("thumb-assembly-floats");
    if !is_available() {
        return;
    }
    for level in LEVELS {
        for (cpu, floats, has_doubles) in [
            (Cpu::M3, Floats::Soft, true),
            (Cpu::M4F, Floats::Hard, false),
            (Cpu::M33F, Floats::Hard, false),
            (Cpu::M4F, Floats::Soft, true),
            (Cpu::M7DP, Floats::Hard, true),
        ] {
            let options = Options { floats: Some(floats), ..options(level, ThumbOptions::new(cpu)) };
            check(&folder, &format!("{cpu} {level:?}"), FLOATS.as_bytes(), &options);
            if has_doubles {
                check(&folder, &format!("doubles {cpu} {level:?}"), doubles().as_bytes(), &options);
            }
        }
    }
}

#[test]
fn kernels_assemble_to_the_same_object() {
    let folder = Folder::new("thumb-assembly-kernels");
    if !is_available() {
        return;
    }
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/kernels/wasm");
    let mut count = 0;
    for (variant, level) in [("O2", OptLevel::O2), ("Os", OptLevel::Oz)] {
        for entry in std::fs::read_dir(kernels.join(variant)).expect("the kernels are there") {
            let path = entry.expect("readable").path();
            let module = std::fs::read(&path).expect("readable");
            for cpu in [Cpu::M0Plus, Cpu::M3, Cpu::M7DP] {
                let thumb = ThumbOptions { memory: MemoryMode::Symbol, ..ThumbOptions::new(cpu) };
                let floats = if cpu == Cpu::M7DP { Floats::Hard } else { Floats::Soft };
                let options = Options { floats: Some(floats), ..options(level, thumb) };
                check(&folder, &format!("{} {cpu} {level:?}", path.display()), &module, &options);
                count += 1;
            }
        }
    }
    assert!(count >= 40, "only {count} kernels");
}

#[test]
fn a_name_that_assemblers_keep_is_an_error() {
    let folder = Folder::new("thumb-assembly-names");
    folder.write("m.wat", "(module (func (export \".Lx\")))");
    let message = folder.fail(&["compile", "m.wat", "--target", "thumbv7m", "--emit", "asm"], b"", 1);
    assert!(message.contains(".Lx"), "{message}");
}

#[test]
fn debug_sections_assemble_to_the_same_object() {
    let folder = Folder::new("thumb-assembly-debug");
    for version in [4, 5] {
        let Some(module) = dwarf_module(&folder, "-O2", version) else { return };
        for level in LEVELS {
            check(&folder, &format!("{level:?}"), &module, &options(level, ThumbOptions::new(Cpu::M3)));
        }
    }
}
