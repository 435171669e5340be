/* SPDX-License-Identifier: MIT */
/*
 * ubsan.c - what code compiled with -fsanitize=undefined calls when it is about
 * to do something undefined: the kernel panics. The names and the layout of the
 * descriptions are the compilers' (libsanitizer's ubsan_handlers.h interface);
 * each description begins with the place in the source, but where noted.
 */
#include "core/printk.h"

#if DEBUG
struct source_place {
	const char *file;
	u32 line, column;
};

struct type_description {
	u16 kind; /* 0: integer */
	u16 info; /* integers: bit 0: signed; the rest: log2 of the width */
	char name[];
};

struct out_of_bounds_data {
	struct source_place place;
	const struct type_description *array, *index;
};

struct shift_data {
	struct source_place place;
	const struct type_description *left, *right;
};

struct type_mismatch_data {
	struct source_place place;
	const struct type_description *type;
	u8 log_alignment, access;
};

static const char *const access_names[] = {
	"load of",	  "store to",	     "reference to",	"member access in",
	"member call on", "constructor of",  "downcast of",	"downcast of",
	"upcast of",	  "virtual base of", "use as non-null", "dynamic operation on",
};

static void __noreturn report(const struct source_place *p, const char *what, u64 a, u64 b)
{
	panic("ubsan: %s:%u:%u: %s (%lx, %lx)", p->file, p->line, p->column, what, a, b);
}

/* A handler whose description begins with the place, and which takes two values. */
#define UBSAN_HANDLER(name, text)                                               \
	void __ubsan_handle_##name(const struct source_place *p, u64 a, u64 b); \
	void __ubsan_handle_##name(const struct source_place *p, u64 a, u64 b)  \
	{                                                                       \
		report(p, text, a, b);                                          \
	}

UBSAN_HANDLER(add_overflow, "addition overflows")
UBSAN_HANDLER(sub_overflow, "subtraction overflows")
UBSAN_HANDLER(mul_overflow, "multiplication overflows")
UBSAN_HANDLER(negate_overflow, "negation overflows")
UBSAN_HANDLER(divrem_overflow, "division by zero, or it overflows")
UBSAN_HANDLER(pointer_overflow, "pointer arithmetic overflows")
UBSAN_HANDLER(load_invalid_value, "value is not one of its type's")
UBSAN_HANDLER(vla_bound_not_positive, "array of no or negative size")
UBSAN_HANDLER(float_cast_overflow, "conversion overflows")
UBSAN_HANDLER(nonnull_arg, "NULL for an argument that must not be")
UBSAN_HANDLER(builtin_unreachable, "unreachable code was reached")
UBSAN_HANDLER(missing_return, "function ends without a value")
UBSAN_HANDLER(invalid_builtin, "builtin called with 0")

void __ubsan_handle_nonnull_return_v1(const void *data, const struct source_place *p);
void __ubsan_handle_nonnull_return_v1(const void *data, const struct source_place *p)
{
	report(p, "NULL returned where it must not be", 0, 0);
}

void __ubsan_handle_out_of_bounds(const struct out_of_bounds_data *d, u64 index);
void __ubsan_handle_out_of_bounds(const struct out_of_bounds_data *d, u64 index)
{
	panic("ubsan: %s:%u:%u: index %ld is outside of %s", d->place.file, d->place.line,
	      d->place.column, index, d->array->name);
}

void __ubsan_handle_shift_out_of_bounds(const struct shift_data *d, u64 left, u64 right);
void __ubsan_handle_shift_out_of_bounds(const struct shift_data *d, u64 left, u64 right)
{
	panic("ubsan: %s:%u:%u: shift of %lx (%s) by %ld", d->place.file, d->place.line,
	      d->place.column, left, d->left->name, right);
}

void __ubsan_handle_type_mismatch_v1(const struct type_mismatch_data *d, u64 address);
void __ubsan_handle_type_mismatch_v1(const struct type_mismatch_data *d, u64 address)
{
	const char *access = d->access < ARRAY_SIZE(access_names) ? access_names[d->access] : "?";

	panic("ubsan: %s:%u:%u: %s %s %lx of type %s", d->place.file, d->place.line,
	      d->place.column, access, address ? "misaligned or too small" : "null pointer",
	      address, d->type->name);
}
#endif
