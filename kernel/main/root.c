/* SPDX-License-Identifier: MIT */
/*
 * root.c - what the host's root directory is: a volume of a disk,
 *
 *	root=/dev/vda rootvolume=NAME	(without NAME: "root")
 *
 * which takes the place of the empty tmpfs that was there until now, or that tmpfs, with what the
 * loader's initramfs has. Who said root= means it: without that volume there is no system.
 */
#include "arch/x86/boot.h"
#include "core/errno.h"
#include "core/printk.h"
#include "dev/block.h"
#include "fs/context.h"
#include "fs/cowfs/vfs.h"
#include "lib/string.h"
#include "main/root.h"

static void __noreturn root_failed(const char *device, const char *volume, int err)
{
	const char *why = err == -EINVAL   ? "there is no cowfs on it, or it was cut off"
			  : err == -ENOENT ? "it has no such volume (see rootvolume=)"
			  : err == -EIO	   ? "it cannot be read, or is damaged (see fsck.cowfs)"
			  : err == -ENOMEM ? "there is too little memory"
					   : "error";

	panic("root=%s: volume '%s' cannot be mounted: %s (%d)", device, volume, why, -err);
}

static void root_mount(const char *device, const char *volume)
{
	const char *name = strncmp(device, "/dev/", 5) ? device : device + 5;
	struct block_device *b = block_find(name);
	struct superblock *sb;
	int err;

	if (!b)
		panic("root=%s: there is no such disk", device);
	err = cowfs_mount_device(b, volume, &sb);
	if (!err) {
		err = mount_table_replace_root_sb(host_mounts, sb, device);
		superblock_put(sb);
	}
	if (err)
		root_failed(device, volume, err);
	log_info("root: volume '%s' of %s\n", volume, device);
}

static void root_unpack(void)
{
	int err;

	if (boot_info.initrd_end == boot_info.initrd_start)
		return;
	err = initramfs_unpack(boot_info.initrd_start, boot_info.initrd_end);
	if (err)
		panic("the initramfs cannot be unpacked: error %d", -err);
}

void root_init(void)
{
	char device[64], volume[256] = "root";

	boot_option("rootvolume", 0, volume, sizeof(volume));
	if (boot_option("root", 0, device, sizeof(device)))
		root_mount(device, volume);
	else
		root_unpack();
}
