/* SPDX-License-Identifier: MIT */
/*
 * random.c - random numbers (core/random.h).
 *
 * The generator is ChaCha20 (RFC 8439, 2.3) with fast key erasure (Bernstein,
 * "Fast-key-erasure random-number generators", 2017): each CPU has a key; a
 * refill makes RANDOM_BLOCKS blocks, whose first 32 bytes become the next key at
 * once, and whose rest is handed out and wiped as it goes. So what was given out
 * cannot be computed from a later state.
 *
 * The pool is one more key, which input is folded into by the same function.
 * Whenever its generation has changed, a CPU makes itself a new key from it at
 * its next refill. Timing noise is only collected per CPU (random_stir) and goes
 * along with that.
 */
#include "core/random.h"

#include "arch/x86/arch.h"
#include "arch/x86/io.h"
#include "core/cpu.h"
#include "core/spinlock.h"
#include "core/time.h"
#include "lib/hash.h"
#include "lib/string.h"

#define CHACHA_ROUNDS 20
#define CHACHA_BLOCK  64
#define CHACHA_KEY    32
#define RANDOM_BLOCKS 4
#define SEED_WORDS    2 /* of the CPU's generator at boot: up to 350 us a word when emulated */
#define RESEED_EVERY  (300 * NSEC_PER_SEC)

struct random_state {
	u32 key[CHACHA_KEY / 4];
	u8 ready[RANDOM_BLOCKS * CHACHA_BLOCK]; /* the last `left` bytes are unused output */
	u32 left;
	u64 generation;
	u64 noise;
};

static PERCPU(struct random_state, random_state);
static spinlock_t pool_lock = SPINLOCK_INIT(RANK_RANDOM); /* P */
static u32 pool_key[CHACHA_KEY / 4];			  /* P */
static u64 pool_generation = 1;				  /* P */
static u64 pool_counter;				  /* P */
static ktime_t pool_stirred;				  /* P */
static bool pool_seeded;

static inline u32 rotate(u32 x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static inline void quarter_round(u32 *x, unsigned a, unsigned b, unsigned c, unsigned d)
{
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 7);
}

/* RFC 8439, 2.3: one block; nonce and counter fill words 12 to 15. */
static void chacha20_block(const u32 *key, u64 counter, u64 nonce, u32 *out)
{
	u32 in[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 }; /* "expand 32-byte k" */

	memcpy(in + 4, key, CHACHA_KEY);
	in[12] = counter;
	in[13] = counter >> 32;
	in[14] = nonce;
	in[15] = nonce >> 32;
	memcpy(out, in, sizeof(in));
	for (unsigned i = 0; i < CHACHA_ROUNDS; i += 2) {
		quarter_round(out, 0, 4, 8, 12);
		quarter_round(out, 1, 5, 9, 13);
		quarter_round(out, 2, 6, 10, 14);
		quarter_round(out, 3, 7, 11, 15);
		quarter_round(out, 0, 5, 10, 15);
		quarter_round(out, 1, 6, 11, 12);
		quarter_round(out, 2, 7, 8, 13);
		quarter_round(out, 3, 4, 9, 14);
	}
	for (unsigned i = 0; i < 16; i++)
		out[i] += in[i];
}

/* Folds input into the pool, 32 bytes at a time: key = ChaCha20(key ^ input). P held. */
static void pool_fold(const void *p, size_t n)
{
	const u8 *in = p;
	u32 block[CHACHA_BLOCK / 4];

	while (n) {
		size_t part = MIN(n, (size_t)CHACHA_KEY);
		for (size_t i = 0; i < part; i++)
			((u8 *)pool_key)[i] ^= in[i];
		chacha20_block(pool_key, ++pool_counter, part, block);
		memcpy(pool_key, block, CHACHA_KEY);
		in += part;
		n -= part;
	}
	pool_generation++;
}

void random_add(const void *p, size_t n)
{
	spin_lock(&pool_lock);
	pool_fold(p, n);
	spin_unlock(&pool_lock);
}

void random_stir(u64 v)
{
	u64 *noise = &percpu_this(random_state).noise;

	*noise = (*noise << 7 | *noise >> 57) ^ v;
}

/* A new key for this CPU from the pool, which its noise goes into. */
static void state_rekey(struct random_state *s)
{
	u32 block[CHACHA_BLOCK / 4];
	u64 noise[3] = { s->noise, rdtsc(), this_cpu()->id };

	spin_lock(&pool_lock);
	if (ktime_get() - pool_stirred > RESEED_EVERY) {
		bool ok;
		noise[2] ^= arch_random_seed(&ok);
		pool_stirred = ktime_get();
	}
	pool_fold(noise, sizeof(noise));
	chacha20_block(pool_key, ++pool_counter, CHACHA_BLOCK, block);
	s->generation = pool_generation;
	spin_unlock(&pool_lock);
	for (unsigned i = 0; i < CHACHA_KEY / 4; i++)
		s->key[i] ^= block[i + CHACHA_KEY / 4];
	memset(block, 0, sizeof(block));
}

static void state_refill(struct random_state *s)
{
	u32 block[CHACHA_BLOCK / 4];

	if (READ_ONCE(pool_generation) != s->generation)
		state_rekey(s);
	for (unsigned i = 0; i < RANDOM_BLOCKS; i++) {
		chacha20_block(s->key, i, 0, block);
		memcpy(s->ready + i * CHACHA_BLOCK, block, CHACHA_BLOCK);
	}
	memset(block, 0, sizeof(block));
	memcpy(s->key, s->ready, CHACHA_KEY);
	memset(s->ready, 0, CHACHA_KEY);
	s->left = sizeof(s->ready) - CHACHA_KEY;
}

void random_bytes(void *p, size_t n)
{
	struct random_state *s = &percpu_this(random_state);
	u8 *out = p;

	while (n) {
		size_t part;

		if (!s->left)
			state_refill(s);
		part = MIN(n, (size_t)s->left);
		u8 *from = s->ready + sizeof(s->ready) - s->left;
		memcpy(out, from, part);
		memset(from, 0, part);
		s->left -= part;
		out += part;
		n -= part;
	}
}

u64 random_u64(void)
{
	u64 v;

	random_bytes(&v, sizeof(v));
	return v;
}

u64 random_function(const u32 key[8], u64 a, u64 b)
{
	u32 block[CHACHA_BLOCK / 4];

	chacha20_block(key, a, b, block);
	return (u64)block[1] << 32 | block[0];
}

bool random_ready(void)
{
	return pool_seeded;
}

void random_init(void)
{
	u64 seed[SEED_WORDS + 3];
	bool all_ok = true;

	for (unsigned i = 0; i < SEED_WORDS; i++) {
		bool ok = false;
		seed[i] = arch_random_seed(&ok);
		all_ok &= ok;
	}
	seed[SEED_WORDS] = rdtsc();
	seed[SEED_WORDS + 1] = realtime_get();
	seed[SEED_WORDS + 2] = ktime_get();
	random_add(seed, sizeof(seed));
	pool_stirred = ktime_get();
	pool_seeded = all_ok;
	hash_seed = random_u64();
}
