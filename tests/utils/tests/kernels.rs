//! Every kernel gives its known output at every level, for both versions of the Gray Paper, on every engine.

use testkit::kernels::{all, measure};
use testkit::machine::Engine;
use testkit::reports::{Report, listed, unlisted};
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

/// Bounds checks let no access out of linear memory, where the host puts the arguments.
#[test]
fn every_kernel_is_right_with_bounds_checks() {
    for kernel in all().unwrap() {
        for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
            for gp in [GpVersion::V072, GpVersion::V08] {
                let pvm = PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() };
                let options = Options { level, ..Options::new(pvm) };
                measure(&kernel, &options, gp, Engine::for_version(gp)[0]).unwrap_or_else(|error| {
                    panic!("{} {} -{level:?} {gp}: {error:#}", kernel.variant, kernel.name)
                });
            }
        }
    }
}

#[test]
fn every_kernel_is_right_everywhere() {
    let mut runs = 0;
    for kernel in all().unwrap() {
        for level in [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
            for gp in [GpVersion::V072, GpVersion::V08] {
                for &engine in Engine::for_version(gp) {
                    let pvm = PvmOptions { gp, ..PvmOptions::default() };
                    let options = Options { level, ..Options::new(pvm) };
                    measure(&kernel, &options, gp, engine).unwrap_or_else(|error| {
                        panic!("{} {} -{level:?} {gp} {engine:?}: {error:#}", kernel.variant, kernel.name)
                    });
                    runs += 1;
                }
            }
        }
    }
    assert_eq!(runs, 42 * 4 * 3);
}

/// Programs of `tests/fixtures/reports` that are still wrong, and why. It is an error if one is right.
const PENDING: &[(&str, &str)] = &[
    ("two-segments-one-unit.wat", "initial data in pieces"),
    ("pages1-strict.wat", "initial data at the end of memory"),
    ("distant-segments-many-loops.wat", "initial data in pieces"),
    ("memset-clamp.wat", "recognition of helpers"),
    ("memcpy-overlap.wat", "recognition of helpers"),
    ("memcmp-early-exit.wat", "recognition of helpers"),
    ("udivti3-zero.wat", "recognition of helpers"),
    ("stack-above-aligned.wat", "fusing the shadow stack"),
    ("stack-scan.wat", "fusing the shadow stack"),
    ("auto-16M-stack.wat", "fusing the shadow stack"),
    ("tail-more-stack-args.wat", "tail calls with more stack words"),
    ("float-moves-rejected.wat", "moves of floats"),
    ("import-seven-args.wat", "`* = trap` in import maps"),
    ("result-globals.wat", "results in globals"),
];

/// Small programs that stand for kinds of bugs do what independent engines do, under all options.
#[test]
fn every_report_is_right_everywhere() {
    let reports: Vec<Report> = listed().unwrap().into_iter().chain(unlisted()).collect();
    assert_eq!(reports.len(), 15);
    let mut wrong = Vec::new();
    for report in reports {
        let failures = report.failures().unwrap();
        let pending = PENDING.iter().find(|(file, _)| *file == report.file);
        match (failures.first(), pending) {
            (None, Some((file, why))) => wrong.push(format!("{file} is right, but listed as pending: {why}")),
            (Some(failure), None) => wrong.push(format!("{} of 32 fail: {failure}", failures.len())),
            (Some(failure), Some((_, why))) => println!("pending ({why}): {failure}"),
            (None, None) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
