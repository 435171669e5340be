/* SPDX-License-Identifier: MIT */
/*
 * io_limit.c - io.max and io.stat: what is counted for whom, also when somebody else writes it
 * back; that a rate holds (which takes no less time, however slow the machine); that who waits can
 * be killed, interrupted and released, and that a neighbour does not wait with him. It needs /tmp
 * on a disk (cowfs.sh), which is 254:0.
 */
#include "cowfs.h"
#include "cont.h"

#define MIB 1048576l

static void world_on_disk(void)
{
	struct statfs st;

	if (statfs("/tmp", &st) || st.f_type != COWFS_MAGIC)
		SKIP("/tmp is not on cowfs");
	world();
}

static long long io(int cid, const char *key)
{
	char *line = cid ? control_get(cid, "io.stat") : get("/sys/container/self/io.stat");
	char *at = line ? strstr(line, key) : NULL;

	REQUIRE(at && !strncmp(line, "254:0 ", 6));
	return atoll(at + strlen(key) + 1);
}

/* Writes n bytes of a file in one call, and syncs it unless told not to. */
static void write_file(const char *path, long n, bool sync)
{
	static char bytes[2 * MIB];
	int fd = OK(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));

	memset(bytes, 'x', n);
	EQ(write(fd, bytes, n), n);
	if (sync)
		OK(fsync(fd));
	close(fd);
}

static void read_file(const char *path)
{
	static char block[65536];
	int fd = OK(open(path, O_RDONLY | O_CLOEXEC));

	while (read(fd, block, sizeof block) > 0)
		;
	close(fd);
}

/* Takes what is cached of files out of memory. */
static void forget(void)
{
	static char text[8192];

	sync();
	tap_slurp(TAP_OBJECTS, text, sizeof text);
}

static void counted(void)
{
	pid_t pid;

	world_on_disk();
	int c = spawn();
	long long before = io(0, "wbytes");
	EQ(io(c, "wbytes"), 0);
	EQ(io(c, "rbytes"), 0);
	CFORKED(pid, c) write_file("/in/a", MIB, true);
	EQ(reap(pid), 0);
	long long written = io(c, "wbytes");
	CHECK(written >= MIB && written < 3 * MIB);
	CHECK(io(c, "wios") >= 4);
	CHECK(io(0, "wbytes") >= before + written); /* the host's contains it */
	/* what the host writes back is on account of who dirtied it */
	CFORKED(pid, c) write_file("/in/b", MIB, false);
	EQ(reap(pid), 0);
	sync();
	CHECK(io(c, "wbytes") >= written + MIB);
	forget();
	CFORKED(pid, c) read_file("/in/a");
	EQ(reap(pid), 0);
	CHECK(io(c, "rbytes") >= MIB);
	gone(c);
}

static void values(void)
{
	static const struct {
		const char *text;
		int error;
	} bad[] = {
		{ "254:0 wbps=0", EINVAL },    { "254:0 wbps", EINVAL },
		{ "254:0 wbps=x", EINVAL },    { "254:0 wbps=-1", EINVAL },
		{ "254:0 speed=1", EINVAL },   { "254:0 wbps=1M riops=", EINVAL },
		{ "wbps=1", EINVAL },	       { "254 wbps=1", EINVAL },
		{ "254:25 wbps=1", ENODEV },   { "8:0 wbps=1", ENODEV },
		{ "254:x wbps=1", ENODEV },    { "254:4294967296 wbps=1", ENODEV },
		{ "254:0 riops=1.5", EINVAL },
	};
	pid_t pid;

	world_on_disk();
	int c = spawn();
	STREQ(control_get(c, "io.max"), "");
	OK(control_set(c, "io.max", "254:0 wbps=1M riops=100"));
	STREQ(control_get(c, "io.max"), "254:0 rbps=max wbps=1048576 riops=100 wiops=max");
	for (size_t i = 0; i < COUNT(bad); i++)
		ERR(control_set(c, "io.max", bad[i].text), bad[i].error);
	STREQ(control_get(c, "io.max"), "254:0 rbps=max wbps=1048576 riops=100 wiops=max");
	OK(control_set(c, "io.max", "254:0 wbps=max"));
	STREQ(control_get(c, "io.max"), "254:0 rbps=max wbps=max riops=100 wiops=max");
	OK(control_set(c, "io.max", "254:0 riops=max rbps=max"));
	STREQ(control_get(c, "io.max"), "");
	CFORKED(pid, c) ERR(open("/sys/container/self/io.max", O_WRONLY), EPERM);
	EQ(reap(pid), 0);
	gone(c);
}

