#!/bin/sh
# ctool.sh - every command of the container tool, as a user types them. At the end nothing is left and no
# memory of it.

. "$(dirname "$0")/cases.inc"

# Where our own program is; by its name the shell would take busybox's.
tool() {
	for dir in /bin /sbin /usr/bin /usr/sbin; do
		[ ! -x "$dir/$1" ] || [ -L "$dir/$1" ] || echo "$dir/$1"
	done
}

# --- create, run

t 'create' 0 '' ctool create "$R" "$BB"
t 'create made a program and mount points' 0 '*busybox*dev*proc*sys*tmp*' sh -c "echo \$(ls $R)"
t 'create again adds' 0 '' ctool create "$R" /etc/passwd
t 'create of what is not there' 125 'ctool: create: no such file: /no/file' ctool create "$W/c2" /no/file
t 'run' 0 'hello' inside echo hello
t 'run: exit status' 9 '' inside sh -c 'exit 9'
t 'run: signal' 139 '*egmentation fault*' inside sh -c 'sh -c "kill -SEGV \$\$"; exit $?'
t 'run: killed' 137 '' sh -c "ctool run --rm --name k $R /busybox sleep 100 &
	until ctool kill k 2>/dev/null; do sleep 0.1; done; wait \$!"
t 'pid 1 is safe from what is inside' 0 'safe' inside sh -c 'kill -9 1; kill -9 $$; echo safe'
t 'run: not found' 127 'ctool: run: frob: not found' ctool run --rm "$R" frob
t 'run: not executable' 126 'ctool: run: /passwd: Permission denied' ctool run --rm "$R" /passwd
t 'run: default program' 127 'ctool: run: /bin/sh: not found' ctool run --rm "$R"
t 'run: no directory' 125 'ctool: run: no such directory: /no/where' ctool run /no/where
t 'run: no image' 125 'ctool: run: no such image: foo' ctool run foo
t 'no container is left by these' 0 '' ctool list -aq
t 'its own root' 0 'busybox dev passwd proc sys tmp' inside sh -c 'echo $(ls /)'
t 'no way out by ..' 0 'busybox dev passwd proc sys tmp' inside sh -c 'cd /../..; echo $(ls ..)'
t 'pid 1' 0 '1 0' inside sh -c 'echo $$ $PPID'
t 'its own processes only' 0 '1' inside sh -c 'cd /proc; set -- [0-9]*; echo $1'
t 'host name' 0 'c[0-9]*' inside hostname
t '--hostname' 0 'boat' ctool run --rm --hostname boat "$R" /busybox hostname
t '--name is the host name' 0 'web' ctool run --rm --name web "$R" /busybox hostname
t '-w, -u' 0 '/tmp 5:7' ctool run --rm -w /tmp -u 5:7 "$R" /busybox sh -c 'echo $(pwd) $(id -u):$(id -g)'
t '-e' 0 'b c' ctool run --rm -e 'A=b c' "$R" /busybox sh -c 'echo $A'
t 'a fresh environment' 1 '' inside sh -c 'env | grep -e ^W= -e ^R='
t 'starts in /' 0 '/' inside pwd
echo 'from stdin' >"$W/in"
t 'stdin and stdout' 0 'from stdin' sh -c "ctool run --rm $R /busybox cat <$W/in | cat"
t 'no other descriptor gets in' 0 '' sh -c "exec 7<$W/in; ctool run --rm $R /busybox sh -c '! (: <&7) 2>/dev/null'"
t '-t: a terminal' 0 'yes?' ctool run --rm -t "$R" /busybox sh -c '[ -t 0 ] && [ -t 1 ] && echo yes'
t '-t: it has a name' 0 '/dev/pts/0?' ctool run --rm -t "$R" /busybox tty
t '-t: which is the user'"'"'s' 0 'crw--w---- * 5 *5 *136, *0 */dev/pts/0?' \
	ctool run --rm -t -u 5 "$R" /busybox sh -c 'ls -n /dev/pts/0 && : <>/dev/pts/0'
