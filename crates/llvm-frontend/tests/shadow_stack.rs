//! Modules whose shadow stack moves to the machine stack, and modules whose stack must not.

mod support;

use llvm_frontend::{Error, Floats, OptLevel, ShadowStack};
use ssa::Module;
use support::{call, compile_text, with};

/// A module with a stack pointer, in which `leaf` fills a buffer that its caller has on the stack.
fn module_with(functions: &str) -> String {
    format!(
        r#"(module (memory 2) (global $__stack_pointer (mut i32) (i32.const 4096)) (data (i32.const 4096) "data")
          (func $leaf (param $to i32) (i32.store offset=4 (local.get $to) (i32.const 42)))
          {functions})"#
    )
}

const FITS: &str = r#"(func (export "f") (param i32) (result i32) (local $frame i32)
    (global.set $__stack_pointer (local.tee $frame (i32.sub (global.get $__stack_pointer) (i32.const 16))))
    (i32.store (local.get $frame) (local.get 0))
    (call $leaf (local.get $frame))
    (i32.add (i32.load (local.get $frame)) (i32.load offset=4 (local.get $frame)))
    (global.set $__stack_pointer (i32.add (local.get $frame) (i32.const 16))))"#;

fn is_native(module: &Module) -> bool {
    module.memory().is_some_and(|(_, memory)| memory.native_stack.is_some())
}

/// Whether part of the stack stays in memory.
fn keeps_stack(module: &Module) -> bool {
    module.memory().is_some_and(|(_, memory)| memory.keeps_stack)
}

fn compile(functions: &str, shadow_stack: ShadowStack) -> Result<Module, Error> {
    compile_text(&module_with(functions), &with(Floats::Reject, shadow_stack, OptLevel::O2))
}

#[test]
fn the_usual_pattern_is_fused() {
    let module = compile(FITS, ShadowStack::Auto).expect("it compiles");
    assert!(is_native(&module));
    assert_eq!(call(&module, "f", &[8]), Ok(vec![50]));
    assert_eq!(module.data.len(), 1, "the stack pointer is gone: {:?}", module.data);
}

#[test]
fn strict_keeps_the_global() {
    let module = compile(FITS, ShadowStack::Strict).expect("it compiles");
    assert!(!is_native(&module));
    assert_eq!(call(&module, "f", &[8]), Ok(vec![50]));
}

#[test]
fn aligned_frames_fit() {
    let functions = r#"(func (export "f") (result i32) (local $saved i32) (local $frame i32)
        (local.set $saved (global.get $__stack_pointer))
        (global.set $__stack_pointer
          (local.tee $frame (i32.and (i32.sub (global.get $__stack_pointer) (i32.const 40)) (i32.const -64))))
        (call $leaf (local.get $frame))
        (i32.add (i32.load offset=4 (local.get $frame)) (i32.and (local.get $frame) (i32.const 63)))
        (global.set $__stack_pointer (local.get $saved)))"#;
    let module = compile(functions, ShadowStack::Native).expect("it fits");
    assert_eq!(call(&module, "f", &[]), Ok(vec![42]));
}

#[test]
fn frames_in_loops_and_branches_fit() {
    let functions = r#"(func (export "f") (param $n i32) (result i32) (local $frame i32) (local $sum i32)
        (loop $again
          (if (local.get $n) (then
            (global.set $__stack_pointer (local.tee $frame (i32.sub (global.get $__stack_pointer) (i32.const 32))))
            (call $leaf (local.get $frame))
            (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $frame))))
            (global.set $__stack_pointer (i32.add (local.get $frame) (i32.const 32)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $again))))
        (local.get $sum))"#;
    let module = compile(functions, ShadowStack::Native).expect("it fits");
    assert_eq!(call(&module, "f", &[3]), Ok(vec![126]));
}

