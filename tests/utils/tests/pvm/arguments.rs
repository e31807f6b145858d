//! Arguments of entries under exact bounds: they can be read to the byte, and memory behaves as without them.
//!
//! No engine knows the convention, so expected results are computed here. Each module has one entry per access and
//! place, and is compiled at all levels, for both versions, with memories of several kinds.

use std::fmt::Write;

use pvm_engine::{Engine, Exit, Machine};
use pvm_isa::SpiProgram;
use pvm_isa::metadata::ResultConvention;
use wasm_pvm::{Details, Format, GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

const ARGS: &[u8] = &[0x81, 0x92, 0x23, 0xf4, 0x05, 0x96, 0x87, 0x78, 0xe9, 0x5a, 0xcb, 0x3c, 0xfd];

/// Loads with their type, width and extension.
const LOADS: [(&str, &str, usize, bool); 12] = [
    ("i32.load", "i32", 4, false),
    ("i64.load", "i64", 8, false),
    ("i32.load8_s", "i32", 1, true),
    ("i32.load8_u", "i32", 1, false),
    ("i32.load16_s", "i32", 2, true),
    ("i32.load16_u", "i32", 2, false),
    ("i64.load8_s", "i64", 1, true),
    ("i64.load8_u", "i64", 1, false),
    ("i64.load16_s", "i64", 2, true),
    ("i64.load16_u", "i64", 2, false),
    ("i64.load32_s", "i64", 4, true),
    ("i64.load32_u", "i64", 4, false),
];

const STORES: [(&str, &str); 4] =
    [("i32.store8", "i32"), ("i32.store16", "i32"), ("i32.store", "i32"), ("i64.store", "i64")];

/// Address of an access of `width` bytes, from `$p` and `$n`, and whether it is inside of `len` bytes.
fn places(width: usize, len: usize) -> Vec<(&'static str, String, Option<usize>)> {
    let at = |start: Option<usize>| start.filter(|start| start + width <= len);
    let end = |back: usize| format!("(i32.sub (i32.add (local.get $p) (local.get $n)) (i32.const {back}))");
    vec![
        ("first", "(local.get $p)".to_owned(), at(Some(0))),
        ("before", "(i32.sub (local.get $p) (i32.const 1))".to_owned(), None),
        ("last", end(width), at(len.checked_sub(width))),
        ("past", end(width - 1), None),
        ("far", end(0).replace("(i32.const 0)", "(i32.const -4096)"), None),
    ]
}

fn module(memory: &str) -> String {
    let mut text = format!("(module (memory (export \"memory\") {memory})\n");
    let mut entry = |name: &str, body: &str| {
        let params = "(param $p i32) (param $n i32) (result i64)";
        writeln!(text, "(func (export \"{name}\") {params} {body})").expect("strings take all");
    };
    for (op, ty, width, signed) in LOADS {
        for (place, address, _) in places(width, 0) {
            let extend = match (ty, signed) {
                ("i64", _) => "",
                (_, true) => "i64.extend_i32_s",
                _ => "i64.extend_i32_u",
            };
            let load = format!("({op} {address})");
            let value = if extend.is_empty() { load.clone() } else { format!("({extend} {load})") };
            entry(
                &format!("{op} {place}"),
                &format!("(i64.store (i32.const 8) {value}) (i64.const 0x800000008)"),
            );
            let far = format!("({op} offset=77 (i32.sub {address} (i32.const 77)))");
            entry(&format!("{op} {place} unused"), &format!("(drop {far}) (i64.const 0)"));
        }
    }
    for (op, ty) in STORES {
        entry(&format!("{op} first"), &format!("({op} (local.get $p) ({ty}.const 1)) (i64.const 0)"));
    }
    let wrapped = "(i32.load8_u offset=0xffffffff (i32.add (local.get $p) (i32.const 1)))";
    entry("wrapped", &format!("(drop {wrapped}) (i64.const 0)"));
    entry(
        "echo",
        "(i64.or (i64.extend_i32_u (local.get $p)) (i64.shl (i64.extend_i32_u (local.get $n)) (i64.const 32)))",
    );
    for (name, from, n) in [
        ("copy", "(local.get $p)", "(local.get $n)"),
        ("copy past", "(local.get $p)", "(i32.add (local.get $n) (i32.const 1))"),
        ("copy from before", "(i32.sub (local.get $p) (i32.const 1))", "(local.get $n)"),
        ("copy none at end", "(i32.add (local.get $p) (local.get $n))", "(i32.const 0)"),
        (
            "copy none past end",
            "(i32.add (local.get $p) (i32.add (local.get $n) (i32.const 1)))",
            "(i32.const 0)",
        ),
        ("copy much", "(local.get $p)", "(i32.const -1)"),
    ] {
        let result = "(i64.or (i64.const 16) (i64.shl (i64.extend_i32_u (local.get $n)) (i64.const 32)))";
        entry(name, &format!("(memory.copy (i32.const 16) {from} {n}) {result}"));
    }
    entry("copy to", "(memory.copy (local.get $p) (i32.const 0) (local.get $n)) (i64.const 0)");
    entry("fill", "(memory.fill (local.get $p) (i32.const 0) (local.get $n)) (i64.const 0)");
    entry("size", "(i32.store (i32.const 0) (memory.size)) (i64.const 0x400000000)");
    text.push(')');
    text
}

fn growing(min: u32) -> String {
    let body = "(i32.store (i32.const 0) (memory.grow (i32.const 2)))
        (i32.store (i32.const 4) (memory.size))
        (i32.store (i32.const 8) (i32.load (local.get $p)))
        (memory.copy (i32.const 12) (local.get $p) (i32.const 4))
        (i32.store (i32.const 16) (i32.load (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4))))
        (i64.const 0x1400000000)";
    format!(
        "(module (memory {min}) (func (export \"main\") (param $p i32) (param $n i32) (result i64) {body}))"
    )
}

