//! The selection driver: walks SSA backwards and lets the target choose instructions.
//!
//! Blocks are lowered in postorder and their instructions from last to first, so users come before definitions. The
//! target requests the registers of the operands that it needs. If it folds a definition into the user (a comparison
//! into a branch, a constant into an immediate), it makes no request. A pure instruction whose result has not been
//! requested is skipped. Lowering never creates control flow.
//!
//! Values without operands (constants and addresses, [`Remat`]) are shared: one virtual register serves all uses that
//! have the same *home*. The home of a use is a block that dominates it and is executed less often, or the block of the
//! use itself. So constants leave loops but don't live across whole functions. They can be rematerialised instead of
//! spilled. Where code should be small, those that take long instructions are also shared with dominated blocks
//! (`share.rs`).

mod abi;
mod room;
mod share;

use std::collections::BTreeMap;
use std::fmt;

use ssa::{EntityId, IdVec, InstData, SourceLoc, Value};

use crate::mir::{
    Block, BlockData, Control, Function, Insts, Isa, RegClass, StackSlot, Succ, VReg, VRegData,
};

pub use abi::{ArgLoc, CallLayout};
pub use room::{ArgumentRoom, add_adapter};

/// Selection of a target's instructions.
pub trait Select: Isa {
    /// Results of the target's own analysis of an SSA function. Made by [`analyze`](Self::analyze) before selection;
    /// selection may update them.
    type Facts;

    /// Whether the code records bounds of loops, see [`Fragment::bounds`](crate::Fragment::bounds).
    const BOUNDS_LOOPS: bool = false;

    /// The register classes of the machine words of a value: `[class]` or `[low, high]`.
    fn value_classes(&self, ty: ssa::Type) -> &'static [RegClass];

    /// The locations of arguments and results under the standard calling convention.
    fn call_layout(&self, sig: &ssa::Signature) -> CallLayout;

    /// Analyses an SSA function before selection; the result is available as [`Lower::facts`].
    fn analyze(&self, module: &ssa::Module, func: &ssa::Function) -> Self::Facts;

    /// Selects instructions for one SSA instruction that is not a terminator.
    fn lower(&self, cx: &mut Lower<'_, Self>, inst: ssa::Inst) -> Result<(), Unsupported>;

    /// Selects instructions for a terminator and sets the block's control with one of the `Lower::set_*` calls.
    fn lower_terminator(&self, cx: &mut Lower<'_, Self>, inst: ssa::Inst) -> Result<(), Unsupported>;

    /// Selects the instruction at the start of the entry block that defines the function's parameters.
    fn lower_params(&self, cx: &mut Lower<'_, Self>) -> Result<(), Unsupported>;

    /// A limit of addresses that most accesses of the program use, as an `i32`. One register for it in a function is worth
    /// more than for other constants.
    fn address_limit(&self) -> Option<i64> {
        None
    }

    /// Replaces selected instructions that the machine lacks.
    fn legalize(&self, _func: &mut Function<Self, VReg>) {}

    /// The instruction that defines machine word `word` of a rematerialisable value; it reads no register.
    fn materialize(&self, module: &ssa::Module, what: Remat, word: usize, dst: VReg) -> Self::Inst<VReg>;
}

/// A function uses an operation that the target has no code for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsupported {
    /// Name of the function.
    pub function: String,
    /// The operation or feature.
    pub what: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function `{}`: {} is not supported by this target", self.function, self.what)
    }
}

impl std::error::Error for Unsupported {}

/// The virtual registers of one value: one machine word, or two (low first).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ValueRegs {
    regs: [VReg; 2],
    len: u8,
}

impl ValueRegs {
    /// The only register. Panics if there are two.
    pub fn single(self) -> VReg {
        assert_eq!(self.len, 1, "a two-word value where one word is expected");
        self.regs[0]
    }

    /// Both registers, low first. Panics if there is one.
    pub fn pair(self) -> [VReg; 2] {
        assert_eq!(self.len, 2, "a one-word value where two words are expected");
        self.regs
    }

    /// All registers, low first.
    pub fn as_slice(&self) -> &[VReg] {
        &self.regs[..self.len as usize]
    }
}

