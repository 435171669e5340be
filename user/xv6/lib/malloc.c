/* SPDX-License-Identifier: MIT */
/*
 * malloc.c - malloc and free on sbrk: blocks with their size before them. Free blocks form
 * a list by address, in which neighbours are joined; the first that is large enough is taken.
 */
#include "lib.h"

#define ALIGN 16ul
#define CHUNK 65536ul /* asked of the kernel at a time */

struct block {
	unsigned long size; /* this head included */
	struct block *next; /* while it is free */
};

static struct block *free_blocks;

static void block_free(struct block *b)
{
	struct block **at = &free_blocks;

	while (*at && *at < b && (char *)*at + (*at)->size != (char *)b)
		at = &(*at)->next;
	if (*at && (char *)*at + (*at)->size == (char *)b) {
		(*at)->size += b->size;
		b = *at;
	} else {
		b->next = *at;
		*at = b;
	}
	if ((char *)b + b->size == (char *)b->next) {
		b->size += b->next->size;
		b->next = b->next->next;
	}
}

static int more(unsigned long size)
{
	unsigned long n = (size + CHUNK - 1) / CHUNK * CHUNK;
	struct block *b;

	if (n > 0x7fffffff - ALIGN)
		return -1;
	b = (struct block *)sbrk((int)n);
	if (b == (struct block *)-1)
		return -1;
	b->size = n;
	block_free(b);
	return 0;
}

void *malloc(uint size)
{
	unsigned long want = (size + sizeof(struct block) + ALIGN - 1) / ALIGN * ALIGN;

	for (;;) {
		for (struct block **at = &free_blocks; *at; at = &(*at)->next) {
			struct block *b = *at;

			if (b->size < want)
				continue;
			if (b->size >= want + 2 * sizeof *b) {
				b->size -= want;
				b = (struct block *)((char *)b + b->size);
				b->size = want;
			} else {
				*at = b->next;
			}
			return b + 1;
		}
		if (more(want) < 0)
			return (void *)0;
	}
}

void free(void *p)
{
	if (p)
		block_free((struct block *)p - 1);
}
