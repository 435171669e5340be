/* SPDX-License-Identifier: MIT */
/*
 * tty.h - terminals: the line discipline (tty/tty.c, tty/ldisc.c: termios, man 3
 * termios, man 4 ioctl_tty), on top of which come virtual consoles (tty/vc.c),
 * pseudo-terminals (tty/pty.c) and serial lines (tty/serial). A driver gives an
 * ops table, feeds input with tty_input() from any context that may take
 * RANK_TTY, and takes output in its write op.
 */
#ifndef TTY_TTY_H
#define TTY_TTY_H

#include "core/job.h"
#include "core/wait.h"
#include "fs/vfs.h"

struct tty;

struct tty_ops {
	/* Takes up to n bytes of processed output; how many it took. RANK_TTY is held. */
	size_t (*write)(struct tty *t, const char *s, size_t n);
	size_t (*write_room)(struct tty *t);
	void (*winsize_changed)(struct tty *t);
	void (*close)(struct tty *t); /* last close */
};

void tty_input(struct tty *t, const char *s, size_t n);
void tty_hangup(struct tty *t);
void tty_init(void);
/* Virtual consoles: nine, number 0 is the host's. */
#define VC_COUNT 10
void vc_init(void);
/* The device that shows them and types into them (serial line or virtio-console). */
struct vc_screen {
	void (*write)(const char *s, size_t n); /* any context; must not sleep */
};
void vc_attach_screen(const struct vc_screen *s);
void vc_keyboard_input(const char *s, size_t n); /* from the same device, interrupt context */
/* A container takes (name) or gives back (NULL) console n: -EBUSY, -EINVAL. Owner: who may open it. */
int vc_claim(int n, struct owner *owner, const char *name);
void vc_release(int n, struct owner *owner);

#endif
