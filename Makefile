# make demo and make test do all their own set-up; a second call starts in seconds.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(sort $(wildcard plugins/adbench-*))
STAMP := $(VENV)/.installed

.PHONY: demo test check docs install peers clean

demo: $(STAMP)  ## the main job on the embedded data
	$(BIN)/adbench run --recipe patchcore-lite --data demo --device cpu

test: $(STAMP)  ## every test but the peers'
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

check: $(STAMP)  ## what to run before a commit: under two minutes
	scripts/check

docs: $(VENV)/.docs  ## the documentation's site with the boards, in build/site; the build itself needs no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

install: $(STAMP)  ## the set-up alone

# torch and torchvision first and pinned, with pip, so that nothing below picks another build of them.
$(STAMP): pyproject.toml $(wildcard plugins/*/pyproject.toml)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.14.1 torchvision==0.29.1
	$(BIN)/python -m pip install --quiet --editable ".[dev]" $(foreach plugin,$(PLUGINS),--editable "$(plugin)[dev]")
	touch $@

$(VENV)/.docs: $(STAMP) docs/_site/requirements.txt
	$(BIN)/python -m pip install --quiet --requirement docs/_site/requirements.txt
	touch $@

peers:  ## compare with anomalib 2.7.0, in an environment of its own
	scripts/peers

clean:
	rm -rf $(VENV) .venv-peers build dist runs
