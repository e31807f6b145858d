//! The limits of linear memories.
//!
//! The main memory is where compilers put data and the C stack. It belongs to the machine or to the linker, which also
//! decides how it grows. Every further memory is an object of the program with a fixed place: its bytes at start and
//! the bytes that it may grow by, which are reserved. Neither memory map nor mask guards it, so its accesses are always
//! compared with its size. The same holds for addresses of 64 bits, which a memory map of 32 bits can't guard.

use crate::error::Error;
use crate::module_info::{MAIN_MEMORY, MemoryInfo, ModuleInfo};
use crate::options::{Bounds, Options};
use crate::target::MemoryOwner;

/// Bytes that a memory of the machine grows to at most when accesses are checked. So far above its start there is
/// address space that is never mapped, which checks need.
const CHECKED_MEMORY: u32 = 0xe000_0000;

/// Maximum size of a memory: addresses have 32 bits, and the last page is left out.
const MOST_BYTES: u64 = (u32::MAX - 0xffff) as u64;

/// The limits of a linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryPlan {
    /// Size at start in bytes.
    pub min_bytes: u32,
    /// Largest size in pages.
    pub max_pages: u32,
    /// log2 of the page size.
    pub page_log2: u32,
    /// Whether its size is a variable.
    pub grows: bool,
    /// Whether its addresses are `i64`.
    pub is_64: bool,
    /// Whether threads may share it.
    pub is_shared: bool,
    /// The detection of accesses outside of it.
    pub bounds: Bounds,
    /// Whether accesses are marked ([`ssa::CheckedAccess`]) instead of compared with its size.
    pub is_marked: bool,
}

/// Refuses modules whose memories the options don't allow.
///
/// # Errors
/// [`Error::Unsupported`] for several memories, or one with 64-bit addresses, if the machine's memory is the module's.
pub fn check(info: &ModuleInfo, options: &Options) -> Result<(), Error> {
    if !options.static_data {
        return Ok(());
    }
    if info.memories.len() > 1 {
        return Err(unsupported(
            "several memories in native memory; `--memory symbol` allows them".to_owned(),
        ));
    }
    if info.main_memory().is_some_and(|memory| memory.is_64) {
        let what = "64-bit addresses in native memory; `--memory symbol` allows them";
        return Err(unsupported(what.to_owned()));
    }
    Ok(())
}

impl MemoryPlan {
    /// The limits of a memory with these options.
    ///
    /// # Errors
    /// A size that the machine or the options don't allow.
    pub fn new(
        index: u32,
        memory: &MemoryInfo,
        options: &Options,
        wants_to_grow: bool,
    ) -> Result<Self, Error> {
        let declared = memory.min_bytes();
        if declared > MOST_BYTES {
            return Err(too_large(index, declared));
        }
        let most_pages = MOST_BYTES >> memory.page_log2;
        let max_pages = memory.max_pages.map_or(most_pages, |max| max.min(most_pages)) as u32;
        let limits = match options.target.memory_owner {
            _ if index != MAIN_MEMORY => {
                Limits::reserved(declared as u32, max_pages, memory.page_log2, options)
            }
            MemoryOwner::Machine => {
                Limits::of_machine(memory.min_pages, max_pages, memory.page_log2, options)?
            }
            MemoryOwner::Linker => Limits::of_linker(declared as u32, max_pages, memory.page_log2, options)?,
        };
        let is_checked = index != MAIN_MEMORY || memory.is_64 && options.bounds == Bounds::Guard;
        let plan = Self {
            min_bytes: limits.min_bytes,
            max_pages: limits.max_pages,
            page_log2: memory.page_log2,
            grows: wants_to_grow && limits.can_grow,
            is_64: memory.is_64,
            is_shared: memory.is_shared,
            bounds: if is_checked { Bounds::Strict } else { options.bounds },
            is_marked: false,
        };
        Ok(Self { is_marked: index == MAIN_MEMORY && plan.can_be_marked(options), ..plan })
    }

