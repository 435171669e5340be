/* SPDX-License-Identifier: MIT */
/* cred_bits.h - securebits (man 7 capabilities). */
#ifndef PROC_CRED_BITS_H
#define PROC_CRED_BITS_H

#define SECBIT_NOROOT			   0x01
#define SECBIT_NOROOT_LOCKED		   0x02
#define SECBIT_NO_SETUID_FIXUP		   0x04
#define SECBIT_NO_SETUID_FIXUP_LOCKED	   0x08
#define SECBIT_KEEP_CAPS		   0x10
#define SECBIT_KEEP_CAPS_LOCKED		   0x20
#define SECBIT_NO_CAP_AMBIENT_RAISE	   0x40
#define SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED 0x80
#define SECBIT_ALL			   0xff
#define SECBIT_LOCKS			   0xaa

#endif
