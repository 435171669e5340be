/* SPDX-License-Identifier: MIT */
/* string.c - strings, numbers, lines of input, and a printf with a descriptor. */
#include <stdarg.h>

#include "lib.h"

char *strcpy(char *to, const char *from)
{
	char *start = to;

	while ((*to++ = *from++))
		;
	return start;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}

uint strlen(const char *s)
{
	uint n = 0;

	while (s[n])
		n++;
	return n;
}

char *strchr(const char *s, char c)
{
	for (; *s; s++)
		if (*s == c)
			return (char *)s;
	return (char *)0;
}

void *memset(void *p, int c, uint n)
{
	char *to = p;

	while (n--)
		*to++ = (char)c;
	return p;
}

void *memmove(void *to, const void *from, int n)
{
	char *t = to;
	const char *f = from;

	if (f < t)
		while (n-- > 0)
			t[n] = f[n];
	else
		while (n-- > 0)
			*t++ = *f++;
	return to;
}

void *memcpy(void *to, const void *from, uint n)
{
	return memmove(to, from, (int)n);
}

int memcmp(const void *a, const void *b, uint n)
{
	const unsigned char *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

int atoi(const char *s)
{
	int n = 0;

	while (*s >= '0' && *s <= '9')
		n = n * 10 + (*s++ - '0');
	return n;
}

/* A line with its end, at most max - 1 bytes; "" at the end of the input. */
char *gets(char *buf, int max)
{
	int n = 0;
	char c;

	while (n < max - 1 && read(0, &c, 1) == 1) {
		buf[n++] = c;
		if (c == '\n' || c == '\r')
			break;
	}
	if (max > 0)
		buf[n] = '\0';
	return buf;
}

/* --- printf: %d %i %u %x %p %c %s %%, l or ll before d, u, x, and %l alone, an unsigned long ---
 */

struct out {
	int fd;
	uint used;
	char text[128];
};

static void flush(struct out *o)
{
	uint done = 0;
	int n = 1;

	while (done < o->used && n > 0) {
		n = write(o->fd, o->text + done, (int)(o->used - done));
		done += n > 0 ? (uint)n : 0;
	}
	o->used = 0;
}

static void put(struct out *o, char c)
{
	if (o->used == sizeof o->text)
		flush(o);
	o->text[o->used++] = c;
}

static void put_number(struct out *o, unsigned long n, uint base)
{
	char digits[24];
	int i = 0;

	do {
		digits[i++] = "0123456789abcdef"[n % base];
	} while (n /= base);
	while (i > 0)
		put(o, digits[--i]);
}

static void put_signed(struct out *o, long n)
{
	if (n < 0)
		put(o, '-');
	put_number(o, n < 0 ? -(unsigned long)n : (unsigned long)n, 10);
}

static void put_string(struct out *o, const char *s)
{
	for (s = s ? s : "(null)"; *s; s++)
		put(o, *s);
}

static void format_all(struct out *o, const char *f, va_list args)
{
	for (; *f; f++) {
		int is_long = 0;

		if (*f != '%') {
			put(o, *f);
			continue;
		}
		while (*++f == 'l')
			is_long = 1;
		switch (*f) {
		case 'd':
		case 'i':
			put_signed(o, is_long ? va_arg(args, long) : va_arg(args, int));
			break;
		case 'u':
			put_number(o, is_long ? va_arg(args, unsigned long) : va_arg(args, uint),
				   10);
			break;
		case 'x':
		case 'X':
			put_number(o, is_long ? va_arg(args, unsigned long) : va_arg(args, uint),
				   16);
			break;
		case 'p':
			put_string(o, "0x");
			put_number(o, va_arg(args, unsigned long), 16);
			break;
		case 's':
			put_string(o, va_arg(args, const char *));
			break;
		case 'c':
			put(o, (char)va_arg(args, int));
			break;
		case '\0':
			if (is_long)
				put_number(o, va_arg(args, unsigned long), 10);
			return;
		case '%':
			put(o, '%');
			break;
		default: /* what it does not know is shown */
			if (is_long) {
				put_number(o, va_arg(args, unsigned long), 10);
				f--;
				break;
			}
			put(o, '%');
			put(o, *f);
		}
	}
}

void xv6_fprintf(int fd, const char *format, ...)
{
	struct out o = { .fd = fd };
	va_list args;

	va_start(args, format);
	format_all(&o, format, args);
	va_end(args);
	flush(&o);
}

void xv6_printf(const char *format, ...)
{
	struct out o = { .fd = 1 };
	va_list args;

	va_start(args, format);
	format_all(&o, format, args);
	va_end(args);
	flush(&o);
}
