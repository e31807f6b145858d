//! Small functions whose best allocation is known.

use crate::mir::{
    BlockData, Control, Function, Isa, Operand, PReg, RegClass, Reuse, Role, Succ, VReg, VRegData,
};
use crate::regalloc::allocate;
use crate::toy::{Op, Toy, ToyInst, block, empty_function, run_physical, run_virtual};

const INT: RegClass = RegClass::Int;

/// Writes a function down block by block.
struct Builder {
    toy: Toy,
    func: Function<Toy, VReg>,
    insts: Vec<ToyInst<VReg>>,
    params: Vec<VReg>,
    freq: f32,
    constant: u64,
}

fn used(vreg: VReg) -> (VReg, Operand) {
    (vreg, Operand::used(INT))
}

fn to(n: usize, args: &[VReg]) -> Succ<VReg> {
    Succ { block: block(n), args: args.to_vec() }
}

impl Builder {
    fn new(toy: Toy) -> Self {
        Self { toy, func: empty_function(), insts: Vec::new(), params: Vec::new(), freq: 1.0, constant: 0 }
    }

    fn vreg(&mut self) -> VReg {
        self.func.vregs.push(VRegData { class: INT, rematerializable: false })
    }

    fn push(&mut self, op: Op, operands: Vec<(VReg, Operand)>) {
        self.constant += 1;
        self.insts.push(ToyInst::new(op, operands, self.constant));
    }

    /// The function's parameters in registers 0, 1, ....
    fn entry<const N: usize>(&mut self) -> [VReg; N] {
        let regs = [0; N].map(|_| self.vreg());
        let fixed = |n: usize| Operand::fixed_def(INT, PReg::new(n as u8));
        self.push(Op::Compute, regs.iter().enumerate().map(|(n, &vreg)| (vreg, fixed(n))).collect());
        regs
    }

    fn block<const N: usize>(&mut self, freq: f32) -> [VReg; N] {
        let params = [0; N].map(|_| self.vreg());
        self.params = params.to_vec();
        self.freq = freq;
        params
    }

    fn compute(&mut self, uses: &[VReg]) -> VReg {
        let dst = self.vreg();
        let operands = uses.iter().map(|&vreg| used(vreg)).chain([(dst, Operand::def(INT))]).collect();
        self.push(Op::Compute, operands);
        dst
    }

    /// A two-address instruction on the first operand.
    fn tied(&mut self, uses: &[VReg]) -> VReg {
        let dst = self.vreg();
        let def = Operand::def(INT).with_reuse(Reuse::Must(0));
        self.push(Op::Compute, uses.iter().map(|&vreg| used(vreg)).chain([(dst, def)]).collect());
        dst
    }

    fn constant(&mut self) -> VReg {
        let dst = self.func.vregs.push(VRegData { class: INT, rematerializable: true });
        self.push(Op::Compute, vec![(dst, Operand::def(INT))]);
        dst
    }

    fn effect(&mut self, uses: &[VReg]) {
        self.push(Op::Effect, uses.iter().map(|&vreg| used(vreg)).collect());
    }

    /// A call that defines register 0 and clobbers everything caller-saved.
    fn call(&mut self, args: &[VReg]) -> VReg {
        let result = self.vreg();
        let fixed = |(n, &vreg): (usize, &VReg)| (vreg, Operand::fixed_use(INT, PReg::new(n as u8)));
        let mut operands: Vec<_> = args.iter().enumerate().map(fixed).collect();
        operands.push((result, Operand::fixed_def(INT, PReg::new(0))));
        self.push(Op::Effect, operands);
        self.insts.last_mut().expect("just pushed").clobbers = self.toy.caller_saved();
        result
    }

    fn end(&mut self, control: Control<Toy, VReg>) {
        let insts = std::mem::take(&mut self.insts).into();
        let params = std::mem::take(&mut self.params);
        self.func.blocks.push(BlockData { params, insts, ..BlockData::new(control, self.freq) });
    }

    fn jump(&mut self, to: Succ<VReg>) {
        self.end(Control::Jump(to));
    }

    fn branch(&mut self, on: VReg, taken: Succ<VReg>, other: Succ<VReg>) {
        self.constant += 1;
        let inst = ToyInst::new(Op::Compute, vec![used(on)], self.constant);
        self.end(Control::Branch { inst, taken, other });
    }

    /// Returns with the value in a register.
    fn ret(&mut self, value: VReg, reg: u8) {
        let operands = vec![(value, Operand::fixed_use(INT, PReg::new(reg)))];
        self.end(Control::Exit(ToyInst::new(Op::Effect, operands, 0)));
    }

