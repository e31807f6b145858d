//! Wrappers that pass doubles on cores with a single-precision unit only.
//!
//! Where floats are passed in float registers, the procedure call standard passes doubles in d0–d7 even if the core
//! can't compute with them. Inside the program such a core has doubles in pairs of core registers. So an export with
//! doubles gets a wrapper that takes the halves of d registers as singles and joins them. An import becomes a function
//! that splits its doubles. The wrapper's parameters are the float registers in order, including unused ones, followed
//! by the parameters in core registers or on the stack. So the standard itself puts every parameter at its location:
//! once all float registers are taken, the halves of doubles go to consecutive words of the stack.

use codegen::ArgLoc;
use ssa::{
    BinaryOp, Export, ExportItem, FuncId, FuncKind, Function, InstData, Module, Signature, Type, UnaryOp,
    Value,
};

use crate::isa::abi::call_layout;
use crate::isa::cpu::Cpu;

/// Float registers for arguments, counted in singles.
const SINGLES: usize = 16;

/// Puts wrappers around exports and imports with doubles, if the core needs them.
pub fn wrap(module: &mut Module, cpu: Cpu) {
    if !cpu.has_single() || cpu.has_double() {
        return;
    }
    for n in 0..module.exports.len() {
        if let ExportItem::Func(func) = module.exports[n].item
            && module.decls[func].kind == FuncKind::Local
            && has_doubles(module.signature_of(func))
        {
            let wrapper = export_wrapper(module, cpu, func, &module.exports[n].name.clone());
            let Export { item, .. } = &mut module.exports[n];
            *item = ExportItem::Func(wrapper);
        }
    }
    let imports = module.decls.iter().filter(|(_, decl)| matches!(decl.kind, FuncKind::Import(_)));
    let with_doubles = imports.filter(|(id, _)| has_doubles(module.signature_of(*id)));
    for func in with_doubles.map(|(id, _)| id).collect::<Vec<_>>() {
        import_wrapper(module, cpu, func);
    }
}

fn has_doubles(sig: &Signature) -> bool {
    sig.params.iter().chain(&sig.results).any(|&ty| ty == Type::F64)
}

/// A signature as seen from outside of the program.
struct Outside {
    sig: Signature,
    /// The index of each parameter among the outside ones; a double is at that index and the next.
    params: Vec<usize>,
}

impl Outside {
    fn of(cpu: Cpu, sig: &Signature) -> Self {
        let registers = float_registers(&sig.params);
        let used = registers.iter().zip(&sig.params).filter_map(|(first, ty)| Some((*first)? + words(*ty)));
        let is_full = registers.iter().zip(&sig.params).any(|(first, &ty)| first.is_none() && is_float(ty));
        let floats = if is_full { SINGLES } else { used.max().unwrap_or(0) };
        let halves = |&ty: &Type| if ty == Type::F64 { vec![Type::F32; 2] } else { vec![ty] };
        let results = sig.results.iter().flat_map(halves).collect();
        let mut outside = Signature { params: vec![Type::F32; floats], results };
        let mut params = Vec::new();
        for (register, ty) in registers.into_iter().zip(&sig.params) {
            if *ty == Type::F64 && register.is_none() {
                align_stack(cpu, &mut outside);
            }
            params.push(register.unwrap_or(outside.params.len()));
            if register.is_none() {
                outside.params.extend(halves(ty));
            }
        }
        Self { sig: outside, params }
    }
}

const fn is_float(ty: Type) -> bool {
    matches!(ty, Type::F32 | Type::F64)
}

/// Number of singles that a float takes.
const fn words(ty: Type) -> usize {
    if matches!(ty, Type::F64) { 2 } else { 1 }
}

/// The first single of every float: the lowest free ones, until one float doesn't fit. That one and all later floats go
/// to the stack.
fn float_registers(params: &[Type]) -> Vec<Option<usize>> {
    let mut free = [true; SINGLES];
    let mut place = |&ty: &Type| {
        if !is_float(ty) {
            return None;
        }
        let words = words(ty);
        let first = (0..SINGLES).step_by(words).find(|&n| free[n..n + words].iter().all(|&is_free| is_free));
        match first {
            Some(first) => free[first..first + words].fill(false),
            None => free.fill(false),
        }
        first
    };
    params.iter().map(&mut place).collect()
}

/// Pads the stack so that a double may begin at the next single. No float registers are left.
fn align_stack(cpu: Cpu, outside: &mut Signature) {
    outside.params.push(Type::F32);
    let layout = call_layout(cpu, outside);
    let is_aligned =
        matches!(layout.params.last().map(Vec::as_slice), Some([ArgLoc::Stack(at)]) if at % 8 == 0);
    if is_aligned {
        outside.params.pop();
    }
}

fn export_wrapper(module: &mut Module, cpu: Cpu, func: FuncId, export: &str) -> FuncId {
    let sig = module.signature_of(func).clone();
    let outside = Outside::of(cpu, &sig);
    let id = module.declare(format!("{export}.doubles"), outside.sig.clone(), FuncKind::Local);
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
    id
}

/// The wrapper takes the import's id, so that references to it stay valid.
fn import_wrapper(module: &mut Module, cpu: Cpu, func: FuncId) {
    let sig = module.signature_of(func).clone();
    let decl = module.decls[func].clone();
    let outside = Outside::of(cpu, &sig);
    let import = module.declare(format!("{}.doubles", decl.name), outside.sig.clone(), decl.kind);
    module.decls[func].kind = FuncKind::Local;
    module.redirect_exports(func, import);
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

/// The double with these halves, low half first.
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

/// The values, with each double split into two singles.
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
