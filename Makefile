# Two commands matter: `make verify` checks every claim of the paper, `make test` runs the test suite.
# `make lowest` tests with the lowest versions that pyproject.toml declares, and PYTHON=python3.13 any with that Python.
# `make peers` tests the adapters with the projects that they adapt: stable-worldmodel 0.1.1, or SWM=, anything that pip installs.
# Each target sets up .venv by itself; the second time that costs nothing.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
SMOKE := report/smoke
LOWEST := .venv-lowest
PEERS := .venv-peers
# Another version (SWM=stable-worldmodel==0.1.2) or the path of a checkout (SWM=../stable-worldmodel).
SWM ?= stable-worldmodel==0.1.1

FIGURES ?= report/figures

# The environment alone, for planning with a model of one's own.
setup: $(READY)

.PHONY: setup verify test slow smoke docs lowest peers mutants lint clean

verify: $(READY)
	$(BIN)/python -m paper_checks $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -n auto $(ARGS)

slow: $(READY)
	$(BIN)/python -m pytest -n auto -m "slow and not gpu" $(ARGS)

# Every command of the study once, in its quick mode and from nothing.
smoke: $(READY)
	rm -rf $(SMOKE)
	$(BIN)/python -m experiments tune wall_single --quick --planner GRASP --results $(SMOKE)/tuning
	for table in 1 2 3 4 5 mpc tuning; do $(BIN)/python -m experiments table $$table --quick --workers 2 --results $(SMOKE) || exit 1; done
	$(BIN)/python -m experiments status --results $(SMOKE) --compact
	$(BIN)/python -m experiments figure-data --quick --out $(SMOKE)
	$(BIN)/python -m figures --output $(SMOKE)/figures

# The site, with the network unplugged: report/site/index.html.  Its gallery is what `python -m figures` draws, the first
# time in some minutes; FIGURES= names a folder that has them.  The search needs a server: python -m http.server -d report/site
docs: $(READY)
	test -f $(FIGURES)/world-models.png || $(BIN)/python -m figures --output $(FIGURES)
	FIGURES=$(FIGURES) NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Before a release: what users with the oldest dependencies get.  No constraints; torch comes with what it needs.
lowest:
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip compile --quiet --resolution lowest-direct --python $(LOWEST)/bin/python --extra tasks --group dev \
		--output-file $(LOWEST)/lowest.txt pyproject.toml
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(LOWEST)/bin/python -m pytest -n auto tests/linear_systems tests/grasp_theory tests/paper_checks $(ARGS)

# The peers in an environment of their own, without the extra `tasks`: its gym-pusht needs pymunk < 7, and the
# Push-T of stable-worldmodel, whose pictures need pygame, OpenCV and shapely, pymunk 7.  About 6 GB.
peers:
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --editable . "$(SWM)" \
		torch==2.14.1 torchvision==0.29.1 imageio hydra-core "pymunk>=7" pygame opencv-python-headless shapely \
		pytest pytest-timeout pytest-xdist beartype hypothesis
	$(PEERS)/bin/python -W ignore -c "import cv2, pygame, pymunk, shapely, stable_worldmodel; print(stable_worldmodel.__file__)"
	$(PEERS)/bin/python -m pytest -n auto tests/grasp_theory/adapters $(ARGS)

# Plants small faults, a sample by seed, and counts those that tests and claims notice.  An hour of a core; goes on where it stopped.
mutants: $(READY)
	$(BIN)/python tests/support/mutants.py $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv $(LOWEST) $(PEERS) report build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group dev --editable ".[tasks]"
	touch $(READY)
