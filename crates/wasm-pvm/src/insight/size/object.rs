//! The bytes of a Cortex-M object. The compiler gives each function and each data object a section of its own.

use super::{Caller, SizeError, SizeReport};
use crate::insight::demangled;
use crate::object::Summary;

/// Prefixes of the names of sections, and the kinds of their contents.
const KINDS: [(&str, &str); 3] = [(".text", "code"), (".rodata", "read-only data"), (".data", "data")];

/// Cuts an object into its parts.
pub fn read(bytes: &[u8]) -> Result<SizeReport, SizeError> {
    let summary = Summary::read(bytes)?;
    let mut report = SizeReport { form: "object", ..SizeReport::default() };
    let stored = summary.sizes.text + summary.sizes.rodata + summary.sizes.data;
    let mut rest = stored;
    for section in &summary.sections {
        let size = u64::from(section.size);
        let kind = KINDS.iter().find(|(prefix, _)| section.name.starts_with(prefix));
        let Some((prefix, kind)) = kind else {
            if section.name.starts_with(".bss") {
                report.zeros.push((section.name.clone(), size));
            }
            continue;
        };
        rest = rest.saturating_sub(size);
        let name = section.name[prefix.len()..].trim_start_matches('.');
        match *kind {
            "code" => report.add_function(name, None, size),
            kind => report.add(kind, name, size),
        }
    }
    report.add("data", "other sections", rest);
    for section in &summary.debug {
        report.add("debug", &section.name, section.size.into());
    }
    let symbol = |name: &str| summary.symbols.iter().find(|symbol| symbol.name == name);
    report.functions = summary
        .functions
        .iter()
        .map(|function| Caller {
            name: demangled(&function.name),
            bytes: symbol(&function.name).map_or(0, |symbol| symbol.size.into()),
            calls: function.calls.iter().map(|&to| to as u32).collect(),
            is_entry: symbol(&function.name).is_some_and(|symbol| symbol.is_global),
            is_referenced: false,
        })
        .collect();
    Ok(report)
}
