//! The Cortex-M target: from an [`ssa::Module`] to a relocatable ELF object.
//!
//! ```text
//! program:        initial ─ boundary ─ doubles or softfp ─ adapters ─ powers ─ legalize ─ alignment ─ classes
//! each function:  forward_slots ─ dead_slots ─ merge ─ cancel ─ anchors ─ rebase ─ widths ─ ranges ─ sink ─ products ─
//!                 tail_calls ─ decisions ─ branches ─ switches
//! code:           Thumb ─ codegen (lower ─ frame ─ peephole ─ emit) ─► Fragments ─ elf::write ─► bytes
//! ```
//!
//! All passes before code generation are SSA to SSA. For example, exports and imports with several results get
//! wrappers, and operations the core lacks become calls of helper functions that are compiled into the object.
//!
//! | folder | contents |
//! |---|---|
//! | `adapt` | the SSA passes that depend on the core, its calling convention or its memory |
//! | `isa` | [`Thumb`], which describes a core to the code generator: instructions, registers, calling convention |
//! | `lower` | selection of instructions, and their replacement on cores without the main extension |
//! | `frame` | stack frames, prologues and epilogues |
//! | `peephole` | expansion of composite instructions, and improvements of final ones |
//! | `emit` | bytes and fixups |
//! | `elf` | objects: `write` makes them, [`mod@file`] reads them back as assembly or as a summary |

mod adapt;
mod elf;
mod emit;
mod frame;
mod header;
mod isa;
mod lower;
mod peephole;
mod target;

use codegen::Unsupported;
use prepare::legalize::{self, legalize};
use prepare::{
    aligned, alignment, anchors, boundary, branches, cancel, classes, dead_slots, decisions, forward_slots,
    hoist, merge, powers, products, ranges, rebase, sink, sums, tail_calls, widths,
};
use ssa::{DataId, DataKind, DataObject, Module};

pub use adapt::initial::InitialData;
pub use elf::read::{self as file, FileError, Summary};
pub use elf::write::{FirstCall, FunctionInfo, MemoryShape, NameError, Object, ObjectOptions, Sizes};
pub use isa::cpu::{self, Cpu, UnknownCpu};
pub use isa::{MemoryMode, Thumb};

use adapt::initial::{self, Start};
use adapt::{adapters, doubles, parameters, softfp, traps};
use isa::abi;

/// Weight of a block's frequency against the one execution that counts where code should be small.
const TIE_BREAK: f32 = 0.001;

/// The effect of a trap.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Trap {
    /// An undefined instruction `udf` with the number of the trap ([`ssa::TrapCode::number`]).
    #[default]
    Instruction,
    /// A call of the function with this symbol, with the number in r0, and the offset of the operator in the module, or
    /// `0xffffffff`, in r1. It must not return; `udf` follows.
    Handler(String),
}

/// Options of the target.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// The core.
    pub cpu: Cpu,
    /// Where linear memory is.
    pub memory: MemoryMode,
    /// How linear memory gets its initial data.
    pub initial_data: InitialData,
    /// Whether float arithmetic that the core lacks may call the run-time ABI (`__aeabi_dadd` and so on).
    pub soft_floats: bool,
    /// Whether every access has to be aligned, although the core has others.
    pub strict_align: bool,
    /// Whether floats are passed in core registers although the core has a unit.
    pub softfp: bool,
    /// Traps.
    pub trap: Trap,
    /// The object.
    pub object: ObjectOptions,
    /// Whether the result of every stage is checked. Builds with assertions always check.
    pub checks: bool,
    /// Worker threads, at least 1. The result does not depend on it.
    pub threads: usize,
}

/// Reasons why a module can't become an object with these options.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Names of imports or exports that can't be symbols.
    #[error(transparent)]
    Names(#[from] NameError),
    /// An operation that the target has no code for.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// A memory is too large for a region of the memory protection unit.
    #[error("a region for the memory `{symbol}` would have {} GiB; the option --bounds check needs none", bytes >> 30)]
    Region {
        /// The memory's symbol.
        symbol: String,
        /// Bytes of the region.
        bytes: u64,
    },
}

