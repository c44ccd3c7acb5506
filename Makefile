# `make check` and `make test` need nothing but Python 3.11 or newer: each sets itself up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# The CPU build of TensorFlow; the extra `keras` asks for the full one, which the same command takes as well.
TENSORFLOW ?= tensorflow-cpu
# What the tests and the measurements hold the siblings against. Both would bring a PyTorch of their own choice.
ORACLES := torchvision timm

.PHONY: check test lint setup planted calibrate bench demo fuzz

check: setup
	$(BIN)/diglot check --workers 2 --report reports

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadscope

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict core

setup: $(READY)

planted: setup
	$(BIN)/python -m parity_tests.planted

calibrate: setup
	$(BIN)/python -m parity_tests.calibration

bench: setup
	$(BIN)/python -m bench

fuzz: setup
	$(BIN)/python -m bench.fuzz --files 20000

demo: setup
	$(BIN)/python -m diglot.demo

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Diglot needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch,demo,dev]' keras $(TENSORFLOW)
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps $(ORACLES)
	touch $@
