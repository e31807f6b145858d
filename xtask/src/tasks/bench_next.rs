//! The size of code in the next format, in relation to that of GP 0.8.
//!
//! GP 0.8 has a bitmask beside its code, an eighth more, and the next format has none. So code and mask together are
//! compared. Runtimes are in PolkaVM's container, which has a number for the format. It numbers host calls from 0; the
//! format has short forms for numbers of one byte only.

use std::path::Path;

use anyhow::{Context, Result};
use pvm_engine::Engine;
use pvm_isa::GpVersion;
use testkit::kernels;
use wasm_pvm::{OptLevel, Options, PvmOptions};

use super::bench;

/// Code and mask of a program for GP 0.8, and code in the next format, in bytes.
#[derive(Clone, Copy)]
struct Row {
    code: u64,
    mask: u64,
    next: u64,
}

impl Row {
    fn ratio(self) -> f64 {
        self.next as f64 / (self.code + self.mask) as f64
    }
}

/// The size of a kernel, and its gas in relation to that in GP 0.8.
struct KernelRow {
    size: Row,
    gas: f64,
}

/// Measures kernels and the runtimes of a folder.
pub fn run(folder: &Path) -> Result<()> {
    println!("| program | level | code 0.8 | mask 0.8 | code next | next / 0.8 | gas next / 0.8 |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    let levels = [(OptLevel::O2, "O2"), (OptLevel::Os, "Os"), (OptLevel::Oz, "Os")];
    for (level, variant) in levels {
        let rows = kernel_rows(level, variant)?;
        let sum = |bytes: fn(&Row) -> u64| rows.iter().map(|row| bytes(&row.size)).sum();
        let total = Row { code: sum(|row| row.code), mask: sum(|row| row.mask), next: sum(|row| row.next) };
        print("kernels, sum", &format!("-{level:?}"), total);
        let mean = |ratio: fn(&KernelRow) -> f64| {
            (rows.iter().map(|row| ratio(row).ln()).sum::<f64>() / rows.len() as f64).exp()
        };
        let (size, gas) = (mean(|row| row.size.ratio()), mean(|row| row.gas));
        println!("| kernels, geometric mean | -{level:?} | | | | {size:.3} | {gas:.3} |");
    }
    for (name, path) in testkit::runtimes::files(folder)? {
        for level in ["-O2", "-Oz"] {
            let row = runtime_row(&path, level).with_context(|| name.clone())?;
            print(&name, level, row);
        }
    }
    Ok(())
}

fn print(name: &str, level: &str, row: Row) {
    let Row { code, mask, next } = row;
    println!("| {name} | {level} | {code} | {mask} | {next} | {:.3} | |", row.ratio());
}

fn kernel_rows(level: OptLevel, variant: &str) -> Result<Vec<KernelRow>> {
    let kernels = kernels::all()?.into_iter().filter(|kernel| kernel.variant == variant);
    kernels
        .map(|kernel| {
            let measure = |gp| {
                let options = Options { level, ..Options::new(PvmOptions { gp, ..PvmOptions::default() }) };
                kernels::measure(&kernel, &options, gp, Engine::for_version(gp)[0])
            };
            let [old, next] = [measure(GpVersion::V08)?, measure(GpVersion::Next)?];
            let [code, next_code] = [old.code_bytes, next.code_bytes].map(|bytes| bytes as u64);
            let size = Row { code, mask: code.div_ceil(8), next: next_code };
            Ok(KernelRow { size, gas: next.gas as f64 / old.gas as f64 })
        })
        .collect()
}

fn runtime_row(path: &Path, level: &str) -> Result<Row> {
    let size = |gp| -> Result<[u64; 2]> {
        let (report, _) = bench::compile(path, &["--format", "polkavm", "--gp", gp, level])?;
        let bytes = |part: &str| report["sizes"][part].as_u64().context("a size is missing");
        Ok([bytes("code")?, bytes("mask")?])
    };
    let ([code, mask], [next, _]) = (size("0.8")?, size("next")?);
    Ok(Row { code, mask, next })
}
