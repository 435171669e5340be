/* SPDX-License-Identifier: MIT */
/*
 * memory_log.c - where a container's memory lies: memory.log, memory.address and memory.map; and
 * cfd, the container's table of descriptors.
 */
#include "cont.h"
#include <sys/klog.h>
#include <sys/socket.h>

#define PAGE	    4096ul
#define DIRECT_MAP  0xffff800000000000ul
#define GUEST_PAGES 64

/* What memory.address says of an address of one's own, 0 and errno if nothing. */
static unsigned long guest_of(const void *p)
{
	char line[64];
	unsigned long va = 0, guest = 0;
	int fd = OK(open("/sys/container/self/memory.address", O_RDWR | O_CLOEXEC));

	snprintf(line, sizeof line, "%lu\n", (unsigned long)p);
	ssize_t n = write(fd, line, strlen(line));
	if (n == (ssize_t)strlen(line)) {
		memset(line, 0, sizeof line);
		CHECK(pread(fd, line, sizeof line - 1, 0) > 0);
		EQ(sscanf(line, "0x%lx -> 0x%lx\n", &va, &guest), 2);
		EQ(va, (unsigned long)p);
	}
	int saved = errno;
	close(fd);
	errno = saved;
	return guest;
}

/* The last line of the kernel's log for that container and address: the kernel address, or 0. */
static unsigned long logged(int cid, unsigned long va)
{
	static char text[1 << 18];
	char want[96];
	unsigned long hva = 0;
	int n = klogctl(3, text, sizeof text - 1);

	REQUIRE(n >= 0);
	text[n] = 0;
	snprintf(want, sizeof want, "Container + %d : 0x%lx -> 0x", cid, va);
	for (char *at = text; (at = strstr(at, want)); at += strlen(want))
		hva = strtoul(at + strlen(want), NULL, 16);
	return hva;
}

/* The physical address that memory.map, which is the host's, gives. */
static unsigned long mapped(int cid, int pid, unsigned long va)
{
	char path[64];
	static char text[1 << 16];

	snprintf(path, sizeof path, "/sys/container/%d/memory.map", cid);
	REQUIRE(tap_slurp(path, text, sizeof text) > 0);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		int who;
		unsigned long start, length, phys;
		if (sscanf(line, "%d 0x%lx %lu 0x%lx", &who, &start, &length, &phys) == 4 &&
		    who == pid && va >= start && va < start + length)
			return phys + (va - start);
	}
	return 0;
}

static unsigned long seen[GUEST_PAGES];

/* Inside: the numbers of some pages. */
static void look_at_pages(char *memory)
{
	bool in_order = true;

	for (int i = 0; i < GUEST_PAGES; i++) {
		seen[i] = guest_of(memory + i * PAGE + 5);
		EQ(seen[i] % PAGE, ((unsigned long)memory + 5) % PAGE);
		EQ(guest_of(memory + i * PAGE + 7), seen[i] + 2);
		for (int j = 0; j < i; j++)
			CHECK(seen[i] != seen[j]);
		in_order &= !i || seen[i] == seen[i - 1] + PAGE || seen[i] == seen[i - 1] - PAGE;
	}
	CHECK(!in_order); /* not the machine's, which come in runs */
}

