//! Imports without an action: what they are, and an import map to start from.
//!
//! A module built for a browser can import two hundred functions that no host of a PVM has. Their names tell which
//! toolchain or interface they belong to, and that decides the way out. The error is one line as any other; the help
//! after it has a line per family, and a map in the format of `--imports` in which every import traps.

use std::collections::BTreeMap;
use std::fmt;

use llvm_frontend::ReachedImport;

use crate::wasi;

/// Maximum number of names in the error.
const LISTED: usize = 20;
/// Maximum number of imports with a line of their own in the map.
const MAPPED: usize = 40;

/// Imports that reachable code uses, without an action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MissingImports {
    /// By family, in order of import.
    families: BTreeMap<Family, Vec<ReachedImport>>,
}

/// The interface that an import belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Family {
    Wasi,
    OtherWasi,
    Component,
    WasmBindgen,
    Emscripten,
    Go,
    AssemblyScript,
    Substrate,
    Other,
}

/// Names of functions that Emscripten's JavaScript defines, or their beginnings.
const EMSCRIPTEN: [&str; 14] = [
    "emscripten_",
    "_emscripten_",
    "__syscall",
    "invoke_",
    "__cxa_",
    "_embind_",
    "_emval_",
    "_mmap_js",
    "_munmap_js",
    "_tzset_js",
    "_abort_js",
    "__assert_fail",
    "__resumeException",
    "llvm_eh_",
];

impl Family {
    fn of(module: &str, name: &str) -> Self {
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let is_assembly_script = matches!(name, "abort" | "seed" | "trace") || name.contains('.');
        if module.starts_with("wasi:") && !wasi::provides(module, name) {
            Self::OtherWasi
        } else if is_wasi(module, name) {
            Self::Wasi
        } else if module.contains(':') && module.contains('/') {
            Self::Component
        } else if module.contains("wbg") || module.contains("wbindgen") || begins(&["__wbg_", "__wbindgen"]) {
            Self::WasmBindgen
        } else if module == "gojs" || module == "go" {
            Self::Go
        } else if begins(&EMSCRIPTEN) || (module == "a" && name.len() <= 3) {
            Self::Emscripten
        } else if name.starts_with("ext_") && name.contains("_version_") {
            Self::Substrate
        } else if module == "env" && is_assembly_script {
            Self::AssemblyScript
        } else {
            Self::Other
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Wasi => "WASI",
            Self::OtherWasi => "other WASI",
            Self::Component => "interfaces of components",
            Self::WasmBindgen => "wasm-bindgen",
            Self::Emscripten => "Emscripten",
            Self::Go => "Go",
            Self::AssemblyScript => "AssemblyScript",
            Self::Substrate => "Substrate",
            Self::Other => "others",
        }
    }

    /// The nature of these imports, and the way out.
    const fn about(self) -> &'static str {
        match self {
            Self::Wasi => "system calls of command-line programs; use --wasi",
            Self::OtherWasi => {
                "functions that --wasi doesn't have: it is preview 1, and cli, clocks, filesystem, io, random and sockets of 0.2; \
                 build the program without them, or let them trap"
            }
            Self::Component => {
                "functions of a host or another component; compose the component with its definition, or write an adapter that \
                 exports `interface#function`"
            }
            Self::WasmBindgen => {
                "JavaScript objects and functions; build the crate without the features that use js-sys and web-sys, or let \
                 them trap"
            }
            Self::Emscripten => {
                "functions of Emscripten's JavaScript; build with -sSTANDALONE_WASM, which needs WASI only, or let them trap"
            }
            Self::Go => "JavaScript for GOOS=js; build with GOOS=wasip1 and use --wasi",
            Self::AssemblyScript => {
                "functions of AssemblyScript's JavaScript: abort panics, trace prints, seed starts Math.random; let them trap \
                 or do nothing, or write an adapter"
            }
            Self::Substrate => {
                "host functions of Substrate runtimes; --imports auto makes them host calls, which `run --host substrate` answers"
            }
            Self::Other => "functions of this module's own host; give each an action, or write an adapter",
        }
    }
}

impl MissingImports {
    /// A function that uses each import and the offset of the use, in the order of offsets.
    pub(crate) fn users(&self) -> impl Iterator<Item = (Option<&str>, usize)> {
        let imports = self.families.values().flatten();
        let mut users: Vec<_> = imports.filter_map(|import| import.user.as_ref()).collect();
        users.sort_by_key(|(_, offset)| *offset);
        users.into_iter().map(|(function, offset)| (Some(function.as_str()), *offset))
    }

    /// Sorts imports into their families.
    pub(crate) fn new(imports: impl IntoIterator<Item = ReachedImport>) -> Self {
        let mut families = BTreeMap::<Family, Vec<ReachedImport>>::new();
        for import in imports {
            let family = Family::of(&import.import.module, &import.import.field);
            families.entry(family).or_default().push(import);
        }
        Self { families }
    }

    fn count(&self) -> usize {
        self.families.values().map(Vec::len).sum()
    }

