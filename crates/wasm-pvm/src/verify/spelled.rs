//! Modules in which every operator has one result.
//!
//! WebAssembly leaves some results open: which NaN an operator returns, what relaxed operators do at the borders of
//! their ranges, and how long a thread waits. Compiled programs have one result each, which `docs/src/using.md` states.
//! Here those results are spelled out in operators that leave nothing open: a NaN is replaced by the canonical one, a
//! relaxed operator by its definition, and a wait by one that ends at once, or traps if it would never end. An engine
//! that runs the rewritten module thus judges a compiler that got the original.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{BlockType, CodeSection, Function, Instruction, ValType};
use wasmparser::{BinaryReaderError, CompositeInnerType, FunctionBody, Operator, Parser, Payload};

use super::VerifyError;

const NAN_32: u32 = 0x7fc0_0000;
const NAN_64: u64 = 0x7ff8_0000_0000_0000;

/// The operators that are spelled out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Open {
    /// Those with other results on boards than on the PVM: NaNs, which the unit for floats or the run-time library
    /// chooses, and waits, whose traps have a reason of their own.
    OnBoards,
    /// Also relaxed operators.
    All,
}

/// Rewrites a valid module.
///
/// # Errors
/// If the module is not valid.
pub fn spell_out(wasm: &[u8], open: Open) -> Result<Vec<u8>, VerifyError> {
    let refused =
        |error: &dyn std::fmt::Display| VerifyError::Reference(format!("a module to be rewritten: {error}"));
    let params = params(wasm).map_err(|error| refused(&error))?;
    let mut speller = Speller { open, params, done: 0 };
    let mut module = wasm_encoder::Module::new();
    speller.parse_core_module(&mut module, Parser::new(0), wasm).map_err(|error| refused(&error))?;
    Ok(module.finish())
}

/// The number of parameters of each function that has a body.
fn params(wasm: &[u8]) -> Result<Vec<u32>, BinaryReaderError> {
    let (mut types, mut params) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    types.extend(group?.into_types().map(|ty| match ty.composite_type.inner {
                        CompositeInnerType::Func(func) => func.params().len() as u32,
                        _ => 0,
                    }));
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    params.push(types.get(ty? as usize).copied().unwrap_or(0));
                }
            }
            _ => {}
        }
    }
    Ok(params)
}

struct Speller {
    open: Open,
    params: Vec<u32>,
    /// How many bodies of functions are rewritten.
    done: usize,
}

impl Reencode for Speller {
    type Error = Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let mut locals = Vec::new();
        for pair in body.get_locals_reader()? {
            let (count, ty) = pair?;
            locals.push((count, self.val_type(ty)?));
        }
        let first = self.params[self.done] + locals.iter().map(|(count, _)| count).sum::<u32>();
        self.done += 1;
        let mut text = Body { first, scratch: Vec::new(), code: Vec::new() };
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            let instruction = self.instruction(operator.clone())?;
            let is_spelled = text.wait(&instruction) || self.open == Open::All && text.relaxed(&operator);
            if !is_spelled {
                text.code.push(instruction);
            }
            if let Some(format) = format_of_result(&operator) {
                text.canonical(format);
            }
        }
        locals.extend(text.scratch.iter().map(|&(ty, _)| (1, ty)));
        let mut function = Function::new(locals);
        text.code.iter().for_each(|instruction| {
            function.instruction(instruction);
        });
        code.function(&function);
        Ok(())
    }
}

/// A format of floats, in a number or in the lanes of a vector.
#[derive(Clone, Copy)]
enum Format {
    F32,
    F64,
    F32x4,
    F64x2,
}

