PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test soak soak-faults soak-fuzz soak-load lint bench chromium clean

demo: $(STAMP)  ## curate the bundled crawl and print where the report is
	$(BIN)/winnow demo

# threads that wait leave the processors to others
test: export OMP_WAIT_POLICY := PASSIVE
test: $(STAMP)  ## every test that needs no GPU and no network
	@$(MAKE) --no-print-directory chromium
	$(BIN)/python -m pytest -m "not ray and not gpu and not network" -n auto --maxprocesses 8 --dist loadfile
	$(BIN)/python -m pytest -m "ray and not gpu and not network"

soak: $(STAMP)  ## the long forms of the tests of faults, input and load: some hours
	@$(MAKE) --no-print-directory --keep-going soak-faults soak-fuzz soak-load

soak-faults: $(STAMP)
	WINNOW_SOAK=1 $(BIN)/python -m pytest -s --timeout 0 -m "not gpu and not network" tests/faults

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
