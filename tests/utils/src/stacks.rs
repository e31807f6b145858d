//! Random programs with a C stack in linear memory: as compilers write them, or with one violation of their rules.
//!
//! Functions have frames of many sizes and alignments on `__stack_pointer`: objects whose address is passed, results
//! through pointers, structures by copy, pointers to the end of an object, loops, recursion, calls through a table,
//! early returns, tail calls, objects of variable size, calls whose result is their first argument, objects below the
//! stack pointer between two calls, exports by which the host handles the pointer, a pointer without a name. A
//! *violation* reads or hands out memory in a way that the frame rule of `--shadow-stack auto` forbids; such a module is right only if its stack stays in linear memory. `wasmi` gives the expected results.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use pvm_engine::{Engine, Exit, Machine};
use pvm_isa::Container;
use pvm_isa::metadata::ResultConvention;
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions, ShadowStack, Stage};

use crate::executor::{Call, CallExit, Executor, Trap};
use crate::oracle::{Outcome, Reference, import_result};
use crate::program::{Pvm, raw_options};
use random::Rng;

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];
/// Fuel of the reference engine.
const FUEL: u64 = 100_000;
/// Functions with frames.
const FUNCTIONS: usize = 5;

/// A module and its properties.
#[derive(Clone, Debug)]
pub struct Program {
    /// The text of the module.
    pub text: String,
    /// The violation it contains, if any.
    pub violation: Option<usize>,
    /// Whether the host makes room on the stack.
    pub has_handles: bool,
}

/// Functions that every module has, in the form that compilers give small helpers. `TOP` is the initial stack pointer.
const HELPERS: &str = r#"
  (func $fill (param $p i32) (param $n i32) (param $v i32) (local $end i32)
    (local.set $end (i32.add (local.get $p) (local.get $n)))
    (loop $l
      (i32.store (local.get $p) (local.get $v))
      (local.set $v (i32.mul (i32.add (local.get $v) (i32.const 7)) (i32.const 31)))
      (br_if $l (i32.ne (local.tee $p (i32.add (local.get $p) (i32.const 4))) (local.get $end)))))
  (func $sum (param $p i32) (param $end i32) (result i32) (local $s i32)
    (block $done (loop $l
      (br_if $done (i32.eq (local.get $p) (local.get $end)))
      (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 3)) (i32.load (local.get $p))))
      (local.set $p (i32.add (local.get $p) (i32.const 4)))
      (br $l)))
    (local.get $s))
  (func $read (param $p i32) (result i32) (i32.load (local.get $p)))
  (func $same (param $p i32) (result i32) (local.get $p))
  (func $two (param $p i32) (param $x i32) (result i32 i32) (local.get $p) (local.get $x))
  (func $through (param $at i32) (result i32) (i32.load (i32.load (local.get $at))))
  (func $by_value (param $s i32) (result i32) (local $x i32)
    (local.set $x (i32.load (local.get $s)))
    (i32.store (local.get $s) (i32.xor (local.get $x) (i32.load offset=4 (local.get $s))))
    (i32.add (local.get $x) (i32.load (local.get $s))))
  (func $pair (param $out i32) (param $x i32)
    (i32.store (local.get $out) (local.get $x))
    (i32.store offset=4 (local.get $out) (i32.xor (local.get $x) (i32.const 85))))
  (func $leaf (param $x i32) (result i32) (local $p i32)
    (i32.store offset=8 (local.tee $p (i32.sub (global.get $__stack_pointer) (i32.const 16))) (local.get $x))
    (i32.store offset=12 (local.get $p) (i32.const 9))
    (i32.add (i32.load offset=8 (local.get $p)) (i32.load8_u offset=12 (local.get $p))))
  (func $move (param $to i32) (param $from i32) (param $n i32) (result i32) (local $p i32)
    (if (i32.eqz (local.get $n)) (then (return (local.get $to))))
    (local.set $p (local.get $to))
    (loop $l
      (i32.store8 (local.get $p) (i32.load8_u (local.get $from)))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $to))
  (func $copy (param i32 i32 i32) (result i32) (call $move (local.get 0) (local.get 1) (local.get 2)))
  (func $copied (param $x i32) (result i32) (local $f i32) (local $g i32)
    (global.set $__stack_pointer (local.tee $f (i32.sub (global.get $__stack_pointer) (i32.const 32))))
    (call $fill (local.get $f) (i32.const 32) (local.get $x))
    (local.set $g (call $copy (local.get $f) (i32.add (local.get $f) (i32.const 16)) (i32.const 16)))
    (local.set $x (i32.add (i32.load offset=4 (local.get $g)) (call $leaf (local.get $x))))
    (global.set $__stack_pointer (i32.add (local.get $g) (i32.const 32)))
    (local.get $x))
  (func $variable (param $x i32) (result i32) (local $old i32) (local $p i32) (local $n i32)
    (local.set $old (global.get $__stack_pointer))
    (local.set $n (i32.shl (i32.add (i32.and (local.get $x) (i32.const 3)) (i32.const 1)) (i32.const 4)))
    (global.set $__stack_pointer (local.tee $p
      (i32.and (i32.sub (global.get $__stack_pointer) (local.get $n)) (i32.const -16))))
    (call $fill (local.get $p) (local.get $n) (local.get $x))
    (local.set $x (i32.add (call $sum (local.get $p) (i32.add (local.get $p) (local.get $n))) (call $leaf (local.get $x))))
    (local.set $x (i32.add (i32.load offset=8 (local.get $p)) (local.get $x)))
    (global.set $__stack_pointer (local.get $old))
    (local.get $x))
  (func $growing (param $x i32) (result i32) (local $old i32) (local $p i32) (local $n i32)
    (local.set $old (global.get $__stack_pointer))
    (local.set $p (i32.sub (local.get $old) (i32.const 16)))
    (loop $l
      (global.set $__stack_pointer (local.tee $p (i32.sub (local.get $p) (i32.const 16))))
      (call $pair (local.get $p) (local.get $x))
      (local.set $x (i32.add (i32.load offset=4 (local.get $p)) (call $leaf (local.get $x))))
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 3))))
    (global.set $__stack_pointer (local.get $old))
    (local.get $x))
  (func $elsewhere (param $x i32) (result i32) (local $old i32)
    (local.set $old (global.get $__stack_pointer))
    (global.set $__stack_pointer (i32.const FIBER))
    (call $copied (local.get $x))
    (global.set $__stack_pointer (local.get $old)))
