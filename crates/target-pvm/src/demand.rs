//! In which form each `i32` sits in its 64-bit register.
//!
//! The upper half of a register that holds an `i32` may be anything: 64-bit additions, multiplications and left shifts
//! leave garbage there, but they cost one cycle and fewer decode slots where the 32-bit ones cost two. The 32-bit
//! operations sign-extend for free, and comparisons, extensions, calls and returns need an extended form. So for every
//! value we choose a [`Form`] and [`How`] its definition gets it:
//!
//! 1. [`Demand`] collects for each value how often (by block frequency) somebody needs it sign-extended. A definition
//!    that is executed at most [`TOLERANCE`] times as often is made to deliver that form; a rarer consumer extends by
//!    itself. A demanded bitwise operation, select or block parameter passes the demand on to its operands, so that
//!    extension happens at sources that do it for free. For block parameters this is binding: what comes in must be
//!    extended.
//! 2. [`choose_forms`] walks definitions before uses and fixes the forms, given the demands and known widths.
//!
//! Besides that only step 2 matters for correctness: a consumer asks [`Facts`] for the form it finds and extends if it
//! must.
//!
//! Demand ends because each value is demanded at most once.

use codegen::VReg;
use ssa::{BinaryOp, Block, Cond, Function, IdVec, InstData, MemType, Type, UnaryOp, Value, ValueDef};

use crate::known_bits::{Known, known_bits};

/// How many times more often than its extended uses a definition may be executed and still be made to extend.
const TOLERANCE: f32 = 2.0;

/// How deep a tree of bitwise operations is searched.
const DEPTH: u32 = 4;

/// What the upper half of a register that holds an `i32` contains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Anything.
    Any,
    /// Copies of bit 31.
    Sext,
    /// Zeros.
    Zext,
}

/// How a definition is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// By operations that give the form by themselves; arithmetic in 64 bits. Conversions are mere renamings.
    Wide,
    /// By 32-bit arithmetic, which sign-extends.
    Narrow,
    /// Like `Wide`, and then sign-extended explicitly.
    Extend,
}

/// What is known of a function before selection, and what selection notes.
#[derive(Debug)]
pub struct Facts {
    /// The register that holds the return address, once something needs it.
    pub return_address: Option<VReg>,
    known: IdVec<Value, Known>,
    forms: IdVec<Value, (Form, How)>,
}

impl Facts {
    /// Analyses a function.
    pub fn new(func: &Function) -> Self {
        let rpo = func.reverse_postorder();
        let known = known_bits(func, &rpo);
        let demand = Demand::collect(func, &rpo, &known);
        let forms = choose_forms(func, &rpo, &known, &demand);
        Self { return_address: None, known, forms }
    }

    /// The widths of a value.
    pub fn known(&self, value: Value) -> Known {
        self.known[value]
    }

    /// How a value's definition is to be computed.
    pub fn how(&self, value: Value) -> How {
        self.forms[value].1
    }

    /// Whether the register that holds an `i32` holds it sign-extended.
    pub fn is_sext(&self, value: Value) -> bool {
        is_sext(self.forms[value].0, self.known[value])
    }

    /// Whether the register that holds an `i32` holds it zero-extended.
    pub fn is_zext(&self, value: Value) -> bool {
        is_zext(self.forms[value].0, self.known[value])
    }
}

const fn is_sext(form: Form, known: Known) -> bool {
    matches!(form, Form::Sext) || matches!(form, Form::Zext) && known.unsigned <= 31
}

const fn is_zext(form: Form, known: Known) -> bool {
    matches!(form, Form::Zext) || matches!(form, Form::Sext) && known.unsigned <= 31
}

/// Which values are wanted in which form. See the module documentation.
struct Demand<'a> {
    func: &'a Function,
    known: &'a IdVec<Value, Known>,
    /// Frequency of each value's definition.
    freq: IdVec<Value, f32>,
    /// How often the price of extending a value is paid.
    price_freq: IdVec<Value, f32>,
    /// Predecessors with their terminators' targets are looked up here: for each block, who jumps to it.
    preds: IdVec<Block, Vec<Block>>,
    weight: IdVec<Value, f32>,
    demanded: IdVec<Value, bool>,
    /// Wanted zero-extended by somebody.
    zext: IdVec<Value, bool>,
    worklist: Vec<Value>,
}

