//! Debugging on an emulated board with GNU's debugger: it finds the caller and its registers at every instruction, stops
//! at lines, steps, and prints variables.

use std::process::Command;

use wasm_pvm::{Cpu, Debug, OptLevel, Options, ThumbOptions};

use crate::support::{Folder, LINES, dwarf_module, text, wasm_of_c};
use crate::{line, run};

/// A core with the board that runs its code, and clang's name for it.
struct Core {
    cpu: Cpu,
    board: &'static str,
    clang: &'static [&'static str],
}

const M0: Core = Core {
    cpu: Cpu::M0Plus,
    board: "mps2-an385",
    clang: &["--target=thumbv6m-none-eabi", "-mcpu=cortex-m0plus"],
};
const M3: Core =
    Core { cpu: Cpu::M3, board: "mps2-an385", clang: &["--target=thumbv7m-none-eabi", "-mcpu=cortex-m3"] };
const M7: Core = Core {
    cpu: Cpu::M7DP,
    board: "mps2-an500",
    clang: &["--target=thumbv7em-none-eabihf", "-mcpu=cortex-m7"],
};

/// The firmware starts at `enter`, which sets all registers that functions preserve and calls `body`. It has no caller.
const START: &str = r#"
    .syntax unified
    .thumb
    .cfi_sections .debug_frame
    .section .vectors, "a"
    .word 0x20010000, enter, over, over, over, over, over, over, over, over, over, over, over, over, over, over
    .text
    .globl enter, over, call_at
    .type enter, %function
    .thumb_func
enter:
    .cfi_startproc
    .cfi_undefined lr
    ldr r0, =0x44444444
    mov r4, r0
    ldr r0, =0x55555555
    mov r5, r0
    ldr r0, =0x66666666
    mov r6, r0
    ldr r0, =0x77777777
    mov r7, r0
    ldr r0, =0x88888888
    mov r8, r0
    ldr r0, =0x99999999
    mov r9, r0
    ldr r0, =0xaaaaaaaa
    mov r10, r0
    ldr r0, =0xbbbbbbbb
    mov r11, r0
FLOATS
call_at:
    bl body
    .type over, %function
    .thumb_func
over:
    b over
    .cfi_endproc
    .size enter, . - enter
"#;

/// Switches the floating-point unit on, and sets registers that functions preserve.
const START_FLOATS: &str = "
    ldr r0, =0xe000ed88
    ldr r1, =0x00f00000
    str r1, [r0]
    dsb
    isb
    ldr r0, =0x40080000
    movs r1, #0
    vmov d8, r1, r0
    ldr r0, =0x40220000
    vmov d9, r1, r0
";

const SCRIPT: &str = "ENTRY(enter)
SECTIONS {
  .text 0 : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
  .data 0x20000000 : { *(.data*) }
  .bss : { *(.bss*) *(COMMON) }
  /DISCARD/ : { *(.ARM.exidx*) }
}
";

/// Firmware of an object and C code with `body`.
fn firmware(folder: &Folder, core: &Core, object: &[u8], body: &str) -> String {
    let floats = if core.cpu.has_double() { START_FLOATS } else { "" };
    let files = [("start.s", START.replace("FLOATS", floats)), ("body.c", body.to_owned())];
    let mut inputs = vec![folder.write("module.o", object)];
    for (name, contents) in files {
        let source = folder.write(name, contents);
        let output = folder.path(&format!("{name}.o"));
        let paths = [source.to_str().expect("a path"), "-o", output.to_str().expect("a path")];
        run("clang-22", &[core.clang, &["-O1", "-g", "-ffreestanding", "-c"], &paths].concat());
        inputs.push(output);
    }
    let script = folder.write("link.ld", SCRIPT);
    let output = folder.path("firmware.elf").to_str().expect("a path").to_owned();
    let mut args = vec!["-T", script.to_str().expect("a path"), "-o", &output];
    args.extend(inputs.iter().map(|path| path.to_str().expect("a path")));
    run("ld.lld-22", &args);
    output
}

