/* SPDX-License-Identifier: MIT */
/*
 * acpi.c - the few ACPI tables that the kernel reads (ACPI specification 6.4):
 * MADT (5.2.12: CPUs, IOAPICs, interrupt overrides), FADT (5.2.9: power, reset, PM
 * timer), HPET, and of the DSDT only the two numbers of \_S5 (soft off). There is
 * no AML interpreter. All of it is copied into `machine` at boot.
 *
 * Tables lie in memory that the map may call reserved, so they are read through
 * mappings of their own.
 */
#include "arch/x86/boot.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/mmu.h"
#include "core/printk.h"
#include "lib/string.h"

struct machine machine;

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} __packed;

struct acpi_rsdp { /* 5.2.5.3 */
	char signature[8];
	u8 checksum;
	char oem[6];
	u8 revision;
	u32 rsdt;
	u32 length;
	u64 xsdt;
	u8 extended_checksum, reserved[3];
} __packed;

struct acpi_address { /* generic address structure, 5.2.3.2 */
	u8 space, width, offset, access;
	u64 address;
} __packed;
enum { ACPI_MEMORY = 0, ACPI_PORT = 1 };

struct acpi_fadt {
	struct acpi_header header;
	u32 facs, dsdt;
	u8 reserved0[12];
	u32 pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
	u8 reserved1[29];
	u16 boot_flags;
	u8 reserved2;
	u32 flags;
	struct acpi_address reset;
	u8 reset_value;
	u16 arm_flags;
	u8 minor;
	u64 x_facs, x_dsdt;
	u8 reserved3[96];
	struct acpi_address sleep_control, sleep_status;
} __packed;
_Static_assert(offsetof(struct acpi_fadt, pm_timer) == 76, "FADT");
_Static_assert(offsetof(struct acpi_fadt, boot_flags) == 109, "FADT");
_Static_assert(offsetof(struct acpi_fadt, reset) == 116, "FADT");
_Static_assert(offsetof(struct acpi_fadt, sleep_control) == 244, "FADT");
#define FADT_TIMER_32  BIT(8)
#define FADT_RESET     BIT(10)
#define FADT_REDUCED   BIT(20)
#define FADT_BOOT_8042 BIT(1)

struct acpi_hpet {
	struct acpi_header header;
	u32 id;
	struct acpi_address address;
} __packed;

struct madt_entry {
	u8 type, length;
	union {
		struct {
			u8 uid, apic_id;
			u32 flags;
		} __packed lapic; /* 0 */
		struct {
			u8 id, pad;
			u32 address, gsi_base;
		} __packed ioapic; /* 1 */
		struct {
			u8 bus, source;
			u32 gsi;
			u16 flags;
		} __packed override; /* 2 */
		struct {
			u16 pad;
			u32 apic_id, flags, uid;
		} __packed x2apic; /* 9 */
	};
} __packed;

#define REGION_MAX 0x100000 /* a table is not larger than this */

/* A mapping that is kept: there are few, and boot needs no more. */
static const void *table_map(paddr_t pa, size_t size)
{
	return (const void *)mmio_map(pa, size);
}

static const struct acpi_header *table_open(paddr_t pa)
{
	const struct acpi_header *h = table_map(pa, sizeof(*h));
	u32 length = h->length;

	if (length < sizeof(*h) || length > REGION_MAX)
		return NULL;
	if ((pa & PAGE_MASK) + length > PAGE_SIZE)
		h = table_map(pa, length);
	return h;
}

/* --- MADT --- */

void machine_add_cpu(u32 id)
{
	if (machine.cpu_count < CPU_MAX)
		machine.apic_ids[machine.cpu_count++] = id;
}

void machine_add_ioapic(paddr_t address, u32 gsi_base)
{
	if (machine.ioapic_count == ARRAY_SIZE(machine.ioapic))
		return;
	machine.ioapic[machine.ioapic_count].address = address;
	machine.ioapic[machine.ioapic_count++].gsi_base = gsi_base;
}

static void madt_override(const struct madt_entry *e)
{
	u16 flags = e->override.flags; /* MPS INTI flags, 5.2.12.5: 0 as the bus does */

	if (e->override.source >= ARRAY_SIZE(machine.isa))
		return;
	machine.isa[e->override.source] = (struct irq_override){
		.gsi = e->override.gsi,
		.active_low = (flags & 3) == 3,
		.level = (flags >> 2 & 3) == 3,
	};
}

static void madt_entry_read(const struct madt_entry *e)
{
	switch (e->type) {
	case 0:
		if (e->lapic.flags & 1)
			machine_add_cpu(e->lapic.apic_id);
		break;
	case 1:
		machine_add_ioapic(e->ioapic.address, e->ioapic.gsi_base);
		break;
	case 2:
		madt_override(e);
		break;
	case 9:
		if ((e->x2apic.flags & 1) && e->x2apic.apic_id > 254)
			machine_add_cpu(e->x2apic.apic_id);
		break;
	}
}

