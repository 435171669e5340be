# host/build.mk - what the host needs to pack and run a guest: the initramfs, its packer, the program that
# runs QEMU for ./run, the ISO, and Linux as a stand-in kernel (./run --kernel linux).

HOST_CC     ?= gcc
HOST_CFLAGS  = -O2 -g -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -I. -Iuser/lib -MMD -MP
BUSYBOX     ?= /bin/busybox
# one time for all files of the archive: that of the source, so that equal sources give equal archives
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

HOST_OBJ := $(BUILD)/host/obj
host_objs = $(patsubst %.c,$(HOST_OBJ)/%.o,$(sort $(wildcard $(1))))

.PHONY: host initramfs iso
host: $(BUILD)/host/vm $(BUILD)/host/mkcpio $(BUILD)/host/mkfs.cowfs $(BUILD)/host/fsck.cowfs $(BUILD)/host/cowfs ## what ./run needs on this side, build/host/
initramfs: $(BUILD)/initramfs.cpio ## build/initramfs.cpio
iso: $(BUILD)/skerry.iso ## build/skerry.iso, boots by GRUB

$(HOST_OBJ)/%.o: %.c host/build.mk
	@mkdir -p $(@D)
	$(HOST_CC) $(HOST_CFLAGS) -c -o $@ $<

