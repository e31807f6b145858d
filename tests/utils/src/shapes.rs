//! Random modules of shapes that compilers emit and random modules hardly ever have: switches, dense and sparse, with
//! cases that fall through; chains of 64 and 128 bits with carries, partial products and funnel shifts; fields that are
//! inserted and extracted; unaligned accesses of all widths that overlap; values assembled of bytes.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use random::Rng;
use wasm_pvm::{Cpu, Floats, GpVersion, OptLevel, Options, PvmBounds, PvmOptions, ShadowStack};

use crate::fuzz::compare;
use crate::program::Pvm;
use crate::thumb::{Setup, Thumb};

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];
const FUNCTIONS: usize = 4;
/// Statements in a row, at most.
const STATEMENTS: usize = 7;
/// Nesting of statements, at most.
const DEPTH: usize = 2;
/// Nesting of expressions, at most.
const HEIGHT: usize = 3;
const LOADS: [&str; 7] = ["load", "load8_u", "load8_s", "load16_u", "load16_s", "load32_u", "load32_s"];
const STORES: [&str; 4] = ["store", "store8", "store16", "store32"];
const WORDS: [&str; 4] = ["$x", "$y", "$z", "$w"];
const INTS: [&str; 3] = ["$a", "$i", "$k"];

/// The product of two words as two words, as compilers compute it from halves.
const PRODUCT: &str = "(func $product (param $x i64) (param $y i64) (result i64 i64) (local $m i64) (local $l i64) (local $c i64)
  (local.set $l (i64.mul (i64.and (local.get $x) (i64.const 0xffffffff)) (i64.and (local.get $y) (i64.const 0xffffffff))))
  (local.set $m (i64.add (i64.mul (i64.shr_u (local.get $x) (i64.const 32)) (i64.and (local.get $y) (i64.const 0xffffffff)))
    (i64.shr_u (local.get $l) (i64.const 32))))
  (local.set $c (i64.add (i64.and (local.get $m) (i64.const 0xffffffff))
    (i64.mul (i64.and (local.get $x) (i64.const 0xffffffff)) (i64.shr_u (local.get $y) (i64.const 32)))))
  (i64.or (i64.shl (local.get $c) (i64.const 32)) (i64.and (local.get $l) (i64.const 0xffffffff)))
  (i64.add (i64.add (i64.mul (i64.shr_u (local.get $x) (i64.const 32)) (i64.shr_u (local.get $y) (i64.const 32)))
    (i64.shr_u (local.get $m) (i64.const 32))) (i64.shr_u (local.get $c) (i64.const 32))))\n";

struct Maker {
    random: Rng,
    text: String,
    labels: usize,
}

/// A random module.
///
/// # Errors
/// If its text is not well-formed.
pub fn module(random: Rng) -> Result<Vec<u8>> {
    let mut maker = Maker { random, text: String::new(), labels: 0 };
    writeln!(
        maker.text,
        "(module (memory (export \"memory\") 1 1) (global $g (export \"g\") (mut i64) (i64.const 1)) {PRODUCT}"
    )?;
    for function in 0..FUNCTIONS {
        writeln!(
            maker.text,
            "(func $f{function} (export \"f{function}\") (param $a i32) (param $x i64) (param $y i64) (result i64)
              (local $z i64) (local $w i64) (local $i i32) (local $k i32) (local $p i32) (local $n1 i32) (local $n2 i32)
              (local.set $p (i32.add (i32.and (local.get $a) (i32.const 0xfff)) (i32.const 64)))"
        )?;
        let body = maker.statements(DEPTH, function);
        maker.text.push_str(&body);
        maker.text.push_str(
            "(i64.xor (i64.add (local.get $x) (local.get $y)) (i64.xor (i64.rotl (local.get $z) (i64.const 7))
              (i64.add (local.get $w) (i64.extend_i32_s (i32.add (local.get $i) (local.get $k)))))))\n",
        );
    }
    maker.text.push(')');
    wat::parse_str(&maker.text).context(maker.text)
}

impl Maker {
    fn constant(&mut self) -> i64 {
        match self.random.below(4) {
            0 => self.random.interesting(),
            1 => self.random.pick(&[0xff, 0xffff, 0xffff_ffff, 0x8000_0000, i64::MIN, i64::MAX]),
            _ => self.random.below(256) as i64 - 64,
        }
    }

