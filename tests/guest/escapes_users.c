/* SPDX-License-Identifier: MIT */
/*
 * escapes_users.c - attacks by root of a container with maps of ids on what belongs to root, and to
 * others, outside. The control is the same deed by root of a container without maps, or by who may
 * do it outside.
 */
#include "users.h"
#include <sys/xattr.h>

/* A directory of the outside, open to all, with a file that is not. */
static void shared(void)
{
	outside();
	OK(mkdir("shared", 0777));
	OK(chmod("shared", 0777));
	put("shared/secret", "secret", 0600);
	put("shared/text", "text", 0644);
	OK(mkdir("shared/closed", 0700));
}

/* --- files of root outside, through a bind mount --- */

static void writes_a_file_of_root(void)
{
	shared();
	int c = mapped_with_bind("shared");
	INSIDE(c)
	{
		struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
		ERR(open("/in/secret", O_RDONLY), EACCES);
		ERR(open("/in/secret", O_WRONLY), EACCES);
		ERR(open("/in/secret", O_WRONLY | O_TRUNC), EACCES);
		ERR(truncate("/in/secret", 0), EACCES);
		ERR(open("/in/text", O_WRONLY), EACCES);
		ERR(utimensat(AT_FDCWD, "/in/text", now, 0), EACCES);
		ERR(chmod("/in/secret", 0666), EPERM);
		ERR(chown("/in/secret", 0, 0), EPERM);
		ERR(setxattr("/in/secret", "user.x", "1", 1, 0), EACCES);
		ERR(setxattr("/in/secret", "trusted.x", "1", 1, 0), EPERM);
		ERR(mkdir("/in/closed/new", 0755), EACCES);
		ERR(open("/in/closed/new", O_CREAT | O_WRONLY, 0600), EACCES);
		int fd = OK(open("/in/secret", O_PATH)); /* O_PATH asks for nothing */
		ERR(fchmod(fd, 0666), EPERM);		 /* by its name in /proc, in the library */
		ERR(fchownat(fd, "", 0, 0, AT_EMPTY_PATH), EPERM);
		char name[64];
		snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
		ERR(open(name, O_WRONLY), EACCES);
		/* without the capabilities, as other users of inside, it is no better */
		for (int i = 0; i < 3; i++) {
			static const uid_t ids[] = { 1, 1000, 65535 };
			pid_t child;
			FORKED(child)
			{
				become(ids[i], ids[i]);
				ERR(open("/in/secret", O_RDONLY), EACCES);
				ERR(syscall(SYS_setresuid, BASE, -1, -1), EINVAL);
			}
			EQ(reap(child), 0);
		}
	}
	STREQ(get("shared/secret"), "secret");
	STREQ(owner_of("shared/secret"), "0:0");
	EQ(mode_of("shared/secret"), S_IFREG | 0600);
	gone(c);
	c = plain_with_bind("shared"); /* control */
	INSIDE(c)
	{
		put("/in/secret", "changed", 0644);
		OK(chown("/in/secret", 1, 1));
		OK(mkdir("/in/closed/new", 0755));
	}
	STREQ(get("shared/secret"), "changed");
	STREQ(owner_of("shared/secret"), "1:1");
	untouched();
	gone(c);
}

/* A container inside, rooted there, whose files its maker has mounted: they are no more his than before. */
static void mounts_a_root_of_the_outside(void)
{
	shared();
	int c = mapped_with_bind("shared");
	INSIDE(c)
	{
		struct container_spec s = spec_of("/in");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));

		OK(mkdir("/at", 0755));
		OK(control_set(d, "mount", "/at"));
		STREQ(owner_of("/at/secret"), "65534:65534");
		ERR(open("/at/secret", O_RDONLY), EACCES);
		ERR(chown("/at/secret", 0, 0), EPERM);
		ERR(chmod("/at/text", 0666), EPERM);
		ERR(mkdir("/at/closed/new", 0755), EACCES);
		OK(umount("/at"));
		s = spec_of("/tmp"); /* control: of its own root it is */
		put("/tmp/own", "own", 0600);
		d = OK(syscall(SYS_spawncont, &s, sizeof s));
		OK(control_set(d, "uid_map", "0 1000 10"));
		OK(control_set(d, "mount", "/at"));
		STREQ(owner_of("/at/own"), "0:0");
		put("/at/own", "changed", 0600);
		OK(umount("/at"));
	}
	STREQ(get("shared/secret"), "secret");
	STREQ(get("r/tmp/own"), "changed");
	untouched();
	gone(c);
}

