//! The place where a program stopped without halting: the run is repeated with a trace.
//!
//! A program without a clock or other inputs does the same again. The trace is many times slower than the engine, so long
//! runs are not repeated.

use anyhow::{Context, Result};
use pvm_isa::Container;
use wasm_pvm::insight::trap::{self, Explanation};
use wasm_pvm::run::{RunOptions, Status};

use super::program::Program;
use super::report::Report;
use crate::cli::args::RunArgs;

/// Gas of a run that is repeated at most.
const MAX_GAS: u64 = 200_000_000;

/// Explains the end of a run that did not halt; `None` if the run was too long.
pub fn explain(
    args: &RunArgs,
    program: &Program,
    input: &[u8],
    options: &RunOptions,
    report: &Report,
) -> Result<Option<Explanation>> {
    let Some(status) = report.outcomes().last().map(|last| &last.status) else { return Ok(None) };
    if report.outcomes().map(|outcome| outcome.gas).sum::<u64>() > MAX_GAS {
        tracing::info!("the run took more than {MAX_GAS} gas and is not repeated for an explanation");
        return Ok(None);
    }
    let traced = super::repeated(args, program, input, options)?;
    let container = Container::parse_for(options.gp, &program.bytes).context("not a PVM program")?;
    let gp = options.gp.or(container.gp()).unwrap_or_default();
    let trace = traced.session.trace();
    let explanation = trace.and_then(|trace| trap::explain(&traced.map, container.blob(), gp, trace));
    Ok(explanation.map(|explanation| match status {
        Status::OutOfGas => Explanation { reason: "the gas is used up".to_owned(), ..explanation },
        Status::HostCall { .. } => {
            Explanation { reason: "the host has no answer to this call".to_owned(), ..explanation }
        }
        Status::Halt | Status::Panic => explanation,
    }))
}
