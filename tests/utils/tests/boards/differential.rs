//! Random modules on emulated boards against the reference engine; `cargo xtask fuzz --target thumb` is the open-ended
//! run.

use anyhow::Result;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use random::Rng;
use testkit::atomics;
use testkit::fuzz::{Verdict, compare, module, module_with_floats, module_with_vectors};
use testkit::judge;
use testkit::nests;
use testkit::proposals;
use testkit::spelled::{Open, spell_out};
use testkit::tails;
use testkit::thumb::{Setup, Thumb};
use wasm_pvm::{Cpu, Floats, OptLevel};

/// Modules per level.
const SEEDS: u64 = 150;
/// Modules of tail calls, on all cores and at all levels in turn.
const TAIL_SEEDS: u64 = 64;
const NEST_SEEDS: u64 = 60;
/// Modules with exceptions, threads and all else, and modules of atomic operators.
const JUDGED_SEEDS: u64 = 40;

#[test]
fn m3_at_o0() {
    agree(Setup::new(Cpu::M3, OptLevel::O0, Floats::Reject), module, 0);
}

#[test]
fn m4_at_o2() {
    agree(Setup::new(Cpu::M4, OptLevel::O2, Floats::Reject), module, SEEDS);
}

#[test]
fn m3_at_oz() {
    agree(Setup::new(Cpu::M3, OptLevel::Oz, Floats::Reject), module, 2 * SEEDS);
}

#[test]
fn m33_at_os() {
    agree(Setup::new(Cpu::M33, OptLevel::Os, Floats::Reject), module, 3 * SEEDS);
}

#[test]
fn m0plus_at_oz() {
    agree(Setup::new(Cpu::M0Plus, OptLevel::Oz, Floats::Reject), module, 10 * SEEDS);
}

#[test]
fn m23_at_o2() {
    agree(Setup::new(Cpu::M23, OptLevel::O2, Floats::Reject), module, 11 * SEEDS);
}

#[test]
fn m55_at_o2() {
    agree(Setup::new(Cpu::M55, OptLevel::O2, Floats::Reject), module, 9 * SEEDS);
}

#[test]
fn double_precision_at_o2() {
    agree(Setup::new(Cpu::M7DP, OptLevel::O2, Floats::Hard), module_with_floats, 4 * SEEDS);
}

#[test]
fn single_precision_and_library_at_oz() {
    agree(Setup::new(Cpu::M4F, OptLevel::Oz, Floats::Soft), module_with_floats, 5 * SEEDS);
}

#[test]
fn library_at_o2() {
    agree(Setup::new(Cpu::M3, OptLevel::O2, Floats::Soft), module_with_floats, 6 * SEEDS);
}

#[test]
fn vectors_with_the_library_at_o2() {
    agree(Setup::new(Cpu::M3, OptLevel::O2, Floats::Soft), module_with_vectors, 7 * SEEDS);
}

#[test]
fn vectors_in_single_precision_at_o0() {
    agree(Setup::new(Cpu::M4F, OptLevel::O0, Floats::Soft), module_with_vectors, 8 * SEEDS);
}

#[test]
fn own_float_functions_at_o2() {
    let setup = Setup::new(Cpu::M3, OptLevel::O2, Floats::Soft).with_own_float_helpers();
    agree(setup, module_with_floats, 7 * SEEDS);
}

/// `cargo xtask fuzz --what tails-thumb` goes on.
#[test]
fn tail_calls() {
    if Setup::new(Cpu::M4F, OptLevel::O2, Floats::Soft).is_available() {
        (0..TAIL_SEEDS).for_each(|seed| tails::check_board(seed).unwrap_or_else(|error| panic!("{error:#}")));
    }
}

