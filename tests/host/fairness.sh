#!/bin/bash
# Shares of the CPU to the percent, with 1 and 2 CPUs: tests/guest/fairness.c.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/host/instructions.inc

for smp in 1 2; do
	instructions 1500 $smp fairness "$smp CPUs: "
done
echo "1..$count"
