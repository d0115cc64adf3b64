# Everything that a person or a machine runs here. Needs Python 3.11 or later and make; `make` alone lists it.

PYTHON ?= python3
SEEDS ?= 1000
NIGHTS ?= 10000
EXAMPLES ?= 200
# Two workers share one broker and one database: more gain nothing on a small machine.
WORKERS ?= 2

BIN := .venv/bin
READY := .venv/ready
ROOMS := contracts services/kit services/ledger services/directory services/federation services/audit \
	services/conformance \
	services/console services/client services/node
EMPTY :=
COLON_ROOMS := $(subst $(EMPTY) $(EMPTY),:,$(strip . $(ROOMS)))

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test test-fast fuzz check format bench model simulate nightly mutants chaos up down lock clean

help:  ## list the targets
	@awk -F ':.*##' '/^[a-z-]+:.*##/ {printf "%-12s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Timebank needs Python 3.11 or later: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python cannot make environments here: on Debian, apt-get install python3-venv"; exit 1; }
	@echo "Setting up .venv from requirements.lock"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## three towns, a season of exchanges, and the auditor's verdict
	@$(BIN)/timebank demo

test: $(READY)  ## every test, with real Apache Kafka and PostgreSQL
	$(BIN)/python -m pytest -n $(WORKERS)

test-fast: $(READY)  ## the tests that need no server, within a minute
	$(BIN)/python -m pytest -n $(WORKERS) -m "not servers and not slow"

fuzz: $(READY)  ## EXAMPLES=200 generated requests for each operation of the API, and inputs for each parser of the auditor
	TIMEBANK_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/conformance/test_schemathesis.py tests/audit/test_fuzz.py

check: $(READY)  ## format, lint, types, the order of imports, the house rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	MYPYPATH=$(COLON_ROOMS) $(BIN)/mypy --explicit-package-bases contracts services deploy tests
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_tidy.py

format: $(READY)  ## let ruff format and sort
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## measure; the table is also written to build/bench.json
	$(BIN)/python -m deploy.bench

model: $(READY)  ## every state of the formal model of two towns, and its planted bugs
	$(BIN)/python -m deploy.model $(MODELS)

simulate: $(READY)  ## SEEDS=1000 simulated networks with faults
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

nightly: $(READY)  ## NIGHTS=10000 simulated networks, and every planted bug
	$(BIN)/python -m tests.simulation --seeds $(NIGHTS)
	$(BIN)/python -m tests.simulation.mutants

mutants: $(READY)  ## bugs planted in the protocol: each must be found by the simulation
	$(BIN)/python -m tests.simulation.mutants

chaos: $(READY)  ## SCENARIO="partition slow": towns on real servers, broken under load and healed; none named: all
	$(BIN)/python -m tests.chaos $(SCENARIO)

up: $(READY)  ## two towns as separate processes on Kafka and PostgreSQL
	$(BIN)/python -m deploy.local up

down: $(READY)  ## stop what `make up` started
	$(BIN)/python -m deploy.local down

lock:  ## write requirements.lock anew; needs uv
	@command -v uv >/dev/null || { echo "The lock is written by uv: pip install uv"; exit 1; }
	uv pip compile pyproject.toml --quiet --extra node --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --custom-compile-command "make lock" --output-file requirements.lock

clean:  ## remove the environment and everything that was built
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
