//! Reducing a module to the part that a difference needs.
//!
//! Parts are taken out one after the other, and each stays out if the rest still differs: exports, bodies of functions, data,
//! and pieces of the bodies that are left. A piece is a sequence of operators that leaves the operand stack as it found it, or
//! with one number more; the latter becomes a zero. Functions that nothing names any more are dropped at the end. Whether a
//! module differs is asked a bounded number of times, so reducing ends; the result depends on the answers only.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use llvm_frontend::ModuleInfo;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, DataSection, FunctionSection, Module};
use wasmparser::{
    BinaryReaderError, Data, FuncToValidate, FuncValidatorAllocations, FunctionBody, FunctionSectionReader,
    Parser, ValType, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use super::module::{reachable, with_one_function};

/// The most questions whether a module differs.
const QUESTIONS: u32 = 400;
/// The most ends of pieces that are tried at a start.
const ENDS: usize = 6;
/// A body without locals that traps.
const STUB: [u8; 3] = [0x00, 0x00, 0x0b];

/// Whether a module still differs.
pub type Differs<'a> = &'a dyn Fn(&[u8]) -> bool;

/// The smallest module found that has an export of this name for this function and differs. `differs` holds for the
/// module itself.
pub fn reduce(wasm: &[u8], function: u32, export: &str, differs: Differs<'_>) -> Vec<u8> {
    let asked = Cell::new(0);
    let ask = |candidate: &[u8]| {
        if asked.get() >= QUESTIONS || ModuleInfo::parse(candidate).is_err() {
            return false;
        }
        asked.set(asked.get() + 1);
        differs(candidate)
    };
    let mut reducer = Reducer { wasm: wasm.to_vec(), function, ask: &ask };
    reducer.exports(export);
    reducer.bodies();
    reducer.data();
    reducer.pieces();
    reducer.unused();
    reducer.wasm
}

/// The module with one exported function and what it may call, without asking.
pub fn cut_out(wasm: &[u8], function: u32, export: &str) -> Vec<u8> {
    let is_valid = |candidate: &[u8]| ModuleInfo::parse(candidate).is_ok();
    let mut reducer = Reducer { wasm: wasm.to_vec(), function, ask: &is_valid };
    reducer.exports(export);
    reducer.unused();
    reducer.wasm
}

struct Reducer<'a> {
    wasm: Vec<u8>,
    /// The function that differs.
    function: u32,
    ask: Differs<'a>,
}

impl Reducer<'_> {
    fn info(&self) -> ModuleInfo {
        ModuleInfo::parse(&self.wasm).expect("only valid modules are kept")
    }

    /// Keeps a module if it differs.
    fn keep(&mut self, candidate: Option<Vec<u8>>) -> bool {
        let is_new = |candidate: &Vec<u8>| *candidate != self.wasm && (self.ask)(candidate);
        let Some(candidate) = candidate.filter(is_new) else { return false };
        self.wasm = candidate;
        true
    }

    fn exports(&mut self, export: &str) {
        let candidate = with_one_function(&self.wasm, &self.info(), self.function, export).ok();
        self.keep(candidate);
    }

    /// Replaces bodies of other functions by traps.
    fn bodies(&mut self) {
        let info = self.info();
        let own = info.imported_functions() as u32..info.functions.len() as u32;
        let others: Vec<u32> = own.filter(|&index| index != self.function).collect();
        self.without(&others, |wasm, chosen| {
            let stubs = chosen.iter().map(|&index| (index, STUB.to_vec())).collect();
            with_bodies(wasm, &stubs)
        });
    }

    /// Empties data segments.
    fn data(&mut self) {
        let segments: Vec<u32> = (0..self.info().data.len() as u32).collect();
        self.without(&segments, |wasm, chosen| {
            Cutter { emptied: chosen.iter().copied().collect(), ..Cutter::default() }.apply(wasm)
        });
    }

    /// Takes out parts: all of them, then halves, down to single ones.
    fn without(&mut self, parts: &[u32], cut: impl Fn(&[u8], &[u32]) -> Option<Vec<u8>>) {
        let mut size = parts.len();
        while size > 0 {
            for chosen in parts.chunks(size) {
                let candidate = cut(&self.wasm, chosen);
                if self.keep(candidate) && size == parts.len() {
                    return;
                }
            }
            size /= 2;
        }
    }

    /// Takes pieces out of all bodies.
    fn pieces(&mut self) {
        let info = self.info();
        for index in info.imported_functions() as u32..info.functions.len() as u32 {
            let mut start = 0;
            while let Some(steps) = steps(&self.wasm, index).filter(|steps| start < steps.len()) {
                if !self.piece(index, &steps, start) {
                    start += 1;
                }
            }
        }
    }

    /// Takes out a piece that begins at a step; returns whether there was one.
    fn piece(&mut self, index: u32, steps: &[Step], start: usize) -> bool {
        let body = self.info().functions[index as usize].body.clone();
        for (end, zero) in ends(steps, start) {
            if self.wasm[steps[start].at..steps[end].end] == zero {
                continue;
            }
            let new: Vec<u8> =
                [&self.wasm[body.start..steps[start].at], &zero[..], &self.wasm[steps[end].end..body.end]]
                    .concat();
            let candidate = with_bodies(&self.wasm, &BTreeMap::from([(index, new)]));
            if self.keep(candidate) {
                return true;
            }
        }
        false
    }

    /// Drops functions that nothing names.
    fn unused(&mut self) {
        let info = self.info();
        let Ok(mut kept) = reachable(&self.wasm, &info) else { return };
        kept.iter_mut().take(info.imported_functions()).for_each(|is_kept| *is_kept = true);
        let dropped: BTreeSet<u32> =
            (0u32..).zip(&kept).filter(|(_, is_kept)| !**is_kept).map(|(index, _)| index).collect();
        let next = info.imported_functions() as u32;
        let candidate = Cutter { dropped, next, imported: next, drops_names: true, ..Cutter::default() }
            .apply(&self.wasm);
        self.keep(candidate);
    }
}

