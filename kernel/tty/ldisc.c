/* SPDX-License-Identifier: MIT */
/*
 * ldisc.c - the line discipline (POSIX.1, chapter 11; man 3 termios; Linux's
 * N_TTY is the model for what POSIX leaves open).
 *
 * Input goes into a ring of TTY_BUFFER bytes. When it is full and somebody could read from it,
 * who types has to wait (a pty's master) or loses what he typed (a keyboard); a line that is
 * longer than the ring loses its rest. In canonical mode the bytes from
 * line_start on are being edited and cannot be read; a line's last byte has its
 * bit set in `ends`. The end-of-file character is kept as a '\0' with that bit,
 * which readers take as the end of a line but do not return. Signals that a
 * character causes are sent after the lock is dropped.
 *
 * Output passes opost() into a small buffer, then to the driver, which takes
 * what it has room for; a writer waits for the rest.
 */
#include "core/errno.h"
#include "core/task.h"
#include "core/time.h"
#include "fs/poll.h"
#include "fs/uio.h"
#include "lib/bitmap.h"
#include "lib/string.h"
#include "tty/tty.h"

#define SIGINT	     2
#define SIGQUIT	     3
#define SIGTSTP	     20
#define SIGTTIN	     21
#define SIGTTOU	     22
#define DISABLED     0 /* _POSIX_VDISABLE */
#define CTRL_MASK(c) ((c) ^ 0100)

/* --- the ring; L is held --- */

static u32 ring_used(const struct tty *t)
{
	return t->head - t->tail;
}

static char *ring_at(struct tty *t, u32 n)
{
	return &t->buffer[n % TTY_BUFFER];
}

static void ring_put(struct tty *t, char c, bool end)
{
	*ring_at(t, t->head) = c;
	if (end)
		bit_set(t->ends, t->head % TTY_BUFFER);
	else
		bit_clear(t->ends, t->head % TTY_BUFFER);
	t->head++;
}

static void line_complete(struct tty *t)
{
	t->lines++;
	t->line_start = t->head;
	waitq_wake_all(&t->readable, POLLIN | POLLRDNORM);
}

void ldisc_reset(struct tty *t)
{
	t->head = t->tail = t->lines = t->line_start = 0;
	t->literal = false;
}

static bool flag(const struct tty *t, u32 lflag)
{
	return t->termios.lflag & lflag;
}

static bool is_cc(const struct tty *t, char c, int which)
{
	return t->termios.cc[which] != DISABLED && (u8)c == t->termios.cc[which];
}

u32 ldisc_available(struct tty *t)
{
	return flag(t, ICANON) ? t->line_start - t->tail : ring_used(t);
}

/* Switching modes makes what is there readable in the new one (as Linux does). */
void ldisc_mode_changed(struct tty *t, u32 old_lflag)
{
	if (!((old_lflag ^ t->termios.lflag) & ICANON))
		return;
	memset(t->ends, 0, sizeof(t->ends));
	t->lines = 0;
	t->line_start = t->head;
	if (flag(t, ICANON) && ring_used(t)) {
		bit_set(t->ends, (t->head - 1) % TTY_BUFFER);
		t->lines = 1;
	}
	waitq_wake_all(&t->readable, POLLIN | POLLRDNORM);
}

/* --- output processing; L is held --- */

static u32 next_column(u32 column, char c)
{
	switch (c) {
	case '\n':
	case '\r':
		return 0;
	case '\b':
		return column ? column - 1 : 0;
	case '\t':
		return (column | 7) + 1;
	}
	if ((u8)c < 32 || (u8)c == 127 || ((u8)c & 0xc0) == 0x80)
		return column; /* control, or inside a UTF-8 character */
	return column + 1;
}