/// The output of the debugger for commands, with firmware on a board that has just been started.
fn debug(folder: &Folder, core: &Core, firmware: &str, commands: &str) -> String {
    let board = core.board;
    let script = format!(
        "set pagination off\nset confirm off\nset width 0\nset print frame-info short-location\n\
         target remote | exec qemu-system-arm -M {board} -display none -monitor none -serial none -gdb stdio -S -kernel {firmware}\n\
         set print frame-info auto\n{commands}\nprintf \"script is over\\n\"\n"
    );
    let script = folder.write("commands.gdb", script);
    let mut debugger = Command::new("gdb-multiarch");
    debugger.args(["-nx", "-batch", "-x"]).arg(script).arg(firmware);
    let output = debugger.output().expect("the debugger starts");
    let all = text(&output.stdout);
    assert!(all.contains("script is over"), "{all}{}", text(&output.stderr));
    all
}

fn has_tools() -> bool {
    needs::tools(&["gdb-multiarch", "qemu-system-arm", "clang-22", "ld.lld-22"])
}

fn compile(module: &[u8], core: &Core, level: OptLevel) -> Vec<u8> {
    let thumb = ThumbOptions { debug: Debug::Lines, ..ThumbOptions::new(core.cpu) };
    wasm_pvm::compile(module, &Options { level, ..Options::new(thumb) }).expect("it compiles").bytes
}

/// Goes through the program instruction by instruction, and prints the registers of `enter` each time, as unwinding
/// gives them.
const WALK: &str = "break *&call_at
continue
stepi
set $end = (unsigned)&over & ~1
while $pc != $end
  set $at = $pc
  frame function enter
  printf \"caller %x: %x %x %x %x %x %x %x %x %x\\n\", $at, $r4, $r5, $r6, $r7, $r8, $r9, $r10, $r11, $sp
  FLOATS
  frame 0
  stepi
end";

