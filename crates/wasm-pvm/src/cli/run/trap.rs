//! The explanation of a trap: the run is repeated with a trace.
//!
//! A program without a clock or other inputs does the same again. The trace is many times slower than the engine, so long
//! runs are not repeated.

use anyhow::{Context, Result};
use pvm_isa::Container;
use wasm_pvm::insight::CodeMap;
use wasm_pvm::insight::trap::{self, Explanation};
use wasm_pvm::run::{RunOptions, Status};

use super::program::Program;
use super::report::Report;
use crate::cli::args::RunArgs;

/// Gas of a run that is repeated at most.
const MAX_GAS: u64 = 200_000_000;

/// Explains the trap at the end of a run; `None` if it did not trap or was too long.
pub fn explain(
    args: &RunArgs,
    program: &Program,
    options: &RunOptions,
    report: &Report,
) -> Result<Option<Explanation>> {
    if report.outcomes().last().is_none_or(|last| last.status != Status::Panic) {
        return Ok(None);
    }
    if report.outcomes().map(|outcome| outcome.gas).sum::<u64>() > MAX_GAS {
        tracing::info!("the run took more than {MAX_GAS} gas and is not repeated for an explanation");
        return Ok(None);
    }
    let traced = super::repeated(args, program, options)?;
    let container = Container::parse(&program.bytes).context("not a PVM program")?;
    let gp = options.gp.or(container.gp()).unwrap_or_default();
    let trace = traced.session.trace();
    Ok(trace.and_then(|trace| trap::explain(&traced.map, container.blob(), gp, trace)))
}

/// The map that the metadata of a program gives.
pub fn described(program: &[u8]) -> Result<CodeMap> {
    let container = Container::parse(program).context("not a PVM program")?;
    let extension = container.extension();
    let base = extension.linear_memory.unwrap_or(0);
    Ok(CodeMap::of_functions(&container.blob().code, base, &extension.functions))
}
