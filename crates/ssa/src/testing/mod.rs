//! Random programs, for tests of passes and backends.
//!
//! [`random_module`] generates whole programs that pass the verifier, terminate, and never use unspecified results.
//! Addresses of data, code and frame slots never become part of a result. So any two ways to run a program must agree,
//! whatever layout they use.

mod body;
mod expr;

pub use random::Rng;

use crate::interp::{Host, Memory, Stop};
use crate::{
    DataId, DataKind, DataObject, Export, ExportItem, FuncDecl, FuncId, FuncKind, Function, Import,
    LinearMemory, Module, Relocation, Segment, Signature, Type, canonicalize, estimate_frequencies,
};

/// Size and contents of random programs.
#[derive(Clone, Debug)]
pub struct Params {
    /// Approximate number of statements per function.
    pub size: usize,
    /// Maximum nesting depth of loops, ifs and switches.
    pub depth: usize,
    /// Number of functions with bodies, at least 1.
    pub functions: usize,
    /// Maximum number of parameters of a function.
    pub params: usize,
    /// Maximum number of results of a function.
    pub results: usize,
    /// Types of values; `i32` must be among them.
    pub types: Vec<Type>,
    /// Whether to generate calls: direct, indirect, tail calls, imports.
    pub calls: bool,
    /// Whether to generate loads, stores and data objects.
    pub memory: bool,
    /// Whether to generate frame slots (and a native stack in linear memory).
    pub frame_slots: bool,
    /// Whether to bring functions into canonical form. Otherwise they have critical edges, unreachable blocks and the
    /// like.
    pub canonical: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            size: 30,
            depth: 3,
            functions: 3,
            params: 4,
            results: 2,
            types: vec![Type::I32, Type::I64],
            calls: true,
            memory: true,
            frame_slots: true,
            canonical: true,
        }
    }
}

/// Bytes at the start of linear memory that random programs access; the rest is for the native stack.
pub const SCRATCH_BYTES: u32 = 4096;
/// Size of linear memory.
pub const MEMORY_BYTES: u32 = 65536;
/// Entries of the table.
const TABLE_ENTRIES: u32 = 8;

/// A random program. Function `f0` is exported as `main`; [`host`] implements the imports deterministically.
pub fn random_module(rng: &mut Rng, params: &Params) -> Module {
    let mut module = Module::default();
    let memory = params.memory.then(|| add_data(rng, &mut module, params));
    for n in 0..params.functions.max(1) {
        add_decl(rng, &mut module, params, format!("fn{n}"), FuncKind::Local);
    }
    if params.calls {
        for n in 0..2 {
            let import = Import { module: "env".into(), field: format!("import{n}") };
            add_decl(rng, &mut module, params, format!("import{n}"), FuncKind::Import(import));
        }
    }
    let funcs: Vec<FuncId> = module.decls.ids().collect();
    if let Some(data) = &memory {
        let callees = &funcs[first_table_callee(params).min(funcs.len())..];
        if !callees.is_empty() {
            // Entry 0 stays null.
            let reloc = |n| Relocation { offset: 8 * n, func: rng.pick(callees) };
            module.data[data.table].relocs = (1..TABLE_ENTRIES).map(reloc).collect();
        }
        module.exports.push(Export { name: "memory".into(), item: ExportItem::Data(data.memory) });
    }
    module.exports.push(Export { name: "main".into(), item: ExportItem::Func(funcs[0]) });
    for &id in &funcs {
        if module.decls[id].kind == FuncKind::Local {
            let func = body::random_body(rng, &module, memory.as_ref(), params, id);
            module.functions[id] = Some(if params.canonical { in_canonical_form(func) } else { func });
        }
    }
    module
}

/// A random program of one function without calls, and its id: see [`random_module`].
pub fn random_function(rng: &mut Rng, params: &Params) -> (Module, FuncId) {
    let module = random_module(rng, &Params { functions: 1, calls: false, ..params.clone() });
    let main = module.decls.ids().next().expect("there is one function");
    (module, main)
}

/// The number of the first function that may be in the table; only functions before it call through the table.
fn first_table_callee(params: &Params) -> usize {
    params.functions.max(1).div_ceil(2)
}