"#;

/// Exports by which the host handles the stack pointer.
const HANDLES: &str = r#"
  (func (export "alloc") (param $n i32) (result i32)
    (global.set $__stack_pointer (i32.and (i32.sub (global.get $__stack_pointer) (local.get $n)) (i32.const -16)))
    (global.get $__stack_pointer))
  (func (export "restore") (param i32) (global.set $__stack_pointer (local.get 0)))
  (func (export "save") (result i32) (global.get $__stack_pointer))
  (func (export "put") (param $p i32) (param $x i32) (call $pair (local.get $p) (local.get $x)))
  (func (export "get") (param $p i32) (result i32) (call $by_value (local.get $p)))
"#;

/// Violations: functions `$odd`, from a number to a number. They are called with frames of callers in place, which hold
/// words at every multiple of four.
const VIOLATIONS: [&str; 53] = [
    // Scans to the end of the stack.
    "(func $odd (param $x i32) (result i32) (local $p i32) (local $s i32)
      (local.set $p (global.get $__stack_pointer))
      (loop $l (local.set $s (i32.add (local.get $s) (i32.load (local.get $p))))
        (br_if $l (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 4))) (i32.const TOP))))
      (local.get $s))",
    "(func $scan (param $p i32) (param $end i32) (result i32) (local $s i32)
      (loop $l (local.set $s (i32.add (local.get $s) (i32.load (local.get $p))))
        (br_if $l (i32.ne (local.tee $p (i32.add (local.get $p) (i32.const 4))) (local.get $end))))
      (local.get $s))
     (func $odd (param $x i32) (result i32) (local $f i32)
      (global.set $__stack_pointer (local.tee $f (i32.sub (global.get $__stack_pointer) (i32.const 16))))
      (call $fill (local.get $f) (i32.const 16) (local.get $x))
      (call $scan (local.get $f) (i32.const TOP))
      (global.set $__stack_pointer (i32.add (local.get $f) (i32.const 16))))",
    // Reads above the pointer at entry: directly, aligned, by an offset, by a copy.
    "(func $odd (param $x i32) (result i32) (i32.load (global.get $__stack_pointer)))",
    "(func $odd (param $x i32) (result i32) (i32.load offset=8 (i32.and (global.get $__stack_pointer) (i32.const -16))))",
    "(func $odd (param $x i32) (result i32) (local $f i32)
      (local.set $f (i32.and (i32.sub (global.get $__stack_pointer) (i32.const 16)) (i32.const -16)))
      (i32.load offset=20 (local.get $f)))",
    "(func $odd (param $x i32) (result i32) (local $f i32)
      (global.set $__stack_pointer (local.tee $f (i32.sub (global.get $__stack_pointer) (i32.const 16))))
      (memory.copy (local.get $f) (i32.add (local.get $f) (i32.const 16)) (i32.const 8))
      (i32.load (local.get $f))
      (global.set $__stack_pointer (i32.add (local.get $f) (i32.const 16))))",
    // Hands out the pointer.
    "(func $current (result i32) (global.get $__stack_pointer))
     (func $odd (param $x i32) (result i32) (i32.load offset=4 (call $current)))",
    "(func $current (result i32) (global.get $__stack_pointer))
     (func $odd (param $x i32) (result i32) (i32.sub (i32.const TOP) (call $current)))",
    "(func $odd (param $x i32) (result i32) (call $read (global.get $__stack_pointer)))",
    "(func $odd (param $x i32) (result i32) (call_indirect (type $t) (global.get $__stack_pointer) (i32.const 0)))",
    "(func $odd (param $x i32) (result i32) (call_indirect (type $t) (global.get $__stack_pointer) (i32.const 1)))",
    "(func $odd (param $x i32) (result i32) (global.set $other (global.get $__stack_pointer)) (i32.load (global.get $other)))",
    "(func $odd (param $x i32) (result i32)
      (i32.store (i32.const STATIC) (global.get $__stack_pointer))
      (i32.load (i32.load (i32.const STATIC))))",
    "(func $odd (param $x i32) (result i32) (return_call $read (global.get $__stack_pointer)))",
    // Compares it, computes with it.
    "(func $odd (param $x i32) (result i32) (i32.lt_u (global.get $__stack_pointer) (i32.const MIDDLE)))",
    "(func $odd (param $x i32) (result i32) (local $f i32)
      (local.set $f (i32.sub (global.get $__stack_pointer) (i32.const 16)))
      (i32.lt_u (local.get $f) (i32.const TOP)))",
    "(func $odd (param $x i32) (result i32) (i32.mul (global.get $__stack_pointer) (i32.const 3)))",
    // Takes it through control flow.
    "(func $odd (param $x i32) (result i32)
      (i32.load (select (global.get $__stack_pointer) (i32.const STATIC) (i32.const 1))))",
    "(func $odd (param $x i32) (result i32)
      (i32.load (if (result i32) (i32.and (local.get $x) (i32.const 1))
        (then (global.get $__stack_pointer)) (else (i32.const STATIC)))))",
    "(func $odd (param $x i32) (result i32)
      LOCALS
      (local.set 75 (global.get $__stack_pointer))
      (if (i32.and (local.get $x) (i32.const 1)) (then (local.set 75 (i32.const STATIC))))
      (i32.load (local.get 75)))",
    "(func $odd (param $x i32) (result i32) (local $p i32) (local $n i32) (local $s i32)
      (local.set $p (i32.const STATIC))
      (loop $l
        (local.set $s (i32.add (local.get $s) (i32.load (local.get $p))))
        (local.set $p (global.get $__stack_pointer))
        (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 3))))
      (local.get $s))",
    // Addresses the stack by constants.
    "(func $odd (param $x i32) (result i32) (i32.load (i32.const NEAR)))",
    "(func $odd (param $x i32) (result i32) (i32.store (i32.const NEAR) (local.get $x)) (local.get $x))",
    "(func $odd (param $x i32) (result i32) (memory.fill (i32.const NEAR) (local.get $x) (i32.const 8)) (local.get $x))",
    "(func $odd (param $x i32) (result i32)
      (memory.copy (i32.const STATIC) (i32.const NEAR) (i32.const 8)) (i32.load (i32.const STATIC)))",
    "(func $odd (param $x i32) (result i32) (call $read (i32.const NEAR)))",
    "(func $odd (param $x i32) (result i32)
      (i32.load offset=NEAR (i32.shl (i32.and (local.get $x) (i32.const 1)) (i32.const 2))))",
    "(func $odd (param $x i32) (result i32) (local $i i32) (local $s i32)
      (loop $l
        (local.set $s (i32.add (local.get $s) (i32.load (i32.add (i32.const NEAR) (i32.mul (local.get $i) (i32.const 4))))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))
      (local.get $s))",
    "(func $odd (param $x i32) (result i32) (local $p i32) (local $s i32)
      (local.set $p (i32.const NEAR))
      (loop $l
        (local.set $s (i32.add (local.get $s) (i32.load (local.get $p))))
        (br_if $l (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 4))) (i32.const TOP))))
      (local.get $s))",
    "(func $odd (param $x i32) (result i32) (local $f i32)
      (global.set $__stack_pointer (local.tee $f (i32.sub (global.get $__stack_pointer) (i32.const 16))))
      (i32.store offset=12 (local.get $f) (i32.const NEAR))
      (i32.store offset=8 (local.get $f) (i32.load (i32.load offset=12 (local.get $f))))
      (i32.load offset=8 (local.get $f))
      (global.set $__stack_pointer (i32.add (local.get $f) (i32.const 16))))",
    // Is a constant on one path.
    "(func $odd (param $x i32) (result i32) (local $p i32)
      (local.set $p (i32.load (i32.const POINTER)))
      (block $b (br_if $b (i32.and (local.get $x) (i32.const 1))) (local.set $p (i32.const NEAR)))
      (i32.load (local.get $p)))",
    "(func $odd (param $x i32) (result i32) (local $p i32)
      (block $b (block $c (block $d (br_table $d $c $b (i32.and (local.get $x) (i32.const 3))))
          (local.set $p (i32.load (i32.const POINTER))) (br $b))
        (local.set $p (i32.const NEAR)))
      (if (i32.eqz (local.get $p)) (then (local.set $p (i32.const STATIC))))
      (i32.load offset=4 (local.get $p)))",
    "(func $pair_of (result i32 i32) (i32.load (i32.const POINTER)) (i32.const NEAR))
     (func $odd (param $x i32) (result i32) (local $p i32) (local $q i32)
      (call $pair_of) (local.set $q) (local.set $p)
      (i32.add (i32.load (local.get $p)) (i32.load (local.get $q))))",
    // Counts down from the end of the stack.
    "(func $odd (param $x i32) (result i32) (local $p i32) (local $s i32)
      (local.set $p (i32.const TOP))
      (loop $l
        (local.set $p (i32.sub (local.get $p) (i32.const 4)))
        (local.set $s (i32.add (local.get $s) (i32.load (local.get $p))))
        (br_if $l (i32.ne (local.get $p) (i32.const MIDDLE))))
      (local.get $s))",
    "(func $odd (param $x i32) (result i32)
      (i32.load (i32.sub (i32.const TOP) (i32.shl (i32.add (i32.and (local.get $x) (i32.const 3)) (i32.const 1)) (i32.const 2)))))",
    // Constants that are computed, or 64 bits wide.
    "(func $odd (param $x i32) (result i32) (i32.load (i32.wrap_i64 (i64.const NEAR))))",
    "(func $odd (param $x i32) (result i32) (i32.load (i32.shl (i32.shr_u (i32.const NEAR) (i32.const 2)) (i32.const 2))))",
    "(func $odd (param $x i32) (result i32) (i32.load (i32.or (i32.and (i32.const NEAR) (i32.const -16)) (i32.const 8))))",
    // The sign of an address.
    "(func $odd (param $x i32) (result i32) (local $f i32)
      (i32.gt_s (i32.sub (global.get $__stack_pointer) (i32.const 16)) (i32.const 0)))",
    // Asks whether an object is on the heap.
    "(func $odd (param $x i32) (result i32) (i32.lt_u (i32.sub (global.get $__stack_pointer) (i32.const 16)) (i32.const STATIC)))",
    "(func $is_heap (param $p i32) (result i32) (i32.ge_u (local.get $p) (i32.const STATIC)))
     (func $odd (param $x i32) (result i32) (call $is_heap (i32.sub (global.get $__stack_pointer) (i32.const 16))))",
    // Hands an object of a frame that is gone to a tail call.
    "(func $odd (param $x i32) (result i32) (local $f i32)
      (global.set $__stack_pointer (local.tee $f (i32.sub (global.get $__stack_pointer) (i32.const 16))))
      (call $fill (local.get $f) (i32.const 16) (local.get $x))
      (global.set $__stack_pointer (i32.add (local.get $f) (i32.const 16)))
      (return_call $read (local.get $f)))",
    // Computes the distance from an address that is not known; it is no allocation.
    "(func $odd (param $x i32) (result i32)
      (i32.lt_u (i32.sub (global.get $__stack_pointer) (i32.load (i32.const POINTER))) (i32.const 64)))",
    // Reads above an object of variable size: what was there at entry.
    "(func $odd (param $x i32) (result i32) (local $old i32)
      (local.set $old (global.get $__stack_pointer))
      (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.shl (i32.and (local.get $x) (i32.const 3)) (i32.const 4))))
      (call $leaf (local.get $x))
      (i32.add (i32.load (local.get $old)))
      (global.set $__stack_pointer (local.get $old)))",
    // Restores the pointer from the result of a function that may return something else.
    "(func $pick (param $p i32) (param $x i32) (result i32)
      (if (result i32) (i32.eq (local.get $x) (i32.const 77)) (then (i32.const FIBER)) (else (local.get $p))))
     (func $odd (param $x i32) (result i32) (local $f i32)
      (global.set $__stack_pointer (local.tee $f (i32.sub (global.get $__stack_pointer) (i32.const 16))))
      (call $leaf (local.get $x))
      (global.set $__stack_pointer (i32.add (call $pick (local.get $f) (i32.const 3)) (i32.const 16))))",
    "(func $next (param $p i32) (param $n i32) (result i32)
      (local.set $p (i32.add (local.get $p) (local.get $n))) (local.get $p))
     (func $odd (param $x i32) (result i32) (local $f i32)
      (global.set $__stack_pointer (local.tee $f (i32.sub (global.get $__stack_pointer) (i32.const 16))))
      (call $leaf (local.get $x))
      (global.set $__stack_pointer (call $next (local.get $f) (i32.const 16))))",
    // Reads an object below the pointer after a call, which uses the same bytes.
    "(func $odd (param $x i32) (result i32)
      (i32.store offset=8 (i32.sub (global.get $__stack_pointer) (i32.const 16)) (i32.const 5))
      (drop (call $leaf (local.get $x)))
      (i32.load offset=8 (i32.sub (global.get $__stack_pointer) (i32.const 16))))",
    "(func $odd (param $x i32) (result i32)
      (i32.store offset=8 (i32.sub (global.get $__stack_pointer) (i32.const 16)) (i32.const 5))
      (if (i32.and (local.get $x) (i32.const 1)) (then (drop (call $leaf (local.get $x)))))
      (i32.load8_u offset=9 (i32.sub (global.get $__stack_pointer) (i32.const 16))))",
    // Exports that do more than to compute with the pointer.
    "(func (export \"note\") (global.set $other (global.get $__stack_pointer)))
     (func $odd (param $x i32) (result i32) (global.get $other))",
    "(func (export \"peek\") (result i32) (i32.load (global.get $__stack_pointer)))
     (func $odd (param $x i32) (result i32) (local.get $x))",
    // Moves the stack pointer back to a stored one, as longjmp does.
    "(func $odd (param $x i32) (result i32)
      (i32.store (i32.const STATIC) (global.get $__stack_pointer))
      (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 32)))
      (call $leaf (local.get $x))
      (global.set $__stack_pointer (i32.load (i32.const STATIC))))",
    // Asks how much stack is left, and makes room for a caller, as exports of runtimes do.
    "(func $odd (param $x i32) (result i32) (i32.sub (global.get $__stack_pointer) (i32.const MIDDLE)))",
    "(func $add_to_stack_pointer (param $n i32) (result i32)
      (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (local.get $n))) (global.get $__stack_pointer))
     (func $odd (param $x i32) (result i32) (local $p i32)
      (local.set $p (call $add_to_stack_pointer (i32.const -16)))
      (call $fill (local.get $p) (i32.const 16) (local.get $x))
      (i32.load offset=4 (local.get $p))
      (drop (call $add_to_stack_pointer (i32.const 16))))",
];

