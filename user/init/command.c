/* SPDX-License-Identifier: MIT */
/*
 * command.c - runs the command of ./run -c and carries its bytes.
 *
 * The command's stdin, stdout and stderr are pipes; a pump each joins them to
 * their ports. When the shell has ended, everything else is killed (the machine
 * powers off next), what is still in the pipes is drained, the files of --get
 * are sent, and EXIT tells the host how many bytes to expect. The machine may
 * power off only after BYE, since what a port still holds would be lost with it.
 */
#include "init.h"
#include "pump.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARG_MAX_ONE (128 * 1024)  /* longest single argument, with its NUL: execve(2) */
#define PIPE_MOST   (1024 * 1024) /* that a pipe can hold: pipe(7), pipe-max-size */
#define PORT_CHUNK  32768

struct command {
	struct init *init;
	struct pump in, out, err;
	uint64_t stdin_end; /* bytes of stdin in all, once known */
	pid_t pid;
	bool running, stdin_told;
	int status;
};

/* The three pipes; [0] is read, [1] written. */
struct pipes {
	int in[2], out[2], err[2];
};

static int pipes_open(struct pipes *p, bool merge)
{
	if (pipe2(p->in, O_CLOEXEC) || pipe2(p->out, O_CLOEXEC))
		return -errno;
	p->err[0] = -1;
	p->err[1] = p->out[1];
	if (!merge && pipe2(p->err, O_CLOEXEC))
		return -errno;
	fcntl(p->in[1], F_SETFL, O_NONBLOCK);
	fcntl(p->out[0], F_SETFL, O_NONBLOCK);
	fcntl(p->err[0], F_SETFL, O_NONBLOCK);
	return 0;
}

static void __attribute__((noreturn))
child(const struct init *in, const struct pipes *p, char *command)
{
	dup2(p->in[0], 0);
	dup2(p->out[1], 1);
	dup2(p->err[1], 2);
	setsid();
	child_prepare(in);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	dprintf(2, "sh: %s\n", strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* The command with the stand-in functions before it, if both fit. */
static char *command_text(const struct init *in, const char *text, size_t len)
{
	size_t before = in->stand_in ? strlen(in->stand_in) : 0;
	char *s = malloc(before + len + 1);

	if (!s)
		return NULL;
	if (before + len >= ARG_MAX_ONE)
		before = 0;
	memcpy(s, in->stand_in ? in->stand_in : "", before);
	memcpy(s + before, text, len);
	s[before + len] = 0;
	return s;
}

static int start(struct command *c, const struct link_message *m)
{
	bool merge = link_word(m) & LINK_RUN_MERGE;
	size_t skip = sizeof(struct link_word);
	struct pipes p;
	char *text;
	int err;

	if (m->len < skip)
		return -EBADMSG;
	text = command_text(c->init, m->data + skip, m->len - skip);
	err = text ? pipes_open(&p, merge) : -ENOMEM;
	if (err)
		return err;
	c->pid = fork();
	if (c->pid == 0)
		child(c->init, &p, text);
	if (c->pid < 0)
		return -errno;
	c->running = true;
	free(text);
	close(p.in[0]);
	close(p.out[1]);
	if (!merge)
		close(p.err[1]);
	pump_init(&c->in, port_open(LINK_STDIN, O_RDONLY | O_NONBLOCK), p.in[1], PORT_CHUNK);
	pump_init(&c->out, p.out[0], port_open(LINK_STDOUT, O_WRONLY | O_NONBLOCK), PORT_CHUNK);
	pump_init(&c->err, p.err[0], port_open(LINK_STDERR, O_WRONLY | O_NONBLOCK), PORT_CHUNK);
	return 0;
}

/* The host's reader has gone: so has the command's, who gets SIGPIPE or EPIPE. */
static void close_source(struct pump *p, int pipe)
{
	if (pipe >= 0)
		close(pipe);
	p->from = p->to = -1;
	p->have = p->off = 0;
}

static void hear(struct command *c)
{
	struct link_message m;
	int got;

	while ((got = link_receive(&c->init->link, &m)) > 0) {
		if (m.type == LINK_STDIN_END)
			c->stdin_end = link_word(&m);
		else if (m.type == LINK_CLOSED && link_word(&m) == 1)
			close_source(&c->out, c->out.from);
		else if (m.type == LINK_CLOSED)
			close_source(&c->err, c->err.from);
	}
	if (got < 0) {
		say("the host has gone: %s", strerror(-got));
		c->running = false;
	}
}

/* Passes on the end of stdin, in either direction. */
static void stdin_check(struct command *c, int pipe)
{
	if (c->in.to < 0 && !c->stdin_told) {
		link_send(&c->init->link, LINK_STDIN_CLOSED, NULL, 0);
		c->stdin_told = true;
	}
	if (c->in.to >= 0 && pump_idle(&c->in) && c->in.total >= c->stdin_end) {
		close(pipe);
		c->in.to = c->in.from = -1;
		c->stdin_told = true;
	}
}

static void relay(struct command *c)
{
	int pipe = c->in.to;

	fcntl(c->init->link.fd, F_SETFL, O_NONBLOCK);
	while (c->running) {
		struct pollfd fds[7] = { { .fd = c->init->link.fd, .events = POLLIN } };

		pump_poll(&c->in, fds + 1);
		pump_poll(&c->out, fds + 3);
		pump_poll(&c->err, fds + 5);
		if (ppoll(fds, 7, NULL, &c->init->inside) > 0) {
			pump_step(&c->in, fds + 1);
			pump_step(&c->out, fds + 3);
			pump_step(&c->err, fds + 5);
			if (fds[0].revents)
				hear(c);
			stdin_check(c, pipe);
		}
		if (child_ended && reap(c->pid, &c->status))
			c->running = false;
		if (end_wanted)
			return;
	}
	fcntl(c->init->link.fd, F_SETFL, 0);
}

static void send_files(struct init *in)
{
	char where[PATH_MAX], text[PATH_MAX + 128];

	for (int i = 0; i < in->ngets; i++) {
		/* the destination is the host's to know: the sender names the request */
		int len, err = tree_send(&in->link, in->gets[i], in->gets[i], where);

		if (!err)
			continue;
		len = snprintf(text, sizeof(text), "--get: in the guest: %s: %s", where,
			       strerror(-err));
		link_send(&in->link, LINK_ERROR, text, len);
	}
}

static void finish(struct command *c)
{
	struct link_exit e = { 0 };
	struct link_message m;

	kill(-1, SIGKILL);
	pump_drain(&c->out, PIPE_MOST);
	pump_drain(&c->err, PIPE_MOST);
	send_files(c->init);
	e.status = WIFSIGNALED(c->status) ? 128 + WTERMSIG(c->status) : WEXITSTATUS(c->status);
	e.out = c->out.total;
	e.err = c->err.total;
	link_send(&c->init->link, LINK_EXIT, &e, sizeof(e));
	while (link_receive(&c->init->link, &m) > 0 && m.type != LINK_BYE)
		continue;
}

void command_run(struct init *in, const struct link_message *m)
{
	static struct command c;
	int err;

	c.init = in;
	c.stdin_end = UINT64_MAX;
	err = start(&c, m);
	if (err) {
		const char *text = strerror(-err);

		link_send(&in->link, LINK_ERROR, text, strlen(text));
		return;
	}
	link_send(&in->link, LINK_STARTED, NULL, 0);
	relay(&c);
	if (!end_wanted)
		finish(&c);
}
