//! The extension of each `i32` in its 64-bit register.
//!
//! The upper half of a register that holds an `i32` may have any contents. 64-bit additions, multiplications and left
//! shifts leave garbage there, but take one cycle and fewer decode slots, where the 32-bit ones take two cycles. The
//! 32-bit operations sign-extend for free. Comparisons, extensions, calls and returns need an extended operand. So
//! every value gets a [`Form`], and its definition gets a method of computing it ([`How`]):
//!
//! 1. [`Demand`] sums up, for each value, the block frequencies of the consumers that need it sign-extended. If the
//!    definition is executed at most [`TOLERANCE`] times as often, it must deliver the sign-extended form; otherwise
//!    each consumer extends by itself. A bitwise operation, select or block parameter with such a demand demands the
//!    form of its operands too, so that extension happens at definitions that do it for free. For block parameters this
//!    is binding: all incoming values must be extended.
//! 2. [`choose_forms`] visits definitions before uses and fixes the forms, given the demands and the known widths.
//!
//! Correctness depends on the binding rule for block parameters and on step 2 only: a consumer asks [`Facts`] for the
//! form of its operand and extends if necessary.
//!
//! Termination: each value is demanded at most once.

use codegen::VReg;
use ssa::known_bits::{KnownBits, known_bits};
use ssa::{BinaryOp, Block, Cond, Function, IdVec, InstData, MemType, Type, UnaryOp, Value, ValueDef};

/// Maximum ratio of executions of a definition to those of its uses that need it extended, for the definition to
/// extend.
const TOLERANCE: f32 = 2.0;

/// Maximum depth to which a tree of bitwise operations is searched.
const DEPTH: u32 = 4;

/// Contents of the upper half of a register that holds an `i32`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Anything.
    Any,
    /// Copies of bit 31.
    Sext,
    /// Zeros.
    Zext,
}

/// Method of computing a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// Operations in 64 bits, with the form that results from them. Conversions are mere renamings.
    Wide,
    /// 32-bit arithmetic, which sign-extends.
    Narrow,
    /// Like `Wide`, followed by an explicit sign extension.
    Extend,
}

/// Results of the analyses that run before selection, and notes of selection itself.
#[derive(Debug)]
pub struct Facts {
    /// The register that holds the return address, once selection has needed it.
    pub return_address: Option<VReg>,
    known: IdVec<Value, KnownBits>,
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

    /// The known widths of a value.
    pub fn known(&self, value: Value) -> KnownBits {
        self.known[value]
    }

    /// The method by which a value's definition is computed.
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

const fn is_sext(form: Form, known: KnownBits) -> bool {
    matches!(form, Form::Sext) || matches!(form, Form::Zext) && known.unsigned <= 31
}

const fn is_zext(form: Form, known: KnownBits) -> bool {
    matches!(form, Form::Zext) || matches!(form, Form::Sext) && known.unsigned <= 31
}

/// The demands for extended values. See the module documentation.
struct Demand<'a> {
    func: &'a Function,
    known: &'a IdVec<Value, KnownBits>,
    /// Frequency of each value's definition.
    freq: IdVec<Value, f32>,
    /// Frequency at which an extension of each value would be executed: see [`note_prices`](Self::note_prices).
    price_freq: IdVec<Value, f32>,
    /// Predecessors of each block.
    preds: IdVec<Block, Vec<Block>>,
    weight: IdVec<Value, f32>,
    demanded: IdVec<Value, bool>,
    /// Whether a consumer wants the value zero-extended.
    zext: IdVec<Value, bool>,
    worklist: Vec<Value>,
}

impl<'a> Demand<'a> {
    fn collect(func: &'a Function, rpo: &[Block], known: &'a IdVec<Value, KnownBits>) -> Self {
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

    /// Records that a consumer executed `freq` times needs `value` sign-extended.
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

    /// Computes where extensions are paid for: at a value's definition, or for a block parameter at the most frequent
    /// definition among its incoming values.
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

    /// The incoming values of the `n`-th parameter of a block, one per edge.
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

    /// Records the forms that an instruction needs of its operands.
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

    /// Equality and unsigned order also hold between two zero-extended values. So a load that is compared with a small
    /// constant may have either form.
    fn compare(&mut self, cond: Cond, a: Value, b: Value, freq: f32) {
        let is_signed = matches!(cond, Cond::LtS | Cond::LeS | Cond::GtS | Cond::GeS);
        let is_small = self.func.as_const(b).is_some_and(|value| value >= 0);
        let is_load = matches!(self.def(a), Some(InstData::Load { .. }));
        if is_signed || !is_small || !is_load {
            self.need(a, freq);
        }
        self.need(b, freq);
    }

    /// Passes the demand for a value on to its operands, if the value is only as extended as they are.
    fn pass_on(&mut self, value: Value) {
        let freq = self.freq[value];
        match self.func.values[value].def {
            ValueDef::Param(block, n) => {
                // An edge has no room for an extension, so all incoming values must be extended.
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

    /// Whether a value can be sign-extended without an additional instruction.
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

    /// Whether the upper half of a value is zero with every method of computing it.
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

/// Whether the operation compares whole registers or uses both halves of its operands.
const fn compares(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::MinS | BinaryOp::MaxS | BinaryOp::MinU | BinaryOp::MaxU | BinaryOp::MulhS)
}

/// Fixes the form and the method of every value, definitions before uses.
fn choose_forms(
    func: &Function,
    rpo: &[Block],
    known: &IdVec<Value, KnownBits>,
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
    known: &'a IdVec<Value, KnownBits>,
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

    /// Form and method of a bitwise result, whose upper half comes from the upper halves of the operands.
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

    /// Whether a shift count is reduced modulo 32 by an instruction, which the 32-bit shifts make superfluous.
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
