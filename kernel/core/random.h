/* SPDX-License-Identifier: MIT */
/*
 * random.h - the kernel's random numbers: ChaCha20 (RFC 8439) keyed from the
 * pool, with fast key erasure; the pool is small and
 * is stirred by RDRAND/RDSEED, the TSC at interrupts and virtio-rng. Per-CPU state.
 */
#ifndef CORE_RANDOM_H
#define CORE_RANDOM_H

#include "lib/types.h"

void random_bytes(void *p, size_t n);
u64 random_u64(void);
/* The same for the same arguments, and not to be told from random without the key. */
u64 random_function(const u32 key[8], u64 a, u64 b);
void random_add(const void *p, size_t n); /* entropy from a device or a user */
void random_stir(u64 v);		  /* cheap, any context: say, the TSC at an interrupt */
bool random_ready(void);		  /* seeded from hardware */
void random_init(void);

#endif
