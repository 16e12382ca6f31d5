# What a user or developer does with the store. `make` alone shows the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# setuptools warns that an editable install looks at this directory, which is its purpose.
INSTALL := PYTHONWARNINGS=ignore $(PIP) --no-build-isolation --editable
# The distribution was named tams in 0.1.0. Removed later, it would take files of its successor along. Python's -P keeps
# the metadata that builds leave in this directory from being taken for an installed distribution.
REMOVE_RENAMED := if $(BIN)/python -P -m pip show --quiet tams 2> /dev/null; then \
	$(BIN)/python -P -m pip --disable-pip-version-check uninstall --quiet --yes tams; fi
PYTEST = $(BIN)/python -m pytest
# Twice as many processes as cores: many tests wait for a server or a time-out.
PARALLEL := --numprocesses=$(shell expr 2 \* $$(nproc)) --dist=worksteal
# Of Python, beside the one that PYTHON names.
OTHER_VERSIONS := 3.12 3.13
# The tests that make check leaves out, by their markers (pyproject.toml).
SLOW := postgresql or vast or s3 or nginx or e2e or fault or kill or crowd or slow
# Where make run listens; its data lie in ./data unless TAMS_DATA_DIR says otherwise.
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: help install run check fast test test-versions test-postgresql test-vast test-vast-modes test-nginx coverage lint format bench conformance docs docs-serve vast-emulator s3-server vast-faults vast-sdk-tests wheel clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Install the store into .venv, with the command .venv/bin/tams

run: $(VENV)/.installed ## Install, upgrade the database, and serve; PORT= and HOST= change the address
	@echo "In another shell: $(BIN)/tams --help, or 'source $(BIN)/activate' and tams --help"
	@ENVIRONMENT=$${ENVIRONMENT:-development} exec $(BIN)/tams serve --host $(HOST) --port $(PORT)

check: lint fast ## Lint, types, and the tests that need only SQLite and local files: about two minutes

test: $(VENV)/.installed-test ## Install what the tests need, and run all of them; ARGS= goes to pytest
	$(PYTEST) $(PARALLEL) -m "not nginx" $(ARGS)

test-versions: ## The fast tests on the other supported versions of Python that are here, each in a .venv-VERSION of its own
	@for version in $(OTHER_VERSIONS); do \
		python=; \
		for candidate in "$$(command -v python$$version)" "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python3; do \
			if "$$candidate" -c '' 2> /dev/null; then python=$$candidate; fi; \
		done; \
		if [[ -z "$$python" ]]; then echo "Python $$version is not here, and not tested"; continue; fi; \
		echo "Python $$version: $$python"; \
		$(MAKE) VENV=.venv-$$version PYTHON="$$python" fast; \
	done

fast: $(VENV)/.installed-test
	HYPOTHESIS_PROFILE=quick $(PYTEST) --numprocesses=2 -m "not ($(SLOW))" $(ARGS)

test-nginx: $(VENV)/.installed-test ## The store behind a real nginx, which has to be installed
	$(PYTEST) -m nginx $(ARGS)

test-postgresql: $(VENV)/.installed-test ## The tests of the API on PostgreSQL (make test has them on SQLite)
	TAMS_TEST_DATABASE=postgresql $(PYTEST) $(PARALLEL) tests/api $(ARGS)

test-vast: $(VENV)/.installed-test ## The tests of the API on an emulator of VAST Database
	TAMS_TEST_DATABASE=vast $(PYTEST) $(PARALLEL) tests/api $(ARGS)

test-vast-modes: $(VENV)/.installed-test ## The tests of the repository in every mode of VAST Database
	TAMS_TEST_VAST_MODES=all $(PYTEST) $(PARALLEL) -m vast tests/repository --ignore tests/repository/vast $(ARGS)

coverage: $(VENV)/.installed-test ## Run the tests of make test, and report the lines and branches that none of them runs
	$(PYTEST) $(PARALLEL) -m "not (nginx or fault or kill)" --cov --cov-report=term:skip-covered --cov-report=html $(ARGS)

lint: $(VENV)/.installed-dev ## Check style (ruff), types (mypy --strict), and wording
	@# Every tool runs, so that one failure does not hide the next.
	@status=0; \
	for tool in "ruff check ." "ruff format --check ." "mypy" "python -m tools.prose"; do \
		echo "$$tool"; $(BIN)/$$tool || status=1; \
	done; \
	exit $$status

format: $(VENV)/.installed-dev ## Put the code into the style that lint asks for
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-test ## Measure speed and size; prints a table and writes JSON
	$(BIN)/python -m tools.bench $(ARGS)

conformance: $(VENV)/.installed-test ## Check against the API document SPEC=, on a server of its own or on URL=
	@[[ -n "$(SPEC)" ]] || { \
		echo "make conformance needs the OpenAPI document to check against:" >&2; \
		echo "  make conformance SPEC=path/to/TimeAddressableMediaStore.yaml [URL=http://127.0.0.1:8000]" >&2; \
		exit 2; }
	$(BIN)/python -m tools.conformance --spec "$(SPEC)" $(if $(URL),--url "$(URL)") $(ARGS)

docs: $(VENV)/.installed-docs ## Build the documentation as a site in build/site; a broken link or anchor fails
	@# The variable silences an advertisement for a successor of MkDocs.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean $(ARGS)
	@echo "The site is in build/site. To read it with search: make docs-serve"

docs-serve: $(VENV)/.installed-docs ## Serve the documentation on http://127.0.0.1:8001, with search, until Ctrl-C
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr 127.0.0.1:8001 $(ARGS)

vast-emulator: $(VENV)/.installed-test ## Run a VAST Database emulator to try the store with (docs/how-to/keep-metadata-in-vast.md); ARGS= goes to it
	$(BIN)/python -m tools.vast_emulator $(ARGS)

s3-server: $(VENV)/.installed-test ## Run an S3 server in memory to try the store with (docs/how-to/keep-media-in-s3.md); ARGS= goes to it
	$(BIN)/python -m tools.s3_server $(ARGS)

vast-faults: $(VENV)/.installed-test ## Let every request of every write to VAST Database fail in every way
	TAMS_TEST_VAST_FAULTS=all $(PYTEST) $(PARALLEL) tests/repository/vast/test_faults.py $(ARGS)

vast-sdk-tests: $(VENV)/.installed-test ## Run the tests that VAST ships with its SDK against the emulator; takes minutes
	@$(INSTALL) '.[vast-sdk-tests]'
	$(BIN)/python -m tools.vast_emulator.sdk_tests $(ARGS)

wheel: $(VENV)/.installed ## Build the package into dist/
	$(BIN)/python -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## Remove what was installed and built; the data stay
	rm -rf $(VENV) $(OTHER_VERSIONS:%=.venv-%) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A venv without pip is what python3 makes where Debian's python3-venv is missing: say so, and leave nothing behind.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "The store needs Python 3.11 or later; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python cannot make virtual environments here. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.tools: $(VENV)/.made constraints.txt
	@$(PIP) pip setuptools
	@touch $@

# The editable install runs without build isolation, so that it uses the pinned setuptools.
$(VENV)/.installed: $(VENV)/.tools setup.cfg constraints.txt
	@echo "Installing the store and what it needs"
	@$(REMOVE_RENAMED)
	@$(INSTALL) .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing what the tests need"
	@$(INSTALL) '.[test]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-test
	@echo "Installing what the checks need"
	@$(INSTALL) '.[dev]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	@echo "Installing what the documentation needs"
	@$(INSTALL) '.[docs]'
	@touch $@
