# What people and machines run. Everything is installed into .venv from requirements.lock, hashes checked, once per lock.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes
RUNTIME := $(VENV)/.runtime
EVERYTHING := $(VENV)/.everything

# Each process would compile our own modules anew where Python is told to write no bytecode.
COMPILE := $(BIN)/python -m compileall -q core api worker chainrule migrations
# Several at a time, since many wait for processes; a second BLAS thread in each would spin through the others' turns.
TESTS := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
	--numprocesses 4 --dist loadscope --no-loadscope-reorder

.PHONY: up demo test model check bench chaos soak docs lock clean

up: $(RUNTIME)  ## start the service on this machine; Ctrl-C ends it
	@$(COMPILE)
	@exec $(BIN)/python -m chainrule up

demo: $(EVERYTHING)  ## learn y = 2x and handwritten digits, and look on
	@exec $(BIN)/python -m chainrule demo

test: $(EVERYTHING)  ## all tests; Postgres and Redis too where they answer
	@$(COMPILE)
	$(TESTS)

# or ci: 300 runs, since the long form takes a slow machine more than seven minutes
PROFILE ?= long
model: $(EVERYTHING)  ## the model of a job's life in its long form: 2,000 runs of 50 steps on each database
	$(BIN)/python -m pytest --numprocesses 2 --hypothesis-profile=$(PROFILE) tests/core/store/test_protocol.py

check: $(EVERYTHING)  ## everything that has to be green
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_migrations.py
	@$(COMPILE)
	$(TESTS)

bench: $(EVERYTHING)  ## this core and this service beside others, in one run
	@# By its own choice of kernels, as in a container, whatever this shell says of OpenBLAS.
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python -m benchmarks

chaos: $(EVERYTHING)  ## inject every fault into real processes; writes docs/reliability.md
	$(BIN)/python -m harness.chaos

soak: $(EVERYTHING)  ## ten minutes of many clients and killed workers; CHAINRULE_SOAK_SECONDS and others change it
	$(BIN)/python -m harness.soak

docs: $(EVERYTHING)  ## write the page of all members anew, from the code
	$(BIN)/python -m core.reference > docs/members.md.new
	mv docs/members.md.new docs/members.md

lock: $(UV)  ## find the newest versions that fit pyproject.toml
	$(UV) pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-annotate --no-header --all-extras --group build --group dev pyproject.toml --output-file $(VENV)/lock
	{ head -n 1 requirements.lock; cat $(VENV)/lock; } > $(VENV)/requirements.lock
	mv $(VENV)/requirements.lock requirements.lock

clean:  ## remove what make made, but no data
	rm -rf $(VENV) .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

$(RUNTIME): requirements.lock pyproject.toml | $(UV)
	$(INSTALL) --constraint requirements.lock --requirement pyproject.toml
	@touch $@

$(EVERYTHING): requirements.lock | $(UV)
	$(INSTALL) --requirement requirements.lock
	@touch $@ $(RUNTIME)

$(UV): | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "make: $(PYTHON) is no Python 3.11 or newer: name one, such as  make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
