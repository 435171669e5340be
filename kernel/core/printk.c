/* SPDX-License-Identifier: MIT */
/*
 * printk.c - the kernel's log: a ring of bytes, and who prints it.
 *
 * Each line stands in the ring as "<level>[seconds] text\n", which is also what
 * syslog(2) hands out. Positions count the bytes ever written, so that a reader
 * that was overtaken notices and goes on at the oldest byte.
 *
 * Printing is direct (by the caller, under log_lock) until the thread is there,
 * and again in a panic. In between printk() only writes to the ring, and asks
 * for a timer interrupt of its CPU, which may take the locks that waking the
 * thread needs: printk() itself works under every lock.
 *
 * A CPU that gets here while it holds log_lock already (an NMI, or a fault in a
 * device's write) prints past the ring. In a panic nobody waits for the lock
 * for long: its holder may have been stopped.
 */
#include "core/printk.h"

#include "arch/x86/boot.h"
#include "core/cpu.h"
#include "core/spinlock.h"
#include "core/task.h"
#include "core/time.h"
#include "lib/string.h"

#define LOG_SIZE	(64u << 10) /* a power of two */
#define LOG_LINE_MAX	400
#define LOG_CHUNK	256
#define LOG_STALE_TURNS 1000000 /* of waiting for the lock in a panic */

/* L: log_lock */
static spinlock_t log_lock = SPINLOCK_INIT(RANK_LOG);
static u32 log_holder;		/* CPU id + 1 while it holds log_lock */
static char log_ring[LOG_SIZE]; /* L */
static u64 log_head;		/* L: bytes written so far */
static u64 log_printed;		/* L: bytes printed so far */
static bool log_midline;	/* L: the last byte written was not a newline */
static bool log_line_hidden;	/* L: the line being printed is above console_level */
static bool log_line_started;	/* L: its level has been read */
static int console_level = LOG_DEBUG;
static struct log_device *log_devices;
static struct task *log_thread;
static bool log_pending; /* the thread has something to print */

static void devices_write(const char *s, size_t n)
{
	for (struct log_device *d = READ_ONCE(log_devices); d; d = d->next)
		d->write(s, n);
}

/* False: not taken, because this CPU has it or (panic) its holder does not give it back. */
static bool log_lock_enter(void)
{
	u32 me = this_cpu()->id + 1;

	if (READ_ONCE(log_holder) == me)
		return false;
	if (panic_active) {
		unsigned turns = 0;
		while (!spin_trylock(&log_lock))
			if (++turns > LOG_STALE_TURNS)
				return false;
	} else {
		spin_lock(&log_lock);
	}
	WRITE_ONCE(log_holder, me);
	return true;
}

static void log_lock_leave(void)
{
	WRITE_ONCE(log_holder, 0);
	spin_unlock(&log_lock);
}

static void ring_write(const char *s, size_t n)
{
	while (n--)
		log_ring[log_head++ % LOG_SIZE] = *s++;
}

/* Writes text line by line, each with its level and time in front. Under log_lock. */
static void ring_write_lines(int level, const char *s, size_t n)
{
	char prefix[40];
	ktime_t now = ktime_get();

	while (n) {
		const char *newline = memchr(s, '\n', n);
		size_t part = newline ? (size_t)(newline - s + 1) : n;

		if (!log_midline)
			ring_write(prefix, snprintf(prefix, sizeof(prefix), "<%d>[%5ld.%06ld] ",
						    level, now / NSEC_PER_SEC,
						    now % NSEC_PER_SEC / NSEC_PER_USEC));
		ring_write(s, part);
		log_midline = !newline;
		s += part;
		n -= part;
	}
}

/* What of s[0..n) goes to the devices: strips "<level>", hides what is too detailed. Returns its
 * length. */
