# Everything one does with this project. `make check` is all of CI.

CARGO   ?= cargo
PYTHON  ?= python3
PREFIX  ?= /usr/local
DESTDIR ?=

TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(TARGET)/release/aster-server
BINDIR  = $(DESTDIR)$(PREFIX)/bin
DOCDIR  = $(DESTDIR)$(PREFIX)/share/doc/aster-server

# The steps of `check` come in their order also under `make -j`: cargo shares out the cores itself.
.NOTPARALLEL:
.PHONY: help build run test lint check smoke bench interop tls install clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s  %s\n", $$1, $$2 }' Makefile

build: ## Build the release binary
	$(CARGO) build --release --locked

run: ## Build the server and run it here, with config.json
	$(CARGO) run --release --locked

test: ## Run the tests
	$(CARGO) test --locked

lint: ## Check format, lints and documentation; warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

check: lint test smoke interop ## All of CI

smoke: build ## Start, chat, kill, start again and stop, in an empty folder; do what the README says
	$(PYTHON) -B tests/smoke.py "$(BINARY)"
	$(PYTHON) -B tests/readme.py "$(BINARY)"

bench: ## Measure the release build over TLS on loopback
	$(CARGO) bench --locked --bench server

interop: build ## Chat through an unmodified asterpy (Python 3.11 or newer, from PyPI)
	$(PYTHON) -m venv "$(TARGET)/interop"
	"$(TARGET)/interop/bin/python" -m pip install --quiet --disable-pip-version-check asterpy==0.6.1
	"$(TARGET)/interop/bin/python" -B tests/interop.py "$(BINARY)"

tls: build ## Compare TLS with Mozilla's intermediate profile, by sslyze (from PyPI)
	$(PYTHON) -m venv "$(TARGET)/sslyze"
	"$(TARGET)/sslyze/bin/python" -m pip install --quiet --disable-pip-version-check sslyze==6.3.1
	$(PYTHON) -B tests/tls.py "$(BINARY)" "$(TARGET)/sslyze/bin/sslyze"

# What somebody else owns has been built already: `make build && sudo make install` builds nothing as root.
install: ## Install to $(DESTDIR)$(PREFIX), /usr/local by default
	@if [ ! -e "$(BINARY)" ] || [ -O "$(BINARY)" ]; then $(CARGO) build --release --locked; fi
	install -d "$(BINDIR)" "$(DOCDIR)/docs"
	install -m 755 "$(BINARY)" "$(BINDIR)"
	install -m 644 *.md LICENSE-* "$(DOCDIR)"
	install -m 644 docs/*.md "$(DOCDIR)/docs"

clean: ## Remove what was built
	$(CARGO) clean
