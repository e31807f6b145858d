//! The npm package `pvm-isa` in a browser: its answers are those of `wasm-pvm disasm` and `gas`, for programs of both
//! versions of the Gray Paper in every form.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::support::{Folder, text};
use crate::tutorials::is_there;

/// Kernels of the fixtures.
const KERNELS: [&str; 3] = ["sha256", "crc32", "quicksort"];

/// The package, built as its script does. `None` without Rust's target.
fn package(folder: &Folder) -> Option<PathBuf> {
    if !needs::tools(&["bash"]) || !is_there("rust-for-wasm") {
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packages/pvm-isa/build.sh");
    let mut build = Command::new(script);
    // Folders and flags of the tests' own build are not meant for this one.
    for name in ["CARGO_BUILD_TARGET", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        build.env_remove(name);
    }
    let output = build.arg(folder.path("site")).env("CARGO_TARGET_DIR", env!("CARGO_TARGET_TMPDIR")).output();
    let output = output.expect("the script starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(folder.path("site"))
}

/// Serves the files of a folder to one browser; returns the address. The thread ends with the process.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A browser that goes away is no fault.
            let _ = respond(&stream, &folder);
        }
    });
    format!("http://{address}/")
}

fn respond(stream: &TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let name = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
    let kind = match name.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        _ => "text/html",
    };
    let mut stream = stream;
    match std::fs::read(folder.join(name)) {
        Ok(body) => {
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            )?;
            stream.write_all(&body)
        }
        Err(_) => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    }
}

/// Programs of both versions, in every form.
fn programs(folder: &Folder) -> Vec<String> {
    let mut programs = Vec::new();
    for kernel in KERNELS {
        for gp in ["0.7", "0.8"] {
            for format in ["jam", "spi", "raw", "polkavm"] {
                let path = format!("site/{kernel}-{gp}.{format}");
                let wasm = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join(format!("../../tests/fixtures/kernels/wasm/O2/{kernel}.wasm"));
                let wasm = wasm.to_str().expect("a path");
                folder.succeed(&["compile", wasm, "-o", &path, "--gp", gp, "--format", format]);
                programs.push(path);
            }
        }
    }
    programs
}

/// What the tool prints about a program.
fn native(folder: &Folder, program: &str, gp: &str) -> (String, String, Value) {
    let with_bytes = folder.succeed(&["disasm", program, "--gp", gp]);
    let without = folder.succeed(&["disasm", program, "--gp", gp, "--no-bytes"]);
    let gas = folder.succeed(&["gas", program, "--gp", gp, "--json"]);
    let mut gas: Value = serde_json::from_str(&gas).expect("JSON");
    gas.as_object_mut().expect("an object").remove("schema");
    (with_bytes, without, gas)
}

#[test]
fn a_browser_gets_the_answers_of_the_tool() {
    let folder = Folder::new("isa-package");
    let Some(site) = package(&folder) else { return };
    let Some(mut browser) = Browser::start() else { return };
    std::fs::write(site.join("index.html"), "<!doctype html><title>pvm-isa</title>").expect("written");
    std::fs::write(site.join("not-a-program"), "\0asm").expect("written");
    let programs = programs(&folder);
    let address = serve(site);
    browser.call("Page.navigate", json!({ "url": format!("{address}index.html") }));
    browser.until("document.readyState === 'complete' && document.title === 'pvm-isa'");
    browser.eval("import('./pvm-isa.js').then(async module => { globalThis.isa = await module.load(); })");
    browser.eval(
        "globalThis.file = async name => new Uint8Array(await (await fetch(name)).arrayBuffer()); undefined",
    );
    for program in &programs {
        let name = program.strip_prefix("site/").expect("in the site");
        for gp in ["0.7", "0.8"] {
            let answers = browser.eval(&format!(
                "file('{name}').then(bytes => [isa.disassemble(bytes, {{ gp: '{gp}' }}), \
                 isa.disassemble(bytes, {{ gp: '{gp}', bytes: false }}), isa.gas(bytes, {{ gp: '{gp}' }})])"
            ));
            let (with_bytes, without, gas) = native(&folder, program, gp);
            assert!(answers[0] == with_bytes && answers[1] == without, "{name} for {gp}: disassembly");
            assert_eq!(answers[2], gas, "{name} for {gp}");
        }
    }
    decoded_programs_agree(&mut browser, &folder, &programs);
    let error =
        browser.eval("file('not-a-program').then(isa.disassemble.bind(isa)).catch(error => error.message)");
    assert!(error.as_str().is_some_and(|error| error.starts_with("not a PVM program")), "{error}");
    assert!(browser.errors.is_empty(), "{:?}", browser.errors);
}

/// Decoded instructions are those of the disassembly; entries and imports are those of `info`.
fn decoded_programs_agree(browser: &mut Browser, folder: &Folder, programs: &[String]) {
    for program in programs {
        let name = program.strip_prefix("site/").expect("in the site");
        let decoded = browser.eval(&format!("file('{name}').then(bytes => isa.decode(bytes))"));
        let listing = folder.succeed(&["disasm", program, "--no-bytes"]);
        // Lines of instructions begin with their position.
        let lines = listing.lines().filter_map(|line| line.trim_start().split_once(": "));
        let lines = lines.filter_map(|(pc, text)| Some((pc.parse::<u64>().ok()?, text.split(" <").next()?)));
        let instructions = decoded["instructions"].as_array().expect("a list");
        let shown =
            instructions.iter().filter_map(|inst| Some((inst["pc"].as_u64()?, inst["text"].as_str()?)));
        assert!(lines.eq(shown), "{name}: instructions");
        let info: Value = serde_json::from_str(&folder.succeed(&["info", program, "--json"])).expect("JSON");
        for field in ["form", "gp", "entries", "imports"] {
            assert_eq!(decoded[field], info[field], "{name}: {field}");
        }
    }
}

#[test]
fn the_package_has_the_version_of_the_crates() {
    let package: Value =
        serde_json::from_str(include_str!("../../../../packages/pvm-isa/package.json")).expect("JSON");
    assert_eq!(package["version"], env!("CARGO_PKG_VERSION"));
}