/// A program in a machine, which is entered repeatedly.
struct Program {
    machine: Machine,
    entries: Vec<String>,
}

impl Program {
    fn new(text: &str, level: OptLevel, gp: GpVersion, keep_exports: bool) -> Self {
        let (bounds, format) = (PvmBounds::Strict, Format::Spi);
        let target = PvmOptions { gp, bounds, format, keep_exports, ..PvmOptions::default() };
        let options = Options { level, threads: 1, ..Options::new(target) };
        let output = wasm_pvm::compile(text.as_bytes(), &options).expect("it compiles");
        let program = SpiProgram::parse(&output.bytes).expect("it is a standard program");
        let machine = Machine::new(&program, gp, Engine::for_version(gp)[0]).expect("it loads");
        let Details::Pvm(report) = output.report.details else { panic!("no program for the PVM") };
        Self { machine, entries: report.entries.into_iter().map(|entry| entry.name).collect() }
    }

    /// The result of an entry; `None` if it traps.
    fn outcome(&mut self, entry: &str, args: &[u8]) -> Option<Vec<u8>> {
        let entry = self.entries.iter().position(|name| name == entry).expect("there is this entry");
        let pc = 5 * entry as u32;
        self.machine.enter_with_args(pc, args).expect("arguments fit");
        self.machine.set_gas(1 << 30);
        match self.machine.run().expect("it runs") {
            Exit::Halt => Some(self.machine.result(ResultConvention::Length)),
            Exit::Panic => None,
            other => panic!("{other:?}"),
        }
    }
}

fn loaded(bytes: &[u8], signed: bool) -> Vec<u8> {
    let is_negative = bytes[bytes.len() - 1] >= 0x80;
    let mut word = bytes.to_vec();
    word.resize(8, if signed && is_negative { 0xff } else { 0 });
    word
}

fn check_loads(program: &mut Program, args: &[u8], context: &str) {
    for (op, _, width, signed) in LOADS {
        for (place, _, start) in places(width, args.len()) {
            let expected = start.map(|start| loaded(&args[start..start + width], signed));
            let name = format!("{op} {place}");
            assert_eq!(program.outcome(&name, args), expected, "{context} {name} of {} bytes", args.len());
            let unused = program.outcome(&format!("{name} unused"), args);
            assert_eq!(unused.is_some(), expected.is_some(), "{context} {name}, unused");
        }
    }
}

fn check_others(program: &mut Program, args: &[u8], pages: u32, context: &str) {
    let expected = [
        ("echo", Some(args.to_vec())),
        ("copy", Some(args.to_vec())),
        ("copy none at end", Some(args.to_vec())),
        ("size", Some(pages.to_le_bytes().to_vec())),
    ];
    for (name, expected) in expected {
        assert_eq!(program.outcome(name, args), expected, "{context} {name}");
    }
    let traps =
        ["wrapped", "copy past", "copy from before", "copy none past end", "copy much", "copy to", "fill"];
    let stores = STORES.map(|(op, _)| format!("{op} first"));
    for name in traps.into_iter().chain(stores.iter().map(String::as_str)) {
        assert_eq!(program.outcome(name, args), None, "{context} {name}");
    }
}

#[test]
fn arguments_are_read_to_the_byte() {
    let kinds = [("1 1", 1), ("3", 3), ("1000 1000 (pagesize 1)", 1000)];
    let levels = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];
    let cases = levels.into_iter().flat_map(|level| kinds.map(|kind| (level, kind)));
    for (n, (level, (memory, pages))) in cases.enumerate() {
        let gp = [GpVersion::V08, GpVersion::V072][n % 2];
        let context = format!("memory {memory} {level:?} {gp}:");
        let mut program = Program::new(&module(memory), level, gp, n % 3 == 0);
        for args in [ARGS, &ARGS[..1]] {
            check_loads(&mut program, args, &context);
        }
        check_others(&mut program, ARGS, pages, &context);
    }
}

