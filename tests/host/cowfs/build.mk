# tests/host/cowfs/build.mk - long runs of cowfs's tests, without sanitizers, for speed (included by
# tests/host/build.mk; ./test has a bounded share of them, under sanitizers).
#
#	make crashtest N=1000000 [SEED=1]    crash states, until N distinct ones were checked
#	make crashtest-alloc                 each allocation of a run fails, one after the other
#	make crashtest-bugs                  the checker is checked: each seeded bug must be found
#	make cowfuzz N=100000 [SEED=1]       corrupt images, under sanitizers
#	make cowfs-coverage                  branches of cowfs that these tests reach
#	make bench-clone                     what clones, mounts and fsync cost in the guest

COWFS_FAST := build/tests/cowfs
COWFS_FAST_PARTS := $(patsubst %.c,$(COWFS_FAST)/%.o,$(COWFS_CORE) host/cowfs/platform.c host/cowfs/disk.c \
	$(wildcard tests/host/cowfs/*.c))
COWFS_FAST_CFLAGS := $(filter-out -O1 -fsanitize% -fno-sanitize%,$(COWFS_TEST_CFLAGS)) -O2
N ?= 1000000
SEED ?= 1

.SECONDARY: $(COWFS_FAST_PARTS) $(COWFS_FAST)/tests/host/cowfs_crash_test.o
.PHONY: crashtest crashtest-alloc crashtest-bugs cowfuzz cowfs-coverage bench-clone
$(COWFS_FAST)/%.o: %.c tests/host/build.mk tests/host/cowfs/build.mk
	@mkdir -p $(@D)
	@gcc $(COWFS_FAST_CFLAGS) -c -o $@ $<
$(COWFS_FAST)/crash: $(COWFS_FAST)/tests/host/cowfs_crash_test.o $(COWFS_FAST_PARTS)
	@gcc $(COWFS_FAST_CFLAGS) -o $@ $^

crashtest: $(COWFS_FAST)/crash ## crash states of cowfs: N=1000000 distinct ones, SEED=1
	$< --states $(N) --seed $(SEED)
crashtest-alloc: $(COWFS_FAST)/crash ## each allocation of cowfs fails, one after the other
	$< --alloc 1 --ops 600 --seed $(SEED)
crashtest-bugs: $(COWFS_FAST)/crash ## seeded bugs in cowfs: the crash test must find each
	tests/host/cowfs/bugs $(COWFS_FAST) -- $(COWFS_FAST_CFLAGS)
cowfuzz: $(HOST_TEST_DIR)/cowfs_fuzz_test ## corrupt images of cowfs: N=1000000, SEED=1
	$< --images $(N) --seed $(SEED)
cowfs-coverage: ## branches of cowfs that its tests on the host reach
	tests/host/cowfs/coverage build/tests/cowfs-coverage
bench-clone: kernel host initramfs ## what clones, mounts and fsync of cowfs cost in the guest
	tests/bench/clone.sh

-include $(COWFS_FAST_PARTS:.o=.d) $(COWFS_FAST)/tests/host/cowfs_crash_test.d
