/* SPDX-License-Identifier: MIT */
/*
 * vc.c - virtual consoles: ten terminals that share one screen and keyboard, a
 * character device at the other end of which is a real terminal (a virtio-console
 * port, or a serial line).
 *
 * Each keeps the last RING bytes that were written to it; the real terminal does
 * all the interpreting: colours, UTF-8, cursor movement. The pump sends what the
 * shown one has and the screen has not (from `sent` to `written`), as fast as the
 * screen takes it; writers of the shown one wait for it, writers of the others do
 * not wait: their oldest bytes give way. Showing another clears the screen and
 * sends its ring from the beginning, so nothing that was printed is lost.
 *
 * Ctrl-T shows the next console in use; a digit typed right after it goes to that
 * console instead. Until the first switch there is no title and the screen belongs
 * to console 0 alone. Then the last line is the title's, and all consoles are one
 * line shorter: rows count as before, programs may have scrolling regions of their
 * own, and only what clears the whole screen or resets the region (the pump looks
 * for it) makes the title be drawn again. What a program asks the terminal (its
 * cursor, its kind) is asked once, not when it is replayed: the answer would be typed.
 *
 * Locks: vc_lock guards all of it, and the rings; it is taken inside a tty->lock.
 * A console's room is asked for by its tty under L; vc_screen_ready() says so when
 * there is more.
 */
#include "arch/x86/boot.h"
#include "core/errno.h"
#include "core/task.h"
#include "core/time.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "tty/tty.h"

#define RING	     16384
#define TITLE_ROWS   1
#define CTRL_T	     0x14
#define CANCEL	     0x18 /* CAN: a terminal drops the sequence that it is in */
#define DIGIT_WITHIN NSEC_PER_SEC
#define CHUNK	     1024
#define LEAVE_WITHIN (200 * NSEC_PER_MSEC)

struct vc {
	struct tty tty;
	char *ring;    /* S; NULL until something is written */
	u64 written;   /* S: bytes ever */
	u64 sent;      /* S: of these, what the screen has had since it shows this console */
	u64 seen;      /* S: what it has had at any time */
	char name[64]; /* S: of the container that has it; "": the host's */
	bool claimed;  /* S */
};

/* Where the stream to the screen stands (ECMA-48, 5.4 and 5.6: control sequences and strings). */
enum escape { TEXT, ESCAPE, CSI, STRING };

static struct vc consoles[VC_COUNT];
static spinlock_t vc_lock = SPINLOCK_INIT(RANK_DEVICE); /* S */
static const struct vc_screen *screen;			/* S */
static int shown;					/* S */
static bool titled;					/* S: a switch has happened */
static ktime_t switched_at; /* of the last Ctrl-T; keyboard's context only */
static struct winsize screen_size = { 24, 80, 0, 0 }; /* S */

static struct {
	enum escape state;
	char parameters[16];	    /* of the control sequence; what does not fit is left off */
	u32 length;		    /* of the parameters */
	bool title_due, region_due; /* to be drawn, to be set, when no sequence is under way */
	char text[512];		    /* our own, which goes before anything else */
	u32 text_length, text_sent;
} out; /* S */

/* --- our own output: S is held --- */

static bool out_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

static bool out_format(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	out.text_length = MIN((size_t)vsnprintf(out.text, sizeof(out.text), format, args),
			      sizeof(out.text) - 1);
	va_end(args);
	out.text_sent = 0;
	return true;
}

/* The title in reverse on the last line; the cursor and its attributes stay as they are. */
static void out_title(void)
{
	const struct vc *v = &consoles[shown];
	char text[161], region[16] = "";
	int width = MIN(screen_size.cols, (u16)(sizeof(text) - 1));

	snprintf(text, width + 1,
		 " console %d: %s   Ctrl-T: the next console; Ctrl-T and a digit: that one", shown,
		 v->name[0]		? v->name
		 : shown && !v->claimed ? "(free)"
					: "host");
	if (out.region_due)
		snprintf(region, sizeof(region), "\033[1;%dr", screen_size.rows - TITLE_ROWS);
	out_format("\0337\033[?6l%s\033[%d;1H\033[0;7m%-*s\033[0m\0338", region, screen_size.rows,
		   width, text);
	out.title_due = out.region_due = false;
}

