//! The engine for objects, judged like an emulated board: by the specification suite, by scripts, by the reference engine on
//! random modules, and by the outputs of kernels. It needs no tools.

use testkit::fuzz::{self, Verdict};
use testkit::scripts;
use testkit::spec::{check, imported_globals};
use testkit::thumb::Setup;
use testkit::thumb_engine::ThumbEngine;
use wasm_pvm::{Cpu, Floats, OptLevel};

fn engine(cpu: Cpu, level: OptLevel, floats: Floats) -> ThumbEngine {
    ThumbEngine { setup: Setup::new(cpu, level, floats) }
}

#[test]
fn scripts_pass_on_every_kind_of_core() {
    for (cpu, level, floats) in [
        (Cpu::M0Plus, OptLevel::Oz, Floats::Soft),
        (Cpu::M3, OptLevel::O2, Floats::Soft),
        (Cpu::M4F, OptLevel::O0, Floats::Soft),
        (Cpu::M23, OptLevel::O2, Floats::Soft),
        (Cpu::M33F, OptLevel::Os, Floats::Soft),
        (Cpu::M55DP, OptLevel::O2, Floats::Hard),
    ] {
        let engine = engine(cpu, level, floats);
        scripts::check("thumb", None, &format!("engine, {cpu} -{level:?}"), &engine);
    }
}

/// The parts of the suite about operators, whose modules compile fast.
fn is_operator(file: &str) -> bool {
    const FILES: [&str; 9] = [
        "i32.",
        "i64.",
        "int_exprs.",
        "address.",
        "endianness.",
        "memory_copy.",
        "br_table.",
        "fac.",
        "stack.",
    ];
    let name = file.rsplit('/').next().unwrap_or(file);
    FILES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_float(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    ["f64.", "f32_cmp.", "conversions."].iter().any(|prefix| name.starts_with(prefix))
}

fn suite(record: &str, is_wanted: fn(&str) -> bool, cpu: Cpu, level: OptLevel, floats: Floats) {
    let setup = Setup { imported_globals: imported_globals(), ..Setup::new(cpu, level, floats) };
    let context = format!("engine, {cpu} -{level:?}");
    check(&context, record, is_wanted, &|| Box::new(ThumbEngine { setup: setup.clone() }));
}

#[test]
fn suite_of_operators() {
    suite("spec-record-engine-operators", is_operator, Cpu::M3, OptLevel::Oz, Floats::Soft);
    suite("spec-record-engine-operators", is_operator, Cpu::M0Plus, OptLevel::Oz, Floats::Soft);
}

#[test]
fn suite_of_floats() {
    suite("spec-record-engine-floats", is_float, Cpu::M7DP, OptLevel::O2, Floats::Hard);
    suite("spec-record-engine-floats", is_float, Cpu::M3, OptLevel::Oz, Floats::Soft);
}

#[test]
fn random_modules_behave_as_in_the_reference_engine() {
    let mut agreed = 0;
    for seed in 0..24 {
        let cpu = [Cpu::M3, Cpu::M33, Cpu::M7DP][seed as usize % 3];
        let floats = if cpu == Cpu::M7DP { Floats::Hard } else { Floats::Soft };
        let setup = Setup::new(cpu, OptLevel::O2, floats).with_memory_of(seed);
        let wasm = fuzz::module_with_floats(seed).unwrap();
        match fuzz::compare(&wasm, seed, &ThumbEngine { setup }) {
            Ok(Verdict::Agreed(calls)) => agreed += calls,
            Ok(Verdict::Nothing) => {}
            Err(error) => panic!("seed {seed}, {cpu}: {error:#}"),
        }
    }
    assert!(agreed > 20, "{agreed} calls");
}
