/* SPDX-License-Identifier: MIT */
/*
 * exec_stack.c - the initial stack of a program (System V ABI for x86-64, 3.4.1):
 * downwards from its top the file name, the environment's strings, the
 * arguments', then AT_PLATFORM's and AT_RANDOM's bytes, the auxiliary vector,
 * envp, argv and, where the stack pointer starts, argc.
 *
 * It is written into the pages of the new address space through the direct map
 * while the old one is still in use; so a fault in argv, or a lack of memory, is
 * an error of execve and not the end of the process. One page is kept in hand.
 *
 * Limits (man 2 execve): a string with its NUL 128 KiB; all strings and pointers
 * a quarter of RLIMIT_STACK, at most 6 MiB, at least 128 KiB.
 */
#include "arch/x86/arch.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/random.h"
#include "lib/string.h"
#include "mm/page.h"
#include "proc/exec.h"

#define STRING_MAX	  (32 * PAGE_SIZE)     /* MAX_ARG_STRLEN */
#define ARGS_MIN	  (128 * 1024ull)      /* ARG_MAX */
#define ARGS_MAX	  (6 * 1024 * 1024ull) /* three quarters of Linux's default stack */
#define STACK_FIRST	  (132 * 1024ull)      /* mapped from the start */
#define STACK_EXTEND	  (1024 * 1024ull)
#define STRINGS_COUNT_MAX 0x7fffffff

/* --- writing into the new stack --- */

int exec_stack_create(struct exec *x)
{
	u64 room = MIN(rlimit_cur(RLIMIT_STACK) / 4, ARGS_MAX);
	int err = aspace_map_stack(x->as, elf_is_low(x), STACK_FIRST);
	u64 top = x->as->stack_top;

	x->sp = top - sizeof(u64); /* Linux leaves a null word at the top */
	x->lowest = top - MAX(room, ARGS_MIN);
	x->mapped = top - STACK_FIRST;
	return err;
}

static int stack_extend(struct exec *x)
{
	u64 flags = VM_READ | VM_WRITE | VM_GROWSDOWN | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
	u64 at = x->mapped - STACK_EXTEND;

	x->mapped = at;
	return aspace_map(x->as, at, STACK_EXTEND, flags, MAP_FIXED, NULL, NULL, NULL, 0, &at);
}

/* The memory of the new stack at va, up to the end of its page. */
static int stack_at(struct exec *x, u64 va, char **out)
{
	u64 page_va = ALIGN_DOWN(va, PAGE_SIZE);
	int err = 0;

	while (!err && page_va < x->mapped)
		err = stack_extend(x);
	if (!err && (!x->page || x->page_va != page_va)) {
		exec_stack_release(x);
		err = aspace_page(x->as, page_va, true, &x->page);
		x->page_va = page_va;
	}
	if (err)
		return err;
	*out = (char *)page_virt(x->page) + (va & PAGE_MASK);
	return 0;
}

void exec_stack_release(struct exec *x)
{
	if (x->page)
		page_put(x->page);
	x->page = NULL;
}

static int stack_write(struct exec *x, u64 va, const void *src, size_t n)
{
	const char *s = src;
	char *d;

	while (n) {
		size_t k = MIN(n, PAGE_SIZE - (va & PAGE_MASK));
		int err = stack_at(x, va, &d);
		if (err)
			return err;
		memcpy(d, s, k);
		va += k;
		s += k;
		n -= k;
	}
	return 0;
}

static int stack_write_user(struct exec *x, u64 va, uaddr_t src, size_t n)
{
	char *d;

	while (n) {
		size_t k = MIN(n, PAGE_SIZE - (va & PAGE_MASK));
		int err = stack_at(x, va, &d);
		if (!err)
			err = copy_from_user(d, src, k);
		if (err)
			return err;
		va += k;
		src += k;
		n -= k;
	}
	return 0;
}

/* Makes room for n bytes: -E2BIG. */
static int stack_reserve(struct exec *x, size_t n)
{
	if (x->sp < n || x->sp - n < x->lowest)
		return -E2BIG;
	x->sp -= n;
	return 0;
}

