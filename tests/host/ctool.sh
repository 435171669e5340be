#!/bin/bash
# ctool without its kernel: what it says about wrong arguments, what it prints of containers that a
# directory of control files describes, and, as root, whole lives of containers over
# ctool-fake.c. With sanitizers.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/host/cases.inc
cleanup() {
	# programs that a failed test left
	cat "$work"/control/*/program 2>/dev/null | xargs -r kill -9 2>/dev/null
	sleep 0.1
	rm -rf "$work"
}
trap cleanup EXIT
busybox=${BUSYBOX:-/bin/busybox}
export ASAN_OPTIONS=detect_leaks=0 SKERRY_CONTROL=$work/control CTOOL_RECORDS=$work/records

# run STATUS STDOUT STDERR NAME ARG...: ctool ARG... ends and prints so (patterns of [[ ]]; stdin is empty)
run() {
	local status=$1 out=$2 err=$3 name=$4 got
	shift 4
	timeout 30 "$work/ctool" "$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	# shellcheck disable=SC2053 # patterns are meant
	[[ $got = "$status" && $(<"$work/out") == $out && $(<"$work/err") == $err ]]
	ok $? "$name"
	[ $got = "$status" ] || echo "# status $got, expected $status"
}

refused() { # refused MESSAGE ARG...
	local message=$1
	shift
	run 125 '' "ctool: $message" "refused: ctool $*" "$@"
}

lib=$(ls user/lib/{control,processes,number,table,json,tree,link}.c)
flags="-std=gnu11 -O1 -g -D_GNU_SOURCE -Wall -Wextra -Werror -I. -Iuser/include -Iuser/lib -fsanitize=address,undefined -fno-sanitize-recover"
# shellcheck disable=SC2086 # words are meant
gcc $flags -Wl,--wrap=poll -o "$work/ctool" user/ctool/*.c tests/host/ctool-fake.c $lib &&
	gcc $flags -o "$work/text" tests/host/ctool-text.c $lib || {
	echo "Bail out! ctool does not build"
	exit 1
}

# control ID NAME STATE: a container of which all is known
control() {
	mkdir -p "$work/control/$1"
	(
		cd "$work/control/$1" || exit
		echo "$2" >name
		echo "$3" >state
		echo "host-$2" >hostname
		echo "$work/root" >root
		echo none >console
		echo max >pids.max
		echo 2 >pids.current
		echo 16777216 >memory.max
		echo 1572864 >memory.current
		printf 'low 0\nhigh 0\nmax 3\noom 0\noom_kill 1\n' >memory.events
		printf 'usage_usec 70000\nuser_usec 30\nsystem_usec 40\n' >cpu.stat
		echo 1000000000.25 >created
		printf '1 a b) 1 2 S 3 4 5\nnonsense\n22 sh R 60000 0 4096\n' >procs
	)
}

mkdir -p "$work/root" "$work/records"
head -c 8192 /dev/urandom >"$work/root/file"
mkdir -p "$work/control/0" "$work/control/self"
control 10 gone stopped
control 9 web paused
printf 'console -1\nuid 0\ngid 0\nroot /x\nworkdir /\nenv A=1\narg /bin/sh\narg -c\narg a\\nb "q"\n' >"$work/records/9"

"$work/text" >"$work/text.out" 2>&1
ok $? "text, tables, JSON, control files: no sanitizer complains"
grep -v '^1\.\.' "$work/text.out" | grep '^not ok' | sed 's/^/# /'
! grep -q '^not ok' "$work/text.out"
ok $? "text, tables, JSON, control files: $(grep -c '^ok' "$work/text.out") cases"

# What is shown
run 0 '*commands:*create*images*build*' '' "help lists all" help
run 0 'usage: ctool run *--pids N*example:*' '' "--help of a command" run --help
for c in create run start exec attach connect disconnect pause resume unpause stop kill wait rm delete list ls \
	info inspect top images build commit rmi diff cp help; do
	run 0 'usage: ctool *example:'$'\n''  ctool *' '' "help of $c has an example" $c --help
done
run 0 '9' '' "list -q: running and paused" list -q
run 0 $'9\n10' '' "list -aq" list -aq
run 0 'ID  NAME  STATE   PROCS  CPU%   MEM  DISK  CONSOLE  ROOT*COMMAND'$'\n'' 9  web   paused      2   0.0  1.5M  *K  -        '"$work/root"'*/bin/sh -c a?b "q"' '' \
	"list" list
run 0 '*gone  stopped*' '' "ls -a" ls -a
run 0 '*container 9: web*state *paused*hostname *host-web*processes *2 used, unlimited available, no maximum*memory *1.5M used, 14M available, 16M maximum*disk*used*available, no maximum*cpu *7 ticks, 0.0%*PID*TICKS*22*R*6*sh*' \
	'' "info" info web
run 0 '*container 9*container 10*' '' "info of all" inspect
run 125 '*container 9*' 'ctool: info: no such container: nobody' "info of one that is not there, too" info web nobody
run 0 'web: paused, 2/max processes*PID*a b) 1 2*' '' "top, once" top 9

if command -v python3 >/dev/null; then
	"$work/ctool" list -a --format json | python3 -c '
import json, sys
a = json.load(sys.stdin)
assert [c["id"] for c in a] == [9, 10]
c = a[0]
assert list(c) == "id name state procs pids_max cpu_percent memory memory_max disk disk_max console root command created".split()
assert c["pids_max"] is None and c["memory_max"] == 16 << 20 and c["console"] is None
assert c["command"] == "/bin/sh -c a\nb \"q\"" and c["created"] == 1000000000 and a[1]["command"] is None
' 2>"$work/err"
	ok $? "list --format json"
	"$work/ctool" info web --format=json | python3 -c '
import json, sys
c, = json.load(sys.stdin)
assert c["processes"][0] == {"pid": 1, "name": "a b) 1 2", "state": "S", "cpu_percent": 0.0, "memory": 5}
assert c["cpu_usage_usec"] == 70000 and c["io"] is None
assert c["limits"]["memory_max"] == 16 << 20 and c["events"]["memory_oom_kill"] == 1
' 2>"$work/err"
	ok $? "info --format json"
fi

# What is refused
refused 'no command given*'
refused 'no such command: frob*' frob
refused 'help: no such command: frob' help frob
for v in "-d 0" "-d -1" "-d 1X" "-d 4095" "--inodes 0" "--inodes -1" "--inodes x"; do
	# shellcheck disable=SC2086
	refused "run: ${v% *}: ${v#* }: not a*" run $v /x
done
for v in .. a/b host "a b" "" "$(printf '%0101d' 0)"; do
	refused "build: not a name for an image: *" build -t "$v"
	refused "rmi: not a name for an image: *" rmi "$v"
done
refused 'build: -t IMAGE is missing*' build
refused 'build: */Buildfile: No such file or directory' build -t x "$work/root"
refused 'rmi: / is not on cowfs*' rmi x
refused 'cp: neither a nor b is CONT:PATH' cp a b
refused 'cp: no such container: nobody' cp nobody:/x /y
refused 'cp: neither - nor a is CONT:PATH' cp - a
for v in "--cpus 0" "--cpus x" "--cpus 1.5x" "--cpus -1" "--weight 0" "--weight 10001" "--weight x" "--cpuset a" "--sched cfs"; do
	# shellcheck disable=SC2086
	refused "run: ${v% *}: ${v#* }: not a*" run $v /x
done
for v in "--uid-map 0" "--uid-map 0:1" "--uid-map 0:1:0" "--uid-map 0:1:x" "--gid-map 0:1:2:3" "--gid-map -1:0:1" "--gid-map :0:1"; do
	# shellcheck disable=SC2086
	refused "run: ${v% *}: ${v#* }: not INSIDE:OUTSIDE:COUNT*" run $v /x
done
refused 'set: too few arguments*' set c1
for k in cpu.weight =5 ../c2/cpu.weight=5 .=5 a/b=5; do
	refused "set: $k: not KEY=VALUE*" set c1 "$k"
done
refused 'run: too few arguments*' run
refused 'run: no such directory: /no/where' run /no/where
refused 'run: not a directory: */file' run "$work/root/file"
refused 'run: no such image: foo' run foo
refused 'run: no such option: --frob' run --frob /x
refused 'run: no such option: -z' run -iz /x
refused 'run: -p: needs a value (N)' run -p
refused 'run: --name: needs a value (NAME)' run --name
refused 'run: --rm: takes no value' run --rm=yes /x
refused 'run: -p: 0: not a number of processes' run -p 0 /x
refused 'run: -p: x: not a number*' run /x -px
refused 'run: -m: 16Q: not a size*' run -m 16Q /x
refused 'run: --memory: 0: not a size*' run --memory=0 /x
refused 'run: --name: a/b: not a name*' run --name a/b /x
refused 'run: --name: 12: would be taken for an id' run --name 12 /x
refused 'run: --hostname: : not a host name*' run --hostname= /x
refused 'run: -e: FOO: not KEY=VALUE' run -e FOO /x
refused 'run: -w: tmp: not an absolute path' run -w tmp /x
refused 'run: -u: root: not UID*' run -u root /x
refused 'run: -u: 1:: not UID*' run -u 1: /x
refused 'run: -u: 4294967295: not UID*' run -u 4294967295 /x
refused 'run: --console: vc0: not a console*' run --console vc0 /x
refused 'start: not a console*: vc10' start vc10 "$work/root" prog
refused 'start: no such directory: /no/where' start vc1 /no/where -p 8 prog
refused 'start: no such container: nobody' start nobody
refused 'start: web is paused' start web
refused 'start: gone: how it was started is not known' start gone
refused 'exec: no program given*' exec web
refused 'exec: web is paused*' exec web ls
refused 'exec: gone is not running' exec gone ls
refused 'exec: no such container: nobody' exec nobody ls
refused 'pause: too few arguments*' pause
refused 'pause: no such container: nobody' pause nobody
refused 'resume: gone is stopped' unpause gone
refused 'stop: -t: soon: not a number of seconds*' stop -t soon web
refused 'kill: -s: FROB: no such signal' kill -s FROB web
refused 'kill: gone is not running' kill gone
refused 'wait: too many arguments: b' wait a b
refused 'rm: web is paused*' rm web
refused 'attach: web has no console*' connect web
refused 'list: --format: xml: not a format*' list --format xml
refused 'create: too few arguments*' create
refused 'create: no such file: /no/file' create "$work/c0" /no/file
refused 'create: not a file: /' create "$work/c0" /
refused 'create: not a directory: */file' create "$work/root/file"
[ ! -e "$work/c0" ]
ok $? "a refused create makes nothing"

# What happens, over the fake kernel
if [ "$(id -u)" != 0 ] || [ ! -x "$busybox" ]; then
	echo "ok $((count + 1)) # SKIP the rest needs root and busybox"
	echo "1..$((count + 1))"
	exit
fi
rm -rf "$work/control" "$work/records"
mkdir "$work/control"
root=$work/c1
run 0 '' '' "create" create "$root" "$busybox" tests/host/ctool.sh
[ -x "$root/busybox" ] && [ -x "$root/ctool.sh" ] && [ "$(stat -c %a "$root/tmp")" = 1777 ] && [ -d "$root/proc" ]
ok $? "create copies with modes, and makes the mount points"
run 0 'hello' '' "run" run --rm "$root" /busybox echo hello
run 0 '' '' "--rm leaves nothing" list -aq
run 9 '' '' "exit status" run --rm "$root" /busybox sh -c 'exit 9'
run 137 '' '' "a signal" run --rm "$root" /busybox sh -c 'kill -9 $$'
run 127 '' 'ctool: run: frob: not found' "not found in PATH" run --rm "$root" frob
run 127 '' 'ctool: run: /frob: not found' "not found" run "$root" /frob
run 126 '' 'ctool: run: /tmp: Permission denied' "not a program" run "$root" /tmp
run 127 '' 'ctool: run: /bin/sh: not found' "the default program" run "$root"
run 125 '' 'ctool: run: /no/dir: No such file or directory' "-w" run -w /no/dir "$root" /busybox true
run 0 '' '' "none of these left a container" list -aq
run 0 $'/tmp\n5:7' '' "-w, -u" run --rm -w /tmp -u 5:7 "$root" /busybox sh -c '/busybox pwd; echo $(/busybox id -u):$(/busybox id -g)'
run 0 $'/\n*A=b c\nHOME=/\n*PATH=/usr/local/sbin:*' '' "a fresh environment" run --rm -e 'A=b c' "$root" /busybox sh -c 'pwd; env | sort'
run 0 '-p x' '' "options end at the program" run --rm -p 8 "$root" -m 16M /busybox echo -p x
got=$(printf 'a\0b\n' | "$work/ctool" run --rm "$root" /busybox od -c 2>&1 | tr -s ' \n' ' ')
[[ $got == *'a \0 b \n'* ]]
ok $? "standard input is connected"
run 0 $'yes\r' '' "-t gives a terminal" run --rm -t "$root" /busybox sh -c '[ -t 0 ] && [ -t 1 ] && echo yes'
got=$(printf 'x\ny\n' | timeout 30 "$work/ctool" run --rm -t "$root" /busybox sh -c 'while read l; do echo "<$l>"; done; echo end' | tr -d '\r')
[[ $got == *'<x>'*'<y>'*end ]]
ok $? "lines and the end of input pass a terminal"
if command -v script >/dev/null; then
	got=$(timeout 30 script -qec "stty rows 33 cols 99; $work/ctool run --rm $root /busybox sh -c 'exec /busybox stty size'" \
		/dev/null </dev/null | tr -d '\r')
	[[ $got == *'33 99'* ]]
	ok $? "on a terminal run makes one, of the same size"
fi

run 0 'web' '' "run --detach prints the name" run --detach --name web -p 8 "$root" /busybox sh -c 'trap "exit 3" TERM; while :; do /busybox sleep 0.02; done'
run 0 '*web*running*' '' "it is in the list" list
run 125 '' 'ctool: run: there is a container of that name already: web' "its name is taken" run --name web "$root" /busybox true
run 5 'in' '' "exec" exec web /busybox sh -c 'echo in; exit 5'
run 127 '' 'ctool: exec: frob: not found' "exec of nothing" exec web frob
run 0 '' '' "pause" pause web
run 125 '' 'ctool: pause: web is paused' "pause again" pause web
run 125 '' 'ctool: exec: web is paused*' "exec while paused" exec web /busybox true
run 0 '' '' "resume" resume web
run 125 '' 'ctool: rm: web is running*' "rm of a running one" rm web
(sleep 0.3; "$work/ctool" stop web) &
run 3 '3' '' "wait; stop sends SIGTERM" wait web
wait
run 0 '*web*stopped*' '' "it stays" list -a
run 0 'web' '' "start again" start web
run 0 '' '' "kill is SIGKILL" kill web
run 137 '137' '' "wait for one that was killed" wait web
run 0 'web' '' "start once more" start web
run 0 '' '' "kill -s TERM" kill -s TERM web
run 3 '3' '' "reaches the program" wait web
run 0 '' '' "rm" delete web
[ -z "$(ls "$work/records")" ]
ok $? "no record is left"
run 0 'deaf' '' "one that ignores SIGTERM" run --detach --name deaf "$root" /busybox sh -c 'trap "" TERM; while :; do /busybox sleep 0.05; done'
run 0 '' '' "stop -t 1" stop -t 1 deaf
run 137 '137' '' "it was killed" wait deaf
run 0 'c2' '' "a default name" run --detach "$root" /busybox sleep 100
run 125 '' 'ctool: stop: no such container: nobody' "stop of two, one unknown" stop -t 0 nobody c2
run 137 '137' '' "the other is stopped" wait c2
run 0 'full' '' "a full container" run --detach -p 1 --name full "$root" /busybox sleep 100
run 125 '' 'ctool: exec: *limit of processes*' "exec into it" exec full /busybox true
run 0 '' '' "rm -f of several" rm -f full deaf c2
run 0 'brief' '' "run --detach --rm" run --detach --rm --name brief "$root" /busybox sleep 0.2
for _ in 1 2 3 4 5 6 7 8 9 10; do
	[ -z "$(ls "$work/control")" ] && break
	sleep 0.2
done
[ -z "$(ls "$work/control")$(ls "$work/records")" ]
ok $? "it is removed at its end"

"$work/ctool" run --rm "$root" /busybox sh -c 'trap "echo got; exit 4" TERM; echo ready; while :; do /busybox sleep 0.02; done' >"$work/out" 2>"$work/err" &
pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
	grep -q ready "$work/out" && break
	sleep 0.2
done
kill -TERM $pid
wait $pid
[ "$? $(tr '\n' ' ' <"$work/out")" = "4 ready got " ]
ok $? "run passes signals on"
(exec 7<"$work/text"; "$work/ctool" run --rm "$root" /busybox sh -c '[ ! -e /proc/self/fd/7 ] && ! (: <&7)' >"$work/out" 2>"$work/err")
ok $? "no other descriptor is inherited"
[ "$(stat -c %a "$work/records")" = 700 ]
ok $? "records are private"
echo "1..$count"
