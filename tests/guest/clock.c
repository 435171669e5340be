/* SPDX-License-Identifier: MIT */ /* build: both */
/*
 * clock.c - clocks, the vDSO, sleeping, POSIX timers, times.
 */
#include "tap.h"
#include <elf.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

static long long ns(struct timespec t)
{
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long by_call(clockid_t id)
{
	struct timespec t;

	REQUIRE(syscall(SYS_clock_gettime, id, &t) == 0);
	CHECK(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	return ns(t);
}

static long long by_library(clockid_t id)
{
	struct timespec t;

	REQUIRE(clock_gettime(id, &t) == 0);
	return ns(t);
}

static void clocks(void)
{
	static const clockid_t ids[] = { CLOCK_REALTIME,	CLOCK_MONOTONIC,
					 CLOCK_BOOTTIME,	CLOCK_MONOTONIC_RAW,
					 CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE };
	struct timespec t;

	for (size_t i = 0; i < COUNT(ids); i++) {
		long long a = by_call(ids[i]), b = by_library(ids[i]), c = by_call(ids[i]);
		long long slack = 20000000; /* the coarse ones tick */
		CHECK(a <= b + slack && b <= c + slack && c - a < 5000000000LL);
		OK(clock_getres(ids[i], &t));
		CHECK(t.tv_sec == 0 && t.tv_nsec >= 1 && t.tv_nsec <= 10000000);
		OK(clock_getres(ids[i], NULL));
	}
	CHECK(by_call(CLOCK_REALTIME) > 1500000000LL * 1000000000);
	ERR(syscall(SYS_clock_gettime, 99, &t), EINVAL);
	ERR(syscall(SYS_clock_getres, 99, &t), EINVAL);
	ERR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8), EFAULT);
	struct timeval tv;
	OK(syscall(SYS_gettimeofday, &tv, NULL));
	long long real = by_call(CLOCK_REALTIME);
	CHECK(llabs(real / 1000 - (tv.tv_sec * 1000000LL + tv.tv_usec)) < 2000000);
	time_t now = syscall(SYS_time, NULL);
	CHECK(llabs(real / 1000000000 - now) <= 2);
	OK(gettimeofday(&tv, NULL));
	CHECK(llabs(time(NULL) - tv.tv_sec) <= 1);
}

/* Neither way of asking goes back, nor do the two against each other, on any CPU. */
static void monotonic(void)
{
	pid_t pid[3];

	for (int k = 0; k < 3; k++)
		FORKED(pid[k])
		{
			long long last = 0, v;
			for (int i = 0; i < 20000; i++) {
				v = i % 8 ? by_library(CLOCK_MONOTONIC) : by_call(CLOCK_MONOTONIC);
				if (v < last) {
					FAIL("back by %lld ns in round %d", last - v, i);
					break;
				}
				last = v;
				if (i % 500 == 0)
					sched_yield();
			}
		}
	for (int k = 0; k < 3; k++)
		EQ(reap(pid[k]), 0);
}

