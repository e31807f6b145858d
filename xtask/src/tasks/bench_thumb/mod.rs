//! The Cortex-M benchmark: our code in comparison with LLVM's, on the same LLVM IR and on the same wasm.
//!
//! Every module is compiled with our back end and with LLVM's, from the same IR of our frontend. Sizes in bytes are
//! those of functions with their literals and of tables that replace code, from the symbol tables of both objects.
//! Figures of other compilers on the same wasm were measured once and are read from a file.

mod count;
mod data;
mod files;
mod llvm;
mod polybench;
mod v6m;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use llvm_frontend::{ConstOp, ExportKind, ModuleInfo};
use serde_json::Value;
use testkit::kernels;
use wasm_pvm::{Cpu, InitialData, MemoryMode, OptLevel, Options, Stage, ThumbBounds, ThumbOptions};

use count::{Counter, Executed, Pair};

/// Functions up to this size in bytes are never listed.
const SMALL_BYTES: u64 = 40;
/// Functions are listed if the ratio of our size to LLVM's is higher than this.
const LARGEST_RATIO: f64 = 1.25;

/// A wasm module to be measured.
struct Module {
    name: String,
    wasm: Vec<u8>,
    memory: MemoryMode,
}

/// Size in bytes of each function of an object, by symbol.
type Sizes = BTreeMap<String, u64>;

/// The sizes of our functions and of LLVM's on the same IR.
struct Measured {
    ours: Sizes,
    same_ir: Sizes,
    exports: Vec<String>,
}

/// The tables of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Table {
    /// Bytes of code of modules.
    Modules,
    /// Bytes of code of kernels.
    Kernels,
    /// Bytes of code for Cortex-M0+.
    V6m,
    /// Executed instructions, beside LLVM on the same IR.
    Executed,
    /// Executed instructions of numerical kernels, beside native code.
    Polybench,
}

/// Inputs and options of the benchmark.
pub struct Request<'a> {
    /// The folder with modules; kernels are measured in any case.
    pub modules: &'a Path,
    /// Modules to be compared by size alone, instead of all others.
    pub files: &'a [PathBuf],
    /// The file with the figures of other compilers on those modules.
    pub baselines: &'a Path,
    /// The folder for objects and intermediate files; without it they are removed.
    pub keep: Option<&'a Path>,
    /// Whether to print a line per function and kernel.
    pub verbose: bool,
    /// The only table to print.
    pub only: Option<Table>,
}

/// Runs the benchmark.
pub fn run(request: &Request<'_>) -> Result<()> {
    let own = tempfile::tempdir()?;
    let folder = request.keep.unwrap_or(own.path());
    std::fs::create_dir_all(folder)?;
    run_in(request, folder)
}

fn run_in(request: &Request<'_>, folder: &Path) -> Result<()> {
    if !request.files.is_empty() {
        return files::sizes(request.files, folder, request.verbose);
    }
    let modules = corpus(request.modules)?;
    let wants = |table: Table| request.only.is_none_or(|only| only == table);
    if modules.is_empty() {
        println!("\nno modules in {}", request.modules.display());
    } else if wants(Table::Modules) {
        let baselines = Baselines::read(request.baselines)?;
        corpus_sizes(&modules, &baselines, folder, request.verbose)?;
    }
    for level in [OptLevel::Oz, OptLevel::O2].into_iter().filter(|_| wants(Table::Kernels)) {
        kernel_sizes(level, folder, request.verbose)?;
    }
    if wants(Table::V6m) {
        v6m::run(&modules, folder, request.verbose)?;
    }
    if wants(Table::Executed) {
        executed(&modules, folder)?;
    }
    if wants(Table::Polybench) {
        polybench::run(folder)?;
    }
    Ok(())
}

/// The modules of a folder in the order of their names.
fn corpus(folder: &Path) -> Result<Vec<Module>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    files.sort();
    let module = |path: PathBuf| {
        let name = path.file_stem().context("a file name")?.to_string_lossy().into_owned();
        Ok(Module { name, wasm: std::fs::read(path)?, memory: MemoryMode::Native })
    };
    files.into_iter().map(module).collect()
}

/// The figures of other compilers.
struct Baselines(Value);

impl Baselines {
    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Ok(Self(serde_json::from_str(&text)?))
    }

    fn module(&self, module: &str, column: &str) -> Option<u64> {
        self.0[module]["text"][column].as_u64()
    }

    fn function(&self, module: &str, function: &str, column: &str) -> Option<u64> {
        self.0[module]["functions"][function][column].as_u64()
    }
}

