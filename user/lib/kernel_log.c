/* SPDX-License-Identifier: MIT */
/*
 * kernel_log.c - scheduler_log_on(), memory_log_on() and their off() (<skerry/container.h>): the
 * control files sched.log and memory.log of each container that the caller sees and may manage.
 */
#include <skerry/container.h>
#include <skerry/control.h>

#include <errno.h>
#include <stdlib.h>

static int set_all(const char *file, const char *value)
{
	int *ids, err, result = 0;
	size_t count;

	err = control_list(&ids, &count);
	if (err) {
		errno = -err;
		return -1;
	}
	for (size_t i = 0; i < count; i++) {
		err = control_write(ids[i], file, value);
		if (err && err != -ENOENT && err != -ENODEV) { /* it is not gone */
			errno = -err;
			result = -1;
		}
	}
	free(ids);
	return result;
}

int scheduler_log_on(void)
{
	return set_all("sched.log", "1");
}

int scheduler_log_off(void)
{
	return set_all("sched.log", "0");
}

int memory_log_on(void)
{
	return set_all("memory.log", "1");
}

int memory_log_off(void)
{
	return set_all("memory.log", "0");
}
