/* SPDX-License-Identifier: MIT */
/*
 * ops.c - random operations on a filesystem and on its model (contract: world.h).
 *
 * An operation either does what the model does, or fails with an error that is allowed now: no
 * room, or what was injected (a failing request, no memory). Then nothing changed; but operations
 * on ranges may have gone half way: the model takes over what is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"

#define NAMES	   40
#define INODES_MAX 60 /* of a volume: then fewer are made */

/* --- choosing --- */

bool job_is_type(const struct m_inode *i, u32 type)
{
	return (i->mode & COW_S_TYPE) == type;
}

/* type 0: any */
struct m_inode *job_choose_inode(struct job *j, u32 type, bool named)
{
	struct m_inode *found = NULL;
	u64 n = 0;

	if (j->fixed)
		return j->fixed;
	/* one file for a while, so that there is more to say of it than that it is new */
	if (rnd_one_in(j->r, 20))
		j->w->hot_ino = rnd_below(j->r, 30);
	if (type == COW_S_FILE && rnd_one_in(j->r, 2))
		for (struct m_inode *i = j->mv->inodes; i; i = i->next)
			if (i->ino == j->w->hot_ino && job_is_type(i, type) && (i->nlink || !named))
				return i;
	for (struct m_inode *i = j->mv->inodes; i; i = i->next)
		if ((!type || job_is_type(i, type)) && (i->nlink || !named))
			if (rnd_one_in(j->r, ++n))
				found = i;
	return found;
}

static struct m_inode *choose_dir(struct job *j)
{
	return job_choose_inode(j, COW_S_DIR, true);
}

void job_choose_name(struct job *j, char *name)
{
	u64 n = rnd_below(j->r, NAMES);

	snprintf(name, 32, n % 4 ? "n%lu" : "a-name-that-is-longer-%lu", (unsigned long)n);
}

static struct m_entry *choose_entry(struct job *j, struct m_inode **dir)
{
	for (u32 n = 0; n < 4; n++) {
		*dir = choose_dir(j);
		if (*dir && (*dir)->entries)
			return &(*dir)->entry[rnd_below(j->r, (*dir)->entries)];
	}
	return NULL;
}

static bool is_below(const struct m_inode *i, const struct m_inode *top)
{
	if (i == top)
		return true;
	for (u32 n = 0; n < top->entries; n++)
		if (job_is_type(top->entry[n].inode, COW_S_DIR) && is_below(i, top->entry[n].inode))
			return true;
	return false;
}

struct cow_inode *job_hold(struct job *j, struct m_inode *i, int *err)
{
	struct cow_inode *out = NULL;

	if (!*err)
		*err = cow_inode_get(j->v, i->ino, &out);
	if (*err)
		return NULL;
	/* many stay in memory, as in use they do: what is known of them is more than the disk says
	 */
	if (!i->held && !rnd_one_in(j->r, 4) && cow_inode_get(j->v, i->ino, &i->held))
		i->held = NULL;
	return out;
}

void job_put(struct cow_inode *i)
{
	if (i)
		cow_inode_put(i);
}

/* --- results --- */

/* Did it happen? What is not allowed is a violation. */
bool job_happened(struct job *j, s64 err, const char *what)
{
	struct world *w = j->w;

	if (err >= 0)
		return true;
	if (err == -ENOSPC || err == -EDQUOT) {
		w->t->no_space++;
		return false;
	}
	if (err == -ENOMEM && w->fault_now) {
		w->t->no_memory++;
		return false;
	}
	if ((err == -EIO || err == -EROFS) && (w->disk.faults || w->fs->error))
		return false;
	if (err == -EROFS && j->mv && j->mv->flags & COW_VOLUME_FROZEN)
		return false;
	world_violation(w, "%s: unexpected error %ld", what, (long)err);
	return false;
}

/* The times that the filesystem gave. */
void job_take_times(struct m_inode *i, struct cow_inode *from)
{
	i->atime = from->rec.atime;
	i->mtime = from->rec.mtime;
	i->ctime = from->rec.ctime;
}

/* What follows is the test's own: nothing fails. An allocation that is to fail later is given back.
 */
u64 job_faults_off(struct world *w)
{
	u64 later = w->fail_allocation ? cow_platform_fail_in : 0;

	cow_platform_fail_in = 0;
	memset(w->disk.fail_in, 0, sizeof(w->disk.fail_in));
	return later;
}

