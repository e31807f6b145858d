//! Types of imports and of the definitions that replace them, compared by the rules of WebAssembly's linking.

use wasmparser::{FuncType, MemoryType, TableType};

use super::classes::{is_same_func, is_same_reference, is_same_value};
use super::module::EntryType;

/// A type, and the classes of the types of its module.
pub type Typed<'a, 'm> = (&'a EntryType<'m>, &'a [u32]);

/// Whether an import of type `wanted` can be given a definition of type `found`.
pub fn matches((wanted, classes): Typed<'_, '_>, (found, found_classes): Typed<'_, '_>) -> bool {
    match (wanted, found) {
        (EntryType::Table(wanted), EntryType::Table(found)) => {
            is_same_table((wanted, classes), (found, found_classes))
                && fits((wanted.initial, wanted.maximum), (found.initial, found.maximum))
        }
        (EntryType::Memory(wanted), EntryType::Memory(found)) => {
            is_same_memory(wanted, found)
                && fits((wanted.initial, wanted.maximum), (found.initial, found.maximum))
        }
        (EntryType::Func(Some(wanted)), EntryType::Func(Some(found)))
        | (EntryType::Tag(Some(wanted)), EntryType::Tag(Some(found))) => {
            is_same_func((wanted, classes), (found, found_classes))
        }
        (EntryType::Global(wanted), EntryType::Global(found)) => {
            (wanted.mutable, wanted.shared) == (found.mutable, found.shared)
                && is_same_value((wanted.content_type, classes), (found.content_type, found_classes))
        }
        _ => false,
    }
}

/// The type of an import that replaces two imports of one name; `None` if no definition has both types.
pub fn both<'m>(
    (one, classes): Typed<'_, 'm>,
    (other, other_classes): Typed<'_, 'm>,
) -> Option<EntryType<'m>> {
    let limits = |one: (u64, Option<u64>), other: (u64, Option<u64>)| {
        let initial = one.0.max(other.0);
        let maximum = one.1.into_iter().chain(other.1).min();
        maximum.is_none_or(|maximum| initial <= maximum).then_some((initial, maximum))
    };
    match (*one, *other) {
        (EntryType::Table(one), EntryType::Table(other))
            if is_same_table((&one, classes), (&other, other_classes)) =>
        {
            let (initial, maximum) = limits((one.initial, one.maximum), (other.initial, other.maximum))?;
            Some(EntryType::Table(TableType { initial, maximum, ..one }))
        }
        (EntryType::Memory(one), EntryType::Memory(other)) if is_same_memory(&one, &other) => {
            let (initial, maximum) = limits((one.initial, one.maximum), (other.initial, other.maximum))?;
            Some(EntryType::Memory(MemoryType { initial, maximum, ..one }))
        }
        _ => matches((one, classes), (other, other_classes)).then_some(*one),
    }
}

fn is_same_table((one, classes): (&TableType, &[u32]), (other, other_classes): (&TableType, &[u32])) -> bool {
    (one.table64, one.shared) == (other.table64, other.shared)
        && is_same_reference((one.element_type, classes), (other.element_type, other_classes))
}

fn is_same_memory(one: &MemoryType, other: &MemoryType) -> bool {
    (one.memory64, one.shared, one.page_size_log2) == (other.memory64, other.shared, other.page_size_log2)
}

fn fits(wanted: (u64, Option<u64>), found: (u64, Option<u64>)) -> bool {
    wanted.0 <= found.0 && wanted.1.is_none_or(|most| found.1.is_some_and(|maximum| maximum <= most))
}

/// A type in words.
pub fn describe(ty: &EntryType<'_>) -> String {
    let limits = |initial: u64, maximum: Option<u64>| {
        maximum.map_or_else(|| initial.to_string(), |maximum| format!("{initial} to {maximum}"))
    };
    match ty {
        EntryType::Func(None) | EntryType::Tag(None) => "no function type".to_owned(),
        EntryType::Func(Some(ty)) => describe_func(ty),
        EntryType::Tag(Some(ty)) => format!("tag {}", describe_func(ty)),
        EntryType::Table(ty) => {
            format!("table of {} {}", limits(ty.initial, ty.maximum), ty.element_type)
        }
        EntryType::Memory(ty) => format!("memory of {} pages", limits(ty.initial, ty.maximum)),
        EntryType::Global(ty) if ty.mutable => format!("global (mut {})", ty.content_type),
        EntryType::Global(ty) => format!("global {}", ty.content_type),
    }
}

fn describe_func(ty: &FuncType) -> String {
    let list = |types: &[wasmparser::ValType]| {
        let names: Vec<String> = types.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    format!("({}) -> ({})", list(ty.params()), list(ty.results()))
}