/// A random program.
pub fn program(mut random: Rng) -> Program {
    let violation = random.one_in(2).then(|| random.below(VIOLATIONS.len()));
    let (has_handles, is_named, comes_first) = (random.one_in(3), random.one_in(2), random.one_in(2));
    let is_first = random.one_in(2);
    let top = [4096, 16384, 65536, 1 << 20][random.below(4)];
    let top: u32 = if is_first { top } else { 1536 + (1 << 16) };
    let statics = if is_first { top } else { 1024 };
    let mut text = String::from(
        "(module (type $t (func (param i32) (result i32)))\n  (memory (export \"memory\") 20)\n",
    );
    let pointer = format!("  (global $__stack_pointer (mut i32) (i32.const {top}))\n");
    let others = "  (global $other (mut i32) (i32.const 0)) (global $turns (mut i32) (i32.const 0))\n";
    text.push_str(&if comes_first { pointer + others } else { others.to_owned() + &pointer });
    let _ = writeln!(text, "  (data (i32.const {statics}) \"some static data\")");
    let [low, high] = ((statics + 32) as u16).to_le_bytes().map(|byte| format!("\\{byte:02x}"));
    let page = (statics + 32) >> 16;
    let _ = writeln!(text, "  (data (i32.const {}) \"{low}{high}\\{page:02x}\\00\")", statics + 160);
    text.push_str("  (table 4 funcref) (elem (i32.const 0) $read $same $leaf $f4)\n");
    text.push_str(HELPERS);
    text.push_str(if has_handles { HANDLES } else { "" });
    if let Some(violation) = violation {
        text.push_str(VIOLATIONS[violation]);
    }
    for number in 0..FUNCTIONS {
        let body = Body::new(&mut random, number, violation.is_some(), statics);
        text.push_str(&body.text());
    }
    text.push_str("  (func (export \"main\") (param i32) (result i32) (call $f0 (local.get 0)))\n)\n");
    let locals = "(local i32) ".repeat(80);
    let near = top - 40;
    let text = text
        .replace("POINTER", &(statics + 160).to_string())
        .replace("FIBER", &(18 << 16).to_string())
        .replace("LOCALS", &locals)
        .replace("TOP", &top.to_string())
        .replace("NEAR", &near.to_string())
        .replace("MIDDLE", &(top - 100).to_string())
        .replace("STATIC", &(statics + 64).to_string())
        .replace("__stack_pointer", if is_named { "__stack_pointer" } else { "sp" });
    Program { text, violation, has_handles }
}

