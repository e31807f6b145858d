//! Families of modules of any size; in each family the number of one kind of item grows.

use std::fmt::Write as _;

/// A family of modules.
pub struct Family {
    /// The item whose number grows.
    pub name: &'static str,
    /// The text of a module of a size.
    pub text: fn(usize) -> String,
    /// The smallest size.
    pub base: usize,
}

/// All families.
pub const FAMILIES: [Family; 14] = [
    Family { name: "functions", text: functions, base: 1000 },
    Family { name: "call chain", text: call_chain, base: 250 },
    Family { name: "calls", text: calls, base: 1000 },
    Family { name: "blocks", text: blocks, base: 1000 },
    Family { name: "conditional stores", text: conditional_stores, base: 1000 },
    Family { name: "checks", text: checks, base: 1000 },
    Family { name: "nested blocks", text: nested_blocks, base: 500 },
    Family { name: "loops", text: loops, base: 100 },
    Family { name: "nested loops", text: nested_loops, base: 50 },
    Family { name: "instructions", text: instructions, base: 4000 },
    Family { name: "constant stores", text: constant_stores, base: 4000 },
    Family { name: "live values", text: live_values, base: 1000 },
    Family { name: "vectors", text: vectors, base: 100 },
    Family { name: "live vectors", text: live_vectors, base: 50 },
];

/// A module with one function: two parameters (an address and a number), a local variable, and the given pieces of
/// code.
fn function(pieces: impl Iterator<Item = String>) -> String {
    let head = "(module (memory 1) (func (export \"f\") (param i32 i32) (result i32) (local $x i32)\n";
    format!("{head}{}\n(i32.add (local.get $x) (i32.add (local.get 0) (local.get 1)))))", join(pieces))
}

fn join(pieces: impl Iterator<Item = String>) -> String {
    pieces.fold(String::new(), |mut text, piece| {
        writeln!(text, "{piece}").expect("writing to a string");
        text
    })
}

/// A function that calls another or returns.
fn calling(n: usize, callee: usize, export: &str) -> String {
    format!(
        "(func $f{n} {export} (param i32) (result i32)
           (i32.store offset={n} (local.get 0) (i32.mul (local.get 0) (i32.const {n})))
           (if (result i32) (i32.eq (local.get 0) (i32.const {n}))
             (then (i32.load (local.get 0))) (else (call $f{callee} (i32.add (local.get 0) (i32.const 1))))))"
    )
}

/// The start of a module, with the function that makes no calls.
const LAST_CALLEE: &str = "(module (memory 1)\n(func $f0 (param i32) (result i32) local.get 0)\n";

/// Many functions; function n calls function n / 2, and functions without callers are exported.
fn functions(count: usize) -> String {
    let export = |n: usize| if n >= count / 2 { format!("(export \"f{n}\")") } else { String::new() };
    format!("{LAST_CALLEE}{})", join((1..count).map(|n| calling(n, n / 2, &export(n)))))
}

/// A chain of functions; each calls the previous one.
fn call_chain(count: usize) -> String {
    let all = join((1..count).map(|n| calling(n, n - 1, "")));
    format!("{LAST_CALLEE}{all}(export \"f\" (func $f{})))", count - 1)
}

/// One function that calls a small one with a loop many times.
fn calls(count: usize) -> String {
    let all = join((0..count).map(|_| "(local.set 0 (call $g (local.get 0)))".to_owned()));
    format!(
        "(module (memory 1)
         (func $g (param i32) (result i32) (local i32)
           (loop $l
             (i32.store (local.get 0) (local.get 1))
             (local.set 1 (i32.add (local.get 1) (i32.const 3)))
             (br_if $l (i32.lt_u (local.get 1) (local.get 0))))
           (local.get 1))
         (func (export \"f\") (param i32) (result i32)\n{all}(local.get 0)))"
    )
}

/// Diamonds that carry values.
fn blocks(count: usize) -> String {
    function((0..count).map(|n| {
        format!(
            "(if (i32.lt_u (i32.load offset={n} (local.get 0)) (local.get 1))
               (then (local.set 0 (i32.add (local.get 0) (i32.const {n}))))
               (else (local.set 1 (i32.xor (local.get 1) (local.get 0)))))"
        )
    }))
}

/// Branches on loads around stores.
fn conditional_stores(count: usize) -> String {
    function((0..count).map(|n| {
        format!(
            "(if (i32.lt_u (i32.load offset={} (local.get 0)) (local.get 1))
               (then (i32.store offset={} (local.get 1) (i32.const {n}))))",
            n % 60_000,
            n % 50_000
        )
    }))
}

