/* SPDX-License-Identifier: MIT */
/* vdso_image.S - the vDSO as built (vdso/build.mk), page-aligned in the read-only segment. */
	.section .vdso, "a"
	.balign 4096
	.globl vdso_code, vdso_code_end
vdso_code:
	.incbin VDSO_FILE
	.balign 4096
vdso_code_end:
	.section .note.GNU-stack, "", @progbits
