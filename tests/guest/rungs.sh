#!/bin/sh
# rungs.sh - busybox and its everyday applets, rungs 03, 04 and 04b of the ladder of programs.
#
# Each case is a script that busybox sh runs in a fresh scratch directory, and its exact output
# (stderr included). It runs in a container just as on the host: it needs /tmp, /proc and /dev.

for BB in /bin/busybox /busybox /usr/bin/busybox; do
	[ -x "$BB" ] && break
done
if [ -z "$RUNGS_IN_BUSYBOX" ]; then
	RUNGS_IN_BUSYBOX=1 exec "$BB" sh "$0" "$@"
fi
unset RUNGS_IN_BUSYBOX

W=/tmp/rungs.$$
"$BB" mkdir -p "$W/bin" || { echo "Bail out! no scratch directory"; exit 1; }
"$BB" --install -s "$W/bin"
PATH=$W/bin
export PATH BB W
unset ENV PS1 TZ
export TZ=UTC HOME=$W LC_ALL=C
umask 022
trap 'cd /; rm -rf "$W"' EXIT

number=0
failed=0
t() {
	number=$((number + 1))
	want=$(cat)
	# A shell says "Terminated" only if it reaps the job while it waits for that very job: a matter of timing.
	mkdir "$W/w" && cd "$W/w" || exit 1
	got=$(timeout 120 sh -c "$2" 2>&1 </dev/null | sed '/^Terminated$/d; /^Killed$/d')
	cd "$W" && rm -rf "$W/w"
	if [ "$got" = "$want" ]; then
		echo "ok $number - $1"
	else
		failed=$((failed + 1))
		echo "not ok $number - $1"
		printf '%s\n' "$want" | sed 's/^/# expected: /'
		printf '%s\n' "$got" | sed 's/^/#      got: /'
	fi
}

# --- rung 03: the shell itself

t 'echo and variables' 'a=1; b="x y"; echo $a "$b" ${c:-none} ${#b} $((a + 41))' <<'E'
1 x y none 3 42
E
t 'exit status' 'false; echo $?; true; echo $?; (exit 7); echo $?; sh -c "exit 300"; echo $?; ! true; echo $?' <<'E'
1
0
7
44
1
E
t 'not found and not executable' 'nosuchprogram; echo $?; ./none; echo $?; echo >f; ./f; echo $?; rm f' <<'E'
sh: nosuchprogram: not found
127
sh: ./none: not found
127
sh: ./f: Permission denied
126
E
t 'pipelines' 'seq 1 1000 | grep 7 | wc -l; echo a | cat | cat | cat | tr a b; yes | head -n 2; echo ${PIPESTATUS:-none}' <<'E'
271
b
y
y
none
E
t 'redirections' 'echo one >f; echo two >>f; cat <f; (echo out; echo err >&2) >g 2>&1; cat g; echo x 3>h >&3; cat h; cat f - <g | wc -l; rm f g h' <<'E'
one
two
out
err
x
4
E
t 'noclobber and append' 'set -C; echo a >f; echo b >f; echo c >>f; echo d >|f; cat f; rm f' <<'E'
sh: can't create f: File exists
d
E
t 'here-documents' 'x=5; cat <<A; cat <<"B"
a $x $((x*2))
A
b $x
B
cat <<-C
	tab
	C' <<'E'
