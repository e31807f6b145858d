//! The command line, as data.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand};
use wasm_pvm::run::{Backend, GivenAnswer, Host, RunOptions};
use wasm_pvm::{
    Architecture, Choice, ConstValue, Constants, Cpu, Debug, EntryMode, FloatAbi, FloatHelpers, Floats,
    Format, GpVersion, Import, InitialData, MemoryMode, MetadataContents, Names, OptLevel, PvmBounds,
    ResultConvention, ShadowStack, Stage, StartCopy, ThumbBounds, Trap,
};

use super::calls::{Dump, Invocations, Pokes, parse_answer, parse_integer};
use super::messages::MessageForm;
use super::profile::{ProfileArg, Training};
use super::report_args::{
    BudgetArgs, CompletionsArgs, ExplainCodeArgs, ExploreArgs, ManArgs, ProfileArgs, SizeArgs,
};
use super::run::StreamArgs;
use super::verify_args::VerifyArgs;
use super::wasi::WasiArgs;

/// Compiles WebAssembly to programs for the PVM and to objects for Cortex-M; runs and inspects both.
#[derive(Debug, Parser)]
#[command(name = "wasm-pvm", version, long_version = versions(), max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Report progress and decisions on standard error; twice for more detail.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Colours of messages: on a terminal, unless NO_COLOR is set; always; or never.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value = "auto")]
    pub color: Colour,
    /// Show no progress. On a terminal, a compilation of more than a second shows the step and the number of functions.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Milliseconds before the progress is shown.
    #[arg(long, global = true, hide = true, value_name = "MILLISECONDS", default_value_t = 1000)]
    pub progress_after: u64,
    /// Form of errors and warnings: text, or a line of JSON for each, with its code.
    #[arg(long, global = true, value_name = "FORM", value_enum, default_value = "text")]
    pub message_format: MessageForm,
}

/// The versions that decide the output: of this tool, of LLVM, and of the Gray Paper.
fn versions() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let (tool, llvm) = (env!("CARGO_PKG_VERSION"), wasm_pvm::llvm_version());
        format!("{tool}\nLLVM {llvm}\nGray Paper 0.7.2 and 0.8")
    });
    &TEXT
}

/// The use of colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compile a WebAssembly module.
    Compile(Box<CompileArgs>),
    /// Run a program or a module: enter it as a host does, or call its exports.
    Run(Box<RunArgs>),
    /// Run a program or a module once, and report where its gas went; on Cortex-M, its instructions.
    Profile(Box<ProfileArgs>),
    /// Write a page with the code of every stage side by side: WebAssembly, LLVM IR, SSA and machine code.
    Explore(Box<ExploreArgs>),
    /// Print a program's instructions by function and basic block, with gas, or the assembly of a Cortex-M object.
    Disasm(DisasmArgs),
    /// Print the sizes, entries and imports of a program, or the contents of a Cortex-M object.
    Info(InfoArgs),
    /// Print the gas of functions and basic blocks.
    Gas(GasArgs),
    /// Report where the bytes of a module, a program or an object go.
    Size(SizeArgs),
    /// Compare a program's gas, stack, blocks and bytes with the limits in a file; exit code 1 if one is exceeded.
    Budget(Box<BudgetArgs>),
    /// Compare functions of a module with a reference engine, on generated inputs; exit code 1 if one differs.
    Verify(Box<VerifyArgs>),
    /// Print a script that completes the command line in a shell.
    Completions(CompletionsArgs),
    /// Write manual pages: one of the tool and one of each command.
    Man(ManArgs),
    /// Explain the code of an error or a warning; without a code, list all.
    Explain(ExplainCodeArgs),
    /// Explain a trap of a Cortex-M object, by what its handler gets or by its address.
    ExplainTrap(ExplainArgs),
}

