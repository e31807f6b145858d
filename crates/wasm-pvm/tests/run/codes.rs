//! Codes of errors and warnings: every page's example gives its code, and every code in the sources has a page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wasm_pvm::codes;

use super::support::{Folder, text};

/// Blocks of a page between fences: the words after the fence, and the contents.
fn blocks(page: &str) -> Vec<(Vec<&str>, String)> {
    let mut blocks = Vec::new();
    let mut parts = page.split("```");
    while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
        let (head, body) = block.split_once('\n').expect("a fence ends its line");
        blocks.push((head.split_whitespace().collect(), repeated(body)));
    }
    blocks
}

/// Repeats the line before `;; and so on, to N`, with the numbers from 1 to N in place of 1.
fn repeated(body: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in body.lines() {
        match line.trim().strip_prefix(";; and so on, to ") {
            Some(last) => {
                let model = lines.pop().expect("a line before");
                let last: u32 = last.parse().expect("a number");
                lines.extend((1..=last).map(|n| model.replace("_1", &format!("_{n}"))));
            }
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

/// The codes of the messages that the last command of an example prints.
fn codes_of(page: codes::Page, options: &[&str]) -> String {
    let folder = Folder::new(page.code);
    let mut last = String::new();
    for (head, body) in blocks(page.text) {
        if head[0] != "sh" {
            folder.write(head.get(1).copied().unwrap_or("example.wat"), body);
            continue;
        }
        for line in body.lines() {
            let (limit, command) = line.split_once("; ").unwrap_or(("true", line));
            let words: Vec<&str> = command.split_whitespace().collect();
            assert_eq!(words[0], "wasm-pvm", "{}", page.code);
            let output = folder.tool_after(limit, &[&words[1..], options].concat());
            last = text(&output.stderr);
            let fails = page.code.starts_with('E') && line == body.lines().next_back().unwrap_or_default();
            assert_eq!(!output.status.success(), fails, "{}: {line}: {last}", page.code);
        }
    }
    last
}

#[test]
fn examples_give_their_codes() {
    for page in codes::pages() {
        assert!(page.title.len() < 60 && page.text.len() > 80, "{}", page.code);
        let level = if page.code.starts_with('E') { "error" } else { "warning" };
        let expected = format!("{level}[{}]: ", page.code);
        let told = codes_of(page, &[]);
        assert!(told.lines().any(|line| line.starts_with(&expected)), "{}: {told}", page.code);
        // The same as JSON. All of it is.
        let told = codes_of(page, &["--message-format", "json"]);
        let messages: Vec<Value> = told
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{told}")))
            .collect();
        let is_meant = |message: &Value| message["code"] == page.code && message["level"] == level;
        assert!(messages.iter().any(is_meant), "{}: {told}", page.code);
    }
    let order: Vec<&str> = codes::pages().map(|page| page.code).collect();
    assert!(order.is_sorted(), "{order:?}");
}

/// All Rust files below a folder.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The codes between quotes in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let is_code = |word: &&str| {
        word.len() == 5 && word.starts_with(['E', 'W']) && word[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    text.split('"').filter(is_code)
}

#[test]
fn codes_and_pages_are_the_same() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for entry in fs::read_dir(crates).expect("a folder") {
        sources(&entry.expect("readable").path().join("src"), &mut files);
    }
    let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).expect("text")).collect();
    let used: BTreeSet<&str> = texts.iter().flat_map(|text| quoted(text)).collect();
    let pages: BTreeSet<&str> = codes::pages().map(|page| page.code).collect();
    assert_eq!(used, pages);
    // A warning has a code.
    for text in &texts {
        for event in text.split("tracing::warn!(").skip(1) {
            assert!(
                event.trim_start().starts_with("code = \"W"),
                "{}",
                event.lines().next().unwrap_or_default()
            );
        }
    }
    let folder = Folder::new("codes");
    for code in pages {
        let page = folder.succeed(&["explain", &code.to_lowercase()]);
        assert!(page.starts_with(code) && page.contains("wasm-pvm "), "{page}");
    }
    assert_eq!(folder.succeed(&["explain"]).lines().count(), codes::pages().count());
    let unknown = folder.fail(&["explain", "E9999"], b"", 2);
    assert!(unknown.contains("there is no code `E9999`"), "{unknown}");
}
