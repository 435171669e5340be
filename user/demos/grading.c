/* SPDX-License-Identifier: MIT */
/*
 * grading.c - the grading script of the course assignment "Virtualization in xv6", for Skerry's
 * calls (<skerry/container.h>).
 *
 *	cd /root; grading
 *
 * Three containers; five children join 1, 1, 1, 2, 3. Each container shows its own processes; the
 * scheduler's log is on for a while (dmesg shows it), then the memory's, in which each child's
 * container_malloc prints where it is (dmesg shows where that really is); each child makes a
 * file_<pid>, and sees those of its own container beside the host's; one per container writes
 * my_file and reads it back. Then all leave, and the containers are destroyed.
 *
 * The steps are taken together: a barrier in shared memory stands between them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skerry/container.h>

#define CONTAINERS 3
#define CHILDREN   5

static int id[CONTAINERS];
static const int joins[CHILDREN] = { 0, 0, 0, 1, 2 };
static char directory[4096];
static struct {
	int arrived, turn; /* atomic */
} * shared;

/* All children and the parent meet here. */
static void barrier(int n)
{
	__atomic_add_fetch(&shared->arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&shared->arrived, __ATOMIC_SEQ_CST) < n * (CHILDREN + 1))
		usleep(1000);
}

/* One child after the other, so that their lines do not mix. */
static void in_turn(int n, int child, void (*print)(void))
{
	barrier(n);
	while (__atomic_load_n(&shared->turn, __ATOMIC_SEQ_CST) != child)
		usleep(1000);
	print();
	fflush(stdout);
	__atomic_store_n(&shared->turn, child == CHILDREN - 1 ? 0 : child + 1, __ATOMIC_SEQ_CST);
	barrier(n + 1);
}

static void check(bool fine, const char *what)
{
	if (fine)
		return;
	perror(what);
	exit(1);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void ls(void)
{
	char *name[256];
	size_t n = 0;
	DIR *d = opendir(directory);
	struct dirent *e;

	check(d, directory);
	while (n < 256 && (e = readdir(d)))
		if (e->d_name[0] != '.')
			name[n++] = strdup(e->d_name);
	closedir(d);
	qsort(name, n, sizeof *name, by_name);
	printf("ls in %d:", getcid());
	for (size_t i = 0; i < n; i++) {
		printf(" %s", name[i]);
		free(name[i]);
	}
	printf("\n");
}

static void print_ps(void)
{
	check(!ps(), "ps");
}

static void print_memory(void)
{
	void *p;

	printf("memory in %d: ", getcid());
	fflush(stdout);
	p = container_malloc(4096); /* prints the rest of the line */
	check(p, "container_malloc");
	free(p);
}

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), name);
	close(fd);
}

static void cat(void)
{
	char text[128];
	int fd = open("my_file", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	check(n >= 0, "my_file");
	close(fd);
	text[n] = 0;
	printf("my_file in %d: %s", getcid(), text);
}

static void nothing(void) {}

static void child(int i)
{
	char text[64];
	bool writer = i == 0 || joins[i] != joins[i - 1];
	int outside = getpid();

	check(!join_container(id[joins[i]]), "join_container");
	check(!chdir(directory), directory);
	in_turn(1, i, print_ps);
	barrier(3); /* the log is on */
	for (volatile int n = 0; n < 30000000; n++)
		;
	barrier(4); /* and off again */
	in_turn(5, i, print_memory);
	in_turn(7, i, ls);
	snprintf(text, sizeof text, "file_%d", getpid());
	write_file(text, "");
	in_turn(9, i, ls);
	if (writer) {
		snprintf(text, sizeof text, "Modified by : %d\n", getpid());
		write_file("my_file", text);
	}
	in_turn(11, i, writer ? cat : nothing);
	check(!leave_container(), "leave_container");
	check(getpid() == outside && getcid() == 0, "to be back");
	exit(0);
}

int main(void)
{
	int status, bad = 0;

	check(getcwd(directory, sizeof directory), "getcwd");
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	check(shared != MAP_FAILED, "mmap");
	write_file("my_file", "The host's own\n");
	for (int i = 0; i < CONTAINERS; i++) {
		id[i] = create_container();
		check(id[i] > 0, "create_container");
		printf("container %d\n", id[i]);
	}
	fflush(stdout);
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();
		check(pid >= 0, "fork");
		if (!pid)
			child(i);
	}
	barrier(1);
	barrier(2);
	check(!scheduler_log_on(), "scheduler_log_on");
	barrier(3);
	barrier(4);
	check(!scheduler_log_off(), "scheduler_log_off");
	check(!memory_log_on(), "memory_log_on");
	barrier(5);
	barrier(6);
	check(!memory_log_off(), "memory_log_off");
	for (int n = 7; n <= 12; n++)
		barrier(n);
	for (int i = 0; i < CHILDREN; i++)
		bad += wait(&status) <= 0 || status;
	printf("children that failed: %d\n", bad);
	ls();
	cat();
	for (int i = 0; i < CONTAINERS; i++) {
		int once = destroy_container(id[i]), twice = destroy_container(id[i]);

		printf("destroy %d: %d, again: %d\n", id[i], once, twice);
	}
	return bad != 0;
}
