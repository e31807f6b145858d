//! Options of compilation by the choices of a head. The first choice everywhere is the default.

use random::Rng;
use wasm_pvm::wasi::Wasi;
use wasm_pvm::{
    Constants, Cpu, Debug, EntryMode, FloatAbi, FloatHelpers, Floats, Format, GpVersion, ImportMap,
    InitialData, MemoryMode, MetadataContents, Names, OptLevel, Options, Profile, PvmBounds, PvmOptions,
    ShadowStack, StartCopy, ThumbBounds, ThumbOptions,
};

/// Levels, the default first.
pub const LEVELS: [OptLevel; 5] = [OptLevel::O2, OptLevel::O0, OptLevel::O1, OptLevel::Os, OptLevel::Oz];

/// Any options, contradictions included.
pub fn any(choices: &mut Rng) -> Options {
    let is_thumb = choices.below(2) == 1;
    let level = choices.pick(&LEVELS);
    let floats = choices.pick(&[
        None,
        Some(Floats::Trap),
        Some(Floats::Soft),
        Some(Floats::Reject),
        Some(Floats::Hard),
    ]);
    let shadow_stack = choices.pick(&[ShadowStack::Auto, ShadowStack::Strict, ShadowStack::Native]);
    let wasi = (choices.below(4) == 3).then(Wasi::default);
    let target = if is_thumb { thumb(choices).into() } else { wasm_pvm::Target::Pvm(pvm(choices)) };
    Options { level, floats, shadow_stack, wasi, threads: 1, ..Options::new(target) }
}

fn pvm(choices: &mut Rng) -> PvmOptions {
    let format = choices.pick(&[Format::Jam, Format::Spi, Format::Raw, Format::PolkaVm, Format::CoreVm]);
    let imports = match choices.below(3) {
        0 => ImportMap::default().with_auto(100),
        1 => ImportMap::default().with_rest(wasm_pvm::ImportAction::Trap),
        _ => ImportMap::default(),
    };
    PvmOptions {
        format,
        imports,
        gp: choices.pick(&[GpVersion::V08, GpVersion::V072, GpVersion::Next]),
        bounds: choices.pick(&[PvmBounds::Guard, PvmBounds::Strict]),
        entries: choices.pick(&[EntryMode::Auto, EntryMode::Raw]),
        names: choices.pick(&[Names::Auto, Names::Keep, Names::Strip, Names::Lines]),
        metadata: choices.pick(&[MetadataContents::Entries, MetadataContents::Exports]),
        start_copy: choices.pick(&[StartCopy::Auto, StartCopy::Never]),
        memory_bytes: choices.pick(&[None, Some(0), Some(70_000), Some(u32::MAX)]),
        stack_size: choices.pick(&[None, Some(0), Some(10_000), Some(1 << 25)]),
        profile: choices.pick(&[
            None,
            None,
            None,
            None,
            Some(Profile::Jam),
            Some(Profile::Revive),
            Some(Profile::CoreVm),
            Some(Profile::Substrate),
        ]),
        map: choices.one_in(2),
        ..PvmOptions::default()
    }
}

fn thumb(choices: &mut Rng) -> ThumbOptions {
    let cpu = choices.pick(&Cpu::ALL);
    ThumbOptions {
        memory: choices.pick(&[MemoryMode::Symbol, MemoryMode::Register, MemoryMode::Native]),
        bounds: choices.pick(&[
            None,
            Some(ThumbBounds::Check),
            Some(ThumbBounds::None),
            Some(ThumbBounds::Mask),
            Some(ThumbBounds::Mpu),
        ]),
        float_helpers: choices.pick(&[FloatHelpers::Aeabi, FloatHelpers::Own]),
        strict_align: choices.below(2) == 1,
        float_abi: choices.pick(&[FloatAbi::default(), FloatAbi::Softfp]),
        memory_bytes: choices.pick(&[None, Some(0), Some(70_000), Some(u32::MAX)]),
        initial_data: choices.pick(&[
            None,
            Some(InitialData::Copy),
            Some(InitialData::Image),
            Some(InitialData::None),
        ]),
        trusts_alignment: choices.below(2) == 1,
        constants: choices.pick(&[Constants::Auto, Constants::Address, Constants::Number, Constants::Refuse]),
        debug: choices.pick(&[Debug::default(), Debug::None]),
        ..ThumbOptions::new(cpu)
    }
}
