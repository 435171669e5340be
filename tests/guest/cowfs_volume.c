/* SPDX-License-Identifier: MIT */
/* Volumes of cowfs: clones share blocks and memory, and nothing else. */
#include "cowfs.h"

#define SIZE (2l << 20)

static char mount_point[80];

static void leave(void)
{
	umount2(mount_point, MNT_DETACH);
	scratch_leave();
}

/* The volume, at a mount point in the scratch directory. */
static void mount_volume(const char *name)
{
	char options[80];

	snprintf(mount_point, sizeof mount_point, "%s/m", scratch_path);
	snprintf(options, sizeof options, "subvol=%s", name);
	mkdir(mount_point, 0755);
	REQUIRE(mount("/dev/vda", mount_point, "cowfs", 0, options) == 0);
	tap_at_end = leave;
}

static void *map(const char *path, int prot, int flags)
{
	int fd = OK(open(path, prot & PROT_WRITE ? O_RDWR : O_RDONLY));
	void *m = mmap(NULL, SIZE, prot, flags, fd, 0);

	REQUIRE(m != MAP_FAILED);
	close(fd);
	return m;
}

static void make(const char *path, int version)
{
	static char buf[SIZE];
	int fd = OK(open(path, O_RDWR | O_CREAT | O_TRUNC, 0644));

	fill(buf, SIZE, 0, version);
	EQ(write(fd, buf, SIZE), SIZE);
	close(fd);
}

static char *in_clone(const char *path)
{
	static char at[200];

	snprintf(at, sizeof at, "%s/m%s/%s", scratch_path, strrchr(scratch_path, '/'), path);
	return at;
}

static void drop(int dir, const char *name)
{
	EQ(chdir(scratch_path), 0);
	OK(umount2(mount_point, 0));
	tap_at_end = scratch_leave;
	OK(volume_call(dir, COWFS_DELETE, name, 0));
	ERR(volume_call(dir, COWFS_DELETE, name, 0), ENOENT);
}

static void clones_differ(void)
{
	int dir = scratch_cowfs();
	static char buf[PAGE];

	make("f", 1);
	OK(volume_call(dir, COWFS_CLONE, "t1", 0));
	ERR(volume_call(dir, COWFS_CLONE, "t1", 0), EEXIST);
	mount_volume("t1");
	ERR(volume_call(dir, COWFS_DELETE, "t1", 0), EBUSY);
	char *a = map("f", PROT_READ | PROT_WRITE, MAP_SHARED);
	char *b = map(in_clone("f"), PROT_READ | PROT_WRITE, MAP_SHARED);
	CHECK(filled(a, SIZE, 0, 1));
	CHECK(filled(b, SIZE, 0, 1));
	a[0] = 'A';
	b[PAGE] = 'B';
	EQ(b[0], 1);
	EQ(a[PAGE], (char)(PAGE * 31 + 1 + 1));
	int fd = OK(open(in_clone("f"), O_RDWR));
	EQ(pwrite(fd, "clone", 5, 0), 5);
	EQ(pread(fd, buf, PAGE, PAGE), PAGE);
	EQ(buf[0], 'B');
	close(fd);
	EQ(a[0], 'A');
	sync();
	CHECK(filled(a + 2 * PAGE, SIZE - 2 * PAGE, 2 * PAGE, 1));
	CHECK(filled(b + 2 * PAGE, SIZE - 2 * PAGE, 2 * PAGE, 1));
	put(in_clone("only_there"), "x", 0644);
	ERR(open("only_there", O_RDONLY), ENOENT);
	munmap(a, SIZE);
	munmap(b, SIZE);
	drop(dir, "t1");
	close(dir);
}

/* What is being written through a map when the clone is made stands still in the clone. */
static void clone_while_mapped(void)
{
	int dir = scratch_cowfs();

	make("f", 0);
	volatile char *m = map("f", PROT_READ | PROT_WRITE, MAP_SHARED);
	for (long i = 0; i < SIZE; i += PAGE)
		m[i] = 'm';
	OK(volume_call(dir, COWFS_CLONE, "t2", 0));
	for (long i = 0; i < SIZE; i += PAGE)
		m[i] = 'n';
	mount_volume("t2");
	char *c = map(in_clone("f"), PROT_READ, MAP_SHARED);
	for (long i = 0; i < SIZE; i += PAGE)
		if (c[i] != 'm' || m[i] != 'n') {
			EQ(c[i], 'm');
			EQ(m[i], 'n');
			break;
		}
	sync();
	CHECK(c[0] == 'm' && m[0] == 'n');
	munmap((void *)m, SIZE);
	munmap(c, SIZE);
	drop(dir, "t2");
	close(dir);
}

static long free_pages(void)
{
	char *at, *text = get("/proc/skerry/objects");

	REQUIRE(text && (at = strstr(text, "free_pages ")));
	return atol(at + 11);
}

