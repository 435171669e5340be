/* SPDX-License-Identifier: MIT */
/*
 * procfs_status.c - what a process or a thread is doing: stat, statm and status of
 * /proc/PID and /proc/PID/task/TID (man 5 proc). All is gathered under the locks
 * first and printed without them.
 */
#include "arch/x86/arch.h"
#include "core/errno.h"
#include "lib/string.h"
#include "mm/aspace.h"
#include "proc/procfs.h"
#include "proc/signal.h"
#include "tty/tty.h"

typedef unsigned long long ull;

static u64 aspace_rss(const struct aspace *as)
{
	return MAX(READ_ONCE(as->rss_anon) + READ_ONCE(as->rss_file) + READ_ONCE(as->rss_shmem),
		   (s64)0);
}

struct stat_line { /* what is gathered under locks */
	struct process_summary s;
	u32 ppid, pgrp, session, threads;
	s64 tty, tpgid;
	ktime_t cutime, cstime;
	u64 minflt, majflt, cminflt, cmajflt, starttime, vsize, rss, mask, ignored, caught, pending;
	s32 nice;
	u32 cpu;
	u64 code_start, code_end, stack, tables;
	struct cred *cred;
};

static void gather_signals(struct process *p, struct task *t, struct stat_line *l)
{
	struct task_signals *ts;

	spin_lock(&p->signal_lock);
	ts = t ? t->signals : NULL;
	if (ts) {
		l->mask = ts->blocked;
		l->pending = ts->pending.set | (p->signals ? p->signals->pending.set : 0);
	}
	for (int sig = 1; p->signals && sig <= NSIG; sig++) {
		u64 h = sigaction_of(p, sig)->handler;
		l->ignored |= h == SIG_IGN ? SIGBIT(sig) : 0;
		l->caught |= h > SIG_IGN ? SIGBIT(sig) : 0;
	}
	spin_unlock(&p->signal_lock);
}

static void gather_tree(struct process *p, struct stat_line *l)
{
	l->ppid = process_ppid(p);
	l->tpgid = -1;
	spin_lock(&tree_lock);
	l->threads = p->thread_count;
	if (p->group) {
		struct tty *tty = READ_ONCE(p->group->session->tty);

		l->pgrp = p->group->pgid;
		l->session = p->group->session->sid;
		l->tty = tty ? tty->rdev : 0;
	}
	l->cutime = p->child_utime;
	l->cstime = p->child_stime;
	l->minflt = p->dead_minflt;
	l->majflt = p->dead_majflt;
	l->cminflt = p->child_minflt;
	l->cmajflt = p->child_majflt;
	spin_unlock(&tree_lock);
}

/* t: the thread that is looked at, or NULL. The reference on l->cred is the caller's. */
static void gather(struct process *p, struct task *t, struct stat_line *l)
{
	struct aspace *as = t ? task_aspace(t) : NULL;

	memset(l, 0, sizeof(*l));
	process_summarise(p, &l->s);
	gather_tree(p, l);
	gather_signals(p, t, l);
	l->starttime = procfs_ticks(p->start_time);
	if (t) {
		l->nice = t->sched.nice;
		l->cpu = t->sched.cpu;
		l->minflt += t->minor_faults;
		l->majflt += t->major_faults;
		rcu_read_lock();
		l->cred = cred_get(rcu_dereference(t->cred));
		rcu_read_unlock();
	}
	if (as) {
		l->vsize = as->total_pages * PAGE_SIZE;
		l->rss = aspace_rss(as);
		l->tables = MAX(as->table_pages, (s64)0);
		if (process_may_look(p)) {
			l->code_start = as->code_start;
			l->code_end = as->code_end;
			l->stack = as->stack_start;
		}
		aspace_put(as);
	}
}

