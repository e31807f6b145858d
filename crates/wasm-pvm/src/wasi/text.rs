//! The text of the adapter for one program.
//!
//! The adapter's own memory begins with data: the tables of [`super::files`]. Variables follow, then the standard output of
//! a service, which grows at the end. Firmware without files needs no such memory.

use std::fmt::Write;

use super::files::{DESCRIPTORS, Tables};
use super::preview2::{self, Preview2};
use super::{Failure, Host, Wasi};
use crate::options::ResultConvention;

/// Bytes of an incomplete line of standard error.
const LINE: u32 = 1040;
/// Bytes of the text of an exit code, and of its target.
const EXIT_TEXT: u32 = 32;
/// Bytes of the fixed part of a directory entry.
const RECORD: u32 = 24;
/// Bytes of the deadlines of WASI 0.2's clocks.
const POLLABLES: u32 = 256 * 8;
/// Room for standard output at the start: the largest result of a work item.
const OUTPUT: u32 = 48 << 10;
const PAGE: u32 = 1 << 16;

/// How a module is entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// By `_start`, once.
    Command,
    /// By its exports.
    Reactor,
}

/// The facts about a program that its adapter depends on.
#[derive(Debug)]
pub struct Program<'p> {
    /// How it is entered.
    pub kind: Kind,
    /// Number of its memories.
    pub memories: u32,
    /// The host it is compiled for.
    pub host: Host,
    /// Whether it uses functions that Emscripten has beside those of WASI.
    pub uses_emscripten: bool,
    /// Its use of WASI 0.2.
    pub preview2: &'p Preview2,
}

/// The binary of the adapter.
pub fn adapter(wasi: &Wasi, program: &Program<'_>) -> Vec<u8> {
    wat::parse_str(text(wasi, program)).expect("the adapter's text is well-formed")
}

fn text(wasi: &Wasi, program: &Program<'_>) -> String {
    let tables = Tables::new(&wasi.directories);
    let mut text = "(module\n".to_owned();
    text.push_str(&imports(program));
    // Imports come before definitions.
    text.push_str(match (program.host, program.kind) {
        (Host::Service { .. }, Kind::Command) => include_str!("command.wat"),
        (Host::Service { .. }, Kind::Reactor) => include_str!("reactor.wat"),
        (Host::Firmware, Kind::Command) => include_str!("firmware_command.wat"),
        (Host::Firmware, Kind::Reactor) => "",
    });
    let mut end = file_variables(&mut text, wasi, &tables, program.preview2);
    if let Host::Service { result, .. } = program.host {
        end = stream_variables(&mut text, end, wasi, result) + OUTPUT;
    }
    if program.memories == 0 {
        text.push_str("(memory $program 0)\n");
    }
    if end > 0 {
        let _ = writeln!(text, "(memory $own {})", end.div_ceil(PAGE));
    }
    strings(&mut text, "args", wasi.args.iter().cloned());
    let environment = wasi.environment.iter().map(|(name, value)| format!("{name}={value}"));
    strings(&mut text, "environment", environment);
    text.push_str(match program.host {
        Host::Service { .. } => include_str!("service.wat"),
        Host::Firmware => include_str!("firmware.wat"),
    });
    text.push_str(include_str!("core.wat"));
    text.push_str(include_str!("refused.wat"));
    if program.uses_emscripten {
        text.push_str(include_str!("emscripten.wat"));
    }
    if program.preview2.is_used() {
        text = preview2::with_names(text);
        text.push_str(&program.preview2.definitions(wasi));
    }
    if wasi.directories.is_empty() {
        text.push_str(include_str!("no_files.wat"));
    } else {
        text.push_str(include_str!("files.wat"));
        let _ = writeln!(text, "(data $files \"{}\")", escaped(&tables.contents));
        let _ = writeln!(text, "(data (memory $own) (i32.const 0) \"{}\")", escaped(&tables.data));
    }
    text.push(')');
    text
}

/// The imports.
fn imports(program: &Program<'_>) -> String {
    let own = program.memories.max(1);
    let mut text = String::new();
    if program.memories > 0 {
        text.push_str("(import \"env\" \"memory\" (memory $program 0))\n");
    }
    if program.host == Host::Firmware {
        text.push_str(
            "(import \"wasi\" \"wasi_read\" (func $wasi_read (param i32 i32) (result i32)))\n\
             (import \"wasi\" \"wasi_write\" (func $wasi_write (param i32 i32 i32)))\n\
             (import \"wasi\" \"wasi_exit\" (func $wasi_exit (param i32)))\n\
             (import \"wasi\" \"wasi_now\" (func $wasi_now (result i64)))\n\
             (import \"wasi\" \"wasi_random\" (func $wasi_random (result i64)))\n",
        );
        return text;
    }
    text.push_str(
        "(import \"env\" \"host_call_5\" (func $host_call (param i64 i64 i64 i64 i64 i64) (result i64)))\n\
         (import \"env\" \"pvm_ptr\" (func $pvm_ptr (param i64) (result i64)))\n\
         (import \"env\" \"host_halt\" (func $halt (param i64 i64)))\n",
    );
    let _ = writeln!(text, "(import \"env\" \"pvm_ptr_{own}\" (func $pvm_ptr_own (param i64) (result i64)))");
    text.push_str(&program.preview2.imports());
    if program.kind == Kind::Command && program.preview2.run.is_none() {
        text.push_str("(import \"command\" \"_start\" (func $start))\n");
    }
    text
}

/// Globals for the addresses of the tables of files and of pollables; returns the end of the variables in the adapter's
/// memory.
fn file_variables(text: &mut String, wasi: &Wasi, tables: &Tables, preview2: &Preview2) -> u32 {
    let mut at = 0;
    if !wasi.directories.is_empty() {
        let record = tables.descriptors + DESCRIPTORS;
        global(text, "nodes", tables.nodes);
        global(text, "dots", tables.dots);
        global(text, "descriptors", tables.descriptors);
        global(text, "record", record);
        at = record + RECORD;
    }
    if preview2.is_used() {
        global(text, "pollables", at);
        at += POLLABLES;
    }
    at
}

/// Globals for the buffers of a service's streams, from `at`; returns the address of standard output.
fn stream_variables(text: &mut String, at: u32, wasi: &Wasi, result: ResultConvention) -> u32 {
    let output = at + EXIT_TEXT + LINE;
    global(text, "exit_text", at);
    global(text, "line", at + EXIT_TEXT);
    global(text, "output", output);
    global(text, "fails_softly", u32::from(wasi.failure == Failure::Halt));
    let _ = writeln!(text, "(global $output_end (mut i32) (i32.const {output}))");
    global(text, "returns_end", u32::from(result == ResultConvention::End));
    output
}

fn global(text: &mut String, name: &str, value: u32) {
    let _ = writeln!(text, "(global ${name} i32 (i32.const {value}))");
}

/// A passive segment of strings that end in NUL, with their number and length.
fn strings(text: &mut String, name: &str, strings: impl Iterator<Item = String>) {
    let strings: Vec<String> = strings.collect();
    let bytes: Vec<u8> = strings.iter().flat_map(|string| [string.as_bytes(), b"\0"].concat()).collect();
    let _ = writeln!(text, "(data ${name} \"{}\")", escaped(&bytes));
    let _ = writeln!(text, "(global ${name}_count i32 (i32.const {}))", strings.len());
    let _ = writeln!(text, "(global ${name}_len i32 (i32.const {}))", bytes.len());
}

/// Bytes as the inside of a string.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(3 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "\\{byte:02x}");
    }
    text
}