#[test]
fn memory_grows_as_if_there_were_no_arguments() {
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
        for gp in [GpVersion::V072, GpVersion::V08] {
            for min in [1, 5] {
                let mut program = Program::new(&growing(min), level, gp, false);
                let words = [min.to_le_bytes(), (min + 2).to_le_bytes()].concat();
                let expected = [&words[..], &ARGS[..4], &ARGS[..4], &[0; 4]].concat();
                assert_eq!(program.outcome("main", ARGS), Some(expected), "{min} {level:?} {gp}");
            }
        }
    }
}

/// Entries that load several bytes of the arguments, and the least length with which each works.
const SEVERAL: [(&str, usize, &str); 8] = [
    ("ascending", 12, "(i32.load (local.get $p)) (i32.load offset=4 (local.get $p)) (i32.load offset=8 (local.get $p))"),
    ("descending", 9, "(i32.load8_u offset=8 (local.get $p)) (i32.load16_u offset=3 (local.get $p)) (i32.const 0)"),
    (
        "from the end",
        8,
        "(local.set $q (i32.add (local.get $p) (local.get $n)))
         (i32.load8_u (i32.sub (local.get $q) (i32.const 1))) (i32.load (i32.sub (local.get $q) (i32.const 8))) (i32.const 0)",
    ),
    (
        "later",
        10,
        "(call $see) (i32.load16_u offset=8 (local.get $p)) (i32.load8_u (local.get $p)) (i32.const 0)",
    ),
    ("far", 13, "(i32.load offset=9 (local.get $p)) (i32.const 0) (i32.const 0)"),
    (
        "through a function",
        16,
        "(call $twice (local.get $p)) (call $twice (i32.add (local.get $p) (i32.const 4))) (i32.const 0)",
    ),
    ("in a loop", 0, "(call $sum (local.get $p) (local.get $n)) (i32.const 0) (i32.const 0)"),
    (
        "in a fixed loop",
        16,
        "(call $see) (call $sum (local.get $p) (i32.const 16)) (i32.const 0) (i32.const 0)",
    ),
];

fn several() -> String {
    let mut text = "(module (memory 1 1) (global $g (mut i32) (i32.const 0))
        (func $see (global.set $g (i32.add (global.get $g) (i32.const 1))))
        (func $twice (param $p i32) (result i32)
          (i32.xor (i32.load offset=8 (local.get $p)) (i32.load (local.get $p))))
        (func $sum (param $p i32) (param $n i32) (result i32) (local $i i32) (local $sum i32)
          (block $end (loop $next
            (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31))
              (i32.load8_u (i32.add (local.get $p) (local.get $i)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next)))
          (local.get $sum))\n"
        .to_owned();
    for (name, _, body) in SEVERAL {
        writeln!(
            text,
            "(func (export \"{name}\") (param $p i32) (param $n i32) (result i64) (local $q i32)
              (i32.store (i32.const 40) (i32.add (i32.add {body}))) (i64.const 0x400000028))"
        )
        .expect("strings take all");
    }
    text + ")"
}

/// What an entry of [`SEVERAL`] computes, without the arguments' place.
fn expected_of_several(name: &str, args: &[u8]) -> u32 {
    let word = |at: usize, width: usize| {
        args[at..at + width].iter().rev().fold(0u32, |word, &byte| word << 8 | u32::from(byte))
    };
    let sum =
        |n: usize| args[..n].iter().fold(0u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let twice = |at: usize| word(at + 8, 4) ^ word(at, 4);
    let end = args.len();
    match name {
        "ascending" => word(0, 4).wrapping_add(word(4, 4)).wrapping_add(word(8, 4)),
        "descending" => word(8, 1) + word(3, 2),
        "from the end" => word(end - 1, 1).wrapping_add(word(end - 8, 4)),
        "later" => word(8, 2) + word(0, 1),
        "far" => word(9, 4),
        "through a function" => twice(0).wrapping_add(twice(4)),
        "in a loop" => sum(end),
        _ => sum(16),
    }
}

#[test]
fn several_loads_end_where_the_arguments_end() {
    let text = several();
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
        let mut program = Program::new(&text, level, GpVersion::V08, false);
        for len in 0..=18 {
            let args: Vec<u8> = (0..len as u8).map(|n| n.wrapping_mul(37) ^ 0xa5).collect();
            for (name, least, _) in SEVERAL {
                let expected =
                    (len >= least).then(|| expected_of_several(name, &args).to_le_bytes().to_vec());
                assert_eq!(program.outcome(name, &args), expected, "{name} of {len} bytes, {level:?}");
            }
        }
    }
}