/// Function bodies that can't be fused, each with words of the reason.
const MISFITS: [(&str, &str); 6] = [
    // A dynamic allocation.
    (
        r#"(func (export "f") (param i32) (result i32) (local $old i32)
            (local.set $old (global.get $__stack_pointer))
            (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (local.get 0)))
            (i32.store (global.get $__stack_pointer) (i32.const 8))
            (i32.load (global.get $__stack_pointer))
            (global.set $__stack_pointer (local.get $old)))"#,
        "not constant",
    ),
    // The caller gets a moved stack pointer.
    (
        r#"(func (export "f") (param i32) (result i32)
            (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16)))
            (i32.const 8))"#,
        "without restoring",
    ),
    // Only one path restores.
    (
        r#"(func (export "f") (param i32) (result i32)
            (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16)))
            (if (local.get 0) (then
              (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (i32.const 16)))))
            (i32.const 8))"#,
        "without restoring",
    ),
    // Every turn takes more.
    (
        r#"(func (export "f") (param i32) (result i32) (local $old i32)
            (local.set $old (global.get $__stack_pointer))
            (loop $again
              (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16)))
              (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (global.set $__stack_pointer (local.get $old))
            (i32.const 8))"#,
        "not derived",
    ),
    // It reads an object on its caller's stack.
    (
        r#"(func (export "f") (param i32) (result i32)
            (i32.add (i32.const 8) (i32.load (global.get $__stack_pointer))) (i32.const -1) (i32.and) (drop) (i32.const 8))"#,
        "above the entry stack pointer",
    ),
    (
        r#"(func (export "f") (param i32) (result i32)
            (drop (i32.load (i32.add (global.get $__stack_pointer) (i32.const 8)))) (i32.const 8))"#,
        "above the entry stack pointer",
    ),
];

#[test]
fn unusual_functions_keep_the_whole_module_strict() {
    for (functions, reason) in MISFITS {
        let module = compile(functions, ShadowStack::Auto).expect("it compiles");
        assert!(!is_native(&module), "{functions}");
        assert_eq!(call(&module, "f", &[1]), Ok(vec![8]), "{functions}");
        let error = compile(functions, ShadowStack::Native).expect_err("it doesn't fit");
        assert!(error.to_string().contains(reason), "{error}\n{functions}");
        assert!(error.to_string().contains(" in function f "), "{error}");
    }
}

/// Functions that keep their part of the stack in memory, beside others that have frames.
const KEPT: [&str; 3] = [
    // A dynamic allocation, aligned; a second one.
    r#"(func (export "g") (param i32) (result i32) (local $old i32) (local $p i32) (local $q i32)
        (local.set $old (global.get $__stack_pointer))
        (global.set $__stack_pointer
          (local.tee $p (i32.and (i32.sub (global.get $__stack_pointer) (local.get 0)) (i32.const -16))))
        (call $leaf (local.get $p))
        (global.set $__stack_pointer (local.tee $q (i32.sub (global.get $__stack_pointer) (local.get 0))))
        (i32.store (local.get $q) (i32.const 7))
        (i32.add (i32.load offset=4 (local.get $p)) (i32.load (local.get $q)))
        (global.set $__stack_pointer (local.get $old)))"#,
    // Every turn takes more.
    r#"(func (export "g") (param i32) (result i32) (local $old i32) (local $p i32)
        (local.set $p (i32.sub (local.tee $old (global.get $__stack_pointer)) (i32.const 16)))
        (loop $again
          (global.set $__stack_pointer (local.tee $p (i32.sub (local.get $p) (i32.const 16))))
          (i32.store (local.get $p) (i32.const 49))
          (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (i32.load (local.get $p))
        (global.set $__stack_pointer (local.get $old)))"#,
    // Another stack, for a while.
    r#"(func (export "g") (param i32) (result i32) (local $old i32)
        (local.set $old (global.get $__stack_pointer))
        (global.set $__stack_pointer (i32.const 8192))
        (i32.add (call $f (i32.const 1)) (i32.const 6))
        (global.set $__stack_pointer (local.get $old)))"#,
];