/* What c becomes on the line: 1 to 8 bytes in out. */
static size_t opost(struct tty *t, char c, char *out)
{
	u32 flags = t->termios.oflag;

	if (!(flags & OPOST)) {
		out[0] = c;
		t->column = next_column(t->column, c);
		return 1;
	}
	if (c == '\n' && (flags & ONLCR)) {
		t->column = 0;
		memcpy(out, "\r\n", 2);
		return 2;
	}
	if (c == '\r' && (flags & ONOCR) && !t->column)
		return 0;
	if (c == '\r' && (flags & OCRNL))
		c = '\n';
	if (c == '\t' && (flags & TABDLY) == XTABS) {
		size_t n = 8 - (t->column & 7);
		memset(out, ' ', n);
		t->column += n;
		return n;
	}
	if ((flags & OLCUC) && c >= 'a' && c <= 'z')
		c -= 32;
	if (c != '\n' || (flags & ONLRET))
		t->column = next_column(t->column, c);
	out[0] = c;
	return 1;
}

/* Echo is best effort: what the driver does not take is lost. */
static void echo_char(struct tty *t, char c)
{
	char out[8];
	size_t n = opost(t, c, out);

	if (t->ops->room(t) >= n)
		t->ops->write(t, out, n);
}

static bool shown_as_caret(const struct tty *t, char c)
{
	return flag(t, ECHOCTL) && ((u8)c < 32 || (u8)c == 127) && c != '\t' && c != '\n';
}

static void echo(struct tty *t, char c)
{
	if (!flag(t, ECHO) && !(c == '\n' && flag(t, ECHONL) && flag(t, ICANON)))
		return;
	if (t->head == t->line_start)
		t->echo_column = t->column;
	if (shown_as_caret(t, c)) {
		echo_char(t, '^');
		echo_char(t, CTRL_MASK(c));
	} else {
		echo_char(t, c);
	}
}

/* --- editing the line; L is held --- */

static bool continues_utf8(const struct tty *t, char c)
{
	return (t->termios.iflag & IUTF8) && ((u8)c & 0xc0) == 0x80;
}

/* The column at which the text of the line up to `end` stands. */
static u32 column_at(struct tty *t, u32 end)
{
	u32 column = t->echo_column;

	for (u32 i = t->line_start; i != end; i++) {
		char c = *ring_at(t, i);
		column = shown_as_caret(t, c) ? column + 2 : next_column(column, c);
	}
	return column;
}

/* Takes the last character off the line. */
static void erase_one(struct tty *t)
{
	u32 column;

	do
		t->head--;
	while (t->head != t->line_start && continues_utf8(t, *ring_at(t, t->head)));
	if (!flag(t, ECHO))
		return;
	if (!flag(t, ECHOE)) {
		echo_char(t, t->termios.cc[VERASE]);
		return;
	}
	for (column = column_at(t, t->head); t->column > column;) {
		u32 before = t->column;
		echo_char(t, '\b');
		echo_char(t, ' ');
		echo_char(t, '\b');
		if (t->column >= before)
			break;
	}
}

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || (u8)c >= 128;
}

static void erase_word(struct tty *t)
{
	bool seen = false;

	while (t->head != t->line_start) {
		bool word = word_char(*ring_at(t, t->head - 1));
		if (seen && !word)
			break;
		seen |= word;
		erase_one(t);
	}
}

static void erase_line(struct tty *t)
{
	if (flag(t, ECHO) && !(flag(t, ECHOKE) && flag(t, ECHOE))) {
		t->head = t->line_start;
		echo(t, t->termios.cc[VKILL]);
		if (flag(t, ECHOK))
			echo_char(t, '\n');
		return;
	}
	while (t->head != t->line_start)
		erase_one(t);
}

static void reprint(struct tty *t)
{
	echo(t, t->termios.cc[VREPRINT]);
	echo_char(t, '\n');
	t->echo_column = 0;
	for (u32 i = t->line_start; i != t->head; i++) {
		char c = *ring_at(t, i);
		if (shown_as_caret(t, c)) {
			echo_char(t, '^');
			echo_char(t, CTRL_MASK(c));
		} else {
			echo_char(t, c);
		}
	}
}