/// A function with a frame.
struct Body<'a> {
    random: &'a mut Rng,
    number: usize,
    size: u32,
    align: u32,
    is_odd: bool,
    statics: u32,
}

impl<'a> Body<'a> {
    fn new(random: &'a mut Rng, number: usize, is_odd: bool, statics: u32) -> Self {
        let size = [16, 32, 48, 96, 160, 272][random.below(6)];
        let align = [16, 16, 32, 64, 128][random.below(5)];
        Self { random, number, size, align, is_odd, statics }
    }

    fn below(&mut self, n: u32) -> u32 {
        self.random.below(n as usize) as u32
    }

    /// Offset and size of words in the frame, which may end where the frame does.
    fn object(&mut self) -> (u32, u32) {
        let words = self.size / 4;
        let first = self.below(words);
        let count = 1 + self.below(words - first);
        (first * 4, count * 4)
    }

    fn text(mut self) -> String {
        let (number, size, align) = (self.number, self.size, self.align);
        let lowered = format!("(i32.sub (global.get $__stack_pointer) (i32.const {size}))");
        let frame = match align {
            16 => lowered,
            _ => format!("(i32.and {lowered} (i32.const -{align}))"),
        };
        let mut text = format!(
            "  (func $f{number} (param $x i32) (result i32) (local $f i32) (local $old i32) (local $i i32) (local $p i32)\n    \
             (local.set $old (global.get $__stack_pointer))\n    (global.set $__stack_pointer (local.tee $f {frame}))\n    \
             (call $fill (local.get $f) (i32.const {size}) (local.get $x))\n"
        );
        for _ in 0..2 + self.below(6) {
            let statement = self.statement();
            let _ = writeln!(text, "    {statement}");
        }
        if self.is_odd && (number == 1 || self.below(3) == 0) {
            text.push_str("    (local.set $x (i32.add (local.get $x) (call $odd (local.get $x))))\n");
        }
        let restore = self.restore();
        match self.below(4) {
            0 if number + 1 < FUNCTIONS => {
                let _ = writeln!(text, "    {restore} (return_call $f{} (local.get $x)))", number + 1);
            }
            _ if number + 1 < FUNCTIONS => {
                let _ = writeln!(
                    text,
                    "    (i32.add (local.get $x) (call $f{} (local.get $x))) {restore})",
                    number + 1
                );
            }
            _ => {
                let _ = writeln!(text, "    (local.get $x) {restore})");
            }
        }
        text
    }