#[test]
fn unusual_functions_keep_their_part_in_memory() {
    for functions in KEPT {
        let module =
            compile(&format!("{} {functions}", FITS.replace("(func", "(func $f")), ShadowStack::Auto)
                .expect("it compiles");
        assert!(is_native(&module) && keeps_stack(&module), "{functions}");
        assert_eq!(call(&module, "f", &[8]), Ok(vec![50]));
        assert_eq!(call(&module, "g", &[32]), Ok(vec![49]), "{functions}");
    }
}

/// An export by which the host moves the pointer, and one that does more.
const HANDLE: &str = r#"(func $add (export "add_to_stack_pointer") (param i32) (result i32)
    (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (local.get 0)))
    (global.get $__stack_pointer))"#;

#[test]
fn the_host_handles_a_pointer_to_memory() {
    let module = compile(&format!("{FITS} {HANDLE}"), ShadowStack::Auto).expect("it compiles");
    assert!(is_native(&module) && keeps_stack(&module));
    assert_eq!(call(&module, "f", &[8]), Ok(vec![50]));
    assert_eq!(call(&module, "add_to_stack_pointer", &[0xffff_fff0]), Ok(vec![4080]));
    // The host doesn't enter it.
    let options = llvm_frontend::Options {
        service_entries: &[&["f"]],
        ..with(Floats::Reject, ShadowStack::Auto, OptLevel::O2)
    };
    let module = compile_text(&module_with(&format!("{FITS} {HANDLE}")), &options).expect("it compiles");
    assert!(is_native(&module) && !keeps_stack(&module));
}

#[test]
fn handles_only_compute_and_are_for_the_host_only() {
    for functions in [
        format!(r#"{HANDLE} (func (export "g") (result i32) (call $add (i32.const -16)))"#),
        format!(
            r#"{HANDLE} (table 1 funcref) (elem (i32.const 0) $add) (export "table" (table 0))
          (func (export "g") (result i32) (call_indirect (param i32) (result i32) (i32.const 8) (i32.const 0)))"#
        ),
        r#"(func (export "g") (i32.store (i32.const 4100) (global.get $__stack_pointer)))"#.to_owned(),
        r#"(global $g (mut i32) (i32.const 0))
           (func (export "g") (global.set $g (global.get $__stack_pointer)))"#
            .to_owned(),
    ] {
        let module = compile(&format!("{FITS} {functions}"), ShadowStack::Auto).expect("it compiles");
        assert!(!is_native(&module), "{functions}");
    }
}

/// Without a name the pointer is recognised by its use, also with data below, unless two globals are used like this.
#[test]
fn a_pointer_without_name_is_recognised_by_its_use() {
    let text = |globals: &str, start: u32, rest: &str| {
        format!(
            r#"(module (memory 2) {globals} (data (i32.const {start}) "data")
              (func $leaf (param $to i32) (i32.store offset=4 (local.get $to) (i32.const 42))) {} {rest})"#,
            FITS.replace("__stack_pointer", "sp")
        )
    };
    let sp = "(global $sp (mut i32) (i32.const 4096))";
    let other = "(global $n (mut i32) (i32.const 32))";
    let second = r#"(func (export "g") (global.set $n (i32.sub (global.get $n) (i32.const 16)))
        (global.set $n (i32.add (global.get $n) (i32.const 16))))"#;
    for (globals, start, rest, native) in [
        (sp.to_owned(), 1024, "", true),
        (format!("{sp} {other}"), 4096, "", true),
        (format!("{other} {sp}"), 4096, "", true),
        (format!("{other} {sp}"), 1024, second, false),
        (sp.to_owned(), 3500, "", false),
    ] {
        let options = with(Floats::Reject, ShadowStack::Auto, OptLevel::O2);
        let module = compile_text(&text(&globals, start, rest), &options).expect("it compiles");
        assert_eq!(is_native(&module), native, "{globals} {start} {rest}");
        assert_eq!(call(&module, "f", &[8]), Ok(vec![50]));
    }
}

