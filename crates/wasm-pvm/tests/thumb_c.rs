//! Objects called from C through their header, linked by a linker and run on an emulated board.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use support::{Folder, text};

/// Static data of every kind, several results, 64-bit arguments, and names that are no identifiers of C.
const MODULE: &str = r#"(module
  (import "env" "fill" (func $fill (param i32 i32)))
  (import "env" "log:line" (func $log (param i32 i64) (result i32)))
  (memory 2)
  (global $__stack_pointer (mut i32) (i32.const 65536))
  (global $calls (export "calls") (mut i32) (i32.const 5))
  (data $.rodata (i32.const 65536) "\0a\14\1e\28text")
  (data $.data (i32.const 65552) "\01\00\00\00\02\00\00\00")
  (data $.data.more (i32.const 65556) "\07\00\00\00")
  (func (export "look") (param i32) (result i32)
    (i32.load8_u offset=65536 (i32.and (local.get 0) (i32.const 3))))
  (func (export "count") (param i32) (result i32)
    (i32.store (i32.const 65552) (i32.add (i32.load (i32.const 65552)) (local.get 0)))
    (i32.add (i32.load (i32.const 65552)) (i32.load (i32.const 65556))))
  (func (export "buffer") (result i32)
    (call $fill (i32.const 65560) (i32.const 4))
    (i32.load (i32.const 65560)))
  (func (export "sum") (param $n i32) (result i32) (local $p i32) (local $s i32)
    (local.set $p (i32.const 65536))
    (loop $next
      (local.set $s (i32.add (local.get $s) (i32.load8_u (local.get $p))))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br_if $next (i32.ne (local.get $p) (i32.const 65540))))
    (local.get $s))
  (func (export "frame") (result i32) (local $f i32)
    (global.set $__stack_pointer (local.tee $f (i32.sub (global.get $__stack_pointer) (i32.const 16))))
    (call $fill (local.get $f) (i32.const 8))
    (i32.add (i32.load (local.get $f)) (i32.load offset=4 (local.get $f)))
    (global.set $__stack_pointer (i32.add (local.get $f) (i32.const 16))))
  (func (export "poke") (param i32) (result i32)
    (i32.store (local.get 0) (i32.const 77)) (i32.load offset=4 (local.get 0)))
  (func (export "pair") (param i32 i64) (result i32 i64)
    (local.get 0) (i64.add (local.get 1) (i64.const 0x100000000)))
  (func (export "gust:os/log@0.1#line") (param i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (call $log (local.get 0) (i64.const -2)))
  (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "memory_size") (result i32) (memory.size))
  (func (export "memory_grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

/// Checks every function; the exit code is the number of the first check that fails.
const PROGRAM: &str = r#"
#include "kernel.h"
extern char stack_top[];
static void leave(int code) {
    uint32_t block[2] = {0x20026, code};
    register uint32_t op __asm__("r0") = 0x20;
    register uint32_t *arg __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : : "r"(op), "r"(arg) : "memory");
    for (;;) {}
}
static void fault(void) { leave(99); }
void fill(int32_t to, int32_t bytes) {
    for (int n = 0; n < bytes; n++) ((volatile uint8_t *)to)[n] = n + 1;
}
int32_t log_line(int32_t a, int64_t b) { return a + (int32_t)b; }
#define CHECK(n, condition) if (!(condition)) leave(n)
void reset(void) {
    CHECK(1, look(0) == 10 && look(3) == 40);
    CHECK(2, count(5) == 13 && count(1) == 14);
    CHECK(3, buffer() == 0x04030201);
    CHECK(4, sum(0) == 100);
    CHECK(5, frame() == 0x04030201 + 0x08070605);
    int32_t words[2] = {1, 2};
    CHECK(6, poke((int32_t)words) == 2 && words[0] == 77);
    struct pair_results results;
    pair(&results, 9, 5);
    CHECK(7, results.r0 == 9 && results.r1 == 0x100000005);
    CHECK(8, gust_os_log_0_1_line(40) == 38 && calls == 6);
    CHECK(9, double_(21) == 42);
    CHECK(10, memory_size() == BYTES / 65536 && memory_grow(1) == -1);
    leave(0);
}
__attribute__((section(".vectors"), used)) static void *const vectors[] = {
    stack_top, reset, fault, fault, fault, fault, fault};
"#;

const SCRIPT: &str = "SECTIONS {
  .text 0 : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
  .data 0x20000000 : { *(.data*) *(.bss*) *(COMMON) }
  stack_top = 0x20100000;
  /DISCARD/ : { *(.ARM.exidx*) }
}";

