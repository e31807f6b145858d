//! Errors show the place in the module. Offsets are judged by the bytes of the module, lines by the sources.

use std::fs;

use serde_json::Value;

use crate::support::{Folder, text, wasm_of_c};

const FLOATS: &str = "(module
  (import \"env\" \"g\" (func))
  (func $_ZN4core3num4half17h0123456789abcdefE (export \"f\") (param f32 f32) (result f32)
    local.get 0
    local.get 1
    f32.div
    f32.sqrt
    return))
";

/// The only place of these bytes in a module.
fn offset_of(wasm: &[u8], bytes: &[u8]) -> usize {
    let places: Vec<usize> = (0..wasm.len()).filter(|&at| wasm[at..].starts_with(bytes)).collect();
    assert_eq!(places.len(), 1, "{bytes:02x?}");
    places[0]
}

#[test]
fn an_error_shows_the_operator_with_its_neighbours_and_the_line_of_the_text() {
    let folder = Folder::new("excerpts");
    folder.write("floats.wat", FLOATS);
    let args = ["compile", "floats.wat", "--floats", "reject", "-o", "out.jam"];
    let (_, told) = folder.fail_with_output(&args, 1);
    let wasm = wat::parse_str(FLOATS).unwrap();
    // local.get 1, f32.div, f32.sqrt
    let div = offset_of(&wasm, &[0x20, 1, 0x95, 0x91]) + 2;
    let (one, two, sqrt, end) = (div - 4, div - 2, div + 1, div + 2);
    let expected = format!(
        " --> function 1, core::num::half, at offset {div:#x}, line 6:5
 {one:#x} | local.get 0
 {two:#x} | local.get 1
 {div:#x} | f32.div
      | ^^^^^^^
 {sqrt:#x} | f32.sqrt
 {end:#x} | return
help: `wasm-pvm explain E0106` has an example and the ways out
"
    );
    let (line, rest) = told.split_once('\n').unwrap();
    assert!(
        line.starts_with("error[E0106]: floats.wat: ") && line.contains("f32.sqrt in function"),
        "{told}"
    );
    assert_eq!(rest, expected);
    assert!(!folder.path("out.jam").exists());
    // The binary has no lines of the text.
    folder.write("floats.wasm", &wasm);
    let (_, told) =
        folder.fail_with_output(&["run", "floats.wasm", "--floats", "reject", "--invoke", "f", "1", "2"], 1);
    assert!(told.contains(&format!("at offset {div:#x}\n {one:#x} | local.get 0\n")), "{told}");
}

#[test]
fn excerpts_are_fields_of_json() {
    let folder = Folder::new("excerpts-json");
    folder.write("floats.wat", FLOATS);
    let args = ["--message-format", "json", "compile", "floats.wat", "--floats", "reject", "-o", "out.jam"];
    let (_, told) = folder.fail_with_output(&args, 1);
    let message: Value = serde_json::from_str(&told).unwrap();
    let excerpt = &message["excerpts"][0];
    assert_eq!(excerpt["function"], serde_json::json!({ "index": 1, "name": "core::num::half" }));
    assert_eq!(excerpt["offset"], message["offset"]);
    assert_eq!(excerpt["source"], serde_json::json!({ "file": null, "line": 6, "column": 5 }));
    let operators = excerpt["operators"].as_array().unwrap();
    let texts: Vec<&str> = operators.iter().map(|operator| operator["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["local.get 0", "local.get 1", "f32.div", "f32.sqrt", "return"]);
    let here: Vec<bool> = operators.iter().map(|operator| operator["here"].as_bool().unwrap()).collect();
    assert_eq!(here, [false, false, true, false, false]);
}

#[test]
fn invalid_modules_have_excerpts_as_well() {
    let folder = Folder::new("excerpts-invalid");
    folder
        .write("types.wat", "(module (func $f (result i32)\n  (i32.add (i32.const 1)\n    (i64.const 2))))");
    let (_, told) = folder.fail_with_output(&["compile", "types.wat"], 1);
    assert!(told.contains(", f, at offset ") && told.contains(", line 2:4\n"), "{told}");
    assert!(
        told.contains(" | i64.const 2\n") && told.contains(" | i32.add\n") && told.contains(" | ^^^^^^^\n"),
        "{told}"
    );
    // An opcode that there isn't, after `nop`.
    let mut wasm = wat::parse_str("(module (func nop unreachable))").unwrap();
    let at = offset_of(&wasm, &[0x01, 0x00, 0x0b]) + 1;
    wasm[at] = 0xff;
    folder.write("opcode.wasm", &wasm);
    let (_, told) = folder.fail_with_output(&["compile", "opcode.wasm"], 1);
    assert!(told.contains(&format!(" {at:#x} | bytes ff 0b")) && told.contains(" | nop\n"), "{told}");
}

#[test]
fn imports_without_an_action_show_a_use_of_each() {
    let folder = Folder::new("excerpts-imports");
    let module = "(module (import \"a\" \"x\" (func $x)) (import \"a\" \"y\" (func $y))
      (func (export \"f\") nop\n call $x\n call $y))";
    folder.write("imports.wat", module);
    let (_, told) = folder.fail_with_output(&["compile", "imports.wat"], 1);
    assert_eq!(told.matches(" --> function 2, f, ").count(), 2, "{told}");
    assert!(told.contains(", line 3:2\n") && told.contains(", line 4:2\n"), "{told}");
    assert!(told.contains(" | call $x\n") && told.contains("\nhelp: "), "{told}");
}

#[test]
fn the_line_of_a_source_comes_from_debug_information() {
    let folder = Folder::new("excerpts-dwarf");
    let source = folder.write("half.c", "float half(float x) {\n  return x / 3;\n}\n");
    let Some(wasm) = wasm_of_c(&folder, &[&source], &["-g", "-O1", "-Wl,--export=half"]) else { return };
    folder.write("half.wasm", &wasm);
    let (_, told) = folder.fail_with_output(&["compile", "half.wasm", "--floats", "reject"], 1);
    assert!(told.contains("half.c:2:"), "{told}");
}

#[test]
fn colours_are_for_terminals_or_on_request() {
    let folder = Folder::new("excerpts-colour");
    folder.write("floats.wat", FLOATS);
    let args = ["compile", "floats.wat", "--floats", "reject"];
    let (_, plain) = folder.fail_with_output(&args, 1);
    assert!(!plain.contains('\x1b'), "{plain}");
    let (_, coloured) = folder.fail_with_output(&[&["--color", "always"], &args[..]].concat(), 1);
    assert!(
        coloured.starts_with("\x1b[31merror[E0106]\x1b[0m: ")
            && coloured.contains("\x1b[31m^^^^^^^\x1b[0m\n"),
        "{coloured}"
    );
    // What --color always asks for stays.
    let output = folder.tool_after("NO_COLOR=1; export NO_COLOR", &args);
    assert!(!text(&output.stderr).contains('\x1b'));
    assert!(fs::read(folder.path("floats.jam")).is_err());
}