/// An operator in a body.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// Where it begins and ends in the module.
    at: usize,
    end: usize,
    /// Heights of the stacks of operands and of blocks before it and after it.
    before: (u32, u32),
    after: (u32, u32),
    /// The type of the topmost operand after it.
    top: Option<ValType>,
}

/// The operators of a function, without its last `end`.
fn steps(wasm: &[u8], function: u32) -> Option<Vec<Step>> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut index = ModuleInfo::parse(wasm).ok()?.imported_functions() as u32;
    for payload in Parser::new(0).parse_all(wasm) {
        let ValidPayload::Func(func, body) = validator.payload(&payload.ok()?).ok()? else { continue };
        if index == function {
            return read_steps(func, &body).ok();
        }
        index += 1;
    }
    None
}

fn read_steps(
    func: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
) -> Result<Vec<Step>, BinaryReaderError> {
    let mut validator = func.into_validator(FuncValidatorAllocations::default());
    validator.read_locals(&mut body.get_binary_reader())?;
    let mut steps = Vec::new();
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let at = reader.original_position();
        let before = (validator.operand_stack_height(), validator.control_stack_height());
        let operator = reader.read()?;
        validator.op(at, &operator)?;
        let after = (validator.operand_stack_height(), validator.control_stack_height());
        let top = validator.get_operand_type(0).flatten();
        steps.push(Step { at: at as usize, end: reader.original_position() as usize, before, after, top });
    }
    steps.pop();
    Ok(steps)
}

/// The last steps of pieces that begin at a step, the longest first, and what they become.
fn ends(steps: &[Step], start: usize) -> Vec<(usize, Vec<u8>)> {
    let (height, depth) = steps[start].before;
    let mut ends = Vec::new();
    for (n, step) in steps.iter().enumerate().skip(start) {
        if step.after.0 < height || step.after.1 < depth {
            break;
        }
        if step.after.1 != depth {
            continue;
        }
        let zero = match step.top {
            _ if step.after.0 == height => Some(Vec::new()),
            Some(ty) if step.after.0 == height + 1 => zero(ty),
            _ => None,
        };
        ends.extend(zero.map(|zero| (n, zero)));
    }
    ends.reverse();
    ends.truncate(ENDS);
    ends
}

/// The operator for a zero of a type of numbers.
fn zero(ty: ValType) -> Option<Vec<u8>> {
    Some(match ty {
        ValType::I32 => vec![0x41, 0],
        ValType::I64 => vec![0x42, 0],
        ValType::F32 => [0x43, 0, 0, 0, 0].to_vec(),
        ValType::F64 => [0x44, 0, 0, 0, 0, 0, 0, 0, 0].to_vec(),
        _ => return None,
    })
}

