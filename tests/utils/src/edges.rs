//! Random modules of accesses at the edges of memory: several accesses through one pointer at different offsets, pointers
//! that move in loops, sums that wrap, indices with a known bound, ranges of constant length, unused loads, and host calls
//! between accesses, which must have happened when a later access traps.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use random::Rng;
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

use crate::fuzz::compare;
use crate::program::Pvm;

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];
const FUNCTIONS: usize = 6;
/// Statements of a function, at most.
const STATEMENTS: usize = 9;
/// Nesting of statements, at most.
const DEPTH: usize = 2;
const LOADS: [&str; 9] = [
    "i32.load",
    "i32.load8_u",
    "i32.load8_s",
    "i32.load16_u",
    "i32.load16_s",
    "i64.load",
    "i64.load8_u",
    "i64.load32_s",
    "i64.load16_u",
];
const STORES: [&str; 6] =
    ["i32.store", "i32.store8", "i32.store16", "i64.store", "i64.store8", "i64.store32"];

/// Two pointers near an edge of memory, which edge and how near by bits of a parameter.
const POINTERS: &str =
    "(local.set $p (call $edge (local.get $a))) (local.set $q (call $edge (local.get $b)))";
const EDGE: &str = "(func $edge (param $a i32) (result i32) (local $near i32)
  (local.set $near (i32.and (i32.shr_u (local.get $a) (i32.const 2)) (i32.const 63)))
  (if (i32.eqz (i32.and (local.get $a) (i32.const 3))) (then (return (local.get $near))))
  (if (i32.eq (i32.and (local.get $a) (i32.const 3)) (i32.const 1))
    (then (return (i32.sub (i32.const 0) (local.get $near)))))
  (i32.sub (i32.add (i32.mul (memory.size) (i32.const 65536)) (i32.const 16)) (local.get $near)))";

struct Maker {
    random: Rng,
    text: String,
}

/// A random module.
///
/// # Errors
/// If its text is not well-formed.
pub fn module(random: Rng) -> Result<Vec<u8>> {
    let mut maker = Maker { random, text: String::new() };
    let max = maker.random.pick(&["", " 1", " 3"]);
    writeln!(
        maker.text,
        "(module (import \"host\" \"see\" (func $see (param i32) (result i32))) (memory (export \"memory\") 1{max}) (global $g (export \"g\") (mut i32) (i32.const 0)) {EDGE}"
    )?;
    for function in 0..FUNCTIONS {
        writeln!(
            maker.text,
            "(func (export \"f{function}\") (param $a i32) (param $b i32) (result i64)
              (local $p i32) (local $q i32) (local $i i32) (local $j i32) (local $sum i64) {POINTERS}"
        )?;
        maker.statements(DEPTH);
        maker.text.push_str("(local.get $sum))\n");
    }
    maker.text.push(')');
    wat::parse_str(&maker.text).context(maker.text)
}

impl Maker {
    fn statements(&mut self, depth: usize) {
        for _ in 0..=self.random.below(STATEMENTS) {
            let statement = self.statement(depth);
            self.text.push_str(&statement);
            self.text.push('\n');
        }
    }

