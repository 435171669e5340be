/* SPDX-License-Identifier: MIT */
/*
 * memory_map.c - the control file memory.map: where the processes of a container lie in
 * physical memory, a line for each run: pid, virtual address, bytes, physical address.
 * Physical addresses are for the host's administrator alone; in a container nobody reads them.
 */
#include "container/container.h"
#include "core/errno.h"
#include "fs/pseudo.h"
#include "mm/aspace.h"
#include "proc/process.h"

int memory_map_open(void *object, bool write)
{
	return may_host(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static struct aspace *process_aspace(struct process *p)
{
	struct task *t = process_leader(p);
	struct aspace *as = t ? task_aspace(t) : NULL;

	if (t)
		task_put(t);
	return as;
}

static void print_process(struct process *p, u32 pid, struct text *t)
{
	struct aspace *as = process_aspace(p);
	struct page_run run;

	if (!as)
		return;
	for (u64 va = 0; aspace_next_run(as, va, &run) && !t->err; va = run.va + run.length) {
		text_printf(t, "%u 0x%lx %lu 0x%lx\n", pid, run.va, run.length, run.phys);
		resched_point();
	}
	aspace_put(as);
}

int memory_map_show(void *object, struct text *t)
{
	struct container *c = object;
	struct process *p;

	for (u32 pid = 1; !process_next_in(&c->pids, &pid, &p); pid++) {
		if (p->pids == &c->pids)
			print_process(p, pid, t);
		process_put(p);
	}
	return 0;
}
