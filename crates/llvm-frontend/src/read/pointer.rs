//! Pointers: addresses that are not computed yet, and pointers relative to linear memory.
//!
//! A wasm access is a `getelementptr` on `@__linear_memory` with an index and an offset, and [`ssa::Addr`]
//! has the same form, so most pointers never become values. Phis and selects of pointers would lose the form:
//! the sum would be computed on every incoming edge. If all inputs of such a web of phis and selects point into linear
//! memory, they carry the wasm address instead (the distance from the base), and accesses keep the base.

use ssa::{Addr, BinaryOp, DataId, Type, Value};
use wasm_program::names;

use super::choices::Input;
use super::function::Reader;
use super::repr::Repr;

use super::Refused;
use crate::llvm::{self, Opcode};

impl<'m> Reader<'_, '_, 'm> {
    /// The main memory, if the program has one.
    pub(super) fn memory(&self) -> Option<DataId> {
        self.part.cx.names.data(names::LINEAR_MEMORY)
    }

    /// A pointer operand as an address.
    pub(super) fn address(&mut self, pointer: llvm::Value<'m>) -> Result<Addr, Refused> {
        match self.repr(pointer)? {
            Repr::Addr(addr) => Ok(addr),
            Repr::One(value) => Ok(match self.b.as_const(value) {
                Some(bits) => Addr { base: None, index: None, offset: bits as i32 },
                None => Addr { base: None, index: Some(value), offset: 0 },
            }),
            Repr::Pair(_) | Repr::Struct(_) => Err("a pointer operand of this type".into()),
        }
    }

    /// Computes an address.
    pub(super) fn address_value(&mut self, addr: Addr) -> Value {
        match (addr.base, addr.index) {
            (None, None) => self.b.iconst(Type::I32, i64::from(addr.offset)),
            (None, Some(index)) => self.b.binary_const(BinaryOp::Add, index, i64::from(addr.offset)),
            (Some(base), None) => self.b.data_addr(base, addr.offset),
            (Some(base), Some(index)) => {
                let start = self.b.data_addr(base, addr.offset);
                self.b.binary(BinaryOp::Add, index, start)
            }
        }
    }

    /// The distance of a pointer from the start of `base`.
    pub(super) fn distance(&mut self, pointer: llvm::Value<'m>, base: DataId) -> Result<Value, Refused> {
        let addr = self.address(pointer)?;
        if addr.base == Some(base) || pointer.is_undef() {
            return Ok(self.address_value(Addr { base: None, ..addr }));
        }
        let value = self.address_value(addr);
        let start = self.b.data_addr(base, 0);
        Ok(self.b.binary(BinaryOp::Sub, value, start))
    }

    /// A select whose inputs point into linear memory.
    pub(super) fn select_relative(&mut self, inst: llvm::Value<'m>, cond: Value) -> Result<Repr, Refused> {
        let base = self.memory().ok_or("linear memory without a memory")?;
        let if_true = self.distance(inst.operand(1), base)?;
        let if_false = self.distance(inst.operand(2), base)?;
        let index = Some(self.b.select(cond, if_true, if_false));
        Ok(Repr::Addr(Addr { base: Some(base), index, offset: 0 }))
    }

    /// Reads `getelementptr`.
    pub(super) fn element_address(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let mut addr = self.address(inst.operand(0))?;
        let mut ty = inst.gep_source_type().ok_or("an address without a type")?;
        for (n, index) in (0u32..).zip(inst.operands()).skip(1) {
            if n > 1 {
                if let Some((element, _)) = ty.array() {
                    ty = element;
                } else {
                    let field =
                        index.const_int().and_then(|f| u32::try_from(f).ok()).ok_or("an unknown field")?;
                    let offset =
                        self.part.module.field_offset(ty, field).ok_or("a field that does not exist")?;
                    addr.offset = addr.offset.wrapping_add(offset as i32);
                    ty = ty.fields()[field as usize];
                    continue;
                }
            }
            let size = self.part.module.alloc_size(ty) as u32;
            addr = self.step(addr, index, size.cast_signed())?;
        }
        Ok(Repr::Addr(addr))
    }

    /// `addr` plus `index * size`, modulo 2^32.
    fn step(&mut self, addr: Addr, index: llvm::Value<'m>, size: i32) -> Result<Addr, Refused> {
        let bits = Self::width(index)?;
        let value = match self.repr(index)? {
            Repr::Pair([low, _]) => low,
            _ => self.one(index)?,
        };
        let value = if bits < 32 { self.b.sign_extend(value, bits) } else { value };
        let value = self.b.resize(value, Type::I32);
        let (value, constant) = self.split_sum(index, value);
        let addr = Addr { offset: addr.offset.wrapping_add(constant.wrapping_mul(size)), ..addr };
        let Some(value) = value else { return Ok(addr) };
        let scaled = if size.count_ones() == 1 {
            self.b.binary_const(BinaryOp::Shl, value, i64::from(size.trailing_zeros()))
        } else {
            self.b.binary_const(BinaryOp::Mul, value, i64::from(size))
        };
        let index = match addr.index {
            Some(index) => self.b.binary(BinaryOp::Add, index, scaled),
            None => scaled,
        };
        Ok(Addr { index: Some(index), ..addr })
    }

    /// Splits an index into a value and a constant to add. A sum with other uses is computed anyway and is not split.
    fn split_sum(&self, source: llvm::Value<'m>, value: Value) -> (Option<Value>, i32) {
        use ssa::InstData;
        if let Some(bits) = self.b.as_const(value) {
            return (None, bits as i32);
        }
        let only_use = source.users().nth(1).is_none();
        match self.b.def(value) {
            Some(&InstData::Binary { op, args: [x, y], .. })
                if only_use && (op == BinaryOp::Add || op == BinaryOp::Or && source.is_disjoint()) =>
            {
                self.b.as_const(y).map_or((Some(value), 0), |bits| (Some(x), bits as i32))
            }
            _ => (Some(value), 0),
        }
    }
}

/// Whether a pointer points into linear memory, or is undefined.
pub(super) fn points_into_memory(mut pointer: llvm::Value<'_>) -> Input<'_> {
    loop {
        match pointer.opcode() {
            Some(Opcode::LLVMGetElementPtr) => pointer = pointer.operand(0),
            Some(Opcode::LLVMPHI | Opcode::LLVMSelect) => return Input::If(pointer),
            Some(_) => return Input::Lacks,
            None if pointer.is_undef() => return Input::Has,
            None => {
                let is_global = pointer.kind() == llvm::ValueKind::LLVMGlobalVariableValueKind;
                return if is_global && pointer.name() == names::LINEAR_MEMORY {
                    Input::Has
                } else {
                    Input::Lacks
                };
            }
        }
    }
}
