/* SPDX-License-Identifier: MIT */
/*
 * tty.h - terminals. tty.c has the object and its files, ldisc.c the line
 * discipline (input editing, signals, output processing), termios.c the ioctls;
 * drivers below it: virtual consoles (vc.c) and pseudo-terminals (pty.c).
 *
 * Lock key: L  tty->lock (RANK_TTY), taken in interrupt context too
 *           J  tty_job_lock (a mutex, RANK_TTY_LOCK): who controls what;
 *              foreground is written under both
 */
#ifndef TTY_TTY_H
#define TTY_TTY_H

#include "core/job.h"
#include "core/turn.h"
#include "core/wait.h"
#include "fs/vfs.h"

struct tty;

struct tty_ops {
	/* Takes up to n bytes of processed output; how many it took. L is held; must not sleep. */
	size_t (*write)(struct tty *t, const char *s, size_t n);
	size_t (*room)(struct tty *t);	   /* bytes that write would take now; L */
	void (*input_room)(struct tty *t); /* a reader made room; no lock. NULL: the driver drops */
	void (*opened)(struct tty *t);	   /* first open; no lock; or NULL */
	void (*closed)(struct tty *t);	   /* last close; no lock; or NULL */
	void (*freed)(struct tty *t);	   /* last reference; or NULL: static */
	u32 iflag;			   /* set at first, besides what every terminal has */
};

/* termios as the kernel ABI has it (struct termios of TCGETS: 19 control characters). */
struct termios {
	u32 iflag, oflag, cflag, lflag;
	u8 line, cc[19];
};
struct winsize {
	u16 rows, cols, xpixel, ypixel;
};

enum {
	VINTR,
	VQUIT,
	VERASE,
	VKILL,
	VEOF,
	VTIME,
	VMIN,
	VSWTC,
	VSTART,
	VSTOP,
	VSUSP,
	VEOL,
	VREPRINT,
	VDISCARD,
	VWERASE,
	VLNEXT,
	VEOL2
};
#define IGNBRK	0001
#define BRKINT	0002
#define IGNPAR	0004
#define PARMRK	0010
#define INPCK	0020
#define ISTRIP	0040
#define INLCR	0100
#define IGNCR	0200
#define ICRNL	0400
#define IUCLC	01000
#define IXON	02000
#define IXANY	04000
#define IXOFF	010000
#define IMAXBEL 020000
#define IUTF8	040000
#define OPOST	0001
#define OLCUC	0002
#define ONLCR	0004
#define OCRNL	0010
#define ONOCR	0020
#define ONLRET	0040
#define TABDLY	014000
#define XTABS	014000
#define ISIG	0000001
#define ICANON	0000002
#define ECHO	0000010
#define ECHOE	0000020
#define ECHOK	0000040
#define ECHONL	0000100
#define NOFLSH	0000200
#define TOSTOP	0000400
#define ECHOCTL 0001000
#define ECHOKE	0004000
#define FLUSHO	0010000
#define IEXTEN	0100000

#define TTY_BUFFER 4096 /* N_TTY_BUF_SIZE: a line has at most 4095 characters */

struct tty {
	ref_t refs;
	spinlock_t lock;
	const struct tty_ops *ops;
	void *private;			  /* the driver's */
	u32 opens;			  /* J: files */
	u64 hangups;			  /* L: files opened before the last one are dead */
	bool exclusive;			  /* J: TIOCEXCL */
	struct owner *owner;		  /* who may open it by name; driver's */
	u64 rdev;			  /* constant */
	struct termios termios;		  /* L */
	struct winsize size;		  /* L */
	struct session *session;	  /* J; counted */
	struct process_group *foreground; /* J and L; counted */
	/* Input: a ring of bytes; a set bit in `ends` marks the last byte of a line (canonical). */
	char *buffer;			 /* L; TTY_BUFFER bytes, allocated at first open */
	u64 ends[TTY_BUFFER / 64];	 /* L */
	u32 head, tail;			 /* L: all bytes ever put in and read */
	u32 lines;			 /* L: complete lines in the ring */
	u32 line_start;			 /* L: where the line being edited begins */
	u32 column;			 /* L: of the output cursor, for tabs and erasing */
	u32 echo_column;		 /* L: where the line being edited began */
	bool stopped;			 /* L: ^S or TCOOFF */
	bool literal;			 /* L: ^V: the next character is data */
	struct waitq readable, writable; /* L */
	struct turn reading, writing;	 /* whole reads and writes */
};

