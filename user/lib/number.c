/* SPDX-License-Identifier: MIT */
/*
 * number.c - sizes, counts, times and signal names, from text and to text.
 *
 * The parsers take the whole string or refuse it; they change *out only on
 * success.
 */
#include <skerry/text.h>

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char units[] = "KMGT";

static int digits_parse(const char *s, const char **end, uint64_t *out)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (; isdigit((unsigned char)*s); s++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *s - '0', &n))
			return -ERANGE;
	*end = s;
	*out = n;
	return 0;
}

int number_parse(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	const char *end;
	uint64_t n;
	int err = digits_parse(s, &end, &n);

	if (err)
		return err;
	if (*end)
		return -EINVAL;
	if (n < min || n > max)
		return -ERANGE;
	*out = n;
	return 0;
}

int size_parse(const char *s, uint64_t *out)
{
	const char *end, *unit;
	int shift = 0, err;
	uint64_t n;

	err = digits_parse(s, &end, &n);
	if (err)
		return err;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (int)(unit - units + 1);
	}
	if (n > (UINT64_MAX >> shift))
		return -ERANGE;
	*out = n << shift;
	return 0;
}

char *size_format(uint64_t bytes, char text[SIZE_TEXT])
{
	int unit = -1;
	double n = (double)bytes;

	if (bytes == UINT64_MAX) {
		snprintf(text, SIZE_TEXT, "max");
		return text;
	}
	while (n >= 999.5 && unit < 3) {
		n /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(text, SIZE_TEXT, "%d", (int)bytes);
	else
		snprintf(text, SIZE_TEXT, "%.*f%c", n < 9.95 && n != (int)n, n, units[unit]);
	return text;
}

char *cputime_format(uint64_t usec, char text[SIZE_TEXT])
{
	uint64_t sec = usec / 1000000;

	snprintf(text, SIZE_TEXT, "%llu:%02d", (unsigned long long)(sec / 60), (int)(sec % 60));
	return text;
}

static const struct {
	const char *name;
	int number;
} signals[] = {
	{ "HUP", SIGHUP },   { "INT", SIGINT },	      { "QUIT", SIGQUIT }, { "ILL", SIGILL },
	{ "TRAP", SIGTRAP }, { "ABRT", SIGABRT },     { "BUS", SIGBUS },   { "FPE", SIGFPE },
	{ "KILL", SIGKILL }, { "USR1", SIGUSR1 },     { "SEGV", SIGSEGV }, { "USR2", SIGUSR2 },
	{ "PIPE", SIGPIPE }, { "ALRM", SIGALRM },     { "TERM", SIGTERM }, { "STKFLT", 16 },
	{ "CHLD", SIGCHLD }, { "CONT", SIGCONT },     { "STOP", SIGSTOP }, { "TSTP", SIGTSTP },
	{ "TTIN", SIGTTIN }, { "TTOU", SIGTTOU },     { "URG", SIGURG },   { "XCPU", SIGXCPU },
	{ "XFSZ", SIGXFSZ }, { "VTALRM", SIGVTALRM }, { "PROF", SIGPROF }, { "WINCH", SIGWINCH },
	{ "IO", SIGIO },     { "PWR", SIGPWR },	      { "SYS", SIGSYS },
};

int signal_parse(const char *s, int *out)
{
	uint64_t n;
	size_t i;

	if (!number_parse(s, 1, 64, &n)) {
		*out = (int)n;
		return 0;
	}
	if (!strncasecmp(s, "SIG", 3))
		s += 3;
	for (i = 0; i < sizeof signals / sizeof *signals; i++) {
		if (!strcasecmp(s, signals[i].name)) {
			*out = signals[i].number;
			return 0;
		}
	}
	return -EINVAL;
}
