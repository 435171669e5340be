/* SPDX-License-Identifier: MIT */
/* asm.h - for the .S files: offsets that C asserts (trap.c), and instructions patched at boot. */
#ifndef ARCH_ASM_H
#define ARCH_ASM_H

/* struct cpu, struct task */
#define CPU_TASK	8
#define CPU_KSTACK_TOP	16
#define CPU_USER_RSP	24
#define CPU_SLOW_CALLS	40
#define TASK_KERNEL_RSP 0
#define TASK_WORK	16

/* struct trapframe */
#define FRAME_R11    48
#define FRAME_RAX    80
#define FRAME_RCX    88
#define FRAME_RIP    144
#define FRAME_CS     152
#define FRAME_RFLAGS 160
#define FRAME_SIZE   184

#define IST_BYTES 4096

#ifdef __ASSEMBLER__
/* Assembler from here on. */
/* clang-format off */
/*
 * STAC and CLAC are undefined without SMAP: three bytes of nothing until
 * uaccess_init() puts the instruction there (0f 01 ca, 0f 01 cb).
 */
.macro smap_site byte
771:	.byte 0x0f, 0x1f, 0x00
	.pushsection .smap_sites, "a"
	.quad 771b, \byte
	.popsection
.endm
.macro STAC
	smap_site 0xcb
.endm
.macro CLAC
	smap_site 0xca
.endm

/* If the instruction at the label before faults, go on at \to (extable.c). kind: 1: at once. */
.macro extable from, to, kind=0
	.pushsection .extable, "a"
	.quad \from, \to, \kind
	.popsection
.endm

.macro push_registers
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %rax
	push %r8
	push %r9
	push %r10
	push %r11
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
.endm
.macro pop_registers
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
.endm
#endif

#endif
