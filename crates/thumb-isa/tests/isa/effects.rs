//! Effects of instructions: by example, and for all instructions in comparison with their register fields.

use crate::support::samples;
use thumb_isa::{Cond, Flags, Flow, Inst, Opcode, Reg, RegList, Shift, UnitSet, Width};

fn set(regs: &[Reg]) -> UnitSet {
    regs.iter().fold(UnitSet::EMPTY, |set, &reg| set.union(UnitSet::of(reg)))
}

#[test]
fn registers_follow_the_roles() {
    let r = Reg::r;
    let cases: &[(Inst, &[Reg], &[Reg])] = &[
        (Inst::alu_imm(Opcode::AddImm, false, r(1), r(2), 4), &[r(2)], &[r(1)]),
        (Inst::mov_half(Opcode::Movt, r(1), 4), &[r(1)], &[r(1)]),
        (Inst::mul_long(Opcode::Umlal, r(0), r(1), r(2), r(3)), &[r(0), r(1), r(2), r(3)], &[r(0), r(1)]),
        (Inst::mul_long(Opcode::Umull, r(0), r(1), r(2), r(3)), &[r(2), r(3)], &[r(0), r(1)]),
        (Inst::mem_post(Opcode::LdrPost, r(0), r(1), 4), &[r(1)], &[r(0), r(1)]),
        (Inst::mem_reg(Opcode::StrReg, r(0), r(1), r(2), 2), &[r(0), r(1), r(2)], &[]),
        (Inst::dual(Opcode::Strd, r(0), r(1), Reg::SP, 8), &[r(0), r(1), Reg::SP], &[]),
        (Inst::stack(Opcode::Push, RegList::from_bits(0x4010)), &[r(4), Reg::LR, Reg::SP], &[Reg::SP]),
        (Inst::stack(Opcode::Pop, RegList::from_bits(0x8010)), &[Reg::SP], &[r(4), Reg::PC, Reg::SP]),
        (Inst::multi(Opcode::Ldm, r(0), false, RegList::from_bits(6)), &[r(0)], &[r(1), r(2)]),
        (Inst::multi(Opcode::Stm, r(0), true, RegList::from_bits(6)), &[r(0), r(1), r(2)], &[r(0)]),
        (
            Inst::float_stack(Opcode::VpushF64, Reg::d(8), 2),
            &[Reg::d(8), Reg::s(18), Reg::s(19), Reg::SP],
            &[Reg::SP],
        ),
        (Inst::reg2(Opcode::VcvtF64F32, Reg::d(1), Reg::s(1)), &[Reg::s(1)], &[Reg::s(2), Reg::s(3)]),
        (Inst::branch(Opcode::Bl, 0), &[], &[Reg::LR]),
        (Inst::branch_reg(Opcode::Blx, r(3)), &[r(3)], &[Reg::LR]),
        (Inst::bit_field(Opcode::Bfi, r(0), r(1), 4, 8), &[r(0), r(1)], &[r(0)]),
    ];
    for (inst, reads, writes) in cases {
        assert_eq!((inst.reads(), inst.writes()), (set(reads), set(writes)), "{inst}");
        assert!(inst.is_valid(), "{inst}");
    }
}

#[test]
fn flags_follow_the_table() {
    let r = Reg::r;
    let add = Inst::alu_imm(Opcode::AddImm, false, r(1), r(2), 4);
    assert_eq!((add.flags_read(), add.flags_written()), (Flags::NONE, Flags::NONE));
    assert_eq!(add.with_flags(true).flags_written(), Flags::NZCV);
    let sbc = Inst::alu_reg(Opcode::SbcReg, false, r(1), r(2), r(3), Shift::NONE);
    assert_eq!((sbc.flags_read(), sbc.flags_written()), (Flags::C, Flags::NONE));
    let orr = Inst::alu_reg(Opcode::OrrReg, true, r(1), r(2), r(3), Shift::Rrx);
    assert_eq!((orr.flags_read(), orr.flags_written()), (Flags::C, Flags::NZC));
    let mul = Inst::reg3_s(Opcode::Mul, true, r(1), r(2), r(1));
    assert_eq!(mul.flags_written(), Flags::NZ);
    assert_eq!(Inst::cmp_imm(Opcode::CmpImm, r(0), 1).flags_written(), Flags::NZCV);
    assert_eq!(Inst::<Reg>::branch_cond(Opcode::Bcond, Cond::Hi, 0).flags_read(), Flags::Z.union(Flags::C));
    assert_eq!(Inst::<Reg>::no_arg(Opcode::VmrsApsr).flags_written(), Flags::NZCV);
}