#[derive(Debug, Args)]
pub struct CompileArgs {
    /// WebAssembly binary, text format, or compressed Substrate runtime; `-` is standard input.
    pub input: PathBuf,
    /// Output file; `-` is standard output. Without it, the input's name with another extension.
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Machine to compile for: pvm, thumbv6m, thumbv7m, thumbv7em, thumbv8m.base,
    /// thumbv8m.main or thumbv8.1m.main.
    #[arg(long, default_value = "pvm")]
    pub target: TargetArg,
    /// Stop at a stage and write its text, to standard output unless -o is given.
    #[arg(long, value_name = "STAGE", value_parser = stage())]
    pub emit: Option<Stage<'static>>,
    /// Stop after a pass of code generation and write every function as text. An unknown name lists the passes.
    #[arg(long, value_name = "PASS", conflicts_with = "emit")]
    pub emit_after: Option<String>,
    /// Write one function in the text format, for a report of a bug: its name or index.
    #[arg(long, value_name = "FUNCTION", conflicts_with_all = ["emit", "emit_after"])]
    pub emit_function: Option<String>,
    /// Run an entry of the module with argument bytes first, and use the counts of that run as a profile. Host calls other
    /// than gas, grow_heap and log end it. May be repeated. PVM only.
    #[arg(long, value_name = "ENTRY=HEX|@FILE", value_parser = Training::parse)]
    pub train: Vec<Training>,
    /// Write a map of the code beside the output, with `.map` after its name: functions, operators and lines by
    /// position, as JSON. PVM only.
    #[arg(long, conflicts_with_all = ["emit", "emit_after", "emit_function"])]
    pub map: bool,
    /// Print sizes and times as JSON.
    #[arg(long, conflicts_with_all = ["emit", "emit_after", "emit_function"])]
    pub json: bool,
    /// Check the compiler's own work on this module: with the checks of every stage, and by comparing functions with a
    /// reference engine as `verify` does. Nothing is written if a function differs.
    #[arg(long, conflicts_with_all = ["emit", "emit_after", "emit_function"])]
    pub verify: bool,
    #[command(flatten)]
    pub module: ModuleArgs,
    #[command(flatten)]
    pub pvm: PvmArgs,
    #[command(flatten)]
    pub thumb: ThumbArgs,
}

/// Options of all targets, for `compile` and for `run` of modules.
#[derive(Clone, Debug, Args)]
pub struct ModuleArgs {
    /// Optimisation level; 2 by default, and 3 is the same.
    #[arg(short = 'O', value_name = "LEVEL", value_parser = level())]
    pub level: Option<OptLevel>,
    /// Treatment of float operators. The default is `hard` on Cortex-M cores with a unit for them, else `soft`.
    #[arg(long, value_parser = choice::<Floats>())]
    pub floats: Option<Floats>,
    /// The same as `--floats trap`.
    #[arg(long, hide = true, conflicts_with = "floats")]
    pub trap_floats: bool,
    /// Treatment of accesses outside of linear memory: `guard` (the default) or `strict` on PVM; `none` (the
    /// default with native memory), `mask`, `check` (the default otherwise) or `mpu` on Cortex-M.
    #[arg(long, value_parser = bounds())]
    pub bounds: Option<String>,
    /// Place of the C stack: the machine's stack where the module allows it (`auto`, the default) or always (`native`), or linear
    /// memory (`strict`).
    #[arg(long, value_parser = choice::<ShadowStack>())]
    pub shadow_stack: Option<ShadowStack>,
    /// Bytes of linear memory. On Cortex-M they replace the declared size; on PVM they are the size at the start, if
    /// the declared one is smaller. K and M are units.
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub memory_bytes: Option<u32>,
    /// Bytes that each memory other than the first may grow by; they are reserved. 1M is the default on PVM, 0 on
    /// Cortex-M. K and M are units.
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub memory_reserve: Option<u32>,
    /// Module whose exports replace imports. May be repeated.
    #[arg(short, long, value_name = "FILE")]
    pub adapter: Vec<PathBuf>,
    /// Import map file. `trap` lets the remaining imports trap; on PVM they log their name before. `auto` or `auto:N`
    /// makes them host calls, numbered from N, on PVM only. May be repeated.
    #[arg(short, long, value_name = "FILE|trap|auto")]
    pub imports: Vec<String>,
    /// Value of an imported global, such as `env.base=1024` or `env.seed=i64:-1`; the type is i32 unless it is given.
    /// May be repeated.
    #[arg(long = "global", value_name = "MODULE.NAME=[TYPE:]VALUE", value_parser = parse_global)]
    pub globals: Vec<(Import, ConstValue)>,
    /// On PVM, a kind of host, which is the form of its programs, its conventions and its limits: jam, revive, corevm or
    /// substrate. Or a file with counts of runs of the module (`run --profile-out`), which decide what is fast and what
    /// is small; counts of several files are added.
    #[arg(long, value_name = "HOST|FILE", value_parser = ProfileArg::parse)]
    pub profile: Vec<ProfileArg>,
    #[command(flatten)]
    pub wasi: WasiArgs,
    /// Worker threads; 0, the default, is one per processor. The output does not depend on it.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Panic in this stage of this function, for tests.
    #[cfg(debug_assertions)]
    #[arg(long, value_name = "STAGE:FUNCTION", hide = true)]
    pub panic_in: Option<String>,
}

