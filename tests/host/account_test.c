/* SPDX-License-Identifier: MIT */
/* account_test.c - kernel/core/account.c: hierarchy, exactness, limits, many CPUs at once. */
#include "core/account.h"
#include "core/errno.h"
#include "core/rcu.h"
#include "core/task.h"
#include "tests/host/machine.h"

#define KIB 1024l

static s64 memory(struct account *a)
{
	return account_read(a, RES_MEMORY);
}

static void test_hierarchy(void)
{
	struct account *a, *b;

	must(!account_create(&account_root, &a) && !account_create(a, &b), "create");
	must(!charge(b, RES_MEMORY, 5000) && !charge(a, RES_MEMORY, 300), "charge");
	ok(memory(b) == 5000 && memory(a) == 5300 && memory(&account_root) == 5300,
	   "counts in all ancestors");
	must(!charge(b, RES_MEMORY, 100 * KIB), "large");
	ok(memory(b) == 5000 + 100 * KIB && memory(a) == 5300 + 100 * KIB,
	   "large charges count exactly");
	uncharge(b, RES_MEMORY, 100 * KIB);
	account_set_max(a, RES_MEMORY, 10000);
	ok(charge(b, RES_MEMORY, 4701) == -ENOMEM, "a limit of an ancestor refuses");
	ok(memory(b) == 5000 && memory(a) == 5300 && memory(&account_root) == 5300,
	   "and nothing is charged");
	ok(a->res[RES_MEMORY].failed == 1 && !b->res[RES_MEMORY].failed, "who refused counts it");
	ok(!charge(b, RES_MEMORY, 4700) && memory(a) == 10000, "a limit can be reached exactly");
	ok(account_available(b, RES_MEMORY) == 0 && charge(a, RES_MEMORY, 1) == -ENOMEM,
	   "then nothing is left");
	charge_force(b, RES_MEMORY, 50);
	ok(memory(a) == 10050 && account_available(b, RES_MEMORY) == 0, "forced beyond the limit");
	uncharge(b, RES_MEMORY, 9750);
	ok(memory(a) == 300 && account_available(b, RES_MEMORY) == 9700, "what is available");
	ok(account_is_ancestor(a, b) && account_is_ancestor(b, b) && !account_is_ancestor(b, a),
	   "ancestry");
	account_set_max(b, RES_PIDS, 2);
	ok(!charge(b, RES_PIDS, 1) && !charge(b, RES_PIDS, 1) && charge(b, RES_PIDS, 1) == -EAGAIN,
	   "pids");
	uncharge(b, RES_PIDS, 2);
	account_release(b);
	ok(account_effective(b) == a, "a released account passes on");
	uncharge(a, RES_MEMORY, 300);
	account_release(a);
	account_drain();
	rcu_drain();
	ok(!memory(&account_root) && !account_root.res[RES_MEMORY].used, "the root is empty again");
	ok(!machine_live, "no account is left (%ld)", machine_live);
}

static s64 anon(const struct account *a)
{
	s64 uses[MEM_USES];

	account_read_uses(a, uses);
	return uses[MEM_ANON];
}

/* What memory is used for counts in all ancestors, with a stock and without, and ends with it. */
static void test_uses(void)
{
	struct account *a, *b, *other;

	must(!account_create(&account_root, &a) && !account_create(a, &b), "create");
	must(!charge(b, RES_MEMORY, 5000) && !charge(a, RES_MEMORY, 8192), "charge");
	account_use(b, MEM_ANON, 5000);
	account_use(a, MEM_ANON, 4096);
	account_use(a, MEM_FILE, 4096);
	ok(anon(b) == 5000 && anon(a) == 9096 && anon(&account_root) == 9096, "uses: in ancestors");
	account_drain();
	ok(anon(b) == 5000 && anon(a) == 9096 && a->use[MEM_ANON] == 9096, "uses: without stocks");
	account_use(b, MEM_ANON, -1000);
	ok(anon(b) == 4000 && anon(&account_root) == 8096, "uses: taken away without a stock");
	for (int i = 0; i < 8; i++) { /* pairs are put out of the stock */
		must(!account_create(&account_root, &other) && !charge(other, RES_MEMORY, 1),
		     "create");
		uncharge(other, RES_MEMORY, 1);
		account_release(other);
	}
	ok(anon(a) == 8096, "uses: nothing is lost when a stock is full");
	account_use(b, MEM_ANON, -4000);
	account_release(b);
	uncharge(b, RES_MEMORY, 5000);
	ok(anon(a) == 4096, "uses: a released account's are its parent's no more when they end");
	account_use(a, MEM_ANON, -4096);
	account_use(a, MEM_FILE, -4096);
	uncharge(a, RES_MEMORY, 8192);
	account_release(a);
	account_drain();
	rcu_drain();
	ok(!anon(&account_root) && !account_root.use[MEM_FILE] && !machine_live,
	   "uses: none is left");
}