    fn allocate(mut self) -> Function<Toy, PReg> {
        self.func.order = self.func.blocks.ids().collect();
        let expected = run_virtual(&self.func, 100);
        let result = allocate(&self.toy, self.func);
        assert_eq!(expected, run_physical(&result, 100), "{result}");
        result
    }
}

/// Copies, stores and loads of a block.
fn moves(func: &Function<Toy, PReg>, n: usize) -> (usize, usize, usize) {
    let count = |is: fn(&Op) -> bool| func.blocks[block(n)].insts.iter().filter(|inst| is(&inst.op)).count();
    (
        count(|op| matches!(op, Op::Copy)),
        count(|op| matches!(op, Op::Spill(_))),
        count(|op| matches!(op, Op::Reload(_))),
    )
}

fn all_moves(func: &Function<Toy, PReg>) -> (usize, usize, usize) {
    let add = |a: (usize, usize, usize), b: (usize, usize, usize)| (a.0 + b.0, a.1 + b.1, a.2 + b.2);
    (0..func.blocks.len()).map(|n| moves(func, n)).fold((0, 0, 0), add)
}

#[test]
fn a_leaf_keeps_its_return_address_in_place() {
    let mut b = Builder::new(Toy::new(6, 2, 0));
    let [address, x] = b.entry();
    let y = b.compute(&[x]);
    let z = b.compute(&[x, y]);
    b.effect(&[z]);
    b.ret(address, 0);
    assert_eq!(all_moves(&b.allocate()), (0, 0, 0));
}

#[test]
fn a_call_costs_the_return_address_one_store_and_one_load() {
    let mut b = Builder::new(Toy::new(6, 2, 0));
    let [address, x] = b.entry();
    let y = b.call(&[x]);
    let z = b.call(&[y]);
    b.effect(&[z]);
    b.ret(address, 0);
    let func = b.allocate();
    let (_, stores, loads) = all_moves(&func);
    assert_eq!((stores, loads), (1, 1), "{func}");
}

#[test]
fn an_early_exit_does_not_pay_for_calls_elsewhere() {
    let mut b = Builder::new(Toy::new(6, 2, 0));
    let [address, x] = b.entry();
    b.branch(x, to(1, &[]), to(2, &[]));
    b.block::<0>(0.6);
    b.ret(address, 0);
    b.block::<0>(0.4);
    let y = b.call(&[x]);
    b.call(&[y]);
    b.ret(address, 0);
    let func = b.allocate();
    assert_eq!(moves(&func, 0), (0, 0, 0), "{func}");
    assert_eq!(moves(&func, 1), (0, 0, 0), "{func}");
    let (_, stores, loads) = moves(&func, 2);
    assert_eq!((stores, loads), (1, 1), "{func}");
}

#[test]
fn a_loop_carries_values_without_moves() {
    let mut b = Builder::new(Toy::new(6, 2, 0));
    let [address, start, sum, limit] = b.entry();
    b.jump(to(1, &[start, sum]));
    let [i, s] = b.block(10.0);
    let s2 = b.compute(&[s, i]);
    let i2 = b.tied(&[i]);
    let more = b.compute(&[i2, limit]);
    b.branch(more, to(2, &[]), to(3, &[]));
    b.block::<0>(9.0);
    b.jump(to(1, &[i2, s2]));
    b.block::<0>(1.0);
    b.effect(&[s2]);
    b.ret(address, 0);
    let func = b.allocate();
    assert_eq!(all_moves(&func), (0, 0, 0), "{func}");
}

#[test]
fn a_two_address_form_of_a_live_operand_costs_one_copy() {
    let mut b = Builder::new(Toy::new(6, 2, 0));
    let [address, x, y] = b.entry();
    let z = b.tied(&[x, y]);
    b.effect(&[x, y, z]);
    b.ret(address, 0);
    let func = b.allocate();
    assert_eq!(all_moves(&func), (1, 0, 0), "{func}");
}

#[test]
fn a_two_address_form_of_one_value_twice_costs_nothing_if_it_dies() {
    let mut b = Builder::new(Toy::new(6, 2, 0));
    let [address, x] = b.entry();
    let z = b.tied(&[x, x]);
    b.effect(&[z]);
    b.ret(address, 0);
    let func = b.allocate();
    assert_eq!(all_moves(&func), (0, 0, 0), "{func}");
}

#[test]
fn values_that_swap_in_a_loop_take_three_copies() {
    let mut b = Builder::new(Toy::new(6, 2, 0));
    let [address, x, y] = b.entry();
    b.jump(to(1, &[x, y]));
    let [p, q] = b.block(10.0);
    let more = b.compute(&[p, q]);
    b.branch(more, to(2, &[]), to(3, &[]));
    b.block::<0>(9.0);
    b.jump(to(1, &[q, p]));
    b.block::<0>(1.0);
    b.ret(address, 0);
    let func = b.allocate();
    assert_eq!(all_moves(&func), (3, 0, 0), "{func}");
}

