//! Atomic operators, for the one thread that there is.
//!
//! With a single thread every sequence of loads and stores is atomic. What remains of an atomic access is the trap for
//! an address that is not a multiple of its width. A wait for a value that memory has would never be notified: it times
//! out at once if it has a timeout, and traps otherwise. Nobody waits, so a notification wakes nobody.

use inkwell::IntPredicate;
use inkwell::types::IntType;
use inkwell::values::IntValue;
use ssa::TrapCode;
use wasm_program::atomics::{Action, Atomic, atomic};
use wasm_program::module_info::memory_of;
use wasmparser::{MemArg, Operator};

use super::Translator;
use super::memory::{Access, Destination};

/// The result of a wait for a value that memory doesn't have.
const NOT_EQUAL: u32 = 1;
/// The result of a wait that ends by its timeout.
const TIMED_OUT: u32 = 2;

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> bool {
    if let Operator::AtomicFence { .. } = op {
        return true;
    }
    let Some(op) = atomic(op) else { return false };
    match op.action {
        Action::Notify => t.atomic_notify(op),
        Action::Wait => t.atomic_wait(op),
        Action::Load => {
            let (_, old) = t.atomic_load(op);
            t.push(old);
        }
        Action::Store => {
            let value = t.pop_int();
            let to = t.atomic_destination(op);
            t.atomic_store(op, to, value);
        }
        Action::CompareExchange => t.compare_exchange(op),
        _ => t.read_modify_write(op),
    }
    true
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    fn read_modify_write(&mut self, op: Atomic) {
        let operand = self.pop_int();
        let (to, old) = self.atomic_load(op);
        let ir = self.ir();
        let new = match op.action {
            Action::Add => ir.add(old, operand),
            Action::Sub => ir.sub(old, operand),
            Action::And => ir.and(old, operand),
            Action::Or => ir.or(old, operand),
            Action::Xor => ir.xor(old, operand),
            _ => operand,
        };
        self.atomic_store(op, to, new);
        self.push(old);
    }

    /// A narrow access compares as many bits as it loads.
    fn compare_exchange(&mut self, op: Atomic) {
        let (replacement, expected) = (self.pop_int(), self.pop_int());
        let (to, old) = self.atomic_load(op);
        let mask = expected.get_type().const_int(u64::MAX >> (64 - 8 * op.bytes), false);
        let expected = self.ir().and(expected, mask);
        let is_equal = self.ir().icmp(IntPredicate::EQ, old, expected);
        let (store, next) = (self.ir().new_block(), self.ir().new_block());
        self.ir().branch(is_equal, store, next);
        self.ir().at_end(store);
        self.atomic_store(op, to, replacement);
        self.ir().jump(next);
        self.ir().at_end(next);
        self.push(old);
    }

    fn atomic_notify(&mut self, op: Atomic) {
        self.pop_int();
        let to = self.atomic_destination(op);
        // The access must trap where it is not allowed, though its result is unused.
        self.load_from(Destination { is_device: true, ..to }, self.ir().i32.into());
        self.push(self.ir().c32(0));
    }

    fn atomic_wait(&mut self, op: Atomic) {
        let (timeout, expected) = (self.pop_int(), self.pop_int());
        if !self.program().memories[memory_of(op.memarg) as usize].is_shared {
            self.atomic_destination(op);
            return self.trap_always(TrapCode::UnsharedWait);
        }
        let (_, value) = self.atomic_load(op);
        let differs = self.ir().icmp(IntPredicate::NE, value, expected);
        let (wait, done) = (self.ir().new_block(), self.ir().new_block());
        let before = self.ir().block();
        self.ir().branch(differs, done, wait);
        self.ir().at_end(wait);
        let is_endless = self.ir().icmp(IntPredicate::SLT, timeout, self.ir().c64(0));
        self.trap_if(is_endless, TrapCode::EndlessWait);
        let waited = self.ir().block();
        self.ir().jump(done);
        self.ir().at_end(done);
        let result = self.ir().phi(self.ir().i32.into());
        let (not_equal, timed_out) = (self.ir().c32(NOT_EQUAL), self.ir().c32(TIMED_OUT));
        result.add_incoming(&[(&not_equal, before), (&timed_out, waited)]);
        self.push(result.as_basic_value());
    }

    /// Pops an address and loads from it; the value is zero-extended.
    fn atomic_load(&mut self, op: Atomic) -> (Destination<'ctx>, IntValue<'ctx>) {
        let to = self.atomic_destination(op);
        let value = self.load_from(to, self.accessed(op).into()).into_int_value();
        let ty = if op.is_wide { self.ir().i64 } else { self.ir().i32 };
        let value = if value.get_type() == ty { value } else { self.ir().zext(value, ty) };
        (to, value)
    }

    fn atomic_store(&mut self, op: Atomic, to: Destination<'ctx>, value: IntValue<'ctx>) {
        let ty = self.accessed(op);
        let value = if value.get_type() == ty { value } else { self.ir().trunc(value, ty) };
        self.store_to(to, value.into());
    }

    /// The type of the value in memory.
    fn accessed(&self, op: Atomic) -> IntType<'ctx> {
        match op.bytes {
            1 => self.ir().i8,
            2 => self.ir().i16,
            4 => self.ir().i32,
            _ => self.ir().i64,
        }
    }

    /// Pops the address of an access and checks that it is aligned, and within memory as for any other store.
    fn atomic_destination(&mut self, op: Atomic) -> Destination<'ctx> {
        let address = self.pop_int();
        self.check_alignment(address, op.memarg, op.bytes);
        self.destination(address, op.memarg, op.bytes, Access::Store)
    }

    fn check_alignment(&mut self, address: IntValue<'ctx>, memarg: MemArg, bytes: u32) {
        if bytes == 1 {
            return;
        }
        let offset = self.word(memarg.offset as u32);
        let sum = self.ir().add(self.narrow_address(address), offset);
        let rest = self.ir().and(sum, self.ir().c32(bytes - 1));
        let unaligned = self.ir().icmp(IntPredicate::NE, rest, self.ir().c32(0));
        self.trap_if(unaligned, TrapCode::UnalignedAtomic);
    }
}
