/* SPDX-License-Identifier: MIT */
/*
 * life.c - ctool pause, resume, stop, kill, wait and rm: the states of a container.
 *
 * Those that take several go on after one that failed; the exit status tells
 * that one did.
 */
#include "ctool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static int for_each(const struct request *r, int (*act)(const struct request *, const char *, int))
{
	int status = 0, id, i;

	for (i = 0; i < r->operand_count; i++) {
		int err = container_find_other(r->operands[i], &id);

		if (!err)
			err = act(r, r->operands[i], id);
		if (err)
			status = err;
	}
	return status;
}

/* For calls that are refused in the wrong state: says which state it is. */
static int refused(const char *word, int id, int err)
{
	enum container_state state;

	if (err == ESRCH)
		return fail("no such container: %s", word);
	if ((err == EINVAL || err == EBUSY || err == EALREADY) && !control_state(id, &state))
		return fail("%s is %s", word, control_state_word(state));
	return fail_errno(err, "%s", word);
}

static int pause_one(const struct request *r, const char *word, int id)
{
	(void)r;
	return cpause(id) ? refused(word, id, errno) : 0;
}

int do_pause(struct request *r)
{
	return for_each(r, pause_one);
}

static int resume_one(const struct request *r, const char *word, int id)
{
	(void)r;
	return cresume(id) ? refused(word, id, errno) : 0;
}

int do_resume(struct request *r)
{
	return for_each(r, resume_one);
}

static int send_signal(int id, int sig)
{
	char number[16];

	snprintf(number, sizeof number, "%d", sig);
	return control_write(id, "kill", number);
}

/*
 * SIGTERM first, to the first program; one that is paused is resumed, or it
 * could not obey. Whatever is left after the time is killed.
 */
static int stop_one(const struct request *r, const char *word, int id)
{
	enum container_state state;
	int status = container_state(word, id, &state);

	if (status || state == CONTAINER_STOPPED)
		return status;
	if (r->seconds && !send_signal(id, SIGTERM)) {
		if (state == CONTAINER_PAUSED)
			cresume(id);
		if (control_wait_stopped(id, (int)r->seconds * 1000) != -ETIMEDOUT) {
			keep_ended(id);
			return 0;
		}
	}
	if (cstop(id) && errno != ESRCH)
		return refused(word, id, errno);
	keep_ended(id);
	return 0;
}

int do_stop(struct request *r)
{
	return for_each(r, stop_one);
}

static int kill_one(const struct request *r, const char *word, int id)
{
	enum container_state state;
	int status = container_state(word, id, &state), err;

	if (status)
		return status;
	if (state != CONTAINER_RUNNING && state != CONTAINER_PAUSED)
		return fail("%s is not running", word);
	err = send_signal(id, r->signal);
	if (err == -ESRCH)
		return fail("%s is not running", word);
	return err ? fail_errno(err, "%s", word) : 0;
}

int do_kill(struct request *r)
{
	return for_each(r, kill_one);
}

/* One that has never run has nothing to wait for. */
int do_wait(struct request *r)
{
	const char *word = r->operands[0];
	struct cinfo info;
	int id, status, err;

	status = container_find_other(word, &id);
	if (status)
		return status;
	do {
		err = control_wait_stopped(id, -1);
	} while (err == -EINTR);
	if (err == -ENODEV || (!err && cinfo(id, &info, sizeof info)))
		return fail("%s was removed", word);
	if (err)
		return fail_errno(err, "%s", word);
	keep_ended(id);
	status = exit_status(info.exit_status);
	printf("%d\n", status);
	return status;
}

static int rm_one(const struct request *r, const char *word, int id)
{
	enum container_state state;
	uint64_t procs;
	int status = container_state(word, id, &state);

	if (status)
		return status;
	/* One made by create_container() is CREATED also while somebody is in it. */
	if (state == CONTAINER_CREATED && !control_number(id, "pids.current", &procs) && procs)
		state = CONTAINER_RUNNING;
	if (!r->force && state != CONTAINER_STOPPED && state != CONTAINER_CREATED)
		return fail("%s is %s (ctool stop %s first, or rm -f)", word,
			    control_state_word(state), word);
	if (destroy_container(id))
		return refused(word, id, errno);
	keep_remove(id);
	record_remove(id);
	return 0;
}

int do_rm(struct request *r)
{
	return for_each(r, rm_one);
}
