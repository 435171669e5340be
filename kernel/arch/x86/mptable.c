/* SPDX-License-Identifier: MIT */
/*
 * mptable.c - the Intel MultiProcessor Specification's table (version 1.4,
 * chapter 4): how microvm without ACPI, and some other machine monitors, name
 * their CPUs and IOAPICs. QEMU's table says that it has no entries; so it is
 * walked by its length.
 */
#include "arch/x86/cpu_arch.h"
#include "arch/x86/mmu.h"
#include "core/printk.h"
#include "lib/string.h"

struct mp_pointer {
	char signature[4]; /* "_MP_" */
	u32 table;
	u8 length, revision, checksum, features[5];
} __packed;

struct mp_header {
	char signature[4]; /* "PCMP" */
	u16 length;
	u8 revision, checksum;
	char oem[8], product[12];
	u32 oem_table;
	u16 oem_size, entry_count;
	u32 lapic;
	u16 extended_length;
	u8 extended_checksum, reserved;
} __packed;

enum { MP_CPU = 0, MP_BUS = 1, MP_IOAPIC = 2, MP_INTERRUPT = 3, MP_LOCAL_INTERRUPT = 4 };
#define MP_ENABLED BIT(0)

struct mp_entry {
	u8 type;
	u8 id;
	u8 version, flags;
	u32 address;
} __packed;

static const struct mp_pointer *pointer_scan(paddr_t start, paddr_t end)
{
	for (paddr_t pa = start; pa + sizeof(struct mp_pointer) <= end; pa += 16) {
		const struct mp_pointer *p = phys_to_virt(pa);
		u8 sum = 0;
		if (memcmp(p->signature, "_MP_", 4) != 0)
			continue;
		for (unsigned i = 0; i < sizeof(*p); i++)
			sum += ((const u8 *)p)[i];
		if (sum == 0 && p->table && p->table < 0x100000)
			return p;
	}
	return NULL;
}

bool mptable_init(void)
{
	const struct mp_pointer *p = pointer_scan(0x9fc00, 0xa0000);

	if (!p)
		p = pointer_scan(0xf0000, 0x100000);
	if (!p)
		return false;
	const struct mp_header *h = phys_to_virt(p->table);
	if (memcmp(h->signature, "PCMP", 4) != 0)
		return false;
	u32 gsi_base = 0;
	const char *at = (const char *)(h + 1), *end = (const char *)h + h->length;
	while (at + 8 <= end) {
		const struct mp_entry *e = (const void *)at;
		if (e->type == MP_CPU && (e->flags & MP_ENABLED))
			machine_add_cpu(e->id);
		if (e->type == MP_IOAPIC && (e->flags & MP_ENABLED)) {
			machine_add_ioapic(e->address, gsi_base);
			gsi_base += 24;
		}
		at += e->type == MP_CPU ? 20 : 8;
	}
	return machine.cpu_count > 0;
}
