//! Entries of containers that have the positions of exports by name, which hosts call as typed functions.
//!
//! Arguments are in r7 to r12, results from r7 on, as inside of a program. But a program sign-extends an `i32` to a word,
//! and hosts extend it either way. So entries take words and truncate them, before the function or as a part of it.
//! Hosts know no place for more than six arguments or results; an export with more is no entry, with a warning.

use ssa::{Block, BlockCall, FuncId, Function, InstData, SigId, Signature, Type, UnaryOp, Value};

use super::wrapper::{Entry, WrapperMaker, move_entry};

/// Maximum number of words of arguments, and of results.
const MAX_WORDS: usize = 6;

impl WrapperMaker<'_> {
    /// The entry of an exported function, if its arguments and results are in registers.
    pub fn typed_entry(&mut self, name: &str, func: FuncId) -> Option<Entry> {
        let sig = self.module.signature_of(func).clone();
        if sig.params.len().max(sig.results.len()) > MAX_WORDS {
            let (params, results) = (sig.params.len(), sig.results.len());
            tracing::warn!(
                code = "W0106",
                "no host can call the export `{name}`, which is left out: it has {params} parameters and {results} results, and \
                 only {MAX_WORDS} of each are in registers"
            );
            return None;
        }
        let is_ready = sig.params.iter().all(|&ty| ty == Type::I64) && !self.has_start();
        let has_body = self.module.functions[func].is_some();
        let target = match (has_body && is_ready, has_body && self.uses[func] == 1) {
            (true, _) => func,
            (false, true) => self.take_words(func, &sig),
            (false, false) => self.typed_wrapper(name, func, &sig),
        };
        let signature = self.signature(name, &sig);
        Some(self.at_next_pc(name, Some(target), signature))
    }

    /// Makes the function itself take words.
    fn take_words(&mut self, func: FuncId, sig: &Signature) -> FuncId {
        let mut body = self.module.functions[func].take().expect("the caller has looked");
        let old_entry = move_entry(&mut body);
        let entry = body.entry();
        let words: Vec<Value> = sig.params.iter().map(|_| body.add_param(entry, Type::I64)).collect();
        let block = self.run_start(&mut body, entry);
        let args = typed(&mut body, block, &words, sig);
        body.append(block, InstData::Jump { to: BlockCall { block: old_entry, args } }, &[]);
        body.sig = self.word_signature(sig);
        self.module.decls[func].sig = body.sig;
        ssa::canonicalize(&mut body);
        self.module.functions[func] = Some(body);
        func
    }

    /// A function that takes words and goes on to `func`.
    fn typed_wrapper(&mut self, name: &str, func: FuncId, sig: &Signature) -> FuncId {
        let mut body = Function::new(format!("entry {name}"), self.word_signature(sig));
        let entry = body.add_block();
        let words: Vec<Value> = sig.params.iter().map(|_| body.add_param(entry, Type::I64)).collect();
        let block = self.run_start(&mut body, entry);
        let args = typed(&mut body, block, &words, sig);
        body.append(block, InstData::TailCall { func, args }, &[]);
        self.add(body)
    }

    fn word_signature(&mut self, sig: &Signature) -> SigId {
        let params = vec![Type::I64; sig.params.len()];
        self.module.intern_signature(Signature { params, results: sig.results.clone() })
    }
}

/// Words as the arguments of a function.
fn typed(body: &mut Function, block: Block, words: &[Value], sig: &Signature) -> Vec<Value> {
    let mut value = |op, arg, ty| body.append_value(block, InstData::Unary { op, ty, arg }, ty);
    let mut argument = |(&word, &ty): (&Value, &Type)| match ty {
        Type::I64 => word,
        Type::I32 => value(UnaryOp::Trunc, word, Type::I32),
        Type::F64 => value(UnaryOp::Bitcast, word, Type::F64),
        Type::F32 => {
            let bits = value(UnaryOp::Trunc, word, Type::I32);
            value(UnaryOp::Bitcast, bits, Type::F32)
        }
    };
    words.iter().zip(&sig.params).map(&mut argument).collect()
}
