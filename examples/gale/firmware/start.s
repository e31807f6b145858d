@ Vectors and the way into C. The board has its stack pointer and its first instruction from the vectors.
    .syntax unified
    .cpu cortex-m3
    .thumb

    .section .vectors, "a", %progbits
    .long stack_top
    .long reset
    .rept 14
    .long fault
    .endr

    .section .text.reset, "ax", %progbits
    .thumb_func
    .globl reset
    .type reset, %function
reset:
    ldr r0, =data_start
    ldr r1, =data_end
    ldr r2, =data_image
1:  cmp r0, r1
    bhs 2f
    ldr r3, [r2], #4
    str r3, [r0], #4
    b 1b
2:  ldr r1, =bss_end
    movs r3, #0
3:  cmp r0, r1
    bhs 4f
    str r3, [r0], #4
    b 3b
4:  bl main
    b finish
    .size reset, . - reset
    .pool

@ void semihosting_write(const char *)
    .section .text.semihosting_write, "ax", %progbits
    .thumb_func
    .globl semihosting_write
    .type semihosting_write, %function
semihosting_write:
    mov r1, r0
    movs r0, #4
    bkpt #0xab
    bx lr
    .size semihosting_write, . - semihosting_write

@ A fault, and a trap of the module, ends the program with a status.
    .section .text.fault, "ax", %progbits
    .thumb_func
    .globl fault
    .type fault, %function
fault:
    movs r0, #99
    .thumb_func
finish:
    @ The block of the exit call: the reason, which is that the program ends, and the status.
    ldr r3, =0x20026
    sub sp, #8
    strd r3, r0, [sp]
    mov r1, sp
    movs r0, #0x20
    bkpt #0xab
    b .
    .size fault, . - fault
    .pool
