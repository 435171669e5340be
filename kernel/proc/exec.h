/* SPDX-License-Identifier: MIT */
/* exec.h - one execve under way, between exec.c, exec_stack.c, elf.c, script.c, exec_cred.c. */
#ifndef PROC_EXEC_H
#define PROC_EXEC_H

#include "fs/vfs.h"
#include "mm/aspace.h"
#include "proc/process.h"

#define EXEC_HEAD 1024 /* of the file, read to see what it is */

/* argv or envp: in user memory, or (the first process) in the kernel's. */
struct exec_strings {
	bool kernel;
	uaddr_t user;
	const char *const *list;
};

struct exec {
	struct file *file;    /* what is to be loaded now; counted, denies writers */
	struct aspace *as;    /* the new one, complete before it is installed */
	const char *filename; /* as given: AT_EXECFN */
	const char *comm;     /* the last component of what is executed */
	const char *interp;   /* what a script was called as: its interpreter's argument */
	char *interp_heap;    /* interp, if it is a copy; kfree */
	char fd_name[32];     /* "/dev/fd/N" of execveat */
	char *fd_path;	      /* "/dev/fd/N/..." ; kfree */
	bool fd_closes;	      /* that descriptor closes on exec: no script can be opened */
	u32 argc, envc;

	/* The stack (exec_stack.c): grows down from stack_top; pages are written through the direct
	 * map. */
	u64 sp;		   /* everything above is in use */
	u64 lowest;	   /* sp must not pass it: limit on strings */
	u64 mapped;	   /* start of the area */
	struct page *page; /* the page in hand, at page_va; counted */
	u64 page_va;
	u64 execfn, arg_start, arg_end, env_end;
	bool stack_exec;

	/* What elf.c found. */
	u64 entry; /* where user mode begins: the interpreter's, if there is one */
	u64 program_entry, phdr, phnum, interp_base;

	/* What exec_cred.c decided. */
	struct cred *cred; /* NULL: stays as it is */
	bool secure;	   /* AT_SECURE */
	bool keep_dumpable;

	char buf[EXEC_HEAD]; /* strings in transit, then the head of the file */
	size_t head_size;
};

/* --- exec_stack.c --- */
int exec_stack_create(struct exec *x);
int exec_count(const struct exec_strings *s, u32 *n);
/* Strings from last to first, so that they stand in order. -E2BIG, -EFAULT, -ENOMEM. */
int exec_push_strings(struct exec *x, const struct exec_strings *s, u32 n);
int exec_push_string(struct exec *x, const char *s);
int exec_drop_first_arg(struct exec *x);
/* argc, argv, envp and the auxiliary vector; sp is then what user mode starts with. */
int exec_stack_finish(struct exec *x);
void exec_stack_release(struct exec *x); /* the page in hand */
#define AUXV_MAX 24
/* The auxiliary vector as the program got it: how many words. */
unsigned exec_auxv(const struct aspace *as, u64 a[2 * AUXV_MAX]);

/* --- elf.c, script.c: 0, -ENOEXEC (not mine, or malformed), other errors --- */
int elf_load(struct exec *x);
/* Is x->file a static program that is linked to low addresses? Uses x->buf. */
bool elf_is_low(struct exec *x);
/* x->file becomes the interpreter. */
int script_load(struct exec *x);

/* --- exec.c --- */
int exec_open(int dirfd, const char *name, int flags, struct file **out);
void exec_close(struct file *f);
/* Builds the new address space; touches nothing of current. exec_release() in any case. */
int exec_prepare(struct exec *x, int dirfd, const char *name, int flags,
		 const struct exec_strings *argv, const struct exec_strings *envp);
void exec_release(struct exec *x);
void exec_set_registers(const struct exec *x, struct trapframe *f);
void exec_init(void);

/* --- exec_cred.c --- */
int exec_compute_cred(struct exec *x);

#endif
