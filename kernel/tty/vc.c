/* SPDX-License-Identifier: MIT */
/*
 * vc.c - virtual consoles: ten terminals that share one screen and keyboard, a
 * character device at the other end of which is a real terminal (a virtio-console
 * port, or a serial line).
 *
 * Each keeps the last RING bytes that were written to it. The one that is shown
 * also passes them on; showing another clears the screen, prints a title line
 * and replays that console's ring, so nothing that was printed is lost, and the
 * real terminal does all the interpreting: colours, UTF-8, cursor movement.
 *
 * Ctrl-T shows the next console in use; a digit typed right after it goes to that
 * console instead. Until the first switch there is no title and the screen
 * belongs to console 0 alone. Then line 1 is the title's: the rest is a scrolling
 * region with its own origin (DECSTBM, DECOM; ECMA-48 and the VT100 manual), and
 * a program that clears the screen gets the title drawn again.
 *
 * Locks: a console's tty->lock guards its ring; vc_lock (taken inside it) the
 * screen, and who is shown.
 */
#include "arch/x86/boot.h"
#include "core/errno.h"
#include "core/task.h"
#include "core/time.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "tty/tty.h"

#define RING 16384
#define TITLE_ROWS 1
#define CTRL_T 0x14
#define DIGIT_WITHIN NSEC_PER_SEC

enum escape { TEXT, ESCAPE, CSI };

struct vc {
	struct tty tty;
	char *ring;          /* L; NULL until something is written */
	u64 written;         /* L: bytes ever */
	enum escape state;   /* L: of the output stream, to see when it clears the screen */
	char name[64];       /* S: of the container that has it; "": the host's */
	bool claimed;        /* S */
};

static struct vc consoles[VC_COUNT];
static spinlock_t vc_lock = SPINLOCK_INIT(RANK_DEVICE); /* S */
static const struct vc_screen *screen; /* S */
static int shown;                      /* S */
static bool titled;                    /* S: a switch has happened */
static ktime_t switched_at;            /* of the last Ctrl-T; keyboard's context only */
static struct winsize screen_size = { 24, 80, 0, 0 };

/* --- drawing: S is held --- */

static void screen_puts(const char *s)
{
	screen->write(s, strlen(s));
}

/* Saves the cursor with its modes, writes line 1 in reverse, and comes back. */
static void draw_title(void)
{
	const struct vc *v = &consoles[shown];
	char line[256], text[121];
	int width = MIN(screen_size.cols, (u16)(sizeof(text) - 1));

	snprintf(text, width + 1, " console %d: %s  (Ctrl-T: next console, Ctrl-T and a digit: that one)",
		 shown, v->name[0] ? v->name : "host");
	snprintf(line, sizeof(line), "\0337\033[?6l\033[r\033[1;1H\033[0;7m%-*s\033[0m\033[%d;%dr\0338", width, text,
		 TITLE_ROWS + 1, screen_size.rows);
	screen_puts(line);
}

static void draw_shown(void)
{
	struct vc *v = &consoles[shown];
	char setup[64];

	snprintf(setup, sizeof(setup), "\033[0m\033[?6l\033[r\033[H\033[2J\033[%d;%dr\033[?6h\033[H",
		 TITLE_ROWS + 1, screen_size.rows);
	screen_puts(setup);
	draw_title();
	if (v->ring) {
		u64 from = v->written > RING ? v->written - RING : 0;
		u32 start = from % RING, n = MIN(v->written - from, (u64)(RING - start));

		screen->write(v->ring + start, n);
		screen->write(v->ring, v->written - from - n);
	}
	draw_title();
}

static bool in_use(int n)
{
	return n == 0 || consoles[n].claimed || READ_ONCE(consoles[n].tty.opens);
}

int vc_show(int n)
{
	struct winsize size = screen_size;
	bool first;

	if (n < 0 || n >= VC_COUNT || !in_use(n))
		return -ENXIO;
	/* The ring must not change while it is replayed. */
	spin_lock(&consoles[n].tty.lock);
	spin_lock(&vc_lock);
	first = !titled;
	titled = true;
	shown = n;
	if (screen)
		draw_shown();
	spin_unlock(&vc_lock);
	spin_unlock(&consoles[n].tty.lock);
	size.rows -= TITLE_ROWS;
	for (int i = 0; first && i < VC_COUNT; i++)
		tty_set_size(&consoles[i].tty, &size);
	return 0;
}

/* --- the terminals' driver: L is held --- */

static size_t vc_room(struct tty *t)
{
	return RING;
}

/* Does s clear the screen, or reset the terminal? Follows the stream from call to call. */
static bool clears_screen(struct vc *v, const char *s, size_t n)
{
	bool clears = false;

	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (c == 033) {
			v->state = ESCAPE;
		} else if (v->state == ESCAPE) {
			v->state = c == '[' ? CSI : TEXT;
			clears |= c == 'c';
		} else if (v->state == CSI && c >= 0x40 && c <= 0x7e) {
			v->state = TEXT;
			clears |= c == 'J' || c == 'r' || c == 'h' || c == 'l';
		}
	}
	return clears;
}

static size_t vc_write(struct tty *t, const char *s, size_t n)
{
	struct vc *v = container_of(t, struct vc, tty);
	bool redraw = clears_screen(v, s, n);

	if (!v->ring)
		v->ring = kmalloc(RING, 0);
	for (size_t i = 0; i < n && v->ring; i++)
		v->ring[v->written++ % RING] = s[i];
	spin_lock(&vc_lock);
	if (screen && v == &consoles[shown]) {
		screen->write(s, n);
		if (redraw && titled)
			draw_title();
	}
	spin_unlock(&vc_lock);
	return n;
}

static const struct tty_ops vc_ops = {
	.write = vc_write,
	.room = vc_room,
};

/* --- the keyboard --- */

static void show_next(void)
{
	int n = READ_ONCE(shown);

	do
		n = (n + 1) % VC_COUNT;
	while (!in_use(n));
	vc_show(n);
	switched_at = ktime_get();
}

/* True: c was for the consoles themselves. */
static bool keyboard_command(char c)
{
	bool after = switched_at && ktime_get() - switched_at < DIGIT_WITHIN;

	if (c == CTRL_T) {
		show_next();
		return true;
	}
	switched_at = 0;
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
	struct vc *v = &consoles[shown];

	spin_lock(&v->tty.lock);
	spin_lock(&vc_lock);
	screen = s;
	if (v->ring) /* what was written before there was a screen */
		s->write(v->ring, MIN(v->written, (u64)RING));
	spin_unlock(&vc_lock);
	spin_unlock(&v->tty.lock);
}

bool vc_has_screen(void)
{
	return READ_ONCE(screen);
}

int vc_claim(int n, struct owner *owner, const char *name)
{
	int err = 0;

	if (n <= 0 || n >= VC_COUNT)
		return -EINVAL;
	spin_lock(&vc_lock);
	if (consoles[n].claimed) {
		err = -EBUSY;
	} else {
		consoles[n].claimed = true;
		consoles[n].tty.owner = owner;
		strlcpy(consoles[n].name, name, sizeof(consoles[n].name));
	}
	spin_unlock(&vc_lock);
	return err;
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
	if (!parse_u64(s, &rows) && !parse_u64(x + 1, &cols) && rows >= 2 && rows < 1000 && cols >= 10 && cols < 1000) {
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
