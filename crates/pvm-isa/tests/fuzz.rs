//! Arbitrary bytes: no parser, decoder or printer panics on any input.
//!
//! Random bytes alone rarely get past the first length field, so most cases are damaged copies of valid files. A file
//! that parses must round-trip through writing and parsing.

use pvm_isa::container::Container;
use pvm_isa::disasm::Disassembly;
use pvm_isa::gas::program_costs;
use pvm_isa::metadata::{Extension, FunctionName, Metadata};
use pvm_isa::polkavm::{Export, InstructionSet, PolkaVmProgram};
use pvm_isa::testing::{self, Rng};
use pvm_isa::validate::{block_starts, check_well_formed, validate};
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
        exercise(&bytes);
    }
}

#[test]
fn damaged_files() {
    let mut rng = Rng::new(11);
    for _ in 0..200 {
        let mut file = sample(&mut rng);
        assert!(Container::parse(&file).is_ok());
        exercise(&file);
        for _ in 0..50 {
            damage(&mut file, &mut rng);
            exercise(&file);
            repair_length(&mut file);
            exercise(&file);
        }
    }
}

fn sample(rng: &mut Rng) -> Vec<u8> {
    let gp = rng.pick(&GpVersion::ALL);
    let len = 1 + rng.below(20);
    let blob = testing::program(gp, rng, len, 4);
    let program = SpiProgram { ro_data: rng.bytes(5), rw_data: rng.bytes(7), blob, ..SpiProgram::default() };
    let metadata = Metadata { package: None, extension: Some(Extension::default()) }.to_bytes();
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

fn damage(file: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(file.len() + 1);
    match rng.below(4) {
        0 if at < file.len() => file[at] = rng.bits() as u8,
        1 if at < file.len() => file[at] ^= 1 << rng.below(8),
        2 => file.insert(at, rng.bits() as u8),
        _ => {
            if file.len() > 1 {
                file.remove(at.min(file.len() - 1));
            }
        }
    }
}

/// A damaged file of PolkaVM is refused for its length first. With the right length, the rest is read.
fn repair_length(file: &mut [u8]) {
    let start = file.windows(4).position(|window| window == pvm_isa::polkavm::MAGIC);
    let length = start.map(|start| (start + 5..start + 13, (file.len() - start) as u64));
    if let Some((range, length)) = length
        && let Some(field) = file.get_mut(range)
    {
        field.copy_from_slice(&length.to_le_bytes());
    }
}

/// Runs all parsers, decoders and printers on the bytes.
fn exercise(bytes: &[u8]) {
    let metadata = Metadata::parse(bytes);
    assert_eq!(Metadata::parse(&metadata.to_bytes()), metadata);
    let _ = Extension::parse(bytes);
    if let Ok(program) = SpiProgram::parse(bytes) {
        let written = program.to_bytes().expect("its sizes were read from length fields");
        assert_eq!(SpiProgram::parse(&written), Ok(program));
    }
    if let Ok(program) = PolkaVmProgram::parse(bytes) {
        assert_eq!(PolkaVmProgram::parse(&program.to_bytes()), Ok(program));
    }
    if let Ok(blob) = ProgramBlob::parse(bytes) {
        assert_eq!(ProgramBlob::parse(&blob.to_bytes()), Ok(blob));
    }
    match Container::parse(bytes) {
        Ok(container) => exercise_program(container.blob()),
        Err(error) => assert!(error.offset <= bytes.len()),
    }
}

fn exercise_program(blob: &ProgramBlob) {
    for gp in GpVersion::ALL {
        let _ = validate(gp, blob);
        let _ = check_well_formed(gp, blob);
        let costs = program_costs(gp, blob);
        assert_eq!(costs.len(), block_starts(gp, blob).len());
        assert!(costs.iter().all(|&(_, cost)| cost > 0));
        let text = Disassembly::new(blob, gp).to_string();
        assert!(text.lines().count() >= blob.instructions(gp).count());
    }
}
