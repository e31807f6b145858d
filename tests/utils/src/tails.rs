//! Random modules of tail calls: functions of few and many parameters of all types that tail-call each other, directly,
//! through a table, and imports, with their own parameters permuted, with constants and computed values.
//!
//! Chains end because a parameter of every function counts them. Before they go on, functions may call others, keep
//! values live across that, and return early. Results are mixed from all parameters, so a misplaced word changes them.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use wasm_pvm::{Cpu, Floats, GpVersion, OptLevel, Options, PvmOptions};

use random::Rng;

use crate::fuzz::compare;
use crate::program::Pvm;
use crate::thumb::{Setup, Thumb};

const TYPES: [&str; 4] = ["i32", "i64", "f32", "f64"];
const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];
/// Maximum number of parameters of functions of the program, and of imports for the PVM, whose host calls take six.
const MOST_PARAMS: usize = 21;
const MOST_WORDS: usize = 7;
/// Maximum number of steps of a chain.
const HOPS: u64 = 63;

/// Parameters, and the index of the one that counts.
struct Sig {
    params: Vec<&'static str>,
    counter: usize,
}

struct Maker {
    random: Rng,
    types: usize,
    sigs: Vec<Sig>,
    /// The signature of each function.
    funcs: Vec<usize>,
    imports: Vec<Vec<&'static str>>,
    results: Vec<&'static str>,
    text: String,
}

/// A random module, with or without floats. On Cortex-M imports take as many arguments as functions do.
///
/// # Errors
/// If its text is not well-formed.
pub fn module(mut random: Rng, floats: bool, wide_imports: bool) -> Result<Vec<u8>> {
    let types = if floats { 4 } else { 2 };
    let count = match random.below(6) {
        0 => random.below(12),
        1 => 0,
        _ => 1,
    };
    let results = (0..count).map(|_| TYPES[random.below(types)]).collect();
    let mut maker = Maker {
        random,
        types,
        sigs: Vec::new(),
        funcs: Vec::new(),
        imports: Vec::new(),
        results,
        text: String::new(),
    };
    maker.signatures(wide_imports);
    maker.module();
    wat::parse_str(&maker.text).context(maker.text)
}