/// The module with other bodies.
fn with_bodies(wasm: &[u8], bodies: &BTreeMap<u32, Vec<u8>>) -> Option<Vec<u8>> {
    let imported = ModuleInfo::parse(wasm).ok()?.imported_functions() as u32;
    Cutter { bodies: bodies.clone(), next: imported, imported, ..Cutter::default() }.apply(wasm)
}

/// Copies a module without some of its parts.
#[derive(Default)]
struct Cutter {
    /// Bodies that replace others, by function.
    bodies: BTreeMap<u32, Vec<u8>>,
    /// Data segments that become empty.
    emptied: BTreeSet<u32>,
    /// Functions that are dropped.
    dropped: BTreeSet<u32>,
    /// Number of imported functions.
    imported: u32,
    /// The function whose body is next.
    next: u32,
    /// The data segment that is next.
    segment: u32,
    drops_names: bool,
}

impl Cutter {
    fn apply(mut self, wasm: &[u8]) -> Option<Vec<u8>> {
        let mut module = Module::new();
        self.parse_core_module(&mut module, Parser::new(0), wasm).ok()?;
        Some(module.finish())
    }
}

impl Reencode for Cutter {
    type Error = Infallible;

    fn function_index(&mut self, func: u32) -> Result<u32, Error<Infallible>> {
        Ok(func - self.dropped.range(..func).count() as u32)
    }

    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        // Names belong to indices, and debug information to positions.
        let is_kept = section.name() == "name" && !self.drops_names;
        if is_kept { utils::parse_custom_section(self, module, section) } else { Ok(()) }
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        for (index, ty) in (self.imported..).zip(section) {
            let ty = ty?;
            if !self.dropped.contains(&index) {
                functions.function(self.type_index(ty)?);
            }
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let index = self.next;
        self.next += 1;
        if self.dropped.contains(&index) {
            return Ok(());
        }
        match self.bodies.get(&index) {
            Some(bytes) => {
                code.raw(bytes);
                Ok(())
            }
            None => utils::parse_function_body(self, code, body),
        }
    }

    fn parse_data(&mut self, data: &mut DataSection, datum: Data<'_>) -> Result<(), Error<Infallible>> {
        let is_emptied = self.emptied.contains(&self.segment);
        self.segment += 1;
        let datum = if is_emptied { Data { data: &[], ..datum } } else { datum };
        utils::parse_data(self, data, datum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left is what the question is about: a multiplication in the exported function.
    #[test]
    fn what_is_not_needed_goes() {
        let text = r#"(module
            (import "env" "f" (func (param i32)))
            (memory 1) (data (i32.const 100) "some bytes") (data (i32.const 200) "more bytes")
            (func $a (param i32) (result i32) (i32.add (local.get 0) (i32.const 5)))
            (func $b (export "b") (param i32 i64) (result i64) (local i64)
                (call 0 (local.get 0))
                (if (i32.eqz (local.get 0)) (then (i32.store (local.get 0) (call $a (i32.const 1)))))
                (local.set 2 (i64.mul (local.get 1) (i64.extend_i32_u (call $a (local.get 0)))))
                (i64.sub (local.get 2) (i64.const 9)))
            (func (export "c") (result i32) (call $a (i32.const 2))))"#;
        let wasm = wat::parse_str(text).expect("well-formed");
        let multiplies = |wasm: &[u8]| {
            let text = wasmprinter::print_bytes(wasm).expect("valid");
            text.contains("i64.mul") && text.contains("(export \"b\"")
        };
        let reduced = reduce(&wasm, 2, "b", &multiplies);
        let text = wasmprinter::print_bytes(&reduced).expect("valid");
        assert!(multiplies(&reduced), "{text}");
        for gone in ["i64.sub", "i32.store", "some bytes", "\"c\"", "i32.add", "call", "if"] {
            assert!(!text.contains(gone), "{gone} is in {text}");
        }
        let cut = wasmprinter::print_bytes(cut_out(&wasm, 2, "b")).expect("valid");
        assert!(cut.contains("i32.store") && cut.contains("i32.add") && !cut.contains("\"c\""), "{cut}");
    }
}
