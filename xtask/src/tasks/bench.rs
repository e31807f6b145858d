//! The PVM benchmark: our code in comparison with other compilers (peers), on the same kernels.
//!
//! Our sizes, instruction counts and gas are measured in this run and are exact. The figures of the peers were
//! measured once on the same wasm (`tests/fixtures/kernels/baselines.json`). Ratios are ours divided by theirs, so
//! below 1 is better; means are geometric.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use pvm_engine::Engine;
use pvm_isa::GpVersion;
use testkit::kernels::{self, Kernel, Measure};
use wasm_pvm::{OptLevel, Options, PvmBounds, PvmOptions};

/// A set of kernels with the figures of peers.
struct Corpus {
    title: &'static str,
    folder: &'static str,
    kernels: fn() -> Result<Vec<Kernel>>,
    /// Keys of the peers in the baselines, with their descriptions. The first is that of the columns of `--verbose`.
    peers: &'static [(&'static str, &'static str)],
}

const INTEGERS: Corpus = Corpus {
    title: "Kernels",
    folder: "kernels",
    kernels: kernels::all,
    peers: &[
        ("wasm2c_llvm_gp072", "wasm2c + LLVM RISC-V + polkavm-linker, same wasm"),
        ("wasm_pvm_0_10_gp072", "tomusdrw/wasm-pvm 0.10, same wasm"),
        ("llvm_native_gp072", "LLVM RISC-V from C, polkavm-linker 0.30"),
        ("llvm_native_gp08", "LLVM RISC-V from C, polkavm-linker 0.37"),
    ],
};

const FLOATS: Corpus = Corpus {
    title: "Float kernels",
    folder: "float-kernels",
    kernels: kernels::floats,
    peers: &[
        ("wasm2c_compiler_rt_gp08", "wasm2c + LLVM RISC-V with compiler-rt + polkavm-linker 0.37, same wasm"),
        ("compiler_rt_gp072", "LLVM RISC-V from C with compiler-rt, polkavm-linker 0.30"),
        ("compiler_rt_gp08", "LLVM RISC-V from C with compiler-rt, polkavm-linker 0.37"),
        ("berkeley_gp08", "LLVM RISC-V from C with SoftFloat 3e, polkavm-linker 0.37"),
    ],
};

/// The compared figures, in column order.
const FIGURES: [&str; 4] = ["code bytes", "instructions", "gas 0.7.2", "gas 0.8"];

/// A kernel's figures in the order of [`FIGURES`]; `None` where a peer's output is wrong.
type Row = [Option<f64>; 4];

/// Runs the whole benchmark. `verbose` prints a line per kernel.
pub fn run(verbose: bool, folder: Option<&Path>) -> Result<()> {
    for corpus in [INTEGERS, FLOATS] {
        for level in [OptLevel::O2, OptLevel::Os] {
            kernels(&corpus, level, verbose)?;
        }
    }
    bounds()?;
    vectors()?;
    float_operations()?;
    profiles()?;
    let folder = folder.map_or_else(testkit::runtimes::folder, Path::to_path_buf);
    runtimes(&folder)
}

/// Measures all kernels at one level and prints the table.
fn kernels(corpus: &Corpus, level: OptLevel, verbose: bool) -> Result<()> {
    let variant = if level == OptLevel::O2 { "O2" } else { "Os" };
    let baselines = Baselines::read(corpus.folder)?;
    let mut ours = BTreeMap::new();
    for kernel in (corpus.kernels)()?.iter().filter(|kernel| kernel.variant == variant) {
        ours.insert(kernel.name.clone(), measure(kernel, level)?);
    }
    println!("\n## {}: -{level:?} on wasm built with -{variant}\n", corpus.title);
    if verbose {
        print_kernels(corpus, &ours, &baselines, variant);
    }
    println!("| geometric mean of ours / theirs | {} |", FIGURES.join(" | "));
    println!("|---|{}", "--:|".repeat(FIGURES.len()));
    for (peer, description) in corpus.peers {
        let means = (0..FIGURES.len()).map(|figure| mean(&ours, &baselines, variant, peer, figure));
        let cells: Vec<String> =
            means.map(|mean| mean.map_or("–".to_owned(), |mean| format!("{mean:.3}"))).collect();
        println!("| {description} | {} |", cells.join(" | "));
    }
    Ok(())
}

