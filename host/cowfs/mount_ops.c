/* SPDX-License-Identifier: MIT */
/*
 * mount_ops.c - what a mounted volume answers the kernel (contract: mount.h), by libfuse's
 * low-level interface: each request is one call of the core (kernel/fs/cowfs/cowfs.h) and one
 * reply.
 *
 * An inode that the kernel has looked up is a node until it is forgotten as often: so a file
 * without a name lives as long as somebody has it open. There is one thread, and nobody else has
 * the image, so what the kernel was told stays true: it may keep names, attributes and pages for
 * ever. It checks all rights (default_permissions), keeps out writers of a read-only mount, and
 * takes set-id bits away, as it does for a filesystem of its own.
 */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cowfs/mount.h"
#include "cowfs/tool.h"
#include "fs/xattr_name.h"

#define FOREVER	    86400.0 /* seconds */
#define FIRST_POS   2	    /* in a directory, behind "." and ".." */
#define SMALL_BYTES 65536   /* of attributes, or of names of a directory, in one reply */

/* --- nodes --- */

static struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct node *node_of(fuse_req_t req, fuse_ino_t id)
{
	return id == FUSE_ROOT_ID ? mount_of(req)->root : (struct node *)id;
}

static struct cow_inode *inode_of(fuse_req_t req, fuse_ino_t id)
{
	return node_of(req, id)->inode;
}

/* i's node, looked up once more. Uses up the reference of i, and the memory `spare`. */
static struct node *node_take(struct mount *m, struct cow_inode *i, struct node *spare)
{
	struct node *n = i->private;

	if (n) {
		cow_inode_put(i);
		free(spare);
	} else {
		n = i->private = spare;
		*n = (struct node){ .inode = i };
		list_append(&m->nodes, &n->list);
	}
	n->lookups++;
	return n;
}

static void node_forget(struct node *n, u64 lookups)
{
	n->lookups -= MIN(lookups, n->lookups);
	if (n->lookups)
		return;
	list_remove(&n->list);
	n->inode->private = NULL;
	cow_inode_put(n->inode);
	free(n);
}

void mount_begin(struct mount *m)
{
	struct cow_inode *i;
	int err = cow_inode_get(m->image.volume, COW_ROOT_INO, &i);

	if (err)
		tool_fail("'%s': the volume's root cannot be read: %s", m->image.path,
			  tool_error(err));
	list_init(&m->nodes);
	m->root = node_take(m, i, tool_alloc(sizeof(*m->root)));
}

void mount_end(struct mount *m)
{
	while (!list_empty(&m->nodes))
		node_forget(list_first(&m->nodes, struct node, list), ~0ull);
}

static void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t lookups)
{
	node_forget(node_of(req, id), lookups);
	fuse_reply_none(req);
}

/* --- replies --- */

static void reply_error(fuse_req_t req, int err) /* 0 or -errno */
{
	fuse_reply_err(req, -err);
}

static struct timespec timespec_of(struct cow_time t)
{
	return (struct timespec){ t.sec, t.nsec };
}

static struct stat stat_of(const struct cow_inode *i)
{
	const struct cow_inode_record *r = &i->rec;

	return (struct stat){
		.st_ino = i->ino,
		.st_mode = r->mode,
		.st_nlink = r->nlink,
		.st_uid = r->uid,
		.st_gid = r->gid,
		.st_rdev = r->rdev,
		.st_size = r->size,
		.st_blksize = COW_BLOCK,
		.st_blocks = r->blocks * (COW_BLOCK / 512),
		.st_atim = timespec_of(r->atime),
		.st_mtim = timespec_of(r->mtime),
		.st_ctim = timespec_of(r->ctime),
	};
}

/* The kernel learns of i. Uses up the reference, and `spare`. fi: it is open as well. */
static void reply_inode(fuse_req_t req, struct cow_inode *i, struct node *spare,
			struct fuse_file_info *fi)
{
	struct node *n = node_take(mount_of(req), i, spare);
	const struct fuse_entry_param e = { .ino = (fuse_ino_t)n,
					    .generation = i->rec.generation,
					    .attr = stat_of(i),
					    .attr_timeout = FOREVER,
					    .entry_timeout = FOREVER };
	int err = fi ? fuse_reply_create(req, &e, fi) : fuse_reply_entry(req, &e);

	if (err == -ENOENT) /* who asked was killed: the kernel does not count it */
		node_forget(n, 1);
}

/* --- finding --- */

