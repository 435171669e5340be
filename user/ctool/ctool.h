/* SPDX-License-Identifier: MIT */
/*
 * ctool.h - what the files of ctool share.
 *
 * main.c finds the command in its table, options.c takes the command line apart
 * by its own table, and a handler does the work with a filled `struct request`.
 * Handlers return the exit status. A file per group of commands: create.c; run.c
 * (run, start, exec); life.c (pause ... rm); list.c; info.c; top.c; console.c;
 * set.c.
 * Below them: launch.c (a program into a container), session.c (stay with it),
 * record.c (what is remembered), view.c (what is seen of a container).
 */
#ifndef CTOOL_H
#define CTOOL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "abi/cowfs.h"
#include <skerry/container.h>
#include <skerry/control.h>

enum {
	EXIT_CTOOL = 125,  /* ctool itself failed */
	EXIT_NOEXEC = 126, /* the program cannot be executed */
	EXIT_NOPROG = 127, /* there is no such program */
};

#define CONSOLES 9 /* vc1 ... vc9 */
/* The screen's way back from a container's console; see doc/ctool.md. */
#define CONSOLE_KEYS "Ctrl-T 0"

/* A vector of strings, NULL-terminated once it holds one. */
struct words {
	char **v;
	size_t count;
};

void words_add(struct words *w, const char *s);

/* The command line, taken apart. */
struct request {
	char **operands;
	int operand_count;
	char **program; /* PROG ARG..., NULL if none was given */

	const char *name, *hostname;
	const char *workdir;   /* NULL: none was given */
	struct words env;      /* of -e, K=V each */
	struct words settings; /* control files of a new container, FILE=VALUE each */
	uid_t uid;
	gid_t gid;
	int console; /* CONTAINER_NO_CONSOLE if none */
	uint64_t pids, memory;
	uint64_t disk, inodes; /* 0: no limit */
	const char *deny;      /* rules, or NULL */
	bool kill_on_limit, read_only;
	struct container_bind binds[CONTAINER_BINDS_MAX];
	unsigned bind_count;
	bool interactive, tty, detach, remove;
	bool ends; /* of run_once: see struct session */
	bool all, quiet, force, json, follow;
	const char *output;	/* of trace; NULL: standard output */
	const char *file, *tag; /* of build */
	bool timed;		/* seconds were given */
	unsigned seconds;	/* of stop, trace */
	unsigned count;		/* of top; 0: until told to end */
	int signal;
};

/* Groups of options; a command accepts some. */
enum option_group {
	OPTIONS_NEW = 1 << 0,	  /* make a container: run, start */
	OPTIONS_PROGRAM = 1 << 1, /* run a program: run, start, exec */
	OPTIONS_STOP = 1 << 2,
	OPTIONS_KILL = 1 << 3,
	OPTIONS_RM = 1 << 4,
	OPTIONS_LIST = 1 << 5,
	OPTIONS_INFO = 1 << 6,
	OPTIONS_TOP = 1 << 7,
	OPTIONS_TRACE = 1 << 8,
	OPTIONS_FOLLOW = 1 << 9,
	OPTIONS_IMAGES = 1 << 10,
	OPTIONS_BUILD = 1 << 11,
};

struct command {
	const char *name;
	const char *aliases[2];
	int (*handler)(struct request *r);
	const char *usage;   /* what follows the name */
	const char *summary; /* one line */
	const char *example;
	unsigned options; /* of enum option_group */
	int least, most;  /* operands; most < 0: any number */
	bool program;	  /* PROG ARG... follow the last operand */
};

extern const struct command commands[];
const struct command *command_find(const char *name);
void command_help(const struct command *c);

/* 0, or an exit status after the message; *helped if --help was asked for and given. */
void request_init(struct request *r);
int options_parse(const struct command *c, char **argv, struct request *r, bool *helped);
void options_help(unsigned groups);

/* "ctool: COMMAND: message" to stderr; EXIT_CTOOL. The second adds what `err` (an errno) means. */
extern const char *command_name;
__attribute__((format(printf, 1, 2))) int fail(const char *format, ...);
__attribute__((format(printf, 2, 3))) int fail_errno(int err, const char *format, ...);
void *must(void *memory); /* or end: out of memory */
__attribute__((format(printf, 1, 2))) char *text(const char *format, ...); /* for free() */

