# Few verbs. `make setup` is done by each of the others when it is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.PHONY: setup demo test lint bench faults fuzz sanitized clean

setup: $(STAMP)

$(STAMP): pyproject.toml .ci/build_compiled.py $(shell find cdc -name '*.pyx' -o -name '*.px[di]')
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Lockstep needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3"; exit 1; }
	test -x $(BIN)/python || .ci/venv $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[all,local]" --group dev
	@$(BIN)/python -c "from cdc.binlog.decoder import load; print(\"binlog decoder:\", load().name)"
	touch $(STAMP)

demo: setup
	$(BIN)/cdc demo

test: setup
	$(BIN)/python -m pytest -m "not faults" -n 2 --dist loadfile --no-loadscope-reorder

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks

faults: setup
	$(BIN)/python -m pytest -m faults -v --timeout 3600

# Without atheris (it has wheels for few platforms) the same inputs are mutated at random.
fuzz: setup
	$(BIN)/python -m pip install --quiet --only-binary :all: atheris || true
	$(BIN)/python -m tests.fuzz.decoder -max_total_time=600

# The compiled parts under AddressSanitizer and UndefinedBehaviorSanitizer.
sanitized: setup
	.ci/sanitized

clean:
	rm -rf $(VENV) .lockstep .mypy_cache .ruff_cache .pytest_cache