/* The milliseconds that it takes inside. */
static int timed(int c, void (*what)(void))
{
	pid_t pid;

	WORD(10) = 0;
	CFORKED(pid, c)
	{
		long long start = now_ms();
		what();
		WORD(10) = (int)(now_ms() - start);
	}
	EQ(reap(pid), 0);
	return WORD(10);
}

static void write_two(void)
{
	write_file("/in/w", 2 * MIB, true);
}

static void read_two(void)
{
	read_file("/in/r");
}

static void rates(void)
{
	world_on_disk();
	write_file("r/in/r", 2 * MIB, true);
	int c = spawn();
	OK(control_set(c, "io.max", "254:0 wbps=1M"));
	CHECK(timed(c, write_two) >= 1900);
	forget();
	OK(control_set(c, "io.max", "254:0 wbps=max rbps=1M"));
	CHECK(timed(c, read_two) >= 1900);
	forget();
	OK(control_set(c, "io.max", "254:0 rbps=max riops=10"));
	long long before = io(c, "rios");
	int took = timed(c, read_two);
	long long requests = io(c, "rios") - before;
	CHECK(requests > 5);
	CHECK(took >= requests * 100 - 200);
	OK(control_set(c, "io.max", "254:0 riops=max wiops=20"));
	before = io(c, "wios");
	took = timed(c, write_two);
	requests = io(c, "wios") - before;
	CHECK(requests > 5);
	CHECK(took >= requests * 50 - 200);
	gone(c);
}

/* One that has written much, and now waits for long; inside it WORD(1) tells that it goes on. */
static int debtor(pid_t *pid)
{
	int c = spawn();

	OK(control_set(c, "io.max", "254:0 wbps=16K"));
	CFORKED(*pid, c)
	{
		WORD(0) = 1;
		write_file("/in/debt", 2 * MIB, true); /* two minutes */
		WORD(1) = 1;
		idle();
	}
	AWAIT(WORD(0) && io(c, "wbytes") >= 2 * MIB);
	return c;
}

static void released(void)
{
	pid_t pid;

	world_on_disk();
	int c = debtor(&pid);
	sleep_ms(100);
	EQ(WORD(1), 0);
	OK(control_set(c, "io.max", "254:0 wbps=max"));
	AWAIT(WORD(1));
	gone(c);
	EQ(reap(pid), 137);
}

static void ended(void)
{
	pid_t pid;

	world_on_disk();
	int c = debtor(&pid);
	OK(kill(pid, SIGTERM));
	sleep_ms(100); /* pid 1 has no handler: it is not ended by that */
	EQ(waitpid(pid, NULL, WNOHANG), 0);
	OK(CPAUSE(c));
	OK(CRESUME(c));
	OK(kill(pid, SIGKILL));
	EQ(reap(pid), 137);
	EQ(WORD(1), 0);
	gone(c);
}

static void handler(int sig)
{
	WORD(5) = sig;
}