/// Options of the PVM.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "PVM")]
pub struct PvmArgs {
    /// Version of the Gray Paper the program is for: 0.7 or 0.8 (the default), or `next` for 0.8 with the code format of a
    /// proposal (experimental).
    #[arg(long)]
    pub gp: Option<GpVersion>,
    /// Version whose numbers of host calls the module, adapters and import maps use; that of --gp by default. Numbers are
    /// translated by their meaning.
    #[arg(long, value_name = "GP")]
    pub host_calls: Option<GpVersion>,
    /// Form of the output; `jam` by default.
    #[arg(long, value_parser = choice::<Format>())]
    pub format: Option<Format>,
    /// Bytes of machine stack; K and M are units.
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub stack_size: Option<u32>,
    /// Bytes by which linear memory can grow in PolkaVM's container, which has them from the start; 16M by default. K and
    /// M are units.
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub growth_bytes: Option<u32>,
    /// Entry points: services' by name and all exports otherwise (`auto`, the default), or all exports without
    /// conversion.
    #[arg(long, value_parser = choice::<EntryMode>())]
    pub entries: Option<EntryMode>,
    /// Contents of r8 after an entry function: the length of the result (the default), or its end address.
    #[arg(long, value_parser = choice::<ResultConvention>())]
    pub result: Option<ResultConvention>,
    /// Whether code may copy initial data into place at the start: where that is cheaper (`auto`, the default), or never.
    #[arg(long, value_parser = choice::<StartCopy>())]
    pub start_copy: Option<StartCopy>,
    /// Whether the metadata names functions; `auto`, the default, leaves them out at -Os and -Oz. `lines` adds the lines
    /// of their code, in PolkaVM's container only.
    #[arg(long, value_parser = choice::<Names>())]
    pub names: Option<Names>,
    /// Exports in the metadata: functions that are entries (the default), or also globals, tables and memories, which
    /// then all have an address.
    #[arg(long, value_parser = choice::<MetadataContents>())]
    pub metadata: Option<MetadataContents>,
}

