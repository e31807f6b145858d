//! Generation of random computations, loads and stores.
//!
//! Operations that are unspecified for some operands get operands in range: divisors are odd and, for signed division,
//! positive; shift counts are masked; floats converted to integers come from small integers. Addresses are masked so
//! that every access is inside its object.

use super::body::Body;
use super::{CONSTANT_BYTES, SCRATCH_BYTES};
use crate::{
    Addr, BinaryOp, Cond, DataId, EntityId, FCond, FrameSlot, InstData, MemFlags, MemType, Type, UnaryOp,
    Value,
};

impl Body<'_> {
    /// Adds a computed value to the scope.
    pub(super) fn expression(&mut self) {
        let ty = self.rng.pick(&self.params.types);
        let value = match self.rng.below(12) {
            0 => self.random_constant(ty),
            1 | 2 => self.random_unary(ty),
            3 => self.random_comparison(),
            4 => self.random_select(ty),
            5 | 6 if self.data.is_some() => self.load(ty),
            _ => self.random_binary(ty),
        };
        self.scope.push(value);
    }

    pub(super) fn constant(&mut self, ty: Type, bits: i64) -> Value {
        self.value(InstData::Const { ty, bits }, ty)
    }

    pub(super) fn const_i32(&mut self, value: i32) -> Value {
        self.constant(Type::I32, value.into())
    }

    pub(super) fn unary(&mut self, op: UnaryOp, ty: Type, arg: Value) -> Value {
        self.value(InstData::Unary { op, ty, arg }, ty)
    }

    pub(super) fn binary(&mut self, op: BinaryOp, ty: Type, args: [Value; 2]) -> Value {
        self.value(InstData::Binary { op, ty, args }, ty)
    }

    fn random_constant(&mut self, ty: Type) -> Value {
        let bits = match ty {
            Type::I32 => i64::from(self.rng.interesting() as i32),
            Type::I64 => self.rng.interesting(),
            Type::F32 => i64::from((self.rng.interesting_float() as f32).to_bits()),
            Type::F64 => self.rng.interesting_float().to_bits() as i64,
        };
        self.constant(ty, bits)
    }

    /// A value of type `ty` from the scope, recent ones more often, or a new constant.
    pub(super) fn pick(&mut self, ty: Type) -> Value {
        for _ in 0..8 {
            let len = self.scope.len();
            if len == 0 || self.rng.one_in(8) {
                break;
            }
            let recent = if self.rng.one_in(2) { len.min(6) } else { len };
            let value = self.scope[len - 1 - self.rng.below(recent)];
            if self.func.values[value].ty == ty {
                return value;
            }
        }
        self.random_constant(ty)
    }

    pub(super) fn int_type(&mut self) -> Type {
        let ints: Vec<Type> = self.params.types.iter().copied().filter(|ty| ty.is_int()).collect();
        self.rng.pick(&ints)
    }

    /// A value that is 0 or 1, not necessarily a comparison.
    pub(super) fn condition(&mut self) -> Value {
        match self.rng.below(12) {
            0 => {
                let args = [self.random_comparison(), self.random_comparison()];
                let op = self.rng.pick(&[BinaryOp::And, BinaryOp::Or, BinaryOp::Xor]);
                self.binary(op, Type::I32, args)
            }
            1 => {
                let bit = self.rng.below(2) as i32;
                self.const_i32(bit)
            }
            2 => {
                let (value, one) = (self.pick(Type::I32), self.const_i32(1));
                self.binary(BinaryOp::And, Type::I32, [value, one])
            }
            _ => self.random_comparison(),
        }
    }

    fn random_comparison(&mut self) -> Value {
        let ty = self.rng.pick(&self.params.types);
        let args = [self.pick(ty), self.pick(ty)];
        let data = if ty.is_int() {
            InstData::Icmp { cond: self.rng.pick(Cond::ALL), ty, args }
        } else {
            InstData::Fcmp { cond: self.rng.pick(FCond::ALL), ty, args }
        };
        self.value(data, Type::I32)
    }

    fn random_select(&mut self, ty: Type) -> Value {
        let cond = self.condition();
        let (if_true, if_false) = (self.pick(ty), self.pick(ty));
        self.value(InstData::Select { ty, cond, if_true, if_false }, ty)
    }

    fn random_unary(&mut self, ty: Type) -> Value {
        let operand = self.rng.pick(&self.params.types);
        let ops: Vec<UnaryOp> = UnaryOp::ALL.iter().copied().filter(|op| op.accepts(ty, operand)).collect();
        if ops.is_empty() {
            return self.random_binary(ty);
        }
        let op = self.rng.pick(&ops);
        let arg = match op {
            UnaryOp::FtoS | UnaryOp::FtoU => self.small_float(operand),
            _ => self.pick(operand),
        };
        self.unary(op, ty, arg)
    }

    /// A float between 0 and 65535.
    fn small_float(&mut self, ty: Type) -> Value {
        let (value, mask) = (self.pick(Type::I32), self.const_i32(0xffff));
        let small = self.binary(BinaryOp::And, Type::I32, [value, mask]);
        self.unary(UnaryOp::StoF, ty, small)
    }

    fn random_binary(&mut self, ty: Type) -> Value {
        let ops: Vec<BinaryOp> =
            BinaryOp::ALL.iter().copied().filter(|op| op.is_float() == ty.is_float()).collect();
        let op = self.rng.pick(&ops);
        let [left, mut right] = [self.pick(ty), self.pick(ty)];
        let max = if ty == Type::I32 { i64::from(i32::MAX) } else { i64::MAX };
        if matches!(op, BinaryOp::DivS | BinaryOp::RemS) {
            right = self.with_constant(BinaryOp::And, ty, right, max);
        }
        match op {
            BinaryOp::DivS | BinaryOp::DivU | BinaryOp::RemS | BinaryOp::RemU => {
                right = self.with_constant(BinaryOp::Or, ty, right, 1);
            }
            BinaryOp::Shl | BinaryOp::ShrS | BinaryOp::ShrU if self.rng.one_in(2) => {
                let count = self.rng.below(ty.bits() as usize);
                right = self.constant(ty, count as i64);
            }
            BinaryOp::Shl | BinaryOp::ShrS | BinaryOp::ShrU => {
                right = self.with_constant(BinaryOp::And, ty, right, i64::from(ty.bits()) - 1);
            }
            _ => {}
        }
        self.binary(op, ty, [left, right])
    }

    fn with_constant(&mut self, op: BinaryOp, ty: Type, value: Value, constant: i64) -> Value {
        let constant = self.constant(ty, constant);
        self.binary(op, ty, [value, constant])
    }

    fn load(&mut self, ty: Type) -> Value {
        let widths: Vec<MemType> = MemType::ALL.iter().copied().filter(|mem| mem.fits(ty)).collect();
        let mem = self.rng.pick(&widths);
        let (addr, flags) = self.address(mem, false);
        self.value(InstData::Load { mem, ty, addr, flags }, ty)
    }

    pub(super) fn store(&mut self) {
        let ty = self.rng.pick(&self.params.types);
        let fits = |mem: &MemType| mem.fits(ty) && mem.is_store();
        let widths: Vec<MemType> = MemType::ALL.iter().copied().filter(fits).collect();
        let mem = self.rng.pick(&widths);
        let value = self.pick(ty);
        let (addr, flags) = self.address(mem, true);
        self.append_store(InstData::Store { mem, addr, value, flags });
    }

    /// An address at which some object has room for an access of `mem`'s width.
    fn address(&mut self, mem: MemType, store: bool) -> (Addr, MemFlags) {
        let data = self.data.expect("only called with data objects");
        let volatile = self.rng.one_in(6);
        let bytes = mem.bytes();
        match self.rng.below(8) {
            0 => {
                let wide_enough = |&&(_, ty): &&(DataId, Type)| ty.bits() / 8 >= bytes;
                if let Some(&(variable, ty)) = data.variables.iter().find(wide_enough) {
                    let addr = Addr { base: Some(variable), index: None, offset: 0 };
                    return (addr, MemFlags { volatile, align_log2: (ty.bits() / 8).trailing_zeros() as u8 });
                }
                self.masked_address(data.memory, SCRATCH_BYTES, volatile)
            }
            1 if !store => self.masked_address(data.constant, CONSTANT_BYTES, volatile),
            2 | 3 if !self.func.frame_slots.is_empty() => {
                let slot = FrameSlot::new(self.rng.below(self.func.frame_slots.len()));
                let room = self.func.frame_slots[slot].size - bytes;
                let offset = self.rng.below(room as usize + 1) as i32;
                (self.slot_address(slot, offset), MemFlags { volatile, align_log2: 0 })
            }
            4 => {
                let room = SCRATCH_BYTES - bytes;
                let offset = self.rng.below(room as usize + 1) as i32;
                let addr = Addr { base: Some(data.memory), index: None, offset };
                (addr, MemFlags { volatile, align_log2: (offset.trailing_zeros() as u8).min(3) })
            }
            _ => self.masked_address(data.memory, SCRATCH_BYTES, volatile),
        }
    }

    /// A variable address in the first `size` bytes (a power of two) of an object.
    fn masked_address(&mut self, object: DataId, size: u32, volatile: bool) -> (Addr, MemFlags) {
        let align_log2 = self.rng.below(4) as u8;
        let unit = 1i32 << align_log2;
        let mask = (size as i32 / 2 - 1) & -unit;
        let value = self.pick(Type::I32);
        let mut index = self.with_constant(BinaryOp::And, Type::I32, value, mask.into());
        let room = size as i32 / 2 - 8;
        let offset = if self.rng.one_in(2) { self.rng.below(room as usize) as i32 & -unit } else { 0 };
        let flags = MemFlags { volatile, align_log2 };
        if self.rng.one_in(5) {
            // The same address as one number.
            let base = self.value(InstData::DataAddr { data: object, offset }, Type::I32);
            index = self.binary(BinaryOp::Add, Type::I32, [base, index]);
            return (Addr { base: None, index: Some(index), offset: 0 }, flags);
        }
        (Addr { base: Some(object), index: Some(index), offset }, flags)
    }

    pub(super) fn slot_address(&mut self, slot: FrameSlot, offset: i32) -> Addr {
        let memory = self.data.expect("frame slots are in linear memory").memory;
        let index = self.value(InstData::FrameAddr { slot }, Type::I32);
        Addr { base: Some(memory), index: Some(index), offset }
    }
}
