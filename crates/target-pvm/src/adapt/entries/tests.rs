//! Entries are chosen, wrapped and converted as documented.

use std::collections::BTreeMap;

use pvm_isa::CodeFormat;
use pvm_isa::metadata::ResultConvention;
use ssa::{InstData, Module};

use super::{Entering, Entry, EntryMode, fold_addresses, make_entries};
use crate::memory::{MemoryOptions, MemoryPlan, ProgramLayout, Window, linear_memory};

const EXPORTS: &str = r#"
memory @mem size=0 align=16 min=65536 page_log2=16
func $work (i32, i32) -> (i64) {
b0(v0: i32, v1: i32):
  v2 = const.i64 7
  return v2
}
func $one (i32) -> (i32) {
b0(v0: i32):
  return v0
}
func $setup () -> () {
b0:
  return
}
export "memory" @mem
"#;

fn module(tail: &str) -> Module {
    ssa::parse_module(&format!("{EXPORTS}{tail}")).expect("parses")
}

fn make(module: &mut Module, mode: EntryMode) -> Vec<Entry> {
    let entering = Entering {
        mode,
        result: ResultConvention::Length,
        signatures: &BTreeMap::new(),
        wide_pointers: false,
        format: CodeFormat::Bitmask,
        least: BTreeMap::new(),
    };
    make_entries(module, linear_memory(module), &ProgramLayout::SPI, &entering)
}

fn entries(tail: &str, mode: EntryMode) -> (Module, Vec<Entry>) {
    let mut module = module(tail);
    let entries = make(&mut module, mode);
    ssa::verify(&module).expect("verifies");
    (module, entries)
}

fn names(module: &Module, entries: &[Entry]) -> Vec<(String, String)> {
    let target = |entry: &Entry| entry.target.map_or_else(String::new, |id| module.decls[id].name.clone());
    entries.iter().map(|entry| (entry.name.clone(), target(entry))).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[test]
fn services_have_two_entries() {
    let (module, found) = entries("export \"x\" $one\nexport \"main\" $work\n", EntryMode::Auto);
    assert_eq!(names(&module, &found), pairs(&[("main", "work"), ("", "")]));
    let (module, found) = entries("export \"accumulate\" $one\n", EntryMode::Auto);
    assert_eq!(names(&module, &found), pairs(&[("", ""), ("accumulate", "one")]));
}

#[test]
fn other_modules_have_one_entry_per_export() {
    let tail = "export \"b\" $one\nexport \"a\" $work\n";
    let (module, found) = entries(tail, EntryMode::Auto);
    assert_eq!(names(&module, &found), pairs(&[("b", "one"), ("a", "work")]));
    assert_eq!(found[1].signature, "ii>I");
    assert_eq!(found.iter().map(|entry| entry.pc).collect::<Vec<_>>(), [0, 5]);
    let twice = format!("{tail}export \"main2\" $work\nexport \"main\" $work\n");
    let (module, found) = entries(&twice, EntryMode::Auto);
    assert_eq!(names(&module, &found), pairs(&[("main", "entry main"), ("main2", "entry main2")]));
    let (module, found) = entries(&format!("{tail}export \"main\" $work\n"), EntryMode::Raw);
    assert_eq!(names(&module, &found), pairs(&[("b", "one"), ("a", "work"), ("main", "work")]));
}

fn text(tail: &str, mode: EntryMode) -> String {
    let (module, found) = entries(tail, mode);
    let target = found[0].target.expect("entered");
    ssa::print_function(&module, module.functions[target].as_ref().expect("made"))
}

#[test]
fn start_functions_run_once_before_entries() {
    let once = text("export \"b\" $one\nstart $setup\n", EntryMode::Raw);
    for part in
        ["func $one", "load.u8.i32 [@__start_done]", "branch ", "store.u8 ", "call $setup()", "return v0"]
    {
        assert!(once.contains(part), "no {part} in {once}");
    }
    let twice = text("export \"b\" $one\nexport \"c\" $one\nstart $setup\n", EntryMode::Raw);
    assert!(twice.contains("call $setup()") && twice.contains("tail_call $one(v0)"), "{twice}");
}

#[test]
fn wrappers_convert_addresses() {
    let wrapper = "\
func $\"entry main\" (i64, i64) -> (i64, i64) {
b0(v0: i64, v1: i64):
  v2 = trunc.i32 v0
  v3 = data_addr @mem
  v4 = sub.i32 v2, v3
  v5 = trunc.i32 v1
  v6 = call $work(v4, v5)
  v7 = const.i64 32
  v8 = trunc.i32 v6
  v9 = shr_u.i64 v6, v7
  v10 = data_addr @mem
  v11 = add.i32 v8, v10
  v12 = zext.i64 v11
  return v12, v9
}
";
    assert_eq!(text("export \"main\" $work\nexport \"x\" $work\n", EntryMode::Auto), wrapper);
}

