//! Loads, stores, and the block operations on memory.
//!
//! A value of an odd size moves in pieces whose sizes are powers of two, little end first. A narrow value
//! that doesn't fill its bytes is stored zero-extended, as LLVM does.

use ssa::{Addr, BinaryOp, MemFlags, MemType, Type, UnaryOp, Value};
use wasm_program::names;

use super::function::Reader;
use super::repr::{Repr, Shape, container};

use super::Refused;
use crate::llvm::{self, Opcode};

/// Maximum size in bytes of a block operation that is expanded. A move must hold all of it in registers at once.
struct InlineLimits {
    copy: u64,
    overlapping: u64,
    fill: u64,
}

const FAST: InlineLimits = InlineLimits { copy: 64, overlapping: 32, fill: 64 };
const SMALL: InlineLimits = InlineLimits { copy: 16, overlapping: 16, fill: 24 };

/// Maximum number of pieces of a copy that are loaded before they are stored.
const COPY_BATCH: usize = 4;

impl<'m> Reader<'_, '_, 'm> {
    fn flags(inst: llvm::Value<'m>) -> Result<MemFlags, Refused> {
        if inst.is_atomic() {
            return Err("an atomic access".into());
        }
        Ok(MemFlags { volatile: inst.is_volatile(), align_log2: inst.alignment().trailing_zeros() as u8 })
    }

    /// Reads `load`.
    pub(super) fn load(&mut self, inst: llvm::Value<'m>) -> Result<Repr, Refused> {
        let flags = Self::flags(inst)?;
        let pointer = inst.operand(0);
        let addr = self.address(pointer)?;
        if let Some(repr) = self.load_extended(inst, addr, flags)? {
            return Ok(repr);
        }
        let shape = Shape::of(inst.ty())?;
        self.read_memory(&shape, addr, flags)
    }

    /// A load whose only use extends the value: the load itself extends.
    fn load_extended(
        &mut self,
        inst: llvm::Value<'m>,
        addr: Addr,
        flags: MemFlags,
    ) -> Result<Option<Repr>, Refused> {
        let mem = match inst.ty().int_width() {
            Some(8) => [MemType::U8, MemType::S8],
            Some(16) => [MemType::U16, MemType::S16],
            Some(32) => [MemType::U32, MemType::S32],
            _ => return Ok(None),
        };
        let mut users = inst.users();
        let (Some(user), None) = (users.next(), users.next()) else { return Ok(None) };
        let signed = match user.opcode() {
            Some(Opcode::LLVMSExt) => true,
            Some(Opcode::LLVMZExt) => false,
            _ => return Ok(None),
        };
        let bits = Self::width(user)?;
        if bits > 64 {
            return Ok(None);
        }
        let repr = Repr::One(self.b.load(mem[usize::from(signed)], container(bits), addr, flags));
        self.values.insert(user, repr);
        Ok(Some(repr))
    }

    fn read_memory(&mut self, shape: &Shape, addr: Addr, flags: MemFlags) -> Result<Repr, Refused> {
        Ok(match *shape {
            Shape::Ptr => Repr::One(self.b.load(MemType::U32, Type::I32, addr, flags)),
            Shape::Float(ty) => {
                let mem = if ty == Type::F32 { MemType::F32 } else { MemType::F64 };
                Repr::One(self.b.load(mem, ty, addr, flags))
            }
            // Memory may hold other bits above a byte's first, but an `i1` must be exactly 0 or 1.
            Shape::Int(1) => {
                let byte = self.b.load(MemType::U8, Type::I32, addr, flags);
                Repr::One(self.b.zero_extend(byte, 1))
            }
            Shape::Int(bits) if bits <= 64 => {
                Repr::One(self.read_bytes(bits.div_ceil(8), container(bits), addr, flags))
            }
            Shape::Int(bits) => {
                let low = self.b.load(MemType::I64, Type::I64, addr, flags);
                let (addr, flags) = behind(addr, flags, 8);
                Repr::Pair([low, self.read_bytes(bits.div_ceil(8) - 8, Type::I64, addr, flags)])
            }
            Shape::Struct(_) => return Err("a load of an aggregate".into()),
        })
    }

