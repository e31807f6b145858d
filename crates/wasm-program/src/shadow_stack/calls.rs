//! How one function uses the shadow stack: calls, and the values that functions hand to each other.

use wasmparser::Operator;

use super::flow::Sink;
use super::frame::Analysis;
use super::value::{Known, Traits};
use crate::libcalls::{Libcall, Operation};
use crate::module_info::FuncType;

const REGION_IS_USED: &str = "the stack region is accessed by a constant address";

impl Analysis<'_> {
    pub(super) fn call(&mut self, callee: u32) {
        let ty = self.subject.info.type_of(callee);
        let args = self.stack.split_off(self.stack.len() - ty.params.len());
        self.note_call();
        self.pass_arguments(callee, &args);
        let mut result = match self.subject.libcalls[callee as usize] {
            Some(helper) => self.helper(helper, &args),
            None => Known::Unknown(self.world.results(callee)),
        };
        if let Some(param) = self.subject.returned[callee as usize] {
            result = args[param as usize];
        }
        self.stack.extend(std::iter::repeat_n(result, ty.results.len()));
    }

    fn note_call(&mut self) {
        let pointer = self.state().pointer;
        let at = pointer.map_or(0, |pointer| self.bound(pointer));
        self.highest_call = self.highest_call.max(at);
        let state = self.state();
        state.fresh.clear();
        state.intact = pointer;
    }

    fn pass_arguments(&mut self, callee: u32, args: &[Known]) {
        self.effects.callees.insert(callee);
        for (n, &arg) in (0u32..).zip(args) {
            let traits = self.plain(arg);
            self.give(Sink::Param(callee, n), traits);
            if !self.world.accesses(callee, n) {
                continue;
            }
            match arg {
                Known::Constant(address) if self.subject.region.contains(address as u32) => {
                    self.suspect(REGION_IS_USED);
                }
                Known::Param(param) if self.is_certain => drop(self.effects.accessed.insert(param)),
                _ => {}
            }
        }
    }

    /// The accesses of a compiler helper, and its result. Where its operation does not do the same as its body, the body
    /// runs, so the call itself counts as well.
    fn helper(&mut self, helper: Libcall, args: &[Known]) -> Known {
        match helper.operation {
            Operation::Memset => self.check_range(args[0], args[2]),
            Operation::Memcpy | Operation::Memmove | Operation::Memcmp => {
                self.check_range(args[0], args[2]);
                self.check_range(args[1], args[2]);
            }
            Operation::Multi3 | Operation::Divide(_) => self.check_range(args[0], Known::Constant(16)),
        }
        Known::NUMBER
    }

    pub(super) fn call_indirect(&mut self, ty: u32) {
        self.pop_number();
        let FuncType { params, results } = &self.subject.info.types[ty as usize];
        let args = self.stack.split_off(self.stack.len() - params.len());
        let class = self.subject.classes[ty as usize];
        self.note_call();
        self.pass_through_table(class, &args);
        let result = Known::Unknown(self.world.class_results(class));
        self.stack.extend(std::iter::repeat_n(result, results.len()));
    }

    fn pass_through_table(&mut self, class: u32, args: &[Known]) {
        self.effects.classes.insert(class);
        for (n, &arg) in (0u32..).zip(args) {
            let traits = self.plain(arg).by_type();
            self.give(Sink::ClassParam(class, n), traits);
        }
    }

    /// A call in place of a return: the frame is gone.
    pub(super) fn tail_call(&mut self, op: &Operator<'_>) {
        let args = match *op {
            Operator::ReturnCall { function_index } => {
                let params = self.subject.info.type_of(function_index).params.len();
                let args = self.stack.split_off(self.stack.len() - params);
                self.pass_arguments(function_index, &args);
                let results = self.world.results(function_index);
                self.give(Sink::Results, results);
                args
            }
            Operator::ReturnCallIndirect { type_index, .. } => {
                self.pop_number();
                let params = self.subject.info.types[type_index as usize].params.len();
                let args = self.stack.split_off(self.stack.len() - params);
                let class = self.subject.classes[type_index as usize];
                self.pass_through_table(class, &args);
                let results = self.world.class_results(class);
                self.give(Sink::Results, results);
                args
            }
            _ => Vec::new(),
        };
        if args.iter().any(|arg| matches!(arg, Known::Place(_))) {
            self.suspect("the address of a stack object is passed to a call after its frame");
        }
    }

    /// The function returns these.
    pub(super) fn returned(&mut self, results: &[Known]) {
        for &result in results {
            let traits = self.plain(result);
            if matches!(result, Known::Place(_)) {
                self.suspect("an address of the function's own frame is returned");
            }
            self.give(Sink::Results, traits);
        }
    }

    pub(super) fn give(&mut self, sink: Sink, traits: Traits) {
        *self.effects.gives.entry(sink).or_default() |= traits.outside();
    }
}
