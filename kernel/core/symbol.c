/* SPDX-License-Identifier: MIT */
/*
 * symbol.c - names for code addresses, and backtraces.
 *
 * tools/ksyms makes the table between the first and the second link; in the
 * first link it is absent, so its symbols are weak. Addresses are sorted.
 *
 * A backtrace follows the frame pointers (the kernel is compiled with them):
 * each points to the saved frame pointer, above which the return address is.
 */
#include "core/cpu.h"
#include "core/printk.h"
#include "lib/string.h"

#define WEAK __attribute__((weak))
extern const u64 ksyms_count WEAK;
extern const u64 ksyms_address[] WEAK;
extern const u32 ksyms_name[] WEAK;
extern const char ksyms_text[] WEAK;

#define BACKTRACE_MAX 32
#define KERNEL_HALF   0xffff800000000000ull /* SDM vol. 1, 3.3.7.1: canonical upper half */

const char *symbol_lookup(u64 address, u64 *offset)
{
	u64 low = 0, high;

	if (!&ksyms_count || !ksyms_count || address < ksyms_address[0])
		return NULL;
	for (high = ksyms_count; high - low > 1;) {
		u64 middle = (low + high) / 2;
		if (ksyms_address[middle] <= address)
			low = middle;
		else
			high = middle;
	}
	/* A program image has no function of 1 MiB: beyond the last one there is no code. */
	if (address - ksyms_address[low] > 1 << 20)
		return NULL;
	*offset = address - ksyms_address[low];
	return ksyms_text + ksyms_name[low];
}

/* Frames lie in the kernel's half, aligned; an interrupted stack may lie anywhere in it. */
static bool frame_plausible(const u64 *frame)
{
	return (u64)frame >= KERNEL_HALF && !((u64)frame & 7) && (u64)frame < -4096ull;
}

void backtrace_print(const void *frame_pointer)
{
	const u64 *frame = frame_pointer;

	for (unsigned i = 0; i < BACKTRACE_MAX && frame_plausible(frame); i++) {
		u64 address = frame[1];

		if (!address)
			break;
		/* A return address is behind the call, which may be its function's last word. */
		printk(LOG_EMERG, "  %pS\n", (void *)(address - 1));
		if ((u64)frame == frame[0])
			break;
		frame = (const u64 *)frame[0];
	}
}
