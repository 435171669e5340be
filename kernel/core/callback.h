/* SPDX-License-Identifier: MIT */
/* callback.h - work that a task does before it returns to user mode (task_callback_add). */
#ifndef CORE_CALLBACK_H
#define CORE_CALLBACK_H

/* With no lock held (say, a final put). */
struct task_callback {
	struct task_callback *next;
	void (*fn)(struct task_callback *cb);
};

#endif
