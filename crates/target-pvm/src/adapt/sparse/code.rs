//! The function that copies initial data to its addresses.

use ssa::{
    Addr, BinaryOp, Block, BlockCall, Cond, DataId, DataObject, FuncDecl, FuncId, FuncKind, Function,
    InstData, MemFlags, MemType, Module, Segment, Signature, Type, Value,
};

use super::form::{Form, Loops, Word};
use super::pack::{Fields, HEAD, most};

/// Bytes that are moved at once.
const WORD: u32 = 8;
/// No alignment is promised: PVM allows any.
const FLAGS: MemFlags = MemFlags { volatile: false, align_log2: 0 };

/// Adds a function that copies the data and then calls the start function, if there is one.
pub fn add_start(module: &mut Module, memory: DataId, form: Form) -> FuncId {
    let sig = module.intern_signature(Signature::default());
    let mut func = Function::new("__copy_initial_data", sig);
    let block = func.add_block();
    let mut code = Code { func, block, memory };
    form.stores.iter().for_each(|word| code.store(word));
    match form.loops {
        Loops::Each => {
            for run in form.runs {
                let at = run.offset;
                let size = run.bytes.len() as u32;
                let constant = DataObject::constant(format!("__initial.{at}"), WORD, run.bytes);
                let data = module.data.push(constant);
                code.copy(data, at, size, form.unit);
            }
        }
        Loops::Table => {
            let table = table(&form.runs);
            let size = table.len() as u32;
            let data = module.data.push(DataObject::constant("__initial", WORD, table));
            code.copy_table(data, size, form.unit);
        }
        Loops::Unpack(packed) => {
            let size = packed.table.len() as u32;
            // Whole words are read.
            let table = [packed.table, vec![0; WORD as usize]].concat();
            let data = module.data.push(DataObject::constant("__initial", WORD, table));
            code.unpack(data, size, packed.fields);
        }
    }
    let Code { mut func, block, .. } = code;
    match module.start {
        Some(start) => func.append(block, InstData::TailCall { func: start, args: vec![] }, &[]),
        None => func.append(block, InstData::Return { args: vec![] }, &[]),
    };
    ssa::canonicalize(&mut func);
    ssa::estimate_frequencies(&mut func);
    let id = module.decls.push(FuncDecl { name: func.name.clone(), sig, kind: FuncKind::Local });
    module.functions.push(Some(func));
    id
}

/// The bytes of every run after its address and its length.
fn table(runs: &[Segment]) -> Vec<u8> {
    let mut table = Vec::new();
    for run in runs {
        table.extend_from_slice(&run.offset.to_le_bytes());
        table.extend_from_slice(&(run.bytes.len() as u32).to_le_bytes());
        table.extend_from_slice(&run.bytes);
    }
    table
}

struct Code {
    func: Function,
    /// Where code is appended.
    block: Block,
    memory: DataId,
}

impl Code {
    fn constant(&mut self, bits: i64) -> Value {
        self.func.append_value(self.block, InstData::Const { ty: Type::I32, bits }, Type::I32)
    }

    fn address(&mut self, data: DataId, offset: u32) -> Value {
        let offset = offset as i32;
        self.func.append_value(self.block, InstData::DataAddr { data, offset }, Type::I32)
    }

    fn binary(&mut self, op: BinaryOp, args: [Value; 2]) -> Value {
        let result = InstData::Binary { op, ty: Type::I32, args };
        self.func.append_value(self.block, result, Type::I32)
    }

    fn add(&mut self, args: [Value; 2]) -> Value {
        self.binary(BinaryOp::Add, args)
    }

    fn add_constant(&mut self, value: Value, constant: u32) -> Value {
        let constant = self.constant(i64::from(constant));
        self.add([value, constant])
    }

    fn load(&mut self, mem: MemType, ty: Type, at: (Value, u32)) -> Value {
        let addr = Addr { base: None, index: Some(at.0), offset: at.1 as i32 };
        self.func.append_value(self.block, InstData::Load { mem, ty, addr, flags: FLAGS }, ty)
    }

    /// Ends the block with a jump to a new block, which has as many `i32` parameters as there are arguments.
    fn enter<const N: usize>(&mut self, args: [Value; N]) -> (Block, [Value; N]) {
        let block = self.func.add_block();
        let params = args.map(|_| self.func.add_param(block, Type::I32));
        let to = BlockCall { block, args: args.to_vec() };
        self.func.append(self.block, InstData::Jump { to }, &[]);
        self.block = block;
        (block, params)
    }

    /// Ends the block with a branch to `block` if `a < b`, and goes on in a new block.
    fn repeat_if_less(&mut self, [a, b]: [Value; 2], block: Block, args: Vec<Value>) {
        let compare = InstData::Icmp { cond: Cond::LtU, ty: Type::I32, args: [a, b] };
        let cond = self.func.append_value(self.block, compare, Type::I32);
        let next = self.func.add_block();
        let if_false = BlockCall { block: next, args: vec![] };
        let branch = InstData::Branch { cond, if_true: BlockCall { block, args }, if_false };
        self.func.append(self.block, branch, &[]);
        self.block = next;
    }

