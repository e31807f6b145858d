//! The memory plan: addresses of all data objects in the PVM's address space.
//!
//! A program has a read-only area and a read-write area, each stored as one run of bytes from its start
//! ([`ProgramLayout`]). Zeros after the last stored read-write byte cost nothing; zeros between stored bytes are stored.
//! The plan therefore puts all stored bytes together and all zeros after them.
//!
//! ```text
//! ro_start     read-only area: constants, and tables and variables that are never written
//! rw_start     variables and written tables │ further memories │ linear memory from its first live byte, to the end of the heap
//! ...
//!              end of the machine stack
//! ```
//!
//! - **Linear memory is a [`Window`]**: `pvm = wasm + base` modulo 2^32, for one constant `base`. It is the last object
//!   of the read-write area, so it ends where the heap ends and grows by growing the heap. In guard mode the first page
//!   after it is the first unmapped one, which requires a page-aligned base. With explicit bounds checks and
//!   without clamps an alignment of 16 bytes suffices and saves padding: naturally aligned accesses still never cross a page.
//! - **Further memories have a fixed place** before linear memory, with the bytes they may grow by. Nothing is unmapped
//!   between them, so their accesses are compared with their size in every mode.
//! - **A fused shadow stack needs no linear memory.** If every segment is above the initial stack pointer (the linker
//!   put the stack first), the window begins at the stack pointer and the base may be negative. If data is below it,
//!   the range of the stack also has zero-initialised data of unknown size. It stays mapped, and costs nothing because
//!   it is all zeros after the data.
//! - **Under exact bounds checks the machine's stack is in linear memory** if it replaces a shadow stack: it takes its
//!   place, below the initial stack pointer ([`MemoryPlan::stack_top`]). Nothing else is before it, so a stack that
//!   overflows meets an unmapped page. Variables are at the end of the stack that the container has.
//! - **The best base is 0.** It makes every access shorter, but leaves a hole between the start of the area and the
//!   data. The pass before the plan decides whether code copies the data at the start instead of storing it with the
//!   hole ([`Window::is_identity`]).
//! - **The padding before the window is used**: constants go there if all of them fit.
//! - **Variables can be at the end of the machine stack** instead of before linear memory; the pass
//!   [`variables`](crate::adapt) decides.
//! - **The machine stack** has [`MACHINE_STACK`] bytes for return addresses and spilled values, plus the size of the
//!   shadow stack it replaces, unless the finished code has a provable bound ([`Stacks`](crate::Stacks)). It is not stored.
//!
//! Only objects that code or (on request) exports refer to get an address; asking for another object's address is a
//! bug.

mod images;
mod layout;
mod usage;
mod window;

#[cfg(test)]
mod tests;

use ssa::{DataId, DataKind, IdVec, LinearMemory, Module};

pub use images::Images;
pub use layout::ProgramLayout;
pub use usage::fixed_memories;
pub use window::{Window, linear, linear_memory, replaces_stack};

use usage::{Area, Usage};

/// Bytes of machine stack for values that wasm engines keep outside of linear memory.
pub const MACHINE_STACK: u32 = 1 << 20;
/// Bytes of a machine stack in linear memory that are enough for recursion.
pub const STACK_ROOM: u32 = 1 << 19;
/// Alignment of the variables at the end of the stack.
const STACK_ALIGN: u64 = 16;
/// Alignment of linear memory when explicit checks guard it.
const UNGUARDED_ALIGN: u32 = 16;

/// Memory options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryOptions {
    /// Bytes of machine stack; `None` derives it from the module.
    pub stack_size: Option<u32>,
    /// Whether the first byte after linear memory (rounded up to a page) must be unmapped: guard mode.
    pub guard: bool,
    /// Whether exported globals and tables get an address even if no code refers to them.
    pub keep_exports: bool,
    /// Whether a machine stack that replaces a shadow stack is in linear memory, in its place.
    pub stack_in_memory: bool,
    /// A constant that code gets an address of after planning.
    pub pool: Option<DataId>,
    /// Whether code may copy initial data into place at the start, where that is cheaper than storing it in place.
    pub copies_data: bool,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            stack_size: None,
            guard: true,
            keep_exports: false,
            stack_in_memory: false,
            pool: None,
            copies_data: true,
        }
    }
}

