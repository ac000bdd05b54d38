# Entry points for people and CI. Everything is installed into .venv from requirements.lock with hashes, once per lock file.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes
RUNTIME := $(VENV)/.runtime
EVERYTHING := $(VENV)/.everything

# Without this, each process would compile our modules again where Python may write no bytecode.
COMPILE := $(BIN)/python -m compileall -q core api worker chainrule migrations
# Four at a time, since many tests wait for processes; one BLAS thread each, since idle BLAS threads spin.
TESTS := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
	--numprocesses 4 --dist loadscope --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help up demo test model check bench chaos soak load docs lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

up: $(RUNTIME)  ## start the service on this machine; Ctrl-C ends it
	@$(COMPILE)
	@exec $(BIN)/python -m chainrule up

demo: $(EVERYTHING)  ## train y = 2x and handwritten digits in the terminal
	@exec $(BIN)/python -m chainrule demo

test: $(EVERYTHING)  ## all tests; Postgres and Redis too where they answer
	@$(COMPILE)
	$(TESTS)

# PROFILE=ci runs 300 examples; the long form takes a slow machine more than seven minutes.
PROFILE ?= long
model: $(EVERYTHING)  ## model-based test of the job protocol, long form: 2,000 runs of 50 steps per database
	$(BIN)/python -m pytest --numprocesses 2 --hypothesis-profile=$(PROFILE) tests/core/store/test_protocol.py

check: $(EVERYTHING)  ## the whole gate: format, lint, types, contracts, tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_migrations.py
	@$(COMPILE)
	$(TESTS)

bench: $(EVERYTHING)  ## measure core and service beside others, in one run; writes docs/benchmarks.md
	@# Let OpenBLAS choose its kernels, as in a container, even if this shell sets them.
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python -m benchmarks

chaos: $(EVERYTHING)  ## inject every fault into real processes; writes docs/reliability.md
	$(BIN)/python -m harness.chaos

soak: $(EVERYTHING)  ## ten minutes of many clients and killed workers; CHAINRULE_SOAK_… variables change it
	$(BIN)/python -m harness.soak

load: $(EVERYTHING)  ## attack the service beside ordinary clients, for some seven minutes; writes docs/reliability.md
	$(BIN)/python -m harness.load

docs: $(EVERYTHING)  ## write the reference pages from the code
	$(BIN)/python -m chainrule.reference docs/reference

lock: $(UV)  ## update requirements.lock to the newest versions that fit pyproject.toml
	$(UV) pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-annotate --no-header --all-extras --group install --group build --group dev \
		pyproject.toml --output-file $(VENV)/lock
	{ head -n 1 requirements.lock; cat $(VENV)/lock; } > $(VENV)/requirements.lock
	mv $(VENV)/requirements.lock requirements.lock

clean:  ## remove build products, but no data
	rm -rf $(VENV) .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

$(RUNTIME): requirements.lock pyproject.toml | $(UV)
	@echo "make: installing what the service needs into $(VENV) (once)"
	$(INSTALL) --constraint requirements.lock --requirement pyproject.toml
	@touch $@

$(EVERYTHING): requirements.lock | $(UV)
	@echo "make: installing everything into $(VENV) (once)"
	$(INSTALL) --requirement requirements.lock
	@touch $@ $(RUNTIME)

$(UV): | $(BIN)/python
	@echo "make: installing the installer, uv, into $(VENV)"
	@# uv's lines of the lock file, so that uv is installed by hash too.
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock | \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement /dev/stdin

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "make: $(PYTHON) is no Python 3.11 or newer: name one, such as  make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
