//! Machine instructions of the PVM as the code generator sees them.
//!
//! Variants follow the operand formats of [`pvm_isa`] and contain its [`Opcode`], so a new machine instruction is a row
//! there and a lowering arm here. Differences from the bare machine:
//!
//! - a memory operand ([`Mem`]) may be a stack slot until the frame is laid out, and the register-relative opcode
//!   represents both addressing forms;
//! - a constant is one instruction whatever its width;
//! - calls, returns and the function's parameters name the values in fixed registers.
//!
//! Operands are described once, in [`Inst::map_operands`], uses first. Branches have no label: the block's control has
//! it. Only `Inst<PReg>` has a machine form ([`Inst::machine`]).

use std::fmt;

use codegen::{Fixed, Operand, PReg, RegClass, RegSet, Register, Reuse, Role, StackSlot};
use pvm_isa::{Opcode, Reg};
use ssa::FuncId;

/// The return address.
pub const RA: PReg = PReg::new(0);
/// The stack pointer; never allocated.
pub const SP: PReg = PReg::new(1);

const INT: RegClass = RegClass::Int;
const USE: Operand = Operand::used(INT);
const DEF: Operand = Operand::def(INT);
/// A source of an instruction whose destination is updated: it must not share the destination's register.
const LATE: Operand = USE.with_role(Role::LateUse);

/// The address of a load or store, modulo 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mem<R> {
    /// A constant address.
    Abs(i32),
    /// A register plus a constant.
    Reg(R, i32),
    /// A slot of the frame.
    Slot(StackSlot),
}

/// The target of a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Callee<R> {
    /// A function of the program.
    Func(FuncId),
    /// The code address in a register.
    Code(R),
    /// The host; execution continues in the same basic block.
    Host(u32),
}

/// A call with the values in its fixed registers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Call<R> {
    /// The target.
    pub callee: Callee<R>,
    /// Arguments, in a tail call together with the return address.
    pub args: Vec<(R, PReg)>,
    /// Results.
    pub results: Vec<(R, PReg)>,
    /// Registers changed besides the results.
    pub clobbers: RegSet,
}

/// A machine instruction over virtual or physical registers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Inst<R> {
    /// `op`: `trap`, `unlikely`, `fallthrough`.
    Plain { op: Opcode },
    /// `dst = value`.
    Const { dst: R, value: i64 },
    /// `dst = reference to func`: signature number plus one in the high half, code address in the low half.
    FuncRef { dst: R, func: FuncId },
    /// `dst = machine address of slot + bias`.
    SlotAddr { dst: R, slot: StackSlot, bias: i32 },
    /// `op dst = src`.
    Unary { op: Opcode, dst: R, src: R },
    /// `op dst = src, imm`.
    BinaryImm { op: Opcode, dst: R, src: R, imm: i32 },
    /// `op dst = a, b`.
    Binary { op: Opcode, dst: R, a: R, b: R },
    /// `op dst = old or src, depending on cond`; `dst` is the register of `old`.
    Cmov { op: Opcode, dst: R, old: R, src: R, cond: R },
    /// `op dst = old or imm, depending on cond`; `dst` is the register of `old`.
    CmovImm { op: Opcode, dst: R, old: R, cond: R, imm: i32 },
    /// `op dst = [mem]`; the opcode is the register-relative form.
    Load { op: Opcode, dst: R, mem: Mem<R> },
    /// `op [mem] = src`; the opcode is the register-relative form.
    Store { op: Opcode, src: R, mem: Mem<R> },
    /// `op [mem] = value`; the opcode is the register-relative form.
    StoreImm { op: Opcode, value: i32, mem: Mem<R> },
    /// Branch on `src op imm`.
    BranchImm { op: Opcode, src: R, imm: i32 },
    /// Branch on `a op b`.
    Branch { op: Opcode, a: R, b: R },
    /// Jump to the `index / 2`-th entry of the block's table; `index` is even.
    Dispatch { index: R },
    /// Defines the return address and the parameters that come in registers; no code.
    Params { defs: Vec<(R, PReg)> },
    /// A call.
    Call(Box<Call<R>>),
    /// A jump to another function, which returns to our caller.
    TailCall(Box<Call<R>>),
    /// Return; the return address is among the uses.
    Return { uses: Vec<(R, PReg)> },
}

