#!/bin/bash
# How long one call in a container holds up another container: tests/guest/stalls.h, with one CPU.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/host/instructions.inc

for program in stalls stalls_files; do
	instructions 2000 1 $program ''
done
echo "1..$count"