/* A handled signal is not lost, and a fatal one ends who waits. */
static void signals(void)
{
	pid_t pid;

	world_on_disk();
	int c = spawn();
	OK(control_set(c, "io.max", "254:0 wbps=16K"));
	CFORKED(pid, c)
	{
		pid_t child;
		FORKED(child)
		{
			write_file("/in/x", 2 * MIB, true);
			_exit(1);
		}
		sleep_ms(300);
		kill(child, SIGTERM);
		EQ(reap(child), 128 + SIGTERM);
		WORD(3) = 1;
		signal(SIGUSR1, handler);
		write_file("/in/y", 2 * MIB, true);
		WORD(4) = 1;
		idle();
	}
	AWAIT(WORD(3) && io(c, "wbytes") >= 4 * MIB);
	OK(kill(pid, SIGUSR1));
	sleep_ms(50);
	OK(control_set(c, "io.max", "254:0 wbps=max"));
	AWAIT(WORD(4));
	EQ(WORD(5), SIGUSR1);
	gone(c);
	EQ(reap(pid), 137);
}

/* Who forks, has the children do it, and kills them, does not get round it. */
static void fork_and_kill(void)
{
	pid_t pid;

	world_on_disk();
	int c = spawn();
	OK(control_set(c, "io.max", "254:0 wbps=16K"));
	CFORKED(pid, c)
	{
		for (int i = 0;; i++) {
			char path[32];
			pid_t child;
			snprintf(path, sizeof path, "/in/%d", i);
			FORKED(child) write_file(path, MIB, true);
			if (!i)
				AWAIT(io(0, "wbytes") >= MIB); /* from here on they owe */
			sleep_ms(100);
			kill(child, SIGKILL);
			reap(child);
			WORD(0)++;
		}
	}
	AWAIT(WORD(0) >= 12);
	CHECK(io(c, "wbytes") < 4 * MIB); /* of 12 */
	gone(c);
	EQ(reap(pid), 137);
}

/* A neighbour writes, syncs and reads as fast as ever, while the other waits. */
static void neighbour(void)
{
	pid_t pid, other;

	world_on_disk();
	int c = debtor(&pid), d = spawn();
	CFORKED(other, d)
	{
		for (int i = 0; i < 5; i++) {
			write_file("/in/n", MIB, true);
			read_file("/in/n");
			OK(unlink("/in/n"));
			OK(mkdir("/in/m", 0755));
			OK(rmdir("/in/m"));
			sync();
		}
		WORD(7) = 1;
	}
	EQ(reap(other), 0);
	EQ(WORD(7), 1);
	EQ(WORD(1), 0); /* two minutes are not over */
	gone(d);
	gone(c);
	EQ(reap(pid), 137);
}

/* What others write back is waited for by who goes on dirtying, and by nobody else. */
static void dirtier_waits(void)
{
	pid_t pid;

	world_on_disk();
	int c = spawn();
	OK(control_set(c, "io.max", "254:0 wbps=1M"));
	CFORKED(pid, c)
	{
		write_file("/in/a", 2 * MIB, false);
		WORD(0) = 1;
		AWAIT(WORD(1));
		long long start = now_ms();
		write_file("/in/b", 65536, false);
		WORD(2) = (int)(now_ms() - start);
	}
	AWAIT(WORD(0));
	long long start = now_ms();
	sync();
	WORD(1) = 1;
	int late = (int)(now_ms() - start);
	EQ(reap(pid), 0);
	CHECK(WORD(2) + late >= 1900);
	gone(c);
}

/* The limit of the one around counts for those inside, too. */
static void nested(void)
{
	pid_t pid;

	world_on_disk();
	REQUIRE(mkdir("r/inner", 0755) == 0);
	int c = spawn();
	OK(control_set(c, "io.max", "254:0 wbps=1M"));
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		pid_t child;
		CFORKED(child, d)
		{
			long long start = now_ms();
			write_file("/a", 2 * MIB, true);
			CHECK(now_ms() - start >= 1900);
		}
		EQ(reap(child), 0);
	}
	EQ(reap(pid), 0);
	CHECK(io(c, "wbytes") >= 2 * MIB);
	gone(c);
}

static const struct tap_case cases[] = {
	T(counted), T(values),	  T(rates),	    T(released),      T(ended),
	T(signals), T(neighbour), T(fork_and_kill), T(dirtier_waits), T(nested),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
