# make demo    installs into .venv, indexes Python's own documentation and asks it questions
# make test    every test and check that needs no torch
# make frameworks
#              the tests of libraries that need torch, in an environment of its own
# make lint    the checks of form alone: types, style, formatting
# make clean   removes what the others made
#
# Needs python3 (3.10 or newer), a C compiler and make. Variables:
#   PYTHON  the interpreter that makes .venv
#   JOBS    processes that run tests side by side (default: one for each processor, at most 8)
#   TORCH   what pip installs as torch. On Linux the public index has it with CUDA, gigabytes of it;
#           pip's --index-url may be given here to take a build for the CPU alone.

PYTHON = python3
TORCH = torch==2.13.0

VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST_FLAGS =
JOBS = auto

# What the compiled core is made of: when it changes, the core is built anew.
CORE = pyproject.toml setup.py mvdb/_core_build.py mvdb/core.cdef.h \
       $(wildcard csrc/*.h csrc/*/*.h csrc/*/*.c)

FRAMEWORKS = .venv-torch
OF_TORCH = tests/encoders/test_sentence.py tests/importers/test_import_real.py \
           tests/integrations/test_sentence_transformers.py tests/integrations/test_mteb.py \
           tests/integrations/test_txtai.py

.PHONY: help demo test frameworks lint clean
.NOTPARALLEL:

help:
	@sed -n 's/^# make/make/p' Makefile

demo: $(VENV)/.demo
	$(BIN)/mvdb demo

test: $(VENV)/.test
	$(MAKE) lint
	$(MAKE) -C csrc/test test
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal $(PYTEST_FLAGS)

frameworks: $(FRAMEWORKS)/.test
	$(FRAMEWORKS)/bin/python -m pytest $(PYTEST_FLAGS) $(OF_TORCH)

lint: $(VENV)/.test
	$(BIN)/mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $$(find csrc -name '*.c' -o -name '*.h')

# Installed in place (editable), core included: the tests are for the sources that one sees, and a
# folder mvdb without its core in the working folder would hide an installed one.
$(VENV)/.test: $(CORE) | $(BIN)/python
	$(PIP) --editable ".[dev]"
	touch $@

$(VENV)/.demo: $(CORE) | $(BIN)/python
	$(PIP) --editable ".[text,cli]"
	touch $@

# torch first and by itself, so that no package's requirement chooses another build.
$(FRAMEWORKS)/.test: $(CORE)
	$(PYTHON) -m venv $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(FRAMEWORKS)/bin/python -m pip install --quiet --disable-pip-version-check \
	    --editable ".[cli,mteb,torch,txtai]" chromadb datasets pytest hypothesis lancedb pillow qdrant-client sqlitedict
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

clean:
	$(MAKE) -C csrc/test clean
	rm -rf $(VENV) $(FRAMEWORKS) .demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f mvdb/_core.c mvdb/_core*.so mvdb/_core*.o
	find mvdb tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
