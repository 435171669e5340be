/* SPDX-License-Identifier: MIT */
/*
 * cfd.c - the control file cfd: the container's own table of descriptors, a line "CFD FD PID"
 * for each that a process inside has open.
 *
 * The table is virtual. A CFD is one to one with a process and a descriptor of it: PID is its
 * upper part, FD its lower one, so that it is the same at each look as long as the descriptor
 * is open, and is counted for nobody. Of a process that one may not look into (as
 * /proc/PID/fd) nothing is shown.
 */
#include "container/control.h"
#include "fs/fdtable.h"

#define CFD_FD_BITS 20 /* a descriptor is below Linux's fs.nr_open, 2^20 */

static struct fd_table *process_files(struct process *p)
{
	struct task *t = process_leader(p);
	struct fd_table *files = t ? task_files(t) : NULL;

	if (t)
		task_put(t);
	return files;
}

static void print_files(struct fd_table *files, u32 pid, struct text *t)
{
	struct file *f;

	for (u32 fd = 0; !t->err && fd_table_next(files, &fd, &f); fd++) {
		file_put(f);
		text_printf(t, "%lu %u %u\n", (u64)pid << CFD_FD_BITS | fd, fd, pid);
		resched_point();
	}
}

int show_cfd(void *object, struct text *t)
{
	struct container *c = object;
	struct process *p;

	for (u32 pid = 1; !process_next_in(&c->pids, &pid, &p); pid++) {
		struct fd_table *files = process_may_look(p) ? process_files(p) : NULL;

		if (files) {
			print_files(files, pid, t);
			fd_table_put(files);
		}
		process_put(p);
	}
	return 0;
}
