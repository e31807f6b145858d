//! The command line, as data.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use wasm_pvm::run::{Backend, Host, RunOptions};
use wasm_pvm::{
    Architecture, ConstValue, Constants, Cpu, Debug, EntryMode, Floats, Format, GpVersion, Import,
    InitialData, MemoryMode, Names, OptLevel, PvmBounds, ResultConvention, ShadowStack, Stage, ThumbBounds,
    Trap,
};

/// Compiles WebAssembly to programs for the PVM and to objects for Cortex-M; runs and inspects PVM programs.
#[derive(Debug, Parser)]
#[command(name = "wasm-pvm", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Report progress and decisions on standard error; twice for more detail.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compile a WebAssembly module.
    Compile(Box<CompileArgs>),
    /// Run a compiled program.
    Run(RunArgs),
    /// Print a program's instructions, by function and basic block, with gas; of a Cortex-M object its assembly.
    Disasm(DisasmArgs),
    /// Print the sizes, entries and imports of a program, or the contents of a Cortex-M object.
    Info(InfoArgs),
    /// Print the gas of functions and basic blocks.
    Gas(GasArgs),
}

#[derive(Debug, Args)]
pub struct CompileArgs {
    /// WebAssembly binary, text format, or compressed Substrate runtime; `-` is standard input.
    pub input: PathBuf,
    /// Output file; `-` is standard output. Without it, the input's name with another extension.
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Optimisation level.
    #[arg(short = 'O', value_name = "LEVEL", value_enum, default_value = "2")]
    pub level: Level,
    /// Machine to compile for: pvm, thumbv7m, thumbv7em or thumbv8m.main.
    #[arg(long, default_value = "pvm")]
    pub target: TargetArg,
    /// Treatment of float operators; `hard` is the default where the core has a unit for them, else `reject`.
    #[arg(long, value_enum)]
    pub floats: Option<FloatsArg>,
    /// The same as `--floats trap`.
    #[arg(long, hide = true, conflicts_with = "floats")]
    pub trap_floats: bool,
    /// Treatment of accesses outside of linear memory: `guard` (the default) or `strict` on PVM; `none` (the
    /// default with native memory), `mask`, `check` (the default otherwise) or `mpu` on Cortex-M.
    #[arg(long, value_enum)]
    pub bounds: Option<BoundsArg>,
    /// Where the C stack lives: on the machine's stack if the module allows it, or in linear memory.
    #[arg(long, value_enum, default_value = "auto")]
    pub shadow_stack: ShadowStackArg,
    /// Bytes of linear memory: on Cortex-M instead of the declared size, on PVM the size at the start if the declared
    /// one is smaller. K and M are units.
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub memory_bytes: Option<u32>,
    /// Module whose exports replace imports. May be repeated.
    #[arg(short, long, value_name = "FILE")]
    pub adapter: Vec<PathBuf>,
    /// Value of an imported global, such as `env.base=1024` or `env.seed=i64:-1`; the type is i32 unless it is given.
    /// May be repeated.
    #[arg(long = "global", value_name = "MODULE.NAME=[TYPE:]VALUE", value_parser = parse_global)]
    pub globals: Vec<(Import, ConstValue)>,
    #[command(flatten)]
    pub pvm: PvmArgs,
    #[command(flatten)]
    pub thumb: ThumbArgs,
    /// Stop at a stage and write its text, to standard output unless -o is given.
    #[arg(long, value_enum)]
    pub emit: Option<StageArg>,
    /// Worker threads; 0 is one per processor. The output does not depend on it.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Print sizes and times as JSON.
    #[arg(long, conflicts_with = "emit")]
    pub json: bool,
}

/// Options of the PVM.
#[derive(Debug, Args)]
#[command(next_help_heading = "PVM")]
pub struct PvmArgs {
    /// Version of the Gray Paper the program is for: 0.7 or 0.8 (the default).
    #[arg(long)]
    pub gp: Option<GpVersion>,
    /// Form of the output; `jam` by default.
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
    /// Bytes of machine stack; K and M are units.
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub stack_size: Option<u32>,
    /// Import map file; `auto` or `auto:N` to number the remaining imports from N; or `trap` to let them log their
    /// name and trap. May be repeated.
    #[arg(short, long, value_name = "FILE|auto|trap")]
    pub imports: Vec<String>,
    /// Entry points: services' by name and all exports otherwise (`auto`, the default), or all exports without
    /// conversion.
    #[arg(long, value_enum)]
    pub entries: Option<EntriesArg>,
    /// Contents of r8 after an entry function: the length of the result (the default), or its end address.
    #[arg(long, value_enum)]
    pub result: Option<ResultArg>,
    /// Whether the metadata names functions; `auto`, the default, leaves them out at -Os and -Oz.
    #[arg(long, value_enum)]
    pub names: Option<NamesArg>,
}

