//! Options of the frontend.

use std::collections::BTreeMap;
use std::sync::Arc;

use ssa::Import;

use crate::counts::Counts;
use crate::target::TargetDescription;

/// The optimisation level.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OptLevel {
    /// Translate only.
    O0,
    /// Simplify each function once: fast compilation, and code that is much better than a translation.
    O1,
    /// Fast code.
    O2,
    /// Small code that is still fast.
    Os,
    /// The smallest code.
    Oz,
}

/// Treatment of float operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Floats {
    /// Float arithmetic, comparisons and conversions in reachable code are errors; loads, stores, constants and
    /// reinterpretations move bits.
    Reject,
    /// Float arithmetic, comparisons and conversions trap when they are executed; loads, stores, constants and
    /// reinterpretations move bits.
    Trap,
    /// They become integer code.
    Soft,
    /// They become float instructions of the target.
    Native,
}

/// Detection of accesses outside of linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bounds {
    /// By the machine's memory map. Addresses are computed modulo 2^32, and an access whose result is unused may
    /// be dropped.
    Guard,
    /// By a comparison before every access.
    Strict,
    /// None: addresses are taken modulo the size of memory, which must be a power of two and can't change. Ranges of
    /// bulk operations are compared.
    Mask,
}

/// Where the C stack of the wasm program lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShadowStack {
    /// On the machine stack if the module's use of the stack pointer and of addresses of the stack is that of compilers,
    /// else [`Strict`](Self::Strict).
    Auto,
    /// On the machine stack; an error if the module's use of the stack pointer does not allow it.
    Native,
    /// In linear memory, addressed by a wasm global.
    Strict,
}

/// Treatment of ambiguous constants: those that could be addresses of static data or numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Constants {
    /// An address, with a warning, if it is only passed to imports that get no other constants as that argument, or
    /// stored and in a data segment; else an error.
    Auto,
    /// An address.
    Address,
    /// A number.
    Number,
    /// An error.
    Refuse,
}

/// The locations that instructions carry. Code does not depend on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Locations {
    /// None.
    None,
    /// Positions in the source, if the module has DWARF.
    Lines,
    /// Byte offsets in the module, also of the calls that were inlined.
    Offsets,
}

/// The value of a constant expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConstValue {
    /// `i32`.
    I32(i32),
    /// `i64`.
    I64(i64),
    /// `f32`, by its bits.
    F32(u32),
    /// `f64`, by its bits.
    F64(u64),
    /// `v128`, as a number with the first byte lowest.
    V128(u128),
    /// The null reference.
    Null,
    /// A reference to the function with this wasm index.
    Func(u32),
}

/// All options of the frontend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The machine.
    pub target: TargetDescription,
    /// The optimisation level.
    pub level: OptLevel,
    /// Float operators.
    pub floats: Floats,
    /// Bounds checks of the first memory, if its addresses have 32 bits. Others always have comparisons.
    pub bounds: Bounds,
    /// Bytes available for linear memory: less than the module declares, or more for it to grow into. On PVM, bytes it
    /// has at the start, if the module declares less. `None` is the declared size; on PVM, memory can then grow as far
    /// as the machine allows.
    pub memory_bytes: Option<u32>,
    /// Whether the alignment hints of accesses are true. In wasm they are not binding.
    pub trusts_alignment: bool,
    /// Bytes by which a memory of the machine can grow at most, if what it grows to has to be reserved.
    pub growth_bytes: Option<u32>,
    /// Bytes that each memory other than the first may grow by.
    pub memory_reserve: u32,
    /// Linear memory is the machine's memory: the module's data becomes objects of its own, and constants that are
    /// addresses of it become references.
    pub static_data: bool,
    /// Treatment of ambiguous constants.
    pub constants: Constants,
    /// Bytes of a shadow stack in static data; `None` for the module's own size.
    pub shadow_stack_size: Option<u32>,
    /// The shadow stack.
    pub shadow_stack: ShadowStack,
    /// Maximum size in bytes of a shadow stack that can move to the machine's stack, if there is a limit.
    pub shadow_stack_limit: Option<u32>,
    /// Whether the machine's stack can be in linear memory, where the module has its shadow stack. With
    /// [`Bounds::Strict`] that is the only place where checks allow addresses of the stack.
    pub stack_in_memory: bool,
    /// The locations that instructions carry.
    pub locations: Locations,
    /// Whether traps are calls of [`ssa::TrapCode::REPORT`].
    pub reports_traps: bool,
    /// Whether the result of every stage is checked. Builds with assertions always check.
    pub checks: bool,
    /// Worker threads; 0 means one per processor. The result does not depend on it.
    pub threads: usize,
    /// Export names of possible entries, in groups: of each group the first that is exported is an entry. If none is
    /// exported, all exports are entries.
    pub service_entries: &'static [&'static [&'static str]],
    /// Machine address of the argument bytes of entries. With [`Bounds::Strict`], loads and the sources of copies may
    /// be in them: the module gets [`ssa::Module::host_arguments`], if it has a memory and an export may take a
    /// pointer.
    pub host_arguments: Option<u32>,
    /// With [`Bounds::Strict`], the size of the largest memory whose accesses are marked instead of compared: the target
    /// makes marked accesses fault outside of it. `None` if it can't.
    pub marked_bytes: Option<u64>,
    /// Bytes of the machine's pages.
    pub machine_page: u32,
    /// Values of imported globals, immutable and (initially) mutable ones.
    pub imported_globals: BTreeMap<Import, ConstValue>,
    /// Counts of runs of this module. They decide what is fast and what is small, never what the code does.
    pub counts: Option<Arc<Counts>>,
}

impl Options {
    /// The defaults for a target: `-O2`, no floats, guarded memory.
    pub fn new(target: TargetDescription) -> Self {
        Self {
            target,
            level: OptLevel::O2,
            floats: Floats::Reject,
            bounds: Bounds::Guard,
            memory_bytes: None,
            trusts_alignment: false,
            growth_bytes: None,
            memory_reserve: 0,
            static_data: false,
            constants: Constants::Auto,
            shadow_stack_size: None,
            shadow_stack: ShadowStack::Auto,
            shadow_stack_limit: None,
            stack_in_memory: false,
            locations: Locations::None,
            reports_traps: false,
            checks: false,
            threads: 0,
            service_entries: &[],
            host_arguments: None,
            marked_bytes: None,
            machine_page: 1,
            imported_globals: BTreeMap::new(),
            counts: None,
        }
    }
}