/* A clean screen, for another console: modes that programs set most are off. */
static void out_clear(void)
{
	out_format("%c\033[?1049l\033[?1l\033[?6l\033[?7h\033[?25h\033[0m\033[r\033[H\033[2J",
		   CANCEL);
	out.state = TEXT;
	out.title_due = out.region_due = true;
}

/* --- the stream: S is held --- */

static bool parameters_are(const char *s)
{
	return !strcmp(out.parameters, s);
}

/* The control sequence that ends in c: whether it undoes the title or the region. */
static void sequence_ended(char c)
{
	out.parameters[MIN(out.length, (u32)sizeof(out.parameters) - 1)] = 0;
	if ((c == 'r' && !out.length) || (c == 'p' && parameters_are("!")))
		out.region_due = out.title_due = true;
	else if (c == 'J')
		out.title_due = true;
	else if ((c == 'h' || c == 'l') && (parameters_are("?1049") || parameters_are("?1047") ||
					    parameters_are("?47") || parameters_are("?3")))
		out.region_due = out.title_due = true;
}

/* Passes one byte; what goes to the screen for it. */
static char stream_byte(char c, bool again)
{
	enum escape was = out.state;

	if (c == 033) {
		out.state = ESCAPE;
		out.length = 0;
	} else if ((u8)c == CANCEL || (u8)c == 0x1a) {
		out.state = TEXT;
	} else if (was == ESCAPE) {
		out.state = c == '['					   ? CSI
			    : c == ']' || c == 'P' || c == '_' || c == '^' ? STRING
									   : TEXT;
		if (c == 'c')
			out.region_due = out.title_due = true;
		if (again && c == 'Z')
			return CANCEL;
	} else if (was == CSI && c >= 0x40 && c <= 0x7e) {
		out.state = TEXT;
		sequence_ended(c);
		if (again && (c == 'n' || c == 'c'))
			return CANCEL;
	} else if (was == CSI) {
		if (out.length < sizeof(out.parameters) - 1)
			out.parameters[out.length++] = c;
	} else if (c == '\a') {
		out.state = TEXT;
		if (again && was == TEXT)
			return 0;
	}
	return c;
}

/* Whether our own text is to go now. */
static bool out_pending(void)
{
	if (out.text_sent == out.text_length && titled && out.title_due && out.state == TEXT)
		out_title();
	return out.text_sent < out.text_length;
}

/* The next bytes of the shown console: up to where the title is to be drawn. */
static size_t stream_next(struct vc *v, char *chunk, size_t size)
{
	size_t n = 0;

	if (v->written - v->sent > RING)
		v->sent = v->written - RING;
	while (n < size && v->sent != v->written) {
		char c = stream_byte(v->ring[v->sent % RING], v->sent < v->seen);

		v->sent++;
		if (c)
			chunk[n++] = c;
		if (titled && out.title_due && out.state == TEXT)
			break;
	}
	v->seen = MAX(v->seen, v->sent);
	return n;
}

/* Sends what the screen takes. */
static void pump(void)
{
	struct vc *v = &consoles[shown];
	char chunk[CHUNK];

	while (screen) {
		size_t room = screen->room(), n;

		if (!room)
			return;
		if (out_pending()) {
			n = MIN(room, (size_t)(out.text_length - out.text_sent));
			screen->write(out.text + out.text_sent, n);
			out.text_sent += n;
			continue;
		}
		n = stream_next(v, chunk, MIN(room, sizeof(chunk)));
		if (n)
			screen->write(chunk, n);
		else if (v->sent == v->written && !out_pending())
			return;
	}
}

void vc_screen_ready(void)
{
	struct tty *t;

	spin_lock(&vc_lock);
	pump();
	t = &consoles[shown].tty;
	spin_unlock(&vc_lock);
	spin_lock(&t->lock);
	if (waitq_active(&t->writable))
		tty_output_room(t);
	spin_unlock(&t->lock);
}

/* --- showing --- */

/* In the cycle of Ctrl-T: somebody has it, or it has something that nobody has seen. S is held. */
static bool in_use(int n)
{
	const struct vc *v = &consoles[n];

	return n == 0 || v->claimed || READ_ONCE(v->tty.opens) || v->seen != v->written;
}

