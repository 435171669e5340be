/* SPDX-License-Identifier: MIT */
/*
 * notify.c - system calls that a manager process decides about (abi/container.h,
 * container_notify).
 *
 * The caller copies what its arguments point to, once, and asks the manager of each
 * container around it whose own rules say "notify", from the inside out. Each may end
 * the call with a result; if all allow it, it runs on the copies (struct
 * user_shadow), so that nothing can be changed between the look and the deed.
 *
 *	caller: ask()     -> queued -- reader: read() --> taken -- write() --> answered
 *	                       |                            |
 *	                       +-- killed, or the manager is gone: off the list
 *
 * Invariant (1): a request is on `queued` or `taken` exactly while its caller
 * sleeps and nobody has answered. The caller holds one reference, a reader or
 * writer in the middle another: the record outlives a caller that is killed.
 * (2): container->notifier is set exactly while the manager's file is open.
 *
 * A caller's sleep is killable and nothing else: a signal waits for the answer.
 */
#include "container/notify.h"
#include "abi/container.h"
#include "arch/x86/uaccess.h"
#include "container/container.h"
#include "core/errno.h"
#include "fs/fdtable.h"
#include "fs/poll.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "mm/slab.h"

#define ARGS 6

struct notifier {
	ref_t refs;		     /* the file; callers that ask */
	spinlock_t lock;	     /* N; RANK_NOTIFY */
	bool closed;		     /* N: the manager is gone */
	bool ended;		     /* N: the container is destroyed */
	u64 last_id;		     /* N */
	struct list queued, taken;   /* N */
	struct waitq readable;	     /* condition's lock is N */
	struct container *container; /* counted; constant */
};

struct request {
	ref_t refs;
	struct list node;	      /* N */
	bool waits;		      /* N: on a list */
	struct waitq answered;	      /* condition's lock is N */
	struct cnotify_answer answer; /* N until answered, then the caller's */
	struct file *file;	      /* of CNOTIFY_FILE, counted; likewise */
	void *data;		      /* of the answer; likewise */
	struct cnotify_call call;     /* constant; the copies follow */
};

/* --- references --- */

static void notifier_put(struct notifier *n)
{
	if (!ref_put(&n->refs))
		return;
	container_put(n->container);
	kfree(n);
}

static void request_put(struct request *r)
{
	if (!ref_put(&r->refs))
		return;
	kfree(r->data);
	if (r->file)
		file_put(r->file);
	kfree(r);
}

/* The manager of c, counted, or NULL. */
static struct notifier *notifier_of(struct container *c)
{
	struct notifier *n;

	spin_lock(&c->lock);
	n = c->notifier;
	if (n)
		ref_get(&n->refs);
	spin_unlock(&c->lock);
	return n;
}

/* --- copying what the arguments point to --- */

/* A call's copies: in one block, which the task frees if the call does not return. */
struct copies {
	struct user_shadow shadow;
	char data[];
};

static u64 *argument(struct trapframe *f, unsigned i)
{
	u64 *const arg[ARGS] = { &f->rdi, &f->rsi, &f->rdx, &f->r10, &f->r8, &f->r9 };

	return arg[i];
}

/* How many bytes argument i wants copied; strings: at most. */
static u64 copy_size(struct trapframe *f, unsigned index, unsigned i)
{
	u16 how = syscall_copies[index].arg[i];
	u32 size;

	if (!how || !*argument(f, i))
		return 0;
	switch (how & COPY_KIND) {
	case COPY_STRING:
		return PATH_MAX;
	case COPY_LENGTH_IN:
		return *argument(f, how & COPY_VALUE);
	case COPY_INT_IN:
		size = *argument(f, how & COPY_VALUE);
		return size > INT32_MAX ? 0 : size; /* negative: the call refuses it */
	default:
		return how & COPY_VALUE;
	}
}

/* Copies argument i to `to`, which has room for it: the bytes taken, -EFAULT, -ENAMETOOLONG. */
static s64 copy_argument(struct trapframe *f, unsigned index, unsigned i, char *to)
{
	u64 from = *argument(f, i), size = copy_size(f, index, i);
	s64 n;

	if ((syscall_copies[index].arg[i] & COPY_KIND) == COPY_STRING) {
		n = copy_string_from_user(to, from, size);
		return n < 0 ? n : n + 1;
	}
	return copy_from_user(to, from, size) ? -EFAULT : (s64)size;
}

