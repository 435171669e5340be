/* SPDX-License-Identifier: MIT */
/* rtc.c - the wall-clock time at boot, from the CMOS clock (MC146818 data sheet). */
#include "arch/x86/arch.h"
#include "arch/x86/io.h"

enum {
	RTC_SECONDS = 0,
	RTC_MINUTES = 2,
	RTC_HOURS = 4,
	RTC_DAY = 7,
	RTC_MONTH = 8,
	RTC_YEAR = 9,
	RTC_A = 10,
	RTC_B = 11
};
#define RTC_A_UPDATING BIT(7)
#define RTC_B_BINARY   BIT(2)
#define RTC_B_24_HOURS BIT(1)

static u8 cmos_read(u8 reg)
{
	outb(0x70, reg | 0x80); /* bit 7: NMI stays off meanwhile */
	return inb(0x71);
}

static unsigned decode(u8 v, u8 mode)
{
	return mode & RTC_B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March. */
static s64 days_of(s64 year, unsigned month, unsigned day)
{
	year -= month <= 2;
	s64 era = year / 400;
	unsigned yoe = year - era * 400;
	unsigned doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

s64 arch_rtc_read(void)
{
	u8 mode = cmos_read(RTC_B), raw[6];
	static const u8 regs[6] = { RTC_SECONDS, RTC_MINUTES, RTC_HOURS,
				    RTC_DAY,	 RTC_MONTH,   RTC_YEAR };

	if (mode == 0xff)
		return 0; /* nobody answers */
	/* An update takes 2 ms, and the same seconds on both sides mean that none came between. */
	for (int tries = 0; tries < 100; tries++) {
		while (cmos_read(RTC_A) & RTC_A_UPDATING)
			cpu_pause();
		for (int i = 0; i < 6; i++)
			raw[i] = cmos_read(regs[i]);
		if (cmos_read(RTC_SECONDS) == raw[0])
			break;
	}
	unsigned hours = decode(raw[2] & 0x7f, mode);
	if (!(mode & RTC_B_24_HOURS))
		hours = hours % 12 + (raw[2] & 0x80 ? 12 : 0);
	unsigned year = decode(raw[5], mode); /* two digits, as Linux reads them */
	s64 days = days_of(year < 70 ? 2000 + year : 1900 + year, decode(raw[4], mode),
			   decode(raw[3], mode));
	return ((days * 24 + hours) * 60 + decode(raw[1], mode)) * 60 + decode(raw[0], mode);
}
