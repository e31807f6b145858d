//! One `.ll` file per topic, read and run.
//!
//! The files in `tests/read` hold LLVM IR with directives in comments:
//!
//! - `; run: @f(1, -2) == 3, 4` calls a function with these words and expects these results;
//! - `; run: @f(1) traps MemoryOutOfBounds` expects a trap with this code;
//! - `; refused: TEXT` expects that reading fails with a message that contains the text;
//! - `; ssa:` as the last directive is followed by the expected `ssa` text, each line a comment. `BLESS=1`
//!   writes it.
//!
//! Expected results are computed by hand from the meaning of LLVM's instructions. The runs of a file share
//! one machine, so that memory written by one is seen by the next.

use std::path::Path;

use inkwell::context::Context;
use ssa::Module;
use ssa::interp::{Interpreter, Stop};

const SSA: &str = "; ssa:\n";

#[test]
fn fixtures_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the fixtures exist")
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ll"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no fixtures");
    let failures: Vec<String> = paths.iter().flat_map(|path| check(path)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The faults found by a fixture.
fn check(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("the fixture is readable");
    let name = path.file_name().expect("a file has a name").to_string_lossy();
    let context = Context::create();
    let module = super::parse(&context, &text);
    let refused = text.lines().find_map(|line| line.strip_prefix("; refused: "));
    let failures = match (super::read(&module), refused) {
        (Ok(program), None) => check_program(path, &text, &program),
        (Err(error), Some(expected)) if error.to_string().contains(expected) => Vec::new(),
        (Err(error), _) => vec![format!("refused: {error}")],
        (Ok(_), Some(expected)) => vec![format!("not refused with `{expected}`")],
    };
    failures.into_iter().map(|failure| format!("{name}: {failure}")).collect()
}

fn check_program(path: &Path, text: &str, program: &Module) -> Vec<String> {
    let mut failures = Vec::new();
    let mut machine = super::machine(program);
    let mut checks = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("; run: ")) {
        checks += 1;
        failures.extend(run(line, &mut machine, program).err().map(|wrong| format!("{line}: {wrong}")));
    }
    if let Some((before, expected)) = text.split_once(SSA) {
        checks += 1;
        let printed = printed(program);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, format!("{before}{SSA}{printed}")).expect("the fixture is writable");
        } else if printed != expected {
            failures.push(format!("the `ssa` text differs, now it is\n{printed}"));
        }
    }
    if checks == 0 {
        failures.push("nothing is checked".into());
    }
    failures
}

/// The functions of a program as comment lines.
fn printed(program: &Module) -> String {
    let bodies = program.functions.values().flatten();
    let text: String = bodies.map(|body| ssa::print_function(program, body)).collect();
    text.lines().map(|line| format!("; {line}").trim_end().to_owned() + "\n").collect()
}

/// Runs one directive.
fn run(line: &str, machine: &mut Interpreter<'_>, program: &Module) -> Result<(), String> {
    let (call, expected) = match line.split_once(" ==") {
        Some((call, results)) => (call, Ok(words(results))),
        None => {
            let (call, code) = line.split_once(" traps ").expect("a result or a trap is expected");
            (call, Err(code.trim().to_owned()))
        }
    };
    let (symbol, args) = call.trim_end_matches(')').split_once('(').expect("arguments in parentheses");
    let func = super::function(program, symbol.trim_start_matches('@'));
    let signature = program.signature_of(func);
    let mut args = words(args);
    for (arg, ty) in args.iter_mut().zip(&signature.params) {
        *arg &= u64::MAX >> (64 - ty.bits());
    }
    let outcome = match super::call(machine, &program.decls, func, &args) {
        Ok(results) => Ok(results),
        Err(Stop::Trap(code)) => Err(format!("{code:?}")),
        Err(stop) => return Err(format!("{stop:?}")),
    };
    let expected = expected.map(|mut results: Vec<u64>| {
        for (result, ty) in results.iter_mut().zip(&signature.results) {
            *result &= u64::MAX >> (64 - ty.bits());
        }
        results
    });
    if outcome == expected { Ok(()) } else { Err(format!("got {outcome:x?}")) }
}

/// Decimal, hexadecimal or float words.
fn words(text: &str) -> Vec<u64> {
    let word = |text: &str| {
        let text = text.trim();
        let number = match (text.strip_prefix("0x"), text.strip_suffix("f64"), text.strip_suffix("f32")) {
            (Some(hex), ..) => u64::from_str_radix(hex, 16).ok(),
            (_, Some(float), _) => float.parse().ok().map(f64::to_bits),
            (.., Some(float)) => float.parse().ok().map(|value: f32| u64::from(value.to_bits())),
            _ => text.parse::<i128>().ok().map(|number| number as u64),
        };
        number.unwrap_or_else(|| panic!("`{text}` is not a word"))
    };
    text.split(',').filter(|text| !text.trim().is_empty()).map(word).collect()
}
