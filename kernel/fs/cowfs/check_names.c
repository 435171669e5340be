/* SPDX-License-Identifier: MIT */
/*
 * check_names.c - fsck, one volume at a time: directories, links, lists, and what the volume's
 * record says (contract: check.h).
 *
 *	1  all records of the table: which inodes there are
 *	2  directories from the root on, breadth first: each entry names an inode that is there
 *	3  directories that this did not reach, so that what is in them counts as named
 *	4  link counts; what no entry names
 *	5  free numbers and orphans are chained as they should be
 *	6  inodes and blocks in the volume's record
 *
 * Blocks that clones share are looked at once per volume here, since each of them has the names;
 * they are in memory by then. The meta volume goes the same way: its directory names volumes.
 */
#include "fs/cowfs/check.h"

static bool is_dir(const struct check_inode *i)
{
	return (i->mode & COW_S_TYPE) == COW_S_DIR;
}

/* --- 1: records --- */

static int see_record(struct checker *k, u64 ino, const union cow_record *r)
{
	struct check_inode *i;

	if (r->mode == COW_S_FREE && (ino >= check_record(k)->next_ino || !ino))
		return 0;
	i = sparse_get(&k->inodes, ino);
	if (!i)
		return ino < k->inodes.entries ? -ENOMEM : 0;
	k->top_ino = ino;
	*i = (struct check_inode){ .mode = r->mode, .nlink = r->inode.nlink };
	if (r->mode == COW_S_FREE) {
		i->state = SEEN_FREE;
		k->free_records++;
		return 0;
	}
	i->state = SEEN_USED;
	if (r->mode == COW_S_VOLUME) {
		i->generation = r->volume.generation;
		i->nlink = r->volume.nlink;
	} else if (r->mode == COW_S_DEAD) {
		i->nlink = r->dead.nlink;
	} else {
		i->generation = r->inode.generation;
		if (r->inode.flags & COW_INODE_ORPHAN)
			i->state |= SEEN_ORPHAN;
		if (r->inode.flags & ~(COW_INODE_ORPHAN | COW_INODE_CUT))
			check_problem(k, "volume %lu: inode %lu: flags 0x%x", check_volume_id(k),
				      ino, r->inode.flags);
	}
	k->used_inodes++;
	k->orphans += (i->state & SEEN_ORPHAN) != 0;
	if (ino >= check_record(k)->next_ino || !ino)
		check_problem(k, "volume %lu: inode %lu: no such number was ever given",
			      check_volume_id(k), ino);
	return 0;
}

static int unreadable(struct checker *k, int err, const char *what, u64 ino)
{
	if (err != -EIO)
		return err;
	/* the walk over all blocks has said so, if it met this block in this volume */
	k->unread = true;
	cow_log(k->fs->platform, "volume %lu: %s %lu cannot be read", check_volume_id(k), what,
		ino);
	return 0;
}

static int see_records(struct checker *k)
{
	struct cow_volume_record r = *check_record(k);
	const struct cow_root root = cow_table_root(&r);
	const struct cow_shape s = { COW_TREE_TABLE, 0 };
	struct cow_ptr p;
	struct cow_buf *b;
	int err;

	for (u64 index = 0;; index++) {
		err = cow_tree_next(k->fs, &root, &index, &p);
		if (err)
			return err == -ENOENT ? 0 : unreadable(k, err, "table leaf", index);
		if (index * COW_INODES_PER_LEAF >= k->inodes.entries) {
			check_problem(k, "volume %lu: inode %lu: no disk of this size has so many",
				      check_volume_id(k), index * COW_INODES_PER_LEAF);
			return 0;
		}
		err = cow_buf_read(k->fs, &p, s, &b);
		if (err) {
			err = unreadable(k, err, "table leaf", index);
			if (err)
				return err;
			continue;
		}
		for (u32 n = 0; !err && n < COW_INODES_PER_LEAF; n++)
			err = see_record(k, index * COW_INODES_PER_LEAF + n,
					 &((struct cow_inode_leaf *)cow_buf_data(b))->record[n]);
		cow_buf_put(b);
		if (err)
			return err;
	}
}

