/* SPDX-License-Identifier: MIT */
/*
 * proc_cred.c - user and group ids, capabilities, set-id programs, prctl, resource limits, uname
 * and the rest of what a process can ask about itself.
 */
#include "scratch.h"
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#define KEEP ((uid_t)-1)

static bool ids_are(uid_t r, uid_t e, uid_t s)
{
	uid_t a, b, c;

	syscall(SYS_getresuid, &a, &b, &c);
	if (a == r && b == e && c == s)
		return true;
	tap_say("# ids are %d %d %d, expected %d %d %d", a, b, c, r, e, s);
	return false;
}

/* Raw calls: the libraries' own go through all threads. */
#define SETUID(u)      syscall(SYS_setuid, u)
#define SETREUID(r, e) syscall(SYS_setreuid, r, e)
#define SETRESUID(...) syscall(SYS_setresuid, __VA_ARGS__)
#define IN_A_CHILD                                                            \
	for (pid_t c_ = fork(), once_ = 1; once_; once_ = 0, child_ended(c_)) \
		if (c_ == 0)                                                  \
			for (;; _exit(0))

static void child_ended(pid_t pid)
{
	EQ(reap(pid), 0);
}

static void user_ids(void)
{
	IN_A_CHILD
	{
		OK(SETUID(1000)); /* root: all three */
		CHECK(ids_are(1000, 1000, 1000));
		ERR(SETUID(0), EPERM);
		ERR(SETRESUID(0, KEEP, KEEP), EPERM);
		OK(SETUID(1000));
	}
	IN_A_CHILD
	{
		OK(SETRESUID(1, 2, 3));
		CHECK(ids_are(1, 2, 3));
		ERR(SETUID(4), EPERM);
		OK(SETUID(1)); /* the effective one only */
		CHECK(ids_are(1, 1, 3));
		OK(SETUID(3));
		CHECK(ids_are(1, 3, 3));
		ERR(SETRESUID(2, KEEP, KEEP), EPERM);
		OK(SETRESUID(3, 1, KEEP));
		CHECK(ids_are(3, 1, 3));
		OK(SETRESUID(KEEP, KEEP, 1));
		CHECK(ids_are(3, 1, 1));
		ERR(SETRESUID(KEEP, 5, KEEP), EPERM);
		CHECK(ids_are(3, 1, 1)); /* all or nothing */
	}
	IN_A_CHILD
	{
		OK(SETREUID(KEEP, 5)); /* effective differs from real: saved follows */
		CHECK(ids_are(0, 5, 5));
		OK(SETREUID(5, 0));
		CHECK(ids_are(5, 0, 0));
		OK(SETREUID(7, KEEP));
		CHECK(ids_are(7, 0, 0));
		OK(SETREUID(8, 9));
		CHECK(ids_are(8, 9, 9));
		ERR(SETREUID(10, KEEP), EPERM);
		OK(SETREUID(9, 8));
		CHECK(ids_are(9, 8, 8));
	}
	IN_A_CHILD
	{
		OK(SETRESUID(0, 1000, 0)); /* and back */
		OK(SETRESUID(0, 0, 0));
		EQ(syscall(SYS_setfsuid, 5), 0);
		EQ(syscall(SYS_setfsuid, -1), 5);
		EQ(syscall(SYS_setfsgid, 5), 0);
		EQ(syscall(SYS_setfsgid, -1), 5);
	}
	ERR(syscall(SYS_getresuid, 8, 8, 8), EFAULT);
}

