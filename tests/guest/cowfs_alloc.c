/* SPDX-License-Identifier: MIT */
/*
 * cowfs_alloc.c - memory that is not there, in cowfs: each allocation of each operation fails once,
 * one after the other (fail_nth.h). The operation succeeds all the same (the kernel has made
 * room and tried again), or says ENOMEM and has changed nothing; in the end all blocks are free
 * that were, and no object is left.
 */
#include "cowfs.h"
#include "fail_nth.h"
#include <sys/xattr.h>

#define BYTES	(3 * PAGE)
#define ENTRIES 120
#define MOST	400 /* more allocations than any operation has */
#ifndef FICLONE
#define FICLONE _IOW(0x94, 9, int)
#endif

struct step {
	const char *name;
	long (*run)(void);     /* -1 and errno */
	bool (*is_done)(void); /* did it happen? NULL: nothing is to be seen of it */
	void (*undo)(void);    /* after it happened; NULL: nothing is to be undone */
	bool cold;	       /* with nothing of the disk in memory */
};

static int nth = -1, top = -1;
static char bytes[BYTES];

/* --- injection --- */

/* Has it failed? Reading may be what takes the last of the countdown. */
static bool disarm(void)
{
	char text[16] = "";
	bool fired = pread(nth, text, sizeof text - 1, 0) > 0 && atoi(text) == 0;

	fail_none(nth);
	return fired;
}

/* Nothing stays in memory that the disk has. */
static void forget(void)
{
	static char text[4096];
	int fd = OK(open(TAP_OBJECTS, O_RDONLY | O_CLOEXEC));

	while (read(fd, text, sizeof text) > 0)
		;
	close(fd);
}

/* --- what is done --- */

static bool there(const char *path)
{
	return !access(path, F_OK);
}

static bool is_file(const char *path, int version, long size)
{
	static char buf[2 * BYTES];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long n = fd < 0 ? -1 : read(fd, buf, sizeof buf);

	if (fd >= 0)
		close(fd);
	return n == size && filled(buf, size, 0, version);
}

static void make(const char *path, int version)
{
	int fd = OK(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));

	fill(bytes, BYTES, 0, version);
	EQ(write(fd, bytes, BYTES), BYTES);
	close(fd);
}

/* One call on the file f. */
#define WITH(flags, call)                                \
	({                                               \
		int fd = open("f", (flags) | O_CLOEXEC); \
		long r_ = fd < 0 ? -1 : (call);          \
		int e_ = errno;                          \
		if (fd >= 0)                             \
			close(fd);                       \
		errno = e_;                              \
		r_;                                      \
	})

