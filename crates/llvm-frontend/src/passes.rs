//! The pass pipelines.
//!
//! Wasm has been optimised once already. The passes here do what the producer could not: inlining with our
//! cost model, redundancy elimination across calls that became inline, and shapes that suit the target. The
//! pipelines are explicit and short, in the notation of `opt -passes`. Time stays nearly linear in the module
//! because inlining has a budget and functions beyond a size get fewer passes.
//!
//! LLVM walks all users of a pointer when it searches for an address computation, and all accesses of a
//! module would be users of `@__linear_memory`: time would be quadratic. So while the passes run, every function
//! gets the base of linear memory from a call without side effects. At the end [`run`] replaces these calls by the
//! global.
//!
//! No vectorising pass runs, and `instcombine` never verifies its fixpoint, which would abort the process.

mod growth;
mod limits;

use std::sync::Once;

use inkwell::OptimizationLevel;
use inkwell::module::Module;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{
    CodeModel, InitializationConfig, RelocMode, Target as LlvmTarget, TargetData, TargetMachine, TargetTriple,
};
use inkwell::values::{AnyValueEnum, BasicValue, FunctionValue};

use crate::names;
use crate::options::{OptLevel, Target};

/// `ptr ()`: the address of linear memory, until the end of [`run`].
pub const MEMORY_BASE: &str = "__wasm_memory_base";

/// LLVM's description of the target machine.
///
/// LLVM has no PVM target, so the PVM is described as RISC-V with the extensions whose instructions PVM has, too.
/// `no-default-unroll` replaces LLVM's default, which unrolls nothing at run time, by the heuristics of the target.
struct Machine {
    triple: &'static str,
    cpu: &'static str,
    features: &'static str,
    /// Data layout, if it is not the machine's own.
    layout: Option<&'static str>,
}

fn machine(target: Target) -> Machine {
    match target {
        Target::PvmV072 | Target::PvmV08 => Machine {
            triple: "riscv64-unknown-none-elf",
            cpu: "generic-rv64",
            features: "+m,+zbb,+zicond,+unaligned-scalar-mem,+no-default-unroll",
            layout: Some("e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"),
        },
        Target::Thumb { cpu } => Machine { triple: "thumbv7m-none-eabi", cpu, features: "", layout: None },
    }
}

/// Makes LLVM's description of the target machine.
fn target_machine(machine: &Machine) -> TargetMachine {
    static INITIALIZED: Once = Once::new();
    INITIALIZED.call_once(|| {
        let config = InitializationConfig { asm_parser: false, disassembler: false, ..Default::default() };
        LlvmTarget::initialize_riscv(&config);
        LlvmTarget::initialize_arm(&config);
    });
    let triple = TargetTriple::create(machine.triple);
    let target = LlvmTarget::from_triple(&triple).expect("this LLVM has the target");
    target
        .create_target_machine(
            &triple,
            machine.cpu,
            machine.features,
            OptimizationLevel::Default,
            RelocMode::Static,
            CodeModel::Default,
        )
        .expect("the target has a machine")
}

/// The kind of code in a module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// Functions of a small program: speed is worth more than size.
    SmallProgram,
    /// Functions of a program that may come near the size limits of containers.
    LargeProgram,
    /// The runtime, whose loops are not to be changed.
    Runtime,
    /// Routines of float operators. They are written in the form that suits the machine: LLVM's canonical form takes
    /// more instructions, and sinks half of a routine below its only branch.
    Floats,
}

/// The pipelines in LLVM's notation, in the order in which they run.
struct Pipelines {
    /// Simplifies functions, so that their size is known before inlining.
    early: String,
    /// Inlines, and simplifies the inlined code.
    inline: String,
    /// Loop passes, and the forms that suit instruction selection.
    late: String,
    /// The late pipeline for a function with too many loops.
    late_without_loops: String,
    /// The only pipeline of a huge function: passes that take linear time.
    huge: String,
}

