//! Read-only access to LLVM IR through llvm-sys.
//!
//! inkwell's safe interface has no switch case values, no structure of constant expressions, no elements of
//! constant arrays and no integers above 64 bits, and its value enums allocate and dispatch for every
//! operand. The reader needs a few getters that are total and cheap, so they are here, and nowhere else: this
//! folder has all `unsafe` of the libraries.
//!
//! A [`Value`], [`Ty`] or [`Block`] borrows the module it was reached from, so it cannot outlive it. While
//! the module is borrowed nothing can delete parts of it: inkwell's deleting methods are `unsafe` or consume
//! the module. Every getter that LLVM restricts to some kind of value checks the kind first and returns
//! `None` (or a neutral value) for others, so no sequence of safe calls reaches undefined behaviour.
//!
//! The getters change nothing in LLVM. The one function that does, [`offset_bytes`], appends an instruction for the
//! translator that inkwell builds only in `unsafe` code.
#![expect(unsafe_code, reason = "llvm-sys getters and one builder that inkwell has no safe form of")]

pub mod lookup;
pub mod memory;

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::NonNull;

use inkwell::llvm_sys::core::*;
use inkwell::llvm_sys::debuginfo::{
    LLVMDILocationGetInlinedAt, LLVMDILocationGetLine, LLVMDILocationGetScope, LLVMDISubprogramGetLine,
    LLVMGetMetadataKind, LLVMGetSubprogram, LLVMInstructionGetDebugLoc, LLVMMetadataKind,
};
use inkwell::llvm_sys::prelude::{LLVMBasicBlockRef, LLVMTypeRef, LLVMValueRef};
use inkwell::llvm_sys::target::{
    LLVMABISizeOfType, LLVMGetModuleDataLayout, LLVMOffsetOfElement, LLVMStoreSizeOfType, LLVMTargetDataRef,
};
use inkwell::llvm_sys::{LLVMBasicBlock, LLVMType, LLVMValue};
pub use inkwell::llvm_sys::{
    LLVMIntPredicate as IntPredicate, LLVMLinkage as Linkage, LLVMOpcode as Opcode,
    LLVMRealPredicate as RealPredicate, LLVMTailCallKind as TailCallKind, LLVMTypeKind as TypeKind,
    LLVMValueKind as ValueKind,
};

/// A module that is being read.
#[derive(Clone, Copy)]
pub struct Module<'m> {
    functions: Option<Value<'m>>,
    layout: LLVMTargetDataRef,
}

/// Any LLVM value: instruction, argument, constant, global or function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Value<'m>(NonNull<LLVMValue>, PhantomData<&'m ()>);

/// An LLVM type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ty<'m>(NonNull<LLVMType>, PhantomData<&'m ()>);

/// An LLVM basic block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Block<'m>(NonNull<LLVMBasicBlock>, PhantomData<&'m ()>);

impl<'m> Module<'m> {
    /// Starts reading `module`.
    pub fn new(module: &'m inkwell::module::Module<'_>) -> Self {
        let raw = module.as_mut_ptr();
        // SAFETY: `raw` is a live module; its first function, if any, lives as long.
        let functions = Value::new(unsafe { LLVMGetFirstFunction(raw) });
        // SAFETY: the layout is owned by the module.
        Self { functions, layout: unsafe { LLVMGetModuleDataLayout(raw) } }
    }

    /// All functions, declared or defined, in module order.
    pub fn functions(self) -> impl Iterator<Item = Value<'m>> {
        // SAFETY: the iterator starts at and yields functions only.
        std::iter::successors(self.functions, |f| Value::new(unsafe { LLVMGetNextFunction(f.raw()) }))
    }

    /// Distance in bytes between neighbouring elements of an array of `ty`.
    pub fn alloc_size(self, ty: Ty<'m>) -> u64 {
        // SAFETY: every caller passes a type of this module; the layout outlives `'m`.
        if ty.is_sized() { unsafe { LLVMABISizeOfType(self.layout, ty.raw()) } } else { 0 }
    }

    /// Bytes a store of `ty` writes.
    pub fn store_size(self, ty: Ty<'m>) -> u64 {
        // SAFETY: as in `alloc_size`.
        if ty.is_sized() { unsafe { LLVMStoreSizeOfType(self.layout, ty.raw()) } } else { 0 }
    }

    /// Byte offset of a field of a struct; `None` if there is no such field.
    pub fn field_offset(self, ty: Ty<'m>, field: u32) -> Option<u64> {
        let exists = (field as usize) < ty.fields().len();
        // SAFETY: `ty` is a struct type with more than `field` fields.
        exists.then(|| unsafe { LLVMOffsetOfElement(self.layout, ty.raw(), field) })
    }
}

