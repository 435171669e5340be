/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - the user's x87, SSE and AVX state. The kernel itself is compiled
 * without (-mgeneral-regs-only).
 *
 * Lazy: CR0.TS is set when a task is switched in, and its first FPU instruction
 * traps (#NM) and loads its state. At switch-out the state is saved only if it was
 * loaded. Most switches between tasks that sleep in system calls touch no FPU
 * state at all; an FXSAVE or XSAVE is 400 ns and more in an emulator, and XINUSE
 * is of no help there (it says "in use" always). The price is a trap for tasks
 * that use the FPU in every slice. On hardware a trap costs as much as a save and
 * a restore, and CVE-2018-3665 (lazy FP state restore) reads stale registers
 * through TS; there `eager` loads the state at switch-in, if the task has one.
 *
 * A task has no area until its first FPU instruction (task->fpu NULL: the initial
 * state): one that never uses the FPU pays nothing in fork, exec or memory.
 *
 *	live    TS is clear, the registers are current's, newer than its area
 *	owner   whose area the registers were last loaded from or saved to: if they
 *	        still are (state->cpu agrees), #NM only clears TS
 *
 * The area is XSAVE's standard format (SDM vol. 1, 13.4) followed by what Linux
 * puts behind it in signal frames, so that a frame is one copy.
 */
#include "arch/x86/arch.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"
#include "arch/x86/uaccess.h"
#include "core/printk.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"

#define XCR0_X87_SSE 3
#define XCR0_WANTED  0xe7 /* x87, SSE, AVX, AVX-512 */
#define MXCSR_RESET  0x1f80
#define FCW_RESET    0x37f
#define FXSAVE_SIZE  512
#define CPU_NONE     UINT32_MAX

struct fxsave { /* SDM vol. 1, 10.5.1 */
	u16 fcw, fsw;
	u8 ftw, reserved;
	u16 fop;
	u64 fip, fdp;
	u32 mxcsr, mxcsr_mask;
	u8 registers[432];
	/* bytes 464..511 are software's: Linux's struct _fpx_sw_bytes (asm/sigcontext.h) */
	u32 magic1, extended_size;
	u64 xfeatures;
	u32 xstate_size, padding[7];
};
_Static_assert(sizeof(struct fxsave) == FXSAVE_SIZE, "FXSAVE area");
#define FP_XSTATE_MAGIC1 0x46505853u
#define FP_XSTATE_MAGIC2 0x46505845u

struct xheader {
	u64 xstate_bv, xcomp_bv, reserved[6];
};

struct fpu_tail {   /* behind the area, at area_size */
	u32 magic2; /* goes into signal frames */
	u32 cpu;    /* whose registers have this state, if they are still owned by it */
};

static u32 area_size = FXSAVE_SIZE; /* what XSAVE writes */
static u64 features = XCR0_X87_SSE;
static u32 mxcsr_mask = 0xffbf;
static bool eager;
static struct slab_cache *cache;
static u8 initial[4096] __aligned(64); /* a fresh process's area and tail */

static inline struct fpu_tail *tail_of(void *area)
{
	return (struct fpu_tail *)((char *)area + area_size);
}

static inline struct xheader *header_of(void *area)
{
	return (struct xheader *)((char *)area + FXSAVE_SIZE);
}

/* --- the registers --- */

static inline void ts_clear(void)
{
	__asm__ volatile("clts" ::: "memory");
}

static inline void ts_set(void)
{
	u64 cr0;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" ::"r"(cr0 | CR0_TS) : "memory");
}

static void registers_save(void *area)
{
	if (cpu_has.xsaveopt)
		__asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(-1), "d"(-1) : "memory");
	else if (cpu_has.xsave)
		__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(-1), "d"(-1) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

static void registers_load(const void *area)
{
	if (cpu_has.xsave)
		__asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(-1), "d"(-1) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}

/* TS is clear: makes the registers those of `area`. */
static void load(struct cpu_arch *a, void *area)
{
	struct fpu_tail *tail = tail_of(area);

	if (a->fpu_owner != area || tail->cpu != a->cpu.id) {
		registers_load(area);
		a->fpu_owner = area;
		tail->cpu = a->cpu.id;
	}
	a->fpu_live = true;
}

/* The registers are nobody's from now on. */
static void discard(struct cpu_arch *a)
{
	if (a->fpu_live)
		ts_set();
	a->fpu_live = false;
	a->fpu_owner = NULL;
}

void fpu_switch(struct task *prev, struct task *next)
{
	struct cpu_arch *a = this_arch();

	if (a->fpu_live) {
		registers_save(prev->fpu);
		a->fpu_live = false;
		if (!eager || !next->fpu)
			ts_set();
	} else if (unlikely(eager) && next->fpu) {
		ts_clear();
	}
	if (unlikely(eager) && next->fpu)
		load(a, next->fpu);
}

/* #NM in user mode. False: no memory for the state. */
bool fpu_trap(void)
{
	struct cpu_arch *a;

	if (!current->fpu) {
		void *area = slab_alloc(cache);
		if (!area && memory_reclaim(current->account, 1) == 0)
			area = slab_alloc(cache);
		if (!area)
			return false;
		fpu_init_state(area);
		current->fpu = area;
	}
	a = this_arch(); /* reclaim may have slept */
	ts_clear();
	load(a, current->fpu);
	return true;
}

/* --- tasks --- */

size_t fpu_size(void)
{
	return ALIGN_UP(area_size + sizeof(struct fpu_tail), 64);
}

void fpu_init_state(void *area)
{
	memcpy(area, initial, area_size + sizeof(struct fpu_tail));
}

int fpu_clone(struct task *child)
{
	child->fpu = NULL;
	if (!current->fpu)
		return 0;
	child->fpu = slab_alloc(cache);
	if (!child->fpu)
		return -ENOMEM;
	if (this_arch()->fpu_live)
		registers_save(current->fpu);
	memcpy(child->fpu, current->fpu, area_size + sizeof(struct fpu_tail));
	tail_of(child->fpu)->cpu = CPU_NONE;
	return 0;
}

void fpu_free(struct task *t)
{
	if (!t->fpu)
		return;
	if (t == current)
		discard(this_arch());
	slab_free(cache, t->fpu);
	t->fpu = NULL;
}

void fpu_reset_current(void)
{
	fpu_free(current);
}

/* --- signal frames --- */

size_t fpu_frame_size(void)
{
	if (!current->fpu)
		return 0;
	return cpu_has.xsave ? area_size + sizeof(u32) : FXSAVE_SIZE;
}

int fpu_save_to_user(uaddr_t dst)
{
	if (!current->fpu)
		return 0;
	if (this_arch()->fpu_live)
		registers_save(current->fpu);
	return copy_to_user(dst, current->fpu, fpu_frame_size());
}

/* True if the frame at src holds all that XSAVE wrote, and not only FXSAVE's part. */
static bool frame_is_extended(const struct fxsave *fx, uaddr_t src)
{
	u32 magic2;

	return cpu_has.xsave && fx->magic1 == FP_XSTATE_MAGIC1 && fx->xstate_size == area_size &&
	       get_user(&magic2, src + area_size) == 0 && magic2 == FP_XSTATE_MAGIC2;
}

/* What a user may have put there and XRSTOR would fault on (SDM vol. 1, 13.8). */
static int state_check(void *area, bool extended)
{
	struct fxsave *fx = area;
	struct xheader *h = header_of(area);

	fx->mxcsr &= mxcsr_mask;
	memcpy(&fx->magic1, &((struct fxsave *)initial)->magic1, 48);
	if (!cpu_has.xsave)
		return 0;
	if (!extended)
		*h = (struct xheader){ .xstate_bv = XCR0_X87_SSE };
	h->xstate_bv &= features;
	if (h->xcomp_bv)
		return -EINVAL;
	memset(h->reserved, 0, sizeof(h->reserved));
	return 0;
}

/* Into a new area: the copy may sleep, and nothing unchecked may ever be loaded. */
static int state_from_user(void *area, uaddr_t src)
{
	struct fxsave *fx = area;
	u32 rest = area_size - FXSAVE_SIZE;

	if (copy_from_user(fx, src, FXSAVE_SIZE) < 0)
		return -EFAULT;
	bool extended = frame_is_extended(fx, src);
	if (!extended)
		memcpy((char *)area + FXSAVE_SIZE, initial + FXSAVE_SIZE, rest);
	else if (copy_from_user((char *)area + FXSAVE_SIZE, src + FXSAVE_SIZE, rest) < 0)
		return -EFAULT;
	memcpy(tail_of(area), tail_of(initial), sizeof(struct fpu_tail));
	return state_check(area, extended);
}

int fpu_restore_from_user(uaddr_t src)
{
	void *area;
	int err;

	if (!src) {
		fpu_reset_current();
		return 0;
	}
	area = slab_alloc(cache);
	if (!area)
		return -ENOMEM;
	err = state_from_user(area, src);
	if (err) {
		slab_free(cache, area);
		return err;
	}
	fpu_free(current);
	current->fpu = area;
	return 0;
}

/* sigaction(2): FPE_FLTINV 7, FLTDIV 3, FLTOVF 4, FLTUND 5, FLTRES 6. */
int fpu_exception_code(bool simd)
{
	const struct fxsave *fx = current->fpu;
	u32 raised;

	if (!fx)
		return 0;
	if (this_arch()->fpu_live)
		registers_save(current->fpu);
	raised = simd ? fx->mxcsr & ~(fx->mxcsr >> 7) : fx->fsw & ~fx->fcw;
	if (raised & BIT(0))
		return 7;
	if (raised & BIT(2))
		return 3;
	if (raised & BIT(3))
		return 4;
	if (raised & (BIT(4) | BIT(1)))
		return 5;
	return raised & BIT(5) ? 6 : 0;
}

/* --- start-up --- */

void fpu_init_cpu(void)
{
	if (cpu_has.xsave)
		__asm__ volatile("xsetbv" ::"c"(0), "a"((u32)features), "d"((u32)(features >> 32)));
	ts_set();
}

void fpu_init(void)
{
	struct fxsave *fx = (struct fxsave *)initial;

	if (cpu_has.xsave) {
		struct cpuid c = cpuid(0xd, 0);
		features = ((u64)c.d << 32 | c.a) & XCR0_WANTED;
		fpu_init_cpu();
		area_size = cpuid(0xd, 0).b;
		fx->magic1 = FP_XSTATE_MAGIC1;
		fx->extended_size = area_size + sizeof(u32);
		fx->xfeatures = features;
		fx->xstate_size = area_size;
	}
	BUG_IF(area_size + sizeof(struct fpu_tail) > sizeof(initial), "%u", area_size);
	fx->fcw = FCW_RESET;
	fx->mxcsr = MXCSR_RESET;
	tail_of(initial)->magic2 = FP_XSTATE_MAGIC2;
	tail_of(initial)->cpu = CPU_NONE;
	eager = !cpu_has.tcg;
	cache = slab_cache_create("fpu", fpu_size(), 64, SLAB_ACCOUNT);
}
