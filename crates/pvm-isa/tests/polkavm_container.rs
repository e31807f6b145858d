//! Agreement with the `polkavm-common` crate on PolkaVM's container: its parser reads what we write, and we read what its
//! writer makes.

use polkavm_common::program::{
    FrameKind, InstructionSetKind, LineProgramOp, ProgramBlob as Parsed, ProgramCounter, ProgramParts, Reg,
    SECTION_OPT_DEBUG_LINE_PROGRAM_RANGES, SECTION_OPT_DEBUG_LINE_PROGRAMS, SECTION_OPT_DEBUG_STRINGS, asm,
};
use polkavm_common::writer::ProgramBlobBuilder;
use pvm_isa::metadata::FunctionName;
use pvm_isa::polkavm::{Export, InstructionSet, PolkaVmProgram};
use pvm_isa::testing::{self, Rng};
use pvm_isa::{Container, GpVersion, write_nat};

/// A program with random contents of every section.
fn random(rng: &mut Rng) -> PolkaVmProgram {
    let gp = rng.pick(&GpVersion::ALL);
    let len = 10 + rng.below(100);
    let blob = testing::program(gp, rng, len, 4);
    let data = |rng: &mut Rng| {
        let len = rng.below(300);
        rng.bytes(len)
    };
    let (ro_data, rw_data) = (data(rng), data(rng));
    let word = |rng: &mut Rng| format!("symbol_{}", rng.below(100_000));
    let mut starts: Vec<u32> = (0..rng.below(5)).map(|_| rng.below(blob.code.len()) as u32).collect();
    starts.sort_unstable();
    starts.dedup();
    PolkaVmProgram {
        isa: InstructionSet::of(gp),
        ro_size: ro_data.len() as u32 + rng.below(3) as u32,
        rw_size: rw_data.len() as u32 + rng.below(200_000) as u32,
        stack_size: rng.below(70_000) as u32,
        imports: (0..rng.below(4)).map(|_| word(rng)).collect(),
        exports: starts.iter().map(|&pc| Export { pc, symbol: word(rng) }).collect(),
        functions: starts.iter().map(|&pc| FunctionName { pc, name: word(rng) }).collect(),
        debug: None,
        metadata: data(rng),
        ro_data,
        rw_data,
        blob,
    }
}