/// A value that has no operands, so that it can be computed anywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Remat {
    /// An integer (sign-extended) or the bits of a float.
    Const(ssa::Type, i64),
    /// The machine address of a data object plus a constant.
    Data(ssa::DataId, i32),
    /// The wasm address of a stack object.
    Frame(ssa::FrameSlot),
    /// A function reference.
    Func(ssa::FuncId),
}

impl Remat {
    /// The value of an instruction, if it has no operands.
    pub const fn of(data: &InstData) -> Option<Self> {
        match *data {
            InstData::Const { ty, bits } => Some(Self::Const(ty, bits)),
            InstData::DataAddr { data, offset } => Some(Self::Data(data, offset)),
            InstData::FrameAddr { slot } => Some(Self::Frame(slot)),
            InstData::FuncRef { func } => Some(Self::Func(func)),
            _ => None,
        }
    }

    /// Its SSA type.
    pub const fn ty(self) -> ssa::Type {
        match self {
            Self::Const(ty, _) => ty,
            Self::Data(..) | Self::Frame(_) => ssa::Type::I32,
            Self::Func(_) => ssa::Type::I64,
        }
    }
}

/// Lowers a whole function. Its blocks are in reverse postorder.
pub fn lower<T: Select>(
    target: &T,
    module: &ssa::Module,
    func: &ssa::Function,
) -> Result<Function<T, VReg>, Unsupported> {
    let rpo = func.reverse_postorder();
    let mut cx = Lower::new(target, module, func, &rpo);
    for &block in rpo.iter().rev() {
        cx.lower_block(block)?;
    }
    let mut out = cx.finish(&rpo);
    share::share(func, &mut out);
    Ok(out)
}

/// A shared operand-free value of one block: its registers and the earliest position that needs it.
#[derive(Clone, Copy, Debug)]
struct Shared {
    regs: ValueRegs,
    /// Length of the block's reversed instruction list when the earliest user has been appended.
    before: usize,
}

/// The context of lowering one function: queries about it, and the instructions selected so far.
pub struct Lower<'a, T: Select> {
    /// The target.
    pub target: &'a T,
    /// The program.
    pub module: &'a ssa::Module,
    /// The function.
    pub func: &'a ssa::Function,
    /// The results of [`Select::analyze`].
    pub facts: T::Facts,
    out: Function<T, VReg>,
    done: IdVec<ssa::Block, Option<BlockData<T, VReg>>>,
    regs: IdVec<Value, Option<ValueRegs>>,
    use_counts: IdVec<Value, u32>,
    homes: IdVec<ssa::Block, ssa::Block>,
    /// Bounds of loops by their headers, if the target records them.
    bounds: IdVec<ssa::Block, Option<u32>>,
    /// The [limit of addresses](Select::address_limit) and its home, if several blocks use it.
    limit: Option<(i64, ssa::Block)>,
    shared: IdVec<ssa::Block, BTreeMap<Remat, Shared>>,
    /// Shared values of the current block that the instruction being lowered uses.
    touched: Vec<Remat>,
    block: ssa::Block,
    /// Instructions of the current block, last first.
    reversed: Insts<T::Inst<VReg>>,
    /// Instructions of the SSA instruction being lowered, in order.
    current: Vec<T::Inst<VReg>>,
    control: Option<Control<T, VReg>>,
}

impl<'a, T: Select> Lower<'a, T> {
    fn new(target: &'a T, module: &'a ssa::Module, func: &'a ssa::Function, rpo: &[ssa::Block]) -> Self {
        let mut done = IdVec::new();
        func.blocks.ids().for_each(|_| {
            done.push(None);
        });
        Self {
            target,
            module,
            func,
            facts: target.analyze(module, func),
            out: Function {
                frame_slots: func.frame_slots.clone(),
                variables: func.source.frame,
                optimize_for_size: func.optimize_for_size,
                ..Function::new(func.name.clone(), IdVec::new())
            },
            done,
            regs: IdVec::filled(None, func.values.len()),
            use_counts: func.use_counts(),
            homes: constant_homes(func, rpo),
            bounds: if T::BOUNDS_LOOPS {
                ssa::loop_bounds(func)
            } else {
                IdVec::filled(None, func.blocks.len())
            },
            limit: target.address_limit().and_then(|limit| Some((limit, limit_home(limit, func, rpo)?))),
            shared: IdVec::filled(BTreeMap::new(), func.blocks.len()),
            touched: Vec::new(),
            block: func.entry(),
            reversed: Insts::new(),
            current: Vec::new(),
            control: None,
        }
    }

