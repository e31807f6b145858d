//! `--strict-align` on a board that faults at unaligned accesses.

use board::{Board, Ending, Undefined};
use testkit::thumb::{Setup, board_core};
use wasm_pvm::{Cpu, Floats, MemoryMode, OptLevel, ThumbBounds, ThumbOptions};

use crate::options::{Program, options, thumb};

/// Bulk operations and accesses whose alignment nothing tells.
const UNALIGNED: &str = r#"(module
  (memory 1)
  (data (i32.const 2048) "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy13") (memory.copy (i32.const 1024) (i32.const 2048) (i32.const 13)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill11") (memory.fill (i32.const 1030) (i32.const 7) (i32.const 11)))
  (func (export "move") (param i32 i32)
    (i64.store (local.get 0) (i64.load (local.get 1)))
    (i32.store offset=8 (local.get 0) (i32.load offset=8 (local.get 1)))
    (i32.store16 offset=12 (local.get 0) (i32.load16_s offset=12 (local.get 1))))
  (func (export "marks") (param i32)
    (i32.store8 offset=1 (local.get 0) (i32.const 1))
    (i32.store8 offset=2 (local.get 0) (i32.const 2))
    (i32.store8 offset=3 (local.get 0) (i32.const 3))
    (i32.store8 offset=4 (local.get 0) (i32.const 4))))"#;

/// The calls of [`UNALIGNED`] that are made, and their effect on memory from 1024 on.
fn unaligned_calls(memory: &mut [u8]) -> Vec<(&'static str, Vec<u32>)> {
    let mut calls = vec![("copy13", vec![]), ("fill11", vec![]), ("marks", vec![1100])];
    memory.copy_within(1024..1037, 0);
    memory[6..17].fill(7);
    memory[77..81].copy_from_slice(&[1, 2, 3, 4]);
    for n in 0..8u32 {
        let (to, from, bytes) = (1200 + 41 * n, 2048 + n % 3, 5 * n + 1);
        calls.extend([
            ("copy", vec![to, from, bytes]),
            ("fill", vec![to + 1, n, n]),
            ("move", vec![to + 50, from + 9]),
        ]);
        let (to, from) = (to as usize - 1024, from as usize - 1024);
        memory.copy_within(from..from + bytes as usize, to);
        memory[to + 1..][..n as usize].fill(n as u8);
        memory.copy_within(from + 9..from + 23, to + 50);
    }
    calls
}

/// The board of Cortex-M0 is a Cortex-M3 that faults at unaligned accesses.
#[test]
fn strict_alignment_never_faults() {
    if !Setup::new(Cpu::M0, OptLevel::O2, Floats::Reject).is_available() {
        return;
    }
    let wasm = wat::parse_str(UNALIGNED).unwrap();
    let mut board = Board::start(board_core(Cpu::M0)).unwrap();
    for (strict_align, level) in
        [(true, OptLevel::O0), (true, OptLevel::O2), (true, OptLevel::Oz), (false, OptLevel::O2)]
    {
        board.clear();
        let thumb = ThumbOptions { strict_align, ..thumb(MemoryMode::Symbol, ThumbBounds::None) };
        let object = wasm_pvm::compile(&wasm, &options(Cpu::M3, level, thumb)).unwrap().bytes;
        let mut program = Program::load(&mut board, &object, Undefined::Import(0));
        program.start();
        let at = program.address("__linear_memory") + 1024;
        let mut expected = program.board.read(at, 2048).unwrap();
        let calls = unaligned_calls(&mut expected);
        let mut ends = calls.iter().map(|(name, args)| program.call(name, args));
        if strict_align {
            assert!(ends.all(|end| end.is_ok()), "{level:?}");
            assert!(program.board.read(at, 2048).unwrap() == expected, "{level:?}");
        } else {
            assert!(ends.any(|end| matches!(end, Err(Ending::Faulted(_)))), "the board faults");
        }
    }
}