/// A module compiled with both back ends, as files.
struct Compiled {
    ours: PathBuf,
    theirs: llvm::Compiled,
    functions: Sizes,
}

fn compile(module: &Module, setting: Setting, folder: &Path) -> Result<Compiled> {
    let options = setting.options(module.memory);
    let output = wasm_pvm::compile(&module.wasm, &options)?;
    let ours = folder.join(setting.file(module, "ours.o"));
    std::fs::write(&ours, &output.bytes)?;
    let report = output.report.thumb().context("an object")?;
    let functions =
        report.functions.iter().map(|function| (function.symbol.clone(), u64::from(function.size)));
    let ir = wasm_pvm::emit(&module.wasm, &options, Stage::LlvmIr)?;
    let theirs = llvm::compile(module, &ir, setting, folder)?;
    Ok(Compiled { ours, theirs, functions: functions.collect() })
}

fn measure(module: &Module, setting: Setting, folder: &Path) -> Result<Measured> {
    sizes(module, &compile(module, setting, folder)?)
}

/// The sizes of a module's functions in both objects.
fn sizes(module: &Module, compiled: &Compiled) -> Result<Measured> {
    let mut ours = llvm::symbols(&compiled.ours)?;
    ours.retain(|name, _| name.starts_with(llvm::TABLES));
    ours.extend(compiled.functions.clone());
    let (symbols, _) = symbols(&ModuleInfo::parse(&module.wasm)?);
    let mut same_ir = Sizes::new();
    for (symbol, size) in llvm::symbols(&compiled.theirs.object)? {
        same_ir.insert(symbols.get(&symbol).cloned().unwrap_or(symbol), size);
    }
    Ok(Measured { ours, same_ir, exports: symbols.into_values().collect() })
}

/// Exported names by symbol of the IR, and all symbols that code outside the IR may refer to.
fn symbols(info: &ModuleInfo) -> (BTreeMap<String, String>, Vec<String>) {
    let symbol = |index: u32| format!("f.{index}");
    let mut exports = BTreeMap::new();
    for export in &info.exports {
        if let ExportKind::Func(index) = export.kind {
            exports.entry(symbol(index)).or_insert_with(|| export.name.clone());
        }
    }
    let in_tables = info.elements.iter().flat_map(|element| &element.items);
    let in_tables =
        in_tables.filter_map(|op| if let ConstOp::RefFunc(index) = op { Some(symbol(*index)) } else { None });
    let roots = exports.keys().cloned().chain(info.start.map(symbol)).chain(in_tables).collect();
    (exports, roots)
}

/// The core and the level that code is compiled for.
#[derive(Clone, Copy, Debug)]
struct Setting {
    cpu: Cpu,
    level: OptLevel,
}

impl Setting {
    /// The default options without bounds checks. Accesses are aligned on cores that have no others.
    fn options(self, memory: MemoryMode) -> Options {
        let initial_data = if memory == MemoryMode::Symbol { Some(InitialData::Image) } else { None };
        let bounds = Some(ThumbBounds::None);
        let trusts_alignment = self.cpu == Cpu::M0Plus;
        let thumb =
            ThumbOptions { memory, initial_data, bounds, trusts_alignment, ..ThumbOptions::new(self.cpu) };
        Options { level: self.level, threads: 1, ..Options::new(thumb) }
    }

    /// A file for a module.
    fn file(self, module: &Module, extension: &str) -> String {
        let Self { cpu, level } = self;
        format!("{}.{cpu}.{level:?}.{extension}", module.name)
    }
}

/// Total size of all functions and of tables that replace code. Run-time helpers are excluded, as in the figures of
/// other compilers.
fn total(sizes: &Sizes) -> u64 {
    sizes.iter().filter(|(name, _)| !is_helper(name)).map(|(_, size)| size).sum()
}

fn is_helper(name: &str) -> bool {
    let is_ours = name.starts_with("__wasm_") && !name.starts_with(llvm::TABLES);
    is_ours && name != "__wasm_start" && name != "__wasm_call_ctors" || name.starts_with("__aeabi_")
}

fn ratio(ours: u64, theirs: Option<u64>) -> String {
    match theirs {
        Some(theirs) if theirs > 0 => format!("{:.3}", ours as f64 / theirs as f64),
        _ => "–".to_owned(),
    }
}

fn cell(number: Option<u64>) -> String {
    number.map_or("–".to_owned(), |number| number.to_string())
}

// ---- Corpus ----

