/* SPDX-License-Identifier: MIT */
/*
 * file.c - open file descriptions: made, counted, released.
 *
 * file_open_take() makes one on a counted path. The last file_put() hands the
 * release to the way back to user mode (or to the work thread, if there is no
 * such way), so that it may be called with locks held; file_put_now() releases
 * at once.
 *
 * The memory of a struct file stays of that type for a grace period (SLAB_RCU):
 * fdtable.c counts files that may just have been freed.
 */
#include "core/work.h"
#include "fs/internal.h"
#include "fs/pipe.h"

static struct slab_cache *file_cache;
static const struct file_ops path_file_ops; /* O_PATH: nothing can be done with it */

/* Files whose last count went where nothing may sleep: an atomic stack. */
static struct file *dead_files;
static struct work dead_work;

struct file *file_get(struct file *f)
{
	ref_get(&f->refs);
	return f;
}

/*
 * Writers are counted in the inode (against exec), and in the mount and the
 * superblock (against a remount read-only). The count comes before the look at
 * the flags here, and after it there.
 */
static void file_close_writer(struct file *f)
{
	if (!S_ISREG(f->inode->mode))
		return;
	__atomic_sub_fetch(&f->path.mount->writers, 1, __ATOMIC_RELEASE);
	__atomic_sub_fetch(&f->path.mount->sb->writers, 1, __ATOMIC_RELEASE);
	inode_put_write(f->inode);
}

static int file_open_writer(struct file *f)
{
	struct mount *m = f->path.mount;
	int err;

	if (!(f->mode & FILE_WRITE) || !S_ISREG(f->inode->mode))
		return 0;
	err = inode_get_write(f->inode);
	if (err)
		return err;
	__atomic_add_fetch(&m->sb->writers, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&m->writers, 1, __ATOMIC_SEQ_CST);
	err = mount_want_write(m);
	if (err)
		file_close_writer(f);
	return err;
}

static void file_release(struct file *f)
{
	struct inode *i = f->inode;

	if (f->ops->release)
		f->ops->release(f);
	if (unlikely(i->locks))
		locks_release(f);
	if (f->mode & FILE_WRITE)
		file_close_writer(f);
	path_put(f->path);
	file_unreserve(f);
}

void file_put_now(struct file *f)
{
	if (ref_put(&f->refs))
		file_release(f);
}

static void file_release_callback(struct task_callback *cb)
{
	file_release(container_of(cb, struct file, callback));
}

static void file_release_work(struct work *w)
{
	struct file *f = __atomic_exchange_n(&dead_files, NULL, __ATOMIC_ACQUIRE), *next;

	for (; f; f = next) {
		next = f->next_dead;
		file_release(f);
	}
}

