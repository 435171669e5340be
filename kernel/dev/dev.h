/* SPDX-License-Identifier: MIT */
/* dev.h - the start-up order of the drivers (called by main/main.c). */
#ifndef DEV_DEV_H
#define DEV_DEV_H

void serial_init_early(void); /* COM1 as a log device, polled */
void serial_init(void);	      /* its interrupt: input goes to the consoles if it is their screen */
void pci_init(void);
void virtio_init(void);
void block_init(void);
void rtc_init(void);

void block_account_device(unsigned count); /* block_account.c: so many there are now */

#endif
