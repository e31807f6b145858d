//! Running the command-line tool in a folder of its own.

#![allow(dead_code, reason = "not every test file uses everything")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own for each test, removed when the test is over.
pub struct Folder(TempDir);

impl Folder {
    /// An empty one.
    pub fn new(test: &str) -> Self {
        let prefix = format!("wasm-pvm-cli-{test}-");
        Self(tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder"))
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file in the temporary folder");
        path
    }

    /// Names of the files in it, sorted.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("the folder is there");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Runs the tool in the folder.
    pub fn tool(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wasm-pvm"))
            .args(args)
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
        let mut stdin = child.stdin.take().expect("piped");
        // A tool that refuses its command line does not read its input.
        let _ = std::io::Write::write_all(&mut stdin, input);
        drop(stdin);
        child.wait_with_output().expect("the tool ends")
    }

    /// Runs the tool without input, after a command of the shell in the same process.
    pub fn tool_after(&self, before: &str, args: &[&str]) -> Output {
        Command::new("sh")
            .args(["-c", &format!("{before}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_wasm-pvm")])
            .args(args)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .expect("a shell")
    }

    /// Runs the tool, expects success and gives its standard output.
    pub fn succeed(&self, args: &[&str]) -> String {
        let output = self.tool(args, b"");
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs the tool, expects a failure with this exit code and one line of explanation, and returns that line without the
    /// error's code, which has to have a page. Excerpts of the module, whose lines begin with a space, and help may follow it.
    pub fn fail(&self, args: &[&str], input: &[u8], code: i32) -> String {
        let output = self.tool(args, input);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
        let message = message.split("\nhelp: ").next().unwrap_or_default();
        let lines = message.trim_end().lines().filter(|line| !line.starts_with(' '));
        assert_eq!(lines.count(), 1, "{args:?}: {message}");
        let message = message.lines().next().unwrap_or_default();
        assert!(message.starts_with("error[") && output.stdout.is_empty(), "{args:?}: {message}");
        let (code, told) = message["error[".len()..].split_once("]: ").expect("a code");
        assert!(wasm_pvm::codes::page(code).is_some(), "{args:?}: {message}");
        format!("error: {}", told.trim_end())
    }

    /// Runs the tool, expects a failure with this exit code, and returns both outputs.
    pub fn fail_with_output(&self, args: &[&str], code: i32) -> (String, String) {
        let output = self.tool(args, b"");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    }

    /// Runs a program and gives its outcome.
    pub fn run_json(&self, program: &str, args: &[&str]) -> Value {
        let output = self.tool(&[&["run", program, "--json"], args].concat(), b"");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {}", text(&output.stderr)))
    }
}

/// The captured output.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// C source with known line numbers.
pub const LINES: &str = include_str!("lines.c");

/// The module of [`LINES`] with debug information, if clang is installed.
pub fn dwarf_module(folder: &Folder, level: &str, version: u32) -> Option<Vec<u8>> {
    let source = folder.write("lines.c", LINES);
    wasm_of_c(folder, &[&source], &[level, &format!("-gdwarf-{version}")])
}

/// C sources, compiled to one module, if clang is installed.
pub fn wasm_of_c(folder: &Folder, sources: &[&Path], options: &[&str]) -> Option<Vec<u8>> {
    if !needs::tools(&["clang-22"]) {
        return None;
    }
    let output = folder.path("c.wasm");
    let link = ["-Wl,--no-entry", "-Wl,--allow-undefined", "-Wl,-z,stack-size=4096", "-nostdlib", "-o"];
    let mut clang = Command::new("clang-22");
    // Otherwise clang runs a `wasm-opt` that it finds in the path.
    let clang = clang
        .args(["--target=wasm32", "--no-wasm-opt"])
        .args(options)
        .args(link)
        .arg(&output)
        .args(sources)
        .output();
    let clang = clang.expect("clang starts");
    assert!(clang.status.success(), "{}", text(&clang.stderr));
    Some(fs::read(output).expect("written"))
}