/* Sends console v from the beginning of what it keeps: of a line, if that is not its very first. S
 * is held. */
static void show_again(struct vc *v)
{
	v->sent = v->written > RING ? v->written - RING : 0;
	for (u64 i = v->sent; v->sent && i < v->written; i++) {
		if (v->ring[i % RING] == '\n') {
			v->sent = i + 1;
			break;
		}
	}
	out_clear();
	pump();
}

static void consoles_set_size(void)
{
	struct winsize size;

	spin_lock(&vc_lock);
	size = screen_size;
	size.rows -= titled ? TITLE_ROWS : 0;
	spin_unlock(&vc_lock);
	for (int i = 0; i < VC_COUNT; i++)
		tty_set_size(&consoles[i].tty, &size);
}

int vc_show(int n)
{
	struct tty *old = NULL;
	bool first = false;
	int err = 0;

	if (n < 0 || n >= VC_COUNT)
		return -ENXIO;
	spin_lock(&vc_lock);
	if (!in_use(n)) {
		err = -ENXIO;
	} else if (n != shown) {
		first = !titled;
		titled = true;
		old = &consoles[shown].tty;
		shown = n;
		show_again(&consoles[n]);
	}
	spin_unlock(&vc_lock);
	if (first)
		consoles_set_size();
	if (old) { /* who waited for the screen need not any more */
		spin_lock(&old->lock);
		tty_output_room(old);
		spin_unlock(&old->lock);
	}
	return err;
}

void vc_set_screen_size(u16 rows, u16 cols)
{
	if (rows < 2 || rows > 999 || cols < 10 || cols > 999)
		return;
	spin_lock(&vc_lock);
	screen_size.rows = rows;
	screen_size.cols = cols;
	if (titled)
		show_again(&consoles[shown]);
	spin_unlock(&vc_lock);
	consoles_set_size();
}

/* Pumps until all is out or the time is up; S is let go between, for the interrupt that makes room.
 */
static void drain_until(ktime_t end)
{
	const struct vc *v;
	bool done = false;

	while (!done && ktime_get() < end) {
		spin_lock(&vc_lock);
		pump();
		v = &consoles[shown];
		done = !screen || (v->sent == v->written && !out_pending());
		spin_unlock(&vc_lock);
		cpu_spin_wait();
	}
}

/* The whole screen is the person's again: the machine ends. Bounded, and with no lock that another
 * may hold. */
void vc_leave(void)
{
	ktime_t end = ktime_get() + LEAVE_WITHIN;

	drain_until(end);
	spin_lock(&vc_lock);
	if (titled && screen)
		out_format("%c\033[?6l\033[r\033[0m\033[?25h\033[%d;1H\033[K", CANCEL,
			   screen_size.rows);
	titled = false;
	spin_unlock(&vc_lock);
	drain_until(end);
}

/* --- the terminals' driver: L is held --- */

/* Under S, so not while somebody pumps: what is short afterwards is with the screen, which will say
 * vc_screen_ready(). */
static size_t vc_room(struct tty *t)
{
	const struct vc *v = container_of(t, struct vc, tty);
	u64 waiting;

	spin_lock(&vc_lock);
	waiting = screen && v == &consoles[shown] ? MIN(v->written - v->sent, (u64)RING) : 0;
	spin_unlock(&vc_lock);
	return RING - waiting;
}

static size_t vc_write(struct tty *t, const char *s, size_t n)
{
	struct vc *v = container_of(t, struct vc, tty);

	spin_lock(&vc_lock);
	if (!v->ring)
		v->ring = kmalloc(RING, 0);
	for (size_t i = 0; i < n && v->ring; i++)
		v->ring[v->written++ % RING] = s[i];
	if (v == &consoles[shown])
		pump();
	spin_unlock(&vc_lock);
	return n;
}

static const struct tty_ops vc_ops = {
	.write = vc_write, .room = vc_room, .iflag = IUTF8, /* as the real terminals of today */
};

/* --- the keyboard --- */

/* False: there is no other. */
static bool show_next(void)
{
	int n, from;

	spin_lock(&vc_lock);
	n = from = shown;
	do
		n = (n + 1) % VC_COUNT;
	while (n != from && !in_use(n));
	spin_unlock(&vc_lock);
	return n != from && !vc_show(n);
}

