#!/bin/bash
# A container beside others that do their worst: tests/guest/neighbours.c, with one CPU. NEIGHBOUR_SECONDS for each
# attacker (1.5), NEIGHBOUR_CPUS; `make neighbours` takes more of both.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/host/instructions.inc

cpus=${NEIGHBOUR_CPUS:-1}
version=$(qemu-system-x86_64 --version | sed -n 's/.*version \([0-9]*\.[0-9]*\).*/\1/p')
if [ "$cpus" -gt 1 ] && [ "$(printf '%s\n' 8.1 "$version" | sort -V | head -1)" != 8.1 ]; then
	echo "1..0 # SKIP where it counts instructions QEMU $version lets one CPU take all turns; 8.1 and later do not"
	exit
fi
instructions 3000 "$cpus" neighbours '' "NEIGHBOUR_SECONDS=${NEIGHBOUR_SECONDS:-1.5}"
echo "1..$count"