/* The container meant by an operand: 0 or an exit status after the message. */
int container_find(const char *word, int *id);
/* The same for what is done to a container from outside: not to the one that ctool is in. */
int container_find_other(const char *word, int *id);
/* Its name, or its id as text; for free(). */
char *container_label(int id);
int container_state(const char *word, int id, enum container_state *state);

/* Writes the control files FILE=VALUE of the container; an exit status after the message. */
int settings_apply(int id, char *const *settings, size_t count);

/* What ctool remembers of a container, to start it again and for the lists. */
struct record {
	int console;
	uid_t uid;
	gid_t gid;
	char *root, *workdir;
	uint64_t size; /* of an image: bytes that it has of its own; 0: as the disk says */
	struct words env, args;
	/* Of a container that is kept over a boot (keep.c); id 0: it is not. */
	int id;
	uint32_t flags; /* CONTAINER_F_* */
	uint64_t created;
	int ended; /* 1 + its exit status, as wait4(2) tells it; 0: not known */
	char *name, *hostname;
	struct words settings; /* FILE=VALUE each */
	struct words binds;    /* "ro" or "rw", source, target */
};

void record_clear(struct record *rec);
void record_write(FILE *f, const struct record *rec);
void record_read(FILE *f, struct record *rec);

int record_save(int id, const struct record *rec); /* 0 or -errno */
int record_load(int id, struct record *rec);
void record_remove(int id);
/* Ids of the containers that are kept; for free(). 0 or -errno. */
int record_list(int **ids, size_t *count);
void record_remove_old(void); /* of those that are not kept and are not there any more */

#define HOST_ID 0 /* what getcid() says outside of all containers */

/* Containers that outlive the machine (keep.c). */
bool keep_wanted(const struct request *r);
/* *rec gets all that it was made with; then record_save(), then keep_volumes(). 0 or -errno */
int keep_volumes(int id);
int keep(const struct request *r, int id, uint32_t flags, struct record *rec);
int keep_settings(int id); /* they have changed: 0 or -errno */
/* It may have stopped, or is started again: what the record says of its end. */
void keep_ended(int id);
void keep_started(int id, struct record *rec);
void keep_remove(int id); /* it is destroyed; then record_remove() */
int do_restore(struct request *r);
int do_remember(struct request *r);

/* A program to be started in a container. */
struct launch {
	int id;
	bool first; /* it is to be pid 1; otherwise it must not */
	int stdio;  /* descriptor that becomes 0, 1 and 2, or -1: they are inherited */
	int output; /* the same for 1 and 2 alone, after that */
	int master; /* or -1: of the pty whose slave becomes 0, 1 and 2 */
	bool tty;   /* 0 is a terminal that becomes the controlling one */
	bool ends;  /* see struct session */
	const struct record *what;
	const sigset_t *mask; /* signals blocked in the program */
};

/* 0 once the program runs; else an exit status after the message. */
int launch(const struct launch *l, pid_t *pid);

/* Staying with a program: signals and, with a pty, the terminal are passed on. */
struct session {
	int master;    /* of the pty, or -1 */
	bool ends;     /* a signal that ends ctool ends the program, whatever that thinks of it */
	sigset_t mask; /* as it was */
};

/* From now on signals are noted; has one come that asks ctool to end? */
void session_listen(void);
bool session_is_to_end(void);

/* pty: with one of container `id`. 0 or exit status */
int session_begin(struct session *s, int id, bool pty);
/* Until the program ends; its exit status as ctool's. Ends the session. */
int session_wait(struct session *s, pid_t pid);
int exit_status(int status); /* of what wait4(2) tells: as a shell has it */
void session_end(struct session *s);

/* A console's device, opened; or a negative errno. */
int console_open(int number);

/* What the lists show of a container. */
struct process_view {
	struct control_process p;
	double cpu_percent;
};

struct view {
	int id;
	char *name, *hostname, *root, *command; /* command may be NULL */
	enum container_state state;
	int console;
	uint64_t procs, procs_max, memory, memory_max, disk, disk_max, disk_free;
	uint64_t cpu_usec;
	double cpu_percent; /* of one CPU, during the sample */
	uint64_t created;   /* seconds since the epoch */
	struct process_view *processes;
	size_t process_count;
};

