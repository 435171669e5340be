/* SPDX-License-Identifier: MIT */
/*
 * file_name.c - hard and symbolic links, rename and renameat2, directories and reading them,
 * mknod, working directory and root.
 */
#include "scratch.h"
#include <limits.h>
#include <sys/sysmacros.h>

#define NOREPLACE		 1
#define EXCHANGE		 2
#define WHITEOUT		 4
#define RENAME2(from, to, flags) syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags)

static nlink_t links_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_nlink;
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_ino;
}

static void hard_links(void)
{
	scratch();
	put("f", "x", 0644);
	OK(mkdir("d", 0755));
	OK(symlink("f", "l"));
	OK(link("f", "g"));
	EQ(links_of("f"), 2);
	EQ(inode_of("f"), inode_of("g"));
	ERR(link("f", "g"), EEXIST);
	ERR(link("none", "h"), ENOENT);
	ERR(link("d", "h"), EPERM);
	ERR(link("f", "d"), EEXIST);
	ERR(link("f", "none/h"), ENOENT);
	ERR(link("f", "g/h"), ENOTDIR);
	ERR(link("f", ""), ENOENT);
	OK(link("l", "m")); /* the link itself */
	CHECK(S_ISLNK(mode_of("m")));
	OK(linkat(AT_FDCWD, "l", AT_FDCWD, "n", AT_SYMLINK_FOLLOW));
	CHECK(S_ISREG(mode_of("n")));
	EQ(links_of("f"), 3);
	OK(unlink("f"));
	EQ(links_of("g"), 2);
	STREQ(get("n"), "x");
}

static void symbolic_links(void)
{
	char text[64] = "";

	scratch();
	OK(symlink("some/where", "l"));
	EQ(mode_of("l"), S_IFLNK | 0777);
	EQ(size_of("l"), 10);
	EQ(readlink("l", text, sizeof text), 10);
	STREQ(text, "some/where");
	EQ(readlink("l", text, 4), 4);
	ERR(syscall(SYS_readlink, "l", text, 0), EINVAL);
	ERR(syscall(SYS_readlink, "l", text, -1), EINVAL);
	ERR(readlink(".", text, 10), EINVAL);
	ERR(readlink("none", text, 10), ENOENT);
	ERR(readlink("l", (char *)8, 10), EFAULT);
	ERR(symlink("x", "l"), EEXIST);
	ERR(symlink("", "e"), ENOENT);
	ERR(symlink("x", "none/l"), ENOENT);
	OK(symlink("/", "abs"));
	OK(mkdir("d", 0755));
	OK(symlink("..", "d/up"));
	put("f", "here", 0644);
	STREQ(get("d/up/f"), "here");
	STREQ(get("d/up/d/up/f"), "here");
	ERR(chmod("l", 0600), ENOENT);
	OK(unlink("l"));
	ERR(fchmodat(AT_FDCWD, "abs", 0600, 0x100), EOPNOTSUPP);
}

static void renaming(void)
{
	scratch();
	put("f", "f", 0644);
	put("g", "g", 0644);
	OK(mkdir("d", 0755));
	OK(mkdir("e", 0755));
	OK(mkdir("full", 0755));
	put("full/x", "x", 0644);
	OK(rename("f", "g"));
	STREQ(get("g"), "f");
	ERR(rename("f", "g"), ENOENT);
	ERR(rename("g", "d"), EISDIR);
	ERR(rename("d", "g"), ENOTDIR);
	ERR(rename("d", "full"), ENOTEMPTY);
	OK(rename("d", "e"));
	ERR(rename("e", "e/sub"), EINVAL);
	ERR(rename("full", "full/a"), EINVAL);
	ERR(rename("full/x", "full"), ENOTEMPTY);
	ERR(rename("g", "none/g"), ENOENT);
	ERR(rename("none/g", "g"), ENOENT);
	ERR(rename("g", "g/x"), ENOTDIR);
	ERR(rename(".", "x"), EBUSY);
	ERR(rename("e", "."), EBUSY);
	ERR(rename("e/..", "x"), EBUSY);
	ERR(rename("", "x"), ENOENT);
	ERR(rename("g", ""), ENOENT);
	ERR(rename("g", "/proc/g"), EXDEV);
	OK(rename("g", "g"));
	/* two names of one file: nothing happens */
	OK(link("g", "h"));
	OK(rename("g", "h"));
	EQ(links_of("g"), 2);
	OK(symlink("none", "l"));
	OK(rename("g", "l")); /* replaces the link, not what it names */
	CHECK(S_ISREG(mode_of("l")));
	/* link counts of directories follow */
	EQ(links_of("e"), 2);
	OK(rename("full", "e/full"));
	EQ(links_of("e"), 3);
	STREQ(get("e/full/x"), "x");
	struct stat up, e;
	OK(stat("e/full/..", &up));
	OK(stat("e", &e));
	EQ(up.st_ino, e.st_ino);
}

