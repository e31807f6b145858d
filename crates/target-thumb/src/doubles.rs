//! Doubles at the boundary of cores that compute with singles only.
//!
//! Where floats travel in float registers, the procedure call standard passes doubles in d0–d7 even if the core can't
//! compute with them. Inside the program such a core has doubles in pairs of core registers. So an export with doubles
//! gets a wrapper that takes the halves of d registers as singles and puts them together, and an import becomes a
//! function that takes its doubles apart. The wrapper's parameters are the float registers in order, unused ones
//! included, and then what travels in core registers, so that the standard itself puts everything where it belongs.

use codegen::Unsupported;
use ssa::{
    BinaryOp, Export, ExportItem, FuncId, FuncKind, Function, InstData, Module, Signature, Type, UnaryOp,
    Value,
};

use crate::boundary::add_function;
use crate::cpu::Cpu;

/// Float registers for arguments, counted in singles.
const SINGLES: usize = 16;

/// Puts wrappers around exports and imports with doubles, if the core needs them.
///
/// # Errors
/// If a signature has more floats than float registers.
pub fn wrap(module: &mut Module, cpu: Cpu) -> Result<(), Unsupported> {
    if !cpu.has_single() || cpu.has_double() {
        return Ok(());
    }
    for n in 0..module.exports.len() {
        if let ExportItem::Func(func) = module.exports[n].item
            && module.decls[func].kind == FuncKind::Local
            && has_doubles(module.signature_of(func))
        {
            let wrapper = export_wrapper(module, func, &module.exports[n].name.clone())?;
            let Export { item, .. } = &mut module.exports[n];
            *item = ExportItem::Func(wrapper);
        }
    }
    let imports = module.decls.iter().filter(|(_, decl)| matches!(decl.kind, FuncKind::Import(_)));
    let with_doubles = imports.filter(|(id, _)| has_doubles(module.signature_of(*id)));
    for func in with_doubles.map(|(id, _)| id).collect::<Vec<_>>() {
        import_wrapper(module, func)?;
    }
    Ok(())
}

fn has_doubles(sig: &Signature) -> bool {
    sig.params.iter().chain(&sig.results).any(|&ty| ty == Type::F64)
}

/// How the outside sees a signature.
struct Outside {
    sig: Signature,
    /// Where each parameter is among the outside ones; a double is there and in the next one.
    params: Vec<usize>,
}

impl Outside {
    /// `None` if not all floats fit registers.
    fn of(sig: &Signature) -> Option<Self> {
        let mut free = [true; SINGLES];
        let mut registers = Vec::new();
        for &ty in &sig.params {
            let words = if ty == Type::F64 { 2 } else { 1 };
            registers.push(match ty {
                Type::F32 | Type::F64 => {
                    let first =
                        (0..SINGLES).step_by(words).find(|&n| free[n..n + words] == [true; 2][..words])?;
                    free[first..first + words].fill(false);
                    Some(first)
                }
                _ => None,
            });
        }
        let floats = SINGLES - free.iter().rev().take_while(|&&is_free| is_free).count();
        let mut params = vec![Type::F32; floats];
        let place = |(register, &ty): (Option<usize>, &Type)| {
            register.unwrap_or_else(|| {
                params.push(ty);
                params.len() - 1
            })
        };
        let places = registers.into_iter().zip(&sig.params).map(place).collect();
        let halves = |&ty: &Type| if ty == Type::F64 { vec![Type::F32; 2] } else { vec![ty] };
        let results = sig.results.iter().flat_map(halves).collect();
        Some(Self { sig: Signature { params, results }, params: places })
    }
}

fn outside(name: &str, sig: &Signature) -> Result<Outside, Unsupported> {
    Outside::of(sig).ok_or_else(|| Unsupported {
        function: name.to_owned(),
        what: "passing more floats than there are float registers, doubles among them,".to_owned(),
    })
}

