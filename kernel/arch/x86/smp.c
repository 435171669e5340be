/* SPDX-License-Identifier: MIT */
/*
 * smp.c - the other CPUs: starting them, the mailbox (smp.h), stopping them.
 *
 * Start (SDM vol. 3, 8.4.4): smp_start_others() makes what each needs, notes it in
 * ap_starts and sends INIT and SIPI to all; they come through ap_trampoline to
 * smp_ap_main() while boot goes on. smp_wait_others() waits for them; from then on
 * they count in cpu_count.
 *
 * Mailbox: bits are set in cpu->requests; whoever makes it non-zero sends the IPI.
 * The target takes all bits at once, in the IPI's handler or in cpu_spin_wait().
 *
 * Stopping and backtraces use NMIs, which also reach a CPU that is stuck.
 */
#include "arch/x86/arch.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"
#include "arch/x86/layout.h"
#include "arch/x86/mmu.h"
#include "arch/x86/smp.h"
#include "core/printk.h"
#include "core/rcu.h"
#include "core/task.h"
#include "core/time.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"

#define AP_TRAMPOLINE 0x8000 /* boot.S: TRAMPOLINE */
#define INIT_DELAY    (10 * NSEC_PER_MSEC)
#define AP_TIMEOUT    (1000 * NSEC_PER_MSEC)
#define NMI_TIMEOUT   (200 * NSEC_PER_MSEC)

/* Read by ap_high in boot.S, which knows the layout. */
struct ap_start {
	u32 apic_id;
	struct cpu_arch *arch;
	u64 stack;
};
extern struct ap_start ap_starts[CPU_MAX];
_Static_assert(sizeof(struct ap_start) == 24, "boot.S: ap_starts");

static unsigned ap_count;
static void (*ap_init)(void);
static void (*ap_enter)(void);
static bool ap_go;

/* --- the mailbox --- */

void smp_request(unsigned id, u64 bits)
{
	struct cpu *c = cpus[id];

	if (__atomic_fetch_or(&c->requests, bits, __ATOMIC_SEQ_CST) == 0)
		apic_send(c->apic_id, APIC_FIXED | VECTOR_IPI);
}

/* smp_call_all: one call at a time. */
static struct {
	u32 busy;
	void (*fn)(void *arg);
	void *arg;
	u64 pending; /* atomic: bits of the CPUs that have not run it */
} call;

static void serve_call(void)
{
	if (!(__atomic_load_n(&call.pending, __ATOMIC_ACQUIRE) & BIT(this_cpu()->id)))
		return;
	call.fn(call.arg);
	__atomic_fetch_and(&call.pending, ~BIT(this_cpu()->id), __ATOMIC_RELEASE);
}

static void __noreturn halt_forever(void)
{
	this_cpu()->online = false;
	for (;;)
		__asm__ volatile("cli; hlt");
}

void smp_serve_requests(void)
{
	u64 bits = __atomic_exchange_n(&this_cpu()->requests, 0, __ATOMIC_SEQ_CST);

	if (bits & CPU_REQ_TLB)
		tlb_serve();
	if (bits & CPU_REQ_CALL)
		serve_call();
	if (bits & CPU_REQ_STOP)
		halt_forever();
	if (bits & CPU_REQ_RESCHED)
		task_set_work(current, WORK_RESCHED);
}

void cpu_spin_wait(void)
{
	cpu_pause();
	if (READ_ONCE(this_cpu()->requests))
		smp_serve_requests();
}

void ipi_interrupt(void)
{
	apic_eoi();
	smp_serve_requests();
}

void smp_call_all(void (*fn)(void *arg), void *arg)
{
	u64 others = 0;

	for_each_cpu (i)
		if (i != this_cpu()->id)
			others |= BIT(i);
	while (__atomic_exchange_n(&call.busy, 1, __ATOMIC_ACQUIRE))
		cpu_spin_wait();
	call.fn = fn;
	call.arg = arg;
	__atomic_store_n(&call.pending, others, __ATOMIC_RELEASE);
	for (u64 m = others; m; m &= m - 1)
		smp_request(__builtin_ctzll(m), CPU_REQ_CALL);
	fn(arg);
	while (__atomic_load_n(&call.pending, __ATOMIC_ACQUIRE))
		cpu_spin_wait();
	__atomic_store_n(&call.busy, 0, __ATOMIC_RELEASE);
}

/* --- NMIs --- */

static u64 nmi_backtrace; /* atomic: bits of the CPUs that are asked for one */
static u64 nmi_stop;	  /* atomic: bits of the CPUs that are to halt */

static void nmi_serve_backtrace(const struct trapframe *f, u64 me)
{
	if (!(__atomic_load_n(&nmi_backtrace, __ATOMIC_ACQUIRE) & me))
		return;
	printk(LOG_EMERG, "  CPU %u was in %s at %pS\n", this_cpu()->id,
	       trap_from_user(f) ? "user mode" : "the kernel", (void *)f->rip);
	if (!trap_from_user(f))
		backtrace_print((const void *)f->rbp);
	__atomic_fetch_and(&nmi_backtrace, ~me, __ATOMIC_RELEASE);
}