a 5 10
b $x
tab
E
t 'command substitution' 'echo $(echo a; echo b) "$(printf "x\n\n")"; echo `echo \`echo deep\``; a=$(exit 3); echo $?' <<'E'
a b x
deep
3
E
t 'loops and case' 'for i in 1 2 3; do case $i in 2) continue;; 3) echo three;; *) echo $i;; esac; done; i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i; until false; do break; done' <<'E'
1
three
3
E
t 'functions, local, positional' 'f() { local a=in; echo $a $# $2; return 4; }; a=out; f p q; echo $? $a; set -- 1 2 3; shift; echo $*; echo "$@"' <<'E'
in 2 q
4 out
2 3
2 3
E
t 'globbing' 'mkdir d; touch d/a d/b d/.c d/ab; echo d/*; echo d/?; echo d/[ab]*; echo d/.c* d/z*; rm -r d' <<'E'
d/a d/ab d/b
d/a d/b
d/a d/ab d/b
d/.c d/z*
E
t 'parameter expansion' 'p=/a/b/c.tar.gz; echo ${p##*/} ${p%/*} ${p%%.*} ${p#/} ${p/b/X} ${p:1:3}; : ${q:=set}; echo $q' <<'E'
c.tar.gz /a/b /a/b/c a/b/c.tar.gz /a/X/c.tar.gz a/b
set
E
t 'read and IFS' 'echo "a:b c:d" | while IFS=: read x y z; do echo "$y-$x-$z"; done; printf "l1\nl2" | while read l || [ "$l" ]; do echo "<$l>"; done' <<'E'
b c-a-d
<l1>
<l2>
E
t 'background and wait' 'sleep 0.1 & p=$!; wait $p; echo $?; (exit 5) & wait $! 2>/dev/null; echo $?; sleep 100 & kill $!; wait $! 2>/dev/null; echo $?; sleep 100 & kill -9 $!; wait $! 2>/dev/null; echo $?' <<'E'
0
5
143
137
E
t 'trap' 'trap "echo usr1" USR1; kill -USR1 $$; trap "" TERM; kill $$; echo alive; trap "echo bye" EXIT; exit 0' <<'E'
usr1
alive
bye
E
t 'subshell and exec' '(cd /; pwd); pwd | sed "s,$W,W,"; exec echo replaced' <<'E'
/
W/w
replaced
E
t 'large substitution' 'x=$(seq 1 20000); echo ${#x}' <<'E'
108893
E
t 'ulimit' 'ulimit -n 17; ulimit -n; ulimit -f 1; dd if=/dev/zero of=big bs=1k count=4 2>/dev/null; echo $?; wc -c <big; rm big' <<'E'
17
153
512
E
t 'umask' 'umask 077; echo >f; mkdir d; stat -c %a f d; umask; rm -r f d' <<'E'
600
700
0077
E
t 'printf and test' 'printf "%05d|%-4s|%x|%c|%b\n" 42 ab 255 z "a\tb"; test -d / -a ! -f / && echo dir; [ 3 -gt 2 -o x = y ] && echo gt; test -e /none || echo no' <<'E'
00042|ab  |ff|z|a	b
dir
gt
no
E
t 'broken pipe' 'yes | head -n 1; (trap "" PIPE; yes 2>/dev/null; echo $? >&2) | head -n 1' <<'E'
y
y
1
E
t 'many processes at once' 'for i in $(seq 1 40); do (sleep 0.2; exit $i) & done; wait; echo done' <<'E'
done
E

# --- rung 04: files and text