/// Functions that use addresses of the stack unlike compilers. `native` assumes that there are none.
const SUSPICIOUS: [&str; 21] = [
    // The value at entry is passed, returned, stored, compared, and gets lost where paths meet.
    r#"(func (export "f") (param i32) (result i32) (call $leaf (global.get $__stack_pointer)) (i32.const 8))"#,
    r#"(func $sp (result i32) (global.get $__stack_pointer))
           (func (export "f") (param i32) (result i32) (drop (i32.load (call $sp))) (i32.const 8))"#,
    r#"(func (export "f") (param i32) (result i32)
            (i32.store (i32.const 4096) (global.get $__stack_pointer)) (i32.const 8))"#,
    r#"(func (export "f") (param i32) (result i32)
            (drop (i32.load (select (global.get $__stack_pointer) (i32.const 4096) (local.get 0)))) (i32.const 8))"#,
    r#"(func (export "f") (param i32) (result i32) (local i32)
            (local.set 1 (i32.const 4096))
            (loop $again
              (drop (i32.load (local.get 1)))
              (local.set 1 (global.get $__stack_pointer))
              (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (i32.const 8))"#,
    // An aligned frame is left upwards.
    r#"(func (export "f") (param i32) (result i32)
            (drop (i32.load offset=8 (i32.and (global.get $__stack_pointer) (i32.const -16)))) (i32.const 8))"#,
    // An object is compared with the end of the stack, here and in another function.
    r#"(func (export "f") (param i32) (result i32)
            (i32.shl (i32.lt_u (i32.sub (global.get $__stack_pointer) (i32.const 16)) (i32.const 4096)) (i32.const 3)))"#,
    r#"(func $below (param i32 i32) (result i32) (i32.lt_u (local.get 0) (local.get 1)))
           (func (export "f") (param i32) (result i32)
            (i32.shl (call $below (i32.sub (global.get $__stack_pointer) (i32.const 16)) (i32.const 4096)) (i32.const 3)))"#,
    // Constants of the region: accessed, filled, passed, with an index, counted up, of an alignment's size.
    r#"(func (export "f") (param i32) (result i32) (i32.store (i32.const 4000) (i32.const 8)) (i32.const 8))"#,
    r#"(func (export "f") (param i32) (result i32)
            (memory.fill (i32.const 4000) (i32.const 8) (i32.const 4)) (i32.const 8))"#,
    r#"(func (export "f") (param i32) (result i32) (call $leaf (i32.const 4000)) (i32.const 8))"#,
    r#"(func (export "f") (param i32) (result i32)
            (i32.store offset=160 (i32.mul (local.get 0) (i32.const 4)) (i32.const 8)) (i32.const 8))"#,
    r#"(func (export "f") (param i32) (result i32) (local $p i32)
            (local.set $p (i32.const 160))
            (loop $again
              (i32.store (local.get $p) (i32.const 8))
              (br_if $again (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 4))) (i32.const 200))))
            (i32.const 8))"#,
    r#"(func (export "f") (param i32) (result i32) (call $leaf (i32.const 4)) (i32.const 8))"#,
    // The sign of an object's address, and whether it is on the heap, here and in another function.
    r#"(func (export "f") (param i32) (result i32)
            (i32.shl (i32.ge_s (i32.sub (global.get $__stack_pointer) (i32.const 16)) (i32.const 0)) (i32.const 3)))"#,
    r#"(func $is_heap (param i32) (result i32) (i32.ge_u (local.get 0) (i32.const 8192)))
           (func (export "f") (param i32) (result i32)
            (i32.sub (i32.const 8) (call $is_heap (i32.sub (global.get $__stack_pointer) (i32.const 16)))))"#,
    // Below the end of the stack; a constant of 64 bits.
    r#"(func (export "f") (param i32) (result i32)
            (drop (i32.load (i32.sub (i32.const 4096) (i32.shl (local.get 0) (i32.const 2))))) (i32.const 8))"#,
    r#"(func (export "f") (param i32) (result i32) (drop (i32.load (i32.wrap_i64 (i64.const 4000)))) (i32.const 8))"#,
    // A pointer that is a constant of the region on one path, in a local: met at an end, at an `else`, at a loop.
    r#"(func (export "f") (param i32) (result i32) (local $p i32)
            (local.set $p (i32.load (i32.const 4096)))
            (block $other (br_if $other (local.get 0)) (local.set $p (i32.const 160)))
            (drop (i32.load (local.get $p))) (i32.const 8))"#,
    r#"(func (export "f") (param i32) (result i32) (local $p i32)
            (if (local.get 0) (then (local.set $p (i32.load (i32.const 4096)))) (else (local.set $p (i32.const 160))))
            (drop (i32.load offset=4 (local.get $p))) (i32.const 8))"#,
    r#"(func (export "f") (param i32) (result i32) (local $p i32)
            (local.set $p (i32.load (i32.const 4096)))
            (loop $again
              (drop (i32.load (local.get $p)))
              (local.set $p (i32.const 160))
              (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (i32.const 8))"#,
];

