#!/bin/bash
# ./run -c as CLI.md promises it: bytes, statuses, pipes, files, and what goes wrong.
#   RUN_OPTIONS="--kernel linux" tests/host/run.sh     the same on another kernel
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/host/cases.inc

run() {
	# shellcheck disable=SC2086 # words are meant
	timeout 120 ./run --no-build --timeout 100 ${RUN_OPTIONS:-} "$@"
}

expect 0 hello '' 'stdout' -- run -c 'echo hello' </dev/null
expect 9 '' '' 'exit status' -- run -c 'exit 9' </dev/null
expect 143 '' '' 'a signal is 128 + n' -- run -c 'kill -TERM $$' </dev/null
expect 127 '' 'sh: nosuch: not found' 'no such command' -- run -c nosuch </dev/null
expect 3 out err 'stdout and stderr apart' -- run -c 'echo out; echo err >&2; exit 3' </dev/null
expect 0 'a b' '' 'stdin' -- run -c 'read x; echo "$x"' < <(echo 'a b')
expect 0 0 '' 'empty stdin ends' -- run -c 'wc -c' </dev/null
expect 0 0 '' 'closed stdin' -- run -c 'wc -c' <&-
expect 0 'no no no' '' 'pipes, not terminals' -- run -c \
	'for i in 0 1 2; do if [ -t $i ]; then printf yes; else printf no; fi; [ $i = 2 ] || printf " "; done'
expect 0 / '' 'starts in /' -- run -c pwd </dev/null
expect 0 done '' 'what runs on is not waited for' -- run -c 'sleep 1000 & echo done' </dev/null
odd=$'q\x27"\\$ \xff\x01 \t* \xc3'
expect 0 "$odd" '' 'any bytes in COMMAND' -- run -c "cat <<'E'"$'\n'"$odd"$'\nE\n' </dev/null

head -c 3000000 /dev/urandom >"$work/data"
run -c 'cat' <"$work/data" >"$work/out" 2>"$work/err"
is "$? $(md5sum <"$work/out")" "0 $(md5sum <"$work/data")" '3 MB through cat unchanged'
run -c 'cat >&2' <"$work/data" >"$work/out" 2>"$work/err"
is "$? $(md5sum <"$work/err")" "0 $(md5sum <"$work/data")" '3 MB through stderr unchanged'
run -c 'for i in 1 2 3 4 5 6 7 8 9; do echo o$i; echo e$i >&2; done' >"$work/out" 2>&1 </dev/null
is "$(tr '\n' ' ' <"$work/out")" "$(for i in 1 2 3 4 5 6 7 8 9; do printf 'o%s e%s ' $i $i; done)" \
	'2>&1 keeps the order'
rm -f "$work/out" "$work/err"

run -c 'yes' </dev/null 2>"$work/err" | head -n 2 >"$work/out"
is "${PIPESTATUS[0]} $(wc -l <"$work/out")" "141 2" 'a closed stdout ends it by SIGPIPE'
yes | run -c 'head -n 1' >"$work/out" 2>"$work/err"
is "${PIPESTATUS[1]} $(cat "$work/out")" '0 y' 'endless stdin does not hold it up'
is "$(sleep 60 | { run -c 'echo quick'; kill $(jobs -p) 2>/dev/null; echo; } | head -n 1)" quick \
	'open stdin does not hold it up'
is "$(printf '1\n2\n' | while read -r x; do run -c true; echo "$x"; done)" 1 'stdin is read to its end, as ssh does'

long=$(printf 'x%.0s' $(seq 1 100000))
is "$(run -c "echo $long" </dev/null | wc -c)" 100001 'a COMMAND of 100 kB'

