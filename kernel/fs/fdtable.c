/* SPDX-License-Identifier: MIT */
/*
 * fdtable.c - the descriptors of a process.
 *
 * Interface: fd_begin/fd_end around one call's use of a file; fd_reserve, then
 * fd_install or fd_release, to make a descriptor; fd_close.
 *
 * A table with one reference is changed by current alone and without a lock:
 * only clone(CLONE_FILES) by current itself adds a second user. (/proc counts
 * the table for a moment but never changes it.) A shared one is changed under
 * t->lock. Readers of a shared table look under RCU: the slot, a count unless
 * it is zero, the slot again; the cache of struct file keeps its memory of that
 * type (SLAB_RCU), so a file that was freed and used anew in between shows in
 * the second look.
 *
 * Invariants: bit fd of `used` is set while fd is reserved or open; file[fd] is
 * NULL while it is only reserved; bit w of `full` says that word w of `used` has
 * no clear bit; nothing below lowest_hint is free.
 */
#include "fs/internal.h"
#include "lib/bitmap.h"

#define FD_COPY_WORDS 64 /* of 64 descriptors, between two resched_point()s */
#define FD_CLOSE_STEP 8
/* The first array, with its bitmaps, fits into 256 bytes; the next has 64, then they double. */
#define FD_ARRAY_FIRST 20
#define FD_MAX	       (1u << 20) /* Linux's fs.nr_open */

static struct fd_array *fd_array_alloc(u32 size)
{
	u32 words = BITMAP_WORDS(size), full_words = BITMAP_WORDS(words);
	struct fd_array *a;

	a = kmalloc(sizeof(*a) + size * sizeof(struct file *) + (2 * words + full_words) * 8,
		    KM_ZERO | KM_ACCOUNT);
	if (!a)
		return NULL;
	a->size = size;
	a->file = (struct file **)(a + 1);
	a->used = (u64 *)(a->file + size);
	a->cloexec = a->used + words;
	a->full = a->cloexec + words;
	return a;
}

static void fd_array_free_rcu(struct rcu_head *h)
{
	kfree(container_of(h, struct fd_array, rcu));
}

/* Locks a shared table; says whether it did. */
static bool fd_lock(struct fd_table *t)
{
	bool shared = ref_read(&t->refs) != 1;

	if (shared)
		spin_lock(&t->lock);
	return shared;
}

static void fd_unlock(struct fd_table *t, bool locked)
{
	if (locked)
		spin_unlock(&t->lock);
}

int fd_table_create(struct fd_table **out)
{
	struct fd_table *t = kmalloc(sizeof(*t), KM_ZERO | KM_ACCOUNT);

	if (!t)
		return -ENOMEM;
	t->array = fd_array_alloc(FD_ARRAY_FIRST);
	if (!t->array) {
		kfree(t);
		return -ENOMEM;
	}
	ref_init(&t->refs, 1);
	spin_init(&t->lock, RANK_FDTABLE);
	*out = t;
	return 0;
}

struct fd_table *fd_table_get(struct fd_table *t)
{
	ref_get(&t->refs);
	return t;
}

/* One more than the highest descriptor; 0: there is none. */
static u32 fd_array_end(const struct fd_array *a)
{
	for (u32 w = BITMAP_WORDS(a->size); w-- > 0;)
		if (a->used[w])
			return w * 64 + 64 - __builtin_clzll(a->used[w]);
	return 0;
}

static u32 fd_array_size_for(u32 fds)
{
	u32 size = fds <= FD_ARRAY_FIRST ? FD_ARRAY_FIRST : 64;

	while (size < fds)
		size *= 2;
	return size;
}

static void fd_mark_used(struct fd_array *a, u32 fd)
{
	bit_set(a->used, fd);
	if (a->used[fd / 64] == UINT64_MAX)
		bit_set(a->full, fd / 64);
}

