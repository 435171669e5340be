/* SPDX-License-Identifier: MIT */
/*
 * cowfs_fuzz_test.c - corrupt images: cowfs says -EIO, or what it can; it does not crash, hang or
 * touch memory that is not its own.
 *
 *	cowfs_fuzz_test                         the share of ./test
 *	cowfs_fuzz_test --images N [--seed S]   N distinct images (make cowfuzz)
 *	cowfs_fuzz_test --seed S --images 1     one again
 *
 * An image is that of a filesystem in use (some with a log to be replayed), with a few fields of
 * a few blocks changed: mostly blocks that are in use, to values that matter there; and mostly
 * all checksums are computed again from the leaves up, so that what is wrong is believed. Then it
 * is mounted, walked, read, written, checked and repaired.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cowfs/world.h"

#define BLOCKS	340
#define BASES	6
#define SECONDS 60 /* for one image: more is a hang */

struct target {
	u64 addr;
	struct cow_shape shape; /* tree 0: superblock, 4: log, 5: counts */
};
struct base {
	u8 *bytes;
	struct target *target;
	u64 targets, room;
};

static struct base bases[BASES];
static struct base *base;
static u8 *image;
static bool *seen;
static struct rnd rnd;
static u64 image_seed, mounted, repaired, clean;

/* --- the base images --- */

static u8 *block_at(u64 addr)
{
	return image + addr * COW_BLOCK;
}

static struct cow_super *newest(void)
{
	struct cow_super *a = (void *)block_at(0), *b = (void *)block_at(1);

	if (a->magic != COW_MAGIC)
		return b;
	return b->magic == COW_MAGIC && b->generation > a->generation ? b : a;
}

static void target_add(u64 addr, struct cow_shape s)
{
	if (base->targets == base->room) {
		base->room = base->room ? 2 * base->room : 256;
		base->target = realloc(base->target, base->room * sizeof(*base->target));
	}
	base->target[base->targets++] = (struct target){ addr, s };
}

/* Finds all blocks in use, or (again) computes what they and their pointers' checksums must be. */
static int fix_pointer(void *arg, struct cow_ptr *p, struct cow_shape s)
{
	/* copies: a wrong mirror may lead to the block that p lies in */
	u64 addr = p->addr, mirror = p->mirror;
	bool *collect = arg;

	if (addr >= BLOCKS)
		return 0;
	if (!seen[addr] && s.level <= COW_DEPTH_MAX) {
		seen[addr] = true;
		if (*collect)
			target_add(addr, s);
		cow_block_pointers(s, block_at(addr), fix_pointer, arg);
	}
	p->csum = cow_checksum(block_at(addr), COW_BLOCK);
	if (mirror && mirror < BLOCKS && mirror != addr)
		memcpy(block_at(mirror), block_at(addr), COW_BLOCK);
	return 0;
}

static void fix_log(struct cow_super *s, bool collect)
{
	u64 at = s->log_start;

	for (u64 n = 0; n < 8 && at < BLOCKS - 4; n++) {
		struct cow_log_record *r = (void *)block_at(at);

		if (r->magic != COW_LOG_MAGIC || r->bytes > 4 * COW_BLOCK || r->bytes < sizeof(*r))
			return;
		if (collect)
			target_add(at, (struct cow_shape){ 4, 0 });
		for (u64 k = 0; k < r->count && (u8 *)&r->extent[k + 1] <= (u8 *)r + r->bytes; k++)
			if (r->extent[k].ptr.addr < BLOCKS)
				r->extent[k].ptr.csum =
					cow_checksum(block_at(r->extent[k].ptr.addr), COW_BLOCK);
		r->csum = 0;
		r->csum = cow_checksum(r, r->bytes);
		at += (r->bytes + COW_BLOCK - 1) / COW_BLOCK;
	}
}

/* What the superblock lists is there. */
static void fix_list(struct cow_super *s)
{
	for (u64 n = 0; n < MIN(s->listed, (u64)COW_LIST_MAX); n++)
		if (s->list[n].addr < BLOCKS)
			s->list[n].csum = cow_checksum(block_at(s->list[n].addr), COW_BLOCK);
}

