//! How compile time grows with the input.
//!
//! Three families of modules double in size: more functions, more blocks in one function, more instructions in one
//! block. A linear compiler takes twice the time for twice the input; the last column is the exponent `e` of
//! `time ~ size^e` between a row and the one before.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::Result;
use wasm_pvm::Options;

/// A family: what grows, the text of a module of a size, and the smallest size.
type Family = (&'static str, fn(usize) -> String, usize);

/// Sizes of the smallest module of each family, in functions, blocks or instructions, and how often it doubles.
const FAMILIES: [Family; 3] =
    [("functions", functions, 500), ("blocks", blocks, 1000), ("instructions", instructions, 4000)];
const DOUBLINGS: u32 = 5;

/// Compiles every family and prints its times.
pub fn run() -> Result<()> {
    println!("| family | size | wasm bytes | seconds | exponent |");
    println!("|---|--:|--:|--:|--:|");
    for (name, generate, base) in FAMILIES {
        let mut before: Option<f64> = None;
        for doubling in 0..=DOUBLINGS {
            let size = base << doubling;
            let wasm = wat::parse_str(generate(size))?;
            let start = Instant::now();
            wasm_pvm::compile(&wasm, &Options::default())?;
            let seconds = start.elapsed().as_secs_f64();
            let exponent = before.map_or("".to_owned(), |before| format!("{:.2}", (seconds / before).log2()));
            println!("| {name} | {size} | {} | {seconds:.3} | {exponent} |", wasm.len());
            before = Some(seconds);
        }
    }
    Ok(())
}

/// Many functions; each calls the one of half its number.
fn functions(count: usize) -> String {
    let mut text = String::from("(module (memory 1)\n(func $f0 (param i32) (result i32) local.get 0)\n");
    for n in 1..count {
        let callee = n / 2;
        writeln!(
            text,
            "(func $f{n} (param i32) (result i32)
               (i32.store offset={n} (local.get 0) (i32.mul (local.get 0) (i32.const {n})))
               (if (result i32) (i32.eq (local.get 0) (i32.const {n}))
                 (then (i32.load (local.get 0))) (else (call $f{callee} (i32.add (local.get 0) (i32.const 1))))))"
        )
        .expect("writing to a string");
    }
    writeln!(text, "(export \"f\" (func $f{})))", count - 1).expect("writing to a string");
    text
}

/// One function of many diamonds that carry values.
fn blocks(count: usize) -> String {
    let mut text = String::from("(module (memory 1) (func (export \"f\") (param i32 i32) (result i32)\n");
    for n in 0..count {
        writeln!(
            text,
            "(if (i32.lt_u (i32.load offset={n} (local.get 0)) (local.get 1))
               (then (local.set 0 (i32.add (local.get 0) (i32.const {n}))))
               (else (local.set 1 (i32.xor (local.get 1) (local.get 0)))))"
        )
        .expect("writing to a string");
    }
    text.push_str("(i32.add (local.get 0) (local.get 1))))");
    text
}

/// One block of many instructions.
fn instructions(count: usize) -> String {
    let mut text = String::from("(module (memory 1) (func (export \"f\") (param i32 i32) (result i32)\n");
    for n in 0..count / 4 {
        writeln!(
            text,
            "(local.set {} (i32.mul (i32.load offset={n} (local.get 0)) (i32.add (local.get 1) (i32.const {n}))))",
            n % 2
        )
        .expect("writing to a string");
    }
    text.push_str("(i32.add (local.get 0) (local.get 1))))");
    text
}
