//! Scripts of assertions in a folder of fixtures, run on a target. All of their functions take and return integers, so that
//! every engine can judge them.

use std::path::Path;

use crate::executor::Executor;
use crate::spec::run_text;

/// The scripts of `tests/fixtures/FOLDER` with their names, sorted.
fn scripts(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(folder);
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        scripts.push((name, std::fs::read_to_string(path).expect("a script is text")));
    }
    scripts.sort();
    assert!(!scripts.is_empty());
    scripts
}

/// Runs all scripts of a folder but those with this in their names; those with `float` in their names need floats.
///
/// # Panics
/// If an assertion fails.
pub fn check(folder: &str, without: Option<&str>, context: &str, executor: &dyn Executor) {
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, text) in scripts(folder) {
        let is_left_out = without.is_some_and(|without| name.contains(without));
        if is_left_out || name.contains("float") && !executor.has_floats() {
            continue;
        }
        let tally = run_text(&name, &text, executor);
        assert!(tally.skipped.is_empty(), "{name}: nothing is skipped");
        passed += tally.passed;
        failed.extend(tally.failed);
    }
    println!("{context}: {passed} passed");
    assert!(failed.is_empty(), "{context}:\n{}", failed.join("\n"));
}
