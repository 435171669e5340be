/* SPDX-License-Identifier: MIT */
/*
 * procfs.c - the files of /proc that describe the system (man 5 proc). A mount
 * belongs to a container (superblock->owner) and tells that container's truth:
 * its processes, its memory limit, its CPU time.
 */
#include "proc/procfs.h"
#include "arch/x86/arch.h"
#include "arch/x86/boot.h"
#include "core/errno.h"
#include "core/inject.h"
#include "core/leak.h"
#include "core/random.h"
#include "fs/context.h"
#include "lib/string.h"
#include "mm/aspace.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "proc/sched.h"

#define PROC_MAGIC 0x9fa0

typedef unsigned long long ull;

static struct owner *owner_of(void *object)
{
	return ((struct superblock *)object)->owner;
}

/* --- memory, CPUs, time --- */

static u64 pages_kib(u64 pages)
{
	return pages * (PAGE_SIZE / 1024);
}

/* What a container has, and can have: its own memory by use, its limit if it has one. */
static void page_stats_of(const struct account *a, struct page_stats *s)
{
	s64 available = account_available(a, RES_MEMORY);
	struct memory_stat m;

	memory_stat(a, &m);
	s->anon = m.anon >> PAGE_SHIFT;
	s->cached = m.file >> PAGE_SHIFT;
	s->slab = m.slab >> PAGE_SHIFT;
	s->tables = m.tables >> PAGE_SHIFT;
	s->kernel_stacks = m.stacks >> PAGE_SHIFT;
	s->total = MIN(s->total, (u64)account_limit(a, RES_MEMORY) >> PAGE_SHIFT);
	s->free = MIN(s->free, (u64)MAX(available, (s64)0) >> PAGE_SHIFT);
}

static int show_meminfo(void *object, struct text *t)
{
	struct account *a = owner_of(object)->account;
	struct page_stats s;
	u64 free, cached;

	page_stats(&s);
	if (a != &account_root)
		page_stats_of(a, &s);
	free = pages_kib(s.free);
	cached = pages_kib(s.cached);
	text_printf(t,
		    "MemTotal:       %8llu kB\nMemFree:        %8llu kB\nMemAvailable:   %8llu kB\n"
		    "Buffers:        %8u kB\nCached:         %8llu kB\nSwapCached:     %8u kB\n"
		    "AnonPages:      %8llu kB\nShmem:          %8llu kB\nSlab:           %8llu kB\n"
		    "KernelStack:    %8llu kB\nPageTables:     %8llu kB\nSwapTotal:      %8u kB\n"
		    "SwapFree:       %8u kB\n",
		    (ull)pages_kib(s.total), (ull)free, (ull)free, 0, (ull)cached, 0,
		    (ull)pages_kib(s.anon), (ull)cached, (ull)pages_kib(s.slab),
		    (ull)pages_kib(s.kernel_stacks), (ull)pages_kib(s.tables), 0, 0);
	return 0;
}

static int show_cpuinfo(void *object, struct text *t)
{
	size_t size = 4096;
	char *buf = kmalloc(size, KM_ACCOUNT);

	if (!buf)
		return -ENOMEM;
	for_each_cpu (i)
		text_append(t, buf, MIN(arch_cpuinfo(i, buf, size), size));
	kfree(buf);
	return 0;
}

static int show_uptime(void *object, struct text *t)
{
	ktime_t up = ktime_get(), idle;
	struct sched_usage used;

	sched_group_usage(procfs_table(object)->group, &used);
	idle = MAX(up * cpu_count - used.user - used.system, (ktime_t)0);
	text_printf(t, "%lld.%02lld %lld.%02lld\n", (long long)(up / NSEC_PER_SEC),
		    (long long)(up / (NSEC_PER_SEC / 100) % 100), (long long)(idle / NSEC_PER_SEC),
		    (long long)(idle / (NSEC_PER_SEC / 100) % 100));
	return 0;
}

