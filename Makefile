# One command each, on a machine that has python3 with its venv module, git and make:
#   make demo    train and evaluate on the sample of real slices, no network but for the installation; shows the report
#   make lab     JupyterLab, open at the tutorial
#   make labs    the labs: student editions, and the course that nbgrader grades by (labs/teacher.md)
#   make check   style and the checkout as a whole, under two minutes
#   make test    what a change must pass, about thirteen minutes on two cores
#   make test-all  that, the slow cells, long tests, and every notebook in the browser, nightly in the workflow
#   make bench   measure speed, memory and scale against other libraries, an hour or more (benchmarks/README.md)
#   make docs    the documentation site in _docs, in Chinese in _docs/zh; no network but for the installation
#   make readme  README.md from nbs/index.ipynb
#   make clean   remove what can be made again, but for .venv and runs
# TORCH=cpu makes .venv with PyTorch's build for CPUs, a much smaller download on Linux: make demo TORCH=cpu
# BTNB_LANG=zh is Chinese: make lab BTNB_LANG=zh opens the Chinese tutorial, make demo BTNB_LANG=zh shows a Chinese report
# CONSTRAINTS=constraints.txt installs the very versions that the published rows were measured by (Python 3.11.5 or later 3.11, Linux).
PYTHON  ?= python3
WORKERS ?= 2
CONSTRAINTS ?=
TORCH   ?=
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
bin     := .venv/bin
first   := nbs/$(if $(filter zh,$(BTNB_LANG)),zh/)tutorial.ipynb

.PHONY: demo lab labs check test test-all bench docs readme clean
.NOTPARALLEL:

ifneq ($(filter-out cpu,$(TORCH)),)
$(error TORCH=$(TORCH): the one choice is TORCH=cpu, without it PyTorch's default is installed)
endif

demo: .venv/demo
	$(bin)/btnb demo --out runs/demo

lab: .venv/lab
	$(bin)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/$(first)

labs: .venv/labs
	$(bin)/python tools/labs.py

check: .venv/test
	$(bin)/ruff check .
	OMP_NUM_THREADS=1 $(bin)/python -m pytest -q -n $(WORKERS) tests/test_repo.py

# One thread a process: the tests run in $(WORKERS) processes.
test: .venv/test
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(bin)/python -m pytest -n $(WORKERS) --dist worksteal -ra tests

test-all: .venv/test
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(bin)/python -m pytest -n $(WORKERS) --dist worksteal -ra --durations 20 tests --all

# An environment of its own: fastai asks for a fastcore that nbdev 2 cannot use.
bench: .venv-bench/ok
	.venv-bench/bin/python benchmarks/bench.py

docs: .venv/docs
	$(bin)/python tools/make_site.py

readme: .venv/test
	$(bin)/python tools/readme.py

clean:
	rm -rf build dist _docs _proc .pytest_cache *.egg-info
	find . -path ./.venv -prune -o -path ./runs -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +

# .venv/ok exists while the environment is whole. What interrupts an installation leaves none, and the next one starts afresh.
.venv/demo: extras = offline
.venv/lab:  extras = offline,labs
.venv/labs: extras = offline,labs,grade
.venv/docs: extras = offline,docs
.venv/test: extras = offline,labs,grade,data,docs,dev
.venv/demo .venv/lab .venv/labs .venv/docs .venv/test: settings.ini setup.py pyproject.toml
	@$(PYTHON) -c "import venv, ensurepip" 2>/dev/null || { echo "$(PYTHON) lacks its venv module: apt install python3-venv, then again"; exit 1; }
	@test -e .venv/ok || $(PYTHON) -m venv --clear .venv
	@rm -f .venv/ok
	$(if $(TORCH),$(bin)/python tools/torch_cpu.py --index $(TORCH_INDEX) $(if $(CONSTRAINTS),--constraints $(CONSTRAINTS)))
	$(bin)/python -m pip install --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e ".[$(extras)]"
	@touch .venv/ok $@

.venv-bench/ok: settings.ini setup.py pyproject.toml
	$(PYTHON) -m venv --clear .venv-bench
	.venv-bench/bin/python -m pip install --disable-pip-version-check -e ".[offline,bench]"
	@touch $@
