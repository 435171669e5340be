# Checks and files for editors. Included by the top Makefile.

.PHONY: lint fmt gdb book compile_commands.json
lint: ## layers, cycles, words, licence lines, layout, citations in doc/
	@tools/lint

FMT := $(shell git ls-files -co --exclude-standard -- 'kernel/*.[ch]' 'user/*.[ch]' 'host/*.[ch]' \
	'tests/*.[ch]' 'tools/*.[ch]' 2>/dev/null)
fmt: ## lay out all C files (clang-format)
	@clang-format -i $(FMT)

# One entry per kernel source, from the very line that compiles it.
compile_commands.json: $(GEN)/syscalls.h ## for clangd and other editors' helpers
	@for f in $(filter %.c,$(KSRC)); do \
		printf '{"directory": "%s", "file": "%s", "command": "%s"}\n' "$(CURDIR)" "$$f" \
		    "$(CC) $(filter-out -MMD -MP,$(KFLAGS)) -c $$f"; \
	done | sed '1s/^/[\n/; $$!s/$$/,/; $$s/$$/\n]/' >$@

# Skerry against Linux: doc/performance.md. BENCH: arguments of tools/bench.
$(BUILD)/tests/bench/%: tests/bench/%.c tests/bench/measure.h $(USER_LIB)
	@mkdir -p $(@D)
	$(USER_CC) $(filter-out -MMD -MP,$(USER_CFLAGS)) $(USER_LDFLAGS) -s -o $@ $< $(USER_LIB)

.PHONY: bench
bench: kernel $(BUILD)/host/mkcpio $(BUILD)/bench/pause-pie $(BUILD)/tests/bench/container $(BUILD)/tests/bench/files host ## measure against Linux, write doc/performance.md
	@tools/bench $(BENCH)

$(BUILD)/bench/%: bench/%.c
	@mkdir -p $(@D)
	musl-gcc -static -O2 -s -o $@ $<
$(BUILD)/bench/%-pie: bench/%.c
	@mkdir -p $(@D)
	musl-gcc -O2 $(STATIC_PIE) -s -o $@ $< $(MUSL_CRT)crtn.o

.PHONY: bench-containers
bench-containers: all $(BUILD)/tests/bench/container $(BUILD)/bench/pause $(BUILD)/bench/true ## how many containers there can be, and what one costs
	@tools/bench-containers

gdb: ## a shell in the debug kernel that waits for gdb, and says how to attach it
	@./run --debug --gdb

# The chapters in the order in which they are best read; links between them are those of the separate files.
BOOK := README.md HACKING.md $(addprefix doc/,boot.md memory.md locking.md processes.md files.md containers.md \
	consoles.md devices.md ctool.md abi.md decisions.md performance.md roadmap.md)
book: ## all of README, HACKING and doc/ in one file, build/book.md
	@mkdir -p $(BUILD)
	@cat $(BOOK) >$(BUILD)/book.md
	@echo "$(BUILD)/book.md"
