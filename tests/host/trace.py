#!/usr/bin/python3
"""trace.py ALL ONE - checks the traces that trace.sh has made, and says so as TAP."""
import json
import sys

number = 0


def ok(good, name, why=""):
    global number
    number += 1
    print(f"{'ok' if good else 'not ok'} {number} - {name}")
    if not good and why:
        print(f"# {why}")


def load(path):
    with open(path) as f:
        return json.load(f)["traceEvents"]


def pid_of(events, name):
    found = [e["pid"] for e in events if e["name"] == "process_name" and name in e["args"]["name"]]
    return found[0] if len(set(found)) == 1 else None


everything = load(sys.argv[1])
ok(len(everything) > 100, "JSON with events", f"{len(everything)}")
ok(all({"ph", "name", "pid", "tid", "ts"} <= set(e) for e in everything), "each has what the format asks for")
ok(all(e["dur"] >= 0 for e in everything if e["ph"] == "X"), "no span is negative")

pid = pid_of(everything, "(traced)")
ok(pid is not None, "the container has one track group with its name")
mine = [e for e in everything if e["pid"] == pid]


def has(what, **args):
    return any(e["name"] == what and all(str(e.get("args", {}).get(k)) == v for k, v in args.items()) for e in mine)


def call(name):
    return [e for e in mine if e["name"] == name and e.get("cat") == "syscall"]


ok(has("denial", a="mkdir") or has("denial", a="mkdirat"), "a denial")
ok(any(e["args"]["result"] == "-1" for e in call("mkdir") + call("mkdirat")), "the refused call, with its errno")
ok(has("charge-refused", a="pids"), "a refused charge")
ok(has("fault"), "faults")
ok(any(e["name"] == "throttle" and 0 < int(e["args"]["b"]) <= 100_000_000 for e in mine), "throttles, with the rest of the period")
ok(len(call("execve")) >= 3 and call("wait4"), "system calls")
ok(has("container", b="running") and has("container", b="stopped"), "its states")
runs = [e for e in mine if e.get("cat") == "run"]
ok(runs and sum(e["dur"] for e in runs) > 0, "it ran")
threads = {e["tid"]: e["args"]["name"] for e in mine if e["name"] == "thread_name"}
ok(all(threads.get(e["tid"], "").startswith("CPU ") for e in runs), "on the tracks of CPUs")
ok(pid_of(everything, "CPUs") is not None, "the CPUs have tracks")
for cpu in {e["tid"] for e in everything if e.get("cat") == "cpu"}:
    spans = sorted((e["ts"], e["dur"]) for e in everything if e.get("cat") == "cpu" and e["tid"] == cpu)
    overlap = [(a, b) for a, b in zip(spans, spans[1:]) if a[0] + a[1] > b[0] + 0.002]
    ok(not overlap, "one at a time on a CPU", f"{overlap[:3]}")

one = load(sys.argv[2])
pid = pid_of(one, "(other)")
foreign = {e["pid"] for e in one if e["ph"] != "M"} - {pid, pid_of(one, "CPUs")}
ok(pid is not None and not foreign, "a trace of one container shows no other", f"{foreign}")
ok(any(e["name"] == "execve" for e in one), "and shows what it does")
print(f"1..{number}")
