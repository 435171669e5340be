/* SPDX-License-Identifier: MIT */
/*
 * mount_late.c - /proc, /dev, /dev/shm and /sys of a container, which are made when somebody gets
 * there: nobody inside can tell, whoever comes first, from wherever, also if there is no memory.
 */
#include "cont.h"
#include "fail_nth.h"

#define PROC_MAGIC  0x9fa0
#define TMPFS_MAGIC 0x01021994
#define SYSFS_MAGIC 0x62656572

static char mounts[8192];

static void read_mounts(void)
{
	int fd = OK(open("/proc/self/mounts", O_RDONLY | O_CLOEXEC));
	ssize_t n, used = 0;

	while ((n = read(fd, mounts + used, sizeof mounts - 1 - used)) > 0)
		used += n;
	mounts[used] = 0;
	close(fd);
}

/* How many lines of /proc/self/mounts have `text`. */
static int listed(const char *text)
{
	int n = 0;

	for (const char *p = mounts; (p = strstr(p, text)); p++)
		n++;
	return n;
}

static void all_listed_once(void)
{
	read_mounts();
	EQ(listed(" /proc proc rw,nosuid,nodev,noexec,"), 1);
	EQ(listed(" /dev devtmpfs rw,nosuid,"), 1);
	EQ(listed(" /dev/shm tmpfs rw,nosuid,nodev,"), 1);
	EQ(listed(" /sys sysfs rw,nosuid,nodev,noexec,"), 1);
	EQ(listed(" /"), 5);
}

static long magic(const char *path)
{
	struct statfs st = { 0 };

	OK(statfs(path, &st));
	return st.f_type;
}

/* What follows runs in a container of its own, where nobody has been. */
#define INSIDE(pid, c)   \
	int c = spawn(); \
	CFORKED(pid, c)
#define END(pid, c)               \
	do {                      \
		EQ(reap(pid), 0); \
		gone(c);          \
	} while (0)

static void listed_first(void)
{
	pid_t pid;

	world();
	INSIDE(pid, c) all_listed_once();
	END(pid, c);
}

/* Each by another call, none of which has been there before. */
static void reached_first(void)
{
	struct stat st;
	pid_t pid;

	world();
	INSIDE(pid, c)
	{
		EQ(magic("/sys"), SYSFS_MAGIC);
		OK(stat("/dev/shm", &st));
		EQ(st.st_mode, S_IFDIR | 01777);
		EQ(st.st_uid, 0);
		EQ(magic("/dev/shm"), TMPFS_MAGIC);
		OK(access("/dev/null", R_OK | W_OK));
		OK(chdir("/tmp/../proc/self"));
		EQ(magic("."), PROC_MAGIC);
		OK(chdir("../.."));
		OK(stat(".", &st));
		dev_t root = st.st_dev;
		OK(stat("/proc", &st));
		CHECK(st.st_dev != root);
		all_listed_once();
	}
	END(pid, c);
}

/* What is to be made keeps its directory, and what was taken away stays away. */
static void places(void)
{
	pid_t pid;

	world();
	INSIDE(pid, c)
	{
		ERR(rmdir("/sys"), EBUSY);
		ERR(rename("/dev", "/other"), EBUSY);
		ERR(mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM); /* suid, dev */
		OK(umount2("/sys", 0));
		OK(rmdir("/sys"));
		ERR(access("/sys/container", F_OK), ENOENT);
		OK(mkdir("/sys", 0755));
		ERR(access("/sys/container", F_OK), ENOENT);
		ERR(umount2("/dev", 0), EBUSY); /* shm stands in it */
		OK(umount2("/dev/shm", 0));
		OK(umount2("/dev", 0));
		ERR(access("/dev/null", F_OK), ENOENT);
		read_mounts();
		EQ(listed(" /"), 2);
	}
	END(pid, c);
	/* from outside, while nobody has looked */
	int d = spawn();
	ERR(rmdir("r/proc"), EBUSY);
	ERR(access("r/proc/self", F_OK), ENOENT);
	gone(d);
	OK(rmdir("r/proc"));
	OK(symlink("dev", "r/proc")); /* two at one place: the later one is on top */
	INSIDE(pid, e)
	{
		EQ(access("/dev/shm", F_OK), 0);
		EQ(access("/proc/null", F_OK), 0);
	}
	END(pid, e);
	OK(unlink("r/proc"));
	OK(close(OK(open("r/proc", O_CREAT | O_WRONLY | O_CLOEXEC, 0644))));
	struct container_spec s = spec_of("r");
	ERR(syscall(SYS_spawncont, &s, sizeof s), ENOTDIR);
}