static void fix(bool collect)
{
	struct cow_super *s = newest();
	u64 counts = s->counts_start + s->counts.slot;

	memset(seen, 0, BLOCKS);
	if (s->meta.depth <= COW_DEPTH_MAX)
		fix_pointer(&collect, &s->meta.table,
			    (struct cow_shape){ COW_TREE_TABLE, s->meta.depth });
	if (s->counts.slot < 2 && counts < BLOCKS) {
		if (collect)
			target_add(counts, (struct cow_shape){ 5, 0 });
		s->counts.csum = cow_checksum(block_at(counts), COW_BLOCK);
	}
	fix_log(s, collect);
	if (collect || !rnd_one_in(&rnd, 3))
		fix_list(s);
	s->csum = cow_checksum(s, offsetof(struct cow_super, csum));
	if (collect)
		target_add((u8 *)s == block_at(1), (struct cow_shape){ 0, 0 });
	memcpy(block_at(BLOCKS - 2 + ((u8 *)s == block_at(1))), s, COW_BLOCK);
}

/* Of three bases one was unmounted, one was left with a log, one with a list only. */
static bool base_ready(struct cow_fs *fs, u64 n)
{
	return n % 3 == 0 || (n % 3 == 1 ? fs->log_next : fs->super.listed && !fs->log_next);
}

static void make_base(u64 n)
{
	static struct world w;
	struct totals t = { 0 };

	world_init(&w, 100 + n, &t);
	cow_platform_seed = 100 + n;
	world_format(&w, BLOCKS);
	world_mount(&w);
	w.fs->list_max = COW_LIST_MAX;
	for (u64 k = 0; k < 120 || (k < 2000 && !base_ready(w.fs, n)); k++)
		world_step(&w);
	if (n % 3)
		world_crash_only(&w);
	else
		world_unmount(&w);
	base = &bases[n];
	base->bytes = malloc(BLOCKS * COW_BLOCK);
	memcpy(base->bytes, w.disk.stable, BLOCKS * COW_BLOCK);
	memcpy(image, base->bytes, BLOCKS * COW_BLOCK);
	fix(true);
	world_free(&w);
}

/* --- corruption --- */

static u64 odd_value(void)
{
	static const u64 odd[] = {
		0,	 1,	     2,		 3,	     7,		 8,	 15,	 16,
		127,	 128,	     255,	 256,	     4096,	 0x7fff, 0x8000, 0xffff,
		0x10000, 0x7fffffff, 0xffffffff, 1ull << 47, 1ull << 63, ~0ull,	 BLOCKS, BLOCKS - 2
	};

	switch (rnd_below(&rnd, 4)) {
	case 0:
		return base->target[rnd_below(&rnd, base->targets)].addr;
	case 1:
		return rnd_next(&rnd);
	default:
		return odd[rnd_below(&rnd, ARRAY_SIZE(odd))];
	}
}

/* Where fields are: near the start, in a record, anywhere. */
static u64 choose_place(const struct target *t, u64 size)
{
	u64 at = rnd_below(&rnd, COW_BLOCK);

	if (!t->shape.tree)
		at = rnd_below(&rnd, rnd_one_in(&rnd, 2) ? 500 : 800); /* its list */
	else if (t->shape.tree == COW_TREE_TABLE && !t->shape.level)
		at = rnd_below(&rnd, 16) * 256 + rnd_below(&rnd, 256);
	else if (rnd_one_in(&rnd, 2))
		at = rnd_below(&rnd, 480);
	else if (rnd_one_in(&rnd, 8))
		at = COW_BLOCK - 1 - rnd_below(&rnd, 64);
	return at - at % size;
}

static void corrupt(void)
{
	const struct target *t = &base->target[rnd_below(&rnd, base->targets)];
	u64 size = 1ull << rnd_below(&rnd, 4), value = odd_value(), now = 0, at;
	u8 *place;

	if (rnd_one_in(&rnd, 8)) /* the few that matter for all */
		t = &base->target[base->targets - 1 - rnd_below(&rnd, 3)];
	at = choose_place(t, size);
	place = block_at(t->addr) + at;
	memcpy(&now, place, size);
	switch (rnd_below(&rnd, 6)) {
	case 0:
		value = now + 1;
		break;
	case 1:
		value = now - 1;
		break;
	case 2:
		value = now ^ 1ull << rnd_below(&rnd, 8 * size);
		break;
	case 3: { /* a pointer's worth from another block, of its sort or not */
		const struct target *o = &base->target[rnd_below(&rnd, base->targets)];

		at -= at % 32;
		memcpy(block_at(t->addr) + at, block_at(o->addr) + (rnd_below(&rnd, 128) * 32), 32);
		return;
	}
	default:
		break;
	}
	memcpy(place, &value, size);
}