    fn word(&mut self, height: usize) -> String {
        if height == 0 {
            return match self.random.below(4) {
                0 => format!("(i64.const {})", self.constant()),
                _ => format!("(local.get {})", self.random.pick(&WORDS)),
            };
        }
        let height = height - 1;
        match self.random.below(9) {
            0 | 1 => self.operation("i64", height),
            2 => self.field(height),
            3 => self.funnel(height),
            4 => {
                let op = self.random.pick(&["extend_i32_u", "extend_i32_s"]);
                format!("(i64.{op} {})", self.int(height))
            }
            5 => format!("(select {} {} {})", self.word(height), self.word(height), self.int(height)),
            6 => {
                let op = self.random.pick(&["extend8_s", "extend16_s", "extend32_s", "clz", "ctz", "popcnt"]);
                format!("(i64.{op} {})", self.word(height))
            }
            7 => self.load(&LOADS, "i64"),
            _ => self.word(0),
        }
    }

    fn int(&mut self, height: usize) -> String {
        if height == 0 {
            return match self.random.below(4) {
                0 => format!("(i32.const {})", self.constant() as i32),
                _ => format!("(local.get {})", self.random.pick(&INTS)),
            };
        }
        let height = height - 1;
        match self.random.below(7) {
            0 | 1 => self.operation("i32", height),
            2 => format!("(i32.wrap_i64 {})", self.word(height)),
            3 => {
                let op = self
                    .random
                    .pick(&["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"]);
                format!("(i64.{op} {} {})", self.word(height), self.word(height))
            }
            4 => {
                let op = self.random.pick(&["extend8_s", "extend16_s", "clz", "ctz", "popcnt", "eqz"]);
                format!("(i32.{op} {})", self.int(height))
            }
            5 => self.load(&LOADS[..5], "i32"),
            _ => self.int(0),
        }
    }

    /// An operator with two operands; no division traps.
    fn operation(&mut self, ty: &str, height: usize) -> String {
        let operand = |maker: &mut Self| if ty == "i64" { maker.word(height) } else { maker.int(height) };
        let op = self.random.pick(&[
            "add", "sub", "mul", "and", "or", "xor", "shl", "shr_u", "shr_s", "rotl", "rotr", "div_u",
            "rem_u", "div_s", "rem_s",
        ]);
        let (a, b) = (operand(self), operand(self));
        match op {
            // Neither 0 nor -1.
            "div_u" | "rem_u" | "div_s" | "rem_s" => {
                format!("({ty}.{op} {a} ({ty}.or ({ty}.and {b} ({ty}.const 0x7fff)) ({ty}.const 2)))")
            }
            _ => format!("({ty}.{op} {a} {b})"),
        }
    }

    /// Bits of a word, or a word with bits of another.
    fn field(&mut self, height: usize) -> String {
        let (at, width) = (self.random.below(60), 1 + self.random.below(20));
        let mask = (1u64 << width) - 1;
        let word = self.word(height);
        match self.random.below(3) {
            0 => format!("(i64.and (i64.shr_u {word} (i64.const {at})) (i64.const {mask}))"),
            1 => format!("(i64.shr_s (i64.shl {word} (i64.const {at})) (i64.const {}))", 64 - width),
            _ => format!(
                "(i64.or (i64.and {word} (i64.const {})) (i64.shl (i64.and {} (i64.const {mask})) (i64.const {at})))",
                !(mask << at) as i64,
                self.word(height)
            ),
        }
    }

    /// Bits of two words side by side.
    fn funnel(&mut self, height: usize) -> String {
        let (high, low) = (self.word(height), self.word(height));
        if self.random.one_in(2) {
            let by = 1 + self.random.below(63);
            return format!(
                "(i64.or (i64.shl {high} (i64.const {by})) (i64.shr_u {low} (i64.const {})))",
                64 - by
            );
        }
        let by = self.word(0);
        format!("(i64.or (i64.shl {high} {by}) (i64.shr_u {low} (i64.sub (i64.const 64) {by})))")
    }

    fn load(&mut self, loads: &[&str], ty: &str) -> String {
        let (op, offset) = (self.random.pick(loads), self.random.below(24));
        format!("({ty}.{op} offset={offset} align=1 (local.get $p))")
    }

    fn statements(&mut self, depth: usize, function: usize) -> String {
        let count = 1 + self.random.below(STATEMENTS);
        (0..count).map(|_| self.statement(depth, function) + "\n").collect()
    }

