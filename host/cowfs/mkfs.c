/* SPDX-License-Identifier: MIT */
/*
 * mkfs.c - mkfs.cowfs: a new filesystem, empty or with what a directory or an archive holds.
 *
 * The same input gives the same image: with -d or -a, or with SOURCE_DATE_EPOCH set, UUID and seed
 * of names come from the input, and all times are those of the input or SOURCE_DATE_EPOCH. Else,
 * and with -U random, they are random.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cowfs/image.h"
#include "cowfs/tool.h"
#include "cowfs/tree.h"
#include "cowfs/unpack.h"

static const char help[] =
	"Usage: mkfs.cowfs [-d DIR | -a ARCHIVE.cpio] [-s SIZE] [-L LABEL] [-U UUID] IMAGE\n\n"
	"Makes a cowfs filesystem in IMAGE, a file (made if there is none) or a block device.\n"
	"What IMAGE had is lost.\n\n"
	"  -d DIR       the files of DIR, with modes, owners, links, attributes, holes and times\n"
	"  -a ARCHIVE   the files of a newc cpio archive (may be repeated; the later ones "
	"replace)\n"
	"  -s SIZE      like 64M or 10G (default: IMAGE's, or 1G, or as much as the files need)\n"
	"  -L LABEL     up to 63 bytes\n"
	"  -U UUID      or 'random'\n\n"
	"The same input gives the same image: UUID and times come from the files, or from\n"
	"SOURCE_DATE_EPOCH if it is set. Without files they are random and now.\n\n"
	"Example:\n"
	"  mkfs.cowfs -d tree -s 256M -L data data.img\n";

#define ARCHIVES_MAX 16
#define SIZE_MIN     (1ul << 20)
#define SIZE_DEFAULT (1ul << 30)

struct archive {
	const char *path;
	char *bytes;
	size_t size;
};

struct mkfs {
	const char *image, *directory;
	struct archive archive[ARCHIVES_MAX];
	unsigned archives;
	u64 size; /* bytes; 0: not said */
	bool uuid_given, random, dated;
	struct cow_format_options format;
	struct tree_scan input;
};

/* --- the command line --- */

static void parse_uuid(struct mkfs *m, const char *text)
{
	unsigned digits = 0;

	m->uuid_given = true;
	if (!strcmp(text, "random")) {
		m->random = true;
		return;
	}
	for (const char *c = text; *c; c++) {
		unsigned digit = *c >= '0' && *c <= '9'			    ? *c - '0'
				 : (*c | 0x20) >= 'a' && (*c | 0x20) <= 'f' ? (*c | 0x20) - 'a' + 10
									    : 16;

		if (*c == '-')
			continue;
		if (digit == 16 || digits == 32)
			digits = 99;
		else
			m->format.uuid[digits / 2] |= digit << (digits % 2 ? 0 : 4), digits++;
		if (digits == 99)
			break;
	}
	if (digits != 32)
		tool_usage("-U %s: say 32 hexadecimal digits, with or without dashes, or 'random'",
			   text);
}

static void parse_option(struct mkfs *m, int option)
{
	switch (option) {
	case 'd':
		m->directory = optarg;
		break;
	case 'a':
		if (m->archives == ARCHIVES_MAX)
			tool_usage("more than %d archives", ARCHIVES_MAX);
		m->archive[m->archives++].path = optarg;
		break;
	case 's':
		if (!tool_size(optarg, &m->size) || m->size < SIZE_MIN)
			tool_usage("-s %s: say a size like 64M or 10G, 1M at least", optarg);
		break;
	case 'L':
		if (strlen(optarg) > 63)
			tool_usage("-L %s: a label has up to 63 bytes", optarg);
		m->format.label = optarg;
		break;
	case 'U':
		parse_uuid(m, optarg);
		break;
	case 'h':
		tool_help(help);
	default:
		tool_usage("an option is wrong");
	}
}

static void parse(struct mkfs *m, int argc, char **argv)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "d:a:s:L:U:h", longs, NULL)) != -1)
		parse_option(m, option);
	if (optind == argc)
		tool_usage("which image?");
	if (optind + 1 < argc)
		tool_usage("'%s': one image at a time", argv[optind + 1]);
	m->image = argv[optind];
	if (m->directory && m->archives)
		tool_usage("-d or -a, not both");
}

/* --- what the image is like --- */

static void scan_archive(struct mkfs *m, struct archive *a)
{
	u64 sum[2] = { m->input.hash };

	a->bytes = unpack_read(a->path, &a->size);
	sum[1] = cow_checksum(a->bytes, a->size);
	m->input.hash = cow_checksum(sum, sizeof(sum));
	m->input.bytes += a->size;
	m->input.newest.sec = MAX(m->input.newest.sec, unpack_newest(a->bytes, a->size));
}

