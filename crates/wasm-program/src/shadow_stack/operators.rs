//! Classes of operators that the recognition of the shadow stack tells apart.

use wasmparser::{BlockType, ContType, FrameKind, MemArg, ModuleArity, Operator, RefType, SubType};

use crate::atomics::{Action, atomic};
use crate::module_info::{MAIN_MEMORY, memory_of};
use crate::vectors;

/// Whether an operator compares two integers.
pub fn is_comparison(op: &Operator<'_>) -> bool {
    use Operator as Op;
    matches!(
        op,
        Op::I32Eq
            | Op::I32Ne
            | Op::I32LtS
            | Op::I32LtU
            | Op::I32GtS
            | Op::I32GtU
            | Op::I32LeS
            | Op::I32LeU
            | Op::I32GeS
            | Op::I32GeU
            | Op::I64Eq
            | Op::I64Ne
            | Op::I64LtS
            | Op::I64LtU
            | Op::I64GtS
            | Op::I64GtU
            | Op::I64LeS
            | Op::I64LeU
            | Op::I64GeS
            | Op::I64GeU
    )
}

/// Whether this asks which of two integers is greater.
pub fn is_ordering(op: &Operator<'_>) -> bool {
    use Operator as Op;
    is_comparison(op) && !matches!(op, Op::I32Eq | Op::I32Ne | Op::I64Eq | Op::I64Ne)
}

/// Whether this compares two integers of 32 bits as signed numbers.
pub fn is_signed(op: &Operator<'_>) -> bool {
    matches!(op, Operator::I32LtS | Operator::I32GtS | Operator::I32LeS | Operator::I32GeS)
}

/// The result for two constants.
pub fn folded(op: &Operator<'_>, a: i32, b: i32) -> Option<i32> {
    match op {
        Operator::I32Add => Some(a.wrapping_add(b)),
        Operator::I32Sub => Some(a.wrapping_sub(b)),
        Operator::I32Mul => Some(a.wrapping_mul(b)),
        Operator::I32And => Some(a & b),
        Operator::I32Or => Some(a | b),
        Operator::I32Xor => Some(a ^ b),
        Operator::I32Shl => Some(a.wrapping_shl(b as u32)),
        Operator::I32ShrU => Some((a as u32).wrapping_shr(b as u32) as i32),
        _ => None,
    }
}

/// Whether the result is a number, never an address.
pub fn is_numeric(op: &Operator<'_>) -> bool {
    use Operator as Op;
    matches!(
        op,
        Op::I32Eqz
            | Op::I64Eqz
            | Op::I32DivS
            | Op::I32DivU
            | Op::I32RemS
            | Op::I32RemU
            | Op::I32ShrS
            | Op::I32ShrU
            | Op::I32Clz
            | Op::I32Ctz
            | Op::I32Popcnt
            | Op::I32Extend8S
            | Op::I32Extend16S
            | Op::I32TruncF32S
            | Op::I32TruncF32U
            | Op::I32TruncF64S
            | Op::I32TruncF64U
            | Op::I32TruncSatF32S
            | Op::I32TruncSatF32U
            | Op::I32TruncSatF64S
            | Op::I32TruncSatF64U
            | Op::F32Eq
            | Op::F32Ne
            | Op::F32Lt
            | Op::F32Gt
            | Op::F32Le
            | Op::F32Ge
            | Op::F64Eq
            | Op::F64Ne
            | Op::F64Lt
            | Op::F64Gt
            | Op::F64Le
            | Op::F64Ge
    )
}

/// Whether this loads fewer bytes than an address has.
pub fn is_narrow_load(op: &Operator<'_>) -> bool {
    use Operator as Op;
    matches!(op, Op::I32Load8S { .. } | Op::I32Load8U { .. } | Op::I32Load16S { .. } | Op::I32Load16U { .. })
}

/// The module for [`Operator::operator_arity`] of operators with a fixed arity: no facts are needed.
pub struct FixedArity;

impl ModuleArity for FixedArity {
    fn sub_type_at(&self, _: u32) -> Option<&SubType> {
        None
    }
    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }
    fn type_index_of_function(&self, _: u32) -> Option<u32> {
        None
    }
    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&wasmparser::FuncType> {
        None
    }
    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }
    fn control_stack_height(&self) -> u32 {
        0
    }
    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}

/// What an operator says of its access to the main memory.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Bytes from the operand to the first byte.
    pub offset: u32,
    /// Bytes that are accessed.
    pub bytes: u32,
    /// The alignment of the first byte, in bytes. WebAssembly doesn't rely on it.
    pub align: u32,
}

/// The access of an operator to the main memory.
pub fn memory_access(op: &Operator<'_>) -> Option<Access> {
    let (memarg, bytes) = access(op)?;
    let access = Access { offset: memarg.offset as u32, bytes, align: 1 << memarg.align };
    (memory_of(memarg) == MAIN_MEMORY).then_some(access)
}

/// Whether an operator accesses another memory than the main memory.
pub fn is_elsewhere(op: &Operator<'_>) -> bool {
    access(op).is_some_and(|(memarg, _)| memory_of(memarg) != MAIN_MEMORY)
}

/// Whether an operator stores an `i32`.
pub fn stores_word(op: &Operator<'_>) -> bool {
    let is_atomic_store = atomic(op).is_some_and(|atomic| {
        atomic.bytes == 4 && !matches!(atomic.action, Action::Load | Action::Notify | Action::Wait)
    });
    matches!(op, Operator::I32Store { .. }) || is_atomic_store
}

/// Whether an operator loads an `i32`.
pub fn loads_word(op: &Operator<'_>) -> bool {
    let is_atomic_load = atomic(op).is_some_and(|atomic| {
        atomic.bytes == 4 && !matches!(atomic.action, Action::Store | Action::Notify | Action::Wait)
    });
    matches!(op, Operator::I32Load { .. }) || is_atomic_load
}

/// The immediate and the width of an access.
fn access(op: &Operator<'_>) -> Option<(MemArg, u32)> {
    plain_access(op).or_else(|| atomic(op).map(|atomic| (atomic.memarg, atomic.bytes)))
}

/// The immediate and the width of a load or store.
fn plain_access(op: &Operator<'_>) -> Option<(MemArg, u32)> {
    use Operator as Op;
    let access = |memarg: MemArg, bytes| Some((memarg, bytes));
    match *op {
        Op::I32Load8S { memarg }
        | Op::I32Load8U { memarg }
        | Op::I64Load8S { memarg }
        | Op::I64Load8U { memarg }
        | Op::I32Store8 { memarg }
        | Op::I64Store8 { memarg } => access(memarg, 1),
        Op::I32Load16S { memarg }
        | Op::I32Load16U { memarg }
        | Op::I64Load16S { memarg }
        | Op::I64Load16U { memarg }
        | Op::I32Store16 { memarg }
        | Op::I64Store16 { memarg } => access(memarg, 2),
        Op::I32Load { memarg }
        | Op::F32Load { memarg }
        | Op::I64Load32S { memarg }
        | Op::I64Load32U { memarg }
        | Op::I32Store { memarg }
        | Op::F32Store { memarg }
        | Op::I64Store32 { memarg } => access(memarg, 4),
        Op::I64Load { memarg }
        | Op::F64Load { memarg }
        | Op::I64Store { memarg }
        | Op::F64Store { memarg } => access(memarg, 8),
        _ => vectors::memory_access(op).and_then(|(memarg, bytes)| access(memarg, bytes)),
    }
}
