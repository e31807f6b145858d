//! Conversion between the convention of hosts and that of wasm functions, as straight-line code.

use pvm_isa::metadata::{HostResult, ResultConvention};
use ssa::{
    Addr, BinaryOp, Block, BlockCall, Cond, DataId, Function, InstData, MemFlags, MemType, Signature,
    TrapCode, Type, UnaryOp, Value,
};

use super::arguments::Limit;

/// The frequency of a block that traps, in relation to the block before it.
const RARE: f32 = 1e-4;

/// Appends straight-line code to a block.
pub struct Builder<'a> {
    pub func: &'a mut Function,
    pub block: Block,
    pub memory: Option<DataId>,
    /// Globals in which functions without results leave address and length.
    pub globals: Option<[DataId; 2]>,
    /// The limits to set.
    pub limits: &'a [Limit],
}

impl Builder<'_> {
    fn unary(&mut self, op: UnaryOp, arg: Value, ty: Type) -> Value {
        self.func.append_value(self.block, InstData::Unary { op, ty, arg }, ty)
    }

    fn binary(&mut self, op: BinaryOp, ty: Type, args: [Value; 2]) -> Value {
        self.func.append_value(self.block, InstData::Binary { op, ty, args }, ty)
    }

    fn constant(&mut self, ty: Type, bits: i64) -> Value {
        self.func.append_value(self.block, InstData::Const { ty, bits }, ty)
    }

    fn zero(&mut self) -> Value {
        self.constant(Type::I64, 0)
    }

    fn truncate(&mut self, word: Value) -> Value {
        self.unary(UnaryOp::Trunc, word, Type::I32)
    }

    fn linear_memory(&mut self, data: DataId, offset: i32) -> Value {
        self.func.append_value(self.block, InstData::DataAddr { data, offset }, Type::I32)
    }

    /// The wasm address of a PVM address in a 64-bit register.
    fn wasm_address(&mut self, word: Value) -> Value {
        let addr = self.truncate(word);
        let Some(data) = self.memory else { return addr };
        let base = self.linear_memory(data, 0);
        self.binary(BinaryOp::Sub, Type::I32, [addr, base])
    }

    /// The PVM address of a wasm address, as `i32`.
    fn pvm_address(&mut self, addr: Value) -> Value {
        let Some(data) = self.memory else { return addr };
        if let Some(known) = self.func.as_const(addr) {
            return self.linear_memory(data, known as i32);
        }
        let base = self.linear_memory(data, 0);
        self.binary(BinaryOp::Add, Type::I32, [addr, base])
    }

    /// The low half of a word as `i32`, and the high half as a word. A word that was put together from halves is
    /// taken apart instead of computed with.
    fn halves(&mut self, word: Value) -> (Value, Value) {
        if let Some(bits) = self.func.as_const(word) {
            return (
                self.constant(Type::I32, i64::from(bits as i32)),
                self.constant(Type::I64, (bits as u64 >> 32) as i64),
            );
        }
        if let Some(InstData::Binary { op: BinaryOp::Or | BinaryOp::Add, args, .. }) = self.def(word) {
            for [low, high] in [args, [args[1], args[0]]] {
                if let (Some(low), Some(high)) = (self.as_low_half(low), self.as_high_half(high)) {
                    return (low, high);
                }
            }
        }
        let bits = self.constant(Type::I64, 32);
        (self.truncate(word), self.binary(BinaryOp::ShrU, Type::I64, [word, bits]))
    }

    fn def(&self, value: Value) -> Option<InstData> {
        self.func.def_inst(value).map(|inst| self.func.insts[inst].clone())
    }

    /// The `i32` whose zero extension `word` is.
    fn as_low_half(&mut self, word: Value) -> Option<Value> {
        match self.def(word)? {
            InstData::Unary { op: UnaryOp::Zext, arg, .. } => Some(arg),
            InstData::Const { bits, .. } if u32::try_from(bits).is_ok() => {
                Some(self.constant(Type::I32, i64::from(bits as i32)))
            }
            _ => None,
        }
    }

    /// The zero-extended `i32` that `word` is a left shift of by 32.
    fn as_high_half(&mut self, word: Value) -> Option<Value> {
        match self.def(word)? {
            InstData::Binary { op: BinaryOp::Shl, args: [half, count], .. } => {
                let extended = matches!(self.def(half)?, InstData::Unary { op: UnaryOp::Zext, .. });
                (extended && self.func.as_const(count) == Some(32)).then_some(half)
            }
            InstData::Const { bits, .. } if bits as u32 == 0 => {
                Some(self.constant(Type::I64, (bits as u64 >> 32) as i64))
            }
            _ => None,
        }
    }

    fn load_word(&mut self, data: DataId) -> Value {
        let addr = Addr { base: Some(data), index: None, offset: 0 };
        let flags = MemFlags { volatile: false, align_log2: 2 };
        let load = InstData::Load { mem: MemType::S32, ty: Type::I32, addr, flags };
        self.func.append_value(self.block, load, Type::I32)
    }

    /// The arguments of a function of this signature, for r7 and r8 as a host sets them. Traps if the length is less
    /// than `least`.
    pub fn arguments(&mut self, [pointer, length]: [Value; 2], sig: &Signature, least: u32) -> Vec<Value> {
        let mut args = Vec::with_capacity(2);
        if least > 0 {
            self.trap_below(length, least);
        }
        if let Some(&ty) = sig.params.first() {
            self.set_limits(length);
            let address = self.wasm_address(pointer);
            args.push(if ty == Type::I64 { self.word(address) } else { address });
        }
        if let Some(&ty) = sig.params.get(1) {
            args.push(if ty == Type::I64 { length } else { self.truncate(length) });
        }
        args
    }

    /// A value as a word, zero-extended if it is an `i32`.
    fn word(&mut self, value: Value) -> Value {
        match self.func.values[value].ty {
            Type::I64 => value,
            _ => self.unary(UnaryOp::Zext, value, Type::I64),
        }
    }

    /// The lower half of a value as an `i32`.
    fn half(&mut self, value: Value) -> Value {
        match self.func.values[value].ty {
            Type::I64 => self.truncate(value),
            _ => value,
        }
    }

    /// Goes on in a new block unless a word is less than a number.
    fn trap_below(&mut self, word: Value, least: u32) {
        let number = self.constant(Type::I64, i64::from(least));
        let is_less = InstData::Icmp { cond: Cond::LtU, ty: Type::I64, args: [word, number] };
        let cond = self.func.append_value(self.block, is_less, Type::I32);
        let freq = self.func.blocks[self.block].freq;
        let [trap, rest] = [freq * RARE, freq].map(|freq| {
            let block = self.func.add_block();
            self.func.blocks[block].freq = freq;
            block
        });
        let to = |block| BlockCall { block, args: Vec::new() };
        let branch = InstData::Branch { cond, if_true: to(trap), if_false: to(rest) };
        self.func.append(self.block, branch, &[]);
        self.func.append(trap, InstData::Trap { code: TrapCode::MemoryOutOfBounds }, &[]);
        self.block = rest;
    }

    /// Says how many places the arguments have for accesses of each width.
    fn set_limits(&mut self, length: Value) {
        for limit in self.limits.iter().filter(|limit| !limit.readers.is_empty()) {
            let mut places = length;
            if limit.width > 1 {
                let lost = self.constant(Type::I64, i64::from(limit.width) - 1);
                places = self.binary(BinaryOp::Sub, Type::I64, [length, lost]);
                let none = self.zero();
                places = self.binary(BinaryOp::MaxS, Type::I64, [places, none]);
            }
            let value = self.truncate(places);
            let flags = MemFlags { volatile: false, align_log2: 2 };
            let store = InstData::Store { mem: MemType::U32, addr: limit.addr, value, flags };
            self.func.append(self.block, store, &[]);
        }
    }

    /// r7 and r8 for the results of a function.
    pub fn results(
        &mut self,
        results: HostResult,
        values: &[Value],
        convention: ResultConvention,
    ) -> Vec<Value> {
        let (pointer, length) = match results {
            HostResult::None => match self.globals {
                None => return vec![self.zero(), self.zero()],
                Some(globals) => {
                    let [pointer, length] = globals.map(|global| self.load_word(global));
                    (pointer, self.unary(UnaryOp::Zext, length, Type::I64))
                }
            },
            HostResult::Packed => self.halves(values[0]),
            HostResult::Pair => (self.half(values[0]), self.word(values[1])),
        };
        let address = self.pvm_address(pointer);
        let address = self.unary(UnaryOp::Zext, address, Type::I64);
        let second = match convention {
            ResultConvention::Length => length,
            ResultConvention::End => self.binary(BinaryOp::Add, Type::I64, [address, length]),
        };
        vec![address, second]
    }
}
