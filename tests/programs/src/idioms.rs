//! Random programs of idioms that selection has special instructions for, and that general random programs seldom
//! contain. The fixtures in `fixtures/idioms` show single ones.
//!
//! The idioms are: bit-field insertion, multiply-accumulate, both halves of products, saturation, shifted operands,
//! constant stores to neighbouring addresses, stack objects with variable indices, incremented pointers, and words in
//! wide parameters.

use std::fmt::Write as _;

use ssa::testing::Rng;
use ssa::{Module, parse_module};

/// A program whose `main` has the parameters `(i32, i32, i64)`.
pub fn module(rng: &mut Rng) -> Module {
    let mut body = Body { text: String::new(), next: 3 };
    let mask = body.value("const.i32 2040");
    let index = body.value(&format!("and.i32 v1, {mask}"));
    let (mut word, mut sum) = ("v0".to_owned(), "v2".to_owned());
    let frame = frame(&mut body);
    for _ in 0..10 {
        match rng.below(8) {
            0 => word = insertion(rng, &mut body, &word),
            1 => sum = product(rng, &mut body, [&word, "v1"], &sum),
            2 => sum = full_product(rng, &mut body, &sum),
            3 => sum = shifted(rng, &mut body, &sum),
            4 => word = saturation(rng, &mut body, &word),
            5 => word = element(rng, &mut body, &frame, &word),
            6 => word = rotated(rng, &mut body, &word),
            _ => stores(rng, &mut body, &index),
        }
    }
    let word = walk(rng, &mut body, &index, &word);
    let arrived = arrival(rng, &mut body, &word);
    let sum = body.value(&format!("{}.i64 {sum}, {arrived}", rng.pick(&["or", "add", "mul"])));
    let wide = body.value(&format!("zext.i64 {word}"));
    let result = body.value(&format!("xor.i64 {wide}, {sum}"));
    let text = format!(
        "sig (i32, i32, i64) -> (i64)\nmemory @m size=0 align=16 min=65536 page_log2=16 native_stack=65536\n\
         func $main (i32, i32, i64) -> (i64) {{\n  slot s0 size=32 align=8\nb0(v0: i32, v1: i32, v2: i64):\n{}  return {result}\n}}\n\
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

/// Bits of one word inserted between those of another; sometimes with masks that don't fit each other.
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

/// Stores of constant bytes and half-words to neighbouring addresses.
fn stores(rng: &mut Rng, body: &mut Body, index: &str) {
    for _ in 0..4 {
        let width = rng.pick(&["u8", "u8", "u16"]);
        let value = body.value(&format!("const.i32 {}", rng.bits() as i32));
        body.line(&format!("store.{width} {value}, [@m + {index} + {}]", rng.below(6)));
    }
}

/// The address of a stack object with known contents.
fn frame(body: &mut Body) -> String {
    let frame = body.value("frame_addr s0");
    for n in 0..8 {
        let value = body.value(&format!("const.i32 {}", 0x0102_0304 * n));
        body.line(&format!("store.u32 {value}, [@m + {frame} + {}]", 4 * n));
    }
    frame
}

/// Changes an element of the stack object and reads another.
fn element(rng: &mut Rng, body: &mut Body, frame: &str, word: &str) -> String {
    let mut place = |body: &mut Body| {
        let mask = body.value("const.i32 24");
        let scale = body.value(&format!("const.i32 {}", rng.below(4)));
        let shifted = body.value(&format!("shl.i32 {word}, {scale}"));
        let index = body.value(&format!("and.i32 {shifted}, {mask}"));
        let [a, b] = if rng.one_in(2) { [frame, &index] } else { [&index, frame] };
        let sum = body.value(&format!("add.i32 {a}, {b}"));
        format!("[@m + {sum} + {}]", rng.below(5))
    };
    let (to, from) = (place(body), place(body));
    let width = rng.pick(&["u8", "u16", "u32"]);
    body.line(&format!("store.{width} {word}, {to}"));
    let loaded = body.value(&format!("load.u32.i32 {from}"));
    body.value(&format!("add.i32 {loaded}, {word}"))
}

/// The upper half of a product, and usually the lower one, before or after it.
fn full_product(rng: &mut Rng, body: &mut Body, sum: &str) -> String {
    let [a, b] = if rng.one_in(2) { [sum, "v2"] } else { ["v2", sum] };
    let upper_first = rng.one_in(2);
    let lower = (!upper_first).then(|| body.value(&format!("mul.i64 {b}, {a}")));
    let upper = body.value(&format!("mulh_u.i64 {a}, {b}"));
    let upper = if rng.one_in(4) { body.value(&format!("xor.i64 {upper}, {sum}")) } else { upper };
    let lower = lower.unwrap_or_else(|| body.value(&format!("mul.i64 {a}, {b}")));
    let lower = if rng.one_in(4) { "v2".to_owned() } else { lower };
    body.value(&format!("sub.i64 {upper}, {lower}"))
}

/// A bitwise operation with a two-word value that is shifted by a constant.
fn shifted(rng: &mut Rng, body: &mut Body, sum: &str) -> String {
    let count = body.value(&format!("const.i64 {}", rng.below(64)));
    let shift = rng.pick(&["shl", "shr_u", "shr_s", "rotl", "rotr"]);
    let shifted = body.value(&format!("{shift}.i64 {sum}, {count}"));
    let op = rng.pick(&["and", "or", "xor", "xor"]);
    let [a, b] = if rng.one_in(2) { [&shifted, "v2"] } else { ["v2", &shifted] };
    let result = body.value(&format!("{op}.i64 {a}, {b}"));
    body.value(&format!("add.i64 {result}, {sum}"))
}

/// A number limited to the range of fewer bits, sometimes to another range.
fn saturation(rng: &mut Rng, body: &mut Body, word: &str) -> String {
    let high = (1i64 << rng.below(32)) - 1 - i64::from(rng.one_in(6));
    let low = if rng.one_in(2) { 0 } else { -high - 1 };
    let spread = body.value("const.i32 13");
    let value = body.value(&format!("shr_s.i32 {word}, {spread}"));
    let [low, high] = [low, high].map(|bound| body.value(&format!("const.i32 {}", bound as i32)));
    let bounded = if rng.one_in(2) {
        let least = body.value(&format!("max_s.i32 {value}, {low}"));
        body.value(&format!("{}.i32 {least}, {high}", rng.pick(&["min_s", "min_u"])))
    } else {
        let most = body.value(&format!("min_s.i32 {value}, {high}"));
        body.value(&format!("max_s.i32 {most}, {low}"))
    };
    body.value(&format!("add.i32 {bounded}, v1"))
}

/// A loop that changes a few elements; the pointer is incremented before or after the access.
fn walk(rng: &mut Rng, body: &mut Body, start: &str, word: &str) -> String {
    let step = rng.pick(&["1", "2", "4", "-4", "8"]);
    let (load, store) =
        rng.pick(&[("u8", "u8"), ("s8", "u8"), ("u16", "u16"), ("s16", "u16"), ("u32", "u32")]);
    let [margin, count, step] = ["64", "5", step].map(|bits| body.value(&format!("const.i32 {bits}")));
    let start = body.value(&format!("add.i32 {start}, {margin}"));
    let names: Vec<String> = (0..3).map(|n| format!("v{}", body.next + n)).collect();
    body.next += 3;
    let [pointer, left, sum] = &names[..] else { unreachable!("there are three") };
    body.line(&format!("jump b1({start}, {count}, {word})"));
    writeln!(body.text, "b1({pointer}: i32, {left}: i32, {sum}: i32):").expect("a string takes it");
    let moved_first = rng.one_in(2).then(|| body.value(&format!("add.i32 {pointer}, {step}")));
    let at = moved_first.clone().unwrap_or_else(|| pointer.clone());
    let offset = rng.pick(&["0", "0", "4", "-4"]);
    let loaded = body.value(&format!("load.{load}.i32 [@m + {at} + {offset}]"));
    let more = body.value(&format!("add.i32 {sum}, {loaded}"));
    if rng.one_in(2) {
        body.line(&format!("store.{store} {more}, [@m + {at} + {offset}]"));
    }
    let moved = moved_first.unwrap_or_else(|| body.value(&format!("add.i32 {pointer}, {step}")));
    let less = body.value("const.i32 -1");
    let rest = body.value(&format!("add.i32 {left}, {less}"));
    let none = body.value("const.i32 0");
    let goes_on = body.value(&format!("icmp.ne.i32 {rest}, {none}"));
    body.line(&format!("branch {goes_on}, b2, b3"));
    body.text.push_str(&format!("b2:\n  jump b1({moved}, {rest}, {more})\nb3:\n"));
    more
}

/// A program optimised for size that branches from many places to one far block.
pub fn far_ends(rng: &mut Rng) -> Module {
    let mut body = Body { text: String::new(), next: 4 };
    let mut word = "v0".to_owned();
    let places = 12 + rng.below(30);
    for n in 0..places {
        for _ in 0..rng.below(8) {
            let constant = body.value(&format!("const.i32 {}", rng.bits() as i32));
            let product = body.value(&format!("mul.i32 {word}, {constant}"));
            word = body.value(&format!("xor.i32 {product}, v1"));
        }
        let limit = body.value(&format!("const.i32 {}", rng.below(64) << 20));
        let cond = rng.pick(&["lt_u", "eq", "ge_s"]);
        let leaves = body.value(&format!("icmp.{cond}.i32 {word}, {limit}"));
        let [out, on] = [2 * n + 1, 2 * n + 2];
        body.line(&format!("branch {leaves}, b{out}, b{on}"));
        body.text.push_str(&format!("b{out}:\n  jump b{}({word})\nb{on}:\n", 2 * places + 1));
    }
    let end = 2 * places + 1;
    let text = format!(
        "sig (i32, i32, i64) -> (i64)\nmemory @m size=0 align=16 min=65536 page_log2=16\n\
         func $main (i32, i32, i64) -> (i64) optsize {{\nb0(v0: i32, v1: i32, v2: i64):\n{}  return v2\n\
         b{end}(v3: i32):\n  v{} = zext.i64 v3\n  v{} = add.i64 v{}, v2\n  return v{}\n}}\n\
         export \"memory\" @m\nexport \"main\" $main\n",
        body.text,
        body.next,
        body.next + 1,
        body.next,
        body.next + 1,
    );
    parse_module(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A word that is shifted for one or several users.
fn rotated(rng: &mut Rng, body: &mut Body, word: &str) -> String {
    let count = body.value(&format!("const.i32 {}", 1 + rng.below(31)));
    let shift = rng.pick(&["shl", "shr_u", "shr_s", "rotl", "rotr"]);
    let shifted = body.value(&format!("{shift}.i32 {word}, {count}"));
    let mut sum = "v1".to_owned();
    for _ in 0..1 + rng.below(3) {
        let op = rng.pick(&["add", "sub", "xor", "or", "and"]);
        let [a, b] = if rng.one_in(2) { [&shifted, &sum] } else { [&sum, &shifted] };
        sum = body.value(&format!("{op}.i32 {a}, {b}"));
    }
    sum
}

/// A wide parameter with a word and constants as incoming values; some of the constants are wide, too.
fn arrival(rng: &mut Rng, body: &mut Body, word: &str) -> String {
    let limit = body.value(&format!("const.i32 {}", rng.bits() as i32));
    let low = body.value(&format!("icmp.lt_u.i32 {word}, {limit}"));
    let bits = if rng.one_in(3) { rng.bits() as i64 } else { rng.bits() as i64 & 0xffff_ffff };
    body.line(&format!("branch {low}, b4, b5"));
    body.text.push_str("b4:\n");
    let constant = body.value(&format!("const.i64 {bits}"));
    body.line(&format!("jump b6({constant})"));
    body.text.push_str("b5:\n");
    let extend = rng.pick(&["zext", "zext", "sext"]);
    let extended = body.value(&format!("{extend}.i64 {word}"));
    body.line(&format!("jump b6({extended})"));
    let arrived = format!("v{}", body.next);
    body.next += 1;
    body.text.push_str(&format!("b6({arrived}: i64):\n"));
    arrived
}