/// Compiles a module.
///
/// # Errors
/// If a function needs an operation that the core lacks, or names can't be symbols.
pub fn compile(module: Module, options: &Options) -> Result<Object, Error> {
    compile_observed(module, options, &mut |_| ())
}

/// As [`compile`]; calls `observe` with the module before code generation.
///
/// # Errors
/// As for [`compile`].
pub fn compile_observed(
    module: Module,
    options: &Options,
    observe: &mut dyn FnMut(&Module),
) -> Result<Object, Error> {
    let (module, target, start) = prepare(module, options)?;
    if codegen::Isa::is_checked(&target) {
        ssa::verify_bodies(&module)
            .unwrap_or_else(|error| panic!("an adapted function breaks a rule: {error}"));
    }
    observe(&module);
    let fragments = codegen::compile_functions(&target, &module, options.threads.max(1))?;
    Ok(elf::write::link(&module, &target, &fragments, start, &options.object)?)
}

/// The text of all functions after the pass `after` of [`codegen::pass_names`], or after the last one.
///
/// # Errors
/// As for [`compile`].
pub fn print(module: Module, options: &Options, after: Option<&str>) -> Result<String, Error> {
    let (module, target, _) = prepare(module, options)?;
    let mut text = String::new();
    for func in module.functions.values().flatten() {
        text.push_str(&codegen::print_function(&target, &module, func, after)?);
        text.push('\n');
    }
    Ok(text)
}

/// The C header of the object of a module.
///
/// # Errors
/// If names can't be symbols.
pub fn header(mut module: Module, options: &Options) -> Result<String, Error> {
    let linear = isa::linear_memory(&module);
    initial::place(&mut module, linear, options.memory, options.initial_data);
    Ok(header::header(&module, linear, options)?)
}

/// The module before code generation, as text.
///
/// # Errors
/// As for [`compile`].
pub fn print_ssa(module: Module, options: &Options) -> Result<String, Error> {
    Ok(prepare(module, options)?.0.to_string())
}

/// Refuses memories whose region has more bytes than the address space.
fn refuse_large_regions(module: &Module, options: &Options) -> Result<(), Error> {
    let layout = elf::write::data::MemoryLayout::new(&options.object, options.cpu);
    let memories = module.data.values().filter(|object| object.kind == DataKind::FixedMemory);
    let mut regions = memories.map(|object| (object, layout.place_other(object.size, object.align).0));
    let too_large = regions.find(|&(_, bytes)| u32::try_from(bytes).is_err());
    too_large.map_or(Ok(()), |(object, bytes)| {
        Err(Error::Region { symbol: elf::write::names::memory_symbol(object), bytes })
    })
}

fn prepare(mut module: Module, options: &Options) -> Result<(Module, Thumb, Start), Error> {
    let linear = isa::linear_memory(&module);
    refuse_large_regions(&module, options)?;
    refuse_unknown_addresses(&module, linear, options)?;
    let start = initial::place(&mut module, linear, options.memory, options.initial_data);
    boundary::wrap(&mut module, linear);
    let softfp = options.softfp && options.cpu.has_single();
    match softfp {
        true => softfp::wrap(&mut module),
        false => doubles::wrap(&mut module, options.cpu),
    }
    let jumps = elf::write::names::jumps(&module, &options.object);
    adapters::add(&mut module, options.cpu, &jumps);
    module.functions.values_mut().flatten().for_each(powers::simplify);
    let strict = options.strict_align || !options.cpu.has_main();
    if strict {
        // The functions that access any address look at its low bits, but only to access it.
        alignment::lower(&mut module, abi::STACK_ALIGN);
    }
    raise_alignments(&mut module, linear, options.memory);
    let calls = options.soft_floats.then_some(&parameters::AEABI);
    legalize(&mut module, parameters::capabilities(options.cpu, strict), calls)
        .map_err(|error| without_hardware(error, options.cpu))?;
    if !strict {
        alignment::lower(&mut module, abi::STACK_ALIGN);
    }
    classes::tabulate(&mut module, parameters::CLASSES);
    let mut target = Thumb::new(options.cpu, options.memory, linear, &module);
    (target.softfp, target.strict_align, target.checks) = (softfp, strict, options.checks);
    for id in module.functions.ids() {
        let Some(func) = &mut module.functions[id] else { continue };
        simplify_accesses(func, &target);
        widths::narrow_params(func);
        ranges::simplify(func);
        if !func.optimize_for_size {
            sink::sink(func);
        }
        products::join(func);
        let room = target.room.of_func(id);
        // Where a jump to another function takes more bytes than a call and a return, calls stay calls.
        if options.cpu.features().contains(thumb_isa::Feature::V8Base) {
            tail_calls::mark(func, |call| target.room.of_call(call) <= room);
        }
        decisions::branch(func);
        branches::simplify(func, parameters::FEWEST_RANGES);
        isa::expand_switches(func, options.cpu);
        if func.optimize_for_size {
            func.blocks.values_mut().for_each(|block| block.freq = weight_in_size(block.freq));
        }
    }
    if let Trap::Handler(symbol) = &options.trap {
        target.trap_handler = Some(traps::call_handler(&mut module, symbol));
    }
    Ok((module, target, start))
}

