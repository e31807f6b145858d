//! The progress of a compilation is shown on a terminal only, and leaves nothing behind.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::support::{Folder, text};

/// Clears a line.
const CLEAR: &str = "\r\x1b[K";

/// Functions that call each other in a row.
fn module() -> String {
    let mut module = "(module (func $f0 (param i32) (result i32) (local.get 0))\n".to_owned();
    for n in 1..40 {
        let call = format!("(call $f{} (local.get 0))", n - 1);
        let _ = writeln!(
            module,
            "(func $f{n} (param i32) (result i32) (i32.mul {call} (i32.add {call} (i32.const {n}))))"
        );
    }
    module + "(export \"f\" (func $f39)))"
}

/// What the tool prints on a terminal.
fn on_terminal(folder: &Folder, args: &str) -> String {
    let command = format!("'{}' {args}", env!("CARGO_BIN_EXE_wasm-pvm"));
    let mut script = Command::new("script");
    let script =
        script.args(["-qec", &command, "/dev/null"]).current_dir(folder.path(".")).env("TERM", "xterm");
    let output = script.output().expect("`script` starts");
    assert!(output.status.success(), "{args}: {}", text(&output.stdout));
    text(&output.stdout)
}

#[test]
fn progress_is_shown_on_a_terminal_and_cleared() {
    if !needs::tools(&["script"]) {
        return;
    }
    let folder = Folder::new("progress");
    folder.write("m.wat", module());
    let shown = on_terminal(&folder, "compile m.wat --entries raw -O0 --progress-after 0 -v -o shown.jam");
    assert!(shown.contains(CLEAR), "{shown:?}");
    let drawn: Vec<&str> =
        shown.split(CLEAR).filter(|part| part.contains(" of ") || part.contains("...")).collect();
    assert!(!drawn.is_empty(), "{shown:?}");
    // Messages have lines of their own.
    for line in shown.lines().filter(|line| line.contains("INFO")) {
        let visible = line.rsplit(CLEAR).next().unwrap_or_default();
        let before = visible.split("INFO").next().unwrap_or_default();
        assert!(!before.contains("functions") && !before.contains("..."), "{line:?} in {shown:?}");
    }
    let last = shown.lines().last().and_then(|line| line.rsplit(CLEAR).next());
    assert!(last.is_none_or(|last| last.is_empty() || last.contains("INFO")), "{shown:?}");
    // It doesn't change the output, and nothing of it is shown on request, early, or elsewhere.
    folder.succeed(&["compile", "m.wat", "--entries", "raw", "-O0", "-o", "plain.jam"]);
    assert_eq!(fs::read(folder.path("shown.jam")).unwrap(), fs::read(folder.path("plain.jam")).unwrap());
    for more in
        ["-q --progress-after 0", "--message-format json --progress-after 0", "--progress-after 600000"]
    {
        assert_eq!(
            on_terminal(&folder, &format!("compile m.wat --entries raw {more} -o quiet.jam")),
            "",
            "{more}"
        );
    }
    let args = ["compile", "m.wat", "--entries", "raw", "--progress-after", "0", "-o", "piped.jam"];
    assert_eq!(text(&folder.tool(&args, b"").stderr), "");
}
