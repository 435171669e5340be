/* SPDX-License-Identifier: MIT */
/*
 * sigframe.c - the frame on the user's stack while a handler runs, in the layout
 * of Linux x86-64 (struct rt_sigframe, <asm/sigcontext.h>; man 2 sigreturn):
 *
 *	high	FPU state, 64-byte aligned
 *		struct siginfo
 *		struct ucontext
 *	low	return address (sa_restorer)	<- rsp, rsp % 16 == 8
 *
 * What sigreturn reads back is the user's to forge: segment selectors are fixed,
 * of rflags only RFLAGS_USER bits count, and the FPU code checks its part.
 */
#include "arch/x86/arch.h"
#include "arch/x86/uaccess.h"
#include "lib/string.h"
#include "proc/process.h"
#include "proc/sigframe.h"
#include "syscalls.h"

#define RED_ZONE		 128
#define SS_ONSTACK		 1
#define SS_DISABLE		 2
#define SS_AUTODISARM		 (1u << 31)
#define UC_FP_XSTATE		 1
#define UC_SIGCONTEXT_SS	 2
#define UC_STRICT_RESTORE_SS	 4
#define RFLAGS_CLEAR_FOR_HANDLER 0x10500ull /* TF, DF, RF */

struct mcontext {
	u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip,
		rflags;
	u16 cs, gs, fs, ss;
	u64 error, trapno, oldmask, cr2;
	u64 fpstate; /* user address */
	u64 reserved[8];
};

struct ucontext {
	u64 flags, link;
	u64 stack_base;
	s32 stack_flags;
	u32 pad;
	u64 stack_size;
	struct mcontext mc;
	u64 mask;
};

struct rt_frame {
	u64 return_address;
	struct ucontext uc;
	struct siginfo info;
};

static bool on_altstack(const struct task_signals *ts, u64 rsp)
{
	return !(ts->altstack_flags & SS_AUTODISARM) && rsp > ts->altstack_base &&
	       rsp - ts->altstack_base <= ts->altstack_size;
}

static u32 altstack_state(const struct task_signals *ts, u64 rsp)
{
	if (!ts->altstack_size)
		return SS_DISABLE;
	return on_altstack(ts, rsp) ? SS_ONSTACK : 0;
}

static void mcontext_fill(struct mcontext *m, const struct trapframe *f,
			  const struct task_signals *ts, sigset_t mask, uaddr_t fpstate)
{
	*m = (struct mcontext){
		.r8 = f->r8,
		.r9 = f->r9,
		.r10 = f->r10,
		.r11 = f->r11,
		.r12 = f->r12,
		.r13 = f->r13,
		.r14 = f->r14,
		.r15 = f->r15,
		.rdi = f->rdi,
		.rsi = f->rsi,
		.rbp = f->rbp,
		.rbx = f->rbx,
		.rdx = f->rdx,
		.rax = f->rax,
		.rcx = f->rcx,
		.rsp = f->rsp,
		.rip = f->rip,
		.rflags = f->rflags,
		.cs = f->cs,
		.ss = f->ss,
		.error = ts->fault_error,
		.trapno = ts->fault_trapno,
		.oldmask = mask,
		.cr2 = current->fault_address,
		.fpstate = fpstate,
	};
}

static void mcontext_restore(struct trapframe *f, const struct mcontext *m)
{
	f->r8 = m->r8, f->r9 = m->r9, f->r10 = m->r10, f->r11 = m->r11, f->r12 = m->r12;
	f->r13 = m->r13, f->r14 = m->r14, f->r15 = m->r15, f->rdi = m->rdi, f->rsi = m->rsi;
	f->rbp = m->rbp, f->rbx = m->rbx, f->rdx = m->rdx, f->rax = m->rax, f->rcx = m->rcx;
	f->rsp = m->rsp, f->rip = m->rip;
	f->rflags = (f->rflags & ~RFLAGS_USER) | (m->rflags & RFLAGS_USER) | RFLAGS_IF;
	f->cs = USER_CS, f->ss = USER_SS;
	f->orig_rax = (u64)-1;
}

/* Where the frame goes: 0 if the alternate stack would overflow. */
static u64 frame_stack(const struct task_signals *ts, const struct trapframe *f, u64 sa_flags)
{
	u64 rsp = f->rsp - RED_ZONE;

	if ((sa_flags & SA_ONSTACK) && ts->altstack_size && !on_altstack(ts, f->rsp))
		return ts->altstack_base + ts->altstack_size;
	if (on_altstack(ts, f->rsp) &&
	    !on_altstack(ts, rsp - fpu_frame_size() - sizeof(struct rt_frame)))
		return 0;
	return rsp;
}

