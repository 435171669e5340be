/* SPDX-License-Identifier: MIT */
/*
 * procfs_pid.c - the directory of a process, /proc/PID (man 5 proc).
 *
 * The object of the directory and its files is the struct process, counted; of
 * fd/N a small struct that names process and descriptor; of task/TID the thread.
 * Ids are printed as the container of the process knows them: only processes
 * that live in the mount's own container are shown.
 */
#include "arch/x86/arch.h"
#include "core/errno.h"
#include "fs/context.h"
#include "fs/fdtable.h"
#include "lib/string.h"
#include "mm/aspace.h"
#include "mm/slab.h"
#include "proc/procfs.h"
#include "proc/signal.h"
#include "tty/tty.h"

typedef unsigned long long ull;

static struct task *process_task(struct process *p)
{
	struct task *t;

	spin_lock(&tree_lock);
	t = p->leader ? task_get(p->leader) : NULL;
	spin_unlock(&tree_lock);
	return t;
}

static struct aspace *process_aspace(struct process *p)
{
	struct task *t = process_task(p);
	struct aspace *as = t ? task_aspace(t) : NULL;

	if (t)
		task_put(t);
	return as;
}

/* --- stat, statm, status --- */

static u64 aspace_rss(const struct aspace *as)
{
	return MAX(READ_ONCE(as->rss_anon) + READ_ONCE(as->rss_file) + READ_ONCE(as->rss_shmem), (s64)0);
}

struct stat_line { /* what is gathered under locks */
	struct process_summary s;
	u32 ppid, pgrp, session, threads;
	s64 tty, tpgid;
	ktime_t cutime, cstime;
	u64 minflt, majflt, cminflt, cmajflt, starttime, vsize, rss, mask, ignored, caught, pending;
	s32 nice;
	u32 cpu;
	u64 code_start, code_end, stack;
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
		u64 h = p->signals->hand->action[sig - 1].handler;
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
		if (process_may_look(p)) {
			l->code_start = as->code_start;
			l->code_end = as->code_end;
			l->stack = as->stack_start;
		}
		aspace_put(as);
	}
}