#[test]
fn what_compilers_do_not_do_keeps_the_stack_in_memory() {
    for functions in SUSPICIOUS {
        let module = compile(functions, ShadowStack::Auto).expect("it compiles");
        assert!(!is_native(&module), "{functions}");
        assert_eq!(call(&module, "f", &[1]), Ok(vec![8]), "{functions}");
        // Functions that only compute are the host's, and then nothing moves.
        let is_for_host = functions.contains("(i32.shl (i32.");
        if !functions.contains("i32.const -16") && !is_for_host {
            assert!(compile(functions, ShadowStack::Native).is_ok(), "{functions}");
        }
        // This code is unreachable.
        let unreachable = functions.replace(r#"(export "f")"#, "");
        let module = compile(&format!("{FITS} {unreachable}"), ShadowStack::Auto).expect("it compiles");
        assert!(is_native(&module), "{functions}");
    }
}

#[test]
fn pointers_to_the_end_and_empty_slices_fit() {
    let functions = [
        r#"(func (export "f") (param i32) (result i32) (local $f i32)
            (global.set $__stack_pointer (local.tee $f (i32.sub (global.get $__stack_pointer) (i32.const 16))))
            (i32.store (local.get $f) (i32.add (local.get $f) (i32.const 16)))
            (call $leaf (local.get $f))
            (global.set $__stack_pointer (i32.add (local.get $f) (i32.const 16)))
            (i32.const 8))"#,
        r#"(func $first (param i32 i32) (result i32)
            (if (result i32) (local.get 1) (then (i32.load (local.get 0))) (else (i32.const 8))))
           (func (export "f") (param i32) (result i32) (call $first (i32.const 4) (i32.const 0)))"#,
        r#"(func (export "f") (param i32) (result i32)
            (memory.copy (i32.const 4200) (i32.const 1) (i32.const 0)) (i32.const 8))"#,
    ];
    for functions in functions {
        let module = compile(functions, ShadowStack::Auto).expect("it compiles");
        assert!(is_native(&module), "{functions}");
        assert_eq!(call(&module, "f", &[1]), Ok(vec![8]), "{functions}");
    }
}

