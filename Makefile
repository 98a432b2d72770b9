# Two commands matter: `make verify` checks every claim of the paper, `make test` runs the test suite.
# Each target sets up .venv by itself; the second time that costs nothing.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: verify test slow lint clean

verify: $(READY)
	$(BIN)/python -m paper_checks $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -n auto $(ARGS)

slow: $(READY)
	$(BIN)/python -m pytest -n auto -m "slow and not gpu" $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv report build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $(READY)
