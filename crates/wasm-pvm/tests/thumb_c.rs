//! Objects called from C through their header, linked by a linker and run on an emulated board.

mod support;

use std::process::{Command, Stdio};

use support::{Folder, text};

/// Static data of every kind, several results, 64-bit arguments, and names that are not C identifiers.
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

/// A folder with a module, a C program and the linker script; `None` if a tool is missing.
fn project(test: &str, module: &str, program: &str) -> Option<Folder> {
    if !needs::tools(&["clang-22", "ld.lld-22", "qemu-system-arm"]) {
        return None;
    }
    let folder = Folder::new(test);
    folder.write("kernel.wat", module);
    folder.write("main.c", program);
    folder.write("script.ld", SCRIPT);
    Some(folder)
}

/// Compiles the module to an object and its header.
fn compile_kernel(folder: &Folder, options: &[&str]) {
    let compile = [&["compile", "kernel.wat"], options].concat();
    folder.succeed(&[&compile[..], &["-o", "kernel.o"]].concat());
    folder.succeed(&[&compile[..], &["--emit", "header", "-o", "kernel.h"]].concat());
}

/// Runs the linked program on a board; the result is the number of the check that fails, or 0.
fn emulate(folder: &Folder) -> Option<i32> {
    let board = ["-M", "mps2-an385", "-nographic", "-semihosting-config", "enable=on,target=native"];
    run(folder, "qemu-system-arm", &[&board[..], &["-kernel", "image.elf"]].concat())
}

