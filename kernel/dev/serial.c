/* SPDX-License-Identifier: MIT */
/*
 * serial.c - the first serial line (16550A; ports 0x3f8, IRQ 4): the kernel's log,
 * and the screen and keyboard of the virtual consoles where no virtio console
 * offers itself ("console=serial" asks for that in any case).
 *
 * Output polls the transmitter: it works in a panic, with any lock held.
 */
#include "arch/x86/boot.h"
#include "arch/x86/io.h"
#include "arch/x86/irq.h"
#include "core/printk.h"
#include "core/time.h"
#include "dev/dev.h"
#include "lib/string.h"
#include "tty/tty.h"

#define COM1	 0x3f8
#define IRQ_COM1 4
enum { DATA = 0, INTERRUPTS = 1, FIFO = 2, LINE = 3, MODEM = 4, LINE_STATUS = 5, SCRATCH = 7 };
#define LINE_8N1    0x03
#define LINE_DLAB   0x80
#define FIFO_ON	    0xc7
#define MODEM_READY 0x0b /* DTR, RTS, OUT2: interrupts reach the controller */
#define STATUS_DATA 0x01
#define STATUS_ROOM 0x20
#define POLLS_MAX   100000 /* a line that never gets ready is given up */

static bool present;

static void serial_put(char c)
{
	for (unsigned i = 0; i < POLLS_MAX && !(inb(COM1 + LINE_STATUS) & STATUS_ROOM); i++)
		cpu_pause();
	outb(COM1 + DATA, c);
}

/* The log ends lines with a newline only; a terminal wants both. */
static void serial_log(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\n')
			serial_put('\r');
		serial_put(s[i]);
	}
}

static size_t serial_screen_room(void)
{
	return 64; /* it polls */
}

static void serial_screen_write(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		serial_put(s[i]);
}

static struct log_device serial_log_device = { .name = "ttyS0", .write = serial_log };
static const struct vc_screen serial_screen = { .room = serial_screen_room,
						.write = serial_screen_write };

void serial_init_early(void)
{
	outb(COM1 + SCRATCH, 0x5a);
	if (inb(COM1 + SCRATCH) != 0x5a)
		return;
	present = true;
	outb(COM1 + INTERRUPTS, 0);
	outb(COM1 + LINE, LINE_DLAB); /* 115200 baud: divisor 1 */
	outb(COM1 + 0, 1);
	outb(COM1 + 1, 0);
	outb(COM1 + LINE, LINE_8N1);
	outb(COM1 + FIFO, FIFO_ON);
	outb(COM1 + MODEM, MODEM_READY);
	log_device_add(&serial_log_device);
}

static bool serial_interrupt(void *arg)
{
	char input[64];
	size_t n = 0;

	while (n < sizeof(input) && (inb(COM1 + LINE_STATUS) & STATUS_DATA))
		input[n++] = inb(COM1 + DATA);
	if (n)
		vc_keyboard_input(input, n);
	return n;
}

void serial_init(void)
{
	char console[16];
	bool wanted =
		boot_option("console", 0, console, sizeof(console)) && !strcmp(console, "serial");

	if (!present || (vc_has_screen() && !wanted))
		return;
	vc_attach_screen(&serial_screen);
	if (!irq_request_isa(IRQ_COM1, serial_interrupt, NULL))
		outb(COM1 + INTERRUPTS, 1); /* received data */
}
