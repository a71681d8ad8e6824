# `make demo` and `make test` set up everything they need. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .peers
export DAGSTER_HOME ?= $(CURDIR)/data/dagster

.PHONY: demo dev test lint bench sample models clean

demo: $(VENV)/installed
	$(BIN)/asset-pipeline plan autumn-tiles
	$(BIN)/asset-pipeline run autumn-tiles

dev: $(VENV)/installed
	$(BIN)/asset-pipeline register
	$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1

test: $(VENV)/installed-dev $(PEERS)/installed
	$(BIN)/pytest -n auto

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-bench $(PEERS)/installed
	$(BIN)/python benchmarks/store_writers.py
	$(BIN)/python benchmarks/kill_runs.py --kills 32
	$(BIN)/python benchmarks/kill_runs.py --kills 20 --profile scene --products 25
	$(BIN)/python benchmarks/kill_providers.py --kills 100
	$(BIN)/python benchmarks/lossy_wire.py
	$(BIN)/python benchmarks/webhook_deliveries.py
	$(BIN)/python benchmarks/routing.py
	$(BIN)/python benchmarks/generation_loop.py
	$(BIN)/python benchmarks/funnel.py
	$(BIN)/python benchmarks/feeds.py
	$(BIN)/python benchmarks/feed_fuzz.py --feeds 10000
	$(BIN)/python benchmarks/prompts.py
	$(BIN)/python benchmarks/text_orientation.py
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/planted_defects.py
	$(BIN)/python benchmarks/calibration.py

# The sample catalog's photographs, rendered anew.
sample: $(VENV)/installed
	$(BIN)/python -m asset_pipeline.sample.photographs data/catalog

# The small models anew: two hours on two cores, minutes on a GPU; killed and started again, it goes on.
models: $(VENV)/installed
	$(BIN)/python -m training.render build/pictures
	$(BIN)/python -m training.autoencoder build/pictures build/training
	$(BIN)/python -m training.text_encoder build/pictures build/training
	$(BIN)/python -m training.denoiser build/pictures build/training
	$(BIN)/python -m training.alignment build/pictures build/training
	$(BIN)/python -m training.judge build/pictures build/training
	$(BIN)/python -m training.publish build/training data/models
	$(BIN)/asset-pipeline models pin sample-diffusion
	$(BIN)/asset-pipeline models pin sample-clip
	$(BIN)/python -m training.follow build/pictures data/models

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/installed

$(VENV)/installed-bench: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	touch $@ $(VENV)/installed $(VENV)/installed-dev

# The real services and clients that tests start, each apart from the project's own packages (peers/README.md).
$(PEERS)/installed: peers/constraints.txt peers/constraints-mitmproxy.txt peers/package.json | $(VENV)/installed-dev
	$(BIN)/python -m venv --without-pip $(PEERS)/python
	$(BIN)/pip --python $(PEERS)/python/bin/python install -qq --no-compile --constraint peers/constraints.txt \
		cog fal-client google-genai openai replicate runpod standardwebhooks together
	$(BIN)/python -m venv --without-pip $(PEERS)/mitmproxy
	$(BIN)/pip --python $(PEERS)/mitmproxy/bin/python install -qq --no-compile --constraint peers/constraints-mitmproxy.txt \
		mitmproxy
	mkdir -p $(PEERS)/prism
	cp peers/package.json $(PEERS)/prism
	npm install --prefix $(PEERS)/prism --silent --prefer-offline --no-package-lock --no-audit --no-fund
	touch $@

# Forgets what was made: facts, images, exports and Dagster's runs. What people wrote stays.
clean:
	rm -rf data/store data/exports data/reports
	find data/dagster -mindepth 1 ! -name dagster.yaml -delete