static size_t console_filter(char *s, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		char c = s[i];
		if (!log_line_started) {
			if (c == '<')
				continue;
			if (c == '>')
				log_line_started = true;
			else
				log_line_hidden = c - '0' > console_level;
			continue;
		}
		if (!log_line_hidden)
			s[kept++] = c;
		if (c == '\n')
			log_line_started = false;
	}
	return kept;
}

/* The next bytes from *pos, which moves on; after an overrun from the start of a line. Under
 * log_lock. */
static size_t ring_read(u64 *pos, char *buf, size_t n)
{
	if (log_head - *pos > LOG_SIZE) {
		*pos = log_head - LOG_SIZE;
		while (*pos < log_head && log_ring[(*pos)++ % LOG_SIZE] != '\n')
			;
	}
	n = MIN(n, log_head - *pos);
	for (size_t i = 0; i < n; i++)
		buf[i] = log_ring[(*pos)++ % LOG_SIZE];
	return n;
}

/* Takes the next piece to print: *n is its length. False: there is nothing more. Under log_lock. */
static bool log_next_chunk(char *chunk, size_t *n)
{
	bool overrun = log_head - log_printed > LOG_SIZE;
	size_t raw = ring_read(&log_printed, chunk, LOG_CHUNK);

	if (overrun)
		log_line_started = false;
	*n = console_filter(chunk, raw);
	return raw;
}

/* Direct printing, under log_lock. */
static void log_flush(void)
{
	char chunk[LOG_CHUNK];
	size_t n;

	if (!log_devices)
		return; /* kept for the first device */
	while (log_next_chunk(chunk, &n))
		devices_write(chunk, n);
}

void printk(int level, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = MIN(n, sizeof(text) - 1);
	if (panic_active || !log_lock_enter()) {
		devices_write(text, n);
		return;
	}
	ring_write_lines(level, text, n);
	/* An emergency may be that threads do not run any more. */
	if (!log_thread || level == LOG_EMERG)
		log_flush();
	log_lock_leave();
	if (log_thread) {
		WRITE_ONCE(log_pending, true);
		if (this_cpu()->online)
			timer_poke(0);
	}
}

void printk_tick(void)
{
	if (likely(!READ_ONCE(log_pending)))
		return;
	WRITE_ONCE(log_pending, false);
	sched_wake(log_thread);
}

/* For panic() and power-off: what the thread has not printed yet. */
void printk_flush(void)
{
	bool locked = log_lock_enter();

	log_flush();
	if (log_midline)
		devices_write("\n", 1);
	if (locked)
		log_lock_leave();
}

static void log_thread_main(void *arg)
{
	char chunk[LOG_CHUNK];
	size_t n;
	bool more;

	for (;;) {
		sched_prepare_sleep();
		log_lock_enter(); /* a full barrier between the state and the look at the ring */
		more = log_next_chunk(chunk, &n);
		log_lock_leave();
		if (!more) {
			sched_sleep(KTIME_NEVER);
			continue;
		}
		sched_cancel_sleep();
		devices_write(chunk, n);
		resched_point();
	}
}

void printk_init_thread(void)
{
	struct task *t;

	if (!kthread_create("klog", log_thread_main, NULL, &t))
		log_thread = t;
}

void log_device_add(struct log_device *d)
{
	bool locked = log_lock_enter();

	d->next = log_devices;
	WRITE_ONCE(log_devices, d);
	if (!log_thread)
		log_flush();
	if (locked)
		log_lock_leave();
}

void printk_set_level(int level)
{
	console_level = level;
}

void printk_init_cmdline(void)
{
	char value[16];
	u64 level;

	if (boot_option("quiet", 0, value, sizeof(value)))
		printk_set_level(LOG_ERR);
	if (boot_option("loglevel", 0, value, sizeof(value)) && !parse_u64(value, &level))
		printk_set_level(MIN(level, (u64)LOG_DEBUG));
}

size_t printk_read(u64 *pos, char *buf, size_t n)
{
	bool locked = log_lock_enter();

	n = ring_read(pos, buf, n);
	if (locked)
		log_lock_leave();
	return n;
}
