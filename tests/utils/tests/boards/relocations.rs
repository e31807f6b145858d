//! Modules whose linker kept relocations: C compiled by clang, linked by `wasm-ld --emit-relocs`, compiled to an object,
//! and compared on an emulated board with the reference engine running the same wasm.

use std::path::Path;

use board::{Board, Core, Image, TOOLS, run_tool};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use tempfile::TempDir;
use testkit::thumb_corpus::Module;
use wasm_pvm::{Cpu, MemoryMode, OptLevel, Options, ThumbOptions};
use wasmparser::{KnownCustom, Parser, Payload, RelocationType};

const LEVELS: [OptLevel; 3] = [OptLevel::O0, OptLevel::O2, OptLevel::Oz];
/// Calls of each export.
const CALLS: usize = 40;

/// A temporary folder.
struct Folder(TempDir);

impl Folder {
    fn new(name: &str) -> Self {
        Self(tempfile::Builder::new().prefix(&format!("wasm-pvm-{name}-")).tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

fn is_available() -> bool {
    needs::tools(&[&TOOLS[..], &["wasm-ld-22"]].concat())
}

/// Compiles C for wasm and links it.
fn module(folder: &Folder, source: &str, compile: &[&str], link: &[&str]) -> Module {
    let (object, wasm) = (folder.path("program.o"), folder.path("program.wasm"));
    let base = ["--target=wasm32-unknown-unknown", "-ffreestanding", "-c", source, "-o", &object];
    run_tool("clang-22", &[&base[..], compile].concat()).unwrap();
    let base = ["--no-entry", "--allow-undefined", "--emit-relocs", &object, "-o", &wasm];
    run_tool("wasm-ld-22", &[&base[..], link].concat()).unwrap();
    Module::new("program", std::fs::read(&wasm).unwrap()).unwrap()
}

fn program() -> String {
    source("data.c")
}

fn source(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/relocations").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn programs_with_relocations_agree_with_the_reference_engine() {
    if !is_available() {
        return;
    }
    let folder = Folder::new("relocations");
    let mut board = Board::start(Core::M3).unwrap();
    let variants: [(&[&str], &[&str]); 7] = [
        (&["-O0"], &[]),
        (&["-O1"], &[]),
        (&["-O2"], &[]),
        (&["-Oz", "-g"], &[]),
        (&["-O2", "-fPIC"], &[]),
        (&["-O2", "-fdata-sections"], &["--no-merge-data-segments"]),
        (&["-O1"], &["--stack-first", "-O2", "-z", "stack-size=4096"]),
    ];
    for (compile, link) in variants {
        let module = module(&folder, &program(), compile, link);
        for level in LEVELS {
            let compared = module.compare(&mut board, MemoryMode::Native, level, CALLS);
            let compared =
                compared.unwrap_or_else(|error| panic!("{compile:?} {link:?} -{level:?}: {error:#}"));
            println!("{compile:?} {link:?} -{level:?}: {compared:?}");
            assert!(compared.agreed > compared.unknown, "{compared:?}");
        }
    }
}

/// Addresses are operands of loads and stores of vectors, and lanes of vectors.
#[test]
fn vectors_with_relocations_agree_with_the_reference_engine() {
    if !is_available() {
        return;
    }
    let folder = Folder::new("relocations-vectors");
    let mut board = Board::start(Core::M3).unwrap();
    for compile in ["-O0", "-O1", "-O3"] {
        let module = module(&folder, &source("vectors.c"), &[compile, "-msimd128"], &[]);
        for level in LEVELS {
            let compared = module.compare(&mut board, MemoryMode::Native, level, CALLS);
            let compared = compared.unwrap_or_else(|error| panic!("{compile} -{level:?}: {error:#}"));
            assert!(compared.agreed > compared.unknown, "{compared:?}");
        }
    }
}

#[test]
fn data_is_cut_by_symbols() {
    if !is_available() {
        return;
    }
    let folder = Folder::new("relocations-cut");
    let module = module(&folder, &program(), &["-O2"], &[]);
    let bytes = module.compile(MemoryMode::Native, Cpu::M3, OptLevel::Oz).unwrap();
    let elf = object::File::parse(&bytes[..]).unwrap();
    let size = |name: &str| elf.section_by_name(name).map(|section| section.size());
    assert_eq!(size(".bss.table"), Some(400));
    assert_eq!(size(".bss.counter"), Some(4));
    assert_eq!(size(".data.first"), Some(16));
    assert_eq!(size(".rodata.names"), Some(24));
    assert!(elf.symbols().all(|symbol| symbol.name() != Ok("unused")), "nothing refers to it");
    let holds = |text: &[u8]| {
        elf.sections().any(|s| s.data().is_ok_and(|data| data.windows(text.len()).any(|w| w == text)))
    };
    assert!(holds(b"gamma") && !holds(b"a long text that no function reads"));
    let relocated = |name: &str| elf.section_by_name(name).unwrap().relocations().count();
    assert_eq!(relocated(".rodata.names"), 6);
    assert_eq!(relocated(".data.first"), 3);
}

fn compile(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let options = Options { level: OptLevel::Oz, ..Options::new(ThumbOptions::default()) };
    wasm_pvm::compile(wasm, &options).map(|output| output.bytes).map_err(|error| error.to_string())
}

/// The offsets of relocated addresses in the file.
fn places(wasm: &[u8]) -> Vec<usize> {
    let (mut starts, mut places) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.unwrap();
        starts.extend(payload.as_section().map(|(_, range)| range.start as usize));
        let Payload::CustomSection(section) = payload else { continue };
        let KnownCustom::Reloc(section) = section.as_known() else { continue };
        for entry in section.entries() {
            let entry = entry.unwrap();
            let is_checked = !matches!(
                entry.ty,
                RelocationType::TableIndexI32
                    | RelocationType::TableIndexSleb
                    | RelocationType::TableNumberLeb
            );
            places
                .extend(is_checked.then(|| starts[section.section_index() as usize] + entry.offset as usize));
        }
    }
    places
}

/// Without relocations the tables of pointers are refused. So if a module is refused for that reason, its relocations
/// were rejected.
fn is_not_believed(wasm: &[u8]) -> bool {
    compile(wasm).is_err_and(|error| error.contains("could be an address of static data"))
}

#[test]
fn relocations_that_do_not_fit_are_not_used() {
    if !is_available() {
        return;
    }
    let folder = Folder::new("relocations-stale");
    let module = module(&folder, &program(), &["-O1"], &[]);
    assert!(compile(&module.wasm).is_ok());
    let places = places(&module.wasm);
    assert!(places.len() > 60, "{}", places.len());
    for at in places {
        let mut wasm = module.wasm.clone();
        wasm[at] ^= 4;
        // A change that makes the module invalid is not compiled.
        let is_valid = wasmparser::Validator::new().validate_all(&wasm).is_ok();
        assert!(!is_valid || is_not_believed(&wasm), "a change at {at:#x} was not noticed");
    }
    // Linking an adapter encodes the module anew and keeps its custom sections.
    let adapted = Options {
        adapters: vec![wat::parse_str("(module)").unwrap()],
        ..Options::new(ThumbOptions::default())
    };
    let error = wasm_pvm::compile(&module.wasm, &adapted).unwrap_err().to_string();
    assert!(error.contains("could be an address of static data"), "{error}");
}

#[test]
fn addresses_without_a_meaning_are_errors() {
    if !is_available() {
        return;
    }
    let folder = Folder::new("relocations-refused");
    let refused = [
        (
            "extern char __heap_base; EXPORT char *f(void) { return &__heap_base; }",
            "in function f",
            "__heap_base",
        ),
        ("extern int other; EXPORT int *f(void) { return &other; }", "in function f", "does not define"),
        (
            "extern char __data_end; char *end = &__data_end; EXPORT char **f(void) { return &end; }",
            "offset",
            "__data_end",
        ),
    ];
    for (text, place, what) in refused {
        let source = folder.path("refused.c");
        let text = text.replace("EXPORT", "__attribute__((export_name(\"f\")))");
        std::fs::write(&source, text).unwrap();
        let module = module(&folder, &source, &["-O1"], &[]);
        let error = compile(&module.wasm).unwrap_err();
        assert!(error.contains(place) && error.contains(what), "{error}");
    }
}

#[test]
fn exported_symbols_hold_addresses() {
    if !is_available() {
        return;
    }
    let folder = Folder::new("relocations-exported");
    let source = folder.path("exported.c");
    let text = "int numbers[3] = {7, 8, 9}; int *last = &numbers[2];
        __attribute__((export_name(\"sum\"))) int sum(void) { return numbers[0] + numbers[1]++ + *last; }";
    std::fs::write(&source, text).unwrap();
    let module = module(&folder, &source, &["-O1"], &["--export=numbers", "--export=last"]);
    let mut board = Board::start(Core::M3).unwrap();
    let bytes = module.compile(MemoryMode::Native, Cpu::M3, OptLevel::O2).unwrap();
    let image = Image::load(&mut board, &bytes, &mut |_| None).unwrap();
    let mut word = |at: u32| board.read_words(at, 1).unwrap()[0];
    let numbers = word(image.address("numbers").unwrap());
    let last = word(image.address("last").unwrap());
    assert_eq!([word(numbers), word(numbers + 4), word(last)], [7, 8, numbers + 8]);
}