/// Optimisers give variables of several functions one place, and merge values that are used on some paths only.
#[test]
fn values_that_compilers_merge_fit() {
    // What is below the pointer, after a call: a copy of an object that one path writes.
    let below = |store: &str| {
        format!(
            r#"(func (export "f") (param i32) (result i32) (local $p i32)
                (global.set $__stack_pointer (local.tee $p (i32.sub (global.get $__stack_pointer) (i32.const 32))))
                (global.set $__stack_pointer (i32.add (local.get $p) (i32.const 32)))
                (call $leaf (i32.const 4112))
                (if (local.get 0) (then {store}))
                (i32.store offset=12 (i32.const 4096) (i32.load offset=8 (local.get $p)))
                (i32.const 8))"#
        )
    };
    // A pointer, or a constant that other variants of the value have.
    let variant = |constant: i32, load: &str| {
        format!(
            r#"(func (export "f") (param i32) (result i32) (local $p i32)
                (local.set $p (select (i32.const {constant}) (i32.load offset=16 (i32.const 4096)) (i32.eqz (local.get 0))))
                (if (local.get 0) (then (drop ({load} (local.get $p)))))
                (i32.const 8))"#
        )
    };
    // A word that has the size of the stack, and later a pointer that a callee stores.
    let shared = |call: &str| {
        format!(
            r#"(func (export "f") (param i32) (result i32) (local $p i32)
                (global.set $__stack_pointer (local.tee $p (i32.sub (global.get $__stack_pointer) (i32.const 32))))
                (i32.store offset=4 (local.get $p) (i32.const 4096))
                {call}
                (drop (i32.load (i32.sub (i32.load offset=4 (local.get $p)) (i32.const 16))))
                (global.set $__stack_pointer (i32.add (local.get $p) (i32.const 32)))
                (i32.const 8))"#
        )
    };
    for (functions, native) in [
        (below("(i32.store offset=8 (local.get $p) (i32.const 1))"), true),
        (below("(nop)"), false),
        (variant(11, "i32.load"), true),
        (variant(12, "i32.load"), false),
        (variant(11, "i32.load offset=1"), false),
        (variant(11, "i32.load align=1"), false),
        (variant(11, "i32.load8_u"), false),
        (variant(10, "i32.load16_u"), false),
        (shared("(call $leaf (local.get $p))"), true),
        (shared("(nop)"), false),
    ] {
        let functions = format!("{FITS} {}", functions.replace(r#""f""#, r#""g""#));
        let module = compile(&functions, ShadowStack::Auto).expect("it compiles");
        assert_eq!(is_native(&module), native, "{functions}");
        assert_eq!(call(&module, "g", &[1]), Ok(vec![8]), "{functions}");
    }
    // Without compilers the alignment that an access states means nothing.
    let text = module_with(&format!("{FITS} {}", variant(11, "i32.load").replace(r#""f""#, r#""g""#)));
    let options = with(Floats::Reject, ShadowStack::Auto, OptLevel::O2);
    let module = compile_text(&text.replace("$__stack_pointer", "$s"), &options).expect("it compiles");
    assert!(!is_native(&module));
}

/// Compilers give one local to several variables, and the one that meets the address is not in use any more.
#[test]
fn leftovers_in_locals_fit() {
    let functions = [
        r#"(func (export "f") (param i32) (result i32) (local $p i32)
            (local.set $p (i32.load (i32.const 4096)))
            (block $other (br_if $other (local.get 0)) (local.set $p (i32.const 160)))
            (local.set $p (i32.const 4096))
            (drop (i32.load (local.get $p))) (i32.const 8))"#,
        // Around an outer loop, too, whose first turn has null.
        r#"(func (export "f") (param i32) (result i32) (local $p i32) (local $q i32)
            (loop $outer
              (if (local.get $p) (then
                (local.set $q (i32.add (local.get $p) (i32.const 220)))
                (loop $inner
                  (drop (i32.load (local.get $q)))
                  (br_if $inner (i32.eqz (local.tee $q (i32.load (i32.const 4112))))))
                (local.set $q (i32.const 160))))
              (local.set $p (i32.const 4096))
              (br_if $outer (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (i32.const 8))"#,
    ];
    for functions in functions {
        let module = compile(functions, ShadowStack::Auto).expect("it compiles");
        assert!(is_native(&module), "{functions}");
        assert_eq!(call(&module, "f", &[1]), Ok(vec![8]), "{functions}");
    }
}

#[test]
fn empty_segments_are_no_data() {
    let text = module_with(FITS).replace("(data (", "(data (i32.const 4090) \"\") (data (");
    let module =
        compile_text(&text, &with(Floats::Reject, ShadowStack::Auto, OptLevel::O0)).expect("it compiles");
    assert!(is_native(&module));
}

#[test]
fn a_stack_without_room_stays_in_memory() {
    for (limit, native) in [(None, true), (Some(4096), true), (Some(4095), false)] {
        let options = llvm_frontend::Options {
            shadow_stack_limit: limit,
            ..with(Floats::Reject, ShadowStack::Auto, OptLevel::O2)
        };
        let module = compile_text(&module_with(FITS), &options).expect("it compiles");
        assert_eq!(is_native(&module), native, "{limit:?}");
    }
}

/// With bounds checks the stack has to be in linear memory, with nothing else in the way.
#[test]
fn the_stack_takes_the_place_of_the_shadow_stack() {
    let is_in_place = |text: &str, stack_in_memory: bool| {
        let options = llvm_frontend::Options {
            bounds: llvm_frontend::Bounds::Strict,
            stack_in_memory,
            ..with(Floats::Reject, ShadowStack::Auto, OptLevel::O2)
        };
        let module = compile_text(text, &options).expect("it compiles");
        is_native(&module)
    };
    let fits = module_with(FITS);
    assert!(is_in_place(&fits, true) && !is_in_place(&fits, false));
    // A function that keeps its part, data below, data of unknown place, no frame at all.
    let keeps = module_with(&format!("{} {}", FITS.replace("(func", "(func $f"), KEPT[0]));
    assert!(!is_in_place(&keeps, true));
    let below =
        fits.replace("(i32.const 4096)) (data (i32.const 4096)", "(i32.const 73728)) (data (i32.const 1024)");
    assert!(!is_in_place(&below, true));
    let without = fits.replace("(data (i32.const 4096) \"data\")", "");
    assert!(!is_in_place(&without, true));
    let end = "(global (export \"__data_end\") i32 (i32.const 5000))";
    assert!(is_in_place(&without.replace("(func $leaf", &format!("{end} (func $leaf")), true));
    let unused = module_with("(func (export \"f\") (result i32) (i32.load (i32.const 4096)))");
    assert!(!is_in_place(&unused, true));
}

#[test]
fn statics_below_the_stack_fit() {
    let text = |address: u32| {
        module_with(FITS)
            .replace("(i32.const 4096)) (data (i32.const 4096)", "(i32.const 73728)) (data (i32.const 1024)")
            .replace("(i32.const 42)", &format!("(i32.load (i32.const {address}))"))
    };
    // 64 KiB are stack; there may be zeros between data and stack.
    for (address, native) in [(1024, true), (8000, true), (9000, false), (73720, false), (73728, true)] {
        let options = with(Floats::Reject, ShadowStack::Auto, OptLevel::O2);
        let module = compile_text(&text(address), &options).expect("it compiles");
        assert_eq!(is_native(&module), native, "{address}");
    }
}

#[test]
fn a_counter_is_no_stack_pointer() {
    // Neither the toolchain nor a stack can be recognised.
    for functions in [
        r#"(func (export "f") (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g))"#,
        r#"(func (export "f") (result i32) (i32.store (i32.const 100) (i32.const 1)) (global.get $g))"#,
        r#"(func (export "f") (result i32) (i32.const 1))"#,
    ] {
        let text = format!("(module (memory 1) (global $g (mut i32) (i32.const 4096)) {functions})");
        let module =
            compile_text(&text, &with(Floats::Reject, ShadowStack::Auto, OptLevel::O0)).expect("it compiles");
        assert!(!is_native(&module), "{text}");
    }
}

#[test]
fn data_in_the_region_or_an_export_forbid_it() {
    for (from, to) in [
        ("(data (i32.const 4096) \"data\")", "(data (i32.const 4000) \"data\")"),
        ("(data (i32.const 4096) \"data\")", "(export \"sp\" (global $__stack_pointer))"),
        ("(i32.const 4096)) (data", "(i32.const 4090)) (data"),
        ("(memory 2)", "(memory 0)"),
    ] {
        let text = module_with(FITS).replace(from, to);
        let options = with(Floats::Reject, ShadowStack::Native, OptLevel::O0);
        assert!(compile_text(&text, &options).is_err(), "{text}");
    }
}
