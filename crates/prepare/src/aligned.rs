//! Raising the alignment of accesses.
//!
//! Alignment hints of wasm are not binding, so an access is aligned to one byte unless the frontend knows more. Many
//! machines need the alignment for their best instructions. The low bits of an address are known where it is computed
//! by scaling an index or by adding to an aligned base, also around loops ([`ssa::known_bits`]).

use ssa::known_bits::known_bits;
use ssa::{Addr, DataId, Function, InstData, MemFlags, MemType};

/// Raises the alignment of accesses as far as it is known, up to their width. `base_log2` gives the alignment of a data
/// object.
pub fn raise(func: &mut Function, base_log2: &dyn Fn(DataId) -> u32) {
    if !accesses(func).any(|(_, mem, flags)| 1 << flags.align_log2 < mem.bytes()) {
        return;
    }
    let known = known_bits(func, &func.reverse_postorder());
    for inst in func.insts.values_mut() {
        let (InstData::Load { mem, addr, flags, .. } | InstData::Store { mem, addr, flags, .. }) = inst
        else {
            continue;
        };
        let base = addr.base.map_or(32, base_log2);
        let index = addr.index.map_or(32, |index| known[index].low_zeros);
        let zeros = base.min(index).min(addr.offset.trailing_zeros()).min(mem.bytes().trailing_zeros());
        flags.align_log2 = flags.align_log2.max(zeros as u8);
    }
}

fn accesses(func: &Function) -> impl Iterator<Item = (Addr, MemType, MemFlags)> {
    func.insts.values().filter_map(|inst| match *inst {
        InstData::Load { mem, addr, flags, .. } | InstData::Store { mem, addr, flags, .. } => {
            Some((addr, mem, flags))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The alignments of the accesses of `body`, where objects are aligned to 8.
    fn alignments(body: &str) -> Vec<u8> {
        let text = format!(
            "sig (i32) -> ()\nmemory @m size=0 align=8 min=65536 page_log2=16\nfunc $f (i32) -> () {{\n{body}}}\n"
        );
        let mut module = ssa::parse_module(&text).expect("the test is valid");
        let func = module.functions.values_mut().flatten().next().expect("it has a function");
        raise(func, &|_| 3);
        let order = func.reverse_postorder();
        let insts = order.iter().flat_map(|&block| &func.blocks[block].insts);
        let alignment = |data: &InstData| match data {
            InstData::Load { flags, .. } | InstData::Store { flags, .. } => Some(flags.align_log2),
            _ => None,
        };
        insts.filter_map(|&inst| alignment(&func.insts[inst])).collect()
    }

    #[test]
    fn scaled_indices_are_aligned() {
        let scaled = "b0(v0: i32):\n  v1 = const.i32 2\n  v2 = shl.i32 v0, v1\n";
        let accesses = "  store.u32 v0, [@m + v2 + 4]\n  store.u32 v0, [@m + v2 + 2]\n  store.u16 v0, [v2]\n  \
                        store.u32 v0, [v0]\n  return\n";
        assert_eq!(alignments(&format!("{scaled}{accesses}")), [2, 1, 1, 0]);
    }

    #[test]
    fn induction_variables_keep_the_alignment_of_start_and_step() {
        let body = |start: u32, step: u32| {
            format!(
                "b0(v0: i32):\n  v1 = const.i32 {start}\n  v2 = const.i32 {step}\n  jump b1(v1)\nb1(v3: i32):\n  \
                 store.u32 v0, [@m + v3]\n  v4 = add.i32 v3, v2\n  v5 = icmp.lt_u.i32 v4, v0\n  branch v5, b2, b3\n\
                 b2:\n  jump b1(v4)\nb3:\n  return\n"
            )
        };
        assert_eq!(alignments(&body(1024, 12)), [2]);
        assert_eq!(alignments(&body(1026, 12)), [1]);
        assert_eq!(alignments(&body(1024, 5)), [0]);
    }

    #[test]
    fn bits_that_are_lost_in_a_loop_are_not_known() {
        let body = "b0(v0: i32):\n  v1 = const.i32 1024\n  v2 = const.i32 1\n  jump b1(v1)\nb1(v3: i32):\n  \
                    store.u32 v0, [@m + v3]\n  v4 = shr_u.i32 v3, v2\n  branch v4, b2, b3\nb2:\n  jump b1(v4)\n\
                    b3:\n  return\n";
        assert_eq!(alignments(body), [0]);
    }
}
