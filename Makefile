# Everything one does with this project. `make check` is all of CI.

CARGO   ?= cargo
PYTHON  ?= python3
NODE    ?= node
PREFIX  ?= /usr/local
DESTDIR ?=
# Of `make torture`: how many kills, and the number that repeats its choices.
CYCLES  ?= 20
SEED    ?=
# Of `make fuzz`, for each target.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= lines http websocket requests png

TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(TARGET)/release/aster-server
BINDIR  = $(DESTDIR)$(PREFIX)/bin
DOCDIR  = $(DESTDIR)$(PREFIX)/share/doc/aster-server
UNITDIR = $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(DESTDIR)$(PREFIX)/lib/sysusers.d

# The steps of `check` come in their order also under `make -j`: cargo shares out the cores itself.
.NOTPARALLEL:
.PHONY: help build run test lint check smoke test-web screenshots chromium torture durability fuzz bench bench-peers interop tls install uninstall clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s  %s\n", $$1, $$2 }' Makefile

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

check: lint test smoke test-web torture durability interop ## All of CI

smoke: build ## Start, chat, kill, start again, stop; do what the README says; install
	$(PYTHON) -B tests/smoke.py "$(BINARY)"
	$(PYTHON) -B tests/readme.py "$(BINARY)"
	$(PYTHON) -B tests/install.py

# The figures come last and by themselves: whatever else runs would be in them.
test-web: build chromium tests/web/node_modules ## Use the web client in Chromium: every story, and the figures (needs Node.js 18 and npm)
	ASTER_SERVER="$(BINARY)" $(NODE) --test --test-reporter=spec tests/web/*.test.mjs
	ASTER_SERVER="$(BINARY)" $(NODE) --test --test-reporter=spec tests/web/figures.mjs

screenshots: build chromium tests/web/node_modules ## Make the README's pictures of the web client
	ASTER_SERVER="$(BINARY)" $(NODE) tests/web/screenshots.mjs assets/screenshots

# The system's: a browser of npm's would be another 150 MB, from somebody else.
chromium:
	@command -v chromium >/dev/null || { apt-get update && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y --no-install-recommends chromium fonts-liberation; }

tests/web/node_modules: tests/web/package-lock.json
	cd tests/web && npm ci
	@touch tests/web/node_modules

torture: ## Kill -9 under load, CYCLES times (20), and look for every message each time
	$(CARGO) test --release --locked --test torture -- $(CYCLES) $(SEED)

durability: build ## See each message synced to disk before its answer, and what failed writes do (needs strace)
	$(PYTHON) -B tests/durability.py "$(BINARY)"

# The corpus begins with what `make test` begins with. What it finds is kept in fuzz/artifacts. No
# sanitizer: there is no unsafe code of ours to look at, and without it there are more inputs.
fuzz: ## Look for hostile input, FUZZ_SECONDS (60) for each kind (needs a nightly Rust and a C++ compiler)
	$(CARGO) fuzz --version || $(CARGO) install cargo-fuzz --locked
	FUZZ_CORPUS="$(CURDIR)/fuzz/corpus" $(CARGO) test --locked --test it -- --ignored fuzz::write_the_seeds
	for target in $(FUZZ_TARGETS); do \
	    $(CARGO) +nightly fuzz run --sanitizer none "$$target" -- -max_total_time=$(FUZZ_SECONDS) -max_len=20000 || exit 1; \
	done

bench: ## Measure the release build over TLS on loopback; the figures are in $(TARGET)/bench.json, too
	$(CARGO) bench --locked --bench server

bench-peers: ## Measure fan-out, latency and memory beside ngircd (Debian's; it says if it is missing)
	$(CARGO) bench --locked --bench server -- --peers

interop: build ## Chat through an unmodified asterpy (Python 3.11 or newer, from PyPI)
	$(PYTHON) -m venv "$(TARGET)/interop"
	"$(TARGET)/interop/bin/python" -m pip install --quiet --disable-pip-version-check asterpy==0.6.1
	"$(TARGET)/interop/bin/python" -B tests/interop.py "$(BINARY)"

tls: build ## Compare TLS with Mozilla's intermediate profile, by sslyze (from PyPI)
	$(PYTHON) -m venv "$(TARGET)/sslyze"
	"$(TARGET)/sslyze/bin/python" -m pip install --quiet --disable-pip-version-check sslyze==6.3.1
	$(PYTHON) -B tests/tls.py "$(BINARY)" "$(TARGET)/sslyze/bin/sslyze"

# What somebody else owns has been built already: `make build && sudo make install` builds nothing as root.
# On the machine itself (no DESTDIR) it also makes the service's user and tells systemd.
install: ## Install to $(DESTDIR)$(PREFIX), /usr/local by default, with a systemd service
	@if [ ! -e "$(BINARY)" ] || [ -O "$(BINARY)" ]; then $(CARGO) build --release --locked; fi
	install -d "$(BINDIR)" "$(DOCDIR)/docs" "$(UNITDIR)" "$(SYSUSERSDIR)"
	install -m 755 "$(BINARY)" "$(BINDIR)"
	install -m 644 *.md LICENSE-* "$(DOCDIR)"
	install -m 644 docs/*.md "$(DOCDIR)/docs"
	sed "s|@PREFIX@|$(PREFIX)|" assets/aster.service >"$(UNITDIR)/aster.service"
	chmod 644 "$(UNITDIR)/aster.service"
	install -m 644 assets/aster.sysusers "$(SYSUSERSDIR)/aster.conf"
	@if [ -z "$(DESTDIR)" ] && command -v systemd-sysusers >/dev/null; then \
		systemd-sysusers "$(SYSUSERSDIR)/aster.conf"; fi
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi

uninstall: ## Remove what `install` placed; the server's folder stays
	rm -rf "$(DOCDIR)"
	rm -f "$(BINDIR)/aster-server" "$(UNITDIR)/aster.service" "$(SYSUSERSDIR)/aster.conf"

clean: ## Remove what was built
	$(CARGO) clean