    // ---- Queries ----

    /// The instruction that defines `value`, if it is pure and may be folded into a user.
    pub fn pure_def(&self, value: Value) -> Option<&'a InstData> {
        let data = &self.func.insts[self.func.def_inst(value)?];
        data.is_pure().then_some(data)
    }

    /// The instruction that defines `value`, pure or not. It gives facts about the value and must not be folded.
    pub fn def(&self, value: Value) -> Option<&'a InstData> {
        self.func.def_inst(value).map(|inst| &self.func.insts[inst])
    }

    /// The value of a constant; `None` if `value` is no constant.
    pub fn constant(&self, value: Value) -> Option<i64> {
        self.func.as_const(value)
    }

    /// Whether `value` has exactly one use in the function, so that folding it away saves its computation.
    pub fn has_one_use(&self, value: Value) -> bool {
        self.use_counts[value] == 1
    }

    /// Type of a value.
    pub fn ty(&self, value: Value) -> ssa::Type {
        self.func.values[value].ty
    }

    /// The only result of an instruction.
    pub fn result(&self, inst: ssa::Inst) -> Value {
        self.func.result(inst)
    }

    /// Estimated executions of the current block per call of the function.
    pub fn freq(&self) -> f32 {
        self.func.blocks[self.block].freq
    }

    /// Whether the function should be small rather than fast.
    pub fn for_size(&self) -> bool {
        self.func.optimize_for_size
    }

    // ---- Registers ----

    /// The register of a one-word operand; marks the value as needed.
    pub fn reg(&mut self, value: Value) -> VReg {
        self.regs(value).single()
    }

    /// The registers of an operand; marks the value as needed.
    pub fn regs(&mut self, value: Value) -> ValueRegs {
        match self.func.def_inst(value).and_then(|inst| Remat::of(&self.func.insts[inst])) {
            Some(what) => self.remat(what),
            None => self.value_regs(value),
        }
    }

    /// The registers of a value without operands, such as a mask. The SSA need not contain it.
    pub fn remat(&mut self, what: Remat) -> ValueRegs {
        let home = match (what, self.limit) {
            (Remat::Const(ssa::Type::I32, bits), Some((limit, home))) if bits == limit => home,
            _ => self.homes[self.block],
        };
        if home == self.block {
            self.touched.push(what);
        }
        if let Some(shared) = self.shared[home].get(&what) {
            return shared.regs;
        }
        let regs = self.new_regs(what.ty(), true);
        self.shared[home].insert(what, Shared { regs, before: 0 });
        regs
    }

    /// The register of an integer constant of one word.
    pub fn constant_reg(&mut self, ty: ssa::Type, bits: i64) -> VReg {
        self.remat(Remat::Const(ty, bits)).single()
    }

    /// The registers that a result must be written to.
    pub fn def_regs(&mut self, value: Value) -> ValueRegs {
        self.value_regs(value)
    }

    /// The register that a one-word result must be written to.
    pub fn def_reg(&mut self, value: Value) -> VReg {
        self.value_regs(value).single()
    }

    /// Whether the registers of this result have been requested.
    pub fn is_needed(&self, value: Value) -> bool {
        self.regs[value].is_some()
    }

    /// A new virtual register for an intermediate result.
    pub fn temp(&mut self, class: RegClass) -> VReg {
        self.out.vregs.push(VRegData { class, rematerializable: false })
    }

    fn value_regs(&mut self, value: Value) -> ValueRegs {
        if let Some(regs) = self.regs[value] {
            return regs;
        }
        let regs = self.new_regs(self.func.values[value].ty, false);
        self.regs[value] = Some(regs);
        regs
    }

    fn new_regs(&mut self, ty: ssa::Type, rematerializable: bool) -> ValueRegs {
        let classes = self.target.value_classes(ty);
        let mut fresh = |class| self.out.vregs.push(VRegData { class, rematerializable });
        match *classes {
            [class] => {
                let reg = fresh(class);
                ValueRegs { regs: [reg, reg], len: 1 }
            }
            [low, high] => ValueRegs { regs: [fresh(low), fresh(high)], len: 2 },
            _ => panic!("a value takes one or two machine words"),
        }
    }

    // ---- Emission ----

    /// Appends one instruction; those of one SSA instruction keep their order.
    pub fn emit(&mut self, inst: T::Inst<VReg>) {
        self.current.push(inst);
    }

    /// Notes a call that makes `room` bytes for stack arguments and results.
    pub fn note_call(&mut self, room: u32) {
        self.out.has_calls = true;
        self.out.outgoing_bytes = self.out.outgoing_bytes.max(room);
    }

    /// Byte `offset` of the outgoing argument area.
    pub const fn outgoing(offset: u32) -> StackSlot {
        StackSlot::Outgoing(offset)
    }

    /// Ends the block with a jump.
    pub fn set_jump(&mut self, to: &ssa::BlockCall) {
        let to = self.succ(to);
        self.control = Some(Control::Jump(to));
    }

    /// Ends the block with a conditional branch: `inst` is taken to `taken`.
    pub fn set_branch(&mut self, inst: T::Inst<VReg>, taken: &ssa::BlockCall, other: &ssa::BlockCall) {
        let (taken, other) = (self.succ(taken), self.succ(other));
        self.control = Some(Control::Branch { inst, taken, other });
    }

    /// Ends the block with a jump through a table.
    pub fn set_dispatch(&mut self, inst: T::Inst<VReg>, targets: &[ssa::Block]) {
        let targets = targets.iter().map(|&block| mir_block(block)).collect();
        self.control = Some(Control::Dispatch { inst, targets });
    }

    /// Ends the block by leaving the function.
    pub fn set_exit(&mut self, inst: T::Inst<VReg>) {
        self.control = Some(Control::Exit(inst));
    }

    /// An [`Unsupported`] error about the current function.
    pub fn unsupported(&self, what: impl Into<String>) -> Unsupported {
        Unsupported { function: self.func.name.clone(), what: what.into() }
    }

    fn succ(&mut self, to: &ssa::BlockCall) -> Succ<VReg> {
        let args = to.args.iter().flat_map(|&arg| self.regs(arg).as_slice().to_vec()).collect();
        Succ { block: mir_block(to.block), args }
    }

    // ---- The driver ----

    fn lower_block(&mut self, block: ssa::Block) -> Result<(), Unsupported> {
        let func = self.func;
        self.block = block;
        let (&last, body) = func.blocks[block].insts.split_last().expect("a block ends in a terminator");
        self.target.lower_terminator(self, last)?;
        self.flush(func.source.get(last));
        for shared in self.shared[block].values_mut() {
            shared.before = self.reversed.len();
        }
        for &inst in body.iter().rev() {
            let data = &func.insts[inst];
            let needed = func.results[inst].iter().any(|&result| self.is_needed(result));
            if Remat::of(data).is_none() && (needed || !data.is_pure()) {
                self.target.lower(self, inst)?;
                self.flush(func.source.get(inst));
            }
        }
        if block == func.entry() {
            self.target.lower_params(self)?;
            self.flush(self.start());
        }
        self.finish_block(block, func.source.get(last));
        Ok(())
    }

    /// Where the function begins in the source.
    fn start(&self) -> Option<SourceLoc> {
        let (sources, subprogram) = (self.module.sources.as_ref()?, self.func.source.subprogram?);
        sources.subprograms[subprogram].start
    }

    /// Moves the instructions of one SSA instruction to the reversed list, and notes the shared values that they use.
    fn flush(&mut self, loc: Option<SourceLoc>) {
        self.reversed.extend(self.current.drain(..).rev(), loc);
        for what in self.touched.drain(..) {
            self.shared[self.block].get_mut(&what).expect("a touched value is shared").before =
                self.reversed.len();
        }
    }

    fn finish_block(&mut self, block: ssa::Block, control_loc: Option<SourceLoc>) {
        let mut shared: Vec<_> = std::mem::take(&mut self.shared[block]).into_iter().collect();
        shared.sort_by_key(|(_, shared)| shared.before);
        let reversed = std::mem::take(&mut self.reversed);
        let mut insts = Insts::with_capacity(reversed.len() + shared.len());
        let mut pending = shared.into_iter().peekable();
        // Rematerialised values have the location of the instruction after them.
        let mut loc = control_loc;
        for (position, (inst, inst_loc)) in reversed.into_located().enumerate() {
            while let Some((what, shared)) = pending.next_if(|(_, shared)| shared.before <= position) {
                self.materialize(what, shared.regs, loc, &mut insts);
            }
            loc = inst_loc;
            insts.push(inst, loc);
        }
        for (what, shared) in pending {
            self.materialize(what, shared.regs, loc, &mut insts);
        }
        insts.reverse();
        let params = match block == self.func.entry() {
            true => Vec::new(),
            false => self.block_params(block),
        };
        let control =
            self.control.take().unwrap_or_else(|| panic!("{}: {block} has no control", self.func.name));
        let freq = self.func.blocks[block].freq;
        let bound = self.bounds[block];
        self.done[block] = Some(BlockData { params, insts, control, control_loc, freq, bound });
    }

    fn materialize(
        &self,
        what: Remat,
        regs: ValueRegs,
        loc: Option<SourceLoc>,
        insts: &mut Insts<T::Inst<VReg>>,
    ) {
        for (word, &reg) in regs.as_slice().iter().enumerate() {
            insts.push(self.target.materialize(self.module, what, word, reg), loc);
        }
    }

    fn block_params(&mut self, block: ssa::Block) -> Vec<VReg> {
        let params = &self.func.blocks[block].params;
        params.iter().flat_map(|&param| self.value_regs(param).as_slice().to_vec()).collect()
    }

    fn finish(mut self, rpo: &[ssa::Block]) -> Function<T, VReg> {
        self.out.order = rpo.iter().map(|&block| mir_block(block)).collect();
        let blocks = self.done.values_mut().map(|block| block.take().expect("every block is reachable"));
        self.out.blocks = blocks.collect();
        self.out
    }
}