static int print_stat(struct process *p, struct task *t, u32 id, struct text *out)
{
	struct stat_line l;

	gather(p, t, &l);
	text_printf(out, "%u (%s) %c %u %u %u %lld %lld 0 %llu %llu %llu %llu %llu %llu %lld %lld %d %d %u 0 %llu ", id,
		    t ? t->name : l.s.name, l.s.state, l.ppid, l.pgrp, l.session, (long long)l.tty,
		    (long long)l.tpgid, (ull)l.minflt, (ull)l.cminflt, (ull)l.majflt, (ull)l.cmajflt,
		    (ull)procfs_ticks(l.s.utime), (ull)procfs_ticks(l.s.stime), (long long)procfs_ticks(l.cutime),
		    (long long)procfs_ticks(l.cstime), 20 + l.nice, l.nice, l.threads, (ull)l.starttime);
	text_printf(out, "%llu %llu %llu %llu %llu %llu 0 0 %llu %llu %llu %llu 0 0 0 17 %u 0 0 0 0 0 0 0 0 0 0 0 0 %u\n",
		    (ull)l.vsize, (ull)l.rss, (ull)RLIM_INFINITY, (ull)l.code_start, (ull)l.code_end, (ull)l.stack,
		    (ull)(l.pending & 0x7fffffff), (ull)(l.mask & 0x7fffffff), (ull)(l.ignored & 0x7fffffff),
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
	text_printf(out, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid, c->fsuid, c->gid,
		    c->egid, c->sgid, c->fsgid);
	text_printf(out, "Groups:\t");
	for (u32 i = 0; c->groups && i < c->groups->count; i++)
		text_printf(out, "%u ", c->groups->gid[i]);
	text_printf(out, "\n");
}

static int print_status(struct process *p, struct task *t, u32 id, struct text *out)
{
	struct stat_line l;

	gather(p, t, &l);
	text_printf(out, "Name:\t%s\nUmask:\t0022\nState:\t%s\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t0\n",
		    t ? t->name : l.s.name, state_words(l.s.state), p->pid, id, l.ppid);
	if (l.cred)
		print_cred(l.cred, out);
	if (l.vsize)
		text_printf(out, "VmSize:\t%8llu kB\nVmRSS:\t%8llu kB\n", (ull)l.vsize / 1024, (ull)l.rss * 4);
	text_printf(out, "Threads:\t%u\nSigQ:\t%u/%llu\nSigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		    l.threads, 0, (ull)p->rlimits.lim[RLIMIT_SIGPENDING].cur, (ull)l.pending, 0ull, (ull)l.mask,
		    (ull)l.ignored, (ull)l.caught);
	if (l.cred) {
		text_printf(out, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016llx\n",
			    (ull)l.cred->cap_inheritable, (ull)l.cred->cap_permitted, (ull)l.cred->cap_effective,
			    (ull)l.cred->cap_bounding, (ull)l.cred->cap_ambient);
		cred_put(l.cred);
	}
	text_printf(out, "NoNewPrivs:\t%u\nSeccomp:\t0\n", p->no_new_privs);
	if (t)
		text_printf(out, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
			    (ull)t->sched.switches_voluntary, (ull)t->sched.switches_involuntary);
	return 0;
}

static int show_stat(void *object, struct text *out)
{
	struct process *p = object;
	struct task *t = process_task(p);
	int err = print_stat(p, t, p->pid, out);

	if (t)
		task_put(t);
	return err;
}

static int show_status(void *object, struct text *out)
{
	struct process *p = object;
	struct task *t = process_task(p);
	int err = print_status(p, t, p->pid, out);

	if (t)
		task_put(t);
	return err;
}

static int show_statm(void *object, struct text *out)
{
	struct aspace *as = process_aspace(object);

	if (!as) {
		text_printf(out, "0 0 0 0 0 0 0\n");
		return 0;
	}
	text_printf(out, "%llu %llu %llu %llu 0 %llu 0\n", (ull)as->total_pages, (ull)aspace_rss(as),
		    (ull)(READ_ONCE(as->rss_file) + READ_ONCE(as->rss_shmem)), (ull)as->exec_pages,
		    (ull)(as->data_pages + as->stack_pages));
	aspace_put(as);
	return 0;
}

/* --- memory of the process: cmdline, environ, auxv, maps --- */

static int copy_range(struct aspace *as, u64 start, u64 end, struct text *out)
{
	char *page = kmalloc(PAGE_SIZE, KM_ACCOUNT);
	s64 n;

	if (!page)
		return -ENOMEM;
	while (start < end) {
		n = aspace_read(as, start, page, MIN(end - start, PAGE_SIZE));
		if (n <= 0)
			break;
		text_append(out, page, n);
		start += n;
	}
	kfree(page);
	return 0;
}

static int show_cmdline(void *object, struct text *out)
{
	struct aspace *as = process_aspace(object);
	int err = as ? copy_range(as, as->arg_start, as->arg_end, out) : 0;

	if (as)
		aspace_put(as);
	return err;
}

static int open_private(void *object, bool write)
{
	return process_may_look(object) ? 0 : -EACCES;
}

static int show_environ(void *object, struct text *out)
{
	struct aspace *as = process_aspace(object);
	int err = as ? copy_range(as, as->env_start, as->env_end, out) : 0;

	if (as)
		aspace_put(as);
	return err;
}

static int show_auxv(void *object, struct text *out)
{
	struct aspace *as = process_aspace(object);

	if (!as)
		return 0;
	text_append(out, (const char *)as->auxv, sizeof(as->auxv));
	aspace_put(as);
	return 0;
}

static const char *vma_label(struct aspace *as, struct vma *v)
{
	if (v->ops && v->ops->name)
		return v->ops->name(v);
	if (v->start <= as->brk && v->end >= as->brk_start && as->brk > as->brk_start && !v->file)
		return "[heap]";
	if (v->start <= as->stack_start && v->end > as->stack_start)
		return "[stack]";
	return NULL;
}

static void print_vma(struct aspace *as, struct vma *v, const struct path *root, char *buf, struct text *out)
{
	const char *label = v->file ? NULL : vma_label(as, v);
	u64 dev = 0, ino = 0;
	char *name = NULL;

	if (v->file) {
		dev = v->file->inode->sb->dev;
		ino = v->file->inode->ino;
		if (path_to_string(&v->file->path, root, buf, PATH_MAX, &name))
			name = NULL;
	}
	text_printf(out, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", (ull)v->start, (ull)v->end,
		    v->flags & VM_READ ? 'r' : '-', v->flags & VM_WRITE ? 'w' : '-', v->flags & VM_EXEC ? 'x' : '-',
		    v->flags & VM_SHARED ? 's' : 'p', v->file ? (ull)v->pgoff << PAGE_SHIFT : 0, dev_major(dev), dev_minor(dev),
		    (ull)ino);
	if (name || label)
		text_printf(out, "%*s%s", 20, "", name ? name : label);
	text_printf(out, "\n");
}

static int show_maps(void *object, struct text *out)
{
	struct aspace *as = process_aspace(object);
	char *buf = kmalloc(PATH_MAX, KM_ACCOUNT);
	struct path root;
	struct vma *v;

	if (as && buf) {
		fs_context_root(current->fs, &root);
		rwmutex_read_lock(&as->lock);
		for_each_vma(v, as) print_vma(as, v, &root, buf, out);
		rwmutex_read_unlock(&as->lock);
		path_put(root);
	}
	kfree(buf);
	if (as)
		aspace_put(as);
	return buf ? 0 : -ENOMEM;
}

/* --- small files --- */

static int show_comm(void *object, struct text *out)
{
	struct process_summary s;

	process_summarise(object, &s);
	text_printf(out, "%s\n", s.name);
	return 0;
}

/* A process may rename itself only, as by prctl(PR_SET_NAME). */
static int store_comm(void *object, char *s, size_t n)
{
	struct task *t;

	if (object != current->process)
		return -EINVAL;
	t = process_task(object);
	if (!t)
		return -ESRCH;
	strlcpy(t->name, s, sizeof(t->name));
	task_put(t);
	return 0;
}

#if DEBUG
static int show_fail_nth(void *object, struct text *out)
{
	text_printf(out, "%u\n", object == current->process ? current->inject_countdown : 0);
	return 0;
}

/* Counts in the writing thread, so nobody writes another's (core/inject.h). */
static int store_fail_nth(void *object, char *s, size_t n)
{
	u64 count;

	if (object != current->process)
		return -EPERM;
	if (parse_u64(s, &count) || count > UINT32_MAX)
		return -EINVAL;
	current->inject_countdown = count;
	return 0;
}

#define FAIL_NTH { .name = "fail-nth", .mode = S_IFREG | 0600, .show = show_fail_nth, .store = store_fail_nth },
#else
#define FAIL_NTH
#endif

static int show_limits(void *object, struct text *out)
{
	static const char *const name[RLIMIT_COUNT] = {
		"Max cpu time", "Max file size", "Max data size", "Max stack size", "Max core file size",
		"Max resident set", "Max processes", "Max open files", "Max locked memory", "Max address space",
		"Max file locks", "Max pending signals", "Max msgqueue size", "Max nice priority",
		"Max realtime priority", "Max realtime timeout",
	};
	struct process *p = object;

	text_printf(out, "%-25s %-20s %-20s\n", "Limit", "Soft Limit", "Hard Limit");
	for (int i = 0; i < RLIMIT_COUNT; i++) {
		struct rlimit r = p->rlimits.lim[i];
		char soft[24] = "unlimited", hard[24] = "unlimited";

		if (r.cur != RLIM_INFINITY)
			snprintf(soft, sizeof(soft), "%llu", (ull)r.cur);
		if (r.max != RLIM_INFINITY)
			snprintf(hard, sizeof(hard), "%llu", (ull)r.max);
		text_printf(out, "%-25s %-20s %-20s\n", name[i], soft, hard);
	}
	return 0;
}

/* --- mounts --- */

static void print_mount(struct mount *m, const char *where, bool info, struct text *out)
{
	const char *mode = (m->flags | m->sb->flags) & MS_RDONLY ? "ro" : "rw";
	char options[128] = "";

	if (m->sb->ops->show_options)
		m->sb->ops->show_options(m->sb, options, sizeof(options));
	if (info)
		text_printf(out, "%u %u %u:%u / %s %s", m->id, m->parent ? m->parent->id : 0, dev_major(m->sb->dev),
			    dev_minor(m->sb->dev), where, mode);
	else
		text_printf(out, "%s %s %s %s", m->source ? m->source : "none", where, m->sb->type->name, mode);
	text_printf(out, "%s%s%s%s", m->flags & MS_NOSUID ? ",nosuid" : "", m->flags & MS_NODEV ? ",nodev" : "",
		    m->flags & MS_NOEXEC ? ",noexec" : "", m->flags & MS_RELATIME ? ",relatime" : "");
	if (info)
		text_printf(out, " - %s %s %s%s\n", m->sb->type->name, m->source ? m->source : "none", mode, options);
	else
		text_printf(out, "%s 0 0\n", options);
}

int procfs_show_mounts(struct process *p, struct text *out, bool info)
{
	struct task *t = process_task(p);
	struct fs_context *fs = t ? task_fs(t) : NULL;
	char *buf = kmalloc(PATH_MAX, KM_ACCOUNT), *where;
	struct mount *m;
	struct path root;

	if (fs && buf) {
		fs_context_root(fs, &root);
		mutex_lock(&fs->mounts->lock);
		list_for_each(m, &fs->mounts->mounts, table_node) {
			struct path at = { m, m->root };
			if (!path_to_string(&at, &root, buf, PATH_MAX, &where) && where[0] == '/')
				print_mount(m, where, info, out);
		}
		mutex_unlock(&fs->mounts->lock);
		path_put(root);
	}
	kfree(buf);
	if (fs)
		fs_context_put(fs);
	if (t)
		task_put(t);
	return buf ? 0 : -ENOMEM;
}

static int show_mounts(void *object, struct text *out)
{
	return procfs_show_mounts(object, out, false);
}

static int show_mountinfo(void *object, struct text *out)
{
	return procfs_show_mounts(object, out, true);
}

/* --- links --- */

static int path_text(const struct path *p, char *buf, size_t size)
{
	struct path root;
	char *text, *start;
	int err;

	text = kmalloc(PATH_MAX, KM_ACCOUNT);
	if (!text)
		return -ENOMEM;
	fs_context_root(current->fs, &root);
	err = path_to_string(p, &root, text, PATH_MAX, &start);
	path_put(root);
	if (!err)
		strlcpy(buf, start, size);
	kfree(text);
	return err;
}

static int read_through(int (*follow)(void *object, struct path *out), void *object, char *buf, size_t size)
{
	struct path p;
	int err = follow(object, &p);

	if (err)
		return err;
	err = path_text(&p, buf, size);
	path_put(p);
	return err;
}

static int follow_exe(void *object, struct path *out)
{
	struct aspace *as;
	bool found;

	if (!process_may_look(object))
		return -EACCES;
	as = process_aspace(object);
	if (!as)
		return -ENOENT;
	found = as->exe;
	if (found)
		*out = path_get(as->exe->path);
	aspace_put(as);
	return found ? 0 : -ENOENT;
}

static int follow_context(void *object, bool root, struct path *out)
{
	struct task *t;
	struct fs_context *fs;

	if (!process_may_look(object))
		return -EACCES;
	t = process_task(object);
	fs = t ? task_fs(t) : NULL;
	if (t)
		task_put(t);
	if (!fs)
		return -ENOENT;
	if (root)
		fs_context_root(fs, out);
	else
		fs_context_cwd(fs, out);
	fs_context_put(fs);
	return 0;
}

static int follow_root(void *object, struct path *out)
{
	return follow_context(object, true, out);
}

static int follow_cwd(void *object, struct path *out)
{
	return follow_context(object, false, out);
}

static int read_exe(void *object, char *buf, size_t size)
{
	return read_through(follow_exe, object, buf, size);
}

static int read_root(void *object, char *buf, size_t size)
{
	return read_through(follow_root, object, buf, size);
}

static int read_cwd(void *object, char *buf, size_t size)
{
	return read_through(follow_cwd, object, buf, size);
}

/* --- fd --- */

struct fd_node {
	ref_t refs;
	struct process *process;
	u32 fd;
};

static void fd_node_put(void *object)
{
	struct fd_node *n = object;

	if (!ref_put(&n->refs))
		return;
	process_put(n->process);
	kfree(n);
}

/* The file behind descriptor *fd or the next one, counted. */
static bool process_fd(struct process *p, u32 *fd, struct file **out)
{
	struct task *t = process_task(p);
	struct fd_table *files = t ? task_files(t) : NULL;
	bool found = files && fd_table_next(files, fd, out);

	if (files)
		fd_table_put(files);
	if (t)
		task_put(t);
	return found;
}

static int fd_file(struct fd_node *n, struct file **out)
{
	u32 fd = n->fd;

	if (!process_may_look(n->process))
		return -EACCES;
	if (!process_fd(n->process, &fd, out))
		return -ENOENT;
	if (fd == n->fd)
		return 0;
	file_put(*out);
	return -ENOENT;
}

static int fd_follow(void *object, struct path *out)
{
	struct file *f;
	int err = fd_file(object, &f);

	if (err)
		return err;
	*out = path_get(f->path);
	file_put(f);
	return 0;
}

static int fd_readlink(void *object, char *buf, size_t size)
{
	return read_through(fd_follow, object, buf, size);
}

static const struct pseudo_dir_ops fd_node_ops = { .put = fd_node_put };

static int fd_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e, void **child)
{
	struct fd_node *n;
	struct file *f;
	u64 number;
	u32 fd;

	if (name[0] < '0' || name[0] > '9' || (name[0] == '0' && len > 1) || parse_u64(name, &number) || number > INT32_MAX)
		return -ENOENT;
	fd = number;
	if (!process_may_look(object))
		return -EACCES;
	if (!process_fd(object, &fd, &f))
		return -ENOENT;
	file_put(f);
	if (fd != number)
		return -ENOENT;
	n = kmalloc(sizeof(*n), KM_ACCOUNT);
	if (!n)
		return -ENOMEM;
	ref_init(&n->refs, 1);
	n->process = process_get(object);
	n->fd = fd;
	*e = (struct pseudo_entry){
		.mode = S_IFLNK | 0700, .readlink = fd_readlink, .follow = fd_follow, .counted_by = &fd_node_ops,
	};
	*child = n;
	return 0;
}

