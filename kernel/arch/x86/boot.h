/* SPDX-License-Identifier: MIT */
/*
 * boot.h - what the loader told us (PVH start_info or multiboot2), copied into
 * kernel memory before anything is allocated.
 */
#ifndef ARCH_BOOT_H
#define ARCH_BOOT_H

#include "lib/types.h"

#define BOOT_RANGES_MAX 64

struct boot_range {
	paddr_t start, end; /* page-aligned inwards for RAM */
};

struct boot_info {
	char cmdline[2048];
	struct boot_range ram[BOOT_RANGES_MAX]; /* usable, sorted, not overlapping */
	unsigned ram_count;
	struct boot_range
		reserved[BOOT_RANGES_MAX]; /* inside ram: kernel image, initrd, boot data */
	unsigned reserved_count;
	paddr_t initrd_start, initrd_end; /* 0, 0: none */
	paddr_t rsdp;			  /* 0: scan */
	const char *loader;		  /* "pvh", "multiboot2" */
};

extern struct boot_info boot_info;

/*
 * The value of "key=value" on the command line, copied; false if the key is not
 * there. A bare "key" gives "". nth 0: the last one wins; nth 1, 2, ...: the
 * first, second, ... of a key that may be repeated.
 */
bool boot_option(const char *key, unsigned nth, char *value, size_t size);

#endif
