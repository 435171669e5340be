/* SPDX-License-Identifier: MIT */
/*
 * procfs_memory.c - files of /proc/PID that show a process's memory: cmdline, environ,
 * auxv, maps (man 5 proc). They are empty when it has none any more.
 */
#include "core/errno.h"
#include "lib/string.h"
#include "mm/aspace.h"
#include "proc/exec.h"
#include "proc/procfs.h"
#include "fs/context.h"
#include "mm/slab.h"

typedef unsigned long long ull;

static int copy_range(struct aspace *as, u64 start, u64 end, struct text *out)
{
	char *page = kmalloc(PAGE_SIZE, KM_ACCOUNT);
	s64 n;

	if (!page)
		return -ENOMEM;
	while (start < end) {
		n = aspace_read(as, start, page, MIN(end - start, PAGE_SIZE));
		if (n <= 0)
			break;
		text_append(out, page, n);
		start += n;
	}
	kfree(page);
	return 0;
}

int procfs_show_cmdline(void *object, struct text *out)
{
	struct aspace *as = process_is_foreign(object) ? NULL : procfs_process_aspace(object);
	int err = as ? copy_range(as, as->arg_start, as->arg_end, out) : 0;

	if (as)
		aspace_put(as);
	return err;
}

int procfs_open_private(void *object, bool write)
{
	return process_may_look(object) ? 0 : -EACCES;
}

int procfs_show_environ(void *object, struct text *out)
{
	struct aspace *as = procfs_process_aspace(object);
	int err = as ? copy_range(as, as->env_start, as->env_end, out) : 0;

	if (as)
		aspace_put(as);
	return err;
}

int procfs_show_auxv(void *object, struct text *out)
{
	struct aspace *as = procfs_process_aspace(object);
	u64 auxv[2 * AUXV_MAX];

	if (!as)
		return 0;
	text_append(out, (const char *)auxv, exec_auxv(as, auxv) * sizeof(auxv[0]));
	aspace_put(as);
	return 0;
}

static const char *vma_label(struct aspace *as, struct vma *v)
{
	if (v->ops && v->ops->name)
		return v->ops->name(v);
	if (v->start <= as->brk && v->end >= as->brk_start && as->brk > as->brk_start && !v->file)
		return "[heap]";
	if (v->start <= as->stack_start && v->end > as->stack_start)
		return "[stack]";
	return NULL;
}

static void print_vma(struct aspace *as, struct vma *v, const struct path *root, char *buf,
		      struct text *out)
{
	const char *label = v->file ? NULL : vma_label(as, v);
	u64 dev = 0, ino = 0;
	char *name = NULL;

	if (v->file) {
		dev = v->file->inode->sb->dev;
		ino = v->file->inode->ino;
		if (path_to_string(&v->file->path, root, buf, PATH_MAX, &name))
			name = NULL;
	}
	text_printf(out, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", (ull)v->start,
		    (ull)v->end, v->flags & VM_READ ? 'r' : '-', v->flags & VM_WRITE ? 'w' : '-',
		    v->flags & VM_EXEC ? 'x' : '-', v->flags & VM_SHARED ? 's' : 'p',
		    v->file ? (ull)v->pgoff << PAGE_SHIFT : 0, dev_major(dev), dev_minor(dev),
		    (ull)ino);
	if (name || label)
		text_printf(out, "%*s%s", 20, "", name ? name : label);
	text_printf(out, "\n");
}

int procfs_show_maps(void *object, struct text *out)
{
	struct aspace *as = procfs_process_aspace(object);
	char *buf = kmalloc(PATH_MAX, KM_ACCOUNT);
	struct path root;
	struct vma *v;
	u32 n = 0;

	if (as && buf) {
		fs_context_root(current->fs, &root);
		rwmutex_read_lock(&as->lock);
		for_each_vma (v, as) {
			print_vma(as, v, &root, buf, out);
			areas_pause(++n);
		}
		rwmutex_read_unlock(&as->lock);
		path_put(root);
	}
	kfree(buf);
	if (as)
		aspace_put(as);
	return buf ? 0 : -ENOMEM;
}
