#!/usr/bin/env python3
"""mounted.py - for cowfs_mount.sh: system calls on a mounted volume, and what they must answer.

    mounted.py DIR           tries them: a line "ok NAME" or "not NAME: why" for each, then "done"
    mounted.py DIR again     what they left is there after the next mount
    mounted.py DIR rights    as root, on a mount with allow_other: what another user may do
"""
import ctypes, errno, mmap, os, stat, struct, sys, time

libc = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO = 1, 2, 8, 16
BLOCK = 4096
cases = []


def case(f):
    cases.append(f)
    return f


def call(name, *args):
    if getattr(libc, name)(*args) < 0:
        raise OSError(ctypes.get_errno(), name)


def renameat2(a, b, flags):
    call("renameat2", -100, a.encode(), -100, b.encode(), flags)


def fallocate(fd, mode, off, n):
    call("fallocate", fd, mode, ctypes.c_long(off), ctypes.c_long(n))


def equal(got, expected):
    if got != expected:
        raise AssertionError("got %r, expected %r" % (got, expected))


def fails(number, f, *args):
    try:
        f(*args)
    except OSError as e:
        equal(errno.errorcode[e.errno], errno.errorcode[number])
        return
    raise AssertionError("no %s" % errno.errorcode[number])


def put(name, data):
    with open(name, "wb") as f:
        f.write(data)


def get(name):
    with open(name, "rb") as f:
        return f.read()


