/* SPDX-License-Identifier: MIT */
/* selftest.h - with "selftest" on the command line of a debug kernel: tests mm before the files
 * start. */
#ifndef MM_SELFTEST_H
#define MM_SELFTEST_H

void mm_selftest(void);

#endif
