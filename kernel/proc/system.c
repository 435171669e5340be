/* SPDX-License-Identifier: MIT */
/*
 * system.c - the calls about the machine and its name: uname, sethostname,
 * sysinfo, getcpu, getrandom, syslog, reboot, membarrier. Inside a container they
 * answer for the container: its names, its share of memory, its processes.
 */
#include "arch/x86/arch.h"
#include "arch/x86/smp.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/random.h"
#include "fs/cowfs/vfs.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "proc/process.h"
#include "proc/signal.h"
#include "tty/tty.h"
#include "syscalls.h"

/* --- names --- */

const char uts_release[] = "6.1.0-skerry";

#define UTS_SIZE 65
struct utsname {
	char sysname[UTS_SIZE], nodename[UTS_SIZE], release[UTS_SIZE], version[UTS_SIZE],
		machine[UTS_SIZE], domainname[UTS_SIZE];
};

s64 sys_uname(uaddr_t out)
{
	struct uts *uts = current->process->pids->uts;
	struct utsname u = {
		.sysname = "Linux", /* whose system-call interface this is */
		.version = "#1 SMP Skerry",
		.machine = "x86_64",
	};

	memcpy(u.release, uts_release, sizeof(uts_release));
	spin_lock(&uts->lock);
	memcpy(u.nodename, uts->hostname, UTS_SIZE);
	memcpy(u.domainname, uts->domainname, UTS_SIZE);
	spin_unlock(&uts->lock);
	if (current->process->personality & 0x0020000) /* UNAME26 */
		strlcpy(u.release, "2.6.61-skerry", sizeof(u.release));
	return put_user(out, &u);
}

static s64 uts_set(char *which, uaddr_t name, int len)
{
	struct pid_table *t = current->process->pids;
	char text[UTS_SIZE] = { 0 };

	if (!may(t->owner, CAP_SYS_ADMIN))
		return -EPERM;
	if (len < 0 || len > UTS_SIZE - 1)
		return -EINVAL;
	if (copy_from_user(text, name, len))
		return -EFAULT;
	spin_lock(&t->uts->lock);
	memcpy(which, text, UTS_SIZE);
	spin_unlock(&t->uts->lock);
	return 0;
}

s64 sys_sethostname(uaddr_t name, int len)
{
	return uts_set(current->process->pids->uts->hostname, name, len);
}

s64 sys_setdomainname(uaddr_t name, int len)
{
	return uts_set(current->process->pids->uts->domainname, name, len);
}

/* --- sysinfo(2) --- */

struct sysinfo {
	s64 uptime;
	u64 loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	u16 procs, pad;
	u64 totalhigh, freehigh;
	u32 mem_unit;
};
_Static_assert(sizeof(struct sysinfo) == 112, "sysinfo(2)");

/* The lowest memory limit that holds for current's container. */
static u64 memory_limit(const struct account *a)
{
	u64 limit = UINT64_MAX;

	for (; a; a = a->parent) {
		u64 max = READ_ONCE(a->res[RES_MEMORY].max);
		limit = MIN(limit, max);
	}
	return limit;
}

s64 sys_sysinfo(uaddr_t out)
{
	struct pid_table *t = current->process->pids;
	struct page_stats m;
	struct sysinfo s = { .mem_unit = 1 };
	u64 available;

	page_stats(&m);
	s.uptime = ktime_get() / NSEC_PER_SEC;
	sched_loadavg(t->group, s.loads);
	for (int i = 0; i < 3; i++)
		s.loads[i] <<= 5; /* SI_LOAD_SHIFT 16 */
	s.totalram = MIN(m.total * PAGE_SIZE, memory_limit(t->owner->account));
	available = MAX(account_available(t->owner->account, RES_MEMORY), (s64)0);
	s.freeram = MIN(m.free * PAGE_SIZE, available);
	s.bufferram = 0;
	s.procs = MIN(READ_ONCE(t->processes), 65535u);
	return put_user(out, &s);
}

