//! The atomic operators.
//!
//! Every family has the same seven widths: all of an `i32` or `i64`, or a narrower integer that is zero-extended.

use wasmparser::{MemArg, Operator};

/// The action of an atomic operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum Action {
    Notify,
    Wait,
    Load,
    Store,
    Add,
    Sub,
    And,
    Or,
    Xor,
    Exchange,
    CompareExchange,
}

/// An atomic operator on memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Atomic {
    /// Its immediate.
    pub memarg: MemArg,
    /// Bytes of the access. The address must be a multiple of it.
    pub bytes: u32,
    /// Whether its value is an `i64`, not an `i32`.
    pub is_wide: bool,
    /// Its action.
    pub action: Action,
}

/// Matches an operator against rows of an action and its seven widths.
macro_rules! families {
    ($op:expr, $($action:ident: $i32:ident $i64:ident $i32_8:ident $i32_16:ident $i64_8:ident $i64_16:ident
        $i64_32:ident;)*) => {
        match *$op {
            $(
                Operator::$i32 { memarg } => Some((memarg, 4, false, Action::$action)),
                Operator::$i64 { memarg } => Some((memarg, 8, true, Action::$action)),
                Operator::$i32_8 { memarg } => Some((memarg, 1, false, Action::$action)),
                Operator::$i32_16 { memarg } => Some((memarg, 2, false, Action::$action)),
                Operator::$i64_8 { memarg } => Some((memarg, 1, true, Action::$action)),
                Operator::$i64_16 { memarg } => Some((memarg, 2, true, Action::$action)),
                Operator::$i64_32 { memarg } => Some((memarg, 4, true, Action::$action)),
            )*
            Operator::MemoryAtomicNotify { memarg } => Some((memarg, 4, false, Action::Notify)),
            Operator::MemoryAtomicWait32 { memarg } => Some((memarg, 4, false, Action::Wait)),
            Operator::MemoryAtomicWait64 { memarg } => Some((memarg, 8, true, Action::Wait)),
            _ => None,
        }
    };
}

/// The atomic operator on memory that `op` is.
pub fn atomic(op: &Operator<'_>) -> Option<Atomic> {
    let (memarg, bytes, is_wide, action) = families! { op,
        Load: I32AtomicLoad I64AtomicLoad I32AtomicLoad8U I32AtomicLoad16U I64AtomicLoad8U I64AtomicLoad16U
            I64AtomicLoad32U;
        Store: I32AtomicStore I64AtomicStore I32AtomicStore8 I32AtomicStore16 I64AtomicStore8 I64AtomicStore16
            I64AtomicStore32;
        Add: I32AtomicRmwAdd I64AtomicRmwAdd I32AtomicRmw8AddU I32AtomicRmw16AddU I64AtomicRmw8AddU
            I64AtomicRmw16AddU I64AtomicRmw32AddU;
        Sub: I32AtomicRmwSub I64AtomicRmwSub I32AtomicRmw8SubU I32AtomicRmw16SubU I64AtomicRmw8SubU
            I64AtomicRmw16SubU I64AtomicRmw32SubU;
        And: I32AtomicRmwAnd I64AtomicRmwAnd I32AtomicRmw8AndU I32AtomicRmw16AndU I64AtomicRmw8AndU
            I64AtomicRmw16AndU I64AtomicRmw32AndU;
        Or: I32AtomicRmwOr I64AtomicRmwOr I32AtomicRmw8OrU I32AtomicRmw16OrU I64AtomicRmw8OrU I64AtomicRmw16OrU
            I64AtomicRmw32OrU;
        Xor: I32AtomicRmwXor I64AtomicRmwXor I32AtomicRmw8XorU I32AtomicRmw16XorU I64AtomicRmw8XorU
            I64AtomicRmw16XorU I64AtomicRmw32XorU;
        Exchange: I32AtomicRmwXchg I64AtomicRmwXchg I32AtomicRmw8XchgU I32AtomicRmw16XchgU I64AtomicRmw8XchgU
            I64AtomicRmw16XchgU I64AtomicRmw32XchgU;
        CompareExchange: I32AtomicRmwCmpxchg I64AtomicRmwCmpxchg I32AtomicRmw8CmpxchgU I32AtomicRmw16CmpxchgU
            I64AtomicRmw8CmpxchgU I64AtomicRmw16CmpxchgU I64AtomicRmw32CmpxchgU;
    }?;
    Some(Atomic { memarg, bytes, is_wide, action })
}