#[test]
fn c_calls_the_functions_of_an_object_through_its_header() {
    let Some(folder) = project("thumb-c", MODULE, PROGRAM) else { return };
    for level in ["-O0", "-O2", "-Os", "-Oz"] {
        for bytes in ["131072", "65600"] {
            let options =
                ["--target", "thumbv7m", "--rename", "log:line=log_line", "--memory-bytes", bytes, level];
            compile_kernel(&folder, &options);
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
            assert_eq!(emulate(&folder), Some(0), "{level}: the number of the check that fails");
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

/// Exported imports, imports in tables, one name for an import and an export, data that is copied at the start, and a
/// start function.
const LINKED: &str = r#"(module
  (type $unary (func (param i32) (result i32)))
  (import "env" "hook" (func $hook (type $unary)))
  (import "env" "split" (func $split (param i64) (result i32 i32)))
  (import "env" "many" (func $many (param i32 i64 i32 i32 i64 i32) (result i64)))
  (import "env" "_" (func $under (result i32)))
  (import "env" "begin" (func $begin))
  (export "again" (func $hook)) (export "hook twice" (func $hook)) (export "hook" (func $hook))
  (export "split_again" (func $split)) (export "many_again" (func $many))
  (memory (export "memory") 1)
  (data (i32.const 4094) "\01\02\03\04\05") (data (i32.const 60000) "\09")
  (table (export "table") 4 funcref)
  (elem (i32.const 0) func $hook $split)
  (elem declare func $hook)
  (func (export "_") (result i32) (i32.add (call $under) (i32.const 1)))
  (func (export "set") (table.set (i32.const 3) (ref.func $hook)))
  (func (export "through") (param i32 i32) (result i32)
    (call_indirect (type $unary) (local.get 1) (local.get 0)))
  (func (export "through_split") (param i64) (result i32)
    (call_indirect (param i64) (result i32 i32) (local.get 0) (i32.const 1)) i32.sub)
  (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (start $begin))"#;

/// As [`PROGRAM`]. Enumerations and wide characters have every size that compilers know.
const LINKED_PROGRAM: &str = r#"
#include "kernel.h"
typedef enum { small } kind;
extern kind kind_of(kind *k);
kind kind_of(kind *k) { return *k; }
const __WCHAR_TYPE__ wide[] = L"wide";
static void leave(int code) {
    uint32_t block[2] = {0x20026, code};
    register uint32_t op __asm__("r0") = 0x20;
    register uint32_t *arg __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : : "r"(op), "r"(arg) : "memory");
    for (;;) {}
}
static void fault(void) { leave(99); }
static int begun;
void begin(void) { begun = byte(4098); }
int32_t hook(int32_t a) { return a * 3; }
void split(struct split_results *results, int64_t a) { results->r0 = a >> 32; results->r1 = a; }
int64_t many(int32_t a, int64_t b, int32_t c, int32_t d, int64_t e, int32_t f) {
    return a + (b << 4) + (c << 8) + (d << 12) + (e << 16) + (f << 20);
}
int32_t under(void) { return 41; }
#define CHECK(n, condition) if (!(condition)) leave(n)
void reset(void) {
    __wasm_start();
    CHECK(1, begun == 5);
    CHECK(2, again(7) == 21 && hook_twice(8) == 24);
    struct split_again_results results;
    split_again(&results, 0x500000002);
    CHECK(3, results.r0 == 5 && results.r1 == 2);
    CHECK(4, many_again(1, 2, 3, 4, 5, 6) == 0x654321);
    CHECK(5, _() == 42);
    CHECK(6, through(0, 5) == 15);
    set();
    CHECK(7, through(3, 6) == 18);
    CHECK(8, through_split(0x500000002) == 3);
    CHECK(9, byte(4094) == 1 && byte(4098) == 5 && byte(60000) == 9 && byte(4099) == 0 && byte(59999) == 0);
    leave(0);
}
__attribute__((section(".vectors"), used)) static void *const vectors[] = {
    (void *)0x20100000, reset, fault, fault, fault, fault, fault};
"#;

/// Compiles [`LINKED`] with names that C can spell.
fn compile_linked(folder: &Folder, options: &[&str]) {
    let names = ["--memory", "symbol", "--rename", "env._=under", "--rename", "hook twice=hook_twice"];
    compile_kernel(folder, &[options, &names].concat());
}

/// Compiles the program with an installed compiler and these options.
fn compile_program(folder: &Folder, compiler: &str, flags: &[&str]) {
    let mut args = vec!["-O1", "-ffreestanding", "-mthumb", "-c", "main.c", "-o", "main.o"];
    if compiler == "clang-22" {
        args.push("--target=thumbv7m-none-eabi");
    }
    args.extend(flags);
    assert_eq!(run(folder, compiler, &args), Some(0), "{compiler} {flags:?}");
}

fn linkers() -> Vec<&'static str> {
    ["ld.lld-22", "arm-none-eabi-ld"].into_iter().filter(|linker| needs::tools(&[linker])).collect()
}

#[test]
fn what_an_engine_links_links_without_a_warning() {
    let Some(folder) = project("thumb-links", LINKED, LINKED_PROGRAM) else { return };
    for level in ["-O0", "-O2", "-Oz"] {
        compile_linked(&folder, &["--target", "thumbv7m", level]);
        compile_program(&folder, "clang-22", &["-mcpu=cortex-m3"]);
        for linker in linkers() {
            // Objects of clang have `.note.GNU-stack`; GNU linkers then expect it of all objects.
            let link = ["--fatal-warnings", "-z", "noexecstack", "-T", "script.ld", "-e", "reset"];
            let files = ["main.o", "kernel.o", "-o", "image.elf"];
            assert_eq!(run(&folder, linker, &[&link[..], &files].concat()), Some(0), "{linker}");
            assert_eq!(emulate(&folder), Some(0), "{linker} {level}: the number of the check that fails");
        }
    }
}

/// Objects of C compilers differ in the sizes of enumerations and wide characters, of which ours have none.
#[test]
fn attributes_agree_with_every_object_for_the_core() {
    let Some(folder) = project("thumb-attributes", LINKED, LINKED_PROGRAM) else { return };
    let has_gcc = needs::tools(&["arm-none-eabi-gcc"]);
    let cores: [(&str, &str, &[&str]); 8] = [
        ("thumbv6m", "m0plus", &["-mcpu=cortex-m0plus", "-mfloat-abi=soft"]),
        ("thumbv8m.base", "m23", &["-mcpu=cortex-m23", "-mfloat-abi=soft"]),
        ("thumbv8.1m.main", "m55", &["-mcpu=cortex-m55+nomve", "-mfloat-abi=soft"]),
        ("thumbv7m", "cortex-m3", &["-mcpu=cortex-m3", "-mfloat-abi=soft"]),
        // Without floats in any signature it does not matter how the others pass them.
        ("thumbv7em", "m4", &["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]),
        ("thumbv7em", "m4f", &["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]),
        ("thumbv7em", "m7dp", &["-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"]),
        ("thumbv8m.main", "m33f", &["-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"]),
    ];
    for (target, cpu, flags) in cores {
        compile_linked(&folder, &["--target", target, "--cpu", cpu]);
        for compiler in ["clang-22", "arm-none-eabi-gcc"].into_iter().take(1 + usize::from(has_gcc)) {
            for sizes in [["-fshort-enums", "-fshort-wchar"], ["-fno-short-enums", "-fno-short-wchar"]] {
                compile_program(&folder, compiler, &[flags, &sizes].concat());
                // GNU linkers warn if only some objects have `.note.GNU-stack`; those of clang do.
                let stack: &[&str] = if compiler == "clang-22" { &["-z", "noexecstack"] } else { &[] };
                for (linker, objects) in linkers().into_iter().flat_map(|linker| {
                    [["main.o", "kernel.o"], ["kernel.o", "main.o"]].map(|objects| (linker, objects))
                }) {
                    let link = ["--fatal-warnings", "-T", "script.ld", "-e", "reset", "-o", "image.elf"];
                    let code = run(&folder, linker, &[&link[..], stack, &objects].concat());
                    assert_eq!(code, Some(0), "{cpu}: {compiler} {sizes:?} {linker} {objects:?}");
                }
            }
        }
    }
}

#[test]
fn only_objects_have_headers() {
    let folder = Folder::new("pvm-header");
    folder.write("kernel.wat", MODULE);
    let message = folder.fail(&["compile", "kernel.wat", "--emit", "header"], b"", 2);
    assert!(message.contains("header"), "{message}");
}

/// What the smallest core has no instructions for.
const SMALL: &str = r#"(module
  (import "env" "twice" (func $twice (param i32) (result i32)))
  (func $count (export "count") (param i32 i64) (result i64)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $count (i32.sub (local.get 0) (i32.const 1)) (i64.add (local.get 1) (i64.const 0x100000001))))
  (func (export "divide") (param i32 i32) (result i32)
    (i32.add (i32.div_s (local.get 0) (local.get 1)) (i32.mul (i32.const 1000) (i32.rem_u (local.get 0) (local.get 1)))))
  (func (export "divide_long") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
  (func (export "product") (param i64 i64) (result i64) (i64.mul (local.get 0) (local.get 1)))
  (func (export "shift") (param i64 i64) (result i64)
    (i64.xor (i64.shl (local.get 0) (local.get 1)) (i64.shr_s (local.get 0) (local.get 1))))
  (func (export "bits") (param i32) (result i32)
    (i32.add (i32.add (i32.clz (local.get 0)) (i32.mul (i32.const 100) (i32.ctz (local.get 0))))
      (i32.mul (i32.const 10000) (i32.popcnt (local.get 0)))))
  (func (export "reach") (param i32) (result i64)
    (i32.store offset=7 (local.get 0) (i32.const 0x12345678))
    (i64.load offset=5 (local.get 0)))
  (func (export "choose") (param i32) (result i32)
    (block (block (block (block (block (block (br_table 0 1 2 3 4 5 (local.get 0)))
      (return (call $twice (i32.const 10)))) (return (i32.const 0x12345))) (return (i32.const 30)))
      (return (call $twice (i32.const 40)))) (return (i32.const -7))) (i32.const 99))
  (memory 0))"#;

/// As [`PROGRAM`], for a board with 16 KiB of memory.
const SMALL_PROGRAM: &str = r#"
#include "kernel.h"
static void leave(int code) {
    uint32_t block[2] = {0x20026, code};
    register uint32_t op __asm__("r0") = 0x20;
    register uint32_t *arg __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : : "r"(op), "r"(arg) : "memory");
    for (;;) {}
}
static void fault(void) { leave(99); }
int32_t twice(int32_t a) { return 2 * a; }
static unsigned char bytes[24];
#define CHECK(n, condition) if (!(condition)) leave(n)
void reset(void) {
    CHECK(1, count(100000, 5) == 100000 * 0x100000001LL + 5);
    CHECK(2, divide(-1000, 7) == -142 + 1000 * (int32_t)(4294966296u - 613566613u * 7));
    CHECK(3, divide_long(-9000000000000000000, 123456789) == -72900000663);
    CHECK(4, product(0x123456789abcdef0, 0xfedcba987654321) == 0x123456789abcdef0 * 0xfedcba987654321);
    CHECK(5, shift(0x8123456789abcdef, 37) == ((0x8123456789abcdefu << 37) ^ 0xfffffffffc091a2b));
    CHECK(6, bits(0x00f0f000) == 8 + 1200 + 80000);
    for (int n = 0; n < 4; n++) {
        bytes[n + 5] = 0xaa, bytes[n + 6] = 0xbb, bytes[n + 11] = 0xcc, bytes[n + 12] = 0xdd;
        CHECK(7, reach((int32_t)(bytes + n)) == (int64_t)0xddcc12345678bbaa);
    }
    const int32_t chosen[] = {20, 0x12345, 30, 80, -7, 99, 99};
    for (int n = 0; n < 7; n++) CHECK(10 + n, choose(n) == chosen[n]);
    leave(0);
}
__attribute__((section(".vectors"), used)) static void *const vectors[] = {
    (void *)0x20004000, reset, fault, fault, fault, fault, fault};
"#;

#[test]
fn the_smallest_core_runs_its_objects() {
    let Some(folder) = project("thumb-small", SMALL, SMALL_PROGRAM) else { return };
    for (level, is_aligned) in [("-O0", false), ("-O2", false), ("-Oz", false), ("-Oz", true)] {
        let options = ["--target", "thumbv6m", "--cpu", "m0", level, "--aligned"];
        compile_kernel(&folder, &options[..5 + usize::from(is_aligned)]);
        compile_program(&folder, "clang-22", &["-mcpu=cortex-m0", "-mfloat-abi=soft", "-fno-builtin"]);
        let link = ["-T", "script.ld", "-e", "reset", "main.o", "kernel.o", "-o", "image.elf"];
        assert_eq!(run(&folder, "ld.lld-22", &link), Some(0));
        let board = ["-M", "microbit", "-nographic", "-semihosting-config", "enable=on,target=native"];
        let code = run(&folder, "qemu-system-arm", &[&board[..], &["-kernel", "image.elf"]].concat());
        // An access to an odd address keeps no promise.
        let expected = if is_aligned { 99 } else { 0 };
        assert_eq!(code, Some(expected), "{level}: the number of the check that fails");
    }
}

/// A tenant of a kernel, with two memories. The accesses to the first are not checked.
const TENANT: &str = r#"(module
  (memory 1) (memory $more 1)
  (data (i32.const 8) "\2a")
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "more") (param i32) (result i32)
    (i32.store $more (local.get 0) (i32.const 3)) (i32.load $more (local.get 0))))"#;