impl<'m> Ty<'m> {
    fn new(raw: LLVMTypeRef) -> Self {
        Self(NonNull::new(raw).expect("LLVM has a type for everything"), PhantomData)
    }

    fn raw(self) -> LLVMTypeRef {
        self.0.as_ptr()
    }

    /// The kind of type.
    pub fn kind(self) -> TypeKind {
        // SAFETY: any type has a kind.
        unsafe { LLVMGetTypeKind(self.raw()) }
    }

    /// Width of an integer type in bits.
    pub fn int_width(self) -> Option<u32> {
        let is_int = self.kind() == TypeKind::LLVMIntegerTypeKind;
        // SAFETY: it is an integer type.
        is_int.then(|| unsafe { LLVMGetIntTypeWidth(self.raw()) })
    }

    fn is_sized(self) -> bool {
        // SAFETY: any type may be asked.
        unsafe { LLVMTypeIsSized(self.raw()) != 0 }
    }

    /// Field types of a struct type; empty for others.
    pub fn fields(self) -> Vec<Ty<'m>> {
        if self.kind() != TypeKind::LLVMStructTypeKind {
            return Vec::new();
        }
        // SAFETY: it is a struct type.
        let count = unsafe { LLVMCountStructElementTypes(self.raw()) };
        // SAFETY: `i` is below the number of fields.
        (0..count).map(|i| Ty::new(unsafe { LLVMStructGetTypeAtIndex(self.raw(), i) })).collect()
    }

    /// Element type and length of an array type.
    pub fn array(self) -> Option<(Ty<'m>, u64)> {
        if self.kind() != TypeKind::LLVMArrayTypeKind {
            return None;
        }
        // SAFETY: it is an array type.
        Some(unsafe { (Ty::new(LLVMGetElementType(self.raw())), LLVMGetArrayLength2(self.raw())) })
    }

    /// Parameter and return types of a function type.
    pub fn signature(self) -> Option<(Vec<Ty<'m>>, Ty<'m>)> {
        if self.kind() != TypeKind::LLVMFunctionTypeKind {
            return None;
        }
        // SAFETY: it is a function type.
        let count = unsafe { LLVMCountParamTypes(self.raw()) } as usize;
        let mut params = vec![std::ptr::null_mut(); count];
        // SAFETY: `params` has room for every parameter, and LLVM fills all of them.
        unsafe { LLVMGetParamTypes(self.raw(), params.as_mut_ptr()) };
        // SAFETY: it is a function type.
        let result = Ty::new(unsafe { LLVMGetReturnType(self.raw()) });
        Some((params.into_iter().map(Ty::new).collect(), result))
    }
}

impl<'m> Block<'m> {
    fn new(raw: LLVMBasicBlockRef) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self(raw, PhantomData))
    }

    /// Its instructions, in order.
    pub fn instructions(self) -> impl Iterator<Item = Value<'m>> {
        // SAFETY: `self` is a live block.
        let first = Value::new(unsafe { LLVMGetFirstInstruction(self.0.as_ptr()) });
        // SAFETY: the iterator starts at and yields instructions only.
        std::iter::successors(first, |i| Value::new(unsafe { LLVMGetNextInstruction(i.raw()) }))
    }

    /// Its last instruction. Panics on a block without one, which LLVM's verifier rejects.
    pub fn terminator(self) -> Value<'m> {
        // SAFETY: `self` is a live block.
        let raw = unsafe { LLVMGetBasicBlockTerminator(self.0.as_ptr()) };
        Value::new(raw).expect("a verified block has a terminator")
    }
}

