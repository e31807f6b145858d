//! Random programs made of what selection has single instructions for, and random programs seldom have: insertions of
//! bit fields, products that are added, constants that are stored side by side.

use std::fmt::Write as _;

use ssa::testing::Rng;
use ssa::{Module, parse_module};

/// A program whose `main` has the parameters `(i32, i32, i64)`.
pub fn module(rng: &mut Rng) -> Module {
    let mut body = Body { text: String::new(), next: 3 };
    let mask = body.value("const.i32 2040");
    let index = body.value(&format!("and.i32 v1, {mask}"));
    let (mut word, mut sum) = ("v0".to_owned(), "v2".to_owned());
    for _ in 0..8 {
        match rng.below(3) {
            0 => word = insertion(rng, &mut body, &word),
            1 => sum = product(rng, &mut body, [&word, "v1"], &sum),
            _ => stores(rng, &mut body, &index),
        }
    }
    let wide = body.value(&format!("zext.i64 {word}"));
    let result = body.value(&format!("xor.i64 {wide}, {sum}"));
    let text = format!(
        "sig (i32, i32, i64) -> (i64)\nmemory @m size=0 align=16 min=65536 page_log2=16\n\
         func $main (i32, i32, i64) -> (i64) {{\nb0(v0: i32, v1: i32, v2: i64):\n{}  return {result}\n}}\n\
         export \"memory\" @m\nexport \"main\" $main\n",
        body.text
    );
    parse_module(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

struct Body {
    text: String,
    next: u32,
}

impl Body {
    fn line(&mut self, line: &str) {
        writeln!(self.text, "  {line}").expect("a string takes it");
    }

    fn value(&mut self, definition: &str) -> String {
        let name = format!("v{}", self.next);
        self.next += 1;
        self.line(&format!("{name} = {definition}"));
        name
    }
}

/// Bits of one word among those of another; now and then the masks don't fit each other.
fn insertion(rng: &mut Rng, body: &mut Body, old: &str) -> String {
    let low = rng.below(32) as u32;
    let width = if rng.one_in(3) { 32 - low } else { 1 + rng.below(32 - low as usize) as u32 };
    let run = u32::MAX >> (32 - width);
    let other_run = if rng.one_in(8) { run >> 1 } else { run };
    let constant = |body: &mut Body, bits: u32| body.value(&format!("const.i32 {}", bits as i32));
    let count = constant(body, low);
    let field = match rng.below(3) {
        0 => {
            let mask = constant(body, other_run << low);
            let shifted = body.value(&format!("shl.i32 v1, {count}"));
            body.value(&format!("and.i32 {shifted}, {mask}"))
        }
        1 => {
            let mask = constant(body, other_run);
            let masked = body.value(&format!("and.i32 v1, {mask}"));
            body.value(&format!("shl.i32 {masked}, {count}"))
        }
        _ => body.value(&format!("shl.i32 v1, {count}")),
    };
    let hole = constant(body, !(run << low));
    let kept = body.value(&format!("and.i32 {old}, {hole}"));
    let [a, b] = if rng.one_in(2) { [kept, field] } else { [field, kept] };
    body.value(&format!("or.i32 {a}, {b}"))
}

/// A product of two words, added to a sum.
fn product(rng: &mut Rng, body: &mut Body, factors: [&str; 2], sum: &str) -> String {
    let extend = rng.pick(&["sext", "zext"]);
    let factors = factors.map(|factor| body.value(&format!("{extend}.i64 {factor}")));
    let product = body.value(&format!("mul.i64 {}, {}", factors[0], factors[1]));
    let [a, b] = if rng.one_in(2) { [sum, &product] } else { [&product, sum] };
    body.value(&format!("add.i64 {a}, {b}"))
}

/// Constants in bytes and half-words that lie together.
fn stores(rng: &mut Rng, body: &mut Body, index: &str) {
    for _ in 0..4 {
        let width = rng.pick(&["u8", "u8", "u16"]);
        let value = body.value(&format!("const.i32 {}", rng.bits() as i32));
        body.line(&format!("store.{width} {value}, [@m + {index} + {}]", rng.below(6)));
    }
}
