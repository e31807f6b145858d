//! Known bodies are what they are said to be, and bodies of modules can be printed.

use super::evaluator::Evaluator;
use super::form::form;
use super::known::BODIES;
use super::{Division, Operation, Shape, proof, vectors};
use crate::module_info::ModuleInfo;

const ALL: [Operation; 9] = [
    Operation::Memmove,
    Operation::Memcpy,
    Operation::Memset,
    Operation::Memcmp,
    Operation::Multi3,
    Operation::Divide(Division::UnsignedQuotient),
    Operation::Divide(Division::UnsignedRemainder),
    Operation::Divide(Division::SignedQuotient),
    Operation::Divide(Division::SignedRemainder),
];

#[test]
fn known_bodies_agree_with_their_operations() {
    for body in BODIES.iter() {
        let wasm = wat::parse_str(body.form).unwrap_or_else(|error| panic!("{}: {error}", body.name));
        let info = ModuleInfo::parse(&wasm).expect("it is valid");
        let mut evaluator = Evaluator::new(&info, &wasm);
        assert!(vectors::confirm(&mut evaluator, 0, body.operation), "{}", body.name);
        if matches!(body.operation, Operation::Divide(_)) && !body.domain.nonzero {
            assert!(vectors::traps_at_zero(&mut evaluator, 0), "{}", body.name);
        }
    }
}

#[test]
fn known_bodies_have_their_own_form() {
    for body in BODIES.iter() {
        let wasm = wat::parse_str(body.form).expect("it is valid");
        let info = ModuleInfo::parse(&wasm).expect("it is valid");
        let form = form(&info, &wasm, 0, usize::MAX).expect("it has a form");
        assert!(form.text == body.form, "{}: {}", body.name, form.text);
    }
}

/// Prints functions of the module `FORMS_OF` that behave like helpers and are not proven, as files for `known`.
#[test]
#[ignore = "a tool"]
fn prints_forms() {
    let Some(path) = std::env::var_os("FORMS_OF") else { return };
    let wasm = std::fs::read(path).expect("FORMS_OF names a file");
    let info = ModuleInfo::parse(&wasm).expect("it is a module");
    let mut evaluator = Evaluator::new(&info, &wasm);
    for index in info.imported_functions() as u32..info.functions.len() as u32 {
        let Some(shape) = Shape::of(info.type_of(index)) else { continue };
        let operation = ALL.into_iter().find(|operation| vectors::confirm(&mut evaluator, index, *operation));
        let Some(operation) = operation else { continue };
        let name = info.function_name(index);
        if shape == Shape::Memory && proof::prove(&info, &wasm, index).is_some() {
            println!("@ {operation:?} {name} is proven");
        } else if let Some(form) = form(&info, &wasm, index, 1 << 20) {
            let domain = match operation {
                Operation::Memcpy => "apart short",
                Operation::Memmove | Operation::Memset => "short",
                Operation::Divide(_) if !vectors::traps_at_zero(&mut evaluator, index) => "nonzero",
                _ => "all",
            };
            println!("@ {operation:?} {name}\n;; domain: {domain}\n{}", form.text);
        } else {
            println!("@ {operation:?} {name} has no form");
        }
    }
}
