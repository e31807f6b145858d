//! The parser of function bodies.
//!
//! A use may precede its definition in the text. So instructions are first built with the written numbers in place of
//! ids, and [`Raw::finish`] replaces them when all definitions are known.

use super::cursor::Cursor;
use super::lexer::Token;
use super::{Names, ParseError};
use crate::{
    Addr, BinaryOp, Block, BlockCall, BlockData, Cond, EntityId, FCond, FrameSlot, FrameSlotData, FuncId,
    Function, IdVec, Inst, InstData, MemFlags, MemType, Module, SigId, TrapCode, Type, UnaryOp, Value,
    ValueData, ValueDef,
};

/// Reads `optsize? { slots blocks }` into `func`.
pub(super) fn parse_body(
    module: &Module,
    names: &Names,
    mut func: Function,
    cursor: &mut Cursor<'_, '_>,
) -> Result<Function, ParseError> {
    func.optimize_for_size = cursor.eat_word("optsize");
    let mut parser = BodyParser { module, names, cursor: *cursor, raw: Raw::default() };
    parser.body()?;
    *cursor = parser.cursor;
    parser.raw.finish(func)
}

/// A parsed body with numbers as written.
#[derive(Default)]
struct Raw {
    slots: Vec<(u32, FrameSlotData)>,
    blocks: Vec<RawBlock>,
    insts: Vec<RawInst>,
    /// Number, line and contents of every value.
    values: Vec<(u32, u32, ValueData)>,
}

struct RawBlock {
    number: u32,
    params: Vec<u32>,
    insts: Vec<Inst>,
    freq: f32,
}

struct RawInst {
    line: u32,
    data: InstData,
    results: Vec<u32>,
}

struct BodyParser<'p, 't, 'a> {
    module: &'p Module,
    names: &'p Names,
    cursor: Cursor<'t, 'a>,
    raw: Raw,
}

type Parsed<T> = Result<T, ParseError>;