    fn statement(&mut self, depth: usize, function: usize) -> String {
        let word = self.random.pick(&WORDS);
        match self.random.below(if depth > 0 { 14 } else { 9 }) {
            0 => format!("(local.set {word} {})", self.word(HEIGHT)),
            1 => format!("(local.set {} {})", self.random.pick(&["$i", "$k"]), self.int(HEIGHT)),
            2 | 3 => self.store(),
            4 => self.bytes(word),
            5 | 6 => self.wide(),
            7 if function > 0 => {
                let callee = self.random.below(function);
                format!(
                    "(local.set {word} (call $f{callee} {} {} {}))",
                    self.int(1),
                    self.word(1),
                    self.word(1)
                )
            }
            7 | 8 => {
                format!("(global.set $g (i64.add (i64.rotl (global.get $g) (i64.const 9)) {}))", self.word(1))
            }
            9 => {
                let (body, other) =
                    (self.statements(depth - 1, function), self.statements(depth - 1, function));
                format!("(if {} (then {body}) (else {other}))", self.int(HEIGHT))
            }
            10 => {
                let (rounds, body) = (1 + self.random.below(6), self.statements(depth - 1, function));
                let (label, counter) = (self.label(), ["$n1", "$n2"][depth - 1]);
                format!(
                    "(local.set {counter} (i32.const {rounds})) (loop {label} {body}
                      (br_if {label} (local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))))"
                )
            }
            11 => self.chain(depth, function),
            _ => self.switch(depth, function),
        }
    }

    fn label(&mut self) -> String {
        self.labels += 1;
        format!("$l{}", self.labels)
    }

    fn store(&mut self) -> String {
        let (op, offset, value) = (self.random.pick(&STORES), self.random.below(24), self.word(1));
        if op != "store32" && self.random.one_in(3) {
            return format!("(i32.{op} offset={offset} align=1 (local.get $p) {})", self.int(1));
        }
        format!("(i64.{op} offset={offset} align=1 (local.get $p) {value})")
    }

    /// A word read or written byte by byte, in either order.
    fn bytes(&mut self, word: &str) -> String {
        let (bytes, offset) = (self.random.pick(&[2usize, 3, 4, 8]), self.random.below(20));
        let reversed = self.random.one_in(2);
        let place = |n: usize| offset + if reversed { bytes - 1 - n } else { n };
        if self.random.one_in(2) {
            let store = |n: usize| {
                let value = format!("(i64.shr_u (local.get {word}) (i64.const {}))", 8 * n);
                format!("(i64.store8 offset={} (local.get $p) {value})", place(n))
            };
            return (0..bytes).map(store).collect();
        }
        let load = |n: usize| {
            format!("(i64.shl (i64.load8_u offset={} (local.get $p)) (i64.const {}))", place(n), 8 * n)
        };
        let value = (1..bytes).fold(load(0), |value, n| format!("(i64.or {value} {})", load(n)));
        format!("(local.set {word} {value})")
    }

    /// An operation of 128 bits on the pairs (x, y) and (z, w), low words first.
    fn wide(&mut self) -> String {
        let (low, high) = (self.word(1), self.word(1));
        match self.random.below(6) {
            0 => format!(
                "(local.set $x (i64.add (local.get $z) (local.tee $x {low})))
                 (local.set $y (i64.add (i64.add {high} (local.get $w)) (i64.extend_i32_u (i64.lt_u (local.get $x) (local.get $z)))))"
            ),
            1 => format!(
                "(local.set $y (i64.sub (i64.sub {high} (local.get $w)) (i64.extend_i32_u (i64.lt_u (local.get $x) (local.get $z)))))
                 (local.set $x (i64.sub (local.get $x) (local.get $z)))"
            ),
            2 => format!("(call $product {low} {high}) (local.set $y) (local.set $x)"),
            3 => {
                let op = self.random.pick(&["add128", "sub128"]);
                format!("(i64.{op} {low} {high} (local.get $z) (local.get $w)) (local.set $y) (local.set $x)")
            }
            4 => {
                let op = self.random.pick(&["mul_wide_u", "mul_wide_s"]);
                format!("(i64.{op} {low} {high}) (local.set $w) (local.set $z)")
            }
            _ => {
                let op = self.random.pick(&["lt_u", "lt_s", "gt_u", "ge_s"]);
                format!(
                    "(local.set $i (select (i64.lt_u {low} (local.get $z)) (i64.{op} (local.get $y) (local.get $w))
                      (i64.eq (local.get $y) (local.get $w))))"
                )
            }
        }
    }

    /// Comparisons of one value with constants, as a sparse switch becomes.
    fn chain(&mut self, depth: usize, function: usize) -> String {
        let (end, value) = (self.label(), self.int(1));
        let mut text = format!("(block {end} (local.set $k {value})\n");
        for _ in 0..1 + self.random.below(6) {
            let (key, body) = (self.constant() as i32, self.statement(depth - 1, function));
            let op = self.random.pick(&["eq", "eq", "ne", "lt_u", "gt_s"]);
            text += &format!("(if (i32.{op} (local.get $k) (i32.const {key})) (then {body} (br {end})))\n");
        }
        text + &self.statement(depth - 1, function) + ")"
    }

    /// A jump table, some of whose cases fall through.
    fn switch(&mut self, depth: usize, function: usize) -> String {
        let cases = 1 + self.random.below(6);
        let entries = 1 + self.random.pick(&[2usize, 5, 9, 40]);
        let end = self.label();
        let labels: Vec<String> = (0..cases).map(|_| self.label()).collect();
        let table: Vec<String> = (0..=entries).map(|_| labels[self.random.below(cases)].clone()).collect();
        let value = self.int(1);
        let value = match self.random.below(3) {
            0 => format!("(i32.sub {value} (i32.const {}))", self.random.below(200) as i64 - 100),
            1 => format!("(i32.and {value} (i32.const {}))", self.random.pick(&[3, 7, 15, 63])),
            _ => value,
        };
        let mut text = format!("(br_table {} {value})", table.join(" "));
        for label in labels {
            let body = match self.random.below(3) {
                // Constants by case, which may become a table.
                0 => format!("(local.set $z (i64.const {}))", self.constant()),
                _ => self.statement(depth - 1, function),
            };
            let leave = if self.random.one_in(3) { String::new() } else { format!("(br {end})") };
            text = format!("(block {label} {text})\n{body} {leave}");
        }
        format!("(block {end} {text})")
    }
}

