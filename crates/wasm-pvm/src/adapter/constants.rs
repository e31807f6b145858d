//! Constant expressions of the result.
//!
//! A constant expression may refer to imported globals only. Where such an import is replaced, so is the `global.get`,
//! by the value of the global that replaces it: globals in constant expressions never change.

use std::collections::BTreeMap;

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{Encode, Instruction};
use wasmparser::{ConstExpr, Operator};

use super::AdapterError;
use super::encode::Linker;
use super::module::Space;
use super::resolve::{Meaning, full_name};

/// Maximum number of bytes of an expression that can't be evaluated.
const MOST_BYTES: usize = 1 << 16;
/// Maximum length of a chain of globals that are defined by each other across modules.
const LONGEST_CHAIN: usize = 500;

/// An expression: its value if known, else its code.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Term {
    I32(i32),
    I64(i64),
    Code(Vec<u8>),
}

impl Term {
    fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::I32(value) => Instruction::I32Const(*value).encode(bytes),
            Self::I64(value) => Instruction::I64Const(*value).encode(bytes),
            Self::Code(code) => bytes.extend(code),
        }
    }

    fn of(instruction: &Instruction<'_>) -> Self {
        let mut bytes = Vec::new();
        instruction.encode(&mut bytes);
        Self::Code(bytes)
    }
}

/// Cache of the values of globals that replace imports.
#[derive(Default)]
pub struct Constants {
    known: BTreeMap<(usize, u32), Term>,
    /// Globals whose evaluation has begun, by the import that refers to them.
    open: Vec<(usize, u32)>,
}

impl Constants {
    /// The code of an expression of a module, without its end.
    pub fn expression(
        &mut self,
        linker: &mut Linker<'_>,
        expression: &ConstExpr<'_>,
    ) -> Result<Vec<u8>, AdapterError> {
        let mut bytes = Vec::new();
        self.terms(linker, expression)?.iter().for_each(|term| term.encode(&mut bytes));
        Ok(bytes)
    }

    /// The terms that an expression leaves on the stack; a single one if it is valid.
    fn terms(
        &mut self,
        linker: &mut Linker<'_>,
        expression: &ConstExpr<'_>,
    ) -> Result<Vec<Term>, AdapterError> {
        let name = &linker.linking.modules[linker.module].name;
        let malformed = |error: wasmparser::Error| AdapterError::malformed(name, &error);
        let mut stack = Vec::new();
        let mut operators = expression.get_operators_reader();
        while !operators.is_end_then_eof() {
            match operators.read().map_err(malformed)? {
                Operator::I32Const { value } => stack.push(Term::I32(value)),
                Operator::I64Const { value } => stack.push(Term::I64(value)),
                Operator::GlobalGet { global_index } => stack.push(self.global(linker, global_index)?),
                operator => {
                    let instruction =
                        linker.instruction(operator).map_err(|error| AdapterError::encoding(name, error))?;
                    let folded = fold(&mut stack, &instruction);
                    stack.push(folded.unwrap_or_else(|| Term::of(&instruction)));
                }
            }
            let len: usize =
                stack.iter().map(|term| if let Term::Code(code) = term { code.len() } else { 0 }).sum();
            if len > MOST_BYTES {
                return Err(AdapterError::Constant(name.clone()));
            }
        }
        Ok(stack)
    }

    /// The value of a global of a module.
    fn global(&mut self, linker: &mut Linker<'_>, index: u32) -> Result<Term, AdapterError> {
        let linking = linker.linking;
        let module = &linking.modules[linker.module];
        let import = module.imports[Space::Global as usize].get(index as usize);
        let meaning = linking.layout.meanings[linker.module][Space::Global as usize].get(index as usize);
        let (Some(import), Some(&Meaning::Definition(owner, n))) = (import, meaning) else {
            let index = linking.layout.index(linker.module, Space::Global, index)?;
            return Ok(Term::of(&Instruction::GlobalGet(index)));
        };
        if let Some(term) = self.known.get(&(owner, n)) {
            return Ok(term.clone());
        }
        if self.open.contains(&(owner, n)) || self.open.len() > LONGEST_CHAIN {
            return Err(AdapterError::Circular(full_name(import)));
        }
        let (ty, value) = &linking.modules[owner].global_values[n as usize];
        if ty.mutable {
            return Err(AdapterError::Mutable(full_name(import), module.name.clone()));
        }
        self.open.push((owner, n));
        let terms = self.terms(&mut Linker { linking, module: owner }, value)?;
        self.open.pop();
        let term = match <[Term; 1]>::try_from(terms) {
            Ok([term]) => term,
            Err(terms) => {
                let mut code = Vec::new();
                terms.iter().for_each(|term| term.encode(&mut code));
                Term::Code(code)
            }
        };
        self.known.insert((owner, n), term.clone());
        Ok(term)
    }
}

/// Applies an operator to the terms on the stack, if it is arithmetic.
fn fold(stack: &mut Vec<Term>, instruction: &Instruction<'_>) -> Option<Term> {
    let is_arithmetic = matches!(
        instruction,
        Instruction::I32Add
            | Instruction::I32Sub
            | Instruction::I32Mul
            | Instruction::I64Add
            | Instruction::I64Sub
            | Instruction::I64Mul
    );
    if !is_arithmetic || stack.len() < 2 {
        return None;
    }
    let (b, a) = (stack.pop()?, stack.pop()?);
    Some(match (&a, &b, instruction) {
        (Term::I32(a), Term::I32(b), Instruction::I32Add) => Term::I32(a.wrapping_add(*b)),
        (Term::I32(a), Term::I32(b), Instruction::I32Sub) => Term::I32(a.wrapping_sub(*b)),
        (Term::I32(a), Term::I32(b), Instruction::I32Mul) => Term::I32(a.wrapping_mul(*b)),
        (Term::I64(a), Term::I64(b), Instruction::I64Add) => Term::I64(a.wrapping_add(*b)),
        (Term::I64(a), Term::I64(b), Instruction::I64Sub) => Term::I64(a.wrapping_sub(*b)),
        (Term::I64(a), Term::I64(b), Instruction::I64Mul) => Term::I64(a.wrapping_mul(*b)),
        _ => {
            let mut code = Vec::new();
            a.encode(&mut code);
            b.encode(&mut code);
            instruction.encode(&mut code);
            Term::Code(code)
        }
    })
}
