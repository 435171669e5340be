/* SPDX-License-Identifier: MIT */
/* ops.h - what the random operations share: ops.c (names, promises), ops_data.c, ops_volume.c. */
#ifndef TESTS_COWFS_OPS_H
#define TESTS_COWFS_OPS_H

#include "world.h"

#define FILE_LIMIT 10 /* blocks, mostly */

struct job {
	struct world *w;
	struct m_volume *mv;
	struct cow_volume *v;
	struct rnd *r;
	struct cow_time now;
	struct m_inode *fixed; /* the file that all operations are about, or NULL */
};

/* type 0: any. named: not an orphan. Counted: hold(), given back: put(). */
bool job_is_type(const struct m_inode *i, u32 type);
struct m_inode *job_choose_inode(struct job *j, u32 type, bool named);
struct cow_inode *job_hold(struct job *j, struct m_inode *i, int *err);
void job_put(struct cow_inode *i);
bool job_happened(struct job *j, s64 err, const char *what);
void job_take_times(struct m_inode *i, struct cow_inode *from);
void job_range_done(struct job *j, struct m_inode *i, struct cow_inode *ci, s64 err);
void job_range_begin(struct job *j, struct m_inode *i);
u64 job_faults_off(struct world *w);

void op_write(struct job *j);
void op_write_block(struct job *j);
void op_read(struct job *j);
void op_truncate(struct job *j);
void op_punch(struct job *j);
void op_allocate(struct job *j);
void op_clone_range(struct job *j);
void op_setattr(struct job *j);
void op_xattr(struct job *j);
void job_choose_name(struct job *j, char *name); /* 32 bytes */
void job_release_volume(struct m_volume *v);
void op_volume_create(struct job *j);
void op_volume_clone(struct job *j);
void op_volume_delete(struct job *j);
void op_volume_rename(struct job *j);
void op_volume_set(struct job *j);
void job_fill(struct job *j, u8 *buf, u64 n);

#endif
