#!/bin/bash
# cowfs-tools.sh - mkfs.cowfs, fsck.cowfs and cowfs: what goes into an image comes out of it, the same input
# gives the same image, and what is wrong is said.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
make -s host >&2 || exit 1
. tests/host/cases.inc
trap 'chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
tools=$PWD/build/host
PATH=$tools:$PATH
cd "$work" || exit 1
exec </dev/null

clean() { # clean IMAGE NAME
	fsck.cowfs -n "$1" >"$work/out" 2>"$work/err"
	ok $? "$2: nothing is wrong in it"
}

# ---- a tree ----
make_tree 400
chmod 0 tree/nothing
touch -h -d '1969-12-31 23:59:58.123456789 UTC' tree/dir/link
touch -d '2040-02-03 04:05:06.7 UTC' tree/third
touch -d '2001-01-01 UTC' tree/dir tree

# ---- a tree in, the same tree out ----
expect 0 '' '' 'mkfs.cowfs -d' -- mkfs.cowfs -d tree -s 200M -L label one.img
expect 0 '' '' 'mkfs.cowfs -d again' -- mkfs.cowfs -d tree -s 200M -L label two.img
cmp one.img two.img >out 2>&1
ok $? 'the same tree gives the same image, to the byte'
clean one.img 'an image of a tree'
expect 0 '' '' 'cowfs get' -- cowfs get one.img / got
diff <(list tree) <(list got) >out 2>err
ok $? 'what comes out is what went in: names, modes, owners, links, times, attributes, data'
[ "$(du -k got/sparse | cut -f1)" -lt 100 ]
ok $? 'holes are holes, in the copy'
[ "$(du -k one.img | cut -f1)" -lt 20000 ]
ok $? '... and in the image'
is "$(stat -c %i got/third)" "$(stat -c %i got/dir/sub/second)" 'hard links are hard links'
SOURCE_DATE_EPOCH=77 mkfs.cowfs -d tree -s 200M three.img && touch tree/empty &&
	SOURCE_DATE_EPOCH=77 mkfs.cowfs -s 8M four.img && SOURCE_DATE_EPOCH=77 mkfs.cowfs -s 8M five.img && cmp four.img five.img
ok $? 'SOURCE_DATE_EPOCH: empty images are the same, too'
mkfs.cowfs -U random -s 8M five.img && ! cmp -s four.img five.img
ok $? '-U random: not the same'
mkfs.cowfs -U 01234567-89AB-cdef-0123-456789abcdef -L 'a label' -s 8M five.img
is "$(cowfs info five.img | head -n 3)" 'label      a label
uuid       01234567-89ab-cdef-0123-456789abcdef
size       8192 KiB' '-U and -L'

# ---- looking ----
is "$(cowfs ls one.img /dir | awk '{ print $1, $NF }')" '-rw-r--r-- file
lrwxrwxrwx ../nowhere
drwxr-xr-x sub' 'cowfs ls'
is "$(cowfs ls -R one.img /dir | awk '{ print $8 }' | tr '\n' ' ')" '/dir/file /dir/link /dir/sub /dir/sub/second ' 'cowfs ls -R'
is "$(cowfs cat one.img /dir/../third dir/sub/second)" $'text\ntext' 'cowfs cat'
is "$(cowfs cat one.img data | md5sum)" "$(md5sum <tree/data)" 'cowfs cat of much'
expect 1 '' "cowfs cat: '/none' in the volume: No such file or directory" 'no such file' -- cowfs cat one.img /none
expect 1 '' "cowfs cat: '/dir' is not a regular file" 'cat of a directory' -- cowfs cat one.img /dir
expect 1 '' "cowfs ls: 'third/x' in the volume: Not a directory" 'below a file' -- cowfs ls one.img third/x
expect 1 '' "cowfs ls: 'one.img' has no volume 'x'; 'cowfs volumes one.img' lists them" 'no such volume' -- \
	cowfs ls -v x one.img

# ---- changing ----
echo new >new
cp -a tree/dir newdir
expect 0 '' '' 'clone -r' -- cowfs clone -r one.img root before
expect 0 '' '' 'put a file as another' -- cowfs put one.img new /dir/file
expect 0 '' '' 'put files into a directory' -- cowfs put one.img new newdir /empty
expect 0 '' '' 'put under a new name' -- cowfs put one.img newdir /renamed
is "$(cowfs cat one.img /dir/file /empty/new /third /renamed/file)" $'new\nnew\ntext\ntext' 'they are there'
is "$(cowfs cat -v before one.img /dir/file)" text 'the clone has the old file'
is "$(cowfs diff one.img before root | grep -v '^C')" 'A /empty/new
A /empty/newdir
A /empty/newdir/file
A /empty/newdir/link
A /empty/newdir/sub
A /empty/newdir/sub/second
A /renamed
A /renamed/file
A /renamed/link
A /renamed/sub
A /renamed/sub/second' 'diff: what was added'
is "$(cowfs diff one.img before before)" '' 'diff: nothing'
expect 1 '' "cowfs put: the volume 'before' is read-only for ever; make a clone of it ('cowfs clone') and change that" \
	'put into a frozen volume' -- cowfs put -v before one.img new /