static int stack_push(struct exec *x, const void *src, size_t n)
{
	int err = stack_reserve(x, n);

	return err ? err : stack_write(x, x->sp, src, n);
}

/* --- strings --- */

int exec_push_string(struct exec *x, const char *s)
{
	return stack_push(x, s, strlen(s) + 1);
}

/* The length of a user's string that did not fit into buf. */
static int long_string_length(struct exec *x, uaddr_t s, size_t *len)
{
	size_t n = sizeof(x->buf) - 1;
	s64 k;

	for (;;) {
		k = copy_string_from_user(x->buf, s + n, sizeof(x->buf));
		if (k >= 0)
			break;
		if (k != -ENAMETOOLONG)
			return k;
		n += sizeof(x->buf) - 1;
		if (n >= STRING_MAX)
			return -E2BIG;
	}
	*len = n + k;
	return 0;
}

static int push_user_string(struct exec *x, uaddr_t s)
{
	s64 k = copy_string_from_user(x->buf, s, sizeof(x->buf));
	size_t len = 0;
	int err;

	if (likely(k >= 0))
		return stack_push(x, x->buf, k + 1);
	if (k != -ENAMETOOLONG)
		return k;
	err = long_string_length(x, s, &len);
	if (err)
		return err;
	if (len + 1 > STRING_MAX)
		return -E2BIG;
	err = stack_reserve(x, len + 1);
	if (!err)
		err = stack_write_user(x, x->sp, s, len);
	/* The NUL is ours: another thread may have changed the string meanwhile. */
	return err ? err : stack_write(x, x->sp + len, "", 1);
}

int exec_count(const struct exec_strings *s, u32 *n)
{
	u64 p;
	u32 i = 0;

	if (s->kernel) {
		while (s->list && s->list[i])
			i++;
	} else if (s->user) {
		for (;; i++) {
			if (get_user(&p, s->user + i * sizeof(p)))
				return -EFAULT;
			if (!p)
				break;
			if (i >= STRINGS_COUNT_MAX)
				return -E2BIG;
			if (kill_pending())
				return -ERESTARTNOHAND;
			if (!(i & 1023))
				resched_point();
		}
	}
	*n = i;
	return 0;
}

int exec_push_strings(struct exec *x, const struct exec_strings *s, u32 n)
{
	int err = 0;
	u64 p;

	while (n-- && !err) {
		if (s->kernel) {
			err = exec_push_string(x, s->list[n]);
			continue;
		}
		if (get_user(&p, s->user + n * sizeof(p)))
			return -EFAULT;
		err = push_user_string(x, p);
		if (!err && kill_pending())
			err = -ERESTARTNOHAND;
	}
	return err;
}

/* Moves *va behind the string that stands there. */
static int skip_string(struct exec *x, u64 *va)
{
	for (;;) {
		char *s, *end;
		size_t k = PAGE_SIZE - (*va & PAGE_MASK);
		int err = stack_at(x, *va, &s);
		if (err)
			return err;
		end = memchr(s, 0, k);
		if (end) {
			*va += end - s + 1;
			return 0;
		}
		*va += k;
	}
}

int exec_drop_first_arg(struct exec *x)
{
	if (!x->argc)
		return 0;
	x->argc--;
	return skip_string(x, &x->sp);
}

/* --- the vectors --- */

/* man 3 getauxval */
enum {
	AT_NULL,
	AT_PHDR = 3,
	AT_PHENT,
	AT_PHNUM,
	AT_PAGESZ,
	AT_BASE,
	AT_FLAGS,
	AT_ENTRY,
	AT_UID = 11,
	AT_EUID,
	AT_GID,
	AT_EGID,
	AT_PLATFORM,
	AT_HWCAP,
	AT_CLKTCK,
	AT_SECURE = 23,
	AT_RANDOM = 25,
	AT_HWCAP2 = 26,
	AT_EXECFN = 31,
	AT_SYSINFO_EHDR = 33,
	AT_MINSIGSTKSZ = 51,
};
#define ELF_PHENT      56
#define SIGFRAME_FIXED 1024 /* what a signal frame has besides the FPU's part, rounded up */