/* True: c edited the line, or ended it. */
static bool canonical_special(struct tty *t, char c)
{
	if (is_cc(t, c, VERASE) || (is_cc(t, c, VWERASE) && flag(t, IEXTEN)) ||
	    is_cc(t, c, VKILL)) {
		if (t->head == t->line_start)
			return true;
		if (is_cc(t, c, VERASE))
			erase_one(t);
		else if (is_cc(t, c, VKILL))
			erase_line(t);
		else
			erase_word(t);
		return true;
	}
	if (is_cc(t, c, VLNEXT) && flag(t, IEXTEN)) {
		t->literal = true;
		if (flag(t, ECHO) && flag(t, ECHOCTL)) {
			echo_char(t, '^');
			echo_char(t, '\b');
		}
		return true;
	}
	if (is_cc(t, c, VREPRINT) && flag(t, ECHO) && flag(t, IEXTEN)) {
		reprint(t);
		return true;
	}
	if (is_cc(t, c, VEOF)) {
		if (ring_used(t) < TTY_BUFFER) {
			ring_put(t, DISABLED, true); /* a line end of no length */
			line_complete(t);
		}
		return true;
	}
	if (c == '\n' || is_cc(t, c, VEOL) || (is_cc(t, c, VEOL2) && flag(t, IEXTEN))) {
		echo(t, c);
		if (ring_used(t) == TTY_BUFFER)
			t->head--; /* the end of a line always finds room */
		ring_put(t, c, true);
		line_complete(t);
		return true;
	}
	return false;
}

/* --- input --- */

/* The signal that c sends, or 0. */
static int signal_of(const struct tty *t, char c)
{
	if (!flag(t, ISIG))
		return 0;
	if (is_cc(t, c, VINTR))
		return SIGINT;
	if (is_cc(t, c, VQUIT))
		return SIGQUIT;
	return is_cc(t, c, VSUSP) ? SIGTSTP : 0;
}

static void flush_for_signal(struct tty *t, char c)
{
	if (!flag(t, NOFLSH))
		ldisc_reset(t);
	t->stopped = false;
	echo(t, c);
	waitq_wake_all(&t->writable, POLLOUT);
}

/* Start and stop characters. True: c was one. */
static bool flow_control(struct tty *t, char c)
{
	if (!(t->termios.iflag & IXON))
		return false;
	if (is_cc(t, c, VSTOP)) {
		t->stopped = true;
		return true;
	}
	if (is_cc(t, c, VSTART) || (t->stopped && (t->termios.iflag & IXANY))) {
		bool was = is_cc(t, c, VSTART);
		t->stopped = false;
		waitq_wake_all(&t->writable, POLLOUT);
		return was;
	}
	return false;
}

/* Input mapping. False: c is dropped. */
static bool input_map(const struct tty *t, char *c)
{
	u32 f = t->termios.iflag;

	if (f & ISTRIP)
		*c &= 0x7f;
	if (*c == '\r') {
		if (f & IGNCR)
			return false;
		if (f & ICRNL)
			*c = '\n';
	} else if (*c == '\n' && (f & INLCR)) {
		*c = '\r';
	}
	if ((f & IUCLC) && *c >= 'A' && *c <= 'Z')
		*c += 32;
	return true;
}

static bool input_is_full(const struct tty *t)
{
	return ring_used(t) >= TTY_BUFFER - 1;
}

bool tty_input_waits(const struct tty *t)
{
	return input_is_full(t) && (!flag(t, ICANON) || t->lines);
}

/* One character. False: it is to wait. *sig: a signal to send. */
static bool input_char(struct tty *t, char c, int *sig)
{
	bool full = input_is_full(t);

	if (tty_input_waits(t) && !signal_of(t, c))
		return false;
	if (t->literal) {
		t->literal = false;
	} else {
		if (!input_map(t, &c) || flow_control(t, c))
			return true;
		*sig = signal_of(t, c);
		if (*sig) {
			flush_for_signal(t, c);
			return true;
		}
		if (flag(t, ICANON) && canonical_special(t, c))
			return true;
	}
	if (full) {
		if (t->termios.iflag & IMAXBEL)
			echo_char(t, '\a');
		return true; /* a line too long: the rest of it is lost */
	}
	echo(t, c);
	ring_put(t, c, false);
	if (!flag(t, ICANON)) {
		t->line_start = t->head;
		waitq_wake_all(&t->readable, POLLIN | POLLRDNORM);
	}
	return true;
}

