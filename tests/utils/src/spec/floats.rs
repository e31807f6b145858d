//! Finds the exports of a module that may execute float arithmetic.
//!
//! The compiler makes a trap of each float operator under `--floats trap`, so an assertion about a function that
//! reaches one can't be judged. Reachability is that of the call graph: direct calls, and for an indirect call every
//! function whose reference the module takes.

use std::collections::BTreeSet;

use wasmparser::{ElementItems, Operator, Parser, Payload};

/// Names of exported functions that may execute float arithmetic. `bytes` is a valid module.
pub fn exports_reaching_floats(bytes: &[u8]) -> wasmparser::Result<BTreeSet<String>> {
    let mut graph = Graph::default();
    let mut exports = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ImportSection(section) => {
                let imports = section.into_imports().collect::<wasmparser::Result<Vec<_>>>()?;
                let is_func =
                    |import: &wasmparser::Import<'_>| matches!(import.ty, wasmparser::TypeRef::Func(_));
                graph
                    .bodies
                    .resize_with(imports.iter().filter(|import| is_func(import)).count(), Body::default);
            }
            Payload::ElementSection(section) => {
                for element in section {
                    graph.element(element?.items)?;
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    graph.const_expr(&global?.init_expr)?;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == wasmparser::ExternalKind::Func {
                        exports.push((export.name.to_owned(), export.index));
                    }
                }
            }
            Payload::CodeSectionEntry(body) => graph.body(&body)?,
            _ => {}
        }
    }
    let reaching = graph.reaching_floats();
    Ok(exports.into_iter().filter(|(_, func)| reaching[*func as usize]).map(|(name, _)| name).collect())
}

#[derive(Default)]
struct Body {
    floats: bool,
    calls_indirect: bool,
    callees: Vec<u32>,
}

#[derive(Default)]
struct Graph {
    bodies: Vec<Body>,
    referenced: Vec<u32>,
}

impl Graph {
    fn element(&mut self, items: ElementItems<'_>) -> wasmparser::Result<()> {
        match items {
            ElementItems::Functions(funcs) => {
                for func in funcs {
                    self.referenced.push(func?);
                }
            }
            ElementItems::Expressions(_, exprs) => {
                for expr in exprs {
                    self.const_expr(&expr?)?;
                }
            }
        }
        Ok(())
    }

    fn const_expr(&mut self, expr: &wasmparser::ConstExpr<'_>) -> wasmparser::Result<()> {
        for op in expr.get_operators_reader() {
            if let Operator::RefFunc { function_index } = op? {
                self.referenced.push(function_index);
            }
        }
        Ok(())
    }

    fn body(&mut self, body: &wasmparser::FunctionBody<'_>) -> wasmparser::Result<()> {
        let mut this = Body::default();
        for op in body.get_operators_reader()? {
            match op? {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    this.callees.push(function_index);
                }
                Operator::CallIndirect { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::CallRef { .. }
                | Operator::ReturnCallRef { .. } => this.calls_indirect = true,
                Operator::RefFunc { function_index } => self.referenced.push(function_index),
                op => this.floats |= is_float_arithmetic(&op),
            }
        }
        self.bodies.push(this);
        Ok(())
    }

    /// For each function, whether it reaches float arithmetic: a fixed point over the call graph.
    fn reaching_floats(&self) -> Vec<bool> {
        let mut reaching: Vec<bool> = self.bodies.iter().map(|body| body.floats).collect();
        loop {
            let indirect = self.referenced.iter().any(|&func| reaching[func as usize]);
            let mut changed = false;
            for (index, body) in self.bodies.iter().enumerate() {
                let reaches = (body.calls_indirect && indirect)
                    || body.callees.iter().any(|&callee| reaching[callee as usize]);
                changed |= reaches && !std::mem::replace(&mut reaching[index], true);
            }
            if !changed {
                return reaching;
            }
        }
    }
}

/// Whether an operator computes with floats. Loads, stores, constants and reinterpretations only move bits.
fn is_float_arithmetic(op: &Operator<'_>) -> bool {
    let name = format!("{op:?}");
    let name = name.split([' ', '{']).next().unwrap_or_default();
    let moves = ["Load", "Store", "Const", "Reinterpret", "Splat", "Lane"];
    (name.contains("F32") || name.contains("F64")) && !moves.iter().any(|word| name.contains(word))
}
