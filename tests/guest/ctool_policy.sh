#!/bin/sh
# ctool_policy.sh - what a container may do, and what is recorded of it: ctool's options and commands, and the
# demos that go with them. At the end nothing is left and no memory of it.

. "$(dirname "$0")/cases.inc"

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

# --- limits, mounts

t '--on-limit kill says so' 137 '*ctool: run: greedy was killed: it went beyond its limit of pids' \
	ctool run --rm --name greedy -p 2 --on-limit kill "$R" /busybox sh -c 'sleep 5 & sleep 5 & sleep 5'
t '--on-limit kill, memory' 137 '*was killed: it went beyond its limit of memory' \
	ctool run --rm --name greedy -m 8M --on-limit kill "$R" /busybox sh -c 'dd if=/dev/zero of=/dev/null bs=64M count=1'
t '--on-limit errno' 2 '*esource temporarily unavailable*' \
	ctool run --rm -p 2 --on-limit errno "$R" /busybox sh -c 'sleep 1 & sleep 1 & sleep 1; true'
t '--on-limit: not that' 125 'ctool: run: --on-limit: panic: not errno or kill' ctool run --on-limit panic "$R"
t '--read-only' 1 '*Read-only file system' ctool run --rm --read-only "$R" /busybox touch /new
mkdir "$W/data" "$R/data"
echo outside >"$W/data/file"
t '-v' 0 'outside' ctool run --rm -v "$W/data:/data" "$R" /busybox sh -c 'cat /data/file; echo inside >/data/file'
t '-v wrote' 0 'inside' cat "$W/data/file"
t '-v :ro' 1 '*Read-only file system' ctool run --rm -v "$W/data:/data:ro" "$R" /busybox sh -c 'echo x >/data/file'
t '-v: a file' 0 'inside' ctool run --rm -v "$W/data/file:/plain" "$R" /busybox cat /plain
t '-v: no source' 125 'ctool: run: -v: /none: No such file or directory' ctool run --rm -v /none:/data "$R" /busybox true
t '-v: no target' 125 'ctool: run: -v: /none is not there inside' ctool run --rm -v "$W/data:/none" "$R" /busybox true
t '-v: a file on a directory' 125 'ctool: run: -v: /data: a file goes on a file*' ctool run --rm -v "$W/data/file:/data" "$R" /busybox true
t '-v: no root' 125 'ctool: run: no such directory: /none' ctool run --rm -v "$W/data:/data" /none /busybox true
t '-v: malformed' 125 'ctool: run: -v: /a: not SRC:DST*' ctool run --rm -v /a "$R" /busybox true
t '-v: malformed mode' 125 'ctool: run: -v: /a:/b:rx: neither ro nor rw' ctool run --rm -v /a:/b:rx "$R" /busybox true

# --- logs, events, stats, trace

t 'a detached program' 0 'talker' ctool run --detach --name talker "$R" /busybox sh -c \
	'echo out; echo err >&2; cat; echo end; sleep 100'
t 'logs' 0 'out*err*end' sh -c 'for i in 1 2 3 4 5 6 7 8 9; do ctool logs talker | grep -q end && break; sleep 0.3; done; ctool logs talker'
t 'inside, the log cannot be opened' 1 '*' ctool exec talker /busybox sh -c 'cat /sys/container/self/log'
t 'logs -f ends with the container' 0 '*end' sh -c '(sleep 0.5; ctool stop -t 0 talker) & ctool logs -f talker'
t 'events' 0 '*talker created*talker started*talker stopped status=9*' ctool events talker
t 'events -f knows the name of one that has gone' 0 '*brief created*brief destroyed*' sh -c 'ctool events -f >$W/follow & pid=$!
	until [ -s $W/follow ]; do sleep 0.1; done
	ctool run --rm --name brief $R /busybox sleep 0.5
	until grep -q "brief destroyed" $W/follow; do sleep 0.1; [ $((n += 1)) -lt 200 ] || break; done
	kill $pid; cat $W/follow'
t 'events of all' 0 '*created*destroyed*' sh -c 'ctool events | grep -v talker'
t 'events -f' 0 '*destroyed*' sh -c 'ctool events -f >$W/events & sleep 0.3; ctool rm talker; sleep 0.5; kill $!; tail -n 1 $W/events'
t 'logs are bounded' 0 '16384' sh -c "ctool run --detach --name loud $R /busybox sh -c 'seq 100000' >/dev/null
	ctool wait loud >/dev/null; ctool logs loud | wc -c"
t 'and have the end' 0 '100000' sh -c 'ctool logs loud | tail -n 1; ctool rm loud'
t 'logs of a console' 0 'on the screen*' sh -c "ctool start --name shown vc3 $R /busybox echo on the screen >/dev/null
	ctool wait shown >/dev/null; ctool logs shown; ctool rm shown"
t 'logs: no such container' 125 'ctool: logs: no such container: nobody' ctool logs nobody
ctool run --detach --name busy -m 16M -p 5 "$R" /busybox sh -c 'while :; do :; done' >/dev/null
t 'stats' 0 '*ID *NAME *STATE *CPU% *TIME *MEM *PEAK *OOM *PROCS*busy *running *[1-9]*/16M *1/5' ctool stats
t 'stats of one' 0 '*busy*' ctool stats -n 1 busy
t 'stats: no such' 125 'ctool: stats: no such container: nobody' ctool stats nobody
t 'trace' 0 '{"displayTimeUnit"*"traceEvents"*"container *(busy)"*' ctool trace -t 1 busy
t 'trace: no file' 125 'ctool: trace: /no/where: No such file*' ctool trace -o /no/where
ctool rm -f busy

# --- the demos

demo() { command -v "$1"; }
t 'create with the demos' 0 '' ctool create "$R" "$(demo forkbomb)" "$(demo membomb)" "$(demo echoloop)" "$(demo vctest)"
t 'forkbomb' 0 '*processes made, [1-9]* refused (Resource temporarily unavailable)' \
	ctool run --rm -p 20 "$R" /forkbomb 1
t 'forkbomb, --on-limit kill' 137 '*went beyond its limit of pids' ctool run --rm -p 20 --on-limit kill "$R" /forkbomb 20
t 'membomb' 0 'membomb: killed by signal 9 after [0-9]* MB' ctool run --rm -m 16M "$R" /membomb
t 'membomb within its limit' 0 'membomb: 4 MB, status 0' ctool run --rm -m 16M "$R" /membomb 4
t 'echoloop' 0 'boo 1*boo 2*boo 3*' sh -c "ctool run --detach --name loop $R /echoloop 1 boo >/dev/null
	for i in 1 2 3 4 5 6 7 8 9; do ctool logs loop | grep -q 'boo 3' && break; sleep 0.2; done
	ctool logs loop; ctool rm -f loop"
t 'usersched shares by tickets' 0 'pid 2: 1 tickets, *% of the work, promised 20.0%*pid 3: 4 tickets, *% of the work, promised 80.0%*
[0-9]* choices, [0-9]* by the kernel' sh -c "usersched 1 4 >$W/shares; cat $W/shares"
t 'and who has four of five gets most' 0 '' sh -c "[ \$(sed -n 's/^pid 3.*tickets, \([0-9]*\).*/\1/p' $W/shares) -gt 60 ]"
t 'usersched: no tickets' 125 'usage: usersched TICKETS...*' usersched 0
t 'vctest on the host' 0 'vctest: written to console 7' vctest 7 hello
t 'vctest inside reaches no console' 1 '*tty7: No such file*' ctool run --rm "$R" /vctest 7
t "nothing is left" 0 "" ctool list -aq
echo "1..$number"
