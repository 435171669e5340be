/* SPDX-License-Identifier: MIT */
/*
 * exec_place.c - where execve puts a program, its stack and its break: one linked to an address, and
 * a static position-independent one (exec_place.pie, made of this file too). Such a program tells
 * what it finds; the cases judge.
 */
#include "scratch.h"
#include <elf.h>
#include <sys/auxv.h>
#include <sys/resource.h>

#define PIE_BASE  0x555555554000ull /* Linux: ELF_ET_DYN_BASE */
#define PIE_RANGE (1ull << 30)	    /* it may be randomised there by so much */
#define TOP_SPAN  (1ull << 39)	    /* what one entry of the top table covers */
#define HEAP	  (64l << 20)

static char self[4096], pie[4096];

/* --- the program that tells --- */

int main(int argc, char **argv);

static void slurp(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n, used = 0;

	while ((n = read(fd, text + used, size - 1 - used)) > 0)
		used += n;
	text[used] = 0;
	close(fd);
}

static char maps[65536];

/* The area that holds `at`, or is called `name`: its start; 0: none. */
static unsigned long area(unsigned long at, const char *name)
{
	unsigned long start, end;

	for (char *line = maps; line && *line; line = strchr(line, '\n'), line += !!line) {
		size_t len = strcspn(line, "\n");
		if (sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		if (name ? memmem(line, len, name, strlen(name)) != NULL : start <= at && at < end)
			return start;
	}
	return 0;
}

/* musl's sbrk does not. */
static unsigned long set_brk(unsigned long to)
{
	return syscall(SYS_brk, to);
}

static int tell(void)
{
	static char status[8192];
	unsigned long tables = 0, brk = set_brk(0), local;
	char *line, *heap = (char *)((brk + 4095) & -4096ul);

	slurp("/proc/self/status", status, sizeof status); /* before more is touched */
	line = strstr(status, "VmPTE:");
	if (line)
		tables = strtoul(line + strlen("VmPTE:"), NULL, 10);
	if (set_brk(brk + HEAP) != brk + HEAP)
		return 1;
	heap[0] = heap[HEAP - 4096] = 1;
	slurp("/proc/self/maps", maps, sizeof maps);
	printf("%lx %lx %lx %lx %lx %lx %lx %lx %lx %lu\n", (unsigned long)main, area(0, "[stack]"),
	       area((unsigned long)&local, NULL), area(0, "[vdso]"), brk, area(0, "[heap]"),
	       getauxval(AT_PHDR), getauxval(AT_ENTRY), getauxval(AT_BASE), tables);
	fflush(stdout); /* its buffer may be of the heap */
	return set_brk(brk) == brk ? 0 : 2;
}

struct place {
	unsigned long text, stack, local, vdso, brk, heap, phdr, entry, base, tables;
};

static struct place place_of(const char *path)
{
	struct place p = { 0 };
	char text[512] = "";
	int out[2];
	pid_t pid;

	OK(pipe2(out, O_CLOEXEC));
	FORKED(pid)
	{
		dup2(out[1], 1);
		execl(path, path, "--tell", (char *)NULL);
		_exit(99);
	}
	close(out[1]);
	for (ssize_t n, used = 0; (n = read(out[0], text + used, sizeof text - 1 - used)) > 0;)
		used += n;
	close(out[0]);
	EQ(reap(pid), 0);
	EQ(sscanf(text, "%lx %lx %lx %lx %lx %lx %lx %lx %lx %lu", &p.text, &p.stack, &p.local,
		  &p.vdso, &p.brk, &p.heap, &p.phdr, &p.entry, &p.base, &p.tables),
	   10);
	return p;
}

/* --- the cases --- */

static void linked_to_an_address(void)
{
	struct place p = place_of(self);

	CHECK(p.text > 0x400000 && p.text < 0x500000);
	CHECK(p.phdr > 0x400000 && p.phdr < p.text && p.entry > p.phdr);
	EQ(p.base, 0);
	EQ(p.stack, p.local);
	CHECK(p.brk > p.text && p.brk < p.text + 2 * PIE_RANGE);
	CHECK(p.heap && p.heap <= p.brk); /* it may be one with what the program has there */
}

/* Skerry's own: such a program has its stack in the 512 GiB that it lies in, if its limit allows. */
static void low_stack(void)
{
	struct rlimit before, limit;

	if (!on_skerry())
		SKIP("Linux has all stacks at the end");
	struct place p = place_of(self);
	EQ(p.stack / TOP_SPAN, 0);
	EQ(p.vdso / TOP_SPAN, 0);
	CHECK(p.vdso > p.stack);
	OK(getrlimit(RLIMIT_STACK, &before));
	limit = before;
	limit.rlim_cur = RLIM_INFINITY;
	OK(setrlimit(RLIMIT_STACK, &limit));
	p = place_of(self);
	EQ(p.stack / TOP_SPAN, 255);
	EQ(p.vdso / TOP_SPAN, 255);
	limit.rlim_cur = 64ul << 30; /* the largest for which there is room */
	OK(setrlimit(RLIMIT_STACK, &limit));
	p = place_of(self);
	EQ(p.stack / TOP_SPAN, 0);
	OK(setrlimit(RLIMIT_STACK, &before));
}

__attribute__((noinline)) static int deep(int n)
{
	volatile char frame[65536];

	frame[0] = n;
	return n ? deep(n - 1) + frame[0] : frame[0];
}

static unsigned long map(unsigned long size)
{
	void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED);
	return (unsigned long)p;
}

