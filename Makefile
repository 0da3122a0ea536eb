# make demo    installs into .venv, indexes Python's own documentation and asks it questions
# make test    every test and check
# make lint    the checks of form alone: types, style, formatting
# make clean   removes what the others made
#
# Needs python3 (3.10 or newer), a C compiler and make. Variables:
#   PYTHON  the interpreter that makes .venv
#   JOBS    processes that run tests side by side (default: one for each processor, at most 8)

PYTHON = python3

VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST_FLAGS =
JOBS = auto

# What the compiled core is made of: when it changes, the core is built anew.
CORE = pyproject.toml setup.py mvdb/_core_build.py mvdb/core.cdef.h \
       $(wildcard csrc/*.h csrc/*/*.h csrc/*/*.c)

.PHONY: help demo test lint clean
.NOTPARALLEL:

help:
	@sed -n 's/^# make/make/p' Makefile

demo: $(VENV)/.demo
	$(BIN)/mvdb demo

test: $(VENV)/.test
	$(MAKE) lint
	$(MAKE) -C csrc/test test
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal $(PYTEST_FLAGS)

lint: $(VENV)/.test
	$(BIN)/mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $$(find csrc -name '*.c' -o -name '*.h')

# Installed in place (editable), core included: the tests are for the sources that one sees, and a
# folder mvdb without its core in the working folder would hide an installed one.
$(VENV)/.test: $(CORE) | $(BIN)/python
	$(PIP) --editable ".[dev,cli]"
	touch $@

$(VENV)/.demo: $(CORE) | $(BIN)/python
	$(PIP) --editable ".[text,cli]"
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

clean:
	$(MAKE) -C csrc/test clean
	rm -rf $(VENV) .demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f mvdb/_core.c mvdb/_core*.so mvdb/_core*.o
	find mvdb tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
