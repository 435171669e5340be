#!/bin/bash
# clone.sh - make bench-clone: what clones, fsync, mounts and the first write in a clone cost (tests/bench/clone.c), on
# disks of 64 MiB with 10 files and of 4 GiB with 100,000 files and a file of 1 GiB.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
work=$(mktemp -d "${TMPDIR:-/tmp}/bench-clone.XXXXXX")
trap 'rm -rf "$work"' EXIT
musl-gcc -O2 -static -std=gnu11 -D_GNU_SOURCE -I. -o "$work/clone" tests/bench/clone.c
build/host/mkfs.cowfs -s 64M "$work/small" >/dev/null
build/host/mkfs.cowfs -s 1G "$work/ten" >/dev/null
build/host/mkfs.cowfs -s 4G "$work/large" >/dev/null
disks=
for d in large ten small; do
	disks="$disks -drive file=$work/$d,if=none,format=raw,cache=unsafe,id=$d -device virtio-blk-device,drive=$d"
done
./run --no-build --timeout 900 --mem 1G ${RUN_OPTIONS:-} --smp "${SMP:-1}" --initrd build/initramfs.cpio --qemu "$disks" \
	--add "$work/clone:/clone" -c '
mkdir /m
small=/dev/vda ten=/dev/vdb large=/dev/vdc
echo "# 64 MiB, empty"; /clone mount $small /m
echo "# 4 GiB, empty"; /clone mount $large /m
mount -t cowfs $ten /m
/clone files 10 /m
/clone clone /m
umount /m
mount -t cowfs $large /m
/clone files 100000 /m
/clone clone /m
/clone fsync /m
/clone big $large /m
umount /m/m
umount /m
echo "# 4 GiB, 100,000 files and 1 GiB"; /clone mount $large /m'
build/host/fsck.cowfs -n "$work/large"
