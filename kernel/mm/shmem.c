/* SPDX-License-Identifier: MIT */
/*
 * shmem.c - shared anonymous memory (mmap MAP_SHARED|MAP_ANONYMOUS): a mapping
 * without an inode, counted by the areas that show it. Its pages are charged to
 * whoever touches them first. Shown as /dev/zero (deleted), as on Linux.
 */
#include "core/errno.h"
#include "core/task.h"
#include "mm/pagecache.h"
#include "mm/slab.h"
#include "mm/aspace.h"

struct shmem {
	struct mapping mapping;
	ref_t refs;
	u64 size; /* bytes; constant */
};

static inline struct shmem *shmem_of(struct mapping *m)
{
	return container_of(m, struct shmem, mapping);
}

static u64 shmem_size(struct mapping *m)
{
	return shmem_of(m)->size;
}
static const struct mapping_ops shmem_mapping_ops = { .size = shmem_size };

int shmem_create(u64 len, struct mapping **out)
{
	struct shmem *s = kmalloc(sizeof(*s), KM_ACCOUNT);

	if (!s)
		return -ENOMEM;
	mapping_init(&s->mapping, &shmem_mapping_ops, NULL);
	ref_init(&s->refs, 1);
	s->size = ALIGN_UP(len, PAGE_SIZE);
	*out = &s->mapping;
	return 0;
}

void shmem_put(struct mapping *m)
{
	struct shmem *s = shmem_of(m);

	if (!ref_put(&s->refs))
		return;
	mapping_truncate(m, 0);
	mapping_destroy(m);
	kfree(s);
}

static void shmem_open(struct vma *v)
{
	ref_get(&shmem_of(v->mapping)->refs);
}

static void shmem_close(struct vma *v)
{
	shmem_put(v->mapping);
}

static int shmem_fault(struct vma *v, u64 pgoff, bool write, struct page **out)
{
	if (pgoff >= shmem_of(v->mapping)->size >> PAGE_SHIFT)
		return -EFAULT;
	return mapping_get(v->mapping, pgoff, out);
}

static const char *shmem_name(struct vma *v)
{
	return "/dev/zero (deleted)";
}

const struct vm_ops shmem_vm_ops = {
	.open = shmem_open,
	.close = shmem_close,
	.fault = shmem_fault,
	.name = shmem_name,
};