static void renaming_with_flags(void)
{
	scratch();
	put("f", "f", 0644);
	put("g", "g", 0644);
	OK(mkdir("d", 0755));
	OK(mkdir("d/sub", 0755));
	OK(symlink("f", "l"));
	ERR(RENAME2("f", "g", NOREPLACE), EEXIST);
	ERR(RENAME2("f", "d", NOREPLACE), EEXIST);
	ERR(RENAME2("f", "l", NOREPLACE), EEXIST);
	OK(RENAME2("f", "h", NOREPLACE));
	OK(RENAME2("h", "f", NOREPLACE));
	OK(RENAME2("f", "g", EXCHANGE));
	STREQ(get("f"), "g");
	STREQ(get("g"), "f");
	OK(RENAME2("f", "d", EXCHANGE));
	CHECK(S_ISDIR(mode_of("f")) && S_ISREG(mode_of("d")));
	OK(RENAME2("l", "g", EXCHANGE));
	CHECK(S_ISLNK(mode_of("g")));
	ERR(RENAME2("f", "none", EXCHANGE), ENOENT);
	ERR(RENAME2("none", "f", EXCHANGE), ENOENT);
	ERR(RENAME2("f", "f/sub", EXCHANGE), EINVAL);
	ERR(RENAME2("f/sub", "f", EXCHANGE), EINVAL);
	ERR(RENAME2("d", "x", NOREPLACE | EXCHANGE), EINVAL);
	ERR(RENAME2("d", "x", WHITEOUT | EXCHANGE), EINVAL);
	ERR(RENAME2("d", "x", 8), EINVAL);
	ERR(RENAME2("d", "x", 0x80000000), EINVAL);
	/* directories of two parents exchanged: both .. are right */
	OK(mkdir("p", 0755));
	OK(mkdir("p/a", 0755));
	OK(mkdir("q", 0755));
	OK(mkdir("q/b", 0755));
	OK(RENAME2("p/a", "q/b", EXCHANGE));
	EQ(inode_of("p/a/.."), inode_of("p"));
	EQ(inode_of("q/b/.."), inode_of("q"));
	put("q/file", "", 0644);
	OK(RENAME2("p/a", "q/file", EXCHANGE));
	EQ(links_of("p"), 2);
	EQ(links_of("q"), 4);
	EQ(inode_of("q/file/.."), inode_of("q"));
}

/* Moves of directories race: no cycle, nothing lost. */
static void rename_races(void)
{
	pid_t pid[3];

	scratch();
	OK(mkdir("a", 0755));
	OK(mkdir("b", 0755));
	OK(mkdir("a/x", 0755));
	OK(mkdir("b/y", 0755));
	for (int i = 0; i < 3; i++)
		FORKED(pid[i])
		{
			for (int k = 0; k < 300; k++) {
				switch ((k + i) % 6) {
				case 0:
					rename("a/x", "b/y/x");
					break;
				case 1:
					rename("b/y", "a/x/y");
					break;
				case 2:
					rename("b/y/x", "a/x");
					break;
				case 3:
					rename("a/x/y", "b/y");
					break;
				case 4:
					RENAME2("a", "b", EXCHANGE);
					break;
				default:
					close(open("a/x/y/..", O_RDONLY));
				}
			}
		}
	for (int i = 0; i < 3; i++)
		EQ(reap(pid[i]), 0);
	CHECK(S_ISDIR(mode_of("a")) && S_ISDIR(mode_of("b")));
	int found = 0;
	static const char *places[] = { "a/x", "b/x", "a/y/x", "b/y/x" };
	for (size_t i = 0; i < COUNT(places); i++)
		found += S_ISDIR(mode_of(places[i]));
	EQ(found, 1);
}

