/* SPDX-License-Identifier: MIT */
/*
 * print.c - formatted printing into memory, and reading numbers back
 * (lib/string.h; the format is that of ISO C 7.21.6.1 without floating point).
 *
 * A sink counts every character of the whole text and stores those that fit.
 */
#include "core/errno.h"
#include "lib/string.h"

struct sink {
	char *at, *end; /* end: one past the last place for text, before the NUL */
	size_t length;
};

struct spec {
	bool left, zero, plus, space, alternate, upper, is_signed;
	int width, precision; /* precision -1: none given */
	unsigned base;
};

static inline void put(struct sink *s, char c)
{
	if (s->at < s->end)
		*s->at++ = c;
	s->length++;
}

static void put_many(struct sink *s, char c, int n)
{
	while (n-- > 0)
		put(s, c);
}

static void put_text(struct sink *s, const struct spec *f, const char *text, size_t n)
{
	int padding = f->width - (int)n;

	if (!f->left)
		put_many(s, ' ', padding);
	for (size_t i = 0; i < n; i++)
		put(s, text[i]);
	if (f->left)
		put_many(s, ' ', padding);
}

static void put_string(struct sink *s, const struct spec *f, const char *text)
{
	if (!text)
		text = "(null)";
	put_text(s, f, text, f->precision >= 0 ? strnlen(text, f->precision) : strlen(text));
}

/* What stands before the digits: a sign, 0x, or nothing. */
static const char *number_prefix(const struct spec *f, bool negative, bool zero)
{
	if (negative)
		return "-";
	if (f->is_signed && f->plus)
		return "+";
	if (f->is_signed && f->space)
		return " ";
	if (f->alternate && f->base == 16 && !zero)
		return f->upper ? "0X" : "0x";
	return "";
}

static void put_number(struct sink *s, const struct spec *f, u64 value, bool negative)
{
	const char *digits = f->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	const char *prefix = number_prefix(f, negative, !value);
	char text[24];
	int n = 0, zeros, padding;

	for (u64 v = value; v; v /= f->base)
		text[n++] = digits[v % f->base];
	zeros = MAX(f->precision < 0 ? 1 : f->precision, 0) - n;
	if (f->alternate && f->base == 8 && zeros <= 0 && (value || f->precision == 0))
		zeros = 1;
	zeros = MAX(zeros, 0);
	padding = f->width - n - zeros - (int)strlen(prefix);
	if (f->zero && !f->left && f->precision < 0 && padding > 0) {
		zeros += padding;
		padding = 0;
	}
	if (!f->left)
		put_many(s, ' ', padding);
	while (*prefix)
		put(s, *prefix++);
	put_many(s, '0', zeros);
	while (n)
		put(s, text[--n]);
	if (f->left)
		put_many(s, ' ', padding);
}

static void put_pointer(struct sink *s, const struct spec *f, u64 address, bool symbolic)
{
	struct spec hex = {
		.base = 16, .alternate = true, .precision = -1, .width = f->width, .left = f->left
	};
	u64 offset;
	const char *name = symbolic ? symbol_lookup(address, &offset) : NULL;

	if (!name) {
		put_number(s, &hex, address, false);
		return;
	}
	hex.width = 0;
	while (*name)
		put(s, *name++);
	put(s, '+');
	put_number(s, &hex, offset, false);
}

static int parse_decimal(const char **fmt)
{
	int n = 0;

	while (**fmt >= '0' && **fmt <= '9' && n < 100000)
		n = n * 10 + *(*fmt)++ - '0';
	return n;
}

static void parse_flags(const char **fmt, struct spec *f)
{
	for (;; (*fmt)++) {
		switch (**fmt) {
		case '-':
			f->left = true;
			break;
		case '0':
			f->zero = true;
			break;
		case '+':
			f->plus = true;
			break;
		case ' ':
			f->space = true;
			break;
		case '#':
			f->alternate = true;
			break;
		default:
			return;
		}
	}
}

/* Bytes of an integer argument after the length modifier; pointers and size_t have 8. */
static unsigned parse_length(const char **fmt)
{
	unsigned size = sizeof(int);

	for (;; (*fmt)++) {
		if (**fmt == 'h')
			size /= 2;
		else if (**fmt == 'l' || **fmt == 'z')
			size = sizeof(long);
		else
			return size;
	}
}

