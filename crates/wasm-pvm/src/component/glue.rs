//! The module that connects the host to the instances of a component.
//!
//! It imports the host's functions and exports them to the instances. If the instances allocate in several ways, such a
//! function first notes in a global how its caller does, and `cabi_realloc` calls that function. Entries are wrapped
//! where the canonical ABI changes numbers: a `u8` is what the low 8 bits are, any `bool` but 0 is true, a `char` that is
//! none traps.

use std::borrow::Cow;
use std::collections::BTreeMap;

use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, ImportSection, InstructionSink, Module, TypeSection, ValType,
};
use wasmparser::{FuncType, PrimitiveValType};

use super::REALLOC;
use super::evaluate::{GLUE, Program, glue_name};
use super::scope::{Lifted, Scalar, Signature};
use crate::adapter::{Given, Instance, InstanceExport, Source};

/// The module name under which the glue imports functions of instances.
const INSTANCES: &str = "instances";

/// The name of the first memory.
const MEMORY: &str = "memory";

/// All that the linker needs.
pub struct Linkage<'a> {
    pub instances: Vec<Instance<'a>>,
    pub memories: Vec<Given>,
    pub exports: Vec<InstanceExport>,
}

/// The instances of a component, beginning with the glue.
pub fn linkage(program: Program<'_>) -> Linkage<'_> {
    let mut glue = Glue::default();
    let mut exports = glue.fill(&program);
    // An entry of this name hides it.
    let memory = program.memories.first().filter(|_| exports.iter().all(|export| export.name != MEMORY));
    exports.extend(memory.cloned().map(|item| InstanceExport { name: MEMORY.to_owned(), item }));
    let given: BTreeMap<String, Given> =
        glue.given.iter().enumerate().map(|(n, given)| (n.to_string(), given.clone())).collect();
    let mut instances = vec![Instance {
        name: "the component".to_owned(),
        wasm: Cow::Owned(glue.finish()),
        given: BTreeMap::from([(INSTANCES.to_owned(), Source::Exports(given.into()))]),
    }];
    instances.extend((1..).zip(program.instances).map(|(n, module)| Instance {
        name: format!("core module {n}"),
        wasm: Cow::Borrowed(module.wasm),
        given: module.given,
    }));
    Linkage { instances, memories: program.memories, exports }
}

/// The sections of the glue.
#[derive(Default)]
struct Glue {
    types: TypeSection,
    imports: ImportSection,
    imported: u32,
    functions: FunctionSection,
    globals: GlobalSection,
    exports: ExportSection,
    code: CodeSection,
    /// What its imports from instances are given.
    given: Vec<Given>,
}

impl Glue {
    fn finish(self) -> Vec<u8> {
        let mut module = Module::new();
        module.section(&self.types).section(&self.imports).section(&self.functions);
        module.section(&self.globals).section(&self.exports).section(&self.code);
        module.finish()
    }

    /// Adds all functions; returns the exports of the result.
    fn fill(&mut self, program: &Program<'_>) -> Vec<InstanceExport> {
        let mut reallocs = Vec::new();
        for realloc in program.lowered.iter().filter_map(|lowered| lowered.realloc.as_ref()) {
            if !reallocs.contains(realloc) {
                reallocs.push(realloc.clone());
            }
        }
        // Imports come before definitions.
        let hosts: Vec<(u32, u32)> = program
            .lowered
            .iter()
            .map(|lowered| {
                let ty = self.function_type(&lowered.ty);
                (ty, self.import(&lowered.module, &lowered.name, ty))
            })
            .collect();
        let wrapped: Vec<_> = program.entries.iter().filter(|(_, lifted)| is_wrapped(lifted)).collect();
        let cores: Vec<_> = wrapped.iter().map(|(_, lifted)| self.import_lifted(lifted)).collect();
        let mut exports = Vec::new();
        if let [only] = &reallocs[..] {
            exports.push(InstanceExport { name: REALLOC.to_owned(), item: only.clone() });
        } else if !reallocs.is_empty() {
            self.add_realloc(&reallocs);
            exports.push(InstanceExport { name: REALLOC.to_owned(), item: (GLUE, REALLOC.to_owned()) });
        }
        for (n, (lowered, (ty, host))) in program.lowered.iter().zip(hosts).enumerate() {
            let position =
                lowered.realloc.as_ref().and_then(|it| reallocs.iter().position(|other| other == it));
            let function = match position {
                Some(position) if reallocs.len() > 1 => {
                    self.add_lowered(ty, lowered.ty.params().len(), host, position)
                }
                _ => host,
            };
            self.exports.export(&glue_name(n), ExportKind::Func, function);
        }
        for ((name, lifted), core) in wrapped.into_iter().zip(cores) {
            let signature = lifted.signature.as_ref().expect("entries have scalar types");
            self.add_lifted(name, signature, core);
        }
        exports.extend(program.entries.iter().map(|(name, lifted)| {
            let item = if is_wrapped(lifted) { (GLUE, name.clone()) } else { lifted.core.clone() };
            InstanceExport { name: name.clone(), item }
        }));
        exports
    }

    fn function_type(&mut self, ty: &FuncType) -> u32 {
        let convert = |ty: &wasmparser::ValType| match ty {
            wasmparser::ValType::I64 => ValType::I64,
            wasmparser::ValType::F32 => ValType::F32,
            wasmparser::ValType::F64 => ValType::F64,
            _ => ValType::I32,
        };
        self.types.ty().function(ty.params().iter().map(convert), ty.results().iter().map(convert));
        self.types.len() - 1
    }

    fn import(&mut self, module: &str, name: &str, ty: u32) -> u32 {
        self.imports.import(module, name, EntityType::Function(ty));
        self.imported += 1;
        self.imported - 1
    }

    fn import_given(&mut self, given: &Given, ty: u32) -> u32 {
        let index = self.import(INSTANCES, &self.given.len().to_string(), ty);
        self.given.push(given.clone());
        index
    }

    /// The function of an instance and the one that is called after it.
    fn import_lifted(&mut self, lifted: &Lifted) -> (u32, Option<u32>) {
        let signature = lifted.signature.as_ref().expect("entries have scalar types");
        let result = signature.result.map(flat);
        self.types.ty().function(signature.params.iter().copied().map(flat), result);
        let core = self.import_given(&lifted.core, self.types.len() - 1);
        let post_return = lifted.post_return.as_ref().map(|function| {
            self.types.ty().function(result, []);
            self.import_given(function, self.types.len() - 1)
        });
        (core, post_return)
    }

    /// Index of the next function.
    fn next(&self) -> u32 {
        self.imported + self.functions.len()
    }

    /// A function that allocates as the last caller of the host does.
    fn add_realloc(&mut self, reallocs: &[Given]) {
        let i32s = [ValType::I32; 4];
        self.types.ty().function(i32s, [ValType::I32]);
        let ty = self.types.len() - 1;
        let imported: Vec<u32> = reallocs.iter().map(|realloc| self.import_given(realloc, ty)).collect();
        let kind = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        self.globals.global(kind, &wasm_encoder::ConstExpr::i32_const(0));
        let mut body = Function::new([]);
        let mut code = body.instructions();
        for (n, function) in (0..).zip(&imported) {
            code.global_get(0).i32_const(n).i32_eq().if_(BlockType::Empty);
            for param in 0..4 {
                code.local_get(param);
            }
            code.call(*function).return_().end();
        }
        code.unreachable().end();
        self.exports.export(REALLOC, ExportKind::Func, self.next());
        self.functions.function(ty);
        self.code.function(&body);
    }

    /// A function of the host, for callers that allocate in this way.
    fn add_lowered(&mut self, ty: u32, params: usize, host: u32, realloc: usize) -> u32 {
        let mut body = Function::new([]);
        let mut code = body.instructions();
        code.i32_const(realloc as i32).global_set(0);
        for param in 0..params as u32 {
            code.local_get(param);
        }
        code.call(host).end();
        let function = self.next();
        self.functions.function(ty);
        self.code.function(&body);
        function
    }

    /// An entry.
    fn add_lifted(&mut self, name: &str, signature: &Signature, (core, post_return): (u32, Option<u32>)) {
        let params: Vec<ValType> = signature.params.iter().copied().map(flat).collect();
        let result = signature.result.map(flat);
        let local = params.len() as u32;
        self.types.ty().function(params, result);
        let mut body = Function::new(result.map(|ty| (1, ty)));
        let mut code = body.instructions();
        for (n, ty) in (0..).zip(&signature.params) {
            code.local_get(n);
            convert(&mut code, *ty, n);
        }
        code.call(core);
        if let Some(result) = signature.result {
            code.local_set(local);
            if let Some(post_return) = post_return {
                code.local_get(local).call(post_return);
            }
            code.local_get(local);
            convert(&mut code, result, local);
        } else if let Some(post_return) = post_return {
            code.call(post_return);
        }
        code.end();
        self.exports.export(name, ExportKind::Func, self.next());
        self.functions.function(self.types.len() - 1);
        self.code.function(&body);
    }
}

/// Whether an entry is more than a call of its core function.
fn is_wrapped(lifted: &Lifted) -> bool {
    let is_number = |ty: &Scalar| {
        use PrimitiveValType::{F32, F64, S32, S64, U32, U64};
        matches!(ty, Scalar::Primitive(S32 | U32 | S64 | U64 | F32 | F64))
    };
    let signature = lifted.signature.iter();
    lifted.post_return.is_some()
        || !signature.flat_map(|it| it.params.iter().chain(&it.result)).all(is_number)
}

/// The core type of a scalar.
const fn flat(ty: Scalar) -> ValType {
    match ty {
        Scalar::Primitive(PrimitiveValType::S64 | PrimitiveValType::U64) => ValType::I64,
        Scalar::Primitive(PrimitiveValType::F32) => ValType::F32,
        Scalar::Primitive(PrimitiveValType::F64) => ValType::F64,
        _ => ValType::I32,
    }
}

/// Makes a number on the stack one of the type's numbers; `local` has the same.
fn convert(code: &mut InstructionSink<'_>, ty: Scalar, local: u32) {
    let Scalar::Primitive(ty) = ty else {
        code.i32_const(1).i32_gt_u().if_(BlockType::Empty).unreachable().end().local_get(local);
        return;
    };
    match ty {
        PrimitiveValType::Bool => code.i32_const(0).i32_ne(),
        PrimitiveValType::S8 => code.i32_extend8_s(),
        PrimitiveValType::U8 => code.i32_const(0xff).i32_and(),
        PrimitiveValType::S16 => code.i32_extend16_s(),
        PrimitiveValType::U16 => code.i32_const(0xffff).i32_and(),
        PrimitiveValType::Char => {
            code.i32_const(0x10_ffff).i32_gt_u();
            code.local_get(local).i32_const(0xd800).i32_sub().i32_const(0x800).i32_lt_u().i32_or();
            code.if_(BlockType::Empty).unreachable().end().local_get(local)
        }
        _ => code,
    };
}
