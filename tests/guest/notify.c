/* SPDX-License-Identifier: MIT */
/*
 * notify.c - container_notify: a manager is asked about calls, answers them, and dies; what it was
 * shown is what is done; hostile managers, callers and addresses; the container's end in between.
 */
#include "cont.h"
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>

#define NOTIFY(cid) ((int)syscall(SYS_container_notify, cid))

static union {
	struct cnotify_call call;
	char bytes[CNOTIFY_CALL_MAX];
} record;

/* The next call, which must be this one. */
static struct cnotify_call *next(int fd, long number)
{
	ssize_t n = read(fd, &record, sizeof record);

	REQUIRE(n >= (ssize_t)sizeof record.call);
	EQ(record.call.size, n);
	EQ(record.call.number, number);
	return &record.call;
}

static const char *copy_of(const struct cnotify_call *c, unsigned i)
{
	return c->data[i].length ? (const char *)c + c->data[i].offset : "(none)";
}

static int answer(int fd, struct cnotify_answer a)
{
	return write(fd, &a, sizeof a) == sizeof a ? 0 : -1;
}

static int answer_with_data(int fd, struct cnotify_answer a, const void *data, size_t n)
{
	char bytes[1024];

	memcpy(bytes, &a, sizeof a);
	memcpy(bytes + sizeof a, data, n);
	return write(fd, bytes, sizeof a + n) == (ssize_t)(sizeof a + n) ? 0 : -1;
}

#define ANSWER(fd, ...) answer(fd, (struct cnotify_answer){ .id = record.call.id, __VA_ARGS__ })

static int managed(const char *rules, int *fd)
{
	world();
	int c = spawn();

	OK(control_set(c, "syscalls.deny", rules));
	*fd = NOTIFY(c);
	REQUIRE(*fd >= 0);
	EQ(fcntl(*fd, F_GETFD), FD_CLOEXEC);
	return c;
}

static void verdicts(void)
{
	int fd, c = managed("mkdir=notify rmdir=notify open=notify uname=notify", &fd);
	pid_t pid;
	CFORKED(pid, c)
	{
		OK(mkdir("/made", 0711));
		ERR(mkdir("/refused", 0755), EXDEV);
		EQ(mkdir("/imagined", 0755), 0);
		ERR(rmdir("/imagined"), ENOENT);
		int file = OK(syscall(SYS_open, "/a/table/of/its/own", O_RDONLY | O_CLOEXEC));
		char text[16] = "";
		EQ(read(file, text, sizeof text), 5);
		STREQ(text, "hello");
		EQ(fcntl(file, F_GETFD), FD_CLOEXEC);
		EQ(syscall(SYS_open, "/big", O_RDONLY), 0x7fffffff);
		struct utsname u;
		EQ(syscall(SYS_uname, &u), 0);
		STREQ(u.sysname, "Another");
		close(file);
	}
	struct cnotify_call *call = next(fd, SYS_mkdir);
	EQ(call->container, c);
	EQ(call->pid, 1);
	EQ(call->tid, 1);
	EQ(call->args[1], 0711);
	EQ(call->data[0].length, sizeof "/made");
	STREQ(copy_of(call, 0), "/made");
	EQ(call->data[1].length, 0);
	OK(ANSWER(fd, .verdict = CNOTIFY_ALLOW));
	STREQ(copy_of(next(fd, SYS_mkdir), 0), "/refused");
	OK(ANSWER(fd, .verdict = CNOTIFY_ERRNO, .error = EXDEV));
	STREQ(copy_of(next(fd, SYS_mkdir), 0), "/imagined");
	OK(ANSWER(fd, .verdict = CNOTIFY_VALUE));
	next(fd, SYS_rmdir);
	OK(ANSWER(fd, .verdict = CNOTIFY_ALLOW));
	STREQ(copy_of(next(fd, SYS_open), 0), "/a/table/of/its/own");
	put("mine", "hello", 0600);
	int mine = OK(open("mine", O_RDONLY | O_CLOEXEC));
	OK(ANSWER(fd, .verdict = CNOTIFY_FILE, .value = mine, .flags = CNOTIFY_CLOEXEC));
	close(mine);
	next(fd, SYS_open);
	OK(ANSWER(fd, .verdict = CNOTIFY_VALUE, .value = 0x7fffffff));
	next(fd, SYS_uname);
	struct cnotify_answer a = { .id = record.call.id,
				    .verdict = CNOTIFY_VALUE,
				    .data_length = 8 };
	OK(answer_with_data(fd, a, "Another", 8));
	EQ(reap(pid), 0);
	EQ(mode_of("r/made"), S_IFDIR | 0711);
	EQ(mode_of("r/refused"), 0);
	EQ(mode_of("r/imagined"), 0);
	gone(c);
	EQ(read(fd, &record, sizeof record), 0);
	close(fd);
}