static void group_ids(void)
{
	gid_t list[4] = { 10, 20, 30, 10 }, got[8];

	IN_A_CHILD
	{
		OK(syscall(SYS_setgroups, 4, list));
		EQ(getgroups(0, NULL), 4);
		EQ(getgroups(8, got), 4);
		ERR(getgroups(3, got), EINVAL);
		ERR(getgroups(-1, got), EINVAL);
		ERR(syscall(SYS_setgroups, 65537, list), EINVAL);
		ERR(syscall(SYS_setgroups, 4, 8), EFAULT);
		OK(syscall(SYS_setresgid, 1, 2, 3));
		ERR(syscall(SYS_setgid, -1), EINVAL);
		EQ(getgid(), 1);
		EQ(getegid(), 2);
		OK(syscall(SYS_setgid, 7)); /* still root: all three */
		gid_t a, b, c;
		syscall(SYS_getresgid, &a, &b, &c);
		CHECK(a == 7 && b == 7 && c == 7);
		OK(syscall(SYS_setregid, 5, 6));
		OK(SETUID(1000));
		ERR(syscall(SYS_setgroups, 1, list), EPERM);
		ERR(syscall(SYS_setgid, 9), EPERM);
		OK(syscall(SYS_setgid, 5));
		EQ(getegid(), 5);
		EQ(getgroups(0, NULL), 4);
	}
}

struct caps {
	uint64_t effective, permitted, inheritable;
};

static struct caps caps_of(pid_t pid)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, pid };
	struct __user_cap_data_struct d[2] = { { 0, 0, 0 } };

	OK(syscall(SYS_capget, &h, d));
	return (struct caps){ d[0].effective | (uint64_t)d[1].effective << 32,
			      d[0].permitted | (uint64_t)d[1].permitted << 32,
			      d[0].inheritable | (uint64_t)d[1].inheritable << 32 };
}

static int set_caps(struct caps c)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { { c.effective, c.permitted, c.inheritable },
					       { c.effective >> 32, c.permitted >> 32,
						 c.inheritable >> 32 } };

	return syscall(SYS_capset, &h, d);
}

#define BIT(cap) (1ULL << (cap))

static void capabilities(void)
{
	struct caps all = caps_of(0), c;
	struct __user_cap_header_struct h = { 0, 0 };

	CHECK(all.effective & BIT(CAP_CHOWN));
	EQ(all.effective, all.permitted);
	IN_A_CHILD
	{
		c = all;
		c.effective &= ~BIT(CAP_CHOWN);
		OK(set_caps(c));
		EQ(caps_of(0).effective, c.effective);
		scratch_path[0] = 0;
		ERR(chown("/tmp", 1, 1), EPERM);
		OK(set_caps(all)); /* still permitted: to be had again */
		c.permitted &= ~BIT(CAP_CHOWN);
		OK(set_caps(c));
		ERR(set_caps(all), EPERM);
		c.effective |= BIT(CAP_CHOWN);
		ERR(set_caps(c), EPERM);
	}
	IN_A_CHILD
	{
		OK(SETRESUID(KEEP, 1000, KEEP)); /* effective id not 0: no effective ones */
		EQ(caps_of(0).effective, 0);
		EQ(caps_of(0).permitted, all.permitted);
		OK(SETRESUID(KEEP, 0, KEEP));
		EQ(caps_of(0).effective, all.permitted);
		OK(SETRESUID(1000, 1000, 1000)); /* none is 0: gone */
		EQ(caps_of(0).permitted, 0);
	}
	IN_A_CHILD
	{
		OK(prctl(PR_SET_KEEPCAPS, 1));
		EQ(prctl(PR_GET_KEEPCAPS), 1);
		OK(SETRESUID(1000, 1000, 1000));
		EQ(caps_of(0).permitted, all.permitted);
		EQ(caps_of(0).effective, 0);
		OK(set_caps(all));
		OK(SETRESUID(0, 0, 0));
	}
	EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 1);
	ERR(prctl(PR_CAPBSET_READ, 64), EINVAL);
	IN_A_CHILD
	{
		OK(prctl(PR_CAPBSET_DROP, CAP_CHOWN));
		EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 0);
		CHECK(caps_of(0).effective & BIT(CAP_CHOWN));
	}
	ERR(syscall(SYS_capget, &h, &c), EINVAL);
	EQ(h.version, _LINUX_CAPABILITY_VERSION_3);
	h.pid = 999999;
	ERR(syscall(SYS_capget, &h, &c), ESRCH);
	h.pid = 1;
	ERR(syscall(SYS_capset, &h, &c), EPERM);
	ERR(syscall(SYS_capget, 8, &c), EFAULT);
}

