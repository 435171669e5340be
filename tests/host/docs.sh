#!/bin/bash
# What doc/ says is true of the sources (tools/doc-check), and the rules that need no eye (tools/lint).
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
count=0

clean() { # clean NAME COMMAND...: it must find nothing wrong
	local name=$1 found status
	shift
	count=$((count + 1))
	found=$("$@" 2>&1)
	status=$?
	[ $status = 0 ] || echo -n "not "
	echo "ok $count - $name"
	[ $status = 0 ] || printf '%s\n' "$found" | sed 's/^/# /'
}

clean 'citations, links, and the list of system calls' tools/doc-check
clean 'layers, cycles, words, licence lines' tools/lint --no-format
echo "1..$count"
