//! Exceptions as results.
//!
//! A thrown exception returns from function to function until one catches it. So a function that may throw has more
//! results than its type says: the *parts* of an exception. The first part is the number of the tag, or 0 if nothing was
//! thrown; the others are the values, in slots that suit all tags of the module. An `exnref` has the same parts, with
//! number 0 for null: exceptions have no identity, so they need no memory. Only an exception among the values of another
//! one does, as it may have further ones in it, to any depth: the value in its slot is the place of a record of its parts.
//!
//! All functions that an indirect call of some type may reach have the same results, and so do a function and its
//! callee in a tail call. Imports never throw. Exports keep their type: an entry calls a function that may throw, and
//! traps if it does.
//!
//! Functions without additional results never throw; those with them may. A module without `throw` has none, so nothing
//! of this costs it anything.

mod escapes;

use std::collections::BTreeMap;

use ssa::Type;

use crate::error::Error;
use crate::module_info::{ConstOp, ModuleInfo, ValueType};
use crate::options::Options;
use crate::types::{layout, lower_type};

use escapes::Escapes;

/// The exceptions of a module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExceptionPlan {
    /// By tag: the number that stands for it, from 1. Imports of one name are the same tag.
    pub numbers: Vec<u32>,
    /// The parts of an exception: the number of its tag and the slots of its values.
    pub parts: Vec<Type>,
    /// By function: whether it returns an exception as well.
    pub throwing: Vec<bool>,
    /// By type: whether functions in tables, or with references to them, return an exception as well.
    pub throwing_types: Vec<bool>,
    /// By function: whether there are references to it.
    pub referenced: Vec<bool>,
    /// Whether some operator traps because of an exception or of a null reference.
    pub traps: bool,
    /// Whether tags have references to exceptions among their values, which are thrown as records.
    pub has_records: bool,
    /// Whether the records that a function has made can be freed when it returns: no variable of the module keeps a
    /// reference to an exception.
    pub frees_records: bool,
}

impl ExceptionPlan {
    /// Plans the exceptions of a module.
    ///
    /// # Errors
    /// None for a validated module.
    pub fn new(info: &ModuleInfo, wasm: &[u8], options: &Options) -> Result<Self, Error> {
        let numbers = numbers(info);
        let count = info.functions.len();
        let mut graph = Graph {
            info,
            follows: vec![Vec::new(); count + info.types.len()],
            throwing: vec![false; count + info.types.len()],
            referenced: vec![false; count],
            work: Vec::new(),
        };
        graph.declarations();
        let mut traps = false;
        for function in info.imported_functions()..count {
            let escapes = escapes::of_function(info, wasm, function as u32, &numbers)?;
            graph.function(function, &escapes);
            traps |= escapes.traps;
        }
        graph.solve();
        let throwing_types = graph.throwing.split_off(count);
        let Graph { throwing, referenced, .. } = graph;
        let parts = parts(info, options);
        let has_records = info.tags.iter().any(|tag| info.types[tag.ty as usize].has_exception_params());
        let keeps = info.tables.iter().any(|table| table.ty == ValueType::ExnRef)
            || info.globals.iter().any(|global| global.mutable && global.ty == ValueType::ExnRef);
        let frees_records = has_records && !keeps;
        Ok(Self { numbers, parts, throwing, throwing_types, referenced, traps, has_records, frees_records })
    }

    /// The size of a record in bytes, a multiple of its alignment.
    pub fn record_bytes(&self) -> u32 {
        layout(&self.parts).1
    }

    /// Whether functions of a type, by reference, return an exception as well.
    pub fn is_throwing_type(&self, info: &ModuleInfo, ty: u32) -> bool {
        self.throwing_types[info.type_classes[ty as usize] as usize]
    }

    /// Whether an imported function needs a function of its own that a reference refers to.
    pub fn needs_thunk(&self, info: &ModuleInfo, function: u32) -> bool {
        let declared = &info.functions[function as usize];
        declared.import.is_some()
            && self.referenced[function as usize]
            && self.is_throwing_type(info, declared.ty)
    }

