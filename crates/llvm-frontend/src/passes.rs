//! The pass pipelines.
//!
//! Wasm has been optimised once already, so what pays here is what the producer could not do: inlining with our
//! cost model, redundancy elimination across calls that became inline, and shapes that suit the target. The
//! pipelines are explicit and short; each level is one text in the notation of `opt -passes`.
//!
//! LLVM looks through all users of a pointer when it searches for an address computation, and all accesses of a
//! module would be users of `@__linear_memory`: time would be quadratic. So while the passes run, every function
//! gets the base of linear memory from a call that has no effects, and [`run`] puts the global in its place at the
//! end.
//!
//! No pass that makes vectors runs, and `instcombine` never verifies its fixpoint, which would abort the process.

use std::sync::Once;

use inkwell::OptimizationLevel;
use inkwell::module::Module;
use inkwell::passes::PassBuilderOptions;
use inkwell::values::{AnyValueEnum, BasicValue};
use inkwell::targets::{
    CodeModel, InitializationConfig, RelocMode, Target as LlvmTarget, TargetData, TargetMachine, TargetTriple,
};

use crate::names;
use crate::options::{OptLevel, Target};

/// `ptr ()`: the address of linear memory, before [`run`] is done.
pub const MEMORY_BASE: &str = "__wasm_memory_base";

/// LLVM's description of the machine that is the nearest relative of the target.
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
            features: "+m,+zbb,+zicond,+unaligned-scalar-mem",
            layout: Some("e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"),
        },
        Target::Thumb { cpu } => {
            Machine { triple: "thumbv7m-none-eabi", cpu, features: "", layout: None }
        }
    }
}

/// Makes LLVM's description of the target's relative.
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

const O0: &str = "function(sroa,simplifycfg)";

const O2: &str = "\
function(sroa,early-cse,simplifycfg,instcombine<no-verify-fixpoint>,simplifycfg),\
cgscc(inline,function(sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,gvn,dse,simplifycfg)),\
globaldce,function(instcombine<no-verify-fixpoint>,adce,simplifycfg)";

/// Optimises `module` in place.
pub fn run(module: &Module<'_>, target: Target, level: OptLevel) {
    let machine = machine(target);
    let target_machine = target_machine(&machine);
    module.set_triple(&TargetTriple::create(machine.triple));
    match machine.layout {
        Some(layout) => module.set_data_layout(&TargetData::create(layout).get_data_layout()),
        None => module.set_data_layout(&target_machine.get_target_data().get_data_layout()),
    }
    let pipeline = match level {
        OptLevel::O0 => O0,
        OptLevel::O2 | OptLevel::Os | OptLevel::Oz => O2,
    };
    let env = std::env::var("FE_PIPE").ok(); let pipeline = env.as_deref().unwrap_or(pipeline);
    let options = PassBuilderOptions::create();
    module.run_passes(pipeline, &target_machine, options).expect("the pipeline is well-formed");
    resolve_memory_base(module);
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