/// Options of Cortex-M.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Cortex-M")]
pub struct ThumbArgs {
    /// Core: cortex-m0plus (the default of thumbv6m), m0, m1, cortex-m3 (of thumbv7m), cortex-m4 (of thumbv7em), m4f, m7, m7dp, cortex-m23 (of
    /// thumbv8m.base), cortex-m33 (of thumbv8m.main), m33f, m52, cortex-m55 (of thumbv8.1m.main), m55dp, m85, m85dp.
    #[arg(long, value_name = "CORE")]
    pub cpu: Option<Cpu>,
    /// Place of linear memory: address 0 (`native`, the default), a symbol of the object, or the address in r11.
    #[arg(long, value_parser = choice::<MemoryMode>())]
    pub memory: Option<MemoryMode>,
    /// Functions for float operators with `--floats soft`: those of the run-time ABI (`aeabi`, the default), which the
    /// firmware links, or our own, in the object.
    #[arg(long, value_parser = choice::<FloatHelpers>())]
    pub float_helpers: Option<FloatHelpers>,
    /// Registers for floats in calls from and to other objects, on cores with a unit: float registers (`hard`, the default)
    /// or core registers (`softfp`).
    #[arg(long, value_parser = choice::<FloatAbi>())]
    pub float_abi: Option<FloatAbi>,
    /// Effect of a trap: `udf` with its number (the default), or a call of a function that doesn't return.
    #[arg(long, value_name = "udf|handler=SYMBOL", value_parser = parse_trap)]
    pub trap: Option<Trap>,
    /// Source of the initial data with memory `symbol` or `register`: `__wasm_start` copies it (`copy`, the default),
    /// all of memory is stored in `.data` (`image`), or the firmware writes it (`none`).
    #[arg(long, value_parser = choice::<InitialData>())]
    pub initial_data: Option<InitialData>,
    /// Meaning of constants that could be addresses of static data or numbers, with native memory. `auto` (the
    /// default) takes likely addresses as addresses, with a warning, and refuses the others.
    #[arg(long, value_parser = choice::<Constants>())]
    pub constants: Option<Constants>,
    /// Bytes for the C stack with `--memory native --shadow-stack strict`.
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub shadow_stack_size: Option<u32>,
    /// Prefix of every import's symbol.
    #[arg(long, value_name = "TEXT")]
    pub import_prefix: Option<String>,
    /// Symbol of an import or export. May be repeated.
    #[arg(long, value_name = "WASM=SYMBOL", value_parser = parse_rename)]
    pub rename: Vec<(String, String)>,
    /// File of lines `WASM = SYMBOL`. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub rename_file: Vec<PathBuf>,
    /// Make aligned accesses only, for firmware that lets others fault and for memory of devices; always so on cores without
    /// the main extension.
    #[arg(long)]
    pub strict_align: bool,
    /// The alignment hints of the module's accesses are true: no access is at an address that is no multiple of its hint.
    #[arg(long)]
    pub aligned: bool,
    /// Debug information in the object: frames, and functions and lines if the module has DWARF (the default), or none.
    #[arg(long, value_parser = choice::<Debug>())]
    pub debug: Option<Debug>,
}

impl ModuleArgs {
    /// The first of these options that was given.
    pub fn first(&self) -> Option<&'static str> {
        let given = [
            (self.level.is_some(), "-O"),
            (self.floats.is_some(), "--floats"),
            (self.trap_floats, "--trap-floats"),
            (self.bounds.is_some(), "--bounds"),
            (self.shadow_stack.is_some(), "--shadow-stack"),
            (self.memory_bytes.is_some(), "--memory-bytes"),
            (self.memory_reserve.is_some(), "--memory-reserve"),
            (!self.adapter.is_empty(), "--adapter"),
            (!self.imports.is_empty(), "--imports"),
            (!self.globals.is_empty(), "--global"),
            (!self.profile.is_empty(), "--profile"),
            (self.wasi.wasi, "--wasi"),
            (self.threads.is_some(), "--threads"),
        ];
        given.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name)
    }
}

impl PvmArgs {
    /// The first of these options that was given.
    pub fn first(&self) -> Option<&'static str> {
        self.gp.map(|_| "--gp").or_else(|| self.first_of_compiling())
    }

    /// The first of these options that was given and means nothing to a compiled program.
    pub fn first_of_compiling(&self) -> Option<&'static str> {
        let given = [
            (self.host_calls.is_some(), "--host-calls"),
            (self.format.is_some(), "--format"),
            (self.stack_size.is_some(), "--stack-size"),
            (self.growth_bytes.is_some(), "--growth-bytes"),
            (self.entries.is_some(), "--entries"),
            (self.result.is_some(), "--result"),
            (self.start_copy.is_some(), "--start-copy"),
            (self.names.is_some(), "--names"),
            (self.metadata.is_some(), "--metadata"),
        ];
        given.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name)
    }
}

