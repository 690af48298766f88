# Each target works on a fresh machine with Python 3.11 or newer and pip, and nothing else.
PYTHON ?= python3
LOCK ?=# a file of versions to install, such as constraints/dev.txt; by default the newest that fit
BIN := .venv/bin
DEMO := .venv/demo-installed
DEV := .venv/dev-installed
FLOORS := .venv-floors
INSTALL := -m pip install --quiet $(if $(LOCK),--constraint $(LOCK))
FLOOR_EXTRAS := demo,parquet,datasets,webdataset,heif,hub,sweep,tensorboard,onnx
FLOOR_TESTS := tests/models tests/backbones tests/config tests/data tests/training/test_loop.py tests/test_losses.py \
	tests/test_samplers.py
unexport PYTHONDONTWRITEBYTECODE  # containers set it, and every process of the tests would compile the package again
SHORT := phase1.epochs=1 phase2.epochs=1 phase3.epochs=1 augmentation.cached_views=1 evaluation.baselines=[]

.PHONY: demo test reliability check docs figures wheel floors lock clean

demo: $(DEMO)  ## train LPT++ on 1,903 emoji, print its shot table and three predictions
	$(BIN)/lptpp fit emoji

test: $(DEV)  ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

reliability: $(DEV)  ## try every promise about crashes, full disks and hostile files: less than 20 minutes on 2 free cores
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.reliability --write docs/reliability.md

check: $(DEV)  ## lint, format, types, order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-logo

docs: $(DEV)  ## build the site of docs/ into docs/_build/html; a warning is an error
	$(BIN)/sphinx-build -E -W --keep-going -q docs docs/_build/html

figures: $(DEV)  ## draw the figures of the documentation again
	$(BIN)/python docs/figures/method.py
	$(BIN)/python docs/figures/screenshots.py runs/emoji  # after make demo; needs chromium

wheel: $(DEV)  ## build dist/, install the wheel next to PyTorch of .venv, otherwise clean, and train outside of this folder
	rm -rf build dist
	$(BIN)/python -m build
	$(BIN)/python -m tests.packaging.archives dist
	PYTHON=$(BIN)/python LENDER=$(BIN)/python LOCK=$(abspath $(LOCK)) tests/packaging/try_wheel.sh dist/*.whl $(SHORT)

floors: $(FLOORS)/installed  ## run the core tests and a short training with the lowest versions of all dependencies
	OMP_NUM_THREADS=1 $(FLOORS)/bin/pytest -n auto --dist loadfile $(FLOOR_TESTS)
	$(FLOORS)/bin/lptpp fit emoji run=$(FLOORS)/emoji $(SHORT)
	rm -r $(FLOORS)/emoji

lock: $(DEV)  ## write constraints/dev.txt: the versions in .venv
	$(BIN)/python -m tests.packaging.lock > constraints/dev.txt

clean:  ## remove the environments and what was built; runs stay
	rm -rf .venv $(FLOORS) build dist docs/_build

$(DEMO): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing PyTorch and the libraries of the demo: one to four minutes ..."
	$(BIN)/python $(INSTALL) --editable ".[demo]"
	touch $@

$(DEV): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing PyTorch and all libraries of the tests: one to four minutes ..."
	$(BIN)/python $(INSTALL) --editable ".[dev]"
	touch $(DEMO) $@

$(FLOORS)/installed: pyproject.toml constraints/lowest.txt
	$(PYTHON) -m venv --clear $(FLOORS)
	@echo "Installing the lowest versions of all libraries: one to four minutes ..."
	$(FLOORS)/bin/python -m pip install --quiet --constraint constraints/lowest.txt --editable ".[$(FLOOR_EXTRAS)]" \
		pytest pytest-xdist
	touch $@
