//! Every kernel gives its known output at every level, for all versions of the Gray Paper, on every engine.

use pvm_engine::Engine;
use testkit::kernels::{Kernel, all, float_operations, floats, measure, trained, vectors};
use testkit::reports::{Report, listed, unlisted};
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

/// The host puts the arguments outside of linear memory, where bounds checks allow no access.
#[test]
fn every_kernel_is_right_with_bounds_checks() {
    for kernel in all().unwrap() {
        for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
            for gp in GpVersion::ALL {
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
    assert_eq!(right_everywhere(&all().unwrap()), 42 * 4 * 5);
}

#[test]
fn every_float_kernel_is_right_everywhere() {
    assert_eq!(right_everywhere(&floats().unwrap()), 14 * 4 * 5);
    assert_eq!(right_everywhere(&float_operations().unwrap()), 37 * 4 * 5);
}

#[test]
fn every_vector_kernel_is_right_everywhere() {
    assert_eq!(right_everywhere(&vectors().unwrap()), 8 * 4 * 5);
}

/// Gas of kernels with vectors, in relation to the same program in C without them.
#[test]
fn vectors_cost_no_more_than_scalars() {
    let gp = GpVersion::V08;
    let options = Options::new(PvmOptions { gp, ..PvmOptions::default() });
    let gas = |kernel: &Kernel| measure(kernel, &options, gp, Engine::for_version(gp)[0]).unwrap().gas as f64;
    let (with, without): (Vec<_>, Vec<_>) =
        vectors().unwrap().into_iter().partition(|kernel| kernel.variant == "simd");
    let ratios: Vec<f64> =
        with.iter().zip(&without).map(|(with, without)| gas(with) / gas(without)).collect();
    let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    assert!(mean <= 1.1 && ratios.iter().all(|ratio| *ratio <= 1.5), "{mean}: {ratios:?}");
}

/// Code in the next format, in relation to code and mask of GP 0.8, and its gas.
#[test]
fn the_next_format_is_smaller() {
    for (level, variant, size, gas) in [(OptLevel::O2, "O2", 0.89, 1.04), (OptLevel::Oz, "Os", 0.92, 1.01)] {
        let kernels = all().unwrap().into_iter().filter(|kernel| kernel.variant == variant);
        let ratios: Vec<[f64; 2]> = kernels.map(|kernel| next_to_old(&kernel, level)).collect();
        let mean = |n: usize| {
            let logs: f64 = ratios.iter().map(|ratio| ratio[n].ln()).sum();
            (logs / ratios.len() as f64).exp()
        };
        assert!(mean(0) <= size && mean(1) <= gas, "-{level:?}: {} bytes, {} gas", mean(0), mean(1));
    }
}

fn next_to_old(kernel: &Kernel, level: OptLevel) -> [f64; 2] {
    let [old, next] = [GpVersion::V08, GpVersion::Next].map(|gp| {
        let options = Options { level, ..Options::new(PvmOptions { gp, ..PvmOptions::default() }) };
        measure(kernel, &options, gp, Engine::for_version(gp)[0]).unwrap()
    });
    let old_bytes = old.code_bytes + old.code_bytes.div_ceil(8);
    [next.code_bytes as f64 / old_bytes as f64, next.gas as f64 / old.gas as f64]
}

/// Gas with a profile of a run on other arguments, in relation to gas without.
#[test]
fn profiles_lower_gas() {
    let rows = trained("O2", OptLevel::O2).unwrap();
    let ratios: Vec<f64> = rows.iter().map(|(_, without, with)| *with as f64 / *without as f64).collect();
    let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    assert!(
        ratios.len() == 5 && mean <= 0.88 && ratios.iter().all(|ratio| *ratio <= 1.0),
        "{mean}: {rows:?}"
    );
}

/// Runs kernels at all levels, for all versions, on all engines; the number of runs.
fn right_everywhere(kernels: &[Kernel]) -> usize {
    let mut runs = 0;
    for kernel in kernels {
        for level in [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
            for gp in GpVersion::ALL {
                for &engine in Engine::for_version(gp) {
                    let pvm = PvmOptions { gp, ..PvmOptions::default() };
                    let options = Options { level, ..Options::new(pvm) };
                    measure(kernel, &options, gp, engine).unwrap_or_else(|error| {
                        panic!("{} {} -{level:?} {gp} {engine:?}: {error:#}", kernel.variant, kernel.name)
                    });
                    runs += 1;
                }
            }
        }
    }
    runs
}

/// Small programs, one per kind of bug, have the results of independent engines under all options.
#[test]
fn every_report_is_right_everywhere() {
    let reports: Vec<Report> = listed().unwrap().into_iter().chain(unlisted()).collect();
    assert_eq!(reports.len(), 16);
    let mut wrong = Vec::new();
    for report in reports {
        let failures = report.failures().unwrap();
        if let Some(failure) = failures.first() {
            wrong.push(format!("{} of 32 fail: {failure}", failures.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