/// Reasons why a module's memory does not fit a program's layout.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MemoryError {
    /// The read-only data is too large.
    #[error("{bytes} bytes of constant data exceed the container's limit of {max} bytes")]
    ReadOnly {
        /// Bytes of data.
        bytes: u64,
        /// The maximum.
        max: u32,
    },
    /// The initial read-write data is too large.
    #[error("{bytes} bytes of initial data exceed the container's limit of {max} bytes")]
    ReadWrite {
        /// Bytes of data.
        bytes: u64,
        /// The maximum.
        max: u32,
    },
    /// The zeros after the read-write data are too many.
    #[error(
        "initial memory of {bytes} bytes exceeds the container's limit of {max_pages} heap pages and {max} bytes; build the \
         module with less memory at the start, or use another --format (polkavm allows the most)"
    )]
    Heap {
        /// Bytes of memory.
        bytes: u64,
        /// Maximum number of zeroed pages.
        max_pages: u32,
        /// Maximum number of stored bytes.
        max: u32,
    },
    /// Constants and variables don't fit below the part of memory in use.
    #[error(
        "wasm addresses can't be the machine's: memory is in use from address {first:#x} on, and addresses below {needed:#x} are for \
         the program's own {bytes} bytes of constants and variables; put the C stack first and make it larger (wasm-ld \
         --stack-first -z stack-size=N), and see with -v whether it moves to the machine's stack"
    )]
    BaseZero {
        /// The first wasm address in use.
        first: u32,
        /// The first address that memory could use.
        needed: u64,
        /// Bytes of constants and variables.
        bytes: u64,
    },
    /// The machine's stack can't be in linear memory.
    #[error(
        "the machine's stack can't be in linear memory: {0}; leave the C stack there with --shadow-stack strict"
    )]
    StackInMemory(&'static str),
    /// The stack is too large.
    #[error(
        "a stack of {bytes} bytes exceeds the container's limit of {max} bytes; set a smaller one with --stack-size"
    )]
    Stack {
        /// Bytes of stack.
        bytes: u64,
        /// The maximum.
        max: u32,
    },
}

/// Addresses of all data objects. See the module documentation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryPlan {
    layout: ProgramLayout,
    addresses: IdVec<DataId, Option<u32>>,
    /// The object that is linear memory, if it has an address.
    memory: Option<DataId>,
    linear_base: u32,
    /// The first wasm address that has memory.
    linear_first: u32,
    ro_len: u32,
    rw_start: u32,
    /// End of all initial read-write memory, zeros included; a multiple of the page size.
    rw_end: u32,
    stack_size: u32,
    /// The address at which the stack begins, if it is in linear memory.
    stack_top: Option<u32>,
    variables_on_stack: u32,
    /// Whether an object is never written.
    is_constant: IdVec<DataId, bool>,
}

/// Refuses a size of linear memory that no plan can have, also if all of the largest stack moves out of it. This is
/// known before a module is translated.
///
/// # Errors
/// [`MemoryError::Heap`].
pub fn check_size(bytes: u64, layout: &ProgramLayout) -> Result<(), MemoryError> {
    let fits = bytes <= heap_limit(layout) + u64::from(layout.max_stack());
    if fits { Ok(()) } else { Err(too_large(layout, bytes)) }
}

impl MemoryPlan {
    /// Plans the memory of a module. `window` is the part of linear memory in use, if the module has one. Code must not
    /// refer to further objects afterwards.
    ///
    /// # Errors
    /// If an area exceeds the limits of the layout.
    pub fn new(
        module: &Module,
        window: Option<Window>,
        options: &MemoryOptions,
        layout: ProgramLayout,
    ) -> Result<Self, MemoryError> {
        Self::with_variables_on_stack(module, window, options, layout, &[])
    }

