//! Static data and devices of native memory in modules without relocations: which constants are addresses, which are
//! refused or cause a warning, and which accesses are those of devices.

use board::{Board, Call, Ending, Image, Undefined, Words};
use object::{Object as _, ObjectSection as _};
use random::Rng;
use testkit::thumb::{Setup, board_core};
use wasm_pvm::{Constants, Cpu, MemoryMode, OptLevel, Options, Stage, ThumbOptions};

const LEVELS: [OptLevel; 3] = [OptLevel::O0, OptLevel::O2, OptLevel::Oz];

fn options(constants: Constants, level: OptLevel) -> Options {
    let thumb = ThumbOptions { constants, ..ThumbOptions::default() };
    Options { level, threads: 1, ..Options::new(thumb) }
}

/// A module with static data from 65536 on, of which the first 16 bytes are a segment.
fn module(functions: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "env" "take" (func $take (param i32)))
        (import "env" "take_two" (func $take_two (param i32 i32)))
        (import "env" "take_wide" (func $take_wide (param i64)))
        (memory 3)
        (global $__stack_pointer (mut i32) (i32.const 65536))
        (data $.data (i32.const 65536) "\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\10")
        {functions})"#
    );
    wat::parse_str(text).unwrap()
}

/// The constants in the SSA of a module, and the number of addresses of static data.
fn judged(functions: &str, constants: Constants) -> Result<String, String> {
    wasm_pvm::emit(&module(functions), &options(constants, OptLevel::O0), Stage::Ssa)
        .map_err(|error| error.to_string())
}

fn assert_address(functions: &str) {
    let ssa = judged(functions, Constants::Refuse).unwrap_or_else(|error| panic!("{error}: {functions}"));
    assert!(ssa.contains("@__wasm_data"), "{ssa}");
}

fn assert_number(functions: &str, number: &str) {
    let ssa = judged(functions, Constants::Refuse).unwrap_or_else(|error| panic!("{error}: {functions}"));
    assert!(!ssa.contains("@__wasm_data") && ssa.contains(number), "{ssa}");
}

fn assert_refused(functions: &str, constants: Constants) {
    match judged(functions, constants) {
        Ok(ssa) => panic!("not refused: {functions}\n{ssa}"),
        Err(error) => {
            assert!(error.contains("in function") && error.contains("could be an address"), "{error}")
        }
    }
}

#[test]
fn what_is_accessed_is_an_address() {
    assert_address(r#"(func (export "f") (result i32) (i32.load (i32.const 65540)))"#);
    assert_address(r#"(func (export "f") (param i32) (result i32) (i32.load offset=65540 (local.get 0)))"#);
    // In another function of the module, and in the callers of a function that returns it.
    assert_address(
        r#"(func $inner (param i32) (result i32) (i32.load (local.get 0)))
        (func (export "f") (result i32) (call $inner (i32.const 65540)))"#,
    );
    assert_address(
        r#"(func $inner (result i32) (i32.const 65540))
        (func (export "f") (result i32) (i32.load (call $inner)))"#,
    );
    // Another value given to the import is a stack object, or is accessed.
    assert_address(
        r#"(func (export "f") (param i32) (call $take (i32.const 65540))
        (call $take (local.get 0)) (i32.store (local.get 0) (i32.const 1)))"#,
    );
    // The end of an array that a pointer runs over.
    assert_address(
        r#"(func (export "f") (local i32) (local.set 0 (i32.const 65536))
        (loop (i32.store (local.get 0) (i32.const 0))
          (br_if 0 (i32.ne (local.tee 0 (i32.add (local.get 0) (i32.const 4))) (i32.const 65552)))))"#,
    );
    // The same constant is an address elsewhere.
    assert_address(
        r#"(func (export "f") (call $take (i32.const 65540)) (i32.store (i32.const 65540) (i32.const 1)))"#,
    );
}

#[test]
fn what_is_computed_with_is_a_number() {
    assert_number(
        r#"(func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 65540)))"#,
        "65540",
    );
    assert_number(
        r#"(func $inner (param i32) (result i32) (i32.div_u (i32.const 5) (local.get 0)))
        (func (export "f") (result i32) (call $inner (i32.const 65540)))"#,
        "65540",
    );
    // The number of turns of a loop whose counter is an index added to a pointer.
    assert_number(
        r#"(func (export "f") (param i32) (local i32)
        (loop (i32.store8 (i32.add (local.get 0) (local.get 1)) (i32.const 0))
          (br_if 0 (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 65540)))))"#,
        "65540",
    );
    assert_number(
        r#"(func (export "f") (param i32) (memory.fill (local.get 0) (i32.const 1) (i32.const 65540)))"#,
        "65540",
    );
    assert_number(
        r#"(func (export "f") (param i64) (result i64) (i64.mul (local.get 0) (i64.const 65540)))"#,
        "65540",
    );
}

