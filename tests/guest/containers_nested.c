/* SPDX-License-Identifier: MIT */
/*
 * containers_nested.c - containers in containers: who sees them and counts for them, how they end
 * with the outer one, and how deep they go.
 */
#include "cont.h"

static void nested(void)
{
	pid_t pid;

	world();
	OK(mkdir("r/inner", 0755));
	int c = spawn_limited(10, CONTAINER_NO_LIMIT), sibling = spawn();
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/inner");
		struct cinfo info;
		strcpy(s.name, "inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		OK(syscall(SYS_cinfo, d, &info, sizeof info));
		EQ(info.parent, c);
		ERR(CFORK(sibling), ESRCH); /* what is not below does not exist */
		ERR(CFORK(c), ESRCH);
		ERR(CPAUSE(c), ESRCH);
		ERR(DESTROY(c), ESRCH);
		pid_t child;
		CFORKED(child, d)
		{
			EQ(getpid(), 1);
			EQ(GETCID(), d);
			int n = 0;
			while (fork() > 0)
				if (++n > 20)
					break;
			if (getpid() != 1)
				idle();
			/* the limit of the outer one counts: 10 with its pid 1 and this one */
			EQ(errno, EAGAIN);
			EQ(n, 8);
		}
		EQ(reap(child), 0);
		CFORKED(child, d) idle();
		WORD(0) = d;
		idle();
	}
	AWAIT(WORD(0));
	AWAIT(info_of(c).pids_current == 2);
	EQ(info_of(WORD(0)).parent, c); /* seen from above */
	gone(c);			/* with all that is in it */
	struct cinfo info;
	ERR(syscall(SYS_cinfo, WORD(0), &info, sizeof info), ESRCH);
	EQ(reap(pid), 137);
	gone(sibling);
}

/* A container's end is that of what runs in those below it. */
static void nested_end(bool by_itself)
{
	pid_t pid, child;

	world();
	OK(mkdir("r/inner", 0755));
	int c = spawn();
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		CFORKED(child, d) idle();
		WORD(0) = d;
		while (!WORD(1))
			usleep(1000);
	}
	AWAIT(WORD(0));
	AWAIT(info_of(WORD(0)).pids_current == 1);
	if (by_itself)
		WORD(1) = 1;
	else
		OK(CSTOP(c));
	EQ(reap(pid), by_itself ? 0 : 137);
	AWAIT(info_of(WORD(0)).state == CONTAINER_STOPPED);
	AWAIT(info_of(WORD(0)).pids_current == 0);
	gone(c);
}

static void nested_stop(void)
{
	nested_end(false);
}

static void nested_exit(void)
{
	nested_end(true);
}

/*
 * Whoever put the first program into the inner container is gone, and pid 1 around it waits for nobody:
 * the inner one can be started again all the same.
 */
static void start_again(void)
{
	pid_t pid, maker, program;

	world();
	OK(mkdir("r/inner", 0755));
	int c = spawn();
	CFORKED(pid, c) idle();
	CFORKED(maker, c)
	{
		struct container_spec s = spec_of("/inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		CFORKED(program, d) idle();
		WORD(0) = d;
		STREQ(get("/sys/container/self/parent"), "none\n");
	}
	EQ(reap(maker), 0);
	EQ(info_of(c).pids_current, 2);
	char around[16];
	snprintf(around, sizeof around, "%d", c);
	STREQ(control_get(WORD(0), "parent"), around);
	STREQ(control_get(c, "parent"), "0");
	OK(CSTOP(WORD(0)));
	CFORKED(program, WORD(0)) _exit(3);
	EQ(reap(program), 3);
	EQ(info_of(c).pids_current, 1); /* and no zombie counts */
	gone(c);
	EQ(reap(pid), 128 + SIGKILL);
}

/* Depth 8 is the limit. Each level makes the next and lives in it. */
static void depth(void)
{
	pid_t pid;

	world();
	WORD(0) = 0;
	int c = spawn();
	CFORKED(pid, c)
	{
		for (int level = 1;; level++) {
			struct container_spec s = spec_of("/");
			int d = syscall(SYS_spawncont, &s, sizeof s);
			if (d < 0) {
				WORD(0) = level;
				WORD(1) = errno;
				_exit(0);
			}
			pid_t child = CFORK(d);
			if (child) {
				reap(child);
				_exit(0);
			}
		}
	}
	EQ(reap(pid), 0);
	CHECK(WORD(0) >= 7 && WORD(0) <= 9);
	EQ(WORD(1), ENOSPC);
	gone(c);
}

static int mount_of(int c, const char *where)
{
	return control_set(c, "mount", where);
}

/* Whoever made a container sees its files where he wants them: set-id bits and devices do not count. */
static void mounted_from_outside(void)
{
	pid_t pid;
	int fd;

	world();
	OK(mkdir("r/inner", 0755));
	OK(mkdir("r/at", 0755));
	put("r/inner/file", "x", 0644);
	OK(mknod("r/inner/null", S_IFCHR | 0666, 1 << 8 | 3));
	OK(symlink("/", "r/inner/link"));
	int c = spawn();
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));

		WORD(0) = d;
		OK(mount_of(d, "/at"));
		STREQ(get("/at/file"), "x");
		put("/at/made", "y", 0644);
		STREQ(get("/inner/made"), "y");
		ERR(open("/at/null", O_RDWR), EACCES);
		ERR(mount("none", "/at", NULL, MS_REMOUNT | MS_BIND, NULL),
		    EPERM); /* it stays so */
		ERR(open("/at/../file", O_RDONLY), ENOENT);
		ERR(mount_of(d, "at"), EINVAL);
		ERR(mount_of(d, "/nowhere"), ENOENT);
		ERR(mount_of(d, "/inner/file"), ENOTDIR);
		pid_t child;
		FORKED(child)
		{
			OK(setuid(1000));
			ERR(mount_of(d, "/at"), EACCES);
		}
		EQ(reap(child), 0);
		int own = open("/sys/container/self/mount", O_WRONLY | O_CLOEXEC);
		CHECK(own < 0 && (errno == EPERM || errno == EACCES));
		OK(DESTROY(d));
		STREQ(get("/at/file"), "x"); /* it is this one's */
		OK(umount("/at"));
		d = OK(syscall(SYS_spawncont, &s, sizeof s));
		WORD(0) = d;
		WORD(1) = 1;
		while (!WORD(2))
			sleep_ms(2);
	}
	AWAIT(WORD(1));
	/* one who is given the file, or looks from further outside, cannot be made to mount */
	char path[64];
	snprintf(path, sizeof path, "/sys/container/%d/mount", WORD(0));
	fd = OK(open(path, O_WRONLY | O_CLOEXEC));
	snprintf(path, sizeof path, "%s/r/at", scratch_path);
	ERR(write(fd, path, strlen(path)), EPERM);
	close(fd);
	OK(mount_of(c, path)); /* that is what it is for */
	STREQ(get("r/at/inner/made"), "y");
	OK(umount(path));
	WORD(2) = 1;
	EQ(reap(pid), 0);
	gone(c);
}

static const struct tap_case cases[] = {
	T(mounted_from_outside), T(nested),	 T(nested_stop),
	T(nested_exit),		 T(start_again), T(depth),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