    /// As [`new`](Self::new), with some variables at the end of the stack, where they are zero at first. The layout must
    /// say where that is.
    ///
    /// # Errors
    /// If an area exceeds the limits of the layout.
    pub fn with_variables_on_stack(
        module: &Module,
        window: Option<Window>,
        options: &MemoryOptions,
        layout: ProgramLayout,
        on_stack: &[DataId],
    ) -> Result<Self, MemoryError> {
        let mut usage = Usage::of(module, options.keep_exports);
        options.pool.into_iter().for_each(|id| usage.used[id] = true);
        let on_stack = usage.take(module, on_stack);
        let placed = window.filter(|window| usage.used[window.memory]);
        let align = if options.guard { layout.page } else { UNGUARDED_ALIGN };
        let base_after = |rw_start: u32, front: u64| {
            placed.map_or(0, |window| window.base(i64::from(rw_start) + front as i64, align))
        };
        let has_stack = |window: &Window| options.stack_in_memory && replaces_stack(module, window.memory);
        let [ro, front] = areas(module, &usage, |front: u64| {
            let window = placed.filter(|window| !has_stack(window))?;
            let start = layout.rw_start(0);
            Some(base_after(start, front) + i64::from(window.first) - i64::from(start))
        });
        let max = layout.max_area;
        let ro_len = limited(ro.len, max).map_err(|bytes| MemoryError::ReadOnly { bytes, max })?;
        let front_len = u32::try_from(front.len).map_err(|_| too_large(&layout, front.len))?;
        let rw_start = match placed.filter(|_| layout.base_zero) {
            Some(window) => rw_start_below(&layout, window.first, ro_len, front_len)?,
            None => layout.rw_start(ro_len),
        };
        let base = base_after(rw_start, front.len);
        let linear = placed.map(|window| (base, linear(module, window.memory)));
        let rw_end = rw_end(&layout, rw_start, front_len, linear)?;

        let memory = placed.map(|window| window.memory);
        let variables_on_stack = on_stack.len.next_multiple_of(STACK_ALIGN) as u32;
        let variables_start = layout.stack_end.map_or(0, |end| end - variables_on_stack);
        let areas = [(&ro, layout.ro_start), (&front, rw_start), (&on_stack, variables_start)];
        let addresses = addresses(module, areas, memory.map(|id| (id, base as u32)));
        let stack_top = stack_top(linear.filter(|_| options.stack_in_memory));
        debug_assert!(stack_top.is_none() || front.len == 0, "an overflow would change it");
        let replaced = window.map_or(0, |window| window.replaced_stack);
        let stack_size = match stack_top {
            Some(_) => variables_on_stack.next_multiple_of(layout.page),
            None => stack_size(&layout, replaced + u64::from(variables_on_stack), options)?,
        };
        let first = placed.map_or(0, |window| window.first);
        Ok(Self {
            layout,
            addresses,
            memory,
            linear_base: base as u32,
            linear_first: stack_top.map_or(first, |top| top.wrapping_sub(base as u32)),
            ro_len,
            rw_start,
            rw_end,
            stack_size,
            stack_top,
            variables_on_stack,
            is_constant: module.data.iter().map(|(id, object)| usage.is_constant(id, object)).collect(),
        })
    }

    /// The address from which the stack grows down, if it is in linear memory. Entries have to set the stack pointer.
    pub fn stack_top(&self) -> Option<u32> {
        self.stack_top
    }

    /// Bytes of a stack that is in linear memory: it may grow down to the start of the area.
    pub fn stack_room(&self) -> Option<u32> {
        self.stack_top.map(|top| top - self.rw_start)
    }

    /// Bytes at the end of the stack that belong to variables.
    pub fn variables_on_stack(&self) -> u32 {
        self.variables_on_stack
    }

    /// The variables and written tables before linear memory; `None` if another memory is there.
    pub fn before_linear_memory(&self, module: &Module) -> Option<Vec<DataId>> {
        let is_there = |id: DataId| self.addresses[id].is_some_and(|address| address >= self.rw_start);
        let objects = module.data.iter().filter(|&(id, _)| Some(id) != self.memory && is_there(id));
        let variables = objects.filter(|&(id, _)| !self.is_constant[id]);
        variables.map(|(id, object)| (object.kind != DataKind::FixedMemory).then_some(id)).collect()
    }

    /// The PVM address of a data object; of linear memory, of its byte 0 (which need not be mapped).
    ///
    /// # Panics
    /// If the object was not referred to when the plan was made.
    pub fn address(&self, data: DataId) -> u32 {
        self.addresses[data].unwrap_or_else(|| {
            panic!("{data} has no address: no code referred to it when memory was planned")
        })
    }

    /// The PVM address of a data object, if it has one.
    pub fn try_address(&self, data: DataId) -> Option<u32> {
        self.addresses.get(data).copied().flatten()
    }

    /// The layout that it follows.
    pub fn layout(&self) -> &ProgramLayout {
        &self.layout
    }

    /// Linear memory, if it has an address.
    pub fn linear_memory(&self) -> Option<DataId> {
        self.memory
    }

    /// The first wasm address with the program's bytes: those below are of a fused stack, or have no memory.
    pub fn linear_first(&self) -> u32 {
        self.linear_first
    }

    /// `base` in `pvm = wasm + base` modulo 2^32; 0 without linear memory.
    pub fn linear_base(&self) -> u32 {
        self.linear_base
    }
}