    /// Reads an integer of up to 8 bytes.
    fn read_bytes(&mut self, bytes: u32, ty: Type, addr: Addr, flags: MemFlags) -> Value {
        let mut value = None;
        for (offset, size) in pieces(bytes) {
            let (at, flags) = behind(addr, flags, offset);
            let piece = self.b.load(unsigned_access(size), ty, at, flags);
            let moved = self.b.binary_const(BinaryOp::Shl, piece, i64::from(offset * 8));
            value = Some(value.map_or(moved, |low| self.b.binary(BinaryOp::Or, moved, low)));
        }
        value.expect("an integer has at least one byte")
    }

    /// Reads `store`.
    pub(super) fn store(&mut self, inst: llvm::Value<'m>) -> Result<(), Refused> {
        let flags = Self::flags(inst)?;
        let shape = Shape::of(inst.operand(0).ty())?;
        let repr = self.repr(inst.operand(0))?;
        let addr = self.address(inst.operand(1))?;
        match (shape, repr) {
            (Shape::Struct(_), _) => return Err("a store of an aggregate".into()),
            (Shape::Int(bits), Repr::Pair([low, high])) => {
                self.write(MemType::I64, addr, low, flags);
                let high = self.b.zero_extend(high, bits - 64);
                let (addr, flags) = behind(addr, flags, 8);
                self.write_bytes(bits.div_ceil(8) - 8, addr, high, flags);
            }
            (Shape::Int(bits), _) => {
                let value = self.one(inst.operand(0))?;
                let value = if bits % 8 == 0 { value } else { self.b.zero_extend(value, bits) };
                self.write_bytes(bits.div_ceil(8), addr, value, flags);
            }
            (Shape::Float(ty), _) => {
                let mem = if ty == Type::F32 { MemType::F32 } else { MemType::F64 };
                let value = self.one(inst.operand(0))?;
                self.write(mem, addr, value, flags);
            }
            (Shape::Ptr, _) => {
                let value = self.one(inst.operand(0))?;
                self.write(MemType::U32, addr, value, flags);
            }
        }
        Ok(())
    }

    fn write(&mut self, mem: MemType, addr: Addr, value: Value, flags: MemFlags) {
        self.b.inst(ssa::InstData::Store { mem, addr, value, flags }, &[]);
    }

    /// Writes the low bytes of an integer.
    fn write_bytes(&mut self, bytes: u32, addr: Addr, value: Value, flags: MemFlags) {
        for (offset, size) in pieces(bytes) {
            let (at, flags) = behind(addr, flags, offset);
            let piece = self.b.binary_const(BinaryOp::ShrU, value, i64::from(offset * 8));
            self.write(unsigned_access(size), at, piece, flags);
        }
    }

