//! The deepest stack of each entry, proven from frames and calls.
//!
//! Every frame has a fixed size: functions that move the C stack's pointer by a variable amount keep their part of the C
//! stack in memory. The stack pointer is lowered by at most the size of the frame, and no function uses more than the
//! [`RED_ZONE`] bytes below its frame. So the deepest path of calls, plus that many bytes, bounds the stack. Host calls
//! take none of it.
//!
//! An indirect call may go to every function with its type whose address is taken: the code compares types before it
//! calls. A host that has the addresses of exported tables may call the functions in them, too.

use codegen::Fragments;
use codegen::depth::{Depth, Depths, Edge, Node};
use ssa::{DataKind, EntityId as _, ExportItem, FuncDecl, FuncId, Function, InstData, Module, SigId};

use crate::adapt::entries::Entry;
use crate::frame::RED_ZONE;
use crate::isa::{Pvm, call_layout};
use crate::memory::{MemoryError, MemoryPlan, STACK_ROOM};

/// The deepest stack below an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryStack {
    /// The name of the entry.
    pub name: String,
    /// The path of calls with the deepest stack. Its bytes include those below the last frame, and those of arguments
    /// that a host puts on the stack. They are a bound if there is no recursion.
    pub depth: Depth,
}

/// The deepest stacks of a program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stacks {
    /// The stack of each entry.
    pub entries: Vec<EntryStack>,
    /// The bytes of stack that suffice for all that a host can call, if nothing is recursive.
    pub bound: Option<u32>,
}

/// Finds the deepest stacks.
pub fn stacks(
    module: &Module,
    fragments: &Fragments<Pvm>,
    entries: &[Entry],
    target: &Pvm,
    hosts_have_tables: bool,
) -> Stacks {
    let taken = taken(module, target);
    let nodes = graph(module, fragments, &taken);
    let depths = Depths::new(&nodes);
    // Bytes beside those of frames.
    let more = |func: FuncId| call_layout(module.signature_of(func)).stack_bytes + RED_ZONE;
    let targets: Vec<(&Entry, FuncId)> =
        entries.iter().filter_map(|entry| Some((entry, entry.target?))).collect();
    let exports_table = module.exports.iter().any(|export| match export.item {
        ExportItem::Data(data) => module.data[data].kind == DataKind::Table,
        ExportItem::Func(_) => false,
    });
    let of_host = taken.iter().filter(|_| hosts_have_tables && exports_table);
    let called = targets.iter().map(|(_, func)| func).chain(of_host);
    let bytes = called.map(|&func| Some(depths.bound(func.index())?.saturating_add(more(func))));
    let most = bytes.reduce(|most, bytes| Some(most?.max(bytes?))).unwrap_or(Some(0));
    let entries = targets.iter().map(|(entry, func)| {
        let depth = depths.of(func.index());
        let bytes = depth.bytes.saturating_add(more(*func));
        EntryStack { name: entry.name.clone(), depth: Depth { bytes, ..depth } }
    });
    Stacks {
        entries: entries.collect(),
        bound: most.map(|bytes| bytes.max(target.plan.variables_on_stack())),
    }
}

/// Refuses a stack in linear memory that may need more room than it has in the place of the module's C stack.
///
/// # Errors
/// [`MemoryError::StackInMemory`].
pub fn check_room(stacks: &Stacks, plan: &MemoryPlan) -> Result<(), MemoryError> {
    let Some(room) = plan.stack_room() else { return Ok(()) };
    match stacks.bound {
        Some(bytes) if bytes > room => Err(MemoryError::StackInMemory("the C stack is too small")),
        None if room < STACK_ROOM => Err(MemoryError::StackInMemory("the C stack is small, for recursion")),
        _ => Ok(()),
    }
}

/// Functions whose address is in the code or in data, in order.
fn taken(module: &Module, target: &Pvm) -> Vec<FuncId> {
    let insts = module.functions.values().flatten().flat_map(insts_of);
    let in_code = insts.filter_map(|inst| match inst {
        InstData::FuncRef { func } => Some(*func),
        _ => None,
    });
    let placed = module.data.iter().filter(|(id, _)| target.plan.try_address(*id).is_some());
    let in_data = placed.flat_map(|(_, object)| &object.relocs).map(|reloc| reloc.func);
    let mut taken: Vec<FuncId> = in_code.chain(in_data).collect();
    taken.sort_unstable();
    taken.dedup();
    taken
}

fn insts_of(func: &Function) -> impl Iterator<Item = &InstData> {
    func.blocks.values().flat_map(|block| &block.insts).map(|&inst| &func.insts[inst])
}

/// The call graph: functions by id, then a node without a name for each signature.
fn graph(module: &Module, fragments: &Fragments<Pvm>, taken: &[FuncId]) -> Vec<Node> {
    let bytes = |id: FuncId| fragments[id].as_ref().map(|fragment| fragment.stack_bytes);
    let function = |(id, decl): (FuncId, &FuncDecl)| Node {
        name: decl.name.clone(),
        bytes: bytes(id),
        is_import: module.functions[id].is_none(),
        ..Node::default()
    };
    let mut nodes: Vec<Node> = module.decls.iter().map(function).collect();
    let functions = nodes.len();
    nodes.extend(module.signatures.ids().map(|_| Node { bytes: Some(0), ..Node::default() }));
    let of_type = |sig: SigId| functions + sig.index();
    for (caller, body) in module.functions.iter() {
        let node = &mut nodes[caller.index()];
        for inst in body.iter().flat_map(insts_of) {
            let (to, is_tail) = match inst {
                InstData::Call { func, .. } => (func.index(), false),
                InstData::TailCall { func, .. } => (func.index(), true),
                InstData::CallIndirect { sig, .. } => (of_type(*sig), false),
                InstData::TailCallIndirect { sig, .. } => (of_type(*sig), true),
                _ => continue,
            };
            node.is_indirect |= to >= functions;
            // Host calls take no stack.
            if to >= functions || module.functions[FuncId::new(to)].is_some() {
                node.edges.push(Edge { to, is_tail });
            }
        }
        node.edges.sort_unstable();
        node.edges.dedup();
    }
    for func in taken {
        nodes[of_type(module.decls[*func].sig)].edges.push(Edge { to: func.index(), is_tail: true });
    }
    nodes
}
