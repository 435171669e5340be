# Unit tests of kernel/lib and kernel/core on this machine: the very same C files, under ASan and
# UBSan. Included by tests/build.mk. tests/host/NAME.c -> build/tests/host/NAME, which prints TAP.
#
# The kernel's string functions get other names (rename.h), so that the sanitizers' own runtime does
# not call them. machine.c stands in for the rest of the kernel: threads are CPUs.

HOST_TEST_DIR := build/tests/host
HOST_TEST_OBJ := build/tests/obj
HOST_TEST_SRC := $(filter-out tests/host/cowfs_%,$(wildcard tests/host/*_test.c))
HOST_TESTS = $(HOST_TEST_SRC:tests/host/%.c=$(HOST_TEST_DIR)/%) $(COWFS_TESTS)
HOST_TEST_CORE := account cred mutex owner usermap rcu rwmutex spinlock time wait work
HOST_TEST_KERNEL := $(wildcard kernel/lib/*.c) $(HOST_TEST_CORE:%=kernel/core/%.c)
HOST_TEST_PARTS := $(HOST_TEST_KERNEL:%.c=$(HOST_TEST_OBJ)/%.o) $(HOST_TEST_OBJ)/tests/host/machine.o

HOST_TEST_CFLAGS := -std=gnu11 -D_GNU_SOURCE -DDEBUG=1 -O1 -g -pthread -Ikernel -I. -Wall -Wextra \
	-Wno-unused-parameter -Wno-sign-compare -Wno-unknown-pragmas -Wno-format-overflow -fno-builtin -fwrapv -fno-strict-aliasing \
	-fsanitize=address,undefined -fno-sanitize=alignment,shift-base -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -MMD -MP

COWFS_TESTS := $(patsubst tests/host/%.c,$(HOST_TEST_DIR)/%,$(wildcard tests/host/cowfs_*_test.c))

.PHONY: host-tests
.SECONDARY: $(HOST_TEST_PARTS)

# PERCPU variables: machine.c finds their section by the names that ld makes for a C identifier.
$(HOST_TEST_OBJ)/%.o: %.c tests/host/build.mk
	@mkdir -p $(@D)
	@echo "  HOSTCC $<"
	@gcc $(HOST_TEST_CFLAGS) $(if $(filter tests/host/machine.c,$<),,-include tests/host/rename.h) -c -o $@ $<
	@objcopy --rename-section .percpu=percpu,alloc,load,data,contents $@

$(HOST_TEST_SRC:tests/host/%.c=$(HOST_TEST_DIR)/%): $(HOST_TEST_DIR)/%: $(HOST_TEST_OBJ)/tests/host/%.o $(HOST_TEST_PARTS)
	@mkdir -p $(@D)
	@gcc $(HOST_TEST_CFLAGS) -o $@ $^

-include $(HOST_TEST_PARTS:.o=.d) $(HOST_TEST_SRC:%.c=$(HOST_TEST_OBJ)/%.d)

# cowfs: tests/host/cowfs_NAME_test.c with the core of cowfs and a program as its platform (host/cowfs). Libc's
# headers are theirs; the kernel's own parts are not linked.
COWFS_CORE := $(filter-out kernel/fs/cowfs/platform.c kernel/fs/cowfs/vfs%.c,$(wildcard kernel/fs/cowfs/*.c))
COWFS_TEST_PARTS := $(patsubst %.c,$(HOST_TEST_OBJ)/cowfs/%.o,$(COWFS_CORE) host/cowfs/platform.c host/cowfs/disk.c \
	$(wildcard tests/host/cowfs/*.c))
COWFS_TEST_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O1 -g -pthread -Ihost -Ihost/cowfs -Itests/host -Ikernel -I. -Wall -Wextra \
	-Wno-unused-parameter -fwrapv -fno-strict-aliasing -DCOW_HASH_BITS=8 \
	-fsanitize=address,undefined -fno-sanitize=alignment,shift-base -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -MMD -MP
.SECONDARY: $(COWFS_TEST_PARTS)
$(HOST_TEST_OBJ)/cowfs/%.o: %.c tests/host/build.mk
	@mkdir -p $(@D)
	@echo "  HOSTCC $<"
	@gcc $(COWFS_TEST_CFLAGS) -c -o $@ $<
$(COWFS_TESTS): $(HOST_TEST_DIR)/%: $(HOST_TEST_OBJ)/cowfs/tests/host/%.o $(COWFS_TEST_PARTS)
	@mkdir -p $(@D)
	@gcc $(COWFS_TEST_CFLAGS) -o $@ $^
-include $(COWFS_TEST_PARTS:.o=.d) $(COWFS_TESTS:$(HOST_TEST_DIR)/%=$(HOST_TEST_OBJ)/cowfs/tests/host/%.d)
include tests/host/cowfs/build.mk
