/* SPDX-License-Identifier: MIT */
/*
 * procfs.c - the formats of the files of /proc that programs read, and the devices of /dev.
 */
#include "scratch.h"
#include <ctype.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

static char text[65536];

static const char *slurp(const char *path)
{
	if (tap_slurp(path, text, sizeof text) < 0) {
		FAIL("%s: %s", path, strerror(errno));
		text[0] = 0;
	}
	return text;
}

/* The number after NAME: at the start of a line of the file; -1 if there is none. */
static long long field(const char *path, const char *name)
{
	size_t n = strlen(name);

	slurp(path);
	for (char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (!strncmp(p, name, n) && (p[n] == ':' || p[n] == ' '))
			return strtoll(p + n + 1, NULL, 10);
	FAIL("%s has no %s", path, name);
	return -1;
}

static void stat_of_a_process(void)
{
	int pid, ppid, pgrp, session, tty, tpgid;
	char comm[64], state;
	unsigned long numbers[64];
	int n = 0;
	static char much[4 << 20];

	memset(much, 1, sizeof much); /* Linux counts pages roughly */
	slurp("/proc/self/stat");
	char *end = strrchr(text, ')');
	REQUIRE(end);
	EQ(sscanf(text, "%d (%63[^)]", &pid, comm), 2);
	EQ(sscanf(end + 2, "%c %d %d %d %d %d", &state, &ppid, &pgrp, &session, &tty, &tpgid), 6);
	EQ(pid, getpid());
	EQ(ppid, getppid());
	EQ(pgrp, getpgrp());
	EQ(session, getsid(0));
	EQ(state, 'R');
	STREQ(comm, "procfs");
	for (char *p = strtok(end + 2, " \n"); p && n < 64; p = strtok(NULL, " \n"))
		numbers[n++] = strtoul(p, NULL, 10);
	EQ(n, 50);		   /* fields 3 to 52 of proc(5) */
	EQ(numbers[17], 1);	   /* 20: threads */
	CHECK(numbers[19] > 0);	   /* 22: start time */
	CHECK(numbers[20] > 4096); /* 23: bytes of address space */
	CHECK(numbers[21] > 0);	   /* 24: resident pages */
	/* a comm with blanks and brackets */
	pid_t child;
	FORKED(child)
	{
		int fd = open("/proc/self/comm", O_WRONLY);
		EQ(write(fd, "a) (b c", 7), 7);
		STREQ(slurp("/proc/self/comm"), "a) (b c\n");
		slurp("/proc/self/stat");
		CHECK(strstr(text, "(a) (b c) R"));
	}
	EQ(reap(child), 0);
}

static void status_of_a_process(void)
{
	static const char *path = "/proc/self/status";

	EQ(field(path, "Pid"), getpid());
	EQ(field(path, "Tgid"), getpid());
	EQ(field(path, "PPid"), getppid());
	EQ(field(path, "Uid"), getuid());
	EQ(field(path, "Threads"), 1);
	CHECK(field(path, "VmSize") > 0);
	CHECK(field(path, "VmRSS") > 0);
	CHECK(field(path, "VmPTE") >= 16); /* one page for each level */
	CHECK(strstr(slurp(path), "State:\tR (running)\n"));
	CHECK(strstr(text, "Name:\tprocfs\n"));
	CHECK(strstr(text, "\nSigCgt:\t") && strstr(text, "\nCapEff:\t"));
	long size, resident;
	EQ(sscanf(slurp("/proc/self/statm"), "%ld %ld", &size, &resident), 2);
	CHECK(size >= resident && resident > 0);
}

static void maps_of_a_process(void)
{
	char *m = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool mine = false, stack = false, code = false, sorted = true;
	unsigned long last = 0;

	slurp("/proc/self/maps");
	for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n")) {
		unsigned long from, to, offset, inode;
		unsigned int maj, min;
		char perms[8], name[256] = "";
		if (sscanf(p, "%lx-%lx %7s %lx %x:%x %lu %255s", &from, &to, perms, &offset, &maj,
			   &min, &inode, name) < 7) {
			FAIL("malformed: %s", p);
			continue;
		}
		sorted &= from >= last && to > from;
		last = to;
		mine |= from <= (unsigned long)m && to >= (unsigned long)m + 3 * 4096 &&
			!strcmp(perms, "r--p");
		stack |= !strcmp(name, "[stack]") && !strncmp(perms, "rw-p", 4) &&
			 from <= (unsigned long)&sorted && to > (unsigned long)&sorted;
		code |= from <= (unsigned long)maps_of_a_process &&
			to > (unsigned long)maps_of_a_process && !strcmp(perms, "r-xp") &&
			strstr(name, "procfs") && inode;
	}
	CHECK(mine);
	CHECK(stack);
	CHECK(code);
	CHECK(sorted);
	munmap(m, 3 * 4096);
}

