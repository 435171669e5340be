/* SPDX-License-Identifier: MIT */
/* io.h - ports, MSRs, control registers and device memory (SDM vol. 2). */
#ifndef ARCH_IO_H
#define ARCH_IO_H

#include "lib/types.h"

static inline u8 inb(u16 p)
{
	u8 v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(p));
	return v;
}
static inline u16 inw(u16 p)
{
	u16 v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(p));
	return v;
}
static inline u32 inl(u16 p)
{
	u32 v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(p));
	return v;
}
static inline void outb(u16 p, u8 v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(p));
}
static inline void outw(u16 p, u16 v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(p));
}
static inline void outl(u16 p, u32 v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(p));
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}
static inline void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline u64 rdtsc(void)
{
	u32 lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}
static inline void cpu_pause(void)
{
	__asm__ volatile("pause");
}
static inline void interrupts_on(void)
{
	__asm__ volatile("sti" ::: "memory");
}
static inline void interrupts_off(void)
{
	__asm__ volatile("cli" ::: "memory");
}

/* Device memory: mapped uncached by mmio_map() (mmu.h). */
static inline u8 mmio_read8(const volatile void *p)
{
	return *(const volatile u8 *)p;
}
static inline u16 mmio_read16(const volatile void *p)
{
	return *(const volatile u16 *)p;
}
static inline u32 mmio_read32(const volatile void *p)
{
	return *(const volatile u32 *)p;
}
static inline void mmio_write8(volatile void *p, u8 v)
{
	*(volatile u8 *)p = v;
}
static inline void mmio_write16(volatile void *p, u16 v)
{
	*(volatile u16 *)p = v;
}
static inline void mmio_write32(volatile void *p, u32 v)
{
	*(volatile u32 *)p = v;
}

#endif
