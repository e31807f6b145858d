//! The pages of `docs/src/tutorials` are followed to the letter: their files are written, and their commands are run, in
//! order, in one shell in a fresh folder.
//!
//! A fenced block of a page is one of these, which its info string tells:
//!
//! | info string | action |
//! |---|---|
//! | `LANGUAGE,file=NAME` | the text becomes the file |
//! | `sh` | the commands are run and have to succeed |
//! | `console` | each line that begins with `$ ` is a command that succeeds, and then comes its output. A line `...` is any number of lines, and `…` any text within a line |
//!
//! With `needs=NAME` a block is left out where something that can't be installed everywhere is missing. A comment after
//! it, `<!-- otherwise NAME = FIXTURE -->`, names a committed file that takes the place of the block's result. So the rest
//! of the page is followed in any case. `BLESS=1` replaces the committed file by the result of the block.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Folder, text};

/// A part of a page that is followed.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// A file to write.
    File { name: String, text: String },
    /// Commands, each with its output if the page shows it, and what they need.
    Commands { commands: Vec<(String, Option<String>)>, needs: Option<String> },
    /// The committed file that replaces a result of the commands before.
    Otherwise { name: String, fixture: String },
}

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// The folder of Polkadot runtimes.
fn runtimes() -> PathBuf {
    let folder = std::env::var_os("RUNTIMES_DIR").map(PathBuf::from);
    folder.unwrap_or_else(|| repository().join("../shared/corpus/runtimes"))
}

/// The steps of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!-- otherwise ") {
            let pair = comment.strip_suffix(" -->").and_then(|pair| pair.split_once(" = "));
            let (name, fixture) = pair.unwrap_or_else(|| panic!("not a replacement: {line}"));
            steps.push(Step::Otherwise { name: name.to_owned(), fixture: fixture.to_owned() });
        } else if let Some(info) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            steps.push(step(info, &block));
        } else {
            assert!(!line.trim_start().starts_with("```"), "a fence that isn't at the left: {line}");
        }
    }
    steps
}

/// The step of a block.
fn step(info: &str, block: &[&str]) -> Step {
    let (language, attributes) = info.split_once(',').unwrap_or((info, ""));
    let attribute = |name: &str| {
        let mut found = attributes.split(',').filter_map(|attribute| attribute.split_once('='));
        found.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    if let Some(name) = attribute("file") {
        return Step::File { name, text: block.join("\n") + "\n" };
    }
    let commands = match language {
        "sh" => script(block),
        "console" => dialogue(block),
        _ => panic!("a block that can't be followed: {info}"),
    };
    Step::Commands { commands, needs: attribute("needs") }
}

/// The commands of a script.
fn script(block: &[&str]) -> Vec<(String, Option<String>)> {
    let mut commands: Vec<(String, Option<String>)> = Vec::new();
    for line in block.iter().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match commands.last_mut().filter(|(before, _)| before.ends_with('\\')) {
            Some((before, _)) => *before += &format!("\n{line}"),
            None => commands.push(((*line).to_owned(), None)),
        }
    }
    commands
}

/// Commands and their outputs. A command goes on in the next line after a backslash.
fn dialogue(block: &[&str]) -> Vec<(String, Option<String>)> {
    let mut commands: Vec<(String, Option<String>)> = Vec::new();
    let mut goes_on = false;
    for line in block {
        let command = if goes_on { Some(*line) } else { line.strip_prefix("$ ") };
        match (command, commands.last_mut()) {
            (Some(line), Some((before, _))) if goes_on => *before += &format!("\n{line}"),
            (Some(line), _) => commands.push((line.to_owned(), Some(String::new()))),
            (None, Some((_, Some(output)))) => *output += &format!("{line}\n"),
            (None, _) => panic!("output before the first command: {line}"),
        }
        goes_on = command.is_some_and(|line| line.ends_with('\\'));
    }
    commands
}

/// Whether an output is as a page shows it.
fn agrees(shown: &[&str], output: &[&str]) -> bool {
    match shown {
        [] => output.is_empty(),
        ["...", rest @ ..] => (0..=output.len()).any(|skipped| agrees(rest, &output[skipped..])),
        [line, rest @ ..] => {
            output.first().is_some_and(|first| line_agrees(line, first)) && agrees(rest, &output[1..])
        }
    }
}

fn line_agrees(shown: &str, line: &str) -> bool {
    let Some((before, after)) = shown.split_once('…') else { return shown.trim_end() == line.trim_end() };
    let Some(rest) = line.strip_prefix(before) else { return false };
    let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.any(|at| line_agrees(after, &rest[at..]))
}

