/* SPDX-License-Identifier: MIT */
/*
 * elf.c - loads an ELF executable and its interpreter into a new address space
 * (System V ABI, chapter 5; man 5 elf). Segments are mapped from the page cache,
 * nothing is read but headers; the rest of the last page of a segment's data is
 * zeroed, what follows is anonymous.
 *
 * Addresses are the same each time (PLATFORM: translations are kept per virtual
 * address), and those of Linux without randomisation (fs/binfmt_elf.c there):
 *
 *	linked to an address		there; the break follows the last segment. If that is a
 *					low one, and all there is, the stack is low, too (aspace.h)
 *	position-independent		PIE_BASE; the break follows
 *	its interpreter			right below the mappings' top
 *	position-independent, without	where a mapping of its size goes: a small one beside the
 *	an interpreter (static PIE,	stack, so that it needs no tables of its own. There the
 *	or ld.so itself)		break would soon meet others: it is at PIE_BASE
 */
#include "core/errno.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "proc/exec.h"

#define PIE_BASE	0x0000555555554000ull /* ELF_ET_DYN_BASE: two thirds of the whole */
#define PHDR_TABLE_MAX	65536
#define STACK_MARGIN	(16ull << 20) /* no segment comes closer to the stack */
#define LOW_PROGRAM_END (USER_LOW_END / 2)

struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_phdr {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct elf_phdr) == 56, "man 5 elf");

enum { ET_EXEC = 2, ET_DYN = 3, EM_X86_64 = 62 };
enum { PT_LOAD = 1, PT_DYNAMIC, PT_INTERP, PT_GNU_STACK = 0x6474e551 };
enum { PF_X = 1, PF_W = 2, PF_R = 4 };

/* One object (program or interpreter) on its way into the address space. */
struct elf {
	struct file *file;
	struct elf_header header;
	const struct elf_phdr *phdr; /* table, heap or in the exec's buffer */
	struct elf_phdr *heap;
	u64 low, high, align; /* of all PT_LOAD, page-aligned */
	u64 bias;	      /* add to its addresses */
};

/* --- headers --- */

static bool elf_header_ok(const struct elf_header *h)
{
	return !memcmp(h->ident, "\177ELF\2\1", 6) && (h->type == ET_EXEC || h->type == ET_DYN) &&
	       h->machine == EM_X86_64 && h->phentsize == sizeof(struct elf_phdr) && h->phnum &&
	       h->phnum * sizeof(struct elf_phdr) <= PHDR_TABLE_MAX;
}

/* Where all segments lie; -ENOEXEC, -EINVAL for what cannot be mapped. */
static int elf_extent(struct elf *e)
{
	bool any = false;

	e->low = UINT64_MAX;
	e->high = 0;
	e->align = PAGE_SIZE;
	for (unsigned i = 0; i < e->header.phnum; i++) {
		const struct elf_phdr *p = &e->phdr[i];
		u64 end;
		if (p->type != PT_LOAD)
			continue;
		if (__builtin_add_overflow(p->vaddr, p->memsz, &end) || end > USER_END ||
		    p->filesz > p->memsz || p->offset + p->filesz < p->offset)
			return -EINVAL;
		if ((p->vaddr ^ p->offset) & PAGE_MASK && p->filesz)
			return -EINVAL;
		if (!(p->align & (p->align - 1)) && p->align > e->align)
			e->align = p->align;
		e->low = MIN(e->low, ALIGN_DOWN(p->vaddr, PAGE_SIZE));
		e->high = MAX(e->high, ALIGN_UP(end, PAGE_SIZE));
		any = true;
	}
	return any ? 0 : -ENOEXEC;
}

/* head: the first bytes of the file, at least a header; they stay where they are until elf_close.
 */
static int elf_open(struct elf *e, struct file *f, const char *head, size_t size)
{
	size_t bytes;
	s64 n;

	e->file = f;
	e->heap = NULL;
	e->bias = 0;
	if (size < sizeof(e->header))
		return -ENOEXEC;
	memcpy(&e->header, head, sizeof(e->header));
	if (!elf_header_ok(&e->header) || !f->inode->mapping || !f->ops->mmap)
		return -ENOEXEC;
	bytes = e->header.phnum * sizeof(struct elf_phdr);
	if (!(e->header.phoff & 7) && e->header.phoff < size && bytes <= size - e->header.phoff) {
		e->phdr = (const struct elf_phdr *)(head + e->header.phoff);
		return elf_extent(e);
	}
	e->heap = kmalloc(bytes, KM_ACCOUNT);
	if (!e->heap)
		return -ENOMEM;
	e->phdr = e->heap;
	n = file_read_kernel(f, e->heap, bytes, e->header.phoff);
	if (n != (s64)bytes)
		return n < 0 ? n : -ENOEXEC;
	return elf_extent(e);
}

