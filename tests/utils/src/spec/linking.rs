//! Linking a module of the suite with modules that are registered before it.
//!
//! Instances can't share state here. But functions and tags of a module without state are the same in all instances, so
//! such a module can be linked as an adapter.

use std::collections::BTreeSet;

use wasmparser::{Parser, Payload};

/// The module with the functions and tags of others; `None` if those have state or don't fit.
pub fn linked(bytes: &[u8], registered: &[&[u8]]) -> Option<Vec<u8>> {
    let are_stateless = !registered.is_empty() && registered.iter().all(|module| is_stateless(module));
    let linked = are_stateless.then(|| wasm_pvm::adapter::link(bytes, registered).ok())??;
    let left = crate::interface::interface(&linked).ok()?.imported_modules;
    left.is_subset(&BTreeSet::from(["spectest".to_owned()])).then_some(linked)
}

/// Whether a module has functions and tags alone.
fn is_stateless(bytes: &[u8]) -> bool {
    let has_state = |payload: &Payload<'_>| {
        matches!(
            payload,
            Payload::ImportSection(_)
                | Payload::TableSection(_)
                | Payload::MemorySection(_)
                | Payload::GlobalSection(_)
                | Payload::StartSection { .. }
        )
    };
    Parser::new(0).parse_all(bytes).all(|payload| payload.is_ok_and(|payload| !has_state(&payload)))
}
