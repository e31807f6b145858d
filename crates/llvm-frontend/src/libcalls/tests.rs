//! Known bodies are what their files say.

use super::evaluator::Evaluator;
use super::form::form;
use super::known::BODIES;
use super::{Operation, vectors};
use crate::module_info::ModuleInfo;

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
