//! Options of WASI programs: arguments, environment, and directories that are read from the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use wasm_pvm::OptionsError;
use wasm_pvm::wasi::{Directory, Failure, Node, Wasi};

/// Maximum depth of directories.
const DEEPEST: usize = 64;
/// The first argument of a program whose file has no name.
const NO_NAME: &str = "program";

/// Options of `compile` for WASI programs.
#[derive(Clone, Debug, Args)]
pub struct WasiArgs {
    /// Link WASI preview 1 into the program. On PVM, standard input is the argument bytes, standard output the result, and
    /// standard error is logged. On Cortex-M, firmware defines functions that read and write.
    #[arg(long)]
    pub wasi: bool,
    /// Argument of the WASI program, after its name. May be repeated.
    #[arg(long, value_name = "TEXT", requires = "wasi", allow_hyphen_values = true)]
    pub wasi_arg: Vec<String>,
    /// Variable in the environment of the WASI program. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "wasi")]
    pub wasi_env: Vec<String>,
    /// Directory whose files are packed into the program, with its name in it (`/` by default). May be repeated.
    #[arg(long, value_name = "HOST[::GUEST]", requires = "wasi")]
    pub wasi_dir: Vec<String>,
}

impl WasiArgs {
    /// The arguments, environment and files of the program with this name, if it is a WASI program.
    pub fn read(&self, name: &str) -> Result<Option<Wasi>> {
        if !self.wasi {
            return Ok(None);
        }
        read(name, &self.wasi_arg, &self.wasi_env, &self.wasi_dir).map(Some)
    }
}

/// A WASI program's arguments, environment and files.
pub fn read(name: &str, args: &[String], environment: &[String], directories: &[String]) -> Result<Wasi> {
    let name = if name.is_empty() { NO_NAME } else { name };
    Ok(Wasi {
        args: std::iter::once(name.to_owned()).chain(args.iter().cloned()).collect(),
        environment: environment.iter().map(|text| variable(text)).collect::<Result<_>>()?,
        directories: directories.iter().map(|text| directory(text)).collect::<Result<_>>()?,
        failure: Failure::Panic,
    })
}

fn variable(text: &str) -> Result<(String, String)> {
    let Some((name, value)) = text.split_once('=') else {
        bail!(OptionsError::new(format!(
            "expected NAME=VALUE for a variable of the environment, not `{text}`"
        )));
    };
    Ok((name.to_owned(), value.to_owned()))
}

fn directory(text: &str) -> Result<Directory> {
    let (host, guest) = text.split_once("::").unwrap_or((text, "/"));
    let path = Path::new(host);
    if !path.is_dir() {
        bail!("{host}: is not a directory, and a WASI program can only be given directories");
    }
    Ok(Directory { guest: guest.to_owned(), entries: entries(path, 0)? })
}

/// The entries of a directory by name. Links are followed.
fn entries(directory: &Path, depth: usize) -> Result<BTreeMap<String, Node>> {
    let name = || directory.display().to_string();
    if depth > DEEPEST {
        bail!("{}: directories are nested more than {DEEPEST} deep, or a link leads back", name());
    }
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(directory).with_context(name)? {
        let path = entry.with_context(name)?.path();
        let node = node(&path, depth)?;
        let file_name = path.file_name().and_then(|name| name.to_str());
        let file_name = file_name.with_context(|| format!("{}: the name is not UTF-8", path.display()))?;
        entries.insert(file_name.to_owned(), node);
    }
    Ok(entries)
}

fn node(path: &Path, depth: usize) -> Result<Node> {
    let name = || path.display().to_string();
    let metadata = fs::metadata(path).with_context(name)?;
    if metadata.is_dir() {
        return entries(path, depth + 1).map(Node::Directory);
    }
    if !metadata.is_file() {
        bail!("{}: is neither a file nor a directory", name());
    }
    fs::read(path).map(Node::File).with_context(name)
}
