//! Circles of imports inside a crate.
//!
//! Two files that import each other can only be understood together. That is harmless for one topic in several files,
//! and wrong for stages of a pipeline. A stage is a file or a folder directly in a crate's `src`; deeper in the tree,
//! only folders are. The rule: no circle between stages.
//!
//! An import is a `use` declaration or a path that begins with `crate`, `super` or `self`. It leads to the file that
//! defines the name: re-exports are followed. Code for tests is left out, as it may import anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::Visit;

/// A module path below the crate's root; empty for the root.
type ModulePath = Vec<String>;

/// One source file of a crate.
#[derive(Default)]
struct Module {
    /// Absolute paths that the file names, the last component being an item or a module.
    paths: BTreeSet<Vec<String>>,
    /// Names that the file re-exports, and where each comes from.
    exports: BTreeMap<String, Vec<String>>,
}

/// Circles between the stages of the crate whose sources are `files`: paths relative to `src` with their text.
pub fn circles<'a>(files: impl Iterator<Item = (&'a Path, &'a str)>) -> Vec<String> {
    let modules = modules(files);
    let mut arrows: BTreeSet<(ModulePath, ModulePath)> = BTreeSet::new();
    for (from, module) in &modules {
        for path in &module.paths {
            arrows.extend(resolve(&modules, path, 8).filter(|to| to != from).map(|to| (from.clone(), to)));
        }
    }
    let mut parents: BTreeSet<ModulePath> = modules.keys().cloned().collect();
    parents.retain(|parent| modules.keys().any(|path| path.len() > parent.len() && path.starts_with(parent)));
    parents.iter().flat_map(|parent| circles_in(&modules, &arrows, parent)).collect()
}

/// Circles between the stages directly below `parent`.
fn circles_in(
    modules: &BTreeMap<ModulePath, Module>,
    arrows: &BTreeSet<(ModulePath, ModulePath)>,
    parent: &[String],
) -> Vec<String> {
    let is_folder =
        |stage: &[String]| modules.keys().any(|path| path.len() > stage.len() && path.starts_with(stage));
    let stage = |path: &ModulePath| {
        let stage = path.get(..=parent.len()).filter(|_| path.starts_with(parent))?;
        (parent.is_empty() || is_folder(stage)).then(|| stage.to_vec())
    };
    let mut graph: BTreeMap<ModulePath, BTreeSet<ModulePath>> = BTreeMap::new();
    for (from, to) in arrows {
        if let (Some(from), Some(to)) = (stage(from), stage(to))
            && from != to
        {
            graph.entry(from).or_default().insert(to);
        }
    }
    let reach = |from: &ModulePath| {
        let mut seen = BTreeSet::new();
        let mut pending = vec![from];
        while let Some(next) = pending.pop() {
            pending.extend(graph.get(next).into_iter().flatten().filter(|to| seen.insert((*to).clone())));
        }
        seen
    };
    let reached: BTreeMap<_, _> = graph.keys().map(|stage| (stage, reach(stage))).collect();
    let circle = |stage: &ModulePath| -> BTreeSet<&ModulePath> {
        let others =
            reached[stage].iter().filter(|other| reached.get(other).is_some_and(|set| set.contains(stage)));
        others.collect()
    };
    let found: BTreeSet<BTreeSet<&ModulePath>> =
        graph.keys().map(circle).filter(|circle| !circle.is_empty()).collect();
    found
        .iter()
        .map(|circle| circle.iter().map(|stage| stage.join("/")).collect::<Vec<_>>().join(", "))
        .collect()
}

fn modules<'a>(files: impl Iterator<Item = (&'a Path, &'a str)>) -> BTreeMap<ModulePath, Module> {
    let mut modules = BTreeMap::new();
    let mut for_tests = BTreeSet::new();
    for (file, text) in files {
        let path = module_path(file);
        let syntax = syn::parse_file(text).expect("the compiler accepts this file");
        let mut reader = Reader { at: path.clone(), module: Module::default(), for_tests: &mut for_tests };
        reader.visit_file(&syntax);
        let module = reader.module;
        modules.insert(path, module);
    }
    modules.retain(|path, _| !for_tests.iter().any(|test: &ModulePath| path.starts_with(test)));
    modules
}

fn module_path(file: &Path) -> ModulePath {
    let mut path: ModulePath =
        file.with_extension("").iter().map(|component| component.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        path.pop();
    }
    path
}

