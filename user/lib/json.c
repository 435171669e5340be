/* SPDX-License-Identifier: MIT */
/*
 * json.c - write JSON (RFC 8259).
 *
 * Output only, so the state is one bit: whether a comma is due. Numbers are
 * written as integers, and percentages with one digit after the point, so that
 * the output does not depend on the locale's or the machine's floating point.
 */
#include <skerry/text.h>

#include <string.h>

void json_init(struct json *j, FILE *out)
{
	j->out = out;
	j->comma = false;
}

/*
 * How many bytes of `s` are one well-formed UTF-8 sequence (RFC 3629, section 4);
 * 0 if none. The range of the second byte keeps out overlong forms, surrogates and
 * what lies above U+10FFFF.
 */
static int utf8_length(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	int n, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : low;
	high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : high;
	if (s[1] < low || s[1] > high)
		return 0;
	for (i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static void write_string(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	int n;

	fputc('"', out);
	for (; *s; s += n ? n : 1) {
		n = utf8_length(s);
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", out);
		else if (*s == '\t')
			fputs("\\t", out);
		else if (*s < ' ' || *s == 0x7f)
			fprintf(out, "\\u%04x", *s);
		else if (n)
			fwrite(s, 1, (size_t)n, out);
		else
			fputs("\\ufffd", out);
	}
	fputc('"', out);
}

/* The comma before an item and, in an object, its key. */
static void begin_item(struct json *j, const char *key)
{
	if (j->comma)
		fputc(',', j->out);
	if (key) {
		write_string(j->out, key);
		fputc(':', j->out);
	}
	j->comma = true;
}

void json_open(struct json *j, const char *key, char bracket)
{
	begin_item(j, key);
	fputc(bracket, j->out);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	fputc(bracket, j->out);
	j->comma = true;
}

void json_string(struct json *j, const char *key, const char *s)
{
	begin_item(j, key);
	if (s)
		write_string(j->out, s);
	else
		fputs("null", j->out);
}

void json_number(struct json *j, const char *key, uint64_t n)
{
	begin_item(j, key);
	fprintf(j->out, "%llu", (unsigned long long)n);
}

void json_signed(struct json *j, const char *key, int64_t n)
{
	begin_item(j, key);
	fprintf(j->out, "%lld", (long long)n);
}

void json_limit(struct json *j, const char *key, uint64_t n)
{
	if (n == UINT64_MAX)
		json_string(j, key, NULL);
	else
		json_number(j, key, n);
}

void json_percent(struct json *j, const char *key, double percent)
{
	uint64_t tenths = percent > 0 ? (uint64_t)(percent * 10 + 0.5) : 0;

	begin_item(j, key);
	fprintf(j->out, "%llu.%llu", (unsigned long long)(tenths / 10),
		(unsigned long long)(tenths % 10));
}