static void bad_answers(void)
{
	int fd, c = managed("mkdir=notify getpid=notify", &fd);
	pid_t pid;
	CFORKED(pid, c)
	{
		EQ(mkdir("/x", 0755), 0);
		syscall(SYS_getpid);
	}
	ERR(read(fd, &record, 8), EINVAL);
	ERR(read(fd, &record, sizeof record.call), EINVAL); /* the path does not fit */
	ERR(read(fd, (void *)8, sizeof record), EFAULT);
	void *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap((char *)page + 4096, 4096);
	ERR(read(fd, (char *)page + 4096 - 32, sizeof record), EFAULT); /* half of it */
	next(fd, SYS_mkdir);						/* it is still there */
	ERR(ANSWER(fd, .verdict = 4), EINVAL);
	ERR(ANSWER(fd, .verdict = CNOTIFY_ERRNO), EINVAL);
	ERR(ANSWER(fd, .verdict = CNOTIFY_ERRNO, .error = 512), EINVAL); /* the kernel's own */
	ERR(ANSWER(fd, .verdict = CNOTIFY_VALUE, .value = -1), EINVAL);
	ERR(ANSWER(fd, .verdict = CNOTIFY_VALUE, .value = -512), EINVAL);
	ERR(ANSWER(fd, .verdict = CNOTIFY_FILE, .value = 900), EBADF);
	ERR(ANSWER(fd, .verdict = CNOTIFY_FILE, .value = -1), EBADF);
	ERR(ANSWER(fd, .verdict = CNOTIFY_FILE, .value = 1LL << 32), EBADF);
	ERR(ANSWER(fd, .verdict = CNOTIFY_ALLOW, .flags = 1), EINVAL);
	ERR(ANSWER(fd, .verdict = CNOTIFY_FILE, .flags = 2), EINVAL);
	ERR(ANSWER(fd, .verdict = CNOTIFY_VALUE, .data_length = 8), EINVAL); /* no data came */
	ERR(ANSWER(fd, .verdict = CNOTIFY_VALUE, .data_arg = 6), EINVAL);
	ERR(ANSWER(fd, .reserved = 1), EINVAL);
	struct cnotify_answer a = { .id = record.call.id, .data_length = 8 };
	ERR(answer_with_data(fd, a, "01234567", 8), EINVAL); /* data with ALLOW */
	a.id++;
	a.data_length = 0;
	ERR(answer(fd, a), ENOENT);
	a.id = 0;
	ERR(answer(fd, a), ENOENT);
	ERR(write(fd, &a, sizeof a - 1), EINVAL);
	ERR(write(fd, (void *)8, sizeof a), EFAULT);
	a.id = record.call.id + 1; /* the next one, which nobody has read */
	ERR(answer(fd, a), ENOENT);
	OK(ANSWER(fd, .verdict = CNOTIFY_ALLOW));
	ERR(ANSWER(fd, .verdict = CNOTIFY_ALLOW), ENOENT); /* once */
	AWAIT(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0) == 1);
	a.id = record.call.id + 1;
	ERR(answer(fd, a), ENOENT); /* queued, not taken */
	next(fd, SYS_getpid);
	a = (struct cnotify_answer){ .id = record.call.id,
				     .verdict = CNOTIFY_VALUE,
				     .data_length = 8 };
	OK(answer_with_data(fd, a, "01234567",
			    8)); /* argument 0 is no address: the caller's EFAULT */
	EQ(reap(pid), 0);
	ERR(lseek(fd, 0, SEEK_CUR), ESPIPE);
	ERR(ioctl(fd, 0x5401, 0), ENOTTY);
	close(fd);
	munmap(page, 4096);
	gone(c);
}

