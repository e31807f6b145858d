//! Tools and data that tests need, and a record of the checks that are skipped without them.
//!
//! The test harness hides the output of tests that pass, so a message alone would not be seen. Every skipped check is
//! therefore appended to the file that the environment variable `SKIPPED_CHECKS` names, if it is set. `scripts/test.sh`
//! sets it and prints a summary at its end.
//!
//! Under `CI=true` a missing tool is a failure, because `scripts/setup.sh` installs all of them. Missing data is not:
//! it is outside of the repository. `WITHOUT_TOOLS` names tools, separated by spaces, that are not to be used although
//! they are installed.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether these programs are in the search path. If not, the current check is skipped.
///
/// # Panics
/// If one is missing and the environment has `CI=true`.
pub fn tools(names: &[&str]) -> bool {
    if let Some(tool) = names.iter().find(|name| is_unwanted(name)) {
        skip(&format!("without {tool}"));
        return false;
    }
    let missing = missing(names);
    if missing.is_empty() {
        return true;
    }
    let reason = format!("{} not found", missing.join(", "));
    assert!(!is_ci(), "{reason}; CI needs every tool that scripts/setup.sh installs");
    skip(&reason);
    false
}

/// Whether a toolchain that `scripts/setup.sh` can't install everywhere is there, which `is_there` finds out. If not, or if
/// `WITHOUT_TOOLS` names it, a part of the current check is skipped, also under `CI=true`.
pub fn optional(name: &str, is_there: impl FnOnce() -> bool) -> bool {
    if is_unwanted(name) {
        skip(&format!("without {name}"));
        return false;
    }
    let is_there = is_there();
    if !is_there {
        skip(&format!("no {name}"));
    }
    is_there
}

/// A command that starts Python with a package. `None` if one of them is missing: then the current check is skipped.
///
/// This holds under `CI=true`, too. `scripts/setup.sh` tries to install the package, but a registry may be out of reach,
/// and it is the engine of a second judge: every check of the first one is made without it.
pub fn python(package: &str) -> Option<Command> {
    if is_unwanted("python3") {
        skip("without python3");
        return None;
    }
    let mut python = Command::new("python3");
    if let Some(folder) = python_packages() {
        python.env("PYTHONPATH", folder);
    }
    let import = format!("import {package}");
    let mut test = Command::new(python.get_program());
    test.envs(python.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let status = test.args(["-c", &import]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !status.is_ok_and(|status| status.success()) {
        skip(&format!("no python3 with the package {package}"));
        return None;
    }
    Some(python)
}

/// The folder of Python packages that `scripts/setup.sh` makes beside the folders of the build, which this program is in.
fn python_packages() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().map(|folder| folder.join("python-packages")).find(|folder| folder.is_dir())
}

/// Whether a file or folder outside of the repository exists. If not, the current check is skipped.
pub fn data(path: &Path) -> bool {
    let exists = path.exists();
    if !exists {
        let name: Vec<_> = path.components().rev().take(2).map(|part| part.as_os_str()).collect();
        let name: Vec<_> = name.iter().rev().map(|part| part.to_string_lossy()).collect();
        skip(&format!("no data {}", name.join("/")));
    }
    exists
}

/// Records that the current check is skipped.
///
/// # Panics
/// If the record can't be written.
pub fn skip(reason: &str) {
    let check = check();
    eprintln!("skipped: {check}: {reason}");
    if let Some(path) = std::env::var_os("SKIPPED_CHECKS") {
        let record = OpenOptions::new().create(true).append(true).open(&path);
        // One write, since tests of several threads append.
        let line = format!("{reason}\t{check}\n");
        record.and_then(|mut file| file.write_all(line.as_bytes())).expect("the record is writable");
    }
}

/// Whether `WITHOUT_TOOLS` names a tool.
fn is_unwanted(name: &str) -> bool {
    let unwanted = std::env::var("WITHOUT_TOOLS").unwrap_or_default();
    unwanted.split_whitespace().any(|tool| tool == name)
}

/// The programs that are not in the search path.
pub fn missing<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    names.iter().copied().filter(|name| !is_there(name)).collect()
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Binary and name of the current test.
fn check() -> String {
    let binary = std::env::current_exe().ok();
    let binary = binary.as_deref().and_then(Path::file_stem).unwrap_or_default().to_string_lossy();
    // Cargo appends a hash to the name.
    let binary = binary.rsplit_once('-').map_or(&*binary, |(name, _)| name);
    format!("{binary} {}", std::thread::current().name().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::{data, missing};
    use std::path::Path;

    #[test]
    fn missing_programs_are_named() {
        assert_eq!(missing(&["cargo", "no-such-program"]), ["no-such-program"]);
    }

    #[test]
    fn existing_data_is_found() {
        assert!(data(Path::new(env!("CARGO_MANIFEST_DIR"))));
    }
}
