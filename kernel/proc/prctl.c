/* SPDX-License-Identifier: MIT */
/*
 * prctl.c - prctl(2), arch_prctl(2) and iopl(2). What is not in the switch is refused with
 * -EINVAL, as Linux answers for what it was not built with (doc/abi.md).
 */
#include "arch/x86/arch.h"
#include "arch/x86/mmu.h"
#include "arch/x86/trap.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "lib/string.h"
#include "proc/cred_bits.h"
#include "proc/cred_sys.h"
#include "proc/process.h"
#include "proc/signal.h"
#include "syscalls.h"

enum {
	PR_SET_PDEATHSIG = 1,
	PR_GET_PDEATHSIG = 2,
	PR_GET_DUMPABLE = 3,
	PR_SET_DUMPABLE = 4,
	PR_GET_KEEPCAPS = 7,
	PR_SET_KEEPCAPS = 8,
	PR_GET_TIMING = 13,
	PR_SET_TIMING = 14,
	PR_SET_NAME = 15,
	PR_GET_NAME = 16,
	PR_GET_SECCOMP = 21,
	PR_CAPBSET_READ = 23,
	PR_CAPBSET_DROP = 24,
	PR_GET_TSC = 25,
	PR_SET_TSC = 26,
	PR_GET_SECUREBITS = 27,
	PR_SET_SECUREBITS = 28,
	PR_SET_TIMERSLACK = 29,
	PR_GET_TIMERSLACK = 30,
	PR_SET_CHILD_SUBREAPER = 36,
	PR_GET_CHILD_SUBREAPER = 37,
	PR_SET_NO_NEW_PRIVS = 38,
	PR_GET_NO_NEW_PRIVS = 39,
	PR_GET_TID_ADDRESS = 40,
	PR_SET_THP_DISABLE = 41,
	PR_GET_THP_DISABLE = 42,
	PR_CAP_AMBIENT = 47,
};
enum {
	PR_CAP_AMBIENT_IS_SET = 1,
	PR_CAP_AMBIENT_RAISE,
	PR_CAP_AMBIENT_LOWER,
	PR_CAP_AMBIENT_CLEAR_ALL
};
#define PR_TSC_ENABLE	    1
#define TIMER_SLACK_DEFAULT 50000

/* --- names and flags --- */

static s64 prctl_set_name(uaddr_t uname)
{
	char name[sizeof(current->name)] = { 0 };
	s64 n = copy_string_from_user(name, uname, sizeof(name));

	if (n < 0 && n != -ENAMETOOLONG)
		return n;
	name[sizeof(name) - 1] = 0;
	memcpy(current->name, name, sizeof(name));
	return 0;
}

static s64 prctl_set_pdeathsig(u64 sig)
{
	if (sig > NSIG)
		return -EINVAL;
	((struct task_signals *)current->signals)->pdeath_signal = sig;
	return 0;
}

/* Descendants look for a subreaper among their ancestors from now on. */
static void mark_descendants(struct process *top)
{
	struct process *p = top;

	spin_lock(&tree_lock);
	for (;;) {
		if (!list_empty(&p->children)) {
			p = list_first(&p->children, struct process, sibling);
		} else {
			while (p != top && p->sibling.next == &p->parent->children)
				p = p->parent;
			if (p == top)
				break;
			p = list_next(p, sibling);
		}
		p->has_subreaper = true;
	}
	spin_unlock(&tree_lock);
}

static s64 prctl_set_subreaper(u64 on)
{
	current->process->child_subreaper = on;
	if (on)
		mark_descendants(current->process);
	return 0;
}

/* --- credentials --- */

static s64 prctl_bounding_drop(u64 cap)
{
	struct cred *c;
	int err;

	if (!capable(CAP_SETPCAP))
		return -EPERM;
	if (cap > CAP_LAST)
		return -EINVAL;
	err = cred_copy(current->cred, &c);
	if (err)
		return err;
	c->cap_bounding &= ~BIT(cap);
	return cred_commit(c);
}

