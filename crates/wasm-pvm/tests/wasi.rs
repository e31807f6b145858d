//! WASI programs on the command line: options, packed directories, streams, exit codes, messages.

mod support;

use std::fs;

use support::{Folder, text};

/// Copies standard input to standard output, its first argument to standard error, and exits with the number of
/// arguments minus one.
const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\01\00\00\00\01\00\00")
  (func (export "_start")
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $sizes (i32.const 12) (i32.const 16)))
    (drop (call $args (i32.const 1024) (i32.const 2048)))
    (i32.store (i32.const 0) (i32.load (i32.const 1024)))
    (i32.store (i32.const 4) (i32.const 4))
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $exit (i32.sub (i32.load (i32.const 12)) (i32.const 1)))))"#;

#[test]
fn a_compiled_command_is_a_service() {
    let folder = Folder::new("wasi-service");
    folder.write("prog.wat", PROGRAM);
    folder.succeed(&["compile", "prog.wat", "--wasi"]);
    let outcome = folder.run_json("prog.jam", &["--args", "616263"]);
    assert_eq!((&outcome["status"], &outcome["result"]), (&"halt".into(), &"616263".into()));
    assert_eq!(outcome["log"][0]["message"], "prog");
    // Another code than 0 panics.
    folder.succeed(&[
        "compile",
        "prog.wat",
        "--wasi",
        "--wasi-arg",
        "-x",
        "--wasi-arg",
        "y",
        "-o",
        "two.jam",
    ]);
    let outcome = folder.run_json("two.jam", &[]);
    assert_eq!(outcome["status"], "panic");
    let last = &outcome["log"][1];
    assert_eq!((&last["target"], &last["message"]), (&"wasi".into(), &"exit code 2".into()));
}

/// The run is repeated for the explanation, with the same input. An exit is no trap.
#[test]
fn a_trap_that_depends_on_standard_input_is_explained() {
    const TRAPS: &str = r#"(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\10\00\00\00\10\00\00\00")
      (func (export "_start")
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (if (i32.eq (i32.load8_u (i32.const 16)) (i32.const 120)) (then (unreachable)))
        (if (i32.eqz (i32.load8_u (i32.const 16))) (then (call $exit (i32.const 9))))
        (drop (i32.load (i32.const 0x7fff_fff0)))
        (call $exit (i32.const 5))))"#;
    let folder = Folder::new("wasi-trap");
    folder.write("prog.wat", TRAPS);
    let run = ["run", "prog.wat", "--bounds", "strict"];
    let ends = |input: &[u8], code: i32| {
        let output = folder.tool(&run, input);
        assert_eq!(output.status.code(), Some(code));
        text(&output.stderr)
    };
    let explained = ends(b"x", 3);
    assert!(explained.contains("unreachable"), "{explained}");
    let explained = ends(b"y", 3);
    assert!(explained.contains("outside of the memory"), "{explained}");
    assert_eq!(ends(b"", 9), "");
}

#[test]
fn a_module_runs_with_the_standard_streams() {
    let folder = Folder::new("wasi-run");
    folder.write("prog.wat", PROGRAM);
    let output = folder.tool(&["run", "prog.wat", "--", "one", "--two", "three"], b"some input");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!((output.stdout.as_slice(), text(&output.stderr)), (b"some input".as_slice(), "prog\n".into()));
    let output = folder.tool(&["run", "prog.wat", "--args", "0041"], b"not read");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"\0A".as_slice()));
}