impl<R: Register> Inst<R> {
    /// A register copy.
    pub const fn copy(dst: R, src: R) -> Self {
        Self::Unary { op: Opcode::MoveReg, dst, src }
    }

    /// The instruction without operands that stops the program.
    pub const TRAP: Self = Self::Plain { op: Opcode::Trap };

    /// See [`codegen::Isa::map_operands`].
    pub fn map_operands<S: Register>(&self, f: &mut dyn FnMut(R, Operand) -> S) -> Inst<S> {
        match *self {
            Self::Plain { op } => Inst::Plain { op },
            Self::Const { dst, value } => Inst::Const { dst: f(dst, DEF), value },
            Self::FuncRef { dst, func } => Inst::FuncRef { dst: f(dst, DEF), func },
            Self::SlotAddr { dst, slot, bias } => Inst::SlotAddr { dst: f(dst, DEF), slot, bias },
            Self::Unary { op, dst, src } => {
                let src = f(src, USE);
                Inst::Unary { op, dst: f(dst, DEF.with_reuse(Reuse::Prefer(0))), src }
            }
            Self::BinaryImm { op, dst, src, imm } => {
                let src = f(src, USE);
                Inst::BinaryImm { op, dst: f(dst, DEF.with_reuse(Reuse::Prefer(0))), src, imm }
            }
            Self::Binary { op, dst, a, b } => {
                let (a, b) = (f(a, USE), f(b, USE));
                Inst::Binary { op, dst: f(dst, DEF.with_reuse(Reuse::Prefer(0))), a, b }
            }
            Self::Cmov { op, dst, old, src, cond } => {
                let (old, src, cond) = (f(old, USE), f(src, LATE), f(cond, LATE));
                Inst::Cmov { op, dst: f(dst, DEF.with_reuse(Reuse::Must(0))), old, src, cond }
            }
            Self::CmovImm { op, dst, old, cond, imm } => {
                let (old, cond) = (f(old, USE), f(cond, LATE));
                Inst::CmovImm { op, dst: f(dst, DEF.with_reuse(Reuse::Must(0))), old, cond, imm }
            }
            Self::Load { op, dst, mem } => {
                let mem = mem.map(f);
                Inst::Load { op, dst: f(dst, DEF), mem }
            }
            Self::Store { op, src, mem } => Inst::Store { op, src: f(src, USE), mem: mem.map(f) },
            Self::StoreImm { op, value, mem } => Inst::StoreImm { op, value, mem: mem.map(f) },
            Self::BranchImm { op, src, imm } => Inst::BranchImm { op, src: f(src, USE), imm },
            Self::Branch { op, a, b } => Inst::Branch { op, a: f(a, USE), b: f(b, USE) },
            Self::Dispatch { index } => Inst::Dispatch { index: f(index, USE) },
            Self::Params { ref defs } => Inst::Params { defs: map_fixed(defs, Operand::fixed_def, f) },
            Self::Call(ref call) => Inst::Call(Box::new(call.map(USE, f))),
            Self::TailCall(ref call) => Inst::TailCall(Box::new(call.map(TAIL_CALLEE, f))),
            Self::Return { ref uses } => Inst::Return { uses: map_fixed(uses, Operand::fixed_use, f) },
        }
    }

    /// See [`codegen::Isa::clobbers`].
    pub fn clobbers(&self) -> RegSet {
        match self {
            Self::Call(call) => call.clobbers,
            _ => RegSet::EMPTY,
        }
    }