static void fd_mark_free(struct fd_table *t, struct fd_array *a, u32 fd)
{
	bit_clear(a->used, fd);
	bit_clear(a->full, fd / 64);
	bit_clear(a->cloexec, fd);
	if (fd < t->lowest_hint)
		t->lowest_hint = fd;
	t->open_count--;
}

/* Words [w, end) of a fresh table from an old one: each file counted; mere reservations are left
 * out.
 */
static void fd_array_copy(struct fd_table *t, const struct fd_array *from, u32 w, u32 end)
{
	struct fd_array *a = t->array;

	for (; w < end; w++) {
		for (u64 bits = from->used[w]; bits; bits &= bits - 1) {
			u32 fd = w * 64 + __builtin_ctzll(bits);
			struct file *f = from->file[fd];

			if (!f)
				continue;
			a->file[fd] = file_get(f);
			fd_mark_used(a, fd);
			t->open_count++;
		}
		a->cloexec[w] = from->cloexec[w] & a->used[w];
	}
}

int fd_table_copy(struct fd_table *from, struct fd_table **out)
{
	struct fd_array *bigger = NULL;
	struct fd_table *t;
	bool locked;
	u32 end, words;
	int err = fd_table_create(&t);

	if (err)
		return err;
	for (;;) {
		locked = fd_lock(from);
		end = fd_array_end(from->array);
		if (end <= t->array->size)
			break;
		fd_unlock(from, locked);
		bigger = fd_array_alloc(fd_array_size_for(end));
		if (!bigger) {
			fd_table_put(t);
			return -ENOMEM;
		}
		kfree(t->array);
		t->array = bigger;
	}
	words = BITMAP_WORDS(end);
	/* A large table in steps: a million descriptors must not keep the CPU. It never shrinks. */
	for (u32 w = 0; w < words; w += FD_COPY_WORDS) {
		if (w) {
			fd_unlock(from, locked);
			resched_point();
			locked = fd_lock(from);
		}
		fd_array_copy(t, from->array, w, MIN(w + FD_COPY_WORDS, words));
	}
	fd_unlock(from, locked);
	t->lowest_hint = 0;
	*out = t;
	return 0;
}

/* Due in loops that close: now and then, as closing may free much. */
static void close_pause(u32 count)
{
	if (count % FD_CLOSE_STEP == 0)
		resched_point();
}

static void fd_table_close_all(struct fd_table *t)
{
	struct fd_array *a = t->array;
	u32 count = 0;

	for (u32 w = 0; w < BITMAP_WORDS(a->size); w++)
		for (u64 bits = a->used[w]; bits; bits &= bits - 1) {
			struct file *f = a->file[w * 64 + __builtin_ctzll(bits)];

			if (!f)
				continue;
			if (f->ops->flush)
				f->ops->flush(f);
			locks_close(f, t);
			file_put_now(f);
			close_pause(++count);
		}
}

void fd_table_put(struct fd_table *t)
{
	if (!ref_put(&t->refs))
		return;
	fd_table_close_all(t);
	rcu_call(&t->array->rcu, fd_array_free_rcu);
	kfree(t);
}

int fd_table_unshare_for_exec(void)
{
	struct fd_table *old = current->files, *t;
	int err;

	if (ref_read(&old->refs) == 1)
		return 0;
	err = fd_table_copy(old, &t);
	if (err)
		return err;
	current->files = t;
	fd_table_put(old);
	return 0;
}

void fd_close_on_exec(void)
{
	struct fd_array *a = current->files->array;
	u32 count = 0;

	for (u32 w = 0; w < BITMAP_WORDS(a->size); w++)
		for (u64 bits = a->cloexec[w] & a->used[w]; bits; bits &= bits - 1) {
			fd_close(w * 64 + __builtin_ctzll(bits));
			close_pause(++count);
		}
}

/* --- looking up --- */

static struct file *fd_lookup_counted(struct fd_table *t, u32 fd)
{
	struct file *f = NULL;
	struct fd_array *a;

