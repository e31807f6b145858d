//! Names of functions, and lines, in the debug sections of PolkaVM's container.
//!
//! Section 128 has strings, each after its length (`nat`); an offset in it is a string. Section 130 has ranges of code
//! in ascending order: start, end and the offset of a line program in section 129, of 4 bytes each. A line program is a
//! list of opcodes of one byte with `nat` operands. It describes stack frames: of each the names and lines, from the
//! function that the range belongs to (depth 0) to the innermost inlined one. Section 129 begins with its version, 1.
//!
//! We write a line program per function: with its name for all of its code, or with a region for each line. We read the
//! name of the outermost function at the start of each range.

use std::collections::BTreeMap;

use crate::metadata::FunctionName;
use crate::reader::{ParseError, ParseErrorKind, Reader, write_nat, write_string};

/// The version of line programs.
const VERSION: u8 = 1;
/// Bytes of an entry of the table of ranges.
const RANGE_BYTES: usize = 12;
/// Maximum number of opcodes before the first region of code.
const MAX_OPCODES: usize = 512;
/// Maximum length of a name that is read.
const MAX_NAME: usize = 1024;

/// Opcodes of line programs.
mod opcode {
    pub const FINISH: u8 = 0;
    pub const SET_MUTATION_DEPTH: u8 = 1;
    pub const SET_KIND_ENTER: u8 = 2;
    pub const SET_KIND_CALL: u8 = 3;
    pub const SET_KIND_LINE: u8 = 4;
    pub const SET_NAMESPACE: u8 = 5;
    pub const SET_FUNCTION_NAME: u8 = 6;
    pub const SET_PATH: u8 = 7;
    pub const SET_LINE: u8 = 8;
    pub const SET_COLUMN: u8 = 9;
    pub const SET_STACK_DEPTH: u8 = 10;
    pub const INCREMENT_LINE: u8 = 11;
    pub const SUBTRACT_FROM_LINE: u8 = 13;
    /// The first opcode that ends a region.
    pub const FINISH_INSTRUCTION: u8 = 14;
    pub const FINISH_INSTRUCTIONS: u8 = 15;
    /// The last opcode that ends a region.
    pub const LAST: u8 = 19;
}

/// Maximum number of frames that readers keep.
const MAX_FRAMES: usize = 16;

/// The sections of strings, line programs and ranges, as they are in a file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DebugSections {
    /// Section 128.
    pub strings: Vec<u8>,
    /// Section 129.
    pub programs: Vec<u8>,
    /// Section 130.
    pub ranges: Vec<u8>,
}

/// A function at a position of the code: the function itself, or one that was inlined.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DebugFrame {
    /// Its name.
    pub function: String,
    /// The source file; may be empty.
    pub path: String,
    /// The line; 0 if it is not known.
    pub line: u32,
    /// The column; 0 if it is not known.
    pub column: u32,
}

/// Code from a position up to the next region.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DebugRegion {
    /// The position.
    pub pc: u32,
    /// The functions, the outermost first.
    pub frames: Vec<DebugFrame>,
}

impl DebugSections {
    /// The sections with names and lines. Functions and regions are in ascending order, and a region begins with each
    /// function.
    ///
    /// # Panics
    ///
    /// If the functions are not sorted by position.
    pub fn of_lines(functions: &[FunctionName], regions: &[DebugRegion], code_len: usize) -> Self {
        let mut strings = Strings::default();
        let (mut programs, mut ranges) = (vec![VERSION], Vec::new());
        let ends = functions.iter().skip(1).map(|next| next.pc).chain([code_len as u32]);
        for (function, end) in functions.iter().zip(ends) {
            assert!(function.pc <= end, "function names are sorted by position");
            let first = regions.partition_point(|region| region.pc < function.pc);
            let last = regions.partition_point(|region| region.pc < end);
            if function.pc == end || first == last {
                continue;
            }
            for word in [function.pc, end, programs.len() as u32] {
                ranges.extend(word.to_le_bytes());
            }
            let ends = regions[first + 1..last].iter().map(|region| region.pc).chain([end]);
            for (region, end) in regions[first..last].iter().zip(ends) {
                write_region(region, end - region.pc, &mut strings, &mut programs);
            }
            programs.push(opcode::FINISH);
        }
        Self { strings: strings.bytes, programs, ranges }
    }

    /// Bytes of the sections.
    pub const fn bytes(&self) -> usize {
        self.strings.len() + self.programs.len() + self.ranges.len()
    }
}

/// Strings, each once.
struct Strings {
    bytes: Vec<u8>,
    known: BTreeMap<String, u64>,
}

impl Default for Strings {
    /// Offset 0 is the empty string.
    fn default() -> Self {
        Self { bytes: vec![0], known: BTreeMap::from([(String::new(), 0)]) }
    }
}

impl Strings {
    fn offset(&mut self, text: &str) -> u64 {
        if let Some(&known) = self.known.get(text) {
            return known;
        }
        let offset = self.bytes.len() as u64;
        write_string(text, &mut self.bytes);
        self.known.insert(text.to_owned(), offset);
        offset
    }
}

