/* SPDX-License-Identifier: MIT */
/*
 * start.c - the first process: pid 1 of the host, /init or what init= on the
 * kernel's command line names, with the words after "--" as its arguments,
 * HOME=/ and TERM=linux, and /dev/console as its descriptors 0, 1, 2.
 *
 * Its parts are made by the start thread, which lends itself the new process's
 * file context, descriptors and limits while it opens files for it. The task
 * then begins in user mode, as if it had returned from execve.
 */
#include "arch/x86/arch.h"
#include "arch/x86/boot.h"
#include "core/errno.h"
#include "fs/context.h"
#include "fs/fdtable.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "proc/exec.h"
#include "proc/pid.h"
#include "proc/signal.h"
#include "proc/tree.h"

#define INIT_ARGS_MAX 32

static struct pid_table own_pids; /* until container/ brings the host's */
static struct uts own_uts = { .lock = SPINLOCK_INIT(RANK_PID),
			      .hostname = "skerry",
			      .domainname = "(none)" };

struct init_args {
	char text[sizeof(boot_info.cmdline)];
	const char *argv[INIT_ARGS_MAX + 2];
};

/* The words after a lone "--". */
static void init_args_parse(struct init_args *a, const char *path)
{
	char *p = a->text;
	bool collecting = false;
	unsigned n = 0;

	strlcpy(a->text, boot_info.cmdline, sizeof(a->text));
	a->argv[n++] = path;
	while (*p) {
		char *word;
		while (*p == ' ')
			*p++ = 0;
		word = p;
		while (*p && *p != ' ')
			p++;
		if (*p)
			*p++ = 0;
		if (collecting && *word && n <= INIT_ARGS_MAX)
			a->argv[n++] = word;
		if (!strcmp(word, "--"))
			collecting = true;
	}
	a->argv[n] = NULL;
}

/* Linux's limits for its first process; threads in proportion to memory. */
static void limits_init(struct rlimits *l)
{
	struct page_stats s;
	u64 threads;

	page_stats(&s);
	threads = MIN(s.total / 16, (u64)PID_MAX);
	for (unsigned i = 0; i < RLIMIT_COUNT; i++)
		l->lim[i] = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	l->lim[RLIMIT_STACK].cur = 8 << 20;
	l->lim[RLIMIT_CORE].cur = 0;
	l->lim[RLIMIT_NPROC] = (struct rlimit){ threads, threads };
	l->lim[RLIMIT_NOFILE] = (struct rlimit){ 1024, 4096 };
	l->lim[RLIMIT_MEMLOCK] = (struct rlimit){ 8 << 20, 8 << 20 };
	l->lim[RLIMIT_SIGPENDING] = (struct rlimit){ threads, threads };
	l->lim[RLIMIT_MSGQUEUE] = (struct rlimit){ 819200, 819200 };
	l->lim[RLIMIT_NICE] = l->lim[RLIMIT_RTPRIO] = (struct rlimit){ 0, 0 };
}

static int console_open(void)
{
	struct file *f;
	int err = file_open(AT_FDCWD, "/dev/console", O_RDWR, 0, &f);

	if (err) {
		log_warn("pid 1: /dev/console cannot be opened: error %d\n", -err);
		return 0;
	}
	for (int i = 0; i < 2; i++)
		if (fd_add(file_get(f), false) < 0)
			break;
	return fd_add(f, false) < 0 ? -ENOMEM : 0;
}

static int init_create(struct process **out_p, struct task **out_t)
{
	struct process *p;
	struct task *t;
	u32 pid;
	int err = process_create(host_pids, &p);

	if (!err)
		err = signals_create_process(p, NULL, false, false);
	if (!err)
		err = task_create(p, &t);
	if (err)
		return err;
	limits_init(&p->rlimits);
	p->exit_signal = SIGCHLD;
	err = pid_create(host_pids, 0, PID_TASK, t, &pid);
	if (err)
		return err;
	pid_attach(host_pids, pid, PID_PROCESS, p);
	t->tid = p->pid = pid;
	t->cred = cred_get(&cred_root);
	p->leader = task_get(t);
	*out_p = p;
	*out_t = t;
	err = fs_context_create(host_mounts, &t->fs);
	return err ? err : fd_table_create(&t->files);
}

/* Opens and loads with t's view of files; what is built goes to t. */
static int init_load(struct task *t, struct exec *x, const char *path, const char *const *argv)
{
	static const char *const env[] = { "HOME=/", "TERM=linux", NULL };
	const struct exec_strings args = { .kernel = true, .list = argv },
				  envp = { .kernel = true, .list = env };
	struct trapframe frame;
	int err;

	current->fs = t->fs;
	current->files = t->files;
	current->rlimits = t->rlimits;
	err = console_open();
	if (!err)
		err = exec_prepare(x, AT_FDCWD, path, 0, &args, &envp);
	current->fs = NULL;
	current->files = NULL;
	current->rlimits = NULL;
	if (err)
		return err;
	t->aspace = x->as;
	x->as = NULL;
	strlcpy(t->name, x->comm, sizeof(t->name));
	exec_set_registers(x, &frame);
	arch_task_setup_user(t, &frame);
	return 0;
}

static int init_publish(struct process *p, struct task *t)
{
	struct process_group *g;
	struct session *s;
	int err = session_create(host_pids->owner, &s, &g);

	if (err)
		return err;
	charge_force(host_pids->owner->account, RES_PIDS, 1);
	t->pids_account = account_get(host_pids->owner->account);
	spin_lock(&tree_lock);
	process_add_thread(p, t);
	process_link(p, NULL, NULL);
	session_start(s, g, p);
	spin_unlock(&tree_lock);
	return 0;
}

void process_start_init(void)
{
	struct init_args *args = kmalloc(sizeof(*args), KM_ZERO);
	struct exec *x = kmalloc(sizeof(*x), KM_ZERO);
	char path[128] = "/init";
	struct process *p;
	struct task *t;
	int err = -ENOMEM;

	if (!host_pids) {
		pid_table_init(&own_pids, &owner_host, 1);
		own_pids.uts = &own_uts;
		host_pids = &own_pids;
	}
	exec_init();
	boot_option("init", 0, path, sizeof(path));
	if (args && x) {
		init_args_parse(args, path);
		err = init_create(&p, &t);
	}
	if (!err)
		err = init_load(t, x, path, args->argv);
	if (!err)
		err = init_publish(p, t);
	if (err)
		panic("%s cannot be started as the first process: error %d", path, -err);
	exec_release(x);
	kfree(x);
	kfree(args);
	sched_start(t);
}
