//! Tokens: equal instructions of all functions have equal numbers.

use std::collections::HashMap;

use codegen::Reference;
use pvm_isa::decode::decode_all;
use pvm_isa::{GpVersion, Inst, Opcode, Reg};
use ssa::FuncId;

use crate::emit::{Fixup, Need};

/// The number of an instruction.
pub type Token = u32;

/// Sizes are in eighths of a byte, as each byte of code has a bit in the mask.
pub const BYTE: i32 = 9;
/// Size of an entry of the jump table.
const TABLE_ENTRY: i32 = 24;
/// Bytes of a call without its operand bytes that depend on the number of its return address.
const CALL_BYTES: i32 = 7;
/// Bytes of a reference to a function.
const FUNC_REF_BYTES: i32 = 10;
/// Bytes of a jump to code that is not near.
const JUMP_BYTES: i32 = 4;
/// Size of such a jump.
pub const JUMP: i32 = JUMP_BYTES * BYTE;

/// Facts about an instruction.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Its size with its share of mask and jump table, in eighths of a byte.
    pub size: i32,
    /// Whether it reads or writes the register of return addresses.
    pub uses_return_address: bool,
    /// Its opcode.
    pub op: Opcode,
}

#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Bytes(&'a [u8]),
    Fixup(Inst, Need, Option<FuncId>),
}

/// The numbers given so far.
pub struct Tokens<'a> {
    gp: GpVersion,
    tokens: HashMap<Key<'a>, Token>,
    facts: Vec<Facts>,
}

impl<'a> Tokens<'a> {
    /// No numbers.
    pub fn new(gp: GpVersion) -> Self {
        Self { gp, tokens: HashMap::new(), facts: Vec::new() }
    }

    /// The version of the code.
    pub const fn gp(&self) -> GpVersion {
        self.gp
    }

    /// The facts about an instruction.
    pub fn facts(&self, token: Token) -> Facts {
        self.facts[token as usize]
    }

    /// The number of an instruction by its bytes.
    pub fn plain(&mut self, bytes: &'a [u8]) -> Token {
        let (gp, facts) = (self.gp, &mut self.facts);
        *self.tokens.entry(Key::Bytes(bytes)).or_insert_with(|| {
            let inst = decode_all(gp, bytes).expect("code of the compiler");
            push(facts, &inst, bytes.len() as i32 * BYTE)
        })
    }

    /// The number of a fixup that refers to no label.
    pub fn fixup(&mut self, fixup: &Fixup, target: Reference) -> Token {
        let func = match target {
            Reference::Func(func) => Some(func),
            Reference::Label(_) | Reference::None => None,
        };
        let (inst, need) = (fixup.inst(), fixup.need());
        let size = match need {
            Need::ReturnPlace => CALL_BYTES * BYTE + TABLE_ENTRY,
            Need::FuncRef(_) => FUNC_REF_BYTES * BYTE,
            Need::Nothing | Need::Table(_) => JUMP,
        };
        let facts = &mut self.facts;
        *self.tokens.entry(Key::Fixup(inst, need, func)).or_insert_with(|| push(facts, &inst, size))
    }
}

fn push(facts: &mut Vec<Facts>, inst: &Inst, size: i32) -> Token {
    let uses_return_address = inst.reads().union(inst.writes()).contains(Reg::RA);
    facts.push(Facts { size, uses_return_address, op: inst.op() });
    facts.len() as Token - 1
}