@case
def creating():
    fd = os.open("new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640)
    fails(errno.EEXIST, os.open, "new", os.O_CREAT | os.O_EXCL | os.O_RDWR)
    equal(os.fstat(fd).st_mode, stat.S_IFREG | 0o640)
    os.close(fd)
    os.mkdir("d", 0o2775)
    fails(errno.EEXIST, os.mkdir, "d")
    fails(errno.ENOENT, os.mkdir, "none/d")
    fails(errno.ENOTDIR, os.mkdir, "new/d")
    fails(errno.ENAMETOOLONG, os.mkdir, "n" * 256)
    os.symlink("new", "link")
    equal(os.readlink("link"), "new")
    os.mkfifo("fifo", 0o600)
    equal(stat.S_ISFIFO(os.stat("fifo").st_mode), True)
    fails(errno.ENOENT, os.stat, "none")
    equal(os.stat("d").st_nlink, 2)
    os.mkdir("d/sub")
    equal(os.stat("d").st_nlink, 3)


@case
def set_group_id_of_directories():
    os.mkdir("group")
    os.chown("group", -1, os.getgid())
    os.chmod("group", 0o2755)
    if os.getuid() == 0:
        os.chown("group", -1, 77)
        os.chmod("group", 0o2755)
    os.mkdir("group/d")
    put("group/f", b"")
    equal(os.stat("group/d").st_gid, os.stat("group").st_gid)
    equal(os.stat("group/d").st_mode & stat.S_ISGID, stat.S_ISGID)
    equal(os.stat("group/f").st_gid, os.stat("group").st_gid)


@case
def links():
    put("a", b"data")
    os.link("a", "b")
    equal((os.stat("a").st_nlink, os.stat("b").st_ino), (2, os.stat("a").st_ino))
    os.unlink("a")
    equal((os.stat("b").st_nlink, get("b")), (1, b"data"))
    fails(errno.EPERM, os.link, "d", "x")
    fails(errno.EEXIST, os.link, "b", "d")
    fails(errno.ENOTDIR, os.rmdir, "b")
    fails(errno.EISDIR, os.unlink, "d")
    fails(errno.ENOTEMPTY, os.rmdir, "d")


@case
def renaming():
    put("r1", b"1")
    put("r2", b"2")
    fails(errno.EEXIST, renameat2, "r1", "r2", NOREPLACE)
    renameat2("r1", "r2", EXCHANGE)
    equal((get("r1"), get("r2")), (b"2", b"1"))
    renameat2("r1", "r3", NOREPLACE)
    equal((os.path.exists("r1"), get("r3")), (False, b"2"))
    fails(errno.ENOENT, renameat2, "r3", "r1", EXCHANGE)
    fails(errno.EINVAL, renameat2, "r3", "r2", WHITEOUT)
    os.rename("r3", "r2")
    equal((os.path.exists("r3"), get("r2")), (False, b"2"))
    os.makedirs("x/y/z")
    os.mkdir("w")
    fails(errno.EINVAL, os.rename, "x", "x/y/x")
    fails(errno.ENOTEMPTY, os.rename, "w", "x")
    fails(errno.EISDIR, os.rename, "r2", "w")
    fails(errno.ENOTDIR, os.rename, "w", "r2")
    os.rename("x/y", "w")
    equal((os.listdir("x"), os.listdir("w")), ([], ["z"]))
    equal((os.stat("x").st_nlink, os.stat("w").st_nlink), (2, 3))
    renameat2("w", "r2", EXCHANGE)
    equal((os.listdir("r2"), get("w")), (["z"], b"2"))
    equal(os.stat("r2/..").st_ino, os.stat(".").st_ino)


@case
def removed_while_open():
    fd = os.open("gone", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"a" * 100000)
    os.unlink("gone")
    equal(os.fstat(fd).st_nlink, 0)
    put("gone", b"another")
    os.pwrite(fd, b"b" * 100000, 100000)
    os.fsync(fd)
    os.ftruncate(fd, 150000)
    os.fchmod(fd, 0o600)
    equal(os.pread(fd, 200000, 0), b"a" * 100000 + b"b" * 50000)
    os.close(fd)
    equal(get("gone"), b"another")
    fd = os.open("victim", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"victim")
    os.rename("gone", "victim")
    equal((os.pread(fd, 10, 0), get("victim")), (b"victim", b"another"))
    os.close(fd)
    os.mkdir("nowhere")
    fd = os.open("nowhere", os.O_RDONLY)
    os.rmdir("nowhere")
    fails(errno.ENOENT, lambda: os.open("x", os.O_CREAT, dir_fd=fd))
    equal(os.listdir(fd), [])
    os.close(fd)


@case
def cutting_and_appending():
    data = os.urandom(30000)
    put("cut", data)
    os.truncate("cut", 10001)
    equal(get("cut"), data[:10001])
    os.truncate("cut", 20000)
    equal(get("cut"), data[:10001] + bytes(9999))
    fd = os.open("cut", os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"end")
    os.close(fd)
    equal(get("cut")[19999:], b"\0end")
    os.close(os.open("cut", os.O_WRONLY | os.O_TRUNC))
    equal(os.stat("cut").st_size, 0)
    fails(errno.EINVAL, os.truncate, "cut", -1)
    fails(errno.EFBIG, os.truncate, "cut", 1 << 60)


def data_and_holes(fd):
    at, found, end = 0, [], os.fstat(fd).st_size
    while at < end:
        try:
            a = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            equal(e.errno, errno.ENXIO)
            break
        at = os.lseek(fd, a, os.SEEK_HOLE)
        found.append((a // BLOCK, at // BLOCK))
    return found


@case
def holes():
    fd = os.open("holes", os.O_CREAT | os.O_RDWR)
    for at in (0, 10, 11, 20):
        os.pwrite(fd, b"d" * BLOCK, at * BLOCK)
    equal(data_and_holes(fd), [(0, 1), (10, 12), (20, 21)])
    equal(os.fstat(fd).st_blocks, 4 * 8)
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 10 * BLOCK, BLOCK)
    equal(data_and_holes(fd), [(0, 1), (11, 12), (20, 21)])
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 20 * BLOCK + 5, 10)
    equal(os.pread(fd, 20, 20 * BLOCK), b"d" * 5 + bytes(10) + b"d" * 5)
    fallocate(fd, ZERO, 11 * BLOCK, BLOCK)
    equal(os.pread(fd, BLOCK, 11 * BLOCK), bytes(BLOCK))
    fallocate(fd, KEEP_SIZE, 30 * BLOCK, 10 * BLOCK)
    equal(os.fstat(fd).st_size, 21 * BLOCK)
    equal(os.fstat(fd).st_blocks >= 12 * 8, True)
    fallocate(fd, 0, 30 * BLOCK, 10 * BLOCK)
    equal(os.fstat(fd).st_size, 40 * BLOCK)
    equal(os.pread(fd, BLOCK, 35 * BLOCK), bytes(BLOCK))
    fails(errno.EOPNOTSUPP, fallocate, fd, COLLAPSE, 0, BLOCK)
    fails(errno.ENXIO, os.lseek, fd, 50 * BLOCK, os.SEEK_DATA)
    os.close(fd)


@case
def copying_shares():
    data = os.urandom(8 << 20) + b"tail"
    put("src", data)
    os.sync()
    src, dst = os.open("src", os.O_RDONLY), os.open("dst", os.O_CREAT | os.O_RDWR)
    os.fsync(src)
    before, done = os.fstatvfs(dst).f_bfree, 0
    while done < len(data):
        done += os.copy_file_range(src, dst, len(data) - done)
    equal(before - os.fstatvfs(dst).f_bfree < 200, True)
    equal(os.copy_file_range(src, dst, 10), 0)
    equal(get("dst"), data)
    os.pwrite(dst, b"new", 5000)
    equal((os.pread(src, 3, 5000), os.pread(dst, 3, 5000)), (data[5000:5003], b"new"))
    equal(os.copy_file_range(src, dst, 10000, 3, 1) > 0, True)  # not whole blocks
    equal(os.pread(dst, 1000, 1), data[3:1003])
    os.close(src)
    os.close(dst)
    fails(errno.EINVAL, copy_within, "src")


def copy_within(name):
    fd = os.open(name, os.O_RDWR)
    try:
        os.copy_file_range(fd, fd, 8 * BLOCK, 0, 4 * BLOCK)
    finally:
        os.close(fd)


@case
def attributes():
    put("attr", b"x")
    os.chmod("attr", 0o6751)
    equal(os.stat("attr").st_mode & 0o7777, 0o6751)
    os.utime("attr", ns=(1234567890123456789, -1))
    equal((os.stat("attr").st_atime_ns, os.stat("attr").st_mtime_ns), (1234567890123456789, -1))
    begin = time.time_ns() - 10**9
    os.utime("attr")
    equal(os.stat("attr").st_mtime_ns >= begin and os.stat("attr").st_ctime_ns >= begin, True)
    old = os.stat("attr").st_ctime_ns
    os.link("attr", "attr2")
    equal(os.stat("attr").st_ctime_ns > old, True)
    if os.getuid() == 0:
        os.chown("attr", 12, 34)
        equal((os.stat("attr").st_uid, os.stat("attr").st_gid), (12, 34))
    put("d/in", b"")
    equal(os.stat("d").st_mtime_ns >= begin, True)


@case
def extended_attributes():
    put("x1", b"")
    os.setxattr("x1", "user.a", b"1")
    os.setxattr("x1", "user.b", b"\0" * 4000)
    os.setxattr("x1", "user.empty", b"")
    equal(sorted(os.listxattr("x1")), ["user.a", "user.b", "user.empty"])
    equal((os.getxattr("x1", "user.b"), os.getxattr("x1", "user.empty")), (bytes(4000), b""))
    fails(errno.EEXIST, os.setxattr, "x1", "user.a", b"", os.XATTR_CREATE)
    fails(errno.ENODATA, os.setxattr, "x1", "user.c", b"", os.XATTR_REPLACE)
    fails(errno.ENODATA, os.getxattr, "x1", "user.c")
    fails(errno.ENODATA, os.removexattr, "x1", "user.c")
    fails(errno.ENOSPC, os.setxattr, "x1", "user.c", bytes(65536))
    acl = struct.pack("<IHHIHHIHHI", 2, 1, 7, 0, 4, 5, 0, 32, 5, 0)
    fails(errno.EOPNOTSUPP, os.setxattr, "x1", "system.posix_acl_access", acl)
    fails(errno.EOPNOTSUPP, os.setxattr, "x1", "nowhere.x", b"")
    if os.getuid() == 0:
        fails(errno.EINVAL, os.setxattr, "x1", "trusted.", b"")
    os.removexattr("x1", "user.b")
    equal(sorted(os.listxattr("x1")), ["user.a", "user.empty"])


@case
def maps():
    put("map", b"m" * 10000)
    with open("map", "r+b") as f:
        m = mmap.mmap(f.fileno(), 0)
        m[5000:5005] = b"12345"
        equal(os.pread(f.fileno(), 7, 4999), b"m12345m")
        m.flush()
        os.pwrite(f.fileno(), b"abc", 0)
        equal(m[:4], b"abcm")
        m.close()
    equal(get("map"), b"abc" + b"m" * 4997 + b"12345" + b"m" * 4995)


@case
def positions_in_directories_stay():
    os.mkdir("many")
    names = ["%s-%d" % ("long" * 20, i) for i in range(3000)]
    for n in names:
        put("many/" + n, b"")
    seen = []
    with os.scandir("many") as it:
        for e in it:
            seen.append(e.name)
            if len(seen) == 500:  # others come and go meanwhile
                left = sorted(set(names) - set(seen))
                for n in left[::2] + seen[::2]:
                    os.unlink("many/" + n)
                for i in range(500):
                    put("many/new%d" % i, b"")
    stayed = set(os.listdir("many")) - {"new%d" % i for i in range(500)}
    equal(len(seen), len(set(seen)))
    equal(stayed - set(seen), set())
    equal(len(os.listdir("many")), len(stayed) + 500)


@case
def large_and_many_writes():
    data = os.urandom(5 << 20)
    fd = os.open("large", os.O_CREAT | os.O_RDWR)
    done = 0
    while done < len(data):
        done += os.write(fd, data[done : done + 1234567])
    for at in range(0, len(data), 99991):
        os.pwrite(fd, b"xyz", at)
    expected = bytearray(data)
    for at in range(0, len(data), 99991):
        expected[at : at + 3] = b"xyz"
    os.fsync(fd)
    os.close(fd)
    equal(get("large") == bytes(expected[: os.stat("large").st_size]), True)
    d = os.open("d", os.O_RDONLY)
    os.fsync(d)
    os.close(d)


def again():
    equal(get("b"), b"data")
    equal(get("w"), b"2")
    equal(os.listdir("r2"), ["z"])
    equal(get("victim"), b"another")
    equal(get("dst")[10001:], get("src")[10001:])
    equal(os.stat("attr").st_nlink, 2)
    equal(os.getxattr("x1", "user.a"), b"1")
    equal(get("map")[:4], b"abcm")
    fd = os.open("holes", os.O_RDONLY)
    equal(data_and_holes(fd)[0], (0, 1))
    os.close(fd)


def rights():
    put("secret", b"s")
    os.chmod("secret", 0o600)
    put("public", b"p")
    os.chmod("public", 0o644)
    os.mkdir("open")
    os.chmod("open", 0o1777)
    put("open/mine", b"")
    put("open/suid", b"")
    os.chown("open/suid", 65534, 65534)
    os.chmod("open/suid", 0o6755)
    os.setxattr("public", "trusted.x", b"1")
    os.setxattr("public", "user.x", b"2")
    equal(sorted(os.listxattr("public")), ["trusted.x", "user.x"])
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    fails(errno.EACCES, os.open, "secret", os.O_RDONLY)
    equal(get("public"), b"p")
    equal(os.listxattr("public"), ["user.x"])
    fails(errno.ENODATA, os.getxattr, "public", "trusted.x")
    fails(errno.EACCES, os.open, "public", os.O_WRONLY)
    fails(errno.EACCES, os.mkdir, "his")
    fails(errno.EPERM, os.chmod, "public", 0o777)
    fails(errno.EPERM, os.unlink, "open/mine")
    put("open/his", b"h")
    equal((os.stat("open/his").st_uid, os.stat("open/his").st_gid), (65534, 65534))
    os.chmod("open/suid", 0o6755)
    with open("open/suid", "ab") as f:
        f.write(b"x")
    equal(os.stat("open/suid").st_mode & 0o7777, 0o755)


def main():
    os.umask(0)
    os.chdir(sys.argv[1])
    if len(sys.argv) > 2:
        {"again": again, "rights": rights}[sys.argv[2]]()
        return
    for f in cases:
        name = f.__name__.replace("_", " ")
        try:
            f()
            print("ok", name)
        except Exception as e:
            line = e.__traceback__
            while line.tb_next:
                line = line.tb_next
            print("not %s: %s: %s (line %d)" % (name, type(e).__name__, e, line.tb_lineno))
    print("done")


main()