#[test]
fn a_function_used_once_becomes_its_wrapper() {
    let converted = text("export \"main\" $work\n", EntryMode::Auto);
    assert!(
        converted.starts_with("func $work (i64, i64) -> (i64, i64) {\nb0(v0: i64, v1: i64):\n"),
        "{converted}"
    );
    assert!(converted.contains("data_addr @mem") && !converted.contains("call"), "{converted}");
}

#[test]
fn packed_results_are_taken_apart() {
    let tail = "func $pack (i32, i32) -> (i64) {\nb0(v0: i32, v1: i32):\n  v2 = zext.i64 v0\n  v3 = zext.i64 v1\n  \
                v4 = const.i64 32\n  v5 = shl.i64 v3, v4\n  v6 = or.i64 v5, v2\n  return v6\n}\n";
    let converted = text(&format!("{tail}export \"main\" $pack\n"), EntryMode::Auto);
    assert!(!converted.contains("shr_u"), "{converted}");
    let mut module = module(
        "func $c () -> (i64) {\nb0:\n  v0 = const.i64 17179869200\n  return v0\n}\nexport \"main\" $c\n",
    );
    let entries = make(&mut module, EntryMode::Auto);
    let layout = ProgramLayout::SPI;
    let window = linear_memory(&module).map(|memory| Window::of(&module, memory, &layout));
    let plan = MemoryPlan::new(&module, window, &MemoryOptions::default(), layout).expect("fits");
    fold_addresses(&mut module, &plan);
    let func = module.functions[entries[0].target.expect("entered")].as_ref().expect("made");
    let InstData::Return { args } = &func.insts[func.terminator(func.entry())] else { panic!("no return") };
    assert_eq!(args.iter().map(|&arg| func.as_const(arg)).collect::<Vec<_>>(), [Some(0x2_0010), Some(4)]);
}

#[test]
fn tail_calls_in_entries_become_calls() {
    let tail = "func $outer (i32, i32) -> (i64) {\nb0(v0: i32, v1: i32):\n  tail_call $work(v0, v1)\n}\n";
    let converted = text(&format!("{tail}export \"main\" $outer\n"), EntryMode::Auto);
    assert!(converted.contains(" = call $work(") && converted.contains("return "), "{converted}");
}

/// Floats are integers of their width here, but no pointers.
#[test]
fn types_of_wasm_decide_the_convention() {
    for (signature, converts) in [("ii>I", true), ("ff>I", false), ("ii>F", false), ("ii>r", false)] {
        let mut module = module("export \"x\" $work\n");
        let signatures = BTreeMap::from([("x".to_owned(), signature.to_owned())]);
        let mode = EntryMode::Auto;
        let entering = Entering {
            mode,
            result: ResultConvention::Length,
            signatures: &signatures,
            wide_pointers: false,
            format: CodeFormat::Bitmask,
            least: BTreeMap::new(),
        };
        let memory = linear_memory(&module);
        let found = make_entries(&mut module, memory, &ProgramLayout::SPI, &entering);
        assert_eq!(found[0].signature, signature);
        let target = found[0].target.expect("there is a function");
        assert_eq!(module.signature_of(target).params == [ssa::Type::I64; 2], converts, "{signature}");
    }
}
