// Runs a table of calls on the bare machine and prints what came of each.
//
// One line per call: `status r0 r1 r2 r3 s0 s1 memory-hash results[16] [import arguments...]`, all in hexadecimal. The status is 0
// for a return, 0x100 plus the trap number for a trap, 2 if the callee changed a register that it must keep, 3 if it
// called more imports than expected.
#include <stdint.h>

struct call {
    void (*code)(void);
    const uint32_t *words;   // r0 to r3, s0 to s15, then the stack
    uint32_t stack_words;
    uint8_t *data, *data_end; // what is restored before the call
    uint8_t *memory;
    uint32_t memory_bytes;
    const uint32_t *answers; // per import call: r0, r1, s0, s1, 16 words for the pointer in r0 if it is one
    uint32_t answer_count;
    const uint8_t *image;     // what linear memory contains before the call, if the object does not have it
    uint32_t base;            // what r11 is
};

extern const struct call calls[], calls_end[];
extern uint8_t all_data[], all_data_end[], backup[];

extern uint32_t canary[];
extern uint32_t invoke(void (*code)(void), const uint32_t *words, uint32_t stack_words, uint32_t *out);

uint32_t struct_results[16];
static const struct call *current;
static uint32_t answered;
static uint32_t log_words[4096];
static uint32_t log_len;

static uint32_t semihost(uint32_t op, const void *arg) {
    register uint32_t r0 __asm__("r0") = op;
    register const void *r1 __asm__("r1") = arg;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static char line[65536];
static uint32_t line_len;

static void put_hex(uint32_t value) {
    char digits[8];
    int n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    while (n) line[line_len++] = digits[--n];
    line[line_len++] = ' ';
}

// Called by import stubs: the core argument words, the float ones, the stack ones.
const uint32_t *answer(uint32_t import, const uint32_t *frame, uint32_t core, uint32_t floats, uint32_t stack,
                       uint32_t struct_words) {
    if (answered == current->answer_count) {
        extern void too_many_imports(void);
        too_many_imports();
    }
    log_words[log_len++] = import;
    for (uint32_t n = 0; n < 4; n++) if (core >> n & 1) log_words[log_len++] = frame[16 + n];
    for (uint32_t n = 0; n < 16; n++) if (floats >> n & 1) log_words[log_len++] = frame[n];
    for (uint32_t n = 0; n < 32; n++) if (stack >> n & 1) log_words[log_len++] = frame[28 + n];
    const uint32_t *answer = &current->answers[20 * answered++];
    uint32_t *to = (uint32_t *)frame[16];
    for (uint32_t n = 0; n < struct_words; n++) to[n] = answer[4 + n];
    return answer;
}

static void copy(uint8_t *to, const uint8_t *from, const uint8_t *end) {
    for (; from + 4 <= end; from += 4, to += 4) *(uint32_t *)to = *(const uint32_t *)from;
    while (from < end) *to++ = *from++;
}

static uint32_t hash(const uint8_t *bytes, uint32_t len) {
    uint32_t value = 0x811c9dc5;
    for (uint32_t n = 0; n < len; n++) value = (value ^ bytes[n]) * 0x01000193;
    return value;
}

#ifndef __ARM_FP
// The run-time ABI on top of the toolchain's functions, with canonical NaNs.
#define ARITHMETIC(name, type, bits, implementation, nan)                 \
    extern type implementation(type, type);                               \
    type name(type a, type b) {                                           \
        union { type x; bits n; } r = {implementation(a, b)};             \
        if (r.x != r.x) r.n = nan;                                        \
        return r.x;                                                       \
    }
#define NAN32 0x7fc00000
#define NAN64 0x7ff8000000000000
ARITHMETIC(__aeabi_fadd, float, uint32_t, __addsf3, NAN32)
ARITHMETIC(__aeabi_fsub, float, uint32_t, __subsf3, NAN32)
ARITHMETIC(__aeabi_fmul, float, uint32_t, __mulsf3, NAN32)
ARITHMETIC(__aeabi_fdiv, float, uint32_t, __divsf3, NAN32)
ARITHMETIC(__aeabi_dadd, double, uint64_t, __adddf3, NAN64)
ARITHMETIC(__aeabi_dsub, double, uint64_t, __subdf3, NAN64)
ARITHMETIC(__aeabi_dmul, double, uint64_t, __muldf3, NAN64)
ARITHMETIC(__aeabi_ddiv, double, uint64_t, __divdf3, NAN64)
extern float __truncdfsf2(double);
float __aeabi_d2f(double a) {
    union { float x; uint32_t n; } r = {__truncdfsf2(a)};
    if (r.x != r.x) r.n = NAN32;
    return r.x;
}
#endif

void run(void) {
    copy(backup, all_data, all_data_end);
    for (current = calls; current != calls_end; current++) {
        uint32_t offset = current->data - all_data;
        copy(current->data, backup + offset, backup + offset + (current->data_end - current->data));
        if (current->image) copy(current->memory, current->image, current->image + current->memory_bytes);
        canary[7] = current->base;
        answered = log_len = line_len = 0;
        uint32_t out[6] = {0};
        for (int n = 0; n < 16; n++) struct_results[n] = 0;
        put_hex(invoke(current->code, current->words, current->stack_words, out));
        for (int n = 0; n < 6; n++) put_hex(out[n]);
        put_hex(hash(current->memory, current->memory_bytes));
        for (int n = 0; n < 16; n++) put_hex(struct_results[n]);
        for (uint32_t n = 0; n < log_len; n++) put_hex(log_words[n]);
        line[line_len++] = '\n';
        line[line_len] = 0;
        semihost(4, line);
    }
    uint32_t exit[2] = {0x20026, 0};
    semihost(0x20, exit);
    for (;;) {}
}
