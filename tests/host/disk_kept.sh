#!/bin/bash
# Containers outlive the machine: after a boot those that ctool made without --rm are there again, stopped, with their
# files, limits, environment and command; also when the machine was killed in the middle of making and removing some.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/host/cases.inc

boot() { # boot: the commands of stdin
	cat >"$work/script"
	# shellcheck disable=SC2086 # words are meant
	timeout 300 ./run --no-build --timeout 250 --disk "$work/disk" ${RUN_OPTIONS:-} --add "$work/script:/script" \
		-c 'sh /script' >"$work/out" 2>&1 </dev/null
}

check() { # check NAME: the disk is whole
	build/host/fsck.cowfs -n "$work/disk" >>"$work/out" 2>&1
	ok $? "$1"
}

build/host/mkfs.cowfs -a build/initramfs.cpio -s 256M "$work/disk" >/dev/null || exit 1

boot <<'END'
set -e
printf 'FROM host\nENV WHO=image\nCMD cat /f; echo $WHO "$A"; cat /dev/null >>/more\n' | ctool build -f - -t img /tmp
ctool create /d /bin/busybox
mkdir /source && echo bound >/source/x
ctool run --name a -m 16M -p 9 --deny mkdir=EPERM,unlink=log -e A='b
c' -d 10M img >/dev/null 2>&1 || true
ctool run --name h --uid-map 0:100000:1000 --uid-map 5000:200000:5 --read-only -w /tmp -u 7 host true
ctool run --detach --name d --hostname hd -v /source:/tmp:ro --cpus 0.5 /d /busybox sh -c '/busybox cat /tmp/x; /busybox hostname; exec /busybox sleep 1000'
ctool run --rm --detach --name temporary host sleep 1000
ctool run --name removed img true && ctool rm removed
ctool create /lost /bin/busybox && ctool run --name lost /lost /busybox true && mv /lost /away
ctool start --name screen vc3 /d /busybox sh -c 'exit 7'
until ctool list -a | grep -q 'screen *stopped'; do sleep 0.1; done
ctool set d cpu.weight=300 memory.max=20M
[ "$(ctool list -aq | tr '\n' ' ')" = '1 2 3 4 6 7 ' ]
grep -q '^hd$' /sys/container/3/hostname
END
ok $? "containers are made"
check "the disk is whole"

boot <<'END'
set -e
check() { [ "$2" = "$3" ] || { echo "$1: $2"; exit 1; }; }
check list "$(ctool list -a | awk 'NR > 1 { print $1, $2, $3, $4 }' | tr '\n' ';')" '1 a stopped 0;2 h stopped 0;3 d stopped 0;7 screen stopped 0;'
check console "$(cat /sys/container/7/console)" 3
check status "$(ctool wait a; ctool wait h; ctool wait d; ctool wait screen)" "$(printf '0\n0\n255\n7')"
check info "$(ctool info screen | awk '$1 == "exit" { print $3 }') $(ctool info --format json h | grep -c '"exit_status": *0')" '7 1'
check files "$(ctool diff a | tr '\n' ';')" 'A /more;'
check ended "$(grep -c ^ended /var/lib/skerry/containers/1)" 1
ctool start a
check started "$(grep -c ^ended /var/lib/skerry/containers/1)" 0
ctool wait a >/dev/null || true
check environment "$(ctool logs a | tr '\n' ';')" "cat: can't open '/f': No such file or directory;image b;c;"
cd /sys/container/1
check limits "$(cat pids.max memory.max disk.max | tr '\n' ' ')" '9 16777216 10485760 '
check rules "$(cat syscalls.deny)" 'mkdir=EPERM unlink=log'
[ "$(cat disk.current)" -gt 0 ]
check image "$(ctool rmi img 2>&1)" 'ctool: rmi: img is in use by a (ctool rm first)'
check users "$(tr -s ' \n' ' ' </sys/container/2/uid_map)" ' 0 100000 1000 5000 200000 5 '
cd /sys/container/3
check 'changed limits' "$(cat cpu.weight memory.max cpu.max | tr '\n' ' ')" '300 20971520 50000 100000 '
ctool start d
until [ "$(ctool logs d | wc -l)" = 2 ]; do sleep 0.1; done
check bind "$(ctool logs d | tr '\n' ' ')" 'bound hd '
check mounts "$(ctool exec d /busybox sh -c 'echo >/tmp/y' 2>&1 | grep -c 'Read-only')" 1
check read-only "$(ctool exec d /busybox sh -c 'echo >/y; /busybox cat /y' )" ''
ctool stop -t 0 d
check new "$(ctool run --name new img echo new)" new
check id "$(ctool list -aq | tr '\n' ' ')" '1 2 3 7 8 '
ctool rm a new
check rm "$(ctool list -aq | tr '\n' ' ')" '2 3 7 '
ctool run --rm -p 3 img true
END
ok $? "they are there again, stopped, and start"
grep -q 'ctool: restore: lost, which was container 6' "$(readlink -f build/log/latest)"
ok $? "one whose directory is gone is told of"
check "the disk is whole"
build/host/cowfs volumes "$work/disk" >"$work/out"
[ "$(grep -o 'container\..*' "$work/out" | sort | tr '\n' ' ')" = 'container.2 container.2.base ' ]
ok $? "what was removed is gone from the disk"

