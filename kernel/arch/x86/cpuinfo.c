/* SPDX-License-Identifier: MIT */
/*
 * cpuinfo.c - the text of /proc/cpuinfo, in the format that Linux has (proc(5)):
 * programs look for "processor", "model name", "flags" and "cpu MHz".
 */
#include "arch/x86/arch.h"
#include "arch/x86/cpu_arch.h"
#include "lib/string.h"

/* Linux's names of the feature bits, in its order; NULL: not shown. */
static const char *const names_1d[32] = {
	"fpu",	"vme",	"de",	"pse", "tsc",  "msr", "pae",   "mce", "cx8",	 "apic", NULL,
	"sep",	"mtrr", "pge",	"mca", "cmov", "pat", "pse36", "pn",  "clflush", NULL,	 "dts",
	"acpi", "mmx",	"fxsr", "sse", "sse2", "ss",  "ht",    "tm",  "ia64",	 "pbe",
};
static const char *const names_e1d[32] = {
	[11] = "syscall", [19] = "mp",	   [20] = "nx", [22] = "mmxext",   [25] = "fxsr_opt",
	[26] = "pdpe1gb", [27] = "rdtscp", [29] = "lm", [30] = "3dnowext", [31] = "3dnow",
};
static const char *const names_1c[32] = {
	"pni",	  "pclmulqdq",	"dtes64", "monitor", "ds_cpl",
	"vmx",	  "smx",	"est",	  "tm2",     "ssse3",
	"cid",	  "sdbg",	"fma",	  "cx16",    "xtpr",
	"pdcm",	  NULL,		"pcid",	  "dca",     "sse4_1",
	"sse4_2", "x2apic",	"movbe",  "popcnt",  "tsc_deadline_timer",
	"aes",	  "xsave",	NULL,	  "avx",     "f16c",
	"rdrand", "hypervisor",
};
static const char *const names_e1c[32] = {
	"lahf_lm",     "cmp_legacy",	"svm",	"extapic", "cr8_legacy", "abm",	   "sse4a",
	"misalignsse", "3dnowprefetch", "osvw", "ibs",	   "xop",	 "skinit", "wdt",
	NULL,	       "lwp",		"fma4", "tce",
};
static const char *const names_7b[32] = {
	"fsgsbase",   "tsc_adjust", "sgx",	  "bmi1",     "hle",	  "avx2",     NULL,
	"smep",	      "bmi2",	    "erms",	  "invpcid",  "rtm",	  "cqm",      NULL,
	"mpx",	      "rdt_a",	    "avx512f",	  "avx512dq", "rdseed",	  "adx",      "smap",
	"avx512ifma", NULL,	    "clflushopt", "clwb",     "intel_pt", "avx512pf", "avx512er",
	"avx512cd",   "sha_ni",	    "avx512bw",	  "avx512vl",
};
static const char *const names_d1a[32] = { "xsaveopt", "xsavec", "xgetbv1", "xsaves" };
static const char *const names_7c[32] = {
	[1] = "avx512vbmi",   [2] = "umip",	      [6] = "avx512_vbmi2",
	[8] = "gfni",	      [9] = "vaes",	      [10] = "vpclmulqdq",
	[11] = "avx512_vnni", [12] = "avx512_bitalg", [14] = "avx512_vpopcntdq",
	[22] = "rdpid",
};

struct text {
	char *buf;
	size_t size, used;
};

static void __printf(2, 3) emit(struct text *t, const char *fmt, ...)
{
	size_t left = t->used < t->size ? t->size - t->used : 0;
	va_list ap;

	va_start(ap, fmt);
	t->used += vsnprintf(left ? t->buf + t->used : NULL, left, fmt, ap);
	va_end(ap);
}

static void emit_flags(struct text *t, u32 word, const char *const names[32])
{
	for (unsigned i = 0; i < 32; i++)
		if ((word & BIT(i)) && names[i])
			emit(t, " %s", names[i]);
}

static void emit_all_flags(struct text *t)
{
	struct cpuid l1 = cpuid(1, 0), e1 = cpuid(0x80000001, 0), l7 = { 0 }, ld = { 0 };
	u32 max = cpuid(0, 0).a;

	if (max >= 7)
		l7 = cpuid(7, 0);
	if (max >= 0xd)
		ld = cpuid(0xd, 1);
	emit(t, "flags\t\t:");
	emit_flags(t, l1.d, names_1d);
	emit_flags(t, e1.d, names_e1d);
	emit_flags(t, l1.c, names_1c);
	emit_flags(t, e1.c, names_e1c);
	emit_flags(t, l7.b, names_7b);
	emit_flags(t, ld.a, names_d1a);
	emit_flags(t, l7.c, names_7c);
	emit(t, "\n");
}

/* 48 bytes in three leaves (SDM vol. 2, CPUID). */
static void brand_string(char out[49])
{
	struct cpuid part[3];

	for (unsigned i = 0; i < 3; i++)
		part[i] = cpuid(0x80000002 + i, 0);
	memcpy(out, part, 48);
	out[48] = 0;
}

static void vendor_string(char out[13])
{
	struct cpuid v = cpuid(0, 0);
	u32 words[3] = { v.b, v.d, v.c };

	memcpy(out, words, 12);
	out[12] = 0;
}

size_t arch_cpuinfo(unsigned cpu, char *buf, size_t size)
{
	struct text t = { buf, size, 0 };
	struct cpuid l1 = cpuid(1, 0);
	u32 family = l1.a >> 8 & 15, model = l1.a >> 4 & 15;
	u32 address_bits = cpuid(0x80000008, 0).a, mhz_thousandths = arch_tsc_khz() % 1000;
	char vendor[13], brand[49];

	if (family == 15)
		family += l1.a >> 20 & 255;
	if (family == 6 || family >= 15)
		model |= (l1.a >> 16 & 15) << 4;
	vendor_string(vendor);
	brand_string(brand);
	emit(&t, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", cpu, vendor,
	     family, model);
	emit(&t, "model name\t: %s\nstepping\t: %u\n", brand, l1.a & 15);
	emit(&t, "cpu MHz\t\t: %lu.%03u\n", arch_tsc_khz() / 1000, mhz_thousandths);
	emit(&t, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n", cpu_count,
	     cpu, cpu_count);
	emit(&t, "apicid\t\t: %u\ninitial apicid\t: %u\n", cpus[cpu]->apic_id, cpus[cpu]->apic_id);
	emit(&t, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n",
	     cpuid(0, 0).a);
	emit_all_flags(&t);
	emit(&t, "bogomips\t: %lu.%02u\n", arch_tsc_khz() * 2 / 1000,
	     mhz_thousandths * 2 / 10 % 100);
	emit(&t, "clflush size\t: %u\ncache_alignment\t: 64\n", (l1.b >> 8 & 255) * 8);
	emit(&t, "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n",
	     address_bits & 255, address_bits >> 8 & 255);
	return t.used;
}
