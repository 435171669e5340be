/* SPDX-License-Identifier: MIT */
/*
 * assignment.c - what the course assignment's programs call beside the system calls: ps()
 * and container_malloc() (<skerry/container.h>).
 */
#include <skerry/container.h>
#include <skerry/control.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ps(void)
{
	struct control_process *p;
	size_t count;

	if (control_processes(CONTROL_SELF, &p, &count))
		return -1;
	printf("container %d:\n", getcid());
	for (size_t i = 0; i < count; i++)
		printf("%5d %c %s\n", p[i].pid, p[i].state, p[i].name);
	fflush(stdout);
	free(p);
	return 0;
}

/* "ADDRESS -> GUEST PHYSICAL ADDRESS", which the kernel knows and, for the host, logs. */
static void memory_log_print(const void *p)
{
	char line[64];
	int fd = open("/sys/container/self/memory.address", O_RDWR | O_CLOEXEC);
	ssize_t n = -1;

	if (fd < 0)
		return;
	snprintf(line, sizeof line, "%lu", (unsigned long)p);
	if (write(fd, line, strlen(line)) > 0)
		n = pread(fd, line, sizeof line - 1, 0);
	close(fd);
	if (n <= 0)
		return;
	line[n] = '\0';
	fputs(line, stdout);
	fflush(stdout);
}

void *container_malloc(size_t size)
{
	uint64_t on;
	void *p = malloc(size);

	if (!p)
		return p;
	memset(p, 0, size);
	if (size && !control_number(CONTROL_SELF, "memory.log", &on) && on)
		memory_log_print(p);
	return p;
}
