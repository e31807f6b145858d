//! The licences of all dependencies are in the list that `deny.toml` allows.
//!
//! `cargo tree` prints them, so the rule needs no other tool. Where `cargo deny` is installed, it checks the rest of
//! `deny.toml`, too, except for advisories, which it would have to download.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Complaints about licences, and those of `cargo deny`.
pub fn complaints(root: &Path, rules: &str) -> Vec<String> {
    let allowed = allowed(rules);
    let tree = ["tree", "--workspace", "--locked", "--prefix", "none", "--format", "{p}\t{l}"];
    let packages = match cargo(root, &tree) {
        Ok(packages) => packages,
        Err(complaint) => return vec![complaint],
    };
    // A line ends in `(*)` where the package was printed before.
    let packages: BTreeSet<&str> = packages.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let packages = packages.iter().filter_map(|line| line.split_once('\t'));
    let refused = packages.filter(|(_, licence)| !is_allowed(licence, &allowed));
    let refused = refused.map(|(package, licence)| format!("{package}: deny.toml doesn't allow `{licence}`"));
    let mut complaints: Vec<String> = refused.collect();
    if cargo(root, &["deny", "--version"]).is_ok() {
        complaints.extend(cargo(root, &["deny", "--locked", "check", "licenses", "bans", "sources"]).err());
    }
    complaints
}

/// The output of a cargo command, or what it says about its failure.
fn cargo(root: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO")).args(args).current_dir(root).output();
    let output = output.map_err(|error| format!("cargo {}: {error}", args[0]))?;
    if !output.status.success() {
        return Err(format!("cargo {}: {}", args[0], String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The licences of the list `allow` in `deny.toml`.
fn allowed(rules: &str) -> BTreeSet<&str> {
    let list =
        rules.split("\nallow = [").nth(1).and_then(|rest| rest.split("\n]").next()).unwrap_or_default();
    let entries = list.lines().filter_map(|line| line.trim().strip_prefix('"'));
    entries.filter_map(|entry| entry.split('"').next()).collect()
}

/// Whether each part of an expression has an alternative in the list. Alternatives may be in brackets; nothing else is.
fn is_allowed(licence: &str, allowed: &BTreeSet<&str>) -> bool {
    let alternatives = |part: &str| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')').replace('/', " OR ");
        part.split(" OR ").any(|name| allowed.contains(name.trim()))
    };
    licence.split(" AND ").all(alternatives)
}

#[cfg(test)]
mod tests {
    use super::{allowed, is_allowed};

    #[test]
    fn expressions_are_read() {
        let rules = "[licenses]\nallow = [\n    \"MIT\",\n    # why\n    \"Zlib\", # why\n]\n[bans]\n";
        let allowed = allowed(rules);
        assert_eq!(allowed.iter().copied().collect::<Vec<_>>(), ["MIT", "Zlib"]);
        for licence in
            ["MIT", "Apache-2.0 OR MIT", "Apache-2.0/MIT", "Apache-2.0 / MIT", "(MIT OR X) AND Zlib"]
        {
            assert!(is_allowed(licence, &allowed), "{licence}");
        }
        for licence in ["", "GPL-3.0", "MIT AND GPL-3.0", "(X OR Y) AND MIT", "MIT WITH Z"] {
            assert!(!is_allowed(licence, &allowed), "{licence}");
        }
    }
}
