/* SPDX-License-Identifier: MIT */
/*
 * escapes_files.c - attacks on what is outside through names, mounts, descriptors and devices.
 */
#include "escapes.h"
#include "sockets.h"
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static int spawn_with_binds(struct container_bind *b, unsigned count)
{
	struct container_spec s = spec_of("r");

	s.binds = (uintptr_t)b;
	s.bind_count = count;
	int c = syscall(SYS_spawncont, &s, sizeof s);
	REQUIRE(c > 0);
	return c;
}

/* --- names --- */

/*
 * Two bind mounts show a directory and one inside it: what is moved out of the inner one through
 * the outer one is in the inner one no more, and its .. would lead past that one's root.
 */
static void dotdot_after_rename(void)
{
	outside();
	OK(mkdir("d", 0755));
	OK(mkdir("d/sub", 0755));
	OK(mkdir("d/sub/x", 0755));
	OK(mkdir("r/inner", 0755));
	struct container_bind b[] = { { (uintptr_t) "d", (uintptr_t) "/in", 0, 0 },
				      { (uintptr_t) "d/sub", (uintptr_t) "/inner", 0, 0 } };
	int c = spawn_with_binds(b, 2);
	INSIDE(c)
	{
		char up[64] = "";
		OK(chdir("/inner/x"));
		OK(rename("/in/sub/x", "/in/x"));
		for (int i = 0; i < 5; i++) {
			strcat(up, "../");
			char name[128];
			snprintf(name, sizeof name, "%s" CANARY_PATH, up);
			CHECK(!reads_canary(AT_FDCWD, name));
			snprintf(name, sizeof name, "%s%s/" CANARY_PATH, up, scratch_path + 1);
			CHECK(!reads_canary(AT_FDCWD, name));
		}
		ERR(chdir(".."), ENOENT);
		ERR(open("..", O_RDONLY | O_DIRECTORY), ENOENT);
		char here[4096] = "";
		getcwd(here, sizeof here); /* nor is it told where it is now */
		CHECK(!strstr(here, "tap."));
	}
	/* control: who sees both places goes up from there */
	OK(rename("d/x", "d/sub/x"));
	OK(chdir("d/sub/x"));
	OK(rename("../../sub/x", "../../x"));
	CHECK(reads_canary(AT_FDCWD, "../../" CANARY_PATH));
	OK(chdir(scratch_path));
	untouched();
	gone(c);
}

/* Somebody outside moves the attacker's working directory out of the container's root. */
static void dotdot_after_move_from_outside(void)
{
	outside();
	OK(mkdir("r/in/x", 0755));
	int c = prison();
	pid_t mover;
	WORD(0) = 0;
	FORKED(mover)
	{
		AWAIT(WORD(0));
		OK(rename("r/in/x", "moved"));
		WORD(1) = 1;
	}
	INSIDE(c)
	{
		OK(chdir("/in/x"));
		WORD(0) = 1;
		AWAIT(WORD(1));
		CHECK(!reads_canary(AT_FDCWD, "../" CANARY_PATH));
		CHECK(!reads_canary(AT_FDCWD, "../../" CANARY_PATH));
		ERR(chdir(".."), ENOENT);
		char here[4096] = "";
		getcwd(here, sizeof here);
		CHECK(!strstr(here, "tap."));
	}
	EQ(reap(mover), 0);
	OK(chdir("moved"));
	CHECK(reads_canary(AT_FDCWD, "../" CANARY_PATH));
	OK(chdir(scratch_path));
	untouched();
	gone(c);
}