static void who_may_ask(void)
{
	int fd, c = managed("mkdir=notify", &fd);
	ERR(NOTIFY(c), EBUSY);
	ERR(NOTIFY(0), ESRCH);
	ERR(NOTIFY(-1), ESRCH);
	ERR(NOTIFY(c + 1000), ESRCH);
	pid_t pid;
	FORKED(pid)
	{
		REQUIRE(setresuid(1000, 1000, 1000) == 0);
		ERR(NOTIFY(c), EPERM);
	}
	EQ(reap(pid), 0);
	CFORKED(pid, c)
	{
		ERR(NOTIFY(c), ESRCH);
		ERR(NOTIFY(0), ESRCH);
	}
	EQ(reap(pid), 0);
	close(fd);
	fd = OK(NOTIFY(c)); /* the place is free again */
	gone(c);
	ERR(NOTIFY(c), ESRCH);
	struct pollfd p = { fd, POLLIN, 0 };
	EQ(poll(&p, 1, 0), 1);
	EQ(p.revents, POLLHUP);
	EQ(read(fd, &record, sizeof record), 0);
	close(fd);
}

static void readiness(void)
{
	int fd, c = managed("mkdir=notify", &fd);
	struct pollfd p = { fd, POLLIN, 0 };
	pid_t pid;
	EQ(poll(&p, 1, 0), 0);
	OK(fcntl(fd, F_SETFL, O_NONBLOCK));
	ERR(read(fd, &record, sizeof record), EAGAIN);
	CFORKED(pid, c) OK(mkdir("/x", 0755));
	EQ(poll(&p, 1, 20000), 1);
	EQ(p.revents, POLLIN);
	next(fd, SYS_mkdir);
	EQ(poll(&p, 1, 0), 0);
	OK(ANSWER(fd, .verdict = CNOTIFY_ALLOW));
	EQ(reap(pid), 0);
	close(fd);
	gone(c);
}

static void no_manager(void)
{
	int fd, c = managed("mkdir=notify rmdir=notify", &fd);
	pid_t pid;
	CFORKED(pid, c)
	{
		close(fd);			/* its copy would keep the manager alive */
		ERR(mkdir("/x", 0755), ENOSYS); /* taken, not answered */
		ERR(mkdir("/x", 0755), ENOSYS); /* there is no manager at all */
		WORD(0) = 1;
		AWAIT(WORD(1));
		pid_t second = fork();
		if (second == 0) {
			ERR(rmdir("/x"), ENOSYS);
			_exit(0);
		}
		ERR(mkdir("/x", 0755), ENOSYS); /* never read */
		EQ(reap(second), 0);
	}
	next(fd, SYS_mkdir);
	close(fd);
	AWAIT(WORD(0));
	/* a manager that dies without a word */
	pid_t manager;
	FORKED(manager)
	{
		REQUIRE(NOTIFY(c) >= 0);
		WORD(1) = 1;
		idle();
	}
	AWAIT(WORD(1));
	sleep_ms(50);
	kill(manager, SIGKILL);
	EQ(reap(manager), 128 + SIGKILL);
	EQ(reap(pid), 0);
	EQ(mode_of("r/x"), 0);
	gone(c);
}

static void nothing(int signal)
{
	WORD(4) += signal;
}

/* A signal waits for the answer; a kill does not. */
static void killed_callers(void)
{
	int fd, c = managed("mkdir=notify", &fd);
	pid_t pid;
	CFORKED(pid, c)
	{
		signal(SIGUSR1, nothing);
		pid_t child = fork();
		if (child == 0) {
			OK(mkdir("/x", 0755));
			EQ(WORD(4), SIGUSR1);
			_exit(0);
		}
		AWAIT(WORD(0));
		kill(child, SIGUSR1);
		sleep_ms(20);
		EQ(WORD(4), 0);
		WORD(1) = 1;
		EQ(reap(child), 0);
		child = fork();
		if (child == 0) {
			mkdir("/y", 0755);
			_exit(0);
		}
		AWAIT(WORD(0) == 2);
		kill(child, SIGKILL);
		EQ(reap(child), 128 + SIGKILL);
		WORD(1) = 2;
	}
	next(fd, SYS_mkdir);
	WORD(0) = 1;
	AWAIT(WORD(1) == 1);
	OK(ANSWER(fd, .verdict = CNOTIFY_ALLOW));
	next(fd, SYS_mkdir);
	WORD(0) = 2;
	AWAIT(WORD(1) == 2);
	ERR(ANSWER(fd, .verdict = CNOTIFY_ALLOW), ENOENT);
	EQ(reap(pid), 0);
	EQ(mode_of("r/y"), 0);
	close(fd);
	gone(c);
}

static char shared_path[16];
static volatile int stop_writing;

static void *rewriter(void *arg)
{
	while (!stop_writing) {
		shared_path[1] = 'b';
		shared_path[1] = 'a';
	}
	return arg;
}

