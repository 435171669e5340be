/* SPDX-License-Identifier: MIT */
/* conts.c - a program in the style of xv6 that uses containers: conts DIR, as root of the host. */
#include "types.h"
#include "user.h"

int failed;

void check(int good, char *what)
{
	if (good)
		return;
	printf(1, "conts: not so: %s\n", what);
	failed = 1;
}

int main(int argc, char *argv[])
{
	struct cinfo info;
	int cid, fds[2], back[2], i;
	char c;

	check(getcid() == 0, "in the host");
	cid = spawncont(argv[1], 0, 5, 16 << 20);
	check(cid > 0, "spawncont");
	check(cinfo(cid, &info) == 0 && info.cid == cid && info.state == CREATED, "cinfo");
	check(info.max_procs == 5 && info.max_memory == 16 << 20, "limits");
	pipe(fds);
	pipe(back);
	if (cfork(cid) == 0) {
		check(getcid() == cid && getpid() == 1, "inside");
		check(cpause(cid) < 0 && cstop(cid) < 0, "no management from inside");
		ps();
		check(container_malloc(100000) != 0, "container_malloc");
		write(back[1], "x", 1);
		read(fds[0], &c, 1);
		container_malloc(10); /* prints: the log is on */
		write(back[1], "x", 1);
		read(fds[0], &c, 1);
		container_malloc(10);
		check(memory_log_on() == 0, "nothing below");
		exit();
	}
	for (i = 0; i < 100 && cinfo(cid, &info) == 0 && info.state != RUNNING; i++)
		sleep(1);
	check(info.state == RUNNING && info.procs == 1, "running");
	check(cpause(cid) == 0 && cinfo(cid, &info) == 0 && info.state == PAUSED, "cpause");
	check(cresume(cid) == 0 && cresume(cid) < 0, "cresume");
	check(scheduler_log_on() == 0 && scheduler_log_off() == 0, "scheduler_log");
	read(back[0], &c, 1);
	check(memory_log_on() == 0, "memory_log_on");
	write(fds[1], "x", 1);
	read(back[0], &c, 1);
	check(memory_log_off() == 0, "memory_log_off");
	write(fds[1], "x", 1);
	wait();
	check(cinfo(cid, &info) == 0 && info.state == STOPPED, "stopped");
	check(cstop(cid) == 0, "cstop");
	check(destroy_container(cid) == 0 && destroy_container(cid) < 0, "destroy once");
	check(cinfo(cid, &info) < 0, "gone");
	check(spawncont("/none", 0, 0, 0) < 0, "no such directory");
	printf(1, failed ? "conts: failed\n" : "conts: ok\n");
	exit();
}