/* After an operation on a range: what is there now, if it may have gone half way. */
void job_range_done(struct job *j, struct m_inode *i, struct cow_inode *ci, s64 err)
{
	if (err < 0 && !j->w->fs->error) {
		u64 later = job_faults_off(j->w);

		m_reload(i, ci);
		cow_platform_fail_in = later;
	}
	job_take_times(i, ci);
	j->w->range_volume = j->w->range_ino = 0;
}

void job_range_begin(struct job *j, struct m_inode *i)
{
	j->w->range_volume = j->mv->id;
	j->w->range_ino = i->ino;
}

/* --- names --- */

static struct cow_new new_of(struct job *j, char *link)
{
	static const u32 types[] = { COW_S_FILE, COW_S_FILE, COW_S_FILE, COW_S_FILE, COW_S_DIR,
				     COW_S_DIR,	 COW_S_LINK, 0010000,	 0020000 };
	struct cow_new n = { .uid = rnd_below(j->r, 3), .gid = rnd_below(j->r, 3), .now = j->now };
	u64 len;

	n.mode = types[rnd_below(j->r, ARRAY_SIZE(types))] | rnd_below(j->r, 01000);
	if ((n.mode & COW_S_TYPE) == 0020000)
		n.rdev = rnd_below(j->r, 1000);
	if ((n.mode & COW_S_TYPE) == COW_S_LINK) {
		len = rnd_one_in(j->r, 3) ? 1 + rnd_below(j->r, 2000) : 1 + rnd_below(j->r, 56);
		memset(link, 'x', len);
		link[len] = 0;
		n.link = link;
	}
	return n;
}

static struct m_inode *model_new(struct job *j, const struct cow_new *n, struct cow_inode *ci)
{
	struct m_inode *i = m_inode_new(j->mv, ci->ino, n->mode);

	i->uid = n->uid;
	i->gid = n->gid;
	i->rdev = n->rdev;
	i->text = n->link ? strdup(n->link) : NULL;
	job_take_times(i, ci);
	return i;
}

static u32 inodes_of(struct m_volume *v)
{
	u32 n = 0;

	for (struct m_inode *i = v->inodes; i; i = i->next)
		n++;
	return n;
}

static void op_create(struct job *j)
{
	struct m_inode *dir = choose_dir(j), *i;
	struct cow_inode *cd, *ci = NULL;
	char name[32], link[4096];
	struct cow_new n = new_of(j, link);
	int err = 0;

	if (!dir || inodes_of(j->mv) > INODES_MAX)
		return;
	job_choose_name(j, name);
	cd = job_hold(j, dir, &err);
	if (!err)
		err = cow_create(cd, name, strlen(name), &n, &ci);
	if (err == -EEXIST && m_find(dir, name)) {
		job_put(cd);
		return;
	}
	if (job_happened(j, err, "create")) {
		if (m_find(dir, name))
			world_violation(j->w, "create: there are two of a name");
		i = model_new(j, &n, ci);
		i->nlink = job_is_type(i, COW_S_DIR) ? 2 : 1;
		dir->nlink += job_is_type(i, COW_S_DIR);
		m_enter(dir, name, i);
		job_take_times(dir, cd);
		job_put(ci);
	}
	job_put(cd);
}

static void op_tmpfile(struct job *j)
{
	struct m_inode *dir = choose_dir(j), *i;
	struct cow_new n = { .mode = COW_S_FILE | 0600, .now = j->now };
	struct cow_inode *cd, *ci;
	int err = 0;

	if (!dir || inodes_of(j->mv) > INODES_MAX)
		return;
	cd = job_hold(j, dir, &err);
	if (!err)
		err = cow_create_orphan(cd, &n, &ci);
	if (job_happened(j, err, "create_orphan")) {
		i = model_new(j, &n, ci);
		i->held = ci;
	}
	job_put(cd);
}

static void op_link(struct job *j)
{
	struct m_inode *dir = choose_dir(j), *i = job_choose_inode(j, 0, false);
	struct cow_inode *cd, *ci;
	char name[32];
	int err = 0;

	if (!dir || !i || job_is_type(i, COW_S_DIR))
		return;
	job_choose_name(j, name);
	cd = job_hold(j, dir, &err);
	ci = job_hold(j, i, &err);
	if (!err)
		err = cow_link(ci, cd, name, strlen(name), &j->now);
	if (!(err == -EEXIST && m_find(dir, name)) && job_happened(j, err, "link")) {
		i->nlink++;
		m_enter(dir, name, i);
		job_take_times(dir, cd);
		job_take_times(i, ci);
	}
	job_put(ci);
	job_put(cd);
}