t 'mkdir, rmdir, ls' 'mkdir -p a/b/c; mkdir a; touch a/x; ls a; ls -d a/*; rmdir a; rmdir a/b/c; ls -a a/b; rm -r a; ls a' <<'E'
mkdir: can't create directory 'a': File exists
b
x
a/b
a/x
rmdir: 'a': Directory not empty
.
..
ls: a: No such file or directory
E
t 'ls -l' 'echo 123 >f; chmod 640 f; ln -s f l; mkfifo p; mkdir -m 1777 d; touch -d "2020-01-02 03:04:05" f; ls -ln f | sed "s/  */ /g"; ls -ld d l p | cut -c1-10; rm -r f l p d' <<'E'
-rw-r----- 1 0 0 4 Jan 2 2020 f
drwxrwxrwt
lrwxrwxrwx
prw-r--r--
E
t 'chmod' 'touch f; for m in 4755 u-s,g+w a=r +x o-r 000; do chmod $m f; stat -c %a f; done; rm -f f' <<'E'
4755
775
444
555
551
0
E
t 'cp, cmp, mv' 'seq 1 5000 >f; cp f g; cmp f g && echo same; echo x >>g; cmp f g; mv g h; ls; mkdir d; mv f h d; ls d; rm -r d' <<'E'
same
cmp: EOF on f
f
h
f
h
E
t 'cp -a' 'mkdir -p s/d; echo a >s/f; ln s/f s/hard; ln -s f s/l; ln -s /none s/broken; mkfifo s/p; chmod 4711 s/f; touch -d "2001-02-03 04:05:06" s/f s/d; cp -a s t; find t | sort; stat -c "%a %Y %h" t/f; stat -c %Y t/d; readlink t/broken; [ -p t/p ] && echo fifo; rm -r s t' <<'E'
t
t/broken
t/d
t/f
t/hard
t/l
t/p
4711 981173106 2
981173106
/none
fifo
E
t 'ln' 'echo a >f; ln f g; ln -s g s; stat -c %h f; echo b >s; cat f; ln f g; ln -sf f s; readlink s; rm f; cat g; cat s; rm g s' <<'E'
2
b
ln: g: File exists
f
b
cat: can't open 's': No such file or directory
E
t 'stat' 'printf hello >f; chmod 604 f; stat -c "%n %s %a %F %h %u %g" f; stat -L -c %F /; stat /none; rm f' <<'E'
f 5 604 regular file 1 0 0
directory
stat: can't stat '/none': No such file or directory
E
t 'touch' 'touch -d @1000000000 f; stat -c "%X %Y" f; touch -r f g; stat -c %Y g; touch -c nofile; ls; rm f g' <<'E'
1000000000 1000000000
1000000000
f
g
E
t 'find' 'mkdir -p a/b; touch a/1.c a/b/2.c a/3.h; find a -name "*.c" | sort; find a -type d | sort; find a -maxdepth 1 -type f | sort; find a -name "*.h" -exec echo got {} \; ; find a -name "*.c" -print0 | xargs -0 ls; find a -empty -type f | wc -l; find a -depth -exec rm -r {} \;; ls' <<'E'
a/1.c
a/b/2.c
a
a/b
a/1.c
a/3.h
got a/3.h
a/1.c
a/b/2.c
3
E
t 'sort and uniq' 'printf "b 2\na 10\nc 1\na 10\n" >f; sort f; sort -u f; sort -k2 -n f; sort -r f | uniq -c | sed "s/^ *//"; rm f' <<'E'
a 10
a 10
b 2
c 1
a 10
b 2
c 1
c 1
b 2
a 10
a 10
1 c 1
1 b 2
2 a 10
E
t 'sort of much' 'seq 1 30000 | awk "{ print (\$1 * 7919) % 30011 }" | sort -n | md5sum; seq 20000 -1 1 | sort -n | sed -n "1p;\$p"' <<'E'
b451cf57925f775a7bd60aee4e773693  -
1
20000
E
t 'sed' 'printf "one\ntwo\nthree\n" >f; sed s/o/0/g f; sed -n 2,3p f; sed -i "/two/d;\$a end" f; cat f; echo abc | sed "s/\(a\)\(b\)/\2\1/;y/c/C/"; rm f' <<'E'
0ne
tw0
three
two
three
one
three
end
baC
E
t 'awk' 'printf "a 1\nb 2\na 3\n" | awk "{ s[\$1] += \$2 } END { for (k in s) print k, s[k] | \"sort\" }"; awk "BEGIN { printf \"%.3f %d %s\n\", 3.14159, 42, toupper(\"x\"); print substr(\"hello\", 2, 3), length(\"four\"), split(\"a:b\", p, \":\"), p[2] }"; awk "BEGIN { print int(7/2), 7 % 4, 1e3 }"' <<'E'
a 4
b 2
3.142 42 X
ell 4 2 b
3 3 1000
E
t 'grep' 'printf "foo\nBar\nbaz\n" >f; grep -i b f; grep -c a f; grep -v a f; grep -n "^b" f; grep -E "foo|baz" f; grep -q none f; echo $?; grep x /none; echo $?; rm f' <<'E'
Bar
baz
2
foo
3:baz
foo
baz
1
grep: /none: No such file or directory
2
E
t 'tar' 'mkdir -p s/d; echo a >s/f; ln -s f s/l; echo b >s/d/g; chmod 600 s/f; tar cf a.tar s; tar tf a.tar | sort; mkdir o; tar xf a.tar -C o; cat o/s/l o/s/d/g; stat -c %a o/s/f; tar czf a.tgz s; tar tzf a.tgz | wc -l; rm -r s o a.tar a.tgz' <<'E'
s/
s/d/
s/d/g
s/f
s/l
a
b
600
5
E
t 'gzip' 'seq 1 10000 >f; md5sum f; gzip f; ls f*; zcat f.gz | tail -n 1; gunzip f.gz; md5sum f; gzip -c f | gzip -d | cmp - f && echo same; rm f' <<'E'
72d4ff27a28afbc066d5804999d5a504  f
f.gz
10000
72d4ff27a28afbc066d5804999d5a504  f
same
E
t 'cpio' 'mkdir s; echo a >s/f; find s | cpio -o -H newc 2>/dev/null >a.cpio; rm -r s; cpio -id <a.cpio 2>/dev/null; cat s/f; rm -r s a.cpio' <<'E'
a
E
t 'dd' 'dd if=/dev/zero of=f bs=1k count=3 2>/dev/null; stat -c %s f; printf abc | dd of=f conv=notrunc bs=1 seek=5 2>/dev/null; od -An -c f | head -n 1 | tr -s " "; dd if=f bs=1 skip=5 count=3 2>/dev/null; echo; dd if=/dev/zero of=s bs=1 count=1 seek=1048575 2>/dev/null; stat -c %s s; rm f s' <<'E'
3072
 \0 \0 \0 \0 \0 a b c \0 \0 \0 \0 \0 \0 \0 \0
