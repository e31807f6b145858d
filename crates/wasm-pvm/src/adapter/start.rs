//! Instantiation of the result, which has the effects of instantiating its modules one after the other.
//!
//! Instantiating a module writes its active segments and calls its start function. In one module all active segments
//! come before the start function. So if the start function of a module may access memory or tables, the segments of
//! later modules become passive, and the start function of the result writes them.

use std::collections::BTreeSet;

use wasm_encoder::{Function, Instruction};
use wasmparser::{Data, DataKind, Element, ElementItems, ElementKind};

use super::AdapterError;
use super::accesses::{Accesses, accesses};
use super::encode::{Linker, Linking};
use super::layout::Layout;
use super::module::{LinkedModule, Space};
use super::resolve::{Meaning, Meanings};

/// The start function of the result.
pub struct Start {
    /// For each module, whether its active segments are written by the start function.
    pub is_late: Vec<bool>,
}

impl Start {
    pub fn new(modules: &[LinkedModule<'_>], layout: &Layout) -> Result<Self, AdapterError> {
        let mut is_late = vec![false; modules.len()];
        let mut is_seen = false;
        for &number in &layout.order {
            is_late[number] = is_seen && has_active_segments(&modules[number]);
            for &start in &modules[number].starts {
                is_seen |= !is_isolated(modules, &layout.meanings, number, start)?;
            }
        }
        Ok(Self { is_late })
    }

    /// The start function's only action, if that is a call of one function.
    pub fn single(&self, linking: &Linking<'_>) -> Result<Option<u32>, AdapterError> {
        let mut starts = Self::starts(linking);
        match (starts.next(), starts.next()) {
            (Some((number, start)), None) if !self.is_needed(linking) => {
                linking.layout.index(number, Space::Func, start).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Whether the result needs a start function of its own.
    pub fn is_needed(&self, linking: &Linking<'_>) -> bool {
        self.is_late.contains(&true) || Self::starts(linking).nth(1).is_some()
    }

    /// Start functions in their order, with their modules.
    fn starts<'s>(linking: &'s Linking<'_>) -> impl Iterator<Item = (usize, u32)> + 's {
        let starts =
            |&number: &usize| linking.modules[number].starts.iter().map(move |&start| (number, start));
        linking.layout.order.iter().flat_map(starts)
    }

    /// The body of the result's own start function.
    pub fn body(&self, linking: &Linking<'_>) -> Result<Function, AdapterError> {
        let mut body = Function::new([]);
        for &number in &linking.layout.order {
            let module = &linking.modules[number];
            let offsets = linking.layout.offsets[number];
            let mut linker = Linker { linking, module: number };
            if self.is_late[number] {
                for (n, element) in (offsets.elements..).zip(&module.elements) {
                    write_element(&mut linker, &mut body, n, element)?;
                }
                for (n, data) in (offsets.data..).zip(&module.data) {
                    write_data(&mut linker, &mut body, n, data)?;
                }
            }
            for &start in &module.starts {
                body.instruction(&Instruction::Call(linking.layout.index(number, Space::Func, start)?));
            }
        }
        body.instruction(&Instruction::End);
        Ok(body)
    }
}

fn write_element(
    linker: &mut Linker<'_>,
    body: &mut Function,
    elem_index: u32,
    element: &Element<'_>,
) -> Result<(), AdapterError> {
    let ElementKind::Active { table_index, offset_expr } = &element.kind else { return Ok(()) };
    let len = match &element.items {
        ElementItems::Functions(functions) => functions.count(),
        ElementItems::Expressions(_, expressions) => expressions.count(),
    };
    let table = linker.linking.layout.index(linker.module, Space::Table, table_index.unwrap_or(0))?;
    body.raw(linker.expression(offset_expr)?);
    body.instruction(&Instruction::I32Const(0));
    body.instruction(&Instruction::I32Const(len as i32));
    body.instruction(&Instruction::TableInit { elem_index, table });
    body.instruction(&Instruction::ElemDrop(elem_index));
    Ok(())
}

fn write_data(
    linker: &mut Linker<'_>,
    body: &mut Function,
    data_index: u32,
    data: &Data<'_>,
) -> Result<(), AdapterError> {
    let DataKind::Active { memory_index, offset_expr } = &data.kind else { return Ok(()) };
    let mem = linker.linking.layout.index(linker.module, Space::Memory, *memory_index)?;
    body.raw(linker.expression(offset_expr)?);
    body.instruction(&Instruction::I32Const(0));
    body.instruction(&Instruction::I32Const(data.data.len() as i32));
    body.instruction(&Instruction::MemoryInit { mem, data_index });
    body.instruction(&Instruction::DataDrop(data_index));
    Ok(())
}

fn has_active_segments(module: &LinkedModule<'_>) -> bool {
    module.elements.iter().any(|element| matches!(element.kind, ElementKind::Active { .. }))
        || module.data.iter().any(|data| matches!(data.kind, DataKind::Active { .. }))
}

/// Whether a start function and its callees neither access memory or tables nor call the host.
fn is_isolated(
    modules: &[LinkedModule<'_>],
    meanings: &Meanings,
    number: usize,
    start: u32,
) -> Result<bool, AdapterError> {
    let mut seen = BTreeSet::new();
    let mut open = vec![(number, start)];
    while let Some((number, index)) = open.pop() {
        match meanings[number][Space::Func as usize].get(index as usize) {
            Some(&Meaning::Definition(owner, n)) if seen.insert((owner, n)) => {
                let module = &modules[owner];
                let Some(body) = module.bodies.get(n as usize) else { return Ok(false) };
                for access in accesses(module, body)? {
                    match access {
                        Accesses::Memory | Accesses::Table => return Ok(false),
                        Accesses::Func(called) => open.push((owner, called)),
                        Accesses::Reference(_) => {}
                    }
                }
            }
            Some(Meaning::Definition(..)) => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}
