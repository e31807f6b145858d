//! Types of all modules that are linked, numbered so that equal ones have one number, their *class*.
//!
//! A type may refer to others by their index, which means something else in each module. Types that refer to each other are
//! declared in a group, and two groups are equal as a whole. So a group is described by a text, in which a reference is a
//! position in the group, or the class of a type before it.

use std::collections::BTreeMap;

use wasmparser::{
    CompositeInnerType, FuncType, HeapType, PackedIndex, RefType, SubType, UnpackedIndex, ValType,
};

use super::AdapterError;
use super::module::LinkedModule;

/// Gives every module the classes of its types.
pub fn classify(modules: &mut [LinkedModule<'_>]) -> Result<(), AdapterError> {
    let mut known = BTreeMap::new();
    let mut next = 0;
    for module in modules {
        let mut classes: Vec<u32> = Vec::new();
        for group in module.type_section.clone().into_iter().flatten() {
            let group = group.map_err(|error| AdapterError::malformed(&module.name, &error))?;
            let scope = Scope { start: classes.len() as u32, classes: &classes };
            let types: Vec<String> = group.types().map(|ty| scope.of_type(ty)).collect();
            let first = *known.entry(types.join(", ")).or_insert(next);
            next = next.max(first + types.len() as u32);
            classes.extend(first..first + types.len() as u32);
        }
        module.classes = classes;
    }
    Ok(())
}

/// The types before a group, and the index of its first one.
struct Scope<'a> {
    start: u32,
    classes: &'a [u32],
}

impl Scope<'_> {
    fn of_type(&self, ty: &SubType) -> String {
        let supers: Vec<String> = ty.supertype_idxs.iter().map(|&index| self.of_packed(index)).collect();
        let inner = match &ty.composite_type.inner {
            CompositeInnerType::Func(func) => self.of_func(func),
            other => format!("{other:?}"),
        };
        format!("{} {} {inner}", ty.is_final, supers.join(" "))
    }

    fn of_func(&self, func: &FuncType) -> String {
        let all = |types: &[ValType]| types.iter().map(|&ty| self.of_value(ty)).collect::<Vec<_>>().join(" ");
        format!("({}) -> ({})", all(func.params()), all(func.results()))
    }

    fn of_value(&self, ty: ValType) -> String {
        match ty {
            ValType::Ref(ty) => self.of_reference(ty),
            other => other.to_string(),
        }
    }

    fn of_reference(&self, ty: RefType) -> String {
        let heap = match ty.heap_type() {
            HeapType::Concrete(index) => self.of_index(index),
            HeapType::Exact(index) => format!("exact {}", self.of_index(index)),
            heap @ HeapType::Abstract { .. } => format!("{heap:?}"),
        };
        format!("(ref {} {heap})", ty.is_nullable())
    }

    fn of_packed(&self, index: PackedIndex) -> String {
        self.of_index(index.unpack())
    }

    fn of_index(&self, index: UnpackedIndex) -> String {
        match index {
            UnpackedIndex::Module(index) if index >= self.start => format!("group {}", index - self.start),
            UnpackedIndex::Module(index) => format!("class {:?}", self.classes.get(index as usize)),
            other => format!("{other:?}"),
        }
    }
}

/// Whether two function types are equal, each of a module with these classes.
pub fn is_same_func(one: (&FuncType, &[u32]), other: (&FuncType, &[u32])) -> bool {
    let all = |a: &[ValType], b: &[ValType]| {
        a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| is_same_value((a, one.1), (b, other.1)))
    };
    all(one.0.params(), other.0.params()) && all(one.0.results(), other.0.results())
}

/// The same for types of values.
pub fn is_same_value((one, classes): (ValType, &[u32]), (other, other_classes): (ValType, &[u32])) -> bool {
    match (one, other) {
        (ValType::Ref(one), ValType::Ref(other)) => is_same_reference((one, classes), (other, other_classes)),
        _ => one == other,
    }
}

/// The same for types of references.
pub fn is_same_reference(
    (one, classes): (RefType, &[u32]),
    (other, other_classes): (RefType, &[u32]),
) -> bool {
    let class = |index: UnpackedIndex, classes: &[u32]| match index {
        UnpackedIndex::Module(index) => classes.get(index as usize).copied(),
        _ => None,
    };
    let is_same = match (one.heap_type(), other.heap_type()) {
        (HeapType::Concrete(a), HeapType::Concrete(b)) | (HeapType::Exact(a), HeapType::Exact(b)) => {
            class(a, classes).is_some_and(|known| class(b, other_classes) == Some(known))
        }
        (a, b) => a == b,
    };
    is_same && one.is_nullable() == other.is_nullable()
}