#[test]
fn services_read_their_arguments() {
    let text = r#"(module (memory 1 1)
      (func (export "refine") (param $p i32) (param $n i32) (result i32 i32)
        (i32.store8 (i32.const 5) (i32.load8_u (i32.add (local.get $p) (i32.sub (local.get $n) (i32.const 1)))))
        (i32.const 5) (i32.const 1))
      (func (export "accumulate") (param $p i32) (result i64)
        (i32.store (i32.const 4) (i32.load offset=9 (local.get $p)))
        (i64.const 0x400000004)))"#;
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
        let mut program = Program::new(text, level, GpVersion::V08, false);
        assert_eq!(program.outcome("refine", ARGS), Some(vec![0xfd]));
        assert_eq!(program.outcome("refine", &[]), None);
        assert_eq!(program.outcome("accumulate", ARGS), Some(ARGS[9..].to_vec()));
        assert_eq!(program.outcome("accumulate", &ARGS[1..]), None);
    }
}

/// A service whose memory has 64-bit addresses: it sums the words of its arguments and copies them; the other entry reads
/// one byte after them.
const WIDE: &str = r#"(module (memory i64 1)
  (func $sum (param $p i64) (param $n i64) (result i64) (local $sum i64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (i64.load32_u (local.get $p))))
      (local.set $p (i64.add (local.get $p) (i64.const 4)))
      (br_if $again (i64.gt_s (local.tee $n (i64.sub (local.get $n) (i64.const 4))) (i64.const 0))))
    (local.get $sum))
  (func (export "refine") (param $p i64) (param $n i64) (result i64 i64)
    (i64.store (i64.const 64) (call $sum (local.get $p) (local.get $n)))
    (memory.copy (i64.const 72) (local.get $p) (local.get $n))
    (i64.const 64)
    (i64.add (local.get $n) (i64.const 8)))
  (func (export "accumulate") (param $p i64) (param $n i64) (result i64)
    (i64.load8_u (i64.add (local.get $p) (local.get $n)))))"#;

#[test]
fn pointers_of_64_bits_are_arguments() {
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
        for gp in [GpVersion::V072, GpVersion::V08] {
            let mut program = Program::new(WIDE, level, gp, false);
            let args = &ARGS[..12];
            let sum: u64 =
                args.chunks(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap()))).sum();
            let expected = [&sum.to_le_bytes(), args].concat();
            assert_eq!(program.outcome("refine", args), Some(expected), "-{level:?} {gp}");
            assert_eq!(program.outcome("accumulate", args), None, "-{level:?} {gp}");
        }
    }
}

/// The host of these modules allocates their arguments in their memory, so they may write them.
#[test]
fn modules_with_a_heap_of_the_host_own_their_arguments() {
    let text = r#"(module
        (import "env" "ext_allocator_malloc_version_1" (func (param i32) (result i32)))
        (import "env" "memory" (memory 1))
        (func (export "turn") (param $p i32) (param $n i32) (result i64)
          (i32.store (i32.const 8) (local.get $p))
          (if (local.get $n) (then
            (i32.store8 (i32.load (i32.const 8)) (i32.const 0x55))
            (i32.store8
              (i32.add (i32.load (i32.const 8)) (i32.sub (local.get $n) (i32.const 1)))
              (i32.add (i32.load8_u (i32.load (i32.const 8))) (i32.const 1)))))
          (i64.or (i64.extend_i32_u (i32.load (i32.const 8)))
            (i64.shl (i64.extend_i32_u (local.get $n)) (i64.const 32))))
        (func (export "end") (param $p i32) (param $n i32) (result i64)
          (i32.store (i32.const 8) (i32.shl (memory.size) (i32.const 16)))
          (i64.extend_i32_u (i32.load8_u (i32.load (i32.const 8))))))"#;
    for (level, gp) in
        [(OptLevel::O0, GpVersion::V072), (OptLevel::O2, GpVersion::V08), (OptLevel::Oz, GpVersion::V08)]
    {
        let mut program = Program::new(text, level, gp, false);
        for length in [0, 1, 3, 65_536, 65_537, 7, 200_000, 70_000] {
            let args: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let mut expected = args.clone();
            expected.first_mut().into_iter().for_each(|byte| *byte = 0x55);
            expected.last_mut().into_iter().for_each(|byte| *byte = 0x56);
            assert_eq!(program.outcome("turn", &args), Some(expected), "{length} bytes, -{level:?}");
            assert_eq!(program.outcome("end", &args), None, "{length} bytes, -{level:?}");
        }
    }
}
