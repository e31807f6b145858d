//! The gas simulator against the engine's own, on every block of everything the kernels compile to.

use pvm_isa::{Container, GpVersion, gas};
use testkit::kernels::all;
use testkit::machine::gas_of_block;
use wasm_pvm::{OptLevel, Options};

#[test]
fn every_block_costs_what_the_engine_says() {
    let mut blocks = 0;
    for kernel in all().unwrap() {
        for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
            let options = Options { level, ..Options::default() };
            let jam = wasm_pvm::compile(&kernel.wasm, &options).unwrap().bytes;
            let Container::Jam { program, .. } = Container::parse_jam(&jam).unwrap() else { unreachable!() };
            let costs = gas::program_costs(GpVersion::V08, &program.blob);
            let starts: Vec<u32> = costs.iter().map(|(pc, _)| *pc).collect();
            let engine = gas_of_block(&program, &starts).unwrap();
            for ((pc, ours), theirs) in costs.iter().zip(engine) {
                assert_eq!(Some(i64::from(*ours)), theirs, "{} -{level:?}: block at {pc}", kernel.name);
                blocks += 1;
            }
        }
    }
    println!("{blocks} blocks");
    assert!(blocks > 1000);
}
