# Everything a newcomer types. Set-up happens by itself, in .venv.

# the first Python that is new enough (Brian2 2.10.1 has wheels for 3.12 and 3.13)
PYTHON ?= $(shell for p in python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint bench gpu wheel clean

demo: .venv/run.stamp
	@mkdir -p out
	$(BIN)/neuromem run ca3-cam --out out/ca3-cam.zarr --raster out/ca3-cam.png --spikes out/ca3-cam.csv --force

test: .venv/dev.stamp
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadgroup

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/bench.stamp
	$(BIN)/python -m benchmarks.spiking
	$(BIN)/python -m benchmarks.limits
	for work in willshaw hopfield dense plastic_matrices best_match scaling large_updates emulator; do $(BIN)/python -m benchmarks.$$work || exit 1; done

# tests and benchmarks of the engines on a CUDA device, and one report of them in benchmarks/results/
gpu: .venv/bin/python
	@$(BIN)/python -c "import ctypes; ctypes.CDLL('libcuda.so.1')" 2>/dev/null || { \
		echo "make gpu: there is no NVIDIA driver here (libcuda.so.1); nothing was run, and no report is written."; exit 1; }
	$(MAKE) .venv/gpu.stamp
	$(BIN)/python -m benchmarks.gpu_report

wheel: .venv/dev.stamp
	$(BIN)/python -m build --wheel --outdir dist .

clean:
	rm -rf .venv build dist out

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "neuromem needs Python 3.12 or newer, with venv (Debian: apt-get install python3 python3-venv)."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/run.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP_INSTALL) --editable .
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@ .venv/run.stamp

.venv/bench.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP_INSTALL) --editable '.[bench]'
	@touch $@

.venv/gpu.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP_INSTALL) --editable '.[dev,cuda]'
	@touch $@ .venv/run.stamp .venv/dev.stamp
