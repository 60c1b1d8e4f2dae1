# Set-up and everyday commands. Everything lives in .venv; `make clean` removes it.
# Which index and which folders packages come from is pip's own configuration, read by pip.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check -qq

# Each stamp is written last, so an interrupted step is done again. Later steps repeat when
# pyproject.toml changes; the environment itself is kept.
CREATED := $(VENV)/.created
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev

# Left over in someone's shell, these would install, import or examine something else than .venv.
unexport CONDA_PREFIX PIP_PREFIX PIP_ROOT PIP_TARGET PIP_USER PYTHONHOME PYTHONPATH VIRTUAL_ENV

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test test-versions check bench docs clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(firstword $(MAKEFILE_LIST))
	@echo "PYTHON=... chooses the interpreter of .venv (Python 3.10 or later; now: $(PYTHON))"

run: $(RUNTIME) ## set up, then print the truth tables of tf1, tf2 and torch, and the difference of tf1 and tf2
	@targets="--framework tf1 --framework tf2"; \
	if $(PY) -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)'; \
	then targets="$$targets --framework torch"; \
	else echo "torch is not installed and left out; '$(PY) .ci/install_torch.py' says why" >&2; fi; \
	echo "bnmatrix run $$targets"; $(VENV)/bin/bnmatrix run $$targets
	@# Exit code 1 says that the two behave differently, which is the answer and no failure.
	@echo "bnmatrix diff tf1 tf2"; $(VENV)/bin/bnmatrix diff tf1 tf2 || { code=$$?; test $$code -eq 1 || exit $$code; }

test: check ## set up, make check, then run the tests
	$(PY) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-versions: $(DEV) ## run the long tests, and those that make an environment of each of some thirty releases
	$(PY) -m pytest -m versions

check: $(DEV) ## lint, formatting, types, import rules
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo

bench: $(DEV) ## measure the speed
	$(PY) tests/benchmarks/run.py
	$(PY) tests/benchmarks/audit_cost.py

docs: $(DEV) ## regenerate the generated parts of the documentation
	$(PY) tests/docs/make_docs.py

clean: ## remove .venv, caches and build output
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(CREATED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	echo "bnmatrix needs Python 3.10 or later, which '$(PYTHON)' is not." \
	"Name one that is: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(RUNTIME): pyproject.toml | $(CREATED)
	@echo "Installing bnmatrix, TensorFlow and tf_keras into $(VENV) (about 700 MB the first time)"
	@$(PIP) --editable '.[tensorflow,tf1]'
	@$(PY) .ci/install_torch.py
	@# An editable install is not compiled by pip, and where PYTHONDONTWRITEBYTECODE is set never.
	@$(PY) -m compileall -q bnmatrix
	@touch $@

$(DEV): pyproject.toml | $(RUNTIME)
	@echo "Installing the development tools into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $@
