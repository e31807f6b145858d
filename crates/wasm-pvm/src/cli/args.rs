//! The command line, as data.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use pvm_isa::GpVersion;
use wasm_pvm::run::{Backend, Host, RunOptions};
use wasm_pvm::{
    Bounds, EntryMode, Floats, Format, Names, OptLevel, ResultConvention, ShadowStack, Stage, Target,
};

/// Compiles WebAssembly to programs for the PVM, and runs and inspects them.
#[derive(Debug, Parser)]
#[command(name = "wasm-pvm", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Say what is being done; twice for more.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compile a WebAssembly module.
    Compile(Box<CompileArgs>),
    /// Run a compiled program.
    Run(RunArgs),
    /// Print a program's instructions, by function and basic block, with gas.
    Disasm(DisasmArgs),
    /// Print what a program consists of.
    Info(InfoArgs),
    /// Print what basic blocks cost.
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
    /// Machine to compile for.
    #[arg(long, value_enum, default_value = "pvm")]
    pub target: TargetArg,
    /// Version of the Gray Paper the program is for: 0.7 or 0.8.
    #[arg(long, default_value = "0.8")]
    pub gp: GpVersion,
    /// Form of the output.
    #[arg(long, value_enum, default_value = "jam")]
    pub format: FormatArg,
    /// What to do with float operators.
    #[arg(long, value_enum, default_value = "reject")]
    pub floats: FloatsArg,
    /// The same as `--floats trap`.
    #[arg(long, hide = true, conflicts_with = "floats")]
    pub trap_floats: bool,
    /// Who notices an access outside of linear memory: unmapped pages, or a check in front of each access.
    #[arg(long, value_enum, default_value = "guard")]
    pub bounds: BoundsArg,
    /// Where the C stack lives: on the machine's stack if the module allows it, or in linear memory.
    #[arg(long, value_enum, default_value = "auto")]
    pub shadow_stack: ShadowStackArg,
    /// Bytes of machine stack; K and M are units.
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub stack_size: Option<u32>,
    /// Import map file; or `auto` or `auto:N` to number what is left from N. May be repeated.
    #[arg(short, long, value_name = "FILE|auto")]
    pub imports: Vec<String>,
    /// Module whose exports replace imports. May be repeated.
    #[arg(short, long, value_name = "FILE")]
    pub adapter: Vec<PathBuf>,
    /// Entry points: services' by name and all exports otherwise, or all exports without conversion.
    #[arg(long, value_enum, default_value = "auto")]
    pub entries: EntriesArg,
    /// What entry functions return in r8: the length of the result, or its end address.
    #[arg(long, value_enum, default_value = "len")]
    pub result: ResultArg,
    /// Whether the metadata names functions; `auto` leaves them out at -Os and -Oz.
    #[arg(long, value_enum, default_value = "auto")]
    pub names: NamesArg,
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

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Program file; `-` is standard input.
    pub program: PathBuf,
    /// Argument bytes: hexadecimal digits, or `@FILE` for a file's contents.
    #[arg(long, value_name = "HEX|@FILE", default_value = "")]
    pub args: String,
    /// Entry by name. The first one by default.
    #[arg(long, value_name = "NAME", conflicts_with = "pc")]
    pub entry: Option<String>,
    /// Entry by position in the code.
    #[arg(long)]
    pub pc: Option<u32>,
    /// Gas the run may use.
    #[arg(long, default_value_t = RunOptions::DEFAULT_GAS)]
    pub gas: u64,
    /// How the engine executes.
    #[arg(long, value_enum, default_value = "auto")]
    pub backend: BackendArg,
    /// Who answers host calls: gas, grow_heap and log only, or also Substrate's allocator and logging.
    #[arg(long, value_enum, default_value = "jam")]
    pub host: HostArg,
    /// Version of the Gray Paper, for programs without our metadata.
    #[arg(long)]
    pub gp: Option<GpVersion>,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments that all inspecting commands have.
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

/// Declares an option's values and what they stand for.
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
    TargetArg for Target {
        "pvm" Pvm => Target::Pvm,
    }
    FormatArg for Format {
        "jam" Jam => Format::Jam,
        "spi" Spi => Format::Spi,
        "raw" Raw => Format::Raw,
    }
    FloatsArg for Floats {
        "reject" Reject => Floats::Reject,
        "trap" Trap => Floats::Trap,
    }
    BoundsArg for Bounds {
        "guard" Guard => Bounds::Guard,
        "strict" Strict => Bounds::Strict,
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
    fn sizes_have_units() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("64K"), Ok(65536));
        assert_eq!(parse_size("1m"), Ok(1 << 20));
        assert_eq!(parse_size("0x1000"), Ok(4096));
        assert!(["", "k", "-1", "5000M", "1.5K"].iter().all(|text| parse_size(text).is_err()));
    }
}
