//! Wrappers that pass floats in core registers on cores with a floating-point unit.
//!
//! Firmware compiled with `-mfloat-abi=softfp` computes with the unit, but passes floats as their bits, in core registers
//! and on the stack. Inside the program they stay in float registers. So an export with floats gets a wrapper that takes
//! their bits, and an import becomes a function that passes their bits.

use ssa::{
    Export, ExportItem, FuncId, FuncKind, Function, InstData, Module, Signature, Type, UnaryOp, Value,
};

/// Puts wrappers around exports and imports with floats.
pub fn wrap(module: &mut Module) {
    for n in 0..module.exports.len() {
        if let ExportItem::Func(func) = module.exports[n].item
            && module.decls[func].kind == FuncKind::Local
            && has_floats(module.signature_of(func))
        {
            let wrapper = export_wrapper(module, func, &module.exports[n].name.clone());
            let Export { item, .. } = &mut module.exports[n];
            *item = ExportItem::Func(wrapper);
        }
    }
    let imports = module.decls.iter().filter(|(_, decl)| matches!(decl.kind, FuncKind::Import(_)));
    let with_floats = imports.filter(|(id, _)| has_floats(module.signature_of(*id)));
    for func in with_floats.map(|(id, _)| id).collect::<Vec<_>>() {
        import_wrapper(module, func);
    }
}

fn has_floats(sig: &Signature) -> bool {
    sig.params.iter().chain(&sig.results).any(|ty| ty.is_float())
}

/// The type of a value's bits.
const fn bits_of(ty: Type) -> Type {
    match ty {
        Type::F32 => Type::I32,
        Type::F64 => Type::I64,
        other => other,
    }
}

/// A signature as seen from outside of the program.
fn outside(sig: &Signature) -> Signature {
    let bits = |types: &[Type]| types.iter().copied().map(bits_of).collect();
    Signature { params: bits(&sig.params), results: bits(&sig.results) }
}

fn export_wrapper(module: &mut Module, func: FuncId, export: &str) -> FuncId {
    let sig = module.signature_of(func).clone();
    let id = module.declare(format!("{export}.softfp"), outside(&sig), FuncKind::Local);
    let mut body = Function::new(module.decls[id].name.clone(), module.decls[id].sig);
    body.optimize_for_size = module.functions[func].as_ref().is_some_and(|func| func.optimize_for_size);
    let outer = outside(&sig);
    forward(&mut body, func, [&outer.params, &sig.params], [&sig.results, &outer.results]);
    module.functions[id] = Some(body);
    id
}

/// The wrapper takes the import's id, so that references to it stay valid.
fn import_wrapper(module: &mut Module, func: FuncId) {
    let sig = module.signature_of(func).clone();
    let decl = module.decls[func].clone();
    let outer = outside(&sig);
    let import = module.declare(format!("{}.softfp", decl.name), outer.clone(), decl.kind);
    module.decls[func].kind = FuncKind::Local;
    module.redirect_exports(func, import);
    let mut body = Function::new(decl.name, decl.sig);
    forward(&mut body, import, [&sig.params, &outer.params], [&outer.results, &sig.results]);
    module.functions[func] = Some(body);
}

/// Writes a function that calls another. `params` are the types of its own parameters and of the callee's, `results` those
/// of the callee's results and of its own.
fn forward(body: &mut Function, callee: FuncId, params: [&[Type]; 2], results: [&[Type]; 2]) {
    let entry = body.add_block();
    let own: Vec<Value> = params[0].iter().map(|&ty| body.add_param(entry, ty)).collect();
    let args = convert(body, params, &own);
    let call = body.append(entry, InstData::Call { func: callee, args }, results[0]);
    let values = body.results[call].clone();
    let args = convert(body, results, &values);
    body.append(entry, InstData::Return { args }, &[]);
}

/// Values of some types as values of other types with the same bits.
fn convert(body: &mut Function, [from, to]: [&[Type]; 2], values: &[Value]) -> Vec<Value> {
    let types = from.iter().zip(to);
    let convert = |((from, to), &arg): ((&Type, &Type), &Value)| match from == to {
        true => arg,
        false => {
            let cast = InstData::Unary { op: UnaryOp::Bitcast, ty: *to, arg };
            body.append_value(body.entry(), cast, *to)
        }
    };
    types.zip(values).map(convert).collect()
}
