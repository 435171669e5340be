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

#define DRAIN_HOOKS 4
static void (*drain_hooks[DRAIN_HOOKS])(void);

void drain_hook_add(void (*fn)(void))
{
	for (unsigned i = 0; i < DRAIN_HOOKS; i++)
		if (!drain_hooks[i]) {
			drain_hooks[i] = fn;
			return;
		}
	panic("drain_hook_add: more than %d", DRAIN_HOOKS);
}

void kernel_drain(void)
{
	for (unsigned i = 0; i < DRAIN_HOOKS && drain_hooks[i]; i++)
		drain_hooks[i]();
	for (unsigned i = 0; i < DRAIN_ROUNDS; i++) {
		rcu_drain();
		work_drain();
		account_drain();
	}
	page_drain(); /* kernel stacks are objects, too: before slab_drain() */
	slab_drain();
	page_drain();
	account_drain();
	rcu_drain();
}