/* The way out of a chroot: a descriptor of a directory above it, and then up. */
static void chroot_with_saved_descriptor(void)
{
	outside();
	OK(mkdir("r/jail", 0755));
	put("r/in/mark", "inside", 0644);
	int c = prison(), here = OK(open(".", O_RDONLY | O_DIRECTORY));
	INSIDE(c)
	{
		int root = OK(open("/", O_RDONLY | O_DIRECTORY));
		OK(chroot("/jail"));
		OK(chdir("/"));
		CHECK(!get("/in/mark"));
		OK(fchdir(root));
		for (int i = 0; i < 20; i++)
			OK(chdir(".."));
		OK(chroot("."));
		STREQ(get("/in/mark"), "inside"); /* control: it leads out of the chroot, so far */
		CHECK(!reads_canary(AT_FDCWD, CANARY_PATH));
		char name[128];
		snprintf(name, sizeof name, "%s/" CANARY_PATH, scratch_path);
		CHECK(!reads_canary(AT_FDCWD, name));
		ERR(fchdir(here), EXDEV);
	}
	close(here);
	untouched();
	gone(c);
}

static void magic_links(void)
{
	outside();
	int c = prison(), dir = OK(open("out", O_RDONLY | O_DIRECTORY)),
	    file = OK(open(CANARY_PATH, O_RDONLY));
	char name[64], text[256];
	INSIDE(c)
	{
		snprintf(name, sizeof name, "/proc/self/fd/%d/canary", dir);
		CHECK(!reads_canary(AT_FDCWD, name));
		snprintf(name, sizeof name, "/proc/self/fd/%d", dir);
		ERR(open(name, O_RDONLY), EXDEV);
		ERR(chdir(name), EXDEV);
		ERR(chroot(name), EXDEV);
		ERR(mount(name, "/in", NULL, MS_BIND, NULL), EXDEV);
		/* what may be read must not be opened for writing, nor get another name */
		snprintf(name, sizeof name, "/proc/self/fd/%d", file);
		ERR(open(name, O_RDWR), EXDEV);
		ERR(truncate(name, 0), EXDEV);
		ERR(chmod(name, 0777), EXDEV);
		ERR(linkat(AT_FDCWD, name, AT_FDCWD, "/stolen", AT_SYMLINK_FOLLOW), EXDEV);
		ERR(linkat(file, "", AT_FDCWD, "/stolen", AT_EMPTY_PATH), EXDEV);
		ssize_t n = readlink(name, text, sizeof text - 1); /* the name of the place */
		CHECK(n > 0);
		text[n] = 0;
		CHECK(!strstr(text, "tap."));
		/* control: with what is one's own all of it works */
		put("/mine", "", 0644);
		int mine = OK(open("/mine", O_RDONLY)), root = OK(open("/in", O_RDONLY));
		snprintf(name, sizeof name, "/proc/self/fd/%d", mine);
		close(OK(open(name, O_RDWR)));
		OK(truncate(name, 5));
		OK(linkat(AT_FDCWD, name, AT_FDCWD, "/linked", AT_SYMLINK_FOLLOW));
		OK(linkat(mine, "", AT_FDCWD, "/linked2", AT_EMPTY_PATH));
		snprintf(name, sizeof name, "/proc/self/fd/%d", root);
		OK(chdir(name));
	}
	close(dir);
	close(file);
	untouched();
	gone(c);
}