/* A file of root's with the set-user-id bit, for an accomplice outside to execute. */
static int agent_who(const char *argument)
{
	(void)argument;
	return geteuid() == 0 ? 10 : geteuid() == BASE ? 20 : 30;
}

static int accomplice_runs(const char *path)
{
	pid_t pid;

	FORKED(pid)
	{
		become(1234, 1234);
		agent_at(path, "who");
	}
	return reap(pid);
}

static void makes_a_set_id_program(void)
{
	shared();
	copy_self("shared/tool", 0755); /* root's own */
	int c = mapped_with_bind("shared"), self = OK(open("/proc/self/exe", O_RDONLY));
	INSIDE(c)
	{
		copy_from(self, "/in/mine", 0755);
		ERR(chown("/in/mine", BASE, -1), EINVAL); /* nobody here is root outside */
		OK(chmod("/in/mine", 06755));
		ERR(chmod("/in/tool", 04755), EPERM);
		ERR(link("/in/tool", "/in/closed/tool"), EACCES);
	}
	/* what it made has the rights of its own root, who is nobody outside */
	STREQ(owner_of("shared/mine"), "100000:100000");
	EQ(accomplice_runs("shared/mine"), 20);
	gone(c);
	unlink("shared/mine");
	c = plain_with_bind("shared"); /* control */
	INSIDE(c)
	copy_from(self, "/in/mine", 06755);
	EQ(accomplice_runs("shared/mine"), 10);
	unlink("shared/mine");
	close(self);
	untouched();
	gone(c);
}

static void runs_a_set_id_program_of_root(void)
{
	shared();
	copy_self("shared/tool", 06755);
	int c = mapped_with_bind("shared");
	INSIDE(c)
	{
		pid_t child;
		FORKED(child)
		{
			become(1234, 1234);
			agent_at("/in/tool", "who");
		}
		EQ(reap(child), 30); /* neither root of outside nor of inside */
	}
	EQ(accomplice_runs("shared/tool"), 10); /* control */
	untouched();
	gone(c);
}

/* --- by way of a container inside --- */

static int spawn_at(const char *root)
{
	struct container_spec s = spec_of(root);

	return syscall(SYS_spawncont, &s, sizeof s);
}

/* A root directory holds ids of inside; so a container inside on the bind mount would own all. */
static void gives_the_bind_to_a_container(void)
{
	shared();
	int c = mapped_with_bind("shared");
	INSIDE(c)
	{
		static const char *const maps[] = { "0 0 1", "0 0 65536", "0 1000 10" };
		pid_t inner;
		int d;
		for (size_t i = 0; i < COUNT(maps); i++) {
			d = OK(spawn_at("/in"));
			ERR(control_set(d, "uid_map", maps[i]), EPERM);
			CFORKED(inner, d)
			{
				ERR(open("/secret", O_RDWR), EACCES);
				ERR(chmod("/secret", 0666), EPERM);
				ERR(chown("/secret", 0, 0), EPERM);
			}
			EQ(reap(inner), 0);
			OK(DESTROY(d));
		}
		/* bound into the root of one with a map, it stays what it is */
		OK(mkdir("/d", 0755));
		OK(mkdir("/d/in", 0755));
		struct container_bind b = { (uintptr_t) "/in", (uintptr_t) "/in", 0, 0 };
		struct container_spec s = spec_of("/d");
		s.binds = (uintptr_t)&b;
		s.bind_count = 1;
		d = OK(syscall(SYS_spawncont, &s, sizeof s));
		OK(control_set(d, "uid_map", "0 1000 10"));
		CFORKED(inner, d)
		{
			STREQ(owner_of("/in/secret"), "65534:65534");
			ERR(open("/in/secret", O_RDWR), EACCES);
		}
		EQ(reap(inner), 0);
		OK(DESTROY(d));
		/* nor can it name users that its own container has not */
		d = OK(spawn_at("/d"));
		ERR(control_set(d, "uid_map", "0 100000 1"), EPERM);
		ERR(control_set(d, "uid_map", "0 65535 2"), EPERM);
		ERR(control_set(d, "gid_map", "0 4294967294 1"), EPERM);
		OK(DESTROY(d));
	}
	/* control: outside one may give it away so */
	int e = OK(spawn_at("shared"));
	OK(control_set(e, "uid_map", MAP));
	INSIDE(e)
	{
		put("/secret", "changed", 0600);
	}
	STREQ(get("shared/secret"), "changed");
	OK(DESTROY(e));
	untouched();
	gone(c);
}