/* True: c was for the consoles themselves. */
static bool keyboard_command(char c)
{
	bool after = switched_at && ktime_get() - switched_at < DIGIT_WITHIN;

	switched_at = 0;
	if (c == CTRL_T) {
		if (show_next())
			switched_at = ktime_get();
		return true;
	}
	return after && c >= '0' && c <= '9' && (vc_show(c - '0'), true);
}

void vc_keyboard_input(const char *s, size_t n)
{
	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] != CTRL_T && !switched_at)
			continue;
		tty_input(&consoles[READ_ONCE(shown)].tty, s + from, i - from);
		from = keyboard_command(s[i]) ? i + 1 : i;
	}
	tty_input(&consoles[READ_ONCE(shown)].tty, s + from, n - from);
}

/* --- screens and owners --- */

void vc_attach_screen(const struct vc_screen *s)
{
	spin_lock(&vc_lock);
	screen = s;
	pump(); /* what was written before there was a screen */
	spin_unlock(&vc_lock);
}

bool vc_has_screen(void)
{
	return READ_ONCE(screen);
}

/* S is held: v's title has changed. */
static void title_changed(const struct vc *v)
{
	if (v != &consoles[shown])
		return;
	out.title_due = true;
	pump();
}

int vc_claim(int n, struct owner *owner, const char *name)
{
	struct vc *v = &consoles[n];
	int err = 0;

	if (n <= 0 || n >= VC_COUNT)
		return -EINVAL;
	spin_lock(&vc_lock);
	if (v->claimed) {
		err = -EBUSY;
	} else {
		v->claimed = true;
		v->tty.owner = owner;
		strlcpy(v->name, name, sizeof(v->name));
		v->written = v->sent = v->seen = 0; /* what another had there is not this one's */
		if (v == &consoles[shown] && titled)
			show_again(v);
	}
	spin_unlock(&vc_lock);
	return err;
}

size_t vc_kept(int n, const struct owner *owner, u64 *at, char *to, size_t size)
{
	struct vc *v = &consoles[n];
	size_t done = 0;

	spin_lock(&vc_lock);
	if (v->claimed && v->tty.owner == owner && v->ring) {
		*at = MAX(*at, v->written > RING ? v->written - RING : 0);
		while (done < size && *at < v->written)
			to[done++] = v->ring[(*at)++ % RING];
	}
	spin_unlock(&vc_lock);
	return done;
}

void vc_release(int n, struct owner *owner)
{
	struct vc *v = &consoles[n];
	bool was;

	spin_lock(&vc_lock);
	was = v->claimed && v->tty.owner == owner;
	if (was) {
		v->claimed = false;
		v->tty.owner = &owner_host;
		v->name[0] = 0;
		title_changed(v);
	}
	spin_unlock(&vc_lock);
	if (was)
		tty_hangup(&v->tty); /* nobody of the old owner goes on reading it */
}

struct tty *vc_tty(int n)
{
	return n >= 0 && n < VC_COUNT ? tty_get(&consoles[n].tty) : NULL;
}

struct tty *vc_of_owner(struct owner *owner)
{
	if (owner == &owner_host)
		return vc_tty(0);
	for (int i = 1; i < VC_COUNT; i++)
		if (consoles[i].claimed && READ_ONCE(consoles[i].tty.owner) == owner)
			return vc_tty(i);
	return NULL;
}

/* "console_size=ROWSxCOLS": the size of the terminal that the screen is. */
static void read_screen_size(void)
{
	char s[32], *x;
	u64 rows, cols;

	if (!boot_option("console_size", 0, s, sizeof(s)) || !(x = strchr(s, 'x')))
		return;
	*x = 0;
	if (!parse_u64(s, &rows) && !parse_u64(x + 1, &cols) && rows >= 2 && rows < 1000 &&
	    cols >= 10 && cols < 1000) {
		screen_size.rows = rows;
		screen_size.cols = cols;
	}
}

void vc_init(void)
{
	read_screen_size();
	for (int i = 0; i < VC_COUNT; i++) {
		struct tty *t = &consoles[i].tty;

		tty_init_object(t, &vc_ops, makedev(TTY_MAJOR, i), &consoles[i]);
		t->owner = &owner_host;
		t->size = screen_size;
	}
}