/* A thread of the caller changes the path all the time: what was shown is what is made. */
static void no_race(void)
{
	int fd, c = managed("mkdir=notify", &fd);
	pid_t pid;
	CFORKED(pid, c)
	{
		pthread_t t;
		strcpy(shared_path, "/a");
		REQUIRE(pthread_create(&t, NULL, rewriter, NULL) == 0);
		for (int i = 0; i < 300; i++) {
			mkdir(shared_path, 0755);
			rmdir("/a"); /* "/b" is never made */
		}
		stop_writing = 1;
		pthread_join(t, NULL);
		struct stat st;
		ERR(stat("/b", &st), ENOENT);
	}
	for (int i = 0; i < 300; i++) {
		struct cnotify_call *call = next(fd, SYS_mkdir);
		if (!strcmp(copy_of(call, 0), "/a"))
			OK(ANSWER(fd, .verdict = CNOTIFY_ALLOW));
		else
			OK(ANSWER(fd, .verdict = CNOTIFY_ERRNO, .error = EPERM));
	}
	EQ(reap(pid), 0);
	close(fd);
	gone(c);
}

/* Calls of each kind of argument do with the copies what they do without. */
static void copies(void)
{
	int fd, c = managed(
			"write=notify pwrite64=notify connect=notify rename=notify sendto=notify "
			"setxattr=notify nanosleep=notify execve=notify utimensat=notify",
			&fd);
	pid_t pid, manager;
	CFORKED(pid, c)
	{
		int file = OK(open("/f", O_RDWR | O_CREAT, 0600)), pipes[2], pair[2];
		char text[64] = "";
		EQ(write(file, "one", 3), 3);
		EQ(pwrite(file, "two", 3, 3), 3);
		EQ(pread(file, text, sizeof text, 0), 6);
		STREQ(text, "onetwo");
		OK(pipe(pipes));
		EQ(write(pipes[1], "through", 7), 7);
		EQ(read(pipes[0], text, sizeof text), 7);
		OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
		EQ(send(pair[0], "across", 6, 0), 6);
		EQ(read(pair[1], text, sizeof text), 6);
		CHECK(!memcmp(text, "across", 6));
		OK(rename("/f", "/g"));
		struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/none" };
		int s = OK(socket(AF_UNIX, SOCK_STREAM, 0));
		ERR(connect(s, (void *)&a, sizeof a), ENOENT);
		ERR(connect(s, (void *)&a, -1), EINVAL);
		OK(utimensat(AT_FDCWD, "/g", NULL, 0));
		struct timespec when[2] = { { 7, 0 }, { 9, 0 } }, moment = { 0, 1000 };
		OK(utimensat(AT_FDCWD, "/g", when, 0));
		struct stat st;
		OK(stat("/g", &st));
		EQ(st.st_mtime, 9);
		OK(syscall(SYS_nanosleep, &moment, NULL));
		ERR(write(file, NULL, 10), EFAULT); /* 0: not copied, as a call without it */
		EQ(write(file, NULL, 0), 0);
		/* what cannot be read never gets to the manager */
		ERR(rename((char *)8, "/x"), EFAULT);
		ERR(write(file, (void *)8, 3), EFAULT);
		ERR(write(file, text, 1 << 20), E2BIG);
		static char name[5000];
		memset(name, 'x', sizeof name - 1);
		ERR(rename(name, "/x"), ENAMETOOLONG);
		/* addresses at which copies lie mean nothing without one there */
		ERR(rename((char *)0x800000000000, "/x"), EFAULT);
		ERR(write(file, (void *)0x800100000000, 3), EFAULT);
		ERR(access((char *)0x800000000000, F_OK), EFAULT);
		execl("/prog", "prog", "-l", NULL);
		EQ(errno, ENOENT);
		WORD(0) = 1;
	}
	FORKED(manager)
	{
		while (read(fd, &record, sizeof record) > 0)
			if (ANSWER(fd, .verdict = CNOTIFY_ALLOW))
				break;
	}
	EQ(reap(pid), 0);
	EQ(WORD(0), 1);
	gone(c);
	EQ(reap(manager), 0);
	close(fd);
}

