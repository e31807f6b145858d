//! The pass pipelines.
//!
//! Wasm has been optimised once already. The passes here do the work that the producer could not: inlining with our
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
use wasm_program::names;
use wasm_program::options::OptLevel;
use wasm_program::target::TargetDescription;

/// The flag of a module with the summary of a profile.
pub const PROFILE_SUMMARY: &str = "ProfileSummary";

/// Makes LLVM's description of the target machine.
fn target_machine(description: &TargetDescription) -> TargetMachine {
    static INITIALIZED: Once = Once::new();
    INITIALIZED.call_once(|| {
        let config = InitializationConfig { asm_parser: false, disassembler: false, ..Default::default() };
        LlvmTarget::initialize_riscv(&config);
        LlvmTarget::initialize_arm(&config);
    });
    let triple = TargetTriple::create(description.triple);
    let target = LlvmTarget::from_triple(&triple).expect("this LLVM has the target");
    target
        .create_target_machine(
            &triple,
            description.cpu,
            description.features,
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
    /// The only pipeline where compilation should be fast.
    quick: String,
}

impl Pipelines {
    /// Loops are unrolled after checks that `indvars` has decided are gone, since a loop with several exits is not unrolled
    /// by its count.
    ///
    /// Redundancies are eliminated without PRE: wasm producers have done that, and PRE joins the tails of an
    /// interpreter's cases. At size levels no loop passes run, and common tails are joined.
    ///
    /// Only functions that throw need jumps to be threaded: after a call is inlined, whether it has thrown is known from
    /// where the code comes from.
    fn new(target: &TargetDescription, level: OptLevel, content: Content, throws: bool) -> Self {
        let combine = "instcombine<no-verify-fixpoint>";
        let gvn = "gvn<no-pre;no-load-pre>";
        let loops = format!("loop-mssa(loop-rotate,licm),loop(loop-idiom,indvars,loop-deletion),{combine}");
        let (loops, finish, sink) = match (level, content) {
            (OptLevel::O2, Content::SmallProgram) => (
                format!("{loops},simplifycfg,loop-unroll<O2>,{gvn},"),
                ",loop(loop-reduce),early-cse",
                "no-sink-common-insts",
            ),
            (OptLevel::O2, _) => {
                (format!("{loops},loop(loop-unroll-full),{gvn},"), "", "no-sink-common-insts")
            }
            (OptLevel::O0 | OptLevel::O1, _) => (String::new(), "", "no-sink-common-insts"),
            (OptLevel::Os | OptLevel::Oz, _) => (String::new(), "", "sink-common-insts"),
        };
        let threading = if throws { "jump-threading," } else { "" };
        let inlined = format!("early-cse<memssa>,simplifycfg,{combine},{threading}{gvn},dse,simplifycfg");
        let switches = "forward-switch-cond;switch-range-to-icmp;switch-to-lookup;no-keep-loops";
        let last = format!("simplifycfg<bonus-inst-threshold=2;{switches};hoist-common-insts;{sink}>");
        let ipsccp = if target.propagates_arguments { "ipsccp," } else { "" };
        Self {
            early: format!("function(sroa,early-cse,simplifycfg,{combine},simplifycfg)"),
            inline: format!("{ipsccp}cgscc(inline,function({inlined})),globaldce"),
            late: format!("function({loops}{combine},adce,{last}{finish})"),
            late_without_loops: format!("{combine},adce,{last}"),
            huge: format!("sroa,early-cse<memssa>,simplifycfg,instsimplify,adce,{last}"),
            quick: format!("function(sroa,early-cse<memssa>,simplifycfg,{combine},adce,{last})"),
        }
    }
}

/// Optimises `module` in place. `throws` says whether there are functions that return exceptions.
///
/// Most functions go through all pipelines. Inlining has a budget, see [`growth`]. A function that is too large for a
/// pipeline, see [`limits`], is set aside and gets a shorter one at the end.
pub fn run(module: &Module<'_>, target: &TargetDescription, level: OptLevel, content: Content, throws: bool) {
    let target_machine = target_machine(target);
    module.set_triple(&TargetTriple::create(target.triple));
    match target.data_layout {
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
    } else if level == OptLevel::O1 {
        let pipelines = Pipelines::new(target, level, content, throws);
        limits::set_huge_aside(module);
        all(&pipelines.quick);
        limits::aside(module).into_iter().for_each(|function| one(function, &pipelines.huge));
    } else {
        let pipelines = Pipelines::new(target, level, content, throws);
        limits::set_huge_aside(module);
        all(&pipelines.early);
        growth::bound_inlining(module);
        if module.get_flag(PROFILE_SUMMARY).is_some() {
            all(&format!("require<profile-summary>,{}", pipelines.inline));
        } else {
            all(&pipelines.inline);
        }
        let huge = limits::aside(module);
        limits::set_looping_aside(module);
        all(&pipelines.late);
        huge.into_iter().for_each(|function| one(function, &pipelines.huge));
        limits::aside(module).into_iter().for_each(|function| one(function, &pipelines.late_without_loops));
    }
    resolve_memory_bases(module);
}

/// Promotes local variables to SSA values.
pub fn promote(module: &Module<'_>, target: &TargetDescription) {
    let target_machine = target_machine(target);
    let options = PassBuilderOptions::create();
    module.run_passes("function(sroa)", &target_machine, options).expect("the pipeline is well-formed");
}

/// Replaces the calls of [`names::memory_base_symbol`] by the memories.
fn resolve_memory_bases(module: &Module<'_>) {
    let functions: Vec<_> = module.get_functions().collect();
    for function in functions {
        if let Some(index) = names::memory_of_base(&function.get_name().to_string_lossy()) {
            resolve_memory_base(module, function, &names::memory_symbol(index));
        }
    }
}

fn resolve_memory_base(module: &Module<'_>, function: FunctionValue<'_>, symbol: &str) {
    let memory = module.get_global(symbol).unwrap_or_else(|| {
        let ty = module.get_context().i8_type().array_type(0);
        let global = module.add_global(ty, None, symbol);
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