static void directories(void)
{
	struct stat st;

	scratch();
	umask(027);
	OK(mkdir("d", 0777));
	EQ(mode_of("d"), S_IFDIR | 0750);
	OK(mkdir("s", 07777));
	EQ(mode_of("s") & 07777, 01750);
	umask(022);
	EQ(links_of("d"), 2);
	OK(mkdir("d/e", 0755));
	EQ(links_of("d"), 3);
	ERR(mkdir("d", 0755), EEXIST);
	ERR(mkdir("none/x", 0755), ENOENT);
	ERR(mkdir("", 0755), ENOENT);
	OK(symlink("nowhere", "l"));
	ERR(mkdir("l", 0755), EEXIST);
	ERR(rmdir("d"), ENOTEMPTY);
	ERR(rmdir("none"), ENOENT);
	ERR(unlinkat(AT_FDCWD, "d", 0), EISDIR);
	OK(unlinkat(AT_FDCWD, "d/e", AT_REMOVEDIR));
	EQ(links_of("d"), 2);
	put("f", "", 0644);
	ERR(rmdir("f"), ENOTDIR);
	ERR(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR), ENOTDIR);
	/* a removed working directory */
	OK(chdir("d"));
	OK(rmdir("../d"));
	OK(stat(".", &st));
	ERR(mkdir("x", 0755), ENOENT);
	ERR(open("x", O_CREAT | O_RDWR, 0600), ENOENT);
	char text[PATH_MAX];
	ERR(syscall(SYS_getcwd, text, sizeof text), ENOENT);
	OK(chdir(scratch_path));
}

struct entry {
	uint64_t ino;
	int64_t next;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* Reads on from where the descriptor is; what is seen is counted in seen[], by the number after f.
 */
static int read_entries(int fd, size_t size, int *seen, int most)
{
	char *buffer = malloc(size);
	int count = 0;
	long n;

	while (count < most && (n = syscall(SYS_getdents64, fd, buffer, size)) > 0)
		for (char *p = buffer; p < buffer + n; p += ((struct entry *)p)->length) {
			struct entry *e = (struct entry *)p;
			count++;
			EQ(e->length % 8, 0);
			CHECK(e->ino != 0);
			if (e->name[0] == 'f')
				seen[atoi(e->name + 1)]++;
		}
	free(buffer);
	return count;
}

static void reading_directories(void)
{
	enum { N = 300 };
	static int seen[N];
	char name[16], small[24];

	scratch();
	OK(mkdir("d", 0755));
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "d/f%d", i);
		put(name, "", 0644);
	}
	int fd = OK(open("d", O_RDONLY | O_DIRECTORY));
	EQ(read_entries(fd, 200, seen, 1 << 30), N + 2);
	for (int i = 0; i < N; i++)
		EQ(seen[i], 1);
	EQ(syscall(SYS_getdents64, fd, small, sizeof small), 0); /* at the end */
	lseek(fd, 0, SEEK_SET);
	ERR(syscall(SYS_getdents64, fd, small, 8), EINVAL);
	EQ(read_entries(fd, 65536, seen, 1 << 30), N + 2);
	/* removing while reading: what stays is seen exactly once */
	memset(seen, 0, sizeof seen);
	lseek(fd, 0, SEEK_SET);
	int count = read_entries(fd, 1000, seen, 50);
	CHECK(count >= 50);
	int gone[N] = { 0 };
	for (int i = 0; i < N; i += 3) {
		snprintf(name, sizeof name, "d/f%d", i);
		OK(unlink(name));
		gone[i] = 1;
	}
	read_entries(fd, 1000, seen, 1 << 30);
	for (int i = 0; i < N; i++)
		CHECK(gone[i] ? seen[i] <= 1 : seen[i] == 1);
	/* rewinding shows what was added */
	put("d/f0", "", 0644);
	memset(seen, 0, sizeof seen);
	lseek(fd, 0, SEEK_SET);
	read_entries(fd, 1000, seen, 1 << 30);
	EQ(seen[0], 1);
	EQ(seen[3], 0);
	close(fd);
	ERR(syscall(SYS_getdents64, -1, small, 24), EBADF);
	fd = OK(open("d/f0", O_RDONLY));
	ERR(syscall(SYS_getdents64, fd, small, 24), ENOTDIR);
	close(fd);
	fd = OK(open("d", O_RDONLY));
	ERR(syscall(SYS_getdents64, fd, (void *)8, 1000), EFAULT);
	close(fd);
}

