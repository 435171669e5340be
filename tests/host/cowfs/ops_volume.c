/* SPDX-License-Identifier: MIT */
/* ops_volume.c - random operations on volumes (contract: ops.h). */
#include <stdio.h>
#include <string.h>

#include "ops.h"

/* --- volumes --- */

static struct m_volume *volume_named(struct model *m, const char *name)
{
	for (u32 n = 0; n < m->volumes; n++)
		if (!strcmp(m->volume[n].name, name))
			return &m->volume[n];
	return NULL;
}

void op_volume_create(struct job *j)
{
	struct model *m = &j->w->model;
	struct m_volume *to = &m->volume[m->volumes];
	struct cow_volume *v;
	struct cow_inode *root;
	char name[32];
	u64 later;
	int err;

	if (m->volumes == M_VOLUMES)
		return;
	job_choose_name(j, name);
	err = cow_volume_create(j->w->fs, name, strlen(name), 0, &v);
	if ((err == -EEXIST && volume_named(m, name)) || !job_happened(j, err, "volume_create"))
		return;
	memset(to, 0, sizeof(*to));
	snprintf(to->name, sizeof(to->name), "%s", name);
	to->id = cow_volume_id(v);
	to->root = m_inode_new(to, COW_ROOT_INO, COW_S_DIR);
	m->volumes++;
	later = job_faults_off(j->w);
	err = cow_inode_get(v, COW_ROOT_INO, &root);
	if (!err) {
		m_reload(to->root, root);
		job_put(root);
	}
	cow_volume_put(v);
	cow_platform_fail_in = later;
}

void op_volume_clone(struct job *j)
{
	struct model *m = &j->w->model;
	struct m_volume *to = &m->volume[m->volumes];
	u32 flags = rnd_one_in(j->r, 3) ? COW_VOLUME_FROZEN : 0;
	struct cow_volume *v;
	char name[32];
	int err;

	if (m->volumes == M_VOLUMES)
		return;
	job_choose_name(j, name);
	err = cow_volume_clone(j->v, name, strlen(name), flags, &v);
	if ((err == -EEXIST && volume_named(m, name)) || !job_happened(j, err, "volume_clone"))
		return;
	m_volume_copy(to, j->mv);
	snprintf(to->name, sizeof(to->name), "%s", name);
	to->id = cow_volume_id(v);
	to->flags = flags;
	to->quota_blocks = 0;
	m->volumes++;
	cow_volume_put(v);
}

void op_volume_delete(struct job *j)
{
	struct model *m = &j->w->model;
	int err;

	if (!strcmp(j->mv->name, "root"))
		return;
	if (rnd_one_in(j->r, 2))
		job_release_volume(j->mv);
	for (struct m_inode *i = j->mv->inodes; i; i = i->next)
		if (i->held)
			return;
	cow_volume_put(j->v);
	j->v = NULL;
	err = cow_volume_delete(j->w->fs, j->mv->name, strlen(j->mv->name));
	if (!job_happened(j, err, "volume_delete"))
		return;
	m_volume_free(j->mv);
	*j->mv = m->volume[--m->volumes];
}

void op_volume_rename(struct job *j)
{
	struct model *m = &j->w->model;
	char name[32];
	int err;

	job_choose_name(j, name);
	if (!strcmp(j->mv->name, "root"))
		return;
	err = cow_volume_rename(j->w->fs, j->mv->name, strlen(j->mv->name), name, strlen(name));
	if (err == -EEXIST && volume_named(m, name))
		return;
	if (job_happened(j, err, "volume_rename"))
		snprintf(j->mv->name, sizeof(j->mv->name), "%s", name);
}

void op_volume_set(struct job *j)
{
	struct cow_volume_info info;
	u64 quota = rnd_one_in(j->r, 3) ? 40 + rnd_below(j->r, 100) : 0;
	bool freeze = rnd_one_in(j->r, 4) && strcmp(j->mv->name, "root");
	int err;

	if (!freeze) {
		err = cow_volume_set_quota(j->v, quota, 0);
		if (job_happened(j, err, "volume_set"))
			j->mv->quota_blocks = quota;
		return;
	}
	/* it ends with a commit of its own, which may fail when the volume is frozen already */
	j->mv->flags |= COW_VOLUME_FROZEN;
	err = cow_volume_freeze(j->v);
	job_happened(j, err, "volume_freeze");
	if (err && !cow_volume_info(j->v, &info))
		j->mv->flags = info.flags;
}
