/* SPDX-License-Identifier: MIT */
/*
 * terminal.c - the person's terminal: raw while the guest runs, as it was
 * afterwards. Every key goes to the guest but Ctrl-A X, which leaves; Ctrl-A
 * twice sends one.
 */
#include "vm.h"

#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_A 1

static struct termios before;
static bool changed;

void terminal_raw(void)
{
	struct termios raw;

	if (changed || tcgetattr(0, &before))
		return;
	raw = before;
	cfmakeraw(&raw);
	changed = !tcsetattr(0, TCSADRAIN, &raw);
}

void terminal_restore(void)
{
	/*
	 * Any sequence cancelled, the normal screen and keys, no pasting brackets, lines wrap and
	 * count from the first, all of the screen scrolls, plain text, cursor shown, last line.
	 */
	static const char plain[] =
		"\030\033[?1049l\033[?1l\033>\033[?2004l\033[?7h\033[?6l\033[r\033[0m"
		"\033[?25h\033[999;1H\r\n";

	if (!changed)
		return;
	tcsetattr(0, TCSADRAIN, &before);
	changed = false;
	if (isatty(1) && write(1, plain, sizeof(plain) - 1) < 0)
		return;
}

uint64_t terminal_size(void)
{
	struct winsize w;

	if (ioctl(0, TIOCGWINSZ, &w) || !w.ws_row || !w.ws_col)
		return 0;
	return (uint64_t)w.ws_row << 16 | w.ws_col;
}

/*
 * A Ctrl-A is held back until the next key, so what comes out is at most one
 * longer than what went in: all keys of a run of them but the first pass.
 */
size_t terminal_filter(void *terminal, char *buf, size_t len)
{
	static char kept[2 * PUMP_SIZE];
	struct terminal *t = terminal;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char key = buf[i];

		if (!t->escape && key == CTRL_A) {
			t->escape = true;
			continue;
		}
		if (t->escape && (key == 'x' || key == 'X')) {
			t->leave = true;
			return 0;
		}
		if (t->escape && key != CTRL_A)
			kept[n++] = CTRL_A;
		t->escape = false;
		kept[n++] = key;
	}
	memcpy(buf, kept, n);
	return n;
}
