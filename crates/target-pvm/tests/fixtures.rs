//! Examples of instruction selection.
//!
//! Every `.ssa` file in `tests/select` is compiled, and its final instructions are compared with the text below `;
//! asm:` in it. Then the program is run against the SSA interpreter.
//!
//! `BLESS=1` rewrites the text. The text is for readers; the interpreter decides whether the code is right.

mod machine;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use machine::{Machine, Outcome};
use ssa::interp::{Interpreter, Options as InterpOptions, Stop};
use ssa::testing::{self, Rng};
use ssa::{ExportItem, FuncId, Module, Type};
use target_pvm::{EntryMode, Options};

const MARK: &str = "; asm:\n";

#[test]
fn fixtures() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/select");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&dir)
        .expect("the folder exists")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    assert!(paths.len() > 5, "fixtures are missing");
    let wrong: Vec<String> = paths.iter().filter_map(|path| check(path).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn options() -> Options {
    Options { entries: EntryMode::Raw, threads: 1, ..Options::default() }
}

fn check(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).expect("readable");
    let (input, expected) = text.split_once(MARK).unwrap_or((&text, ""));
    let module = ssa::parse_module(input).map_err(|error| format!("{}: {error}", path.display()))?;
    ssa::verify(&module).map_err(|error| format!("{}: {error}", path.display()))?;
    run(path, &module);
    let code = target_pvm::print(module, &options(), None).expect("supported");
    let mut actual = String::new();
    for line in code.trim_end().lines() {
        let separator = if line.is_empty() { "" } else { " " };
        writeln!(actual, ";{separator}{line}").expect("strings grow");
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, format!("{input}{MARK}{actual}")).expect("writable");
        return Ok(());
    }
    match actual == expected {
        true => Ok(()),
        false => Err(format!("{}: expected\n{expected}\ngot\n{actual}", path.display())),
    }
}

/// Calls every exported function with random and with edge arguments.
fn run(path: &Path, module: &Module) {
    let program = target_pvm::compile(module.clone(), &options()).expect("supported");
    let machine = Machine::new();
    let mut rng = Rng::new(1);
    let exports = module.exports.iter().filter_map(|export| match export.item {
        ExportItem::Func(func) => Some(func),
        ExportItem::Data(_) => None,
    });
    for (entry, func) in (0..).zip(exports) {
        for _ in 0..200 {
            let args = testing::random_args(&mut rng, module, func);
            compare(path, module, &mut machine.load(&program), entry, func, &args);
        }
    }
}

fn compare(
    path: &Path,
    module: &Module,
    instance: &mut machine::Instance,
    entry: u32,
    func: FuncId,
    args: &[u64],
) {
    let sig = module.signature_of(func);
    let mut oracle = Interpreter::new(module, InterpOptions::new(module));
    let expected = oracle.call(func, args, &mut testing::host(module));
    let actual = instance.call(entry, sig, args, &mut |_, _| panic!("no imports here"));
    let context = format!("{}: {} of {args:x?}", path.display(), module.decls[func].name);
    match expected {
        Ok(values) => {
            let word = |(&value, &ty): (&u64, &Type)| {
                if ty == Type::I32 { value as i32 as i64 as u64 } else { value }
            };
            let expected: Vec<u64> = values.iter().zip(&sig.results).map(word).collect();
            assert_eq!(actual, Outcome::Returned(expected), "{context}");
        }
        Err(Stop::Trap(_)) => assert_eq!(actual, Outcome::Trapped, "{context}"),
        Err(stop) => panic!("{context}: {stop:?}"),
    }
}
