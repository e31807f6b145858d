//! Fixtures that are LLVM IR: they are read and run.
//!
//! Expected results are computed by hand from the meaning of LLVM's instructions. The runs of a file share one machine,
//! so that memory written by one is seen by the next.

use llvm_frontend::testing;
use ssa::Module;
use ssa::interp::{Interpreter, Stop};

use crate::fixture::{self, Fixture};

const SSA: &str = "; ssa:\n";

#[test]
fn llvm_ir_is_read() {
    let fixtures = fixture::all().into_iter().filter(|fixture| fixture.stage == "read");
    let failures: Vec<String> = fixtures.flat_map(|fixture| check(&fixture)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The faults found by a fixture.
fn check(fixture: &Fixture) -> Vec<String> {
    let refused = fixture.text.lines().find_map(|line| line.strip_prefix("; refused: "));
    let failures = match (testing::read_text(&fixture.text), refused) {
        (Ok(program), None) => check_program(fixture, &program),
        (Err(error), Some(expected)) if error.contains(expected) => Vec::new(),
        (Err(error), _) => vec![format!("refused: {error}")],
        (Ok(_), Some(expected)) => vec![format!("not refused with `{expected}`")],
    };
    failures.into_iter().map(|failure| format!("{}: {failure}", fixture.name())).collect()
}

fn check_program(fixture: &Fixture, program: &Module) -> Vec<String> {
    let mut failures = Vec::new();
    let mut machine = testing::machine(program);
    let mut checks = 0;
    for line in fixture.text.lines().filter_map(|line| line.strip_prefix("; run: ")) {
        checks += 1;
        failures.extend(run(line, &mut machine, program).err().map(|wrong| format!("{line}: {wrong}")));
    }
    if let Some((before, expected)) = fixture.text.split_once(SSA) {
        checks += 1;
        let printed = printed(program);
        if fixture::is_blessing() {
            std::fs::write(&fixture.path, format!("{before}{SSA}{printed}"))
                .expect("the fixture is writable");
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
    let func = testing::function(program, symbol.trim_start_matches('@'));
    let signature = program.signature_of(func);
    let mut args = words(args);
    for (arg, ty) in args.iter_mut().zip(&signature.params) {
        *arg &= u64::MAX >> (64 - ty.bits());
    }
    let outcome = match testing::call(machine, &program.decls, func, &args) {
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
