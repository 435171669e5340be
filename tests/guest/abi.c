/* SPDX-License-Identifier: MIT */
/*
 * abi.c - makes every call that doc/abi.md says is refused, and compares the errno.
 *
 * The page stands beside the program as abi.md; the page says how its rows are read. One TAP line
 * for each row; each call is made in a child of its own.
 */
#include "scratch.h"
#include <sched.h>
#include <sys/socket.h>

#define NAMED(n)      \
	{             \
#n, n \
	}

static const struct {
	const char *name;
	long value;
} constants[] = {
	NAMED(CLONE_VM),      NAMED(CLONE_FS),	    NAMED(CLONE_FILES),	  NAMED(CLONE_SIGHAND),
	NAMED(CLONE_THREAD),  NAMED(CLONE_NEWNS),   NAMED(CLONE_NEWUTS),  NAMED(CLONE_NEWIPC),
	NAMED(CLONE_NEWUSER), NAMED(CLONE_NEWPID),  NAMED(CLONE_NEWNET),  {"CLONE_NEWCGROUP", 0x02000000},
	NAMED(AT_FDCWD),      NAMED(O_RDWR),	    NAMED(O_DIRECT),	  NAMED(O_TMPFILE),
	NAMED(O_CREAT),	      NAMED(MAP_SHARED),    NAMED(MAP_PRIVATE),	  NAMED(MAP_ANONYMOUS),
	NAMED(MAP_FIXED),     NAMED(MAP_GROWSDOWN), {"MAP_HUGETLB", 0x40000}, {"MAP_SYNC", 0x80000},
	NAMED(AF_UNIX),	      NAMED(AF_INET),	    NAMED(AF_INET6),	  NAMED(SOCK_STREAM),
	NAMED(SOCK_DGRAM),    NAMED(SOCK_SEQPACKET), NAMED(F_SETFL),	  NAMED(F_SETOWN),
	NAMED(F_SETSIG),      NAMED(F_SETLEASE),    NAMED(F_NOTIFY),	  NAMED(F_ADD_SEALS),
	NAMED(F_GET_SEALS),   NAMED(O_ASYNC),	    {"F_SETOWN_EX", 15},  {"F_GETOWN_EX", 16},
	{"F_GET_RW_HINT", 1035}, {"F_SET_RW_HINT", 1036},
	{"FIOASYNC", 0x5452}, {"FS_IOC_GETFLAGS", 0x80086601}, {"FS_IOC_FIEMAP", 0xc020660b},
}, errors[] = {
	NAMED(EPERM),  NAMED(ENOENT), NAMED(ESRCH),   NAMED(EBADF),	  NAMED(EAGAIN),
	NAMED(ENOMEM), NAMED(EACCES), NAMED(EBUSY),   NAMED(EXDEV),	  NAMED(ENODEV),
	NAMED(EINVAL), NAMED(ENOTTY), NAMED(ENOSYS),  NAMED(EOPNOTSUPP), NAMED(EAFNOSUPPORT),
	NAMED(E2BIG),  NAMED(ENXIO),  NAMED(ENOTSUP), NAMED(ESOCKTNOSUPPORT), NAMED(EPROTONOSUPPORT),
	NAMED(ENOPROTOOPT), NAMED(ESPIPE), NAMED(ENOTDIR), NAMED(EISDIR),
};

static char *page;

/* One argument; false if it is not understood. */
static bool value_of(char *word, long *value)
{
	int p[2];

	*value = 0;
	for (char *part = strtok(word, "+"); part; part = strtok(NULL, "+")) {
		size_t i = 0;
		while (i < COUNT(constants) && strcmp(constants[i].name, part))
			i++;
		if (i < COUNT(constants)) {
			*value |= constants[i].value;
		} else if (!strcmp(part, "file")) {
			*value = open("file", O_RDWR);
		} else if (!strcmp(part, "dir")) {
			*value = open(".", O_RDONLY);
		} else if (!strcmp(part, "pipe")) {
			*value = pipe(p) ? -1 : p[0];
		} else if (!strcmp(part, "sock")) {
			*value = socket(AF_UNIX, SOCK_STREAM, 0);
		} else if (!strcmp(part, "path")) {
			*value = (long)"file";
		} else if (!strcmp(part, "buf")) {
			*value = (long)page;
		} else if (!strcmp(part, "self")) {
			*value = getpid();
		} else {
			char *end;
			*value |= strtoul(part, &end, 0);
			if (*end || end == part)
				return false;
		}
	}
	return true;
}

