/* SPDX-License-Identifier: MIT */ /* build: both */
/*
 * exec.c - execve and execveat: arguments, environment, auxiliary vector, limits, scripts, errors.
 *
 * The program is its own helper: `exec --helper WHAT ...` is what the cases execute.
 */
#include "scratch.h"
#include <elf.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/uio.h>

extern char **environ;

static char self[4096];
static char *show_args[] = { "SHOW_ARGS=1", NULL };

/* Runs a program in a child, its output in text; the exit code, or -errno if execve failed. */
static int run(const char *path, char *const argv[], char *const envp[], char *text, size_t size)
{
	int out[2], status[2], error = 0;
	pid_t pid;
	size_t used = 0;
	ssize_t n;

	REQUIRE(pipe2(out, O_CLOEXEC) == 0 && pipe2(status, O_CLOEXEC) == 0);
	FORKED(pid)
	{
		dup2(out[1], 1);
		execve(path, argv, envp);
		error = errno;
		write(status[1], &error, sizeof error);
		_exit(99);
	}
	close(out[1]);
	close(status[1]);
	while (used < size - 1 && (n = read(out[0], text + used, size - 1 - used)) > 0)
		used += n;
	text[used] = 0;
	n = read(status[0], &error, sizeof error);
	close(out[0]);
	close(status[0]);
	int code = reap(pid);
	return n == sizeof error ? -error : code;
}

static char out_text[65536];
#define RUN(path, envp, ...) \
	run(path, (char *const[]){ __VA_ARGS__, NULL }, envp, out_text, sizeof out_text)

/* What the helper does when a case executes it. */
static int helper(int argc, char **argv)
{
	const char *what = argv[2];

	if (!strcmp(what, "args")) {
		for (int i = 0; i < argc; i++)
			printf("[%s]", argv[i]);
		for (char **e = environ; *e; e++)
			printf("{%s}", *e);
		printf("\n");
	} else if (!strcmp(what, "count")) {
		size_t bytes = 0;
		for (int i = 0; i < argc; i++)
			bytes += strlen(argv[i]) + 1;
		printf("%d %zu\n", argc, bytes);
	} else if (!strcmp(what, "fd")) {
		printf("%d\n", fcntl(atoi(argv[3]), F_GETFD));
	} else if (!strcmp(what, "signals")) {
		struct sigaction a;
		sigset_t blocked, pending;
		sigprocmask(SIG_SETMASK, NULL, &blocked);
		sigpending(&pending);
		for (int s = SIGUSR1; s <= SIGUSR2; s += SIGUSR2 - SIGUSR1) {
			sigaction(s, NULL, &a);
			printf("%d %d %d ", a.sa_handler == SIG_DFL, a.sa_handler == SIG_IGN,
			       a.sa_flags & SA_SIGINFO);
		}
		stack_t ss;
		sigaltstack(NULL, &ss);
		printf("%d %d %d\n", sigismember(&blocked, SIGHUP), sigismember(&pending, SIGHUP),
		       ss.ss_flags == SS_DISABLE);
	} else if (!strcmp(what, "ids")) {
		printf("%d %d %d\n", getpid(), getppid(), (int)syscall(SYS_gettid));
	} else {
		return 2;
	}
	return 0;
}

static void arguments(void)
{
	char *env[] = { "A=1", "B=two words", "", NULL };

	EQ(RUN(self, env, "zero", "--helper", "args", "", "x y", "\xff"), 0);
	STREQ(out_text, "[zero][--helper][args][][x y][\xff]{A=1}{B=two words}{}\n");
	EQ(run(self, (char *[]){ "a", "--helper", "args", NULL }, NULL, out_text, sizeof out_text),
	   0);
	STREQ(out_text, "[a][--helper][args]\n");
}

/* Linux 5.18 and later give a program without arguments one empty one. */
static void no_arguments(void)
{
	EQ(run(self, NULL, NULL, out_text, sizeof out_text), 77);
	EQ(run(self, (char *[]){ NULL }, NULL, out_text, sizeof out_text), 77);
}

