# Each target works on a fresh machine with Python 3.11 or newer and pip, and nothing else.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test check docs figures clean

demo: $(INSTALLED)  ## train LPT++ on 1,903 emoji, print its shot table and three predictions
	$(BIN)/lptpp fit configs/emoji.yaml

test: $(INSTALLED)  ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadgroup

check: $(INSTALLED)  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)  ## build the site of docs/ into docs/_build/html; a warning is an error
	$(BIN)/sphinx-build -E -W --keep-going -q docs docs/_build/html

figures: $(INSTALLED)  ## draw the pictures of the documentation again
	$(BIN)/python docs/figures/method.py

clean:  ## remove the environment; runs stay
	rm -rf .venv

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	@echo "Installing PyTorch and the other libraries: one to four minutes ..."
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $(INSTALLED)
