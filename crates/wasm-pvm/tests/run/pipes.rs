//! A reader that stops early, such as `head`, doesn't change how the tool ends.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Folder;

/// Time in which every command here ends.
const TIME: Duration = Duration::from_mins(1);

/// The exit code of a command of which nobody reads standard error.
fn unread(folder: &Folder, args: &[&str]) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasm-pvm"));
    command.args(args).current_dir(folder.path(".")).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the tool starts");
    drop(child.stderr.take());
    ended(&mut child, args)
}

fn ended(child: &mut Child, args: &[&str]) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < TIME {
        if let Some(status) = child.try_wait().expect("a child of this process") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("a child of this process");
    panic!("{args:?}: not ended after {TIME:?}");
}

#[test]
fn errors_and_warnings_may_be_unread() {
    let folder = Folder::new("pipes");
    folder.write("bad.wat", "(module (func (result i32) (i64.const 1)))");
    folder.write("trap.wat", r#"(module (func (export "f") unreachable))"#);
    let data = r#"(module (memory 1) (data (i32.const 0) "x") (func (export "f") (drop (memory.size))))"#;
    folder.write("data.wat", data);
    let cases: [(&[&str], i32); 4] = [
        (&["compile", "bad.wat", "-o", "bad.jam"], 1),
        (&["compile", "bad.wat", "-o", "bad.jam", "--message-format", "json"], 1),
        (&["run", "trap.wat", "--entries", "raw", "--invoke", "f"], 3),
        (&["compile", "data.wat", "--target", "thumbv7m", "--memory", "symbol", "-v", "-o", "data.o"], 0),
    ];
    for (args, code) in cases {
        assert_eq!(unread(&folder, args), Some(code), "{args:?}");
    }
}