/// Options of Cortex-M.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cortex-M")]
pub struct ThumbArgs {
    /// Core: cortex-m3 (the default of thumbv7m), cortex-m4 (of thumbv7em), m4f, m7, m7dp, cortex-m33 (of
    /// thumbv8m.main), m33f.
    #[arg(long, value_name = "CORE")]
    pub cpu: Option<Cpu>,
    /// Where linear memory is: at address 0 (`native`, the default), at a symbol of the object, or where r11 points.
    #[arg(long, value_enum)]
    pub memory: Option<MemoryArg>,
    /// Effect of a trap: `udf` with its number (the default), or a call of a function that doesn't return.
    #[arg(long, value_name = "udf|handler=SYMBOL", value_parser = parse_trap)]
    pub trap: Option<Trap>,
    /// Method by which linear memory gets its initial data with memory `symbol` or `register`: `__wasm_start` copies
    /// it (the default), all of memory is stored with it in `.data` (`image`), or the firmware writes it (`none`).
    #[arg(long, value_enum)]
    pub initial_data: Option<InitialDataArg>,
    /// Treatment of ambiguous constants, which could be addresses of static data or numbers, with native memory:
    /// `auto` (the default) takes likely addresses as such, with a warning, and refuses the rest; `address` and
    /// `number` take all as that; `refuse` refuses all.
    #[arg(long, value_enum)]
    pub constants: Option<ConstantsArg>,
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
    /// Debug information in the object: functions and lines (the default), if the module has DWARF, or none.
    #[arg(long, value_enum)]
    pub debug: Option<DebugArg>,
}

impl PvmArgs {
    /// The first of these options that was given.
    pub fn first(&self) -> Option<&'static str> {
        let given = [
            (self.gp.is_some(), "--gp"),
            (self.format.is_some(), "--format"),
            (self.stack_size.is_some(), "--stack-size"),
            (!self.imports.is_empty(), "--imports"),
            (self.entries.is_some(), "--entries"),
            (self.result.is_some(), "--result"),
            (self.names.is_some(), "--names"),
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
            (self.trap.is_some(), "--trap"),
            (self.initial_data.is_some(), "--initial-data"),
            (self.constants.is_some(), "--constants"),
            (self.shadow_stack_size.is_some(), "--shadow-stack-size"),
            (self.import_prefix.is_some(), "--import-prefix"),
            (!self.rename.is_empty(), "--rename"),
            (!self.rename_file.is_empty(), "--rename-file"),
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
            "thumbv7m" => Ok(Self::Thumb(Architecture::V7M)),
            "thumbv7em" => Ok(Self::Thumb(Architecture::V7EM)),
            "thumbv8m.main" => Ok(Self::Thumb(Architecture::V8MMain)),
            "thumbv6m" | "thumbv8m.base" => Err(format!(
                "{name} has no Thumb-2 main extension, which the code needs; the smallest supported architecture is thumbv7m"
            )),
            _ => Err("expected pvm, thumbv7m, thumbv7em or thumbv8m.main".to_owned()),
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
    let (ty, number) = value.split_once(':').unwrap_or(("i32", value));
    let value = match ty {
        "i32" => parse_integer(number, 32).map(|bits| ConstValue::I32(bits as i32)),
        "i64" => parse_integer(number, 64).map(|bits| ConstValue::I64(bits as i64)),
        "f32" => number.parse().ok().map(|value: f32| ConstValue::F32(value.to_bits())),
        "f64" => number.parse().ok().map(|value: f64| ConstValue::F64(value.to_bits())),
        _ => return Err(format!("{ty} is not one of the types i32, i64, f32 and f64")),
    };
    value.map(|value| (import, value)).ok_or_else(|| format!("{number} is not a value of type {ty}"))
}

/// A signed or unsigned integer of `bits` bits, decimal or with `0x`.
fn parse_integer(text: &str, bits: u32) -> Option<u64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let magnitude = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    let most = if negative { 1 << (bits - 1) } else { u64::MAX >> (64 - bits) };
    let value = if negative { magnitude.wrapping_neg() } else { magnitude };
    (magnitude <= most).then_some(value)
}

