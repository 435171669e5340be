#!/bin/bash
# A trace of a known workload, made in the guest, is JSON with the events that the workload must produce.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A container that is refused a mkdir and a third process, takes page faults, computes more than it may, and is
# stopped in the end.
workload='ctool create /c /bin/busybox
ctool trace -o /tmp/all.json & sleep 0.5
ctool run --name traced -p 2 --cpus 0.3 --deny mkdir,mkdirat /c /busybox sh -c "
	/busybox mkdir /x
	i=0; while [ \$i -lt 10000 ]; do i=\$((i + 1)); done
	(/busybox true; /busybox true) & wait
	/busybox sleep 0.1 & /busybox sleep 0.1" 2>/dev/null
kill $!
wait
ctool run --detach --name other /c /busybox sleep 100
ctool trace -t 1 -o /tmp/one.json other & sleep 0.2
ctool run --rm /c /busybox true
ctool exec other /busybox true
wait
ctool rm -f other traced'

# shellcheck disable=SC2086 # words are meant
timeout 200 ./run --no-build --timeout 150 --smp 2 ${RUN_OPTIONS:-} --get /tmp/all.json:"$work/all.json" \
	--get /tmp/one.json:"$work/one.json" -c "$workload" >"$work/out" 2>&1 </dev/null
sed 's/^/# /' "$work/out"
python3 tests/host/trace.py "$work/all.json" "$work/one.json"
