# One environment for every target, made once: the stamp is older than pyproject.toml only when dependencies may have changed.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
TOOLS  := build/tools
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo train test coverage test-all lint typecheck lock audit clean

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

TEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow and not gpu"

test: $(STAMP) ## Run the tests, without the slow ones
	$(TEST) $(ARGS)

# Apart from "test": following every line takes half as long again.
coverage: $(STAMP) ## Run the same tests and show which lines they do not reach
	$(TEST) --cov --cov-report=term --cov-fail-under=90 $(ARGS)

test-all: $(STAMP) ## Run every test, the slow ones too
	$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP) ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(STAMP) ## Check types
	$(BIN)/mypy

# In an environment of their own: what locks and judges the dependencies is not one of them.
$(TOOLS)/bin/%:
	test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet $*

# For every platform and Python at once. Versions already locked stay as long as pyproject.toml allows them.
lock: $(TOOLS)/bin/uv ## Pin dependencies in requirements.lock: make lock ARGS=--upgrade for the newest
	$(TOOLS)/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command 'make lock    (the newest releases: make lock ARGS=--upgrade)' \
	  --quiet --output-file requirements.lock $(ARGS)

# Looks up what this Python on this platform would install. Fails with 1 for vulnerabilities and with 2 where it found
# out nothing, since an audit that did not happen must not pass. Without --strict it would: a mirror that knows nothing
# of vulnerabilities counts as one that knows of none.
audit: $(TOOLS)/bin/pip-audit ## Look up known vulnerabilities of the dependencies in requirements.lock
	@$(TOOLS)/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip --strict \
	  --progress-spinner off $(ARGS) >$(TOOLS)/audit.log 2>&1; status=$$?; \
	if [ $$status = 0 ] || grep -q '^Found [0-9]' $(TOOLS)/audit.log; then cat $(TOOLS)/audit.log; exit $$status; fi; \
	echo "NOT AUDITED: no complete answer from the database of vulnerabilities; see $(TOOLS)/audit.log" >&2; exit 2

clean: ## Remove caches and build products (outputs/ and .venv stay)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .coverage
	find mri_cyclegan tests -name __pycache__ -type d -prune -exec rm -rf {} +
