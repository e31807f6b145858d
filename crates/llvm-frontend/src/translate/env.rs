//! The LLVM module of one part, and the declarations in it.
//!
//! A part defines some functions of the program and refers to others, to globals, tables and runtime functions.
//! Those are declared on first use, so a part's module contains only entities that it mentions. The symbols are
//! those of [`wasm_program::names`].

use std::collections::HashMap;

use inkwell::AddressSpace;
use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::context::Context;
use inkwell::intrinsics::Intrinsic;
use inkwell::module::{Linkage, Module};
use inkwell::types::{BasicMetadataTypeEnum, BasicType, BasicTypeEnum, FunctionType};
use inkwell::values::{FunctionValue, PointerValue};
use ssa::{SourceLoc, TrapCode, Type};
use wasm_program::counts::Counts;
use wasm_program::module_info::{FuncType, ValueType};
use wasm_program::names;
use wasm_program::options::OptLevel;
use wasm_program::program::Program;

use super::debug::{Debug, Scope};
use super::ir::Ir;
use super::profile;

/// LLVM's number of the calling convention `tailcc`, which lets any call in tail position replace its caller.
const TAIL_CC: u32 = 18;
/// The operand of LLVM's `memory` attribute for "nothing".
const MEMORY_NONE: u64 = 0;
/// The operand of LLVM's `memory` attribute for "reads and writes inaccessible memory only".
const MEMORY_INACCESSIBLE: u64 = 0b1100;

/// The module under construction.
pub struct Env<'ctx, 'p> {
    /// The program it is a part of.
    pub program: &'p Program<'p>,
    /// LLVM's module.
    pub module: Module<'ctx>,
    /// Appends instructions.
    pub ir: Ir<'ctx>,
    /// Debug information, if there is some.
    debug: Option<Debug<'ctx>>,
    functions: HashMap<u32, FunctionValue<'ctx>>,
    others: HashMap<String, FunctionValue<'ctx>>,
    globals: HashMap<String, PointerValue<'ctx>>,
}

impl<'ctx, 'p> Env<'ctx, 'p> {
    /// An empty module.
    pub fn new(context: &'ctx Context, program: &'p Program<'p>, name: &str) -> Self {
        let module = context.create_module(name);
        let ir = Ir::new(context);
        let debug = program.source_map.is_some().then(|| Debug::new(&module, &ir));
        Self {
            program,
            module,
            ir,
            debug,
            functions: HashMap::new(),
            others: HashMap::new(),
            globals: HashMap::new(),
        }
    }

    /// Begins the body of a function: instructions appended from now on belong to it in the source.
    pub fn open_scope(&mut self, index: u32, function: FunctionValue<'ctx>) -> Option<Scope<'ctx>> {
        let (debug, map) = (self.debug.as_ref()?, self.program.source_map.as_ref()?);
        self.ir.builder.unset_current_debug_location();
        let subprogram = map.subprogram(index)?;
        let sources = self.program.module.sources.as_ref()?;
        let scope = debug.open(function, subprogram, sources.subprograms[subprogram].start);
        self.locate(&scope, scope.start);
        Some(scope)
    }

    /// Sets the source location of further instructions, if they have one.
    pub fn locate(&self, scope: &Scope<'ctx>, loc: Option<SourceLoc>) {
        if let Some(debug) = &self.debug {
            self.ir.builder.set_current_debug_location(debug.location(self.ir.context, scope, loc));
        }
    }

    /// The counts of a profile, if there is one.
    pub fn counts(&self) -> Option<&'p Counts> {
        self.program.options.counts.as_deref()
    }

