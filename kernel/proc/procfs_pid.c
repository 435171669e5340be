/* SPDX-License-Identifier: MIT */
/*
 * procfs_pid.c - the directory of a process, /proc/PID (man 5 proc).
 *
 * The object of the directory and its files is the struct process, counted; of
 * fd/N a small struct that names process and descriptor; of task/TID the thread.
 * Ids are printed as the container of the process knows them: only processes
 * that live in the mount's own container are shown. What the larger files show is in
 * procfs_status.c, procfs_memory.c and procfs_links.c.
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

struct task *procfs_process_task(struct process *p)
{
	struct task *t;

	spin_lock(&tree_lock);
	t = p->leader ? task_get(p->leader) : NULL;
	spin_unlock(&tree_lock);
	return t;
}

struct aspace *procfs_process_aspace(struct process *p)
{
	struct task *t = procfs_process_task(p);
	struct aspace *as = t ? task_aspace(t) : NULL;

	if (t)
		task_put(t);
	return as;
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
	t = procfs_process_task(object);
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

#define FAIL_NTH                  \
	{ .name = "fail-nth",     \
	  .mode = S_IFREG | 0600, \
	  .show = show_fail_nth,  \
	  .store = store_fail_nth },
#else
#define FAIL_NTH
#endif

static int show_limits(void *object, struct text *out)
{
	static const char *const name[RLIMIT_COUNT] = {
		"Max cpu time",		"Max file size",      "Max data size",
		"Max stack size",	"Max core file size", "Max resident set",
		"Max processes",	"Max open files",     "Max locked memory",
		"Max address space",	"Max file locks",     "Max pending signals",
		"Max msgqueue size",	"Max nice priority",  "Max realtime priority",
		"Max realtime timeout",
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
		text_printf(out, "%u %u %u:%u / %s %s", m->id, m->parent ? m->parent->id : 0,
			    dev_major(m->sb->dev), dev_minor(m->sb->dev), where, mode);
	else
		text_printf(out, "%s %s %s %s", m->source ? m->source : "none", where,
			    m->sb->type->name, mode);
	text_printf(out, "%s%s%s%s", m->flags & MS_NOSUID ? ",nosuid" : "",
		    m->flags & MS_NODEV ? ",nodev" : "", m->flags & MS_NOEXEC ? ",noexec" : "",
		    m->flags & MS_RELATIME ? ",relatime" : "");
	if (info)
		text_printf(out, " - %s %s %s%s\n", m->sb->type->name,
			    m->source ? m->source : "none", mode, options);
	else
		text_printf(out, "%s 0 0\n", options);
}

int procfs_show_mounts(struct process *p, struct text *out, bool info)
{
	struct task *t = procfs_process_task(p);
	struct fs_context *fs = t ? task_fs(t) : NULL;
	char *buf = kmalloc(PATH_MAX, KM_ACCOUNT), *where;
	struct mount *m;
	struct path root;
	int err = buf ? 0 : -ENOMEM;

	if (fs && !err)
		err = mount_late_make_all(fs->mounts);
	if (fs && !err) {
		fs_context_root(fs, &root);
		mutex_lock(&fs->mounts->lock);
		list_for_each (m, &fs->mounts->mounts, table_node) {
			struct path at = { m, m->root };
			if (!path_to_string(&at, &root, buf, PATH_MAX, &where) && where[0] == '/')
				print_mount(m, where, info, out);
			resched_point();
		}
		mutex_unlock(&fs->mounts->lock);
		path_put(root);
	}
	kfree(buf);
	if (fs)
		fs_context_put(fs);
	if (t)
		task_put(t);
	return err;
}

static int show_mounts(void *object, struct text *out)
{
	return procfs_show_mounts(object, out, false);
}

static int show_mountinfo(void *object, struct text *out)
{
	return procfs_show_mounts(object, out, true);
}

/* --- net: what there is without a network --- */