/* What the name stands for, counted; -ENOENT. */
static int find(struct cow_inode *dir, const char *name, struct cow_inode **out)
{
	u64 ino;
	int err = cow_lookup(dir, name, strlen(name), &ino);

	*out = NULL;
	if (err)
		return err;
	err = cow_inode_get(dir->volume, ino, out);
	return err == -ENOENT || err == -ESTALE ? -EIO : err; /* a damaged image */
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct fuse_entry_param none = { .entry_timeout = FOREVER };
	struct node *spare = malloc(sizeof(*spare));
	struct cow_inode *i;
	int err = spare ? find(inode_of(req, parent), name, &i) : -ENOMEM;

	if (!err) {
		reply_inode(req, i, spare, NULL);
		return;
	}
	free(spare);
	if (err == -ENOENT)
		fuse_reply_entry(req, &none);
	else
		reply_error(req, err);
}

/* --- attributes --- */

static void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	const struct stat st = stat_of(inode_of(req, id));

	fuse_reply_attr(req, &st, FOREVER);
}

static struct cow_time time_of(const struct timespec *t)
{
	return (struct cow_time){ .sec = t->tv_sec, .nsec = t->tv_nsec };
}

static int set_attributes(struct cow_inode *i, const struct stat *st, int set)
{
	static const struct {
		int set;
		u32 valid;
	} map[] = {
		{ FUSE_SET_ATTR_MODE, COW_ATTR_MODE },
		{ FUSE_SET_ATTR_UID, COW_ATTR_UID },
		{ FUSE_SET_ATTR_GID, COW_ATTR_GID },
		{ FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW, COW_ATTR_ATIME },
		{ FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW, COW_ATTR_MTIME },
	};
	struct cow_attr a = { .valid = COW_ATTR_CTIME };
	int err = 0;

	cow_now(&a.ctime);
	a.mode = st->st_mode & 07777;
	a.uid = st->st_uid;
	a.gid = st->st_gid;
	a.atime = set & FUSE_SET_ATTR_ATIME_NOW ? a.ctime : time_of(&st->st_atim);
	a.mtime = set & FUSE_SET_ATTR_MTIME_NOW ? a.ctime : time_of(&st->st_mtim);
	for (size_t k = 0; k < ARRAY_SIZE(map); k++)
		a.valid |= set & map[k].set ? map[k].valid : 0;
	if (set & FUSE_SET_ATTR_SIZE)
		err = cow_file_truncate(i, st->st_size, &a.ctime);
	return err ? err : cow_setattr(i, &a);
}

static void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *st, int set,
		       struct fuse_file_info *fi)
{
	int err = set_attributes(inode_of(req, id), st, set);

	if (err)
		reply_error(req, err);
	else
		op_getattr(req, id, fi);
}

static void op_statfs(fuse_req_t req, fuse_ino_t id)
{
	struct mount *m = mount_of(req);
	struct cow_volume_info info;
	struct cow_space s;
	struct statvfs st;
	int err = cow_volume_info(m->image.volume, &info);

	if (err) {
		reply_error(req, err);
		return;
	}
	cow_space(m->image.fs, &s);
	cow_space_of_volume(&s, &info);
	st = (struct statvfs){ .f_bsize = COW_BLOCK,
			       .f_frsize = COW_BLOCK,
			       .f_blocks = s.blocks,
			       .f_bfree = s.free,
			       .f_bavail = s.available,
			       .f_files = s.inodes,
			       .f_ffree = s.inodes_free,
			       .f_favail = s.inodes_free,
			       .f_namemax = COW_NAME_MAX };
	fuse_reply_statfs(req, &st);
}

/* --- names --- */

static void make(fuse_req_t req, fuse_ino_t parent, const char *name, struct cow_new n,
		 struct fuse_file_info *fi)
{
	struct cow_inode *dir = inode_of(req, parent), *i;
	struct node *spare = malloc(sizeof(*spare));
	int err = spare ? 0 : -ENOMEM;

	n.uid = fuse_req_ctx(req)->uid;
	n.gid = fuse_req_ctx(req)->gid;
	if (dir->rec.mode & S_ISGID) { /* man 7 inode */
		n.gid = dir->rec.gid;
		n.mode |= S_ISDIR(n.mode) ? S_ISGID : 0;
	}
	cow_now(&n.now);
	if (!err)
		err = cow_create(dir, name, strlen(name), &n, &i);
	if (!err) {
		reply_inode(req, i, spare, fi);
		return;
	}
	free(spare);
	reply_error(req, err);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	fi->keep_cache = 1;
	make(req, parent, name, (struct cow_new){ .mode = S_IFREG | (mode & 07777) }, fi);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make(req, parent, name, (struct cow_new){ .mode = mode, .rdev = rdev }, NULL);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make(req, parent, name, (struct cow_new){ .mode = S_IFDIR | (mode & 07777) }, NULL);
}