static long run_open(void)
{
	return WITH(O_RDWR, 0);
}
static long run_read(void)
{
	return WITH(O_RDONLY, read(fd, bytes, BYTES));
}
static long run_stat(void)
{
	struct stat st;

	return stat("f", &st);
}
static long run_statfs(void)
{
	struct statfs st;

	return statfs(".", &st);
}
static long run_create(void)
{
	int fd = open("new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : close(fd);
}
static long run_mkdir(void)
{
	return mkdir("new", 0755);
}
static long run_symlink(void)
{
	return symlink("f", "new");
}
static long run_mknod(void)
{
	return mkfifo("new", 0644);
}
static long run_link(void)
{
	return link("f", "new");
}
static bool done_new(void)
{
	struct stat st;

	return !lstat("new", &st);
}
static void undo_new(void)
{
	if (unlink("new"))
		OK(rmdir("new"));
}
static long run_readlink(void)
{
	char to[8];

	return readlink("l", to, sizeof to);
}

static long run_write_little(void)
{
	return WITH(O_WRONLY, pwrite(fd, "xyz", 3, 100));
}
static bool done_write_little(void)
{
	char got[3] = "";

	WITH(O_RDONLY, pread(fd, got, 3, 100));
	return !memcmp(got, "xyz", 3);
}
static void undo_bytes(void)
{
	make("f", 1);
}

/* As far as it says it has come. */
static long run_write(void)
{
	fill(bytes, BYTES, 0, 2);
	return WITH(O_WRONLY, write(fd, bytes, BYTES));
}
static long run_append_sync(void)
{
	return WITH(O_WRONLY | O_APPEND | O_SYNC, write(fd, "abc", 3));
}

static long run_fsync(void)
{
	return WITH(O_RDONLY, fsync(fd));
}
static long run_syncfs(void)
{
	return syncfs(top);
}

static long run_rename(void)
{
	return rename("f", "new");
}
static void undo_rename(void)
{
	OK(rename("new", "f"));
}
static long run_rename_over(void)
{
	return rename("g", "f");
}
static bool done_rename_over(void)
{
	return is_file("f", 3, BYTES) && !there("g");
}
static void undo_rename_over(void)
{
	make("f", 1);
	make("g", 3);
}
static long run_exchange(void)
{
	return syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "g", 2 /* RENAME_EXCHANGE */);
}
static bool done_exchange(void)
{
	return is_file("f", 3, BYTES) && is_file("g", 1, BYTES);
}
static void undo_exchange(void)
{
	EQ(run_exchange(), 0);
}
static long run_unlink(void)
{
	return unlink("g");
}
static bool done_unlink(void)
{
	return !there("g");
}
static void undo_unlink(void)
{
	make("g", 3);
}
static long run_rmdir(void)
{
	return rmdir("e");
}
static bool done_rmdir(void)
{
	return !there("e");
}
static void undo_rmdir(void)
{
	OK(mkdir("e", 0755));
}

static long run_truncate(void)
{
	return truncate("f", PAGE + 5);
}
static bool done_truncate(void)
{
	return is_file("f", 1, PAGE + 5);
}
static long run_extend(void)
{
	return truncate("f", 2 * BYTES);
}
static bool done_extend(void)
{
	struct stat st;

	return !stat("f", &st) && st.st_size == 2 * BYTES;
}
static long run_punch(void)
{
	return WITH(O_WRONLY, fallocate(fd, 3, 0, PAGE));
}
static bool done_punch(void)
{
	char got = 1;

	WITH(O_RDONLY, pread(fd, &got, 1, 0));
	return !got;
}
static long run_allocate(void)
{
	return WITH(O_WRONLY, fallocate(fd, 1, BYTES, BYTES));
}
static long run_share(void)
{
	int g = open("g", O_WRONLY | O_CLOEXEC);
	long r = g < 0 ? -1 : WITH(O_RDONLY, ioctl(g, FICLONE, fd));
	int e = errno;

	if (g >= 0)
		close(g);
	errno = e;
	return r;
}
static bool done_share(void)
{
	return is_file("g", 1, BYTES);
}
static long run_chmod(void)
{
	return chmod("f", 0600);
}
static bool done_chmod(void)
{
	struct stat st;

	return !stat("f", &st) && (st.st_mode & 0777) == 0600;
}
static void undo_chmod(void)
{
	OK(chmod("f", 0644));
}
static long run_setxattr(void)
{
	return setxattr("f", "user.name", "value", 5, 0);
}
static bool done_setxattr(void)
{
	char value[8];

	return getxattr("f", "user.name", value, sizeof value) == 5;
}
static void undo_setxattr(void)
{
	OK(removexattr("f", "user.name"));
}
static long run_listxattr(void)
{
	char list[64];

	return listxattr("g", list, sizeof list);
}

static long run_readdir(void)
{
	static char buf[16384];
	int fd = open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC), e;
	long n, names = 0;

	if (fd < 0)
		return -1;
	while ((n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0)
		for (long at = 0; at < n; at += *(unsigned short *)(buf + at + 16))
			names++;
	e = errno;
	close(fd);
	errno = e;
	if (!n)
		EQ(names, ENTRIES + 2);
	return n;
}
static long run_lookup(void)
{
	struct stat st;

	return stat("d/n77", &st);
}