t '-t: lines and end of input' 0 '*<x>*<y>*end*' sh -c "printf 'x\ny\n' |
	ctool run --rm -t $R /busybox sh -c 'while read l; do echo \"<\$l>\"; done; echo end'"
t '-t: all of a long input, up to a line without an end' 0 '*30374?' sh -c "head -c 30000 /dev/zero | tr '\\0' x | fold >$W/long
	ctool run --rm -t $R /busybox sh -c 'stty -echo; wc -c' <$W/long | tail -n 1"
t '-p: the limit is an error inside' 2 '*esource temporarily unavailable*' \
	ctool run --rm -p 2 "$R" /busybox sh -c 'sleep 1 & sleep 1 & sleep 1; true'
t '-m: the limit holds' 0 'survived [1-9]*' ctool run --rm -m 8M "$R" /busybox sh -c \
	'dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; echo survived $?'
t 'run without --rm leaves it stopped' 0 'c[0-9]* stopped' sh -c \
	"ctool run $R /busybox true; ctool list -a | awk 'NR == 2 { print \$2, \$3 }'"
t 'rm' 0 '' sh -c 'ctool rm $(ctool list -aq); ctool ls -aq'

# --- a container that lives

script='trap "exit 3" TERM; echo >/tmp/ready; while :; do sleep 0.05; done'
t 'run --detach' 0 'web' ctool run --detach --name web -p 8 -m 16M --hostname port "$R" /busybox sh -c "$script"
t 'a name is taken once' 125 'ctool: run: there is a container of that name already: web' \
	ctool run --name web "$R" /busybox true
t 'list' 0 '*ID *NAME *STATE *PROCS *CPU% *MEM *DISK *CONSOLE *ROOT *COMMAND*web *running *- *'"$R"' */busybox sh -c *' ctool list
t 'list -q' 0 '[1-9]*' ctool list -q
t 'list --format json' 0 '\[{"id":*,"name":"web","state":"running","procs":*,"pids_max":8,*"memory_max":16777216,*"disk_max":null,"console":null,*}\]' \
	ctool list --format json
t 'info' 0 '*container *: web*state *running*hostname *port*root *'"$R"'*processes *used, * available, 8 maximum*memory*16M maximum*disk*cpu*ticks*PID*NAME*' \
	ctool info web
t 'inspect as JSON' 0 '\[{*"processes":\[{"pid":1,*"cpu_usage_usec":*"limits":{"pids_max":8,"memory_max":16777216,"memory_high":null,*"cpu_max":null,*"cpu_weight":100}*"events":{*"pids_max":0,*}\]' ctool inspect --format json web
t 'info of all' 0 '*: web*' ctool info
t 'top' 0 'web: running*PID*NAME*' ctool top web
t 'ps does not show it' 0 '0' sh -c '"$0" >$W/ps; grep -c "sleep 0[.]05" $W/ps; true' "$(tool ps)"
t 'ps -a does' 0 '*CONTAINER*host *web *' "$(tool ps)" -a
t 'exec' 5 'port' ctool exec web /busybox sh -c 'hostname; exit 5'
t 'exec: another pid, same root' 0 '[2-9]* busybox*' ctool exec web /busybox sh -c 'echo $$ $(ls /)'
t 'exec -e -w -u' 0 'x /tmp 9' ctool exec -e A=x -w /tmp -u 9 web /busybox sh -c 'echo $A $(pwd) $(id -u)'
t 'exec -t' 0 '/dev/pts/0?' ctool exec -t web /busybox tty
t 'exec -t, of two at once' 0 '/dev/pts/1?' sh -c 'ctool exec -t web /busybox sh -c "echo >/tmp/held; exec sleep 100" </dev/null >/dev/null &
	until [ -f '"$R"'/tmp/held ]; do sleep 0.1; done
	ctool exec -t web /busybox tty; kill $!'
