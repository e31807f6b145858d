//! Differential testing of functions that are, or nearly are, compiler helpers.
//!
//! A seed picks a body that the compiler recognises, from the kernels or the runtimes, or a loop that is written here.
//! It usually changes the body. Either one constant, operator, offset or local differs. Or a few operators precede the
//! body: they clamp the length, read a global, or treat null, zero, a length, a distance or an alignment differently.
//! The function has the helper's name or none.
//!
//! Calls have constant arguments or ones that are only known at run time. Their ranges overlap, touch the end of memory,
//! and have all small lengths. A compiler that replaces such a function must preserve its behaviour.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use llvm_frontend::{Division, Libcall, Operation};
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions, ShadowStack};

use random::Rng;

use crate::fuzz::compare;
use crate::kernels;
use crate::oracle::Reference;
use crate::program::Pvm;
use crate::runtimes;

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];
/// Fuel for instantiating a module.
const FUEL: u64 = 10_000;
/// The stack pointer; below it is scratch memory, which calls clear afterwards.
const STACK: u32 = 4096;
const SCRATCH: u32 = 512;
/// Addresses that calls read and write, in the middle of memory and at its end.
const MIDDLE: u32 = 0x4000;
const END: u32 = 0x1_0000;

/// A module with a helper, and the bounds mode that suits it.
pub struct Case {
    /// The module.
    pub wasm: Vec<u8>,
    /// Whether calls stay inside of memory, so that guard pages are never reached.
    pub is_inside: bool,
    /// The text of the module.
    pub text: String,
}

/// Compares the module of a seed with the reference engine.
///
/// # Errors
/// A disagreement.
pub fn check(seed: u64) -> Result<()> {
    check_with(seed, Rng::new(seed))
}

/// Compares a random module with the reference engine, at a level and for a version by the seed.
///
/// # Errors
/// A disagreement.
pub fn check_with(seed: u64, random: Rng) -> Result<()> {
    let Some(case) = case(random)? else { return Ok(()) };
    let gp = if seed.is_multiple_of(3) { GpVersion::V072 } else { GpVersion::V08 };
    let bounds = if case.is_inside { PvmBounds::Guard } else { PvmBounds::Strict };
    let target = PvmOptions { gp, bounds, ..PvmOptions::default() };
    let level = LEVELS[(seed / 3) as usize % LEVELS.len()];
    // A fused stack leaves a hole in memory.
    let options = Options { level, threads: 1, shadow_stack: ShadowStack::Strict, ..Options::new(target) };
    compare(&case.wasm, seed, &Pvm { options })
        .with_context(|| format!("seed {seed} -{level:?} {gp} {bounds:?}\n{}", case.text))?;
    Ok(())
}

/// A random module; `None` if the change makes it invalid.
pub fn case(mut random: Rng) -> Result<Option<Case>> {
    static BODIES: OnceLock<Vec<(String, String)>> = OnceLock::new();
    let bodies = BODIES.get_or_init(|| bodies().expect("kernels and runtimes can be read"));
    let (name, body) = &bodies[random.below(bodies.len())];
    let is_wide = name.contains("ti3");
    let mut lines: Vec<String> = body.lines().map(str::to_owned).collect();
    let change = random.below(4);
    match change {
        0 => {}
        1 => insert_variant(&mut lines, &mut random, is_wide),
        _ => mutate(&mut lines, &mut random),
    }
    let is_inside = change == 0 && random.one_in(2);
    let mut text = lines.join("\n").replace("i32.const 65536))", &format!("i32.const {STACK}))"));
    let end = text.rfind(')').context("the body ends")?;
    text.truncate(end);
    let calls = if is_wide { wide_calls(&mut random) } else { memory_calls(&mut random, is_inside) };
    text.push_str(&calls);
    let _ = writeln!(
        text,
        "(global $extra (mut i32) (i32.const 1))\n(export \"memory\" (memory 0))\n{})",
        data(&mut random)
    );
    let text = rename(&text, name, random.one_in(2));
    let Ok(wasm) = wat::parse_str(&text) else { return Ok(None) };
    if Reference::new(&wasm, FUEL).is_err() {
        return Ok(None);
    }
    Ok(Some(Case { wasm, is_inside, text }))
}

