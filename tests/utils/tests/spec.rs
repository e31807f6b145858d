//! The specification suite at every level, against the record of what passes.
//!
//! `BLESS=1` rewrites the record. Only counts are recorded; what an assertion expects is the suite's.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::spec::{Level, Setup, Tally, files, record, run_file};
use wasm_pvm::GpVersion;

#[test]
fn everything_holds_at_o0() {
    check(Level::O0);
}

#[test]
fn everything_holds_at_o2() {
    check(Level::O2);
}

#[test]
fn everything_holds_at_oz() {
    check(Level::Oz);
}

fn check(level: Level) {
    let tallies = run(&Setup::new(level, GpVersion::V08));
    let passed: u32 = tallies.iter().map(|(_, tally)| tally.passed).sum();
    let failures: Vec<&String> = tallies.iter().flat_map(|(_, tally)| &tally.failed).collect();
    let actual = record(&tallies);
    println!("-{level:?}: {passed} passed, {} failed\n{actual}", failures.len());
    for failure in &failures {
        println!("FAILED {failure}");
    }
    let path = record_path();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(failures.is_empty(), "{} assertions of the suite fail at -{level:?}", failures.len());
    assert_eq!(actual, expected, "the record differs: BLESS=1 rewrites it, if the difference is wanted");
}

fn record_path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "fixtures", "spec-record.txt"].iter().collect()
}

/// Runs all files on two threads, in the order of the list.
fn run(setup: &Setup) -> Vec<(String, Tally)> {
    let files = files();
    let only = std::env::var("SPEC_FILE").ok();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = format!("{}/{}", file.parent(), file.name());
                    if only.as_ref().is_none_or(|only| name.contains(only)) {
                        let tally = run_file(file, setup);
                        done.lock().unwrap().push((name, tally));
                    }
                }
            });
        }
    });
    let mut tallies = done.into_inner().unwrap();
    tallies.sort_by(|a, b| a.0.cmp(&b.0));
    tallies
}
