//! Every kernel gives its known output on emulated Cortex-M boards, wherever linear memory is.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use board::{Answer, Board, Call, Ending, Image, Type, Words};
use testkit::kernels::{Kernel, all, to_hex, vectors};
use testkit::thumb::board_core;
use wasm_pvm::{Constants, Cpu, MemoryMode, OptLevel, Options, ThumbBounds, ThumbOptions};

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];
/// Hundredths of a second for one kernel.
const TICKS: u32 = 6000;
/// Bytes at the end of linear memory that no kernel uses.
const SPARE: u32 = 4096;

/// Runs all kernels; returns the names of those that are refused because of an ambiguous constant.
fn run_all(thumb: &ThumbOptions) -> BTreeSet<String> {
    run_all_but("", thumb)
}

fn run_all_but(excluded: &str, thumb: &ThumbOptions) -> BTreeSet<String> {
    run_kernels(all().unwrap().into_iter().filter(|kernel| kernel.name != excluded), thumb)
}

fn run_kernels(kernels: impl Iterator<Item = Kernel>, thumb: &ThumbOptions) -> BTreeSet<String> {
    if !needs::tools(&board::TOOLS) {
        return BTreeSet::new();
    }
    let mut board = Board::start(board_core(thumb.cpu)).unwrap();
    let (mut refused, mut failures) = (BTreeSet::new(), Vec::new());
    for kernel in kernels {
        for level in LEVELS {
            let options = Options { level, threads: 1, ..Options::new(thumb.clone()) };
            let result = match wasm_pvm::compile(&kernel.wasm, &options) {
                Ok(output) => run(&mut board, &kernel, thumb.memory, &output.bytes),
                Err(error) if error.to_string().contains("could be an address") => {
                    refused.insert(kernel.name.clone());
                    Ok(())
                }
                Err(error) => Err(error.into()),
            };
            if let Err(error) = result {
                failures
                    .push(format!("{} {} -{level:?} {}: {error:#}", kernel.variant, kernel.name, thumb.cpu));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    refused
}

/// Calls `main(address, length)`, which returns the address of its output and, in the upper half, the length.
fn run(board: &mut Board, kernel: &Kernel, memory: MemoryMode, object: &[u8]) -> Result<()> {
    board.clear();
    let image = Image::load(board, object, &mut |_| None)?;
    let base = match memory {
        MemoryMode::Symbol => image.address("__linear_memory").context("no linear memory")?,
        _ => 0,
    };
    let len = kernel.args.len() as u32;
    let at = match memory {
        MemoryMode::Symbol => memory_bytes(&kernel.wasm)? - SPARE,
        _ => board.allocate(SPARE.into(), 16, false)?,
    };
    ensure!(len <= SPARE, "{len} bytes of arguments");
    if let Some(start) = image.address("__wasm_start") {
        let exit = board.call(&Call::new(start, Words::default()), &mut |_, _| Ok(Answer::default()))?;
        ensure!(exit.ending == Ending::Returned, "it starts");
    }
    board.write(base + at, &kernel.args)?;
    let words = Words::arguments(false, &[Type::I32; 2], &[at.into(), len.into()]);
    let call = Call { ticks: TICKS, ..Call::new(image.address("main").context("no main")?, words) };
    let exit = board.call(&call, &mut |_, _| Ok(Answer::default()))?;
    if exit.ending != Ending::Returned {
        bail!("{:x?}", exit.ending);
    }
    let [at, len, ..] = exit.words.core;
    let output = board.read(base + at, len)?;
    ensure!(output == kernel.expected, "wrong output {}", to_hex(&output));
    Ok(())
}

/// Bytes of linear memory that a module declares.
fn memory_bytes(wasm: &[u8]) -> Result<u32> {
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        if let wasmparser::Payload::MemorySection(memories) = payload? {
            let memory = memories.into_iter().next().context("no memory")??;
            return Ok((memory.initial << memory.page_size_log2.unwrap_or(16)) as u32);
        }
    }
    bail!("no memory")
}

#[test]
fn in_memory_at_a_symbol() {
    for cpu in [Cpu::M3, Cpu::M33] {
        let thumb = ThumbOptions { memory: MemoryMode::Symbol, ..ThumbOptions::new(cpu) };
        assert!(run_all(&ThumbOptions { bounds: Some(ThumbBounds::None), ..thumb }).is_empty());
    }
}

#[test]
fn in_memory_with_checks() {
    let thumb = ThumbOptions { memory: MemoryMode::Symbol, ..ThumbOptions::new(Cpu::M4) };
    assert!(run_all(&ThumbOptions { bounds: Some(ThumbBounds::Check), ..thumb }).is_empty());
}

/// The kernel with floats needs a run-time library.
#[test]
fn with_vectors() {
    let kernels = || vectors().unwrap().into_iter().filter(|kernel| kernel.name != "dot_f32x4");
    let thumb = ThumbOptions { memory: MemoryMode::Symbol, ..ThumbOptions::new(Cpu::M3) };
    for bounds in [ThumbBounds::None, ThumbBounds::Check, ThumbBounds::Mask] {
        assert!(run_kernels(kernels(), &ThumbOptions { bounds: Some(bounds), ..thumb.clone() }).is_empty());
    }
    let native = ThumbOptions { constants: Constants::Address, ..ThumbOptions::new(Cpu::M3) };
    let refused = run_kernels(kernels(), &native);
    // Sums with a possible pointer, also in the variant without vectors.
    assert!(refused.iter().all(|name| name == "ascii_i8x16"), "{refused:?}");
}

/// Static data has addresses of its own. Kernels return the address of their output, which is ambiguous. The option
/// decides it, except for `keccak`, which has numbers of 64 bits that look like addresses.
#[test]
fn in_native_memory() {
    let refused =
        run_all_but("keccak", &ThumbOptions { constants: Constants::Address, ..ThumbOptions::new(Cpu::M3) });
    println!("refused: {refused:?}");
    // Sums with a possible pointer or index.
    assert!(refused.iter().all(|name| name == "quicksort"), "{refused:?}");
    let refused = run_all(&ThumbOptions::new(Cpu::M3));
    println!("refused without the option: {refused:?}");
}