static void inherited_directories(void)
{
	outside();
	int c = prison(), dir = OK(open(".", O_RDONLY | O_DIRECTORY)), path = OK(open(".", O_PATH)),
	    proc = OK(open("/proc", O_RDONLY | O_DIRECTORY)),
	    control = OK(open("/sys/container", O_RDONLY | O_DIRECTORY));
	char name[64];
	INSIDE(c)
	{
		struct stat st;
		CHECK(!reads_canary(dir, CANARY_PATH));
		ERR(openat(dir, CANARY_PATH, O_RDONLY), EXDEV);
		ERR(openat(path, CANARY_PATH, O_RDONLY), EXDEV);
		ERR(openat(dir, "..", O_PATH), EXDEV);
		ERR(fchdir(dir), EXDEV);
		ERR(fchdir(path), EXDEV);
		ERR(fstatat(dir, CANARY_PATH, &st, 0), EXDEV);
		ERR(unlinkat(dir, CANARY_PATH, 0), EXDEV);
		ERR(renameat(dir, CANARY_PATH, AT_FDCWD, "/stolen"), EXDEV);
		ERR(renameat(AT_FDCWD, "/in", dir, "out/in"), EXDEV);
		ERR(mkdirat(dir, "out/new", 0755), EXDEV);
		ERR(symlinkat("x", dir, "out/link"), EXDEV);
		ERR(fchmodat(dir, CANARY_PATH, 0777, 0), EXDEV);
		ERR(openat(proc, "1/environ", O_RDONLY), EXDEV);
		snprintf(name, sizeof name, "%d/pids.max", c);
		ERR(openat(control, name, O_WRONLY), EXDEV);
		ERR(openat(control, "self/events", O_RDONLY), EXDEV);
	}
	/* control: outside they lead there */
	CHECK(reads_canary(dir, CANARY_PATH));
	CHECK(reads_canary(path, CANARY_PATH));
	close(OK(openat(proc, "1/environ", O_RDONLY)));
	snprintf(name, sizeof name, "%d/pids.max", c);
	close(OK(openat(control, name, O_WRONLY)));
	close(dir);
	close(path);
	close(proc);
	close(control);
	untouched();
	gone(c);
}

/* An accomplice outside sends directories. */
static void scm_rights_directories(void)
{
	int s[2];
	pid_t accomplice;

	outside();
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	int c = prison();
	FORKED(accomplice)
	{
		for (int i = 0; i < 2; i++) {
			send_fd(s[0], open(".", O_RDONLY | O_DIRECTORY));
			send_fd(s[0], open("/", O_PATH));
		}
	}
	INSIDE(c)
	{
		int dir = receive_fd(s[1]), root = receive_fd(s[1]);
		char name[128];
		CHECK(!reads_canary(dir, CANARY_PATH));
		ERR(fchdir(dir), EXDEV);
		ERR(fchdir(root), EXDEV);
		snprintf(name, sizeof name, "%s/" CANARY_PATH, scratch_path + 1);
		CHECK(!reads_canary(root, name));
		ERR(openat(root, name, O_RDONLY), EXDEV);
	}
	/* control: another process outside gets the same, and may */
	int dir = receive_fd(s[1]), root = receive_fd(s[1]);
	CHECK(reads_canary(dir, CANARY_PATH));
	OK(fchdir(dir));
	EQ(reap(accomplice), 0);
	close(dir);
	close(root);
	close(s[0]);
	close(s[1]);
	untouched();
	gone(c);
}

/* --- mounts --- */

/* Links in the root of a container lead its mounts outside, if they are followed there. */
static void links_under_mounts(void)
{
	outside();
	char target[128];
	OK(mkdir("out/dir", 0755)); /* where nothing may be mounted */
	OK(mkdir("data", 0755));
	put("data/planted", "", 0644);
	snprintf(target, sizeof target, "%s/out/dir", scratch_path);
	OK(rmdir("r/sys"));
	OK(symlink(target, "r/sys"));
	OK(symlink("../../../../../../../../../../out/dir", "r/rel"));
	OK(symlink(target, "r/abs"));
	for (int round = 0; round < 3; round++) {
		static const char *const where[] = { "/rel", "/abs", "/in/../abs" };
		struct container_bind b = { (uintptr_t) "data", (uintptr_t)where[round], 0, 0 };
		struct container_spec s = spec_of("r");
		s.binds = (uintptr_t)&b;
		s.bind_count = 1;
		ERR(syscall(SYS_spawncont, &s, sizeof s), ENOENT);
	}
	/* a link that comes and goes while containers are made */
	pid_t racer;
	OK(mkdir("r/goal", 0755));
	FORKED(racer)
	{
		for (;;) {
			rename("r/goal", "r/goal.real");
			symlink(target, "r/goal");
			unlink("r/goal");
			rename("r/goal.real", "r/goal");
		}
	}
	int made = 0;
	for (int i = 0; i < 200; i++) {
		struct container_bind b = { (uintptr_t) "data", (uintptr_t) "/goal", 0, 0 };
		struct container_spec s = spec_of("r");
		s.binds = (uintptr_t)&b;
		s.bind_count = 1;
		int c = syscall(SYS_spawncont, &s, sizeof s);
		EQ(entries("out/dir"), 2);
		if (c > 0) {
			made++;
			OK(DESTROY(c));
		} else {
			EQ(errno, ENOENT);
		}
	}
	OK(kill(racer, SIGKILL));
	reap(racer);
	tap_say("# %d of 200 containers were made", made);
	/* control: who looks the name up outside is led there */
	OK(mount("data", "r/abs", NULL, MS_BIND, NULL));
	EQ(access("out/dir/planted", F_OK), 0);
	OK(umount("out/dir"));
	OK(rmdir("out/dir"));
	untouched();
}

