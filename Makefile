# Two commands matter: `make run` trains a small DALL·E mini and draws; `make test` checks that all is well.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: run test test-all install lab build drift lint clean

run: $(INSTALLED)  ## tokenizer → VQGAN → BART on the bundled emoji, then pictures: about a quarter of an hour on two cores
	$(BIN)/minidalle run --preset cpu

TESTS := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: $(INSTALLED)  ## all tests but the long ones
	$(TESTS) -m 'not slow'

test-all: $(INSTALLED)  ## the long ones too: every lesson, whole trainings that are killed, a class that is graded
	$(TESTS)

install: $(INSTALLED)  ## the virtual environment, with pinned versions

lab: $(INSTALLED)  ## JupyterLab on the lessons
	$(BIN)/jupyter lab

build: $(INSTALLED)  ## the lessons' notebooks, from solutions/*/lesson.py and the package
	$(BIN)/minidalle build

drift: $(INSTALLED)  ## are the notebooks what `make build` would make?
	$(BIN)/minidalle build --check

lint: $(INSTALLED)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## the virtual environment and the caches of tools; never your runs
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build *.egg-info

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit("Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[course,dev]'
	@touch $(INSTALLED)
