/* SPDX-License-Identifier: MIT */
/*
 * boot.S - from the loader to C. Both protocols enter in 32-bit protected mode
 * without paging, at the physical address of what is linked high:
 *
 *	PVH (Xen docs, "x86/HVM direct boot ABI"): ebx = start_info
 *	multiboot2 (its specification, 3.2 "I386 machine state"): ebx = information
 *
 * The boot map puts the first 4 GiB three times: at 0, at DIRECT_MAP and (the
 * first GiB) at KERNEL_BASE, with 2 MiB pages. It stays for the trampoline of the
 * other CPUs.
 */
#define KERNEL_BASE 0xffffffff80000000
#define PHYS(x)     ((x) - KERNEL_BASE)

#define MSR_EFER 0xc0000080
#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)
#define CR4_PAE  (1 << 5)
#define CR0_PE   (1 << 0)
#define CR0_WP   (1 << 16)
#define CR0_PG   (1 << 31)

	.section .boot.multiboot2, "a"
	.balign 8
mb2_header:
	.long 0xe85250d6, 0, mb2_end - mb2_header
	.long -(0xe85250d6 + (mb2_end - mb2_header))
	.balign 8
	.short 3, 0 /* entry address tag */
	.long 12
	.long PHYS(boot_multiboot2)
	.balign 8
	.short 6, 0 /* modules page-aligned */
	.long 8
	.balign 8
	.short 0, 0
	.long 8
mb2_end:

	.section .note.pvh, "a", @note
	.long 4, 8, 18 /* namesz, descsz, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad PHYS(boot_pvh)

	.section .boot.text, "ax"
	.code32
	.globl boot_pvh, boot_multiboot2
boot_pvh:
	xor %edi, %edi
	jmp boot_common
boot_multiboot2:
	mov $1, %edi
boot_common:
	cld
	cli
	mov %ebx, %esi
	mov $PHYS(boot_stack_top), %esp

	/* 2048 large pages: the first 4 GiB */
	mov $PHYS(boot_pd), %ebx
	mov $0x83, %eax /* present, writable, large */
	mov $2048, %ecx
1:	mov %eax, (%ebx)
	movl $0, 4(%ebx)
	add $0x200000, %eax
	add $8, %ebx
	loop 1b
	/* boot_pdpt[0..3] -> boot_pd; boot_pdpt_image[510] -> its first page */
	mov $PHYS(boot_pd) + 3, %eax
	mov %eax, PHYS(boot_pdpt_image) + 510 * 8
	mov $PHYS(boot_pdpt), %ebx
	mov $4, %ecx
2:	mov %eax, (%ebx)
	add $0x1000, %eax
	add $8, %ebx
	loop 2b
	movl $PHYS(boot_pdpt) + 3, PHYS(boot_pml4)
	movl $PHYS(boot_pdpt) + 3, PHYS(boot_pml4) + 256 * 8
	movl $PHYS(boot_pdpt_image) + 3, PHYS(boot_pml4) + 511 * 8

	mov $CR4_PAE, %eax
	mov %eax, %cr4
	mov $PHYS(boot_pml4), %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	mov $EFER_LME | EFER_NXE, %eax
	xor %edx, %edx
	wrmsr
	mov $CR0_PG | CR0_WP | CR0_PE, %eax
	mov %eax, %cr0
	lgdt PHYS(boot_gdt_pointer)
	ljmp $8, $PHYS(boot_long)

	.code64
boot_long:
	xor %eax, %eax
	mov %eax, %ss
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	mov %esi, %esi
	mov $boot_stack_top, %rsp
	xor %ebp, %ebp
	movabs $boot_main, %rax
	call *%rax

/*
 * The other CPUs start here, in real mode, in a copy at AP_TRAMPOLINE (smp.c):
 * CS:IP is that page:0. All may come at once; each finds its stack by its APIC id.
 */
	.section .rodata
	.globl ap_trampoline, ap_trampoline_end
#define TRAMPOLINE 0x8000
#define AT(x)      (TRAMPOLINE + (x) - ap_trampoline)
	.code16
ap_trampoline:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	lgdtl ap_gdt_pointer - ap_trampoline
	mov $CR0_PE, %eax
	mov %eax, %cr0
	ljmpl $0x18, $AT(ap_protected)
	.code32
ap_protected:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %ss
	mov $CR4_PAE, %eax
	mov %eax, %cr4
	mov $PHYS(boot_pml4), %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	mov $EFER_LME | EFER_NXE, %eax
	xor %edx, %edx
	wrmsr
	mov $CR0_PG | CR0_WP | CR0_PE, %eax
	mov %eax, %cr0
	ljmp $8, $AT(ap_long)
	.code64
ap_long:
	movabs $ap_high, %rax
	jmp *%rax
	.balign 8
ap_gdt_pointer:
	.short boot_gdt_end - boot_gdt - 1
	.long AT(ap_gdt)
	.balign 8
ap_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
ap_trampoline_end:

	.text
ap_high:
	mov $PHYS(kernel_pml4), %eax
	mov %rax, %cr3
	/* Who am I? CPUID leaf 0xb has all of the x2APIC id, leaf 1 eight bits of it. */
	xor %eax, %eax
	cpuid
	mov $1, %esi
	cmp $0xb, %eax
	jb 1f
	mov $0xb, %eax
	xor %ecx, %ecx
	cpuid
	test %ebx, %ebx
	cmovnz %edx, %edi
	jnz 2f
1:	mov %esi, %eax
	cpuid
	shr $24, %ebx
	mov %ebx, %edi
2:	/* ap_starts (smp.c): id, cpu_arch, stack; 24 bytes each */
	mov $ap_starts, %rax
3:	cmp %edi, (%rax)
	je 4f
	add $24, %rax
	cmp $ap_starts_end, %rax
	jb 3b
5:	hlt
	jmp 5b
4:	mov 16(%rax), %rsp
	mov 8(%rax), %rdi
	xor %ebp, %ebp
	call smp_ap_main
	ud2

	.data
	.balign 8
	.globl boot_gdt_pointer
boot_gdt: /* null, 64-bit code, data, 32-bit code */
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
boot_gdt_end:
boot_gdt_pointer:
	.short boot_gdt_end - boot_gdt - 1
	.quad PHYS(boot_gdt)

	.bss
	.balign 8
	.globl ap_starts, ap_starts_end
ap_starts:
	.skip 64 * 24 /* CPU_MAX */
ap_starts_end:

	.section .bss.page_aligned, "aw", @nobits
	.balign 4096
	.globl boot_pml4, boot_stack, boot_stack_top
boot_pml4:
	.skip 4096
boot_pdpt:
	.skip 4096
boot_pdpt_image:
	.skip 4096
boot_pd:
	.skip 4 * 4096
boot_stack:
	.skip 16384
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
