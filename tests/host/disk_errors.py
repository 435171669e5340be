#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""disk_errors.py - disks with errors in the guest (QEMU's blkdebug), and disks with wrong bytes.

An error is an errno, never a panic and never wrong data: after a write or a flush that failed the filesystem is
read-only, and says so; what cannot be read is EIO, with volume, inode and offset in the kernel's log, and all else goes
on. Afterwards, without errors, fsck.cowfs finds nothing, and what fsync had promised before is there
(disk/workload.py).

  tests/host/disk_errors.py [--seed N] [--smp N] [--debug] [--keep DIR] [NAME...]

All disks are in one guest.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), 'disk'))
import workload

os.chdir(os.path.join(os.path.dirname(os.path.realpath(__file__)), '../..'))
BLOCK, BLOCKS, SECTORS = 4096, 4096, 8
LOG = 2  # the log's first block
EIO, EROFS, ENOENT = 5, 30, 2

# What is on the disks before.
BEFORE = [words.split() for words in (
    'mkdir root/old', 'create root/old/a', 'write root/old/a 0 20000 1', 'create root/old/b', 'write root/old/b 0 9000 2',
    'create root/c', 'write root/c 0 5000 3', 'mkdir root/lost', 'create root/lost/a-name-that-is-nowhere-else', 'sync')]
OLD = ['root/old/a', 'root/old/b', 'root/c', 'root/lost/a-name-that-is-nowhere-else']


def always(io, *blocks):
    """Requests of a sort fail, or those that touch one of the blocks."""
    out = []
    for k, b in enumerate(blocks or [None]):
        out.append(f'inject-error.{k}.event=none,inject-error.{k}.iotype={io},inject-error.{k}.errno=5')
        if b is not None:
            out.append(f'inject-error.{k}.sector={b * SECTORS}')
    return ','.join(out)


def once(io, *blocks):
    return ','.join(f'{always(io, *blocks)},inject-error.{k}.once=on' for k in range(len(blocks) or 1))


def write_number(n):
    """The n-th write fails, once."""
    states = ','.join(f'set-state.{k}.event=pwritev,set-state.{k}.state={k + 1},set-state.{k}.new_state={k + 2}'
                      for k in range(n - 1))
    return f'{states},inject-error.0.event=pwritev,inject-error.0.state={n},inject-error.0.errno=5,inject-error.0.once=on'


def block_with(image, text):
    with open(image, 'rb') as f:
        at = f.read().index(text)
    return at // BLOCK


def data_of(path, index):
    """The bytes of a block of a file of BEFORE."""
    _, _, _, n, version = next(w for w in BEFORE if w[0] == 'write' and w[1] == path)
    return workload.pattern(index * BLOCK, min(BLOCK, int(n) - index * BLOCK), int(version))


class Case:
    """rule(image): what blkdebug is to do. readonly: it ends read-only. bad: paths that give EIO (and avoid: they are all
    below that, which is left alone)."""

    def __init__(self, name, rule, readonly=False, bad=(), says='', hurt=None, avoid=None):
        self.name, self.rule, self.readonly, self.bad, self.says, self.hurt = name, rule, readonly, bad, says, hurt
        self.avoid = avoid or bad


def hurt_data(image):
    with open(image, 'r+b') as f:
        f.seek(block_with(image, data_of('root/old/b', 1)) * BLOCK + 99)
        f.write(b'not what was written')


CASES = [
    Case('the first write fails', lambda i: once('write'), readonly=True),
    Case('all writes fail', lambda i: always('write'), readonly=True),
    Case('the 9th write fails', lambda i: write_number(9), readonly=True),
    Case('the 30th write fails', lambda i: write_number(30), readonly=True),
    Case('the first flush fails', lambda i: once('flush'), readonly=True),
    Case('all flushes fail', lambda i: always('flush'), readonly=True),
    Case('superblocks cannot be written', lambda i: always('write', 0, 1), readonly=True),
    Case('the log cannot be written', lambda i: once('write', LOG), readonly=True),
    Case('the first read fails', lambda i: once('read')),
    Case('the first blocks cannot be read', lambda i: always('read', 0, 1)),
    Case("a file's block cannot be read", lambda i: always('read', block_with(i, data_of('root/old/a', 2))),
         bad=['root/old/a'], says=r'volume \d+: inode \d+: block at offset 8192 is bad'),
    Case('a directory cannot be read', lambda i: always('read', block_with(i, b'a-name-that-is-nowhere-else')),
         bad=['root/lost/a-name-that-is-nowhere-else'], avoid=['root/lost'],
         says=r'volume \d+: inode \d+: block \d+ of the directory is bad'),
    Case("a file's block has wrong bytes", lambda i: '', hurt=hurt_data, bad=['root/old/b'],
         says=r'volume \d+: inode \d+: block at offset 4096 is bad'),
]


def make_image(path, work):
    tree = os.path.join(work, 'before')
    os.makedirs(tree + '/old')
    os.makedirs(tree + '/lost')
    for words in BEFORE:
        if words[0] == 'create':
            with open(tree + words[1][4:], 'wb') as f:
                os.fchmod(f.fileno(), 0o644)
    for words in BEFORE:
        if words[0] == 'write':
            with open(tree + words[1][4:], 'wb') as f:
                f.write(workload.pattern(0, int(words[3]), int(words[4])))
    subprocess.run([workload.TOOLS + 'mkfs.cowfs', '-d', tree, '-s', str(BLOCK * BLOCKS), path], check=True,
                   stdout=subprocess.DEVNULL)


