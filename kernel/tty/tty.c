/* SPDX-License-Identifier: MIT */
/*
 * tty.c - the terminal object: opening, closing, hanging up, and whose it is.
 *
 * A session may have one controlling terminal, a terminal one session (POSIX.1,
 * 11.1.3); session->tty and tty->session say so, each counting the other, under
 * tty_job_lock. The session's foreground group gets the signals that are typed;
 * others stop when they read (SIGTTIN) or, with TOSTOP, write (SIGTTOU).
 *
 * A hangup (the line is gone, or the session's leader ended) makes every file
 * that was open dead: reads give 0, writes -EIO, polls POLLHUP.
 */
#include "tty/tty.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/task.h"
#include "fs/devfs.h"
#include "fs/poll.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "mm/slab.h"

#define SIGTTIN	 21
#define SIGTTOU	 22
#define SIGWINCH 28

struct mutex tty_job_lock = MUTEX_INIT(tty_job_lock, RANK_TTY_LOCK);
static struct slab_cache *file_cache;

/* --- the object --- */

void termios_default(struct termios *t, u32 iflag)
{
	static const u8 cc[19] = {
		[VINTR] = 3,	 [VQUIT] = 28,	 [VERASE] = 127, [VKILL] = 21, [VEOF] = 4,
		[VMIN] = 1,	 [VSTART] = 17,	 [VSTOP] = 19,	 [VSUSP] = 26, [VREPRINT] = 18,
		[VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22,
	};

	*t = (struct termios){
		.iflag = ICRNL | IXON | iflag,
		.oflag = OPOST | ONLCR,
		.cflag = 0277 | 02000, /* B38400 CS8 CREAD HUPCL */
		.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	};
	memcpy(t->cc, cc, sizeof(cc));
}

int tty_init_object(struct tty *t, const struct tty_ops *ops, u64 rdev, void *private)
{
	memset(t, 0, sizeof(*t));
	ref_init(&t->refs, 1);
	spin_init(&t->lock, RANK_TTY);
	t->ops = ops;
	t->rdev = rdev;
	t->private = private;
	termios_default(&t->termios, t->ops->iflag);
	waitq_init(&t->readable);
	waitq_init(&t->writable);
	turn_init(&t->reading);
	turn_init(&t->writing);
	return 0;
}

void tty_destroy_object(struct tty *t)
{
	kfree(t->buffer);
	t->buffer = NULL;
}

struct tty *tty_get(struct tty *t)
{
	ref_get(&t->refs);
	return t;
}

void tty_put(struct tty *t)
{
	if (ref_put(&t->refs) && t->ops->freed)
		t->ops->freed(t);
}

/* --- the controlling terminal: J is held --- */

static void set_foreground(struct tty *t, struct process_group *g)
{
	struct process_group *old;

	spin_lock(&t->lock);
	old = t->foreground;
	t->foreground = g ? group_get(g) : NULL;
	spin_unlock(&t->lock);
	if (old)
		group_put(old);
}

static void set_session(struct tty *t, struct session *s)
{
	t->session = session_get(s);
	s->tty = tty_get(t);
	set_foreground(t, current_group());
}

/* Parts t and its session. */
static void clear_session(struct tty *t)
{
	struct session *s = t->session;

	if (!s)
		return;
	set_foreground(t, NULL);
	t->session = NULL;
	s->tty = NULL;
	session_put(s);
	tty_put(t);
}

/* --- open and close --- */

struct tty *tty_of(const struct file *f)
{
	return ((struct tty_file *)f->private)->tty;
}

bool tty_file_dead(const struct file *f)
{
	struct tty_file *tf = f->private;

	return tf->hangups != READ_ONCE(tf->tty->hangups);
}

static int tty_first_open(struct tty *t)
{
	if (!t->buffer) {
		t->buffer = kmalloc(TTY_BUFFER, 0);
		if (!t->buffer)
			return -ENOMEM;
	}
	spin_lock(&t->lock);
	ldisc_reset(t);
	t->stopped = false;
	spin_unlock(&t->lock);
	if (t->ops->opened)
		t->ops->opened(t);
	return 0;
}

/* A session leader without a terminal gets the first that it opens (man 4 tty). */
static void tty_take_if_wanted(struct tty *t, struct file *f)
{
	struct session *s = current_session();

	if (!(f->flags & O_NOCTTY) && (f->mode & FILE_READ) && s && current_is_session_leader() &&
	    !s->tty && !t->session)
		set_session(t, s);
}

int tty_open_file(struct tty *t, struct file *f)
{
	struct tty_file *tf = slab_alloc(file_cache);
	int err = tf ? 0 : -ENOMEM;

	mutex_lock(&tty_job_lock);
	if (!err && t->exclusive && !capable(CAP_SYS_ADMIN))
		err = -EBUSY;
	if (!err && !t->opens)
		err = tty_first_open(t);
	if (!err) {
		t->opens++;
		*tf = (struct tty_file){ t, t->hangups };
		f->private = tf;
		f->ops = &tty_file_ops;
		tty_take_if_wanted(t, f);
	}
	mutex_unlock(&tty_job_lock);
	if (err) {
		if (tf)
			slab_free(file_cache, tf);
		tty_put(t);
	}
	return err;
}

static void tty_release(struct file *f)
{
	struct tty *t = tty_of(f);
	bool last;

	mutex_lock(&tty_job_lock);
	last = --t->opens == 0;
	if (last)
		t->exclusive = false;
	mutex_unlock(&tty_job_lock);
	if (last && t->ops->closed)
		t->ops->closed(t);
	slab_free(file_cache, f->private);
	tty_put(t);
}

/* --- hanging up --- */

static void hangup_locked(struct tty *t)
{
	struct session *s = t->session;
	struct process_group *g = t->foreground;

	if (s)
		session_get(s);
	if (g)
		group_get(g);
	spin_lock(&t->lock);
	t->hangups++;
	termios_default(&t->termios, t->ops->iflag);
	ldisc_reset(t);
	t->stopped = false;
	waitq_wake_all(&t->readable, 0);
	waitq_wake_all(&t->writable, 0);
	spin_unlock(&t->lock);
	clear_session(t);
	if (s) {
		session_hangup(s, g);
		session_put(s);
	}
	if (g)
		group_put(g);
}

void tty_hangup(struct tty *t)
{
	mutex_lock(&tty_job_lock);
	hangup_locked(t);
	mutex_unlock(&tty_job_lock);
}

static void on_session_leader_exit(struct session *s)
{
	mutex_lock(&tty_job_lock);
	if (s->tty)
		hangup_locked(s->tty);
	mutex_unlock(&tty_job_lock);
}

void tty_set_size(struct tty *t, const struct winsize *size)
{
	struct process_group *g = NULL;

	spin_lock(&t->lock);
	if (memcmp(&t->size, size, sizeof(*size))) {
		t->size = *size;
		g = t->foreground ? group_get(t->foreground) : NULL;
	}
	spin_unlock(&t->lock);
	if (g) {
		group_signal(g, SIGWINCH);
		group_put(g);
	}
}

/* --- job control --- */

int tty_check_background(struct tty *t, int sig)
{
	struct process_group *mine = current_group();
	bool background;

	if (!mine || READ_ONCE(current_session()->tty) != t)
		return 0;
	spin_lock(&t->lock);
	background = t->foreground && t->foreground != mine;
	spin_unlock(&t->lock);
	if (!background)
		return 0;
	if (signal_ignored_or_blocked(sig))
		return sig == SIGTTIN ? -EIO : 0;
	if (current_group_is_orphaned())
		return -EIO;
	group_signal(mine, sig);
	return -ERESTARTSYS;
}

static s64 job_set_controlling(struct tty *t, u64 steal)
{
	struct session *s = current_session();
	s64 err = 0;

	mutex_lock(&tty_job_lock);
	if (t->session == s && current_is_session_leader())
		goto unlock;
	err = -EPERM;
	if (!current_is_session_leader() || s->tty)
		goto unlock;
	if (t->session && !(steal == 1 && may(t->session->owner, CAP_SYS_ADMIN)))
		goto unlock;
	clear_session(t);
	set_session(t, s);
	err = 0;
unlock:
	mutex_unlock(&tty_job_lock);
	return err;
}

/* TIOCNOTTY: a leader gives it up for the whole session. */
static s64 job_give_up(struct tty *t)
{
	struct process_group *g = NULL;
	s64 err = -ENOTTY;

	mutex_lock(&tty_job_lock);
	if (t->session && t->session == current_session()) {
		err = 0;
		if (current_is_session_leader()) {
			g = t->foreground ? group_get(t->foreground) : NULL;
			clear_session(t);
		}
	}
	mutex_unlock(&tty_job_lock);
	if (g) {
		group_signal(g, 1);  /* SIGHUP */
		group_signal(g, 18); /* SIGCONT */
		group_put(g);
	}
	return err;
}

static s64 job_set_foreground(struct tty *t, u64 arg)
{
	struct process_group *g;
	s32 pgid;
	s64 err = tty_check_background(t, SIGTTOU);

	if (err)
		return err == -EIO ? -ENOTTY : err;
	if (get_user(&pgid, arg))
		return -EFAULT;
	if (pgid < 0)
		return -EINVAL;
	err = group_find(pgid, &g);
	if (err)
		return err;
	mutex_lock(&tty_job_lock);
	if (t->session != current_session())
		err = -ENOTTY;
	else if (g->session != t->session)
		err = -EPERM;
	else
		set_foreground(t, g);
	mutex_unlock(&tty_job_lock);
	group_put(g);
	return err;
}

/* The ids of the foreground group or the session, for those who see them. */
static s64 job_get_id(struct file *f, struct tty *t, bool session, u64 arg)
{
	bool master = f->ops != &tty_file_ops;
	s32 id = 0;
	s64 err = 0;

	mutex_lock(&tty_job_lock);
	if (!t->session || !sees(current->owner, t->session->owner) ||
	    (!master && t->session != current_session()))
		err = -ENOTTY;
	else if (session)
		id = t->session->sid;
	else
		id = t->foreground ? t->foreground->pgid : 0;
	mutex_unlock(&tty_job_lock);
	return err ? err : put_user(arg, &id);
}

#define TIOCEXCL  0x540c
#define TIOCNXCL  0x540d
#define TIOCSCTTY 0x540e
#define TIOCGPGRP 0x540f
#define TIOCSPGRP 0x5410
#define TIOCNOTTY 0x5422
#define TIOCGSID  0x5429

s64 tty_job_ioctl(struct file *f, struct tty *t, u32 cmd, u64 arg)
{
	switch (cmd) {
	case TIOCSCTTY:
		return job_set_controlling(t, arg);
	case TIOCNOTTY:
		return job_give_up(t);
	case TIOCGPGRP:
		return job_get_id(f, t, false, arg);
	case TIOCSPGRP:
		return job_set_foreground(t, arg);
	case TIOCGSID:
		return job_get_id(f, t, true, arg);
	case TIOCEXCL:
	case TIOCNXCL:
		mutex_lock(&tty_job_lock);
		t->exclusive = cmd == TIOCEXCL;
		mutex_unlock(&tty_job_lock);
		return 0;
	}
	return -ENOTTY;
}

/* --- file operations --- */

static s64 tty_read(struct file *f, struct uio *u, u64 *pos)
{
	return tty_file_dead(f) ? 0 : ldisc_read(f, tty_of(f), u);
}

static s64 tty_write(struct file *f, struct uio *u, u64 *pos)
{
	return tty_file_dead(f) ? -EIO : ldisc_write(f, tty_of(f), u);
}

static u32 tty_poll(struct file *f, struct poll_table *pt)
{
	struct tty *t = tty_of(f);

	poll_wait(pt, &t->readable);
	poll_wait(pt, &t->writable);
	if (tty_file_dead(f))
		return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
	return ldisc_poll(t, f);
}

s64 tty_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct tty *t = tty_of(f);
	s64 r;

	if (tty_file_dead(f))
		return -EIO;
	r = tty_job_ioctl(f, t, cmd, arg);
	return r == -ENOTTY && cmd != TIOCNOTTY && cmd != TIOCGPGRP && cmd != TIOCGSID &&
			       cmd != TIOCSPGRP
		       ? tty_ioctl_common(f, t, cmd, arg)
		       : r;
}

