#!/bin/bash
# Views of containers, and images half built, that are there when the machine stops are gone after the next boot; images
# and volumes of users stay, also one that is called like a view.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/host/cases.inc
shown=(volumes out)

boot() { # boot COMMAND
	# shellcheck disable=SC2086 # words are meant
	timeout 300 ./run --no-build --timeout 250 --disk "$work/disk" ${RUN_OPTIONS:-} -c "$1" >"$work/out" 2>&1 </dev/null
}

volumes() {
	build/host/cowfs volumes "$work/disk" >"$work/volumes" 2>&1
}

build/host/mkfs.cowfs -a build/initramfs.cpio -s 128M "$work/disk" >/dev/null || exit 1
build/host/cowfs clone "$work/disk" root view.2
build/host/cowfs clone -r "$work/disk" root image
boot 'for i in 1 2 3; do ctool run --rm --detach --name left$i host sleep 1000 || exit 1; done
	printf "FROM host\nRUN echo big >/big\n" | ctool build -f - -t whole /tmp || exit 1
	for from in host scratch; do
		printf "FROM %s\nCOPY busybox /bin/\nRUN [\"/bin/busybox\", \"sleep\", \"1000\"]\n" $from | ctool build -f - -t half /bin &
	done
	until [ "$(ctool list -q | wc -l)" = 5 ]; do sleep 0.1; done
	sync; poweroff -f; sleep 100'
volumes
# each container has its view and, for ctool diff, what that was at first; each build its draft
[ "$(grep -c ' temp ' "$work/volumes")" = 8 ] && [ "$(grep -c ' view\.' "$work/volumes")" = 9 ]
ok $? "views and drafts are left on the disk"
boot '[ "$(ctool run --rm host sh -c "echo hello")" = hello ] && [ "$(ctool run --rm whole cat /big)" = big ] && sleep 1 && sync'
ok $? "the next boot"
volumes
! grep -q ' temp ' "$work/volumes"
ok $? "they are gone"
grep -q ' view\.2$' "$work/volumes" && grep -q ' image\.whole$' "$work/volumes" && grep -q ' ro .* image$' "$work/volumes" && grep -q ' root$' "$work/volumes"
ok $? "other volumes are not"
build/host/fsck.cowfs -n "$work/disk" >>"$work/out" 2>&1
ok $? "nothing is wrong on the disk"
echo "1..$count"
