//! Narrowing block parameters of two words to one word.
//!
//! LLVM makes a parameter of a block as wide as its users need, though all incoming values are zero-extended words and
//! small constants. In two registers the upper word would be set to zero on every edge, and then read. So such a
//! parameter becomes a word that is zero-extended in the block, where selection sees the zero.
//!
//! Parameters are visited once, predecessors first except for loops; each is narrowed or remains.

use std::collections::BTreeMap;

use ssa::{Block, Function, IdVec, InstData, Type, UnaryOp, Value, ValueData, ValueDef};

/// Narrows parameters whose upper words are always zero.
pub fn narrow_params(func: &mut Function) {
    let mut arriving: BTreeMap<(Block, usize), Vec<Value>> = BTreeMap::new();
    let mut preds: IdVec<Block, Vec<Block>> = IdVec::filled(Vec::new(), func.blocks.len());
    for block in func.blocks.ids() {
        let last = func.terminator(block);
        for to in func.insts[last].successors() {
            for (n, &arg) in to.args.iter().enumerate() {
                arriving.entry((to.block, n)).or_default().push(arg);
            }
            if preds[to.block].last() != Some(&block) {
                preds[to.block].push(block);
            }
        }
    }
    for block in func.reverse_postorder() {
        for n in 0..func.blocks[block].params.len() {
            let param = func.blocks[block].params[n];
            let is_wide = func.values[param].ty == Type::I64 && block != func.entry();
            let args = arriving.get(&(block, n)).filter(|_| is_wide);
            let fits = |&arg: &Value| arg == param || is_one_word(func, arg);
            if args.is_some_and(|args| args.iter().all(fits)) {
                narrow(func, &preds[block], block, n, param);
            }
        }
    }
}

/// Whether a two-word value is a zero-extended word.
fn is_one_word(func: &Function, value: Value) -> bool {
    let Some(def) = func.def_inst(value) else { return false };
    match func.insts[def] {
        InstData::Const { bits, .. } => bits as u64 >> 32 == 0,
        InstData::Unary { op: UnaryOp::Zext, arg, .. } => func.values[arg].ty == Type::I32,
        _ => false,
    }
}

/// Makes a parameter a word, and its old value an extension of the word.
fn narrow(func: &mut Function, preds: &[Block], block: Block, n: usize, param: Value) {
    let word = func.values.push(ValueData { ty: Type::I32, def: ValueDef::Param(block, n as u32) });
    func.blocks[block].params[n] = word;
    let data = InstData::Unary { op: UnaryOp::Zext, ty: Type::I64, arg: word };
    let extension = func.make_inst(data, &[]);
    func.results[extension].push(param);
    func.values[param].def = ValueDef::Result(extension, 0);
    func.blocks[block].insts.insert(0, extension);
    for &pred in preds {
        let last = func.terminator(pred);
        let edges = func.insts[last].successors().into_iter().filter(|to| to.block == block);
        for value in edges.map(|to| to.args[n]).collect::<Vec<_>>() {
            let arg = if value == param { word } else { one_word(func, pred, value) };
            for to in func.insts[last].successors_mut() {
                if to.block == block && to.args[n] == value {
                    to.args[n] = arg;
                }
            }
        }
    }
}

/// The word of a value that is a zero-extended word; a constant is defined before the block's terminator.
fn one_word(func: &mut Function, block: Block, value: Value) -> Value {
    let def = func.def_inst(value).expect("it is one word by its definition");
    match func.insts[def] {
        InstData::Unary { arg, .. } => arg,
        InstData::Const { bits, .. } => {
            let bits = i64::from(bits as i32);
            let constant = func.make_inst(InstData::Const { ty: Type::I32, bits }, &[Type::I32]);
            let insts = &mut func.blocks[block].insts;
            insts.insert(insts.len() - 1, constant);
            func.result(constant)
        }
        ref other => unreachable!("{other:?} is no word"),
    }
}