/* Mappings leave room for the stack and, the huge ones, for the break. */
static void mappings(void)
{
	unsigned long local, stack = (unsigned long)&local, brk = syscall(SYS_brk, 0);
	unsigned long small = map(8192), larger = map(1 << 20), huge = map(300ul << 30);

	CHECK(larger < stack - (64 << 20) || larger > stack);
	CHECK(huge > brk + (64ul << 30));
	if (on_skerry()) {
		CHECK(small > stack && small / TOP_SPAN == stack / TOP_SPAN);
		CHECK(larger < stack && larger / TOP_SPAN == stack / TOP_SPAN);
		EQ((huge + (300ul << 30) - 1) / TOP_SPAN, 255);
		CHECK(map(300ul << 30) > TOP_SPAN);
	}
	EQ(deep(100), 5050); /* 6.5 of the 8 MiB that are usual */
}

/* Beside the stack, as Linux has it: in its mmap area; the break far from both. */
static void static_pie(void)
{
	struct place p = place_of(pie);

	EQ(p.text / TOP_SPAN, p.stack / TOP_SPAN);
	EQ(p.vdso / TOP_SPAN, p.stack / TOP_SPAN);
	EQ(p.stack, p.local);
	CHECK(p.phdr < p.text && p.text - p.phdr < 0x100000);
	CHECK(p.entry > p.phdr && p.entry - p.phdr < 0x100000);
	EQ(p.base, 0);
	CHECK(p.brk >= PIE_BASE && p.brk <= PIE_BASE + PIE_RANGE);
	EQ(p.heap, p.brk);
}

/* What an idle program has of page tables, in KiB. */
static void tables(void)
{
	if (!on_skerry())
		SKIP("Linux lays them out otherwise");
	EQ(place_of(self).tables,
	   24); /* the top and the next; two for the program and the stack each */
	EQ(place_of(pie).tables, 16); /* the top, and three for both */
}

/* --- programs made by hand --- */

/* Exits with the low bits of the number of the page that it lies in, and 64 if its data is wrong. */
static const unsigned char code[] = {
	0x48, 0x8d, 0x3d, 0xf9, 0xff, 0xff, 0xff, /* lea -7(%rip), %rdi */
	0x48, 0xc1, 0xef, 0x0c,			  /* shr $12, %rdi */
	0x83, 0xe7, 0x3f,			  /* and $63, %edi */
	0xb8, 0x3c, 0x00, 0x00, 0x00,		  /* mov $60, %eax */
	0x0f, 0x05,				  /* syscall */
};

/* A static position-independent program of one segment; what execve and it say: code or -errno. */
static int run_made(unsigned long address, unsigned long align, unsigned long size)
{
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr p;
		unsigned char code[sizeof code];
	} f = {
		.h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		       .e_type = ET_DYN,
		       .e_machine = EM_X86_64,
		       .e_version = EV_CURRENT,
		       .e_entry = address + sizeof f.h + sizeof f.p,
		       .e_phoff = sizeof f.h,
		       .e_ehsize = sizeof f.h,
		       .e_phentsize = sizeof f.p,
		       .e_phnum = 1 },
		.p = { .p_type = PT_LOAD,
		       .p_flags = PF_R | PF_X,
		       .p_vaddr = address,
		       .p_filesz = sizeof f,
		       .p_memsz = size > sizeof f ? size : sizeof f,
		       .p_align = align },
	};
	int status[2], error = 0;
	pid_t pid;

	memcpy(f.code, code, sizeof code);
	unlink("made");
	int fd = OK(open("made", O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
	EQ(write(fd, &f, sizeof f), sizeof f);
	close(fd);
	OK(pipe2(status, O_CLOEXEC));
	FORKED(pid)
	{
		execl("made", "made", (char *)NULL);
		error = errno;
		write(status[1], &error, sizeof error);
		_exit(99);
	}
	close(status[1]);
	ssize_t n = read(status[0], &error, sizeof error);
	close(status[0]);
	int result = reap(pid);
	return n == sizeof error ? -error : result;
}

static void alignment_and_size(void)
{
	scratch();
	CHECK(run_made(0, 4096, 0) >= 0);
	EQ(run_made(0, 2 << 20, 0), 0); /* whole large pages: bits 12 to 17 are clear */
	EQ(run_made(0x600000, 2 << 20, 0), 0);
	CHECK(run_made(0x3000, 4096, 0) >= 0);
	CHECK(run_made(0, 4096, 8 << 20) >= 0); /* too large for the place above the stack */
	EQ(run_made(0, 1ul << 30, 0), 0);
	EQ(run_made(0, 1ul << 46, 0), 0);
	if (on_skerry()) /* Linux sees that when it has to end the process */
		EQ(run_made(0, 4096, (1ul << 47) - 8192), -ENOMEM);
	CHECK(run_made(0, 4096, 1ul << 63) < 0);
}

static const struct tap_case cases[] = {
	T(linked_to_an_address), T(low_stack), T(mappings),
	T(static_pie),		 T(tables),    T(alignment_and_size),
};

int main(int argc, char **argv)
{
	const char *path = (const char *)getauxval(AT_EXECFN);

	if (argc == 2 && !strcmp(argv[1], "--tell"))
		return tell();
	if (!path || path[0] != '/') {
		printf("Bail out! run it by its absolute path\n");
		return 1;
	}
	snprintf(self, sizeof self, "%s", path);
	snprintf(pie, sizeof pie, "%s.pie", self);
	return TAP_RUN(cases, argc, argv);
}
