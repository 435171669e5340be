/* SPDX-License-Identifier: MIT */
/*
 * irq.c - device interrupts (irq.h): vectors, IOAPICs (82093AA data sheet), MSI
 * (SDM vol. 3, 10.11). Every source gets a vector of its own, routed to the boot
 * CPU; a GSI asked for twice shares its vector, and all handlers are called.
 *
 * Vectors and handlers are added at boot and never removed: a handler's list is
 * published with one store and read without a lock.
 */
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"
#include "arch/x86/irq.h"
#include "arch/x86/mmu.h"
#include "core/errno.h"
#include "core/printk.h"
#include "core/spinlock.h"
#include "mm/slab.h"

enum { IOAPIC_VERSION = 1, IOAPIC_REDIRECTION = 0x10 };
#define REDIRECT_LOW   BIT(13)
#define REDIRECT_LEVEL BIT(15)
#define REDIRECT_MASK  BIT(16)
#define MSI_ADDRESS    0xfee00000ull
#define GSI_MAX	       256

struct irq_action {
	irq_fn fn;
	void *arg;
	struct irq_action *next;
};

struct ioapic {
	volatile u8 *registers;
	u32 gsi_base, pins;
};

static struct ioapic ioapics[ARRAY_SIZE(machine.ioapic)];
static unsigned ioapic_count;
static struct irq_action *actions[256]; /* by vector */
static u8 gsi_vector[GSI_MAX];
static u8 next_vector = VECTOR_DEVICE_FIRST; /* irq_lock */
static spinlock_t irq_lock = SPINLOCK_INIT(RANK_NONE);

static u32 ioapic_read(const struct ioapic *io, u32 reg)
{
	mmio_write32(io->registers, reg);
	return mmio_read32(io->registers + 0x10);
}

static void ioapic_write(const struct ioapic *io, u32 reg, u32 v)
{
	mmio_write32(io->registers, reg);
	mmio_write32(io->registers + 0x10, v);
}

void ioapic_init(void)
{
	for (unsigned i = 0; i < machine.ioapic_count; i++) {
		struct ioapic *io = &ioapics[ioapic_count++];
		io->registers = mmio_map(machine.ioapic[i].address, 0x20);
		io->gsi_base = machine.ioapic[i].gsi_base;
		io->pins = (ioapic_read(io, IOAPIC_VERSION) >> 16 & 0xff) + 1;
		for (u32 pin = 0; pin < io->pins; pin++)
			ioapic_write(io, IOAPIC_REDIRECTION + 2 * pin, REDIRECT_MASK);
	}
}

static const struct ioapic *ioapic_of(u32 gsi)
{
	for (unsigned i = 0; i < ioapic_count; i++)
		if (gsi - ioapics[i].gsi_base < ioapics[i].pins)
			return &ioapics[i];
	return NULL;
}

static void gsi_route(const struct ioapic *io, u32 gsi, u8 vector, bool level, bool active_low)
{
	u32 reg = IOAPIC_REDIRECTION + 2 * (gsi - io->gsi_base);

	ioapic_write(io, reg + 1, machine.apic_ids[0] << 24);
	ioapic_write(io, reg,
		     vector | (level ? REDIRECT_LEVEL : 0) | (active_low ? REDIRECT_LOW : 0));
}

static struct irq_action *action_create(irq_fn fn, void *arg)
{
	struct irq_action *a = kmalloc(sizeof(*a), 0);

	if (a)
		*a = (struct irq_action){ .fn = fn, .arg = arg };
	return a;
}

static void action_add(u8 vector, struct irq_action *a)
{
	a->next = actions[vector];
	__atomic_store_n(&actions[vector], a, __ATOMIC_RELEASE);
}

int irq_request_gsi(u32 gsi, bool level, bool active_low, irq_fn fn, void *arg)
{
	const struct ioapic *io = ioapic_of(gsi);
	struct irq_action *a;
	int err = 0;

	if (!io || gsi >= GSI_MAX)
		return -EINVAL;
	a = action_create(fn, arg);
	if (!a)
		return -ENOMEM;
	spin_lock(&irq_lock);
	if (gsi_vector[gsi]) {
		action_add(gsi_vector[gsi], a);
	} else if (next_vector > VECTOR_DEVICE_LAST) {
		err = -ENOSPC;
	} else {
		gsi_vector[gsi] = next_vector++;
		action_add(gsi_vector[gsi], a);
		gsi_route(io, gsi, gsi_vector[gsi], level, active_low);
	}
	spin_unlock(&irq_lock);
	if (err)
		kfree(a);
	return err;
}

int irq_request_isa(unsigned irq, irq_fn fn, void *arg)
{
	if (irq >= ARRAY_SIZE(machine.isa))
		return -EINVAL;
	const struct irq_override *o = &machine.isa[irq];
	return irq_request_gsi(o->gsi, o->level, o->active_low, fn, arg);
}

int irq_request_msi(irq_fn fn, void *arg, u64 *address, u32 *data)
{
	struct irq_action *a = action_create(fn, arg);
	u8 vector = 0;

	if (!a)
		return -ENOMEM;
	spin_lock(&irq_lock);
	if (next_vector <= VECTOR_DEVICE_LAST) {
		vector = next_vector++;
		action_add(vector, a);
	}
	spin_unlock(&irq_lock);
	if (!vector) {
		kfree(a);
		return -ENOSPC;
	}
	*address = MSI_ADDRESS | machine.apic_ids[0] << 12;
	*data = vector;
	return 0;
}

void irq_dispatch(struct trapframe *f)
{
	u64 vector = f->vector;
	bool mine = false;

	if (vector == VECTOR_SPURIOUS || vector < VECTOR_DEVICE_FIRST)
		return; /* neither sets an in-service bit (10.9): no end of interrupt */
	for (struct irq_action *a = READ_ONCE(actions[vector]); a; a = a->next)
		mine |= a->fn(a->arg);
	WARN_ONCE(!mine && !actions[vector], "no handler for vector %lx", vector);
	apic_eoi();
}
