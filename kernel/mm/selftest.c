/* SPDX-License-Identifier: MIT */
/*
 * selftest.c - memory management tested in place, in debug kernels, when
 * "selftest" is on the command line. Each test is a row of `tests`; after each,
 * with everything cached given back, exactly as many pages are free and as many
 * objects alive as before it. A failure panics with the values.
 */
#include "mm/selftest.h"
#include "arch/x86/boot.h"
#include "arch/x86/smp.h"
#include "core/errno.h"
#include "core/leak.h"
#include "core/task.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/pagecache.h"
#include "mm/pagetable.h"
#include "mm/slab.h"
#include "mm/vma.h"

#define CHECK(cond, fmt, ...) BUG_IF(!(cond), fmt, ##__VA_ARGS__)
#define RW		      (VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)
#define SLOTS		      64
#define ROUNDS		      6 /* each without interrupts on any CPU: short, for the watchdog */

/* xorshift64: the same numbers in each run */
static u64 random_next(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* --- allocators, on all CPUs at once; what one makes another frees --- */

static struct slot {
	spinlock_t lock;
	struct page *page;
	void *object;
	u64 size;
} slots[SLOTS];

static void slots_init(void)
{
	for (unsigned i = 0; i < SLOTS; i++)
		slots[i] = (struct slot){ .lock = SPINLOCK_INIT(RANK_LRU) };
}

static void page_turn(struct slot *s, u64 r)
{
	struct page *old = s->page;

	s->page = NULL;
	if (old) {
		u64 *w = page_virt(old);
		CHECK(w[0] == page_pfn(old) && w[511] == ~page_pfn(old), "pfn=%lx", page_pfn(old));
		page_put(old);
		if (r & 1)
			return;
	}
	struct page *p = page_alloc(r >> 8 & 1 ? 0 : r >> 9 & 3, r & 2 ? PAGE_ZERO : 0,
				    r & 4 ? &account_root : NULL);
	if (!p)
		return;
	u64 *w = page_virt(p);
	if (r & 2)
		CHECK(!w[0] && !w[511], "pfn=%lx", page_pfn(p));
	w[0] = page_pfn(p);
	w[511] = ~page_pfn(p);
	s->page = p;
}

static void page_stress(void *arg)
{
	u64 state = 88172645463325252ull + this_cpu()->id * 977 + *(u64 *)arg;

	for (unsigned i = 0; i < 1000; i++) {
		u64 r = random_next(&state);
		struct slot *s = &slots[r % SLOTS];
		spin_lock(&s->lock);
		page_turn(s, r >> 16);
		spin_unlock(&s->lock);
	}
}

static void test_pages(void)
{
	slots_init();
	for (u64 round = 0; round < ROUNDS; round++, resched_point())
		smp_call_all(page_stress, &round);
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].page)
			page_put(slots[i].page);
}

static void object_turn(struct slot *s, u64 r)
{
	u8 *old = s->object;

	s->object = NULL;
	if (old) {
		CHECK(old[0] == (u8)s->size && old[s->size - 1] == (u8)s->size, "size=%lu",
		      s->size);
		kfree(old);
		if (r & 1)
			return;
	}
	s->size = 1 + (r >> 8) % (r & 8 ? 6000 : 300);
	u8 *p = kmalloc(s->size, (r & 2 ? KM_ZERO : 0) | (r & 4 ? KM_ACCOUNT : 0));
	if (!p)
		return;
	if (r & 2)
		for (u64 i = 0; i < s->size; i++)
			CHECK(!p[i], "i=%lu", i);
	memset(p, (u8)s->size, s->size);
	s->object = p;
}

static void slab_stress(void *arg)
{
	u64 state = 1234567890123ull + this_cpu()->id * 31337 + *(u64 *)arg;

	for (unsigned i = 0; i < 1000; i++) {
		u64 r = random_next(&state);
		struct slot *s = &slots[r % SLOTS];
		spin_lock(&s->lock);
		object_turn(s, r >> 16);
		spin_unlock(&s->lock);
	}
}

static void test_slab(void)
{
	slots_init();
	for (u64 round = 0; round < ROUNDS; round++, resched_point())
		smp_call_all(slab_stress, &round);
	for (unsigned i = 0; i < SLOTS; i++)
		kfree(slots[i].object);
}

