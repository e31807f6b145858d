//! Type checks of operands and results, instruction by instruction.

use super::ensure;
use crate::{
    Addr, BlockCall, Function, Inst, InstData, MemFlags, MemType, Module, Signature, Type, UnaryOp, Value,
};

/// Checks one instruction, all of whose ids exist.
pub(super) fn check_inst(module: &Module, func: &Function, inst: Inst) -> Result<(), String> {
    let cx = Context { module, func };
    let data = &func.insts[inst];
    let results: Vec<Type> = func.results[inst].iter().map(|&v| func.values[v].ty).collect();
    let expected = module.result_types(data);
    ensure(results == expected, || format!("its results are {results:?}, not {expected:?}"))?;
    cx.check(data)?;
    data.successors().into_iter().try_for_each(|to| cx.check_target(to))
}

struct Context<'a> {
    module: &'a Module,
    func: &'a Function,
}

impl Context<'_> {
    fn check(&self, data: &InstData) -> Result<(), String> {
        match data {
            InstData::Const { ty, bits } => check_const(*ty, *bits),
            InstData::DataAddr { .. }
            | InstData::FrameAddr { .. }
            | InstData::FuncRef { .. }
            | InstData::Jump { .. }
            | InstData::Trap { .. } => Ok(()),
            InstData::Unary { op, ty, arg } => self.check_unary(*op, *ty, *arg),
            InstData::Binary { op, ty, args } => {
                ensure(op.is_float() == ty.is_float(), || format!("{op} doesn't compute {ty}"))?;
                self.expect_all(args, &[*ty; 2])
            }
            InstData::Icmp { ty, args, .. } => {
                ensure(ty.is_int(), || format!("{ty} isn't an integer type"))?;
                self.expect_all(args, &[*ty; 2])
            }
            InstData::Fcmp { ty, args, .. } => {
                ensure(ty.is_float(), || format!("{ty} isn't a float type"))?;
                self.expect_all(args, &[*ty; 2])
            }
            InstData::Select { ty, cond, if_true, if_false } => {
                self.check_condition(*cond)?;
                self.expect_all(&[*if_true, *if_false], &[*ty; 2])
            }
            InstData::Load { mem, ty, addr, flags } => {
                ensure(mem.fits(*ty), || format!("{mem} doesn't load as {ty}"))?;
                self.check_address(addr, *flags)
            }
            InstData::Store { mem, addr, value, flags } => self.check_store(*mem, addr, *value, *flags),
            InstData::Call { func, args } => self.expect_all(args, &self.module.signature_of(*func).params),
            InstData::CallIndirect { sig, callee, args } => {
                self.check_indirect(*callee, args, self.sig(*sig))
            }
            InstData::Branch { cond, .. } => self.check_condition(*cond),
            InstData::Switch { ty, value, cases, .. } => {
                self.expect(*value, *ty)?;
                check_cases(*ty, cases)
            }
            InstData::Return { args } => self.expect_all(args, &self.sig(self.func.sig).results),
            InstData::TailCall { func, args } => {
                let sig = self.module.signature_of(*func);
                self.check_tail(sig)?;
                self.expect_all(args, &sig.params)
            }
            InstData::TailCallIndirect { sig, callee, args } => {
                self.check_tail(self.sig(*sig))?;
                self.check_indirect(*callee, args, self.sig(*sig))
            }
        }
    }

    fn sig(&self, sig: crate::SigId) -> &Signature {
        &self.module.signatures[sig]
    }

    fn ty(&self, value: Value) -> Type {
        self.func.values[value].ty
    }

    fn expect(&self, value: Value, ty: Type) -> Result<(), String> {
        let found = self.ty(value);
        ensure(found == ty, || format!("{value} is {found}, not {ty}"))
    }

    fn expect_all(&self, values: &[Value], types: &[Type]) -> Result<(), String> {
        ensure(values.len() == types.len(), || {
            format!("{} operands where {} are expected", values.len(), types.len())
        })?;
        values.iter().zip(types).try_for_each(|(&value, &ty)| self.expect(value, ty))
    }

    fn check_unary(&self, op: UnaryOp, ty: Type, arg: Value) -> Result<(), String> {
        let operand = self.ty(arg);
        ensure(op.accepts(ty, operand), || format!("{op} doesn't make {ty} from {operand}"))
    }

    /// Checks that a condition is `i32` and not obviously something other than 0 or 1.
    fn check_condition(&self, cond: Value) -> Result<(), String> {
        self.expect(cond, Type::I32)?;
        let def = self.func.def_inst(cond).and_then(|inst| self.func.insts.get(inst));
        let obviously_other = match def {
            Some(InstData::Const { bits, .. }) => !matches!(bits, 0 | 1),
            Some(InstData::DataAddr { .. } | InstData::FrameAddr { .. }) => true,
            _ => false,
        };
        ensure(!obviously_other, || format!("the condition {cond} isn't 0 or 1"))
    }

    fn check_address(&self, addr: &Addr, flags: MemFlags) -> Result<(), String> {
        ensure(flags.align_log2 < 32, || "the alignment exceeds the address space".to_owned())?;
        addr.index.map_or(Ok(()), |index| self.expect(index, Type::I32))
    }

    fn check_store(&self, mem: MemType, addr: &Addr, value: Value, flags: MemFlags) -> Result<(), String> {
        let ty = self.ty(value);
        ensure(mem.is_store() && mem.fits(ty), || format!("{ty} isn't stored as {mem}"))?;
        self.check_address(addr, flags)
    }

    fn check_indirect(&self, callee: Value, args: &[Value], sig: &Signature) -> Result<(), String> {
        self.expect(callee, Type::I32)?;
        self.expect_all(args, &sig.params)
    }

    fn check_tail(&self, callee: &Signature) -> Result<(), String> {
        let own = &self.sig(self.func.sig).results;
        ensure(callee.results == *own, || "the callee's results aren't this function's".to_owned())
    }

    fn check_target(&self, to: &BlockCall) -> Result<(), String> {
        let params: Vec<Type> = self.func.blocks[to.block].params.iter().map(|&v| self.ty(v)).collect();
        self.expect_all(&to.args, &params).map_err(|message| format!("arguments of {}: {message}", to.block))
    }
}

/// `i32` is stored sign-extended, `f32` zero-extended.
fn check_const(ty: Type, bits: i64) -> Result<(), String> {
    let canonical = match ty {
        Type::I32 => i64::from(bits as i32) == bits,
        Type::F32 => i64::from(bits as u32) == bits,
        Type::I64 | Type::F64 => true,
    };
    ensure(canonical, || format!("{bits:#x} isn't how a constant {ty} is stored"))
}

fn check_cases(ty: Type, cases: &[(i64, BlockCall)]) -> Result<(), String> {
    ensure(ty.is_int(), || format!("{ty} isn't an integer type"))?;
    cases.iter().try_for_each(|(case, _)| check_const(ty, *case))?;
    let sorted = cases.windows(2).all(|pair| pair[0].0 < pair[1].0);
    ensure(sorted, || "the cases aren't distinct and sorted".to_owned())
}