/// One random argument per parameter of `func`.
pub fn random_args(rng: &mut Rng, module: &Module, func: FuncId) -> Vec<u64> {
    module.signature_of(func).params.iter().map(|&ty| random_bits(rng, ty)).collect()
}

/// Implements imports: every result is a function of callee and arguments.
pub fn host(module: &Module) -> Box<Host<'_>> {
    Box::new(|_: &mut Memory, func: FuncId, args: &[u64]| -> Result<Vec<u64>, Stop> {
        let seed = args.iter().fold(func_number(func), |seed, &arg| Rng::new(seed ^ arg).bits());
        let mut rng = Rng::new(seed);
        Ok(module.signature_of(func).results.iter().map(|&ty| random_bits(&mut rng, ty)).collect())
    })
}

fn func_number(func: FuncId) -> u64 {
    crate::EntityId::index(func) as u64
}

/// A random value of type `ty`; NaNs are canonical.
fn random_bits(rng: &mut Rng, ty: Type) -> u64 {
    match ty {
        Type::I32 => u64::from(rng.interesting() as u32),
        Type::I64 => rng.interesting() as u64,
        Type::F32 => u64::from((rng.interesting_float() as f32).to_bits()),
        Type::F64 => rng.interesting_float().to_bits(),
    }
}

fn in_canonical_form(mut func: Function) -> Function {
    canonicalize(&mut func);
    estimate_frequencies(&mut func);
    func
}

/// Data objects of a random program.
struct Data {
    memory: DataId,
    table: DataId,
    constant: DataId,
    variables: Vec<(DataId, Type)>,
}

const CONSTANT_BYTES: u32 = 256;

fn add_data(rng: &mut Rng, module: &mut Module, params: &Params) -> Data {
    let variable = |module: &mut Module, rng: &mut Rng, n: usize| {
        let ty = rng.pick(&params.types);
        let size = ty.bits() / 8;
        let init = random_bits(rng, ty).to_le_bytes()[..size as usize].to_vec();
        (add_object(module, format!("g{n}"), DataKind::Variable, size, size, init), ty)
    };
    let variables = (0..3).map(|n| variable(module, rng, n)).collect();
    let bytes = (0..CONSTANT_BYTES).map(|_| rng.bits() as u8).collect();
    let constant = add_object(module, "constant".into(), DataKind::Constant, CONSTANT_BYTES, 8, bytes);
    let table = add_object(module, "table".into(), DataKind::Table, 8 * TABLE_ENTRIES, 8, Vec::new());
    let bytes = (0..64).map(|_| rng.bits() as u8).collect();
    let linear = LinearMemory {
        min_bytes: u64::from(MEMORY_BYTES),
        max_bytes: Some(u64::from(MEMORY_BYTES)),
        page_log2: 16,
        segments: vec![Segment { offset: rng.below(64) as u32, bytes }],
        grows: false,
        keeps_stack: false,
        native_stack: params.frame_slots.then_some(MEMORY_BYTES),
    };
    let memory = add_object(module, "memory".into(), DataKind::Memory(linear), 0, 4096, Vec::new());
    Data { memory, table, constant, variables }
}

fn add_object(
    module: &mut Module,
    name: String,
    kind: DataKind,
    size: u32,
    align: u32,
    init: Vec<u8>,
) -> DataId {
    module.data.push(DataObject { name, kind, size, align, init, relocs: Vec::new(), addresses: Vec::new() })
}

fn add_decl(rng: &mut Rng, module: &mut Module, params: &Params, name: String, kind: FuncKind) {
    let types = |rng: &mut Rng, max: usize| -> Vec<Type> {
        (0..rng.below(max + 1)).map(|_| rng.pick(&params.types)).collect()
    };
    // Few distinct signatures, so that calls through the table and tail calls find callees.
    let known = module.signatures.len();
    let sig = if known > 1 && rng.one_in(2) {
        module.signatures.ids().nth(rng.below(known)).expect("in range")
    } else {
        let sig = Signature { params: types(rng, params.params), results: types(rng, params.results) };
        module.intern_signature(sig)
    };
    module.decls.push(FuncDecl { name, sig, kind });
    module.functions.push(None);
}
