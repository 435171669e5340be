/* SPDX-License-Identifier: MIT */
/*
 * trap.h - the saved registers of an entry to the kernel, at the top of the
 * kernel stack. System calls, interrupts and exceptions push the same frame
 * (SDM vol. 3, 6.14), so that signals, exec and fork need to know only one.
 * A system-call entry leaves orig_rax = the number (>= 0), all others -1.
 */
#ifndef ARCH_TRAP_H
#define ARCH_TRAP_H

#include "lib/types.h"

struct task;

struct trapframe {
	u64 r15, r14, r13, r12, rbp, rbx; /* callee-saved */
	u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	u64 orig_rax; /* system-call number, or -1 */
	u64 vector;
	u64 error;
	u64 rip, cs, rflags, rsp, ss;
};

static inline bool trap_from_user(const struct trapframe *f)
{
	return f->cs & 3;
}

/* The frame of current's entry from user mode (undefined for kernel threads). */
struct trapframe *task_frame(struct task *t);

#define USER_CS	  0x33
#define USER_SS	  0x2b
#define KERNEL_CS 0x08
#define KERNEL_SS 0x10

/* rflags that user mode may set by sigreturn: CF PF AF ZF SF TF DF OF AC ID RF */
#define RFLAGS_USER 0x250dd5ull
#define RFLAGS_IF   0x200ull
/* the privilege from which in, out, cli and sti are allowed (SDM vol. 1, 19.5.1): iopl(2) */
#define RFLAGS_IOPL	  0x3000ull
#define RFLAGS_IOPL_SHIFT 12

#endif
