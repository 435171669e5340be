/* SPDX-License-Identifier: MIT */
/*
 * create.c - create_container, and spawncont with CONTAINER_F_VIEW: files as of now, changes of
 * one's own, processes without a pid 1. It needs / on cowfs, and skips without.
 */
#include "cont.h"
#include <sys/socket.h>

#define CREATE() ((int)syscall(SYS_create_container))

static void refused(void)
{
	pid_t pid;

	world();
	struct statfs st;
	int root = OK(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	OK(mkdir("memory", 0755));
	OK(mount("none", "memory", "tmpfs", 0, NULL));
	FORKED(pid)
	{
		OK(chroot("memory"));
		OK(chdir("/"));
		ERR(CREATE(), EOPNOTSUPP); /* nothing that could be cloned */
		struct container_spec s = spec_of(NULL);
		s.flags = CONTAINER_F_VIEW;
		ERR(syscall(SYS_spawncont, &s, sizeof s), EOPNOTSUPP);
		s.root = (uintptr_t) "/";
		ERR(syscall(SYS_spawncont, &s, sizeof s), EINVAL);
		OK(setgid(1000));
		OK(setuid(1000));
		ERR(CREATE(), EPERM);
	}
	EQ(reap(pid), 0);
	OK(umount("memory"));
	EQ(statfs("/", &st), 0);
	close(root);
}

/* Inside are the files as they were; what is changed inside stays inside, and what is outside out.
 */
static void files(void)
{
	char path[128], here[128];
	pid_t pid;

	on_disk();
	REQUIRE(getcwd(here, sizeof here));
	snprintf(path, sizeof path, "%s/file", here);
	put("file", "before", 0644);
	put("gone", "x", 0644);
	int c = OK(CREATE()), d = OK(CREATE());
	EQ(info_of(c).state, CONTAINER_CREATED);
	put("file", "outside", 0644);
	put("later", "x", 0644);
	OK(unlink("gone"));
	FORKED(pid)
	{
		OK(JOIN(c));
		EQ(getpid(), 2);
		STREQ(get(path), "before");
		OK(chdir(here));
		EQ(access("gone", F_OK), 0);
		ERR(access("later", F_OK), ENOENT);
		put("file", "inside", 0644);
		put("mine", "m", 0644);
		STREQ(get("file"), "inside");
		OK(LEAVE());
		STREQ(get("file"), "outside");
		ERR(access("mine", F_OK), ENOENT);
		OK(JOIN(d));
		EQ(getpid(), 2);
		STREQ(get(path), "before");
		snprintf(path, sizeof path, "%s/mine", here);
		ERR(access(path, F_OK), ENOENT);
		OK(LEAVE());
		OK(JOIN(c)); /* all is still there */
		EQ(getpid(), 3);
		STREQ(get(path), "m");
	}
	EQ(reap(pid), 0);
	AWAIT(info_of(c).state == CONTAINER_CREATED);
	gone(c);
	ERR(JOIN(c), ESRCH);
	ERR(DESTROY(c), ESRCH);
	gone(d);
	STREQ(get("file"), "outside");
}

/* /proc, /dev and /sys are fresh; other mounts, and what was mounted on them, are not there. */
static void mounts(void)
{
	char here[128], path[160];
	pid_t pid;

	on_disk();
	REQUIRE(getcwd(here, sizeof here));
	OK(mkdir("m", 0755));
	put("m/under", "u", 0644);
	OK(mount("none", "m", "tmpfs", 0, NULL));
	put("m/over", "o", 0644);
	OK(mkdir("b", 0755));
	OK(mkdir("src", 0755));
	put("src/x", "x", 0644);
	OK(mount("src", "b", NULL, MS_BIND, NULL));
	int c = OK(CREATE());
	put("src/y", "y", 0644);
	FORKED(pid)
	{
		OK(JOIN(c));
		OK(chdir(here));
		EQ(access("m/under", F_OK), 0);
		ERR(access("m/over", F_OK), ENOENT);
		STREQ(get("b/x"), "x");
		ERR(access("b/y", F_OK), ENOENT);
		put("b/z", "z", 0644); /* one volume, seen twice */
		STREQ(get("src/z"), "z");
		EQ(access("/proc/2", F_OK), 0);
		ERR(access("/proc/1", F_OK), ENOENT);
		EQ(access("/dev/null", F_OK), 0);
		ERR(access("/dev/vda", F_OK), ENOENT);
		EQ(access("/sys/container/self", F_OK), 0);
		snprintf(path, sizeof path, "/sys/container/%d", c);
		ERR(access(path, F_OK), ENOENT);
		OK(mkdir("/tmp/device", 0755));
		ERR(mknod("/tmp/device/sda", S_IFBLK | 0600, 0xfe00), EPERM);
	}
	EQ(reap(pid), 0);
	gone(c);
	OK(umount("b"));
	OK(umount("m"));
}

/* A view from a directory is of that directory. */
static void from_a_directory(void)
{
	pid_t pid;

	on_disk();
	OK(mkdir("top", 0755));
	OK(mkdir("top/in", 0755));
	OK(mkdir("top/proc", 0755));
	put("top/in/file", "f", 0644);
	put("secret", "s", 0644);
	FORKED(pid)
	{
		OK(chroot("top"));
		OK(chdir("/"));
		int c = OK(CREATE());
		OK(unlink("/in/file"));
		OK(JOIN(c));
		STREQ(get("/in/file"), "f");
		ERR(access("/../secret", F_OK), ENOENT);
		OK(LEAVE());
		OK(DESTROY(c));
	}
	EQ(reap(pid), 0);
}

/* Orphans inside are reaped by the kernel; the last one out leaves it CREATED. */
static void orphans(void)
{
	pid_t pid, child;

	on_disk();
	int c = OK(CREATE());
	FORKED(pid)
	{
		OK(JOIN(c));
		FORKED(child)
		{
			pid_t grandchild = fork();
			if (!grandchild) {
				while (getppid())
					sleep_ms(1);
				WORD(0) = 1;
				while (!WORD(1))
					sleep_ms(1);
				_exit(3);
			}
		}
		EQ(reap(child), 0);
		AWAIT(WORD(0));
		EQ(info_of(c).pids_current, 2);
	}
	EQ(reap(pid), 0);
	EQ(info_of(c).state, CONTAINER_RUNNING); /* the orphan */
	EQ(info_of(c).pids_current, 1);
	WORD(1) = 1;
	AWAIT(info_of(c).state == CONTAINER_CREATED);
	EQ(info_of(c).pids_current, 0);
	pid = CFORK(c); /* born inside, as nobody's pid 1 */
	if (!pid) {
		EQ(getppid(), 0);
		CHECK(getpid() > 1);
		ERR(LEAVE(), EPERM);
		_exit(6);
	}
	EQ(reap(pid), 6);
	AWAIT(info_of(c).state == CONTAINER_CREATED);
	gone(c);
}

/* Destroying takes those who joined with it; what one of them took out lives on. */
static void destroyed(void)
{
	pid_t pid, child;
	int pair[2];

	on_disk();
	put("file", "text", 0644);
	char here[128], path[160];
	REQUIRE(getcwd(here, sizeof here));
	snprintf(path, sizeof path, "%s/file", here);
	int c = OK(CREATE());
	FORKED(child)
	{
		OK(JOIN(c));
		WORD(0) = 1;
		idle();
	}
	FORKED(pid)
	{
		OK(JOIN(c));
		int fd = OK(open(path, O_RDWR)), dir = OK(open(here, O_RDONLY | O_DIRECTORY));
		int proc = OK(open("/proc/stat", O_RDONLY));
		OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
		OK(LEAVE());
		WORD(1) = 1;
		while (!WORD(2))
			sleep_ms(1);
		char text[512];
		EQ(read(fd, text, 4), 4);
		EQ(write(fd, "more", 4), 4);
		CHECK(read(proc, text, sizeof text) > 0);
		EQ(write(pair[0], "x", 1), 1);
		EQ(read(pair[1], text, 1), 1);
		ERR(openat(dir, "file", O_RDONLY), EXDEV);
		OK(fchmod(fd, 0600));
	}
	AWAIT(WORD(0) && WORD(1));
	gone(c);
	EQ(reap(child), 137);
	WORD(2) = 1;
	EQ(reap(pid), 0);
	STREQ(get("file"), "text");
}

/* The same for a program that is pid 1 (ctool run host). */
static void view_with_init(void)
{
	pid_t pid;

	on_disk();
	put("file", "a", 0644);
	char here[128];
	REQUIRE(getcwd(here, sizeof here));
	struct container_spec s = spec_of(NULL);
	s.flags = CONTAINER_F_VIEW;
	int c = OK(syscall(SYS_spawncont, &s, sizeof s));
	STREQ(control_get(c, "root"), "host");
	CFORKED(pid, c)
	{
		EQ(getpid(), 1);
		OK(chdir(here));
		put("file", "b", 0644);
	}
	EQ(reap(pid), 0);
	EQ(info_of(c).state, CONTAINER_STOPPED);
	CFORKED(pid, c) /* once more, in the same files */
	{
		OK(chdir(here));
		STREQ(get("file"), "b");
	}
	EQ(reap(pid), 0);
	gone(c);
	STREQ(get("file"), "a");
}

/* A container in a container: its view is of the view. */
static void nested(void)
{
	pid_t pid;
	char here[128];

	on_disk();
	put("file", "a", 0644);
	REQUIRE(getcwd(here, sizeof here));
	int c = OK(CREATE());
	FORKED(pid)
	{
		OK(JOIN(c));
		OK(chdir(here));
		put("file", "b", 0644);
		int d = OK(CREATE());
		put("file", "c", 0644);
		OK(JOIN(d));
		OK(chdir(here));
		STREQ(get("file"), "b");
		put("file", "d", 0644);
		OK(LEAVE());
		STREQ(get("file"), "c");
		OK(LEAVE());
		STREQ(get("file"), "a");
	}
	EQ(reap(pid), 0);
	gone(c); /* with the one in it */
}

/* Ids are not used again; a hundred come and go, and leave nothing on the disk. */
static void hundred(void)
{
	pid_t pid;
	int last = 0;

	on_disk();
	for (int i = 0; i < 100; i++) {
		int c = OK(CREATE());
		CHECK(c > last);
		last = c;
		FORKED(pid)
		{
			OK(JOIN(c));
			put("/tmp/own", "o", 0644);
		}
		EQ(reap(pid), 0);
		OK(DESTROY(c));
	}
	ERR(access("/tmp/own", F_OK), ENOENT);
}

static void creators(int word)
{
	while (!WORD(100)) {
		int c = CREATE();
		if (c < 0) {
			FAIL("create: errno %d", errno);
			break;
		}
		if (JOIN(c) == 0) {
			put("/tmp/own", "o", 0644);
			OK(LEAVE());
		}
		OK(DESTROY(c));
		WORD(word)++;
	}
}

static void at_once(void)
{
	pid_t pid[4];

	on_disk();
	for (size_t i = 0; i < COUNT(pid); i++)
		FORKED(pid[i]) creators(i);
	for (int i = 0; i < 200; i++) {
		put("file", i % 2 ? "odd" : "even", 0644);
		if (i > 100 && WORD(0) > 3 && WORD(1) > 3)
			break;
		sleep_ms(1);
	}
	AWAIT(WORD(0) && WORD(1) && WORD(2) && WORD(3));
	WORD(100) = 1;
	for (size_t i = 0; i < COUNT(pid); i++)
		EQ(reap(pid[i]), 0);
}

static const struct tap_case cases[] = {
	T(refused),   T(files),		 T(mounts), T(from_a_directory), T(orphans),
	T(destroyed), T(view_with_init), T(nested), T(hundred),		 T(at_once),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
