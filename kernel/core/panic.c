/* SPDX-License-Identifier: MIT */
/*
 * panic.c - the end of the machine, with as much of the truth as can be had.
 *
 * One CPU panics; others that come here wait to be stopped. A panic inside the
 * panic prints one line and ends. From panic_active on, printk writes straight
 * to the devices, and lock checks are off.
 *
 * Order: the reason and this CPU's backtrace first, because each further step
 * can itself go wrong: then the other CPUs, locks, hooks, and the trace.
 */
#include "arch/x86/arch.h"
#include "arch/x86/smp.h"
#include "core/cpu.h"
#include "core/owner.h"
#include "core/printk.h"
#include "core/spinlock.h"
#include "core/task.h"
#include "core/mutex.h"
#include "core/trace.h"
#include "lib/string.h"

#define PANIC_HOOKS_MAX	 8
#define PANIC_TRACE_LAST 24 /* events per CPU */

bool panic_active;
static u32 panic_cpu; /* id + 1 of the CPU that panics; 0: none */
static void (*panic_hooks[PANIC_HOOKS_MAX])(void);
static unsigned panic_hook_count;

void panic_hook_add(void (*hook)(void))
{
	if (panic_hook_count < PANIC_HOOKS_MAX)
		panic_hooks[panic_hook_count++] = hook;
}

/* Makes this CPU the one that panics; does not return on any other. */
static void panic_claim(const char *fmt, va_list ap)
{
	u32 nobody = 0, me = this_cpu()->id + 1;

	if (__atomic_compare_exchange_n(&panic_cpu, &nobody, me, false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST))
		return;
	if (nobody == me) {
		char text[200];
		vsnprintf(text, sizeof(text), fmt, ap);
		printk(LOG_EMERG, "panic: (inside a panic) %s\n", text);
		arch_exit_panic();
	}
	for (;;)
		cpu_spin_wait(); /* serves CPU_REQ_STOP */
}

static void print_task(unsigned cpu)
{
	const struct task *t = READ_ONCE(cpus[cpu]->task);

	printk(LOG_EMERG, "CPU %u: ", cpu);
	if (t)
		printk(LOG_EMERG, "task %u \"%s\" of container %u%s\n", t->tid, t->name,
		       t->owner ? t->owner->id : 0, cpus[cpu]->idle ? " (idle)" : "");
	else
		printk(LOG_EMERG, "no task\n");
}

static void print_cpus(void)
{
	for_each_cpu (i) {
		if (i != this_cpu()->id) {
			print_task(i);
			smp_nmi_backtrace(i);
		}
		spin_print_held(i);
		mutex_print_held(READ_ONCE(cpus[i]->task));
	}
}

void panic(const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	panic_claim(fmt, ap);
	panic_active = true;
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	smp_stop_others();
	printk_flush();
	printk(LOG_EMERG, "panic: %s\n", text);
	print_task(this_cpu()->id);
	backtrace_print(__builtin_frame_address(0));
	print_cpus();
	for (unsigned i = panic_hook_count; i--;)
		panic_hooks[i]();
	trace_dump(PANIC_TRACE_LAST);
	printk(LOG_EMERG, "panic: end\n");
	arch_exit_panic();
}
