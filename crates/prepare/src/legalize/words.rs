//! Operations on integers and memory that the smallest machines lack: division, long products, counts of bits, and
//! accesses at any address.
//!
//! Most become calls of helpers. Accesses of half-words, and of words at multiples of 2, are put together from smaller
//! ones in place: that takes no more bytes than a call.

use ssa::{Addr, BinaryOp, InstData, MemFlags, MemType, Type, UnaryOp, Value};

use super::Rewriter;

impl Rewriter<'_> {
    /// The result of a division or product that the machine lacks.
    pub(super) fn word_binary(&mut self, op: BinaryOp, ty: Type, args: [Value; 2]) -> Option<Value> {
        let can = self.capabilities;
        match (op, ty) {
            (BinaryOp::DivS | BinaryOp::RemS | BinaryOp::DivU | BinaryOp::RemU, Type::I32)
                if !can.divides_i32 =>
            {
                self.division(op, ty, args)
            }
            (_, Type::I64) if !can.divides_i64 && is_division(op) => self.division(op, ty, args),
            (BinaryOp::Shl | BinaryOp::ShrU | BinaryOp::ShrS, Type::I64) => self.shared_shift(op, args),
            (BinaryOp::MulhU | BinaryOp::MulhS, Type::I32) if !can.multiplies_long => {
                Some(self.high_product(op == BinaryOp::MulhS, args))
            }
            (_, Type::I64) if !can.multiplies_long => {
                let name = match op {
                    BinaryOp::Mul => return Some(self.product(args)),
                    BinaryOp::MulhU => "__wasm_umulh64",
                    BinaryOp::MulhS => "__wasm_smulh64",
                    _ => return None,
                };
                Some(self.call_helper(name, args.to_vec()))
            }
            _ => None,
        }
    }

    /// The low half of a product of two-word numbers; if both are words without sign, the helper for those suffices.
    fn product(&mut self, args: [Value; 2]) -> Value {
        let words = args.map(|arg| self.extended_word(arg));
        match words {
            [Some(a), Some(b)] => self.call_helper("__wasm_umul64", vec![a, b]),
            _ => self.call_helper("__wasm_mul64", args.to_vec()),
        }
    }

    /// The word that a value is the zero-extension of.
    fn extended_word(&self, value: Value) -> Option<Value> {
        match self.func.insts[self.func.def_inst(value)?] {
            InstData::Unary { op: UnaryOp::Zext, arg, .. } => Some(arg),
            _ => None,
        }
    }

    /// The high word of the product of two words. The signed one is the unsigned one minus each factor whose other factor
    /// is negative.
    fn high_product(&mut self, signed: bool, args: [Value; 2]) -> Value {
        let product = self.call_helper("__wasm_umul64", args.to_vec());
        let shifted = self.binary_const(BinaryOp::ShrU, Type::I64, product, 32);
        let mut high = self.unary(UnaryOp::Trunc, Type::I32, shifted);
        if signed {
            for [factor, other] in [args, [args[1], args[0]]] {
                let sign = self.binary_const(BinaryOp::ShrS, Type::I32, other, 31);
                let correction = self.binary(BinaryOp::And, Type::I32, [factor, sign]);
                high = self.binary(BinaryOp::Sub, Type::I32, [high, correction]);
            }
        }
        high
    }

    /// The result of a count or reversal of bits that the machine lacks.
    pub(super) fn word_unary(&mut self, op: UnaryOp, ty: Type, arg: Value) -> Option<Value> {
        if self.capabilities.counts_bits {
            return None;
        }
        let name = match (op, ty) {
            (UnaryOp::Clz, Type::I32) => "__wasm_clz32",
            (UnaryOp::Clz, Type::I64) => "__wasm_clz64",
            (UnaryOp::Ctz, Type::I32) => "__wasm_ctz32",
            (UnaryOp::Ctz, Type::I64) => "__wasm_ctz64",
            (UnaryOp::Popcnt, Type::I32) => "__wasm_popcnt32",
            (UnaryOp::Popcnt, Type::I64) => "__wasm_popcnt64",
            (UnaryOp::Bitrev, Type::I32) => "__wasm_bitrev32",
            (UnaryOp::Bitrev, Type::I64) => return Some(self.reverse_two_words(arg)),
            _ => return None,
        };
        Some(self.call_helper(name, vec![arg]))
    }

    fn reverse_two_words(&mut self, arg: Value) -> Value {
        let upper = self.binary_const(BinaryOp::ShrU, Type::I64, arg, 32);
        let [low, high] = [upper, arg].map(|half| {
            let word = self.unary(UnaryOp::Trunc, Type::I32, half);
            let reversed = self.call_helper("__wasm_bitrev32", vec![word]);
            self.unary(UnaryOp::Zext, Type::I64, reversed)
        });
        let high = self.binary_const(BinaryOp::Shl, Type::I64, high, 32);
        self.binary(BinaryOp::Or, Type::I64, [high, low])
    }

    /// The result of a load at an address that is not known to be aligned, or `None` if the machine can do it.
    pub(super) fn unaligned_load(
        &mut self,
        mem: MemType,
        ty: Type,
        addr: Addr,
        flags: MemFlags,
    ) -> Option<Value> {
        if self.can_access(mem, addr, flags) {
            return None;
        }
        let loaded = match mem.bytes() {
            2 => {
                let half = self.load_parts(MemType::U8, 8, addr, flags);
                let signed = mem == MemType::S16;
                if signed { self.unary(UnaryOp::Sext16, Type::I32, half) } else { half }
            }
            8 => {
                let at = self.address(addr);
                self.call_helper("__wasm_load64", vec![at])
            }
            _ if flags.align_log2 == 1 => self.load_parts(MemType::U16, 16, addr, flags),
            _ => {
                let at = self.address(addr);
                self.call_helper("__wasm_load32", vec![at])
            }
        };
        Some(match (mem, ty) {
            (_, Type::F32 | Type::F64) => self.unary(UnaryOp::Bitcast, ty, loaded),
            (MemType::S16 | MemType::S32, Type::I64) => self.unary(UnaryOp::Sext, ty, loaded),
            (MemType::U16 | MemType::U32, Type::I64) => self.unary(UnaryOp::Zext, ty, loaded),
            _ => loaded,
        })
    }

    /// Two neighbouring loads of `bits` bits as one word.
    fn load_parts(&mut self, part: MemType, bits: i64, addr: Addr, flags: MemFlags) -> Value {
        let next = Addr { offset: addr.offset.wrapping_add(bits as i32 / 8), ..addr };
        let [low, high] = [addr, next]
            .map(|addr| self.plain(InstData::Load { mem: part, ty: Type::I32, addr, flags }, Type::I32));
        let high = self.binary_const(BinaryOp::Shl, Type::I32, high, bits);
        self.binary(BinaryOp::Or, Type::I32, [high, low])
    }

    /// Replaces a store at an address that is not known to be aligned; returns whether it did.
    pub(super) fn unaligned_store(
        &mut self,
        mem: MemType,
        addr: Addr,
        value: Value,
        flags: MemFlags,
    ) -> bool {
        if self.can_access(mem, addr, flags) {
            return false;
        }
        let ty = self.func.values[value].ty;
        let value = if ty.is_float() { self.unary(UnaryOp::Bitcast, ty.to_int(), value) } else { value };
        let is_wide = self.func.values[value].ty == Type::I64;
        let value = match mem.bytes() {
            8 => value,
            _ if is_wide => self.unary(UnaryOp::Trunc, Type::I32, value),
            _ => value,
        };
        match mem.bytes() {
            2 => self.store_parts(MemType::U8, 8, addr, value, flags),
            8 => {
                let at = self.address(addr);
                self.call_helper_for_effect("__wasm_store64", vec![at, value]);
            }
            _ if flags.align_log2 == 1 => self.store_parts(MemType::U16, 16, addr, value, flags),
            _ => {
                let at = self.address(addr);
                self.call_helper_for_effect("__wasm_store32", vec![at, value]);
            }
        }
        true
    }

    fn store_parts(&mut self, part: MemType, bits: i64, addr: Addr, value: Value, flags: MemFlags) {
        let next = Addr { offset: addr.offset.wrapping_add(bits as i32 / 8), ..addr };
        let high = self.binary_const(BinaryOp::ShrU, Type::I32, value, bits);
        for (addr, value) in [(addr, value), (next, high)] {
            self.effect(InstData::Store { mem: part, addr, value, flags });
        }
    }

    /// Whether the machine can access memory at an address.
    fn can_access(&self, mem: MemType, addr: Addr, flags: MemFlags) -> bool {
        // Two words are accessed one by one.
        let bytes = mem.bytes().min(4);
        let is_constant = addr.base.is_none() && addr.index.is_none();
        self.capabilities.unaligned
            || 1 << flags.align_log2 >= bytes
            || is_constant && addr.offset.cast_unsigned().is_multiple_of(bytes)
    }

    /// The machine address as a value.
    fn address(&mut self, Addr { base, index, offset }: Addr) -> Value {
        let symbol = base.map(|data| {
            let inst = InstData::DataAddr { data, offset: if index.is_none() { offset } else { 0 } };
            self.plain(inst, Type::I32)
        });
        match (symbol, index) {
            (Some(symbol), None) => symbol,
            (None, None) => self.constant(Type::I32, offset.into()),
            (symbol, Some(index)) => {
                let index = match offset {
                    0 => index,
                    _ => self.binary_const(BinaryOp::Add, Type::I32, index, offset.into()),
                };
                symbol.map_or(index, |symbol| self.binary(BinaryOp::Add, Type::I32, [symbol, index]))
            }
        }
    }
}

const fn is_division(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::DivS | BinaryOp::RemS | BinaryOp::DivU | BinaryOp::RemU)
}