int procfs_print_stat(struct process *p, struct task *t, u32 id, struct text *out)
{
	struct stat_line l;

	gather(p, t, &l);
	text_printf(out,
		    "%u (%s) %c %u %u %u %lld %lld 0 %llu %llu %llu %llu %llu %llu %lld %lld %d %d "
		    "%u 0 %llu ",
		    id, t ? t->name : l.s.name, l.s.state, l.ppid, l.pgrp, l.session,
		    (long long)l.tty, (long long)l.tpgid, (ull)l.minflt, (ull)l.cminflt,
		    (ull)l.majflt, (ull)l.cmajflt, (ull)procfs_ticks(l.s.utime),
		    (ull)procfs_ticks(l.s.stime), (long long)procfs_ticks(l.cutime),
		    (long long)procfs_ticks(l.cstime), 20 + l.nice, l.nice, l.threads,
		    (ull)l.starttime);
	text_printf(out,
		    "%llu %llu %llu %llu %llu %llu 0 0 %llu %llu %llu %llu 0 0 0 17 %u 0 0 0 0 0 0 "
		    "0 0 0 0 0 0 %u\n",
		    (ull)l.vsize, (ull)l.rss, (ull)RLIM_INFINITY, (ull)l.code_start,
		    (ull)l.code_end, (ull)l.stack, (ull)(l.pending & 0x7fffffff),
		    (ull)(l.mask & 0x7fffffff), (ull)(l.ignored & 0x7fffffff),
		    (ull)(l.caught & 0x7fffffff), l.cpu, p->exit_status);
	if (l.cred)
		cred_put(l.cred);
	return 0;
}

static const char *state_words(char letter)
{
	switch (letter) {
	case 'R':
		return "R (running)";
	case 'S':
		return "S (sleeping)";
	case 'T':
		return "T (stopped)";
	case 'Z':
		return "Z (zombie)";
	}
	return "X (dead)";
}

static void print_cred(const struct cred *c, struct text *out)
{
	text_printf(out, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", uid_shown(c->uid),
		    uid_shown(c->euid), uid_shown(c->suid), uid_shown(c->fsuid), gid_shown(c->gid),
		    gid_shown(c->egid), gid_shown(c->sgid), gid_shown(c->fsgid));
	text_printf(out, "Groups:\t");
	for (u32 i = 0; c->groups && i < c->groups->count; i++)
		text_printf(out, "%u ", gid_shown(c->groups->gid[i]));
	text_printf(out, "\n");
}

int procfs_print_status(struct process *p, struct task *t, u32 id, struct text *out)
{
	struct stat_line l;

	gather(p, t, &l);
	text_printf(out,
		    "Name:\t%s\nUmask:\t0022\nState:\t%s\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%"
		    "u\nTracerPid:\t0\n",
		    t ? t->name : l.s.name, state_words(l.s.state), p->pid, id, l.ppid);
	if (l.cred)
		print_cred(l.cred, out);
	if (l.vsize)
		text_printf(out, "VmSize:\t%8llu kB\nVmRSS:\t%8llu kB\nVmPTE:\t%8llu kB\n",
			    (ull)l.vsize / 1024, (ull)l.rss * 4, (ull)l.tables * 4);
	text_printf(out,
		    "Threads:\t%u\nSigQ:\t%u/"
		    "%llu\nSigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%"
		    "016llx\nSigCgt:\t%016llx\n",
		    l.threads, 0, (ull)p->rlimits.lim[RLIMIT_SIGPENDING].cur, (ull)l.pending, 0ull,
		    (ull)l.mask, (ull)l.ignored, (ull)l.caught);
	if (l.cred) {
		text_printf(out,
			    "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%"
			    "016llx\nCapAmb:\t%016llx\n",
			    (ull)l.cred->cap_inheritable, (ull)l.cred->cap_permitted,
			    (ull)l.cred->cap_effective, (ull)l.cred->cap_bounding,
			    (ull)l.cred->cap_ambient);
		cred_put(l.cred);
	}
	text_printf(out, "NoNewPrivs:\t%u\nSeccomp:\t0\n", p->no_new_privs);
	if (t)
		text_printf(out,
			    "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
			    (ull)t->sched.switches_voluntary, (ull)t->sched.switches_involuntary);
	return 0;
}

int procfs_show_stat(void *object, struct text *out)
{
	struct process *p = object;
	struct task *t = procfs_process_task(p);
	int err = procfs_print_stat(p, t, p->pid, out);

	if (t)
		task_put(t);
	return err;
}

int procfs_show_status(void *object, struct text *out)
{
	struct process *p = object;
	struct task *t = procfs_process_task(p);
	int err = procfs_print_status(p, t, p->pid, out);

	if (t)
		task_put(t);
	return err;
}

int procfs_show_statm(void *object, struct text *out)
{
	struct aspace *as = procfs_process_aspace(object);

	if (!as) {
		text_printf(out, "0 0 0 0 0 0 0\n");
		return 0;
	}
	text_printf(out, "%llu %llu %llu %llu 0 %llu 0\n", (ull)as->total_pages,
		    (ull)aspace_rss(as), (ull)(READ_ONCE(as->rss_file) + READ_ONCE(as->rss_shmem)),
		    (ull)as->exec_pages, (ull)(as->data_pages + as->stack_pages));
	aspace_put(as);
	return 0;
}
