# Every target makes .venv on its own when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test lint format docs bench results clean
.DEFAULT_GOAL := help

help:           ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "fusionbench needs Python 3.10 or newer; set PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(READY)  ## create .venv with everything needed

demo: $(READY)   ## the main job: PanNet on (simulated) WorldView-3, in minutes
	$(BIN)/python train.py model=pannet data=worldview3

test: $(READY)   ## the test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(READY)   ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)   ## regenerate the generated pages of docs/
	$(BIN)/python scripts/model_page.py
	$(BIN)/python scripts/coverage_page.py
	$(BIN)/python scripts/metrics_page.py

bench: $(READY)  ## performance figures, as JSON under benchmarks/results/
	$(BIN)/python -m benchmarks

clean:           ## remove caches, not results
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
