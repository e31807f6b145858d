//! Odd, huge and broken inputs give a module or an error, quickly, and never a panic or an abort.

mod support;

use llvm_frontend::{Bounds, Error, Floats, OptLevel, Options, compile, emit_llvm_ir};
use random::Rng;
use support::{all_options, call, compile_text, options};

/// LEB128.
fn leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], leb(content.len() as u64), content.to_vec()].concat()
}

/// A module with one exported function `f: () -> i32` with the given local declarations and code.
fn one_function(locals: &[u8], code: &[u8]) -> Vec<u8> {
    let body = [locals, code].concat();
    let body = [leb(body.len() as u64), body].concat();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 0, 1, 0x7f]),
        section(3, &[1, 0]),
        section(7, &[1, 1, b'f', 0, 0]),
        section(10, &[vec![1], body].concat()),
    ]
    .concat()
}

#[test]
fn a_million_locals() {
    // The validator's limit is below a million: an error. At the limit: they cost nothing.
    let many = one_function(&[vec![1], leb(1_000_000), vec![0x7e]].concat(), &[0x41, 1, 0x0b]);
    assert!(matches!(compile(&many, &options(OptLevel::O2)), Err(Error::InvalidWasm { .. })));
    let most = one_function(&[vec![1], leb(50_000), vec![0x7e]].concat(), &[0x41, 1, 0x0b]);
    let module = compile(&most, &options(OptLevel::O2)).expect("it compiles");
    assert_eq!(call(&module, "f", &[]), Ok(vec![1]));
}

/// `depth` nested structures around `inner`, which has no value.
fn nested(open: &[u8], inner: &[u8], depth: usize) -> Vec<u8> {
    let mut code = open.repeat(depth);
    code.extend(inner);
    code.extend([0x0b].repeat(depth));
    code.extend([0x41, 7, 0x0b]);
    one_function(&[1, 1, 0x7f], &code)
}

#[test]
fn nesting_a_hundred_thousand_deep() {
    let block = nested(&[0x02, 0x40], &[], 100_000);
    let loops = nested(&[0x03, 0x40], &[], 100_000);
    let ifs = nested(&[0x20, 0, 0x04, 0x40], &[0x01], 100_000);
    // Each block is left by a conditional branch to itself.
    let branches = nested(&[0x02, 0x40, 0x20, 0, 0x0d, 0], &[], 100_000);
    // Every loop has a back edge.
    let back_edges = nested(&[0x03, 0x40, 0x20, 0, 0x0d, 0], &[], 100_000);
    let outwards = nested(&[0x02, 0x40], &[0x20, 0, 0x0d, 0xff, 0x8c, 0x06], 100_000);
    for wasm in [block, loops, ifs, branches, back_edges, outwards] {
        for level in [OptLevel::O0, OptLevel::O2] {
            let module = compile(&wasm, &options(level)).expect("it compiles");
            assert_eq!(call(&module, "f", &[]), Ok(vec![7]));
        }
    }
}

#[test]
fn values_that_multiply_are_refused() {
    // A call that takes and gives 1000 values costs two bytes: thousands of them are too much.
    let types = "i64 ".repeat(1000);
    let calls = "(call $many)".repeat(20_000);
    let consts = "(i64.const 1)".repeat(1000);
    let drops = "(drop)".repeat(1000);
    let text = format!(
        "(module (import \"env\" \"many\" (func $many (param {types}) (result {types})))
           (func (export \"f\") {consts} {calls} {drops}))"
    );
    let error = compile_text(&text, &options(OptLevel::O0)).unwrap_err();
    assert!(error.to_string().contains("pass this many values"), "{error}");
}

#[test]
fn wide_branch_tables() {
    let entries = "0 ".repeat(100_000);
    let text = format!(
        r#"(module (func (export "f") (param i32) (result i32)
             (block (result i32) (i32.const 3) (local.get 0) (br_table {entries} 0))))"#
    );
    for options in [options(OptLevel::O0), options(OptLevel::O2)] {
        let module = compile_text(&text, &options).expect("it compiles");
        assert_eq!(call(&module, "f", &[5]), Ok(vec![3]));
    }
}

#[test]
fn sizes_beyond_any_machine() {
    for text in [
        "(module (memory 65536))",
        "(module (table 10000000 funcref) (func (export \"f\") (drop (table.get (i32.const 5)))))",
        "(module (memory 1) (data (i32.const -1) \"a\"))",
        "(module (memory 0 65536) (func (export \"f\") (drop (memory.grow (i32.const -1)))))",
    ] {
        // Either result is fine, as long as there is one.
        let _ = compile_text(text, &options(OptLevel::O2));
    }
}

