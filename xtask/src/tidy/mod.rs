//! Checks of the source tree that no lint covers.
//!
//! Each rule is a function from the tree to complaints; [`RULES`] lists them. A complaint names the file and the
//! problem.

mod imports;
mod licences;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// Maximum length of a file in lines.
const MAX_FILE_LINES: usize = 700;
/// Maximum length of a function in lines, including flat tables.
const MAX_FUNCTION_LINES: usize = 60;

/// Packages that only the command-line tool needs. A user of the library who turns its default features off doesn't
/// compile them.
const TOOL_PACKAGES: [&str; 9] = [
    "addr2line",
    "clap",
    "clap_complete",
    "clap_mangen",
    "polkavm",
    "serde_json",
    "tempfile",
    "toml",
    "tracing-subscriber",
];

type Rule = fn(&Tree) -> Vec<String>;

const RULES: &[Rule] = &[
    every_file_has_a_header,
    files_are_short,
    functions_are_short,
    only_the_frontend_names_llvm,
    stages_form_no_circle,
    libraries_read_no_environment,
    the_library_needs_no_tool_packages,
    licences_are_allowed,
    documents_name_files_that_exist,
    words_are_within_budget,
];

/// Text files of the repository by path relative to its root.
struct Tree {
    root: PathBuf,
    files: BTreeMap<PathBuf, String>,
}

/// Checks the tree at `root`; an error lists every complaint.
pub fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let complaints: Vec<String> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    if !complaints.is_empty() {
        bail!("tidy: {} complaints\n{}", complaints.len(), complaints.join("\n"));
    }
    println!("tidy: {} files, {} rules", tree.files.len(), RULES.len());
    Ok(())
}

impl Tree {
    fn read(root: &Path) -> Result<Self> {
        let mut tree = Self { root: root.to_path_buf(), files: BTreeMap::new() };
        let mut pending = vec![root.to_path_buf()];
        while let Some(dir) = pending.pop() {
            for entry in std::fs::read_dir(&dir)? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if path.is_dir() && name != "target" && name != ".git" {
                    pending.push(path);
                } else if name.ends_with(".rs") || name.ends_with(".md") {
                    let text = std::fs::read_to_string(&path)?;
                    tree.files.insert(path.strip_prefix(root)?.to_path_buf(), text);
                }
            }
        }
        Ok(tree)
    }

    fn sources(&self) -> impl Iterator<Item = (&PathBuf, &String)> {
        self.files.iter().filter(|(path, _)| path.extension().is_some_and(|ext| ext == "rs"))
    }
}

fn every_file_has_a_header(tree: &Tree) -> Vec<String> {
    let silent = tree.sources().filter(|(_, text)| !text.starts_with("//!") && !text.starts_with("#!"));
    silent
        .map(|(path, _)| format!("{}: the file doesn't begin with a `//!` header", path.display()))
        .collect()
}

fn files_are_short(tree: &Tree) -> Vec<String> {
    let lines = tree.sources().map(|(path, text)| (path, text.lines().count()));
    let long = lines.filter(|(_, lines)| *lines > MAX_FILE_LINES);
    long.map(|(path, lines)| format!("{}: {lines} lines, more than {MAX_FILE_LINES}", path.display()))
        .collect()
}

fn functions_are_short(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.sources() {
        for (name, line, len) in functions(text) {
            if len > MAX_FUNCTION_LINES {
                complaints.push(format!("{}:{line}: fn {name} has {len} lines", path.display()));
            }
        }
    }
    complaints
}

/// The vocabulary of comments and documents; see [`words`].
fn words_are_within_budget(tree: &Tree) -> Vec<String> {
    let crates = tree.sources().filter(|(path, _)| path.starts_with("crates"));
    let comments: Vec<&str> = crates.flat_map(|(_, text)| words::comments(text)).collect();
    let documents = tree.files.iter().filter(|(path, _)| path.extension().is_some_and(|ext| ext == "md"));
    let documents: Vec<String> = documents.map(|(_, text)| words::prose(text)).collect();
    let mut complaints = words::complaints("comments of crates/", &comments.join(" "));
    complaints.extend(words::complaints("documents", &documents.join(" ")));
    complaints
}

/// Circles of imports between the stages of a crate; see [`imports`].
fn stages_form_no_circle(tree: &Tree) -> Vec<String> {
    let mut crates: BTreeMap<PathBuf, Vec<(&Path, &str)>> = BTreeMap::new();
    for (path, text) in tree.sources() {
        let mut ancestors = path.ancestors();
        if let Some(src) = ancestors.find(|dir| dir.file_name().is_some_and(|name| name == "src")) {
            let file = path.strip_prefix(src).expect("an ancestor");
            crates.entry(src.to_path_buf()).or_default().push((file, text));
        }
    }
    let mut complaints = Vec::new();
    for (src, files) in &crates {
        let circles = imports::circles(files.iter().copied());
        complaints
            .extend(circles.iter().map(|circle| format!("{}: a circle of imports: {circle}", src.display())));
    }
    complaints
}