impl Maker {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn types(&mut self, most: usize) -> Vec<&'static str> {
        let count = self.random.below(most + 1);
        // Many of one type fill its registers.
        let favourite = TYPES[self.random.below(self.types)];
        let types = self.types;
        let pick = |_| if self.random.one_in(2) { favourite } else { TYPES[self.random.below(types)] };
        (0..count).map(pick).collect()
    }

    fn signatures(&mut self, wide_imports: bool) {
        for _ in 0..3 + self.random.below(4) {
            let most = if self.random.one_in(3) { 3 } else { MOST_PARAMS };
            let mut params = self.types(most);
            let counter = self.random.below(params.len() + 1);
            params.insert(counter, "i32");
            self.sigs.push(Sig { params, counter });
        }
        for _ in 0..4 + self.random.below(6) {
            let sig = self.random.below(self.sigs.len());
            self.funcs.push(sig);
        }
        for _ in 0..self.random.below(3) {
            let most = if wide_imports { MOST_PARAMS } else { MOST_WORDS - 1 };
            let params = self.types(most);
            self.imports.push(params);
        }
    }

    fn module(&mut self) {
        let results = list("result", &self.results);
        self.line("(module");
        for n in 0..self.imports.len() {
            // An import returns at most one word.
            let results = if self.results.len() > 1 { "(result i64)" } else { &results };
            let import = format!(
                "(import \"env\" \"x{n}\" (func $x{n} {} {results}))",
                list("param", &self.imports[n])
            );
            self.line(&import);
        }
        for n in 0..self.sigs.len() {
            let ty = format!("(type $t{n} (func {} {results}))", list("param", &self.sigs[n].params));
            self.line(&ty);
        }
        let names: Vec<String> = (0..self.funcs.len()).map(|n| format!("$f{n}")).collect();
        self.line("(memory 1)");
        self.line("(global $seen (mut i64) (i64.const 0))");
        let table =
            format!("(table $table {} funcref) (elem (i32.const 0) {})", names.len(), names.join(" "));
        self.line(&table);
        if self.random.one_in(8) {
            self.line("(export \"table\" (table $table))");
        }
        // Indices come from memory, so that the compiler can't know them.
        let indices: String = (0..names.len()).map(|n| format!("\\{n:02x}\\00\\00\\00")).collect();
        self.line(&format!("(data (i32.const 256) \"{indices}\")"));
        for n in 0..self.funcs.len() {
            self.function(n);
        }
        for n in 0..4 {
            self.entry(n);
        }
        self.line(")");
    }

    /// Pushes `value`, a word of type i64, as another type.
    fn from_word(ty: &str, value: &str) -> String {
        match ty {
            "i32" => format!("(i32.wrap_i64 {value})"),
            "f32" => format!("(f32.reinterpret_i32 (i32.wrap_i64 {value}))"),
            "f64" => format!("(f64.reinterpret_i64 {value})"),
            _ => value.to_owned(),
        }
    }

    /// The word of a local.
    fn to_word(ty: &str, local: usize) -> String {
        match ty {
            "i32" => format!("(i64.extend_i32_s (local.get {local}))"),
            "f32" => format!("(i64.extend_i32_u (i32.reinterpret_f32 (local.get {local})))"),
            "f64" => format!("(i64.reinterpret_f64 (local.get {local}))"),
            _ => format!("(local.get {local})"),
        }
    }

    /// An argument: a local of the type, a constant, or a computed value.
    fn argument(&mut self, ty: &'static str, locals: &[&'static str]) -> String {
        let same: Vec<usize> = (0..locals.len()).filter(|&n| locals[n] == ty).collect();
        match self.random.below(8) {
            0 => Self::from_word(ty, &format!("(i64.const {})", self.random.interesting())),
            1 => {
                let [a, b] = [0; 2].map(|_| self.random.below(locals.len()));
                let (a, b) = (Self::to_word(locals[a], a), Self::to_word(locals[b], b));
                Self::from_word(ty, &format!("(i64.add {a} (i64.rotl {b} (i64.const 7)))"))
            }
            _ if same.is_empty() => {
                let n = self.random.below(locals.len());
                Self::from_word(ty, &Self::to_word(locals[n], n))
            }
            _ => format!("(local.get {})", same[self.random.below(same.len())]),
        }
    }

    fn arguments(&mut self, params: &[&'static str], locals: &[&'static str]) -> Vec<String> {
        params.iter().map(|ty| self.argument(ty, locals)).collect()
    }

    /// A call or tail call of some function with this many hops left.
    fn call(&mut self, tail: &str, hops: &str, locals: &[&'static str]) -> String {
        let callee = self.random.below(self.funcs.len());
        let sig = self.funcs[callee];
        let params = self.sigs[sig].params.clone();
        let mut args = self.arguments(&params, locals);
        args[self.sigs[sig].counter] = hops.to_owned();
        let args = args.join(" ");
        if self.random.one_in(2) {
            let at = 256 + 4 * callee;
            format!("({tail}call_indirect $table (type $t{sig}) {args} (i32.load (i32.const {at})))")
        } else {
            format!("({tail}call $f{callee} {args})")
        }
    }

    /// All locals mixed into one word, with the results of the functions before.
    fn mix(locals: &[&'static str]) -> String {
        let start = "(global.get $seen)".to_owned();
        (0..locals.len()).fold(start, |sum, n| {
            format!("(i64.add (i64.mul {sum} (i64.const 31)) {})", Self::to_word(locals[n], n))
        })
    }

    /// Calls a function and mixes its results into `$seen`.
    fn use_results(&mut self, call: &str, results: &[&'static str], locals: &[&'static str]) {
        self.line(call);
        // Results go to the locals of their types after the others.
        for ty in results.iter().rev() {
            let local = locals.len() + TYPES.iter().position(|other| other == ty).expect("a type");
            let word = Self::to_word(ty, local);
            self.line(&format!("(local.set {local})"));
            self.line(&format!(
                "(global.set $seen (i64.xor (i64.rotl (global.get $seen) (i64.const 9)) {word}))"
            ));
        }
    }

    fn ordinary_call(&mut self, hops: &str, locals: &[&'static str]) {
        if !self.imports.is_empty() && self.random.one_in(3) {
            let n = self.random.below(self.imports.len());
            self.call_import(n, locals);
        } else {
            let call = self.call("", hops, locals);
            let results = self.results.clone();
            self.use_results(&call, &results, locals);
        }
    }

    fn call_import(&mut self, n: usize, locals: &[&'static str]) {
        let params = self.imports[n].clone();
        let args = self.arguments(&params, locals).join(" ");
        let results = if self.results.len() > 1 { vec!["i64"] } else { self.results.clone() };
        self.use_results(&format!("(call $x{n} {args})"), &results, locals);
    }

    fn function(&mut self, n: usize) {
        let sig = self.funcs[n];
        let counter = self.sigs[sig].counter;
        let mut locals = self.sigs[sig].params.clone();
        let params = locals.len();
        let is_exported = self.random.one_in(4);
        let export = if is_exported { format!("(export \"f{n}\")") } else { String::new() };
        self.line(&format!("(func $f{n} {export} (type $t{sig})"));
        let pressure = if self.random.one_in(3) { self.random.below(24) } else { 0 };
        for _ in 0..pressure {
            locals.push(TYPES[self.random.below(self.types)]);
        }
        self.line(&list("local", &[&locals[params..], &TYPES].concat()));
        self.line(&format!("(local.set {counter} (i32.and (local.get {counter}) (i32.const {HOPS})))"));
        let words: Vec<String> =
            self.results.iter().map(|ty| Self::from_word(ty, &Self::mix(&locals[..params]))).collect();
        self.line(&format!("(if (i32.eqz (local.get {counter})) (then {} return))", words.join(" ")));
        for local in params..locals.len() {
            let value = self.argument(locals[local], &locals[..local]);
            self.line(&format!("(local.set {local} {value})"));
        }
        // Another tail call, before or after code that needs a frame.
        if self.random.one_in(2) {
            self.branch_off(counter, &locals);
        }
        if self.random.one_in(2) {
            // Few hops, so that the work does not multiply.
            let hops = format!("(i32.and (i32.shr_u (local.get {counter}) (i32.const 5)) (i32.const 1))");
            self.ordinary_call(&hops, &locals);
        }
        if self.random.one_in(2) {
            self.branch_off(counter, &locals);
        }
        let hops = format!("(i32.sub (local.get {counter}) (i32.const 1))");
        let call = self.call("return_", &hops, &locals);
        self.line(&call);
        self.line(")");
    }

    /// A tail call under a condition, sometimes of an import.
    fn branch_off(&mut self, counter: usize, locals: &[&'static str]) {
        let local = self.random.below(locals.len());
        let word = Self::to_word(locals[local], local);
        let bit = self.random.below(32);
        let is_import = !self.imports.is_empty() && self.results.len() <= 1 && self.random.one_in(2);
        let call = if is_import {
            let n = self.random.below(self.imports.len());
            let params = self.imports[n].clone();
            format!("(return_call $x{n} {})", self.arguments(&params, locals).join(" "))
        } else {
            let hops = format!("(i32.shr_u (local.get {counter}) (i32.const 1))");
            self.call("return_", &hops, locals)
        };
        let seven = if is_import { 7 } else { 1 };
        self.line(&format!(
            "(if (i64.eqz (i64.and (i64.shr_u {word} (i64.const {bit})) (i64.const {seven}))) (then {call}))"
        ));
    }

    /// An export with integer parameters that starts a chain and returns everything as one word.
    fn entry(&mut self, n: usize) {
        let locals = ["i32", "i64"];
        self.line(&format!(
            "(func (export \"e{n}\") (param i32 i64) (result i64) (local i32 i64 f32 f64) (global.set $seen (local.get 1))"
        ));
        let call = self.call("", "(local.get 0)", &locals);
        let results = self.results.clone();
        self.use_results(&call, &results, &locals);
        // Numbers of imports are those of the module only if all are used.
        for import in 0..if n == 0 { self.imports.len() } else { 0 } {
            self.call_import(import, &locals);
        }
        self.line("(global.get $seen))");
    }
}

/// `(keyword types)`, or the empty text for no types.
fn list(keyword: &str, types: &[&'static str]) -> String {
    let mut text = String::new();
    if !types.is_empty() {
        write!(text, "({keyword} {})", types.join(" ")).expect("strings take anything");
    }
    text
}

/// Compares the module of a seed on the PVM.
///
/// # Errors
/// The disagreement with the reference engine.
pub fn check_pvm(seed: u64) -> Result<()> {
    check_pvm_with(seed, Rng::new(seed))
}

/// Compares a random module on the PVM, at a level and for a version by the seed.
///
/// # Errors
/// The disagreement with the reference engine.
pub fn check_pvm_with(seed: u64, random: Rng) -> Result<()> {
    let level = LEVELS[seed as usize % 4];
    let gp = if seed.is_multiple_of(3) { GpVersion::V072 } else { GpVersion::V08 };
    let pvm = PvmOptions { gp, ..PvmOptions::default() };
    // Floats are only moved.
    let options = Options { level, threads: 1, floats: Some(Floats::Trap), ..Options::new(pvm) };
    let bytes = module(random, true, false)?;
    compare(&bytes, seed, &Pvm { options }).with_context(|| format!("seed {seed} -{level:?} {gp}"))?;
    Ok(())
}

/// The cores that modules run on, by seed.
const CORES: [(Cpu, Floats); 4] =
    [(Cpu::M7DP, Floats::Hard), (Cpu::M4F, Floats::Soft), (Cpu::M3, Floats::Trap), (Cpu::M33, Floats::Trap)];

/// Compares the module of a seed on an emulated board.
///
/// # Errors
/// The disagreement with the reference engine.
pub fn check_board(seed: u64) -> Result<()> {
    check_board_with(seed, Rng::new(seed))
}

/// Compares a random module on an emulated board, which the seed chooses.
///
/// # Errors
/// The disagreement with the reference engine.
pub fn check_board_with(seed: u64, random: Rng) -> Result<()> {
    let level = LEVELS[seed as usize % 4];
    let (cpu, floats) = CORES[(seed / 4) as usize % CORES.len()];
    let setup = Setup::new(cpu, level, floats).with_memory_of(seed);
    let bytes = module(random, true, true)?;
    compare(&bytes, seed, &Thumb::shared(setup)?).with_context(|| format!("seed {seed} {cpu} -{level:?}"))?;
    Ok(())
}