fn measure(kernel: &Kernel, level: OptLevel) -> Result<Row> {
    let run = |gp| -> Result<Measure> {
        let pvm = PvmOptions { gp, ..PvmOptions::default() };
        let options = Options { level, ..Options::new(pvm) };
        kernels::measure(kernel, &options, gp, Engine::for_version(gp)[0])
            .with_context(|| format!("{} -{level:?} {gp}", kernel.name))
    };
    let old = run(GpVersion::V072)?;
    let new = run(GpVersion::V08)?;
    let figures = [old.code_bytes as f64, old.instructions as f64, old.gas as f64, new.gas as f64];
    Ok(figures.map(Some))
}

fn print_kernels(corpus: &Corpus, ours: &BTreeMap<String, Row>, baselines: &Baselines, variant: &str) {
    let bar = corpus.peers[0].0;
    println!("| kernel | {} |", FIGURES.map(|figure| format!("{figure} | / {bar}")).join(" | "));
    println!("|---|{}", "--:|--:|".repeat(FIGURES.len()));
    for (name, row) in ours {
        let theirs = baselines.row(variant, name, bar);
        let cells = (0..FIGURES.len()).map(|figure| {
            let mine = row[figure].unwrap_or_default();
            let ratio = theirs[figure].map_or("–".to_owned(), |theirs| format!("{:.3}", mine / theirs));
            format!("{mine} | {ratio}")
        });
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    println!();
}

/// The geometric mean of ours / theirs over the kernels where both are known.
fn mean(
    ours: &BTreeMap<String, Row>,
    baselines: &Baselines,
    variant: &str,
    peer: &str,
    figure: usize,
) -> Option<f64> {
    let ratios = ours
        .iter()
        .filter_map(|(name, row)| Some(row[figure]? / baselines.row(variant, name, peer)[figure]?));
    let logs: Vec<f64> = ratios.map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// The peers' figures.
struct Baselines(serde_json::Value);

impl Baselines {
    fn read(corpus: &str) -> Result<Self> {
        let path = kernels::folder(corpus).join("baselines.json");
        Ok(Self(serde_json::from_str(&std::fs::read_to_string(path)?)?))
    }

    fn row(&self, variant: &str, kernel: &str, peer: &str) -> Row {
        let facts = &self.0[variant][kernel][peer];
        let right = facts["ok"].as_bool().unwrap_or(false);
        ["code_bytes", "instructions", "gas", "gas8_l2"].map(|key| facts[key].as_f64().filter(|_| right))
    }
}

/// Measures kernels with vectors beside the same programs without them.
fn vectors() -> Result<()> {
    let baselines = Baselines::read("simd-kernels")?;
    println!("\n## Vectors at -O2: the same C with SIMD and without\n");
    println!("| kernel | {} |", FIGURES.map(|figure| format!("{figure} | / without")).join(" | "));
    println!("|---|{}", "--:|--:|".repeat(FIGURES.len()));
    let (with, without): (Vec<_>, Vec<_>) =
        kernels::vectors()?.into_iter().partition(|kernel| kernel.variant == "simd");
    let (mut of_ours, mut of_theirs) = ([1.0; FIGURES.len()], [1.0; FIGURES.len()]);
    let share = 1.0 / with.len() as f64;
    for (with, without) in with.iter().zip(&without) {
        let (ours, scalar) = (measure(with, OptLevel::O2)?, measure(without, OptLevel::O2)?);
        let theirs = baselines.row("O3", &with.name, "llvm_native_scalar_gp08");
        let cells = (0..FIGURES.len()).map(|figure| {
            let [ours, scalar, theirs] = [ours, scalar, theirs].map(|row| row[figure].unwrap_or(f64::NAN));
            of_ours[figure] *= (ours / scalar).powf(share);
            of_theirs[figure] *= (ours / theirs).powf(share);
            format!("{ours} | {:.3}", ours / scalar)
        });
        println!("| {} | {} |", with.name, cells.collect::<Vec<_>>().join(" | "));
    }
    println!("\n| geometric mean of ours with vectors / | {} |", FIGURES.join(" | "));
    println!("|---|{}", "--:|".repeat(FIGURES.len()));
    for (peer, means) in [
        ("ours without vectors", of_ours),
        ("LLVM RISC-V from C without vectors, polkavm-linker 0.37", of_theirs),
    ] {
        println!("| {peer} | {} |", means.map(|mean| format!("{mean:.3}")).join(" | "));
    }
    Ok(())
}

/// Measures kernels with a profile of a run on other arguments.
fn profiles() -> Result<()> {
    println!("\n## Profiles: gas 0.8 with counts of a run on other arguments\n");
    println!("| kernel | -O2 without | with | with / without | -Os without | with | with / without |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let fast = kernels::trained("O2", OptLevel::O2)?;
    let small = kernels::trained("Os", OptLevel::Os)?;
    let mut means = [0.0; 2];
    for (fast, small) in fast.iter().zip(&small) {
        let ratio = |row: &(String, i64, i64)| row.2 as f64 / row.1 as f64;
        for (mean, row) in means.iter_mut().zip([fast, small]) {
            *mean += ratio(row).ln() / kernels::TRAINING.len() as f64;
        }
        let cells = [fast, small].map(|row| format!("{} | {} | {:.3}", row.1, row.2, ratio(row)));
        println!("| {} | {} |", fast.0, cells.join(" | "));
    }
    let [fast, small] = means.map(f64::exp);
    println!("| geometric mean | | | {fast:.3} | | | {small:.3} |");
    Ok(())
}

/// Measures the kernels with exact bounds in relation to those without.
fn bounds() -> Result<()> {
    println!("\n## Exact bounds: kernels with `--bounds strict` / `guard`, gas 0.8\n");
    println!("| kernel | -O2 code | gas | -Os code | gas |");
    println!("|---|--:|--:|--:|--:|");
    let mut rows: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (level, variant) in [(OptLevel::O2, "O2"), (OptLevel::Os, "Os")] {
        for kernel in kernels::all()?.iter().filter(|kernel| kernel.variant == variant) {
            let run = |bounds| -> Result<Measure> {
                let gp = GpVersion::V08;
                let options =
                    Options { level, ..Options::new(PvmOptions { gp, bounds, ..PvmOptions::default() }) };
                kernels::measure(kernel, &options, gp, Engine::for_version(gp)[0])
            };
            let [exact, guard] = [run(PvmBounds::Strict)?, run(PvmBounds::Guard)?];
            let row = rows.entry(kernel.name.clone()).or_default();
            row.push(exact.code_bytes as f64 / guard.code_bytes as f64);
            row.push(exact.gas as f64 / guard.gas as f64);
        }
    }
    let line = |name: &str, ratios: &[f64]| {
        let cells: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.3}")).collect();
        println!("| {name} | {} |", cells.join(" | "));
    };
    rows.iter().for_each(|(name, ratios)| line(name, ratios));
    let mean = |n: usize| {
        let sum: f64 = rows.values().map(|ratios| ratios[n].ln()).sum();
        (sum / rows.len() as f64).exp()
    };
    line("geometric mean", &[0, 1, 2, 3].map(mean));
    Ok(())
}

/// Measures float operations one by one: a loop with the operation, less the same loop without it, per execution. The
/// loop without an operation of two operands combines them by `xor`, so that both are loaded.
fn float_operations() -> Result<()> {
    let baselines = Baselines::read("float-micro")?;
    let operations = kernels::float_operations()?;
    println!("\n## Float operations at -O2, gas per execution\n");
    println!(
        "| operation | gas 0.7.2 | gas 0.8 | compiler-rt: gas 0.7.2 | gas 0.8 | ours / theirs, gas 0.8 |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    let mut empty = BTreeMap::new();
    for operation in operations.iter().filter(|operation| operation.name.starts_with("empty")) {
        let has_pair = operation.name.starts_with("empty_pair");
        empty.insert((has_pair, operation.args.clone()), gas(operation)?);
    }
    for operation in operations.iter().filter(|operation| !operation.name.starts_with("empty")) {
        let has_pair = OF_PAIRS.iter().any(|name| operation.name.ends_with(name));
        let (with, without) = (gas(operation)?, empty[&(has_pair, operation.args.clone())]);
        let [old, new] = [0, 1].map(|n| (with[n] - without[n]) / LOOPS);
        let theirs = &baselines.0["per_call"][&operation.name]["compiler_rt"];
        let [their_old, their_new] = ["gas7", "gas8"].map(|key| theirs[key].as_f64().unwrap_or(f64::NAN));
        let ratio = new / their_new;
        let name = &operation.name;
        println!("| {name} | {old:.1} | {new:.1} | {their_old:.1} | {their_new:.1} | {ratio:.2} |");
    }
    Ok(())
}

/// Names of operations with two operands, without their types.
const OF_PAIRS: [&str; 6] = ["_add", "_sub", "_mul", "_div", "_eq", "_lt"];

/// Executions of the operation in a program of [`kernels::float_operations`].
const LOOPS: f64 = 1000.0;

/// Gas of a program for both versions.
fn gas(kernel: &Kernel) -> Result<[f64; 2]> {
    let [_, _, old, new] = measure(kernel, OptLevel::O2)?;
    Ok([old.unwrap_or_default(), new.unwrap_or_default()])
}

/// Compiles every runtime of a folder in a separate process and prints sizes, times and memory use.
fn runtimes(folder: &Path) -> Result<()> {
    let files = testkit::runtimes::files(folder)?;
    if files.is_empty() {
        println!("\nno runtimes in {}", folder.display());
        return Ok(());
    }
    println!("\n## Runtimes, --floats trap\n");
    println!(
        "| runtime | level | wasm bytes | JAM bytes | JAM / wasm | code | mask | jump table | data | instructions | seconds per phase | MiB |"
    );
    println!("|---|---|{}---|--:|", "--:|".repeat(8));
    for (name, path) in files {
        for level in ["-O2", "-Oz"] {
            let (report, peak) =
                compile(&path, &["--imports", "auto", level]).with_context(|| name.clone())?;
            println!("| {name} | {level} | {} |", runtime_cells(&report, peak).join(" | "));
        }
    }
    Ok(())
}

/// Runs the command-line tool with some arguments; returns its report and its peak memory in bytes.
pub fn compile(path: &Path, args: &[&str]) -> Result<(serde_json::Value, u64)> {
    let tool = std::env::current_exe()?.with_file_name("wasm-pvm");
    let output = tempfile::NamedTempFile::new()?;
    let mut child = Command::new(&tool)
        .args(["compile", "--floats", "trap", "--json"])
        .args(args)
        .arg("-o")
        .args([output.path(), path])
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{}: build it with `cargo build --release`", tool.display()))?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        peak = peak.max(peak_memory(&status).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    let result = child.wait_with_output()?;
    anyhow::ensure!(result.status.success(), "the compiler failed");
    Ok((serde_json::from_slice(&result.stdout)?, peak))
}

/// Peak resident memory of a process in bytes, if the system reports it.
fn peak_memory(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

fn runtime_cells(report: &serde_json::Value, peak: u64) -> Vec<String> {
    let sizes = &report["sizes"];
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or_default();
    let (wasm, jam) = (number(&report["wasm_bytes"]), number(&sizes["total"]));
    let data = number(&sizes["ro_data"]) + number(&sizes["rw_data"]);
    let phases = report["seconds"].as_object().into_iter().flatten();
    let phases = phases.map(|(phase, seconds)| format!("{phase} {:.1}", number(seconds)));
    vec![
        format!("{wasm}"),
        format!("{jam}"),
        format!("{:.3}", jam / wasm),
        sizes["code"].to_string(),
        sizes["mask"].to_string(),
        sizes["jump_table"].to_string(),
        format!("{data}"),
        sizes["instructions"].to_string(),
        phases.collect::<Vec<_>>().join(", "),
        format!("{:.0}", peak as f64 / f64::from(1 << 20)),
    ]
}
