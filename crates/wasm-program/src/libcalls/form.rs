//! The form of a function: its text, without details that don't change its meaning.
//!
//! Functions with the same form do the same. The form is a module in the text format with the function and, recursively,
//! its callees. Everything that decides the meaning is in it: operators in order, constants, offsets, block types, the
//! types of locals. Left out are
//! - indices: functions are numbered in the order of the calls, locals in the order of their first use;
//! - functions that only pass their arguments on;
//! - names, alignment hints, `nop`, locals that are never used;
//! - two ways of writing the same: `local.set` and `local.get` of one local for `local.tee`, and a
//!   subtraction of a constant for an addition.
//!
//! A function that uses anything else (imports, tables, floats, more than one global) has no form. The one global is
//! written as `$scratch`; [`Form::global`] says which one it is.

use std::fmt::Write as _;

use wasmparser::{BlockType, MemArg, Operator};

use crate::module_info::{MAIN_MEMORY, ModuleInfo, ValueType, memory_of};

/// More functions than this have no form.
const MAX_FUNCTIONS: usize = 8;

/// The form of a function.
pub struct Form {
    /// The text.
    pub text: String,
    /// The global it uses.
    pub global: Option<u32>,
}

/// The form of the function with this index, unless it is longer than `limit` bytes or has none.
pub fn form(info: &ModuleInfo, wasm: &[u8], function: u32, limit: usize) -> Option<Form> {
    let function = behind_forwarders(info, wasm, function);
    let mut writer = Writer { info, functions: vec![function], global: None, text: String::new(), limit };
    let mut next = 0;
    while let Some(&function) = writer.functions.get(next) {
        writer.function(wasm, function, next)?;
        next += 1;
    }
    let global = if writer.global.is_some() { "(global $scratch (mut i32) (i32.const 65536))\n" } else { "" };
    let text = format!("(module\n(memory 1)\n{global}{})\n", writer.text);
    Some(Form { text, global: writer.global })
}

/// The function that this one passes its arguments on to, if it does nothing else.
fn behind_forwarders(info: &ModuleInfo, wasm: &[u8], mut function: u32) -> u32 {
    for _ in 0..MAX_FUNCTIONS {
        match forwarded(info, wasm, function) {
            Some(callee) => function = callee,
            None => break,
        }
    }
    function
}

fn forwarded(info: &ModuleInfo, wasm: &[u8], function: u32) -> Option<u32> {
    info.functions[function as usize].import.is_none().then_some(())?;
    let ty = info.type_of(function);
    let mut ops = info.body(wasm, function).get_operators_reader().ok()?.into_iter();
    for param in 0..ty.params.len() as u32 {
        matches!(ops.next()?.ok()?, Operator::LocalGet { local_index } if local_index == param)
            .then_some(())?;
    }
    let Operator::Call { function_index } = ops.next()?.ok()? else { return None };
    let ends = matches!(ops.next()?.ok()?, Operator::End);
    (ends && info.type_of(function_index) == ty).then_some(function_index)
}

struct Writer<'a> {
    info: &'a ModuleInfo,
    /// Functions by their number in the form.
    functions: Vec<u32>,
    global: Option<u32>,
    text: String,
    limit: usize,
}

/// The locals of a function.
struct Locals {
    /// Per local of the module: its number in the form.
    numbers: Vec<Option<usize>>,
    /// Types of the numbered ones.
    types: Vec<ValueType>,
    all: Vec<ValueType>,
}

impl Locals {
    fn number(&mut self, local: u32) -> usize {
        let types = &mut self.types;
        let ty = self.all[local as usize];
        *self.numbers[local as usize].get_or_insert_with(|| {
            types.push(ty);
            types.len() - 1
        })
    }
}

