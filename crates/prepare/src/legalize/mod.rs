//! Legalisation: replacing operations that the machine lacks, in SSA.
//!
//! [`Capabilities`] tells which operations a machine has. Operations that take many instructions become calls of helper
//! functions. These are SSA, too ([`runtime::ssa`]), and are compiled as local functions of the program, so it needs no
//! library for them. The exception is float arithmetic, which calls the functions named in [`FloatCalls`]. Without such
//! functions it is refused.
//!
//! Each function is rewritten in one pass over its instructions. The instructions of a replacement are themselves
//! legalised when they are appended, so a rule may use operations that have rules of their own.

mod divide;
mod float;
mod shifts;
mod words;

use std::collections::BTreeMap;

use runtime::ssa::Helpers;
use ssa::{
    BinaryOp, Cond, EntityId as _, FuncId, Function, IdVec, Inst, InstData, Module, Type, UnaryOp, Value,
};

/// The operations that a machine has instructions for, of those that not every machine has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// Division of 64-bit integers, and its remainder.
    pub divides_i64: bool,
    /// The same of 32-bit integers.
    pub divides_i32: bool,
    /// Products of more than 32 bits.
    pub multiplies_long: bool,
    /// Counts of leading, trailing and set bits, and reversal of bits.
    pub counts_bits: bool,
    /// Shifts of 64-bit integers by variable counts that are as small as calls. Otherwise code that should be small calls
    /// helpers if it has several.
    pub shifts_i64: bool,
    /// Accesses of memory at addresses that are no multiples of the width.
    pub unaligned: bool,
    /// Operations on `f32`.
    pub single: FloatUnit,
    /// Operations on `f64`, and conversions between `f32` and `f64`.
    pub double: FloatUnit,
}

/// Instructions for one float type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FloatUnit {
    /// Arithmetic, square root, comparisons, signs, and conversions to and from 32-bit integers.
    pub arithmetic: bool,
    /// Rounding to integral floats.
    pub rounding: bool,
}

/// Names of the functions that compute in software what a machine has no [`FloatUnit`] for. They take and return floats
/// as the machine passes them; a comparison returns 0 or 1 as `i32`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FloatCalls {
    /// Functions on `f32`.
    pub single: FloatFunctions,
    /// Functions on `f64`.
    pub double: FloatFunctions,
    /// From `f64` to the bits of the nearest `f32`.
    pub demote: &'static str,
}

/// Names of functions on one float type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FloatFunctions {
    /// Addition.
    pub add: &'static str,
    /// Subtraction.
    pub sub: &'static str,
    /// Multiplication.
    pub mul: &'static str,
    /// Division.
    pub div: &'static str,
    /// Equal.
    pub eq: &'static str,
    /// Less.
    pub lt: &'static str,
    /// Less or equal.
    pub le: &'static str,
    /// Greater.
    pub gt: &'static str,
    /// Greater or equal.
    pub ge: &'static str,
    /// Unordered: one of the operands is NaN.
    pub un: &'static str,
}

/// Float arithmetic that the machine has neither instructions nor functions for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsupported {
    /// Name of the function that computes with floats.
    pub function: String,
    /// The operation.
    pub operation: &'static str,
}

/// Rewrites a module so that it has only operations that the machine has. `calls` are the functions for float arithmetic
/// that it lacks, if there are such functions.
///
/// # Errors
/// If a function needs float arithmetic that the machine lacks, and there are no functions for it.
pub fn legalize(
    module: &mut Module,
    capabilities: Capabilities,
    calls: Option<&FloatCalls>,
) -> Result<(), Unsupported> {
    let mut helpers = Helpers::new();
    let shared_shifts = shifts::shared(module, capabilities);
    // The list grows: helpers may use operations that the machine lacks, too.
    let mut count = 0;
    while count < module.functions.len() {
        let id = FuncId::new(count);
        count += 1;
        let Some(func) = module.functions[id].take() else { continue };
        let mut rewriter = Rewriter {
            renamed: func.values.ids().collect(),
            module,
            func,
            helpers: &mut helpers,
            capabilities,
            shared_shifts: &shared_shifts,
            calls,
            out: Vec::new(),
            divisions: BTreeMap::new(),
        };
        rewriter.run()?;
        module.functions[id] = Some(rewriter.func);
    }
    Ok(())
}

