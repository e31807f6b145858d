//! All that reads programs and objects, as the command line does, on any bytes.

use anyhow::Result;
use pvm_isa::{Container, GpVersion};
use wasm_pvm::insight::code_stack;
use wasm_pvm::insight::map::CodeMap;
use wasm_pvm::insight::size::SizeReport;
use wasm_pvm::object::{Summary, assembly, function_at, trap_at};
use wasm_pvm::run::{EntryPoint, RunOptions};
use wasm_pvm::{Sizes, run};

/// Gas of a run.
const GAS: u64 = 20_000;

/// `disasm`, `info`, `gas`, `size` and `run` on bytes that may be a program. A program has a report for each.
///
/// # Errors
/// If a container can be read but not measured.
pub fn program(bytes: &[u8]) -> Result<()> {
    pvm_isa::testing::exercise(bytes);
    for gp in GpVersion::ALL {
        let Ok(container) = Container::parse_for(Some(gp), bytes) else { continue };
        let names = container.functions(gp);
        let _ = Sizes::of_container(&container, gp, bytes.len());
        let map = CodeMap::of_container(&container, gp);
        let report = SizeReport::read(bytes, Some(gp), Some(&map))?;
        assert!(report.advice().len() <= 100 && report.retained().len() <= bytes.len());
        let _ = code_stack::stacks(&container, gp);
        let trace = Some(map.starts()).filter(|_| names.len() % 2 == 1);
        for entry in [EntryPoint::First, EntryPoint::Pc(5)] {
            let options =
                RunOptions { entry, gas: GAS, gp: Some(gp), trace: trace.clone(), ..RunOptions::default() };
            let _ = run::run(bytes, &options);
        }
    }
    Ok(())
}

/// `disasm`, `info`, `size` and `explain-trap` on bytes that may be an object.
pub fn object(bytes: &[u8]) {
    let _ = assembly(bytes);
    let Ok(summary) = Summary::read(bytes) else { return };
    let _ = SizeReport::read(bytes, None, None);
    let _ = function_at(bytes, 40);
    for function in summary.functions.iter().take(3) {
        let _ = trap_at(bytes, &function.name, 2);
    }
}
