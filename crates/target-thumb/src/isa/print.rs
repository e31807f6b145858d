//! Instructions as text, for listings and messages.

use std::fmt;

use codegen::{Fixed, Register};

use super::inst::{Callee, Inst};

impl<R: Register> fmt::Display for Inst<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(inst) => inst.fmt(f),
            Self::Tied(inst) => write!(f, "{inst} (tied)"),
            Self::Update { inst, old } => write!(f, "{inst} (from {old})"),
            Self::UpdatePair { inst, old } => write!(f, "{inst} (from {}:{})", old[1], old[0]),
            Self::Const { dst, value } => write!(f, "mov {dst}, #{}", *value as i32),
            Self::FloatConst { dst, bits, .. } => write!(f, "vmov {dst}, #{bits:#x}"),
            Self::Address { dst, symbol, offset } => write!(f, "mov {dst}, {symbol} + {offset}"),
            Self::FromBase { dst, src: Some(src), .. } => write!(f, "add {dst}, {src}, base"),
            Self::FromBase { dst, src: None, offset } => write!(f, "add {dst}, base, #{offset}"),
            Self::BaseAccess { op, rt, index } => write!(f, "{op} {rt}, [base, {index}]"),
            Self::BaseOffset { op, rt, offset } => write!(f, "{op} {rt}, [base, #{offset}]"),
            Self::SlotAddr { dst, slot, base } => write!(f, "add {dst}, sp, {slot:?} - {base:?}"),
            Self::LoadSlot { op, dst, slot } => write!(f, "{op} {dst}, {slot:?}"),
            Self::StoreSlot { op, src, slot } => write!(f, "{op} {src}, {slot:?}"),
            Self::Pair { op, dst, a, b } | Self::TiedPair { op, dst, a, b } => {
                write!(f, "{op:?} {}:{}, {}:{}, {}:{}", dst[1], dst[0], a[1], a[0], b[1], b[0])
            }
            Self::PairNeg { dst, src } => write!(f, "neg {}:{}, {}:{}", dst[1], dst[0], src[1], src[0]),
            Self::PairHalve { signed, dst, src } => {
                let op = if *signed { "asr" } else { "lsr" };
                write!(f, "{op} {}:{}, {}:{}, #1", dst[1], dst[0], src[1], src[0])
            }
            Self::Select { test, dst, if_true, if_false } => {
                write!(f, "select {dst}, {test}, {if_true}, {if_false}")
            }
            Self::SelectPair { test, dst, if_true: t, if_false: e } => {
                write!(f, "select {}:{}, {test}, {}:{}, {}:{}", dst[1], dst[0], t[1], t[0], e[1], e[0])
            }
            Self::SelectFloat { test, dst, if_true, if_false, .. } => {
                write!(f, "select {dst}, {test}, {if_true}, {if_false}")
            }
            Self::Conditional { test, inst } => write!(f, "if {test}: {inst}"),
            Self::Branch(test) => write!(f, "branch {test}"),
            Self::Dispatch { index, .. } => write!(f, "dispatch {index}"),
            Self::Params { defs, .. } => write!(f, "params {}", Fixed(defs)),
            Self::Call(call) => {
                write!(f, "call {} {} -> {}", call.callee, Fixed(&call.args), Fixed(&call.results))
            }
            Self::TailCall(call) => write!(f, "tail_call {} {}", call.callee, Fixed(&call.args)),
            Self::Return { uses, pop } if pop.is_empty() => write!(f, "return {}", Fixed(uses)),
            Self::Return { uses, pop } => write!(f, "pop {pop}; return {}", Fixed(uses)),
            Self::FlagBranch(cond) => write!(f, "b{cond}"),
            Self::ZeroBranch { reg, if_zero } => write!(f, "{} {reg}", if *if_zero { "cbz" } else { "cbnz" }),
            Self::It { cond, mask, body } => {
                write!(f, "it{} {cond}", mask.letters(*cond).collect::<String>())?;
                body.iter().try_for_each(|inst| write!(f, "; {inst}"))
            }
            Self::Either { cond, if_true, if_false } => {
                write!(f, "if {cond}")?;
                if_true.iter().try_for_each(|inst| write!(f, "; {inst}"))?;
                f.write_str("; else")?;
                if_false.iter().try_for_each(|inst| write!(f, "; {inst}"))
            }
            Self::AddressHalf { op, dst, symbol, offset } => write!(f, "{op} {dst}, {symbol} + {offset}"),
            Self::LoadLiteral { dst, literal, .. } => write!(f, "ldr {dst}, ={literal:?}"),
            Self::Pool { words } => write!(f, "pool {words:?}"),
        }
    }
}

impl<R: Register> fmt::Display for Callee<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Func(func) => write!(f, "{func}"),
            Self::Code(reg) => write!(f, "[{reg}]"),
        }
    }
}
