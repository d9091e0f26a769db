# Everything here needs Python 3.10 or newer, Git and make; the rest is installed into .venv.
#   make demo PYTHON=python3.12     another interpreter
#   make test PYTEST_ARGS="-k wine"

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python3.10,\
    $(shell command -v $(name) >/dev/null 2>&1 && $(name) -c $(IS_RECENT) 2>/dev/null && echo $(name))))
IS_RECENT := 'import sys; sys.exit(sys.version_info < (3, 10))'

VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
MINUTES ?= 30
BENCH_ARGS ?= --output docs/benchmarks.md
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.gitml ## run the shipped example on real data, in a temporary folder
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

test: lint ## every check, then every test
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

lint: $(VENV)/.test ## formatting, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# The figures of git-annex, and the bars over b3sum and xxhsum: apt-get install b3sum xxhash git-annex
bench: $(VENV)/.gitml ## measure against DVC, Git, git-annex, Snakemake, doit and make (BENCH_ARGS="--parts data")
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

# Each round draws new examples, so a round that fails prints the seed to repeat it with.
soak: $(VENV)/.test ## repeat all tests at full length, with new random examples, for MINUTES
	@end=$$(( $$(date +%s) + 60 * $(MINUTES) )); round=0; \
	while [ "$$(date +%s)" -lt "$$end" ]; do \
	    round=$$((round + 1)); seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' '); \
	    echo "round $$round, --hypothesis-seed=$$seed"; \
	    GITML_FULL=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(WORKERS) --hypothesis-seed="$$seed" $(PYTEST_ARGS) || exit 1; \
	done

clean: ## remove what these targets made
	rm -rf $(VENV) .bench dist build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The files in .venv whose names begin with a dot say what was installed there, and when.
$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.10 or newer found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c $(IS_RECENT) || { echo "make: $(PYTHON) is not Python 3.10 or newer; name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1" # the first that knows --group
	@touch $@

$(VENV)/.gitml: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.gitml pyproject.toml
	$(BIN)/python -m pip install --quiet --group test --group examples
	@touch $@
