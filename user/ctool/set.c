/* SPDX-License-Identifier: MIT */
/*
 * set.c - ctool set: write control files of a container.
 *
 * Any file that takes a value can be named; the kernel checks the value, and one
 * that it refuses changes nothing. All keys are looked at before the first is
 * written; what was written before a value is refused stays.
 */
#include "ctool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char wanted[] = "not KEY=VALUE (such as cpu.weight=200)";

/* A file's name and nothing that leads elsewhere. */
static int check(const char *setting)
{
	const char *equals = strchr(setting, '=');

	if (!equals || equals == setting || *setting == '.' ||
	    strcspn(setting, "/=") != (size_t)(equals - setting))
		return fail("%s: %s", setting, wanted);
	return 0;
}

static int apply(int id, const char *setting)
{
	char *key = must(strdup(setting)), *value = strchr(key, '='), *line;
	int err;

	*value++ = '\0';
	line = text("%s\n", value); /* so that there is something to write if it is empty */
	err = control_write(id, key, line);
	if (err == -ENOENT)
		err = fail("no such limit: %s", key);
	else if (err == -EINVAL)
		err = fail("%s: not a value of it: %s", key, value);
	else if (err == -EPERM || (err == -EACCES && !geteuid())) /* else: whose is it? */
		err = fail("%s cannot be set", key);
	else if (err)
		err = fail_errno(err, "%s", key);
	free(line);
	free(key);
	return err;
}

int settings_apply(int id, char *const *settings, size_t count)
{
	int status = 0;

	for (size_t i = 0; i < count && !status; i++)
		status = apply(id, settings[i]);
	return status;
}

int do_set(struct request *r)
{
	int id, status = 0, err;

	for (int i = 1; i < r->operand_count && !status; i++)
		status = check(r->operands[i]);
	if (!status)
		status = container_find_other(r->operands[0], &id);
	if (status)
		return status;
	status = settings_apply(id, r->operands + 1, (size_t)r->operand_count - 1);
	err = keep_settings(id);
	return status || !err ? status : fail_errno(err, "its record");
}