static void entry_types(void)
{
	char buffer[1024];
	int types = 0;

	scratch();
	put("r", "", 0644);
	OK(mkdir("d", 0755));
	OK(symlink("x", "l"));
	OK(mkfifo("p", 0600));
	OK(mknod("c", S_IFCHR | 0600, makedev(1, 3)));
	int fd = OK(open(".", O_RDONLY));
	long n = OK(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
	for (char *p = buffer; p < buffer + n; p += ((struct entry *)p)->length) {
		struct entry *e = (struct entry *)p;
		static const char *names[] = { "r", "d", "l", "p", "c", ".", ".." };
		static const int type[] = { 8, 4, 10, 1, 2, 4, 4 };
		for (int i = 0; i < 7; i++)
			if (!strcmp(e->name, names[i])) {
				types++;
				EQ(e->type, type[i]);
				if (i != 6)
					EQ(e->ino, inode_of(names[i]));
			}
	}
	EQ(types, 7);
	close(fd);
}

/* telldir and seekdir: a position goes on where it was taken. */
static void seeking_in_directories(void)
{
	char name[16];

	scratch();
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "f%d", i);
		put(name, "", 0644);
	}
	DIR *d = opendir(".");
	long at[52];
	char names[52][16];
	struct dirent *e;
	int n = 0;
	for (at[0] = telldir(d); n < 52 && (e = readdir(d)); at[n] = telldir(d)) {
		snprintf(names[n], 16, "%.15s", e->d_name);
		if (++n == 52)
			break;
	}
	EQ(n, 52);
	for (int i = 51; i >= 0; i -= 7) {
		seekdir(d, at[i]);
		e = readdir(d);
		STREQ(e ? e->d_name : NULL, names[i]);
	}
	closedir(d);
}

static void special_files(void)
{
	struct stat st;
	char c;

	scratch();
	OK(mknod("p", S_IFIFO | 0666, 0));
	EQ(mode_of("p"), S_IFIFO | 0644);
	OK(mknod("r", 0600, 0)); /* no type: a regular file */
	CHECK(S_ISREG(mode_of("r")));
	OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	OK(mknod("zero", S_IFCHR | 0666, makedev(1, 5)));
	OK(mknod("s", S_IFSOCK | 0600, 0));
	OK(stat("zero", &st));
	EQ(major(st.st_rdev), 1);
	EQ(minor(st.st_rdev), 5);
	int fd = OK(open("zero", O_RDONLY));
	c = 1;
	EQ(read(fd, &c, 1), 1);
	EQ(c, 0);
	close(fd);
	fd = OK(open("null", O_RDWR));
	EQ(read(fd, &c, 1), 0);
	EQ(write(fd, &c, 1), 1);
	close(fd);
	ERR(open("s", O_RDONLY), ENXIO);
	OK(mknod("nodev", S_IFCHR | 0600, makedev(250, 77)));
	ERR(open("nodev", O_RDONLY), ENXIO);
	ERR(mknod("p", S_IFIFO | 0600, 0), EEXIST);
	ERR(mknod("d", S_IFDIR | 0700, 0), EPERM);
	ERR(mknod("x", 0110000 | 0700, 0), EINVAL);
	ERR(mknod("none/x", S_IFREG | 0700, 0), ENOENT);
	pid_t pid;
	OK(chmod(".", 0777));
	FORKED(pid)
	{
		become(1000, 1000);
		ERR(mknod("mine", S_IFCHR | 0600, makedev(1, 3)), EPERM);
		OK(mknod("fifo", S_IFIFO | 0600, 0));
		OK(mknod("reg", S_IFREG | 0600, 0));
	}
	EQ(reap(pid), 0);
}