impl<'m> Value<'m> {
    fn new(raw: LLVMValueRef) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self(raw, PhantomData))
    }

    fn raw(self) -> LLVMValueRef {
        self.0.as_ptr()
    }

    /// The kind of value.
    pub fn kind(self) -> ValueKind {
        // SAFETY: any value has a kind.
        unsafe { LLVMGetValueKind(self.raw()) }
    }

    /// Its type.
    pub fn ty(self) -> Ty<'m> {
        // SAFETY: any value has a type.
        Ty::new(unsafe { LLVMTypeOf(self.raw()) })
    }

    /// Its name; empty if it has none.
    pub fn name(self) -> String {
        let mut len = 0;
        // SAFETY: LLVM returns a pointer to `len` bytes that live as long as the value keeps its name.
        let bytes =
            unsafe { std::slice::from_raw_parts(LLVMGetValueName2(self.raw(), &mut len).cast(), len) };
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Its text, as LLVM prints it.
    pub fn print(self) -> String {
        // SAFETY: LLVM returns a NUL-terminated string that the caller frees.
        unsafe {
            let text = LLVMPrintValueToString(self.raw());
            let owned = CStr::from_ptr(text).to_string_lossy().into_owned();
            LLVMDisposeMessage(text);
            owned
        }
    }

    /// The operation of an instruction or constant expression.
    pub fn opcode(self) -> Option<Opcode> {
        match self.kind() {
            // SAFETY: the kind says it is an instruction.
            ValueKind::LLVMInstructionValueKind => Some(unsafe { LLVMGetInstructionOpcode(self.raw()) }),
            // SAFETY: the kind says it is a constant expression.
            ValueKind::LLVMConstantExprValueKind => Some(unsafe { LLVMGetConstOpcode(self.raw()) }),
            _ => None,
        }
    }

    /// Number of operands; 0 for values that have none.
    pub fn operand_count(self) -> u32 {
        match self.kind() {
            ValueKind::LLVMArgumentValueKind | ValueKind::LLVMBasicBlockValueKind => 0,
            ValueKind::LLVMMetadataAsValueValueKind | ValueKind::LLVMInlineAsmValueKind => 0,
            // SAFETY: all other values (instructions, constants, functions, variables) are users, which have
            // operands.
            _ => unsafe { LLVMGetNumOperands(self.raw()) }.cast_unsigned(),
        }
    }

    /// The n-th operand. Panics if there is none.
    pub fn operand(self, n: u32) -> Value<'m> {
        assert!(n < self.operand_count(), "operand {n} of {}", self.print());
        // SAFETY: `n` is below the number of operands.
        Value::new(unsafe { LLVMGetOperand(self.raw(), n) }).expect("operands are set")
    }

    /// All operands.
    pub fn operands(self) -> impl Iterator<Item = Value<'m>> {
        (0..self.operand_count()).map(move |n| self.operand(n))
    }

    /// The users, one entry per use.
    pub fn users(self) -> impl Iterator<Item = Value<'m>> {
        let first = match self.kind() {
            ValueKind::LLVMInstructionValueKind
            | ValueKind::LLVMArgumentValueKind
            | ValueKind::LLVMFunctionValueKind => {
                // SAFETY: instructions, arguments and functions have use lists.
                NonNull::new(unsafe { LLVMGetFirstUse(self.raw()) })
            }
            _ => None,
        };
        // SAFETY: the iterator starts at and yields uses only; every use has a user.
        let uses = std::iter::successors(first, |u| NonNull::new(unsafe { LLVMGetNextUse(u.as_ptr()) }));
        // SAFETY: as above.
        uses.filter_map(|u| Value::new(unsafe { LLVMGetUser(u.as_ptr()) }))
    }

    /// Bits of an integer constant, zero-extended. Panics above 128 bits, which the reader refuses by type
    /// before.
    pub fn const_int(self) -> Option<u128> {
        if self.kind() != ValueKind::LLVMConstantIntValueKind {
            return None;
        }
        let width = self.ty().int_width()?;
        if width <= 64 {
            // SAFETY: it is an integer constant of at most 64 bits.
            return Some(u128::from(unsafe { LLVMConstIntGetZExtValue(self.raw()) }));
        }
        // LLVM's C interface has no getter for wide integers; the printed form is `iN <signed decimal>`.
        let text = self.print();
        let digits = text.rsplit(' ').next().expect("split yields something");
        let value: i128 = digits.parse().expect("LLVM prints integers in decimal");
        Some(value.cast_unsigned() & (u128::MAX >> (128 - width)))
    }

    /// Bits of a `float` or `double` constant.
    pub fn const_float_bits(self) -> Option<u64> {
        if self.kind() != ValueKind::LLVMConstantFPValueKind {
            return None;
        }
        let mut inexact = 0;
        // SAFETY: it is a float constant.
        let value = unsafe { LLVMConstRealGetDouble(self.raw(), &mut inexact) };
        let single = self.ty().kind() == TypeKind::LLVMFloatTypeKind;
        if value.is_nan() {
            return Some(nan_bits(&self.print(), single));
        }
        Some(if single { u64::from((value as f32).to_bits()) } else { value.to_bits() })
    }

    /// Whether this is undef or poison.
    pub fn is_undef(self) -> bool {
        matches!(self.kind(), ValueKind::LLVMUndefValueValueKind | ValueKind::LLVMPoisonValueKind)
    }

    /// An element of an aggregate constant.
    pub fn aggregate_element(self, index: u32) -> Option<Value<'m>> {
        match self.kind() {
            ValueKind::LLVMConstantArrayValueKind
            | ValueKind::LLVMConstantStructValueKind
            | ValueKind::LLVMConstantDataArrayValueKind
            | ValueKind::LLVMConstantAggregateZeroValueKind
            | ValueKind::LLVMUndefValueValueKind
            | ValueKind::LLVMPoisonValueKind => {
                // SAFETY: it is a constant; LLVM returns null when there is no such element.
                Value::new(unsafe { LLVMGetAggregateElement(self.raw(), index) })
            }
            _ => None,
        }
    }

    /// Line of an instruction's debug location; 0 if it has none.
    pub fn debug_line(self) -> u32 {
        // SAFETY: it is an instruction.
        if self.is_instruction() { unsafe { LLVMGetDebugLocLine(self.raw()) } } else { 0 }
    }

    /// Lines of the calls that an instruction was inlined at, from the innermost to the outermost; empty if it wasn't.
    pub fn inlined_at_lines(self) -> Vec<u32> {
        let mut lines = Vec::new();
        if !self.is_instruction() {
            return lines;
        }
        // SAFETY: it is an instruction; LLVM returns null if it has no location.
        let mut location = unsafe { LLVMInstructionGetDebugLoc(self.raw()) };
        while !location.is_null() {
            // SAFETY: it is a location, which belongs to the context; LLVM returns null if it was not inlined.
            location = unsafe { LLVMDILocationGetInlinedAt(location) };
            if !location.is_null() {
                // SAFETY: it is a location, which belongs to the context.
                lines.push(unsafe { LLVMDILocationGetLine(location) });
            }
        }
        lines
    }

    /// The calls that LLVM replaced by this instruction and others, innermost first: the line of the call, and that of
    /// the called subprogram.
    pub fn inlined_calls(self) -> Vec<[u32; 2]> {
        let mut calls = Vec::new();
        if !self.is_instruction() {
            return calls;
        }
        // SAFETY: it is an instruction; LLVM returns null if it has no location.
        let mut location = unsafe { LLVMInstructionGetDebugLoc(self.raw()) };
        while !location.is_null() {
            // SAFETY: it is a location, which belongs to the context and has a scope.
            let (scope, outer) =
                unsafe { (LLVMDILocationGetScope(location), LLVMDILocationGetInlinedAt(location)) };
            // SAFETY: the scope is metadata of the context.
            let kind = unsafe { LLVMGetMetadataKind(scope) };
            let is_subprogram = matches!(kind, LLVMMetadataKind::LLVMDISubprogramMetadataKind);
            if !outer.is_null() && is_subprogram {
                // SAFETY: the kinds of both are known.
                calls.push(unsafe { [LLVMDILocationGetLine(outer), LLVMDISubprogramGetLine(scope)] });
            }
            location = outer;
        }
        calls
    }

    /// The weights of a terminator's successors, if it has any, in their order.
    pub fn branch_weights(self) -> Option<Vec<u64>> {
        if !self.is_instruction() {
            return None;
        }
        const PROFILE: &CStr = c"prof";
        // SAFETY: any type has a context; the name has the given length.
        let kind = unsafe {
            let context = LLVMGetTypeContext(self.ty().raw());
            LLVMGetMDKindIDInContext(context, PROFILE.as_ptr(), PROFILE.count_bytes() as u32)
        };
        // SAFETY: it is an instruction; LLVM returns null if it has no such metadata.
        let node = NonNull::new(unsafe { LLVMGetMetadata(self.raw(), kind) })?;
        // SAFETY: metadata of instructions are nodes.
        let count = unsafe { LLVMGetMDNodeNumOperands(node.as_ptr()) } as usize;
        let mut operands = vec![std::ptr::null_mut(); count];
        // SAFETY: `operands` has room for every operand, and LLVM fills all of them.
        unsafe { LLVMGetMDNodeOperands(node.as_ptr(), operands.as_mut_ptr()) };
        // Before the weights is a string or two.
        let weights = operands.into_iter().filter_map(Value::new).filter_map(Value::const_int);
        Some(weights.map(|weight| weight as u64).collect())
    }

    /// Line of a function's debug subprogram; 0 if it has none.
    pub fn subprogram_line(self) -> u32 {
        if !self.is_function() {
            return 0;
        }
        // SAFETY: it is a function.
        let subprogram = unsafe { LLVMGetSubprogram(self.raw()) };
        // SAFETY: it is a subprogram, which belongs to the context.
        if subprogram.is_null() { 0 } else { unsafe { LLVMDISubprogramGetLine(subprogram) } }
    }

    fn is_instruction(self) -> bool {
        self.kind() == ValueKind::LLVMInstructionValueKind
    }

    fn is_function(self) -> bool {
        self.kind() == ValueKind::LLVMFunctionValueKind
    }

    fn is_global(self) -> bool {
        self.kind() == ValueKind::LLVMGlobalVariableValueKind
    }

    fn has_opcode(self, opcode: Opcode) -> bool {
        self.opcode() == Some(opcode)
    }

    fn is_inst(self, opcode: Opcode) -> bool {
        self.kind() == ValueKind::LLVMInstructionValueKind && self.has_opcode(opcode)
    }
}

