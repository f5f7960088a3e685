# One environment for every target, made once: the stamp is older than pyproject.toml only when dependencies may have changed.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo train test test-all lint typecheck clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

install: $(STAMP) ## Install everything into .venv (once; a few minutes)

demo: $(STAMP) ## Train on the digital phantom, sized for two CPU cores
	$(BIN)/python -m mri_cyclegan.train +experiment=demo $(ARGS)

train: $(STAMP) ## Train: make train ARGS="+experiment=baseline data=bids data.root=/path"
	$(BIN)/python -m mri_cyclegan.train $(ARGS)

test: $(STAMP) ## Run the tests (without the slow ones) and measure line coverage
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow and not gpu" --cov --cov-report=term --cov-fail-under=90 $(ARGS)

test-all: $(STAMP) ## Run every test, the slow ones too
	$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP) ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(STAMP) ## Check types
	$(BIN)/mypy

clean: ## Remove caches and build products (outputs/ and .venv stay)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .coverage
	find mri_cyclegan tests -name __pycache__ -type d -prune -exec rm -rf {} +