static bool fd_next(void *object, u64 *cookie, char *name, size_t size, u32 *mode)
{
	u32 fd = *cookie;
	struct file *f;

	if (!process_may_look(object) || !process_fd(object, &fd, &f))
		return false;
	file_put(f);
	*cookie = fd;
	*mode = S_IFLNK | 0700;
	snprintf(name, size, "%u", fd);
	return true;
}

/* --- net: what there is without a network --- */

static int show_net_dev(void *object, struct text *out)
{
	text_printf(out, "Inter-|   Receive                                                |  Transmit\n"
			 " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "
			 "drop fifo colls carrier compressed\n");
	return 0;
}

/* --- the directories --- */

static void process_object_get(void *object)
{
	process_get(object);
}

static void process_object_put(void *object)
{
	process_put(object);
}

static bool process_object_alive(void *object)
{
	return READ_ONCE(((struct process *)object)->state) != PROCESS_REAPED;
}

static void process_object_owner(void *object, u32 *uid, u32 *gid)
{
	struct process *p = object;
	struct task *t = process_task(p);

	if (!t)
		return;
	rcu_read_lock();
	if (p->dumpable) {
		*uid = rcu_dereference(t->cred)->euid;
		*gid = rcu_dereference(t->cred)->egid;
	}
	rcu_read_unlock();
	task_put(t);
}

