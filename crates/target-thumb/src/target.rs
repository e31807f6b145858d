//! Cortex-M as a [`codegen::Target`]: the list of passes over allocated functions.

use codegen::{Function, PReg, Pass, Target};

use crate::frame::{self, early};
use crate::isa::Thumb;
use crate::peephole::{
    self, Pool, accesses, booleans, copies, differences, errata, flags, heads, islands, its, narrow, rename,
    tables,
};

type Func = Function<Thumb, PReg>;

const fn pass(name: &'static str, run: fn(&Thumb, &mut Func, &mut Option<Pool>)) -> Pass<Thumb> {
    Pass { name, run }
}

impl Target for Thumb {
    /// The literal pool, from the expansion of instructions until it is placed.
    type Scratch = Option<Pool>;

    const OPTIMIZE: &'static [Pass<Self>] = &[
        pass("hoist-heads", |target, func, _| heads::hoist(target, func)),
        pass("sink-copies", |_, func, _| early::sink_copies(func)),
        pass("empty-ways", |target, func, _| heads::empty_ways(target, func)),
        pass("rename-saved", |target, func, _| rename::rename(target, func)),
    ];

    fn frame(&self, func: &mut Func) {
        frame::lay_out(self, func);
    }

    const PEEPHOLE: &'static [Pass<Self>] = &[
        pass("expand", |target, func, pool| *pool = Some(peephole::expand(target, func))),
        pass("share-differences", |_, func, _| differences::share(func)),
        pass("forward-copies", |target, func, _| copies::forward(target, func)),
        pass("reuse-flags", |_, func, _| flags::reuse(func)),
        pass("share-near-flags", |_, func, _| flags::share_in_blocks(func)),
        pass("shift-tests", |_, func, _| flags::shift_tests(func)),
        pass("share-flags", |_, func, _| flags::share(func)),
        pass("booleans", |target, func, _| {
            if target.cpu.has_main() {
                booleans::compute(func);
            }
        }),
        pass("join-its", |_, func, _| its::join(func)),
        pass("move-on", |target, func, _| {
            if target.cpu.has_main() {
                accesses::move_on(func);
            }
        }),
        pass("pair-accesses", |target, func, _| {
            if target.cpu.has_main() {
                accesses::pair(func);
            }
        }),
        pass("errata", |target, func, _| {
            if target.cpu.restarts_dual_loads() {
                errata::split_loads(func);
            }
        }),
        pass("share-literals", |target, func, pool| {
            if let Some(pool) = pool.as_mut().filter(|_| target.cpu.has_main()) {
                pool.share(func);
            }
        }),
        pass("narrow", |_, func, _| narrow::narrow(func)),
        pass("islands", |_, func, _| islands::place(func)),
        pass("tables", |target, func, _| tables::choose(target, func)),
        pass("pool", |target, func, pool| peephole::place_pool(target, func, pool.take())),
    ];
}