static void auxiliary_vector(void)
{
	char **end = environ, stored[4096], path[64];
	Elf64_auxv_t *vector;
	size_t entries = 1;

	while (*end++)
		;
	vector = (Elf64_auxv_t *)end; /* as it stands on the stack: the same as the kernel tells */
	while (vector[entries - 1].a_type != AT_NULL)
		entries++;
	CHECK(entries > 15);
	pid_t parent = getpid(), pid;
	snprintf(path, sizeof path, "/proc/%d/auxv", parent);
	FORKED(pid) /* of itself, which got it by fork, and of its parent */
	{
		const char *const paths[] = { "/proc/self/auxv", path };

		for (int i = 0; i < 2; i++) {
			int fd = OK(open(paths[i], O_RDONLY));
			EQ(read(fd, stored, sizeof stored), entries * sizeof vector[0]);
			EQ(memcmp(stored, vector, entries * sizeof vector[0]), 0);
			close(fd);
		}
	}
	EQ(reap(pid), 0);
	EQ(getauxval(AT_PAGESZ), 4096);
	CHECK(getauxval(AT_PHDR) != 0);
	EQ(getauxval(AT_PHENT), sizeof(Elf64_Phdr));
	CHECK(getauxval(AT_PHNUM) > 0);
	CHECK(getauxval(AT_ENTRY) != 0);
	CHECK(getauxval(AT_HWCAP) != 0);
	EQ(getauxval(AT_CLKTCK), 100);
	EQ(getauxval(AT_UID), getuid());
	EQ(getauxval(AT_EUID), geteuid());
	EQ(getauxval(AT_GID), getgid());
	EQ(getauxval(AT_EGID), getegid());
	EQ(getauxval(AT_SECURE), 0);
	STREQ((char *)getauxval(AT_PLATFORM), "x86_64");
	STREQ((char *)getauxval(AT_EXECFN), self);
	CHECK(getauxval(AT_SYSINFO_EHDR) != 0);
	Elf64_Ehdr *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
	if (vdso)
		CHECK(!memcmp(vdso->e_ident, ELFMAG, SELFMAG));
	unsigned char *r = (void *)getauxval(AT_RANDOM);
	REQUIRE(r);
	int zero = 0;
	for (int i = 0; i < 16; i++)
		zero += !r[i];
	CHECK(zero < 8);
	unsigned long sp = (unsigned long)__builtin_frame_address(0);
	EQ(sp % 16, 0);
}

static void limits(void)
{
	enum { MAX_STRLEN = 131072 };
	static char big[MAX_STRLEN + 2];
	static char *many[400002];

	memset(big, 'x', sizeof big);
	big[MAX_STRLEN - 1] = 0; /* with its NUL just what is allowed */
	EQ(RUN(self, NULL, "a", "--helper", "count", big), 0);
	STREQ(out_text, "4 131089\n");
	big[MAX_STRLEN - 1] = 'x';
	big[MAX_STRLEN] = 0;
	EQ(RUN(self, NULL, "a", "--helper", "count", big), -E2BIG);
	EQ(run(self, (char *[]){ "a", NULL }, (char *[]){ big, NULL }, out_text, sizeof out_text),
	   -E2BIG);
	big[MAX_STRLEN - 1] = 0;
	/* all together: a quarter of RLIMIT_STACK, pointers counted; 8 MiB gives 2 MiB */
	struct rlimit l = { 8 << 20, RLIM_INFINITY };
	OK(setrlimit(RLIMIT_STACK, &l));
	many[0] = "a", many[1] = "--helper", many[2] = "count";
	for (int i = 3; i < 100000; i++)
		many[i] = "0123456";
	EQ(run(self, many, NULL, out_text, sizeof out_text), 0);
	STREQ(out_text, "100000 799993\n");
	for (int i = 100000; i < 200000; i++)
		many[i] = "0123456";
	EQ(run(self, many, NULL, out_text, sizeof out_text), -E2BIG);
	for (int i = 3; i < 15; i++)
		many[i] = big;
	many[15] = NULL;
	EQ(run(self, many, NULL, out_text, sizeof out_text), 0);
	for (int i = 3; i < 19; i++)
		many[i] = big;
	many[19] = NULL;
	EQ(run(self, many, NULL, out_text, sizeof out_text), -E2BIG);
}

static void scripts(void)
{
	char text[1024];

	scratch();
	snprintf(text, sizeof text, "#!%.500s --helper\n", self);
	put("one", text, 0755);
	/* the interpreter's one argument is taken whole; argv[0] gives way to the script's path */
	snprintf(text, sizeof text, "#! \t%.500s  two  words\t \nrest\n", self);
	put("two", text, 0755);
	EQ(RUN("./one", NULL, "zero", "x"), 2);
	EQ(RUN("./two", show_args, "zero", "x"), 78);
	char expected[4400];
	snprintf(expected, sizeof expected, "[%s][two  words][./two][x]\n", self);
	STREQ(out_text, expected);
	/* no newline at the end */
	snprintf(text, sizeof text, "#!%.500s", self);
	put("bare", text, 0755);
	EQ(RUN("./bare", show_args, "zero", "--helper", "args"), 78);
	snprintf(expected, sizeof expected, "[%s][./bare][--helper][args]\n", self);
	STREQ(out_text, expected);
	/* a script as the interpreter of a script */
	snprintf(text, sizeof text, "#!%s/bare third\n", scratch_path);
	put("nested", text, 0755);
	EQ(RUN("./nested", show_args, "zero"), 78);
	snprintf(expected, sizeof expected, "[%s][%s/bare][third][./nested]\n", self, scratch_path);
	STREQ(out_text, expected);
}

