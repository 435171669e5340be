/* SPDX-License-Identifier: MIT */
/* pic.c - the two 8259s of a PC: moved away from the exceptions' vectors, and masked for good. */
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"

void pic_init(void)
{
	outb(0x20, 0x11); /* ICW1: initialise, ICW4 follows */
	outb(0xa0, 0x11);
	outb(0x21, VECTOR_LEGACY);
	outb(0xa1, VECTOR_LEGACY + 8);
	outb(0x21, 4); /* ICW3: the second one is at input 2 */
	outb(0xa1, 2);
	outb(0x21, 1); /* ICW4: 8086 mode */
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}