/* --- 2 and 3: directories --- */

struct names {
	struct checker *k;
	u64 dir;
	struct check_inode *inode; /* dir's */
	struct check_inode *last;  /* of the queue; NULL: what is found is not reached */
};

static int see_entry(struct names *w, const struct cow_dirent *e)
{
	struct checker *k = w->k;
	struct check_inode *i = sparse_peek(&k->inodes, e->ino);
	u64 v = check_volume_id(k);
	int len = e->name_len;

	if (!e->ino || !i || !(i->state & SEEN_USED)) {
		/* what could not be read may well be there */
		if (!k->unread)
			check_problem(
				k, "volume %lu: inode %lu: entry \"%.*s\": there is no inode %lu",
				v, w->dir, len, e->name, e->ino);
		return k->unread ? 0 : repair_entry(k, w->dir, e->name, e->name_len);
	}
	if (e->generation != i->generation) {
		check_problem(k,
			      "volume %lu: inode %lu: entry \"%.*s\": generation of inode %lu: "
			      "expected %u, found %u",
			      v, w->dir, len, e->name, e->ino, i->generation, e->generation);
		return repair_entry(k, w->dir, e->name, e->name_len);
	}
	if (k->volume ? e->type != (i->mode & COW_S_TYPE) >> 12 : i->mode != COW_S_VOLUME)
		check_problem(k,
			      "volume %lu: inode %lu: entry \"%.*s\": type: expected %u, found %u",
			      v, w->dir, len, e->name, (i->mode & COW_S_TYPE) >> 12, e->type);
	i->found++;
	if (is_dir(i)) {
		w->inode->subdirs++;
		if (i->found > 1 || e->ino == COW_ROOT_INO)
			check_problem(k,
				      "volume %lu: inode %lu: directory inode %lu has another name "
				      "\"%.*s\"",
				      v, w->dir, e->ino, len, e->name);
	}
	if (w->last && !(i->state & SEEN_REACHED)) {
		i->state |= SEEN_REACHED;
		if (is_dir(i)) {
			w->last->next = e->ino;
			w->last = i;
		}
	}
	return 0;
}

static int see_leaf(struct names *w, const struct cow_dir_leaf *l)
{
	int err = 0;

	for (u32 n = 0, at = 16; !err && n < l->count; n++) {
		const struct cow_dirent *e = (const void *)((const char *)l + at);

		/* the walk over all blocks has said so */
		if (at + sizeof(*e) > COW_BLOCK || at + sizeof(*e) + e->name_len > COW_BLOCK ||
		    e->name_len > COW_NAME_MAX)
			break;
		err = see_entry(w, e);
		at += ALIGN_UP(sizeof(*e) + e->name_len, 8);
	}
	return err;
}

static int see_dir_block(struct names *w, const struct cow_ptr *p, u8 level)
{
	const struct cow_shape s = { COW_TREE_DIR, level };
	struct cow_buf *b;
	int err;

	if (!p->addr)
		return 0;
	err = cow_buf_read(w->k->fs, p, s, &b);
	if (err)
		return unreadable(w->k, err, "directory", w->dir);
	if (!level) {
		err = see_leaf(w, cow_buf_data(b));
	} else {
		const struct cow_dir_node *d = cow_buf_data(b);

		for (u32 n = 0; !err && n < MIN(d->count, COW_DIR_FANOUT); n++)
			err = see_dir_block(w, &d->ptr[n], level - 1);
	}
	cow_buf_put(b);
	return err;
}

