/* SPDX-License-Identifier: MIT */
/*
 * printk.h - the kernel's log, and what happens when it cannot go on.
 *
 * printk() formats into a ring of bytes and may be called anywhere, also in
 * interrupt handlers and with any lock held. A thread prints the ring to the
 * log devices; before that thread runs, and after a panic, printing is direct.
 */
#ifndef CORE_PRINTK_H
#define CORE_PRINTK_H

#include "lib/types.h"

enum { LOG_EMERG, LOG_ALERT, LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

void printk(int level, const char *fmt, ...) __printf(2, 3);
#define log_info(...) printk(LOG_INFO, __VA_ARGS__)
#define log_warn(...) printk(LOG_WARNING, __VA_ARGS__)
#define log_err(...)  printk(LOG_ERR, __VA_ARGS__)

/* A place to print to, without sleeping and without locks (after a panic). */
struct log_device {
	const char *name;
	void (*write)(const char *s, size_t n);
	struct log_device *next;
};
void log_device_add(struct log_device *d);
void printk_init_thread(void);		  /* from here on a thread prints */
void printk_init_cmdline(void);		  /* "quiet", "loglevel=N"; once boot_info is there */
void printk_tick(void);			  /* from timer_interrupt(): wakes the thread */
void printk_set_level(int console_level); /* "quiet" on the command line: LOG_ERR */
/* For syslog(2): copies up to n bytes from position *pos (advanced); 0 at the end. */
size_t printk_read(u64 *pos, char *buf, size_t n);

/*
 * Stops the other CPUs, prints "panic: ...", the backtrace of every CPU, the
 * current task and container, lock holders and the trace ring, and ends the
 * machine (exit status 121 by isa-debug-exit where there is one, else reset).
 */
void panic(const char *fmt, ...) __noreturn __printf(1, 2);
void backtrace_print(const void *frame_pointer);
/* symbol_lookup(), the function that holds a code address, is declared in lib/string.h. */
/* Called in panic(), most recent registration first: prints what a subsystem knows. */
void panic_hook_add(void (*hook)(void));
/* A panic is under way: lock checks are off, printing is direct. */
extern bool panic_active;
void printk_flush(void); /* prints directly what nobody has printed yet: panic, power off */

#define BUG_ON(cond)                                                              \
	do {                                                                      \
		if (unlikely(cond))                                               \
			panic("%s:%d: %s: " #cond, __FILE__, __LINE__, __func__); \
	} while (0)
/* As BUG_ON, with the values that matter: BUG_IF(n < 0, "n=%ld", n) */
#define BUG_IF(cond, fmt, ...)                                                 \
	do {                                                                   \
		if (unlikely(cond))                                            \
			panic("%s: " #cond ": " fmt, __func__, ##__VA_ARGS__); \
	} while (0)
/* Debug kernels only: the check costs nothing elsewhere. */
#define ASSERT(cond)                                                                        \
	do {                                                                                \
		if (DEBUG && unlikely(!(cond)))                                             \
			panic("%s:%d: %s: assertion " #cond, __FILE__, __LINE__, __func__); \
	} while (0)
#define WARN_ONCE(cond, fmt, ...)                                           \
	do {                                                                \
		static bool warned_;                                        \
		if (unlikely(cond) && !warned_) {                           \
			warned_ = true;                                     \
			log_warn("%s: " fmt "\n", __func__, ##__VA_ARGS__); \
		}                                                           \
	} while (0)

#endif