    /// Compilers add the size again, or keep the old value where the frame is aligned.
    fn restore(&mut self) -> String {
        if self.align == 16 && self.below(2) == 0 {
            format!("(global.set $__stack_pointer (i32.add (local.get $f) (i32.const {})))", self.size)
        } else {
            "(global.set $__stack_pointer (local.get $old))".to_owned()
        }
    }

    fn statement(&mut self) -> String {
        let (at, len) = self.object();
        let place = format!("(i32.add (local.get $f) (i32.const {at}))");
        let add = |value: &str| format!("(local.set $x (i32.add (local.get $x) {value}))");
        match self.below(24) {
            0 => format!("(call $fill {place} (i32.const {len}) (local.get $x))"),
            1 => add(&format!("(call $sum {place} (i32.add (local.get $f) (i32.const {})))", at + len)),
            2 => add(&format!("(i32.load offset={at} (local.get $f))")),
            3 => format!("(i32.store offset={at} (local.get $f) (local.get $x))"),
            4 => self.index(at, len),
            5 => format!("(memory.fill {place} (local.get $x) (i32.const {len}))"),
            6 => self.copy(at, len),
            7 if at + 8 <= self.size => format!("(call $pair {place} (local.get $x))"),
            8 => add("(call $leaf (local.get $x))"),
            9 => add(&format!("(call_indirect (type $t) {place} (i32.const 0))")),
            10 => {
                let restore = self.restore();
                let n = self.below(16);
                format!(
                    "(if (i32.eq (i32.and (local.get $x) (i32.const 15)) (i32.const {n})) (then {restore} (return (local.get $x))))"
                )
            }
            11 => self.statics(),
            12 => self.recursion(),
            13 => add(&format!("(call $read (call $same {place}))")),
            14..=18 => self.pointers(at, &place),
            19 => add("(call $copied (local.get $x))"),
            20 => {
                let name = ["variable", "growing", "elsewhere"][self.below(3) as usize];
                add(&format!("(call ${name} (local.get $x))"))
            }
            21 => {
                let below = 4 * (1 + self.below(8));
                let scratch = format!("(i32.sub (global.get $__stack_pointer) (i32.const {below}))");
                format!(
                    "(i32.store {scratch} (local.get $x)) (local.set $x (i32.add (local.get $x) (i32.load16_u {scratch})))"
                )
            }
            _ => add(&format!(
                "(call $read (select {place} (local.get $f) (i32.and (local.get $x) (i32.const 1))))"
            )),
        }
    }

