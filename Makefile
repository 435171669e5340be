# Builds everything under build/. `make help` lists the targets.
#
# build/skerry.elf is the kernel, build/debug/skerry.elf the same sources with
# lock ranks, poisoning, UBSan and KASAN. kernel/ is one program: every .c and
# .S below it is linked; where a file stands says which layer it belongs to.

BUILD   ?= build
CC      := gcc
DEBUG   ?= 0
OBJ     := $(BUILD)$(if $(filter 1,$(DEBUG)),/debug)/obj
KERNEL  := $(BUILD)$(if $(filter 1,$(DEBUG)),/debug)/skerry.elf
GEN     := $(BUILD)/gen

KSRC := $(sort $(filter-out kernel/arch/x86/vdso/%,$(shell find kernel -name '*.c' -o -name '*.S')))
KOBJ := $(KSRC:%=$(OBJ)/%.o)

KWARN   := -Wall -Wextra -Wno-unused-parameter -Wmissing-prototypes -Wstrict-prototypes \
           -Wundef -Wvla -Wshadow -Werror
KFLAGS  := -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone \
           -mgeneral-regs-only -fcf-protection=none --param=min-pagesize=0 -fno-strict-aliasing \
           -fno-omit-frame-pointer -fno-stack-protector -fno-common -fno-asynchronous-unwind-tables \
           -fwrapv -fno-delete-null-pointer-checks \
           -Ikernel -Ikernel/fs/cowfs/types -I. -I$(GEN) $(KWARN) -MMD -MP
# The debug kernel. Every access is a call (threshold 0), so kernel/core/kasan.c alone knows where the
# shadow lies. NOSAN: what the sanitizers themselves use, and what runs before there is a shadow.
KDEBUG  := -DDEBUG=1 -fsanitize=undefined -fno-sanitize=alignment,shift-base \
           -fsanitize=kernel-address --param=asan-globals=0 --param=asan-stack=0 \
           --param=asan-instrumentation-with-call-threshold=0
NOSAN   := kernel/core/kasan.c kernel/core/ubsan.c kernel/arch/x86/boot.c kernel/lib/string.c
ifeq ($(DEBUG),1)
KFLAGS  += $(KDEBUG)
else
KFLAGS  += -DDEBUG=0
endif

all: kernel debug-kernel user initramfs ## everything that ./run needs

kernel: $(BUILD)/skerry.elf ## build/skerry.elf
debug-kernel: $(BUILD)/debug/skerry.elf ## build/debug/skerry.elf

# both kernels are made of the same generated files, which are there before the other make looks
ifneq ($(DEBUG),1)
$(BUILD)/debug/skerry.elf: FORCE | $(GEN)/syscalls.h $(GEN)/vdso_symbols.h
	@+$(MAKE) --no-print-directory DEBUG=1 $@
endif

# Two links: the first gives the addresses from which the symbol table of
# backtraces is made, the second holds it (same size, so nothing moves).
$(KERNEL): $(KOBJ) kernel/arch/x86/kernel.ld tools/ksyms
	@echo "  LINK  $@"
	@ld -nostdlib -static --build-id=none -z max-page-size=0x1000 -z noexecstack --no-warn-rwx-segments \
	    -T kernel/arch/x86/kernel.ld -o $@.tmp1 $(KOBJ)
	@tools/ksyms $@.tmp1 >$@.ksyms.S && $(CC) -c -o $@.ksyms.o $@.ksyms.S
	@ld -nostdlib -static --build-id=none -z max-page-size=0x1000 -z noexecstack --no-warn-rwx-segments \
	    -T kernel/arch/x86/kernel.ld -o $@.tmp2 $(KOBJ) $@.ksyms.o
	@tools/ksyms $@.tmp2 >$@.ksyms.S && $(CC) -c -o $@.ksyms.o $@.ksyms.S
	@ld -nostdlib -static --build-id=none -z max-page-size=0x1000 -z noexecstack --no-warn-rwx-segments \
	    -T kernel/arch/x86/kernel.ld -o $@.tmp2 $(KOBJ) $@.ksyms.o && mv $@.tmp2 $@ && rm -f $@.tmp1

$(OBJ)/%.c.o: %.c $(GEN)/syscalls.h Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(if $(filter $<,$(NOSAN)),$(filter-out -fsanitize% -fno-sanitize% --param=asan%,$(KFLAGS)),$(KFLAGS)) \
	    -c -o $@ $<

$(OBJ)/%.S.o: %.S $(GEN)/syscalls.h Makefile
	@mkdir -p $(@D)
	@echo "  AS    $<"
	@$(CC) $(KFLAGS) -c -o $@ $<

$(GEN)/syscalls.h: abi/syscall.tbl tools/gensyscalls
	@mkdir -p $(@D)
	@tools/gensyscalls abi/syscall.tbl $(GEN)

-include $(KOBJ:.o=.d)
include kernel/arch/x86/vdso/build.mk
-include user/build.mk user/xv6/build.mk host/build.mk tests/build.mk bench/build.mk tools/build.mk

clean: ## remove build/
	rm -rf $(BUILD) compile_commands.json

help: ## this list
	@awk -F':.*## ' '/^[a-z_.-]+:.*## /{printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

FORCE:
.PHONY: all kernel debug-kernel user initramfs clean help FORCE
.DELETE_ON_ERROR:
