//! Compiling text modules and running them in the SSA interpreter.

use llvm_frontend::{
    Bounds, ConstValue, Error, Floats, MemoryOwner, OptLevel, Options, ShadowStack, TargetDescription,
    compile,
};
use runtime::llvm::Growth;
use ssa::interp::{Interpreter, Memory, Stop};
use ssa::{ExportItem, FuncId, Module};

/// A machine with 64-bit registers whose memory grows.
#[allow(dead_code, reason = "not every test file uses every helper")]
const MACHINE: TargetDescription = TargetDescription {
    triple: "riscv64-unknown-none-elf",
    cpu: "generic-rv64",
    features: "+m,+zbb,+zicond,+unaligned-scalar-mem,+no-default-unroll",
    data_layout: Some("e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"),
    propagates_arguments: false,
    access_granule: 4096,
    unaligned: true,
    has_small_helpers: false,
    vector_word: ssa::Type::I64,
    memory_owner: MemoryOwner::Machine,
    growth: Growth::GROW_HEAP,
    shares_tables: false,
    has_wide_words: true,
};

/// Options of a test: one level, everything else as by default.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn options(level: OptLevel) -> Options {
    Options { level, ..Options::new(MACHINE) }
}

/// The combinations under which behaviour is checked.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn all_options() -> Vec<Options> {
    let mut list = Vec::new();
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
        for bounds in [Bounds::Guard, Bounds::Strict] {
            list.push(Options { bounds, ..options(level) });
        }
    }
    list
}

/// Compiles a module in the text format and verifies the result.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn compile_text(text: &str, options: &Options) -> Result<Module, Error> {
    let wasm = wat::parse_str(text).expect("the test's module is well-formed");
    let module = compile(&wasm, options)?;
    ssa::verify(&module).expect("the frontend makes valid modules");
    Ok(module)
}

/// Calls an export of a fresh instance. Imports return 0.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn call(module: &Module, export: &str, args: &[u64]) -> Result<Vec<u64>, Stop> {
    let mut interpreter = Interpreter::new(module, ssa::interp::Options::new(module));
    call_in(&mut interpreter, module, export, args)
}

/// Calls an export of an instance. Imports return 0.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn call_in(
    interpreter: &mut Interpreter<'_>,
    module: &Module,
    export: &str,
    args: &[u64],
) -> Result<Vec<u64>, Stop> {
    let mut host = |memory: &mut Memory, func: FuncId, args: &[u64]| grow_or_zero(module, memory, func, args);
    interpreter.call(function(module, export), args, &mut host)
}

/// `__pvm_grow_heap` never fails; every other import returns zeros.
fn grow_or_zero(module: &Module, _: &mut Memory, func: FuncId, args: &[u64]) -> Result<Vec<u64>, Stop> {
    if module.decls[func].name == "__pvm_grow_heap" {
        return Ok(vec![args[0]]);
    }
    Ok(vec![0; module.signature_of(func).results.len()])
}

/// The exported function with this name.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn function(module: &Module, export: &str) -> FuncId {
    let item = module.exports.iter().find(|e| e.name == export).expect("the test exports it").item;
    match item {
        ExportItem::Func(func) => func,
        ExportItem::Data(_) => panic!("{export} is no function"),
    }
}

/// Options for floats and the shadow stack.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn with(floats: Floats, shadow_stack: ShadowStack, level: OptLevel) -> Options {
    Options { floats, shadow_stack, ..options(level) }
}

/// Gives an imported global a value.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn with_global(mut options: Options, module: &str, field: &str, value: ConstValue) -> Options {
    let import = ssa::Import { module: module.to_owned(), field: field.to_owned() };
    options.imported_globals.insert(import, value);
    options
}