static void mounts_stay_inside(void)
{
	outside();
	int c = prison();
	pid_t pid;
	INSIDE(c)
	{
		OK(mount("evil", "/in", "tmpfs", 0, NULL));
		put("/in/planted", "", 0644);
		OK(mount("/in", "/tmp", NULL, MS_BIND, NULL));
		EQ(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL), -1); /* nor by propagation */
		FORKED(pid) EQ(access("/tmp/planted", F_OK), 0);	  /* control */
		EQ(reap(pid), 0);
	}
	EQ(access("r/in/planted", F_OK), -1);
	EQ(access("r/tmp/planted", F_OK), -1);
	untouched();
	gone(c);
}

/* Away with the mounts, or with the root itself: is what lies below the host's? */
static void unmount_and_move(void)
{
	outside();
	int c = prison();
	INSIDE(c)
	{
		char name[128];
		ERR(umount2("/", MNT_DETACH), EBUSY);
		ERR(umount2("/", MNT_FORCE), EBUSY);
		OK(mount("t", "/in", "tmpfs", 0, NULL));
		OK(mkdir("/in/root", 0755));
		ERR(mount("/", "/in/root", NULL, MS_MOVE, NULL), EINVAL);
		OK(mount("/in", "/tmp", NULL, MS_MOVE, NULL)); /* control: its own it may move */
		OK(chdir("/tmp/root"));
		OK(umount2("/tmp", MNT_DETACH)); /* control: and take away */
		OK(umount2("/proc", MNT_DETACH));
		OK(umount2("/sys", MNT_DETACH));
		for (int i = 0; i < 20; i++)
			chdir("..");
		CHECK(!reads_canary(AT_FDCWD, CANARY_PATH));
		snprintf(name, sizeof name, "%s/" CANARY_PATH, scratch_path);
		CHECK(!reads_canary(AT_FDCWD, name));
		snprintf(name, sizeof name, "%s/" CANARY_PATH, scratch_path + 1);
		CHECK(!reads_canary(AT_FDCWD, name));
	}
	untouched();
	gone(c);
}

/* Number of ways by which `dir` could be written to. */
static int ways_to_write(const char *dir)
{
	char file[64], other[64];
	int n = 0, fd;

	snprintf(file, sizeof file, "%s/canary", dir);
	snprintf(other, sizeof other, "%s/other", dir);
	n += (fd = open(file, O_WRONLY)) >= 0 && !close(fd);
	n += (fd = open(file, O_RDONLY | O_TRUNC)) >= 0 && !close(fd);
	n += truncate(file, 5) == 0;
	n += chmod(file, 0777) == 0;
	n += chown(file, 5, 5) == 0;
	n += utimensat(AT_FDCWD, file, NULL, 0) == 0;
	n += setxattr(file, "trusted.x", "x", 1, 0) == 0;
	n += link(file, other) == 0;
	n += unlink(other) == 0;
	n += mkdir(other, 0755) == 0;
	n += rmdir(other) == 0;
	n += symlink("x", other) == 0;
	n += rename(other, file) == 0;
	n += unlink(file) == 0;
	n += mknod(other, S_IFIFO | 0600, 0) == 0;
	n += (fd = open(file, O_RDWR | O_CREAT, 0600)) >= 0 && !close(fd);
	n += (fd = open(file, O_RDONLY)) >= 0 && fchmod(fd, 0700) == 0;
	if (fd >= 0)
		close(fd);
	return n;
}