abc
1048576
E
t 'checksums' 'printf abc >f; md5sum f; sha1sum f; sha256sum <f; md5sum f >m; md5sum -c m; rm f m' <<'E'
900150983cd24fb0d6963f7d28e17f72  f
a9993e364706816aba3e25717850c26c9cd0d89d  f
ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -
f: OK
E
t 'head, tail, wc, cut, tr' 'seq 1 20 >f; head -n 2 f; tail -n 2 f; tail -n +19 f; wc f | tr -s " "; echo a:b:c | cut -d: -f2; echo hello | tr a-y b-z; tail -c 3 f; rm f' <<'E'
1
2
19
20
19
20
 20 20 51 f
b
ifmmp
20
E
t 'xargs' 'seq 1 10 | xargs -n 4 echo; echo "a b" | xargs -I X echo "[X]"; seq 1 3000 | xargs echo | wc -w; echo x | xargs false; echo $?' <<'E'
1 2 3 4
5 6 7 8
9 10
[a b]
3000
123
E
t 'tee, seq, expr, basename' 'echo t | tee f; cat f; seq -s, 1 3; expr 6 \* 7; basename /a/b.c .c; dirname /a/b; rm f' <<'E'
t
t
1,2,3
42
b
/a
E
t 'date' 'date -u -d @0; date -u -d @86399 +%T; date -d "2024-02-29 12:00:00" +%s; [ "$(date +%s)" -gt 1000000000 ] && echo now' <<'E'
Thu Jan  1 00:00:00 UTC 1970
23:59:59
1709208000
now
E
t 'sleep and time' 'a=$(date +%s); sleep 1.1; b=$(date +%s); [ $((b-a)) -ge 1 ] && echo slept; { time true; } 2>&1 | cut -f1 | cut -c1-4' <<'E'
slept
real
user
sys
E
t 'timeout' 'timeout 0.2 sleep 10; echo $?; timeout -s KILL 0.2 sleep 10; echo $?; timeout 10 true; echo $?' <<'E'
143
137
0
E
t 'diff and patch' 'seq 1 5 >a; sed s/3/x/ a >b; diff a b; diff -u a b >p; patch a p; cmp a b && echo same; rm a b p' <<'E'
--- a
+++ b
@@ -1,5 +1,5 @@
 1
 2
