//! Random modules of atomic operators: accesses, read-modify-write, compare-and-exchange, wait and notify of all widths,
//! on shared and other memories of both address widths, between accesses that are not atomic.
//!
//! Most addresses are multiples of the width and within memory, so that many operators run before one traps. Every
//! result goes into a word that the function returns, so a wrong one shows.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use random::Rng;
use wasm_pvm::{Cpu, Floats, GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

use crate::fuzz::Verdict;
use crate::judge;
use crate::program::Pvm;
use crate::thumb::Setup;

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];

/// Type, suffix of the operator, and width in bytes of accesses.
const WIDTHS: [(&str, &str, u32); 7] = [
    ("i32", "", 4),
    ("i32", "8", 1),
    ("i32", "16", 2),
    ("i64", "", 8),
    ("i64", "8", 1),
    ("i64", "16", 2),
    ("i64", "32", 4),
];

struct Maker {
    random: Rng,
    text: String,
    /// Whether addresses are i64.
    is_wide: bool,
    /// Whether a wait may be one that never ends.
    waits_forever: bool,
}

/// A random module.
///
/// # Errors
/// If its text is not well-formed.
pub fn module(mut random: Rng, waits_forever: bool) -> Result<Vec<u8>> {
    let is_wide = random.one_in(4);
    let index = if is_wide { "i64" } else { "i32" };
    let shared = if random.one_in(4) { "" } else { "shared" };
    let mut maker = Maker { random, text: String::new(), is_wide, waits_forever };
    writeln!(maker.text, "(module (memory (export \"memory\") {index} 1 2 {shared})")?;
    let bytes: String = (0..64).map(|_| format!("\\{:02x}", maker.random.bits() as u8)).collect();
    writeln!(maker.text, "(data ({index}.const 0) \"{bytes}\")")?;
    for n in 0..4 {
        maker.function(n);
    }
    maker.text.push(')');
    wat::parse_str(&maker.text).context(maker.text)
}

impl Maker {
    fn function(&mut self, n: usize) {
        self.text.push_str(&format!(
            "(func (export \"f{n}\") (param i32 i64) (result i64) (local $x i32) (local $y i64)\n"
        ));
        for _ in 0..2 + self.random.below(12) {
            let statement = self.statement();
            self.text.push_str(&statement);
            self.text.push('\n');
        }
        self.text.push_str("(i64.xor (local.get $y) (i64.extend_i32_u (local.get $x))))\n");
    }

    /// An address for accesses of a width, and the static offset.
    fn address(&mut self, width: u32) -> String {
        let (kind, random) = (self.random.below(24), self.random.below(64) as u32);
        let slot = random / width * width;
        let any = ["(local.get 0)", "(local.get $x)"][self.random.below(2)];
        let masked = format!("(i32.and {any} (i32.const {}))", 63 & !(width - 1));
        let offset = if self.random.one_in(3) { slot } else { 0 };
        let address = match kind {
            0 => any.to_owned(),
            1 => format!("(i32.const {random})"),
            2 => format!("(i32.const {})", 65536 - width),
            3 => format!("(i32.const {})", 65536 - 8 + (random & 15)),
            4..10 => format!("(i32.const {slot})"),
            _ => masked,
        };
        let wide = if self.random.one_in(16) { "i64.extend_i32_s" } else { "i64.extend_i32_u" };
        let address = if self.is_wide { format!("({wide} {address})") } else { address };
        format!("offset={offset} {address}")
    }

    fn value(&mut self, ty: &str) -> String {
        let number = self.random.interesting();
        match (ty, self.random.below(4)) {
            ("i32", 0) => format!("(i32.const {})", number as i32),
            ("i32", 1) => "(local.get 0)".to_owned(),
            ("i32", 2) => "(i32.wrap_i64 (local.get $y))".to_owned(),
            ("i32", _) => "(local.get $x)".to_owned(),
            (_, 0) => format!("(i64.const {number})"),
            (_, 1) => "(local.get 1)".to_owned(),
            (_, 2) => "(i64.extend_i32_s (local.get $x))".to_owned(),
            _ => "(local.get $y)".to_owned(),
        }
    }

