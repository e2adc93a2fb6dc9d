# The commands of README.md. `make` alone lists them.
#
# What the system lacks (python3-venv, docker.io, ...) is known to moorage/debian.py, which needs nothing but the bare
# python3 of a fresh machine: as root it comes from apt, else one sentence names it.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
AGENT := .venv/.agent
NEED = $(PYTHON) -I -B moorage/debian.py
# Two processes share the tests (tests/shares.py); ARGS=-n0 is one.
PYTEST = $(BIN)/python -m moorage.dockerd $(BIN)/python -m pytest -n2
# pip and ssh take the home folder from the system when HOME is empty, but not when it is set to nothing.
ifeq ($(strip $(HOME)),)
unexport HOME
endif

.PHONY: help install run demo test test-all scenarios fuzz endure bench lint wheel clean
.DEFAULT_GOAL := help

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /make \1#/p' $(MAKEFILE_LIST) | awk -F'#' '{printf "%-16s %s\n", $$1, $$2}'

install: $(STAMP) $(AGENT)  ## make .venv with the command .venv/bin/moorage

$(STAMP): pyproject.toml moorage/debian.py
	@$(NEED) install
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

# Without a compiler there is no agent, and everything else works: this may fail.
$(AGENT): $(STAMP) $(wildcard agent/*.c agent/*.h) agent/Makefile
	@if $(NEED) agent; then $(MAKE) --silent -C agent host; fi
	@touch $@

run: install  ## serve on 127.0.0.1:2222 and print the ssh line that works
	@$(BIN)/moorage up

demo: install  ## one login, recorded, replayed and drawn (in var/demo)
	@$(BIN)/moorage demo --folder var/demo

test: install  ## all tests but the long ones
	@$(NEED) test || test "$$MOORAGE_REQUIRE_ENGINE" != 1
	@$(PYTEST) -m "not slow" $(ARGS)

# Some take minutes. To show the stacks of one that runs, not hangs, can crash the interpreter: only after an hour, then.
test-all: install  ## all tests
	@$(NEED) test-all || test "$$MOORAGE_REQUIRE_ENGINE" != 1
	@$(PYTEST) -o faulthandler_timeout=3600 $(ARGS)

scenarios: install  ## record scenarios/ anew (ARGS: only these)
	@$(NEED) test
	@$(BIN)/python -m moorage.dockerd $(BIN)/python -m tests.e2e.record $(ARGS)

fuzz: install  ## bend what is read from strangers until it breaks (ARGS: --seconds N)
	@$(BIN)/python -m tests.fuzz $(ARGS)

endure: install  ## half an hour of mixed load in both modes, with an engine that is killed and frozen
	@$(NEED) bench
	@$(BIN)/python -m tests.endurance $(ARGS)

bench: install  ## measure beside OpenSSH's sshd
	@$(NEED) bench
	@$(BIN)/python -m moorage.dockerd $(BIN)/python -m benchmarks $(ARGS)

lint: install  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: install  ## dist/*.whl with the agent for x86_64 and aarch64, as it is released
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[release]'
	$(MAKE) -C agent release PYTHON=$(abspath $(BIN))/python
	MOORAGE_RELEASE=1 $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean:  ## remove what was built; var/ (keys, configuration) stays
	rm -rf .venv build dist moorage/bin .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