static void script_errors(void)
{
	char text[600], name[32];

	scratch();
	put("gone", "#!/nowhere/at/all\n", 0755);
	EQ(RUN("./gone", NULL, "x"), -ENOENT);
	put("empty", "#!\n", 0755);
	EQ(RUN("./empty", NULL, "x"), -ENOEXEC);
	put("blank", "#!  \t \n", 0755);
	EQ(RUN("./blank", NULL, "x"), -ENOEXEC);
	put("dir", "#!/tmp\n", 0755);
	EQ(RUN("./dir", NULL, "x"), -EACCES);
	put("data", "hello\n", 0755);
	put("todata", "#!data\n", 0755);
	EQ(RUN("./todata", NULL, "x"), -ENOEXEC);
	/* a path that does not end within the first 256 bytes is refused, not cut */
	memset(text, 'a', sizeof text);
	memcpy(text, "#!/", 3);
	text[599] = 0;
	put("long", text, 0755);
	EQ(RUN("./long", NULL, "x"), -ENOEXEC);
	/* five levels of scripts work, six do not */
	snprintf(text, sizeof text, "#!%.500s\n", self);
	put("s0", text, 0755);
	for (int i = 1; i < 7; i++) {
		snprintf(name, sizeof name, "s%d", i);
		snprintf(text, sizeof text, "#!%s/s%d\n", scratch_path, i - 1);
		put(name, text, 0755);
	}
	EQ(RUN("./s4", show_args, "x"), 78);
	EQ(RUN("./s5", show_args, "x"), -ELOOP);
}

static void file_errors(void)
{
	scratch();
	EQ(RUN("nowhere", NULL, "x"), -ENOENT);
	EQ(RUN("", NULL, "x"), -ENOENT);
	put("plain", "echo hi\n", 0644);
	EQ(RUN("plain", NULL, "x"), -EACCES);
	EQ(RUN("plain/x", NULL, "x"), -ENOTDIR);
	put("text", "echo hi\n", 0755);
	EQ(RUN("text", NULL, "x"), -ENOEXEC);
	put("zero", "", 0755);
	EQ(RUN("zero", NULL, "x"), -ENOEXEC);
	put("elf", "\177ELF", 0755);
	EQ(RUN("elf", NULL, "x"), -ENOEXEC);
	EQ(RUN("/tmp", NULL, "x"), -EACCES);
	OK(mkfifo("fifo", 0777));
	EQ(RUN("fifo", NULL, "x"), -EACCES);
	OK(symlink("loop", "loop"));
	EQ(RUN("loop", NULL, "x"), -ELOOP);
	OK(symlink(self, "link"));
	EQ(RUN("link", NULL, "zero", "--helper", "count"), 0);
	char name[300];
	memset(name, 'n', 299);
	name[299] = 0;
	EQ(RUN(name, NULL, "x"), -ENAMETOOLONG);
	ERR(execve((char *)8, (char *[]){ "x", NULL }, NULL), EFAULT);
	ERR(execve(self, (char **)8, NULL), EFAULT);
	ERR(execve(self, (char *[]){ "x", (char *)8, NULL }, NULL), EFAULT);
	ERR(execve(self, (char *[]){ "x", NULL }, (char **)8), EFAULT);
	/* a file that is open for writing */
	int in = OK(open(self, O_RDONLY)),
	    fd = OK(open("busy", O_RDWR | O_CREAT | O_CLOEXEC, 0755));
	char buffer[4096];
	ssize_t n;
	while ((n = read(in, buffer, sizeof buffer)) > 0)
		EQ(write(fd, buffer, n), n);
	close(in);
	EQ(RUN("./busy", NULL, "x", "--helper", "count"), -ETXTBSY);
	close(fd);
	EQ(RUN("./busy", NULL, "x", "--helper", "count"), 0);
	OK(chmod("busy", 0644));
	EQ(RUN("./busy", NULL, "x"), -EACCES);
}

