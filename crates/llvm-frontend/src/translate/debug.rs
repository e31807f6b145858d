//! Source locations as LLVM's debug locations.
//!
//! LLVM keeps the debug location of an instruction through its passes, merges those of instructions that it merges,
//! and never bases a decision about code on them. It knows lines, columns and scopes; we need one number per
//! instruction. So the line of a location is the id of a [`SourceLoc`] plus one; line 0 means no location. The line of
//! a function is the id of its [`Subprogram`] plus one. An inlined instruction has the location it had in its own
//! function.

use inkwell::context::Context;
use inkwell::debug_info::{
    AsDIScope as _, DICompileUnit, DIFile, DIFlags, DIFlagsConstants as _, DILocation, DISubprogram,
    DISubroutineType, DWARFEmissionKind, DWARFSourceLanguage, DebugInfoBuilder,
};
use inkwell::module::{FlagBehavior, Module};
use inkwell::values::FunctionValue;
use ssa::{SourceLoc, Subprogram};
use wasm_program::names;

use super::ir::Ir;

/// The version of debug information that this LLVM reads; it drops any other.
const VERSION: u32 = 3;

/// The debug information of a module.
pub struct Debug<'ctx> {
    builder: DebugInfoBuilder<'ctx>,
    unit: DICompileUnit<'ctx>,
    ty: DISubroutineType<'ctx>,
}

/// A function of the source.
#[derive(Clone, Copy)]
pub struct Scope<'ctx> {
    subprogram: DISubprogram<'ctx>,
    /// The location of its start.
    pub start: Option<SourceLoc>,
}

impl<'ctx> Debug<'ctx> {
    /// Debug information without a function.
    pub fn new(module: &Module<'ctx>, ir: &Ir<'ctx>) -> Self {
        module.add_basic_value_flag("Debug Info Version", FlagBehavior::Warning, ir.c32(VERSION));
        let (builder, unit) = module.create_debug_info_builder(
            true,
            DWARFSourceLanguage::C,
            "wasm",
            "",
            "",
            false,
            "",
            0,
            "",
            DWARFEmissionKind::LineTablesOnly,
            0,
            false,
            false,
            "",
            "",
        );
        let ty = builder.create_subroutine_type(unit.get_file(), None, &[], DIFlags::ZERO);
        Self { builder, unit, ty }
    }

    fn file(&self) -> DIFile<'ctx> {
        self.unit.get_file()
    }

    /// Makes a function correspond to a function of the source.
    pub fn open(
        &self,
        function: FunctionValue<'ctx>,
        subprogram: Subprogram,
        start: Option<SourceLoc>,
    ) -> Scope<'ctx> {
        let name = function.get_name().to_string_lossy();
        let line = names::debug_line(Some(subprogram));
        let subprogram = self.builder.create_function(
            self.unit.as_debug_info_scope(),
            &name,
            None,
            self.file(),
            line,
            self.ty,
            false,
            true,
            line,
            DIFlags::ZERO,
            false,
        );
        function.set_subprogram(subprogram);
        Scope { subprogram, start }
    }

    /// The location for a source location in a function.
    pub fn location(
        &self,
        context: &'ctx Context,
        scope: &Scope<'ctx>,
        loc: Option<SourceLoc>,
    ) -> DILocation<'ctx> {
        let scope = scope.subprogram.as_debug_info_scope();
        self.builder.create_debug_location(context, names::debug_line(loc), 0, scope, None)
    }
}
