//! Every row of the instruction table on QEMU and on the engine: registers, flags and memory after random instructions.

use board::{Answer, Board, Core, Ending, TOOLS, Words};
use thumb_engine::{Call, Image, Machine, NoHost};
use thumb_isa::{Features, Opcode};

use crate::cases::{Program, is_checked};

const PER_FORM: usize = 16;

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The data after the program has run on the board.
fn on_board(board: &mut Board, program: &Program) -> Vec<u32> {
    board.write(program.code_at, &program.code).unwrap();
    board.write(program.data_at, &bytes(&program.data)).unwrap();
    let call = board::Call::new(program.entry(), Words::default());
    let exit = board.call(&call, &mut |_, _| Ok(Answer::default())).unwrap();
    assert_eq!(
        exit.ending,
        Ending::Returned,
        "code at {:#x}, data at {:#x}",
        program.code_at,
        program.data_at
    );
    words(&board.read(program.data_at, 4 * program.data.len() as u32).unwrap())
}

fn on_engine(program: &Program) -> Vec<u32> {
    let core = thumb_engine::Core { features: Features::FP5_DOUBLE, is_unaligned: true, passes_floats: true };
    let mut machine = Machine::new(Image::of_code(core, program.code_at, program.code.clone()));
    machine.memory.map(program.data_at, bytes(&program.data), true);
    let address = program.entry();
    let (words_in, budget) = (Words::default(), 10_000_000);
    let call = Call { address, words: words_in, base: None, canonical_nans: false, budget };
    let exit = machine.call(&call, &mut NoHost);
    assert_eq!(exit.ending, thumb_engine::Ending::Returned, "at {:#x}", exit.at);
    words(machine.memory.read(program.data_at, 4 * program.data.len() as u32).unwrap())
}

#[test]
fn every_row_behaves_as_on_qemu() {
    if !needs::tools(&TOOLS) {
        return;
    }
    let mut board = Board::start(Core::M7DP).unwrap();
    let code_at = board.allocate(0x10_0000 * 2, 16, false).unwrap();
    let data_at = board.allocate(0xc0_0000, 16, true).unwrap();
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let program = Program::new(PER_FORM, seed, code_at, data_at);
    for op in Opcode::ALL.iter().filter(|op| is_checked(**op)) {
        for form in op.forms() {
            let count = program.cases.iter().filter(|case| case.form == form).count();
            assert!(count > 0, "{form:?} has no case");
        }
    }
    let expected = on_board(&mut board, &program);
    let differences = program.differences(&expected, &on_engine(&program));
    let count = differences.len();
    assert!(
        count == 0,
        "{count} of {} cases differ\n{}",
        program.cases.len(),
        differences[..count.min(12)].join("\n")
    );
}
