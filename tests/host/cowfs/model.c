/* SPDX-License-Identifier: MIT */
/* model.c - what a cowfs filesystem should hold (contract: model.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

/* --- names --- */

struct m_inode *m_inode_new(struct m_volume *v, u64 ino, u32 mode)
{
	struct m_inode *i = calloc(1, sizeof(*i));

	i->ino = ino;
	i->mode = mode;
	i->next = v->inodes;
	v->inodes = i;
	return i;
}

static void inode_free(struct m_inode *i)
{
	for (u32 n = 0; n < i->blocks; n++)
		free(i->block[n].data);
	free(i->block);
	free(i->xattr);
	free(i->entry);
	free(i->text);
	free(i);
}

void m_inode_gone(struct m_volume *v, struct m_inode *i)
{
	struct m_inode **at = &v->inodes;

	if (i->nlink || i->held)
		return;
	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	inode_free(i);
}

struct m_entry *m_find(struct m_inode *dir, const char *name)
{
	for (u32 n = 0; n < dir->entries; n++)
		if (!strcmp(dir->entry[n].name, name))
			return &dir->entry[n];
	return NULL;
}

void m_enter(struct m_inode *dir, const char *name, struct m_inode *i)
{
	struct m_entry *e;

	if (dir->entries == dir->entry_room) {
		dir->entry_room = dir->entry_room ? 2 * dir->entry_room : 8;
		dir->entry = realloc(dir->entry, dir->entry_room * sizeof(*dir->entry));
	}
	e = &dir->entry[dir->entries++];
	snprintf(e->name, sizeof(e->name), "%s", name);
	e->inode = i;
}

void m_remove(struct m_inode *dir, struct m_entry *e)
{
	*e = dir->entry[--dir->entries];
}

/* --- content --- */

static struct m_block *block_find(struct m_inode *i, u64 index)
{
	for (u32 n = 0; n < i->blocks; n++)
		if (i->block[n].index == index)
			return &i->block[n];
	return NULL;
}

static struct m_block *block_get(struct m_inode *i, u64 index)
{
	struct m_block *b = block_find(i, index);

	if (!b) {
		if (i->blocks == i->block_room) {
			i->block_room = i->block_room ? 2 * i->block_room : 4;
			i->block = realloc(i->block, i->block_room * sizeof(*i->block));
		}
		b = &i->block[i->blocks++];
		*b = (struct m_block){ .index = index, .data = calloc(1, COW_BLOCK) };
	}
	b->hashed = false;
	return b;
}

static void block_drop(struct m_inode *i, struct m_block *b)
{
	free(b->data);
	*b = i->block[--i->blocks];
}

void m_write(struct m_inode *i, u64 offset, const void *bytes, u64 n)
{
	const u8 *from = bytes;

	i->size = offset + n > i->size ? offset + n : i->size;
	while (n) {
		u64 in = offset % COW_BLOCK, len = COW_BLOCK - in < n ? COW_BLOCK - in : n;

		memcpy(block_get(i, offset / COW_BLOCK)->data + in, from, len);
		offset += len, from += len, n -= len;
	}
}

void m_zero(struct m_inode *i, u64 offset, u64 n)
{
	u64 end = offset + n;

	for (u32 k = i->blocks; k--;) {
		struct m_block *b = &i->block[k];
		u64 from = b->index * COW_BLOCK, to = from + COW_BLOCK;
		u64 lo = from > offset ? from : offset, hi = to < end ? to : end;

		if (lo >= hi)
			continue;
		memset(b->data + (lo - from), 0, hi - lo);
		b->hashed = false;
		if (lo == from && hi == to)
			block_drop(i, b);
	}
}

void m_truncate(struct m_inode *i, u64 size)
{
	if (size < i->size)
		m_zero(i, size, i->size - size);
	i->size = size;
}

void m_read(struct m_inode *i, u64 offset, void *out, u64 n)
{
	for (u64 k = 0; k < n; k++) {
		struct m_block *b = block_find(i, (offset + k) / COW_BLOCK);
		u64 in = (offset + k) % COW_BLOCK,
		    len = COW_BLOCK - in < n - k ? COW_BLOCK - in : n - k;

		if (b)
			memcpy((u8 *)out + k, b->data + in, len);
		else
			memset((u8 *)out + k, 0, len);
		k += len - 1;
	}
}

/* --- from a filesystem --- */

static int reload_content(struct m_inode *i, struct cow_inode *from)
{
	u8 *buf = malloc(COW_BLOCK);
	u64 at = 0;
	int err = 0;

	while (i->blocks)
		block_drop(i, &i->block[0]);
	i->size = from->rec.size;
	while (at < i->size) {
		s64 got;

		err = cow_file_seek(from, &at, true);
		if (err)
			break;
		at -= at % COW_BLOCK;
		got = cow_file_read(from, at, buf, COW_BLOCK);
		if (got <= 0) {
			err = got;
			break;
		}
		memcpy(block_get(i, at / COW_BLOCK)->data, buf, got);
		at += COW_BLOCK;
	}
	free(buf);
	return err == -ENXIO ? 0 : err;
}

static int reload_xattrs(struct m_inode *i, struct cow_inode *from)
{
	char list[4096];
	size_t len, n;
	int err = cow_xattr_list(from, list, sizeof(list), &len);

	i->xattrs = 0;
	for (size_t at = 0; !err && at < len; at += strlen(list + at) + 1) {
		struct m_xattr *x;

		i->xattr = realloc(i->xattr, (i->xattrs + 1) * sizeof(*i->xattr));
		x = &i->xattr[i->xattrs++];
		snprintf(x->name, sizeof(x->name), "%s", list + at);
		err = cow_xattr_get(from, x->name, x->value, sizeof(x->value), &n);
		x->len = n;
	}
	return err;
}

