PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

PYTEST := $(BIN)/python -m pytest
ALONE := $(PYTEST) -m "not ray and not gpu and not network"
WITH_RAY := $(PYTEST) -m "ray and not gpu and not network"
WORKERS := -n auto --maxprocesses 8 --dist worksteal

.PHONY: demo test soak soak-faults soak-ray soak-fuzz soak-load lint bench chromium clean

demo: $(STAMP)  ## curate the bundled crawl and print where the report is
	$(BIN)/winnow demo

# threads that wait leave the processors to others
test: export OMP_WAIT_POLICY := PASSIVE
test: $(STAMP)  ## every test that needs no GPU and no network
	@$(MAKE) --no-print-directory chromium
	$(ALONE) $(WORKERS)
	$(WITH_RAY)

soak: $(STAMP)  ## the long forms of the tests of faults, input and load: two hours
	@$(MAKE) --no-print-directory --keep-going soak-faults soak-ray soak-fuzz soak-load

# the figures of the tests that pass are printed at the end
soak-faults soak-ray: LONG := -rfEsP --log-level WARNING --timeout 0 --durations 20
soak-faults soak-ray: export WINNOW_SOAK := 1
soak-faults soak-ray: export OMP_WAIT_POLICY := PASSIVE
soak-faults: $(STAMP)
	$(ALONE) $(WORKERS) $(LONG) tests/faults

soak-ray: $(STAMP)
	$(WITH_RAY) $(LONG) tests/faults

soak-fuzz: $(STAMP)
	$(BIN)/python -m jobs.fuzz

soak-load: $(STAMP)
	$(BIN)/python -m jobs.bench load

chromium:  # the browser tests are skipped, with their reason, where this cannot be had
	-@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || true

lint: $(STAMP)
	$(BIN)/ruff check pipeline jobs tests cluster
	$(BIN)/ruff format --check pipeline jobs tests cluster
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m jobs.bench

$(STAMP): pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,s3]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) demo-output demo-workspace