impl<'a> Demand<'a> {
    fn collect(func: &'a Function, rpo: &[Block], known: &'a IdVec<Value, Known>) -> Self {
        let values = func.values.len();
        let mut demand = Self {
            func,
            known,
            freq: IdVec::filled(0.0, values),
            price_freq: IdVec::filled(0.0, values),
            preds: IdVec::filled(Vec::new(), func.blocks.len()),
            weight: IdVec::filled(0.0, values),
            demanded: IdVec::filled(false, values),
            zext: IdVec::filled(false, values),
            worklist: Vec::new(),
        };
        for &block in rpo {
            demand.note_block(block);
        }
        demand.note_prices();
        for &block in rpo {
            let freq = func.blocks[block].freq;
            for &inst in &func.blocks[block].insts {
                demand.consumer(&func.insts[inst], freq);
            }
        }
        while let Some(value) = demand.worklist.pop() {
            demand.pass_on(value);
        }
        demand
    }

    fn note_block(&mut self, block: Block) {
        let data = &self.func.blocks[block];
        for &param in &data.params {
            self.freq[param] = data.freq;
        }
        for &result in data.insts.iter().flat_map(|&inst| &self.func.results[inst]) {
            self.freq[result] = data.freq;
        }
        let mut targets = self.func.successors(block);
        targets.sort();
        targets.dedup();
        targets.into_iter().for_each(|to| self.preds[to].push(block));
    }

    /// Somebody executed `freq` times needs `value` sign-extended.
    fn need(&mut self, value: Value, freq: f32) {
        if self.func.values[value].ty != Type::I32 || self.demanded[value] {
            return;
        }
        self.weight[value] += freq;
        if self.weight[value] * self.tolerance(value) >= self.price_freq[value] {
            self.demand(value);
        }
    }

    fn demand(&mut self, value: Value) {
        if self.func.values[value].ty == Type::I32 && !std::mem::replace(&mut self.demanded[value], true) {
            self.worklist.push(value);
        }
    }

    /// The price of extending is paid where a value is defined; for a block parameter, where the most frequent of the
    /// values that come in is.
    fn note_prices(&mut self) {
        self.price_freq = self.freq.clone();
        for (block, data) in self.func.blocks.iter() {
            for (n, &param) in (0..).zip(&data.params) {
                let incoming = self.incoming(block, n).into_iter().map(|arg| match self.def(arg) {
                    None => self.freq[arg],
                    Some(InstData::Binary { .. } | InstData::Unary { .. } | InstData::Select { .. }) => {
                        self.freq[arg]
                    }
                    Some(_) => 0.0,
                });
                self.price_freq[param] = incoming.fold(self.freq[param], f32::max);
            }
        }
    }

    /// What comes in for the `n`-th parameter of a block, edge by edge.
    fn incoming(&self, block: Block, n: u32) -> Vec<Value> {
        let edges = self.preds[block].iter().flat_map(|&pred| {
            let targets = self.func.insts[self.func.terminator(pred)].successors();
            targets.into_iter().filter(|to| to.block == block)
        });
        edges.map(|to| to.args[n as usize]).collect()
    }

    fn tolerance(&self, value: Value) -> f32 {
        match self.def(value) {
            Some(InstData::Load { .. }) => f32::INFINITY,
            Some(InstData::Unary { .. }) => 1.0,
            _ => TOLERANCE,
        }
    }

