/* SPDX-License-Identifier: MIT */
/*
 * file_perm.c - who may do what: mode bits for owner, group and others, chmod, chown, set-id bits,
 * sticky and set-group-id directories, access with real ids, umask.
 */
#include "scratch.h"

/* In a child that is uid:gid; leaves the scratch directory to the parent. */
static void ended(pid_t pid)
{
	EQ(reap(pid), 0);
}

#define AS(uid, gid)                                                      \
	for (pid_t as_ = fork(), once_ = 1; once_; once_ = 0, ended(as_)) \
		if (as_ == 0)                                             \
			for (become(uid, gid);; _exit(0))

static void mode_matrix(void)
{
	static const struct {
		uid_t uid;
		gid_t gid;
		int shift;
	} who[] = { { 1000, 2000, 6 }, { 1001, 1000, 3 }, { 1001, 2000, 0 } };

	scratch();
	OK(chmod(".", 0777));
	for (int mode = 0; mode < 8; mode++)
		for (int w = 0; w < 3; w++) {
			/* the class that fits decides, even if another would allow more */
			mode_t bits = (0777 & ~(7 << who[w].shift)) | mode << who[w].shift;
			put("f", "x", bits);
			OK(chown("f", 1000, 1000));
			OK(chmod("f", bits));
			AS(who[w].uid, who[w].gid)
			{
				int r = open("f", O_RDONLY), wr = open("f", O_WRONLY);
				EQ(r >= 0, !!(mode & 4));
				EQ(wr >= 0, !!(mode & 2));
				EQ(access("f", X_OK) == 0, mode & 1);
				EQ(access("f", R_OK | W_OK) == 0, (mode & 6) == 6);
				OK(access("f", F_OK));
			}
			unlink("f");
		}
}

static void root_and_execution(void)
{
	scratch();
	put("f", "x", 0);
	close(OK(open("f", O_RDWR)));
	OK(access("f", R_OK | W_OK));
	ERR(access("f", X_OK), EACCES); /* without any x bit also for root */
	OK(chmod("f", 0001));
	OK(access("f", X_OK));
	OK(mkdir("d", 0));
	OK(access("d", R_OK | W_OK | X_OK));
}

static void directories(void)
{
	struct stat st;

	scratch();
	OK(mkdir("d", 0755));
	put("d/f", "x", 0644);
	OK(chown("d", 1000, 1000));
	static const struct {
		mode_t mode;
		bool list, search, make;
	} table[] = { { 0000, 0, 0, 0 }, { 0400, 1, 0, 0 }, { 0100, 0, 1, 0 }, { 0500, 1, 1, 0 },
		      { 0300, 0, 1, 1 }, { 0200, 0, 0, 0 }, { 0700, 1, 1, 1 } };
	for (size_t i = 0; i < COUNT(table); i++) {
		OK(chmod("d", table[i].mode));
		AS(1000, 1000)
		{
			EQ(open("d", O_RDONLY | O_DIRECTORY) >= 0, table[i].list);
			EQ(stat("d/f", &st) == 0, table[i].search);
			EQ(open("d/f", O_RDONLY) >= 0, table[i].search);
			EQ(chdir("d") == 0, table[i].search);
			chdir(scratch_path);
			EQ(open("d/new", O_CREAT | O_WRONLY, 0600) >= 0, table[i].make);
			EQ(rename("d/f", "d/g") == 0, table[i].make);
			EQ(rename("d/g", "d/f") == 0, table[i].make);
			EQ(unlink("d/new") == 0, table[i].make);
			EQ(mkdir("d/sub", 0700) == 0, table[i].make);
			EQ(rmdir("d/sub") == 0, table[i].make);
			if (!table[i].make && table[i].search)
				ERR(mkdir("d/sub", 0700), EACCES);
		}
		chmod("d", 0700);
		unlink("d/h");
	}
}