impl ThumbArgs {
    /// The first of these options that was given.
    pub fn first(&self) -> Option<&'static str> {
        let given = [
            (self.cpu.is_some(), "--cpu"),
            (self.memory.is_some(), "--memory"),
            (self.float_helpers.is_some(), "--float-helpers"),
            (self.float_abi.is_some(), "--float-abi"),
            (self.trap.is_some(), "--trap"),
            (self.initial_data.is_some(), "--initial-data"),
            (self.constants.is_some(), "--constants"),
            (self.shadow_stack_size.is_some(), "--shadow-stack-size"),
            (self.import_prefix.is_some(), "--import-prefix"),
            (!self.rename.is_empty(), "--rename"),
            (!self.rename_file.is_empty(), "--rename-file"),
            (self.strict_align, "--strict-align"),
            (self.aligned, "--aligned"),
            (self.debug.is_some(), "--debug"),
        ];
        given.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name)
    }
}

/// A machine by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TargetArg {
    Pvm,
    Thumb(Architecture),
}

impl FromStr for TargetArg {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "pvm" => Ok(Self::Pvm),
            _ => {
                let known = Architecture::ALL.into_iter().find(|known| known.to_string() == name);
                known.map(Self::Thumb).ok_or_else(|| {
                    let names: Vec<String> = Architecture::ALL.iter().map(Architecture::to_string).collect();
                    format!("expected pvm or one of {}", names.join(", "))
                })
            }
        }
    }
}

/// `udf` or `handler=SYMBOL`.
fn parse_trap(text: &str) -> Result<Trap, String> {
    match text.strip_prefix("handler=") {
        Some(symbol) if !symbol.is_empty() => Ok(Trap::Handler(symbol.to_owned())),
        None if text == "udf" => Ok(Trap::Instruction),
        _ => Err("expected udf or handler=SYMBOL".to_owned()),
    }
}

/// The name of an imported global and its value.
fn parse_global(text: &str) -> Result<(Import, ConstValue), String> {
    let (name, value) = text.rsplit_once('=').ok_or("expected MODULE.NAME=[TYPE:]VALUE")?;
    let (module, field) = name.split_once('.').ok_or("expected MODULE.NAME before the value")?;
    let import = Import { module: module.to_owned(), field: field.to_owned() };
    if value == "null" {
        return Ok((import, ConstValue::Null));
    }
    let (ty, number) = value.split_once(':').unwrap_or(("i32", value));
    let value = match ty {
        "i32" => parse_integer(number, 32).map(|bits| ConstValue::I32(bits as i32)),
        "i64" => parse_integer(number, 64).map(|bits| ConstValue::I64(bits as i64)),
        "f32" => number.parse().ok().map(|value: f32| ConstValue::F32(value.to_bits())),
        "f64" => number.parse().ok().map(|value: f64| ConstValue::F64(value.to_bits())),
        "v128" => parse_vector(number).map(ConstValue::V128),
        _ => return Err(format!("{ty} is not one of the types i32, i64, f32, f64 and v128")),
    };
    value.map(|value| (import, value)).ok_or_else(|| format!("{number} is not a value of type {ty}"))
}