void file_put(struct file *f)
{
	if (!ref_put(&f->refs))
		return;
	if (current->aspace && !kill_pending()) {
		f->callback.fn = file_release_callback;
		task_callback_add(current, &f->callback);
		return;
	}
	f->next_dead = __atomic_load_n(&dead_files, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&dead_files, &f->next_dead, f, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	work_queue(&dead_work);
}

/* --- making --- */

static u32 file_mode_of(int flags)
{
	static const u8 mode[] = { FILE_READ, FILE_WRITE, FILE_READ | FILE_WRITE, 0 };

	return flags & O_PATH ? FILE_PATH : mode[flags & O_ACCMODE];
}

static const struct file_ops *inode_file_ops(const struct inode *i)
{
	if (likely(i->file_ops))
		return i->file_ops;
	if (mode_is_device(i->mode))
		return device_file_ops(i->mode, i->rdev);
	return S_ISFIFO(i->mode) ? &fifo_file_ops : NULL;
}

int file_reserve(struct file **out)
{
	struct account *a = current ? current->account : &account_root;
	struct file *f;

	if (unlikely(charge_below(a, &account_root, RES_FILES, 1)))
		return -ENFILE;
	f = slab_alloc(file_cache);
	if (unlikely(!f)) {
		uncharge_below(a, &account_root, RES_FILES, 1);
		return -ENOMEM;
	}
	f->account = a;
	*out = f;
	return 0;
}

void file_unreserve(struct file *f)
{
	uncharge_below(f->account, &account_root, RES_FILES, 1);
	slab_free(file_cache, f);
}

static void file_set_up(struct file *f, struct inode *i, struct path p, int flags)
{
	f->flags = flags;
	f->mode = file_mode_of(flags);
	f->path = p;
	f->inode = i;
	f->pos = 0;
	mutex_init(&f->pos_lock, RANK_FILE_POS);
	spin_init(&f->lock, RANK_FDTABLE);
	f->private = NULL;
	list_init(&f->epoll_items);
	__atomic_store_n(&f->refs.count, 1, __ATOMIC_RELEASE);
}

/* A file that did not get as far as its open op. */
static void file_discard(struct file *f)
{
	f->ops = &path_file_ops;
	f->mode = FILE_PATH;
	file_put_now(f);
}

int file_open_take(struct path *p, int flags, struct file **out)
{
	struct file *f;
	int err = file_reserve(&f);

	if (unlikely(err)) {
		path_put(*p);
		return err;
	}
	return file_open_reserved(f, p, flags, out);
}

int file_open_reserved(struct file *f, struct path *p, int flags, struct file **out)
{
	struct inode *i = p->dentry->inode;
	int err;

	file_set_up(f, i, *p, flags & ~O_CLOEXEC);
	if (unlikely(flags & O_PATH)) {
		f->ops = &path_file_ops;
		*out = f;
		return 0;
	}
	f->ops = inode_file_ops(i);
	err = f->ops ? file_open_writer(f) : -ENXIO;
	if (unlikely(err)) {
		file_discard(f);
		return err;
	}
	if (f->ops->open) {
		err = f->ops->open(i, f);
		if (unlikely(err)) {
			if (f->mode & FILE_WRITE)
				file_close_writer(f);
			file_discard(f);
			return err;
		}
	}
	f->flags &= ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC);
	*out = f;
	return 0;
}

int file_open_path(const struct path *p, int flags, struct file **out)
{
	struct path mine = path_get(*p);

	return file_open_take(&mine, flags, out);
}

int inode_create_anon(u32 mode, struct inode **out)
{
	return inode_create(anon_mount->sb, mode, out);
}

bool inode_is_anon(const struct inode *i)
{
	return i->sb == anon_mount->sb;
}

int file_create_anon(struct inode *i, const struct file_ops *ops, int flags, void *private,
		     const char *name, struct file **out)
{
	struct path p = { anon_mount, NULL };
	struct file *f;
	int err;

	if (dentry_alloc_nameless(anon_mount->sb, i, name, &p.dentry)) {
		inode_put(i);
		return -ENOMEM;
	}
	mount_get(anon_mount);
	err = file_reserve(&f);
	if (err) {
		path_put(p);
		return err;
	}
	file_set_up(f, i, p, flags & ~O_CLOEXEC);
	f->ops = ops;
	f->private = private;
	*out = f;
	return 0;
}

/* --- exec --- */

int file_deny_write(struct file *f)
{
	s32 n = __atomic_load_n(&f->inode->writers, __ATOMIC_RELAXED);

	do {
		if (n > 0)
			return -ETXTBSY;
	} while (!__atomic_compare_exchange_n(&f->inode->writers, &n, n - 1, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return 0;
}

void file_allow_write(struct file *f)
{
	__atomic_fetch_add(&f->inode->writers, 1, __ATOMIC_RELEASE);
}

s64 file_read_kernel(struct file *f, void *buf, size_t n, u64 pos)
{
	struct uio u;
	s64 ret;

	if (!f->ops->read)
		return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
	uio_init_kernel(&u, buf, n);
	while (u.left) {
		ret = f->ops->read(f, &u, &pos);
		if (ret < 0)
			return ret;
		if (!ret)
			break;
	}
	return n - u.left;
}

s64 file_write_kernel(struct file *f, const void *buf, size_t n, u64 *pos)
{
	struct uio u;

	uio_init_kernel(&u, buf, n);
	return file_write(f, &u, pos);
}

void file_init(void)
{
	file_cache = slab_cache_create("file", sizeof(struct file), 0, SLAB_ACCOUNT | SLAB_RCU);
	work_init(&dead_work, file_release_work);
}
