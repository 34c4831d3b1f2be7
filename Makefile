# The ways into this project. `make` alone lists them.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Every workspace: the host, and the two whose crates become WebAssembly.
GUESTS := protocols tests/fixtures
MANIFESTS := Cargo.toml $(GUESTS:%=%/Cargo.toml)

# In CI a lock file that does not fit is an error; at work it is brought up to date.
LOCKED := $(if $(CI),--locked)

# Arguments for the benchmark: make bench ARGS="--seconds 5"
ARGS ?=

##@ Use

.PHONY: run
run: system-run protocols ## Build the release and start the service on SQLite in ./data
	ACTION_SERVICE_EGRESS_PRIVATE=$${ACTION_SERVICE_EGRESS_PRIVATE:-allow} \
	  cargo run $(LOCKED) --release --bin action-service -- serve

##@ Develop

# The host's tests come last: their closing lines are the ones that a reader looks for.
.PHONY: test
test: system-test guests ## Run every test: guests natively, documentation, host, whole paths
	scripts/test-scripted-guests.sh
	cargo test $(LOCKED) --manifest-path protocols/Cargo.toml --target-dir protocols/target --workspace
	$(MAKE) -s -C protocols/syslog test BUILD=../target/c/syslog
	cargo test $(LOCKED) --workspace --doc
	cargo build $(LOCKED) -p action-server
	if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run $(LOCKED) --workspace; \
	else \
	  cargo test $(LOCKED) --workspace --lib --bins --tests; \
	fi

.PHONY: check
check: fmt-check doctrine lint deny ## Formatting, doctrine, clippy with warnings as errors, dependencies

.PHONY: fmt
fmt: ## Format all three workspaces
	for manifest in $(MANIFESTS); do cargo fmt --manifest-path $$manifest --all; done

.PHONY: soak
soak: system-test guests ## Kill, stop and restart everything for about an hour, under load
	cargo build $(LOCKED) -p action-server
	CHAOS_TRIGGERS=24000 cargo test $(LOCKED) -p action-tests --test it -- --nocapture whatever_dies
	CAPTURE_KILLS=1000 cargo test $(LOCKED) -p action-tests --test it -- --nocapture a_reader_that_is_killed

.PHONY: bench
bench: system-test guests ## Measure the service and its queue beside their limits, writing docs/benchmarks.md
	cargo run $(LOCKED) --release -p action-bench -- $(ARGS)

# Seconds that each fuzz target gets: make fuzz SECONDS_EACH=60 TARGETS="config egress"
SECONDS_EACH ?= 600
TARGETS ?=

.PHONY: fuzz
fuzz: system-run protocols ## Fuzz what reads strangers' bytes, ten minutes each, one after the other
	scripts/fuzz.sh $(SECONDS_EACH) $(TARGETS)

.PHONY: fuzz-minimise
fuzz-minimise: ## Take what the fuzzer found new into the corpus, as little of it as shows the same
	scripts/fuzz.sh minimise $(TARGETS)

.PHONY: schemathesis
schemathesis: system-run protocols ## Try every operation of the OpenAPI document on the real binary
	cargo build $(LOCKED) -p action-server
	scripts/schemathesis.sh $(ARGS)

.PHONY: doc
doc: system-run protocols ## Build the documentation of the host's crates
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --workspace --no-deps --document-private-items

.PHONY: clean
clean: ## Remove everything that was built (./data stays)
	for manifest in $(MANIFESTS); do cargo clean --manifest-path $$manifest; done

##@ Parts of these

.PHONY: fmt-check
fmt-check: ## Is everything formatted?
	for manifest in $(MANIFESTS); do cargo fmt --manifest-path $$manifest --all --check; done

.PHONY: doctrine
doctrine: ## Are the walls standing? (compiles none of the host)
	cargo test $(LOCKED) -p action-doctrine

.PHONY: lint
lint: system-run protocols ## Clippy over all three workspaces
	scripts/lint.sh

.PHONY: deny
deny: ## Licences, sources, bans and advisories of the dependencies
	scripts/cargo-deny.sh

.PHONY: protocols
protocols: ## Build the protocols that the binary carries
	scripts/build-guests.sh protocols

.PHONY: guests
guests: ## Build the protocols and the components of the tests
	scripts/build-guests.sh all

.PHONY: system-run system-test
system-run system-test: system-%:
	scripts/setup-system.sh $*

.PHONY: help
help: ## List these targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
