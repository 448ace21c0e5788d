# make run     the sample store on http://127.0.0.1:5000
# make test    every check: lint, types, templates, translations, tests
# make faults  the fault tests at full length: processes killed, servers stopped, disks full
# make bench   the benchmarks, side by side with their peers

PYTHON ?= python3
BIN := .venv/bin
TOOLS := tests/tools/node_modules
SOURCES := invitations_plugin sample_store tests bench wsgi.py
TEMPLATES := invitations_plugin/templates templates
export PYTHONPATH := $(CURDIR)

.PHONY: run test faults bench set-up-test lint check translations pictures lock wheel clean

run: .venv/run
	@$(BIN)/python -m sample_store

# Tests go out in small lots: those of browsers come first, and one process would get them all.
test: set-up-test lint check
	$(BIN)/python -m pytest -n 3 --maxschedchunk 40

lint:
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/djlint --lint --quiet $(TEMPLATES)

# What has no line of its own in a linter: the catalogues, and code that is written twice.
check:
	$(BIN)/python -m tests.tools.catalogues --check
	$(BIN)/python -m tests.tools.repeats

# The short form of these is part of "make test".
faults: set-up-test
	FAULTS=whole $(BIN)/python -m pytest -q tests/faults

bench: .venv-bench/installed
	.venv-bench/bin/python -m bench

set-up-test: .venv/dev $(TOOLS)
	@$(BIN)/python -m tests.tools.chromium

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/run: requirements-run.lock | .venv/bin/python
	@echo "Installing what the store needs ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/dev: requirements-dev.lock | .venv/bin/python
	@echo "Installing what the tests need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@ .venv/run

# The benchmarks' peers stay out of the environment that the tests run in.
.venv-bench/installed: requirements-bench.lock | .venv/bin/python
	@$(BIN)/python -m venv .venv-bench
	@echo "Installing whom the benchmarks measure beside us ..."
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# The judges of pages: without npm their tests say that they did not run, and fail on CI.
$(TOOLS): tests/tools/package-lock.json
	@if command -v npm >/dev/null; then cd tests/tools && npm ci --ignore-scripts --silent; \
		else echo "No npm here: accessibility and HTML checks will not run."; fi
	@mkdir -p $@ && touch $@

# Read the messages from the source, bring the catalogues up to date, compile them.
translations: .venv/dev
	$(BIN)/python -m tests.tools.catalogues --update

# The README's pictures, taken of pages as they are now.
pictures: set-up-test
	$(BIN)/python -m tests.tools.pictures

wheel: .venv/dev
	$(BIN)/python -m hatchling build -t wheel

lock:
	uv pip compile pyproject.toml --extra postgresql --extra login --extra xlsx --extra metrics --extra celery --group run --universal \
		--generate-hashes --python-version 3.11 --no-header -q -U -o requirements-run.lock
	uv pip compile pyproject.toml --extra postgresql --extra login --extra xlsx --extra metrics --extra celery --group dev --universal \
		--generate-hashes --python-version 3.11 --no-header -q -U -o requirements-dev.lock
	uv pip compile pyproject.toml --extra postgresql --extra login --extra xlsx --extra metrics --extra celery --group bench --universal \
		--constraints requirements-dev.lock \
		--generate-hashes --python-version 3.11 --no-header -q -U -o requirements-bench.lock

clean:
	rm -rf .venv .venv-bench dist $(TOOLS) .pytest_cache .mypy_cache .ruff_cache