def script_of(case, seed):
    """What is there, changes of it and beside it, and in the end all once more."""
    lines = workload.script(seed, 50, start=BEFORE, plain=True, avoid=[b[5:] for b in case.avoid])
    lines = lines[:1] + [['read', p] for p in OLD] + lines[1:]
    touched = {p for w in lines for p in w[1:] if p.startswith('root/') and w[0] not in ('read', 'mkdir', 'symlink')}
    return lines + [['sync']] + [['read', p] for p in sorted(touched | set(OLD)) if not p.endswith('/')] + [['umount', 'root']]


def expected_crc(h, path):
    """What a read says, or None if there is no such file."""
    v, name = h.find(path)
    i = v.names.get(name)
    return zlib.crc32(i.data) if i and i.kind == 'f' else None


class Verdict:
    def __init__(self, case, lines, results):
        self.case, self.wrong, self.failed = case, [], False
        self.h = workload.History()
        for words in BEFORE:
            self.h.line(words, int(words[3]) if words[0] == 'write' else 0)
        for n, (words, r) in enumerate(zip(lines, results)):
            self.line(n, words, r)
            self.h.line(words, r)
        if case.readonly and not self.failed:
            self.wrong.append('nothing failed')

    def line(self, n, words, r):
        say = f'line {n} ({" ".join(words)}) said {r}'
        if words[0] == 'read':
            crc = expected_crc(self.h, words[1])
            if words[1] in self.case.bad:
                if r != -EIO:
                    self.wrong.append(f'{say}, not -{EIO}')
            elif crc is not None and r != crc:
                self.wrong.append(f'{say}, not {crc}')
            return
        if r in (-EIO, -EROFS):
            self.failed = True
            if not self.case.readonly and not any(w in self.case.bad for w in words):
                self.wrong.append(say)
        elif r < 0 and not (r == -ENOENT and self.failed):
            self.wrong.append(say)
        elif r >= 0 and self.failed and self.case.readonly and words[0] not in ('umount', 'fsync', 'fdatasync'):
            self.wrong.append(f'{say} on a filesystem that is read-only')


def judge(case, image, work, lines, results, kernel):
    v = Verdict(case, lines, results)
    disk = os.path.basename(image)
    said = [line for line in kernel.splitlines() if f'cowfs: {disk}: ' in line]
    if case.readonly and not any('read-only from now on' in line for line in said):
        v.wrong.append('the kernel does not say that it is read-only')
    if case.says and not any(re.search(case.says, line) for line in said):
        v.wrong.append(f'the kernel does not say "{case.says}": {said}')
    if case.hurt:
        f = workload.run(workload.TOOLS + 'fsck.cowfs', '-n', image)
        if f.returncode != 4 or not re.search(r'volume \d+: inode \d+', f.stdout):
            v.wrong.append(f'fsck.cowfs: status {f.returncode}, {f.stdout}')
        return v
    found, wrong = workload.read_disk(image, work)
    wrong = wrong or workload.judge(found, v.h, len(lines), len(lines))
    if wrong:
        v.wrong.append(f'afterwards, on the disk: {wrong}')
    return v


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--smp', type=int, default=2)
    p.add_argument('--debug', action='store_true', help='the debug kernel')
    p.add_argument('--keep', help='a directory: images and scripts stay there')
    p.add_argument('names', nargs='*', help='numbers of cases (all)')
    o = p.parse_args()
    cases = [c for n, c in enumerate(CASES) if not o.names or str(n + 1) in o.names]
    with tempfile.TemporaryDirectory() as temporary:
        work = o.keep or temporary
        os.makedirs(work, exist_ok=True)
        subprocess.run(['rm', '-rf', work + '/before'])
        workload.build_work(work + '/work')
        make_image(work + '/whole', work)
        disks, command, files, scripts = [], '', {}, []
        for n, c in enumerate(cases):
            disk, rule = 'vd' + chr(ord('a') + n), c.rule(work + '/whole')
            image = f'{work}/{disk}'
            subprocess.run(['cp', work + '/whole', image], check=True)
            if c.hurt:
                c.hurt(image)
            scripts.append(script_of(c, o.seed + n))
            workload.write_script(image + '.script', scripts[-1])
            files[image + '.script'] = f'/script.{disk}'
            disks.append(['-blockdev', f'driver=file,filename={image},node-name=f{n},cache.no-flush=on',
                          '-blockdev', f'driver=blkdebug,image=f{n},node-name=d{n}' + (',' + rule if rule else ''),
                          '-device', f'{workload.disk_device()},drive=d{n},werror=report,rerror=report'])
            command += f'mkdir -p /d/{disk}; cd /d/{disk}; /work /script.{disk} /dev/{disk} 0; echo = {n};'
        # microvm's bus has the last one first
        words = sum(disks if workload.disk_device().endswith('pci') else reversed(disks), [])
        text, kernel = workload.boot(work, words, command, files, ['--smp', str(o.smp)] + ['--debug'] * o.debug)
        parts = re.split(r'= \d+\n', text)
        print(f'1..{len(cases)}')
        failed = 0
        for n, c in enumerate(cases):
            v = judge(c, f'{work}/vd{chr(ord("a") + n)}', work, scripts[n], workload.results(parts[n]), kernel)
            failed += bool(v.wrong)
            print(f'{"not " if v.wrong else ""}ok {n + 1} - {c.name}')
            for text in v.wrong[:8]:
                print('# ' + text.replace('\n', '\n# '))
    return failed != 0


sys.exit(main())
