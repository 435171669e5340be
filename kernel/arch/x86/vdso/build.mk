# The vDSO: a shared object for user space, embedded by vdso_image.S.
VDSO := $(GEN)/vdso.so

$(VDSO): kernel/arch/x86/vdso/vdso.c kernel/arch/x86/vdso/vdso.lds kernel/arch/x86/vdso/data.h
	@mkdir -p $(@D)
	@echo "  VDSO  $@"
	@$(CC) -std=gnu11 -O2 -ffreestanding -fPIC -fno-stack-protector -fcf-protection=none \
	    -fno-asynchronous-unwind-tables -mgeneral-regs-only -fvisibility=hidden -Ikernel $(KWARN) \
	    -shared -nostdlib -Wl,-soname=linux-vdso.so.1 -Wl,--hash-style=both -Wl,--build-id=none \
	    -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,-T,kernel/arch/x86/vdso/vdso.lds -o $@.tmp $< && mv $@.tmp $@

$(GEN)/vdso_symbols.h: $(VDSO)
	@nm $< | awk '$$3 == "__restore_rt" { print "#define VDSO_RESTORE_RT 0x" $$1 }' >$@.tmp && mv $@.tmp $@

$(OBJ)/kernel/arch/x86/vdso_image.S.o: KFLAGS += -DVDSO_FILE=\"$(VDSO)\"
$(OBJ)/kernel/arch/x86/vdso_image.S.o: $(VDSO)
$(OBJ)/kernel/arch/x86/vdso_image.c.o: $(GEN)/vdso_symbols.h
