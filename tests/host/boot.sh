#!/bin/bash
# Boots on each machine with several numbers of CPUs and sizes of memory, with the deterministic clock, and from
# the CD image by the firmware and GRUB.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
count=0

boots() { # boots NAME EXPECTED OPTION... : the guest must print EXPECTED
	local name=$1 expected=$2 got
	shift 2
	count=$((count + 1))
	# shellcheck disable=SC2086 # words are meant
	got=$(timeout 200 ./run --no-build --timeout 150 ${RUN_OPTIONS:-} "$@" -c 'echo $(nproc) cpus' 2>&1 </dev/null)
	if [ "$got" = "$expected" ]; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		printf '%s\n' "$got" | sed 's/^/# /'
	fi
}

for machine in microvm q35 pc; do
	for smp in 1 3; do
		boots "$machine, $smp CPUs" "$smp cpus" --machine $machine --smp $smp
	done
done
boots '16 CPUs' '16 cpus' --smp 16
boots '5 GB' '1 cpus' --smp 1 --mem 5G --machine q35
boots 'little memory' '1 cpus' --smp 1 --mem 64M
boots 'instruction clock' '2 cpus' --icount
case " ${RUN_OPTIONS:-} " in
*' --kernel '*) ;;
*)
	if command -v grub-mkrescue >/dev/null && make -s iso >/dev/null 2>&1; then
		boots 'CD image, q35' '2 cpus' --iso build/skerry.iso --machine q35
		boots 'CD image, pc' '2 cpus' --iso build/skerry.iso --machine pc
	else
		count=$((count + 1))
		echo "not ok $count - make iso"
	fi
	;;
esac
echo "1..$count"