static void choose_time(struct mkfs *m)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	char *end;

	m->dated = epoch && *epoch;
	if (m->dated) {
		m->format.now = (struct cow_time){ .sec = strtoll(epoch, &end, 10) };
		if (*end)
			tool_fail("SOURCE_DATE_EPOCH=%s: that is not a number of seconds", epoch);
	} else if ((m->directory || m->archives) && !m->random) {
		m->format.now = m->input.newest;
	} else {
		cow_now(&m->format.now);
		return;
	}
	cow_platform_time = m->format.now;
	cow_platform_time_fixed = true;
}

/* UUID and seed. From the input: of version 8 (RFC 9562), made in our own way. */
static void choose_names(struct mkfs *m)
{
	u64 sum[3] = { m->input.hash, m->format.now.sec, 0 };
	u64 half[2];

	m->random |= !m->dated && !m->directory && !m->archives;
	if (m->random)
		return;
	sum[2] = m->format.label ? cow_checksum(m->format.label, strlen(m->format.label)) : 0;
	cow_platform_seed = cow_checksum(sum, sizeof(sum)) | 1;
	half[0] = cow_random(), half[1] = cow_random();
	m->format.name_seed = cow_random() | 1;
	if (m->uuid_given)
		return;
	memcpy(m->format.uuid, half, sizeof(half));
	m->format.uuid[6] = 0x80 | (m->format.uuid[6] & 0x0f);
	m->format.uuid[8] = 0x80 | (m->format.uuid[8] & 0x3f);
}

static u64 choose_size(const struct mkfs *m, u64 now)
{
	u64 need = 2 * m->input.bytes + m->input.files * COW_BLOCK + (64ul << 20);

	if (m->size)
		return m->size;
	return now ? now : MAX(need, SIZE_DEFAULT);
}

/* --- making it --- */

static void fail_making(struct mkfs *m, const char *what, const char *where, int err)
{
	tool_fail("%s%s%s: %s%s", what, *where ? " " : "", where, tool_error(err),
		  err == -ENOSPC ? "; make the image larger (-s SIZE)" : "");
}

static void fill_from_archives(struct mkfs *m, struct image *i)
{
	struct unpack_options o = { .fs = i->fs, .now = m->format.now };
	char where[4096];
	int err = 0;

	for (unsigned k = 0; k < m->archives; k++) {
		struct archive *a = &m->archive[k];

		err = unpack_archive(i->volume, a->bytes, a->size, &o, where);
		if (!err && m->archives == 1)
			err = unpack_stamp(i->volume, a->bytes, a->size, &o.now);
		if (err == -EINVAL)
			tool_fail("'%s' is not a newc cpio archive, or is damaged behind '%s'",
				  a->path, where);
		if (err)
			fail_making(m, a->path, where, err);
	}
}

static void fill_from_directory(struct mkfs *m, struct image *i)
{
	struct tree t = {
		.fs = i->fs, .volume = i->volume, .now = m->format.now, .total = m->input.bytes
	};
	struct cow_inode *root;
	int err = cow_inode_get(i->volume, COW_ROOT_INO, &root);

	if (err)
		fail_making(m, "the new root cannot be read", "", err);
	tree_put_contents(&t, m->directory, root);
	cow_inode_put(root);
	links_clear(&t.links);
}

/* Nothing of what the file had is left: all of it is a hole. */
static void empty(struct mkfs *m, struct image *i)
{
	off_t now = lseek(i->lock, 0, SEEK_END);
	u64 size = choose_size(m, MAX(now, 0l));

	if (!ftruncate(i->lock, 0)) {
		if (ftruncate(i->lock, size & ~(u64)(COW_BLOCK - 1)))
			tool_fail("cannot make '%s' %lu bytes long: %s", m->image, size,
				  tool_error(errno));
	} else if (m->size) { /* a device: it has the size that it has */
		m->format.blocks = m->size >> COW_BLOCK_SHIFT;
	}
}

static void make(struct mkfs *m)
{
	struct image i;
	int err;

	image_lock(&i, m->image, IMAGE_WRITE, true);
	empty(m, &i);
	err = disk_file_open(&i.disk, m->image, true, false, 0);
	if (!err)
		err = cow_format(&i.disk, &m->format);
	if (err == -EINVAL || err == -ENOSPC)
		tool_fail("'%s' is too small for a filesystem (%lu KiB); say -s 1M at least",
			  m->image, i.disk.blocks * (COW_BLOCK >> 10));
	if (!err)
		err = cow_mount(&i.disk, 0, &i.fs);
	if (err)
		fail_making(m, "cannot make a filesystem in", m->image, err);
	image_volume(&i, "root");
	if (m->directory)
		fill_from_directory(m, &i);
	fill_from_archives(m, &i);
	image_close(&i);
	tool_progress_end();
}

int main(int argc, char **argv)
{
	static struct mkfs m;

	tool_name = "mkfs.cowfs";
	parse(&m, argc, argv);
	if (m.directory)
		tree_scan(m.directory, &m.input);
	for (unsigned k = 0; k < m.archives; k++)
		scan_archive(&m, &m.archive[k]);
	choose_time(&m);
	choose_names(&m);
	make(&m);
	return 0;
}
