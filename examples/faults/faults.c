// Prints what trapped in a WebAssembly module, and where: in the handler of `--trap handler=wasm_trap`, and in the handler
// of the fault that a trap is without that option.

#include <stdint.h>

int32_t divide(int32_t a, int32_t b);
void stop(void);

// ---- Printing and ending, by the debugger's calls ----

static int call_debugger(int number, const void *argument) {
    register int r0 __asm__("r0") = number;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt #0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void print(const char *text) { call_debugger(4, text); }

static void print_hex(uint32_t number) {
    char text[11] = "0x00000000";
    for (int at = 9; at >= 2; at--, number >>= 4) text[at] = "0123456789abcdef"[number & 15];
    print(text);
}

static void finish(void) {
    static const uint32_t block[2] = {0x20026, 0};
    call_debugger(0x20, block);
    for (;;) {}
}

// ---- Handlers ----

// The number of the trap, and the offset of the operator in the module: `wasm-pvm explain-trap` explains them.
void wasm_trap(uint32_t number, uint32_t offset) {
    print("trap ");
    print_hex(number);
    print(" ");
    print_hex(offset);
    print("\n");
    finish();
}

// The registers that the core has pushed: r0 to r3, r12, lr, pc and xpsr.
__attribute__((used)) void report_fault(const uint32_t *frame) {
    uint32_t pc = frame[6];
    uint16_t instruction = *(const uint16_t *)pc;
    if ((instruction & 0xff00) == 0xde00) {
        print("udf ");
        print_hex(instruction & 0xff);
    } else {
        print("fault");
    }
    print(" at ");
    print_hex(pc);
    print("\n");
    finish();
}

// Finds the stack that the registers are on.
__attribute__((naked)) void hard_fault(void) {
    __asm__ volatile(
        "movs r0, #4\n"
        "mov r1, lr\n"
        "tst r0, r1\n"
        "beq 1f\n"
        "mrs r0, psp\n"
        "b 2f\n"
        "1: mrs r0, msp\n"
        "2: ldr r1, =report_fault\n"
        "bx r1\n"
        ".ltorg\n");
}

void reset(void) {
#ifdef STOP
    stop();
#else
    divide(1, 0);
#endif
    print("no trap\n");
    finish();
}

extern const uint32_t stack_top[];
__attribute__((section(".vectors"), used)) static const void *const vectors[] = {
    stack_top, reset, hard_fault, hard_fault,
};