/// As [`check_pvm_with`] for the module of a seed.
///
/// # Errors
/// A disagreement.
pub fn check_pvm(seed: u64) -> Result<()> {
    check_pvm_with(seed, Rng::new(seed))
}

/// Compares a random module on the PVM with the reference engine, with options by the seed.
///
/// # Errors
/// A disagreement.
pub fn check_pvm_with(seed: u64, random: Rng) -> Result<()> {
    let level = LEVELS[seed as usize % LEVELS.len()];
    let gp = if seed.is_multiple_of(3) { GpVersion::V072 } else { GpVersion::V08 };
    // Every access is inside of memory.
    let bounds = if (seed / 4).is_multiple_of(2) { PvmBounds::Guard } else { PvmBounds::Strict };
    let shadow_stack = if (seed / 8).is_multiple_of(2) { ShadowStack::Auto } else { ShadowStack::Strict };
    let target = PvmOptions { gp, bounds, ..PvmOptions::default() };
    let options = Options { level, shadow_stack, threads: 1, ..Options::new(target) };
    compare(&module(random)?, seed, &Pvm { options })
        .with_context(|| format!("seed {seed} -{level:?} {gp} {bounds:?}"))?;
    Ok(())
}

/// As [`check_board_with`] for the module of a seed.
///
/// # Errors
/// A disagreement.
pub fn check_board(seed: u64) -> Result<()> {
    check_board_with(seed, Rng::new(seed))
}

/// Compares a random module on an emulated board with the reference engine, with core, level and memory by the seed.
///
/// # Errors
/// A disagreement, or there is no board.
pub fn check_board_with(seed: u64, random: Rng) -> Result<()> {
    let level = LEVELS[seed as usize % LEVELS.len()];
    let cpu = [Cpu::M3, Cpu::M0Plus, Cpu::M33, Cpu::M4, Cpu::M23][seed as usize / 4 % 5];
    let setup = Setup::new(cpu, level, Floats::Reject).with_memory_of(seed);
    compare(&module(random)?, seed, &Thumb::shared(setup)?)
        .with_context(|| format!("seed {seed} {cpu} -{level:?}"))?;
    Ok(())
}
