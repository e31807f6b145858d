//! Random programs whose functions end alike and call functions alike, for sharing of code between functions.
//!
//! Functions are made of few different statements: stores, of long constants as well, and calls with arguments from a small choice. They end in a
//! return or a tail call. Some keep values across calls, so they save registers and restore them at their ends. `main`
//! calls them all, directly or through a reference.

use std::fmt::Write as _;

use ssa::testing::Rng;
use ssa::{Module, parse_module};

/// Functions with a body of statements.
const FUNCTIONS: u32 = 8;

/// A program whose `main` has the parameters `(i32, i32, i64)`.
pub fn module(rng: &mut Rng) -> Module {
    let mut text = String::from(
        "sig (i32, i32) -> (i32)\nmemory @m size=0 align=16 min=65536 page_log2=16 native_stack=65536\n",
    );
    main(rng, &mut text);
    for n in 0..FUNCTIONS {
        let mut body = Body { text: &mut text, next: 2 };
        body.line(&format!("func $f{n} (i32, i32) -> (i32) optsize {{\nb0(v0: i32, v1: i32):"));
        function(rng, &mut body);
    }
    for (name, op) in [("g", "add"), ("h", "xor")] {
        writeln!(
            text,
            "func ${name} (i32, i32) -> (i32) optsize {{\nb0(v0: i32, v1: i32):\n  v2 = load.u32.i32 [@m + 64]\n  \
             v3 = {op}.i32 v2, v0\n  v4 = mul.i32 v3, v1\n  store.u32 v4, [@m + 64]\n  return v4\n}}"
        )
        .expect("a string takes it");
    }
    text.push_str("export \"memory\" @m\nexport \"main\" $main\n");
    parse_module(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

struct Body<'a> {
    text: &'a mut String,
    next: u32,
}

impl Body<'_> {
    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("a string takes it");
    }

    fn value(&mut self, definition: &str) -> String {
        let name = format!("v{}", self.next);
        self.next += 1;
        self.line(&format!("  {name} = {definition}"));
        name
    }
}

fn main(rng: &mut Rng, text: &mut String) {
    let mut body = Body { text, next: 3 };
    body.line("func $main (i32, i32, i64) -> (i64) {\nb0(v0: i32, v1: i32, v2: i64):");
    let mut sum = "v0".to_owned();
    for n in 0..FUNCTIONS {
        let result = body.value(&format!("call $f{n}(v1, {sum})"));
        sum = body.value(&format!("{}.i32 {result}, {sum}", rng.pick(&["add", "xor"])));
    }
    let wide = body.value(&format!("zext.i64 {sum}"));
    let result = body.value(&format!("add.i64 {wide}, v2"));
    body.line(&format!("  return {result}\n}}"));
}

/// The statements of a function and its end.
fn function(rng: &mut Rng, body: &mut Body<'_>) {
    let mut word = "v0".to_owned();
    let is_branching = rng.one_in(2);
    for n in 0..1 + rng.below(4) {
        if is_branching && n == 1 {
            let condition = body.value(&format!("icmp.lt_u.i32 {word}, v1"));
            body.line(&format!("  branch {condition}, b1, b2\nb1:"));
            end(rng, body, &word);
            body.line("b2:");
        }
        word = statement(rng, body, &word);
    }
    end(rng, body, &word);
    body.line("}");
}

fn statement(rng: &mut Rng, body: &mut Body<'_>, word: &str) -> String {
    match rng.below(4) {
        0 => {
            let constant = rng.pick(&[0x1234_5678_9abc_def1_i64, -0x1234_5678_9abc_def1]);
            let constant = body.value(&format!("const.i64 {constant}"));
            body.line(&format!("  store.i64 {constant}, [@m + {}]", 32 + 8 * rng.below(2)));
            word.to_owned()
        }
        1 => {
            for n in 0..1 + rng.below(3) {
                body.line(&format!("  store.u32 v1, [@m + {}]", 4 * (2 * n + rng.below(2))));
            }
            word.to_owned()
        }
        _ => call(rng, body, "call", word),
    }
}

/// A call of one of two functions, with arguments from a small choice.
fn call(rng: &mut Rng, body: &mut Body<'_>, kind: &str, word: &str) -> String {
    let constant = body.value(&format!("const.i32 {}", 70_000 + rng.below(2)));
    let args = match rng.below(4) {
        0 => format!("{word}, {constant}"),
        1 => format!("{constant}, v1"),
        2 => format!("{constant}, {constant}"),
        _ => {
            let sum = body.value(&format!("add.i32 {word}, {constant}"));
            format!("{sum}, v1")
        }
    };
    let callee = rng.pick(&["g", "h"]);
    match kind {
        "call" => body.value(&format!("call ${callee}({args})")),
        _ => {
            body.line(&format!("  {kind} ${callee}({args})"));
            String::new()
        }
    }
}

fn end(rng: &mut Rng, body: &mut Body<'_>, word: &str) {
    match rng.below(4) {
        0 => {
            call(rng, body, "tail_call", word);
        }
        1 => body.line(&format!("  return {word}")),
        _ => {
            let called = call(rng, body, "call", word);
            let sum = body.value(&format!("sub.i32 {called}, v1"));
            body.line(&format!("  return {sum}"));
        }
    }
}
