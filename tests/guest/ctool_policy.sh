#!/bin/sh
# ctool_policy.sh - what a container may do, and what is recorded of it: ctool's options and commands, and the
# demos that go with them.
#
# Runs on the host (container 0) with busybox and ctool in PATH. All containers that it makes are
# removed again; at the end nothing is left and no memory of it.

for BB in /bin/busybox /busybox /usr/bin/busybox; do
	[ -x "$BB" ] && break
done
W=/tmp/ctool.$$
R=$W/c1
export W R
mkdir -p "$W" || { echo "Bail out! no scratch directory"; exit 1; }
cleanup() {
	cd /
	for id in $(ctool list -aq); do
		ctool rm -f "$id"
	done
	rm -rf "$W"
}
trap cleanup EXIT

number=0
# t NAME STATUS PATTERN COMMAND...: the command's exit status, and what it prints (stderr too) as a
# pattern of case
t() {
	number=$((number + 1))
	name=$1 status=$2 pattern=$3
	shift 3
	"$@" >"$W/out" 2>&1 </dev/null
	got=$?
	out=$(cat "$W/out")
	if [ "$got" = "$status" ] && matches "$out" "$pattern"; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		echo "# status $got, expected $status; expected output: $pattern"
		sed 's/^/# /' "$W/out"
	fi
}
matches() {
	# shellcheck disable=SC2254 # a pattern is meant
	case $1 in
	$2) return 0 ;;
	esac
	return 1
}
# Where our own program is; by its name the shell would take busybox's.
tool() {
	for dir in /bin /sbin /usr/bin /usr/sbin; do
		[ ! -x "$dir/$1" ] || [ -L "$dir/$1" ] || echo "$dir/$1"
	done
}
# In the container: busybox with its applets by name.
inside() {
	ctool run --rm "$R" /busybox "$@"
}

# --- create, run

ctool create "$R" "$BB"

# --- system calls

t '--deny' 1 '*mkdir*Operation not permitted*' ctool run --rm --deny mkdir,mkdirat "$R" /busybox mkdir /x
t '--deny with an errno' 1 '*mkdir*Read-only*' ctool run --rm --deny mkdir=EROFS "$R" /busybox mkdir /x
t '--deny: the others go on' 0 'fine' ctool run --rm --deny mkdir "$R" /busybox echo fine
t '--deny =kill' 159 '*' ctool run --rm --deny mkdir=kill "$R" /busybox mkdir /x
t '--deny twice' 0 'mkdir=EPERM rmdir=EIO' sh -c \
	"ctool run --name two --deny mkdir --deny rmdir=EIO $R /busybox true
	cat /sys/container/\$(ctool list -aq)/syscalls.deny; ctool rm two"
t '--deny: no such call' 125 'ctool: run: --deny: frob: not a list of CALL or CALL=ACTION' \
	ctool run --rm --deny frob "$R" /busybox true
t '--deny: nothing' 125 'ctool: run: --deny: : not a list of calls' ctool run --rm --deny '' "$R" /busybox true
t '--deny execve: the program cannot start' 126 'ctool: run: /busybox: Operation not permitted' \
	ctool run --rm --deny execve "$R" /busybox true

# --- a manager

printf '/motd %s\n/hidden -\n' "$W/words" >"$W/table"
echo 'from the table' >"$W/words"
echo 'not this' >"$R/motd"
echo 'secret' >"$R/hidden"
echo 'its own' >"$R/plain"
t 'openmanager serves from its table' 0 'from the table' openmanager "$W/table" "$R" /busybox cat /motd
t 'and what is not in it comes from the root' 0 'its own' openmanager "$W/table" "$R" /busybox cat /plain
t 'and can hide a file' 1 '*hidden*No such file*' openmanager "$W/table" "$R" /busybox cat /hidden
t "nothing is left" 0 "" ctool list -aq
echo "1..$number"
