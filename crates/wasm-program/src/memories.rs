//! The limits of linear memories.

use crate::error::Error;
use crate::module_info::MemoryInfo;
use crate::options::{Bounds, Options};
use crate::target::MemoryOwner;

/// The limits of linear memory.
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
}

impl MemoryPlan {
    /// The limits of a memory with these options.
    ///
    /// # Errors
    /// A size that the machine or the options don't allow.
    pub fn new(memory: &MemoryInfo, options: &Options, wants_to_grow: bool) -> Result<Self, Error> {
        let page_log2 = memory.page_log2;
        let declared = u32::try_from(memory.min_pages << page_log2)
            .ok()
            .filter(|bytes| *bytes <= u32::MAX - 0xffff)
            .ok_or_else(|| unsupported("a memory of 4 GiB".to_owned()))?;
        let most_pages = u64::from(u32::MAX - 0xffff) >> page_log2;
        let max_pages = memory.max_pages.map_or(most_pages, |max| max.min(most_pages)) as u32;
        match options.target.memory_owner {
            MemoryOwner::Machine => {
                Self::of_machine(memory.min_pages, max_pages, page_log2, options, wants_to_grow)
            }
            MemoryOwner::Linker => Self::of_linker(declared, max_pages, page_log2, options, wants_to_grow),
        }
    }

    /// The declared size, or a larger one that the options give.
    fn of_machine(
        min_pages: u64,
        max_pages: u32,
        page_log2: u32,
        options: &Options,
        wants_to_grow: bool,
    ) -> Result<Self, Error> {
        let wanted = u64::from(options.memory_bytes.unwrap_or(0)).div_ceil(1 << page_log2);
        let min_pages = min_pages.max(wanted);
        if min_pages > u64::from(max_pages) {
            let most = u64::from(max_pages) << page_log2;
            return Err(unsupported(format!("a memory of more than its maximum of {most} bytes")));
        }
        let min_bytes = (min_pages << page_log2) as u32;
        let reserved = options.growth_bytes.map(|bytes| min_pages + u64::from(bytes >> page_log2));
        let max_pages = reserved.map_or(max_pages, |most| u64::from(max_pages).min(most) as u32);
        let grows = wants_to_grow && u64::from(max_pages) > min_pages;
        Ok(Self { min_bytes, max_pages, page_log2, grows })
    }

    /// The declared size, unless the options set another. Under [`Bounds::Mask`] all of it exists from the start.
    fn of_linker(
        declared: u32,
        max_pages: u32,
        page_log2: u32,
        options: &Options,
        wants_to_grow: bool,
    ) -> Result<Self, Error> {
        let bytes = options.memory_bytes.unwrap_or(declared);
        let is_masked = options.bounds == Bounds::Mask;
        if is_masked && !bytes.is_power_of_two() {
            return Err(unsupported(format!(
                "masked addresses in a memory of {bytes} bytes, which is not a power of two"
            )));
        }
        if is_masked || options.static_data {
            return Ok(Self { min_bytes: bytes, max_pages, page_log2, grows: false });
        }
        let min_bytes = declared.min(bytes);
        let max_pages = max_pages.min(bytes >> page_log2);
        let grows = wants_to_grow && max_pages > declared >> page_log2;
        Ok(Self { min_bytes, max_pages, page_log2, grows })
    }
}

fn unsupported(what: String) -> Error {
    Error::Unsupported { function: None, offset: 0, what }
}