static int see_dir(struct names *w, u64 ino)
{
	struct cow_volume_record r = *check_record(w->k);
	const struct cow_root root = cow_table_root(&r);
	const struct cow_shape s = { COW_TREE_TABLE, 0 };
	struct cow_inode_record dir;
	struct cow_ptr p;
	struct cow_buf *b;
	int err;

	w->dir = ino;
	w->inode = sparse_peek(&w->k->inodes, ino); /* it leads on to the next one in any case */
	err = cow_tree_find(w->k->fs, &root, ino / COW_INODES_PER_LEAF, &p);
	if (!err)
		err = p.addr ? cow_buf_read(w->k->fs, &p, s, &b) : -EIO;
	if (err)
		return unreadable(w->k, err, "directory", ino);
	dir = ((struct cow_inode_leaf *)cow_buf_data(b))->record[ino % COW_INODES_PER_LEAF].inode;
	cow_buf_put(b);
	if (dir.depth >= COW_DEPTH_MAX)
		return 0;
	return see_dir_block(w, &dir.root, dir.depth);
}

static int see_names(struct checker *k)
{
	struct names w = { .k = k };
	struct check_inode *root = sparse_peek(&k->inodes, COW_ROOT_INO);
	int err = 0;

	if (!root || !(root->state & SEEN_USED) || !is_dir(root)) {
		check_problem(k, "volume %lu: there is no root directory", check_volume_id(k));
		return 0;
	}
	root->state |= SEEN_REACHED;
	w.last = root;
	for (u64 ino = COW_ROOT_INO; !err && ino; ino = w.inode ? w.inode->next : 0)
		err = see_dir(&w, ino);
	w.last = NULL;
	for (u64 ino = COW_ROOT_INO; !err && ino <= k->top_ino; ino++) {
		struct check_inode *i = sparse_peek(&k->inodes, ino);

		if (i && i->state & SEEN_USED && is_dir(i) && !(i->state & SEEN_REACHED))
			err = see_dir(&w, ino);
	}
	return err;
}

/* --- 4: links --- */

static int check_links(struct checker *k, u64 ino, struct check_inode *i)
{
	u64 v = check_volume_id(k);
	u32 expected = is_dir(i) ? 2 + i->subdirs : i->found;

	if (i->state & SEEN_ORPHAN || i->mode == COW_S_DEAD) {
		if (i->nlink || i->found)
			check_problem(k,
				      "volume %lu: inode %lu: an orphan with %u links and %u names",
				      v, ino, i->nlink, i->found);
		return 0;
	}
	if (!i->found && ino != COW_ROOT_INO) {
		check_problem(k, "volume %lu: inode %lu: no entry names it", v, ino);
		return repair_lost(k, ino, i);
	}
	if (!(i->state & SEEN_REACHED) && is_dir(i))
		check_problem(k,
			      "volume %lu: inode %lu: no way from the root leads to this directory",
			      v, ino);
	if (i->nlink == expected)
		return 0;
	check_problem(k, "volume %lu: inode %lu: links: expected %u, found %u", v, ino, expected,
		      i->nlink);
	return repair_nlink(k, ino, expected);
}

static int check_inodes(struct checker *k)
{
	int err = 0;

	/* what an unreadable directory names is not lost */
	for (u64 ino = COW_ROOT_INO; !err && !k->unread && ino <= k->top_ino; ino++) {
		struct check_inode *i = sparse_peek(&k->inodes, ino);

		if (i && i->state & SEEN_USED)
			err = check_links(k, ino, i);
	}
	return err;
}

/* --- 5: lists --- */