static void test_kstacks(void)
{
	static void *stack[100];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(stack); i++) {
			stack[i] = kstack_alloc(&account_root);
			CHECK(stack[i], "i=%u", i);
			*(u64 *)stack[i] = i;
			*(u64 *)((char *)stack[i] + KSTACK_SIZE - 8) = i;
			CHECK(!kernel_lookup_page((u64)stack[i] - PAGE_SIZE), "no guard below");
		}
		for (unsigned i = 0; i < ARRAY_SIZE(stack); i++) {
			CHECK(*(u64 *)stack[i] == i, "i=%u", i);
			kstack_free(stack[i], &account_root);
		}
	}
}

static void test_vmalloc(void)
{
	for (size_t size = 1; size < 3 << 20; size = size * 3 + 1) {
		char *a = vmalloc(size, KM_ZERO | KM_ACCOUNT), *b = vmalloc(size, 0);
		CHECK(a && b, "size=%lu", size);
		CHECK(!a[size - 1], "size=%lu", size);
		memset(a, 1, size);
		memset(b, 2, size);
		CHECK(a[size - 1] == 1 && b[0] == 2, "size=%lu", size);
		vfree(a);
		vfree(b);
	}
}

/* --- the tree of gaps, against an array of bits --- */

#define UNITS 512

static void gap_check(const struct tree *t, const u8 *used, u64 n)
{
	u64 want = 0, got = 0;
	int err = gap_search_down(t, 1 * PAGE_SIZE, UNITS * PAGE_SIZE, n * PAGE_SIZE, &got);

	for (u64 at = UNITS - n; at >= 1 && !want; at--) {
		u64 k = 0;
		while (k < n && !used[at + k])
			k++;
		if (k == n)
			want = at;
	}
	CHECK(want ? !err && got == want * PAGE_SIZE : err == -ENOMEM,
	      "n=%lu err=%d got=%lx want=%lx", n, err, got, want * PAGE_SIZE);
}

static void test_gaps(void)
{
	static struct gap_node nodes[UNITS];
	static u8 used[UNITS];
	struct tree t;
	u64 state = 4711;

	gap_tree_init(&t);
	memset(used, 0, sizeof(used));
	for (unsigned i = 0; i < 4000; i++) {
		u64 r = random_next(&state), at = 1 + r % (UNITS - 1), n = 1 + (r >> 20) % 6, k = 0;
		struct gap_node *hit = gap_find(&t, at * PAGE_SIZE);
		if (used[at]) {
			CHECK(hit && hit->start <= at * PAGE_SIZE, "at=%lu", at);
			gap_remove(&t, hit);
			memset(used + hit->start / PAGE_SIZE, 0,
			       (hit->end - hit->start) / PAGE_SIZE);
		} else {
			while (k < n && at + k < UNITS && !used[at + k])
				k++;
			nodes[at].start = at * PAGE_SIZE;
			nodes[at].end = (at + k) * PAGE_SIZE;
			gap_insert(&t, &nodes[at]);
			memset(used + at, 1, k);
		}
		gap_check(&t, used, 1 + (r >> 40) % 20);
	}
}

/* --- address spaces --- */

static u64 map(struct aspace *as, u64 len, u64 flags, u32 mapflags, u64 va)
{
	u64 at = 0;
	int err = aspace_map(as, va, len, flags, mapflags, NULL, NULL, NULL, 0, &at);

	CHECK(!err, "err=%d", err);
	return at;
}

static void put_u64(struct aspace *as, u64 va, u64 value)
{
	s64 n = aspace_write(as, va, &value, 8);
	CHECK(n == 8, "va=%lx n=%ld", va, n);
}

static u64 get_u64(struct aspace *as, u64 va)
{
	u64 value = 0x5555;
	s64 n = aspace_read(as, va, &value, 8);
	CHECK(n == 8, "va=%lx n=%ld", va, n);
	return value;
}

static struct aspace *fresh(void)
{
	struct aspace *as;
	int err = aspace_create(&as);

	CHECK(!err, "err=%d", err);
	return as;
}

