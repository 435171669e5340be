# user/build.mk - programs of the guest: user/NAME.c or user/NAME/*.c becomes build/user/NAME, a static
# musl program linked with what it needs of user/lib/*.c; so does each user/demos/NAME.c. A new program needs
# no line here.

USER_CC     ?= musl-gcc
USER_CFLAGS  = -static -no-pie -O2 -g -std=gnu11 -Wall -Wextra -Werror -ffunction-sections -fdata-sections \
	-D_GNU_SOURCE -I. -Iuser/lib -Iuser/include -MMD -MP
USER_LDFLAGS = -static -no-pie -Wl,--gc-sections -Wl,--build-id=none

USER_DIRS  := $(filter-out lib include etc demos xv6,$(patsubst user/%/,%,$(wildcard user/*/)))
USER_NAMES := $(sort $(basename $(notdir $(wildcard user/*.c user/demos/*.c))) $(USER_DIRS))
USER_BINS  := $(USER_NAMES:%=$(BUILD)/user/%)
USER_LIB   := $(BUILD)/user/lib/libskerry.a

USER_OBJ   := $(BUILD)/user-obj

.PHONY: user
user: $(USER_BINS) ## programs of the guest, build/user/

$(USER_OBJ)/%.o: %.c user/build.mk
	@mkdir -p $(@D)
	$(USER_CC) $(USER_CFLAGS) -c -o $@ $<

$(USER_LIB): $(patsubst %.c,$(USER_OBJ)/%.o,$(sort $(wildcard user/lib/*.c)))
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

define USER_PROGRAM
$(BUILD)/user/$(1): $(patsubst %.c,$(USER_OBJ)/%.o,$(sort $(wildcard user/$(1).c user/demos/$(1).c user/$(1)/*.c))) $(USER_LIB)
	@mkdir -p $$(@D)
	$(USER_CC) $(USER_LDFLAGS) -o $$@ $$^
endef
$(foreach name,$(USER_NAMES),$(eval $(call USER_PROGRAM,$(name))))

-include $(shell find $(USER_OBJ)/user -name '*.d' 2>/dev/null)