	rcu_read_lock();
	for (;;) {
		a = rcu_dereference(t->array);
		f = fd < a->size ? rcu_dereference(a->file[fd]) : NULL;
		if (!f)
			break;
		if (!ref_get_unless_zero(&f->refs)) {
			cpu_spin_wait();
			continue;
		}
		if (likely(rcu_dereference(t->array)->file[fd] == f))
			break;
		rcu_read_unlock();
		file_put(f);
		rcu_read_lock();
	}
	rcu_read_unlock();
	return f;
}

int fd_get(u32 fd, bool path_ok, struct file **out)
{
	struct file *f = fd_lookup_counted(current->files, fd);

	if (f && !path_ok && (f->mode & FILE_PATH)) {
		file_put(f);
		f = NULL;
	}
	*out = f;
	return f ? 0 : -EBADF;
}

int fd_begin_shared(u32 fd, struct fd_ref *r, bool path_ok)
{
	r->counted = true;
	return fd_get(fd, path_ok, &r->file);
}

int fd_begin_path(u32 fd, struct fd_ref *r)
{
	struct fd_table *t = current->files;
	struct fd_array *a = t->array;

	if (unlikely(ref_read(&t->refs) != 1))
		return fd_begin_shared(fd, r, true);
	if (unlikely(fd >= a->size || !a->file[fd]))
		return -EBADF;
	r->file = a->file[fd];
	r->counted = false;
	return 0;
}

bool fd_table_next(struct fd_table *t, u32 *fd, struct file **out)
{
	for (;; ++*fd) {
		u32 size;

		rcu_read_lock();
		size = rcu_dereference(t->array)->size;
		*fd = bitmap_next_set(rcu_dereference(t->array)->used, size, MIN(*fd, size));
		rcu_read_unlock();
		if (*fd >= size)
			return false;
		*out = fd_lookup_counted(t, *fd);
		if (*out)
			return true;
	}
}

/* --- making and closing --- */

/* The lowest free descriptor >= from; a->size if there is none. */
static u32 fd_find_free(struct fd_table *t, u32 from)
{
	struct fd_array *a = t->array;
	u32 words = BITMAP_WORDS(a->size), w;
	u64 free;

	from = MAX(from, t->lowest_hint);
	if (from >= a->size)
		return MAX(from, a->size);
	free = ~a->used[from / 64] & UINT64_MAX << (from % 64);
	if (free)
		return from / 64 * 64 + __builtin_ctzll(free);
	w = bitmap_next_clear(a->full, words, from / 64 + 1);
	return w >= words ? a->size : w * 64 + __builtin_ctzll(~a->used[w]);
}

/* Makes room for fd. May allocate; the lock, if it was taken, is dropped meanwhile. */
static int fd_table_grow(struct fd_table *t, u32 fd, bool locked)
{
	struct fd_array *old, *a;
	u32 words;

	fd_unlock(t, locked);
	a = fd_array_alloc(fd_array_size_for(fd + 1));
	if (locked)
		spin_lock(&t->lock);
	if (!a)
		return -ENOMEM;
	old = t->array;
	if (old->size >= a->size) {
		kfree(a);
		return 0;
	}
	words = BITMAP_WORDS(old->size);
	memcpy(a->file, old->file, old->size * sizeof(struct file *));
	memcpy(a->used, old->used, words * 8);
	memcpy(a->cloexec, old->cloexec, words * 8);
	memcpy(a->full, old->full, BITMAP_WORDS(words) * 8);
	rcu_assign(t->array, a);
	rcu_call(&old->rcu, fd_array_free_rcu);
	return 0;
}

static u32 fd_limit(void)
{
	return MIN(rlimit_cur(RLIMIT_NOFILE), (u64)FD_MAX);
}