/// Functions and global variables.
impl<'m> Value<'m> {
    /// Whether this is a function or variable without a definition.
    pub fn is_declaration(self) -> bool {
        // SAFETY: it is a global value.
        (self.is_function() || self.is_global()) && unsafe { LLVMIsDeclaration(self.raw()) != 0 }
    }

    /// Linkage of a function or global variable.
    pub fn linkage(self) -> Option<Linkage> {
        // SAFETY: it is a global value.
        (self.is_function() || self.is_global()).then(|| unsafe { LLVMGetLinkage(self.raw()) })
    }

    /// Alignment of a global variable in bytes; 1 if it has none of its own.
    pub fn global_alignment(self) -> u32 {
        // SAFETY: it is a global variable.
        if self.is_global() { unsafe { LLVMGetAlignment(self.raw()) }.max(1) } else { 1 }
    }

    /// The type of a function's calls or of a variable's contents.
    pub fn global_type(self) -> Option<Ty<'m>> {
        // SAFETY: it is a global value.
        (self.is_function() || self.is_global())
            .then(|| Ty::new(unsafe { LLVMGlobalGetValueType(self.raw()) }))
    }

    /// The initial value of a global variable that is never written.
    pub fn constant_initializer(self) -> Option<Value<'m>> {
        // SAFETY: it is a global variable.
        if !self.is_global() || unsafe { LLVMIsGlobalConstant(self.raw()) == 0 } {
            return None;
        }
        // SAFETY: as above; LLVM returns null for declarations.
        Value::new(unsafe { LLVMGetInitializer(self.raw()) })
    }

    /// Parameters of a function.
    pub fn params(self) -> Vec<Value<'m>> {
        if !self.is_function() {
            return Vec::new();
        }
        // SAFETY: it is a function.
        let count = unsafe { LLVMCountParams(self.raw()) };
        // SAFETY: `n` is below the number of parameters.
        (0..count).filter_map(|n| Value::new(unsafe { LLVMGetParam(self.raw(), n) })).collect()
    }

    /// The entry block of a defined function.
    pub fn entry_block(self) -> Option<Block<'m>> {
        let defined = self.is_function() && !self.is_declaration();
        // SAFETY: it is a function with a body.
        defined.then(|| Block::new(unsafe { LLVMGetEntryBasicBlock(self.raw()) })).flatten()
    }

    /// The blocks of a function.
    pub fn blocks(self) -> Vec<Block<'m>> {
        if !self.is_function() {
            return Vec::new();
        }
        // SAFETY: it is a function; a declaration has no blocks.
        let first = Block::new(unsafe { LLVMGetFirstBasicBlock(self.raw()) });
        // SAFETY: the iterator starts at and yields blocks only.
        let next = |block: &Block<'m>| Block::new(unsafe { LLVMGetNextBasicBlock(block.0.as_ptr()) });
        std::iter::successors(first, next).collect()
    }

    /// Whether a function has the enum attribute `name`.
    pub fn has_attribute(self, name: &str) -> bool {
        const FUNCTION_INDEX: u32 = u32::MAX;
        if !self.is_function() {
            return false;
        }
        // SAFETY: the name is passed with its length; the value is a function.
        unsafe {
            let kind = LLVMGetEnumAttributeKindForName(name.as_ptr().cast(), name.len());
            !LLVMGetEnumAttributeAtIndex(self.raw(), FUNCTION_INDEX, kind).is_null()
        }
    }
}

