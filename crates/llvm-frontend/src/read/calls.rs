//! Calls: of functions of the program, of code addresses, and of the frontend's markers.

use ssa::{FrameSlotData, FuncId, InstData, Type, Value};

use super::function::{Reader, signature_of_type};
use super::raw as llvm;
use super::repr::{Repr, Shape};
use super::{Refused, Target};
use crate::names::{self, Callee};

impl<'m> Reader<'_, '_, 'm> {
    /// Reads a call; `None` if it has no result.
    pub(super) fn call(&mut self, inst: llvm::Value<'m>) -> Result<Option<Repr>, Refused> {
        let callee = inst.callee().ok_or("a call without a callee")?;
        if callee.kind() != llvm::ValueKind::LLVMFunctionValueKind {
            return self.call_indirect(inst, callee);
        }
        match self.part.targets.get(&callee) {
            Some(&Target::Callee(Callee::Function(func))) => self.call_function(inst, func),
            Some(&Target::Callee(Callee::FuncRef(func))) => {
                Ok(Some(Repr::One(self.b.opaque(InstData::FuncRef { func }, Type::I64))))
            }
            Some(&Target::Callee(Callee::Trap)) => {
                let code = *inst.arguments().first().ok_or("a trap without a code")?;
                self.trap(code).map(|()| None)
            }
            Some(&Target::Callee(Callee::Frame)) => self.frame(inst).map(Some),
            Some(&Target::Callee(Callee::StaticAddress)) => self.static_address(inst).map(Some),
            Some(Target::Intrinsic(base)) => {
                let base = base.clone();
                self.intrinsic(inst, &base)
            }
            Some(Target::Unknown) | None => Err(format!("no function `{}` in the program", callee.name())),
        }
    }

    fn argument_parts(&mut self, inst: llvm::Value<'m>) -> Result<Vec<Value>, Refused> {
        let mut args = Vec::new();
        for arg in inst.arguments() {
            let repr = self.repr(arg)?;
            self.push_parts(repr, &mut args);
        }
        Ok(args)
    }

    fn call_function(&mut self, inst: llvm::Value<'m>, func: FuncId) -> Result<Option<Repr>, Refused> {
        let args = self.argument_parts(inst)?;
        if inst.is_must_tail() {
            self.terminate(InstData::TailCall { func, args });
            return Ok(None);
        }
        self.call_result(inst, InstData::Call { func, args })
    }

    fn call_indirect(
        &mut self,
        inst: llvm::Value<'m>,
        callee: llvm::Value<'m>,
    ) -> Result<Option<Repr>, Refused> {
        let ty = inst.called_type().ok_or("a call without a type")?;
        let sig = self.part.signature(signature_of_type(ty)?);
        let callee = self.one(callee)?;
        let args = self.argument_parts(inst)?;
        if inst.is_must_tail() {
            self.terminate(InstData::TailCallIndirect { sig, callee, args });
            return Ok(None);
        }
        self.call_result(inst, InstData::CallIndirect { sig, callee, args })
    }

    /// Appends a call and gathers its results into the value that LLVM sees.
    fn call_result(&mut self, inst: llvm::Value<'m>, data: InstData) -> Result<Option<Repr>, Refused> {
        let Some(shape) = Shape::of_result(inst.ty())? else {
            self.b.inst(data, &[]);
            return Ok(None);
        };
        let mut results = self.b.inst(data, &shape.types()).into_iter();
        Ok(Some(self.assemble(&shape, &mut |_, _, _| results.next().expect("one result per part"))))
    }

    /// A new stack object.
    fn frame(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let args = inst.arguments();
        let [size, align] = &args[..] else { return Err("a stack object without size and alignment".into()) };
        let constant = |value: &llvm::Value<'_>| value.const_int().and_then(|n| u32::try_from(n).ok());
        match (constant(size), constant(align)) {
            (Some(size), Some(align @ (1 | 2 | 4 | 8 | 16))) => {
                let slot = self.b.func.frame_slots.push(FrameSlotData { size, align });
                Ok(Repr::One(self.b.opaque(InstData::FrameAddr { slot }, Type::I32)))
            }
            _ => Err("a stack object of unknown size or alignment".into()),
        }
    }

    /// The address of a byte of static data.
    fn static_address(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let operand = |n: usize| inst.arguments().get(n).and_then(|arg| arg.const_int());
        let (Some(object), Some(offset)) = (operand(0), operand(1)) else {
            return Err("an address of static data that is no constant".into());
        };
        let data = self.part.cx.names.data(&names::static_symbol(object as u32));
        let data = data.ok_or("static data in a program without any")?;
        Ok(Repr::One(self.b.data_addr(data, offset as i32)))
    }

    /// Calls a runtime function by its symbol.
    pub(super) fn call_runtime(
        &mut self,
        symbol: &str,
        args: Vec<Value>,
        results: &[Type],
    ) -> Result<Vec<Value>, Refused> {
        let func =
            self.part.cx.names.function(symbol).ok_or_else(|| format!("no runtime function `{symbol}`"))?;
        Ok(self.b.inst(InstData::Call { func, args }, results))
    }
}