static void changing_modes(void)
{
	scratch();
	put("f", "x", 0644);
	OK(chown("f", 1000, 1000));
	AS(1000, 1000)
	{
		OK(chmod("f", 0600));
		OK(chmod("f", 04755));
		ERR(chown("f", 1001, -1), EPERM);
		ERR(chown("f", -1, 1001), EPERM);
		OK(chown("f", 1000, 1000));
		OK(chown("f", -1, -1));
	}
	OK(chmod("f", 07755));
	OK(chown("f", 1000, 1000)); /* also for root: set-id bits go */
	EQ(mode_of("f") & 07777, 01755);
	OK(chmod("f", 02644)); /* without group execution: mandatory locking, kept */
	OK(chown("f", 1000, 1000));
	EQ(mode_of("f") & 07777, 02644);
	AS(1001, 1001)
	{
		ERR(chmod("f", 0777), EPERM);
		ERR(utimensat(AT_FDCWD, "f", NULL, 0), EACCES);
		struct timespec t[2] = { { 1, 0 }, { 1, 0 } };
		ERR(utimensat(AT_FDCWD, "f", t, 0), EPERM);
	}
	/* one's file with a group that one is not in loses the set-group-id bit */
	OK(chown("f", 1000, 3000));
	AS(1000, 1000)
	{
		OK(chmod("f", 02755));
		EQ(mode_of("f") & 07777, 0755);
	}
	/* supplementary groups count */
	pid_t pid;
	FORKED(pid)
	{
		gid_t groups[] = { 3000, 3001 };
		REQUIRE(syscall(SYS_setgroups, 2, groups) == 0);
		setresgid(1000, 1000, 1000);
		setresuid(1000, 1000, 1000);
		OK(chmod("f", 02755));
		EQ(mode_of("f") & 07777, 02755);
		OK(chown("f", -1, 3001));
		EQ(mode_of("f") & 07777, 0755);
		ERR(chown("f", -1, 3002), EPERM);
	}
	EQ(reap(pid), 0);
	ERR(chmod("none", 0), ENOENT);
	ERR(fchmod(-1, 0), EBADF);
	ERR(fchown(-1, 0, 0), EBADF);
	OK(chmod("f", 0170000 | 0644)); /* the type bits are not looked at */
	EQ(mode_of("f"), S_IFREG | 0644);
}

/* Writing to a set-id program takes the bits away, unless root does it. */
static void writing_drops_set_id(void)
{
	scratch();
	OK(chmod(".", 0777));
	put("f", "x", 0644);
	OK(chown("f", 1000, 1000));
	OK(chmod("f", 06777));
	AS(1001, 1001)
	{
		int fd = open("f", O_WRONLY);
		EQ(write(fd, "y", 1), 1);
	}
	EQ(mode_of("f") & 07777, 0777);
	OK(chmod("f", 06777));
	AS(1001, 1001) OK(truncate("f", 0));
	EQ(mode_of("f") & 07777, 0777);
	OK(chmod("f", 06777));
	int fd = OK(open("f", O_WRONLY));
	EQ(write(fd, "y", 1), 1);
	close(fd);
	EQ(mode_of("f") & 07777, 06777);
}

static void sticky_directories(void)
{
	scratch();
	OK(mkdir("t", 0700));
	OK(chmod("t", 01777));
	AS(1000, 1000)
	{
		close(OK(open("t/mine", O_CREAT | O_WRONLY, 0666)));
		OK(chmod("t/mine", 0666));
	}
	AS(1001, 1001)
	{
		close(OK(open("t/other", O_CREAT | O_WRONLY, 0666)));
		ERR(unlink("t/mine"), EPERM);
		ERR(rename("t/mine", "t/x"), EPERM);
		ERR(rename("t/other", "t/mine"), EPERM);
		OK(rename("t/other", "t/o2"));
		OK(unlink("t/o2"));
	}
	/* the owner of the directory may */
	OK(chown("t", 1002, 0));
	OK(chmod("t", 01777));
	AS(1002, 1002) OK(unlink("t/mine"));
}

