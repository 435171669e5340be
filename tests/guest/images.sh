#!/bin/sh
# images.sh - images, what changed in containers, files in and out, limits of disk and inodes, as a
# user types them. It needs / on cowfs (tests/host/disk_root.sh), and skips without.

if ! grep -q '^[^ ]* / cowfs ' /proc/mounts; then
	echo "1..0 # SKIP / is not on cowfs"
	exit 0
fi
. "$(dirname "$0")/cases.inc"
trap 'cleanup; ctool images -q | while read -r image; do ctool rmi "$image"; done' EXIT

NL='
'
# build IMAGE STEP...
build() {
	image=$1
	shift
	printf '%s\n' "$@" >"$W/Steps"
	ctool build -f "$W/Steps" -t "$image" "$W"
}

# --- build

mkdir -p "$W/ctx/sub"
echo one >"$W/one" && echo two >"$W/ctx/two" && echo three >"$W/ctx/sub/three" && ln -s /etc/passwd "$W/ctx/link"
t 'no images' 0 'IMAGE *OWN *CREATED *COMMAND' ctool images
t 'build' 0 '1/6 FROM host*6/6 CMD*' build base 'FROM host' '# a comment' '' 'ENV A=1 "B=two words"' 'WORKDIR /w/x' \
	'RUN pwd >out; echo "$A $B" >>out' 'COPY one ctx copied/' 'CMD cat out \' '  copied/one'
t 'it is listed' 0 '*base *[1-9]* */bin/sh -c cat out *' ctool images
t 'images -q' 0 'base' ctool images -q
t 'images --format json' 0 '\[{"name":"base","own":[1-9]*,"created":[1-9]*,"command":"/bin/sh*}\]' ctool images --format json
t 'its command, directory, environment' 0 "/w/x${NL}1 two words${NL}one" ctool run --rm base
t 'another command; -e, -w win' 0 '/tmp 1 else' ctool run --rm -e B=else -w /tmp base sh -c 'echo $(pwd) $A $B'
t 'COPY: of a directory what is in it' 0 'link one sub two three /etc/passwd' ctool run --rm base sh -c \
	'cd copied; echo $(ls; ls sub; readlink link)'
t 'the host has none of it' 1 '' sh -c 'ls /w 2>/dev/null'
t 'FROM an image' 0 '*' build second 'FROM base' 'RUN rm out' 'CMD ["echo", "a  b", "c"]'
t 'a list as command' 0 'a  b c' ctool run --rm second
t 'from an archive' 0 '*' sh -c 'tar cf $W/a.tar -C / etc/passwd bin/busybox && gzip -k $W/a.tar &&
	printf "IMPORT a.tar.gz\nWORKDIR /bin\nRUN [\"/bin/busybox\", \"ln\", \"busybox\", \"sh\"]\nRUN echo made >made\n" |
	ctool build -f - -t tar $W'
t 'it has what the archive has' 0 'made root*' ctool run --rm tar /bin/busybox sh -c 'echo $(/bin/busybox cat made /etc/passwd)'
t 'from scratch' 0 '*' build none 'FROM scratch' 'COPY one /'
t 'it has nothing to run' 127 'ctool: run: /bin/sh: not found' ctool run none
t 'no such image' 125 '*line 1: FROM: no such image: nix*' build x 'FROM nix'
t 'a step that fails' 125 '*line 2: RUN: it ended with status 3: exit 3' build x 'FROM base' 'RUN exit 3'
t 'a signal ends it, and what it runs, which as pid 1 need not obey' 125 '*line 3: RUN: it ended with status 137*0' sh -c \
	'printf "FROM base\nRUN echo 1\nRUN ls /sys/container; exec sleep 1000\n" >$W/Long
	ctool build -f $W/Long -t long $W >$W/long 2>&1 & build=$!
	until grep -q self $W/long; do sleep 0.1; done
	kill -TERM $build; wait $build; status=$?
	cat $W/long; ctool list -aq; ctool images -q | grep -c long; exit $status'