    /// Mixes a value into a local variable.
    fn mix(ty: &str, value: &str) -> String {
        let local = if ty == "i32" { "$x" } else { "$y" };
        format!("(local.set {local} ({ty}.add ({ty}.rotl (local.get {local}) ({ty}.const 5)) {value}))")
    }

    fn statement(&mut self) -> String {
        let (ty, bits, width) = WIDTHS[self.random.below(WIDTHS.len())];
        let unsigned = if bits.is_empty() { "" } else { "_u" };
        match self.random.below(12) {
            0 | 1 => {
                let address = self.address(width);
                Self::mix(ty, &format!("({ty}.atomic.load{bits}{unsigned} {address})"))
            }
            2 | 3 => {
                let (address, value) = (self.address(width), self.value(ty));
                format!("({ty}.atomic.store{bits} {address} {value})")
            }
            4..7 => {
                let op = ["add", "sub", "and", "or", "xor", "xchg"][self.random.below(6)];
                let (address, value) = (self.address(width), self.value(ty));
                Self::mix(ty, &format!("({ty}.atomic.rmw{bits}.{op}{unsigned} {address} {value})"))
            }
            7 | 8 => {
                let (address, new) = (self.address(width), self.value(ty));
                // Often the value that is there.
                let expected = match self.random.below(2) {
                    0 => format!("({ty}.atomic.load{bits}{unsigned} {address})"),
                    _ => self.value(ty),
                };
                let op = format!("{ty}.atomic.rmw{bits}.cmpxchg{unsigned}");
                Self::mix(ty, &format!("({op} {address} {expected} {new})"))
            }
            9 => self.wait(),
            10 => {
                let (address, count) = (self.address(4), self.value("i32"));
                Self::mix("i32", &format!("(memory.atomic.notify {address} {count})"))
            }
            _ => {
                let (address, value) = (self.address(1), self.value("i64"));
                format!("(i64.store {address} {value}) (atomic.fence)")
            }
        }
    }

    fn wait(&mut self) -> String {
        let (ty, width) = if self.random.one_in(2) { ("i32", 4) } else { ("i64", 8) };
        let (address, value) = (self.address(width), self.value(ty));
        let expected = match self.random.below(2) {
            0 => format!("({ty}.atomic.load {address})"),
            _ => value,
        };
        let timeout = match self.random.below(8) {
            0 if self.waits_forever => -1,
            _ => self.random.interesting() & i64::MAX,
        };
        Self::mix(
            "i32",
            &format!("(memory.atomic.wait{} {address} {expected} (i64.const {timeout}))", width * 8),
        )
    }
}

/// Compares the module of a seed on the PVM with the judge.
///
/// # Errors
/// A disagreement.
pub fn check_pvm(seed: u64) -> Result<Verdict> {
    let level = LEVELS[seed as usize % 4];
    let gp = if seed.is_multiple_of(3) { GpVersion::V072 } else { GpVersion::V08 };
    let target = PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() };
    let options = Options { level, threads: 1, ..Options::new(target) };
    let wasm = module(Rng::new(seed), true)?;
    judge::compare(&wasm, seed, &Pvm { options }).with_context(|| format!("seed {seed} -{level:?} {gp}"))
}

/// Compares the module of a seed on a board with the judge.
///
/// # Errors
/// A disagreement.
pub fn check_board(seed: u64) -> Result<Verdict> {
    let level = LEVELS[seed as usize % 4];
    let setup = Setup::new(Cpu::M3, level, Floats::Reject);
    let wasm = module(Rng::new(seed), false)?;
    judge::compare_on_board(&wasm, seed, setup).with_context(|| format!("seed {seed} -{level:?}"))
}