fn run(folder: &Folder, tool: &str, args: &[&str]) -> Option<i32> {
    let output = Command::new(tool).args(args).current_dir(folder.path(".")).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{tool}: {error}"));
    let (errors, code) = (text(&output.stderr), output.status.code());
    if !errors.is_empty() {
        println!("{tool}: {errors}");
    }
    code
}

fn is_available() -> bool {
    let tools = ["clang-22", "ld.lld-22", "qemu-system-arm"];
    let paths: Vec<_> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    let is_there = |tool: &&str| paths.iter().any(|path| Path::new(path).join(tool).is_file());
    let missing: Vec<&str> = tools.into_iter().filter(|tool| !is_there(tool)).collect();
    if !missing.is_empty() {
        println!("skipped: {} not found", missing.join(", "));
    }
    missing.is_empty()
}

#[test]
fn c_calls_the_functions_of_an_object_through_its_header() {
    if !is_available() {
        return;
    }
    let folder = Folder::new("thumb-c");
    folder.write("kernel.wat", MODULE);
    folder.write("main.c", PROGRAM);
    folder.write("script.ld", SCRIPT);
    for level in ["-O0", "-O2", "-Os", "-Oz"] {
        for bytes in ["131072", "65600"] {
            let options =
                ["--target", "thumbv7m", "--rename", "log:line=log_line", "--memory-bytes", bytes, level];
            folder.succeed(&[&["compile", "kernel.wat", "-o", "kernel.o"], &options[..]].concat());
            folder.succeed(
                &[&["compile", "kernel.wat", "--emit", "header", "-o", "kernel.h"], &options[..]].concat(),
            );
            let size = format!("-DBYTES={bytes}");
            let clang = [
                "--target=thumbv7m-none-eabi",
                "-mcpu=cortex-m3",
                "-O1",
                "-ffreestanding",
                "-Wall",
                "-Werror",
            ];
            let clang = [&clang[..], &[&size, "-c", "main.c", "-o", "main.o"]].concat();
            assert_eq!(run(&folder, "clang-22", &clang), Some(0));
            let link = ["-T", "script.ld", "-e", "reset", "main.o", "kernel.o", "-o", "image.elf"];
            assert_eq!(run(&folder, "ld.lld-22", &link), Some(0));
            let board = ["-M", "mps2-an385", "-nographic", "-semihosting-config", "enable=on,target=native"];
            let failed = run(&folder, "qemu-system-arm", &[&board[..], &["-kernel", "image.elf"]].concat());
            assert_eq!(failed, Some(0), "{level}: the number of the check that fails");
        }
    }
    let as_cpp = [
        "--target=thumbv7m-none-eabi",
        "-ffreestanding",
        "-Wall",
        "-Werror",
        "-fsyntax-only",
        "-x",
        "c++",
        "kernel.h",
    ];
    assert_eq!(
        run(&folder, "clang-22", &[&as_cpp[..], &["-Wno-pragma-once-outside-header"]].concat()),
        Some(0)
    );
}

#[test]
fn only_objects_have_headers() {
    let folder = Folder::new("pvm-header");
    folder.write("kernel.wat", MODULE);
    let message = folder.fail(&["compile", "kernel.wat", "--emit", "header"], b"", 2);
    assert!(message.contains("header"), "{message}");
}