/* A copy of all that is mounted has those that nobody has seen so far. */
static void copied_first(void)
{
	pid_t pid;

	world();
	INSIDE(pid, c)
	{
		OK(mount("/", "/in", NULL, MS_BIND | MS_REC, NULL));
		EQ(magic("/in/dev/shm"), TMPFS_MAGIC);
		EQ(magic("/in/proc"), PROC_MAGIC);
		EQ(magic("/in/sys"), SYSFS_MAGIC);
		read_mounts();
		EQ(listed(" /in"), 5);
		EQ(listed(" /"), 10);
	}
	END(pid, c);
}

/* Many come at the same time: one makes them, all find the same. */
static void at_the_same_time(void)
{
	enum { COMERS = 8, ROUNDS = 10 };
	static const char *const names[] = { "/proc/self/stat", "/dev/shm", "/sys/container/self",
					     "/dev/null" };
	pid_t pid;

	world();
	for (int round = 0; round < ROUNDS; round++) {
		WORD(0) = 0;
		INSIDE(pid, c)
		{
			pid_t comers[COMERS];

			for (int i = 0; i < COMERS; i++)
				FORKED(comers[i])
				{
					AWAIT(WORD(0) == 1);
					EQ(access(names[i % COUNT(names)], F_OK), 0);
					for (size_t k = 0; k < COUNT(names); k++)
						EQ(access(names[k], F_OK), 0);
				}
			WORD(0) = 1;
			for (int i = 0; i < COMERS; i++)
				EQ(reap(comers[i]), 0);
			all_listed_once();
		}
		END(pid, c);
	}
}

/* Each allocation on the way fails once: ENOMEM, and the next one gets there. */
static void no_memory(void)
{
	static const char *const names[] = { "/dev/shm",
					     "/sys/container" }; /* fail-nth needs /proc */
	pid_t pid;

	world();
	fail_nth_required();
	for (size_t i = 0; i < COUNT(names); i++) {
		int n = 1;
		for (bool done = false; !done && n < 100; n++) {
			INSIDE(pid, c)
			{
				int fd = fail_nth_open();
				fail_nth(fd, n);
				int r = access(names[i], F_OK);
				fail_none(fd);
				WORD(0) = r;
				if (r)
					EQ(errno, ENOMEM);
				EQ(access(names[i], F_OK), 0);
				close(fd);
				all_listed_once();
			}
			END(pid, c);
			done = !WORD(0);
		}
		CHECK(n > 4 && n < 100); /* superblock, inode, dentry, mount ... */
	}
}

static long objects(const char *name)
{
	char *text = get("/proc/skerry/objects"), *at;

	REQUIRE(text && (at = strstr(text, name)));
	return strtol(at + strlen(name), NULL, 10);
}

/* Nobody comes: no object of them, and nothing is left. */
static void nobody_comes(void)
{
	pid_t pid;

	world();
	long before = objects("\nmount "), nodes = objects("\npseudo_node ");
	INSIDE(pid, c)
	{
		OK(access("/tmp", F_OK));
		WORD(0) = 1;
		idle();
	}
	AWAIT(WORD(0) == 1);
	EQ(objects("\nmount ") - before, 1); /* its root */
	EQ(objects("\npseudo_node "), nodes);
	gone(c);
	EQ(reap(pid), 137);
	EQ(objects("\nmount "), before);
}

static const struct tap_case cases[] = {
	T(listed_first),     T(reached_first), T(places),	T(copied_first),
	T(at_the_same_time), T(no_memory),     T(nobody_comes),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