static void addresses(void)
{
	pid_t pid;

	world();
	int c = spawn();
	STREQ(control_get(c, "memory.log"), "0");
	char *memory = mmap(NULL, (GUEST_PAGES + 1) * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	CFORKED(pid, c)
	{
		memset(memory, 1, GUEST_PAGES * PAGE);
		look_at_pages(memory);
		EQ(guest_of(memory + GUEST_PAGES * PAGE), 0);
		EQ(errno, EFAULT);
		EQ(guest_of((void *)DIRECT_MAP), 0);
		EQ(errno, EFAULT);
		EQ(guest_of(NULL), 0);
		EQ(errno, EFAULT);
		ERR(open("/sys/container/self/memory.log", O_WRONLY), EPERM);
		ERR(open("/sys/container/self/memory.map", O_RDONLY), EPERM);
		WORD(0) = 1;
		AWAIT(WORD(1));
		unsigned long guest = guest_of(memory + 16);
		CHECK(guest);
		WORD(2) = 1;
		idle();
	}
	AWAIT(WORD(0));
	unsigned long va = (unsigned long)memory + 16;
	EQ(logged(c, va), 0);
	ERR(control_set(c, "memory.log", "2"), EINVAL);
	OK(control_set(c, "memory.log", "1"));
	STREQ(control_get(c, "memory.log"), "1");
	WORD(1) = 1;
	AWAIT(WORD(2));
	unsigned long hva = logged(c, va);
	CHECK(hva > DIRECT_MAP);
	EQ(hva - DIRECT_MAP, mapped(c, 1, va));
	munmap(memory, (GUEST_PAGES + 1) * PAGE);
	gone(c);
	EQ(reap(pid), 137);
}

/* Two containers have other numbers for one page. */
static void numbers_are_ones_own(void)
{
	pid_t pid;
	volatile unsigned long *shared =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	world();
	REQUIRE(shared != MAP_FAILED);
	shared[3] = 1;
	for (int i = 0; i < 3; i++) {
		int c = spawn();
		CFORKED(pid, c)
		{
			shared[i] = 1;
			shared[i] = guest_of((void *)shared);
		}
		EQ(reap(pid), 0);
		gone(c);
	}
	CHECK(shared[0] != shared[1] || shared[1] != shared[2]);
	munmap((void *)shared, PAGE);
}

static void bad_requests(void)
{
	static const char *bad[] = { "", "\n", "x", "-1", "1 2", "99999999999999999999999", "0x" };
	char line[64];

	if (!on_skerry())
		SKIP("not on Skerry");
	int fd = OK(open("/sys/container/self/memory.address", O_RDWR | O_CLOEXEC));
	ERR(read(fd, line, sizeof line), EFAULT);
	for (size_t i = 1; i < COUNT(bad); i++)
		ERR(write(fd, bad[i], strlen(bad[i])), EINVAL);
	memset(line, '1', sizeof line);
	ERR(write(fd, line, sizeof line), EINVAL);
	ERR(write(fd, (void *)8, 5), EFAULT);
	ERR(write(fd, line, 0), EINVAL);
	close(fd);
}

static bool cfd_has(const char *text, int fd, int pid)
{
	char want[64];

	snprintf(want, sizeof want, "%lu %d %d\n", (unsigned long)pid << 20 | fd, fd, pid);
	return strstr(text, want);
}

static void cfd(void)
{
	static char text[8192], again[8192];
	char path[64];
	pid_t pid;

	world();
	int c = spawn();
	CFORKED(pid, c)
	{
		OK(dup2(0, 77));
		OK(dup2(0, 500));
		if (fork() == 0) {
			close(77);
			WORD(0) = getpid();
			if (setuid(1000))
				_exit(1);
			WORD(1) = 1;
			AWAIT(WORD(2));
			tap_slurp("/sys/container/self/cfd", text, sizeof text);
			CHECK(cfd_has(text, 500, getpid()));
			CHECK(!cfd_has(text, 500, 1)); /* root's are not shown to others */
			WORD(3) = 1;
			idle();
		}
		tap_slurp("/sys/container/self/cfd", text, sizeof text);
		CHECK(cfd_has(text, 77, 1));
		WORD(4) = 1; /* nothing is opened or closed any more */
		idle();
	}
	AWAIT(WORD(1) && WORD(4));
	snprintf(path, sizeof path, "/sys/container/%d/cfd", c);
	REQUIRE(tap_slurp(path, text, sizeof text) > 0);
	CHECK(cfd_has(text, 77, 1) && cfd_has(text, 500, 1));
	CHECK(cfd_has(text, 500, WORD(0)) && !cfd_has(text, 77, WORD(0)));
	REQUIRE(tap_slurp(path, again, sizeof again) > 0);
	STREQ(text, again);
	WORD(2) = 1;
	AWAIT(WORD(3));
	gone(c);
	EQ(reap(pid), 137);
}

static const struct tap_case cases[] = {
	T(addresses),
	T(numbers_are_ones_own),
	T(bad_requests),
	T(cfd),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