static long run_clone(void)
{
	return volume_call(top, COWFS_CLONE, "clone", 0);
}
static bool done_clone(void)
{
	struct cowfs_volume v = { .position = 0 };

	while (!ioctl(top, COWFS_NEXT, &v))
		if (!strcmp(v.name, "clone"))
			return true;
	return false;
}
static void undo_clone(void)
{
	OK(volume_call(top, COWFS_DELETE, "clone", 0));
}
static long run_volume(void)
{
	return volume_call(top, COWFS_CREATE, "clone", 0);
}
static long run_delete(void)
{
	return volume_call(top, COWFS_DELETE, "spare", 0);
}
static void undo_delete(void)
{
	OK(volume_call(top, COWFS_CREATE, "spare", 0));
}
static long run_mount(void)
{
	return mount("/dev/vda", "m", "cowfs", 0, "subvol=spare");
}
static void undo_mount(void)
{
	OK(umount("m"));
}

/* A fault cannot say ENOMEM: it makes room, or the process is killed. */
static long map_f(int prot, int flags, bool write)
{
	volatile char *m = (char *)WITH(O_RDWR, (long)mmap(NULL, BYTES, prot, flags, fd, 0));
	long sum = 0;

	if ((char *)m == MAP_FAILED)
		return -1;
	for (long i = 0; i < BYTES; i += PAGE) {
		sum += m[i];
		if (write)
			m[i + 1] = 'w';
	}
	munmap((void *)m, BYTES);
	return sum & 1;
}
static long run_map_read(void)
{
	return map_f(PROT_READ, MAP_SHARED, false);
}
static long run_map_private(void)
{
	return map_f(PROT_READ | PROT_WRITE, MAP_PRIVATE, true);
}
static long run_map_write(void)
{
	return map_f(PROT_READ | PROT_WRITE, MAP_SHARED, true);
}

static const struct step reads[] = {
	{ "open", run_open, NULL, NULL, true },
	{ "stat", run_stat, NULL, NULL, true },
	{ "statfs", run_statfs, NULL, NULL, true },
	{ "read", run_read, NULL, NULL, true },
	{ "readlink", run_readlink, NULL, NULL, true },
	{ "readdir", run_readdir, NULL, NULL, true },
	{ "lookup", run_lookup, NULL, NULL, true },
};

static const struct step names[] = {
	{ "create", run_create, done_new, undo_new, true },
	{ "create, warm", run_create, done_new, undo_new, false },
	{ "mkdir", run_mkdir, done_new, undo_new, true },
	{ "symlink", run_symlink, done_new, undo_new, true },
	{ "mkfifo", run_mknod, done_new, undo_new, true },
	{ "link", run_link, done_new, undo_new, true },
};

static const struct step writes[] = {
	{ "write a little", run_write_little, done_write_little, undo_bytes, true },
	{ "write", run_write, NULL, undo_bytes, true },
	{ "write, warm", run_write, NULL, undo_bytes, false },
	{ "append and sync", run_append_sync, NULL, undo_bytes, true },
	{ "fsync", run_fsync, NULL, undo_bytes, false },
	{ "syncfs", run_syncfs, NULL, undo_bytes, false },
};

static const struct step more_names[] = {
	{ "rename", run_rename, done_new, undo_rename, true },
	{ "rename over", run_rename_over, done_rename_over, undo_rename_over, true },
	{ "exchange", run_exchange, done_exchange, undo_exchange, true },
	{ "unlink", run_unlink, done_unlink, undo_unlink, true },
	{ "rmdir", run_rmdir, done_rmdir, undo_rmdir, true },
};

static const struct step changes[] = {
	{ "truncate", run_truncate, done_truncate, undo_bytes, true },
	{ "extend", run_extend, done_extend, undo_bytes, true },
	{ "punch", run_punch, done_punch, undo_bytes, true },
	{ "fallocate", run_allocate, NULL, undo_bytes, true },
	{ "FICLONE", run_share, done_share, undo_unlink, true },
	{ "chmod", run_chmod, done_chmod, undo_chmod, true },
	{ "setxattr", run_setxattr, done_setxattr, undo_setxattr, true },
	{ "listxattr", run_listxattr, NULL, NULL, true },
};

