//! The report of `run`: results of calls, and contents of memory.
//!
//! Invoked functions print their results alone, one per line, so that scripts can use them; a call that does not halt is
//! told on standard error. An entry prints its status, its gas and its result.

use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value as Json, json};
use wasm_pvm::insight::trap::Explanation;
use wasm_pvm::run::{LogLine, Outcome, Status, Value};

use crate::cli::{bar, files, json, messages};

/// Bytes in a line of a dump.
const LINE: usize = 16;

/// A call of an export.
pub struct Called {
    /// Its name; `None` for the start function.
    pub name: Option<String>,
    /// The outcome.
    pub outcome: Outcome,
}

/// All that is printed.
#[derive(Default)]
pub struct Report {
    /// The outcome of an entry.
    pub entered: Option<Outcome>,
    /// The outcomes of calls.
    pub called: Vec<Called>,
    /// Addresses and bytes.
    pub dumps: Vec<(u32, Vec<u8>)>,
    /// The explanation of a trap at the end.
    pub trap: Option<Explanation>,
}

impl Report {
    /// The outcomes of all calls.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.entered.iter().chain(self.called.iter().map(|called| &called.outcome))
    }

    /// Prints the report, as text or as JSON. Lines that the program logged go to standard error.
    pub fn print(&self, as_json: bool) -> Result<()> {
        self.outcomes().flat_map(|outcome| &outcome.log).for_each(print_log);
        let text = if as_json { json::document(self.json()) } else { self.text() };
        files::print(text.as_bytes())?;
        for called in self.called.iter().filter(|called| called.outcome.status != Status::Halt) {
            let name = called.name.as_deref().unwrap_or("the start function");
            print_ending(name, &called.outcome.status);
        }
        if let Some(trap) = self.trap.as_ref().filter(|_| !as_json) {
            messages::note(&trap.to_string());
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = self.entered.as_ref().map_or_else(String::new, entered_text);
        for value in self.called.iter().flat_map(|called| &called.outcome.values) {
            text += &format!("{value}\n");
        }
        self.dumps.iter().for_each(|(address, bytes)| text += &dump_text(*address, bytes));
        text
    }

    fn json(&self) -> Json {
        let mut object = match &self.entered {
            Some(outcome) => entered_json(outcome),
            None => json!({ "calls": self.called.iter().map(called_json).collect::<Vec<_>>() }),
        };
        if let Some(trap) = &self.trap {
            object["stopped"] = trap_json(trap);
        }
        if !self.dumps.is_empty() {
            object["memory"] = dumps_json(&self.dumps);
        }
        object
    }
}

/// Prints a line that the program logged.
pub fn print_log(line: &LogLine) {
    let space = if line.target.is_empty() { "" } else { " " };
    bar::print(format_args!("[{}{space}{}] {}\n", line.level, line.target, line.message));
}

/// Prints that a program or a call did not halt.
pub fn print_ending(name: &str, status: &Status) {
    messages::error(messages::code_of_status(status), &format!("{name}: {}", ending(status)), "");
}

/// The end of a call that did not halt.
pub fn ending(status: &Status) -> String {
    match status {
        Status::Halt => "it halted".to_owned(),
        Status::Panic => "it trapped".to_owned(),
        Status::OutOfGas => "it ran out of gas".to_owned(),
        Status::HostCall { number, name } => {
            let name = name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
            format!("it made the unknown host call {number}{name}; --host-call answers it")
        }
    }
}

fn entered_text(outcome: &Outcome) -> String {
    let detail = match &outcome.status {
        Status::HostCall { number, name: Some(name) } => format!(" {number} ({name})"),
        Status::HostCall { number, name: None } => format!(" {number}"),
        _ => String::new(),
    };
    let status = outcome.status.word();
    let mut text = format!("status: {status}{detail}\ngas: {}\n", outcome.gas);
    if !outcome.values.is_empty() {
        let values = outcome.values.iter().map(|value| format!("{} {value}", value.ty.name()));
        text += &format!("returned: {}\n", values.collect::<Vec<_>>().join(", "));
    }
    // Two values may be the address and the length of result bytes.
    if outcome.values.is_empty() || outcome.values.len() == 2 && !outcome.result.is_empty() {
        text += &format!("result: {}\n", hex(&outcome.result));
    }
    text
}

fn entered_json(outcome: &Outcome) -> Json {
    let mut object = outcome_json(outcome);
    object["result"] = hex(&outcome.result).into();
    object
}

/// An explanation of a trap.
pub fn trap_json(trap: &Explanation) -> Json {
    let frames = trap.frames.iter().map(|frame| {
        let source = frame
            .source
            .as_ref()
            .map(|(file, line, column)| json!({ "file": file, "line": line, "column": column }));
        json!({
            "function": frame.function,
            "offset": frame.offset,
            "operator": frame.operator,
            "source": source,
        })
    });
    json!({ "reason": trap.reason, "pc": trap.pc, "frames": frames.collect::<Vec<_>>() })
}

fn called_json(called: &Called) -> Json {
    let mut object = outcome_json(&called.outcome);
    object["name"] = json!(called.name);
    object
}

fn outcome_json(outcome: &Outcome) -> Json {
    let log = outcome.log.iter();
    let log = log.map(|line| json!({ "level": line.level, "target": line.target, "message": line.message }));
    let mut object = json!({
        "status": outcome.status.word(),
        "gas": outcome.gas,
        "values": outcome.values.iter().map(value_json).collect::<Vec<_>>(),
        "log": log.collect::<Vec<_>>(),
    });
    if let Status::HostCall { number, name } = &outcome.status {
        object["host_call"] = json!({ "number": number, "name": name });
    }
    object
}

/// A value as text, because numbers of JSON are too narrow and have no infinities, and its bits.
pub fn value_json(value: &Value) -> Json {
    json!({ "type": value.ty.name(), "value": value.to_string(), "bits": format!("{:#x}", value.bits) })
}

/// Addresses with bytes.
pub fn dumps_json(dumps: &[(u32, Vec<u8>)]) -> Json {
    let dumps = dumps.iter().map(|(address, bytes)| json!({ "address": address, "bytes": hex(bytes) }));
    dumps.collect::<Vec<_>>().into()
}

/// Lines of 16 bytes with their wasm address, in hexadecimal and as text.
pub fn dump_text(address: u32, bytes: &[u8]) -> String {
    let mut text = String::new();
    for (n, line) in bytes.chunks(LINE).enumerate() {
        let at = u64::from(address) + (n * LINE) as u64;
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let halves = digits.chunks(LINE / 2).map(|half| half.join(" ")).collect::<Vec<_>>().join("  ");
        let is_visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        let seen: String =
            line.iter().map(|&byte| if is_visible(byte) { byte as char } else { '.' }).collect();
        let width = LINE * 3;
        writeln!(text, "{at:08x}  {halves:width$}  |{seen}|").expect("strings take all");
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::dump_text;

    #[test]
    fn dumps_have_addresses_and_text() {
        let bytes: Vec<u8> = (0x3e..0x3e + 18).collect();
        let expected = "\
00000008  3e 3f 40 41 42 43 44 45  46 47 48 49 4a 4b 4c 4d  |>?@ABCDEFGHIJKLM|
00000018  4e 4f                                             |NO|
";
        assert_eq!(dump_text(8, &bytes), expected);
    }
}
