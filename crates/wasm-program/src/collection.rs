//! Finding garbage collection in a module.
//!
//! Validators know the proposal as a whole. Of it, recursive groups of types and constant expressions over all earlier
//! globals cost nothing here, and a reference that code can only hold is opaque like any other, whatever its type is.
//! What needs a collector or casts at run time are the proposal's operators, and declared subtypes of function types, which
//! indirect calls would have to compare.

use wasmparser::{
    BinaryReaderError, CompositeInnerType, ConstExpr, ElementItems, Operator, Parser, Payload, TableInit,
    TypeSectionReader, WasmFeatures,
};

/// The uses of garbage collection in a module that is valid with that proposal, the first one of each section and function
/// body: its offset, and what it is.
pub fn uses(wasm: &[u8]) -> impl Iterator<Item = (u64, &'static str)> {
    let mut parser = Parser::new(0);
    parser.set_features(WasmFeatures::all());
    let payloads = parser.parse_all(wasm).map_while(Result::ok);
    payloads.filter_map(|payload| in_section(payload).ok().flatten())
}

type Found = Result<Option<(u64, &'static str)>, BinaryReaderError>;

fn in_section(payload: Payload<'_>) -> Found {
    match payload {
        Payload::TypeSection(types) => return in_types(types),
        Payload::TableSection(tables) => {
            for table in tables {
                if let TableInit::Expr(init) = table?.init
                    && let Some(found) = in_constant(&init)?
                {
                    return Ok(Some(found));
                }
            }
        }
        Payload::GlobalSection(globals) => {
            for global in globals {
                if let Some(found) = in_constant(&global?.init_expr)? {
                    return Ok(Some(found));
                }
            }
        }
        Payload::ElementSection(elements) => {
            for element in elements {
                let ElementItems::Expressions(_, items) = element?.items else { continue };
                for item in items {
                    if let Some(found) = in_constant(&item?)? {
                        return Ok(Some(found));
                    }
                }
            }
        }
        Payload::CodeSectionEntry(body) => {
            let mut reader = body.get_operators_reader()?;
            while !reader.eof() {
                let (op, offset) = reader.read_with_offset()?;
                if is_collecting(&op) {
                    return Ok(Some((offset, "an operator on structs, arrays or casts")));
                }
            }
        }
        _ => {}
    }
    Ok(None)
}

fn in_types(types: TypeSectionReader<'_>) -> Found {
    for group in types.into_iter_with_offsets() {
        let (offset, group) = group?;
        for ty in group.types() {
            let is_function = matches!(ty.composite_type.inner, CompositeInnerType::Func(_));
            if is_function && !ty.supertype_idxs.is_empty() {
                return Ok(Some((offset, "a declared subtype of a function type")));
            }
        }
    }
    Ok(None)
}

fn in_constant(expr: &ConstExpr<'_>) -> Found {
    for op in expr.get_operators_reader().into_iter_with_offsets() {
        let (op, offset) = op?;
        if is_collecting(&op) {
            return Ok(Some((offset, "a constant struct, array or conversion")));
        }
    }
    Ok(None)
}

macro_rules! proposals {
    ($(@$proposal:ident $op:ident $({ $($field:ident: $ty:ty),* })? => $visit:ident ($($shape:tt)*))*) => {
        /// Whether an operator is of the proposal.
        fn is_collecting(op: &Operator<'_>) -> bool {
            let proposal = match op {
                $(Operator::$op { .. } => stringify!($proposal),)*
                _ => "",
            };
            proposal == "gc"
        }
    };
}

wasmparser::for_each_operator!(proposals);