static void elf_close(struct elf *e)
{
	kfree(e->heap);
}

/* --- mapping --- */

/* Zeroes [va, end of its page): the part of a data page that the file does not fill. */
static int zero_tail(struct aspace *as, u64 va)
{
	struct page *p;
	int err = aspace_page(as, va, true, &p);

	if (err)
		return err;
	memset((char *)page_virt(p) + (va & PAGE_MASK), 0, PAGE_SIZE - (va & PAGE_MASK));
	page_put(p);
	return 0;
}

static u64 segment_flags(const struct elf_phdr *p)
{
	return (p->flags & PF_R ? VM_READ : 0) | (p->flags & PF_W ? VM_WRITE : 0) |
	       (p->flags & PF_X ? VM_EXEC : 0) | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
}

/* As mmap(2) does it: the filesystem says what such an area is. */
static int segment_map_file(struct aspace *as, struct elf *e, const struct elf_phdr *p, u64 start,
			    u64 stop, u64 flags)
{
	struct vma v = { .flags = flags,
			 .file = e->file,
			 .pgoff = ALIGN_DOWN(p->offset, PAGE_SIZE) >> PAGE_SHIFT };
	int err = e->file->ops->mmap(e->file, &v);
	u64 at;

	if (err)
		return err;
	return aspace_map(as, start, stop - start, v.flags, MAP_PRIVATE | MAP_FIXED, e->file,
			  v.mapping, v.ops, v.pgoff, &at);
}

static int segment_map(struct aspace *as, struct elf *e, const struct elf_phdr *p)
{
	u64 va = p->vaddr + e->bias, start = ALIGN_DOWN(va, PAGE_SIZE), flags = segment_flags(p);
	u64 file_end = va + p->filesz,
	    file_stop = p->filesz ? ALIGN_UP(file_end, PAGE_SIZE) : start;
	u64 stop = ALIGN_UP(va + p->memsz, PAGE_SIZE), at;
	int err = 0;

	if (p->filesz)
		err = segment_map_file(as, e, p, start, file_stop, flags);
	if (!err && p->memsz > p->filesz && p->filesz && file_end & PAGE_MASK && flags & VM_WRITE)
		err = zero_tail(as, file_end);
	if (!err && stop > file_stop)
		err = aspace_map(as, file_stop, stop - file_stop, flags, MAP_PRIVATE | MAP_FIXED,
				 NULL, NULL, NULL, 0, &at);
	return err;
}

/* Notes where code and data are (for /proc). */
static void segment_note(struct aspace *as, const struct elf *e, const struct elf_phdr *p)
{
	u64 va = p->vaddr + e->bias;

	if (p->flags & PF_X) {
		if (!as->code_start || va < as->code_start)
			as->code_start = va;
		as->code_end = MAX(as->code_end, va + p->filesz);
	}
	as->data_start = MAX(as->data_start, va);
	as->data_end = MAX(as->data_end, va + p->filesz);
}

/* Not too low, and not where the stack is to grow. */
static bool elf_fits(const struct aspace *as, const struct elf *e)
{
	u64 low = e->low + e->bias, high = e->high + e->bias;

	return low >= USER_MIN && high <= USER_END &&
	       (high <= as->stack_top - STACK_MARGIN || low >= as->stack_top);
}

static int elf_map(struct aspace *as, struct elf *e, bool program)
{
	int err = 0;

	if (!elf_fits(as, e))
		return -ENOMEM;
	for (unsigned i = 0; i < e->header.phnum && !err; i++) {
		if (e->phdr[i].type != PT_LOAD || !e->phdr[i].memsz)
			continue;
		err = segment_map(as, e, &e->phdr[i]);
		if (program)
			segment_note(as, e, &e->phdr[i]);
	}
	return err;
}