static s64 disk(const struct account *a)
{
	return account_read(a, RES_DISK);
}

/* What is added to something of an ancestor's counts below that, net, and never below nothing. */
static void test_growth(void)
{
	struct account *a, *b;

	must(!account_create(&account_root, &a) && !account_create(a, &b), "create");
	account_set_max(a, RES_DISK, 1000);
	ok(!account_grow_check(b, &account_root, RES_DISK, 1000), "there is room");
	account_grow(b, &account_root, RES_DISK, 600);
	ok(disk(b) == 600 && disk(a) == 600 && !disk(&account_root), "below the top only");
	ok(account_grow_check(b, &account_root, RES_DISK, 401) == -EDQUOT &&
		   a->res[RES_DISK].failed == 1,
	   "a limit of an ancestor refuses");
	ok(charge_check(a, RES_DISK, 401) == -EDQUOT && !charge_check(a, RES_DISK, 400),
	   "also a check by itself, which charges nothing");
	must(!charge(b, RES_DISK, 300), "charge");
	account_grow(b, &account_root, RES_DISK, -700);
	ok(disk(b) == 300 && disk(a) == 300 && disk(&account_root) == 300,
	   "what was not added is not taken away");
	account_grow(b, a, RES_DISK, 50);
	ok(disk(b) == 350 && disk(a) == 300, "the top does not count");
	account_grow(b, &account_root, RES_DISK, 100);
	uncharge(b, RES_DISK, 300);
	account_release(b);
	ok(disk(a) == 100, "the ancestors keep it");
	account_grow(a, &account_root, RES_DISK, -40);
	ok(disk(a) == 60, "and can lose it");
	account_release(a);
	rcu_drain();
	ok(!disk(&account_root) && !machine_live, "nothing is left (%ld)", machine_live);
}

static void test_outlives(void)
{
	struct account *a;

	must(!account_create(&account_root, &a) && !charge(a, RES_MEMORY, 4096), "create");
	account_release(a);
	account_drain();
	rcu_drain();
	ok(machine_live == 1 && memory(&account_root) == 4096,
	   "an account lives while something is charged");
	uncharge(a, RES_MEMORY, 4096);
	rcu_drain();
	ok(!machine_live && !memory(&account_root), "and ends with the last uncharge");
}

/* --- a tree of accounts under load --- */

enum { CPUS = 4, ACCOUNTS = 7, HELD = 200, ROUNDS = 40000 };
static struct account *accounts[ACCOUNTS]; /* 0: below the root; i: below (i - 1) / 2 */
static s64 shadow[ACCOUNTS];		   /* at most what is charged at or below; atomic */
static s64 limit[ACCOUNTS] = { 3000 * KIB, 1000 * KIB, INT64_MAX, 300 * KIB,
			       500 * KIB,  INT64_MAX,  100 * KIB };
static u64 refused;

static void shadow_add(int i, s64 n)
{
	for (;; i = (i - 1) / 2) {
		s64 now = __atomic_add_fetch(&shadow[i], n, __ATOMIC_SEQ_CST);
		must(now <= limit[i], "account %d: %ld is over its limit", i, now);
		if (!i)
			return;
	}
}