impl Writer<'_> {
    fn function(&mut self, wasm: &[u8], function: u32, number: usize) -> Option<()> {
        self.info.functions[function as usize].import.is_none().then_some(())?;
        let body = self.info.body(wasm, function);
        // An operator has at least one byte, and at least as many characters in the text.
        (self.info.functions[function as usize].body.len() / 2 <= self.limit).then_some(())?;
        let ty = self.info.type_of(function);
        let params = ty.params.len();
        let mut all = ty.params.clone();
        for group in body.get_locals_reader().ok()? {
            let (count, ty) = group.ok()?;
            (all.len() + count as usize <= self.limit).then_some(())?;
            all.resize(all.len() + count as usize, crate::module_info::value_type(ty));
        }
        let numbers = (0..all.len()).map(|local| (local < params).then_some(local)).collect();
        let mut locals = Locals { numbers, types: ty.params.clone(), all };
        let mut lines: Vec<String> = Vec::new();
        let mut bytes = self.text.len();
        for op in body.get_operators_reader().ok()? {
            let Some(line) = self.operator(&op.ok()?, &mut locals)? else { continue };
            bytes += line.len() + 1;
            (bytes <= self.limit).then_some(())?;
            append(&mut lines, line);
        }
        let list = |types: &[ValueType]| {
            types.iter().map(|ty| text_of(*ty)).collect::<Option<Vec<_>>>().map(|t| t.join(" "))
        };
        let (own, results) = (list(&locals.types[params..])?, list(&ty.results)?);
        let param_types = list(&ty.params)?;
        let head = format!("(func $f{number} (param {param_types}) (result {results}) (local {own})");
        // The last line is the `end` of the body.
        lines.pop();
        let _ = writeln!(self.text, "{head}\n{}\n)", lines.join("\n"));
        Some(())
    }

    /// The line for an operator; the inner `None` if it has no meaning.
    fn operator(&mut self, op: &Operator<'_>, locals: &mut Locals) -> Option<Option<String>> {
        use Operator as Op;
        Some(Some(match *op {
            Op::Nop => return Some(None),
            Op::Block { blockty } => format!("block{}", block_type(blockty)?),
            Op::Loop { blockty } => format!("loop{}", block_type(blockty)?),
            Op::If { blockty } => format!("if{}", block_type(blockty)?),
            Op::Br { relative_depth } => format!("br {relative_depth}"),
            Op::BrIf { relative_depth } => format!("br_if {relative_depth}"),
            Op::BrTable { ref targets } => {
                let mut line = "br_table".to_owned();
                for target in targets.targets() {
                    let _ = write!(line, " {}", target.ok()?);
                }
                format!("{line} {}", targets.default())
            }
            Op::LocalGet { local_index } => format!("local.get {}", locals.number(local_index)),
            Op::LocalSet { local_index } => format!("local.set {}", locals.number(local_index)),
            Op::LocalTee { local_index } => format!("local.tee {}", locals.number(local_index)),
            Op::I32Const { value } => format!("i32.const {value}"),
            Op::I64Const { value } => format!("i64.const {value}"),
            Op::GlobalGet { global_index } => self.scratch("global.get", global_index)?,
            Op::GlobalSet { global_index } => self.scratch("global.set", global_index)?,
            Op::Call { function_index } => format!("call $f{}", self.callee(function_index)?),
            Op::MemoryCopy { dst_mem: 0, src_mem: 0 } => "memory.copy".to_owned(),
            Op::MemoryFill { mem: 0 } => "memory.fill".to_owned(),
            Op::Unreachable | Op::Return | Op::Drop | Op::Select | Op::Else | Op::End => plain(op)?,
            ref other => match access(other) {
                Some(memarg) if memory_of(memarg) != MAIN_MEMORY => return None,
                Some(memarg) => format!("{} offset={}", numeric(other)?, memarg.offset),
                None => plain(other).and_then(|_| numeric(other))?,
            },
        }))
    }

    fn scratch(&mut self, what: &str, global: u32) -> Option<String> {
        let declared = &self.info.globals[global as usize];
        (declared.ty == ValueType::I32 && declared.mutable).then_some(())?;
        (*self.global.get_or_insert(global) == global).then(|| format!("{what} $scratch"))
    }

    fn callee(&mut self, function: u32) -> Option<usize> {
        if let Some(at) = self.functions.iter().position(|known| *known == function) {
            return Some(at);
        }
        (self.functions.len() < MAX_FUNCTIONS).then_some(())?;
        self.functions.push(function);
        Some(self.functions.len() - 1)
    }
}

