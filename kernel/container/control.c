/* SPDX-License-Identifier: MIT */
/*
 * control.c - the control files: /sys/container/ID/..., one directory per
 * descendant of the container that mounted it, and "self". Names and units are
 * those of cgroup v2 where one exists (Linux, Documentation/admin-guide/cgroup-v2).
 *
 * Reading is for all who see the directory. Writing is for who may manage the
 * container from outside, which is decided when the file is opened; "self" is
 * read-only. A value that does not parse is -EINVAL and changes nothing.
 */
#include "arch/x86/arch.h"
#include "container/control.h"
#include "core/errno.h"
#include "lib/string.h"
#include "mm/aspace.h"
#include "proc/signal.h"
#include "tty/tty.h"

#define SYSFS_MAGIC 0x62656572

/* --- reading --- */

static int show_name(void *object, struct text *t)
{
	struct container *c = object;

	text_printf(t, "%s\n", c->name);
	return 0;
}

static int show_state(void *object, struct text *t)
{
	struct container *c = object;

	text_printf(t, "%s\n", container_state_name(container_state_shown(c)));
	return 0;
}

static struct waitq *state_changed(void *object, const u64 **generation)
{
	struct container *c = object;

	*generation = &c->generation;
	return &c->changed;
}

/* The container around it; of what is outside the reader there is nothing to say. */
static int show_parent(void *object, struct text *t)
{
	struct container *c = object;

	if (c->parent && sees(current->owner, &c->parent->owner))
		text_printf(t, "%u\n", c->parent->owner.id);
	else
		text_printf(t, "none\n");
	return 0;
}

static int show_root(void *object, struct text *t)
{
	struct container *c = object;

	text_printf(t, "%s\n", c->root_text ? c->root_text : "/");
	return 0;
}

static int show_hostname(void *object, struct text *t)
{
	struct container *c = object;
	char name[sizeof(c->uts.hostname)];

	spin_lock(&c->uts.lock);
	strlcpy(name, c->uts.hostname, sizeof(name));
	spin_unlock(&c->uts.lock);
	text_printf(t, "%s\n", name);
	return 0;
}

static int show_console(void *object, struct text *t)
{
	struct container *c = object;

	if (c->console < 0)
		text_printf(t, "none\n");
	else
		text_printf(t, "%d\n", c->console);
	return 0;
}

/* One line each: pid, name, state, user and system time in us, resident bytes. */
static int show_procs(void *object, struct text *t)
{
	struct container *c = object;
	struct process *p;

	for (u32 pid = 1; !process_next_in(&c->pids, &pid, &p); pid++) {
		struct process_summary s;

		process_summarise(p, &s);
		process_put(p);
		text_printf(t, "%u %s %c %lld %lld %llu\n", pid, s.name, s.state,
			    (long long)(s.utime / NSEC_PER_USEC),
			    (long long)(s.stime / NSEC_PER_USEC), (unsigned long long)s.rss_bytes);
		resched_point();
	}
	return 0;
}

static int show_exit_status(void *object, struct text *t)
{
	struct container *c = object;

	text_printf(t, "%d\n", READ_ONCE(c->exit_status));
	return 0;
}

static int show_created(void *object, struct text *t)
{
	struct container *c = object;

	text_printf(t, "%lld\n", (long long)(c->created / NSEC_PER_SEC));
	return 0;
}

/* --- writing --- */

static int open_managed(void *object, bool write)
{
	return write ? container_may_manage_from_outside(object) : 0;
}

static int show_freeze(void *object, struct text *t)
{
	struct container *c = object;

	text_printf(t, "%d\n", READ_ONCE(c->owner.paused));
	return 0;
}

/* As cgroup.freeze: what is so already is no error. */
static int store_freeze(void *object, char *s, size_t n)
{
	struct container *c = object;
	bool freeze = !strcmp(s, "1"), frozen = READ_ONCE(c->owner.paused);

	if (!freeze && strcmp(s, "0"))
		return -EINVAL;
	if (freeze == frozen)
		return 0;
	return freeze ? container_pause(c) : container_resume(c);
}

/* "SIG" or "SIG PID": to pid 1, or to the process with that pid inside. */
static int store_kill(void *object, char *s, size_t n)
{
	struct container *c = object;
	struct siginfo info;
	struct process *p;
	char *space = strchr(s, ' ');
	u64 sig, pid = 1;
	int err;

	if (space)
		*space = 0;
	if (parse_u64(s, &sig) || sig < 1 || sig > NSIG || (space && parse_u64(space + 1, &pid)))
		return -EINVAL;
	err = pid <= PID_MAX ? process_find_in(&c->pids, pid, &p) : -ESRCH;
	if (err)
		return err;
	signal_init_info(&info, sig, SI_USER);
	info.kill.pid = 0; /* from outside */
	info.kill.uid = uid_shown_by(c->owner.usermap, current->cred->uid);
	err = signal_send_process(p, sig, &info);
	process_put(p);
	return err;
}

