//! Representation of LLVM values and types in `ssa`.

use ssa::{Addr, Type, Value};

use super::Refused;
use crate::llvm;

/// An LLVM value in `ssa` terms.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Repr {
    /// An integer of up to 64 bits, a float, or a pointer that was computed.
    One(Value),
    /// An integer of 65 to 128 bits: low and high half.
    Pair([Value; 2]),
    /// A pointer that is not computed yet.
    Addr(Addr),
    /// A struct; its fields are in the reader's table.
    Struct(StructId),
}

/// The fields of a struct value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StructId(pub u32);

/// An LLVM type in `ssa` terms.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// An integer of this many bits, 1 to 128.
    Int(u32),
    /// A pointer: an `i32` machine address.
    Ptr,
    /// `f32` or `f64`.
    Float(Type),
    /// A struct of these.
    Struct(Vec<Shape>),
}

impl Shape {
    /// The shape of values of an LLVM type; `None` for `void`.
    pub fn of_result(ty: llvm::Ty<'_>) -> Result<Option<Self>, Refused> {
        if ty.kind() == llvm::TypeKind::LLVMVoidTypeKind { Ok(None) } else { Self::of(ty).map(Some) }
    }

    /// The shape of values of an LLVM type.
    pub fn of(ty: llvm::Ty<'_>) -> Result<Self, Refused> {
        match ty.kind() {
            llvm::TypeKind::LLVMIntegerTypeKind => match ty.int_width() {
                Some(bits @ 1..=128) => Ok(Self::Int(bits)),
                _ => Err("an integer of more than 128 bits".into()),
            },
            llvm::TypeKind::LLVMPointerTypeKind => Ok(Self::Ptr),
            llvm::TypeKind::LLVMFloatTypeKind => Ok(Self::Float(Type::F32)),
            llvm::TypeKind::LLVMDoubleTypeKind => Ok(Self::Float(Type::F64)),
            llvm::TypeKind::LLVMStructTypeKind => {
                ty.fields().into_iter().map(Self::of).collect::<Result<_, _>>().map(Self::Struct)
            }
            _ => Err("a type that no wasm operator needs".into()),
        }
    }

    /// The `ssa` values that make up a value of this shape, in order.
    pub fn push_types(&self, types: &mut Vec<Type>) {
        match self {
            Self::Int(bits) if *bits > 64 => types.extend([Type::I64; 2]),
            Self::Int(bits) => types.push(container(*bits)),
            Self::Ptr => types.push(Type::I32),
            Self::Float(ty) => types.push(*ty),
            Self::Struct(fields) => fields.iter().for_each(|field| field.push_types(types)),
        }
    }

    /// The `ssa` values that make up a value of this shape, in order.
    pub fn types(&self) -> Vec<Type> {
        let mut types = Vec::new();
        self.push_types(&mut types);
        types
    }
}

/// The type that holds an integer of `bits` bits, at most 64.
pub const fn container(bits: u32) -> Type {
    if bits <= 32 { Type::I32 } else { Type::I64 }
}
