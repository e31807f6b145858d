//! Parameters of the shared passes of [`prepare`] for Cortex-M.

use prepare::classes::ClassBytes;
use prepare::rebase::OffsetRange;

/// Sizes for tables that replace decisions: a comparison and a branch are 4 bytes, other instructions 2 or 4. The table
/// is in flash, so code for speed uses one of its own only where it saves much.
pub const CLASSES: ClassBytes = ClassBytes { decision: 4, inst: 3, lookup: 6, fast: 28 };

/// Offsets of loads and stores: 8 bits below zero, 12 bits above.
pub const OFFSETS: OffsetRange = OffsetRange { below: 255, above: 4096 };

/// Ranges of values from which on bit tests are shorter than comparisons, with one target and with two.
pub const FEWEST_RANGES: [usize; 2] = [3, 5];