/* The records chained from `head` on: how many of them have `state`; stops where it is wrong. */
static int follow(struct checker *k, u64 head, u8 state, const char *list, u64 *count)
{
	struct cow_volume_record r = *check_record(k);
	struct cow_volume v = { .fs = k->fs, .rec = r };
	u64 previous = 0;

	*count = 0;
	for (u64 ino = head; ino; ++*count) {
		struct check_inode *i = sparse_peek(&k->inodes, ino);
		union cow_record rec;
		int err;

		if (!i || (i->state & (SEEN_USED | SEEN_FREE | SEEN_ORPHAN)) != state ||
		    i->state & SEEN_LISTED) {
			check_problem(k,
				      "volume %lu: %s: inode %lu does not belong there (after %lu "
				      "of them)",
				      check_volume_id(k), list, ino, *count);
			k->lists_wrong = true;
			return 0;
		}
		i->state |= SEEN_LISTED;
		err = cow_record_read(&v, ino, &rec);
		if (err)
			return err == -ENOENT ? 0 : unreadable(k, err, list, ino);
		if (state & SEEN_ORPHAN && rec.inode.prev != previous) {
			check_problem(k,
				      "volume %lu: %s: inode %lu: the one before: expected %lu, "
				      "found %lu",
				      check_volume_id(k), list, ino, previous, rec.inode.prev);
			k->lists_wrong = true;
		}
		previous = ino;
		ino = rec.mode == COW_S_DEAD ? rec.dead.next : rec.inode.next;
	}
	return 0;
}

static void compare_list(struct checker *k, const char *list, u64 expected, u64 found)
{
	if (k->unread || k->lists_wrong || expected == found)
		return;
	check_problem(k, "volume %lu: %s: expected %lu of them, found %lu", check_volume_id(k),
		      list, expected, found);
	k->lists_wrong = true;
}

static int check_lists(struct checker *k)
{
	struct cow_volume_record *r = check_record(k);
	u64 found, dead = 0;
	int err = follow(k, r->free_head, SEEN_FREE, "free numbers", &found);

	compare_list(k, "free numbers", k->free_records, found);
	if (!err)
		err = follow(k, r->orphan_head, SEEN_USED | SEEN_ORPHAN, "orphans", &found);
	compare_list(k, "orphans", k->orphans, found);
	if (!err && !k->volume) {
		for (u64 n = 0; n < k->volume_count; n++)
			dead += k->volumes[n].rec.mode == COW_S_DEAD;
		err = follow(k, k->fs->dead_head, SEEN_USED, "dead trees", &found);
		compare_list(k, "dead trees", dead, found);
	}
	return err || !k->lists_wrong || k->unread ? err : repair_lists(k);
}

/* --- 6: the volume's record --- */

static int check_volume(struct checker *k)
{
	struct cow_volume_record *r = check_record(k);
	u64 v = check_volume_id(k);

	if (k->volume && r->base_birth > cow_load(&k->fs->birth))
		check_problem(k, "volume %lu: its base, birth %lu, is in the future", v,
			      r->base_birth);
	if (r->flags & ~(COW_VOLUME_FROZEN | COW_VOLUME_TEMPORARY))
		check_problem(k, "volume %lu: flags 0x%x", v, r->flags);
	if (!k->volume || k->unread ||
	    (r->inodes == k->used_inodes && r->used_blocks == k->volume->own))
		return 0;
	if (r->inodes != k->used_inodes)
		check_problem(k, "volume %lu: inodes: expected %lu, found %lu", v, k->used_inodes,
			      r->inodes);
	if (r->used_blocks != k->volume->own)
		check_problem(k, "volume %lu: blocks of its own: expected %lu, found %lu", v,
			      k->volume->own, r->used_blocks);
	return repair_volume(k, k->volume->own, k->used_inodes);
}

int check_names(struct checker *k)
{
	u64 most = MIN(check_record(k)->next_ino + COW_INODES_PER_LEAF,
		       (k->fs->super.blocks + 1) * COW_INODES_PER_LEAF);
	int err;

	sparse_free(&k->inodes);
	k->used_inodes = k->orphans = k->free_records = k->top_ino = 0;
	k->lists_wrong = k->unread = false;
	err = sparse_init(&k->inodes, ALIGN_UP(most, COW_INODES_PER_LEAF),
			  sizeof(struct check_inode));
	if (!err)
		err = see_records(k);
	if (!err)
		err = see_names(k);
	if (!err)
		err = check_inodes(k);
	if (!err)
		err = check_lists(k);
	return err ? err : check_volume(k);
}
