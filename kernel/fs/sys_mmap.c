/* SPDX-License-Identifier: MIT */
/*
 * sys_mmap.c - mmap(2): which file may be mapped how. The area itself is mm's
 * (aspace_map); a file's mmap operation is asked first, with an area that is not
 * in any address space yet, and says what stands behind it.
 */
#include "core/cred.h"
#include "core/errno.h"
#include "core/rlimit.h"
#include "fs/context.h"
#include "fs/fdtable.h"
#include "mm/aspace.h"
#include "syscalls.h"

/* What MAP_SHARED_VALIDATE knows; MAP_SYNC is not offered by any file here. */
#define MAP_KNOWN                                                                                \
	(MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE | \
	 MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |  \
	 MAP_HUGETLB | MAP_32BIT | MAP_FIXED_NOREPLACE)
#define VM_MAY_ALL (VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)

/* Rights of the file on the area: -EACCES, -EPERM, -ENODEV, -EINVAL, -EOPNOTSUPP. */
static int file_rights(struct file *f, u32 flags, struct vma *v)
{
	u32 type = flags & MAP_TYPE;

	if (type == MAP_SHARED_VALIDATE && (flags & ~MAP_KNOWN))
		return -EOPNOTSUPP;
	if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE && type != MAP_PRIVATE)
		return -EINVAL;
	if (type != MAP_PRIVATE) {
		v->flags |= VM_SHARED;
		if (!(f->mode & FILE_WRITE)) {
			if (v->flags & VM_WRITE)
				return -EACCES;
			v->flags &= ~VM_MAYWRITE;
		}
	}
	if (!(f->mode & FILE_READ))
		return -EACCES;
	if (f->path.mount && (f->path.mount->flags & MS_NOEXEC)) {
		if (v->flags & VM_EXEC)
			return -EPERM;
		v->flags &= ~VM_MAYEXEC;
	}
	if (!f->ops->mmap)
		return -ENODEV;
	return flags & MAP_GROWSDOWN ? -EINVAL : 0;
}

static int map_file(u64 addr, u64 len, u32 flags, int fd, struct vma *v, u64 *at)
{
	struct fd_ref r;
	int err = fd_begin(fd, &r);

	if (err)
		return err;
	err = flags & MAP_HUGETLB ? -EINVAL : file_rights(r.file, flags, v);
	if (err)
		goto end;
	v->file = r.file;
	err = r.file->ops->mmap(r.file, v);
	if (err)
		goto end;
	err = aspace_map(current->aspace, addr, len, v->flags, flags, v->ops ? r.file : NULL,
			 v->mapping, v->ops, v->pgoff, at);
	if (v->ops == &shmem_vm_ops) /* /dev/zero made it for this call */
		shmem_put(v->mapping);
end:
	fd_end(r);
	return err;
}

static int map_anonymous(u64 addr, u64 len, u32 flags, struct vma *v, u64 *at)
{
	u32 type = flags & MAP_TYPE;
	int err;

	if (flags & MAP_HUGETLB) /* a pool of huge pages that is empty */
		return -ENOMEM;
	if (type == MAP_PRIVATE)
		return aspace_map(current->aspace, addr, len, v->flags, flags, NULL, NULL, NULL, 0,
				  at);
	if (type != MAP_SHARED || (flags & MAP_GROWSDOWN))
		return -EINVAL;
	err = shmem_create(len, &v->mapping);
	if (err)
		return err;
	err = aspace_map(current->aspace, addr, len, v->flags | VM_SHARED, flags, NULL, v->mapping,
			 &shmem_vm_ops, 0, at);
	shmem_put(v->mapping);
	return err;
}

s64 sys_mmap(u64 addr, u64 len, u64 prot, u64 flags, int fd, u64 offset)
{
	struct vma v = { .end = ALIGN_UP(len, PAGE_SIZE), .pgoff = offset >> PAGE_SHIFT };
	u64 at = 0;

	if (offset & PAGE_MASK)
		return -EINVAL;
	if (!len)
		return -EINVAL;
	if (len > USER_END)
		return -ENOMEM;
	if (v.pgoff + DIV_ROUND_UP(len, PAGE_SIZE) > UINT64_MAX >> PAGE_SHIFT)
		return -EOVERFLOW;
	if ((flags & MAP_LOCKED) && !rlimit_cur(RLIMIT_MEMLOCK) && !capable(CAP_IPC_LOCK))
		return -EPERM;
	v.flags = vm_prot_flags(prot) | VM_MAY_ALL;
	if (flags & MAP_GROWSDOWN)
		v.flags |= VM_GROWSDOWN;
	if (flags & MAP_NORESERVE)
		v.flags |= VM_NORESERVE;
	int err = flags & MAP_ANONYMOUS ? map_anonymous(addr, len, flags, &v, &at)
					: map_file(addr, len, flags, fd, &v, &at);
	return err ? err : (s64)at;
}