size_t tty_input(struct tty *t, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct process_group *g = NULL;
		bool taken;
		int sig = 0;

		spin_lock(&t->lock);
		taken = t->buffer && input_char(t, s[i], &sig);
		if (sig && t->foreground)
			g = group_get(t->foreground);
		spin_unlock(&t->lock);
		if (g) {
			group_signal(g, sig);
			group_put(g);
		}
		if (sig && t->ops->input_room) /* it has emptied the buffer */
			t->ops->input_room(t);
		if (!taken)
			break;
	}
	return i;
}

size_t tty_input_room(struct tty *t)
{
	size_t room;

	spin_lock(&t->lock);
	room = tty_input_waits(t) ? 0 : MAX(TTY_BUFFER - 1 - ring_used(t), 1u);
	spin_unlock(&t->lock);
	return room;
}

/* --- turns: whose holder may wait for what somebody types, or for the driver --- */

static int turn_begin(struct file *f, struct tty *t, struct turn *turn)
{
	int err = 0;

	spin_lock(&t->lock);
	if (!(f->flags & O_NONBLOCK))
		err = turn_take(turn, &t->lock, SLEEP_INTERRUPTIBLE);
	else if (!turn_try(turn))
		err = -EAGAIN;
	spin_unlock(&t->lock);
	return err;
}

static void turn_end(struct tty *t, struct turn *turn)
{
	spin_lock(&t->lock);
	turn_give(turn);
	spin_unlock(&t->lock);
}

/* --- reading --- */

/* Takes up to n bytes of one line; *end: its end was reached. L is held. */
static size_t take_canonical(struct tty *t, char *out, size_t n, bool *end)
{
	size_t done = 0;

	*end = false;
	while (done < n && t->tail != t->line_start && !*end) {
		char c = *ring_at(t, t->tail);

		*end = bit_test(t->ends, t->tail % TTY_BUFFER);
		t->tail++;
		if (!(*end && c == DISABLED))
			out[done++] = c;
	}
	/* An end-of-file that directly follows is part of what was read. */
	if (done && !*end && t->tail != t->line_start && bit_test(t->ends, t->tail % TTY_BUFFER) &&
	    *ring_at(t, t->tail) == DISABLED) {
		t->tail++;
		*end = true;
	}
	t->lines -= *end;
	return done;
}

static size_t take_raw(struct tty *t, char *out, size_t n)
{
	size_t done = 0;

	while (done < n && ring_used(t))
		out[done++] = *ring_at(t, t->tail++);
	return done;
}

/* Waits until a read has something to return. L is held. */
static int wait_input(struct file *f, struct tty *t, u64 want)
{
	u8 vmin = t->termios.cc[VMIN], vtime = t->termios.cc[VTIME];
	ktime_t deadline = KTIME_NEVER;
	u32 seen = t->head;
	int err = 0;

	if (!flag(t, ICANON) && !vmin && vtime)
		deadline = ktime_get() + vtime * 100 * NSEC_PER_MSEC;
	while (!err) {
		u32 used = ring_used(t);

		if (tty_file_dead(f))
			return 0;
		if (flag(t, ICANON) ? t->lines > 0
				    : used >= MIN((u64)vmin, want) && (used || (!vmin && !vtime)))
			return 0;
		if (f->flags & O_NONBLOCK)
			return used && !flag(t, ICANON) ? 0 : -EAGAIN;
		if (vmin && vtime && used && !flag(t, ICANON) &&
		    (t->head != seen || deadline == KTIME_NEVER)) {
			deadline =
				ktime_get() + vtime * 100 * NSEC_PER_MSEC; /* between characters */
			seen = t->head;
		}
		err = waitq_sleep(&t->readable, &t->lock, SLEEP_INTERRUPTIBLE, deadline);
		vmin = t->termios.cc[VMIN];
	}
	return err == -ETIMEDOUT ? 0 : err;
}

