/* SPDX-License-Identifier: MIT */
/*
 * syscall.c - the system-call table, made from abi/syscall.tbl. entry.S calls
 * through it; what is not there, what lies beyond Linux's numbers, and every
 * call while system calls are traced, comes through syscall_slow().
 */
#include "arch/x86/cpu_arch.h"
#include "core/errno.h"
#include "core/trace.h"
#include "syscalls.h"

#define SKERRY_FIRST 1000

#include "syscall_table.inc"

/* The place of nr in the table, or SYSCALL_TABLE_SIZE if it has none. */
static u64 table_index(u64 nr)
{
	if (nr < SYSCALL_MAX_LINUX)
		return nr;
	if (nr >= SKERRY_FIRST && SYSCALL_INDEX(nr) < SYSCALL_TABLE_SIZE)
		return SYSCALL_INDEX(nr);
	return SYSCALL_TABLE_SIZE;
}

void syscall_slow(struct trapframe *f)
{
	u64 nr = f->orig_rax, i = table_index(nr);

	trace(TRACE_SYSCALL, nr, f->rdi);
	if (i < SYSCALL_TABLE_SIZE && syscall_table[i])
		f->rax = syscall_table[i](f);
	else
		f->rax = -ENOSYS;
	trace(TRACE_SYSRET, nr, f->rax);
}

const char *syscall_name(u64 nr)
{
	u64 i = table_index(nr);

	return i < SYSCALL_TABLE_SIZE && syscall_names[i] ? syscall_names[i] : "?";
}