static void load(unsigned cpu)
{
	struct {
		int account;
		s64 n;
	} held[HELD] = { 0 };

	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned i = machine_random() % HELD;
		if (held[i].n) {
			shadow_add(held[i].account, -held[i].n);
			uncharge(accounts[held[i].account], RES_MEMORY, held[i].n);
			held[i].n = 0;
		} else {
			s64 n = machine_random() % 50 ? 4096 : machine_random() % (80 * KIB) + 1;
			int a = machine_random() % ACCOUNTS;
			if (!charge(accounts[a], RES_MEMORY, n)) {
				held[i].account = a;
				held[i].n = n;
				shadow_add(a, n);
			} else {
				__atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
			}
		}
		machine_user();
	}
	for (unsigned i = 0; i < HELD; i++)
		if (held[i].n && i % 2) { /* the other half stays, for the exact count */
			shadow_add(held[i].account, -held[i].n);
			uncharge(accounts[held[i].account], RES_MEMORY, held[i].n);
		}
}

static void test_load(void)
{
	bool exact = true, peaks = true;

	for (int i = 0; i < ACCOUNTS; i++) {
		must(!account_create(i ? accounts[(i - 1) / 2] : &account_root, &accounts[i]),
		     "create");
		account_set_max(accounts[i], RES_MEMORY, limit[i]);
	}
	machine_run(CPUS, load);
	cpu_count = CPUS; /* their stocks count, though they have stopped */
	for (int i = 0; i < ACCOUNTS; i++)
		exact &= memory(accounts[i]) == shadow[i];
	ok(exact && memory(&account_root) == shadow[0],
	   "%d CPUs: all counters are exact at the end", CPUS);
	ok(refused > 0, "limits were reached (%lu times) and never exceeded", refused);
	for (int i = 0; i < ACCOUNTS; i++)
		peaks &= accounts[i]->res[RES_MEMORY].peak <= limit[i];
	ok(peaks, "nor does a peak show a charge that was refused");
	for (int i = ACCOUNTS; i--;) {
		s64 own = shadow[i];
		for (int j = 2 * i + 1; j <= 2 * i + 2 && j < ACCOUNTS; j++)
			own -= shadow[j];
		uncharge(accounts[i], RES_MEMORY, own);
	}
	for (int i = 0; i < ACCOUNTS; i++)
		must(!memory(accounts[i]), "account %d is empty", i);
	cpu_count = 1;
}

static void drain_on_exit(unsigned cpu)
{
	if (cpu == 0) {
		account_drain();
		for (int i = ACCOUNTS; i--;)
			account_release(accounts[i]);
	}
}

/* --- nothing is refused because it lies in another CPU's stock --- */

static struct account *small;
static unsigned turn;

static void fill_in_turns(unsigned cpu)
{
	for (unsigned round = 0; round < 50; round++) {
		while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != round * CPUS + cpu)
			machine_user();
		for (unsigned i = 0; i < 64; i++)
			must(!charge(small, RES_MEMORY, 1 * KIB), "CPU %u, round %u: %u KiB", cpu,
			     round, i);
		must(charge(small, RES_MEMORY, 1) == -ENOMEM, "full");
		for (unsigned i = 0; i < 64; i++)
			uncharge(small, RES_MEMORY, 1 * KIB); /* stays in this CPU's stock */
		__atomic_fetch_add(&turn, 1, __ATOMIC_SEQ_CST);
	}
}

static void release_small(unsigned cpu)
{
	if (cpu == 0) {
		account_release(small);
		account_drain();
		rcu_drain();
	}
}

int main(void)
{
	machine_init();
	rcu_init_thread();
	test_hierarchy();
	test_uses();
	test_growth();
	test_outlives();
	test_load();
	machine_run(CPUS, drain_on_exit);
	must(!account_create(&account_root, &small), "create");
	account_set_max(small, RES_MEMORY, 64 * KIB);
	machine_run(CPUS, fill_in_turns);
	ok(true, "all of a limit is there for each CPU in turn");
	machine_run(CPUS, release_small);
	ok(!account_root.res[RES_MEMORY].used && !machine_live,
	   "nothing is left: %ld bytes, %ld objects", account_root.res[RES_MEMORY].used,
	   machine_live);
	return tap_end();
}
