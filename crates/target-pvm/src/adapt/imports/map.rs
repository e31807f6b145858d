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
use super::host_calls::HostCall;

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

    /// Makes imports of these names host calls with numbers of their own, before wildcards. Names with lines keep them, and
    /// nothing changes if imports without an action are host calls anyway.
    pub fn number<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        if self.auto_base.is_some() || self.by_symbol {
            return;
        }
        let used: BTreeSet<u32> = self
            .actions
            .values()
            .filter_map(|action| if let ImportAction::Ecalli(number) = action { Some(*number) } else { None })
            .collect();
        let mut free = (Self::DEFAULT_AUTO_BASE..).filter(|number| !used.contains(number));
        for name in names {
            if self.actions.keys().any(|line| may_be_one_import(line, name)) {
                continue;
            }
            if let Some(number) = free.next() {
                self.insert(name, ImportAction::Ecalli(number));
            }
        }
    }

    /// The first number given to imports without an action, if they are numbered.
    pub fn auto_base(&self) -> Option<u32> {
        self.auto_base
    }

    /// The name of a line whose action is a host call, or `auto` if the remaining imports become host calls.
    pub fn host_call(&self) -> Option<&str> {
        let without = |action: &ImportAction| {
            matches!(action, ImportAction::Trap | ImportAction::LoggedTrap | ImportAction::Nop)
        };
        let line = self.actions.iter().find(|(_, action)| !without(action)).map(|(name, _)| name.as_str());
        line.or_else(|| self.auto_base.map(|_| "auto"))
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

/// Whether an import can have both names: they are equal, or one is the other with the module before it.
fn may_be_one_import(a: &str, b: &str) -> bool {
    let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.ends_with('.'));
    a == b || ends(a, b) || ends(b, a)
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
    match HostCall::named(text) {
        Some(call) if call.number(gp).is_some() => Ok(ImportAction::Named(call)),
        Some(_) => Err(format!("the host call `{text}` does not exist in GP {gp}")),
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
        assert_eq!(action("env", "read"), HostCall::named("read").map(ImportAction::Named));
        assert_eq!(action("env", "other"), None);
        let rest =
            ImportMap::parse("wasi.* = nop\n* = trap\na = ecalli 3", GpVersion::V08).expect("well-formed");
        assert_eq!(rest.action(&import("env", "b")), None);
        assert_eq!(rest.wildcard(&import("env", "b")), Some(ImportAction::Trap));
        assert_eq!(rest.wildcard(&import("wasi", "b")), Some(ImportAction::Nop));
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
