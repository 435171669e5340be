/* SPDX-License-Identifier: MIT */
/*
 * cp.c - ctool cp: files into and out of containers.
 *
 * Two processes and a pipe: one reads the tree, one writes it (user/lib/tree.h). The one whose path
 * is in a container has the container's root as its own before it looks at the path, so no link
 * and no ".." in there leads out, whoever changes names meanwhile. A container's root is its
 * volume, mounted for as long as it takes, or its directory, reached without following links; inside a
 * container it is what the kernel mounts (the control file mount).
 *
 * What comes out of a container is plain: set-user-id bits are dropped, devices are refused. The
 * owner is who writes, as with docker cp. With "-" tar reads or writes instead of one of the two.
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tree.h"

#define STATUS_TOLD 2 /* the other side says what went wrong */

/* --- the two sides --- */

static int send_side(const struct copy_end *from, int fd)
{
	static char where[PATH_MAX];
	static struct link l;
	int err = place_enter(from->root);

	if (err)
		return err;
	signal(SIGPIPE, SIG_IGN);
	link_init(&l, fd);
	err = tree_send(&l, from->path, ".", where);
	if (err == -EPIPE)
		return STATUS_TOLD;
	return err ? fail_errno(err, "%s", where) : 0;
}

/* A directory goes into a directory that is there, by its name; but what is in it, into that
 * itself. */
static int choose_name(struct tree_sink *s, const struct link_message *m, bool contents)
{
	const char *name = m->data + TREE_ENTRY_SIZE;
	size_t n = strlen(s->dest);
	struct stat st;

	if (m->type != LINK_TREE_DIR || contents || stat(s->dest, &st) || !S_ISDIR(st.st_mode))
		return 0;
	if (m->len <= TREE_ENTRY_SIZE || n + strlen(name) + 2 > sizeof s->dest)
		return -ENAMETOOLONG;
	strcat(strcat(s->dest, n && s->dest[n - 1] == '/' ? "" : "/"), name);
	return 0;
}

static int receive_side(const struct copy_end *from, const struct copy_end *to, int fd)
{
	static struct tree_sink sink;
	static struct link l;
	struct link_message m;
	bool begun = false;
	int err = place_enter(to->root), got;

	if (err)
		return err;
	link_init(&l, fd);
	if (strlen(to->path) >= sizeof sink.dest)
		return fail_errno(ENAMETOOLONG, "%.100s...", to->path);
	strcpy(sink.dest, to->path);
	sink.plain = !to->root;
	while ((got = link_receive(&l, &m)) > 0) {
		err = 0;
		if (m.type != LINK_TREE && !begun) {
			begun = true;
			err = choose_name(&sink, &m, from->contents);
		}
		if (!err)
			err = tree_receive(&sink, &m);
		if (err > 0) {
			if (sink.devices)
				fail("devices do not come out: %u left out", sink.devices);
			return 0;
		}
		if (err)
			return fail_errno(err, "%s", sink.where);
	}
	return STATUS_TOLD;
}

static int ended(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_CTOOL;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_CTOOL;
}

int copy_tree(const struct copy_end *from, const struct copy_end *to)
{
	pid_t sender, receiver;
	int ends[2], status;

	if (pipe2(ends, O_CLOEXEC))
		return fail_errno(errno, "pipe");
	sender = fork();
	if (sender == 0) {
		close(ends[0]);
		_exit(send_side(from, ends[1]));
	}
	close(ends[1]);
	receiver = sender < 0 ? -1 : fork();
	if (receiver == 0)
		_exit(receive_side(from, to, ends[0]));
	close(ends[0]);
	if (receiver < 0)
		fail_errno(errno, "fork");
	status = sender < 0 ? EXIT_CTOOL : ended(sender);
	if (receiver < 0 || ended(receiver))
		status = EXIT_CTOOL;
	return status ? EXIT_CTOOL : 0;
}

/* --- ctool cp --- */

struct place {
	struct copy_end end;
	char *mounted; /* for volume_unmount, or NULL */
};

/* Where CONT:PATH begins: the path; NULL: it is one outside. */
static const char *path_inside(const char *operand)
{
	size_t n = strcspn(operand, ":/");

	return n && operand[n] == ':' ? operand + n + 1 : NULL;
}

