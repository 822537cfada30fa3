# make demo      the whole loop on real data in its own virtual environment
# make examples       five applications on samples that they make themselves
# make examples-real  the same on the real data in DATA (../shared/data), and one table
# make test      lint, types and every test, in its own virtual environment
# make format    let ruff mend what it can
# make clean     remove what these targets made (the registry stays)

PYTHON ?= python3
VENV ?= .venv
DATA ?= ../shared/data
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo examples examples-real test lint format clean

demo: $(VENV)/.core
	@BIN="$(abspath $(BIN))" sh demo.sh

examples: $(VENV)/.examples
	@$(BIN)/python -m examples

examples-real: $(VENV)/.examples
	@$(BIN)/python -m examples --data $(DATA)

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed, but $(PYTHON) is older"; \
	    echo "try: make PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "error: $(PYTHON) cannot make a virtual environment"; \
	    echo "try: apt-get install python3-venv"; exit 2; }

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) ..."
	$(PIP) --editable .
	@touch $@

$(VENV)/.examples: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV), what the examples need included ..."
	$(PIP) --editable '.[examples]'
	@touch $@ $(VENV)/.core

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV), tools for the tests included ..."
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.core