static void op_symlink(fuse_req_t req, const char *text, fuse_ino_t parent, const char *name)
{
	make(req, parent, name, (struct cow_new){ .mode = S_IFLNK | 0777, .link = text }, NULL);
}

static void op_readlink(fuse_req_t req, fuse_ino_t id)
{
	char text[COW_PATH_MAX];
	int err = cow_readlink(inode_of(req, id), text, sizeof(text));

	if (err)
		reply_error(req, err);
	else
		fuse_reply_readlink(req, text);
}

static void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
	struct cow_inode *i = inode_of(req, id);
	struct cow_time now;
	int err;

	cow_now(&now);
	err = cow_link(i, inode_of(req, parent), name, strlen(name), &now);
	if (!err)
		err = cow_inode_get(i->volume, i->ino, &i);
	if (err)
		reply_error(req, err);
	else
		reply_inode(req, i, NULL, NULL); /* it has a node */
}

static void unlink_as(fuse_req_t req, fuse_ino_t parent, const char *name, bool directory)
{
	struct cow_inode *dir = inode_of(req, parent), *i;
	int err = find(dir, name, &i);
	struct cow_time now;

	cow_now(&now);
	if (!err && S_ISDIR(i->rec.mode) != directory)
		err = directory ? -ENOTDIR : -EISDIR;
	if (!err)
		err = cow_unlink(dir, name, strlen(name), i, &now);
	if (i)
		cow_inode_put(i);
	reply_error(req, err);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	unlink_as(req, parent, name, false);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	unlink_as(req, parent, name, true);
}

static int rename_as(struct cow_inode *from, const char *name, struct cow_inode *to,
		     const char *new_name, unsigned flags)
{
	struct cow_inode *i, *target = NULL;
	struct cow_time now;
	int err = find(from, name, &i);

	cow_now(&now);
	if (!err)
		err = find(to, new_name, &target);
	if (!err && flags & RENAME_NOREPLACE)
		err = -EEXIST;
	if (!err || (err == -ENOENT && i))
		err = cow_rename(from, name, strlen(name), i, to, new_name, strlen(new_name),
				 target, flags & RENAME_EXCHANGE, &now);
	if (target)
		cow_inode_put(target);
	if (i)
		cow_inode_put(i);
	return err;
}

static void op_rename(fuse_req_t req, fuse_ino_t from, const char *name, fuse_ino_t to,
		      const char *new_name, unsigned flags)
{
	int err = -EINVAL;

	if (!(flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)))
		err = rename_as(inode_of(req, from), name, inode_of(req, to), new_name, flags);
	reply_error(req, err);
}

/* --- reading directories: a position is an entry's key, as in kernel/fs/cowfs/vfs_dir.c --- */

struct filling {
	fuse_req_t req;
	size_t used, size;
	char data[SMALL_BYTES];
};

static bool add_name(struct filling *f, const char *name, u64 ino, u32 mode, u64 next)
{
	const struct stat st = { .st_ino = ino, .st_mode = mode };
	size_t left = f->size - f->used,
	       n = fuse_add_direntry(f->req, f->data + f->used, left, name, &st, next);

	f->used += n <= left ? n : 0;
	return n <= left;
}

static bool add_entry(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	char text[COW_NAME_MAX + 1];

	memcpy(text, name, len);
	text[len] = '\0';
	return add_name(arg, text, ino, type << 12, next);
}

static void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	static struct filling f;
	struct cow_inode *dir = inode_of(req, id);
	u64 up = dir->ino == COW_ROOT_INO ? COW_ROOT_INO : dir->rec.home.dir, pos = off;
	int err = 0;

	f.req = req, f.used = 0, f.size = MIN(size, sizeof(f.data));
	if (pos == 0 && add_name(&f, ".", dir->ino, S_IFDIR, 1))
		pos = 1;
	if (pos == 1 && add_name(&f, "..", up, S_IFDIR, FIRST_POS))
		pos = FIRST_POS;
	if (pos >= FIRST_POS)
		err = cow_readdir(dir, &pos, add_entry, &f);
	if (err)
		reply_error(req, err);
	else
		fuse_reply_buf(req, f.data, f.used);
}

/* --- data --- */

static void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct cow_inode *i = inode_of(req, id);
	u64 end = i->rec.size, n = MIN(size, end - MIN((u64)off, end));
	char *buf = malloc(n + 1);
	s64 got = buf ? cow_file_read(i, off, buf, n) : -ENOMEM;

	if (got >= 0 && (u64)got < n) /* a short answer would be the end of the file */
		got = -EIO;
	if (got < 0)
		reply_error(req, got);
	else
		fuse_reply_buf(req, buf, got);
	free(buf);
}

