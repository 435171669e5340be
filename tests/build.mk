# The programs that are put at /tests/ in the guest. Included by the top Makefile; needs nothing
# from it. Rules: tests/guest/NAME.c -> build/tests/guest/NAME, static musl; with `build: glibc` in
# its first line static glibc; with `build: both` also NAME.glibc. tests/guest/NAME.sh is copied.
#
#	make guest-tests     builds them
#	make oracle          runs those that know no Skerry call on this machine's Linux, as root

GUEST_DIR := build/tests/guest
GUEST_SRC := $(sort $(wildcard tests/guest/*.c))
GUEST_SH := $(sort $(wildcard tests/guest/*.sh))
GUEST_GLIBC := $(if $(GUEST_SRC),$(shell awk 'FNR == 1 && /build: glibc/ { print FILENAME }' $(GUEST_SRC)))
GUEST_BOTH := $(if $(GUEST_SRC),$(shell awk 'FNR == 1 && /build: both/ { print FILENAME }' $(GUEST_SRC)))
GUEST_MUSL := $(filter-out $(GUEST_GLIBC),$(GUEST_SRC))

GUEST_TESTS := $(patsubst tests/guest/%.c,$(GUEST_DIR)/%,$(GUEST_SRC)) \
	$(patsubst tests/guest/%.c,$(GUEST_DIR)/%.glibc,$(GUEST_BOTH)) \
	$(patsubst tests/guest/%.sh,$(GUEST_DIR)/%.sh,$(GUEST_SH))
# what the tests read, put beside them
GUEST_XV6 := $(patsubst tests/xv6/%.c,$(GUEST_DIR)/xv6.%,$(sort $(wildcard tests/xv6/*.c)))
GUEST_DATA := $(if $(wildcard doc/abi.md),$(GUEST_DIR)/abi.md) $(GUEST_XV6) $(GUEST_DIR)/cases.inc \
	$(GUEST_DIR)/exec_place.pie

GUEST_CFLAGS := -O1 -g0 -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wno-unused-result \
	-Wno-nonnull -Wno-stringop-overflow -Wno-array-bounds -Wno-stringop-overread -Wno-format-truncation -fno-pie -no-pie -static -Iabi -I.
# musl has no linux/ and asm/ headers of its own
GUEST_MUSL_CFLAGS := -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include

.PHONY: guest-tests oracle
guest-tests: $(GUEST_TESTS) $(GUEST_DATA) ## programs of tests/guest, build/tests/guest/

$(GUEST_DIR):
	@mkdir -p $@

define guest_musl
$(GUEST_DIR)/$(1): tests/guest/$(1).c $$(wildcard tests/guest/*.h) abi/container.h | $(GUEST_DIR)
	musl-gcc $$(GUEST_CFLAGS) $$(GUEST_MUSL_CFLAGS) -s -o $$@ $$<
endef
define guest_glibc
$(GUEST_DIR)/$(2): tests/guest/$(1).c $$(wildcard tests/guest/*.h) abi/container.h | $(GUEST_DIR)
	gcc $$(GUEST_CFLAGS) -pthread -s -o $$@ $$< -lutil
endef
$(foreach f,$(GUEST_MUSL),$(eval $(call guest_musl,$(basename $(notdir $f)))))
$(foreach f,$(GUEST_GLIBC),$(eval $(call guest_glibc,$(basename $(notdir $f)),$(basename $(notdir $f)))))
$(foreach f,$(GUEST_BOTH),$(eval $(call guest_glibc,$(basename $(notdir $f)),$(basename $(notdir $f)).glibc)))

$(GUEST_DIR)/%.sh: tests/guest/%.sh | $(GUEST_DIR)
	cp $< $@ && chmod 755 $@

# static and position-independent; musl-gcc's own -static-pie names an interpreter
HASHES := \#\#\#
MUSL_CRT := $(dir $(filter %/crtn.o,$(shell musl-gcc -static -x c /dev/null '-$(HASHES)' 2>&1)))
STATIC_PIE := -static -fPIE -Wl,-pie,--no-dynamic-linker,-z,text -nostartfiles $(MUSL_CRT)rcrt1.o $(MUSL_CRT)crti.o
$(GUEST_DIR)/%.pie: tests/guest/%.c $(wildcard tests/guest/*.h) | $(GUEST_DIR)
	musl-gcc $(filter-out -fno-pie -no-pie,$(GUEST_CFLAGS)) $(GUEST_MUSL_CFLAGS) $(STATIC_PIE) -s -o $@ $< $(MUSL_CRT)crtn.o

# written for xv6, compiled as they are
$(GUEST_DIR)/xv6.%: tests/xv6/%.c build/xv6/libxv6.a tools/xv6-cc $(wildcard user/xv6/include/*.h user/xv6/include/*/*.h) | $(GUEST_DIR)
	tools/xv6-cc -o $@ $<

$(GUEST_DIR)/abi.md: doc/abi.md | $(GUEST_DIR)
	cp $< $@

# what its shell scripts source; not executable, as it is no test
$(GUEST_DIR)/cases.inc: tests/guest/cases.inc | $(GUEST_DIR)
	cp $< $@ && chmod 644 $@

# Linux is the oracle: what fails here is a wrong test. ctool and Skerry's calls are not there.
oracle: $(GUEST_TESTS) ## the guest's tests on this machine's Linux: what fails here is a wrong test
	tests/guest-oracle $(filter-out %/ctool.sh %/ctool_policy.sh %/xv6.sh %/rungs_container.sh,$(GUEST_TESTS))

# Lives of containers on 4 CPUs, after which the machine has exactly what it had before.
N ?= 100000
.PHONY: leaktest
leaktest: all $(GUEST_DIR)/leaks ## N lives of containers (100000), then exactly the free pages and objects of before
	./run --no-build --smp 4 --timeout 36000 --add $(GUEST_DIR)/leaks:/leaks -c 'LEAK_CYCLES=$(N) /leaks'

# Noisy neighbours for longer than ./test does it, and with two CPUs as well.
.PHONY: neighbours
neighbours: all $(GUEST_DIR)/neighbours ## noisy neighbours, 5 s each, with one CPU and with two
	NEIGHBOUR_SECONDS=5 tests/host/neighbours.sh
	NEIGHBOUR_SECONDS=5 NEIGHBOUR_CPUS=2 tests/host/neighbours.sh

# Unit tests that run here, under sanitizers: tests/host/build.mk.
include tests/host/build.mk
host-tests: $(HOST_TESTS) ## build the unit tests of kernel/lib and kernel/core
