# `make` alone says what can be done. Everything happens in .venv; nothing needs to be activated.

PYTHON ?= python3
# What `make test-all` tries, each in a .venv of its own.
PYTHONS ?= python3.11 python3.12 python3.13
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := demo
SECONDS ?= 240
# A process for each core, and none is idle while one file takes long; but a server that QDRANT_URL names is shared by
# all tests, one after the other.
WORKERS := $(if $(QDRANT_URL),,-n auto --dist worksteal)

# Temporary files in memory, where there are 8 GiB for them: a small collection waits a third of a second for a disk.
ROOM := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 8 * 2 ^ 20 { print "/dev/shm" }')
TEMPORARY := $(if $(ROOM),PYTEST_DEBUG_TEMPROOT=$(ROOM))

export CBIR_DATA

.PHONY: help demo test test-all lint fuzz torture bench figures clean

help: ## Show this list
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Set up, then train, ingest, search and evaluate the bundled digits
	@BIN=$(BIN) OUT=$(DEMO) sh ./demo.sh

test: $(READY) lint ## Set up, then lint, types and the whole test suite
	@$(TEMPORARY) $(BIN)/python -m pytest $(WORKERS)

test-all: ## The same with each of Python 3.11, 3.12 and 3.13 that is here
	@for python in $(PYTHONS); do \
		if $$python -c '' 2>/dev/null; then \
			echo "$$python:"; \
			$(MAKE) --no-print-directory test PYTHON=$$python VENV=.venv-$$(basename $$python) || exit 1; \
		else \
			echo "$$python: not here"; \
		fi; \
	done

lint: $(READY) ## Lint, format and type checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --platform win32 --no-warn-unreachable --cache-dir .mypy_cache/win32 -p cbir

fuzz: $(READY) ## Damage picture files at random for four minutes; SECONDS=600 for ten
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

torture: $(READY) ## Kill commands, and a server, at random moments for four minutes; SECONDS=600 for ten
	@$(BIN)/python -m tests.torture --seconds $(SECONDS)

bench: $(READY) ## Measure, side by side (MNIST and photographs through CBIR_DATA; PyTorch if installed)
	@$(BIN)/python -m benchmarks

figures: $(READY) ## Train and compare all encoders, and write docs/figures (hours; CBIR_DATA names the data)
	@$(BIN)/python -m benchmarks figures

clean: ## Remove the environment and everything made by demo and bench
	rm -rf .venv .venv-* $(DEMO) bench-results

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cbir needs Python 3.11 or newer; name one with: make PYTHON=python3.12")'
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once; a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,figures,words,heic,raw,map,distributed,s3,gs]' --group dev
	@touch $@
