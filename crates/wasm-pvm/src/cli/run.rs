//! `wasm-pvm run`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;
use wasm_pvm::run::{EntryPoint, Outcome, RunOptions, Status};

use super::args::RunArgs;
use super::{files, object};

/// Runs a program; returns whether it halted.
pub fn run(args: &RunArgs) -> Result<bool> {
    let file = files::read(&args.program)?;
    let bytes = wasm_pvm::input::unpacked(&file).with_context(|| files::display(&args.program))?;
    if bytes.starts_with(&wasm_pvm::input::WASM_MAGIC) {
        bail!("{}: is WebAssembly; compile it first", files::display(&args.program));
    }
    if object::is_elf(&bytes) {
        bail!(
            "{}: is a Cortex-M object; link it into firmware, `info` describes it",
            files::display(&args.program)
        );
    }
    let options = RunOptions {
        entry: match (&args.entry, args.pc) {
            (Some(name), _) => EntryPoint::Name(name.clone()),
            (None, Some(pc)) => EntryPoint::Pc(pc),
            (None, None) => EntryPoint::First,
        },
        args: argument_bytes(&args.args)?,
        gas: args.gas,
        backend: args.backend,
        host: args.host,
        gp: args.gp,
    };
    let outcome = wasm_pvm::run::run(&bytes, &options).with_context(|| files::display(&args.program))?;
    for line in &outcome.log {
        eprintln!(
            "[{}{}{}] {}",
            line.level,
            if line.target.is_empty() { "" } else { " " },
            line.target,
            line.message
        );
    }
    let text = if args.json { as_json(&outcome)? } else { as_text(&outcome) };
    files::print(text.as_bytes())?;
    Ok(outcome.status == Status::Halt)
}

/// Bytes given as hexadecimal digits or as `@FILE`.
fn argument_bytes(text: &str) -> Result<Vec<u8>> {
    if let Some(path) = text.strip_prefix('@') {
        return files::read(Path::new(path));
    }
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let value = |digit: u8| (digit as char).to_digit(16);
    let byte = |pair: &[u8]| Some((value(pair[0])? << 4 | value(*pair.get(1)?)?) as u8);
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.context("--args: expected an even number of hexadecimal digits, or @FILE")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn as_text(outcome: &Outcome) -> String {
    let detail = match &outcome.status {
        Status::HostCall { number, name: Some(name) } => format!(" {number} ({name})"),
        Status::HostCall { number, name: None } => format!(" {number}"),
        _ => String::new(),
    };
    format!(
        "status: {}{detail}\ngas: {}\nresult: {}\n",
        outcome.status.word(),
        outcome.gas,
        hex(&outcome.result)
    )
}

fn as_json(outcome: &Outcome) -> Result<String> {
    let log = outcome.log.iter();
    let log = log.map(|line| json!({ "level": line.level, "target": line.target, "message": line.message }));
    let mut object = json!({
        "status": outcome.status.word(),
        "gas": outcome.gas,
        "result": hex(&outcome.result),
        "log": log.collect::<Vec<_>>(),
    });
    if let Status::HostCall { number, name } = &outcome.status {
        object["host_call"] = json!({ "number": number, "name": name });
    }
    Ok(format!("{}\n", serde_json::to_string_pretty(&object)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argument_bytes_are_hexadecimal() {
        assert_eq!(argument_bytes("").ok(), Some(vec![]));
        assert_eq!(argument_bytes("0x00fF").ok(), Some(vec![0, 255]));
        assert_eq!(argument_bytes("1e").ok(), Some(vec![30]));
        for wrong in ["1", "zz", "+1", "0x1"] {
            assert!(argument_bytes(wrong).is_err(), "{wrong}");
        }
    }
}