/* *out NULL: nothing to copy. -EFAULT, -ENAMETOOLONG, -E2BIG, -ENOMEM */
static s64 copies_make(struct trapframe *f, unsigned index, struct copies **out)
{
	u64 room = 0, used = 0;
	struct copies *c;
	s64 n = 0;

	*out = NULL;
	for (unsigned i = 0; i < ARGS; i++) {
		u64 size = copy_size(f, index, i);

		if (size > CNOTIFY_DATA_MAX || room + size > CNOTIFY_DATA_MAX)
			return -E2BIG;
		room += ALIGN_UP(size, 8);
	}
	if (!room)
		return 0;
	c = kmalloc(sizeof(*c) + room, KM_ACCOUNT | KM_ZERO);
	if (!c)
		return -ENOMEM;
	for (unsigned i = 0; i < ARGS && n >= 0; i++) {
		if (!copy_size(f, index, i))
			continue;
		n = copy_argument(f, index, i, c->data + used);
		if (n < 0)
			break;
		c->shadow.data[i] = c->data + used;
		c->shadow.length[i] = n;
		used += ALIGN_UP(n, 8);
	}
	if (n < 0) {
		kfree(c);
		return n;
	}
	*out = c;
	return 0;
}

/* --- the caller's side --- */

static struct request *request_make(struct trapframe *f, const struct copies *c)
{
	size_t size = sizeof(struct cnotify_call);
	struct request *r;

	for (unsigned i = 0; c && i < ARGS; i++)
		size += ALIGN_UP(c->shadow.length[i], 8);
	r = kmalloc(sizeof(*r) - sizeof(r->call) + size, KM_ACCOUNT | KM_ZERO);
	if (!r)
		return NULL;
	ref_init(&r->refs, 1);
	waitq_init(&r->answered);
	r->call = (struct cnotify_call){
		.container = current->owner->id,
		.pid = current_process()->pid,
		.tid = current->tid,
		.number = f->orig_rax,
		.size = size,
	};
	size = sizeof(r->call);
	for (unsigned i = 0; i < ARGS; i++) {
		u32 length = c ? c->shadow.length[i] : 0;

		r->call.args[i] = *argument(f, i);
		if (!length)
			continue;
		r->call.data[i].offset = size;
		r->call.data[i].length = length;
		memcpy((char *)&r->call + size, c->shadow.data[i], length);
		size += ALIGN_UP(length, 8);
	}
	return r;
}

/* Waits for the answer: 0, -EINTR (killed), -ENOSYS (there is no manager any more). */
static int ask(struct notifier *n, struct request *r)
{
	int err = 0;

	spin_lock(&n->lock);
	if (n->closed) {
		spin_unlock(&n->lock);
		return -ENOSYS;
	}
	r->call.id = ++n->last_id;
	r->waits = true;
	list_append(&n->queued, &r->node);
	waitq_wake_all(&n->readable, POLLIN);
	while (r->waits && !err)
		err = waitq_sleep(&r->answered, &n->lock, SLEEP_KILLABLE, KTIME_NEVER);
	if (r->waits) {
		r->waits = false;
		list_remove(&r->node);
	} else {
		err = 0;
	}
	spin_unlock(&n->lock);
	return err ? -EINTR : 0;
}

static s64 give_file(struct request *r)
{
	struct file *f = r->file;

	r->file = NULL;
	return fd_add(f, r->answer.flags & CNOTIFY_CLOEXEC);
}

/* What the answer means for the caller. *allowed: the call may go on. */
static s64 obey(struct request *r, bool *allowed)
{
	const struct cnotify_answer *a = &r->answer;

	*allowed = false;
	switch (a->verdict) {
	case CNOTIFY_ALLOW:
		*allowed = true;
		return 0;
	case CNOTIFY_ERRNO:
		return -(s64)a->error;
	case CNOTIFY_FILE:
		return give_file(r);
	}
	if (a->data_length && copy_to_user(r->call.args[a->data_arg], r->data, a->data_length))
		return -EFAULT;
	return a->value;
}

static s64 ask_manager(struct container *c, struct trapframe *f, const struct copies *copies,
		       bool *allowed)
{
	struct notifier *n = notifier_of(c);
	struct request *r;
	s64 result;

	*allowed = false;
	if (!n)
		return -ENOSYS;
	r = request_make(f, copies);
	result = r ? ask(n, r) : -ENOMEM;
	if (!result)
		result = obey(r, allowed);
	if (r)
		request_put(r);
	notifier_put(n);
	return result;
}

