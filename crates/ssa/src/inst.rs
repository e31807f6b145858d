//! The instructions of the SSA form; the list is closed.
//!
//! Integer instructions exist for `i32` and `i64`, float instructions for `f32` and `f64`; the operand type is stored
//! where the operands don't imply it. Only [`InstData::Load`] and [`InstData::Store`] (at an inaccessible address),
//! calls and [`InstData::Trap`] can trap. Every other wasm trap is an explicit branch that the frontend emitted.

use crate::ids::{Block, DataId, FrameSlot, FuncId, SigId, Value};
use crate::ops::{BinaryOp, Cond, FCond, MemType, Type, UnaryOp};

/// Properties of a memory access.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MemFlags {
    /// The access must happen even if its result is unused, and in order with other volatile accesses.
    pub volatile: bool,
    /// The address is known to be a multiple of `1 << align_log2`.
    pub align_log2: u8,
}

/// A machine address: `base + index + offset`, modulo 2^32.
///
/// A wasm address `a` is the machine address `Addr { base: Some(linear memory), index: Some(a), .. }`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Addr {
    /// A data object whose address is added.
    pub base: Option<DataId>,
    /// An `i32` value that is added.
    pub index: Option<Value>,
    /// A constant that is added.
    pub offset: i32,
}

/// The reason of a trap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TrapCode {
    /// `unreachable`.
    Unreachable,
    /// A memory access or bulk operation out of bounds.
    MemoryOutOfBounds,
    /// A table access or bulk operation out of bounds.
    TableOutOfBounds,
    /// A null or wrongly typed function in `call_indirect`.
    BadSignature,
    /// Integer division by zero.
    DivideByZero,
    /// Signed division or float conversion that overflows.
    IntegerOverflow,
    /// Float to integer of a NaN.
    BadConversion,
    /// A float operator under `--floats trap`.
    Float,
    /// A call to an import that is mapped to `trap`.
    Import,
    /// An atomic access whose address is not a multiple of its width.
    UnalignedAtomic,
    /// An atomic wait without a timeout, which would never end as there is only one thread.
    EndlessWait,
    /// An atomic wait on a memory that is not shared.
    UnsharedWait,
    /// An exception that nothing catches.
    Exception,
    /// A null reference where wasm requires another.
    NullReference,
}

impl TrapCode {
    /// The intrinsic that reports a trap before it happens, `(i32, i32) -> ()`. Its arguments are the
    /// [`number`](Self::number) and the offset of the operator in the module, or [`NO_OFFSET`](Self::NO_OFFSET).
    pub const REPORT: &str = "__wasm_trap_at";
    /// The offset of a trap that no operator of the module made.
    pub const NO_OFFSET: u32 = u32::MAX;

    /// The number of the reason in firmware: the operand of an undefined instruction, or the argument of a handler.
    pub const fn number(self) -> u32 {
        match self {
            Self::Unreachable => 0,
            Self::IntegerOverflow => 1,
            Self::DivideByZero => 2,
            Self::MemoryOutOfBounds => 3,
            Self::TableOutOfBounds => 4,
            Self::BadSignature => 5,
            Self::BadConversion => 6,
            Self::Float => 7,
            Self::Import => 8,
            Self::UnalignedAtomic => 9,
            Self::EndlessWait => 10,
            Self::UnsharedWait => 11,
            Self::Exception => 12,
            Self::NullReference => 13,
        }
    }
}

/// A branch target with the values of its parameters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BlockCall {
    /// The target.
    pub block: Block,
    /// One value per block parameter.
    pub args: Vec<Value>,
}