#define PROCESS_OBJECT                                                                             \
	.get = process_object_get, .put = process_object_put, .alive = process_object_alive,       \
	.owner = process_object_owner

#define RO(n, f) { .name = (n), .mode = S_IFREG | 0444, .show = (f) }
#define JUMP(n, r, f) { .name = (n), .mode = S_IFLNK | 0777, .readlink = (r), .follow = (f) }

static int task_show_stat(void *object, struct text *out)
{
	struct task *t = object;

	return print_stat(t->process, t, t->tid, out);
}

static int task_show_status(void *object, struct text *out)
{
	struct task *t = object;

	return print_status(t->process, t, t->tid, out);
}

static int task_show_comm(void *object, struct text *out)
{
	text_printf(out, "%s\n", ((struct task *)object)->name);
	return 0;
}

static void task_object_get(void *object)
{
	task_get(object);
}

static void task_object_put(void *object)
{
	task_put(object);
}

static bool task_object_alive(void *object)
{
	return READ_ONCE(((struct task *)object)->state) != TASK_DEAD;
}

static const struct pseudo_entry tid_files[] = {
	RO("stat", task_show_stat), RO("status", task_show_status), RO("comm", task_show_comm), { 0 },
};
static const struct pseudo_dir_ops tid_dir = {
	.entries = tid_files, .get = task_object_get, .put = task_object_put, .alive = task_object_alive,
};

