# Builds a protocol written in C. A Makefile names its parts and includes this one:
#
#   NAME := greet
#   SOURCES := greet.c
#   include action/component.mk
#
# make            build/$(NAME).wasm, the component
# make tools      the compiler for WebAssembly, pinned, into .tools/ (needs python3 with venv)
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
	$(WASM_CC) $(CFLAGS_COMMON) $(WASM_CFLAGS) -mexec-model=reactor -s $(SOURCES) $(SDK_SOURCES) -o $@

.PHONY: tools
tools:
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r $(SDK)/requirements.txt