/// The format of an operator's result, if it may be a NaN that the operator chooses.
fn format_of_result(operator: &Operator<'_>) -> Option<Format> {
    use Operator::*;
    Some(match operator {
        F32Ceil | F32Floor | F32Trunc | F32Nearest | F32Sqrt | F32Add | F32Sub | F32Mul | F32Div | F32Min
        | F32Max | F32DemoteF64 => Format::F32,
        F64Ceil | F64Floor | F64Trunc | F64Nearest | F64Sqrt | F64Add | F64Sub | F64Mul | F64Div | F64Min
        | F64Max | F64PromoteF32 => Format::F64,
        F32x4Ceil | F32x4Floor | F32x4Trunc | F32x4Nearest | F32x4Sqrt | F32x4Add | F32x4Sub | F32x4Mul
        | F32x4Div | F32x4Min | F32x4Max | F32x4DemoteF64x2Zero | F32x4RelaxedMin | F32x4RelaxedMax
        | F32x4RelaxedMadd | F32x4RelaxedNmadd => Format::F32x4,
        F64x2Ceil | F64x2Floor | F64x2Trunc | F64x2Nearest | F64x2Sqrt | F64x2Add | F64x2Sub | F64x2Mul
        | F64x2Div | F64x2Min | F64x2Max | F64x2PromoteLowF32x4 | F64x2RelaxedMin | F64x2RelaxedMax
        | F64x2RelaxedMadd | F64x2RelaxedNmadd => Format::F64x2,
        _ => return None,
    })
}

/// A function's new body.
struct Body<'a> {
    /// The index of the first local variable that is added.
    first: u32,
    /// Types of added variables, and which of its type each is.
    scratch: Vec<(ValType, u32)>,
    code: Vec<Instruction<'a>>,
}

impl<'a> Body<'a> {
    /// An added variable.
    fn local(&mut self, ty: ValType, which: u32) -> u32 {
        let at = self.scratch.iter().position(|&known| known == (ty, which)).unwrap_or_else(|| {
            self.scratch.push((ty, which));
            self.scratch.len() - 1
        });
        self.first + at as u32
    }

    fn vector(&mut self, which: u32) -> u32 {
        self.local(ValType::V128, which)
    }

    /// Replaces a NaN on top of the stack by the canonical one.
    fn canonical(&mut self, format: Format) {
        let wide = |nan: u128| Instruction::V128Const(nan as i128);
        let (ty, nan, equal, choose) = match format {
            Format::F32 => (
                ValType::F32,
                Instruction::F32Const(f32::from_bits(NAN_32).into()),
                Instruction::F32Eq,
                Instruction::Select,
            ),
            Format::F64 => (
                ValType::F64,
                Instruction::F64Const(f64::from_bits(NAN_64).into()),
                Instruction::F64Eq,
                Instruction::Select,
            ),
            Format::F32x4 => {
                let lanes = (0..4).map(|lane| u128::from(NAN_32) << (32 * lane)).sum();
                (ValType::V128, wide(lanes), Instruction::F32x4Eq, Instruction::V128Bitselect)
            }
            Format::F64x2 => {
                let lanes = u128::from(NAN_64) | u128::from(NAN_64) << 64;
                (ValType::V128, wide(lanes), Instruction::F64x2Eq, Instruction::V128Bitselect)
            }
        };
        let value = self.local(ty, 0);
        let get = Instruction::LocalGet(value);
        self.code.extend([Instruction::LocalTee(value), nan, get.clone(), get, equal, choose]);
    }

    /// Spells out a relaxed operator; returns whether it is one.
    fn relaxed(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as Op;
        let same = match operator {
            Op::I8x16RelaxedSwizzle => Instruction::I8x16Swizzle,
            Op::I32x4RelaxedTruncF32x4S => Instruction::I32x4TruncSatF32x4S,
            Op::I32x4RelaxedTruncF32x4U => Instruction::I32x4TruncSatF32x4U,
            Op::I32x4RelaxedTruncF64x2SZero => Instruction::I32x4TruncSatF64x2SZero,
            Op::I32x4RelaxedTruncF64x2UZero => Instruction::I32x4TruncSatF64x2UZero,
            Op::I8x16RelaxedLaneselect
            | Op::I16x8RelaxedLaneselect
            | Op::I32x4RelaxedLaneselect
            | Op::I64x2RelaxedLaneselect => Instruction::V128Bitselect,
            Op::F32x4RelaxedMin => Instruction::F32x4Min,
            Op::F32x4RelaxedMax => Instruction::F32x4Max,
            Op::F64x2RelaxedMin => Instruction::F64x2Min,
            Op::F64x2RelaxedMax => Instruction::F64x2Max,
            Op::I16x8RelaxedQ15mulrS => Instruction::I16x8Q15MulrSatS,
            _ => return self.multiply_and_add(operator) || self.dot(operator),
        };
        self.code.push(same);
        true
    }

