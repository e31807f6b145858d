//! The gas simulator against the engine's own, on every block of the compiled kernels. The specification suite and the
//! differential tests check it on all their programs, too.

use pvm_engine::{Backend, Engine, Machine};
use pvm_isa::Container;
use testkit::kernels::all;
use testkit::program::check_gas;
use wasm_pvm::{GpVersion, OptLevel, Options};

const ENGINE: Engine = Engine::Polkavm037(Backend::Interpreter);

#[test]
fn every_block_costs_what_the_engine_says() {
    let mut blocks = 0;
    for kernel in all().unwrap() {
        for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
            let options = Options { level, ..Options::default() };
            let jam = wasm_pvm::compile(&kernel.wasm, &options).unwrap().bytes;
            let Container::Jam { program, .. } = Container::parse_jam(&jam).unwrap() else { unreachable!() };
            let machine = Machine::new(&program, GpVersion::V08, ENGINE).unwrap();
            let checked = check_gas(GpVersion::V08, &machine, &program.blob);
            blocks += checked.unwrap_or_else(|error| panic!("{} -{level:?}: {error}", kernel.name));
        }
    }
    println!("{blocks} blocks");
    assert!(blocks > 1000);
}