#[test]
fn the_engines_parser_reads_what_we_write() {
    let mut rng = Rng::new(30);
    for _ in 0..300 {
        let program = random(&mut rng);
        let bytes = program.to_bytes();
        assert_eq!(PolkaVmProgram::parse(&bytes), Ok(program.clone()));
        let parsed = Parsed::parse(bytes.into()).expect("accepted");
        let isa = match program.isa {
            InstructionSet::ReviveV1 => InstructionSetKind::ReviveV1,
            InstructionSet::JamV1 => InstructionSetKind::JamV1,
            InstructionSet::Latest64 => InstructionSetKind::Latest64,
        };
        assert_eq!(parsed.isa(), isa);
        assert_eq!((parsed.ro_data(), parsed.ro_data_size()), (&program.ro_data[..], program.ro_size));
        assert_eq!((parsed.rw_data(), parsed.rw_data_size()), (&program.rw_data[..], program.rw_size));
        assert_eq!(parsed.stack_size(), program.stack_size);
        let imports: Vec<_> =
            parsed.imports().iter().map(|symbol| symbol.expect("valid").as_bytes().to_vec()).collect();
        assert_eq!(imports, program.imports.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
        let exports: Vec<_> = parsed
            .exports()
            .map(|export| (export.program_counter().0, export.symbol().as_bytes().to_vec()))
            .collect();
        let ours = program.exports.iter().map(|export| (export.pc, export.symbol.as_bytes().to_vec()));
        assert_eq!(exports, ours.collect::<Vec<_>>());
        assert_eq!(parsed.code(), program.blob.code);
        assert_eq!(parsed.bitmask(), program.blob.stored_mask());
        let table: Vec<u32> = parsed.jump_table().iter().map(|pc| pc.0).collect();
        assert_eq!(table, program.blob.jump_table);
        for pc in 0..program.blob.code.len() as u32 {
            let known = program.functions.iter().rfind(|function| function.pc <= pc);
            assert_eq!(function_at(&parsed, pc), known.map(|function| function.name.clone()), "at {pc}");
        }
    }
}

/// The name of the function at a position, according to the engine's reader of debug information.
fn function_at(parsed: &Parsed, pc: u32) -> Option<String> {
    let mut frames = parsed.get_frame_info_for(ProgramCounter(pc), None);
    let frame = frames.next()?;
    assert!(frames.next().is_none() && frame.kind() == FrameKind::Line);
    assert!(frame.location().expect("valid").is_none());
    Some(frame.full_name().expect("valid").to_string())
}

#[test]
fn we_read_what_the_engines_writer_makes() {
    for (isa, ours) in [
        (InstructionSetKind::ReviveV1, InstructionSet::ReviveV1),
        (InstructionSetKind::JamV1, InstructionSet::JamV1),
        (InstructionSetKind::Latest64, InstructionSet::Latest64),
    ] {
        let mut builder = ProgramBlobBuilder::new(isa);
        builder.set_ro_data_size(70_000);
        builder.set_ro_data(vec![1, 2, 3]);
        builder.set_rw_data_size(9);
        builder.set_rw_data(vec![4; 9]);
        builder.set_stack_size(8192);
        builder.add_import(b"first");
        builder.add_import(b"second");
        let code = [asm::ecalli(1), asm::fallthrough(), asm::load_imm(Reg::A0, 1000), asm::ret()];
        builder.set_code(&code, &[1]);
        builder.add_export_by_basic_block(0, b"main");
        builder.add_export_by_basic_block(1, b"other");
        for (section, contents) in debug_sections() {
            builder.add_custom_section(section, contents);
        }
        builder.add_custom_section(200, b"unknown".to_vec());
        let bytes = builder.to_vec().expect("builds");
        let program = PolkaVmProgram::parse(&bytes).expect("accepted");
        assert_eq!(program.isa, ours);
        assert_eq!((&program.ro_data[..], program.ro_size), (&[1, 2, 3][..], 70_000));
        assert_eq!((&program.rw_data[..], program.rw_size), (&[4; 9][..], 9));
        assert_eq!(program.stack_size, 8192);
        assert_eq!(program.imports, ["first", "second"]);
        let exports: Vec<_> = program.exports.iter().map(|export| (export.pc, &export.symbol[..])).collect();
        let parts = Parsed::from_parts(ProgramParts::from_bytes(bytes.clone().into()).expect("theirs"));
        let theirs = parts.expect("theirs");
        assert_eq!((program.blob.code.as_slice(), exports), (theirs.code(), vec![(0, "main"), (3, "other")]));
        assert_eq!(program.functions, [FunctionName { pc: 0, name: "a::b".to_owned() }]);
        assert!(matches!(Container::parse(&bytes), Ok(Container::PolkaVm(_))));
    }
}

/// Debug information of an inlined function in `a::b`, which has a line.
fn debug_sections() -> [(u8, Vec<u8>); 3] {
    use LineProgramOp::*;
    let ops = |list: &[(LineProgramOp, Option<u8>)]| -> Vec<u8> {
        list.iter().flat_map(|&(op, operand)| [Some(op as u8), operand]).flatten().collect()
    };
    let mut programs = vec![1];
    programs.extend(ops(&[
        (SetMutationDepth, Some(1)),
        (SetFunctionName, Some(5)),
        (SetMutationDepth, Some(0)),
        (SetKindEnter, None),
        (SetNamespace, Some(1)),
        (SetFunctionName, Some(3)),
        (SetPath, Some(5)),
        (SetLine, Some(7)),
        (SetStackDepth, Some(2)),
    ]));
    programs.push(FinishMultipleInstructions as u8);
    write_nat(3, &mut programs);
    programs.push(FinishProgram as u8);
    let ranges = [0u32, 3, 1].iter().flat_map(|word| word.to_le_bytes()).collect();
    [
        (SECTION_OPT_DEBUG_STRINGS, b"\0\x01a\x01b\x05inner".to_vec()),
        (SECTION_OPT_DEBUG_LINE_PROGRAMS, programs),
        (SECTION_OPT_DEBUG_LINE_PROGRAM_RANGES, ranges),
    ]
}
