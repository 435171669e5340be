/* SPDX-License-Identifier: MIT */
/* leak.c - emptying what only delays frees, so that leak counts are exact (core/leak.h). */
#include "core/leak.h"

#include "core/account.h"
#include "core/rcu.h"
#include "core/work.h"
#include "mm/page.h"
#include "mm/slab.h"

/* Callbacks free what holds references to more, which is freed by further callbacks or work. */
#define DRAIN_ROUNDS 4

void kernel_drain(void)
{
	for (unsigned i = 0; i < DRAIN_ROUNDS; i++) {
		rcu_drain();
		work_drain();
		account_drain();
	}
	slab_drain();
	page_drain();
	account_drain();
	rcu_drain();
}