/// A kernel that lets its first tenant access its own memories, and checks that an access to the memory of the second faults.
const KERNEL: &str = r#"
#include "first.h"
#include "second.h"
extern char stack_top[];
static void leave(int code) {
    uint32_t block[2] = {0x20026, code};
    register uint32_t op __asm__("r0") = 0x20;
    register uint32_t *arg __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : : "r"(op), "r"(arg) : "memory");
    for (;;) {}
}
// Below the stack, in its region.
#define IS_EXPECTED (*(volatile uint32_t *)0x200f0000)
static void fault(void) { leave(IS_EXPECTED == 0x600d ? 0 : 99); }
static void region(uint32_t number, const void *base, uint32_t size) {
    volatile uint32_t *mpu = (volatile uint32_t *)0xe000ed98;
    mpu[0] = number;
    mpu[1] = (uint32_t)base;
    // Full access, normal memory; the logarithm of the size, less one; enabled.
    mpu[2] = 3 << 24 | 3 << 16 | (30 - __builtin_clz(size)) << 1 | 1;
}
#define CHECK(n, condition) if (!(condition)) leave(n)
void reset(void) {
    IS_EXPECTED = 0;
    first_start();
    second_start();
    uint32_t size = (uint32_t)first_memory_size;
    region(0, 0, 0x400000);
    region(1, (void *)0x200f0000, 0x10000);
    region(2, first_memory_base, size);
    region(3, first_more_base, (uint32_t)first_more_size);
    *(volatile uint32_t *)0xe000ed94 = 1;
    CHECK(1, first_load(8) == 42);
    first_store(size - 4, 7);
    CHECK(2, first_load(size - 4) == 7);
    CHECK(3, first_more(65532) == 3);
    IS_EXPECTED = 0x600d;
    first_load((uint32_t)second_memory_base - (uint32_t)first_memory_base);
    leave(4);
}
__attribute__((section(".vectors"), used)) static void *const vectors[] = {
    stack_top, reset, fault, fault, fault, fault, fault};
