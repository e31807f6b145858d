//! The JSON of every command has the version of its fields, and the fields that `docs/src/insight.md` lists.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Folder, text};

const MODULE: &str = r#"(module (memory (export "memory") 1)
  (func (export "main") (param i32 i32) (result i64) (i64.const 0))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1))))"#;

const HOST: &str = r#"(module (import "jam" "read" (func $read (param i64 i32 i64 i32 i64 i64) (result i64)))
  (func (export "main") (param i32 i32) (result i64)
    (call $read (i64.const 0) (i32.const 0) (i64.const 0) (i32.const 0) (i64.const 0) (i64.const 0))) (memory 1))"#;

const BUDGET: &str = "max-bytes = 5000\n";

/// A command line for every form of JSON, without `--json`.
const LINES: [&str; 19] = [
    "compile a.wat -o b.jam",
    "compile a.wat -o b.o --target thumbv7m",
    "run a.jam",
    "run host.wat",
    "run a.wat --invoke divide 1 0 --dump 0:4",
    "run a.wat --target thumbv7m --invoke divide 1 0",
    "profile a.jam",
    "profile a.wat --target thumbv7m --invoke divide 4 2",
    "info a.jam",
    "info a.o --cycles",
    "gas a.jam",
    "size a.jam --tree",
    "size a.jam --diff a.jam",
    "size a.o",
    "budget a.jam budget.toml",
    "verify a.wat",
    "explain E0001",
    "explain",
    "explain-trap a.o 2",
];

/// Commands without a report.
const WITHOUT: [&str; 5] = ["disasm", "explore", "completions", "man", "help"];

fn folder() -> Folder {
    let folder = Folder::new("json");
    folder.write("a.wat", MODULE);
    folder.write("host.wat", HOST);
    folder.write("budget.toml", BUDGET);
    folder.succeed(&["compile", "a.wat", "-o", "a.jam"]);
    folder.succeed(&["compile", "a.wat", "-o", "a.o", "--target", "thumbv7m"]);
    folder
}

/// The names of all commands, as the help lists them.
fn commands(folder: &Folder) -> BTreeSet<String> {
    let help = folder.succeed(&["--help"]);
    let list = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
    // Descriptions of several lines are indented further.
    let names = list.lines().filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    names.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The fields that the table of the documentation has for a command.
fn documented(command: &str) -> BTreeSet<String> {
    let page = include_str!("../../../../docs/src/insight.md");
    let section = page.split("## JSON").nth(1).expect("the section");
    let row = section.lines().find(|line| line.starts_with(&format!("| `{command}` |")));
    let row = row.unwrap_or_else(|| panic!("no row for {command}"));
    let fields = row.split('`').skip(3).step_by(2).filter(|name| !name.starts_with("--"));
    fields.map(str::to_owned).collect()
}

#[test]
fn every_command_has_a_version_and_the_documented_fields() {
    let folder = folder();
    let mut shown: BTreeSet<(String, String)> = BTreeSet::new();
    for line in LINES {
        let words: Vec<&str> = line.split(' ').collect();
        let output = folder.tool(&[&words[..], &["--json"]].concat(), b"");
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{line}: {error}: {}", text(&output.stderr)));
        assert_eq!(value["schema"], 1, "{line}");
        let fields = value.as_object().expect("an object").keys();
        let fields: BTreeSet<String> = fields.filter(|field| *field != "schema").cloned().collect();
        let unknown: Vec<_> = fields.difference(&documented(words[0])).cloned().collect();
        assert!(unknown.is_empty(), "{line}: not documented: {unknown:?}");
        shown.extend(fields.into_iter().map(|field| (words[0].to_owned(), field)));
    }
    for command in LINES.iter().filter_map(|line| line.split(' ').next()) {
        for field in documented(command) {
            assert!(shown.contains(&(command.to_owned(), field.clone())), "{command}: never seen: {field}");
        }
    }
}

#[test]
fn every_command_with_a_report_is_covered() {
    let folder = Folder::new("json-commands");
    for command in commands(&folder) {
        let has = LINES.iter().any(|line| line.split(' ').next() == Some(&command));
        assert_ne!(has, WITHOUT.contains(&&*command), "{command}");
        if command != "help" {
            let help = folder.succeed(&[&command, "--help"]);
            // `explore` takes the options of `run`, and refuses this one.
            assert!(command == "explore" || help.contains("--json") == has, "{command}");
        }
    }
}

#[test]
fn messages_have_the_version() {
    let folder = folder();
    let output = folder.tool(&["compile", "none.wat", "--message-format", "json"], b"");
    let value: Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!(value["schema"], 1);
}

#[test]
fn the_version_names_llvm_and_the_gray_papers() {
    let folder = Folder::new("versions");
    let told = folder.succeed(&["--version"]);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], concat!("wasm-pvm ", env!("CARGO_PKG_VERSION")));
    assert!(lines[1].starts_with("LLVM 22."), "{told}");
    assert_eq!(lines[2..], ["Gray Paper 0.7.2 and 0.8"]);
    assert_eq!(folder.succeed(&["-V"]), format!("{}\n", lines[0]));
}