expect 1 '' "cowfs put: several files go into a directory, but '/third' is none in the volume" 'put two as one' -- \
	cowfs put one.img new new /third
expect 1 '' "cowfs put: cannot look at 'none': No such file or directory" 'put what is not there' -- cowfs put one.img none /
expect 1 '' "cowfs clone: there is a volume 'before' already; choose another name, or delete it with 'cowfs rm-volume'" \
	'clone to a name in use' -- cowfs clone one.img root before
is "$(cowfs volumes one.img | awk 'NR > 1 { print $3, $NF }' | sort)" 'ro before
rw root' 'volumes'
clean one.img 'after all that'
expect 0 '' '' 'rm-volume' -- cowfs rm-volume one.img before
is "$(cowfs volumes one.img | wc -l)" 2 'it has gone'
clean one.img 'without the volume'
cowfs get one.img renamed . && diff <(list newdir) <(list renamed) >out
ok $? 'get of a directory into one'
before=$(md5sum <one.img)
cowfs ls -R one.img >/dev/null && fsck.cowfs -n one.img >/dev/null && cowfs volumes one.img >/dev/null
is "$(md5sum <one.img)" "$before" 'who looks changes nothing'

# ---- archives ----
mkdir -p a/etc a/bin a/home
echo 1 >a/etc/conf && echo 1 >a/bin/prog && ln a/bin/prog a/bin/other
pack() { (cd a && find . | LC_ALL=C sort | python3 "$work/newc.py") >"$1"; }
cat >newc.py <<'END'
import os, stat, sys
out = sys.stdout.buffer
def entry(name, s, data):
    name = name.encode() + b"\0"
    f = [s.st_ino & 0xffffffff, s.st_mode, s.st_uid, s.st_gid, s.st_nlink, int(s.st_mtime), len(data), 0, 0, 0, 0, len(name), 0]
    head = b"070701" + b"".join(b"%08x" % x for x in f) + name
    out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))
for line in sys.stdin:
    name = line.rstrip("\n")
    s = os.lstat(name)
    data = open(name, "rb").read() if stat.S_ISREG(s.st_mode) else b""
    entry(name, s, data)
class End: st_ino = st_mode = st_uid = st_gid = st_mtime = 0; st_nlink = 1
entry("TRAILER!!!", End, b"")
END
pack a.cpio
expect 0 '' '' 'mkfs.cowfs -a' -- mkfs.cowfs -a a.cpio -s 16M a.img
mkfs.cowfs -a a.cpio -s 16M b.img && cmp a.img b.img
ok $? 'the same archive gives the same image'
is "$(cowfs ls a.img /bin | awk '{ print $2, $NF }' | tr '\n' ' ')" '2 other 2 prog ' 'hard links of an archive'
before=$(md5sum <a.img)
expect 0 '' '' 'unpack of the same archive' -- cowfs unpack -k etc a.img a.cpio
is "$(md5sum <a.img)" "$before" 'changes nothing'
echo 2 >a/etc/conf && echo 2 >a/bin/prog && echo 2 >a/etc/more
pack b.cpio
echo user >user && cowfs put a.img user /etc/conf && cowfs put a.img user /home && cowfs put a.img user /bin/prog
expect 0 '' '' 'unpack of another one' -- cowfs unpack -k /etc/ -k home a.img b.cpio
is "$(cowfs cat a.img etc/conf etc/more bin/prog bin/other home/user | tr '\n' ' ')" 'user 2 2 2 user ' \
	'-k keeps what is there; the rest is new'
head -c 300 b.cpio >cut.cpio
cowfs unpack a.img cut.cpio >out 2>err
is "$? $(cut -d: -f1,2 err)" "1 cowfs unpack: 'cut.cpio' is not a newc cpio archive, or is damaged behind 'bin'" 'a cut archive'
is "$(cowfs cat a.img bin/prog)" 2 '... changes nothing'
clean a.img 'after the archives'