fn mir_block(block: ssa::Block) -> Block {
    Block::new(block.index())
}

/// For each block, the home of the operand-free values that it uses; see the module documentation.
fn constant_homes(func: &ssa::Function, rpo: &[ssa::Block]) -> IdVec<ssa::Block, ssa::Block> {
    /// A home must be this much colder than the use to be worth a longer live range.
    const GAIN: f32 = 0.5;
    let dominators = ssa::Dominators::new(func);
    let mut homes: IdVec<ssa::Block, ssa::Block> = func.blocks.ids().collect();
    for &block in rpo {
        let Some(idom) = dominators.idom(block) else { continue };
        let candidate = homes[idom];
        let cheaper = |a: ssa::Block, b: ssa::Block| func.blocks[a].freq < GAIN * func.blocks[b].freq;
        if cheaper(candidate, block) {
            homes[block] = candidate;
        } else if cheaper(idom, block) {
            homes[block] = idom;
        }
    }
    homes
}

/// The home of the limit of addresses: the last block that dominates all its uses, if these are in several blocks.
/// Allocation still computes it where it is used if registers are scarce.
fn limit_home(limit: i64, func: &ssa::Function, rpo: &[ssa::Block]) -> Option<ssa::Block> {
    let is_use = |&inst: &ssa::Inst| match func.insts[inst] {
        InstData::Binary { op: ssa::BinaryOp::MinU, ty: ssa::Type::I32, args: [_, by] } => {
            func.as_const(by) == Some(limit)
        }
        _ => false,
    };
    let mut users = rpo.iter().copied().filter(|&block| func.blocks[block].insts.iter().any(is_use));
    let mut home = users.next()?;
    let mut others = users.peekable();
    others.peek()?;
    let dominators = ssa::Dominators::new(func);
    // It walks up only, so there are at most as many steps as blocks.
    for block in others {
        while !dominators.dominates(home, block) {
            home = dominators.idom(home).expect("the entry dominates all blocks");
        }
    }
    Some(home)
}
