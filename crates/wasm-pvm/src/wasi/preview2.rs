//! WASI 0.2: the functions of its interfaces that a module imports, and the adapter's text for them.
//!
//! The functions themselves are in `preview2.wat`, named `interface#function` without a version. Versions 0.2.x only add
//! to each other, so the adapter exports a function under the version that is imported. Handles of files and sockets can't
//! be had, so methods on them trap, as with any invalid handle.

use std::collections::BTreeSet;
use std::fmt::Write;

use wasmparser::FuncType;

use super::Wasi;

const TEXT: &str = include_str!("preview2.wat");
/// Packages with interfaces that exist.
const PACKAGES: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
/// Packages with resources of which there are none.
const NO_RESOURCES: [&str; 2] = ["wasi:filesystem/", "wasi:sockets/"];
/// The interface of a command, and its function.
const RUN: (&str, &str) = ("wasi:cli/run", "run");
const DROP: &str = "[resource-drop]";
/// Exports of preview 1 that functions of 0.2 call.
const CALLED: [&str; 2] = ["proc_exit", "random_get"];

/// An imported function of an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceFunction {
    /// The interface with its version.
    pub module: String,
    /// The function.
    pub name: String,
    /// Its core type.
    pub ty: FuncType,
}

/// A module's use of WASI 0.2.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preview2 {
    /// Functions that it imports.
    pub functions: Vec<InterfaceFunction>,
    /// The export that a command is started by.
    pub run: Option<String>,
    /// Whether it exports a function that allocates memory.
    pub has_realloc: bool,
}

/// The interface of this version without the version, if it is one of WASI 0.2 that exists.
pub fn interface(module: &str) -> Option<&str> {
    let (interface, version) = module.split_once('@')?;
    let patch = version.strip_prefix("0.2.")?;
    let is_number = !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
    let is_known = PACKAGES.iter().any(|package| interface.starts_with(package));
    (is_number && is_known).then_some(interface)
}

/// Whether an export is the function that a command is started by.
pub fn is_run(export: &str) -> bool {
    let (module, name) = export.split_once('#').unwrap_or_default();
    (interface(module).unwrap_or_default(), name) == RUN
}

/// The text of preview 1 with names for the functions that those of 0.2 call. Without them they have none, so that names
/// don't differ from the program's own.
pub fn with_names(mut text: String) -> String {
    for name in CALLED {
        text = text
            .replace(&format!("(func (export \"{name}\")"), &format!("(func ${name} (export \"{name}\")"));
    }
    text
}

impl Preview2 {
    /// Whether the module uses WASI 0.2.
    pub const fn is_used(&self) -> bool {
        !self.functions.is_empty() || self.run.is_some()
    }

    /// Imports of the adapter.
    pub fn imports(&self) -> String {
        let mut text = String::new();
        if let Some(run) = &self.run {
            let _ = writeln!(text, "(import \"command\" \"{run}\" (func $run (result i32)))");
        }
        if self.has_realloc {
            text.push_str(
                "(import \"command\" \"cabi_realloc\" (func $realloc (param i32 i32 i32 i32) (result i32)))\n",
            );
        }
        text
    }

    /// Definitions of the adapter, with exports for the functions that are imported.
    pub fn definitions(&self, wasi: &Wasi) -> String {
        let mut text = TEXT.to_owned();
        if self.run.is_some() {
            text.push_str("(func $start (if (call $run) (then (call $proc_exit (i32.const 1)))))\n");
        }
        if !self.has_realloc {
            text.push_str("(func $realloc (param i32 i32 i32 i32) (result i32) (unreachable))\n");
        }
        store_args(&mut text, wasi);
        store_environment(&mut text, wasi);
        let mut names = BTreeSet::new();
        for function in &self.functions {
            let name = format!("{}#{}", function.module, function.name);
            if !names.insert(name.clone()) {
                continue;
            }
            match definition(&function.module, &function.name) {
                Some(Definition::Named(id)) => {
                    let _ = writeln!(text, "(export \"{name}\" (func $\"{id}\"))");
                }
                Some(Definition::Body(body)) => {
                    let types = |types: &[wasmparser::ValType]| {
                        types.iter().map(|ty| format!(" {ty}")).collect::<String>()
                    };
                    let (params, results) = (types(function.ty.params()), types(function.ty.results()));
                    let _ =
                        writeln!(text, "(func (export \"{name}\") (param{params}) (result{results}) {body})");
                }
                None => {}
            }
        }
        text
    }
}

/// The definition of a function of the host.
enum Definition {
    /// The function of this name in the text.
    Named(String),
    /// One with this body.
    Body(&'static str),
}

/// Whether a function of an interface is defined.
pub fn is_defined(module: &str, name: &str) -> bool {
    definition(module, name).is_some()
}

/// A function's definition. Dropping most handles has no effect, and there are no files and sockets with methods.
fn definition(module: &str, name: &str) -> Option<Definition> {
    let interface = interface(module)?;
    let id = match name.strip_prefix(DROP) {
        Some("pollable") => "wasi:io/poll#[resource-drop]pollable".to_owned(),
        Some(_) => return Some(Definition::Body("")),
        None => format!("{interface}#{name}"),
    };
    if TEXT.contains(&format!("(func $\"{id}\"")) {
        return Some(Definition::Named(id));
    }
    let has_none = NO_RESOURCES.iter().any(|package| interface.starts_with(package));
    (has_none && name.starts_with("[method]")).then_some(Definition::Body("(unreachable)"))
}

/// Functions that write lists of strings: the elements are at `$at`, their bytes in passive segments.
fn store_args(text: &mut String, wasi: &Wasi) {
    text.push_str("(func $store_args (param $at i32)");
    let mut from = 0;
    for (n, arg) in wasi.args.iter().enumerate() {
        call(text, "store_arg", 8 * n, from, arg.len());
        from += arg.len() + 1;
    }
    text.push_str(")\n");
}

fn store_environment(text: &mut String, wasi: &Wasi) {
    text.push_str("(func $store_environment (param $at i32)");
    let mut from = 0;
    for (n, (name, value)) in wasi.environment.iter().enumerate() {
        call(text, "store_variable", 16 * n, from, name.len());
        call(text, "store_variable", 16 * n + 8, from + name.len() + 1, value.len());
        from += name.len() + value.len() + 2;
    }
    text.push_str(")\n");
}

fn call(text: &mut String, function: &str, to: usize, from: usize, len: usize) {
    let _ = write!(
        text,
        "\n  (call ${function} (i32.add (local.get $at) (i32.const {to})) (i32.const {from}) (i32.const {len}))"
    );
}