/// Constants of every kind: clear ones, unclear ones, and ones that no option decides.
const PIECES: [&str; 12] = [
    "(drop (i32.load (i32.const 65540)))",
    "(drop (i32.mul (local.get 0) (i32.const 65540)))",
    "(call $take (i32.const 65544)) (call $take (i32.const 5))",
    "(call $take (i32.const 131072))",
    "(i32.store (local.get 0) (i32.const 65548))",
    "(call $take_wide (i64.const 0x1000400000005))",
    "(local.set 1 (i32.const 65540)) (call $take (i32.mul (i32.load (local.get 1)) (i32.mul (local.get 1) (local.get 1))))",
    "(call $take (i32.load (i32.add (select (i32.const 65540) (i32.const 65544) (local.get 0))
        (select (i32.const 65536) (i32.const 65548) (local.get 0)))))",
    "(call $take (i32.load8_u (i32.add (i32.const 65504) (i32.shl (local.get 0) (i32.const 2)))))",
    "(i32.store (i32.const 65600) (local.get 0))",
    "(call $take (global.get $held))",
    "(call $take (i32.load (i32.const 70000)))",
];
const HELD: &str =
    r#"(global $held (mut i32) (i32.const 65540)) (func (export "set") (global.set $held (i32.const 0)))"#;
const WORD: &str = r#"(data (i32.const 65560) "\04\00\01\00") (func (export "word") (result i32) (i32.load (i32.const 65560)))"#;

/// Follows the advice of a message; panics if that doesn't help. Returns whether the module was refused.
fn follow_advice(wasm: &[u8], thumb: &ThumbOptions, depth: u32) -> bool {
    let compile = |thumb: ThumbOptions| {
        let options = Options { level: OptLevel::O0, threads: 1, ..Options::new(thumb) };
        wasm_pvm::emit(wasm, &options, Stage::Ssa).map_err(|error| error.to_string())
    };
    let Err(error) = compile(thumb.clone()) else { return false };
    let with = |constants| ThumbOptions { constants, ..thumb.clone() };
    for (constants, name) in [(Constants::Address, "address"), (Constants::Number, "number")] {
        let is_named = error.contains(&format!("`--constants {name}`"));
        let outcome = compile(with(constants));
        assert!(!is_named || outcome.is_ok(), "{error}\nand then\n{}", outcome.unwrap_err());
        assert!(!error.contains("no `--constants` decides it") || outcome.is_err(), "{error}");
    }
    assert!(error.contains("`--memory symbol`") || error.contains("`--memory-bytes"), "{error}");
    let symbol = ThumbOptions { memory: MemoryMode::Symbol, ..with(Constants::Auto) };
    assert_eq!(compile(symbol).err(), None);
    if error.contains("`--memory-bytes") {
        assert!(depth < 5, "{error}");
        let more =
            error.split("`--memory-bytes ").nth(1).and_then(|rest| rest.split('`').next()?.parse().ok());
        follow_advice(wasm, &ThumbOptions { memory_bytes: more, ..thumb.clone() }, depth + 1);
    }
    true
}