    /// Pointers to an object, to the frame and to static data, that meet and go through locals, memory and results.
    fn pointers(&mut self, at: u32, place: &str) -> String {
        let data = self.statics + 160;
        match self.below(6) {
            0 => format!(
                "(local.set $p {place}) (if (i32.and (local.get $x) (i32.const 1)) (then (local.set $p (i32.const {data}))))
    (local.set $x (i32.add (local.get $x) (i32.load (local.get $p))))"
            ),
            1 => format!(
                "(block $one (block $two (block $three
      (local.set $p (i32.const {data}))
      (br_table $one $two $three (i32.and (local.get $x) (i32.const 3))))
      (local.set $p (local.get $f)) (br $one)) (local.set $p {place}))
    (local.set $x (i32.add (local.get $x) (call $read (local.get $p))))"
            ),
            2 => format!(
                "(call $two {place} (local.get $x)) (local.set $i) (local.set $p)
    (local.set $x (i32.add (local.get $i) (i32.load (local.get $p))))"
            ),
            3 => format!(
                "(i32.store (i32.const {}) {place})
    (local.set $x (i32.add (local.get $x) (call $through (i32.const {}))))",
                data + 8,
                data + 8
            ),
            4 if self.size >= 32 => "(i64.store (local.get $f) (i64.load offset=16 (local.get $f)))
    (local.set $x (i32.add (local.get $x) (call $by_value (local.get $f))))"
                .to_owned(),
            _ => {
                // Not in the object itself: addresses differ between the engines.
                let word = if at == 4 { 8 } else { 4 };
                format!(
                    "(i32.store offset={word} (local.get $f) {place})
    (local.set $x (i32.add (local.get $x) (i32.load (i32.load offset={word} (local.get $f)))))
    (i32.store offset={word} (local.get $f) (local.get $x))"
                )
            }
        }
    }

    /// A loop over an object.
    fn index(&mut self, at: u32, len: u32) -> String {
        format!(
            "(local.set $i (i32.const 0)) (loop $l
      (local.set $p (i32.add (i32.add (local.get $f) (i32.const {at})) (i32.shl (local.get $i) (i32.const 2))))
      (i32.store (local.get $p) (i32.add (i32.load (local.get $p)) (local.get $x)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {}))))",
            len / 4
        )
    }

    /// A structure is copied inside the frame.
    fn copy(&mut self, at: u32, len: u32) -> String {
        let to = self.below((self.size - len) / 4 + 1) * 4;
        format!(
            "(memory.copy (i32.add (local.get $f) (i32.const {to})) (i32.add (local.get $f) (i32.const {at})) (i32.const {len}))"
        )
    }

    /// Static data at constant addresses and by an index.
    fn statics(&mut self) -> String {
        let at = self.statics + self.below(16) * 4;
        format!(
            "(i32.store offset={at} (i32.shl (i32.and (local.get $x) (i32.const 7)) (i32.const 2)) (local.get $x))
    (local.set $x (i32.xor (local.get $x) (i32.load (i32.const {at}))))"
        )
    }

    /// A few times at most: the stack is small.
    fn recursion(&mut self) -> String {
        let number = self.number;
        format!(
            "(if (i32.and (i32.eqz (i32.and (local.get $x) (i32.const 3))) (i32.lt_u (global.get $turns) (i32.const 6)))
      (then
        (global.set $turns (i32.add (global.get $turns) (i32.const 1)))
        (local.set $x (i32.add (call $f{number} (i32.or (local.get $x) (i32.const 1))) (i32.const 1)))))"
        )
    }
}

