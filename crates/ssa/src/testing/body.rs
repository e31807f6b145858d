//! Generation of random control flow.
//!
//! The code has the structure of wasm: constructs nest, and each has a label that code inside may break to, with
//! values. So edges leave nested constructs from any depth (and are critical), values live across loops, and joins
//! have parameters. Still, every operand can be picked from the values in scope, because they dominate the block.
//!
//! Termination: every path back to a loop header decrements a parameter of the header. Direct calls go only to
//! functions with a higher number; calls through the table go only from the lower half of the functions to the upper.

use super::{Data, Params, Rng};
use crate::{
    BinaryOp, Block, BlockCall, Cond, EntityId, FrameSlotData, FuncId, FuncKind, Function, InstData,
    MemFlags, MemType, Module, SigId, TrapCode, Type, Value,
};

/// Maximum number of iterations of a loop.
const MAX_TRIPS: usize = 5;

pub(super) fn random_body(
    rng: &mut Rng,
    module: &Module,
    data: Option<&Data>,
    params: &Params,
    id: FuncId,
) -> Function {
    let decl = &module.decls[id];
    let mut func = Function::new(decl.name.clone(), decl.sig);
    func.optimize_for_size = rng.one_in(4);
    let entry = func.add_block();
    let scope = module.signatures[decl.sig].params.iter().map(|&ty| func.add_param(entry, ty)).collect();
    let budget = params.size;
    let mut body =
        Body { rng, module, data, params, id, func, block: entry, open: true, scope, labels: vec![], budget };
    body.frame_slots();
    while body.open && body.budget > 0 {
        body.statement();
    }
    if body.open {
        body.end_with_return();
    }
    body.func
}

/// A target of breaks.
struct Label {
    block: Block,
    params: Vec<Type>,
    /// For a loop header, its counter; its first parameter.
    counter: Option<Value>,
    /// Whether there is an edge to it.
    used: bool,
}

/// A function under construction.
pub(super) struct Body<'a> {
    pub(super) rng: &'a mut Rng,
    pub(super) module: &'a Module,
    pub(super) data: Option<&'a Data>,
    pub(super) params: &'a Params,
    id: FuncId,
    pub(super) func: Function,
    /// The block that code is appended to.
    block: Block,
    /// Whether `block` still needs a terminator.
    open: bool,
    /// Values that dominate the end of `block`.
    pub(super) scope: Vec<Value>,
    labels: Vec<Label>,
    /// Statements left.
    budget: usize,
}

