/* SPDX-License-Identifier: MIT */
/*
 * scheduler_log.c - scheduler_log_on() and scheduler_log_off() (<skerry/container.h>): the
 * control file sched.log of each container that the caller sees and may manage.
 */
#include <skerry/container.h>
#include <skerry/control.h>

#include <errno.h>
#include <stdlib.h>

static int scheduler_log(const char *value)
{
	int *ids, err, result = 0;
	size_t count;

	err = control_list(&ids, &count);
	if (err) {
		errno = -err;
		return -1;
	}
	for (size_t i = 0; i < count; i++) {
		err = control_write(ids[i], "sched.log", value);
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
	return scheduler_log("1");
}

int scheduler_log_off(void)
{
	return scheduler_log("0");
}