/// Whether a compilation with these options puts the C stack on the machine's stack.
fn is_fused(wasm: &[u8], options: &Options) -> Result<bool> {
    Ok(wasm_pvm::emit(wasm, options, Stage::Ssa)?.contains(" native_stack="))
}

fn options(level: OptLevel, gp: GpVersion, shadow_stack: ShadowStack) -> Options {
    let pvm = PvmOptions { gp, ..PvmOptions::default() };
    Options { level, shadow_stack, threads: 1, ..Options::new(pvm) }
}

/// Calls on both sides: of `main`, and of exports by which the host makes room on the stack, if there are any.
fn compare(wasm: &[u8], options: Options, has_handles: bool) -> Result<()> {
    let mut reference = Reference::new(wasm, FUEL)?.context("it has no start function")?;
    let mut program = Pvm { options }.load(wasm).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let mut both = |name: &str, args: &[u64]| -> Result<Option<u64>> {
        let expected = match reference.invoke(name, args, FUEL)? {
            Outcome::Returned(words) => words,
            // It ran too long, or deep recursion went below address 0.
            Outcome::Exhausted | Outcome::Trapped(Trap::Memory) => return Ok(None),
            trapped @ Outcome::Trapped(_) => anyhow::bail!("the generator made a trap: {trapped:?}"),
        };
        let exit = program.call(Call { name, args, is_endless: false }, &mut import_result)?;
        let is_same = exit == CallExit::Returned(expected.clone());
        ensure!(is_same, "{name}({args:?}): {exit:x?} instead of {expected:x?}");
        Ok(Some(expected.first().copied().unwrap_or_default()))
    };
    for arg in [0u64, 1, 5, 1234] {
        let saved = if has_handles { both("save", &[])? } else { None };
        let room = if has_handles { both("alloc", &[arg % 64 + 8])? } else { None };
        if let Some(room) = room {
            both("put", &[room, arg])?;
        }
        if both("main", &[arg])?.is_none() {
            return Ok(());
        }
        if let (Some(saved), Some(room)) = (saved, room) {
            both("get", &[room])?;
            both("restore", &[saved])?;
        }
    }
    Ok(())
}

