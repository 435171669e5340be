/* SPDX-License-Identifier: MIT */
/*
 * exec.c - execve(2) and execveat(2).
 *
 *	exec_prepare	opens the file, computes credentials, builds the whole new
 *			address space: strings and vectors on its stack, segments of
 *			program and interpreter. Any error leaves current as it was.
 *	exec_commit	the point of no return: other threads end, the new address
 *			space is installed, signals, descriptors and credentials
 *			change. What fails now kills the process (SIGKILL).
 *
 * exec_lock is held from the credentials to the end, so that who looks at a
 * process (its memory, its rights) sees it before or after, not in between.
 *
 * The file of the program denies writers (-ETXTBSY) as long as an address space
 * says that it is its exe.
 */
#include "proc/exec.h"
#include "arch/x86/arch.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "fs/context.h"
#include "fs/fdtable.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/futex.h"
#include "proc/signal.h"
#include "proc/tree.h"
#include "proc/user.h"
#include "syscalls.h"

#define SCRIPT_DEPTH 5 /* interpreters that are scripts themselves: then -ELOOP */

/* --- the file --- */

static int exec_may(const struct path *p)
{
	struct inode *i = p->dentry->inode;

	if (S_ISLNK(i->mode)) /* AT_SYMLINK_NOFOLLOW */
		return -ELOOP;
	if (!S_ISREG(i->mode) || p->mount->flags & MS_NOEXEC)
		return -EACCES;
	return inode_permission(p->mount->usermap, i, MAY_EXEC);
}