/// Instructions and constant expressions of one opcode.
impl<'m> Value<'m> {
    /// Relation of an integer or pointer comparison.
    pub fn int_predicate(self) -> Option<IntPredicate> {
        // SAFETY: it is an `icmp`.
        self.has_opcode(Opcode::LLVMICmp).then(|| unsafe { LLVMGetICmpPredicate(self.raw()) })
    }

    /// Relation of a float comparison.
    pub fn real_predicate(self) -> Option<RealPredicate> {
        // SAFETY: it is an `fcmp`.
        self.has_opcode(Opcode::LLVMFCmp).then(|| unsafe { LLVMGetFCmpPredicate(self.raw()) })
    }

    /// The type by which a `getelementptr` steps.
    pub fn gep_source_type(self) -> Option<Ty<'m>> {
        let is_gep = self.has_opcode(Opcode::LLVMGetElementPtr);
        // SAFETY: it is a `getelementptr`, as an instruction or an expression.
        is_gep.then(|| Ty::new(unsafe { LLVMGetGEPSourceElementType(self.raw()) }))
    }

    /// Incoming values of a phi with their blocks.
    pub fn incoming(self) -> Vec<(Value<'m>, Block<'m>)> {
        if !self.is_inst(Opcode::LLVMPHI) {
            return Vec::new();
        }
        // SAFETY: it is a phi, and `n` is below the number of its incoming edges.
        let edge = |n| unsafe {
            let value = Value::new(LLVMGetIncomingValue(self.raw(), n));
            value.zip(Block::new(LLVMGetIncomingBlock(self.raw(), n)))
        };
        // SAFETY: it is a phi.
        (0..unsafe { LLVMCountIncoming(self.raw()) }).filter_map(edge).collect()
    }

    /// Successors of a branching terminator; a switch's default comes first.
    pub fn successors(self) -> Vec<Block<'m>> {
        if !self.is_inst(Opcode::LLVMBr) && !self.is_inst(Opcode::LLVMSwitch) {
            return Vec::new();
        }
        // SAFETY: it is a terminator.
        let count = unsafe { LLVMGetNumSuccessors(self.raw()) };
        // SAFETY: `n` is below the number of successors.
        (0..count).filter_map(|n| Block::new(unsafe { LLVMGetSuccessor(self.raw(), n) })).collect()
    }

    /// The condition of a conditional branch, the value of a switch.
    pub fn condition(self) -> Option<Value<'m>> {
        if self.is_inst(Opcode::LLVMSwitch) {
            return Some(self.operand(0));
        }
        // SAFETY: it is a branch.
        let conditional = self.is_inst(Opcode::LLVMBr) && unsafe { LLVMIsConditional(self.raw()) != 0 };
        // SAFETY: it is a branch with a condition.
        conditional.then(|| Value::new(unsafe { LLVMGetCondition(self.raw()) })).flatten()
    }

    /// The case value that leads to the n-th successor of a switch; the default (0) has none.
    pub fn case_value(self, successor: u32) -> Option<Value<'m>> {
        if !self.is_inst(Opcode::LLVMSwitch) || successor == 0 {
            return None;
        }
        // SAFETY: it is a terminator.
        let exists = successor < unsafe { LLVMGetNumSuccessors(self.raw()) };
        // SAFETY: it is a switch, and `successor` is one of its cases.
        exists.then(|| Value::new(unsafe { LLVMGetSwitchCaseValue(self.raw(), successor) })).flatten()
    }

    /// The callee of a call.
    pub fn callee(self) -> Option<Value<'m>> {
        // SAFETY: it is a call.
        self.is_inst(Opcode::LLVMCall)
            .then(|| Value::new(unsafe { LLVMGetCalledValue(self.raw()) }))
            .flatten()
    }

    /// The function type of a call.
    pub fn called_type(self) -> Option<Ty<'m>> {
        // SAFETY: it is a call.
        self.is_inst(Opcode::LLVMCall).then(|| Ty::new(unsafe { LLVMGetCalledFunctionType(self.raw()) }))
    }

    /// Arguments of a call.
    pub fn arguments(self) -> Vec<Value<'m>> {
        if !self.is_inst(Opcode::LLVMCall) {
            return Vec::new();
        }
        // SAFETY: it is a call.
        let count = unsafe { LLVMGetNumArgOperands(self.raw()) };
        (0..count).map(|n| self.operand(n)).collect()
    }

    /// Whether a call is marked `musttail`.
    pub fn is_must_tail(self) -> bool {
        // SAFETY: it is a call.
        self.is_inst(Opcode::LLVMCall)
            && unsafe { LLVMGetTailCallKind(self.raw()) } == TailCallKind::LLVMTailCallKindMustTail
    }

    /// Field indices of `extractvalue` and `insertvalue`.
    pub fn indices(self) -> Vec<u32> {
        if !self.is_inst(Opcode::LLVMExtractValue) && !self.is_inst(Opcode::LLVMInsertValue) {
            return Vec::new();
        }
        // SAFETY: both instructions own an array of that many indices.
        unsafe {
            std::slice::from_raw_parts(LLVMGetIndices(self.raw()), LLVMGetNumIndices(self.raw()) as usize)
                .to_vec()
        }
    }

    fn is_memory_access(self) -> bool {
        self.is_inst(Opcode::LLVMLoad) || self.is_inst(Opcode::LLVMStore)
    }

    /// Alignment in bytes of a load or store; 1 for others.
    pub fn alignment(self) -> u32 {
        // SAFETY: it is a load or store.
        if self.is_memory_access() { unsafe { LLVMGetAlignment(self.raw()) }.max(1) } else { 1 }
    }

    /// Whether a load or store is volatile.
    pub fn is_volatile(self) -> bool {
        // SAFETY: it is a load or store.
        self.is_memory_access() && unsafe { LLVMGetVolatile(self.raw()) != 0 }
    }

    /// Whether a load or store is atomic.
    pub fn is_atomic(self) -> bool {
        // SAFETY: it is an instruction.
        self.is_memory_access() && unsafe { LLVMIsAtomic(self.raw()) != 0 }
    }

    /// Whether a `zext` or `uitofp` has the flag that its operand is not negative.
    pub fn is_nneg(self) -> bool {
        let may_have = self.is_inst(Opcode::LLVMZExt) || self.is_inst(Opcode::LLVMUIToFP);
        // SAFETY: it is an instruction with that flag.
        may_have && unsafe { LLVMGetNNeg(self.raw()) != 0 }
    }

    /// Whether an `or` has the flag that its operands have no bit in common.
    pub fn is_disjoint(self) -> bool {
        // SAFETY: it is an instruction with that flag.
        self.is_inst(Opcode::LLVMOr) && unsafe { LLVMGetIsDisjoint(self.raw()) != 0 }
    }
}

/// The bits of a NaN from LLVM's text, `float 0x7FF8000000000000`: the bits of the value as a double.
fn nan_bits(text: &str, single: bool) -> u64 {
    let hex = text.rsplit("0x").next().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let bits = hex.expect("LLVM prints a NaN as the hexadecimal bits of a double");
    if !single {
        return bits;
    }
    let fraction = (bits >> 29) & 0x7f_ffff;
    (bits >> 63) << 31 | 0x7f80_0000 | fraction
}

/// Appends `getelementptr i8, pointer, index`, not `inbounds`. `byte` is the type `i8`.
pub fn offset_bytes<'ctx>(
    builder: &inkwell::builder::Builder<'ctx>,
    byte: inkwell::types::IntType<'ctx>,
    pointer: inkwell::values::PointerValue<'ctx>,
    index: inkwell::values::IntValue<'ctx>,
) -> inkwell::values::PointerValue<'ctx> {
    // SAFETY: the element type is sized, there is one index of integer type, and without `inbounds` no
    // combination of pointer and index is undefined.
    unsafe { builder.build_gep(byte, pointer, &[index], "") }.expect("the builder is positioned")
}
