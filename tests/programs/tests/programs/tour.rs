//! The listings of `docs/src/tour.md`.
//!
//! The page begins with a program in the text format of WebAssembly. Each later listing follows a comment
//! `<!-- STAGE MACHINE -->`, and is the text of the function after this stage. Several machines in a comment have
//! the same text. `BLESS=1` rewrites the listings.

use std::path::Path;

use wasm_pvm::{Architecture, OptLevel, Options, PvmOptions, Stage, ThumbOptions, emit};

use crate::fixture;

const FENCE: &str = "```\n";

#[test]
fn listings_are_as_compiled() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/tour.md");
    let page = std::fs::read_to_string(&path).expect("the page is readable");
    let (_, rest) = page.split_once("```wat\n").expect("the page has a program");
    let (program, _) = rest.split_once(FENCE).expect("the program ends");
    let compiled = with_listings(&page, program);
    if fixture::is_blessing() {
        std::fs::write(&path, compiled).expect("the page is writable");
    } else {
        assert!(compiled == page, "BLESS=1 rewrites the listings; they are now\n{compiled}");
    }
}

/// The page with the listings of the program.
fn with_listings(page: &str, program: &str) -> String {
    let mut sections = page.split("<!-- ");
    let mut out = sections.next().unwrap_or_default().to_owned();
    for section in sections {
        let (comment, rest) = section.split_once(" -->\n").expect("a comment ends");
        let (start, rest) = rest.split_once('\n').expect("a listing begins");
        assert!(start.starts_with("```"), "no listing follows `{comment}`");
        let (_, after) = rest.split_once(FENCE).expect("a listing ends");
        let (stage, machines) = comment.split_once(' ').expect("a stage and a machine");
        let mut texts: Vec<String> =
            machines.split(' ').map(|machine| listing(program, stage, machine)).collect();
        texts.dedup();
        assert_eq!(texts.len(), 1, "the machines of `{comment}` have different listings");
        out.push_str(&format!("<!-- {comment} -->\n{start}\n{}{FENCE}{after}", texts[0]));
    }
    out
}

/// The function's text after a stage.
fn listing(program: &str, stage: &str, machine: &str) -> String {
    let mut options = match machine {
        "pvm" => Options::new(PvmOptions::default()),
        "thumb" => Options::new(ThumbOptions::new(Architecture::V7M.default_cpu())),
        other => panic!("unknown machine `{other}`"),
    };
    options.level = OptLevel::Os;
    let (stage, first) = match (stage, machine) {
        ("llvm-ir", _) => (Stage::LlvmIr, "define"),
        ("ssa", _) => (Stage::Ssa, "func"),
        ("mir", _) => (Stage::Mir, "hash:"),
        ("asm", "pvm") => (Stage::Asm, "hash:"),
        ("asm", _) => (Stage::Asm, "\"hash\":"),
        (other, _) => panic!("unknown stage `{other}`"),
    };
    let text = emit(program.as_bytes(), &options, stage).expect("the program compiles");
    function(&text, first)
}

/// The lines from the one that starts with `first` to the end of the function: a brace, an empty line, or an
/// assembler's directive for the size.
fn function(text: &str, first: &str) -> String {
    let mut out = String::new();
    for line in text.lines().skip_while(|line| !line.starts_with(first)) {
        if line.is_empty() && first == "hash:" || line.contains(".size") {
            break;
        }
        out.push_str(&line.replace('\t', "    "));
        out.push('\n');
        if line == "}" {
            break;
        }
    }
    out
}