    /// Reads `llvm.memcpy`, `llvm.memmove` and `llvm.memset`.
    pub(super) fn block_operation(&mut self, inst: llvm::Value<'m>, base: &str) -> Result<(), Refused> {
        let args = inst.arguments();
        let [to, from, len, volatile] = args[..] else {
            return Err("an unknown form of this intrinsic".into());
        };
        let flags = MemFlags { volatile: volatile.const_int() != Some(0), align_log2: 0 };
        let limits = if self.b.func.optimize_for_size { SMALL } else { FAST };
        let size = len.const_int().and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX);
        match base {
            "memset" if size <= limits.fill => self.fill_inline(to, from, size as u32, flags),
            "memset" => {
                let args = vec![self.one(to)?, self.byte(from)?, self.length(len)?];
                self.call_runtime(names::MEMSET, args, &[]).map(|_| ())
            }
            "memmove" if size <= limits.overlapping => {
                self.copy_inline(to, from, size as u32, usize::MAX, flags)
            }
            "memcpy" if size <= limits.copy => self.copy_inline(to, from, size as u32, COPY_BATCH, flags),
            _ => {
                let symbol = if base == "memmove" { names::MEMMOVE } else { names::MEMCPY };
                let args = vec![self.one(to)?, self.one(from)?, self.length(len)?];
                self.call_runtime(symbol, args, &[]).map(|_| ())
            }
        }
    }

    fn length(&mut self, len: llvm::Value<'m>) -> Result<Value, Refused> {
        let value = self.one(len)?;
        Ok(self.b.resize(value, Type::I32))
    }

    fn byte(&mut self, value: llvm::Value<'m>) -> Result<Value, Refused> {
        let value = self.one(value)?;
        Ok(self.b.zero_extend(value, 8))
    }

    /// Copies `size` bytes, loading up to `batch` pieces before they are stored.
    fn copy_inline(
        &mut self,
        to: llvm::Value<'m>,
        from: llvm::Value<'m>,
        size: u32,
        batch: usize,
        flags: MemFlags,
    ) -> Result<(), Refused> {
        let (to, from) = (self.address(to)?, self.address(from)?);
        let pieces = pieces(size);
        for group in pieces.chunks(batch.min(pieces.len().max(1))) {
            let mut loaded = Vec::with_capacity(group.len());
            for &(offset, bytes) in group {
                let (at, flags) = behind(from, flags, offset);
                loaded.push(self.b.load(unsigned_access(bytes), container(bytes * 8), at, flags));
            }
            for (&(offset, bytes), value) in group.iter().zip(loaded) {
                let (at, flags) = behind(to, flags, offset);
                self.write(unsigned_access(bytes), at, value, flags);
            }
        }
        Ok(())
    }

    /// Fills `size` bytes with the low byte of `byte`.
    fn fill_inline(
        &mut self,
        to: llvm::Value<'m>,
        byte: llvm::Value<'m>,
        size: u32,
        flags: MemFlags,
    ) -> Result<(), Refused> {
        const ONES: i64 = 0x0101_0101_0101_0101;
        let to = self.address(to)?;
        let byte = self.byte(byte)?;
        let word = match self.b.as_const(byte) {
            Some(bits) => self.b.iconst(Type::I64, bits.wrapping_mul(ONES)),
            None if size < 8 => {
                let word = self.b.binary_const(BinaryOp::Mul, byte, ONES);
                self.b.unary(UnaryOp::Zext, Type::I64, word)
            }
            None => {
                let wide = self.b.unary(UnaryOp::Zext, Type::I64, byte);
                self.b.binary_const(BinaryOp::Mul, wide, ONES)
            }
        };
        for (offset, bytes) in pieces(size) {
            let (at, flags) = behind(to, flags, offset);
            let value = self.b.resize(word, container(bytes * 8));
            self.write(unsigned_access(bytes), at, value, flags);
        }
        Ok(())
    }
}

/// The address `bytes` later, and the flags of accesses there.
fn behind(addr: Addr, flags: MemFlags, bytes: u32) -> (Addr, MemFlags) {
    let offset = addr.offset.wrapping_add(bytes.cast_signed());
    let align_log2 =
        if bytes == 0 { flags.align_log2 } else { flags.align_log2.min(bytes.trailing_zeros() as u8) };
    (Addr { offset, ..addr }, MemFlags { align_log2, ..flags })
}

/// Offsets and sizes of the powers of two that make up `bytes`, largest first.
fn pieces(bytes: u32) -> Vec<(u32, u32)> {
    let mut pieces = Vec::new();
    let mut offset = 0;
    for size in [8, 4, 2, 1] {
        while bytes - offset >= size {
            pieces.push((offset, size));
            offset += size;
        }
    }
    pieces
}

fn unsigned_access(bytes: u32) -> MemType {
    match bytes {
        1 => MemType::U8,
        2 => MemType::U16,
        4 => MemType::U32,
        _ => MemType::I64,
    }
}