impl BodyParser<'_, '_, '_> {
    fn body(&mut self) -> Parsed<()> {
        self.cursor.expect('{')?;
        loop {
            self.cursor.skip_newlines();
            if self.cursor.eat('}') {
                return Ok(());
            }
            if self.cursor.eat_word("slot") {
                self.slot()?;
            } else if self.cursor.peek_id('b').is_some() {
                self.block_head()?;
            } else {
                self.inst()?;
            }
            self.cursor.end_of_line()?;
        }
    }

    fn slot(&mut self) -> Parsed<()> {
        let start = self.cursor;
        let number = self.cursor.id('s', "a frame slot")?;
        let (size, align) = (self.cursor.attribute("size")?, self.cursor.attribute("align")?);
        if self.raw.slots.last().is_some_and(|&(last, _)| last >= number) {
            return Err(start.error("frame slots must be in ascending order"));
        }
        self.raw.slots.push((number, FrameSlotData { size, align }));
        Ok(())
    }

    fn block_head(&mut self) -> Parsed<()> {
        let start = self.cursor;
        let number = self.cursor.id('b', "a block")?;
        if self.raw.blocks.last().is_some_and(|last| last.number >= number) {
            return Err(start.error("blocks must be in ascending order"));
        }
        let block = Block::new(self.raw.blocks.len());
        let mut params = Vec::new();
        if *self.cursor.peek() == Token::Punct('(') {
            let list = self.cursor.list('(', ')', |cursor| {
                let number = cursor.id('v', "a value")?;
                cursor.expect(':')?;
                Ok((number, cursor.ty()?))
            })?;
            for ((number, ty), n) in list.into_iter().zip(0..) {
                self.raw.values.push((
                    number,
                    start.line(),
                    ValueData { ty, def: ValueDef::Param(block, n) },
                ));
                params.push(number);
            }
        }
        let freq = if self.cursor.peek_word() == Some("freq") { self.cursor.attribute("freq")? } else { 1.0 };
        self.cursor.expect(':')?;
        self.raw.blocks.push(RawBlock { number, params, insts: Vec::new(), freq });
        Ok(())
    }

    fn inst(&mut self) -> Parsed<()> {
        let start = self.cursor;
        let inst = Inst::new(self.raw.insts.len());
        let mut results = Vec::new();
        while let Some(number) = self.cursor.peek_id('v') {
            self.cursor.take();
            results.push(number);
            if !self.cursor.eat(',') {
                break;
            }
        }
        if !results.is_empty() {
            self.cursor.expect('=')?;
        }
        let data = self.inst_data()?;
        let types = self.module.result_types(&data);
        if types.len() != results.len() {
            return Err(start.error(format!("this has {} results, not {}", types.len(), results.len())));
        }
        for ((&number, ty), n) in results.iter().zip(types).zip(0..) {
            self.raw.values.push((number, start.line(), ValueData { ty, def: ValueDef::Result(inst, n) }));
        }
        let block =
            self.raw.blocks.last_mut().ok_or_else(|| start.error("instruction outside of a block"))?;
        block.insts.push(inst);
        self.raw.insts.push(RawInst { line: start.line(), data, results });
        Ok(())
    }

    fn inst_data(&mut self) -> Parsed<InstData> {
        let start = self.cursor;
        let word = self.cursor.word("an instruction")?;
        let unknown = || start.error(format!("unknown instruction `{word}`"));
        let (opcode, suffix) = word.split_once('.').unwrap_or((word, ""));
        if let Some(data) = self.plain(opcode, suffix).transpose()? {
            return Ok(data);
        }
        match opcode {
            "icmp" | "fcmp" => {
                let (cond, ty) = suffix.split_once('.').ok_or_else(unknown)?;
                let ty = Type::from_name(ty).ok_or_else(unknown)?;
                if opcode == "icmp" {
                    let cond = Cond::from_name(cond).ok_or_else(unknown)?;
                    return Ok(InstData::Icmp { cond, ty, args: self.pair()? });
                }
                let cond = FCond::from_name(cond).ok_or_else(unknown)?;
                Ok(InstData::Fcmp { cond, ty, args: self.pair()? })
            }
            "load" => {
                let (mem, ty) = suffix.split_once('.').ok_or_else(unknown)?;
                let mem = MemType::from_name(mem).ok_or_else(unknown)?;
                let ty = Type::from_name(ty).ok_or_else(unknown)?;
                let (addr, flags) = self.address()?;
                Ok(InstData::Load { mem, ty, addr, flags })
            }
            "store" => {
                let mem = MemType::from_name(suffix).ok_or_else(unknown)?;
                let value = self.value()?;
                self.cursor.expect(',')?;
                let (addr, flags) = self.address()?;
                Ok(InstData::Store { mem, addr, value, flags })
            }
            _ => self
                .typed(opcode, Type::from_name(suffix).ok_or_else(unknown)?)
                .unwrap_or_else(|| Err(unknown())),
        }
    }

    /// Instructions without a suffix; `None` if this isn't one.
    fn plain(&mut self, opcode: &str, suffix: &str) -> Option<Parsed<InstData>> {
        let parse = match (opcode, suffix) {
            ("data_addr", "") => Self::data_addr,
            ("frame_addr", "") => Self::frame_addr,
            ("func_ref", "") => |p: &mut Self| Ok(InstData::FuncRef { func: p.func()? }),
            ("call", "") => |p: &mut Self| Ok(InstData::Call { func: p.func()?, args: p.args()? }),
            ("call_indirect", "") => |p: &mut Self| {
                Ok(InstData::CallIndirect { sig: p.sig()?, callee: p.value()?, args: p.args()? })
            },
            ("tail_call", "") => |p: &mut Self| Ok(InstData::TailCall { func: p.func()?, args: p.args()? }),
            ("tail_call_indirect", "") => |p: &mut Self| {
                Ok(InstData::TailCallIndirect { sig: p.sig()?, callee: p.value()?, args: p.args()? })
            },
            ("jump", "") => |p: &mut Self| Ok(InstData::Jump { to: p.block_call()? }),
            ("branch", "") => Self::branch,
            ("return", "") => Self::ret,
            ("trap", "") => Self::trap,
            _ => return None,
        };
        Some(parse(self))
    }

    /// Instructions with a type suffix; `None` if this isn't one.
    fn typed(&mut self, opcode: &str, ty: Type) -> Option<Parsed<InstData>> {
        if let Some(op) = UnaryOp::from_name(opcode) {
            return Some(self.value().map(|arg| InstData::Unary { op, ty, arg }));
        }
        if let Some(op) = BinaryOp::from_name(opcode) {
            return Some(self.pair().map(|args| InstData::Binary { op, ty, args }));
        }
        match opcode {
            "const" => Some(self.constant(ty).map(|bits| InstData::Const { ty, bits })),
            "select" => Some(self.select(ty)),
            "switch" => Some(self.switch(ty)),
            _ => None,
        }
    }

    fn data_addr(&mut self) -> Parsed<InstData> {
        let data = self.names.data(&mut self.cursor)?;
        Ok(InstData::DataAddr { data, offset: self.offset()? })
    }

    fn frame_addr(&mut self) -> Parsed<InstData> {
        let start = self.cursor;
        let number = self.cursor.id('s', "a frame slot")?;
        let position = self.raw.slots.binary_search_by_key(&number, |&(n, _)| n);
        let slot = position.map_err(|_| start.error(format!("unknown frame slot s{number}")))?;
        Ok(InstData::FrameAddr { slot: FrameSlot::new(slot) })
    }

    fn branch(&mut self) -> Parsed<InstData> {
        let cond = self.value()?;
        self.cursor.expect(',')?;
        let if_true = self.block_call()?;
        self.cursor.expect(',')?;
        Ok(InstData::Branch { cond, if_true, if_false: self.block_call()? })
    }

    fn ret(&mut self) -> Parsed<InstData> {
        let mut args = Vec::new();
        if self.cursor.peek_id('v').is_some() {
            args.push(self.value()?);
            while self.cursor.eat(',') {
                args.push(self.value()?);
            }
        }
        Ok(InstData::Return { args })
    }

    fn trap(&mut self) -> Parsed<InstData> {
        let start = self.cursor;
        let code = TrapCode::from_name(self.cursor.word("a trap code")?);
        Ok(InstData::Trap { code: code.ok_or_else(|| start.expected("a trap code"))? })
    }

    fn select(&mut self, ty: Type) -> Parsed<InstData> {
        let cond = self.value()?;
        self.cursor.expect(',')?;
        let [if_true, if_false] = self.pair()?;
        Ok(InstData::Select { ty, cond, if_true, if_false })
    }

    fn switch(&mut self, ty: Type) -> Parsed<InstData> {
        let value = self.value()?;
        self.cursor.expect(',')?;
        let mut cursor = self.cursor;
        let cases = cursor.list('[', ']', |cursor| {
            let case = cursor.int()?;
            cursor.expect(':')?;
            Ok((case, block_call(cursor)?))
        })?;
        self.cursor = cursor;
        self.cursor.expect(',')?;
        Ok(InstData::Switch { ty, value, cases, default: self.block_call()? })
    }

    fn constant(&mut self, ty: Type) -> Parsed<i64> {
        let start = self.cursor;
        let range = || start.error("constant out of range");
        match ty {
            Type::I32 => self.cursor.int().and_then(|bits| match i32::try_from(bits) {
                Ok(bits) => Ok(i64::from(bits)),
                Err(_) => Err(range()),
            }),
            Type::I64 => self.cursor.int(),
            Type::F32 | Type::F64 => {
                let word = self.cursor.word("the bits of a float")?;
                let digits = word.strip_prefix("0x").ok_or_else(|| start.expected("the bits of a float"))?;
                let bits = u64::from_str_radix(digits, 16).map_err(|_| range())?;
                if ty == Type::F32 && bits > u64::from(u32::MAX) { Err(range()) } else { Ok(bits as i64) }
            }
        }
    }

    /// `[base + index + offset]` and flags.
    fn address(&mut self) -> Parsed<(Addr, MemFlags)> {
        self.cursor.expect('[')?;
        let mut addr = Addr { base: None, index: None, offset: 0 };
        let mut more = true;
        if matches!(self.cursor.peek(), Token::Data(_)) {
            addr.base = Some(self.names.data(&mut self.cursor)?);
            more = self.index_follows();
        }
        if more && self.cursor.peek_id('v').is_some() {
            addr.index = Some(self.value()?);
            more = false;
        }
        let bare = addr.base.is_none() && addr.index.is_none();
        addr.offset = match (bare, more) {
            (true, _) => self.cursor.signed_offset()?,
            (false, true) => return Err(self.cursor.expected("a value")),
            (false, false) => self.offset()?,
        };
        self.cursor.expect(']')?;
        let mut flags = MemFlags { volatile: self.cursor.eat_word("volatile"), align_log2: 0 };
        if self.cursor.peek_word() == Some("align") {
            let start = self.cursor;
            let align: u64 = self.cursor.attribute("align")?;
            if !align.is_power_of_two() {
                return Err(start.error("the alignment must be a power of two"));
            }
            flags.align_log2 = align.trailing_zeros() as u8;
        }
        Ok((addr, flags))
    }

    /// Takes a `+` that a value follows.
    fn index_follows(&mut self) -> bool {
        let mut ahead = self.cursor;
        let follows = ahead.eat('+') && ahead.peek_id('v').is_some();
        if follows {
            self.cursor = ahead;
        }
        follows
    }

    /// `+ n`, `- n` or nothing.
    fn offset(&mut self) -> Parsed<i32> {
        self.cursor.offset()
    }

    fn value(&mut self) -> Parsed<Value> {
        value(&mut self.cursor)
    }

    fn pair(&mut self) -> Parsed<[Value; 2]> {
        let first = self.value()?;
        self.cursor.expect(',')?;
        Ok([first, self.value()?])
    }

    fn args(&mut self) -> Parsed<Vec<Value>> {
        self.cursor.list('(', ')', value)
    }

    fn block_call(&mut self) -> Parsed<BlockCall> {
        block_call(&mut self.cursor)
    }

    fn func(&mut self) -> Parsed<FuncId> {
        self.names.func(&mut self.cursor)
    }

    fn sig(&mut self) -> Parsed<SigId> {
        self.cursor.signature_of(self.module)
    }
}

