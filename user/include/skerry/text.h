/* SPDX-License-Identifier: MIT */
/*
 * text.h - numbers, tables and JSON as Skerry's tools print and read them.
 */
#ifndef SKERRY_TEXT_H
#define SKERRY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* "16M": a number with K, M, G or T (powers of 1024). -EINVAL, -ERANGE. */
int size_parse(const char *s, uint64_t *out);
/* A whole decimal number from `min` to `max`. -EINVAL, -ERANGE. */
int number_parse(const char *s, uint64_t min, uint64_t max, uint64_t *out);
/* For people: at most three digits and a letter ("1.5K", "16M"), UINT64_MAX as "max". */
#define SIZE_TEXT 16
char *size_format(uint64_t bytes, char text[SIZE_TEXT]);
/* Microseconds of CPU time as minutes and seconds: "0:07". */
char *cputime_format(uint64_t usec, char text[SIZE_TEXT]);

/* "TERM", "SIGTERM" or "15"; -EINVAL. */
int signal_parse(const char *s, int *out);

/* `s` with every byte replaced by '?' that would move a terminal's cursor; for free(). */
char *printable(const char *s);

/*
 * A table in which each column is as wide as its widest cell. `align` has one
 * letter per column, l or r; the cells are given row by row, the titles first.
 *
 *	struct table t;
 *	table_init(&t, "rl");
 *	table_add(&t, "%s", "ID"); table_add(&t, "%s", "NAME");
 *	table_add(&t, "%d", 1);    table_add(&t, "%s", "web");
 *	table_print(&t, stdout);
 *
 * What a cell holds is made printable. Out of memory ends the program.
 */
struct table {
	const char *align;
	char **cells;
	size_t count, room;
};

void table_init(struct table *t, const char *align);
__attribute__((format(printf, 2, 3))) void table_add(struct table *t, const char *format, ...);
/* Prints the table and forgets its cells. */
void table_print(struct table *t, FILE *out);

/*
 * A JSON text, written as it is made. `key` is NULL inside an array and at the
 * top. Strings are escaped; bytes that are not UTF-8 become U+FFFD.
 */
struct json {
	FILE *out;
	bool comma; /* something stands before, on this level */
};

void json_init(struct json *j, FILE *out);
void json_open(struct json *j, const char *key, char bracket);	  /* '{' or '[' */
void json_close(struct json *j, char bracket);			  /* '}' or ']' */
void json_string(struct json *j, const char *key, const char *s); /* NULL: null */
void json_number(struct json *j, const char *key, uint64_t n);
void json_signed(struct json *j, const char *key, int64_t n);
void json_limit(struct json *j, const char *key, uint64_t n); /* UINT64_MAX: null */
void json_percent(struct json *j, const char *key, double percent);

#endif
