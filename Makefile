# Everything starts from a bare checkout: python3 with venv, a C++ compiler and make.
#
#   make demo      train a classifier on real data and write runs/digits/report.html
#   make test      the whole test suite, doctests included, on all cores (JOBS=1: on one)
#   make lint      ruff, mypy, import-linter, clang-format
#   make docs      the documentation, into build/docs
#   make bench     softgrad against its peers (BENCH="--quick" and the like for options)
#   make solvers   SoftmaxRegression against scikit-learn's solvers (same options)
#   make sanitize  the kernels under AddressSanitizer and UndefinedBehaviorSanitizer
#   make build     (re)build into .venv, only when sources changed
#   make clean     remove what the above made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH ?=
PYTEST ?=
JOBS ?= auto

native_sources := pyproject.toml CMakeLists.txt \
	$(shell find cpp bindings -name '*.cpp' -o -name '*.hpp' 2>/dev/null)
cpp_files = $(shell find cpp bindings tests/cpp -name '*.cpp' -o -name '*.hpp' 2>/dev/null)

# An editable installation: Python sources are used in place, only C++ needs rebuilding.
install = tools/with-python-headers $(BIN)/python -m pip install --quiet --no-build-isolation --editable

.PHONY: venv build demo test lint format docs bench solvers networks accuracy sanitize clean
.DELETE_ON_ERROR:

venv: $(VENV)/.ready
build: $(VENV)/.built

demo: $(VENV)/.built
	$(BIN)/softgrad train digits --out runs/digits

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(JOBS) $(PYTEST)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror $(cpp_files)

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(cpp_files)

docs: $(VENV)/.docs
	rm -rf build/docs.part
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs.part
	rm -rf build/docs
	mv build/docs.part build/docs

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.speed $(BENCH)

solvers: $(VENV)/.bench
	$(BIN)/python -m benchmarks.solvers $(BENCH)

networks: $(VENV)/.bench
	$(BIN)/python -m benchmarks.networks $(BENCH)

accuracy: $(VENV)/.bench
	$(BIN)/python -m benchmarks.accuracy $(BENCH)

sanitize: $(VENV)/.ready
	$(BIN)/cmake --preset sanitize -G Ninja -D CMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja)
	$(BIN)/cmake --build --preset sanitize
	build/sanitize/kernel_check
	build/sanitize/kernel_sweep 40009

clean:
	rm -rf docs/reference/api docs/mistakes/[0-9]*.md docs/mistakes/table.md
	rm -rf build dist runs $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/.ready:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet cmake ninja $$($(BIN)/python tools/build_requirements.py)
	@touch $@

# Stamps carry the time at which a build began: what is edited meanwhile is built the next time.
$(VENV)/.built: $(VENV)/.ready $(native_sources)
	@touch $@.began
	$(install) .
	@mv $@.began $@

$(VENV)/.test $(VENV)/.bench $(VENV)/.docs: $(VENV)/.%: $(VENV)/.ready $(native_sources)
	@touch $@.began
	$(install) '.[$*]'
	@cp -p $@.began $(VENV)/.built && mv $@.began $@

# Linting needs no C++ build, but mypy wants the libraries whose types it reads.
$(VENV)/.lint: $(VENV)/.built
	$(install) '.[lint]'
	@touch $@