# ---- a lock, and images that are none ----
flock -s a.img cowfs ls a.img >/dev/null 2>err
ok $? 'two may look'
flock a.img cowfs ls a.img >out 2>err
is "$? $(cat err)" "1 cowfs ls: 'a.img' is in use by a running ./run or another tool; end that first, or use a copy of the image" 'a locked image'
flock -s a.img mkfs.cowfs a.img >out 2>err
is "$? $(cut -c1-40 err)" "1 mkfs.cowfs: 'a.img' is in use by a runni" 'mkfs of a locked image'
flock a.img fsck.cowfs a.img >out 2>err
is "$?" 8 'fsck of a locked image'
(flock 7 && cowfs ls /dev/fd/7 bin/prog >out 2>err) 7<a.img
ok $? 'who has the lock hands it on as /dev/fd/N'
(flock 7 && cowfs unpack -f /dev/fd/7 b.cpio && cowfs unpack /dev/fd/7 a.cpio && cowfs cat /dev/fd/7 etc/conf) 7<>a.img >out 2>err
is "$? $(cat out err)" '0 1' '... more than once'
clean a.img 'all that left it alone'
truncate -s 1M a.img
cowfs ls -R a.img >out 2>err
[ $? = 1 ] && grep -q "'a.img' (1024 KiB) is not a cowfs image, or it has been cut off" err
ok $? 'an image that was cut off'
fsck.cowfs -n a.img >out 2>err
is $? 8 '... for fsck'
expect 1 '' "cowfs ls: there is no image 'none.img'; mkfs.cowfs makes one" 'no image' -- cowfs ls none.img
expect 8 '' "fsck.cowfs: there is no image 'none.img'; mkfs.cowfs makes one" 'no image for fsck' -- fsck.cowfs none.img
expect 1 '' "cowfs ls: '.' is neither a file nor a block device" 'a directory' -- cowfs ls .
: >empty.img
cowfs info empty.img >out 2>err
is "$? $(cut -c1-54 err)" "1 cowfs info: 'empty.img' (0 KiB) is not a cowfs image, " 'an empty file'

# ---- fsck ----
cp two.img bad.img
python3 - <<'END' # the first superblocks: their copies at the end are left
with open("bad.img", "r+b") as f: f.write(b"\0" * 8192)
END
fsck.cowfs bad.img >out 2>err
[ $? = 0 ] && grep -q 'superblock at block 0: torn or bad, written again from its copy' err
ok $? 'a superblock is written again from its copy when fsck opens the image'
fsck.cowfs -n bad.img >out 2>err
[ $? = 0 ] && ! grep -q superblock out
ok $? '... and then nothing is wrong'
python3 - <<'END' # one bit of one block of tree/data
data = open("tree/data", "rb").read()[8192:12288]
with open("bad.img", "r+b") as f:
    at = f.read().index(data)
    f.seek(at)
    f.write(bytes([data[0] ^ 1]))
END
fsck.cowfs -n bad.img >out 2>err
is $? 4 'a block that the disk got wrong: fsck says so'
cowfs cat bad.img data >/dev/null 2>err
is "$? $(tail -n 1 err)" "1 cowfs cat: 'data' cannot be read behind byte 8192: Input/output error" '... and it is not read'

# ---- too little room, and bad arguments ----
mkfs.cowfs -s 2M -d tree small.img >out 2>err
[ $? = 1 ] && grep -q 'No space left on device; make a larger one' err
ok $? 'a tree that is too large for its image'
mkfs.cowfs -s 8M small.img && { cowfs put small.img tree/data / && cowfs put small.img tree/data /2 && cowfs put small.img tree/data /3; } >out 2>err
is $? 1 'a full image'
clean small.img 'a full image'
for bad in 'mkfs.cowfs' 'mkfs.cowfs -s 1x i' 'mkfs.cowfs -s 10 i' 'mkfs.cowfs -U 12 i' 'mkfs.cowfs -d a -a b i' 'mkfs.cowfs -z i' \
	'mkfs.cowfs i j' 'cowfs' 'cowfs frob i' 'cowfs ls' 'cowfs cat i' 'cowfs get i a b c' 'cowfs unpack -k / i a' 'cowfs diff i a'; do
	# shellcheck disable=SC2086 # words are meant
	$bad >out 2>err
	[ $? = 2 ] && grep -q -- "^${bad%% *}.*: .*; see .* --help$" err && [ ! -s out ] && [ ! -e i ]
	ok $? "bad: $bad"
done
fsck.cowfs -x i >out 2>err
is $? 16 'bad: fsck.cowfs -x i'
mkfs.cowfs -d none i >out 2>err
[ $? = 1 ] && [ ! -e i ]
ok $? 'no directory: no image is made'
for t in mkfs.cowfs fsck.cowfs cowfs 'cowfs ls' 'cowfs unpack'; do
	$t --help >out 2>err && grep -q '^Usage: ' out && grep -q '^Example:' out && [ ! -s err ]
	ok $? "$t --help has an example"
done
cowfs --help >/dev/full 2>err
is "$? $(cat err)" '1 cowfs: cannot write to stdout: No space left on device' 'a full stdout'
echo "1..$count"