/// An unsigned integer of 128 bits, decimal or with `0x`.
fn parse_vector(text: &str) -> Option<u128> {
    match text.strip_prefix("0x") {
        Some(hex) => u128::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A wasm name and a symbol.
pub fn parse_rename(text: &str) -> Result<(String, String), String> {
    let parts = text.rsplit_once('=').map(|(name, symbol)| (name.trim(), symbol.trim()));
    let parts = parts.filter(|(_, symbol)| !symbol.is_empty());
    let (name, symbol) = parts.ok_or_else(|| "expected WASM=SYMBOL".to_owned())?;
    Ok((name.to_owned(), symbol.to_owned()))
}

/// The arguments of `run`. A module is compiled first, with the options of `compile`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Program file, or a module in any form that `compile` takes; `-` is standard input.
    pub program: PathBuf,
    /// Argument bytes: hexadecimal digits, or `@FILE` for a file's contents.
    #[arg(long, value_name = "HEX|@FILE", conflicts_with = "invoke")]
    pub args: Option<String>,
    /// Name of the entry; the first one by default.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["pc", "invoke"])]
    pub entry: Option<String>,
    /// Position of the entry in the code.
    #[arg(long, conflicts_with = "invoke")]
    pub pc: Option<u32>,
    #[command(flatten)]
    pub invocations: Invocations,
    /// Answer a host call, by its number or the name of its import, with a value of r7, and of r8 if it is given. May be
    /// repeated.
    #[arg(long = "host-call", value_name = "CALL=VALUE[,VALUE]", value_parser = parse_answer)]
    pub answers: Vec<GivenAnswer>,
    #[command(flatten)]
    pub pokes: Pokes,
    /// Print bytes of linear memory after the last call. May be repeated.
    #[arg(long, value_name = "ADDRESS:LENGTH", value_parser = Dump::parse)]
    pub dump: Vec<Dump>,
    /// Gas limit of each call; on Cortex-M, limit of instructions.
    #[arg(long, default_value_t = RunOptions::DEFAULT_GAS)]
    pub gas: u64,
    /// Machine to run a module on: pvm, or an architecture of Cortex-M, as with `compile`.
    #[arg(long, default_value = "pvm")]
    pub target: TargetArg,
    /// Engine: the interpreter or the recompiler; `auto` is the recompiler where it works.
    #[arg(long, value_parser = choice::<Backend>(), default_value = "auto")]
    pub backend: Backend,
    /// Supported host calls: gas, grow_heap and log only, or also Substrate's allocator and logging.
    #[arg(long, value_parser = choice::<Host>(), default_value = "jam")]
    pub host: Host,
    /// Count how often functions and branches of the module are taken, and write the profile to a file.
    #[arg(long, value_name = "FILE")]
    pub profile_out: Option<PathBuf>,
    /// The map of a compiled program, for the explanation of a trap; by default its name with `.map` after it, if there
    /// is such a file.
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub streams: StreamArgs,
    #[command(flatten, next_help_heading = "Compiling a module")]
    pub module: ModuleArgs,
    #[command(flatten)]
    pub pvm: PvmArgs,
    #[command(flatten)]
    pub thumb: ThumbArgs,
}

/// Arguments of all inspecting commands.
#[derive(Debug, Args)]
pub struct ProgramArgs {
    /// Program file; `-` is standard input.
    pub program: PathBuf,
    /// Version of the Gray Paper, for programs without our metadata.
    #[arg(long)]
    pub gp: Option<GpVersion>,
}

#[derive(Debug, Args)]
pub struct DisasmArgs {
    #[command(flatten)]
    pub program: ProgramArgs,
    /// Leave out the bytes of instructions.
    #[arg(long)]
    pub no_bytes: bool,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    pub program: ProgramArgs,
    /// The map of the program, which has the deepest stack of each entry; by default its name with `.map` after it, if
    /// there is such a file.
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub cycles: CyclesArgs,
}

#[derive(Debug, Args)]
pub struct CyclesArgs {
    /// Of an object: the worst cycles of each function, on the object's core or on the one given: m0, m0plus, m3, m4.
    #[arg(long, value_name = "CORE", num_args = 0..=1)]
    pub cycles: Option<Option<String>>,
    /// Wait states of flash, for `--cycles`.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=64), requires = "cycles")]
    pub wait_states: u32,
    /// Cycles of a multiplication on m0 and m0plus, whose makers choose 1 or 32, for `--cycles`.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=32), requires = "cycles")]
    pub multiply: u32,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Object file.
    pub object: PathBuf,
    /// The number of the trap: r0 in the handler of `--trap handler=SYMBOL`.
    #[arg(required_unless_present = "at", value_parser = parse_word)]
    pub number: Option<u32>,
    /// The offset in the module: r1 in the handler.
    #[arg(value_parser = parse_word)]
    pub offset: Option<u32>,
    /// The place of the undefined instruction, as debuggers print it.
    #[arg(long, value_name = "SYMBOL[+BYTES]", conflicts_with = "number")]
    pub at: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A number, in decimal or with 0x.
fn parse_word(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "not a number of 32 bits".to_owned())
}

impl ExplainArgs {
    /// The symbol and the number of bytes of a place.
    pub fn place(at: &str) -> Result<(&str, u32), String> {
        match at.rsplit_once('+') {
            Some((symbol, bytes)) => Ok((symbol, parse_word(bytes)?)),
            None => Ok((at, 0)),
        }
    }
}

#[derive(Debug, Args)]
pub struct GasArgs {
    #[command(flatten)]
    pub program: ProgramArgs,
    /// Print every block, not only sums per function.
    #[arg(long)]
    pub blocks: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A number of bytes with an optional unit.
pub fn parse_size(text: &str) -> Result<u32, String> {
    let (digits, shift) = match text.to_ascii_lowercase() {
        lower if lower.ends_with('k') => (lower[..lower.len() - 1].to_owned(), 10),
        lower if lower.ends_with('m') => (lower[..lower.len() - 1].to_owned(), 20),
        lower => (lower, 0),
    };
    let number = match digits.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    };
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "expected a number of bytes such as 65536, 64K or 1M".to_owned())
}

