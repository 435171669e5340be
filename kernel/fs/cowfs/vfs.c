/* SPDX-License-Identifier: MIT */
/*
 * vfs.c - disks and superblocks of cowfs: mount, umount, statfs, sync, the thread
 * of each disk, and what memory pressure takes back.
 *
 *	mount -t cowfs [-o subvol=NAME] [-o clone=NEW] /dev/vda DIR
 *
 * mounts the volume NAME ("root"), or a clone of it, called NEW, which is deleted with its last
 * mount. Instead of the device any file on a volume of that disk will do. All mounts of a volume
 * show one superblock, all volumes of a disk share its struct cow_fs. That is there from the
 * first mount to the last put_super, both under cowfs_disks_lock. A superblock whose last mount
 * has gone may still be on its way out; who wants its volume again waits for that.
 *
 * The thread does cow_work() every few seconds and whenever the core asks.
 */
#include "core/leak.h"
#include "core/rcu.h"
#include "core/time.h"
#include "fs/cowfs/vfs_internal.h"

#define COWFS_MAGIC	0x636f7766 /* statfs: f_type */
#define COMMIT_INTERVAL (5 * NSEC_PER_SEC)
#define QUOTA_SHARE	16
#define ROOM_SHARE	32 /* of memory to take back at once when it is short */

struct mutex cowfs_disks_lock = MUTEX_INIT(cowfs_disks_lock, RANK_COWFS_DISKS);
static struct list disks = LIST_INIT(disks); /* D */

/* --- the thread --- */

/* Waits until there is something to do: false, it is time to stop. */
static bool thread_wait(struct cowfs_disk *d, bool *wanted)
{
	ktime_t until = ktime_get() + COMMIT_INTERVAL;

	spin_lock(&d->platform.lock);
	while (!d->wanted && !d->stop && ktime_get() < until)
		(void)waitq_sleep(&d->work, &d->platform.lock, SLEEP_DEVICE, until);
	*wanted = d->wanted;
	d->wanted = false;
	spin_unlock(&d->platform.lock);
	return !READ_ONCE(d->stop);
}

static void thread_main(void *arg)
{
	struct cowfs_disk *d = arg;
	bool wanted;
	int err = cow_volumes_sweep(d->fs);

	if (err)
		log_warn("cowfs: %s: what is left of containers stays: error %d\n",
			 d->platform.device->name, -err);
	while (thread_wait(d, &wanted))
		for (bool commit = true; cow_work(d->fs, commit) && !READ_ONCE(d->stop);
		     commit = false)
			resched_point();
	spin_lock(&d->platform.lock);
	d->stopped = true;
	waitq_wake_all(&d->work, 0);
	spin_unlock(&d->platform.lock);
}

static void thread_stop(struct cowfs_disk *d)
{
	spin_lock(&d->platform.lock);
	d->stop = true;
	waitq_wake_all(&d->work, 0);
	while (!d->stopped)
		(void)waitq_sleep(&d->work, &d->platform.lock, SLEEP_DEVICE, KTIME_NEVER);
	spin_unlock(&d->platform.lock);
}

static void thread_wake(struct cow_fs *fs)
{
	struct cowfs_disk *d = container_of(cow_platform_of(fs), struct cowfs_disk, platform);

	spin_lock(&d->platform.lock);
	d->wanted = true;
	waitq_wake_all(&d->work, 0);
	spin_unlock(&d->platform.lock);
}

/* The account of who acts, or opened what is written, if it is below that of the volume; else the
 * volume's. */
static struct account *acting(struct account *of_volume)
{
	struct account *a = account_effective(current->writes_for ?: current->owner->account);

	return account_is_ancestor(of_volume, a) ? a : of_volume;
}

/*
 * An operation may need many blocks at worst and takes few: of a small limit not more than a part
 * is kept for that. What somebody does to a volume of a container around his own counts in his own
 * as well (account_grow).
 */
static int account_fits(void *account, u64 blocks, u64 inodes)
{
	struct account *a = acting(account);
	s64 part = account_limit(a, RES_DISK) / COW_BLOCK / QUOTA_SHARE;
	int err = 0;

	if (blocks)
		err = charge_check(a, RES_DISK, MAX(MIN((s64)blocks, part), 1l) * COW_BLOCK);
	if (!err && inodes)
		err = charge_check(a, RES_INODES, inodes);
	return err;
}

