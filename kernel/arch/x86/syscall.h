/* SPDX-License-Identifier: MIT */
/*
 * syscall.h - the system-call table for the layers above: names and numbers, a
 * call by its frame, and the one place where a call may be held up.
 *
 * entry.S calls a handler directly unless the current owner's slow_calls (core/owner.h)
 * is not zero: that costs one predictable branch. Otherwise syscall_slow() traces
 * the call and, if it is filtered, leaves it to the filter, which may run it.
 */
#ifndef ARCH_SYSCALL_H
#define ARCH_SYSCALL_H

#include "arch/x86/trap.h"

#define SYSCALL_MAX_LINUX  512
#define SYSCALL_TABLE_SIZE (SYSCALL_MAX_LINUX + 24)
/* Skerry's own calls, 1000.., stand behind Linux's in the table. */
#define SYSCALL_INDEX(nr) ((nr) < 1000 ? (nr) : SYSCALL_MAX_LINUX + (nr)-1000)

const char *syscall_name(u64 nr);	     /* "?" if there is none */
const char *syscall_name_at(unsigned index); /* NULL if there is none */
/* The place in the table: SYSCALL_TABLE_SIZE if there is none. */
unsigned syscall_index(u64 nr);
unsigned syscall_find(const char *name);

/* Runs the handler with the arguments in f: its result, or -ENOSYS. */
s64 syscall_run(struct trapframe *f, unsigned index);
/* Who decides about the calls of owners with SLOW_CALLS_FILTERED: the call's result. */
void syscall_set_filter(s64 (*filter)(struct trapframe *f, unsigned index));
/* When it returns, every CPU goes by its current owner's slow_calls of now. */
void syscall_gate_sync(void);

/* What arguments point to that a call only reads (abi/syscall.tbl, fourth column). */
struct syscall_copies {
	u16 arg[6]; /* 0: nothing */
};
#define COPY_KIND      0xf000
#define COPY_VALUE     0x0fff
#define COPY_STRING    0x1000
#define COPY_LENGTH_IN 0x2000 /* | the argument that holds the length */
#define COPY_INT_IN    0x3000 /* the same, of 32 bits */
#define COPY_BYTES     0x4000 /* | their number */
extern const struct syscall_copies syscall_copies[SYSCALL_TABLE_SIZE];

#endif