enum view_what {
	VIEW_PROCESSES = 1 << 0,
	VIEW_DISK = 1 << 1,
};

/* Views of the containers `ids`; those that went away meanwhile are left out. */
struct view *view_sample(const int *ids, size_t *count, unsigned what, unsigned msec);
/* The fields that list and info have in common, into an open JSON object. */
struct json;
void view_json(struct json *j, const struct view *v);

/* Space that the files under `path` take on its filesystem, in bytes; UINT64_MAX: unknown. */
uint64_t disk_used(const char *path);
uint64_t disk_free(const char *path);

/* Volumes of the disk that / is on (volume.c): 0 or -errno; -EOPNOTSUPP: it is not on cowfs. */
/* The new ones are temporary: after a crash they are gone. */
int volume_copy(const char *name, const char *to);
int volume_of_root(const char *to); /* what ctool sees, as of now */
int volume_create(const char *name);
int volume_keep(const char *name, const char *to); /* renames it, and it stays */
int volume_delete(const char *name);
int volume_freeze(const char *name, const char *to); /* it stays, as `to` */
int volume_next(struct cowfs_volume *v); /* v->position 0: the first; -ENOENT: no more */
int volume_find(const char *name, struct cowfs_volume *v);
int temporary_place(char **place); /* a fresh directory to mount on, for rmdir() */
int volume_mount(const char *name, bool read_only, char **place); /* place: for volume_unmount */
void volume_unmount(char *place);
/* Says what err means for `what`; EXIT_CTOOL. */
int disk_failed(int err, const char *what);

/* Images (image.c). */
#define IMAGE_NAME_MAX 100
int image_check(const char *name); /* an exit status after the message */
char *image_volume(const char *name);
int image_exists(const char *name); /* 0, -ENOENT ... */
int image_config(const char *name, struct record *rec);
int image_config_read(const char *place, struct record *rec);
int image_config_write(const char *place, const struct record *rec);
char *image_draft(void); /* the name of a volume that is to become an image */
/* It becomes one, or goes; both names are freed. An exit status after the message. */
int image_finish(char *draft, const char *name);
/* The name of the volume that is its root, for free(); "": it is in a directory. */
int container_volume(int id, const char *word, char **volume);

/* A file or directory to be copied, or where to: `path` as seen from `root` (cp.c). */
struct copy_end {
	const char *root; /* a directory that nothing leads out of; NULL: what ctool sees */
	const char *path;
	bool contents; /* of SRC: what is in the directory, not itself */
};
int copy_tree(const struct copy_end *from, const struct copy_end *to);

/* Directories that containers can change meanwhile (place.c). */
/* `path` from the directory `start` on; no component may be a link. -1 and errno */
int place_open(const char *start, const char *path);
/* Its root for good, unless it is NULL; an exit status after the message. */
int place_enter(const char *root);

/* tar with `root` as its root (tar.c). */
struct tar {
	const char *root, *directory;
	const char *name;  /* must be there; or NULL */
	int input;	   /* its standard input, or -1: as it is */
	char *const *args; /* of busybox: "tar", ... */
};
int tar_run(const struct tar *t); /* its exit status; EXIT_CTOOL after the message */

/* Runs what `r` says in a new container and waits: its exit status (run.c). */
int run_once(struct request *r, const char *root);

int do_images(struct request *r);
int do_rmi(struct request *r);
int do_commit(struct request *r);
int do_build(struct request *r);
int do_diff(struct request *r);
int do_cp(struct request *r);
int do_create(struct request *r);
int do_run(struct request *r);
int do_start(struct request *r);
int do_exec(struct request *r);
int do_pause(struct request *r);
int do_resume(struct request *r);
int do_stop(struct request *r);
int do_kill(struct request *r);
int do_wait(struct request *r);
int do_rm(struct request *r);
int do_list(struct request *r);
int do_info(struct request *r);
int do_top(struct request *r);
int do_trace(struct request *r);
int do_events(struct request *r);
int do_logs(struct request *r);
int do_stats(struct request *r);
int do_set(struct request *r);
int do_attach(struct request *r);
int do_disconnect(struct request *r);
int do_help(struct request *r);

#endif