static int show_net_dev(void *object, struct text *out)
{
	text_printf(out,
		    "Inter-|   Receive                                                |  Transmit\n"
		    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
		    "packets errs "
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
	struct task *t = procfs_process_task(p);

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

#define PROCESS_OBJECT                                                                       \
	.get = process_object_get, .put = process_object_put, .alive = process_object_alive, \
	.owner = process_object_owner

#define RO(n, f)                                                 \
	{                                                        \
		.name = (n), .mode = S_IFREG | 0444, .show = (f) \
	}
#define JUMP(n, r, f)                                                               \
	{                                                                           \
		.name = (n), .mode = S_IFLNK | 0777, .readlink = (r), .follow = (f) \
	}

static int task_show_stat(void *object, struct text *out)
{
	struct task *t = object;

	return procfs_print_stat(t->process, t, t->tid, out);
}

static int task_show_status(void *object, struct text *out)
{
	struct task *t = object;

	return procfs_print_status(t->process, t, t->tid, out);
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
	RO("stat", task_show_stat),
	RO("status", task_show_status),
	RO("comm", task_show_comm),
	{ 0 },
};
static const struct pseudo_dir_ops tid_dir = {
	.entries = tid_files,
	.get = task_object_get,
	.put = task_object_put,
	.alive = task_object_alive,
};

static int tids_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e,
		       void **child)
{
	struct process *p = object;
	struct task *t;
	u64 tid;

	if (name[0] < '1' || name[0] > '9' || parse_u64(name, &tid) || tid > PID_MAX ||
	    task_find_in(p->pids, tid, &t))
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

static const struct pseudo_dir_ops tids_dir = { PROCESS_OBJECT, .lookup = tids_lookup,
						.next = tids_next };
/* One's own descriptors, also if one has changed ids since (and is not dumpable). */
static bool process_object_own(void *object)
{
	return object == current->process;
}

static const struct pseudo_dir_ops fd_dir = { PROCESS_OBJECT, .own = process_object_own,
					      .lookup = procfs_fd_lookup, .next = procfs_fd_next };
static const struct pseudo_entry net_files[] = { RO("dev", show_net_dev), { 0 } };
static const struct pseudo_dir_ops net_dir = { PROCESS_OBJECT, .entries = net_files };

static const struct pseudo_entry pid_files[] = {
	RO("stat", procfs_show_stat),
	RO("statm", procfs_show_statm),
	RO("status", procfs_show_status),
	RO("cmdline", procfs_show_cmdline),
	{ .name = "comm", .mode = S_IFREG | 0644, .show = show_comm, .store = store_comm },
	RO("limits", show_limits),
	RO("uid_map", procfs_show_uid_map),
	RO("gid_map", procfs_show_gid_map),
	RO("setgroups", procfs_show_setgroups),
	RO("mounts", show_mounts),
	RO("mountinfo", show_mountinfo),
	{ .name = "maps",
	  .mode = S_IFREG | 0444,
	  .show = procfs_show_maps,
	  .open = procfs_open_private },
	{ .name = "environ",
	  .mode = S_IFREG | 0400,
	  .show = procfs_show_environ,
	  .open = procfs_open_private },
	{ .name = "auxv",
	  .mode = S_IFREG | 0400,
	  .show = procfs_show_auxv,
	  .open = procfs_open_private },
	JUMP("exe", procfs_read_exe, procfs_follow_exe),
	JUMP("root", procfs_read_root, procfs_follow_root),
	JUMP("cwd", procfs_read_cwd, procfs_follow_cwd),
	{ .name = "fd", .mode = S_IFDIR | 0500, .dir = &fd_dir },
	{ .name = "task", .mode = S_IFDIR | 0555, .dir = &tids_dir },
	{ .name = "net", .mode = S_IFDIR | 0555, .dir = &net_dir },
	FAIL_NTH{ 0 },
};

static const struct pseudo_dir_ops pid_dir = { PROCESS_OBJECT, .entries = pid_files };

int procfs_pid_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e,
		      void **child)
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
