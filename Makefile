# What one does with a clone: `make demo`, `make test`. Each target sets up what it needs; ARGS go to the program.
#
#     make demo ARGS="--headless --virtual --nights 1 --seed 1 --out DIR"
#     make test ARGS="tests/bus -k jobs"

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.set-up
SKY   := $(VENV)/.test-servers
PEERS := .venv-peers/alpaca/made-from.txt
ARGS  ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check format docs bench soak clean

help:
	@echo "make demo       a simulated observatory observes a night (ARGS=--help shows how it can be run)"
	@echo "make test       all tests but the endurance ones; installs what it needs of Debian (XMPP servers, INDI ...)"
	@echo "make test-fast  the tests that need less than two minutes together"
	@echo "make check      style, types, imports between the rooms"
	@echo "make docs       the pages and pictures that follow from the code"
	@echo "make bench      what is claimed about speed, measured here beside others (ARGS=\"messaging --quick\")"
	@echo "make soak       the endurance tests (hours)"
	@echo "make setup      only the virtual environment in $(VENV)"
	@echo "make clean      remove what the others left, the virtual environment included"

setup: $(READY)

$(READY): pyproject.toml scripts/setup.sh scripts/apt_install.sh
	@bash scripts/setup.sh $(VENV)
	@touch $@

$(SKY): scripts/install_test_servers.sh scripts/apt_install.sh $(READY)
	@bash scripts/install_test_servers.sh
	@touch $@

$(PEERS): benchmarks/peers/alpaca.txt $(READY)
	@$(BIN)/python -m benchmarks.peers.environment alpaca
	@touch $@

demo: $(READY)
	@bash scripts/install_demo_server.sh $(ARGS)
	@$(BIN)/pytel demo $(ARGS)

test: $(READY) $(SKY) $(PEERS)
	@$(BIN)/python -m pytest -n 3 --dist loadgroup -m "not soak" $(ARGS)

test-fast: $(READY)
	@$(BIN)/python -m pytest -n 3 --dist loadgroup -m "not slow and not soak" $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)
	@$(BIN)/python scripts/write_reference.py
	@$(BIN)/python -c 'import matplotlib' 2>/dev/null || $(BIN)/python -m pip install --quiet -e '.[docs]'
	@$(BIN)/python scripts/make_pictures.py

bench: $(READY) $(SKY)
	@$(BIN)/python -m benchmarks $(ARGS)

soak: $(READY) $(SKY) $(PEERS)
	@$(BIN)/python -m pytest -m soak --timeout 0 $(ARGS)

clean:
	rm -rf $(VENV) .venv-peers build dist demo-night bench-results
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