/* The address of the program headers in memory: AT_PHDR. */
static u64 elf_phdr_address(const struct elf *e)
{
	for (unsigned i = 0; i < e->header.phnum; i++) {
		const struct elf_phdr *p = &e->phdr[i];
		if (p->type == PT_LOAD && p->offset <= e->header.phoff &&
		    e->header.phoff < p->offset + p->filesz)
			return e->header.phoff - p->offset + p->vaddr + e->bias;
	}
	return 0;
}

/* --- the interpreter --- */

static int interpreter_map(struct exec *x, struct file *f)
{
	char *head = kmalloc(EXEC_HEAD, KM_ACCOUNT);
	struct elf e;
	s64 n;
	int err;

	if (!head)
		return -ENOMEM;
	n = file_read_kernel(f, head, EXEC_HEAD, 0);
	err = n < 0 ? n : elf_open(&e, f, head, n);
	if (err == -ENOEXEC)
		err = -ELIBBAD;
	if (!err) {
		if (e.header.type == ET_DYN)
			e.bias = ALIGN_DOWN(x->as->mmap_top - (e.high - e.low), e.align) - e.low;
		err = elf_map(x->as, &e, false);
		x->interp_base = e.low + e.bias;
		x->entry = e.header.entry + e.bias;
	}
	if (n >= 0)
		elf_close(&e);
	kfree(head);
	return err;
}

/* Loads what PT_INTERP names. x->buf may hold the program's headers: it is not touched. */
static int interpreter_load(struct exec *x, const struct elf_phdr *p)
{
	struct file *f;
	char *name;
	s64 n;
	int err;

	if (p->filesz < 2 || p->filesz > PATH_MAX)
		return -ENOEXEC;
	name = kmalloc(p->filesz, KM_ACCOUNT);
	if (!name)
		return -ENOMEM;
	n = file_read_kernel(x->file, name, p->filesz, p->offset);
	if (n != (s64)p->filesz || name[n - 1])
		err = n < 0 ? n : -ENOEXEC;
	else
		err = exec_open(AT_FDCWD, name, 0, &f);
	kfree(name);
	if (err)
		return err;
	err = interpreter_map(x, f);
	exec_close(f); /* the areas hold the file; it may be replaced like any library */
	return err;
}

/* --- the program --- */

static const struct elf_phdr *elf_find(const struct elf *e, u32 type)
{
	for (unsigned i = 0; i < e->header.phnum; i++)
		if (e->phdr[i].type == type)
			return &e->phdr[i];
	return NULL;
}

/* Where a program goes that may lie anywhere. */
static int program_place(struct exec *x, struct elf *e, bool interpreted)
{
	u64 low = ALIGN_DOWN(e->low, e->align), at = ALIGN_DOWN(PIE_BASE, e->align);
	int err = 0;

	if (!interpreted)
		err = aspace_room(x->as, e->high - low + e->align - PAGE_SIZE, &at);
	e->bias = ALIGN_UP(at, e->align) - low;
	return err;
}

static int program_load(struct exec *x, struct elf *e)
{
	const struct elf_phdr *stack = elf_find(e, PT_GNU_STACK), *interp = elf_find(e, PT_INTERP);
	bool anywhere = e->header.type == ET_DYN;
	int err = 0;

	if (anywhere)
		err = program_place(x, e, interp);
	if (!err)
		err = elf_map(x->as, e, true);
	if (err)
		return err;
	x->stack_exec = stack && stack->flags & PF_X;
	x->phdr = elf_phdr_address(e);
	x->phnum = e->header.phnum;
	x->entry = x->program_entry = e->header.entry + e->bias;
	x->as->brk_start = x->as->brk = anywhere && !interp ? PIE_BASE : e->high + e->bias;
	return interp ? interpreter_load(x, interp) : 0;
}

/* What is wrong with it shows when it is loaded; and a script's interpreter is not known yet. */
bool elf_is_low(struct exec *x)
{
	s64 n = file_read_kernel(x->file, x->buf, sizeof(x->buf), 0);
	struct elf e = { 0 };
	bool low = n > 0 && !elf_open(&e, x->file, x->buf, n) && e.header.type == ET_EXEC &&
		   e.high <= LOW_PROGRAM_END && !elf_find(&e, PT_INTERP);

	elf_close(&e);
	return low;
}

int elf_load(struct exec *x)
{
	struct elf e;
	int err = elf_open(&e, x->file, x->buf, x->head_size);

	if (!err)
		err = program_load(x, &e);
	elf_close(&e);
	return err;
}