static void links_and_descriptors(void)
{
	char to[256] = "", path[64];

	scratch();
	put("f", "x", 0600);
	int fd = OK(open("f", O_RDONLY)), p[2];
	OK(pipe(p));
	CHECK(readlink("/proc/self/exe", to, sizeof to) > 0 && strstr(to, "/procfs"));
	memset(to, 0, sizeof to);
	CHECK(readlink("/proc/self/cwd", to, sizeof to) > 0);
	STREQ(to, scratch_path);
	memset(to, 0, sizeof to);
	EQ(readlink("/proc/self/root", to, sizeof to), 1);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	memset(to, 0, sizeof to);
	OK(readlink(path, to, sizeof to));
	CHECK(!strncmp(to, scratch_path, strlen(scratch_path)) && strstr(to, "/f"));
	snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
	memset(to, 0, sizeof to);
	OK(readlink(path, to, sizeof to));
	CHECK(!strncmp(to, "pipe:[", 6));
	struct stat a, b;
	OK(fstat(p[0], &a));
	EQ(strtoul(to + 6, NULL, 10), a.st_ino);
	OK(stat(path, &b));
	EQ(a.st_ino, b.st_ino);
	OK(lstat(path, &b));
	CHECK(S_ISLNK(b.st_mode));
	DIR *d = opendir("/proc/self/fd");
	REQUIRE(d);
	int count = 0;
	struct dirent *e;
	while ((e = readdir(d)))
		count += isdigit(e->d_name[0]) != 0;
	closedir(d);
	EQ(count, tap_count_fds() + 1);
	close(fd);
	ERR(open("/proc/self/fd/99", O_RDONLY), ENOENT);
	memset(to, 0, sizeof to);
	OK(readlink("/proc/self", to, sizeof to));
	EQ(atoi(to), getpid());
	close(p[0]);
	close(p[1]);
}

static void command_line_and_environment(void)
{
	pid_t pid;

	slurp("/proc/self/cmdline");
	CHECK(strstr(text, "procfs"));
	int p[2];
	OK(pipe(p));
	FORKED(pid)
	{
		dup2(p[0], 0);
		close(p[1]);
		execle("/proc/self/exe", "one", "--wait", "", NULL,
		       (char *[]){ "A=b", "C=", NULL });
	}
	close(p[0]);
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	AWAIT(tap_slurp(path, text, sizeof text) == 12 && !memcmp(text, "one\0--wait\0\0", 12));
	snprintf(path, sizeof path, "/proc/%d/environ", pid);
	EQ(tap_slurp(path, text, sizeof text), 7);
	CHECK(!memcmp(text, "A=b\0C=\0", 7));
	close(p[1]);
	EQ(reap(pid), 0);
	ERR(open(path, O_RDONLY), ENOENT);
}

