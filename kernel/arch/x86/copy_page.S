/* SPDX-License-Identifier: MIT */
/* copy_page.S - the candidates that copy_choose() (copy.c) measures; 4096 bytes each. */
	.text
	.balign 16
	.globl page_copy_unrolled, page_copy_movsq, page_copy_movsb
page_copy_unrolled: /* rdi = dst, rsi = src */
	mov $64, %ecx
1:	mov (%rsi), %rax
	mov 8(%rsi), %rdx
	mov 16(%rsi), %r8
	mov 24(%rsi), %r9
	mov %rax, (%rdi)
	mov %rdx, 8(%rdi)
	mov %r8, 16(%rdi)
	mov %r9, 24(%rdi)
	mov 32(%rsi), %rax
	mov 40(%rsi), %rdx
	mov 48(%rsi), %r8
	mov 56(%rsi), %r9
	mov %rax, 32(%rdi)
	mov %rdx, 40(%rdi)
	mov %r8, 48(%rdi)
	mov %r9, 56(%rdi)
	add $64, %rsi
	add $64, %rdi
	dec %ecx
	jnz 1b
	ret
page_copy_movsq:
	mov $512, %ecx
	rep movsq
	ret
page_copy_movsb:
	mov $4096, %ecx
	rep movsb
	ret

	.balign 16
	.globl page_clear_unrolled, page_clear_stosq, page_clear_stosb
page_clear_unrolled:
	xor %eax, %eax
	mov $32, %ecx
1:
	.set at, 0
	.rept 16
	mov %rax, at(%rdi)
	.set at, at + 8
	.endr
	add $128, %rdi
	dec %ecx
	jnz 1b
	ret
page_clear_stosq:
	xor %eax, %eax
	mov $512, %ecx
	rep stosq
	ret
page_clear_stosb:
	xor %eax, %eax
	mov $4096, %ecx
	rep stosb
	ret
	.section .note.GNU-stack, "", @progbits