static void madt_read(const struct acpi_header *h)
{
	const char *p = (const char *)h + 44, *end = (const char *)h + h->length;

	while (p + 2 <= end) {
		const struct madt_entry *e = (const void *)p;
		if (e->length < 2)
			break;
		madt_entry_read(e);
		p += e->length;
	}
}

/* --- FADT, DSDT --- */

/* An AML constant: BytePrefix n, or ZeroOp, OneOp (20.2.3). */
static const u8 *aml_byte(const u8 *p, u8 *value)
{
	*value = *p == 0x0a ? p[1] : *p;
	return p + (*p == 0x0a ? 2 : 1);
}

/* Finds Name (_S5_, Package () { SLP_TYPa, ...}) by its bytes. */
static void dsdt_read(const struct acpi_header *h)
{
	const u8 *p = (const u8 *)h, *end = p + h->length;

	for (; p + 9 <= end; p++) { /* the name, 12, length, count, 0a nn */
		if (memcmp(p, "_S5_", 4) != 0 || p[4] != 0x12)
			continue;
		p += 5;
		p += (*p >> 6) + 1; /* PkgLength */
		p++;		    /* NumElements */
		aml_byte(p, &machine.s5_type);
		return;
	}
}

static void fadt_reset(const struct acpi_fadt *f)
{
	if (!(f->flags & FADT_RESET))
		return;
	machine.reset_value = f->reset_value;
	if (f->reset.space == ACPI_MEMORY)
		machine.reset_register = f->reset.address;
	else if (f->reset.space == ACPI_PORT)
		machine.reset_port = f->reset.address;
}

static void fadt_read(const struct acpi_fadt *f)
{
	u32 length = f->header.length;
	const struct acpi_header *dsdt;
	paddr_t pa = f->dsdt;

	machine.pm_timer = f->pm_timer;
	machine.pm_timer_32 = f->flags & FADT_TIMER_32;
	machine.pm1a_control = f->pm1a_control;
	machine.has_i8042 = f->boot_flags & FADT_BOOT_8042;
	if (length >= offsetof(struct acpi_fadt, arm_flags))
		fadt_reset(f);
	if (length >= offsetof(struct acpi_fadt, reserved3) && f->x_dsdt)
		pa = f->x_dsdt;
	if (length >= sizeof(*f) && (f->flags & FADT_REDUCED)) {
		machine.sleep_control = f->sleep_control.address;
		machine.pm_timer = machine.pm1a_control = 0;
	}
	dsdt = pa ? table_open(pa) : NULL;
	if (dsdt)
		dsdt_read(dsdt);
}

/* --- finding them --- */

static void table_read(paddr_t pa)
{
	const struct acpi_header *h = table_open(pa);

	if (!h)
		return;
	if (memcmp(h->signature, "APIC", 4) == 0)
		madt_read(h);
	else if (memcmp(h->signature, "FACP", 4) == 0)
		fadt_read((const void *)h);
	else if (memcmp(h->signature, "HPET", 4) == 0)
		machine.hpet = ((const struct acpi_hpet *)h)->address.address;
}

/* The root table: 32-bit (RSDT) or 64-bit (XSDT) addresses. */
static void root_read(paddr_t pa, unsigned width)
{
	const struct acpi_header *h = table_open(pa);

	if (!h)
		return;
	const char *p = (const char *)(h + 1), *end = (const char *)h + h->length;
	for (; p + width <= end; p += width) {
		u64 at = 0;
		memcpy(&at, p, width);
		table_read(at);
	}
}

#define RSDP_SIGNATURE "RSD PTR "

static bool rsdp_valid(const struct acpi_rsdp *r)
{
	u8 sum = 0;

	if (memcmp(r->signature, RSDP_SIGNATURE, 8) != 0)
		return false;
	for (unsigned i = 0; i < 20; i++)
		sum += ((const u8 *)r)[i];
	return sum == 0;
}

/* 5.2.5.1: on a 16-byte boundary in the BIOS area. */
static const struct acpi_rsdp *rsdp_scan(void)
{
	u64 signature;

	memcpy(&signature, RSDP_SIGNATURE, sizeof(signature));
	for (paddr_t pa = 0xe0000; pa < 0x100000; pa += 16)
		if (*(const u64 *)phys_to_virt(pa) == signature && rsdp_valid(phys_to_virt(pa)))
			return phys_to_virt(pa);
	return NULL;
}

bool acpi_init(void)
{
	const struct acpi_rsdp *r = NULL;

	for (unsigned i = 0; i < ARRAY_SIZE(machine.isa); i++)
		machine.isa[i].gsi = i;
	if (boot_info.rsdp)
		r = table_map(boot_info.rsdp, sizeof(*r));
	if (!r || !rsdp_valid(r))
		r = rsdp_scan();
	if (!r)
		return false;
	if (r->revision >= 2 && r->xsdt)
		root_read(r->xsdt, 8);
	else
		root_read(r->rsdt, 4);
	machine.has_acpi = true;
	return machine.cpu_count > 0;
}