"#;

/// Compiles the module for a core as the tenant with this name.
fn compile_tenant(folder: &Folder, cpu: [&str; 2], name: &str) {
    let renames = [
        ("__linear_memory", "memory_base"),
        ("__linear_memory_size", "memory_size"),
        ("__linear_memory_1", "more_base"),
        ("__linear_memory_1_size", "more_size"),
        ("__wasm_start", "start"),
        ("load", "load"),
        ("store", "store"),
        ("more", "more"),
    ];
    let renames = renames.map(|(wasm, symbol)| format!("{wasm}={name}_{symbol}"));
    let [target, cpu] = cpu;
    let mut args = vec!["compile", "kernel.wat", "--target", target, "--cpu", cpu];
    args.extend(["--memory", "symbol", "--bounds", "mpu"]);
    args.extend(renames.iter().flat_map(|rename| ["--rename", rename.as_str()]));
    folder.succeed(&[&args[..], &["-o", &format!("{name}.o")]].concat());
    folder.succeed(&[&args[..], &["--emit", "header", "-o", &format!("{name}.h")]].concat());
}

/// The address of a symbol of the linked program.
fn linked_address(folder: &Folder, name: &str) -> u64 {
    use object::{Object as _, ObjectSymbol as _};
    let bytes = std::fs::read(folder.path("image.elf")).expect("linked");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
    symbol.unwrap_or_else(|| panic!("no symbol `{name}`")).address()
}

