# Needs only make (GNU 3.81 or later), git and a CPython 3.11 to 3.13 with venv. `make help` lists the targets.
#
#   ARGS=…        passed on to hedui demo, pytest or the bench
#   PYTHON=…      the interpreter to make the virtual environment with
#   DIR=…         of fabric-network: an empty folder for keys, blocks, logs, connection profiles
#   WORKERS=…     test processes (2)
#   SEEDS=…       seeds a fault point of `make test-long` (50)
#   UPGRADE=1     with `make lock`: renew the pins

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := node protocols ledger keys adapters
WORKERS := 2
SEEDS := 50
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input
LOCKED := $(PIP) --require-hashes

.PHONY: help install demo test test-fabric test-image test-long bench bench-check bench-fabric bench-ledger \
	fabric-network format proto readme messages lock clean \
	check check-format check-lint check-types check-imports check-generated
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help:
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-21s %s\n", $$1, $$2 }'

# The virtual environment, in layers; a stamp file each, so that what is there is not installed again.
$(BIN)/python:
	@scripts/make-venv.sh $(VENV) $(PYTHON)

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml $(BIN)/python
	@echo "Installing hedui"
	@$(LOCKED) -r requirements/runtime.txt -r requirements/build.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q $(PACKAGES)
	@touch $@

$(VENV)/.test: requirements/test.txt requirements/interop.txt requirements/foreign.txt \
		requirements/foreign-witness.txt $(VENV)/.runtime
	@echo "Installing what the tests need"
	@$(LOCKED) -r requirements/test.txt -r requirements/interop.txt -r requirements/foreign.txt
	@$(LOCKED) --no-deps --ignore-requires-python -r requirements/foreign-witness.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "Installing the linters, mypy and the protobuf compiler"
	@$(LOCKED) -r requirements/dev.txt
	@touch $@

install: $(VENV)/.runtime ## .venv with the hedui command
	@echo "Ready: $(BIN)/hedui --help"

demo: $(VENV)/.runtime ## a whole county on this machine (ARGS="--residents 2000 --cases 20")
	@$(BIN)/hedui demo $(ARGS)

test: $(VENV)/.test ## every test (ARGS="-k merkle")
	scripts/with-postgres.sh scripts/with-builder.sh --if-ready $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-image: $(VENV)/.test ## builds the container image without an engine and runs it (root on Debian; minutes the first time)
	scripts/with-builder.sh $(BIN)/python -m pytest -m image tests/docker $(ARGS)

test-long: $(VENV)/.test ## faults with many seeds: kills, damaged disks, races (SEEDS=50; hours)
	scripts/with-postgres.sh $(BIN)/python -m pytest tests/faults -n $(WORKERS) --dist worksteal --fault-seeds $(SEEDS) $(ARGS)

test-fabric: $(VENV)/.test ## the tests on a real Fabric network; its programs must be on the PATH
	$(BIN)/python -m tests.fabric check
	$(BIN)/python -m pytest tests/fabric $(ARGS)

fabric-network: $(VENV)/.test ## a Fabric network on this machine until Ctrl-C (DIR=folder)
	$(BIN)/python -m tests.fabric up $(DIR)

bench-fabric: $(VENV)/.test ## throughput, latency and memory on a real Fabric network
	$(BIN)/python -m tests.fabric bench $(ARGS)

check: check-format check-lint check-types check-imports check-generated ## formatting, lint, types, imports, generated

check-format: $(VENV)/.dev
	$(BIN)/ruff format --check --quiet --output-format concise .

check-lint: $(VENV)/.dev
	$(BIN)/ruff check --quiet --output-format concise .

check-types: $(VENV)/.dev
	$(BIN)/mypy --strict $(addprefix -p ,$(PACKAGES))

check-imports: $(VENV)/.dev
	$(BIN)/lint-imports

check-generated: $(VENV)/.dev
	scripts/check-generated.sh $(BIN)

bench: $(VENV)/.test ## measures, and prints the figures
	$(BIN)/python tests/bench $(ARGS)

bench-check: $(VENV)/.test ## one household's check with everything running: p50, p99, parts
	$(BIN)/python tests/bench --check $(ARGS)

bench-ledger: $(VENV)/.test ## the ledger: append, rate, proof, verification, memory (ARGS="--million")
	$(BIN)/python tests/bench --ledger $(ARGS)

format: $(VENV)/.dev ## ruff's formatter and safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

proto: $(VENV)/.dev ## gRPC stubs, beside each .proto
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/proto.sh $(BIN)/python

readme: $(VENV)/.runtime ## every command's help, into docs/commands.md
	HEDUI_LANGUAGE=en $(BIN)/python scripts/commands.py

messages: $(VENV)/.dev ## message catalogues: finds the texts, keeps their translations, compiles them
	HEDUI_LANGUAGE=en $(BIN)/python scripts/messages.py

lock: $(VENV)/.dev ## requirements/*.txt from pyproject.toml
	scripts/lock.sh $(BIN)/uv $(if $(UPGRADE),--upgrade)

clean: ## all that make built; reports of a demo stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