/// Appends a line, in the one way of writing that the form has for it.
fn append(lines: &mut Vec<String>, line: String) {
    let last = lines.last().map_or("", String::as_str);
    if let (Some(set), Some(get)) = (last.strip_prefix("local.set "), line.strip_prefix("local.get "))
        && set == get
    {
        let tee = format!("local.tee {get}");
        *lines.last_mut().expect("there is a last line") = tee;
        return;
    }
    for (ty, sub) in [("i32", "i32.sub"), ("i64", "i64.sub")] {
        let constant = last.strip_prefix(ty).and_then(|rest| rest.strip_prefix(".const "));
        if let (Some(constant), true) = (constant, line == sub) {
            let value: i64 = constant.parse().expect("constants are decimal");
            let negated =
                if ty == "i32" { i64::from((value as i32).wrapping_neg()) } else { value.wrapping_neg() };
            *lines.last_mut().expect("there is a last line") = format!("{ty}.const {negated}");
            lines.push(format!("{ty}.add"));
            return;
        }
    }
    lines.push(line);
}

fn block_type(ty: BlockType) -> Option<String> {
    match ty {
        BlockType::Empty => Some(String::new()),
        BlockType::Type(ty) => Some(format!(" (result {})", text_of(crate::module_info::value_type(ty))?)),
        BlockType::FuncType(_) => None,
    }
}

fn text_of(ty: ValueType) -> Option<&'static str> {
    match ty {
        ValueType::I32 => Some("i32"),
        ValueType::I64 => Some("i64"),
        _ => None,
    }
}

/// The name of an operator without immediates.
fn plain(op: &Operator<'_>) -> Option<String> {
    let name = format!("{op:?}");
    name.bytes().all(|b| b.is_ascii_alphanumeric()).then(|| name.to_lowercase())
}

/// The name of an integer operator in the text format: `i32.load8_u` for `I32Load8U`.
fn numeric(op: &Operator<'_>) -> Option<String> {
    let debug = format!("{op:?}");
    let name = debug.split(' ').next()?;
    let (ty, rest) = name.split_at_checked(3)?;
    let ty = match ty {
        "I32" => "i32.",
        "I64" => "i64.",
        _ => return None,
    };
    let mut text = ty.to_owned();
    for (at, character) in rest.char_indices() {
        if character.is_ascii_uppercase() && at > 0 {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
    }
    // Saturating conversions and the like start from or end in floats.
    (!text.contains("_f") && !text.contains("atomic")).then_some(text)
}

/// The immediate of a load or store of an integer.
pub fn access(op: &Operator<'_>) -> Option<MemArg> {
    use Operator as Op;
    match *op {
        Op::I32Load { memarg }
        | Op::I64Load { memarg }
        | Op::I32Load8S { memarg }
        | Op::I32Load8U { memarg }
        | Op::I32Load16S { memarg }
        | Op::I32Load16U { memarg }
        | Op::I64Load8S { memarg }
        | Op::I64Load8U { memarg }
        | Op::I64Load16S { memarg }
        | Op::I64Load16U { memarg }
        | Op::I64Load32S { memarg }
        | Op::I64Load32U { memarg }
        | Op::I32Store { memarg }
        | Op::I64Store { memarg }
        | Op::I32Store8 { memarg }
        | Op::I32Store16 { memarg }
        | Op::I64Store8 { memarg }
        | Op::I64Store16 { memarg }
        | Op::I64Store32 { memarg } => Some(memarg),
        _ => None,
    }
}