t 'no such step' 125 '*line 2: no such step: FOO*' build x 'FROM base' 'FOO bar'
t 'the first step is FROM' 125 '*line 1: RUN: the first step is FROM or IMPORT' build x 'RUN true'
t 'an open quote' 125 '*line 2: ENV: a quote is not closed' build x 'FROM base' 'ENV "A=1'
t 'COPY stays in DIR' 125 '*etc/passwd: No such file*COPY: *' build x 'FROM base' 'COPY ../../../etc/passwd /x'
t 'COPY stays in the image' 0 '*' sh -c 'echo mine >$W/passwd; rm -rf $W/etc; mkdir $W/etc
	printf "FROM base\nRUN ln -s $W/etc /out; ln -s ../../../..$W/etc /up\nCOPY passwd /out/\nCOPY passwd /up/\n" |
	ctool build -f - -t esc $W; ls $W/etc'
t 'nothing came out' 0 '' ls "$W/etc"
t 'an existing name' 125 '*there is an image of that name already: base (ctool rmi base)' build base 'FROM host'
for bad in a/b .. '' host "$(printf '%0300d' 0)" 'a b'; do
	t "not a name: $(echo "$bad" | cut -c -20)" 125 'ctool: build: not a name for an image: *' build "$bad" 'FROM host'
done
t 'nothing is left of those' 0 "base${NL}none${NL}second${NL}tar" ctool images -q

# --- diff, commit

t 'nothing has changed' 0 '' sh -c 'ctool run --name c base true && ctool diff c'
t 'rm' 0 '' ctool rm c
t 'changes' 0 '' ctool run --name c base sh -c 'echo x >>/w/x/out; rm -r /w/x/copied/sub; rm /etc/shells; >/etc/shells
	mkdir -p /new/dir; echo y >"/new/dir/a	b"; ln -s x /new/link; ln /bin/busybox /new/hard; mv /etc/hosts /etc/hosts2
	chmod 700 /root; echo z >/tmp/z; rm /tmp/z; ln -s a /tmp/l; rm /tmp/l; mv /etc/group /etc/g; mv /etc/g /etc/group'
t 'diff' 0 "C /bin${NL}C /bin/busybox${NL}C /etc${NL}C /etc/group${NL}D /etc/hosts${NL}A /etc/hosts2${NL}C /etc/shells${NL}A /new${NL}A /new/dir${NL}A /new/dir/a	b${NL}A /new/hard${NL}A /new/link${NL}C /root${NL}C /tmp${NL}C /w${NL}C /w/x${NL}C /w/x/copied${NL}D /w/x/copied/sub${NL}C /w/x/out" ctool diff c
t 'commit' 0 '' ctool commit c third
t 'it has the changes, command and directory' 0 "/w/x${NL}1 two words${NL}x" ctool run --rm third cat out
t 'commit again' 125 '*there is an image of that name already: third*' ctool commit c third
t 'commit what is not there' 125 'ctool: commit: no such container: nobody' ctool commit nobody x
t 'diff of what is not there' 125 'ctool: diff: no such container: nobody' ctool diff nobody
t 'an image in use' 125 'ctool: rmi: base is in use by c (ctool rm first)' ctool rmi base
t 'an image that is not there' 125 'ctool: rmi: no such image: nix *' ctool rmi nix
t 'rmi cannot name another volume' 125 'ctool: rmi: not a name*' ctool rmi ../root
t 'of a directory that was moved, what is in it' 0 "A /moved${NL}A /moved/deep${NL}A /moved/deep/dir${NL}A /moved/deep/dir/changed${NL}A /moved/deep/dir/file${NL}A /moved/link${NL}A /moved/new${NL}A /moved/new/f${NL}C /w${NL}D /w/tree" sh -c '
	ctool run --name tree base sh -c "mkdir -p /w/tree/deep/dir; cd /w/tree; echo 1 >deep/dir/file; echo 2 >deep/dir/changed; ln -s / link" &&
	ctool commit tree treeimage && ctool run --name mover treeimage sh -c "mv /w/tree /moved; cd /moved; echo 3 >deep/dir/changed; mkdir new; >new/f" &&
	ctool diff mover && ctool rm mover tree && ctool rmi treeimage'
