@ Vectors, faults, and the call that tests are run by.
    .syntax unified
    .thumb
    .section .vectors, "a"
vectors:
    .word stack_top
    .word reset
    .word fault      @ NMI
    .word fault      @ HardFault
    .word fault      @ MemManage
    .word fault      @ BusFault
    .word fault      @ UsageFault

    .text
    .thumb_func
    .global reset
reset:
    @ The program may own the memory at address 0: move the vectors away.
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
.ifdef FLOATS
    ldr r0, =0xe000ed88
    ldr r1, [r0]
    orr r1, r1, #0xf00000
    str r1, [r0]
    dsb
    isb
.endif
    bl run
    b .

@ uint32_t invoke(code, words, stack_words, out)
    .thumb_func
    .global invoke
invoke:
    push {r4-r11, lr}
    push {r3}
    ldr r12, =saved_sp
    str sp, [r12]
    mov r12, r0
    mov r4, r1
    @ Room for the stack arguments, and the stack pointer a multiple of 8.
    sub r5, sp, r2, lsl #2
    bic r5, r5, #7
    mov sp, r5
    add r6, r4, #80
1:  cbz r2, 2f
    ldr r7, [r6], #4
    str r7, [r5], #4
    subs r2, #1
    b 1b
2:
.ifdef FLOATS
    @ NaN results are canonical; a fault before may have changed that.
    mov r5, #0x02000000
    vmsr fpscr, r5
    add r5, r4, #16
    vldmia r5, {s0-s15}
    ldr r5, =0x40490fdb
    vmov s16, r5
    vmov s31, r5
.endif
    ldm r4, {r0-r3}
    ldr r4, =canary
    str sp, [r4, #32]
    ldm r4, {r4-r11}
    blx r12
    @ r0 to r3 are results; keep them while checking.
    ldr r12, =results
    stm r12, {r0-r3}
.ifdef FLOATS
    add r12, r12, #16
    vstmia r12, {s0-s1}
.endif
    ldr r12, =canary
    ldr r0, [r12], #4
    cmp r0, r4
    ittt eq
    ldreq r0, [r12], #4
    cmpeq r0, r5
    ldreq r0, [r12], #4
    itt eq
    cmpeq r0, r6
    ldreq r0, [r12], #4
    itt eq
    cmpeq r0, r7
    ldreq r0, [r12], #4
    itt eq
    cmpeq r0, r8
    ldreq r0, [r12], #4
    itt eq
    cmpeq r0, r9
    ldreq r0, [r12], #4
    itt eq
    cmpeq r0, r10
    ldreq r0, [r12], #4
    itt eq
    cmpeq r0, r11
    ldreq r0, [r12], #4
    it eq
    cmpeq r0, sp
.ifdef FLOATS
    bne 3f
    vmov r0, s16
    vmov r1, s31
    ldr r2, =0x40490fdb
    cmp r0, r2
    it eq
    cmpeq r1, r2
3:
.endif
    ite eq
    moveq r0, #0
    movne r0, #2
finish:
    ldr r12, =saved_sp
    ldr r12, [r12]
    mov sp, r12
    pop {r3}
    ldr r12, =results
    ldm r12, {r4-r9}
    stm r3, {r4-r9}
    pop {r4-r11, pc}

    .thumb_func
    .global too_many_imports
too_many_imports:
    movs r0, #3
    b finish

@ A fault: the operand of the instruction that caused it is the trap number; continue at `trapped`.
    .thumb_func
fault:
    ldr r1, =saved_sp
    ldr r1, [r1]
    ldr r2, [sp, #24]
    ldrh r0, [r2]
    lsrs r3, r0, #8
    cmp r3, #0xde
    ite eq
    uxtbeq r0, r0
    movne r0, #0xff
    orr r0, r0, #0x100
    @ Clear the fault status registers.
    ldr r2, =0xe000ed28
    ldr r3, [r2]
    str r3, [r2]
    ldr r3, [r2, #4]
    str r3, [r2, #4]
    sub r1, r1, #32
    str r0, [r1]
    ldr r2, =trapped
    str r2, [r1, #24]
    mov r2, #0x01000000
    str r2, [r1, #28]
    mov sp, r1
    ldr lr, =0xfffffff9
    bx lr
    .thumb_func
trapped:
    b finish

    .data
    .balign 512
moved_vectors:
    .space 64
    .balign 4
    .global canary
canary:
    .word 0x44440004, 0x55550005, 0x66660006, 0x77770007, 0x88880008, 0x99990009, 0xaaaa000a, 0xbbbb000b, 0
saved_sp:
    .word 0
results:
    .space 24