/* --- a terminal --- */

/*
 * Opened by who stands outside, it is the master of a new pty of the container, which pays for it
 * and has its slave in /dev/pts: what ctool gives a program that it starts.
 */
static int terminal_open(struct inode *i, struct file *f)
{
	struct container *c = pseudo_object(i);
	int err = container_may_manage_from_outside(c);

	return err ? err : pty_open_master(&c->owner, f);
}

static const struct file_ops terminal_file_ops = { .open = terminal_open };

/* --- the tree --- */

#define CONTROL_READABLE(n, s)                                \
	{                                                     \
		.name = n, .mode = S_IFREG | 0444, .show = s, \
	}
#define CONTROL_WRITABLE(n, s, w)                                                               \
	{                                                                                       \
		.name = n, .mode = S_IFREG | 0644, .show = s, .store = w, .open = open_managed, \
	}

static const struct pseudo_entry container_files[] = {
	CONTROL_READABLE("name", show_name),
	{ .name = "state", .mode = S_IFREG | 0444, .show = show_state, .changed = state_changed },
	CONTROL_READABLE("procs", show_procs),
	CONTROL_READABLE("parent", show_parent),
	CONTROL_READABLE("root", show_root),
	CONTROL_READABLE("hostname", show_hostname),
	CONTROL_READABLE("console", show_console),
	CONTROL_WRITABLE("pids.max", show_pids_max, store_pids_max),
	CONTROL_READABLE("pids.current", show_pids_current),
	CONTROL_READABLE("pids.peak", show_pids_peak),
	CONTROL_READABLE("pids.events", show_pids_events),
	CONTROL_WRITABLE("files.max", show_files_max, store_files_max),
	CONTROL_READABLE("files.current", show_files_current),
	CONTROL_READABLE("files.peak", show_files_peak),
	CONTROL_READABLE("files.events", show_files_events),
	CONTROL_WRITABLE("memory.max", show_memory_max, store_memory_max),
	CONTROL_WRITABLE("memory.high", show_memory_high, store_memory_high),
	CONTROL_WRITABLE("memory.min", show_memory_min, store_memory_min),
	CONTROL_READABLE("memory.current", show_memory_current),
	CONTROL_READABLE("memory.peak", show_memory_peak),
	CONTROL_READABLE("memory.events", show_memory_events),
	CONTROL_READABLE("memory.stat", show_memory_stat),
	CONTROL_WRITABLE("disk.max", show_disk_max, store_disk_max),
	CONTROL_READABLE("disk.current", show_disk_current),
	CONTROL_READABLE("disk.peak", show_disk_peak),
	CONTROL_READABLE("disk.events", show_disk_events),
	CONTROL_WRITABLE("inodes.max", show_inodes_max, store_inodes_max),
	CONTROL_READABLE("inodes.current", show_inodes_current),
	CONTROL_READABLE("inodes.peak", show_inodes_peak),
	CONTROL_READABLE("inodes.events", show_inodes_events),
	{ .name = "diff", .mode = S_IFREG | 0400, .show = diff_show, .open = diff_open },
	{ .name = "volume", .mode = S_IFREG | 0400, .show = volume_show, .open = volume_open },
	{ .name = "mount", .mode = S_IFREG | 0200, .store = mount_store, .open = mount_open },
	CONTROL_READABLE("io.stat", show_io_stat),
	CONTROL_WRITABLE("io.max", show_io_max, store_io_max),
	CONTROL_WRITABLE("cpu.weight", show_cpu_weight, store_cpu_weight),
	CONTROL_WRITABLE("cpu.max", show_cpu_max, store_cpu_max),
	{ .name = "memory.map",
	  .mode = S_IFREG | 0400,
	  .show = memory_map_show,
	  .open = memory_map_open },
	CONTROL_WRITABLE("memory.log", show_memory_log, store_memory_log),
	{ .name = "memory.address", .mode = S_IFREG | 0666, .file_ops = &memory_address_file_ops },
	CONTROL_READABLE("cfd", show_cfd),
	CONTROL_READABLE("cpu.stat", show_cpu_stat),
	CONTROL_WRITABLE("cpuset.cpus", show_cpuset, store_cpuset),
	CONTROL_READABLE("cpuset.cpus.effective", show_cpuset_effective),
	CONTROL_WRITABLE("sched.policy", show_sched_policy, store_sched_policy),
	CONTROL_WRITABLE("sched.log", show_sched_log, store_sched_log),
	CONTROL_READABLE("sched.state", show_sched_state),
	CONTROL_READABLE("exit_status", show_exit_status),
	CONTROL_READABLE("created", show_created),
	CONTROL_WRITABLE("syscalls.deny", filter_show, filter_store),
	CONTROL_READABLE("syscalls.deny.effective", filter_show_effective),
	CONTROL_READABLE("syscalls.events", filter_show_events),
	{ .name = "events", .mode = S_IFREG | 0444, .show = event_show, .changed = event_changed },
	CONTROL_WRITABLE("on_limit", on_limit_show, on_limit_store),
	{ .name = "uid_map",
	  .mode = S_IFREG | 0644,
	  .show = show_uid_map,
	  .store = store_uid_map,
	  .open = usermap_open },
	{ .name = "gid_map",
	  .mode = S_IFREG | 0644,
	  .show = show_gid_map,
	  .store = store_gid_map,
	  .open = usermap_open },
	{ .name = "freeze",
	  .mode = S_IFREG | 0644,
	  .show = show_freeze,
	  .changed = state_changed,
	  .store = store_freeze,
	  .open = open_managed },
	{ .name = "log", .mode = S_IFREG | 0600, .file_ops = &output_log_file_ops },
	{ .name = "pty", .mode = S_IFREG | 0600, .file_ops = &terminal_file_ops },
	{ .name = "trace", .mode = S_IFREG | 0400, .file_ops = &trace_file_ops },
	{ .name = "kill", .mode = S_IFREG | 0200, .store = store_kill, .open = open_managed },
	{ 0 },
};

