# The two commands of the README are `make demo` and `make test`. Nothing here asks a question.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
NATIVE := $(wildcard native/*)
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help install demo check format test clean

help:
	@echo "make demo     install, then train, test and report on the data set that ships with the package"
	@echo "make test     make check, then all tests"
	@echo "make install  only install, into $(VENV)"
	@echo "make check    ruff and pyright"
	@echo "make format   lay the code out with ruff"
	@echo "make clean    remove $(VENV) and caches"
	@echo "PYTHON=python3.12 make ...   choose the interpreter (3.11 or newer)"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is not Python 3.11 or newer; choose one: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The stamps hold that an installation is complete; newer pyproject.toml, constraints.txt or sources of the kernel make them old.
$(VENV)/.installed: pyproject.toml constraints.txt $(NATIVE) | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt $(NATIVE) | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $(VENV)/.installed $@

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/tidegate demo

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Two processes, a file of tests at a time. Threads of torch that wait for work leave the processor to the other process.
test: check
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --dist loadfile

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