static int tids_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e, void **child)
{
	struct process *p = object;
	struct task *t;
	u64 tid;

	if (name[0] < '1' || name[0] > '9' || parse_u64(name, &tid) || tid > PID_MAX || task_find_in(p->pids, tid, &t))
		return -ENOENT;
	if (t->process != p) {
		task_put(t);
		return -ENOENT;
	}
	*e = (struct pseudo_entry){ .mode = S_IFDIR | 0555, .dir = &tid_dir };
	*child = t;
	return 0;
}

static bool tids_next(void *object, u64 *cookie, char *name, size_t size, u32 *mode)
{
	u32 tid = process_thread_tid(object, *cookie);

	*mode = S_IFDIR | 0555;
	snprintf(name, size, "%u", tid);
	return tid;
}

static const struct pseudo_dir_ops tids_dir = { PROCESS_OBJECT, .lookup = tids_lookup, .next = tids_next };
/* One's own descriptors, also if one has changed ids since (and is not dumpable). */
static bool process_object_own(void *object)
{
	return object == current->process;
}

static const struct pseudo_dir_ops fd_dir = { PROCESS_OBJECT, .own = process_object_own,
					      .lookup = fd_lookup, .next = fd_next };
static const struct pseudo_entry net_files[] = { RO("dev", show_net_dev), { 0 } };
static const struct pseudo_dir_ops net_dir = { PROCESS_OBJECT, .entries = net_files };