#[test]
fn directories_are_packed_in_the_order_of_their_names() {
    let folder = Folder::new("wasi-files");
    folder.write(
        "size.wat",
        r#"(module
          (import "wasi_snapshot_preview1" "path_filestat_get"
            (func $stat (param i32 i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "\00\01\00\00\09\00\00\00inner/file")
          (func (export "_start")
            (i32.store8 (i32.const 264)
              (call $stat (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 10) (i32.const 1024)))
            (i64.store (i32.const 256) (i64.load (i32.const 1056)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#,
    );
    let mut programs = Vec::new();
    for (host, names) in [("a", ["x", "file", "y"]), ("b", ["y", "x", "file"])] {
        fs::create_dir_all(folder.path(host).join("inner")).expect("a folder");
        for name in names {
            folder.write(&format!("{host}/inner/{name}"), "five!");
        }
        let output = format!("{host}.jam");
        folder.succeed(&[
            "compile",
            "size.wat",
            "--wasi",
            "--wasi-dir",
            &format!("{host}::/data"),
            "-o",
            &output,
        ]);
        assert_eq!(folder.run_json(&output, &[])["result"], "050000000000000000");
        programs.push(fs::read(folder.path(&output)).expect("written"));
    }
    assert_eq!(programs[0], programs[1]);
    // Without the directory there is no such file.
    folder.succeed(&["compile", "size.wat", "--wasi", "-o", "none.jam"]);
    assert_eq!(folder.run_json("none.jam", &[])["result"], "00000000000000002c");
}

#[test]
fn wrong_options_are_usage_errors() {
    let folder = Folder::new("wasi-wrong");
    folder.write("prog.wat", PROGRAM);
    folder.write("plain.wat", r#"(module (func (export "main")))"#);
    let fails = |args: &[&str], code: i32, told: &str| {
        let message = folder.fail(args, b"", code);
        assert!(message.contains(told), "{message}");
    };
    fails(&["compile", "prog.wat", "--wasi-arg", "x"], 2, "--wasi");
    fails(&["compile", "prog.wat", "--wasi", "--wasi-env", "x"], 2, "expected NAME=VALUE");
    fails(&["compile", "prog.wat", "--wasi", "--wasi-env", "=x"], 2, "has no name");
    fails(
        &["compile", "prog.wat", "--wasi", "--wasi-env", "A=1", "--wasi-env", "A=2"],
        2,
        "A is given twice",
    );
    fails(&["compile", "prog.wat", "--wasi", "--wasi-dir", "missing"], 1, "missing: is not a directory");
    fails(&["compile", "prog.wat", "--wasi", "--wasi-dir", ".::", "-o", "x"], 2, "has no name");
    let twice = ["compile", "prog.wat", "--wasi", "--wasi-dir", ".::/a", "--wasi-dir", ".::/a/"];
    fails(&twice, 2, "/a/ is given twice");
    fails(
        &["compile", "prog.wat", "--wasi", "--wasi-dir", ".", "--target", "thumbv7m"],
        2,
        "use memory `symbol`",
    );
    fails(&["run", "plain.wat", "--env", "A=1"], 2, "--env is for modules that import functions of WASI");
    folder.succeed(&["compile", "plain.wat"]);
    fails(&["run", "plain.jam", "--", "x"], 2, "an argument after -- is for WASI modules");
    assert_eq!(folder.files(), ["plain.jam", "plain.wat", "prog.wat"]);
}

#[test]
fn components_run_as_they_are() {
    let folder = Folder::new("wasi-components");
    let fixture =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/programs/c-component/component.wasm");
    folder.write("program.wasm", fs::read(fixture).expect("the fixture"));
    let run = ["run", "program.wasm", "--env", "A=1", "--", "one"];
    let output = folder.tool(&run, b"some input");
    assert_eq!(output.status.code(), Some(0));
    let begins = "room: yes\nargument one\nvariable A = 1\nSOME INPUTclosed: yes\n";
    assert!(text(&output.stdout).starts_with(begins), "{}", text(&output.stdout));
    assert_eq!(text(&output.stderr), "done\n");
    let output = folder.tool(&["run", "program.wasm", "--env", "FAIL=1"], b"");
    assert_eq!(output.status.code(), Some(1));
    let message = folder.fail(&["compile", "program.wasm"], b"", 1);
    assert!(message.contains("use --wasi) wasi:cli/stdout@0.2.0.get-stdout, "), "{message}");
    fs::create_dir(folder.path("data")).expect("a folder");
    let message = folder.fail(&["compile", "program.wasm", "--wasi", "--wasi-dir", "data"], b"", 1);
    assert!(message.contains("there are no files yet"), "{message}");
}

#[test]
fn functions_of_components_are_entries() {
    let folder = Folder::new("component-entries");
    folder.write(
        "add.wat",
        r#"(component
          (import "game:engine/draw@1.0.0" (instance $draw (export "line" (func (param "x" u32)))))
          (core func $line (canon lower (func $draw "line")))
          (core module $M
            (import "draw" "line" (func $line (param i32)))
            (func (export "add") (param i32 i32) (result i32)
              (call $line (local.get 0))
              (i32.add (local.get 0) (local.get 1))))
          (core instance $m (instantiate $M (with "draw" (instance (export "line" (func $line))))))
          (func $add (param "x" u8) (param "y" u8) (result u8) (canon lift (core func $m "add")))
          (instance $sums (export "add" (func $add)))
          (export "math:sums/bytes@0.1.0" (instance $sums)))"#,
    );
    let message = folder.fail(&["compile", "add.wat"], b"", 1);
    assert!(
        message.contains("interfaces of components (") && message.contains("game:engine/draw@1.0.0.line")
    );
    folder.write("map", "game:engine/draw@1.0.0.* = nop");
    let run = ["run", "add.wat", "-i", "map", "--invoke", "math:sums/bytes@0.1.0#add", "200", "100"];
    assert_eq!(folder.succeed(&run).trim(), "44");
}
