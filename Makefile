# Two commands are all: `make demo` and `make test`. Both set everything up first, once.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs tables clean

# The first Python that the pinned packages are made for; PYTHON=/path/to/python3 overrides it.
FIND_PYTHON = for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$python && exit; done; echo python3
SETUP_PYTHON = $(or $(PYTHON),$(shell $(FIND_PYTHON)))
# openmmlab, or onedl: OpenMMLab's maintained forks with mmrotate, for oriented boxes.
STACK ?= openmmlab
VENV = .venv$(if $(filter onedl,$(STACK)),-onedl)

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | awk -F': *' '{printf "  make %-7s %s\n", $$1, $$2}'
	@echo '  Variables of the set-up (STACK, PYTHON, MMEST_TORCH, MMEST_CUDA, MMEST_FIND_LINKS, MAX_JOBS): python3 tools/setup_env.py --help'

setup:  ## install everything into .venv
	@$(SETUP_PYTHON) tools/setup_env.py --stack $(STACK)

demo: setup  ## where a side network matters and where not, on an embedded data set; results in work_dirs/demo
	@$(VENV)/bin/python tools/demo.py

test: setup  ## run the tests
	@$(VENV)/bin/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadscope

lint: setup  ## check style and types: ruff format, ruff check, mypy
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements/lint.txt
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/mypy

clean:  ## remove .venv and caches; results, data and the cached wheel of mmcv stay
	rm -rf .venv* site build dist *.egg-info mmest/.mim .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

docs:  ## build the documentation's site into site/; needs neither torch nor the set-up
	@test -x .venv-docs/bin/python || $(SETUP_PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements/docs.txt
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

tables: setup  ## make docs/benchmarks.md, docs/memory.md and docs/study.md from benchmarks/
	@rm -rf docs/benchmarks  # what removed records left there
	@$(VENV)/bin/python tools/make_tables.py benchmarks/results --notes benchmarks/notes.md --texts benchmarks/memory.md --into README.md --model-index . --out docs --study benchmarks/grids/accuracy.py --trials benchmarks/trials