static void tell(struct exec *x, u64 platform, u64 random)
{
	const struct cred *c = x->cred ? x->cred : current->cred;

	x->as->told = (struct exec_told){
		.phdr = x->phdr,
		.phnum = x->phnum,
		.base = x->interp_base,
		.entry = x->program_entry,
		.uid = uid_shown(c->uid),
		.euid = uid_shown(c->euid),
		.gid = gid_shown(c->gid),
		.egid = gid_shown(c->egid),
		.secure = x->secure,
		.random = random,
		.execfn = x->execfn,
		.platform = platform,
	};
}

unsigned exec_auxv(const struct aspace *as, u64 a[2 * AUXV_MAX])
{
	const struct exec_told *t = &as->told;
	const u64 v[AUXV_MAX][2] = {
		{ AT_SYSINFO_EHDR, as->vdso },
		{ AT_MINSIGSTKSZ, fpu_frame_size() + SIGFRAME_FIXED },
		{ AT_HWCAP, arch_hwcap() },
		{ AT_PAGESZ, PAGE_SIZE },
		{ AT_CLKTCK, 100 },
		{ AT_PHDR, t->phdr },
		{ AT_PHENT, ELF_PHENT },
		{ AT_PHNUM, t->phnum },
		{ AT_BASE, t->base },
		{ AT_FLAGS, 0 },
		{ AT_ENTRY, t->entry },
		{ AT_UID, t->uid },
		{ AT_EUID, t->euid },
		{ AT_GID, t->gid },
		{ AT_EGID, t->egid },
		{ AT_SECURE, t->secure },
		{ AT_RANDOM, t->random },
		{ AT_HWCAP2, arch_hwcap2() },
		{ AT_EXECFN, t->execfn },
		{ AT_PLATFORM, t->platform },
		{ AT_NULL, 0 },
	};
	unsigned n = 0;

	for (unsigned i = as->vdso ? 0 : 1;; i++) {
		a[n++] = v[i][0];
		a[n++] = v[i][1];
		if (v[i][0] == AT_NULL)
			return n;
	}
}

/* The addresses of n strings from *string on, and a null pointer, at *va: both move. */
static int write_pointers(struct exec *x, u64 *va, u64 *string, u32 n)
{
	u64 *chunk = (u64 *)x->buf;
	const u32 max = sizeof(x->buf) / sizeof(u64);
	u32 have = 0;
	int err = 0;

	for (u32 i = 0; i <= n && !err; i++) {
		chunk[have++] = i < n ? *string : 0;
		if (i < n)
			err = skip_string(x, string);
		if (!err && (have == max || i == n)) {
			err = stack_write(x, *va, chunk, have * sizeof(u64));
			*va += have * sizeof(u64);
			have = 0;
		}
	}
	return err;
}

int exec_stack_finish(struct exec *x)
{
	u64 auxv[2 * AUXV_MAX], random[2], strings = x->sp, platform, random_at, va, size,
					   argc = x->argc;
	unsigned n;
	int err = stack_push(x, "x86_64", 7);

	x->arg_start = strings;
	platform = x->sp;
	random_bytes(random, sizeof(random));
	x->sp = ALIGN_DOWN(x->sp, 16ull);
	if (!err)
		err = stack_push(x, random, sizeof(random));
	random_at = x->sp;
	tell(x, platform, random_at);
	n = exec_auxv(x->as, auxv);
	size = (1 + x->argc + 1 + x->envc + 1 + n) * sizeof(u64);
	if (!err)
		err = stack_reserve(x, size);
	x->sp = ALIGN_DOWN(x->sp, 16ull);
	va = x->sp;
	if (!err)
		err = stack_write(x, va, &argc, sizeof(argc));
	va += sizeof(argc);
	if (!err)
		err = write_pointers(x, &va, &strings, x->argc);
	x->arg_end = strings;
	if (!err)
		err = write_pointers(x, &va, &strings, x->envc);
	x->env_end = strings;
	if (!err)
		err = stack_write(x, va, auxv, n * sizeof(u64));
	return err;
}