/* Inside a container there are no volumes: the kernel mounts the root of one that it has made. */
static int place_mounted(int id, const char *word, struct place *p)
{
	char *place;
	int err = temporary_place(&place);

	if (err)
		return fail_errno(err, "a directory to mount on");
	err = control_write(id, "mount", place);
	if (err) {
		rmdir(place);
		return fail_errno(err, "%s", word);
	}
	p->end.root = p->mounted = place;
	return 0;
}

static int place_inside(const char *operand, const char *path, struct place *p)
{
	char *word = must(strndup(operand, (size_t)(path - operand) - 1)), *volume, *root;
	int id, status = container_find(word, &id), err;

	p->end.path = *path == '/' ? path : text("/%s", path);
	if (!status && getcid() != HOST_ID)
		return place_mounted(id, word, p);
	if (!status)
		status = container_volume(id, word, &volume);
	if (status)
		return status;
	if (!*volume) {
		if (!control_is_own(id))
			return fail("%s: its directory is in the container that made it", word);
		root = control_text(id, "root");
		p->end.root = root;
		return root ? 0 : fail_errno(errno, "%s", word);
	}
	err = volume_mount(volume, false, &p->mounted);
	p->end.root = p->mounted;
	return err ? disk_failed(err, word) : 0;
}

static int place_find(const char *operand, struct place *p)
{
	const char *inside = path_inside(operand);

	*p = (struct place){ .end.path = operand };
	if (inside)
		return place_inside(operand, inside, p);
	return *operand ? 0 : fail("an empty path");
}

/* "DIR/." and "." mean what is in the directory. */
static bool means_contents(const char *path)
{
	size_t n = strlen(path);

	return !strcmp(path, ".") || (n >= 2 && !strcmp(path + n - 2, "/."));
}

/* --- archives --- */

/* What stands at `at`, by its name there, as an archive to standard output. */
static int archive_out(const struct copy_end *at)
{
	char *path = must(strdup(at->path)), *name;
	size_t n = strlen(path);

	if (isatty(STDOUT_FILENO))
		return fail("an archive is not written to a terminal");
	while (n && path[n - 1] == '/')
		path[--n] = '\0';
	name = strrchr(path, '/');
	if (!name || at->contents) {
		char *args[] = { "tar", "-cf", "-", ".", NULL };

		return tar_run(&(struct tar){
			.root = at->root, .directory = n ? path : "/", .input = -1, .args = args });
	}
	*name++ = '\0';
	char *args[] = { "tar", "-cf", "-", "--", name, NULL };
	return tar_run(&(struct tar){ .root = at->root,
				      .directory = *path ? path : "/",
				      .name = name,
				      .input = -1,
				      .args = args });
}

/* The files of the archive at standard input into the directory `at`; theirs is who calls. */
static int archive_in(const struct copy_end *at)
{
	char *args[] = { "tar", "-xpof", "-", NULL };

	return tar_run(&(struct tar){
		.root = at->root, .directory = at->path, .input = -1, .args = args });
}

static int cp_archive(const char *from, const char *to)
{
	bool out = !strcmp(to, "-");
	const char *operand = out ? from : to;
	struct place p;
	int status;

	if (!path_inside(operand))
		return fail("neither %s nor %s is CONT:PATH", from, to);
	status = place_find(operand, &p);
	p.end.contents = means_contents(p.end.path);
	if (!status)
		status = out ? archive_out(&p.end) : archive_in(&p.end);
	if (p.mounted)
		volume_unmount(p.mounted);
	return status ? EXIT_CTOOL : 0;
}

int do_cp(struct request *r)
{
	struct place from, to = { .mounted = NULL };
	int status;

	if (!strcmp(r->operands[0], "-") || !strcmp(r->operands[1], "-"))
		return cp_archive(r->operands[0], r->operands[1]);
	if (!path_inside(r->operands[0]) && !path_inside(r->operands[1]))
		return fail("neither %s nor %s is CONT:PATH", r->operands[0], r->operands[1]);
	status = place_find(r->operands[0], &from);
	if (!status)
		status = place_find(r->operands[1], &to);
	from.end.contents = means_contents(from.end.path);
	if (!status)
		status = copy_tree(&from.end, &to.end);
	if (from.mounted)
		volume_unmount(from.mounted);
	if (to.mounted)
		volume_unmount(to.mounted);
	return status;
}
