//! Relocations of code: the operator of each, and the check that its bytes match.
//!
//! Linkers that keep relocations write relocatable immediates in five bytes, whatever the value. A tool that re-encodes
//! code writes as few bytes as needed, so the check of the first relocation finds such a change.

use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::{Operator, RelocationEntry, RelocationType};

use super::symbols::{Symbol, Symbols};
use super::{Problem, unsupported};
use crate::module_info::{ConstOp, ModuleInfo};
use crate::vectors;

/// Bytes of an immediate that a linker may change.
const PADDED: usize = 5;

/// The operators whose immediate is an address of static data: by offset, the symbol and the value.
pub fn check(
    info: &ModuleInfo,
    wasm: &[u8],
    symbols: &Symbols<'_>,
    start: usize,
    entries: &[RelocationEntry],
) -> Result<BTreeMap<usize, (u32, u32)>, Problem> {
    let mut addresses = BTreeMap::new();
    let mut entries = entries.iter().peekable();
    for function in info.imported_functions() as u32..info.functions.len() as u32 {
        let mut reader = info.body(wasm, function).get_operators_reader()?;
        while !reader.eof() {
            let (op, offset) = reader.read_with_offset()?;
            let bytes = offset as usize..reader.original_position() as usize;
            while let Some(entry) = entries.next_if(|entry| start + (entry.offset as usize) < bytes.end) {
                let at = start + entry.offset as usize;
                let site = Site { info, wasm, symbols, function, op: &op, bytes: bytes.clone(), at };
                if let Some(target) = site.check(entry)? {
                    addresses.insert(bytes.start, target);
                }
            }
        }
    }
    match entries.next() {
        Some(entry) => Err(Problem::Stale(format!("a relocation after the code, at {:#x}", entry.offset))),
        None => Ok(addresses),
    }
}

/// The place of a relocation.
struct Site<'a> {
    info: &'a ModuleInfo,
    wasm: &'a [u8],
    symbols: &'a Symbols<'a>,
    function: u32,
    op: &'a Operator<'a>,
    /// The bytes of the operator.
    bytes: Range<usize>,
    /// The offset of the immediate.
    at: usize,
}

impl Site<'_> {
    fn stale(&self, what: &str) -> Problem {
        let name = self.info.function_name(self.function);
        Problem::Stale(format!("{what} at offset {:#x}, in function {name}", self.at))
    }

    fn expect(&self, found: u32, expected: u32) -> Result<(), Problem> {
        if found == expected { Ok(()) } else { Err(self.stale(&format!("{found} instead of {expected}"))) }
    }

    /// Checks that a relocation matches; returns symbol and value if it is an address.
    fn check(&self, entry: &RelocationEntry) -> Result<Option<(u32, u32)>, Problem> {
        use RelocationType as Type;
        if self.at <= self.bytes.start || !self.is_padded() {
            return Err(self.stale("no immediate of five bytes"));
        }
        let found = self.immediate();
        let symbol = self.symbols.get(entry.index);
        match (entry.ty, symbol) {
            (Type::MemoryAddrLeb | Type::MemoryAddrSleb | Type::MemoryAddrRelSleb, _) => {
                let value =
                    self.symbols.value(entry.index, entry.addend).map_err(|what| self.stale(&what))?;
                self.expect(self.last_immediate()?, value)?;
                self.address(entry.index, value)
            }
            (Type::GlobalIndexLeb, Some(Symbol::Global(index))) => self.expect(found, *index).map(|()| None),
            // Position-independent code gets addresses from constant globals.
            (
                Type::GlobalIndexLeb,
                Some(Symbol::Data { .. } | Symbol::Absolute { .. } | Symbol::Undefined { .. }),
            ) => {
                let value = self.symbols.value(entry.index, 0).map_err(|what| self.stale(&what))?;
                self.expect(self.global(found)?, value)?;
                self.address(entry.index, value)
            }
            (Type::GlobalIndexLeb, _) => Ok(None),
            (Type::FunctionIndexLeb, Some(Symbol::Function(index))) => {
                self.expect(found, *index).map(|()| None)
            }
            (Type::TypeIndexLeb, _) => self.expect(found, entry.index).map(|()| None),
            // Functions are called through tables, so their addresses are numbers.
            (Type::TableIndexSleb | Type::TableIndexRelSleb, Some(Symbol::Function(_))) => Ok(None),
            (Type::TableNumberLeb | Type::EventIndexLeb, _) => Ok(None),
            (Type::FunctionIndexLeb | Type::TableIndexSleb | Type::TableIndexRelSleb, _) => {
                Err(self.stale("an index that is not a function"))
            }
            (other, _) => {
                let function = Some(self.info.function_name(self.function));
                Err(Problem::Error(unsupported(function, self.at, other)))
            }
        }
    }

    fn address(&self, symbol: u32, value: u32) -> Result<Option<(u32, u32)>, Problem> {
        let located = self.symbols.located(self.info, symbol, self.bytes.start, Some(self.function))?;
        Ok(located.map(|symbol| (symbol, value)))
    }

    fn is_padded(&self) -> bool {
        let bytes = self.wasm.get(self.at..self.at + PADDED).filter(|_| self.at + PADDED <= self.bytes.end);
        bytes.is_some_and(|bytes| {
            bytes[..PADDED - 1].iter().all(|byte| byte & 0x80 != 0) && bytes[PADDED - 1] & 0x80 == 0
        })
    }

    /// The low 32 bits of the immediate.
    fn immediate(&self) -> u32 {
        let bytes = self.wasm[self.at..self.at + PADDED].iter();
        bytes.rev().fold(0, |value: u32, byte| value << 7 | u32::from(byte & 0x7f))
    }

    /// The immediate, which must be the last one of an operator that takes an address, apart from the number of a lane.
    fn last_immediate(&self) -> Result<u32, Problem> {
        let takes_address = match self.op {
            Operator::I32Const { .. } => true,
            _ => crate::shadow_stack::memory_access(self.op).is_some(),
        };
        let lane = usize::from(vectors::has_lane(self.op));
        if takes_address && self.at + PADDED + lane == self.bytes.end {
            Ok(self.immediate())
        } else {
            Err(self.stale("no operator with an address"))
        }
    }

    /// The value of a constant global that holds an address.
    fn global(&self, index: u32) -> Result<u32, Problem> {
        let global = self.info.globals.get(index as usize).filter(|global| !global.mutable);
        match global.map(|global| &global.init[..]) {
            Some([ConstOp::I32Const(value)]) if matches!(self.op, Operator::GlobalGet { .. }) => {
                Ok(*value as u32)
            }
            _ => Err(self.stale("a global that is not constant")),
        }
    }
}