#[test]
fn a_constant_across_a_call_is_made_again() {
    let mut b = Builder::new(Toy::new(6, 0, 0));
    let [x] = b.entry();
    let c = b.constant();
    b.call(&[x]);
    b.effect(&[c]);
    let z = b.constant();
    b.ret(z, 0);
    let func = b.allocate();
    assert_eq!(all_moves(&func).1, 0, "{func}");
    assert!(func.spill_slots.is_empty());
    let made = func.blocks[block(0)].insts.iter().filter(|inst| inst.constant == 2);
    assert_eq!(made.count(), 1, "{func}");
}

/// A loop with a call in it and a value used before and after the call.
fn value_across_call(freq: f32, toy: Toy) -> Function<Toy, PReg> {
    let mut b = Builder::new(toy);
    let [x] = b.entry();
    b.jump(to(1, &[]));
    b.block::<0>(freq);
    b.effect(&[x]);
    let y = b.call(&[]);
    b.branch(y, to(2, &[]), to(3, &[]));
    b.block::<0>(freq);
    b.jump(to(1, &[]));
    b.block::<0>(1.0);
    b.ret(x, 0);
    b.allocate()
}

#[test]
fn a_callee_saved_register_is_taken_where_it_pays() {
    let toy = Toy::new(4, 1, 0);
    let saved = toy.registers().callee_saved;
    let func = value_across_call(10.0, toy);
    assert!(!func.written.intersection(saved).is_empty(), "{func}");
    assert!(func.spill_slots.is_empty(), "{func}");
    let func = value_across_call(0.1, Toy::new(4, 1, 0));
    assert!(func.written.intersection(saved).is_empty(), "{func}");
}

#[test]
fn a_value_that_a_loop_does_not_use_is_moved_outside() {
    let mut b = Builder::new(Toy::new(3, 0, 0));
    let [x, start, limit] = b.entry();
    b.jump(to(1, &[start]));
    let [i] = b.block(100.0);
    let j = b.compute(&[i, limit]);
    let k = b.compute(&[i, j]);
    b.effect(&[i, j, k]);
    b.branch(k, to(2, &[]), to(3, &[]));
    b.block::<0>(99.0);
    b.jump(to(1, &[k]));
    b.block::<0>(1.0);
    b.ret(x, 0);
    let func = b.allocate();
    let (body, latch) = (moves(&func, 1), moves(&func, 2));
    assert_eq!(
        (body.1 + latch.1, body.2 + latch.2),
        (0, 1),
        "only the limit is read from memory in the loop\n{func}"
    );
}

#[test]
fn a_cold_path_with_a_call_leaves_the_hot_path_alone() {
    let mut b = Builder::new(Toy::new(6, 0, 0));
    let [address, x] = b.entry();
    b.branch(x, to(1, &[]), to(2, &[]));
    b.block::<0>(0.01);
    b.call(&[x]);
    b.jump(to(3, &[]));
    b.block::<0>(0.99);
    b.jump(to(3, &[]));
    b.block::<0>(1.0);
    b.effect(&[x]);
    b.ret(address, 0);
    let func = b.allocate();
    for n in [0, 2, 3] {
        assert_eq!(moves(&func, n), (0, 0, 0), "{func}");
    }
}

#[test]
fn operands_that_need_both_points_find_registers() {
    // Five registers: two arguments fixed, two reads that must survive the clobbers, and only two unclobbered.
    let mut b = Builder::new(Toy::new(5, 2, 0));
    let [a, c, d, e] = b.entry();
    let late = |vreg| (vreg, Operand::used(INT).with_role(Role::LateUse));
    let operands = vec![used(a), used(c), late(d), late(e)];
    b.push(Op::Effect, operands);
    b.insts.last_mut().expect("just pushed").clobbers = b.toy.caller_saved();
    b.effect(&[a, c]);
    b.effect(&[d, e]);
    b.ret(a, 0);
    b.allocate();
}

#[test]
fn a_use_may_be_laid_out_before_its_definition() {
    let mut b = Builder::new(Toy::new(4, 1, 0));
    let [x] = b.entry();
    b.jump(to(2, &[]));
    b.block::<0>(1.0);
    b.effect(&[x]);
    b.ret(x, 0);
    b.block::<0>(1.0);
    let y = b.compute(&[x]);
    b.effect(&[y]);
    b.jump(to(1, &[]));
    assert_eq!(all_moves(&b.allocate()), (0, 0, 0));
}
