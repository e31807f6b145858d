//! The import map: a text file that gives imports their actions.
//!
//! ```text
//! # comment
//! abort = trap                 # the program panics
//! env.debug = nop              # nothing happens, results are zero
//! seal_input = ecalli 42       # a host call by number; `ecalli:42` is the same
//! read = read                  # a host call by its name in the Gray Paper
//! wasi.* = nop                 # all other imports of a module
//! * = trap                     # all other imports
//! ```
//!
//! A name is the import's second level, or both levels with a dot between; the longer form wins. Wildcards are for
//! imports that get an action neither from another line nor from their name. Names of host calls are resolved for the
//! chosen version of the Gray Paper, as the numbers differ.

use std::collections::{BTreeMap, BTreeSet};

use pvm_isa::GpVersion;
use ssa::Import;

use super::ImportAction;

/// Host calls by name, with their numbers in GP 0.7.2 and 0.8 (appendix B; `log` is JIP-1).
pub const HOST_CALLS: [(&str, Option<u32>, Option<u32>); 29] = [
    ("gas", Some(0), Some(0)),
    ("grow_heap", None, Some(1)),
    ("fetch", Some(1), Some(2)),
    ("lookup", Some(2), Some(3)),
    ("read", Some(3), Some(4)),
    ("write", Some(4), Some(5)),
    ("info", Some(5), Some(6)),
    ("historical_lookup", Some(6), Some(7)),
    ("export", Some(7), Some(8)),
    ("machine", Some(8), Some(9)),
    ("peek", Some(9), Some(10)),
    ("poke", Some(10), Some(11)),
    ("pages", Some(11), Some(12)),
    ("invoke", Some(12), Some(13)),
    ("expunge", Some(13), Some(14)),
    ("bless", Some(14), Some(15)),
    ("assign", Some(15), Some(16)),
    ("designate", Some(16), Some(17)),
    ("checkpoint", Some(17), Some(18)),
    ("new", Some(18), Some(19)),
    ("upgrade", Some(19), Some(20)),
    ("transfer", Some(20), Some(21)),
    ("eject", Some(21), Some(22)),
    ("query", Some(22), Some(23)),
    ("solicit", Some(23), Some(24)),
    ("forget", Some(24), Some(25)),
    ("yield", Some(25), Some(26)),
    ("provide", Some(26), Some(27)),
    ("log", Some(100), Some(100)),
];

/// The number of a host call; `None` if no version has one of this name, `Some(None)` if this version lacks it.
pub fn host_call_number(name: &str, gp: GpVersion) -> Option<Option<u32>> {
    let (_, v072, v08) = HOST_CALLS.iter().find(|(known, ..)| *known == name)?;
    Some(match gp {
        GpVersion::V072 => *v072,
        GpVersion::V08 => *v08,
    })
}

/// A line of an import map that is wrong, and the reason.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ImportMapError {
    /// Line, counted from 1.
    pub line: usize,
    /// The error.
    pub message: String,
}

/// Actions of imports by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImportMap {
    actions: BTreeMap<String, ImportAction>,
    auto_base: Option<u32>,
    by_symbol: bool,
}

impl ImportMap {
    /// Default first number of `--imports auto`; above all host calls of the Gray Paper.
    pub const DEFAULT_AUTO_BASE: u32 = 1000;

    /// Reads a map; see the module documentation for the format.
    ///
    /// # Errors
    /// If a line does not follow the format or names an unknown host call.
    pub fn parse(text: &str, gp: GpVersion) -> Result<Self, ImportMapError> {
        let mut actions = BTreeMap::new();
        for (line, text) in (1..).zip(text.lines()) {
            let error = |message: String| ImportMapError { line, message };
            let text = text.split_once('#').map_or(text, |(before, _)| before).trim();
            if text.is_empty() {
                continue;
            }
            let (name, action) =
                text.split_once('=').ok_or_else(|| error("expected `name = action`".into()))?;
            let name = name.trim();
            if name.is_empty() {
                return Err(error("expected a name before `=`".into()));
            }
            if name != "*" && name.strip_suffix(".*").unwrap_or(name).contains('*') {
                return Err(error(format!("`{name}`: a wildcard is `*` or `module.*`")));
            }
            let action = parse_action(action.trim(), gp).map_err(error)?;
            if actions.insert(name.to_owned(), action).is_some() {
                return Err(ImportMapError { line, message: format!("`{name}` is mapped twice") });
            }
        }
        Ok(Self { actions, auto_base: None, by_symbol: false })
    }

    /// The same map, which numbers imports without an action in import order, from `base`.
    #[must_use]
    pub fn with_auto(self, base: u32) -> Self {
        Self { auto_base: Some(base), ..self }
    }

    /// The same map for a container with a table of symbols: imports without an action are host calls by their second
    /// level, and none has a number of its own.
    #[must_use]
    pub fn with_symbols(self) -> Self {
        Self { by_symbol: true, ..self }
    }

    /// Whether imports without an action are host calls by symbol.
    pub fn has_symbols(&self) -> bool {
        self.by_symbol
    }

    /// Adds one action, replacing an earlier one.
    pub fn insert(&mut self, name: impl Into<String>, action: ImportAction) {
        self.actions.insert(name.into(), action);
    }