s64 sys_getcpu(uaddr_t cpu, uaddr_t node, uaddr_t unused)
{
	u32 id = this_cpu()->id, zero = 0;

	if ((cpu && put_user(cpu, &id)) || (node && put_user(node, &zero)))
		return -EFAULT;
	return 0;
}

/* --- getrandom(2) --- */

enum { GRND_NONBLOCK = 1, GRND_RANDOM = 2, GRND_INSECURE = 4 };

s64 sys_getrandom(uaddr_t buf, size_t len, u32 flags)
{
	u8 chunk[256];
	size_t done = 0;

	if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
	    (flags & (GRND_INSECURE | GRND_RANDOM)) == (GRND_INSECURE | GRND_RANDOM))
		return -EINVAL;
	len = MIN(len, (size_t)INT32_MAX);
	while (done < len) {
		size_t n = MIN(len - done, sizeof(chunk)), left;
		random_bytes(chunk, n);
		left = copy_to_user_partial(buf + done, chunk, n);
		done += n - left;
		if (left)
			return done ? (s64)done : -EFAULT;
		if (done < len && signal_pending())
			break;
		resched_point();
	}
	return done;
}

/* --- syslog(2) --- */

enum {
	LOG_ACTION_CLOSE,
	LOG_ACTION_OPEN,
	LOG_ACTION_READ,
	LOG_ACTION_READ_ALL,
	LOG_ACTION_READ_CLEAR,
	LOG_ACTION_CLEAR,
	LOG_ACTION_CONSOLE_OFF,
	LOG_ACTION_CONSOLE_ON,
	LOG_ACTION_CONSOLE_LEVEL,
	LOG_ACTION_SIZE_UNREAD,
	LOG_ACTION_SIZE_BUFFER,
};
#define LOG_BUFFER_SIZE 65536
static u64 log_read_position, log_cleared_position;

/* From *pos on, the last `len` bytes at most if tail: the count, or -errno. */
static s64 log_to_user(u64 *pos, uaddr_t buf, size_t len, bool tail)
{
	char *text = kmalloc(LOG_BUFFER_SIZE, KM_ACCOUNT);
	size_t n, skip = 0;

	if (!text)
		return -ENOMEM;
	n = printk_read(pos, text, tail ? LOG_BUFFER_SIZE : MIN(len, (size_t)LOG_BUFFER_SIZE));
	if (tail && n > len)
		skip = n - len;
	n -= skip;
	if (copy_to_user(buf, text + skip, n)) {
		kfree(text);
		return -EFAULT;
	}
	kfree(text);
	return n;
}

static u64 log_end(void)
{
	char sink[64];
	u64 pos = READ_ONCE(log_read_position);

	while (printk_read(&pos, sink, sizeof(sink)))
		;
	return pos;
}

/* The log is the machine's: a container has none. */
s64 sys_syslog(int action, uaddr_t buf, int len)
{
	bool reads = action == LOG_ACTION_READ || action == LOG_ACTION_READ_ALL ||
		     action == LOG_ACTION_READ_CLEAR;
	bool harmless = action == LOG_ACTION_READ_ALL || action == LOG_ACTION_SIZE_BUFFER;
	u64 pos = log_cleared_position;

	if (action < 0 || action > LOG_ACTION_SIZE_BUFFER)
		return -EINVAL;
	if (!current->process->pids->is_host || (!harmless && !may_host(CAP_SYSLOG)))
		return -EPERM;
	if (reads && (!buf || len < 0))
		return -EINVAL;
	switch (action) {
	case LOG_ACTION_READ:
		return len ? log_to_user(&log_read_position, buf, len, false) : 0;
	case LOG_ACTION_READ_ALL:
		return log_to_user(&pos, buf, len, true);
	case LOG_ACTION_READ_CLEAR: {
		s64 n = log_to_user(&pos, buf, len, true);
		log_cleared_position = pos;
		return n;
	}
	case LOG_ACTION_CLEAR:
		log_cleared_position = log_end();
		return 0;
	case LOG_ACTION_CONSOLE_OFF:
		printk_set_level(LOG_ALERT);
		return 0;
	case LOG_ACTION_CONSOLE_ON:
		printk_set_level(LOG_INFO);
		return 0;
	case LOG_ACTION_CONSOLE_LEVEL:
		if (len < 1 || len > 8)
			return -EINVAL;
		printk_set_level(len);
		return 0;
	case LOG_ACTION_SIZE_UNREAD:
		return log_end() - log_read_position;
	case LOG_ACTION_SIZE_BUFFER:
		return LOG_BUFFER_SIZE;
	}
	return 0; /* OPEN, CLOSE */
}

