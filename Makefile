# The verbs of the project. `make setup` is done by whatever needs it.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
PYTEST := $(BIN)/pytest -q

.PHONY: setup fmt lint types imports unit test pure fuzz fuzz-servers fuzz-asan servers integration faults golden docs check demo bench bench-peers chaos clean

setup: $(READY)
$(READY): pyproject.toml setup.py $(wildcard deltaforge/protocol/kernel/*.p*)
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q -e ".[dev,demo]"
	touch $@

fmt: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

unit: $(READY)
	$(PYTEST) tests/unit tests/property tests/flows tests/docs tests/meta

check: lint types imports unit

servers: $(READY)
	tests/servers/install.sh

integration: servers
	$(PYTEST) --require-servers tests/integration

faults: servers
	$(PYTEST) --require-servers tests/faults

test: servers
	$(PYTEST) --require-servers tests

pure: servers
	DELTAFORGE_PURE=1 $(PYTEST) --require-servers tests

fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --compare --inputs $(or $(INPUTS),200000)

fuzz-servers: servers
	$(BIN)/python -m tests.fuzz.servers --rows $(or $(ROWS),1000000)

# The kernel of this run is built apart, with every access to memory checked.
fuzz-asan: $(READY)
	rm -rf build/asan && mkdir -p build/asan && cp -r deltaforge tests setup.py pyproject.toml README.md build/asan
	rm -f build/asan/deltaforge/protocol/kernel/*.so
	cd build/asan && DELTAFORGE_CFLAGS="-fsanitize=address -O1 -g" DELTAFORGE_LDFLAGS="-fsanitize=address" \
	  ../../$(BIN)/python setup.py -q build_ext --inplace
	cd build/asan && export LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONPATH=. && \
	  ../../$(BIN)/python -m tests.fuzz.misuse --calls $(or $(CALLS),1000000) && \
	  ../../$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),10000000)

golden: $(READY)
	DELTAFORGE_WRITE_GOLDEN=1 $(PYTEST) tests/unit/envelopes

docs: $(READY)
	$(BIN)/python -m deltaforge.spec.reference docs/document.md

demo: $(READY)
	$(BIN)/deltaforge demo

bench: servers
	$(BIN)/python -m benchmarks.run

# Faults for minutes: KILLS of each round, a round of each pipeline for each of SEEDS, JOBS of them side by side. With
# KEEP, a folder, the same command goes on after an interruption. `make faults` has a short selection.
chaos: servers
	$(BIN)/pip install -q -e ".[bench]"
	$(BIN)/python -m benchmarks.chaos --kills $(or $(KILLS),25) --seed $(or $(SEEDS),1) --jobs $(or $(JOBS),2) \
	  $(if $(KEEP),--keep $(KEEP)) --picture docs/images/chaos.svg

# Needs a Java runtime and Maven; says how to get them.
bench-peers: servers
	tests/servers/install.sh debezium
	$(BIN)/python -m benchmarks.peers

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
