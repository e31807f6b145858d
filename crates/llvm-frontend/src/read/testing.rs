//! Reading a piece of LLVM IR as a whole program, and running its functions: for tests.
//!
//! The program's declarations are derived from the LLVM module. Every function that the frontend doesn't reserve is a
//! function of the program, except `new.*`: these represent functions that LLVM added. Every global without initialiser
//! is a data object, and `@__linear_memory` is a linear memory of one page.

use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module as LlvmModule;
use inkwell::types::{AnyTypeEnum, BasicTypeEnum};
use ssa::interp::{Interpreter, Memory, Options, Stop};
use ssa::{DataKind, DataObject, FuncDecl, FuncId, FuncKind, IdVec, LinearMemory, Module, Signature, Type};

use super::{ReadContext, Unsupported, read_functions};
use wasm_program::names::{self, Callee, Names};

/// The program of LLVM IR in text form, verified.
///
/// # Errors
/// The reader's refusal, as text.
///
/// # Panics
/// If the text isn't valid LLVM IR.
pub fn read_text(text: &str) -> Result<Module, String> {
    read_parts(&[&parse(&Context::create(), text)]).map_err(|refused| refused.to_string())
}

/// Parses LLVM IR text.
pub(super) fn parse<'c>(context: &'c Context, text: &str) -> LlvmModule<'c> {
    let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "test");
    let module = context.create_module_from_ir(buffer).unwrap_or_else(|error| panic!("{error}"));
    module.verify().unwrap_or_else(|error| panic!("{error}"));
    module
}