/// A parser of the names of an option's values.
pub fn choice<T: Choice>() -> impl TypedValueParser<Value = T> {
    let names = PossibleValuesParser::new(T::VALUES.iter().map(|value| value.name()));
    names.map(|name| T::named(&name).expect("only these names are accepted"))
}

/// A parser of optimisation levels. Scripts for other compilers pass `3`, which is the same as `2`.
fn level() -> impl TypedValueParser<Value = OptLevel> {
    let names = OptLevel::VALUES.iter().map(|level| level.name()).chain(["3"]);
    PossibleValuesParser::new(names).map(|name| {
        OptLevel::named(if name == "3" { "2" } else { &name }).expect("only these names are accepted")
    })
}

/// A parser of the names of bounds checks of all targets.
fn bounds() -> PossibleValuesParser {
    let pvm = PvmBounds::VALUES.iter().map(|bounds| bounds.name());
    PossibleValuesParser::new(pvm.chain(ThumbBounds::VALUES.iter().map(|bounds| bounds.name())))
}

/// Stages with a fixed name.
const STAGES: [(&str, Stage<'static>); 6] = [
    ("llvm-ir", Stage::LlvmIr),
    ("ssa", Stage::Ssa),
    ("prepared", Stage::Prepared),
    ("mir", Stage::Mir),
    ("asm", Stage::Asm),
    ("header", Stage::Header),
];

/// A parser of the names of stages.
fn stage() -> impl TypedValueParser<Value = Stage<'static>> {
    let stage = |name: String| STAGES.iter().find(|(known, _)| *known == name).map(|(_, stage)| *stage);
    let names = PossibleValuesParser::new(STAGES.map(|(name, _)| name));
    names.map(move |name| stage(name).expect("only these names are accepted"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn globals_have_types() {
        let value =
            |text: &str| parse_global(text).map(|(import, value)| (import.module, import.field, value));
        let is = |value| Ok(("env".to_owned(), "a.b".to_owned(), value));
        assert_eq!(value("env.a.b=-1"), is(ConstValue::I32(-1)));
        assert_eq!(value("env.a.b=0xffffffff"), is(ConstValue::I32(-1)));
        assert_eq!(value("env.a.b=i64:-0x8000000000000000"), is(ConstValue::I64(i64::MIN)));
        assert_eq!(value("env.a.b=f32:1.5"), is(ConstValue::F32(0x3fc0_0000)));
        assert_eq!(value("env.a.b=v128:0x10"), is(ConstValue::V128(16)));
        for wrong in
            ["env.a", "a=1", "env.a=", "env.a=4294967296", "env.a=-2147483649", "env.a=v128:-1", "env.a=i8:0"]
        {
            assert!(parse_global(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("64K"), Ok(65536));
        assert_eq!(parse_size("1m"), Ok(1 << 20));
        assert_eq!(parse_size("0x1000"), Ok(4096));
        assert!(["", "k", "-1", "5000M", "1.5K"].iter().all(|text| parse_size(text).is_err()));
    }
}