t 'a container in a directory' 125 '*is in a directory: only*' sh -c 'ctool create $W/d /bin/busybox && ctool run --name d $W/d /busybox true; ctool diff d'
t 'commit of one' 125 '*is in a directory*' ctool commit d x
t 'of host' 0 "C /root${NL}A /root/f" sh -c 'ctool run --name h host sh -c ">/root/f"; >/root/later; ctool diff h; rm /root/later; ctool rm h'
t 'while it runs' 0 "C /root${NL}A /root/f" sh -c 'ctool run --detach --name live host sh -c ">/root/f; sleep 1000" >/dev/null
	until ctool exec live ls /root/f >/dev/null 2>&1; do sleep 0.1; done; ctool diff live'
t 'commit while it runs' 0 '/root/f' sh -c 'ctool commit live snap && ctool run --rm snap ls /root/f; ctool rmi snap'

# --- cp

t 'cp out' 0 'x' sh -c 'ctool cp c:/w/x/out $W/o && tail -n 1 $W/o'
t 'cp in' 0 'in 640 0' sh -c 'echo in >$W/i; chmod 640 $W/i; chown 7 $W/i; ctool cp $W/i c:/new/i &&
	ctool start c >/dev/null; ctool wait c >/dev/null; ctool cp c:/new/i $W/back; echo $(cat $W/back; stat -c "%a %u" $W/back)'
t 'a directory into a directory' 0 'dir link' sh -c 'mkdir $W/to; rm -f $W/x; ctool cp c:/new $W/to; cd $W/to/new; rm -f hard i; echo *'
t 'what is in it' 0 'dir' sh -c 'ctool cp c:/new/. $W/to2; cd $W/to2; rm -f hard i link; echo *'
t 'one running' 0 'f' sh -c 'ctool cp live:/root $W/r && ls $W/r'
t 'one in a directory' 0 "one${NL}one" sh -c 'ctool cp $W/one d:/ && ctool cp d:one - | tar t && cat $W/d/one'
t 'from one to another' 0 'one' sh -c 'ctool cp d:/one c:/one && ctool cp c:one $W/1 && cat $W/1'
t 'links in a container lead nowhere else' 0 'kept' sh -c 'mkdir $W/host; echo kept >$W/host/f
	ctool run --name evil base sh -c "ln -s $W/host /abs; ln -s ../../../../$W/host /rel; mkdir -p /$W/host; ln -s $W/host/f /file"
	for l in abs rel; do ctool cp $W/one evil:/$l/f || echo failed; done
	ctool cp $W/one evil:/file; ctool cp evil:/abs/f $W/stolen; cat $W/host/f; cmp -s $W/stolen $W/one || echo stolen'
t 'nor do links of one in a directory' 0 'kept' sh -c 'ln -s $W/host $W/d/abs; ln -s ../host $W/d/rel; ln -s $W/host/f $W/d/file
	for l in abs rel; do ctool cp $W/one d:/$l/f 2>/dev/null; done; ctool cp $W/one d:/file; cat $W/host/f'
t 'a link is copied as a link' 0 "$W/host" sh -c 'ctool cp evil:/abs $W/l; readlink $W/l; ctool rm evil'
t 'set-user-id does not come out' 0 '755' sh -c 'ctool run --rm --name s --detach base sh -c "cp /bin/busybox /s; chmod 4755 /s; >/ok; sleep 100" >/dev/null
	until ctool exec s ls /ok >/dev/null 2>&1; do sleep 0.1; done; ctool cp s:/s $W/s; stat -c %a $W/s; ctool rm -f s'
t 'a whole root comes out, without its devices' 0 '*devices do not come out: [1-9]* left out*x dev etc*' sh -c 'ctool cp live:/ $W/all
	find $W/all -type b -o -type c; cd $W/all && [ -d tmp ] && echo x $(ls -d dev etc)'
