/* SPDX-License-Identifier: MIT */
/*
 * mount.c - `cowfs mount`: a volume at a directory of this machine, until that is unmounted.
 *
 *	image opened and locked -> mounted -> in the background -> serve() -> unmounted -> committed
 *
 * One thread does it all: a request after the other (mount_ops.c), and every few seconds, or when
 * the core asks, cow_work(). So what a crash can cost is what it is in the guest. The lock on the
 * image stays until all is written, which may be a moment after the unmount: image_lock() waits.
 */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>

#include "cowfs/command.h"
#include "cowfs/mount.h"
#include "cowfs/tool.h"

#define COMMIT_MS 5000

/* --- the command line --- */

struct options {
	bool read_only, others;
};

static struct options parse(const char *words)
{
	char *text = tool_format("%s", words), *at = text, *word;
	struct options o = { 0 };

	while ((word = strsep(&at, ","))) {
		if (!strcmp(word, "ro"))
			o.read_only = true;
		else if (!strcmp(word, "rw"))
			o.read_only = false;
		else if (!strcmp(word, "allow_other"))
			o.others = true;
		else if (*word)
			tool_usage("-o '%s': say ro, rw or allow_other", word);
	}
	free(text);
	return o;
}

/* Its whole path, since the process leaves the working directory. */
static char *mount_point(const char *dir)
{
	char *path = realpath(dir, NULL);
	struct stat st;

	if (path && !stat(path, &st) && S_ISDIR(st.st_mode))
		return path;
	tool_fail("cannot mount at '%s': %s; say a directory that is there", dir,
		  tool_error(path ? ENOTDIR : errno));
}

/* For libfuse: the words of -o, as it parses them again. */
static char *fuse_words(const struct mount *m, const struct options *o)
{
	char *words = NULL, *name = tool_format("fsname=%s", m->image.path);

	if (fuse_opt_add_opt_escaped(&words, name) ||
	    fuse_opt_add_opt(&words, "subtype=cowfs,default_permissions") ||
	    (m->read_only && fuse_opt_add_opt(&words, "ro")) ||
	    (o->others && fuse_opt_add_opt(&words, "allow_other")))
		tool_fail("out of memory");
	free(name);
	return words;
}

/* --- serving --- */

static void wake(struct cow_fs *fs)
{
	container_of(cow_platform_of(fs), struct mount, image.disk)->wanted = true;
}

static const struct cow_hooks hooks = { .wake = wake };

static s64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until the directory is unmounted, or a signal says to end. */
static void serve(struct mount *m, struct fuse_session *se)
{
	struct pollfd p = { .fd = fuse_session_fd(se), .events = POLLIN };
	struct cow_fs *fs = m->image.fs;
	struct fuse_buf buf = { 0 };
	s64 due = now_ms() + COMMIT_MS, left;
	int n;

	fcntl(p.fd, F_SETFL, fcntl(p.fd, F_GETFL) | O_NONBLOCK);
	while (!fuse_session_exited(se)) {
		left = due - now_ms();
		if (left <= 0 || m->wanted) {
			m->wanted = cow_work(fs, left <= 0);
			due = left <= 0 ? now_ms() + COMMIT_MS : due;
			left = COMMIT_MS;
		}
		poll(&p, 1, m->wanted ? 0 : left);
		n = fuse_session_receive_buf(se, &buf);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break;
		fuse_session_process_buf(se, &buf);
		image_shrink(fs);
	}
	free(buf.mem);
}

/* --- the background --- */

static ssize_t to_syslog(void *cookie, const char *text, size_t n)
{
	syslog(LOG_ERR, "%.*s", (int)n, text);
	return n;
}

/* What stderr is told goes to the system's log from now on, line by line. */
static void go_background(void)
{
	FILE *log;

	if (fuse_daemonize(0))
		tool_fail("cannot go into the background: %s", tool_error(errno));
	log = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = to_syslog });
	if (log) {
		setvbuf(log, NULL, _IOLBF, BUFSIZ);
		stderr = log;
	}
}

/* --- the command --- */

static void open_image(struct mount *m, const struct arguments *a, const struct options *o)
{
	struct cow_volume_info info;
	int err;

	image_open(&m->image, a->image, o->read_only ? IMAGE_READ : IMAGE_WRITE);
	image_volume(&m->image, a->volume);
	err = cow_volume_info(m->image.volume, &info);
	if (err)
		tool_fail("'%s': the volume '%s' cannot be read: %s", a->image, a->volume,
			  tool_error(err));
	m->read_only = o->read_only || info.flags & COW_VOLUME_FROZEN;
	cow_set_hooks(m->image.fs, &hooks);
	mount_begin(m);
}

static struct fuse_session *open_session(struct mount *m, const struct options *o, const char *dir)
{
	char *argv[] = { (char *)tool_name, "-o", fuse_words(m, o), NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *se = fuse_session_new(&args, &mount_ops, sizeof(mount_ops), m);

	if (!se || fuse_set_signal_handlers(se) || fuse_session_mount(se, dir))
		tool_fail("'%s' cannot be mounted at '%s'; is /dev/fuse there, and the package "
			  "fuse3 installed?",
			  m->image.path, dir);
	free(argv[2]);
	fuse_opt_free_args(&args);
	return se;
}

int command_mount(const struct arguments *a)
{
	struct options o = parse(a->mount_options);
	char *dir = mount_point(a->word[0]);
	struct fuse_session *se;
	struct mount m = { 0 };

	open_image(&m, a, &o);
	se = open_session(&m, &o, dir);
	if (!a->foreground)
		go_background();
	serve(&m, se);
	fuse_session_unmount(se);
	fuse_remove_signal_handlers(se);
	fuse_session_destroy(se);
	mount_end(&m);
	image_close(&m.image);
	free(dir);
	return 0;
}