int exec_open(int dirfd, const char *name, int flags, struct file **out)
{
	u32 lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
		     (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	struct path path;
	struct file *f;
	int err = path_lookup(dirfd, name, lookup, &path);

	if (err)
		return err;
	err = exec_may(&path);
	if (!err)
		err = file_open_path(&path, O_RDONLY, &f);
	path_put(path);
	if (err)
		return err;
	err = file_deny_write(f);
	if (err) {
		file_put(f);
		return err;
	}
	*out = f;
	return 0;
}

void exec_close(struct file *f)
{
	file_allow_write(f);
	file_put(f);
}

/* What an address space does with its exe when it ends or is copied. */
static struct file *exe_get(struct file *f)
{
	(void)file_deny_write(f); /* it is denied already: cannot fail */
	return file_get(f);
}

void exec_init(void)
{
	aspace_set_file_ops(exec_close, exe_get);
}

/* --- names --- */

/* execveat(fd, path): the program is called "/dev/fd/N" or "/dev/fd/N/path". */
static int name_by_fd(struct exec *x, int dirfd, const char *name)
{
	size_t size;

	snprintf(x->fd_name, sizeof(x->fd_name), "/dev/fd/%d", dirfd);
	x->filename = x->fd_name;
	if (!*name) {
		x->comm = x->file->path.dentry->name;
	} else {
		size = strlen(x->fd_name) + 1 + strlen(name) + 1;
		x->fd_path = kmalloc(size, KM_ACCOUNT);
		if (!x->fd_path)
			return -ENOMEM;
		snprintf(x->fd_path, size, "%s/%s", x->fd_name, name);
		x->filename = x->fd_path;
	}
	x->fd_closes = fd_cloexec(dirfd);
	return 0;
}

static int exec_names(struct exec *x, int dirfd, const char *name)
{
	const char *slash;
	int err = 0;

	x->filename = name;
	if (dirfd != AT_FDCWD && *name != '/')
		err = name_by_fd(x, dirfd, name);
	x->interp = x->filename;
	if (!x->comm) {
		slash = strrchr(x->filename, '/');
		x->comm = slash ? slash + 1 : x->filename;
	}
	return err;
}

/* --- building --- */

static int exec_arguments(struct exec *x, const struct exec_strings *argv,
			  const struct exec_strings *envp)
{
	const struct exec_strings nothing = { .kernel = true,
					      .list = (const char *const[]){ "", NULL } };
	int err = exec_count(argv, &x->argc);

	if (!err)
		err = exec_count(envp, &x->envc);
	if (err)
		return err;
	if (!x->argc) { /* Linux: a program gets at least an empty argv[0] */
		argv = &nothing;
		x->argc = 1;
	}
	/* The pointers count against the limit of the strings. */
	x->lowest += ((u64)x->argc + x->envc) * sizeof(u64);
	if (x->lowest >= x->sp)
		return -E2BIG;
	err = exec_push_string(x, x->filename);
	x->execfn = x->sp;
	if (!err)
		err = exec_push_strings(x, envp, x->envc);
	if (!err)
		err = exec_push_strings(x, argv, x->argc);
	return err;
}

/* What kind of file? Scripts are replaced by their interpreters until there is a program. */
static int exec_load(struct exec *x)
{
	for (int depth = 0; depth <= SCRIPT_DEPTH; depth++) {
		s64 n = file_read_kernel(x->file, x->buf, sizeof(x->buf), 0);
		int err;
		if (n < 0)
			return n;
		x->head_size = n;
		err = elf_load(x);
		if (err != -ENOEXEC || n < 2 || x->buf[0] != '#')
			return err;
		err = script_load(x);
		if (err)
			return err;
	}
	return -ELOOP;
}

/* After the file is known: the parts of the new address space that do not come from it. */
static int exec_finish(struct exec *x)
{
	u64 lowest = x->lowest;
	int err = exec_compute_cred(x);

	if (!err)
		err = aspace_map_vdso(x->as);
	x->lowest =
		lowest - PAGE_SIZE - ((u64)x->argc + x->envc) * sizeof(u64); /* the vectors' own */
	if (!err)
		err = exec_stack_finish(x);
	exec_stack_release(x);
	if (!err && x->stack_exec)
		err = aspace_protect(x->as, x->mapped, x->as->stack_top - x->mapped,
				     PROT_READ | PROT_WRITE | PROT_EXEC);
	if (err)
		return err;
	x->as->stack_start = x->sp;
	x->as->arg_start = x->arg_start;
	x->as->arg_end = x->as->env_start = x->arg_end;
	x->as->env_end = x->env_end;
	x->as->exe = x->file; /* with its reference and its denial of writers */
	x->file = NULL;
	return 0;
}

int exec_prepare(struct exec *x, int dirfd, const char *name, int flags,
		 const struct exec_strings *argv, const struct exec_strings *envp)
{
	int err = exec_open(dirfd, name, flags, &x->file);

	if (!err)
		err = exec_names(x, dirfd, name);
	if (!err)
		err = aspace_create(&x->as);
	if (!err)
		err = exec_stack_create(x);
	if (!err)
		err = exec_arguments(x, argv, envp);
	if (!err)
		err = exec_load(x);
	return err ? err : exec_finish(x);
}

void exec_release(struct exec *x)
{
	exec_stack_release(x);
	if (x->as)
		aspace_put(x->as);
	if (x->file)
		exec_close(x->file);
	if (x->cred)
		cred_put(x->cred);
	kfree(x->interp_heap);
	kfree(x->fd_path);
}

void exec_set_registers(const struct exec *x, struct trapframe *f)
{
	memset(f, 0, sizeof(*f));
	f->orig_rax = (u64)-1;
	f->rip = f->rcx = x->entry; /* as SYSRET leaves them */
	f->rsp = x->sp;
	f->rflags = f->r11 = RFLAGS_IF;
	f->cs = USER_CS;
	f->ss = USER_SS;
}

/* --- the point of no return --- */

static void commit_aspace(struct exec *x)
{
	struct task *t = current;
	struct aspace *old = t->aspace;

	if (old->rss_peak > t->process->peak_rss)
		t->process->peak_rss = old->rss_peak;
	t->aspace = x->as;
	x->as = NULL;
	mmu_switch(t->aspace);
	vfork_release(t);
	aspace_put(old);
}

static void commit_process(struct exec *x)
{
	struct process *p = current->process;
	struct task_signals *ts = current->signals;

	spin_lock(&tree_lock);
	p->execed = true;
	p->exec_count++;
	p->exit_signal = SIGCHLD;
	spin_unlock(&tree_lock);
	signals_exec(p);
	strlcpy(current->name, x->comm, sizeof(current->name));
	p->dumpable = x->keep_dumpable;
	WRITE_ONCE(p->image, p->pids->owner);
	process_forget_way_back(p);
	if (x->cred) {
		ts->pdeath_signal = 0;
		cred_install(x->cred);
		x->cred = NULL;
	}
	if (x->secure)
		ts->pdeath_signal = 0;
	current->rseq = 0;
	current->set_child_tid = 0;
	current->restart.fn = NULL;
}

static void exec_commit(struct exec *x, struct trapframe *f)
{
	if (process_kill_other_threads())
		process_exit(SIGKILL);
	futex_exit_task(current);
	commit_aspace(x);
	fd_close_on_exec();
	commit_process(x);
	fpu_reset_current();
	arch_set_fsbase(0);
	arch_set_gsbase(0);
	exec_set_registers(x, f);
}

/* --- the calls --- */

static int exec_nproc_check(void)
{
	bool exceeded = current->nproc_exceeded;

	current->nproc_exceeded = false;
	if (exceeded &&
	    user_exceeds(current->owner, current->cred->uid, rlimit_cur(RLIMIT_NPROC)) &&
	    !capable(CAP_SYS_RESOURCE))
		return -EAGAIN;
	return 0;
}

int exec_file(int dirfd, const char *path, int flags, uaddr_t argv, uaddr_t envp)
{
	const struct exec_strings args = { .user = argv }, env = { .user = envp };
	struct process *p = current->process;
	struct exec *x;
	int err = exec_nproc_check();

	if (err)
		return err;
	x = kmalloc(sizeof(*x), KM_ZERO | KM_ACCOUNT);
	if (!x)
		return -ENOMEM;
	err = mutex_lock_killable(&p->exec_lock);
	if (err)
		goto free_exec;
	err = exec_prepare(x, dirfd, path, flags, &args, &env);
	if (!err)
		err = fd_table_unshare_for_exec();
	if (!err)
		exec_commit(x, task_frame(current));
	mutex_unlock(&p->exec_lock);
	exec_release(x);
free_exec:
	kfree(x);
	return err;
}

s64 sys_execveat(int dirfd, uaddr_t upath, uaddr_t argv, uaddr_t envp, int flags)
{
	char *name;
	int err;

	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	err = name_from_user(upath, flags & AT_EMPTY_PATH, &name);
	if (err)
		return err;
	err = exec_file(dirfd, name, flags, argv, envp);
	name_put(name);
	return err;
}

s64 sys_execve(uaddr_t upath, uaddr_t argv, uaddr_t envp)
{
	return sys_execveat(AT_FDCWD, upath, argv, envp, 0);
}
