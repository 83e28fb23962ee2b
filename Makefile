# What a person types. `make quickstart` does the main job, `make test` passes the tests; both install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test lint types bench cold-start wheel-check clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

quickstart: $(VENV)/.installed  ## train, export, verify, measure and classify, in about three minutes
	$(BIN)/edgefm quickstart

test: $(VENV)/.installed  ## every test
	$(BIN)/python -m pytest

lint: $(VENV)/.installed  ## ruff and the layer contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed  ## mypy, strict
	$(BIN)/mypy

bench: $(VENV)/.installed  ## latency of every engine beside Keras; leaves benchmarks/results/latency.json
	mkdir -p benchmarks/results
	$(BIN)/python -m pytest benchmarks/bench_latency.py --benchmark-json=benchmarks/results/latency.json

cold-start: $(VENV)/.installed  ## one photo, whole process, beside a bare onnxruntime script
	$(BIN)/python benchmarks/cold_start.py

wheel-check: $(VENV)/.installed  ## build the wheel, install it alone elsewhere, classify a photo with it
	$(BIN)/python tools/check_wheel.py

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