void nmi_interrupt(struct trapframe *f)
{
	u64 me = BIT(this_cpu()->id);

	nmi_serve_backtrace(f, me);
	if (!(__atomic_load_n(&nmi_stop, __ATOMIC_ACQUIRE) & me))
		return;
	__atomic_fetch_and(&nmi_stop, ~me, __ATOMIC_RELEASE);
	for (;;) { /* no further NMI comes in here, but who panics may still ask */
		nmi_serve_backtrace(f, me);
		cpu_pause();
	}
}

/* Sends an NMI to the CPUs in `mask` and waits a while until they have cleared their bits. */
static void nmi_ask(u64 *bits, u64 mask)
{
	ktime_t deadline = ktime_get() + NMI_TIMEOUT;

	__atomic_fetch_or(bits, mask, __ATOMIC_SEQ_CST);
	for (u64 m = mask; m; m &= m - 1)
		apic_send(cpus[__builtin_ctzll(m)]->apic_id, APIC_NMI);
	while ((__atomic_load_n(bits, __ATOMIC_ACQUIRE) & mask) && ktime_get() < deadline)
		cpu_pause();
}

void smp_nmi_backtrace(unsigned cpu)
{
	if (cpu != this_cpu()->id && cpus[cpu]->online)
		nmi_ask(&nmi_backtrace, BIT(cpu));
}

void smp_stop_others(void)
{
	u64 mask = 0;

	for_each_cpu (i)
		if (i != this_cpu()->id && cpus[i]->online)
			mask |= BIT(i);
	if (mask)
		nmi_ask(&nmi_stop, mask);
}

/* --- starting --- */

/* On the new CPU, from ap_high. */
void smp_ap_main(struct cpu_arch *a)
{
	cpu_load(a);
	mmu_init_cpu();
	fpu_init_cpu();
	apic_init_cpu();
	ap_init();
	__atomic_store_n(&a->cpu.online, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&ap_go, __ATOMIC_ACQUIRE)) /* until all have started */
		cpu_spin_wait();
	mmu_flush_all(); /* nobody told this CPU of changes before it counted */
	ap_enter();
	panic("cpu %u came back from its idle loop", a->cpu.id);
}

static unsigned order_for(size_t size)
{
	unsigned order = 0;

	while (PAGE_SIZE << order < size)
		order++;
	return order;
}

static void *alloc_block(size_t size)
{
	struct page *p = page_alloc(order_for(size), PAGE_ZERO | PAGE_KERNEL, NULL);

	return p ? page_virt(p) : NULL;
}

/* Everything that CPU `id` needs: false if there is no memory for it. */
static bool ap_create(unsigned id, u32 apic)
{
	struct cpu_arch *a = alloc_block(sizeof(*a));
	char *percpu = alloc_block(percpu_end - percpu_start);
	char *stack = kstack_alloc(NULL);

	if (!a || !percpu || !stack)
		return false;
	cpu_prepare(a, id);
	a->cpu.apic_id = apic;
	a->cpu.percpu_offset = percpu - percpu_start;
	a->cpu.kstack_top = (u64)stack + KSTACK_SIZE;
	a->tss.rsp[0] = a->cpu.kstack_top;
	ap_starts[ap_count++] = (struct ap_start){ apic, a, a->cpu.kstack_top };
	return true;
}

static void delay(ktime_t ns)
{
	ktime_t until = ktime_get() + ns;

	while (ktime_get() < until)
		cpu_pause();
}

static void send_startup(u32 apic)
{
	apic_send(apic, APIC_STARTUP | AP_TRAMPOLINE >> PAGE_SHIFT);
}

void smp_start_others(void (*init)(void), void (*enter)(void))
{
	u32 self = apic_id();

	ap_init = init;
	ap_enter = enter;
	memcpy(phys_to_virt(AP_TRAMPOLINE), ap_trampoline, ap_trampoline_end - ap_trampoline);
	for (unsigned i = 0; i < machine.cpu_count && ap_count + 1 < CPU_MAX; i++)
		if (machine.apic_ids[i] != self && !ap_create(ap_count + 1, machine.apic_ids[i]))
			break;
	for (unsigned i = 0; i < ap_count; i++)
		apic_send(ap_starts[i].apic_id, APIC_INIT);
	if (ap_count && !cpu_has.hypervisor)
		delay(INIT_DELAY);
	for (unsigned i = 0; i < ap_count; i++)
		send_startup(ap_starts[i].apic_id);
}

static bool wait_online(struct cpu_arch *a, ktime_t span)
{
	ktime_t deadline = ktime_get() + span;

	while (!__atomic_load_n(&a->cpu.online, __ATOMIC_ACQUIRE)) {
		if (ktime_get() > deadline)
			return false;
		cpu_pause();
	}
	return true;
}

void smp_wait_others(void)
{
	for (unsigned i = 0; i < ap_count; i++) {
		struct ap_start *s = &ap_starts[i];
		if (!wait_online(s->arch, AP_TIMEOUT)) {
			send_startup(s->apic_id); /* 8.4.4.1 sends two */
			if (!wait_online(s->arch, AP_TIMEOUT))
				panic("the CPU with APIC id %u does not start", s->apic_id);
		}
		WRITE_ONCE(cpu_count, cpu_count + 1);
	}
	__atomic_store_n(&ap_go, true, __ATOMIC_RELEASE);
}