/// Divisions, each of which may trap.
fn checks(count: usize) -> String {
    function(
        (0..count)
            .map(|n| format!("(local.set 0 (i32.div_u (local.get 0) (i32.load offset={n} (local.get 1))))")),
    )
}

/// Nested blocks with branches out of them from the innermost block and from every level above.
fn nested_blocks(count: usize) -> String {
    let open = (0..count).map(|n| format!("(block $l{n}"));
    let close = (0..count).rev().map(|n| {
        format!(
            "(local.set $x (i32.add (local.get $x) (i32.load offset={n} (local.get 0))))
             (br_if $l{n} (i32.eq (local.get 1) (local.get $x)))
             (br_if {} (i32.eq (local.get $x) (i32.const {n}))))",
            n / 2
        )
    });
    function(open.chain(close))
}

/// Loops in sequence.
fn loops(count: usize) -> String {
    function((0..count).map(|n| {
        format!(
            "(local.set $x (i32.const 0))
             (loop $l
               (i32.store offset={n} (local.get $x)
                 (i32.add (i32.load offset={n} (local.get 0)) (local.get $x)))
               (br_if $l (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 4))) (local.get 1))))"
        )
    }))
}

/// Nested loops.
fn nested_loops(count: usize) -> String {
    let open = (0..count).map(|n| {
        format!("(loop $l{n} (i32.store offset={n} (local.get 0) (i32.add (local.get $x) (i32.const {n})))")
    });
    let close = (0..count).rev().map(|n| {
        format!(
            "(local.set $x (i32.add (local.get $x) (i32.const 1)))
             (br_if $l{n} (i32.lt_u (i32.load offset={n} (local.get 1)) (local.get $x))))"
        )
    });
    function(open.chain(close))
}

/// One block of many instructions.
fn instructions(count: usize) -> String {
    function((0..count / 4).map(|n| {
        format!(
            "(local.set {} (i32.mul (i32.load offset={n} (local.get 0)) (i32.add (local.get 1) (i32.const {n}))))",
            n % 2
        )
    }))
}

/// One block of stores of constants that can be combined.
fn constant_stores(count: usize) -> String {
    function((0..count).map(|n| format!("(i32.store8 offset={n} (local.get 0) (i32.const {}))", n % 7)))
}

/// Values that are all live at once.
fn live_values(count: usize) -> String {
    let loads = (0..count).map(|n| format!("local.get {} i32.load offset={n}", n % 2));
    let operations = (1..count).map(|n| format!("i32.{}", ["add", "xor", "mul"][n % 3]));
    function(loads.chain(operations).chain(["local.set $x".to_owned()]))
}

/// One block of operators on vectors, each with the result before.
fn vectors(count: usize) -> String {
    let all = join((0..count).map(|n| {
        let operator = ["i16x8.mul", "f32x4.min", "i8x16.swizzle", "f32x4.floor"][n % 4];
        let other = if n % 4 == 3 { "" } else { "(v128.load (local.get 0))" };
        format!("(local.set 1 ({operator} (local.get 1) {other}))")
    }));
    format!("(module (memory 1) (func (export \"f\") (param i32 v128) (result v128)\n{all}(local.get 1)))")
}

/// Vectors that are all loaded before the first of them is used.
fn live_vectors(count: usize) -> String {
    let load = |n| format!("(local.set {} (v128.load offset={} (local.get 0)))", n + 1, 16 * n);
    let swizzle = |n: usize| {
        let [a, b] = [n, n + 7].map(|n| n % count + 1);
        format!(
            "(v128.store offset={} (local.get 0) (i8x16.swizzle (local.get {a}) (local.get {b})))",
            16 * (count + n)
        )
    };
    let code = join((0..count).map(load).chain((0..count).map(swizzle)));
    let locals = "v128 ".repeat(count);
    format!("(module (memory 2) (func (export \"f\") (param i32) (local {locals})\n{code}))")
}
