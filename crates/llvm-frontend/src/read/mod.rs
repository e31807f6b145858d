//! Reading optimised LLVM IR into [`ssa`].
//!
//! LLVM's IR is an open world: hundreds of intrinsics, integers of any width, pointers, structs, constant
//! expressions. Code generation needs the closed list of [`ssa::InstData`]. The reader converts the one into the
//! other, once, on the thread that ran the passes. It refuses IR outside of its list with the function
//! and the printed instruction ([`Unsupported`]), and never panics on input that LLVM's verifier accepts.
//!
//! Representation of LLVM values ([`repr`]):
//! - integers up to 32 bits are an `i32`, up to 64 an `i64`, with unspecified bits above their width
//!   ([`known`] finds redundant extensions); `i1` is always exactly 0 or 1;
//! - integers up to 128 bits are two `i64`, low half first ([`wide`]);
//! - pointers are machine addresses, kept as `base + index + offset` until a value is needed ([`memory`]);
//! - structs are the list of their fields.
//!
//! Functions are read one by one, blocks in reverse postorder, so that every operand except a phi's is read
//! before its use ([`function`]). Work is linear in the size of the IR.
//!
//! Parts of a program are read independently. The reader may add to the program: constant arrays that LLVM made from
//! switches, functions that LLVM split off, signatures that it changed. Their ids follow those of the
//! program as the part saw it, and [`ReadOutput::join`] gives them their final ids, in part order.

mod builder;
mod calls;
mod choices;
mod control;
mod data;
mod float;
mod function;
mod integer;
mod intrinsics;
mod join;
mod memory;
mod pointer;
mod repr;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod wide;
mod wide_intrinsics;

use std::collections::HashMap;

use ssa::{
    DataId, DataObject, EntityId as _, FuncDecl, FuncId, Function, SigId, Signature, SourceLoc, Subprogram,
};
use wasm_program::names::{self, Callee, Names};

use crate::llvm;
use crate::llvm::lookup::LookupMap;

/// The reader's view of the program that a part belongs to.
#[derive(Clone, Copy)]
pub struct ReadContext<'a> {
    /// The ids of symbols.
    pub names: &'a Names,
    /// The program without bodies: all signatures, declarations and data objects that `names` refers to.
    pub program: &'a ssa::Module,
    /// Machine address of the argument bytes of entries, if it is known.
    pub arguments: Option<u32>,
    /// Whether traps of exceptions and of typed references occur.
    pub all_traps: bool,
    /// Whether weights of branches come from a profile.
    pub is_profiled: bool,
}

/// The result of reading a part. Ids at or above the program's lengths refer to the lists here.
#[derive(Debug, Default)]
pub struct ReadOutput {
    /// The bodies, in the order of the LLVM module.
    pub functions: Vec<(FuncId, Function)>,
    /// Functions that LLVM added.
    pub decls: Vec<FuncDecl>,
    /// Constant arrays that LLVM added.
    pub data: Vec<DataObject>,
    /// Signatures that LLVM changed functions to.
    pub signatures: Vec<Signature>,
    /// Locations in functions that LLVM inlined.
    pub inlined: Vec<InlinedLoc>,
}

/// A location in a function that LLVM inlined.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct InlinedLoc {
    /// The location in the function itself.
    pub loc: SourceLoc,
    /// The calls, innermost first: their locations, each in its own function, and the callees.
    pub calls: Vec<(SourceLoc, Subprogram)>,
}

/// LLVM IR that the reader has no lowering for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{function}: {what}: {instruction}")]
pub struct Unsupported {
    /// Symbol of the function.
    pub function: String,
    /// The instruction, as LLVM prints it.
    pub instruction: String,
    /// The reason.
    pub what: String,
}

/// The reason why an instruction is refused; [`function`] adds the place.
type Refused = String;