fn value(cursor: &mut Cursor<'_, '_>) -> Parsed<Value> {
    Ok(Value::new(cursor.id('v', "a value")? as usize))
}

fn block_call(cursor: &mut Cursor<'_, '_>) -> Parsed<BlockCall> {
    let block = Block::new(cursor.id('b', "a block")? as usize);
    let args = match cursor.peek() {
        Token::Punct('(') => cursor.list('(', ')', value)?,
        _ => Vec::new(),
    };
    Ok(BlockCall { block, args })
}

impl Raw {
    /// Replaces numbers by ids and fills `func`.
    fn finish(mut self, mut func: Function) -> Parsed<Function> {
        self.values.sort_by_key(|&(number, line, _)| (number, line));
        if let Some(pair) = self.values.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (number, line, _) = pair[1];
            return Err(ParseError { line, message: format!("v{number} is defined twice") });
        }
        let numbers: Vec<u32> = self.values.iter().map(|&(number, ..)| number).collect();
        let blocks: Vec<u32> = self.blocks.iter().map(|block| block.number).collect();
        let defined = |n: u32| Value::new(numbers.binary_search(&n).expect("every definition is listed"));
        for RawInst { line, mut data, results } in self.insts {
            rename(&mut data, &numbers, &blocks).map_err(|message| ParseError { line, message })?;
            func.insts.push(data);
            func.results.push(results.into_iter().map(defined).collect());
        }
        for RawBlock { params, insts, freq, .. } in self.blocks {
            func.blocks.push(BlockData {
                params: params.into_iter().map(defined).collect(),
                insts,
                freq,
                weight: None,
            });
        }
        func.values = self.values.into_iter().map(|(.., data)| data).collect();
        func.frame_slots = self.slots.into_iter().map(|(_, data)| data).collect::<IdVec<_, _>>();
        Ok(func)
    }
}

/// Replaces numbers in the operands and targets of `data` by their ranks in `values` and `blocks`.
fn rename(data: &mut InstData, values: &[u32], blocks: &[u32]) -> Result<(), String> {
    let mut unknown = None;
    let mut rank = |list: &[u32], prefix: char, index: usize| {
        let position = u32::try_from(index).ok().and_then(|n| list.binary_search(&n).ok());
        position.unwrap_or_else(|| {
            unknown = unknown.take().or(Some(format!("{prefix}{index} is not defined")));
            0
        })
    };
    data.map_args(|v| Value::new(rank(values, 'v', v.index())));
    for to in data.successors_mut() {
        to.block = Block::new(rank(blocks, 'b', to.block.index()));
    }
    unknown.map_or(Ok(()), Err)
}
