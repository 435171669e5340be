/* SPDX-License-Identifier: MIT */
/*
 * check.c - fsck: everything that the superblock leads to is walked, and what cowfs says of
 * itself is computed again from that.
 *
 *	cow_check.repair = false	says what is wrong, changes nothing (what is dirty is
 *					committed first)
 *	                 = true		sets right what can be, in ordinary operations, and commits
 *
 * The order: superblocks; all trees, each block once, by which the number of pointers to each
 * block is known (check_blocks.c); the counts (check_counts.c); then, per volume, names and lists
 * (check_names.c). Volumes go by base_birth, so a block that clones share is first met in the
 * volume that it was born in, and is counted there.
 *
 * What is set right (check_repair.c): reference counts, quotas, link counts, lists, second copies
 * of blocks, names of what is not there (taken away), files without names (they get one in
 * /lost+found of their volume). What is not: a block whose checksum is wrong. Who reads it gets
 * -EIO; what it held is in no other place.
 */
#include "fs/cowfs/check.h"

#define CHUNK_BYTES (64u << 10)

int sparse_init(struct sparse *a, u64 entries, u32 size)
{
	u64 chunks = DIV_ROUND_UP(entries * size, (u64)CHUNK_BYTES);

	*a = (struct sparse){ .entries = entries, .size = size, .chunks = chunks };
	if (chunks > (2u << 20) / sizeof(*a->chunk))
		return -EFBIG;
	a->chunk = cow_alloc(MAX(chunks, 1ul) * sizeof(*a->chunk));
	return a->chunk ? 0 : -ENOMEM;
}

void *sparse_peek(struct sparse *a, u64 n)
{
	u64 per = CHUNK_BYTES / a->size;

	if (n >= a->entries || n / per >= a->chunks || !a->chunk[n / per])
		return NULL;
	return a->chunk[n / per] + n % per * a->size;
}

void *sparse_get(struct sparse *a, u64 n)
{
	u64 per = CHUNK_BYTES / a->size;

	if (n >= a->entries || n / per >= a->chunks)
		return NULL;
	if (!a->chunk[n / per])
		a->chunk[n / per] = cow_alloc(CHUNK_BYTES);
	return sparse_peek(a, n);
}

void sparse_free(struct sparse *a)
{
	for (u64 n = 0; a->chunk && n < a->chunks; n++)
		cow_free(a->chunk[n]);
	cow_free(a->chunk);
	*a = (struct sparse){ 0 };
}

static void say(struct checker *k, const char *fmt, va_list ap)
{
	char text[384];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (k->c->report)
		k->c->report(k->c->arg, text);
}

void check_problem(struct checker *k, const char *fmt, ...)
{
	va_list ap;

	k->c->problems++;
	va_start(ap, fmt);
	say(k, fmt, ap);
	va_end(ap);
}

void check_note(struct checker *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(k, fmt, ap);
	va_end(ap);
}

void check_repaired(struct checker *k, const char *fmt, ...)
{
	va_list ap;

	k->c->repaired++;
	va_start(ap, fmt);
	say(k, fmt, ap);
	va_end(ap);
}

struct cow_volume_record *check_record(struct checker *k)
{
	return k->volume ? &k->volume->rec : &k->fs->meta->rec;
}

static int check_all(struct checker *k)
{
	int err = check_supers(k);

	if (!err)
		err = check_walk(k);
	k->volume = NULL;
	if (!err)
		err = check_counts(k);
	if (!err)
		err = check_names(k);
	for (u64 n = 0; !err && n < k->volume_count; n++) {
		k->volume = &k->volumes[n];
		if (k->volume->rec.mode == COW_S_VOLUME)
			err = check_names(k);
	}
	k->volume = NULL;
	return err;
}

/* Counts alone make nothing dirty, so a commit would find nothing to do: the meta volume's root is
 * written, too. */
static int commit_repairs(struct cow_fs *fs)
{
	union cow_record *r;
	struct cow_buf *leaf;
	struct cow_op op;
	int err = cow_op_begin(fs->meta, COW_OP_META, COW_OP_FREES, &op);

	if (err)
		return err;
	err = cow_record_write(fs->meta, COW_ROOT_INO, &leaf, &r);
	if (!err)
		cow_buf_put(leaf);
	cow_op_end(&op);
	return err ? err : cow_sync(fs);
}

int cow_check(struct cow_fs *fs, struct cow_check *c)
{
	struct checker k = { .fs = fs, .c = c };
	u64 problems = c->problems;
	int err = fs->flags & COW_MOUNT_READ_ONLY ? 0 : cow_sync(fs);

	if (err)
		return err;
	k.clean = !fs->dirty_count && list_empty(&fs->dirty_volumes);
	err = sparse_init(&k.blocks, fs->super.blocks, sizeof(struct check_block));
	if (!err)
		err = check_all(&k);
	sparse_free(&k.blocks);
	sparse_free(&k.inodes);
	cow_free(k.volumes);
	if (!err && c->repair && c->problems > problems)
		err = commit_repairs(fs);
	return err;
}
