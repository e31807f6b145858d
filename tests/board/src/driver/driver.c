// The driver: reads requests from the host, executes them and sends answers.
//
// Requests are 64 words, answers 32. Bytes to write follow their request; bytes to read are sent as they are.
// While a program waits for the answer of an import, all requests except another call are served.
#include <stdint.h>

enum { READ = 1, WRITE, FILL, CALL, RESUME, EXIT };
enum { ENDED = 1, IMPORT };
enum { RETURNED, TRAPPED, EXHAUSTED, FAULTED, TIMED_OUT, CORRUPTED };

struct request {
    uint32_t op;
    union {
        struct { uint32_t address, bytes, value; };
        struct { uint32_t code, base, fpscr, ticks, stack_words, core[4], floats[16], stack[38]; };
    };
};

struct answer {
    uint32_t kind, value; // IMPORT and the number of the import, or ENDED and the kind of ending
    uint32_t core[4], floats[16];
    uint32_t sp;
    uint32_t detail[9]; // trap number or changed register; program counter, status and address of a fault
};

extern uint32_t expected[], expected_floats[], after[];
extern void invoke(const struct request *);
extern uint8_t program_stack[];

static uint32_t input, output;
static volatile uint32_t ticks_left;
static struct answer ending, answer;

static uint32_t semihost(uint32_t op, const void *arg) {
    register uint32_t r0 __asm__("r0") = op;
    register const void *r1 __asm__("r1") = arg;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void finish(void) {
    uint32_t exit[2] = {0x20026, 0};
    semihost(0x20, exit);
    for (;;) {}
}

static void transfer(uint32_t op, uint32_t file, const void *bytes, uint32_t count) {
    while (count) {
        uint32_t args[3] = {file, (uint32_t)bytes, count};
        uint32_t missing = semihost(op, args);
        if (missing >= count) finish();
        bytes = (const uint8_t *)bytes + (count - missing);
        count = missing;
    }
}

static void send(const void *bytes, uint32_t count) { transfer(5, output, bytes, count); }
static void receive(void *bytes, uint32_t count) { transfer(6, input, bytes, count); }

static volatile uint32_t *const system_tick = (volatile uint32_t *)0xe000e010;

// Checks the registers that a program must preserve, and takes its results.
static void check_registers(void) {
    for (uint32_t n = 0; n < 8; n++)
        if (after[4 + n] != expected[n]) ending.value = CORRUPTED, ending.detail[0] = 4 + n;
    if (after[12] != expected[8]) ending.value = CORRUPTED, ending.detail[0] = 13;
#ifdef __ARM_FP
    for (uint32_t n = 0; n < 16; n++)
        if (after[29 + n] != expected_floats[n]) ending.value = CORRUPTED, ending.detail[0] = 32 + n;
#endif
    for (uint32_t n = 0; n < 4; n++) ending.core[n] = after[n];
    for (uint32_t n = 0; n < 16; n++) ending.floats[n] = after[13 + n];
}

static void call(const struct request *request) {
    for (uint32_t n = 0; n < sizeof ending / 4; n++) ((uint32_t *)&ending)[n] = 0;
    ending.kind = ENDED;
    ending.value = RETURNED;
    ticks_left = request->ticks;
    after[12] = 0;
    system_tick[1] = 250000;
    system_tick[2] = 0;
    system_tick[0] = 7;
    invoke(request);
    system_tick[0] = 0;
    if (ending.value == RETURNED) check_registers();
    send(&ending, sizeof ending);
}

// Handles a fault or a timer tick; returns whether the program must be stopped.
uint32_t handle(uint32_t exception_return, const uint32_t *frame, uint32_t is_tick) {
    uint32_t is_program = exception_return >> 2 & 1;
    if (is_tick) {
        if (ticks_left) ticks_left--;
        if (ticks_left || !is_program) return 0;
        ending.value = TIMED_OUT;
        ending.detail[1] = frame[6];
        return 1;
    }
    if (!is_program) finish();
    volatile uint32_t *fault_status = (volatile uint32_t *)0xe000ed28;
    uint32_t status = fault_status[0], address = fault_status[4];
    fault_status[0] = status;
    fault_status[1] = fault_status[1];
    uint32_t bottom = (uint32_t)program_stack;
    uint32_t is_below = status & 0x8000 && address < bottom && address >= bottom - 0x100000;
    ending.detail[2] = status;
    ending.detail[3] = address;
    if (status & 0x3010 || (uint32_t)frame < bottom || is_below) {
        ending.value = EXHAUSTED;
        return 1;
    }
    ending.detail[1] = frame[6];
    uint32_t instruction = status & 0x10000 ? *(const uint16_t *)frame[6] : 0;
    ending.value = instruction >> 8 == 0xde ? TRAPPED : FAULTED;
    ending.detail[0] = instruction & 0xff;
    return 1;
}

static struct request import_request, request;

static void serve(struct request *request, uint32_t until) {
    for (;;) {
        receive(request, sizeof *request);
        switch (request->op) {
        case READ: send((void *)request->address, request->bytes); break;
        case WRITE: receive((void *)request->address, request->bytes); break;
        case FILL: {
            uint32_t *to = (uint32_t *)request->address;
            for (uint32_t n = 0; n < request->bytes / 4; n++) to[n] = request->value;
            break;
        }
        case CALL:
            if (until == CALL) call(request);
            break;
        case RESUME:
            if (until == RESUME) return;
            break;
        default: finish();
        }
    }
}

// A program calls an import: the float registers, r0 to r11, the link register and the stack are at `frame`.
const struct request *import(uint32_t number, const uint32_t *frame) {
    answer.kind = IMPORT;
    answer.value = number;
    for (uint32_t n = 0; n < 16; n++) answer.floats[n] = frame[n];
    for (uint32_t n = 0; n < 4; n++) answer.core[n] = frame[16 + n];
    answer.sp = (uint32_t)(frame + 29);
    send(&answer, sizeof answer);
    serve(&import_request, RESUME);
    return &import_request;
}

#ifdef SOFT_FLOATS
// The float arithmetic of the run-time ABI with canonical NaNs.
#define CANONICAL(name, type, from, nan, exponent)                                                 \
    extern type __aeabi_##name from;                                                               \
    type canonical_##name from {                                                                   \
        type r = __aeabi_##name ARGS;                                                              \
        return (type)(r << 1) > (type)(exponent) ? (type)(nan) : r;                                \
    }
