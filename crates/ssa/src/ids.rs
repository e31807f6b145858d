//! Ids of the parts of a program, which instructions name, and of the parts of a function.

use crate::entity_id;

entity_id! {
    /// A function: defined, imported or intrinsic.
    FuncId = "f";
    /// A signature. Two ids with the same shape (parameter and result types) represent different wasm types. A
    /// reference to a function of one is not a reference to a function of the other.
    SigId = "sig";
    /// A data object.
    DataId = "d";
    /// A basic block.
    Block = "b";
    /// An instruction.
    Inst = "i";
    /// A value: a block parameter or a result of an instruction.
    Value = "v";
    /// A stack object.
    FrameSlot = "s";
}