/// A wasm name and a symbol.
pub fn parse_rename(text: &str) -> Result<(String, String), String> {
    let parts = text.rsplit_once('=').map(|(name, symbol)| (name.trim(), symbol.trim()));
    let parts = parts.filter(|(_, symbol)| !symbol.is_empty());
    let (name, symbol) = parts.ok_or_else(|| "expected WASM=SYMBOL".to_owned())?;
    Ok((name.to_owned(), symbol.to_owned()))
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Program file; `-` is standard input.
    pub program: PathBuf,
    /// Argument bytes: hexadecimal digits, or `@FILE` for a file's contents.
    #[arg(long, value_name = "HEX|@FILE", default_value = "")]
    pub args: String,
    /// Name of the entry; the first one by default.
    #[arg(long, value_name = "NAME", conflicts_with = "pc")]
    pub entry: Option<String>,
    /// Position of the entry in the code.
    #[arg(long)]
    pub pc: Option<u32>,
    /// Gas limit.
    #[arg(long, default_value_t = RunOptions::DEFAULT_GAS)]
    pub gas: u64,
    /// Engine: the interpreter or the recompiler; `auto` is the recompiler where it works.
    #[arg(long, value_enum, default_value = "auto")]
    pub backend: BackendArg,
    /// Supported host calls: gas, grow_heap and log only, or also Substrate's allocator and logging.
    #[arg(long, value_enum, default_value = "jam")]
    pub host: HostArg,
    /// Version of the Gray Paper, for programs without our metadata.
    #[arg(long)]
    pub gp: Option<GpVersion>,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub json: bool,
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
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
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
fn parse_size(text: &str) -> Result<u32, String> {
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

/// A kind of bounds check, by its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bounds {
    Pvm(PvmBounds),
    Thumb(ThumbBounds),
}

/// Declares an option's values and their meanings.
macro_rules! values {
    ($($name:ident for $ty:ty { $($text:literal $variant:ident => $value:expr,)* })*) => {$(
        #[derive(Clone, Copy, Debug, ValueEnum)]
        pub enum $name {
            $(#[value(name = $text)] $variant,)*
        }

        impl From<$name> for $ty {
            fn from(arg: $name) -> Self {
                match arg {
                    $($name::$variant => $value,)*
                }
            }
        }
    )*};
}

values! {
    Level for OptLevel {
        "0" O0 => OptLevel::O0,
        "2" O2 => OptLevel::O2,
        "s" Os => OptLevel::Os,
        "z" Oz => OptLevel::Oz,
    }
    FormatArg for Format {
        "jam" Jam => Format::Jam,
        "spi" Spi => Format::Spi,
        "raw" Raw => Format::Raw,
    }
    FloatsArg for Floats {
        "reject" Reject => Floats::Reject,
        "trap" Trap => Floats::Trap,
        "soft" Soft => Floats::Soft,
        "hard" Hard => Floats::Hard,
    }
    BoundsArg for Bounds {
        "guard" Guard => Bounds::Pvm(PvmBounds::Guard),
        "strict" Strict => Bounds::Pvm(PvmBounds::Strict),
        "none" None => Bounds::Thumb(ThumbBounds::None),
        "mask" Mask => Bounds::Thumb(ThumbBounds::Mask),
        "check" Check => Bounds::Thumb(ThumbBounds::Check),
        "mpu" Mpu => Bounds::Thumb(ThumbBounds::Mpu),
    }
    ConstantsArg for Constants {
        "auto" Auto => Constants::Auto,
        "address" Address => Constants::Address,
        "number" Number => Constants::Number,
        "refuse" Refuse => Constants::Refuse,
    }
    InitialDataArg for InitialData {
        "copy" Copy => InitialData::Copy,
        "image" Image => InitialData::Image,
        "none" None => InitialData::None,
    }
    MemoryArg for MemoryMode {
        "native" Native => MemoryMode::Native,
        "symbol" Symbol => MemoryMode::Symbol,
        "register" Register => MemoryMode::Register,
    }
    DebugArg for Debug {
        "none" None => Debug::None,
        "lines" Lines => Debug::Lines,
    }
    ShadowStackArg for ShadowStack {
        "auto" Auto => ShadowStack::Auto,
        "native" Native => ShadowStack::Native,
        "strict" Strict => ShadowStack::Strict,
    }
    EntriesArg for EntryMode {
        "auto" Auto => EntryMode::Auto,
        "raw" Raw => EntryMode::Raw,
    }
    ResultArg for ResultConvention {
        "len" Len => ResultConvention::Length,
        "end" End => ResultConvention::End,
    }
    NamesArg for Names {
        "auto" Auto => Names::Auto,
        "keep" Keep => Names::Keep,
        "strip" Strip => Names::Strip,
    }
    StageArg for Stage {
        "llvm-ir" LlvmIr => Stage::LlvmIr,
        "ssa" Ssa => Stage::Ssa,
        "mir" Mir => Stage::Mir,
        "asm" Asm => Stage::Asm,
        "header" Header => Stage::Header,
    }
    BackendArg for Backend {
        "auto" Auto => Backend::Auto,
        "interpreter" Interpreter => Backend::Interpreter,
        "compiler" Compiler => Backend::Compiler,
    }
    HostArg for Host {
        "jam" Jam => Host::Jam,
        "substrate" Substrate => Host::Substrate,
    }
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
        for wrong in ["env.a", "a=1", "env.a=", "env.a=4294967296", "env.a=-2147483649", "env.a=v128:0"] {
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