static void copy_self(const char *to)
{
	static char bytes[65536];
	ssize_t n;
	int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_CREAT | O_WRONLY, 0755);

	REQUIRE(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof bytes)) > 0)
		REQUIRE(write(out, bytes, n) == n);
	close(in);
	close(out);
}

/* What the helper, executed with set-id bits, reports by its exit code. */
static int report(void)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;

	syscall(SYS_getresuid, &r, &e, &s);
	syscall(SYS_getresgid, &gr, &ge, &gs);
	return (e == 2000) | (s == 2000) << 1 | (r == 1000) << 2 | (ge == 3000) << 3 |
	       (gs == 3000) << 4 | (prctl(PR_GET_DUMPABLE) != 1) << 5;
}

static void set_id_programs(void)
{
	scratch();
	copy_self("prog");
	static const struct {
		mode_t mode;
		bool no_new_privs;
		int expected;
	} table[] = {
		{ 0755, false, 4 },
		{ 04755, false, 1 + 2 + 4 + 32 },
		{ 02755, false, 4 + 8 + 16 + 32 },
		{ 06755, false, 1 + 2 + 4 + 8 + 16 + 32 },
		{ 06755, true, 4 },
		{ 02745, false, 4 }, /* no group execution: no set-group-id */
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		OK(chown("prog", 2000, 3000));
		OK(chmod("prog", table[i].mode));
		pid_t pid;
		FORKED(pid)
		{
			become(1000, 1000);
			if (table[i].no_new_privs) {
				OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
				EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
				ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
			}
			execve("./prog", (char *[]){ "prog", "--report", NULL }, NULL);
			_exit(99);
		}
		EQ(reap(pid), table[i].expected);
	}
	/* a script's bits do nothing */
	char line[128];
	snprintf(line, sizeof line, "#!%s/prog --report\n", scratch_path);
	OK(chmod("prog", 0755));
	put("script", line, 0755);
	OK(chown("script", 2000, 3000));
	OK(chmod("script", 06755));
	pid_t pid;
	FORKED(pid)
	{
		become(1000, 1000);
		execve("./script", (char *[]){ "s", NULL }, NULL);
		_exit(99);
	}
	EQ(reap(pid), 4);
}

static void prctl_options(void)
{
	char name[32] = "";
	int sig = 9;

	OK(prctl(PR_SET_NAME, "a name that is longer than fifteen"));
	OK(prctl(PR_GET_NAME, name));
	STREQ(name, "a name that is ");
	STREQ(get("/proc/self/comm"), "a name that is \n");
	OK(prctl(PR_GET_PDEATHSIG, &sig));
	EQ(sig, 0);
	EQ(prctl(PR_GET_DUMPABLE), 1);
	OK(prctl(PR_SET_DUMPABLE, 0));
	EQ(prctl(PR_GET_DUMPABLE), 0);
	ERR(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	EQ(prctl(PR_GET_CHILD_SUBREAPER, &sig), 0);
	EQ(sig, 0);
	ERR(prctl(9999, 0, 0, 0, 0), EINVAL);
	ERR(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
	ERR(prctl(PR_GET_PDEATHSIG, 8), EFAULT);
	ERR(prctl(PR_SET_NAME, 8), EFAULT);
	EQ(prctl(PR_GET_TIMERSLACK) > 0, 1);
	/* arch_prctl */
	unsigned long fs = 0;
	OK(syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &fs));
	CHECK(fs != 0);
	ERR(syscall(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, 0x800000000000), EPERM);
	OK(syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, 0x1234));
	OK(syscall(SYS_arch_prctl, 0x1004 /* ARCH_GET_GS */, &fs));
	EQ(fs, 0x1234);
	ERR(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
	ERR(syscall(SYS_arch_prctl, 0x1003, 8), EFAULT);
}

/* The exit code of a child that writes to port 0x80, where no device is. */
static int child_with_port(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		__asm__ volatile("outb %%al, $0x80" : : "a"(0));
		_exit(0);
	}
	return reap(pid);
}