    /// Destination and source of a register copy.
    pub const fn as_copy(&self) -> Option<(R, R)> {
        match *self {
            Self::Unary { op: Opcode::MoveReg, dst, src } => Some((dst, src)),
            _ => None,
        }
    }

    /// The branch with the opposite condition. Panics if this is no branch.
    pub fn invert(&self) -> Self {
        match *self {
            Self::BranchImm { op, src, imm } => Self::BranchImm { op: inverse_branch(op), src, imm },
            Self::Branch { op, a, b } => Self::Branch { op: inverse_branch(op), a, b },
            _ => panic!("{self} is no branch"),
        }
    }

    /// The memory operand, if there is one.
    pub const fn mem(&self) -> Option<&Mem<R>> {
        match self {
            Self::Load { mem, .. } | Self::Store { mem, .. } | Self::StoreImm { mem, .. } => Some(mem),
            _ => None,
        }
    }

    /// The memory operand, mutably.
    pub const fn mem_mut(&mut self) -> Option<&mut Mem<R>> {
        match self {
            Self::Load { mem, .. } | Self::Store { mem, .. } | Self::StoreImm { mem, .. } => Some(mem),
            _ => None,
        }
    }
}

/// The register with the code address of an indirect tail call. It is neither an argument register nor restored by the
/// epilogue.
const TAIL_CALLEE: Operand = Operand::fixed_use(INT, PReg::new(2));

impl<R: Register> Mem<R> {
    fn map<S: Register>(self, f: &mut dyn FnMut(R, Operand) -> S) -> Mem<S> {
        match self {
            Self::Abs(address) => Mem::Abs(address),
            Self::Reg(base, offset) => Mem::Reg(f(base, USE), offset),
            Self::Slot(slot) => Mem::Slot(slot),
        }
    }
}

impl<R: Register> Call<R> {
    fn map<S: Register>(&self, code: Operand, f: &mut dyn FnMut(R, Operand) -> S) -> Call<S> {
        let callee = match self.callee {
            Callee::Func(func) => Callee::Func(func),
            Callee::Code(reg) => Callee::Code(f(reg, code)),
            Callee::Host(number) => Callee::Host(number),
        };
        let args = map_fixed(&self.args, Operand::fixed_use, f);
        let results = map_fixed(&self.results, Operand::fixed_def, f);
        Call { callee, args, results, clobbers: self.clobbers }
    }
}

fn map_fixed<R: Register, S: Register>(
    list: &[(R, PReg)],
    operand: fn(RegClass, PReg) -> Operand,
    f: &mut dyn FnMut(R, Operand) -> S,
) -> Vec<(S, PReg)> {
    list.iter().map(|&(reg, at)| (f(reg, operand(INT, at)), at)).collect()
}

fn inverse_branch(op: Opcode) -> Opcode {
    op.inverse().unwrap_or_else(|| panic!("{op} is no conditional branch"))
}

fn absolute_form(op: Opcode) -> Opcode {
    op.absolute_form().unwrap_or_else(|| panic!("{op} has no form with a constant address"))
}

/// The machine's register with the number of a physical register.
pub fn machine_reg(reg: PReg) -> Reg {
    Reg::new(reg.number()).unwrap_or_else(|| panic!("{reg} is no register of the PVM"))
}

