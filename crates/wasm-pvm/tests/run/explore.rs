//! Pages of `explore`, in a headless Chromium. The module's operators judge the links, the engine the gas, the object's
//! symbols the bytes. Screenshots are in `target/explore`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use object::{Object as _, ObjectSymbol as _};
use serde_json::Value;
use wasm_pvm::{Architecture, Debug, MemoryMode, Options, PvmOptions, ThumbOptions};
use wasmparser::{Parser, Payload};

use super::browser::Browser;
use super::support::{Folder, LINES, dwarf_module};

const MODULE: &str = r#"(module
  (memory (export "memory") 1)
  (func $quotient (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
  (func (export "divide") (param i32 i32) (result i32)
    (i32.mul (i32.const 3) (call $quotient (local.get 0) (local.get 1))))
  (func $count (export "count") (param i32) (result i32) (local i32)
    (loop $again
      (local.set 1 (i32.xor (local.get 1) (i32.popcnt (local.get 0))))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1)))"#;
/// Two calls of it.
const CALLS: [&str; 7] = ["--invoke", "divide", "40", "5", "--invoke", "count", "9"];

/// The folder for screenshots.
fn screenshots() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("explore");
    fs::create_dir_all(&folder).expect("a folder in target");
    folder
}

/// Byte offsets of all operators and of the starts of all bodies.
fn offsets(wasm: &[u8]) -> BTreeSet<u64> {
    let mut offsets = BTreeSet::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload.expect("valid") {
            offsets.insert(body.range().start as u64);
            let operators = body.get_operators_reader().expect("valid");
            let places = operators.into_iter_with_offsets();
            offsets.extend(places.map(|operator| operator.expect("valid").1 as u64));
        }
    }
    offsets
}

/// Opens a page and waits for its first function.
fn open(browser: &mut Browser, page: &Path) {
    browser.open(page);
    browser.until("document.querySelectorAll('#pane-asm .row').length > 0");
}

/// An expression for the first row of a view whose text matches.
fn row(view: &str, text: &str) -> String {
    format!(
        "[...document.querySelectorAll('#pane-{view} .row')].find((row) => /{text}/.test(row.textContent))"
    )
}