static void container_dir_get(void *object)
{
	container_get(object);
}

static void container_dir_put(void *object)
{
	container_put(object);
}

static bool container_dir_alive(void *object)
{
	struct container *c = object;

	return c == &host_container || hlist_hashed(&c->name_node);
}

static void container_dir_owner(void *object, u32 *uid, u32 *gid)
{
	*uid = ((struct container *)object)->creator; /* global */
}

static const struct pseudo_dir_ops container_dir = {
	.entries = container_files,
	.get = container_dir_get,
	.put = container_dir_put,
	.alive = container_dir_alive,
	.owner = container_dir_owner,
};

/* The object of /sys and /sys/container is the superblock: its owner is the viewer. */
static const struct owner *viewer_of(void *object)
{
	return ((struct superblock *)object)->owner;
}

static int containers_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e,
			     void **child)
{
	const struct owner *viewer = viewer_of(object);
	struct container *c;
	u64 id;

	if (!strcmp(name, "self"))
		c = container_get(container_of(viewer, struct container, owner));
	else if (name[0] < '1' || name[0] > '9' || parse_u64(name, &id) || id > UINT32_MAX ||
		 container_find(viewer, id, &c))
		return -ENOENT;
	*e = (struct pseudo_entry){ .mode = S_IFDIR | 0755, .dir = &container_dir };
	*child = c;
	return 0;
}

/* Cookie 0: self; n: the first container with an id >= n. */
static bool containers_next(void *object, u64 *cookie, char *name, size_t size, u32 *mode)
{
	struct container *c;
	u32 id = *cookie;

	*mode = S_IFDIR | 0755;
	if (!*cookie)
		return strlcpy(name, "self", size);
	if (*cookie > INT32_MAX || !container_next(viewer_of(object), &id, &c))
		return false;
	container_put(c);
	*cookie = id;
	snprintf(name, size, "%u", id);
	return true;
}

static const struct pseudo_dir_ops containers_dir = {
	.lookup = containers_lookup,
	.next = containers_next,
};

static int show_cpus(void *object, struct text *t)
{
	text_printf(t, cpu_count > 1 ? "0-%u\n" : "%u\n", cpu_count - 1);
	return 0;
}

static const struct pseudo_entry cpu_files[] = {
	{ .name = "online", .mode = S_IFREG | 0444, .show = show_cpus },
	{ .name = "possible", .mode = S_IFREG | 0444, .show = show_cpus },
	{ .name = "present", .mode = S_IFREG | 0444, .show = show_cpus },
	{ 0 },
};
static const struct pseudo_dir_ops cpu_dir = { .entries = cpu_files };
static const struct pseudo_entry system_files[] = {
	{ .name = "cpu", .mode = S_IFDIR | 0755, .dir = &cpu_dir }, { 0 }
};
static const struct pseudo_dir_ops system_dir = { .entries = system_files };
static const struct pseudo_entry devices_files[] = {
	{ .name = "system", .mode = S_IFDIR | 0755, .dir = &system_dir }, { 0 }
};
static const struct pseudo_dir_ops devices_dir = { .entries = devices_files };

static const struct pseudo_entry root_files[] = {
	{ .name = "container", .mode = S_IFDIR | 0755, .dir = &containers_dir },
	{ .name = "devices", .mode = S_IFDIR | 0755, .dir = &devices_dir },
	{ 0 },
};
static const struct pseudo_dir_ops root_dir = { .entries = root_files };

static int control_mount(const struct fs_type *t, const char *source, u32 flags, const char *data,
			 struct superblock **out)
{
	return pseudo_mount(t, &root_dir, SYSFS_MAGIC, out);
}

const struct fs_type control_fs_type = {
	.name = "sysfs",
	.mount = control_mount,
};
