/* SPDX-License-Identifier: MIT */
/* termios.c - the ioctls of a terminal (man 2 ioctl_tty), but for those of job control (tty.c). */
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/task.h"
#include "lib/string.h"
#include "tty/tty.h"

#define SIGTTOU 22

enum {
	TCGETS = 0x5401,
	TCSETS,
	TCSETSW,
	TCSETSF,
	TCGETA,
	TCSETA,
	TCSETAW,
	TCSETAF,
	TCSBRK,
	TCXONC,
	TCFLSH,
	TIOCOUTQ = 0x5411,
	TIOCSTI,
	TIOCGWINSZ,
	TIOCSWINSZ,
	FIONREAD = 0x541b,
	TIOCGETD = 0x5424,
	TCSBRKP = 0x5425,
	TIOCSETD = 0x5423,
	VT_ACTIVATE = 0x5606,
	VT_RESIZE = 0x5609,
	TCGETS2 = 0x802c542a,
	TCSETS2 = 0x402c542b,
	TCSETSW2 = 0x402c542c,
	TCSETSF2 = 0x402c542d,
};

struct termios2 {
	struct termios t;
	u32 ispeed, ospeed;
};
_Static_assert(sizeof(struct termios) == 36, "struct termios of TCGETS has 36 bytes");

static void flush_input(struct tty *t)
{
	spin_lock(&t->lock);
	ldisc_reset(t);
	spin_unlock(&t->lock);
	if (t->ops->input_room)
		t->ops->input_room(t);
}

/* Drivers take output at once or make the writer wait, so there is nothing to drain before. */
static int set_termios(struct tty *t, const struct termios *new, bool flush)
{
	u32 old_lflag;
	int err = tty_check_background(t, SIGTTOU);

	if (err)
		return err;
	if (flush)
		flush_input(t);
	spin_lock(&t->lock);
	old_lflag = t->termios.lflag;
	t->termios = *new;
	ldisc_mode_changed(t, old_lflag);
	spin_unlock(&t->lock);
	return 0;
}

static s64 set_from_user(struct tty *t, u64 arg, size_t size, bool flush)
{
	struct termios2 new;

	if (copy_from_user(&new, arg, size))
		return -EFAULT;
	return set_termios(t, &new.t, flush);
}

static s64 get_to_user(struct tty *t, u64 arg, size_t size)
{
	struct termios2 now = { .ispeed = 38400, .ospeed = 38400 };

	spin_lock(&t->lock);
	now.t = t->termios;
	spin_unlock(&t->lock);
	return copy_to_user(arg, &now, size);
}

/* TCXONC: 0 TCOOFF, 1 TCOON; the input side has nothing to hold back. */
static s64 flow(struct tty *t, u64 action)
{
	s64 err = tty_check_background(t, SIGTTOU);

	if (err || action > 3)
		return err ? err : -EINVAL;
	spin_lock(&t->lock);
	if (action < 2)
		t->stopped = action == 0;
	if (!t->stopped)
		tty_output_room(t);
	spin_unlock(&t->lock);
	return 0;
}

static s64 flush_queues(struct tty *t, u64 which)
{
	s64 err = tty_check_background(t, SIGTTOU);

	if (err || which > 2)
		return err ? err : -EINVAL;
	if (which != 1)
		flush_input(t);
	return 0;
}

static s64 get_size(struct tty *t, u64 arg)
{
	struct winsize w;

	spin_lock(&t->lock);
	w = t->size;
	spin_unlock(&t->lock);
	return put_user(arg, &w);
}

static s64 set_size(struct tty *t, u64 arg)
{
	struct winsize w;

	if (get_user(&w, arg))
		return -EFAULT;
	tty_set_size(t, &w);
	return 0;
}

static s64 put_count(struct tty *t, bool input, u64 arg)
{
	s32 n = 0;

	spin_lock(&t->lock);
	if (input)
		n = ldisc_available(t);
	spin_unlock(&t->lock);
	return put_user(arg, &n);
}

/* VT_RESIZE (man 2 ioctl_console): the size of the screen that all consoles share. */
static s64 resize_screen(u64 arg)
{
	struct {
		u16 rows, cols, scrollback;
	} size;

	if (!may_host(CAP_SYS_TTY_CONFIG))
		return -EPERM;
	if (get_user(&size, arg))
		return -EFAULT;
	vc_set_screen_size(size.rows, size.cols);
	return 0;
}

s64 tty_ioctl_common(struct file *f, struct tty *t, u32 cmd, u64 arg)
{
	switch (cmd) {
	case TCGETS:
		return get_to_user(t, arg, sizeof(struct termios));
	case TCGETS2:
		return get_to_user(t, arg, sizeof(struct termios2));
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return set_from_user(t, arg, sizeof(struct termios), cmd == TCSETSF);
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		return set_from_user(t, arg, sizeof(struct termios2), cmd == TCSETSF2);
	case TCSBRK:
	case TCSBRKP:
		return tty_check_background(t, SIGTTOU);
	case TCXONC:
		return flow(t, arg);
	case TCFLSH:
		return flush_queues(t, arg);
	case TIOCGWINSZ:
		return get_size(t, arg);
	case TIOCSWINSZ:
		return set_size(t, arg);
	case FIONREAD:
		return put_count(t, true, arg);
	case TIOCOUTQ:
		return put_count(t, false, arg);
	case TIOCGETD: {
		s32 n_tty = 0;
		return put_user(arg, &n_tty);
	}
	case TIOCSETD: {
		s32 line;
		if (get_user(&line, arg))
			return -EFAULT;
		return line == 0 ? 0 : -EINVAL;
	}
	case TIOCSTI: /* typing for others is how terminals were hijacked: doc/abi.md */
		return -EIO;
	case VT_RESIZE:
		return resize_screen(arg);
	case VT_ACTIVATE:
		return may_host(CAP_SYS_TTY_CONFIG) ? vc_show(arg) : -EPERM;
	}
	return -ENOTTY;
}
