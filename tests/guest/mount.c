/* SPDX-License-Identifier: MIT */
/*
 * mount.c - mount, umount, bind mounts, read-only and other flags, what a mount point hides, limits
 * of tmpfs, /proc/mounts.
 */
#include "scratch.h"
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#define TMPFS(path, flags, data) mount("none", path, "tmpfs", flags, data)

static dev_t device_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_dev;
}

static void mounting(void)
{
	struct stat st;

	scratch();
	OK(mkdir("m", 0755));
	put("m/below", "", 0644);
	OK(TMPFS("m", 0, NULL));
	CHECK(device_of("m") != device_of("."));
	ERR(stat("m/below", &st), ENOENT); /* hidden */
	put("m/f", "on top", 0644);
	OK(stat("m/..", &st));
	EQ(st.st_dev, device_of("."));
	ERR(link("m/f", "f"), EXDEV);
	ERR(rename("m/f", "f"), EXDEV);
	ERR(rmdir("m"), EBUSY);
	ERR(rename("m", "x"), EBUSY);
	int fd = OK(open("m/f", O_RDONLY));
	ERR(umount("m"), EBUSY);
	close(fd);
	/* one over the other */
	OK(TMPFS("m", 0, NULL));
	ERR(stat("m/f", &st), ENOENT);
	OK(umount("m"));
	STREQ(get("m/f"), "on top");
	OK(umount("m"));
	OK(stat("m/below", &st));
	ERR(umount("m"), EINVAL);
	ERR(umount("none"), ENOENT);
	ERR(umount2("m", 0x1000), EINVAL);
	ERR(umount("m/below"), EINVAL);
}

static void refused(void)
{
	scratch();
	OK(mkdir("m", 0755));
	put("f", "", 0644);
	ERR(mount("none", "m", "nosuchfs", 0, NULL), ENODEV);
	ERR(TMPFS("none", 0, NULL), ENOENT);
	ERR(TMPFS("f", 0, NULL), ENOTDIR);
	ERR(TMPFS("m", 0, "bogus=1"), EINVAL);
	ERR(TMPFS("m", 0, "size=abc"), EINVAL);
	ERR(mount("none", "m", NULL, 0, NULL), EINVAL);
	ERR(mount("none", "m", (char *)8, 0, NULL), EFAULT);
	ERR(mount("none", (char *)8, "tmpfs", 0, NULL), EFAULT);
	pid_t pid;
	FORKED(pid)
	{
		become(1000, 1000);
		ERR(TMPFS("m", 0, NULL), EPERM);
		ERR(umount("/proc"), EPERM);
	}
	EQ(reap(pid), 0);
}

static void bind_mounts(void)
{
	struct stat st;

	scratch();
	OK(mkdir("a", 0755));
	OK(mkdir("b", 0755));
	OK(mkdir("a/sub", 0755));
	put("a/f", "file", 0644);
	put("target", "", 0644);
	OK(mount("a", "b", NULL, MS_BIND, NULL));
	STREQ(get("b/f"), "file");
	put("b/g", "new", 0644);
	STREQ(get("a/g"), "new");
	EQ(device_of("a"), device_of("b"));
	ERR(rename("a/f", "b/h"), EXDEV); /* one filesystem, two mounts */
	ERR(link("a/f", "b/h"), EXDEV);
	OK(mount("a/f", "target", NULL, MS_BIND, NULL)); /* a file over a file */
	STREQ(get("target"), "file");
	ERR(unlink("target"), EBUSY);
	OK(umount("target"));
	STREQ(get("target"), "");
	ERR(mount("a", "target", NULL, MS_BIND, NULL), ENOTDIR);
	ERR(mount("a/f", "b", NULL, MS_BIND, NULL), ENOTDIR);
	/* without MS_REC what is mounted below stays behind */
	OK(TMPFS("a/sub", 0, NULL));
	put("a/sub/x", "", 0644);
	ERR(stat("b/sub/x", &st), ENOENT);
	OK(umount("b"));
	OK(mount("a", "b", NULL, MS_BIND | MS_REC, NULL));
	OK(stat("b/sub/x", &st));
	OK(umount2("b", MNT_DETACH));
	OK(umount("a/sub"));
	ERR(mount("none", "b", NULL, MS_BIND, NULL), ENOENT);
}