static void account_count_one(struct account *a, enum resource what, s64 n, bool moved)
{
	if (!moved)
		account_grow(acting(a), a, what, n);
	if (n > 0)
		charge_force(a, what, n);
	else
		uncharge(a, what, -n);
}

static void account_count(void *account, s64 blocks, s64 inodes, bool moved)
{
	account_count_one(account, RES_DISK, blocks * COW_BLOCK, moved);
	account_count_one(account, RES_INODES, inodes, moved);
}

static const struct cow_hooks hooks = {
	.protect = cowfs_protect,
	.wake = thread_wake,
	.fits = account_fits,
	.count = account_count,
};

/* --- disks; under cowfs_disks_lock --- */

static int disk_open(struct block_device *b, struct cowfs_disk **out)
{
	struct cowfs_disk *d = kmalloc(sizeof(*d), KM_ZERO);
	int err;

	if (!d)
		return -ENOMEM;
	cow_platform_init(&d->platform, b);
	list_init(&d->supers);
	waitq_init(&d->work);
	err = cow_mount(&d->platform, 0, &d->fs);
	if (err)
		goto free_disk;
	d->platform.fs = d->fs;
	cow_set_hooks(d->fs, &hooks);
	err = kthread_create("cowfs", thread_main, d, NULL);
	if (err)
		goto unmount;
	list_append(&disks, &d->node);
	*out = d;
	return 0;
unmount:
	(void)cow_unmount(d->fs);
free_disk:
	kfree(d);
	return err;
}

/* The disk, mounted if it was not. */
static int disk_get(struct block_device *b, struct cowfs_disk **out)
{
	struct cowfs_disk *d;

	list_for_each (d, &disks, node)
		if (d->platform.device == b) {
			*out = d;
			return 0;
		}
	return disk_open(b, out);
}

/* Unless a volume of it is mounted. */
static void disk_put(struct cowfs_disk *d)
{
	int err;

	if (!list_empty(&d->supers))
		return;
	list_remove(&d->node);
	thread_stop(d);
	err = cow_unmount(d->fs);
	if (err)
		log_err("cowfs: %s: the last commit failed: error %d\n", d->platform.device->name,
			-err);
	kfree(d);
}

void cowfs_sync_all(void)
{
	struct cowfs_disk *d;

	mutex_lock(&cowfs_disks_lock);
	list_for_each (d, &disks, node)
		(void)cow_sync(d->fs);
	mutex_unlock(&cowfs_disks_lock);
}

/* --- superblocks --- */

static const struct super_ops cowfs_super_ops;

/* What it uses is nobody's any more. */
static void super_drop_account(struct cowfs_super *s)
{
	if (!s->account)
		return;
	cow_volume_set_account(s->volume, NULL);
	account_put(s->account);
	s->account = NULL;
}

void cowfs_set_account(struct superblock *sb, struct account *a)
{
	struct cowfs_super *s = cowfs_super_of(sb);

	super_drop_account(s);
	s->account = account_get(a);
	cow_volume_set_account(s->volume, a);
}

static int super_fill(struct superblock *sb, struct cowfs_disk *d, struct cow_volume *v)
{
	struct cowfs_super *s = kmalloc(sizeof(*s), KM_ZERO | KM_ACCOUNT);
	struct cow_volume_info *info = kmalloc(sizeof(*info), KM_ACCOUNT);
	struct inode *root;
	bool frozen;
	int err = s && info ? cow_volume_info(v, info) : -ENOMEM;

	frozen = !err && info->flags & COW_VOLUME_FROZEN;
	if (!err && (frozen || cow_disk_read_only(&d->platform)))
		sb->flags |= MS_RDONLY;
	kfree(info);
	if (err) {
		kfree(s);
		return err;
	}
	*s = (struct cowfs_super){ .sb = sb, .disk = d, .volume = cow_volume_get(v) };
	sb->private = s;
	list_append(&d->supers, &s->node);
	if (!frozen)
		cowfs_set_account(sb, &account_root);
	err = cowfs_inode_get(sb, COW_ROOT_INO, &root);
	return err ? err : dentry_create_root(sb, root, &sb->root);
}