/// A module that has one of everything.
const EVERYTHING: &str = r#"(module
    (import "env" "host" (func $host (param i32 i64) (result i32)))
    (type $t (func (param i32) (result i32)))
    (memory 1 4) (table 3 10 funcref) (global $g (mut i32) (i32.const 4096))
    (data (i32.const 8) "some bytes") (data $p "passive") (elem (i32.const 0) $a $b) (elem $e func $a)
    (func $a (type $t) (i32.add (local.get 0) (call $host (local.get 0) (i64.const -1))))
    (func $b (type $t) (local i64 f32)
      (block $out (loop $next
        (br_if $out (i32.eqz (local.get 0)))
        (local.set 0 (i32.shr_u (local.get 0) (i32.const 1)))
        (i64.store offset=16 (local.get 0) (i64.div_u (local.get 1) (i64.extend_i32_u (local.get 0))))
        (local.set 2 (f32.add (local.get 2) (f32.const 1)))
        (br $next)))
      (memory.init $p (i32.const 0) (i32.const 0) (i32.const 3)) (data.drop $p)
      (table.init $e (i32.const 0) (i32.const 0) (i32.const 1))
      (memory.copy (i32.const 0) (i32.const 4) (i32.const 40))
      (br_table 0 0 0 (i32.const 1) (memory.grow (i32.const 1))))
    (func $c (export "f") (param i32) (result i32)
      (global.set $g (i32.sub (global.get $g) (i32.const 16)))
      (call_indirect (type $t) (local.get 0) (i32.rem_s (local.get 0) (i32.const 3)))
      (global.set $g (i32.add (global.get $g) (i32.const 16)))
      (if (param i32) (result i32) (local.get 0) (then) (else (drop) (return_call $a (i32.const 3))))))"#;

#[test]
fn truncated_modules() {
    let wasm = wat::parse_str(EVERYTHING).expect("it is well-formed");
    for length in 0..wasm.len() {
        let _ = compile(&wasm[..length], &options(OptLevel::O0));
    }
    let options = Options { floats: Floats::Trap, ..options(OptLevel::O2) };
    compile(&wasm, &options).expect("the whole module compiles");
}

#[test]
fn corrupted_modules() {
    let original = wat::parse_str(EVERYTHING).expect("it is well-formed");
    let mut rng = Rng::new(1);
    let mut accepted = 0;
    for round in 0..3000 {
        let mut wasm = original.clone();
        for _ in 0..1 + rng.below(3) {
            let at = 8 + rng.below(wasm.len() - 8);
            wasm[at] = if rng.below(2) == 0 { rng.below(256) as u8 } else { wasm[at] ^ (1 << rng.below(8)) };
        }
        let level = if round % 4 == 0 { OptLevel::O2 } else { OptLevel::O0 };
        let bounds = if round % 2 == 0 { Bounds::Guard } else { Bounds::Strict };
        let options = Options { floats: Floats::Trap, bounds, threads: 1, ..options(level) };
        if let Ok(module) = compile(&wasm, &options) {
            ssa::verify(&module).expect("accepted modules are valid");
            accepted += 1;
        }
    }
    assert!(accepted > 300, "the corruption leaves some modules valid: {accepted}");
}

#[test]
fn random_bytes() {
    let mut random = 1u32;
    for length in 0..500usize {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        for _ in 0..length {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            wasm.push((random >> 24) as u8);
        }
        let _ = compile(&wasm, &options(OptLevel::O0));
        let _ = compile(&wasm[8..], &options(OptLevel::O0));
    }
}

#[test]
fn the_result_does_not_depend_on_threads() {
    // Enough code for several parts.
    let functions: String = (0..4000)
        .map(|i| {
            format!(
                "(func $f{i} (param i32) (result i32) (i32.mul (call $f{} (i32.xor (local.get 0) (i32.const {i})))
                   (i32.add (local.get 0) (i32.load offset={i} (local.get 0)))))",
                (i * 7 + 1) % 4000
            )
        })
        .collect();
    let fillers =
        "(i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.const 77)))".repeat(40_000);
    let text = format!(
        "(module (memory 1) (func $big {fillers}) {functions} (export \"f\" (func $f5)) (export \"g\" (func $big)))"
    );
    let wasm = wat::parse_str(&text).expect("it is well-formed");
    let with_threads = |threads| Options { threads, ..options(OptLevel::Oz) };
    let one = compile(&wasm, &with_threads(1)).expect("it compiles");
    for threads in [2, 5] {
        assert_eq!(compile(&wasm, &with_threads(threads)).as_ref(), Ok(&one));
    }
    assert_eq!(emit_llvm_ir(&wasm, &with_threads(1)), emit_llvm_ir(&wasm, &with_threads(3)));
    for options in all_options().into_iter().take(1) {
        assert!(compile(&wasm, &options).is_ok());
    }
}
