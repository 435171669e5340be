/* SPDX-License-Identifier: MIT */
/*
 * script.c - files that begin with "#!" (man 2 execve, "Interpreter scripts"):
 * the rest of the first line, within 256 bytes, names an interpreter and
 * optionally one argument, which may hold blanks. argv[0] is replaced by
 * interpreter, argument, and the name of the script.
 */
#include "core/errno.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/exec.h"

#define SCRIPT_HEAD 256

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Cuts the line up in place: interpreter and argument (NULL: none). cut: the file is longer than
 * that. */
static int script_parse(char *line, size_t size, bool cut, char **interpreter, char **argument)
{
	char *end = memchr(line, '\n', size), *s = line, *p;

	if (!end) {
		/* Too long: fine if the interpreter's name at least has an end. */
		end = line + strnlen(line, size);
		while (s < end && is_blank(*s))
			s++;
		while (s < end && !is_blank(*s))
			s++;
		if (cut && s == line + size)
			return -ENOEXEC;
	}
	*end = 0;
	while (end > line && is_blank(end[-1]))
		*--end = 0;
	for (s = line; is_blank(*s); s++)
		;
	if (!*s)
		return -ENOEXEC;
	*interpreter = s;
	for (p = s; *p && !is_blank(*p); p++)
		;
	*argument = NULL;
	if (*p) {
		*p++ = 0;
		while (is_blank(*p))
			p++;
		*argument = p;
	}
	return 0;
}

static int script_push(struct exec *x, const char *interpreter, const char *argument)
{
	int err = exec_drop_first_arg(x);

	if (!err)
		err = exec_push_string(x, x->interp);
	if (!err && argument)
		err = exec_push_string(x, argument);
	if (!err)
		err = exec_push_string(x, interpreter);
	x->argc += argument ? 3 : 2;
	return err;
}

int script_load(struct exec *x)
{
	char *interpreter, *argument, *copy;
	struct file *f;
	int err;

	if (x->head_size < 2 || x->buf[0] != '#' || x->buf[1] != '!')
		return -ENOEXEC;
	if (x->fd_closes)
		return -ENOENT; /* the interpreter could not open /dev/fd/N */
	x->buf[MIN(x->head_size, (size_t)SCRIPT_HEAD - 1)] = 0;
	err = script_parse(x->buf + 2, MIN(x->head_size, (size_t)SCRIPT_HEAD - 1) - 2,
			   x->head_size >= SCRIPT_HEAD, &interpreter, &argument);
	if (!err)
		err = script_push(x, interpreter, argument);
	if (err)
		return err;
	copy = kstrdup(interpreter, KM_ACCOUNT);
	if (!copy)
		return -ENOMEM;
	kfree(x->interp_heap);
	x->interp = x->interp_heap = copy;
	err = exec_open(AT_FDCWD, copy, 0, &f);
	if (err)
		return err;
	exec_close(x->file);
	x->file = f;
	return 0;
}