static void read_only(void)
{
	struct statfs s;

	scratch();
	OK(mkdir("m", 0755));
	OK(mkdir("b", 0755));
	OK(TMPFS("m", 0, NULL));
	put("m/f", "text", 0644);
	int fd = OK(open("m/f", O_RDWR));
	ERR(mount("none", "m", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY); /* open for writing */
	close(fd);
	OK(mount("none", "m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	static const int flags[] = { O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND };
	for (size_t i = 0; i < COUNT(flags); i++)
		ERR(open("m/f", flags[i]), EROFS);
	ERR(open("m/new", O_CREAT | O_RDONLY, 0644), EROFS);
	close(OK(open("m/f", O_CREAT | O_RDONLY, 0644))); /* it is there */
	ERR(unlink("m/f"), EROFS);
	ERR(mkdir("m/d", 0755), EROFS);
	ERR(symlink("x", "m/l"), EROFS);
	ERR(link("m/f", "m/l"), EROFS);
	ERR(rename("m/f", "m/g"), EROFS);
	ERR(chmod("m/f", 0600), EROFS);
	ERR(chown("m/f", 1, 1), EROFS);
	ERR(truncate("m/f", 0), EROFS);
	ERR(utimensat(AT_FDCWD, "m/f", NULL, 0), EROFS);
	ERR(access("m/f", W_OK), EROFS);
	OK(access("m/f", R_OK));
	OK(statfs("m", &s));
	CHECK(s.f_flags & 1); /* ST_RDONLY */
	OK(mount("none", "m", NULL, MS_REMOUNT, NULL));
	put("m/f", "again", 0644);
	/* only one of two views */
	OK(mount("m", "b", NULL, MS_BIND, NULL));
	OK(mount("none", "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	ERR(open("b/f", O_WRONLY), EROFS);
	put("m/f", "writable here", 0644);
	STREQ(get("b/f"), "writable here");
	OK(umount("b"));
	OK(umount("m"));
}

static void flags(void)
{
	pid_t pid;

	scratch();
	OK(mkdir("m", 0755));
	OK(TMPFS("m", MS_NOEXEC | MS_NOSUID | MS_NODEV, NULL));
	put("m/script", "#!/bin/sh\nexit 0\n", 0755);
	FORKED(pid)
	{
		ERR(execl("m/script", "script", NULL), EACCES);
	}
	EQ(reap(pid), 0);
	ERR(access("m/script", X_OK), EACCES);
	OK(mknod("m/null", S_IFCHR | 0666, makedev(1, 3)));
	ERR(open("m/null", O_RDONLY), EACCES);
	char *mounts = get("/proc/self/mounts");
	if (mounts) {
		char line[256];
		snprintf(line, sizeof line, "%s/m tmpfs rw,nosuid,nodev,noexec", scratch_path);
		CHECK(strstr(mounts, line));
	}
	OK(umount("m"));
}

static void tmpfs_options(void)
{
	struct stat st;
	struct statfs s;
	static char page[4096];

	scratch();
	OK(mkdir("m", 0755));
	OK(TMPFS("m", 0, "size=64k,mode=1770,uid=5,gid=6"));
	OK(stat("m", &st));
	EQ(st.st_mode & 07777, 01770);
	EQ(st.st_uid, 5);
	EQ(st.st_gid, 6);
	OK(statfs("m", &s));
	EQ(s.f_type, 0x01021994);
	EQ(s.f_blocks * s.f_bsize, 65536);
	int fd = OK(open("m/f", O_RDWR | O_CREAT, 0600)), n = 0;
	while (n < 100 && write(fd, page, sizeof page) == sizeof page)
		n++;
	EQ(errno, ENOSPC);
	EQ(n, 16);
	statfs("m", &s);
	EQ(s.f_bfree, 0);
	OK(ftruncate(fd, 0)); /* gives it back */
	EQ(write(fd, page, 1), 1);
	close(fd);
	OK(umount("m"));
	OK(TMPFS("m", 0, "nr_inodes=5"));
	char name[16];
	for (n = 0; n < 10; n++) {
		snprintf(name, sizeof name, "m/f%d", n);
		fd = open(name, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	EQ(errno, ENOSPC);
	EQ(n, 4);
	OK(umount("m"));
}

/* A detached mount goes when the last who uses it goes. */
static void detaching(void)
{
	struct stat st;

	scratch();
	OK(mkdir("m", 0755));
	OK(TMPFS("m", 0, NULL));
	put("m/f", "still", 0644);
	OK(mkdir("m/d", 0755));
	int fd = OK(open("m/f", O_RDWR)), dir = OK(open("m/d", O_RDONLY));
	OK(umount2("m", MNT_DETACH));
	ERR(stat("m/f", &st), ENOENT);
	char c;
	EQ(read(fd, &c, 1), 1);
	EQ(write(fd, "x", 1), 1);
	close(OK(openat(dir, "new", O_CREAT | O_WRONLY, 0600)));
	close(fd);
	close(dir);
	OK(rmdir("m"));
}

static void moving(void)
{
	scratch();
	OK(mkdir("a", 0755));
	OK(mkdir("b", 0755));
	OK(TMPFS("a", MS_NOATIME, NULL));
	put("a/f", "moved", 0644);
	if (mount("a", "b", NULL, MS_MOVE, NULL) < 0) {
		EQ(errno, EINVAL);
		OK(umount("a"));
		return;
	}
	STREQ(get("b/f"), "moved");
	ERR(mount("a", "b", NULL, MS_MOVE, NULL), EINVAL); /* no mount any more */
	OK(umount("b"));
}

static void other_filesystems(void)
{
	struct stat st;

	scratch();
	OK(mkdir("p", 0755));
	OK(mount("proc", "p", "proc", 0, NULL));
	OK(stat("p/self/status", &st));
	OK(umount("p"));
	char *text = get("/proc/filesystems");
	CHECK(text && strstr(text, "tmpfs") && strstr(text, "proc"));
	/* every mount stands in mountinfo, its fields as proc(5) says */
	FILE *f = fopen("/proc/self/mountinfo", "r");
	REQUIRE(f);
	char line[1024];
	int lines = 0;
	while (fgets(line, sizeof line, f)) {
		int id, parent, major, minor;
		char root[256], point[256], options[256];
		EQ(sscanf(line, "%d %d %d:%d %255s %255s %255s", &id, &parent, &major, &minor, root,
			  point, options),
		   7);
		CHECK(strstr(line, " - "));
		lines++;
	}
	CHECK(lines >= 1);
	fclose(f);
}

static const struct tap_case cases[] = {
	T(mounting),	  T(refused),	T(bind_mounts), T(read_only),	      T(flags),
	T(tmpfs_options), T(detaching), T(moving),	T(other_filesystems),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
