/* SPDX-License-Identifier: MIT */
/*
 * control.c - read and write the control files of containers.
 *
 * See <skerry/control.h> for the interface. A file is read whole, from offset 0,
 * in one go: the kernel makes its text at the first read. Nothing is cached; two
 * values read one after the other may belong to two moments.
 */
#include <skerry/container.h>
#include <skerry/control.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const state_words[] = {
	[CONTAINER_CREATED] = "created", [CONTAINER_RUNNING] = "running",
	[CONTAINER_PAUSED] = "paused",	 [CONTAINER_STOPPING] = "stopping",
	[CONTAINER_STOPPED] = "stopped",
};
#define STATES (sizeof state_words / sizeof *state_words)

static const char *control_root(void)
{
	const char *root = getenv("SKERRY_CONTROL");

	return root && *root ? root : "/sys/container";
}

static int control_open(int id, const char *file, int flags)
{
	char path[512];
	int n, fd;

	if (id == CONTROL_SELF)
		n = snprintf(path, sizeof path, "%s/self/%s", control_root(), file);
	else
		n = snprintf(path, sizeof path, "%s/%d/%s", control_root(), id, file);
	if (n >= (int)sizeof path)
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Everything from here to the end of `fd`, NUL-terminated; NULL with errno set. */
static char *read_all(int fd)
{
	size_t size = 4096, used = 0;
	char *text = malloc(size), *more;
	ssize_t n;

	if (!text)
		return NULL;
	while ((n = read(fd, text + used, size - used - 1)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto free_text;
		used += (size_t)n;
		if (size - used > 1)
			continue;
		more = realloc(text, size * 2);
		if (!more)
			goto free_text;
		text = more;
		size *= 2;
	}
	text[used] = '\0';
	return text;

free_text:
	free(text);
	return NULL;
}

char *control_text(int id, const char *file)
{
	int fd = control_open(id, file, O_RDONLY), err;
	char *text;
	size_t n;

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	text = read_all(fd);
	err = errno;
	close(fd);
	errno = err;
	n = text ? strlen(text) : 0;
	if (n && text[n - 1] == '\n')
		text[n - 1] = '\0';
	return text;
}

int control_write(int id, const char *file, const char *text)
{
	int fd = control_open(id, file, O_WRONLY), err = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = write(fd, text, strlen(text));
	if (n < 0)
		err = -errno;
	else if ((size_t)n != strlen(text))
		err = -EIO;
	close(fd);
	return err;
}

int control_open_pty(int id)
{
	return control_open(id, "pty", O_RDWR | O_NOCTTY);
}

static int parse_number(const char *s, uint64_t *out)
{
	char *end;

	if (!strncmp(s, "max", 3) && (!s[3] || isspace((unsigned char)s[3]))) {
		*out = CONTROL_UNLIMITED;
		return 0;
	}
	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	*out = strtoull(s, &end, 10);
	return errno ? -errno : 0;
}

int control_number(int id, const char *file, uint64_t *out)
{
	char *text = control_text(id, file);
	int err;

	if (!text)
		return -errno;
	err = parse_number(text, out);
	free(text);
	return err;
}

int control_keyed(int id, const char *file, const char *key, uint64_t *out)
{
	char *text = control_text(id, file), *save, *line;
	size_t n = strlen(key);
	int err = -ENOENT;

	if (!text)
		return -errno;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, key, n) || line[n] != ' ')
			continue;
		err = parse_number(line + n + 1, out);
		break;
	}
	free(text);
	return err;
}

int control_state_parse(const char *word, enum container_state *out)
{
	size_t n = strcspn(word, "\n"), i;

	for (i = 0; i < STATES; i++) {
		if (strlen(state_words[i]) == n && !memcmp(state_words[i], word, n)) {
			*out = (enum container_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *control_state_word(enum container_state s)
{
	return (size_t)s < STATES ? state_words[s] : "?";
}

int control_state(int id, enum container_state *out)
{
	char *text = control_text(id, "state");
	int err;

	if (!text)
		return -errno;
	err = control_state_parse(text, out);
	free(text);
	return err;
}

int control_console(int id, int *out)
{
	char *text = control_text(id, "console");

	if (!text)
		return -errno;
	*out = isdigit((unsigned char)*text) ? atoi(text) : CONTAINER_NO_CONSOLE;
	free(text);
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* Whether `s` is a decimal number that fits an id. */
static bool is_id(const char *s, int *id)
{
	char *end;
	long n;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	n = strtol(s, &end, 10);
	*id = (int)n;
	return !*end && !errno && n <= INT32_MAX;
}

static int ids_append(int **ids, size_t *count, int id)
{
	int *more;

	/* Doubled whenever the count is a power of two. */
	if (!(*count & (*count - 1))) {
		more = realloc(*ids, (*count ? *count * 2 : 1) * sizeof *more);
		if (!more)
			return -ENOMEM;
		*ids = more;
	}
	(*ids)[(*count)++] = id;
	return 0;
}

int control_list(int **ids, size_t *count)
{
	DIR *dir = opendir(control_root());
	struct dirent *entry;
	int id, err = 0;

	*ids = NULL;
	*count = 0;
	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir)))
		if (is_id(entry->d_name, &id) && id != 0)
			err = ids_append(ids, count, id);
	closedir(dir);
	if (err) {
		free(*ids);
		return err;
	}
	if (*count)
		qsort(*ids, *count, sizeof **ids, compare_ids);
	return 0;
}

static bool has_name(int id, const char *name)
{
	char *text = control_text(id, "name");
	bool same = text && !strcmp(text, name);

	free(text);
	return same;
}

bool control_is_own(int id)
{
	uint64_t parent;

	return id == CONTROL_SELF || control_number(id, "parent", &parent) ||
	       parent == (uint64_t)getcid();
}

int control_find(const char *word, int *id)
{
	enum container_state state;
	size_t count, i;
	int *ids, err;

	if (!strcmp(word, "self")) {
		*id = CONTROL_SELF;
		return 0;
	}
	if (is_id(word, id) && *id != 0 && !control_state(*id, &state))
		return 0;
	err = control_list(&ids, &count);
	if (err)
		return err;
	err = -ESRCH;
	for (i = 0; i < count && err; i++) {
		if (has_name(ids[i], word) && control_is_own(ids[i])) {
			*id = ids[i];
			err = 0;
		}
	}
	free(ids);
	return err;
}

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads the state anew from an open file: 0, or what ends the wait. */
static int reread_state(int fd, enum container_state *state)
{
	char word[32];
	ssize_t n = pread(fd, word, sizeof word - 1, 0);

	if (n <= 0)
		return -ENODEV;
	word[n] = '\0';
	return control_state_parse(word, state);
}

int control_wait_stopped(int id, int msec)
{
	int64_t end = now_msec() + msec, left = -1;
	enum container_state state;
	int fd = control_open(id, "state", O_RDONLY), err;

	if (fd < 0)
		return fd == -ENOENT ? -ENODEV : fd;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLPRI };

		err = reread_state(fd, &state);
		if (err || state == CONTAINER_STOPPED)
			break;
		if (msec >= 0)
			left = end - now_msec();
		if (msec >= 0 && left <= 0) {
			err = -ETIMEDOUT;
			break;
		}
		if (poll(&p, 1, (int)left) < 0) {
			err = -errno;
			break;
		}
	}
	close(fd);
	return err;
}