    fn def(&self, value: Value) -> Option<&'a InstData> {
        self.func.def_inst(value).map(|inst| &self.func.insts[inst])
    }

    /// What an instruction needs of its operands.
    fn consumer(&mut self, data: &InstData, freq: f32) {
        match *data {
            InstData::Icmp { cond, args: [a, b], .. } => self.compare(cond, a, b, freq),
            InstData::Unary { op: UnaryOp::Sext, arg, .. } => self.need(arg, freq),
            InstData::Unary { op: UnaryOp::Zext, arg, .. } if self.known[arg].unsigned <= 31 => {
                self.need(arg, freq)
            }
            InstData::Unary { op: UnaryOp::Zext, arg, .. } => self.zext[arg] = true,
            InstData::Binary { op, args: [a, b], .. } if compares(op) => {
                self.need(a, freq);
                self.need(b, freq);
            }
            InstData::Select { cond, .. } | InstData::Branch { cond, .. } => self.need(cond, freq),
            InstData::Switch { value, .. } => self.need(value, freq),
            InstData::Call { ref args, .. }
            | InstData::CallIndirect { ref args, .. }
            | InstData::TailCall { ref args, .. }
            | InstData::TailCallIndirect { ref args, .. }
            | InstData::Return { ref args } => args.iter().for_each(|&arg| self.need(arg, freq)),
            _ => {}
        }
    }

    /// Equality and unsigned order hold for two zero-extended values as well, so a load that is compared with a small
    /// constant stays free to be either.
    fn compare(&mut self, cond: Cond, a: Value, b: Value, freq: f32) {
        let is_signed = matches!(cond, Cond::LtS | Cond::LeS | Cond::GtS | Cond::GeS);
        let is_small = self.func.as_const(b).is_some_and(|value| value >= 0);
        let is_load = matches!(self.def(a), Some(InstData::Load { .. }));
        if is_signed || !is_small || !is_load {
            self.need(a, freq);
        }
        self.need(b, freq);
    }

    /// A demanded value that is only as extended as its operands makes demands on them.
    fn pass_on(&mut self, value: Value) {
        let freq = self.freq[value];
        match self.func.values[value].def {
            ValueDef::Param(block, n) => {
                // No instruction stands on an edge, so all of them must arrive extended.
                self.incoming(block, n).into_iter().for_each(|arg| self.demand(arg));
            }
            ValueDef::Result(inst, _) => match self.func.insts[inst] {
                InstData::Binary { op: BinaryOp::And, args: [a, b], .. }
                    if self.is_naturally_zext(a, DEPTH) || self.is_naturally_zext(b, DEPTH) => {}
                InstData::Binary {
                    op: BinaryOp::And | BinaryOp::Or | BinaryOp::Xor, args: [a, b], ..
                } => {
                    self.pass_to_both(value, a, b, freq);
                }
                InstData::Select { if_true, if_false, .. } => {
                    self.pass_to_both(value, if_true, if_false, freq)
                }
                _ => {}
            },
        }
    }

    fn pass_to_both(&mut self, value: Value, a: Value, b: Value, freq: f32) {
        if self.extends_cheaply(value, DEPTH) {
            self.need(a, freq);
            self.need(b, freq);
        }
    }

    /// Whether a value can be had sign-extended without an instruction for it.
    fn extends_cheaply(&self, value: Value, depth: u32) -> bool {
        match self.def(value) {
            Some(&InstData::Unary { op: UnaryOp::Trunc, arg, .. }) => self.known[arg].signed <= 32,
            Some(InstData::Unary { op: UnaryOp::Bitcast, .. }) => false,
            Some(&InstData::Binary {
                op: BinaryOp::And | BinaryOp::Or | BinaryOp::Xor,
                args: [a, b],
                ..
            })
            | Some(&InstData::Select { if_true: a, if_false: b, .. }) => {
                depth == 0 || self.extends_cheaply(a, depth - 1) && self.extends_cheaply(b, depth - 1)
            }
            _ => true,
        }
    }

    /// Whether a value's upper half is zero however it is computed.
    fn is_naturally_zext(&self, value: Value, depth: u32) -> bool {
        match self.def(value) {
            Some(&InstData::Const { bits, .. }) => bits >= 0,
            Some(InstData::Icmp { .. }) => true,
            Some(&InstData::Load { mem, .. }) => matches!(mem, MemType::U8 | MemType::U16),
            Some(&InstData::Binary { op: BinaryOp::ShrU, args: [_, count], .. }) => {
                self.func.as_const(count).is_some_and(|count| (1..32).contains(&count))
            }
            Some(&InstData::Binary { op: BinaryOp::And, args: [a, b], .. }) if depth > 0 => {
                self.is_naturally_zext(a, depth - 1) || self.is_naturally_zext(b, depth - 1)
            }
            _ => false,
        }
    }
}

/// Operations that compare whole registers or use both halves of their operands.
const fn compares(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::MinS | BinaryOp::MaxS | BinaryOp::MinU | BinaryOp::MaxU | BinaryOp::MulhS)
}

/// Fixes form and computation of every value, definitions before uses.
fn choose_forms(
    func: &Function,
    rpo: &[Block],
    known: &IdVec<Value, Known>,
    demand: &Demand<'_>,
) -> IdVec<Value, (Form, How)> {
    let forms = IdVec::filled((Form::Any, How::Wide), func.values.len());
    let mut chooser = Chooser { func, known, demand, forms };
    for &block in rpo {
        for &param in &func.blocks[block].params {
            let is_sext = block == func.entry() || demand.demanded[param];
            let form = if is_sext && func.values[param].ty == Type::I32 { Form::Sext } else { Form::Any };
            chooser.forms[param] = (form, How::Wide);
        }
        for &inst in &func.blocks[block].insts {
            for &result in &func.results[inst] {
                if func.values[result].ty == Type::I32 {
                    chooser.forms[result] = chooser.choose(result, &func.insts[inst]);
                }
            }
        }
    }
    chooser.forms
}

