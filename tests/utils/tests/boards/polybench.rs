//! Numerical kernels give the checksums of a native build, on the engine for objects. Sizes and executed instructions
//! don't exceed those that were measured.

use std::collections::BTreeMap;

use testkit::kernels;
use testkit::polybench::{Program, SEED, programs};
use thumb_engine::aapcs::Words;
use thumb_engine::{Call, Ending, Image, Machine, NoHost};
use wasm_pvm::{Cpu, InitialData, MemoryMode, OptLevel, Options, ThumbBounds, ThumbOptions};

/// The most instructions of one call.
const BUDGET: u64 = 100_000_000;

fn thumb(cpu: Cpu, bounds: ThumbBounds) -> ThumbOptions {
    ThumbOptions {
        memory: MemoryMode::Symbol,
        initial_data: Some(InitialData::Image),
        bounds: Some(bounds),
        ..ThumbOptions::new(cpu)
    }
}

fn options(cpu: Cpu, level: OptLevel, bounds: ThumbBounds) -> Options {
    Options { level, threads: 1, ..Options::new(thumb(cpu, bounds)) }
}

/// Runs all kernels; returns the executed instructions of each.
fn run(program: &Program, options: &Options) -> BTreeMap<String, u64> {
    let object = wasm_pvm::compile(&program.wasm, options).expect("it compiles").bytes;
    let mut machine = Machine::new(Image::load(&object).expect("it is an object"));
    let mut counts = BTreeMap::new();
    for (name, &sum) in &program.sums {
        let mut call = |function: &str, argument: u32| {
            let address = machine.image().address(function).expect("it is exported");
            let words = Words { core: [argument, 0, 0, 0], ..Words::default() };
            let call = Call { address, words, base: None, canonical_nans: true, budget: BUDGET };
            let exit = machine.call(&call, &mut NoHost);
            assert_eq!(exit.ending, Ending::Returned, "{function}");
            (exit.words.core[0], exit.instructions)
        };
        call(&format!("{name}_set"), SEED);
        counts.insert(name.clone(), call(name, 0).1);
        assert_eq!(call(&format!("{name}_sum"), 0).0, sum, "{name} of {}", program.numbers);
    }
    counts
}

/// Checks that all kernels at -O2 execute at most `most` instructions together.
fn check_total(program: &Program, cpu: Cpu, bounds: ThumbBounds, most: u64) {
    let total: u64 = run(program, &options(cpu, OptLevel::O2, bounds)).values().sum();
    println!("{} {bounds:?}: {total}", program.numbers);
    assert!(total <= most, "{} {bounds:?}: {total}", program.numbers);
}

#[test]
fn sums_and_counts_of_integers() {
    let [program, _] = programs().expect("the files are here");
    check_total(&program, Cpu::M3, ThumbBounds::None, 2_504_822);
    check_total(&program, Cpu::M3, ThumbBounds::Check, 2_845_919);
    run(&program, &options(Cpu::M0Plus, OptLevel::Oz, ThumbBounds::Check));
    run(&program, &options(Cpu::M33, OptLevel::O2, ThumbBounds::Mask));
}

#[test]
fn sums_and_counts_of_floats() {
    let [_, program] = programs().expect("the files are here");
    check_total(&program, Cpu::M4F, ThumbBounds::None, 3_018_720);
    check_total(&program, Cpu::M4F, ThumbBounds::Check, 3_303_319);
    run(&program, &options(Cpu::M7DP, OptLevel::Os, ThumbBounds::Check));
}

/// Bytes of all functions of the kernels, with helpers.
#[test]
fn sizes_for_cortex_m0_plus() {
    let mut bytes = 0;
    for kernel in kernels::all().expect("the files are here").iter().filter(|kernel| kernel.variant == "Os") {
        let thumb = ThumbOptions { trusts_alignment: true, ..thumb(Cpu::M0Plus, ThumbBounds::None) };
        let options = Options { level: OptLevel::Oz, threads: 1, ..Options::new(thumb) };
        let report = wasm_pvm::compile(&kernel.wasm, &options).expect("it compiles").report;
        let functions = &report.thumb().expect("an object").functions;
        bytes += functions.iter().map(|function| u64::from(function.size)).sum::<u64>();
    }
    println!("{bytes} bytes");
    assert!(bytes <= 17_210, "{bytes} bytes");
}
