//! Agreement with the `polkavm` crate on the programs that GP 0.8 accepts and on the cost of every block.
//!
//! The engine is an independent implementation of both, and it runs our programs. Its cost model with an L2 hit per
//! access is that of the Gray Paper.

use polkavm::{
    BackendKind, CacheModel, Config, CostModelKind, Engine, GasMeteringKind, Module, ModuleConfig,
    ProgramBlob as Foreign, ProgramCounter, ProgramParts, program::InstructionSetKind,
};
use pvm_isa::gas::program_costs;
use pvm_isa::testing::{self, Rng};
use pvm_isa::validate::{check_well_formed, validate};
use pvm_isa::{GpVersion, ProgramBlob};

const GP: GpVersion = GpVersion::V08;

struct Judge {
    engine: Engine,
    config: ModuleConfig,
}

impl Judge {
    fn new() -> Judge {
        let mut config = Config::new();
        config.set_allow_experimental(true);
        config.set_backend(Some(BackendKind::Interpreter));
        config.set_worker_count(0);
        let engine = Engine::new(&config).expect("an interpreter");
        let mut config = ModuleConfig::new();
        config.set_page_size(4096);
        config.set_gas_metering(Some(GasMeteringKind::Sync));
        config.set_cost_model(Some(CostModelKind::Full(CacheModel::L2Hit)));
        Judge { engine, config }
    }

    fn load(&self, program: &ProgramBlob) -> Result<Module, String> {
        let mut parts = ProgramParts::empty(InstructionSetKind::JamV1);
        parts.code_and_jump_table = program.to_bytes().into();
        let blob = Foreign::from_parts(parts).map_err(|e| e.to_string())?;
        Module::from_blob(&self.engine, &self.config, blob).map_err(|e| e.to_string())
    }
}

#[test]
fn blocks_of_well_formed_programs_cost_the_same() {
    let judge = Judge::new();
    let mut rng = Rng::new(20);
    let mut blocks = 0;
    for _ in 0..60 {
        let block_len = 2 + rng.below(60);
        let program = testing::program(GP, &mut rng, 400, block_len);
        assert_eq!(check_well_formed(GP, &program), Ok(()));
        let module = judge.load(&program).expect("accepted");
        for (pc, cost) in program_costs(GP, &program) {
            let expected = module.calculate_gas_cost_for(ProgramCounter(pc)).expect("a block");
            assert_eq!(i64::from(cost), expected, "block at {pc}");
            blocks += 1;
        }
    }
    assert!(blocks > 500, "{blocks} blocks");
}

#[test]
fn the_same_programs_are_accepted() {
    let judge = Judge::new();
    let mut rng = Rng::new(21);
    let mut verdicts = [0, 0];
    for round in 0..3000 {
        let len = 1 + rng.below(6);
        let mut program = testing::program(GP, &mut rng, len, 3);
        if round % 3 != 0 {
            change(&mut program, &mut rng);
        }
        let ours = validate(GP, &program);
        let theirs = judge.load(&program);
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