/* The argument with its sign taken off. */
static u64 integer_argument(u64 raw, unsigned size, bool is_signed, bool *negative)
{
	unsigned unused = 64 - 8 * size;
	s64 value = (s64)(raw << unused) >> unused;

	*negative = is_signed && value < 0;
	if (*negative)
		return -(u64)value;
	return raw << unused >> unused;
}

static void put_integer(struct sink *s, struct spec *f, char conversion, unsigned size, u64 raw)
{
	bool negative;

	f->is_signed = conversion == 'd' || conversion == 'i';
	f->upper = conversion == 'X';
	f->base = conversion == 'o' ? 8 : conversion == 'x' || conversion == 'X' ? 16 : 10;
	raw = integer_argument(raw, size, f->is_signed, &negative);
	put_number(s, f, raw, negative);
}

/* va_list by pointer: what one conversion consumed stays consumed. */
struct arguments {
	va_list list;
};

static void parse_width(const char **fmt, struct spec *f, struct arguments *a)
{
	if (**fmt == '*') {
		(*fmt)++;
		f->width = va_arg(a->list, int);
		if (f->width < 0) {
			f->left = true;
			f->width = -f->width;
		}
	} else {
		f->width = parse_decimal(fmt);
	}
	if (**fmt != '.')
		return;
	(*fmt)++;
	if (**fmt == '*') {
		(*fmt)++;
		f->precision = va_arg(a->list, int);
	} else {
		f->precision = parse_decimal(fmt);
	}
}

static const char *put_conversion(struct sink *s, const char *fmt, struct arguments *a)
{
	struct spec f = { .precision = -1 };
	unsigned size;
	char c;

	parse_flags(&fmt, &f);
	parse_width(&fmt, &f, a);
	size = parse_length(&fmt);
	switch (*fmt) {
	case 'd':
	case 'i':
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		put_integer(s, &f, *fmt, size,
			    size == sizeof(long) ? va_arg(a->list, u64) : va_arg(a->list, u32));
		break;
	case 'c':
		c = va_arg(a->list, int);
		put_text(s, &f, &c, 1);
		break;
	case 's':
		put_string(s, &f, va_arg(a->list, const char *));
		break;
	case 'p':
		put_pointer(s, &f, va_arg(a->list, u64), fmt[1] == 'S');
		fmt += fmt[1] == 'S';
		break;
	case '\0':
		return fmt;
	default: /* %% and anything unknown stand for themselves */
		put(s, *fmt);
	}
	return fmt + 1;
}

int vsnprintf(char *d, size_t size, const char *fmt, va_list ap)
{
	struct sink s = { .at = d, .end = size ? d + size - 1 : d };
	struct arguments a;

	va_copy(a.list, ap);
	while (*fmt) {
		if (*fmt == '%')
			fmt = put_conversion(&s, fmt + 1, &a);
		else
			put(&s, *fmt++);
	}
	va_end(a.list);
	if (size)
		*s.at = '\0';
	return s.length;
}

int snprintf(char *d, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(d, size, fmt, ap);
	va_end(ap);
	return n;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* Reads digits; *end is what follows them. -EINVAL: none; -ERANGE: too large. */
static int parse_digits(const char *s, const char **end, u64 *out)
{
	unsigned base = 10;
	u64 value = 0;
	const char *first;

	if (s[0] == '0' && (s[1] | 0x20) == 'x') {
		base = 16;
		s += 2;
	} else if (s[0] == '0') {
		base = 8;
	}
	for (first = s; digit_value(*s) < (int)base; s++)
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit_value(*s), &value))
			return -ERANGE;
	if (s == first)
		return -EINVAL;
	*end = s;
	*out = value;
	return 0;
}

static bool is_end(const char *s)
{
	return !*s || (*s == '\n' && !s[1]);
}

int parse_u64(const char *s, u64 *out)
{
	u64 value;
	int err = parse_digits(s, &s, &value);

	if (err)
		return err;
	if (!is_end(s))
		return -EINVAL;
	*out = value;
	return 0;
}

int parse_size(const char *s, u64 *out)
{
	static const char suffixes[] = "kmg";
	u64 value;
	const char *suffix;
	int err = parse_digits(s, &s, &value);

	if (err)
		return err;
	suffix = *s ? strchr(suffixes, *s | 0x20) : NULL;
	if (suffix) {
		unsigned shift = 10 * (suffix - suffixes + 1);
		if (value > UINT64_MAX >> shift)
			return -ERANGE;
		value <<= shift;
		s++;
	}
	if (!is_end(s))
		return -EINVAL;
	*out = value;
	return 0;
}