impl Body<'_> {
    fn statement(&mut self) {
        self.budget = self.budget.saturating_sub(1);
        let nests = self.labels.len() < self.params.depth;
        match self.rng.below(40) {
            0..=2 if nests => self.if_else(),
            3..=4 if nests => self.counted_loop(),
            5..=6 if nests => self.switch(),
            7 if nests => self.plain_block(),
            8..=9 if !self.labels.is_empty() => self.break_if(),
            10 if !self.labels.is_empty() => self.break_table(),
            11 => self.leave_if(),
            12 if !self.labels.is_empty() => self.leave(),
            13..=14 if self.params.calls => self.call(),
            15 if self.params.calls && self.data.is_some() => self.call_through_table(),
            16..=20 if self.data.is_some() => self.store(),
            _ => self.expression(),
        }
    }

    /// Some statements of a nested construct.
    fn statements(&mut self) {
        for _ in 0..=self.rng.below(self.params.size / 3 + 1) {
            if self.open && self.budget > 0 {
                self.statement();
            }
        }
    }

    pub(super) fn value(&mut self, data: InstData, ty: Type) -> Value {
        self.func.append_value(self.block, data, ty)
    }

    fn end(&mut self, data: InstData) {
        self.func.append(self.block, data, &[]);
        self.open = false;
    }

    fn start(&mut self, block: Block) {
        self.block = block;
        self.open = true;
    }

    /// Some types for values that a construct passes on.
    fn some_types(&mut self) -> Vec<Type> {
        (0..self.rng.below(3)).map(|_| self.rng.pick(&self.params.types)).collect()
    }

    /// Opens a construct whose end is a new block with parameters.
    fn open_join(&mut self) {
        let params = self.some_types();
        let block = self.func.add_block();
        self.labels.push(Label { block, params, counter: None, used: false });
    }

    /// Closes the innermost construct: code continues at its end, with the scope from its start.
    fn close_join(&mut self, scope: usize) {
        if self.open {
            let to = self.break_to(self.labels.len() - 1);
            self.end(InstData::Jump { to });
        }
        self.scope.truncate(scope);
        let label = self.labels.pop().expect("a construct is open");
        for ty in label.params {
            let param = self.func.add_param(label.block, ty);
            self.scope.push(param);
        }
        self.start(label.block);
        if !label.used {
            self.end(InstData::Trap { code: TrapCode::Unreachable });
        }
    }

    /// An edge to a label, with values for its parameters.
    fn break_to(&mut self, label: usize) -> BlockCall {
        self.labels[label].used = true;
        let Label { block, ref params, counter, .. } = self.labels[label];
        let mut args = Vec::new();
        let params = params.clone();
        if let Some(counter) = counter {
            let one = self.const_i32(1);
            args.push(self.binary(BinaryOp::Sub, Type::I32, [counter, one]));
        }
        for ty in params {
            args.push(self.pick(ty));
        }
        BlockCall { block, args }
    }

    fn any_label(&mut self) -> BlockCall {
        let label = self.rng.below(self.labels.len());
        self.break_to(label)
    }

    fn if_else(&mut self) {
        let scope = self.scope.len();
        let cond = self.condition();
        self.open_join();
        let arms = [self.func.add_block(), self.func.add_block()];
        let mut targets = arms.map(|block| BlockCall { block, args: Vec::new() });
        if self.rng.one_in(3) {
            // No else: the edge goes to the end directly.
            targets[1] = self.break_to(self.labels.len() - 1);
        }
        let [if_true, if_false] = targets;
        let two_arms = if_false.block == arms[1];
        self.end(InstData::Branch { cond, if_true, if_false });
        for &arm in if two_arms { &arms[..] } else { &arms[..1] } {
            self.start(arm);
            self.statements();
            self.scope.truncate(scope);
            if self.open {
                let to = self.break_to(self.labels.len() - 1);
                self.end(InstData::Jump { to });
            }
        }
        if !two_arms {
            self.start(arms[1]);
            self.end(InstData::Trap { code: TrapCode::Unreachable });
        }
        self.close_join(scope);
    }

    fn plain_block(&mut self) {
        let scope = self.scope.len();
        self.open_join();
        self.statements();
        self.close_join(scope);
    }

    fn counted_loop(&mut self) {
        let scope = self.scope.len();
        let params = self.some_types();
        let (header, body) = (self.func.add_block(), self.func.add_block());
        let trips = self.rng.below(MAX_TRIPS + 1) as i32;
        let mut args = vec![self.const_i32(trips)];
        args.extend(params.iter().map(|&ty| self.pick(ty)).collect::<Vec<_>>());
        self.end(InstData::Jump { to: BlockCall { block: header, args } });
        self.open_join();
        self.start(header);
        let counter = self.func.add_param(header, Type::I32);
        for &ty in &params {
            let param = self.func.add_param(header, ty);
            self.scope.push(param);
        }
        self.scope.push(counter);
        let zero = self.const_i32(0);
        let done =
            self.value(InstData::Icmp { cond: Cond::Eq, ty: Type::I32, args: [counter, zero] }, Type::I32);
        let exit = self.break_to(self.labels.len() - 1);
        let to_body = BlockCall { block: body, args: Vec::new() };
        self.end(InstData::Branch { cond: done, if_true: exit, if_false: to_body });
        self.labels.push(Label { block: header, params, counter: Some(counter), used: true });
        self.start(body);
        self.statements();
        if self.open {
            let to = self.break_to(self.labels.len() - 1);
            self.end(InstData::Jump { to });
        }
        self.labels.pop();
        self.close_join(scope);
    }

    fn switch(&mut self) {
        let scope = self.scope.len();
        let ty = self.int_type();
        let value = self.selector(ty);
        self.open_join();
        let arms: Vec<Block> = (0..=self.rng.below(3)).map(|_| self.func.add_block()).collect();
        // Every arm is used once; more cases go anywhere.
        let mut targets: Vec<BlockCall> =
            arms.iter().map(|&block| BlockCall { block, args: vec![] }).collect();
        for _ in 0..self.rng.below(5) {
            let again = match self.rng.below(3) {
                0 => self.any_label(),
                _ => BlockCall { block: self.rng.pick(&arms), args: vec![] },
            };
            targets.push(again);
        }
        self.end_with_switch(ty, value, targets);
        for arm in arms {
            self.start(arm);
            self.statements();
            self.scope.truncate(scope);
            if self.open {
                let to = self.break_to(self.labels.len() - 1);
                self.end(InstData::Jump { to });
            }
        }
        self.close_join(scope);
    }

    /// A value that is small most of the time.
    fn selector(&mut self, ty: Type) -> Value {
        let value = self.pick(ty);
        if self.rng.one_in(5) {
            return value;
        }
        let mask = self.constant(ty, 15);
        self.binary(BinaryOp::And, ty, [value, mask])
    }

    fn end_with_switch(&mut self, ty: Type, value: Value, mut targets: Vec<BlockCall>) {
        let default = targets.swap_remove(self.rng.below(targets.len()));
        let mut numbers: Vec<i64> = Vec::new();
        let mut next = self.rng.below(5) as i64 - 2;
        for _ in &targets {
            numbers.push(next);
            next += 1 + if self.rng.one_in(4) { self.rng.below(1000) as i64 } else { 0 };
        }
        let cases = numbers.into_iter().zip(targets).collect();
        self.end(InstData::Switch { ty, value, cases, default });
    }

    fn break_if(&mut self) {
        let cond = self.condition();
        let away = self.any_label();
        let next = self.func.add_block();
        let stay = BlockCall { block: next, args: Vec::new() };
        let (if_true, if_false) = if self.rng.one_in(2) { (away, stay) } else { (stay, away) };
        self.end(InstData::Branch { cond, if_true, if_false });
        self.start(next);
    }

    /// `branch cond, away, next`, then continues at `next`.
    fn branch_away(&mut self, cond: Value, away: BlockCall) {
        let next = self.func.add_block();
        let stay = BlockCall { block: next, args: Vec::new() };
        self.end(InstData::Branch { cond, if_true: away, if_false: stay });
        self.start(next);
    }

    fn break_table(&mut self) {
        let ty = self.int_type();
        let value = self.selector(ty);
        let targets = (0..2 + self.rng.below(4)).map(|_| self.any_label()).collect();
        self.end_with_switch(ty, value, targets);
    }

    /// Sometimes returns or traps.
    fn leave_if(&mut self) {
        let cond = self.condition();
        let away = self.func.add_block();
        self.branch_away(cond, BlockCall { block: away, args: Vec::new() });
        let next = self.block;
        self.start(away);
        self.leave();
        self.start(next);
    }

    fn leave(&mut self) {
        match self.rng.below(4) {
            0 => {
                let code = self.rng.pick(TrapCode::ALL);
                self.end(InstData::Trap { code });
            }
            1 if !self.labels.is_empty() => {
                let to = self.any_label();
                self.end(InstData::Jump { to });
            }
            2 if self.params.calls => self.end_with_tail_call(),
            _ => self.end_with_return(),
        }
    }

    fn end_with_return(&mut self) {
        let types = self.module.signature_of(self.id).results.clone();
        let args = types.into_iter().map(|ty| self.pick(ty)).collect();
        self.end(InstData::Return { args });
    }

    fn end_with_tail_call(&mut self) {
        let own = &self.module.signature_of(self.id).results;
        let same = |&func: &FuncId| self.module.signature_of(func).results == *own;
        let callees: Vec<FuncId> = self.callees().into_iter().filter(same).collect();
        if callees.is_empty() {
            return self.end_with_return();
        }
        let func = self.rng.pick(&callees);
        let args = self.args_of(self.module.decls[func].sig);
        if self.params.types.contains(&Type::I64) && self.rng.one_in(2) {
            let callee = self.code_address(func);
            return self.end(InstData::TailCallIndirect { sig: self.module.decls[func].sig, callee, args });
        }
        self.end(InstData::TailCall { func, args });
    }

    /// Functions this one may call: imports and local functions after it.
    fn callees(&self) -> Vec<FuncId> {
        let may = |&func: &FuncId| self.module.decls[func].kind != FuncKind::Local || func > self.id;
        self.module.decls.ids().filter(may).collect()
    }

    fn args_of(&mut self, sig: SigId) -> Vec<Value> {
        self.module.signatures[sig].params.iter().map(|&ty| self.pick(ty)).collect()
    }

    fn call(&mut self) {
        let callees = self.callees();
        if callees.is_empty() || self.labels.iter().filter(|label| label.counter.is_some()).count() > 1 {
            return self.expression();
        }
        let func = self.rng.pick(&callees);
        let sig = self.module.decls[func].sig;
        let args = self.args_of(sig);
        if self.params.types.contains(&Type::I64) && self.rng.one_in(4) {
            let callee = self.code_address(func);
            return self.append_call(InstData::CallIndirect { sig, callee, args }, sig);
        }
        self.append_call(InstData::Call { func, args }, sig);
    }

    fn append_call(&mut self, data: InstData, sig: SigId) {
        let inst = self.func.append(self.block, data, &self.module.signatures[sig].results);
        self.scope.extend(&self.func.results[inst]);
    }

    fn code_address(&mut self, func: FuncId) -> Value {
        let reference = self.value(InstData::FuncRef { func }, Type::I64);
        self.unary(crate::UnaryOp::Trunc, Type::I32, reference)
    }

    /// A call through the table, as the frontend emits it for `call_indirect`: the signature is checked before the
    /// call.
    fn call_through_table(&mut self) {
        let Some(data) = self.data else { return };
        if self.id.index() >= super::first_table_callee(self.params) {
            return self.expression();
        }
        let sigs: Vec<SigId> = self.module.signatures.ids().collect();
        let sig = self.rng.pick(&sigs);
        let (mask, three) = (self.const_i32(super::TABLE_ENTRIES as i32 - 1), self.const_i32(3));
        let number = self.pick(Type::I32);
        let entry = self.binary(BinaryOp::And, Type::I32, [number, mask]);
        let offset = self.binary(BinaryOp::Shl, Type::I32, [entry, three]);
        let mut half = |offset_of_half| {
            let addr = crate::Addr { base: Some(data.table), index: Some(offset), offset: offset_of_half };
            let flags = MemFlags { volatile: false, align_log2: 2 };
            self.value(InstData::Load { mem: MemType::U32, ty: Type::I32, addr, flags }, Type::I32)
        };
        let (callee, tag) = (half(0), half(4));
        let wanted = self.const_i32(sig.index() as i32 + 1);
        let bad = InstData::Icmp { cond: Cond::Ne, ty: Type::I32, args: [tag, wanted] };
        let bad = self.value(bad, Type::I32);
        let trap = self.func.add_block();
        self.func.append(trap, InstData::Trap { code: TrapCode::BadSignature }, &[]);
        self.branch_away(bad, BlockCall { block: trap, args: Vec::new() });
        let args = self.args_of(sig);
        self.append_call(InstData::CallIndirect { sig, callee, args }, sig);
    }

    /// Frame slots with defined contents.
    fn frame_slots(&mut self) {
        if !self.params.frame_slots || self.data.is_none() {
            return;
        }
        for _ in 0..self.rng.below(3) {
            let size = 8 * (1 + self.rng.below(4) as u32);
            let slot = self.func.frame_slots.push(FrameSlotData { size, align: 1 << self.rng.below(5) });
            for offset in (0..size).step_by(4) {
                let value = self.pick(Type::I32);
                let addr = self.slot_address(slot, offset as i32);
                let store = InstData::Store { mem: MemType::U32, addr, value, flags: MemFlags::default() };
                self.append_store(store);
            }
        }
    }

    pub(super) fn append_store(&mut self, data: InstData) {
        self.func.append(self.block, data, &[]);
    }
}
