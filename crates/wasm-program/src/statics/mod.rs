//! Static data of modules whose linear memory is the machine's memory.
//!
//! If wasm addresses are machine addresses, a module's data can't stay at the addresses the module gives it: it
//! becomes sections of the object, and constants that are addresses of it become references. So these constants have
//! to be found. The stages:
//! - [`StaticPlan`] has the range of static data: from the initial stack pointer (or the first segment, if that is
//!   lower) to the end of memory. Constants outside of it are machine addresses or numbers, and are not changed.
//! - The translator makes a call of [`crate::names::LITERAL`] of every `i32.const` and every access's offset in that
//!   range.
//! - The stage `classify` of `llvm-frontend` examines the uses of each before LLVM optimises, and decides: an address,
//!   a number, or an error.
//! - Its stage `place` collects all references that remain at the end, cuts static data into objects and gives each the
//!   bytes of its segments.
//!
//! While LLVM's passes run, a constant that is an address stays a call without side effects, so LLVM can't fold it into
//! other numbers. For example, in `load(1040 + 4 * i)` the constant 1040 becomes a reference to the data at 1040.
//!
//! No constant is guessed: one with signs of both kinds is refused, with function and offset.

mod objects;

use crate::error::Error;
use crate::module_info::{ConstOp, ExportKind, MemoryInfo, ModuleInfo, ValueType};
use crate::names;
use crate::options::{Constants, Options};
use crate::relocations::{self, Relocations};
use crate::shadow_stack::{self, StackPlan};

pub use objects::objects;

/// Advice for an error about an ambiguous constant. `deciding` are the options that resolve it without another error
/// in the module.
pub fn advice(deciding: &[Constants]) -> String {
    let option = |constants: &Constants| match constants {
        Constants::Address => "`--constants address`",
        _ => "`--constants number`",
    };
    let options: Vec<&str> = deciding.iter().map(option).collect();
    let decision = match options[..] {
        [] => "no `--constants` decides it".to_owned(),
        [one] => format!("{one} decides it for all such constants"),
        _ => format!("{} decide it for all such constants", options.join(" and ")),
    };
    format!(
        "linking the module with `--emit-relocs` (`-Wl,--emit-relocs` for clang, `-C link-arg=--emit-relocs` for rustc) \
         decides it, {decision}, `--memory symbol` needs no decision"
    )
}

/// The range of static data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaticPlan {
    /// Its first byte.
    pub start: u32,
    /// The first address for which there is evidence of static data. Below it, only constants that are clearly used as
    /// addresses are.
    pub certain: u32,
    /// The address after its last byte, as far as known: from the options or the linker, else the end of memory.
    pub end: u32,
    /// Constants up to here may be addresses. If the options give a smaller end than the module has, this finds
    /// addresses beyond it.
    pub limit: u32,
    /// The initial stack pointer. The stack is below it, so no object extends across it.
    pub stack_top: Option<u32>,
    /// Whether the options or the linker give [`end`](Self::end).
    pub is_end_known: bool,
    /// The stack, if it isn't the machine's.
    pub stack: Option<StaticStack>,
    /// The linker's relocations.
    pub relocations: Option<Relocations>,
}

/// A stack in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StaticStack {
    /// The stack pointer.
    pub global: u32,
    /// Bytes.
    pub size: u32,
}

impl StaticPlan {
    /// Whether a constant may be an address of static data, or its end.
    pub fn contains(&self, value: u32) -> bool {
        self.start <= value && value <= self.limit
    }

    /// Whether it is in static data, or its end.
    pub fn is_data(&self, value: u32) -> bool {
        self.start <= value && value <= self.end
    }
}

/// Linkers put no data below this address. On the machine, vectors are there.
const LOWEST: u32 = 1 << 10;
/// The initial stack pointer is a multiple of this if the stack is before all data, and rarely if it is after data.
const STACK_SIZES: u32 = 1 << 12;

/// Finds the static data of a module; `None` if it has none, or if linear memory isn't the machine's memory.
///
/// # Errors
/// Relocations to an address that has no meaning in an object.
pub fn plan(
    info: &ModuleInfo,
    wasm: &[u8],
    options: &Options,
    fused: Option<&StackPlan>,
) -> Result<Option<StaticPlan>, Error> {
    let memory = info.main_memory().filter(|_| options.static_data);
    let Some(mut plan) = memory.and_then(|memory| range(info, memory, options, fused)) else {
        return Ok(None);
    };
    plan.relocations = relocations::read(info, wasm)?;
    Ok(Some(plan))
}

fn range(
    info: &ModuleInfo,
    memory: &MemoryInfo,
    options: &Options,
    fused: Option<&StackPlan>,
) -> Option<StaticPlan> {
    let declared = u32::try_from(memory.min_bytes()).unwrap_or(u32::MAX);
    let pointer = match fused {
        Some(plan) => Some((plan.global, plan.initial)),
        None => shadow_stack::declared(info, options),
    };
    let certain = certain_start(info, pointer.map(|(_, initial)| initial));
    let stack_is_last =
        certain.is_none_or(|start| segments(info).next().is_none() && start % STACK_SIZES != 0);
    if certain.is_none() && (declared <= LOWEST || options.constants == Constants::Number) {
        return None;
    }
    let certain = certain.unwrap_or(u32::MAX);
    let start = if stack_is_last { certain.min(LOWEST) } else { certain };
    let stack = pointer.filter(|_| fused.is_none()).map(|(global, initial)| StaticStack {
        global,
        size: options.shadow_stack_size.unwrap_or(initial).next_multiple_of(16),
    });
    let of_module = linker_end(info);
    let known = options.memory_bytes.or(of_module);
    let end = known.unwrap_or(declared).max(start);
    let limit = of_module.unwrap_or(declared).max(end);
    let limit = if options.memory_bytes.is_some() { limit } else { end };
    let stack_top = pointer.map(|(_, initial)| initial);
    let is_end_known = known.is_some();
    Some(StaticPlan { start, certain, end, limit, stack_top, is_end_known, stack, relocations: None })
}

/// The start of static data: the top of the stack, or the first segment if that is lower. `None` if the module has
/// neither; it may still have data, as data that is zero at first needs no segment.
fn certain_start(info: &ModuleInfo, stack_top: Option<u32>) -> Option<u32> {
    stack_top.into_iter().chain(segments(info)).min()
}

/// Static data as one object, until `place` cuts it.
pub fn whole(plan: &StaticPlan) -> ssa::DataObject {
    ssa::DataObject::new(names::STATICS, ssa::DataKind::Variable, plan.limit - plan.start, 16, Vec::new())
}

/// The start addresses of segments.
fn segments(info: &ModuleInfo) -> impl Iterator<Item = u32> {
    let segments = info.data.iter().filter(|data| !data.bytes.is_empty());
    segments.filter_map(|data| data.mode.constant_offset())
}

/// The end of static data according to the linker's symbols.
fn linker_end(info: &ModuleInfo) -> Option<u32> {
    let exported = info.exports.iter().filter_map(|export| match export.kind {
        ExportKind::Global(index) => Some((index, export.name.as_str())),
        _ => None,
    });
    let named = info.global_names.iter().map(|(index, name)| (*index, name.as_str()));
    let ends = exported.chain(named).filter(|(_, name)| matches!(*name, "__data_end" | "__heap_base"));
    let value = |(index, _): (u32, &str)| {
        let global = &info.globals[index as usize];
        match global.init[..] {
            [ConstOp::I32Const(value)] if !global.mutable && global.ty == ValueType::I32 => {
                Some(value as u32)
            }
            _ => None,
        }
    };
    ends.filter_map(value).max()
}