$(BUILD)/host/vm: $(call host_objs,host/vm/*.c) $(call host_objs,user/lib/link.c user/lib/tree.c user/lib/pump.c)
	@mkdir -p $(@D)
	$(HOST_CC) -o $@ $^

$(BUILD)/host/mkcpio: $(call host_objs,host/mkcpio.c)
	@mkdir -p $(@D)
	$(HOST_CC) -o $@ $^

# ---- cowfs: the kernel's own files with a program as their platform ----
COWFS_TOOLS := $(BUILD)/host/mkfs.cowfs $(BUILD)/host/fsck.cowfs $(BUILD)/host/cowfs
COWFS_TOOL_CFLAGS := -O2 -g -std=gnu11 -D_GNU_SOURCE -pthread -Ihost -Ihost/cowfs -Ikernel -I. -Wall -Wextra -Werror \
	-Wno-unused-parameter -fwrapv -fno-strict-aliasing -MMD -MP
cowfs_objs = $(patsubst %.c,$(HOST_OBJ)/cowfs/%.o,$(1))
COWFS_TOOL_PARTS := $(call cowfs_objs,$(filter-out %/platform.c,$(filter-out kernel/fs/cowfs/vfs%.c,$(wildcard kernel/fs/cowfs/*.c))) \
	$(addprefix host/cowfs/,platform.c disk.c tool.c image.c links.c path.c tree_put.c tree_get.c unpack.c))
.SECONDARY: $(COWFS_TOOL_PARTS)
$(HOST_OBJ)/cowfs/%.o: %.c host/build.mk
	@mkdir -p $(@D)
	$(HOST_CC) $(COWFS_TOOL_CFLAGS) -c -o $@ $<
$(BUILD)/host/mkfs.cowfs: $(call cowfs_objs,host/cowfs/mkfs.c)
$(BUILD)/host/fsck.cowfs: $(call cowfs_objs,host/cowfs/fsck.c)
# `cowfs mount` is there if libfuse3 is
FUSE_VERSION := $(shell pkg-config --modversion fuse3 2>/dev/null)
COWFS_MOUNT := $(call cowfs_objs,$(addprefix host/cowfs/,$(if $(FUSE_VERSION),mount.c mount_ops.c,mount_none.c)))
$(COWFS_MOUNT): COWFS_TOOL_CFLAGS += $(if $(FUSE_VERSION),$(shell pkg-config --cflags fuse3))
FUSE_STAMP := $(HOST_OBJ)/fuse3-$(or $(FUSE_VERSION),none)
$(FUSE_STAMP):
	@mkdir -p $(@D)
	@rm -f $(HOST_OBJ)/fuse3-* && touch $@
$(BUILD)/host/cowfs: $(call cowfs_objs,host/cowfs/cowfs.c host/cowfs/show.c host/cowfs/change.c) $(COWFS_MOUNT) $(FUSE_STAMP)
$(BUILD)/host/cowfs: COWFS_TOOL_LIBS := $(if $(FUSE_VERSION),$(shell pkg-config --libs fuse3))
$(COWFS_TOOLS): $(COWFS_TOOL_PARTS)
	@mkdir -p $(@D)
	$(HOST_CC) -pthread -o $@ $(filter %.o,$^) $(COWFS_TOOL_LIBS)

# the image holds the programs without their debug sections; build/user/NAME has them for gdb
$(BUILD)/image/%: $(BUILD)/user/%
	@mkdir -p $(@D)
	strip -o $@ $<

IMAGE_BINS := $(USER_NAMES:%=$(BUILD)/image/%)
$(BUILD)/initramfs.cpio: $(BUILD)/host/mkcpio host/image/list $(wildcard host/image/etc/*) $(BUSYBOX) $(IMAGE_BINS)
	host/image/list $(BUSYBOX) $(IMAGE_BINS) > $@.list
	$(BUILD)/host/mkcpio $(SOURCE_DATE_EPOCH) < $@.list > $@.new
	@mv $@.new $@

# the same as a disk: what ./run -c copies
$(BUILD)/root.img: $(BUILD)/initramfs.cpio $(BUILD)/host/mkfs.cowfs
	$(BUILD)/host/mkfs.cowfs -L skerry -a $< -s 1G $@.new
	@mv $@.new $@

# ---- an ISO image for a PC: GRUB loads the kernel by its multiboot2 header ----
$(BUILD)/skerry.iso: $(BUILD)/skerry.elf $(BUILD)/initramfs.cpio host/image/grub.cfg
	@rm -rf $(BUILD)/iso && mkdir -p $(BUILD)/iso/boot/grub
	cp $(BUILD)/skerry.elf $(BUILD)/initramfs.cpio $(BUILD)/iso/boot/
	cp host/image/grub.cfg $(BUILD)/iso/boot/grub/
	grub-mkrescue -o $@.new $(BUILD)/iso > $@.log 2>&1 || { cat $@.log >&2; exit 1; }
	@mv $@.new $@

# ---- Linux as a stand-in: Debian's cloud kernel, downloaded and unpacked, not installed ----
# It takes virtio as modules; a second cpio segment replaces /init by a script that loads them first.
LINUX_DIR := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kbench/linux
LINUX_MODULES = virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_mmio virtio_blk \
	rng-core virtio-rng virtio_console
$(LINUX_DIR)/boot:
	$(MAKE) -C bench $@
$(BUILD)/linux/vmlinuz: | $(LINUX_DIR)/boot
	@mkdir -p $(@D)
	cp $(LINUX_DIR)/boot/vmlinuz-* $@
$(BUILD)/linux/initramfs.cpio: $(BUILD)/initramfs.cpio host/image/linux-init | $(LINUX_DIR)/boot
	@mkdir -p $(@D)
	{ echo "dir modules 755"; echo "file init 755 host/image/linux-init"; \
	  echo "file sbin/skerry-init 755 $(BUILD)/image/init"; \
	  n=10; for m in $(LINUX_MODULES); do f=$$(find $(LINUX_DIR)/lib/modules -name $$m.ko); n=$$((n + 1)); \
	  [ -z "$$f" ] || echo "file modules/$$n-$$m.ko 644 $$f"; done; } > $@.list
	$(BUILD)/host/mkcpio $(SOURCE_DATE_EPOCH) < $@.list > $@.modules
	cat $(BUILD)/initramfs.cpio $@.modules > $@.new
	@mv $@.new $@

# what runs the tests inside the guest
$(BUILD)/tests/driver: tests/run/driver.c
	@mkdir -p $(@D)
	$(USER_CC) $(filter-out -MMD -MP,$(USER_CFLAGS)) -s -o $@ $<

-include $(shell find $(HOST_OBJ) -name '*.d' 2>/dev/null)