-3
+x
 4
 5
patching file a
same
E
t 'vi -c' 'printf "one\ntwo\n" >f; vi -c ":1s/one/ONE/" -c ":wq" f >/dev/null 2>&1; cat f; rm f' <<'E'
ONE
two
E
t 'ed' 'printf "a\nhello\nworld\n.\n1s/l/L/\nw f\nq\n" | ed >/dev/null 2>&1; cat f; rm f' <<'E'
heLlo
world
E
t 'hexdump, od, base64' 'printf "A\001\377" >f; hexdump -C f; od -An -tx1 f; base64 f; base64 f | base64 -d | cmp - f && echo same; rm f' <<'E'
00000000  41 01 ff                                          |A..|
00000003
 41 01 ff
QQH/
same
E
t 'bc and dc' 'echo "2^64; scale=3; 10/3" | bc; echo "3 4 + p" | dc' <<'E'
18446744073709551616
3.333
7
E
t 'env, printenv, which' 'env -i B=2 $W/bin/env; which sh | sed "s,$W,W,"; env X=y sh -c "echo \$X"' <<'E'
B=2
W/bin/sh
y
E
t 'truncate, du, split' 'truncate -s 10000 f; stat -c %s f; du -k f | cut -f1; dd if=/dev/zero of=g bs=4k count=4 2>/dev/null; du -k g | cut -f1; rm f g' <<'E'
10000
0
16
E
t 'realpath, readlink' 'mkdir -p a/b; ln -s a/b l; ln -s l m; realpath m | sed "s,$W,W,"; readlink m; readlink -f l/.. | sed "s,$W,W,"; ln -s x x; cat x; rm -r a l m x' <<'E'
W/w/a/b
l
W/w/a
cat: can't open 'x': Too many levels of symbolic links
E
t 'mktemp, id' 'f=$(mktemp -p .); [ -f $f ] && stat -c %a $f; d=$(mktemp -d -p .); stat -c %a $d; rm -r $f $d; id -u; id -g' <<'E'
600
700
0
0
E
t 'find / terminates' 'find / -xdev -maxdepth 2 >/dev/null 2>&1; echo $?' <<'E'
0
E

# --- rung 04b: administration

t 'ps' 'sleep 54321 & sleep 0.2; ps -o pid,ppid,args | grep -q "[s]leep 54321" && echo there; ps | head -n 1 | tr -s " "; kill $!' <<'E'
there
PID USER COMMAND
E
t 'ps columns' 'sleep 54321 & sleep 0.3; ps -o pid,ppid,stat,args | awk -v p=$! -v me=$$ "\$1 == p { print (\$2 == me), \$3, \$NF }"; kill $!' <<'E'
1 S 54321
E
t 'pidof and killall' 'cp $BB ./busyboxz; ./busyboxz sleep 1000 & sleep 0.3; pidof busyboxz | grep -c "^$!\$"; killall busyboxz; wait $! 2>/dev/null; echo $?; rm busyboxz' <<'E'
1
143
E
t 'kill' 'kill -l 9; kill -0 $$ && echo self; kill -0 999999; kill -BOGUS 1' <<'E'
KILL
self
sh: can't kill pid 999999: No such process
sh: bad signal name 'BOGUS'
E
t 'mount tmpfs' 'mkdir m; mount -t tmpfs -o size=64k,mode=750 none m && stat -c %a m; echo x >m/f; grep -c "$W/w/m tmpfs" /proc/mounts; dd if=/dev/zero of=m/big bs=1k count=100 2>&1 | grep -o "No space.*"; umount m; ls m; rmdir m' <<'E'
750
1
No space left on device
E
t 'mount --bind and busy umount' 'mkdir a b; echo x >a/f; mount -o bind a b; cat b/f; echo y >b/g; (cd b; umount ../b 2>&1 | sed "s,$W/w/,,"); umount b; ls a b; rm -r a b' <<'E'
x
umount: can't unmount b: Device or resource busy
a:
f
g

