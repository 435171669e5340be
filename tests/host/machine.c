/* SPDX-License-Identifier: MIT */
/* machine.c - the machine of machine.h: what arch, mm and proc would provide. */
#include <asm/prctl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* libc's <time.h> hides behind kernel types of the same purpose; this is all that is needed of it.
 */
#include "arch/x86/arch.h"
#include "arch/x86/smp.h"
#include "core/inject.h"
#include "core/printk.h"
#include "core/rcu.h"
#include "core/task.h"
#include "core/time.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "tests/host/machine.h"

int k_vsnprintf(char *d, size_t size, const char *fmt, va_list ap); /* rename.h */

#define KTHREADS_MAX 4

struct machine_cpu {
	struct cpu cpu;
	struct task task;
	pthread_t thread;
	void (*fn)(unsigned cpu);
	bool done;
	bool kthread; /* does not answer calls, has no number of its own: shares CPU 0's identity */
	void *percpu;
	u64 random;
	ktime_t timer; /* arch_timer_arm; KTIME_NEVER: not armed */
	/* the call of smp_call_all, answered once */
	u64 call_seen;
};

struct cpu *cpus[CPU_MAX];
unsigned cpu_count = 1;
s64 machine_live;
u64 machine_fail_in;
int tap_count, tap_failures;
bool panic_active;

static struct machine_cpu machine[CPU_MAX];
static unsigned running; /* machine CPUs whose fn has not returned; atomic */
static u64 call_number;	 /* smp_call_all, one at a time */
static u32 call_lock, call_left;
static void (*call_fn)(void *);
static void *call_arg;
extern char __start_percpu[], __stop_percpu[];

static inline struct machine_cpu *here(void)
{
	return container_of(this_cpu(), struct machine_cpu, cpu);
}

/* --- panics, the log --- */

void printk(int level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	k_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s", text);
}

void panic(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	k_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("Bail out! panic: %s\n", text);
	fflush(stdout);
	abort();
}

const char *symbol_lookup(u64 address, u64 *offset)
{
	*offset = address & 0xfff;
	return address == 0x1234 ? "here" : NULL;
}

void printk_tick(void) {}

u32 trace_enabled;
void trace_record(int e, u64 a, u64 b);
void trace_record(int e, u64 a, u64 b) {}

/* Not used: there is no shadow. */
void kasan_check(const void *p, size_t size, bool write);
void kasan_check(const void *p, size_t size, bool write) {}

/* --- memory --- */

struct slab_cache {
	size_t size;
};

static bool allocation_fails(void)
{
	if (!machine_fail_in)
		return false;
	return --machine_fail_in == 0;
}

void *kmalloc(size_t size, u32 flags)
{
	if (allocation_fails())
		return NULL;
	__atomic_fetch_add(&machine_live, 1, __ATOMIC_RELAXED);
	return flags & KM_ZERO ? calloc(1, size) : malloc(size);
}

void kfree(const void *p)
{
	if (p)
		__atomic_fetch_sub(&machine_live, 1, __ATOMIC_RELAXED);
	free((void *)p);
}

struct slab_cache *slab_cache_create(const char *name, size_t size, size_t align, u32 flags)
{
	static struct slab_cache caches[8];
	static unsigned n;

	caches[n].size = size;
	return &caches[n++];
}

void *slab_alloc(struct slab_cache *c)
{
	return kmalloc(c->size, KM_ZERO);
}

void slab_free(struct slab_cache *c, void *object)
{
	kfree(object);
}

/* --- CPUs --- */

static void serve_call(void)
{
	struct machine_cpu *m = here();
	u64 number = __atomic_load_n(&call_number, __ATOMIC_ACQUIRE);

	if (m->kthread || m->call_seen == number)
		return;
	m->call_seen = number;
	call_fn(call_arg);
	__atomic_fetch_sub(&call_left, 1, __ATOMIC_SEQ_CST);
}

void cpu_spin_wait(void)
{
	serve_call();
	sched_yield();
}

void smp_call_all(void (*fn)(void *), void *arg)
{
	while (__atomic_exchange_n(&call_lock, 1, __ATOMIC_ACQUIRE))
		cpu_spin_wait();
	call_fn = fn;
	call_arg = arg;
	__atomic_store_n(&call_left, cpu_count, __ATOMIC_SEQ_CST);
	__atomic_store_n(&call_number, call_number + 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&call_left, __ATOMIC_SEQ_CST))
		cpu_spin_wait();
	__atomic_store_n(&call_lock, 0, __ATOMIC_RELEASE);
}

void smp_request(unsigned cpu, u64 bits)
{
	__atomic_fetch_or(&cpus[cpu]->requests, bits, __ATOMIC_SEQ_CST);
}

void machine_user(void)
{
	struct machine_cpu *m = here();

	serve_call();
	if (m->kthread)
		return;
	rcu_idle_exit();
	if (__atomic_exchange_n(&m->cpu.requests, 0, __ATOMIC_SEQ_CST))
		rcu_quiescent();
	if (m->timer <= ktime_get()) {
		m->timer = KTIME_NEVER;
		timer_interrupt();
	}
}

void resched_point(void)
{
	machine_user();
}

ktime_t ktime_get(void)
{
	struct {
		long s, ns;
	} now;

	syscall(SYS_clock_gettime, 1 /* CLOCK_MONOTONIC */, &now);
	return now.s * NSEC_PER_SEC + now.ns;
}

