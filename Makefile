# Every target sets up what it needs, from Python 3.11 to 3.13 and make alone. `make help` lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
WORKERS ?= 2
# One pool of test processes, in which who has nothing left takes from the others.
POOL = --numprocesses $(WORKERS) --dist worksteal

# Where an environment has its packages, whichever of those Pythons made it.
SITE_PACKAGES = lib/$(notdir $(wildcard .venv/lib/python3.*))/site-packages

# pip reads the lock with hashes; the project itself is installed in place, with the locked build
# back end.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "agentstats needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

.PHONY: demo
demo: $(READY) ## Make a sample, run the hourly job on it, serve API and dashboard (DEMO_ARGS=--no-serve)
	$(BIN)/agentstats demo $(DEMO_ARGS)

.PHONY: test
test: $(READY) ## All tests that need nothing but this checkout
	$(BIN)/pytest $(POOL) $(TEST_ARGS)

.PHONY: test-fast
test-fast: $(READY) ## Those of them that take no whole job, for the hands while coding
	$(BIN)/pytest $(POOL) -m "not slow" $(TEST_ARGS)

.PHONY: test-traces
test-traces: $(READY) ## The published answers over real traces (../shared/data, or AGENTSTATS_TRACES)
	$(BIN)/pytest $(POOL) -m traces $(TEST_ARGS)

.PHONY: test-prices
test-prices: $(READY) ## 100,000 random events against the package that the price list is made from
	AGENTSTATS_PRICED_EVENTS=100000 $(BIN)/pytest tests/money/test_against_genai_prices.py $(TEST_ARGS)

.PHONY: test-dashboard
test-dashboard: $(READY) ## The dashboard in Chromium, which is installed by apt-get if it is missing
	tests/dashboard/install_chromium.sh
	$(BIN)/pytest $(POOL) -m browser tests/dashboard $(TEST_ARGS)

.PHONY: screenshots
screenshots: $(READY) ## docs/images/, from the demo in Chromium
	tests/dashboard/install_chromium.sh
	PYTHONPATH=.:tests:tests/api $(BIN)/python -m dashboard.screenshots

.PHONY: test-versions
test-versions: $(READY) ## The published file in DuckDB 1.4, 1.5 and 2.0, which it installs below build/
	$(BIN)/pytest $(POOL) -m versions $(TEST_ARGS)