    /// Whether the machine's memory map can catch accesses to it: it ends at a page boundary and is not too large.
    fn can_be_marked(&self, options: &Options) -> bool {
        let is_paged = |bytes: u64| bytes.is_multiple_of(options.machine_page.into());
        let most =
            if self.grows { u64::from(self.max_pages) << self.page_log2 } else { self.min_bytes.into() };
        self.bounds == Bounds::Strict
            && !self.is_64
            && options.marked_bytes.is_some_and(|bytes| most <= bytes)
            && is_paged(self.min_bytes.into())
            && (!self.grows || is_paged(1 << self.page_log2))
    }

    /// Bytes that are reserved for a memory with a fixed place.
    pub fn reserved_bytes(&self) -> u32 {
        if self.grows { self.max_pages << self.page_log2 } else { self.min_bytes }
    }
}

/// Sizes that the machine and the options allow.
struct Limits {
    min_bytes: u32,
    max_pages: u32,
    can_grow: bool,
}

impl Limits {
    /// The declared size, and as much more as the options reserve.
    fn reserved(declared: u32, max_pages: u32, page_log2: u32, options: &Options) -> Self {
        let most = u64::from(declared) + u64::from(options.memory_reserve);
        let max_pages = u64::from(max_pages).min(most.min(MOST_BYTES) >> page_log2) as u32;
        Self { min_bytes: declared, max_pages, can_grow: max_pages > declared >> page_log2 }
    }

    /// The declared size, or a larger one that the options give.
    fn of_machine(min_pages: u64, max_pages: u32, page_log2: u32, options: &Options) -> Result<Self, Error> {
        let wanted = u64::from(options.memory_bytes.unwrap_or(0)).div_ceil(1 << page_log2);
        let min_pages = min_pages.max(wanted);
        if min_pages > u64::from(max_pages) {
            let most = u64::from(max_pages) << page_log2;
            return Err(unsupported(format!("a memory of more than its maximum of {most} bytes")));
        }
        let min_bytes = (min_pages << page_log2) as u32;
        let reserved = options.growth_bytes.map(|bytes| min_pages + u64::from(bytes >> page_log2));
        let max_pages = reserved.map_or(max_pages, |most| u64::from(max_pages).min(most) as u32);
        let checked_pages = (CHECKED_MEMORY >> page_log2).max(min_pages as u32);
        let max_pages =
            if options.bounds == Bounds::Strict { max_pages.min(checked_pages) } else { max_pages };
        Ok(Self { min_bytes, max_pages, can_grow: u64::from(max_pages) > min_pages })
    }

    /// The declared size, unless the options set another. Under [`Bounds::Mask`] all of it exists from the start.
    fn of_linker(declared: u32, max_pages: u32, page_log2: u32, options: &Options) -> Result<Self, Error> {
        let bytes = options.memory_bytes.unwrap_or(declared);
        let is_masked = options.bounds == Bounds::Mask;
        if is_masked && !bytes.is_power_of_two() {
            return Err(unsupported(format!(
                "masked addresses in a memory of {bytes} bytes, which is not a power of two"
            )));
        }
        if is_masked || options.static_data {
            return Ok(Self { min_bytes: bytes, max_pages, can_grow: false });
        }
        let min_bytes = declared.min(bytes);
        let max_pages = max_pages.min(bytes >> page_log2);
        Ok(Self { min_bytes, max_pages, can_grow: max_pages > declared >> page_log2 })
    }
}

fn too_large(index: u32, bytes: u64) -> Error {
    unsupported(match (index, bytes >> 30) {
        (MAIN_MEMORY, 4) if bytes == 1 << 32 => "a memory of 4 GiB".to_owned(),
        (MAIN_MEMORY, gib) => format!("a memory of {gib} GiB"),
        (_, gib) => format!("a memory (number {index}) of {gib} GiB"),
    })
}

fn unsupported(what: String) -> Error {
    Error::Unsupported { function: None, offset: 0, what }
}
