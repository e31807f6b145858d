//! Known bodies that belong to this project: forms and operations.

use super::evaluator::Evaluator;
use super::form::form;
use super::known::{BODIES, digest};
use super::{Operation, vectors};
use crate::module_info::ModuleInfo;

/// Forms of helpers of the kernels.
const FORMS: [(&str, &str); 3] = [
    ("multi3-kernels-O2", include_str!("known/multi3-kernels-O2.wat")),
    ("udivti3-kernels-O2", include_str!("known/udivti3-kernels-O2.wat")),
    ("udivti3-kernels-Os", include_str!("known/udivti3-kernels-Os.wat")),
];

#[test]
fn known_bodies_have_their_form_and_agree_with_their_operations() {
    for (name, text) in FORMS {
        let body = BODIES.iter().find(|body| body.name == name).expect("it is in the table");
        let text = &text[text.find("(module").expect("it is a module")..];
        let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let info = ModuleInfo::parse(&wasm).expect("it is valid");
        let form = form(&info, &wasm, 0, usize::MAX).expect("it has a form");
        assert_eq!(form.text, text, "{name}");
        assert_eq!((digest(&form.text).as_str(), form.text.len()), (body.digest, body.length), "{name}");
        let mut evaluator = Evaluator::new(&info, &wasm);
        assert!(vectors::confirm(&mut evaluator, 0, body.operation), "{name}");
        if matches!(body.operation, Operation::Divide(_)) && !body.domain.nonzero {
            assert!(vectors::traps_at_zero(&mut evaluator, 0), "{name}");
        }
    }
}

#[test]
fn a_changed_body_is_unknown() {
    for (name, text) in FORMS {
        let changed = text.replacen("i64.add", "i64.sub", 1);
        let wasm =
            wat::parse_str(&changed[changed.find("(module").expect("it is a module")..]).expect("valid");
        let info = ModuleInfo::parse(&wasm).expect("it is valid");
        let form = form(&info, &wasm, 0, usize::MAX).expect("it has a form");
        assert!(BODIES.iter().all(|body| body.digest != digest(&form.text)), "{name}");
    }
}