int fd_reserve(u32 from, bool cloexec, u32 *out)
{
	struct fd_table *t = current->files;
	bool locked = fd_lock(t);
	int err = 0;
	u32 fd;

	for (;;) {
		fd = fd_find_free(t, from);
		if (unlikely(fd >= fd_limit())) {
			err = -EMFILE;
			break;
		}
		if (likely(fd < t->array->size))
			break;
		err = fd_table_grow(t, fd, locked);
		if (err)
			break;
	}
	if (!err) {
		fd_mark_used(t->array, fd);
		if (cloexec)
			bit_set(t->array->cloexec, fd);
		t->open_count++;
		if (from <= t->lowest_hint)
			t->lowest_hint = fd + 1;
		*out = fd;
	}
	fd_unlock(t, locked);
	return err;
}

void fd_install(u32 fd, struct file *f)
{
	struct fd_table *t = current->files;
	bool locked = fd_lock(t);

	ASSERT(!t->array->file[fd]);
	rcu_assign(t->array->file[fd], f);
	fd_unlock(t, locked);
}

void fd_release(u32 fd)
{
	struct fd_table *t = current->files;
	bool locked = fd_lock(t);

	fd_mark_free(t, t->array, fd);
	fd_unlock(t, locked);
}

s64 fd_add(struct file *f, bool cloexec)
{
	u32 fd;
	int err = fd_reserve(0, cloexec, &fd);

	if (err) {
		file_put(f);
		return err;
	}
	fd_install(fd, f);
	return fd;
}

static void fd_close_file(struct file *f, struct fd_table *t)
{
	if (f->ops->flush)
		f->ops->flush(f);
	if (unlikely(f->inode->locks))
		locks_close(f, t);
	file_put_now(f);
}

int fd_close(u32 fd)
{
	struct fd_table *t = current->files;
	bool locked = fd_lock(t);
	struct fd_array *a = t->array;
	struct file *f = fd < a->size ? a->file[fd] : NULL;

	if (likely(f)) {
		rcu_assign(a->file[fd], NULL);
		fd_mark_free(t, a, fd);
	}
	fd_unlock(t, locked);
	if (!f)
		return -EBADF;
	fd_close_file(f, t);
	return 0;
}

/* dup2: f (whose reference passes) takes the place of whatever fd is. -EBADF, -EBUSY, -ENOMEM. */
int fd_replace(u32 fd, struct file *f, bool cloexec)
{
	struct fd_table *t = current->files;
	struct file *old = NULL;
	bool locked;
	int err = 0;

	if (fd >= fd_limit()) {
		file_put(f);
		return -EBADF;
	}
	locked = fd_lock(t);
	while (!err && fd >= t->array->size)
		err = fd_table_grow(t, fd, locked);
	if (!err) {
		old = t->array->file[fd];
		if (!old && bit_test(t->array->used, fd))
			err = -EBUSY; /* another thread is between reserve and install */
	}
	if (!err) {
		if (!old) {
			fd_mark_used(t->array, fd);
			t->open_count++;
		}
		rcu_assign(t->array->file[fd], f);
		if (cloexec)
			bit_set(t->array->cloexec, fd);
		else
			bit_clear(t->array->cloexec, fd);
	}
	fd_unlock(t, locked);
	if (err)
		file_put(f);
	if (old)
		fd_close_file(old, t);
	return err;
}

bool fd_cloexec(u32 fd)
{
	struct fd_array *a = current->files->array;

	return fd < a->size && bit_test(a->cloexec, fd);
}

void fd_set_cloexec(u32 fd, bool on)
{
	struct fd_table *t = current->files;
	bool locked = fd_lock(t);

	if (fd < t->array->size && t->array->file[fd]) {
		if (on)
			bit_set(t->array->cloexec, fd);
		else
			bit_clear(t->array->cloexec, fd);
	}
	fd_unlock(t, locked);
}

/* close_range: the first used descriptor in [*fd, last], or false. */
bool fd_next_used(u32 *fd, u32 last)
{
	struct fd_table *t = current->files;
	bool locked = fd_lock(t);
	u32 size = t->array->size, n;

	n = *fd < size ? bitmap_next_set(t->array->used, size, *fd) : size;
	fd_unlock(t, locked);
	*fd = n;
	return n < size && n <= last;
}