    /// Moves `unit` bytes from `from` to `index` bytes after `to`.
    fn move_unit(&mut self, from: Value, to: Addr, unit: u32) {
        let offsets = || (0..unit).step_by(WORD as usize);
        let words: Vec<Value> = offsets().map(|at| self.load(MemType::I64, Type::I64, (from, at))).collect();
        for (at, value) in offsets().zip(words) {
            let addr = Addr { offset: to.offset.wrapping_add(at as i32), ..to };
            let store = InstData::Store { mem: MemType::I64, addr, value, flags: FLAGS };
            self.func.append(self.block, store, &[]);
        }
    }

    /// A store of a constant.
    fn store(&mut self, word: &Word) {
        let (mem, ty) = match word.bytes {
            1 => (MemType::U8, Type::I32),
            8 => (MemType::I64, Type::I64),
            _ => (MemType::U32, Type::I32),
        };
        let bits = i64::from(word.value);
        let value = self.func.append_value(self.block, InstData::Const { ty, bits }, ty);
        let addr = Addr { base: Some(self.memory), index: None, offset: word.offset as i32 };
        self.func.append(self.block, InstData::Store { mem, addr, value, flags: FLAGS }, &[]);
    }

    /// A loop that copies `size` bytes of `data` to `offset` in memory.
    fn copy(&mut self, data: DataId, offset: u32, size: u32, unit: u32) {
        let start = self.address(data, 0);
        let (body, [from]) = self.enter([start]);
        // The difference of two constants: part of every store's displacement.
        let start = self.address(data, 0);
        let distance = InstData::Binary { op: BinaryOp::Sub, ty: Type::I32, args: [from, start] };
        let index = self.func.append_value(self.block, distance, Type::I32);
        let to = Addr { base: Some(self.memory), index: Some(index), offset: offset as i32 };
        self.move_unit(from, to, unit);
        let unit = self.constant(i64::from(unit));
        let next = self.add([from, unit]);
        let end = self.address(data, size);
        self.repeat_if_less([next, end], body, vec![next]);
    }

    /// A loop over the records of a table, and in it one over the bytes of a record.
    fn copy_table(&mut self, table: DataId, size: u32, unit: u32) {
        let start = self.address(table, 0);
        let (records, [record]) = self.enter([start]);
        let offset = self.load(MemType::S32, Type::I32, (record, 0));
        let len = self.load(MemType::S32, Type::I32, (record, 4));
        let memory = self.address(self.memory, 0);
        let to = self.add([offset, memory]);
        let header = self.constant(8);
        let from = self.add([record, header]);
        let end = self.add([from, len]);
        let (body, [from, to]) = self.enter([from, to]);
        self.move_unit(from, Addr { base: None, index: Some(to), offset: 0 }, unit);
        let unit = self.constant(i64::from(unit));
        let next = self.add([from, unit]);
        let next_to = self.add([to, unit]);
        self.repeat_if_less([next, end], body, vec![next, next_to]);
        let end = self.address(table, size);
        self.repeat_if_less([next, end], records, vec![next]);
    }

    /// A loop over the records of a table; in it one over the tokens of a record, with a loop for each of their two parts.
    fn unpack(&mut self, table: DataId, size: u32, fields: Fields) {
        let start = self.address(table, 0);
        let (records, [record]) = self.enter([start]);
        let offset = self.load(MemType::S32, Type::I32, (record, 0));
        let len = self.load(MemType::S32, Type::I32, (record, 4));
        let memory = self.address(self.memory, 0);
        let to = self.add([offset, memory]);
        let end = self.add([to, len]);
        let from = self.add_constant(record, 8);
        let (tokens, [from, to]) = self.enter([from, to]);
        let head = self.load(MemType::S32, Type::I32, (from, 0));
        let from = self.add_constant(from, HEAD);
        let count = self.field(head, 0, fields.literals);
        let literals_end = self.move_words(from, to, count);
        let from = self.add([from, count]);
        let count = self.field(head, fields.literals, fields.copied);
        let distance = self.field(head, fields.literals + fields.copied, fields.distance);
        let source = self.binary(BinaryOp::Sub, [literals_end, distance]);
        let to = self.move_words(source, literals_end, count);
        self.repeat_if_less([to, end], tokens, vec![from, to]);
        let value = self.func.append_value(self.block, InstData::Const { ty: Type::I64, bits: 0 }, Type::I64);
        let addr = Addr { base: None, index: Some(to), offset: 0 };
        self.func.append(self.block, InstData::Store { mem: MemType::I64, addr, value, flags: FLAGS }, &[]);
        let end = self.address(table, size);
        self.repeat_if_less([from, end], records, vec![from]);
    }

    /// `width` bits of a head from bit `low` on.
    fn field(&mut self, head: Value, low: u32, width: u32) -> Value {
        let low = self.constant(i64::from(low));
        let shifted = self.binary(BinaryOp::ShrU, [head, low]);
        let mask = self.constant(most(width) as i64);
        self.binary(BinaryOp::And, [shifted, mask])
    }

    /// A loop that moves words, at least one, until `count` bytes are moved. Returns the end of these bytes.
    fn move_words(&mut self, from: Value, to: Value, count: Value) -> Value {
        let end = self.add([to, count]);
        let (body, [from, to]) = self.enter([from, to]);
        self.move_unit(from, Addr { base: None, index: Some(to), offset: 0 }, WORD);
        let next = self.add_constant(from, WORD);
        let next_to = self.add_constant(to, WORD);
        self.repeat_if_less([next_to, end], body, vec![next, next_to]);
        end
    }
}
