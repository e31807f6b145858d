//! Calls of functions of the program and of code addresses, and the calls that represent `ssa` instructions.

use ssa::{
    Addr, BinaryOp, CheckedAccess, Cond, FrameSlot, FrameSlotData, FuncId, InstData, MemFlags, MemType, Type,
    UnaryOp, Value,
};
use wasm_program::names::{self, Callee};

use super::function::{Reader, signature_of_type};
use super::repr::{Repr, Shape};
use super::{Refused, Target};
use crate::llvm;

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
            Some(&Target::Callee(Callee::InArguments)) => self.in_arguments(inst).map(Some),
            Some(&Target::Callee(Callee::RangeInArguments)) => self.range_in_arguments(inst).map(Some),
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
            if inst.callee().is_some_and(|callee| callee.has_attribute("cold")) {
                self.cold_callees.push(func);
            }
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
                self.describe_frame(inst, slot, size);
                Ok(Repr::One(self.b.opaque(InstData::FrameAddr { slot }, Type::I32)))
            }
            _ => Err("a stack object of unknown size or alignment".into()),
        }
    }

    /// Notes that a stack object is the function's part of the C stack: a part of that size that was not inlined.
    fn describe_frame(&mut self, inst: llvm::Value<'m>, slot: FrameSlot, size: u32) {
        let sources = self.part.cx.program.sources.as_ref();
        let source = &mut self.b.func.source;
        let Some((sources, subprogram)) = sources.zip(source.subprogram) else { return };
        if sources.subprograms[subprogram].frame_bytes == Some(size) && inst.inlined_calls().is_empty() {
            source.frame = Some(slot);
        }
    }

    /// The address of a byte of static data.
    fn static_address(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let operand = |n: usize| inst.arguments().get(n).and_then(|arg| arg.const_int());
        let (Some(object), Some(offset)) = (operand(0), operand(1)) else {
            return Err("an address of static data that is not constant".into());
        };
        let data = self.part.cx.names.data(&names::static_symbol(object as u32));
        let data = data.ok_or("static data in a program without any")?;
        Ok(Repr::One(self.b.data_addr(data, offset as i32)))
    }

    /// The mark of an access becomes a call of the target's intrinsic.
    pub(super) fn check(&mut self, inst: llvm::Value<'m>) -> Result<(), Refused> {
        let args = inst.arguments();
        let access = args.get(3).and_then(|arg| arg.const_int()).ok_or("a check without its access")?;
        let memory = self.memory().ok_or("a check without a memory")?;
        let address = self.distance(args[0], memory)?;
        let access = self.b.iconst(Type::I32, access as i64);
        self.call_runtime(CheckedAccess::SYMBOL, vec![address, access], &[]).map(|_| ())
    }

    /// Whether a load of a known width is within the arguments: its distance from their start is less than the limit
    /// for its width.
    fn in_arguments(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let args = inst.arguments();
        let [address, offset, log2] = args[..] else { return Err("a check without its operands".into()) };
        let constant = |value: llvm::Value<'_>| value.const_int().ok_or("a check of a variable width");
        let (offset, log2) = (constant(offset)? as u32, constant(log2)? as i32);
        let address = self.one(address)?;
        let distance = self.distance_in_arguments(address, offset)?;
        let limit = self.argument_limit(log2)?;
        Ok(Repr::One(self.b.icmp(Cond::LtU, distance, limit)))
    }

    /// Whether a range is within the arguments. The limit for single bytes is their length.
    fn range_in_arguments(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let args = inst.arguments();
        let [address, length] = args[..] else { return Err("a check without its operands".into()) };
        let (address, length) = (self.one(address)?, self.one(length)?);
        let distance = self.distance_in_arguments(address, 0)?;
        let limit = self.argument_limit(0)?;
        let [start, length, limit] =
            [distance, length, limit].map(|value| self.b.unary(UnaryOp::Zext, Type::I64, value));
        let end = self.b.binary(BinaryOp::Add, start, length);
        Ok(Repr::One(self.b.icmp(Cond::LeU, end, limit)))
    }

    /// The distance of a wasm address plus an offset from the start of the arguments, modulo 2^32.
    fn distance_in_arguments(&mut self, address: Value, offset: u32) -> Result<Value, Refused> {
        let names = self.part.cx.names;
        let memory = names.data(names::LINEAR_MEMORY).ok_or("an access without a memory")?;
        let start = self.part.cx.arguments.ok_or("arguments in a program without any")?;
        let base = self.b.data_addr(memory, offset.wrapping_sub(start) as i32);
        Ok(self.b.binary(BinaryOp::Add, address, base))
    }

    /// The limit for accesses of `1 << log2` bytes: see [`ssa::Module::host_arguments`].
    fn argument_limit(&mut self, log2: i32) -> Result<Value, Refused> {
        let data =
            self.part.cx.names.data(names::ARGUMENT_LIMITS).ok_or("limits in a program without any")?;
        let addr = Addr { base: Some(data), index: None, offset: 4 * log2 };
        let flags = MemFlags { volatile: false, align_log2: 2 };
        Ok(self.b.load(MemType::S32, Type::I32, addr, flags))
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
