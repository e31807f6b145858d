//! Division: a call that returns quotient and remainder.
//!
//! In one block, quotient and remainder of the same operands come from one call.

use ssa::{BinaryOp, Type, Value};

use super::Rewriter;

impl Rewriter<'_> {
    /// The result of a division or remainder.
    pub(super) fn division(&mut self, op: BinaryOp, ty: Type, args: [Value; 2]) -> Option<Value> {
        let (signed, wants_remainder) = match op {
            BinaryOp::DivS => (true, false),
            BinaryOp::RemS => (true, true),
            BinaryOp::DivU => (false, false),
            BinaryOp::RemU => (false, true),
            _ => return None,
        };
        let key = (signed, args[0], args[1]);
        let results = match self.divisions.get(&key) {
            Some(&results) => results,
            None => {
                let name = match (ty, signed) {
                    (Type::I64, true) => "__wasm_sdivmod64",
                    (Type::I64, false) => "__wasm_udivmod64",
                    (_, true) => "__wasm_sdivmod32",
                    (_, false) => "__wasm_udivmod32",
                };
                let callee = self.helpers.get(self.module, name);
                let results = self.call(callee, args.to_vec());
                let results = [results[0], results[1]];
                self.divisions.insert(key, results);
                results
            }
        };
        Some(results[usize::from(wants_remainder)])
    }
}
