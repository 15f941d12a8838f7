# Two commands matter: `make demo` and `make test`. Both start from nothing but Python and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SPARK  := build/spark-venv
AUDIT  := build/audit-venv
FLOWS  ?= 8
RUNS   ?= 3
RATE   ?= 10000
KILLS  ?= 5000
RACES  ?= 200
FLIPS  ?= 10000
SEED   ?= 1
# One more than there are cores: tests often wait for a process or for a disk.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() + 1, 5))')

.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo test test-long lint test-wheel test-prism test-spark audit faults bench lock sample clean

help: ## show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Installs a lock file with its hashes, then the package itself without looking for anything else.
define install
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'v6share needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...' >&2; exit 1; }
test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endef

$(VENV)/.run: locks/run.txt pyproject.toml
	@echo 'installing v6share into $(VENV) (once)'
	@$(call install,locks/run.txt)
	@echo 'compiling the kernels into the user cache (once, up to a minute)'
	@$(BIN)/python -m v6share.pipelines.warm
	@touch $@

$(VENV)/.test: locks/test.txt pyproject.toml
	@echo 'installing v6share and its test tools into $(VENV) (once)'
	@$(call install,locks/test.txt)
	@touch $@ $(VENV)/.run

$(SPARK)/.spark: VENV := $(SPARK)
$(SPARK)/.spark: BIN := $(SPARK)/bin
$(SPARK)/.spark: locks/spark.txt pyproject.toml
	@echo 'installing v6share, its test tools and Spark into $(SPARK) (once, a few minutes)'
	@$(call install,locks/spark.txt)
	@echo 'compiling the kernels into the user cache (once, up to a minute)'
	@$(BIN)/python -m v6share.pipelines.warm
	@touch $@

$(AUDIT)/.audit: locks/audit.txt
	@echo 'installing pip-audit and cyclonedx-py into $(AUDIT) (once)'
	@test -x $(AUDIT)/bin/python || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/audit.txt
	@touch $@

setup: $(VENV)/.run ## install into .venv what a user needs

setup-test: $(VENV)/.test ## install into .venv what the tests need as well

demo: setup ## count the sample into demo/ and print the KPIs of every stage
	@mkdir -p demo && cp -R data/sample/catalog demo/
	@$(BIN)/v6share -C demo run data/sample/flows
	@$(BIN)/v6share -C demo kpi
	@$(BIN)/python -m tools.demo_words demo

test: setup-test ## run the tests of what v6share does, but for those of test-long
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m 'not long'

test-long: setup-test ## run the tests that take long: streams, the gate, damage and the way back from it
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m long

lint: setup-test ## run the linter, the formatter, the type checker and the import contracts
	@$(BIN)/python -m pytest --quiet tests/house/test_lint.py tests/house/test_storage_seam.py

test-wheel: setup-test ## build the wheel, and count the sample with it in an empty environment
	@$(BIN)/python -m pytest --quiet tests/house/test_wheel.py

test-prism: setup-test ## run the Beam pipeline on Prism, batch and stream; needs Go, which builds it into build/
	@$(BIN)/python -m pytest --quiet tests/prism/test_prism.py

test-spark: $(SPARK)/.spark ## count with Spark, in an environment of its own; Java 17 or newer, or one from there
	@$(SPARK)/bin/python -m pytest tests/spark

audit: $(AUDIT)/.audit ## look for known vulnerabilities of all that is locked, and write bills of materials into build/bills/
	@$(AUDIT)/bin/python -m tools.audit $(AUDIT)/bin

faults: setup-test ## disturb v6share for hours and write the figures into docs/reliability.md; goes on if broken off
	@$(BIN)/python -m faults --kills $(KILLS) --races $(RACES) --flips $(FLIPS) --seed $(SEED) --jobs 2

bench: ## run the job side by side with its peers; FLOWS=24 RUNS=5 for a real measurement
	@test -x build/bench-venv/bin/python || $(PYTHON) -m venv build/bench-venv
	@build/bench-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/bench.txt
	@$(MAKE) --no-print-directory setup
	@build/bench-venv/bin/python -m bench.compare --flows $(FLOWS) --rate $(RATE) --runs $(RUNS) --v6share $(BIN)/v6share

sample: setup ## make data/sample/ again; the same bytes unless the generator changed
	@$(BIN)/python -m v6share.pipelines.sample data/sample

lock: ## resolve the lock files again (needs uv)
	@for extras in 'run:' 'test:--extra test' 'bench:--extra bench' \
	  'spark:--extra test --extra spark locks/spark.in'; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate $${extras#*:} pyproject.toml locks/build.in -o locks/$${extras%%:*}.txt || exit 1; \
	done
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate locks/audit.in -o locks/audit.txt
	@for version in 1.5.0 1.5.3; do \
	  echo "duckdb==$$version" | uv pip compile --quiet --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate - -o locks/client-$$version.txt || exit 1; \
	done

clean: ## remove what was built; the workspace demo/ too
	@rm -rf build dist demo $(VENV) *.egg-info
