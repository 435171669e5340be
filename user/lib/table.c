/* SPDX-License-Identifier: MIT */
/*
 * table.c - text in aligned columns.
 *
 * The cells stand in one growing array, row after row; widths are known when the
 * last one has come. Widths count bytes. Two blanks separate columns; a last column
 * that is aligned left is not padded. Names come from inside containers: a cell never
 * holds a control character, so no container drives the terminal of who looks at it.
 */
#include <skerry/text.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
	if (!memory) {
		fputs("out of memory\n", stderr);
		exit(125);
	}
	return memory;
}

char *printable(const char *s)
{
	char *copy = must(strdup(s)), *p;

	for (p = copy; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return copy;
}

void table_init(struct table *t, const char *align)
{
	memset(t, 0, sizeof *t);
	t->align = align;
}

void table_add(struct table *t, const char *format, ...)
{
	va_list args;
	char *text;
	int n;

	if (t->count == t->room) {
		t->room = t->room ? t->room * 2 : 64;
		t->cells = must(realloc(t->cells, t->room * sizeof *t->cells));
	}
	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	must(n < 0 ? NULL : text);
	t->cells[t->count++] = printable(text);
	free(text);
}

static void print_cell(const char *text, size_t width, bool right, bool last, FILE *out)
{
	int w = (int)width;

	if (right)
		fprintf(out, "%*s", w, text);
	else
		fprintf(out, "%-*s", last ? 0 : w, text);
	fputs(last ? "\n" : "  ", out);
}

void table_print(struct table *t, FILE *out)
{
	size_t columns = strlen(t->align), i;
	size_t *width = must(calloc(columns, sizeof *width));

	for (i = 0; i < t->count; i++)
		if (strlen(t->cells[i]) > width[i % columns])
			width[i % columns] = strlen(t->cells[i]);
	for (i = 0; i < t->count; i++) {
		size_t c = i % columns;

		print_cell(t->cells[i], width[c], t->align[c] == 'r', c + 1 == columns, out);
		free(t->cells[i]);
	}
	free(width);
	free(t->cells);
	table_init(t, t->align);
}