/// Compiles a random program as a service with exact bounds, under which the machine's stack is in linear memory, and
/// compares the results. Returns whether the stack is there: a small one is not, with recursion.
///
/// # Errors
/// The disagreement, with the text of the program.
pub fn check_in_memory(seed: u64) -> Result<bool> {
    let Program { text, .. } = program(Rng::new(seed));
    let mut text = text.replace("(export \"main\")", "(export \"inner\")");
    for keeps in ["variable", "growing", "elsewhere"] {
        // Functions that keep their part of the stack in memory need the place.
        text = text.replace(&format!("(call ${keeps} "), "(call $leaf ");
    }
    let end = text.trim_end().strip_suffix(')').context("a module ends with a parenthesis")?;
    let text = format!("{end}{SERVICE})");
    let wasm = wat::parse_str(&text).with_context(|| text.clone())?;
    let level = LEVELS[(seed % 4) as usize];
    let gp = if seed.is_multiple_of(3) { GpVersion::V072 } else { GpVersion::V08 };
    let pvm = PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() };
    let options = Options { level, threads: 1, ..Options::new(pvm) };
    serve(&wasm, &options, gp).with_context(|| format!("seed {seed} {level:?} {gp}\n{text}"))
}

/// An entry that calls `$f0` with its argument. The result is at the end of memory.
const SERVICE: &str = r#"
  (func (export "main") (param $p i32) (param $n i32) (result i64) (local $at i32)
    (local.set $at (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8)))
    (i32.store (local.get $at) (call $f0 (i32.load (local.get $p))))
    (i64.or (i64.extend_i32_u (local.get $at)) (i64.const 0x400000000)))
"#;

/// Calls of `$f0` on both sides.
fn serve(wasm: &[u8], options: &Options, gp: GpVersion) -> Result<bool> {
    let mut reference = Reference::new(wasm, FUEL)?.context("it has no start function")?;
    let output = wasm_pvm::compile(wasm, options)?;
    let Container::Jam { program, .. } = Container::parse_jam(&output.bytes)? else {
        unreachable!("parsed as JAM")
    };
    let mut machine = Machine::new(&program, gp, Engine::for_version(gp)[0])?;
    for arg in [0u32, 1, 5, 1234] {
        let Outcome::Returned(words) = reference.invoke("inner", &[arg.into()], FUEL)? else { break };
        machine.enter_with_args(0, &arg.to_le_bytes())?;
        machine.set_gas(1 << 32);
        let exit = machine.run()?;
        ensure!(exit == Exit::Halt, "main({arg}): {exit:?}");
        let (result, expected) = (machine.result(ResultConvention::Length), words[0] as u32);
        ensure!(result == expected.to_le_bytes(), "main({arg}): {result:x?} instead of {expected:x}");
    }
    Ok(output.report.pvm().is_some_and(|report| report.linear_first > 0))
}

/// As [`check_with`] for the program of a seed.
///
/// # Errors
/// The disagreement, with the text of the program.
pub fn check(seed: u64) -> Result<()> {
    check_with(seed, Rng::new(seed))
}

/// Compiles a random program in all modes that are exact for it, at a level and for a version by the seed, and compares
/// the results.
///
/// # Errors
/// The disagreement, with the text of the program.
pub fn check_with(seed: u64, random: Rng) -> Result<()> {
    let Program { text, violation, has_handles } = program(random);
    let wasm = wat::parse_str(&text).with_context(|| text.clone())?;
    let level = LEVELS[(seed % 4) as usize];
    let gp = if seed.is_multiple_of(3) { GpVersion::V072 } else { GpVersion::V08 };
    let mut modes = vec![ShadowStack::Auto, ShadowStack::Strict];
    if violation.is_none() {
        modes.push(ShadowStack::Native);
    }
    for mode in modes {
        let options = options(level, gp, mode);
        compare(&wasm, options, has_handles)
            .with_context(|| format!("seed {seed} {level:?} {gp} {mode:?}\n{text}"))?;
    }
    let fused = is_fused(&wasm, &raw_options(&options(level, gp, ShadowStack::Auto)))?;
    ensure!(fused == violation.is_none(), "seed {seed}: fused: {fused}, violation: {violation:?}\n{text}");
    Ok(())
}