/* ELF headers that say what cannot be. */
static void elf_errors(void)
{
	struct {
		Elf64_Ehdr e;
		Elf64_Phdr p[2];
		char interp[64];
	} f, good = {
		.e = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		       .e_type = ET_EXEC,
		       .e_machine = EM_X86_64,
		       .e_version = EV_CURRENT,
		       .e_entry = 0x10000,
		       .e_phoff = sizeof(Elf64_Ehdr),
		       .e_ehsize = sizeof(Elf64_Ehdr),
		       .e_phentsize = sizeof(Elf64_Phdr),
		       .e_phnum = 2 },
		.p = { { .p_type = PT_INTERP,
			 .p_offset = sizeof f.e + sizeof f.p,
			 .p_filesz = 14,
			 .p_memsz = 14,
			 .p_flags = PF_R },
		       { .p_type = PT_LOAD,
			 .p_vaddr = 0x10000,
			 .p_filesz = 256,
			 .p_memsz = 256,
			 .p_flags = PF_R | PF_X,
			 .p_align = 4096 } },
		.interp = "/nowhere/ld.so",
	};
	good.p[0].p_filesz = good.p[0].p_memsz = strlen(good.interp) + 1;
	scratch();
#define TRY(change, expected)                                                  \
	do {                                                                   \
		f = good;                                                      \
		change;                                                        \
		int fd_ = open("f", O_RDWR | O_CREAT | O_TRUNC, 0755);         \
		write(fd_, &f, sizeof f);                                      \
		close(fd_);                                                    \
		int got_ = RUN("./f", NULL, "x");                              \
		if (got_ != (expected))                                        \
			FAIL("%s: %d, expected %s", #change, got_, #expected); \
	} while (0)
	TRY((void)0, -ENOENT); /* the interpreter is not there */
	TRY(f.e.e_machine = EM_ARM, -ENOEXEC);
	TRY(f.e.e_type = ET_REL, -ENOEXEC);
	TRY(f.e.e_phentsize = 8, -ENOEXEC);
	TRY(f.e.e_phnum = 0, -ENOEXEC);
	TRY(f.e.e_phoff = 1 << 30, -ENOEXEC);
	TRY(strcpy(f.interp, "/tmp"); f.p[0].p_filesz = f.p[0].p_memsz = 5, -EACCES);
	TRY(f.p[0].p_filesz = 1, -ENOEXEC);
	TRY(f.p[0].p_filesz = 3, -ENOEXEC); /* not terminated */
	TRY(f.p[0].p_filesz = 1 << 20, -ENOEXEC);
	TRY(strcpy(f.interp, "./f"); f.p[0].p_filesz = 4; f.p[1].p_filesz = 64, 128 + SIGSEGV);
#undef TRY
}

static void close_on_exec(void)
{
	int kept = OK(open("/", O_RDONLY)), closed = OK(open("/", O_RDONLY | O_CLOEXEC));
	char text[16];

	snprintf(text, sizeof text, "%d", kept);
	EQ(RUN(self, NULL, "x", "--helper", "fd", text), 0);
	STREQ(out_text, "0\n");
	snprintf(text, sizeof text, "%d", closed);
	EQ(RUN(self, NULL, "x", "--helper", "fd", text), 0);
	STREQ(out_text, "-1\n");
	OK(fcntl(closed, F_SETFD, 0));
	EQ(RUN(self, NULL, "x", "--helper", "fd", text), 0);
	STREQ(out_text, "0\n");
	close(kept);
	close(closed);
}

static void on_signal(int s)
{
	(void)s;
}

/* Handlers go back to default, ignored stays ignored, mask and pending stay, the stack goes. */
static void signals_across_exec(void)
{
	static char stack[16384];
	pid_t pid;

	FORKED(pid)
	{
		struct sigaction a = { .sa_handler = on_signal };
		sigset_t hup;
		stack_t ss = { .ss_sp = stack, .ss_size = sizeof stack };
		sigaction(SIGUSR1, &a, NULL);
		signal(SIGUSR2, SIG_IGN);
		sigemptyset(&hup);
		sigaddset(&hup, SIGHUP);
		sigprocmask(SIG_BLOCK, &hup, NULL);
		sigaltstack(&ss, NULL);
		EQ(RUN(self, NULL, "x", "--helper", "signals"), 0);
		STREQ(out_text, "1 0 0 0 1 0 1 0 1\n");
		int out[2];
		pipe(out);
		dup2(out[1], 1);
		if (fork() == 0) {
			raise(SIGHUP);
			execve(self, (char *[]){ "x", "--helper", "signals", NULL }, NULL);
			_exit(9);
		}
		wait(NULL);
		out_text[read(out[0], out_text, 100)] = 0;
		STREQ(out_text, "1 0 0 0 1 0 1 1 1\n");
		_exit(0);
	}
	EQ(reap(pid), 0);
}