t 'exec: not found' 127 'ctool: exec: frob: not found' ctool exec web frob
t 'pause' 0 '' ctool pause web
t 'it is paused' 0 '*web *paused *' ctool list
t 'pause twice' 125 'ctool: pause: web is paused' ctool pause web
t 'exec while paused' 125 'ctool: exec: web is paused*' ctool exec web /busybox true
# A sleeper that wakes up finishes its call before it parks: that may come after the pause, once.
t 'paused means paused' 0 '' sh -c 'usage() { cat "/sys/container/$(ctool list -q)/cpu.stat"; }
	for i in $(seq 20); do before=$(usage); sleep 0.5; [ "$before" = "$(usage)" ] && exit; done; usage; exit 1'
t 'unpause' 0 '' ctool unpause web
t 'rm of a running one' 125 'ctool: rm: web is running*' ctool rm web
t 'kill -s' 0 '' ctool kill -s TERM web
t 'wait' 3 '3' ctool wait web
t 'exec when stopped' 125 'ctool: exec: web is not running' ctool exec web /busybox true
t 'kill when stopped' 125 'ctool: kill: web is not running' ctool kill web
t 'start again' 0 'web' ctool start web
t 'pid 1 again, same limits' 0 '1 *8 maximum*' sh -c 'echo $(ctool info web | grep -c "^ *1 "; ctool info web)'
t 'kill' 0 '' ctool kill web
t 'wait: 128 + 9' 137 '137' ctool wait web
rm -f "$R/tmp/ready"
t 'and again' 0 'web' ctool start web
(
	until [ -e "$R/tmp/ready" ]; do sleep 0.1; done
	ctool stop web
) &
t 'wait while it runs; stop' 3 '3' ctool wait web
wait
t 'delete' 0 '' ctool delete web
t 'it is gone' 125 'ctool: info: no such container: web' ctool info web

t 'one that ignores SIGTERM' 0 'deaf' ctool run --detach --name deaf "$R" /busybox sh -c 'trap "" TERM; while :; do sleep 0.1; done'
t 'stop -t' 0 '' ctool stop -t 1 deaf
t 'it was killed' 137 '137' ctool wait deaf
t 'rm -f' 0 deaf sh -c 'ctool start deaf; ctool rm -f deaf; ctool list -aq'
t 'run --detach --rm' 0 'brief' ctool run --detach --rm --name brief "$R" /busybox sleep 0.3
t 'goes by itself' 0 '' sh -c 'for i in $(seq 200); do [ -z "$(ctool list -aq)" ] && exit; sleep 0.2; done; ctool list -a'
t 'run passes signals on' 4 'ready*got' sh -c "ctool run --rm $R /busybox sh -c \
	'trap \"echo got; exit 4\" TERM; echo ready; while :; do sleep 0.05; done' &
	until grep -q ready $W/out; do sleep 0.1; done; kill -TERM \$!; wait \$!"

# --- consoles

t 'start on a console' 0 'c[0-9]*' ctool start vc1 "$R" -p 8 -m 16M /busybox sh
t 'the list shows it' 0 '*running*vc1 *'"$R"' */busybox sh' ctool list
t 'a console is taken once' 125 'ctool: start: console vc1 is taken by c*' ctool start vc1 "$R" /busybox sh
t 'options in any order' 0 'two' ctool start -p 8 vc2 --name two "$R" -m 16M /busybox sh -c \
	'[ -t 0 ] && echo terminal >/tmp/seen; sleep 100'
