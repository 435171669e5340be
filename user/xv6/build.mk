# user/xv6/build.mk - the library for programs that were written for xv6: build/xv6/libxv6.a. tools/xv6-cc
# compiles with it; the programs of tests/xv6 become build/tests/guest/xv6/NAME.

XV6_LIB    := $(BUILD)/xv6/libxv6.a
XV6_CFLAGS := -O2 -g -std=gnu11 -Wall -Wextra -Werror -ffreestanding -fno-builtin -fno-stack-protector -fno-pie \
	-fno-tree-loop-distribute-patterns -fcf-protection=none -I. -Iuser/xv6/lib -MMD -MP

.PHONY: xv6
xv6: $(XV6_LIB) ## the library for xv6 programs, build/xv6/; then tools/xv6-cc -o PROG PROG.c

$(BUILD)/xv6/%.o: user/xv6/lib/%.c user/xv6/build.mk
	@mkdir -p $(@D)
	$(HOST_CC) $(XV6_CFLAGS) -c -o $@ $<

$(XV6_LIB): $(patsubst user/xv6/lib/%.c,$(BUILD)/xv6/%.o,$(sort $(wildcard user/xv6/lib/*.c)))
	@rm -f $@
	ar rcs $@ $^

-include $(wildcard $(BUILD)/xv6/*.d)