/* The superblock of v if there is one: counted, or NULL and *dying. */
static struct superblock *super_find(struct cowfs_disk *d, struct cow_volume *v, bool *dying)
{
	struct cowfs_super *s;

	*dying = false;
	list_for_each (s, &d->supers, node) {
		if (s->volume != v)
			continue;
		if (ref_get_unless_zero(&s->sb->refs))
			return s->sb;
		*dying = true;
	}
	return NULL;
}

int cowfs_super_get(struct cowfs_disk *d, struct cow_volume *v, u32 flags, struct superblock **out)
{
	bool dying;
	int err = 0;

	*out = super_find(d, v, &dying);
	if (!*out)
		err = dying ? -EAGAIN
			    : superblock_create(&cowfs_type, &cowfs_super_ops, flags, out);
	if (!err && !(*out)->private) {
		err = super_fill(*out, d, v);
		if (err) {
			/* its put_super needs the lock that is held */
			mutex_unlock(&cowfs_disks_lock);
			superblock_put(*out);
			mutex_lock(&cowfs_disks_lock);
		}
	}
	cow_volume_put(v);
	return err;
}

static void super_delete_volume(struct cowfs_super *s, struct cow_volume_info *info)
{
	int err = cow_volume_info(s->volume, info);

	cow_volume_put(s->volume);
	s->volume = NULL;
	if (!err)
		err = cow_volume_delete(s->disk->fs, info->name, strlen(info->name));
	if (err)
		log_warn("cowfs: %s: a volume could not be deleted: error %d\n",
			 s->disk->platform.device->name, -err);
}

static void cowfs_put_super(struct superblock *sb)
{
	struct cowfs_super *s = sb->private;
	struct cow_volume_info *info;

	if (!s)
		return;
	mutex_lock(&cowfs_disks_lock);
	super_drop_account(s);
	info = s->delete_after ? kmalloc(sizeof(*info), 0) : NULL;
	if (info)
		super_delete_volume(s, info);
	else
		cow_volume_put(s->volume);
	kfree(info);
	list_remove(&s->node);
	disk_put(s->disk);
	mutex_unlock(&cowfs_disks_lock);
	kfree(s);
}

bool cowfs_is(const struct superblock *sb)
{
	return sb->type == &cowfs_type;
}

/* --- mount --- */

struct cowfs_options {
	char subvol[COW_NAME_MAX + 1];
	char clone[COW_NAME_MAX + 1];
	u32 flags;
};

/* A word "key=value": its value, or NULL. */
static const char *option_value(const char *word, size_t n, const char *key)
{
	size_t k = strlen(key);

	return n > k + 1 && !memcmp(word, key, k) && word[k] == '=' ? word + k + 1 : NULL;
}

