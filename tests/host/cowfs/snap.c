/* SPDX-License-Identifier: MIT */
/* snap.c - states of a filesystem, and whether two are the same (contract: model.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static u64 text_hash(u64 h, const char *text)
{
	return mix2(h, cow_checksum(text, strlen(text)));
}

static u64 time_hash(u64 h, const struct cow_time *t)
{
	return mix2(mix2(h, t->sec), t->nsec);
}

static u64 block_hash(u64 index, const u8 *data)
{
	static const u8 zeros[COW_BLOCK];

	return memcmp(data, zeros, COW_BLOCK) ? mix2(cow_checksum(data, COW_BLOCK), index) : 0;
}

static u64 value_of(const struct snap_name *n, bool vague)
{
	return mix2(mix2(mix2(mix2(n->volume, n->ino), n->path), n->fixed), vague ? 0 : n->logged);
}

static void snap_add(struct snap *s, struct snap_name n, const char *text)
{
	size_t len = strlen(text);

	if (s->names == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		s->name = realloc(s->name, s->room * sizeof(*s->name));
	}
	snprintf(n.text, sizeof(n.text), "%s",
		 len < sizeof(n.text) ? text : text + len - sizeof(n.text) + 1);
	s->name[s->names++] = n;
	s->digest += value_of(&n, false);
}

static u64 xattr_hash(const char *name, const void *value, size_t len)
{
	return mix2(text_hash(17, name), cow_checksum(value, len));
}

/* --- of the model --- */

static u64 content_of_model(struct m_inode *i)
{
	u64 h = 0;

	for (u32 n = 0; n < i->blocks; n++) {
		struct m_block *b = &i->block[n];

		if (!b->hashed)
			b->hash = block_hash(b->index, b->data);
		b->hashed = true;
		h += b->hash;
	}
	return h;
}

static struct snap_name name_of_model(struct m_volume *v, struct m_inode *i, u64 path)
{
	struct snap_name n = { .volume = v->id, .ino = i->ino, .path = path };
	u64 attributes = 0;
	bool file = (i->mode & COW_S_TYPE) == COW_S_FILE;

	for (u32 k = 0; k < i->xattrs; k++)
		attributes += xattr_hash(i->xattr[k].name, i->xattr[k].value, i->xattr[k].len);
	n.fixed = mix2(mix2(mix2(i->mode & COW_S_TYPE, i->nlink), i->rdev), attributes);
	if (i->text)
		n.fixed = text_hash(n.fixed, i->text);
	n.logged = mix2(mix2(mix2(i->mode, i->uid), i->gid), file ? i->size : 0);
	n.logged = time_hash(time_hash(time_hash(n.logged, &i->atime), &i->mtime), &i->ctime);
	n.logged = mix2(n.logged, file ? content_of_model(i) : 0);
	return n;
}

static void add_model_tree(struct snap *s, struct m_volume *v, struct m_inode *i, u64 path,
			   const char *text)
{
	char below[1024];

	snap_add(s, name_of_model(v, i, path), text);
	for (u32 n = 0; n < i->entries; n++) {
		snprintf(below, sizeof(below), "%s/%s", text, i->entry[n].name);
		add_model_tree(s, v, i->entry[n].inode, text_hash(path, i->entry[n].name), below);
	}
}

static void add_volume(struct snap *s, u64 id, const char *name, u32 flags, u64 quota)
{
	struct snap_name n = { .volume = id,
			       .path = text_hash(1, name),
			       .fixed = mix2(flags, quota) };

	snap_add(s, n, name);
}

static void snap_clear(struct snap *s)
{
	s->names = 0;
	s->digest = 0;
	s->vague_volume = s->vague_ino = 0;
}

void snap_of_model(struct snap *s, struct model *m)
{
	snap_clear(s);
	for (u32 n = 0; n < m->volumes; n++) {
		struct m_volume *v = &m->volume[n];

		add_volume(s, v->id, v->name, v->flags, v->quota_blocks);
		add_model_tree(s, v, v->root, text_hash(2, v->name), v->name);
	}
}

/* --- of a filesystem --- */

struct walk {
	struct snap *s;
	struct cow_volume *volume;
	u64 path;
	const char *text;
	int error;
};

static u64 content_of_fs(struct cow_inode *i, int *err)
{
	static __thread u8 buf[COW_BLOCK];
	u64 h = 0, at = 0, size = i->rec.size;

	while (!*err && at < size) {
		s64 got;

		*err = cow_file_seek(i, &at, true);
		if (*err)
			break;
		at -= at % COW_BLOCK;
		got = cow_file_read(i, at, buf, COW_BLOCK);
		if (got < 0)
			*err = got;
		else
			memset(buf + got, 0, COW_BLOCK - got);
		h += block_hash(at / COW_BLOCK, buf);
		at += COW_BLOCK;
	}
	if (*err == -ENXIO)
		*err = 0;
	return h;
}

static u64 xattrs_of_fs(struct cow_inode *i, int *err)
{
	char list[4096];
	u8 value[512];
	size_t len = 0, n;
	u64 h = 0;

	*err = cow_xattr_list(i, list, sizeof(list), &len);
	for (size_t at = 0; !*err && at < len; at += strlen(list + at) + 1) {
		*err = cow_xattr_get(i, list + at, value, sizeof(value), &n);
		if (!*err)
			h += xattr_hash(list + at, value, n);
	}
	return h;
}

