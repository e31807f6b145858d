//! The process that measures `wasmtime`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::kernels::{from_hex, to_hex};

/// A process of Python with the package `wasmtime`, which contains the engine.
pub struct Peer {
    // Ends when its input does.
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts the process.
    pub fn new() -> Result<Self> {
        let mut python = needs::python("wasmtime")
            .context("this needs python3 with the package wasmtime, which scripts/setup.sh installs")?;
        let mut process = python
            .args(["-c", include_str!("peer.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("python3")?;
        let input = process.stdin.take().context("standard input")?;
        let output = BufReader::new(process.stdout.take().context("standard output")?);
        Ok(Self { _process: process, input, output })
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.input, "{request}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("wasmtime fails at {request}"))
    }

    /// CPU seconds of compilation by Cranelift.
    pub fn compile(&mut self, file: &Path) -> Result<f64> {
        seconds(&self.ask(&json!({ "compile": file }))?)
    }

    /// CPU seconds of a command.
    pub fn command(&mut self, words: &[&str]) -> Result<f64> {
        seconds(&self.ask(&json!({ "command": words }))?)
    }

    /// Instantiates a module, metered or not.
    pub fn load(&mut self, file: &Path, fuel: bool) -> Result<()> {
        self.ask(&json!({ "load": file, "fuel": fuel })).map(drop)
    }

    /// Runs the loaded module: seconds and result bytes.
    pub fn run(&mut self, args: &[u8]) -> Result<(f64, Vec<u8>)> {
        let answer = self.ask(&json!({ "run": to_hex(args) }))?;
        let result = answer["result"].as_str().context("a result")?;
        Ok((seconds(&answer)?, from_hex(result)?))
    }
}

fn seconds(answer: &Value) -> Result<f64> {
    answer["seconds"].as_f64().context("seconds")
}
