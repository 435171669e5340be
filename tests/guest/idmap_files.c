/* SPDX-License-Identifier: MIT */
/*
 * idmap_files.c - whose files are what in a container whose users are others outside: those of its
 * root, of a bind mount, of filesystems of its own, of clones; programs with set-id bits.
 */
#include "users.h"
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

/* The same files as users who are not root there have them. */
static void other_users(void)
{
	pid_t child;

	FORKED(child)
	{
		become(1000, 1001);
		ERR(open("/of5", O_RDONLY), EACCES);
		ERR(open("/new", O_WRONLY | O_CREAT, 0600), EACCES);
		put("/tmp/mine", "x", 0600);
		STREQ(owner_of("/tmp/mine"), "1000:1001");
		int fd = OK(open("/tmp", O_TMPFILE | O_RDWR, 0600));
		struct stat st;
		OK(fstat(fd, &st));
		EQ(st.st_uid, 1000);
		close(fd);
		OK(access("/tmp/mine", R_OK | W_OK));
		ERR(access("/of5", R_OK), EACCES);
	}
	EQ(reap(child), 0);
	FORKED(child)
	{
		become(1002, 1002);
		ERR(unlink("/tmp/mine"), EPERM); /* sticky */
		ERR(rename("/tmp/mine", "/tmp/other"), EPERM);
	}
	EQ(reap(child), 0);
	FORKED(child)
	{
		become(5, 5);
		OK(chmod("/of5", 0600));
		OK(access("/of5", R_OK | W_OK));
	}
	EQ(reap(child), 0);
}

/* What is in the container's root belongs to whom the file says, inside. */
static void files_of_the_root(void)
{
	world();
	put("r/theirs", "x", 0644);
	OK(chown("r/theirs", BEYOND, BEYOND));
	put("r/of5", "x", 0600);
	OK(chown("r/of5", 5, 6));
	OK(chmod("r/tmp", 01777));
	int c = mapped(MAP);
	INSIDE(c)
	{
		struct statx sx;
		STREQ(owner_of("/"), "0:0");
		STREQ(owner_of("/of5"), "5:6");
		OK(syscall(SYS_statx, AT_FDCWD, "/of5", 0, STATX_BASIC_STATS, &sx));
		EQ(sx.stx_uid, 5);
		EQ(sx.stx_gid, 6);
		put("/made", "x", 0644);
		STREQ(owner_of("/made"), "0:0");
		OK(chown("/made", 7, 8));
		STREQ(owner_of("/made"), "7:8");
		OK(lchown("/made", -1, 9));
		STREQ(owner_of("/made"), "7:9");
		ERR(chown("/made", BEYOND, -1), EINVAL);
		ERR(chown("/made", -1, BASE), EINVAL);
		OK(mkdir("/dir", 0755));
		OK(chown("/dir", 0, 44));
		OK(chmod("/dir", 02755));
		OK(mknod("/dir/fifo", S_IFIFO | 0644, 0));
		OK(symlink("x", "/dir/link"));
		STREQ(owner_of("/dir/fifo"), "0:44");
		STREQ(owner_of("/dir/link"), "0:44");
		close(OK(open("/of5", O_RDWR))); /* root */
		OK(chmod("/of5", 0640));
		/* whose owner does not exist here is nobody's */
		STREQ(owner_of("/theirs"), "65534:65534");
		close(OK(open("/theirs", O_RDONLY)));
		ERR(open("/theirs", O_WRONLY), EACCES);
		ERR(chmod("/theirs", 0666), EPERM);
		ERR(chown("/theirs", 0, 0), EPERM);
		other_users();
		OK(rename("/tmp/mine", "/tmp/other"));
	}
	STREQ(owner_of("r/made"), "7:9");
	STREQ(owner_of("r/dir/fifo"), "0:44");
	STREQ(owner_of("r/tmp/other"), "1000:1001");
	gone(c);
}