    /// `a * b + c` or `-(a * b) + c`, rounded twice.
    fn multiply_and_add(&mut self, operator: &Operator<'_>) -> bool {
        let (mul, neg, add) = match operator {
            Operator::F32x4RelaxedMadd => (Instruction::F32x4Mul, None, Instruction::F32x4Add),
            Operator::F32x4RelaxedNmadd => {
                (Instruction::F32x4Mul, Some(Instruction::F32x4Neg), Instruction::F32x4Add)
            }
            Operator::F64x2RelaxedMadd => (Instruction::F64x2Mul, None, Instruction::F64x2Add),
            Operator::F64x2RelaxedNmadd => {
                (Instruction::F64x2Mul, Some(Instruction::F64x2Neg), Instruction::F64x2Add)
            }
            _ => return false,
        };
        let added = self.vector(1);
        self.code.extend([Instruction::LocalSet(added), mul]);
        self.code.extend(neg);
        self.code.extend([Instruction::LocalGet(added), add]);
        true
    }

    /// Sums of two products of signed bytes, modulo 2^16.
    fn dot(&mut self, operator: &Operator<'_>) -> bool {
        let adds = match operator {
            Operator::I16x8RelaxedDotI8x16I7x16S => false,
            Operator::I32x4RelaxedDotI8x16I7x16AddS => true,
            _ => return false,
        };
        let [a, b, low, high, added] = [1, 2, 3, 4, 5].map(|which| self.vector(which));
        let (get, set) = (Instruction::LocalGet, Instruction::LocalSet);
        if adds {
            self.code.push(set(added));
        }
        let even = [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29];
        let odd = even.map(|byte| byte + 2);
        self.code.extend([set(b), set(a)]);
        self.code.extend([get(a), get(b), Instruction::I16x8ExtMulLowI8x16S, set(low)]);
        self.code.extend([get(a), get(b), Instruction::I16x8ExtMulHighI8x16S, set(high)]);
        self.code.extend([get(low), get(high), Instruction::I8x16Shuffle(even)]);
        self.code.extend([get(low), get(high), Instruction::I8x16Shuffle(odd), Instruction::I16x8Add]);
        if adds {
            self.code.extend([Instruction::I32x4ExtAddPairwiseI16x8S, get(added), Instruction::I32x4Add]);
        }
        true
    }

    /// Spells out a wait in a program with a single thread, which no other can wake; returns whether it is one.
    fn wait(&mut self, instruction: &Instruction<'a>) -> bool {
        if !matches!(instruction, Instruction::MemoryAtomicWait32(_) | Instruction::MemoryAtomicWait64(_)) {
            return false;
        }
        let (timeout, result) = (self.local(ValType::I64, 0), self.local(ValType::I32, 0));
        self.code.extend([Instruction::LocalSet(timeout), Instruction::I64Const(0), instruction.clone()]);
        // It timed out, and was to wait forever.
        self.code.extend([Instruction::LocalTee(result), Instruction::I32Const(2), Instruction::I32Eq]);
        self.code.extend([Instruction::LocalGet(timeout), Instruction::I64Const(0), Instruction::I64LtS]);
        self.code.extend([Instruction::I32And, Instruction::If(BlockType::Empty)]);
        self.code.extend([Instruction::Unreachable, Instruction::End, Instruction::LocalGet(result)]);
        true
    }
}
