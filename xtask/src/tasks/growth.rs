//! Growth of compile time with the size of the input.
//!
//! The modules of a family double in size: more functions, longer call chains, more blocks in one function, and so on.
//! A linear compiler takes twice the time for twice the input. The last column is the exponent `e` of `time ~ size^e`
//! between two successive rows. Sizes exceed the limits above which functions get fewer passes, so a row just above a
//! limit may take less time than the previous row.

mod families;

use std::time::Instant;

use anyhow::{Result, bail};
use wasm_pvm::{MemoryMode, Options, ThumbBounds, ThumbOptions};

use super::Target;
use families::FAMILIES;

/// Number of times that the smallest module of a family doubles.
const DOUBLINGS: u32 = 5;

/// Compiles every family whose name contains `only`, and prints the times.
pub fn run(only: &str, target: Target) -> Result<()> {
    if !FAMILIES.iter().any(|family| family.name.contains(only)) {
        bail!("no family has `{only}` in its name");
    }
    let options = match target {
        Target::Pvm => Options::default(),
        Target::Thumb => Options::new(ThumbOptions {
            memory: MemoryMode::Symbol,
            // A bounds check for every access would change the shape of the functions.
            bounds: Some(ThumbBounds::None),
            ..ThumbOptions::default()
        }),
    };
    println!("| family | size | wasm bytes | seconds | exponent |");
    println!("|---|--:|--:|--:|--:|");
    for family in FAMILIES.iter().filter(|family| family.name.contains(only)) {
        let mut before: Option<f64> = None;
        for doubling in 0..=DOUBLINGS {
            let size = family.base << doubling;
            let wasm = wat::parse_str((family.text)(size))?;
            let start = Instant::now();
            wasm_pvm::compile(&wasm, &options)?;
            let seconds = start.elapsed().as_secs_f64();
            let exponent = before.map_or("".to_owned(), |before| format!("{:.2}", (seconds / before).log2()));
            println!("| {} | {size} | {} | {seconds:.3} | {exponent} |", family.name, wasm.len());
            before = Some(seconds);
        }
    }
    Ok(())
}
