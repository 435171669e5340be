#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The person's console: ./run on a terminal, as somebody sees it who types.

A pseudo-terminal stands for the person's; Screen interprets what comes (ECMA-48, VT100), so that checks
look at lines of a screen and not at bytes. Each check waits for its text; TAP on stdout.
   RUN_OPTIONS="--machine q35" tests/host/console.py   the same with more options of ./run
"""
import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import sys
import tempfile
import termios
import time

ROWS, COLS = 24, 100
WAIT = float(os.environ.get("CONSOLE_WAIT", "60"))  # seconds for one check: the machine may be busy
CTRL_A, CTRL_C, CTRL_D, CTRL_R, CTRL_T, CTRL_U, CTRL_W, CTRL_Z = "\x01\x03\x04\x12\x14\x15\x17\x1a"
os.chdir(os.path.dirname(os.path.realpath(__file__)) + "/../..")


work = tempfile.TemporaryDirectory()  # the disk: what a person has in build/disk.img is not for tests


class Screen:
    """What a VT100 with colours would show of the bytes that it was fed."""

    def __init__(self, rows, cols):
        self.rows, self.cols = rows, cols
        self.reset()

    def reset(self):
        self.cell = [[" "] * self.cols for _ in range(self.rows)]
        self.y = self.x = 0
        self.top, self.bottom = 0, self.rows - 1
        self.origin, self.cursor = False, True
        self.saved = (0, 0, False)
        self.pending = ""
        self.answers = []  # what a real terminal would type back
        self.bells = 0

    def resize(self, rows, cols):
        self.rows, self.cols = rows, cols
        self.reset()

    def lines(self):
        return ["".join(r).rstrip() for r in self.cell]

    def text(self):
        return "\n".join(self.lines())

    def scroll(self, n):
        for _ in range(n):
            del self.cell[self.top]
            self.cell.insert(self.bottom, [" "] * self.cols)

    def line_feed(self):
        if self.y == self.bottom:
            self.scroll(1)
        elif self.y < self.rows - 1:
            self.y += 1

    def put(self, c):
        if self.x == self.cols:
            self.x = 0
            self.line_feed()
        self.cell[self.y][self.x] = c
        self.x += 1

    def control(self, c):
        if c == "\r":
            self.x = 0
        elif c == "\n":
            self.line_feed()
        elif c == "\b":
            self.x = max(0, min(self.x, self.cols - 1) - 1)
        elif c == "\t":
            self.x = min(self.cols - 1, (self.x // 8 + 1) * 8)
        elif c == "\a":
            self.bells += 1

    def move(self, y, x):
        low, high = (self.top, self.bottom) if self.origin else (0, self.rows - 1)
        self.y = max(low, min(high, y + low))
        self.x = max(0, min(self.cols - 1, x))

    def erase(self, y, x0, x1):
        for x in range(x0, min(x1, self.cols)):
            self.cell[y][x] = " "

    def csi(self, params, final):
        n = [int(p) if p.isdigit() else 0 for p in params.lstrip("?").split(";")]
        one = max(1, n[0])
        if final in "Hf":
            self.move(max(1, n[0]) - 1, max(1, n[1] if len(n) > 1 else 1) - 1)
        elif final == "A":
            self.y = max(self.top, self.y - one)
        elif final == "B":
            self.y = min(self.bottom, self.y + one)
        elif final == "C":
            self.x = min(self.cols - 1, self.x + one)
        elif final == "D":
            self.x = max(0, self.x - one)
        elif final == "J":
            for y in range(self.rows):
                if n[0] == 2 or n[0] == 0 and y > self.y or n[0] == 1 and y < self.y:
                    self.erase(y, 0, self.cols)
            if n[0] == 0:
                self.erase(self.y, self.x, self.cols)
        elif final == "K":
            self.erase(self.y, self.x if n[0] == 0 else 0, self.x + 1 if n[0] == 1 else self.cols)
        elif final == "r":
            self.top, self.bottom = max(1, n[0]) - 1, (n[1] if len(n) > 1 and n[1] else self.rows) - 1
            self.move(0, 0)
        elif final in "hl" and params == "?6":
            self.origin = final == "h"
            self.move(0, 0)
        elif final in "hl" and params == "?25":
            self.cursor = final == "h"
        elif final == "n" and n[0] == 6:
            self.answers.append("\033[%d;%dR" % (self.y + 1, self.x + 1))

    def feed(self, text):
        text = self.pending + text
        self.pending, i = "", 0
        while i < len(text):
            c = text[i]
            if c != "\033":
                self.control(c) if c < " " else self.put(c)
                i += 1
                continue
            m = re.compile(r"\033(?:\[([?>]?[0-9;]*)([@-~])|([^\[])|\[[^@-~]*([\x18\x1a]))").match(text, i)
            if not m:
                self.pending = text[i:]
                return
            i = m.end()
            if m[2]:
                self.csi(m[1], m[2])
            elif m[3] == "7":
                self.saved = (self.y, self.x, self.origin)
            elif m[3] == "8":
                self.y, self.x, self.origin = self.saved
            elif m[3] == "c":
                self.reset()


class Person:
    """Somebody at a terminal on which ./run goes."""

    def __init__(self, options=()):
        self.screen = Screen(ROWS, COLS)
        self.raw = ""
        self.ended = False
        self.status = None
        argv = ["./run", "--no-build", "--disk", work.name + "/disk"] + shlex.split(os.environ.get("RUN_OPTIONS", "")) + list(options)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLS, 0, 0))
            os.environ["TERM"] = "vt100"
            os.execv("/usr/bin/timeout", ["timeout", "--foreground", "-s", "TERM", "600"] + argv)
        self.modes = termios.tcgetattr(self.fd)

    def pump(self, seconds):
        """Takes what comes within that time; False at the end."""
        if self.ended:
            return False
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536).decode("utf-8", "replace")
        except OSError:
            data = ""
        if not data:
            self.ended = True
            return False
        self.raw += data
        self.screen.feed(data)
        return True

    def type(self, text):
        if not self.ended:
            os.write(self.fd, text.encode())

    def until(self, condition, seconds=None):
        end = time.time() + (seconds or WAIT)
        while not condition():
            if time.time() > end or not self.pump(0.1):
                return bool(condition())
        return True

    def sees(self, pattern, seconds=None):
        """A pattern of lines appears on the screen."""
        return self.until(lambda: re.search(pattern, self.screen.text(), re.M), seconds)

    def quiet(self, seconds=0.4):
        """Until nothing has come for a while."""
        while True:
            before = len(self.raw)
            if not self.pump(seconds) or len(self.raw) == before:
                return

    def press(self, key, pattern):
        """A key for the program that a command has just started: again and again, if it is slow to start."""
        for _ in range(20):
            self.type(key)
            if self.sees(pattern, WAIT / 20):
                return True
        return False

    def answers(self, line):
        """cat has begun: it repeats a line. What was typed while the shell still had the terminal is not echoed, or lost,
        or repeated late, in the middle of what comes next: so each line is another one, and all before it are done."""
        for n in range(20):
            self.type("%s%d\r" % (line, n))
            if self.sees(r"^%s%d\n%s%d$" % (line, n, line, n), WAIT / 20):
                return True
        return False

    def command(self, text, pattern):
        """Clears the screen, types a command and waits for its output."""
        self.type("clear\r")
        if not self.until(lambda: re.match(r"(skerry:)?/ ?#\Z", self.screen.lines()[0])):
            return False
        self.type(text + "\r")
        return self.sees(pattern)

    def wait(self):
        while self.pump(WAIT):
            pass
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def leave(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGTERM)
            self.wait()
        os.close(self.fd)


count = failed = 0


def ok(good, name, p=None):
    global count, failed
    count += 1
    print(("ok" if good else "not ok") + " %d - %s" % (count, name), flush=True)
    if not good:
        failed += 1
        for line in p.screen.lines() if p else []:
            print("# |" + line, flush=True)


def title(p, number, name):
    return p.until(lambda: re.search(r"^ console %d: %s\b" % (number, name), p.screen.lines()[-1]), 20)


def greeting(p):
    ok(p.sees(r"Three commands worth trying"), "the greeting", p)
    if failed:
        print("Bail out! the guest does not start")
        sys.exit(1)
    ok(all(c in p.screen.text() for c in ("ctool create", "ctool run", "ctool start vc1")), "with three commands", p)
    ok(p.sees(r"^skerry:/#$"), "the prompt", p)


def editing(p):
    ok(p.command("echo hel''lo", r"^hello$"), "a command is echoed and runs", p)
    ok(p.command("ecx\x7fho backspac\bace", r"^backspaace$") or "backspace" in p.screen.text(), "backspace", p)
    ok(p.command("stty size", r"^%d %d$" % (ROWS, COLS)), "stty size is the terminal's", p)
    ok(p.command("stty -a", r"isig.*icanon|icanon.*isig|icanon"), "stty -a", p)
    # the terminal's own line editing: cat reads lines
    p.command("cat", r"cat$")
    p.answers("ready")
    p.type("one\x7f\x7f\x7ftwo\r")
    ok(p.sees(r"^two\ntwo$"), "cat: backspace", p)
    p.type("gone" + CTRL_U + "kept\r")
    ok(p.sees(r"^kept\nkept$"), "cat: ^U", p)
    p.type("three four" + CTRL_W + "five\r")
    ok(p.sees(r"^three five\nthree five$"), "cat: ^W", p)
    p.type("h\u00e4\u00f6\x7fx" + CTRL_R)
    p.type("\r")
    ok(p.sees(r"\^R\nh\u00e4x$"), "cat: ^R; a character of two bytes", p)
    p.type("lost" + CTRL_C)
    ok(p.sees(r"^lost\^C\nskerry:/#"), "cat: ^C", p)
    p.command("cat; echo end $?", r"echo end")
    p.answers("x")
    p.type(CTRL_D)
    ok(p.sees(r"^end 0$"), "cat: ^D", p)


def jobs(p):
    # a key is pressed only when cat has shown that it is in the foreground: the shell does not survive every
    # signal between its "fg" and the program's first read
    p.command("cat", r"cat$")
    p.answers("one")
    ok(p.press(CTRL_Z, r"Stopped +cat"), "^Z stops", p)
    ok(p.command("jobs", r"\[1\]\+ +Stopped"), "jobs", p)
    p.command("fg", r"^cat$")
    p.answers("two")
    p.press(CTRL_C, r"^skerry:/#\s*\Z")
    p.type("clear\r")
    p.quiet()
    ok(p.command("jobs; echo none $?", r"^none 0$") and "Stopped" not in p.screen.text(), "fg, ^C", p)
    p.command("sleep 1000 & cat &", r"cat &$")
    p.quiet()
    p.type("\r")
    ok(p.sees(r"Stopped \(tty input\) +cat"), "reading in the background stops", p)
    p.command("kill %1 %2; kill -CONT %2; wait; echo gone", "^gone$")
    p.type("clear\r")
    p.quiet()
    p.type(CTRL_D)
    ok(p.until(lambda: p.screen.text().count("skerry:/#") >= 2, 20), "^D: the shell ends and another begins", p)
    ok(p.command("fg; echo al''ive", r"^alive$"), "which works", p)


def one_console(p):
    p.type("clear\r")
    p.quiet()
    before = p.raw
    p.type(CTRL_T)
    p.quiet()
    ok(p.raw == before, "Ctrl-T with one console in use shows nothing", p)
    p.type("1")
    ok(p.sees(r"^skerry:/# 1$"), "and a digit after it is a digit", p)
    p.type(CTRL_U)


def containers(p):
    ok(p.command("ctool create /c1 /bin/busybox; echo status $?", r"^status 0$"), "ctool create", p)
    ok(p.command("ctool start vc1 /c1 -p 8 -m 16M /busybox sh; echo status $?", r"^status 0$"), "ctool start vc1", p)
    p.type(CTRL_T)
    ok(title(p, 1, "c1"), "Ctrl-T: the title line names console and container", p)
    p.type("\r")
    ok(p.sees(r"/ #"), "the container's prompt", p)
    ok(p.command("/busybox ps", r"^ *1 .*busybox sh"), "ps shows pid 1", p)
    ok(p.command("/busybox stty size", r"^%d %d$" % (ROWS - 1, COLS)), "its size is without the title", p)
    ok(title(p, 1, "c1"), "the title stays when the screen is cleared", p)
    p.command("(/busybox sleep 3; echo la''ter; /busybox seq 1 5) &", r"seq")
    p.type(CTRL_T)
    ok(title(p, 0, "host"), "Ctrl-T: back to the host's", p)
    ok(p.sees("^status 0") and "later" not in p.screen.text(), "where all is as it was", p)
    ok(p.command("stty size", r"^%d %d$" % (ROWS - 1, COLS)), "the host's size is without the title too", p)
    ok(p.command("ctool info", r"maximum|pids|processes"), "ctool info", p)
    time.sleep(4)
    p.type(CTRL_T + "1")
    ok(title(p, 1, "c1") and p.sees(r"later\n1\n2\n3\n4\n5$"), "Ctrl-T 1: what it printed meanwhile is there", p)
    p.type(CTRL_T + "0")
    ok(title(p, 0, "host"), "Ctrl-T 0", p)
    p.type(CTRL_T + "7")
    p.quiet()
    ok(title(p, 1, "c1"), "Ctrl-T and the digit of an unused console", p)
    p.command("trap 'echo s''ize' WINCH; echo tr''ap", "^trap$")


def resize(p):
    p.screen.resize(30, 90)
    fcntl.ioctl(p.fd, termios.TIOCSWINSZ, struct.pack("4H", 30, 90, 0, 0))
    p.quiet(1)
    ok(p.command("/busybox stty size", r"^29 90$"), "the terminal's new size reaches a container's console", p)
    ok(title(p, 1, "c1"), "and the title its new place", p)
    p.screen.resize(ROWS, COLS)
    fcntl.ioctl(p.fd, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLS, 0, 0))
    p.quiet(1)


def programs(p):
    p.command("/busybox seq 1 3000", r"^3000$")
    ok(title(p, 1, "c1") and p.until(lambda: p.screen.lines()[ROWS - 3] == "3000"), "3000 lines scroll above the title", p)
    p.type(CTRL_T)
    title(p, 0, "host")
    p.type(CTRL_T)
    ok(title(p, 1, "c1") and p.sees(r"^2999\n3000\n/ #"), "and are there again", p)
    p.command("echo text > /f; /busybox vi /f", r"^text\n~")
    ok(p.until(lambda: p.screen.lines()[ROWS - 3] == "~") and title(p, 1, "c1"), "vi fills its screen", p)
    p.type("ohello\033")
    p.quiet(1)
    p.type(":wq\r")
    p.quiet()
    ok(p.command("/busybox cat /f", r"^text\nhello$"), "vi writes and quits", p)
    p.command("printf '\\033[3;6r\\033[3;1Ha\\nb\\nc\\nd\\ne\\033[r\\033[10;1H'", "^e$")
    ok(p.until(lambda: p.screen.lines()[2:6] == ["b", "c", "d", "e"]) and title(p, 1, "c1"),
       "a program's own scrolling region", p)
    ok(p.until(lambda: (p.screen.top, p.screen.bottom) == (0, ROWS - 2)), "after it, the title's", p)
    p.type("clear\rprintf '\\033[6n\\007'\r")
    ok(p.until(lambda: p.screen.answers), "a program asks where the cursor is", p)
    p.quiet()
    asked, bells = len(p.screen.answers), p.screen.bells
    p.type(CTRL_T)
    title(p, 0, "host")
    p.type(CTRL_T)
    title(p, 1, "c1")
    p.quiet()
    ok(len(p.screen.answers) == asked and p.screen.bells == bells, "which is not asked again, nor is the bell rung", p)
    p.type(CTRL_C)


def shell_ends(p):
    p.type("exit\r")
    p.quiet()
    p.type(CTRL_T + "0")
    title(p, 0, "host")
    ok(p.command("ctool list -a", r"stopped"), "the shell of the container ends, and the container", p)
    ok(p.command("ctool start c1 && echo ag''ain || ctool start 1 && echo ag''ain", r"^again$"), "started again", p)
    p.type(CTRL_T + "1")
    title(p, 1, "c1")
    p.type("\r")
    # with its prompt: a console with something that nobody has seen stays in the cycle
    ok(p.command("echo $$", r"^1\n/ #"), "a shell is there again", p)
    p.type(CTRL_T + "0")
    title(p, 0, "host")
    ok(p.command("ctool rm -f c1 || ctool rm -f 1; ctool list", r"^ID"), "ctool rm", p)
    p.type("clear\r")
    p.quiet()
    p.type(CTRL_T)
    p.quiet()
    ok(title(p, 0, "host"), "its console is out of the cycle", p)
    ok(p.command("ctool start --name second vc1 /c1 /busybox sh -c 'echo by''e'; echo status $?", r"^status 0$"),
       "the console is free for another", p)
    p.quiet(1)
    p.command("ctool wait second; ctool rm second; echo status $?", r"^status 0$")
    p.type(CTRL_T)
    ok(p.sees(r"^bye$") and "3000" not in p.screen.text(), "what that printed can be seen when it is gone", p)
    p.type(CTRL_T + "0")
    title(p, 0, "host")


def host_pty(p):
    ok(p.command("ctool run -it /c1 /busybox sh -c '/busybox stty size; /busybox tty'; echo en''ded $?",
                 r"^%d %d\n/dev/pts/0\nended 0$" % (ROWS - 1, COLS)),
       "ctool run -it: a terminal of its own, as large, with a name", p)
    p.command("ctool run -it --name jobs /c1 /busybox sh", r"^/ #")
    p.type("PATH=/; /busybox cat\r")
    p.answers("one")
    ok(p.press(CTRL_Z, r"Stopped +/busybox cat"), "^Z stops a program on it", p)
    p.type("fg\r")
    p.answers("two")
    ok(p.press(CTRL_C, r"\^C\n/ #"), "fg, ^C", p)
    p.type("exit 3\r")
    p.sees(r"exit 3\nskerry:/#")
    p.type("echo status $?\r")
    ok(p.sees(r"^status 3$"), "its shell ends, and the host's is back", p)


def restored(p, name):
    s = p.screen
    ok((s.top, s.bottom, s.origin, s.cursor) == (0, ROWS - 1, False, True), name + ": the whole screen scrolls again", p)
    ok(s.y == ROWS - 1 and s.x == 0, name + ": the cursor is at the bottom", p)
    ok(termios.tcgetattr(p.fd)[:4] == p.modes[:4], name + ": the terminal's modes are as before", p)


def power_off(p):
    p.type("clear; poweroff\r")
    status = p.wait()
    ok(status == 0, "poweroff ends ./run with status 0 (%d)" % status, p)
    restored(p, "poweroff")


def leave(p):
    p.sees(r"^skerry:/#")
    p.type("printf '\\033[3;5r\\033[?6h\\033[?25l'\r")
    p.quiet()
    p.type(CTRL_A + "x")
    status = p.wait()
    ok(status >= 0, "Ctrl-A X leaves (%d)" % status, p)
    restored(p, "Ctrl-A X")


def with_person(steps, *options):
    p = Person(options)
    try:
        for step in steps:
            step(p)
    finally:
        p.leave()


with_person([greeting, editing, jobs, one_console, containers, resize, programs, shell_ends, host_pty, power_off])
with_person([leave])
print("1..%d" % count)
sys.exit(failed != 0)
