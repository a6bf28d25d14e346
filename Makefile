# setup makes .venv; every other target calls it as needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export BENTOML_DO_NOT_TRACK := true

.PHONY: setup demo test test-slow lint bench bench-quality clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: setup
	$(BIN)/watchgate demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n auto -m 'not slow'

test-slow: setup
	$(BIN)/pytest -m slow

bench: setup
	$(BIN)/python -m benchmarks.serving

bench-quality: setup
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.purifiers

clean:
	rm -rf $(VENV) .cache build dist *.egg-info