const FRAMES_BODY: &str = "extern int run(int);
__attribute__((naked, noinline)) int ext(int x) { __asm__(\"adds r0, #1\\n bx lr\"); }
int sink;
void body(void) { sink = run(1); }
";

const PRESERVED: &str = "44444444 55555555 66666666 77777777 88888888 99999999 aaaaaaaa bbbbbbbb 20010000";

#[test]
fn the_caller_is_found_at_every_instruction() {
    if !has_tools() {
        return;
    }
    let folder = Folder::new("thumb-debug-unwind");
    let source = folder.write("frames.c", include_str!("frames.c"));
    for (core, level) in [(M3, OptLevel::Oz), (M0, OptLevel::O2), (M7, OptLevel::O2)] {
        let mut options = vec!["-O1"];
        options.extend(core.cpu.has_double().then_some("-DFLOATS"));
        let Some(module) = wasm_of_c(&folder, &[&source], &options) else { return };
        let firmware = firmware(&folder, &core, &compile(&module, &core, level), FRAMES_BODY);
        let floats = if core.cpu.has_double() { "printf \"floats %g %g\\n\", $d8, $d9" } else { "" };
        let listing = debug(&folder, &core, &firmware, &WALK.replace("FLOATS", floats));
        let lines = || listing.lines();
        let callers: Vec<&str> = lines().filter_map(|line| line.strip_prefix("caller ")).collect();
        assert!(callers.len() > 200, "{listing}");
        for caller in callers {
            let (at, registers) = caller.split_once(": ").expect("an address");
            assert_eq!(registers, PRESERVED, "{} {level:?} at {at}", core.cpu);
        }
        assert!(
            lines().filter_map(|line| line.strip_prefix("floats ")).all(|values| values == "3 9"),
            "{listing}"
        );
    }
}

const LINES_BODY: &str = "extern int run(int, volatile int *);
int ext(int x) { return x + 1; }
int words[64], sink;
void body(void) { sink = run(2, words); }
";

#[test]
fn the_debugger_stops_and_steps_at_lines() {
    if !has_tools() {
        return;
    }
    let folder = Folder::new("thumb-debug-steps");
    let [first, second] = ["helper-first", "helper-second"].map(line);
    // At the second level, `helper` is inlined.
    for level in [OptLevel::O0, OptLevel::Oz] {
        let Some(module) = dwarf_module(&folder, "-O1", 4) else { return };
        let firmware = firmware(&folder, &M3, &compile(&module, &M3, level), LINES_BODY);
        let script = format!(
            "break run\ncontinue\nframe\nbreak lines.c:{first}\ncontinue\necho trace\\n\nbacktrace\necho step\\n\n\
             next\nframe\nfinish\nframe"
        );
        let listing = debug(&folder, &M3, &firmware, &script);
        let (start, rest) = listing.split_once("trace\n").expect("the breakpoint is reached");
        let (trace, rest) = rest.split_once("step\n").expect("there is a backtrace");
        // The first line of the body.
        let body =
            LINES.lines().position(|line| line.starts_with("  int sum = 0;")).expect("it is there") + 1;
        let stops = [body, body + 1].map(|line| format!("lines.c:{line}\n"));
        assert!(stops.iter().any(|stop| start.contains(stop)), "{level:?}: {listing}");
        let frames: Vec<&str> = trace.lines().filter(|line| line.starts_with('#')).collect();
        let expected = ["helper (", "run (", "body (", "enter ("];
        assert_eq!(frames.len(), expected.len(), "{level:?}: {listing}");
        assert!(
            frames.iter().zip(expected).all(|(frame, name)| frame.contains(name)),
            "{level:?}: {listing}"
        );
        assert!(frames[0].contains(&format!("lines.c:{first}")), "{level:?}: {listing}");
        assert!(
            rest.contains(&format!("lines.c:{second}\n")) && rest.contains("run ("),
            "{level:?}: {listing}"
        );
    }
}

/// Variables of all kinds of types, in functions compiled without optimisation.
const VARIABLES: &str = r#"extern int ext(const void *);
enum color { RED, GREEN = 7 };
struct node { struct node *next; unsigned char tag; short values[3]; };
typedef struct { struct node head; enum color color; } list;
__attribute__((noinline)) static int fill(list *all, int n) {
  for (int i = 0; i < 3; i++)
    all->head.values[i] = n * i;
  return ext(all); // @fill
}
__attribute__((export_name("run"))) int run(int n, long long wide) {
  list mine = { { 0, 'x', { 0, 0, 0 } }, GREEN };
  mine.head.next = &mine.head;
  int sum = fill(&mine, n + 1);
  return sum + ext(&wide); // @run
}
"#;

const VARIABLES_BODY: &str = "extern int run(int, long long);
__attribute__((noinline)) int ext(const void *p) { return *(const char *)p & 1; }
int sink;
void body(void) { sink = run(9, -5); }
";

#[test]
fn the_debugger_prints_variables() {
    if !has_tools() {
        return;
    }
    let folder = Folder::new("thumb-debug-variables");
    let source = folder.write("variables.c", VARIABLES);
    let line = |mark: &str| VARIABLES.lines().position(|line| line.ends_with(mark)).expect("it is there") + 1;
    for (core, version) in [(M3, 4), (M0, 5)] {
        let Some(module) = wasm_of_c(&folder, &[&source], &["-O0", &format!("-gdwarf-{version}")]) else {
            return;
        };
        let object = compile(&module, &core, OptLevel::O0);
        let firmware = firmware(&folder, &core, &object, VARIABLES_BODY);
        let script = format!(
            "break variables.c:{}\ncontinue\nprint n\nprint *all\nprint all->head.values[2]\nptype struct node\nup\n\
             print n\nprint wide\nprint mine.color\nprint mine.head.next == &mine.head\n\
             tbreak variables.c:{}\ncontinue\nprint mine.head.values",
            line("// @fill"),
            line("// @run")
        );
        let listing = debug(&folder, &core, &firmware, &script);
        let values: Vec<&str> = listing
            .lines()
            .filter_map(|line| line.strip_prefix('$')?.split_once(" = ").map(|(_, value)| value))
            .collect();
        let all = values.get(1).copied().unwrap_or_default();
        let expected = ["10", all, "20", "9", "-5", "GREEN", "1", "{0, 10, 20}"];
        assert_eq!(values, expected, "{}: {listing}", core.cpu);
        assert!(all.contains("tag = 120 'x', values = {0, 10, 20}}, color = GREEN"), "{listing}");
        assert!(listing.contains("struct node *next;"), "{listing}");
    }
}