    /// Whether a table is hidden from code outside of the module, which would call its functions without knowing of
    /// exceptions.
    pub fn hides_table(&self, info: &ModuleInfo, table: u32, options: &Options) -> bool {
        options.target.shares_tables
            && info.tables[table as usize].ty == ValueType::FuncRef
            && self.throwing_types.contains(&true)
    }
}

/// A number for each tag.
fn numbers(info: &ModuleInfo) -> Vec<u32> {
    let mut imported = BTreeMap::new();
    let mut next = 0;
    let mut new = || {
        next += 1;
        next
    };
    let number = |tag: &crate::module_info::TagInfo| match &tag.import {
        Some(import) => *imported.entry(import.clone()).or_insert_with(&mut new),
        None => new(),
    };
    info.tags.iter().map(number).collect()
}

/// The parts of an exception: each slot is as wide as the widest value that some tag has there. They differ from those of
/// a vector, which the translator tells by its four parts of 32 bits.
fn parts(info: &ModuleInfo, options: &Options) -> Vec<Type> {
    let mut parts = vec![Type::I32];
    for tag in &info.tags {
        let params = &info.types[tag.ty as usize].params;
        let slots = params.iter().flat_map(|&ty| slot_types(ty, options));
        for (n, &ty) in (1..).zip(slots) {
            let is_wide = matches!(ty, Type::I64 | Type::F64);
            if parts.len() == n {
                parts.push(Type::I32);
            }
            if is_wide {
                parts[n] = Type::I64;
            }
        }
    }
    if parts == [Type::I32; 4] {
        parts[3] = Type::I64;
    }
    parts
}

/// The parts of a value in an exception: for another exception, the place of its record.
fn slot_types(ty: ValueType, options: &Options) -> &'static [Type] {
    if ty == ValueType::ExnRef { &[Type::I32] } else { lower_type(ty, options) }
}

/// Functions, and after them types, with those that throw if one does.
struct Graph<'a> {
    info: &'a ModuleInfo,
    follows: Vec<Vec<usize>>,
    throwing: Vec<bool>,
    referenced: Vec<bool>,
    work: Vec<usize>,
}

impl Graph<'_> {
    fn declarations(&mut self) {
        let info = self.info;
        let items = info.elements.iter().flat_map(|element| &element.items);
        let globals = info.globals.iter().flat_map(|global| &global.init);
        let tables = info.tables.iter().map(|table| &table.init);
        for op in items.chain(globals).chain(tables) {
            if let ConstOp::RefFunc(function) = *op {
                self.reference(function);
            }
        }
    }

    fn reference(&mut self, function: u32) {
        if !std::mem::replace(&mut self.referenced[function as usize], true) {
            let ty = self.of_type(self.info.functions[function as usize].ty);
            self.same(function as usize, ty);
        }
    }

    /// The node of a type.
    fn of_type(&self, ty: u32) -> usize {
        self.info.functions.len() + self.info.type_classes[ty as usize] as usize
    }

    fn is_import(&self, node: usize) -> bool {
        self.info.functions.get(node).is_some_and(|function| function.import.is_some())
    }

    /// Two nodes have the same results. Imports keep theirs.
    fn same(&mut self, one: usize, other: usize) {
        if !self.is_import(one) && !self.is_import(other) {
            self.follows[one].push(other);
            self.follows[other].push(one);
        }
    }

    fn function(&mut self, function: usize, escapes: &Escapes) {
        if escapes.throws {
            self.throws(function);
        }
        for &callee in &escapes.calls {
            self.follows[callee as usize].push(function);
        }
        for &ty in &escapes.indirect_calls {
            let ty = self.of_type(ty);
            self.follows[ty].push(function);
        }
        for &callee in &escapes.tail_calls {
            self.same(function, callee as usize);
        }
        for &ty in &escapes.indirect_tail_calls {
            let ty = self.of_type(ty);
            self.same(function, ty);
        }
        for &reference in &escapes.references {
            self.reference(reference);
        }
    }

    fn throws(&mut self, node: usize) {
        if !std::mem::replace(&mut self.throwing[node], true) {
            self.work.push(node);
        }
    }

    fn solve(&mut self) {
        while let Some(node) = self.work.pop() {
            for follower in std::mem::take(&mut self.follows[node]) {
                self.throws(follower);
            }
        }
    }
}
