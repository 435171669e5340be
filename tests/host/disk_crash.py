#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""disk_crash.py - the guest works on a disk whose writes QEMU logs (blklogwrites); then what a crash would have left at
points of that log is checked: fsck.cowfs finds nothing wrong, and all is there that fsync and sync had promised by
then, and nothing else than what was done (disk/workload.py).

  tests/host/disk_crash.py [--all] [--seed N] [--lines N] [--states N] [--debug] [--keep DIR]

Points are prefixes of the log: those after each write (--all), or --states of them; and as many in which of the writes
after the last flush only some sectors are there.
"""
import argparse
import os
import random
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), 'disk'))
import workload

os.chdir(os.path.join(os.path.dirname(os.path.realpath(__file__)), '../..'))
FS, DISK, SECTOR = 24 << 20, 25 << 20, 512
MAGIC, FLUSH, DISCARD = 0x6A736677736872, 1, 4


def logged_disk(image, log):
    return ['-blockdev', f'driver=file,filename={image},node-name=bf,cache.no-flush=on',
            '-blockdev', 'driver=raw,file=bf,node-name=base',
            '-blockdev', f'driver=file,filename={log},node-name=lf,cache.no-flush=on',
            '-blockdev', 'driver=blklogwrites,node-name=wl,file=base,log=lf,log-sector-size=512,log-super-update-interval=1',
            '-device', workload.disk_device() + ',drive=wl']


class Entry:
    def __init__(self, sector, flags, data):
        self.at, self.flags, self.data = sector * SECTOR, flags, data
        self.is_mark = bool(data) and self.at >= FS


def read_log(path):
    """All entries, in order (Documentation/admin-guide/device-mapper/log-writes.rst of Linux)."""
    entries = []
    with open(path, 'rb') as f:
        magic, _, count, sector = struct.unpack('<QQQI', f.read(28))
        assert magic == MAGIC and sector == SECTOR
        f.seek(SECTOR)
        for _ in range(count):
            at, n, flags, _ = struct.unpack('<QQQQ', f.read(SECTOR)[:32])
            data = b'\xdd' * (n * SECTOR) if flags & DISCARD else f.read(n * SECTOR)
            entries.append(Entry(at, flags, data))
    return entries


def torn(r, entry):
    """The parts of a write that reached the disk: all, nothing, or some sectors."""
    n, how = len(entry.data) // SECTOR, r.randrange(3)
    for k in range(n):
        if how == 0 or how == 1 and r.random() < 0.5:
            yield entry.at + k * SECTOR, entry.data[k * SECTOR:(k + 1) * SECTOR]


class Judge:
    def __init__(self, image, history, work):
        self.image, self.history, self.work = image, history, work
        self.states, self.wrong = 0, []

    def look(self, what, promised, done):
        self.states += 1
        found, wrong = workload.read_disk(self.image, self.work)
        wrong = wrong or workload.judge(found, self.history, promised, done + 1)
        if wrong:
            self.wrong.append(f'{what}, lines to {promised} promised: {wrong}')
        return not wrong


class Disk:
    """The image up to an entry of the log, and what of that was there at the last flush."""

    def __init__(self, image):
        self.fd = os.open(image, os.O_RDWR)
        self.flushed = bytearray(os.pread(self.fd, DISK, 0))
        self.since = []

    def apply(self, e):
        if e.flags & FLUSH:
            for old in self.since:
                self.flushed[old.at:old.at + len(old.data)] = old.data
            self.since = []
        if e.data and not e.is_mark:
            os.pwrite(self.fd, e.data, e.at)
            self.since.append(e)

    def tear(self, r):
        """Of the writes since the flush some sectors only."""
        for e in self.since:
            os.pwrite(self.fd, self.flushed[e.at:e.at + len(e.data)], e.at)
        for e in self.since:
            for at, data in torn(r, e):
                os.pwrite(self.fd, data, at)

    def mend(self):
        for e in self.since:
            os.pwrite(self.fd, e.data, e.at)


def number_of(mark):
    return struct.unpack('<Q', mark.data[:8])[0]


def promised_at(entries, n, done):
    """Marks that follow entry n at once promise more of the same disk."""
    for e in entries[n + 1:]:
        if e.data and not e.is_mark:
            break
        done = number_of(e) if e.is_mark else done
    return done


def replay(entries, judge, states, r):
    points = [n for n, e in enumerate(entries) if e.data and not e.is_mark]
    if states:
        points = r.sample(points, min(states, len(points)))
    points, disk, done = set(points), Disk(judge.image), -1
    for n, e in enumerate(entries):
        disk.apply(e)
        done = number_of(e) if e.is_mark else done
        if n in points and len(judge.wrong) < 4:
            promised = promised_at(entries, n, done)
            judge.look(f'entry {n}', promised, promised)
            disk.tear(r)
            judge.look(f'entry {n}, of the writes since the last flush some', done, done)
            disk.mend()


def lose_superblocks(entries, judge):
    """Is the judge any good? A disk that has lost the superblocks of the second half."""
    disk, last = Disk(judge.image), 0
    supers = (0, workload.PAGE, FS - workload.PAGE, FS - 2 * workload.PAGE)
    for n, e in enumerate(entries):
        if n < len(entries) // 2 or e.at not in supers:
            disk.apply(e)
        last = number_of(e) if e.is_mark else last
    return not judge.look('lost superblocks', last, last)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--all', action='store_true', help='all prefixes')
    p.add_argument('--states', type=int, default=60, help='prefixes (60)')
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--lines', type=int, default=170, help='of the script (170)')
    p.add_argument('--smp', type=int, default=2)
    p.add_argument('--debug', action='store_true', help='the debug kernel')
    p.add_argument('--keep', help='a directory: the log, image and script stay there')
    o = p.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = o.keep or temporary
        os.makedirs(work, exist_ok=True)
        image, log = work + '/image', work + '/log'
        workload.build_work(work + '/work')
        subprocess.run([workload.TOOLS + 'mkfs.cowfs', '-s', str(FS), image], check=True, stdout=subprocess.DEVNULL)
        os.truncate(image, DISK)
        with open(log, 'wb'):
            pass
        subprocess.run(['cp', image, work + '/before'], check=True)
        lines = workload.script(o.seed, o.lines, pause=5500)
        workload.write_script(work + '/script', lines)
        text, _ = workload.boot(work, logged_disk(image, log), f'mkdir /d; cd /d; exec /work /script /dev/vda {FS}',
                                {work + '/script': '/script'}, ['--smp', str(o.smp)] + ['--debug'] * o.debug)
        results = workload.results(text)
        history, failed = workload.History(), 0
        for words, r in zip(lines, results):
            history.line(words, r)
            failed += r < 0
        print(f'{"not " if failed else ""}ok 1 - {len(lines)} lines are done in the guest')
        entries = read_log(log)
        subprocess.run(['cp', work + '/before', image], check=True)
        judge = Judge(image, history, work)
        replay(entries, judge, 0 if o.all else o.states, random.Random(o.seed))
        for text in judge.wrong:
            print('# ' + text.replace('\n', '\n# '))
        print(f'{"not " if judge.wrong else ""}ok 2 - a log of {len(entries)} entries, '
              f'{sum(bool(e.flags & FLUSH) for e in entries)} of them flushes: {judge.states} states')
        whole = Judge(image, history, work)
        good = not judge.wrong and whole.look('the whole log', len(lines), len(lines))
        print(f'{"" if good else "not "}ok 3 - the whole log')
        subprocess.run(['cp', work + '/before', image], check=True)
        caught = lose_superblocks(entries, Judge(image, history, work))
        print(f'{"" if caught else "not "}ok 4 - lost superblocks are seen')
        print('1..4')
        return not good or not caught or failed


sys.exit(main())
