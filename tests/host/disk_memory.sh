#!/bin/bash
# Each allocation of each operation on a cowfs disk fails in the guest (tests/guest/cowfs_alloc.c); then fsck.cowfs finds
# nothing wrong on the disk. It takes the debug kernel.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ ! -e build/debug/skerry.elf ]; then
	echo "1..0 # SKIP no debug kernel"
	exit 0
fi
build/host/mkfs.cowfs -s 64M "$work/disk" >/dev/null || exit 1
case " ${RUN_OPTIONS:-} " in
*' q35 '* | *' pc '*) device=virtio-blk-pci ;;
*) device=virtio-blk-device ;;
esac
# shellcheck disable=SC2086 # words are meant
timeout 400 ./run --no-build --debug --timeout 300 --initrd build/initramfs.cpio ${RUN_OPTIONS:-} \
	--qemu "-drive file=$work/disk,if=none,format=raw,cache=unsafe,id=d -device $device,drive=d" \
	--add build/tests/guest/cowfs_alloc:/cowfs_alloc \
	-c 'mount -t cowfs /dev/vda /tmp && dd if=/dev/zero of=/tmp/x bs=1M count=50 2>/dev/null; rm /tmp/x; sync; /cowfs_alloc && umount /tmp' >"$work/out" 2>&1 </dev/null
status=$?
grep '^#' "$work/out"
if [ $status = 0 ] && grep -q '^ok 1' "$work/out" && ! grep -q '^not ok' "$work/out"; then
	echo "ok 1 - each allocation fails in the guest"
else
	sed 's/^/# /' "$work/out"
	echo "not ok 1 - each allocation fails in the guest: status $status"
fi
if build/host/fsck.cowfs -n "$work/disk" >"$work/out" 2>&1; then
	echo "ok 2 - fsck.cowfs afterwards"
else
	sed 's/^/# /' "$work/out"
	echo "not ok 2 - fsck.cowfs afterwards"
fi
echo 1..2