static void read_only_bind(void)
{
	outside();
	OK(mkdir("playground", 0755));
	put("playground/canary", "x", 0644);
	OK(mkdir("r/again", 0755));
	OK(mkdir("r/rw", 0755));
	struct container_bind b[] = { { (uintptr_t) "out", (uintptr_t) "/in",
					CONTAINER_BIND_READ_ONLY, 0 },
				      { (uintptr_t) "playground", (uintptr_t) "/rw", 0, 0 } };
	int c = spawn_with_binds(b, 2);
	INSIDE(c)
	{
		char name[64];
		EQ(ways_to_write("/in"), 0);
		ERR(mount(NULL, "/in", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
		ERR(mount(NULL, "/in", NULL, MS_REMOUNT, NULL), EPERM);
		OK(mount("/in", "/again", NULL, MS_BIND, NULL));
		EQ(ways_to_write("/again"), 0);
		ERR(mount(NULL, "/again", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
		OK(umount("/again"));
		OK(mount("/in", "/again", NULL, MS_MOVE, NULL));
		EQ(ways_to_write("/again"), 0);
		int fd = OK(open("/again/canary", O_RDONLY));
		snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
		ERR(open(name, O_RDWR), EROFS);
		ERR(ftruncate(fd, 0), EINVAL);
		ERR(fchmod(fd, 0777), EROFS);
		ERR(fsetxattr(fd, "trusted.x", "x", 1, 0), EROFS);
		ERR((intptr_t)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
		char *m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		CHECK(m != MAP_FAILED);
		ERR(mprotect(m, 4096, PROT_READ | PROT_WRITE), EACCES);
		char *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		CHECK(own != MAP_FAILED);
		memset(own, 'w', 4096);	      /* a copy of one's own */
		EQ(ways_to_write("/rw"), 17); /* control */
	}
	untouched();
	gone(c);
}

/* A page of the page cache in a pipe, to which one then writes (as CVE-2022-0847 did). */
static void dirty_pipe(void)
{
	outside();
	OK(mkdir("data", 0755));
	put("data/file", CANARY, 0644);
	struct container_bind b = { (uintptr_t) "out", (uintptr_t) "/in", CONTAINER_BIND_READ_ONLY,
				    0 };
	int c = spawn_with_binds(&b, 1);
	INSIDE(c)
	{
		int p[2], fd = OK(open("/in/canary", O_RDONLY));
		char text[64];
		OK(pipe(p));
		for (int i = 0; i < 16; i++)
			OK(write(p[1], "fills the ring..", 16));
		for (int i = 0; i < 16; i++)
			OK(read(p[0], text, 16));
		EQ(sendfile(p[1], fd, NULL, 1), 1);
		EQ(write(p[1], "OVERWRITTEN", 11), 11);
		EQ(pread(fd, text, sizeof text, 0), (int)strlen(CANARY));
		EQ(memcmp(text, CANARY, strlen(CANARY)), 0);
		EQ(read(p[0], text, 12), 12);
		EQ(memcmp(text, "tOVERWRITTEN", 12), 0); /* the pipe itself is right */
	}
	int fd = OK(open("data/file", O_RDWR)); /* control: by a descriptor for it, it is written */
	OK(pwrite(fd, "OVERWRITTEN", 11, 1));
	STREQ(get("data/file"), "tOVERWRITTENs alive");
	close(fd);
	untouched();
	gone(c);
}

/* --- devices --- */

static void mknod_of_devices(void)
{
	outside();
	int c = prison();
	INSIDE(c)
	{
		static const struct {
			mode_t type;
			int major, minor;
		} devices[] = { { S_IFCHR, 1, 1 },   { S_IFCHR, 1, 3 }, { S_IFCHR, 4, 0 },
				{ S_IFCHR, 4, 64 },  { S_IFCHR, 5, 1 }, { S_IFCHR, 248, 0 },
				{ S_IFBLK, 254, 0 }, { S_IFBLK, 8, 0 } };
		OK(mount("t", "/tmp", "tmpfs", 0, NULL));
		for (size_t i = 0; i < COUNT(devices); i++) {
			dev_t dev = makedev(devices[i].major, devices[i].minor);
			ERR(mknod("/in/node", devices[i].type | 0600, dev), EPERM);
			ERR(mknod("/tmp/node", devices[i].type | 0600, dev), EPERM);
		}
		OK(mknod("/in/fifo", S_IFIFO | 0600, 0));
		EQ(access("/dev/vda", F_OK), -1);
		EQ(access("/dev/null", F_OK), 0);
	}
	OK(mknod("node", S_IFCHR | 0600, makedev(1, 3))); /* control */
	int fd = OK(open("node", O_WRONLY));
	EQ(write(fd, "x", 1), 1);
	close(fd);
	untouched();
	gone(c);
}

/* A node that somebody outside has put into the root, or into what is mounted there. */
static void nodes_from_outside(void)
{
	outside();
	OK(mknod("r/node", S_IFCHR | 0666, makedev(1, 3)));
	OK(mkdir("data", 0755));
	OK(mknod("data/node", S_IFCHR | 0666, makedev(1, 3)));
	struct container_bind b = { (uintptr_t) "data", (uintptr_t) "/in", 0, 0 };
	int c = spawn_with_binds(&b, 1);
	INSIDE(c)
	{
		ERR(open("/node", O_WRONLY), EACCES);
		ERR(open("/in/node", O_WRONLY), EACCES);
		ERR(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
		ERR(mount(NULL, "/in", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
		OK(mount("/in", "/tmp", NULL, MS_BIND, NULL));
		ERR(open("/tmp/node", O_WRONLY), EACCES);
		OK(mount("t", "/tmp", "tmpfs", 0, NULL));
		EQ(rename("/node", "/tmp/node"), -1);
		ERR(link("/node", "/tmp/node"), EXDEV);
		OK(link("/node", "/node2"));
		ERR(open("/node2", O_WRONLY), EACCES);
	}
	close(OK(open("r/node", O_WRONLY))); /* control */
	close(OK(open("data/node", O_WRONLY)));
	untouched();
	gone(c);
}

/* The disk of the machine, mounted inside. Its control needs a disk, as ./test's guests have one.
 */
static void mount_of_the_disk(void)
{
	outside();
	OK(mkdir("disk", 0755));
	int c = prison();
	INSIDE(c)
	{
		ERR(mount("/dev/vda", "/in", "cowfs", 0, NULL), EPERM);
		ERR(mount("vda", "/in", "cowfs", MS_RDONLY, NULL), EPERM);
		OK(mount("t", "/in", "tmpfs", 0, NULL));
	}
	if (mount("/dev/vda", "disk", "cowfs", 0, NULL) == 0)
		OK(umount("disk"));
	else
		tap_say("# there is no disk here: errno %d", errno);
	untouched();
	gone(c);
}

static const struct tap_case cases[] = {
	T(dotdot_after_rename),
	T(dotdot_after_move_from_outside),
	T(chroot_with_saved_descriptor),
	T(magic_links),
	T(inherited_directories),
	T(scm_rights_directories),
	T(links_under_mounts),
	T(mounts_stay_inside),
	T(unmount_and_move),
	T(read_only_bind),
	T(dirty_pipe),
	T(mknod_of_devices),
	T(nodes_from_outside),
	T(mount_of_the_disk),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