/* --- reboot(2) --- */

#define REBOOT_MAGIC1 0xfee1deadu
#define CMD_RESTART   0x01234567u
#define CMD_HALT      0xcdef0123u
#define CMD_CAD_ON    0x89abcdefu
#define CMD_CAD_OFF   0u
#define CMD_POWER_OFF 0x4321fedcu
#define CMD_RESTART2  0xa1b2c3d4u

static bool reboot_magic2_ok(u32 magic)
{
	return magic == 672274793 || magic == 85072278 || magic == 369367448 || magic == 537993216;
}

/* A container ends with its pid 1 (man 2 reboot, "Behavior inside PID namespaces"). */
static s64 reboot_container(u32 cmd)
{
	bool restart = cmd == CMD_RESTART || cmd == CMD_RESTART2;

	if (!restart && cmd != CMD_HALT && cmd != CMD_POWER_OFF)
		return -EINVAL;
	container_hooks->reboot(current->process->container, !restart);
	return 0;
}

s64 sys_reboot(u32 magic1, u32 magic2, u32 cmd, uaddr_t arg)
{
	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	if (magic1 != REBOOT_MAGIC1 || !reboot_magic2_ok(magic2))
		return -EINVAL;
	if (!current->process->pids->is_host)
		return reboot_container(cmd);
	switch (cmd) {
	case CMD_CAD_ON:
	case CMD_CAD_OFF:
		return 0;
	case CMD_RESTART:
	case CMD_RESTART2:
		cowfs_sync_all();
		log_info("restarting\n");
		vc_leave();
		arch_reset();
	case CMD_HALT:
	case CMD_POWER_OFF:
		cowfs_sync_all();
		log_info("power off\n");
		vc_leave();
		arch_power_off();
	}
	return -EINVAL;
}

/* --- membarrier(2) --- */

enum {
	MEMBARRIER_GLOBAL = 1,
	MEMBARRIER_GLOBAL_EXPEDITED = 2,
	MEMBARRIER_REGISTER_GLOBAL_EXPEDITED = 4,
	MEMBARRIER_PRIVATE_EXPEDITED = 8,
	MEMBARRIER_REGISTER_PRIVATE_EXPEDITED = 16,
	MEMBARRIER_PRIVATE_EXPEDITED_SYNC_CORE = 32,
	MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 64,
};
#define MEMBARRIER_ALL 127

static void membarrier_nothing(void *arg) {}

/* An interrupt is a full barrier, and returning from it serialises (SDM vol. 3, 9.3). */
s64 sys_membarrier(int cmd, u32 flags, int cpu)
{
	struct process *p = current->process;
	u8 registration = 0;

	if (flags)
		return -EINVAL;
	switch (cmd) {
	case 0: /* MEMBARRIER_CMD_QUERY */
		return MEMBARRIER_ALL;
	case MEMBARRIER_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
		p->membarrier |= cmd;
		return 0;
	case MEMBARRIER_PRIVATE_EXPEDITED:
	case MEMBARRIER_PRIVATE_EXPEDITED_SYNC_CORE:
		registration = cmd << 1;
		break;
	case MEMBARRIER_GLOBAL:
	case MEMBARRIER_GLOBAL_EXPEDITED:
		break;
	default:
		return -EINVAL;
	}
	if (registration && !(p->membarrier & registration))
		return -EPERM;
	if (cpu_count > 1)
		smp_call_all(membarrier_nothing, NULL);
	return 0;
}

/* --- personality(2) --- */

s64 sys_personality(u32 persona)
{
	u32 old = current->process->personality;

	if (persona != 0xffffffff)
		current->process->personality = persona;
	return old;
}
