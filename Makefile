# The verbs of the project. `make setup` is done by whatever needs it.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
DEMO_READY := .venv/.demo-ready
PYTEST := $(BIN)/pytest -q
# Tests against servers wait more than they work: JOBS of them at a time, each process with servers of its own.
PARALLEL = --require-servers -n $(or $(JOBS),5) --dist worksteal

# Where it is set, each of the thousands of processes that tests start would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup fmt lint types imports unit test pure fuzz fuzz-servers fuzz-asan snapshot-model servers test-full integration faults golden docs check demo bench bench-peers compat-debezium compat-jdbc chaos chaos-hosts clean changelog lock audit deploy-check dist

setup: $(READY)
KERNEL := pyproject.toml setup.py $(wildcard deltaforge/kernel/*.p* deltaforge/kernel/*/*.p*)
$(READY): $(KERNEL)
	$(call install,dev$(COMMA)demo,the tools of its developers)
# What the demo needs is less, and there sooner.
$(DEMO_READY): $(KERNEL)
	$(call install,demo,an embedded PostgreSQL for the demo)

COMMA := ,
define install
	@test -d .venv || { echo "== a virtual environment in .venv, with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@echo "== DeltaForge, what it needs, and $(2); the compiler works a minute or two on the kernel"
	@$(BIN)/pip install --disable-pip-version-check -e ".[$(1)]"
	@touch $@
endef

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
	$(PYTEST) $(PARALLEL) tests/integration

faults: servers
	$(PYTEST) $(PARALLEL) tests/faults

test: servers
	$(PYTEST) $(PARALLEL) --durations 10 tests

# Longer: more kills, larger transactions, the Python decoders, and the kernel with every access to memory checked.
test-full: servers
	DELTAFORGE_KILLS=10 DELTAFORGE_BIG_TRANSACTION=200000 DELTAFORGE_CHAOS_SECS=60 DELTAFORGE_HOSTILE_REQUESTS=10000 \
	  DELTAFORGE_SNAPSHOT_SCHEDULES=20000 DELTAFORGE_MATRIX=full \
	  $(PYTEST) $(PARALLEL) --durations 10 tests
	$(MAKE) pure fuzz-asan

# Random schedules of copies and a log whose commits become visible late.
snapshot-model: $(READY)
	DELTAFORGE_SNAPSHOT_SCHEDULES=$(or $(SCHEDULES),20000) $(PYTEST) tests/property/test_snapshot_model.py

pure: servers
	DELTAFORGE_PURE=1 $(PYTEST) $(PARALLEL) tests

fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --compare --inputs $(or $(INPUTS),200000)

fuzz-servers: servers
	$(BIN)/python -m tests.fuzz.servers --rows $(or $(ROWS),1000000)

# The kernel of this run is built apart, with every access to memory checked.
fuzz-asan: $(READY)
	rm -rf build/asan && mkdir -p build/asan && cp -r deltaforge tests setup.py pyproject.toml README.md build/asan
	rm -f build/asan/deltaforge/kernel/*.so
	cd build/asan && DELTAFORGE_CFLAGS="-fsanitize=address -O1 -g" DELTAFORGE_LDFLAGS="-fsanitize=address" \
	  ../../$(BIN)/python setup.py -q build_ext --inplace
	cd build/asan && export LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONPATH=. && \
	  ../../$(BIN)/python -m tests.fuzz.misuse --calls $(or $(CALLS),1000000) && \
	  ../../$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),10000000)

golden: $(READY)
	DELTAFORGE_WRITE_GOLDEN=1 $(PYTEST) tests/unit/envelopes tests/unit/records/test_golden.py

docs: $(READY)
	$(BIN)/python -m deltaforge.spec.reference docs/document.md
	$(BIN)/python -m deltaforge.doctor.reference docs/doctor.md
	$(BIN)/python -m deltaforge.records.types.reference docs/types/mysql.md docs/types/postgres.md
	$(BIN)/python -m deltaforge.debezium.reference docs/debezium-properties.md

demo: $(if $(wildcard $(READY)),$(READY),$(DEMO_READY))
	$(BIN)/deltaforge demo

bench: servers
	$(BIN)/python -m benchmarks.run

# Faults for minutes: KILLS of each round, a round of each pipeline for each of SEEDS, JOBS of them side by side. With
# KEEP, a folder, the same command goes on after an interruption. LAYOUTS="key3-2x1-s2 …": lanes, processes, workers and
# shards; LAYOUTS=pairs: few rounds in which any two of source, sink, lanes, processes, … come together.
# `make faults` has a short selection.
chaos: servers
	$(BIN)/pip install -q -e ".[bench]"
	$(BIN)/python -m benchmarks.chaos --kills $(or $(KILLS),25) --seed $(or $(SEEDS),1) --jobs $(or $(JOBS),2) \
	  $(if $(KEEP),--keep $(KEEP)) $(if $(LAYOUTS),$(LAYOUT),--picture docs/images/chaos.svg)
LAYOUT = $(if $(filter pairs,$(LAYOUTS)),--pairs,--layout $(LAYOUTS)) --name chaos-layouts

# The wire between two machines (network namespaces: needs root and iproute2) is cut again and again.
chaos-hosts: servers
	@command -v ip >/dev/null || { echo "needs iproute2: apt-get install -y iproute2" >&2; exit 1; }
	$(BIN)/python -m benchmarks.chaos_hosts --cuts $(or $(CUTS),3) --seed $(or $(SEED),1)

# Needs a Java runtime and Maven; says how to get them.
bench-peers: servers
	tests/servers/install.sh debezium
	$(BIN)/python -m benchmarks.peers

# The same databases read by Debezium and by DeltaForge, compared message by message. SOURCE="mysql postgres", CASE="json
# avro" choose; RECORD, a folder, keeps what each has written.
compat-debezium: servers
	tests/servers/install.sh debezium debezium-mariadb
	$(BIN)/python -m tests.compat $(if $(SOURCE),--source $(SOURCE)) $(if $(CASE),--case $(CASE)) $(if $(RECORD),--record $(RECORD))

# Debezium's JDBC sink connector keeps tables in PostgreSQL from our topics: equal to the source after a random workload.
compat-jdbc: servers
	tests/servers/install.sh debezium debezium-jdbc
	$(BIN)/python -m tests.compat.jdbc $(if $(SOURCE),--source $(SOURCE)) $(if $(SEED),--seed $(SEED))

changelog: $(READY)
	$(BIN)/python changelog.d/changelog.py $(if $(RELEASE),--release $(RELEASE))

SHIP := .venv/.ship
$(SHIP): $(READY)
	$(BIN)/pip install -q -e ".[ship]"
	touch $@

dist: $(SHIP)
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

# What the image is built from and with, by version and hash, for every Python and processor at once.
LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet $(if $(UPGRADE),--upgrade)
lock: $(SHIP)
	$(LOCK) --custom-compile-command "make lock" pyproject.toml -o deploy/requirements.lock
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'], sep='\n')" | \
	  $(LOCK) --custom-compile-command "make lock" - -o deploy/build.lock

# 0: nothing is known against the locked versions. 1: something is. 3: it could not be found out.
audit: $(SHIP)
	$(BIN)/python deploy/audit.py deploy/requirements.lock deploy/build.lock

# What needs tools that `make test` does not: docker compose, helm, systemd-analyze. Says what it left out.
deploy-check: $(SHIP)
	deploy/check.sh

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