fn corpus_sizes(corpus: &[Module], baselines: &Baselines, folder: &Path, verbose: bool) -> Result<()> {
    println!("\n## Modules, -Oz, native memory, bytes of code\n");
    println!("| module | ours | LLVM -Oz, same IR | / | LLVM -Oz, same wasm | / | synth 0.58 | / |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    let mut measured = Vec::new();
    let mut sums = [0; 4];
    let mut compared = 0;
    for module in corpus {
        let sizes = measure(module, Setting { cpu: Cpu::M3, level: OptLevel::Oz }, folder)
            .with_context(|| module.name.clone())?;
        let ours = total(&sizes.ours);
        let same_ir = total(&sizes.same_ir);
        let [llvm, synth] = ["llvm_Oz", "synth"].map(|column| baselines.module(&module.name, column));
        print_row(&module.name, ours, Some(same_ir), llvm, synth);
        if llvm.is_some() {
            compared += ours;
        }
        for (sum, number) in sums.iter_mut().zip([ours, same_ir, llvm.unwrap_or(0), synth.unwrap_or(0)]) {
            *sum += number;
        }
        measured.push((module, sizes));
    }
    print_row("total", sums[0], Some(sums[1]), None, None);
    print_row("total with all columns", compared, None, Some(sums[2]), Some(sums[3]));
    if verbose {
        print_functions(&measured, baselines);
    }
    Ok(())
}

fn print_row(name: &str, ours: u64, same_ir: Option<u64>, llvm: Option<u64>, synth: Option<u64>) {
    let cells = [same_ir, llvm, synth].map(|theirs| format!("{} | {}", cell(theirs), ratio(ours, theirs)));
    println!("| {name} | {ours} | {} |", cells.join(" | "));
}

fn print_functions(measured: &[(&Module, Measured)], baselines: &Baselines) {
    println!(
        "\n| module | export | ours | LLVM -Oz, same IR | / | LLVM -Oz, same wasm | / | synth 0.58 | / |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for (module, sizes) in measured {
        for export in &sizes.exports {
            let Some(&ours) = sizes.ours.get(export) else { continue };
            let columns = ["llvm_Oz", "synth"].map(|column| baselines.function(&module.name, export, column));
            print_row(
                &format!("{} | {export}", module.name),
                ours,
                sizes.same_ir.get(export).copied(),
                columns[0],
                columns[1],
            );
        }
    }
    println!("\nabove {LARGEST_RATIO} with more than {SMALL_BYTES} bytes:\n");
    for (module, sizes) in measured {
        for (name, &ours) in &sizes.ours {
            let theirs =
                [sizes.same_ir.get(name).copied(), baselines.function(&module.name, name, "llvm_Oz")];
            let is_worse = |theirs: &u64| ours as f64 > LARGEST_RATIO * *theirs as f64;
            if ours > SMALL_BYTES && theirs.iter().flatten().any(is_worse) {
                println!(
                    "- {} {name}: {ours} against {} and {}",
                    module.name,
                    cell(theirs[0]),
                    cell(theirs[1])
                );
            }
        }
    }
}

// ---- Kernels ----

fn kernel_sizes(level: OptLevel, folder: &Path, verbose: bool) -> Result<()> {
    let variant = if level == OptLevel::O2 { "O2" } else { "Os" };
    println!("\n## Kernels, -{level:?} on wasm built with -{variant}, memory at a symbol, bytes of code\n");
    println!("| kernel | ours | LLVM -{level:?}, same IR | / |\n|---|--:|--:|--:|");
    let (mut sums, mut logs) = ([0, 0], Vec::new());
    for module in kernel_modules(variant)? {
        let sizes = measure(&module, Setting { cpu: Cpu::M3, level }, folder);
        let sizes = sizes.with_context(|| module.name.clone())?;
        let [ours, theirs] = [&sizes.ours, &sizes.same_ir].map(total);
        if ours == 0 || theirs == 0 {
            bail!("{}: no code", module.name);
        }
        if verbose {
            println!("| {} | {ours} | {theirs} | {} |", module.name, ratio(ours, Some(theirs)));
        }
        sums = [sums[0] + ours, sums[1] + theirs];
        logs.push((ours as f64 / theirs as f64).ln());
    }
    println!("| total | {} | {} | {} |", sums[0], sums[1], ratio(sums[0], Some(sums[1])));
    println!("| geometric mean | | | {:.3} |", mean(&logs));
    Ok(())
}

/// The kernels of a variant, with linear memory at a symbol.
fn kernel_modules(variant: &str) -> Result<Vec<Module>> {
    let kernels = kernels::all()?.into_iter().filter(|kernel| kernel.variant == variant);
    let module =
        |kernel: kernels::Kernel| Module { name: kernel.name, wasm: kernel.wasm, memory: MemoryMode::Symbol };
    Ok(kernels.map(module).collect())
}

// ---- Executed instructions ----

/// Prints executed instructions at `-O2`, ours and LLVM's.
fn executed(modules: &[Module], folder: &Path) -> Result<()> {
    let missing = needs::missing(&board::TOOLS);
    if !missing.is_empty() {
        println!("\nno executed instructions: {} not found", missing.join(", "));
        return Ok(());
    }
    println!("\n## Executed instructions, -O2\n");
    println!("| module | function | calls | ours | LLVM -O2, same IR | / |\n|---|---|--:|--:|--:|--:|");
    let mut counter = Counter::start(board::Core::M3, folder)?;
    let mut logs = [Vec::new(), Vec::new()];
    for kernel in kernels::all()?.into_iter().filter(|kernel| kernel.variant == "O2") {
        let module = Module { name: kernel.name, wasm: kernel.wasm, memory: MemoryMode::Symbol };
        let counted = count_kernel(&mut counter, &module, &kernel.args, folder);
        match counted {
            Ok(executed) => logs[0].extend(print_executed(&module.name, "main", executed)),
            Err(error) => println!("| {} | main | – | {error:#} | | |", module.name),
        }
    }
    for module in modules {
        if let Err(error) = count_module(&mut counter, module, folder, &mut logs[1]) {
            println!("| {} | | – | {error:#} | | |", module.name);
        }
    }
    for (group, logs) in ["kernels", "modules"].into_iter().zip(&logs) {
        println!("| geometric mean, {group} | | | | | {:.3} |", mean(logs));
    }
    println!("| geometric mean | | | | | {:.3} |", mean(&logs.concat()));
    Ok(())
}

fn mean(logs: &[f64]) -> f64 {
    (logs.iter().sum::<f64>() / logs.len() as f64).exp()
}

fn print_executed(module: &str, function: &str, executed: Executed) -> Option<f64> {
    let Executed { ours, theirs, calls, different } = executed;
    let ratio = (theirs > 0 && ours > 0).then(|| ours as f64 / theirs as f64);
    let text = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.3}"));
    let note = if different > 0 { format!(" ({different} differ)") } else { String::new() };
    println!("| {module} | {function} | {calls}{note} | {ours} | {theirs} | {text} |");
    ratio.map(f64::ln)
}