/* --- use --- */

static bool see_name(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	u64 *left = arg;

	(void)name, (void)len, (void)ino, (void)type, (void)next;
	return --*left != 0;
}

static void use_inode(struct cow_volume *v, u64 ino)
{
	static u8 buf[3 * COW_BLOCK];
	struct cow_time now = { .sec = 1 };
	char text[COW_BLOCK];
	struct cow_inode *i;
	u64 pos = 0, left = 300;
	size_t len;

	if (cow_inode_get(v, ino, &i))
		return;
	cow_xattr_list(i, text, sizeof(text), &len);
	cow_xattr_get(i, "user.1", text, sizeof(text), &len);
	switch (i->rec.mode & COW_S_TYPE) {
	case COW_S_DIR:
		cow_readdir(i, &pos, see_name, &left);
		cow_lookup(i, "n1", 2, &pos);
		break;
	case COW_S_LINK:
		cow_readlink(i, text, sizeof(text));
		break;
	case COW_S_FILE:
		cow_file_read(i, 0, buf, sizeof(buf));
		cow_file_seek(i, &pos, true);
		cow_file_read(i, pos, buf, sizeof(buf));
		if (rnd_one_in(&rnd, 4))
			cow_file_write(i, rnd_below(&rnd, 50000), "some bytes", 10, &now);
		if (rnd_one_in(&rnd, 8))
			cow_file_truncate(i, rnd_below(&rnd, 50000), &now);
		if (rnd_one_in(&rnd, 8))
			cow_file_punch(i, 0, 20000, &now);
		if (rnd_one_in(&rnd, 8))
			cow_file_allocate(i, 0, 20000, false, true, &now);
		if (rnd_one_in(&rnd, 8))
			cow_fsync(i, false);
	}
	if (rnd_one_in(&rnd, 6))
		cow_xattr_set(i, "user.2", buf, 100, 0, &now);
	cow_inode_put(i);
}

static void use_names(struct cow_volume *v)
{
	struct cow_new n = { .mode = COW_S_FILE | 0600 };
	struct cow_inode *dir, *i;
	char name[32];
	u64 ino;

	if (cow_inode_get(v, rnd_one_in(&rnd, 3) ? rnd_below(&rnd, 20) : 1, &dir))
		return;
	for (u64 k = 0; k < 6; k++) {
		snprintf(name, sizeof(name), "n%lu", (unsigned long)rnd_below(&rnd, 40));
		n.mode = rnd_one_in(&rnd, 2) ? COW_S_DIR : COW_S_FILE;
		if (rnd_one_in(&rnd, 2) && !cow_create(dir, name, strlen(name), &n, &i)) {
			cow_link(i, dir, "another", 7, &n.now);
			cow_inode_put(i);
		} else if (!cow_lookup(dir, name, strlen(name), &ino) &&
			   !cow_inode_get(v, ino, &i)) {
			if (rnd_one_in(&rnd, 2))
				cow_rename(dir, name, strlen(name), i, dir, "moved", 5, NULL, false,
					   &n.now);
			else
				cow_unlink(dir, name, strlen(name), i, &n.now);
			cow_inode_put(i);
		}
	}
	cow_inode_put(dir);
}

static int see_difference(void *arg, enum cow_difference what, u64 ino,
			  const struct cow_inode_record *old, const struct cow_inode_record *now)
{
	u64 *left = arg;

	(void)what, (void)ino, (void)old, (void)now;
	return --*left ? 0 : -EINTR;
}

static void use_volumes(struct cow_fs *fs)
{
	struct cow_volume_info info;
	struct cow_volume *v, *clone;
	u64 pos = 0, left = 500;

	for (u64 n = 0; n < 10 && !cow_volume_next(fs, &pos, &info); n++) {
		if (cow_volume_get_id(fs, info.id, &v))
			continue;
		for (u64 ino = 0; ino < 40; ino++)
			use_inode(v, ino);
		use_names(v);
		if (rnd_one_in(&rnd, 3) && !cow_volume_clone(v, "a clone", 7, 0, &clone)) {
			use_names(clone);
			cow_volume_diff(v, clone, see_difference, &left);
			cow_volume_put(clone);
		}
		cow_volume_put(v);
		if (rnd_one_in(&rnd, 3))
			cow_volume_delete(fs, info.name, strlen(info.name));
	}
}