static bool holds_up(struct container *c, unsigned index)
{
	const struct filter_table *t;
	bool yes;

	rcu_read_lock();
	t = READ_ONCE(c->filter.own);
	yes = t && FILTER_KIND(t->rule[index]) == FILTER_NOTIFY;
	rcu_read_unlock();
	return yes;
}

/* Runs the handler on the copies. The frame that it sees is not the one that it returns to. */
static s64 run_on_copies(struct trapframe *f, unsigned index, struct copies *copies)
{
	struct trapframe changed = *f;
	s64 result;

	for (unsigned i = 0; i < ARGS; i++)
		if (copies->shadow.length[i])
			*argument(&changed, i) = SHADOW_ADDRESS(i);
	current->shadow = &copies->shadow;
	result = syscall_run(&changed, index);
	current->shadow = NULL;
	return result;
}

s64 notify_call(struct trapframe *f, unsigned index)
{
	struct copies *copies;
	bool allowed = true;
	s64 result = copies_make(f, index, &copies);

	if (result)
		return result;
	for (struct container *c = current_container(); c && allowed; c = c->parent)
		if (holds_up(c, index))
			result = ask_manager(c, f, copies, &allowed);
	if (allowed)
		result = copies ? run_on_copies(f, index, copies) : syscall_run(f, index);
	kfree(copies);
	return result;
}

/* --- the manager's side --- */

/* The first that nobody has read, taken and counted, if it fits: -EINVAL, -EAGAIN, -ERESTARTSYS;
 * *out NULL: there will be none any more. */
