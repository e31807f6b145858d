//! Agreement with the `polkavm` crate on the programs that GP 0.8 accepts, and on the cost of every block, also in the
//! next format.
//!
//! The engine is an independent implementation of both, and it runs our programs. Its cost model with an L2 hit per
//! access is that of the Gray Paper.

use pvm_engine::{Backend, Engine, Machine, MachineError};
use pvm_isa::gas::program_costs;
use pvm_isa::testing::{self, Rng};
use pvm_isa::validate::{check_well_formed, validate};
use pvm_isa::{GpVersion, ProgramBlob, SpiProgram};

/// The versions that the engine implements.
const VERSIONS: [GpVersion; 2] = [GpVersion::V08, GpVersion::Next];

/// Loads a program; an error is the engine's refusal.
fn load(gp: GpVersion, blob: &ProgramBlob) -> Result<Machine, MachineError> {
    let program = SpiProgram { blob: blob.clone(), ..SpiProgram::default() };
    Machine::new(&program, gp, Engine::Polkavm037(Backend::Interpreter))
}

#[test]
fn blocks_of_well_formed_programs_cost_the_same() {
    for gp in VERSIONS {
        let mut rng = Rng::new(20);
        let mut blocks = 0;
        for _ in 0..60 {
            let block_len = 2 + rng.below(60);
            let program = testing::program(gp, &mut rng, 400, block_len);
            assert_eq!(check_well_formed(gp, &program), Ok(()));
            let machine = load(gp, &program).expect("accepted");
            for (pc, cost) in program_costs(gp, &program) {
                let expected = machine.gas_of_block(pc).expect("a block");
                assert_eq!(i64::from(cost), expected, "block at {pc}");
                blocks += 1;
            }
        }
        assert!(blocks > 500, "{blocks} blocks");
    }
}

#[test]
fn the_same_programs_are_accepted() {
    let gp = GpVersion::V08;
    let mut rng = Rng::new(21);
    let mut verdicts = [0, 0];
    for round in 0..3000 {
        let len = 1 + rng.below(6);
        let mut program = testing::program(gp, &mut rng, len, 3);
        if round % 3 != 0 {
            change(&mut program, &mut rng);
        }
        let ours = validate(gp, &program);
        let theirs = load(gp, &program);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{program:?}\nours: {ours:?}\ntheirs: {:?}", theirs.err());
        verdicts[usize::from(ours.is_ok())] += 1;
    }
    assert!(verdicts.iter().all(|&n| n > 300), "{verdicts:?}");
}

/// Changes the code or cuts off its end.
fn change(program: &mut ProgramBlob, rng: &mut Rng) {
    let at = rng.below(program.code.len());
    if rng.one_in(2) {
        program.code[at] = rng.bits() as u8;
    } else {
        let mut shorter = ProgramBlob { code: program.code[..at + 1].to_vec(), ..ProgramBlob::default() };
        shorter.mask.grow(at + 1);
        (0..at + 1).filter(|&i| program.mask.get(i)).for_each(|i| shorter.mask.set(i));
        *program = shorter;
    }
}
