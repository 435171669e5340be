#!/bin/bash
# A container beside others that do their worst: tests/guest/neighbours.c on a clock that counts instructions, with
# one CPU. NEIGHBOUR_SECONDS for each attacker (1.5), NEIGHBOUR_CPUS; `make neighbours` takes more of both.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
count=0 cpus=${NEIGHBOUR_CPUS:-1}

case " ${RUN_OPTIONS:-} " in
*' --kernel '*)
	echo '1..0 # SKIP another kernel'
	exit
	;;
esac

out=$(timeout 3000 ./run --no-build --timeout 2900 --smp "$cpus" --icount --qemu '-icount shift=3,sleep=off,align=off' \
	--add build/tests/guest/neighbours:/neighbours \
	-c "INSTRUCTION_CLOCK=1 NEIGHBOUR_SECONDS=${NEIGHBOUR_SECONDS:-1.5} /neighbours" 2>&1 </dev/null)
printf '%s\n' "$out" | grep -v -E '^(ok|not ok|1\.\.)' | sed 's/^[^#]/# &/'
while IFS= read -r line; do
	case $line in
	*'no kernel object leaked'*) ;; # files are on a disk here
	'ok '*) count=$((count + 1)) && echo "ok $count - ${line#* - }" ;;
	'not ok '*) count=$((count + 1)) && echo "not ok $count - ${line#* - }" ;;
	esac
done <<<"$out"
case $out in
*'no kernel object leaked'*) ;;
*) count=$((count + 1)) && echo "not ok $count - the program did not end" ;;
esac
echo "1..$count"