/* What comes in by a bind mount belongs to whom it belongs outside. */
static void files_of_a_bind(void)
{
	world();
	OK(mkdir("shared", 0777));
	OK(chmod("shared", 0777));
	put("shared/host", "x", 0644);
	put("shared/of0", "x", 0644);
	OK(chown("shared/of0", BASE, BASE));
	put("shared/of5", "x", 0600);
	OK(chown("shared/of5", BASE + 5, BASE + 6));
	OK(mkdir("shared/closed", 0700));
	int c = mapped_with_bind("shared");
	INSIDE(c)
	{
		STREQ(owner_of("/in"), "65534:65534");
		STREQ(owner_of("/in/host"), "65534:65534");
		STREQ(owner_of("/in/of0"), "0:0");
		STREQ(owner_of("/in/of5"), "5:6");
		ERR(open("/in/host", O_RDWR), EACCES);
		ERR(chmod("/in/host", 0666), EPERM);
		ERR(chown("/in/host", 0, 0), EPERM);
		ERR(open("/in/closed", O_RDONLY), EACCES);
		ERR(chdir("/in/closed"), EACCES);
		close(OK(open("/in/of0", O_RDWR)));
		OK(chmod("/in/of0", 0600));
		put("/in/made", "x", 0600);
		STREQ(owner_of("/in/made"), "0:0");
		/* a bind mount of the root is as the root, one of that place as that place */
		OK(mkdir("/again", 0755));
		OK(mount("/", "/again", NULL, MS_BIND, NULL));
		STREQ(owner_of("/again/tmp"), "0:0");
		OK(umount("/again"));
		OK(mount("/in", "/again", NULL, MS_BIND, NULL));
		STREQ(owner_of("/again/host"), "65534:65534");
		ERR(open("/again/host", O_RDWR), EACCES);
		OK(umount("/again"));
	}
	STREQ(owner_of("shared/made"), "100000:100000");
	STREQ(owner_of("shared/host"), "0:0");
	gone(c);
}

/*
 * On another file system than its root's: capabilities count for files whose user and group both
 * exist inside. A container inside that has no map of its own is root over none of them.
 */
static void files_of_another_filesystem(void)
{
	pid_t child;

	world();
	OK(mkdir("r/inner", 0755));
	OK(mkdir("r/inner/in", 0755));
	OK(mkdir("shared", 0777));
	OK(mount("none", "shared", "tmpfs", 0, "mode=777"));
	put("shared/theirs", "x", 0600);
	OK(chown("shared/theirs", BASE + 5, BASE + 6));
	put("shared/half", "x", 0600);
	OK(chown("shared/half", BASE + 5, 0));
	put("shared/beyond", "x", 0600);
	OK(chown("shared/beyond", BASE + BEYOND, BASE));
	put("shared/host", "x", 0600);
	OK(mkdir("shared/closed", 0700));
	OK(chown("shared/closed", BASE + 5, BASE + 5));
	int c = mapped_with_bind("shared");
	INSIDE(c)
	{
		static const char *const others[] = { "/in/half", "/in/beyond", "/in/host" };

		put("/in/theirs", "y", 0640);
		OK(chown("/in/theirs", 7, 8));
		ERR(chown("/in/theirs", BEYOND, 8), EINVAL);
		put("/in/closed/made", "x", 0600);
		for (size_t i = 0; i < COUNT(others); i++) {
			ERR(open(others[i], O_RDONLY), EACCES);
			ERR(chmod(others[i], 0666), EPERM);
			ERR(chown(others[i], 0, 0), EPERM);
		}
		FORKED(child) /* it is the capabilities */
		{
			become(1000, 1000);
			ERR(open("/in/theirs", O_RDONLY), EACCES);
			ERR(chown("/in/theirs", 1000, 1000), EPERM);
		}
		EQ(reap(child), 0);
		struct container_bind b = { (uintptr_t) "/in", (uintptr_t) "/in", 0, 0 };
		struct container_spec s = spec_of("/inner");
		s.binds = (uintptr_t)&b;
		s.bind_count = 1;
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		CFORKED(child, d)
		{
			ERR(open("/in/theirs", O_RDONLY), EACCES);
			ERR(chown("/in/theirs", 0, 0), EPERM);
		}
		EQ(reap(child), 0);
		OK(DESTROY(d));
	}
	STREQ(owner_of("shared/theirs"), "100007:100008");
	STREQ(owner_of("shared/closed/made"), "100000:100000");
	STREQ(owner_of("shared/half"), "100005:0");
	STREQ(get("shared/host"), "x");
	gone(c);
	OK(umount("shared"));
}

static int agent_ids(const char *argument)
{
	(void)argument;
	return geteuid() == 0 ? 10 : geteuid() == 1000 ? 20 : 30;
}

static void set_id_programs(void)
{
	world();
	OK(mkdir("shared", 0755));
	copy_self("shared/host", 04755);
	copy_self("shared/ours", 04755);
	OK(chown("shared/ours", BASE, BASE));
	OK(chmod("shared/ours", 04755));
	copy_self("r/prog", 04755);
	copy_self("r/theirs", 04755);
	OK(chown("r/theirs", BEYOND, 0));
	OK(chmod("r/theirs", 04755));
	static const struct {
		const char *path;
		int status;
	} programs[] = {
		{ "/prog", 10 }, { "/in/ours", 10 }, { "/in/host", 20 }, { "/theirs", 20 }
	};
	int c = mapped_with_bind("shared");
	INSIDE(c)
	for (size_t i = 0; i < COUNT(programs); i++) {
		pid_t child;
		FORKED(child)
		{
			become(1000, 1000);
			agent_at(programs[i].path, "ids");
		}
		EQ(reap(child), programs[i].status);
	}
	gone(c);
}

