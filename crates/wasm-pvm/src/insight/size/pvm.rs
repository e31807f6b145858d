//! The bytes of a PVM program.

use std::collections::{BTreeMap, BTreeSet};

use pvm_isa::metadata::FunctionName;
use pvm_isa::{Container, GpVersion, Inst, ProgramBlob, spi};

use super::{Caller, SizeReport};
use crate::insight::demangled;
use crate::insight::map::CodeMap;

/// Cuts a program of `total` bytes into its parts.
pub fn read(container: &Container, total: usize, gp: GpVersion, map: Option<&CodeMap>) -> SizeReport {
    let form = container.form();
    let mut report = SizeReport { form, ..SizeReport::default() };
    let sizes = crate::Sizes::of_container(container, gp, total);
    report.add("metadata", "", sizes.metadata as u64);
    report.add("symbols", "of imports and exports", sizes.symbols as u64);
    report.add("names", "of functions", sizes.names as u64);
    data(&mut report, container, map);
    code(&mut report, container, gp, map);
    let page = u64::from(spi::PAGE_SIZE);
    for (name, bytes) in [("heap", sizes.heap_pages as u64 * page), ("stack", sizes.stack as u64)] {
        if bytes > 0 {
            report.zeros.push((name.to_owned(), bytes));
        }
    }
    report
}

fn data(report: &mut SizeReport, container: &Container, map: Option<&CodeMap>) {
    let (ro, ro_size, rw) = match container {
        Container::Jam { program, .. } | Container::Spi(program) => {
            (&program.ro_data, program.ro_data.len() as u32, &program.rw_data)
        }
        Container::PolkaVm(program) | Container::CoreVm { program, .. } => {
            (&program.ro_data, program.ro_size, &program.rw_data)
        }
        Container::Raw(_) => return,
    };
    let objects: Vec<_> = map.map_or_else(Vec::new, |map| {
        let object = |object: &crate::insight::map::DataRange| {
            let start = u64::from(object.address);
            (start..start + u64::from(object.bytes), object.name.clone())
        };
        map.data.iter().map(object).collect()
    });
    report.add_data("read-only data", spi::RO_START, ro, &objects);
    report.add_data("data", spi::rw_start(ro_size), rw, &objects);
}

/// The functions that the file knows, from the map or from its metadata, and the code before the first one.
fn functions(container: &Container, gp: GpVersion, map: Option<&CodeMap>) -> Vec<FunctionName> {
    let mut functions: Vec<FunctionName> = match map {
        Some(map) => map
            .functions
            .iter()
            .map(|function| FunctionName { pc: function.pc, name: function.name.clone() })
            .collect(),
        None => container.functions(gp),
    };
    functions.retain(|function| (function.pc as usize) < container.blob().code.len());
    functions.dedup_by_key(|function| function.pc);
    if functions.first().is_none_or(|first| first.pc > 0) && !container.blob().code.is_empty() {
        let name = if functions.is_empty() { "(functions without names)" } else { "(entries)" };
        functions.insert(0, FunctionName { pc: 0, name: name.to_owned() });
    }
    functions
}

fn code(report: &mut SizeReport, container: &Container, gp: GpVersion, map: Option<&CodeMap>) {
    let blob = container.blob();
    let functions = functions(container, gp, map);
    let ends = functions.iter().skip(1).map(|next| next.pc).chain([blob.code.len() as u32]);
    let entry_size = blob.jump_table_entry_size() as u64;
    let mut entries: BTreeMap<usize, u64> = BTreeMap::new();
    for &target in &blob.jump_table {
        *entries.entry(index_at(&functions, target)).or_default() += entry_size;
    }
    for (index, (function, end)) in functions.iter().zip(ends).enumerate() {
        let bytes = u64::from(end - function.pc);
        let file = map.and_then(|map| {
            let place = (function.pc..end).find_map(|pc| map.place_at(pc))?;
            Some(map.files[place.line?.file as usize].as_str())
        });
        report.add_function(&function.name, file, bytes);
        report.add("jump table", &demangled(&function.name), entries.get(&index).copied().unwrap_or(0));
        report.functions.push(Caller { name: demangled(&function.name), bytes, ..Caller::default() });
    }
    report.add("mask", "", blob.stored_mask().len() as u64);
    calls(report, container, gp, &functions);
}

/// The index of the function at a position.
fn index_at(functions: &[FunctionName], pc: u32) -> usize {
    functions.partition_point(|function| function.pc <= pc).saturating_sub(1)
}

/// Fills in the call graph. An entry of the jump table that is the start of a function is a reference to it; others are
/// return addresses and targets of switches.
fn calls(report: &mut SizeReport, container: &Container, gp: GpVersion, functions: &[FunctionName]) {
    let blob: &ProgramBlob = container.blob();
    let mut called: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); functions.len()];
    for (pc, inst) in blob.instructions(gp) {
        let target = inst.inst.target(pc).and_then(|target| u32::try_from(target).ok());
        let Some(target) = target.filter(|_| !matches!(inst.inst, Inst::Reg2Off { .. })) else { continue };
        let (from, to) = (index_at(functions, pc), index_at(functions, target));
        if from != to {
            called[from].insert(to as u32);
        }
    }
    for (caller, calls) in report.functions.iter_mut().zip(called) {
        caller.calls = calls.into_iter().collect();
    }
    for &target in &blob.jump_table {
        let index = index_at(functions, target);
        if functions.get(index).is_some_and(|function| function.pc == target) {
            report.functions[index].is_referenced = true;
        }
    }
    let entries = container.extension().exports.into_iter().map(|export| export.pc).chain([0]);
    for pc in entries {
        if let Some(function) = report.functions.get_mut(index_at(functions, pc)) {
            function.is_entry = true;
        }
    }
}