#[test]
fn control_flow_is_told() {
    let r = Reg::r;
    let cases = [
        (Inst::branch(Opcode::B, 0), Flow::Jump),
        (Inst::branch(Opcode::Bl, 0), Flow::Call),
        (Inst::branch_cond(Opcode::Bcond, Cond::Eq, 0), Flow::Branch),
        (Inst::cmp_branch(Opcode::Cbz, r(0), 0), Flow::Branch),
        (Inst::branch_reg(Opcode::Bx, Reg::LR), Flow::Indirect),
        (Inst::branch_reg(Opcode::Blx, r(0)), Flow::Call),
        (Inst::table_branch(Opcode::Tbb, Reg::PC, r(0)), Flow::Indirect),
        (Inst::stack(Opcode::Pop, RegList::EMPTY.with(Reg::PC)), Flow::Indirect),
        (Inst::stack(Opcode::Pop, RegList::EMPTY.with(r(0))), Flow::Next),
        (Inst::imm(Opcode::Udf, 0), Flow::Trap),
        (Inst::imm(Opcode::Svc, 0), Flow::Next),
    ];
    for (inst, flow) in cases {
        assert_eq!(inst.flow(), flow, "{inst}");
    }
}

#[test]
fn visitor_sees_every_register_of_the_text() {
    for sample in samples(30, 6) {
        let mut seen = Vec::new();
        let same = sample.inst.map_regs(&mut |reg, slot| {
            assert!(slot.class.contains(reg), "{}", sample.inst);
            seen.push(reg.to_string());
            reg
        });
        assert_eq!(same, sample.inst);
        assert_eq!(seen.len(), sample.inst.op().reg_slots().len(), "{}", sample.inst);
        let renamed = sample.inst.map_regs(&mut |_, _| "#reg").to_string();
        assert_eq!(renamed.matches("#reg").count(), seen.len(), "{renamed}");
    }
}

#[test]
fn branches_reach_as_far_as_the_manual_says() {
    let range = |inst: Inst, width| {
        let range = inst.form(width, None).expect("the form exists").range().expect("it has an offset");
        (range.min, range.max)
    };
    let r0 = Reg::r(0);
    assert_eq!(range(Inst::branch(Opcode::B, 0), Width::Narrow), (-2048, 2046));
    assert_eq!(Opcode::B.reach(Width::Narrow).map(|r| (r.min, r.max, r.step)), Some((-2048, 2046, 2)));
    assert_eq!(Opcode::Cbz.reach(Width::Wide), None);
    assert_eq!(range(Inst::branch(Opcode::B, 0), Width::Wide), (-16_777_216, 16_777_214));
    assert_eq!(range(Inst::branch(Opcode::Bl, 0), Width::Wide), (-16_777_216, 16_777_214));
    assert_eq!(range(Inst::branch_cond(Opcode::Bcond, Cond::Eq, 0), Width::Narrow), (-256, 254));
    assert_eq!(range(Inst::branch_cond(Opcode::Bcond, Cond::Eq, 0), Width::Wide), (-1_048_576, 1_048_574));
    assert_eq!(range(Inst::cmp_branch(Opcode::Cbz, r0, 0), Width::Narrow), (0, 126));
    assert_eq!(range(Inst::mem_lit(Opcode::LdrLit, r0, 0), Width::Narrow), (0, 1020));
    assert_eq!(range(Inst::mem_lit(Opcode::LdrLit, r0, 0), Width::Wide), (-4095, 4095));
    assert_eq!(range(Inst::adr(Opcode::Adr, r0, 0), Width::Narrow), (0, 1020));
    assert_eq!(range(Inst::adr(Opcode::Adr, r0, 0), Width::Wide), (0, 4095));
    assert_eq!(range(Inst::adr(Opcode::Adr, r0, -1), Width::Wide), (-4095, -1));
    assert_eq!(range(Inst::mem(Opcode::Ldr, r0, r0, 0), Width::Narrow), (0, 124));
    assert_eq!(range(Inst::mem(Opcode::Ldrh, r0, r0, 0), Width::Narrow), (0, 62));
    assert_eq!(range(Inst::mem(Opcode::Ldrb, r0, r0, 0), Width::Narrow), (0, 31));
    assert_eq!(range(Inst::mem(Opcode::Ldr, r0, Reg::SP, 0), Width::Narrow), (0, 1020));
    assert_eq!(range(Inst::dual(Opcode::Ldrd, r0, Reg::r(1), r0, 0), Width::Wide), (-1020, 1020));
}
