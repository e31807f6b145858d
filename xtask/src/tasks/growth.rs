//! Growth of compile time and memory with the size of the input.
//!
//! The modules of a family double in size: more functions, longer call chains, more blocks in one function, and so on.
//! A linear compiler takes twice the time for twice the input. The exponents are `e` of `time ~ size^e` and of
//! `memory ~ size^e` between two successive rows. Sizes exceed the limits above which functions get fewer passes, so a row
//! just above a limit may take less time than the previous row.
//!
//! Each module is compiled in a process of its own, whose peak of resident memory is that of the compilation.

mod families;

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum as _;
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
    println!("| family | size | wasm bytes | seconds | exponent | MiB | exponent |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for family in FAMILIES.iter().filter(|family| family.name.contains(only)) {
        let mut before: Option<Measured> = None;
        for doubling in 0..=DOUBLINGS {
            let size = family.base << doubling;
            let wasm = wat::parse_str((family.text)(size))?;
            let now = Measured::of(&wasm, target)?;
            let [time, memory] = before.map_or([None; 2], |before| now.exponents(before)).map(text);
            println!(
                "| {} | {size} | {} | {:.3} | {time} | {:.1} | {memory} |",
                family.name,
                wasm.len(),
                now.seconds,
                now.bytes / f64::from(1 << 20)
            );
            before = Some(now);
        }
    }
    Ok(())
}

fn text(exponent: Option<f64>) -> String {
    exponent.map_or_else(String::new, |exponent| format!("{exponent:.2}"))
}

/// What a compilation takes.
#[derive(Clone, Copy)]
struct Measured {
    seconds: f64,
    bytes: f64,
}

impl Measured {
    /// Compiles a module in a process of its own.
    fn of(wasm: &[u8], target: Target) -> Result<Self> {
        let target = target.to_possible_value().context("a target has a name")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["growth", "--measure", "--target", target.get_name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("its input")?.write_all(wasm)?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "the compilation fails: {}", output.status);
        let output = String::from_utf8(output.stdout)?;
        let (seconds, bytes) = output.trim().split_once(' ').context("two numbers")?;
        Ok(Self { seconds: seconds.parse()?, bytes: bytes.parse()? })
    }

    /// Of time and memory since a module of half the size.
    fn exponents(self, half: Self) -> [Option<f64>; 2] {
        let exponent = |now: f64, before: f64| (before > 0.0).then(|| (now / before).log2());
        [exponent(self.seconds, half.seconds), exponent(self.bytes, half.bytes)]
    }
}

/// Compiles the module on standard input, and prints the seconds and the bytes that it took.
pub fn measure(target: Target) -> Result<()> {
    let mut wasm = Vec::new();
    std::io::stdin().read_to_end(&mut wasm)?;
    let before = resident("VmRSS:");
    let start = Instant::now();
    wasm_pvm::compile(&wasm, &options(target))?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{seconds} {}", resident("VmHWM:").saturating_sub(before));
    Ok(())
}

fn options(target: Target) -> Options {
    match target {
        Target::Pvm => Options::default(),
        Target::Thumb => Options::new(ThumbOptions {
            memory: MemoryMode::Symbol,
            // A bounds check for every access would change the shape of the functions.
            bounds: Some(ThumbBounds::None),
            ..ThumbOptions::default()
        }),
    }
}

/// Resident bytes of this process, now or at most so far; 0 where the system doesn't tell.
fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}
