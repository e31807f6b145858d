//! The form of fixtures: header, functions, and the expected text below each function.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ssa::{FuncId, Module, Type, testing};
use target_pvm::{EntryMode, Goal, ImportMap};
use target_thumb::{Cpu, MemoryMode};

/// A file in `fixtures`.
pub struct Fixture {
    pub path: PathBuf,
    /// The file's text.
    pub text: String,
    /// The value of `; test:`.
    pub stage: String,
}

/// A machine with options: one `; target:` line.
pub struct Target {
    /// The line's text, which names the target below functions.
    pub label: String,
    pub backend: Backend,
    /// Whether all functions are compiled for size.
    pub is_for_size: bool,
}

/// A compiler with its options.
pub enum Backend {
    Pvm(target_pvm::Options),
    Thumb(target_thumb::Options),
}

/// All fixtures in order of their paths, or those whose path contains `FIXTURE`.
pub fn all() -> Vec<Fixture> {
    let filter = std::env::var("FIXTURE").unwrap_or_default();
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")];
    let mut fixtures = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("the folder is readable");
            pending.extend(entries.map(|entry| entry.expect("the folder is readable").path()));
        } else if path.to_string_lossy().contains(&filter) {
            let text = std::fs::read_to_string(&path).expect("the fixture is readable");
            let stage = values(&text, "test").next().map(str::to_owned);
            let stage = stage.unwrap_or_else(|| panic!("{}: no line `; test:`", path.display()));
            fixtures.push(Fixture { path, text, stage });
        }
    }
    fixtures.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!fixtures.is_empty(), "no fixtures");
    fixtures
}

/// Whether expected text is rewritten.
pub fn is_blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// The values of the lines `; KEY: VALUE`.
fn values<'t>(text: &'t str, key: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines().filter_map(move |line| line.strip_prefix("; ")?.strip_prefix(key)?.strip_prefix(": "))
}

impl Fixture {
    /// The path below `fixtures`.
    pub fn name(&self) -> String {
        let path = self.path.iter().rev().take(2).collect::<Vec<_>>();
        path.into_iter().rev().collect::<PathBuf>().display().to_string()
    }

