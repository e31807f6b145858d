//! Stack depths that `wasm-pvm info` reports, judged by an emulated board: a harness fills the memory below the stack
//! pointer with a pattern, calls a function and measures how much of the pattern is overwritten.

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{Folder, text};

/// Functions of every shape.
const SHAPES: &str = include_str!("support/shapes.wat");
/// Bytes at the end of a frame that may be there for alignment only.
const ALIGNMENT: u64 = 8;

/// `measure(function, a, b)` gives the bytes of stack that the call changes; the imports use none.
const HARNESS: &str = r#"
    .syntax unified
    .cpu cortex-m3
    .thumb
    .text
    .thumb_func
    .globl measure
    .type measure, %function
measure:
    push {r4-r6, lr}
    mov r4, r0
    ldr r6, =0xa5a5a5a5
    sub r5, sp, #2048
1:  str r6, [r5], #4
    cmp r5, sp
    bne 1b
    mov r0, r1
    mov r1, r2
    movs r2, #2
    movs r3, #3
    @ Stack arguments of functions that have some; nobody cares for their values.
    sub sp, #24
    blx r4
    sub r5, sp, #2024
2:  cmp r5, sp
    beq 3f
    ldr r0, [r5], #4
    cmp r0, r6
    beq 2b
    subs r5, #4
3:  mov r0, sp
    subs r0, r0, r5
    add sp, #24
    pop {r4-r6, pc}
    .thumb_func
    .globl notify
    .type notify, %function
notify:
    bx lr
    .thumb_func
    .globl far
    .type far, %function
far:
    adds r0, #1
    bx lr
"#;

/// The calls that are measured: an export and its first two arguments, which lead along its deepest path.
const CALLS: [(&str, u32, u32); 7] = [
    ("leaf", 3, 0),
    ("calls", 3, 0),
    ("table", 3, 0),
    ("table", 3, 1),
    ("even", 1, 0),
    ("tail", 3, 0),
    ("passes", 3, 0),
];

/// C that prints a line for every call.
fn scenario() -> String {
    let mut text = "#include <stdint.h>\nvoid semihosting_write(const char *);\n\
        uint32_t measure(void (*)(void), uint32_t, uint32_t);\n\
        static void print(uint32_t value) {\n\
            char digits[12]; char *at = digits + 11; *at = 0; *--at = '\\n';\n\
            do *--at = '0' + value % 10; while (value /= 10);\n\
            semihosting_write(at);\n}\n"
        .to_owned();
    for name in ["leaf", "calls", "table", "even", "tail", "passes"] {
        text += &format!("void {name}(void);\n");
    }
    text += "int main(void) {\n";
    for (name, a, b) in CALLS {
        text += &format!("print(measure({name}, {a}, {b}));\n");
    }
    text + "return 0;\n}\n"
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("the tool starts");
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Links the object with the harness and returns the measured depths.
fn measured(folder: &Folder) -> Vec<u64> {
    let firmware = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/gale/firmware");
    let sources =
        [firmware.join("start.s"), folder.write("harness.s", HARNESS), folder.write("main.c", scenario())];
    let mut objects = vec![folder.path("shapes.o")];
    for (n, source) in sources.iter().enumerate() {
        let object = folder.path(&format!("part{n}.o"));
        let mut clang = Command::new("clang-22");
        clang.args(["--target=thumbv7m-none-eabi", "-mcpu=cortex-m3", "-ffreestanding", "-O1", "-c", "-o"]);
        succeed(clang.args([&object, source]));
        objects.push(object);
    }
    let image = folder.path("image.elf");
    let script = firmware.join("link.ld");
    succeed(Command::new("ld.lld-22").arg("-T").arg(script).args(&objects).arg("-o").arg(&image));
    let mut emulator = Command::new("qemu-system-arm");
    emulator.args(["-M", "mps2-an385", "-nographic", "-monitor", "none", "-serial", "none"]);
    emulator.args(["-chardev", "stdio,id=out", "-semihosting-config", "enable=on,target=native,chardev=out"]);
    let printed = succeed(emulator.arg("-kernel").arg(&image));
    printed.lines().map(|line| line.parse().expect("a number")).collect()
}

#[test]
fn reported_depths_hold_on_a_board() {
    if !needs::tools(&["clang-22", "ld.lld-22", "qemu-system-arm"]) {
        return;
    }
    let folder = Folder::new("thumb-stack");
    folder.write("shapes.wat", SHAPES);
    for level in ["-O0", "-O2", "-Oz"] {
        folder.succeed(&["compile", "shapes.wat", "--target", "thumbv7m", level, "-o", "shapes.o"]);
        let info: Value =
            serde_json::from_str(&folder.succeed(&["info", "shapes.o", "--json"])).expect("JSON");
        let exports = info["exports"].as_array().expect("a list");
        let measured = measured(&folder);
        assert_eq!(measured.len(), CALLS.len(), "{measured:?}");
        for ((name, _, argument), measured) in CALLS.into_iter().zip(measured) {
            let export = exports.iter().find(|export| export["name"] == name).expect("it is exported");
            let reported = export["stack"].as_u64().expect("a number");
            assert!(measured <= reported, "{name} {level}: {measured} of {reported}");
            // The table's first function is not its deepest.
            let is_deepest = name != "table" || argument == 1;
            assert!(
                !is_deepest || measured + ALIGNMENT >= reported,
                "{name} {level}: {measured} of {reported}"
            );
        }
    }
}