struct Chooser<'a> {
    func: &'a Function,
    known: &'a IdVec<Value, Known>,
    demand: &'a Demand<'a>,
    forms: IdVec<Value, (Form, How)>,
}

impl Chooser<'_> {
    fn is_sext(&self, value: Value) -> bool {
        is_sext(self.forms[value].0, self.known[value])
    }

    fn is_zext(&self, value: Value) -> bool {
        is_zext(self.forms[value].0, self.known[value])
    }

    fn choose(&self, value: Value, data: &InstData) -> (Form, How) {
        match *data {
            InstData::Unary { op, arg, .. } => self.unary(value, op, arg),
            InstData::Binary { op, args: [a, b], .. } => self.binary(value, op, a, b),
            InstData::Select { if_true, if_false, .. } => self.bitwise(value, if_true, if_false),
            InstData::Load { mem: MemType::U32 | MemType::S32, .. }
                if self.demand.zext[value] && !self.demand.demanded[value] =>
            {
                (Form::Zext, How::Wide)
            }
            _ => (Form::Sext, How::Wide),
        }
    }

    fn unary(&self, value: Value, op: UnaryOp, arg: Value) -> (Form, How) {
        match op {
            UnaryOp::Trunc if self.known[arg].signed <= 32 => (Form::Sext, How::Wide),
            UnaryOp::Trunc if self.known[arg].unsigned <= 32 && !self.demand.demanded[value] => {
                (Form::Zext, How::Wide)
            }
            UnaryOp::Trunc | UnaryOp::Bitcast => self.any_unless_demanded(value),
            _ => (Form::Sext, How::Wide),
        }
    }

    fn any_unless_demanded(&self, value: Value) -> (Form, How) {
        match self.demand.demanded[value] {
            true => (Form::Sext, How::Extend),
            false => (Form::Any, How::Wide),
        }
    }

    fn binary(&self, value: Value, op: BinaryOp, a: Value, b: Value) -> (Form, How) {
        let is_exact = self.known[value].signed < 32;
        match op {
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul
                if is_exact && self.is_sext(a) && self.is_sext(b) =>
            {
                (Form::Sext, How::Wide)
            }
            BinaryOp::Shl if is_exact && self.is_sext(a) && self.func.as_const(b).is_some() => {
                (Form::Sext, How::Wide)
            }
            BinaryOp::Shl if self.is_masked_count(b) => (Form::Sext, How::Narrow),
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Shl => {
                match self.demand.demanded[value] {
                    true => (Form::Sext, How::Narrow),
                    false => (Form::Any, How::Wide),
                }
            }
            BinaryOp::And if self.is_zext(a) || self.is_zext(b) => (Form::Zext, How::Wide),
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => self.bitwise(value, a, b),
            BinaryOp::ShrU if self.is_zext(a) && !self.is_masked_count(b) => (Form::Zext, How::Wide),
            BinaryOp::ShrS if self.is_sext(a) && !self.is_masked_count(b) => (Form::Sext, How::Wide),
            BinaryOp::MinU | BinaryOp::MaxU | BinaryOp::MinS | BinaryOp::MaxS => (Form::Sext, How::Wide),
            _ => (Form::Sext, How::Narrow),
        }
    }

    /// A result whose upper half comes from the upper halves of the operands.
    fn bitwise(&self, value: Value, a: Value, b: Value) -> (Form, How) {
        if self.is_sext(a) && self.is_sext(b) {
            (Form::Sext, How::Wide)
        } else if self.demand.demanded[value] && self.known[value].unsigned > 31 {
            (Form::Sext, How::Extend)
        } else if self.is_zext(a) && self.is_zext(b) {
            (Form::Zext, How::Wide)
        } else {
            self.any_unless_demanded(value)
        }
    }

    /// A count that is reduced modulo 32 by an instruction: the 32-bit shifts make that one superfluous.
    fn is_masked_count(&self, count: Value) -> bool {
        let Some(inst) = self.func.def_inst(count) else { return false };
        match self.func.insts[inst] {
            InstData::Binary { op: BinaryOp::And, args: [_, mask], .. } => {
                self.func.as_const(mask).is_some_and(|mask| mask & 31 == 31)
            }
            _ => false,
        }
    }
}