# The machine is killed while containers are made and removed.
boot <<'END'
ctool rm h d screen; rm /var/lib/skerry/containers/6
END
for i in 1 2 3; do
	cat >"$work/script" <<-'END'
		n=0
		while :; do
			n=$((n + 1))
			ctool run --name "x$n" -e N=$n img sh -c "echo $n >/n" || exit 1
			[ $n -lt 3 ] || ctool rm "x$((n - 2))" || exit 1
			[ $n != 3 ] || { sync; echo going; }
		done
	END
	# shellcheck disable=SC2086 # words are meant
	setsid ./run --no-build --timeout 250 --disk "$work/disk" ${RUN_OPTIONS:-} --add "$work/script:/script" \
		-c 'ctool rm $(ctool list -aq) 2>/dev/null; sh /script' >"$work/out" 2>&1 </dev/null &
	pid=$!
	for _ in $(seq 600); do
		! grep -q going "$work/out" || break
		sleep 0.2
	done
	grep -q going "$work/out"
	ok $? "the machine makes containers ($i)"
	sleep "$((i - 1)).${i}37"
	kill -9 -- "-$pid"
	wait "$pid" 2>/dev/null
	check "killed, the disk is whole ($i)"
	boot <<-'END'
		for id in $(ctool list -aq); do
			name=$(cat /sys/container/$id/name)
			n=${name#x}
			grep -q "^env N=$n\$" /var/lib/skerry/containers/$id || { echo "$name: its record"; exit 1; }
			ctool start $name || exit 1
			ctool wait $name || exit 1
			rm -rf /copy
			ctool cp $name:/n /copy && [ "$(cat /copy)" = $n ] || { echo "$name: its file"; exit 1; }
			echo $name
		done
		[ "$(ctool list -aq | wc -l)" -ge 2 ] || exit 1 # as many were there at each moment after the sync
		[ "$(ctool list -aq | wc -l)" = "$(ls /var/lib/skerry/containers | wc -l)" ] || { ls /var/lib/skerry/containers; exit 1; }
	END
	ok $? "whole containers are there again, and nothing else ($i)"
	build/host/cowfs volumes "$work/disk" >"$work/out"
	for v in $(grep -o 'container\.[0-9]*$' "$work/out"); do
		build/host/cowfs ls "$work/disk" /var/lib/skerry/containers 2>>"$work/out" | grep -qw "${v#container.}" || echo "no record: $v"
	done >"$work/odd"
	[ ! -s "$work/odd" ]
	ok $? "each volume belongs to one ($i)"
	cat "$work/odd"
done
echo "1..$count"