    fn statement(&mut self, depth: usize) -> String {
        let pointer = self.random.pick(&["$p", "$p", "$q"]);
        match self.random.below(if depth > 0 { 14 } else { 11 }) {
            0..=2 => format!(
                "(local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 5)) {}))",
                self.load()
            ),
            3 | 4 => self.store(),
            5 => format!("(drop {})", self.load()),
            6 => {
                let by = self.constant();
                format!("(local.set {pointer} (i32.add (local.get {pointer}) (i32.const {by})))")
            }
            7 => "(global.set $g (i32.add (global.get $g) (i32.const 1)))".to_owned(),
            8 => self.effect(pointer),
            9 => self.range(),
            10 => format!("(if (i32.lt_u (local.get {pointer}) (i32.const 65000)) (then {}))", self.store()),
            11 => format!("(if (i32.and (local.get $a) (i32.const 64)) (then {}))", self.nested(depth)),
            _ => {
                let (counter, step) = (["$i", "$j"][depth - 1], self.random.pick(&[1, 4, 8, -4, 12]));
                let (rounds, body) = (1 + self.random.below(9), self.nested(depth));
                format!(
                    "(local.set {counter} (i32.const {rounds})) (loop $next{depth} {body}
                      (local.set {pointer} (i32.add (local.get {pointer}) (i32.const {step})))
                      (br_if $next{depth} (local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))))"
                )
            }
        }
    }

    /// Something that the host sees, or that changes what is in bounds.
    fn effect(&mut self, pointer: &str) -> String {
        match self.random.below(4) {
            0 => "(drop (memory.grow (i32.const 1)))".to_owned(),
            1 => format!("(drop (call $see (local.get {pointer})))"),
            _ => "(local.set $sum (i64.xor (local.get $sum) (i64.extend_i32_u (call $see (local.get $i)))))"
                .to_owned(),
        }
    }

    /// A copy or a fill of constant length.
    fn range(&mut self) -> String {
        let (length, to) = (self.random.pick(&[0, 1, 8, 20, 64, 300, 65536]), self.address());
        match self.random.below(2) {
            0 => format!("(memory.fill {to} (i32.wrap_i64 (local.get $sum)) (i32.const {length}))"),
            _ => format!("(memory.copy {to} {} (i32.const {length}))", self.address()),
        }
    }

    fn nested(&mut self, depth: usize) -> String {
        let count = 1 + self.random.below(3);
        (0..count).map(|_| self.statement(depth - 1)).collect::<Vec<_>>().join(" ")
    }

    fn constant(&mut self) -> i64 {
        match self.random.below(5) {
            0 => self.random.pick(&[-1, 1, 65536, -65536, 0x7fff_ffff]),
            _ => self.random.below(64) as i64 - 24,
        }
    }

    fn address(&mut self) -> String {
        let pointer = self.random.pick(&["$p", "$p", "$p", "$q"]);
        match self.random.below(7) {
            0 => format!("(i32.add (local.get {pointer}) (i32.const {}))", self.constant()),
            1 => {
                let mask = self.random.pick(&[0xff, 0xfff, 0xffff, 0x1_ffff]);
                format!("(i32.and (local.get {pointer}) (i32.const {mask}))")
            }
            2 => format!(
                "(i32.add (local.get $i) (i32.const {}))",
                self.random.pick(&[16, 65528, 65532, 65536, 131_070, 1 << 24])
            ),
            3 => format!(
                "(i32.add (local.get {pointer}) (i32.shl (local.get $i) (i32.const {})))",
                self.random.below(4)
            ),
            _ => format!("(local.get {pointer})"),
        }
    }

    fn offset(&mut self) -> u64 {
        match self.random.below(8) {
            0 => self.random.pick(&[65528, 65536, 0xffff_ffff, 1 << 20, (1 << 20) - 4]),
            1..=3 => 0,
            _ => self.random.below(40) as u64,
        }
    }

    fn load(&mut self) -> String {
        let (op, offset, address) = (self.random.pick(&LOADS), self.offset(), self.address());
        let load = format!("({op} offset={offset} {address})");
        if op.starts_with("i32") { format!("(i64.extend_i32_u {load})") } else { load }
    }

    fn store(&mut self) -> String {
        let (op, offset, address) = (self.random.pick(&STORES), self.offset(), self.address());
        let value =
            if op.starts_with("i32") { "(i32.wrap_i64 (local.get $sum))" } else { "(local.get $sum)" };
        format!("({op} offset={offset} {address} {value})")
    }
}

/// Compares the module of a seed with the reference engine.
///
/// # Errors
/// A disagreement.
pub fn check(seed: u64) -> Result<()> {
    check_with(seed, Rng::new(seed))
}

/// Compares a random module with the reference engine under exact bounds, at a level and for a version by the seed.
///
/// # Errors
/// A disagreement.
pub fn check_with(seed: u64, random: Rng) -> Result<()> {
    let gp = if seed.is_multiple_of(3) { GpVersion::V072 } else { GpVersion::V08 };
    let level = LEVELS[seed as usize % LEVELS.len()];
    let pvm = PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() };
    let options = Options { level, threads: 1, ..Options::new(pvm) };
    compare(&module(random)?, seed, &Pvm { options })
        .with_context(|| format!("seed {seed} -{level:?} {gp}"))?;
    Ok(())
}
