//! Global variables: objects of the program, and constants that LLVM made.
//!
//! LLVM turns switches that compute a value into look-ups in a constant array. Such an array becomes a data object
//! with the bytes of its initialiser. Pointers in it, and integers made of pointers, become addresses that the target
//! fills in ([`StoredAddress`]). So the objects they point into and the way the array is read don't matter.
//!
//! The base of linear memory is a call while LLVM makes such constants ([`wasm_program::names::memory_base_symbol`]), and so are
//! references to functions; so neither occurs in a constant.

use ssa::{Addr, DataId, DataKind, DataObject, EntityId as _, StoredAddress};

use super::function::Reader;
use super::repr::{Repr, Shape};
use super::{PartReader, Refused};
use crate::llvm::{self, Opcode};

/// Bytes above which a constant is refused: LLVM makes tables from code, so they are no larger than code.
const MAX_CONSTANT_BYTES: u64 = 1 << 24;
/// Bytes of a pointer.
const POINTER_BYTES: usize = 4;

impl<'m> Reader<'_, '_, 'm> {
    /// The address of a global variable.
    pub(super) fn global_address(&mut self, global: llvm::Value<'m>) -> Result<Repr, Refused> {
        let data = self.part.global(global)?;
        Ok(Repr::Addr(Addr { base: Some(data), index: None, offset: 0 }))
    }
}

/// A constant of up to 128 bits, modulo two to the power of its width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Word {
    /// The object whose address is added to `bits`; its upper half is zero then.
    base: Option<DataId>,
    bits: u128,
}

impl Word {
    const fn number(bits: u128) -> Self {
        Self { base: None, bits }
    }
}

