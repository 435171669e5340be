# SPDX-License-Identifier: MIT
"""workload.py - scripts for work.c, what they must leave, and whether a disk is that.

A script is made from a seed. History follows it: a snapshot of all volumes after each change that may be seen by
itself (a write of several blocks is several). What a crash may leave is exact: one commit, of some moment, and the
records of the log since then up to some fsync. So a disk is right if there are two moments, commit <= log, such that

    its names are those of the commit;
    each file is as at its last fsync between the two, or else as in the commit;
    all that was promised by then is in it: a sync before the commit, an fsync before either, with the names that
    the file, or the directory, had.
"""
import os
import random
import re
import shlex
import shutil
import stat
import subprocess

PAGE = 4096
TOOLS = 'build/host/'


def pattern(at, n, version):
    return bytes((version * 131 + k * 7 + k // 256) & 255 for k in range(at, at + n))


class Inode:
    """What a volume has under a number; a clone has its own copy."""
    count = 0

    def __init__(self, kind, data=b'', mode=0o644):
        Inode.count += 1
        self.id, self.kind, self.data, self.mode = Inode.count, kind, data, mode

    def what(self):
        return self.kind, self.data, self.mode


class Moment:
    """volumes: name -> {path: inode id}; what: (volume id, inode id) -> (kind, data, mode)"""

    def __init__(self, live):
        self.volumes = {name: (v.id, {p: i.id for p, i in v.names.items()}) for name, v in live.items()}
        self.what = {(v.id, i.id): i.what() for v in live.values() for i in v.names.values()}


class Volume:
    count = 0

    def __init__(self, names):
        Volume.count += 1
        self.id, self.names = Volume.count, names


class Promise:
    """An fsync of an inode of a volume (a directory: its path), or a sync (volume None). It was kept if it said 0; an
    fsync that failed may be on the disk all the same."""

    def __init__(self, line, moment, kept, volume=None, inode=0, directory=None):
        self.line, self.moment, self.kept = line, moment, kept
        self.volume, self.inode, self.directory = volume, inode, directory


class History:
    def __init__(self):
        self.live = {'root': Volume({})}
        self.moments = [Moment(self.live)]
        self.after = []        # per line: the last moment of it
        self.promises = []     # of Promise

    def find(self, path):
        volume, _, name = path.partition('/')
        return self.live[volume], name

    def saw(self):
        self.moments.append(Moment(self.live))

    def write(self, v, name, at, data):
        i = v.names[name]
        while data:
            n = min(len(data), PAGE - at % PAGE)
            old = i.data.ljust(at + n, b'\0')
            i.data = old[:at] + data[:n] + old[at + n:]
            self.saw()
            at, data = at + n, data[n:]

    def promise(self, path, kept=True):
        v, name = self.find(path)
        i = v.names.get(name)
        if i or not name:
            self.promises.append(Promise(len(self.after), len(self.moments) - 1, kept, v.id, i.id if i else 0,
                                         name if not i or i.kind == 'd' else None))

    def line(self, words, result=0):
        """What the line did, which said `result`."""
        op, args = words[0], words[1:]
        if op == 'write' and result > 0:
            v, name = self.find(args[0])
            self.write(v, name, int(args[1]), pattern(int(args[1]), result, int(args[3])))
        elif result >= 0:
            self.change(op, args)
        elif op in ('fsync', 'fdatasync'):
            self.promise(args[0], kept=False)
        if op not in ('write', 'map'):
            self.saw()
        self.after.append(len(self.moments) - 1)

    def change(self, op, args):
        if op in ('create', 'mkdir'):
            v, name = self.find(args[0])
            v.names[name] = Inode('f') if op == 'create' else Inode('d', mode=0o755)
        elif op == 'map':
            v, name = self.find(args[0])
            self.write(v, name, int(args[1]), pattern(int(args[1]), int(args[2]), int(args[3])))
            self.promise(args[0])
        elif op == 'truncate':
            v, name = self.find(args[0])
            v.names[name].data = v.names[name].data[:int(args[1])].ljust(int(args[1]), b'\0')
        elif op in ('unlink', 'rmdir'):
            v, name = self.find(args[0])
            del v.names[name]
        elif op == 'symlink':
            v, name = self.find(args[1])
            v.names[name] = Inode('l', args[0].encode(), 0o777)
        elif op == 'chmod':
            v, name = self.find(args[0])
            v.names[name].mode = int(args[1], 8)
        elif op in ('rename', 'link'):
            v, name = self.find(args[0])
            _, to = self.find(args[1])
            i = v.names[name]
            if op == 'rename':
                if v.names.get(to) is not i:
                    del v.names[name]
                    for p in [p for p in v.names if p.startswith(name + '/')]:
                        v.names[to + p[len(name):]] = v.names.pop(p)
                    v.names[to] = i
            else:
                v.names[to] = i
        elif op == 'clone':
            copies = {}
            for i in self.live['root'].names.values():
                c = copies.setdefault(i.id, Inode(i.kind, i.data, i.mode))
                c.id = i.id
            self.live[args[0]] = Volume({p: copies[i.id] for p, i in self.live['root'].names.items()})
        elif op == 'delete':
            del self.live[args[0]]
        elif op in ('fsync', 'fdatasync'):
            self.promise(args[0])
        elif op == 'sync':
            self.promises.append(Promise(len(self.after), len(self.moments) - 1, True))


# --- scripts ---

def script(seed, lines, pause=0, start=(), plain=False, avoid=()):
    """Lines of a script, all of which succeed on a disk that works and has what the lines `start` make. plain: clones
    are not mounted, and nothing is mapped. avoid: paths of volume root that are left alone, with what is below them."""
    r = random.Random(seed)
    h, out, version, mounted = History(), [], 0, {'root'}
    for words in start:
        h.line(words, int(words[3]) if words[0] == 'write' else 0)

    def add(*words):
        out.append([str(w) for w in words])
        h.line(out[-1], int(words[3]) if words[0] == 'write' else 0)

    def choose(kind):
        name = r.choice(sorted(mounted))
        names = [p for p, i in sorted(h.live[name].names.items()) if i.kind == kind and not p.startswith(tuple(avoid))]
        return f'{name}/{r.choice(names)}' if names else None

    def fresh(near=None):
        name = near.split('/')[0] if near else r.choice(sorted(mounted))
        dirs = [''] + [p + '/' for p, i in h.live[name].names.items() if i.kind == 'd' and not p.startswith(tuple(avoid))]
        return f'{name}/{r.choice(sorted(dirs))}n{r.randrange(30)}'

    def taken(path):
        v, name = h.find(path)
        return name in v.names

    add('mount', 'root')
    while len(out) < lines:
        op = r.choices(['create', 'mkdir', 'write', 'big', 'map', 'truncate', 'unlink', 'rename', 'link', 'symlink',
                        'chmod', 'fsync', 'fdatasync', 'dirsync', 'sync', 'clone', 'delete', 'work'],
                       [10, 3, 20, 4, 3, 6, 8, 8, 3, 2, 4, 14, 5, 3, 2, 2, 1, 12])[0]
        f, to = choose('f'), fresh()
        version += 1
        if pause and len(out) == lines // 2:
            add('sleep', pause)
        if op in ('create', 'mkdir') and not taken(to):
            add(op, to)
            if op == 'create':
                add('write', to, 0, r.choice([100, 4096, 9000]), version)
        elif op in ('write', 'big', 'work') and f:
            at = r.choice([0, 0, 100, 4096, 5000, 12288, 40000])
            add('write', f, at, r.choice([60000, 100000]) if op == 'big' else r.choice([10, 1000, 4096, 10000]), version)
            if op == 'work':
                add(r.choice(['fsync', 'fdatasync']), f)
        elif op == 'map' and f and not plain:
            v, name = h.find(f)
            if len(v.names[name].data) > 8:
                add('map', f, 0, min(len(v.names[name].data), 9000), version)
        elif op == 'truncate' and f:
            add('truncate', f, r.choice([0, 1, 4096, 5000, 30000]))
        elif op == 'unlink':
            f = r.choice([f, choose('l')])
            if f:
                add('unlink', f)
        elif op in ('rename', 'link') and f:
            to = fresh(f)
            v, name = h.find(to)
            if op == 'link' and not taken(to) or op == 'rename' and (not taken(to) or v.names[name].kind == 'f'):
                add(op, f, to)
        elif op == 'symlink' and not taken(to):
            add('symlink', f'to{version}', to)
        elif op == 'chmod' and f:
            add('chmod', f, oct(r.choice([0o600, 0o644, 0o755]))[2:])
        elif op in ('fsync', 'fdatasync') and f:
            add(op, f)
        elif op == 'dirsync':
            add('fsync', choose('d') or 'root/')
        elif op == 'sync':
            add('sync')
        elif op == 'clone' and len(h.live) < 3:
            name = f'c{version}'
            add('clone', name)
            if not plain and r.random() < 0.8:
                add('mount', name)
                mounted.add(name)
        elif op == 'delete' and len(h.live) > 2:
            name = r.choice(sorted(set(h.live) - {'root'}))
            if name in mounted:
                add('umount', name)
                mounted.remove(name)
            add('delete', name)
    return out


# --- disks ---

def build_work(to):
    subprocess.run(['musl-gcc', '-O1', '-static', '-std=gnu11', '-D_GNU_SOURCE', '-I.', '-o', to, 'tests/host/disk/work.c'],
                   check=True)


def boot(work, words, command, files, options=()):
    """A guest with the directory's program `work`, files (here -> there), and words for QEMU: (what it prints, kernel)"""
    run = ['./run', '--no-build', '-v', '--timeout', '250', '--initrd', 'build/initramfs.cpio', *options,
           *shlex.split(os.environ.get('RUN_OPTIONS', '')), '--add', work + '/work:/work']
    for here, there in files.items():
        run += ['--add', f'{here}:{there}']
    run += ['--qemu', ' '.join(words), '-c', command]
    r = subprocess.run(run, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       errors='replace')
    if r.returncode:
        print(f'Bail out! the guest: status {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-2000:]}')
        raise SystemExit(1)
    return r.stdout, r.stderr


def disk_device():
    return 'virtio-blk-pci' if re.search(r'q35|pc', os.environ.get('RUN_OPTIONS', '')) else 'virtio-blk-device'


def write_script(path, lines):
    with open(path, 'w') as f:
        f.write(''.join(' '.join(w) + '\n' for w in lines))


def results(text):
    return [int(line.split()[1]) for line in text.splitlines()]


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')


def read_tree(top):
    """{path: (kind, data, mode)} and {path: key of the inode}"""
    what, same = {}, {}
    for here, dirs, files in os.walk(top):
        for name in dirs + files:
            full = os.path.join(here, name)
            s, path = os.lstat(full), os.path.relpath(full, top)
            if stat.S_ISLNK(s.st_mode):
                what[path] = ('l', os.readlink(full).encode(), 0o777)
            elif stat.S_ISDIR(s.st_mode):
                what[path] = ('d', b'', s.st_mode & 0o7777)
            else:
                with open(full, 'rb') as f:
                    what[path] = ('f', f.read(), s.st_mode & 0o7777)
            same[path] = s.st_ino
    return what, same


def read_disk(image, work):
    """({volume: (what, same)}, None), or what is wrong"""
    f = run(TOOLS + 'fsck.cowfs', '-n', image)
    if f.returncode:
        return None, f'fsck.cowfs: status {f.returncode}\n{f.stdout}'
    found = {}
    # on stderr a mount says that a commit was not finished
    volumes = subprocess.run([TOOLS + 'cowfs', 'volumes', image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in volumes.stdout.splitlines()[1:]:
        name, to = line.split()[-1], os.path.join(work, 'tree')
        shutil.rmtree(to, ignore_errors=True)
        got = run(TOOLS + 'cowfs', 'get', '-v', name, image, '/', to)
        if got.returncode:
            return None, f'cowfs get: {got.stdout}'
        found[name] = read_tree(to)
    return found, None


def judge(found, h, promised, begun):
    """None if a disk may be so when line `promised` has ended and no line behind `begun` has begun."""
    last = h.after[min(begun, len(h.after) - 1)]
    kept = [p for p in h.promises if p.kept and p.line <= promised]
    logged = [p for p in h.promises if p.volume is not None and p.line <= begun]
    first = max([p.moment for p in kept if p.volume is None], default=0)
    closest = 'no names are like these'
    for c in range(last, first - 1, -1):
        m = h.moments[c]
        if not names_are(found, m):
            continue
        due = [p for p in kept if p.volume is not None and p.moment > c]
        wrong = promised_names(h, m, due)
        # the log's end: an fsync behind the commit; all that was promised is before it
        ends = sorted({p.moment for p in logged if p.moment > c} | {c})
        for end in ends if not wrong else []:
            wrong = 'an fsync was forgotten'
            if all(p.moment <= end for p in due):
                wrong = data_is(found, h, m, [p for p in logged if c < p.moment <= end])
            if not wrong:
                return None
            closest = f'beside moment {c} with the log to {end}: {wrong}'
        if wrong:
            closest = f'beside moment {c}: {wrong}'
    return closest


def names_are(found, m):
    if set(found) != set(m.volumes):
        return False
    for name, (what, same) in found.items():
        _, names = m.volumes[name]
        if set(what) != set(names):
            return False
        ids = {}
        for path, key in same.items():
            if ids.setdefault(key, names[path]) != names[path]:
                return False
        if len(set(ids.values())) != len(ids):
            return False
    return True


def promised_names(h, m, promises):
    for p in promises:
        then = next((n for v, n in h.moments[p.moment].volumes.values() if v == p.volume), None)
        now = next((n for v, n in m.volumes.values() if v == p.volume), None)
        if then is None:
            continue
        if now is None:
            return 'a volume with an fsync is not there'
        if p.directory is not None:
            pick = [{n: i for n, i in names.items() if os.path.dirname(n) == p.directory} for names in (then, now)]
        else:
            pick = [{n for n, i in names.items() if i == p.inode} for names in (then, now)]
        if pick[0] != pick[1]:
            return f'the names of an fsync of moment {p.moment} are {pick[1]}, not {pick[0]}'
    return None


def data_is(found, h, m, logged):
    for name, (what, _) in found.items():
        volume, names = m.volumes[name]
        for path, is_ in what.items():
            key = (volume, names[path])
            be = m.what[key]
            for p in logged:
                if (p.volume, p.inode) == key and p.directory is None:
                    be = h.moments[p.moment].what[key]
            if is_ != be:
                return f'{name}/{path} is {describe(is_)}, not {describe(be)}'
    return None


def describe(w):
    return f'{w[0]} of {len(w[1])} bytes ({w[1][:8].hex()}), mode {w[2]:o}'
