//! Wrappers for exports and imports with several results.
//!
//! The procedure call standard returns one value. C functions that return more get a pointer to memory for them as a
//! hidden first argument. Inside the program several results are returned in registers. So an export with several
//! results becomes a function that takes the pointer, calls the original function and stores its results. An import
//! becomes a function that reserves stack space, calls the import with its address and loads the results. The results
//! are laid out like the members of a C `struct`.

use ssa::{
    Addr, BinaryOp, DataId, Export, ExportItem, FrameSlotData, FuncId, FuncKind, Function, InstData,
    MemFlags, MemType, Module, Signature, Type, Value,
};

/// Puts wrappers around exports and imports with several results. Addresses of stack objects are relative to `memory`, if
/// there is one.
pub fn wrap(module: &mut Module, memory: Option<DataId>) {
    for n in 0..module.exports.len() {
        if let ExportItem::Func(func) = module.exports[n].item
            && module.decls[func].kind == FuncKind::Local
            && module.signature_of(func).results.len() > 1
        {
            let wrapper = export_wrapper(module, func, &module.exports[n].name.clone());
            let Export { item, .. } = &mut module.exports[n];
            *item = ExportItem::Func(wrapper);
        }
    }
    let imports = module.decls.iter().filter(|(_, decl)| matches!(decl.kind, FuncKind::Import(_)));
    let several = imports.filter(|(id, _)| module.signature_of(*id).results.len() > 1);
    for func in several.map(|(id, _)| id).collect::<Vec<_>>() {
        import_wrapper(module, func, memory);
    }
}

/// A member of the structure of results.
struct Member {
    mem: MemType,
    ty: Type,
    offset: i32,
    align_log2: u8,
}

/// Members of the structure of results, and its size.
fn members(results: &[Type]) -> (Vec<Member>, u32) {
    let mut end = 0u32;
    let member = |&ty: &Type| {
        let bytes = ty.bits() / 8;
        let offset = end.next_multiple_of(bytes);
        end = offset + bytes;
        let mem = match ty {
            Type::I32 => MemType::U32,
            Type::I64 => MemType::I64,
            Type::F32 => MemType::F32,
            Type::F64 => MemType::F64,
        };
        Member { mem, ty, offset: offset as i32, align_log2: bytes.trailing_zeros() as u8 }
    };
    (results.iter().map(member).collect(), end.next_multiple_of(8))
}

/// The signature with a pointer in place of the results.
fn pointer_signature(sig: &Signature) -> Signature {
    let params = std::iter::once(Type::I32).chain(sig.params.iter().copied()).collect();
    Signature { params, results: Vec::new() }
}

fn export_wrapper(module: &mut Module, func: FuncId, export: &str) -> FuncId {
    let sig = module.signature_of(func).clone();
    let id = module.declare(format!("{export}.struct"), pointer_signature(&sig), FuncKind::Local);
    let mut body = Function::new(module.decls[id].name.clone(), module.decls[id].sig);
    body.optimize_for_size = module.functions[func].as_ref().is_some_and(|func| func.optimize_for_size);
    let entry = body.add_block();
    let pointer = body.add_param(entry, Type::I32);
    let args: Vec<Value> = sig.params.iter().map(|&ty| body.add_param(entry, ty)).collect();
    let call = body.append(entry, InstData::Call { func, args }, &sig.results);
    let results = body.results[call].clone();
    for (Member { mem, offset, align_log2, .. }, value) in members(&sig.results).0.into_iter().zip(results) {
        let addr = Addr { base: None, index: Some(pointer), offset };
        let flags = MemFlags { volatile: false, align_log2 };
        body.append(entry, InstData::Store { mem, addr, value, flags }, &[]);
    }
    body.append(entry, InstData::Return { args: Vec::new() }, &[]);
    module.functions[id] = Some(body);
    id
}

/// The wrapper takes the import's id, so that references to it stay valid.
fn import_wrapper(module: &mut Module, func: FuncId, memory: Option<DataId>) {
    let sig = module.signature_of(func).clone();
    let decl = module.decls[func].clone();
    let import = module.declare(format!("{}.struct", decl.name), pointer_signature(&sig), decl.kind);
    module.decls[func].kind = FuncKind::Local;
    module.redirect_exports(func, import);
    let (members, size) = members(&sig.results);
    let mut body = Function::new(decl.name, decl.sig);
    let entry = body.add_block();
    let params: Vec<Value> = sig.params.iter().map(|&ty| body.add_param(entry, ty)).collect();
    let slot = body.frame_slots.push(FrameSlotData { size, align: 8 });
    let wasm_address = body.append_value(entry, InstData::FrameAddr { slot }, Type::I32);
    let pointer = match memory {
        None => wasm_address,
        Some(data) => {
            let base = body.append_value(entry, InstData::DataAddr { data, offset: 0 }, Type::I32);
            let sum = InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [wasm_address, base] };
            body.append_value(entry, sum, Type::I32)
        }
    };
    let args = std::iter::once(pointer).chain(params).collect();
    body.append(entry, InstData::Call { func: import, args }, &[]);
    let load = |Member { mem, ty, offset, align_log2 }: Member| {
        let addr = Addr { base: memory, index: Some(wasm_address), offset };
        let flags = MemFlags { volatile: false, align_log2 };
        body.append_value(entry, InstData::Load { mem, ty, addr, flags }, ty)
    };
    let args = members.into_iter().map(load).collect();
    body.append(entry, InstData::Return { args }, &[]);
    module.functions[func] = Some(body);
}