static void test_anonymous(void)
{
	struct aspace *as = fresh();
	u64 n = 3000, at = map(as, n * PAGE_SIZE, RW, 0, 0);

	CHECK(get_u64(as, at) == 0 && as->rss_anon == 0, "rss=%ld", as->rss_anon);
	for (u64 i = 0; i < n; i++)
		put_u64(as, at + i * PAGE_SIZE, i);
	CHECK(as->rss_anon == (s64)n, "rss=%ld", as->rss_anon);
	CHECK(!aspace_unmap(as, at + 1000 * PAGE_SIZE, 1000 * PAGE_SIZE), "unmap");
	CHECK(as->rss_anon == 2000 && as->area_count == 2, "rss=%ld", as->rss_anon);
	CHECK(aspace_read(as, at + 1000 * PAGE_SIZE, &n, 8) == -EFAULT, "hole");
	CHECK(get_u64(as, at + 999 * PAGE_SIZE) == 999, "below");
	CHECK(get_u64(as, at + 2000 * PAGE_SIZE) == 2000, "above");
	CHECK(!aspace_protect(as, at, 10 * PAGE_SIZE, PROT_READ), "protect");
	CHECK(as->area_count == 3, "areas=%u", as->area_count);
	CHECK(aspace_write(as, at, &n, 8) == -EFAULT && get_u64(as, at + PAGE_SIZE) == 1, "ro");
	CHECK(!aspace_protect(as, at, 10 * PAGE_SIZE, 0), "protect none");
	CHECK(aspace_read(as, at, &n, 8) == -EFAULT, "none");
	CHECK(!aspace_protect(as, at, 10 * PAGE_SIZE, PROT_READ | PROT_WRITE), "protect back");
	CHECK(as->area_count == 2 && get_u64(as, at + PAGE_SIZE) == 1, "areas=%u", as->area_count);
	put_u64(as, at, 77);
	map(as, 1000 * PAGE_SIZE, RW, MAP_FIXED, at + 1000 * PAGE_SIZE);
	CHECK(as->area_count == 1, "areas=%u", as->area_count);
	CHECK(!aspace_unmap(as, at, 3000 * PAGE_SIZE), "unmap all");
	CHECK(!as->rss_anon && !as->area_count && as->table_pages == 1 && !as->total_pages,
	      "rss=%ld tables=%ld", as->rss_anon, as->table_pages);
	aspace_put(as);
}

static void test_fork(void)
{
	struct aspace *parent = fresh(), *child;
	u64 n = 700, at = map(parent, n * PAGE_SIZE, RW, 0, 0);

	for (u64 i = 0; i < n; i++)
		put_u64(parent, at + i * PAGE_SIZE, i);
	CHECK(!aspace_fork(parent, &child), "fork");
	CHECK(child->rss_anon == (s64)n, "rss=%ld", child->rss_anon);
	for (u64 i = 0; i < n; i += 2)
		put_u64(child, at + i * PAGE_SIZE, i + 100000);
	for (u64 i = 1; i < n; i += 2)
		put_u64(parent, at + i * PAGE_SIZE, i + 200000);
	for (u64 i = 0; i < n; i++) {
		u64 p = get_u64(parent, at + i * PAGE_SIZE), c = get_u64(child, at + i * PAGE_SIZE);
		CHECK(p == i + (i & 1 ? 200000 : 0) && c == i + (i & 1 ? 0 : 100000), "i=%lu", i);
	}
	aspace_put(parent);
	for (u64 i = 0; i < n; i++)
		put_u64(child, at + i * PAGE_SIZE, i);
	CHECK(child->rss_anon == (s64)n, "rss=%ld", child->rss_anon);
	aspace_put(child);
}

static void test_shared(void)
{
	struct aspace *a = fresh(), *b;
	struct mapping *m;
	u64 at, len = 50 * PAGE_SIZE;

	CHECK(!shmem_create(len, &m), "shmem");
	CHECK(!aspace_map(a, 0, len, RW | VM_SHARED, 0, NULL, m, &shmem_vm_ops, 0, &at), "map");
	for (u64 i = 0; i < 20; i++)
		put_u64(a, at + i * PAGE_SIZE, i);
	CHECK(!aspace_fork(a, &b), "fork");
	put_u64(b, at + 3 * PAGE_SIZE, 333);
	put_u64(b, at + 30 * PAGE_SIZE, 30);
	CHECK(get_u64(a, at + 3 * PAGE_SIZE) == 333 && get_u64(a, at + 30 * PAGE_SIZE) == 30,
	      "shared");
	CHECK(a->rss_shmem == 21 && b->rss_shmem >= 21, "rss=%ld %ld", a->rss_shmem, b->rss_shmem);
	mapping_remove_range(m, 0, 9);
	CHECK(get_u64(b, at + 3 * PAGE_SIZE) == 0 && get_u64(a, at + 12 * PAGE_SIZE) == 12, "hole");
	CHECK(m->pages.count == 12, "pages=%lu", m->pages.count);
	shmem_put(m);
	aspace_put(a);
	CHECK(get_u64(b, at + 12 * PAGE_SIZE) == 12, "survives");
	aspace_put(b);
}