static void inherited_groups(void)
{
	struct stat st;

	scratch();
	OK(mkdir("d", 0777));
	OK(chown("d", 0, 3000));
	OK(chmod("d", 02777));
	AS(1000, 1000)
	{
		close(OK(open("d/f", O_CREAT | O_WRONLY, 0640)));
		OK(mkdir("d/sub", 0700));
		OK(symlink("x", "d/l"));
		close(OK(open("d/sgid", O_CREAT | O_WRONLY, 02770)));
	}
	OK(lstat("d/f", &st));
	EQ(st.st_uid, 1000);
	EQ(st.st_gid, 3000);
	OK(lstat("d/l", &st));
	EQ(st.st_gid, 3000);
	OK(lstat("d/sub", &st));
	EQ(st.st_gid, 3000);
	EQ(st.st_mode & 07777, 02700);
	EQ(mode_of("d/sgid") & 07777, 0750); /* not a member: no set-group-id file */
}

/* access asks for the real ids, faccessat2 with AT_EACCESS and open for the effective ones. */
static void real_and_effective(void)
{
	pid_t pid;

	scratch();
	put("f", "x", 0600);
	FORKED(pid)
	{
		setgroups(0, NULL);
		REQUIRE(setresgid(1000, 0, 0) == 0 && setresuid(1000, 0, 0) == 0);
		ERR(access("f", R_OK), EACCES);
		OK(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS));
		close(OK(open("f", O_RDONLY)));
		REQUIRE(setresuid(0, 1000, 0) == 0);
		OK(access("f", R_OK));
		ERR(open("f", O_RDONLY), EACCES);
		ERR(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS), EACCES);
	}
	EQ(reap(pid), 0);
	ERR(access("f", 8), EINVAL);
	ERR(access("none", F_OK), ENOENT);
	ERR(access("f/x", F_OK), ENOTDIR);
}

static void masks(void)
{
	scratch();
	EQ(umask(0777), 022);
	EQ(umask(0107777), 0777);
	EQ(umask(077), 0777);
	close(OK(open("f", O_CREAT | O_WRONLY, 0777)));
	EQ(mode_of("f") & 07777, 0700);
	pid_t pid;
	FORKED(pid) _exit(umask(0) == 077 ? 0 : 1);
	EQ(reap(pid), 0);
	EQ(umask(022), 077);
}

static void path_search(void)
{
	struct stat st;

	scratch();
	OK(mkdir("a", 0755));
	OK(mkdir("a/b", 0755));
	put("a/b/f", "", 0666);
	OK(chmod("a/b", 0600));
	int fd = OK(open("a/b", O_RDONLY)), file = OK(open("a/b/f", O_RDONLY));
	AS(1000, 1000)
	{
		ERR(stat("a/b/f", &st), EACCES);
		ERR(stat("a/b/none", &st), EACCES);
		ERR(openat(fd, "f", O_RDONLY), EACCES);
		ERR(fchdir(fd), EACCES);
		ERR(chdir("a/b"), EACCES);
		ERR(unlink("a/b/f"), EACCES);
		ERR(link("a/b/f", "x"), EACCES);
		OK(fstat(file, &st));
		char path[64];
		snprintf(path, sizeof path, "/proc/self/fd/%d", file);
		close(OK(open(path, O_RDONLY))); /* by what it refers to, not by path */
	}
	close(fd);
	close(file);
}

static void no_atime(void)
{
	scratch();
	put("f", "x", 0666);
	AS(1000, 1000)
	{
		ERR(open("f", O_RDONLY | O_NOATIME), EPERM);
		int fd = OK(open("f", O_RDONLY));
		ERR(fcntl(fd, F_SETFL, O_NOATIME), EPERM);
	}
}

static const struct tap_case cases[] = {
	T(mode_matrix),	       T(root_and_execution),	T(directories),	     T(changing_modes),
	T(sticky_directories), T(writing_drops_set_id), T(inherited_groups), T(masks),
	T(path_search),	       T(real_and_effective),	T(no_atime),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
