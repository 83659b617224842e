# Every command a person or CI runs. Bare `make` prints the list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python
N ?= 20000
KILLS ?= 200

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Set-up: a virtual environment with the locked packages, made again when the lock changes.
.venv/local: requirements/local.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.11")'
	@test -x $(RUN) || $(PYTHON) -m venv .venv
	@echo "Installing locked packages (once) ..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/local.txt
	@touch $@

.venv/dev: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.11")'
	@test -x $(RUN) || $(PYTHON) -m venv .venv
	@echo "Installing locked packages (once) ..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@ .venv/local

.PHONY: demo run test
demo: .venv/local ## a campaign of 1,000 through a simulated gateway, from CSV to report
	@$(RUN) -m deploy.local.demo

run: .venv/local ## the service on embedded servers; Ctrl-C drains
	@$(RUN) -m deploy.local.run

test: .venv/dev ## every test
	$(RUN) -m pytest -q

.PHONY: check format lint types imports schema
check: format lint types imports test ## what CI runs: format, lint, types, imports, tests

format: .venv/dev ## is the code formatted
	$(BIN)/ruff format --check --quiet .

lint: .venv/dev ## ruff, every rule
	$(BIN)/ruff check --quiet .

types: .venv/dev ## mypy, strict
	$(BIN)/mypy

imports: .venv/dev ## who may import whom
	$(BIN)/lint-imports

fmt: .venv/dev ## format the code, and mend what ruff can
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

FUZZ ?= 600

.PHONY: fmt docs fuzz bench chaos lock revision clean
docs: .venv/dev ## write the pages that are made of the code: docs/problems.md
	@$(RUN) -m api.catalogue > docs/problems.md.new && mv docs/problems.md.new docs/problems.md

fuzz: .venv/dev ## the OpenAPI document against the answers, from a new seed; FUZZ=600 seconds
	FUZZ_SECONDS=$(FUZZ) $(RUN) -m pytest -q tests/fuzz

bench: .venv/dev ## figures and ratios; N=20000 messages
	@$(RUN) -m proof.bench --messages $(N)

chaos: .venv/dev ## kill -9 and worse, judged by three ledgers; KILLS=200
	@$(RUN) -m proof.chaos --kills $(KILLS)

lock: .venv/dev ## compile requirements/*.txt from pyproject.toml (needs uv on PATH)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements/runtime.txt pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --extra local -o requirements/local.txt pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --extra local --extra dev -o requirements/dev.txt pyproject.toml

revision: .venv/dev ## a draft of the next migration; m="receipts by reference", LAPWING_DATABASE_URL names a migrated database
	@test -n "$(m)" || { echo 'Say what it does: make revision m="receipts by reference"'; exit 2; }
	@next=$$(printf '%04d' $$((10#$$(cat migrations/HEAD) + 1))) && \
	$(BIN)/alembic -c migrations/alembic.ini revision --autogenerate --rev-id "$$next" -m "$(m)" && echo "$$next" > migrations/HEAD

clean: .venv/local ## delete the data and keys of `make run`, and the caches
	@$(RUN) -m deploy.local.clean
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
