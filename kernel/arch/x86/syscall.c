/* SPDX-License-Identifier: MIT */
/*
 * syscall.c - the system-call table, made from abi/syscall.tbl. entry.S calls
 * through it; what is not there, what lies beyond Linux's numbers, and every
 * call of an owner with slow_calls, comes through syscall_slow().
 *
 * Each CPU has a copy of its current owner's slow_calls, renewed at each switch.
 * syscall_gate_sync() renews it everywhere, so that what was changed before counts
 * for every call that begins afterwards.
 */
#include "arch/x86/syscall.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/smp.h"
#include "core/errno.h"
#include "core/owner.h"
#include "core/task.h"
#include "core/trace.h"
#include "lib/string.h"
#include "syscalls.h"

#define SKERRY_FIRST 1000

#include "syscall_table.inc"

static s64 (*filter)(struct trapframe *f, unsigned index);

unsigned syscall_index(u64 nr)
{
	if (nr < SYSCALL_MAX_LINUX)
		return nr;
	if (nr >= SKERRY_FIRST && SYSCALL_INDEX(nr) < SYSCALL_TABLE_SIZE)
		return SYSCALL_INDEX(nr);
	return SYSCALL_TABLE_SIZE;
}

s64 syscall_run(struct trapframe *f, unsigned index)
{
	if (index < SYSCALL_TABLE_SIZE && syscall_table[index])
		return syscall_table[index](f);
	return -ENOSYS;
}

void syscall_slow(struct trapframe *f)
{
	u64 nr = f->orig_rax;
	unsigned i = syscall_index(nr);

	trace(TRACE_SYSCALL, nr, f->rdi);
	if (READ_ONCE(current->owner->slow_calls) & SLOW_CALLS_FILTERED && i < SYSCALL_TABLE_SIZE)
		f->rax = filter(f, i);
	else
		f->rax = syscall_run(f, i);
	trace(TRACE_SYSRET, nr, f->rax);
}

void syscall_set_filter(s64 (*fn)(struct trapframe *f, unsigned index))
{
	filter = fn;
}

static void gate_renew(void *arg)
{
	this_cpu()->slow_calls = READ_ONCE(current->owner->slow_calls);
}

void syscall_gate_sync(void)
{
	smp_call_all(gate_renew, NULL);
}

/* --- names --- */

const char *syscall_name_at(unsigned index)
{
	return index < SYSCALL_TABLE_SIZE ? syscall_names[index] : NULL;
}

const char *syscall_name(u64 nr)
{
	const char *name = syscall_name_at(syscall_index(nr));

	return name ? name : "?";
}

unsigned syscall_find(const char *name)
{
	unsigned i = 0;

	while (i < SYSCALL_TABLE_SIZE && (!syscall_names[i] || strcmp(syscall_names[i], name)))
		i++;
	return i;
}