static void ports(void)
{
	if (!on_skerry())
		SKIP("the ports of this machine are not for tests");
	ERR(syscall(SYS_iopl, 4), EINVAL);
	IN_A_CHILD
	{
		OK(SETRESUID(1000, 1000, 1000));
		ERR(syscall(SYS_iopl, 3), EPERM);
		OK(syscall(SYS_iopl, 0));
	}
	IN_A_CHILD
	{
		OK(syscall(SYS_iopl, 3));
		__asm__ volatile("outb %%al, $0x80" : : "a"(0));
		EQ(child_with_port(), 128 + SIGSEGV); /* not inherited */
		__asm__ volatile("outb %%al, $0x80" : : "a"(0));
		OK(syscall(SYS_iopl, 0));
		EQ(child_with_port(), 128 + SIGSEGV);
	}
}

static void resource_limits(void)
{
	struct rlimit l, old;

	for (int r = 0; r < 16; r++) {
		OK(getrlimit(r, &l));
		CHECK(l.rlim_cur <= l.rlim_max);
	}
	ERR(getrlimit(16, &l), EINVAL);
	ERR(syscall(SYS_prlimit64, 0, 99, NULL, &l), EINVAL);
	ERR(syscall(SYS_prlimit64, 999999, 0, NULL, &l), ESRCH);
	ERR(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 8, NULL), EFAULT);
	IN_A_CHILD
	{
		OK(getrlimit(RLIMIT_NOFILE, &old));
		l = (struct rlimit){ 100, 50 };
		ERR(setrlimit(RLIMIT_NOFILE, &l), EINVAL);
		l = (struct rlimit){ 20, 40 };
		OK(setrlimit(RLIMIT_NOFILE, &l));
		pid_t pid = fork();
		if (pid == 0) {
			getrlimit(RLIMIT_NOFILE, &l); /* inherited */
			_exit(l.rlim_cur == 20 && l.rlim_max == 40 ? 0 : 1);
		}
		EQ(reap(pid), 0);
		become(1000, 1000);
		l = (struct rlimit){ 40, 40 };
		OK(setrlimit(RLIMIT_NOFILE, &l));
		l = (struct rlimit){ 40, 41 };
		ERR(setrlimit(RLIMIT_NOFILE, &l), EPERM);
		ERR(syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &l), EPERM);
	}
	IN_A_CHILD
	{
		pid_t pid = fork();
		if (pid == 0)
			for (;;)
				pause();
		l = (struct rlimit){ 17, 18 };
		OK(syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, &l, &old));
		OK(syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &old));
		EQ(old.rlim_cur, 17);
		kill(pid, SIGKILL);
		reap(pid);
	}
}

/* RLIMIT_NPROC binds users, not root. */
static void process_limit(void)
{
	struct rlimit l = { 3, 3 };

	IN_A_CHILD
	{
		OK(setrlimit(RLIMIT_NPROC, &l));
		for (int i = 0; i < 5; i++) { /* root is not bound */
			pid_t pid = fork();
			if (pid == 0)
				_exit(0);
			CHECK(pid > 0);
		}
		while (wait(NULL) > 0)
			;
		become(7777, 7777);
		pid_t pid[3];
		int n = 0;
		for (; n < 3 && (pid[n] = fork()) >= 0; n++)
			if (pid[n] == 0)
				for (;;)
					pause();
		EQ(errno, EAGAIN);
		EQ(n, 2);
		while (n-- > 0)
			kill(pid[n], SIGKILL);
		while (wait(NULL) > 0)
			;
	}
}

static void processor_limit(void)
{
	struct rlimit l = { 1, 2 };
	pid_t pid;

	FORKED(pid)
	{
		setrlimit(RLIMIT_CPU, &l);
		for (;;)
			;
	}
	EQ(reap(pid), 128 + SIGXCPU);
	FORKED(pid)
	{
		signal(SIGXCPU, SIG_IGN);
		setrlimit(RLIMIT_CPU, &l);
		for (;;)
			;
	}
	EQ(reap(pid), 137);
}

