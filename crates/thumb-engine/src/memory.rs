//! Memory: ranges of addresses with bytes. Every other address faults.

use crate::fault::Fault;

/// A range of addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Region {
    start: u32,
    bytes: Vec<u8>,
    is_writable: bool,
}

/// The memory of a machine, little endian. Ranges don't overlap.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    regions: Vec<Region>,
}

impl Memory {
    /// Adds a range.
    ///
    /// # Panics
    /// If it overlaps another one, or goes beyond the last address.
    pub fn map(&mut self, start: u32, bytes: Vec<u8>, is_writable: bool) {
        let end = u64::from(start) + bytes.len() as u64;
        assert!(end <= 1 << 32, "a range of memory ends at {end:#x}");
        let is_apart = |region: &Region| {
            end <= u64::from(region.start)
                || u64::from(region.start) + region.bytes.len() as u64 <= u64::from(start)
        };
        assert!(self.regions.iter().all(is_apart), "ranges of memory overlap at {start:#x}");
        self.regions.push(Region { start, bytes, is_writable });
    }

    /// The bytes at an address; `None` if one of them is not mapped.
    pub fn read(&self, address: u32, len: u32) -> Option<&[u8]> {
        self.regions.iter().find_map(|region| {
            let at = address.wrapping_sub(region.start) as usize;
            region.bytes.get(at..at.checked_add(len as usize)?)
        })
    }

    /// Replaces bytes, also read-only ones, as a debugger does; `None` if one of them is not mapped.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Option<()> {
        self.bytes_mut(address, bytes.len()).map(|(place, _)| place.copy_from_slice(bytes))
    }

    fn bytes_mut(&mut self, address: u32, len: usize) -> Option<(&mut [u8], bool)> {
        self.regions.iter_mut().find_map(|region| {
            let at = address.wrapping_sub(region.start) as usize;
            let bytes = region.bytes.get_mut(at..at.checked_add(len)?)?;
            Some((bytes, region.is_writable))
        })
    }

    /// A load of `N` bytes.
    #[inline]
    pub(crate) fn load<const N: usize>(&self, address: u32) -> Result<[u8; N], Fault> {
        for region in &self.regions {
            let at = address.wrapping_sub(region.start) as usize;
            if let Some(bytes) = region.bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()) {
                return Ok(*bytes);
            }
        }
        Err(Fault::Unmapped { address })
    }

    /// A store of `N` bytes.
    #[inline]
    pub(crate) fn store<const N: usize>(&mut self, address: u32, bytes: [u8; N]) -> Result<(), Fault> {
        match self.bytes_mut(address, N) {
            Some((place, true)) => {
                place.copy_from_slice(&bytes);
                Ok(())
            }
            Some((_, false)) => Err(Fault::ReadOnly { address }),
            None => Err(Fault::Unmapped { address }),
        }
    }

    /// A load of a word.
    #[inline]
    pub(crate) fn word(&self, address: u32) -> Result<u32, Fault> {
        self.load(address).map(u32::from_le_bytes)
    }

    /// A store of a word.
    #[inline]
    pub(crate) fn set_word(&mut self, address: u32, word: u32) -> Result<(), Fault> {
        self.store(address, word.to_le_bytes())
    }
}