/// Compiles a module with both back ends and loads the objects.
fn load(counter: &mut Counter, module: &Module, folder: &Path) -> Result<Pair> {
    let setting = Setting { cpu: Cpu::M3, level: OptLevel::O2 };
    let compiled = compile(module, setting, folder)?;
    let ssa = wasm_pvm::emit(&module.wasm, &setting.options(module.memory), Stage::Prepared)?;
    let ssa = ssa::parse_module(&ssa)?;
    let info = ModuleInfo::parse(&module.wasm)?;
    let data = data::assemble(&info, &ssa, compiled.theirs.statics.as_ref(), folder)?;
    let llvm::Compiled { object, runtime, .. } = &compiled.theirs;
    let theirs = llvm::link(&[object, runtime, &data], &object.with_extension("linked.o"))?;
    counter.load(&std::fs::read(compiled.ours)?, &std::fs::read(theirs)?)
}

fn count_kernel(counter: &mut Counter, module: &Module, args: &[u8], folder: &Path) -> Result<Executed> {
    let info = ModuleInfo::parse(&module.wasm)?;
    let (symbols, _) = symbols(&info);
    let (symbol, export) = symbols.iter().find(|(_, name)| *name == "main").context("no main")?;
    let pair = load(counter, module, folder)?;
    let pages = info.memories.first().context("no memory")?.min_pages;
    counter.kernel(&pair, [export, symbol], args, (pages << 16) as u32)
}

fn count_module(counter: &mut Counter, module: &Module, folder: &Path, logs: &mut Vec<f64>) -> Result<()> {
    let info = ModuleInfo::parse(&module.wasm)?;
    let (symbols, _) = symbols(&info);
    let pair = load(counter, module, folder)?;
    for (symbol, export) in &symbols {
        let index: usize = symbol[2..].parse()?;
        let ty = &info.types[info.functions[index].ty as usize];
        logs.extend(print_executed(&module.name, export, counter.compare(&pair, [export, symbol], ty)?));
    }
    Ok(())
}