/// Texts of the rows of a view with a class.
fn rows(browser: &mut Browser, view: &str, class: &str) -> Vec<String> {
    let list = format!(
        "[...document.querySelectorAll('#pane-{view} .row.{class} .text')].map((row) => row.textContent.trim())"
    );
    let list = browser.eval(&list);
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// The entries of the list in their order.
fn list(browser: &mut Browser) -> Vec<String> {
    let list = browser.eval(
        "[...document.querySelectorAll('.entry')].sort((a, b) => parseFloat(a.style.top) - parseFloat(b.style.top)) \
         .map((entry) => entry.querySelector('.called').textContent)",
    );
    list.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
}

/// The sum of a column over all functions.
fn sum(browser: &mut Browser, column: &str) -> u64 {
    browser.eval(&format!("FUNCTIONS.reduce((sum, one) => sum + one.{column}, 0)")).as_u64().expect("a sum")
}

fn finish(browser: &Browser) {
    assert!(browser.errors.is_empty(), "{:?}", browser.errors);
    assert!(browser.requests.is_empty(), "the page asks for {:?}", browser.requests);
}

#[test]
fn a_page_links_all_stages_of_a_program() {
    let folder = Folder::new("explore");
    let wasm = wat::parse_str(MODULE).expect("a module");
    folder.write("a.wasm", &wasm);
    folder.succeed(&[&["explore", "a.wasm", "-o", "a.html"], &CALLS[..]].concat());
    let outcome = folder.run_json("a.wasm", &CALLS);
    let calls = outcome["calls"].as_array().expect("calls");
    let gas: u64 = calls.iter().map(|call| call["gas"].as_u64().expect("gas")).sum();
    let Some(mut browser) = Browser::start() else { return };
    open(&mut browser, &folder.path("a.html"));
    assert_eq!(sum(&mut browser, "spent"), gas, "{outcome}");
    // A function of the module that was inlined: its operator leads to code in all views, and the call is around it.
    browser
        .click("[...document.querySelectorAll('.entry')].find((entry) => /divide/.test(entry.textContent))");
    browser.until("document.getElementById('name').textContent === 'divide'");
    browser.point(&row("asm", "div_u_32 "));
    for (view, expected) in
        [("wasm", "i32.div_u"), ("ir", "udiv i32"), ("ssa", "div_u.i32"), ("asm", "div_u_32")]
    {
        let strong = rows(&mut browser, view, "strong");
        assert!(strong.iter().any(|text| text.contains(expected)), "{view}: {strong:?}");
        assert!(!strong.iter().any(|text| text.contains("mul")), "{view}: {strong:?}");
    }
    assert_eq!(rows(&mut browser, "wasm", "weak"), ["call $quotient"]);
    browser.point(&row("wasm", "i32.mul"));
    let strong = rows(&mut browser, "asm", "strong");
    assert!(!strong.is_empty() && !strong.iter().any(|text| text.contains("div_u")), "{strong:?}");
    browser.screenshot(&screenshots().join("kernel.png"));
    // Every offset of the page is that of an operator.
    let used = browser.eval(
        "Promise.all(FUNCTIONS.map((one) => Code.read(one.id))).then((all) => all.flatMap((code) => \
         [...code.sites.map((site) => site.offset), ...code.rows.wasm.map((row) => row.offset).filter((at) => at >= 0)]))",
    );
    let used: BTreeSet<u64> = used.as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
    let known = offsets(&wasm);
    let ends = |offset: &u64| known.range(..offset).next_back().is_some_and(|before| offset - before <= 8);
    let foreign: Vec<&u64> = used.difference(&known).filter(|offset| !ends(offset)).collect();
    assert!(foreign.is_empty() && used.len() > 20, "{foreign:?} of {used:?}");
    finish(&browser);
}

#[test]
fn a_page_is_used_by_keys() {
    let folder = Folder::new("explore-keys");
    folder.write("a.wat", MODULE);
    folder.succeed(&[&["explore", "a.wat", "-o", "a.html"], &CALLS[..]].concat());
    let Some(mut browser) = Browser::start() else { return };
    open(&mut browser, &folder.path("a.html"));
    let by_cost = list(&mut browser);
    browser.key("ArrowDown");
    browser.until(&format!("document.getElementById('name').textContent === {:?}", by_cost[1]));
    browser.key("s");
    let bytes = browser.eval("[...document.querySelectorAll('.entry .bytes')].map((one) => Number(one.textContent.replace(/,/g, '')))");
    let bytes: Vec<u64> = bytes.as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
    assert!(bytes.is_sorted_by(|a, b| a >= b) && bytes.len() == by_cost.len(), "{bytes:?}");
    browser.key("s");
    let by_name = list(&mut browser);
    assert!(by_name.is_sorted_by_key(|name| name.to_lowercase()) && by_name != by_cost, "{by_name:?}");
    // A search in names and in all code, and its matches.
    browser.key("/");
    browser.text("popcnt");
    browser.until(
        "document.querySelectorAll('.entry').length === 1 && document.querySelector('.entry .hits') !== null",
    );
    assert_eq!(list(&mut browser)[0].trim_end_matches(char::is_numeric), "count");
    browser.click("document.querySelector('.entry')");
    browser.until("document.getElementById('name').textContent === 'count'");
    browser.key("n");
    browser.until("/popcnt/.test(document.querySelector('.row.cursor')?.textContent)");
    assert_eq!(rows(&mut browser, "wasm", "hit"), ["i32.popcnt"]);
    browser.key("Escape");
    browser.key("Escape");
    browser.until("document.querySelectorAll('.entry').length > 1");
    // Lines, views and the theme.
    browser.eval("document.querySelector('#pane-asm .code').focus()");
    browser.key("ArrowDown");
    browser.until("document.querySelectorAll('#pane-asm .row.cursor').length === 1");
    browser.key("3");
    browser.until("document.getElementById('pane-ir').hidden && !document.getElementById('pane-ssa').hidden");
    browser.key("3");
    browser.key("t");
    browser.until("document.documentElement.dataset.theme === 'dark'");
    browser.screenshot(&screenshots().join("dark.png"));
    browser.key("?");
    browser.until("document.getElementById('keys').open");
    finish(&browser);
}

#[test]
fn a_page_shows_objects_and_lines_of_their_source() {
    let folder = Folder::new("explore-thumb");
    let Some(wasm) = dwarf_module(&folder, "-O2", 5) else { return };
    folder.write("lines.wasm", &wasm);
    let target = ["--target", "thumbv7em"];
    folder.succeed(&[&["explore", "lines.wasm", "--sources", ".", "-o", "o.html"], &target[..]].concat());
    folder.succeed(&[&["compile", "lines.wasm", "-o", "lines.o"], &target[..]].concat());
    let Some(mut browser) = Browser::start() else { return };
    browser.prefer_dark(true);
    open(&mut browser, &folder.path("o.html"));
    assert_eq!(browser.eval("document.documentElement.dataset.theme"), "dark");
    let object = fs::read(folder.path("lines.o")).expect("compiled");
    let object = object::File::parse(&*object).expect("an object");
    let text = object.symbols().filter(|symbol| symbol.kind() == object::SymbolKind::Text);
    let sizes: u64 = text.filter(|symbol| symbol.size() > 0).map(|symbol| symbol.size()).sum();
    assert_eq!(sum(&mut browser, "bytes"), sizes);
    // Each line of the source that is shown is that line of the file.
    browser.click("[...document.querySelectorAll('.entry')].find((entry) => /^run/.test(entry.textContent))");
    browser.until("document.getElementById('name').textContent === 'run'");
    let shown =
        browser.eval("state.code.rows.source.filter((row) => row.line).map((row) => [row.where, row.text])");
    let shown = shown.as_array().expect("a list");
    assert!(shown.len() > 2, "{shown:?}");
    for line in shown {
        let number = line[0].as_u64().expect("a number") as usize;
        assert_eq!(line[1].as_str(), LINES.lines().nth(number - 1));
    }
    browser.point("[...document.querySelectorAll('#pane-source .row')].find((row) => Number(row.querySelector('.cost')?.textContent) > 0)");
    let (own, inlined) = (rows(&mut browser, "asm", "strong"), rows(&mut browser, "asm", "weak"));
    assert!(!own.is_empty() || !inlined.is_empty());
    browser.screenshot(&screenshots().join("cortex-m.png"));
    browser.prefer_dark(false);
    browser.until("document.documentElement.dataset.theme === 'light'");
    browser.resize(700, 900);
    browser.screenshot(&screenshots().join("narrow.png"));
    finish(&browser);
}

#[test]
fn a_page_of_a_large_program_opens_functions_on_demand() {
    let folder = Folder::new("explore-large");
    let mut module = String::from("(module (memory 1)");
    for n in 0..2000 {
        let next = (n * 7 + 1) % 2000;
        write!(
            module,
            "(func $f{n} (export \"f{n}\") (param i32) (result i32) (i32.store offset={} (local.get 0) (i32.const {n})) \
             (i32.add (i32.load (local.get 0)) (if (result i32) (i32.lt_u (local.get 0) (i32.const {n})) \
             (then (call $f{next} (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const {n})))))",
            n * 4
        )
        .expect("strings take all");
    }
    folder.write("large.wat", module + ")");
    folder.succeed(&["explore", "large.wat", "-O0", "-o", "large.html"]);
    let Some(mut browser) = Browser::start() else { return };
    open(&mut browser, &folder.path("large.html"));
    assert!(browser.eval("FUNCTIONS.length").as_u64() >= Some(2000));
    let made = browser.eval("document.querySelectorAll('.entry').length").as_u64();
    assert!(made < Some(100), "only entries that can be seen are made: {made:?}");
    assert!(browser.eval("chunks.size").as_u64() < browser.eval("INDEX.chunks").as_u64());
    browser.key("/");
    browser.text("f1234");
    browser.until("document.querySelectorAll('.entry').length >= 1 && /^f1234/.test(document.querySelector('.entry').textContent)");
    browser.click("document.querySelector('.entry')");
    browser.until("document.getElementById('name').textContent === 'f1234'");
    browser.until("/i32.const 1234/.test(document.getElementById('pane-wasm').textContent)");
    browser.screenshot(&screenshots().join("large.png"));
    finish(&browser);
}

#[test]
fn pages_change_no_code() {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/kernels/wasm/O2");
    for kernel in ["sha256", "vtable", "interp"] {
        let wasm = fs::read(kernels.join(kernel).with_extension("wasm")).expect("a kernel");
        let thumb = ThumbOptions {
            debug: Debug::None,
            memory: MemoryMode::Symbol,
            ..ThumbOptions::new(Architecture::ALL[2].default_cpu())
        };
        for options in [Options::new(PvmOptions::default()), Options::new(thumb)] {
            let plain = wasm_pvm::compile(&wasm, &options).expect("it compiles");
            let (explored, exploration) = wasm_pvm::explore(&wasm, &options).expect("it compiles");
            assert!(plain.bytes == explored.bytes, "{kernel}");
            let page = || exploration.page(kernel, None, &|_| None);
            assert!(page() == page() && page().contains("chunk-0"), "{kernel}");
        }
    }
}
