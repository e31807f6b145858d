//! Register allocation of random functions: of a toy machine whose operands have every description, and of both targets.
//! Builds with assertions check each allocation; besides, executions before and after it are compared.

use anyhow::{Result, anyhow};
use codegen::allocate;
use codegen::toy::{BLOCKS, Shape, Toy, check_allocation, random_function, run_virtual};
use programs::{cortex_m, pvm};
use random::Rng;
use ssa::testing::{self, Params};
use ssa::{Module, Type};
use target_thumb::{Cpu, MemoryMode};

use super::split;

pub fn check(bytes: &[u8]) -> Result<()> {
    let (mut choices, rest) = split(bytes);
    let random = Rng::from_bytes(rest);
    match choices.below(3) {
        0 => toy(&mut choices, random),
        1 => pvm(&mut choices, random),
        _ => thumb(&mut choices, random),
    }
}

fn toy(choices: &mut Rng, random: Rng) -> Result<()> {
    // The random functions need three registers for integers.
    let ints = 3 + choices.below(11) as u8;
    let toy = Toy::new(ints, choices.below(usize::from(ints) + 1) as u8, choices.below(7) as u8);
    let shape =
        Shape { blocks: 1 + choices.below(20), insts: 1 + choices.below(12), calls: choices.below(30) };
    let func = random_function(&toy, shape, random);
    let (text, expected) = (func.to_string(), run_virtual(&func, BLOCKS));
    let result = allocate(&toy, func);
    check_allocation(&toy, &result, &expected).map_err(|error| anyhow!("{text}\n{error}"))
}

/// A random program that takes at most so many parameters, with values of these types.
fn program(choices: &mut Rng, mut random: Rng, most: usize, types: &[Type]) -> (Module, Rng) {
    let params = Params {
        size: 1 + choices.below(90),
        depth: choices.below(5),
        functions: 1 + choices.below(4),
        params: choices.below(most + 1),
        results: choices.below(most / 2),
        types: types.to_vec(),
        calls: choices.one_in(2),
        memory: choices.one_in(2),
        frame_slots: choices.one_in(2),
        canonical: true,
    };
    let module = testing::random_module(&mut random, &params);
    (module, random)
}

fn pvm(choices: &mut Rng, random: Rng) -> Result<()> {
    // Host calls have six arguments and two results.
    let (module, mut random) = program(choices, random, 6, &[Type::I32, Type::I64]);
    pvm::compare(&pvm::Machine::new(), &module, &mut random, "on the PVM");
    Ok(())
}

fn thumb(choices: &mut Rng, random: Rng) -> Result<()> {
    let cpu = choices.pick(&Cpu::ALL);
    let memory = choices.pick(&[MemoryMode::Symbol, MemoryMode::Register, MemoryMode::Native]);
    let types = [Type::I32, Type::I64, Type::F32, Type::F64];
    let types = if choices.one_in(2) { &types[..2] } else { &types };
    let (module, _) = program(choices, random, 14, types);
    target_thumb::compile(module, &cortex_m::options(cpu, memory))?;
    Ok(())
}