b:
E
t 'mount read-only' 'mkdir m; mount -t tmpfs none m; echo a >m/f; mount -o remount,ro m; echo b >m/f; cat m/f; umount m; rmdir m' <<'E'
sh: can't create m/f: Read-only file system
a
E
t 'chroot' 'mkdir -p r/bin; cp $BB r/bin/busybox; chroot r /bin/busybox sh -c "/bin/busybox ls /; cd ..; /bin/busybox pwd; echo \$0"; chroot r /none; echo $?; rm -r r' <<'E'
bin
/
sh
chroot: can't execute '/none': No such file or directory
127
E
if [ -z "$RUNGS_CONTAINER" ]; then
t 'mknod' 'mknod p p; mknod n c 1 3; echo gone >n; cat n; stat -c %F:%t:%T n p; (echo through >p &) ; cat p; rm n p' <<'E'
character special file:1:3
fifo:0:0
through
E
else # a device would be a way out
t 'mknod' 'mknod n c 1 3 2>&1; mknod f p && stat -c %F f' <<'E'
mknod: n: Operation not permitted
fifo
E
fi
t 'df and free' 'df / | sed -n "1p" | tr -s " "; df / | sed -n 2p | grep -c " /$"; free | head -n 1 | tr -s " "; free | awk "/^Mem/ { print (\$2 > 1000), (\$3 <= \$2) }"' <<'E'
Filesystem 1K-blocks Used Available Use% Mounted on
1
 total used free shared buff/cache available
1 1
E
t 'uname, hostname, uptime' 'uname -s; uname -m; [ -n "$(uname -r)" ] && echo release; [ "$(hostname)" = "$(uname -n)" ] && echo host; uptime | grep -c "load average"; nproc | grep -c "^[0-9]*$"' <<'E'
Linux
x86_64
release
host
1
1
E
t 'stty without a terminal' 'stty -a; echo $?; tty; echo $?' <<'E'
stty: standard input: Inappropriate ioctl for device
1
not a tty
1
E
t 'setsid' 'setsid sh -c "cut -d\" \" -f1,5,6 /proc/\$\$/stat" | awk "{ print (\$1 == \$2), (\$2 == \$3) }"' <<'E'
1 1
E
t 'su-like: chown and permissions' 'echo x >f; chown 1000:1000 f; stat -c %u:%g f; chown 0 f; stat -c %u:%g f; chgrp 7 f; stat -c %g f; rm f' <<'E'
1000:1000
0:1000
7
E
t '/proc' 'cat /proc/self/comm; cat /proc/self/cmdline | tr "\0" " "; echo; readlink /proc/self/cwd | sed "s,$W,W,"; readlink /proc/self/exe >/dev/null && echo exe; [ -d /proc/$$/fd ] && echo fd; ls /proc/self/fd | head -n 2' <<'E'
cat
cat /proc/self/cmdline 
W/w
exe
fd
0
1
E
t '/dev' 'echo a >/dev/null; head -c 3 /dev/zero | od -An -tx1; head -c 16 /dev/urandom | wc -c; echo full >/dev/full; [ -c /dev/tty ] && echo tty; ls -l /dev/null | cut -c1-10; echo err >/dev/stderr' <<'E'
 00 00 00
16
sh: write error: No space left on device
tty
crw-rw-rw-
err
E
t 'run-parts of a script with #!' 'printf "#!$W/bin/sh\necho script \$1\n" >s; chmod +x s; ./s arg; printf "#!$W/bin/awk -f\nBEGIN { print \"awk\" }\n" >s; ./s; rm s' <<'E'
script arg
awk
E
t 'deep directories' 'd=a; for i in $(seq 1 100); do d=$d/a; done; mkdir -p $d; find a | wc -l; rm -r a; ls' <<'E'
101
E
t 'many files' 'mkdir m; cd m; for i in $(seq 1 500); do echo $i >f$i; done; ls | wc -l; cat * | awk "{ s += \$1 } END { print s }"; rm f*; ls | wc -l; cd ..; rmdir m' <<'E'
500
125250
0
E

echo "1..$number"
[ $failed = 0 ]