/// The objects of the read-only area, and those of the read-write area before linear memory. Constants that fit into
/// the padding before linear memory are in the latter. `slack` gives the bytes between the start of the read-write area
/// and linear memory, if there is one and the objects before it have this many bytes.
fn areas(module: &Module, usage: &Usage, slack: impl FnOnce(u64) -> Option<i64>) -> [Area; 2] {
    let variables = usage.place(module, Area::default(), false);
    let both = usage.place_memories(module, usage.place(module, variables.clone(), true));
    let front = usage.place_memories(module, variables);
    match slack(front.len) {
        Some(slack) if both.len as i64 <= slack => [Area::default(), both],
        _ => [usage.place(module, Area::default(), true), front],
    }
}

/// The start of the read-write area if linear memory is at its own addresses, from `first` on.
fn rw_start_below(layout: &ProgramLayout, first: u32, ro: u32, front: u32) -> Result<u32, MemoryError> {
    let lowest = layout.rw_start(ro);
    let start = layout.rw_start_below(first, front).filter(|&start| start >= lowest);
    start.ok_or_else(|| MemoryError::BaseZero {
        first,
        needed: u64::from(lowest) + u64::from(front),
        bytes: u64::from(ro) + u64::from(front),
    })
}

/// The addresses of objects in areas with these starts, and of linear memory.
fn addresses(
    module: &Module,
    areas: [(&Area, u32); 3],
    memory: Option<(DataId, u32)>,
) -> IdVec<DataId, Option<u32>> {
    let mut addresses = IdVec::filled(None, module.data.len());
    for (area, start) in areas {
        area.objects.iter().for_each(|&(id, at)| addresses[id] = Some(start + at));
    }
    memory.into_iter().for_each(|(id, base)| addresses[id] = Some(base));
    addresses
}

/// The address from which a stack in this linear memory grows down, if it replaces a shadow stack there.
fn stack_top(memory: Option<(i64, &LinearMemory)>) -> Option<u32> {
    let (base, memory) = memory?;
    Some((base as u32).wrapping_add(memory.native_stack?) & !(STACK_ALIGN as u32 - 1))
}

fn stack_size(layout: &ProgramLayout, replaced: u64, options: &MemoryOptions) -> Result<u32, MemoryError> {
    let bytes = options.stack_size.map_or(u64::from(layout.machine_stack) + replaced, u64::from);
    let bytes = bytes.max(1).next_multiple_of(u64::from(layout.page));
    let max = layout.max_stack();
    limited(bytes, max).map_err(|bytes| MemoryError::Stack { bytes, max })
}

/// The end of the initial heap in whole pages. `memory` is linear memory with its base.
fn rw_end(
    layout: &ProgramLayout,
    rw_start: u32,
    front: u32,
    memory: Option<(i64, &LinearMemory)>,
) -> Result<u32, MemoryError> {
    let front_end = i64::from(rw_start) + i64::from(front);
    let size = |memory: &LinearMemory| match memory.max_bytes {
        Some(max) if layout.reserves_growth && memory.grows => max,
        _ => memory.min_bytes,
    };
    let end = memory.map_or(front_end, |(base, memory)| front_end.max(base + size(memory) as i64));
    let end = next_multiple_of(end, layout.page);
    let bytes = end - i64::from(rw_start);
    match u32::try_from(end) {
        Ok(fits) if bytes <= heap_limit(layout) as i64 => Ok(fits),
        _ => Err(too_large(layout, bytes as u64)),
    }
}

/// Maximum bytes of the read-write area: stored bytes and zeroed pages. The exact split is known with the images.
fn heap_limit(layout: &ProgramLayout) -> u64 {
    u64::from(layout.max_area) + u64::from(layout.max_heap_pages) * u64::from(layout.page)
}

/// The error for a heap of too many bytes.
fn too_large(layout: &ProgramLayout, bytes: u64) -> MemoryError {
    MemoryError::Heap { bytes, max_pages: layout.max_heap_pages, max: layout.max_area }
}

/// `bytes` as `u32` if it is at most `max`, else itself as the error.
fn limited(bytes: u64, max: u32) -> Result<u32, u64> {
    u32::try_from(bytes).ok().filter(|&fits| fits <= max).ok_or(bytes)
}

/// The smallest multiple of `align` that is at least `value`, which may be negative.
fn next_multiple_of(value: i64, align: u32) -> i64 {
    let align = i64::from(align);
    (value + align - 1).div_euclid(align) * align
}