/// Byte loops as compilers write them without bulk memory.
const LOOPS: [(&str, &str); 3] = [
    (
        "memset",
        "block\nlocal.get 2\ni32.eqz\nbr_if 0\nlocal.get 0\nlocal.set 3\nloop\nlocal.get 3\nlocal.get 1\n\
         i32.store8\nlocal.get 3\ni32.const 1\ni32.add\nlocal.set 3\nlocal.get 2\ni32.const -1\ni32.add\n\
         local.tee 2\nbr_if 0\nend\nend\nlocal.get 0",
    ),
    (
        "memcpy",
        "block\nlocal.get 2\ni32.eqz\nbr_if 0\nlocal.get 0\nlocal.set 3\nloop\nlocal.get 3\nlocal.get 1\n\
         i32.load8_u\ni32.store8\nlocal.get 3\ni32.const 1\ni32.add\nlocal.set 3\nlocal.get 1\ni32.const 1\n\
         i32.add\nlocal.set 1\nlocal.get 2\ni32.const -1\ni32.add\nlocal.tee 2\nbr_if 0\nend\nend\nlocal.get 0",
    ),
    (
        "memcmp",
        "block\nlocal.get 2\ni32.eqz\nbr_if 0\nloop\nlocal.get 0\ni32.load8_u\nlocal.get 1\ni32.load8_u\n\
         i32.sub\nlocal.tee 3\nbr_if 1\nlocal.get 0\ni32.const 1\ni32.add\nlocal.set 0\nlocal.get 1\n\
         i32.const 1\ni32.add\nlocal.set 1\nlocal.get 2\ni32.const -1\ni32.add\nlocal.tee 2\nbr_if 0\nend\nend\n\
         local.get 3",
    ),
];

/// Names and texts of bodies.
fn bodies() -> Result<Vec<(String, String)>> {
    let mut modules: Vec<Vec<u8>> = kernels::all()?.into_iter().map(|kernel| kernel.wasm).collect();
    let folder = runtimes::folder();
    if folder.is_dir() {
        for (_, file) in runtimes::files(&folder)? {
            modules.push(runtimes::decompress(&std::fs::read(file)?)?);
        }
    }
    let mut bodies = BTreeMap::new();
    for wasm in modules {
        for candidate in llvm_frontend::candidates(&wasm)? {
            if let (Some((libcall, _)), Some(form)) = (candidate.recognised, candidate.form) {
                bodies.insert(form, helper_name(libcall).to_owned());
            }
        }
    }
    let head = "(module\n(memory 1)\n(func $f0 (param i32 i32 i32) (result i32) (local i32)";
    bodies.extend(LOOPS.map(|(name, code)| (format!("{head}\n{code}\n)\n)\n"), name.to_owned())));
    Ok(bodies.into_iter().map(|(form, name)| (name, form)).collect())
}

fn helper_name(libcall: Libcall) -> &'static str {
    match libcall.operation {
        Operation::Memcpy => "memcpy",
        Operation::Memmove => "memmove",
        Operation::Memset => "memset",
        Operation::Memcmp => "memcmp",
        Operation::Multi3 => "multi3",
        Operation::Divide(Division::UnsignedQuotient) => "udivti3",
        Operation::Divide(Division::UnsignedRemainder) => "umodti3",
        Operation::Divide(Division::SignedQuotient) => "divti3",
        Operation::Divide(Division::SignedRemainder) => "modti3",
    }
}

/// Gives functions and globals the names that compilers give them, or removes all names.
fn rename(text: &str, helper: &str, named: bool) -> String {
    let has_stack = text.contains("(global $scratch");
    if named {
        let name = if helper.ends_with("3") { format!("__{helper}") } else { helper.to_owned() };
        return text
            .replace("$f0 ", &format!("${name} "))
            .replace("$f0\n", &format!("${name}\n"))
            .replace("$scratch", "$__stack_pointer");
    }
    let mut text = text.replace("(global $scratch", "(global").replace("(global $extra", "(global");
    text = text.replace("$scratch", "0").replace("$extra", if has_stack { "1" } else { "0" });
    for function in (0..10).rev() {
        text = text.replace(&format!("(func $f{function} "), "(func ");
        text = text.replace(&format!("call $f{function}"), &format!("call {function}"));
    }
    text
}

