//! Functions beside those of the module, for exceptions: the outside calls *entries*, which trap where an exception
//! isn't caught, and references to imports refer to *thunks*, which throw nothing.

use inkwell::values::{BasicValueEnum, FunctionValue};
use ssa::TrapCode;
use wasm_program::names;

use super::env::Env;
use super::exception::undefined;

/// Defines the function that the outside calls in place of one that may throw: it traps if that throws.
pub fn define_entry(env: &mut Env<'_, '_>, index: u32) {
    let callee = env.function(index);
    let entry = env.declare(&names::entry_symbol(index), index, false);
    let results = env.part_types(&env.program.info.type_of(index).results).len();
    let parts = forward(env, entry, callee);
    let thrown = env.ir.is_nonzero(parts[results].into_int_value());
    let (trap, done) = (env.ir.new_block(), env.ir.new_block());
    env.ir.branch(thrown, trap, done);
    env.ir.at_end(trap);
    env.trap(TrapCode::Exception, None);
    env.ir.at_end(done);
    env.emit_return(&parts[..results]);
}

/// Defines the function that references to an import refer to: it throws nothing.
pub fn define_thunk(env: &mut Env<'_, '_>, index: u32) {
    let callee = env.function(index);
    let thunk = env.declare(&names::thunk_symbol(index), index, true);
    let mut parts = forward(env, thunk, callee);
    parts.extend(env.no_exception());
    env.emit_return(&parts);
}

/// Opens a function that calls another with its own arguments; returns the parts of the results.
fn forward<'ctx>(
    env: &Env<'ctx, '_>,
    function: FunctionValue<'ctx>,
    callee: FunctionValue<'ctx>,
) -> Vec<BasicValueEnum<'ctx>> {
    env.ir.builder.unset_current_debug_location();
    env.ir.at_end(env.ir.context.append_basic_block(function, "entry"));
    match env.ir.call(callee, &function.get_params()) {
        None => Vec::new(),
        Some(BasicValueEnum::StructValue(value)) => {
            let field = |n| env.ir.builder.build_extract_value(value, n, "").expect("it has this field");
            (0..value.get_type().count_fields()).map(field).collect()
        }
        Some(value) => vec![value],
    }
}

impl<'ctx> Env<'ctx, '_> {
    /// The parts of an exception if nothing is thrown.
    pub fn no_exception(&self) -> Vec<BasicValueEnum<'ctx>> {
        let mut parts: Vec<_> = self.exception_types().into_iter().map(undefined).collect();
        parts[0] = self.ir.c32(0).into();
        parts
    }

    /// Appends a `ret` of parts.
    pub fn emit_return(&self, parts: &[BasicValueEnum<'ctx>]) {
        let builder = &self.ir.builder;
        let built = match parts {
            [] => builder.build_return(None),
            [value] => builder.build_return(Some(value)),
            _ => builder.build_aggregate_return(parts),
        };
        built.expect("the builder is positioned");
    }
}