static void memory_is_shared(void)
{
	int dir = scratch_cowfs();

	make("f", 5);
	sync();
	OK(volume_call(dir, COWFS_CLONE, "t3", COWFS_FROZEN));
	mount_volume("t3");
	char *a = map("f", PROT_READ, MAP_SHARED);
	CHECK(filled(a, SIZE, 0, 5));
	struct cowfs_stats before = stats(dir);
	char *b = map(in_clone("f"), PROT_READ, MAP_SHARED);
	CHECK(filled(b, SIZE, 0, 5));
	struct cowfs_stats after = stats(dir);
	CHECK(after.cached - before.cached < 16); /* blocks of pointers and records, no data */
	ERR(open(in_clone("f"), O_RDWR), EROFS);
	munmap(a, SIZE);
	munmap(b, SIZE);
	CHECK(free_pages() > 0);
	drop(dir, "t3");
	close(dir);
}

static void quotas(void)
{
	int dir = scratch_cowfs();
	struct cowfs_volume v = { .name = "t4", .quota_bytes = 64 * PAGE, .quota_inodes = 4 };
	static char buf[128 * PAGE];
	struct statfs st;

	OK(volume_call(dir, COWFS_CLONE, "t4", 0));
	OK(ioctl(dir, COWFS_QUOTA, &v));
	mount_volume("t4");
	OK(statfs(mount_point, &st));
	EQ(st.f_blocks, 64L);
	int fd = OK(open(in_clone("f"), O_RDWR | O_CREAT, 0644));
	long n = write(fd, buf, sizeof buf);
	CHECK(n > 0 && n < 64 * PAGE);
	ERR(pwrite(fd, buf, 64 * PAGE, n), EDQUOT);
	close(fd);
	OK(unlink(in_clone("f")));
	int made = 0;
	for (char name[8]; made < 10; made++) {
		snprintf(name, sizeof name, "i%d", made);
		fd = open(in_clone(name), O_WRONLY | O_CREAT, 0644);
		if (fd < 0)
			break;
		close(fd);
	}
	EQ(errno, EDQUOT);
	CHECK(made >= 3 && made <= 4);
	drop(dir, "t4");
	close(dir);
}

static void listing(void)
{
	int dir = scratch_cowfs(), seen = 0;
	struct cowfs_volume v = { .position = 0 };
	pid_t pid;

	OK(volume_call(dir, COWFS_CREATE, "empty", 0));
	snprintf(v.name, sizeof v.name, "empty");
	snprintf(v.to, sizeof v.to, "other");
	OK(ioctl(dir, COWFS_RENAME, &v));
	ERR(volume_call(dir, COWFS_CREATE, "a/b", 0), EINVAL);
	ERR(volume_call(dir, COWFS_CREATE, "", 0), EINVAL);
	memset(&v, 0, sizeof v);
	while (!ioctl(dir, COWFS_NEXT, &v))
		seen += !strcmp(v.name, "root") + !strcmp(v.name, "other");
	EQ(errno, ENOENT);
	EQ(seen, 2);
	OK(ioctl(dir, COWFS_THIS, &v));
	CHECK(!strcmp(v.name, "root"));
	OK(volume_call(dir, COWFS_DELETE, "other", 0));
	FORKED(pid)
	{
		become(1000, 1000);
		ERR(volume_call(dir, COWFS_CREATE, "mine", 0), EPERM);
		ERR(volume_call(dir, COWFS_THIS, "", 0), EPERM);
	}
	EQ(reap(pid), 0);
	ERR(mount("/dev/vda", ".", "cowfs", 0, "subvol=nothing"), ENOENT);
	ERR(mount("/dev/vda", ".", "cowfs", 0, "bad"), EINVAL);
	ERR(mount("/dev/null", ".", "cowfs", 0, NULL), ENOTBLK);
	close(dir);
}

/* A view of a volume that goes with its mount. */
static void throw_away(void)
{
	int dir = scratch_cowfs();
	struct cowfs_volume v = { .position = 0 };
	struct cowfs_stats before, after;

	put("f", "text", 0644);
	sync();
	before = stats(dir);
	snprintf(mount_point, sizeof mount_point, "%s/m", scratch_path);
	OK(mkdir(mount_point, 0755));
	REQUIRE(mount("/dev/vda", mount_point, "cowfs", 0, "subvol=root,clone=t5") == 0);
	tap_at_end = leave;
	after = stats(dir);
	/* Cloning waits for no disk; only the thread that commits every few seconds may have written. */
	CHECK(after.writes == before.writes || after.commits != before.commits);
	ERR(mount("/dev/vda", mount_point, "cowfs", 0, "subvol=root,clone=t5"), EEXIST);
	EQ(size_of(in_clone("f")), 4);
	make(in_clone("g"), 2);
	sync();
	OK(umount2(mount_point, 0));
	tap_at_end = scratch_leave;
	while (!ioctl(dir, COWFS_NEXT, &v))
		CHECK(strcmp(v.name, "t5"));
	for (int i = 0; i < 600; i++) {
		sync();
		after = stats(dir);
		if (!after.dead && after.free + 8 >= before.free)
			break;
		usleep(100000);
	}
	CHECK(after.free + 8 >= before.free);
	close(dir);
}

static const struct tap_case cases[] = {
	T(clones_differ), T(clone_while_mapped), T(memory_is_shared), T(quotas),
	T(listing),	  T(throw_away),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
