//! Legalisation: replacing operations that the machine lacks, in SSA.
//!
//! Operations that take many instructions become calls of helper functions. These are SSA, too (`helpers.ssa` and
//! [`round`]), and are compiled into the object as local functions, so the linker needs no library for them. The
//! exception is float arithmetic on cores without the hardware, which is an option: it calls the functions of the
//! run-time ABI (`__aeabi_dadd` and so on) that every C toolchain has.
//!
//! Each function is rewritten in one pass over its instructions. The instructions of a replacement are themselves
//! legalised when they are appended, so a rule may use operations that have rules of their own.

mod divide;
mod float;
mod helpers;
mod round;

use std::collections::BTreeMap;

use codegen::Unsupported;
use ssa::{BinaryOp, Cond, FuncId, Function, IdVec, Inst, InstData, Module, Type, UnaryOp, Value};

use crate::cpu::Cpu;
use helpers::Helpers;

/// Rewrites a module so that selection supports all its operations. `soft_floats` allows calls of the run-time ABI for
/// float arithmetic that the core lacks.
///
/// # Errors
/// If a function computes with floats that the core has no hardware for.
pub fn legalize(module: &mut Module, cpu: Cpu, soft_floats: bool) -> Result<(), Unsupported> {
    let mut helpers = Helpers::new();
    for id in module.functions.ids().collect::<Vec<FuncId>>() {
        let Some(func) = module.functions[id].take() else { continue };
        let mut rewriter = Rewriter {
            renamed: func.values.ids().collect(),
            module,
            func,
            helpers: &mut helpers,
            cpu,
            soft_floats,
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
    cpu: Cpu,
    soft_floats: bool,
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
            InstData::Binary { op, ty: Type::I64, args } => Ok(self.division(op, args)),
            InstData::Binary { op, ty, args } if op.is_float() => self.float_binary(op, ty, args),
            InstData::Unary { op, ty, arg } => self.float_unary(op, ty, arg),
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
}