/// Reads all function bodies of a module on which the passes have run.
///
/// # Errors
///
/// [`Unsupported`] names the first instruction that has no lowering.
pub fn read_functions(
    module: &inkwell::module::Module<'_>,
    cx: &ReadContext<'_>,
) -> Result<ReadOutput, Unsupported> {
    let mut part = PartReader::new(module, *cx);
    let bodies = part.declare();
    for (id, function) in bodies {
        let known = id.index() < cx.program.decls.len();
        let name = if known { cx.program.decls[id].name.clone() } else { function.name() };
        progress::function(&name, "read");
        let body = function::read(&mut part, function)?;
        part.output.functions.push((id, body));
    }
    Ok(part.output)
}

/// The meaning of a function symbol.
#[derive(Clone, Debug)]
enum Target {
    Callee(Callee),
    /// An LLVM intrinsic, its name without `llvm.` and type suffixes.
    Intrinsic(String),
    Unknown,
}

/// The reader of one part.
struct PartReader<'a, 'm> {
    cx: ReadContext<'a>,
    module: llvm::Module<'m>,
    targets: LookupMap<llvm::Value<'m>, Target>,
    globals: LookupMap<llvm::Value<'m>, DataId>,
    /// The ids of `output.inlined`.
    inlined: HashMap<InlinedLoc, SourceLoc>,
    output: ReadOutput,
}

impl<'a, 'm> PartReader<'a, 'm> {
    fn new(module: &'m inkwell::module::Module<'_>, cx: ReadContext<'a>) -> Self {
        Self {
            cx,
            module: llvm::Module::new(module),
            targets: LookupMap::default(),
            globals: LookupMap::default(),
            inlined: HashMap::new(),
            output: ReadOutput::default(),
        }
    }

    /// The source location of an instruction.
    fn location(&mut self, inst: llvm::Value<'m>) -> Option<SourceLoc> {
        let loc = names::debug_id(inst.debug_line())?;
        let calls = inst.inlined_calls();
        let pairs = calls.into_iter().map(|[at, callee]| names::debug_id(at).zip(names::debug_id(callee)));
        // A call without a location ends the list.
        let calls: Vec<(SourceLoc, Subprogram)> = pairs.map_while(|pair| pair).collect();
        if calls.is_empty() {
            return Some(loc);
        }
        let sources = self.cx.program.sources.as_ref()?;
        let (first, list) = (sources.positions.len(), &mut self.output.inlined);
        Some(*self.inlined.entry(InlinedLoc { loc, calls }).or_insert_with_key(|inlined| {
            list.push(inlined.clone());
            SourceLoc::new(first + list.len() - 1)
        }))
    }

    /// Resolves every function symbol and lists the bodies to read.
    fn declare(&mut self) -> Vec<(FuncId, llvm::Value<'m>)> {
        let mut bodies = Vec::new();
        for function in self.module.functions() {
            let name = function.name();
            let copy = function.linkage() == Some(llvm::Linkage::LLVMAvailableExternallyLinkage);
            let has_body = !function.is_declaration() && !copy;
            let target = match self.cx.names.callee(&name) {
                Some(callee) => Target::Callee(callee),
                None if name.starts_with("llvm.") => {
                    Target::Intrinsic(intrinsics::base_name(&name).to_owned())
                }
                None if has_body => Target::Callee(Callee::Function(self.add_function(name))),
                None => Target::Unknown,
            };
            if let (true, Target::Callee(Callee::Function(id))) = (has_body, &target) {
                bodies.push((*id, function));
            }
            self.targets.insert(function, target);
        }
        bodies
    }

    /// Declares a function that LLVM added; its signature is set when it is read.
    fn add_function(&mut self, name: String) -> FuncId {
        let id = FuncId::new(self.cx.program.decls.len() + self.output.decls.len());
        let kind = ssa::FuncKind::Local;
        self.output.decls.push(FuncDecl { name, sig: SigId::new(0), kind });
        id
    }

    /// The id of a signature, of the program or added.
    fn signature(&mut self, signature: Signature) -> SigId {
        if let Some(id) = self.cx.names.signature(&signature) {
            return id;
        }
        let known = self.output.signatures.iter().position(|s| *s == signature);
        let index = known.unwrap_or_else(|| {
            self.output.signatures.push(signature);
            self.output.signatures.len() - 1
        });
        SigId::new(self.cx.program.signatures.len() + index)
    }
}
