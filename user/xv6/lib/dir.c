/* SPDX-License-Identifier: MIT */
/*
 * dir.c - a directory as xv6 reads it: entries of 16 bytes, a number and a name.
 *
 * Nothing is kept between two reads: after those that fit were taken, the descriptor is
 * put behind the last one (d_off of getdents64), so copies of it, and children, go on from there.
 */
#include <linux/fcntl.h>
#include <asm/unistd_64.h>

#include "lib.h"

#define NAME_BYTES 14

struct entry {
	unsigned short number;
	char name[NAME_BYTES];
};

struct linux_entry { /* man 2 getdents64 */
	unsigned long ino;
	long next;
	unsigned short length;
	unsigned char type;
	char name[];
};

static void entry_fill(struct entry *e, const struct linux_entry *from)
{
	uint length = strlen(from->name);

	memset(e, 0, sizeof *e);
	e->number = (unsigned short)from->ino;
	if (!e->number)
		e->number = 1;
	memmove(e->name, from->name, (int)(length < NAME_BYTES ? length : NAME_BYTES));
}

int xv6_read_directory(int fd, void *buf, int n)
{
	char raw[1024] __attribute__((aligned(8)));
	struct entry *to = buf;
	int room = n / (int)sizeof *to, taken = 0;
	long got = CALL(__NR_getdents64, fd, raw, sizeof raw), at = 0, next = 0;

	if (got < 0)
		return -1;
	while (taken < room && at < got) {
		const struct linux_entry *from = (const struct linux_entry *)(raw + at);

		entry_fill(&to[taken++], from);
		next = from->next;
		at += from->length;
	}
	if (at < got)
		CALL(__NR_lseek, fd, next, 0 /* SEEK_SET */);
	return taken * (int)sizeof *to;
}
