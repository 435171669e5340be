#!/bin/bash
# Shares of the CPU to the percent, with 1 and 2 CPUs: tests/guest/fairness.c on a clock that counts instructions,
# where they do not depend on how busy this machine is. An instruction counts as 8 ns, so that seconds pass sooner.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
count=0

case " ${RUN_OPTIONS:-} " in
*' --kernel '*)
	echo '1..0 # SKIP another kernel'
	exit
	;;
esac

for smp in 1 2; do
	out=$(timeout 1500 ./run --no-build --timeout 1400 --smp $smp --icount --qemu '-icount shift=3,sleep=off,align=off' \
		--add build/tests/guest/fairness:/fairness -c 'INSTRUCTION_CLOCK=1 /fairness' 2>&1 </dev/null)
	printf '%s\n' "$out" | grep -v -E '^(ok|not ok|1\.\.)' | sed 's/^[^#]/# &/'
	while IFS= read -r line; do
		case $line in
		*'# SKIP'*) ;;
		*'no kernel object leaked'*) ;; # others live beside it here; tests/guest/sched.c is alone
		'ok '*) count=$((count + 1)) && echo "ok $count - $smp CPUs: ${line#* - }" ;;
		'not ok '*) count=$((count + 1)) && echo "not ok $count - $smp CPUs: ${line#* - }" ;;
		esac
	done <<<"$out"
	case $out in
	*'no kernel object leaked'*) ;;
	*) count=$((count + 1)) && echo "not ok $count - $smp CPUs: the program did not end" ;;
	esac
done
echo "1..$count"