impl Inst<PReg> {
    /// The machine instruction, with zeros for code offsets and linker values; `None` for `Params`, which is no code.
    /// Stack slots must have been resolved.
    pub fn machine(&self) -> Option<pvm_isa::Inst> {
        use pvm_isa::Inst as M;
        let reg = machine_reg;
        Some(match *self {
            Self::Params { .. } => return None,
            Self::Plain { op } => M::no_arg(op),
            Self::Const { dst, value } => match i32::try_from(value) {
                Ok(imm) => M::reg_imm(Opcode::LoadImm, reg(dst), imm),
                Err(_) => M::reg_imm64(Opcode::LoadImm64, reg(dst), value as u64),
            },
            Self::FuncRef { dst, .. } => M::reg_imm64(Opcode::LoadImm64, reg(dst), 0),
            Self::SlotAddr { slot, .. } => panic!("{slot:?} must be resolved before encoding"),
            Self::Unary { op, dst, src } => M::reg2(op, reg(dst), reg(src)),
            Self::BinaryImm { op, dst, src, imm } => M::reg2_imm(op, reg(dst), reg(src), imm),
            Self::Binary { op, dst, a, b } => M::reg3(op, reg(dst), reg(a), reg(b)),
            Self::Cmov { op, dst, src, cond, .. } => M::reg3(op, reg(dst), reg(src), reg(cond)),
            Self::CmovImm { op, dst, cond, imm, .. } => M::reg2_imm(op, reg(dst), reg(cond), imm),
            Self::Load { op, dst: data, mem } | Self::Store { op, src: data, mem } => match mem {
                Mem::Abs(address) => M::reg_imm(absolute_form(op), reg(data), address),
                Mem::Reg(base, offset) => M::reg2_imm(op, reg(data), reg(base), offset),
                Mem::Slot(slot) => panic!("{slot:?} must be resolved before encoding"),
            },
            Self::StoreImm { op, value, mem } => match mem {
                Mem::Abs(address) => M::imm2(absolute_form(op), address, value),
                Mem::Reg(base, offset) => M::reg_imm2(op, reg(base), offset, value),
                Mem::Slot(slot) => panic!("{slot:?} must be resolved before encoding"),
            },
            Self::BranchImm { op, src, imm } => M::reg_imm_off(op, reg(src), imm, 0),
            Self::Branch { op, a, b } => M::reg2_off(op, reg(a), reg(b), 0),
            Self::Dispatch { index } => M::reg_imm(Opcode::JumpInd, reg(index), 0),
            Self::Call(ref call) => match call.callee {
                Callee::Func(_) => M::reg_imm_off(Opcode::LoadImmJump, reg(RA), 0, 0),
                Callee::Code(code) => M::reg2_imm2(Opcode::LoadImmJumpInd, reg(RA), reg(code), 0, 0),
                Callee::Host(number) => M::imm(Opcode::Ecalli, number as i32),
            },
            Self::TailCall(ref call) => match call.callee {
                Callee::Func(_) => M::off(Opcode::Jump, 0),
                Callee::Code(code) => M::reg_imm(Opcode::JumpInd, reg(code), 0),
                Callee::Host(_) => panic!("the host can't be tail-called"),
            },
            Self::Return { .. } => M::reg_imm(Opcode::JumpInd, reg(RA), 0),
        })
    }
}

impl<R: Register> fmt::Display for Mem<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Abs(address) => write!(f, "[{address:#x}]"),
            Self::Reg(base, 0) => write!(f, "[{base}]"),
            Self::Reg(base, offset @ 1..) => write!(f, "[{base} + {offset}]"),
            Self::Reg(base, offset) => write!(f, "[{base} - {}]", offset.unsigned_abs()),
            Self::Slot(StackSlot::Spill(slot)) => write!(f, "[{slot}]"),
            Self::Slot(StackSlot::Object { slot, offset }) => write!(f, "[{slot} + {offset}]"),
            Self::Slot(StackSlot::Outgoing(offset)) => write!(f, "[out + {offset}]"),
            Self::Slot(StackSlot::Incoming(offset)) => write!(f, "[in + {offset}]"),
        }
    }
}