t 'a device alone' 125 '*Operation not permitted' sh -c 'ctool cp live:/dev/console $W'
t 'no place for it' 125 'ctool: cp: c: No such file or directory' sh -c 'mount -t tmpfs -o ro none /run; ctool cp c:/x $W
	status=$?; umount /run; exit $status'
t 'not there' 125 'ctool: cp: /nix: No such file or directory' ctool cp c:/nix "$W"
t 'neither' 125 'ctool: cp: neither a nor b is CONT:PATH' ctool cp a b
t 'no such container' 125 'ctool: cp: no such container: nobody' ctool cp nobody:/x "$W"
t 'an archive out' 0 "x/ x/dir/ x/f x/link" sh -c 'mkdir -p $W/x/dir; echo f >$W/x/f; ln -s f $W/x/link; ctool cp $W/x c:/
	echo $(ctool cp c:/x/ - | tar t | sort)'
t 'of what is in a directory' 0 "./ ./dir/ ./f ./link" sh -c 'echo $(ctool cp c:/x/. - | tar t | sort)'
t 'of a link' 0 '*link -> f' sh -c 'ctool cp c:/x/link - | tar tv'
t 'of what begins with a dash' 0 '*-x' sh -c 'echo >$W/-x; ctool cp $W/-x c:/; ctool cp c:/-x - | tar t'
t 'of what is not there' 125 'ctool: cp: /nix: No such file or directory' ctool cp c:/nix/y -
t 'an archive in' 0 'f link 0 4711' sh -c 'chown 7 $W/x/f; chmod 4711 $W/x/f; tar c -C $W/x f link | ctool cp - c:/root &&
	ctool cp c:/root/. - | tar x -C $W/to && cd $W/to && echo f $(basename link) $(stat -c "%u %a" f)'
t 'an archive has no way out' 0 'canary' sh -c 'mkdir -p $W/evil/e; echo canary >$W/canary; ln -s $W $W/evil/e/link
	tar c -C $W/evil e | ctool cp - c:/; rm $W/evil/e/link; mkdir $W/evil/e/link; echo evil >$W/evil/e/link/canary
	tar c -C $W/evil e/link/canary | ctool cp - c:/; echo evil >$W/evil/up; (cd $W/evil/e; tar c ../up 2>/dev/null) | ctool cp - c:/e
	ctool cp $W/canary c:/e/link/canary 2>/dev/null; cat $W/canary'
t 'into what is no directory' 125 'ctool: cp: /x/f: Not a directory' sh -c 'tar c -C $W one | ctool cp - c:/x/f'
t 'what is no archive' 125 '*' sh -c 'ctool cp - c:/ <$W/one'
t 'from - to -' 125 'ctool: cp: neither - nor - is CONT:PATH' ctool cp - -

# --- limits

t '-d' 1 '*1024 *0 *1024 *0%*Disk quota exceeded*1024 *9[0-9]%*' ctool run --name q -d 1M --inodes 5 base sh -c \
	'df / | tail -n 1; dd if=/dev/zero of=/big bs=4k count=1000; e=$?; df / | tail -n 1; exit $e'
t 'what it uses' 0 '1048576 5 1' sh -c 'cd /sys/container/*[0-9]; cd ../$(ctool list -a | awk "\$2 == \"q\" { print \$1 }")
	[ $(cat disk.peak) -le 1048576 ] && [ $(cat disk.current) -gt 900000 ] && grep -q "max [1-9]" disk.events && echo $(cat disk.max inodes.max inodes.current)'
t 'list tells' 0 '*"disk":9[0-9]*,"disk_max":1048576,*' sh -c 'ctool list -a --format json'
t 'an error says so' 1 '*Disk quota exceeded*5 *5 *0 *100%*' ctool run --rm --inodes 5 base sh -c \
	'for i in 1 2 3 4 5 6; do >/n$i || e=1; done; df -i / | tail -n 1; exit $e'
t 'what is deleted is free again' 0 'done' ctool run --rm -d 1M --inodes 5 base sh -c \
	'for i in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/f bs=4k count=150 2>/dev/null && rm /f || exit; done; echo done'