/// Whether what a block needs is there. What isn't is recorded.
pub fn is_there(need: &str) -> bool {
    needs::optional(need, || match need {
        "npm" => succeeds("npm", &["ping", "--fetch-retries=0", "--fetch-timeout=20000"]),
        "rust-for-wasm" => succeeds("rustup", &["target", "add", "wasm32-unknown-unknown"]),
        "wasi-libc" => {
            Path::new("/usr/lib/wasm32-wasi/libc.a").exists() && needs::missing(&["clang-22"]).is_empty()
        }
        _ => panic!("not known: {need}"),
    })
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Files that are put into the folder before the commands of a number are run, or that come from it.
struct Replacement {
    name: String,
    fixture: PathBuf,
    /// Whether the page itself has made it.
    is_made: bool,
}

/// The script that follows a page, the commands with outputs, and the replacements.
#[derive(Default)]
struct Plan {
    script: String,
    commands: Vec<(String, Option<String>)>,
    replacements: Vec<Replacement>,
}

impl Plan {
    fn new(steps: Vec<Step>, folder: &Folder) -> Self {
        let mut plan = Self::default();
        // Whether the last commands were run.
        let mut was_run = true;
        for step in steps {
            match step {
                Step::File { name, text } => plan.write_file(&name, &text, folder),
                Step::Commands { commands, needs } => {
                    was_run = needs.is_none_or(|need| is_there(&need));
                    commands.into_iter().filter(|_| was_run).for_each(|command| plan.run(command, folder));
                }
                Step::Otherwise { name, fixture } => {
                    let fixture = repository().join(fixture);
                    if !was_run {
                        let line = format!(
                            "mkdir -p \"$(dirname '{name}')\"; cp '{}' '{name}'\n",
                            fixture.display()
                        );
                        plan.script += &line;
                    }
                    plan.replacements.push(Replacement { name, fixture, is_made: was_run });
                }
            }
        }
        plan
    }

    /// Files are written where the commands are at that time, so a page can replace one.
    fn write_file(&mut self, name: &str, text: &str, folder: &Folder) {
        let number = self.script.len();
        let copy = folder.write(&format!("file-{number}"), text);
        let _ = writeln!(self.script, "mkdir -p \"$(dirname '{name}')\"; cp '{}' '{name}'", copy.display());
    }

    fn run(&mut self, (command, output): (String, Option<String>), folder: &Folder) {
        let record = folder.path(&format!("output-{}", self.commands.len()));
        let record = record.display();
        // The group keeps variables and the current folder.
        let _ = writeln!(
            self.script,
            "{{\n{command}\n}} >'{record}' 2>&1 </dev/null; code=$?; echo $code >'{record}.code'"
        );
        if output.is_none() {
            self.script += "[ $code = 0 ] || exit 0\n";
        }
        self.commands.push((command, output));
    }
}

/// A shell without the settings of the build that runs the tests. The tool comes first in its path.
fn shell(script: &Path, folder: &Path) -> Command {
    let mut shell = Command::new("bash");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let is_setting = ["CARGO_", "RUST", "npm_"].iter().any(|prefix| name.starts_with(prefix))
            && !["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"].contains(&&*name);
        if is_setting || ["CFLAGS", "ASMFLAGS", "LDFLAGS", "CC", "CDPATH", "CI"].contains(&&*name) {
            shell.env_remove(&*name);
        }
    }
    let tool = Path::new(env!("CARGO_BIN_EXE_wasm-pvm")).parent().expect("a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([tool.to_owned()].into_iter().chain(std::env::split_paths(&path)));
    shell.arg(script).current_dir(folder).env("PATH", path.expect("a path"));
    shell.env("SOURCE", repository()).env("RUNTIMES", runtimes());
    shell
}

/// Follows a page, with tools that are there in every test.
fn follow(page: &str, tools: &[&str]) {
    if !needs::tools(&[&["bash"], tools].concat()) {
        return;
    }
    let text_of_page = fs::read_to_string(repository().join(format!("docs/src/tutorials/{page}.md")));
    let (records, work) = (Folder::new(page), Folder::new(&format!("{page}-work")));
    let plan = Plan::new(steps(&text_of_page.expect("the page")), &records);
    let script = records.write("script.sh", &plan.script);
    let output = shell(&script, &work.path("")).output().expect("a shell");
    assert!(output.status.success(), "{page}: {}{}", text(&output.stdout), text(&output.stderr));
    for (number, (command, shown)) in plan.commands.iter().enumerate() {
        check(page, command, shown.as_deref(), &records.path(&format!("output-{number}")));
    }
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        for file in plan.replacements.iter().filter(|file| file.is_made) {
            let made = fs::read(work.path(&file.name)).expect("the page makes it");
            fs::write(&file.fixture, made).expect("the fixture is written");
        }
    }
}