int m_reload(struct m_inode *i, struct cow_inode *from)
{
	char text[COW_BLOCK];
	int err = 0;

	i->mode = from->rec.mode;
	i->uid = from->rec.uid;
	i->gid = from->rec.gid;
	i->nlink = from->rec.nlink;
	i->atime = from->rec.atime;
	i->mtime = from->rec.mtime;
	i->ctime = from->rec.ctime;
	i->rdev = from->rec.rdev;
	if ((i->mode & COW_S_TYPE) == COW_S_FILE)
		err = reload_content(i, from);
	if ((i->mode & COW_S_TYPE) == COW_S_LINK) {
		err = cow_readlink(from, text, sizeof(text));
		free(i->text);
		i->text = err ? NULL : strdup(text);
	}
	return err ? err : reload_xattrs(i, from);
}

struct loading {
	struct m_volume *v;
	struct cow_volume *volume;
	struct m_inode *dir;
};

static bool load_entry(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	struct loading *l = arg;
	char text[COW_NAME_MAX + 1];
	struct m_inode *i = l->v->inodes;

	(void)next;
	snprintf(text, sizeof(text), "%.*s", (int)len, name);
	while (i && i->ino != ino)
		i = i->next;
	if (!i)
		i = m_inode_new(l->v, ino, type << 12);
	m_enter(l->dir, text, i);
	return true;
}

static int load_inode(struct loading *l, struct m_inode *i)
{
	struct cow_inode *from;
	u64 pos = 0;
	int err = cow_inode_get(l->volume, i->ino, &from);

	if (err)
		return err;
	err = m_reload(i, from);
	l->dir = i;
	if (!err && (i->mode & COW_S_TYPE) == COW_S_DIR)
		err = cow_readdir(from, &pos, load_entry, l);
	cow_inode_put(from);
	for (u32 n = 0; !err && n < i->entries; n++)
		if (!i->entry[n].inode->nlink)
			err = load_inode(l, i->entry[n].inode);
	return err;
}

int model_load(struct model *m, struct cow_fs *fs)
{
	struct cow_volume_info info;
	u64 pos = 0;
	int err = 0;

	memset(m, 0, sizeof(*m));
	while (!err && m->volumes < M_VOLUMES && !cow_volume_next(fs, &pos, &info)) {
		struct m_volume *v = &m->volume[m->volumes++];
		struct loading l = { .v = v };

		snprintf(v->name, sizeof(v->name), "%.31s", info.name);
		v->id = info.id;
		v->flags = info.flags;
		v->quota_blocks = info.quota_blocks;
		v->root = m_inode_new(v, COW_ROOT_INO, COW_S_DIR);
		err = cow_volume_get_id(fs, info.id, &l.volume);
		if (err)
			break;
		err = load_inode(&l, v->root);
		cow_volume_put(l.volume);
	}
	return err;
}

/* --- volumes --- */

static struct m_inode *inode_copy(const struct m_inode *i)
{
	struct m_inode *c = malloc(sizeof(*c));

	*c = *i;
	c->held = NULL;
	c->next = NULL;
	c->text = i->text ? strdup(i->text) : NULL;
	c->block = malloc((i->block_room + 1) * sizeof(*c->block));
	for (u32 n = 0; n < i->blocks; n++) {
		c->block[n] = i->block[n];
		c->block[n].data = malloc(COW_BLOCK);
		memcpy(c->block[n].data, i->block[n].data, COW_BLOCK);
	}
	c->xattr = malloc((i->xattrs + 1) * sizeof(*c->xattr));
	for (u32 n = 0; n < i->xattrs; n++)
		c->xattr[n] = i->xattr[n];
	c->entry = malloc((i->entry_room + 1) * sizeof(*c->entry));
	for (u32 n = 0; n < i->entries; n++)
		c->entry[n] = i->entry[n];
	return c;
}

static struct m_inode *by_number(struct m_volume *v, u64 ino)
{
	struct m_inode *i = v->inodes;

	while (i->ino != ino)
		i = i->next;
	return i;
}

void m_volume_copy(struct m_volume *to, const struct m_volume *from)
{
	*to = *from;
	to->inodes = NULL;
	for (struct m_inode *i = from->inodes; i; i = i->next) {
		struct m_inode *c;

		if (!i->nlink) /* an orphan: the clone has it no more */
			continue;
		c = inode_copy(i);
		c->next = to->inodes;
		to->inodes = c;
	}
	for (struct m_inode *i = to->inodes; i; i = i->next)
		for (u32 n = 0; n < i->entries; n++)
			i->entry[n].inode = by_number(to, i->entry[n].inode->ino);
	to->root = by_number(to, from->root->ino);
}

void m_volume_free(struct m_volume *v)
{
	while (v->inodes) {
		struct m_inode *next = v->inodes->next;

		inode_free(v->inodes);
		v->inodes = next;
	}
}

void model_init(struct model *m, u64 root_volume_id, u32 root_mode)
{
	struct m_volume *v = &m->volume[0];

	memset(m, 0, sizeof(*m));
	m->volumes = 1;
	strcpy(v->name, "root");
	v->id = root_volume_id;
	v->root = m_inode_new(v, COW_ROOT_INO, root_mode);
	v->root->nlink = 2;
}

void model_free(struct model *m)
{
	for (u32 n = 0; n < m->volumes; n++)
		m_volume_free(&m->volume[n]);
	m->volumes = 0;
}