    /// The nature of the imports, and an import map to start from.
    pub fn help(&self) -> String {
        let mut text = String::new();
        for (family, imports) in &self.families {
            text.push_str(&format!("help: {} ({}): {}\n", family.name(), imports.len(), family.about()));
        }
        text.push_str("help: save this import map, edit it, and give it with --imports FILE:\n");
        let mut left = MAPPED;
        for (family, imports) in &self.families {
            text.push_str(&format!("# {}\n", family.name()));
            let (listed, others) = imports.split_at(imports.len().min(left));
            left -= listed.len();
            let width = listed.iter().map(|import| full_name(import).len()).max().unwrap_or_default();
            for import in listed {
                let name = full_name(import);
                let line = format!("{name:width$} = trap  # {}", described(import));
                // A name that the map can't have needs a wildcard.
                let is_plain = !name.contains(['=', '#', '*'])
                    && name.trim() == name
                    && !name.contains(char::is_control);
                let prefix = if is_plain { "" } else { "# only by a wildcard: " };
                text.push_str(&format!("{prefix}{}\n", line.replace(char::is_control, "?")));
            }
            let mut by_module = BTreeMap::<&str, usize>::new();
            for import in others {
                *by_module.entry(&import.import.module).or_default() += 1;
            }
            for (module, count) in by_module {
                text.push_str(&format!("{module}.* = trap  # {count} more\n"));
            }
        }
        text
    }
}

impl fmt::Display for MissingImports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count();
        write!(f, "no action for {count} import{}: ", if count == 1 { "" } else { "s" })?;
        let mut left = LISTED;
        for (n, (family, imports)) in self.families.iter().enumerate() {
            let listed: Vec<String> = imports.iter().take(left).map(full_name).collect();
            left -= listed.len();
            let more = imports.len() - listed.len();
            let separator = if n > 0 { "; " } else { "" };
            let names = listed.join(", ");
            write!(f, "{separator}{} ({}) {names}", family.name(), family.about())?;
            match (more, listed.is_empty()) {
                (0, _) => {}
                (_, true) => write!(f, "{more} imports")?,
                (_, false) => write!(f, " and {more} more")?,
            }
        }
        f.write_str(
            "; map them in a file given with --imports, or let all that are left trap with --imports trap",
        )
    }
}

impl std::error::Error for MissingImports {}

/// Whether `--wasi` gives the import an action, or an interface of that name.
fn is_wasi(module: &str, name: &str) -> bool {
    module == "wasi"
        || module.starts_with("wasi_")
        || module.starts_with("wasi:")
        || wasi::is_of_emscripten(module, name)
}

fn full_name(import: &ReachedImport) -> String {
    format!("{}.{}", import.import.module, import.import.field)
}

/// Its signature in numbers, and a function that uses it.
fn described(import: &ReachedImport) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let (params, results) = import.arity;
    let user = import.user.as_ref().map(|(user, _)| format!(", used by {user}")).unwrap_or_default();
    format!("{}, {}{user}", count(params, "parameter"), count(results, "result"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_names_are_comments() {
        let help = MissingImports::new([reached("a\nb", "c"), reached("x", "y=z")]).help();
        assert!(help.contains("\n# only by a wildcard: a?b.c = trap"), "{help}");
        assert!(help.contains("\n# only by a wildcard: x.y=z = trap"), "{help}");
    }

    fn reached(module: &str, field: &str) -> ReachedImport {
        let import = ssa::Import { module: module.into(), field: field.into() };
        ReachedImport { import, arity: (2, 1), user: Some(("main".to_owned(), 7)) }
    }

    #[test]
    fn imports_belong_to_families() {
        let cases = [
            ("wasi_snapshot_preview1", "fd_write", Family::Wasi),
            ("wasi:cli/stdout@0.2.0", "get-stdout", Family::Wasi),
            ("wasi:http/types@0.2.0", "[method]fields.get", Family::OtherWasi),
            ("wasi:cli/stdout@0.3.0", "get-stdout", Family::OtherWasi),
            ("game:engine/draw@1.0.0", "line", Family::Component),
            ("./tiktoken_bg.js", "__wbindgen_throw", Family::WasmBindgen),
            ("wbg", "__wbg_new_1", Family::WasmBindgen),
            ("env", "emscripten_resize_heap", Family::Emscripten),
            ("env", "invoke_vii", Family::Emscripten),
            ("env", "setTempRet0", Family::Wasi),
            ("a", "b", Family::Emscripten),
            ("gojs", "runtime.wasmExit", Family::Go),
            ("env", "seed", Family::AssemblyScript),
            ("env", "console.log", Family::AssemblyScript),
            ("env", "ext_storage_get_version_1", Family::Substrate),
            ("env", "db_read", Family::Other),
            ("host", "abort", Family::Other),
        ];
        for (module, name, family) in cases {
            assert_eq!(Family::of(module, name), family, "{module}.{name}");
        }
    }

    #[test]
    fn many_imports_stay_readable() {
        let imports =
            (0..200).map(|n| reached(if n < 150 { "env" } else { "wasi_unstable" }, &format!("f{n}")));
        let missing = MissingImports::new(imports);
        let (line, help) = (missing.to_string(), missing.help());
        assert!(line.starts_with("no action for 200 imports: WASI (") && line.len() < 900, "{line}");
        assert!(line.contains("others (") && line.contains("150 imports"), "{line}");
        let map: Vec<&str> = help.lines().filter(|line| !line.starts_with("help: ")).collect();
        assert_eq!(map.iter().filter(|line| line.contains(" = trap")).count(), 42, "{help}");
        assert!(help.contains("wasi_unstable.* = trap  # 10 more\n"), "{help}");
        assert!(help.contains("env.* = trap  # 150 more\n"), "{help}");
        let map = crate::ImportMap::parse(&map.join("\n"), crate::GpVersion::V08).expect("a map");
        let import = |module: &str, name: &str| reached(module, name).import;
        assert!(map.action(&import("wasi_unstable", "f150")).is_some());
        assert!(map.wildcard(&import("env", "f9")).is_some());
    }
}
