#!/bin/sh
# xv6.sh - programs written for xv6, compiled unchanged (tests/xv6, tools/xv6-cc): here and in a container.
here=$(cd "$(dirname "$0")" && pwd)
W=/tmp/xv6.$$
mkdir -p "$W/work" "$W/c" || { echo "Bail out! no scratch directory"; exit 1; }
trap 'cd /; rm -rf "$W"' EXIT
cd "$W/work" || exit 1

number=0
# t NAME EXPECTED COMMAND...
t() {
	number=$((number + 1))
	name=$1 expected=$2
	shift 2
	out=$("$@" 2>&1 </dev/null)
	if [ "$out" = "$expected" ]; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		printf '%s\n' "$out" | sed 's/^/# /'
	fi
}

procs='child read a line
procs: ok -1 123456789012 0x10 % 5'
t 'files, as on x86' 'files: ok -5 beef yes!' "$here/xv6.files"
t 'processes, as on RISC-V' "$procs" "$here/xv6.procs"
if command -v ctool >/dev/null; then
	ctool create "$W/c" "$here/xv6.files" "$here/xv6.procs"
	t 'files, in a container' 'files: ok -5 beef yes!' ctool run --rm -w /tmp "$W/c" /xv6.files
	t 'processes, in a container' "$procs" ctool run --rm "$W/c" /xv6.procs
	t 'containers' 'GVA -> GPA
conts: ok' sh -c "$here/xv6.conts $W/c | grep -v -e '^container [0-9]*: pid' -e '^1 xv6.conts' |
		sed 's/^0x[0-9a-f]* -> 0x[0-9a-f]*$/GVA -> GPA/'"
fi
echo "1..$number"