    /// The verified program.
    pub fn module(&self) -> Module {
        let module = ssa::parse_module(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        ssa::verify(&module).unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        module
    }

    /// The targets of the header.
    pub fn targets(&self) -> Vec<Target> {
        let targets: Vec<Target> = values(&self.text, "target").map(Target::parse).collect();
        assert!(!targets.is_empty(), "{}: no line `; target:`", self.name());
        targets
    }

    /// Random arguments of a function, within the ranges of the line `; args: $NAME(...)` if there is one.
    pub fn args(&self, rng: &mut testing::Rng, module: &Module, func: FuncId) -> Vec<u64> {
        let mut args = testing::random_args(rng, module, func);
        let name = &module.decls[func].name;
        let lines = values(&self.text, "args").filter_map(|line| line.strip_prefix('$')?.strip_suffix(')'));
        let mut lines = lines.filter_map(|line| line.strip_prefix(name.as_str())?.strip_prefix('('));
        let Some(ranges) = lines.next() else { return args };
        let ranges: Vec<&str> = ranges.split(", ").collect();
        assert_eq!(ranges.len(), args.len(), "{}: `; args:` of ${name}", self.name());
        for (n, range) in ranges.into_iter().enumerate().filter(|(_, range)| *range != "any") {
            let (start, end) = range.split_once("..").unwrap_or_else(|| panic!("`{range}` is not a range"));
            let [start, end] =
                [start, end].map(|bound| bound.parse::<i64>().unwrap_or_else(|_| panic!("`{bound}`")));
            args[n] = start.wrapping_add(rng.below((end - start) as usize) as i64) as u64;
            if module.signature_of(func).params[n] == Type::I32 {
                args[n] &= u64::from(u32::MAX);
            }
        }
        args
    }

    /// The text with these expected texts in place of the present ones: for each target its label, and the text of each
    /// function by name.
    pub fn with_expected(&self, expected: &[(String, Vec<(String, String)>)]) -> String {
        let mut out = String::new();
        let mut current = None;
        let source = without_expected(&self.text);
        let mut lines = source.lines().peekable();
        while let Some(line) = lines.next() {
            out.push_str(line);
            out.push('\n');
            current = name_of_function(line).or(current);
            if line == "}" {
                let name = current.take().expect("a function ends");
                out.push_str(&block(expected, |(function, text)| (function == name).then(|| text.clone())));
                if lines.peek().is_some_and(|line| !line.is_empty()) {
                    out.push('\n');
                }
            }
        }
        let defined: Vec<&str> = source.lines().filter_map(name_of_function).collect();
        let added = block(expected, |(function, text)| {
            (!defined.contains(&function.as_str())).then(|| format!("{function}:\n{text}"))
        });
        if !added.is_empty() {
            out.push_str("\n; Added by the compiler.\n");
            out.push_str(&added);
        }
        out
    }
}

/// The text without expected texts. These are comments after a line with the label of a target.
fn without_expected(text: &str) -> String {
    let mut out = String::new();
    let mut is_expected = false;
    for line in text.lines() {
        let is_label =
            ["; pvm", "; thumb"].iter().any(|start| line.starts_with(start)) && line.ends_with(':');
        is_expected = line.starts_with(';') && (is_expected || is_label);
        if !is_expected && line != "; Added by the compiler." {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

/// The name of the function that begins in a line of SSA.
fn name_of_function(line: &str) -> Option<&str> {
    line.strip_prefix("func $")?.split(' ').next()
}

/// Comment lines with the texts that `choose` makes of functions; targets with equal texts share one.
fn block(
    expected: &[(String, Vec<(String, String)>)],
    choose: impl Fn(&(String, String)) -> Option<String>,
) -> String {
    let mut blocks: Vec<(Vec<&str>, String)> = Vec::new();
    for (label, functions) in expected {
        let text = functions.iter().filter_map(&choose).collect::<Vec<_>>().join("\n");
        match blocks.iter_mut().find(|(_, other)| *other == text) {
            Some((labels, _)) => labels.push(label),
            None => blocks.push((vec![label], text)),
        }
    }
    let mut out = String::new();
    for (labels, text) in blocks.iter().filter(|(_, text)| !text.is_empty()) {
        writeln!(out, "; {}:", labels.join(", ")).expect("a string takes it");
        for line in text.lines() {
            writeln!(out, "{}", format!("; {line}").trim_end()).expect("a string takes it");
        }
    }
    out
}

impl Target {
    /// `pvm` or `thumb`, with options `KEY=VALUE`.
    fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let machine = words.next().unwrap_or_default();
        let options: Vec<(&str, &str)> = words
            .map(|word| word.split_once('=').unwrap_or_else(|| panic!("`{word}` in `{line}`")))
            .collect();
        let option = |key: &str| options.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        let known = if machine == "pvm" { &["level"][..] } else { &["level", "cpu", "memory"] };
        assert!(options.iter().all(|(key, _)| known.contains(key)), "an unknown option in `{line}`");
        let is_for_size = option("level").map(|level| assert_eq!(level, "size", "`{line}`")).is_some();
        let backend = match machine {
            "pvm" => Backend::Pvm(pvm_options(is_for_size)),
            "thumb" => Backend::Thumb(thumb_options(option("cpu"), option("memory"))),
            other => panic!("unknown machine `{other}`"),
        };
        Self { label: line.to_owned(), backend, is_for_size }
    }

    /// The module as this target compiles it.
    pub fn prepared(&self, mut module: Module) -> Module {
        if self.is_for_size {
            module.functions.values_mut().flatten().for_each(|func| func.optimize_for_size = true);
        }
        module
    }
}

fn pvm_options(is_for_size: bool) -> target_pvm::Options {
    target_pvm::Options {
        goal: if is_for_size { Goal::Size } else { Goal::Speed },
        entries: EntryMode::Raw,
        imports: ImportMap::default().with_auto(0),
        threads: 1,
        ..target_pvm::Options::default()
    }
}

fn thumb_options(cpu: Option<&str>, memory: Option<&str>) -> target_thumb::Options {
    let cpu = cpu.map_or(Ok(Cpu::default()), |cpu| format!("cortex-{cpu}").parse());
    let memory = match memory {
        None => MemoryMode::Symbol,
        Some("register") => MemoryMode::Register,
        Some("native") => MemoryMode::Native,
        Some(other) => panic!("unknown memory `{other}`"),
    };
    programs::cortex_m::options(cpu.unwrap_or_else(|error| panic!("{error}")), memory)
}