fn export_wrapper(module: &mut Module, func: FuncId, export: &str) -> Result<FuncId, Unsupported> {
    let sig = module.signature_of(func).clone();
    let outside = outside(export, &sig)?;
    let id = add_function(module, format!("{export}.doubles"), outside.sig.clone(), FuncKind::Local);
    let mut body = Function::new(module.decls[id].name.clone(), module.decls[id].sig);
    body.optimize_for_size = module.functions[func].as_ref().is_some_and(|func| func.optimize_for_size);
    let entry = body.add_block();
    let words: Vec<Value> = outside.sig.params.iter().map(|&ty| body.add_param(entry, ty)).collect();
    let mut args = Vec::new();
    for (&ty, &at) in sig.params.iter().zip(&outside.params) {
        args.push(match ty {
            Type::F64 => join(&mut body, [words[at], words[at + 1]]),
            _ => words[at],
        });
    }
    let call = body.append(entry, InstData::Call { func, args }, &sig.results);
    let results = body.results[call].clone();
    let args = split_all(&mut body, &sig.results, &results);
    body.append(entry, InstData::Return { args }, &[]);
    module.functions[id] = Some(body);
    Ok(id)
}

/// The import's place in the module becomes the wrapper, so that references to it stay right.
fn import_wrapper(module: &mut Module, func: FuncId) -> Result<(), Unsupported> {
    let sig = module.signature_of(func).clone();
    let decl = module.decls[func].clone();
    let outside = outside(&decl.name, &sig)?;
    let import = add_function(module, format!("{}.doubles", decl.name), outside.sig.clone(), decl.kind);
    module.decls[func].kind = FuncKind::Local;
    let mut body = Function::new(decl.name, decl.sig);
    let entry = body.add_block();
    let params: Vec<Value> = sig.params.iter().map(|&ty| body.add_param(entry, ty)).collect();
    let mut args: Vec<Option<Value>> = vec![None; outside.sig.params.len()];
    for ((&ty, &at), &param) in sig.params.iter().zip(&outside.params).zip(&params) {
        let words = split_all(&mut body, &[ty], &[param]);
        for (n, word) in words.into_iter().enumerate() {
            args[at + n] = Some(word);
        }
    }
    let unused = InstData::Const { ty: Type::F32, bits: 0 };
    let fill =
        |arg: Option<Value>| arg.unwrap_or_else(|| body.append_value(entry, unused.clone(), Type::F32));
    let args = args.into_iter().map(fill).collect();
    let call = body.append(entry, InstData::Call { func: import, args }, &outside.sig.results);
    let results = body.results[call].clone();
    let args = match sig.results[..] {
        [Type::F64] => vec![join(&mut body, [results[0], results[1]])],
        _ => results,
    };
    body.append(entry, InstData::Return { args }, &[]);
    module.functions[func] = Some(body);
    Ok(())
}

fn unary(body: &mut Function, op: UnaryOp, ty: Type, arg: Value) -> Value {
    body.append_value(body.entry(), InstData::Unary { op, ty, arg }, ty)
}

fn binary(body: &mut Function, op: BinaryOp, args: [Value; 2]) -> Value {
    body.append_value(body.entry(), InstData::Binary { op, ty: Type::I64, args }, Type::I64)
}

fn half(body: &mut Function) -> Value {
    body.append_value(body.entry(), InstData::Const { ty: Type::I64, bits: 32 }, Type::I64)
}

/// The double with these halves, low first.
fn join(body: &mut Function, halves: [Value; 2]) -> Value {
    let [low, high] = halves.map(|half| {
        let bits = unary(body, UnaryOp::Bitcast, Type::I32, half);
        unary(body, UnaryOp::Zext, Type::I64, bits)
    });
    let by = half(body);
    let high = binary(body, BinaryOp::Shl, [high, by]);
    let bits = binary(body, BinaryOp::Or, [low, high]);
    unary(body, UnaryOp::Bitcast, Type::F64, bits)
}

/// Values with the doubles among them as two singles each.
fn split_all(body: &mut Function, types: &[Type], values: &[Value]) -> Vec<Value> {
    let mut words = Vec::new();
    for (&ty, &value) in types.iter().zip(values) {
        if ty != Type::F64 {
            words.push(value);
            continue;
        }
        let bits = unary(body, UnaryOp::Bitcast, Type::I64, value);
        let by = half(body);
        for bits in [bits, binary(body, BinaryOp::ShrU, [bits, by])] {
            let word = unary(body, UnaryOp::Trunc, Type::I32, bits);
            words.push(unary(body, UnaryOp::Bitcast, Type::F32, word));
        }
    }
    words
}
