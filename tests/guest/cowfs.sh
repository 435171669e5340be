#!/bin/sh
# The tests of files, mappings and names once more, with /tmp on a disk. It needs a fresh cowfs on
# /dev/vda, which it fills and changes; without one there is nothing to test:
#	./run --qemu "-drive file=IMAGE,if=none,format=raw,id=d -device virtio-blk-device,drive=d" ...
here=$(dirname "$0")
tests="file_attr file_io file_lock file_name file_open file_perm fd mm_map mm_share pipe exec cowfs_file cowfs_volume io_limit"

if ! mount -t cowfs /dev/vda /tmp 2>/dev/null; then
	echo "1..0 # SKIP no cowfs on /dev/vda"
	exit 0
fi
chmod 1777 /tmp
# what the first use of each part of a disk leaves in memory is no leak
dd if=/dev/zero of=/tmp/first bs=1M 2>/dev/null
rm /tmp/first
sync

set -- $tests
echo "1..$(($# + 1))"
n=0
for t; do
	n=$((n + 1))
	if "$here/$t" >/tmp.out 2>&1; then
		echo "ok $n - $t"
	else
		sed 's/^/# /' /tmp.out
		echo "not ok $n - $t"
	fi
done
n=$((n + 1))
umount /tmp && echo "ok $n - umount" || echo "not ok $n - umount"
rm -f /tmp.out
