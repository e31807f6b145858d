//! Exceptions, which are results of functions ([`wasm_program::exceptions`]).
//!
//! An exception that is thrown in a frame with handlers goes to the frame's *landing*: a block with one phi per part of
//! an exception, made when the first exception goes there. The landing compares the number of the tag for one handler
//! after the other; what no handler catches goes on to the next frame outside. What no frame catches goes to a block
//! that returns it.
//!
//! All payloads have the same slots. A value narrower than its slot is extended, and a float is stored as its bits.

use inkwell::basic_block::BasicBlock;
use inkwell::types::BasicTypeEnum;
use inkwell::values::{BasicValueEnum, IntValue};
use inkwell::{IntPredicate, types};
use ssa::TrapCode;
use wasm_program::error::Error;
use wasm_program::module_info::ValueType;
use wasmparser::{Catch, Operator};

use super::Translator;
use super::control::{Kind, Label};

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> Result<bool, Error> {
    match *op {
        Operator::Throw { tag_index } => t.throw(tag_index)?,
        Operator::ThrowRef => {
            let exception = t.stack.pop();
            let null = t.ir().is_zero(exception[0].into_int_value());
            t.trap_if(null, TrapCode::NullReference);
            t.raise(&exception)?;
        }
        Operator::Rethrow { relative_depth } => {
            let at = t.frames.len() - 1 - relative_depth as usize;
            let Kind::Handler { exception, .. } = &t.frames[at].kind else {
                unreachable!("validated: `rethrow` names a handler")
            };
            let exception = exception.clone();
            t.raise(&exception)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A value that is never used.
pub fn undefined(ty: BasicTypeEnum<'_>) -> BasicValueEnum<'_> {
    match ty {
        BasicTypeEnum::IntType(ty) => ty.get_poison().into(),
        BasicTypeEnum::FloatType(ty) => ty.get_poison().into(),
        other => unreachable!("no part has type {other}"),
    }
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// Pushes the null reference to an exception.
    pub(super) fn push_null_exception(&mut self) {
        let parts: Vec<_> = self.env.exception_types().into_iter().map(|ty| ty.const_zero()).collect();
        self.stack.push(parts);
    }

    fn throw(&mut self, tag: u32) -> Result<(), Error> {
        let info = self.program().info;
        let params = &info.types[info.tags[tag as usize].ty as usize].params;
        self.settle(params.len());
        let height = self.stack.len() - params.len();
        let operands = self.stack.split_off(height);
        let values = self.thrown_values(params, &operands);
        let types = self.env.exception_types();
        let mut exception: Vec<_> = types.iter().map(|&ty| undefined(ty)).collect();
        exception[0] = self.number(tag).into();
        for (n, value) in (1..).zip(values) {
            exception[n] = self.to_slot(value, types[n].into_int_type());
        }
        self.raise(&exception)
    }

    fn number(&self, tag: u32) -> IntValue<'ctx> {
        self.ir().c32(self.program().exceptions.numbers[tag as usize])
    }

    /// A value as it is in a slot.
    fn to_slot(&self, value: BasicValueEnum<'ctx>, slot: types::IntType<'ctx>) -> BasicValueEnum<'ctx> {
        let bits = match value {
            BasicValueEnum::FloatValue(value) => {
                let bits = if value.get_type() == self.ir().f32 { self.ir().i32 } else { self.ir().i64 };
                self.cast(value.into(), bits.into()).into_int_value()
            }
            value => value.into_int_value(),
        };
        if bits.get_type() == slot { bits.into() } else { self.ir().zext(bits, slot).into() }
    }

    /// The value in a slot.
    fn of_slot(&self, slot: BasicValueEnum<'ctx>, ty: BasicTypeEnum<'ctx>) -> BasicValueEnum<'ctx> {
        let bits = slot.into_int_value();
        let width = super::locals::align_of(ty);
        let bits = if super::locals::align_of(slot.get_type()) == width {
            bits
        } else {
            self.ir().trunc(bits, self.ir().i32)
        };
        if ty.is_float_type() { self.cast(bits.into(), ty) } else { bits.into() }
    }

    fn cast(&self, value: BasicValueEnum<'ctx>, ty: BasicTypeEnum<'ctx>) -> BasicValueEnum<'ctx> {
        self.ir().builder.build_bit_cast(value, ty, "").expect("both have the same width")
    }

    /// Goes to the handler of an exception that is thrown here.
    pub(super) fn raise(&mut self, exception: &[BasicValueEnum<'ctx>]) -> Result<(), Error> {
        let target = self.handler(self.frames.len(), exception)?;
        self.ir().jump(target);
        self.reachable = false;
        Ok(())
    }

    /// Goes to the handler of an exception if a call has thrown one.
    pub(super) fn raise_if_thrown(&mut self, exception: &[BasicValueEnum<'ctx>]) -> Result<(), Error> {
        let thrown = self.ir().is_nonzero(exception[0].into_int_value());
        let target = self.handler(self.frames.len(), exception)?;
        let next = self.ir().new_block();
        self.ir().branch_rarely(thrown, target, next);
        self.ir().at_end(next);
        Ok(())
    }

    /// The frame with handlers for exceptions that are thrown in the frames before `below`.
    pub(super) fn handling_frame(&self, below: usize) -> Option<usize> {
        let innermost = below.checked_sub(1)?;
        let frame = &self.frames[innermost];
        match frame.kind {
            Kind::Try | Kind::TryTable(_) => Some(innermost),
            _ => frame.handler_outside,
        }
    }

    /// The block for an exception that comes from the current block, thrown in the frames before `below`. Passes it there.
    fn handler(
        &mut self,
        below: usize,
        exception: &[BasicValueEnum<'ctx>],
    ) -> Result<BasicBlock<'ctx>, Error> {
        self.spend(exception.len())?;
        let at = self.handling_frame(below);
        if at.is_none() && !self.program().exceptions.throwing[self.index as usize] {
            // Nothing that may throw comes here.
            return Ok(self.trap_block(TrapCode::Exception));
        }
        let Some(at) = at else {
            let results = self.env.part_types(&self.program().info.type_of(self.index).results);
            let results: Vec<_> = results.into_iter().map(undefined).collect();
            return Ok(self.exit(&results, exception));
        };
        if self.frames[at].landing.is_none() {
            let landing = self.new_label(self.env.exception_types());
            self.frames[at].landing = Some(landing);
        }
        let landing = self.frames[at].landing.as_ref().expect("it was just made");
        self.pass_parts(landing, exception);
        Ok(landing.block)
    }

    /// The block that returns from a function that throws, for parts that come from the current block.
    ///
    /// There is one such block, with the parts in phis of their own. With more returns LLVM would join structs, and after
    /// inlining not see that nothing is thrown.
    pub(super) fn exit(
        &mut self,
        results: &[BasicValueEnum<'ctx>],
        exception: &[BasicValueEnum<'ctx>],
    ) -> BasicBlock<'ctx> {
        if self.exit.is_none() {
            let mut types = self.env.part_types(&self.program().info.type_of(self.index).results);
            types.extend(self.env.exception_types());
            self.exit = Some(self.new_label(types));
        }
        let exit = self.exit.as_ref().expect("it was just made");
        self.pass_parts(exit, &[results, exception].concat());
        exit.block
    }

    /// A new block with phis of these types.
    fn new_label(&self, types: Vec<BasicTypeEnum<'ctx>>) -> Label<'ctx> {
        let from = self.ir().block();
        let block = self.ir().new_block();
        self.ir().at_end(block);
        let phis = types.into_iter().map(|ty| self.ir().phi(ty)).collect();
        self.ir().at_end(from);
        Label { block, phis }
    }

    /// Passes parts from the current block.
    fn pass_parts(&self, label: &Label<'ctx>, parts: &[BasicValueEnum<'ctx>]) {
        let from = self.ir().block();
        for (phi, value) in label.phis.iter().zip(parts) {
            phi.add_incoming(&[(value, from)]);
        }
    }

    /// Moves to a block; returns the parts that are passed to it.
    fn land(&self, landing: &Label<'ctx>) -> Vec<BasicValueEnum<'ctx>> {
        self.ir().at_end(landing.block);
        landing.phis.iter().map(|phi| phi.as_basic_value()).collect()
    }

    /// Ends a function that throws.
    pub(super) fn finish_exit(&mut self) {
        if let Some(exit) = self.exit.take() {
            let parts = self.land(&exit);
            self.env.emit_return(&parts);
        }
    }

    /// `catch` or `catch_all` of a `try`: ends its body or its last handler.
    pub(super) fn open_handler(&mut self, tag: Option<u32>) -> Result<(), Error> {
        if self.reachable {
            self.pass_to(0)?;
        }
        let frame = self.frames.last_mut().expect("validated: handlers are in a frame");
        let (height, kind) = (frame.height, std::mem::replace(&mut frame.kind, Kind::Block));
        let landing = frame.landing.take();
        self.stack.truncate(height);
        let (exception, here) = match (kind, landing) {
            (Kind::Handler { exception, next }, _) => (exception, next),
            (_, Some(landing)) => (self.land(&landing), Some(landing.block)),
            (_, None) => (Vec::new(), None),
        };
        self.reachable = here.is_some();
        let mut next = None;
        if let Some(here) = here {
            self.ir().at_end(here);
            if let Some(tag) = tag {
                next = Some(self.unless_caught(&exception, tag));
                self.push_payload(&exception, tag);
            }
        }
        self.frames.last_mut().expect("it is there").kind = Kind::Handler { exception, next };
        Ok(())
    }

    /// Branches on whether an exception has a tag, and goes on where it has; returns the block where it doesn't.
    fn unless_caught(&mut self, exception: &[BasicValueEnum<'ctx>], tag: u32) -> BasicBlock<'ctx> {
        let number = exception[0].into_int_value();
        let is_caught = self.ir().icmp(IntPredicate::EQ, number, self.number(tag));
        let (caught, next) = (self.ir().new_block(), self.ir().new_block());
        self.ir().branch(is_caught, caught, next);
        self.ir().at_end(caught);
        next
    }

    /// Pushes the values of an exception with a tag.
    fn push_payload(&mut self, exception: &[BasicValueEnum<'ctx>], tag: u32) {
        let info = self.program().info;
        let mut slots = exception[1..].iter();
        for &ty in &info.types[info.tags[tag as usize].ty as usize].params {
            let types = match ty {
                ValueType::ExnRef => vec![self.ir().i32.into()],
                _ => self.env.part_types(&[ty]),
            };
            let values = types.into_iter().zip(slots.by_ref());
            let parts: Vec<_> = values.map(|(ty, &slot)| self.of_slot(slot, ty)).collect();
            let parts =
                if ty == ValueType::ExnRef { self.recorded(parts[0].into_int_value()) } else { parts };
            self.stack.push(parts);
        }
    }

    /// `delegate`: exceptions of the body go on as if they were thrown in an outer frame.
    pub(super) fn delegate(&mut self, depth: u32) -> Result<(), Error> {
        let below = self.frames.len() - 1 - depth as usize;
        self.leave_landing(|t, exception| {
            let target = t.handler(below, &exception)?;
            t.ir().jump(target);
            Ok(())
        })?;
        self.close()
    }

    /// At the `end` of a frame: what its handlers do, and where the exceptions go that none of them catches.
    pub(super) fn close_handlers(&mut self) -> Result<(), Error> {
        let frame = self.frames.last_mut().expect("validated: `end` closes a frame");
        match std::mem::replace(&mut frame.kind, Kind::Block) {
            Kind::TryTable(catches) => self.leave_landing(|t, exception| t.dispatch(&catches, &exception)),
            Kind::Try => self.leave_landing(|t, exception| t.pass_on(&exception)),
            Kind::Handler { exception, next: Some(next) } => {
                self.leave_body()?;
                self.ir().at_end(next);
                self.pass_on(&exception)
            }
            kind => {
                frame.kind = kind;
                Ok(())
            }
        }
    }

    /// Ends the body of a frame, and then its landing.
    fn leave_landing(
        &mut self,
        end: impl FnOnce(&mut Self, Vec<BasicValueEnum<'ctx>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let frame = self.frames.last_mut().expect("validated: a frame is open");
        frame.kind = Kind::Block;
        let Some(landing) = frame.landing.take() else { return Ok(()) };
        self.leave_body()?;
        let exception = self.land(&landing);
        end(self, exception)
    }

    /// Passes the results of a frame to its end, if the code is reachable. Then the code isn't.
    fn leave_body(&mut self) -> Result<(), Error> {
        if self.reachable {
            self.pass_to(0)?;
        }
        self.reachable = false;
        let height = self.frames.last().expect("validated: a frame is open").height;
        self.stack.truncate(height);
        Ok(())
    }

    /// Ends a block whose exception goes on to the frames outside.
    fn pass_on(&mut self, exception: &[BasicValueEnum<'ctx>]) -> Result<(), Error> {
        let target = self.handler(self.frames.len() - 1, exception)?;
        self.ir().jump(target);
        Ok(())
    }

    /// The handlers of a `try_table`. Their depths don't count its own frame, which is still open.
    fn dispatch(&mut self, catches: &[Catch], exception: &[BasicValueEnum<'ctx>]) -> Result<(), Error> {
        let height = self.stack.len();
        for catch in catches {
            let (tag, label, by_reference) = match *catch {
                Catch::One { tag, label } => (Some(tag), label, false),
                Catch::OneRef { tag, label } => (Some(tag), label, true),
                Catch::All { label } => (None, label, false),
                Catch::AllRef { label } => (None, label, true),
            };
            let next = tag.map(|tag| self.unless_caught(exception, tag));
            if let Some(tag) = tag {
                self.push_payload(exception, tag);
            }
            if by_reference {
                self.stack.push(exception.iter().copied());
            }
            self.pass_to(label + 1)?;
            self.stack.truncate(height);
            match next {
                Some(next) => self.ir().at_end(next),
                None => return Ok(()),
            }
        }
        self.pass_on(exception)
    }
}