#define NAN32 0x7fc00000, 0xff000000
#define NAN64 0x7ff8000000000000, 0xffe0000000000000
#define WITH(name, type, from, ...) CANONICAL(name, type, from, __VA_ARGS__)
#define ARGS (a, b)
WITH(fadd, uint32_t, (uint32_t a, uint32_t b), NAN32)
WITH(fsub, uint32_t, (uint32_t a, uint32_t b), NAN32)
WITH(fmul, uint32_t, (uint32_t a, uint32_t b), NAN32)
WITH(fdiv, uint32_t, (uint32_t a, uint32_t b), NAN32)
WITH(dadd, uint64_t, (uint64_t a, uint64_t b), NAN64)
WITH(dsub, uint64_t, (uint64_t a, uint64_t b), NAN64)
WITH(dmul, uint64_t, (uint64_t a, uint64_t b), NAN64)
WITH(ddiv, uint64_t, (uint64_t a, uint64_t b), NAN64)
#undef ARGS
#define ARGS (a)
WITH(d2f, uint32_t, (uint64_t a), NAN32)
WITH(f2d, uint64_t, (uint32_t a), NAN64)
#endif

static uint32_t open_file(const char *name, uint32_t mode) {
    uint32_t length = 0;
    while (name[length]) length++;
    uint32_t args[3] = {(uint32_t)name, mode, length};
    return semihost(1, args);
}

void run(void) {
    input = open_file("/dev/stdin", 1);
    output = open_file("/dev/stdout", 5);
    serve(&request, CALL);
}
