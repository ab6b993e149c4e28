# `make demo` and `make test` need Python 3.11 or newer and make; they install everything else into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JSFORCE := tests/conformance/jsforce

.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,dev,docs]'
	@touch $@

install: $(VENV)/.installed  ## set up .venv

demo: install  ## send 2,000 events of the sample through the whole system into an emulated org
	@$(BIN)/pipeline demo

test: install  ## run every test
	@$(BIN)/python -m pytest -n 4 --dist loadgroup  # more than cores: the longest tests wait for leases and timeouts

bench: install  ## measure speed, API calls and latency, and write docs/benchmarks.md (FULL=1: in full size, an hour; RUNS=5: targets five times more)
	@$(BIN)/python benchmarks/run.py $(if $(FULL),--full) $(if $(RUNS),--runs $(RUNS))

conformance: install  ## hold the local org against simple-salesforce and jsforce (needs Node.js 20 and npm)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup tests/conformance
	@command -v node >/dev/null && command -v npm >/dev/null || { \
	  echo "jsforce was not run: put node (20 or newer) and npm on PATH, then run make conformance again"; exit 1; }
	@cd $(JSFORCE) && npm install --no-package-lock --no-audit --no-fund --loglevel=error
	@PIPELINE=$(CURDIR)/$(BIN)/pipeline node $(JSFORCE)/main.mjs

clients: install  ## run ten Salesforce clients against the local org and write docs/emulator.md (installs them; needs npm, the network)
	@$(BIN)/python -m tests.clients

chaos: install  ## 20,000 events while workers are killed, Redis is restarted and the org fails; SEED=n repeats a run
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED))

fuzz: install  ## odd messages on the queue of a real worker (MINUTES=60; SEED=n repeats a run)
	@nice $(BIN)/python -m tests.fuzz $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

test-rabbitmq: install  ## the tests of whole systems with RabbitMQ as the broker; installs it (Debian) where missing
	@$(BIN)/python -m tests.rabbitmq

hostile: install  ## the sample with each variable of other programs that docs/deployment.md names, one by one
	@$(BIN)/python -m tests.hostile

producers: install  ## send with the oldest and the newest Celery that a producer may have, each installed anew (needs the network)
	@$(BIN)/python -m tests.producers

docs: install  ## build the documentation into site/; fails at a link that leads nowhere
	@$(BIN)/zensical build --clean --strict

lint: install  ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

audit:  ## look the pinned dependencies up among the known vulnerabilities (needs the network)
	@$(PYTHON) -m venv $(VENV)-audit
	@$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@$(VENV)-audit/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

format: install  ## apply the style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

screenshots: install  ## take the pictures of the console for docs/ anew (needs Chromium)
	@$(BIN)/python -m tests.screenshots

reference: install  ## write the commands' help into docs/commands.md
	@$(BIN)/python -m pipeline.cli.reference

clean:  ## remove .venv and caches
	rm -rf $(VENV) $(VENV)-audit .clients site .mypy_cache .pytest_cache .ruff_cache .hypothesis

.PHONY: help install screenshots demo test fuzz bench conformance clients test-rabbitmq producers chaos hostile docs lint audit format reference clean