impl<'m> PartReader<'_, 'm> {
    /// The object of a global variable.
    fn global(&mut self, global: llvm::Value<'m>) -> Result<DataId, Refused> {
        if let Some(&known) = self.globals.get(&global) {
            return Ok(known);
        }
        match self.cx.names.data(&global.name()) {
            Some(data) => {
                self.globals.insert(global, data);
                Ok(data)
            }
            None => self.add_constant(global),
        }
    }

    fn add_constant(&mut self, global: llvm::Value<'m>) -> Result<DataId, Refused> {
        let refused = || format!("the global variable `{}`", global.name());
        let init = global.constant_initializer().ok_or_else(refused)?;
        let size = self.module.alloc_size(init.ty());
        if size > MAX_CONSTANT_BYTES {
            return Err(refused());
        }
        let index = self.output.data.len();
        let id = DataId::new(self.cx.program.data.len() + index);
        let object = DataObject {
            name: global.name(),
            kind: DataKind::Constant,
            size: size as u32,
            align: global.global_alignment().clamp(8, 16),
            init: vec![0; size as usize],
            relocs: Vec::new(),
            addresses: Vec::new(),
        };
        // A constant may contain its own address.
        self.globals.insert(global, id);
        self.output.data.push(object.clone());
        let mut image = object;
        self.write_constant(&mut image, 0, init)?;
        self.output.data[index] = image;
        Ok(id)
    }

    /// Writes a constant at `offset` of an object.
    fn write_constant(
        &mut self,
        image: &mut DataObject,
        offset: u64,
        value: llvm::Value<'m>,
    ) -> Result<(), Refused> {
        if let Some((element, len)) = value.ty().array() {
            let stride = self.module.alloc_size(element);
            for n in 0..len {
                let part = value.aggregate_element(n as u32).ok_or("an array without elements")?;
                self.write_constant(image, offset + n * stride, part)?;
            }
            return Ok(());
        }
        if value.ty().kind() == llvm::TypeKind::LLVMStructTypeKind {
            for n in 0..value.ty().fields().len() as u32 {
                let part = value.aggregate_element(n).ok_or("a struct without fields")?;
                let at = self.module.field_offset(value.ty(), n).ok_or("a struct without fields")?;
                self.write_constant(image, offset + at, part)?;
            }
            return Ok(());
        }
        let Word { base, bits } = match value.const_float_bits() {
            Some(bits) => Word::number(bits.into()),
            None => self.constant_word(value)?,
        };
        let size = self.module.store_size(value.ty()) as usize;
        let at = offset as usize;
        image.init[at..][..size].copy_from_slice(&bits.to_le_bytes()[..size]);
        if let Some(data) = base {
            image.init[at..][..POINTER_BYTES].fill(0);
            let addend = (bits as u32).cast_signed();
            image.addresses.push(StoredAddress { offset: offset as u32, data, addend });
        }
        Ok(())
    }

    /// A constant integer or pointer.
    fn constant_word(&mut self, value: llvm::Value<'m>) -> Result<Word, Refused> {
        use llvm::ValueKind as Kind;
        let refused = || "a constant of a form that no wasm operator needs".to_owned();
        let bits = match Shape::of(value.ty())? {
            Shape::Int(bits) => bits,
            Shape::Ptr => u32::BITS,
            _ => return Err(refused()),
        };
        match value.kind() {
            Kind::LLVMConstantIntValueKind => value.const_int().map(Word::number).ok_or_else(refused),
            Kind::LLVMUndefValueValueKind
            | Kind::LLVMPoisonValueKind
            | Kind::LLVMConstantAggregateZeroValueKind
            | Kind::LLVMConstantPointerNullValueKind => Ok(Word::number(0)),
            Kind::LLVMGlobalVariableValueKind => Ok(Word { base: Some(self.global(value)?), bits: 0 }),
            _ => {
                let word = match value.opcode() {
                    Some(Opcode::LLVMPtrToInt | Opcode::LLVMPtrToAddr | Opcode::LLVMIntToPtr) => {
                        self.constant_word(value.operand(0))?
                    }
                    Some(op @ (Opcode::LLVMAdd | Opcode::LLVMSub)) if bits <= u32::BITS => {
                        self.constant_sum(op, value)?
                    }
                    Some(Opcode::LLVMGetElementPtr) => self.constant_element(value)?,
                    _ => return Err(refused()),
                };
                // A truncated address is not an address.
                if word.base.is_some() && bits < u32::BITS {
                    return Err(refused());
                }
                let kept = if word.base.is_some() { u32::BITS } else { bits };
                Ok(Word { bits: word.bits & (u128::MAX >> (128 - kept)), ..word })
            }
        }
    }

    /// A sum or difference with an address on at most one side, or a distance within one object.
    fn constant_sum(&mut self, op: Opcode, value: llvm::Value<'m>) -> Result<Word, Refused> {
        let (a, b) = (self.constant_word(value.operand(0))?, self.constant_word(value.operand(1))?);
        match (op, a.base, b.base) {
            (Opcode::LLVMAdd, base, None) | (Opcode::LLVMAdd, None, base) => {
                Ok(Word { base, bits: a.bits.wrapping_add(b.bits) })
            }
            (Opcode::LLVMSub, base, None) => Ok(Word { base, bits: a.bits.wrapping_sub(b.bits) }),
            (Opcode::LLVMSub, a_base, b_base) if a_base == b_base => {
                Ok(Word::number(a.bits.wrapping_sub(b.bits)))
            }
            _ => Err("a constant that is the distance between two objects".into()),
        }
    }

    /// A constant `getelementptr`.
    fn constant_element(&mut self, value: llvm::Value<'m>) -> Result<Word, Refused> {
        let mut word = self.constant_word(value.operand(0))?;
        let mut ty = value.gep_source_type().ok_or("an address without a type")?;
        for (n, index) in (0u32..).zip(value.operands()).skip(1) {
            let number = index.const_int().ok_or("an unknown index")?;
            if n > 1 && ty.array().is_none() {
                let field = u32::try_from(number).map_err(|_| "an unknown field")?;
                let offset = self.module.field_offset(ty, field).ok_or("a field that does not exist")?;
                word.bits = word.bits.wrapping_add(offset.into());
                ty = ty.fields()[field as usize];
                continue;
            }
            if n > 1 {
                ty = ty.array().map_or(ty, |(element, _)| element);
            }
            let bits = index.ty().int_width().unwrap_or(u32::BITS).clamp(1, 128);
            let signed = (number << (128 - bits)).cast_signed() >> (128 - bits);
            let size = u128::from(self.module.alloc_size(ty));
            word.bits = word.bits.wrapping_add(signed.cast_unsigned().wrapping_mul(size));
        }
        Ok(word)
    }
}
