//! Sharing code between functions, where a program should be small.
//!
//! Functions often end alike: they restore the same registers, or tail-call the same function with the same arguments.
//! Calls of one function are often prepared alike. So equal instructions before equal exits and before calls
//! of the same function are kept once ([`merge`]). This happens when the functions are final, since then code is equal
//! whenever it can be shared: stack slots have their places and values their registers.
//!
//! | file | contents |
//! |---|---|
//! | `tokens.rs` | numbers of equal instructions |
//! | `sites.rs` | places where code could be replaced |
//! | `merge.rs` | choosing what is replaced |
//!
//! [`join`](crate::join) carries out the choice. A jump to shared code costs gas, so this is for size alone.

mod merge;
mod sites;
mod tokens;

use codegen::Fragment;
use pvm_isa::GpVersion;
use ssa::{FuncId, IdVec};

use crate::emit::Fixup;
use crate::join::Sharing;
use sites::{Sites, indirect_jumps};

/// Finds the code that functions can share.
pub fn share(gp: GpVersion, fragments: &IdVec<FuncId, Option<Fragment<Fixup>>>) -> Sharing {
    let mut positions = IdVec::filled(usize::MAX, fragments.len());
    let order = fragments.ids().filter(|&id| fragments[id].is_some());
    order.enumerate().for_each(|(n, id)| positions[id] = n);
    let code: Vec<&Fragment<Fixup>> = fragments.values().flatten().collect();
    let jumps = indirect_jumps(gp);
    let mut sites = Sites::collect(gp, &code, &jumps);
    let mut sharing = merge::merge(&mut sites, code.len());
    for piece in &mut sharing.pieces {
        piece.place(&positions);
    }
    sharing.pieces.sort_by_key(|piece| piece.before);
    sharing
}