mkdir -p "$work/tree/sub/empty" && echo data >"$work/tree/sub/file"
chmod 4751 "$work/tree/sub/file"
chmod 1777 "$work/tree/sub/empty"
ln -s sub/file "$work/tree/link"
ln -s /nowhere "$work/tree/dangling"
cp "$work/data" "$work/co:lon"
expect 0 'tree
tree/dangling -> /nowhere
tree/link -> sub/file
tree/sub
tree/sub/empty 1777 0:0
tree/sub/file 4751 0:0' '' '--add DIR' -- run --add "$work/tree" -c \
	'find tree | sort | while read f; do if [ -L $f ]; then echo "$f -> $(readlink $f)";
	elif [ $f = tree/sub/file ] || [ $f = tree/sub/empty ]; then stat -c "%n %a %u:%g" $f; else echo $f; fi; done' </dev/null
expect 0 'data
root' '' '--add merges into a directory and keeps it' -- run --add "$work/tree/sub:/etc" -c \
	'cat /etc/file; head -n 1 /etc/passwd | cut -d: -f1' </dev/null
expect 0 "$(md5sum <"$work/data")" '' '--add: the last colon separates' -- run --add "$work/co:lon:/a/b/c" -c \
	'md5sum </a/b/c' </dev/null
expect 0 "$(md5sum <"$work/data")" '' '--add of a name with a colon' -- run --add "$work/co:lon" -c 'md5sum <"/co:lon"' </dev/null
expect 0 'data /bin/busybox' '' '--add does not write through a link' -- run --add "$work/tree/sub/file:/bin/true" -c \
	'echo $(cat /bin/true) $(readlink /bin/false)' </dev/null
expect 0 data '' '--add of a file into a directory' -- run --add "$work/tree/sub/file:/tmp" -c 'cat /tmp/file' </dev/null

rm -rf "$work/got"
run --add "$work/tree" --get "/tree:$work/got" --get "/r:$work/r" -c 'echo new >/tree/new; echo r >/r; exit 4' \
	</dev/null >"$work/out" 2>"$work/err"
is "$? $(cat "$work/got/new" "$work/r" "$work/got/link") $(stat -c %a "$work/got/sub/file") $(readlink "$work/got/dangling")" \
	"4 new
r
data 4751 /nowhere" '--get of a directory and of a file'
expect 121 '' 'run: --get: in the guest: /nosuch: No such file or directory' '--get of what is not there' -- run \
	--get "/nosuch:$work/x" -c true </dev/null

run --timeout 10 -c 'echo before; sleep 1000' </dev/null >"$work/out" 2>"$work/err"
is "$? $(cat "$work/out") $(cut -d'(' -f1 "$work/err")" '121 before run: COMMAND did not end within 10 s ' '--timeout'
run -c 'poweroff -f' </dev/null >"$work/out" 2>"$work/err"
is "$? $(cut -c1-17 "$work/err")" '121 run: the guest st' 'a guest that ends too early'

for i in 1 2 3; do run -c "sleep 0.$i; echo $i" </dev/null >"$work/p$i" 2>&1 & done
wait
is "$(cat "$work"/p?)" "$(seq 1 3)" 'three at a time'

