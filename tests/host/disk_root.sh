#!/bin/bash
# Tests of the guest that need its root on a disk: views (create_container), the grading script, and some others once more.
# Each runs in a guest of its own with a fresh disk.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0

for smp in 1 4; do
	for t in create grading.sh join join_ends idmap idmap_files container_limits io_limit ctool.sh container_disk images.sh; do
		count=$((count + 1))
		# shellcheck disable=SC2086 # words are meant
		timeout 600 ./run --no-build --timeout 500 --fresh --smp "$smp" ${RUN_OPTIONS:-} \
			--add "build/tests/guest/$t:/tests/$t" --add build/tests/guest/cases.inc:/tests/cases.inc \
			-c "exec /tests/$t" >"$work/out" 2>"$work/err" </dev/null
		status=$?
		if [ $status = 0 ] && ! grep -q '^not ok' "$work/out" && grep -q '^ok' "$work/out"; then
			echo "ok $count - $t, $smp CPUs"
		else
			echo "not ok $count - $t, $smp CPUs: status $status"
			sed 's/^/# /' "$work/out" "$work/err"
		fi
	done
done
echo "1..$count"
