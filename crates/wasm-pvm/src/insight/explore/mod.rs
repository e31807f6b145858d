//! The code of every stage side by side, as a page for a browser.
//!
//! The problem: a person who looks at an expensive instruction wants to see the operator it comes from, and what became of
//! that operator in between. The stages have no names in common, but all of their instructions carry the byte offset of
//! their operator in the module. In LLVM IR it is the line of the debug location, in `ssa` the source location, in
//! machine code the side table that maps are made of. So this file joins four texts by one number. The number never
//! influences code: the program is the same as without the page.
//!
//! | file | contents |
//! |---|---|
//! | `wasm` | the text of the module with offsets and source lines |
//! | `ir` | the text of LLVM IR with locations |
//! | `machine` | the finished code with bytes and gas |
//! | `page` | the page: templates and compressed data |
//!
//! An instruction in inlined code has a chain of places: its operator, the call that was inlined, and so on. Each chain
//! is a site, whose index all stages share.

mod ir;
mod machine;
mod page;
mod wasm;

use std::collections::BTreeMap;

use codegen::{Site, Sites};
use llvm_frontend::ModuleInfo;
use pvm_engine::Trace;
use pvm_isa::{GpVersion, ProgramBlob, gas};

use super::demangled;
use super::map::CodeMap;
use super::profile::{Costs, spread};
use machine::MachineFunction;
use wasm::WasmText;

/// The machine that a program is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Machine {
    /// The PVM, with the version of its gas model.
    Pvm(GpVersion),
    /// Cortex-M.
    Thumb,
}

/// A line of a stage.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line {
    /// The text.
    pub text: String,
    /// The index of the site that it comes from.
    pub site: Option<u32>,
}

/// The SSA of all functions.
#[derive(Clone, Debug, Default)]
pub struct SsaText {
    functions: Vec<(String, Vec<Line>)>,
    sites: Sites,
}

/// The results of a compilation that a page shows.
pub struct Stages<'a> {
    /// The module, with everything linked in.
    pub wasm: &'a [u8],
    /// LLVM IR by part.
    pub ir: &'a [String],
    /// SSA before code generation.
    pub ssa: SsaText,
    /// The map of the code.
    pub map: &'a CodeMap,
    /// The machine.
    pub machine: Machine,
    /// The output file.
    pub program: &'a [u8],
}

/// A function in all stages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Explored {
    name: String,
    /// Its index in the module.
    wasm: Option<u32>,
    ir: Vec<Line>,
    ssa: Vec<Line>,
    machine: MachineFunction,
}

/// What a run cost.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RunCosts {
    /// The run in words.
    pub name: String,
    /// Executions and gas of each instruction, by position.
    pub instructions: BTreeMap<u32, (u64, u64)>,
    /// Calls of functions, by position.
    pub calls: BTreeMap<u32, u64>,
}

/// The code of every stage of a program.
#[derive(Clone, Debug)]
pub struct Exploration {
    machine: Machine,
    functions: Vec<Explored>,
    sites: Sites,
    text: WasmText,
}

impl RunCosts {
    /// The costs of a traced run.
    pub fn new(name: String, blob: &ProgramBlob, gp: GpVersion, trace: &Trace) -> Self {
        let mut costs = Costs::new();
        let mut instructions: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for sample in trace.samples() {
            let costs = costs.entry(sample.pc).or_insert_with(|| gas::instruction_costs(gp, blob, sample.pc));
            for (pc, gas) in spread(&sample, costs) {
                let sum = instructions.entry(pc).or_default();
                sum.0 += sample.count;
                sum.1 += gas;
            }
        }
        Self { name, instructions, calls: trace.calls_of_functions().clone() }
    }
}

impl SsaText {
    /// The text of all functions with a body.
    pub fn of(module: &ssa::Module) -> Self {
        let mut text = Self::default();
        for (id, func) in module.functions.iter() {
            let Some(func) = func else { continue };
            let line = |(line, inst): (String, Option<ssa::Inst>)| {
                let loc = inst.and_then(|inst| func.source.get(inst));
                Line { text: line, site: loc.map(|loc| text.sites.of_location(&func.source, loc)) }
            };
            let lines = ssa::print_lines(module, func).into_iter().map(line).collect();
            text.functions.push((module.decls[id].name.clone(), lines));
        }
        text
    }
}

impl Exploration {
    /// Joins the stages.
    pub fn new(stages: Stages<'_>) -> Self {
        let Stages { wasm, ir, mut ssa, map, machine, program } = stages;
        let info = ModuleInfo::parse(wasm).expect("the frontend has read the module");
        let mut sites = Sites::default();
        for place in &map.places {
            sites.add(Site { offset: place.offset, inlined_at: place.inlined_at });
        }
        let renumbered = renumber(&ssa.sites, &mut sites);
        let lines = ssa.functions.iter_mut().flat_map(|(_, lines)| lines);
        lines.for_each(|line| line.site = line.site.map(|site| renumbered[site as usize]));
        let mut explored = Self { machine, functions: Vec::new(), sites, text: WasmText::new(&info, wasm) };
        explored.join(&info, machine::functions(map, machine, program), ssa.functions);
        for part in ir {
            for function in ir::functions(part, &mut explored.sites) {
                explored.add_ir(function);
            }
        }
        explored
    }

    /// Pairs functions of the machine with those in SSA and in the module. All are in the order of the module, but some of
    /// the machine are not in SSA, and some of the module are in neither.
    fn join(
        &mut self,
        info: &ModuleInfo,
        machine: Vec<(String, MachineFunction)>,
        ssa: Vec<(String, Vec<Line>)>,
    ) {
        let own = info.imported_functions() as u32..info.functions.len() as u32;
        let mut indices: BTreeMap<String, u32> = BTreeMap::new();
        for index in own {
            indices.entry(info.function_name(index)).or_insert(index);
        }
        let mut ssa = ssa.into_iter().peekable();
        for (name, machine) in machine {
            let lines = ssa.next_if(|(known, _)| *known == name).map(|(_, lines)| lines).unwrap_or_default();
            let wasm = indices.remove(&name);
            self.functions.push(Explored { name, wasm, ir: Vec::new(), ssa: lines, machine });
        }
        let mut without_code: Vec<(u32, String)> =
            indices.into_iter().map(|(name, index)| (index, name)).collect();
        without_code.sort_unstable();
        let absent = |(index, name)| Explored { name, wasm: Some(index), ..Explored::default() };
        self.functions.extend(without_code.into_iter().map(absent));
        for function in &mut self.functions {
            function.name = demangled(&function.name);
        }
    }

    fn add_ir(&mut self, function: ir::IrFunction) {
        let ir::IrFunction { symbol, index, lines } = function;
        let is_meant = |known: &&mut Explored| match index {
            Some(index) => known.wasm == Some(index),
            None => known.wasm.is_none() && known.name == symbol,
        };
        if let Some(known) = self.functions.iter_mut().find(is_meant) {
            known.ir.extend(lines);
        }
    }
}

/// Adds sites to others; returns the new index of each.
fn renumber(from: &Sites, to: &mut Sites) -> Vec<u32> {
    let mut new: Vec<u32> = Vec::with_capacity(from.list().len());
    for site in from.list() {
        let inlined_at = site.inlined_at.map(|outer| new[outer as usize]);
        new.push(to.add(Site { offset: site.offset, inlined_at }));
    }
    new
}
