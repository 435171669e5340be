/* SPDX-License-Identifier: MIT */
/*
 * entry.S - the ways into the kernel and out of it. Each way in leaves a whole
 * struct trapframe at the top of the stack, in the kernel's %gs, with AC and DF
 * clear; interrupts stay off all the time (core/cpu.h, THE RULE).
 *
 *	syscall_entry   SYSCALL: -> the handler in syscall_table -> syscall_return
 *	trap_stubs      exceptions and interrupts -> trap_dispatch -> trap_return
 *	nmi_entry ...   on stacks of their own, at any instruction
 *
 * Whoever enters from user mode (decided by CS alone: with FSGSBASE user code can
 * set any GS base) swaps %gs. NMI, double fault and machine check can come
 * between an entry and its SWAPGS: they save the GS base and load the CPU's own,
 * which cpu.c left at the top of their stack.
 *
 * The way to user mode tests task->work once, and takes SYSRET if the frame is as
 * SYSCALL left it (rcx = rip, r11 = rflags) and rip is below the canonical hole:
 * SYSRET to a non-canonical rip faults in the kernel with the user's stack (SDM
 * vol. 2, SYSRET). IRET has the same trouble, so trap_bad_return sees to it.
 */
#include "arch/x86/asm.h"

#define USER_CS 0x33
#define USER_SS 0x2b
#define SYSCALL_MAX_LINUX 512
#define MSR_GS_BASE 0xc0000101

	.text
	.balign 64
	.globl syscall_entry
syscall_entry:
	swapgs
	mov %rsp, %gs:CPU_USER_RSP
	mov %gs:CPU_KSTACK_TOP, %rsp
	push $USER_SS
	push %gs:CPU_USER_RSP
	push %r11
	push $USER_CS
	push %rcx
	push $0 /* error */
	push $0 /* vector */
	mov %eax, %eax /* the number is an int */
	push %rax
	push_registers
	xor %ebp, %ebp
	cmp $SYSCALL_MAX_LINUX, %eax
	jae syscall_uncommon
	cmpb $0, %gs:CPU_SLOW_CALLS /* traced or filtered */
	jne syscall_uncommon
	mov syscall_table(, %rax, 8), %rcx
	test %rcx, %rcx
	jz syscall_uncommon
	mov %rsp, %rdi
	call *%rcx
	mov %rax, FRAME_RAX(%rsp)
syscall_return:
	mov %gs:CPU_TASK, %rax
	cmpq $0, TASK_WORK(%rax)
	jne syscall_work
syscall_leave:
	mov FRAME_RCX(%rsp), %rcx
	mov FRAME_R11(%rsp), %r11
	cmp %rcx, FRAME_RIP(%rsp)
	jne trap_leave
	cmp %r11, FRAME_RFLAGS(%rsp)
	jne trap_leave
	mov %rcx, %rax
	shr $47, %rax
	jnz trap_leave
	pop_registers
	mov 48(%rsp), %rsp /* past orig_rax, vector, error, rip, cs, rflags */
	swapgs
	sysretq

syscall_uncommon:
	mov %rsp, %rdi
	call syscall_slow
	jmp syscall_return
syscall_work:
	mov %rsp, %rdi
	call task_user_work
	jmp syscall_leave

/* A new task's first instructions (arch_task_setup_*): its frame is at the top of the stack. */
	.globl task_enter_user, task_enter_kernel
task_enter_user:
	xor %ebp, %ebp
	call sched_finish_switch
	jmp syscall_return
task_enter_kernel: /* rbx: function, r12: argument */
	xor %ebp, %ebp
	call sched_finish_switch
	mov %r12, %rdi
	call *%rbx
	ud2

/* --- exceptions and interrupts --- */

	.balign 16
	.globl trap_stubs
trap_stubs:
	vector = 0
	.rept 256
	.balign 16
	/* SDM vol. 3, table 6-1: those with an error code */
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	push $0
	.endif
	push $vector
	jmp trap_common
	vector = vector + 1
	.endr

	.balign 16
trap_common:
	cld
	CLAC
	push $-1 /* orig_rax */
	push_registers
	mov %rsp, %rdi
	testb $3, FRAME_CS(%rsp)
	jz trap_kernel
	swapgs
	xor %ebp, %ebp
	call trap_dispatch
	mov %gs:CPU_TASK, %rax
	cmpq $0, TASK_WORK(%rax)
	jne trap_work
trap_leave:
	mov FRAME_RIP(%rsp), %rax
	shr $47, %rax
	jnz trap_refuse
trap_restore:
	pop_registers
	add $24, %rsp
	swapgs
	iretq

trap_work:
	mov %rsp, %rdi
	call task_user_work
	jmp trap_leave
trap_refuse:
	mov %rsp, %rdi
	call trap_bad_return
	jmp trap_work

trap_kernel:
	call trap_dispatch
	pop_registers
	add $24, %rsp
	iretq

/* --- at any instruction, on a stack of its own --- */

.macro paranoid_entry name, number, has_error
	.balign 16
	.globl \name
\name:
	.if !\has_error
	push $0
	.endif
	push $\number
	jmp paranoid_common
.endm
	paranoid_entry nmi_entry, 2, 0
	paranoid_entry double_fault_entry, 8, 1
	paranoid_entry machine_check_entry, 18, 0

paranoid_common:
	cld
	CLAC
	push $-1
	push_registers
	mov $MSR_GS_BASE, %ecx
	rdmsr
	mov %eax, %ebx
	mov %edx, %r12d
	mov %rsp, %rax
	or $IST_BYTES - 1, %rax
	mov -7(%rax), %rax /* the last word of this stack: struct cpu */
	mov %rax, %rdx
	shr $32, %rdx
	wrmsr
	mov %rsp, %rdi
	call nmi_dispatch
	mov $MSR_GS_BASE, %ecx
	mov %ebx, %eax
	mov %r12d, %edx
	wrmsr
	pop_registers
	add $24, %rsp
	iretq

/* --- switching stacks --- */

/* void switch_stacks(struct task *prev, struct task *next): arch_switch's last step. */
	.balign 16
	.globl switch_stacks
switch_stacks:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, TASK_KERNEL_RSP(%rdi)
	mov TASK_KERNEL_RSP(%rsi), %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret
	.section .note.GNU-stack, "", @progbits
