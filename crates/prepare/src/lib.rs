//! Passes from SSA to SSA that prepare a module for selection.
//!
//! They are shared by all targets and know none. Facts about a machine, such as sizes of its code, are parameters.
//! Passes of a module come first, then those of a function; each target chooses and orders its own.
//!
//! | pass | problem | result |
//! |---|---|---|
//! | [`stubs`] | the outside does not have a function that is imported | a body that traps or does nothing |
//! | [`boundary`] | C returns several results through memory, the program in registers | wrappers for exports and imports |
//! | [`mod@legalize`] | the machine lacks operations | instructions that it has, and calls of helper functions |
//! | [`aligned`] | accesses are aligned to one byte, as far as wasm says | the alignment that their addresses have |
//! | [`alignment`] | stack objects are aligned to more than the machine's stack | the lower alignment, where no code depends on more |
//! | [`classes`] | decisions over one byte take many branches | tables of bytes |
//! | [`merge`] | neighbouring constants are stored one by one | wider stores |
//! | [`forward_slots`] | values go through stack objects that no other function sees | loads become the stored values |
//! | [`dead_slots`] | inlined functions store to stack objects that are never read | no such stores |
//! | [`sums`] | one address is several values that differ by constants | one of them |
//! | [`anchors`] | arrays in large stack objects are at offsets that short loads and stores don't reach | sums with nearer addresses |
//! | [`cancel`] | the base of linear memory is subtracted from stack addresses and added again | machine addresses |
//! | [`hoist`] | addresses in loops are sums of several values of which one varies | the others are added before the loop |
//! | [`rebase`] | accesses at many offsets each need `memory + offset` in a register | one shared sum with the index |
//! | [`bias`] | every access has the base of linear memory in its displacement | pointers that include the base |
//! | [`widths`] | block parameters occupy two words though the upper is zero | parameters of one word |
//! | [`powers`] | tests for powers of two count bits | arithmetic on the number |
//! | [`ranges`] | tests for a range of bytes mask a sum | tests for a range of words |
//! | [`sink`] | unrolled loops compute the values of their exits in vain | they are computed on the exits |
//! | [`products`] | both halves of a product are separate operations | adjacent ones, for one instruction |
//! | [`tail_calls`] | a call's results are returned unchanged | a tail call |
//! | [`decisions`] | conditions choose numbers that switches decide about | branches on the conditions |
//! | [`branches`] | conditions are joined as numbers; switches test bits | short branches; shifts of masks |
//! | [`switches`] | selection creates no control flow | comparisons and dense tables |

pub mod aligned;
pub mod alignment;
pub mod anchors;
pub mod bias;
pub mod boundary;
pub mod branches;
pub mod cancel;
pub mod classes;
pub mod dead_slots;
pub mod decisions;
pub mod forward_slots;
pub mod hoist;
pub mod legalize;
pub mod merge;
pub mod powers;
pub mod products;
pub mod ranges;
pub mod rebase;
mod rewrite;
pub mod sink;
pub mod stubs;
pub mod sums;
pub mod switches;
pub mod tail_calls;
pub mod widths;