/// The advice of each refusal works.
#[test]
fn refusals_name_what_helps() {
    let mut random = Rng::new(13);
    let mut refused = 0;
    for round in 0..60 {
        let mut functions = String::from(HELD);
        if random.one_in(4) {
            functions += WORD;
        }
        for n in 0..1 + random.bits() % 2 {
            // Every piece is alone once.
            let first = if round < PIECES.len() { round } else { random.below(12) };
            let second = if round < PIECES.len() { "" } else { PIECES[random.below(12)] };
            let piece = PIECES[first];
            functions += &format!(r#"(func (export "f{n}") (param i32) (local i32) {piece} {second})"#);
        }
        let wasm = module(&functions);
        for constants in [Constants::Auto, Constants::Address, Constants::Number, Constants::Refuse] {
            let memory_bytes = random.one_in(3).then_some(65576);
            let thumb = ThumbOptions { constants, memory_bytes, ..ThumbOptions::default() };
            refused += u32::from(follow_advice(&wasm, &thumb, 0));
        }
    }
    assert!((50..230).contains(&refused), "{refused} are refused");
}

#[test]
fn what_could_be_both_is_refused() {
    let both = [
        // Used as both.
        r#"(func (export "f") (result i32) (local i32) (local.set 0 (i32.const 65540))
        (i32.mul (i32.load (local.get 0)) (i32.mul (local.get 0) (local.get 0))))"#,
        // The sum of two.
        r#"(func (export "f") (param i32) (result i32)
        (i32.load (i32.add (select (i32.const 65540) (i32.const 65544) (local.get 0)) (select (i32.const 65536) (i32.const 65548) (local.get 0)))))"#,
    ];
    for functions in both {
        for constants in [Constants::Auto, Constants::Address, Constants::Number, Constants::Refuse] {
            assert_refused(functions, constants);
        }
    }
    let neither = [
        // Other constants are given to the import.
        r#"(func (export "f") (call $take (i32.const 65540)) (call $take (i32.const 3)))"#,
        // Compared with an unknown value.
        r#"(func (export "f") (param i32) (result i32) (i32.eq (local.get 0) (i32.const 65540)))"#,
        r#"(func (export "f") (param i32) (result i32) (i32.lt_u (local.get 0) (i32.const 65540)))"#,
        // Returned, widened, or stored and in no segment.
        r#"(func (export "f") (result i32) (i32.const 65540))"#,
        r#"(func (export "f") (result i64) (i64.extend_i32_u (i32.const 65540)))"#,
        r#"(func (export "f") (param i32) (i32.store (local.get 0) (i32.const 65600)))"#,
        // A number elsewhere.
        r#"(func (export "f") (param i32) (result i32) (call $take (i32.const 65540)) (i32.mul (local.get 0) (i32.const 65540)))"#,
        // Either half of 64 bits.
        r#"(func (export "f") (call $take_wide (i64.const 65540)))"#,
        r#"(func (export "f") (call $take_wide (i64.const 0x1000400000003)))"#,
        r#"(func (export "f") (result i64) (i64.const 65540))"#,
        // A possible mask or size, though the same constant is an address elsewhere, and is passed to imports with
        // others.
        r#"(func (export "f") (call $take (i32.const 65536)) (call $take (i32.const 1)) (i32.store (i32.const 65536) (i32.const 1)))"#,
    ];
    for functions in neither {
        assert_refused(functions, Constants::Auto);
        assert_refused(functions, Constants::Refuse);
        let as_address = judged(functions, Constants::Address).unwrap();
        assert!(as_address.contains("@__wasm_data"), "{as_address}");
        let as_number = judged(functions, Constants::Number).unwrap();
        let numbers = ["const.i32 655", "const.i32 656", "const.i64"];
        assert!(numbers.iter().any(|number| as_number.contains(number)), "{as_number}");
    }
}

/// Without a stack pointer and segments the place of static data is unknown: zeros need neither.
#[test]
fn what_nothing_shows_is_data_if_it_is_accessed() {
    let judged = |function: &str, constants| {
        let wasm = wat::parse_str(format!("(module (memory 1) {function})")).unwrap();
        wasm_pvm::emit(&wasm, &options(constants, OptLevel::O0), Stage::Ssa)
            .map_err(|error| error.to_string())
    };
    let data = [
        r#"(func (export "f") (result i32) (i32.load (i32.const 2048)))"#,
        r#"(func (export "f") (param i32) (i32.store8 (i32.add (i32.const 2048) (i32.and (local.get 0) (i32.const 63))) (i32.const 1)))"#,
    ];
    for function in data {
        let ssa = judged(function, Constants::Auto).unwrap();
        assert!(ssa.contains("@__wasm_data"), "{ssa}");
    }
    let numbers = [
        // A field; a constant that is returned, stored, passed on.
        r#"(func (export "f") (param i32) (result i32) (i32.load offset=2048 (local.get 0)))"#,
        r#"(func (export "f") (result i32) (i32.const 2048))"#,
        r#"(func (export "f") (param i32) (i32.store (local.get 0) (i32.const 2048)))"#,
        r#"(func (export "f") (result i64) (i64.const 2048))"#,
        // Vectors, and devices after the memory.
        r#"(func (export "f") (result i32) (i32.load (i32.const 4)))"#,
        r#"(func (export "f") (result i32) (i32.load (i32.const 0x40002048)))"#,
    ];
    for function in numbers {
        let ssa = judged(function, Constants::Auto).unwrap();
        assert!(!ssa.contains("@__wasm_data"), "{ssa}");
    }
    // A stack pointer without a name, and a stack that can't move.
    let stack = r#"(global $g (mut i32) (i32.const 65536))
        (func (export "f") (param i32) (i32.store (global.get $g) (i32.const 1))
        (global.set $g (i32.add (global.get $g) (local.get 0))))"#;
    assert!(judged(stack, Constants::Auto).unwrap_err().contains("global 0 starts with 65536"));
    let far = r#"(func (export "f") (param i32) (result i32) (i32.load offset=8192 (local.get 0)))"#;
    assert!(judged(far, Constants::Auto).unwrap_err().contains("could be an address"));
    assert!(!judged(far, Constants::Number).unwrap().contains("@__wasm_data"));
}

