# The commands of this project. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input
# Only files with the hashes of `make lock` are taken, those that build others included.
# All that is needed is pinned. For what is needed with an extra, pip would take the newest.
PINNED := $(PIP) --require-hashes --no-deps --no-build-isolation
OURS := $(PIP) --no-deps --no-build-isolation -e .
PIN := $(BIN)/uv pip compile -q --no-config --universal --python-version 3.11 \
	--generate-hashes --custom-compile-command 'make lock'
# Much of their time tests wait for other processes; tests/conftest.py says what comes first.
WORKERS := $(shell expr $$(nproc) + 3)
PYTEST := $(BIN)/python -m pytest -rs -n $(WORKERS) --dist loadfile --no-loadscope-reorder
LOWEST := build/lowest
# Tests that start relays and commands and talk to them.
SLOW := tests/cli tests/compat tests/web/test_server.py tests/web/test_importing.py
# Tests of what comes from outside; those of relays and stores come to other things.
FUZZED := tests/fuzzing tests/exposition tests/lint tests/web \
	$(filter-out tests/test_relay%.py,$(wildcard tests/test_*.py))
SHELL_SCRIPTS := .ci/run $(wildcard contrib/cron/*.sh)

.DEFAULT_GOAL := help
.PHONY: help run test test-fast check lint fix bench bench-scale bench-many bench-runs bench-board bench-exec \
	bench-replicas bench-shards bench-attacks torture demo screenshots docs lock lowest sbom fuzz clients

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  ARGS are passed on: make run ARGS='--web.listen-address=127.0.0.1:9091'"
	@echo "  PYTHON makes the venv: make run PYTHON=python3.12"

run: $(VENV)/installed ## start the relay on :9091, with its database below ./data
	@$(BIN)/pushrelay serve $(ARGS)

test: $(VENV)/installed-dev clients ## run every test that this machine can run
	@$(PYTEST) $(ARGS)

test-fast: $(VENV)/installed-dev ## run what takes milliseconds a test, in all half a minute
	@$(PYTEST) -m "not system and not postgres" $(SLOW:%=--ignore=%) $(ARGS)

check: lint ## everything that must hold: format, lint, types, imports, tests, coverage
	@$(MAKE) --no-print-directory test ARGS="--cov $(ARGS)"

lint: $(VENV)/installed-dev ## the part of check that runs no tests
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted: run 'make fix'."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/shellcheck $(SHELL_SCRIPTS)
	@if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint Dockerfile; \
	else echo "No hadolint for this machine: the Dockerfile is not linted."; fi

fix: $(VENV)/installed-dev ## format the code, and mend what the linter can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/installed-dev ## measure; beside a Pushgateway where one is installed
	@$(BIN)/python benchmarks/bench.py $(ARGS)
	@$(BIN)/python benchmarks/exec.py
	@$(BIN)/python benchmarks/replicas.py
	@$(BIN)/python benchmarks/board.py

bench-scale: $(VENV)/installed-dev ## measure with up to 100,000 groups
	@$(BIN)/python benchmarks/scale.py $(ARGS)

bench-many: $(VENV)/installed-dev ## measure listing and deleting many groups
	@$(BIN)/python benchmarks/many.py $(ARGS)

bench-runs: $(VENV)/installed-dev ## measure reports of runs, and what is expected
	@$(BIN)/python benchmarks/runs.py $(ARGS)

bench-board: $(VENV)/installed-dev ## measure how soon the jobs board is there
	@$(BIN)/python benchmarks/board.py $(ARGS)

bench-replicas: $(VENV)/installed-dev ## measure several relays of one PostgreSQL
	@$(BIN)/python benchmarks/replicas.py $(ARGS)

bench-shards: $(VENV)/installed-dev ## measure a large page that is scraped in shards
	@$(BIN)/python benchmarks/shards.py $(ARGS)

bench-attacks: $(VENV)/installed-dev ## measure pushes while the relay is attacked over HTTP
	@$(BIN)/python benchmarks/attacks.py $(ARGS)

bench-exec: $(VENV)/installed-dev ## measure what pushrelay exec costs a job
	@$(BIN)/python benchmarks/exec.py $(ARGS)

torture: $(VENV)/installed-dev ## load relays under faults for ten minutes, and check all they did
	@PYTHONPATH=.:tests:tests/compat $(BIN)/python -m torture $(ARGS)

demo: $(VENV)/installed-dev ## let jobs fail among Prometheus and Alertmanager, until Ctrl-C
	@PYTHONPATH=.:tests:tests/compat $(BIN)/python tests/demo.py

screenshots: $(VENV)/installed-dev ## take the pictures of the pages in docs/images
	@PYTHONPATH=.:tests:tests/compat $(BIN)/python tests/screenshots.py $(ARGS)

docs: $(VENV)/installed-dev ## write what the docs have from the code: flags, manual page
	@$(BIN)/python -m docs.generate

lock: $(VENV)/installed-dev ## pin what setup.cfg asks for; ARGS=--upgrade takes the newest
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
		$(PIN) $(ARGS) - -o requirements/build.txt
	@$(PIN) $(ARGS) setup.cfg --extra postgres -o requirements/runtime.txt
	@$(PIN) $(ARGS) setup.cfg --extra dev requirements/build.txt requirements/runtime.txt \
		-o requirements/dev.txt

lowest: $(VENV)/installed-dev clients ## run the tests with the oldest packages that setup.cfg allows
	@mkdir -p build
	@$(BIN)/uv pip compile -q --no-config --python-version 3.11 --resolution lowest-direct \
		setup.cfg --extra postgres -o $(LOWEST).txt
	@$(BIN)/uv venv -q --clear --python $(BIN)/python $(LOWEST)
	@$(BIN)/uv pip install -q --python $(LOWEST) -r requirements/dev.txt
	@$(BIN)/uv pip install -q --python $(LOWEST) -r $(LOWEST).txt
	@$(BIN)/uv pip install -q --python $(LOWEST) --no-deps --no-build-isolation -e .
	@$(subst $(BIN),$(LOWEST)/bin,$(PYTEST)) $(ARGS)

sbom: $(VENV)/installed-dev ## write what an image holds, as CycloneDX, to dist/
	@mkdir -p dist
	@$(BIN)/python requirements/sbom.py >dist/pushrelay.cdx.json

fuzz: $(VENV)/installed-dev ## send rubbish to every parser and to a relay for minutes
	@$(PYTEST) --hypothesis-profile=fuzz -m "hypothesis and not postgres" $(FUZZED) $(ARGS)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "pushrelay needs Python 3.11 or newer, and $(PYTHON) is not." >&2; \
		echo "Name another one: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) cannot make virtual environments." >&2; \
		echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/installed: setup.cfg pyproject.toml requirements/runtime.txt | $(BIN)/python
	@echo "Installing what pushrelay needs into $(VENV) ..."
	@$(PINNED) -r requirements/build.txt
	@$(PINNED) -r requirements/runtime.txt
	@$(OURS)
	@touch $@

$(VENV)/installed-dev: setup.cfg pyproject.toml requirements/dev.txt | $(BIN)/python
	@echo "Installing what pushrelay and its tests need into $(VENV) ..."
	@$(PINNED) -r requirements/build.txt
	@$(PINNED) -r requirements/dev.txt
	@$(OURS)
	@touch $(VENV)/installed $@

# A Pushgateway client of another language, and what judges pages; their tests skip where
# there is no npm.
clients:
	@if command -v npm >/dev/null 2>&1; then \
		$(MAKE) -s --no-print-directory node_modules/installed || \
		echo "npm could not install prom-client and axe-core: their tests will skip."; fi

node_modules/installed: package.json
	@npm install --no-package-lock --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@