void arch_timer_arm(ktime_t expires)
{
	here()->timer = expires;
}

void arch_vdso_update(void) {}

/* --- tasks --- */

void sched_prepare_sleep(void)
{
	__atomic_store_n(&current->state, TASK_SLEEPING, __ATOMIC_SEQ_CST);
}

void sched_cancel_sleep(void)
{
	WRITE_ONCE(current->state, TASK_RUNNABLE);
}

bool sched_sleep(ktime_t deadline)
{
	unsigned turns = 0;

	BUG_ON(this_cpu()->spin_depth);
	if (!here()->kthread)
		rcu_idle_enter();
	while (READ_ONCE(current->state) == TASK_SLEEPING) {
		if (ktime_get() >= deadline) {
			sched_cancel_sleep();
			machine_user();
			return true;
		}
		machine_user();
		if (++turns > 20)
			usleep(50);
		else
			sched_yield();
	}
	machine_user();
	return false;
}

/* Nobody here returns to user mode. */
void task_callback_add(struct task *t, struct task_callback *cb)
{
	abort();
}

bool sched_wake(struct task *t)
{
	enum task_state expected = TASK_SLEEPING;

	return __atomic_compare_exchange_n(&t->state, &expected, TASK_RUNNABLE, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

void sched_lend(struct task *t)
{
	__atomic_store_n(&t->sched.lent, true, __ATOMIC_SEQ_CST);
}

void sched_lend_end(void)
{
	__atomic_store_n(&current->sched.lent, false, __ATOMIC_SEQ_CST);
}

void machine_send_signal(unsigned cpu)
{
	task_set_work(&machine[cpu].task, WORK_SIGNAL | WORK_KILLED);
	sched_wake(&machine[cpu].task);
}

u64 machine_random(void)
{
	u64 *x = &here()->random; /* xorshift64, Marsaglia 2003 */

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void machine_setup(unsigned i)
{
	struct machine_cpu *m = &machine[i];
	size_t size = __stop_percpu - __start_percpu;

	if (!m->cpu.self) {
		void *copy = m->percpu = aligned_alloc(64, ALIGN_UP(size + 1, 64));
		memset(copy, 0, size);
		m->cpu.self = &m->cpu;
		m->cpu.percpu_offset = (u64)copy - (u64)__start_percpu;
		m->cpu.id = i;
		m->random = 88172645463325252ull + i;
		m->timer = KTIME_NEVER;
	}
	m->cpu.task = &m->task;
	memset(&m->task, 0, sizeof(m->task));
	m->task.state = TASK_RUNNABLE;
	m->call_seen = call_number;
	m->done = false;
	cpus[i] = &m->cpu;
}

static void become(struct machine_cpu *m)
{
	syscall(SYS_arch_prctl, ARCH_SET_GS, &m->cpu);
}

void machine_init(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	machine_setup(0);
	become(&machine[0]);
}

/* A CPU that is done still answers, until all are. */
static void finish(void)
{
	__atomic_fetch_sub(&running, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&running, __ATOMIC_SEQ_CST)) {
		rcu_quiescent();
		machine_user();
		usleep(20);
	}
}

static void *machine_main(void *arg)
{
	struct machine_cpu *m = arg;

	become(m);
	m->fn(m->cpu.id);
	finish();
	return NULL;
}

void machine_run(unsigned count, void (*fn)(unsigned cpu))
{
	for (unsigned i = 0; i < count; i++) {
		machine_setup(i);
		machine[i].fn = fn;
	}
	cpu_count = count;
	running = count;
	for (unsigned i = 1; i < count; i++)
		pthread_create(&machine[i].thread, NULL, machine_main, &machine[i]);
	fn(0);
	finish();
	for (unsigned i = 1; i < count; i++)
		pthread_join(machine[i].thread, NULL);
	cpu_count = 1;
	machine_user();
}

/* --- kernel threads: each a thread with a struct cpu of its own that nobody asks for anything ---
 */

struct kthread {
	struct machine_cpu machine;
	void (*fn)(void *);
	void *arg;
};

static void *kthread_main(void *arg)
{
	struct kthread *k = arg;

	become(&k->machine);
	k->fn(k->arg);
	return NULL;
}

int kthread_create(const char *name, void (*fn)(void *), void *arg, struct task **out)
{
	struct kthread *k = calloc(1, sizeof(*k));
	static unsigned id = CPU_MAX - 1;
	size_t size = __stop_percpu - __start_percpu;
	void *copy = k->machine.percpu = aligned_alloc(64, ALIGN_UP(size + 1, 64));

	memset(copy, 0, size);
	k->machine.cpu.self = &k->machine.cpu;
	k->machine.cpu.percpu_offset = (u64)copy - (u64)__start_percpu;
	k->machine.cpu.id = id;
	k->machine.cpu.task = &k->machine.task;
	k->machine.task.state = TASK_RUNNABLE;
	k->machine.kthread = true;
	k->machine.timer = KTIME_NEVER;
	cpus[id--] = &k->machine.cpu;
	k->fn = fn;
	k->arg = arg;
	if (out)
		*out = &k->machine.task;
	return pthread_create(&k->machine.thread, NULL, kthread_main, k) ? -1 : 0;
}
