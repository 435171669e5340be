/* SPDX-License-Identifier: MIT */
/*
 * session.c - one guest from start to end: a poll loop that carries bytes
 * between the guest's channels and our own files, hears what pid 1 says
 * (link.h), writes the kernel's log, keeps the time, and decides how it ended.
 *
 * States of a guest that runs a command:
 *
 *	booting --HELLO--> feeding --STARTED--> running --EXIT--> draining
 *	draining --all bytes are here: BYE--> ending --QEMU has gone--> done
 *
 * Leaving this path at any point is a failure: `why` says which. After BYE the
 * command's status counts, unless the kernel panics while it powers off.
 */
#include "vm.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PANIC_GRACE  5.0  /* seconds for the backtrace after "panic:" */
#define END_GRACE    60.0 /* seconds for the guest to write its disk and power off after BYE */
#define SOCKET_CHUNK PUMP_SIZE

enum state {
	BOOTING,
	FEEDING,
	RUNNING,
	DRAINING,
	ENDING,
};

struct session {
	const struct options *o;
	struct qemu q;
	struct klog log;
	struct link link;
	struct terminal terminal;
	struct pump in, out, err;
	struct tree_sink sink;
	int nget; /* trees received so far */
	pid_t feeder;
	int signals; /* signalfd */
	enum state state;
	struct link_exit exit; /* valid from DRAINING on */
	bool files_failed;     /* a --get could not be done */
	bool stdin_told, out_told, err_told;
	double began, deadline;
	int signal; /* that ends us, or 0 */
	bool left;  /* the person has left */
	bool timed_out;
	char why[2048]; /* what went wrong, or "" */
	char qemu_said[4096];
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void __attribute__((format(printf, 2, 3)))
went_wrong(struct session *s, const char *format, ...)
{
	va_list args;

	if (*s->why)
		return;
	va_start(args, format);
	vsnprintf(s->why, sizeof(s->why), format, args);
	va_end(args);
}

static void hasten(struct session *s, double seconds)
{
	double at = now() + seconds;

	if (!s->deadline || at < s->deadline)
		s->deadline = at;
}

/* ---- what the guest says ---- */

static void take_tree(struct session *s, const struct link_message *m)
{
	int done;

	if (s->nget >= s->o->nget) {
		went_wrong(s, "the guest sent files that nobody asked for");
		return;
	}
	if (m->type == LINK_TREE)
		snprintf(s->sink.dest, sizeof(s->sink.dest), "%s", s->o->get[s->nget].host);
	done = s->files_failed ? m->type == LINK_TREE_END : tree_receive(&s->sink, m);
	if (done < 0) {
		complain("--get: %s: %s", s->sink.where, strerror(-done));
		s->files_failed = true;
	}
	if (done) {
		tree_sink_destroy(&s->sink);
		memset(&s->sink, 0, sizeof(s->sink));
	}
	s->nget += done > 0;
}

static void take_error(struct session *s, const struct link_message *m)
{
	if (s->state < RUNNING) {
		went_wrong(s, "%s", m->data);
		return;
	}
	complain("%s", m->data);
	s->files_failed = true;
	s->nget++;
}

static void take_message(struct session *s, const struct link_message *m)
{
	switch (m->type) {
	case LINK_HELLO:
		if (link_word(m) != LINK_VERSION)
			went_wrong(s, "the guest's init is of another version: run 'make clean'");
		s->state = FEEDING;
		break;
	case LINK_STARTED:
		s->state = RUNNING;
		if (!s->o->command && terminal_size())
			link_send_word(&s->link, LINK_WINSIZE, terminal_size());
		break;
	case LINK_STDIN_CLOSED:
		s->in.from = -1;
		s->stdin_told = true;
		break;
	case LINK_ERROR:
		take_error(s, m);
		break;
	case LINK_EXIT:
		if (m->len >= sizeof(s->exit))
			memcpy(&s->exit, m->data, sizeof(s->exit));
		s->state = DRAINING;
		break;
	default:
		if (m->type < LINK_TREE || m->type > LINK_TREE_END)
			went_wrong(s, "message %u from the guest: unknown", m->type);
		else
			take_tree(s, m);
	}
}

static void hear(struct session *s)
{
	struct link_message m;
	int got;

	while (!*s->why && (got = link_receive(&s->link, &m)) != 0) {
		if (got < 0) {
			s->link.fd = -1; /* QEMU is ending: SIGCHLD follows */
			return;
		}
		take_message(s, &m);
	}
}

/* ---- what we tell the guest ---- */

static void tell(struct session *s, enum link_type type, uint64_t value)
{
	if (s->link.fd >= 0)
		link_send_word(&s->link, type, value);
}

static void tell_ends(struct session *s)
{
	if (s->state != RUNNING || s->feeder || !s->o->command)
		return;
	if (s->in.from < 0 && pump_idle(&s->in) && !s->stdin_told) {
		tell(s, LINK_STDIN_END, s->in.total);
		s->stdin_told = true;
	}
	if (s->out.to < 0 && !s->out_told) {
		tell(s, LINK_CLOSED, 1);
		/* with one pipe for both in the guest this is the end of both */
		s->out_told = true;
	}
	if (s->err.to < 0 && !s->err_told) {
		tell(s, LINK_CLOSED, 2);
		s->err_told = true;
	}
}

static bool arrived(const struct pump *p, uint64_t total)
{
	return p->to < 0 || p->from < 0 || (p->total >= total && pump_idle(p));
}

static void finish(struct session *s)
{
	if (s->state != DRAINING || !arrived(&s->out, s->exit.out) ||
	    !arrived(&s->err, s->exit.err))
		return;
	tell(s, LINK_BYE, 0);
	s->state = ENDING;
	s->deadline = 0;
	hasten(s, END_GRACE);
}

/* ---- what happens to us and to QEMU ---- */

static void child_ended(struct session *s)
{
	int status;

	if (!s->q.ended && waitpid(s->q.pid, &s->q.status, WNOHANG) == s->q.pid)
		s->q.ended = true;
	if (s->feeder && waitpid(s->feeder, &status, WNOHANG) == s->feeder) {
		s->feeder = 0;
		if (status && !s->q.ended && s->link.fd >= 0 && s->state < RUNNING)
			went_wrong(s, "the guest was not started: see above");
	}
}

static void take_signals(struct session *s)
{
	struct signalfd_siginfo si;

	while (read(s->signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			child_ended(s);
		else if (si.ssi_signo == SIGWINCH && s->state == RUNNING && terminal_size())
			tell(s, LINK_WINSIZE, terminal_size());
		else if (si.ssi_signo != SIGWINCH)
			s->signal = si.ssi_signo;
	}
}

static void take_serial(struct session *s)
{
	char buf[4096];
	ssize_t n;
	bool quiet = !*s->log.panic;

	while ((n = read(s->q.sock[CH_SERIAL], buf, sizeof(buf))) > 0) {
		klog_bytes(&s->log, buf, n);
		if (s->o->serial_console && !s->o->command && write_all(1, buf, n))
			s->left = true;
	}
	if (n == 0)
		s->q.sock[CH_SERIAL] = -1;
	if (quiet && *s->log.panic)
		hasten(s, PANIC_GRACE);
}

static void take_qemu_messages(struct session *s)
{
	size_t have = strlen(s->qemu_said);
	char buf[1024];
	ssize_t n;

	while ((n = read(s->q.messages, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n && have < sizeof(s->qemu_said) - 1; i++)
			s->qemu_said[have++] = buf[i] ? buf[i] : ' ';
		klog_bytes(&s->log, buf, n);
	}
	s->qemu_said[have] = 0;
	if (n == 0)
		s->q.messages = -1;
}

/* ---- the loop ---- */

static bool goes_on(struct session *s)
{
	if (s->q.ended || s->left || s->terminal.leave || s->signal || *s->why)
		return false;
	if (s->deadline && now() >= s->deadline) {
		s->timed_out = true;
		return false;
	}
	return true;
}

static int wait_ms(const struct session *s)
{
	double left = s->deadline - now();

	if (!s->deadline)
		return -1;
	return left <= 0 ? 0 : left > 1e6 ? 1000000000 : (int)(left * 1000) + 1;
}

static void loop(struct session *s)
{
	while (goes_on(s)) {
		struct pollfd fds[10] = {
			{ .fd = s->signals, .events = POLLIN },
			{ .fd = s->q.sock[CH_SERIAL], .events = POLLIN },
			{ .fd = s->q.messages, .events = POLLIN },
			{ .fd = s->link.fd, .events = POLLIN },
		};
		bool carry = s->state >= RUNNING || !s->o->command;

		for (int i = 4; i < 10; i++)
			fds[i].fd = -1;
		if (carry) {
			pump_poll(&s->in, fds + 4);
			pump_poll(&s->out, fds + 6);
			pump_poll(&s->err, fds + 8);
		}
		if (poll(fds, 10, wait_ms(s)) <= 0)
			continue;
		if (carry) {
			pump_step(&s->in, fds + 4);
			pump_step(&s->out, fds + 6);
			pump_step(&s->err, fds + 8);
		}
		if (fds[1].revents)
			take_serial(s);
		if (fds[2].revents)
			take_qemu_messages(s);
		if (fds[3].revents)
			hear(s);
		if (fds[0].revents)
			take_signals(s);
		tell_ends(s);
		finish(s);
	}
}

/* ---- how it ended ---- */

static void explain_stop(struct session *s)
{
	bool booted = s->state > BOOTING;

	if (*s->log.panic)
		went_wrong(s, "the guest panicked: %s", s->log.panic);
	else if (s->timed_out && !booted)
		went_wrong(s, "the guest did not boot within %g s (--timeout)", s->o->timeout);
	else if (s->timed_out)
		went_wrong(s, "COMMAND did not end within %g s (--timeout)", s->o->timeout);
	else if (!booted && *s->qemu_said)
		went_wrong(s, "QEMU did not start: %.1500s", s->qemu_said);
	else if (!booted)
		went_wrong(s, "the guest stopped before it had booted%s%.1000s",
			   *s->log.last ? "; its last words: " : "", s->log.last);
	else
		went_wrong(s, "the guest stopped before COMMAND had ended");
}

static int report(const struct session *s)
{
	size_t len = strlen(s->why);

	if (s->o->probe)
		return VM_FAILED;
	complain("%.*s%s%s", (int)(len - (len && s->why[len - 1] == '\n')), s->why,
		 s->o->log_path ? "; kernel messages: " : "", s->o->log_path ? s->o->log_path : "");
	return VM_FAILED;
}

static int verdict(struct session *s)
{
	bool failed = s->q.ended && s->q.status && !s->left;

	if (s->signal && s->state != ENDING)
		return 128 + s->signal;
	if (s->o->command && s->state != ENDING)
		explain_stop(s);
	else if (*s->log.panic && (s->timed_out || failed || !s->q.ended))
		went_wrong(s, "the guest panicked: %s", s->log.panic);
	else if (!s->o->command && failed)
		explain_stop(s);
	if (*s->why)
		return report(s);
	if (!s->o->command)
		return 0;
	return s->exit.status || !s->files_failed ? (int)s->exit.status : VM_FAILED;
}

static void settle(struct session *s)
{
	bool ended = s->q.ended;

	qemu_kill(&s->q);
	s->q.ended = ended; /* verdict() asks whether it ended by itself */
	if (s->feeder) {
		kill(s->feeder, SIGKILL);
		waitpid(s->feeder, NULL, 0);
	}
	take_serial(s);
	take_qemu_messages(s);
	if (s->log.len)
		klog_bytes(&s->log, "\n", 1);
	/* what the command wrote before it came to grief */
	if (s->state < ENDING && !s->signal && !s->timed_out) {
		pump_drain(&s->out, UINT64_MAX / 2);
		pump_drain(&s->err, UINT64_MAX / 2);
	}
}

/* ---- setting up ---- */

static int signals_open(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void pumps_init(struct session *s)
{
	int person = s->q.sock[s->o->serial_console ? CH_SERIAL : CH_CONSOLE];

	if (s->o->command) {
		pump_init(&s->in, 0, s->q.sock[CH_IN], SOCKET_CHUNK);
		pump_init(&s->out, s->q.sock[CH_OUT], 1, PIPE_BUF);
		pump_init(&s->err, s->q.sock[CH_ERR], 2, PIPE_BUF);
		return;
	}
	pump_init(&s->in, 0, person, SOCKET_CHUNK);
	pump_init(&s->out, s->o->serial_console ? -1 : person, 1, PIPE_BUF);
	pump_init(&s->err, -1, -1, PIPE_BUF);
	s->in.filter = isatty(0) ? terminal_filter : NULL;
	s->in.filter_arg = &s->terminal;
}

int session_run(const struct options *o)
{
	static struct session s;
	int err = klog_open(&s.log, o);

	if (err) {
		complain("%s: %s", o->log_path, strerror(-err));
		return VM_FAILED;
	}
	s.o = o;
	s.signals = signals_open();
	err = qemu_start(&s.q, o);
	if (err) {
		complain("cannot start QEMU: %s", strerror(-err));
		return VM_FAILED;
	}
	s.began = now();
	s.deadline = o->timeout ? s.began + o->timeout : 0;
	link_init(&s.link, s.q.sock[CH_CTL]);
	s.feeder = feed_start(o, s.link.fd);
	pumps_init(&s);
	if (!o->command)
		terminal_raw();
	loop(&s);
	terminal_restore();
	settle(&s);
	return verdict(&s);
}