/// Compares the record of a command with the page.
fn check(page: &str, command: &str, shown: Option<&str>, record: &Path) {
    let output = fs::read(record).unwrap_or_else(|_| panic!("{page}: never run: {command}"));
    let output = text(&output);
    let code = fs::read_to_string(record.with_extension("code")).expect("the command has ended");
    assert_eq!(code.trim(), "0", "{page}: {command}\n{output}");
    if let Some(shown) = shown {
        let lines = |text: &'_ str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (shown, output) = (lines(shown), lines(&output));
        let (shown, output): (Vec<&str>, Vec<&str>) =
            (shown.iter().map(String::as_str).collect(), output.iter().map(String::as_str).collect());
        assert!(
            agrees(&shown, &output),
            "{page}: {command}\nprints\n{}\nnot\n{}",
            output.join("\n"),
            shown.join("\n")
        );
    }
}

#[test]
fn a_service_in_c() {
    follow("service-in-c", &["clang-22", "wasm-ld-22", "gzip"]);
}

#[test]
fn a_service_in_assemblyscript() {
    follow("service-in-assemblyscript", &["sort", "uniq", "basenc"]);
}

#[test]
fn a_service_in_rust() {
    follow("service-in-rust", &["sort", "od"]);
}

#[test]
fn a_wasi_program() {
    follow("wasi-program", &["wc", "basenc"]);
}

#[test]
fn a_cortex_m_kernel() {
    let tools = [
        "clang-22",
        "wasm-ld-22",
        "ld.lld-22",
        "llvm-ar-22",
        "cmake",
        "make",
        "qemu-system-arm",
        "gdb-multiarch",
    ];
    follow("cortex-m-kernel", &tools);
}

#[test]
fn porting() {
    follow("porting", &["grep"]);
}

#[test]
fn a_runtime() {
    if needs::data(&runtimes().join("westend-1.compact.compressed.wasm")) {
        follow("polkadot-runtime", &["basenc"]);
    }
}

#[test]
fn every_page_is_followed_and_in_the_book() {
    let folder = repository().join("docs/src");
    let summary = fs::read_to_string(folder.join("SUMMARY.md")).expect("the list of chapters");
    let followed = include_str!("tutorials.rs");
    for entry in fs::read_dir(folder.join("tutorials")).expect("the tutorials") {
        let file = entry.expect("readable").file_name().to_string_lossy().into_owned();
        let page = file.strip_suffix(".md").expect("a page");
        assert!(summary.contains(&format!("(tutorials/{file})")), "{file} is not in SUMMARY.md");
        assert!(
            page == "index" || followed.contains(&format!("follow(\"{page}\"")),
            "{file} is not followed"
        );
    }
}

#[test]
fn blocks_become_steps() {
    let page = "# T\n```c,file=a.c\nint a;\n```\ntext\n```console,needs=npm\n$ one \\\n  two\nout\n$ three\n```\n\
                <!-- otherwise a.wasm = b/c.wasm -->\n```sh\n# All:\nx \\\n  -a\ny\n```\n";
    let shown = |command: &str, output: &str| (command.to_owned(), Some(output.to_owned()));
    let commands = vec![shown("one \\\n  two", "out\n"), shown("three", "")];
    let script = ["x \\\n  -a", "y"].map(|command| (command.to_owned(), None));
    let expected = [
        Step::File { name: "a.c".to_owned(), text: "int a;\n".to_owned() },
        Step::Commands { commands, needs: Some("npm".to_owned()) },
        Step::Otherwise { name: "a.wasm".to_owned(), fixture: "b/c.wasm".to_owned() },
        Step::Commands { commands: script.to_vec(), needs: None },
    ];
    assert_eq!(steps(page), expected);
}

#[test]
fn outputs_are_compared() {
    assert!(agrees(&["a", "...", "b … d"], &["a", "x", "y", "b c d"]));
    assert!(agrees(&["..."], &[]));
    assert!(!agrees(&["a"], &["a", "b"]));
    assert!(!agrees(&["a", "b"], &["a"]));
    assert!(!agrees(&["a …"], &["b c"]));
}