/// Raises the alignment of accesses as far as their addresses tell. Linear memory is at address 0, at an aligned symbol or
/// where an aligned register points.
fn raise_alignments(module: &mut Module, linear: Option<DataId>, memory: MemoryMode) {
    let Module { functions, data, .. } = module;
    let base_log2 = |base: DataId| match data[base].kind {
        DataKind::Memory(_) if memory == MemoryMode::Native && Some(base) == linear => 32,
        DataKind::Memory(_) => abi::MEMORY_ALIGN.trailing_zeros(),
        _ => data[base].align.trailing_zeros(),
    };
    functions.values_mut().flatten().for_each(|func| aligned::raise(func, &base_log2));
}

/// The passes over accesses and their addresses.
fn simplify_accesses(func: &mut ssa::Function, target: &Thumb) {
    let linear = target.linear_memory;
    let is_native = target.memory == MemoryMode::Native;
    let slot_bases: &[Option<DataId>] = if is_native { &[None, linear] } else { &[linear] };
    let relative = linear.filter(|_| !is_native);
    if !func.optimize_for_size {
        sums::share(func);
    }
    forward_slots::forward(func, slot_bases);
    dead_slots::remove_dead_slot_stores(func, slot_bases);
    if !target.strict_align {
        merge::stores(func, linear, is_native);
    }
    if let Some(memory) = relative {
        cancel::bases(func, memory);
    }
    if func.optimize_for_size {
        anchors::place(func, linear);
    }
    if let Some(memory) = relative {
        if !func.optimize_for_size {
            hoist::addresses(func, memory, &|mem| parameters::largest_offset(target.cpu, mem));
        }
        rebase::group(func, memory, &|mem| parameters::offsets(target.cpu, mem));
    }
}

/// The weight of a block with this frequency where code should be small: about 1, as every instruction counts once,
/// however often it is executed. Frequency breaks ties. A block that is executed once has weight 1.
fn weight_in_size(freq: f32) -> f32 {
    // The bits of a float are nearly proportional to its logarithm, and the same on all machines.
    let log = ((1.0 + freq).to_bits() as i32 - 2.0_f32.to_bits() as i32) as f32 / (1 << 23) as f32;
    1.0 + TIE_BREAK * log
}

fn without_hardware(error: legalize::Unsupported, cpu: Cpu) -> Unsupported {
    let what = format!("`{}` without floating-point hardware for it on {cpu}", error.operation);
    Unsupported { function: error.function, what }
}

/// Refuses data that contains addresses of linear memory if a register holds its base: such an address is unknown
/// before the program runs.
fn refuse_unknown_addresses(
    module: &Module,
    linear: Option<DataId>,
    options: &Options,
) -> Result<(), Unsupported> {
    let unknown = linear.filter(|_| options.memory == MemoryMode::Register);
    let holds = |object: &&DataObject| object.addresses.iter().any(|stored| Some(stored.data) == unknown);
    match module.data.values().find(holds) {
        Some(object) => Err(Unsupported {
            function: object.name.clone(),
            what: "initial data with an address of linear memory under `--memory register` (use `--memory symbol`)"
                .to_owned(),
        }),
        None => Ok(()),
    }
}