static void print_cpu(struct text *t, const char *name, ktime_t user, ktime_t system, ktime_t idle)
{
	text_printf(t, "%s %llu 0 %llu %llu 0 0 0 0 0 0\n", name, (ull)procfs_ticks(user),
		    (ull)procfs_ticks(system), (ull)procfs_ticks(idle));
}

/* What each CPU did since boot. */
static void stat_of_machine(struct text *t)
{
	struct sched_stats one, all = { 0 };
	u64 interrupts = 0;
	char name[8];

	for_each_cpu (i) {
		sched_stats_of(i, &one);
		all.user += one.user;
		all.system += one.system;
		all.idle += one.idle;
		all.switches += one.switches;
		interrupts += interrupts_of(i);
	}
	print_cpu(t, "cpu ", all.user, all.system, all.idle);
	for_each_cpu (i) {
		sched_stats_of(i, &one);
		snprintf(name, sizeof(name), "cpu%u", i);
		print_cpu(t, name, one.user, one.system, one.idle);
	}
	text_printf(t, "intr %llu\nctxt %llu\n", (ull)interrupts, (ull)all.switches);
}

/* What the container's tasks did, on each CPU. */
static void stat_of_container(struct pid_table *table, struct text *t)
{
	struct sched_usage all, one;
	ktime_t up = ktime_get();
	char name[8];

	sched_group_usage(table->group, &all);
	print_cpu(t, "cpu ", all.user, all.system,
		  MAX(up * cpu_count - all.user - all.system, (ktime_t)0));
	for_each_cpu (i) {
		one = (struct sched_usage){ 0 };
		sched_group_usage_on(table->group, i, &one);
		snprintf(name, sizeof(name), "cpu%u", i);
		print_cpu(t, name, one.user, one.system,
			  MAX(up - one.user - one.system, (ktime_t)0));
	}
	text_printf(t, "intr 0\nctxt %llu\n", (ull)(all.voluntary + all.involuntary));
}

/* Threads, as in Linux's /proc/loadavg; of those that run, whole processes. */
static void count_processes(struct pid_table *table, u32 *running, u32 *all)
{
	struct process *p;

	*running = *all = 0;
	for (u32 pid = 1; !process_next_in(table, &pid, &p); pid++) {
		*running += process_state_letter(p) == 'R';
		*all += READ_ONCE(p->thread_count);
		process_put(p);
	}
}

static int show_stat(void *object, struct text *t)
{
	struct pid_table *table = procfs_table(object);
	u32 running, all;

	if (table->is_host)
		stat_of_machine(t);
	else
		stat_of_container(table, t);
	count_processes(table, &running, &all);
	text_printf(t, "btime %lld\nprocesses %llu\nprocs_running %u\nprocs_blocked 0\n",
		    (long long)((realtime_get() - ktime_get()) / NSEC_PER_SEC),
		    (ull)(table->is_host ? processes_born() : READ_ONCE(table->born)), running);
	return 0;
}

static int show_loadavg(void *object, struct text *t)
{
	struct pid_table *table = procfs_table(object);
	u32 running, all;
	u64 load[3];

	sched_loadavg(table->group, load);
	for (int i = 0; i < 3; i++) {
		u64 hundredths = (load[i] * 100 + LOAD_ONE / 2) / LOAD_ONE;
		text_printf(t, "%llu.%02llu ", (ull)hundredths / 100, (ull)hundredths % 100);
	}
	count_processes(table, &running, &all);
	text_printf(t, "%u/%u %llu\n", running, all, (ull)table->ids.last);
	return 0;
}

/* --- names and lists --- */

static int show_version(void *object, struct text *t)
{
	text_printf(t, "Linux version %s (skerry) #1 SMP\n", uts_release);
	return 0;
}

static int show_cmdline(void *object, struct text *t)
{
	text_printf(t, "%s\n", owner_of(object) == &owner_host ? boot_info.cmdline : "");
	return 0;
}