impl Pipelines {
    /// Redundancies are eliminated without PRE: wasm producers have done that, and PRE joins the tails of an
    /// interpreter's cases. At size levels no loop passes run, and common tails are joined.
    fn new(target: Target, level: OptLevel, content: Content) -> Self {
        let combine = "instcombine<no-verify-fixpoint>";
        let gvn = "gvn<no-pre;no-load-pre>";
        let loops = format!("loop-mssa(loop-rotate,licm),loop(loop-idiom,indvars,loop-deletion),{combine}");
        let (loops, finish, sink) = match (level, content) {
            (OptLevel::O2, Content::SmallProgram) => (
                format!("{loops},loop-unroll<O2>,{gvn},"),
                ",loop(loop-reduce),early-cse",
                "no-sink-common-insts",
            ),
            (OptLevel::O2, _) => {
                (format!("{loops},loop(loop-unroll-full),{gvn},"), "", "no-sink-common-insts")
            }
            _ => (String::new(), "", "sink-common-insts"),
        };
        let inlined = format!("early-cse<memssa>,simplifycfg,{combine},{gvn},dse,simplifycfg");
        let switches = "forward-switch-cond;switch-range-to-icmp;switch-to-lookup;no-keep-loops";
        let last = format!("simplifycfg<bonus-inst-threshold=2;{switches};hoist-common-insts;{sink}>");
        let propagation = if matches!(target, Target::Thumb { .. }) { "ipsccp," } else { "" };
        Self {
            early: format!("function(sroa,early-cse,simplifycfg,{combine},simplifycfg)"),
            inline: format!("{propagation}cgscc(inline,function({inlined})),globaldce"),
            late: format!("function({loops}{combine},adce,{last}{finish})"),
            late_without_loops: format!("{combine},adce,{last}"),
            huge: format!("sroa,early-cse<memssa>,simplifycfg,instsimplify,adce,{last}"),
        }
    }
}

/// Optimises `module` in place.
///
/// Most functions go through all pipelines. Inlining has a budget, see [`growth`]. A function that is too large for a
/// pipeline, see [`limits`], is set aside and gets a shorter one at the end.
pub fn run(module: &Module<'_>, target: Target, level: OptLevel, content: Content) {
    let machine = machine(target);
    let target_machine = target_machine(&machine);
    module.set_triple(&TargetTriple::create(machine.triple));
    match machine.layout {
        Some(layout) => module.set_data_layout(&TargetData::create(layout).get_data_layout()),
        None => module.set_data_layout(&target_machine.get_target_data().get_data_layout()),
    }
    let all = |passes: &str| {
        let options = PassBuilderOptions::create();
        module.run_passes(passes, &target_machine, options).expect("the pipeline is well-formed");
    };
    let one = |function: FunctionValue<'_>, passes: &str| {
        limits::bring_back(function);
        let options = PassBuilderOptions::create();
        function.run_passes(passes, &target_machine, options).expect("the pipeline is well-formed");
    };
    if level == OptLevel::O0 {
        all("function(sroa,simplifycfg)");
    } else if content == Content::Floats {
        all("function(early-cse,adce)");
    } else {
        let pipelines = Pipelines::new(target, level, content);
        limits::set_huge_aside(module);
        all(&pipelines.early);
        growth::bound_inlining(module);
        all(&pipelines.inline);
        let huge = limits::aside(module);
        limits::set_looping_aside(module);
        all(&pipelines.late);
        huge.into_iter().for_each(|function| one(function, &pipelines.huge));
        limits::aside(module).into_iter().for_each(|function| one(function, &pipelines.late_without_loops));
    }
    resolve_memory_base(module);
}

/// Promotes local variables to SSA values.
pub fn promote(module: &Module<'_>, target: Target) {
    let target_machine = target_machine(&machine(target));
    let options = PassBuilderOptions::create();
    module.run_passes("function(sroa)", &target_machine, options).expect("the pipeline is well-formed");
}

/// Replaces the calls of [`MEMORY_BASE`] by the global.
fn resolve_memory_base(module: &Module<'_>) {
    let Some(function) = module.get_function(MEMORY_BASE) else { return };
    let memory = module.get_global(names::LINEAR_MEMORY).unwrap_or_else(|| {
        let ty = module.get_context().i8_type().array_type(0);
        let global = module.add_global(ty, None, names::LINEAR_MEMORY);
        global.set_alignment(1);
        global
    });
    let pointer = function.as_global_value().as_pointer_value();
    while let Some(next) = pointer.get_first_use() {
        let AnyValueEnum::PointerValue(call) = next.get_user() else {
            unreachable!("only calls use the function that returns the base of memory")
        };
        call.replace_all_uses_with(memory.as_pointer_value());
        call.as_instruction().expect("a call is an instruction").erase_from_basic_block();
    }
}