static s64 read_chunks(struct tty *t, struct uio *u)
{
	char chunk[256];
	bool end = false;
	s64 done = 0;

	while (u->left && !end) {
		size_t n, want = MIN(u->left, sizeof(chunk));
		s64 k;

		spin_lock(&t->lock);
		if (flag(t, ICANON))
			n = t->lines ? take_canonical(t, chunk, want, &end) : 0;
		else
			n = take_raw(t, chunk, want);
		spin_unlock(&t->lock);
		if (!n)
			break;
		k = uio_copy_out(u, chunk, n);
		if (k < 0)
			return done ? done : k;
		done += k;
	}
	return done;
}

s64 ldisc_read(struct file *f, struct tty *t, struct uio *u)
{
	s64 n = tty_check_background(t, SIGTTIN);

	if (n || !u->left)
		return n;
	n = turn_begin(f, t, &t->reading);
	if (n)
		return n;
	spin_lock(&t->lock);
	n = wait_input(f, t, u->left);
	spin_unlock(&t->lock);
	if (!n)
		n = read_chunks(t, u);
	turn_end(t, &t->reading);
	if (t->ops->input_room)
		t->ops->input_room(t);
	return n;
}

/* --- writing --- */

void tty_output_room(struct tty *t)
{
	waitq_wake_all(&t->writable, POLLOUT | POLLWRNORM);
}

/* Writes as much of s as the driver takes: how many characters of s. L is held. */
static size_t put_processed(struct tty *t, const char *s, size_t n)
{
	char out[512];
	size_t i = 0;

	while (i < n && !t->stopped) {
		size_t room = t->ops->room(t), fill = 0;

		while (i < n && fill + 8 <= sizeof(out) && fill + 8 <= room)
			fill += opost(t, s[i++], out + fill);
		if (!fill)
			break;
		t->ops->write(t, out, fill);
	}
	return i;
}

/* All of s: 0, or -EAGAIN, -ERESTARTSYS, -EIO with *done told. */
static int write_chunk(struct file *f, struct tty *t, const char *s, size_t n, size_t *done)
{
	int err = 0;

	spin_lock(&t->lock);
	for (*done = 0;;) {
		if (tty_file_dead(f)) {
			err = -EIO;
			break;
		}
		*done += put_processed(t, s + *done, n - *done);
		if (*done == n)
			break;
		err = f->flags & O_NONBLOCK ? -EAGAIN
					    : waitq_sleep(&t->writable, &t->lock,
							  SLEEP_INTERRUPTIBLE, KTIME_NEVER);
		if (err)
			break;
	}
	spin_unlock(&t->lock);
	return err;
}

s64 ldisc_write(struct file *f, struct tty *t, struct uio *u)
{
	char chunk[512];
	s64 total = 0, err = flag(t, TOSTOP) ? tty_check_background(t, SIGTTOU) : 0;

	if (!err)
		err = turn_begin(f, t, &t->writing);
	if (err)
		return err;
	while (u->left && !err) {
		size_t done = 0;
		s64 n = uio_copy_in(u, chunk, MIN(u->left, sizeof(chunk)));

		if (n <= 0) {
			err = n;
			break;
		}
		err = write_chunk(f, t, chunk, n, &done);
		total += done;
		resched_point();
	}
	turn_end(t, &t->writing);
	return total ? total : err;
}

u32 ldisc_poll(struct tty *t, struct file *f)
{
	u32 events = 0;

	spin_lock(&t->lock);
	if (flag(t, ICANON)
		    ? t->lines > 0
		    : ring_used(t) >= MAX(t->termios.cc[VTIME] ? 1u : t->termios.cc[VMIN], 1u))
		events |= POLLIN | POLLRDNORM;
	if (!t->stopped && t->ops->room(t) >= 8)
		events |= POLLOUT | POLLWRNORM;
	spin_unlock(&t->lock);
	return events;
}