/// `cargo xtask fuzz --what nests-thumb` goes on.
#[test]
fn nests_of_exceptions() {
    if Setup::new(Cpu::M33, OptLevel::O2, Floats::Trap).is_available() {
        for seed in 0..NEST_SEEDS {
            nests::check_board(10_000 + seed).unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}

fn agree(setup: Setup, module: fn(u64) -> Result<Vec<u8>>, first: u64) {
    if !setup.is_available() {
        return;
    }
    let context = format!("{} -{:?}", setup.cpu, setup.level);
    let thumb = Thumb::new(setup).unwrap();
    let (mut agreed, mut calls) = (0, 0);
    for seed in first..first + SEEDS {
        // The unit for floats and the run-time library return other NaNs.
        let bytes = module(seed).and_then(|bytes| Ok(spell_out(&bytes, Open::OnBoards)?));
        let bytes = bytes.unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
        match compare(&bytes, seed, &thumb) {
            Ok(Verdict::Agreed(n)) => (agreed, calls) = (agreed + 1, calls + n),
            Ok(Verdict::Nothing) => {}
            Err(error) => panic!("seed {seed} {context}: {error:#}"),
        }
    }
    println!("{context}: {agreed} modules agreed on {calls} calls");
    assert!(agreed > SEEDS / 3, "a third of the random modules must be comparable, {agreed} were");
}

/// Calls through a table load a function's address and type; both forms keep the index in a register of the pair.
const TABLE_CALLS: &str = r#"(module
  (type $t (func (param i32) (result i32)))
  (table 4 funcref) (elem (i32.const 0) func $f $g)
  (func $f (type $t) (i32.add (local.get 0) (i32.const 1)))
  (func $g (type $t) (i32.mul (local.get 0) (i32.const 3)))
  (func (export "a") (param i32 i32) (result i32)
    (return_call_indirect (type $t) (local.get 1) (local.get 0)))
  (func (export "b") (param i32 i32) (result i32)
    (i32.add (i32.const 1) (call_indirect (type $t) (local.get 1) (local.get 0)))))"#;

/// `cargo xtask fuzz --what proposals-thumb` goes on.
#[test]
fn random_modules_with_all_proposals_agree_with_the_second_judge() {
    if Setup::new(Cpu::M3, OptLevel::O2, Floats::Soft).is_available() {
        judge::check_seeds(proposals::check_board, 100..100 + JUDGED_SEEDS);
    }
}

/// `cargo xtask fuzz --what atomics-thumb` goes on.
#[test]
fn atomic_operators_agree_with_the_second_judge() {
    if Setup::new(Cpu::M3, OptLevel::O2, Floats::Reject).is_available() {
        judge::check_seeds(atomics::check_board, 100..100 + JUDGED_SEEDS);
    }
}

/// Loads of two words whose base is one of them, in code of an object, found by their bits.
fn loads_of_bases(object: &[u8]) -> usize {
    let file = object::File::parse(object).expect("an object");
    let mut found = 0;
    for section in file.sections().filter(|section| section.kind() == object::SectionKind::Text) {
        let data = section.data().expect("bytes");
        let half = |at: usize| u16::from_le_bytes([data[at], data[at + 1]]);
        let mut marks: Vec<(usize, bool)> = file
            .symbols()
            .filter(|symbol| symbol.section_index() == Some(section.index()))
            .filter_map(|symbol| match symbol.name() {
                Ok("$t") => Some((symbol.address() as usize, true)),
                Ok("$d") => Some((symbol.address() as usize, false)),
                _ => None,
            })
            .collect();
        marks.sort_unstable();
        marks.push((data.len(), false));
        for pair in marks.windows(2).filter(|pair| pair[0].1) {
            let mut at = pair[0].0;
            while at + 2 <= pair[1].0 {
                let first = half(at);
                let is_wide = first >> 11 > 0b1_1100;
                // Without an index and without writing back it would be an exclusive load or a table branch.
                if is_wide && first & 0xfe50 == 0xe850 && first & 0x0120 != 0 {
                    let (base, pair) = (first & 15, half(at + 2));
                    found += usize::from(base == pair >> 12);
                }
                at += if is_wide { 4 } else { 2 };
            }
        }
    }
    found
}

/// Erratum 602117 of Cortex-M3, which other cores don't have: they use the form.
#[test]
fn cortex_m3_never_loads_two_words_to_their_base() {
    let mut modules = vec![wat::parse_str(TABLE_CALLS).unwrap()];
    modules.extend((0..24).map(|seed| module(seed).unwrap()));
    modules.extend((0..24).map(|seed| tails::module(Rng::new(seed), false, true).unwrap()));
    let count = |cpu| {
        let mut found = 0;
        for (level, wasm) in
            [OptLevel::O0, OptLevel::O2, OptLevel::Oz].iter().cycle().zip(modules.iter().cycle()).take(48)
        {
            let setup = Setup::new(cpu, *level, Floats::Reject);
            let interface = testkit::interface::interface(wasm).unwrap();
            found += setup.compile(wasm, &interface).map_or(0, |object| loads_of_bases(&object));
        }
        found
    };
    assert_eq!(count(Cpu::M3), 0);
    assert!(count(Cpu::M4) > 0, "the program contains the form where it is allowed");
}
