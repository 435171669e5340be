/* SPDX-License-Identifier: MIT */
/*
 * feed.c - the child that sends the guest its environment, the files of --add,
 * what to copy out, and last the command. It may wait for the guest as long as
 * it likes, since its parent carries on with the poll loop.
 */
#include "vm.h"
#include "tree.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int send_files(const struct options *o, struct link *l)
{
	char where[PATH_MAX];

	for (int i = 0; i < o->nadd; i++) {
		int err = tree_send(l, o->add[i].host, o->add[i].guest, where);

		if (err == -EPIPE)
			return err; /* the guest has gone: our parent says why */
		if (err) {
			complain("--add: %s: %s", where, strerror(-err));
			return err;
		}
	}
	return 0;
}

/* One file on the host for both needs one pipe in the guest, or lines change places. */
static bool same_output(void)
{
	struct stat out, err;

	return !fstat(1, &out) && !fstat(2, &err) && out.st_dev == err.st_dev &&
	       out.st_ino == err.st_ino && out.st_rdev == err.st_rdev;
}

static int feed(const struct options *o, struct link *l)
{
	struct link_word how = { 0 };
	int err = 0;

	for (int i = 0; !err && i < o->nenv; i++)
		err = link_send(l, LINK_ENV, o->env[i], strlen(o->env[i]));
	if (!err)
		err = send_files(o, l);
	for (int i = 0; !err && i < o->nget; i++)
		err = link_send(l, LINK_GET, o->get[i].guest, strlen(o->get[i].guest));
	if (err)
		return err;
	if (!o->command)
		return link_send(l, LINK_SHELL, o->shell_tty, strlen(o->shell_tty));
	if (same_output() && !o->verbose)
		how.value |= LINK_RUN_MERGE;
	return link_send2(l, LINK_RUN, &how, sizeof(how), o->command, strlen(o->command));
}

pid_t feed_start(const struct options *o, int ctl)
{
	static struct link l;
	pid_t pid = fork();

	if (pid)
		return pid < 0 ? -errno : pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	link_init(&l, ctl);
	_exit(feed(o, &l) ? VM_FAILED : 0);
}
