/* SPDX-License-Identifier: MIT */
/* identity.c - getpid(2) and its relatives; set_tid_address(2). */
#include "proc/process.h"
#include "syscalls.h"

u32 current_pid(void)
{
	return current->process ? current->process->pid : 0;
}

s64 sys_getpid(void)
{
	return current->process->pid;
}

s64 sys_gettid(void)
{
	return current->tid;
}

s64 sys_getppid(void)
{
	return process_ppid(current->process);
}

s64 sys_set_tid_address(uaddr_t address)
{
	current->clear_tid = address;
	return current->tid;
}
