#!/bin/bash
# A container beside others that do their worst: tests/guest/neighbours.c, with one CPU. NEIGHBOUR_SECONDS for each
# attacker (1.5), NEIGHBOUR_CPUS; `make neighbours` takes more of both.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/host/instructions.inc

instructions 3000 "${NEIGHBOUR_CPUS:-1}" neighbours '' "NEIGHBOUR_SECONDS=${NEIGHBOUR_SECONDS:-1.5}"
echo "1..$count"