static u64 check(struct cow_fs *fs, bool repair)
{
	struct cow_check c = { .repair = repair };
	int err = cow_check(fs, &c);

	return err ? ~0ull : c.problems;
}

static int memory_read(struct cow_platform *p, u64 addr, void *const *data, unsigned count)
{
	(void)p;
	for (unsigned n = 0; n < count; n++)
		memcpy(data[n], block_at(addr + n), COW_BLOCK);
	return 0;
}

static int memory_write(struct cow_platform *p, u64 addr, const void *const *data, unsigned count)
{
	(void)p;
	for (unsigned n = 0; n < count; n++)
		memcpy(block_at(addr + n), data[n], COW_BLOCK);
	return 0;
}

static int memory_flush(struct cow_platform *p)
{
	(void)p;
	return 0;
}

static const struct cow_disk_ops memory_ops = { memory_read, memory_write, memory_flush };

static void use(void)
{
	struct cow_platform p = {
		.ops = &memory_ops, .blocks = BLOCKS, .quiet = true, .name = "image"
	};
	u64 kind = rnd_below(&rnd, 4);
	struct cow_fs *fs;

	if (cow_mount(&p, rnd_one_in(&rnd, 8) ? COW_MOUNT_READ_ONLY : 0, &fs))
		return;
	mounted++;
	if (kind == 0)
		clean += !check(fs, false);
	if (kind == 1 && !fs->error)
		for (u64 n = 0; n < 3 && !fs->error; n++)
			if (!check(fs, true)) {
				repaired += n > 0;
				break;
			}
	use_volumes(fs);
	for (u64 n = 0; n < 4; n++)
		cow_work(fs, n == 2);
	cow_sync(fs);
	if (kind < 3)
		check(fs, kind == 2);
	cow_unmount(fs);
}

/* --- all --- */

static void ended(int sig)
{
	static char text[128];
	int n = snprintf(text, sizeof(text),
			 "not ok 1 - image %lu: %s (cowfs_fuzz_test --images 1 --seed %lu)\n",
			 (unsigned long)image_seed, sig == SIGALRM ? "hangs" : "aborts",
			 (unsigned long)image_seed);

	if (write(1, text, n) < 0)
		_exit(2);
	_exit(1);
}

static u64 image_hash(void)
{
	return cow_checksum(image, BLOCKS * COW_BLOCK);
}

int main(int argc, char **argv)
{
	u64 images = 1500, seed = 1, n = 0;
	struct set distinct = { 0 };
	s64 live;

	for (int k = 1; k + 1 < argc; k += 2) {
		if (!strcmp(argv[k], "--images"))
			images = strtoull(argv[k + 1], NULL, 0);
		else if (!strcmp(argv[k], "--seed"))
			seed = strtoull(argv[k + 1], NULL, 0);
		else
			return printf("Usage: cowfs_fuzz_test [--images N] [--seed N]\n"), 2;
	}
	image = malloc(BLOCKS * COW_BLOCK);
	seen = calloc(BLOCKS, sizeof(*seen));
	for (u64 k = 0; k < BASES; k++)
		make_base(k);
	signal(SIGABRT, ended);
	signal(SIGALRM, ended);
	live = cow_platform_live;
	for (; distinct.count < images; n++) {
		image_seed = seed + n;
		rnd.state = image_seed;
		base = &bases[rnd_below(&rnd, BASES)];
		memcpy(image, base->bytes, BLOCKS * COW_BLOCK);
		for (u64 k = 1 + rnd_below(&rnd, 3); k; k--)
			corrupt();
		if (!rnd_one_in(&rnd, 6))
			fix(false);
		cow_platform_seed = image_seed | 1;
		if (!set_add(&distinct, image_hash()))
			continue;
		alarm(SECONDS);
		use();
		alarm(0);
		if (cow_platform_live != live) {
			printf("not ok 1 - image %lu: memory is lost\n1..1\n",
			       (unsigned long)image_seed);
			return 1;
		}
		if (n % 10000 == 9999)
			printf("# %lu distinct images\n", (unsigned long)distinct.count),
				fflush(stdout);
	}
	printf("# %lu distinct images: %lu could be mounted, fsck found %lu without fault and "
	       "repaired %lu\n",
	       (unsigned long)distinct.count, (unsigned long)mounted, (unsigned long)clean,
	       (unsigned long)repaired);
	printf("ok 1 - corrupt images: no crash, no hang, no memory lost\n1..1\n");
	set_free(&distinct);
	return 0;
}
