@ Vectors, exception handlers, calls of a program's functions, and the entry point for its calls of imports.
@
@ Programs run on the process stack, the driver on the main stack, so a program can be stopped after a stack overflow.
@ The functions here switch between the two stacks.
    .syntax unified
    .thumb
    .section .vectors, "a"
vectors:
    .word main_stack_top
    .word reset
    .word fault      @ NMI
    .word fault      @ HardFault
    .word fault      @ MemManage
    .word fault      @ BusFault
    .word fault      @ UsageFault
    .word fault, 0, 0, 0
    .word fault      @ SVCall
    .word fault, 0
    .word fault      @ PendSV
    .word tick       @ SysTick

    .text
    .thumb_func
    .global reset
reset:
    @ Programs may use the memory at address 0: move the vectors.
    ldr r0, =vectors
    ldr r1, =moved_vectors
    movs r2, #16
1:  ldr r3, [r0], #4
    str r3, [r1], #4
    subs r2, #1
    bne 1b
    ldr r0, =0xe000ed08
    ldr r1, =moved_vectors
    str r1, [r0]
    dsb
.ifdef ALIGNED
    @ Unaligned accesses fault.
    ldr r0, =0xe000ed14
    ldr r1, [r0]
    orr r1, r1, #8
    str r1, [r0]
    dsb
    isb
.endif
.ifdef FLOATS
    ldr r0, =0xe000ed88
    ldr r1, [r0]
    orr r1, r1, #0xf00000
    str r1, [r0]
    @ Exceptions save no float registers.
    ldr r0, =0xe000ef34
    movs r1, #0
    str r1, [r0]
    dsb
    isb
.endif
    bl run
    b .

@ void invoke(const struct request *)
    .thumb_func
    .global invoke
invoke:
    push {r4-r11, lr}
    ldr r12, =saved_main_sp
    str sp, [r12]
    mov r12, r0
    ldr r2, [r12, #20]
    ldr r5, =program_stack_top
    sub r5, r5, r2, lsl #2
    bic r5, r5, #7
    ldr r3, =expected
    str r5, [r3, #32]
    msr psp, r5
    add r6, r12, #104
1:  cbz r2, 2f
    ldr r7, [r6], #4
    str r7, [r5], #4
    subs r2, #1
    b 1b
2:
.ifdef FLOATS
    ldr r5, [r12, #12]
    vmsr fpscr, r5
    add r5, r12, #40
    vldmia r5, {s0-s15}
    ldr r5, =expected_floats
    vldmia r5, {s16-s31}
.endif
    ldr r5, [r12, #8]
    str r5, [r3, #28]
    movs r0, #2
    msr control, r0
    isb
    ldm r3, {r4-r11}
    add r0, r12, #24
    ldr r12, [r12, #4]
    ldm r0, {r0-r3}
    blx r12
    ldr r12, =after
    stm r12!, {r0-r11}
    str sp, [r12], #4
.ifdef FLOATS
    vstmia r12, {s0-s31}
.endif
    movs r0, #0
    msr control, r0
    isb
    pop {r4-r11, pc}

@ Entry point of all calls of imports; the number of the import is in r12.
    .thumb_func
    .global import_entry
import_entry:
    push {r0-r11, lr}
.ifdef FLOATS
    vpush {s0-s15}
.else
    sub sp, #64
.endif
    mov r0, r12
    mov r1, sp
    movs r2, #0
    msr control, r2
    isb
    bl import
    movs r2, #2
    msr control, r2
    isb
    add r12, r0, #24
.ifdef FLOATS
    add r1, r12, #16
    vldmia r1, {s0-s15}
.endif
    add sp, #80
    pop {r4-r11, lr}
    ldm r12, {r0-r3}
    ldr r12, =0xc0ffee0c
    bx lr
    .ltorg

@ Exception handlers for faults and the timer: `handle` decides whether the program continues. If not, `invoke` returns.
    .thumb_func
fault:
    movs r2, #0
    b 3f
    .thumb_func
tick:
    movs r2, #1
3:  mov r0, lr
    mrs r1, psp
    push {r4, lr}
    bl handle
    pop {r4, lr}
    cbnz r0, 4f
    bx lr
4:  ldr r1, =saved_main_sp
    ldr r1, [r1]
    sub r1, r1, #32
    ldr r2, =stopped
    str r2, [r1, #24]
    mov r2, #0x01000000
    str r2, [r1, #28]
    mov sp, r1
    ldr lr, =0xfffffff9
    bx lr
    .thumb_func
stopped:
    pop {r4-r11, pc}

    .data
    .balign 512
moved_vectors:
    .space 64
    .balign 4
    .global expected, expected_floats, after
expected:
    .word 0x44440004, 0x55550005, 0x66660006, 0x77770007, 0x88880008, 0x99990009, 0xaaaa000a, 0xbbbb000b, 0
expected_floats:
    .word 0x3f160000, 0x3f170000, 0x3f180000, 0x3f190000, 0x3f1a0000, 0x3f1b0000, 0x3f1c0000, 0x3f1d0000
    .word 0x3f1e0000, 0x3f1f0000, 0x3f200000, 0x3f210000, 0x3f220000, 0x3f230000, 0x3f240000, 0x3f250000
after:
    .space 180
saved_main_sp:
    .word 0
