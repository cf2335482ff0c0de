# The verbs of the project. `make setup` is done by whatever needs it.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
PYTEST := $(BIN)/pytest -q

.PHONY: setup fmt lint types imports unit test servers integration faults golden docs check demo bench clean

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

golden: $(READY)
	DELTAFORGE_WRITE_GOLDEN=1 $(PYTEST) tests/unit/envelopes

docs: $(READY)
	$(BIN)/python -m deltaforge.spec.reference docs/document.md

demo: $(READY)
	$(BIN)/deltaforge demo

bench: servers
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