/* The errno of a call in a child, 0 if it succeeds, 1000 + signal if that ended it. */
static int outcome(long number, const long a[6])
{
	pid_t pid;

	WORD(0) = -1;
	FORKED(pid)
	{
		alarm(60);
		errno = 0;
		long r = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
		WORD(0) = r == -1 ? errno : 0;
		syscall(SYS_exit_group, 0);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	return WORD(0) >= 0 ? WORD(0) : 1000 + (status & 0x7f);
}

/* A row's cells without blanks at their ends; the number of cells. */
static int cells(char *line, char *cell[8])
{
	int n = 0;

	for (char *p = strtok(line, "|\n"); p && n < 8; p = strtok(NULL, "|\n")) {
		p += strspn(p, " ");
		for (char *end = p + strlen(p); end > p && end[-1] == ' ';)
			*--end = 0;
		cell[n++] = p;
	}
	return n;
}

static bool check_row(char *call, char *arguments, const char *error)
{
	long number, a[6] = { 0 };
	size_t e = 0;
	int got;

	while (e < COUNT(errors) && strcmp(errors[e].name, error))
		e++;
	if (sscanf(call, "%ld", &number) != 1 || e == COUNT(errors)) {
		tap_say("# not understood: %s | %s | %s", call, arguments, error);
		return false;
	}
	if (!strcmp(arguments, "any")) {
		got = outcome(number, a);
		if (got == errors[e].value)
			got = outcome(number, (long[]){ -1, -1, -1, -1, -1, -1 });
	} else {
		char *word[6], *rest = arguments;
		int n = 0;
		while (n < 6 && (word[n] = strsep(&rest, " ")))
			n++;
		for (int i = 0; i < n; i++)
			if (!value_of(word[i], &a[i])) {
				tap_say("# argument %d not understood", i + 1);
				return false;
			}
		got = outcome(number, a);
	}
	if (got != errors[e].value)
		tap_say("# errno %d (%s), expected %s", got, strerror(got), error);
	return got == errors[e].value;
}

int main(int argc, char **argv)
{
	char path[4096], line[512], *cell[8];
	int number = 0, failed = 0;
	bool refused = false;

	tap = mmap(NULL, sizeof *tap, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	tap_pid = getpid();
	snprintf(path, sizeof path, "%.4000s", argc > 1 ? argv[1] : argv[0]);
	if (argc < 2) {
		char *slash = strrchr(path, '/');
		strcpy(slash ? slash + 1 : path, "abi.md");
	}
	if (!on_skerry()) {
		tap_say("1..0 # SKIP not on Skerry");
		return 0;
	}
	FILE *f = fopen(path, "r");
	if (!f) {
		tap_say("Bail out! %s: %s", path, strerror(errno));
		return 1;
	}
	scratch();
	put("file", "text", 0644);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	while (fgets(line, sizeof line, f)) {
		if (!strncmp(line, "## ", 3))
			refused = !strncmp(line, "## Refused", 10);
		if (!refused || line[0] != '|' || cells(line, cell) < 3)
			continue;
		if (cell[0][0] < '0' || cell[0][0] > '9')
			continue; /* the head of a table */
		char what[200];
		snprintf(what, sizeof what, "%.60s (%.60s) is %s", cell[0], cell[1], cell[2]);
		bool good = check_row(cell[0], cell[1], cell[2]);
		tap_say("%sok %d - %s", good ? "" : "not ", ++number, what);
		failed += !good;
	}
	fclose(f);
	scratch_leave();
	tap_say("1..%d", number);
	return failed || !number;
}
