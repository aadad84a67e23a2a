# Every target sets itself up: a machine needs Python 3.11 or newer, and make. Nothing is installed outside .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# ARGS reaches the command behind a target: make demo ARGS=--exit, make test ARGS="-k ledger -x".
ARGS ?=
# SEED is the whole number from which `make test-long` looks at random; without it that draws one and says it.
SEED ?=
# PYTHON names one interpreter; without it the first of these that is new enough makes the .venv.
PYTHON ?=
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)
# uv pins for every platform and Python at once; it is needed for `make lock` alone.
UV := uv==0.13.9

BIN := .venv/bin
# A process of tests for each core; one that has nothing left takes over from another. ARGS=-n0 runs them in one process.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --dist worksteal
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
COMPILE := var/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: help install demo up serve test test-long mutate check format bench lock clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  Options of the command behind a target go in ARGS: make demo ARGS=--exit'

install: .venv/.project ## Make .venv from the pinned, hashed requirements

demo: install ## Run a coalition's day, settle it, verify six bundles, leave the pages open
	@$(BIN)/koinon demo $(ARGS)

up: install ## Start all of Koinon here, on an embedded PostgreSQL in ./var
	@$(BIN)/koinon up $(ARGS)

serve: install ## Start the web process alone (KOINON_DATABASE_URL names a server)
	@$(BIN)/koinon serve $(ARGS)

test: install ## Run the tests (minutes)
	@PYTHONHASHSEED=0 $(PYTEST) $(ARGS)

test-long: install ## Run the long tests too, at random (tens of minutes)
	@seed="$(or $(SEED),$$((RANDOM << 15 | RANDOM)))"; \
		PYTHONHASHSEED="$$seed" $(PYTEST) -m "long or not long" --seed "$$seed" $(ARGS)

mutate: install ## Change 30 lines one by one and see that tests notice (an hour; ARGS="--seed 2" draws others)
	@$(BIN)/python -m tests.mutate --seed 1 $(ARGS)

check: install ## Lint, check types, check the directions of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo 'make format puts these in order.'; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: install ## Put the code into its one format and apply safe fixes
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: install ## Measure speed beside raw PostgreSQL on this machine
	@$(BIN)/python -m load_tests.bench $(ARGS)

lock: ## Pin every requirement anew, with hashes for all platforms
	@python3 -m venv var/lock && var/lock/bin/python -m pip --disable-pip-version-check --quiet install '$(UV)'
	@mkdir -p requirements
	@$(COMPILE) --upgrade --all-extras pyproject.toml --output-file requirements/dev.txt > /dev/null
	@$(COMPILE) --constraints requirements/dev.txt pyproject.toml --output-file requirements/run.txt > /dev/null
	@printf 'editables\nhatchling\n' | $(COMPILE) --constraints requirements/dev.txt - --output-file requirements/build.txt > /dev/null

clean: ## Remove what the targets made (the database in ./var too)
	@rm -rf .venv var build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/bin/python:
	@for candidate in $(CANDIDATES); do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			"$$candidate" -m venv .venv && exit 0; \
			echo "$$candidate could not make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; \
			rm -rf .venv; exit 1; \
		fi; \
	done; \
	echo 'Koinon needs Python 3.11 or newer, and none of these is: $(CANDIDATES)' >&2; \
	echo 'Install one, or name it: make PYTHON=/path/to/python3.12' >&2; \
	exit 1

# Wheels only: what is installed is exactly what was hashed, and no package's build script runs. The list is whole, so pip resolves nothing
# (pip 23.2, which came with Python 3.11.5 to 3.11.7, asks a pinned package's extras for hashes of their own); `pip check` finds what would lack.
.venv/.requirements: requirements/dev.txt | .venv/bin/python
	@echo 'Installing the pinned requirements into .venv (once; about a minute) ...'
	@$(PIP) install --no-compile --no-deps --require-hashes --only-binary :all: --requirement requirements/dev.txt
	@lacking="$$($(BIN)/python -m pip --disable-pip-version-check check)" || { echo "$$lacking" >&2; exit 1; }
	@touch $@

.venv/.project: pyproject.toml .venv/.requirements
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
