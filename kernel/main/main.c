/* SPDX-License-Identifier: MIT */
/*
 * main.c - the order in which the kernel comes up: two lists to be read like a
 * table of contents. The first runs on the boot stack, without tasks; what is on
 * it must not sleep. The second runs in a kernel thread, while the boot CPU's own
 * context has become its idle task; it ends with the first process.
 *
 * "boot_timing" on the command line prints what each step took.
 */
#include "arch/x86/arch.h"
#include "arch/x86/boot.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/mmu.h"
#include "arch/x86/smp.h"
#include "container/container.h"
#include "core/printk.h"
#include "core/random.h"
#include "core/rcu.h"
#include "core/time.h"
#include "core/watchdog.h"
#include "core/work.h"
#include "dev/dev.h"
#include "fs/cowfs/vfs.h"
#include "fs/devfs.h"
#include "fs/vfs.h"
#include "main/root.h"
#include "mm/page.h"
#include "mm/selftest.h"
#include "mm/slab.h"
#include "net/socket.h"
#include "proc/futex.h"
#include "proc/process.h"
#include "tty/tty.h"

struct step {
	const char *name;
	void (*run)(void);
};

static bool timing;

static void start_other_cpus(void)
{
	smp_start_others(sched_init_cpu, sched_idle_loop);
}

/* The code and data marked __init go to the page allocator. */
static void free_init_memory(void)
{
	paddr_t start, end;

	mmu_release_init(&start, &end, 0);
	page_free_range(start, end);
	mmu_release_init(&start, &end, 1);
	page_free_range(start, end);
}

static const struct step early[] = {
	{ "traps, the clock's zero", arch_init_early },
	{ "serial log", serial_init_early },
	{ "log level", printk_init_cmdline },
	{ "the kernel's map", arch_init_memory },
	{ "pages", page_init },
	{ "tables from pages", boot_alloc_close },
	{ "slab", slab_init },
	{ "firmware tables, APICs, clock", arch_init_devices },
	{ "random numbers", random_init },
	{ "RCU", rcu_init },
	{ "processes", process_init },
	{ "futexes", futex_init },
	{ "scheduler", sched_init },
	{ "this CPU's run queue", sched_init_cpu },
};

static const struct step late[] = {
	{ "other CPUs start", start_other_cpus },
	{ "RCU thread", rcu_init_thread },
	{ "work thread", work_init_thread },
	{ "log thread", printk_init_thread },
	{ "files", vfs_init },
	{ "/dev", devfs_init },
	{ "cowfs", cowfs_init },
	{ "sockets", socket_init },
	{ "host container", container_init },
	{ "terminals", tty_init },
	{ "virtual consoles", vc_init },
	{ "PCI", pci_init },
	{ "virtio", virtio_init },
	{ "block devices", block_init },
	{ "serial line", serial_init },
	{ "root", root_init },
	{ "other CPUs are there", smp_wait_others },
	{ "watchdog", watchdog_init },
	{ "memory self-test", mm_selftest },
	{ "init memory", free_init_memory },
	{ "the first process", process_start_init },
};

static void run_steps(const struct step *steps, size_t n)
{
	ktime_t before = ktime_get(), after;

	for (size_t i = 0; i < n; i++, before = after) {
		steps[i].run();
		after = ktime_get();
		if (unlikely(timing))
			log_info("boot: %6ld us at %6ld us: %s\n", (after - before) / NSEC_PER_USEC,
				 after / NSEC_PER_USEC, steps[i].name);
	}
}

static void start_thread(void *arg)
{
	run_steps(late, ARRAY_SIZE(late));
}

/* Called by boot.c: the boot map, boot_info, %gs and the IDT are there. */
void kernel_main(void)
{
	timing = boot_option("boot_timing", 0, NULL, 0);
	run_steps(early, ARRAY_SIZE(early));
	if (kthread_create("start", start_thread, NULL, NULL) < 0)
		panic("no memory for the first thread");
	sched_idle_loop();
}