/// An address is stored in pieces, and the memory at it is read.
const IN_PIECES: &str = r#"(func $read (param i32) (result i32) (i32.load (i32.load (local.get 0))))
    (func (export "f") (result i32)
      (i32.store8 (i32.const 65600) (i32.const 65540))
      (i32.store8 (i32.const 65603) (i32.shr_u (i32.const 65540) (i32.const 24)))
      (i32.store16 offset=1 (i32.const 65600) (i32.shr_u (i32.const 65540) (i32.const 8)))
      (call $read (i32.const 65600)))"#;

#[test]
fn an_address_in_pieces_is_whole_again() {
    if !Setup::new(Cpu::M3, OptLevel::O2, wasm_pvm::Floats::Reject).is_available() {
        return;
    }
    let mut board = Board::start(board_core(Cpu::M3)).unwrap();
    for level in LEVELS {
        board.clear();
        let object = wasm_pvm::compile(&module(IN_PIECES), &options(Constants::Auto, level)).unwrap().bytes;
        let image = Image::load(&mut board, &object, &mut |_| Some(Undefined::Import(0))).unwrap();
        let call = Call::new(image.address("f").unwrap(), Words::default());
        let exit = board.call(&call, &mut |_, _| panic!("no imports")).unwrap();
        assert_eq!((exit.ending, exit.words.core[0]), (Ending::Returned, 0x0807_0605), "-{level:?}");
    }
}

/// Treated as addresses by default, with a warning.
#[test]
fn what_is_likely_an_address_is_refused_on_request() {
    let likely = [
        r#"(func (export "f") (call $take (i32.const 65536)))"#,
        r#"(func (export "f") (call $take_two (i32.const 65600) (i32.const 7)) (call $take_two (i32.const 0) (i32.const 7)))"#,
        r#"(func (export "f") (param i32) (i32.store (local.get 0) (i32.const 65540)))"#,
        IN_PIECES,
    ];
    for functions in likely {
        let ssa = judged(functions, Constants::Auto).unwrap();
        assert!(ssa.contains("data_addr @__wasm_data"), "{ssa}");
        assert_refused(functions, Constants::Refuse);
    }
}

/// All depend on each other: the work must stay linear.
#[test]
fn many_constants_are_judged_together() {
    let chain: String = (0..20_000)
        .map(|n| {
            let (a, b) = (65536 + n % 60_000, 65536 + (n * 7) % 60_000);
            format!("(local.set 1 (i32.add (local.get 1) (i32.eq (select (local.get 2) (i32.const {a}) (local.get 0)) (i32.const {b}))))
            (local.set 2 (select (local.get 2) (i32.const {a}) (local.get 1)))\n")
        })
        .collect();
    let functions = format!(
        r#"(func (export "f") (param i32) (result i32) (local i32 i32) {chain} (i32.load (local.get 2)))"#
    );
    let wasm = module(&functions);
    let object = wasm_pvm::compile(&wasm, &options(Constants::Auto, OptLevel::O0));
    if let Err(error) = object {
        assert!(error.to_string().contains("could be an address"), "{error}");
    }
}

/// Registers of the interrupt controller, whose addresses are in variables, choices and sums.
const DEVICES: &str = r#"(module
  (memory 1)
  (func (export "base") (result i32) (local i32)
    (local.set 0 (i32.const 0xe000e000))
    (i32.store offset=0x100 (local.get 0) (i32.const 0x10000000))
    (i32.store offset=0x100 (local.get 0) (i32.const 0x20000000))
    (i32.and (i32.load offset=0x100 (local.get 0)) (i32.const 0x30000000)))
  (func (export "chosen") (param i32) (result i32) (local i32 i32)
    (if (local.get 0)
      (then (local.set 1 (i32.const 0xe000e100)))
      (else (local.set 1 (i32.const 0xe000e180))))
    (local.set 2 (i32.load (local.get 1)))
    (i32.store (local.get 1) (i32.const 0x10000000))
    (i32.store (local.get 1) (i32.const 0x20000000))
    (i32.and (i32.xor (local.get 2) (i32.load (local.get 1))) (i32.const 0x30000000)))
  (func (export "indexed") (param i32) (result i32) (local i32)
    (local.set 1 (i32.const 0xe000e41c))
    (i32.store8 (i32.add (local.get 1) (local.get 0)) (i32.const 0x20))
    (i32.store8 (i32.add (local.get 1) (i32.add (local.get 0) (i32.const 1))) (i32.const 0x40))
    (drop (i32.load (local.get 1)))
    (i32.load16_u (select (local.get 1) (i32.const 0xe000e41c) (local.get 0)))))"#;

