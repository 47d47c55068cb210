# Two commands: `make dataset` runs the campaign in config/config.yaml, `make test` the tests.
# Each sets up what it needs in .venv (Python 3.11 or newer; PYTHON=... chooses one).
PYTHON ?= python3
CORES ?= 2
RUN = .venv/installed
DEV = .venv/installed-dev
# What is never imported is never compiled.
PIP = .venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes

.PHONY: dataset cluster judges test check reference clean-venv
.DELETE_ON_ERROR:

dataset: $(RUN)
	.venv/bin/snakemake --cores $(CORES)
	@echo
	@cat results/summary.md
	@echo
	@echo "To look at: results/report/index.html"
	@echo "The labelled set: results/data_selection (images.csv, image_labels.csv, fits/raw/)"
	@echo "What became of every slot: results/ledger. How it came about: results/provenance.json"

# The plugins that profiles/slurm and profiles/generic need.
cluster: $(RUN)
	$(PIP) --no-deps -r envs/requirements-cluster.txt

# Some thousand Pythons start, and would compile the package anew where they may not keep what they
# compiled. Four workers for two cores: the tests on Slurm wait for most of their time.
test: $(DEV)
	env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -m pytest -n 4 --dist worksteal

check: $(DEV)
	.venv/bin/ruff check scripts tests benchmarks
	.venv/bin/ruff format --check scripts tests benchmarks
	.venv/bin/snakefmt --check Snakefile workflow
	.venv/bin/snakemake --lint

# What config.py says, for people: the tables of the manual, the schema for editors.
reference: $(DEV)
	.venv/bin/python scripts/reference.py --manual config/README.md \
	    --schema workflow/schemas/config.schema.json

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    f"Python 3.11 or newer is needed, $(PYTHON) is {sys.version.split()[0]}")'
	$(PYTHON) -m venv .venv

$(RUN): envs/requirements.txt | .venv/bin/python
	$(PIP) -r $<
	@touch $@

# The Slurm plugin makes every start of Snakemake slower: only its tests look into that folder.
$(DEV): envs/requirements-dev.txt envs/requirements-cluster.txt | .venv/bin/python
	$(PIP) -r $<
	rm -rf .venv/cluster
	$(PIP) --no-deps --target .venv/cluster -r envs/requirements-cluster.txt
	@touch $(RUN) $@

# The libraries that judge releases and leaks, where only their tests look: .venv itself stays as
# it is.
judges: .venv/judges/installed

.venv/judges/installed: envs/requirements-judges.txt | $(DEV)
	rm -rf .venv/judges
	$(PIP) --no-deps --target .venv/judges -r $<
	@touch $@

clean-venv:
	rm -rf .venv
