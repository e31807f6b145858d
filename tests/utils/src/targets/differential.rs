//! Random programs on both machines against `wasmi`: of `wasm-smith`, straight from the bytes, and of the generators for
//! single subjects.

use anyhow::{Context, Result};
use random::Rng;
use wasm_pvm::{Cpu, Floats, GpVersion, Options, PvmBounds, PvmOptions, ShadowStack};

use super::options::LEVELS;
use super::split;
use crate::fuzz::{Contents, compare, module_of_bytes};
use crate::program::Pvm;
use crate::spelled::{Open, spell_out};
use crate::thumb::{Setup, Thumb};
use crate::{adapters, data, edges, helpers, nests, shapes, stacks, tails};

/// Checks a random program; the seed chooses options and arguments.
type Generator = fn(u64, Rng) -> Result<()>;

/// Contents of modules of `wasm-smith`, which are the first kinds of inputs.
pub const CONTENTS: [Contents; 3] = [Contents::Integers, Contents::Floats, Contents::Vectors];

/// The other kinds of inputs for the PVM.
pub const ON_PVM: [Generator; 8] = [
    edges::check_with,
    stacks::check_with,
    helpers::check_with,
    data::check_with,
    tails::check_pvm_with,
    |seed, random| nests::check_pvm_with(seed, random).map(drop),
    |seed, random| adapters::agreed_with(seed, random).map(drop),
    shapes::check_pvm_with,
];

/// The other kinds of inputs for boards.
pub const ON_BOARDS: [Generator; 4] = [
    tails::check_board_with,
    |seed, random| nests::check_board_with(seed, random).map(drop),
    shapes::check_board_with,
    edges_on_board,
];

pub fn check_pvm(bytes: &[u8]) -> Result<()> {
    let (mut choices, rest) = split(bytes);
    let kind = choices.below(CONTENTS.len() + ON_PVM.len());
    let seed = choices.bits();
    match CONTENTS.get(kind) {
        Some(&contents) => {
            let target = PvmOptions {
                gp: choices.pick(&[GpVersion::V08, GpVersion::V072]),
                // Guard pages find accesses by the page only.
                bounds: PvmBounds::Strict,
                ..PvmOptions::default()
            };
            let options = Options {
                level: choices.pick(&LEVELS),
                shadow_stack: choices.pick(&[ShadowStack::Auto, ShadowStack::Strict]),
                threads: 1,
                ..Options::new(target)
            };
            let Ok(wasm) = module_of_bytes(choices, rest, contents) else { return Ok(()) };
            compare(&wasm, seed, &Pvm { options: options.clone() })
                .with_context(|| format!("{options:?}"))?;
            Ok(())
        }
        None => ON_PVM[kind - CONTENTS.len()](seed, Rng::from_bytes(rest)),
    }
}

pub fn check_board(bytes: &[u8]) -> Result<()> {
    let (mut choices, rest) = split(bytes);
    if !Setup::new(Cpu::M4F, LEVELS[0], Floats::Soft).is_available() {
        return Ok(());
    }
    let kind = choices.below(CONTENTS.len() + ON_BOARDS.len());
    let seed = choices.bits();
    match CONTENTS.get(kind) {
        Some(&contents) => {
            let setup = setup(&mut choices, contents);
            let Ok(wasm) = module_of_bytes(choices, rest, contents) else { return Ok(()) };
            // The unit for floats and the run-time library return other NaNs.
            let wasm = spell_out(&wasm, Open::OnBoards)?;
            compare(&wasm, seed, &Thumb::shared(setup.clone())?)
                .with_context(|| format!("{} -{:?} {:?}", setup.cpu, setup.level, setup.memory))?;
            Ok(())
        }
        None => ON_BOARDS[kind - CONTENTS.len()](seed, Rng::from_bytes(rest)),
    }
}

/// A core that executes the operators of a module.
fn setup(choices: &mut Rng, contents: Contents) -> Setup {
    let (level, memory) = (choices.pick(&LEVELS), choices.bits());
    let setup = match contents {
        Contents::Integers => {
            let cpu = choices.pick(&[Cpu::M3, Cpu::M4, Cpu::M33, Cpu::M0Plus, Cpu::M23, Cpu::M55]);
            Setup::new(cpu, level, Floats::Reject)
        }
        Contents::Floats | Contents::Vectors => match choices.below(4) {
            0 => Setup::new(Cpu::M3, level, Floats::Soft),
            1 => Setup::new(Cpu::M3, level, Floats::Soft).with_own_float_helpers(),
            2 => Setup::new(Cpu::M4F, level, Floats::Soft),
            _ => Setup::new(Cpu::M7DP, level, Floats::Hard),
        },
    };
    setup.with_memory_of(memory)
}

/// Accesses at the edges of memory, on a board.
fn edges_on_board(seed: u64, random: Rng) -> Result<()> {
    let setup = setup(&mut Rng::new(seed), Contents::Integers);
    compare(&edges::module(random)?, seed, &Thumb::shared(setup.clone())?)
        .with_context(|| format!("seed {seed} {} -{:?} {:?}", setup.cpu, setup.level, setup.memory))?;
    Ok(())
}