/* man 7 capabilities, "The securebits flags": locks cannot be undone, nor what they lock. */
static s64 securebits_set(u64 bits)
{
	const struct cred *old = current->cred;
	u32 locked = (old->securebits & SECBIT_LOCKS) >> 1;
	struct cred *c;
	int err;

	if (locked & (old->securebits ^ bits) || (old->securebits & SECBIT_LOCKS & ~bits) ||
	    bits & ~(u64)SECBIT_ALL || !capable(CAP_SETPCAP))
		return -EPERM;
	err = cred_copy(old, &c);
	if (err)
		return err;
	c->securebits = bits;
	return cred_commit(c);
}

static s64 keepcaps_set(u64 on)
{
	struct cred *c;
	int err;

	if (on > 1)
		return -EINVAL;
	if (current->cred->securebits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	err = cred_copy(current->cred, &c);
	if (err)
		return err;
	c->securebits = on ? c->securebits | SECBIT_KEEP_CAPS : c->securebits & ~SECBIT_KEEP_CAPS;
	return cred_commit(c);
}

static s64 prctl_ambient(u64 what, u64 cap, u64 a4, u64 a5)
{
	const struct cred *old = current->cred;
	struct cred *c;
	int err;

	if (a4 || a5 || (what == PR_CAP_AMBIENT_CLEAR_ALL && cap))
		return -EINVAL;
	if (what < PR_CAP_AMBIENT_IS_SET || what > PR_CAP_AMBIENT_CLEAR_ALL || cap > CAP_LAST)
		return -EINVAL;
	if (what == PR_CAP_AMBIENT_IS_SET)
		return old->cap_ambient >> cap & 1;
	if (what == PR_CAP_AMBIENT_RAISE &&
	    (!(old->cap_permitted & old->cap_inheritable & BIT(cap)) ||
	     old->securebits & SECBIT_NO_CAP_AMBIENT_RAISE))
		return -EPERM;
	err = cred_copy(old, &c);
	if (err)
		return err;
	if (what == PR_CAP_AMBIENT_RAISE)
		c->cap_ambient |= BIT(cap);
	else
		c->cap_ambient &= what == PR_CAP_AMBIENT_CLEAR_ALL ? 0 : ~BIT(cap);
	return cred_commit(c);
}

/* --- the call: what reads, what has more arguments than it may, the rest --- */

static s64 put_int(uaddr_t to, int v)
{
	return put_user(to, &v);
}

/* True if option is one that reads: its result. */
static bool prctl_get(int option, u64 a2, bool more, s64 *result)
{
	struct process *p = current->process;

	switch (option) {
	case PR_GET_PDEATHSIG:
		*result = put_int(a2, ((struct task_signals *)current->signals)->pdeath_signal);
		return true;
	case PR_GET_DUMPABLE:
		*result = p->dumpable;
		return true;
	case PR_GET_KEEPCAPS:
		*result = !!(current->cred->securebits & SECBIT_KEEP_CAPS);
		return true;
	case PR_GET_TIMING:
	case PR_GET_SECCOMP:
		*result = 0;
		return true;
	case PR_GET_NAME:
		*result = put_user(a2, &current->name);
		return true;
	case PR_CAPBSET_READ:
		*result = a2 > CAP_LAST ? -EINVAL : (s64)(current->cred->cap_bounding >> a2 & 1);
		return true;
	case PR_GET_TSC:
		*result = put_int(a2, PR_TSC_ENABLE);
		return true;
	case PR_GET_SECUREBITS:
		*result = current->cred->securebits;
		return true;
	case PR_GET_TIMERSLACK:
		*result = current->timer_slack ? current->timer_slack : TIMER_SLACK_DEFAULT;
		return true;
	case PR_GET_CHILD_SUBREAPER:
		*result = put_int(a2, p->child_subreaper);
		return true;
	case PR_GET_NO_NEW_PRIVS:
		*result = a2 || more ? -EINVAL : p->no_new_privs;
		return true;
	case PR_GET_TID_ADDRESS:
		*result = put_user(a2, &current->clear_tid);
		return true;
	case PR_GET_THP_DISABLE:
		*result = a2 || more ? -EINVAL : p->thp_disabled;
		return true;
	}
	return false;
}

s64 sys_prctl(int option, u64 a2, u64 a3, u64 a4, u64 a5)
{
	struct process *p = current->process;
	bool more = a3 || a4 || a5;
	s64 result;

	if (prctl_get(option, a2, more, &result))
		return result;
	switch (option) {
	case PR_SET_PDEATHSIG:
		return prctl_set_pdeathsig(a2);
	case PR_SET_DUMPABLE:
		if (a2 > 1)
			return -EINVAL;
		p->dumpable = a2;
		return 0;
	case PR_SET_KEEPCAPS:
		return keepcaps_set(a2);
	case PR_SET_TIMING:
		return a2 ? -EINVAL : 0;
	case PR_SET_NAME:
		return prctl_set_name(a2);
	case PR_CAPBSET_DROP:
		return prctl_bounding_drop(a2);
	case PR_SET_TSC:
		return a2 == PR_TSC_ENABLE ? 0 : -EINVAL;
	case PR_SET_SECUREBITS:
		return securebits_set(a2);
	case PR_SET_TIMERSLACK:
		current->timer_slack = (s64)a2 <= 0 ? 0 : a2;
		return 0;
	case PR_SET_CHILD_SUBREAPER:
		return prctl_set_subreaper(a2);
	case PR_SET_NO_NEW_PRIVS:
		if (a2 != 1 || more)
			return -EINVAL;
		p->no_new_privs = true;
		return 0;
	case PR_SET_THP_DISABLE: /* there are no transparent huge pages to disable */
		if (more)
			return -EINVAL;
		p->thp_disabled = a2;
		return 0;
	case PR_CAP_AMBIENT:
		return prctl_ambient(a2, a3, a4, a5);
	}
	return -EINVAL;
}

/* --- arch_prctl --- */

enum {
	ARCH_SET_GS = 0x1001,
	ARCH_SET_FS,
	ARCH_GET_FS,
	ARCH_GET_GS,
	ARCH_GET_CPUID = 0x1011,
	ARCH_SET_CPUID,
};

s64 sys_arch_prctl(int option, u64 address)
{
	u64 base;

	switch (option) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (address >= USER_END)
			return -EPERM;
		if (option == ARCH_SET_FS)
			arch_set_fsbase(address);
		else
			arch_set_gsbase(address);
		return 0;
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		base = option == ARCH_GET_FS ? arch_get_fsbase() : arch_get_gsbase();
		return put_user(address, &base);
	case ARCH_GET_CPUID:
		return 1;
	case ARCH_SET_CPUID:
		return -ENODEV;
	}
	return -EINVAL;
}

/* --- iopl --- */

/*
 * The level stands in the caller's saved flags, from where the return to user mode loads it. Ports
 * are the machine's, so only the host's root may raise it, and it goes no further than this
 * task: a child (clone_registers), a program that is executed and a process that enters a
 * container (process_move) begin at 0.
 */
s64 sys_iopl(struct trapframe *frame)
{
	u64 level = frame->rdi & 0xffffffff,
	    old = (frame->rflags & RFLAGS_IOPL) >> RFLAGS_IOPL_SHIFT;

	if (level > 3)
		return -EINVAL;
	if (level > old && !may_host(CAP_SYS_RAWIO))
		return -EPERM;
	frame->rflags = (frame->rflags & ~RFLAGS_IOPL) | level << RFLAGS_IOPL_SHIFT;
	return 0;
}