    /// Adds all actions of another map, replacing earlier ones.
    pub fn extend(&mut self, other: Self) {
        self.actions.extend(other.actions);
        self.auto_base = other.auto_base.or(self.auto_base);
    }

    /// The first number given to imports without an action, if they are numbered.
    pub fn auto_base(&self) -> Option<u32> {
        self.auto_base
    }

    /// The same map, with an action for all other imports.
    #[must_use]
    pub fn with_rest(mut self, action: ImportAction) -> Self {
        self.insert("*", action);
        self
    }

    /// Names of lines that match none of these imports, without the line for all others.
    pub fn unmatched(&self, imports: &[Import]) -> Vec<&str> {
        let names = |import: &Import| {
            let Import { module, field } = import;
            [field.clone(), format!("{module}.{field}"), format!("{module}.*")]
        };
        let known: BTreeSet<String> = imports.iter().flat_map(names).chain(["*".to_owned()]).collect();
        self.actions.keys().filter(|name| !known.contains(*name)).map(String::as_str).collect()
    }

    /// The action by wildcard: for other imports of the module, or else for all other imports.
    pub fn wildcard(&self, import: &Import) -> Option<ImportAction> {
        let of_module = self.actions.get(&format!("{}.*", import.module));
        of_module.or_else(|| self.actions.get("*")).copied()
    }

    /// The action of an import by a line with its name.
    pub fn action(&self, import: &Import) -> Option<ImportAction> {
        let full = format!("{}.{}", import.module, import.field);
        self.actions.get(&full).or_else(|| self.actions.get(&import.field)).copied()
    }
}

fn parse_action(text: &str, gp: GpVersion) -> Result<ImportAction, String> {
    match text {
        "trap" => return Ok(ImportAction::Trap),
        "nop" => return Ok(ImportAction::Nop),
        _ => {}
    }
    if let Some(number) = text.strip_prefix("ecalli").filter(|rest| rest.starts_with([':', ' ', '\t'])) {
        let number = number[1..].trim();
        let parsed = number.parse::<u32>().ok().filter(|&n| i32::try_from(n).is_ok());
        return parsed.map(ImportAction::Ecalli).ok_or_else(|| format!("`{number}` is no host-call number"));
    }
    match host_call_number(text, gp) {
        Some(Some(number)) => Ok(ImportAction::Ecalli(number)),
        Some(None) => Err(format!("the host call `{text}` does not exist in GP {gp}")),
        None => {
            Err(format!("unknown action `{text}`, expected trap, nop, ecalli N or the name of a host call"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(module: &str, field: &str) -> Import {
        Import { module: module.into(), field: field.into() }
    }

    #[test]
    fn all_forms_are_read() {
        let text = "# comment\n\nabort = trap\nconsole.log=nop # why\na.b = ecalli:7\nc = ecalli 100\n read = read\n";
        let map = ImportMap::parse(text, GpVersion::V08).expect("well-formed");
        let action = |module: &str, field: &str| map.action(&import(module, field));
        assert_eq!(action("env", "abort"), Some(ImportAction::Trap));
        assert_eq!(action("env", "console.log"), Some(ImportAction::Nop));
        assert_eq!(action("console", "log"), Some(ImportAction::Nop));
        assert_eq!(action("a", "b"), Some(ImportAction::Ecalli(7)));
        assert_eq!(action("x", "c"), Some(ImportAction::Ecalli(100)));
        assert_eq!(action("env", "read"), Some(ImportAction::Ecalli(4)));
        assert_eq!(action("env", "other"), None);
        let rest =
            ImportMap::parse("wasi.* = nop\n* = trap\na = ecalli 3", GpVersion::V08).expect("well-formed");
        assert_eq!(rest.action(&import("env", "b")), None);
        assert_eq!(rest.wildcard(&import("env", "b")), Some(ImportAction::Trap));
        assert_eq!(rest.wildcard(&import("wasi", "b")), Some(ImportAction::Nop));
        let old = ImportMap::parse("read = read", GpVersion::V072).expect("well-formed");
        assert_eq!(old.action(&import("env", "read")), Some(ImportAction::Ecalli(3)));
    }

    #[test]
    fn errors_name_the_line() {
        let cases = [
            ("a = trap\nb", 2, "expected `name = action`"),
            ("= trap", 1, "expected a name before `=`"),
            ("a = jump", 1, "unknown action `jump`, expected trap, nop, ecalli N or the name of a host call"),
            ("a = ecalli x", 1, "`x` is no host-call number"),
            ("a = ecalli 4294967295", 1, "`4294967295` is no host-call number"),
            ("a = nop\n\na = trap", 3, "`a` is mapped twice"),
            ("m.* = nop\n*.a = trap", 2, "`*.a`: a wildcard is `*` or `module.*`"),
            ("seal_* = trap", 1, "`seal_*`: a wildcard is `*` or `module.*`"),
            ("a = grow_heap", 1, "the host call `grow_heap` does not exist in GP 0.7"),
        ];
        for (text, line, message) in cases {
            let error = ImportMap::parse(text, GpVersion::V072).expect_err(text);
            assert_eq!(error, ImportMapError { line, message: message.into() });
        }
    }
}