static void priorities(void)
{
	IN_A_CHILD
	{
		EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 20);
		OK(setpriority(PRIO_PROCESS, 0, 5));
		EQ(getpriority(PRIO_PROCESS, 0), 5);
		OK(setpriority(PRIO_PROCESS, 0, 99)); /* cut to 19 */
		EQ(getpriority(PRIO_PROCESS, 0), 19);
		OK(setpriority(PRIO_PROCESS, 0, -99));
		EQ(getpriority(PRIO_PROCESS, 0), -20);
		OK(setpriority(PRIO_PROCESS, 0, 3));
		become(1000, 1000);
		OK(setpriority(PRIO_PROCESS, 0, 4));
		ERR(setpriority(PRIO_PROCESS, 0, 3), EACCES);
		ERR(setpriority(PRIO_PROCESS, 1, 5), EPERM);
	}
	ERR(setpriority(99, 0, 0), EINVAL);
	ERR(syscall(SYS_getpriority, 99, 0), EINVAL);
	ERR(setpriority(PRIO_PROCESS, 999999, 0), ESRCH);
	cpu_set_t set;
	long n = syscall(SYS_sched_getaffinity, 0, sizeof set, &set);
	CHECK(n > 0 && n % 8 == 0);
	CHECK(CPU_COUNT(&set) >= 1);
	ERR(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL);
	ERR(syscall(SYS_sched_getaffinity, 999999, sizeof set, &set), ESRCH);
	EQ(sched_yield(), 0);
}

static void system_information(void)
{
	struct utsname u;
	struct sysinfo s;

	OK(uname(&u));
	STREQ(u.sysname, "Linux");
	STREQ(u.machine, "x86_64");
	CHECK(u.release[0] >= '3' && strchr(u.release, '.'));
	ERR(syscall(SYS_uname, 8), EFAULT);
	OK(sysinfo(&s));
	CHECK(s.totalram > 0 && s.freeram <= s.totalram && s.procs >= 1 && s.mem_unit >= 1);
	ERR(syscall(SYS_sysinfo, 8), EFAULT);
	IN_A_CHILD
	{
		char old[65], now[65];
		gethostname(old, sizeof old);
		become(1000, 1000);
		ERR(sethostname("x", 1), EPERM);
		gethostname(now, sizeof now);
		STREQ(now, old);
	}
	char name[65];
	gethostname(name, sizeof name);
	OK(sethostname("tap-test", 8));
	uname(&u);
	STREQ(u.nodename, "tap-test");
	ERR(syscall(SYS_sethostname, "x", -1), EINVAL);
	ERR(syscall(SYS_sethostname, "x", 65), EINVAL);
	ERR(syscall(SYS_sethostname, 8, 4), EFAULT);
	OK(sethostname(name, strlen(name)));
	/* random numbers */
	unsigned char a[256], b[256];
	EQ(syscall(SYS_getrandom, a, 256, 0), 256);
	EQ(syscall(SYS_getrandom, b, 256, 1), 256);
	CHECK(memcmp(a, b, 256) != 0);
	EQ(syscall(SYS_getrandom, a, 0, 0), 0);
	ERR(syscall(SYS_getrandom, a, 1, 0x100), EINVAL);
	ERR(syscall(SYS_getrandom, a, 1, 2 | 4), EINVAL);
	ERR(syscall(SYS_getrandom, 8, 16, 0), EFAULT);
}

static const struct tap_case cases[] = {
	T(user_ids),	    T(group_ids),  T(capabilities),	  T(set_id_programs),
	T(prctl_options),   T(ports),	   T(resource_limits),	  T(process_limit),
	T(processor_limit), T(priorities), T(system_information),
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--report"))
		return report();
	return TAP_RUN(cases, argc, argv);
}