/// Memory with few different byte values, so that comparisons run for a while.
fn data(random: &mut Rng) -> String {
    let mut text = String::new();
    for start in [MIDDLE, END - 0x300] {
        let _ = write!(text, "(data (i32.const {start}) \"");
        for _ in 0..0x300 {
            let byte = if random.one_in(8) { random.bits() as u8 } else { 7 };
            let _ = write!(text, "\\{byte:02x}");
        }
        text.push_str("\")\n");
    }
    text
}

/// Exports that call a memory function with constants, and one whose argument selects the other arguments.
fn memory_calls(random: &mut Rng, is_inside: bool) -> String {
    const LENGTHS: [u32; 26] = [
        0, 1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 100, 200, 255, 256, 257, 0x80,
    ];
    const DISTANCES: [i32; 16] = [0, 1, 2, 3, 4, 5, 8, 16, 31, -1, -3, -4, -8, -17, 0x108, -0x104];
    let mut text = String::new();
    let clear = format!("(memory.fill (i32.const {}) (i32.const 0) (i32.const {SCRATCH}))", STACK - SCRATCH);
    for number in 0..8 {
        let mut length = random.pick(&LENGTHS);
        let mut to = MIDDLE + 0x110 + random.below(16) as u32;
        if !is_inside && random.one_in(3) {
            to = END - length.wrapping_add(random.bits() as u32 % 4);
            length = random.pick(&[length, length + 1, length + 8, 1000, 0x8000_0000, 0x8000_0001, u32::MAX]);
        }
        if !is_inside && random.one_in(4) {
            // No bytes, outside of memory: bodies look at no address then.
            (length, to) = (0, random.pick(&[END + 1, 0x8000_0000, 0xffff_fff0]));
        }
        let from = to.wrapping_add_signed(random.pick(&DISTANCES));
        let (to, from) = if random.one_in(2) { (to, from) } else { (from, to) };
        let _ = writeln!(
            text,
            "(func (export \"c{number}\") (result i32) (call $f0 (i32.const {}) (i32.const {}) (i32.const {})) {clear})",
            to as i32, from as i32, length as i32
        );
    }
    let base = if is_inside || random.one_in(2) { MIDDLE } else { END - 0x140 };
    for number in 0..8 {
        let _ = writeln!(
            text,
            r#"(func (export "v{number}") (param i32) (result i32)
              (call $f0
                (i32.add (i32.const {base}) (i32.and (local.get 0) (i32.const 127)))
                (i32.add (i32.const {base}) (i32.and (i32.shr_u (local.get 0) (i32.const 7)) (i32.const 127)))
                (i32.and (i32.shr_u (local.get 0) (i32.const {})) (i32.const 255))) {clear})"#,
            14 + number
        );
    }
    text
}

/// Exports that call a function for 128-bit arithmetic.
fn wide_calls(random: &mut Rng) -> String {
    let mut text = String::new();
    let clear = format!("(memory.fill (i32.const {}) (i32.const 0) (i32.const {SCRATCH}))", STACK - SCRATCH);
    for number in 0..4 {
        let mut words: Vec<i64> = (0..4).map(|_| random.interesting()).collect();
        if random.one_in(4) {
            words[3] = 0;
        }
        if random.one_in(8) {
            words[2..].fill(0);
        }
        let consts: Vec<String> = words.iter().map(|word| format!("(i64.const {word})")).collect();
        let to = MIDDLE + random.below(64) as u32;
        let consts = consts.join(" ");
        let _ = writeln!(text, "(func (export \"c{number}\") (call $f0 (i32.const {to}) {consts}) {clear})");
        let _ = writeln!(
            text,
            "(func (export \"v{number}\") (param i64 i64 i64 i64) (call $f0 (i32.const {to}) (local.get 0) (local.get 1) (local.get 2) (local.get 3)) {clear})"
        );
        let _ = writeln!(
            text,
            "(func (export \"w{number}\") (param i64 i64 i64) (call $f0 (i32.const {to}) (local.get 0) (local.get 1) (local.get 2) (i64.const 0)) {clear})"
        );
    }
    text
}

