/* SPDX-License-Identifier: MIT */
/*
 * control_limits.c - the control files of what accounts count: pids.*, files.*, memory.*. Each
 * resource has max (to be written, or "max"), current, peak and events, as in cgroup v2.
 */
#include "container/control.h"
#include "core/errno.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"

typedef unsigned long long ull;

static struct account *account_of(void *object)
{
	return ((struct container *)object)->owner.account;
}

/* --- what all resources have --- */

static int show_value(s64 v, struct text *t)
{
	if (v == INT64_MAX)
		text_printf(t, "max\n");
	else
		text_printf(t, "%lld\n", (long long)v);
	return 0;
}

int control_show_max(void *object, enum resource what, struct text *t)
{
	return show_value(READ_ONCE(account_of(object)->res[what].max), t);
}

int control_show_used(void *object, enum resource what, struct text *t)
{
	return show_value(account_read(account_of(object), what), t);
}

int control_show_peak(void *object, enum resource what, struct text *t)
{
	return show_value(READ_ONCE(account_of(object)->res[what].peak), t);
}

int control_show_events(void *object, enum resource what, struct text *t)
{
	text_printf(t, "max %llu\n", (ull)READ_ONCE(account_of(object)->res[what].failed));
	return 0;
}

/* A number, with K, M or G if it is of bytes, or "max". */
static int parse_limit(const char *s, bool bytes, s64 *out)
{
	u64 v;
	int err = 0;

	if (!strcmp(s, "max"))
		v = INT64_MAX;
	else
		err = bytes ? parse_size(s, &v) : parse_u64(s, &v);
	if (err || v > INT64_MAX)
		return -EINVAL;
	*out = v;
	return 0;
}

int control_store_max(void *object, enum resource what, const char *s)
{
	s64 max;
	int err = parse_limit(s, what == RES_MEMORY || what == RES_DISK, &max);

	if (!err)
		account_set_max(account_of(object), what, max);
	return err;
}

/* --- pids --- */

int show_pids_max(void *object, struct text *t)
{
	return control_show_max(object, RES_PIDS, t);
}

int store_pids_max(void *object, char *s, size_t n)
{
	return control_store_max(object, RES_PIDS, s);
}

int show_pids_current(void *object, struct text *t)
{
	return control_show_used(object, RES_PIDS, t);
}

int show_pids_peak(void *object, struct text *t)
{
	return control_show_peak(object, RES_PIDS, t);
}

int show_pids_events(void *object, struct text *t)
{
	return control_show_events(object, RES_PIDS, t);
}

/* --- files --- */

int show_files_max(void *object, struct text *t)
{
	return control_show_max(object, RES_FILES, t);
}

int store_files_max(void *object, char *s, size_t n)
{
	return control_store_max(object, RES_FILES, s);
}

static void add_files(const char *name, u64 live, size_t size, void *sum)
{
	if (!strcmp(name, "file"))
		*(u64 *)sum += live;
}

/* All of the machine's are the host's: its account does not count them (kernel/fs/file.c). */
int show_files_current(void *object, struct text *t)
{
	u64 all = 0;

	if (object != &host_container)
		return control_show_used(object, RES_FILES, t);
	slab_for_each(add_files, &all);
	return show_value(all, t);
}

int show_files_peak(void *object, struct text *t)
{
	return control_show_peak(object, RES_FILES, t);
}

int show_files_events(void *object, struct text *t)
{
	return control_show_events(object, RES_FILES, t);
}

/* --- memory --- */

int show_memory_max(void *object, struct text *t)
{
	return control_show_max(object, RES_MEMORY, t);
}

int store_memory_max(void *object, char *s, size_t n)
{
	return control_store_max(object, RES_MEMORY, s);
}

int show_memory_current(void *object, struct text *t)
{
	return control_show_used(object, RES_MEMORY, t);
}

int show_memory_peak(void *object, struct text *t)
{
	return control_show_peak(object, RES_MEMORY, t);
}

int show_memory_high(void *object, struct text *t)
{
	return show_value(READ_ONCE(account_of(object)->memory_high), t);
}

int store_memory_high(void *object, char *s, size_t n)
{
	s64 high;
	int err = parse_limit(s, true, &high);

	if (!err)
		WRITE_ONCE(account_of(object)->memory_high, high);
	return err;
}

int show_memory_min(void *object, struct text *t)
{
	return show_value(READ_ONCE(account_of(object)->memory_min), t);
}

int store_memory_min(void *object, char *s, size_t n)
{
	s64 min;
	int err = parse_limit(s, true, &min);

	if (!err)
		WRITE_ONCE(account_of(object)->memory_min, min);
	return err;
}

int show_memory_events(void *object, struct text *t)
{
	struct account *a = account_of(object);

	text_printf(t, "low 0\nhigh %llu\nmax %llu\noom %llu\noom_kill %llu\n",
		    (ull)READ_ONCE(a->high_events), (ull)READ_ONCE(a->res[RES_MEMORY].failed),
		    (ull)READ_ONCE(a->oom_events), (ull)READ_ONCE(a->oom_kills));
	return 0;
}

/*
 * In bytes. kernel is all that is neither anon nor file; of it slab is what is left when page
 * tables, stacks (one for each thread) and whole pages have been counted: objects, small buffers.
 */
int show_memory_stat(void *object, struct text *t)
{
	struct memory_stat s;

	memory_stat(account_of(object), &s);
	text_printf(t, "anon %llu\nfile %llu\nkernel %llu\n", (ull)s.anon, (ull)s.file,
		    (ull)s.kernel);
	text_printf(t,
		    "kernel_stack %llu\npagetables %llu\nsock %llu\nkernel_pages %llu\nslab %llu\n",
		    (ull)s.stacks, (ull)s.tables, (ull)s.sock, (ull)s.pages, (ull)s.slab);
	return 0;
}