# The generators of clients need other versions of some of the product's own packages.
CLIENTS := build/clients
$(CLIENTS)/.ready: tests/clients/requirements.lock tests/clients/package-lock.json $(READY)
	tests/clients/install_node.sh
	$(PYTHON) -m venv --clear $(CLIENTS)
	$(CLIENTS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tests/clients/requirements.lock
	cp tests/clients/package.json tests/clients/package-lock.json $(CLIENTS)
	npm ci --prefix $(CLIENTS) --silent --no-audit --no-fund
	@touch $@

.PHONY: test-clients
test-clients: $(CLIENTS)/.ready ## Generated Python and TypeScript clients of openapi.json, used on a server
	$(BIN)/pytest --numprocesses 0 -m clients tests/clients $(TEST_ARGS)

.PHONY: wheel
wheel: $(READY) ## build/wheel/agentstats-….whl: the product in one file; needs no network
	rm -rf build/lib build/wheel
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index \
		--wheel-dir build/wheel .
	rm -rf build/lib build/bdist.*
	@ls build/wheel/*.whl

.PHONY: test-wheel
test-wheel: wheel ## The wheel, installed apart from the checkout, and a checkout: both read-only
	$(BIN)/pytest $(POOL) -m wheel tests/wheel $(TEST_ARGS)

.PHONY: test-rest
test-rest: $(READY) $(CLIENTS)/.ready wheel ## All tests that need more than the checkout, but those of Spark and of the benchmarks
	tests/dashboard/install_chromium.sh
	tests/source/install_postgres.sh
	$(BIN)/pytest $(POOL) -m "traces or browser or versions or clients or daemon or postgres or wheel" $(TEST_ARGS)

.PHONY: test-dagster
test-dagster: $(READY) ## The jobs under a real dagster-daemon and webserver: dead workers, sensors, alerts
	$(BIN)/pytest --numprocesses 0 -m daemon $(TEST_ARGS)

.PHONY: test-postgres
test-postgres: $(READY) ## Reading from PostgreSQL, which is installed by apt-get if it is missing
	tests/source/install_postgres.sh
	$(BIN)/pytest $(POOL) -m postgres tests/source $(TEST_ARGS)

# Spark's extra and pyspark lie in an environment of their own, on top of what `.venv` has: the
# default install stays as it is.
SPARK := build/spark-env
$(SPARK)/.ready: requirements-spark.lock $(READY)
	tests/spark/install_java.sh
	$(PYTHON) -m venv --without-pip --clear $(SPARK)
	echo $(CURDIR)/.venv/$(SITE_PACKAGES) > $(SPARK)/$(SITE_PACKAGES)/product.pth
	$(BIN)/pip --python $(SPARK)/bin/python install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock
	$(BIN)/pip --python $(SPARK)/bin/python install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: spark-up
spark-up: $(SPARK)/.ready ## A Spark cluster on 127.0.0.1: master, two workers, Thrift server (SPARK_ARGS)
	PYTHONPATH=.:tests:tests/api $(SPARK)/bin/python -m spark.cluster up $(SPARK_ARGS)

.PHONY: spark-down
spark-down: $(SPARK)/.ready ## Stop what `make spark-up` started
	PYTHONPATH=.:tests:tests/api $(SPARK)/bin/python -m spark.cluster down

.PHONY: test-spark
test-spark: $(SPARK)/.ready ## The same marts from DuckDB and a real Spark cluster (SPARK_EVENTS=5000000 SPARK_RUNS=20)
	$(SPARK)/bin/python -m pytest -m spark tests/spark $(TEST_ARGS)

.PHONY: spark-times
spark-times: $(SPARK)/.ready ## Full builds of both engines by size, and where they meet (SPARK_TIMES="1000000 5000000")
	PYTHONPATH=.:tests:tests/api $(SPARK)/bin/python -m spark $(SPARK_TIMES)

.PHONY: source-torture
source-torture: $(READY) ## A busy PostgreSQL and a puller killed at random; a first pull (SOURCE_ARGS=torture)
	tests/source/install_postgres.sh
	PYTHONPATH=.:tests:tests/api $(BIN)/python -m source $(SOURCE_ARGS)

.PHONY: fuzz
fuzz: $(READY) ## What a hostile client does, in the big versions, with figures (FUZZ_ARGS=swaps)
	PYTHONPATH=tests:tests/api $(BIN)/python -m fuzz $(FUZZ_ARGS)

.PHONY: retention-kills
retention-kills: $(READY) ## Retention killed at 50 places, and finished by the next run
	RETENTION_KILLS=50 $(BIN)/pytest --numprocesses 0 tests/retention/test_kills.py $(TEST_ARGS)

.PHONY: retention-cost
retention-cost: $(READY) ## Time and disk that retention takes for 10 M rows (RETENTION_ROWS=1000000)
	$(BIN)/python tests/retention/measure.py $(RETENTION_ROWS)

.PHONY: torture
torture: $(READY) ## Late, twice, killed, out of disk, bad files: the big versions (TORTURE_ARGS="crash --share 0.1")
	PYTHONPATH=tests:tests/api $(BIN)/python -m torture $(TORTURE_ARGS)

# What it measures runs in .venv as it is for users; the benchmarks see both environments.
BENCH := build/bench
$(BENCH)/.ready: benchmarks/requirements.lock $(READY)
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.lock
	echo $(CURDIR)/.venv/$(SITE_PACKAGES) > $(BENCH)/$(SITE_PACKAGES)/product.pth
	@touch $@

.PHONY: bench
bench: $(BENCH)/.ready ## Speed as ratios within one run, to benchmarks/results/ (BENCH_ARGS="api --share 0.1")
	tests/source/install_postgres.sh
	PYTHONPATH=.:tests:tests/api $(BENCH)/bin/python -m benchmarks $(BENCH_ARGS)

.PHONY: test-bench
test-bench: $(BENCH)/.ready ## Programs that the benchmarks compare with, and files as pandas and others write them
	tests/source/install_postgres.sh
	PYTHONPATH=.:tests:tests/api $(BENCH)/bin/python -m pytest -m bench tests/benchmarks tests/shapes $(TEST_ARGS)

.PHONY: check
check: $(READY) ## Lint, types, layers, SQL style, fresh reference pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar dbt_project/models dbt_project/data_tests
	$(BIN)/python docs/reference_pages.py --check

JAVASCRIPT := build/javascript
$(JAVASCRIPT)/.ready: tests/dashboard/package.json tests/dashboard/package-lock.json
	tests/clients/install_node.sh
	mkdir -p $(JAVASCRIPT)
	cp tests/dashboard/package.json tests/dashboard/package-lock.json $(JAVASCRIPT)
	npm ci --prefix $(JAVASCRIPT) --silent --no-audit --no-fund
	@touch $@

.PHONY: check-dashboard
check-dashboard: $(JAVASCRIPT)/.ready ## Lint and types of the dashboard's JavaScript; installs Debian's Node.js if needed
	$(JAVASCRIPT)/node_modules/.bin/tsc --project tests/dashboard/jsconfig.json
	$(JAVASCRIPT)/node_modules/.bin/biome lint --config-path=tests/dashboard --error-on-warnings api/dashboard api/docs_page/start.js

.PHONY: prices
prices: $(READY) ## The built-in price list anew, from the locked genai-prices: look at the difference
	$(BIN)/python -m orchestration.money.from_genai_prices dbt_project/price_list
	git --no-pager diff --stat -- dbt_project/price_list

.PHONY: docs
docs: $(READY) ## Reference pages, the analysts' answers, and the dbt docs site in build/docs
	$(BIN)/python docs/reference_pages.py
	rm -rf build/docs && mkdir -p build/docs
	AGENTSTATS_HOME=build/docs/home AGENTSTATS_NOW=2026-11-22T12:00:00Z $(BIN)/agentstats demo --no-serve
	$(BIN)/python docs/worked_questions.py build/docs/home
	WAREHOUSE_PATH=build/docs/home/warehouse.duckdb $(BIN)/dbt --quiet docs generate --static \
		--project-dir dbt_project --profiles-dir . --target-path $(CURDIR)/build/docs/dbt \
		--no-send-anonymous-usage-stats --no-version-check
	@echo "build/docs/dbt/static_index.html is the whole site, in one file"

.PHONY: format
format: $(READY) ## Put Python and SQL in the shape that `make check` wants
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --disable-progress-bar dbt_project/models dbt_project/data_tests

.PHONY: openapi
openapi: $(READY) ## Write openapi.json anew from the app; a test compares them
	$(BIN)/python -m api openapi.json

.PHONY: dagster
dagster: $(READY) ## Dagster's UI with lineage, runs and schedules, on 127.0.0.1:3000
	$(BIN)/agentstats dagster

.PHONY: lock
lock: ## Resolve the requirements anew (needs uv)
	uv pip compile pyproject.toml --extra dev --generate-hashes --no-strip-extras \
		--no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 \
		--output-file requirements.lock
	uv pip compile pyproject.toml --extra spark --extra spark-cluster --constraint requirements.lock \
		--generate-hashes --no-strip-extras \
		--no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 \
		--output-file requirements-spark.lock
	uv pip compile tests/clients/requirements.in \
		--generate-hashes --no-strip-extras \
		--no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 \
		--output-file tests/clients/requirements.lock

.PHONY: clean
clean: ## Remove what the targets made, except data/
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache dbt_project/target