t 'which has a name in there' 0 '/dev/console*' ctool exec two /busybox readlink /proc/1/fd/0
t 'its standard input is a terminal' 0 'terminal' sh -c "until [ -s $R/tmp/seen ]; do sleep 0.1; done; cat $R/tmp/seen"
t 'attach, disconnect' 0 'two is on console vc2*' sh -c 'ctool connect two && ctool disconnect'
t 'not a console' 125 'ctool: start: not a console (vc1 to vc9): vc0' ctool start vc0 "$R" /busybox sh
t 'stop both' 0 '' sh -c 'ctool stop -t 0 $(ctool list -q); ctool list -q'
t 'start again on the console' 0 'two' ctool start two
t 'rm frees the console' 0 'c*' sh -c 'ctool rm -f $(ctool list -aq); ctool start vc2 '"$R"' /busybox sleep 100'
t 'rm -f of all' 0 '' sh -c 'ctool rm -f $(ctool list -aq); ctool list -aq'

# --- ps, df, free inside

t 'create with the tools' 0 '' ctool create "$R" "$(tool ps)" "$(tool df)" "$(tool free)" "$(tool ctool)"
t 'ps inside' 0 '*PID*COMMAND*1 *0 *sh*/ps*' inside sh -c '/ps; true'
t 'ps -a inside shows no other' 0 '3' inside sh -c '/ps -a >/tmp/ps; wc -l </tmp/ps'
t 'df inside' 0 'Filesystem*Mounted on*/*' inside sh -c '/df /'
t 'free inside shows the limit' 0 '*16384*' ctool run --rm -m 16M "$R" /free
t 'free -h' 0 '*16M*' ctool run --rm -m 16M "$R" /free -h
t 'itself: its processes, its disk' 0 '*: *1 used*disk *[KM] used*PID*NAME*1 *R *ctool*' ctool run --rm "$R" /ctool info self
for command in pause resume stop kill wait rm start logs diff; do
	t "itself: not $command" 125 "ctool: $command: self: ctool itself is in it*" ctool "$command" self
done
t 'itself: not set' 125 'ctool: set: self: ctool itself is in it*' ctool set self pids.max=9
t 'itself: not exec' 125 'ctool: exec: self: ctool itself is in it*' ctool exec self true
t 'itself: events' 0 '*started*' ctool run --rm "$R" /ctool events self
t 'ctool inside sees itself only' 0 '*container *: *1 used*' sh -c "ctool run --rm $R /ctool info self; ctool run --rm $R /ctool list -aq"
t 'a container inside a container' 0 '1 inner' ctool run --rm "$R" /busybox sh -c \
	'/ctool create /in /busybox && /ctool run --rm --name inner /in /busybox sh -c "echo \$\$ \$(hostname)"'

# --- a container in a container, by the name of one out here

mkdir "$W/nest" && head -c 3000000 /dev/zero >"$W/nest/big"
t 'one of the same name inside another' 0 "web2*web" sh -c "ctool run --detach --name web2 $R /busybox sleep 1000
	ctool exec web2 /busybox sh -c 'mkdir -p $W/nest && cp /busybox $W/nest &&
		/ctool run --detach --name web $W/nest /busybox sleep 1000'"
t 'inside it is theirs' 0 '' ctool exec web2 /ctool exec web /busybox true
t 'out here there is none' 125 'ctool: exec: no such container: web' ctool exec web /busybox true
t 'and then ours' 0 'web*ours' sh -c "ctool run --detach --name web $R /busybox sleep 1000
	ctool exec web /busybox sh -c '>/mine'; [ -f $R/mine ] && rm $R/mine && echo ours"
t 'by its id theirs is meant; its directory is not the one out here' 1 '*web 0' sh -c '
	id=$(ctool exec web2 /ctool list -q); ctool exec $id /busybox hostname
	echo $(cat /sys/container/$id/name; ctool info $id | grep -c " disk .*M used")
	ctool info $id | grep -q " disk .*M used"'
t 'nor does cp take ours for it' 125 'ctool: cp: *: its directory is in the container that made it' \
	sh -c 'ctool cp "$(ctool exec web2 /ctool list -q):/big" $W/stolen'
t 'remove both' 0 '' sh -c 'ctool rm -f web web2; ctool list -aq'

# --- users who are others outside