const struct file_ops tty_file_ops = {
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_ioctl,
	.release = tty_release,
	.no_seek = true,
};

/* --- /dev/tty, /dev/console, /dev/ttyN --- */

static int tty_dev_open(struct inode *i, struct file *f)
{
	struct session *s = current_session();
	struct tty *t = NULL;

	mutex_lock(&tty_job_lock);
	if (s && s->tty)
		t = tty_get(s->tty);
	mutex_unlock(&tty_job_lock);
	if (!t)
		return -ENXIO;
	f->flags |= O_NOCTTY;
	return tty_open_file(t, f);
}

static int console_open(struct inode *i, struct file *f)
{
	struct tty *t = vc_of_owner(current->owner);

	f->flags |= O_NOCTTY; /* /dev/console never becomes the controlling terminal by itself */
	return t ? tty_open_file(t, f) : -ENXIO;
}

static int vc_open(struct inode *i, struct file *f)
{
	struct tty *t = vc_tty(dev_minor(i->rdev));

	if (!t)
		return -ENXIO;
	if (current->owner != &owner_host && t->owner != current->owner) {
		tty_put(t);
		return -ENXIO;
	}
	return tty_open_file(t, f);
}

static const struct file_ops tty_dev_ops = { .open = tty_dev_open, .no_seek = true };
static const struct file_ops console_ops = { .open = console_open, .no_seek = true };
static const struct file_ops vc_dev_ops = { .open = vc_open, .no_seek = true };

