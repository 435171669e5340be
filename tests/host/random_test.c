/* SPDX-License-Identifier: MIT */
/* random_test.c - kernel/core/random.c: the cipher against RFC 8439, and what must not repeat. */
#include "core/random.c"
#include "tests/host/machine.h"

u64 arch_random_seed(bool *seeded)
{
	*seeded = true;
	return 42;
}

/* RFC 8439, 2.3.2: key 00 01 .. 1f, nonce 00:00:00:09:00:00:00:4a:00:00:00:00, block counter 1. */
static void test_vector(void)
{
	static const u32 expected[16] = {
		0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033,
		0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
		0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2,
	};
	u32 key[8], out[16];

	for (unsigned i = 0; i < 32; i++)
		((u8 *)key)[i] = i;
	chacha20_block(key, 1 | 0x09000000ull << 32, 0x4a000000, out);
	ok(!memcmp(out, expected, sizeof(out)), "the block of RFC 8439, 2.3.2");
}

static void test_stream(void)
{
	u64 seen[512], equal = 0, bits = 0;
	u8 odd[301] = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(seen); i++) {
		seen[i] = random_u64();
		bits += __builtin_popcountl(seen[i]);
		for (unsigned j = 0; j < i; j++)
			equal += seen[j] == seen[i];
		if (i % 100 == 7)
			random_add("x", 1);
	}
	ok(!equal, "no number comes twice");
	ok(bits > 512 * 31 && bits < 512 * 33, "half of the bits are set (%lu of %u)", bits,
	   512 * 64);
	random_bytes(odd, sizeof(odd) - 1);
	ok((odd[299] | odd[298] | odd[297]) && !odd[300], "any length, and not a byte more");
}

static void test_erasure(void)
{
	struct random_state *s = &percpu_this(random_state);
	u64 given = random_u64();
	bool found = false;

	for (unsigned i = 0; i + 8 <= sizeof(s->ready); i++)
		found |= !memcmp(s->ready + i, &given, 8);
	ok(!found, "what was given out is wiped");
}

int main(void)
{
	machine_init();
	test_vector();
	random_init();
	ok(random_ready(), "seeded");
	test_stream();
	test_erasure();
	return tap_end();
}