/// Operators before the body that change it for some arguments.
fn insert_variant(lines: &mut Vec<String>, random: &mut Rng, is_wide: bool) {
    let number = random.pick(&[1u32, 3, 8, 64, 128, 200, 255, 256]);
    let variant = if is_wide {
        random
            .pick(&[
                "local.get 3 local.get 4 i64.or i64.eqz if return end",
                "local.get 2 i64.const 0 i64.lt_s if return end",
                "local.get 1 local.get 3 i64.eq if return end",
                "local.get 4 i64.const -1 i64.eq if local.get 1 i64.const 1 i64.add local.set 1 end",
                "local.get 1 global.get $extra i64.extend_i32_u i64.add local.set 1",
            ])
            .to_owned()
    } else {
        random
            .pick(&[
                "local.get 2 i32.const N i32.gt_u if i32.const N local.set 2 end",
                "local.get 2 i32.const N i32.eq if local.get 2 i32.const 1 i32.sub local.set 2 end",
                "local.get 2 i32.const N i32.ge_u if local.get 0 return end",
                "local.get 0 i32.eqz if local.get 0 return end",
                "local.get 0 local.get 1 i32.eq if local.get 0 return end",
                "local.get 0 local.get 1 i32.sub i32.const N i32.eq if local.get 0 return end",
                "local.get 0 i32.const 7 i32.and i32.const 5 i32.eq if local.get 0 return end",
                "local.get 2 global.get $extra i32.add local.set 2",
                "local.get 1 i32.const N i32.eq if i32.const 16400 local.set 1 end",
                "local.get 2 i32.eqz if i32.const 1 local.set 2 end",
            ])
            .replace('N', &number.to_string())
    };
    let at = lines.iter().position(|line| line.starts_with("(func $f0 ")).map_or(0, |at| at + 1);
    lines.insert(at, variant);
}

/// Changes one line.
fn mutate(lines: &mut [String], random: &mut Rng) {
    const GROUPS: [&[&str]; 8] = [
        &["add", "sub", "mul", "and", "or", "xor"],
        &["shl", "shr_u", "shr_s", "rotl", "rotr"],
        &["eq", "ne", "lt_u", "le_u", "gt_u", "ge_u", "lt_s", "le_s", "gt_s", "ge_s"],
        &["div_u", "rem_u", "div_s"],
        &["clz", "ctz", "popcnt"],
        &["load", "load8_u", "load8_s", "load16_u"],
        &["store", "store8", "store16"],
        &["br_if", "br"],
    ];
    for _ in 0..100 {
        let line = random.pick(&(0..lines.len()).collect::<Vec<_>>());
        let line = &mut lines[line];
        if line.starts_with('(') || line == ")" {
            continue;
        }
        let (head, rest) = line.split_once(' ').map_or((line.as_str(), ""), |(head, rest)| (head, rest));
        let number: Option<i64> = rest.trim_start_matches("offset=").parse().ok();
        if let Some(number) = number.filter(|_| random.one_in(2)) {
            let prefix = if rest.starts_with("offset=") { "offset=" } else { "" };
            let other = match random.below(5) {
                0 => number ^ 1,
                1 => number.wrapping_add(1),
                2 => number.wrapping_mul(2),
                3 => 0,
                _ => number.wrapping_sub(1),
            };
            let changed = format!("{head} {prefix}{other}");
            *line = changed;
            return;
        }
        let (ty, name) = head.split_once('.').unwrap_or(("", head));
        if let Some(group) = GROUPS.iter().find(|group| group.contains(&name)) {
            let other = random.pick(group);
            let ty = if ty.is_empty() { String::new() } else { format!("{ty}.") };
            *line = if rest.is_empty() { format!("{ty}{other}") } else { format!("{ty}{other} {rest}") };
            return;
        }
    }
}