/// The module that defines the item at `path`, if it is in this crate. Follows at most `steps` re-exports.
fn resolve(modules: &BTreeMap<ModulePath, Module>, path: &[String], steps: usize) -> Option<ModulePath> {
    let length = (0..=path.len()).rev().find(|&length| modules.contains_key(&path[..length]))?;
    let (module, rest) = path.split_at(length);
    match rest.first().and_then(|name| modules[module].exports.get(name)) {
        Some(origin) if steps > 0 => resolve(modules, origin, steps - 1),
        _ => Some(module.to_vec()),
    }
}

/// Collects the paths of one file.
struct Reader<'a> {
    at: ModulePath,
    module: Module,
    for_tests: &'a mut BTreeSet<ModulePath>,
}

impl Reader<'_> {
    /// `segments` as a path from the crate's root; `None` if it leads out of the crate.
    fn absolute(&self, segments: &[String]) -> Option<Vec<String>> {
        let (mut path, mut rest) = match segments.first()?.as_str() {
            "crate" => (Vec::new(), &segments[1..]),
            "self" => (self.at.clone(), &segments[1..]),
            "super" => (self.at.clone(), segments),
            _ => return None,
        };
        while rest.first().is_some_and(|first| first == "super") {
            path.pop()?;
            rest = &rest[1..];
        }
        path.extend(rest.iter().cloned());
        Some(path)
    }

    /// Notes all names of a `use` declaration.
    fn note(&mut self, prefix: &[String], tree: &syn::UseTree, exported: bool) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.note(&with(&path.ident), &path.tree, exported),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.note(prefix, item, exported))
            }
            syn::UseTree::Name(name) if name.ident == "self" => self.import(prefix, None),
            syn::UseTree::Name(name) => {
                self.import(&with(&name.ident), exported.then(|| name.ident.to_string()))
            }
            syn::UseTree::Rename(name) => {
                self.import(&with(&name.ident), exported.then(|| name.rename.to_string()))
            }
            syn::UseTree::Glob(_) => self.import(prefix, None),
        }
    }

    fn import(&mut self, segments: &[String], export: Option<String>) {
        // A re-export usually names a child: a path without `self`.
        let child = || [self.at.as_slice(), segments].concat();
        let path = self.absolute(segments).or_else(|| export.is_some().then(child));
        let Some(path) = path else { return };
        match export {
            Some(name) => {
                self.module.exports.insert(name, path);
            }
            None => {
                self.module.paths.insert(path);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_for_tests(&item.attrs) {
            self.for_tests.insert([self.at.as_slice(), &[item.ident.to_string()]].concat());
            return;
        }
        self.at.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.at.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.note(&[], &item.tree, !matches!(item.vis, syn::Visibility::Inherited));
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            syn::visit::visit_item_fn(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.module.paths.extend(self.absolute(&segments).filter(|_| segments.len() > 1));
        syn::visit::visit_path(self, path);
    }
}

/// Whether an item exists only in test builds.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string().contains("test"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
        circles(files.iter().map(|&(path, text)| (Path::new(path), text)))
    }

    #[test]
    fn stages_that_import_each_other_are_found_through_re_exports() {
        let lib = ("lib.rs", "mod a; mod b; mod c; pub use b::thing;");
        let a = ("a.rs", "use crate::thing;");
        assert_eq!(circles_of(&[lib, a, ("b.rs", "use crate::c::other;"), ("c.rs", "")]), [""; 0]);
        let back = ("c.rs", "fn f() { crate::a::g() }");
        assert_eq!(circles_of(&[lib, a, ("b.rs", "use crate::c::other;"), back]), ["a, b, c"]);
    }

    #[test]
    fn files_of_one_topic_and_tests_may_form_circles() {
        let topic =
            [("t/mod.rs", "mod x; mod y;"), ("t/x.rs", "use super::y::Y;"), ("t/y.rs", "use super::x::X;")];
        assert_eq!(circles_of(&topic), [""; 0]);
        let tests = [("a.rs", "#[cfg(test)] mod tests { use crate::b::f; }"), ("b.rs", "use crate::a::g;")];
        assert_eq!(circles_of(&tests), [""; 0]);
        let folders = [
            ("t/mod.rs", ""),
            ("t/x/mod.rs", "use crate::t::y::Y;"),
            ("t/x/z.rs", ""),
            ("t/y/mod.rs", "mod w;"),
            ("t/y/w.rs", "use crate::t::x::X;"),
        ];
        assert_eq!(circles_of(&folders), ["t/x, t/y"]);
    }
}
