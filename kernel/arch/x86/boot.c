/* SPDX-License-Identifier: MIT */
/*
 * boot.c - boot_info: what the loader told us, copied before anything is
 * allocated, and memory for those who run before the page allocator.
 *
 * boot.S enters boot_main() with the boot map (first 4 GiB at DIRECT_MAP); all
 * that the loaders pass lies below 4 GiB. The Makefile leaves this file without
 * sanitizers: nothing they need is there yet.
 *
 *	boot_main -> pvh_copy or multiboot2_copy -> boot_ranges_finish -> kernel_main
 *
 * RAM below 1 MiB is left out: it holds firmware tables and the trampoline of the
 * other CPUs. boot_alloc_pages() takes from the top, past what is reserved; before
 * mmu_init only below 4 GiB.
 */
#include "arch/x86/boot.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/layout.h"
#include "arch/x86/mmu.h"
#include "core/printk.h"
#include "lib/string.h"

struct boot_info boot_info;

static paddr_t alloc_limit = 4ull << 30;
static bool alloc_closed;

#define LOW_MEMORY_END 0x100000ull

/* --- ranges --- */

/* Keeps r sorted. False: no room for it. */
static bool range_add(struct boot_range *r, unsigned *count, paddr_t start, paddr_t end)
{
	unsigned i, n = *count;

	if (start >= end)
		return true;
	if (n == BOOT_RANGES_MAX)
		return false;
	for (i = n; i > 0 && r[i - 1].start > start; i--)
		r[i] = r[i - 1];
	r[i] = (struct boot_range){ start, end };
	*count = n + 1;
	return true;
}

/* Joins neighbours that touch or overlap. */
static void ranges_merge(struct boot_range *r, unsigned *count)
{
	unsigned out = 0;

	for (unsigned i = 1; i < *count; i++) {
		if (r[i].start <= r[out].end)
			r[out].end = MAX(r[out].end, r[i].end);
		else
			r[++out] = r[i];
	}
	if (*count)
		*count = out + 1;
}

static void ram_add(u64 start, u64 size)
{
	u64 end = start + size;

	start = MAX(ALIGN_UP(start, PAGE_SIZE), LOW_MEMORY_END);
	range_add(boot_info.ram, &boot_info.ram_count, start, ALIGN_DOWN(end, PAGE_SIZE));
}

static void reserve(paddr_t start, paddr_t end)
{
	if (!range_add(boot_info.reserved, &boot_info.reserved_count, ALIGN_DOWN(start, PAGE_SIZE),
		       ALIGN_UP(end, PAGE_SIZE)))
		panic("boot: more than %d reserved ranges", BOOT_RANGES_MAX);
	ranges_merge(boot_info.reserved, &boot_info.reserved_count);
}

static void boot_ranges_finish(void)
{
	ranges_merge(boot_info.ram, &boot_info.ram_count);
	reserve(virt_to_phys(kernel_start), virt_to_phys(kernel_end));
	if (boot_info.initrd_end > boot_info.initrd_start)
		reserve(boot_info.initrd_start, boot_info.initrd_end);
}

/* --- PVH (Xen public headers, arch-x86/hvm/start_info.h) --- */

#define PVH_MAGIC 0x336ec578u
#define E820_RAM  1

struct pvh_start_info {
	u32 magic, version, flags, module_count;
	u64 modules, cmdline, rsdp;
	u64 memmap; /* from version 1 on */
	u32 memmap_entries, reserved;
};

struct pvh_module {
	u64 address, size, cmdline, reserved;
};

struct pvh_memmap_entry {
	u64 address, size;
	u32 type, reserved;
};

static void pvh_copy(paddr_t address)
{
	const struct pvh_start_info *s = phys_to_virt(address);

	boot_info.loader = "pvh";
	if (s->magic != PVH_MAGIC)
		return;
	if (s->cmdline)
		strlcpy(boot_info.cmdline, phys_to_virt(s->cmdline), sizeof(boot_info.cmdline));
	boot_info.rsdp = s->rsdp;
	if (s->module_count) {
		const struct pvh_module *m = phys_to_virt(s->modules);
		boot_info.initrd_start = m->address;
		boot_info.initrd_end = m->address + m->size;
	}
	if (s->version < 1)
		return;
	const struct pvh_memmap_entry *e = phys_to_virt(s->memmap);
	for (u32 i = 0; i < s->memmap_entries; i++)
		if (e[i].type == E820_RAM)
			ram_add(e[i].address, e[i].size);
}

/* --- multiboot2 (specification 2.0, 3.6 "Boot information format") --- */

enum {
	MB2_END = 0,
	MB2_CMDLINE = 1,
	MB2_MODULE = 3,
	MB2_MEMMAP = 6,
	MB2_RSDP1 = 14,
	MB2_RSDP2 = 15
};

struct mb2_tag {
	u32 type, size;
};

struct mb2_module {
	struct mb2_tag tag;
	u32 start, end;
};

