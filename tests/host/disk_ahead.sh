#!/bin/bash
# A disk of which some sectors cannot be read (QEMU's blkdebug), under a file that is read in sequence, with much of it
# asked for ahead: what is there is read, what is not is EIO each time, and other files and the unmount are none the worse.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A file of 1 MiB whose block n says "block n" all over, and where on the disk blocks 0, 100 and 255 lie.
mkdir "$work/files"
python3 - "$work" <<'END'
import sys
with open(sys.argv[1] + '/files/big', 'wb') as f:
    for n in range(256):
        f.write((b'block %05d     ' % n * 256)[:4096])
END
build/host/mkfs.cowfs -d "$work/files" -s 16M "$work/disk" >/dev/null || exit 1
sector() {
	python3 - "$work/disk" "$1" <<'END'
import sys
print(open(sys.argv[1], 'rb').read().index(b'block %05d     ' % int(sys.argv[2])) // 512)
END
}
inject=
for n in 0 100 255; do
	i=$((${i:--1} + 1))
	inject+=,inject-error.$i.event=none,inject-error.$i.iotype=read,inject-error.$i.errno=5,inject-error.$i.once=off,inject-error.$i.sector=$(sector $n)
done

cat >"$work/check" <<'END'
mkdir -p /tmp/d && mount -t cowfs /dev/vda /tmp/d || exit 1
cd /tmp/d
n=0 bad=
while [ $n -lt 256 ]; do
	if dd if=big of=/tmp/got bs=4096 skip=$n count=1 2>/dev/null; then
		read -r word number rest </tmp/got
		[ "$word $number" = "block $(printf %05d $n)" ] || echo "block $n holds something else"
	else
		bad="$bad $n"
	fi
	n=$((n + 1))
done
echo "bad:$bad"
# from the first good one on in large pieces, up to the bad one
dd if=big of=/tmp/got bs=64k skip=4096 iflag=skip_bytes 2>/tmp/err && echo 'no error'
echo "read: $(wc -c </tmp/got)"
echo fine >new && sync && cat new
cd / && umount /tmp/d && echo unmounted
END
expected='bad: 0 100 255
read: 405504
fine
unmounted'
count=0
for smp in 1 4; do
	count=$((count + 1))
	cp "$work/disk" "$work/try"
	# shellcheck disable=SC2086 # words are meant
	got=$(timeout 600 ./run --no-build --initrd build/initramfs.cpio --timeout 500 --smp $smp ${RUN_OPTIONS:-} --add "$work/check:/check" \
		--qemu "-drive driver=blkdebug,if=none,id=d,image.driver=file,image.filename=$work/try$inject -device virtio-blk-device,drive=d" \
		-c '. /check' 2>&1 </dev/null)
	if [ "$got" = "$expected" ]; then
		echo "ok $count - sectors that cannot be read, $smp CPUs"
	else
		echo "not ok $count - sectors that cannot be read, $smp CPUs"
		printf '%s\n' "$got" | sed 's/^/# /'
	fi
done
echo "1..$count"