int sigframe_push(struct trapframe *f, int sig, const struct sigaction_kernel *a,
		  const struct siginfo *info, sigset_t old_mask)
{
	struct task_signals *ts = current->signals;
	u64 top = frame_stack(ts, f, a->flags), fpstate, address;
	struct rt_frame frame;

	if (!top || !(a->flags & SA_RESTORER))
		return -EFAULT;
	fpstate = ALIGN_DOWN(top - fpu_frame_size(), 64);
	address = ALIGN_DOWN(fpstate - sizeof(frame), 16) - 8;
	if (!fpu_frame_size()) /* never used: sigreturn gives the initial state for NULL */
		fpstate = 0;
	memset(&frame, 0, sizeof(frame));
	frame.return_address = a->restorer;
	frame.uc.flags = (fpstate ? UC_FP_XSTATE : 0) | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	frame.uc.stack_base = ts->altstack_base;
	frame.uc.stack_size = ts->altstack_size;
	frame.uc.stack_flags = altstack_state(ts, f->rsp) | ts->altstack_flags;
	mcontext_fill(&frame.uc.mc, f, ts, old_mask, fpstate);
	frame.uc.mask = old_mask;
	frame.info = *info;
	if (fpu_save_to_user(fpstate) || copy_to_user(address, &frame, sizeof(frame)))
		return -EFAULT;
	if (ts->altstack_flags & SS_AUTODISARM)
		ts->altstack_base = ts->altstack_size = ts->altstack_flags = 0;
	f->rdi = sig;
	f->rsi = address + offsetof(struct rt_frame, info);
	f->rdx = address + offsetof(struct rt_frame, uc);
	f->rax = 0;
	f->rsp = address;
	f->rip = a->handler;
	f->cs = USER_CS, f->ss = USER_SS;
	f->rflags &= ~RFLAGS_CLEAR_FOR_HANDLER;
	f->orig_rax = (u64)-1;
	return 0;
}

/* 0, -EPERM (on it), -EINVAL (flags), -ENOMEM (too small). */
static int altstack_set(struct task_signals *ts, u64 rsp, u64 base, u64 size, u32 flags)
{
	u32 mode = flags & ~SS_AUTODISARM;

	if (on_altstack(ts, rsp))
		return -EPERM;
	if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE)
		return -EINVAL;
	if (ts->altstack_base == base && ts->altstack_size == size && ts->altstack_flags == flags)
		return 0; /* nothing changes */
	if (mode == SS_DISABLE) {
		ts->altstack_base = ts->altstack_size = 0;
		ts->altstack_flags = 0;
		return 0;
	}
	if (size < MINSIGSTKSZ)
		return -ENOMEM;
	ts->altstack_base = base;
	ts->altstack_size = size;
	ts->altstack_flags = flags & SS_AUTODISARM;
	return 0;
}

s64 sys_rt_sigreturn(struct trapframe *f)
{
	struct task_signals *ts = current->signals;
	struct rt_frame frame;

	if (get_user(&frame, f->rsp - 8))
		goto bad;
	if (frame.uc.mc.fpstate && fpu_restore_from_user(frame.uc.mc.fpstate))
		goto bad;
	if (!frame.uc.mc.fpstate)
		fpu_reset_current();
	mcontext_restore(f, &frame.uc.mc);
	signal_set_blocked(frame.uc.mask);
	altstack_set(ts, f->rsp, frame.uc.stack_base, frame.uc.stack_size,
		     frame.uc.stack_flags & ~SS_ONSTACK);
	return f->rax;

bad:
	signal_fault(SIGSEGV, SI_KERNEL, 0, 0, 0);
	return 0;
}

struct stack_user { /* stack_t */
	u64 base;
	s32 flags;
	u32 pad;
	u64 size;
};

s64 sys_sigaltstack(uaddr_t new, uaddr_t old)
{
	struct task_signals *ts = current->signals;
	u64 rsp = task_frame(current)->rsp;
	struct stack_user n, o = {
		.base = ts->altstack_base,
		.size = ts->altstack_size,
		.flags = altstack_state(ts, rsp) | ts->altstack_flags,
	};
	int err;

	if (new) {
		if (get_user(&n, new))
			return -EFAULT;
		err = altstack_set(ts, rsp, n.base, n.size, n.flags);
		if (err)
			return err;
	}
	return old ? put_user(old, &o) : 0;
}
