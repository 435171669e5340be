/* SPDX-License-Identifier: MIT */
/*
 * container_disk.c - disk.max, inodes.max and roots made of images: what the calls and files say,
 * and that volumes and blocks come back. It needs / on cowfs (tests/host/disk_root.sh), and skips
 * without.
 */
#include "cont.h"
#include "abi/cowfs.h"
#include <sys/ioctl.h>

#define MIB (1l << 20)

static int root = -1;

static void root_disk(void)
{
	on_disk();
	root = OK(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int copy(const char *name, const char *to, uint64_t flags)
{
	struct cowfs_volume v = { .flags = flags };

	snprintf(v.name, sizeof v.name, "%s", name);
	snprintf(v.to, sizeof v.to, "%s", to);
	return ioctl(root, COWFS_COPY, &v);
}

static int drop(const char *name)
{
	struct cowfs_volume v = { .flags = 0 };

	snprintf(v.name, sizeof v.name, "%s", name);
	return ioctl(root, COWFS_DELETE, &v);
}

/* It is gone, by this call or an earlier one. */
static bool dropped(const char *name)
{
	return !drop(name) || errno == ENOENT;
}

static int volumes(void)
{
	struct cowfs_volume v = { .position = 0 };
	int n = 0;

	while (!ioctl(root, COWFS_NEXT, &v))
		n++;
	return n;
}

static int spawn_with(const char *of, uint32_t flags, uint64_t disk, uint64_t inodes)
{
	struct container_spec s = spec_of(of);

	s.flags = flags;
	s.disk_max = disk;
	s.inodes_max = inodes;
	return syscall(SYS_spawncont, &s, sizeof s);
}

static long number(int cid, const char *file)
{
	char *text = control_get(cid, file);

	return text ? strcmp(text, "max") ? atol(text) : -1 : -2;
}

/* Bytes written to a new file before it was refused, or all. */
static long fill_up(const char *path, long most)
{
	static char buf[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	long n, done = 0;

	if (fd < 0)
		return -1;
	while (done < most && (n = write(fd, buf, sizeof buf)) > 0)
		done += n;
	int saved = errno;
	close(fd);
	errno = saved;
	return done;
}

static void bytes(void)
{
	struct statfs st;
	pid_t pid;

	root_disk();
	int c = OK(spawn_with(NULL, CONTAINER_F_VIEW, MIB, 0));
	EQ(number(c, "disk.max"), MIB);
	EQ(number(c, "inodes.max"), -1L);
	EQ(info_of(c).disk_max, MIB);
	CFORKED(pid, c)
	{
		OK(statfs("/", &st));
		CHECK(st.f_blocks * st.f_bsize <= MIB && st.f_bavail > 0);
		long n = fill_up("/f", 2 * MIB);
		EQ(errno, EDQUOT);
		CHECK(n > MIB * 3 / 4 && n < MIB);
		ERR(mkdir("/d", 0755), EDQUOT);
		OK(statfs("/", &st));
		CHECK(st.f_bavail * st.f_bsize < MIB / 8);
		OK(unlink("/f"));
		CHECK(fill_up("/g", MIB / 2) == MIB / 2);
	}
	EQ(reap(pid), 0);
	CHECK(number(c, "disk.current") >= MIB / 2 && number(c, "disk.current") < MIB * 3 / 4);
	CHECK(number(c, "disk.peak") <= MIB);
	CHECK(strncmp(control_get(c, "disk.events"), "max 0", 5) != 0);
	OK(control_set(c, "disk.max", "4M"));
	CFORKED(pid, c)
	{
		EQ(fill_up("/h", 2 * MIB), 2 * MIB);
	}
	EQ(reap(pid), 0);
	ERR(control_set(c, "disk.max", "-1"), EINVAL);
	ERR(control_set(c, "disk.max", "1X"), EINVAL);
	ERR(control_set(c, "disk.max", ""), EINVAL);
	ERR(control_set(c, "disk.current", "0"), EACCES);
	EQ(number(c, "disk.max"), 4 * MIB);
	gone(c);
	close(root);
}

static void files(void)
{
	char name[16];
	pid_t pid;

	root_disk();
	int c = OK(spawn_with(NULL, CONTAINER_F_VIEW, 0, 4));
	CFORKED(pid, c)
	{
		struct statfs st;

		for (int i = 0; i < 4; i++) {
			snprintf(name, sizeof name, "/n%d", i);
			OK(mkdir(name, 0755));
		}
		ERR(mkdir("/n4", 0755), EDQUOT);
		ERR(open("/n4", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), EDQUOT);
		ERR(symlink("x", "/n4"), EDQUOT);
		OK(statfs("/", &st));
		EQ(st.f_files, 4L);
		EQ(st.f_ffree, 0L);
		OK(link("/etc/passwd", "/n4")); /* a name is no file */
		OK(rmdir("/n0"));
		OK(mkdir("/n0", 0755));
	}
	EQ(reap(pid), 0);
	EQ(number(c, "inodes.current"), 4L);
	EQ(info_of(c).inodes_current, 4L);
	gone(c);
	close(root);
}

/* What a container inside takes counts in the outer one, whatever its own limit; and comes back. */
static void nested(void)
{
	pid_t pid;

	root_disk();
	int c = OK(spawn_with(NULL, CONTAINER_F_VIEW, 2 * MIB, 0));
	CFORKED(pid, c)
	{
		pid_t inner;
		int d = OK(spawn_with(NULL, CONTAINER_F_VIEW, 64 * MIB, 0));

		CFORKED(inner, d)
		{
			long n = fill_up("/f", 8 * MIB);
			EQ(errno, EDQUOT);
			CHECK(n > MIB && n < 2 * MIB);
		}
		EQ(reap(inner), 0);
		CHECK(number(d, "disk.current") > MIB);
		ERR(open("/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), EDQUOT);
		OK(control_set(d, "disk.max", "64K"));
		CFORKED(inner, d)
		{
			EQ(fill_up("/g", MIB), -1L);
			OK(unlink("/f"));
		}
		EQ(reap(inner), 0);
		EQ(fill_up("/f", MIB), MIB);
		OK(DESTROY(d));
		OK(unlink("/f"));
		EQ(fill_up("/f", MIB), MIB);
		ERR(control_set(GETCID(), "disk.max", "max"), ENOENT); /* not named inside */
	}
	EQ(reap(pid), 0);
	gone(c);
	close(root);
}

/* In a directory of the host's what the container adds is limited, and what it takes away is given
 * back. */
static void directory(void)
{
	struct statfs st;
	pid_t pid;

	root_disk();
	OK(mkdir("r", 0755));
	put("r/old", "", 0644);
	EQ(fill_up("r/old", MIB), MIB);
	int c = OK(spawn_with("r", 0, MIB, 5));
	EQ(number(c, "disk.current"), 0L);
	CFORKED(pid, c)
	{
		OK(statfs("/", &st));
		EQ(st.f_blocks * st.f_bsize, MIB);
		EQ(st.f_files, 5L);
		CHECK(fill_up("/f", 2 * MIB) < MIB);
		EQ(errno, EDQUOT);
		OK(unlink("/f"));
		OK(unlink("/old")); /* it was not the container's: no more room than before */
		CHECK(fill_up("/f", 2 * MIB) < MIB);
		EQ(errno, EDQUOT);
		OK(unlink("/f"));
		for (char n[] = "/a"; n[1] < 'f'; n[1]++)
			OK(mkdir(n, 0755));
		ERR(mkdir("/f", 0755), EDQUOT);
		OK(rmdir("/a"));
		CHECK(fill_up("/f", MIB / 2) == MIB / 2);
	}
	EQ(reap(pid), 0);
	CHECK(number(c, "disk.current") >= MIB / 2 && number(c, "disk.peak") <= MIB);
	EQ(number(c, "inodes.current"), 5L);
	gone(c);
	/* inside another: both count it, and the outer one keeps it */
	c = OK(spawn_with("r", 0, MIB, 0));
	OK(mkdir("r/dev", 0755));
	OK(mkdir("r/sys", 0755));
	CFORKED(pid, c)
	{
		pid_t inner;
		int d = OK(spawn_with("/", 0, 64 * MIB, 0));

		CFORKED(inner, d)
		{
			CHECK(fill_up("/g", 2 * MIB) < MIB);
			EQ(errno, EDQUOT);
		}
		EQ(reap(inner), 0);
		OK(DESTROY(d));
		EQ(fill_up("/h", MIB / 2), -1L);
		OK(unlink("/g"));
		CHECK(fill_up("/h", MIB / 2) == MIB / 2);
	}
	EQ(reap(pid), 0);
	gone(c);
	close(root);
}

static void bad_names(void)
{
	char name[301];

	root_disk();
	memset(name, 'n', 300);
	name[300] = 0;
	ERR(spawn_with("nix", CONTAINER_F_IMAGE, 0, 0), ENOENT);
	ERR(spawn_with(name, CONTAINER_F_IMAGE, 0, 0), ENAMETOOLONG);
	ERR(spawn_with("../root", CONTAINER_F_IMAGE, 0, 0), ENOENT);
	ERR(spawn_with("", CONTAINER_F_IMAGE, 0, 0), ENOENT);
	ERR(spawn_with((char *)8, CONTAINER_F_IMAGE, 0, 0), EFAULT);
	ERR(spawn_with("x", CONTAINER_F_IMAGE | CONTAINER_F_VIEW, 0, 0), EINVAL);
	ERR(copy("nix", "image.img", COWFS_FROZEN), ENOENT);
	ERR(copy("root", "image/img", COWFS_FROZEN), EINVAL);
	ERR(copy("root", "", COWFS_FROZEN), EINVAL);
	ERR(copy("root", "x", 4), EINVAL);
	OK(copy("root", "image.live", 0));
	ERR(spawn_with("live", CONTAINER_F_IMAGE, 0, 0), EINVAL); /* it may change */
	OK(drop("image.live"));
	close(root);
}

static void roots(void)
{
	struct container_spec s = spec_of("img");
	pid_t pid;

	root_disk();
	OK(copy("root", "image.img", COWFS_FROZEN));
	ERR(copy("root", "image.img", COWFS_FROZEN), EEXIST);
	int before = volumes(), c = OK(spawn_with("img", CONTAINER_F_IMAGE, 0, 0));
	STREQ(control_get(c, "root"), "img");
	ERR(drop("image.img"), EBUSY);
	EQ(volumes(), before + 1);
	CFORKED(pid, c)
	{
		EQ(access("/etc/passwd", F_OK), 0);
		put("/etc/passwd", "mine", 0644);
		ERR(spawn_with("img", CONTAINER_F_IMAGE, 0, 0), EPERM);
		ERR(mount("/", "/tmp", "cowfs", 0, "subvol=root"), EPERM);
		ERR(open("/sys/container/self/volume", O_RDONLY | O_CLOEXEC), EPERM);
		ERR(open("/sys/container/self/diff", O_RDONLY | O_CLOEXEC), EPERM);
		ERR(mknod("/tmp/vda", S_IFBLK | 0600, 0xfe00), EPERM);
	}
	EQ(reap(pid), 0);
	CHECK(strncmp(get("/etc/passwd"), "mine", 4) != 0);
	char *diff = control_get(c, "diff");
	CHECK(diff && diff[0] == 'C');
	/* whoever else mounts its volume is not its owner: root inside keeps its rights */
	OK(mkdir("m", 0755));
	char options[80], *volume = control_get(c, "volume");
	snprintf(options, sizeof options, "subvol=%.*s", (int)strcspn(volume, " "), volume);
	OK(mount("/", "m", "cowfs", 0, options));
	CFORKED(pid, c)
	{
		OK(chown("/etc/passwd", 5, 5));
	}
	EQ(reap(pid), 0);
	OK(umount("m"));
	s.flags = CONTAINER_F_IMAGE | CONTAINER_F_READ_ONLY;
	int d = OK(syscall(SYS_spawncont, &s, sizeof s));
	CFORKED(pid, d)
	{
		ERR(open("/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), EROFS);
	}
	EQ(reap(pid), 0);
	gone(c);
	gone(d);
	AWAIT(volumes() == before);
	AWAIT(dropped("image.img"));
	close(root);
}

static uint64_t blocks_free(void)
{
	struct cowfs_stats s;

	sync();
	OK(ioctl(root, COWFS_STATS, &s));
	return s.dead ? 0 : s.free + s.pending;
}

static void all_comes_back(void)
{
	root_disk();
	OK(copy("root", "image.img", COWFS_FROZEN));
	uint64_t before = 0;
	int had = volumes();

	for (int round = 0; round < 12; round++) {
		pid_t pid;
		int c = OK(spawn_with(round % 2 ? "img" : NULL,
				      round % 2 ? CONTAINER_F_IMAGE : CONTAINER_F_VIEW, 8 * MIB,
				      0));
		CFORKED(pid, c)
		{
			EQ(fill_up("/f", 2 * MIB), 2 * MIB);
			for (int i = 0; i < 50; i++) {
				char name[16];

				snprintf(name, sizeof name, "/d%d", i);
				OK(mkdir(name, 0755));
			}
		}
		EQ(reap(pid), 0);
		gone(c);
		AWAIT(volumes() == had);
		if (round == 1) { /* what the first use takes is taken */
			AWAIT((before = blocks_free()) != 0);
		}
	}
	AWAIT(blocks_free() + 8 >= before);
	AWAIT(dropped("image.img"));
	close(root);
}

static const struct tap_case cases[] = {
	T(bytes), T(files), T(nested), T(directory), T(bad_names), T(roots), T(all_comes_back),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