static void model_unlink(struct job *j, struct m_inode *dir, struct m_inode *i)
{
	if (job_is_type(i, COW_S_DIR)) {
		dir->nlink--;
		i->nlink = 0;
	} else {
		i->nlink--;
	}
	m_inode_gone(j->mv, i);
}

static void op_unlink(struct job *j)
{
	struct m_inode *dir, *i;
	struct m_entry *e = choose_entry(j, &dir);
	struct cow_inode *cd, *ci;
	int err = 0;

	if (!e)
		return;
	i = e->inode;
	cd = job_hold(j, dir, &err);
	ci = job_hold(j, i, &err);
	if (!err)
		err = cow_unlink(cd, e->name, strlen(e->name), ci, &j->now);
	if (err == -ENOTEMPTY && i->entries) {
		job_put(ci);
		job_put(cd);
		return;
	}
	if (job_happened(j, err, "unlink")) {
		m_remove(dir, e);
		job_take_times(dir, cd);
		job_take_times(i, ci);
		model_unlink(j, dir, i);
	}
	job_put(ci);
	job_put(cd);
}

/* Names change hands in the model. te: what is replaced or exchanged, or NULL. */
static void model_rename(struct job *j, struct m_inode *fd, struct m_entry *fe, struct m_inode *td,
			 const char *to, bool exchange)
{
	struct m_inode *i = fe->inode, *target = NULL;
	struct m_entry *te = m_find(td, to);

	if (te)
		target = te->inode;
	if (exchange) {
		fe->inode = target;
		te->inode = i;
		fd->nlink += job_is_type(target, COW_S_DIR) - job_is_type(i, COW_S_DIR);
		td->nlink += job_is_type(i, COW_S_DIR) - job_is_type(target, COW_S_DIR);
		return;
	}
	if (te)
		te->inode = i;
	else
		m_enter(td, to, i);
	/* m_enter may have moved fe */
	for (u32 n = 0; n < fd->entries; n++)
		if (fd->entry[n].inode == i && (fd != td || strcmp(fd->entry[n].name, to))) {
			fe = &fd->entry[n];
			break;
		}
	fd->nlink -= job_is_type(i, COW_S_DIR);
	td->nlink += job_is_type(i, COW_S_DIR);
	m_remove(fd, fe);
	if (target)
		model_unlink(j, td, target);
}

/* May VFS ask for it at all? */
static bool rename_sensible(struct m_inode *i, struct m_inode *fd, struct m_inode *td,
			    struct m_inode *target, bool exchange)
{
	/* a second name of the same inode in one directory: which one goes is not the model's to
	 * say */
	if (target == i || (job_is_type(i, COW_S_DIR) && is_below(td, i)))
		return false;
	if (exchange)
		return target && !(job_is_type(target, COW_S_DIR) && is_below(fd, target));
	for (u32 n = 0, same = 0; n < fd->entries; n++) {
		same += fd->entry[n].inode == i;
		if (same > 1)
			return false;
	}
	if (!target)
		return true;
	return job_is_type(target, COW_S_DIR) == job_is_type(i, COW_S_DIR) && !target->entries &&
	       !is_below(fd, target);
}

static void op_rename(struct job *j)
{
	struct m_inode *fd, *td = choose_dir(j), *i, *target;
	struct m_entry *fe = choose_entry(j, &fd), *te;
	struct cow_inode *cfd, *ctd, *ci, *ct = NULL;
	bool exchange = rnd_one_in(j->r, 4);
	char to[32];
	int err = 0;

	if (!fe || !td)
		return;
	job_choose_name(j, to);
	if (td->entries && rnd_one_in(j->r, 2))
		snprintf(to, sizeof(to), "%s", td->entry[rnd_below(j->r, td->entries)].name);
	te = m_find(td, to);
	i = fe->inode;
	target = te ? te->inode : NULL;
	if (!rename_sensible(i, fd, td, target, exchange))
		return;
	cfd = job_hold(j, fd, &err);
	ctd = job_hold(j, td, &err);
	ci = job_hold(j, i, &err);
	if (target)
		ct = job_hold(j, target, &err);
	if (!err)
		err = cow_rename(cfd, fe->name, strlen(fe->name), ci, ctd, to, strlen(to), ct,
				 exchange, &j->now);
	if (job_happened(j, err, "rename")) {
		job_take_times(fd, cfd);
		job_take_times(td, ctd);
		job_take_times(i, ci);
		if (target)
			job_take_times(target, ct);
		model_rename(j, fd, fe, td, to, exchange);
	}
	job_put(ct);
	job_put(ci);
	job_put(ctd);
	job_put(cfd);
}