static int show_filesystems(void *object, struct text *t)
{
	for (size_t i = 0; fs_types[i]; i++)
		text_printf(t, "%s\t%s\n", fs_types[i]->needs_device ? "" : "nodev",
			    fs_types[i]->name);
	return 0;
}

static int show_devices(void *object, struct text *t)
{
	text_printf(t, "Character devices:\n  1 mem\n  4 tty\n  5 /dev/tty\n  5 /dev/console\n  5 "
		       "/dev/ptmx\n"
		       "136 pts\n248 virtio-ports\n\nBlock devices:\n254 virtblk\n");
	return 0;
}

static int show_swaps(void *object, struct text *t)
{
	text_printf(t, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	return 0;
}

static int link_text(char *buf, size_t size, const char *s)
{
	return strlcpy(buf, s, size) < size ? 0 : -ENAMETOOLONG;
}

static int read_self(void *object, char *buf, size_t size)
{
	u32 pid = process_pid_in(current->process, procfs_table(object));

	if (!pid)
		return -ENOENT;
	snprintf(buf, size, "%u", pid);
	return 0;
}

static int read_thread_self(void *object, char *buf, size_t size)
{
	u32 pid = process_pid_in(current->process, procfs_table(object));

	if (!pid)
		return -ENOENT;
	snprintf(buf, size, "%u/task/%u", pid, current->tid);
	return 0;
}

static int read_mounts(void *object, char *buf, size_t size)
{
	return link_text(buf, size, "self/mounts");
}

static int read_net(void *object, char *buf, size_t size)
{
	return link_text(buf, size, "self/net");
}

/* --- /proc/sys --- */

static int show_pid_max(void *object, struct text *t)
{
	text_printf(t, "%u\n", PID_MAX);
	return 0;
}

static int show_osrelease(void *object, struct text *t)
{
	text_printf(t, "%s\n", uts_release);
	return 0;
}

static int show_ostype(void *object, struct text *t)
{
	text_printf(t, "Linux\n");
	return 0;
}

static int show_hostname(void *object, struct text *t)
{
	struct uts *uts = procfs_table(object)->uts;
	char name[65];

	spin_lock(&uts->lock);
	strlcpy(name, uts->hostname, sizeof(name));
	spin_unlock(&uts->lock);
	text_printf(t, "%s\n", name);
	return 0;
}

static int show_uuid(void *object, struct text *t)
{
	u8 b[16];

	random_bytes(b, sizeof(b));
	b[6] = (b[6] & 15) | 0x40; /* RFC 9562: version 4 */
	b[8] = (b[8] & 63) | 0x80;
	for (int i = 0; i < 16; i++)
		text_printf(t, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
	text_printf(t, "\n");
	return 0;
}

static int show_zero(void *object, struct text *t)
{
	text_printf(t, "0\n");
	return 0;
}

static int show_one(void *object, struct text *t)
{
	text_printf(t, "1\n");
	return 0;
}

static int show_somaxconn(void *object, struct text *t)
{
	text_printf(t, "4096\n");
	return 0;
}

static int show_max_map_count(void *object, struct text *t)
{
	text_printf(t, "65530\n");
	return 0;
}

static int show_pipe_max_size(void *object, struct text *t)
{
	text_printf(t, "1048576\n");
	return 0;
}

static int show_nr_open(void *object, struct text *t)
{
	text_printf(t, "1048576\n");
	return 0;
}

#define RO(n, f)                                                 \
	{                                                        \
		.name = (n), .mode = S_IFREG | 0444, .show = (f) \
	}
#define DIR(n, d)                                                \
	{                                                        \
		.name = (n), .mode = S_IFDIR | 0555, .dir = &(d) \
	}
#define LINK(n, f)                                                   \
	{                                                            \
		.name = (n), .mode = S_IFLNK | 0777, .readlink = (f) \
	}

static const struct pseudo_entry random_files[] = { RO("uuid", show_uuid), { 0 } };
static const struct pseudo_dir_ops random_dir = { .entries = random_files };
static const struct pseudo_entry kernel_files[] = {
	RO("pid_max", show_pid_max),
	RO("osrelease", show_osrelease),
	RO("ostype", show_ostype),
	RO("hostname", show_hostname),
	RO("randomize_va_space", show_zero),
	DIR("random", random_dir),
	{ 0 },
};
static const struct pseudo_dir_ops kernel_dir = { .entries = kernel_files };
static const struct pseudo_entry vm_files[] = {
	RO("overcommit_memory", show_one),
	RO("max_map_count", show_max_map_count),
	{ 0 },
};
static const struct pseudo_dir_ops vm_dir = { .entries = vm_files };
static const struct pseudo_entry core_files[] = { RO("somaxconn", show_somaxconn), { 0 } };
static const struct pseudo_dir_ops core_dir = { .entries = core_files };
static const struct pseudo_entry net_files[] = { DIR("core", core_dir), { 0 } };
static const struct pseudo_dir_ops net_dir = { .entries = net_files };
static const struct pseudo_entry sysfs_files[] = {
	RO("pipe-max-size", show_pipe_max_size),
	RO("nr_open", show_nr_open),
	{ 0 },
};
static const struct pseudo_dir_ops sysfs_dir = { .entries = sysfs_files };
static const struct pseudo_entry sys_files[] = {
	DIR("kernel", kernel_dir),
	DIR("vm", vm_dir),
	DIR("net", net_dir),
	DIR("fs", sysfs_dir),
	{ 0 },
};
static const struct pseudo_dir_ops sys_dir = { .entries = sys_files };

/* --- /proc/skerry: for tests --- */

static void show_cache(const char *name, u64 live, size_t size, void *arg)
{
	text_printf(arg, "%s %llu %zu\n", name, (ull)live, size);
}

/* What is alive of each kind and how large one is, after everything that only delays frees has been
 * emptied. */
static int show_objects(void *object, struct text *t)
{
	struct page_stats s;

	if (!may_host(CAP_SYS_ADMIN))
		return -EPERM;
	kernel_drain();
	page_stats(&s);
	/* Slabs are counted as free: their objects stand here by name, and how many slabs the same
	 * objects take depends on the order in which they came. */
	text_printf(t, "free_pages %llu\n", (ull)(s.free + s.slab));
	slab_for_each(show_cache, t);
	return 0;
}

static const struct pseudo_entry skerry_files[] = {
	{ .name = "objects", .mode = S_IFREG | 0400, .show = show_objects },
	{ 0 },
};
static const struct pseudo_dir_ops skerry_dir = { .entries = skerry_files };

/* --- the root --- */

static const struct pseudo_entry root_files[] = {
	RO("meminfo", show_meminfo),
	RO("cpuinfo", show_cpuinfo),
	RO("uptime", show_uptime),
	RO("stat", show_stat),
	RO("loadavg", show_loadavg),
	RO("version", show_version),
	RO("cmdline", show_cmdline),
	RO("filesystems", show_filesystems),
	RO("devices", show_devices),
	RO("swaps", show_swaps),
	LINK("self", read_self),
	LINK("thread-self", read_thread_self),
	LINK("mounts", read_mounts),
	LINK("net", read_net),
	DIR("sys", sys_dir),
	DIR("skerry", skerry_dir),
	{ 0 },
};

static const struct pseudo_dir_ops root_dir = {
	.entries = root_files,
	.lookup = procfs_pid_lookup,
	.next = procfs_pid_next,
};

static int procfs_mount(const struct fs_type *t, const char *source, u32 flags, const char *data,
			struct superblock **out)
{
	return pseudo_mount(t, &root_dir, PROC_MAGIC, out);
}

const struct fs_type procfs_type = {
	.name = "proc",
	.mount = procfs_mount,
};
