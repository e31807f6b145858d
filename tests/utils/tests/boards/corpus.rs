//! The corpus for Cortex-M in native and symbol mode at every level that makes it small or fast.
//!
//! The modules are data beside the repository; without them nothing is checked.

use board::{Board, Core, TOOLS};
use testkit::thumb_corpus::{Module, folder, link, modules};
use wasm_pvm::{Cpu, MemoryMode, OptLevel};

const LEVELS: [OptLevel; 3] = [OptLevel::Oz, OptLevel::Os, OptLevel::O2];
/// Calls of each export.
const CALLS: usize = 25;

fn corpus() -> Vec<Module> {
    let modules = modules(&folder()).unwrap();
    if modules.is_empty() {
        needs::skip("no modules in ../shared/corpus/thumb");
    }
    modules
}

#[test]
fn nothing_is_undefined_but_imports() {
    for module in corpus() {
        for level in LEVELS {
            let object = module.compile(MemoryMode::Native, Cpu::M3, level);
            let object = object.unwrap_or_else(|error| panic!("{} -{level:?}: {error:#}", module.name));
            let checked = module.check_symbols(&object);
            checked.unwrap_or_else(|error| panic!("{} -{level:?}: {error:#}", module.name));
        }
    }
}

#[test]
fn native_mode_agrees_with_the_reference_engine() {
    agree(MemoryMode::Native);
}

#[test]
fn symbol_mode_agrees_with_the_reference_engine() {
    agree(MemoryMode::Symbol);
}

fn agree(memory: MemoryMode) {
    if !needs::tools(&TOOLS) {
        return;
    }
    let mut board = Board::start(Core::M3).unwrap();
    let mut failures = Vec::new();
    for module in corpus() {
        for level in LEVELS {
            match module.compare(&mut board, memory, level, CALLS) {
                Ok(compared) => println!("{} -{level:?} {memory:?}: {compared:?}", module.name),
                Err(error) => failures.push(format!("{} -{level:?}: {error:#}", module.name)),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn both_linkers_make_the_same_of_objects() {
    if !needs::tools(&["clang-22", "ld.lld-22", "arm-none-eabi-ld"]) {
        return;
    }
    for module in corpus() {
        for level in LEVELS {
            let object = module.compile(MemoryMode::Native, Cpu::M3, level).unwrap();
            let [lld, gnu] = ["ld.lld-22", "arm-none-eabi-ld"].map(|linker| {
                let linked = link(linker, &object, &module.import_symbols());
                linked.unwrap_or_else(|error| panic!("{} -{level:?}: {error:#}", module.name))
            });
            for (lld, gnu) in lld.iter().zip(&gnu) {
                assert_eq!(lld, gnu, "{} -{level:?}", module.name);
            }
            assert_eq!(lld.len(), gnu.len(), "{} -{level:?}", module.name);
            assert!(lld.iter().any(|(_, _, bytes)| !bytes.is_empty()), "{}: an image has code", module.name);
        }
    }
}