/// Appends the opcodes for a region of this many bytes.
fn write_region(region: &DebugRegion, bytes: u32, strings: &mut Strings, out: &mut Vec<u8>) {
    let frames = &region.frames[..region.frames.len().min(MAX_FRAMES)];
    for (depth, frame) in (0u64..).zip(frames) {
        let is_innermost = depth as usize + 1 == frames.len();
        out.push(opcode::SET_MUTATION_DEPTH);
        write_nat(depth, out);
        out.push(if is_innermost { opcode::SET_KIND_LINE } else { opcode::SET_KIND_CALL });
        for (op, value) in [
            (opcode::SET_FUNCTION_NAME, strings.offset(&frame.function)),
            (opcode::SET_PATH, strings.offset(&frame.path)),
            (opcode::SET_LINE, frame.line.into()),
            (opcode::SET_COLUMN, frame.column.into()),
        ] {
            out.push(op);
            write_nat(value, out);
        }
    }
    out.push(opcode::SET_STACK_DEPTH);
    write_nat(frames.len() as u64, out);
    out.push(opcode::FINISH_INSTRUCTIONS);
    write_nat(bytes.into(), out);
}

/// The sections of strings, line programs and ranges; empty if there are no names.
///
/// # Panics
///
/// If the functions are not sorted by position.
pub fn write(functions: &[FunctionName], code_len: usize) -> DebugSections {
    if functions.is_empty() {
        return DebugSections::default();
    }
    // Offset 0 is the empty string: no namespace, no path.
    let (mut strings, mut programs, mut ranges) = (vec![0], vec![VERSION], Vec::new());
    let ends = functions.iter().skip(1).map(|next| next.pc).chain([code_len as u32]);
    for (function, end) in functions.iter().zip(ends) {
        let bytes = end.checked_sub(function.pc).expect("function names are sorted by position");
        if bytes == 0 {
            continue;
        }
        for word in [function.pc, end, programs.len() as u32] {
            ranges.extend(word.to_le_bytes());
        }
        programs.push(opcode::SET_FUNCTION_NAME);
        write_nat(strings.len() as u64, &mut programs);
        programs.extend([opcode::SET_STACK_DEPTH, 1, opcode::FINISH_INSTRUCTIONS]);
        write_nat(bytes.into(), &mut programs);
        programs.push(opcode::FINISH);
        write_string(&function.name, &mut strings);
    }
    DebugSections { strings, programs, ranges }
}

/// The names in these sections, in ascending order. Ranges whose line program is malformed have no name.
pub fn read(sections: &DebugSections, code_len: usize) -> Vec<FunctionName> {
    let DebugSections { strings, programs, ranges } = sections;
    if programs.first() != Some(&VERSION) {
        return Vec::new();
    }
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let function = |range: &[u8]| {
        let (pc, program) = (word(&range[..4]), word(&range[8..]));
        let name = outermost(programs.get(program as usize..)?, strings).ok()?;
        ((pc as usize) < code_len && !name.is_empty()).then_some(FunctionName { pc, name })
    };
    let mut functions: Vec<FunctionName> = ranges.chunks_exact(RANGE_BYTES).filter_map(function).collect();
    functions.sort_by_key(|function| function.pc);
    functions.dedup_by_key(|function| function.pc);
    functions
}

/// The name of the outermost function of a line program's first region.
fn outermost(program: &[u8], strings: &[u8]) -> Result<String, ParseError> {
    let mut reader = Reader::new(program);
    let (mut depth, mut namespace, mut name) = (0, 0, 0);
    for _ in 0..MAX_OPCODES {
        match reader.u8()? {
            opcode::FINISH | opcode::FINISH_INSTRUCTION..=opcode::LAST => break,
            opcode::SET_MUTATION_DEPTH => depth = reader.nat()?,
            opcode::SET_NAMESPACE if depth == 0 => namespace = reader.nat()?,
            opcode::SET_FUNCTION_NAME if depth == 0 => name = reader.nat()?,
            opcode::SET_KIND_ENTER..=opcode::SET_KIND_LINE | opcode::INCREMENT_LINE => {}
            opcode::SET_NAMESPACE..=opcode::SET_PATH | 8..=opcode::SUBTRACT_FROM_LINE => {
                reader.nat()?;
            }
            _ => return Err(ParseError { offset: reader.offset() - 1, kind: ParseErrorKind::UnknownValue }),
        }
    }
    let (namespace, name) = (string(strings, namespace)?, string(strings, name)?);
    Ok(if namespace.is_empty() { name } else { format!("{namespace}::{name}") })
}

fn string(strings: &[u8], offset: u64) -> Result<String, ParseError> {
    let end = ParseError { offset: strings.len(), kind: ParseErrorKind::UnexpectedEnd };
    let bytes = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..)).ok_or(end)?;
    let mut reader = Reader::new(bytes);
    let len = reader.count(1)?;
    if len > MAX_NAME {
        return Err(end);
    }
    Ok(String::from_utf8_lossy(reader.take(len)?).into_owned())
}