    /// Ends the module.
    pub fn finish(self) -> Module<'ctx> {
        if let Some(counts) = self.counts() {
            profile::summarise(&self.ir, &self.module, counts);
        }
        drop(self.debug);
        self.module
    }

    /// The parts of a wasm value.
    pub fn parts(&self, ty: ValueType) -> &'p [Type] {
        self.program.lowering().parts(ty)
    }

    /// The LLVM type of a part of a wasm value.
    pub fn part_type(&self, ty: Type) -> BasicTypeEnum<'ctx> {
        match ty {
            Type::I32 => self.ir.i32.into(),
            Type::I64 => self.ir.i64.into(),
            Type::F32 => self.ir.f32.into(),
            Type::F64 => self.ir.f64.into(),
        }
    }

    /// The LLVM type of a wasm value of one part.
    pub fn one_part(&self, ty: ValueType) -> BasicTypeEnum<'ctx> {
        match *self.parts(ty) {
            [part] => self.part_type(part),
            _ => unreachable!("{ty:?} has one part"),
        }
    }

    /// The LLVM types of the parts of wasm values.
    pub fn part_types(&self, types: &[ValueType]) -> Vec<BasicTypeEnum<'ctx>> {
        types.iter().flat_map(|&ty| self.parts(ty)).map(|&ty| self.part_type(ty)).collect()
    }

    /// The LLVM types of the parts of an exception.
    pub fn exception_types(&self) -> Vec<BasicTypeEnum<'ctx>> {
        self.program.exceptions.parts.iter().map(|&ty| self.part_type(ty)).collect()
    }

    /// The LLVM type of a wasm function: several parts of results become a struct. A function that throws returns an
    /// exception after its results.
    pub fn function_type(&self, ty: &FuncType, throws: bool) -> FunctionType<'ctx> {
        let params: Vec<BasicMetadataTypeEnum<'ctx>> =
            self.part_types(&ty.params).into_iter().map(Into::into).collect();
        let mut results = self.part_types(&ty.results);
        if throws {
            results.extend(self.exception_types());
        }
        match self.aggregate(&results) {
            None => self.ir.context.void_type().fn_type(&params, false),
            Some(results) => results.fn_type(&params, false),
        }
    }

    /// The LLVM type of several parts: that of the only one, or a struct; `None` for no parts.
    pub fn aggregate(&self, parts: &[BasicTypeEnum<'ctx>]) -> Option<BasicTypeEnum<'ctx>> {
        match *parts {
            [] => None,
            [part] => Some(part),
            _ => Some(self.ir.context.struct_type(parts, false).into()),
        }
    }

    /// The function with this wasm index, declared if need be.
    pub fn function(&mut self, index: u32) -> FunctionValue<'ctx> {
        if let Some(&function) = self.functions.get(&index) {
            return function;
        }
        let throws = self.program.exceptions.throwing[index as usize];
        let function = self.declare(&names::function_symbol(index), index, throws);
        self.functions.insert(index, function);
        function
    }

    /// A new function of the type of a wasm function.
    pub fn declare(&self, symbol: &str, index: u32, throws: bool) -> FunctionValue<'ctx> {
        let ty = self.function_type(self.program.info.type_of(index), throws);
        let function = self.module.add_function(symbol, ty, Some(Linkage::External));
        function.set_call_conventions(TAIL_CC);
        self.add_common_attributes(function);
        function
    }

    /// The calling convention of wasm functions.
    pub fn call_convention(&self) -> u32 {
        TAIL_CC
    }

    /// A function of the runtime or of the reader's vocabulary. It never unwinds.
    pub fn helper(&mut self, symbol: &str, ty: FunctionType<'ctx>) -> FunctionValue<'ctx> {
        if let Some(&function) = self.others.get(symbol) {
            return function;
        }
        let function = self.module.add_function(symbol, ty, Some(Linkage::External));
        self.add_flag(function, "nounwind");
        self.others.insert(symbol.to_owned(), function);
        function
    }

    /// Appends a trap. `offset` is that of the operator in the module.
    pub fn trap(&mut self, code: TrapCode, offset: Option<usize>) {
        if self.program.options.reports_traps {
            let function = self.trap_function(TrapCode::REPORT, &[self.ir.i32.into(), self.ir.i32.into()]);
            let offset = offset.and_then(|offset| u32::try_from(offset).ok()).unwrap_or(TrapCode::NO_OFFSET);
            let args = [code.number(), offset].map(|arg| self.ir.c32(arg).into());
            self.ir.call(function, &args);
        } else {
            let function = self.trap_function(names::TRAP, &[self.ir.i32.into()]);
            self.ir.call(function, &[self.ir.c32(code as u32).into()]);
        }
        self.ir.builder.build_unreachable().expect("the builder is positioned");
    }

    /// A function that traps.
    fn trap_function(
        &mut self,
        symbol: &'static str,
        params: &[BasicMetadataTypeEnum<'ctx>],
    ) -> FunctionValue<'ctx> {
        let ty = self.ir.context.void_type().fn_type(params, false);
        let known = self.others.contains_key(symbol);
        let function = self.helper(symbol, ty);
        if !known {
            self.add_flag(function, "noreturn");
            self.add_flag(function, "cold");
            self.add_int_attribute(function, "memory", MEMORY_INACCESSIBLE);
        }
        function
    }

    /// `i64 @__wasm_ref_func.<index>()`.
    pub fn ref_function(&mut self, index: u32) -> FunctionValue<'ctx> {
        self.pure_helper(&names::ref_func_symbol(index), self.ir.i64.fn_type(&[], false))
    }

    /// The function that marks an access, `void(ptr address, ptr, ptr, i32 access, ptr)`. It is the intrinsic whose
    /// effect LLVM keeps and that costs nothing in its models.
    pub fn check_function(&mut self) -> FunctionValue<'ctx> {
        let ptr = self.ir.context.ptr_type(AddressSpace::default()).into();
        self.intrinsic("llvm.var.annotation", &[ptr, ptr])
    }

    /// `i32 @__wasm_frame(i32 size, i32 align)`.
    pub fn frame_function(&mut self) -> FunctionValue<'ctx> {
        let i32 = self.ir.i32;
        let known = self.others.contains_key(names::FRAME);
        let function = self.helper(names::FRAME, i32.fn_type(&[i32.into(), i32.into()], false));
        if !known {
            self.add_flag(function, "willreturn");
            self.add_int_attribute(function, "memory", MEMORY_INACCESSIBLE);
        }
        function
    }

    /// The function that returns the base of a memory, see [`names::memory_base_symbol`].
    pub fn memory_base_function(&mut self, memory: u32) -> FunctionValue<'ctx> {
        let ptr = self.ir.context.ptr_type(AddressSpace::default());
        self.pure_helper(&names::memory_base_symbol(memory), ptr.fn_type(&[], false))
    }

    /// `i32 @__wasm_literal(i32, i32, i32)`, which [`wasm_program::statics`] replaces by an address or a number.
    pub fn literal_function(&mut self) -> FunctionValue<'ctx> {
        self.static_address_function();
        let i32 = self.ir.i32;
        self.pure_helper(names::LITERAL, i32.fn_type(&[i32.into(); 3], false))
    }

    /// `i64 @__wasm_literal_wide(i32, i32, i32, i32)`, as [`Self::literal_function`].
    pub fn wide_literal_function(&mut self) -> FunctionValue<'ctx> {
        self.static_address_function();
        let (i32, i64) = (self.ir.i32, self.ir.i64);
        self.pure_helper(names::LITERAL_WIDE, i64.fn_type(&[i32.into(); 4], false))
    }

    /// `i32 @__wasm_static_address(i32, i32)`, see [`names::STATIC_ADDRESS`].
    pub fn static_address_function(&mut self) -> FunctionValue<'ctx> {
        let i32 = self.ir.i32;
        self.pure_helper(names::STATIC_ADDRESS, i32.fn_type(&[i32.into(); 2], false))
    }

    /// `i1 @__wasm_in_arguments(i32, i32, i32)`, see [`names::IN_ARGUMENTS`].
    pub fn in_arguments_function(&mut self) -> FunctionValue<'ctx> {
        let ty = self.ir.context.bool_type().fn_type(&[self.ir.i32.into(); 3], false);
        self.pure_helper(names::IN_ARGUMENTS, ty)
    }

    /// `i1 @__wasm_range_in_arguments(i32, i32)`, see [`names::RANGE_IN_ARGUMENTS`].
    pub fn range_in_arguments_function(&mut self) -> FunctionValue<'ctx> {
        let ty = self.ir.context.bool_type().fn_type(&[self.ir.i32.into(); 2], false);
        self.pure_helper(names::RANGE_IN_ARGUMENTS, ty)
    }

    /// A function without side effects that is too long to be executed without need.
    pub fn pure_function(&mut self, symbol: &str, ty: FunctionType<'ctx>) -> FunctionValue<'ctx> {
        let known = self.others.contains_key(symbol);
        let function = self.helper(symbol, ty);
        if !known {
            self.add_flag(function, "willreturn");
            self.add_int_attribute(function, "memory", MEMORY_NONE);
        }
        function
    }

    fn pure_helper(&mut self, symbol: &str, ty: FunctionType<'ctx>) -> FunctionValue<'ctx> {
        let known = self.others.contains_key(symbol);
        let function = self.helper(symbol, ty);
        if !known {
            for name in ["willreturn", "speculatable"] {
                self.add_flag(function, name);
            }
            self.add_int_attribute(function, "memory", MEMORY_NONE);
        }
        function
    }

    /// An LLVM intrinsic overloaded on `types`.
    pub fn intrinsic(&mut self, name: &'static str, types: &[BasicTypeEnum<'ctx>]) -> FunctionValue<'ctx> {
        let key = types.iter().fold(name.to_owned(), |key, ty| format!("{key}.{ty}"));
        if let Some(&function) = self.others.get(&key) {
            return function;
        }
        let intrinsic = Intrinsic::find(name).expect("LLVM has this intrinsic");
        let function = intrinsic.get_declaration(&self.module, types).expect("the overload exists");
        self.others.insert(key, function);
        function
    }

    /// An external variable of the given type and alignment.
    pub fn variable(&mut self, symbol: String, ty: BasicTypeEnum<'ctx>, align: u32) -> PointerValue<'ctx> {
        if let Some(&pointer) = self.globals.get(&symbol) {
            return pointer;
        }
        let global = self.module.add_global(ty, Some(AddressSpace::default()), &symbol);
        global.set_linkage(Linkage::External);
        global.set_alignment(align);
        self.globals.insert(symbol, global.as_pointer_value());
        global.as_pointer_value()
    }

    /// Declares a variable that is never written.
    pub fn constant(&mut self, symbol: String, ty: BasicTypeEnum<'ctx>, align: u32) -> PointerValue<'ctx> {
        let pointer = self.variable(symbol.clone(), ty, align);
        self.module.get_global(&symbol).expect("it was just added").set_constant(true);
        pointer
    }

    /// Attributes that every wasm function has.
    fn add_common_attributes(&self, function: FunctionValue<'ctx>) {
        for name in ["nounwind", "null_pointer_is_valid"] {
            self.add_flag(function, name);
        }
        match self.program.options.level {
            OptLevel::O0 | OptLevel::O1 | OptLevel::O2 => {}
            OptLevel::Os => self.add_flag(function, "optsize"),
            OptLevel::Oz => {
                self.add_flag(function, "optsize");
                self.add_flag(function, "minsize");
            }
        }
        // Loops may become fills and copies, but not calls of a C library, as there is none.
        for name in ["no-builtin-strlen", "no-builtin-wcslen"] {
            let attribute = self.ir.context.create_string_attribute(name, "");
            function.add_attribute(AttributeLoc::Function, attribute);
        }
    }

    /// Adds an attribute without an operand.
    pub fn add_flag(&self, function: FunctionValue<'ctx>, name: &str) {
        self.add_int_attribute(function, name, 0);
    }

    fn add_int_attribute(&self, function: FunctionValue<'ctx>, name: &str, operand: u64) {
        let kind = Attribute::get_named_enum_kind_id(name);
        let attribute = self.ir.context.create_enum_attribute(kind, operand);
        function.add_attribute(AttributeLoc::Function, attribute);
    }
}
