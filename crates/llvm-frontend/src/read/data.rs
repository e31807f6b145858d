//! Global variables: objects of the program, and constant arrays that LLVM made.
//!
//! LLVM turns switches that compute a value into look-ups in a constant array. Such an array becomes a data
//! object with the bytes of its initializer. Pointers in it must all point into one object; they are stored
//! as distances from its start, and a load of a pointer from the array adds the start again.

use ssa::{Addr, DataId, DataKind, DataObject, EntityId as _};

use super::function::Reader;
use super::raw::{self as llvm, Opcode};
use super::repr::{Repr, Shape};
use super::{Part, Refused};

/// Bytes above which a constant is refused: LLVM makes tables from code, so they are no larger than code.
const MAX_CONSTANT_BYTES: u64 = 1 << 24;

impl<'m> Reader<'_, '_, 'm> {
    /// The address of a global variable.
    pub(super) fn global_address(&mut self, global: llvm::Value<'m>) -> Result<Repr, Refused> {
        let data = self.part.global(global)?;
        Ok(Repr::Addr(Addr { base: Some(data), index: None, offset: 0 }))
    }

    /// What pointers stored at `addr` are relative to.
    pub(super) fn stored_base(&self, addr: Addr) -> Option<DataId> {
        let added = addr.base?.index().checked_sub(self.part.cx.program.data.len())?;
        self.part.stored_bases.get(added).copied().flatten()
    }
}

impl<'m> Part<'_, 'm> {
    /// The object a global variable is.
    fn global(&mut self, global: llvm::Value<'m>) -> Result<DataId, Refused> {
        if let Some(&known) = self.globals.get(&global) {
            return Ok(known);
        }
        let data = match self.cx.names.data(&global.name()) {
            Some(data) => data,
            None => self.add_constant(global)?,
        };
        self.globals.insert(global, data);
        Ok(data)
    }

    fn add_constant(&mut self, global: llvm::Value<'m>) -> Result<DataId, Refused> {
        let refused = || format!("the global variable `{}`", global.name());
        let init = global.constant_initializer().ok_or_else(refused)?;
        let size = self.module.alloc_size(init.ty());
        if size > MAX_CONSTANT_BYTES {
            return Err(refused());
        }
        let mut image = Image { bytes: vec![0; size as usize], base: None, has_numbers_as_pointers: false };
        self.write_constant(&mut image, 0, init)?;
        if image.base.is_some() && image.has_numbers_as_pointers {
            return Err(format!("pointers into several objects in `{}`", global.name()));
        }
        let kind = DataKind::Constant;
        let size = size as u32;
        let id = DataId::new(self.cx.program.data.len() + self.output.data.len());
        self.output.data.push(DataObject {
            name: global.name(),
            kind,
            size,
            align: global.global_alignment().clamp(8, 16),
            init: image.bytes,
            relocs: Vec::new(),
            addresses: Vec::new(),
        });
        self.stored_bases.push(image.base);
        Ok(id)
    }

    /// Writes a constant at `offset` of an image.
    fn write_constant(
        &mut self,
        image: &mut Image,
        offset: u64,
        value: llvm::Value<'m>,
    ) -> Result<(), Refused> {
        use llvm::ValueKind as Kind;
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
        let bits = match value.kind() {
            Kind::LLVMConstantIntValueKind => value.const_int(),
            Kind::LLVMConstantFPValueKind => value.const_float_bits().map(u128::from),
            Kind::LLVMUndefValueValueKind | Kind::LLVMPoisonValueKind => Some(0),
            _ if Shape::of(value.ty())? == Shape::Ptr => Some(self.pointer_bits(image, value)?),
            _ => None,
        };
        let bits = bits.ok_or_else(|| format!("the constant `{}`", value.print()))?;
        let size = self.module.store_size(value.ty()) as usize;
        image.bytes[offset as usize..][..size].copy_from_slice(&bits.to_le_bytes()[..size]);
        Ok(())
    }

    /// A pointer as its distance from the image's base.
    fn pointer_bits(&mut self, image: &mut Image, value: llvm::Value<'m>) -> Result<u128, Refused> {
        let (base, offset) = self.constant_pointer(value)?;
        match (base, image.base) {
            (None, _) => image.has_numbers_as_pointers = true,
            (Some(data), None) => image.base = Some(data),
            (Some(data), Some(base)) if data == base => {}
            _ => return Err("pointers into several objects in one constant".into()),
        }
        Ok(u128::from(offset))
    }

    /// A constant pointer as an object and an offset.
    fn constant_pointer(&mut self, value: llvm::Value<'m>) -> Result<(Option<DataId>, u32), Refused> {
        let refused = || format!("the constant `{}`", value.print());
        match value.kind() {
            llvm::ValueKind::LLVMConstantPointerNullValueKind => Ok((None, 0)),
            llvm::ValueKind::LLVMGlobalVariableValueKind => Ok((Some(self.global(value)?), 0)),
            _ => match value.opcode() {
                Some(Opcode::LLVMIntToPtr) => {
                    value.operand(0).const_int().map(|bits| (None, bits as u32)).ok_or_else(refused)
                }
                Some(Opcode::LLVMGetElementPtr) if value.operand_count() == 2 => {
                    let (base, start) = self.constant_pointer(value.operand(0))?;
                    let ty = value.gep_source_type().ok_or_else(refused)?;
                    let index = value.operand(1).const_int().ok_or_else(refused)? as u32;
                    let step = index.wrapping_mul(self.module.alloc_size(ty) as u32);
                    Ok((base, start.wrapping_add(step)))
                }
                _ => Err(refused()),
            },
        }
    }
}

/// The bytes of a constant under construction.
struct Image {
    bytes: Vec<u8>,
    /// What the pointers in it are relative to.
    base: Option<DataId>,
    /// There are pointers that are plain numbers.
    has_numbers_as_pointers: bool,
}
