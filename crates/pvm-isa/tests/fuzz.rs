//! Arbitrary bytes: no parser, decoder or printer panics on any input.
//!
//! Random bytes alone rarely get past the first length field, so most cases are damaged copies of valid files. A file
//! that parses must round-trip through writing and parsing.

use pvm_isa::container::Container;
use pvm_isa::metadata::{Extension, FunctionName, Metadata};
use pvm_isa::polkavm::{Export, InstructionSet, PolkaVmProgram};
use pvm_isa::testing::{self, Rng};
use pvm_isa::{GpVersion, ProgramBlob, SpiProgram};

#[test]
fn random_bytes() {
    let mut rng = Rng::new(10);
    for _ in 0..30_000 {
        let len = rng.below(64);
        let mut bytes = rng.bytes(len);
        for byte in &mut bytes {
            if rng.one_in(2) {
                *byte &= 3;
            }
        }
        testing::exercise(&bytes);
    }
}

#[test]
fn damaged_files() {
    let mut rng = Rng::new(11);
    for _ in 0..200 {
        let mut file = sample(&mut rng);
        assert!([None, Some(GpVersion::Next)].iter().any(|&gp| Container::parse_for(gp, &file).is_ok()));
        testing::exercise(&file);
        for _ in 0..50 {
            testing::damage(&mut file, &mut rng);
            testing::exercise(&file);
            testing::repair_length(&mut file);
            testing::exercise(&file);
        }
    }
}

fn sample(rng: &mut Rng) -> Vec<u8> {
    let gp = rng.pick(&GpVersion::ALL);
    let len = 1 + rng.below(20);
    let blob = testing::program(gp, rng, len, 4);
    let program = SpiProgram { ro_data: rng.bytes(5), rw_data: rng.bytes(7), blob, ..SpiProgram::default() };
    let extension = Extension { gp, ..Extension::default() };
    let metadata = Metadata { package: None, extension: Some(extension) }.to_bytes();
    let container = match rng.below(5) {
        0 => Container::Jam { metadata, program },
        1 => Container::Spi(program),
        2 => Container::Raw(program.blob),
        3 => Container::PolkaVm(polkavm_program(gp, program.blob, metadata, rng)),
        _ => Container::CoreVm { program: polkavm_program(gp, program.blob, Vec::new(), rng), metadata },
    };
    container.to_bytes().expect("small")
}

fn polkavm_program(gp: GpVersion, blob: ProgramBlob, metadata: Vec<u8>, rng: &mut Rng) -> PolkaVmProgram {
    PolkaVmProgram {
        isa: InstructionSet::of(gp),
        ro_data: rng.bytes(3),
        ro_size: 3 + rng.below(5) as u32,
        rw_data: rng.bytes(2),
        rw_size: 2 + rng.below(5) as u32,
        stack_size: rng.below(70_000) as u32,
        imports: vec!["seal".to_owned(), String::new(), "log".to_owned()],
        exports: vec![Export { pc: rng.below(3) as u32, symbol: "main".to_owned() }],
        blob,
        functions: vec![FunctionName { pc: 0, name: "f".to_owned() }],
        debug: None,
        metadata,
    }
}