/* --- processes, descriptors --- */

/* One who came in from outside and can go back is root outside: root inside gets nothing of it. */
static void looks_into_who_joined(void)
{
	shared();
	int c = mapped_with_bind("shared"), secret = 40;
	pid_t first, joiner;
	CFORKED(first, c)
	idle();
	FORKED(joiner)
	{
		OK(dup2(OK(open("shared/secret", O_RDWR)), secret));
		OK(JOIN(c));
		pid_t child;
		FORKED(child) /* born inside, with outside's memory and descriptors, as root of
				 inside */
		{
			STREQ(owner_of("/in/secret"), "65534:65534");
			ERR(open("/in/secret", O_RDONLY), EACCES);
			ERR(fchmod(secret, 0666), EPERM); /* open, but not its own */
			ERR(fchown(secret, 0, 0), EPERM);
			ERR(LEAVE(), EPERM);
		}
		EQ(reap(child), 0);
		WORD(0) = getpid();
		AWAIT(WORD(1));
		OK(LEAVE());
		OK(fchmod(secret, 0640)); /* control: back outside it may */
		close(secret);
	}
	AWAIT(WORD(0));
	pid_t attacker = CFORK(c);
	REQUIRE(attacker >= 0);
	if (!attacker) {
		char name[64];
		snprintf(name, sizeof name, "/proc/%d/fd/%d", WORD(0), secret);
		ERR(open(name, O_RDONLY), EACCES);
		snprintf(name, sizeof name, "/proc/%d/environ", WORD(0));
		ERR(open(name, O_RDONLY), EACCES);
		_exit(0);
	}
	EQ(reap(attacker), 0);
	WORD(1) = 1;
	EQ(reap(joiner), 0);
	EQ(mode_of("shared/secret"), S_IFREG | 0640);
	OK(kill(first, SIGKILL));
	EQ(reap(first), 128 + SIGKILL);
	untouched();
	gone(c);
}

/* A descriptor that somebody outside passes in allows what it was opened for, and nothing else. */
static void uses_a_passed_descriptor(void)
{
	shared();
	int c = mapped(MAP), fd = OK(open("shared/secret", O_RDONLY));
	INSIDE(c)
	{
		char name[64], text[8] = "";
		EQ(pread(fd, text, sizeof text, 0), 6); /* control: that it allows */
		ERR(fchmod(fd, 0666), EPERM);
		ERR(fchown(fd, 0, 0), EPERM);
		ERR(fsetxattr(fd, "user.x", "1", 1, 0), EACCES);
		ERR(futimens(fd, (struct timespec[2]){ { 1, 0 }, { 1, 0 } }), EPERM);
		ERR(ftruncate(fd, 0), EINVAL);
		snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
		ERR(open(name, O_RDWR), EXDEV);
	}
	OK(fchmod(fd, 0640)); /* control */
	close(fd);
	untouched();
	gone(c);
}

static const struct agent agents[] = { { "who", agent_who } };
static const struct tap_case cases[] = {
	T(writes_a_file_of_root),	  T(mounts_a_root_of_the_outside),
	T(makes_a_set_id_program),	  T(runs_a_set_id_program_of_root),
	T(gives_the_bind_to_a_container), T(looks_into_who_joined),
	T(uses_a_passed_descriptor),
};

int main(int argc, char **argv)
{
	agent_main(agents, COUNT(agents), argc, argv);
	return TAP_RUN(cases, argc, argv);
}