static void other_processes(void)
{
	pid_t pid;
	char path[64];

	FORKED(pid)
	{
		for (;;)
			pause();
	}
	AWAIT(process_state(pid) == 'S');
	kill(pid, SIGSTOP);
	AWAIT(process_state(pid) == 'T');
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	int held = OK(open(path, O_RDONLY));
	kill(pid, SIGKILL);
	AWAIT(process_state(pid) == 'Z');
	EQ(reap(pid), 137);
	ERR(open(path, O_RDONLY), ENOENT);
	char c;
	ERR(read(held, &c, 1), ESRCH);
	close(held);
	/* listed, in order of the numbers */
	DIR *d = opendir("/proc");
	struct dirent *e;
	int last = 0, seen = 0;
	while ((e = readdir(d)))
		if (isdigit(e->d_name[0])) {
			CHECK(atoi(e->d_name) > last);
			last = atoi(e->d_name);
			seen += last == getpid() || last == 1;
		}
	closedir(d);
	EQ(seen, 2);
}

static void system_files(void)
{
	double a, b, c;
	int running, all, last, n;
	char name[65];

	long long total = field("/proc/meminfo", "MemTotal"),
		  unused = field("/proc/meminfo", "MemFree");
	CHECK(total > 0 && unused > 0 && unused <= total);
	CHECK(field("/proc/meminfo", "MemAvailable") <= total);
	field("/proc/meminfo", "Buffers");
	field("/proc/meminfo", "Cached");
	EQ(field("/proc/meminfo", "SwapFree") <= field("/proc/meminfo", "SwapTotal"), 1);
	EQ(sscanf(slurp("/proc/uptime"), "%lf %lf", &a, &b), 2);
	CHECK(a > 0);
	EQ(sscanf(slurp("/proc/loadavg"), "%lf %lf %lf %d/%d %d", &a, &b, &c, &running, &all,
		  &last),
	   6);
	CHECK(running >= 1 && all >= running);
	slurp("/proc/stat");
	CHECK(!strncmp(text, "cpu ", 4) && strstr(text, "\ncpu0 ") && strstr(text, "\nbtime ") &&
	      strstr(text, "\nctxt ") && strstr(text, "\nprocesses "));
	long was = field("/proc/stat", "ctxt"), born = field("/proc/stat", "processes");
	pid_t child;
	FORKED(child) sleep_ms(1);
	EQ(reap(child), 0);
	CHECK(field("/proc/stat", "ctxt") > was && was > 0);
	CHECK(field("/proc/stat", "processes") > born && born > 0);
	CHECK(field("/proc/stat", "intr") > 0);
	CHECK(llabs(field("/proc/stat", "btime") - (time(NULL) - now_ms() / 1000)) < 60 * 60 * 24);
	slurp("/proc/cpuinfo");
	CHECK(strstr(text, "processor\t: 0\n") && strstr(text, "\nflags\t\t: ") &&
	      strstr(text, "model name"));
	CHECK(!strncmp(slurp("/proc/version"), "Linux version ", 14));
	CHECK(strchr(slurp("/proc/cmdline"), '\n'));
	CHECK(strstr(slurp("/proc/filesystems"), "nodev\ttmpfs\n"));
	CHECK(strstr(slurp("/proc/mounts"), " /proc proc "));
	n = atoi(slurp("/proc/sys/kernel/pid_max"));
	CHECK(n >= 300);
	slurp("/proc/sys/kernel/osrelease");
	CHECK(isdigit(text[0]));
	gethostname(name, sizeof name);
	slurp("/proc/sys/kernel/hostname");
	text[strcspn(text, "\n")] = 0;
	STREQ(text, name);
	slurp("/proc/sys/vm/overcommit_memory");
	CHECK(isdigit(text[0]));
	CHECK(strstr(slurp("/proc/net/dev"), "Receive") != NULL);
	ERR(open("/proc/nosuchfile", O_RDONLY), ENOENT);
	ERR(open("/proc/new", O_CREAT | O_WRONLY, 0600), ENOENT);
	ERR(open("/proc/meminfo", O_WRONLY | O_DIRECTORY), ENOTDIR);
	ERR(unlink("/proc/meminfo"), EPERM);
	slurp("/sys/devices/system/cpu/online");
	CHECK(text[0] == '0');
}

