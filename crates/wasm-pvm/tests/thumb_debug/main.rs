//! Debug sections of Cortex-M objects, judged by LLVM's and GNU's tools: they map addresses to the lines of the source
//! that the code comes from, both in objects and in linked files.

#[path = "../support/mod.rs"]
mod support;

mod gdb;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind};
use support::{Folder, LINES, dwarf_module, text, wasm_of_c};
use wasm_pvm::{Cpu, Debug, MemoryMode, OptLevel, Options, ThumbOptions};

/// The imports of the source.
const EXTERNAL: &str = "int ext(int x) { return x; }";

const LINKERS: [&str; 2] = ["ld.lld-22", "arm-none-eabi-ld"];

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];

/// The line of a mark in the source.
fn line(mark: &str) -> u32 {
    let is_marked = |line: &str| line.ends_with(&format!("// @{mark}"));
    1 + LINES.lines().position(is_marked).expect("the mark is there") as u32
}

/// The first and the last line of a function.
fn lines_of(function: &str) -> (u32, u32) {
    let lines: Vec<&str> = LINES.lines().collect();
    let head = format!(" {function}(");
    let is_head = |line: &&str| line.contains(&head) && line.ends_with('{');
    let first = lines.iter().position(is_head).expect("the function is there");
    let length = lines[first..].iter().position(|line| *line == "}").expect("it ends");
    (first as u32 + 1, (first + length) as u32 + 1)
}

fn run(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool).args(args).output().unwrap_or_else(|error| panic!("{tool}: {error}"));
    let all = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{tool} {args:?}: {all}");
    all
}

fn compile(module: &[u8], level: OptLevel, debug: Debug, threads: usize) -> Vec<u8> {
    let thumb = ThumbOptions { debug, ..ThumbOptions::new(Cpu::M3) };
    let options = Options { level, threads, ..Options::new(thumb) };
    wasm_pvm::compile(module, &options).unwrap_or_else(|error| panic!("{error}")).bytes
}

/// Links an object with its imports. Sections that `entry` doesn't need are dropped.
fn link(folder: &Folder, linker: &str, object: &Path, entry: &str) -> String {
    let external = folder.path("external.o");
    let external = external.to_str().expect("a path");
    if !Path::new(external).exists() {
        let source = folder.write("external.c", EXTERNAL);
        let args = ["--target=thumbv7m-none-eabi", "-mcpu=cortex-m3", "-O1", "-ffreestanding", "-c"];
        run("clang-22", &[&args[..], &[source.to_str().expect("a path"), "-o", external]].concat());
    }
    let output = folder.path("linked.elf").to_str().expect("a path").to_owned();
    let object = object.to_str().expect("a path");
    // Objects of clang have `.note.GNU-stack`; GNU linkers then expect it of all objects.
    let args = ["--gc-sections", "-z", "noexecstack", "-Ttext=0x20000", "-e", entry, object, external];
    let said = run(linker, &[&args[..], &["-o", &output]].concat());
    assert_eq!(said, "", "{linker}");
    output
}

/// An instruction of a linked file.
struct Inst {
    address: u32,
    function: String,
    text: String,
}

/// The end addresses of functions. Linkers pad the gaps between them.
fn function_ends(file: &str) -> BTreeMap<String, u32> {
    let bytes = fs::read(file).expect("readable");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let functions = file.symbols().filter(|symbol| symbol.kind() == object::SymbolKind::Text);
    let end = |symbol: &object::Symbol<'_, '_>| ((symbol.address() & !1) + symbol.size()) as u32;
    functions.map(|symbol| (symbol.name().expect("a name").to_owned(), end(&symbol))).collect()
}