static void op_lookup(struct job *j)
{
	struct m_inode *dir = choose_dir(j);
	struct cow_inode *cd;
	struct m_entry *e;
	char name[32];
	u64 ino = 0;
	int err = 0;

	if (!dir)
		return;
	job_choose_name(j, name);
	e = m_find(dir, name);
	cd = job_hold(j, dir, &err);
	if (!err)
		err = cow_lookup(cd, name, strlen(name), &ino);
	if (err != -ENOENT && job_happened(j, err, "lookup") && (!e || e->inode->ino != ino))
		world_violation(j->w, "lookup: found what is not there");
	if (err == -ENOENT && e)
		world_violation(j->w, "lookup: did not find what is there");
	job_put(cd);
}

/* --- promises --- */

static void op_fsync(struct job *j)
{
	struct m_inode *i = job_choose_inode(j, rnd_one_in(j->r, 6) ? 0 : COW_S_FILE, false);
	struct cow_inode *ci;
	int err = 0;

	if (!i)
		return;
	ci = job_hold(j, i, &err);
	j->w->fsync_volume = j->mv->id;
	j->w->fsync_ino = i->ino;
	if (!err)
		err = cow_fsync(ci, rnd_one_in(j->r, 2));
	if (job_happened(j, err, "fsync") && !err && i->nlink && j->w->tracking) {
		/* it is durable, and if no flush was needed it was so before */
		snap_of_model(&j->w->now, &j->w->model);
		snap_copy(&j->w->next, &j->w->durable);
		snap_log(&j->w->next, &j->w->now, j->mv->id, i->ino);
		if (!snap_equal(&j->w->next, &j->w->durable) && !j->w->durable.vague_ino)
			world_violation(
				j->w, "fsync of inode %lu said yes, and the disk does not have it",
				(unsigned long)i->ino);
	}
	job_put(ci);
}

/* What databases do: a file changes, and must be there; again and again. */
static void op_promise(struct job *j)
{
	static void (*const change[])(struct job * j) = { op_write,    op_write,   op_write_block,
							  op_truncate, op_setattr, op_read };
	u64 rounds = 1 + rnd_below(j->r, 4);

	j->fixed = job_choose_inode(j, COW_S_FILE, true);
	while (j->fixed && rounds-- && !j->w->fs->error) {
		for (u64 n = 1 + rnd_below(j->r, 3); n && !j->w->fs->error; n--)
			change[rnd_below(j->r, ARRAY_SIZE(change))](j);
		if (!j->w->fs->error)
			op_fsync(j);
	}
}

static void op_sync(struct job *j)
{
	int err = cow_sync(j->w->fs);

	if (!job_happened(j, err, "sync") || !j->w->tracking)
		return;
	snap_of_model(&j->w->now, &j->w->model);
	if (!snap_equal(&j->w->now, &j->w->durable) && !j->w->durable.vague_ino)
		world_violation(j->w, "sync said yes, and the disk does not have it");
}

static void op_hold(struct job *j)
{
	struct m_inode *i = job_choose_inode(j, COW_S_FILE, false);
	struct cow_inode *ci;
	int err = 0;

	if (!i)
		return;
	if (i->held) {
		job_put(i->held);
		i->held = NULL;
		m_inode_gone(j->mv, i);
		return;
	}
	ci = job_hold(j, i, &err);
	if (job_happened(j, err, "inode_get")) {
		if (i->held)
			job_put(ci);
		else
			i->held = ci;
	}
}

void job_release_volume(struct m_volume *v)
{
	struct m_inode *next;

	for (struct m_inode *i = v->inodes; i; i = next) {
		next = i->next;
		if (!i->held)
			continue;
		job_put(i->held);
		i->held = NULL;
		m_inode_gone(v, i);
	}
}

void world_release_all(struct world *w)
{
	for (u32 n = 0; n < w->model.volumes; n++)
		job_release_volume(&w->model.volume[n]);
}

/* --- the rest --- */

