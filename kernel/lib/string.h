/* SPDX-License-Identifier: MIT */
/*
 * string.h - the C string functions the kernel uses, and formatted printing
 * into memory. memcpy and memset are called by the compiler as well; for whole
 * pages use page_copy()/page_clear() (arch/x86/copy.h), chosen at boot.
 */
#ifndef LIB_STRING_H
#define LIB_STRING_H

#include "lib/types.h"

void *memcpy(void *d, const void *s, size_t n);
void *memmove(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *needle);
size_t strlcpy(char *d, const char *s, size_t size); /* always terminates; returns strlen(s) */

/*
 * %d %i %u %x %X %o %c %s %p %% with flags -0+# space, width, precision, * and
 * the lengths hh h l ll z. %pS prints a code address as symbol+offset.
 * Returns the length that the whole text has, as C's snprintf does.
 */
int snprintf(char *d, size_t size, const char *fmt, ...) __printf(3, 4);
int vsnprintf(char *d, size_t size, const char *fmt, va_list ap);
/* What %pS asks: the function that holds a code address and the offset in it, or NULL (in core). */
const char *symbol_lookup(u64 address, u64 *offset);

/*
 * Reads an unsigned number in base 10 (or 16 after 0x, 8 after 0) from all of
 * s, allowing one final newline: 0, -EINVAL (empty, junk) or -ERANGE.
 */
int parse_u64(const char *s, u64 *out);
/* As parse_u64, with a suffix K, M or G (powers of 1024). */
int parse_size(const char *s, u64 *out);

#endif