/// The instructions of the functions that come from the module.
fn disassemble(file: &str) -> Vec<Inst> {
    let listing = run("llvm-objdump-22", &["-d", "--no-show-raw-insn", file]);
    let mut function = String::new();
    let mut insts = Vec::new();
    for line in listing.lines() {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once('<')) {
            name.clone_into(&mut function);
        } else if let Some((address, text)) = line.split_once(':')
            && let Ok(address) = u32::from_str_radix(address.trim(), 16)
        {
            let text = text.trim().replace('\t', " ");
            insts.push(Inst { address, function: function.clone(), text });
        }
    }
    let ends = function_ends(file);
    let is_code = |inst: &Inst| !inst.text.starts_with(".word") && inst.address < ends[&inst.function];
    insts.retain(|inst| inst.function != "ext" && is_code(inst));
    insts
}

/// The results of LLVM's symbolizer for addresses: function, file and line.
fn symbolize(file: &str, insts: &[Inst]) -> Vec<(String, String, u32)> {
    let addresses: Vec<String> = insts.iter().map(|inst| format!("{:#x}", inst.address)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let args = ["--no-inlines", "--output-style=GNU", "-f", "-e", file];
    let listing = run("llvm-symbolizer-22", &[&args[..], &addresses].concat());
    let lines: Vec<&str> = listing.lines().filter(|line| !line.is_empty()).collect();
    let place = |pair: &[&str]| {
        let (file, line) = pair[1].rsplit_once(':').expect("a line");
        let line = line.split_whitespace().next().expect("a number").parse().unwrap_or(0);
        (pair[0].to_owned(), file.to_owned(), line)
    };
    let places: Vec<_> = lines.chunks(2).map(place).collect();
    assert_eq!(places.len(), insts.len(), "{listing}");
    places
}

/// Addresses of a line table, without those of ends.
fn table(file: &str) -> BTreeSet<u32> {
    let listing = run("llvm-dwarfdump-22", &["--debug-line", file]);
    let rows = listing.lines().filter(|line| line.starts_with("0x") && !line.ends_with("end_sequence"));
    let address = |row: &str| u32::from_str_radix(row[2..].split_whitespace().next()?, 16).ok();
    rows.map(|row| address(row).expect("an address")).collect()
}

fn verify(file: &str) {
    let result = run("llvm-dwarfdump-22", &["--verify", file]);
    assert!(result.contains("No errors."), "{result}");
}

/// Every instruction belongs to a line of its function, or to one of a function that is inlined there.
fn check_lines(what: &str, insts: &[Inst], places: &[(String, String, u32)]) {
    for (inst, (function, file, line)) in insts.iter().zip(places) {
        let what = format!("{what}: {:#x} {} of {}", inst.address, inst.text, inst.function);
        assert!(file.ends_with("/lines.c"), "{what}: {file}");
        let inlined: &[&str] = if inst.function == "run" { &["twice", "helper", "poke"] } else { &[] };
        assert!(*function == inst.function || inlined.contains(&function.as_str()), "{what}: {function}");
        let lines = lines_of(function);
        assert!((lines.0..=lines.1).contains(line), "{what}: line {line} of {function}");
    }
}

/// Calls of the import have the lines that they have in the source.
fn check_calls(what: &str, insts: &[Inst], places: &[(String, String, u32)]) {
    let calls = insts.iter().zip(places).filter(|(inst, _)| inst.text.contains("<ext>"));
    let lines: BTreeSet<u32> = calls.map(|(_, (_, _, line))| *line).collect();
    let marks = ["inlined", "helper-first", "helper-second", "run-loop"];
    let expected: BTreeSet<u32> = marks.map(line).into();
    assert!(lines.is_superset(&expected), "{what}: {lines:?} instead of {expected:?}");
    // The cases of the switch may be joined.
    let cases = line("switch")..=line("run-case-3");
    assert!(lines.iter().all(|line| expected.contains(line) || cases.contains(line)), "{what}: {lines:?}");
}

/// Stores to volatile memory have the lines that they have in the source.
fn check_stores(what: &str, insts: &[Inst], places: &[(String, String, u32)]) {
    for (n, offset) in [(0, "#0x28]"), (1, "#0x2c]"), (2, "#0x30]")] {
        let is_store = |inst: &&Inst| inst.text.starts_with("str") && inst.text.contains(offset);
        let at: Vec<usize> = (0..insts.len()).filter(|&at| is_store(&&insts[at])).collect();
        let lines: BTreeSet<u32> = at.iter().map(|&at| places[at].2).collect();
        assert_eq!(lines, [line(&format!("poke-{n}"))].into(), "{what}: {offset}");
    }
}

#[test]
fn every_instruction_belongs_to_a_line_of_its_function() {
    let folder = Folder::new("thumb-debug-lines");
    for (clang_level, version) in [("-O0", 4), ("-O2", 4), ("-O0", 5), ("-O2", 5), ("-Oz", 4)] {
        let Some(module) = dwarf_module(&folder, clang_level, version) else { return };
        for level in LEVELS {
            let object = folder.write("lines.o", compile(&module, level, Debug::Lines, 1));
            verify(object.to_str().expect("a path"));
            for linker in LINKERS {
                let what = format!("clang {clang_level}, DWARF {version}, {level:?}, {linker}");
                let linked = link(&folder, linker, &object, "run");
                verify(&linked);
                let insts = disassemble(&linked);
                assert!(
                    insts.len() > 20
                        && insts.iter().all(|inst| !["spare", "other"].contains(&&*inst.function)),
                    "{what}"
                );
                let places = symbolize(&linked, &insts);
                check_lines(&what, &insts, &places);
                check_calls(&what, &insts, &places);
                if clang_level != "-O0" {
                    check_stores(&what, &insts, &places);
                }
            }
        }
    }
}

#[test]
fn rows_begin_at_instructions() {
    let folder = Folder::new("thumb-debug-rows");
    for clang_level in ["-O0", "-O2"] {
        let Some(module) = dwarf_module(&folder, clang_level, 4) else { return };
        for level in LEVELS {
            let object = folder.write("lines.o", compile(&module, level, Debug::Lines, 1));
            for entry in ["run", "spare"] {
                let linked = link(&folder, LINKERS[0], &object, entry);
                let starts: BTreeSet<u32> = disassemble(&linked).iter().map(|inst| inst.address).collect();
                // Rows of dropped functions are at address 0.
                let rows: BTreeSet<u32> = table(&linked).into_iter().filter(|&row| row >= 0x20000).collect();
                assert!(rows.len() > 1 && rows.is_subset(&starts), "{level:?} {entry}: {rows:x?}");
            }
        }
    }
}

#[test]
fn gnu_tools_read_the_lines() {
    let folder = Folder::new("thumb-debug-gnu");
    let Some(module) = dwarf_module(&folder, "-O2", 4) else { return };
    let object = folder.write("lines.o", compile(&module, OptLevel::Os, Debug::Lines, 1));
    let linked = link(&folder, "arm-none-eabi-ld", &object, "run");
    let insts = disassemble(&linked);
    let places = symbolize(&linked, &insts);
    for (inst, (function, file, line)) in insts.iter().zip(places) {
        let address = format!("{:#x}", inst.address);
        let answer = run("arm-none-eabi-addr2line", &["-f", "-e", &linked, &address]);
        let answer = answer.split(" (discriminator").next().expect("text").trim();
        assert_eq!(answer, format!("{function}\n{file}:{line}"), "{address}");
    }
}

#[test]
fn units_stay_apart() {
    let folder = Folder::new("thumb-debug-units");
    let one = "extern int ext(int); int two(int);\n\
        __attribute__((export_name(\"run\"))) int run(int a) { return ext(a)\n + two(a); }\n";
    let two = "extern int ext(int);\n\n\nint two(int a) {\n return ext(a + 7); }\nint dropped(int a) { return ext(a); }\n";
    let files = [("one.c", one), ("two.c", two)].map(|(name, text)| folder.write(name, text));
    let files = [&*files[0], &*files[1]];
    for level in LEVELS {
        let Some(module) = wasm_of_c(&folder, &files, &["-O1", "-gdwarf-5"]) else { return };
        let object = folder.write("units.o", compile(&module, level, Debug::Lines, 1));
        let linked = link(&folder, LINKERS[0], &object, "run");
        verify(&linked);
        let units = run("llvm-dwarfdump-22", &["--debug-info", "--recurse-depth=1", &linked]);
        let is_inlined = !disassemble(&linked).iter().any(|inst| inst.function == "two");
        assert_eq!(units.matches("DW_TAG_compile_unit").count(), if is_inlined { 1 } else { 2 }, "{units}");
        assert!(!units.contains("dropped"), "{units}");
        let insts = disassemble(&linked);
        let places = symbolize(&linked, &insts);
        let calls = insts.iter().zip(&places).filter(|(inst, _)| inst.text.contains("<ext>"));
        let lines: BTreeSet<(&str, u32)> =
            calls.map(|(_, (_, file, line))| (file.rsplit('/').next().expect("a name"), *line)).collect();
        assert_eq!(lines, [("one.c", 2), ("two.c", 5)].into(), "{level:?}");
    }
}

/// Methods, whose definitions leave names to their declarations.
const METHODS: &str = r#"extern "C" int ext(int);
namespace ns { struct S { int v; __attribute__((noinline)) int get(int k); template<class T> T twice(T x); }; }
int ns::S::get(int k) { return ext(v + k); }
template<class T>
__attribute__((noinline)) T ns::S::twice(T x) { return ext(x) + v; }
extern "C" __attribute__((export_name("run")))
int run(int a) { ns::S s{a}; return s.get(a) + s.twice<int>(a); }
"#;

#[test]
fn functions_have_the_names_of_the_source() {
    let folder = Folder::new("thumb-debug-names");
    let source = folder.write("methods.cc", METHODS);
    let Some(module) = wasm_of_c(&folder, &[&source], &["-O1", "-g"]) else { return };
    let object = folder.write("methods.o", compile(&module, OptLevel::O0, Debug::Lines, 1));
    let listing = run("llvm-dwarfdump-22", &["--debug-info", object.to_str().expect("a path")]);
    let entries = listing.split("DW_TAG_subprogram").skip(1).map(|entry| {
        let attribute = |name: &str| {
            let value = entry.split(&format!("{name}\t(")).nth(1)?.split(')').next()?;
            Some(value.trim_matches('"').to_owned())
        };
        [attribute("DW_AT_name"), attribute("DW_AT_linkage_name"), attribute("DW_AT_decl_line")]
            .map(Option::unwrap_or_default)
    });
    let entries: BTreeSet<[String; 3]> = entries.collect();
    let expected =
        [["get", "_ZN2ns1S3getEi", "3"], ["twice<int>", "_ZN2ns1S5twiceIiEET_S2_", "5"], ["run", "", "7"]];
    assert_eq!(entries, expected.map(|entry| entry.map(str::to_owned)).into(), "{listing}");
}

/// A Rust library that calls functions which panic.
const RUST: &str = r#"#![no_std]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { core::arch::wasm32::unreachable() }
unsafe extern "C" { safe fn ext(x: i32) -> i32; }
#[inline(never)]
fn part(values: &[i32], at: usize) -> i32 {
    ext(values[at]) // @part
}
#[unsafe(no_mangle)]
pub extern "C" fn total(a: i32, b: i32) -> i32 {
    let values = [a, b, ext(a + b)]; // @total
    (0..3).map(|at| part(&values, at)).sum()
}
"#;

/// A module compiled from Rust with debug information, if the toolchain can.
fn rust_module(folder: &Folder, level: &str) -> Option<Vec<u8>> {
    let source = folder.write("lib.rs", RUST);
    let output = folder.path("lib.wasm");
    let (source, output) = (source.to_str().expect("a path"), output.to_str().expect("a path"));
    let flags = ["--edition=2024", "--target=wasm32-unknown-unknown", "--crate-type=cdylib", "-g"];
    let flags = [&flags[..], &["-Clink-arg=--allow-undefined", "-Cpanic=abort", level, source, "-o", output]];
    let compiled = Command::new("rustc").args(flags.concat()).output();
    let missing = match compiled {
        Ok(compiled) if compiled.status.success() => return Some(fs::read(output).expect("written")),
        Ok(compiled) => text(&compiled.stderr),
        Err(error) => error.to_string(),
    };
    assert!(missing.contains("wasm32-unknown-unknown") || missing.contains("No such file"), "{missing}");
    needs::skip("no Rust for wasm32-unknown-unknown");
    None
}

#[test]
fn rust_has_lines() {
    let folder = Folder::new("thumb-debug-rust");
    for rust_level in ["-Copt-level=0", "-Copt-level=s"] {
        let Some(module) = rust_module(&folder, rust_level) else { return };
        for level in LEVELS {
            let thumb = ThumbOptions { memory: MemoryMode::Symbol, ..ThumbOptions::new(Cpu::M4) };
            let options = Options { level, ..Options::new(thumb) };
            let object = wasm_pvm::compile(&module, &options).unwrap_or_else(|error| panic!("{error}"));
            let object = folder.write("lib.o", object.bytes);
            verify(object.to_str().expect("a path"));
            let linked = link(&folder, LINKERS[0], &object, "total");
            verify(&linked);
            let insts = disassemble(&linked);
            let places = symbolize(&linked, &insts);
            let calls = insts.iter().zip(&places).filter(|(inst, _)| inst.text.contains("<ext>"));
            let lines: BTreeSet<String> = calls
                .map(|(_, (_, file, line))| format!("{}:{line}", file.rsplit('/').next().expect("a name")))
                .collect();
            let line = |mark: &str| {
                let at = RUST.lines().position(|line| line.ends_with(&format!("// @{mark}")));
                format!("lib.rs:{}", at.expect("the mark is there") + 1)
            };
            assert_eq!(lines, [line("part"), line("total")].into(), "{rust_level} {level:?}");
        }
    }
}

/// Divisions on one line and on several.
const TRAPS: &str = "extern int ext(int);
__attribute__((export_name(\"one\"))) int one(int a, int b) {
  int c = ext(b);
  return (unsigned)a / (unsigned)c; // @one
}
__attribute__((export_name(\"two\"))) int two(int a, int b) { // @two
  int c = (unsigned)a % (unsigned)ext(b);
  ext(a);
  return (unsigned)c % (unsigned)ext(a);
}
";

#[test]
fn traps_belong_to_their_line_or_to_the_function() {
    let folder = Folder::new("thumb-debug-traps");
    let source = folder.write("traps.c", TRAPS);
    let Some(module) = wasm_of_c(&folder, &[&source], &["-O1", "-g"]) else { return };
    for level in LEVELS {
        let object = folder.write("traps.o", compile(&module, level, Debug::Lines, 1));
        for function in ["one", "two"] {
            let linked = link(&folder, LINKERS[0], &object, function);
            let mut insts = disassemble(&linked);
            insts.retain(|inst| inst.text.starts_with("udf"));
            let lines: Vec<u32> = symbolize(&linked, &insts).into_iter().map(|(_, _, line)| line).collect();
            let mark = format!("// @{function}");
            let line = TRAPS.lines().position(|line| line.ends_with(&mark)).expect("the mark is there");
            assert_eq!(lines, [line as u32 + 1], "{function} {level:?}");
        }
    }
}

/// Sections that are loaded.
fn loaded(object: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let file = object::File::parse(object).expect("an object");
    let kept =
        [SectionKind::Text, SectionKind::Data, SectionKind::ReadOnlyData, SectionKind::UninitializedData];
    let sections = file.sections().filter(|section| kept.contains(&section.kind()));
    let content = |section: object::Section<'_, '_>| {
        (section.name().expect("a name").to_owned(), section.data().expect("bytes").to_vec())
    };
    sections.map(content).collect()
}

/// The object without debug sections, as LLVM makes it.
fn stripped(folder: &Folder, object: &[u8]) -> Vec<u8> {
    let from = folder.write("full.o", object);
    let to = folder.path("stripped.o");
    run("llvm-objcopy-22", &["-g", from.to_str().expect("a path"), to.to_str().expect("a path")]);
    fs::read(to).expect("written")
}

#[test]
fn code_does_not_depend_on_debug_information() {
    let folder = Folder::new("thumb-debug-same");
    for clang_level in ["-O0", "-O2"] {
        let Some(module) = dwarf_module(&folder, clang_level, 4) else { return };
        for level in LEVELS {
            let [with, without] = [Debug::Lines, Debug::None].map(|debug| compile(&module, level, debug, 1));
            assert!(with.len() > without.len() + 200, "{level:?}");
            assert!(stripped(&folder, &with) == stripped(&folder, &without), "{clang_level} {level:?}");
            assert!(with == compile(&module, level, Debug::Lines, 2), "{clang_level} {level:?}");
        }
    }
}

/// Kernels: larger programs, whose rows begin at instructions and whose code is the same with and without them.
#[test]
fn kernels_have_lines_and_the_same_code() {
    let folder = Folder::new("thumb-debug-kernels");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/kernels/src");
    for name in ["sha256", "interp", "vtable", "quicksort", "fixfft", "sha512", "keccak", "memops"] {
        let source = sources.join(format!("{name}.c"));
        let Some(module) = wasm_of_c(&folder, &[&source], &["-O2", "-g"]) else { return };
        for level in [OptLevel::O2, OptLevel::Oz] {
            let compile = |debug| {
                let memory = MemoryMode::Symbol;
                let thumb = ThumbOptions { debug, memory, ..ThumbOptions::new(Cpu::M3) };
                let options = Options { level, ..Options::new(thumb) };
                wasm_pvm::compile(&module, &options).unwrap_or_else(|error| panic!("{name}: {error}")).bytes
            };
            let [with, without] = [Debug::Lines, Debug::None].map(compile);
            assert!(stripped(&folder, &with) == stripped(&folder, &without), "{name} {level:?}");
            let object = folder.write("kernel.o", &with);
            verify(object.to_str().expect("a path"));
            let linked = link(&folder, LINKERS[0], &object, "main");
            let insts = disassemble(&linked);
            let starts: BTreeSet<u32> = insts.iter().map(|inst| inst.address).collect();
            let rows: BTreeSet<u32> = table(&linked).into_iter().filter(|&row| row >= 0x20000).collect();
            assert!(rows.len() > 20 && rows.is_subset(&starts), "{name} {level:?}");
            // The linker keeps helpers of the compiler, which have no source.
            let located: Vec<Inst> =
                insts.into_iter().filter(|inst| !inst.function.starts_with("__")).collect();
            let places = symbolize(&linked, &located);
            let missing = places.iter().filter(|(_, _, line)| *line == 0).count();
            assert_eq!(missing, 0, "{name} {level:?}");
        }
    }
}

/// The custom sections of a module, with the offsets of their contents.
fn customs(module: &[u8]) -> BTreeMap<String, Range<usize>> {
    let payloads = wasmparser::Parser::new(0).parse_all(module);
    let custom = |payload| match payload {
        Ok(wasmparser::Payload::CustomSection(reader)) => {
            let contents = reader.data_offset() as usize..reader.range().end as usize;
            Some((reader.name().to_owned(), contents))
        }
        _ => None,
    };
    payloads.filter_map(custom).collect()
}

/// A module whose debug sections have other names.
fn without_debug(code: &[u8]) -> Vec<u8> {
    let mut module = code.to_vec();
    for (name, contents) in customs(code).into_iter().filter(|(name, _)| name.starts_with(".debug_")) {
        // Another name of the same length.
        let at = contents.start - name.len();
        module[at] = b'-';
    }
    module
}

/// The code of one module with the debug sections of another.
fn with_debug_of(code: &[u8], debug: &[u8]) -> Vec<u8> {
    let mut module = without_debug(code);
    for (name, contents) in customs(debug).into_iter().filter(|(name, _)| name.starts_with(".debug_")) {
        let custom = wasm_encoder::CustomSection { name: name.into(), data: debug[contents].into() };
        module.push(0);
        wasm_encoder::Encode::encode(&custom, &mut module);
    }
    module
}

#[test]
fn dwarf_of_other_code_is_ignored() {
    let folder = Folder::new("thumb-debug-other");
    let module = |level: &str| dwarf_module(&folder, level, 4);
    let (Some(one), Some(other)) = (module("-O2"), module("-O0")) else { return };
    for (code, debug) in [(&one, &other), (&other, &one)] {
        let compile = |module: &[u8], debug| compile(module, OptLevel::O2, debug, 1);
        let same = with_debug_of(code, code);
        assert!(compile(&same, Debug::Lines) == compile(code, Debug::Lines));
        let stale = with_debug_of(code, debug);
        assert!(compile(&stale, Debug::Lines) == compile(&without_debug(code), Debug::Lines));
        folder.write("stale.wasm", &stale);
        let output = folder.tool(&["compile", "--target", "thumbv7m", "stale.wasm"], b"");
        assert!(
            output.status.success() && text(&output.stderr).contains("after it was linked"),
            "{output:?}"
        );
    }
}

#[test]
fn malformed_dwarf_is_ignored() {
    let folder = Folder::new("thumb-debug-malformed");
    for version in [4, 5] {
        let Some(module) = dwarf_module(&folder, "-O2", version) else { return };
        let code = loaded(&compile(&module, OptLevel::O0, Debug::None, 1));
        for section in [".debug_line", ".debug_info", ".debug_abbrev", ".debug_str"] {
            let range = customs(&module)[section].clone();
            let mut state = 12345u32;
            for n in 0..60 {
                let mut broken = module.clone();
                for _ in 0..=n % 3 {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let at = range.start + (state >> 8) as usize % range.len();
                    broken[at] = (state >> 3) as u8;
                }
                let object = compile(&broken, OptLevel::O0, Debug::Lines, 1);
                assert!(loaded(&object) == code, "{section}, change {n}");
            }
        }
        let mut broken = module.clone();
        broken[customs(&module)[".debug_line"].clone()].fill(0xff);
        folder.write("broken.wasm", &broken);
        let output = folder.tool(&["compile", "--target", "thumbv7m", "broken.wasm"], b"");
        assert!(output.status.success() && text(&output.stderr).contains("malformed"), "{output:?}");
        let object = fs::read(folder.path("broken.o")).expect("written");
        assert!(object == compile(&without_debug(&module), OptLevel::O2, Debug::Lines, 1));
    }
}

#[test]
fn sizes_tell_what_is_not_loaded() {
    let folder = Folder::new("thumb-debug-info");
    let Some(module) = dwarf_module(&folder, "-O2", 4) else { return };
    folder.write("lines.wasm", &module);
    folder.write("plain.wasm", without_debug(&module));
    let sizes = |debug: &str, file: &str| {
        folder.succeed(&["compile", "--target", "thumbv7m", "--debug", debug, file, "-o", "lines.o"]);
        let info = folder.succeed(&["info", "--json", "lines.o"]);
        let info: serde_json::Value = serde_json::from_str(&info).expect("JSON");
        let sections = info["debug"].as_array().expect("a list").iter();
        let names: Vec<String> =
            sections.map(|section| section["name"].as_str().unwrap_or("").to_owned()).collect();
        (info["sizes"].clone(), names)
    };
    let (_, frames) = sizes("lines", "plain.wasm");
    assert_eq!(frames, [".debug_frame"]);
    let ((with, listed), (without, none)) = (sizes("lines", "lines.wasm"), sizes("none", "lines.wasm"));
    let path = folder.path("lines.o");
    let flash = run("llvm-size-22", &[path.to_str().expect("a path")]);
    assert_eq!(
        flash.lines().nth(1).and_then(|line| line.split_whitespace().next()),
        Some(&*with["text"].to_string())
    );
    assert_eq!(
        (&with["text"], &with["rodata"], &with["data"]),
        (&without["text"], &without["rodata"], &without["data"])
    );
    assert!(with["debug"].as_u64() > Some(100) && without["debug"].as_u64() == Some(0) && none.is_empty());
    assert_eq!(listed.len(), 5);
}