t 'users' 0 '0 0*0 *100000 *65536*0 *100000 *65536' ctool run --rm --uid-map 0:100000:65536 "$R" /busybox sh -c \
	'echo $(/busybox id -u) $(/busybox id -g); /busybox cat /proc/self/uid_map /proc/self/gid_map'
t 'their files' 0 '*0 0 /mine*0 0 /*' ctool run --rm --uid-map 0:100000:65536 "$R" /busybox sh -c \
	'>/mine; /busybox stat -c "%u %g %n" /mine /proc; /busybox rm /mine'
t 'users and groups, as one of them' 0 '1000 7*1000 *5000 *1*0 *200000 *10' ctool run --rm --uid-map 0:100000:10 \
	--uid-map=1000:5000:1 --gid-map 0:200000:10 -u 1000:7 "$R" /busybox sh -c \
	'echo $(/busybox id -u) $(/busybox id -g); /busybox tail -n 1 /proc/self/uid_map; /busybox cat /proc/self/gid_map'
t 'another program there' 0 '0*9' sh -c "ctool run --detach --name users --uid-map 0:100000:10 $R /busybox sleep 1000 >/dev/null
	ctool exec users /busybox id -u; ctool exec -u 9 users /busybox id -u"
t 'a user who does not exist there' 125 'ctool: exec: user 10:10: Invalid argument' ctool exec -u 10 users /busybox id
t 'too late for a map' 125 'ctool: set: uid_map: *busy' ctool set users 'uid_map=0 0 1'
t 'remove it' 0 '' ctool rm -f users

# --- the CPU

t 'CPU options' 0 '*200*150000 100000*0*prio*' sh -c "ctool run --detach --name cpu --weight 200 --cpus 1.5 \
	--cpuset 0 --sched prio $R /busybox sleep 1000 >/dev/null
	cd /sys/container/*[0-9] && cat cpu.weight cpu.max cpuset.cpus sched.policy"
t 'set' 0 '50*max 100000*fair' sh -c 'ctool set cpu cpu.weight=50 cpu.max=max cpuset.cpus= sched.policy=fair
	cd /sys/container/*[0-9] && cat cpu.weight cpu.max cpuset.cpus sched.policy'
t 'set nonsense' 125 'ctool: set: cpu.weight: not a value of it: 0' ctool set cpu cpu.weight=0
t 'set what is not there' 125 'ctool: set: no such limit: cpu.wait' ctool set cpu cpu.wait=0
t 'set what cannot be set' 125 'ctool: set: cpu.stat cannot be set' ctool set cpu cpu.stat=0
t 'the scheduler log' 0 '' sh -c 'ctool set cpu sched.log=1 && ctool exec cpu /busybox true && ctool set cpu sched.log=0'
t 'remove it' 0 '' ctool rm -f cpu

# --- what is wrong

t 'no command' 125 'ctool: no command*' ctool
t 'unknown command' 125 'ctool: no such command: frob*' ctool frob
t 'bad weight' 125 'ctool: run: --weight: 0: not a weight*' ctool run --weight 0 "$R"
t 'no such CPU' 125 'ctool: run: cpuset.cpus: not a value of it: 64' ctool run --cpuset 64 "$R"
t 'bad map' 125 'ctool: run: --uid-map: 0:5: not INSIDE:OUTSIDE:COUNT*' ctool run --uid-map 0:5 "$R"
t 'map that overlaps' 125 'ctool: run: uid_map: not a value of it: *' ctool run --uid-map 0:5:2 --uid-map 1:9:1 "$R"
t 'bad size' 125 'ctool: run: -m: 5X: not a size*' ctool run -m 5X "$R"
t 'unknown container' 125 'ctool: pause: no such container: nobody' ctool pause nobody
t 'help' 0 'usage: ctool run*example:*' ctool run --help
t 'nothing is left' 0 '' ctool list -aq
t 'no record is left' 0 '' ls /run/ctool
echo "1..$number"
