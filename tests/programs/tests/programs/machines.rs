//! Fixtures that are compiled: the text of a stage, and behaviour on the machines.

use std::collections::BTreeMap;

use programs::{Outcome, cortex_m, interpreted, pvm};
use ssa::testing::Rng;
use ssa::{ExportItem, FuncId, Module};

use crate::fixture::{self, Backend, Fixture, Target};

/// Calls of each function on the engine of the PVM, and on a board, where a call takes longer.
const PVM_CALLS: usize = 200;
const BOARD_CALLS: usize = 50;

/// Fixtures that are compiled.
fn compiled() -> Vec<Fixture> {
    fixture::all().into_iter().filter(|fixture| fixture.stage != "read").collect()
}

#[test]
fn text_is_as_expected() {
    let mut wrong = Vec::new();
    for fixture in compiled() {
        let module = fixture.module();
        let texts = fixture.targets().into_iter().map(|target| {
            let text = printed(&fixture, &target, target.prepared(module.clone()));
            (target.label, functions(&text))
        });
        let text = fixture.with_expected(&texts.collect::<Vec<_>>());
        if fixture::is_blessing() {
            std::fs::write(&fixture.path, text).expect("the fixture is writable");
        } else if text != fixture.text {
            wrong.push(difference(&fixture, &text));
        }
    }
    assert!(wrong.is_empty(), "BLESS=1 rewrites the text\n{}", wrong.join("\n"));
}

/// The stage's text for a target.
fn printed(fixture: &Fixture, target: &Target, module: Module) -> String {
    let after = Some(fixture.stage.as_str()).filter(|&stage| stage != "asm");
    let check = |names: Vec<&str>| {
        let is_known = after.is_none_or(|pass| pass == "ssa" || names.contains(&pass));
        assert!(is_known, "{}: no stage `{}`; passes are {names:?}", fixture.name(), fixture.stage);
    };
    match &target.backend {
        Backend::Pvm(options) => {
            check(codegen::pass_names::<target_pvm::Pvm>());
            match after {
                Some("ssa") => target_pvm::print_ssa(module, options),
                _ => target_pvm::print(module, options, after),
            }
            .unwrap_or_else(|error| panic!("{}: {error}", fixture.name()))
        }
        Backend::Thumb(options) => {
            check(codegen::pass_names::<target_thumb::Thumb>());
            match after {
                Some("ssa") => target_thumb::print_ssa(module, options),
                _ => target_thumb::print(module, options, after),
            }
            .unwrap_or_else(|error| panic!("{}: {error}", fixture.name()))
        }
    }
}

/// The functions of a stage's text with their names. Machine functions end in an empty line, those of SSA in a brace.
fn functions(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        let name = line.strip_prefix("func $").and_then(|rest| rest.split(' ').next());
        let name = name.or_else(|| line.strip_suffix(':').filter(|_| !is_open));
        match name {
            Some(name) => {
                let first = if line.ends_with(':') { String::new() } else { format!("{line}\n") };
                found.push((name.to_owned(), first));
                is_open = true;
            }
            None if is_open && !line.is_empty() => {
                let (_, text) = found.last_mut().expect("a function is open");
                text.push_str(line);
                text.push('\n');
                is_open = line != "}";
            }
            None => is_open = false,
        }
    }
    found
}

/// The first line that differs, with its neighbours.
fn difference(fixture: &Fixture, actual: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (fixture.text.lines().collect(), actual.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let start = same.saturating_sub(2);
    let [old, new] = [&old, &new].map(|lines| lines[start..lines.len().min(start + 8)].join("\n"));
    format!("{}, line {}: expected\n{old}\ngot\n{new}", fixture.name(), same + 1)
}

/// The exported functions with their names. The first has entry number 0.
fn exports(fixture: &Fixture, module: &Module) -> Vec<(String, FuncId)> {
    let exports = module.exports.iter().filter_map(|export| match export.item {
        ExportItem::Func(func) => Some((export.name.clone(), func)),
        ExportItem::Data(_) => None,
    });
    let exports: Vec<_> = exports.collect();
    assert!(!exports.is_empty(), "{}: no function is exported, so none is judged", fixture.name());
    exports
}

#[test]
fn pvm_behaves_as_the_interpreter() {
    let machine = pvm::Machine::new();
    for fixture in compiled() {
        let module = fixture.module();
        for target in fixture.targets() {
            let Backend::Pvm(options) = &target.backend else { continue };
            let program = target_pvm::compile(target.prepared(module.clone()), options).expect("supported");
            for (entry, (_, func)) in (0..).zip(exports(&fixture, &module)) {
                judge(&fixture, &target, &module, func, PVM_CALLS, |args| {
                    pvm::outcome(&machine, &module, &program, (entry, func), args)
                });
            }
        }
    }
}

#[test]
fn boards_behave_as_the_interpreter() {
    if !needs::tools(&board::TOOLS) {
        return;
    }
    let mut boards = BTreeMap::new();
    for fixture in compiled() {
        let module = fixture.module();
        for target in fixture.targets() {
            let Backend::Thumb(options) = &target.backend else { continue };
            let core = cortex_m::core(options.cpu);
            let board = boards.entry(core).or_insert_with(|| board::Board::start(core).expect("a board"));
            let prepared = target.prepared(module.clone());
            let mut loaded = cortex_m::Loaded::new(board, &prepared, options);
            for (name, func) in exports(&fixture, &module) {
                judge(&fixture, &target, &module, func, BOARD_CALLS, |args| loaded.call(&name, func, args));
            }
        }
    }
}

fn is_for_board(target: &Target) -> bool {
    matches!(target.backend, Backend::Thumb(_))
}

/// Compares calls of a function with the interpreter.
fn judge(
    fixture: &Fixture,
    target: &Target,
    module: &Module,
    func: FuncId,
    calls: usize,
    mut call: impl FnMut(&[u64]) -> Outcome,
) {
    let mut rng = Rng::new(1);
    for _ in 0..calls {
        let args = fixture.args(&mut rng, module, func);
        let expected = interpreted(module, func, &args);
        let expected = expected.unwrap_or_else(|| panic!("{}: {args:x?} runs on", fixture.name()));
        let expected =
            if is_for_board(target) { expected } else { expected.on_pvm(module.signature_of(func)) };
        let name = &module.decls[func].name;
        let context = format!("{}, {}: ${name} of {args:x?}", fixture.name(), target.label);
        call(&args).assert_is(&expected, &context);
    }
}
