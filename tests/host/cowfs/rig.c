/* SPDX-License-Identifier: MIT */
/* rig.c - what tests of files share: contract in rig.h. */
#include <stdio.h>
#include <string.h>

#include "cowfs/rig.h"

u64 rig_seed = 1, rig_draw_state = 1;
const struct cow_time rig_then = { .sec = 1000, .nsec = 5 };
static unsigned tests, failures;

void rig_ok(bool good, const char *what)
{
	failures += !good;
	printf("%sok %u - %s\n", good ? "" : "not ", ++tests, what);
	fflush(stdout);
}

u64 rig_draw(u64 below)
{
	rig_draw_state ^= rig_draw_state << 13; /* xorshift64 (Marsaglia, 2003) */
	rig_draw_state ^= rig_draw_state >> 7;
	rig_draw_state ^= rig_draw_state << 17;
	return rig_draw_state % below;
}

void rig_mount(struct rig *r)
{
	must(!cow_mount(&r->disk, 0, &r->fs));
	must(!cow_volume_find(r->fs, "root", 4, &r->volume));
	must(!cow_inode_get(r->volume, COW_ROOT_INO, &r->root));
}

void rig_unmount(struct rig *r)
{
	cow_inode_put(r->root);
	cow_volume_put(r->volume);
	must(!cow_unmount(r->fs));
}

u64 rig_free_blocks(struct rig *r)
{
	struct cow_space s;

	must(!cow_sync(r->fs));
	must(!cow_sync(r->fs));
	cow_space(r->fs, &s);
	return s.free;
}

struct cow_inode *rig_file_new(struct rig *r, const char *name)
{
	const struct cow_new n = { .mode = 0100644, .now = rig_then };
	struct cow_inode *i;

	must(!cow_create(r->root, name, strlen(name), &n, &i));
	return i;
}

struct cow_inode *rig_file_open(struct rig *r, const char *name)
{
	struct cow_inode *i;
	u64 ino;

	must(!cow_lookup(r->root, name, strlen(name), &ino));
	must(!cow_inode_get(r->volume, ino, &i));
	return i;
}

void rig_file_delete(struct rig *r, struct cow_inode *i, const char *name)
{
	must(!cow_unlink(r->root, name, strlen(name), i, &rig_then));
	cow_inode_put(i);
}

void rig_open(struct rig *r, u64 blocks)
{
	const struct cow_format_options o = { .label = "test", .name_seed = 1, .uuid = { 1 } };
	struct cow_inode *i[30];
	char name[2] = "";

	*r = (struct rig){ .disk = { .name = "memory", .quiet = true }, .live = cow_platform_live };
	must(!disk_memory_open(&r->disk, blocks));
	r->disk.quiet = true;
	must(!cow_format(&r->disk, &o));
	rig_mount(r);
	/* what stays once there were files: leaves of the inode table */
	for (unsigned k = 0; k < ARRAY_SIZE(i); k++) {
		name[0] = 'A' + k;
		i[k] = rig_file_new(r, name);
	}
	for (unsigned k = 0; k < ARRAY_SIZE(i); k++) {
		name[0] = 'A' + k;
		rig_file_delete(r, i[k], name);
	}
	r->free = rig_free_blocks(r);
}

static void print_problem(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

bool rig_is_clean(struct rig *r)
{
	struct cow_check c = { .report = print_problem };

	return !cow_check(r->fs, &c) && !c.problems;
}

void rig_close(struct rig *r, const char *what)
{
	u64 free = rig_free_blocks(r);
	char text[128];
	bool clean;

	if (free != r->free)
		printf("# %lu blocks were free, %lu are\n", (unsigned long)r->free,
		       (unsigned long)free);
	clean = rig_is_clean(r);
	rig_unmount(r);
	disk_memory_close(&r->disk);
	if (cow_platform_live != r->live)
		printf("# %ld allocations are left\n", (long)(cow_platform_live - r->live));
	snprintf(text, sizeof(text), "%s: all blocks and all memory are back", what);
	rig_ok(clean && free == r->free && cow_platform_live == r->live, text);
}

/* Leaves of the tree are as many as the inode says. */
void rig_check_blocks(struct cow_inode *i)
{
	struct cow_root root = cow_file_root(&i->rec);
	u64 n = 0, index = 0;
	struct cow_ptr p;

	cow_lock_read(&i->volume->lock);
	must(!cow_inode_sums(i));
	while (!cow_tree_next(i->volume->fs, &root, &index, &p)) {
		n++;
		index++;
	}
	cow_unlock_read(&i->volume->lock);
	must(n == i->rec.blocks);
}

bool rig_all_zero(const u8 *p, u64 n)
{
	for (u64 k = 0; k < n; k++)
		if (p[k])
			return false;
	return true;
}

int rig_end(void)
{
	printf("1..%u\n", tests);
	return failures != 0;
}
