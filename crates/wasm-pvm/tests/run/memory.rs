//! Too little memory: a message and the exit code of a failure, where the system lets a process notice it.

use std::process::{Command, Output};

use super::support::Folder;

/// Address space of the tool: more than its libraries need, less than the stack of a compilation.
const KIBIBYTES: u64 = 700_000;

fn limited(folder: &Folder, args: &[&str]) -> Output {
    let script = format!("ulimit -v {KIBIBYTES}; exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_wasm-pvm")])
        .args(args)
        .current_dir(folder.path(""))
        .output()
        .expect("a shell")
}

#[track_caller]
fn assert_fails(output: &Output, message: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("error: ") && text.contains(message) && text.lines().count() == 1, "{text}");
}

#[test]
#[cfg(target_os = "linux")]
fn too_little_memory_is_a_message() {
    let folder = Folder::new("memory");
    folder.write("a.wat", "(module (func (export \"f\")))");
    assert_fails(
        &limited(&folder, &["compile", "a.wat", "-o", "a.jam"]),
        "the system refuses a stack of 1024 MiB",
    );
    assert_eq!(folder.files(), ["a.wat"]);
    // A file with a hole, which takes no place on the disk.
    let file = std::fs::File::create(folder.path("hole")).expect("a file");
    file.set_len(KIBIBYTES << 11).expect("a hole");
    assert_fails(&limited(&folder, &["info", "hole"]), "out of memory");
}