#[test]
fn accesses_through_variables_with_device_addresses_are_all_made() {
    let wasm = wat::parse_str(DEVICES).unwrap();
    if Setup::new(Cpu::M3, OptLevel::O2, wasm_pvm::Floats::Reject).is_available() {
        let mut board = Board::start(board_core(Cpu::M3)).unwrap();
        for level in LEVELS {
            board.clear();
            let object = wasm_pvm::compile(&wasm, &options(Constants::Auto, level)).unwrap().bytes;
            let image = Image::load(&mut board, &object, &mut |_| Some(Undefined::Import(0))).unwrap();
            let mut call = |name: &str, arg: u32| {
                let mut words = Words::default();
                words.core[0] = arg;
                let call = Call::new(image.address(name).unwrap(), words);
                let exit = board.call(&call, &mut |_, _| panic!("no imports")).unwrap();
                assert_eq!(exit.ending, Ending::Returned);
                exit.words.core[0]
            };
            for _ in 0..2 {
                assert_eq!(call("base", 0), 0x3000_0000, "enabling one after the other enables both");
                assert_eq!(call("chosen", 0), 0x3000_0000, "and disables both");
                assert_eq!(call("chosen", 1), 0x3000_0000, "and enables both again");
            }
            assert_eq!(call("indexed", 0), 0x4020);
        }
    }
    for level in LEVELS {
        let ssa = wasm_pvm::emit(&wasm, &options(Constants::Auto, level), Stage::Ssa).unwrap();
        let accesses = ssa.lines().filter(|line| line.contains(" volatile")).count();
        assert_eq!(accesses, 11, "-{level:?}: each once, and none wider:\n{ssa}");
        let thumb = ThumbOptions { memory: wasm_pvm::MemoryMode::Symbol, ..ThumbOptions::default() };
        let in_symbol = Options { level, ..Options::new(thumb) };
        let ssa = wasm_pvm::emit(&wasm, &in_symbol, Stage::Ssa).unwrap();
        assert!(!ssa.contains(" volatile"), "{ssa}");
    }
}

/// The option decides words of data and globals that could be addresses.
#[test]
fn words_of_data_and_globals_are_what_the_option_says() {
    let functions = r#"(data $.data.table (i32.const 65552) "\04\00\01\00")
        (global $g (mut i32) (i32.const 65544))
        (func (export "f") (result i32) (i32.add (i32.load (i32.load (i32.const 65552))) (i32.load (global.get $g))))
        (func (export "g") (global.set $g (i32.const 0)))"#;
    for constants in [Constants::Auto, Constants::Refuse] {
        let error = judged(functions, constants).unwrap_err();
        assert!(error.contains("could be an address"), "{error}");
    }
    let as_number = judged(functions, Constants::Number).unwrap();
    assert!(!as_number.contains(": @__wasm_data"), "{as_number}");
    let as_address = options(Constants::Address, OptLevel::O2);
    if Setup::new(Cpu::M3, OptLevel::O2, wasm_pvm::Floats::Reject).is_available() {
        let mut board = Board::start(board_core(Cpu::M3)).unwrap();
        let object = wasm_pvm::compile(&module(functions), &as_address).unwrap().bytes;
        let image = Image::load(&mut board, &object, &mut |_| Some(Undefined::Import(0))).unwrap();
        let call = Call::new(image.address("f").unwrap(), Words::default());
        let exit = board.call(&call, &mut |_, _| panic!("no imports")).unwrap();
        assert_eq!((exit.ending, exit.words.core[0]), (Ending::Returned, 0x0807_0605 + 0x0c0b_0a09));
    }
}