static void working_directory(void)
{
	char text[PATH_MAX], expected[PATH_MAX];

	scratch();
	OK(mkdir("d", 0755));
	OK(mkdir("d/e", 0755));
	put("f", "", 0644);
	OK(symlink("d/e", "l"));
	OK(chdir("l"));
	snprintf(expected, sizeof expected, "%s/d/e", scratch_path);
	EQ(syscall(SYS_getcwd, text, sizeof text), strlen(expected) + 1);
	STREQ(text, expected);
	ERR(syscall(SYS_getcwd, text, strlen(expected)), ERANGE);
	ERR(syscall(SYS_getcwd, text, 0), ERANGE);
	ERR(syscall(SYS_getcwd, (char *)8, 100), EFAULT);
	OK(chdir("../.."));
	int fd = OK(open("d", O_RDONLY)), file = OK(open("f", O_RDONLY));
	OK(fchdir(fd));
	OK(rename("../d", "../moved"));
	snprintf(expected, sizeof expected, "%s/moved", scratch_path);
	STREQ(getcwd(text, sizeof text), expected);
	ERR(fchdir(file), ENOTDIR);
	ERR(fchdir(-1), EBADF);
	ERR(chdir("../f"), ENOTDIR);
	ERR(chdir("none"), ENOENT);
	ERR(chdir(""), ENOENT);
	close(fd);
	close(file);
	OK(chdir("/"));
	EQ(syscall(SYS_getcwd, text, sizeof text), 2);
	STREQ(text, "/");
}

static void change_root(void)
{
	pid_t pid;

	scratch();
	OK(mkdir("r", 0755));
	OK(mkdir("r/in", 0755));
	put("r/in/f", "inside", 0644);
	OK(symlink("/in/f", "r/l"));
	put("outside", "", 0644);
	FORKED(pid)
	{
		char text[PATH_MAX];
		struct stat st;
		OK(chroot("r"));
		/* still outside until chdir */
		OK(stat("outside", &st));
		OK(syscall(SYS_getcwd, text, sizeof text));
		CHECK(!strncmp(text, "(unreachable)", 13));
		OK(chdir("/"));
		STREQ(getcwd(text, sizeof text), "/");
		STREQ(get("/../../in/f"), "inside");
		STREQ(get("/l"), "inside");
		ERR(stat("/outside", &st), ENOENT);
		OK(chdir("in"));
		STREQ(getcwd(text, sizeof text), "/in");
		OK(stat("../../../..", &st));
		become(1000, 1000);
		ERR(chroot("/"), EPERM);
	}
	EQ(reap(pid), 0);
	ERR(chroot("none"), ENOENT);
	ERR(chroot("outside"), ENOTDIR);
}

static void removing(void)
{
	scratch();
	put("f", "", 0000);
	OK(unlink("f"));
	ERR(unlink("f"), ENOENT);
	ERR(unlink(""), ENOENT);
	ERR(unlink("."), EISDIR);
	ERR(unlink((char *)8), EFAULT);
	OK(symlink("x", "l"));
	OK(unlink("l"));
	/* a long chain of directories, removed from within */
	int depth = 0;
	for (; depth < 200; depth++) {
		OK(mkdir("deep", 0755));
		OK(chdir("deep"));
	}
	char text[PATH_MAX];
	EQ(OK(syscall(SYS_getcwd, text, sizeof text)), strlen(scratch_path) + 200 * 5 + 1);
	for (; depth; depth--) {
		OK(chdir(".."));
		OK(rmdir("deep"));
	}
}

static const struct tap_case cases[] = {
	T(hard_links),	  T(symbolic_links),
	T(renaming),	  T(renaming_with_flags),
	T(rename_races),  T(directories),
	T(entry_types),	  T(reading_directories),
	T(special_files), T(seeking_in_directories),
	T(change_root),	  T(working_directory),
	T(removing),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