# ---- the disk ----
case " ${RUN_OPTIONS:-} " in *' --kernel '* | *' --iso '*) in_memory=1 ;; *) in_memory= ;; esac
if [ -z "$in_memory" ]; then
	d=$work/a.img
	expect 0 '' '' '--disk: a new one' -- run --disk "$d" --disk-size 64M -c \
		'echo kept >/root/f; echo user >/etc/hostname; rm /sbin/ctool; mknod /dev2 c 1 3' </dev/null
	expect 0 'kept user' '' '--disk: what was written is there in the next run' -- run --disk "$d" -c \
		'echo $(cat /root/f /etc/hostname)' </dev/null
	run --disk "$d" -c 'df -k / | tail -n 1' >"$work/out" 2>"$work/err" </dev/null
	is "$? $(awk '{ print $2 }' "$work/out")" '0 65536' '--disk-size shows in df'
	build/host/fsck.cowfs -n "$d" >"$work/out" 2>&1
	ok $? 'fsck finds nothing wrong after the machine was off'
	build/host/mkfs.cowfs -s 64M "$work/old.img" # a disk of a build that knew no programs
	echo user >"$work/hostname"
	mkdir -p "$work/etc" && cp "$work/hostname" "$work/etc" && build/host/cowfs put "$work/old.img" "$work/etc" /
	expect 0 'user root' '' 'programs of another build are put in, files of the user stay' -- run --disk "$work/old.img" -c \
		'echo $(cat /etc/hostname; head -n 1 /etc/passwd | cut -d: -f1); rm /sbin/ctool' </dev/null
	expect 0 gone '' '... and those of this one are not put in again' -- run --disk "$work/old.img" -c \
		'[ -e /sbin/ctool ] || echo gone' </dev/null
	expect 0 'no' '' '--fresh: nothing of the old one' -- run --disk "$d" --fresh -c '[ -e /root/f ] && echo yes || echo no' </dev/null
	run --disk "$d" -c 'dd if=/dev/zero of=/root/big bs=1M count=2000 2>/dev/null; echo $?; rm /root/big; echo x >/root/x && sync; cat /root/x; poweroff -f' \
		>"$work/out" 2>"$work/err" </dev/null
	expect 0 x '' 'poweroff -f: what was synced is there' -- run --disk "$d" -c 'cat /root/x' </dev/null
	expect 0 none '' 'without --disk: a copy that is thrown away' -- run --fresh -c 'echo 1 >/root/thrown; echo none' </dev/null
	expect 0 none '' '... which the next run does not see' -- run --fresh -c 'cat /root/thrown 2>/dev/null || echo none' </dev/null
	expect 0 32768 '' '--disk-size without --disk' -- run --disk-size 32M -c 'df -k / | tail -n 1 | awk "{ print \$2 }"' </dev/null

	exec 9<>"$d" && flock 9
	expect 121 '' "run: --disk $d: another ./run or a tool is using it; end that first, or name another file" \
		'a disk in use' -- run --disk "$d" -c true 9>&- </dev/null
	exec 9>&-
	made=$([ -e build/disk.img ] || echo 1)
	(flock -n 9; timeout 60 ./run --no-build) 9<>build/disk.img >"$work/out" 2>"$work/err" </dev/null
	[ $? = 121 ] && grep -q 'build/disk.img is in use by another interactive' "$work/err"
	ok $? 'a second interactive run is refused'
	[ -z "$made" ] || rm -f build/disk.img
	for i in 1 2; do run --disk "$d" -c "sleep 3; echo $i" >"$work/p$i" 2>"$work/e$i" </dev/null & done
	wait
	is "$(cat "$work/p1" "$work/p2" | wc -l) $(cat "$work/e1" "$work/e2" | grep -c 'is using it')" '1 1' 'two at a time on one disk: one is told so'
	echo junk >"$work/junk"
	run --disk "$work/junk" -c true >"$work/out" 2>"$work/err" </dev/null
	[ $? = 121 ] && grep -q 'is not a cowfs image' "$work/err" && [ "$(cat "$work/junk")" = junk ]
	ok $? 'a file that is no disk is left alone'
	expect 121 '' "run: --disk $work: that is a directory; name a file" '--disk DIRECTORY' -- run --disk "$work" -c true </dev/null
	build/host/mkfs.cowfs -s 64M "$d"
	run --disk "$d" --append rootvolume=nosuch -c true >"$work/out" 2>"$work/err" </dev/null
	[ $? = 121 ] && grep -q "root=/dev/vda: volume 'nosuch' cannot be mounted: it has no such volume" "$work/err"
	ok $? 'a panic says what is wrong with the root'
fi

for bad in '--disk-size 5' '--disk-size x' '--disk /no/such/dir/file' '--fresh --kernel x' '--smp 0' '--smp x' '--mem 12' '--mem big' '--machine vax' '--add /no/such' '--accel fast' '--bogus' '--disk' '-c'; do
	# shellcheck disable=SC2086
	./run $bad >"$work/out" 2>"$work/err" </dev/null
	[ $? = 121 ] && grep -q '^run: ' "$work/err" && [ ! -s "$work/out" ]
	ok $? "bad: $bad"
done
echo "1..$count"
