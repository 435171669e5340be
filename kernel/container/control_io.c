/* SPDX-License-Identifier: MIT */
/*
 * control_io.c - the control files io.stat and io.max, a line for each device, as in cgroup v2:
 *
 *	254:0 rbytes=0 wbytes=4096 rios=0 wios=1 dbytes=0 dios=0
 *	254:0 rbps=max wbps=1048576 riops=max wiops=100
 *
 * A write to io.max is one such line; what it does not name stays. dev/block_account.c holds who
 * goes beyond.
 */
#include "container/control.h"
#include "core/errno.h"
#include "dev/block.h"
#include "lib/string.h"

typedef unsigned long long ull;

static const char *const limit_name[IO_LIMITS] = { "rbps", "wbps", "riops", "wiops" };

static struct account_io *io_of(void *object, const struct block_device *d)
{
	return &((struct container *)object)->owner.account->io[d->number];
}

static void print_device(const struct block_device *d, struct text *t)
{
	text_printf(t, "%u:%u", BLOCK_MAJOR, d->number);
}

int show_io_stat(void *object, struct text *t)
{
	static const struct {
		const char *bytes, *ops;
		enum block_op op;
	} part[] = { { "rbytes", "rios", BLOCK_READ },
		     { "wbytes", "wios", BLOCK_WRITE },
		     { "dbytes", "dios", BLOCK_DISCARD } };
	struct block_device *d;

	for (unsigned i = 0; (d = block_device_at(i)); i++) {
		const struct account_io *io = io_of(object, d);

		print_device(d, t);
		for (size_t k = 0; k < ARRAY_SIZE(part); k++)
			text_printf(t, " %s=%llu %s=%llu", part[k].bytes,
				    (ull)READ_ONCE(io->bytes[part[k].op]), part[k].ops,
				    (ull)READ_ONCE(io->ops[part[k].op]));
		text_append(t, "\n", 1);
	}
	return 0;
}

int show_io_max(void *object, struct text *t)
{
	struct block_device *d;

	for (unsigned i = 0; (d = block_device_at(i)); i++) {
		const struct account_io *io = io_of(object, d);
		bool any = false;

		for (unsigned k = 0; k < IO_LIMITS; k++)
			any |= READ_ONCE(io->max[k]) != 0;
		if (!any)
			continue;
		print_device(d, t);
		for (unsigned k = 0; k < IO_LIMITS; k++) {
			u64 max = READ_ONCE(io->max[k]);

			if (max)
				text_printf(t, " %s=%llu", limit_name[k], (ull)max);
			else
				text_printf(t, " %s=max", limit_name[k]);
		}
		text_append(t, "\n", 1);
	}
	return 0;
}

/* Cuts the next word off *s; NULL: there is none. */
static char *next_word(char **s)
{
	char *word;

	while (**s == ' ')
		++*s;
	word = *s;
	while (**s && **s != ' ')
		++*s;
	if (**s)
		*(*s)++ = 0;
	return *word ? word : NULL;
}

static struct block_device *parse_device(char *word)
{
	char *colon = word ? strchr(word, ':') : NULL;
	u64 major, minor;

	if (!colon)
		return NULL;
	*colon = 0;
	if (parse_u64(word, &major) || parse_u64(colon + 1, &minor) || major != BLOCK_MAJOR ||
	    minor > UINT32_MAX)
		return NULL;
	return block_device_at(minor);
}

/* "wbps=1M": a rate, or "max", which is 0 here. */
static int parse_rate(char *word, u64 max[IO_LIMITS])
{
	char *value = strchr(word, '=');

	if (!value)
		return -EINVAL;
	*value++ = 0;
	for (unsigned k = 0; k < IO_LIMITS; k++) {
		bool bytes = k == IO_RBPS || k == IO_WBPS;
		u64 rate = 0;

		if (strcmp(word, limit_name[k]))
			continue;
		if (strcmp(value, "max") &&
		    ((bytes ? parse_size(value, &rate) : parse_u64(value, &rate)) || !rate))
			return -EINVAL;
		max[k] = rate;
		return 0;
	}
	return -EINVAL;
}

/* -ENODEV: no such device. */
int store_io_max(void *object, char *s, size_t n)
{
	struct block_device *d;
	char *word = next_word(&s);
	u64 max[IO_LIMITS];

	if (!word || !strchr(word, ':'))
		return -EINVAL;
	d = parse_device(word);
	if (!d)
		return -ENODEV;
	for (unsigned k = 0; k < IO_LIMITS; k++)
		max[k] = READ_ONCE(io_of(object, d)->max[k]);
	while ((word = next_word(&s)))
		if (parse_rate(word, max))
			return -EINVAL;
	block_limit_set(d, ((struct container *)object)->owner.account, max);
	return 0;
}