/// Reads modules as the parts of one program, and verifies it.
///
/// # Errors
/// The reader's refusal.
pub(super) fn read_parts(parts: &[&LlvmModule<'_>]) -> Result<Module, Unsupported> {
    let mut module = Module::default();
    let mut table = Names::new();
    declare_runtime(&mut module, &mut table);
    for llvm in parts {
        declare_functions(llvm, &mut module, &mut table);
        declare_globals(llvm, &mut module, &mut table);
    }
    for (id, signature) in module.signatures.iter() {
        table.add_signature(signature.clone(), id);
    }
    let cx =
        ReadContext { names: &table, program: &module, arguments: None, all_traps: true, is_profiled: false };
    let seen = cx.seen();
    let outputs = parts.iter().map(|llvm| read_functions(llvm, &cx)).collect::<Result<Vec<_>, _>>()?;
    for output in outputs {
        output.join(seen, &mut module);
    }
    ssa::verify(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
    Ok(module)
}

/// Declares the functions that the reader calls by itself.
fn declare_runtime(module: &mut Module, table: &mut Names) {
    let division = Signature { params: vec![Type::I64; 4], results: vec![Type::I64; 2] };
    let block = Signature { params: vec![Type::I32; 3], results: Vec::new() };
    let divisions =
        [names::UDIVTI3, names::UMODTI3, names::DIVTI3, names::MODTI3].map(|name| (name, &division));
    let blocks = [names::MEMCPY, names::MEMMOVE, names::MEMSET].map(|name| (name, &block));
    for (name, signature) in divisions.into_iter().chain(blocks) {
        let sig = module.intern_signature(signature.clone());
        let id =
            module.decls.push(FuncDecl { name: name.into(), sig, kind: FuncKind::Intrinsic(name.into()) });
        module.functions.push(None);
        table.add_callee(name, Callee::Function(id));
    }
}

fn declare_functions(llvm: &LlvmModule<'_>, module: &mut Module, table: &mut Names) {
    for function in llvm.get_functions() {
        let name = function.get_name().to_string_lossy().into_owned();
        let reserved = ["llvm.", "new.", "__wasm_ref_func."].iter().any(|prefix| name.starts_with(prefix));
        if reserved || table.callee(&name).is_some() {
            continue;
        }
        let mut signature = Signature::default();
        function.get_type().get_param_types().into_iter().for_each(|ty| {
            push_types(BasicTypeEnum::try_from(ty).expect("parameters have values"), &mut signature.params);
        });
        if let Some(ty) = function.get_type().get_return_type() {
            push_types(ty, &mut signature.results);
        }
        let sig = module.intern_signature(signature);
        let kind = if function.count_basic_blocks() > 0 {
            FuncKind::Local
        } else {
            FuncKind::Import(ssa::Import { module: "env".into(), field: name.clone() })
        };
        let id = module.decls.push(FuncDecl { name: name.clone(), sig, kind });
        module.functions.push(None);
        if let Some(index) = name.strip_prefix("f.") {
            table.add_callee(
                names::ref_func_symbol(index.parse().expect("a wasm index")),
                Callee::FuncRef(id),
            );
        }
        table.add_callee(name, Callee::Function(id));
    }
}

fn push_types(ty: BasicTypeEnum<'_>, types: &mut Vec<Type>) {
    match ty {
        BasicTypeEnum::IntType(ty) => match ty.get_bit_width() {
            ..=32 => types.push(Type::I32),
            33..=64 => types.push(Type::I64),
            _ => types.extend([Type::I64; 2]),
        },
        BasicTypeEnum::FloatType(ty) if ty == ty.get_context().f32_type() => types.push(Type::F32),
        BasicTypeEnum::FloatType(_) => types.push(Type::F64),
        BasicTypeEnum::StructType(ty) => {
            ty.get_field_types().into_iter().for_each(|ty| push_types(ty, types))
        }
        _ => types.push(Type::I32),
    }
}

fn declare_globals(llvm: &LlvmModule<'_>, module: &mut Module, table: &mut Names) {
    for global in llvm.get_globals().filter(|global| global.get_initializer().is_none()) {
        let name = global.get_name().to_string_lossy().into_owned();
        if table.data(&name).is_some() {
            continue;
        }
        let is_memory = name == names::LINEAR_MEMORY;
        let kind = if is_memory {
            DataKind::Memory(LinearMemory {
                min_bytes: 65536,
                page_log2: 16,
                native_stack: Some(4096),
                ..LinearMemory::default()
            })
        } else {
            DataKind::Variable
        };
        let size = match global.get_value_type() {
            _ if is_memory => 0,
            AnyTypeEnum::ArrayType(ty) => ty.len() * 8,
            _ => 8,
        };
        let object = DataObject {
            name: name.clone(),
            kind,
            size,
            align: 8,
            init: Vec::new(),
            relocs: Vec::new(),
            addresses: Vec::new(),
        };
        table.add_data(name, module.data.push(object));
    }
}

/// The function named `name`.
///
/// # Panics
/// If there is none.
pub fn function(module: &Module, name: &str) -> FuncId {
    let found = module.decls.iter().find(|(_, decl)| decl.name == name).map(|(id, _)| id);
    found.unwrap_or_else(|| panic!("no function `{name}`"))
}

/// Calls a function on a machine. The frontend's runtime functions are computed here; an import returns the sum of its
/// arguments and 1.
///
/// # Errors
/// The reason why the call didn't return.
pub fn call(
    machine: &mut Interpreter<'_>,
    decls: &IdVec<FuncId, FuncDecl>,
    func: FuncId,
    args: &[u64],
) -> Result<Vec<u64>, Stop> {
    machine.call(func, args, &mut |memory, callee, args| runtime(&decls[callee].name, memory, args))
}

/// A fresh machine that stops at unspecified results.
pub fn machine(module: &Module) -> Interpreter<'_> {
    Interpreter::new(module, Options { reject_unspecified: true, ..Options::new(module) })
}

fn runtime(name: &str, memory: &mut Memory, args: &[u64]) -> Result<Vec<u64>, Stop> {
    let wide = |n: usize| u128::from(args[n]) | u128::from(args[n + 1]) << 64;
    let halves = |value: u128| vec![value as u64, (value >> 64) as u64];
    Ok(match name {
        names::UDIVTI3 => halves(wide(0) / wide(2)),
        names::UMODTI3 => halves(wide(0) % wide(2)),
        names::DIVTI3 => halves((wide(0).cast_signed() / wide(2).cast_signed()).cast_unsigned()),
        names::MODTI3 => halves((wide(0).cast_signed() % wide(2).cast_signed()).cast_unsigned()),
        names::MEMCPY | names::MEMMOVE => {
            let byte = |memory: &Memory, n| memory.read(args[1] as u32 + n, 1).expect("in bounds");
            let bytes: Vec<u64> = (0..args[2] as u32).map(|n| byte(memory, n)).collect();
            for (n, byte) in (0..).zip(bytes) {
                memory.write(args[0] as u32 + n, 1, byte).expect("in bounds");
            }
            Vec::new()
        }
        names::MEMSET => {
            for n in 0..args[2] as u32 {
                memory.write(args[0] as u32 + n, 1, args[1]).expect("in bounds");
            }
            Vec::new()
        }
        _ => vec![args.iter().fold(1, |sum, arg| u64::from((sum as u32).wrapping_add(*arg as u32)))],
    })
}