static const struct step volumes[] = {
	{ "clone", run_clone, done_clone, undo_clone, true },
	{ "clone, warm", run_clone, done_clone, undo_clone, false },
	{ "create a volume", run_volume, done_clone, undo_clone, true },
	{ "delete a volume", run_delete, NULL, undo_delete, true },
	{ "mount", run_mount, NULL, undo_mount, true },
};

static const struct step maps[] = {
	{ "map, read", run_map_read, NULL, NULL, true },
	{ "map, private", run_map_private, NULL, NULL, true },
	{ "map, write", run_map_write, NULL, undo_bytes, true },
};

/* --- one after the other --- */

/* One allocation of s fails, the n-th: false, s has fewer. */
static bool fail(const struct step *s, int n)
{
	bool fired;
	long r;
	int e;

	if (s->cold)
		forget();
	fail_nth(nth, n);
	r = s->run();
	e = errno;
	fired = disarm();
	if (r < 0 && e != ENOMEM)
		FAIL("%s, allocation %d: %s", s->name, n, strerror(e));
	if (r < 0 && !fired)
		FAIL("%s: %s with memory", s->name, strerror(e));
	if (s->is_done && s->is_done() != (r >= 0))
		FAIL("%s, allocation %d: it says %ld, and that is not so", s->name, n, r);
	if (s->undo && (s->is_done ? s->is_done() : r >= 0))
		s->undo();
	return fired;
}

static void setup(void)
{
	char name[32];

	make("f", 1);
	make("g", 3);
	OK(symlink("f", "l"));
	OK(mkdir("d", 0755));
	OK(mkdir("e", 0755));
	OK(mkdir("m", 0755));
	for (int k = 0; k < ENTRIES; k++) {
		snprintf(name, sizeof name, "d/n%d", k);
		put(name, "", 0644);
	}
	OK(volume_call(top, COWFS_CREATE, "spare", 0));
}

static void each_step(const struct step *steps, unsigned count)
{
	for (unsigned k = 0; k < count; k++) {
		int n = 1;

		while (n < MOST && fail(&steps[k], n))
			n++;
		tap_say("# %s: %d allocations", steps[k].name, n - 1);
		CHECK(n < MOST);
		CHECK(is_file("f", 1, BYTES) && is_file("g", 3, BYTES));
	}
}

static uint64_t free_blocks(void)
{
	struct cowfs_stats s;

	do { /* what is deleted, and what could not be for lack of memory, is given back in the
		background */
		forget();
		sync();
		sync();
		s = stats(top);
	} while (s.dead || s.pending);
	return s.free;
}

/* What it makes and removes leaves nothing on the disk. The first round is for what stays: inode
 * tables do not shrink. */
static void each_allocation(const struct step *steps, unsigned count)
{
	uint64_t before = 0;

	fail_nth_required();
	top = scratch_cowfs();
	nth = fail_nth_open();
	for (int round = 0; round < 2; round++) {
		before = free_blocks();
		OK(mkdir("w", 0755));
		OK(chdir("w"));
		setup();
		if (round)
			each_step(steps, count);
		else
			put("new", "", 0644);
		OK(volume_call(top, COWFS_DELETE, "spare", 0));
		OK(chdir(".."));
		scratch_remove(AT_FDCWD, "w");
	}
	EQ(free_blocks(), before);
	close(nth);
	close(top);
}

static void reading(void)
{
	each_allocation(reads, COUNT(reads));
}
static void making(void)
{
	each_allocation(names, COUNT(names));
}
static void writing(void)
{
	each_allocation(writes, COUNT(writes));
}
static void renaming(void)
{
	each_allocation(more_names, COUNT(more_names));
}
static void changing(void)
{
	each_allocation(changes, COUNT(changes));
}
static void of_volumes(void)
{
	each_allocation(volumes, COUNT(volumes));
}
static void mapping(void)
{
	each_allocation(maps, COUNT(maps));
}

static const struct tap_case cases[] = { T(reading),  T(making),     T(writing), T(renaming),
					 T(changing), T(of_volumes), T(mapping) };

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
