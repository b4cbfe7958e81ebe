# Commands to install, build and test. The Snakefile has the dependencies between pages, als_core the work.

PYTHON  ?= python3
PROFILE ?= quick
COHORT  ?= auto
PORT    ?= 8000

# data of several kinds, and what of them is meant: make book TISSUE=slides BRAINS=scans PATIENTS=AD
given = $(if $($(1)),--$(2) "$($(1))")
OWN = $(call given,TISSUE,tissue) $(call given,CROPS,crops) $(call given,BRAINS,brains) \
	$(call given,FEATURES,features) $(call given,CHANNEL,channel) $(call given,PATIENTS,patients)

BIN := .venv/bin
READY := .venv/.ready

# notebooks run in other folders, where a relative path would mean another place
ifdef ALS_DATA
export ALS_DATA := $(abspath $(ALS_DATA))
endif

.PHONY: help book paper test test-browser lab bench data serve pairs pdf links clean
.DEFAULT_GOAL := help

help:            ## show this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

book: $(READY)   ## make the book: _build/html/index.html  [COHORT=auto|xia2024|synthetic|FOLDER, TISSUE= CROPS= BRAINS= FEATURES=]
	@$(BIN)/als book "$(COHORT)" $(OWN) --profile "$(PROFILE)"

paper: $(READY)  ## the same at published sizes, epochs and repeats (for a GPU; days on two CPU cores)
	@$(BIN)/als book "$(COHORT)" $(OWN) --profile paper

test: $(READY)   ## run every test that needs neither a browser nor a cluster
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not browser" tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --nbmake --nbmake-timeout=300 notebooks

test-browser: $(READY)  ## check every page of the built book in Chromium
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-browser.txt
	@$(BIN)/python -m pytest -m browser tests/book

lab: $(READY)    ## open the notebooks in JupyterLab
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-lab.txt
	@$(BIN)/jupyter lab --notebook-dir notebooks

pdf: $(READY)    ## print the last book to _build/book.pdf (needs an installed Chromium)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-browser.txt
	@$(BIN)/als pdf

links: $(READY)  ## check every link to another site
	@$(BIN)/jupyter-book build --builder linkcheck --path-output _build/links .

bench: $(READY)  ## measure against an ordinary script; writes benchmarks/results/latest.json
	@$(BIN)/python -m benchmarks

data: $(READY)   ## download the public images
	@$(BIN)/als data

serve: $(READY)  ## read the built book at localhost:8000
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

pairs: $(READY)  ## rewrite each notebook's .ipynb twin from its text
	@$(BIN)/jupytext --quiet --to ipynb --update notebooks/*/*.py

clean:           ## remove built files; keep downloads and the installation
	rm -rf _build results logs .snakemake $(patsubst notebooks/%/,book/%,$(wildcard notebooks/*/))

# --no-deps: the line above installed every dependency at its pin
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@echo "Installing into .venv (about 8 GB, a few minutes; only when requirements.lock changed)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable . cffconvert==2.0.0
	@touch $@
