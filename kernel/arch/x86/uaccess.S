/* SPDX-License-Identifier: MIT */
/*
 * uaccess.S - the instructions that touch user memory. Each may fault; the
 * exception table says where to go on if the fault cannot be made good. A fault
 * in a wide move goes on byte by byte, so that the counts are exact.
 *
 * size_t user_copy(void *dst, const void *src, size_t n)      bytes not copied
 * size_t user_copy_rep(...)                                   the same by REP MOVSB
 * size_t user_clear(u64 dst, size_t n)                        bytes not cleared
 * s64 user_string(char *dst, u64 src, size_t n)               length; n: no NUL; -EFAULT
 * int user_load32(u64 address, u32 *value)                    0 or -EFAULT; may sleep
 * int user_load32_now(u64 address, u32 *value)                ... never sleeps
 * int user_cmpxchg32(u64 address, u32 expected, u32 desired, u32 *old)
 */
#include "arch/x86/asm.h"

#define EFAULT 14

/* One instruction that may fault. */
.macro user to, insn:vararg
881:	\insn
	extable 881b, \to
.endm

	.text
	.balign 16
	.globl user_copy
user_copy:
	STAC
	cmp $64, %rdx
	jb 2f
1:	user copy_bytes, mov (%rsi), %rax
	user copy_bytes, mov 8(%rsi), %rcx
	user copy_bytes, mov 16(%rsi), %r8
	user copy_bytes, mov 24(%rsi), %r9
	user copy_bytes, mov %rax, (%rdi)
	user copy_bytes, mov %rcx, 8(%rdi)
	user copy_bytes, mov %r8, 16(%rdi)
	user copy_bytes, mov %r9, 24(%rdi)
	user copy_bytes, mov 32(%rsi), %rax
	user copy_bytes, mov 40(%rsi), %rcx
	user copy_bytes, mov 48(%rsi), %r8
	user copy_bytes, mov 56(%rsi), %r9
	user copy_bytes, mov %rax, 32(%rdi)
	user copy_bytes, mov %rcx, 40(%rdi)
	user copy_bytes, mov %r8, 48(%rdi)
	user copy_bytes, mov %r9, 56(%rdi)
	add $64, %rsi
	add $64, %rdi
	sub $64, %rdx
	cmp $64, %rdx
	jae 1b
2:	sub $8, %rdx
	jb 4f
3:	user copy_bytes8, mov (%rsi), %rax
	user copy_bytes8, mov %rax, (%rdi)
	add $8, %rsi
	add $8, %rdi
	sub $8, %rdx
	jae 3b
4:	add $8, %rdx
	jz 7f
	test $4, %dl
	jz 5f
	user copy_bytes, mov (%rsi), %eax
	user copy_bytes, mov %eax, (%rdi)
	add $4, %rsi
	add $4, %rdi
	sub $4, %rdx
5:	test $2, %dl
	jz 6f
	user copy_bytes, mov (%rsi), %ax
	user copy_bytes, mov %ax, (%rdi)
	add $2, %rsi
	add $2, %rdi
	sub $2, %rdx
6:	test $1, %dl
	jz 7f
	user copy_bytes, mov (%rsi), %al
	user copy_bytes, mov %al, (%rdi)
7:	CLAC
	xor %eax, %eax
	ret
copy_bytes8:
	add $8, %rdx
copy_bytes:
8:	test %rdx, %rdx
	jz 9f
	user 9f, mov (%rsi), %al
	user 9f, mov %al, (%rdi)
	inc %rsi
	inc %rdi
	dec %rdx
	jmp 8b
9:	CLAC
	mov %rdx, %rax
	ret

	.balign 16
	.globl user_copy_rep
user_copy_rep:
	STAC
	mov %rdx, %rcx
	user 1f, rep movsb
1:	CLAC
	mov %rcx, %rax
	ret

	.balign 16
	.globl user_clear
user_clear:
	STAC
	xor %eax, %eax
	sub $32, %rsi
	jb 2f
1:	user clear_bytes, mov %rax, (%rdi)
	user clear_bytes, mov %rax, 8(%rdi)
	user clear_bytes, mov %rax, 16(%rdi)
	user clear_bytes, mov %rax, 24(%rdi)
	add $32, %rdi
	sub $32, %rsi
	jae 1b
2:
clear_bytes:
	add $32, %rsi
3:	jz 4f
	user 4f, mov %al, (%rdi)
	inc %rdi
	dec %rsi
	jmp 3b
4:	CLAC
	mov %rsi, %rax
	ret

	.balign 16
	.globl user_string
user_string:
	STAC
	xor %eax, %eax
	movabs $0x0101010101010101, %r8
	movabs $0x8080808080808080, %r9
1:	lea 8(%rax), %rcx
	cmp %rdx, %rcx
	ja 3f
	user string_bytes, mov (%rsi, %rax), %rcx
	mov %rcx, (%rdi, %rax)
	/* a byte is zero where (x - 1) & ~x has its top bit */
	mov %rcx, %r10
	sub %r8, %rcx
	not %r10
	and %r10, %rcx
	and %r9, %rcx
	jnz 2f
	add $8, %rax
	jmp 1b
2:	bsf %rcx, %rcx
	shr $3, %ecx
	add %rcx, %rax
	CLAC
	ret
string_bytes:
3:	cmp %rdx, %rax
	jae 4f
	user user_fault, movzbl (%rsi, %rax), %ecx
	mov %cl, (%rdi, %rax)
	test %cl, %cl
	jz 4f
	inc %rax
	jmp 3b
4:	CLAC
	ret

	.balign 16
	.globl user_load32, user_load32_now, user_cmpxchg32
user_load32:
	STAC
	user user_fault, mov (%rdi), %eax
	CLAC
	mov %eax, (%rsi)
	xor %eax, %eax
	ret
user_load32_now:
	STAC
882:	mov (%rdi), %eax
	extable 882b, user_fault, 1
	CLAC
	mov %eax, (%rsi)
	xor %eax, %eax
	ret
user_cmpxchg32:
	STAC
	mov %esi, %eax
	user user_fault, lock cmpxchg %edx, (%rdi)
	CLAC
	mov %eax, (%rcx)
	xor %eax, %eax
	ret
user_fault:
	CLAC
	mov $-EFAULT, %rax
	ret
	.section .note.GNU-stack, "", @progbits