t 'set' 0 '' sh -c 'ctool set q disk.max=4M inodes.max=max && ctool start q >/dev/null && ctool wait q >/dev/null; [ $(cat /sys/container/*/disk.max | grep -c 4194304) = 1 ]'
t 'set nonsense' 125 'ctool: set: disk.max: not a value of it: -1' ctool set q disk.max=-1
t 'nothing more' 0 '1' sh -c 'ctool set q disk.max=0 && ctool start q >/dev/null; ctool wait q; true'
t '--on-limit kill' 137 'ctool: run: *was killed: it went beyond its limit of disk' ctool run --rm --on-limit kill -d 1M base sh -c \
	'dd if=/dev/zero of=/big bs=4k count=1000 2>/dev/null; sleep 100'
t 'diskbomb' 0 'diskbomb: 9[0-9]* KiB written: *uota exceeded*diskbomb: 20 files made: *uota exceeded' \
	ctool run --rm -d 1M --inodes 20 host diskbomb
t 'diskbomb in a directory' 0 'diskbomb: 9[0-9]* KiB written: *uota exceeded*diskbomb: 20 files made: *uota exceeded' \
	sh -c 'ctool create $W/db $(command -v diskbomb) && ctool run --rm -d 1M --inodes 20 $W/db /diskbomb'
t 'diskbomb within its limit' 0 'diskbomb: 1024 KiB written: done*diskbomb: 3 files made: done' ctool run --rm -d 2M host diskbomb 1 3
t 'no way round by a container inside' 0 "inner${NL}outer" ctool run --rm -d 2M host sh -c \
	'ctool run -d 1G host dd if=/dev/zero of=/big bs=64k count=100 2>/dev/null || echo inner; dd if=/dev/zero of=/big bs=64k count=16 2>/dev/null || echo outer' 
for bad in 0 -5 1X '' 2K; do
	t "-d $bad" 125 'ctool: run: -d: *: not a size*' ctool run -d "$bad" base
done
for bad in 0 -1 x; do
	t "--inodes $bad" 125 'ctool: run: --inodes: *: not a number of files*' ctool run --inodes "$bad" base
done

# --- users who are others outside: files hold the ids of inside

t 'users of an image' 0 "0 0${NL}5 6" ctool run --name users --uid-map 0:100000:65536 base sh -c \
	'>/new; chown 5:6 /new; stat -c "%u %g" /etc /new'
t 'and of one made of that' 0 "5 6${NL}0${NL}5 6" sh -c 'ctool commit users theirs && ctool run --rm theirs stat -c "%u %g" /new
	ctool run --rm --uid-map 0:300000:10 theirs sh -c "id -u; stat -c \"%u %g\" /new"'

# --- inside a container

t 'images are the host'"'"'s' 0 '*only the host*base: images are for*' ctool run --rm host sh -c 'ctool images; ctool run base; true'

t 'cp from one inside, stopped and not in a directory' 0 "x${NL}y" ctool run --rm host sh -c 'ctool run --name in host sh -c "echo x >/f"
	ctool cp in:/f /out && cat /out && echo y >/out && ctool cp /out in:/new && ctool cp in:new - | tar xO'
t 'and of one with other users' 0 "0 x${NL}y${NL}0" ctool run --rm host sh -c 'ctool run --name in --uid-map 0:1000:10 host sh -c "echo x >/f"
	ctool cp in:/f /out && stat -c %u /out | tr "\n" " " && cat /out && echo y >/out && ctool cp /out in:/back &&
	ctool cp in:/back - | tar xO; grep -c " /run/ctool" /proc/mounts; true'

# --- the end

t 'rm' 0 '' sh -c 'ctool rm -f $(ctool list -aq); ctool list -aq'
t 'rmi' 0 '' sh -c 'ctool rmi $(ctool images -q); ctool images -q'
t 'nothing is mounted, no record is left' 0 '0' sh -c 'ls /run/ctool; grep -c " /run/ctool" /proc/mounts; true'
echo "1..$number"