/// Sizes of the sections for static data.
fn sizes(functions: &str, memory_bytes: Option<u32>) -> Result<Vec<u64>, String> {
    let thumb = ThumbOptions { memory_bytes, ..ThumbOptions::default() };
    let wasm = module(functions);
    let output = wasm_pvm::compile(&wasm, &Options::new(thumb)).map_err(|error| error.to_string())?;
    let elf = object::File::parse(&output.bytes[..]).unwrap();
    let is_data = |name: &str| name.contains("__wasm_data");
    Ok(elf.sections().filter(|s| s.name().is_ok_and(is_data)).map(|section| section.size()).collect())
}

/// An object whose address escapes may be as large as memory, unless the end of data is given. The given end must not
/// be before a visible access.
#[test]
fn an_end_that_is_given_is_the_end() {
    let passed = r#"(func (export "f") (call $take (i32.const 65600)))"#;
    assert_eq!(sizes(passed, None), Ok(vec![2 * 65536 - 64 + 64]));
    assert_eq!(sizes(passed, Some(65608)), Ok(vec![72]));
    let accessed = r#"(func (export "f") (result i32) (i32.load (i32.const 65600)))"#;
    assert_eq!(sizes(accessed, None), Ok(vec![4]));
    assert_eq!(sizes(accessed, Some(65604)), Ok(vec![4]));
    for (functions, end) in [(accessed, 65602), (accessed, 65552), (accessed, 65600)] {
        let error = sizes(functions, Some(end)).unwrap_err();
        assert!(error.contains("after the end") && error.contains(&end.to_string()), "{error}");
    }
    // There is no data, so it is a number.
    assert_eq!(sizes(passed, Some(65568)), Ok(vec![]));
}

/// Older linkers put data below the stack. That data ends at the stack.
#[test]
fn data_below_the_stack_does_not_reach_beyond_it() {
    let text = r#"(module
        (import "env" "take" (func $take (param i32)))
        (memory 2)
        (global $__stack_pointer (mut i32) (i32.const 70000))
        (data $.data (i32.const 65536) "\01\02\03\04")
        (func (export "f") (call $take (i32.const 65536)) (i32.store (i32.const 65536) (i32.const 3)))
        (func (export "g") (result i32) (i32.load (i32.const 65536))))"#;
    let output = wasm_pvm::compile(text.as_bytes(), &options(Constants::Auto, OptLevel::Oz)).unwrap();
    let elf = object::File::parse(&output.bytes[..]).unwrap();
    assert_eq!(elf.section_by_name(".data.__wasm_data.65536").unwrap().size(), 70000 - 65536);
}

/// An array whose first index is 32, as compilers make it of characters: the constant is 32 bytes before the array.
#[test]
fn a_constant_just_below_static_data_is_refused() {
    let functions = r#"(func (export "f") (param i32) (result i32)
        (i32.load8_u (i32.add (i32.const 65504) (i32.shl (local.get 0) (i32.const 2)))))"#;
    for constants in [Constants::Auto, Constants::Address, Constants::Refuse] {
        let error = judged(functions, constants).unwrap_err();
        assert!(error.contains("in function f") && error.contains("65504"), "{error}");
    }
    assert!(judged(functions, Constants::Number).is_ok());
    // Numbers of that size are numbers.
    assert_number(
        r#"(func (export "f") (param i32) (result i32) (i32.gt_u (local.get 0) (i32.const 65535)) (drop (i32.const 65540)))"#,
        "65535",
    );
}

/// The same before a segment that follows another: the two stay together.
#[test]
fn an_array_after_a_segment_stays_after_it() {
    let text = r#"(module
        (memory 2)
        (global $__stack_pointer (mut i32) (i32.const 65536))
        (data $.rodata (i32.const 65536) "0123456789abcdef0123456789abcdef")
        (data $.data (i32.const 65568) "\01\02\03\04")
        (func (export "f") (param i32) (result i32) (i32.load8_u (i32.add (i32.const 65552) (i32.and (local.get 0) (i32.const 31)))))
        (func (export "g") (param i32) (i32.store8 (i32.const 65568) (local.get 0))))"#;
    let output = wasm_pvm::compile(text.as_bytes(), &options(Constants::Auto, OptLevel::Oz)).unwrap();
    let elf = object::File::parse(&output.bytes[..]).unwrap();
    let names: Vec<&str> =
        elf.sections().filter_map(|s| s.name().ok()).filter(|name| name.contains("__wasm_data")).collect();
    assert_eq!(names, [".data.__wasm_data.65536"]);
}