static void reply_count(fuse_req_t req, s64 done)
{
	if (done < 0)
		reply_error(req, done);
	else
		fuse_reply_write(req, done);
}

static void op_write(fuse_req_t req, fuse_ino_t id, const char *buf, size_t n, off_t off,
		     struct fuse_file_info *fi)
{
	struct cow_time now;

	cow_now(&now);
	reply_count(req, cow_file_write(inode_of(req, id), off, buf, n, &now));
}

static void op_fsync(fuse_req_t req, fuse_ino_t id, int data_only, struct fuse_file_info *fi)
{
	reply_error(req, cow_fsync(inode_of(req, id), data_only));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t off, off_t n,
			 struct fuse_file_info *fi)
{
	struct cow_inode *i = inode_of(req, id);
	struct cow_time now;
	int err = -EOPNOTSUPP;

	cow_now(&now);
	if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		err = cow_file_punch(i, off, n, &now);
	else if (!(mode & ~(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)))
		err = cow_file_allocate(i, off, n, mode & FALLOC_FL_KEEP_SIZE,
					mode & FALLOC_FL_ZERO_RANGE, &now);
	reply_error(req, err);
}

static void op_lseek(fuse_req_t req, fuse_ino_t id, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	u64 at = off;
	int err = cow_file_seek(inode_of(req, id), &at, whence == SEEK_DATA);

	if (err)
		reply_error(req, err);
	else
		fuse_reply_lseek(req, at);
}

/* Whole blocks are shared; of what is not, -EOPNOTSUPP makes the kernel copy the bytes. */
static s64 share(struct cow_inode *src, u64 from, struct cow_inode *dst, u64 to, u64 n)
{
	u64 size = src->rec.size;
	struct cow_time now;
	int err;

	if (from >= size || !n)
		return 0;
	n = MIN(n, size - from);
	if (from + n < size || to + n < dst->rec.size)
		n = ALIGN_DOWN(n, COW_BLOCK);
	if (!n || (from | to) % COW_BLOCK)
		return -EOPNOTSUPP;
	cow_now(&now);
	err = cow_file_clone_range(src, from, dst, to, n, &now);
	return err ? err : (s64)n;
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t from, struct fuse_file_info *fi,
			       fuse_ino_t out, off_t to, struct fuse_file_info *fo, size_t n,
			       int flags)
{
	n = MIN(n, (size_t)UINT32_MAX & ~(size_t)(COW_BLOCK - 1)); /* the reply has 32 bits */
	reply_count(req, share(inode_of(req, in), from, inode_of(req, out), to, n));
}

/* --- extended attributes; the kernel checks the rights that go with a name --- */

static char attributes[SMALL_BYTES];

static void reply_attributes(fuse_req_t req, int err, size_t size, size_t len)
{
	if (err)
		reply_error(req, err);
	else if (size)
		fuse_reply_buf(req, attributes, len);
	else
		fuse_reply_xattr(req, len);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
	size_t len, room = MIN(size, sizeof(attributes));
	int err = cow_xattr_get(inode_of(req, id), name, attributes, room, &len);

	reply_attributes(req, err, size, len);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t id, size_t size)
{
	size_t len;
	int err = cow_xattr_list(inode_of(req, id), attributes, sizeof(attributes), &len);

	if (!err && fuse_req_ctx(req)->uid)
		len = xattr_list_without_trusted(attributes, len);
	if (!err && size && len > size)
		err = -ERANGE;
	reply_attributes(req, err, size, len);
}

static int name_check(const char *name)
{
	bool bare;

	if (xattr_space(name, &bare) == XATTR_SPACE_NONE)
		return -EOPNOTSUPP;
	return bare ? -EINVAL : 0;
}

static void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *value,
			size_t n, int flags)
{
	struct cow_time now;
	int err = name_check(name);

	cow_now(&now);
	if (!err)
		err = cow_xattr_set(inode_of(req, id), name, value, n, flags, &now);
	reply_error(req, err);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name)
{
	struct cow_time now;

	cow_now(&now);
	reply_error(req, cow_xattr_remove(inode_of(req, id), name, &now));
}

/* What the kernel shall do itself: cut files that are opened so, take set-id bits away. */
static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want &=
		~(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_AUTO_INVAL_DATA);
	conn->want |= conn->capable & FUSE_CAP_CACHE_SYMLINKS;
}

const struct fuse_lowlevel_ops mount_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.statfs = op_statfs,
	.create = op_create,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.symlink = op_symlink,
	.readlink = op_readlink,
	.link = op_link,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.rename = op_rename,
	.readdir = op_readdir,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fsyncdir = op_fsync,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.copy_file_range = op_copy_file_range,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.setxattr = op_setxattr,
	.removexattr = op_removexattr,
};