/* An allowed execve starts the program, and its caller is not a copy's any more. */
static void exec_allowed(void)
{
	int fd, c = managed("execve=notify", &fd);
	char path[128];
	pid_t pid;
	snprintf(path, sizeof path, "cp %s r/prog", tap_self);
	EQ(system(path), 0);
	CFORKED(pid, c)
	{
		execl("/prog", "prog", "-l", NULL);
		_exit(77);
	}
	STREQ(copy_of(next(fd, SYS_execve), 0), "/prog");
	OK(ANSWER(fd, .verdict = CNOTIFY_ALLOW));
	EQ(reap(pid), 0);
	close(fd);
	gone(c);
}

/* Two levels: the inner manager is asked first, then the outer one; each may end it. */
static void two_levels(void)
{
	int fd, c = managed("mkdir=notify rmdir=notify", &fd);
	pid_t pid;
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/");
		s.deny = (uintptr_t) "mkdir=notify";
		int d = OK(syscall(SYS_spawncont, &s, sizeof s)), inner = OK(NOTIFY(d));
		pid_t child;
		CFORKED(child, d)
		{
			OK(mkdir("/both", 0755));
			ERR(mkdir("/inner-no", 0755), EIO);
			ERR(mkdir("/outer-no", 0755), EBUSY);
			ERR(rmdir("/both"), EXDEV);
		}
		STREQ(copy_of(next(inner, SYS_mkdir), 0), "/both");
		OK(ANSWER(inner, .verdict = CNOTIFY_ALLOW));
		next(inner, SYS_mkdir);
		OK(ANSWER(inner, .verdict = CNOTIFY_ERRNO, .error = EIO));
		next(inner, SYS_mkdir);
		OK(ANSWER(inner, .verdict = CNOTIFY_ALLOW));
		EQ(reap(child), 0);
		close(inner);
		OK(DESTROY(d));
	}
	struct cnotify_call *call = next(fd, SYS_mkdir);
	STREQ(copy_of(call, 0), "/both");
	CHECK(call->container != (unsigned)c);
	OK(ANSWER(fd, .verdict = CNOTIFY_ALLOW));
	STREQ(copy_of(next(fd, SYS_mkdir), 0), "/outer-no");
	OK(ANSWER(fd, .verdict = CNOTIFY_ERRNO, .error = EBUSY));
	next(fd, SYS_rmdir);
	OK(ANSWER(fd, .verdict = CNOTIFY_ERRNO, .error = EXDEV));
	EQ(reap(pid), 0);
	close(fd);
	gone(c);
}

/* The container ends while many of its calls are held, and some answered. */
static void destroyed_meanwhile(void)
{
	for (int round = 0; round < 10; round++) {
		int fd, c;
		pid_t pid, manager;
		if (!round) {
			c = managed("mkdir=notify", &fd);
		} else {
			c = spawn();
			OK(control_set(c, "syscalls.deny", "mkdir=notify"));
			fd = OK(NOTIFY(c));
		}
		WORD(0) = 0;
		CFORKED(pid, c)
		{
			for (int i = 0; i < 6; i++)
				if (fork() == 0)
					break;
			for (;;) {
				mkdir("/in", 0755);
				WORD(0) = 1;
			}
		}
		FORKED(manager)
		{
			while (read(fd, &record, sizeof record) > 0)
				if (record.call.id % 3)
					ANSWER(fd, .verdict = CNOTIFY_ALLOW);
		}
		AWAIT(WORD(0));
		if (round % 2)
			kill(manager, SIGKILL);
		gone(c);
		EQ(reap(pid), 128 + SIGKILL);
		EQ(reap(manager), round % 2 ? 128 + SIGKILL : 0);
		close(fd);
	}
}

/* Paused, a held call stays held, and is answered when it is resumed. */
static void paused(void)
{
	int fd, c = managed("mkdir=notify", &fd);
	pid_t pid;
	CFORKED(pid, c)
	{
		OK(mkdir("/x", 0755));
		WORD(0) = 1;
	}
	next(fd, SYS_mkdir);
	OK(CPAUSE(c));
	OK(ANSWER(fd, .verdict = CNOTIFY_ALLOW));
	sleep_ms(50);
	EQ(WORD(0), 0);
	OK(CRESUME(c));
	EQ(reap(pid), 0);
	EQ(WORD(0), 1);
	close(fd);
	gone(c);
}

static const struct tap_case cases[] = {
	T(verdicts),
	T(bad_answers),
	T(who_may_ask),
	T(readiness),
	T(no_manager),
	T(killed_callers),
	T(no_race),
	T(copies),
	T(exec_allowed),
	T(two_levels),
	T(destroyed_meanwhile),
	T(paused),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