/// A function being rewritten.
struct Rewriter<'a> {
    module: &'a mut Module,
    func: Function,
    helpers: &'a mut Helpers,
    capabilities: Capabilities,
    /// The two-word shifts that call helpers.
    shared_shifts: &'a [BinaryOp],
    calls: Option<&'a FloatCalls>,
    /// The new value for each value of the original function.
    renamed: IdVec<Value, Value>,
    /// The block being written.
    out: Vec<Inst>,
    /// Quotients and remainders already computed in the block: see [`divide`].
    divisions: BTreeMap<(bool, Value, Value), [Value; 2]>,
}

impl Rewriter<'_> {
    fn run(&mut self) -> Result<(), Unsupported> {
        for block in self.func.blocks.ids() {
            self.divisions.clear();
            for inst in std::mem::take(&mut self.func.blocks[block].insts) {
                self.func.source.follow(inst);
                if let InstData::Store { mem, addr, value, flags } = self.func.insts[inst]
                    && self.unaligned_store(mem, addr, value, flags)
                {
                    continue;
                }
                match self.replacement(&self.func.insts[inst].clone())? {
                    Some(value) => {
                        let result = self.func.result(inst);
                        self.renamed[result] = value;
                    }
                    None => self.out.push(inst),
                }
            }
            self.func.blocks[block].insts = std::mem::take(&mut self.out);
        }
        self.func.source.follow_none();
        self.rename();
        Ok(())
    }

    /// Rewrites operands: a replaced value may have been used by instructions earlier in the list of blocks.
    fn rename(&mut self) {
        let renamed = &self.renamed;
        let resolve = |mut value: Value| {
            while let Some(&by) = renamed.get(value).filter(|&&by| by != value) {
                value = by;
            }
            value
        };
        self.func.insts.values_mut().for_each(|data| data.map_args(resolve));
    }

    /// The value that replaces the result of an instruction, if it is replaced.
    fn replacement(&mut self, data: &InstData) -> Result<Option<Value>, Unsupported> {
        match *data {
            InstData::Binary { op, ty, args } if op.is_float() => self.float_binary(op, ty, args),
            InstData::Binary { op, ty, args } => Ok(self.word_binary(op, ty, args)),
            InstData::Unary { op, ty, arg } => match self.word_unary(op, ty, arg) {
                Some(value) => Ok(Some(value)),
                None => self.float_unary(op, ty, arg),
            },
            InstData::Load { mem, ty, addr, flags } => Ok(self.unaligned_load(mem, ty, addr, flags)),
            InstData::Fcmp { cond, ty, args } => self.float_compare(cond, ty, args),
            _ => Ok(None),
        }
    }

    // ---- Building ----

    /// Appends an instruction as it is.
    fn plain(&mut self, data: InstData, ty: Type) -> Value {
        let inst = self.func.make_inst(data, &[ty]);
        self.out.push(inst);
        self.func.results[inst][0]
    }

    /// Appends an instruction or its replacement.
    fn emit(&mut self, data: InstData, ty: Type) -> Result<Value, Unsupported> {
        match self.replacement(&data)? {
            Some(value) => Ok(value),
            None => Ok(self.plain(data, ty)),
        }
    }

    /// Appends an instruction without a result.
    fn effect(&mut self, data: InstData) {
        let inst = self.func.make_inst(data, &[]);
        self.out.push(inst);
    }

    fn constant(&mut self, ty: Type, bits: i64) -> Value {
        self.plain(InstData::Const { ty, bits }, ty)
    }

    fn binary(&mut self, op: BinaryOp, ty: Type, args: [Value; 2]) -> Value {
        self.plain(InstData::Binary { op, ty, args }, ty)
    }

    fn binary_const(&mut self, op: BinaryOp, ty: Type, arg: Value, bits: i64) -> Value {
        let constant = self.constant(ty, bits);
        self.binary(op, ty, [arg, constant])
    }

    fn unary(&mut self, op: UnaryOp, ty: Type, arg: Value) -> Value {
        self.plain(InstData::Unary { op, ty, arg }, ty)
    }

    fn icmp(&mut self, cond: Cond, ty: Type, args: [Value; 2]) -> Value {
        self.plain(InstData::Icmp { cond, ty, args }, Type::I32)
    }

    fn select(&mut self, ty: Type, cond: Value, if_true: Value, if_false: Value) -> Value {
        self.plain(InstData::Select { ty, cond, if_true, if_false }, ty)
    }

    /// Appends a call; returns its results.
    fn call(&mut self, func: FuncId, args: Vec<Value>) -> Vec<Value> {
        let types = self.module.signature_of(func).results.clone();
        let inst = self.func.make_inst(InstData::Call { func, args }, &types);
        self.out.push(inst);
        self.func.results[inst].clone()
    }

    /// Appends a call of a helper with one result.
    fn call_helper(&mut self, name: &str, args: Vec<Value>) -> Value {
        let func = self.helpers.get(self.module, name);
        self.call(func, args)[0]
    }

    /// Appends a call of a helper without a result.
    fn call_helper_for_effect(&mut self, name: &str, args: Vec<Value>) {
        let func = self.helpers.get(self.module, name);
        self.call(func, args);
    }
}

