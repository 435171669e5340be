#!/bin/bash
# ./run -c as CLI.md promises it: bytes, statuses, pipes, files, and what goes wrong.
#   RUN_OPTIONS="--kernel linux" tests/host/run.sh     the same on another kernel
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0

run() {
	# shellcheck disable=SC2086 # words are meant
	timeout 120 ./run --no-build --timeout 100 ${RUN_OPTIONS:-} "$@"
}

ok() { # ok STATUS NAME
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		for f in out err; do
			[ ! -e "$work/$f" ] || head -c 2000 "$work/$f" | sed "s/^/# $f: /"
		done
	fi
}

is() { # is GOT EXPECTED NAME
	[ "$1" = "$2" ]
	local equal=$?
	[ $equal = 0 ] || printf '# got %q, expected %q\n' "$1" "$2"
	ok $equal "$3"
}

# expect STATUS STDOUT STDERR NAME -- ARGUMENT...
expect() {
	local status=$1 out=$2 err=$3 name=$4
	shift 5
	run "$@" >"$work/out" 2>"$work/err"
	is "$? $(cat "$work/out") $(cat "$work/err")" "$status $out $err" "$name"
}

expect 0 hello '' 'stdout' -- -c 'echo hello' </dev/null
expect 9 '' '' 'exit status' -- -c 'exit 9' </dev/null
expect 143 '' '' 'a signal is 128 + n' -- -c 'kill -TERM $$' </dev/null
expect 127 '' 'sh: nosuch: not found' 'no such command' -- -c nosuch </dev/null
expect 3 out err 'stdout and stderr apart' -- -c 'echo out; echo err >&2; exit 3' </dev/null
expect 0 'a b' '' 'stdin' -- -c 'read x; echo "$x"' < <(echo 'a b')
expect 0 0 '' 'empty stdin ends' -- -c 'wc -c' </dev/null
expect 0 0 '' 'closed stdin' -- -c 'wc -c' <&-
expect 0 'no no no' '' 'pipes, not terminals' -- -c \
	'for i in 0 1 2; do if [ -t $i ]; then printf yes; else printf no; fi; [ $i = 2 ] || printf " "; done'
expect 0 / '' 'starts in /' -- -c pwd </dev/null
expect 0 done '' 'what runs on is not waited for' -- -c 'sleep 1000 & echo done' </dev/null
odd=$'q\x27"\\$ \xff\x01 \t* \xc3'
expect 0 "$odd" '' 'any bytes in COMMAND' -- -c "cat <<'E'"$'\n'"$odd"$'\nE\n' </dev/null

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
tree/sub/file 4751 0:0' '' '--add DIR' -- --add "$work/tree" -c \
	'find tree | sort | while read f; do if [ -L $f ]; then echo "$f -> $(readlink $f)";
	elif [ $f = tree/sub/file ] || [ $f = tree/sub/empty ]; then stat -c "%n %a %u:%g" $f; else echo $f; fi; done' </dev/null
expect 0 'data
root' '' '--add merges into a directory and keeps it' -- --add "$work/tree/sub:/etc" -c \
	'cat /etc/file; head -n 1 /etc/passwd | cut -d: -f1' </dev/null
expect 0 "$(md5sum <"$work/data")" '' '--add: the last colon separates' -- --add "$work/co:lon:/a/b/c" -c \
	'md5sum </a/b/c' </dev/null
expect 0 "$(md5sum <"$work/data")" '' '--add of a name with a colon' -- --add "$work/co:lon" -c 'md5sum <"/co:lon"' </dev/null
expect 0 'data /bin/busybox' '' '--add does not write through a link' -- --add "$work/tree/sub/file:/bin/true" -c \
	'echo $(cat /bin/true) $(readlink /bin/false)' </dev/null
expect 0 data '' '--add of a file into a directory' -- --add "$work/tree/sub/file:/tmp" -c 'cat /tmp/file' </dev/null

rm -rf "$work/got"
run --add "$work/tree" --get "/tree:$work/got" --get "/r:$work/r" -c 'echo new >/tree/new; echo r >/r; exit 4' \
	</dev/null >"$work/out" 2>"$work/err"
is "$? $(cat "$work/got/new" "$work/r" "$work/got/link") $(stat -c %a "$work/got/sub/file") $(readlink "$work/got/dangling")" \
	"4 new
r
data 4751 /nowhere" '--get of a directory and of a file'
expect 121 '' 'run: --get: in the guest: /nosuch: No such file or directory' '--get of what is not there' -- \
	--get "/nosuch:$work/x" -c true </dev/null

run --timeout 10 -c 'echo before; sleep 1000' </dev/null >"$work/out" 2>"$work/err"
is "$? $(cat "$work/out") $(cut -d'(' -f1 "$work/err")" '121 before run: COMMAND did not end within 10 s ' '--timeout'
run -c 'poweroff -f' </dev/null >"$work/out" 2>"$work/err"
is "$? $(cut -c1-17 "$work/err")" '121 run: the guest st' 'a guest that ends too early'

for i in 1 2 3; do run -c "sleep 0.$i; echo $i" </dev/null >"$work/p$i" 2>&1 & done
wait
is "$(cat "$work"/p?)" "$(seq 1 3)" 'three at a time'

for bad in '--smp 0' '--smp x' '--mem 12' '--mem big' '--machine vax' '--add /no/such' '--accel fast' '--bogus' '--disk x' '-c'; do
	# shellcheck disable=SC2086
	./run $bad >"$work/out" 2>"$work/err" </dev/null
	[ $? = 121 ] && grep -q '^run: ' "$work/err" && [ ! -s "$work/out" ]
	ok $? "bad: $bad"
done
echo "1..$count"
