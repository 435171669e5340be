/* SPDX-License-Identifier: MIT */
/* vdso_image.c - the vDSO's pages as the kernel sees them (vdso/ has their source). */
#include "arch/x86/arch.h"
#include "arch/x86/vdso/data.h"
#include "core/time.h"
#include "vdso_symbols.h"

extern const char vdso_code[], vdso_code_end[];

static union {
	struct vdso_data data;
	u8 page[PAGE_SIZE];
} vdso_page __aligned(4096);

const struct vdso_image *arch_vdso(void)
{
	static struct vdso_image image;

	image = (struct vdso_image){
		.code = vdso_code,
		.code_size = vdso_code_end - vdso_code,
		.data = &vdso_page,
		.sigreturn = VDSO_RESTORE_RT,
	};
	return &image;
}

/* Writers: clock_init, and clock_settime's under the clock's own lock. */
void arch_vdso_update(void)
{
	struct vdso_data *d = &vdso_page.data;
	u32 seq = d->seq;

	__atomic_store_n(&d->seq, seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	d->wall_offset = realtime_offset();
	__atomic_store_n(&d->seq, seq + 2, __ATOMIC_RELEASE);
}