static void test_remap(void)
{
	struct aspace *as = fresh();
	u64 at = map(as, 600 * PAGE_SIZE, RW, 0, 0), to;

	for (u64 i = 0; i < 600; i++)
		put_u64(as, at + i * PAGE_SIZE, i);
	map(as, PAGE_SIZE, VM_READ | VM_MAYREAD, MAP_FIXED, at + 600 * PAGE_SIZE);
	CHECK(aspace_remap(as, at, 600 * PAGE_SIZE, 900 * PAGE_SIZE, 0, 0, &to) == -ENOMEM,
	      "in place");
	CHECK(!aspace_remap(as, at, 600 * PAGE_SIZE, 900 * PAGE_SIZE, 1, 0, &to), "move");
	for (u64 i = 0; i < 600; i++)
		CHECK(get_u64(as, to + i * PAGE_SIZE) == i, "i=%lu", i);
	CHECK(get_u64(as, to + 899 * PAGE_SIZE) == 0 && as->rss_anon == 600, "rss=%ld",
	      as->rss_anon);
	CHECK(!aspace_remap(as, to, 900 * PAGE_SIZE, 100 * PAGE_SIZE, 0, 0, &to), "shrink");
	CHECK(as->rss_anon == 100, "rss=%ld", as->rss_anon);
	aspace_put(as);
}

/* Random calls on one address space, each page's content known; ends by tearing it down. */
static void test_random(void)
{
	struct aspace *as = fresh();
	static u32 content[256]; /* 0: zero page or fresh; what was written last */
	static u8 mapped[256];
	u64 base = 0x10000000, state = 99;

	memset(content, 0, sizeof(content));
	memset(mapped, 0, sizeof(mapped));
	for (unsigned i = 1; i < 6000; i++) {
		u64 r = random_next(&state), at = r % 250, n = 1 + (r >> 10) % 6;
		u64 va = base + at * PAGE_SIZE;
		switch (r >> 32 & 3) {
		case 0:
			map(as, n * PAGE_SIZE, RW, MAP_FIXED, va);
			memset(mapped + at, 1, n);
			memset(content + at, 0, n * sizeof(content[0]));
			break;
		case 1:
			CHECK(!aspace_unmap(as, va, n * PAGE_SIZE), "at=%lu", at);
			memset(mapped + at, 0, n);
			break;
		default:
			if (!mapped[at]) {
				CHECK(aspace_read(as, va, &n, 8) == -EFAULT, "at=%lu", at);
				break;
			}
			CHECK(get_u64(as, va) == content[at], "at=%lu", at);
			if (r >> 40 & 1)
				put_u64(as, va, content[at] = i);
		}
	}
	aspace_put(as);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "pages", test_pages },
	{ "slab", test_slab },
	{ "kernel stacks", test_kstacks },
	{ "vmalloc", test_vmalloc },
	{ "gaps", test_gaps },
	{ "anonymous memory", test_anonymous },
	{ "fork", test_fork },
	{ "shared memory", test_shared },
	{ "mremap", test_remap },
	{ "random calls", test_random },
};

static void live_add(const char *name, u64 live, size_t size, void *arg)
{
	*(u64 *)arg += live;
}

static void count(u64 *free, u64 *live)
{
	struct page_stats s;

	kernel_drain();
	page_stats(&s);
	*free = s.free;
	*live = 0;
	slab_for_each(live_add, live);
}

void mm_selftest(void)
{
	u64 free, live, free_now, live_now;

	if (!DEBUG || !boot_option("selftest", 0, NULL, 0))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
		tests[i].run(); /* once to warm up: page tables of kernel space stay */
		count(&free, &live);
		tests[i].run();
		count(&free_now, &live_now);
		CHECK(free == free_now && live == live_now,
		      "%s leaks: free pages %lu -> %lu, objects %lu -> %lu", tests[i].name, free,
		      free_now, live, live_now);
		log_info("selftest: %s ok\n", tests[i].name);
	}
	log_info("selftest: mm passed\n");
}
