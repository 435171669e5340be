/* SPDX-License-Identifier: MIT */
/*
 * memory_log.c - where a container's memory lies, as the container may know it: the control
 * files memory.log and memory.address.
 *
 *	echo 1 >/sys/container/3/memory.log	by who manages it, from outside
 *	memory.address, of self			a process writes an address of its own, and reads
 *						"ADDRESS -> GUEST PHYSICAL ADDRESS"
 *
 * While the log is on, each such write also puts "Container + ID : ADDRESS -> KERNEL ADDRESS"
 * into the kernel's log, which only the host reads.
 *
 * Guest physical addresses. A container never learns where in the machine its memory is, so
 * its pages have numbers of its own: a permutation of the machine's page numbers that is
 * keyed by the container. It needs no table, two pages never have one number, and a page keeps
 * its number as long as it is where it is. The permutation is a Feistel network whose round
 * function is ChaCha20 under a key drawn at boot; numbers beyond the last page are
 * sent through it again (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
 */
#include "container/control.h"
#include "arch/x86/boot.h"
#include "core/errno.h"
#include "core/random.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "mm/aspace.h"
#include "mm/page.h"

#define ROUNDS	 6
#define LINE_MAX 64

static u32 key[8]; /* set once at boot */

void memory_log_init(void)
{
	random_bytes(key, sizeof(key));
}

/* One permutation of 2 * half bits for each container. */
static u64 permute(u64 x, u32 id, unsigned half)
{
	u64 mask = BIT(half) - 1, left = x >> half, right = x & mask;

	for (u64 round = 0; round < ROUNDS; round++) {
		u64 f = random_function(key, round << 32 | right, id);
		u64 old = right;

		right = (left ^ f) & mask;
		left = old;
	}
	return left << half | right;
}

static paddr_t guest_phys(paddr_t phys, u32 id)
{
	u64 pages = boot_info.ram[boot_info.ram_count - 1].end >> PAGE_SHIFT, n;
	unsigned half = 1;

	while (BIT(2 * half) < pages)
		half++;
	n = phys >> PAGE_SHIFT;
	do
		n = permute(n, id, half);
	while (n >= pages);
	return n << PAGE_SHIFT | (phys & (PAGE_SIZE - 1));
}

/* -EFAULT: there is no memory at that address of current. */
static int physical_address(u64 address, paddr_t *out)
{
	struct page_run run;

	if (address >= USER_END || !current->aspace ||
	    !aspace_next_run(current->aspace, address, &run) || address < run.va)
		return -EFAULT;
	*out = run.phys + (address - run.va);
	return 0;
}

static int address_open(struct inode *i, struct file *f)
{
	return pseudo_object(i) == current_container() ? 0 : -EPERM;
}

/* f->private is the address. */
static s64 address_write(struct file *f, struct uio *u, u64 *pos)
{
	struct container *c = current_container();
	char text[LINE_MAX];
	size_t n = u->left;
	u64 address;
	paddr_t phys;
	int err;

	if (!n || n >= sizeof(text))
		return -EINVAL;
	if (uio_copy_in(u, text, n) != (s64)n)
		return -EFAULT;
	text[n - (text[n - 1] == '\n')] = 0;
	if (parse_u64(text, &address))
		return -EINVAL;
	err = physical_address(address, &phys);
	if (err)
		return err;
	f->private = (void *)address;
	if (READ_ONCE(c->memory_log))
		printk(LOG_INFO, "Container + %u : 0x%lx -> 0x%lx\n", c->owner.id, address,
		       (u64)phys_to_virt(phys));
	return n;
}

static s64 address_read(struct file *f, struct uio *u, u64 *pos)
{
	u64 address = (u64)f->private;
	char line[LINE_MAX];
	paddr_t phys;
	size_t n;
	s64 copied;
	int err = physical_address(address, &phys);

	if (err)
		return err;
	n = snprintf(line, sizeof(line), "0x%lx -> 0x%lx\n", address,
		     guest_phys(phys, current->owner->id));
	if (*pos >= n)
		return 0;
	copied = uio_copy_out(u, line + *pos, MIN(n - *pos, u->left));
	if (copied > 0)
		*pos += copied;
	return copied;
}

const struct file_ops memory_address_file_ops = {
	.open = address_open,
	.read = address_read,
	.write = address_write,
};

int show_memory_log(void *object, struct text *t)
{
	struct container *c = object;

	text_printf(t, "%d\n", READ_ONCE(c->memory_log));
	return 0;
}

int store_memory_log(void *object, char *s, size_t n)
{
	struct container *c = object;

	if (strcmp(s, "0") && strcmp(s, "1"))
		return -EINVAL;
	WRITE_ONCE(c->memory_log, *s == '1');
	return 0;
}