/// One instruction. Its results are in [`crate::Function::results`].
#[derive(Clone, PartialEq, Debug)]
pub enum InstData {
    /// An integer constant; `i32` constants are stored sign-extended. Floats are stored as their bits, `f32`
    /// zero-extended.
    Const {
        /// Type of the result.
        ty: Type,
        /// The value or its bits.
        bits: i64,
    },
    /// The machine address of a data object plus a constant, as `i32`.
    DataAddr {
        /// The object.
        data: DataId,
        /// Added to its address.
        offset: i32,
    },
    /// The wasm address (machine address minus linear memory's base) of a stack object, as `i32`.
    FrameAddr {
        /// The object.
        slot: FrameSlot,
    },
    /// A function reference: an opaque `i64` whose low half is the code address that
    /// [`InstData::CallIndirect`] takes and whose high half is the signature's id plus one. Null is 0.
    FuncRef {
        /// The function.
        func: FuncId,
    },
    /// One operand.
    Unary {
        /// The operation.
        op: UnaryOp,
        /// Type of the result.
        ty: Type,
        /// The operand.
        arg: Value,
    },
    /// Two operands.
    Binary {
        /// The operation.
        op: BinaryOp,
        /// Type of operands and result.
        ty: Type,
        /// The operands.
        args: [Value; 2],
    },
    /// Integer comparison, result 0 or 1 as `i32`.
    Icmp {
        /// The relation.
        cond: Cond,
        /// Type of the operands.
        ty: Type,
        /// The operands.
        args: [Value; 2],
    },
    /// Float comparison, result 0 or 1 as `i32`.
    Fcmp {
        /// The relation.
        cond: FCond,
        /// Type of the operands.
        ty: Type,
        /// The operands.
        args: [Value; 2],
    },
    /// `if cond { if_true } else { if_false }`, both evaluated.
    Select {
        /// Type of the result.
        ty: Type,
        /// 0 or 1.
        cond: Value,
        /// Result for 1.
        if_true: Value,
        /// Result for 0.
        if_false: Value,
    },
    /// A memory read.
    Load {
        /// Width and extension.
        mem: MemType,
        /// Type of the result.
        ty: Type,
        /// The address.
        addr: Addr,
        /// Its properties.
        flags: MemFlags,
    },
    /// A memory write of the low bytes of a value (`S8`, `S16`, `S32` are not used here).
    Store {
        /// Width.
        mem: MemType,
        /// The address.
        addr: Addr,
        /// The value.
        value: Value,
        /// Its properties.
        flags: MemFlags,
    },
    /// A direct call, also of an import or intrinsic.
    Call {
        /// The callee.
        func: FuncId,
        /// One value per parameter.
        args: Vec<Value>,
    },
    /// A call to a code address: the low half of a function reference whose signature was checked.
    CallIndirect {
        /// Signature of the callee.
        sig: SigId,
        /// Code address, `i32`.
        callee: Value,
        /// One value per parameter.
        args: Vec<Value>,
    },
    /// Terminator: goes to a block.
    Jump {
        /// The target.
        to: BlockCall,
    },
    /// Terminator: goes to one of two blocks.
    Branch {
        /// 0 or 1.
        cond: Value,
        /// Target for 1.
        if_true: BlockCall,
        /// Target for 0.
        if_false: BlockCall,
    },
    /// Terminator: goes to one of many blocks. Case values are distinct and sorted (as signed numbers of the type).
    Switch {
        /// Type of the value.
        ty: Type,
        /// The value compared with the cases.
        value: Value,
        /// Case values with their targets.
        cases: Vec<(i64, BlockCall)>,
        /// The target for every other value.
        default: BlockCall,
    },
    /// Terminator: returns to the caller.
    Return {
        /// One value per result.
        args: Vec<Value>,
    },
    /// Terminator: a direct tail call.
    TailCall {
        /// The callee.
        func: FuncId,
        /// One value per parameter.
        args: Vec<Value>,
    },
    /// Terminator: a tail call to a code address.
    TailCallIndirect {
        /// Signature of the callee.
        sig: SigId,
        /// Code address, `i32`.
        callee: Value,
        /// One value per parameter.
        args: Vec<Value>,
    },
    /// Terminator: stops the program.
    Trap {
        /// The reason.
        code: TrapCode,
    },
}

impl InstData {
    /// Whether this ends a block.
    pub const fn is_terminator(&self) -> bool {
        matches!(
            self,
            Self::Jump { .. }
                | Self::Branch { .. }
                | Self::Switch { .. }
                | Self::Return { .. }
                | Self::TailCall { .. }
                | Self::TailCallIndirect { .. }
                | Self::Trap { .. }
        )
    }

    /// Whether this may be dropped when its results are unused and moved as long as its operands are available.
    /// Loads are not pure.
    pub const fn is_pure(&self) -> bool {
        matches!(
            self,
            Self::Const { .. }
                | Self::DataAddr { .. }
                | Self::FrameAddr { .. }
                | Self::FuncRef { .. }
                | Self::Unary { .. }
                | Self::Binary { .. }
                | Self::Icmp { .. }
                | Self::Fcmp { .. }
                | Self::Select { .. }
        )
    }

    /// The function it names: the callee of a direct call, or the function of a reference.
    pub const fn func(&self) -> Option<FuncId> {
        match self {
            Self::Call { func, .. } | Self::TailCall { func, .. } | Self::FuncRef { func } => Some(*func),
            _ => None,
        }
    }

    /// The function it names, mutably.
    pub const fn func_mut(&mut self) -> Option<&mut FuncId> {
        match self {
            Self::Call { func, .. } | Self::TailCall { func, .. } | Self::FuncRef { func } => Some(func),
            _ => None,
        }
    }

    /// The data object it names: its address is computed, or is the base of an access.
    pub const fn object(&self) -> Option<DataId> {
        match self {
            Self::DataAddr { data, .. } => Some(*data),
            Self::Load { addr, .. } | Self::Store { addr, .. } => addr.base,
            _ => None,
        }
    }

    /// The data object it names, mutably.
    pub const fn object_mut(&mut self) -> Option<&mut DataId> {
        match self {
            Self::DataAddr { data, .. } => Some(data),
            Self::Load { addr, .. } | Self::Store { addr, .. } => addr.base.as_mut(),
            _ => None,
        }
    }