static void op_work(struct job *j)
{
	cow_work(j->w->fs, rnd_one_in(j->r, 4));
}

static void op_shrink(struct job *j)
{
	cow_shrink(j->w->fs, rnd_below(j->r, 1000));
}

static void op_compare(struct job *j)
{
	u64 later = job_faults_off(j->w);

	world_compare(j->w);
	cow_platform_fail_in = later;
}

static const struct {
	const char *name;
	void (*run)(struct job *j);
	u32 weight;
} ops[] = {
	{ "create", op_create, 60 },
	{ "tmpfile", op_tmpfile, 4 },
	{ "link", op_link, 12 },
	{ "unlink", op_unlink, 40 },
	{ "rename", op_rename, 30 },
	{ "lookup", op_lookup, 10 },
	{ "write", op_write, 60 },
	{ "write_block", op_write_block, 20 },
	{ "read", op_read, 20 },
	{ "truncate", op_truncate, 20 },
	{ "punch", op_punch, 10 },
	{ "allocate", op_allocate, 10 },
	{ "clone_range", op_clone_range, 10 },
	{ "setattr", op_setattr, 15 },
	{ "xattr", op_xattr, 15 },
	{ "fsync", op_fsync, 40 },
	{ "promise", op_promise, 50 },
	{ "sync", op_sync, 12 },
	{ "hold", op_hold, 10 },
	{ "volume_create", op_volume_create, 2 },
	{ "volume_clone", op_volume_clone, 8 },
	{ "volume_delete", op_volume_delete, 6 },
	{ "volume_rename", op_volume_rename, 3 },
	{ "volume_set", op_volume_set, 3 },
	{ "work", op_work, 12 },
	{ "shrink", op_shrink, 4 },
	{ "compare", op_compare, 2 },
};

/* The n-th request or allocation from now on fails. */
static void inject(struct world *w)
{
	if (w->fail_allocation) {
		w->fault_now = true;
		cow_platform_fail_in = w->fail_allocation;
	}
	if (!w->faults || !rnd_one_in(&w->rnd, w->faults))
		return;
	w->fault_now = true;
	switch (rnd_below(&w->rnd, 8)) {
	case 0:
		w->disk.fail_in[FAULT_WRITE] = 1 + rnd_below(&w->rnd, 6);
		break;
	case 1:
		w->disk.fail_in[FAULT_FLUSH] = 1 + rnd_below(&w->rnd, 2);
		break;
	case 2:
	case 3:
		cow_shrink(w->fs, 1000);
		w->disk.fail_in[FAULT_READ] = 1 + rnd_below(&w->rnd, 6);
		break;
	default:
		cow_platform_fail_in = 1 + rnd_below(&w->rnd, 30);
	}
}

static u32 choose_op(struct world *w)
{
	u64 sum = 0, at;
	u32 n;

	for (n = 0; n < ARRAY_SIZE(ops); n++)
		sum += ops[n].weight;
	at = rnd_below(&w->rnd, sum);
	for (n = 0; at >= ops[n].weight; n++)
		at -= ops[n].weight;
	return n;
}

void world_step(struct world *w)
{
	struct job j = { .w = w, .r = &w->rnd };
	u32 n = choose_op(w);
	u64 which = rnd_one_in(&w->rnd, 2) ? 0 : rnd_below(&w->rnd, w->model.volumes);
	int err;

	w->op++;
	w->t->ops++;
	w->name = ops[n].name;
	j.mv = &w->model.volume[which];
	j.now = (struct cow_time){ .sec = w->seconds++, .nsec = w->op % 1000 };
	err = cow_volume_get_id(w->fs, j.mv->id, &j.v);
	if (err) {
		world_violation(w, "volume_get_id: %d", err);
		return;
	}
	if (w->verbose)
		printf("# %lu: %s in volume %lu\n", (unsigned long)w->op, w->name,
		       (unsigned long)j.mv->id);
	w->fault_now = false;
	w->disk.faults = 0;
	inject(w);
	ops[n].run(&j);
	w->fail_allocation = cow_platform_fail_in && w->fail_allocation ? cow_platform_fail_in : 0;
	cow_platform_fail_in = 0;
	memset(w->disk.fail_in, 0, sizeof(w->disk.fail_in));
	if (j.v)
		cow_volume_put(j.v);
	if (w->fs->error)
		world_crash(w);
	w->range_volume = w->range_ino = w->fsync_volume = w->fsync_ino = 0;
}