static int parse_option(struct cowfs_options *o, const char *word, size_t n)
{
	const char *value = option_value(word, n, "subvol");
	char *to = o->subvol;

	if (n == 2 && !memcmp(word, "ro", 2)) {
		o->flags |= MS_RDONLY;
		return 0;
	}
	if (n == 2 && !memcmp(word, "rw", 2)) {
		o->flags &= ~MS_RDONLY;
		return 0;
	}
	if (!value) {
		value = option_value(word, n, "clone");
		to = o->clone;
	}
	if (!value)
		return -EINVAL;
	n -= value - word;
	if (n > COW_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(to, value, n);
	to[n] = 0;
	return 0;
}

static int parse_options(struct cowfs_options *o, const char *data)
{
	const char *end;
	int err = 0;

	for (; data && *data && !err; data = *end ? end + 1 : end) {
		end = strchr(data, ',') ?: data + strlen(data);
		if (end > data)
			err = parse_option(o, data, end - data);
	}
	return err;
}

static int find_device(const char *source, struct block_device **out)
{
	struct path p;
	int err = source && *source ? path_lookup(AT_FDCWD, source, LOOKUP_FOLLOW, &p) : -ENOENT;

	if (err)
		return err;
	*out = NULL;
	if (!S_ISBLK(p.dentry->inode->mode) && cowfs_is(p.mount->sb))
		*out = cowfs_super_of(p.mount->sb)->disk->platform.device;
	else if (!S_ISBLK(p.dentry->inode->mode))
		err = -ENOTBLK;
	else if (!(*out = block_by_number(p.dentry->inode->rdev)))
		err = -ENXIO;
	path_put(p);
	return err;
}

static int mount_volume(struct block_device *b, const char *name, u32 flags,
			struct superblock **out)
{
	struct cow_volume *v;
	struct cowfs_disk *d;
	int err;

	mutex_lock(&cowfs_disks_lock);
	err = disk_get(b, &d);
	if (!err) {
		err = cow_volume_find(d->fs, name, strlen(name), &v);
		if (!err)
			err = cowfs_super_get(d, v, flags, out);
		else
			disk_put(d);
	}
	mutex_unlock(&cowfs_disks_lock);
	return err;
}

/* *sb becomes a clone of what it is. */
static int mount_clone(const struct cowfs_options *o, struct superblock **sb)
{
	struct superblock *from = *sb;
	int err = cowfs_clone(from, o->clone, false, sb);

	superblock_put(from);
	if (!err)
		(*sb)->flags |= o->flags & MS_RDONLY;
	return err;
}

static int mount_device(struct block_device *b, const char *name, u32 flags,
			struct superblock **out)
{
	int err;

	while ((err = mount_volume(b, name, flags, out)) == -EAGAIN)
		rcu_synchronize(); /* the volume's last superblock is on its way out */
	return err;
}

int cowfs_mount_device(struct block_device *b, const char *name, struct superblock **out)
{
	return mount_device(b, name, 0, out);
}

static int cowfs_mount(const struct fs_type *t, const char *source, u32 flags, const char *data,
		       struct superblock **out)
{
	struct cowfs_options *o = kmalloc(sizeof(*o), KM_ACCOUNT);
	struct block_device *b;
	int err;

	if (!o)
		return -ENOMEM;
	*o = (struct cowfs_options){ .subvol = "root", .flags = flags };
	err = parse_options(o, data);
	if (!err)
		err = find_device(source, &b);
	if (!err)
		err = mount_device(b, o->subvol, o->flags, out);
	if (!err && o->clone[0])
		err = mount_clone(o, out);
	kfree(o);
	return err;
}

/* --- what a superblock answers --- */

/*
 * The limits of the container whose volume it is, of those around it, and of one inside it that
 * looks, as quotas are told.
 */
static void statfs_account(const struct cowfs_super *s, const struct cow_volume_info *v,
			   struct kstatfs *st)
{
	struct account *a = s->account ? acting(s->account) : NULL;
	u64 used, left;

	if (a && account_limit(a, RES_DISK) != INT64_MAX) {
		left = account_available(a, RES_DISK) / COW_BLOCK;
		used = a == s->account ? v->used_blocks
				       : (u64)account_read(a, RES_DISK) / COW_BLOCK;
		st->blocks = used + left;
		st->bfree = MIN(st->bfree, left);
		st->bavail = MIN(st->bavail, left);
	}
	if (a && account_limit(a, RES_INODES) != INT64_MAX) {
		left = account_available(a, RES_INODES);
		used = a == s->account ? v->inodes - MIN(v->inodes, v->base_inodes)
				       : (u64)account_read(a, RES_INODES);
		st->ffree = MIN(st->ffree, left);
		st->files = used + left;
	}
}

static int cowfs_statfs(struct superblock *sb, struct kstatfs *st)
{
	struct cowfs_super *s = cowfs_super_of(sb);
	struct cow_volume_info *v = kmalloc(sizeof(*v), KM_ACCOUNT);
	struct cow_space space;
	int err = v ? cow_volume_info(s->volume, v) : -ENOMEM;

	if (err) {
		kfree(v);
		return err;
	}
	cow_space(s->disk->fs, &space);
	cow_space_of_volume(&space, v);
	st->type = COWFS_MAGIC;
	st->bsize = st->frsize = COW_BLOCK;
	st->namelen = COW_NAME_MAX;
	st->blocks = space.blocks;
	st->bfree = space.free;
	st->bavail = space.available;
	st->files = space.inodes;
	st->ffree = space.inodes_free;
	statfs_account(s, v, st);
	kfree(v);
	return 0;
}

static int cowfs_sync(struct superblock *sb, bool wait)
{
	return cow_sync(cowfs_super_of(sb)->disk->fs);
}

static void cowfs_show_options(struct superblock *sb, char *buf, size_t size)
{
	struct cow_volume_info *v = kmalloc(sizeof(*v), KM_ACCOUNT);

	*buf = 0;
	if (v && !cow_volume_info(cowfs_super_of(sb)->volume, v))
		snprintf(buf, size, ",subvol=%s", v->name);
	kfree(v);
}

/* Options that name what is mounted already. */
static int cowfs_remount(struct superblock *sb, const char *data)
{
	struct cow_volume_info *v = kmalloc(sizeof(*v), KM_ACCOUNT);
	struct cowfs_options *o = kmalloc(sizeof(*o), KM_ZERO | KM_ACCOUNT);
	int err = v && o ? parse_options(o, data) : -ENOMEM;

	if (!err)
		err = cow_volume_info(cowfs_super_of(sb)->volume, v);
	if (!err && (o->clone[0] || (o->subvol[0] && strcmp(o->subvol, v->name))))
		err = -EINVAL;
	kfree(o);
	kfree(v);
	return err;
}

static const struct super_ops cowfs_super_ops = {
	.evict = cowfs_evict,
	.remount = cowfs_remount,
	.show_options = cowfs_show_options,
	.statfs = cowfs_statfs,
	.put_super = cowfs_put_super,
	.sync = cowfs_sync,
};

const struct fs_type cowfs_type = {
	.name = "cowfs",
	.needs_device = true,
	.mount = cowfs_mount,
};

/* --- memory pressure --- */

/* What an account that is over its limit has here is dirty pages: a commit makes them nobody's. */
static u64 account_shrink(struct account *a)
{
	s64 before = account_read(a, RES_MEMORY);

	cowfs_sync_all();
	account_drain();
	return MAX(before - account_read(a, RES_MEMORY), 0l) >> PAGE_SHIFT;
}

/*
 * Clean blocks, after files' mappings have let go of some (else the core would look through all of
 * its cache for few that nobody uses); then what a commit makes clean; then what is mapped.
 */
static u64 cowfs_shrink(struct account *a, u64 pages)
{
	struct cowfs_disk *d;
	u64 freed = 0;

	if (a != &account_root)
		return account_shrink(a);
	for (unsigned step = 0; step < 3 && freed < pages; step++) {
		(void)cowfs_inodes_shrink(pages - freed, step == 2);
		mutex_lock(&cowfs_disks_lock);
		list_for_each (d, &disks, node) {
			if (step == 1)
				(void)cow_work(d->fs, true);
			freed += cow_shrink(d->fs, pages - freed);
		}
		mutex_unlock(&cowfs_disks_lock);
	}
	return freed;
}

void cowfs_make_room(void)
{
	struct page_stats s;

	if (likely(!page_is_short()))
		return;
	page_stats(&s);
	dentry_forget_part(ROOM_SHARE);
	(void)cowfs_shrink(&account_root, s.total / ROOM_SHARE);
}

/* For tests that count objects: nothing is kept that the disk has. */
static void cowfs_drain(void)
{
	struct cowfs_disk *d;

	(void)cowfs_inodes_shrink(UINT64_MAX, true);
	mutex_lock(&cowfs_disks_lock);
	list_for_each (d, &disks, node) {
		while (cow_work(d->fs, true))
			resched_point();
		cow_io_drain(&d->platform); /* what is being read ahead cannot be dropped */
		(void)cow_shrink(d->fs, UINT64_MAX);
		(void)cow_trim(d->fs);
	}
	mutex_unlock(&cowfs_disks_lock);
}

static struct shrinker cowfs_shrinker = { .name = "cowfs", .shrink = cowfs_shrink };

void cowfs_init(void)
{
	shrinker_add(&cowfs_shrinker);
	drain_hook_add(cowfs_drain); /* behind that of the names, which keep inodes */
}