/* What one process saw before is not after what another sees later. */
static void monotonic_between_processes(void)
{
	int a[2], b[2];
	long long v, mine = 0;
	pid_t pid;

	OK(pipe(a));
	OK(pipe(b));
	FORKED(pid)
	{
		for (int i = 0; i < 500; i++) {
			read(a[0], &v, 8);
			mine = by_library(CLOCK_MONOTONIC);
			CHECK(mine >= v);
			write(b[1], &mine, 8);
		}
	}
	for (int i = 0; i < 500; i++) {
		mine = by_library(CLOCK_MONOTONIC);
		CHECK(mine >= (i ? v : 0));
		write(a[1], &mine, 8);
		read(b[0], &v, 8);
	}
	EQ(reap(pid), 0);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

/* The functions that the vDSO must have, found as a C library finds them. */
static void vdso(void)
{
	static const char *names[] = { "__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time",
				       "__vdso_getcpu" };
	char *base = (char *)getauxval(AT_SYSINFO_EHDR);

	REQUIRE(base);
	Elf64_Ehdr *e = (Elf64_Ehdr *)base;
	Elf64_Phdr *p = (Elf64_Phdr *)(base + e->e_phoff);
	Elf64_Dyn *dynamic = NULL;
	char *load = NULL, *strings = NULL;
	Elf64_Sym *symbols = NULL;
	uint32_t *hash = NULL;
	for (int i = 0; i < e->e_phnum; i++) {
		if (p[i].p_type == PT_LOAD && !load)
			load = base + p[i].p_offset - p[i].p_vaddr;
		if (p[i].p_type == PT_DYNAMIC)
			dynamic = (Elf64_Dyn *)(base + p[i].p_offset);
	}
	REQUIRE(load && dynamic);
	for (; dynamic->d_tag; dynamic++) {
		if (dynamic->d_tag == DT_STRTAB)
			strings = load + dynamic->d_un.d_ptr;
		if (dynamic->d_tag == DT_SYMTAB)
			symbols = (Elf64_Sym *)(load + dynamic->d_un.d_ptr);
		if (dynamic->d_tag == DT_HASH)
			hash = (uint32_t *)(load + dynamic->d_un.d_ptr);
	}
	REQUIRE(strings && symbols);
	uint32_t count = hash ? hash[1] : 64;
	for (size_t n = 0; n < COUNT(names); n++) {
		void *found = NULL;
		for (uint32_t i = 1; i < count && !found; i++)
			if (symbols[i].st_shndx && !strcmp(strings + symbols[i].st_name, names[n]))
				found = load + symbols[i].st_value;
		if (!found)
			FAIL("no %s", names[n]);
		else if (n == 0) {
			int (*get)(clockid_t, struct timespec *) =
				(int (*)(clockid_t, struct timespec *))found;
			struct timespec t;
			EQ(get(CLOCK_MONOTONIC, &t), 0);
			CHECK(llabs(ns(t) - by_call(CLOCK_MONOTONIC)) < 5000000000LL);
			EQ(get(99, &t) == 0, 0);
		}
	}
	unsigned int cpu = 9999, node = 9999;
	OK(syscall(SYS_getcpu, &cpu, &node, NULL));
	CHECK(cpu < 1024);
	EQ(node, 0);
}

static void sleeping(void)
{
	static const long lengths[] = { 0, 1, 1000, 1000000, 20000000 };

	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct timespec t = { 0, lengths[i] };
		long long start = by_call(CLOCK_MONOTONIC);
		EQ(nanosleep(&t, NULL), 0);
		long long took = by_call(CLOCK_MONOTONIC) - start;
		CHECK(took >= lengths[i]);
		CHECK(took < lengths[i] + 2000000000LL);
	}
	static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME };
	for (size_t i = 0; i < COUNT(ids); i++) {
		struct timespec t;
		clock_gettime(ids[i], &t);
		t.tv_nsec += 20000000;
		if (t.tv_nsec >= 1000000000)
			t.tv_sec++, t.tv_nsec -= 1000000000;
		EQ(clock_nanosleep(ids[i], TIMER_ABSTIME, &t, NULL), 0);
		CHECK(by_call(ids[i]) >= ns(t));
		EQ(clock_nanosleep(ids[i], TIMER_ABSTIME, &t, NULL), 0); /* past: at once */
	}
	struct timespec bad = { 0, 1000000000 };
	ERR(nanosleep(&bad, NULL), EINVAL);
	bad = (struct timespec){ -1, 0 };
	ERR(nanosleep(&bad, NULL), EINVAL);
	ERR(nanosleep((void *)8, NULL), EFAULT);
	EQ(clock_nanosleep(99, 0, &(struct timespec){ 0, 1 }, NULL), EINVAL);
}

static void processor_time(void)
{
	struct timespec t;
	struct tms tms;
	struct rusage ru;
	clock_t start = times(&tms);

	CHECK(start != -1);
	long long cpu = by_call(CLOCK_PROCESS_CPUTIME_ID);
	long long limit = now_ms() + 20000;
	while (by_call(CLOCK_PROCESS_CPUTIME_ID) - cpu < 100000000 && now_ms() < limit)
		;
	CHECK(now_ms() < limit);
	CHECK(by_call(CLOCK_THREAD_CPUTIME_ID) >= 100000000);
	times(&tms);
	CHECK(tms.tms_utime + tms.tms_stime >= 8);
	OK(getrusage(RUSAGE_SELF, &ru));
	CHECK(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec +
		      (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000 >=
	      80000);
	OK(getrusage(1 /* RUSAGE_THREAD */, &ru));
	ERR(getrusage(99, &ru), EINVAL);
	/* asleep no time is used */
	cpu = by_call(CLOCK_PROCESS_CPUTIME_ID);
	sleep_ms(100);
	CHECK(by_call(CLOCK_PROCESS_CPUTIME_ID) - cpu < 80000000);
	clockid_t id;
	EQ(clock_getcpuclockid(0, &id), 0);
	OK(clock_gettime(id, &t));
}

static volatile int fired, fired_value, overrun;
static timer_t timer;

static void on_timer(int s, siginfo_t *si, void *context)
{
	(void)s;
	(void)context;
	fired++;
	fired_value = si->si_value.sival_int;
	CHECK(si->si_code == SI_TIMER);
}

static void posix_timers(void)
{
	struct sigaction a = { .sa_sigaction = on_timer, .sa_flags = SA_SIGINFO };
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL,
			      .sigev_signo = SIGUSR1,
			      .sigev_value.sival_int = 42 };
	struct itimerspec s = { { 0, 20000000 }, { 0, 30000000 } }, old;

	sigaction(SIGUSR1, &a, NULL);
	if (timer_create(CLOCK_MONOTONIC, &e, &timer) && errno == ENOSYS)
		SKIP("no POSIX timers");
	long long start = now_ms();
	OK(timer_settime(timer, 0, &s, NULL));
	AWAIT(fired >= 3);
	CHECK(now_ms() - start >= 30 + 2 * 20 - 1);
	EQ(fired_value, 42);
	OK(timer_gettime(timer, &old));
	EQ(old.it_interval.tv_nsec, 20000000);
	/* blocked: one signal, and the rest counted */
	sigset_t usr1;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	sleep_ms(150);
	fired = 0;
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	CHECK(fired >= 1);
	CHECK(timer_getoverrun(timer) >= 1 || fired > 1);
	s = (struct itimerspec){ { 0, 0 }, { 0, 0 } };
	OK(timer_settime(timer, 0, &s, &old));
	EQ(old.it_interval.tv_nsec, 20000000);
	OK(timer_gettime(timer, &old));
	EQ(old.it_value.tv_nsec, 0);
	s.it_value.tv_nsec = 1000000000;
	ERR(timer_settime(timer, 0, &s, NULL), EINVAL);
	OK(timer_delete(timer));
	ERR(syscall(SYS_timer_delete, 12345), EINVAL);
	ERR(syscall(SYS_timer_gettime, 12345, &old), EINVAL);
	ERR(syscall(SYS_timer_create, 99, &e, &timer), EINVAL);
	e.sigev_signo = 99;
	ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &timer), EINVAL);
}