static void filesystems_of_its_own(void)
{
	world();
	int c = mapped(MAP);
	INSIDE(c)
	{
		static const char *const roots[] = { "/proc", "/proc/1",   "/proc/self/fd", "/sys",
						     "/dev",  "/dev/null", "/dev/pts" };
		for (size_t i = 0; i < COUNT(roots); i++) {
			STREQ(owner_of(roots[i]), "0:0");
		}
		STREQ(owner_of("/sys/container/self"), "65534:0"); /* who made it */
		int fd = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY)), n, off = 0;
		OK(ioctl(fd, TIOCGPTN, &n));
		OK(ioctl(fd, TIOCSPTLCK, &off));
		char name[32];
		snprintf(name, sizeof name, "/dev/pts/%d", n);
		STREQ(owner_of(name), "0:5");
		close(fd);
		OK(mount("none", "/in", "tmpfs", 0, "mode=755,uid=7,gid=8"));
		STREQ(owner_of("/in"), "7:8");
		put("/in/x", "x", 0644);
		STREQ(owner_of("/in/x"), "0:0");
		ERR(setxattr("/in/x", "trusted.x", "1", 1, 0), EPERM);
		OK(umount("/in"));
		OK(mount("none", "/in", "tmpfs", 0, NULL));
		STREQ(owner_of("/in"), "0:0");
		OK(umount("/in"));
		ERR(mount("none", "/in", "tmpfs", 0, "uid=70000"), EINVAL);
		ERR(mount("none", "/in", "tmpfs", 0, "gid=100000"), EINVAL);
		pid_t child;
		FORKED(child)
		{
			OK(syscall(SYS_setresgid, 1001, 1001, 1001));
			OK(syscall(SYS_setresuid, 1000, 1000, 1000));
			OK(prctl(PR_SET_DUMPABLE, 1));
			snprintf(name, sizeof name, "/proc/%d", getpid());
			STREQ(owner_of(name), "1000:1001");
		}
		EQ(reap(child), 0);
	}
	gone(c);
}

/* A clone needs no change of owners: what was root's is root's of inside. */
static void clones(void)
{
	world();
	put("of5", "x", 0600);
	OK(chown("of5", 5, 6));
	struct container_spec s = spec_of(NULL);
	s.flags = CONTAINER_F_VIEW;
	int c = syscall(SYS_spawncont, &s, sizeof s);
	if (c < 0 && errno == EOPNOTSUPP)
		SKIP("the root is not on cowfs");
	REQUIRE(c > 0);
	OK(control_set(c, "uid_map", MAP));
	INSIDE(c)
	{
		OK(chdir(scratch_path));
		STREQ(owner_of("/"), "0:0");
		STREQ(owner_of("of5"), "5:6");
		put("of5", "y", 0640);
		put("made", "x", 0600);
		OK(chown("of5", 8, 9));
		STREQ(owner_of("of5"), "8:9");
		ERR(chown("of5", BEYOND, 9), EINVAL);
		/* a clone of the clone holds the same ids */
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		OK(control_set(d, "uid_map", "0 1000 100"));
		pid_t inner;
		CFORKED(inner, d)
		{
			OK(chdir(scratch_path));
			STREQ(owner_of("of5"), "8:9");
			put("made", "y", 0600);
			STREQ(owner_of("made"), "0:0");
		}
		EQ(reap(inner), 0);
		STREQ(get("made"), "x");
		OK(DESTROY(d));
	}
	STREQ(owner_of("of5"), "5:6");
	gone(c);
	/* one that is joined */
	c = OK(syscall(SYS_create_container));
	OK(control_set(c, "uid_map", MAP));
	pid_t joiner;
	FORKED(joiner)
	{
		OK(JOIN(c));
		OK(chdir(scratch_path));
		EQ(getuid(), 0);
		STREQ(get("/proc/self/uid_map"), "         0     100000      65536\n");
		STREQ(owner_of("of5"), "5:6");
		put("made", "x", 0600);
		STREQ(owner_of("made"), "0:0");
		OK(LEAVE());
		ERR(stat("made", &(struct stat){ 0 }), ENOENT);
	}
	EQ(reap(joiner), 0);
	ERR(control_set(c, "gid_map", MAP), EBUSY); /* although nobody is inside */
	gone(c);
}

static const struct agent agents[] = { { "ids", agent_ids } };
static const struct tap_case cases[] = {
	T(files_of_the_root), T(files_of_a_bind),	 T(files_of_another_filesystem),
	T(set_id_programs),   T(filesystems_of_its_own), T(clones),
};

int main(int argc, char **argv)
{
	agent_main(agents, COUNT(agents), argc, argv);
	return TAP_RUN(cases, argc, argv);
}