static int name_of_fs(struct cow_inode *i, u64 path, struct snap_name *n)
{
	const struct cow_inode_record *r = &i->rec;
	bool file = (r->mode & COW_S_TYPE) == COW_S_FILE;
	char text[COW_BLOCK];
	int err = 0;

	*n = (struct snap_name){ .volume = cow_volume_id(i->volume), .ino = i->ino, .path = path };
	n->fixed = mix2(mix2(mix2(r->mode & COW_S_TYPE, r->nlink), r->rdev), xattrs_of_fs(i, &err));
	if (!err && (r->mode & COW_S_TYPE) == COW_S_LINK) {
		err = cow_readlink(i, text, sizeof(text));
		if (!err)
			n->fixed = text_hash(n->fixed, text);
	}
	n->logged = mix2(mix2(mix2(r->mode, r->uid), r->gid), file ? r->size : 0);
	n->logged = time_hash(time_hash(time_hash(n->logged, &r->atime), &r->mtime), &r->ctime);
	n->logged = mix2(n->logged, file && !err ? content_of_fs(i, &err) : 0);
	return err;
}

static int add_fs_tree(struct snap *s, struct cow_volume *v, u64 ino, u64 path, const char *text);

static bool add_entry(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	struct walk *w = arg;
	char text[COW_NAME_MAX + 1], below[1024];

	(void)type, (void)next;
	snprintf(text, sizeof(text), "%.*s", (int)len, name);
	snprintf(below, sizeof(below), "%.700s/%s", w->text, text);
	if (strlen(w->text) > 600)
		w->error = -ELOOP;
	if (!w->error)
		w->error = add_fs_tree(w->s, w->volume, ino, text_hash(w->path, text), below);
	return !w->error;
}

static int add_fs_tree(struct snap *s, struct cow_volume *v, u64 ino, u64 path, const char *text)
{
	struct walk w = { .s = s, .volume = v, .path = path, .text = text };
	struct snap_name n;
	struct cow_inode *i;
	u64 pos = 0;
	int err = cow_inode_get(v, ino, &i);

	if (err)
		return err;
	err = name_of_fs(i, path, &n);
	if (!err)
		snap_add(s, n, text);
	if (!err && (i->rec.mode & COW_S_TYPE) == COW_S_DIR)
		err = cow_readdir(i, &pos, add_entry, &w);
	cow_inode_put(i);
	return err ? err : w.error;
}

int snap_of_fs(struct snap *s, struct cow_fs *fs)
{
	struct cow_volume_info info;
	struct cow_volume *v;
	u64 pos = 0;
	int err;

	snap_clear(s);
	for (;;) {
		err = cow_volume_next(fs, &pos, &info);
		if (err)
			return err == -ENOENT ? 0 : err;
		add_volume(s, info.id, info.name, info.flags, info.quota_blocks);
		err = cow_volume_get_id(fs, info.id, &v);
		if (err)
			return err;
		err = add_fs_tree(s, v, COW_ROOT_INO, text_hash(2, info.name), info.name);
		cow_volume_put(v);
		if (err)
			return err;
	}
}

/* --- states --- */

void snap_copy(struct snap *to, const struct snap *from)
{
	struct snap_name *name = to->name;

	if (to->room < from->names) {
		to->room = from->room;
		name = realloc(name, to->room * sizeof(*name));
	}
	memcpy(name, from->name, from->names * sizeof(*name));
	to->name = name;
	to->names = from->names;
	to->digest = from->digest;
	to->vague_volume = from->vague_volume;
	to->vague_ino = from->vague_ino;
}

void snap_log(struct snap *s, const struct snap *from, u64 volume, u64 ino)
{
	u64 logged = 0;

	for (u64 n = 0; n < from->names; n++)
		if (from->name[n].volume == volume && from->name[n].ino == ino)
			logged = from->name[n].logged;
	for (u64 n = 0; logged && n < s->names; n++)
		if (s->name[n].volume == volume && s->name[n].ino == ino)
			s->name[n].logged = logged;
	s->digest = snap_digest(s, 0, 0);
}

u64 snap_digest(const struct snap *s, u64 vague_volume, u64 vague_ino)
{
	u64 h = 0;

	for (u64 n = 0; n < s->names; n++)
		h += value_of(&s->name[n], vague_ino && s->name[n].volume == vague_volume &&
						   s->name[n].ino == vague_ino);
	return h;
}

bool snap_equal(const struct snap *expected, const struct snap *found)
{
	u64 v = expected->vague_volume, i = expected->vague_ino;

	if (!i)
		return expected->digest == found->digest;
	return snap_digest(expected, v, i) == snap_digest(found, v, i);
}

static void print_missing(const struct snap *a, const struct snap *b, const char *what)
{
	for (u64 n = 0; n < a->names; n++) {
		const struct snap_name *x = &a->name[n], *y = NULL;

		for (u64 k = 0; k < b->names; k++)
			if (b->name[k].path == x->path && b->name[k].volume == x->volume)
				y = &b->name[k];
		if (!y)
			printf("#   only %s: %s (volume %lu inode %lu)\n", what, x->text,
			       (unsigned long)x->volume, (unsigned long)x->ino);
		else if (what[0] == 'e' &&
			 (y->fixed != x->fixed || y->logged != x->logged || y->ino != x->ino))
			printf("#   differs: %s (volume %lu inode %lu, %lu)%s%s\n", x->text,
			       (unsigned long)x->volume, (unsigned long)x->ino,
			       (unsigned long)y->ino,
			       y->fixed != x->fixed ? " names, links, attributes" : "",
			       y->logged != x->logged ? " content, owner, times" : "");
	}
}

void snap_print_difference(const struct snap *expected, const struct snap *found)
{
	print_missing(expected, found, "expected");
	print_missing(found, expected, "found");
}

void snap_free(struct snap *s)
{
	free(s->name);
	*s = (struct snap){ 0 };
}