#[test]
fn the_memories_of_tenants_are_regions_of_the_protection_unit() {
    let Some(folder) = project("thumb-tenants", TENANT, KERNEL) else { return };
    for (cpu, core) in
        [(["thumbv7m", "cortex-m3"], "-mcpu=cortex-m3"), (["thumbv8m.main", "m33"], "-mcpu=cortex-m33")]
    {
        compile_tenant(&folder, cpu, "first");
        compile_tenant(&folder, cpu, "second");
        compile_program(&folder, "clang-22", &[core, "-mfloat-abi=soft"]);
        for linker in linkers() {
            let link = ["--fatal-warnings", "-z", "noexecstack", "-T", "script.ld", "-e", "reset"];
            let files = ["main.o", "first.o", "second.o", "-o", "image.elf"];
            assert_eq!(run(&folder, linker, &[&link[..], &files].concat()), Some(0), "{linker}");
            for memory in ["first_memory", "first_more", "second_memory", "second_more"] {
                let [base, size] =
                    ["base", "size"].map(|what| linked_address(&folder, &format!("{memory}_{what}")));
                assert!(size >= 0x1_0000 && base >= 0x2000_0000, "{linker}: {base:#x} {size:#x}");
                let unit = if core.ends_with("m3") { size } else { 32 };
                assert!(
                    size.is_multiple_of(unit) && base.is_multiple_of(unit),
                    "{linker}: {base:#x} {size:#x}"
                );
                assert!(unit == 32 || size.is_power_of_two());
            }
            if core.ends_with("m3") {
                assert_eq!(emulate(&folder), Some(0), "{linker}: the number of the check that fails");
            }
        }
    }
}
