# Everything a person does with this checkout. `make help` lists it.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
DATA_DIR ?= $(CURDIR)/var/data
PORT ?= 8080
# Worker processes of the test run: real servers and real encodes share the cores.
TEST_JOBS ?= 2
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test test-unit test-browser up check fmt lint types arch names web openapi lock bench campaign chaos clean

help: ## list the targets
	@grep -hE '^[a-z][a-z/-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}'

# ---- set-up: a stamp per lock file, so that a second run costs nothing

$(VENV)/.created:
	@scripts/make_venv.sh "$(PYTHON)" $(VENV)

$(VENV)/.run: $(VENV)/.created requirements/run.txt pyproject.toml
	@scripts/install.sh $(VENV) run

$(VENV)/.dev: $(VENV)/.created requirements/dev.txt pyproject.toml
	@scripts/install.sh $(VENV) dev

setup: $(VENV)/.run ## what running the product needs, into .venv
	@$(PY) scripts/build_web.py

setup-dev: $(VENV)/.dev ## what developing and testing needs, into .venv
	@$(PY) scripts/build_web.py
	@$(PY) scripts/install_players.py
	@scripts/install_chromium.sh

# ---- use it

demo: setup ## run the main job on the bundled clip and verify the result
	@$(VENV)/bin/vidctl demo --data-dir "$(CURDIR)/var/demo" --output "$(CURDIR)/out/demo"

up: setup ## start the service and print the dashboard's address
	@$(VENV)/bin/vidctl serve --data-dir "$(DATA_DIR)" --port $(PORT)

# ---- test it

test: setup-dev ## the whole test suite
	@CI=$(CI) $(PY) -m pytest -n $(TEST_JOBS) --dist loadgroup -q

test-unit: setup-dev ## the fast ones, in seconds
	@$(PY) -m pytest tests/unit tests/property -n $(TEST_JOBS) -q -m "not slow"

test-browser: setup-dev ## what needs a real Chromium
	@$(PY) -m pytest tests -q -m browser

campaign: setup-dev ## every clip of MEDIA=<folder> through the service: a table of outcomes
	@$(PY) -m bench.campaign --media "$(MEDIA)"

bench: setup-dev ## ratios measured in one run
	@$(PY) -m bench $(if $(MEDIA),--media "$(MEDIA)") $(BENCH)

# ---- keep it in order

check: setup-dev lint types arch names ## everything CI checks besides tests
	@echo "all checks passed"

fmt: setup-dev ## format the sources
	@$(VENV)/bin/ruff format src tests bench scripts
	@$(VENV)/bin/ruff check --fix src tests bench scripts

lint:
	@$(VENV)/bin/ruff format --check -q src tests bench scripts
	@$(VENV)/bin/ruff check -q src tests bench scripts

types:
	@$(VENV)/bin/mypy

arch:
	@PYTHONPATH=src $(VENV)/bin/lint-imports --no-logo
	@$(VENV)/bin/deptry src

names: # nothing committed may name a package registry
	@scripts/check_names.sh

web: setup-dev ## build the dashboard
	@$(PY) scripts/build_web.py --force

openapi: setup-dev ## write docs/openapi.yaml
	@$(PY) scripts/export_openapi.py

lock: ## write requirements/*.txt anew from pyproject.toml (needs uv)
	@scripts/lock.sh

clean: ## remove what set-up and runs left in this checkout
	rm -rf $(VENV) var out web/node_modules tests/players/node_modules src/vidcompute/web .mypy_cache .ruff_cache .pytest_cache