static int take(struct file *f, struct notifier *n, size_t room, struct request **out)
{
	struct request *r = NULL;
	int err = 0;

	spin_lock(&n->lock);
	while (list_empty(&n->queued) && !n->ended && !err) {
		if (f->flags & O_NONBLOCK)
			err = -EAGAIN;
		else
			err = waitq_sleep(&n->readable, &n->lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
	}
	if (!list_empty(&n->queued)) {
		r = list_first(&n->queued, struct request, node);
		err = r->call.size > room ? -EINVAL : 0;
	}
	if (r && !err) {
		ref_get(&r->refs);
		list_remove(&r->node);
		list_append(&n->taken, &r->node);
	}
	spin_unlock(&n->lock);
	*out = err ? NULL : r;
	return err;
}

/* The reader did not get it. */
static void untake(struct notifier *n, struct request *r)
{
	spin_lock(&n->lock);
	if (r->waits) {
		list_remove(&r->node);
		list_push(&n->queued, &r->node);
		waitq_wake_all(&n->readable, POLLIN);
	}
	spin_unlock(&n->lock);
}

static s64 notify_read(struct file *f, struct uio *u, u64 *pos)
{
	struct notifier *n = f->private;
	struct request *r;
	s64 done;
	int err = take(f, n, u->left, &r);

	if (err || !r)
		return err;
	done = uio_copy_out(u, &r->call, r->call.size);
	if (done < (s64)r->call.size) {
		untake(n, r);
		done = -EFAULT;
	}
	request_put(r);
	return done;
}

static int answer_check(const struct cnotify_answer *a, u64 more)
{
	bool data = a->verdict == CNOTIFY_VALUE && a->data_length;

	if (a->verdict > CNOTIFY_FILE || a->reserved || a->flags & ~CNOTIFY_CLOEXEC ||
	    (a->flags && a->verdict != CNOTIFY_FILE))
		return -EINVAL;
	if (a->data_length != more || (more && !data) || a->data_arg >= ARGS)
		return -EINVAL;
	if (a->verdict == CNOTIFY_ERRNO && (a->error < 1 || a->error > 511))
		return -EINVAL;
	if (a->verdict == CNOTIFY_VALUE && a->value < 0 && a->value >= -4095)
		return -EINVAL; /* an errno, or one of the kernel's own codes */
	return 0;
}

/* What comes with the answer, for the caller: -EBADF, -ENOMEM, -EFAULT. */
static int answer_fetch(const struct cnotify_answer *a, struct uio *u, struct file **file,
			void **data)
{
	*file = NULL;
	*data = NULL;
	if (a->verdict == CNOTIFY_FILE)
		return a->value < 0 || a->value > UINT32_MAX ? -EBADF
							     : fd_get(a->value, true, file);
	if (!a->data_length)
		return 0;
	*data = kmalloc(a->data_length, KM_ACCOUNT);
	if (!*data)
		return -ENOMEM;
	if (uio_copy_in(u, *data, a->data_length) == a->data_length)
		return 0;
	kfree(*data);
	return -EFAULT;
}

/* The caller that waits for the answer to id goes on: -ENOENT if there is none. */
static int answer_give(struct notifier *n, const struct cnotify_answer *a, struct file *file,
		       void *data)
{
	struct request *r;

	list_for_each (r, &n->taken, node) {
		if (r->call.id != a->id)
			continue;
		list_remove(&r->node);
		r->waits = false;
		r->answer = *a;
		r->file = file;
		r->data = data;
		waitq_wake_all(&r->answered, 0);
		return 0;
	}
	return -ENOENT;
}

static s64 notify_write(struct file *f, struct uio *u, u64 *pos)
{
	struct notifier *n = f->private;
	struct cnotify_answer a;
	struct file *file;
	u64 size = u->left;
	void *data;
	int err;

	if (size < sizeof(a) || size > sizeof(a) + CNOTIFY_DATA_MAX)
		return -EINVAL;
	if (uio_copy_in(u, &a, sizeof(a)) != sizeof(a))
		return -EFAULT;
	err = answer_check(&a, size - sizeof(a));
	if (!err)
		err = answer_fetch(&a, u, &file, &data);
	if (err)
		return err;
	spin_lock(&n->lock);
	err = answer_give(n, &a, file, data);
	spin_unlock(&n->lock);
	if (!err)
		return size;
	kfree(data);
	if (file)
		file_put(file);
	return err;
}

static u32 notify_poll(struct file *f, struct poll_table *pt)
{
	struct notifier *n = f->private;
	u32 events;

	poll_wait(pt, &n->readable);
	spin_lock(&n->lock);
	events = POLLOUT | (list_empty(&n->queued) ? 0 : POLLIN) | (n->ended ? POLLHUP : 0);
	spin_unlock(&n->lock);
	return events;
}

static void refuse_all(struct notifier *n, struct list *list)
{
	const struct cnotify_answer gone = { .verdict = CNOTIFY_ERRNO, .error = ENOSYS };

	while (!list_empty(list)) {
		struct request *r = list_first(list, struct request, node);

		list_remove(&r->node);
		r->waits = false;
		r->answer = gone;
		waitq_wake_all(&r->answered, 0);
	}
}

static void notify_release(struct file *f)
{
	struct notifier *n = f->private;

	spin_lock(&n->container->lock);
	if (n->container->notifier == n)
		n->container->notifier = NULL;
	spin_unlock(&n->container->lock);
	spin_lock(&n->lock);
	n->closed = true;
	refuse_all(n, &n->queued);
	refuse_all(n, &n->taken);
	spin_unlock(&n->lock);
	notifier_put(n);
}

static const struct file_ops notify_ops = {
	.read = notify_read,
	.write = notify_write,
	.poll = notify_poll,
	.release = notify_release,
	.no_seek = true,
};

void notify_end(struct container *c)
{
	struct notifier *n = notifier_of(c);

	if (!n)
		return;
	spin_lock(&n->lock);
	n->ended = true;
	waitq_wake_all(&n->readable, POLLIN | POLLHUP);
	spin_unlock(&n->lock);
	notifier_put(n);
}

static int notifier_create(struct container *c, struct notifier **out)
{
	struct notifier *n = kmalloc(sizeof(*n), KM_ACCOUNT | KM_ZERO);
	int err = 0;

	if (!n)
		return -ENOMEM;
	ref_init(&n->refs, 1);
	spin_init(&n->lock, RANK_NOTIFY);
	list_init(&n->queued);
	list_init(&n->taken);
	waitq_init(&n->readable);
	n->container = container_get(c);
	spin_lock(&c->lock);
	if (c->notifier)
		err = -EBUSY;
	else
		c->notifier = n;
	spin_unlock(&c->lock);
	if (err)
		notifier_put(n);
	*out = n;
	return err;
}

int notify_open(struct container *c)
{
	struct file *f;
	struct inode *i;
	struct notifier *n;
	int err = notifier_create(c, &n);

	if (err)
		return err;
	err = inode_create_anon(0600, &i);
	if (!err)
		err = file_create_anon(i, &notify_ops, O_RDWR, n, "anon_inode:[container_notify]",
				       &f);
	if (err) {
		spin_lock(&c->lock);
		c->notifier = NULL;
		spin_unlock(&c->lock);
		notifier_put(n);
		return err;
	}
	return fd_add(f, true);
}
