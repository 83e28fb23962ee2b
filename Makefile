# What a person types. `make quickstart` does the main job, `make test` passes the tests; both install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test lint types bench bench-compare cold-start aarch64 fuzz signals swaps wheel-check docs clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

quickstart: $(VENV)/.installed  ## train, export, verify, measure and classify, in three minutes (ten with AVX2 alone)
	$(BIN)/edgefm quickstart

PYTEST_WORKERS ?= 2
# Without compiled files each process would rewrite the assertions of all tests anew, which takes seconds.
test: $(VENV)/.installed  ## every test, in two processes, the long files first: most spend their time in one thread
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed  ## ruff and the layer contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed  ## mypy, strict: the packages, and what is never packaged
	$(BIN)/mypy
	$(BIN)/mypy benchmarks tools

RESULTS := benchmarks/results
BENCH_RUN := $(RESULTS)/run
SUITES := $(wildcard benchmarks/bench_*.py)

$(BENCH_RUN)/.made: $(VENV)/.installed
	$(BIN)/python -m benchmarks.model $(BENCH_RUN)
	touch $@

bench: $(VENV)/.installed  ## every suite and every peer, under ten minutes; leaves JSON, Markdown and HTML in benchmarks/results/
	rm -rf $(BENCH_RUN)
	$(MAKE) $(RESULTS)/benchmarks.json
	$(BIN)/python -m benchmarks.peers $(BENCH_RUN) --rounds 5 --out $(RESULTS)/peers.json
	$(BIN)/python -m benchmarks.summary $(RESULTS)

bench-compare: $(VENV)/.installed  ## measure anew and compare the ratios to the bare libraries with benchmarks/baseline.json
	$(MAKE) $(RESULTS)/benchmarks.json
	$(BIN)/python -m benchmarks.compare $(RESULTS)/benchmarks.json

.PHONY: $(RESULTS)/benchmarks.json
$(RESULTS)/benchmarks.json: $(BENCH_RUN)/.made
	EDGEFM_BENCH_RUN=$(BENCH_RUN) $(BIN)/python -m pytest -q $(SUITES) --benchmark-columns=median,iqr,rounds --benchmark-json=$@

cold-start: $(VENV)/.installed  ## one photo, whole process, beside a bare onnxruntime script
	$(BIN)/python benchmarks/startup/cold_start.py

aarch64: $(VENV)/.installed  ## infer and verify an ONNX artifact on an emulated aarch64, beside this machine
	$(BIN)/python tools/aarch64.py $(AARCH64_ARGS)

FUZZ_SECONDS ?= 3600
FUZZ_TARGETS := photo metadata onnx openvino litert golden profile keras recipe npz csv idx
fuzz: $(VENV)/.installed  ## mutated photos, artifacts, model files, recipes and data sets, a million each or FUZZ_SECONDS altogether
	$(BIN)/python -m pip install --quiet atheris
	for target in $(FUZZ_TARGETS); do \
	  $(BIN)/python tests/fuzz/fuzz.py $$target -runs=1000000 -max_total_time=$$(($(FUZZ_SECONDS) / $(words $(FUZZ_TARGETS)))) || exit 1; \
	done

signals: $(VENV)/.installed  ## fifty signals at random moments to each command; half an hour
	EDGEFM_SIGNAL_MOMENTS=50 $(BIN)/python -m pytest -q tests/integration/processes/test_signals.py

swaps: $(VENV)/.installed  ## a thousand artifacts, good and bad, in the place of one that is served under load; minutes
	EDGEFM_SWAP_ROUNDS=334 $(BIN)/python -m pytest -q tests/unit/serving/test_swaps.py -k under_load

wheel-check: $(VENV)/.installed  ## build the wheel, install it alone elsewhere, classify a photo with it
	$(BIN)/python tools/check_wheel.py

docs: $(VENV)/.installed  ## the documentation as a site in build/docs, without network; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs build/docs

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