/* Read in small pieces and by pread, a file of /proc is the same text. */
static void reading_in_pieces(void)
{
	static const char *paths[] = { "/proc/self/status", "/proc/mounts", "/proc/cpuinfo",
				       "/proc/self/maps" };
	static char whole[65536], pieces[65536];

	for (size_t i = 0; i < COUNT(paths); i++) {
		ssize_t n, used = 0, size = tap_slurp(paths[i], whole, sizeof whole);
		int fd = OK(open(paths[i], O_RDONLY));
		while ((n = read(fd, pieces + used, 7)) > 0)
			used += n;
		CHECK(size > 0);
		if (i != 0) { /* counts of status change */
			EQ(used, size);
			CHECK(!memcmp(whole, pieces, used));
		}
		EQ(pread(fd, pieces, 10, 5), 10);
		CHECK(!memcmp(pieces, whole + 5, 10));
		EQ(lseek(fd, 0, SEEK_SET), 0);
		EQ(read(fd, pieces, 5), 5);
		close(fd);
	}
}

static void devices(void)
{
	static const struct {
		const char *name;
		int major, minor;
		mode_t mode;
	} table[] = { { "/dev/null", 1, 3, 0666 },    { "/dev/zero", 1, 5, 0666 },
		      { "/dev/full", 1, 7, 0666 },    { "/dev/random", 1, 8, 0666 },
		      { "/dev/urandom", 1, 9, 0666 }, { "/dev/tty", 5, 0, 0666 },
		      { "/dev/ptmx", 5, 2, 0666 } };
	struct stat st;
	char a[64], b[64];

	for (size_t i = 0; i < COUNT(table); i++) {
		if (stat(table[i].name, &st)) {
			FAIL("%s: %s", table[i].name, strerror(errno));
			continue;
		}
		CHECK(S_ISCHR(st.st_mode));
		EQ(st.st_mode & 0666, table[i].mode);
		EQ(major(st.st_rdev), table[i].major);
		EQ(minor(st.st_rdev), table[i].minor);
	}
	int fd = OK(open("/dev/null", O_RDWR));
	EQ(read(fd, a, 10), 0);
	EQ(write(fd, a, 10), 10);
	EQ(write(fd, (void *)8, 10), 10); /* not looked at */
	EQ(lseek(fd, 5, SEEK_SET), 0);
	OK(ftruncate(fd, 0) == -1 && errno == EINVAL ? 0 : -1);
	close(fd);
	fd = OK(open("/dev/zero", O_RDWR));
	memset(a, 1, sizeof a);
	EQ(read(fd, a, sizeof a), sizeof a);
	EQ(a[0] | a[63], 0);
	EQ(write(fd, a, 10), 10);
	ERR(read(fd, (void *)8, 10), EFAULT);
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(m != MAP_FAILED && m[5000] == 0);
	m[5000] = 1;
	munmap(m, 8192);
	close(fd);
	fd = OK(open("/dev/full", O_RDWR));
	ERR(write(fd, a, 1), ENOSPC);
	EQ(read(fd, a, 8), 8);
	close(fd);
	fd = OK(open("/dev/urandom", O_RDONLY));
	EQ(read(fd, a, sizeof a), sizeof a);
	EQ(read(fd, b, sizeof b), sizeof b);
	CHECK(memcmp(a, b, sizeof a));
	close(fd);
	OK(readlink("/dev/fd", a, sizeof a));
	fd = OK(open("/dev/stdout", O_WRONLY));
	close(fd);
	fd = OK(open("/dev/shm/tap.shm", O_RDWR | O_CREAT | O_EXCL, 0600));
	OK(ftruncate(fd, 4096));
	close(fd);
	OK(unlink("/dev/shm/tap.shm"));
	OK(stat("/dev/pts", &st));
	CHECK(S_ISDIR(st.st_mode));
}

static const struct tap_case cases[] = {
	T(stat_of_a_process),
	T(status_of_a_process),
	T(maps_of_a_process),
	T(links_and_descriptors),
	T(command_line_and_environment),
	T(other_processes),
	T(system_files),
	T(reading_in_pieces),
	T(devices),
};

int main(int argc, char **argv)
{
	char c;

	if (argc > 1 && !strcmp(argv[1], "--wait"))
		return read(0, &c, 1) != 0;
	return TAP_RUN(cases, argc, argv);
}