static void *exec_thread(void *unused)
{
	(void)unused;
	execve(self, (char *[]){ "x", "--helper", "ids", NULL }, NULL);
	return NULL;
}

static void *sleeping_thread(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

/* execve in a thread kills the others and takes over the process's id. */
static void from_a_thread(void)
{
	for (int round = 0; round < 8; round++) {
		int out[2];
		pid_t pid, a, b, c;
		REQUIRE(pipe(out) == 0);
		FORKED(pid)
		{
			pthread_t t;
			dup2(out[1], 1);
			for (int i = 0; i < 3; i++)
				pthread_create(&t, NULL, sleeping_thread, NULL);
			pthread_create(&t, NULL, exec_thread, NULL);
			pthread_join(t, NULL);
			_exit(9);
		}
		close(out[1]);
		ssize_t n = read(out[0], out_text, 100);
		out_text[n > 0 ? n : 0] = 0;
		close(out[0]);
		EQ(reap(pid), 0);
		EQ(sscanf(out_text, "%d %d %d", &a, &b, &c), 3);
		EQ(a, pid);
		EQ(b, getpid());
		EQ(c, pid);
	}
}

static void execveat_forms(void)
{
	char *argv[] = { "x", "--helper", "count", NULL }, *env[] = { NULL };
	int fd = OK(open(self, O_PATH)), dir = OK(open("/", O_RDONLY | O_DIRECTORY));
	pid_t pid;

#define EXECVEAT(d, path, flags) syscall(SYS_execveat, d, path, argv, env, flags)
#define RUNS(d, path, flags)                         \
	do {                                         \
		FORKED(pid)                          \
		{                                    \
			close(1);                    \
			open("/dev/null", O_WRONLY); \
			EXECVEAT(d, path, flags);    \
			_exit(99);                   \
		}                                    \
		EQ(reap(pid), 0);                    \
	} while (0)
	scratch();
	OK(symlink(self, "link"));
	RUNS(fd, "", AT_EMPTY_PATH);
	RUNS(AT_FDCWD, self, 0);
	RUNS(dir, self + 1, 0);
	RUNS(AT_FDCWD, "link", 0);
	ERR(EXECVEAT(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW), ELOOP);
	ERR(EXECVEAT(fd, "", 0), ENOENT);
	ERR(EXECVEAT(AT_FDCWD, self, 0x8000000), EINVAL);
	ERR(EXECVEAT(-5, "x", 0), EBADF);
	ERR(EXECVEAT(-5, "", AT_EMPTY_PATH), EBADF);
	ERR(EXECVEAT(fd, "x", 0), ENOTDIR);
	/* a script by a close-on-exec descriptor cannot be opened again by its interpreter */
	put("script", "#!/bin/sh\n", 0755);
	int script = OK(open("script", O_RDONLY | O_CLOEXEC));
	ERR(EXECVEAT(script, "", AT_EMPTY_PATH), ENOENT);
	close(script);
	close(dir);
	close(fd);
#undef EXECVEAT
#undef RUNS
}

/* The memory of the old program is gone, and its size does not stand in the way of the new one. */
static void many_times(void)
{
	for (int i = 0; i < 30; i++)
		if (RUN(self, NULL, "x", "--helper", "count") != 0)
			FAIL("round %d", i);
}

static const struct tap_case cases[] = {
	T(arguments),	   T(no_arguments),  T(auxiliary_vector),    T(limits),
	T(scripts),	   T(script_errors), T(file_errors),	     T(elf_errors),
	T(close_on_exec),  T(many_times),    T(signals_across_exec), T(from_a_thread),
	T(execveat_forms),
};

int main(int argc, char **argv)
{
	if (argc == 0 || !argv[0][0])
		return argc == 1 && !argv[1] ? 77 : 76;
	if (argc > 2 && !strcmp(argv[1], "--helper"))
		return helper(argc, argv);
	if (getenv("SHOW_ARGS")) {
		for (int i = 0; i < argc; i++)
			printf("[%s]", argv[i]);
		printf("\n");
		return 78;
	}
	const char *path = (const char *)getauxval(AT_EXECFN);
	if (!path || path[0] != '/') {
		printf("Bail out! run it by its absolute path\n");
		return 1;
	}
	snprintf(self, sizeof self, "%s", path);
	return TAP_RUN(cases, argc, argv);
}