/* Interrupts since boot. */
static long interrupts(void)
{
	char text[8192], *line;
	int fd = OK(open("/proc/stat", O_RDONLY | O_CLOEXEC));
	ssize_t n = read(fd, text, sizeof text - 1);

	close(fd);
	text[n < 0 ? 0 : n] = 0;
	line = strstr(text, "\nintr ");
	return line ? atol(line + 6) : 0;
}

/*
 * Thousands that expire at the same instant: no interrupt does all of it, so it takes many. Each
 * tells of itself once; one that is stopped or deleted before does not.
 */
static void timer_crowd(void)
{
	enum { TIMERS = 4000, IN_ONE = 16 };
	static timer_t timers[TIMERS];
	static char told[TIMERS];
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct itimerspec at = { .it_interval = { 1000, 0 } }, off = { 0 };
	struct timespec wait = { 20, 0 }, none = { 0, 0 };
	siginfo_t si;
	sigset_t set;
	long before;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < TIMERS; i++) {
		e.sigev_value.sival_int = i;
		REQUIRE(!timer_create(CLOCK_MONOTONIC, &e, &timers[i]));
	}
	clock_gettime(CLOCK_MONOTONIC, &at.it_value);
	at.it_value.tv_sec += 4;
	for (int i = 0; i < TIMERS; i++)
		OK(timer_settime(timers[i], TIMER_ABSTIME, &at, NULL));
	OK(timer_delete(timers[TIMERS - 1]));
	OK(timer_settime(timers[TIMERS - 2], 0, &off, NULL));
	REQUIRE(sigtimedwait(&set, &si, &wait) == SIGRTMIN); /* the first is there */
	before = interrupts();
	for (int count = 1; count <= TIMERS - 2; count++) {
		CHECK(si.si_code == SI_TIMER && !told[si.si_value.sival_int]);
		told[si.si_value.sival_int] = 1;
		if (count < TIMERS - 2)
			REQUIRE(sigtimedwait(&set, &si, &wait) == SIGRTMIN);
	}
	CHECK(!told[TIMERS - 1] && !told[TIMERS - 2]);
	ERR(sigtimedwait(&set, &si, &none), EAGAIN);
	if (on_skerry()) /* Linux does it in one */
		CHECK(interrupts() - before >= TIMERS / IN_ONE / 2);
	for (int i = 0; i < TIMERS - 1; i++)
		OK(timer_delete(timers[i]));
}

static void setting(void)
{
	struct timespec t;
	pid_t pid;

	ERR(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &(struct timespec){ 1, 0 }), EINVAL);
	clock_gettime(CLOCK_REALTIME, &t);
	FORKED(pid)
	{
		setresuid(1000, 1000, 1000);
		ERR(clock_settime(CLOCK_REALTIME, &t), EPERM);
		ERR(settimeofday(&(struct timeval){ 1, 0 }, NULL), EPERM);
	}
	EQ(reap(pid), 0);
	t.tv_nsec = 1000000000;
	ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, &t), EINVAL);
}

static const struct tap_case cases[] = {
	T(clocks),	 T(monotonic),	 T(monotonic_between_processes),
	T(vdso),	 T(sleeping),	 T(processor_time),
	T(posix_timers), T(timer_crowd), T(setting),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