#define DEV(major, minor) ((minor) | (u64)(major) << 8)
static const struct pseudo_entry tty_entry = { .name = "tty",
					       .mode = S_IFCHR | 0666,
					       .rdev = DEV(TTY_ALT_MAJOR, 0) };
static const struct pseudo_entry console_entry = { .name = "console",
						   .mode = S_IFCHR | 0600,
						   .rdev = DEV(TTY_ALT_MAJOR, 1) };
static struct pseudo_entry vc_entries[VC_COUNT];
static char vc_names[VC_COUNT][8];

void tty_init(void)
{
	file_cache = slab_cache_create("tty_file", sizeof(struct tty_file), 0, SLAB_ACCOUNT);
	session_leader_exit_hook = on_session_leader_exit;
	vc_init();
	pty_init();
	BUG_ON(chrdev_register(TTY_ALT_MAJOR, 0, 1, &tty_dev_ops));
	BUG_ON(chrdev_register(TTY_ALT_MAJOR, 1, 1, &console_ops));
	BUG_ON(chrdev_register(TTY_MAJOR, 0, VC_COUNT, &vc_dev_ops));
	BUG_ON(devfs_register(&tty_entry, DEVFS_EVERYWHERE));
	BUG_ON(devfs_register(&console_entry, DEVFS_EVERYWHERE));
	for (int i = 0; i < VC_COUNT; i++) {
		snprintf(vc_names[i], sizeof(vc_names[i]), "tty%d", i);
		vc_entries[i] = (struct pseudo_entry){
			.name = vc_names[i],
			.mode = S_IFCHR | 0620,
			.rdev = makedev(TTY_MAJOR, i),
		};
		BUG_ON(devfs_register(&vc_entries[i], DEVFS_HOST));
	}
}