/* --- for drivers --- */
int tty_init_object(struct tty *t, const struct tty_ops *ops, u64 rdev,
		    void *private); /* -ENOMEM */
void tty_destroy_object(struct tty *t);
struct tty *tty_get(struct tty *t);
void tty_put(struct tty *t);
/* Input from the line: any context. How many bytes were taken (less than n: full, in raw mode). */
size_t tty_input(struct tty *t, const char *s, size_t n);
size_t tty_input_room(struct tty *t);
bool tty_input_waits(const struct tty *t); /* nothing is taken until somebody has read; L is held */
void tty_output_room(struct tty *t);	   /* write would take more now; L is held */
void tty_hangup(struct tty *t);		   /* the line is gone; sleeps */
void tty_set_size(struct tty *t, const struct winsize *size); /* SIGWINCH if it changed */
/* Opens t as file f (the driver's open has found it). The reference passes to f. */
int tty_open_file(struct tty *t, struct file *f);
extern const struct file_ops tty_file_ops;

/* --- between tty.c, ldisc.c and termios.c --- */
struct tty_file {
	struct tty *tty;
	u64 hangups;
};
struct tty *tty_of(const struct file *f);
bool tty_file_dead(const struct file *f);
extern struct mutex tty_job_lock;
/* 0; or, from the background, sends sig to current's group: -ERESTARTSYS, -EIO (orphaned). */
int tty_check_background(struct tty *t, int sig);
s64 ldisc_read(struct file *f, struct tty *t, struct uio *u);
s64 ldisc_write(struct file *f, struct tty *t, struct uio *u);
u32 ldisc_poll(struct tty *t, struct file *f);
void ldisc_reset(struct tty *t);		       /* drops input; L */
void ldisc_mode_changed(struct tty *t, u32 old_lflag); /* L */
u32 ldisc_available(struct tty *t);		       /* FIONREAD; L */
s64 tty_ioctl(struct file *f, u32 cmd, u64 arg);
s64 tty_ioctl_common(struct file *f, struct tty *t, u32 cmd,
		     u64 arg); /* on a pty's slave, through its master too */
s64 tty_job_ioctl(struct file *f, struct tty *t, u32 cmd, u64 arg);
void termios_default(struct termios *t, u32 iflag);

/* --- virtual consoles: ten, number 0 is the host's shell --- */
#define VC_COUNT      10
#define TTY_MAJOR     4
#define TTY_ALT_MAJOR 5
#define PTS_MAJOR     136
void tty_init(void); /* tty, vc, pty: devices and their names */
void vc_init(void);
void pty_init(void);
/* The file being opened becomes the master of a new pty of `owner`: -ENOSPC, -ENOMEM. */
int pty_open_master(struct owner *owner, struct file *f);
/* The device that shows them and types into them (virtio-console port or serial line). */
struct vc_screen {
	size_t (*room)(void); /* bytes that one write would take now; any context */
	void (*write)(const char *s, size_t n); /* at most room(); any context; must not sleep */
};
void vc_attach_screen(const struct vc_screen *s);
/* For a device that had no room left, each time that it has some again; any context, no lock. */
void vc_screen_ready(void);
void vc_set_screen_size(u16 rows, u16 cols); /* nonsense is ignored */
void vc_leave(void);			     /* the machine ends: the screen as it was found */
bool vc_has_screen(void);
void vc_keyboard_input(const char *s, size_t n); /* interrupt context too */
/* A container takes console n, which then bears its name: -EBUSY, -EINVAL. */
int vc_claim(int n, struct owner *owner, const char *name);
/* What was written to it, from byte *at on (counted since it was claimed), as far as it is kept:
 * bytes; *at is behind them. 0 too if the owner does not have it. */
size_t vc_kept(int n, const struct owner *owner, u64 *at, char *to, size_t size);
void vc_release(int n, struct owner *owner);
struct tty *vc_of_owner(struct owner *owner); /* /dev/console: counted, or NULL */
struct tty *vc_tty(int n);		      /* counted */
int vc_show(int n);			      /* -ENXIO */

#endif
