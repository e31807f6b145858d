//! What the check has to know about the target: how its programs are made so that they can be called, and what their
//! options leave open.

use super::VerifyError;
use super::check::Rules;
use super::pvm::PvmProgram;
use super::subject::Program;
use super::thumb::ThumbProgram;
use crate::compile::compile;
use crate::error::Error;
use crate::options::{
    EntryMode, Floats, Format, MetadataContents, Names, Options, PvmBounds, PvmOptions, Target, ThumbBounds,
};

/// Bytes by which memory may grow in a call; programs have room for more.
const GROWTH: u32 = 1 << 20;

/// The options with which all exports can be called with values, and are described.
pub fn callable(options: Options) -> Options {
    let target = match options.target {
        Target::Pvm(pvm) => {
            let has_symbols = pvm.format.is_polkavm();
            let pvm = PvmOptions {
                entries: if has_symbols { EntryMode::Auto } else { EntryMode::Raw },
                format: if has_symbols { pvm.format } else { Format::Jam },
                names: Names::Keep,
                metadata: MetadataContents::Exports,
                map: false,
                ..pvm
            };
            pvm.into()
        }
        thumb @ Target::Thumb(_) => thumb,
    };
    Options { target, ..options }
}

/// The compiled program of a module.
///
/// # Errors
/// If it can't be compiled or run.
pub fn compiled(wasm: &[u8], options: &Options) -> Result<Box<dyn Program>, VerifyError> {
    let output = compile(wasm, options)?;
    match &options.target {
        Target::Pvm(_) => {
            let first = output.report.pvm().map(|report| report.linear_first);
            Ok(Box::new(PvmProgram::new(output.bytes, first)?))
        }
        Target::Thumb(thumb) => Ok(Box::new(ThumbProgram::new(wasm, &output.bytes, thumb)?)),
    }
}

/// A program that was compiled before, of a module.
///
/// # Errors
/// If it can't be run.
pub fn loaded(wasm: &[u8], file: &[u8], options: &Options) -> Result<Box<dyn Program>, VerifyError> {
    match &options.target {
        Target::Pvm(_) => Ok(Box::new(PvmProgram::new(file.to_vec(), None)?)),
        Target::Thumb(thumb) => Ok(Box::new(ThumbProgram::new(wasm, file, thumb)?)),
    }
}

/// What the options leave open in a module.
///
/// # Errors
/// If the module is malformed.
pub fn rules(wasm: &[u8], options: &Options) -> Result<Rules, Error> {
    let loose_bounds = match &options.target {
        Target::Pvm(pvm) => pvm.bounds == PvmBounds::Guard,
        Target::Thumb(thumb) => thumb.resolved_bounds() != ThumbBounds::Check,
    };
    let floats_trap = options.resolved_floats() == Floats::Trap
        && llvm_frontend::computes_floats(wasm, &options.frontend())?;
    Ok(Rules { loose_bounds, floats_trap })
}

/// Bytes by which every memory of a program can grow.
pub fn growth(options: &Options) -> u32 {
    match &options.target {
        Target::Pvm(pvm) => {
            let reserved = if pvm.format.is_polkavm() { pvm.growth_bytes } else { None };
            GROWTH.min(reserved.unwrap_or(GROWTH)).min(pvm.memory_reserve)
        }
        Target::Thumb(thumb) => GROWTH.min(thumb.memory_reserve),
    }
}

/// Bytes of the first memory at the start, where the options give more than the module.
pub const fn memory_bytes(options: &Options) -> Option<u32> {
    match &options.target {
        Target::Pvm(pvm) => pvm.memory_bytes,
        Target::Thumb(thumb) => thumb.memory_bytes,
    }
}
