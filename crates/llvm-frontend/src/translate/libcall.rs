//! Compiler helpers: an operation in place of a call, where it has the same effect as the body.
//!
//! [`wasm_program::libcalls`] gives the domain of arguments for which that holds. If the arguments of a call are known to be
//! in it, the operation replaces the call. Otherwise the function itself decides: it begins with a test of the domain,
//! and branches to the operation or to its own body. Copies of a few bytes are worth a test at the call, because the
//! operation is shorter than a call.

use inkwell::AddressSpace;
use inkwell::IntPredicate;
use inkwell::values::{BasicValueEnum, FunctionValue, IntValue};
use wasm_program::libcalls::{Libcall, Operation};
use wasm_program::module_info::MAIN_MEMORY;
use wasm_program::names;
use wasm_program::options::{Bounds, OptLevel};

use super::Translator;
use super::ir::Space;

/// Copies and comparisons of at most this many bytes are made without a call.
const INLINE_BYTES: u32 = 64;

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// Calls the helper with this index, pushing its result.
    pub(super) fn call_helper(&mut self, index: u32, libcall: Libcall, args: &[BasicValueEnum<'ctx>]) {
        let ints: Vec<IntValue<'ctx>> = args.iter().map(|arg| arg.into_int_value()).collect();
        let result = match self.in_domain(libcall, &ints) {
            None => self.operation(libcall.operation, &ints),
            Some(in_domain) if self.checks_inline(libcall.operation, &ints) => {
                self.operation_or_call(index, libcall, in_domain, &ints)
            }
            Some(_) => self.call_body(index, libcall, &ints),
        };
        if let Some(result) = result {
            self.push(result);
        }
    }

    /// The beginning of a helper's body: the operation, in its domain. Returns whether the body is
    /// complete; if not, the function's own code follows.
    pub(super) fn helper_entry(&mut self, libcall: Libcall, function: FunctionValue<'ctx>) -> bool {
        let args: Vec<_> = function.get_params().iter().map(|arg| arg.into_int_value()).collect();
        let in_domain = self.in_domain(libcall, &args);
        let body = in_domain.map(|in_domain| {
            let (operation, body) = (self.ir().new_block(), self.ir().new_block());
            self.ir().branch(in_domain, operation, body);
            self.ir().at_end(operation);
            body
        });
        let result: Vec<_> = self.operation(libcall.operation, &args).into_iter().collect();
        self.emit_return(&result);
        match body {
            Some(body) => self.ir().at_end(body),
            None => self.locals.finish(),
        }
        body.is_none()
    }

    /// Whether the arguments are in the helper's domain; `None` if they certainly are.
    fn in_domain(&mut self, libcall: Libcall, args: &[IntValue<'ctx>]) -> Option<IntValue<'ctx>> {
        let condition = match libcall.operation {
            Operation::Memcpy | Operation::Memmove | Operation::Memset => {
                self.ranges_in_domain(libcall, args)?
            }
            Operation::Memcmp if self.program().options.bounds != Bounds::Guard => self.are_in_memory(args),
            Operation::Divide(_) if libcall.domain.nonzero => {
                let any = self.ir().or(args[3], args[4]);
                self.ir().is_nonzero(any)
            }
            Operation::Memcmp | Operation::Multi3 | Operation::Divide(_) => return None,
        };
        (condition.get_zero_extended_constant() != Some(1)).then_some(condition)
    }

    fn ranges_in_domain(&mut self, libcall: Libcall, args: &[IntValue<'ctx>]) -> Option<IntValue<'ctx>> {
        let domain = libcall.domain;
        let length = args[2].get_zero_extended_constant().map(|length| length as u32);
        if length == Some(0) {
            return None;
        }
        let is_short = !domain.short || length.is_some_and(|length| length < 1 << 31);
        if domain.apart {
            return Some(self.are_apart(args, is_short));
        }
        let ir = self.ir();
        let distinct = domain.distinct.then(|| ir.icmp(IntPredicate::NE, args[0], args[1]));
        let short = (!is_short).then(|| ir.icmp(IntPredicate::SGE, args[2], ir.c32(0)));
        match (distinct, short) {
            (Some(distinct), Some(short)) => Some(ir.and(distinct, short)),
            (condition, None) | (None, condition) => condition,
        }
    }

    /// Whether two ranges are disjoint: each begins at least a length away from the other, modulo 2^32.
    /// If the length is not known to be below 2^31, that is tested, too.
    fn are_apart(&mut self, args: &[IntValue<'ctx>], is_short: bool) -> IntValue<'ctx> {
        let ir = self.ir();
        let (up, down) = (ir.sub(args[0], args[1]), ir.sub(args[1], args[0]));
        let up_is_less = ir.icmp(IntPredicate::ULT, up, down);
        let mut distance = ir.select(up_is_less, up.into(), down.into()).into_int_value();
        if !is_short {
            // A distance is at most 2^31; for exactly 2^31 the condition fails.
            distance = ir.and(distance, ir.c32(i32::MAX as u32));
        }
        ir.icmp(IntPredicate::UGE, distance, args[2])
    }

    /// Whether two ranges are inside of memory.
    fn are_in_memory(&mut self, args: &[IntValue<'ctx>]) -> IntValue<'ctx> {
        let size = self.memory_bytes(MAIN_MEMORY);
        let ir = self.ir();
        let a_is_less = ir.icmp(IntPredicate::ULT, args[0], args[1]);
        let last = ir.select(a_is_less, args[1].into(), args[0].into()).into_int_value();
        let fits = ir.icmp(IntPredicate::ULE, last, ir.sub(size, args[2]));
        ir.and(ir.icmp(IntPredicate::ULE, args[2], size), fits)
    }

    /// Whether the test belongs to the call rather than to the function.
    fn checks_inline(&self, operation: Operation, args: &[IntValue<'ctx>]) -> bool {
        let length = args[2].get_zero_extended_constant();
        let is_short = match operation {
            Operation::Divide(_) | Operation::Multi3 => true,
            _ => length.is_some_and(|length| length <= u64::from(INLINE_BYTES)),
        };
        is_short && self.program().options.level == OptLevel::O2
    }

    fn operation_or_call(
        &mut self,
        index: u32,
        libcall: Libcall,
        in_domain: IntValue<'ctx>,
        args: &[IntValue<'ctx>],
    ) -> Option<BasicValueEnum<'ctx>> {
        let (operation, call, next) = (self.ir().new_block(), self.ir().new_block(), self.ir().new_block());
        self.ir().branch(in_domain, operation, call);
        self.ir().at_end(operation);
        let first = self.operation(libcall.operation, args);
        let operation = self.ir().block();
        self.ir().jump(next);
        self.ir().at_end(call);
        let second = self.call_body(index, libcall, args);
        self.ir().jump(next);
        self.ir().at_end(next);
        match (first, second) {
            (Some(first), Some(second)) if first != second => {
                let phi = self.ir().phi(first.get_type());
                phi.add_incoming(&[(&first, operation), (&second, call)]);
                Some(phi.as_basic_value())
            }
            _ => first,
        }
    }

    fn call_body(
        &mut self,
        index: u32,
        libcall: Libcall,
        args: &[IntValue<'ctx>],
    ) -> Option<BasicValueEnum<'ctx>> {
        let callee = self.env.function(index);
        let values: Vec<BasicValueEnum<'ctx>> = args.iter().map(|&arg| arg.into()).collect();
        let call = self.build_call(callee, &values);
        if libcall.returns_first_argument() { Some(values[0]) } else { call.try_as_basic_value().basic() }
    }

    /// The operation of a compiler helper.
    fn operation(&mut self, operation: Operation, args: &[IntValue<'ctx>]) -> Option<BasicValueEnum<'ctx>> {
        match operation {
            Operation::Memcpy | Operation::Memmove | Operation::Memset => {
                self.write_bytes(operation, args);
                Some(args[0].into())
            }
            Operation::Memcmp => Some(self.compare_bytes(args[0], args[1], args[2])),
            Operation::Multi3 => {
                let (a, b) = (self.ir().join128(args[1], args[2]), self.ir().join128(args[3], args[4]));
                let product = self.ir().mul(a, b);
                let (low, high) = self.ir().split128(product);
                self.store_pair(args[0], low, high);
                None
            }
            Operation::Divide(division) => {
                let i64 = self.ir().i64.into();
                let ty = self.ir().context.struct_type(&[i64, i64], false).fn_type(&[i64.into(); 4], false);
                let function = self.env.helper(division.symbol(), ty);
                let operands: Vec<BasicValueEnum<'ctx>> = args[1..].iter().map(|&arg| arg.into()).collect();
                let pair = self.ir().call(function, &operands).expect("the helper returns a pair");
                let halves = self.fields(pair, 2);
                self.store_pair(args[0], halves[0].into_int_value(), halves[1].into_int_value());
                None
            }
        }
    }

    /// Copies or fills. Of no bytes, the body looks at no address, so any will do; the checks of bulk operations want
    /// one inside of memory, or at its end.
    fn write_bytes(&mut self, operation: Operation, args: &[IntValue<'ctx>]) {
        let length = args[2].get_zero_extended_constant();
        if self.program().options.bounds == Bounds::Guard || length.is_some_and(|length| length > 0) {
            return self.write_checked(operation, args);
        }
        let (some, next) = (self.ir().new_block(), self.ir().new_block());
        let is_some = self.ir().is_nonzero(args[2]);
        self.ir().branch(is_some, some, next);
        self.ir().at_end(some);
        self.write_checked(operation, args);
        self.ir().jump(next);
        self.ir().at_end(next);
    }

    fn write_checked(&mut self, operation: Operation, args: &[IntValue<'ctx>]) {
        self.check_memory_range(MAIN_MEMORY, args[0], args[2]);
        match operation {
            Operation::Memset => return self.set_bytes(MAIN_MEMORY, args[0], args[1], args[2]),
            _ => self.check_source_range(MAIN_MEMORY, args[1], args[2]),
        }
        let (to, from) =
            (self.memory_pointer(MAIN_MEMORY, args[0]), self.memory_pointer(MAIN_MEMORY, args[1]));
        let builder = &self.ir().builder;
        let built = match operation {
            Operation::Memcpy => builder.build_memcpy(to, 1, from, 1, args[2]),
            _ => builder.build_memmove(to, 1, from, 1, args[2]),
        };
        built.expect("alignments are powers of two");
    }

    fn compare_bytes(
        &mut self,
        a: IntValue<'ctx>,
        b: IntValue<'ctx>,
        length: IntValue<'ctx>,
    ) -> BasicValueEnum<'ctx> {
        let (a, b) = (self.memory_pointer(MAIN_MEMORY, a), self.memory_pointer(MAIN_MEMORY, b));
        let i32 = self.ir().i32;
        let ptr = self.ir().context.ptr_type(AddressSpace::default());
        let function =
            self.env.helper(names::MEMCMP, i32.fn_type(&[ptr.into(), ptr.into(), i32.into()], false));
        self.ir().call(function, &[a.into(), b.into(), length.into()]).expect("it returns the difference")
    }

    fn store_pair(&mut self, to: IntValue<'ctx>, low: IntValue<'ctx>, high: IntValue<'ctx>) {
        self.check_memory_range(MAIN_MEMORY, to, self.ir().c32(16));
        let pointer = self.memory_pointer(MAIN_MEMORY, to);
        self.ir().store(Space::Memory, pointer, low.into(), 1);
        let pointer = self.ir().offset_bytes(pointer, self.ir().c32(8));
        self.ir().store(Space::Memory, pointer, high.into(), 1);
    }
}