/// Name, first line and length in lines of each function, from `fn` to the closing brace at the same indentation (the
/// sources are formatted).
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let close = format!("{indent}}}");
        let end = lines[start..].iter().position(|line| **line == close || line.trim_end().ends_with(';'));
        let body = lines[start..].iter().position(|line| **line == close);
        match (body, end) {
            (Some(body), Some(end))
                if end < body && !lines[start..=start + end].iter().any(|l| l.contains('{')) => {}
            (Some(body), _) => found.push((name.to_owned(), start + 1, body + 1)),
            (None, _) => {}
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    for prefix in ["pub ", "pub(crate) ", "pub(super) ", "const ", "unsafe ", "async "] {
        words = words.strip_prefix(prefix).unwrap_or(words);
    }
    let rest = words.strip_prefix("fn ")?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

fn only_the_frontend_names_llvm(tree: &Tree) -> Vec<String> {
    let outside = tree
        .sources()
        .filter(|(path, _)| !path.starts_with("crates/llvm-frontend") && !path.starts_with("xtask"));
    let names = outside.filter(|(_, text)| text.contains("inkwell::") || text.contains("llvm_sys::"));
    names
        .map(|(path, _)| {
            format!("{}: only crates/llvm-frontend may name inkwell or llvm-sys", path.display())
        })
        .collect()
}

fn libraries_read_no_environment(tree: &Tree) -> Vec<String> {
    let libraries = tree.sources().filter(|(path, _)| {
        let has = |name: &str| path.components().any(|part| part.as_os_str() == name);
        path.starts_with("crates") && has("src") && !has("tests") && !path.ends_with("main.rs")
    });
    let readers = libraries.filter(|(_, text)| text.contains("env::var"));
    readers
        .map(|(path, _)| format!("{}: a library takes options, not environment variables", path.display()))
        .collect()
}

/// The dependencies of `wasm-pvm` without default features, as cargo resolves them.
fn the_library_needs_no_tool_packages(tree: &Tree) -> Vec<String> {
    let args =
        ["tree", "--offline", "-p", "wasm-pvm", "--no-default-features", "-e", "normal", "--prefix", "none"];
    let output = Command::new(env!("CARGO")).args(args).current_dir(&tree.root).output();
    let packages = match &output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout),
        Ok(output) => return vec![format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr))],
        Err(error) => return vec![format!("cargo tree: {error}")],
    };
    let names = packages.lines().filter_map(|line| line.split(' ').next());
    let found: BTreeSet<&str> = names.filter(|name| TOOL_PACKAGES.contains(name)).collect();
    found.iter().map(|name| format!("crates/wasm-pvm: the library without features needs {name}")).collect()
}

fn licences_are_allowed(tree: &Tree) -> Vec<String> {
    match std::fs::read_to_string(tree.root.join("deny.toml")) {
        Ok(rules) => licences::complaints(&tree.root, &rules),
        Err(error) => vec![format!("deny.toml: {error}")],
    }
}

fn documents_name_files_that_exist(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| path.extension().is_some_and(|ext| ext == "md"))
    {
        for name in text.split('`').skip(1).step_by(2).filter(|name| names_a_file(name)) {
            let beside = path.parent().unwrap_or(Path::new("")).join(name);
            if !tree.root.join(name).exists() && !tree.root.join(beside).exists() {
                complaints.push(format!("{}: `{name}` doesn't exist", path.display()));
            }
        }
    }
    complaints
}

/// Whether inline code in a document is a path in this repository.
fn names_a_file(code: &str) -> bool {
    let roots = ["crates/", "tests/", "docs/", "examples/", "packages/", "scripts/", "xtask/", ".ci/"];
    roots.iter().any(|root| code.starts_with(root)) && !code.contains(['*', '<', ' ', '{', '$'])
}

#[cfg(test)]
mod tests {
    use super::functions;

    #[test]
    fn functions_are_measured_to_their_closing_brace() {
        let text =
            "impl A {\n    pub fn one() {\n        body();\n    }\n\n    fn declared();\n}\nfn two() {}\n";
        assert_eq!(functions(text), [("one".to_owned(), 2, 3)]);
    }

    #[test]
    fn this_repository_is_tidy() {
        super::run(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))).unwrap();
    }
}