#[cfg(test)]
mod tests {
    use ssa::{FuncKind, parse_module};

    use super::*;

    const PROGRAM: &str = "sig (f64, i64) -> (f64)
func $f (f64, i64) -> (f64) {
b0(v0: f64, v1: i64):
  v2 = fadd.f64 v0, v0
  v3 = const.i64 10
  v4 = div_u.i64 v1, v3
  v5 = stof.f64 v4
  v6 = fsqrt.f64 v2
  v7 = fmin.f64 v5, v6
  return v7
}
";

    const FUNCTIONS: FloatFunctions = FloatFunctions {
        add: "add",
        sub: "sub",
        mul: "mul",
        div: "div",
        eq: "eq",
        lt: "lt",
        le: "le",
        gt: "gt",
        ge: "ge",
        un: "un",
    };
    const CALLS: FloatCalls = FloatCalls { single: FUNCTIONS, double: FUNCTIONS, demote: "demote" };

    fn legalized(capabilities: Capabilities, calls: Option<&FloatCalls>) -> Result<Module, Unsupported> {
        let mut module = parse_module(PROGRAM).expect("it parses");
        legalize(&mut module, capabilities, calls)?;
        ssa::verify(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
        Ok(module)
    }

    #[test]
    fn without_a_unit_arithmetic_is_called_or_refused() {
        let refused = legalized(Capabilities::default(), None).expect_err("there are no functions");
        assert_eq!((refused.function.as_str(), refused.operation), ("f", "fadd"));
        let module = legalized(Capabilities::default(), Some(&CALLS)).expect("there are functions");
        let called = module.decls.values().filter_map(|decl| match &decl.kind {
            FuncKind::Intrinsic(name) => Some(name.as_str()),
            _ => None,
        });
        assert_eq!(called.collect::<Vec<_>>(), ["add", "eq", "lt"]);
    }

    #[test]
    fn operations_that_the_machine_has_remain() {
        let double = FloatUnit { arithmetic: true, rounding: true };
        let capabilities = Capabilities { divides_i64: true, double, ..Capabilities::default() };
        let text = legalized(capabilities, None).expect("it has a unit").to_string();
        assert!(text.contains("div_u.i64 ") && text.contains("fsqrt.f64 "), "{text}");
        assert!(!text.contains("__wasm_udivmod64") && text.contains("__wasm_u64_to_f64"), "{text}");
    }
}