    /// The signature that an indirect call names.
    pub const fn sig(&self) -> Option<SigId> {
        match self {
            Self::CallIndirect { sig, .. } | Self::TailCallIndirect { sig, .. } => Some(*sig),
            _ => None,
        }
    }

    /// The signature that an indirect call names, mutably.
    pub const fn sig_mut(&mut self) -> Option<&mut SigId> {
        match self {
            Self::CallIndirect { sig, .. } | Self::TailCallIndirect { sig, .. } => Some(sig),
            _ => None,
        }
    }

    /// Calls `f` for every operand, block arguments included, in a fixed order.
    pub fn for_each_arg(&self, mut f: impl FnMut(Value)) {
        match self {
            Self::Const { .. } | Self::DataAddr { .. } | Self::FrameAddr { .. } | Self::FuncRef { .. } => {}
            Self::Trap { .. } => {}
            Self::Unary { arg, .. } => f(*arg),
            Self::Binary { args, .. } | Self::Icmp { args, .. } | Self::Fcmp { args, .. } => {
                args.iter().copied().for_each(f);
            }
            Self::Select { cond, if_true, if_false, .. } => {
                [*cond, *if_true, *if_false].into_iter().for_each(f)
            }
            Self::Load { addr, .. } => addr.index.into_iter().for_each(f),
            Self::Store { addr, value, .. } => addr.index.into_iter().chain([*value]).for_each(f),
            Self::Call { args, .. } | Self::TailCall { args, .. } | Self::Return { args } => {
                args.iter().copied().for_each(f);
            }
            Self::CallIndirect { callee, args, .. } | Self::TailCallIndirect { callee, args, .. } => {
                f(*callee);
                args.iter().copied().for_each(f);
            }
            Self::Jump { to } => to.args.iter().copied().for_each(f),
            Self::Branch { cond, if_true, if_false } => {
                f(*cond);
                if_true.args.iter().chain(&if_false.args).copied().for_each(f);
            }
            Self::Switch { value, cases, default, .. } => {
                f(*value);
                cases.iter().flat_map(|(_, to)| &to.args).chain(&default.args).copied().for_each(f);
            }
        }
    }

    /// Replaces every operand by `f` of it, in the order of [`for_each_arg`](Self::for_each_arg).
    pub fn map_args(&mut self, mut f: impl FnMut(Value) -> Value) {
        let mut set = |v: &mut Value| *v = f(*v);
        match self {
            Self::Const { .. } | Self::DataAddr { .. } | Self::FrameAddr { .. } | Self::FuncRef { .. } => {}
            Self::Trap { .. } => {}
            Self::Unary { arg, .. } => set(arg),
            Self::Binary { args, .. } | Self::Icmp { args, .. } | Self::Fcmp { args, .. } => {
                args.iter_mut().for_each(set);
            }
            Self::Select { cond, if_true, if_false, .. } => {
                [cond, if_true, if_false].into_iter().for_each(set)
            }
            Self::Load { addr, .. } => addr.index.iter_mut().for_each(set),
            Self::Store { addr, value, .. } => addr.index.iter_mut().chain([value]).for_each(set),
            Self::Call { args, .. } | Self::TailCall { args, .. } | Self::Return { args } => {
                args.iter_mut().for_each(set);
            }
            Self::CallIndirect { callee, args, .. } | Self::TailCallIndirect { callee, args, .. } => {
                set(callee);
                args.iter_mut().for_each(set);
            }
            Self::Jump { to } => to.args.iter_mut().for_each(set),
            Self::Branch { cond, if_true, if_false } => {
                set(cond);
                if_true.args.iter_mut().chain(&mut if_false.args).for_each(set);
            }
            Self::Switch { value, cases, default, .. } => {
                set(value);
                cases.iter_mut().flat_map(|(_, to)| &mut to.args).chain(&mut default.args).for_each(set);
            }
        }
    }

    /// The successors, in a fixed order (cases before the default); empty unless this is a branching terminator.
    pub fn successors(&self) -> Vec<&BlockCall> {
        match self {
            Self::Jump { to } => vec![to],
            Self::Branch { if_true, if_false, .. } => vec![if_true, if_false],
            Self::Switch { cases, default, .. } => cases.iter().map(|(_, to)| to).chain([default]).collect(),
            _ => Vec::new(),
        }
    }

    /// The successors, mutably, in the order of [`successors`](Self::successors).
    pub fn successors_mut(&mut self) -> Vec<&mut BlockCall> {
        match self {
            Self::Jump { to } => vec![to],
            Self::Branch { if_true, if_false, .. } => vec![if_true, if_false],
            Self::Switch { cases, default, .. } => {
                cases.iter_mut().map(|(_, to)| to).chain([default]).collect()
            }
            _ => Vec::new(),
        }
    }
}