static const struct pseudo_entry pid_files[] = {
	RO("stat", show_stat), RO("statm", show_statm), RO("status", show_status), RO("cmdline", show_cmdline),
	{ .name = "comm", .mode = S_IFREG | 0644, .show = show_comm, .store = store_comm },
	RO("limits", show_limits), RO("mounts", show_mounts), RO("mountinfo", show_mountinfo),
	{ .name = "maps", .mode = S_IFREG | 0444, .show = show_maps, .open = open_private },
	{ .name = "environ", .mode = S_IFREG | 0400, .show = show_environ, .open = open_private },
	{ .name = "auxv", .mode = S_IFREG | 0400, .show = show_auxv, .open = open_private },
	JUMP("exe", read_exe, follow_exe), JUMP("root", read_root, follow_root), JUMP("cwd", read_cwd, follow_cwd),
	{ .name = "fd", .mode = S_IFDIR | 0500, .dir = &fd_dir },
	{ .name = "task", .mode = S_IFDIR | 0555, .dir = &tids_dir },
	{ .name = "net", .mode = S_IFDIR | 0555, .dir = &net_dir },
	FAIL_NTH
	{ 0 },
};

static const struct pseudo_dir_ops pid_dir = { PROCESS_OBJECT, .entries = pid_files };

int procfs_pid_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e, void **child)
{
	struct pid_table *table = procfs_table(object);
	struct process *p;
	struct task *t;
	u64 pid;

	if (name[0] < '1' || name[0] > '9' || parse_u64(name, &pid) || pid > PID_MAX)
		return -ENOENT;
	if (process_find_in(table, pid, &p)) {
		/* A thread's id finds its process too, though it is not listed. */
		if (task_find_in(table, pid, &t))
			return -ENOENT;
		p = process_get(t->process);
		task_put(t);
	}
	if (p->pids != table) { /* it lives elsewhere; its number here is its parent's business */
		process_put(p);
		return -ENOENT;
	}
	*e = (struct pseudo_entry){ .mode = S_IFDIR | 0555, .dir = &pid_dir };
	*child = p;
	return 0;
}

bool procfs_pid_next(void *object, u64 *cookie, char *name, size_t size, u32 *mode)
{
	struct pid_table *table = procfs_table(object);
	struct process *p;
	u32 pid = MAX(*cookie, 1ul);
	bool here = false;

	for (; !here; pid++) {
		if (process_next_in(table, &pid, &p))
			return false;
		here = p->pids == table;
		process_put(p);
	}
	*cookie = pid - 1;
	*mode = S_IFDIR | 0555;
	snprintf(name, size, "%u", pid - 1);
	return true;
}