impl<R: Register> fmt::Display for Inst<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain { op } => write!(f, "{op}"),
            Self::Const { dst, value } => write!(f, "load_imm {dst} = {value}"),
            Self::FuncRef { dst, func } => write!(f, "func_ref {dst} = {func}"),
            Self::SlotAddr { dst, slot, bias } => {
                write!(f, "slot_addr {dst} = {} + {bias}", Mem::<R>::Slot(*slot))
            }
            Self::Unary { op, dst, src } => write!(f, "{op} {dst} = {src}"),
            Self::BinaryImm { op, dst, src, imm } => write!(f, "{op} {dst} = {src}, {imm}"),
            Self::Binary { op, dst, a, b } => write!(f, "{op} {dst} = {a}, {b}"),
            Self::Cmov { op, dst, old, src, cond } => write!(f, "{op} {dst} = {src}, {cond} ({old})"),
            Self::CmovImm { op, dst, old, cond, imm } => write!(f, "{op} {dst} = {cond}, {imm} ({old})"),
            Self::Load { op, dst, mem } => write!(f, "{op} {dst} = {mem}"),
            Self::Store { op, src, mem } => write!(f, "{op} {mem} = {src}"),
            Self::StoreImm { op, value, mem } => write!(f, "{op} {mem} = {value}"),
            Self::BranchImm { op, src, imm } => write!(f, "{op} {src}, {imm}"),
            Self::Branch { op, a, b } => write!(f, "{op} {a}, {b}"),
            Self::Dispatch { index } => write!(f, "jump_ind table + {index}"),
            Self::Params { defs } => write!(f, "params {}", Fixed(defs)),
            Self::Call(call) => {
                write!(f, "call {} {} -> {}", call.callee, Fixed(&call.args), Fixed(&call.results))
            }
            Self::TailCall(call) => write!(f, "tail_call {} {}", call.callee, Fixed(&call.args)),
            Self::Return { uses } => write!(f, "return {}", Fixed(uses)),
        }
    }
}

impl<R: Register> fmt::Display for Callee<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Func(func) => write!(f, "{func}"),
            Self::Code(reg) => write!(f, "[{reg}]"),
            Self::Host(number) => write!(f, "host {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operand_descriptions_agree_with_the_instruction_table() {
        let r = |n| PReg::new(n);
        let samples = [
            Inst::Unary { op: Opcode::SignExtend8, dst: r(2), src: r(3) },
            Inst::BinaryImm { op: Opcode::AddImm64, dst: r(2), src: r(3), imm: 5 },
            Inst::Binary { op: Opcode::Sub64, dst: r(2), a: r(3), b: r(4) },
            Inst::Cmov { op: Opcode::CmovNz, dst: r(2), old: r(2), src: r(3), cond: r(4) },
            Inst::CmovImm { op: Opcode::CmovIzImm, dst: r(2), old: r(2), cond: r(4), imm: 1 },
            Inst::Load { op: Opcode::LoadIndU8, dst: r(2), mem: Mem::Reg(r(3), 4) },
            Inst::Load { op: Opcode::LoadIndU8, dst: r(2), mem: Mem::Abs(4) },
            Inst::Store { op: Opcode::StoreIndU64, src: r(2), mem: Mem::Reg(r(3), 4) },
            Inst::StoreImm { op: Opcode::StoreImmIndU64, value: 1, mem: Mem::Reg(r(3), 4) },
            Inst::Branch { op: Opcode::BranchLtS, a: r(5), b: r(6) },
            Inst::BranchImm { op: Opcode::BranchLtSImm, src: r(5), imm: 6 },
            Inst::Const { dst: r(7), value: 1 << 40 },
        ];
        for inst in samples {
            let (mut reads, mut writes) = (pvm_isa::RegSet::EMPTY, pvm_isa::RegSet::EMPTY);
            inst.map_operands::<PReg>(&mut |reg, operand| {
                let set = if operand.role.is_def() { &mut writes } else { &mut reads };
                set.insert(machine_reg(reg));
                reg
            });
            let machine = inst.machine().unwrap();
            assert_eq!((machine.reads(), machine.writes()), (reads, writes), "{inst}");
        }
    }
}