struct mb2_memmap {
	struct mb2_tag tag;
	u32 entry_size, version;
};

struct mb2_memmap_entry {
	u64 address, size;
	u32 type, reserved;
};

static u8 rsdp_copy[64] __aligned(16);

static void multiboot2_memmap(const struct mb2_memmap *m)
{
	const char *p = (const char *)(m + 1), *end = (const char *)m + m->tag.size;

	for (; p + sizeof(struct mb2_memmap_entry) <= end; p += m->entry_size) {
		const struct mb2_memmap_entry *e = (const void *)p;
		if (e->type == E820_RAM)
			ram_add(e->address, e->size);
	}
}

static void multiboot2_tag(const struct mb2_tag *t)
{
	const struct mb2_module *m = (const void *)t;

	switch (t->type) {
	case MB2_CMDLINE:
		strlcpy(boot_info.cmdline, (const char *)(t + 1), sizeof(boot_info.cmdline));
		break;
	case MB2_MODULE:
		if (boot_info.initrd_end)
			break;
		boot_info.initrd_start = m->start;
		boot_info.initrd_end = m->end;
		break;
	case MB2_MEMMAP:
		multiboot2_memmap((const void *)t);
		break;
	case MB2_RSDP1:
	case MB2_RSDP2: /* the larger one wins: it comes with the newer ACPI */
		memcpy(rsdp_copy, t + 1, MIN(t->size - sizeof(*t), sizeof(rsdp_copy)));
		boot_info.rsdp = virt_to_phys(rsdp_copy);
		break;
	}
}

static void multiboot2_copy(paddr_t address)
{
	const char *p = (const char *)phys_to_virt(address) + 8;
	const char *end = p - 8 + *(const u32 *)phys_to_virt(address);

	boot_info.loader = "multiboot2";
	while (p < end) {
		const struct mb2_tag *t = (const void *)p;
		if (t->type == MB2_END)
			break;
		multiboot2_tag(t);
		p += ALIGN_UP(t->size, 8u);
	}
}

/* Called by boot.S with its kind (0: PVH, 1: multiboot2) and the loader's structure. */
void boot_main(u32 kind, paddr_t info);
void boot_main(u32 kind, paddr_t info)
{
	cpu_early_init();
	if (kind == 0)
		pvh_copy(info);
	else
		multiboot2_copy(info);
	boot_ranges_finish();
	kernel_main();
}

/* --- the command line --- */

/* The next word of *p, which moves behind it; its length, 0 at the end. */
static size_t next_word(const char **p, const char **word)
{
	const char *s = *p;

	while (*s == ' ' || *s == '\t' || *s == '\n')
		s++;
	*word = s;
	while (*s && *s != ' ' && *s != '\t' && *s != '\n')
		s++;
	*p = s;
	return s - *word;
}

bool boot_option(const char *key, unsigned nth, char *value, size_t size)
{
	const char *p = boot_info.cmdline, *word;
	size_t len, klen = strlen(key);
	unsigned seen = 0;
	bool found = false;

	while ((len = next_word(&p, &word)) != 0) {
		if (len < klen || memcmp(word, key, klen) != 0)
			continue;
		if (len > klen && word[klen] != '=')
			continue;
		if (nth && ++seen != nth)
			continue;
		size_t n = len > klen ? len - klen - 1 : 0;
		found = true;
		if (!size)
			continue;
		n = MIN(n, size - 1);
		memcpy(value, word + klen + (len > klen), n);
		value[n] = 0;
	}
	return found;
}

/* --- memory before the page allocator --- */

/* The highest place for `size` bytes in ram[i] that overlaps nothing reserved; 0: none. */
static paddr_t find_room(unsigned i, u64 size)
{
	const struct boot_range *r = &boot_info.ram[i];
	paddr_t end = MIN(r->end, alloc_limit);

	for (unsigned k = boot_info.reserved_count; k-- > 0;) {
		const struct boot_range *v = &boot_info.reserved[k];
		if (v->start >= end)
			continue;
		if (end < r->start + size)
			return 0;
		if (v->end <= end - size)
			break;
		end = v->start;
	}
	return end >= r->start + size ? end - size : 0;
}

paddr_t boot_alloc_pages(size_t n)
{
	BUG_IF(alloc_closed, "n=%zu", n);
	for (unsigned i = boot_info.ram_count; i-- > 0;) {
		paddr_t pa = find_room(i, n * PAGE_SIZE);
		if (!pa)
			continue;
		reserve(pa, pa + n * PAGE_SIZE);
		memset(phys_to_virt(pa), 0, n * PAGE_SIZE);
		return pa;
	}
	panic("boot_alloc_pages: no room for %zu pages", n);
}

void boot_alloc_unlimited(void)
{
	alloc_limit = UINT64_MAX;
}

void boot_alloc_close(void)
{
	alloc_closed = true;
}

bool boot_alloc_is_open(void)
{
	return !alloc_closed;
}
