#!/bin/bash
# cowfs_mount.sh - `cowfs mount`: a mounted volume does what a filesystem does, and what was written there is in
# the image afterwards, whole. Needs /dev/fuse and the right to mount; is skipped where they are not.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
make -s host >&2 || exit 1
tools=$PWD/build/host
PATH=$tools:$PATH:/sbin:/usr/sbin
calls=$PWD/tests/host/cowfs/mounted.py
. tests/host/cases.inc
chmod 755 "$work"
serving=() # processes of cowfs mount -f
cleanup() {
	cd /
	for d in mnt mnt2 tiny data; do # a dead one is none for mountpoint(1)
		! grep -q " $work/$d " /proc/self/mounts || fusermount3 -uz "$work/$d" || umount -l "$work/$d"
	done
	for p in ${serving[@]+"${serving[@]}"}; do kill "$p" 2>/dev/null; done
	chmod -R u+rwx "$work/tree" "$work/got" 2>/dev/null
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 1
mkdir mnt mnt2
root=
[ "$(id -u)" != 0 ] || root=1

skip() {
	echo "1..0 # SKIP $1"
	exit 0
}

same() { # same DIR NAME: it has what the tree has
	diff tree.list <(list "$1") >out 2>err
	ok $? "$2"
}

# serve ARGUMENT...: mounts at mnt and stays in the foreground of a process of ours, $served
serve() {
	cowfs mount -f "$@" mnt >served.out 2>served.err </dev/null &
	served=$!
	serving+=("$served")
	for _ in {1..600}; do
		mountpoint -q mnt && return 0
		kill -0 "$served" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

# away IMAGE: unmounts mnt, and waits until the image is whole
away() {
	fusermount3 -u mnt 2>err && flock -w 300 "$1" true
}

clean() { # clean IMAGE NAME
	fsck.cowfs -n "$1" >out 2>err
	ok $? "$2: fsck.cowfs finds nothing wrong"
}

# ---- can this be tested here? ----
mkfs.cowfs -s 256M one.img || exit 1
cowfs mount one.img mnt >out 2>err </dev/null
status=$?
if [ $status != 0 ]; then
	! grep -q 'built without libfuse3' err || skip 'cowfs was built without libfuse3'
	[ -c /dev/fuse ] || skip 'there is no /dev/fuse'
	(: <>/dev/fuse) 2>/dev/null || skip '/dev/fuse cannot be opened here'
	command -v fusermount3 >/dev/null || skip 'there is no fusermount3'
	! grep -q 'not permitted\|Permission denied' err || skip 'there is no right to mount here'
fi
is "$status $(cat out err)" '0 ' 'mount: in the background, without a word'
mountpoint -q mnt
ok $? 'it is mounted when the command ends'
[ $status = 0 ] || exit 1

# ---- a tree in, the same tree there ----
make_tree 5000
chmod 0400 tree/nothing
touch -h -d '1969-12-31 23:59:58.123456789 UTC' tree/dir/link
touch -d '2040-02-03 04:05:06.7 UTC' tree/third
touch -d '2001-01-01 UTC' tree/dir tree
list tree >tree.list
(cd tree && tar -cS --xattrs --xattrs-include='*' .) | (cd mnt && tar -xSp --warning=no-timestamp --xattrs --xattrs-include='*') >out 2>err
is "$? $(cat err)" '0 ' 'untar'
same mnt 'what is there is what was in the archive: names, modes, owners, links, times, attributes, data'
is "$(stat -c %i mnt/third)" "$(stat -c %i mnt/dir/sub/second)" 'hard links are hard links'
[ "$(du -k mnt/sparse | cut -f1)" -lt 100 ]
ok $? 'holes are holes'
is "$(df -k --output=size mnt | tail -n 1 | tr -d ' ')" 262144 'df: the size of the image'
cowfs ls one.img >out 2>err
is "$? $(cat err)" "1 cowfs ls: 'one.img' is in use by a running ./run or another tool; end that first, or use a copy of the image" \
	'others cannot have the image meanwhile'
away one.img
ok $? 'unmount'
clean one.img 'a tree'
is "$(cowfs cat one.img dir/sub/second "$name")" $'text\nlong' 'cowfs cat finds it in the image'
cowfs get one.img / got >out 2>err
is "$? $(cat err)" '0 ' 'cowfs get'
same got '... and all of it'

# ---- mounted again, read-only; a frozen volume ----
cowfs mount -o ro one.img mnt 2>err && cowfs mount -o ro one.img mnt2 2>>err
ok $? 'twice at the same time with -o ro'
same mnt 'it is all there'
same mnt2 '... in both'
is "$({ touch mnt/x || rm mnt/third || mkdir mnt/x || chmod 1 mnt/third || echo x >>mnt/third; } 2>&1 | grep -c 'Read-only file system')" 5 \
	'nothing can be changed'
[ "$(cowfs cat one.img third)" = text ]
ok $? 'the tools may look at the same time'
fusermount3 -u mnt2 && away one.img
ok $? 'unmount'
cowfs clone -r one.img root before && cowfs mount -v before one.img mnt 2>err
ok $? 'mount -v: a frozen volume'
same mnt 'it has all'
is "$(touch mnt/x 2>&1 | grep -c 'Read-only file system')" 1 '... and cannot be changed'
away one.img
cowfs mount one.img mnt && rm -rf mnt/* && away one.img
is "$? $(cowfs ls one.img | wc -l)" '0 0' 'rm -rf, of a directory of 5000 files, too'
is "$(cowfs ls -v before one.img /many | wc -l)" 5000 'the clone keeps them'
clean one.img 'after that'

# ---- the calls ----
serve one.img
ok $? 'mount -f'
PYTHONDONTWRITEBYTECODE=1 python3 "$calls" mnt >out 2>err </dev/null
while read -r result line; do
	[ "$result" = ok ]
	ok $? "$line"
done < <(grep '^ok \|^not ' out)
grep -q '^done$' out
ok $? 'all calls were tried'
away one.img
wait "$served"
is "$? $(cat served.out served.err)" '0 ' 'cowfs mount -f ends when it is unmounted'
clean one.img 'after the calls'
serve one.img && PYTHONDONTWRITEBYTECODE=1 python3 "$calls" mnt again >out 2>err </dev/null
is "$? $(cat err)" '0 ' 'what they left is there after the next mount'
kill -TERM "$served"
wait "$served"
is "$?" 0 'SIGTERM: it unmounts and ends'
! mountpoint -q mnt
ok $? '... and the directory is free'
clean one.img 'after SIGTERM'

# ---- rights ----
if [ -n "$root" ]; then
	cowfs mount -o allow_other one.img mnt && chmod 755 mnt && PYTHONDONTWRITEBYTECODE=1 python3 "$calls" mnt rights >out 2>err </dev/null
	is "$? $(cat err)" '0 ' 'allow_other: others may do what modes and owners say'
	away one.img
else
	ok 0 'allow_other # SKIP needs root'
fi

# ---- what a kill leaves ----
serve one.img
mkdir mnt/kept && head -c 100000 /dev/urandom >data
{
	python3 - "$served" <<'END'
import os, sys
fd = os.open("mnt/kept/file", os.O_CREAT | os.O_WRONLY)
os.write(fd, open("data", "rb").read())
os.fsync(fd)
os.write(fd, b"more")
orphan = os.open("mnt/orphan", os.O_CREAT | os.O_RDWR)
os.write(orphan, b"x" * 1000000)
os.unlink("mnt/orphan")
os.fsync(orphan)
os.kill(int(sys.argv[1]), 9)
END
	wait "$served"
} 2>/dev/null
fusermount3 -uz mnt
clean one.img 'right after kill -9'
serve one.img
ok $? 'mounted again after kill -9'
cmp <(head -c 100000 mnt/kept/file) data >out 2>err
ok $? 'what fsync promised is there'
[ ! -e mnt/orphan ]
ok $? '... and what was removed is not'
away one.img
wait "$served"
clean one.img 'after that'

# ---- no room ----
mkfs.cowfs -s 8M small.img && cowfs mount small.img mnt
echo kept >mnt/kept
head -c 20000000 /dev/urandom >large
cp large mnt/large 2>err
is "$? $(grep -c 'No space left on device' err)" '1 1' 'a full image'
cmp <(head -c "$(stat -c %s mnt/large)" large) mnt/large >out 2>err
ok $? 'what was taken of it is right'
for i in {1..300}; do echo "$i" >"mnt/$i" || break; done 2>/dev/null
is "$(cat mnt/kept)" kept 'the rest is there'
rm mnt/large
is "$? $(head -c 3000000 large >mnt/again 2>err; echo $?)" '0 0' 'there is room again after rm'
away small.img
clean small.img 'a full image'
cmp <(cowfs cat small.img again) <(head -c 3000000 large) >out 2>err
ok $? 'what was written then is in it'

# ---- a block that the disk got wrong ----
mkfs.cowfs -s 16M bad.img && cowfs put bad.img data / && python3 - <<'END'
block = open("data", "rb").read()[8192:12288]
with open("bad.img", "r+b") as f:
    at = f.read().index(block)
    f.seek(at)
    f.write(bytes([block[0] ^ 1]))
END
cowfs mount bad.img mnt
cat mnt/data >out 2>err
is "$? $(grep -c 'Input/output error' err) $(stat -c %s mnt/data)" '1 1 100000' 'a bad block is EIO, not the end of the file'
cmp <(dd if=mnt/data bs=4096 skip=3 status=none) <(tail -c +12289 data) >out 2>err
ok $? '... and what is behind it can be read'
away bad.img

# ---- a disk that takes no more ----
mkdir tiny
if [ -n "$root" ] && mount -t tmpfs -o size=4M none tiny 2>/dev/null; then
	mkfs.cowfs -s 64M tiny/a.img
	serve tiny/a.img
	echo kept >mnt/kept && sync mnt/kept
	ok $? 'an image on a disk that is nearly full'
	cp large mnt/large 2>err && sync mnt/large 2>err
	is "$? $(grep -c 'Input/output error' err)" '1 1' 'fsync says that it could not be written'
	is "$(touch mnt/x 2>&1 | grep -c 'Read-only file system')" 1 'from then on nothing can be changed'
	fusermount3 -u mnt
	wait "$served"
	is "$? $(grep -c 'read-only from now on\|could not be written' served.err)" '1 2' 'the command says so, and fails'
	is "$(cowfs cat tiny/a.img kept)" kept 'what fsync promised is there'
	clean tiny/a.img 'after that'
	umount tiny
else
	ok 0 'an image on a full disk # SKIP needs root'
fi

# ---- wrong arguments ----
expect() { # expect STATUS STDERR NAME -- COMMAND...
	local status=$1 text=$2 name=$3
	shift 4
	"$@" >out 2>err </dev/null
	is "$? $(cat err)" "$status $text" "$name"
}
expect 1 "cowfs mount: cannot mount at 'none': No such file or directory; say a directory that is there" 'no directory' -- \
	cowfs mount one.img none
expect 1 "cowfs mount: there is no image 'none.img'; mkfs.cowfs makes one" 'no image' -- cowfs mount none.img mnt
expect 1 "cowfs mount: cannot mount at 'data': Not a directory; say a directory that is there" 'a file' -- cowfs mount one.img data
expect 1 "cowfs mount: 'one.img' has no volume 'x'; 'cowfs volumes one.img' lists them" 'no volume' -- cowfs mount -v x one.img mnt
expect 2 "cowfs mount: -o 'fast': say ro, rw or allow_other; see cowfs mount --help" 'an unknown word' -- \
	cowfs mount -o ro,fast one.img mnt
expect 2 'cowfs mount: too few arguments: [-f] [-o WORD,...] [-v VOLUME] IMAGE DIR; see cowfs mount --help' 'no directory' -- \
	cowfs mount one.img
! mountpoint -q mnt
ok $? 'none of them mounted anything'
echo "1..$count"
