# Builds a protocol written in C. A Makefile names its parts and includes this one:
#
#   NAME := greet
#   SOURCES := greet.c
#   include action/component.mk
#
# make            build/$(NAME).wasm, the component
# make tools      the compiler for WebAssembly, pinned, into .tools/ (needs python3 with venv)
#
# make test       TESTS on this machine, under the address and undefined-behaviour sanitizers
#
# Any clang with a wasi-libc does as well: WASI_SDK_PATH=…, or WASM_CC="clang --target=wasm32-wasi".

SDK := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
BUILD ?= build
TOOLS ?= .tools

SDK_SOURCES := $(wildcard $(SDK)/src/*.c) $(wildcard $(SDK)/bindings/*.c)
HEADERS := $(wildcard *.h $(SDK)/*.h $(SDK)/src/*.h $(SDK)/bindings/*.h)

ifdef WASI_SDK_PATH
WASM_CC ?= $(WASI_SDK_PATH)/bin/clang --target=wasm32-wasip1
endif
WASM_CC ?= $(TOOLS)/bin/python -m ziglang cc --target=wasm32-wasi-musl
WASM_CFLAGS ?= -Os
CFLAGS_COMMON := -std=c17 -Wall -Wextra -Werror -I$(SDK) -I.

$(BUILD)/$(NAME).wasm: $(BUILD)/$(NAME).core.wasm $(SDK)/componentize.sh
	$(SDK)/componentize.sh $< $@

$(BUILD)/$(NAME).core.wasm: $(SOURCES) $(SDK_SOURCES) $(HEADERS) $(firstword $(MAKEFILE_LIST)) $(SDK)/component.mk
	@mkdir -p $(BUILD)
	@$(firstword $(WASM_CC)) --version >/dev/null 2>&1 || { \
	  echo "$(firstword $(WASM_CC)) is not here: 'make tools' installs a compiler for WebAssembly" >&2; exit 1; }
	$(WASM_CC) $(CFLAGS_COMMON) $(WASM_CFLAGS) -mexec-model=reactor -Wl,-z,stack-size=1048576 -s $(SOURCES) $(SDK_SOURCES) -o $@

.PHONY: tools
tools:
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r $(SDK)/requirements.txt


# Natively: TESTS, each with TESTED and with those parts of the SDK that need no service. Leaks are not looked for: an
# instance frees nothing, because it ends with its call.
.PHONY: test
test: $(TESTS:%.c=$(BUILD)/%)
	@for test in $^; do ASAN_OPTIONS=detect_leaks=0 $$test && echo "$$test: ok" || exit 1; done

$(BUILD)/%: %.c $(TESTED) $(SDK_SOURCES) $(HEADERS)
	@mkdir -p $(dir $@)
	$(CC) $(CFLAGS_COMMON) -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	  $< $(TESTED) $(SDK)/src/memory.c $(SDK)/src/json.c $(SDK)/src/config.c -o $@
